//! What goes into a session and what comes out of it.

use crate::bridge::end_reason::EndReason;
use crate::bridge::moment::Moment;
use crate::deepgram::message::AgentMessage;
use crate::deepgram::settings::{AgentAudio, Opening};
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
    /// The opening message to the agent, the same for all calls.
    pub opening: Arc<Opening>,
    /// The audio format that it declares.
    pub audio: AgentAudio,
    /// What the agent is asked to say.
    pub phrases: Arc<Phrases>,
    /// Ends the call when the agent's text holds it; compared folded.
    pub closing_phrase: Option<String>,
    /// Silence kept after the goodbye was heard.
    pub hangup_delay: Duration,
    /// The longest call.
    pub max_duration: Duration,
    /// A caller silent for so long is asked whether they are there; twice, then told goodbye.
    pub caller_idle: Duration,
    /// A line that sounds for so long without a pause, and of which nothing comes, is told goodbye: no tool is called, and
    /// nothing is said to a reply that was heard.
    pub max_talk: Duration,
    /// The agent's session is renewed in a pause once it is so old.
    pub agent_session: Duration,
    /// Whether there is a person to be put through to.
    pub can_transfer: bool,
    /// Whether somebody may want to read what is said; see [`Output::Said`].
    pub transcribed: bool,
}

/// What the agent is asked to say beside the conversation, in the shop's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phrases {
    /// After the connection with it was lost.
    pub back: String,
    /// While a tool takes long.
    pub one_moment: String,
    /// To a silent caller.
    pub still_there: String,
    /// When they stay silent.
    pub idle_goodbye: String,
    /// To a line that only makes sounds.
    pub noise_goodbye: String,
    /// When the longest call is over.
    pub late_goodbye: String,
    /// Before the caller is put through.
    pub transfer: String,
    /// With `{number}` where the order number is said.
    pub number_again: String,
}

/// What happened.
#[derive(Debug)]
pub enum Input<'a> {
    /// A message of the phone leg.
    Phone(PhoneMessage<'a>),
    /// What the caller's leg sounds like: µ-law, 20 ms as a rule.
    CallerAudio(&'a [u8]),
    /// A message of either leg that could not be understood, and why (safe to log).
    Unreadable(Leg, Cow<'a, str>),
    /// The agent's socket is open.
    AgentConnected,
    /// The agent could not be dialled.
    AgentUnreachable {
        /// Whether it would be in vain to try once more: a wrong key, say.
        for_good: bool,
    },
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
    /// Dial the agent; whatever there is of an agent leg is dropped.
    DialAgent,
    /// Close the agent leg, or stop dialling.
    DropAgent,
    /// Send settings on the agent leg that all calls share.
    AgentSettings(Arc<str>),
    /// Send text on the agent leg.
    AgentText(String),
    /// Send audio on the agent leg.
    AgentAudio(Vec<u8>),
    /// Run a tool.
    RunTool(ToolRequest),
    /// Stop these requests, and take back what they did.
    CancelTools(Vec<String>),
    /// Note this.
    Moment(Moment),
    /// Tell whoever reads along that this was said.
    Said(Speaker, String),
    /// Close both legs; nothing follows.
    End(EndReason),
}
