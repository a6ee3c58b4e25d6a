//! The whole behaviour of one call, sans-IO: `handle(now, input, outputs)` and `next_deadline()`.
//!
//! `now` is the time since the stream's start. Nothing here knows a socket, a task or a clock, so a test can step through
//! a call in virtual time. Dialling the agent, regrouping messages and running tools are the driver's.

mod interface;

pub use interface::{EndReason, Input, Leg, Output, SessionSettings, Speaker};

use super::codec::Codec;
use super::ending::{Ending, Purpose};
#[cfg(test)]
use super::reply::MARK_SLACK;
use super::reply::{Replies, mark_generation, mark_name};
use super::summary::Summary;
use super::tool_calls::{self, Admission, ToolCalls};
use crate::deepgram::message::{AgentMessage, ClientMessage, FunctionCall, Role};
use crate::deepgram::prompt;
use crate::tools::{Effect, ToolAnswer, Turn};
use crate::twilio::message::{Media, PhoneMessage, StreamWriter};
use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// How long the agent may take to be dialled, to welcome us and to accept the settings, together: all of it is dead air.
const SETUP_LIMIT: Duration = Duration::from_secs(10);
/// Caller audio kept while the agent is being dialled: 3 s of µ-law.
const EARLY_BYTES: usize = 3 * 8_000;
/// After so long without audio to the agent, it is told that we are still here.
const KEEP_ALIVE: Duration = Duration::from_secs(8);
/// Unintelligible messages in a row on one leg before the call is given up.
const MAX_BAD_IN_A_ROW: u32 = 50;
/// Twilio sends audio all the time: a phone leg without any message for so long is gone, whatever its socket says.
const PHONE_SILENCE: Duration = Duration::from_secs(60);
/// A goodbye that the caller interrupted, by a cough perhaps, is carried out if for so long nothing follows.
const SUSPENDED_LIMIT: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AgentLeg {
    Dialling,
    AwaitingWelcome,
    AwaitingApplied,
    Live,
    /// Closed while the goodbye it had sent was still being played.
    Gone,
}

/// One call.
pub struct Session {
    settings: SessionSettings,
    writer: StreamWriter,
    codec: Codec,
    agent: AgentLeg,
    replies: Replies,
    ending: Option<Ending>,
    /// A goodbye that the caller has spoken into, and when it counts after all.
    suspended: Option<(Purpose, Duration)>,
    /// The caller has spoken and nothing new has come of it: what text the agent still sends is of the old reply.
    stale_text: bool,
    /// How often the caller began to speak.
    interruptions: u32,
    /// µ-law of the caller, until the agent can take it.
    early: VecDeque<u8>,
    /// The decoded payload of one media message; kept for its capacity.
    payload: Vec<u8>,
    /// When audio or a keep-alive last went to the agent.
    agent_fed: Duration,
    /// When the phone leg last said anything.
    phone_heard: Duration,
    /// Unintelligible messages in a row, on the phone leg and on the agent leg.
    bad_in_a_row: [u32; 2],
    turn: Turn,
    tools: ToolCalls,
    /// What there is to know about the shop, and what the agent has been told of it.
    shop: Arc<str>,
    shop_told: Arc<str>,
    /// Kinds of unknown messages already logged.
    told: HashSet<String>,
    summary: Summary,
    ended: bool,
}

impl Session {
    /// A call whose stream has started; the agent is being dialled.
    pub fn new(mut settings: SessionSettings) -> Self {
        settings.closing_phrase =
            settings.closing_phrase.map(|phrase| folded(&phrase)).filter(|phrase| !phrase.is_empty());
        Self {
            writer: StreamWriter::new(&settings.stream_sid),
            codec: Codec::new(settings.audio),
            settings,
            agent: AgentLeg::Dialling,
            replies: Replies::new(),
            ending: None,
            suspended: None,
            stale_text: false,
            interruptions: 0,
            early: VecDeque::new(),
            payload: Vec::new(),
            agent_fed: Duration::ZERO,
            phone_heard: Duration::ZERO,
            bad_in_a_row: [0; 2],
            turn: Turn::default(),
            tools: ToolCalls::default(),
            shop: Arc::default(),
            shop_told: Arc::default(),
            told: HashSet::new(),
            summary: Summary::default(),
            ended: false,
        }
    }

