//! What is worth noting in a call as it happens: for its timeline, and for the figures of the server.
//!
//! Holds nothing that anybody said, and no number but the order's. Made by the session; whoever takes them must not wait.

use super::end_reason::EndReason;
use std::time::Duration;

/// Something worth noting.
#[derive(Clone, Debug, PartialEq)]
pub enum Moment {
    /// The agent is dialled: for the first time, or (from 1 on) once more.
    AgentDialled {
        /// Attempts before this one, since the agent was last there.
        attempt: u32,
    },
    /// The agent has taken the settings, so audio flows.
    AgentLive {
        /// From the first attempt to now.
        after: Duration,
        /// Whether it goes on with a conversation.
        resumed: bool,
    },
    /// The agent is gone, or could not be had.
    AgentLost(Loss),
    /// A reply of the agent's begins.
    ReplyBegan,
    /// A reply was heard to its end.
    ReplyHeard,
    /// The caller spoke into a reply.
    BargeIn {
        /// How much of what was sent was not heard.
        unheard: Duration,
    },
    /// What the agent reports of the turn: from the end of the caller's words to the first sound of its own.
    TurnLatency {
        /// All of it.
        total: Duration,
    },
    /// A tool is run.
    ToolBegan {
        /// As the agent named it, at most 64 characters: any text at all.
        tool: String,
    },
    /// A tool was answered.
    ToolDone {
        /// As in `ToolBegan`.
        tool: String,
        /// From the request to the answer.
        took: Duration,
        /// `ok`, or the code of the refusal.
        outcome: &'static str,
    },
    /// The agent no longer wanted a tool's answer.
    ToolCancelled {
        /// As in `ToolBegan`.
        tool: String,
    },
    /// The agent was asked to say that a tool takes a moment.
    ToolSlow {
        /// As in `ToolBegan`.
        tool: String,
    },
    /// An order is placed, or was changed.
    OrderPlaced {
        /// Its number.
        order_number: String,
    },
    /// The order number was said again, because it had not been heard to its end.
    NumberAgain,
    /// The caller pressed keys.
    Keys {
        /// How many, corrections aside.
        count: usize,
    },
    /// The caller is silent and was asked whether they are there.
    Asked,
    /// The agent says goodbye for this reason.
    Goodbye(EndReason),
    /// Sound since the last of these, about once a second; the last one comes just before the end.
    Sound(Sound),
}

/// Why the agent is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// It could not be dialled.
    Unreachable,
    /// It was reached and did not take the conversation in time.
    SetUp,
    /// It reported an error.
    Error,
    /// It closed its socket, or the connection broke.
    Closed,
    /// It owed a reply and said nothing.
    Silent,
    /// It sent what cannot be understood, or did not take what it was sent.
    Fault,
    /// It was not lost: its session was old, and is renewed.
    Renewed,
}

impl Loss {
    /// The name in logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::SetUp => "set_up",
            Self::Error => "error",
            Self::Closed => "closed",
            Self::Silent => "silent",
            Self::Fault => "fault",
            Self::Renewed => "renewed",
        }
    }

    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Unreachable, Self::SetUp, Self::Error, Self::Closed, Self::Silent, Self::Fault, Self::Renewed];
}

/// Sound of about a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sound {
    /// Media messages from the caller.
    pub frames_in: u64,
    /// Media messages to the caller.
    pub frames_out: u64,
    /// Caller audio that was dropped.
    pub dropped: Duration,
    /// What the phone side has been sent and has not played.
    pub buffered: Duration,
    /// The longest that sound was held here, from when it was received to when the other socket had taken it.
    pub held: Duration,
}
