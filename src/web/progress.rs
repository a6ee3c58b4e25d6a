//! How far the request on a connection is: whether its peer is waited for, and for how long that goes on.
//!
//! Knows neither routes nor sockets; `web::server` asks it, and `web::finish` says 408 for it.

use super::error::WebError;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use hyper::body::{Frame, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Sleep;

/// How often a connection of a server that stops is looked at; who is waited for at two looks is not waited for any more.
const LOOK: Duration = Duration::from_millis(400);

/// The request line and headers are waited for.
const LISTENING: u8 = 0;
/// More of the body is waited for.
const RECEIVING: u8 = 1;
/// A handler works, or its answer is sent.
const WORKING: u8 = 2;
/// The body has not come in time; the answer says so.
const TOO_SLOW: u8 = 3;

/// How far the request of one connection is. One comes after the other, so one state is enough. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Progress(Arc<AtomicU8>);

/// A request that is being answered; dropping it means that its answer is out.
pub(super) struct Underway(Progress);

/// The body was waited for long enough.
#[derive(Debug, thiserror::Error)]
#[error("the body did not come in time")]
struct TooSlow;

impl Progress {
    /// A request has come.
    pub(super) fn begin(&self) -> Underway {
        self.0.store(WORKING, Ordering::Relaxed);
        Underway(self.clone())
    }

    /// The request's body, which has so long to come, all of it.
    pub(super) fn in_time<B>(&self, body: B, limit: Duration) -> Body
    where
        B: HttpBody<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<axum::BoxError>,
    {
        if body.is_end_stream() {
            return Body::new(body);
        }
        let deadline = Box::pin(tokio::time::sleep(limit));
        Body::new(Timed { body, deadline, progress: self.clone() })
    }

    /// Returns when nothing but its peer has been waited for, at two looks one after the other: no handler's work and no
    /// answer is cut off with it.
    pub(super) async fn waits_for_its_peer(&self) {
        let mut looks = 0;
        while looks < 2 {
            tokio::time::sleep(LOOK).await;
            looks = if matches!(self.0.load(Ordering::Relaxed), LISTENING | RECEIVING) { looks + 1 } else { 0 };
        }
    }

    fn turn(&self, from: u8, to: u8) {
        // Otherwise it is further already.
        let _ = self.0.compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed);
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        self.0.0.store(LISTENING, Ordering::Relaxed);
    }
}

/// Says 408 where a handler has gone without the body that it waited for.
pub(super) async fn in_time(request: Request, next: Next) -> Response {
    let progress = request.extensions().get::<Progress>().cloned();
    let response = next.run(request).await;
    match progress {
        Some(Progress(state)) if state.load(Ordering::Relaxed) == TOO_SLOW => WebError::too_slow().into_response(),
        _ => response,
    }
}

/// A request's body that has to come in time.
struct Timed<B> {
    body: B,
    deadline: Pin<Box<Sleep>>,
    progress: Progress,
}

impl<B> HttpBody for Timed<B>
where
    B: HttpBody<Data = Bytes> + Unpin,
    B::Error: Into<axum::BoxError>,
{
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::BoxError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            self.progress.turn(RECEIVING, WORKING);
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        if self.deadline.as_mut().poll(cx).is_ready() {
            self.progress.0.store(TOO_SLOW, Ordering::Relaxed);
            return Poll::Ready(Some(Err(TooSlow.into())));
        }
        self.progress.turn(WORKING, RECEIVING);
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B> Drop for Timed<B> {
    fn drop(&mut self) {
        // Nobody waits for it any more.
        self.progress.turn(RECEIVING, WORKING);
    }
}

/// A response's body that keeps something until it is out or given up.
pub(super) fn holding<T: Send + Unpin + 'static>(held: T) -> impl FnOnce(Body) -> Body {
    move |body| Body::new(Holding { body, _held: held })
}

struct Holding<T> {
    body: Body,
    _held: T,
}

impl<T: Unpin> HttpBody for Holding<T> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
