//! A guest's live socket: what the session tells goes out, what the screen says goes in, and who is silent for long is
//! gone.
//!
//! Who may not come in is told by a close code: pages can read that, and no status of a refused upgrade.

use super::Desk;
use crate::table::protocol::LONGEST_MESSAGE;
use crate::table::{Closing, Passes, Screen, Turned};
use crate::web::client::ClientAddress;
use crate::web::error::WebError;
use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

/// So often a peer is asked whether it is there.
const PING: Duration = Duration::from_secs(15);
/// A peer that has said nothing for so long, not even that it is there, is gone.
const SILENCE: Duration = Duration::from_secs(45);
/// How long a peer may take to agree that it is over.
const GOODBYE: Duration = Duration::from_secs(1);
/// Every guest has these, and most of what they read and write is shorter.
const BUFFER_BYTES: usize = 2 << 10;

/// The peer is no member of the session.
const NOT_A_MEMBER: u16 = 4001;
/// The session is over.
const SESSION_OVER: u16 = 4004;

pub(super) fn router() -> Router<Arc<Desk>> {
    Router::new().route("/ws/tables/{session}", any(open))
}

async fn open(
    State(desk): State<Arc<Desk>>,
    client: ClientAddress,
    headers: HeaderMap,
    session: Result<Path<String>, PathRejection>,
    upgrade: WebSocketUpgrade,
) -> Response {
    let Ok(Path(session)) = session else { return WebError::not_found("there is no such session").into_response() };
    let (passes, address) = (desk.passes(&headers), desk.clients.counted_as(client));
    upgrade
        .read_buffer_size(BUFFER_BYTES)
        .write_buffer_size(BUFFER_BYTES)
        .max_message_size(LONGEST_MESSAGE)
        .max_frame_size(LONGEST_MESSAGE)
        .on_upgrade(move |socket| {
            let tasks = desk.tables.tasks().clone();
            tasks.track_future(Box::pin(serve(desk, session, passes, address, socket)))
        })
}

/// Why a socket ends.
enum End {
    /// The peer is gone, or cannot be told anything.
    Gone,
    /// It is told by this code.
    Close(u16),
}

impl From<Closing> for End {
    fn from(closing: Closing) -> Self {
        Self::Close(match closing {
            Closing::Over => SESSION_OVER,
            Closing::GoingAway => close_code::AWAY,
            Closing::Dropped => close_code::AGAIN,
            Closing::Flooding => close_code::POLICY,
        })
    }
}

async fn serve(desk: Arc<Desk>, session: String, passes: Passes, address: Option<IpAddr>, mut socket: WebSocket) {
    let connected = desk.tables.connect(&session, &passes, address).await;
    let end = match connected {
        Ok(screen) => converse(screen, &mut socket).await,
        Err(Turned::NotMember) => End::Close(NOT_A_MEMBER),
        Err(Turned::Over) => End::Close(SESSION_OVER),
        Err(Turned::GoingAway) => End::Close(close_code::AWAY),
    };
    if let End::Close(code) = end {
        let goodbye = async {
            let frame = CloseFrame { code, reason: Utf8Bytes::from_static("") };
            if socket.send(Message::Close(Some(frame))).await.is_ok() {
                // Whatever it still says is too late.
                while let Some(Ok(_)) = socket.recv().await {}
            }
        };
        // A peer that does not answer is closed all the same.
        let _ = tokio::time::timeout(GOODBYE, goodbye).await;
    }
}

async fn converse(mut screen: Screen, socket: &mut WebSocket) -> End {
    let mut pings = interval_at(Instant::now() + PING, PING);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut heard = Instant::now();
    loop {
        let answer = tokio::select! {
            told = screen.next() => match told {
                Ok(told) => Message::Text((&*told).into()),
                Err(closing) => return closing.into(),
            },
            said = socket.recv() => {
                heard = Instant::now();
                let answer = match said {
                    Some(Ok(Message::Text(text))) => screen.hear(text.as_str()).await,
                    Some(Ok(Message::Binary(_))) => screen.hear_bytes().await,
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return End::Gone,
                };
                match answer {
                    Ok(Some(answer)) => Message::Text((&*answer).into()),
                    Ok(None) => continue,
                    Err(closing) => return closing.into(),
                }
            }
            _ = pings.tick() => {
                if heard.elapsed() >= SILENCE {
                    return End::Gone;
                }
                Message::Ping(Vec::new().into())
            }
        };
        // A peer that reads nothing is cut off by the connection's own limit.
        if socket.send(answer).await.is_err() {
            return End::Gone;
        }
    }
}
