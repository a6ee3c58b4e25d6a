//! What goes into a session and what comes out of it.

use crate::bridge::ending::Purpose;
use crate::deepgram::message::AgentMessage;
use crate::deepgram::settings::AgentAudio;
use crate::tools::{ToolAnswer, ToolRequest};
use crate::twilio::message::PhoneMessage;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

/// What a session must be told at its start.
#[derive(Clone, Debug)]
pub struct SessionSettings {
    /// The stream that media, marks and clears are addressed to.
    pub stream_sid: String,
    /// The `Settings` message, as text.
    pub agent_settings: Arc<str>,
    /// The audio format that those settings declare.
    pub audio: AgentAudio,
    /// Ends the call when the agent's text holds it; compared folded.
    pub closing_phrase: Option<String>,
    /// Silence kept after the goodbye was heard.
    pub hangup_delay: Duration,
    /// The longest call.
    pub max_duration: Duration,
    /// Whether somebody may want to read what is said; see [`Output::Said`].
    pub transcribed: bool,
}

/// What happened.
#[derive(Debug)]
pub enum Input<'a> {
    /// A message of the phone leg.
    Phone(PhoneMessage<'a>),
    /// A message of either leg that could not be understood, and why (safe to log).
    Unreadable(Leg, Cow<'a, str>),
    /// The agent's socket is open.
    AgentConnected,
    /// The agent could not be dialled.
    AgentUnreachable,
    /// A message of the agent leg.
    Agent(AgentMessage),
    /// Agent speech in the declared format, any chunking.
    AgentAudio(&'a [u8]),
    /// A leg's socket has closed or failed.
    Closed(Leg),
    /// A leg does not take what it is sent.
    Stalled(Leg),
    /// A tool has answered.
    Tool(ToolAnswer),
    /// What the agent has to know about the shop beside its prompt; nothing, when the shop is as the prompt says.
    Shop(Arc<str>),
    /// The server is shutting down.
    Shutdown,
    /// A deadline may have passed.
    Tick,
}

/// One of a call's two sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leg {
    /// With Twilio.
    Phone,
    /// With Deepgram.
    Agent,
}

/// One of the two who talk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaker {
    /// Whoever called.
    Caller,
    /// The agent.
    Agent,
}

impl Speaker {
    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Agent => "agent",
        }
    }
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Send text on the phone leg.
    Phone(String),
    /// Drop what is not sent on the phone leg yet, then send this `clear`.
    ClearPhone(String),
    /// Send the settings on the agent leg; all calls share them.
    AgentSettings(Arc<str>),
    /// Send text on the agent leg.
    AgentText(String),
    /// Send audio on the agent leg.
    AgentAudio(Vec<u8>),
    /// Run a tool.
    RunTool(ToolRequest),
    /// Tell whoever reads along that this was said.
    Said(Speaker, String),
    /// Close both legs; nothing follows.
    End(EndReason),
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// The agent's goodbye was heard.
    Goodbye,
    /// The caller is put through to a person.
    Transfer,
    /// The caller hung up.
    CallerHungUp,
    /// The phone leg broke.
    PhoneLost,
    /// The phone leg sent what is no media stream, or did not take audio.
    PhoneFault,
    /// The agent could not be dialled, or never accepted a conversation.
    AgentUnreachable,
    /// The agent reported an error or closed its socket.
    AgentLost,
    /// The longest call.
    MaxDuration,
    /// The server stopped.
    Shutdown,
}

impl EndReason {
    /// The name in logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Goodbye => "goodbye",
            Self::Transfer => "transfer",
            Self::CallerHungUp => "caller_hung_up",
            Self::PhoneLost => "phone_lost",
            Self::PhoneFault => "phone_fault",
            Self::AgentUnreachable => "agent_unreachable",
            Self::AgentLost => "agent_lost",
            Self::MaxDuration => "max_duration",
            Self::Shutdown => "shutdown",
        }
    }
}

impl From<Purpose> for EndReason {
    fn from(purpose: Purpose) -> Self {
        match purpose {
            Purpose::HangUp => Self::Goodbye,
            Purpose::Transfer => Self::Transfer,
        }
    }
}
