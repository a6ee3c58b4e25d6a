//! A shop's own program at the other end of the webhook: believes only what is signed and fresh, and answers as told.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, LOCATION, RETRY_AFTER};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use sha2::Sha256;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::task::JoinHandle;

pub(crate) const SECRET: &str = "a webhook secret of the tests";
/// How old a notice may be, and how far ahead.
const MOST_SECONDS: i64 = 300;

pub(crate) struct WebhookReceiver {
    address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
    serving: JoinHandle<()>,
}

#[derive(Default)]
struct Seen {
    answers: VecDeque<(StatusCode, String)>,
    believed: Vec<Notice>,
    refused: usize,
}

/// What was sent, with a signature that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Notice {
    pub(crate) delivery: String,
    /// Seconds since 1970.
    pub(crate) timestamp: i64,
    pub(crate) body: String,
}

impl WebhookReceiver {
    /// Answers 204 unless told otherwise.
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let seen = Arc::new(Mutex::new(Seen::default()));
        let routes = Router::new().fallback(any(receive)).with_state(Arc::clone(&seen));
        let serving = tokio::spawn(async move { axum::serve(listener, routes).await.expect("the receiver serves") });
        Self { address, seen, serving }
    }

    /// `WEBHOOK_URL`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/hooks/orders", self.address)
    }

    /// The next notice that is believed is answered with this status, and a header that goes with it: where a 3xx points,
    /// when to come again, nothing.
    pub(crate) fn answer_next(&self, status: u16, header: &str) {
        let status = StatusCode::from_u16(status).expect("a status");
        self.seen().answers.push_back((status, header.to_owned()));
    }

    /// What was believed since the last look.
    pub(crate) fn notices(&self) -> Vec<Notice> {
        std::mem::take(&mut self.seen().believed)
    }

    /// How many were not believed.
    pub(crate) fn refused(&self) -> usize {
        self.seen().refused
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().expect("no handler panics")
    }
}

impl Drop for WebhookReceiver {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn receive(State(seen): State<Arc<Mutex<Seen>>>, headers: HeaderMap, body: Bytes) -> Response {
    let mut seen = seen.lock().expect("no handler panics");
    let Some(notice) = verified(&headers, &body) else {
        seen.refused += 1;
        return StatusCode::UNAUTHORIZED.into_response();
    };
    seen.believed.push(notice);
    let (status, header) = seen.answers.pop_front().unwrap_or((StatusCode::NO_CONTENT, String::new()));
    let name = if status.is_redirection() { LOCATION } else { RETRY_AFTER };
    if header.is_empty() { status.into_response() } else { (status, [(name, header)]).into_response() }
}

fn verified(headers: &HeaderMap, body: &[u8]) -> Option<Notice> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let timestamp = header("X-Bobarista-Timestamp")?;
    let signature = header("X-Bobarista-Signature")?.strip_prefix("v1=")?;
    let digits =
        signature.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
    let signature: Vec<u8> = digits.collect::<Option<_>>()?;
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("a key");
    mac.update(format!("{timestamp}.").as_bytes());
    mac.update(body);
    // Compares in constant time.
    mac.verify_slice(&signature).ok()?;
    let timestamp: i64 = timestamp.parse().ok()?;
    let fresh = (Timestamp::now().as_second() - timestamp).abs() <= MOST_SECONDS;
    let json = header(CONTENT_TYPE.as_str()) == Some("application/json");
    let delivery = header("X-Bobarista-Delivery")?.to_owned();
    (fresh && json).then(|| Notice { delivery, timestamp, body: String::from_utf8_lossy(body).into_owned() })
}
