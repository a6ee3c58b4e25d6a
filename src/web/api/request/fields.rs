//! An object's fields, taken out one by one under whichever spelling they came; what is left over is refused by name.

use super::problem::{Problem, Problems, Weight, shown};
use crate::ordering::Money;
use crate::ordering::order::{one_line, stored_instant};
use jiff::Timestamp;
use serde_json::{Map, Value};

/// More unknown names than this are not listed.
const MOST_UNKNOWN: usize = 10;

/// The fields of one object.
pub(super) struct Fields<'a> {
    left: Map<String, Value>,
    /// What stands before a field's name in a problem: nothing, or `items[0].`.
    at: String,
    known: Vec<&'a str>,
}

impl<'a> Fields<'a> {
    pub(super) fn new(object: Map<String, Value>, at: impl Into<String>) -> Self {
        Self { left: object, at: at.into(), known: Vec::new() }
    }

    /// The field's full name in a problem.
    pub(super) fn named(&self, name: &str) -> String {
        format!("{}{name}", self.at)
    }

    /// The field's value under any of its spellings. `null` is as good as absent; two spellings have to agree.
    pub(super) fn take<T: PartialEq>(
        &mut self,
        problems: &mut Problems,
        spellings: &[&'a str],
        read: impl Fn(&Value) -> Result<T, String>,
    ) -> Option<T> {
        self.take_erasable(problems, spellings, read).flatten()
    }

    /// Like [`Fields::take`], but tells `null` (`Some(None)`) from absent (`None`).
    pub(super) fn take_erasable<T: PartialEq>(
        &mut self,
        problems: &mut Problems,
        spellings: &[&'a str],
        read: impl Fn(&Value) -> Result<T, String>,
    ) -> Option<Option<T>> {
        self.known.extend(spellings);
        let mut taken: Option<(&str, Option<T>)> = None;
        for name in spellings {
            let value = match self.left.shift_remove(*name) {
                None => continue,
                Some(Value::Null) => None,
                Some(value) => match read(&value) {
                    Ok(value) => Some(value),
                    Err(message) => {
                        problems.invalid(self.named(name), message);
                        continue;
                    }
                },
            };
            match &taken {
                None | Some((_, None)) => taken = Some((name, value)),
                Some((first, Some(said))) if value.as_ref().is_some_and(|value| value != said) => {
                    let message = format!("this and {} are the same thing, and say different ones", self.named(first));
                    problems.invalid(self.named(name), message);
                }
                Some(_) => {}
            }
        }
        taken.map(|(_, value)| value)
    }

    /// Whether the field came under one of its spellings, whatever is in it.
    pub(super) fn has(&self, spellings: &[&str]) -> bool {
        spellings.iter().any(|name| self.left.contains_key(*name))
    }

    /// Refuses whatever nobody has taken.
    pub(super) fn finish(mut self, problems: &mut Problems) {
        self.known.sort_unstable();
        self.known.dedup();
        let known: Vec<Value> = self.known.iter().map(|name| Value::from(*name)).collect();
        for name in self.left.keys().take(MOST_UNKNOWN) {
            let field = self.named(&shown(name));
            let message = "there is no such field here, so nothing was done";
            problems.add(Problem::new(Weight::Invalid, field, message).with("choices", known.clone()));
        }
    }
}

/// Any text.
pub(super) fn text(value: &Value) -> Result<String, String> {
    value.as_str().map(str::to_owned).ok_or_else(|| "has to be a text".to_owned())
}

/// People's words as one line; `None` when nothing is left of them.
pub(in crate::web::api) fn line(longest: usize) -> impl Fn(&Value) -> Result<Option<String>, String> {
    move |value| {
        let text = short_text(longest)(value)?;
        one_line(&text, longest).map_err(|_| too_long(longest))
    }
}

/// Any text of so many characters, whatever they are: what is made of it may be shorter, a limit that can be told is not.
pub(super) fn short_text(longest: usize) -> impl Fn(&Value) -> Result<String, String> {
    move |value| text(value).and_then(|text| (text.chars().count() <= longest).then_some(text).ok_or(too_long(longest)))
}

fn too_long(longest: usize) -> String {
    format!("has to have at most {longest} characters")
}

/// A program's name for something: kept as it is, or refused.
pub(in crate::web::api) fn identifier(longest: usize) -> impl Fn(&Value) -> Result<String, String> {
    move |value| {
        let text = text(value)?;
        match one_line(&text, longest) {
            Ok(Some(line)) if line == text => Ok(text),
            _ => Err(format!("has to be one line of 1 to {longest} characters without spaces around it")),
        }
    }
}

/// Yes or no.
pub(super) fn flag(value: &Value) -> Result<bool, String> {
    value.as_bool().ok_or_else(|| "has to be true or false".to_owned())
}

/// An amount that a client states, to be compared with ours. One with more than two decimals is none of ours.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Stated {
    number: f64,
    amount: Option<Money>,
}

impl Stated {
    pub(super) fn is(&self, amount: Money) -> bool {
        self.amount == Some(amount)
    }

