//! The simulated agent against a bare client: order of messages, faults, tools, injected words.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error as SocketError, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use super::{AgentOptions, SimulatedAgent};
use crate::audio::mulaw;
use crate::deepgram::message::{
    AgentMessage, ClientMessage, FunctionCall, HistoryCall, HistoryItem, InjectBehavior, Role,
};
use crate::deepgram::schema::{Direction, assert_valid};
use crate::deepgram::settings::AgentAudio;
use crate::simulator::relay::{settings, text_frame};
use crate::simulator::voice::Sound;
use crate::simulator::{Event, Observer, Script, What};

/// A client with one open connection, and what the agent tells about it.
struct Client {
    agent: SimulatedAgent,
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    events: UnboundedReceiver<Event>,
}

async fn agent(scripts: Vec<Script>, options: AgentOptions) -> (SimulatedAgent, UnboundedReceiver<Event>) {
    let (events, seen) = unbounded_channel();
    let observer = Observer { events: Some(events), tap: None };
    let agent = SimulatedAgent::start(scripts, AgentOptions { speed: 50.0, observer, ..options }).await.unwrap();
    (agent, seen)
}

async fn dial(url: &str, key: Option<&str>) -> Result<WebSocketStream<MaybeTlsStream<TcpStream>>, SocketError> {
    let mut request = url.into_client_request().unwrap();
    if let Some(key) = key {
        request.headers_mut().insert("authorization", key.parse().unwrap());
    }
    tokio_tungstenite::connect_async(request).await.map(|(socket, _)| socket)
}

fn script(steps: &str) -> Script {
    Script::parse(&format!("name = \"x\"\n{steps}")).unwrap()
}

/// Connected, but with no word said.
async fn connected(steps: &str) -> Client {
    let scripts = if steps.is_empty() { Vec::new() } else { vec![script(steps)] };
    let (agent, events) = agent(scripts, AgentOptions::default()).await;
    let socket = dial(&agent.url(), Some("Token key")).await.unwrap();
    Client { agent, socket, events }
}

/// Connected, with settings applied.
async fn settled(steps: &str, greeting: Option<&str>) -> Client {
    let mut client = connected(steps).await;
    assert!(matches!(client.message().await, AgentMessage::Welcome { .. }));
    client.say(ClientMessage::Settings(Box::new(settings(AgentAudio::Mulaw, greeting)))).await;
    assert_eq!(client.message().await, AgentMessage::SettingsApplied);
    client
}

impl Client {
    async fn say(&mut self, message: ClientMessage) {
        self.socket.send(text_frame(message)).await.unwrap();
    }

    async fn text(&mut self, text: &str) {
        self.socket.send(Message::text(text)).await.unwrap();
    }

    /// Speaks a sentence and then falls silent for long enough.
    async fn speak(&mut self) {
        let mut audio = Sound { text: "Hello there", clip: None }.on_the_phone().to_vec();
        audio.resize(audio.len() + 8_000, mulaw::SILENCE);
        for piece in audio.chunks(160) {
            self.socket.send(Message::binary(piece.to_vec())).await.unwrap();
        }
    }

    /// The next message that is neither audio nor a record of what was said already.
    async fn message(&mut self) -> AgentMessage {
        self.message_and_audio().await.0
    }

    async fn message_and_audio(&mut self) -> (AgentMessage, usize) {
        let mut bytes = 0;
        loop {
            match self.socket.next().await.expect("the agent is there").unwrap() {
                Message::Binary(audio) => bytes += audio.len(),
                Message::Text(text) => {
                    assert_valid(Direction::FromAgent, &text);
                    match AgentMessage::parse(&text).unwrap() {
                        AgentMessage::LatencyReport(_) | AgentMessage::History(HistoryItem::Said { .. }) => {}
                        message => return (message, bytes),
                    }
                }
                other => panic!("{other:?} instead of a message"),
            }
        }
    }

    async fn calls(&mut self) -> Vec<FunctionCall> {
        match self.message().await {
            AgentMessage::FunctionCallRequest { functions } => functions,
            other => panic!("{other:?} instead of a request"),
        }
    }

    /// Everything until the connection is closed.
    async fn rest(&mut self) -> Vec<Message> {
        let mut all = Vec::new();
        while let Some(Ok(frame)) = self.socket.next().await {
            all.push(frame);
        }
        all
    }

