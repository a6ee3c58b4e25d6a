//! The call's two audio directions with the state they carry from frame to frame.

use crate::audio::{Downsampler, FRAME_BYTES, Framer, Upsampler, mulaw};
use crate::deepgram::settings::AgentAudio;

/// µ-law of the phone leg to and from the format that was declared to the agent.
///
/// In [`AgentAudio::Mulaw`] both legs speak the same format and bytes pass untouched.
pub(super) enum Codec {
    Linear16(Box<Linear16>),
    Mulaw,
}

pub(super) struct Linear16 {
    up: Upsampler,
    down: Downsampler,
    framer: Framer,
    /// µ-law on its way from the down-sampler to the framer; kept for its capacity.
    scratch: Vec<u8>,
}

/// Largest payload of one media message when bytes pass untouched: two seconds.
const MAX_PASSED_BYTES: usize = 16_000;

impl Codec {
    pub(super) fn new(audio: AgentAudio) -> Self {
        match audio {
            AgentAudio::Mulaw => Self::Mulaw,
            AgentAudio::Linear16 => Self::Linear16(Box::new(Linear16 {
                up: Upsampler::new(),
                down: Downsampler::new(),
                framer: Framer::new(),
                scratch: Vec::new(),
            })),
        }
    }

    /// Caller audio (µ-law, 8 kHz) as the agent wants it: the one allocation is the outgoing message.
    pub(super) fn up(&mut self, mulaw: &[u8]) -> Vec<u8> {
        match self {
            Self::Mulaw => mulaw.to_vec(),
            Self::Linear16(linear) => {
                let mut out = Vec::with_capacity(mulaw.len() * 12);
                linear.up.push(mulaw, &mut out);
                out
            }
        }
    }

    /// Agent audio in any chunking; `emit` receives µ-law payloads for the phone leg, as many as are complete.
    pub(super) fn down(&mut self, audio: &[u8], emit: impl FnMut(&[u8])) {
        match self {
            Self::Mulaw => audio.chunks(MAX_PASSED_BYTES).for_each(emit),
            Self::Linear16(linear) => {
                linear.scratch.clear();
                linear.down.push(audio, &mut linear.scratch);
                linear.framer.push(&linear.scratch, emit);
            }
        }
    }

    /// A pause within a reply: the partial frame is padded, the filter keeps its state, half a sample included.
    pub(super) fn pad(&mut self, emit: impl FnMut(&[u8])) {
        if let Self::Linear16(linear) = self {
            linear.framer.finish(emit);
        }
    }

    /// The end of a reply: what the filter and the framer still hold, padded to a frame.
    pub(super) fn finish_reply(&mut self, mut emit: impl FnMut(&[u8])) {
        if let Self::Linear16(linear) = self {
            linear.scratch.clear();
            linear.down.finish(&mut linear.scratch);
            linear.framer.push(&linear.scratch, &mut emit);
            linear.framer.finish(emit);
            // A burst may have grown it to seconds of audio; a call at rest keeps a frame's worth.
            linear.scratch.shrink_to(FRAME_BYTES);
        }
    }

    /// The reply was interrupted: nothing of it may leak into the next.
    pub(super) fn drop_reply(&mut self) {
        if let Self::Linear16(linear) = self {
            linear.down.reset();
            linear.framer.clear();
        }
    }

    /// One frame of silence as the agent wants it.
    pub(super) fn silence(&mut self) -> Vec<u8> {
        self.up(&[mulaw::SILENCE; FRAME_BYTES])
    }
}
