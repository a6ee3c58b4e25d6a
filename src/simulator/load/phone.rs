//! Twilio's end of a call.

use super::books::{Books, Way};
use super::mouths::Mouths;
use super::stamp::Stamp;
use super::wire::{self, Kind, Seen, Side, put};
use super::{Door, LoadError, PATIENCE};
use crate::deepgram::settings::AgentAudio;
use std::net::SocketAddr;
use tokio::net::TcpStream;

/// What comes before the payload of a media message: the server writes no other.
const PAYLOAD: &[u8] = br#""media":{"payload":""#;
const MEDIA: &[u8] = br#"{"event":"media""#;
const CLEAR: &[u8] = br#"{"event":"clear""#;
/// What a relay makes of it: the same.
const INTERRUPTED: &[u8] = br#"{"type":"UserStartedSpeaking""#;

/// What a phone has heard, modulo 2¹⁶: its share of what the agent sent.
#[derive(Default)]
struct Heard {
    frames: u16,
    next: Next,
}

/// What the next frame tells, as the agent's end has it.
#[derive(Clone, Copy, Default)]
enum Next {
    #[default]
    Now,
    /// When the `clear` was asked for that came then.
    Asked { cleared: Stamp },
    /// How many were sent before it.
    Sent,
}

pub(super) struct Phone {
    pub(super) number: usize,
    pub(super) target: SocketAddr,
    pub(super) door: Door,
    pub(super) audio: AgentAudio,
    pub(super) http: reqwest::Client,
}

impl Phone {
    /// One call, until it is hung up.
    pub(super) async fn call(self, books: &Books, mouths: &Mouths) -> Result<(), LoadError> {
        let call_sid = format!("CA{:032x}", self.number);
        let token = match &self.door {
            Door::Webhook { base } => self.token(base, &call_sid).await?,
            Door::Open(_) => String::new(),
        };
        let began = books.now();
        let opening = async {
            let socket = TcpStream::connect(self.target).await?;
            let (ear, mouth) = wire::open(socket, &self.target.to_string(), "/twilio").await?;
            wire::write_all(&mouth, &start(&call_sid, &token)).await?;
            Ok::<_, std::io::Error>((ear, mouth))
        };
        let opened = tokio::time::timeout(PATIENCE, opening).await;
        let (mut ear, mouth) =
            opened.map_err(|_| LoadError::Answer("the stream did not open in time".to_owned()))??;
        mouths.phone(mouth, began);
        let mut heard = Heard::default();
        let ended = loop {
            match ear.hear(|message| self.hear(message, books, &mut heard)).await {
                Ok(true) => {}
                Ok(false) => break LoadError::Answer("the server ended it".to_owned()),
                Err(error) => break error.into(),
            }
        };
        // However the other end goes that was told to: some leave what they have not read, which resets the connection.
        if mouths.has_hung_up() { Ok(()) } else { Err(ended) }
    }

    fn hear(&self, message: Seen<'_>, books: &Books, heard: &mut Heard) {
        let sent = match message.kind {
            Kind::Text if message.plain().starts_with(MEDIA) => {
                let text = message.plain();
                let at = text.windows(PAYLOAD.len()).position(|bytes| bytes == PAYLOAD);
                at.and_then(|at| Stamp::heard_on_phone(text.get(at + PAYLOAD.len()..)?, self.audio))
            }
            Kind::Text if message.plain().starts_with(CLEAR) || message.plain().starts_with(INTERRUPTED) => {
                heard.next = Next::Asked { cleared: books.now() };
                return;
            }
            // Through a relay.
            Kind::Binary => Stamp::heard_raw(message.plain(), self.audio),
            _ => return,
        };
        let told = std::mem::take(&mut heard.next);
        match (told, sent) {
            (Next::Asked { cleared }, Some(asked)) => {
                books.cleared(asked, cleared);
                heard.next = Next::Sent;
            }
            (Next::Sent, Some(sent)) => {
                let cleared = sent.as_count().wrapping_sub(heard.frames);
                books.frames_cleared(cleared.into());
                heard.frames = heard.frames.wrapping_add(cleared);
            }
            _ => {}
        }
        heard.frames = heard.frames.wrapping_add(1);
        books.frame_heard(Way::Down, sent.filter(|_| matches!(told, Next::Now)));
    }

    async fn token(&self, base: &str, call_sid: &str) -> Result<String, LoadError> {
        let from = format!("+1555{:07}", 2_000_000 + self.number);
        let form = [("CallSid", call_sid), ("From", &from), ("To", "+15557654321")];
        let asked = self.http.post(format!("{base}/voice")).timeout(PATIENCE).form(&form).send().await?;
        let twiml = asked.error_for_status()?.text().await?;
        let token = twiml.split_once(r#"name="token" value=""#).and_then(|(_, rest)| rest.split('"').next());
        token.map(str::to_owned).ok_or_else(|| LoadError::Answer("the webhook's answer begins no stream".to_owned()))
    }
}

fn start(call_sid: &str, token: &str) -> Vec<u8> {
    let start = serde_json::json!({
        "event": "start", "sequenceNumber": "1", "streamSid": "MZload",
        "start": {
            "streamSid": "MZload", "accountSid": "ACload", "callSid": call_sid, "tracks": ["inbound"],
            "customParameters": {"token": token},
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        },
    });
    let mut message = Vec::new();
    put(&mut message, Side::Client, Kind::Text, &[start.to_string().as_bytes()]);
    message
}
