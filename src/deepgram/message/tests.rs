use super::super::schema::{Direction, assert_valid, kinds};
use super::*;
use serde_json::json;

/// One message of each type, with every field that it can have.
fn agent_messages() -> Vec<AgentMessage> {
    let call = FunctionCall {
        id: "call_1".into(),
        name: "add_to_cart".into(),
        arguments: r#"{"flavor":"taro milk tea"}"#.into(),
        client_side: true,
        thought_signature: Some("sig".into()),
    };
    vec![
        AgentMessage::Welcome { request_id: "fc553ec9-5874-49ca-a47c-b670d525a4b3".into() },
        AgentMessage::SettingsApplied,
        AgentMessage::ConversationText { role: Role::User, content: "Hi".into() },
        AgentMessage::UserStartedSpeaking,
        AgentMessage::AgentThinking { content: "A drink.".into() },
        AgentMessage::AgentStartedSpeaking {
            total_latency: Some(1.5),
            tts_latency: Some(0.25),
            ttt_latency: Some(1.0),
        },
        AgentMessage::AgentAudioDone,
        AgentMessage::FunctionCallRequest {
            functions: vec![call.clone(), FunctionCall { thought_signature: None, client_side: false, ..call }],
        },
        AgentMessage::FunctionCallCancelled {
            functions: vec![CancelledCall { id: "call_1".into(), name: "add_to_cart".into() }],
        },
        AgentMessage::FunctionCallResponse { id: Some("call_2".into()), name: "weather".into(), content: "{}".into() },
        AgentMessage::LatencyReport(LatencyReport {
            ttt_token_latency: Some(0.5),
            ttt_text_latency: Some(0.5),
            ttt_tool_latency: Some(0.5),
            ttt_thinking_latency: Some(0.5),
            tts_latency: Some(0.5),
            total_latency: Some(1.5),
        }),
        AgentMessage::History(HistoryItem::Said { role: Role::Assistant, content: "Hello".into() }),
        AgentMessage::History(HistoryItem::Called {
            function_calls: vec![HistoryCall {
                id: "call_1".into(),
                name: "add_to_cart".into(),
                client_side: true,
                arguments: "{}".into(),
                response: r#"{"ok":true}"#.into(),
                thought_signature: Some("sig".into()),
            }],
        }),
        AgentMessage::InjectionRefused { message: "The caller is speaking.".into() },
        AgentMessage::PromptUpdated,
        AgentMessage::SpeakUpdated,
        AgentMessage::ThinkUpdated,
        AgentMessage::ListenUpdated,
        AgentMessage::Error { code: "FAILED_TO_THINK".into(), description: "No model answered.".into() },
        AgentMessage::Warning { code: "SLOW".into(), description: "Thinking takes long.".into() },
    ]
}

fn client_messages() -> Vec<ClientMessage> {
    use crate::deepgram::settings::tests::settings;
    vec![
        ClientMessage::Settings(Box::new(settings())),
        ClientMessage::KeepAlive,
        ClientMessage::FunctionCallResponse {
            id: "call_1".into(),
            name: "get_cart".into(),
            content: r#"{"ok":true}"#.into(),
        },
        ClientMessage::UpdatePrompt { prompt: "Be brief.".into() },
        ClientMessage::InjectAgentMessage { message: "Still there?".into(), behavior: None },
        ClientMessage::InjectAgentMessage { message: "One moment.".into(), behavior: Some(InjectBehavior::Queue) },
        ClientMessage::InjectAgentMessage { message: "Bye.".into(), behavior: Some(InjectBehavior::Interrupt) },
        ClientMessage::InjectAgentMessage { message: "Hm.".into(), behavior: Some(InjectBehavior::Default) },
        ClientMessage::InjectUserMessage { content: "I pressed 1.".into() },
        ClientMessage::UpdateThink {
            think: json!({"provider": {"type": "google", "model": "gemini-2.5-flash"}, "prompt": "p"}),
        },
        ClientMessage::UpdateSpeak { speak: json!({"provider": {"type": "deepgram", "model": "aura-2-zeus-en"}}) },
        ClientMessage::UpdateListen {
            listen: json!({"provider": {"type": "deepgram", "version": "v2", "model": "flux-general-en"}}),
        },
    ]
}

#[test]
fn every_agent_message_is_valid_and_reads_as_it_was_written() {
    let mut seen = Vec::new();
    for message in agent_messages() {
        let text = message.to_json();
        assert_valid(Direction::FromAgent, &text);
        assert_eq!(AgentMessage::parse(&text).unwrap(), message);
        seen.push(serde_json::from_str::<Value>(&text).unwrap()["type"].as_str().unwrap().to_owned());
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen, kinds(Direction::FromAgent), "a message of the schema is missing here");
    let mut known = AgentMessage::KINDS.to_vec();
    known.sort_unstable();
    assert_eq!(seen, known);
}

#[test]
fn every_client_message_is_valid_and_reads_as_it_was_written() {
    let mut seen = Vec::new();
    for message in client_messages() {
        let text = message.to_json();
        assert_valid(Direction::FromClient, &text);
        assert_eq!(ClientMessage::parse(&text).unwrap(), message);
        seen.push(serde_json::from_str::<Value>(&text).unwrap()["type"].as_str().unwrap().to_owned());
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen, kinds(Direction::FromClient), "a message of the schema is missing here");
    let mut known = ClientMessage::KINDS.to_vec();
    known.sort_unstable();
    assert_eq!(seen, known);
}

