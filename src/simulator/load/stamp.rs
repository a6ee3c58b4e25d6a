//! When a frame was sent, told by its sound.
//!
//! A frame is four steps of 5 ms, each at one of 16 levels: 16 bits, the time in tenths of a millisecond. A step is longer
//! than the resamplers' filters, so its middle is the level that went in, whatever rate it comes out at, and what comes
//! out is late by that little. No one need know which call a frame belongs to.

use crate::audio::{FRAME_BYTES, mulaw};
use crate::deepgram::settings::AgentAudio;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::time::Duration;

const STEPS: usize = 4;
/// Half the distance between two levels, of 16-bit samples.
const HALF: i32 = 1_900;
/// The middle of the first step, in milliseconds: 2.5 and what the filters are late.
const MIDDLE_MS: [f64; 3] = [2.5, 3.74, 3.98];

/// Tenths of a millisecond, in the course of six seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp(u16);

impl Stamp {
    pub(super) fn at(time: Duration) -> Self {
        Self((time.as_micros() / 100) as u16)
    }

    /// A number in place of a time.
    pub(super) fn count(count: u16) -> Self {
        Self(count)
    }

    /// The number, of one that is in place of a time.
    pub(super) fn as_count(self) -> u16 {
        self.0
    }

    /// From then until this one, if that is under six seconds.
    pub(super) fn since(self, then: Self) -> Duration {
        Duration::from_micros(100 * u64::from(self.0.wrapping_sub(then.0)))
    }

    /// A frame of the telephone's.
    pub(super) fn as_mulaw(self) -> [u8; FRAME_BYTES] {
        let mut frame = [0; FRAME_BYTES];
        for (step, bytes) in frame.chunks_mut(FRAME_BYTES / STEPS).enumerate() {
            bytes.fill(mulaw::encode(self.level(step)));
        }
        frame
    }

    /// 20 ms of what the agent says.
    pub(super) fn as_agents(self, audio: AgentAudio) -> Vec<u8> {
        match audio {
            AgentAudio::Mulaw => self.as_mulaw().to_vec(),
            AgentAudio::Linear16 => (0..480).flat_map(|at| self.level(at * STEPS / 480).to_le_bytes()).collect(),
        }
    }

    /// Reads what the phone hears: the base64 of a frame, converted from what the agent said.
    pub(super) fn heard_on_phone(payload: &[u8], audio: AgentAudio) -> Option<Self> {
        let middle = if audio == AgentAudio::Mulaw { MIDDLE_MS[0] } else { MIDDLE_MS[2] };
        Self::in_base64(middle, |at| payload.get(at).copied())
    }

    /// Reads a media message of the phone's, which a relay has passed on; `payload_at` is where its sound begins.
    pub(super) fn heard_in_media(payload_at: usize, byte: impl Fn(usize) -> Option<u8>) -> Option<Self> {
        Self::in_base64(MIDDLE_MS[0], |at| byte(payload_at + at))
    }

    /// Three bytes are four letters: only those that hold a middle are read.
    fn in_base64(middle_ms: f64, letter: impl Fn(usize) -> Option<u8>) -> Option<Self> {
        Self::read(middle_ms, 8, |at| {
            let group = at / 3 * 4;
            let letters = [letter(group)?, letter(group + 1)?, letter(group + 2)?, letter(group + 3)?];
            let mut bytes = [0; 3];
            STANDARD.decode_slice(letters, &mut bytes).ok()?;
            Some(mulaw::decode(bytes[at % 3]))
        })
    }

    /// Reads what the phone hears through a relay: what the agent said, as it said it.
    pub(super) fn heard_raw(sound: &[u8], audio: AgentAudio) -> Option<Self> {
        match audio {
            AgentAudio::Mulaw => Self::read(MIDDLE_MS[0], 8, |at| Some(mulaw::decode(*sound.get(at)?))),
            AgentAudio::Linear16 => Self::read(MIDDLE_MS[0], 24, |at| {
                Some(i16::from_le_bytes([*sound.get(2 * at)?, *sound.get(2 * at + 1)?]))
            }),
        }
    }

