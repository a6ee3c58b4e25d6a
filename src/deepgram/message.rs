//! Every text message of the Voice Agent, in both directions. Audio travels as binary frames and is not here.
//!
//! These are rare (a few a second at most), so plain owned types do. Reading is tolerant – unknown types, fields and
//! enum values, absent optional fields, and arguments as text or as an object – because the agent is changed without
//! asking us; writing is exact. This file does not know in which order messages make sense.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::settings::Settings;

/// Why a text frame of the agent leg could not be understood.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    /// Not JSON, not an object, or without a `type` that is text.
    #[error("not an agent message: {}", place(.0))]
    NotAMessage(#[source] serde_json::Error),
    /// The type is known, but a field that it cannot do without is absent or of the wrong type.
    #[error("a `{kind}` message that is not one: {}", place(source))]
    Shape {
        /// The type named by the message.
        kind: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A client message of a type that the agent does not take.
    #[error("`{kind}` is not a message that the agent takes")]
    UnknownClientMessage {
        /// The type named by the message.
        kind: String,
    },
}

/// A message of the agent's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum AgentMessage {
    /// The connection stands: now is the moment for `Settings`.
    Welcome {
        /// Names the session; worth logging, since Deepgram's support asks for it.
        #[serde(default, deserialize_with = "any_text")]
        request_id: String,
    },
    /// Audio may flow.
    SettingsApplied,
    /// What somebody said. Proves nothing about what the caller has heard: a reply may have several.
    ConversationText {
        /// Who.
        role: Role,
        /// What.
        content: String,
    },
    /// The caller began to speak: drop queued agent speech.
    UserStartedSpeaking,
    /// A thought, where the model tells its thoughts.
    AgentThinking {
        /// The thought.
        #[serde(default, deserialize_with = "any_text")]
        content: String,
    },
    /// A reply begins. Only with `experimental: true`. All figures in seconds, any of them may be missing.
    AgentStartedSpeaking {
        /// From the end of the caller's speech to the first audio.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        total_latency: Option<f64>,
        /// The part of the voice.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tts_latency: Option<f64>,
        /// The part of the language model.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ttt_latency: Option<f64>,
    },
    /// No more audio for this reply will be *sent*; the line may hold seconds of it.
    AgentAudioDone,
    /// Functions to call, all of which want an answer with their id.
    FunctionCallRequest {
        /// One or several.
        functions: Vec<FunctionCall>,
    },
    /// Calls to stop and, where possible, undo. They want no answer.
    FunctionCallCancelled {
        /// Which.
        functions: Vec<CancelledCall>,
    },
    /// The answer of a function that the agent called itself, for our information.
    FunctionCallResponse {
        /// The id of the call.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<String>,
        /// The function.
        name: String,
        /// Its answer.
        #[serde(default, deserialize_with = "any_text")]
        content: String,
    },
    /// Where the time of a reply went, in seconds.
    LatencyReport(LatencyReport),
    /// A copy of the conversation's record. Repeats `ConversationText`: do not count both.
    History(HistoryItem),
    /// An `InjectAgentMessage` came at a bad moment and was not said.
    InjectionRefused {
        /// Why.
        #[serde(default, deserialize_with = "any_text")]
        message: String,
    },
    /// `UpdatePrompt` was taken.
    PromptUpdated,
    /// `UpdateSpeak` was taken.
    SpeakUpdated,
    /// `UpdateThink` was taken.
    ThinkUpdated,
    /// `UpdateListen` was taken.
    ListenUpdated,
    /// Fatal: this connection is over.
    Error {
        /// Which fault; see [`is_our_fault`](Self::is_our_fault).
        #[serde(default, deserialize_with = "any_text")]
        code: String,
        /// In words.
        #[serde(default, deserialize_with = "any_text")]
        description: String,
    },
    /// Not fatal.
    Warning {
        /// Which.
        #[serde(default, deserialize_with = "any_text")]
        code: String,
        /// In words.
        #[serde(default, deserialize_with = "any_text")]
        description: String,
    },
    /// A type that this program does not know: log it once and go on.
    #[serde(skip)]
    Unknown {
        /// Its name.
        kind: String,
    },
}