    /// As it was sent.
    pub(super) fn number(&self) -> f64 {
        self.number
    }
}

/// Any number, as an amount in the shop's currency.
pub(super) fn stated(value: &Value) -> Result<Stated, String> {
    let number = value.as_f64().ok_or_else(|| "has to be an amount such as 6.25".to_owned())?;
    Ok(Stated { number, amount: Money::from_number(number) })
}

/// How many; beyond what we count to it is as good as the largest, which no limit allows.
pub(super) fn quantity(value: &Value) -> Result<u32, String> {
    let whole = value.as_u64().or_else(|| value.as_f64().filter(|n| n.fract() == 0.0 && *n > 0.0).map(|n| n as u64));
    match whole {
        Some(whole) if whole > 0 => Ok(u32::try_from(whole).unwrap_or(u32::MAX)),
        _ => Err("has to be a whole number from 1 up".to_owned()),
    }
}

/// An instant in RFC 3339, with its offset.
pub(super) fn instant(value: &Value) -> Result<Timestamp, String> {
    let refused = || "has to be a time such as 2024-11-22T15:30:00Z, with an offset".to_owned();
    let text = text(value).map_err(|_| refused())?;
    if !is_rfc3339(&text) {
        return Err(refused());
    }
    text.parse().map(stored_instant).map_err(|_| refused())
}

/// Like [`instant`]; a time without an offset is in UTC, as another system's documents have it.
pub(super) fn instant_or_utc(value: &Value) -> Result<Timestamp, String> {
    match value.as_str().map(|text| format!("{text}Z")) {
        Some(utc) if is_rfc3339(&utc) => instant(&Value::from(utc)),
        _ => instant(value),
    }
}

/// The parser of instants takes more than RFC 3339: spaces, weeks, zones' names.
fn is_rfc3339(text: &str) -> bool {
    let bytes = text.as_bytes();
    let fits = |shape: &[u8], bytes: &[u8]| {
        shape.len() == bytes.len()
            && shape.iter().zip(bytes).all(|(shape, byte)| match shape {
                b'0' => byte.is_ascii_digit(),
                b'T' => byte.eq_ignore_ascii_case(&b'T'),
                other => other == byte,
            })
    };
    let Some((head, rest)) = bytes.split_at_checked(19) else { return false };
    let rest = match rest.strip_prefix(b".") {
        None => rest,
        Some(fraction) => match fraction.iter().position(|byte| !byte.is_ascii_digit()) {
            Some(digits @ 1..=9) => fraction.get(digits..).unwrap_or_default(),
            _ => return false,
        },
    };
    let is_offset = matches!(rest, b"Z" | b"z") || fits(b"+00:00", rest) || fits(b"-00:00", rest);
    fits(b"0000-00-00T00:00:00", head) && is_offset
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn instants_are_rfc_3339() {
        for (text, meant) in [
            ("2024-11-22T15:30:00Z", "2024-11-22T15:30:00Z"),
            ("2024-11-22t15:30:00.123456789z", "2024-11-22T15:30:00.123456Z"),
            ("2024-11-22T15:30:00-08:00", "2024-11-22T23:30:00Z"),
        ] {
            assert_eq!(instant(&json!(text)).map(|at| at.to_string()), Ok(meant.to_owned()), "{text}");
        }
        for wrong in [
            "",
            "2024-11-22",
            "2024-11-22 15:30:00Z",
            "2024-11-22T15:30:00",
            "2024-11-22T15:30Z",
            "2024-W47-5T15:30:00Z",
            "2024-11-22T25:30:00Z",
            "2024-02-30T10:00:00Z",
            "2024-11-22T15:30:00.Z",
            "2024-11-22T15:30:00+08",
            "2024-11-22T15:30:00Z[UTC]",
            "２024-11-22T15:30:00Z",
            "tomorrow",
        ] {
            assert!(instant(&json!(wrong)).is_err(), "{wrong}");
        }
        assert!(instant(&json!(1_700_000_000)).is_err());
        let utc = instant_or_utc(&json!("2024-11-22T15:30:00")).map(|at| at.to_string());
        assert_eq!(utc, Ok("2024-11-22T15:30:00Z".to_owned()));
        assert!(instant_or_utc(&json!("soon")).is_err());
    }

    #[test]
    fn amounts_and_quantities_are_exact() {
        let is = |number: Value, cents| stated(&number).unwrap().is(Money::from_cents(cents));
        assert!(is(json!(6.25), 625) && is(json!(6), 600) && is(json!(0.07), 7));
        assert!(!is(json!(6.255), 625) && !is(json!(6.255), 626) && !is(json!(1e300), Money::LIMIT));
        for wrong in [json!("6.25"), json!(true), json!([])] {
            assert!(stated(&wrong).is_err(), "{wrong}");
        }
        assert_eq!(quantity(&json!(2.0)), Ok(2));
        assert_eq!(quantity(&json!(u64::MAX)), Ok(u32::MAX));
        for wrong in [json!(0), json!(-1), json!(1.5), json!("2"), json!(true), json!([1])] {
            assert!(quantity(&wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_identifier_is_kept_or_refused() {
        assert_eq!(identifier(8)(&json!("CUST-1")), Ok("CUST-1".to_owned()));
        for wrong in [json!(""), json!(" a"), json!("a\u{0}b"), json!("a  b"), json!("123456789"), json!(7)] {
            assert!(identifier(8)(&wrong).is_err(), "{wrong}");
        }
    }
}
