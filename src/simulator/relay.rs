//! Tests of both simulators together, joined by the least that can join them: a relay that knows no rules, answers
//! tools from a list, and converts audio by repeating and dropping samples.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ws::{Message as PhoneFrame, WebSocket, WebSocketUpgrade};
use axum::extract::{Form, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, post};
use futures_util::{SinkExt as _, StreamExt as _};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use super::{
    AgentOptions, CallReport, CallerError, CallerOptions, ClosedBy, Event, Observer, Script, Side, SimulatedAgent,
    SimulatedCaller, Speaker, Tapped, What,
};
use crate::audio::mulaw;
use crate::deepgram::message::{AgentMessage, ClientMessage, Role};
use crate::deepgram::schema::{Direction, assert_valid};
use crate::deepgram::settings::{AgentAudio, Settings};
use crate::twilio::message::{PhoneMessage, StreamWriter};
use crate::twilio::signature;
use crate::twilio::twiml::{Stream, Twiml};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";
const PUBLIC: &str = "https://voice.example.com";
const SPEED: f64 = 20.0;

struct Relay {
    agent_url: String,
    format: AgentAudio,
}

/// What the tools of the two scripts answer.
fn answer(tool: &str) -> Value {
    match tool {
        "add_to_cart" => json!({"ok": true, "staged": true}),
        "confirm_pending_to_cart" => json!({"ok": true, "cart_count": 1}),
        "save_phone_number" => json!({"ok": true, "phone": "+15551234567", "spoken": "5 5 5, 1 2 3, 4 5 6 7"}),
        "checkout_order" => json!({"ok": true, "total": 6.25, "name": "Ada", "spoken_order_number": "4, 7, 8, 2"}),
        "end_call" => json!({"ok": true}),
        _ => json!({"ok": false, "code": "UNKNOWN_TOOL"}),
    }
}

async fn serve(relay: Relay) -> std::net::SocketAddr {
    let router = Router::new()
        .route("/voice", post(voice))
        .route("/voice/after", post(after))
        .route("/twilio", any(upgrade))
        .with_state(Arc::new(relay));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    address
}

/// Twilio's signature and the public host, on every door.
fn is_twilio(headers: &HeaderMap, url: &str, form: &[(String, String)]) -> bool {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    header("host") == "voice.example.com" && signature::is_valid(TOKEN, url, form, header("x-twilio-signature"))
}

async fn voice(headers: HeaderMap, Form(form): Form<Vec<(String, String)>>) -> Response {
    if !is_twilio(&headers, &format!("{PUBLIC}/voice"), &form) {
        return StatusCode::FORBIDDEN.into_response();
    }
    let stream = Stream {
        url: "wss://voice.example.com/twilio".into(),
        action: Some("/voice/after".into()),
        parameters: form,
        status_callback: None,
    };
    Twiml::connect(Some("Connecting you."), stream).to_string().into_response()
}

async fn after(headers: HeaderMap, Form(form): Form<Vec<(String, String)>>) -> Response {
    if !is_twilio(&headers, &format!("{PUBLIC}/voice/after"), &form) {
        return StatusCode::FORBIDDEN.into_response();
    }
    Twiml::hangup().to_string().into_response()
}

async fn upgrade(headers: HeaderMap, State(relay): State<Arc<Relay>>, upgrade: WebSocketUpgrade) -> Response {
    if !is_twilio(&headers, "wss://voice.example.com/twilio", &[]) {
        return StatusCode::FORBIDDEN.into_response();
    }
    upgrade.on_upgrade(move |phone| async move {
        // A leg that breaks ends the call; the reports say how.
        let _ = join(phone, &relay).await;
    })
}

