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
pub(crate) mod tests {
    use super::super::message::{ClientMessage, HistoryCall, Role};
    use super::super::schema::{Direction, assert_valid};
    use super::*;
    use serde_json::json;

    /// Settings that use every field.
    pub(crate) fn settings() -> Settings {
        Settings {
            tags: vec!["main".into()],
            experimental: true,
            mip_opt_out: Some(true),
            flags: Some(Flags { history: false }),
            audio: AgentAudio::Linear16.into(),
            agent: Agent {
                context: Some(
                    [
                        HistoryItem::Said { role: Role::User, content: "Hi".into() },
                        HistoryItem::Called {
                            function_calls: vec![HistoryCall {
                                id: "1".into(),
                                name: "get_cart".into(),
                                client_side: true,
                                arguments: "{}".into(),
                                response: "{}".into(),
                                thought_signature: Some("sig".into()),
                            }],
                        },
                    ]
                    .into_iter()
                    .collect(),
                ),
                listen: Listen { provider: ListenProvider::for_model("nova-3", "en", vec!["taro".into()]) },
                think: Think {
                    provider: ThinkProvider {
                        kind: "google".into(),
                        model: "gemini-2.5-flash".into(),
                        temperature: Some(0.5),
                    },
                    functions: vec![Function {
                        name: "checkout_order".into(),
                        description: "Places the order.".into(),
                        parameters: json!({"type": "object", "properties": {}}),
                        defer_until_eot: true,
                    }],
                    prompt: "You take orders.".into(),
                },
                speak: Speak { provider: SpeakProvider::for_model("aura-2-odysseus-en") },
                greeting: Some("Hello!".into()),
            },
        }
    }

    fn json(settings: Settings) -> String {
        let text = ClientMessage::Settings(Box::new(settings)).to_json();
        assert_valid(Direction::FromClient, &text);
        text
    }

    #[test]
    fn settings_are_written_as_documented() {
        let value: Value = serde_json::from_str(&json(settings())).unwrap();
        insta::assert_json_snapshot!(value, @r#"
        {
          "type": "Settings",
          "tags": [
            "main"
          ],
          "experimental": true,
          "mip_opt_out": true,
          "flags": {
            "history": false
          },
          "audio": {
            "input": {
              "encoding": "linear16",
              "sample_rate": 48000
            },
            "output": {
              "encoding": "linear16",
              "sample_rate": 24000,
              "container": "none"
            }
          },
          "agent": {
            "context": {
              "messages": [
                {
                  "type": "History",
                  "role": "user",
                  "content": "Hi"
                },
                {
                  "type": "History",
                  "function_calls": [
                    {
                      "id": "1",
                      "name": "get_cart",
                      "client_side": true,
                      "arguments": "{}",
                      "response": "{}",
                      "thought_signature": "sig"
                    }
                  ]
                }
              ]
            },
            "listen": {
              "provider": {
                "version": "v1",
                "type": "deepgram",
                "model": "nova-3",
                "language": "en",
                "keyterms": [
                  "taro"
                ],
                "smart_format": true
              }
            },
            "think": {
              "provider": {
                "type": "google",
                "model": "gemini-2.5-flash",
                "temperature": 0.5
              },
              "functions": [
                {
                  "name": "checkout_order",
                  "description": "Places the order.",
                  "parameters": {
                    "type": "object",
                    "properties": {}
                  },
                  "defer_until_eot": true
                }
              ],
              "prompt": "You take orders."
            },
            "speak": {
              "provider": {
                "type": "deepgram",
                "version": "v1",
                "model": "aura-2-odysseus-en"
              }
            },
            "greeting": "Hello!"
          }
        }
        "#);
    }

    #[test]
    fn every_format_and_model_is_valid() {
        for format in [AgentAudio::Linear16, AgentAudio::Mulaw] {
            json(Settings { audio: format.into(), ..settings() });
            assert_eq!(Audio::from(format).format(), Some(format));
            assert_eq!(AgentAudio::from_name(format.name()), Some(format));
        }
        for listen in ["nova-3", "nova-2-phonecall", "flux-general-en", "flux-general-multi"] {
            for speak in ["aura-2-odysseus-en", "flux-cole-en"] {
                let mut settings = settings();
                settings.agent.listen.provider = ListenProvider::for_model(listen, "en", vec!["taro".into()]);
                settings.agent.speak.provider = SpeakProvider::for_model(speak);
                json(settings);
            }
        }
        for think in [
            "gemini-2.5-flash",
            "gpt-4o-mini",
            "claude-sonnet-4-20250514",
            "openai/gpt-oss-20b",
            "anthropic/claude-3-5-haiku-20240307-v1:0",
        ] {
            let mut settings = settings();
            settings.agent.think.provider.kind = think_provider_for(think).unwrap().into();
            settings.agent.think.provider.model = think.into();
            json(settings);
        }
        let mut bare = settings();
        (bare.agent.context, bare.agent.greeting, bare.flags, bare.mip_opt_out) = (None, None, None, None);
        (bare.tags, bare.agent.think.functions) = (Vec::new(), Vec::new());
        json(bare);
    }

    #[test]
    fn each_generation_gets_its_own_options() {
        let value = |model| {
            serde_json::to_value(ListenProvider::for_model(model, "de", vec!["taro".into()])).expect("it is data")
        };
        assert_eq!(
            value("flux-general-multi"),
            json!({"type": "deepgram", "version": "v2", "model": "flux-general-multi", "language_hints": ["de"],
                "keyterms": ["taro"]})
        );
        assert_eq!(value("flux-general-en").get("language_hints"), None);
        assert_eq!(value("nova-3")["language"], "de");
        assert_eq!(value("nova-2").get("keyterms"), None);
    }

    #[test]
    fn another_format_is_not_ours() {
        let mut audio = Audio::from(AgentAudio::Linear16);
        audio.input.sample_rate = 16_000;
        assert_eq!(audio.format(), None);
        assert_eq!(AgentAudio::from_name("opus"), None);
    }

    #[test]
    fn models_are_known_by_their_names() {
        assert_eq!(think_provider_for("o4-mini"), Some("open_ai"));
        assert_eq!(think_provider_for("gpt-5"), Some("open_ai"));
        assert_eq!(think_provider_for("opus"), None);
        assert_eq!(think_provider_for("llama-4"), None);
        assert_eq!(think_provider_for(""), None);
    }
}
