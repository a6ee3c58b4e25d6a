//! One conversation of the simulated agent.
//!
//! A single task: it takes the script as far as it goes, then waits for a frame or for its own next deed. Everything
//! that it sends is a message of the published schema, unless the script asks for a fault.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow::{self, Break, Continue};
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error as SocketError, Message};
use tokio_util::sync::CancellationToken;

use self::reply::Speech;
use super::Stage;
use crate::deepgram::message::{
    AgentMessage, CancelledCall, ClientMessage, FunctionCall, HistoryItem, InjectBehavior, MessageError, Role,
};
use crate::deepgram::settings::{AgentAudio, Settings};
use crate::simulator::ear::{Ear, Heard};
use crate::simulator::script::{AgentFault, Behaviour, Connect, Script, Step};
use crate::simulator::{Side, Speaker, What};

/// How long settings take to be applied, at any speed: time enough to catch whoever does not wait for the answer.
const SETTLE: Duration = Duration::from_millis(20);

mod faults;
mod functions;
mod reply;
mod resume;

/// Whether the conversation goes on, or is over.
type Flow = ControlFlow<()>;

pub(super) struct Session {
    socket: WebSocketStream<TcpStream>,
    stage: Arc<Stage>,
    script: Option<Arc<Script>>,
    behaviour: Behaviour,
    id: String,
    /// The step that comes next.
    at: usize,
    waiting: Waiting,
    /// The reply being sent.
    speech: Option<Speech>,
    /// Whether the last `agent` step left its reply open.
    reply_open: bool,
    /// No step is taken before this moment: the agent thinks.
    thinking_until: Instant,
    caller_speaks: bool,
    /// Utterances of the caller that no step has asked for yet.
    unheard: usize,
    /// Words put in the caller's mouth that no step has asked for yet.
    injected: Option<String>,
    /// What each tool answered last.
    answers: HashMap<String, Value>,
    /// Calls that want an answer.
    open: HashMap<String, FunctionCall>,
    /// Calls that were answered while others are open.
    answered: Vec<CancelledCall>,
    /// Calls that were taken back.
    cancelled: HashSet<String>,
    /// Calls that were said twice, with their answer: they may be answered twice, if it is with the same.
    repeated: HashMap<String, Option<String>>,
    /// A fault that waits for the next reply.
    armed: Option<AgentFault>,
    calls: usize,
    piece: usize,
    finished: bool,
    last_frame: Instant,
}

/// What the next step waits for.
enum Waiting {
    Nothing,
    Caller,
    Tools {
        cancel_at: Option<Instant>,
        cancel_answered: bool,
    },
    /// The script is over.
    Forever,
    /// The script wants nothing said any more.
    Mute,
}

/// What was agreed in the settings.
struct Terms {
    format: AgentAudio,
    experimental: bool,
    history: bool,
    ear: Ear,
}

impl Session {
    pub(super) fn new(socket: WebSocketStream<TcpStream>, stage: Arc<Stage>, script: Option<Arc<Script>>) -> Self {
        let behaviour = script.as_ref().map(|script| script.behaviour.clone()).unwrap_or_default();
        let now = Instant::now();
        Self {
            socket,
            stage,
            script,
            behaviour,
            id: format!("sim-{:032x}", rand::random::<u128>()),
            at: 0,
            waiting: Waiting::Nothing,
            speech: None,
            reply_open: false,
            thinking_until: now,
            caller_speaks: false,
            unheard: 0,
            injected: None,
            answers: HashMap::new(),
            open: HashMap::new(),
            answered: Vec::new(),
            cancelled: HashSet::new(),
            repeated: HashMap::new(),
            armed: None,
            calls: 0,
            piece: 0,
            finished: false,
            last_frame: now,
        }
    }

    pub(super) async fn run(mut self, stop: CancellationToken) {
        tokio::select! {
            _ = self.converse() => {}
            () = stop.cancelled() => {
                let frame = CloseFrame { code: CloseCode::Away, reason: "the simulator stops".into() };
                let _ = self.socket.close(Some(frame)).await;
            }
        }
        self.tell(What::CallEnded { finished: self.finished });
    }

