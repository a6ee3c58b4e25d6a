//! The numbers that orders are given. Guests read theirs on a cup: short, not the one of another open order, and by
//! chance, or they could count the orders by them. What is known of a number, and how it is looked up, is the store's.

use crate::ordering::order::OrderNumber;
use jiff::{SignedDuration, Timestamp};
use rand::seq::{SliceRandom as _, index};

/// No shop gives so many order ids: an `n` beyond it is somebody's slip or garbage, and must not end the count.
pub(super) const IMPLAUSIBLE: u64 = 1 << 53;

/// A number is not given again for so long while others are free.
const REST: SignedDuration = SignedDuration::from_hours(24);

const FOUR_DIGITS: std::ops::RangeInclusive<u32> = 1000..=9999;
const FIVE_DIGITS: std::ops::RangeInclusive<u32> = 10_000..=99_999;
/// How many numbers are guessed together before all are looked at. Nearly always the first four do: of a shop with 500
/// orders a day they are taken once in 100,000 times.
const GUESSES: [usize; 3] = [4, 16, 100];
/// How many of five digits are looked at together.
const TOGETHER: usize = 100;

/// What is known of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// An open order has it, or one being written.
    Taken,
    /// It was given within the last day.
    Resting,
    /// It was not.
    Free,
}

/// Numbers to be looked at together.
pub(super) struct Round {
    numbers: Vec<OrderNumber>,
    /// Where no more are as short, one that has not rested is better than a longer one.
    resting_will_do: bool,
}

/// The instant after which a number that was given is still resting; one that was given exactly then has rested.
pub(super) fn resting_since(now: Timestamp) -> Timestamp {
    now.checked_sub(REST).unwrap_or(Timestamp::MIN)
}

/// Which numbers to look at, and when which: the first that a round picks is given. A number of four digits that has
/// rested is better than one that has not, and that is better than one of five.
pub(super) fn rounds() -> impl Iterator<Item = Round> + Send {
    let guesses = GUESSES.into_iter().map(|count| {
        let picked = index::sample(&mut rand::rng(), 9000, count);
        let numbers = picked
            .into_iter()
            .filter_map(|place| u32::try_from(place).ok())
            .filter_map(|place| OrderNumber::new(FOUR_DIGITS.start() + place));
        Round { numbers: numbers.collect(), resting_will_do: false }
    });
    let four = std::iter::once_with(|| Round { numbers: shuffled(FOUR_DIGITS), resting_will_do: true });
    let five = std::iter::once_with(|| shuffled(FIVE_DIGITS)).flat_map(|all| {
        let rounds = all.chunks(TOGETHER).map(|some| Round { numbers: some.to_vec(), resting_will_do: true });
        rounds.collect::<Vec<_>>()
    });
    guesses.chain(four).chain(five)
}

impl Round {
    /// What to look at.
    pub(super) fn numbers(&self) -> &[OrderNumber] {
        &self.numbers
    }

    /// The number to give, if it is among these. Each is asked about once, until that is known.
    pub(super) fn pick<E>(
        &self,
        mut standing: impl FnMut(OrderNumber) -> Result<Standing, E>,
    ) -> Result<Option<OrderNumber>, E> {
        let mut second_best = None;
        for number in &self.numbers {
            match standing(*number)? {
                Standing::Free => return Ok(Some(*number)),
                Standing::Resting if self.resting_will_do => drop(second_best.get_or_insert(*number)),
                Standing::Resting | Standing::Taken => {}
            }
        }
        Ok(second_best)
    }
}

fn shuffled(digits: std::ops::RangeInclusive<u32>) -> Vec<OrderNumber> {
    let mut numbers: Vec<OrderNumber> = digits.filter_map(OrderNumber::new).collect();
    numbers.shuffle(&mut rand::rng());
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::convert::Infallible;

    fn value(number: OrderNumber) -> u32 {
        number.to_string().parse().expect("digits")
    }

    /// The number that is given, and how many were asked about.
    fn given(standing: impl Fn(u32) -> Standing) -> (Option<u32>, usize) {
        let mut asked = 0;
        let found = rounds().find_map(|round| {
            let look = |number| {
                asked += 1;
                Ok::<_, Infallible>(standing(value(number)))
            };
            round.pick(look).unwrap_or_else(|never| match never {})
        });
        (found.map(value), asked)
    }

    #[test]
    fn the_first_guess_is_given_when_all_are_free() {
        let (many, asked): (HashSet<_>, Vec<_>) = (0..200).map(|_| given(|_| Standing::Free)).unzip();
        assert!(asked.iter().all(|asked| *asked == 1));
        assert!(many.len() > 150, "they are not by chance");
        assert!(many.iter().flatten().all(|number| (1000..=9999).contains(number)));
    }

    #[test]
    fn short_and_rested_comes_before_short_and_that_before_long() {
        use Standing::{Free, Resting, Taken};
        let of =
            |number: u32| move |asked: u32, is: Standing, others: Standing| if asked == number { is } else { others };
        assert_eq!(given(|asked| of(1000)(asked, Free, Resting)).0, Some(1000));
        assert_eq!(given(|asked| of(9999)(asked, Resting, Taken)).0, Some(9999));
        assert_eq!(given(|asked| if asked <= 9999 { Taken } else { of(99_999)(asked, Free, Taken) }).0, Some(99_999));
        assert!(given(|asked| if asked <= 9999 { Taken } else { Resting }).0.is_some_and(|number| number > 9999));
        let (none, asked) = given(|_| Taken);
        assert_eq!((none, asked), (None, 120 + 9000 + 90_000));
    }

    #[test]
    fn no_number_is_asked_about_twice_in_a_round() {
        for round in rounds() {
            let different: HashSet<_> = round.numbers().iter().collect();
            assert_eq!(different.len(), round.numbers().len());
        }
    }

    #[test]
    fn rest_is_a_day() {
        let now: Timestamp = "2026-01-02T12:00:00Z".parse().expect("an instant");
        assert_eq!(resting_since(now).to_string(), "2026-01-01T12:00:00Z");
        assert_eq!(resting_since(Timestamp::MIN), Timestamp::MIN);
    }
}
