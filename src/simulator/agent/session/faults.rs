//! How the simulated agent goes wrong when its script wants it to.

use std::ops::ControlFlow::{Break, Continue};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::AsyncWriteExt as _;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::{Flow, Session, Waiting};
use crate::deepgram::message::{AgentMessage, LatencyReport, Role};
use crate::deepgram::settings::AgentAudio;
use crate::simulator::script::{AgentFault, Fault, Step};

/// A text frame of 1,000 bytes, which ends after a few of them.
const HALF_FRAME: &[u8] = b"\x81\x7e\x03\xe8{\"type\":\"ConversationText\",\"role\":\"assist";
/// Messages and pieces of speech in a flood, 2,000 of each; a piece is 10 ms of sound.
const FLOOD: usize = 2_000;
/// How often an agent that does not read any more looks whether the connection still stands. Real time.
const LOOK: Duration = Duration::from_millis(100);

impl Session {
    /// A script that begins with a fault in a reply means the greeting, which is nobody's step.
    pub(super) fn arm_first(&mut self) {
        let script = self.script.clone();
        if let Some(Step::Fault(fault)) = script.as_ref().and_then(|script| script.steps.first())
            && fault.into_reply_ms.is_some()
        {
            self.armed = Some(fault.clone());
            self.at = 1;
        }
    }

    /// What goes wrong before anything else is said. Nothing is agreed yet: a flood is one of this program's default format.
    pub(super) async fn go_wrong_at_once(&mut self) -> Flow {
        for kind in std::mem::take(&mut self.behaviour.before_welcome) {
            let fault = AgentFault { kind, code: None, into_reply_ms: None };
            self.go_wrong(&fault, AgentAudio::default()).await?;
        }
        Continue(())
    }

    pub(super) async fn go_wrong(&mut self, fault: &AgentFault, format: AgentAudio) -> Flow {
        match fault.kind {
            Fault::Error => {
                let code = fault.code.as_deref().unwrap_or("INTERNAL_SERVER_ERROR");
                self.fail(code, "The script wants this.").await
            }
            // Without a close frame: the stream is dropped with the session.
            Fault::Close => Break(()),
            Fault::GoAway => self.leave(CloseFrame { code: CloseCode::Normal, reason: "".into() }).await,
            Fault::HalfFrame => {
                let _ = self.socket.flush().await;
                let _ = self.socket.get_mut().write_all(HALF_FRAME).await;
                Break(())
            }
            Fault::Silence => {
                self.speech = None;
                self.waiting = Waiting::Mute;
                Continue(())
            }
            Fault::Deaf => self.stop_reading().await,
            Fault::Garbage => {
                for text in ["", "not json", "[]", "{}", r#"{"type":5}"#, r#"{"type":"ConversationText"}"#] {
                    self.send_text(text.to_owned()).await?;
                }
                self.send_frame(Message::Binary(Bytes::new())).await
            }
            Fault::UnknownMessage => {
                self.send_text(r#"{"type":"SomethingNew","since":"tomorrow","parts":[1,{"a":null}]}"#.to_owned()).await
            }
            Fault::Flood => self.flood(format).await,
        }
    }

    /// Closes properly, and awaits the other side's close, so that nothing said before is lost with a reset connection.
    pub(super) async fn leave(&mut self, frame: CloseFrame) -> Flow {
        let _ = self.socket.close(Some(frame)).await;
        let farewell = async { while let Some(Ok(_)) = self.socket.next().await {} };
        let _ = tokio::time::timeout(Duration::from_secs(1), farewell).await;
        Break(())
    }

    /// Keeps the connection for as long as the other side does, without a word and without a look at what comes.
    async fn stop_reading(&mut self) -> Flow {
        loop {
            tokio::time::sleep(LOOK).await;
            // A pong that nobody has asked for is answered by nobody; only to a socket that is gone it cannot be sent.
            if self.socket.send(Message::Pong(Bytes::new())).await.is_err() {
                return Break(());
            }
        }
    }

    /// All at once, as fast as the other side takes it: 2,000 messages of several kinds, and 20 s of one reply.
    async fn flood(&mut self, format: AgentAudio) -> Flow {
        let text = "A flood.".to_owned();
        self.send(AgentMessage::ConversationText { role: Role::Assistant, content: text.clone() }).await?;
        let sound = self.stage.sound(&text, None, format);
        let piece = format.output_rate() as usize / 100 * format.sample_bytes();
        let kinds = [
            AgentMessage::AgentThinking { content: "Water, water, every where.".to_owned() },
            AgentMessage::LatencyReport(LatencyReport::default()),
            AgentMessage::Warning { code: "FLOOD".to_owned(), description: "The script wants this.".to_owned() },
        ]
        .map(|message| message.to_json());
        let pieces = sound.len() / piece;
        for at in 0..FLOOD {
            let from = at % pieces.max(1) * piece;
            let bytes = sound.slice(from..sound.len().min(from + piece));
            // Not flushed one by one: that would be a pause.
            let text = Message::text(kinds[at % kinds.len()].clone());
            for frame in [Message::Binary(bytes), text] {
                if self.socket.feed(frame).await.is_err() {
                    return Break(());
                }
            }
        }
        self.send(AgentMessage::AgentAudioDone).await
    }
}