    async fn converse(&mut self) -> Flow {
        let (settings, format) = self.open().await?;
        let mut terms = Terms {
            format,
            experimental: settings.experimental,
            history: settings.flags.is_none_or(|flags| flags.history),
            ear: Ear::new(format),
        };
        self.tell(What::CallStarted);
        self.take_over(&settings.agent);
        self.arm_first();
        if let Some(greeting) = settings.agent.greeting.filter(|greeting| !greeting.is_empty()) {
            self.begin_reply(vec![greeting], None, true, &terms).await?;
        }
        loop {
            self.follow_script(&terms).await?;
            let wake = self.next_deed();
            tokio::select! {
                frame = self.socket.next() => self.take(frame, &mut terms).await?,
                () = sleep_until(wake) => self.act(&terms).await?,
            }
        }
    }

    /// Everything up to `SettingsApplied`.
    async fn open(&mut self) -> ControlFlow<(), (Settings, AgentAudio)> {
        if self.behaviour.connect == Connect::NeverWelcome {
            return self.hear_without_answering().await;
        }
        self.go_wrong_at_once().await?;
        self.send(AgentMessage::Welcome { request_id: self.id.clone() }).await?;
        let text = loop {
            match self.socket.next().await {
                Some(Ok(Message::Text(text))) => break text,
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Binary(_))) => {
                    self.tell(What::Surprise("audio before SettingsApplied".to_owned()));
                    self.refuse_before_settings().await?;
                }
                _ => return Break(()),
            }
        };
        self.tap(false, &text);
        let settings = match ClientMessage::parse(&text) {
            Ok(ClientMessage::Settings(settings)) => *settings,
            Ok(other) => {
                self.tell(What::Surprise(format!("{other:?} before Settings")));
                self.refuse_before_settings().await?;
                return Break(());
            }
            Err(error) => {
                let code = match &error {
                    MessageError::Shape { kind, .. } if kind == "Settings" => "INVALID_SETTINGS",
                    _ => "UNPARSABLE_CLIENT_MESSAGE",
                };
                self.tell(What::Surprise(error.to_string()));
                self.fail(code, &error.to_string()).await?;
                return Break(());
            }
        };
        let Some(format) = settings.audio.format() else {
            self.fail("INVALID_SETTINGS", "Only this program's own audio formats are simulated.").await?;
            return Break(());
        };
        match self.behaviour.connect {
            Connect::NeverApply => return self.hear_without_answering().await,
            Connect::RefuseSettings => {
                self.fail("INVALID_SETTINGS", "The script wants this.").await?;
                return Break(());
            }
            _ => {}
        }
        self.settle().await?;
        self.send(AgentMessage::SettingsApplied).await?;
        self.last_frame = Instant::now();
        Continue((settings, format))
    }

    /// Takes its time to apply the settings. Whoever does not wait for the answer is found out here.
    async fn settle(&mut self) -> Flow {
        let applied = Instant::now() + SETTLE;
        loop {
            let frame = tokio::select! {
                biased;
                frame = self.socket.next() => frame,
                () = sleep_until(applied) => return Continue(()),
            };
            match frame {
                Some(Ok(Message::Binary(_))) => {
                    self.tell(What::Surprise("audio before SettingsApplied".to_owned()));
                    return self.refuse_before_settings().await;
                }
                Some(Ok(Message::Text(text))) => {
                    self.tap(false, &text);
                    self.tell(What::Surprise(format!("{text} before SettingsApplied")));
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Ok(Message::Close(_)) | Err(_)) | None => return Break(()),
            }
        }
    }

    async fn refuse_before_settings(&mut self) -> Flow {
        self.fail("NON_SETTINGS_MESSAGE_BEFORE_SETTINGS", "Settings must be applied before anything else.").await
    }

    /// Keeps the connection, takes whatever comes, and says nothing until the other side gives up.
    async fn hear_without_answering<T>(&mut self) -> ControlFlow<(), T> {
        while let Some(Ok(frame)) = self.socket.next().await {
            if let Message::Text(text) = frame {
                self.tap(false, &text);
            }
        }
        Break(())
    }

    /// Takes steps for as long as nothing has to be awaited.
    async fn follow_script(&mut self, terms: &Terms) -> Flow {
        while self.speech.is_none() && Instant::now() >= self.thinking_until {
            if matches!(self.waiting, Waiting::Caller) {
                self.understand(terms).await?;
                if matches!(self.waiting, Waiting::Nothing) {
                    continue;
                }
            }
            if !matches!(self.waiting, Waiting::Nothing) {
                return Continue(());
            }
            let script = self.script.clone();
            let Some(step) = script.as_ref().and_then(|script| script.steps.get(self.at)) else {
                self.finished = true;
                self.waiting = Waiting::Forever;
                return Continue(());
            };
            // Nobody talks, or acts, into what the caller is saying.
            if self.caller_speaks && !matches!(step, Step::Caller(_) | Step::Turn(_)) {
                return Continue(());
            }
            self.at += 1;
            match step {
                Step::Caller(_) | Step::Turn(_) => self.waiting = Waiting::Caller,
                Step::Agent(reply) => {
                    let texts = reply.texts.iter().map(|text| self.filled(text)).collect();
                    let ends_reply = !reply.continues;
                    self.begin_reply(texts, reply.clip, ends_reply, terms).await?;
                }
                Step::Tools(request) => self.call_tools(request).await?,
                Step::Expect(expectation) => self.check(expectation),
                Step::Fault(fault) if fault.into_reply_ms.is_some() => self.armed = Some(fault.clone()),
                Step::Fault(fault) => self.go_wrong(fault, terms.format).await?,
                Step::HangUp | Step::Line(_) => {}
            }
        }
        Continue(())
    }

    /// Takes what the caller said as the line that the script waits for, once they have said it.
    async fn understand(&mut self, terms: &Terms) -> Flow {
        // The script is shared, not copied: this is asked at every frame of the caller's.
        let script = self.script.clone();
        let Some(awaited) = script.as_ref().and_then(|script| awaited(script, self.at)) else {
            return Continue(());
        };
        let injected = if awaited.may_be_injected() { self.injected.take() } else { None };
        let text = match (injected, awaited) {
            (Some(text), _) => text,
            (None, Awaited::Keys) => return Continue(()),
            (None, Awaited::Words(text) | Awaited::Turn(text)) => {
                let Some(left) = self.unheard.checked_sub(1) else { return Continue(()) };
                self.unheard = left;
                text.to_owned()
            }
        };
        self.waiting = Waiting::Nothing;
        self.thinking_until = Instant::now() + self.call_time(self.behaviour.think_ms);
        self.said(Role::User, text, terms).await
    }

    /// Does what is due.
    async fn act(&mut self, terms: &Terms) -> Flow {
        let now = Instant::now();
        if now >= self.last_frame + self.stage.options.client_timeout {
            return self.fail("CLIENT_MESSAGE_TIMEOUT", "Nothing was received for too long.").await;
        }
        if matches!(self.waiting, Waiting::Tools { cancel_at: Some(at), .. } if now >= at) {
            self.cancel_tools().await?;
        }
        self.speak_on(terms).await
    }

    /// When [`act`](Self::act) or the next step is due.
    fn next_deed(&self) -> Instant {
        let silence_ends = self.last_frame + self.stage.options.client_timeout;
        let speech = self.speech.as_ref().map(|speech| speech.due);
        let cancel = match &self.waiting {
            Waiting::Tools { cancel_at, .. } => *cancel_at,
            _ => None,
        };
        let thought = (self.thinking_until > Instant::now()).then_some(self.thinking_until);
        [speech, cancel, thought].into_iter().flatten().fold(silence_ends, Instant::min)
    }

    async fn take(&mut self, frame: Option<Result<Message, SocketError>>, terms: &mut Terms) -> Flow {
        let Some(Ok(frame)) = frame else { return Break(()) };
        self.last_frame = Instant::now();
        match frame {
            Message::Binary(audio) => {
                let mut noticed = Vec::new();
                terms.ear.listen(&audio, |what| noticed.push(what));
                for what in noticed {
                    match what {
                        Heard::Onset => self.interrupted(terms).await?,
                        Heard::End => {
                            self.caller_speaks = false;
                            self.unheard += 1;
                        }
                    }
                }
                Continue(())
            }
            Message::Text(text) => {
                self.tap(false, &text);
                self.obey(&text, terms).await
            }
            Message::Close(_) => {
                // The library answers the close; nothing more may be said.
                let _ = self.socket.flush().await;
                Break(())
            }
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => Continue(()),
        }
    }

    async fn obey(&mut self, text: &str, terms: &Terms) -> Flow {
        match ClientMessage::parse(text) {
            Ok(ClientMessage::KeepAlive) => Continue(()),
            Ok(ClientMessage::FunctionCallResponse { id, name, content }) => {
                self.tool_answered(id, name, content, terms).await
            }
            Ok(ClientMessage::InjectUserMessage { content }) => {
                let awaited = self.script.as_ref().and_then(|script| awaited(script, self.at));
                let fits = awaited.is_none_or(|awaited| awaited.may_be_injected());
                match fits && self.injected.is_none() {
                    true => self.injected = Some(content),
                    false => self.said(Role::User, content, terms).await?,
                }
                Continue(())
            }
            Ok(ClientMessage::InjectAgentMessage { message, behavior }) => {
                self.inject(message, behavior.unwrap_or(InjectBehavior::Default), terms).await
            }
            Ok(ClientMessage::UpdatePrompt { prompt }) => {
                self.tell(What::PromptUpdated { prompt });
                self.send(AgentMessage::PromptUpdated).await
            }
            Ok(ClientMessage::UpdateThink { .. }) => self.send(AgentMessage::ThinkUpdated).await,
            Ok(ClientMessage::UpdateSpeak { .. }) => self.send(AgentMessage::SpeakUpdated).await,
            Ok(ClientMessage::UpdateListen { .. }) => self.send(AgentMessage::ListenUpdated).await,
            Ok(ClientMessage::Settings(_)) => {
                self.tell(What::Surprise("a second Settings".to_owned()));
                self.fail("SETTINGS_ALREADY_APPLIED", "Settings are taken once.").await
            }
            Err(error) => {
                self.tell(What::Surprise(error.to_string()));
                self.fail("UNPARSABLE_CLIENT_MESSAGE", &error.to_string()).await
            }
        }
    }

    async fn said(&mut self, role: Role, text: String, terms: &Terms) -> Flow {
        let who = if role == Role::User { Speaker::Caller } else { Speaker::Agent };
        self.tell(What::Said { who, text: text.clone() });
        self.send(AgentMessage::ConversationText { role: role.clone(), content: text.clone() }).await?;
        match terms.history {
            true => self.send(AgentMessage::History(HistoryItem::Said { role, content: text })).await,
            false => Continue(()),
        }
    }

    /// A fatal error: it is told, and the connection closed.
    async fn fail(&mut self, code: &str, description: &str) -> Flow {
        let error = AgentMessage::Error { code: code.to_owned(), description: description.to_owned() };
        self.send(error).await?;
        self.leave(CloseFrame { code: CloseCode::Error, reason: code.to_owned().into() }).await
    }

    async fn send(&mut self, message: AgentMessage) -> Flow {
        self.send_text(message.to_json()).await
    }

    async fn send_text(&mut self, text: String) -> Flow {
        if !matches!(self.waiting, Waiting::Mute) {
            self.tap(true, &text);
        }
        self.send_frame(Message::text(text)).await
    }

    async fn send_frame(&mut self, frame: Message) -> Flow {
        if matches!(self.waiting, Waiting::Mute) {
            return Continue(());
        }
        match self.socket.send(frame).await {
            Ok(()) => Continue(()),
            Err(_) => Break(()),
        }
    }

    fn call_time(&self, ms: u32) -> Duration {
        Duration::from_millis(u64::from(ms)).div_f64(self.stage.options.speed)
    }

    fn tell(&self, what: What) {
        self.stage.options.observer.tell(Side::Agent, &self.id, what);
    }

    fn tap(&self, sent: bool, text: &str) {
        self.stage.options.observer.tap(Side::Agent, &self.id, sent, text);
    }
}

/// What the caller is awaited to do.
#[derive(Debug, Clone, Copy)]
enum Awaited<'a> {
    Words(&'a str),
    Keys,
    /// Either, in these words if spoken.
    Turn(&'a str),
}

impl Awaited<'_> {
    fn may_be_injected(self) -> bool {
        matches!(self, Self::Keys | Self::Turn(_))
    }
}

/// What the last step taken waits for, if it was a turn of the caller's.
fn awaited(script: &Script, next: usize) -> Option<Awaited<'_>> {
    match script.steps.get(next.checked_sub(1)?)? {
        Step::Caller(line) if line.text.is_empty() => Some(Awaited::Keys),
        Step::Caller(line) => Some(Awaited::Words(&line.text)),
        Step::Turn(text) => Some(Awaited::Turn(text)),
        _ => None,
    }
}
