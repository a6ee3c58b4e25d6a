//! µ-law at 8 kHz to linear16 at 48 kHz.
//!
//! Of the six outputs that belong to one input, the last three weigh the window of 20 samples as the first three do, but
//! backwards. So the window is folded first: the sums of its mirrored samples meet the even halves of three phases, the
//! differences the odd halves, and each of the three gives two outputs, even part plus and minus odd part. That halves
//! the multiplications. Sums fit into 16 bits because µ-law has only 14, by which the samples are folded.

use std::hint::black_box;

use super::super::mulaw;
use super::taps::{UP, UP_HALF, UP_TAPS};
use super::{Aligned, Pair, saturate};

const PHASES: usize = 6;

/// How many bytes of linear16 one µ-law byte becomes.
const BYTES_OUT: usize = PHASES * size_of::<i16>();

/// Samples of the past that the next output needs.
const HISTORY: usize = UP_TAPS - 1;

/// The last pair of an input's window starts so far after its first.
const WINDOW: usize = UP_TAPS - 2;

/// Inputs decoded at a time: a telephone frame.
const CHUNK: usize = 160;

/// Inputs folded at a time; small, so that folded samples stay in the first-level cache.
const BLOCK: usize = 32;

/// Inputs filtered at a time, in the four lanes of a 128-bit vector.
const LANES: usize = 4;

/// Pairs of folded samples per input.
const PAIRS: usize = UP_HALF / 2;

/// Folded samples by pair, then input.
type Folded = [[Pair; BLOCK]; PAIRS];

/// What four neighbouring inputs need of a flattened [`Folded`].
const REACH: usize = (PAIRS - 1) * BLOCK + LANES;

/// Coefficients in the order of use, each pair repeated for every lane.
type Coefficients = [[[[Pair; LANES]; PAIRS]; 3]; 2];

static COEFFICIENTS: Aligned<Coefficients> = Aligned([spread(0), spread(1)]);

/// Turns µ-law at 8 kHz into linear16 at 48 kHz, in pieces of any size.
///
/// The output is 1.24 ms late. State carries over from piece to piece, so the pieces' sizes make no difference.
#[derive(Debug, Clone, Default)]
pub struct Upsampler {
    /// The last samples seen, oldest first, in 14 bits.
    history: [i16; HISTORY],
}

impl Upsampler {
    /// A converter that has heard only silence.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends 12 bytes for each µ-law byte. Room for them is the only allocation, and none if `out` has it.
    pub fn push(&mut self, mulaw: &[u8], out: &mut Vec<u8>) {
        out.reserve(mulaw.len() * BYTES_OUT);
        for chunk in mulaw.chunks(CHUNK) {
            self.convert(chunk, out);
        }
    }

    /// Forgets the past, as for a new call.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// Converts at most [`CHUNK`] bytes. A last block that is not full is computed whole and cut.
    fn convert(&mut self, mulaw: &[u8], out: &mut Vec<u8>) {
        let mut samples = [0; HISTORY + CHUNK];
        let (past, fresh) = samples.split_at_mut(HISTORY);
        past.copy_from_slice(&self.history);
        for (sample, code) in fresh.iter_mut().zip(mulaw) {
            *sample = mulaw::decode(*code) >> 2;
        }
        let (mut forward, mut backward) = (Aligned([[0; 2]; WINDOW + CHUNK]), Aligned([[0; 2]; WINDOW + CHUNK]));
        pair(&samples, &mut forward.0, &mut backward.0);
        let (mut sums, mut differences) = (Aligned([[[0; 2]; BLOCK]; PAIRS]), Aligned([[[0; 2]; BLOCK]; PAIRS]));
        let mut wide = Aligned([[[0; LANES]; PHASES]; BLOCK / LANES]);
        let mut bytes = Aligned([[[0; 2]; PHASES]; BLOCK]);
        let coefficients = black_box(&COEFFICIENTS.0);
        for (block, codes) in mulaw.chunks(BLOCK).enumerate() {
            let start = block * BLOCK;
            fold(window(&forward.0, start), window(&backward.0, start), &mut sums.0, &mut differences.0);
            for (group, wide) in wide.0.iter_mut().enumerate() {
                filter(reach(&sums.0, group), reach(&differences.0, group), coefficients, wide);
            }
            interleave(&wide.0, &mut bytes.0);
            out.extend_from_slice(&bytes.0.as_flattened().as_flattened()[..codes.len() * BYTES_OUT]);
        }
        self.history.copy_from_slice(&samples[mulaw.len()..][..HISTORY]);
    }
}

