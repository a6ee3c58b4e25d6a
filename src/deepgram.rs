//! Deepgram's language: the messages and settings of its Voice Agent v1.
//!
//! This room turns text into types and types into text, both ways, so that the bridge and the simulator read the same
//! definitions. It does not know what a call is for, who is on the phone, or how a socket is opened.

pub mod line;
pub mod message;
pub mod prompt;
pub mod settings;

#[cfg(test)]
pub(crate) mod schema;
