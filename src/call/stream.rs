//! The WebSocket door: a socket becomes a call only after a `start` with a token that we gave to that call.

use super::Calls;
use super::live::Expected;
use crate::rates::Seldom;
use crate::twilio::message::{PhoneMessage, Start};
use crate::twilio::signature;
use axum::Router;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use secrecy::ExposeSecret;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::Instrument;

/// A socket that sends no `start` for so long is closed.
const START_LIMIT: Duration = Duration::from_secs(10);
/// Twilio's frames are under 1 KiB.
const MAX_FRAME_BYTES: usize = 64 << 10;
/// Some frames at once. The library zero-fills the whole buffer before every read, and every call has its own.
const BUFFER_BYTES: usize = 2 << 10;
/// Messages before `start`: `connected`, and room for what Twilio may add.
const MAX_BEFORE_START: usize = 16;

/// What strangers are refused, told seldom: they may ask as often as they like.
static FORGED: Seldom = Seldom::new();
static CROWDED: Seldom = Seldom::new();

pub(super) fn router(calls: Calls) -> Router {
    Router::new().route("/twilio", any(open)).with_state(calls)
}

/// Room for one more socket that has not begun, held until it has; whoever serves the routes puts it into the request's
/// extensions. Without one nobody has counted.
#[derive(Clone)]
pub struct Room(Option<Arc<dyn Send + Sync>>);

impl Room {
    /// What is dropped when the socket has begun or is gone; none: there is no room.
    pub fn new<T: Send + Sync + 'static>(held: Option<T>) -> Self {
        Self(held.map(|held| Arc::new(held) as Arc<dyn Send + Sync>))
    }
}

async fn open(
    State(calls): State<Calls>,
    uri: Uri,
    headers: HeaderMap,
    room: Option<Extension<Room>>,
    upgrade: WebSocketUpgrade,
) -> Response {
    let room = match (calls.whose_upgrade(uri.path(), &headers), room) {
        (Upgrade::Forged, _) => {
            if let Some(count) = FORGED.once_more(Instant::now()) {
                tracing::warn!(count, "a media stream was refused: its signature is not Twilio's");
            }
            return (StatusCode::FORBIDDEN, "this request was not signed by Twilio for this account").into_response();
        }
        // No number of strangers keeps Twilio out.
        (Upgrade::Twilios, _) | (Upgrade::Unsigned, None) => None,
        (Upgrade::Unsigned, Some(Extension(Room(None)))) => {
            if let Some(count) = CROWDED.once_more(Instant::now()) {
                tracing::warn!(count, "a media stream was refused: too many have not begun");
            }
            return (StatusCode::SERVICE_UNAVAILABLE, "too many streams have not begun").into_response();
        }
        (Upgrade::Unsigned, Some(Extension(Room(held)))) => held,
    };
    if calls.is_stopping() {
        return (StatusCode::SERVICE_UNAVAILABLE, "the server is stopping").into_response();
    }
    upgrade
        .read_buffer_size(BUFFER_BYTES)
        .write_buffer_size(BUFFER_BYTES)
        .max_message_size(MAX_FRAME_BYTES)
        .max_frame_size(MAX_FRAME_BYTES)
        .on_upgrade(move |socket| {
            let tasks = calls.tasks().clone();
            // Boxed: a future of this size would otherwise be carried along by everything that is generic over it.
            tasks.track_future(Box::pin(serve(calls, socket, room)))
        })
}

