//! What a shop sells: the options of every field, what they cost, which need each other, and how a line is said.
//!
//! A menu is read from one TOML file; see `menus/boba.toml` for every key. It knows the shop's
//! hours, but not what is sold out or whether orders are being taken: that changes during the day, a menu does not.

mod file;
mod photo;
mod speech;

use jiff::tz::TimeZone;

use super::hours::Hours;
use super::matching::{Matcher, Miss};
use super::money::Money;
use super::order::{Choice, Item, one_line};

pub use file::MenuError;
pub use photo::{PhotoKind, PhotoName};

/// One shop's menu. A value of this type has been checked: every name resolves, and nothing is ambiguous.
#[derive(Debug, Clone)]
pub struct Menu {
    name: String,
    currency: Currency,
    time_zone: TimeZone,
    hours: Hours,
    slots: Option<Slots>,
    sentences: Sentences,
    requires: Requires,
    limits: Limits,
    minutes_to_make: Option<u32>,
    /// The base first, then the choices in the file's order; never empty.
    fields: Vec<Field>,
    rules: Vec<Rule>,
    summary: Vec<Piece>,
}

/// What is said outside the conversation itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sentences {
    /// Said by the telephone company while the agent is being reached.
    pub say: String,
    /// The agent's first sentence.
    pub greeting: String,
    /// Said when there is no agent.
    pub say_unavailable: String,
    /// Said when every agent is taken.
    pub say_busy: String,
    /// Said when a call broke.
    pub say_apology: String,
    /// Said before the tone, when nobody can take the order but a message can be left.
    pub say_voicemail: String,
    /// Said when a message was left.
    pub say_thanks: String,
    /// The agent's words when it is back after the connection with it was lost.
    pub back: String,
    /// The agent's words while a tool takes long.
    pub one_moment: String,
    /// The agent's words when the caller has been silent.
    pub still_there: String,
    /// And its goodbye when they stay so.
    pub idle_goodbye: String,
    /// Its goodbye to a line that only makes sounds: music, a recording.
    pub noise_goodbye: String,
    /// Its goodbye when the longest call is over.
    pub late_goodbye: String,
    /// Its words before the caller is put through to a person.
    pub transfer: String,
    /// The order number once more, when the caller did not hear it to its end; `{number}` stands for it.
    pub number_again: String,
}

/// What a telephone order cannot do without.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Requires {
    /// A phone number.
    pub phone: bool,
    /// A name.
    pub name: bool,
}

/// How much may be ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Drinks in one order.
    pub drinks_per_order: u32,
    /// Drinks in a phone number's active orders together.
    pub active_drinks_per_phone: Option<u32>,
}

/// Pick-up times: how long one is, and what can be made for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slots {
    /// A divisor of 60: slots begin at its multiples, counted from the full hour on the shop's clock.
    pub minutes: u32,
    /// Drinks that may be due in one slot, of all orders together.
    pub drinks: u32,
}

/// A currency with hundredths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Currency {
    /// ISO 4217: `USD`.
    pub code: &'static str,
    /// What stands before an amount: `$`.
    pub symbol: &'static str,
}

/// One thing to decide about a drink.
#[derive(Debug, Clone)]
pub struct Field {
    /// Its key in an item's JSON and in the tools' arguments: `toppings`.
    pub name: String,
    /// The key under which its options are listed: `flavors`.
    pub list: String,
    /// How many options a drink has of it.
    pub kind: Kind,
    /// Never empty.
    pub options: Vec<MenuOption>,
    matcher: Matcher,
}

/// How many options of a field a drink has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Exactly one, which has to be said: it is what the drink is.
    Base,
    /// Exactly one; this one, by index, when nothing is said.
    One {
        /// An index into the options.
        default: usize,
    },
    /// Any number.
    Many {
        /// What an empty choice is called: `no toppings`.
        none: String,
    },
}

impl Kind {
    /// As programs and pages are told: `base`, `one` or `many`.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::One { .. } => "one",
            Self::Many { .. } => "many",
        }
    }
}

/// Something that can be chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MenuOption {
    /// What it is called in orders and to customers.
    pub name: String,
    /// What it adds to the price.
    pub price: Money,
    /// Other words for it.
    pub aliases: Vec<String>,
    /// The name of a file with a picture of it, in the folder of pictures beside the menu's file.
    pub photo: Option<PhotoName>,
}

/// An option that needs another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Field and option, by index.
    option: (usize, usize),
    /// Field and option, by index.
    requires: (usize, usize),
    /// Said when the required one is missing.
    pub say: String,
}

/// A piece of the one-line summary.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    /// A field, by index.
    Field(usize),
}

/// What a customer asked for, in their own words or a program's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked {
    /// Field names and what was said for each.
    pub fields: Vec<(String, Said)>,
    /// How many.
    pub quantity: Option<u32>,
    /// Beside the menu; an empty one takes a note away.
    pub note: Option<String>,
}

/// What was said for one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// One text; for a many-choice it may list several options.
    One(String),
    /// Several texts.
    Many(Vec<String>),
}

