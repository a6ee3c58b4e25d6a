//! Amounts of money: whole cents inside, a JSON number with at most two decimals outside.
//!
//! It knows no currency; a shop has one, and its menu names it.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Mul};

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An amount in cents.
///
/// Arithmetic saturates at plus or minus [`Money::LIMIT`]. No cart comes near it (prices are read from a menu,
/// quantities are limited), so the only question is what a bug would do there: a wrapped total would give the order
/// away and a panic would drop the call, while an absurdly large total is seen by whoever looks at it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Money {
    /// Always within plus or minus [`Money::LIMIT`], where an `f64` still tells every cent apart.
    cents: i64,
}

impl Money {
    /// The largest amount, in cents: a million millions.
    pub const LIMIT: i64 = 100_000_000_000_000;

    /// Nothing.
    pub const ZERO: Money = Money { cents: 0 };

    /// An amount of whole cents, saturating at the limit.
    pub const fn from_cents(cents: i64) -> Money {
        let cents = if cents > Self::LIMIT {
            Self::LIMIT
        } else if cents < -Self::LIMIT {
            -Self::LIMIT
        } else {
            cents
        };
        Money { cents }
    }

    /// The amount in whole cents.
    pub const fn cents(self) -> i64 {
        self.cents
    }

    /// Reads a number such as 6.25. `None` for more than two decimals, for what is no number, and beyond the limit.
    pub fn from_number(number: f64) -> Option<Money> {
        let cents = (number * 100.0).round();
        // Dividing gives the double nearest to the two-decimal number, which is the one that a parser of "6.25"
        // yields: anything else had more decimals.
        let exact = cents.abs() <= Self::LIMIT as f64 && cents / 100.0 == number;
        exact.then_some(Money { cents: cents as i64 })
    }
}

/// Two decimals, no currency: `6.25`.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.cents < 0 { "-" } else { "" };
        let cents = self.cents.unsigned_abs();
        f.pad(&format!("{sign}{}.{:02}", cents / 100, cents % 100))
    }
}

impl Add for Money {
    type Output = Money;

    fn add(self, other: Money) -> Money {
        Money::from_cents(self.cents.saturating_add(other.cents))
    }
}

impl AddAssign for Money {
    fn add_assign(&mut self, other: Money) {
        *self = *self + other;
    }
}

impl Mul<u32> for Money {
    type Output = Money;

    fn mul(self, times: u32) -> Money {
        Money::from_cents(self.cents.saturating_mul(i64::from(times)))
    }
}

impl Sum for Money {
    fn sum<I: Iterator<Item = Money>>(amounts: I) -> Money {
        amounts.fold(Money::ZERO, Add::add)
    }
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.cents as f64 / 100.0)
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Money, D::Error> {
        deserializer.deserialize_any(Number)
    }
}

struct Number;

impl Visitor<'_> for Number {
    type Value = Money;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an amount such as 6.25, with at most two decimals")
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Money, E> {
        Money::from_number(number).ok_or_else(|| E::invalid_value(de::Unexpected::Float(number), &self))
    }

    fn visit_i64<E: de::Error>(self, whole: i64) -> Result<Money, E> {
        whole
            .checked_mul(100)
            .filter(|cents| cents.abs() <= Money::LIMIT)
            .map(Money::from_cents)
            .ok_or_else(|| E::invalid_value(de::Unexpected::Signed(whole), &self))
    }

    fn visit_u64<E: de::Error>(self, whole: u64) -> Result<Money, E> {
        i64::try_from(whole)
            .map_err(|_| E::invalid_value(de::Unexpected::Unsigned(whole), &self))
            .and_then(|whole| self.visit_i64(whole))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn is_shown_with_two_decimals() {
        for (cents, shown) in [(0, "0.00"), (5, "0.05"), (550, "5.50"), (-5, "-0.05"), (-625, "-6.25")] {
            assert_eq!(Money::from_cents(cents).to_string(), shown);
        }
    }

    #[test]
    fn is_a_json_number() {
        for (cents, json) in [(625, "6.25"), (550, "5.5"), (600, "6.0"), (1, "0.01"), (1699, "16.99")] {
            assert_eq!(serde_json::to_string(&Money::from_cents(cents)).unwrap(), json);
        }
    }

    #[test]
    fn reads_numbers_and_nothing_else() {
        for (json, cents) in [("6.25", 625), ("6", 600), ("0", 0), ("-0.5", -50), ("6.250", 625), ("1e2", 10_000)] {
            assert_eq!(serde_json::from_str::<Money>(json).unwrap(), Money::from_cents(cents), "{json}");
        }
        for json in ["6.255", "0.30000000000000004", "1e300", "1e13", "9223372036854775807", "\"6.25\"", "null", "[]"] {
            assert!(serde_json::from_str::<Money>(json).is_err(), "{json}");
        }
        for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(Money::from_number(number), None);
        }
    }

    #[test]
    fn saturates_instead_of_wrapping() {
        let most = Money::from_cents(i64::MAX);
        assert_eq!(most.cents(), Money::LIMIT);
        assert_eq!(most * u32::MAX + most, most);
        assert_eq!(Money::from_cents(i64::MIN).cents(), -Money::LIMIT);
    }

    proptest! {
        #[test]
        fn survives_json(cents in -Money::LIMIT..=Money::LIMIT) {
            let json = serde_json::to_string(&Money::from_cents(cents)).unwrap();
            let decimals = json.split_once('.').map_or(0, |(_, decimals)| decimals.len());
            prop_assert!(decimals <= 2, "{json}");
            prop_assert_eq!(serde_json::from_str::<Money>(&json).unwrap().cents(), cents);
        }

        #[test]
        fn adds_up_like_integers(amounts in prop::collection::vec((0_i64..1_000_000, 0_u32..1000), 0..20)) {
            let total: Money = amounts.iter().map(|&(cents, times)| Money::from_cents(cents) * times).sum();
            let expected: i64 = amounts.iter().map(|&(cents, times)| cents * i64::from(times)).sum();
            prop_assert_eq!(total.cents(), expected);
        }

        #[test]
        fn refuses_a_third_decimal(cents in 0_i64..100_000_000, thousandth in 1_u32..10) {
            let number: f64 = format!("{}{thousandth}", Money::from_cents(cents)).parse().unwrap();
            prop_assert_eq!(Money::from_number(number), None);
        }
    }
}