    /// What the call has amounted to so far.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// Takes one input at `now` (never before an earlier call's `now`) and appends what is to be done.
    pub fn handle(&mut self, now: Duration, input: Input<'_>, out: &mut Vec<Output>) {
        if self.ended {
            return;
        }
        self.summary.duration = now;
        match input {
            Input::Phone(message) => self.on_phone(now, message, out),
            Input::Agent(message) => self.on_agent(now, message, out),
            Input::AgentAudio(audio) => self.on_agent_audio(now, audio, out),
            Input::Tool(answer) => self.on_tool(now, answer, out),
            Input::Shop(notice) => {
                self.shop = notice;
                self.tell_of_the_shop(out);
            }
            Input::AgentConnected => {
                if self.agent == AgentLeg::Dialling {
                    self.agent = AgentLeg::AwaitingWelcome;
                }
            }
            Input::AgentUnreachable => self.end(EndReason::AgentUnreachable, out),
            Input::Unreadable(leg, why) => self.on_unreadable(leg, &why, out),
            Input::Closed(Leg::Agent) | Input::Stalled(Leg::Agent) => self.on_agent_lost(out),
            Input::Closed(Leg::Phone) => self.end(EndReason::PhoneLost, out),
            Input::Stalled(Leg::Phone) => self.end(EndReason::PhoneFault, out),
            Input::Shutdown => self.end(EndReason::Shutdown, out),
            Input::Tick => self.on_tick(now, out),
        }
    }

    /// When [`Input::Tick`] is due, in the time of `now`.
    pub fn next_deadline(&self) -> Duration {
        let agent = match self.agent {
            AgentLeg::Dialling | AgentLeg::AwaitingWelcome | AgentLeg::AwaitingApplied => SETUP_LIMIT,
            AgentLeg::Live => self.agent_fed + KEEP_ALIVE,
            AgentLeg::Gone => Duration::MAX,
        };
        let padding = self.replies.pad_at().unwrap_or(Duration::MAX);
        let ending = self.ending_due().unwrap_or(Duration::MAX);
        let suspended = self.suspended.map_or(Duration::MAX, |(_, until)| until);
        let phone = self.phone_heard + PHONE_SILENCE;
        [self.settings.max_duration, agent, self.tools.deadline(), padding, ending, suspended, phone]
            .into_iter()
            .fold(Duration::MAX, Duration::min)
    }

    fn ending_due(&self) -> Option<Duration> {
        Some(self.ending.as_ref()?.due(&self.replies, self.settings.hangup_delay))
    }

    fn end(&mut self, reason: EndReason, out: &mut Vec<Output>) {
        if !self.ended {
            self.ended = true;
            out.push(Output::End(reason));
        }
    }

    // The phone leg.

    fn on_phone(&mut self, now: Duration, message: PhoneMessage<'_>, out: &mut Vec<Output>) {
        self.phone_heard = now;
        match message {
            PhoneMessage::Media(media) => self.on_media(now, &media, out),
            PhoneMessage::Mark { name } => {
                if let Some(generation) = mark_generation(&name) {
                    self.replies.mark_returned(now, generation);
                }
            }
            PhoneMessage::Dtmf { .. } => self.turn = self.turn.next(),
            PhoneMessage::Stop => self.end(EndReason::CallerHungUp, out),
            PhoneMessage::Connected => {}
            PhoneMessage::Start(_) => {
                self.summary.bad_messages += 1;
                tracing::warn!("Twilio sent a second start on one stream; it is ignored");
            }
            PhoneMessage::Unknown { event } => {
                self.tell_once("Twilio", &event);
            }
        }
    }

    fn on_media(&mut self, now: Duration, media: &Media<'_>, out: &mut Vec<Output>) {
        if !media.is_inbound() {
            return;
        }
        if let Err(error) = media.decode_into(&mut self.payload) {
            self.on_unreadable(Leg::Phone, &error.to_string(), out);
            return;
        }
        self.bad_in_a_row[Leg::Phone as usize] = 0;
        if self.payload.is_empty() {
            return;
        }
        self.summary.frames_in += 1;
        match self.agent {
            AgentLeg::Live => {
                self.agent_fed = now;
                out.push(Output::AgentAudio(self.codec.up(&self.payload)));
            }
            AgentLeg::Gone => {}
            AgentLeg::Dialling | AgentLeg::AwaitingWelcome | AgentLeg::AwaitingApplied => {
                self.keep_early();
            }
        }
    }