    /// Reads one of the frames that the agent hears, byte by byte.
    pub(super) fn heard_by_agent(audio: AgentAudio, byte: impl Fn(usize) -> Option<u8>) -> Option<Self> {
        match audio {
            AgentAudio::Mulaw => Self::read(MIDDLE_MS[0], 8, |at| Some(mulaw::decode(byte(at)?))),
            AgentAudio::Linear16 => {
                Self::read(MIDDLE_MS[1], 48, |at| Some(i16::from_le_bytes([byte(2 * at)?, byte(2 * at + 1)?])))
            }
        }
    }

    fn read(middle_ms: f64, samples_a_ms: usize, sample: impl Fn(usize) -> Option<i16>) -> Option<Self> {
        let first = (middle_ms * samples_a_ms as f64) as usize;
        let mut bits = 0;
        for step in 0..STEPS {
            let level = i32::from(sample(first + step * 5 * samples_a_ms)?);
            let nearest = (level + 16 * HALF).div_euclid(2 * HALF).clamp(0, 15);
            bits = bits << 4 | nearest as u16;
        }
        Some(Self(bits))
    }

    fn level(self, step: usize) -> i16 {
        let bits = i32::from(self.0 >> (4 * (STEPS - 1 - step)) & 15);
        ((2 * bits - 15) * HALF) as i16
    }
}

/// Bytes of a frame as the agent hears it.
pub(super) fn frame_to_agent(audio: AgentAudio) -> usize {
    match audio {
        AgentAudio::Linear16 => 12 * FRAME_BYTES,
        AgentAudio::Mulaw => FRAME_BYTES,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{Downsampler, Upsampler};
    use proptest::prelude::*;

    fn as_payload(frame: &[u8]) -> Vec<u8> {
        STANDARD.encode(frame).into_bytes()
    }

    proptest! {
        #[test]
        fn a_stamp_survives_every_way_that_a_frame_may_go(before in any::<u16>(), stamp in any::<u16>(), after in any::<u16>()) {
            let stamps = [before, stamp, after].map(Stamp);
            let frame = Stamp(stamp).as_mulaw();
            prop_assert_eq!(Stamp::heard_on_phone(&as_payload(&frame), AgentAudio::Mulaw), Some(Stamp(stamp)));
            prop_assert_eq!(Stamp::heard_by_agent(AgentAudio::Mulaw, |at| frame.get(at).copied()), Some(Stamp(stamp)));

            let (mut up, mut down) = (Upsampler::new(), Downsampler::new());
            for stamp in stamps {
                let (mut raised, mut lowered) = (Vec::new(), Vec::new());
                up.push(&stamp.as_mulaw(), &mut raised);
                prop_assert_eq!(raised.len(), frame_to_agent(AgentAudio::Linear16));
                prop_assert_eq!(Stamp::heard_by_agent(AgentAudio::Linear16, |at| raised.get(at).copied()), Some(stamp));
                down.push(&stamp.as_agents(AgentAudio::Linear16), &mut lowered);
                prop_assert_eq!(Stamp::heard_on_phone(&as_payload(&lowered), AgentAudio::Linear16), Some(stamp));
            }
        }

        #[test]
        fn what_is_no_frame_has_no_stamp(payload in prop::collection::vec(any::<u8>(), 0..200)) {
            // Too short for the last step, whatever is in it.
            prop_assert_eq!(Stamp::heard_on_phone(&payload[..payload.len().min(180)], AgentAudio::Mulaw), None);
            prop_assert_eq!(Stamp::heard_by_agent(AgentAudio::Linear16, |at| payload.get(at).copied()), None);
        }
    }

    #[test]
    fn time_goes_on_over_the_end_of_the_count() {
        let (then, now) = (Duration::from_millis(6_550), Duration::from_millis(6_560));
        assert_eq!(Stamp::at(now).since(Stamp::at(then)), Duration::from_millis(10));
    }
}
