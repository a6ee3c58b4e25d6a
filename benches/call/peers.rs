//! The load: phones and agents that send and hear a frame every 20 ms, as cheaply as they can.

use super::process::{Child, Cost};
use super::relay::config;
use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, accept_async_with_config, client_async_with_config};

const FRAME: Duration = Duration::from_millis(20);

/// How the far end of the agent leg behaves.
#[derive(Clone, Copy)]
pub(crate) enum AgentKind {
    /// Speaks at once.
    Bare,
    /// Speaks once the settings are there.
    Deepgram,
}

/// How the far end of the phone leg behaves.
#[derive(Clone, Copy)]
pub(crate) enum PhoneKind {
    /// Sends media at once.
    Bare,
    /// Asks the voice webhook for a token and starts a stream with it.
    Twilio,
}

/// An agent server on a free port; every connection is spoken to in chunks of so many bytes.
pub(crate) async fn agent(kind: AgentKind, chunk_bytes: usize) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                socket.set_nodelay(true).expect("a TCP socket");
                let mut socket = accept_async_with_config(socket, Some(config())).await.expect("a handshake");
                if matches!(kind, AgentKind::Deepgram) {
                    let welcome = Message::text(r#"{"type":"Welcome","request_id":"bench"}"#);
                    socket.send(welcome).await.expect("a listener");
                    socket.next().await.expect("the settings").expect("the settings");
                    socket.send(Message::text(r#"{"type":"SettingsApplied"}"#)).await.expect("a listener");
                }
                let speech = bytes::Bytes::from((0..chunk_bytes).map(|at| at as u8).collect::<Vec<_>>());
                exchange(&mut socket, || Message::Binary(speech.clone()), None).await;
            });
        }
    });
    address
}

/// Some calls at once, for a time.
pub(crate) struct Load {
    pub(crate) phone: PhoneKind,
    pub(crate) address: SocketAddr,
    pub(crate) calls: usize,
    pub(crate) time: Duration,
}

impl Load {
    /// Makes the calls and tells what they cost the process in the middle of them.
    pub(crate) async fn run(self, child: &Child) -> Cost {
        let http = reqwest_client();
        let idle_kib = child.settled_kib().await;
        let load = Arc::new(self);
        // Set-up, the measured time, and a second to spare.
        let until = Instant::now() + load.time + Duration::from_secs(3);
        let mut phones = tokio::task::JoinSet::new();
        for number in 0..load.calls {
            let (load, http) = (Arc::clone(&load), http.clone());
            phones.spawn(async move { load.phone(number, &http, until).await });
            tokio::time::sleep(FRAME / 4).await;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        let (before, begun) = (child.cpu_ms(), Instant::now());
        tokio::time::sleep(load.time).await;
        let cpu_ms = (child.cpu_ms() - before) / (begun.elapsed().as_secs_f64() * load.calls as f64);
        let kib = (child.resident_kib() - idle_kib) / load.calls as f64;
        let expected = (load.time.as_millis() / FRAME.as_millis()) as u64 * 9 / 10;
        while let Some(heard) = phones.join_next().await {
            let heard = heard.expect("a phone that does not panic");
            assert!(heard >= expected, "a call heard {heard} messages, not {expected}: this is no measurement");
        }
        Cost { cpu_ms, kib }
    }

    /// One call; how many messages it heard.
    async fn phone(&self, number: usize, http: &reqwest::Client, until: Instant) -> u64 {
        let call_sid = format!("CA{number:032}");
        let token = match self.phone {
            PhoneKind::Bare => String::new(),
            PhoneKind::Twilio => self.token(&call_sid, http).await,
        };
        let socket = TcpStream::connect(self.address).await.expect("a listener");
        socket.set_nodelay(true).expect("a TCP socket");
        let url = format!("ws://{}/twilio", self.address);
        let (mut socket, _) = client_async_with_config(url, socket, Some(config())).await.expect("a handshake");
        if matches!(self.phone, PhoneKind::Twilio) {
            let start = json!({
                "event": "start", "sequenceNumber": "1", "streamSid": "MZbench",
                "start": {
                    "streamSid": "MZbench", "accountSid": "ACbench", "callSid": call_sid, "tracks": ["inbound"],
                    "customParameters": {"token": token},
                    "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
                },
            });
            socket.send(Message::text(start.to_string())).await.expect("a listener");
        }
        let media = json!({
            "event": "media", "sequenceNumber": "2", "streamSid": "MZbench",
            "media": {"track": "inbound", "chunk": "1", "timestamp": "20", "payload": "fX9+".repeat(53) + "fw=="},
        });
        let media = tokio_tungstenite::tungstenite::Utf8Bytes::from(media.to_string());
        exchange(&mut socket, || Message::Text(media.clone()), Some(until)).await
    }

    async fn token(&self, call_sid: &str, http: &reqwest::Client) -> String {
        let url = format!("http://{}/voice", self.address);
        let form = [("CallSid", call_sid), ("From", "+15551234567"), ("To", "+15557654321")];
        let twiml = http.post(url).form(&form).send().await.expect("an answer").text().await.expect("TwiML");
        let (_, rest) = twiml.split_once(r#"name="token" value=""#).expect("a token");
        rest.split('"').next().expect("a token").to_owned()
    }
}

/// Sends a message every 20 ms and hears everything, until `until` or the end of the socket.
async fn exchange(
    socket: &mut WebSocketStream<TcpStream>,
    message: impl Fn() -> Message,
    until: Option<Instant>,
) -> u64 {
    let mut ticks = tokio::time::interval(FRAME);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut heard = 0;
    loop {
        tokio::select! {
            at = ticks.tick() => {
                if until.is_some_and(|until| at >= until) || socket.send(message()).await.is_err() {
                    return heard;
                }
            }
            received = socket.next() => match received {
                Some(Ok(_)) => heard += 1,
                _ => return heard,
            },
        }
    }
}

fn reqwest_client() -> reqwest::Client {
    // Whoever came first has chosen the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // Idle webhook connections would count as memory of the calls.
    reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build().expect("an HTTP client")
}
