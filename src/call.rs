//! One call: Twilio's doors, dialling the agent, running the bridge, ending it and telling Twilio how it goes on.
//!
//! Knows HTTP as far as Twilio speaks it, and nothing of how orders are kept or shown.

// What comes from a socket decides no index: a peer must not be able to end a call, or all of them, by a message.
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::string_slice, clippy::unwrap_used, clippy::panic, clippy::unreachable)
)]

mod callers;
mod fallback;
mod live;
mod record;
mod stream;
mod voice;

pub use fallback::Refused;
pub use live::{Line, LiveCalls, Reader};
pub use record::{ENTRIES, Notes};
pub use stream::Room;
pub use voice::{CorrelationId, claims_signature};

use crate::bridge::driver::Ended;
use crate::bridge::{EndReason, Phrases, SessionSettings, Summary, driver};
use crate::config::LineConfig;
use crate::deepgram::line::AgentLine;
use crate::deepgram::settings::{AgentAudio, Opening};
use crate::logbook::CallRecord;
use crate::order_service::OrderService;
use crate::ordering::phone_number::Region;
use crate::shop::Shop;
use crate::tools::{Caller, ToolDesk, Toolbox};
use crate::twilio::message::Start;
use crate::twilio::rest::{CallUpdate, RestClient};
use crate::voicemail::Voicemails;
use axum::Router;
use axum::extract::ws::WebSocket;
use callers::Callers;
use live::{Endings, Expected, LiveGuard, Tokens};
use record::Recorder;
use secrecy::SecretString;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, Span};

/// Tool calls on their way to a call's tools: more than the agent may have in flight, since one that is taken back makes
/// room for another before the tools have heard of it.
const TOOL_QUEUE: usize = 64;
/// After a stream was closed Twilio asks how the call goes on within a second; after this it is told unasked.
const ASK_LIMIT: Duration = Duration::from_secs(5);

/// How long telling it may take.
const TELL_LIMIT: Duration = Duration::from_secs(3);

/// How long keeping a call's record may take; what is not kept by then was perhaps kept.
const KEEP_LIMIT: Duration = Duration::from_secs(10);

/// What holds for every call.
#[derive(Clone)]
pub struct CallSettings {
    /// Proves voice webhooks and stream upgrades; none on a local server without one.
    pub auth_token: Option<SecretString>,
    /// Proves status callbacks of texts.
    pub texts_auth_token: Option<SecretString>,
    /// `http` or `https`, as Twilio sees us.
    pub http_scheme: &'static str,
    /// `ws` or `wss`, likewise.
    pub ws_scheme: &'static str,
    /// Host, and port where there is one, as Twilio sees us.
    pub host: String,
    /// Says what callers hear while the agent is being connected, and when there is none.
    pub shop: Shop,
    /// A person's number, E.164.
    pub transfer_number: Option<String>,
    /// Our own number, E.164.
    pub number: Option<String>,
    /// What keeps a call going, and what ends it.
    pub line: LineConfig,
    /// The opening message to the agent, the same for every call.
    pub opening: Arc<Opening>,
    /// The audio that it declares.
    pub audio: AgentAudio,
    /// Ends the call when the agent's text holds it.
    pub closing_phrase: Option<String>,
    /// Silence kept after the goodbye.
    pub hangup_delay: Duration,
}

impl CallSettings {
    fn http_url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.http_scheme, self.host)
    }

    fn ws_url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.ws_scheme, self.host)
    }

    fn stream_url(&self) -> String {
        self.ws_url("/twilio")
    }
}

/// All calls of this server. Cheap to clone.
#[derive(Clone)]
pub struct Calls(Arc<Inner>);

struct Inner {
    settings: CallSettings,
    phrases: Arc<Phrases>,
    agent: AgentLine,
    tools: Toolbox,
    rest: Option<RestClient>,
    live: LiveCalls,
    voicemails: Voicemails,
    notes: Notes,
    tokens: Tokens,
    endings: Endings,
    callers: Callers,
    tasks: TaskTracker,
    shutdown: Shutdown,
}

/// What calls are served with.
pub struct Services {
    /// Dials the agent.
    pub agent: AgentLine,
    /// What the agent may do.
    pub tools: Toolbox,
    /// Steers calls; none without credentials.
    pub rest: Option<RestClient>,
    /// Keeps what callers say to the tape.
    pub voicemails: Voicemails,
    /// Where calls are noted.
    pub notes: Notes,
}

