//! The agent's socket: the library's, but for one message a call that is larger than all others.
//!
//! The library copies what it sends into a buffer that never shrinks, so that the settings, sent once, would be carried
//! along by every call to its end. They are framed by the library and written past that buffer.

use bytes::{Buf as _, Bytes};
use futures_util::{Sink, Stream};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::AsyncWrite as _;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

/// The agent leg's socket: takes and gives messages as a [`WebSocketStream`] does.
#[derive(Debug)]
pub struct AgentSocket {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// What is still to be written of a large message. Until it is, nothing is asked of the library that could make it
    /// write into the middle of it, which reading may.
    large: Option<Bytes>,
}

impl AgentSocket {
    pub(super) fn new(socket: WebSocketStream<MaybeTlsStream<TcpStream>>) -> Self {
        Self { socket, large: None }
    }

    /// Writes what was sent before the large message, and then that.
    fn poll_large(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if let Some(large) = &mut self.large {
            // Once nothing of it is left this does nothing: what it would write comes of messages sent or read.
            ready!(Pin::new(&mut self.socket).poll_flush(cx))?;
            while large.has_remaining() {
                let written = ready!(Pin::new(self.socket.get_mut()).poll_write(cx, large))?;
                if written == 0 {
                    return Poll::Ready(Err(Error::Io(std::io::ErrorKind::WriteZero.into())));
                }
                large.advance(written);
            }
            self.large = None;
        }
        Poll::Ready(Ok(()))
    }
}

impl Stream for AgentSocket {
    type Item = Result<Message, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Err(error) = ready!(self.poll_large(cx)) {
            return Poll::Ready(Some(Err(error)));
        }
        Pin::new(&mut self.socket).poll_next(cx)
    }
}

impl Sink<Message> for AgentSocket {
    type Error = Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        ready!(self.poll_large(cx))?;
        Pin::new(&mut self.socket).poll_ready(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, message: Message) -> Result<(), Error> {
        match message {
            Message::Text(text) if text.len() > super::BUFFER_BYTES => {
                self.large = Some(frame(text.into())?);
                Ok(())
            }
            message => Pin::new(&mut self.socket).start_send(message),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        ready!(self.poll_large(cx))?;
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        ready!(self.poll_large(cx))?;
        Pin::new(&mut self.socket).poll_close(cx)
    }
}

/// A text message as it is on the wire, masked as a client's must be.
fn frame(text: Bytes) -> Result<Bytes, Error> {
    let mut frame = Frame::message(text, OpCode::Data(Data::Text), true);
    frame.header_mut().mask = Some(rand::random());
    let mut bytes = Vec::with_capacity(frame.len());
    frame.format(&mut bytes)?;
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{SinkExt as _, StreamExt as _};
    use std::future::poll_fn;
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::TcpListener;
    use tokio_tungstenite::tungstenite::protocol::Role;

    /// Our end, and the other before anything is made of it.
    async fn pair() -> (AgentSocket, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (ours, theirs) = tokio::join!(TcpStream::connect(address), listener.accept());
        let ours = MaybeTlsStream::Plain(ours.unwrap());
        (AgentSocket::new(WebSocketStream::from_raw_socket(ours, Role::Client, None).await), theirs.unwrap().0)
    }

    #[tokio::test]
    async fn messages_of_all_sizes_come_whole_and_in_order() {
        let (mut socket, theirs) = pair().await;
        let mut theirs = WebSocketStream::from_raw_socket(theirs, Role::Server, None).await;
        let texts = [10, 5_000, 20, 70_000, 4_096, 4_097].map(|size| "é".repeat(size / 2) + &"x".repeat(size % 2));
        for text in &texts {
            socket.feed(Message::text(text)).await.unwrap();
        }
        let reading = async {
            for text in &texts {
                assert_eq!(theirs.next().await.unwrap().unwrap(), Message::text(text));
            }
        };
        let (sent, ()) = tokio::join!(socket.flush(), reading);
        sent.unwrap();
    }

    #[tokio::test]
    async fn an_answer_to_a_ping_never_comes_into_the_middle_of_a_large_message() {
        let (mut socket, mut theirs) = pair().await;
        // More than the kernel takes from one who is not read.
        let text = "x".repeat(8 << 20);
        socket.feed(Message::text(&text)).await.unwrap();
        let flushed = poll_fn(|cx| Poll::Ready(socket.poll_flush_unpin(cx))).await;
        assert!(flushed.is_pending(), "some of it is still here");
        theirs.write_all(&[0x89, 0]).await.unwrap();
        let mut theirs = WebSocketStream::from_raw_socket(theirs, Role::Server, None).await;
        let ours = async {
            // Reads, so that the ping would be answered, for as long as the other side has not seen everything.
            while let Some(Ok(_)) = socket.next().await {}
        };
        let other = async {
            assert_eq!(theirs.next().await.unwrap().unwrap(), Message::text(&text));
            assert_eq!(theirs.next().await.unwrap().unwrap(), Message::Pong(Bytes::new()));
            drop(theirs);
        };
        tokio::join!(ours, other);
    }
}
