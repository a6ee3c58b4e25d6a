//! Plays Twilio and the person on the telephone: the voice webhook, the media stream, and what is heard on it.
//!
//! One task a call, which sends a frame every 20 ms as Twilio does and plays what it gets in real time, so that marks
//! come back when their audio has been heard. It does not know the server's inside: it goes by the TwiML it is given.

use std::net::SocketAddr;
use std::time::Duration;

use reqwest::Url;
use reqwest::header::HOST;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Error as SocketError;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

pub use self::twiml::TwimlError;
use self::twiml::{Stream, Verb};
use super::script::Script;
use super::{Observer, Side, Speaker, What};
use crate::twilio::signature;

mod line;
mod mouth;
mod player;
#[cfg(test)]
mod tests;
mod twiml;

const HTTP_TIMEOUT: Duration = Duration::from_secs(30);

/// How calls are made. The default dials `http://127.0.0.1:8000` in real time, unsigned, and keeps what is heard.
#[derive(Debug, Clone)]
pub struct CallerOptions {
    /// Where the server is: `http://host:port`, without a path.
    pub base: String,
    /// The public address, such as `https://voice.example.com`, by which the server knows itself: what is signed, and
    /// the Host that is asked for. `base` when `None`.
    pub public_base: Option<String>,
    /// Signs webhooks, as Twilio does. Unsigned when `None`.
    pub auth_token: Option<SecretString>,
    /// Signs the WebSocket upgrade too, when there is an `auth_token`.
    pub sign_upgrade: bool,
    /// Dials streams here, without TLS, whatever host and scheme their address has: what a TLS proxy would do.
    pub dial_streams_at: Option<SocketAddr>,
    /// The caller's number, E.164.
    pub from: String,
    /// The number that was called, E.164.
    pub to: String,
    /// Call time to real time.
    pub speed: f64,
    /// Whether [`CallReport::heard`] is filled. It grows by 8,000 bytes for each second of speech.
    pub keep_audio: bool,
    /// Hangs up after this much call time, in the middle of whatever goes on.
    pub hang_up_after: Option<Duration>,
    /// A caller who hears nothing for so long speaks anyway. Real time.
    pub patience: Duration,
    /// Whether Twilio asks how the call goes on when the server, or the line, has ended the stream.
    pub asks_after: bool,
    /// The longest call, in call time.
    pub limit: Duration,
    /// How many lines of the script may have begun by now; all of them when `None`.
    pub lines: Option<watch::Receiver<usize>>,
    /// Who watches.
    pub observer: Observer,
}

impl Default for CallerOptions {
    fn default() -> Self {
        Self {
            base: "http://127.0.0.1:8000".to_owned(),
            public_base: None,
            auth_token: None,
            sign_upgrade: true,
            dial_streams_at: None,
            from: "+15551234567".to_owned(),
            to: "+15557654321".to_owned(),
            speed: 1.0,
            keep_audio: true,
            hang_up_after: None,
            patience: Duration::from_secs(10),
            asks_after: true,
            limit: Duration::from_secs(600),
            lines: None,
            observer: Observer::default(),
        }
    }
}

