//! The loop around a [`Session`]: moves bytes between its two sockets, the clock and the tools.
//!
//! Decides nothing. Nothing here waits for anything but "what happens next", so neither a tool, nor a disk, nor a peer
//! who stops reading can hold up the audio.

use super::end_reason::EndReason;
use super::leg::{Leg, SendFault};
use super::moment::Moment;
use super::session::{Input, Leg as Which, Output, Session, SessionSettings, Speaker};
use super::summary::Summary;
use super::wakes::{Source, Wakes};
use crate::deepgram::line::{AgentSocket, DialError};
use crate::deepgram::message::AgentMessage;
use crate::tools::{DeskRequest, ToolAnswer, ToolRequest, still_working};
use crate::twilio::message::{Media, PhoneMessage};
use axum::extract::ws::{self, WebSocket};
use futures_util::future::BoxFuture;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, Sleep};
use tokio_tungstenite::tungstenite;
use tokio_util::sync::CancellationToken;
use tracing::Span;

/// How long a socket may take to close before it is dropped.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);
/// Messages that may be handled before what is ready to be sent is sent.
const BATCH: usize = 32;

/// Writes down who said what.
pub type Scribe = Box<dyn Fn(Speaker, String) + Send>;

/// Takes what is worth noting, with the time since the stream's start. Must not wait.
pub type Witness = Box<dyn Fn(Duration, &Moment) + Send>;
/// Dials the agent.
pub type Dialler = Box<dyn Fn() -> BoxFuture<'static, Result<AgentSocket, DialError>> + Send>;

/// What a call is driven with.
pub struct Parts {
    /// The phone leg, after its `start`.
    pub phone: WebSocket,
    /// Dials the agent, as often as it must.
    pub dial: Dialler,
    /// To the call's tools.
    pub requests: mpsc::Sender<Box<DeskRequest>>,
    /// From the call's tools.
    pub answers: mpsc::Receiver<Box<ToolAnswer>>,
    /// What the agent has to know about the shop, now and whenever it changes; see [`Input::Shop`].
    pub shop: watch::Receiver<Arc<str>>,
    /// Takes what is said, where somebody may want to read it. Must not wait.
    pub transcript: Option<Scribe>,
    /// Notes what happens.
    pub witness: Witness,
    /// Ends the call when the server stops; a token of its own, so that calls do not wait for each other's looks at it.
    pub shutdown: CancellationToken,
    /// What is told of the call is told in it. It is entered when there may be something to tell: sound comes a hundred
    /// times a second and says nothing.
    pub span: Span,
}

/// A call that has ended, its legs still open.
pub struct Ended {
    driver: Driver,
    reason: EndReason,
}

/// Runs a call to its end; [`Ended::close`] then closes both legs.
pub async fn run(settings: SessionSettings, parts: Parts) -> Ended {
    let mut driver = Driver {
        phone: Leg::new(parts.phone),
        agent: AgentLeg::Gone,
        dial: parts.dial,
        witness: parts.witness,
        requests: parts.requests,
        answers: parts.answers,
        unanswered: 0,
        untold_cancels: Vec::new(),
        shop: parts.shop,
        transcript: parts.transcript,
        session: Session::new(settings),
        outputs: Vec::new(),
        heard: Vec::new(),
        span: parts.span,
        wakes: Wakes::new(),
        phone_first: false,
        held: Held::default(),
        started: Instant::now(),
    };
    // The agent is dialled at once, not when a timer has fired.
    if let Some(reason) = driver.step(Input::Tick) {
        return Ended { driver, reason };
    }
    // What holds at the beginning is news as well.
    driver.shop.mark_changed();
    let mut timer = pin!(tokio::time::sleep_until(driver.started + driver.session.next_deadline()));
    let mut shutdown = pin!(parts.shutdown.cancelled());
    let reason = poll_fn(|cx| driver.poll(cx, timer.as_mut(), shutdown.as_mut())).await;
    Ended { driver, reason }
}

