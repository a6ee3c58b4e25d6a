//! Twilio's language: media-stream messages, request signatures, TwiML and the few REST calls we make.
//!
//! This room turns text into types and types into text. It does not know what a call is for, who the agent is, or how
//! a socket is opened; only [`rest`] talks to the network, through a client that is handed to it.

// What comes from a socket decides no index: a peer must not be able to end a call, or all of them, by a message.
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::string_slice, clippy::unwrap_used, clippy::panic, clippy::unreachable)
)]

pub mod far_end;
pub mod message;
pub mod rest;
pub mod signature;
pub mod twiml;