/// How calls are told that the server is to stop.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    /// From now on no call is taken; those in progress, and those that Twilio was told to begin, go on to their own end.
    pub drain: CancellationToken,
    /// Calls in progress end now.
    pub stop: CancellationToken,
}

impl From<CancellationToken> for Shutdown {
    /// Of a server that does not drain before it stops.
    fn from(stop: CancellationToken) -> Self {
        Self { drain: CancellationToken::new(), stop }
    }
}

impl Calls {
    /// The calls of a server; `tasks` is waited for when it stops.
    pub fn new(
        settings: CallSettings,
        services: Services,
        live: LiveCalls,
        tasks: TaskTracker,
        shutdown: impl Into<Shutdown>,
    ) -> Self {
        let Services { agent, tools, rest, voicemails, notes } = services;
        let (tokens, endings) = (Tokens::default(), Endings::default());
        let callers = Callers::new(settings.line.calls_per_hour);
        let phrases = Arc::new(phrases(&settings.shop));
        Self(Arc::new(Inner {
            settings,
            phrases,
            agent,
            tools,
            rest,
            live,
            voicemails,
            notes,
            tokens,
            endings,
            callers,
            tasks,
            shutdown: shutdown.into(),
        }))
    }

    /// Calls that are not over: in progress, about to start, or about to be told how they go on.
    pub fn underway(&self) -> usize {
        // In the sequence that a call goes through, so that one that moves on meanwhile is counted twice, not missed.
        self.tokens().outstanding(Instant::now()) + self.live().count() + self.endings().outstanding()
    }

    /// Twilio's routes: `/voice` and those below it, `/sms/status` and the WebSocket `/twilio`.
    pub fn router(&self) -> Router {
        voice::router(self.clone()).merge(stream::router(self.clone()))
    }

    /// The calls in progress.
    pub fn live(&self) -> &LiveCalls {
        &self.0.live
    }

    fn settings(&self) -> &CallSettings {
        &self.0.settings
    }

    fn tokens(&self) -> &Tokens {
        &self.0.tokens
    }

    fn endings(&self) -> &Endings {
        &self.0.endings
    }

    fn orders(&self) -> &OrderService {
        &self.0.tools.orders
    }

    fn tasks(&self) -> &TaskTracker {
        &self.0.tasks
    }

    fn callers(&self) -> &Callers {
        &self.0.callers
    }

    fn voicemails(&self) -> &Voicemails {
        &self.0.voicemails
    }

    fn region(&self) -> Region {
        self.0.tools.region
    }

    fn is_draining(&self) -> bool {
        self.0.shutdown.drain.is_cancelled()
    }

    fn is_stopping(&self) -> bool {
        self.0.shutdown.stop.is_cancelled()
    }

    /// One call, from its stream's start to its end.
    async fn run(&self, socket: WebSocket, start: Start, expected: Expected) {
        let Some(presence) = self.live().enter(&start.call_sid) else { return };
        tracing::info!(event = "call_started", "a call has started");
        let (requests, tool_requests) = mpsc::channel(TOOL_QUEUE);
        let (tool_answers, answers) = mpsc::channel(TOOL_QUEUE);
        let caller =
            Caller { call_sid: start.call_sid.clone(), number: expected.from, correlation_id: expected.correlation_id };
        let desk = ToolDesk::new(self.0.tools.clone(), caller).run(tool_requests, tool_answers);
        self.tasks().spawn(desk.in_current_span());

        let settings = self.settings();
        let began_at = self.orders().now();
        let recorder = Recorder::new(self.0.notes.metrics.clone(), settings.line.records, began_at);
        let transcript = recorder.scribe(presence.scribe());
        let session = SessionSettings {
            stream_sid: start.stream_sid,
            opening: Arc::clone(&settings.opening),
            audio: settings.audio,
            phrases: Arc::clone(&self.0.phrases),
            closing_phrase: settings.closing_phrase.clone(),
            hangup_delay: settings.hangup_delay,
            max_duration: settings.line.max_call,
            caller_idle: settings.line.caller_idle,
            max_talk: settings.line.max_talk,
            agent_session: settings.line.agent_session,
            can_transfer: settings.transfer_number.is_some(),
            transcribed: transcript.is_some(),
        };
        let parts = driver::Parts {
            phone: socket,
            dial: {
                let line = self.0.agent.clone();
                Box::new(move || Box::pin(line.clone().dial().in_current_span()))
            },
            requests,
            answers,
            shop: settings.shop.notices(),
            transcript,
            witness: recorder.witness(),
            shutdown: self.0.shutdown.stop.child_token(),
            span: Span::current(),
        };
        // A task of its own: what wakes it, a hundred times a second, is looked at by nothing else.
        let ended = match self.tasks().spawn(driver::run(session, parts)).await {
            Ok(ended) => ended,
            Err(lost) => return tracing::error!("the call was lost: {lost}"),
        };
        // Boxed: what is needed once would otherwise be the largest part of every call in progress.
        Box::pin(self.wind_up(&start.call_sid, ended, presence, recorder)).await;
    }

