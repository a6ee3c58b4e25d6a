//! What a server is held to under load, 500 calls in linear16 included: a figure, its limit, and whether it is met.

use super::books::{Delays, Report};
use std::fmt;

/// Resident memory of a call, in KiB.
const CALL_KIB: f64 = 40.0;
/// Sound each way, 99 frames of 100, in milliseconds: the whole way, which is more than what the server adds.
const SOUND_MS: f64 = 20.0;
/// From `UserStartedSpeaking` to `clear`, 99 of 100.
const CLEAR_MS: f64 = 5.0;
/// From before the socket is opened to the settings, 99 of 100: for 20 new calls a second.
const SET_UP_MS: f64 = 10.0;

/// A figure and the most that it may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judged {
    found: f64,
    limit: f64,
}

impl Judged {
    /// Any unit.
    pub const fn new(found: f64, limit: f64) -> Self {
        Self { found, limit }
    }

    /// Whether it is within its limit.
    pub fn is_met(&self) -> bool {
        self.found <= self.limit
    }
}

/// The limit, and whether it is met.
impl fmt::Display for Judged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "limit {}: {}", self.limit, if self.is_met() { "met" } else { "missed" })
    }
}

/// Everything that has a limit of its own; none where nothing was measured.
#[derive(Clone, Copy, Debug)]
pub struct Verdict {
    /// Memory of a call.
    pub kib: Option<Judged>,
    /// Sound to the agent, p99.
    pub up: Option<Judged>,
    /// Sound to the caller, p99.
    pub down: Option<Judged>,
    /// Interruptions, p99.
    pub clear: Option<Judged>,
    /// Set-up, p99.
    pub set_up: Option<Judged>,
    /// Frames lost, both ways.
    pub lost: Judged,
}

impl Verdict {
    /// Of one run.
    pub fn of(report: &Report) -> Self {
        let p99 = |delays: &Option<Delays>| delays.as_ref().map(|delays| delays.p99_ms);
        let Report { up, down, clear, set_up, .. } = report;
        let lost = report.frames_lost.iter().sum();
        Self::on(report.resident_kib_a_call, [up, down, clear, set_up].map(p99), lost)
    }

    /// Of figures: KiB a call; 99 of 100 up, down, cleared and set up, in milliseconds; frames lost.
    pub fn on(kib: Option<f64>, [up, down, clear, set_up]: [Option<f64>; 4], lost: u64) -> Self {
        let judge = |found: Option<f64>, limit| found.map(|found| Judged { found, limit });
        Self {
            kib: judge(kib, CALL_KIB),
            up: judge(up, SOUND_MS),
            down: judge(down, SOUND_MS),
            clear: judge(clear, CLEAR_MS),
            set_up: judge(set_up, SET_UP_MS),
            lost: Judged { found: lost as f64, limit: 0.0 },
        }
    }

    /// Each with its name.
    pub fn each(&self) -> impl Iterator<Item = (&'static str, Judged)> {
        let all = [
            ("resident KiB a call", self.kib),
            ("sound to the agent, p99 ms", self.up),
            ("sound to the caller, p99 ms", self.down),
            ("interrupted → clear, p99 ms", self.clear),
            ("set-up, p99 ms", self.set_up),
            ("frames lost", Some(self.lost)),
        ];
        all.into_iter().filter_map(|(name, judged)| Some((name, judged?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_may_be_reached_and_not_passed() {
        let verdict = Verdict::on(Some(40.0), [Some(20.0), Some(20.1), None, Some(9.9)], 1);
        let found: Vec<_> = verdict.each().map(|(name, judged)| (name, judged.to_string())).collect();
        let expected = [
            ("resident KiB a call", "limit 40: met"),
            ("sound to the agent, p99 ms", "limit 20: met"),
            ("sound to the caller, p99 ms", "limit 20: missed"),
            ("set-up, p99 ms", "limit 10: met"),
            ("frames lost", "limit 0: missed"),
        ];
        assert_eq!(found, expected.map(|(name, verdict)| (name, verdict.to_owned())));
    }
}
