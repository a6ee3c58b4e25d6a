//! How often a password may be guessed: by one address, by one network, and by all together; and by one device that staff
//! have signed in from, which is counted by itself. Strangers who use up what all together may do keep no such device out,
//! and neither do those who share its address.
//!
//! An attempt is counted before the password is looked at, so that guesses at the same moment count, too, and given back
//! when it was right. Whoever is over the limit is not looked at, and learns nothing.

use super::devices::DeviceId;
use crate::rates::{Meters, Rate, cut};
use jiff::Timestamp;
use std::net::IpAddr;
use std::time::Duration;

/// Slips of the finger, and then one a minute; by an address, and by a device.
const BY_ONE: Rate = Rate { burst: 5, every: Duration::from_secs(60) };
/// What one who has many addresses may take of what all may.
const BY_NETWORK: Rate = Rate { burst: 15, every: Duration::from_secs(10) };
/// Bounds the work of checking, wherever the guesses come from.
const BY_ALL: Rate = Rate { burst: 60, every: Duration::from_secs(1) };
/// Meters in mind at once. Of addresses and networks there are no more than the rate of all lets in within the time that
/// one is kept for, which is some hundreds; of devices, those that staff have signed in from.
const MOST: usize = 4096;

/// Counts attempts.
pub(super) struct Throttle {
    by_one: Meters<Place>,
    by_network: Meters<IpAddr>,
    by_all: Meters<()>,
}

/// Who makes an attempt.
#[derive(Clone, Copy, Debug)]
pub(super) enum Guesser {
    Stranger(IpAddr),
    Device(DeviceId),
}

/// An attempt that was counted.
pub(super) struct Attempt(Guesser);

/// What has a meter of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Place {
    /// One address of version 4, or the network of 64 bits that one subscriber has of version 6.
    Address(IpAddr),
    Device(DeviceId),
}

impl Default for Throttle {
    fn default() -> Self {
        Self {
            by_one: Meters::new(BY_ONE, MOST),
            by_network: Meters::new(BY_NETWORK, MOST),
            by_all: Meters::new(BY_ALL, 1),
        }
    }
}

impl Throttle {
    /// Counts an attempt, or says how long to wait before the next. Nobody takes from all who may not take for himself.
    pub(super) fn begin(&self, guesser: Guesser, now: Timestamp) -> Result<Attempt, Duration> {
        let now = Duration::try_from(now.as_duration()).unwrap_or_default();
        let place = guesser.place();
        self.by_one.take(place, now)?;
        if let Some(network) = guesser.network() {
            let of_strangers = self
                .by_network
                .take(network, now)
                .and_then(|()| self.by_all.take((), now).inspect_err(|_| self.by_network.give_back(&network)));
            of_strangers.inspect_err(|_| self.by_one.give_back(&place))?;
        }
        Ok(Attempt(guesser))
    }

    /// Takes back that an attempt was made: it was right, or was not looked at.
    pub(super) fn forgive(&self, Attempt(guesser): Attempt) {
        self.by_one.give_back(&guesser.place());
        if let Some(network) = guesser.network() {
            self.by_network.give_back(&network);
            self.by_all.give_back(&());
        }
    }
}

impl Guesser {
    fn place(self) -> Place {
        match self {
            Self::Stranger(address) => Place::Address(cut(address, 32, 64)),
            Self::Device(id) => Place::Device(id),
        }
    }

