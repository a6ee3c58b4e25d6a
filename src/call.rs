//! One call: Twilio's doors, dialling the agent, running the bridge, ending it and telling Twilio how it goes on.
//!
//! Knows HTTP as far as Twilio speaks it, and nothing of how orders are kept or shown.

mod live;
mod stream;
mod voice;

pub use live::{Line, LiveCalls, Reader};
pub use stream::Room;
pub use voice::{CorrelationId, claims_signature};

use crate::bridge::{EndReason, SessionSettings, Summary, driver};
use crate::deepgram::line::AgentLine;
use crate::deepgram::settings::AgentAudio;
use crate::order_service::OrderService;
use crate::shop::Shop;
use crate::tools::{Caller, ToolDesk, Toolbox};
use crate::twilio::message::Start;
use crate::twilio::rest::{CallUpdate, RestClient};
use axum::Router;
use axum::extract::ws::WebSocket;
use live::{Endings, Expected, Tokens};
use secrecy::SecretString;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

/// Tool calls on their way to a call's tools.
const TOOL_QUEUE: usize = 16;
/// After a stream was closed Twilio asks how the call goes on within a second; after this it is told unasked.
const ASK_LIMIT: Duration = Duration::from_secs(5);

/// How long telling it may take.
const TELL_LIMIT: Duration = Duration::from_secs(3);

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
    /// Calls at once.
    pub max_calls: usize,
    /// The `Settings` message, the same for every call.
    pub agent_settings: Arc<str>,
    /// The audio that those settings declare.
    pub audio: AgentAudio,
    /// Ends the call when the agent's text holds it.
    pub closing_phrase: Option<String>,
    /// Silence kept after the goodbye.
    pub hangup_delay: Duration,
    /// The longest call.
    pub max_duration: Duration,
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
    agent: AgentLine,
    tools: Toolbox,
    rest: Option<RestClient>,
    live: LiveCalls,
    tokens: Tokens,
    endings: Endings,
    tasks: TaskTracker,
    shutdown: CancellationToken,
}

impl Calls {
    /// The calls of a server; `tasks` is waited for when it stops, `shutdown` ends the calls.
    pub fn new(
        settings: CallSettings,
        agent: AgentLine,
        tools: Toolbox,
        rest: Option<RestClient>,
        live: LiveCalls,
        tasks: TaskTracker,
        shutdown: CancellationToken,
    ) -> Self {
        let (tokens, endings) = (Tokens::default(), Endings::default());
        Self(Arc::new(Inner { settings, agent, tools, rest, live, tokens, endings, tasks, shutdown }))
    }

    /// Twilio's routes: `/voice`, `/voice/after`, `/voice/status`, `/sms/status` and the WebSocket `/twilio`.
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

    fn is_stopping(&self) -> bool {
        self.0.shutdown.is_cancelled()
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
        let transcript = presence.scribe();
        let session = SessionSettings {
            stream_sid: start.stream_sid,
            agent_settings: Arc::clone(&settings.agent_settings),
            audio: settings.audio,
            closing_phrase: settings.closing_phrase.clone(),
            hangup_delay: settings.hangup_delay,
            max_duration: settings.max_duration,
            transcribed: transcript.is_some(),
        };
        let parts = driver::Parts {
            phone: socket,
            agent: Box::pin(self.0.agent.clone().dial()),
            requests,
            answers,
            shop: settings.shop.notices(),
            transcript,
            shutdown: self.0.shutdown.child_token(),
        };
        let ended = driver::run(session, parts).await;
        let reason = ended.reason();
        // Both before the socket is closed: Twilio asks the moment it is, and a server that stops no longer listens.
        let asked = self.endings().put(&start.call_sid, reason);
        if reason == EndReason::Shutdown {
            self.tell_twilio(&start.call_sid, reason).await;
        }
        // Boxed: closing is needed once, and would otherwise be the largest part of every call in progress.
        let summary = Box::pin(ended.close()).await;
        drop(presence);
        tell(reason, &summary);
        self.see_off(&start.call_sid, reason, asked).await;
    }

    /// Waits until Twilio has asked how the call goes on; if it does not, tells it through the REST API.
    async fn see_off(&self, call_sid: &str, reason: EndReason, asked: oneshot::Receiver<()>) {
        let gone = matches!(reason, EndReason::CallerHungUp | EndReason::Shutdown);
        if !gone {
            tokio::select! {
                _ = tokio::time::timeout(ASK_LIMIT, asked) => {}
                () = self.0.shutdown.cancelled() => {}
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
        order.number = summary.order_number.as_deref(),
        "the call has ended: {}",
        reason.as_str().replace('_', " "),
    );
}
