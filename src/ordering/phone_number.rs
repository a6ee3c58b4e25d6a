//! Telephone numbers: whatever a caller says or a keyboard types becomes E.164, or is refused.
//!
//! A number counts when its length is possible where it belongs; whether anybody answers it is not known here.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use phonenumber::metadata::DATABASE;
use phonenumber::{Metadata, Mode, Type, country};
use serde::{Deserialize, Serialize};

/// A number in E.164: `+15551234567`. Its `Debug` form is masked, so that it may stand in any log line.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "Cow<'_, str>")]
pub struct PhoneNumber(String);

/// A text that is no telephone number. It never repeats the text: that is a customer's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PhoneError {
    /// A word or sign that belongs to no number.
    #[error("that does not sound like a phone number")]
    NotANumber,
    /// Only digits, but too few, too many, or with a country code that does not exist.
    #[error("that number does not have the right count of digits")]
    WrongLength,
}

impl PhoneNumber {
    /// Reads a number in any spoken or written form: `555-123-4567`, `+1 (555) 123 4567`, `five five five, one two
    /// three, four five six seven`, `double five`, `oh`, `plus one`. A number without a country code belongs to
    /// `region`.
    ///
    /// # Errors
    /// A word that belongs to no number is never skipped (it may have been a misheard digit), and an extension is
    /// refused: a text cannot reach it.
    pub fn parse(text: &str, region: Region) -> Result<PhoneNumber, PhoneError> {
        let dialled = dialled(text)?;
        let e164 = international(&dialled, region).and_then(|digits| read_international(&digits));
        let e164 = if dialled.starts_with('+') { e164 } else { e164.or_else(|| read_national(&dialled, region)) };
        e164.filter(|e164| is_e164(e164)).map(PhoneNumber).ok_or(PhoneError::WrongLength)
    }

    /// The number as machines write it: `+15551234567`.
    pub fn as_e164(&self) -> &str {
        &self.0
    }

    /// All but the last two digits hidden, for logs: `*********67`.
    pub fn masked(&self) -> String {
        let digits = self.0.trim_start_matches('+');
        let (hidden, shown) = digits.split_at(digits.len().saturating_sub(2));
        format!("{}{shown}", "*".repeat(hidden.len()))
    }

    /// Digit by digit, grouped as its own country does, without the country code: `5 5 5, 1 2 3, 4 5 6 7`.
    pub fn spoken(&self) -> String {
        let written = match self.recognised() {
            Some(number) => number.format().mode(Mode::National).to_string(),
            None => self.0.clone(),
        };
        let groups: Vec<String> = written
            .split(|character: char| !character.is_ascii_digit())
            .filter(|group| !group.is_empty())
            .map(|group| group.chars().map(String::from).collect::<Vec<_>>().join(" "))
            .collect();
        groups.join(", ")
    }

    /// The country it belongs to. Where several share a country code, the digits decide; where they do not, it is the
    /// one that gave the code its name, so that a number like 555-1234 in the United States has a country too.
    pub fn country(&self) -> Option<Region> {
        let (code, _) = split_code(&self.0)?;
        let main = || {
            let regions = DATABASE.by_code(&code)?;
            let main = regions.iter().find(|meta| meta.is_main_country_for_code()).or(regions.first())?;
            main.id().parse().ok()
        };
        self.recognised().and_then(|number| number.country().id()).or_else(main).map(Region)
    }

    /// The library's view of the number, where it agrees with ours: it takes the first digit of some numbers for a
    /// trunk prefix even behind a country code.
    fn recognised(&self) -> Option<phonenumber::PhoneNumber> {
        let number = phonenumber::parse(None, &self.0).ok()?;
        (e164(&number) == self.0).then_some(number)
    }
}

/// Loads the tables that numbers are read with. It takes a fifth of a second, which no caller should hear: call it
/// once at the start, away from any socket.
pub fn warm_up() {
    let region = Region(country::Id::US);
    // A number that is read, named and spoken has touched every table.
    if let Ok(number) = PhoneNumber::parse("+1 201 555 0123", region) {
        let _ = (number.country(), number.spoken());
    }
}

