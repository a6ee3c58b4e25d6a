//! What the agent says: its messages, its text and its speech; and what the caller's voice does to it.

use super::super::codec::Codec;
use super::super::ending::Ending;
use super::super::moment::{Loss, Moment};
use super::super::reply::mark_name;
use super::time::SUSPENDED_LIMIT;
use super::{MOST_INJECTED, Output, Session, Speaker, folded, shortened};
use crate::deepgram::message::{AgentMessage, ClientMessage, InjectBehavior, Role};
use crate::deepgram::prompt;
use std::sync::Arc;
use std::time::Duration;

/// An agent that has said and asked nothing for so long, although it is its turn, is lost.
pub(super) const REPLY_LIMIT: Duration = Duration::from_secs(10);

impl Session {
    pub(super) fn on_agent(&mut self, now: Duration, message: AgentMessage, out: &mut Vec<Output>) {
        self.bad_on_agent = 0;
        let for_good = message.is_our_fault();
        match message {
            AgentMessage::Welcome { request_id } => {
                if self.link.welcomed() {
                    tracing::debug!(agent.request_id = %request_id, "the agent welcomes us");
                    self.send_settings(out);
                }
            }
            AgentMessage::SettingsApplied => self.on_applied(now, out),
            AgentMessage::UserStartedSpeaking => self.on_user_started_speaking(now, out),
            AgentMessage::ConversationText { role, content } => self.on_text(now, &role, content, out),
            AgentMessage::AgentStartedSpeaking { total_latency, .. } => {
                tracing::debug!(latency.total_s = total_latency, "the agent starts to speak");
                self.reply_is_coming(now);
                if self.replies.announced() {
                    self.finish_reply(now, out);
                }
                self.new_reply(out);
            }
            AgentMessage::AgentAudioDone => self.on_audio_done(now, out),
            AgentMessage::FunctionCallRequest { functions } => self.on_function_calls(now, functions, out),
            AgentMessage::FunctionCallCancelled { functions } => self.on_cancelled(functions, out),
            AgentMessage::Error { code, description } => {
                tracing::error!(agent.code = %shortened(&code), "the agent reports an error");
                tracing::debug!(about = %shortened(&description), "what the agent says of its error");
                self.lose_agent(now, Loss::Error, for_good, out);
            }
            AgentMessage::Warning { code, description } => {
                tracing::warn!(agent.code = %shortened(&code), "the agent warns");
                tracing::debug!(about = %shortened(&description), "what the agent says of its warning");
            }
            AgentMessage::InjectionRefused { .. } => {
                tracing::warn!("the agent refused an injected message");
                self.reply_due = None;
                // It did not say that it is back, and what it owes is owed.
                self.ask_to_go_on(now, out);
            }
            AgentMessage::LatencyReport(report) => {
                tracing::debug!(?report, "latency of the turn");
                let total = report.total_latency.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
                out.extend(total.map(|total| Output::Moment(Moment::TurnLatency { total })));
            }
            AgentMessage::AgentThinking { .. } => self.reply_is_coming(now),
            AgentMessage::History(_)
            | AgentMessage::FunctionCallResponse { .. }
            | AgentMessage::PromptUpdated
            | AgentMessage::SpeakUpdated
            | AgentMessage::ThinkUpdated
            | AgentMessage::ListenUpdated => {}
            AgentMessage::Unknown { kind } => self.tell_once("the agent", &kind),
        }
    }

    fn on_user_started_speaking(&mut self, now: Duration, out: &mut Vec<Output>) {
        if !self.replayed.voice_again(now) {
            self.turn = self.turn.next();
        }
        self.ears.noticed();
        self.interruptions += 1;
        self.stale_text = true;
        self.caller_active = now;
        self.reply_due = None;
        self.go_on = false;
        let generation = self.replies.generation();
        if let Some(interruption) = self.replies.interrupt(now) {
            self.summary.barge_ins += 1;
            self.told.interrupted(&interruption, generation);
            self.record.cut(generation, f64::from(interruption.heard_permille) / 1000.0);
            out.push(Output::Moment(Moment::BargeIn { unheard: interruption.unheard }));
        }
        self.codec.drop_reply();
        if let Some(ending) = self.ending.take_if(|ending| ending.purpose.can_be_called_off()) {
            tracing::info!("the caller speaks during the goodbye: the call goes on");
            self.suspended = Some((ending.purpose, now + SUSPENDED_LIMIT));
        }
        out.push(Output::ClearPhone(self.writer.clear()));
    }

    fn on_text(&mut self, now: Duration, role: &Role, content: String, out: &mut Vec<Output>) {
        let speaker = match role {
            Role::User => {
                self.on_callers_text(now, &content);
                Speaker::Caller
            }
            Role::Assistant => {
                self.on_agents_text(now, &content, out);
                Speaker::Agent
            }
            Role::Other(_) => return,
        };
        if self.settings.transcribed {
            out.push(Output::Said(speaker, content));
        }
    }

    fn on_callers_text(&mut self, now: Duration, content: &str) {
        self.reply_due = Some(now + REPLY_LIMIT);
        self.stale_text = false;
        self.suspended = None;
        if let Some(at) = self.injected.iter().position(|words| words == content) {
            // Our own words come back: nobody has spoken.
            self.injected.remove(at);
            return;
        }
        self.injected.clear();
        self.go_on = false;
        if !self.replayed.text_again(now) {
            self.turn = self.turn.next();
        }
        if std::mem::take(&mut self.reply_heard) {
            self.worked = now;
        }
        self.caller_noticed(now);
        self.ears.understood();
        self.record.said(None, content);
    }