    /// The code of the error that ends the connection.
    async fn fatal(&mut self) -> String {
        let rest = self.rest().await;
        let [Message::Text(text), Message::Close(Some(_))] = &rest[..] else { panic!("{rest:?}") };
        assert_valid(Direction::FromAgent, text);
        match AgentMessage::parse(text).unwrap() {
            AgentMessage::Error { code, .. } => code,
            other => panic!("{other:?} instead of an error"),
        }
    }

    async fn events(mut self) -> Vec<What> {
        drop(self.socket);
        self.agent.stop().await;
        let mut all = Vec::new();
        while let Some(event) = self.events.recv().await {
            all.push(event.what);
        }
        all
    }
}

fn said(role: Role, text: &str) -> AgentMessage {
    AgentMessage::ConversationText { role, content: text.into() }
}

#[tokio::test]
async fn only_a_key_on_the_right_path_gets_in() {
    let (agent, _events) =
        agent(Vec::new(), AgentOptions { api_key: Some(SecretString::from("key")), ..Default::default() }).await;
    for (url, key, status) in [
        (agent.url(), None, 401),
        (agent.url(), Some("Bearer key"), 401),
        (agent.url(), Some("Token "), 401),
        (agent.url(), Some("Token other"), 401),
        (agent.url().replace("converse", "listen"), Some("Token key"), 404),
    ] {
        match dial(&url, key).await {
            Err(SocketError::Http(response)) => assert_eq!(response.status(), status, "{url} {key:?}"),
            other => panic!("{other:?}"),
        }
    }
    dial(&agent.url(), Some("Token key")).await.unwrap();
    assert_eq!(agent.connections(), 6);
}

#[tokio::test]
async fn the_greeting_is_said_and_sent_in_uneven_pieces() {
    let mut client = settled("", Some("Hello! What may I bring you?")).await;
    assert_eq!(client.message().await, said(Role::Assistant, "Hello! What may I bring you?"));
    assert!(matches!(client.message().await, AgentMessage::AgentStartedSpeaking { .. }));
    let (done, bytes) = client.message_and_audio().await;
    assert_eq!(done, AgentMessage::AgentAudioDone);
    assert_eq!(bytes, 28_usize.next_multiple_of(4) * 65 * 8);
}

#[tokio::test]
async fn linear_audio_has_its_own_rate_and_nothing_special_without_experiments() {
    let mut client = connected("").await;
    client.message().await;
    let mut settings = settings(AgentAudio::Linear16, Some("Hello! What may I bring you?"));
    settings.experimental = false;
    client.say(ClientMessage::Settings(Box::new(settings))).await;
    client.message().await;
    client.message().await;
    let (done, bytes) = client.message_and_audio().await;
    assert_eq!((done, bytes), (AgentMessage::AgentAudioDone, 28 * 65 * 48));
}

#[tokio::test]
async fn nothing_but_settings_comes_first() {
    let mut client = connected("").await;
    client.message().await;
    client.socket.send(Message::binary(vec![0; 160])).await.unwrap();
    assert_eq!(client.fatal().await, "NON_SETTINGS_MESSAGE_BEFORE_SETTINGS");

    let mut client = connected("").await;
    client.message().await;
    client.say(ClientMessage::KeepAlive).await;
    assert_eq!(client.fatal().await, "NON_SETTINGS_MESSAGE_BEFORE_SETTINGS");

    let mut client = connected("").await;
    client.message().await;
    // Both in one write, so that the audio has arrived when the settings are read.
    let message = ClientMessage::Settings(Box::new(settings(AgentAudio::Mulaw, None)));
    client.socket.feed(text_frame(message)).await.unwrap();
    client.socket.send(Message::binary(vec![0; 160])).await.unwrap();
    assert_eq!(client.fatal().await, "NON_SETTINGS_MESSAGE_BEFORE_SETTINGS");
    assert!(client.events().await.contains(&What::Surprise("audio before SettingsApplied".into())));
}

