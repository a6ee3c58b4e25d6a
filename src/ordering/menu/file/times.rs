//! The tables of a menu file that are about time: opening hours and pick-up slots.

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use serde::Deserialize;
use toml::Spanned;

use super::super::Slots;
use super::{MenuError, Source};
use crate::ordering::hours::{Hours, Interval, Week};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HoursTable {
    mon: Option<Vec<Spanned<String>>>,
    tue: Option<Vec<Spanned<String>>>,
    wed: Option<Vec<Spanned<String>>>,
    thu: Option<Vec<Spanned<String>>>,
    fri: Option<Vec<Spanned<String>>>,
    sat: Option<Vec<Spanned<String>>>,
    sun: Option<Vec<Spanned<String>>>,
    #[serde(default)]
    closed: Vec<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SlotsTable {
    minutes: Spanned<u32>,
    drinks: Spanned<u32>,
}

impl Source<'_> {
    /// Without the table a shop never closes; with it, a weekday that is not named is a closed one.
    pub(super) fn hours(&self, table: Option<&Spanned<HoursTable>>, time_zone: TimeZone) -> Result<Hours, MenuError> {
        let Some(spanned) = table else { return Ok(Hours::always(time_zone)) };
        let table = spanned.as_ref();
        let days = [
            (Weekday::Monday, &table.mon),
            (Weekday::Tuesday, &table.tue),
            (Weekday::Wednesday, &table.wed),
            (Weekday::Thursday, &table.thu),
            (Weekday::Friday, &table.fri),
            (Weekday::Saturday, &table.sat),
            (Weekday::Sunday, &table.sun),
        ];
        let mut week = Week::default();
        let mut opens = false;
        for (weekday, intervals) in days {
            for text in intervals.iter().flatten() {
                let interval = text.as_ref().parse::<Interval>();
                let added = interval.and_then(|interval| week.open(weekday, interval));
                added.map_err(|error| self.wrong(text, error.to_string()))?;
                opens = true;
            }
        }
        if !opens {
            let message = "the shop never opens; expected hours of a weekday, such as mon = [\"09:00-18:00\"]";
            return Err(self.wrong(spanned, message));
        }
        for text in &table.closed {
            // Strictly a date: the parser would also take one with a time and leave the time out.
            let date = text.as_ref().parse::<Date>().ok().filter(|date| date.to_string() == *text.as_ref());
            week.close(date.ok_or_else(|| {
                self.wrong(text, format!("\"{}\" is no date; expected one such as 2026-12-25", text.as_ref()))
            })?);
        }
        Ok(Hours::new(time_zone, week))
    }

    pub(super) fn slots(&self, table: Option<&SlotsTable>) -> Result<Option<Slots>, MenuError> {
        let Some(table) = table else { return Ok(None) };
        let (minutes, drinks) = (self.positive(&table.minutes)?, self.positive(&table.drinks)?);
        if !Slots::divides_an_hour(minutes) {
            let message = format!("{minutes} minutes do not divide an hour; expected 5, 10, 12, 15, 20, 30 or 60");
            return Err(self.wrong(&table.minutes, message));
        }
        Ok(Some(Slots { minutes, drinks }))
    }
}