/// Why no drink came of what was asked. The message is a sentence to say to the customer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The menu has no such field.
    #[error("There is nothing called {field} to choose here.")]
    UnknownField {
        /// The name that was given.
        field: String,
    },
    /// What the drink is was not said.
    #[error("Which {field} would you like? There is {}.", or(.choices))]
    MissingBase {
        /// The base field.
        field: String,
        /// Its options.
        choices: Vec<String>,
    },
    /// The menu has no such option.
    #[error("Sorry, {said} is not on our menu. For {field} there is {}.", or(.choices))]
    UnknownOption {
        /// The field.
        field: String,
        /// What was said, in quotation marks, or "that".
        said: String,
        /// Its options.
        choices: Vec<String>,
    },
    /// It fits several options.
    #[error("Which {field} did you mean: {}?", or(.choices))]
    Ambiguous {
        /// The field.
        field: String,
        /// The options it fits.
        choices: Vec<String>,
    },
    /// An option lacks what it requires.
    #[error("{say}")]
    Rule {
        /// The rule's own sentence.
        say: String,
        /// The option that is missing.
        missing: String,
    },
    /// A drink is made at least once.
    #[error("How many would you like? It has to be at least one.")]
    NoQuantity,
    /// The note is too long.
    #[error("That note is too long for the cup. Could you put it in a few words?")]
    NoteTooLong,
}

impl Menu {
    /// The longest note on a line, in characters.
    pub const LONGEST_NOTE: usize = 200;

    /// Reads a menu file's text.
    ///
    /// # Errors
    /// The line of the first thing that is wrong, and what is expected there.
    pub fn parse(text: &str) -> Result<Menu, MenuError> {
        file::parse(text)
    }

    /// A menu that comes with the program: `boba` or `coffee`.
    pub fn builtin(name: &str) -> Option<Menu> {
        let text = match name {
            "boba" => include_str!("../../menus/boba.toml"),
            "coffee" => include_str!("../../menus/coffee.toml"),
            _ => return None,
        };
        Some(Menu::parse(text).expect("the menus that come with the program are tested"))
    }

    /// The shop's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the prices are in.
    pub fn currency(&self) -> Currency {
        self.currency
    }

    /// Where the shop's clock hangs.
    pub fn time_zone(&self) -> &TimeZone {
        &self.time_zone
    }

    /// When the shop is open.
    pub fn hours(&self) -> &Hours {
        &self.hours
    }

    /// How many drinks may be due when, if the shop says.
    pub fn slots(&self) -> Option<Slots> {
        self.slots
    }

    /// What is said outside the conversation.
    pub fn sentences(&self) -> &Sentences {
        &self.sentences
    }

    /// What a telephone order cannot do without.
    pub fn requires(&self) -> Requires {
        self.requires
    }

    /// How much may be ordered.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// How long one drink takes, if the shop says.
    pub fn minutes_to_make(&self) -> Option<u32> {
        self.minutes_to_make
    }

    /// All fields, the base first, in the order an item's JSON has them.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// What a drink is.
    pub fn base(&self) -> &Field {
        &self.fields[0]
    }

    /// The field of this name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// The rules between options.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The line that was asked for: what is not mentioned takes its default.
    ///
    /// # Errors
    /// See [`Refusal`]; nothing is ever guessed.
    pub fn item(&self, asked: &Asked) -> Result<Item, Refusal> {
        self.build(None, asked)
    }

    /// The line with what was asked for changed, and nothing else.
    ///
    /// # Errors
    /// See [`Refusal`]; nothing is ever guessed.
    pub fn changed(&self, item: &Item, asked: &Asked) -> Result<Item, Refusal> {
        self.build(Some(item), asked)
    }

    /// What one of this drink costs here and now; `None` when it is not on this menu.
    pub fn price(&self, item: &Item) -> Option<Money> {
        let chosen: Option<Vec<_>> = self.fields.iter().map(|field| field.chosen(item.choice(&field.name)?)).collect();
        Some(self.price_of(&chosen?))
    }

    fn build(&self, before: Option<&Item>, asked: &Asked) -> Result<Item, Refusal> {
        if let Some((field, _)) = asked.fields.iter().find(|(name, _)| self.field(name).is_none()) {
            return Err(Refusal::UnknownField { field: shortened(field) });
        }
        let mut chosen = Vec::with_capacity(self.fields.len());
        for field in &self.fields {
            // A field that is named twice is what was said last.
            let said = asked.fields.iter().rev().find_map(|(name, said)| (*name == field.name).then_some(said));
            let kept = || before.and_then(|item| field.chosen(item.choice(&field.name)?));
            chosen.push(match said {
                Some(said) => field.choose(said)?,
                None => kept().or_else(|| field.default()).ok_or_else(|| Refusal::MissingBase {
                    field: field.spoken_name(),
                    choices: field.option_names(),
                })?,
            });
        }
        for rule in &self.rules {
            let has = |(field, option): (usize, usize)| chosen[field].contains(&option);
            if has(rule.option) && !has(rule.requires) {
                let missing = self.fields[rule.requires.0].options[rule.requires.1].name.clone();
                return Err(Refusal::Rule { say: rule.say.clone(), missing });
            }
        }
        let quantity = asked.quantity.or(before.map(|item| item.quantity)).unwrap_or(1);
        if quantity == 0 {
            return Err(Refusal::NoQuantity);
        }
        let note = match &asked.note {
            Some(note) => one_line(note, Self::LONGEST_NOTE).map_err(|_| Refusal::NoteTooLong)?,
            None => before.and_then(|item| item.note.clone()),
        };
        let price = self.price_of(&chosen);
        let fields = self.fields.iter().zip(&chosen).map(|(field, chosen)| (field.name.clone(), field.named(chosen)));
        Ok(Item { fields: fields.collect(), quantity, price, note })
    }

