//! When a shop is open: intervals of each weekday on the shop's own clock, and dates on which it stays closed.
//!
//! Pure: the instant is an argument. An interval belongs to the day on which it begins, so that an evening that ends at
//! two in the morning is over at two also when the day after is a closed date. On the days that the clock is changed,
//! what falls into the missing hour moves behind it, and what falls into the doubled hour is its first half. This file
//! does not know pauses or what takes an order.

use std::collections::BTreeSet;
use std::str::FromStr;

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

/// How far ahead an opening is looked for: every weekday and, with them, the longest holidays.
const HORIZON_DAYS: i32 = 400;
/// An interval that belongs to a day ends on the next one at the latest; one day more for zones that once skipped one.
const REACH_DAYS: i32 = 2;
/// The minutes of a day, as its clock shows them.
const DAY: u16 = 24 * 60;

/// Opening hours in a time zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hours {
    time_zone: TimeZone,
    /// None: round the clock, on every day.
    week: Option<Week>,
}

/// The intervals of each weekday, and the dates without any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Week {
    /// Monday first; each day's are in order and do not overlap.
    days: [Vec<Interval>; 7],
    closed: BTreeSet<Date>,
}

/// An interval on a day's clock: `09:00-18:00`, or past midnight: `18:00-02:00`. Its end is not part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interval {
    /// Minutes since midnight, below 24 h.
    opens: u16,
    /// Minutes since the same midnight, above `opens` and at most 24 h after it.
    closes: u16,
}

/// What is wrong with opening hours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HoursError {
    /// No interval.
    #[error("\"{0}\" is no interval; expected one such as 09:00-18:00, in hours and minutes up to 24:00")]
    NotAnInterval(String),
    /// It ends where it begins.
    #[error("\"{0}\" ends where it begins; the whole day is 00:00-24:00")]
    Empty(String),
    /// Two of one day share some time.
    #[error("\"{0}\" overlaps another interval of that day")]
    Overlap(Interval),
}

impl FromStr for Interval {
    type Err = HoursError;

    fn from_str(text: &str) -> Result<Self, HoursError> {
        let wrong = || HoursError::NotAnInterval(text.chars().take(40).collect());
        let (opens, closes) = text.split_once('-').ok_or_else(wrong)?;
        let opens = minutes(opens.trim()).filter(|minutes| *minutes < DAY).ok_or_else(wrong)?;
        let closes = minutes(closes.trim()).ok_or_else(wrong)?;
        match closes {
            _ if closes == opens => Err(HoursError::Empty(text.to_owned())),
            _ if closes > opens => Ok(Self { opens, closes }),
            // 00:00 is the end of the same day, 02:00 is in the next one.
            _ => Ok(Self { opens, closes: closes + DAY }),
        }
    }
}

impl Interval {
    /// When it begins, as `09:00`.
    pub fn opens(&self) -> String {
        clock(self.opens)
    }

    /// When it ends, as `18:00`: on the day after if that is no later than it begins. The day's end is `24:00`.
    pub fn closes(&self) -> String {
        clock(if self.closes > DAY { self.closes - DAY } else { self.closes })
    }
}

impl std::fmt::Display for Interval {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.opens(), self.closes())
    }
}

impl Week {
    /// Adds an interval to a weekday.
    ///
    /// # Errors
    /// [`HoursError::Overlap`] with one that the day has already.
    pub fn open(&mut self, weekday: Weekday, interval: Interval) -> Result<(), HoursError> {
        let day = &mut self.days[index(weekday)];
        if day.iter().any(|other| interval.opens < other.closes && other.opens < interval.closes) {
            return Err(HoursError::Overlap(interval));
        }
        day.push(interval);
        day.sort_by_key(|interval| interval.opens);
        Ok(())
    }

    /// Closes the shop for a date, whatever weekday it is.
    pub fn close(&mut self, date: Date) {
        self.closed.insert(date);
    }

    /// What a weekday has, earliest first; nothing on a day without any.
    pub fn intervals(&self, weekday: Weekday) -> &[Interval] {
        &self.days[index(weekday)]
    }

