//! The `Settings` message: what the agent hears, thinks with and speaks as.
//!
//! Shapes only, plus the few facts about Deepgram's models that decide a shape. What the prompt says and which tools
//! there are comes from elsewhere.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

use super::message::{ClientMessage, HistoryItem};

/// Longer prompts are cut by Deepgram without a word.
pub const MAX_PROMPT_CHARS: usize = 25_000;

/// The format of the audio on the agent leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AgentAudio {
    /// 16-bit little-endian samples: 48 kHz to the agent, 24 kHz from it.
    #[default]
    Linear16,
    /// G.711 µ-law at 8 kHz both ways, which is what the telephone speaks: nothing to convert.
    Mulaw,
}

impl AgentAudio {
    /// What `AGENT_AUDIO` calls it, and Deepgram too.
    pub fn name(self) -> &'static str {
        match self {
            Self::Linear16 => "linear16",
            Self::Mulaw => "mulaw",
        }
    }

    /// The format of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Linear16, Self::Mulaw].into_iter().find(|format| format.name() == name)
    }

    /// Samples a second that we send.
    pub fn input_rate(self) -> u32 {
        match self {
            Self::Linear16 => 48_000,
            Self::Mulaw => 8_000,
        }
    }

    /// Samples a second that the agent sends.
    pub fn output_rate(self) -> u32 {
        match self {
            Self::Linear16 => 24_000,
            Self::Mulaw => 8_000,
        }
    }

    /// Bytes of one sample, either way.
    pub fn sample_bytes(self) -> usize {
        match self {
            Self::Linear16 => 2,
            Self::Mulaw => 1,
        }
    }
}

/// The opening message of an agent session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Labels for Deepgram's usage reports.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Switches on messages such as `AgentStartedSpeaking`.
    #[serde(default)]
    pub experimental: bool,
    /// Keeps the conversation out of Deepgram's model training.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mip_opt_out: Option<bool>,
    /// Switches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flags: Option<Flags>,
    /// Formats, both ways.
    pub audio: Audio,
    /// The agent itself.
    pub agent: Agent,
}

/// The opening message as it is sent: written once, the same for every call.
#[derive(Debug)]
pub struct Opening {
    settings: Settings,
    text: Arc<str>,
}

impl Opening {
    /// Writes the message down.
    pub fn new(settings: Settings) -> Self {
        let text = written(settings.clone()).into();
        Self { settings, text }
    }

    /// The text frame that begins a conversation.
    pub fn text(&self) -> Arc<str> {
        Arc::clone(&self.text)
    }

    /// The text frame that goes on with a conversation: with what was said before, and without a second greeting.
    pub fn resumed(&self, before: Context) -> String {
        let mut settings = self.settings.clone();
        settings.agent.context = (!before.messages.is_empty()).then_some(before);
        settings.agent.greeting = None;
        written(settings)
    }
}

fn written(settings: Settings) -> String {
    ClientMessage::Settings(Box::new(settings)).to_json()
}

/// Switches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flags {
    /// Whether the agent sends `History` messages; it does unless told not to.
    #[serde(default = "yes")]
    pub history: bool,
}

/// Formats, both ways.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audio {
    /// What we send.
    pub input: AudioInput,
    /// What the agent sends.
    pub output: AudioOutput,
}

/// What we send.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AudioInput {
    /// `linear16` or `mulaw`, here.
    pub encoding: String,
    /// Hz.
    pub sample_rate: u32,
}

/// What the agent sends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AudioOutput {
    /// `linear16` or `mulaw`, here.
    pub encoding: String,
    /// Hz.
    pub sample_rate: u32,
    /// `none`: bare samples. Otherwise a header would be played as a click.
    pub container: String,
}

impl From<AgentAudio> for Audio {
    fn from(format: AgentAudio) -> Self {
        Self {
            input: AudioInput { encoding: format.name().to_owned(), sample_rate: format.input_rate() },
            output: AudioOutput {
                encoding: format.name().to_owned(),
                sample_rate: format.output_rate(),
                container: "none".to_owned(),
            },
        }
    }
}

impl Audio {
    /// Which of our formats this is, if it is one.
    pub fn format(&self) -> Option<AgentAudio> {
        let format = AgentAudio::from_name(&self.input.encoding)?;
        (*self == Self::from(format)).then_some(format)
    }
}

/// The agent itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Agent {
    /// What was said before, when a conversation is resumed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<Context>,
    /// Its ears.
    pub listen: Listen,
    /// Its mind.
    pub think: Think,
    /// Its voice.
    pub speak: Speak,
    /// What it says first; nothing when a conversation is resumed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub greeting: Option<String>,
}