/// The numbers in a text, each as the keys one would press for it: digits, perhaps after a `+`. Any word that is no
/// digit ends a number, so that `555 123 4567 and the order is 4 7 8 2` has two.
pub fn numbers_in(text: &str) -> Vec<String> {
    if text.len() > LONGEST_TEXT {
        return Vec::new();
    }
    let text = text.to_lowercase();
    let mut numbers = vec![Keys::default()];
    for word in words(&text) {
        let Some(keys) = numbers.last_mut() else { break };
        if is_filler(word) {
            numbers.push(Keys::default());
        } else if keys.press(word).is_err() {
            let mut next = Keys::default();
            // The word may begin the next number, as a second `+` does.
            let _ = next.press(word);
            numbers.push(next);
        }
    }
    numbers.into_iter().filter_map(|keys| keys.finish().ok()).collect()
}

impl fmt::Debug for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PhoneNumber({})", self.masked())
    }
}

impl From<PhoneNumber> for String {
    fn from(number: PhoneNumber) -> String {
        number.0
    }
}

/// Takes only what [`PhoneNumber::as_e164`] gave; for anything that a person wrote there is [`PhoneNumber::parse`].
impl TryFrom<Cow<'_, str>> for PhoneNumber {
    type Error = PhoneError;

    fn try_from(text: Cow<'_, str>) -> Result<PhoneNumber, PhoneError> {
        if is_e164(&text) { Ok(PhoneNumber(text.into_owned())) } else { Err(PhoneError::NotANumber) }
    }
}

/// A country, by its two-letter ISO 3166 code: where numbers without a country code belong, or may be texted.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Region(country::Id);

impl Region {
    /// The United States.
    pub const US: Region = Region(country::Id::US);

