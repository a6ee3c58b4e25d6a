//! One media stream of the simulated telephone: frames out, sound in, marks back.

use std::ops::ControlFlow;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio::time::{MissedTickBehavior, interval};
use tokio_tungstenite::tungstenite::{Error as SocketError, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use super::mouth::{FRAME, Mouth, Utter};
use super::player::Player;
use super::twiml::Stream;
use super::{ACCOUNT_SID, CallReport, ClosedBy, SimulatedCaller};
use crate::audio::mulaw;
use crate::simulator::script::{LineFault, LineTrouble, Script};
use crate::simulator::{Side, Speaker, What};
use crate::twilio::far_end::{FarEndMessage, FarEndWriter};
use crate::twilio::message::{MediaFormat, MessageError, Start};

/// One open stream.
pub(super) struct Line<'a> {
    caller: &'a SimulatedCaller,
    call_sid: String,
    stream_sid: String,
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    writer: FarEndWriter,
    player: Player,
    mouth: Mouth,
    /// Ticks for which no audio goes out any more.
    paused: u32,
    marks: Marks,
}

/// What becomes of a mark that has been reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Marks {
    SaidBack,
    /// For so many ticks more.
    Held(u32),
    Lost,
}

impl<'a> Line<'a> {
    pub(super) fn new(
        caller: &'a SimulatedCaller,
        call_sid: &str,
        stream: Stream,
        socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
        script: &Script,
    ) -> Self {
        let stream_sid = format!("MZ{:032x}", rand::random::<u128>());
        let writer = FarEndWriter::new(Start {
            stream_sid: stream_sid.clone(),
            call_sid: call_sid.to_owned(),
            account_sid: Some(ACCOUNT_SID.to_owned()),
            media_format: MediaFormat::default(),
            parameters: stream.parameters,
        });
        let mouth = Mouth::new(script).at_speed(caller.options.speed).patient(caller.options.patience);
        Self {
            caller,
            call_sid: call_sid.to_owned(),
            stream_sid,
            socket,
            writer,
            player: Player::default(),
            mouth,
            paused: 0,
            marks: Marks::SaidBack,
        }
    }

    /// Whether every line of the caller's has been said.
    pub(super) fn finished(&self) -> bool {
        self.mouth.finished()
    }

    /// Talks until somebody ends it.
    pub(super) async fn talk(&mut self, report: &mut CallReport) -> ClosedBy {
        match self.try_talk(report).await {
            Ok(closed_by) | Err(closed_by) => closed_by,
        }
    }

    async fn try_talk(&mut self, report: &mut CallReport) -> Result<ClosedBy, ClosedBy> {
        let connected = self.writer.connected();
        self.send(connected).await?;
        let start = self.writer.start();
        self.send(start).await?;
        let speed = self.caller.options.speed;
        let mut ticks = interval(Duration::from_millis(20).div_f64(speed));
        // After a delay Twilio catches up, too: a call's audio has no holes.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let last_frame = self.caller.options.hang_up_after.map(|after| after.as_millis() as u64 / 20);
        loop {
            tokio::select! {
                _ = ticks.tick() => {
                    if last_frame.is_some_and(|last| report.frames_sent >= last) {
                        return Ok(ClosedBy::Caller);
                    }
                    if self.tick(report).await?.is_break() {
                        return Ok(ClosedBy::Caller);
                    }
                }
                frame = self.socket.next() => self.take(frame, report).await?,
            }
        }
    }

    /// 20 ms of the call: the caller hears, and says, a frame. Breaks when they hang up.
    async fn tick(&mut self, report: &mut CallReport) -> Result<ControlFlow<()>, ClosedBy> {
        let heard = self.player.play(FRAME);
        if self.caller.options.keep_audio {
            report.heard.extend_from_slice(heard);
        }
        if let Some(lines) = &self.caller.options.lines {
            self.mouth.allow(*lines.borrow());
        }
        let (utter, also) = self.mouth.tick(heard);
        if let Some(text) = also.begins {
            self.caller.tell(&self.call_sid, What::Said { who: Speaker::Caller, text });
        }
        let frame = match &utter {
            Utter::Frame(frame) => frame,
            Utter::Silence => &[mulaw::SILENCE; FRAME],
            Utter::HangUp => return Ok(ControlFlow::Break(())),
        };
        match self.paused.checked_sub(1) {
            Some(left) => self.paused = left,
            None => {
                let media = self.writer.media(frame, report.frames_sent * 20);
                report.frames_sent += 1;
                self.send(media).await?;
            }
        }
        if let Some(key) = also.key {
            let text = self.writer.dtmf(key);
            self.send(text).await?;
        }
        if let Marks::Held(ticks) = self.marks {
            self.marks = ticks.checked_sub(1).map_or(Marks::SaidBack, Marks::Held);
        }
        self.echo_marks(report).await?;
        if let Some(trouble) = also.trouble {
            self.go_wrong(trouble).await?;
        }
        Ok(ControlFlow::Continue(()))
    }

