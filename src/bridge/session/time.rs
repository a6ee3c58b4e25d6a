//! What follows when time passes: limits, silence, and what was put off.

use super::super::ending::Purpose;
use super::super::moment::{Loss, Moment};
use super::super::tool_calls;
use super::work::short;
use super::{EndReason, Output, Session};
use crate::deepgram::message::ClientMessage;
use std::time::Duration;

/// After so long without audio to the agent, it is told that we are still here.
const KEEP_ALIVE: Duration = Duration::from_secs(8);
/// Twilio sends audio all the time: a phone leg without any message for so long is gone, whatever its socket says.
pub(super) const PHONE_SILENCE: Duration = Duration::from_secs(60);
/// A goodbye that the caller interrupted, by a cough perhaps, is carried out if for so long nothing follows.
pub(super) const SUSPENDED_LIMIT: Duration = Duration::from_secs(30);
/// How long the goodbye at the end of the longest call may take.
const LAST_WORDS: Duration = Duration::from_secs(15);
/// A caller who began to speak and of whom nothing came, a cough perhaps, is asked sooner: they may have spoken into the
/// agent's words, and an agent that is lost shows itself.
const UNHEARD: Duration = Duration::from_secs(6);
/// How often a silent caller is asked.
const ASK_TIMES: u32 = 2;

impl Session {
    /// When [`Input::Tick`](super::Input::Tick) is due, in the time of `now`.
    pub fn next_deadline(&self) -> Duration {
        let longest = self.closing_at.unwrap_or(self.settings.max_duration);
        let deadlines = [
            self.link.deadline(),
            self.keep_alive_at(),
            self.replies.pad_at(),
            self.ending_due(),
            self.suspended.map(|(_, until)| until),
            self.reply_due,
            self.keypad.deadline(self.settings.can_transfer),
            self.ask_at(),
            self.noise_at(),
            self.slow_at(),
            self.link.is_live().then_some(self.renew_at),
        ];
        let fixed = [longest, self.tools.deadline(), self.phone_heard + PHONE_SILENCE];
        deadlines.into_iter().flatten().chain(fixed).fold(Duration::MAX, Duration::min)
    }

    pub(super) fn on_tick(&mut self, now: Duration, out: &mut Vec<Output>) {
        self.tick_link(now, out);
        if self.ended {
            return;
        }
        if due(self.keep_alive_at(), now) {
            // Both: a keep-alive alone has been seen to be ignored when the caller's audio had stopped.
            self.agent_fed = now;
            out.push(Output::AgentText(ClientMessage::KeepAlive.to_json()));
            out.push(Output::AgentAudio(self.codec.silence()));
        }
        while let Some((answer, wanted)) = self.tools.overdue(now) {
            self.summary.slow_tools += 1;
            tracing::warn!(tool = %answer.name, "a tool takes longer than {} s", tool_calls::LIMIT.as_secs());
            if wanted {
                let (tool, outcome) = (short(&answer.name), answer.outcome);
                out.push(Output::Moment(Moment::ToolDone { tool, took: tool_calls::LIMIT, outcome }));
                self.respond(now, answer, out);
            }
        }
        if due(self.replies.pad_at(), now) {
            self.pad(now, out);
        }
        if due(self.slow_at(), now) {
            self.tell_slow(now, out);
        }
        let has_person = self.settings.can_transfer;
        let entry = self.keypad.tick(now, has_person);
        self.on_keys(now, entry, out);
        self.end_what_is_over(now, out);
        if self.ended {
            return;
        }
        if due(self.reply_due, now) {
            tracing::error!("the agent owes a reply and says nothing");
            self.lose_agent(now, Loss::Silent, false, out);
        } else if due(self.noise_at(), now) {
            tracing::info!("the line makes sounds and no conversation");
            self.say_goodbye(now, Purpose::Noise, self.settings.phrases.noise_goodbye.clone(), out);
        } else if due(self.ask_at(), now) {
            self.ask(now, out);
        } else if self.link.is_live() && now >= self.renew_at {
            self.renew_agent(now, out);
        }
    }

    fn end_what_is_over(&mut self, now: Duration, out: &mut Vec<Output>) {
        if self.closing_at.is_none() && now >= self.settings.max_duration {
            tracing::info!("the longest call is over");
            self.closing_at = Some(now + LAST_WORDS);
            // A goodbye that is being said anyway will do.
            if self.ending.is_none() {
                self.say_goodbye(now, Purpose::Late, self.settings.phrases.late_goodbye.clone(), out);
            }
        }
        if due(self.closing_at, now) {
            return self.end(now, EndReason::MaxDuration, out);
        }
        if now >= self.phone_heard + PHONE_SILENCE {
            tracing::error!("nothing has come from the phone leg for {} s", PHONE_SILENCE.as_secs());
            return self.end(now, EndReason::PhoneLost, out);
        }
        if let Some((purpose, until)) = self.suspended
            && now >= until
        {
            return self.end(now, purpose.into(), out);
        }
        if let (Some(due), Some(ending)) = (self.ending_due(), &self.ending)
            && now >= due
        {
            let purpose = ending.purpose;
            self.end(now, purpose.into(), out);
        }
    }

    /// A silent caller is asked, and asked again, and told goodbye.
    fn ask(&mut self, now: Duration, out: &mut Vec<Output>) {
        self.caller_active = now;
        if self.stale_text && self.ears.is_loud(now) {
            // They are still speaking.
            return;
        }
        if self.asked < ASK_TIMES {
            self.asked += 1;
            out.push(Output::Moment(Moment::Asked));
            self.inject(now, self.settings.phrases.still_there.clone(), true, out);
        } else {
            tracing::info!("the caller is silent, also when asked");
            self.say_goodbye(now, Purpose::Idle, self.settings.phrases.idle_goodbye.clone(), out);
        }
    }

    fn ending_due(&self) -> Option<Duration> {
        Some(self.ending.as_ref()?.due(&self.replies, self.settings.hangup_delay))
    }

    fn keep_alive_at(&self) -> Option<Duration> {
        self.link.is_live().then_some(self.agent_fed + KEEP_ALIVE)
    }

    /// Whether the agent is there and nothing is under way.
    fn is_at_rest(&self) -> bool {
        self.link.is_live()
            && self.ending.is_none()
            && self.reply_due.is_none()
            && !self.go_on
            && !self.tools.are_running()
            && !self.keypad.is_typing()
    }

    /// When the caller has been silent for too long; a goodbye that was called off waits for them longer.
    fn ask_at(&self) -> Option<Duration> {
        let at_rest = self.is_at_rest() && self.suspended.is_none();
        let idle = self.settings.caller_idle;
        at_rest.then(|| {
            let silence = if self.stale_text { UNHEARD.min(idle) } else { idle };
            self.caller_active.max(self.replies.quiet_at()) + silence
        })
    }

    /// When a line that never pauses has gone on for too long, and nothing has come of it.
    fn noise_at(&self) -> Option<Duration> {
        let waiting = self.link.is_live() && self.ending.is_none();
        let since = self.ears.sounding_since(self.summary.duration).filter(|_| waiting)?;
        Some(since.max(self.worked) + self.settings.max_talk)
    }

    /// When the line will have been silent for too long because of a tool.
    fn slow_at(&self) -> Option<Duration> {
        let waiting = self.link.is_live() && self.ending.is_none();
        self.tools.slow_at().filter(|_| waiting).map(|at| at.max(self.replies.quiet_at()))
    }
}

fn due(at: Option<Duration>, now: Duration) -> bool {
    at.is_some_and(|at| now >= at)
}
