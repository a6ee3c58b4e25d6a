//! What the two simulated people sound like: two recordings, and a synthesised hum for everything else.
//!
//! The hum is no language, but it has a voice's pitch, harmonics and syllables and lasts as long as the words would
//! take to say, which is all that a line, a converter or a speech detector can tell. The conversions here are rough on
//! purpose: the good ones are under test on the other side of the socket.

use std::f32::consts::TAU;

use bytes::Bytes;
use serde::Deserialize;

use crate::audio::mulaw;
use crate::deepgram::settings::AgentAudio;

/// Time to say one letter: about 15 a second, an unhurried speaker.
const LETTER_MS: u32 = 65;
const PEAK: f32 = 9_000.0;

/// A recording that comes with the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Clip {
    /// "Hi, I'd like a taro milk tea with boba please."
    CallerTaro,
    /// "Sure! One taro milk tea with boba. Anything else?"
    AgentReply,
}

impl Clip {
    const CALLER_TARO: &'static [u8] = include_bytes!("clips/caller_taro_8k.ulaw");
    const AGENT_REPLY: &'static [u8] = include_bytes!("clips/agent_reply_24k.s16le");

    fn samples(self) -> (u32, Vec<i16>) {
        match self {
            Self::CallerTaro => (8_000, Self::CALLER_TARO.iter().map(|code| mulaw::decode(*code)).collect()),
            Self::AgentReply => {
                let samples = Self::AGENT_REPLY.as_chunks().0;
                (24_000, samples.iter().map(|pair| i16::from_le_bytes(*pair)).collect())
            }
        }
    }
}

/// Something to be heard: a recording of the words if there is one, or a hum of their length.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sound<'a> {
    pub(super) text: &'a str,
    pub(super) clip: Option<Clip>,
}

impl Sound<'_> {
    /// How long it lasts, in milliseconds.
    pub(super) fn duration_ms(self) -> u32 {
        match self.clip {
            Some(Clip::CallerTaro) => bytes_to_ms(Clip::CALLER_TARO.len(), 8),
            Some(Clip::AgentReply) => bytes_to_ms(Clip::AGENT_REPLY.len(), 48),
            None => {
                let letters = u32::try_from(self.text.chars().count()).unwrap_or(u32::MAX);
                (letters.saturating_mul(LETTER_MS)).clamp(500, 30_000).next_multiple_of(20)
            }
        }
    }

    /// As a telephone carries it: µ-law, 8 kHz. Callers have the higher voice.
    pub(super) fn on_the_phone(self) -> Bytes {
        match self.clip {
            // The recording is sent as it was made, so that a test can compare it byte by byte.
            Some(Clip::CallerTaro) => Bytes::from_static(Clip::CALLER_TARO),
            _ => self.samples(8_000, 200).into_iter().map(mulaw::encode).collect(),
        }
    }

    /// As the agent sends it in a declared format.
    pub(super) fn of_the_agent(self, format: AgentAudio) -> Bytes {
        let samples = self.samples(format.output_rate(), 125);
        match format {
            AgentAudio::Linear16 => samples.into_iter().flat_map(i16::to_le_bytes).collect(),
            AgentAudio::Mulaw => samples.into_iter().map(mulaw::encode).collect(),
        }
    }

    fn samples(self, rate: u32, pitch: u32) -> Vec<i16> {
        match self.clip.map(Clip::samples) {
            Some((given, samples)) => at_rate(&samples, given, rate),
            None => hum(self.duration_ms(), rate, pitch),
        }
    }
}

/// A voice-like hum at `pitch` Hz, which must divide `rate`.
fn hum(duration_ms: u32, rate: u32, pitch: u32) -> Vec<i16> {
    // One period is computed and repeated: a call's worth of sines would be most of the simulator's cost.
    let period = (rate / pitch).max(1) as usize;
    let wave: Vec<f32> = (0..period)
        .map(|at| {
            let phase = TAU * at as f32 / period as f32;
            // Harmonics that fall off as a throat's do, up to what a telephone passes.
            let harmonics = (1..=12_u32).take_while(|n| n * pitch <= 3_000);
            harmonics.map(|n| (phase * n as f32).sin() / n as f32).sum::<f32>() / 1.8
        })
        .collect();
    // Syllables of a fifth of a second, which never fade to silence inside a sentence.
    let syllable = (rate / 5) as usize;
    let length = (u64::from(duration_ms) * u64::from(rate) / 1000) as usize;
    let fade = (rate / 50) as usize;
    (0..length)
        .zip(wave.iter().cycle())
        .map(|(at, wave)| {
            let swing = 0.65 - 0.35 * (TAU * (at % syllable) as f32 / syllable as f32).cos();
            let edge = (at.min(length - 1 - at) as f32 / fade as f32).min(1.0);
            (PEAK * wave * swing * edge) as i16
        })
        .collect()
}

/// Straight lines between samples when the rate rises, averages when it falls.
fn at_rate(samples: &[i16], from: u32, to: u32) -> Vec<i16> {
    if from > to && from.is_multiple_of(to) {
        let step = (from / to) as usize;
        let mean = |group: &[i16]| group.iter().map(|sample| i32::from(*sample)).sum::<i32>() / group.len() as i32;
        return samples.chunks(step).map(|group| mean(group) as i16).collect();
    }
    let length = (samples.len() as u64 * u64::from(to) / u64::from(from)) as usize;
    (0..length)
        .map(|at| {
            let place = at as f64 * f64::from(from) / f64::from(to);
            let (whole, part) = (place as usize, place.fract());
            let sample = |index: usize| f64::from(samples.get(index).copied().unwrap_or(0));
            (sample(whole) * (1.0 - part) + sample(whole + 1) * part) as i16
        })
        .collect()
}

fn bytes_to_ms(bytes: usize, bytes_a_ms: usize) -> u32 {
    u32::try_from(bytes / bytes_a_ms).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sounds_last_as_long_as_they_say() {
        let words = Sound { text: "Yes, that is what I would like to have.", clip: None };
        for sound in [
            words,
            Sound { text: "", clip: None },
            Sound { clip: Some(Clip::CallerTaro), ..words },
            Sound { clip: Some(Clip::AgentReply), ..words },
        ] {
            let ms = sound.duration_ms() as usize;
            assert_eq!(sound.on_the_phone().len(), ms * 8);
            assert_eq!(sound.of_the_agent(AgentAudio::Linear16).len(), ms * 48);
            assert_eq!(sound.of_the_agent(AgentAudio::Mulaw).len(), ms * 8);
        }
        assert_eq!(Sound { text: &"word ".repeat(10_000), clip: None }.duration_ms(), 30_000);
    }

    #[test]
    fn the_recordings_are_sent_as_they_were_made() {
        let caller = Sound { text: "", clip: Some(Clip::CallerTaro) };
        assert_eq!(&caller.on_the_phone()[..], Clip::CALLER_TARO);
        let agent = Sound { text: "", clip: Some(Clip::AgentReply) };
        assert_eq!(&agent.of_the_agent(AgentAudio::Linear16)[..], Clip::AGENT_REPLY);
    }

    #[test]
    fn the_hum_stays_within_its_peak_and_begins_and_ends_softly() {
        let samples = hum(1000, 8_000, 200);
        let peak = samples.iter().map(|sample| sample.unsigned_abs()).max().unwrap();
        assert!((4_000..=9_500).contains(&peak), "{peak}");
        assert_eq!((samples[0], samples[7_999]), (0, 0));
    }
}
