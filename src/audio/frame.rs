//! Frames of 20 ms, regrouped from audio that arrives in pieces of any size.
//!
//! This room does not know what is in a frame beyond µ-law's code of silence, nor who wants it.

use super::mulaw;

/// One frame of the telephone's audio: 20 ms of µ-law at 8 kHz.
pub const FRAME_BYTES: usize = 160;

/// How long one frame lasts.
pub const FRAME_MS: u64 = 20;

/// Regroups µ-law bytes into frames of [`FRAME_BYTES`].
///
/// Only the bytes that do not fill a frame yet are kept; whole frames are handed on from the input as they lie there.
#[derive(Debug, Clone)]
pub struct Framer {
    partial: [u8; FRAME_BYTES],
    /// How much of `partial` is audio: always less than a frame.
    filled: usize,
}

impl Framer {
    /// A framer that holds nothing.
    pub fn new() -> Self {
        Self { partial: [mulaw::SILENCE; FRAME_BYTES], filled: 0 }
    }

    /// Takes audio in and emits every frame that it completes, in order.
    pub fn push(&mut self, mut audio: &[u8], mut emit: impl FnMut(&[u8])) {
        if self.filled > 0 {
            let taken = audio.len().min(FRAME_BYTES - self.filled);
            let (head, rest) = audio.split_at(taken);
            self.keep(head);
            audio = rest;
            if self.filled < FRAME_BYTES {
                return;
            }
            emit(&self.partial);
            self.filled = 0;
        }
        let (frames, rest) = audio.as_chunks::<FRAME_BYTES>();
        for frame in frames {
            emit(frame);
        }
        self.keep(rest);
    }

    /// Pads the last partial frame with silence and emits it; does nothing when there is none.
    pub fn finish(&mut self, mut emit: impl FnMut(&[u8])) {
        if self.is_empty() {
            return;
        }
        self.partial[self.filled..].fill(mulaw::SILENCE);
        self.filled = 0;
        emit(&self.partial);
    }

    /// Forgets what has not filled a frame.
    pub fn clear(&mut self) {
        self.filled = 0;
    }

    /// Whether nothing waits to fill a frame.
    pub fn is_empty(&self) -> bool {
        self.filled == 0
    }

    fn keep(&mut self, audio: &[u8]) {
        self.partial[self.filled..][..audio.len()].copy_from_slice(audio);
        self.filled += audio.len();
    }
}

impl Default for Framer {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frames(pieces: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let mut framer = Framer::new();
        let mut frames = Vec::new();
        for piece in pieces {
            framer.push(piece, |frame| frames.push(frame.to_vec()));
        }
        framer.finish(|frame| frames.push(frame.to_vec()));
        assert!(framer.is_empty());
        frames
    }

    #[test]
    fn the_last_partial_frame_is_padded_with_silence() {
        let frames = frames(&[vec![1; 200]]);
        assert_eq!(frames.len(), 2);
        assert_eq!(frames[0], [1; FRAME_BYTES]);
        assert_eq!(frames[1][..40], [1; 40]);
        assert_eq!(frames[1][40..], [mulaw::SILENCE; 120]);
    }

    #[test]
    fn nothing_in_gives_nothing_out() {
        assert!(frames(&[]).is_empty());
        assert!(frames(&[vec![], vec![]]).is_empty());
    }

    #[test]
    fn whole_frames_leave_nothing_to_pad() {
        assert_eq!(frames(&[vec![7; 2 * FRAME_BYTES]]), vec![vec![7; FRAME_BYTES]; 2]);
    }

    #[test]
    fn what_was_cleared_is_neither_emitted_nor_padded() {
        let mut framer = Framer::new();
        framer.push(&[1; 100], |_| panic!("not a frame yet"));
        assert!(!framer.is_empty());
        framer.clear();
        framer.finish(|_| panic!("nothing to finish"));
        framer.push(&[2; FRAME_BYTES], |frame| assert_eq!(frame, [2; FRAME_BYTES]));
        assert!(framer.is_empty());
    }

    proptest! {
        #[test]
        fn pieces_of_any_size_give_the_audio_back_in_frames(
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..500), 0..12),
        ) {
            let mut expected = pieces.concat();
            expected.resize(expected.len().next_multiple_of(FRAME_BYTES), mulaw::SILENCE);
            let frames = frames(&pieces);
            prop_assert!(frames.iter().all(|frame| frame.len() == FRAME_BYTES));
            prop_assert_eq!(frames.concat(), expected);
        }
    }
}
