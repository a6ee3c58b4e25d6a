//! When an order can be picked up: slots on the shop's clock, what is due in them, and which are free.
//!
//! Pure: the present and what is due already are arguments. Knows no orders, only how many drinks they have.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::ordering::menu::{Menu, Slots};

/// How far ahead an order may be picked up.
pub const DAYS_AHEAD: i64 = 7;
/// Free times offered instead of one that is not.
const OFFERED: usize = 3;
/// The grid of what is offered by a shop without slots, in minutes.
const GRID_MINUTES: u32 = 15;

/// A pick-up time that cannot be had, and what could be instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct NoSlot {
    /// Why not.
    pub reason: NoSlotReason,
    /// The next free times, soonest first, at most three; each would be accepted.
    pub next_free: Vec<Timestamp>,
}

/// Why a pick-up time cannot be had; each is a sentence to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoSlotReason {
    /// It is over.
    #[error("That pick-up time is in the past.")]
    Past,
    /// The drinks cannot be made by then.
    #[error("The drinks cannot be ready by that time.")]
    TooSoon,
    /// More than a week ahead.
    #[error("Orders can be placed at most {DAYS_AHEAD} days ahead.")]
    TooFar,
    /// Outside opening hours.
    #[error("The shop is closed at that time.")]
    Closed,
    /// Together with what is due already it would be too much.
    #[error("That pick-up time is taken.")]
    Full,
    /// It would be too much for any slot.
    #[error("At most {0} drinks can be made for one pick-up time.")]
    TooManyDrinks(u32),
}

/// One order that asks when it can be picked up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Question<'a> {
    pub(super) menu: &'a Menu,
    pub(super) now: Timestamp,
    /// Drinks of this order.
    pub(super) drinks: u32,
    /// Drinks to be made before it.
    pub(super) ahead: u32,
    /// Drinks of open orders by the start of the slot that they are due in.
    pub(super) load: &'a BTreeMap<Timestamp, u32>,
}

impl Question<'_> {
    /// Whether this time can be had, or which others.
    pub(super) fn check(&self, pickup_at: Timestamp) -> Result<(), NoSlot> {
        self.judge(pickup_at).map_err(|reason| NoSlot { reason, next_free: self.free_after(pickup_at, reason) })
    }

    fn judge(&self, pickup_at: Timestamp) -> Result<(), NoSlotReason> {
        let slots = self.menu.slots();
        if let Some(Slots { drinks, .. }) = slots.filter(|slots| self.drinks > slots.drinks) {
            return Err(NoSlotReason::TooManyDrinks(drinks));
        }
        if pickup_at < self.now {
            return Err(NoSlotReason::Past);
        }
        if pickup_at < self.earliest() {
            return Err(NoSlotReason::TooSoon);
        }
        if pickup_at > self.latest() {
            return Err(NoSlotReason::TooFar);
        }
        if !self.menu.hours().is_open(pickup_at) {
            return Err(NoSlotReason::Closed);
        }
        let Some(slots) = slots else { return Ok(()) };
        let due = slot_of(self.menu, pickup_at, slots.minutes).and_then(|slot| self.load.get(&slot)).unwrap_or(&0);
        if due.saturating_add(self.drinks) > slots.drinks { Err(NoSlotReason::Full) } else { Ok(()) }
    }

    /// The first times of all that can be had, at most so many.
    pub(super) fn free(&self, most: usize) -> Vec<Timestamp> {
        let is_too_much = self.menu.slots().is_some_and(|slots| self.drinks > slots.drinks);
        if is_too_much { Vec::new() } else { self.free_from(self.earliest(), most) }
    }

    /// The first times from the one asked for on that can be had; the first of all when that one is too far ahead.
    fn free_after(&self, asked: Timestamp, reason: NoSlotReason) -> Vec<Timestamp> {
        match reason {
            NoSlotReason::TooManyDrinks(_) => Vec::new(),
            NoSlotReason::TooFar => self.free_from(self.earliest(), OFFERED),
            _ => self.free_from(asked.max(self.earliest()), OFFERED),
        }
    }

    fn free_from(&self, from: Timestamp, most: usize) -> Vec<Timestamp> {
        let minutes = self.menu.slots().map_or(GRID_MINUTES, |slots| slots.minutes);
        let mut free = Vec::with_capacity(most);
        let mut at = slot_of(self.menu, from, minutes);
        while let Some(slot) = at.filter(|slot| free.len() < most && *slot <= self.latest()) {
            let begins = slot_of(self.menu, slot, minutes) == Some(slot);
            if begins && slot >= from && self.judge(slot).is_ok() {
                free.push(slot);
            }
            let next = slot.checked_add(SignedDuration::from_mins(i64::from(minutes))).ok();
            // Closed hours are skipped, or a week of closed slots would be asked one by one.
            let next = next.and_then(|next| self.menu.hours().next_opening(next));
            // Where the clock is changed by less than a slot, going back to its start could be a step back.
            at = next.and_then(|next| slot_of(self.menu, next, minutes)).map(|next| next.max(after(slot)));
        }
        free
    }

    /// When the drinks can be made by.
    fn earliest(&self) -> Timestamp {
        ready_at(self.menu, self.now, self.ahead, self.drinks).unwrap_or(self.now)
    }

    fn latest(&self) -> Timestamp {
        self.now.checked_add(SignedDuration::from_hours(24 * DAYS_AHEAD)).unwrap_or(Timestamp::MAX)
    }
}

