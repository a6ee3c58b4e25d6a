//! What the simulated agent says: replies on their way, in uneven pieces, and what becomes of them when the caller
//! interrupts.

use std::ops::ControlFlow::Continue;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;

use super::{Flow, Session, Terms};
use crate::deepgram::message::{AgentMessage, InjectBehavior, LatencyReport, Role};
use crate::simulator::What;
use crate::simulator::voice::Clip;

/// Sizes of the pieces that speech is sent in, in turn: uneven, odd ones included, as on the real wire.
const PIECES: [usize; 7] = [3840, 1001, 7680, 333, 5120, 1, 2879];

/// A reply on its way.
pub(super) struct Speech {
    /// What is to be said after the current text.
    texts: std::vec::IntoIter<String>,
    /// Sound of the text being said that is not sent yet.
    audio: Bytes,
    /// When the next piece is due.
    pub(super) due: Instant,
    /// Whether `AgentAudioDone` follows.
    ends_reply: bool,
    /// Bytes sent so far.
    sent: usize,
}

impl Session {
    /// Begins to say something. A reply that the step before left open goes on.
    pub(super) async fn begin_reply(
        &mut self,
        texts: Vec<String>,
        clip: Option<Clip>,
        ends_reply: bool,
        terms: &Terms,
    ) -> Flow {
        let mut texts = texts.into_iter();
        let first = texts.next().unwrap_or_default();
        let audio = self.stage.sound(&first, clip, terms.format);
        self.said(Role::Assistant, first, terms).await?;
        if !self.reply_open {
            if terms.experimental {
                let started = AgentMessage::AgentStartedSpeaking {
                    total_latency: Some(0.75),
                    tts_latency: Some(0.25),
                    ttt_latency: Some(0.5),
                };
                self.send(started).await?;
            }
            let report = LatencyReport {
                ttt_text_latency: Some(0.5),
                tts_latency: Some(0.25),
                total_latency: Some(0.75),
                ..LatencyReport::default()
            };
            self.send(AgentMessage::LatencyReport(report)).await?;
        }
        self.reply_open = true;
        self.speech = Some(Speech { texts, audio, due: Instant::now(), ends_reply, sent: 0 });
        Continue(())
    }

    /// Sends the next piece of the reply, if it is due.
    pub(super) async fn speak_on(&mut self, terms: &Terms) -> Flow {
        let Some(speech) = &mut self.speech else { return Continue(()) };
        if Instant::now() < speech.due {
            return Continue(());
        }
        let size = PIECES[self.piece % PIECES.len()].min(speech.audio.len());
        self.piece += 1;
        let piece = speech.audio.split_to(size);
        let bytes_a_second = f64::from(terms.format.output_rate()) * terms.format.sample_bytes() as f64;
        let faster = self.stage.options.pace * self.stage.options.speed;
        speech.sent += piece.len();
        let sent_ms = speech.sent as u64 * 1000 / bytes_a_second as u64;
        let over = speech.audio.is_empty() && speech.texts.len() == 0;
        speech.due += Duration::from_secs_f64(piece.len() as f64 / (bytes_a_second * faster));
        let (whole, ends_reply) = (speech.audio.is_empty(), speech.ends_reply);
        let next = if whole { speech.texts.next() } else { None };
        self.send_frame(Message::Binary(piece)).await?;
        if let Some(fault) =
            self.armed.take_if(|fault| over || fault.into_reply_ms.is_none_or(|ms| sent_ms >= ms.into()))
        {
            self.go_wrong(&fault, terms.format).await?;
        }
        if !whole {
            return Continue(());
        }
        if let Some(text) = next {
            let audio = self.stage.sound(&text, None, terms.format);
            if let Some(speech) = &mut self.speech {
                speech.audio = audio;
            }
            return self.said(Role::Assistant, text, terms).await;
        }
        self.speech = None;
        if !ends_reply {
            return Continue(());
        }
        self.reply_open = false;
        self.send(AgentMessage::AgentAudioDone).await
    }

    /// Says what the client wants said, if this is a good moment.
    pub(super) async fn inject(&mut self, message: String, behavior: InjectBehavior, terms: &Terms) -> Flow {
        let busy = self.speech.is_some() || self.caller_speaks;
        match (behavior, &mut self.speech) {
            (InjectBehavior::Default, _) if busy => {
                let message = "Somebody is speaking.".to_owned();
                self.send(AgentMessage::InjectionRefused { message }).await
            }
            (InjectBehavior::Queue, Some(speech)) => {
                let mut texts: Vec<String> = speech.texts.by_ref().collect();
                texts.push(message);
                speech.texts = texts.into_iter();
                Continue(())
            }
            _ => {
                self.speech = None;
                self.begin_reply(vec![message], None, true, terms).await
            }
        }
    }

    /// The caller begins to speak: whatever is being said is dropped, but for what was already on its way.
    pub(super) async fn interrupted(&mut self, terms: &Terms) -> Flow {
        self.caller_speaks = true;
        self.send(AgentMessage::UserStartedSpeaking).await?;
        self.reply_open = false;
        let Some(speech) = self.speech.take() else { return Continue(()) };
        self.tell(What::Interrupted);
        let late = self.behaviour.late_audio_ms as usize * terms.format.output_rate() as usize / 1000
            * terms.format.sample_bytes();
        let late = speech.audio.slice(..late.min(speech.audio.len()));
        if !late.is_empty() {
            self.send_frame(Message::Binary(late)).await?;
        }
        if self.behaviour.audio_done_after_interruption {
            self.send(AgentMessage::AgentAudioDone).await?;
        }
        Continue(())
    }
}
