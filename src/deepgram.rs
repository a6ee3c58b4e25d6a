//! Deepgram's language: the messages and settings of its Voice Agent v1.
//!
//! This room turns text into types and types into text, both ways, so that the bridge and the simulator read the same
//! definitions. It does not know what a call is for, who is on the phone, or how a socket is opened.

// What comes from a socket decides no index: a peer must not be able to end a call, or all of them, by a message.
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::string_slice, clippy::unwrap_used, clippy::panic, clippy::unreachable)
)]

pub mod line;
pub mod message;
pub mod prompt;
pub mod settings;

#[cfg(test)]
pub(crate) mod schema;