    /// The newest three seconds are what the agent needs: the caller's last words.
    fn keep_early(&mut self) {
        self.early.extend(self.payload.iter());
        let surplus = self.early.len().saturating_sub(EARLY_BYTES);
        self.early.drain(..surplus);
        self.summary.dropped_early_ms += surplus as u64 / 8;
    }

    fn on_unreadable(&mut self, leg: Leg, why: &str, out: &mut Vec<Output>) {
        self.summary.bad_messages += 1;
        let in_a_row = &mut self.bad_in_a_row[leg as usize];
        *in_a_row += 1;
        if *in_a_row == 1 {
            tracing::warn!(leg = ?leg, "a message could not be understood: {why}");
        }
        if *in_a_row >= MAX_BAD_IN_A_ROW {
            match leg {
                Leg::Phone => self.end(EndReason::PhoneFault, out),
                Leg::Agent => self.on_agent_lost(out),
            }
        }
    }

    // The agent leg.

    fn on_agent(&mut self, now: Duration, message: AgentMessage, out: &mut Vec<Output>) {
        self.bad_in_a_row[Leg::Agent as usize] = 0;
        match message {
            AgentMessage::Welcome { request_id } => {
                if self.agent == AgentLeg::AwaitingWelcome {
                    tracing::debug!(agent.request_id = %request_id, "the agent welcomes us");
                    self.agent = AgentLeg::AwaitingApplied;
                    out.push(Output::AgentSettings(Arc::clone(&self.settings.agent_settings)));
                }
            }
            AgentMessage::SettingsApplied => {
                if self.agent == AgentLeg::AwaitingApplied {
                    self.agent = AgentLeg::Live;
                    self.agent_fed = now;
                    self.tell_of_the_shop(out);
                    let early = std::mem::take(&mut self.early);
                    if !early.is_empty() {
                        out.push(Output::AgentAudio(self.codec.up(&Vec::from(early))));
                    }
                }
            }
            AgentMessage::UserStartedSpeaking => self.on_user_started_speaking(now, out),
            AgentMessage::ConversationText { role, content } => {
                self.on_text(now, &role, &content);
                if self.settings.transcribed {
                    transcribe(&role, content, out);
                }
            }
            AgentMessage::AgentStartedSpeaking { total_latency, .. } => {
                tracing::debug!(latency.total_s = total_latency, "the agent starts to speak");
                if self.replies.announced() {
                    self.finish_reply(now, out);
                }
                self.new_reply();
            }
            AgentMessage::AgentAudioDone => self.on_audio_done(now, out),
            AgentMessage::FunctionCallRequest { functions } => {
                for function in functions {
                    self.on_function_call(now, function, out);
                }
            }
            AgentMessage::FunctionCallCancelled { functions } => {
                for cancelled in functions {
                    tracing::info!(tool = %cancelled.name, "the agent cancelled a tool call");
                    self.tools.cancel(&cancelled.id);
                    if self.ending.as_ref().is_some_and(|ending| ending.is_by(&cancelled.id)) {
                        self.ending = None;
                    }
                }
            }
            AgentMessage::Error { code, description } => {
                tracing::error!(agent.code = %shortened(&code), "the agent reports an error");
                tracing::debug!(about = %shortened(&description), "what the agent says of its error");
                self.on_agent_lost(out);
            }
            AgentMessage::Warning { code, description } => {
                tracing::warn!(agent.code = %shortened(&code), "the agent warns");
                tracing::debug!(about = %shortened(&description), "what the agent says of its warning");
            }
            AgentMessage::InjectionRefused { .. } => tracing::warn!("the agent refused an injected message"),
            AgentMessage::LatencyReport { .. } => tracing::debug!(report = ?message, "latency of the turn"),
            AgentMessage::AgentThinking { .. }
            | AgentMessage::History(_)
            | AgentMessage::FunctionCallResponse { .. }
            | AgentMessage::PromptUpdated
            | AgentMessage::SpeakUpdated
            | AgentMessage::ThinkUpdated
            | AgentMessage::ListenUpdated => {}
            AgentMessage::Unknown { kind } => self.tell_once("the agent", &kind),
        }
    }

    fn on_user_started_speaking(&mut self, now: Duration, out: &mut Vec<Output>) {
        self.turn = self.turn.next();
        self.interruptions += 1;
        self.stale_text = true;
        if self.replies.quiet_at() > now {
            self.summary.barge_ins += 1;
        }
        self.replies.interrupt(now);
        self.codec.drop_reply();
        if let Some(ending) = self.ending.take() {
            tracing::info!("the caller speaks during the goodbye: the call goes on");
            self.suspended = Some((ending.purpose, now + SUSPENDED_LIMIT));
        }
        out.push(Output::ClearPhone(self.writer.clear()));
    }

