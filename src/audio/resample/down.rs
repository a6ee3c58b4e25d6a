//! linear16 at 24 kHz to µ-law at 8 kHz.

use std::hint::black_box;

use super::super::mulaw;
use super::taps::{DOWN_HALF, DOWN_TAPS};
use super::{Aligned, Pair, saturate};

/// Inputs per output.
const RATIO: usize = 3;

/// The most samples kept between pieces: one more would make an output.
const KEPT: usize = DOWN_TAPS - 1;

/// Inputs filtered at a time: 20 ms.
const CHUNK: usize = 480;

/// The most outputs that a chunk can complete.
const OUTPUTS: usize = CHUNK / RATIO;

static TAPS: Aligned<[Pair; DOWN_TAPS / 2]> = Aligned(unfolded());

/// The sum over all taps of a full-scale input must fit into 32 bits, rounding included.
const _: () = {
    let mut size = 0;
    let mut i = 0;
    while i < DOWN_HALF.len() {
        size += 2 * DOWN_HALF[i].unsigned_abs() as i64;
        i += 1;
    }
    assert!(size * (1 << 15) + (1 << 14) <= i32::MAX as i64);
};

/// Turns linear16 at 24 kHz into µ-law at 8 kHz, in pieces of any size, odd numbers of bytes included.
///
/// The output is 1.48 ms late. State carries over from piece to piece, so the pieces' sizes make no difference.
#[derive(Debug, Clone, Default)]
pub struct Downsampler {
    filter: Decimator,
    /// The first byte of a sample whose second byte has not come yet.
    half: Option<u8>,
}

impl Downsampler {
    /// A converter that has heard only silence.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends one µ-law byte for every third sample. Room for them is the only allocation, and none if `out` has it.
    pub fn push(&mut self, linear16: &[u8], out: &mut Vec<u8>) {
        out.reserve(linear16.len() / (RATIO * size_of::<i16>()) + 1);
        let mut bytes = linear16;
        if let (Some(low), [high, rest @ ..]) = (self.half, bytes) {
            self.filter.push(&[[low, *high]], |samples| encode(samples, out));
            self.half = None;
            bytes = rest;
        }
        let (samples, rest) = bytes.as_chunks();
        self.filter.push(samples, |samples| encode(samples, out));
        if let [low] = rest {
            self.half = Some(*low);
        }
    }

    /// The end of a reply: pushes out what the filter still holds (3 ms, mostly its ringing), then is as new.
    ///
    /// Gives nothing when nothing was pushed. Half a sample that waits for its second byte is dropped.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        if self.filter.used {
            self.filter.push(&[[0; 2]; KEPT], |samples| encode(samples, out));
        }
        self.reset();
    }

    /// Forgets the past, half a sample included, as when a reply was interrupted.
    pub fn reset(&mut self) {
        *self = Self::default();
    }
}

fn encode(samples: &[i16], out: &mut Vec<u8>) {
    out.extend(samples.iter().map(|sample| mulaw::encode(*sample)));
}

/// The filter alone: linear16 at 24 kHz to linear samples at 8 kHz.
#[derive(Debug, Clone)]
pub(super) struct Decimator {
    /// The samples that the next output needs, oldest first; `kept` of them count.
    history: [i16; KEPT],
    /// At least `DOWN_TAPS - RATIO`, so that three more samples make an output.
    kept: usize,
    /// Whether anything was pushed.
    used: bool,
}

impl Default for Decimator {
    fn default() -> Self {
        Self { history: [0; KEPT], kept: DOWN_TAPS - RATIO, used: false }
    }
}

impl Decimator {
    /// Takes little-endian samples in and emits the outputs that they complete.
    pub(super) fn push(&mut self, samples: &[[u8; 2]], mut emit: impl FnMut(&[i16])) {
        for chunk in samples.chunks(CHUNK) {
            self.convert(chunk, &mut emit);
        }
    }

    /// Converts at most [`CHUNK`] samples.
    fn convert(&mut self, fresh: &[[u8; 2]], emit: &mut impl FnMut(&[i16])) {
        let mut samples = [0; KEPT + CHUNK];
        let filled = self.kept + fresh.len();
        samples[..self.kept].copy_from_slice(&self.history[..self.kept]);
        for (sample, bytes) in samples[self.kept..filled].iter_mut().zip(fresh) {
            *sample = i16::from_le_bytes(*bytes);
        }
        let taps = black_box(&TAPS.0);
        let mut outputs = [0; OUTPUTS];
        let complete = (filled + RATIO - DOWN_TAPS) / RATIO;
        for (output, window) in outputs[..complete].iter_mut().zip(samples.windows(DOWN_TAPS).step_by(RATIO)) {
            *output = saturate(filter(window.first_chunk().expect("a window of this size"), taps) >> 15);
        }
        emit(&outputs[..complete]);
        let rest = &samples[complete * RATIO..filled];
        self.history[..rest.len()].copy_from_slice(rest);
        self.kept = rest.len();
        self.used = true;
    }
}

/// One output, in Q15 and rounded.
///
/// See the parent module on why the products are stored before they are added, and on `inline(never)`.
#[inline(never)]
fn filter(window: &[i16; DOWN_TAPS], taps: &[Pair; DOWN_TAPS / 2]) -> i32 {
    let (pairs, _) = window.as_chunks::<2>();
    let mut products = [0; DOWN_TAPS / 2];
    for ((product, sample), tap) in products.iter_mut().zip(pairs).zip(taps) {
        *product = i32::from(sample[0]) * i32::from(tap[0]) + i32::from(sample[1]) * i32::from(tap[1]);
    }
    products.iter().sum::<i32>() + (1 << 14)
}

const fn unfolded() -> [Pair; DOWN_TAPS / 2] {
    let mut taps = [[0; 2]; DOWN_TAPS / 2];
    let mut i = 0;
    while i < DOWN_TAPS {
        let mirrored = if i < DOWN_TAPS / 2 { i } else { DOWN_TAPS - 1 - i };
        taps[i / 2][i % 2] = DOWN_HALF[mirrored];
        i += 1;
    }
    taps
}
