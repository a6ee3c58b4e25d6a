//! Dials the agent: TCP, TLS and the WebSocket handshake with the project's key.
//!
//! What is said on the socket is [`super::message`]'s; when to dial is the bridge's.

mod socket;

pub use socket::AgentSocket;

use secrecy::{ExposeSecret, SecretString};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderValue, header};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream, connect_async_tls_with_config, tungstenite};

/// Two or three chunks of audio. The library zero-fills the whole buffer before every read, so that a large one costs more
/// than it saves, and every call has its own.
const BUFFER_BYTES: usize = 4 << 10;
/// Agent speech comes in chunks of some kilobytes; text messages are far smaller.
const MAX_MESSAGE_BYTES: usize = 1 << 20;

/// What the agent's host has not acknowledged for so long tells that it is gone.
const UNACKNOWLEDGED: Duration = Duration::from_secs(5);

/// Where and as whom the agent is dialled. Cheap to clone.
#[derive(Clone)]
pub struct AgentLine {
    url: Arc<str>,
    authorization: HeaderValue,
    connector: Connector,
}

/// The agent could not be dialled.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The URL or the key cannot be put into a request.
    #[error("DG_AGENT_URL or DEEPGRAM_API_KEY cannot be used in a request: {0}")]
    Request(String),
    /// The agent's host does not answer.
    #[error("no connection: {0}")]
    Io(std::io::Error),
    /// The handshake was answered otherwise; 401 means a wrong key.
    #[error("the handshake was refused with status {0}")]
    Refused(u16),
    /// TLS or the WebSocket protocol failed.
    #[error("the handshake failed: {0}")]
    Handshake(String),
}

impl DialError {
    /// Whether dialling once more would be in vain: what we ask with is wrong.
    pub fn is_for_good(&self) -> bool {
        match self {
            Self::Request(_) => true,
            Self::Refused(status) => (400..500).contains(status) && !matches!(status, 408 | 425 | 429),
            Self::Io(_) | Self::Handshake(_) => false,
        }
    }
}

impl AgentLine {
    /// Prepares the TLS configuration once; every call shares it.
    pub fn new(url: &str, api_key: &SecretString) -> Result<Self, DialError> {
        url.into_client_request().map_err(|error| DialError::Request(error.to_string()))?;
        let mut authorization = HeaderValue::from_str(&format!("Token {}", api_key.expose_secret()))
            .map_err(|error| DialError::Request(error.to_string()))?;
        authorization.set_sensitive(true);
        let connector =
            if url.starts_with("wss:") { Connector::Rustls(Arc::new(tls_config()?)) } else { Connector::Plain };
        Ok(Self { url: url.into(), authorization, connector })
    }

    /// Dials; the bridge bounds the wait.
    pub async fn dial(self) -> Result<AgentSocket, DialError> {
        let mut request = (&*self.url).into_client_request().map_err(|error| DialError::Request(error.to_string()))?;
        request.headers_mut().insert(header::AUTHORIZATION, self.authorization);
        let config = WebSocketConfig::default()
            .read_buffer_size(BUFFER_BYTES)
            .write_buffer_size(BUFFER_BYTES)
            .max_message_size(Some(MAX_MESSAGE_BYTES))
            .max_frame_size(Some(MAX_MESSAGE_BYTES));
        match connect_async_tls_with_config(request, Some(config), true, Some(self.connector)).await {
            Ok((socket, _)) => {
                notice_silence(&socket);
                Ok(AgentSocket::new(socket))
            }
            Err(tungstenite::Error::Io(error)) => Err(DialError::Io(error)),
            Err(tungstenite::Error::Http(response)) => Err(DialError::Refused(response.status().as_u16())),
            Err(error) => Err(DialError::Handshake(error.to_string())),
        }
    }
}

/// A host that has vanished without a word is noticed by what it no longer acknowledges; audio goes to it all the time.
fn notice_silence(socket: &WebSocketStream<MaybeTlsStream<TcpStream>>) {
    #[cfg(target_os = "linux")]
    {
        let tcp = match socket.get_ref() {
            MaybeTlsStream::Plain(tcp) => tcp,
            MaybeTlsStream::Rustls(tls) => tls.get_ref().0,
            _ => return,
        };
        if let Err(error) = socket2::SockRef::from(tcp).set_tcp_user_timeout(Some(UNACKNOWLEDGED)) {
            tracing::debug!("a host that vanishes will be noticed late: {error}");
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = socket;
}

/// TLS by rustls with ring and the machine's root certificates.
pub fn tls_config() -> Result<rustls::ClientConfig, DialError> {
    let failed = |error: rustls::Error| DialError::Handshake(error.to_string());
    let mut roots = rustls::RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        return Err(DialError::Handshake("no root certificates on this machine; install ca-certificates".to_owned()));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(failed)?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_host_that_acknowledges_nothing_is_noticed_in_time() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let tcp = TcpStream::connect(listener.local_addr().expect("an address")).await.expect("a connection");
        let role = tungstenite::protocol::Role::Client;
        let socket = WebSocketStream::from_raw_socket(MaybeTlsStream::Plain(tcp), role, None).await;
        notice_silence(&socket);
        let MaybeTlsStream::Plain(tcp) = socket.get_ref() else { panic!("it has no TLS") };
        assert_eq!(socket2::SockRef::from(tcp).tcp_user_timeout().expect("a TCP socket"), Some(UNACKNOWLEDGED));
    }
}