    /// Closes both legs of a call that is over, tells whoever must know, and sees to it that the caller is not left alone.
    async fn wind_up(&self, call_sid: &str, ended: Ended, presence: LiveGuard, recorder: Recorder) {
        let reason = ended.reason();
        // Both before the socket is closed: Twilio asks the moment it is, and a server that stops no longer listens.
        let asked = self.endings().put(call_sid, reason);
        if reason == EndReason::Shutdown {
            self.tell_twilio(call_sid, reason).await;
        }
        let summary = ended.close().await;
        drop(presence);
        tell(reason, &summary);
        let record = recorder.end(call_sid, reason, &summary);
        tokio::join!(self.see_off(call_sid, reason, asked), self.keep(record));
    }

    /// Keeps a call's record, where there is one; what cannot be kept is told to the log alone.
    async fn keep(&self, record: Option<CallRecord>) {
        let Some(record) = record else { return };
        match tokio::time::timeout(KEEP_LIMIT, self.0.notes.logbook.keep(&record)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!("the record of the call could not be kept: {error}"),
            Err(_) => tracing::error!("the record of the call could not be kept in time"),
        }
    }

    /// Waits until Twilio has asked how the call goes on; if it does not, tells it through the REST API.
    async fn see_off(&self, call_sid: &str, reason: EndReason, asked: oneshot::Receiver<()>) {
        let gone = matches!(reason, EndReason::CallerHungUp | EndReason::Shutdown);
        if !gone {
            tokio::select! {
                _ = tokio::time::timeout(ASK_LIMIT, asked) => {}
                () = self.0.shutdown.stop.cancelled() => {}
            }
        }
        // Still there: Twilio has not asked.
        if self.endings().take(call_sid).is_some() && !gone {
            tracing::warn!("Twilio did not ask how the call goes on");
            self.tell_twilio(call_sid, reason).await;
        }
    }

    /// Tells Twilio through the REST API how a call goes on.
    async fn tell_twilio(&self, call_sid: &str, reason: EndReason) {
        let Some(rest) = &self.0.rest else {
            return tracing::warn!("there are no credentials to tell Twilio how the call goes on");
        };
        let twiml = self.twiml_after(Some(reason)).to_string();
        let update = if reason == EndReason::Goodbye { CallUpdate::Complete } else { CallUpdate::Twiml(&twiml) };
        match tokio::time::timeout(TELL_LIMIT, rest.update_call(call_sid, update)).await {
            Ok(Ok(())) => tracing::info!("Twilio was told how the call goes on"),
            Ok(Err(error)) => tracing::warn!("Twilio could not be told how the call goes on: {error}"),
            Err(_) => tracing::warn!("Twilio could not be told in time how the call goes on"),
        }
    }
}

/// What the agent is asked to say, from the shop's file.
fn phrases(shop: &Shop) -> Phrases {
    let sentences = shop.menu().sentences();
    Phrases {
        back: sentences.back.clone(),
        one_moment: sentences.one_moment.clone(),
        still_there: sentences.still_there.clone(),
        idle_goodbye: sentences.idle_goodbye.clone(),
        noise_goodbye: sentences.noise_goodbye.clone(),
        late_goodbye: sentences.late_goodbye.clone(),
        transfer: sentences.transfer.clone(),
        number_again: sentences.number_again.clone(),
    }
}

fn tell(reason: EndReason, summary: &Summary) {
    tracing::info!(
        event = "call_ended",
        reason = reason.as_str(),
        duration_ms = summary.duration.as_millis() as u64,
        frames_in = summary.frames_in,
        frames_out = summary.frames_out,
        replies = summary.replies,
        barge_ins = summary.barge_ins,
        tools = summary.tool_calls,
        slow_tools = summary.slow_tools,
        bad_messages = summary.bad_messages,
        dropped_early_ms = summary.dropped_early_ms,
        redials = summary.redials,
        order.number = summary.order_number.as_deref(),
        "the call has ended: {}",
        reason.as_str().replace('_', " "),
    );
}