    /// `chosen` has the options of each field, by index.
    fn price_of(&self, chosen: &[Vec<usize>]) -> Money {
        let options = self
            .fields
            .iter()
            .zip(chosen)
            .flat_map(|(field, chosen)| chosen.iter().map(|&option| field.options[option].price));
        options.sum()
    }
}

impl Slots {
    /// Whether slots of so many minutes begin at the same minutes of every hour. Shorter ones than five minutes are a
    /// promise nobody keeps.
    pub fn divides_an_hour(minutes: u32) -> bool {
        minutes >= 5 && 60_u32.is_multiple_of(minutes)
    }
}

impl Rule {
    /// What needs another option: field and option, by index.
    pub fn option(&self) -> (usize, usize) {
        self.option
    }

    /// What it needs: field and option, by index.
    pub fn requires(&self) -> (usize, usize) {
        self.requires
    }
}

impl Field {
    /// The options' names.
    pub fn option_names(&self) -> Vec<String> {
        self.options.iter().map(|option| option.name.clone()).collect()
    }

    /// The field's name for a voice: without underscores.
    pub fn spoken_name(&self) -> String {
        self.name.replace('_', " ")
    }

    /// What a drink gets when nothing is said, by index; `None` for the base.
    fn default(&self) -> Option<Vec<usize>> {
        match self.kind {
            Kind::Base => None,
            Kind::One { default } => Some(vec![default]),
            Kind::Many { .. } => Some(Vec::new()),
        }
    }

    /// The options that were said, by index.
    fn choose(&self, said: &Said) -> Result<Vec<usize>, Refusal> {
        let chosen = match (&self.kind, said) {
            (Kind::Many { .. }, Said::One(text)) => self.matcher.many(&[text]),
            (Kind::Many { .. }, Said::Many(texts)) => self.matcher.many(texts),
            (_, Said::One(text)) => self.matcher.one(text).map(|option| vec![option]),
            (_, Said::Many(texts)) => match &texts[..] {
                [only] => self.matcher.one(only).map(|option| vec![option]),
                _ => Err(Miss::Unknown { said: texts.join(", ") }),
            },
        };
        chosen.map_err(|miss| match miss {
            Miss::Unknown { said } => {
                Refusal::UnknownOption { field: self.spoken_name(), said: quoted(&said), choices: self.option_names() }
            }
            Miss::Ambiguous { options, .. } => Refusal::Ambiguous {
                field: self.spoken_name(),
                choices: options.into_iter().map(|option| self.options[option].name.clone()).collect(),
            },
        })
    }

    /// A stored choice as indices; `None` when an option is not on this menu.
    fn chosen(&self, choice: &Choice) -> Option<Vec<usize>> {
        let index = |name: &String| self.options.iter().position(|option| option.name == *name);
        match (&self.kind, choice) {
            (Kind::Many { .. }, Choice::Many(names)) => names.iter().map(index).collect(),
            (Kind::Base | Kind::One { .. }, Choice::One(name)) => index(name).map(|option| vec![option]),
            _ => None,
        }
    }

    /// Indices as a choice to store.
    fn named(&self, chosen: &[usize]) -> Choice {
        let mut names = chosen.iter().map(|&option| self.options[option].name.clone());
        match self.kind {
            Kind::Many { .. } => Choice::Many(names.collect()),
            Kind::Base | Kind::One { .. } => Choice::One(names.next().unwrap_or_default()),
        }
    }
}

/// What was said, to be repeated in a sentence.
fn quoted(said: &str) -> String {
    if said.trim().is_empty() { "that".to_owned() } else { format!("\"{}\"", shortened(said)) }
}

fn shortened(text: &str) -> String {
    let visible: String = text.chars().filter(|letter| !letter.is_control()).collect();
    match visible.char_indices().nth(40) {
        Some((end, _)) => format!("{}…", &visible[..end]),
        None => visible,
    }
}

/// `a, b or c`.
fn or(choices: &[String]) -> String {
    match choices {
        [] => String::new(),
        [only] => only.clone(),
        [most @ .., last] => format!("{} or {last}", most.join(", ")),
    }
}

#[cfg(test)]
mod tests;