    /// The dates on which the shop stays closed, in their order.
    pub fn closed(&self) -> impl Iterator<Item = Date> {
        self.closed.iter().copied()
    }
}

impl Hours {
    /// Never closed.
    pub fn always(time_zone: TimeZone) -> Self {
        Self { time_zone, week: None }
    }

    /// As the week says.
    pub fn new(time_zone: TimeZone, week: Week) -> Self {
        Self { time_zone, week: Some(week) }
    }

    /// What the shop's file says of each day. None: it never closes.
    pub fn week(&self) -> Option<&Week> {
        self.week.as_ref()
    }

    /// Whether the shop is open at this instant.
    pub fn is_open(&self, at: Timestamp) -> bool {
        self.open_until(at).is_some()
    }

    /// The first instant from `at` on at which the shop is open: `at` itself if it is open then. None: not within a year.
    pub fn next_opening(&self, at: Timestamp) -> Option<Timestamp> {
        let Some(week) = &self.week else { return Some(at) };
        let within =
            |days| self.intervals(week, at, days).filter(|(_, end)| *end > at).map(|(start, _)| start.max(at)).min();
        // Nearly always it is within a week; only then is it worth looking at a year.
        within(7).or_else(|| within(HORIZON_DAYS))
    }

    /// When the shop closes next, if it is open at `at`. Intervals that touch are one: a shop that never closes within
    /// a week closes at the end of that week, as far as this is concerned.
    fn open_until(&self, at: Timestamp) -> Option<Timestamp> {
        let Some(week) = &self.week else { return Some(Timestamp::MAX) };
        let mut until = None;
        for (start, end) in self.intervals(week, at, 7) {
            let reached = until.unwrap_or(at);
            if start <= reached && end > reached {
                until = Some(end);
            }
        }
        until
    }

    /// The next instant after `at` at which the shop opens or closes. None: it stays as it is for a year.
    pub fn next_change(&self, at: Timestamp) -> Option<Timestamp> {
        self.week.as_ref()?;
        self.open_until(at).or_else(|| self.next_opening(at))
    }

    /// The intervals of the days around `at` until `days` after it, in the order of their days.
    fn intervals<'a>(
        &'a self,
        week: &'a Week,
        at: Timestamp,
        days: i32,
    ) -> impl Iterator<Item = (Timestamp, Timestamp)> + 'a {
        let today = at.to_zoned(self.time_zone.clone()).date();
        let dates = (-REACH_DAYS..=days).filter_map(move |day| today.checked_add(Span::new().days(day)).ok());
        let open = dates.filter(|date| !week.closed.contains(date));
        open.flat_map(move |date| {
            let intervals = week.intervals(date.weekday());
            // Half an interval can fall into a missing hour: one that has become empty is none.
            let instants = move |interval: &Interval| {
                let (start, end) = (self.instant(date, interval.opens)?, self.instant(date, interval.closes)?);
                (start < end).then_some((start, end))
            };
            intervals.iter().filter_map(instants)
        })
    }

    /// An instant by the clock, `minutes` after a date's midnight on the wall (not in elapsed time).
    fn instant(&self, date: Date, minutes: u16) -> Option<Timestamp> {
        let date = date.checked_add(Span::new().days(i64::from(minutes / DAY))).ok()?;
        let (hour, minute) = ((minutes % DAY) / 60, minutes % 60);
        let time = date.at(i8::try_from(hour).ok()?, i8::try_from(minute).ok()?, 0, 0);
        Some(time.to_zoned(self.time_zone.clone()).ok()?.timestamp())
    }
}

fn index(weekday: Weekday) -> usize {
    usize::try_from(weekday.to_monday_zero_offset()).unwrap_or_default()
}

/// Minutes as `09:30`.
fn clock(minutes: u16) -> String {
    format!("{:02}:{:02}", minutes / 60, minutes % 60)
}

