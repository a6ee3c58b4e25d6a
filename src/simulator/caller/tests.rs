//! The simulated telephone against peers that speak just enough: what it sends, plays, echoes and refuses.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Form, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::{any, post};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::{CallReport, CallerError, CallerOptions, ClosedBy, SimulatedCaller};
use crate::simulator::Script;
use crate::twilio::message::{PhoneMessage, StreamWriter};
use crate::twilio::twiml::{Stream, Twiml};

/// What a stream is to be sent, and what is to happen then.
type Plot = Vec<Act>;

#[derive(Clone)]
enum Act {
    /// 160 bytes for each number, of that value.
    Audio(Vec<u8>),
    Mark(&'static str),
    Clear,
    /// Waits until this mark is echoed.
    Await(&'static str),
    Raw(Message),
    Close,
    /// Without a close frame.
    Drop,
    /// Listens for as long as the other side wants.
    Listen,
}

struct Peer {
    plot: Plot,
    seen: UnboundedSender<String>,
}

/// A server whose stream follows a plot, and the text frames that it saw.
async fn peer(plot: Plot) -> (SocketAddr, UnboundedReceiver<String>) {
    let (seen, frames) = unbounded_channel();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let voice = move || async move {
        let stream = Stream {
            url: format!("ws://{address}/twilio"),
            action: Some("/after?reason=\"x\"".into()),
            parameters: vec![("token".into(), "<&>".into())],
            ..Stream::default()
        };
        Twiml::connect(None, stream).to_string()
    };
    let after = |Form(form): Form<Vec<(String, String)>>| async move {
        assert!(form.contains(&("CallStatus".into(), "in-progress".into())));
        Twiml::hangup().to_string()
    };
    let router = Router::new()
        .route("/voice", post(voice))
        .route("/after", post(after))
        .route("/twilio", any(upgrade))
        .with_state(Arc::new(Peer { plot, seen }));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (address, frames)
}

async fn upgrade(State(peer): State<Arc<Peer>>, upgrade: WebSocketUpgrade) -> impl IntoResponse {
    upgrade.on_upgrade(move |socket| async move {
        let _ = follow(socket, &peer).await;
    })
}

async fn follow(mut socket: WebSocket, peer: &Peer) -> Option<()> {
    let sid = loop {
        let Message::Text(text) = socket.recv().await?.ok()? else { continue };
        let _ = peer.seen.send(text.to_string());
        if let PhoneMessage::Start(start) = PhoneMessage::parse(&text).unwrap() {
            assert_eq!(start.parameters["token"], "<&>");
            break start.stream_sid;
        }
    };
    let writer = StreamWriter::new(&sid);
    for act in &peer.plot {
        let frame = match act {
            Act::Audio(values) => {
                let audio: Vec<u8> = values.iter().flat_map(|value| [*value; 160]).collect();
                Message::text(writer.media(&audio))
            }
            Act::Mark(name) => Message::text(writer.mark(name)),
            Act::Clear => Message::text(writer.clear()),
            Act::Raw(frame) => frame.clone(),
            Act::Close => Message::Close(None),
            Act::Drop => return None,
            Act::Await(wanted) => {
                loop {
                    let Message::Text(text) = socket.recv().await?.ok()? else { continue };
                    let _ = peer.seen.send(text.to_string());
                    let echoed = PhoneMessage::parse(&text).unwrap();
                    if matches!(echoed, PhoneMessage::Mark { name } if name == *wanted) {
                        break;
                    }
                }
                continue;
            }
            Act::Listen => {
                while let Message::Text(text) = socket.recv().await?.ok()? {
                    let _ = peer.seen.send(text.to_string());
                }
                continue;
            }
        };
        socket.send(frame).await.ok()?;
    }
    // Read on until the other side has closed, too, so that no reset overtakes what was sent.
    while socket.recv().await?.is_ok() {}
    Some(())
}

fn script(steps: &str) -> Script {
    Script::parse(&format!("name = \"x\"\n{steps}")).unwrap()
}

fn listener() -> Script {
    script("[[step]]\nagent = \"The caller only listens to this.\"")
}

async fn call(address: SocketAddr, script: &Script, options: CallerOptions) -> CallReport {
    let options = CallerOptions { base: format!("http://{address}"), speed: 20.0, ..options };
    SimulatedCaller::new(options).unwrap().call(script).await.unwrap()
}

#[tokio::test]
async fn audio_is_played_in_order_and_marks_say_when() {
    let plot = vec![
        Act::Audio(vec![1, 2, 3]),
        Act::Mark("a"),
        Act::Audio(vec![4]),
        Act::Mark("b"),
        Act::Mark("c"),
        Act::Await("c"),
        Act::Mark("on an empty line"),
        Act::Await("on an empty line"),
        Act::Close,
    ];
    let (address, _) = peer(plot).await;
    let report = call(address, &listener(), CallerOptions::default()).await;
    assert_eq!(report.heard, [1_u8, 2, 3, 4].map(|value| [value; 160]).concat());
    assert_eq!(report.marks_echoed, ["a", "b", "c", "on an empty line"]);
    assert_eq!((report.frames_received, report.clears), (2, 0));
    assert_eq!((report.closed_by, report.after), (ClosedBy::Server, Some(Twiml::hangup().to_string())));
    // Four frames are heard at 0, 1, 2 and 3 ms, at this speed.
    assert!(report.frames_sent >= 4 && report.duration >= Duration::from_millis(3), "it took its time");
}

#[tokio::test]
async fn clear_drops_what_is_queued_and_echoes_what_waits() {
    let plot = vec![
        Act::Audio(vec![1; 5000]),
        Act::Mark("never heard"),
        Act::Clear,
        Act::Await("never heard"),
        Act::Audio(vec![2]),
        Act::Mark("heard"),
        Act::Await("heard"),
        Act::Close,
    ];
    let (address, _) = peer(plot).await;
    let report = call(address, &listener(), CallerOptions::default()).await;
    assert_eq!(report.clears, 1);
    assert_eq!(report.marks_echoed, ["never heard", "heard"]);
    assert_eq!(report.heard.iter().filter(|byte| **byte == 2).count(), 160);
    assert!(report.heard.len() < 160 * 1000, "100 s were queued, and dropped");
}

#[tokio::test]
async fn a_frame_is_sent_every_20_ms_as_twilio_would() {
    let (address, mut frames) = peer(vec![Act::Listen]).await;
    let options = CallerOptions { hang_up_after: Some(Duration::from_secs(4)), ..CallerOptions::default() };
    let script = script("greeting = false\n[[step]]\ncaller = \"Hi\"");
    let report = call(address, &script, options).await;
    assert_eq!((report.frames_sent, report.closed_by, report.finished), (200, ClosedBy::Caller, true));
    let mut sent = Vec::new();
    while let Ok(text) = frames.try_recv() {
        sent.push(text);
    }
    assert_eq!(sent.len(), 203, "connected, start, two hundred frames, stop");
    let number = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap()["sequenceNumber"].clone();
    for (index, text) in sent.iter().enumerate().skip(1) {
        assert_eq!(number(text), index.to_string());
    }
    let mut audio = Vec::new();
    let mut spoken = 0;
    for text in &sent {
        if let PhoneMessage::Media(media) = PhoneMessage::parse(text).unwrap() {
            media.decode_into(&mut audio).unwrap();
            assert_eq!(audio.len(), 160);
            spoken += u32::from(audio.iter().any(|byte| *byte != crate::audio::mulaw::SILENCE));
        }
    }
    assert_eq!(spoken, 25, "half a second of speech");
    assert_eq!(PhoneMessage::parse(sent.last().unwrap()).unwrap(), PhoneMessage::Stop);
}

#[tokio::test]
async fn what_twilio_does_not_take_ends_the_call() {
    for frame in [
        Message::text(r#"{"event":"stop","streamSid":"x"}"#),
        Message::text("not json"),
        Message::binary(vec![0; 160]),
        Message::text(r#"{"event":"media","streamSid":"MZ0","media":{"payload":"AAAA"}}"#),
    ] {
        let (address, _) = peer(vec![Act::Raw(frame), Act::Listen]).await;
        let report = call(address, &listener(), CallerOptions::default()).await;
        assert!(matches!(report.closed_by, ClosedBy::Violation(_)), "{:?}", report.closed_by);
        assert_eq!(report.after, None);
    }
}

#[tokio::test]
async fn a_dropped_connection_is_told_from_a_close() {
    let (address, _) = peer(vec![Act::Audio(vec![1]), Act::Mark("a"), Act::Await("a"), Act::Drop]).await;
    let report = call(address, &listener(), CallerOptions::default()).await;
    assert_eq!(report.closed_by, ClosedBy::Dropped);
    assert!(report.after.is_some(), "the call goes on with the action all the same");
}

/// What the peer saw of a call with a fault on its line, by the kind of each message.
async fn faulty_line(plot: Plot, steps: &str) -> (CallReport, Vec<String>) {
    let (address, mut frames) = peer(plot).await;
    let report = call(address, &script(&format!("greeting = false\nstep = [{steps}]")), CallerOptions::default()).await;
    let mut seen = Vec::new();
    while let Ok(text) = frames.try_recv() {
        let message: serde_json::Value = serde_json::from_str(&text).unwrap();
        seen.push(message["event"].as_str().unwrap().to_owned());
    }
    (report, seen)
}

#[tokio::test]
async fn a_line_breaks_and_twilio_asks_how_the_call_goes_on() {
    let (report, seen) =
        faulty_line(vec![Act::Listen], "{ caller = \"Hi\" }, { line = \"drop\", after_ms = 200 }").await;
    assert_eq!((report.closed_by, report.finished), (ClosedBy::Cut, true));
    assert!(report.after.is_some(), "the call goes on with the action");
    assert!(!seen.contains(&"stop".to_owned()));
    let (address, _) = peer(vec![Act::Close]).await;
    let options = CallerOptions { asks_after: false, ..CallerOptions::default() };
    let report = call(address, &listener(), options).await;
    assert_eq!((report.closed_by, report.after), (ClosedBy::Server, None));
}

#[tokio::test]
async fn a_line_says_start_again_stops_early_and_pauses() {
    let steps = "{ line = \"start_again\" }, { line = \"stop\", after_ms = 100 }, \
        { line = \"pause\", after_ms = 200, for_ms = 400 }, { line = \"drop\", after_ms = 1000 }";
    let (report, seen) = faulty_line(vec![Act::Listen], steps).await;
    let place = |kind: &str| seen.iter().rposition(|seen| seen == kind);
    assert_eq!(seen.iter().filter(|kind| *kind == "start").count(), 2);
    assert!(place("start") < place("stop") && place("stop") < place("media"), "{seen:?}");
    // A second has fifty ticks; for twenty of them nothing went out.
    assert_eq!((report.frames_sent, report.closed_by), (30, ClosedBy::Cut));
}

#[tokio::test]
async fn marks_come_late_or_never() {
    let marked = vec![Act::Audio(vec![1]), Act::Mark("a"), Act::Await("a"), Act::Close];
    let steps = "{ line = \"hold_marks\", for_ms = 1000 }, { line = \"drop\", after_ms = 20000 }";
    let (report, seen) = faulty_line(marked.clone(), steps).await;
    assert_eq!((report.closed_by, &report.marks_echoed[..]), (ClosedBy::Server, &["a".to_owned()][..]));
    assert!(seen.iter().filter(|kind| *kind == "media").count() >= 49, "{seen:?}");
    let (report, seen) =
        faulty_line(marked, "{ line = \"lose_marks\" }, { line = \"drop\", heard_ms = 20, after_ms = 1000 }").await;
    assert_eq!((report.closed_by, report.marks_echoed.len()), (ClosedBy::Cut, 0));
    assert!(!seen.contains(&"mark".to_owned()));
}

#[tokio::test]
async fn every_call_ends() {
    let (address, _) = peer(vec![Act::Listen]).await;
    let options = CallerOptions { limit: Duration::from_secs(2), ..CallerOptions::default() };
    let report = call(address, &listener(), options).await;
    assert_eq!(report.closed_by, ClosedBy::Limit);
    let (address, _) = peer(vec![Act::Listen]).await;
    let report = call(address, &script("greeting = false\n[[step]]\nhang_up = true"), CallerOptions::default()).await;
    assert_eq!((report.closed_by, report.frames_sent), (ClosedBy::Caller, 149), "after the least pause, at this speed");
}

#[tokio::test]
async fn answers_without_a_stream_are_calls_too() {
    async fn answering(status: StatusCode, body: &'static str) -> Result<CallReport, CallerError> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().route("/voice", post(move || async move { (status, body) }));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let options = CallerOptions { base, ..CallerOptions::default() };
        SimulatedCaller::new(options).unwrap().call(&Script::boba()).await
    }
    let report = answering(StatusCode::OK, "<Response><Say>Closed.</Say><Hangup/></Response>").await.unwrap();
    assert_eq!((report.closed_by, report.finished, report.frames_sent), (ClosedBy::NoStream, false, 0));
    let error = answering(StatusCode::SERVICE_UNAVAILABLE, "full").await.unwrap_err();
    assert_eq!(error.to_string(), "the webhook /voice answered 503: full");
    assert!(matches!(answering(StatusCode::OK, "Hello").await, Err(CallerError::Twiml(_))));
    let nobody = "<Response><Connect><Stream url='ws://127.0.0.1:1/'/></Connect></Response>";
    assert!(matches!(answering(StatusCode::OK, nobody).await, Err(CallerError::Stream(_))));
}

#[test]
fn bad_addresses_are_refused() {
    for base in ["", "127.0.0.1:8000", "ws://127.0.0.1", "file:///etc"] {
        let options = CallerOptions { base: base.into(), ..CallerOptions::default() };
        assert!(matches!(SimulatedCaller::new(options), Err(CallerError::Address(_))), "{base}");
    }
}
