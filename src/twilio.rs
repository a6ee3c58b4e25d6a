//! Twilio's language: media-stream messages, request signatures, TwiML and the few REST calls we make.
//!
//! This room turns text into types and types into text. It does not know what a call is for, who the agent is, or how
//! a socket is opened; only [`rest`] talks to the network, through a client that is handed to it.

pub mod far_end;
pub mod message;
pub mod rest;
pub mod signature;
pub mod twiml;
