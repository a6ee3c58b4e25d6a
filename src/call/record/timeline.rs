//! A timeline while its call lasts: hundreds of calls each keep hundreds of entries, so an entry is a few numbers, and
//! every word is kept once a call. It is written out when the call is over.

use crate::logbook::Entry;
use std::borrow::Cow;

/// Entries of a timeline.
pub(super) const MOST: usize = 500;

/// What happened in a call so far.
#[derive(Default)]
pub(super) struct Timeline {
    entries: Vec<Brief>,
    words: Words,
    is_cut: bool,
}

/// An entry; times in milliseconds, up to 49 days.
struct Brief {
    at: u32,
    /// Of `took_ms` or `count`: none has both.
    number: u32,
    unit: Unit,
    what: Word,
    tool: Word,
    outcome: Word,
    reason: Word,
    order_number: Word,
}

#[derive(Clone, Copy, PartialEq)]
enum Unit {
    Nothing,
    Took,
    Count,
}

/// One of a call's words, counted from 1; 0: none.
type Word = u16;

/// An entry has at most five, so there are never more than fit.
#[derive(Default)]
struct Words(Vec<Cow<'static, str>>);

impl Timeline {
    /// Adds an entry, or tells at the end that there was one more.
    pub(super) fn note(&mut self, entry: Entry) {
        if self.entries.len() >= MOST {
            self.is_cut = true;
            return;
        }
        let Entry { at_ms, what, tool, outcome, reason, took_ms, count, order_number } = entry;
        let (unit, number) = match (took_ms, count) {
            (Some(took), _) => (Unit::Took, took),
            (None, Some(count)) => (Unit::Count, count),
            (None, None) => (Unit::Nothing, 0),
        };
        let mut word = |text: Option<Cow<'static, str>>| text.map_or(0, |text| self.words.put(text));
        self.entries.push(Brief {
            at: short(at_ms),
            number: short(number),
            unit,
            what: word(Some(what)),
            tool: word(tool),
            outcome: word(outcome),
            reason: word(reason),
            order_number: word(order_number.map(Cow::Owned)),
        });
    }

    /// The entries, and whether there were more.
    pub(super) fn written_out(&self) -> (Vec<Entry>, bool) {
        let entry = |brief: &Brief| {
            let number = |unit| (brief.unit == unit).then_some(u64::from(brief.number));
            Entry {
                at_ms: brief.at.into(),
                what: self.words.get(brief.what).unwrap_or_default(),
                tool: self.words.get(brief.tool),
                outcome: self.words.get(brief.outcome),
                reason: self.words.get(brief.reason),
                took_ms: number(Unit::Took),
                count: number(Unit::Count),
                order_number: self.words.get(brief.order_number).map(Cow::into_owned),
            }
        };
        (self.entries.iter().map(entry).collect(), self.is_cut)
    }
}

impl Words {
    fn put(&mut self, text: Cow<'static, str>) -> Word {
        let place = self.0.iter().position(|there| *there == text).unwrap_or_else(|| {
            self.0.push(text);
            self.0.len() - 1
        });
        Word::try_from(place + 1).unwrap_or_default()
    }

    fn get(&self, word: Word) -> Option<Cow<'static, str>> {
        self.0.get(usize::from(word).checked_sub(1)?).cloned()
    }
}

fn short(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(n: u64) -> Entry {
        Entry { at_ms: n, what: "keys".into(), count: Some(n), ..Entry::default() }
    }

    #[test]
    fn an_entry_is_small_and_a_word_is_kept_once() {
        assert!(size_of::<Brief>() <= 32, "{}", size_of::<Brief>());
        let mut timeline = Timeline::default();
        (0..MOST as u64 + 1).for_each(|n| timeline.note(entry(n)));
        assert_eq!(timeline.words.0, ["keys"]);
        let (entries, is_cut) = timeline.written_out();
        assert_eq!((entries.len(), entries.last(), is_cut), (MOST, Some(&entry(MOST as u64 - 1)), true));
    }

    #[test]
    fn what_is_noted_is_written_out() {
        let full = Entry {
            at_ms: 61_500,
            what: "tool_done".into(),
            tool: Some("checkout_order".into()),
            outcome: Some("ok".into()),
            reason: Some("closed".into()),
            took_ms: Some(0),
            order_number: Some("4782".to_owned()),
            ..Entry::default()
        };
        let mut timeline = Timeline::default();
        let bare = Entry { what: "asked".into(), ..Entry::default() };
        let other = Entry { order_number: Some("5120".to_owned()), reason: None, ..full.clone() };
        let noted = [full, bare, entry(3), other];
        noted.iter().for_each(|entry| timeline.note(entry.clone()));
        assert_eq!(timeline.written_out(), (noted.to_vec(), false));
        timeline.note(Entry { at_ms: u64::MAX, ..Entry::default() });
        assert_eq!(timeline.written_out().0[4].at_ms, u64::from(u32::MAX), "the end of its time");
    }
}
