//! Deepgram's end of the calls.

use super::books::{Books, Way};
use super::mouths::{Mouths, PAYLOAD_AT};
use super::stamp::{Stamp, frame_to_agent};
use super::wire::{self, Ear, Kind, Seen, Side, put};
use crate::deepgram::settings::AgentAudio;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

const WELCOME: &str = r#"{"type":"Welcome","request_id":"load"}"#;
const APPLIED: &str = r#"{"type":"SettingsApplied"}"#;

/// Whoever connects is spoken to. Dropped, it listens no more.
pub(super) struct Agents {
    address: SocketAddr,
    listening: AbortHandle,
}

impl Agents {
    pub(super) async fn listen(
        at: SocketAddr,
        audio: AgentAudio,
        books: Arc<Books>,
        mouths: Arc<Mouths>,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(at).await?;
        let address = listener.local_addr()?;
        let listening = tokio::spawn(async move {
            let mut agents = JoinSet::new();
            for number in 0.. {
                let Ok((socket, _)) = listener.accept().await else { return };
                let agent = Agent { audio, books: Arc::clone(&books), told: None, began: None };
                // Why an agent's end ends, its phone tells as well.
                agents.spawn(agent.talk(socket, Arc::clone(&mouths), number));
            }
        });
        Ok(Self { address, listening: listening.abort_handle() })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Agents {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

struct Agent {
    audio: AgentAudio,
    books: Arc<Books>,
    /// When the settings were there.
    told: Option<Stamp>,
    /// When the call began, which its first frame says.
    began: Option<Stamp>,
}

impl Agent {
    async fn talk(mut self, socket: TcpStream, mouths: Arc<Mouths>, number: u32) -> io::Result<()> {
        let (mut ear, mouth) = wire::accept(socket).await?;
        wire::write_all(&mouth, &text(WELCOME)).await?;
        self.be_told(&mut ear).await?;
        wire::write_all(&mouth, &text(APPLIED)).await?;
        mouths.agent(mouth, self.audio, number);
        while ear.hear(|message| self.hear(message)).await? {}
        Ok(())
    }

    /// The settings; a relay passes on what the phone says first.
    async fn be_told(&mut self, ear: &mut Ear) -> io::Result<()> {
        while self.told.is_none() {
            if !ear.hear(|message| self.hear(message)).await? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(())
    }

    fn hear(&mut self, message: Seen<'_>) {
        match message.kind {
            Kind::Text if self.told.is_none() => self.told = Some(self.books.now()),
            Kind::Binary => {
                // What was kept while the agent was dialled comes in one piece.
                for frame in 0..message.len() / frame_to_agent(self.audio) {
                    let start = frame * frame_to_agent(self.audio);
                    self.hear_frame(Stamp::heard_by_agent(self.audio, |at| message.byte(start + at)));
                }
            }
            // Through a relay.
            Kind::Text => self.hear_frame(Stamp::heard_in_media(PAYLOAD_AT, |at| message.byte(at))),
            Kind::Close | Kind::Other => {}
        }
    }

    fn hear_frame(&mut self, sent: Option<Stamp>) {
        match (self.began, self.told, sent) {
            (None, Some(told), Some(began)) => {
                self.began = sent;
                self.books.set_up.note(told.since(began));
                self.books.frame_heard(Way::Up, None);
            }
            _ => self.books.frame_heard(Way::Up, sent),
        }
    }
}

fn text(text: &str) -> Vec<u8> {
    let mut message = Vec::new();
    put(&mut message, Side::Server, Kind::Text, &[text.as_bytes()]);
    message
}