async fn join(mut phone: WebSocket, relay: &Relay) -> Option<()> {
    let start = loop {
        let PhoneFrame::Text(text) = phone.recv().await?.ok()? else { continue };
        if let PhoneMessage::Start(start) = PhoneMessage::parse(&text).unwrap() {
            break start;
        }
    };
    assert_eq!(start.parameters["CallSid"], start.call_sid, "the TwiML's parameters come back");
    let writer = StreamWriter::new(&start.stream_sid);
    let mut request = relay.agent_url.as_str().into_client_request().unwrap();
    request.headers_mut().insert("authorization", "Token key".parse().unwrap());
    let (mut agent, _) = tokio_tungstenite::connect_async(request).await.ok()?;
    let (mut audio, mut half, mut applied, mut goodbye) = (Vec::new(), Vec::new(), false, false);
    loop {
        tokio::select! {
            frame = phone.recv() => {
                let PhoneFrame::Text(text) = frame?.ok()? else { continue };
                match PhoneMessage::parse(&text).unwrap() {
                    PhoneMessage::Media(media) if applied => {
                        media.decode_into(&mut audio).unwrap();
                        agent.send(Message::binary(to_agent(relay.format, &audio))).await.ok()?;
                    }
                    PhoneMessage::Dtmf { digit } => {
                        let content = format!("I pressed {digit}.");
                        agent.send(text_frame(ClientMessage::InjectUserMessage { content })).await.ok()?;
                    }
                    PhoneMessage::Mark { name } if name == "goodbye" => break,
                    _ => {}
                }
            }
            frame = agent.next() => match frame?.ok()? {
                Message::Binary(bytes) => {
                    half.extend_from_slice(&bytes);
                    let text = writer.media(&to_phone(relay.format, &mut half));
                    phone.send(PhoneFrame::text(text)).await.ok()?;
                }
                Message::Text(text) => match AgentMessage::parse(&text) {
                    Ok(AgentMessage::Welcome { .. }) => {
                        let settings = settings(relay.format, Some("Hello! What may I bring you?"));
                        agent.send(text_frame(ClientMessage::Settings(Box::new(settings)))).await.ok()?;
                    }
                    Ok(AgentMessage::SettingsApplied) => applied = true,
                    Ok(AgentMessage::UserStartedSpeaking) => phone.send(PhoneFrame::text(writer.clear())).await.ok()?,
                    Ok(AgentMessage::ConversationText { role: Role::Assistant, content }) => {
                        goodbye |= content.contains("Goodbye!");
                    }
                    Ok(AgentMessage::AgentAudioDone) => {
                        let name = if goodbye { "goodbye" } else { "reply" };
                        phone.send(PhoneFrame::text(writer.mark(name))).await.ok()?;
                    }
                    Ok(AgentMessage::FunctionCallRequest { functions }) => {
                        for call in functions {
                            serde_json::from_str::<Value>(&call.arguments).unwrap();
                            let content = answer(&call.name).to_string();
                            let response = ClientMessage::FunctionCallResponse { id: call.id, name: call.name, content };
                            agent.send(text_frame(response)).await.ok()?;
                        }
                    }
                    _ => {}
                },
                Message::Close(_) => break,
                _ => {}
            },
        }
    }
    let _ = agent.close(None).await;
    phone.send(PhoneFrame::Close(None)).await.ok()
}

pub(super) fn settings(format: AgentAudio, greeting: Option<&str>) -> Settings {
    let mut settings = crate::deepgram::settings::tests::settings();
    settings.audio = format.into();
    settings.flags = None;
    settings.agent.context = None;
    settings.agent.greeting = greeting.map(str::to_owned);
    settings
}

pub(super) fn text_frame(message: ClientMessage) -> Message {
    Message::text(message.to_json())
}

fn to_agent(format: AgentAudio, phone: &[u8]) -> Vec<u8> {
    match format {
        AgentAudio::Mulaw => phone.to_vec(),
        AgentAudio::Linear16 => phone.iter().flat_map(|code| mulaw::decode(*code).to_le_bytes().repeat(6)).collect(),
    }
}

fn to_phone(format: AgentAudio, agent: &mut Vec<u8>) -> Vec<u8> {
    match format {
        AgentAudio::Mulaw => std::mem::take(agent),
        AgentAudio::Linear16 => {
            let whole = agent.len() / 6 * 6;
            let taken: Vec<u8> = agent.drain(..whole).collect();
            taken.chunks(6).map(|bytes| mulaw::encode(i16::from_le_bytes([bytes[0], bytes[1]]))).collect()
        }
    }
}

/// Everything that one call left behind.
struct Traces {
    report: CallReport,
    events: Vec<Event>,
    taps: Vec<Tapped>,
}

impl Traces {
    fn of(&self, side: Side) -> Vec<&What> {
        self.events.iter().filter(|event| event.side == side).map(|event| &event.what).collect()
    }

    fn said(&self, side: Side) -> Vec<(Speaker, &str)> {
        let said = |what: &'_ &What| matches!(what, What::Said { .. });
        self.of(side)
            .into_iter()
            .filter(said)
            .map(|what| match what {
                What::Said { who, text } => (*who, text.as_str()),
                other => panic!("{other:?} was said"),
            })
            .collect()
    }