/// Pairs every sample with the next one, in order of time and against it.
#[inline(never)]
fn pair(samples: &[i16; HISTORY + CHUNK], forward: &mut [Pair; WINDOW + CHUNK], backward: &mut [Pair; WINDOW + CHUNK]) {
    for (((first, second), forward), backward) in samples.iter().zip(&samples[1..]).zip(forward).zip(backward) {
        *forward = [*first, *second];
        *backward = [*second, *first];
    }
}

#[inline(always)]
fn window(pairs: &[Pair; WINDOW + CHUNK], start: usize) -> &[Pair; WINDOW + BLOCK] {
    pairs[start..].first_chunk().expect("a chunk is whole blocks")
}

/// The folded samples that the group's four inputs need: theirs of the first pair, of the second pair, and so on.
#[inline(always)]
fn reach(folded: &Folded, group: usize) -> &[Pair; REACH] {
    folded.as_flattened()[group * LANES..].first_chunk().expect("the last group ends with the last pair")
}

/// Adds and subtracts the samples that lie mirrored in each input's window.
#[inline(never)]
fn fold(
    forward: &[Pair; WINDOW + BLOCK],
    backward: &[Pair; WINDOW + BLOCK],
    sums: &mut Folded,
    differences: &mut Folded,
) {
    for pair in 0..PAIRS {
        let old = forward[2 * pair..][..BLOCK].as_flattened();
        let new = backward[WINDOW - 2 * pair..][..BLOCK].as_flattened();
        let sums = sums[pair].as_flattened_mut().iter_mut();
        let differences = differences[pair].as_flattened_mut();
        for ((sum, difference), (old, new)) in sums.zip(differences).zip(old.iter().zip(new)) {
            *sum = old + new;
            *difference = old - new;
        }
    }
}

/// The six outputs of each of four inputs, by phase, still in Q13.
///
/// See the parent module on why the products are stored before they are added, and on `inline(never)`.
#[inline(never)]
fn filter(
    sums: &[Pair; REACH],
    differences: &[Pair; REACH],
    coefficients: &Coefficients,
    out: &mut [[i32; LANES]; PHASES],
) {
    let mut even = [[[0; LANES]; PAIRS]; 3];
    let mut odd = even;
    for lane in 0..LANES {
        for pair in 0..PAIRS {
            let sum = sums[pair * BLOCK + lane];
            let difference = differences[pair * BLOCK + lane];
            for phase in 0..3 {
                even[phase][pair][lane] = dot(sum, coefficients[0][phase][pair][lane]);
                odd[phase][pair][lane] = dot(difference, coefficients[1][phase][pair][lane]);
            }
        }
    }
    for lane in 0..LANES {
        for phase in 0..3 {
            let (mut e, mut o) = (1 << 12, 0);
            for pair in 0..PAIRS {
                e += even[phase][pair][lane];
                o += odd[phase][pair][lane];
            }
            out[phase][lane] = e + o;
            out[PHASES - 1 - phase][lane] = e - o;
        }
    }
}

#[inline(always)]
fn dot(samples: Pair, coefficients: Pair) -> i32 {
    i32::from(samples[0]) * i32::from(coefficients[0]) + i32::from(samples[1]) * i32::from(coefficients[1])
}

/// Brings the outputs to 16 bits and into the order in which they are sent.
#[inline(never)]
fn interleave(wide: &[[[i32; LANES]; PHASES]; BLOCK / LANES], bytes: &mut [[[u8; 2]; PHASES]; BLOCK]) {
    for (wide, bytes) in wide.iter().zip(bytes.as_chunks_mut::<LANES>().0) {
        for lane in 0..LANES {
            for phase in 0..PHASES {
                bytes[lane][phase] = saturate(wide[phase][lane] >> 13).to_le_bytes();
            }
        }
    }
}

/// The even (0) or odd (1) halves as [`filter`] reads them.
const fn spread(half: usize) -> [[[Pair; LANES]; PAIRS]; 3] {
    let mut table = [[[[0; 2]; LANES]; PAIRS]; 3];
    let mut i = 0;
    while i < 3 * PAIRS * LANES {
        let (phase, pair, lane) = (i / LANES / PAIRS, i / LANES % PAIRS, i % LANES);
        table[phase][pair][lane] = [UP[phase][half][2 * pair], UP[phase][half][2 * pair + 1]];
        i += 1;
    }
    table
}
