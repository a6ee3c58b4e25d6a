//! A whole call without Twilio and without Deepgram: both are played here, over real sockets, from one script.
//!
//! [`SimulatedCaller`] speaks Twilio's side of the webhooks and of the media stream; [`SimulatedAgent`] speaks
//! Deepgram's side of the Voice Agent. They share a [`Script`] and nothing else: each follows it by what it hears on
//! the line, so whatever lies between them is under test, and either one also works against the real service. Demo,
//! tests and load generator use the same two. This room does not know the server that it talks to.
//!
//! Times in scripts and options are *call time*: at speed 10 a second of call time passes in a tenth of a second.

use tokio::sync::mpsc::UnboundedSender;

use crate::deepgram::message::HistoryItem;
use crate::deepgram::settings::AgentAudio;

pub mod agent;
pub mod caller;
mod ear;
pub mod load;
#[cfg(test)]
mod relay;
pub mod script;
pub mod shop;
mod voice;

pub use agent::{AgentOptions, SimulatedAgent};
pub use caller::{CallReport, CallerError, CallerOptions, ClosedBy, SimulatedCaller};
pub use script::{Script, ScriptError};
pub use shop::{ShopError, SimulatedShop};
pub use voice::Clip;

/// Where the two simulators tell what happens. Cheap to clone; the default tells nobody.
#[derive(Debug, Clone, Default)]
pub struct Observer {
    /// What happens, for people and tests. Nobody listening any more is no fault.
    pub events: Option<UnboundedSender<Event>>,
    /// Every JSON message, both ways. It costs a copy of each: not for load.
    pub tap: Option<UnboundedSender<Tapped>>,
}

/// Something that happened in a simulated call.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Who tells it. Much is seen from both sides, so a reader picks one.
    pub side: Side,
    /// The CallSid on the caller's side, Deepgram's request id on the agent's.
    pub call: String,
    /// What it was.
    pub what: What,
}

/// The two ends of the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The simulated telephone.
    Caller,
    /// The simulated agent.
    Agent,
}

/// What can happen.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// The socket stands; on the agent's side, the settings are applied too.
    CallStarted,
    /// Somebody said something. The caller tells it when beginning to speak, the agent when it has understood.
    Said {
        /// Who.
        who: Speaker,
        /// What.
        text: String,
    },
    /// The agent asked for a tool.
    ToolCalled {
        /// The id of the request.
        id: String,
        /// Which tool.
        name: String,
        /// JSON text.
        arguments: String,
    },
    /// The tool's answer came back.
    ToolAnswered {
        /// The id of the request.
        id: String,
        /// Which tool.
        name: String,
        /// JSON text, as a rule.
        content: String,
    },
    /// The agent was given something more, or something else, to go by.
    PromptUpdated {
        /// The text.
        prompt: String,
    },
    /// The settings went on with a conversation.
    Resumed {
        /// What was said and called in it, in order.
        messages: Vec<HistoryItem>,
    },
    /// The caller spoke while the agent was sending its reply.
    Interrupted,
    /// A line of the script's `expect` was not met, or a placeholder could not be filled.
    ExpectationFailed(
        /// Which, and what came instead.
        String,
    ),
    /// The other side did what the protocol does not allow.
    Surprise(
        /// What.
        String,
    ),
    /// The socket is closed.
    CallEnded {
        /// Whether the script was followed to its last line.
        finished: bool,
    },
}

/// Who spoke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaker {
    /// The person on the telephone.
    Caller,
    /// The voice agent.
    Agent,
    /// Twilio itself, reading a `<Say>` aloud.
    Twilio,
}

/// One JSON message, as it was on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tapped {
    /// Which simulator saw it.
    pub side: Side,
    /// As in [`Event::call`].
    pub call: String,
    /// Whether the simulator sent it, or received it from the server.
    pub sent: bool,
    /// The message.
    pub text: String,
}

/// What the simulated agent's words are to a caller who hears all of them: µ-law, 8 kHz, if the agent's audio is that, too.
pub fn agents_words(text: &str) -> Vec<u8> {
    voice::Sound { text, clip: None }.of_the_agent(AgentAudio::Mulaw).into()
}

impl Observer {
    fn tell(&self, side: Side, call: &str, what: What) {
        if let Some(events) = &self.events {
            // A reader that has gone away is not the call's concern.
            let _ = events.send(Event { side, call: call.to_owned(), what });
        }
    }

    fn tap(&self, side: Side, call: &str, sent: bool, text: &str) {
        if let Some(tap) = &self.tap {
            let _ = tap.send(Tapped { side, call: call.to_owned(), sent, text: text.to_owned() });
        }
    }
}