impl Ended {
    /// How the call ended.
    pub fn reason(&self) -> EndReason {
        self.reason
    }

    /// Closes both legs, which also tells the tools that the call is over. Whoever must know of the end before Twilio
    /// does is told before this.
    pub async fn close(self) -> Summary {
        let Driver { phone, agent, session, .. } = self.driver;
        let normal = ws::CloseFrame { code: ws::close_code::NORMAL, reason: ws::Utf8Bytes::from_static("") };
        let phone = phone.close(ws::Message::Close(Some(normal)));
        let agent = async {
            match agent {
                AgentLeg::Up(leg) => leg.close(tungstenite::Message::Close(None)).await,
                AgentLeg::Dialling(_) | AgentLeg::Gone => {}
            }
        };
        // Who does not answer the close is dropped; the sockets go with the futures.
        let _ = tokio::join!(tokio::time::timeout(CLOSE_LIMIT, phone), tokio::time::timeout(CLOSE_LIMIT, agent));
        session.summary().clone()
    }
}

type PhoneLeg = Leg<WebSocket, ws::Message>;

enum AgentLeg {
    Dialling(BoxFuture<'static, Result<AgentSocket, DialError>>),
    Up(Box<Leg<AgentSocket, tungstenite::Message>>),
    Gone,
}

struct Driver {
    phone: PhoneLeg,
    agent: AgentLeg,
    requests: mpsc::Sender<Box<DeskRequest>>,
    answers: mpsc::Receiver<Box<ToolAnswer>>,
    /// Requests without an answer yet: the channel is looked at only while there are any.
    unanswered: usize,
    /// What was taken back and is still to be told to the tools.
    untold_cancels: Vec<String>,
    /// Looked at whenever something else has woken us, which the caller's audio does every 20 ms: to wait for it would
    /// take a lock that all calls share, at every frame.
    shop: watch::Receiver<Arc<str>>,
    transcript: Option<Scribe>,
    witness: Witness,
    dial: Dialler,
    session: Session,
    outputs: Vec<Output>,
    /// What the caller's latest message sounds like; kept for its capacity.
    heard: Vec<u8>,
    span: Span,
    wakes: Wakes,
    /// Which leg is looked at first: each in its turn.
    phone_first: bool,
    held: Held,
    started: Instant,
}

/// How long sound stays here: from when it was received to when both sockets have taken what came of it.
#[derive(Default)]
struct Held {
    /// Since when some is here.
    since: Option<Duration>,
    longest: Duration,
}

impl Held {
    /// The longest since the last time that this was asked; what is still here counts as far as it has come.
    fn take(&mut self, now: Duration) -> Duration {
        let still = self.since.map_or(Duration::ZERO, |since| now.saturating_sub(since));
        std::mem::take(&mut self.longest).max(still)
    }
}

/// What came of writing.
struct Progress {
    ended: Option<EndReason>,
    /// Whether a leg was at fault, so that there is something new to look at.
    more: bool,
}

impl Driver {
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        mut timer: Pin<&mut Sleep>,
        shutdown: Pin<&mut impl Future<Output = ()>>,
    ) -> Poll<EndReason> {
        self.wakes.begin(cx);
        if self.wakes.is_due(Source::Shutdown) {
            if shutdown.poll(&mut self.wakes.context(Source::Shutdown)).is_ready()
                && let Some(reason) = self.step(Input::Shutdown)
            {
                return Poll::Ready(reason);
            }
            self.wakes.rests(Source::Shutdown);
        }
        // An error tells that there will be no more news.
        if self.shop.has_changed().unwrap_or(false) {
            let notice = Arc::clone(&self.shop.borrow_and_update());
            if let Some(reason) = self.step(Input::Shop(notice)) {
                return Poll::Ready(reason);
            }
        }
        loop {
            let mut received = 0;
            while received < BATCH
                && let Poll::Ready(stepped) = self.poll_receive(cx)
            {
                received += 1;
                if let Some(reason) = stepped {
                    return Poll::Ready(reason);
                }
            }
            let Progress { ended, mut more } = self.poll_send();
            if let Some(reason) = ended {
                return Poll::Ready(reason);
            }
            more |= received == BATCH;
            // The deadline moves with nearly every frame, mostly away: the timer is set anew only when it has fired or
            // would fire too late.
            let deadline = self.started.checked_add(self.session.next_deadline()).unwrap_or_else(far_future);
            if deadline < timer.deadline() {
                timer.as_mut().reset(deadline);
                self.wakes.is_new(Source::Timer);
            }
            if self.wakes.is_due(Source::Timer) {
                while timer.as_mut().poll(&mut self.wakes.context(Source::Timer)).is_ready() {
                    if let Some(reason) = self.step(Input::Tick) {
                        return Poll::Ready(reason);
                    }
                    more = true;
                    let next = self.started.checked_add(self.session.next_deadline()).unwrap_or_else(far_future);
                    timer.as_mut().reset(next);
                }
                self.wakes.rests(Source::Timer);
            }
            if !more {
                return Poll::Pending;
            }
        }
    }

