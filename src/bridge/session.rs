//! The whole behaviour of one call, sans-IO: `handle(now, input, outputs)` and `next_deadline()`.
//!
//! `now` is the time since the stream's start. Nothing here knows a socket, a task or a clock, so a test can step through
//! a call in virtual time. Regrouping messages and running tools are the driver's.
//!
//! What each leg does to the call is told in a room of its own: `phone`, `agent` (what it says), `lifeline` (how it
//! comes and goes), `work` (what it asks for), `time` (what follows when nothing happens).

mod agent;
mod interface;
mod lifeline;
mod phone;
mod time;
mod work;

pub use interface::{Input, Leg, Output, Phrases, SessionSettings, Speaker};

use super::codec::Codec;
use super::ears::Ears;
use super::end_reason::EndReason;
use super::ending::{Ending, Purpose};
use super::keypad::Keypad;
use super::link::Link;
use super::moment::{Loss, Moment, Sound};
use super::record::Record;
use super::reply::Replies;
use super::summary::Summary;
use super::told::Told;
use super::tool_calls::ToolCalls;
use crate::tools::Turn;
use crate::twilio::message::StreamWriter;
use lifeline::Replayed;
use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// Unintelligible messages in a row on one leg before it is given up.
const MAX_BAD_IN_A_ROW: u32 = 50;
/// Injected words whose echo is still awaited.
const MOST_INJECTED: usize = 8;

/// One call.
pub struct Session {
    settings: SessionSettings,
    writer: StreamWriter,
    codec: Codec,
    link: Link,
    /// What was said and done, for an agent that has to go on with it.
    record: Record,
    /// The agent's session was replaced on purpose: nobody need hear of it.
    renewed: bool,
    /// An agent that is back has something to answer: it is asked to, once it has said that it is back.
    go_on: bool,
    /// Words that another agent had noticed are heard by this one: once more, they are no turn of the caller's.
    replayed: Replayed,
    /// The agent refused to go on with the record: the next is told less.
    without_record: bool,
    replies: Replies,
    /// What the caller has been told and has heard.
    told: Told,
    ending: Option<Ending>,
    /// A goodbye that the caller has spoken into, and when it counts after all.
    suspended: Option<(Purpose, Duration)>,
    /// The longest call is over: when the line is closed whatever happens.
    closing_at: Option<Duration>,
    /// The caller has spoken and nothing new has come of it: what text the agent still sends is of the old reply.
    stale_text: bool,
    /// How often the caller began to speak.
    interruptions: u32,
    /// When the agent must have reacted to what it was told last.
    reply_due: Option<Duration>,
    ears: Ears,
    keypad: Keypad,
    /// Words put into the caller's mouth whose echo is no turn of theirs.
    injected: VecDeque<String>,
    /// When the caller was noticed last: by the agent, or by a key.
    caller_active: Duration,
    /// How often a silent caller was asked since.
    asked: u32,
    /// When anything came of the conversation last: a tool was called, or the caller answered what they had heard.
    worked: Duration,
    /// A reply was heard to its end since the caller's last words.
    reply_heard: bool,
    /// When the agent's session may be renewed next.
    renew_at: Duration,
    /// When audio or a keep-alive last went to the agent.
    agent_fed: Duration,
    /// When the phone leg last said anything.
    phone_heard: Duration,
    /// Unintelligible messages in a row.
    bad_on_phone: u32,
    bad_on_agent: u32,
    turn: Turn,
    tools: ToolCalls,
    /// What there is to know about the shop, and what the agent has been told of it and of an order.
    shop: Arc<str>,
    /// An order that the agent does not know of: it took the request back, or was replaced meanwhile.
    unknown_order: Option<String>,
    news_told: Arc<str>,
    /// Kinds of unknown messages already logged.
    unknown_kinds: HashSet<String>,
    summary: Summary,
    /// Sound since it was told last, and when that was.
    sound: Sound,
    sound_told: Duration,
    ended: bool,
}