impl AgentMessage {
    /// The types that [`parse`](Self::parse) knows. A test holds this list to the published schema.
    const KINDS: [&str; 19] = [
        "Welcome",
        "SettingsApplied",
        "ConversationText",
        "UserStartedSpeaking",
        "AgentThinking",
        "AgentStartedSpeaking",
        "AgentAudioDone",
        "FunctionCallRequest",
        "FunctionCallCancelled",
        "FunctionCallResponse",
        "LatencyReport",
        "History",
        "InjectionRefused",
        "PromptUpdated",
        "SpeakUpdated",
        "ThinkUpdated",
        "ListenUpdated",
        "Error",
        "Warning",
    ];

    /// Parses one text frame of the agent's.
    ///
    /// # Errors
    /// [`MessageError`]: log it once and go on; the connection is unharmed by it.
    pub fn parse(text: &str) -> Result<Self, MessageError> {
        let kind = kind(text)?;
        if !Self::KINDS.contains(&kind.as_str()) {
            return Ok(Self::Unknown { kind });
        }
        serde_json::from_str(text).map_err(|source| MessageError::Shape { kind, source })
    }

    /// The text frame, as the agent would send it.
    pub fn to_json(&self) -> String {
        match self {
            Self::Unknown { kind } => serde_json::json!({ "type": kind }).to_string(),
            known => serde_json::to_string(known).expect("a message holds only text, numbers and lists"),
        }
    }

    /// Whether this is an `Error` after which the same settings would fail again, so that redialling is pointless.
    pub fn is_our_fault(&self) -> bool {
        matches!(self, Self::Error { code, .. }
            if matches!(code.as_str(), "INVALID_SETTINGS" | "SETTINGS_ALREADY_APPLIED" | "USER_AUDIO_FORMAT"))
    }
}

/// Who said something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Role {
    /// The caller.
    User,
    /// The agent.
    Assistant,
    /// A role that this program does not know.
    Other(String),
}

impl From<String> for Role {
    fn from(text: String) -> Self {
        match text.as_str() {
            "user" => Self::User,
            "assistant" => Self::Assistant,
            _ => Self::Other(text),
        }
    }
}

impl From<Role> for String {
    fn from(role: Role) -> Self {
        match role {
            Role::User => "user".to_owned(),
            Role::Assistant => "assistant".to_owned(),
            Role::Other(text) => text,
        }
    }
}

/// One function that the agent wants called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunctionCall {
    /// Goes back with the answer.
    pub id: String,
    /// Which function.
    pub name: String,
    /// JSON text, `{}` when there are none. Documented as a string, seen as an object: both end up here as text.
    #[serde(default = "no_arguments", deserialize_with = "json_text")]
    pub arguments: String,
    /// Whether we are to answer; when false the agent does so itself. Ours unless it says otherwise.
    #[serde(default = "yes", deserialize_with = "yes_unless_false")]
    pub client_side: bool,
    /// Some models need this back in [`HistoryCall`] when the conversation is resumed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thought_signature: Option<String>,
}

/// One function call that is no longer wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelledCall {
    /// The id it was requested with.
    pub id: String,
    /// Which function.
    #[serde(default)]
    pub name: String,
}

/// Where the time of a reply went: seconds, any of them missing. `ttt` is the language model, `tts` the voice.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct LatencyReport {
    /// To the model's first token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttt_token_latency: Option<f64>,
    /// To the model's first words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttt_text_latency: Option<f64>,
    /// To the model's tool call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttt_tool_latency: Option<f64>,
    /// To the model's first thought.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttt_thinking_latency: Option<f64>,
    /// To the voice's first audio.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tts_latency: Option<f64>,
    /// All of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_latency: Option<f64>,
}

/// One entry of a conversation's record: sent by the agent as it happens, and by us to resume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum HistoryItem {
    /// Something said.
    Said {
        /// By whom.
        role: Role,
        /// What.
        content: String,
    },
    /// Functions called, with their answers.
    Called {
        /// In order.
        function_calls: Vec<HistoryCall>,
    },
}

