//! How the agent comes, goes and comes back: with what was said before, with the caller's last words, and without greeting
//! twice.

use super::super::ears::Kept;
use super::super::ending::{Ending, Purpose};
use super::super::link::{AfterLoss, Due};
use super::super::moment::{Loss, Moment};
use super::{EndReason, Output, Session};
use crate::tools::still_working;
use std::time::Duration;

/// An agent that has not begun to say for so long that it is back is none.
const BRIDGE_LIMIT: Duration = Duration::from_secs(5);
/// By then the agent has heard what it is given to hear again.
const REPLAY_LIMIT: Duration = Duration::from_secs(10);
/// Kept words go to the agent in messages of this many µ-law bytes: 20 ms, as it gets them otherwise. The socket's buffer
/// stays as large as the largest.
const KEPT_CHUNK: usize = 160;
/// A session that cannot be renewed now is looked at again after so long.
const RENEW_AGAIN: Duration = Duration::from_secs(1);

/// What an agent is asked whose turn it is, and who does not know.
const GO_ON: &str = "Please go on.";

/// What of words that are heard once more still comes back, and is no turn of the caller's: an agent had noticed them.
#[derive(Debug, Default)]
pub(super) struct Replayed {
    voice: bool,
    text: bool,
    /// What comes later is new.
    until: Duration,
}

impl Replayed {
    /// Whether the caller's voice is that of the words heard once more; true once.
    pub(super) fn voice_again(&mut self, now: Duration) -> bool {
        std::mem::take(&mut self.voice) && now < self.until
    }

    /// Whether the caller's text is that of the words heard once more; true once.
    pub(super) fn text_again(&mut self, now: Duration) -> bool {
        let Self { text, until, .. } = std::mem::take(self);
        text && now < until
    }
}

impl Session {
    /// The leg is lost or could not be had. `for_good`: the same attempt would fail again.
    pub(super) fn lose_agent(&mut self, now: Duration, loss: Loss, for_good: bool, out: &mut Vec<Output>) {
        if self.link.is_gone() {
            return;
        }
        out.push(Output::Moment(Moment::AgentLost(loss)));
        let was_live = self.link.is_live();
        let sent = self.ending.as_ref().is_some_and(|ending| ending.is_sent(&self.replies));
        self.part_with_agent(now, out);
        if let Some(Ending { purpose, .. }) = self.ending {
            match purpose {
                // All it had to say is on the phone side already: let the goodbye be heard.
                _ if was_live && sent => return self.link.release(),
                // The next agent says it.
                Purpose::HangUp => self.ending = None,
                Purpose::Transfer | Purpose::Idle | Purpose::Noise | Purpose::Late => {
                    return self.end(now, purpose.into(), out);
                }
            }
        }
        // Settings that it has just refused may have been refused for the record in them; without it the agent is a
        // stranger, and better than none.
        let resuming = self.link.was_live() && !was_live && !self.without_record && !self.record.is_empty();
        let without_record = for_good && loss == Loss::Error && resuming;
        self.without_record |= without_record;
        tracing::warn!(loss = loss.as_str(), "the agent is lost");
        self.renewed = false;
        match self.link.lost(now, for_good && !without_record) {
            AfterLoss::Redial => {}
            AfterLoss::GiveUp if self.link.was_live() => self.end(now, EndReason::AgentLost, out),
            AfterLoss::GiveUp => self.end(now, EndReason::AgentUnreachable, out),
        }
    }

    /// A session that has grown old is replaced while nobody speaks.
    pub(super) fn renew_agent(&mut self, now: Duration, out: &mut Vec<Output>) {
        let busy = self.replies.quiet_at() > now
            || self.reply_due.is_some()
            || self.tools.are_running()
            || self.ending.is_some()
            || self.keypad.is_typing()
            || self.ears.is_loud(now);
        if busy {
            self.renew_at = now + RENEW_AGAIN;
            return;
        }
        tracing::info!("the agent's session is renewed");
        out.push(Output::Moment(Moment::AgentLost(Loss::Renewed)));
        self.part_with_agent(now, out);
        self.renewed = true;
        self.link.renew(now);
    }

    fn part_with_agent(&mut self, now: Duration, out: &mut Vec<Output>) {
        out.push(Output::DropAgent);
        // What was sent of a reply is played to its end; it covers part of the wait.
        if self.replies.is_speaking() {
            self.replies.audio_done();
            self.finish_reply(now, out);
        }
        self.tools.orphan();
        self.reply_due = None;
        self.go_on = false;
        self.replayed = Replayed::default();
        self.stale_text = false;
        self.renew_at = Duration::MAX;
        self.injected.clear();
    }

    pub(super) fn tick_link(&mut self, now: Duration, out: &mut Vec<Output>) {
        match self.link.tick(now) {
            Due::Dial(attempt) => {
                if attempt > 0 || self.link.was_live() {
                    self.summary.redials += 1;
                }
                out.push(Output::Moment(Moment::AgentDialled { attempt }));
                out.push(Output::DialAgent);
            }
            Due::TooSlow => {
                tracing::error!("the agent does not take the call in time");
                self.lose_agent(now, Loss::SetUp, false, out);
            }
            Due::Nothing => {}
        }
    }

    pub(super) fn send_settings(&mut self, out: &mut Vec<Output>) {
        let opening = &self.settings.opening;
        if !self.link.was_live() || self.record.is_empty() {
            // Nothing was said: the caller has not been greeted.
            return out.push(Output::AgentSettings(opening.text()));
        }
        let before = if self.without_record {
            [].into_iter().collect()
        } else {
            self.record.context(&still_working(String::new(), String::new()).content)
        };
        out.push(Output::AgentText(opening.resumed(before)));
    }

    pub(super) fn on_applied(&mut self, now: Duration, out: &mut Vec<Output>) {
        let resumed = self.link.was_live() && !self.record.is_empty();
        let Some(after) = self.link.applied(now) else { return };
        out.push(Output::Moment(Moment::AgentLive { after, resumed }));
        self.agent_fed = now;
        self.renew_at = now + self.settings.agent_session;
        self.caller_active = now;
        // A new session knows nothing of the news.
        self.news_told = Default::default();
        self.tell_news(out);
        let Kept { words, noticed, dropped } = self.ears.take();
        self.summary.dropped_early_ms += dropped.as_millis() as u64;
        self.sound.dropped += dropped;
        self.replayed = Replayed { voice: noticed, text: noticed, until: now + REPLAY_LIMIT };
        out.extend(words.chunks(KEPT_CHUNK).map(|words| Output::AgentAudio(self.codec.up(words))));
        // Of a renewal nobody has noticed anything.
        if resumed && !std::mem::take(&mut self.renewed) {
            self.go_on = self.record.is_agents_turn();
            self.inject(now, self.settings.phrases.back.clone(), true, out);
            self.reply_due = Some(now + BRIDGE_LIMIT);
        }
    }

    /// The agent has said that it is back, or will not: whose turn it is may be its own.
    pub(super) fn ask_to_go_on(&mut self, now: Duration, out: &mut Vec<Output>) {
        if std::mem::take(&mut self.go_on) {
            self.inject_words(now, GO_ON.to_owned(), out);
        }
    }
}
