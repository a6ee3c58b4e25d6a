//! How often something may happen, and how often it is told: counting over time, in memory that has a bound.
//!
//! The generic cell rate algorithm: a meter is one instant, that at which all that was taken is given back. Knows no clock
//! and no socket: time is an argument, measured from whatever origin the asker keeps to.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How often meters that have run full are forgotten.
const SWEEP: Duration = Duration::from_secs(10);
/// At most one line so often about what happens again and again.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// What one may do: `burst` at once (at least one), and one more `every` so often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// At once.
    pub burst: u32,
    /// The time in which one more becomes allowed.
    pub every: Duration,
}

/// Meters of one rate, one for each key. No number of keys moves the bound of its memory.
#[derive(Debug)]
pub struct Meters<K> {
    rate: Rate,
    most: usize,
    state: Mutex<State<K>>,
}

#[derive(Debug)]
struct State<K> {
    /// When each will be full again.
    full_at: HashMap<K, Duration>,
    /// The meter of those for whom there was no room.
    others: Duration,
    swept: Duration,
}

impl<K: Eq + Hash> Meters<K> {
    /// Meters of this rate. At most `most` keys are remembered at once; those beyond share one meter until others are full
    /// again.
    pub fn new(rate: Rate, most: usize) -> Self {
        let state = State { full_at: HashMap::new(), others: Duration::ZERO, swept: Duration::ZERO };
        Self { rate, most, state: Mutex::new(state) }
    }

    /// Takes one, or tells how long to wait for it; a refusal costs nothing.
    ///
    /// # Errors
    /// How long to wait.
    pub fn take(&self, key: K, now: Duration) -> Result<(), Duration> {
        let mut state = self.state();
        let state = &mut *state;
        // A clock that was set back must not keep what it knows for ever.
        if now.abs_diff(state.swept) >= SWEEP {
            state.full_at.retain(|_, full_at| *full_at > now);
            state.swept = now;
        }
        let known = state.full_at.contains_key(&key);
        let full_at = if known || state.full_at.len() < self.most {
            state.full_at.entry(key).or_insert(now)
        } else {
            &mut state.others
        };
        *full_at = self.rate.after_one(*full_at, now)?;
        Ok(())
    }

    /// How long to wait for one, without taking it.
    ///
    /// # Errors
    /// How long to wait.
    pub fn look(&self, key: &K, now: Duration) -> Result<(), Duration> {
        let state = self.state();
        let full_at = match state.full_at.get(key) {
            Some(full_at) => *full_at,
            None if state.full_at.len() < self.most => now,
            None => state.others,
        };
        self.rate.after_one(full_at, now).map(drop)
    }

    /// Gives one back that was taken.
    pub fn give_back(&self, key: &K) {
        let mut state = self.state();
        let state = &mut *state;
        let is_full = state.full_at.len() >= self.most;
        let full_at = match state.full_at.get_mut(key) {
            Some(full_at) => full_at,
            None if is_full => &mut state.others,
            // It was forgotten, as all of it was back by then.
            None => return,
        };
        *full_at = full_at.saturating_sub(self.rate.every);
    }

    fn state(&self) -> MutexGuard<'_, State<K>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rate {
    /// When a meter will be full once one more is taken.
    fn after_one(self, full_at: Duration, now: Duration) -> Result<Duration, Duration> {
        let most = now.saturating_add(self.every.saturating_mul(self.burst.max(1)));
        // A clock that is set back makes nobody wait for longer than an empty meter does.
        let after = full_at.clamp(now, most).saturating_add(self.every);
        if after > most { Err(after - most) } else { Ok(after) }
    }
}

/// Whom an address is counted as: itself, or the /64 that an IPv6 client has to itself; IPv4 in IPv6 is IPv4.
pub fn whose(address: IpAddr) -> IpAddr {
    cut(address, 32, 64)
}

/// The network that an address is in: its first bits, so many (at least one) of version 4 or of version 6.
pub fn cut(address: IpAddr, v4: u32, v6: u32) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => Ipv4Addr::from_bits(address.to_bits() & (u32::MAX << (32 - v4))).into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << (128 - v6))).into(),
    }
}

/// Counts what happens again and again, so that it is told without filling the log.
#[derive(Debug, Default)]
pub struct Seldom(Mutex<Untold>);

#[derive(Debug, Default)]
struct Untold {
    count: u64,
    told_at: Option<Instant>,
}

impl Seldom {
    /// Nothing has happened.
    pub const fn new() -> Self {
        Self(Mutex::new(Untold { count: 0, told_at: None }))
    }

