//! Plays Deepgram: a Voice Agent server on a loopback port that follows a script.
//!
//! Each connection is one call. What it says follows the script; what it hears decides when. It does not know what the
//! tools do, or that there is a telephone at the other end.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::StatusCode;
use axum::http::header::AUTHORIZATION;
use bytes::Bytes;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::session::Session;
use super::Observer;
use super::script::{Connect, Script};
use super::voice::{Clip, Sound};
use crate::deepgram::settings::AgentAudio;

mod session;
#[cfg(test)]
mod tests;

/// The path that Deepgram serves agents on.
const PATH: &str = "/v1/agent/converse";
/// Sounds kept, of the sentences that every call has. A script has some twenty.
const KEPT_SOUNDS: usize = 256;

/// How the simulated agent runs. The default is real time, any key, nobody watching.
#[derive(Debug, Clone)]
pub struct AgentOptions {
    /// Call time to real time.
    pub speed: f64,
    /// How much faster than speech the speech is sent. Deepgram sends about as fast as it can make it.
    pub pace: f64,
    /// The only key that is let in; any key when `None`, but never none at all.
    pub api_key: Option<SecretString>,
    /// Real time without any frame after which the agent gives up with `CLIENT_MESSAGE_TIMEOUT`.
    pub client_timeout: Duration,
    /// Who watches.
    pub observer: Observer,
}

impl Default for AgentOptions {
    fn default() -> Self {
        Self {
            speed: 1.0,
            pace: 4.0,
            api_key: None,
            client_timeout: Duration::from_secs(15),
            observer: Observer::default(),
        }
    }
}

/// A running agent server. Dropping it closes the port and every call.
#[derive(Debug)]
pub struct SimulatedAgent {
    address: SocketAddr,
    stage: Arc<Stage>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl SimulatedAgent {
    /// Opens a free port on 127.0.0.1. The first connection plays the first script, the second the second and so on;
    /// the last one is played for all that follow. Without any script the agent greets and then only listens.
    ///
    /// # Errors
    /// When no port can be opened.
    pub async fn start(scripts: impl IntoIterator<Item = Script>, options: AgentOptions) -> Result<Self, io::Error> {
        let listener = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let stage = Arc::new(Stage {
            scripts: scripts.into_iter().map(Arc::new).collect(),
            options,
            connections: AtomicUsize::new(0),
            sounds: Mutex::default(),
        });
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        tasks.spawn(accept(listener, Arc::clone(&stage), tasks.clone(), stop.clone()));
        Ok(Self { address, stage, tasks, stop })
    }

    /// What to dial.
    pub fn url(&self) -> String {
        format!("ws://{}{PATH}", self.address)
    }

    /// How many connections were made so far, refused ones included.
    pub fn connections(&self) -> usize {
        self.stage.connections.load(Ordering::Relaxed)
    }

    /// How many connections are open.
    pub fn open_connections(&self) -> usize {
        // One task waits for the next.
        self.tasks.len().saturating_sub(1)
    }

    /// Closes every call and returns when all are gone.
    pub async fn stop(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl Drop for SimulatedAgent {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// What all calls of one agent share.
#[derive(Debug)]
struct Stage {
    scripts: Vec<Arc<Script>>,
    options: AgentOptions,
    connections: AtomicUsize,
    sounds: Mutex<HashMap<SoundKey, Bytes>>,
}

type SoundKey = (&'static str, Option<Clip>, String);

impl Stage {
    /// The sound of a sentence. Sentences repeat from call to call, so each is made once; one with a digit holds a number of
    /// its call's own, and a second of sound takes 48 KiB.
    fn sound(&self, text: &str, clip: Option<Clip>, format: AgentAudio) -> Bytes {
        let key = (format.name(), clip, text.to_owned());
        let mut sounds = self.sounds.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sound) = sounds.get(&key) {
            return sound.clone();
        }
        let sound = Sound { text, clip }.of_the_agent(format);
        if sounds.len() < KEPT_SOUNDS && !text.contains(|letter: char| letter.is_ascii_digit()) {
            sounds.insert(key, sound.clone());
        }
        sound
    }

    /// Which script this connection plays.
    fn next_script(&self) -> Option<Arc<Script>> {
        let number = self.connections.fetch_add(1, Ordering::Relaxed);
        self.scripts.get(number.min(self.scripts.len().checked_sub(1)?)).cloned()
    }

    /// Whether an upgrade request is let in.
    #[expect(clippy::result_large_err, reason = "the WebSocket library's own type")]
    fn check(&self, request: &Request, response: Response, connect: Connect) -> Result<Response, ErrorResponse> {
        let key = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let key = key.and_then(|value| value.strip_prefix("Token ")).filter(|key| !key.is_empty());
        let known =
            key.is_some_and(|key| self.options.api_key.as_ref().is_none_or(|wanted| wanted.expose_secret() == key));
        let refused = match connect {
            _ if request.uri().path() != PATH => StatusCode::NOT_FOUND,
            _ if !known => StatusCode::UNAUTHORIZED,
            Connect::Refuse => StatusCode::SERVICE_UNAVAILABLE,
            Connect::Reject => StatusCode::UNAUTHORIZED,
            Connect::Accept
            | Connect::HangUp
            | Connect::NeverWelcome
            | Connect::NeverApply
            | Connect::RefuseSettings => return Ok(response),
        };
        let mut answer = ErrorResponse::new(None);
        *answer.status_mut() = refused;
        Err(answer)
    }
}

async fn accept(listener: TcpListener, stage: Arc<Stage>, tasks: TaskTracker, stop: CancellationToken) {
    loop {
        let socket = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => return,
        };
        // A connection that died before it was taken is the dialler's to notice.
        let Ok((socket, _)) = socket else { continue };
        tasks.spawn(converse(socket, Arc::clone(&stage), stop.clone()));
    }
}

async fn converse(socket: TcpStream, stage: Arc<Stage>, stop: CancellationToken) {
    let script = stage.next_script();
    let connect = script.as_ref().map(|script| script.behaviour.connect).unwrap_or_default();
    if connect == Connect::HangUp {
        return;
    }
    // Frames are small and must not wait for each other.
    let _ = socket.set_nodelay(true);
    // tungstenite fills its whole read buffer with zeros before each read; the default of 128 KiB is most of a call.
    let config = WebSocketConfig::default().read_buffer_size(4096);
    #[expect(clippy::result_large_err, reason = "the WebSocket library's own type")]
    let check = |request: &Request, response: Response| stage.check(request, response, connect);
    let upgrade = tokio_tungstenite::accept_hdr_async_with_config(socket, check, Some(config));
    let socket = tokio::select! {
        upgraded = upgrade => upgraded,
        () = stop.cancelled() => return,
    };
    if let Ok(socket) = socket {
        Session::new(socket, stage, script).run(stop).await;
    }
}
