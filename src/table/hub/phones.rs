//! How many phone numbers may be given from one address: texts cost money, and somebody may want the shop to send them.
//!
//! A number counts once, however it is typed; what is counted is its digest, and no list of numbers is kept.

use crate::ordering::phone_number::PhoneNumber;
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

const WINDOW: Duration = Duration::from_secs(3600);
/// Addresses remembered at once; beyond those nobody new gives a number until others are forgotten.
const ADDRESSES: usize = 4_096;

type Digest = [u8; 32];

/// The numbers that were given lately.
pub(super) struct Phones {
    most: usize,
    given: Mutex<HashMap<IpAddr, Vec<(Digest, Duration)>>>,
}

impl Phones {
    /// At most so many different ones an hour from one address.
    pub(super) fn new(most: usize) -> Self {
        Self { most, given: Mutex::default() }
    }

    /// Whether a number may be given from there. One that was given within the hour may be given again.
    pub(super) fn admit(&self, address: IpAddr, number: &PhoneNumber, now: Duration) -> bool {
        let digest = Sha256::digest(number.as_e164()).into();
        let mut all = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        if !all.contains_key(&address) && all.len() >= ADDRESSES {
            all.retain(|_, given| given.iter().any(|(_, at)| now.saturating_sub(*at) < WINDOW));
            if all.len() >= ADDRESSES {
                return false;
            }
        }
        let given = all.entry(address).or_default();
        given.retain(|(_, at)| now.saturating_sub(*at) < WINDOW);
        if given.iter().any(|(known, _)| *known == digest) {
            return true;
        }
        let admitted = given.len() < self.most;
        if admitted {
            given.push((digest, now));
        }
        admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ordering::phone_number::Region;

    fn number(typed: &str) -> PhoneNumber {
        PhoneNumber::parse(typed, Region::US).expect("a number")
    }

    #[test]
    fn six_numbers_an_hour_and_the_same_again_is_none_more() {
        let (phones, home, away) = (Phones::new(6), IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        let at = Duration::from_secs;
        for n in 0..6 {
            assert!(phones.admit(home, &number(&format!("+1 415 555 013{n}")), at(n)));
        }
        assert!(!phones.admit(home, &number("+1 415 555 0139"), at(10)));
        for typed in ["+1 (415) 555-0133", "415.555.0133", "1-415-555-0133"] {
            assert!(phones.admit(home, &number(typed), at(10)), "it was given before: {typed}");
        }
        assert!(phones.admit(away, &number("+1 415 555 0139"), at(10)));
        assert!(phones.admit(home, &number("+1 415 555 0139"), at(3601)), "the oldest two are forgotten");
    }

    #[test]
    fn memory_has_a_bound() {
        let (phones, now, number) = (Phones::new(6), Duration::from_secs(1), number("+1 415 555 0139"));
        let address = |n: usize| IpAddr::from((n as u32).to_be_bytes());
        assert_eq!((0..ADDRESSES * 2).filter(|n| phones.admit(address(*n), &number, now)).count(), ADDRESSES);
        assert!(phones.admit(address(ADDRESSES), &number, now + WINDOW));
    }
}
