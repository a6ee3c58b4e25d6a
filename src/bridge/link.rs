//! The agent leg's coming and going: dialling, set-up, loss, and dialling once more.
//!
//! Decides when to dial and when to give up; what is said and kept meanwhile is the session's. Pure: time is an argument.

use std::time::Duration;

/// How long the first agent may take to be there, all attempts together: all of it is dead air.
pub(super) const FIRST_LIMIT: Duration = Duration::from_secs(10);
/// How long an agent that was lost may take to be there again, all attempts together.
pub(super) const OUTAGE_LIMIT: Duration = Duration::from_secs(12);
/// An attempt that has led to nothing for so long makes room for the next.
pub(super) const ATTEMPT_LIMIT: Duration = Duration::from_secs(4);
/// Waits before the first, second and third redial.
pub(super) const BACKOFF: [Duration; 3] =
    [Duration::from_millis(250), Duration::from_millis(500), Duration::from_millis(1000)];
/// An agent that was there for so long has made good for the attempts before.
const STEADY: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// To be dialled at this time.
    Waiting(Duration),
    Dialling,
    AwaitingWelcome,
    AwaitingApplied,
    Live,
    /// Not needed any more.
    Gone,
}

/// What follows from a loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AfterLoss {
    Redial,
    GiveUp,
}

/// What is to be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Dial; so many attempts went before.
    Dial(u32),
    /// The attempt in progress has taken too long.
    TooSlow,
    Nothing,
}

/// The agent leg of one call.
#[derive(Debug)]
pub(super) struct Link {
    state: State,
    /// Redials since an agent was last there steadily.
    redials: u32,
    /// Since when there is no agent, and since when the attempt in progress lasts.
    away_since: Duration,
    attempt_since: Duration,
    live_since: Duration,
    was_live: bool,
}

impl Link {
    /// A leg that is to be dialled at once.
    pub(super) fn new() -> Self {
        Self {
            state: State::Waiting(Duration::ZERO),
            redials: 0,
            away_since: Duration::ZERO,
            attempt_since: Duration::ZERO,
            live_since: Duration::ZERO,
            was_live: false,
        }
    }

    pub(super) fn is_live(&self) -> bool {
        self.state == State::Live
    }

    pub(super) fn is_gone(&self) -> bool {
        self.state == State::Gone
    }

    /// Whether there was an agent at all.
    pub(super) fn was_live(&self) -> bool {
        self.was_live
    }

    /// How long this session of the agent's has lasted.
    pub(super) fn age(&self, now: Duration) -> Duration {
        now.saturating_sub(self.live_since)
    }

    /// The socket is open.
    pub(super) fn connected(&mut self) {
        if self.state == State::Dialling {
            self.state = State::AwaitingWelcome;
        }
    }

    /// `Welcome`. True when the settings are to be sent now.
    pub(super) fn welcomed(&mut self) -> bool {
        let awaited = self.state == State::AwaitingWelcome;
        if awaited {
            self.state = State::AwaitingApplied;
        }
        awaited
    }

    /// `SettingsApplied`: for how long there was no agent; none when it was not waited for.
    pub(super) fn applied(&mut self, now: Duration) -> Option<Duration> {
        (self.state == State::AwaitingApplied).then(|| {
            self.state = State::Live;
            self.live_since = now;
            self.was_live = true;
            now.saturating_sub(self.away_since)
        })
    }

    /// The leg is lost, or an attempt has failed. `for_good`: another one would fail in the same way.
    pub(super) fn lost(&mut self, now: Duration, for_good: bool) -> AfterLoss {
        if self.is_live() {
            if self.age(now) >= STEADY {
                self.redials = 0;
            }
            self.away_since = now;
        }
        match BACKOFF.get(self.redials as usize) {
            Some(wait) if !for_good && now < self.give_up_at() => {
                self.redials += 1;
                self.state = State::Waiting(now + *wait);
                AfterLoss::Redial
            }
            _ => {
                self.state = State::Gone;
                AfterLoss::GiveUp
            }
        }
    }

    /// The session is old and is replaced by a new one at once.
    pub(super) fn renew(&mut self, now: Duration) {
        (self.redials, self.away_since, self.state) = (0, now, State::Waiting(now));
    }