/// What was said before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Context {
    /// In order.
    pub messages: Vec<ContextMessage>,
}

impl FromIterator<HistoryItem> for Context {
    fn from_iter<I: IntoIterator<Item = HistoryItem>>(items: I) -> Self {
        Self { messages: items.into_iter().map(ContextMessage::History).collect() }
    }
}

/// One entry of [`Context`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum ContextMessage {
    /// The only kind there is.
    History(HistoryItem),
}

/// The agent's ears.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listen {
    /// Which recogniser.
    pub provider: ListenProvider,
}

/// A recogniser of Deepgram's. The two generations take different options, and refuse each other's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "version")]
pub enum ListenProvider {
    /// Nova and older.
    #[serde(rename = "v1")]
    V1 {
        /// Always Deepgram.
        #[serde(rename = "type")]
        kind: Deepgram,
        /// For example `nova-3`.
        model: String,
        /// A language tag, or `multi`. (`agent.language` is deprecated in favour of this.)
        #[serde(default, skip_serializing_if = "Option::is_none")]
        language: Option<String>,
        /// Words to expect.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        keyterms: Vec<String>,
        /// Writes numbers as digits.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        smart_format: Option<bool>,
    },
    /// Flux.
    #[serde(rename = "v2")]
    V2 {
        /// Always Deepgram.
        #[serde(rename = "type")]
        kind: Deepgram,
        /// For example `flux-general-en`.
        model: String,
        /// Languages to expect; only for multilingual models.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        language_hints: Vec<String>,
        /// Words to expect.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        keyterms: Vec<String>,
    },
}

impl ListenProvider {
    /// The provider for a model, with the options that this model takes: Flux hears its language from its own name
    /// unless it is multilingual, and key terms began with Nova 3.
    pub fn for_model(model: &str, language: &str, keyterms: Vec<String>) -> Self {
        let kind = Deepgram::Deepgram;
        if model.starts_with("flux") {
            let multilingual = model.ends_with("-multi") && language != "multi";
            let language_hints = if multilingual { vec![language.to_owned()] } else { Vec::new() };
            return Self::V2 { kind, model: model.to_owned(), language_hints, keyterms };
        }
        Self::V1 {
            kind,
            model: model.to_owned(),
            language: Some(language.to_owned()),
            keyterms: if model.starts_with("nova-3") { keyterms } else { Vec::new() },
            smart_format: Some(true),
        }
    }
}

/// The provider's `type` where there is only one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Deepgram {
    /// Deepgram itself.
    Deepgram,
}

/// The agent's mind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Think {
    /// Which language model.
    pub provider: ThinkProvider,
    /// What it may call.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub functions: Vec<Function>,
    /// What it is told; see [`MAX_PROMPT_CHARS`].
    #[serde(default)]
    pub prompt: String,
}

/// A language model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ThinkProvider {
    /// Whose; see [`think_provider_for`].
    #[serde(rename = "type")]
    pub kind: String,
    /// Which.
    pub model: String,
    /// How freely it chooses its words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
}

/// A function that the model may call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// What it does and when to use it: the model reads this.
    pub description: String,
    /// JSON schema of its arguments, an object.
    pub parameters: Value,
    /// Waits until the caller has certainly finished speaking: for what cannot be undone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub defer_until_eot: bool,
}

/// The agent's voice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Speak {
    /// Which voice.
    pub provider: SpeakProvider,
}

/// A voice of Deepgram's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpeakProvider {
    /// Always Deepgram.
    #[serde(rename = "type")]
    pub kind: Deepgram,
    /// `v2` for the Flux voices, else `v1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// For example `aura-2-odysseus-en`.
    pub model: String,
}

impl SpeakProvider {
    /// The provider for a voice.
    pub fn for_model(model: &str) -> Self {
        let version = if model.starts_with("flux") { "v2" } else { "v1" };
        Self { kind: Deepgram::Deepgram, version: Some(version.to_owned()), model: model.to_owned() }
    }
}

/// Whose language model this is, as Deepgram's settings call them, judged by the model's name.
pub fn think_provider_for(model: &str) -> Option<&'static str> {
    let is_o_series = || model.strip_prefix('o').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    match model {
        _ if model.starts_with("gemini-") => Some("google"),
        _ if model.starts_with("claude-") => Some("anthropic"),
        // Groq serves open models under their makers' names, Bedrock under its own scheme.
        _ if model.starts_with("openai/gpt-oss") => Some("groq"),
        _ if model.starts_with("anthropic/claude") => Some("aws_bedrock"),
        _ if model.starts_with("gpt-") || is_o_series() => Some("open_ai"),
        _ => None,
    }
}

fn yes() -> bool {
    true
}

#[cfg(test)]
pub(crate) mod tests;
