//! Who calls again and again: calls are counted by the number that they come from.
//!
//! Knows no clock. Withheld numbers are nobody's and are not counted: whoever withholds theirs shares it with strangers.

use crate::ordering::phone_number::PhoneNumber;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

const HOUR: Duration = Duration::from_secs(60 * 60);
/// Calls remembered at once, more than any one number may make in an hour; of those beyond the oldest are forgotten.
const CALLS: usize = 16_384;

/// Counts calls by caller.
pub(super) struct Callers {
    per_hour: usize,
    /// The calls of the last hour that were admitted, oldest first.
    admitted: Mutex<VecDeque<Admitted>>,
}

struct Admitted {
    call_sid: String,
    from: PhoneNumber,
    at: Instant,
}

impl Callers {
    /// So many calls, at least one, within any hour.
    pub(super) fn new(per_hour: u32) -> Self {
        let per_hour = usize::try_from(per_hour).unwrap_or(usize::MAX).max(1);
        Self { per_hour, admitted: Mutex::default() }
    }

    /// Whether this call may be taken, which counts it: once, however often Twilio asks about it. One that may not costs
    /// nothing.
    pub(super) fn admits(&self, call_sid: &str, from: Option<&PhoneNumber>, now: Instant) -> bool {
        let Some(from) = from else { return true };
        let mut admitted = self.admitted();
        while admitted.front().is_some_and(|oldest| now.saturating_duration_since(oldest.at) >= HOUR) {
            admitted.pop_front();
        }
        if admitted.iter().any(|call| call.call_sid == call_sid) {
            return true;
        }
        if admitted.iter().filter(|call| call.from == *from).count() >= self.per_hour {
            return false;
        }
        if admitted.len() >= CALLS {
            admitted.pop_front();
        }
        admitted.push_back(Admitted { call_sid: call_sid.to_owned(), from: from.clone(), at: now });
        true
    }

    /// This call was not taken after all, for a reason that is not the caller's.
    pub(super) fn give_back(&self, call_sid: &str) {
        self.admitted().retain(|call| call.call_sid != call_sid);
    }

    fn admitted(&self) -> MutexGuard<'_, VecDeque<Admitted>> {
        self.admitted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ordering::phone_number::Region;

    fn number(text: &str) -> PhoneNumber {
        PhoneNumber::parse(text, Region::US).unwrap()
    }

    #[test]
    fn each_caller_has_a_count_and_one_call_counts_once() {
        let (callers, now) = (Callers::new(3), Instant::now());
        let (ana, ben) = (number("+15551234567"), number("+15551234568"));
        for _ in 0..10 {
            assert!(callers.admits("CA1", Some(&ana), now), "asked about again");
        }
        assert!(callers.admits("CA2", Some(&ana), now) && callers.admits("CA3", Some(&ana), now));
        assert!(!callers.admits("CA4", Some(&ana), now) && !callers.admits("CA4", Some(&ana), now));
        assert!(callers.admits("CA5", Some(&ben), now), "somebody else");
        assert!(callers.admits("CA3", Some(&ana), now), "one that was taken is still");
    }

    #[test]
    fn no_hour_has_more_calls_than_are_allowed() {
        let (callers, start) = (Callers::new(20), Instant::now());
        let ana = number("+15551234567");
        let minutes = |minutes: u32| start + HOUR / 60 * minutes;
        let admitted: Vec<u32> =
            (0..360).filter(|n| callers.admits(&format!("CA{n}"), Some(&ana), minutes(*n))).collect();
        for first in 0..300 {
            let within = admitted.iter().filter(|n| (first..first + 60).contains(*n)).count();
            assert!(within <= 20, "{within} in the hour from minute {first}");
        }
        assert_eq!(admitted.len(), 6 * 20, "and no fewer");
    }

    #[test]
    fn a_call_that_was_not_taken_costs_nothing() {
        let (callers, now) = (Callers::new(1), Instant::now());
        let ana = number("+15551234567");
        for n in 0..10 {
            let call_sid = format!("CA{n}");
            assert!(callers.admits(&call_sid, Some(&ana), now));
            callers.give_back(&call_sid);
        }
        assert!(callers.admits("CA", Some(&ana), now) && !callers.admits("CA0", Some(&ana), now));
        callers.give_back("CA0");
        assert!(!callers.admits("CA0", Some(&ana), now), "what was refused gives nothing back");
    }

    #[test]
    fn who_withholds_their_number_is_not_counted() {
        let (callers, now) = (Callers::new(1), Instant::now());
        assert!((0..100).all(|n| callers.admits(&format!("CA{n}"), None, now)));
    }

    #[test]
    fn a_flood_of_calls_is_bounded() {
        let (callers, now) = (Callers::new(10_000), Instant::now());
        for n in 0..CALLS + 10 {
            // So many numbers that none of them reaches what it may.
            callers.admits(&format!("CA{n}"), Some(&number(&format!("+1555123{:04}", n % 10_000))), now);
        }
        assert_eq!(callers.admitted().len(), CALLS);
        assert!(callers.admits("CA", Some(&number("+15551234567")), now + HOUR));
        assert_eq!(callers.admitted().len(), 1, "what is old is forgotten");
    }
}