/// Why a call could not be made.
#[derive(Debug, thiserror::Error)]
pub enum CallerError {
    /// `base` or `public_base` is no address.
    #[error("`{0}` is not an http address")]
    Address(String),
    /// A webhook was not answered.
    #[error("the webhook was not answered: {0}")]
    Webhook(#[from] reqwest::Error),
    /// A webhook was answered with an error. Twilio would say that an application error has occurred, and hang up.
    #[error("the webhook {path} answered {status}: {body}")]
    Status {
        /// Which.
        path: String,
        /// The HTTP status.
        status: u16,
        /// The answer's beginning.
        body: String,
    },
    /// A webhook's answer is not TwiML that Twilio would take.
    #[error("the TwiML is wrong: {0}")]
    Twiml(#[from] TwimlError),
    /// The stream's socket could not be opened (Twilio's error 31920).
    #[error("the stream could not be opened: {0}")]
    Stream(#[source] Box<SocketError>),
}

/// How a call went.
#[derive(Debug, Clone, PartialEq)]
pub struct CallReport {
    /// Names the call.
    pub call_sid: String,
    /// The TwiML that answered the voice webhook.
    pub answer: String,
    /// What was played to the caller's ear: µ-law, 8 kHz, without the pauses in which nothing was queued.
    pub heard: Vec<u8>,
    /// Frames of 20 ms that went to the server.
    pub frames_sent: u64,
    /// Media messages that came from it.
    pub frames_received: u64,
    /// How often the server cleared the line.
    pub clears: u64,
    /// Names of the marks said back, in order, flushed ones included.
    pub marks_echoed: Vec<String>,
    /// The TwiML of the `action` that followed the stream, if the server closed it or it broke, and an action was named.
    pub after: Option<String>,
    /// Who ended the stream.
    pub closed_by: ClosedBy,
    /// Whether every line of the caller's was said.
    pub finished: bool,
    /// Real time from the first frame to the end of the stream.
    pub duration: Duration,
}

/// Who ended a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClosedBy {
    /// There was none: the TwiML did something else.
    NoStream,
    /// The server, properly.
    Server,
    /// The server, by dropping the connection.
    Dropped,
    /// The line, by a fault of the script's: the connection is dropped.
    Cut,
    /// The caller hung up.
    Caller,
    /// The call lasted too long.
    Limit,
    /// Twilio, because the server sent what it may not (error 31924).
    Violation(
        /// What it was.
        String,
    ),
}

/// A telephone, and the company that connects it. One is enough for any number of calls at a time.
#[derive(Debug, Clone)]
pub struct SimulatedCaller {
    options: CallerOptions,
    http: reqwest::Client,
    base: Url,
    public_base: Url,
}

impl SimulatedCaller {
    /// Checks the addresses and prepares the connections.
    ///
    /// # Errors
    /// [`CallerError::Address`] when one is wrong.
    pub fn new(options: CallerOptions) -> Result<Self, CallerError> {
        let address = |text: &str| match Url::parse(text) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(url),
            _ => Err(CallerError::Address(text.to_owned())),
        };
        let base = address(&options.base)?;
        let public_base = options.public_base.as_deref().map_or_else(|| Ok(base.clone()), address)?;
        // Whoever came first has chosen the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(HTTP_TIMEOUT)
            // One that has been idle for the length of a call may be closed by the server as it is used again.
            .pool_max_idle_per_host(0)
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Self { options, http, base, public_base })
    }

    /// The same telephone company, with another caller's number.
    pub fn calling_from(&self, number: &str) -> Self {
        let mut other = self.clone();
        number.clone_into(&mut other.options.from);
        other
    }

    /// Makes one call, and says what the script has the caller say.
    ///
    /// # Errors
    /// [`CallerError`] when the call did not get as far as a stream; whatever happens later is in the report.
    pub async fn call(&self, script: &Script) -> Result<CallReport, CallerError> {
        let call_sid = format!("CA{:032x}", rand::random::<u128>());
        let result = self.connect_and_talk(&call_sid, script).await;
        let finished = result.as_ref().is_ok_and(|report| report.finished);
        self.tell(&call_sid, What::CallEnded { finished });
        result
    }