#[test]
fn arguments_come_as_text_or_as_an_object() {
    for (given, expected) in [
        (json!(r#"{"index": 0}"#), r#"{"index": 0}"#),
        (json!({"index": 0, "ice": "no ice"}), r#"{"index":0,"ice":"no ice"}"#),
        (json!(null), "{}"),
        (json!(""), "{}"),
        (json!([1]), "[1]"),
        (json!("not json"), "not json"),
    ] {
        let text = json!({"type": "FunctionCallRequest",
                "functions": [{"id": "a", "name": "b", "arguments": given}]});
        let AgentMessage::FunctionCallRequest { functions } = AgentMessage::parse(&text.to_string()).unwrap() else {
            panic!("not a request")
        };
        assert_eq!(functions[0].arguments, expected);
        assert!(functions[0].client_side, "ours unless it says otherwise");
    }
}

#[test]
fn absent_arguments_and_null_fields_are_nothing_special() {
    let text = r#"{"type":"FunctionCallRequest","functions":[
            {"id":"a","name":"b","client_side":null,"thought_signature":null,"new_field":[]},
            {"id":"c","name":"d","client_side":false}]}"#;
    let AgentMessage::FunctionCallRequest { functions } = AgentMessage::parse(text).unwrap() else {
        panic!("not a request")
    };
    assert_eq!((functions[0].arguments.as_str(), functions[0].client_side), ("{}", true));
    assert!(!functions[1].client_side);
}

#[test]
fn what_is_missing_unknown_or_oddly_typed_is_tolerated() {
    let parse = |text| AgentMessage::parse(text).unwrap();
    assert_eq!(parse(r#"{"type":"Welcome"}"#), AgentMessage::Welcome { request_id: String::new() });
    assert_eq!(
        parse(r#"{"type":"AgentStartedSpeaking","total_latency":null,"tts_latency":1}"#),
        AgentMessage::AgentStartedSpeaking { total_latency: None, tts_latency: Some(1.0), ttt_latency: None }
    );
    assert_eq!(parse(r#"{"type":"LatencyReport","new":1}"#), AgentMessage::LatencyReport(Default::default()));
    assert_eq!(
        parse(r#"{"type":"ConversationText","role":"narrator","content":"x","languages":["en"]}"#),
        AgentMessage::ConversationText { role: Role::Other("narrator".into()), content: "x".into() }
    );
    assert_eq!(
        parse(r#"{"type":"Error","code":1011,"description":null}"#),
        AgentMessage::Error { code: "1011".into(), description: String::new() }
    );
    assert_eq!(parse(r#"{"type":"Error"}"#), AgentMessage::Error { code: String::new(), description: String::new() });
    assert_eq!(parse(r#"{"type":"NewThing","x":{}}"#), AgentMessage::Unknown { kind: "NewThing".into() });
    assert_eq!(parse(r#"{"type":""}"#), AgentMessage::Unknown { kind: String::new() });
}

#[test]
fn hostile_frames_are_errors() {
    let deep = format!(r#"{{"type":"Welcome","request_id":{}"#, "[".repeat(100_000));
    let huge = format!(r#"{{"type":"ConversationText","role":"user","content":{}}}"#, "9".repeat(100_000));
    for text in [
        "",
        "\u{0}",
        "null",
        "5",
        "\"Welcome\"",
        "[]",
        r#"["Welcome"]"#,
        "{}",
        "{",
        r#"{"type":5}"#,
        r#"{"type":null}"#,
        r#"{"type":["Welcome"]}"#,
        r#"{"type":"ConversationText"}"#,
        r#"{"type":"ConversationText","role":"user","content":5}"#,
        r#"{"type":"ConversationText","role":5,"content":"x"}"#,
        r#"{"type":"FunctionCallRequest"}"#,
        r#"{"type":"FunctionCallRequest","functions":{}}"#,
        r#"{"type":"FunctionCallRequest","functions":[{"id":1,"name":"x"}]}"#,
        r#"{"type":"FunctionCallRequest","functions":[{"name":"x"}]}"#,
        r#"{"type":"FunctionCallCancelled","functions":[{}]}"#,
        r#"{"type":"History"}"#,
        r#"{"type":"AgentStartedSpeaking","total_latency":"fast"}"#,
        r#"{"type":"AgentAudioDone"} trailing"#,
        &deep,
        &huge,
    ] {
        assert!(AgentMessage::parse(text).is_err(), "{:.60} was understood", text);
    }
    assert!(matches!(
        ClientMessage::parse(r#"{"type":"Welcome","request_id":"x"}"#),
        Err(MessageError::UnknownClientMessage { kind }) if kind == "Welcome"
    ));
    assert!(matches!(ClientMessage::parse(r#"{"type":"Settings"}"#), Err(MessageError::Shape { .. })));
}

#[test]
fn some_errors_are_our_own() {
    let error = |code: &str| AgentMessage::Error { code: code.into(), description: String::new() };
    assert!(error("INVALID_SETTINGS").is_our_fault());
    assert!(!error("FAILED_TO_THINK").is_our_fault());
    assert!(!AgentMessage::Warning { code: "INVALID_SETTINGS".into(), description: String::new() }.is_our_fault());
}

proptest::proptest! {
    #[test]
    fn no_text_at_all_panics(text in ".*") {
        let _ = AgentMessage::parse(&text);
        let _ = ClientMessage::parse(&text);
    }
}