    /// Nothing went wrong, and every message between agent and relay was as the schema has it.
    fn assert_clean(&self) {
        for event in &self.events {
            assert!(!matches!(event.what, What::Surprise(_) | What::ExpectationFailed(_)), "{event:?}");
        }
        let mut seen = 0;
        for tapped in self.taps.iter().filter(|tapped| tapped.side == Side::Agent) {
            let direction = if tapped.sent { Direction::FromAgent } else { Direction::FromClient };
            assert_valid(direction, &tapped.text);
            seen += 1;
        }
        assert!(seen > 3, "the tap saw too little");
    }
}

fn watched() -> (Observer, UnboundedReceiver<Event>, UnboundedReceiver<Tapped>) {
    let (events, seen) = unbounded_channel();
    let (tap, tapped) = unbounded_channel();
    (Observer { events: Some(events), tap: Some(tap) }, seen, tapped)
}

/// One call of a script from end to end.
async fn call(script: Script, format: AgentAudio, options: CallerOptions) -> Traces {
    let (observer, mut events, mut taps) = watched();
    let agent_options = AgentOptions { speed: SPEED, observer: observer.clone(), ..AgentOptions::default() };
    let agent = SimulatedAgent::start([script.clone()], agent_options).await.unwrap();
    let address = serve(Relay { agent_url: agent.url(), format }).await;
    let caller = SimulatedCaller::new(CallerOptions { observer, ..caller_options(address, options) }).unwrap();
    let report = caller.call(&script).await.unwrap();
    agent.stop().await;
    drop(caller);
    let (mut all_events, mut all_taps) = (Vec::new(), Vec::new());
    while let Ok(event) = events.try_recv() {
        all_events.push(event);
    }
    while let Ok(tapped) = taps.try_recv() {
        all_taps.push(tapped);
    }
    Traces { report, events: all_events, taps: all_taps }
}

fn caller_options(address: std::net::SocketAddr, options: CallerOptions) -> CallerOptions {
    CallerOptions {
        base: format!("http://{address}"),
        public_base: Some(PUBLIC.into()),
        auth_token: Some(SecretString::from(TOKEN)),
        dial_streams_at: Some(address),
        speed: SPEED,
        ..options
    }
}

