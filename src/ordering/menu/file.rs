//! A menu file: its TOML shape, and everything that could be wrong with it.

mod times;

use std::collections::HashMap;
use std::ops::Range;

use jiff::tz::TimeZone;
use serde::Deserialize;
use toml::Spanned;

use super::{Currency, Field, Kind, Limits, Menu, MenuOption, PhotoName, Piece, Requires, Rule, Sentences};
use crate::ordering::matching::Matcher;
use crate::ordering::money::Money;
use crate::ordering::order::Item;
use times::{HoursTable, SlotsTable};

/// What is wrong with a menu file, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct MenuError {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong and what is expected.
    pub message: String,
}

/// Currencies whose amounts have hundredths, with the sign that stands before an amount.
const CURRENCIES: [Currency; 20] = [
    Currency { code: "USD", symbol: "$" },
    Currency { code: "EUR", symbol: "€" },
    Currency { code: "GBP", symbol: "£" },
    Currency { code: "CAD", symbol: "CA$" },
    Currency { code: "AUD", symbol: "A$" },
    Currency { code: "NZD", symbol: "NZ$" },
    Currency { code: "CHF", symbol: "CHF " },
    Currency { code: "SEK", symbol: "SEK " },
    Currency { code: "NOK", symbol: "NOK " },
    Currency { code: "DKK", symbol: "DKK " },
    Currency { code: "PLN", symbol: "PLN " },
    Currency { code: "CZK", symbol: "CZK " },
    Currency { code: "SGD", symbol: "S$" },
    Currency { code: "HKD", symbol: "HK$" },
    Currency { code: "TWD", symbol: "NT$" },
    Currency { code: "MXN", symbol: "MX$" },
    Currency { code: "BRL", symbol: "R$" },
    Currency { code: "INR", symbol: "₹" },
    Currency { code: "PHP", symbol: "₱" },
    Currency { code: "ZAR", symbol: "R " },
];