    async fn go_wrong(&mut self, trouble: LineFault) -> Result<(), ClosedBy> {
        let ticks = trouble.for_ms / 20;
        match trouble.kind {
            LineTrouble::Drop => return Err(ClosedBy::Cut),
            LineTrouble::StartAgain => {
                let start = self.writer.start();
                self.send(start).await?;
            }
            LineTrouble::Stop => {
                let stop = self.writer.stop();
                self.send(stop).await?;
            }
            LineTrouble::Pause => self.paused = ticks,
            LineTrouble::HoldMarks => self.marks = Marks::Held(ticks),
            LineTrouble::LoseMarks => self.marks = Marks::Lost,
        }
        Ok(())
    }

    async fn take(
        &mut self,
        frame: Option<Result<Message, SocketError>>,
        report: &mut CallReport,
    ) -> Result<(), ClosedBy> {
        let text = match frame {
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => return Ok(()),
            Some(Ok(Message::Binary(_))) => return Err(ClosedBy::Violation("a binary frame".to_owned())),
            Some(Ok(Message::Close(_))) => {
                // The library has the answer ready; it goes out with this.
                let _ = self.socket.flush().await;
                return Err(ClosedBy::Server);
            }
            Some(Err(_)) | None => return Err(ClosedBy::Dropped),
        };
        self.caller.options.observer.tap(Side::Caller, &self.call_sid, false, &text);
        let violation = |error: MessageError| ClosedBy::Violation(error.to_string());
        match FarEndMessage::parse(&text, &self.stream_sid).map_err(violation)? {
            FarEndMessage::Media(payload) => {
                report.frames_received += 1;
                payload.append_to(self.player.queue()).map_err(violation)?;
            }
            FarEndMessage::Mark { name } => self.player.mark(name.into_owned()),
            FarEndMessage::Clear => {
                report.clears += 1;
                self.player.clear();
            }
        }
        self.echo_marks(report).await
    }

    async fn echo_marks(&mut self, report: &mut CallReport) -> Result<(), ClosedBy> {
        if matches!(self.marks, Marks::Held(_)) {
            return Ok(());
        }
        while let Some(name) = self.player.reached() {
            if self.marks == Marks::Lost {
                continue;
            }
            let text = self.writer.mark(&name);
            report.marks_echoed.push(name);
            self.send(text).await?;
        }
        Ok(())
    }

    /// What Twilio does at the end of a call that the server did not end.
    pub(super) async fn hang_up(&mut self, closed_by: &ClosedBy) {
        match closed_by {
            ClosedBy::NoStream | ClosedBy::Server | ClosedBy::Dropped | ClosedBy::Cut => return,
            ClosedBy::Violation(what) => self.caller.tell(&self.call_sid, What::Surprise(what.clone())),
            ClosedBy::Caller | ClosedBy::Limit => {}
        }
        let farewell = async {
            let stop = self.writer.stop();
            let _ = self.send(stop).await;
            let _ = self.socket.close(None).await;
            while let Some(Ok(_)) = self.socket.next().await {}
        };
        // A server that does not answer the close is not waited for.
        let _ = tokio::time::timeout(Duration::from_secs(1), farewell).await;
    }

    /// After a failure to send: whether a proper close had already arrived, and only had not been read.
    async fn why_closed(&mut self) -> ClosedBy {
        while let Some(Ok(frame)) = self.socket.next().await {
            if frame.is_close() {
                return ClosedBy::Server;
            }
        }
        ClosedBy::Dropped
    }

    async fn send(&mut self, text: String) -> Result<(), ClosedBy> {
        self.caller.options.observer.tap(Side::Caller, &self.call_sid, true, &text);
        match self.socket.send(Message::text(text)).await {
            Ok(()) => Ok(()),
            Err(_) => Err(self.why_closed().await),
        }
    }
}
