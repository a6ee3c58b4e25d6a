//! Hears when somebody starts and stops speaking, by energy alone.
//!
//! It is fed the audio of the agent leg exactly as it arrives, so it also notices when the wrong format, rate or byte
//! order arrives: that is noise or silence to it. It counts samples, not seconds, and so has no clock.

use crate::audio::mulaw;
use crate::deepgram::settings::AgentAudio;

/// Samples looked at a second. What lies between them would not change the energy.
const LOOKS_A_SECOND: u32 = 8_000;
/// Samples looked at in a frame of 20 ms.
const FRAME: u32 = LOOKS_A_SECOND / 50;
/// Mean magnitude that is louder than a line's noise and quieter than anybody's speech (full scale 32,768).
const LOUD: u32 = 250;
/// 60 ms: shorter noises are clicks.
const ONSET_FRAMES: u32 = 3;
/// 500 ms: longer than the pauses inside a sentence.
const END_FRAMES: u32 = 25;

/// What an [`Ear`] noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    Onset,
    End,
}

/// Listens to one stream of audio.
#[derive(Debug)]
pub(super) struct Ear {
    format: AgentAudio,
    /// Only every so manieth sample is looked at.
    stride: usize,
    /// Bytes to pass over before the next look.
    skip: usize,
    /// The first byte of a sample that was split between two messages.
    half: Option<u8>,
    looked: u32,
    sum: u32,
    loud_frames: u32,
    quiet_frames: u32,
    speaking: bool,
}

impl Ear {
    pub(super) fn new(format: AgentAudio) -> Self {
        let stride = (format.input_rate() / LOOKS_A_SECOND).max(1) as usize * format.sample_bytes();
        Self {
            format,
            stride,
            skip: 0,
            half: None,
            looked: 0,
            sum: 0,
            loud_frames: 0,
            quiet_frames: 0,
            speaking: false,
        }
    }

    /// Takes one message of audio, and tells each thing it noticed in order.
    pub(super) fn listen(&mut self, audio: &[u8], mut notice: impl FnMut(Heard)) {
        let mut rest = audio;
        if let (Some(low), [high, after @ ..]) = (self.half, rest) {
            self.half = None;
            rest = after;
            self.look(i16::from_le_bytes([low, *high]), &mut notice);
            self.skip = self.stride - 2;
        }
        while self.skip < rest.len() {
            rest = &rest[self.skip..];
            match (self.format, rest) {
                (AgentAudio::Mulaw, [code, ..]) => self.look(mulaw::decode(*code), &mut notice),
                (AgentAudio::Linear16, [low, high, ..]) => self.look(i16::from_le_bytes([*low, *high]), &mut notice),
                (AgentAudio::Linear16, [low]) => {
                    self.half = Some(*low);
                    self.skip = 0;
                    return;
                }
                (_, []) => unreachable!("the loop's condition"),
            }
            self.skip = self.stride;
        }
        self.skip -= rest.len();
    }

    fn look(&mut self, sample: i16, notice: &mut impl FnMut(Heard)) {
        self.looked += 1;
        self.sum += u32::from(sample.unsigned_abs());
        if self.looked < FRAME {
            return;
        }
        if self.sum / FRAME > LOUD {
            self.loud_frames += 1;
            self.quiet_frames = 0;
        } else {
            self.quiet_frames += 1;
            self.loud_frames = 0;
        }
        (self.looked, self.sum) = (0, 0);
        if !self.speaking && self.loud_frames >= ONSET_FRAMES {
            self.speaking = true;
            notice(Heard::Onset);
        } else if self.speaking && self.quiet_frames >= END_FRAMES {
            self.speaking = false;
            notice(Heard::End);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::voice::{Clip, Sound};
    use super::*;

    /// What is noticed, with the millisecond of audio at which it was, when audio arrives in pieces of these sizes.
    fn heard(format: AgentAudio, audio: &[u8], sizes: &[usize]) -> Vec<(Heard, usize)> {
        let mut ear = Ear::new(format);
        let (mut rest, mut taken, mut all) = (audio, 0, Vec::new());
        for size in sizes.iter().cycle() {
            let (piece, after) = rest.split_at(rest.len().min(*size));
            taken += piece.len();
            let ms = taken * 1000 / (format.input_rate() as usize * format.sample_bytes());
            ear.listen(piece, |what| all.push((what, ms)));
            rest = after;
            if rest.is_empty() {
                return all;
            }
        }
        all
    }

    fn quiet(ms: usize) -> Vec<u8> {
        vec![mulaw::SILENCE; ms * 8]
    }

    /// Repeats each sample, as a stand-in for the real converter.
    fn at_48k(phone: &[u8]) -> Vec<u8> {
        phone.iter().flat_map(|code| mulaw::decode(*code).to_le_bytes().repeat(6)).collect()
    }

    #[test]
    fn the_recorded_caller_is_one_utterance() {
        let mut line = quiet(1000);
        line.extend_from_slice(&Sound { text: "", clip: Some(Clip::CallerTaro) }.on_the_phone());
        line.extend(quiet(1000));
        let at_8k = heard(AgentAudio::Mulaw, &line, &[160]);
        let [(Heard::Onset, onset), (Heard::End, end)] = at_8k[..] else { panic!("{at_8k:?}") };
        // The recording has words from 0.1 to 3.5 s.
        assert!((1100..1300).contains(&onset), "{onset}");
        assert!((4900..5200).contains(&end), "{end}");
        for sizes in [&[1920][..], &[1, 2, 3, 5, 1919], &[7], &[96_001]] {
            let linear = heard(AgentAudio::Linear16, &at_48k(&line), sizes);
            assert_eq!(linear.iter().map(|(what, _)| *what).collect::<Vec<_>>(), [Heard::Onset, Heard::End]);
        }
        assert_eq!(heard(AgentAudio::Linear16, &at_48k(&line), &[1920]), at_8k);
    }

    #[test]
    fn a_hum_is_heard_and_ends() {
        let mut line = Sound { text: "Yes please.", clip: None }.on_the_phone().to_vec();
        line.extend(quiet(600));
        let all = heard(AgentAudio::Mulaw, &line, &[160]);
        assert!(matches!(all[..], [(Heard::Onset, 60..=120), (Heard::End, _)]), "{all:?}");
    }

    #[test]
    fn silence_noise_and_clicks_are_not_speech() {
        let mut line = quiet(2000);
        for (at, code) in line.iter_mut().enumerate() {
            if at % 3 == 0 {
                *code = mulaw::encode(100);
            }
            if (8000..8200).contains(&at) {
                *code = mulaw::encode(20_000);
            }
        }
        assert_eq!(heard(AgentAudio::Mulaw, &line, &[160]), []);
        assert_eq!(heard(AgentAudio::Linear16, &[], &[1]), []);
    }
}