    /// The two letters.
    pub fn as_str(&self) -> &str {
        self.0.as_ref()
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Region({self})")
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text that names no country.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is no two-letter country code such as US")]
pub struct UnknownRegion(String);

/// Reads a country code in either case.
impl FromStr for Region {
    type Err = UnknownRegion;

    fn from_str(text: &str) -> Result<Region, UnknownRegion> {
        let code = text.trim().to_ascii_uppercase();
        code.parse().map(Region).map_err(|_| UnknownRegion(text.chars().take(40).collect()))
    }
}

/// Whether some kind of ordinary subscriber number of this country has so many digits. (The table's own general entry, which
/// should be the union of the kinds, is empty.)
fn has_length(country: &Metadata, digits: usize) -> bool {
    const KINDS: [Type; 7] = [
        Type::FixedLine,
        Type::Mobile,
        Type::TollFree,
        Type::PremiumRate,
        Type::SharedCost,
        Type::PersonalNumber,
        Type::Voip,
    ];
    let descriptors = country.descriptors();
    KINDS
        .into_iter()
        .filter_map(|kind| descriptors.get(kind))
        .any(|kind| kind.possible_length().iter().any(|&length| usize::from(length) == digits))
}

fn e164(number: &phonenumber::PhoneNumber) -> String {
    format!("+{}{}", number.code().value(), number.national())
}

/// What was dialled with `+` and the country code in front, if it was dialled as an international call.
fn international(dialled: &str, region: Region) -> Option<Cow<'_, str>> {
    if dialled.starts_with('+') {
        return Some(Cow::Borrowed(dialled));
    }
    let prefix = DATABASE.by_id(region.as_str())?.international_prefix()?.find(dialled)?;
    (prefix.start() == 0).then(|| Cow::Owned(format!("+{}", &dialled[prefix.end()..])))
}

/// A number with a country code. Only when it is impossible as it stands, a trunk prefix after the code is looked for
/// (`+44 (0)20 …`): some countries' numbers begin with the digit that is also their trunk prefix.
fn read_international(digits: &str) -> Option<String> {
    let (code, national) = split_code(digits)?;
    if is_possible(code, national) {
        return Some(digits.to_owned());
    }
    let number = phonenumber::parse(None, digits).ok()?;
    is_possible(number.code().value(), &number.national().to_string()).then(|| e164(&number))
}

/// A number as it is dialled at home: without its trunk prefix where that is possible, then as it stands; the library
/// knows the rest, such as a country code without `+`.
fn read_national(digits: &str, region: Region) -> Option<String> {
    let country = DATABASE.by_id(region.as_str())?;
    let code = country.country_code();
    let without_prefix = country.national_prefix().and_then(|prefix| digits.strip_prefix(prefix));
    if let Some(national) = without_prefix.into_iter().chain([digits]).find(|national| is_possible(code, national)) {
        return Some(format!("+{code}{national}"));
    }
    let number = phonenumber::parse(Some(region.0), digits).ok()?;
    is_possible(number.code().value(), &number.national().to_string()).then(|| e164(&number))
}

/// Country code and the rest. No country code is the beginning of another one.
fn split_code(e164: &str) -> Option<(u16, &str)> {
    let digits = e164.strip_prefix('+')?;
    (1..=3).find_map(|length| {
        let (code, national) = digits.split_at_checked(length)?;
        let code = code.parse().ok()?;
        DATABASE.by_code(&code).map(|_| (code, national))
    })
}

/// Whether some country with this code has subscriber numbers of this length.
fn is_possible(code: u16, national: &str) -> bool {
    DATABASE.by_code(&code).is_some_and(|countries| {
        countries.into_iter().any(|country| {
            let trunk_prefix = country.national_prefix() == Some("0") && national.starts_with('0');
            !trunk_prefix && has_length(country, national.len())
        })
    })
}

fn is_e164(text: &str) -> bool {
    text.strip_prefix('+').is_some_and(|digits| {
        (7..=15).contains(&digits.len())
            && !digits.starts_with('0')
            && digits.bytes().all(|digit| digit.is_ascii_digit())
    })
}

/// The longest text that can be a number: every digit of the longest one as a word, with polite words around.
const LONGEST_TEXT: usize = 300;

/// The keys that somebody would press for this text: digits, perhaps after a `+`.
fn dialled(text: &str) -> Result<String, PhoneError> {
    if text.len() > LONGEST_TEXT {
        return Err(PhoneError::NotANumber);
    }
    let text = text.to_lowercase();
    let text = text.trim().strip_prefix("tel:").unwrap_or(text.trim());
    let mut keys = Keys::default();
    for word in words(text) {
        keys.press(word)?;
    }
    keys.finish()
}

/// Runs of digits, runs of letters and plus signs; what merely separates them is dropped, any other sign is kept and
/// refused later.
fn words(text: &str) -> impl Iterator<Item = &str> {
    #[derive(PartialEq)]
    enum Kind {
        Digits,
        Letters,
        Between,
        Sign,
    }
    let kind = |character: char| match character {
        '0'..='9' => Kind::Digits,
        '\'' | '’' => Kind::Letters,
        _ if character.is_alphabetic() => Kind::Letters,
        '-' | '–' | '—' | '‑' | '.' | ',' | '(' | ')' | '/' | ':' | ';' | '!' | '?' => Kind::Between,
        _ if character.is_whitespace() => Kind::Between,
        _ => Kind::Sign,
    };
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            let first = kind(rest.chars().next()?);
            let end = rest.char_indices().find(|&(_, next)| kind(next) != first).map_or(rest.len(), |(at, _)| at);
            let (word, after) = rest.split_at(end);
            rest = after;
            if first != Kind::Between {
                return Some(word);
            }
        }
    })
}

#[derive(Default)]
struct Keys {
    pressed: String,
    /// How often the next digit counts, after "double" or "triple".
    times: Option<usize>,
    /// "fifty" was the last word: "fifty five" is 55, not 505.
    after_tens: bool,
}