    /// Once more. Some when it is time to tell: how often it has happened since that was told last.
    pub fn once_more(&self, now: Instant) -> Option<u64> {
        let mut untold = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = untold.count + 1;
        if untold.told_at.is_some_and(|told_at| now.saturating_duration_since(told_at) < TELL_EVERY) {
            untold.count = count;
            return None;
        }
        *untold = Untold { count: 0, told_at: Some(now) };
        Some(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADA: u32 = 1;
    const BOB: u32 = 2;
    const SECOND: Duration = Duration::from_secs(1);
    const START: Duration = Duration::from_secs(1_700_000_000);

    fn meters(burst: u32, every: Duration, most: usize) -> Meters<u32> {
        Meters::new(Rate { burst, every }, most)
    }

    #[test]
    fn a_burst_then_an_even_rate_and_each_for_itself() {
        let meters = meters(3, SECOND, 10);
        for _ in 0..3 {
            assert_eq!(meters.take(ADA, START), Ok(()));
        }
        assert_eq!(meters.take(ADA, START), Err(SECOND));
        assert_eq!(meters.take(ADA, START + SECOND / 4), Err(SECOND * 3 / 4), "a refusal costs nothing");
        assert_eq!(meters.take(BOB, START), Ok(()));
        assert_eq!(meters.take(ADA, START + SECOND), Ok(()));
        assert_eq!(meters.take(ADA, START + SECOND), Err(SECOND));
        let later = START + SECOND * 60;
        let passed = (0..9).filter(|_| meters.take(ADA, later).is_ok()).count();
        assert_eq!(passed, 3, "rest saves up no more than a burst");
    }

    #[test]
    fn a_look_takes_nothing_and_what_is_given_back_was_not_taken() {
        let meters = meters(1, SECOND, 10);
        for _ in 0..5 {
            assert_eq!(meters.look(&ADA, START), Ok(()));
        }
        for _ in 0..5 {
            assert_eq!(meters.take(ADA, START), Ok(()));
            assert_eq!(meters.look(&ADA, START), Err(SECOND));
            meters.give_back(&ADA);
        }
        assert_eq!(meters.take(ADA, START), Ok(()));
        assert_eq!(meters.look(&ADA, START + SECOND), Ok(()));
        for _ in 0..5 {
            meters.give_back(&BOB);
        }
        assert_eq!(meters.take(BOB, START), Ok(()));
        assert_eq!(meters.take(BOB, START), Err(SECOND), "what is given back too often saves up nothing");
    }

    #[test]
    fn a_clock_that_is_set_back_makes_nobody_wait_for_longer() {
        let meters = meters(2, SECOND, 10);
        for _ in 0..2 {
            assert_eq!(meters.take(ADA, START), Ok(()));
        }
        assert_eq!(meters.look(&ADA, START - SECOND * 1000), Err(SECOND));
    }

    #[test]
    fn no_number_of_keys_moves_the_bound_and_who_waits_long_enough_is_forgotten() {
        let meters = meters(2, SECOND, 1000);
        let passed = (0..100_000).filter(|n| meters.take(*n, START).is_ok()).count();
        assert_eq!(passed, 1000 + 2, "the others share a meter");
        assert_eq!(meters.state().full_at.len(), 1000);
        assert_eq!(meters.look(&70_000, START), Err(SECOND));
        assert_eq!(meters.take(1, START), Ok(()), "who is known keeps a meter of its own");
        assert_eq!(meters.take(70_000, START + SWEEP), Ok(()));
        assert_eq!(meters.state().full_at.len(), 1);
    }

    #[test]
    fn for_any_pattern_of_asking_no_more_than_burst_and_rate_pass() {
        let meters = meters(5, SECOND / 10, 10);
        let (mut now, mut passed) = (START, 0_u32);
        for step in 0..10_000_u64 {
            now += Duration::from_micros((step * 7919) % 20_000);
            passed += u32::from(meters.take(ADA, now).is_ok());
            let allowed = 5.0 + (now - START).as_secs_f64() * 10.0;
            assert!(f64::from(passed) <= allowed, "{passed} after {:?}", now - START);
        }
    }

    #[test]
    fn an_address_is_counted_by_what_it_has_to_itself() {
        for (address, counted) in [
            ("198.51.100.1", "198.51.100.1"),
            ("::ffff:198.51.100.1", "198.51.100.1"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
            ("2001:db8:1:2::", "2001:db8:1:2::"),
        ] {
            let whose = whose(address.parse().expect("an address"));
            assert_eq!(whose.to_string(), counted);
        }
    }

    #[test]
    fn what_happens_again_and_again_is_told_once_a_second_with_its_count() {
        let seldom = Seldom::new();
        let start = Instant::now();
        let told = |after: u64| seldom.once_more(start + Duration::from_millis(after));
        assert_eq!(told(0), Some(1));
        assert_eq!((told(1), told(500), told(999)), (None, None, None));
        assert_eq!(told(1_000), Some(4), "those that were not told are counted");
        assert_eq!(told(1_500), None);
        assert_eq!(told(60_000), Some(2));
    }
}
