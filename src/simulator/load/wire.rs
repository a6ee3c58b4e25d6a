//! WebSocket framing, as much of it as a load needs: whole messages in one frame each.
//!
//! A library would do it better and cost more than the calls that are to be measured.

use std::io;
use std::pin::Pin;
use std::task::Poll;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// More than a handshake or a settings message of ours ever is.
const MAX_BYTES: usize = 1 << 20;
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Binary,
    Close,
    Other,
}

/// Whether what is sent has to be masked: what a client sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Client,
    Server,
}

/// Appends one message to `out`. A client's mask is of zeros, which leaves the bytes as they are.
pub(super) fn put(out: &mut Vec<u8>, side: Side, kind: Kind, parts: &[&[u8]]) {
    let opcode = match kind {
        Kind::Text => 1,
        Kind::Binary => 2,
        Kind::Close => 8,
        Kind::Other => 10,
    };
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let masked = if side == Side::Client { 0x80 } else { 0 };
    out.push(0x80 | opcode);
    match u16::try_from(length) {
        Ok(short @ ..126) => out.push(masked | short as u8),
        Ok(length) => {
            out.push(masked | 126);
            out.extend(length.to_be_bytes());
        }
        Err(_) => {
            out.push(masked | 127);
            out.extend((length as u64).to_be_bytes());
        }
    }
    if side == Side::Client {
        out.extend([0; 4]);
    }
    parts.iter().for_each(|part| out.extend_from_slice(part));
}

/// A message as it lies in what was read, unmasked as far as somebody looks.
#[derive(Clone, Copy)]
pub(super) struct Seen<'a> {
    pub(super) kind: Kind,
    payload: &'a [u8],
    mask: [u8; 4],
}

impl<'a> Seen<'a> {
    pub(super) fn len(&self) -> usize {
        self.payload.len()
    }

    pub(super) fn byte(&self, at: usize) -> Option<u8> {
        Some(self.payload.get(at)? ^ self.mask[at % 4])
    }

    /// The bytes of a message that was not masked.
    pub(super) fn plain(&self) -> &'a [u8] {
        self.payload
    }
}

/// The listening half of a socket.
pub(super) struct Ear {
    socket: OwnedReadHalf,
    /// Read and not yet seen.
    unseen: Vec<u8>,
    buffer: Box<[u8]>,
}

