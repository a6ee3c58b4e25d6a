//! Between the telephone's 8 kHz and the agent's rates: times six on the way up, by three on the way down.
//!
//! Each way is one polyphase FIR low-pass at the exact ratio, so nothing drifts and no position is interpolated. Both
//! pass telephone speech to 3.4 kHz and have reached full rejection at 4.55 kHz, where the images (up) and what would
//! fold back into speech (down) begin. Measured through the whole path by the tests beside this file:
//!
//! | | up | down | limit |
//! |---|---|---|---|
//! | rejection beyond 4.55 kHz | 65 dB | 73 dB | 60 dB |
//! | ripple, 200 to 3400 Hz | 0.24 dB | 0.10 dB | 0.3 dB |
//! | gain error in that band | 0.12 dB | 0.05 dB | 0.2 dB |
//! | delay | 1.24 ms | 1.48 ms | 2 ms |
//!
//! The way down is measured before µ-law, whose own error lies 37 to 43 dB below a tone. `taps.rs` holds the
//! coefficients and `design.rs` derives them. Neither way knows what is said over it or when.
//!
//! # How the inner loops are written
//!
//! The work is multiplying 16-bit samples by 16-bit coefficients and adding neighbours, which every x86-64 does eight at
//! a time with `pmaddwd`. The compiler finds that instruction where sums of two products each lie side by side, but only
//! under conditions that shape `up.rs` and `down.rs`:
//!
//! - samples and coefficients lie in memory as *pairs*;
//! - the sums of two go into an array and are added up in a second step; in one step the compiler would reorder the
//!   additions and lose the pairs;
//! - the loop over the outputs is outside the function (`inline(never)`); inside, the compiler would widen the
//!   coefficients to 32 bits once before the loop;
//! - the coefficients come through `black_box`, because known numbers would be rearranged at the cost of shuffling the
//!   samples at run time.
//!
//! All of it is plain integer arithmetic and correct on any machine; only its speed hangs on this, and
//! `cargo bench --bench audio` shows when a compiler stops playing along.

mod down;
mod taps;
mod up;

#[cfg(test)]
mod design;
#[cfg(test)]
mod tests;

pub use down::Downsampler;
pub use up::Upsampler;

/// Two neighbouring samples, or their coefficients.
type Pair = [i16; 2];

/// Starts at a cache line, so that no vector straddles two and every one can be an instruction's operand.
#[repr(align(64))]
struct Aligned<T>(T);

/// A sample of 16 bits, saturated: a full-scale square wave overshoots in any sharp filter and must not wrap.
#[inline(always)]
fn saturate(sample: i32) -> i16 {
    sample.clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16
}
