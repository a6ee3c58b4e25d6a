//! One socket of a call with a queue before it, so that a peer who does not read can never stop us from reading.
//!
//! Works for either kind of WebSocket; knows messages only as things to write and read.

use futures_util::{Sink, Stream};
use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// Unsent bytes on one leg before it counts as stalled: 22 s of linear16 to the agent, three minutes to the phone.
const MAX_QUEUED_BYTES: usize = 2 << 20;

/// The socket is gone, or its peer does not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SendFault {
    Closed,
    Stalled,
}

pub(super) struct Leg<S, M> {
    socket: S,
    queue: VecDeque<(M, usize)>,
    queued_bytes: usize,
    unflushed: bool,
}

impl<S, M, E> Leg<S, M>
where
    S: Stream<Item = Result<M, E>> + Sink<M, Error = E> + Unpin,
{
    pub(super) fn new(socket: S) -> Self {
        Self { socket, queue: VecDeque::new(), queued_bytes: 0, unflushed: false }
    }

    /// Queues a message of about `bytes`; [`Leg::poll_send`] writes it.
    pub(super) fn send(&mut self, message: M, bytes: usize) {
        self.queue.push_back((message, bytes));
        self.queued_bytes += bytes;
    }

    /// Whether the socket has taken all there was.
    pub(super) fn has_sent(&self) -> bool {
        self.queue.is_empty() && !self.unflushed
    }

    /// Forgets what the socket has not taken yet.
    pub(super) fn drop_unsent(&mut self) {
        self.queue.clear();
        self.queued_bytes = 0;
    }

    /// Writes as much as the socket takes, all of it with one flush. Ready only when the leg is at fault.
    pub(super) fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<SendFault> {
        while !self.queue.is_empty() {
            match Pin::new(&mut self.socket).poll_ready(cx) {
                Poll::Ready(Ok(())) => {
                    let Some((message, bytes)) = self.queue.pop_front() else { break };
                    self.queued_bytes -= bytes;
                    self.unflushed = true;
                    if Pin::new(&mut self.socket).start_send(message).is_err() {
                        return Poll::Ready(SendFault::Closed);
                    }
                }
                Poll::Ready(Err(_)) => return Poll::Ready(SendFault::Closed),
                Poll::Pending if self.queued_bytes > MAX_QUEUED_BYTES => return Poll::Ready(SendFault::Stalled),
                Poll::Pending => return Poll::Pending,
            }
        }
        if self.unflushed {
            match Pin::new(&mut self.socket).poll_flush(cx) {
                Poll::Ready(Ok(())) => {
                    self.unflushed = false;
                    // A burst of speech may have grown it; a call at rest needs a few places.
                    self.queue.shrink_to(8);
                }
                Poll::Ready(Err(_)) => return Poll::Ready(SendFault::Closed),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Pending
    }

    /// The next message; `None` when the socket is closed or broken.
    pub(super) fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<M, E>>> {
        Pin::new(&mut self.socket).poll_next(cx)
    }

    /// Says goodbye if the socket takes it at once, and is gone: nobody waits for a peer that is given up.
    pub(super) fn take_leave(mut self, farewell: M) {
        self.drop_unsent();
        self.send(farewell, 0);
        let _ = self.poll_send(&mut Context::from_waker(Waker::noop()));
    }

    /// Writes what is queued and closes; the caller bounds the wait.
    pub(super) async fn close(mut self, farewell: M) {
        self.send(farewell, 0);
        std::future::poll_fn(|cx| match self.poll_send(cx) {
            Poll::Pending if self.has_sent() => Poll::Ready(()),
            Poll::Ready(_) => Poll::Ready(()),
            Poll::Pending => Poll::Pending,
        })
        .await;
        // The peer's own close frame, or the end of its stream, completes the closing handshake.
        let closed = std::future::poll_fn(|cx| {
            loop {
                match self.poll_receive(cx) {
                    Poll::Ready(Some(Ok(_))) => {}
                    Poll::Ready(None | Some(Err(_))) => return Poll::Ready(()),
                    Poll::Pending => return Poll::Pending,
                }
            }
        });
        closed.await;
    }
}