    /// 24 bits of version 4, or the 48 that are the most that one subscriber has of version 6; a device counts for itself.
    fn network(self) -> Option<IpAddr> {
        match self {
            Self::Stranger(address) => Some(cut(address, 24, 48)),
            Self::Device(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + seconds).unwrap()
    }

    fn ip(text: &str) -> Guesser {
        Guesser::Stranger(text.parse().unwrap())
    }

    #[test]
    fn five_slips_and_then_one_a_minute_for_each_address() {
        let throttle = Throttle::default();
        for _ in 0..5 {
            assert!(throttle.begin(ip("192.0.2.1"), at(0)).is_ok());
        }
        let wait = |seconds| throttle.begin(ip("192.0.2.1"), at(seconds)).err().map(|wait| wait.as_secs());
        assert_eq!(wait(0), Some(60));
        assert_eq!(wait(59), Some(1), "asking again makes nobody wait for longer");
        assert!(throttle.begin(ip("192.0.2.2"), at(59)).is_ok(), "another address");
        assert_eq!(wait(60), None);
        assert_eq!(wait(60), Some(60));
        for _ in 0..5 {
            assert_eq!(wait(1000), None);
        }
        assert_eq!(wait(1000), Some(60), "rest is not saved up");
    }

    #[test]
    fn a_network_of_version_6_is_one_address_and_version_4_in_6_is_version_4() {
        let throttle = Throttle::default();
        for host in ["::1", "::2", ":ffff:1:1:1", ":abcd::1", "::9"] {
            assert!(throttle.begin(ip(&format!("2001:db8:0:7{host}")), at(0)).is_ok(), "{host}");
        }
        assert!(throttle.begin(ip("2001:db8:0:7::77"), at(0)).is_err());
        assert!(throttle.begin(ip("2001:db8:0:8::1"), at(0)).is_ok());
        assert_eq!(ip("::ffff:192.0.2.1").place(), ip("192.0.2.1").place());
        assert_ne!(ip("192.0.2.1").place(), ip("192.0.2.2").place());
    }

    #[test]
    fn a_network_alone_does_not_use_up_what_all_may() {
        let throttle = Throttle::default();
        for second in 0..600 {
            for host in 0..100 {
                let _ = throttle.begin(ip(&format!("2001:db8:7:{host}::1")), at(second));
                let _ = throttle.begin(ip(&format!("192.0.2.{host}")), at(second));
            }
            if second % 2 == 0 {
                let elsewhere = ip(&format!("2001:db8:{}::1", second + 100));
                assert!(throttle.begin(elsewhere, at(second)).is_ok(), "{second}");
            }
        }
    }

    #[test]
    fn a_device_of_staff_has_a_meter_of_its_own_and_takes_from_nobody() {
        let throttle = Throttle::default();
        // All the strangers that there may be, at the shop's own address as well.
        for n in 0..100_u32 {
            let _ = throttle.begin(Guesser::Stranger(IpAddr::from((n << 8).to_be_bytes())), at(0));
        }
        assert!(throttle.begin(ip("192.0.2.1"), at(0)).is_err());
        let (mine, other) = (Guesser::Device([1; 16]), Guesser::Device([2; 16]));
        for _ in 0..5 {
            assert!(throttle.begin(mine, at(0)).is_ok());
        }
        assert_eq!(throttle.begin(mine, at(0)).err(), Some(Duration::from_secs(60)));
        assert!(throttle.begin(ip("192.0.2.1"), at(1)).is_ok(), "devices use up nothing of the others'");
        for _ in 0..20 {
            let attempt = throttle.begin(other, at(0)).unwrap();
            throttle.forgive(attempt);
        }
    }

    #[test]
    fn what_was_right_is_not_counted() {
        let throttle = Throttle::default();
        for _ in 0..200 {
            let attempt = throttle.begin(ip("192.0.2.1"), at(0)).unwrap();
            throttle.forgive(attempt);
        }
    }

    #[test]
    fn all_together_are_limited() {
        let throttle = Throttle::default();
        let mut admitted = 0;
        for second in 0..1000 {
            for _ in 0..3 {
                let n = u32::try_from(admitted).unwrap();
                let from = Guesser::Stranger(IpAddr::from((n << 8).to_be_bytes()));
                admitted += i64::from(throttle.begin(from, at(second)).is_ok());
            }
        }
        assert_eq!(admitted, 60 + 999);
    }

    proptest! {
        #[test]
        fn no_stretch_of_time_sees_more_than_the_burst_and_one_for_each_step(
            waits in prop::collection::vec(0_i64..40, 1..200)
        ) {
            let throttle = Throttle::default();
            let (mut now, mut taken) = (0, Vec::new());
            for wait in waits {
                now += wait;
                if throttle.begin(ip("192.0.2.1"), at(now)).is_ok() {
                    taken.push(now);
                }
            }
            for (first, begin) in taken.iter().enumerate() {
                for (last, end) in taken.iter().enumerate().skip(first) {
                    prop_assert!((last - first) as i64 <= 4 + (end - begin) / 60 + 1);
                }
            }
        }
    }
}