/// Names that tools and items use themselves.
const RESERVED: [&str; 4] = ["index", "ok", "summary", "items"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MenuFile {
    name: Spanned<String>,
    currency: Spanned<String>,
    time_zone: Spanned<String>,
    say: Spanned<String>,
    greeting: Spanned<String>,
    say_unavailable: Option<Spanned<String>>,
    say_busy: Option<Spanned<String>>,
    say_apology: Option<Spanned<String>>,
    say_voicemail: Option<Spanned<String>>,
    say_thanks: Option<Spanned<String>>,
    back: Option<Spanned<String>>,
    one_moment: Option<Spanned<String>>,
    still_there: Option<Spanned<String>>,
    idle_goodbye: Option<Spanned<String>>,
    noise_goodbye: Option<Spanned<String>>,
    late_goodbye: Option<Spanned<String>>,
    transfer: Option<Spanned<String>>,
    number_again: Option<Spanned<String>>,
    #[serde(default)]
    requires: Vec<Spanned<String>>,
    minutes_to_make: Option<Spanned<u32>>,
    summary: Spanned<String>,
    limits: LimitsTable,
    base: BaseTable,
    #[serde(default, rename = "choice")]
    choices: Vec<ChoiceTable>,
    #[serde(default, rename = "rule")]
    rules: Vec<RuleTable>,
    hours: Option<Spanned<HoursTable>>,
    slots: Option<SlotsTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LimitsTable {
    drinks_per_order: Spanned<u32>,
    active_drinks_per_phone: Option<Spanned<u32>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BaseTable {
    field: Spanned<String>,
    list: Spanned<String>,
    #[serde(default)]
    words: Vec<String>,
    price: Option<Spanned<Money>>,
    options: Spanned<Vec<OptionTable>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChoiceTable {
    field: Spanned<String>,
    list: Spanned<String>,
    kind: Spanned<ChoiceKind>,
    default: Option<Spanned<String>>,
    none: Option<Spanned<Vec<String>>>,
    #[serde(default)]
    words: Vec<String>,
    price: Option<Spanned<Money>>,
    options: Spanned<Vec<OptionTable>>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum ChoiceKind {
    One,
    Many,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OptionTable {
    name: Spanned<String>,
    price: Option<Spanned<Money>>,
    #[serde(default)]
    aliases: Vec<String>,
    #[serde(default)]
    plurals: Vec<String>,
    photo: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleTable {
    option: OptionName,
    requires: OptionName,
    say: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OptionName {
    field: Spanned<String>,
    name: Spanned<String>,
}

pub(super) fn parse(text: &str) -> Result<Menu, MenuError> {
    let file = Source { text };
    let menu: MenuFile = toml::from_str(text).map_err(|error| {
        let at = error.span().unwrap_or(0..0);
        file.error(at, error.message().to_owned())
    })?;
    file.menu(menu)
}

/// A file's text, to tell the line of a position in it.
struct Source<'a> {
    text: &'a str,
}

impl Source<'_> {
    fn error(&self, at: Range<usize>, message: impl Into<String>) -> MenuError {
        let before = self.text.get(..at.start).unwrap_or(self.text);
        MenuError { line: before.matches('\n').count() + 1, message: message.into() }
    }

    fn wrong<T>(&self, at: &Spanned<T>, message: impl Into<String>) -> MenuError {
        self.error(at.span(), message)
    }

    fn menu(&self, file: MenuFile) -> Result<Menu, MenuError> {
        let currency = CURRENCIES.into_iter().find(|known| known.code == file.currency.as_ref());
        let currency = currency.ok_or_else(|| {
            let known: Vec<&str> = CURRENCIES.iter().map(|known| known.code).collect();
            let unknown = file.currency.as_ref();
            self.wrong(&file.currency, format!("unknown currency \"{unknown}\"; expected one of {}", known.join(", ")))
        })?;
        let time_zone = TimeZone::get(file.time_zone.as_ref()).map_err(|_| {
            let unknown = file.time_zone.as_ref();
            let message = format!("unknown time zone \"{unknown}\"; expected an IANA name such as America/Los_Angeles");
            self.wrong(&file.time_zone, message)
        })?;
        let hours = self.hours(file.hours.as_ref(), time_zone.clone())?;
        let slots = self.slots(file.slots.as_ref())?;
        let mut requires = Requires::default();
        for word in &file.requires {
            match word.as_ref().as_str() {
                "phone" => requires.phone = true,
                "name" => requires.name = true,
                other => {
                    return Err(self.wrong(word, format!("\"{other}\" cannot be required; expected phone or name")));
                }
            }
        }
        let limits = Limits {
            drinks_per_order: self.positive(&file.limits.drinks_per_order)?,
            active_drinks_per_phone: match &file.limits.active_drinks_per_phone {
                Some(limit) => Some(self.positive(limit)?),
                None => None,
            },
        };
        let minutes_to_make = match &file.minutes_to_make {
            Some(minutes) => Some(self.positive(minutes)?),
            None => None,
        };
        let name = self.sentence(&file.name)?;
        let or_default = |sentence: &Option<Spanned<String>>, default: &str| match sentence {
            Some(sentence) => self.sentence(sentence),
            None => Ok(default.to_owned()),
        };
        let sentences = Sentences {
            say: self.sentence(&file.say)?,
            greeting: self.sentence(&file.greeting)?,
            say_unavailable: or_default(
                &file.say_unavailable,
                "Sorry, nobody can take your order right now. Please call again in a few minutes.",
            )?,
            say_busy: or_default(
                &file.say_busy,
                "Sorry, all lines are busy right now. Please call again in a few minutes.",
            )?,
            say_apology: or_default(
                &file.say_apology,
                "Sorry, something went wrong. Please call again; nothing was ordered unless you heard an order number.",
            )?,
            say_voicemail: or_default(
                &file.say_voicemail,
                "You can leave a message after the tone; press the pound key when you have finished.",
            )?,
            say_thanks: or_default(&file.say_thanks, "Thank you, we have your message.")?,
            back: or_default(&file.back, "Sorry, the line dropped for a moment. I'm back.")?,
            one_moment: or_default(&file.one_moment, "One moment, please.")?,
            still_there: or_default(&file.still_there, "Are you still there?")?,
            idle_goodbye: or_default(
                &file.idle_goodbye,
                "I can't hear anyone, so I'll hang up now. Please call again. Goodbye!",
            )?,
            noise_goodbye: or_default(
                &file.noise_goodbye,
                "I'm sorry, I can't take an order like this, so I'll hang up now. Please call again. Goodbye!",
            )?,
            late_goodbye: or_default(
                &file.late_goodbye,
                "I'm sorry, I have to end this call now. Please call again if anything is missing. Goodbye!",
            )?,
            transfer: or_default(&file.transfer, "One moment, I'm putting you through.")?,
            number_again: self.number_again(&file)?,
        };

        let mut fields = vec![self.base(file.base)?];
        for choice in file.choices {
            let field = self.choice(&choice)?;
            if fields.iter().any(|other| other.name == field.name) {
                return Err(self.wrong(&choice.field, format!("field \"{}\" is there already", field.name)));
            }
            if fields.iter().any(|other| other.list == field.list) {
                return Err(self.wrong(&choice.list, format!("list \"{}\" is there already", field.list)));
            }
            fields.push(field);
        }
        let mut rules = Vec::with_capacity(file.rules.len());
        for rule in &file.rules {
            let option = self.option(&fields, &rule.option)?;
            let requires = self.option(&fields, &rule.requires)?;
            if option == requires {
                return Err(self.wrong(&rule.requires.name, "an option cannot require itself"));
            }
            rules.push(Rule { option, requires, say: self.sentence(&rule.say)? });
        }
        let summary = self.summary(&file.summary, &fields)?;
        Ok(Menu {
            name,
            currency,
            time_zone,
            hours,
            slots,
            sentences,
            requires,
            limits,
            minutes_to_make,
            fields,
            rules,
            summary,
        })
    }

    fn base(&self, table: BaseTable) -> Result<Field, MenuError> {
        let name = self.key(&table.field)?;
        let list = self.key(&table.list)?;
        let prices = Prices { each: table.price.as_ref(), required: true };
        let options = self.options(&table.options, prices)?;
        let matcher = self.matcher(&table.options, &name, &list, &table.words, &[])?;
        Ok(Field { name, list, kind: Kind::Base, options, matcher })
    }

    fn choice(&self, table: &ChoiceTable) -> Result<Field, MenuError> {
        let name = self.key(&table.field)?;
        let list = self.key(&table.list)?;
        let prices = Prices { each: table.price.as_ref(), required: false };
        let options = self.options(&table.options, prices)?;
        let no_words = Vec::new();
        let none = table.none.as_ref().map_or(&no_words, |none| none.as_ref());
        let matcher = self.matcher(&table.options, &name, &list, &table.words, none)?;
        let kind = match (table.kind.as_ref(), &table.default, &table.none) {
            (ChoiceKind::One, Some(default), None) => {
                let found = options.iter().position(|option| option.name == *default.as_ref());
                let names: Vec<&str> = options.iter().map(|option| option.name.as_str()).collect();
                let default = found.ok_or_else(|| {
                    let unknown = default.as_ref();
                    self.wrong(
                        default,
                        format!("default \"{unknown}\" is no option; expected one of {}", names.join(", ")),
                    )
                })?;
                Kind::One { default }
            }
            (ChoiceKind::One, None, _) => {
                return Err(self.wrong(&table.kind, "a choice of kind \"one\" needs a default"));
            }
            (ChoiceKind::One, _, Some(none)) => {
                return Err(
                    self.wrong(none, "\"none\" belongs to kind \"many\"; a choice of kind \"one\" is never empty")
                );
            }
            (ChoiceKind::Many, Some(default), _) => {
                return Err(
                    self.wrong(default, "\"default\" belongs to kind \"one\"; a choice of kind \"many\" starts empty")
                );
            }
            (ChoiceKind::Many, None, None) => {
                return Err(self.wrong(
                    &table.kind,
                    "a choice of kind \"many\" needs none = [\"no …\", …]: how an empty choice is said",
                ));
            }
            (ChoiceKind::Many, None, Some(none)) => {
                match none.as_ref().first().filter(|none| !none.trim().is_empty()) {
                    Some(first) => Kind::Many { none: first.clone() },
                    None => return Err(self.wrong(none, "expected at least one way to say that none is wanted")),
                }
            }
        };
        Ok(Field { name, list, kind, options, matcher })
    }

    fn options(&self, tables: &Spanned<Vec<OptionTable>>, prices: Prices<'_>) -> Result<Vec<MenuOption>, MenuError> {
        if tables.as_ref().is_empty() {
            return Err(self.wrong(tables, "expected at least one option"));
        }
        let mut options: Vec<MenuOption> = Vec::with_capacity(tables.as_ref().len());
        for table in tables.as_ref() {
            let name = self.sentence(&table.name)?;
            let price = match table.price.as_ref().or(prices.each) {
                Some(price) if price.as_ref().cents() < 0 => {
                    return Err(self.wrong(price, "a price cannot be negative"));
                }
                Some(price) => *price.as_ref(),
                None if prices.required => {
                    return Err(self.wrong(&table.name, format!("\"{name}\" has no price, and neither has its field")));
                }
                None => Money::ZERO,
            };
            let aliases = table.aliases.iter().chain(&table.plurals).cloned().collect();
            let photo = table.photo.as_ref().map(|photo| self.photo(photo)).transpose()?;
            options.push(MenuOption { name, price, aliases, photo });
        }
        Ok(options)
    }

    fn matcher(
        &self,
        tables: &Spanned<Vec<OptionTable>>,
        name: &str,
        list: &str,
        words: &[String],
        none: &[String],
    ) -> Result<Matcher, MenuError> {
        let names = tables.as_ref().iter().map(|table| {
            let others = table.aliases.iter().chain(&table.plurals);
            std::iter::once(table.name.as_ref()).chain(others).map(String::as_str).collect()
        });
        let matcher = Matcher::new(names, none, words.iter().map(String::as_str).chain([name, list]));
        let at = |option: usize| &tables.as_ref()[option].name;
        if let Some((first, second)) = matcher.clash() {
            let (first, second) = (at(first), at(second));
            let message =
                format!("\"{}\" and \"{}\" share a name, an alias or a plural", first.as_ref(), second.as_ref());
            return Err(self.wrong(second, message));
        }
        if let Some(option) = matcher.clash_with_none().filter(|_| !none.is_empty()) {
            let message = format!("a name of \"{}\" also means that none is wanted", at(option).as_ref());
            return Err(self.wrong(at(option), message));
        }
        Ok(matcher)
    }

    fn option(&self, fields: &[Field], named: &OptionName) -> Result<(usize, usize), MenuError> {
        let field = fields.iter().position(|field| field.name == *named.field.as_ref()).ok_or_else(|| {
            let names: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
            self.unknown(&named.field, "field", &names)
        })?;
        let names: Vec<&str> = fields[field].options.iter().map(|option| option.name.as_str()).collect();
        let option = names.iter().position(|name| *name == named.name.as_ref().as_str());
        Ok((field, option.ok_or_else(|| self.unknown(&named.name, "option", &names))?))
    }

    /// The summary's pieces. Every field has to be in it, once: a customer confirms what the summary says.
    fn summary(&self, template: &Spanned<String>, fields: &[Field]) -> Result<Vec<Piece>, MenuError> {
        let places: HashMap<&str, usize> = fields.iter().enumerate().map(|(at, field)| (&*field.name, at)).collect();
        let mut pieces = Vec::new();
        let mut rest = template.as_ref().as_str();
        while let Some((text, after)) = rest.split_once('{') {
            let Some((name, after)) = after.split_once('}') else {
                return Err(self.wrong(template, "a { without its }"));
            };
            let names: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
            let Some(&field) = places.get(name) else {
                return Err(
                    self.wrong(template, format!("unknown field {{{name}}}; expected one of {}", names.join(", ")))
                );
            };
            if !text.is_empty() {
                pieces.push(Piece::Text(text.to_owned()));
            }
            pieces.push(Piece::Field(field));
            rest = after;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        for (at, field) in fields.iter().enumerate() {
            if pieces.iter().filter(|piece| **piece == Piece::Field(at)).count() != 1 {
                let message =
                    format!("{{{}}} has to appear in it, once: it is what the customer says yes to", field.name);
                return Err(self.wrong(template, message));
            }
        }
        Ok(pieces)
    }

    fn unknown(&self, name: &Spanned<String>, what: &str, known: &[&str]) -> MenuError {
        let unknown = name.as_ref();
        self.wrong(name, format!("unknown {what} \"{unknown}\"; expected one of {}", known.join(", ")))
    }

    /// What the order number is said again with: the shop's sentence, which has to name it, or ours.
    fn number_again(&self, file: &MenuFile) -> Result<String, MenuError> {
        const NUMBER: &str = "{number}";
        match &file.number_again {
            Some(sentence) if !sentence.get_ref().contains(NUMBER) => {
                Err(self.wrong(sentence, format!("expected {NUMBER} where the order number is said")))
            }
            Some(sentence) => self.sentence(sentence),
            None => Ok(format!("Once more, your order number is {NUMBER}.")),
        }
    }

    /// A picture's file. Whether it is there is seen by whoever has the folder.
    fn photo(&self, name: &Spanned<String>) -> Result<PhotoName, MenuError> {
        PhotoName::parse(name.as_ref()).ok_or_else(|| {
            let wrong = name.as_ref();
            let message = format!(
                "\"{wrong}\" cannot be a picture's name; expected letters, digits, \"_\", \"-\" and \".\", with jpg, png, webp \
                 or avif at the end"
            );
            self.wrong(name, message)
        })
    }

    /// A name or sentence: something visible on one line.
    fn sentence(&self, text: &Spanned<String>) -> Result<String, MenuError> {
        let trimmed = text.as_ref().trim();
        if trimmed.is_empty() || trimmed.chars().any(char::is_control) {
            return Err(self.wrong(text, "expected some text on one line"));
        }
        Ok(trimmed.to_owned())
    }

    /// A name for JSON and tools.
    fn key(&self, text: &Spanned<String>) -> Result<String, MenuError> {
        let key = text.as_ref();
        let letters = key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_' || byte.is_ascii_digit());
        if !letters || !key.starts_with(|first: char| first.is_ascii_lowercase()) || key.len() > 40 {
            let message = format!("\"{key}\" cannot be a key; expected lower-case letters, digits and _");
            return Err(self.wrong(text, message));
        }
        if Item::OWN_KEYS.contains(&key.as_str()) || RESERVED.contains(&key.as_str()) {
            return Err(self.wrong(text, format!("\"{key}\" is used by every order itself; choose another key")));
        }
        Ok(key.clone())
    }

    fn positive(&self, number: &Spanned<u32>) -> Result<u32, MenuError> {
        match *number.as_ref() {
            0 => Err(self.wrong(number, "expected at least 1")),
            number => Ok(number),
        }
    }
}

#[derive(Clone, Copy)]
struct Prices<'a> {
    /// The price of each option without one of its own.
    each: Option<&'a Spanned<Money>>,
    /// Whether an option without any price is a mistake; otherwise it is free.
    required: bool,
}