impl Session {
    /// A call whose stream has started. The first tick, due at once, dials the agent.
    pub fn new(mut settings: SessionSettings) -> Self {
        settings.closing_phrase =
            settings.closing_phrase.map(|phrase| folded(&phrase)).filter(|phrase| !phrase.is_empty());
        Self {
            writer: StreamWriter::new(&settings.stream_sid),
            codec: Codec::new(settings.audio),
            settings,
            link: Link::new(),
            record: Record::default(),
            renewed: false,
            go_on: false,
            replayed: Replayed::default(),
            without_record: false,
            replies: Replies::new(),
            told: Told::default(),
            ending: None,
            suspended: None,
            closing_at: None,
            stale_text: false,
            interruptions: 0,
            reply_due: None,
            ears: Ears::default(),
            keypad: Keypad::default(),
            injected: VecDeque::new(),
            caller_active: Duration::ZERO,
            asked: 0,
            worked: Duration::ZERO,
            reply_heard: false,
            renew_at: Duration::MAX,
            agent_fed: Duration::ZERO,
            phone_heard: Duration::ZERO,
            bad_on_phone: 0,
            bad_on_agent: 0,
            turn: Turn::default(),
            tools: ToolCalls::default(),
            shop: Arc::default(),
            unknown_order: None,
            news_told: Arc::default(),
            unknown_kinds: HashSet::new(),
            summary: Summary::default(),
            sound: Sound::default(),
            sound_told: Duration::ZERO,
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
            Input::CallerAudio(mulaw) => self.on_caller_audio(now, mulaw, out),
            Input::Agent(message) => self.on_agent(now, message, out),
            Input::AgentAudio(audio) => self.on_agent_audio(now, audio, out),
            Input::Tool(answer) => self.on_tool(now, answer, out),
            Input::Shop(notice) => {
                self.shop = notice;
                self.tell_news(out);
            }
            Input::AgentConnected => self.link.connected(),
            Input::AgentUnreachable { for_good } => self.lose_agent(now, Loss::Unreachable, for_good, out),
            Input::Unreadable(leg, why) => self.on_unreadable(now, leg, &why, out),
            Input::Closed(Leg::Agent) => self.lose_agent(now, Loss::Closed, false, out),
            Input::Stalled(Leg::Agent) => self.lose_agent(now, Loss::Fault, false, out),
            Input::Closed(Leg::Phone) => self.end(now, EndReason::PhoneLost, out),
            Input::Stalled(Leg::Phone) => self.end(now, EndReason::PhoneFault, out),
            Input::Shutdown => self.end(now, EndReason::Shutdown, out),
            Input::Tick => self.on_tick(now, out),
        }
    }

    fn end(&mut self, now: Duration, reason: EndReason, out: &mut Vec<Output>) {
        if !self.ended {
            self.ended = true;
            self.tell_sound(now, out);
            out.push(Output::End(reason));
        }
    }

    /// The agent says goodbye in these words, or the call ends without them when there is no agent.
    fn say_goodbye(&mut self, now: Duration, purpose: Purpose, words: String, out: &mut Vec<Output>) {
        if !self.link.is_live() {
            return self.end(now, purpose.into(), out);
        }
        out.push(Output::Moment(Moment::Goodbye(purpose.into())));
        self.suspended = None;
        self.ending = Some(Ending::asked(now, purpose, &self.replies));
        // A caller who converses is let finish; a line that never pauses is not waited for.
        self.inject(now, words, purpose.can_be_called_off(), out);
    }

    fn on_unreadable(&mut self, now: Duration, leg: Leg, why: &str, out: &mut Vec<Output>) {
        self.summary.bad_messages += 1;
        let in_a_row = self.bad_in_a_row(leg);
        *in_a_row += 1;
        if *in_a_row == 1 {
            tracing::warn!(leg = ?leg, "a message could not be understood: {why}");
        }
        if *in_a_row >= MAX_BAD_IN_A_ROW {
            *in_a_row = 0;
            match leg {
                Leg::Phone => self.end(now, EndReason::PhoneFault, out),
                Leg::Agent => self.lose_agent(now, Loss::Fault, false, out),
            }
        }
    }

    fn bad_in_a_row(&mut self, leg: Leg) -> &mut u32 {
        match leg {
            Leg::Phone => &mut self.bad_on_phone,
            Leg::Agent => &mut self.bad_on_agent,
        }
    }

    fn tell_once(&mut self, who: &str, kind: &str) {
        const MAX_KINDS: usize = 32;
        let kind: String = kind.chars().take(64).collect();
        if self.unknown_kinds.len() < MAX_KINDS && self.unknown_kinds.insert(format!("{who}: {kind}")) {
            tracing::warn!("{who} sent a message of an unknown kind ({kind:?}); it is ignored");
        }
    }
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
