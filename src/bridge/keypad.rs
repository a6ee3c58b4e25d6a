//! Keys that the caller presses: a number typed digit by digit, and the way to a person.
//!
//! `#` ends an entry, `*` takes the last digit back, and so does a pause end it. A `0` by itself asks for a person, where
//! there is one; at the head of a number, as national numbers have it in many countries, it is a digit.

use std::time::Duration;

/// After so long without a key an entry is complete.
pub(super) const ENTRY_PAUSE: Duration = Duration::from_secs(4);
/// After so long a `0` stands by itself.
pub(super) const ZERO_PAUSE: Duration = Duration::from_secs(2);
/// A phone number has 15 digits at most, and an international prefix.
const MOST_DIGITS: usize = 20;
/// From so many digits on an entry is a phone number.
const PHONE_DIGITS: usize = 7;

/// What the keys came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// These digits.
    Digits(String),
    /// The caller wants a person.
    Person,
}

/// The keys of one caller.
#[derive(Debug, Default)]
pub(super) struct Keypad {
    digits: String,
    /// When the last key was pressed.
    since: Duration,
}

impl Keypad {
    /// A key; an entry that is complete with it.
    pub(super) fn press(&mut self, now: Duration, key: char, has_person: bool) -> Option<Entry> {
        self.since = now;
        match key {
            '#' => self.complete(has_person),
            '*' => {
                self.digits.pop();
                None
            }
            '0'..='9' if self.digits.len() < MOST_DIGITS => {
                self.digits.push(key);
                None
            }
            _ => None,
        }
    }

    /// Whether an entry has begun.
    pub(super) fn is_typing(&self) -> bool {
        !self.digits.is_empty()
    }

    /// When the entry in progress is complete without another key.
    pub(super) fn deadline(&self, has_person: bool) -> Option<Duration> {
        self.is_typing().then(|| {
            let zero = has_person && self.digits == "0";
            self.since + if zero { ZERO_PAUSE } else { ENTRY_PAUSE }
        })
    }

    /// The entry, once the pause after it has been long enough.
    pub(super) fn tick(&mut self, now: Duration, has_person: bool) -> Option<Entry> {
        self.deadline(has_person).filter(|due| now >= *due).and_then(|_| self.complete(has_person))
    }

    fn complete(&mut self, has_person: bool) -> Option<Entry> {
        let digits = std::mem::take(&mut self.digits);
        match digits.as_str() {
            "" => None,
            "0" if has_person => Some(Entry::Person),
            _ => Some(Entry::Digits(digits)),
        }
    }
}

/// Digits as the agent is told them: as the caller's words.
pub(super) fn in_words(digits: &str) -> String {
    if digits.len() >= PHONE_DIGITS {
        format!("My phone number is {digits}; I typed it on my keypad.")
    } else {
        format!("I typed {digits} on my keypad.")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(keys: &str, has_person: bool) -> (Keypad, Vec<Entry>) {
        let mut keypad = Keypad::default();
        let entries = keys.chars().filter_map(|key| keypad.press(Duration::ZERO, key, has_person)).collect();
        (keypad, entries)
    }

    #[test]
    fn a_number_ends_with_a_hash_and_a_star_corrects_it() {
        let (keypad, entries) = typed("5551239*4567#", true);
        assert_eq!(entries, [Entry::Digits("5551234567".to_owned())]);
        assert!(!keypad.is_typing() && keypad.deadline(true).is_none());
        assert_eq!(in_words("5551234567"), "My phone number is 5551234567; I typed it on my keypad.");
        assert_eq!(in_words("4782"), "I typed 4782 on my keypad.");
    }

    #[test]
    fn a_pause_ends_a_number_too() {
        let (mut keypad, entries) = typed("4782", true);
        assert!(entries.is_empty());
        assert_eq!(keypad.tick(ENTRY_PAUSE - Duration::from_millis(1), true), None);
        assert_eq!(keypad.tick(ENTRY_PAUSE, true), Some(Entry::Digits("4782".to_owned())));
        assert_eq!(keypad.tick(ENTRY_PAUSE * 2, true), None);
    }

    #[test]
    fn a_zero_by_itself_asks_for_a_person_where_there_is_one() {
        let (mut keypad, _) = typed("0", true);
        assert_eq!(keypad.tick(ZERO_PAUSE, true), Some(Entry::Person));
        assert_eq!(typed("0#", true).1, [Entry::Person]);
        let (mut keypad, _) = typed("0", false);
        assert_eq!(keypad.tick(ZERO_PAUSE, false), None);
        assert_eq!(keypad.tick(ENTRY_PAUSE, false), Some(Entry::Digits("0".to_owned())));
        assert_eq!(typed("030123456#", true).1, [Entry::Digits("030123456".to_owned())], "a national number");
    }

    #[test]
    fn keys_that_mean_nothing_do_nothing() {
        let (keypad, entries) = typed("**#A#é#", true);
        assert!(entries.is_empty() && !keypad.is_typing());
        assert_eq!(typed(&format!("{}#", "7".repeat(500)), true).1, [Entry::Digits("7".repeat(MOST_DIGITS))]);
    }
}