/// A function call with its answer, for the record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryCall {
    /// The id it was requested with.
    pub id: String,
    /// Which function.
    pub name: String,
    /// Whether we answered it.
    #[serde(default = "yes", deserialize_with = "yes_unless_false")]
    pub client_side: bool,
    /// JSON text.
    #[serde(default = "no_arguments", deserialize_with = "json_text")]
    pub arguments: String,
    /// The answer.
    #[serde(default, deserialize_with = "any_text")]
    pub response: String,
    /// As it came with the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thought_signature: Option<String>,
}

/// A message of ours.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum ClientMessage {
    /// How to listen, think and speak: once, after `Welcome`.
    Settings(Box<Settings>),
    /// We are still here, although no audio flows.
    KeepAlive,
    /// The answer to one [`FunctionCall`].
    FunctionCallResponse {
        /// Its id.
        id: String,
        /// Its name.
        name: String,
        /// The answer: JSON text.
        content: String,
    },
    /// A change to the prompt. Word it so that it is right whether it is added or replaces the old one: Deepgram's own
    /// pages disagree.
    UpdatePrompt {
        /// The text.
        prompt: String,
    },
    /// Words for the agent to say.
    InjectAgentMessage {
        /// The words.
        message: String,
        /// What to do when somebody is speaking.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        behavior: Option<InjectBehavior>,
    },
    /// Words put in the caller's mouth: keys they pressed, say.
    InjectUserMessage {
        /// The words.
        content: String,
    },
    /// Replaces prompt, model and functions together.
    UpdateThink {
        /// As in the settings.
        think: Value,
    },
    /// Replaces the voice.
    UpdateSpeak {
        /// As in the settings.
        speak: Value,
    },
    /// Replaces the recogniser.
    UpdateListen {
        /// As in the settings.
        listen: Value,
    },
}

/// What an injected message does when somebody is speaking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InjectBehavior {
    /// It is refused.
    Default,
    /// It waits.
    Queue,
    /// It interrupts.
    Interrupt,
}

impl ClientMessage {
    const KINDS: [&str; 9] = [
        "Settings",
        "KeepAlive",
        "FunctionCallResponse",
        "UpdatePrompt",
        "InjectAgentMessage",
        "InjectUserMessage",
        "UpdateThink",
        "UpdateSpeak",
        "UpdateListen",
    ];

    /// The text frame.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a message holds only text, numbers and lists")
    }

    /// Parses one text frame of ours, as the agent would.
    ///
    /// # Errors
    /// [`MessageError`], which the real agent answers with an `Error` message.
    pub fn parse(text: &str) -> Result<Self, MessageError> {
        let kind = kind(text)?;
        if !Self::KINDS.contains(&kind.as_str()) {
            return Err(MessageError::UnknownClientMessage { kind });
        }
        serde_json::from_str(text).map_err(|source| MessageError::Shape { kind, source })
    }
}

fn kind(text: &str) -> Result<String, MessageError> {
    #[derive(Deserialize)]
    struct Kind {
        #[serde(rename = "type")]
        kind: String,
    }
    // Without this an array would do: serde also reads structs by position.
    if !text.trim_ascii_start().starts_with('{') {
        return Err(MessageError::NotAMessage(serde::de::Error::custom("expected an object")));
    }
    serde_json::from_str(text).map(|Kind { kind }| kind).map_err(MessageError::NotAMessage)
}

fn yes() -> bool {
    true
}

fn no_arguments() -> String {
    "{}".to_owned()
}

fn yes_unless_false<'de, D: Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or(true))
}

/// Text as it is, null as no arguments, anything else as its JSON.
fn json_text<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    Ok(match Value::deserialize(from)? {
        Value::Null => no_arguments(),
        Value::String(text) if text.trim().is_empty() => no_arguments(),
        Value::String(text) => text,
        other => other.to_string(),
    })
}

/// Fields that are only read by people: an `Error` whose code is a number is still an `Error`.
fn any_text<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    Ok(match Value::deserialize(from)? {
        Value::Null => String::new(),
        Value::String(text) => text,
        other => other.to_string(),
    })
}

/// Where and in which way JSON is wrong, without quoting it: it may hold what somebody said.
fn place(error: &serde_json::Error) -> String {
    format!("{:?} error in line {}, column {}", error.classify(), error.line(), error.column()).to_lowercase()
}

#[cfg(test)]
mod tests;
