//! An HTTP server for everything that can go wrong between two programs: it answers, stays silent, hangs up without an
//! answer, or is not there. What it answers is its owner's.

use super::PATIENCE;
use axum::body::{Body, Bytes, to_bytes};
use axum::http::{HeaderMap, Method, Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

/// The longest request that is read, in bytes.
const MOST_BYTES: usize = 1024 * 1024;

/// What somebody asks.
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Asked {
    /// A header that is text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// What they get.
pub(crate) enum Reply {
    Answer(Response<String>),
    /// The line stays open, and nothing comes.
    Silence,
    /// The line is closed, and nothing has come.
    HangUp,
}

impl Reply {
    /// JSON with a status.
    pub(crate) fn json(status: u16, body: &serde_json::Value) -> Self {
        Self::text(status, "application/json", body.to_string())
    }

    pub(crate) fn text(status: u16, content_type: &str, body: String) -> Self {
        let response = Response::builder().status(status).header("content-type", content_type);
        Self::Answer(response.body(body).expect("a status and a content type"))
    }
}

type Clerk = Arc<dyn Fn(Asked) -> Reply + Send + Sync>;

pub(crate) struct Counter {
    address: SocketAddr,
    clerk: Clerk,
    serving: Option<JoinHandle<()>>,
}

impl Counter {
    pub(crate) async fn open(clerk: impl Fn(Asked) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let clerk: Clerk = Arc::new(clerk);
        let serving = Some(tokio::spawn(serve(listener, Arc::clone(&clerk))));
        Self { address, clerk, serving }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Nobody is there any more, and whoever was being served is cut off.
    pub(crate) async fn close(&mut self) {
        if let Some(serving) = self.serving.take() {
            serving.abort();
            // Ends when the listener and every connection have been dropped.
            tokio::time::timeout(PATIENCE, serving).await.expect("it ends").ok();
        }
    }

    /// There again, at the same address.
    pub(crate) async fn reopen(&mut self) {
        self.close().await;
        let listener = TcpListener::bind(self.address).await.expect("the port is still free");
        self.serving = Some(tokio::spawn(serve(listener, Arc::clone(&self.clerk))));
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        if let Some(serving) = &self.serving {
            serving.abort();
        }
    }
}

async fn serve(listener: TcpListener, clerk: Clerk) {
    let mut lines = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        let clerk = Arc::clone(&clerk);
        let service = service_fn(move |request| answer(Arc::clone(&clerk), request));
        lines.spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

/// An error makes the connection end without a word.
async fn answer(clerk: Clerk, request: Request<Incoming>) -> Result<Response<Body>, std::io::Error> {
    let (head, body) = request.into_parts();
    let body = to_bytes(Body::new(body), MOST_BYTES).await.map_err(std::io::Error::other)?;
    let path = head.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
    match clerk(Asked { method: head.method, path, headers: head.headers, body }) {
        Reply::Answer(response) => Ok(response.map(Body::from)),
        Reply::Silence => std::future::pending().await,
        Reply::HangUp => Err(std::io::Error::other("the answer is lost")),
    }
}