impl Keys {
    fn press(&mut self, word: &str) -> Result<(), PhoneError> {
        let after_tens = std::mem::take(&mut self.after_tens);
        if let Some(times) = repeated(word) {
            return if self.times.replace(times).is_none() { Ok(()) } else { Err(PhoneError::NotANumber) };
        }
        if let Some(digit) = digit(word) {
            if after_tens && digit != '0' {
                self.pressed.pop();
            }
            self.pressed.extend(std::iter::repeat_n(digit, self.times.take().unwrap_or(1)));
            return Ok(());
        }
        // "double fifty", "triple 55": what should be said twice is anybody's guess.
        if self.times.is_some() {
            return Err(PhoneError::NotANumber);
        }
        if word.bytes().all(|byte| byte.is_ascii_digit()) {
            self.pressed.push_str(word);
        } else if let Some(digits) = teens_and_tens(word) {
            self.after_tens = digits.ends_with('0') && digits != "10";
            self.pressed.push_str(digits);
        } else if matches!(word, "+" | "plus") {
            if !self.pressed.is_empty() {
                return Err(PhoneError::NotANumber);
            }
            self.pressed.push('+');
        } else if matches!(word, "hundred" | "thousand") {
            if !self.pressed.ends_with(|digit: char| matches!(digit, '1'..='9')) {
                return Err(PhoneError::NotANumber);
            }
            self.pressed.push_str(if word == "hundred" { "00" } else { "000" });
        } else if !is_filler(word) {
            return Err(PhoneError::NotANumber);
        }
        Ok(())
    }

    fn finish(self) -> Result<String, PhoneError> {
        let digits = self.pressed.trim_start_matches('+');
        if digits.is_empty() || self.times.is_some() {
            return Err(PhoneError::NotANumber);
        }
        if digits.len() > 20 {
            return Err(PhoneError::WrongLength);
        }
        Ok(self.pressed)
    }
}

fn digit(word: &str) -> Option<char> {
    Some(match word {
        "zero" | "oh" | "o" | "nought" | "naught" | "nil" => '0',
        "one" => '1',
        "two" => '2',
        "three" => '3',
        "four" => '4',
        "five" => '5',
        "six" => '6',
        "seven" => '7',
        "eight" => '8',
        "nine" | "niner" => '9',
        _ => {
            let mut characters = word.chars();
            let only = characters.next().filter(char::is_ascii_digit)?;
            return characters.next().is_none().then_some(only);
        }
    })
}

fn teens_and_tens(word: &str) -> Option<&'static str> {
    Some(match word {
        "ten" => "10",
        "eleven" => "11",
        "twelve" => "12",
        "thirteen" => "13",
        "fourteen" => "14",
        "fifteen" => "15",
        "sixteen" => "16",
        "seventeen" => "17",
        "eighteen" => "18",
        "nineteen" => "19",
        "twenty" => "20",
        "thirty" => "30",
        "forty" => "40",
        "fifty" => "50",
        "sixty" => "60",
        "seventy" => "70",
        "eighty" => "80",
        "ninety" => "90",
        _ => return None,
    })
}

fn repeated(word: &str) -> Option<usize> {
    match word {
        "double" => Some(2),
        "triple" | "treble" => Some(3),
        _ => None,
    }
}

/// Words that people wrap a number in and that cannot be misheard digits.
fn is_filler(word: &str) -> bool {
    matches!(
        word,
        "my" | "the"
            | "phone"
            | "telephone"
            | "cell"
            | "mobile"
            | "number"
            | "is"
            | "it's"
            | "it’s"
            | "its"
            | "it"
            | "area"
            | "country"
            | "code"
            | "and"
            | "then"
            | "dash"
            | "hyphen"
            | "space"
            | "um"
            | "uh"
            | "please"
            | "thanks"
            | "yes"
            | "sure"
    )
}

#[cfg(test)]
mod tests;
