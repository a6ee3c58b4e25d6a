//! Who has woken a call: every source wakes it through a waker of its own, so that only those that have something are
//! looked at.
//!
//! A look at a WebSocket that has nothing prepares a read and registers wakers twice over; with a frame every 10 ms from one
//! leg or the other, looks in vain would be the larger part of a call's own work.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Wake, Waker};

/// Something that may wake a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Phone,
    Agent,
    Timer,
    Shutdown,
}

const SOURCES: [Source; 4] = [Source::Phone, Source::Agent, Source::Timer, Source::Shutdown];

impl Source {
    fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// The sources that are to be looked at: those that have woken the call, until they say that they have nothing more.
pub(super) struct Wakes {
    /// Who has woken the call since it was polled last, one bit a source.
    woken: Arc<AtomicU8>,
    wakers: [Waker; SOURCES.len()],
    /// The task that they wake.
    call: Waker,
    due: u8,
}

struct Bell {
    source: Source,
    woken: Arc<AtomicU8>,
    call: Waker,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Before the task is woken, which what it does next happens after.
        self.woken.fetch_or(self.source.bit(), Ordering::Release);
        self.call.wake_by_ref();
    }
}

impl Wakes {
    /// All of them are due: none has been asked to wake anybody yet.
    pub(super) fn new() -> Self {
        Self::of(Waker::noop().clone())
    }

    fn of(call: Waker) -> Self {
        let woken = Arc::new(AtomicU8::new(0));
        let waker = |source| Waker::from(Arc::new(Bell { source, woken: Arc::clone(&woken), call: call.clone() }));
        Self { wakers: SOURCES.map(waker), call, due: u8::MAX, woken }
    }

    /// The call is polled: who has woken it is due, and from now on wakes it again.
    pub(super) fn begin(&mut self, cx: &Context<'_>) {
        // A task keeps its waker. In another task everybody is to be asked anew, with wakers for that one.
        if !self.call.will_wake(cx.waker()) {
            *self = Self::of(cx.waker().clone());
        }
        self.due |= self.woken.swap(0, Ordering::Acquire);
    }

    /// Whether this source is to be looked at.
    pub(super) fn is_due(&self, source: Source) -> bool {
        self.due & source.bit() != 0
    }

    /// Something new stands in this source's place, and has no waker yet.
    pub(super) fn is_new(&mut self, source: Source) {
        self.due |= source.bit();
    }

    /// This source has said that it has nothing, and wakes the call when it does.
    pub(super) fn rests(&mut self, source: Source) {
        self.due &= !source.bit();
    }

    /// What to look at this source with.
    pub(super) fn context(&self, source: Source) -> Context<'_> {
        let [phone, agent, timer, shutdown] = &self.wakers;
        Context::from_waker(match source {
            Source::Phone => phone,
            Source::Agent => agent,
            Source::Timer => timer,
            Source::Shutdown => shutdown,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Count(AtomicU8);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn due(wakes: &Wakes) -> Vec<Source> {
        SOURCES.into_iter().filter(|source| wakes.is_due(*source)).collect()
    }

    #[test]
    fn who_wakes_a_call_is_due_and_nobody_else() {
        let (count, mut wakes) = (Arc::new(Count::default()), Wakes::new());
        let waker = Waker::from(Arc::clone(&count));
        wakes.begin(&Context::from_waker(&waker));
        assert_eq!(due(&wakes), SOURCES, "nobody has been looked at");
        SOURCES.into_iter().for_each(|source| wakes.rests(source));
        wakes.context(Source::Agent).waker().wake_by_ref();
        assert_eq!((due(&wakes), count.0.load(Ordering::Relaxed)), (vec![], 1), "told when the call is polled");
        wakes.begin(&Context::from_waker(&waker));
        assert_eq!(due(&wakes), [Source::Agent]);
        wakes.rests(Source::Agent);
        wakes.is_new(Source::Phone);
        wakes.begin(&Context::from_waker(&waker));
        assert_eq!(due(&wakes), [Source::Phone], "due until it has nothing more");
    }

    #[test]
    fn who_wakes_before_the_call_sleeps_is_not_forgotten() {
        let (count, mut wakes) = (Arc::new(Count::default()), Wakes::new());
        let waker = Waker::from(Arc::clone(&count));
        wakes.begin(&Context::from_waker(&waker));
        SOURCES.into_iter().for_each(|source| wakes.rests(source));
        // Between a look and the end of the poll.
        wakes.rests(Source::Timer);
        wakes.context(Source::Timer).waker().wake_by_ref();
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        wakes.begin(&Context::from_waker(&waker));
        assert_eq!(due(&wakes), [Source::Timer]);
    }
    #[test]
    fn a_call_that_moves_to_another_task_is_woken_there() {
        let (here, there, mut wakes) = (Arc::new(Count::default()), Arc::new(Count::default()), Wakes::new());
        wakes.begin(&Context::from_waker(&Waker::from(Arc::clone(&here))));
        SOURCES.into_iter().for_each(|source| wakes.rests(source));
        wakes.begin(&Context::from_waker(&Waker::from(Arc::clone(&there))));
        assert_eq!(due(&wakes), SOURCES, "whoever has a waker of the task before");
        wakes.context(Source::Phone).waker().wake_by_ref();
        assert_eq!([&here, &there].map(|count| count.0.load(Ordering::Relaxed)), [0, 1]);
    }
}
