//! What is sold out at the moment, and what that means for a drink.
//!
//! An option that needs a sold-out one cannot be had either. Knows the menu and names; not when or why.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::ordering::menu::{Field, Kind, Menu, MenuOption, Refusal, Rule};
use crate::ordering::order::{Choice, Item};

use super::state::{SoldOut, StateError};

/// The menu without what cannot be had.
#[derive(Debug, Clone)]
pub struct Stock {
    menu: Arc<Menu>,
    /// Field and option, by index: what is sold out, and what needs it.
    out: BTreeSet<(usize, usize)>,
}

/// An option that a drink has and the shop has not. The message is a sentence to say.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Sorry, {option} is sold out.{}", instead(.field, .choices))]
pub struct Lacking {
    /// What is sold out.
    pub option: String,
    /// What it is a choice of, for a voice.
    pub field: String,
    /// What there is instead.
    pub choices: Vec<String>,
}

impl Stock {
    /// What is left when these are sold out; names that the menu does not have count for nothing.
    pub(super) fn new(menu: Arc<Menu>, sold_out: &BTreeSet<SoldOut>) -> Self {
        let mut out: BTreeSet<_> = sold_out.iter().filter_map(|name| find(&menu, name).ok()).collect();
        // What needs something may be needed itself.
        loop {
            let needs = |rule: &&Rule| out.contains(&rule.requires());
            let more: Vec<_> = menu.rules().iter().filter(needs).map(|rule| rule.option()).collect();
            let before = out.len();
            out.extend(more);
            if out.len() == before {
                return Self { menu, out };
            }
        }
    }

    /// Whether nothing is sold out.
    pub fn is_complete(&self) -> bool {
        self.out.is_empty()
    }

    /// Whether this option of this field of the menu can be had.
    pub fn has(&self, field: &Field, option: &MenuOption) -> bool {
        self.place(field, option).is_some_and(|place| !self.out.contains(&place))
    }

    /// The name that an option of this field of the menu is sold out by; none: the menu has no such option.
    pub fn sold_out_name(&self, field: &Field, option: &MenuOption) -> Option<SoldOut> {
        self.place(field, option).map(|place| canonical(&self.menu, place))
    }

    /// The names of a field's options that can be had.
    pub fn options(&self, field: &Field) -> Vec<String> {
        field.options.iter().filter(|option| self.has(field, option)).map(|option| option.name.clone()).collect()
    }

    /// The first thing that a drink has and the shop has not.
    pub fn lacking(&self, item: &Item) -> Option<Lacking> {
        let lacks = |(field, option): &(usize, usize)| {
            let field = &self.menu.fields()[*field];
            let name = &field.options[*option].name;
            match item.choice(&field.name)? {
                Choice::One(chosen) if chosen == name => Some(self.told(field, name)),
                Choice::Many(chosen) if chosen.contains(name) => Some(self.told(field, name)),
                Choice::One(_) | Choice::Many(_) => None,
            }
        };
        self.out.iter().find_map(lacks)
    }

    /// What a drink is really refused for: one whose rule asks for something that is sold out must not be offered it.
    pub fn lacking_for(&self, refusal: &Refusal) -> Option<Lacking> {
        let Refusal::Rule { say, missing } = refusal else { return None };
        let name = |(field, option): (usize, usize)| {
            let field = &self.menu.fields()[field];
            (field, &field.options[option].name)
        };
        let mut rules = self.menu.rules().iter();
        let rule = rules.find(|rule| {
            rule.say == *say && self.out.contains(&rule.requires()) && name(rule.requires()).1 == missing
        })?;
        let (field, option) = name(rule.option());
        Some(self.told(field, option))
    }

    /// Every option that cannot be had, for a voice: `boba (toppings)`.
    pub(super) fn said(&self) -> Vec<String> {
        let said = |(field, option): &(usize, usize)| {
            let field = &self.menu.fields()[*field];
            let name = &field.options[*option].name;
            // What a drink is needs no field's name beside it.
            match field.kind {
                Kind::Base => name.clone(),
                Kind::One { .. } | Kind::Many { .. } => format!("{name} ({})", field.spoken_name()),
            }
        };
        self.out.iter().map(said).collect()
    }

    fn place(&self, field: &Field, option: &MenuOption) -> Option<(usize, usize)> {
        let at = self.menu.fields().iter().position(|of| of.name == field.name)?;
        let of = self.menu.fields().get(at)?;
        Some((at, of.options.iter().position(|other| other.name == option.name)?))
    }

    fn told(&self, field: &Field, option: &str) -> Lacking {
        Lacking { option: option.to_owned(), field: field.spoken_name(), choices: self.options(field) }
    }
}

/// The option that a name stands for: an option's own name if only one field has it, or `field:option`.
pub(super) fn find(menu: &Menu, name: &SoldOut) -> Result<(usize, usize), StateError> {
    let places = || {
        let fields = menu.fields().iter().enumerate();
        fields.flat_map(|(at, field)| field.options.iter().enumerate().map(move |(option, _)| (at, option)))
    };
    let text = name.as_str();
    let named = |(field, option): &(usize, usize)| menu.fields()[*field].options[*option].name == text;
    let whole = |(field, option): &(usize, usize)| qualified(menu, (*field, *option)) == text;
    let by_name: Vec<_> = places().filter(named).collect();
    match by_name[..] {
        [only] => Ok(only),
        [] => places().find(whole).ok_or_else(|| StateError::Unknown {
            name: text.chars().filter(|letter| !letter.is_control()).take(60).collect(),
            choices: places().map(|place| canonical(menu, place).as_str().to_owned()).collect(),
        }),
        _ => Err(StateError::Ambiguous {
            name: text.to_owned(),
            choices: by_name.iter().map(|place| qualified(menu, *place)).collect(),
        }),
    }
}

/// The one spelling of an option: its name, with its field where another field has the same.
pub(super) fn canonical(menu: &Menu, (field, option): (usize, usize)) -> SoldOut {
    let name = &menu.fields()[field].options[option].name;
    let same = menu.fields().iter().flat_map(|field| &field.options).filter(|other| other.name == *name).count();
    SoldOut::from(if same == 1 { name.clone() } else { qualified(menu, (field, option)) })
}

fn qualified(menu: &Menu, (field, option): (usize, usize)) -> String {
    let field = &menu.fields()[field];
    format!("{}:{}", field.name, field.options[option].name)
}

/// What to say after "is sold out".
fn instead(field: &str, choices: &[String]) -> String {
    match choices {
        [] => String::new(),
        [only] => format!(" For {field} there is {only}."),
        [most @ .., last] => format!(" For {field} there is {} or {last}.", most.join(", ")),
    }
}