/// When the last of `drinks` is made, after `ahead` others, one after the other; none: the menu says nothing about time.
pub(super) fn ready_at(menu: &Menu, now: Timestamp, ahead: u32, drinks: u32) -> Option<Timestamp> {
    let minutes = i64::from(menu.minutes_to_make()?) * (i64::from(ahead) + i64::from(drinks));
    Some(now.checked_add(SignedDuration::from_mins(minutes)).unwrap_or(Timestamp::MAX))
}

/// The start of the slot of so many minutes that an instant belongs to, on the shop's clock.
pub(super) fn slot_of(menu: &Menu, at: Timestamp, minutes: u32) -> Option<Timestamp> {
    let wall = at.to_zoned(menu.time_zone().clone());
    let into_slot = i64::from(wall.minute()).checked_rem(i64::from(minutes))?;
    let into_minute = SignedDuration::new(i64::from(wall.second()), wall.subsec_nanosecond());
    at.checked_sub(SignedDuration::from_mins(into_slot) + into_minute).ok()
}

fn after(at: Timestamp) -> Timestamp {
    at.checked_add(SignedDuration::from_mins(1)).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The boba shop with these tables at the end of its file; two minutes a drink.
    fn menu(tables: &str) -> Menu {
        Menu::parse(&format!("{}\n{tables}", include_str!("../../menus/boba.toml"))).unwrap()
    }

    const OFFICE: &str = "[hours]\nmon = [\"09:00-12:00\", \"13:00-18:00\"]\n[slots]\nminutes = 15\ndrinks = 10";

    /// An instant on a Monday in January, by the shop's clock.
    fn at(time: &str) -> Timestamp {
        format!("2024-01-08T{time}-08:00").parse().unwrap()
    }

    fn load(of: &[(&str, u32)]) -> BTreeMap<Timestamp, u32> {
        of.iter().map(|(slot, drinks)| (at(slot), *drinks)).collect()
    }

    fn ask(
        menu: &Menu,
        now: &str,
        pickup_at: &str,
        drinks: u32,
        load: &BTreeMap<Timestamp, u32>,
    ) -> Result<(), NoSlot> {
        Question { menu, now: at(now), drinks, ahead: 0, load }.check(at(pickup_at))
    }

    #[test]
    fn a_slot_takes_what_it_can() {
        let menu = menu(OFFICE);
        let load = load(&[("10:00", 8), ("10:15", 10), ("10:30", 7)]);
        assert_eq!(ask(&menu, "09:00", "10:14:59", 2, &load), Ok(()));
        for (pickup_at, drinks, reason, next) in [
            ("10:00", 3, NoSlotReason::Full, ["10:30", "10:45", "11:00"]),
            ("10:20", 1, NoSlotReason::Full, ["10:30", "10:45", "11:00"]),
            ("10:00", 4, NoSlotReason::Full, ["10:45", "11:00", "11:15"]),
            ("12:00", 1, NoSlotReason::Closed, ["13:00", "13:15", "13:30"]),
            ("08:00", 1, NoSlotReason::Past, ["09:15", "09:30", "09:45"]),
            ("09:05", 5, NoSlotReason::TooSoon, ["09:15", "09:30", "09:45"]),
        ] {
            let next_free = next.map(at).to_vec();
            assert_eq!(ask(&menu, "09:00", pickup_at, drinks, &load), Err(NoSlot { reason, next_free }), "{pickup_at}");
        }
        let too_many = NoSlot { reason: NoSlotReason::TooManyDrinks(10), next_free: Vec::new() };
        assert_eq!(ask(&menu, "09:00", "10:00", 11, &load), Err(too_many));
    }

    #[test]
    fn the_days_last_slot_and_a_week_ahead() {
        let menu = menu(OFFICE);
        let next_week: Vec<Timestamp> =
            ["09:00", "09:15", "09:30"].map(|time| format!("2024-01-15T{time}:00-08:00").parse().unwrap()).into();
        let closed = NoSlot { reason: NoSlotReason::Closed, next_free: next_week.clone() };
        assert_eq!(ask(&menu, "17:00", "18:00", 1, &BTreeMap::new()), Err(closed));
        assert_eq!(ask(&menu, "17:00", "17:59", 1, &BTreeMap::new()), Ok(()));
        let question = Question { menu: &menu, now: at("09:30"), drinks: 1, ahead: 0, load: &BTreeMap::new() };
        assert_eq!(question.check(next_week[2]), Ok(()));
        let later = next_week[2].checked_add(SignedDuration::from_secs(1)).unwrap();
        let soonest = ["09:45", "10:00", "10:15"].map(at).to_vec();
        assert_eq!(question.free(3), soonest);
        assert_eq!(question.free(10_000).len(), 9 + 20 + 3, "two days of the week ahead, as far as it reaches");
        assert_eq!(question.check(later), Err(NoSlot { reason: NoSlotReason::TooFar, next_free: soonest }));
    }

    #[test]
    fn without_slots_only_time_counts() {
        let menu = menu("");
        let load = load(&[("10:00", 1000)]);
        assert_eq!(ask(&menu, "09:00", "10:00", 500, &BTreeMap::new()).unwrap_err().reason, NoSlotReason::TooSoon);
        assert_eq!(ask(&menu, "09:00", "10:00", 10, &load), Ok(()));
        let next_free = ["09:15", "09:30", "09:45"].map(at).to_vec();
        assert_eq!(ask(&menu, "09:00", "09:01", 1, &load), Err(NoSlot { reason: NoSlotReason::TooSoon, next_free }));
    }

    #[test]
    fn slots_begin_with_the_hour_also_where_the_clock_is_changed_by_half_of_one() {
        let text = include_str!("../../menus/boba.toml").replace("America/Los_Angeles", "Australia/Lord_Howe");
        let menu = Menu::parse(&format!("{text}\n[slots]\nminutes = 60\ndrinks = 10")).unwrap();
        // 2024-04-07: at 02:00 it becomes 01:30.
        let instant = |text: &str| text.parse::<Timestamp>().unwrap();
        let now = instant("2024-04-07T01:10:00+11");
        let no = Question { menu: &menu, now, drinks: 1, ahead: 0, load: &BTreeMap::new() }.check(now).unwrap_err();
        let hours = ["2024-04-07T02:00:00+10:30", "2024-04-07T03:00:00+10:30", "2024-04-07T04:00:00+10:30"];
        assert_eq!(no, NoSlot { reason: NoSlotReason::TooSoon, next_free: hours.map(instant).to_vec() });
    }

    #[test]
    fn drinks_are_made_one_after_the_other() {
        let menu = menu("");
        assert_eq!(ready_at(&menu, at("09:00"), 3, 2), Some(at("09:10")));
        assert_eq!(ready_at(&menu, at("09:00"), u32::MAX, u32::MAX).map(|at| at.as_second() > 0), Some(true));
        assert_eq!(ready_at(&menu, Timestamp::MAX, 1, 1), Some(Timestamp::MAX));
        let silent = include_str!("../../menus/boba.toml").replace("minutes_to_make = 2", "");
        assert_eq!(ready_at(&Menu::parse(&silent).unwrap(), at("09:00"), 3, 2), None);
    }

    proptest! {
        #[test]
        fn every_time_that_is_offered_is_free(
            second in 1_700_000_000_i64..1_760_000_000,
            asked in -100_000_i64..900_000,
            drinks in 1_u32..25,
            ahead in 0_u32..40,
            due in prop::collection::vec(0_u32..22, 0..60),
            minutes in prop::sample::select(vec![5_u32, 10, 12, 15, 20, 30, 60]),
            zone in prop::sample::select(vec!["America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"]),
            opens in 0_u32..24,
            hours in 1_u32..24,
            around_the_clock: bool,
        ) {
            let interval = format!("{opens:02}:10-{:02}:10", (opens + hours) % 24);
            let week = ["mon", "wed", "sun"].map(|day| format!("{day} = [\"{interval}\"]")).join("\n");
            let hours = if around_the_clock { String::new() } else { format!("[hours]\n{week}\n") };
            let text = include_str!("../../menus/boba.toml").replace("America/Los_Angeles", zone);
            let menu = Menu::parse(&format!("{text}\n{hours}[slots]\nminutes = {minutes}\ndrinks = 20")).unwrap();
            let now = Timestamp::from_second(second).unwrap();
            let mut load = BTreeMap::new();
            for (n, due) in due.into_iter().enumerate() {
                let later = now.checked_add(SignedDuration::from_mins(n as i64 * i64::from(minutes))).unwrap();
                load.insert(slot_of(&menu, later, minutes).unwrap(), due);
            }
            let question = Question { menu: &menu, now, drinks, ahead, load: &load };
            let Err(no) = question.check(Timestamp::from_second(second + asked).unwrap()) else { return Ok(()) };
            prop_assert!(no.next_free.len() <= OFFERED && no.next_free.is_sorted());
            for at in &no.next_free {
                prop_assert_eq!(question.check(*at), Ok(()));
                prop_assert!(menu.hours().is_open(*at));
                prop_assert!(*at >= now && *at >= ready_at(&menu, now, ahead, drinks).unwrap());
                let wall = at.to_zoned(menu.time_zone().clone());
                prop_assert_eq!((u32::from(wall.minute().unsigned_abs()) % minutes, wall.second()), (0, 0));
                let due = load.get(&slot_of(&menu, *at, minutes).unwrap()).copied().unwrap_or(0);
                prop_assert!(due + drinks <= 20);
            }
            // A shop that never closes and has nothing to do always has something to offer, except near the end.
            if load.is_empty() && drinks <= 20 && around_the_clock {
                prop_assert!(no.reason != NoSlotReason::Full);
                prop_assert!(no.next_free.len() == OFFERED || asked > 6 * 86_400);
            }
        }
    }
}