#[tokio::test]
async fn a_drink_is_ordered_from_greeting_to_goodbye() {
    let traces = call(Script::boba(), AgentAudio::Mulaw, CallerOptions::default()).await;
    traces.assert_clean();
    let report = &traces.report;
    assert_eq!(report.closed_by, ClosedBy::Server);
    assert!(report.finished);
    assert_eq!(report.after.as_deref(), Some(Twiml::hangup().to_string().as_str()));
    assert_eq!(report.marks_echoed.len(), 6, "{:?}", report.marks_echoed);
    assert_eq!(report.clears, 5, "one for each time the caller spoke");
    let clip = super::voice::Sound { text: "", clip: Some(super::Clip::AgentReply) }.of_the_agent(AgentAudio::Mulaw);
    let clip_heard = report.heard.windows(clip.len()).any(|window| window == &clip[..]);
    assert!(clip_heard, "the recording was played whole");

    let said = traces.said(Side::Agent);
    assert_eq!(said[0], (Speaker::Agent, "Hello! What may I bring you?"));
    assert_eq!(said[1], (Speaker::Caller, "Hi, I'd like a taro milk tea with boba please."));
    let number = "Your order number is 4, 7, 8, 2. We will text you when it is ready.";
    assert!(said.contains(&(Speaker::Agent, number)), "{said:?}");
    assert_eq!(said.last(), Some(&(Speaker::Agent, "Thank you. Goodbye!")));
    // Each side tells the same lines of the caller's, in the same order.
    let callers = |said: Vec<(Speaker, &str)>| -> Vec<String> {
        said.into_iter().filter(|(who, _)| *who == Speaker::Caller).map(|(_, text)| text.to_owned()).collect()
    };
    assert_eq!(callers(traces.said(Side::Agent)), callers(traces.said(Side::Caller)));
    let tools: Vec<&str> = traces
        .of(Side::Agent)
        .into_iter()
        .filter_map(|what| match what {
            What::ToolAnswered { name, .. } => Some(name.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(tools, ["add_to_cart", "confirm_pending_to_cart", "save_phone_number", "checkout_order", "end_call"]);
    assert_eq!(traces.of(Side::Agent).last(), Some(&&What::CallEnded { finished: true }));
    assert_eq!(traces.of(Side::Caller).last(), Some(&&What::CallEnded { finished: true }));
}

#[tokio::test]
async fn linear_audio_is_heard_just_as_well() {
    let mut script = Script::coffee();
    // The relay's answer is another order's.
    script.steps.retain(|step| !matches!(step, super::script::Step::Expect(_)));
    let traces = call(script, AgentAudio::Linear16, CallerOptions::default()).await;
    traces.assert_clean();
    assert_eq!(traces.report.closed_by, ClosedBy::Server);
    assert_eq!(traces.of(Side::Agent).last(), Some(&&What::CallEnded { finished: true }));
}

#[tokio::test]
async fn a_caller_interrupts() {
    let script = Script::parse(
        r#"
        name = "barge-in"
        greeting = true
        behaviour = { late_audio_ms = 100 }
        [[step]]
        caller = "Hello"
        [[step]]
        agent = "Welcome to the shop, let me read you the whole menu, which is long and has very many drinks on it, and then some more of them."
        [[step]]
        caller = "No, stop it."
        interrupt_after_ms = 400
        [[step]]
        agent = "Sure. Goodbye!"
        "#,
    )
    .unwrap();
    let traces = call(script, AgentAudio::Mulaw, CallerOptions::default()).await;
    traces.assert_clean();
    assert!(traces.of(Side::Agent).contains(&&What::Interrupted));
    assert_eq!(traces.report.closed_by, ClosedBy::Server);
    assert_eq!(traces.report.clears, 2);
    // The menu alone would have been 64,000 bytes.
    assert!(traces.report.heard.len() < 50_000, "{}", traces.report.heard.len());
    let kinds: Vec<Value> = traces
        .taps
        .iter()
        .filter(|tapped| tapped.side == Side::Agent && tapped.sent)
        .map(|tapped| serde_json::from_str::<Value>(&tapped.text).unwrap()["type"].clone())
        .collect();
    let place = |kind: &str| kinds.iter().rposition(|seen| seen == kind).unwrap();
    assert_eq!(kinds[place("UserStartedSpeaking") + 1], "AgentAudioDone");
}

#[tokio::test]
async fn keys_are_a_turn_of_their_own() {
    let script = Script::parse(
        r#"
        name = "keys"
        [[step]]
        digits = "7"
        [[step]]
        agent = "Seven it is. Goodbye!"
        "#,
    )
    .unwrap();
    let traces = call(script, AgentAudio::Mulaw, CallerOptions::default()).await;
    traces.assert_clean();
    assert!(traces.said(Side::Agent).contains(&(Speaker::Caller, "I pressed 7.")));
    assert_eq!(traces.report.closed_by, ClosedBy::Server);
}

#[tokio::test]
async fn a_caller_hangs_up_early_and_both_ends_see_it() {
    let options = CallerOptions { hang_up_after: Some(Duration::from_millis(1500)), ..CallerOptions::default() };
    let traces = call(Script::boba(), AgentAudio::Mulaw, options).await;
    traces.assert_clean();
    assert_eq!(traces.report.closed_by, ClosedBy::Caller);
    assert_eq!((traces.report.frames_sent, traces.report.after.as_deref()), (75, None));
    assert_eq!(traces.of(Side::Agent).last(), Some(&&What::CallEnded { finished: false }));
    let sent: Vec<&str> = traces
        .taps
        .iter()
        .filter(|tapped| tapped.side == Side::Caller && tapped.sent)
        .map(|tapped| tapped.text.as_str())
        .collect();
    assert!(sent.last().unwrap().contains(r#""event":"stop""#));
}

#[tokio::test]
async fn an_unsigned_caller_is_turned_away() {
    let agent = SimulatedAgent::start([], AgentOptions::default()).await.unwrap();
    let address = serve(Relay { agent_url: agent.url(), format: AgentAudio::Mulaw }).await;
    let signed = caller_options(address, CallerOptions::default());
    let wrong_token = CallerOptions { auth_token: Some(SecretString::from("another")), ..signed.clone() };
    let error = SimulatedCaller::new(wrong_token).unwrap().call(&Script::boba()).await.unwrap_err();
    assert!(matches!(error, CallerError::Status { status: 403, .. }), "{error}");
    let half_signed = CallerOptions { sign_upgrade: false, ..signed };
    let error = SimulatedCaller::new(half_signed).unwrap().call(&Script::boba()).await.unwrap_err();
    assert!(matches!(error, CallerError::Stream(_)), "{error}");
    assert_eq!(agent.connections(), 0);
}