    /// No agent is needed any more.
    pub(super) fn release(&mut self) {
        self.state = State::Gone;
    }

    /// What the passing of time asks for.
    pub(super) fn tick(&mut self, now: Duration) -> Due {
        match self.state {
            State::Waiting(at) if now >= at => {
                self.state = State::Dialling;
                self.attempt_since = now;
                Due::Dial(self.redials)
            }
            State::Dialling | State::AwaitingWelcome | State::AwaitingApplied if now >= self.attempt_until() => {
                Due::TooSlow
            }
            _ => Due::Nothing,
        }
    }

    /// When [`Link::tick`] has something to do.
    pub(super) fn deadline(&self) -> Option<Duration> {
        match self.state {
            State::Waiting(at) => Some(at),
            State::Dialling | State::AwaitingWelcome | State::AwaitingApplied => Some(self.attempt_until()),
            State::Live | State::Gone => None,
        }
    }

    fn attempt_until(&self) -> Duration {
        (self.attempt_since + ATTEMPT_LIMIT).min(self.give_up_at())
    }

    fn give_up_at(&self) -> Duration {
        self.away_since + if self.was_live { OUTAGE_LIMIT } else { FIRST_LIMIT }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn live(at: Duration) -> Link {
        let mut link = Link::new();
        assert_eq!(link.tick(Duration::ZERO), Due::Dial(0));
        link.connected();
        assert!(link.welcomed() && !link.welcomed());
        assert_eq!(link.applied(at), Some(at));
        assert_eq!(link.applied(at), None);
        link
    }

    #[test]
    fn an_agent_that_is_lost_is_dialled_three_times_with_growing_waits() {
        let mut link = live(s(1));
        let mut now = s(100);
        for (before, wait) in BACKOFF.iter().enumerate() {
            assert_eq!(link.lost(now, false), AfterLoss::Redial);
            assert_eq!(link.deadline(), Some(now + *wait));
            assert_eq!(link.tick(now), Due::Nothing);
            now += *wait;
            assert_eq!(link.tick(now), Due::Dial(before as u32 + 1));
        }
        assert_eq!(link.lost(now, false), AfterLoss::GiveUp);
        assert!(link.is_gone() && link.was_live() && link.deadline().is_none());
    }

    #[test]
    fn an_agent_that_was_there_for_a_while_has_its_attempts_again() {
        let mut link = live(s(1));
        for round in 1..10 {
            let now = s(100 * round);
            assert_eq!(link.lost(now, false), AfterLoss::Redial);
            assert_eq!(link.tick(now + BACKOFF[0]), Due::Dial(1));
            link.connected();
            assert!(link.welcomed());
            assert_eq!(link.applied(now + s(1)), Some(s(1)));
        }
        // One that comes and goes has not.
        let mut now = s(1000);
        assert_eq!(link.lost(now, false), AfterLoss::Redial);
        for _ in 0..2 {
            now += s(1);
            link.tick(now);
            link.connected();
            assert!(link.welcomed() && link.applied(now).is_some());
            assert_eq!(link.lost(now, false), AfterLoss::Redial);
        }
        assert_eq!(link.lost(now, false), AfterLoss::GiveUp);
    }

    #[test]
    fn attempts_that_lead_to_nothing_make_room_for_others_until_the_caller_has_waited_long_enough() {
        let mut link = Link::new();
        let (mut now, mut dialled) = (Duration::ZERO, 0);
        loop {
            match link.tick(now) {
                Due::Dial(_) => dialled += 1,
                Due::TooSlow if link.lost(now, false) == AfterLoss::GiveUp => break,
                Due::TooSlow | Due::Nothing => {}
            }
            now = link.deadline().expect("it is on its way").max(now);
        }
        assert_eq!((now, dialled), (FIRST_LIMIT, 3));
    }

    #[test]
    fn what_would_fail_again_is_not_tried_again() {
        let mut link = Link::new();
        link.tick(Duration::ZERO);
        assert_eq!(link.lost(Duration::ZERO, true), AfterLoss::GiveUp);
    }

    #[test]
    fn a_renewal_is_no_failure() {
        let mut link = live(s(1));
        link.renew(s(50));
        assert_eq!(link.tick(s(50)), Due::Dial(0));
        assert!(link.was_live());
    }
}
