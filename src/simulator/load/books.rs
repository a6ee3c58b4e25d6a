//! What was sent, heard and waited for, counted by all calls together and without locks.

use super::stamp::Stamp;
use serde::Serialize;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Milliseconds that something took, in tenths.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Delays {
    /// How many were measured.
    pub count: u64,
    /// Half of them took no longer.
    pub p50_ms: f64,
    /// 99 of 100 took no longer.
    pub p99_ms: f64,
    /// None took longer.
    pub max_ms: f64,
}

/// What a run found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The audio on the agent's side.
    pub audio: &'static str,
    /// Calls at once.
    pub calls: usize,
    /// How long they were measured.
    pub seconds: f64,
    /// How fast they came.
    pub new_calls_a_second: f64,
    /// What the server used of a processor, user and system; none if it is not on this machine.
    pub cpu_ms_a_call_second: Option<f64>,
    /// What the server has grown by since before the first call.
    pub resident_kib_a_call: Option<f64>,
    /// What the load itself used: both ends of the calls.
    pub generator_cpu_ms_a_call_second: f64,
    /// From the caller's mouth to the agent's ear, without the filters' own delay.
    pub up: Option<Delays>,
    /// From the agent's mouth to the caller's ear.
    pub down: Option<Delays>,
    /// From `UserStartedSpeaking` to `clear`.
    pub clear: Option<Delays>,
    /// From before the stream's socket is opened to when the agent has the settings.
    pub set_up: Option<Delays>,
    /// Up and down.
    pub frames_sent: [u64; 2],
    /// Up and down: sent and never heard.
    pub frames_lost: [u64; 2],
    /// Down: on their way when the caller spoke, so that they were rightly not heard.
    pub frames_cleared: u64,
    /// Calls that did not begin, or ended before they were hung up.
    pub calls_failed: usize,
    /// What was wrong with the first of them.
    pub first_failure: Option<String>,
}

/// A count for every tenth of a millisecond of the six seconds that a stamp can tell.
pub(super) struct Histogram(Box<[AtomicU32]>);

impl Histogram {
    fn new() -> Self {
        Self((0..=u16::MAX).map(|_| AtomicU32::new(0)).collect())
    }

    pub(super) fn note(&self, delay: Duration) {
        let tenths = usize::try_from(delay.as_micros() / 100).unwrap_or(usize::MAX).min(self.0.len() - 1);
        self.0[tenths].fetch_add(1, Relaxed);
    }

    pub(super) fn count(&self) -> u64 {
        self.0.iter().map(|count| u64::from(count.load(Relaxed))).sum()
    }

    /// None if nothing was noted.
    pub(super) fn summary(&self) -> Option<Delays> {
        let counts: Vec<u64> = self.0.iter().map(|count| u64::from(count.load(Relaxed))).collect();
        let count: u64 = counts.iter().sum();
        let below = |rank: u64| {
            let mut seen = 0;
            counts.iter().position(|count| {
                seen += count;
                seen >= rank
            })
        };
        let ms = |rank: u64| Some(below(rank)? as f64 / 10.0);
        (count > 0).then_some(())?;
        let (p50, p99) = (ms(count.div_ceil(2))?, ms((count * 99).div_ceil(100))?);
        Some(Delays { count, p50_ms: p50, p99_ms: p99, max_ms: ms(count)? })
    }
}

pub(super) struct Books {
    epoch: Instant,
    measuring: AtomicBool,
    pub(super) up: Histogram,
    pub(super) down: Histogram,
    pub(super) clear: Histogram,
    pub(super) set_up: Histogram,
    sent: [AtomicU64; 2],
    heard: [AtomicU64; 2],
    cleared: AtomicU64,
    failures: Mutex<Vec<String>>,
}

/// The two ways of sound.
#[derive(Clone, Copy, Debug)]
pub(super) enum Way {
    Up,
    Down,
}

impl Books {
    pub(super) fn new() -> Self {
        let [up, down, clear, set_up] = [(); 4].map(|()| Histogram::new());
        let (sent, heard) = Default::default();
        let (measuring, cleared, failures) = Default::default();
        Self { epoch: Instant::now(), measuring, up, down, clear, set_up, sent, heard, cleared, failures }
    }

    pub(super) fn now(&self) -> Stamp {
        Stamp::at(self.epoch.elapsed())
    }

    /// Whether delays count: not while calls still come, or go.
    pub(super) fn measure(&self, on: bool) {
        self.measuring.store(on, Relaxed);
    }

    pub(super) fn frame_sent(&self, way: Way) {
        self.sent[way as usize].fetch_add(1, Relaxed);
    }

    /// A frame came whose sound says when it was sent.
    pub(super) fn frame_heard(&self, way: Way, sent: Option<Stamp>) {
        self.heard[way as usize].fetch_add(1, Relaxed);
        if let Some(sent) = sent
            && self.measuring.load(Relaxed)
        {
            let delays = if matches!(way, Way::Up) { &self.up } else { &self.down };
            delays.note(self.now().since(sent));
        }
    }

    /// Frames were on their way down when the caller spoke: they are cleared as well, and not lost.
    pub(super) fn frames_cleared(&self, count: u64) {
        self.cleared.fetch_add(count, Relaxed);
    }

    pub(super) fn all_cleared(&self) -> u64 {
        self.cleared.load(Relaxed)
    }

    pub(super) fn cleared(&self, asked: Stamp, cleared: Stamp) {
        if self.measuring.load(Relaxed) {
            self.clear.note(cleared.since(asked));
        }
    }

    pub(super) fn sent(&self) -> [u64; 2] {
        [0, 1].map(|way| self.sent[way].load(Relaxed))
    }

    pub(super) fn lost(&self) -> [u64; 2] {
        let cleared = [0, self.all_cleared()];
        [0, 1].map(|way| self.sent[way].load(Relaxed).saturating_sub(self.heard[way].load(Relaxed) + cleared[way]))
    }

    pub(super) fn failed(&self, why: String) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).push(why);
    }

    pub(super) fn failures(&self) -> usize {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    pub(super) fn first_failure(&self) -> Option<String> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).first().cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_counted_from_the_lowest() {
        let delays = Histogram::new();
        assert!(delays.summary().is_none());
        for tenths in 1..=200 {
            delays.note(Duration::from_micros(100 * tenths));
        }
        let found = delays.summary().unwrap();
        assert_eq!((found.count, found.p50_ms, found.p99_ms, found.max_ms), (200, 10.0, 19.8, 20.0));
        delays.note(Duration::from_secs(3600));
        assert_eq!(delays.summary().unwrap().max_ms, 6553.5, "longer than can be told");
    }

    #[test]
    fn delays_count_only_while_they_are_measured_but_frames_always() {
        let books = Books::new();
        books.frame_sent(Way::Up);
        books.frame_sent(Way::Up);
        books.frame_heard(Way::Up, Some(books.now()));
        assert!(books.up.summary().is_none());
        books.measure(true);
        books.frame_heard(Way::Down, Some(books.now()));
        assert_eq!(books.down.summary().unwrap().count, 1);
        assert_eq!((books.sent(), books.lost()), ([2, 0], [1, 0]));
    }
}