    fn on_text(&mut self, now: Duration, role: &Role, content: &str) {
        match role {
            Role::User => {
                self.turn = self.turn.next();
                self.stale_text = false;
                self.suspended = None;
            }
            Role::Assistant => {
                let Some(phrase) = &self.settings.closing_phrase else { return };
                if self.stale_text || !folded(content).contains(phrase.as_str()) {
                    return;
                }
                let goodbye = Ending::phrase(now, &self.replies);
                match &mut self.ending {
                    Some(ending) => ending.join(goodbye),
                    None => self.ending = Some(goodbye),
                }
            }
            Role::Other(_) => {}
        }
    }

    fn on_agent_audio(&mut self, now: Duration, audio: &[u8], out: &mut Vec<Output>) {
        if self.agent != AgentLeg::Live || audio.is_empty() || !self.replies.accept_audio(now) {
            return;
        }
        if self.summary.replies != self.replies.generation() {
            self.new_reply();
        }
        let (writer, replies, summary) = (&self.writer, &mut self.replies, &mut self.summary);
        self.codec.down(audio, |frame| {
            replies.sent(now, frame.len());
            summary.frames_out += 1;
            out.push(Output::Phone(writer.media(frame)));
        });
    }

    fn on_audio_done(&mut self, now: Duration, out: &mut Vec<Output>) {
        if self.replies.audio_done() {
            self.finish_reply(now, out);
            let generation = self.replies.mark();
            out.push(Output::Phone(self.writer.mark(&mark_name(generation))));
        }
    }

    fn new_reply(&mut self) {
        self.summary.replies = self.replies.generation();
        self.stale_text = false;
        self.suspended = None;
    }

    /// Sends what a reply has left in the filter and the framer.
    fn finish_reply(&mut self, now: Duration, out: &mut Vec<Output>) {
        let (writer, replies, summary) = (&self.writer, &mut self.replies, &mut self.summary);
        self.codec.finish_reply(|frame| {
            replies.sent(now, frame.len());
            summary.frames_out += 1;
            out.push(Output::Phone(writer.media(frame)));
        });
        self.replies.padded();
    }

    /// Sends the partial frame of a reply that has paused; it may go on, in the middle of a sample even.
    fn pad(&mut self, now: Duration, out: &mut Vec<Output>) {
        let (writer, replies, summary) = (&self.writer, &mut self.replies, &mut self.summary);
        self.codec.pad(|frame| {
            replies.sent(now, frame.len());
            summary.frames_out += 1;
            out.push(Output::Phone(writer.media(frame)));
        });
        self.replies.padded();
    }

    /// Tells the agent of the shop as it is, unless it knows or cannot listen yet; then it is told once it can.
    fn tell_of_the_shop(&mut self, out: &mut Vec<Output>) {
        if self.agent == AgentLeg::Live && self.shop != self.shop_told {
            self.shop_told = Arc::clone(&self.shop);
            let prompt = prompt::shop_update(&self.shop);
            out.push(Output::AgentText(ClientMessage::UpdatePrompt { prompt }.to_json()));
        }
    }

    fn on_agent_lost(&mut self, out: &mut Vec<Output>) {
        match self.agent {
            // All it had to say is on the phone side already: let the goodbye be heard.
            AgentLeg::Live if self.ending.is_some() => self.agent = AgentLeg::Gone,
            AgentLeg::Live => self.end(EndReason::AgentLost, out),
            AgentLeg::Gone => {}
            AgentLeg::Dialling | AgentLeg::AwaitingWelcome | AgentLeg::AwaitingApplied => {
                self.end(EndReason::AgentUnreachable, out);
            }
        }
    }

    // Tools.

    fn on_function_call(&mut self, now: Duration, call: FunctionCall, out: &mut Vec<Output>) {
        self.suspended = None;
        match self.tools.admit(now, call, self.turn, self.interruptions) {
            Admission::Run(request) => {
                self.summary.tool_calls += 1;
                out.push(Output::RunTool(request));
            }
            Admission::Answer(answer) => out.push(response(answer)),
            Admission::Ignore => {}
        }
    }