async fn serve(calls: Calls, mut socket: WebSocket, room: Option<Arc<dyn Send + Sync>>) {
    let admitted = tokio::time::timeout(START_LIMIT, admit(&calls, &mut socket)).await;
    drop(room);
    match admitted.unwrap_or(Err(NotAdmitted::TooSlow)) {
        Ok((start, expected)) => {
            // At the level of errors, so that no `LOG_LEVEL` takes the call off an error.
            let span =
                tracing::error_span!("call", call.sid = %start.call_sid, correlation.id = %expected.correlation_id);
            calls.run(socket, *start, expected).instrument(span).await;
        }
        Err(NotAdmitted::Gone) => tracing::debug!("a media socket was closed before its start"),
        Err(why) => {
            tracing::warn!("a media socket was closed: {why}");
            // A close frame has room for 123 bytes of reason.
            let reason: String = why.to_string().chars().filter(char::is_ascii).take(120).collect();
            let frame = CloseFrame { code: close_code::POLICY, reason: Utf8Bytes::from(reason) };
            // The peer may be gone already, or not read: it was not admitted, so nothing is owed to it.
            let _ = tokio::time::timeout(Duration::from_secs(1), socket.send(Message::Close(Some(frame)))).await;
        }
    }
}

/// Why a socket did not become a call.
#[derive(Debug, thiserror::Error)]
enum NotAdmitted {
    #[error("no start within {} s", START_LIMIT.as_secs())]
    TooSlow,
    #[error("its start has no valid token for its call")]
    BadToken,
    #[error("its audio is {0}, not audio/x-mulaw at 8000 Hz in one channel")]
    BadFormat(String),
    #[error("its call is in progress already")]
    Twice,
    #[error("too many messages before start")]
    NoStart,
    #[error("a message could not be read: {}", .0.chars().take(120).collect::<String>())]
    Unreadable(String),
    #[error("it went away")]
    Gone,
}

async fn admit(calls: &Calls, socket: &mut WebSocket) -> Result<(Box<Start>, Expected), NotAdmitted> {
    for _ in 0..MAX_BEFORE_START {
        let text = match socket.recv().await {
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
            Some(Ok(Message::Binary(_))) => return Err(NotAdmitted::Unreadable("it is binary".to_owned())),
            Some(Err(error)) => return Err(NotAdmitted::Unreadable(error.to_string())),
            Some(Ok(Message::Close(_))) | None => return Err(NotAdmitted::Gone),
        };
        match PhoneMessage::parse(text.as_str()) {
            Ok(PhoneMessage::Start(start)) => return calls.check(start),
            Ok(PhoneMessage::Connected | PhoneMessage::Unknown { .. }) => {}
            Ok(PhoneMessage::Stop) => return Err(NotAdmitted::Gone),
            Ok(_) => tracing::warn!("a media socket sends audio, marks or keys before its start; they are ignored"),
            Err(error) => return Err(NotAdmitted::Unreadable(error.to_string())),
        }
    }
    Err(NotAdmitted::NoStart)
}

impl Calls {
    fn check(&self, start: Box<Start>) -> Result<(Box<Start>, Expected), NotAdmitted> {
        let token = start.parameters.get("token").map(String::as_str).unwrap_or_default();
        let expected = self.tokens().redeem(token, &start.call_sid, Instant::now()).ok_or(NotAdmitted::BadToken)?;
        let format = &start.media_format;
        if format.encoding != "audio/x-mulaw" || format.sample_rate != 8000 || format.channels != 1 {
            let told: String = format!("{} at {} Hz", format.encoding, format.sample_rate).chars().take(60).collect();
            return Err(NotAdmitted::BadFormat(told));
        }
        if self.live().contains(&start.call_sid) {
            return Err(NotAdmitted::Twice);
        }
        Ok((start, expected))
    }

    /// Twilio signs the upgrade as well. Where there is a signature it must be right; the token decides in any case.
    fn whose_upgrade(&self, path: &str, headers: &HeaderMap) -> Upgrade {
        let settings = self.settings();
        let (Some(token), Some(signed)) = (&settings.auth_token, headers.get(signature::HEADER)) else {
            return Upgrade::Unsigned;
        };
        let signed = signed.to_str().unwrap_or_default();
        let is_right = signature::is_valid(token.expose_secret(), &settings.ws_url(path), &[], signed);
        if is_right { Upgrade::Twilios } else { Upgrade::Forged }
    }
}

/// Who asks for a media socket, as far as its signature tells.
enum Upgrade {
    Twilios,
    Unsigned,
    Forged,
}
