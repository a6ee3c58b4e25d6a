//! A point of sale that is played: it thinks for a while, refuses some tickets and never loses one.
//!
//! What becomes of a ticket is settled when it comes in, and comes out after the delay, whether or not anybody is still
//! waiting: one that was given up on is found later, as at a real till. It remembers in memory, so after a restart it has
//! never heard of anything. Knows no order and no network.

use super::{Accepted, PointOfSale, PosError, Ticket};
use crate::config::SimulatedPosConfig;
use async_trait::async_trait;
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;
use tokio::time::Instant;

/// How many tickets are remembered; older ones are forgotten.
const MOST_TICKETS: usize = 10_000;

/// The sentence of a refusal.
const REFUSAL: &str = "the till did not take the order";

/// A point of sale that is played.
#[derive(Debug)]
pub struct SimulatedPos {
    delay: Duration,
    failure_percent: u8,
    desk: Mutex<Desk>,
}

impl SimulatedPos {
    /// One that has not seen a ticket yet.
    pub fn new(config: &SimulatedPosConfig) -> Self {
        Self { delay: config.delay, failure_percent: config.failure_percent, desk: Mutex::new(Desk::default()) }
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().expect("nothing that holds the desk panics")
    }
}

#[async_trait]
impl PointOfSale for SimulatedPos {
    async fn place(&self, ticket: &Ticket) -> Result<Accepted, PosError> {
        let refuses = rand::random_range(0..100) < self.failure_percent;
        let fate = self.desk().take(&ticket.key, Instant::now(), self.delay, refuses);
        tokio::time::sleep_until(fate.known_at).await;
        fate.reference.map_or_else(|| Err(PosError::Refused(REFUSAL.to_owned())), |name| Ok(accepted(name)))
    }

    async fn find(&self, ticket: &Ticket) -> Result<Option<Accepted>, PosError> {
        match self.desk().fates.get(&ticket.key) {
            Some(fate) if fate.known_at > Instant::now() => {
                Err(PosError::Unclear("the till has not decided yet".to_owned()))
            }
            Some(fate) => Ok(fate.reference.map(accepted)),
            None => Ok(None),
        }
    }
}

fn accepted(reference: u64) -> Accepted {
    Accepted { reference: Some(format!("SIM-{reference}")) }
}

/// What lies on the till's desk.
#[derive(Debug, Default)]
struct Desk {
    fates: HashMap<String, Fate>,
    /// The keys of `fates`, oldest first.
    order: VecDeque<String>,
    accepted: u64,
}

/// What becomes of a ticket.
#[derive(Clone, Copy, Debug)]
struct Fate {
    known_at: Instant,
    /// None: refused.
    reference: Option<u64>,
}

impl Desk {
    /// The fate of a ticket that comes in now. One that was refused gets another chance, any other keeps its fate.
    fn take(&mut self, key: &str, now: Instant, delay: Duration, refuses: bool) -> Fate {
        let known = self.fates.get(key);
        if let Some(fate) = known.filter(|fate| fate.reference.is_some() || fate.known_at > now) {
            return *fate;
        }
        if known.is_none() {
            self.order.push_back(key.to_owned());
            if self.order.len() > MOST_TICKETS
                && let Some(oldest) = self.order.pop_front()
            {
                self.fates.remove(&oldest);
            }
        }
        let reference = (!refuses).then(|| {
            self.accepted += 1;
            self.accepted
        });
        let fate = Fate { known_at: now + delay, reference };
        self.fates.insert(key.to_owned(), fate);
        fate
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::ticket;
    use super::*;

    fn pos(delay: Duration, failure_percent: u8) -> SimulatedPos {
        SimulatedPos::new(&SimulatedPosConfig { delay, failure_percent })
    }

    #[tokio::test]
    async fn a_ticket_is_accepted_once_and_found_under_its_key_only() {
        let pos = pos(Duration::ZERO, 0);
        assert_eq!(pos.find(&ticket("A:1")).await, Ok(None));
        let first = pos.place(&ticket("A:1")).await.unwrap();
        assert_eq!(pos.place(&ticket("A:1")).await, Ok(first.clone()), "the same again");
        assert_eq!(pos.find(&ticket("A:1")).await, Ok(Some(first.clone())));
        assert_eq!(pos.find(&ticket("A:2")).await, Ok(None));
        assert_ne!(pos.place(&ticket("A:2")).await.unwrap(), first);
    }

    #[tokio::test]
    async fn refusals_come_as_often_as_they_should_and_are_not_kept() {
        let never = pos(Duration::ZERO, 100);
        for _ in 0..100 {
            assert!(matches!(never.place(&ticket("A:1")).await, Err(PosError::Refused(_))));
        }
        assert_eq!(never.find(&ticket("A:1")).await, Ok(None), "what was refused is not there");

        // Of 1000 at one in two, fewer than 350 or more than 650 come once in 10^20 runs.
        let at_times = pos(Duration::ZERO, 50);
        let mut refused = 0;
        for n in 0..1000 {
            refused += usize::from(at_times.place(&ticket(&format!("A:{n}"))).await.is_err());
        }
        assert!((350..650).contains(&refused), "{refused} of 1000");
    }

    #[test]
    fn a_ticket_that_was_given_up_on_keeps_its_fate_and_a_refused_one_does_not() {
        let (mut desk, start, delay) = (Desk::default(), Instant::now(), Duration::from_secs(9));
        let fate = desk.take("A:1", start, delay, true);
        assert_eq!((fate.known_at, fate.reference), (start + delay, None));
        let again = desk.take("A:1", start + Duration::from_secs(8), delay, false);
        assert_eq!((again.known_at, again.reference), (start + delay, None), "still thinking about the first");
        let later = desk.take("A:1", start + delay, delay, false);
        assert_eq!((later.known_at, later.reference), (start + 2 * delay, Some(1)));
        let known = desk.take("A:1", start + 9 * delay, delay, true);
        assert_eq!((known.known_at, known.reference), (start + 2 * delay, Some(1)), "accepted for good");
    }

    #[tokio::test]
    async fn whoever_asks_too_early_is_told_so() {
        let pos = pos(Duration::from_secs(3600), 0);
        let ticket = ticket("A:1");
        assert!(tokio::time::timeout(Duration::ZERO, pos.place(&ticket)).await.is_err(), "nobody waits for so long");
        assert!(matches!(pos.find(&ticket).await, Err(PosError::Unclear(_))));
    }

    #[test]
    fn the_desk_has_an_edge() {
        let (mut desk, now) = (Desk::default(), Instant::now());
        for n in 0..=MOST_TICKETS {
            desk.take(&format!("A:{n}"), now, Duration::ZERO, n % 2 == 0);
            desk.take(&format!("A:{n}"), now, Duration::ZERO, false);
        }
        assert_eq!((desk.fates.len(), desk.order.len()), (MOST_TICKETS, MOST_TICKETS));
        assert!(!desk.fates.contains_key("A:0") && desk.fates.contains_key("A:1"));
    }
}
