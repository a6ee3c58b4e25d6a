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
    let value =
        |model| serde_json::to_value(ListenProvider::for_model(model, "de", vec!["taro".into()])).expect("it is data");
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
