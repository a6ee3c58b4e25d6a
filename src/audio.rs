//! The sound path between the two legs of a call: µ-law at 8 kHz on the telephone's side, linear16 at 48 kHz towards
//! the agent and at 24 kHz from it.
//!
//! ```text
//! caller  --µ-law 8 kHz-->  Upsampler    --linear16 48 kHz-->  agent
//! caller  <--µ-law 8 kHz--  Framer  <--  Downsampler  <--linear16 24 kHz--  agent
//! ```
//!
//! Everything here is pure arithmetic on bytes: it knows no socket, no clock and no protocol, and imports nothing of
//! ours. Each converter is a few dozen bytes of state that one direction of one call owns; the tables behind them are
//! constant and shared by all calls. Nothing is allocated but room in the buffer that the caller hands in.
//!
//! All linear samples are 16 bit, little endian, mono.

pub mod mulaw;

mod frame;
mod resample;

pub use frame::{FRAME_BYTES, FRAME_MS, Framer};
pub use resample::{Downsampler, Upsampler};
