//! What can go wrong in a call, as data: on the agent's side and on the telephone's.
//!
//! A fault is a step of the script, so that its place says in which part of the conversation it strikes. This file does
//! not know how a fault is carried out.

use serde::Deserialize;

/// A fault of the agent's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentFault {
    /// What goes wrong.
    pub kind: Fault,
    /// The code of an [`Fault::Error`], instead of `INTERNAL_SERVER_ERROR`.
    pub code: Option<String>,
    /// Not now, but when so much of the next reply has been sent, in milliseconds of sound, or at its end if it is
    /// shorter. As the first step of a script it is the greeting that is meant.
    pub into_reply_ms: Option<u32>,
}

/// How an agent goes wrong in the middle of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// Sends an `Error`, then closes.
    Error,
    /// Drops the connection without a word.
    Close,
    /// Closes the connection properly, without saying why.
    GoAway,
    /// Sends the beginning of a WebSocket frame, then drops the connection.
    HalfFrame,
    /// Says nothing any more, but keeps listening.
    Silence,
    /// Says nothing any more, and does not read what it is sent either.
    Deaf,
    /// Sends frames that are no messages, then goes on.
    Garbage,
    /// Sends a message of a type that nobody knows, then goes on.
    UnknownMessage,
    /// Sends thousands of messages and 20 s of speech without a pause, then goes on.
    Flood,
}

impl Fault {
    /// Whether the connection is of no use afterwards.
    pub const fn ends_connection(self) -> bool {
        match self {
            Self::Error | Self::Close | Self::GoAway | Self::HalfFrame | Self::Silence | Self::Deaf => true,
            Self::Garbage | Self::UnknownMessage | Self::Flood => false,
        }
    }
}

/// A fault of the telephone line, which strikes once the caller has said all that stands before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineFault {
    /// What goes wrong.
    pub kind: LineTrouble,
    /// Not before so much time has passed since the caller's last words (or since the call began), in milliseconds.
    pub after_ms: u32,
    /// Not before so much was heard of the agent since then, in milliseconds.
    pub heard_ms: u32,
    /// How long it lasts, where it lasts.
    pub for_ms: u32,
}

/// How a telephone line goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LineTrouble {
    /// The connection breaks, without a word.
    Drop,
    /// Says `start` once more.
    StartAgain,
    /// No audio comes for a while, neither speech nor silence.
    Pause,
    /// Says `stop`, and then goes on as if nothing had been said.
    Stop,
    /// For a while, marks are said back only when the while is over.
    HoldMarks,
    /// From now on no mark is said back.
    LoseMarks,
}
