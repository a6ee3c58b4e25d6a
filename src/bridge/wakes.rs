//! Who has woken a call: every source wakes it through a waker of its own, so that only those that have something are
//! looked at.
//!
//! A look at a WebSocket that has nothing prepares a read and registers wakers twice over; with a frame every 10 ms from one
//! leg or the other, looks in vain would be the larger part of a call's own work.

use futures_util::task::AtomicWaker;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::SeqCst};
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
    shared: Arc<Shared>,
    wakers: [Waker; SOURCES.len()],
    due: u8,
}

#[derive(Default)]
struct Shared {
    woken: AtomicU8,
    call: AtomicWaker,
}

struct Bell {
    source: Source,
    shared: Arc<Shared>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.shared.woken.fetch_or(self.source.bit(), SeqCst);
        self.shared.call.wake();
    }
}

impl Wakes {
    /// All of them are due: none has been asked to wake anybody yet.
    pub(super) fn new() -> Self {
        let shared = Arc::new(Shared::default());
        let waker = |source| Waker::from(Arc::new(Bell { source, shared: Arc::clone(&shared) }));
        Self { wakers: SOURCES.map(waker), due: u8::MAX, shared }
    }

    /// The call is polled: who has woken it is due, and from now on wakes it again.
    pub(super) fn begin(&mut self, cx: &Context<'_>) {
        // In this sequence: whoever comes between the two is seen in the second, and whoever comes later wakes the call.
        self.shared.call.register(cx.waker());
        self.due |= self.shared.woken.swap(0, SeqCst);
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
            self.0.fetch_add(1, SeqCst);
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
        assert_eq!((due(&wakes), count.0.load(SeqCst)), (vec![], 1), "told when the call is polled");
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
        SOURCES.into_iter().for_each(|source| wakes.rests(source));
        wakes.context(Source::Timer).waker().wake_by_ref();
        wakes.begin(&Context::from_waker(&waker));
        assert_eq!(due(&wakes), [Source::Timer]);
        // Between a look and the end of the poll.
        wakes.rests(Source::Timer);
        wakes.context(Source::Timer).waker().wake_by_ref();
        assert_eq!(count.0.load(SeqCst), 1);
    }
}