#[tokio::test]
async fn settings_are_taken_once_and_only_when_they_are_some() {
    let mut client = settled("", None).await;
    client.say(ClientMessage::Settings(Box::new(settings(AgentAudio::Mulaw, None)))).await;
    assert_eq!(client.fatal().await, "SETTINGS_ALREADY_APPLIED");

    for (text, code) in [
        (r#"{"type":"Settings"}"#, "INVALID_SETTINGS"),
        (r#"{"type":"Welcome"}"#, "UNPARSABLE_CLIENT_MESSAGE"),
        ("hello", "UNPARSABLE_CLIENT_MESSAGE"),
    ] {
        let mut client = connected("").await;
        client.message().await;
        client.text(text).await;
        assert_eq!(client.fatal().await, code, "{text}");
    }

    let mut client = connected("").await;
    client.message().await;
    let mut strange = settings(AgentAudio::Mulaw, None);
    strange.audio.output.sample_rate = 16_000;
    client.say(ClientMessage::Settings(Box::new(strange))).await;
    assert_eq!(client.fatal().await, "INVALID_SETTINGS");
}

#[tokio::test]
async fn what_is_no_message_ends_the_call() {
    let mut client = settled("", None).await;
    client.say(ClientMessage::KeepAlive).await;
    client.text("[]").await;
    assert_eq!(client.fatal().await, "UNPARSABLE_CLIENT_MESSAGE");
}

#[tokio::test]
async fn a_client_that_says_nothing_is_given_up() {
    let options = AgentOptions { client_timeout: Duration::from_millis(100), ..AgentOptions::default() };
    let (agent, events) = agent(Vec::new(), options).await;
    let socket = dial(&agent.url(), Some("Token key")).await.unwrap();
    let mut client = Client { agent, socket, events };
    client.message().await;
    client.say(ClientMessage::Settings(Box::new(settings(AgentAudio::Mulaw, None)))).await;
    client.message().await;
    assert_eq!(client.fatal().await, "CLIENT_MESSAGE_TIMEOUT");
}

#[tokio::test]
async fn connections_can_go_wrong_from_the_start() {
    let refuse = script("behaviour = { connect = \"refuse\" }\n[[step]]\nagent = \"x\"");
    let (agent, _events) = agent(vec![refuse, Script::boba()], AgentOptions::default()).await;
    match dial(&agent.url(), Some("Token key")).await {
        Err(SocketError::Http(response)) => assert_eq!(response.status(), 503),
        other => panic!("{other:?}"),
    }
    // The next connection plays the next script.
    dial(&agent.url(), Some("Token key")).await.unwrap();

    let mut client = connected("behaviour = { connect = \"never_welcome\" }\n[[step]]\nagent = \"x\"").await;
    client.say(ClientMessage::KeepAlive).await;
    client.socket.close(None).await.unwrap();
    assert!(matches!(client.rest().await[..], [Message::Close(_)]), "nothing but the answer to the close");

    let mut client = connected("behaviour = { connect = \"never_apply\" }\n[[step]]\nagent = \"x\"").await;
    assert!(matches!(client.message().await, AgentMessage::Welcome { .. }));
    client.say(ClientMessage::Settings(Box::new(settings(AgentAudio::Mulaw, Some("Hello"))))).await;
    client.socket.close(None).await.unwrap();
    assert!(matches!(client.rest().await[..], [Message::Close(_)]), "nothing but the answer to the close");
}

#[tokio::test]
async fn a_caller_is_heard_and_understood() {
    let mut client = settled("[[step]]\ncaller = \"A latte\"\n[[step]]\nagent = \"One latte.\"", None).await;
    client.speak().await;
    assert_eq!(client.message().await, AgentMessage::UserStartedSpeaking);
    assert_eq!(client.message().await, said(Role::User, "A latte"));
    assert_eq!(client.message().await, said(Role::Assistant, "One latte."));
}

#[tokio::test]
async fn several_tools_are_awaited_and_their_answers_used_and_checked() {
    let steps = r#"
        [[step]]
        tools = [{ name = "a", arguments = { x = 1 } }, { name = "b" }]
        [[step]]
        expect = { tool = "a", field = "n", value = 7 }
        [[step]]
        expect = { tool = "b", field = "ok", value = true }
        [[step]]
        agent = ["Seven is {a.n}", "and {b.word.0} {b.missing}."]"#;
    let mut client = settled(steps, None).await;
    let calls = client.calls().await;
    assert_eq!(calls.len(), 2);
    assert_eq!((calls[0].name.as_str(), calls[0].arguments.as_str()), ("a", r#"{"x":1}"#));
    let answer = |call: &FunctionCall, content: Value| ClientMessage::FunctionCallResponse {
        id: call.id.clone(),
        name: call.name.clone(),
        content: content.to_string(),
    };
    client.say(answer(&calls[1], json!({"ok": false, "word": ["yes"]}))).await;
    assert!(matches!(client.message().await, AgentMessage::History(HistoryItem::Called { .. })));
    // The second answer is still missing; an answer to nothing does not replace it.
    client
        .say(ClientMessage::FunctionCallResponse { id: "call_9".into(), name: "a".into(), content: "{}".into() })
        .await;
    client.say(answer(&calls[0], json!({"n": 7}))).await;
    assert!(matches!(client.message().await, AgentMessage::History(HistoryItem::Called { .. })));
    assert_eq!(client.message().await, said(Role::Assistant, "Seven is 7"));
    client.message().await;
    assert_eq!(client.message().await, said(Role::Assistant, "and yes unknown."));
    assert_eq!(client.message().await, AgentMessage::AgentAudioDone);
    let events = client.events().await;
    let failed: Vec<&What> = events.iter().filter(|what| matches!(what, What::ExpectationFailed(_))).collect();
    assert_eq!(failed.len(), 2, "{events:?}");
    assert!(events.iter().any(|what| matches!(what, What::Surprise(text) if text.contains("call_9"))));
}

#[tokio::test]
async fn arguments_can_be_an_object() {
    let steps = "behaviour = { arguments = \"object\" }\n[[step]]\ntools = [{ name = \"a\", arguments = { x = 1 } }]";
    let mut client = settled(steps, None).await;
    let Some(Ok(Message::Text(text))) = client.socket.next().await else { panic!("no request") };
    let value: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["functions"][0]["arguments"], json!({"x": 1}));
}

#[tokio::test]
async fn calls_can_be_taken_back() {
    let steps = "[[step]]\ntools = [{ name = \"a\" }]\ncancel_after_ms = 100\n[[step]]\nagent = \"Go on.\"";
    let mut client = settled(steps, None).await;
    let calls = client.calls().await;
    let AgentMessage::FunctionCallCancelled { functions } = client.message().await else { panic!("not cancelled") };
    assert_eq!((functions[0].id.as_str(), functions[0].name.as_str()), (calls[0].id.as_str(), "a"));
    client
        .say(ClientMessage::FunctionCallResponse { id: calls[0].id.clone(), name: "a".into(), content: "{}".into() })
        .await;
    assert_eq!(client.message().await, said(Role::Assistant, "Go on."));
    // The late answer has been read by the time that a later message is answered.
    client.say(ClientMessage::UpdatePrompt { prompt: "x".into() }).await;
    while client.message().await != AgentMessage::PromptUpdated {}
    let events = client.events().await;
    assert!(events.iter().any(|what| matches!(what, What::Surprise(text) if text.contains("was cancelled"))));
}

#[tokio::test]
async fn faults_are_as_the_script_wants_them() {
    let mut client = settled("[[step]]\nfault = \"error\"", None).await;
    assert_eq!(client.fatal().await, "INTERNAL_SERVER_ERROR");

    let mut client = settled("[[step]]\nfault = \"close\"", None).await;
    assert!(matches!(client.socket.next().await, Some(Err(_)) | None), "no close frame");

    let mut client = settled("[[step]]\nfault = \"silence\"\n[[step]]\nagent = \"x\"", None).await;
    client.speak().await;
    client.say(ClientMessage::UpdatePrompt { prompt: "x".into() }).await;
    client.socket.close(None).await.unwrap();
    assert!(matches!(client.rest().await[..], [Message::Close(_)]), "nothing but the answer to the close");

    let steps =
        "[[step]]\nfault = \"garbage\"\n[[step]]\nfault = \"unknown_message\"\n[[step]]\nagent = \"Still here.\"";
    let mut client = settled(steps, None).await;
    let mut refused = 0;
    loop {
        match client.socket.next().await.unwrap().unwrap() {
            Message::Text(text) => match AgentMessage::parse(&text) {
                Err(_) => refused += 1,
                Ok(AgentMessage::Unknown { kind }) => assert_eq!(kind, "SomethingNew"),
                Ok(message) => break assert_eq!(message, said(Role::Assistant, "Still here.")),
            },
            other => assert_eq!(other, Message::binary(Vec::new())),
        }
    }
    assert_eq!(refused, 6);
}

#[tokio::test]
async fn connections_end_in_many_ways() {
    let mut client = settled("step = [{ fault = \"error\", code = \"FAILED_TO_THINK\" }]", None).await;
    assert_eq!(client.fatal().await, "FAILED_TO_THINK");

    let mut client = settled("step = [{ fault = \"go_away\" }]", None).await;
    assert!(matches!(client.rest().await[..], [Message::Close(Some(_))]), "closed, and nothing said");

    let mut client = settled("step = [{ fault = \"half_frame\" }]", None).await;
    assert!(matches!(client.socket.next().await, Some(Err(_))), "a frame that is not whole is an error, not a message");

    let mut client = connected("behaviour = { connect = \"refuse_settings\" }\nstep = [{ agent = \"x\" }]").await;
    client.message().await;
    client.say(ClientMessage::Settings(Box::new(settings(AgentAudio::Mulaw, Some("Hello"))))).await;
    assert_eq!(client.fatal().await, "INVALID_SETTINGS");

    for (connect, status) in [("reject", Some(401)), ("hang_up", None)] {
        let scripts = script(&format!("behaviour = {{ connect = \"{connect}\" }}\nstep = [{{ agent = \"x\" }}]"));
        let (agent, _events) = agent(scripts.connections(), AgentOptions::default()).await;
        let refused = match dial(&agent.url(), Some("Token key")).await.unwrap_err() {
            SocketError::Http(response) => Some(response.status().as_u16()),
            _ => None,
        };
        assert_eq!(refused, status, "{connect}");
        dial(&agent.url(), Some("Token key")).await.unwrap();
    }
}

#[tokio::test]
async fn a_deaf_agent_takes_nothing_and_says_nothing_until_it_is_left() {
    let Client { agent, mut socket, .. } = settled("step = [{ fault = \"deaf\" }, { agent = \"x\" }]", None).await;
    assert_eq!(agent.open_connections(), 1);
    // More than what the kernel keeps for a reader who does not read.
    let stuffed = async { while socket.send(Message::binary(vec![0; 1 << 20])).await.is_ok() {} };
    assert!(tokio::time::timeout(Duration::from_secs(1), stuffed).await.is_err(), "it does not read");
    drop(socket);
    let left = async {
        while agent.open_connections() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), left).await.expect("it notices that it was left");
}

#[tokio::test]
async fn a_fault_may_wait_for_the_middle_of_a_reply() {
    let greeting = "A greeting that would last for some three seconds.";
    for (steps, said_before) in [
        ("step = [{ fault = \"close\", into_reply_ms = 1000 }]", 0),
        (
            "step = [{ agent = \"Something else.\" }, { fault = \"close\", into_reply_ms = 1000 }, { agent = \"A reply that would last for some three seconds.\" }]",
            2,
        ),
    ] {
        let mut client = settled(steps, Some(greeting)).await;
        let (mut done, mut bytes) = (0, 0);
        while let Some(Ok(frame)) = client.socket.next().await {
            match frame {
                Message::Binary(audio) => bytes += audio.len(),
                Message::Text(text) if text.contains("AgentAudioDone") => (done, bytes) = (done + 1, 0),
                _ => {}
            }
        }
        assert_eq!(done, said_before);
        // A second of sound, and the rest of the piece in which it ends; what is lost with the connection is less.
        assert!((1..8_000 + 7_680).contains(&bytes), "{bytes}");
    }
}

#[tokio::test]
async fn a_flood_is_survived_and_the_script_goes_on() {
    let mut client = settled("step = [{ fault = \"flood\" }, { agent = \"Still here.\" }]", None).await;
    let (mut messages, mut bytes) = (0, 0);
    loop {
        match client.socket.next().await.unwrap().unwrap() {
            Message::Binary(audio) => bytes += audio.len(),
            Message::Text(text) => {
                assert_valid(Direction::FromAgent, &text);
                messages += 1;
                if AgentMessage::parse(&text).unwrap() == said(Role::Assistant, "Still here.") {
                    break;
                }
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((messages, bytes), (2_000 + 3, 20 * 8_000));
}

#[tokio::test]
async fn calls_can_be_apart_repeated_and_taken_back_after_their_answer() {
    let steps = r#"
        step = [
            { tools = [{ name = "a" }, { name = "b" }], apart = true, wait = false },
            { tools = [{ name = "c" }], repeat = "same_id" },
            { tools = [{ name = "d" }], repeat = "new_id", cancel_answered = true },
            { agent = "Done." },
        ]"#;
    let mut client = settled(steps, None).await;
    let answer = |call: &FunctionCall, content: &str| ClientMessage::FunctionCallResponse {
        id: call.id.clone(),
        name: call.name.clone(),
        content: content.to_owned(),
    };
    let (a, b) = (client.calls().await, client.calls().await);
    assert_eq!((a.len(), b.len(), a[0].name.as_str(), b[0].name.as_str()), (1, 1, "a", "b"));
    // What was not waited for is open, and said again with the rest.
    let c = client.calls().await;
    let again = client.calls().await;
    assert_eq!(again.iter().map(|call| &call.name[..]).collect::<Vec<_>>(), ["a", "b", "c"]);
    assert_eq!(again[2].id, c[0].id);
    for call in [&b[0], &a[0], &c[0], &c[0]] {
        client.say(answer(call, "{}")).await;
    }
    let mut d = Vec::new();
    while d.len() < 2 {
        match client.message().await {
            AgentMessage::FunctionCallRequest { functions } => d.extend(functions),
            other => assert!(matches!(other, AgentMessage::History(HistoryItem::Called { .. })), "{other:?}"),
        }
    }
    assert_ne!(d[0].id, d[1].id);
    client.say(answer(&c[0], r#"{"another":"answer"}"#)).await;
    client.say(answer(&d[0], "{}")).await;
    client.say(answer(&d[1], "{}")).await;
    let taken_back = loop {
        match client.message().await {
            AgentMessage::FunctionCallCancelled { functions } => break functions,
            other => assert!(matches!(other, AgentMessage::History(HistoryItem::Called { .. })), "{other:?}"),
        }
    };
    assert_eq!(taken_back.iter().map(|call| &call.id).collect::<Vec<_>>(), [&d[0].id, &d[1].id]);
    while client.message().await != said(Role::Assistant, "Done.") {}
    let events = client.events().await;
    let surprises: Vec<&What> = events.iter().filter(|what| matches!(what, What::Surprise(_))).collect();
    assert!(matches!(surprises[..], [What::Surprise(text)] if text.contains("answered otherwise")), "{surprises:?}");
}

#[tokio::test]
async fn an_agent_that_goes_on_is_told_what_was_said_and_waits_for_the_unanswered_words() {
    let steps = r#"
        behaviour = { resumes = true }
        step = [{ turn = "Tea." }, { agent = "One {add.item}." }, { turn = "Yes." }, { agent = "Fine." }]"#;
    let said_before = [
        HistoryItem::Said { role: Role::User, content: "Tea.".to_owned() },
        HistoryItem::Called {
            function_calls: vec![HistoryCall {
                id: "call_1".to_owned(),
                name: "add".to_owned(),
                client_side: true,
                arguments: "{}".to_owned(),
                response: r#"{"item":"taro tea"}"#.to_owned(),
                thought_signature: None,
            }],
        },
    ];
    let mut client = connected(steps).await;
    client.message().await;
    let mut resumed = settings(AgentAudio::Mulaw, None);
    resumed.agent.context = Some(said_before.iter().cloned().collect());
    client.say(ClientMessage::Settings(Box::new(resumed))).await;
    assert_eq!(client.message().await, AgentMessage::SettingsApplied);
    client.say(ClientMessage::InjectUserMessage { content: "Please go on.".to_owned() }).await;
    assert_eq!(client.message().await, said(Role::User, "Please go on."));
    assert_eq!(client.message().await, said(Role::Assistant, "One taro tea."));
    while client.message().await != AgentMessage::AgentAudioDone {}
    // Spoken, this time.
    client.speak().await;
    assert_eq!(client.message().await, AgentMessage::UserStartedSpeaking);
    assert_eq!(client.message().await, said(Role::User, "Yes."));
    let events = client.events().await;
    assert!(events.contains(&What::Resumed { messages: said_before.to_vec() }), "{events:?}");
    assert!(!events.iter().any(|what| matches!(what, What::Surprise(_) | What::ExpectationFailed(_))), "{events:?}");

    for (context, greeting, surprise) in [
        (None, None, "do not tell it"),
        (Some(said_before.iter().cloned().collect()), Some("Hello!"), "begins with a greeting"),
    ] {
        let mut client = connected(steps).await;
        client.message().await;
        let mut wrong = settings(AgentAudio::Mulaw, greeting);
        wrong.agent.context = context;
        client.say(ClientMessage::Settings(Box::new(wrong))).await;
        client.message().await;
        let events = client.events().await;
        let told = events.iter().any(|what| matches!(what, What::Surprise(text) if text.contains(surprise)));
        assert!(told, "{surprise}: {events:?}");
    }
}

#[tokio::test]
async fn words_can_be_injected() {
    let mut client = settled("[[step]]\ndigits = \"1\"\n[[step]]\nagent = \"One.\"", None).await;
    client.say(ClientMessage::InjectAgentMessage { message: "Still there?".into(), behavior: None }).await;
    assert_eq!(client.message().await, said(Role::Assistant, "Still there?"));
    let interrupt = Some(InjectBehavior::Interrupt);
    client.say(ClientMessage::InjectAgentMessage { message: "A long word".into(), behavior: None }).await;
    client.say(ClientMessage::InjectAgentMessage { message: "Now.".into(), behavior: interrupt }).await;
    let queue = Some(InjectBehavior::Queue);
    client.say(ClientMessage::InjectAgentMessage { message: "Later.".into(), behavior: queue }).await;
    client.say(ClientMessage::InjectUserMessage { content: "I pressed 1.".into() }).await;
    let mut seen = Vec::new();
    while seen.last() != Some(&said(Role::Assistant, "One.")) {
        seen.push(client.message().await);
    }
    let place = |message: AgentMessage| seen.iter().position(|other| *other == message).expect("it was sent");
    let refused = AgentMessage::InjectionRefused { message: "Somebody is speaking.".into() };
    assert!(place(refused) < place(said(Role::Assistant, "Now.")));
    assert!(place(said(Role::Assistant, "Now.")) < place(said(Role::Assistant, "Later.")));
    assert!(place(said(Role::Assistant, "Later.")) < place(said(Role::User, "I pressed 1.")));
}

#[tokio::test]
async fn settings_can_be_changed_on_the_way() {
    let mut client = settled("", None).await;
    for (message, answer) in [
        (ClientMessage::UpdateThink { think: json!({}) }, AgentMessage::ThinkUpdated),
        (ClientMessage::UpdateSpeak { speak: json!({}) }, AgentMessage::SpeakUpdated),
        (ClientMessage::UpdateListen { listen: json!({}) }, AgentMessage::ListenUpdated),
    ] {
        client.say(message).await;
        assert_eq!(client.message().await, answer);
    }
}

#[tokio::test]
async fn an_interruption_may_leave_late_audio_and_no_ending() {
    let steps = r#"
        behaviour = { late_audio_ms = 50, audio_done_after_interruption = false }
        [[step]]
        agent = "A very long sentence that takes the agent about ten seconds to say, if anybody lets it finish, which nobody will, because the caller has had enough of it."
        [[step]]
        caller = "Stop"
        [[step]]
        agent = "Yes?""#;
    let mut client = settled(steps, None).await;
    assert!(matches!(client.message().await, AgentMessage::ConversationText { .. }));
    assert!(matches!(client.message().await, AgentMessage::AgentStartedSpeaking { .. }));
    client.speak().await;
    assert_eq!(client.message().await, AgentMessage::UserStartedSpeaking);
    let (next, late) = client.message_and_audio().await;
    assert_eq!((next, late), (said(Role::User, "Stop"), 400));
    assert!(client.events().await.contains(&What::Interrupted));
}

#[tokio::test]
async fn stopping_says_goodbye_to_every_call() {
    let Client { agent, mut socket, mut events } = settled("", None).await;
    let stopped = tokio::spawn(agent.stop());
    let Some(Ok(Message::Close(Some(frame)))) = socket.next().await else { panic!("no close") };
    assert_eq!(frame.code, CloseCode::Away);
    stopped.await.unwrap();
    let mut all = Vec::new();
    while let Some(event) = events.recv().await {
        all.push(event.what);
    }
    assert_eq!(all.last(), Some(&What::CallEnded { finished: true }), "an empty script is followed at once");
}