impl Ear {
    /// Waits for something to be read and shows every message that is complete. `false`: there will be no more.
    pub(super) async fn hear(&mut self, mut see: impl FnMut(Seen<'_>)) -> io::Result<bool> {
        let Self { socket, unseen, buffer } = self;
        let read = std::future::poll_fn(|cx| {
            let mut into = ReadBuf::new(buffer);
            match Pin::new(&mut *socket).poll_read(cx, &mut into) {
                Poll::Ready(Ok(())) => Poll::Ready(Ok(into.filled().len())),
                Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                Poll::Pending => Poll::Pending,
            }
        });
        let count = read.await?;
        if count == 0 {
            return Ok(false);
        }
        // As a rule a read holds whole messages and nothing is left of the one before: nothing is copied then.
        if unseen.is_empty() {
            let used = seen(&buffer[..count], &mut see)?;
            unseen.extend_from_slice(&buffer[used..count]);
        } else {
            unseen.extend_from_slice(&buffer[..count]);
            let used = seen(unseen, &mut see)?;
            unseen.drain(..used);
        }
        if unseen.len() > MAX_BYTES {
            return Err(io::Error::other("a message of more than a MiB"));
        }
        Ok(true)
    }
}

/// Shows the whole messages in `bytes`; how many bytes they were.
fn seen(bytes: &[u8], see: &mut impl FnMut(Seen<'_>)) -> io::Result<usize> {
    let mut rest = bytes;
    while let Some((message, after)) = split(rest)? {
        see(message);
        rest = after;
    }
    Ok(bytes.len() - rest.len())
}

fn split(bytes: &[u8]) -> io::Result<Option<(Seen<'_>, &[u8])>> {
    let [first, second, rest @ ..] = bytes else { return Ok(None) };
    let kind = match first & 0x8f {
        0x81 => Kind::Text,
        0x82 => Kind::Binary,
        0x88 => Kind::Close,
        0x89 | 0x8a => Kind::Other,
        _ => return Err(io::Error::other("a message in pieces, or no message")),
    };
    let (length, rest) = match second & 0x7f {
        126 => match rest.split_first_chunk() {
            Some((length, rest)) => (usize::from(u16::from_be_bytes(*length)), rest),
            None => return Ok(None),
        },
        127 => match rest.split_first_chunk() {
            Some((length, rest)) => (usize::try_from(u64::from_be_bytes(*length)).unwrap_or(usize::MAX), rest),
            None => return Ok(None),
        },
        short => (usize::from(short), rest),
    };
    let (mask, rest) = match (second & 0x80 != 0, rest.split_first_chunk()) {
        (false, _) => ([0; 4], rest),
        (true, Some((mask, rest))) => (*mask, rest),
        (true, None) => return Ok(None),
    };
    let Some((payload, after)) = rest.split_at_checked(length) else { return Ok(None) };
    Ok(Some((Seen { kind, payload, mask }, after)))
}

/// Opens a WebSocket as a client.
pub(super) async fn open(socket: TcpStream, host: &str, path: &str) -> io::Result<(Ear, OwnedWriteHalf)> {
    socket.set_nodelay(true)?;
    let (mut ear, mouth) = halves(socket);
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: {KEY}\r\n\r\n"
    );
    write_all(&mouth, request.as_bytes()).await?;
    let head = ear.head().await?;
    if !head.starts_with("HTTP/1.1 101 ") {
        return Err(io::Error::other(head.lines().next().unwrap_or_default().to_owned()));
    }
    Ok((ear, mouth))
}

/// Takes a WebSocket as a server.
pub(super) async fn accept(socket: TcpStream) -> io::Result<(Ear, OwnedWriteHalf)> {
    socket.set_nodelay(true)?;
    let (mut ear, mouth) = halves(socket);
    let head = ear.head().await?;
    let fields = head.lines().filter_map(|line| line.split_once(':'));
    let key = fields.into_iter().find(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-key"));
    let (_, key) = key.ok_or_else(|| io::Error::other("no WebSocket was asked for"))?;
    let accepted = derive_accept_key(key.trim().as_bytes());
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {accepted}\r\n\r\n"
    );
    write_all(&mouth, answer.as_bytes()).await?;
    Ok((ear, mouth))
}

/// Writes all of it, waiting for the peer if it must.
pub(super) async fn write_all(socket: &OwnedWriteHalf, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        socket.writable().await?;
        match socket.try_write(bytes) {
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn halves(socket: TcpStream) -> (Ear, OwnedWriteHalf) {
    let (reading, writing) = socket.into_split();
    (Ear { socket: reading, unseen: Vec::new(), buffer: vec![0; 4096].into() }, writing)
}

impl Ear {
    /// What a request or an answer says before its empty line.
    async fn head(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = self.unseen.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                let head = self.unseen.drain(..end + 4).collect();
                return String::from_utf8(head).map_err(io::Error::other);
            }
            self.socket.readable().await?;
            match self.socket.try_read_buf(&mut self.unseen) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) if self.unseen.len() > MAX_BYTES => return Err(io::Error::other("a handshake without an end")),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tokio_tungstenite::tungstenite::{Message, protocol::Role, protocol::WebSocket};

    fn messages(bytes: &[u8]) -> (Vec<(Kind, Vec<u8>)>, usize) {
        let mut found = Vec::new();
        let whole = |message: Seen<'_>| (0..message.len()).filter_map(|at| message.byte(at)).collect();
        let used = seen(bytes, &mut |message| found.push((message.kind, whole(message)))).expect("messages");
        (found, used)
    }

    #[test]
    fn what_is_put_is_what_the_library_reads() {
        for length in [0, 125, 126, 65_535, 65_536] {
            let text = vec![b'x'; length];
            let mut sent = Vec::new();
            put(&mut sent, Side::Client, Kind::Text, &[&text[..length / 2], &text[length / 2..]]);
            let stream = io::Cursor::new(sent);
            let read = WebSocket::from_raw_socket(stream, Role::Server, None).read().expect("a message");
            assert_eq!(read.into_data(), text, "{length} bytes");
        }
    }

    #[test]
    fn what_the_library_writes_is_what_is_seen() {
        for length in [0, 125, 126, 65_535, 65_536] {
            let sound = vec![7; length];
            let mut stream = io::Cursor::new(Vec::new());
            let mut library = WebSocket::from_raw_socket(&mut stream, Role::Client, None);
            library.send(Message::binary(sound.clone())).expect("room");
            let bytes = stream.into_inner();
            assert_eq!(messages(&bytes), (vec![(Kind::Binary, sound)], bytes.len()), "{length} bytes");
        }
    }

    #[test]
    fn half_a_message_waits_for_its_other_half() {
        let mut bytes = Vec::new();
        put(&mut bytes, Side::Server, Kind::Text, &[b"whole"]);
        let whole = bytes.len();
        put(&mut bytes, Side::Client, Kind::Binary, &[&[1; 300]]);
        for end in whole..bytes.len() {
            assert_eq!(messages(&bytes[..end]), (vec![(Kind::Text, b"whole".to_vec())], whole), "{end} bytes");
        }
    }

    proptest! {
        #[test]
        fn nothing_that_comes_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = seen(&bytes, &mut |message| {
                message.byte(message.len());
            });
        }
    }
}
