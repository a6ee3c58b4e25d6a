//! The accept loop: how many connections there may be, how long a peer may take to say what it wants and to read what it is
//! told, and how all of them end when the server stops.
//!
//! Knows HTTP/1.1 and no route.

use super::client::{ClientAddress, Clients};
use super::places::{Full, Place, Places};
use super::progress::{Progress, holding};
use crate::rates::Seldom;
use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_io_timeout::TimeoutWriter;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service as _;

/// What the kernel keeps for a peer that does not read; Linux doubles it, and would otherwise go up to 4 MiB.
const SEND_BUFFER_BYTES: u32 = 128 << 10;
/// What is read ahead or kept unsent here, for one connection; also the most that the headers of a request may take.
const BUFFER_BYTES: usize = 64 << 10;
/// Connections that the kernel keeps for us until we accept them.
const BACKLOG: u32 = 1024;
/// How long to wait when no connection can be accepted, as when the process has no file descriptors left.
const PAUSE: Duration = Duration::from_millis(200);

/// Who is at the other end of the connection that a request came over, in the request's extensions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub(super) IpAddr);

/// What a connection may take, and how many there may be.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// From the connection's beginning, or the end of the request before, to the end of a request's headers.
    pub headers: Duration,
    /// From there to the end of the request's body.
    pub body: Duration,
    /// A peer that reads nothing of what it is sent for so long is cut off.
    pub writing: Duration,
    /// Connections at once, those that have become WebSockets included.
    pub connections: usize,
    /// Connections from one address; proxies, and on a local server the machine itself, may have more.
    pub connections_of_one: usize,
}

impl Default for Bounds {
    /// The bounds of a server that has no calls and no feeds; each of those needs one connection more.
    fn default() -> Self {
        Self {
            headers: Duration::from_secs(10),
            body: Duration::from_secs(10),
            writing: Duration::from_secs(30),
            connections: 4096,
            connections_of_one: 256,
        }
    }
}

/// Listens there. What is accepted keeps little for peers that do not read.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A restart must not wait for connections of the process before.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Serves until `stop` is cancelled, then lets requests under way finish, and soon gives up those that have come by half;
/// returns when the last connection is gone, but does not wait for what has become of connections that were upgraded.
pub async fn serve(listener: TcpListener, routes: Router, clients: Clients, bounds: Bounds, stop: CancellationToken) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(bounds.headers).max_buf_size(BUFFER_BYTES);
    let places = Places::new(bounds.connections, bounds.connections_of_one);
    let connections = TaskTracker::new();
    let turned_away = Seldom::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let (socket, peer) = match accepted {
            Ok((socket, address)) => (socket, address.ip().to_canonical()),
            Err(error) if is_of_one_connection(&error) => continue,
            Err(error) => {
                tracing::error!("no connection can be accepted: {error}");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let counted = clients.counted_as(ClientAddress(peer)).filter(|_| !clients.is_proxy(peer));
        let place = match places.enter(counted, 0) {
            Ok(place) => place,
            Err(full) => {
                if let Some(count) = turned_away.once_more(Instant::now()) {
                    let why = match full {
                        Full::InAll => "too many are open",
                        Full::OfOne => "too many are open from one address",
                    };
                    tracing::warn!(count, "connections were turned away: {why}");
                }
                continue;
            }
        };
        if let Err(error) = socket.set_nodelay(true) {
            tracing::debug!("a socket may delay its frames: {error}");
        }
        let mut line = TimeoutWriter::new(Line { socket, _place: place });
        line.set_timeout(Some(bounds.writing));
        connections.spawn(converse(http.clone(), line, routes.clone(), peer, bounds.body, stop.clone()));
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

/// One connection, to its end or until it is something else than HTTP.
async fn converse(
    http: http1::Builder,
    line: TimeoutWriter<Line>,
    routes: Router,
    peer: IpAddr,
    body_limit: Duration,
    stop: CancellationToken,
) {
    let progress = Progress::default();
    let noted = progress.clone();
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let underway = noted.begin();
        let mut request = request.map(|body| noted.in_time(body, body_limit));
        request.extensions_mut().insert(Peer(peer));
        request.extensions_mut().insert(noted.clone());
        // A router is always ready.
        let answer = routes.clone().call(request);
        async move { answer.await.map(|response| response.map(holding(underway))) }
    });
    // Boxed, as whoever takes over the connection wants to move it; its timer stays where it is.
    let connection = http.serve_connection(TokioIo::new(Box::pin(line)), service).with_upgrades();
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        biased;
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                biased;
                ended = connection.as_mut() => ended,
                () = progress.waits_for_its_peer() => {
                    tracing::debug!(peer = %peer, "half a request is given up: the server stops");
                    return;
                }
            }
        }
    };
    if let Err(error) = ended {
        // Peers that go away, are slow, or speak something else than HTTP: nothing that anybody here could mend.
        tracing::debug!(peer = %peer, "a connection ended: {error}");
    }
}

/// An accepted socket with its place among the connections, which it keeps when it becomes a WebSocket.
struct Line {
    socket: TcpStream,
    _place: Place,
}

impl AsyncRead for Line {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Line {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

/// Whether accepting failed because of the connection that was to be accepted: the next one is as good as any.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