    /// Takes one input from whoever has one: `Ready(Some)` ends the call, `Ready(None)` asks to be polled again.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Option<EndReason>> {
        if self.unanswered > 0
            && let Poll::Ready(Some(answer)) = self.answers.poll_recv(cx)
        {
            self.unanswered -= 1;
            if !self.untold_cancels.is_empty() {
                self.cancel_tools(Vec::new());
            }
            return Poll::Ready(self.step(Input::Tool(*answer)));
        }
        // A leg that always has something must not keep the other from being heard.
        self.phone_first = !self.phone_first;
        let stepped = if self.phone_first { self.poll_phone() } else { self.poll_agent() };
        match stepped {
            Poll::Ready(stepped) => Poll::Ready(stepped),
            Poll::Pending if self.phone_first => self.poll_agent(),
            Poll::Pending => self.poll_phone(),
        }
    }

    fn poll_phone(&mut self) -> Poll<Option<EndReason>> {
        if !self.wakes.is_due(Source::Phone) {
            return Poll::Pending;
        }
        match self.phone.poll_receive(&mut self.wakes.context(Source::Phone)) {
            Poll::Pending => {
                self.wakes.rests(Source::Phone);
                Poll::Pending
            }
            Poll::Ready(Some(Ok(ws::Message::Text(text)))) => Poll::Ready(match PhoneMessage::parse(text.as_str()) {
                Ok(PhoneMessage::Media(media)) if media.is_inbound() => self.hear(&media),
                Ok(message) => self.step(Input::Phone(message)),
                Err(error) => self.step(Input::Unreadable(Which::Phone, error.to_string().into())),
            }),
            Poll::Ready(Some(Ok(ws::Message::Binary(_)))) => {
                Poll::Ready(self.step(Input::Unreadable(Which::Phone, "a binary frame".into())))
            }
            Poll::Ready(Some(Ok(ws::Message::Ping(_) | ws::Message::Pong(_)))) => Poll::Ready(None),
            Poll::Ready(Some(Err(error))) => {
                self.span.in_scope(|| tracing::warn!("the phone leg is broken: {error}"));
                Poll::Ready(self.step(Input::Closed(Which::Phone)))
            }
            Poll::Ready(None | Some(Ok(ws::Message::Close(_)))) => Poll::Ready(self.step(Input::Closed(Which::Phone))),
        }
    }

    fn hear(&mut self, media: &Media<'_>) -> Option<EndReason> {
        let mut heard = std::mem::take(&mut self.heard);
        let ended = match media.decode_into(&mut heard) {
            Ok(()) => self.step(Input::CallerAudio(&heard)),
            Err(error) => self.step(Input::Unreadable(Which::Phone, error.to_string().into())),
        };
        self.heard = heard;
        ended
    }

    fn poll_agent(&mut self) -> Poll<Option<EndReason>> {
        let mut cx = self.wakes.context(Source::Agent);
        let received = match &mut self.agent {
            AgentLeg::Gone => return Poll::Pending,
            // Whenever the call is woken: this one may have taken the place of another.
            AgentLeg::Dialling(dialling) => match std::task::ready!(dialling.as_mut().poll(&mut cx)) {
                Ok(socket) => {
                    self.wakes.is_new(Source::Agent);
                    self.agent = AgentLeg::Up(Box::new(Leg::new(socket)));
                    return Poll::Ready(self.step(Input::AgentConnected));
                }
                Err(error) => {
                    self.span.in_scope(|| tracing::error!("the agent cannot be reached: {error}"));
                    self.agent = AgentLeg::Gone;
                    return Poll::Ready(self.step(Input::AgentUnreachable { for_good: error.is_for_good() }));
                }
            },
            AgentLeg::Up(_) if !self.wakes.is_due(Source::Agent) => return Poll::Pending,
            AgentLeg::Up(leg) => match leg.poll_receive(&mut cx) {
                Poll::Ready(received) => received,
                Poll::Pending => {
                    self.wakes.rests(Source::Agent);
                    return Poll::Pending;
                }
            },
        };
        Poll::Ready(match received {
            Some(Ok(tungstenite::Message::Binary(audio))) => self.step(Input::AgentAudio(&audio)),
            Some(Ok(tungstenite::Message::Text(text))) => match AgentMessage::parse(text.as_str()) {
                Ok(message) => self.step(Input::Agent(message)),
                Err(error) => self.step(Input::Unreadable(Which::Agent, error.to_string().into())),
            },
            Some(Ok(
                tungstenite::Message::Ping(_) | tungstenite::Message::Pong(_) | tungstenite::Message::Frame(_),
            )) => None,
            ended @ (None | Some(Err(_) | Ok(tungstenite::Message::Close(_)))) => {
                if let Some(Err(error)) = ended {
                    self.span.in_scope(|| tracing::warn!("the agent leg is broken: {error}"));
                }
                self.agent = AgentLeg::Gone;
                self.step(Input::Closed(Which::Agent))
            }
        })
    }

    /// Writes what the sockets take.
    fn poll_send(&mut self) -> Progress {
        let mut progress = Progress { ended: None, more: false };
        if let AgentLeg::Up(leg) = &mut self.agent
            && let Poll::Ready(fault) = leg.poll_send(&mut self.wakes.context(Source::Agent))
        {
            self.agent = AgentLeg::Gone;
            progress = Progress { ended: self.step(fault_on(Which::Agent, fault)), more: true };
            if progress.ended.is_some() {
                return progress;
            }
        }
        if let Poll::Ready(fault) = self.phone.poll_send(&mut self.wakes.context(Source::Phone)) {
            return Progress { ended: self.step(fault_on(Which::Phone, fault)), more: true };
        }
        if let Some(since) = self.held.since
            && self.has_sent()
        {
            self.held.longest = self.held.longest.max(self.started.elapsed().saturating_sub(since));
            self.held.since = None;
        }
        progress
    }

    fn has_sent(&self) -> bool {
        let agent = match &self.agent {
            AgentLeg::Up(leg) => leg.has_sent(),
            AgentLeg::Dialling(_) | AgentLeg::Gone => true,
        };
        agent && self.phone.has_sent()
    }

    /// One step of the session; its outputs go to the queues of the sockets and the tools.
    fn step(&mut self, input: Input<'_>) -> Option<EndReason> {
        if matches!(input, Input::CallerAudio(_) | Input::AgentAudio(_)) {
            return self.take(input);
        }
        let span = self.span.clone();
        span.in_scope(|| self.take(input))
    }

    fn take(&mut self, input: Input<'_>) -> Option<EndReason> {
        let now = self.started.elapsed();
        let mut outputs = std::mem::take(&mut self.outputs);
        self.session.handle(now, input, &mut outputs);
        let mut ended = None;
        for output in outputs.drain(..) {
            match output {
                Output::Phone(text) => {
                    self.held.since.get_or_insert(now);
                    self.send_phone(text);
                }
                Output::ClearPhone(text) => {
                    self.phone.drop_unsent();
                    self.send_phone(text);
                }
                Output::AgentSettings(text) => {
                    let shared = tungstenite::Bytes::from_owner(SharedText(text));
                    // Text it was, text it is.
                    if let Ok(text) = tungstenite::Utf8Bytes::try_from(shared) {
                        self.send_agent(text.len(), tungstenite::Message::Text(text));
                    }
                }
                Output::AgentText(text) => self.send_agent(text.len(), tungstenite::Message::text(text)),
                Output::AgentAudio(audio) => {
                    self.held.since.get_or_insert(now);
                    self.send_agent(audio.len(), tungstenite::Message::binary(audio));
                }
                Output::DialAgent => self.agent = AgentLeg::Dialling((self.dial)()),
                Output::DropAgent => {
                    if let AgentLeg::Up(leg) = std::mem::replace(&mut self.agent, AgentLeg::Gone) {
                        leg.take_leave(tungstenite::Message::Close(None));
                    }
                }
                Output::RunTool(request) => self.run_tool(request),
                Output::CancelTools(ids) => self.cancel_tools(ids),
                Output::Moment(mut moment) => {
                    if let Moment::Sound(sound) = &mut moment {
                        sound.held = self.held.take(now);
                    }
                    (self.witness)(now, &moment);
                }
                Output::Said(who, text) => {
                    if let Some(transcript) = &self.transcript {
                        transcript(who, text);
                    }
                }
                Output::End(reason) => ended = Some(reason),
            }
        }
        outputs.shrink_to(8);
        self.outputs = outputs;
        ended
    }

    fn send_phone(&mut self, text: String) {
        let bytes = text.len();
        self.phone.send(ws::Message::text(text), bytes);
    }

    fn send_agent(&mut self, bytes: usize, message: tungstenite::Message) {
        if let AgentLeg::Up(leg) = &mut self.agent {
            leg.send(message, bytes);
        }
    }

    /// What is taken back must not be forgotten because the desk is busy: it goes with the next when there is no room.
    fn cancel_tools(&mut self, ids: Vec<String>) {
        self.untold_cancels.extend(ids);
        let cancel = Box::new(DeskRequest::Cancel(std::mem::take(&mut self.untold_cancels)));
        if let Err(TrySendError::Full(unsent)) = self.requests.try_send(cancel)
            && let DeskRequest::Cancel(ids) = *unsent
        {
            self.untold_cancels = ids;
        }
    }

    fn run_tool(&mut self, request: ToolRequest) {
        let (id, name) = (request.id.clone(), request.name.clone());
        if self.requests.try_send(Box::new(DeskRequest::Run(request))).is_err() {
            tracing::error!(tool = %name, "the call's tools do not take requests");
            let answer = still_working(id, name);
            // One level deep: an answer runs no tool.
            self.step(Input::Tool(answer));
        } else {
            self.unanswered += 1;
        }
    }
}

/// The settings, shared by all calls, as the bytes of a message.
struct SharedText(Arc<str>);

impl AsRef<[u8]> for SharedText {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

fn fault_on(leg: Which, fault: SendFault) -> Input<'static> {
    match fault {
        SendFault::Closed => Input::Closed(leg),
        SendFault::Stalled => Input::Stalled(leg),
    }
}

fn far_future() -> Instant {
    // A year: later than any call, early enough for every timer wheel.
    Instant::now() + Duration::from_secs(365 * 24 * 3600)
}