    fn on_agents_text(&mut self, now: Duration, content: &str, out: &mut Vec<Output>) {
        self.reply_is_coming(now);
        if self.stale_text {
            return;
        }
        let (generation, speaking) = (self.replies.generation(), self.replies.is_speaking());
        self.record.said(Some(if speaking { generation } else { generation + 1 }), content);
        self.told.said(content, generation, speaking);
        let Some(phrase) = &self.settings.closing_phrase else { return };
        if !folded(content).contains(phrase.as_str()) {
            return;
        }
        let goodbye = Ending::phrase(now, &self.replies);
        match &mut self.ending {
            Some(ending) => ending.join(goodbye),
            None => {
                out.push(Output::Moment(Moment::Goodbye(goodbye.purpose.into())));
                self.ending = Some(goodbye);
                self.say_number_again(now, out);
            }
        }
    }

    pub(super) fn on_agent_audio(&mut self, now: Duration, audio: &[u8], out: &mut Vec<Output>) {
        if !self.link.is_live() || audio.is_empty() || !self.replies.accept_audio(now) {
            return;
        }
        self.reply_due = None;
        if self.summary.replies != self.replies.generation() {
            self.new_reply(out);
        }
        self.emit(now, out, |codec, emit| codec.down(audio, emit));
    }

    fn on_audio_done(&mut self, now: Duration, out: &mut Vec<Output>) {
        if self.replies.audio_done() {
            self.finish_reply(now, out);
            let generation = self.replies.mark();
            out.push(Output::Phone(self.writer.mark(&mark_name(generation))));
        }
        self.ask_to_go_on(now, out);
    }

    fn new_reply(&mut self, out: &mut Vec<Output>) {
        self.summary.replies = self.replies.generation();
        self.stale_text = false;
        self.suspended = None;
        out.push(Output::Moment(Moment::ReplyBegan));
    }

    /// Sends what a reply has left in the filter and the framer.
    pub(super) fn finish_reply(&mut self, now: Duration, out: &mut Vec<Output>) {
        self.emit(now, out, |codec, emit| codec.finish_reply(emit));
        self.replies.padded();
    }

    /// Sends the partial frame of a reply that has paused; it may go on, in the middle of a sample even.
    pub(super) fn pad(&mut self, now: Duration, out: &mut Vec<Output>) {
        self.emit(now, out, |codec, emit| codec.pad(emit));
        self.replies.padded();
    }

    /// Sends what the codec makes of this to the phone side.
    fn emit(&mut self, now: Duration, out: &mut Vec<Output>, convert: impl FnOnce(&mut Codec, &mut dyn FnMut(&[u8]))) {
        let Self { codec, writer, replies, summary, sound, .. } = self;
        convert(codec, &mut |frame| {
            replies.sent(now, frame.len());
            summary.frames_out += 1;
            sound.frames_out += 1;
            out.push(Output::Phone(writer.media(frame)));
        });
    }

    /// The agent has shown that a reply is on its way: it is waited for anew, but waited for.
    fn reply_is_coming(&mut self, now: Duration) {
        if let Some(due) = &mut self.reply_due {
            *due = now + REPLY_LIMIT;
        }
    }

    /// The agent is to say these words: when it is quiet, or at once.
    pub(super) fn inject(&mut self, now: Duration, message: String, when_quiet: bool, out: &mut Vec<Output>) {
        let behavior = if when_quiet { InjectBehavior::Queue } else { InjectBehavior::Interrupt };
        let message = ClientMessage::InjectAgentMessage { message, behavior: Some(behavior) };
        out.push(Output::AgentText(message.to_json()));
        self.reply_due = Some(now + REPLY_LIMIT);
    }

    /// The agent takes these words for the caller's. They are no turn of theirs: a yes is only what they say themselves.
    pub(super) fn inject_words(&mut self, now: Duration, words: String, out: &mut Vec<Output>) {
        if self.injected.len() == MOST_INJECTED {
            self.injected.pop_front();
        }
        self.injected.push_back(words.clone());
        out.push(Output::AgentText(ClientMessage::InjectUserMessage { content: words }.to_json()));
        self.reply_due = Some(now + REPLY_LIMIT);
    }

    /// Tells the agent of the shop as it is, and of an order that it does not know of – unless it knows, or cannot listen
    /// yet; then it is told once it can.
    pub(super) fn tell_news(&mut self, out: &mut Vec<Output>) {
        let news: Arc<str> = match &self.unknown_order {
            None => Arc::clone(&self.shop),
            Some(number) => {
                let placed = format!(
                    "The caller's order is placed: number {number}, although you took the request back or lost the line. \
                     Do not place it again; tell them the number."
                );
                [&*self.shop, placed.as_str()].join(" ").trim_start().into()
            }
        };
        if self.link.is_live() && news != self.news_told {
            let prompt = prompt::shop_update(&news);
            self.news_told = news;
            out.push(Output::AgentText(ClientMessage::UpdatePrompt { prompt }.to_json()));
        }
    }
}
