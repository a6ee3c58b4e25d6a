//! A change to the shop's own state: paused or not, and what is sold out.

use super::fields::{Fields, quantity, text};
use super::json;
use super::problem::{Problems, Refused};
use crate::shop::{Change, Paused, SoldOut};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use std::collections::BTreeSet;

/// The longest pause that may be given in minutes: a week.
pub const MOST_MINUTES: u32 = 7 * 24 * 60;
/// More than any menu has.
const MOST_NAMES: usize = 500;

/// What to change; something is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShopPatch {
    paused: Option<Pause>,
    sold_out: Option<BTreeSet<SoldOut>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pause {
    /// Orders are taken again.
    Resume,
    As(Paused),
    /// For so many minutes, by our clock: the sender's may be wrong.
    Minutes(u32),
}

impl ShopPatch {
    /// Reads `{"paused_until"?, "paused_for_minutes"?, "sold_out"?}`. Names are the shop's to know.
    ///
    /// # Errors
    /// A value that is none, both kinds of pause, nothing to change, anything else.
    pub fn parse(body: &[u8]) -> Result<ShopPatch, Refused> {
        let mut problems = Problems::default();
        let mut fields = Fields::new(json::object(body)?, "");
        let until = fields.take_erasable(&mut problems, &["paused_until"], |value| {
            Paused::try_from(text(value)?).map_err(|error| error.to_string())
        });
        let minutes = fields.take_erasable(&mut problems, &["paused_for_minutes"], minutes);
        let sold_out = fields.take_erasable(&mut problems, &["sold_out"], names);
        if matches!(minutes, Some(None)) {
            problems.invalid("paused_for_minutes", "has to be a number; paused_until resumes with null");
        }
        // `null` would be a list of nothing, or a list that stays: it does not say which.
        if matches!(sold_out, Some(None)) {
            problems.invalid("sold_out", "has to be a list; nothing sold out is an empty one");
        }
        let (minutes, sold_out) = (minutes.flatten(), sold_out.flatten());
        fields.finish(&mut problems);
        let paused = match (until, minutes) {
            (Some(_), Some(_)) => {
                problems.invalid("paused_for_minutes", "one pause is enough: this, or paused_until");
                None
            }
            (Some(None), None) => Some(Pause::Resume),
            (Some(Some(until)), None) => Some(Pause::As(until)),
            (None, Some(minutes)) => Some(Pause::Minutes(minutes)),
            (None, None) => None,
        };
        if problems.are_none() && paused.is_none() && sold_out.is_none() {
            problems.invalid("", "there is nothing to change: paused_until, paused_for_minutes or sold_out");
        }
        problems.or(Some(ShopPatch { paused, sold_out }))
    }

    /// The change, at this moment.
    pub fn change(self, now: Timestamp) -> Change {
        let paused = self.paused.map(|pause| match pause {
            Pause::Resume => None,
            Pause::As(paused) => Some(paused),
            Pause::Minutes(minutes) => {
                let end = now.checked_add(SignedDuration::from_mins(minutes.into()));
                Some(end.map_or(Paused::UntilResumed, Paused::Until))
            }
        });
        Change { paused, sold_out: self.sold_out }
    }
}

fn minutes(value: &Value) -> Result<u32, String> {
    let minutes = quantity(value).ok().filter(|minutes| (1..=MOST_MINUTES).contains(minutes));
    minutes.ok_or_else(|| format!("has to be a whole number from 1 to {MOST_MINUTES}"))
}

fn names(value: &Value) -> Result<BTreeSet<SoldOut>, String> {
    let names = value.as_array().filter(|names| names.len() <= MOST_NAMES);
    let name = |name: &Value| name.as_str().map(SoldOut::from);
    let names = names.and_then(|names| names.iter().map(name).collect());
    names.ok_or_else(|| format!("has to be a list of at most {MOST_NAMES} names of the menu"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_left_out_stays_and_null_resumes() {
        let now = at("2024-01-01T12:00:00Z");
        let change = |body: &str| ShopPatch::parse(body.as_bytes()).unwrap().change(now);
        let until = |text: &str| Some(Some(Paused::Until(at(text))));
        for (body, paused) in [
            (r#"{"paused_until":null}"#, Some(None)),
            (r#"{"paused_until":"resumed"}"#, Some(Some(Paused::UntilResumed))),
            (r#"{"paused_until":"2024-01-01T13:30:00+01:00"}"#, until("2024-01-01T12:30:00Z")),
            (r#"{"paused_for_minutes":30}"#, until("2024-01-01T12:30:00Z")),
            (r#"{"paused_for_minutes":30.0}"#, until("2024-01-01T12:30:00Z")),
        ] {
            assert_eq!(change(body), Change { paused, sold_out: None }, "{body}");
        }
        let names = ["boba", "milk:oat"].map(SoldOut::from).into_iter().collect();
        let body = r#"{"sold_out":["milk:oat","boba","boba"],"paused_until":null}"#;
        assert_eq!(change(body), Change { paused: Some(None), sold_out: Some(names) });
        assert_eq!(change(r#"{"sold_out":[]}"#).sold_out, Some(BTreeSet::new()));
    }

    #[test]
    fn what_is_no_change_is_refused_by_name() {
        let many = format!(r#"{{"sold_out":[{}"boba"]}}"#, "\"boba\",".repeat(MOST_NAMES));
        for (wrong, field) in [
            ("{}", ""),
            ("[]", ""),
            (r#"{"sold_out":null}"#, "sold_out"),
            (r#"{"sold_out":"boba"}"#, "sold_out"),
            (r#"{"sold_out":[1]}"#, "sold_out"),
            (many.as_str(), "sold_out"),
            (r#"{"paused_until":"soon"}"#, "paused_until"),
            (r#"{"paused_until":7}"#, "paused_until"),
            (r#"{"paused_for_minutes":0}"#, "paused_for_minutes"),
            (r#"{"paused_for_minutes":null}"#, "paused_for_minutes"),
            (r#"{"paused_for_minutes":null,"paused_until":null}"#, "paused_for_minutes"),
            (r#"{"paused_for_minutes":1.5}"#, "paused_for_minutes"),
            (r#"{"paused_for_minutes":10081}"#, "paused_for_minutes"),
            (r#"{"paused_for_minutes":5,"paused_until":null}"#, "paused_for_minutes"),
            (r#"{"sold_out":[],"open":true}"#, "open"),
        ] {
            assert_eq!(ShopPatch::parse(wrong.as_bytes()).expect_err(wrong).first().field(), field, "{wrong}");
        }
    }
}