/// `09:30` as minutes; `24:00` is the day's end.
fn minutes(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let digits = |text: &str| text.len() <= 2 && !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(hours) || !digits(minutes) || minutes.len() != 2 {
        return None;
    }
    let (hours, minutes): (u16, u16) = (hours.parse().ok()?, minutes.parse().ok()?);
    let total = hours * 60 + minutes;
    (minutes < 60 && total <= DAY).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Weekday::{Friday, Monday, Saturday, Sunday, Thursday, Tuesday, Wednesday};
    use proptest::prelude::*;

    const WEEK: [Weekday; 7] = [Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday];

    fn hours(zone: &str, days: &[(&[Weekday], &[&str])], closed: &[&str]) -> Hours {
        let mut week = Week::default();
        for (weekdays, intervals) in days {
            for (weekday, interval) in weekdays.iter().flat_map(|day| intervals.iter().map(move |text| (*day, text))) {
                week.open(weekday, interval.parse().unwrap()).unwrap();
            }
        }
        closed.iter().for_each(|date| week.close(date.parse().unwrap()));
        Hours::new(TimeZone::get(zone).unwrap(), week)
    }

    /// An instant, written with its offset from UTC.
    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn intervals_are_read_and_shown() {
        for (text, shown) in [
            ("09:00-18:00", "09:00-18:00"),
            ("9:30 - 12:00", "09:30-12:00"),
            ("00:00-24:00", "00:00-24:00"),
            ("18:00-02:30", "18:00-02:30"),
            ("18:00-00:00", "18:00-24:00"),
        ] {
            assert_eq!(text.parse::<Interval>().unwrap().to_string(), shown);
        }
        for text in
            ["", "9-5", "09:00", "09:00-", "09:60-10:00", "24:00-02:00", "09:00-24:01", "+9:00-10:00", "9:0-10:00"]
        {
            assert!(matches!(text.parse::<Interval>(), Err(HoursError::NotAnInterval(_))), "{text}");
        }
        assert!(matches!("09:00-9:00".parse::<Interval>(), Err(HoursError::Empty(_))));
    }

    #[test]
    fn intervals_of_a_day_may_touch_and_not_overlap() {
        let mut week = Week::default();
        let mut open = |text: &str| week.open(Monday, text.parse().unwrap());
        open("12:00-14:00").unwrap();
        open("09:00-12:00").unwrap();
        for text in ["13:00-15:00", "08:00-09:01", "08:00-20:00", "12:30-13:00", "09:00-12:00"] {
            assert!(matches!(open(text), Err(HoursError::Overlap(_))), "{text}");
        }
        open("22:00-03:00").unwrap();
        assert_eq!(open("23:00-24:00"), Err(HoursError::Overlap("23:00-24:00".parse().unwrap())));
        let told: Vec<_> = week.intervals(Monday).iter().map(|one| (one.opens(), one.closes())).collect();
        let told: Vec<_> = told.iter().map(|(opens, closes)| (opens.as_str(), closes.as_str())).collect();
        assert_eq!(told, [("09:00", "12:00"), ("12:00", "14:00"), ("22:00", "03:00")]);
        assert_eq!(week.intervals(Sunday), []);
    }

    #[test]
    fn open_from_the_first_minute_to_before_the_last() {
        let hours = hours("America/New_York", &[(&[Monday], &["09:00-12:00", "13:00-18:00"])], &[]);
        for (instant, open) in [
            ("2024-01-08T08:59:59-05", false),
            ("2024-01-08T09:00:00-05", true),
            ("2024-01-08T11:59:59-05", true),
            ("2024-01-08T12:00:00-05", false),
            ("2024-01-08T13:00:00-05", true),
            ("2024-01-08T18:00:00-05", false),
            ("2024-01-09T10:00:00-05", false),
        ] {
            assert_eq!(hours.is_open(at(instant)), open, "{instant}");
        }
        assert_eq!(hours.next_opening(at("2024-01-08T12:00:00-05")), Some(at("2024-01-08T13:00:00-05")));
        assert_eq!(hours.next_opening(at("2024-01-08T14:00:00-05")), Some(at("2024-01-08T14:00:00-05")));
        assert_eq!(hours.next_opening(at("2024-01-08T18:00:00-05")), Some(at("2024-01-15T09:00:00-05")));
        assert_eq!(hours.next_change(at("2024-01-08T14:00:00-05")), Some(at("2024-01-08T18:00:00-05")));
        assert_eq!(hours.next_change(at("2024-01-08T18:00:00-05")), Some(at("2024-01-15T09:00:00-05")));
    }

    #[test]
    fn an_evening_belongs_to_the_day_it_began_on() {
        let hours = hours("America/Los_Angeles", &[(&[Tuesday, Wednesday], &["18:00-02:00"])], &["2024-12-25"]);
        // Tuesday the 24th stays open until two on the closed Wednesday; Wednesday's own evening does not take place.
        assert!(hours.is_open(at("2024-12-25T01:59:00-08")));
        assert!(!hours.is_open(at("2024-12-25T19:00:00-08")));
        assert!(!hours.is_open(at("2024-12-26T01:00:00-08")));
        assert_eq!(hours.next_opening(at("2024-12-25T02:00:00-08")), Some(at("2024-12-31T18:00:00-08")));
    }

    #[test]
    fn days_on_which_the_clock_is_changed() {
        let hours = hours("America/New_York", &[(&[Sunday], &["01:30-02:30", "06:00-09:00"])], &[]);
        // 2024-03-10: from 02:00 to 03:00. Half past two is half past three: an hour by any clock.
        assert!(hours.is_open(at("2024-03-10T03:29:00-04")));
        assert!(!hours.is_open(at("2024-03-10T03:30:00-04")));
        assert!(hours.is_open(at("2024-03-10T06:00:00-04")));
        // 2024-11-03: 01:00 to 02:00 twice. It opens at the first half past one.
        assert!(hours.is_open(at("2024-11-03T01:30:00-04")));
        assert!(hours.is_open(at("2024-11-03T01:10:00-05")));
        assert!(!hours.is_open(at("2024-11-03T02:30:00-05")));
        let gap = self::hours("America/New_York", &[(&[Sunday], &["02:30-03:15"])], &[]);
        assert_eq!(gap.next_opening(at("2024-03-10T00:00:00-05")), Some(at("2024-03-17T02:30:00-04")));
    }

    #[test]
    fn round_the_clock_and_never() {
        let always = Hours::always(TimeZone::get("Asia/Taipei").unwrap());
        let noon = at("2024-02-29T12:00:00Z");
        assert!(always.is_open(noon) && always.next_opening(noon) == Some(noon));
        assert_eq!(always.next_change(noon), None);
        let never = hours("Asia/Taipei", &[], &[]);
        assert!(!never.is_open(noon));
        assert_eq!((never.next_opening(noon), never.next_change(noon)), (None, None));
        let whole = hours("America/New_York", &[(&WEEK, &["00:00-24:00"])], &[]);
        for instant in ["2024-03-10T02:00:00-05", "2024-11-03T01:30:00-05", "2024-12-31T23:59:59-05"] {
            assert!(whole.is_open(at(instant)), "{instant}");
        }
        // The ends of time are no reason to panic.
        for end in [Timestamp::MIN, Timestamp::MAX] {
            let _ = (whole.is_open(end), whole.next_opening(end), whole.next_change(end));
        }
    }

    proptest! {
        #[test]
        fn the_next_opening_is_open_and_nothing_before_it_is(
            second in 1_700_000_000_i64..1_800_000_000,
            days in prop::collection::vec((0_usize..7, 0_u16..1440, 1_u16..1440), 1..6),
            zone in prop::sample::select(vec!["America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kolkata"]),
        ) {
            let mut week = Week::default();
            for (weekday, opens, length) in days {
                // Overlaps are refused, so that some cases have fewer intervals.
                let _ = week.open(WEEK[weekday], Interval { opens, closes: opens + length });
            }
            let hours = Hours::new(TimeZone::get(zone).unwrap(), week);
            let now = Timestamp::from_second(second).unwrap();
            let next = hours.next_opening(now).expect("some weekday is open");
            prop_assert!(next >= now && hours.is_open(next));
            if next > now {
                prop_assert!(!hours.is_open(now) && !hours.is_open(Timestamp::from_second(next.as_second() - 1).unwrap()));
            }
            let change = hours.next_change(now).expect("it is not always open");
            prop_assert!(change > now);
        }
    }
}