    async fn connect_and_talk(&self, call_sid: &str, script: &Script) -> Result<CallReport, CallerError> {
        let answer = self.webhook("/voice", call_sid, "ringing").await?;
        let mut stream = None;
        for verb in twiml::read(&answer)? {
            match verb {
                Verb::Say(text) => self.tell(call_sid, What::Said { who: Speaker::Twilio, text }),
                Verb::Connect(connect) => {
                    stream = Some(connect);
                    break;
                }
                Verb::Dial(_) | Verb::Record | Verb::Hangup => break,
            }
        }
        let mut report = CallReport {
            call_sid: call_sid.to_owned(),
            answer,
            heard: Vec::new(),
            frames_sent: 0,
            frames_received: 0,
            clears: 0,
            marks_echoed: Vec::new(),
            after: None,
            closed_by: ClosedBy::NoStream,
            finished: false,
            duration: Duration::ZERO,
        };
        let Some(stream) = stream else { return Ok(report) };
        let socket = self.open(&stream).await.map_err(|error| CallerError::Stream(Box::new(error)))?;
        self.tell(call_sid, What::CallStarted);
        let action = stream.action.clone();
        let started = Instant::now();
        let mut line = line::Line::new(self, call_sid, stream, socket, script);
        let limit = self.options.limit.div_f64(self.options.speed);
        report.closed_by = match tokio::time::timeout(limit, line.talk(&mut report)).await {
            Ok(closed_by) => closed_by,
            Err(_) => ClosedBy::Limit,
        };
        report.duration = started.elapsed();
        report.finished = line.finished();
        line.hang_up(&report.closed_by).await;
        let action = action.filter(|_| self.options.asks_after);
        // The socket goes first: a broken connection is one for both sides.
        drop(line);
        if let (ClosedBy::Server | ClosedBy::Dropped | ClosedBy::Cut, Some(action)) = (&report.closed_by, action) {
            report.after = Some(self.webhook(&action, call_sid, "in-progress").await?);
        }
        Ok(report)
    }

    /// Requests TwiML from a path, or from an address of which only path and query count.
    async fn webhook(&self, action: &str, call_sid: &str, status: &str) -> Result<String, CallerError> {
        let bad = |_| CallerError::Address(action.to_owned());
        let public = self.public_base.join(action).map_err(bad)?;
        let mut url = self.base.join(public.path()).map_err(bad)?;
        url.set_query(public.query());
        let CallerOptions { from, to, .. } = &self.options;
        let form: Vec<(String, String)> = [
            ("CallSid", call_sid),
            ("AccountSid", ACCOUNT_SID),
            ("From", from),
            ("To", to),
            ("Caller", from),
            ("Called", to),
            ("CallStatus", status),
            ("Direction", "inbound"),
            ("ApiVersion", "2010-04-01"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        let mut request = self.http.post(url).form(&form);
        if self.options.public_base.is_some() {
            request = request.header(HOST, authority(&self.public_base));
        }
        if let Some(token) = &self.options.auth_token {
            request =
                request.header("X-Twilio-Signature", signature::sign(token.expose_secret(), public.as_str(), &form));
        }
        let response = request.send().await?;
        let status = response.status();
        let body = response.text().await?;
        if !status.is_success() {
            let body = body.chars().take(200).collect();
            return Err(CallerError::Status { path: public.path().to_owned(), status: status.as_u16(), body });
        }
        Ok(body)
    }

    async fn open(&self, stream: &Stream) -> Result<WebSocketStream<MaybeTlsStream<TcpStream>>, SocketError> {
        let mut request = stream.url.as_str().into_client_request()?;
        if let (Some(token), true) = (&self.options.auth_token, self.options.sign_upgrade) {
            let signature = signature::sign(token.expose_secret(), &stream.url, &[]);
            if let Ok(value) = HeaderValue::from_str(&signature) {
                request.headers_mut().insert("x-twilio-signature", value);
            }
        }
        // The library fills its whole read buffer with zeros before each read: the default of 128 KiB would be most of
        // what a call costs.
        let config = Some(WebSocketConfig::default().read_buffer_size(4096));
        let (socket, _) = match self.options.dial_streams_at {
            Some(address) => {
                let tcp = TcpStream::connect(address).await?;
                tcp.set_nodelay(true)?;
                tokio_tungstenite::client_async_with_config(request, MaybeTlsStream::Plain(tcp), config).await?
            }
            None => tokio_tungstenite::connect_async_with_config(request, config, true).await?,
        };
        Ok(socket)
    }

    fn tell(&self, call_sid: &str, what: What) {
        self.options.observer.tell(Side::Caller, call_sid, what);
    }
}

/// Invented, like every sid here.
const ACCOUNT_SID: &str = "AC00000000000000000000000000000000";

/// Host and, where there is one, port.
fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}