    fn on_tool(&mut self, now: Duration, answer: ToolAnswer, out: &mut Vec<Output>) {
        if let Some(Effect::OrderPlaced { order_number }) = &answer.effect {
            // True even when the answer comes too late to be sent: the order is there.
            self.summary.order_number = Some(order_number.clone());
        }
        let Some(interruptions) = self.tools.finish(&answer) else { return };
        let purpose = match answer.effect {
            Some(Effect::EndCall) => Some(Purpose::HangUp),
            Some(Effect::Transfer { .. }) => Some(Purpose::Transfer),
            Some(Effect::OrderPlaced { .. }) | None => None,
        };
        // Who has begun to speak since the agent asked has called the ending off before it began.
        if let Some(purpose) = purpose
            && interruptions == self.interruptions
        {
            self.ask_to_end(now, purpose, &answer.id);
        }
        if self.agent == AgentLeg::Live {
            out.push(response(answer));
        }
    }

    fn ask_to_end(&mut self, now: Duration, purpose: Purpose, request: &str) {
        match &mut self.ending {
            // Who was promised a person is not hung up on.
            Some(ending) if ending.purpose == Purpose::Transfer => {}
            Some(ending) => ending.purpose = purpose,
            None => self.ending = Some(Ending::asked(now, purpose, &self.replies).by(request)),
        }
    }

    // Time.

    fn on_tick(&mut self, now: Duration, out: &mut Vec<Output>) {
        match self.agent {
            AgentLeg::Dialling | AgentLeg::AwaitingWelcome | AgentLeg::AwaitingApplied => {
                if now >= SETUP_LIMIT {
                    tracing::error!("the agent did not take the call in time ({:?})", self.agent);
                    return self.end(EndReason::AgentUnreachable, out);
                }
            }
            AgentLeg::Live if now >= self.agent_fed + KEEP_ALIVE => {
                // Both: a keep-alive alone has been seen to be ignored when the caller's audio had stopped.
                self.agent_fed = now;
                out.push(Output::AgentText(ClientMessage::KeepAlive.to_json()));
                out.push(Output::AgentAudio(self.codec.silence()));
            }
            AgentLeg::Live | AgentLeg::Gone => {}
        }
        while let Some(answer) = self.tools.overdue(now) {
            self.summary.slow_tools += 1;
            tracing::warn!(tool = %answer.name, "a tool takes longer than {} s", tool_calls::LIMIT.as_secs());
            if self.agent == AgentLeg::Live {
                out.push(response(answer));
            }
        }
        if self.replies.pad_at().is_some_and(|at| now >= at) {
            self.pad(now, out);
        }
        if now >= self.settings.max_duration {
            return self.end(EndReason::MaxDuration, out);
        }
        if now >= self.phone_heard + PHONE_SILENCE {
            tracing::error!("nothing has come from the phone leg for {} s", PHONE_SILENCE.as_secs());
            return self.end(EndReason::PhoneLost, out);
        }
        if let Some((purpose, until)) = self.suspended
            && now >= until
        {
            return self.end(purpose.into(), out);
        }
        if let (Some(due), Some(ending)) = (self.ending_due(), &self.ending)
            && now >= due
        {
            self.end(ending.purpose.into(), out);
        }
    }

    fn tell_once(&mut self, who: &str, kind: &str) {
        const MAX_KINDS: usize = 32;
        let kind: String = kind.chars().take(64).collect();
        if self.told.len() < MAX_KINDS && self.told.insert(format!("{who}: {kind}")) {
            tracing::warn!("{who} sent a message of an unknown kind ({kind:?}); it is ignored");
        }
    }
}

fn transcribe(role: &Role, content: String, out: &mut Vec<Output>) {
    let speaker = match role {
        Role::User => Speaker::Caller,
        Role::Assistant => Speaker::Agent,
        Role::Other(_) => return,
    };
    out.push(Output::Said(speaker, content));
}

fn response(answer: ToolAnswer) -> Output {
    let ToolAnswer { id, name, content, .. } = answer;
    Output::AgentText(ClientMessage::FunctionCallResponse { id, name, content }.to_json())
}

/// A peer's text as it may stand in a log: short, without digits that could be somebody's number.
fn shortened(text: &str) -> String {
    text.chars().take(80).map(|char| if char.is_numeric() { '#' } else { char }).collect()
}

/// Case and spacing folded: "Good bye!" is "Goodbye!".
fn folded(text: &str) -> String {
    text.chars().filter(|char| !char.is_whitespace()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests;
