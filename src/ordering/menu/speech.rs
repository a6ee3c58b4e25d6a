//! A menu in words: for the agent's prompt, for the customer, for speech recognition and for the tools' schemas.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{Field, Kind, Menu, MenuOption, Piece};
use crate::ordering::money::Money;
use crate::ordering::order::{Choice, Item, total};

impl Menu {
    /// One line about one line of an order: `taro milk tea | boba | no add-ons | 50%, regular ice`. Several of it and
    /// a note are said too: the customer confirms them.
    pub fn summary(&self, item: &Item) -> String {
        let mut summary = String::new();
        if item.quantity != 1 {
            let _ = write!(summary, "{} x ", item.quantity);
        }
        for piece in &self.summary {
            match piece {
                Piece::Text(text) => summary.push_str(text),
                Piece::Field(field) => summary.push_str(&self.fields[*field].said(item)),
            }
        }
        if let Some(note) = &item.note {
            let _ = write!(summary, " | note: {note}");
        }
        summary
    }

    /// Several lines with what they cost together, to be read back before they are ordered.
    pub fn cart_summary(&self, items: &[Item]) -> String {
        if items.is_empty() {
            return "The cart is empty.".to_owned();
        }
        let lines: Vec<String> = items.iter().map(|item| self.summary(item)).collect();
        format!("{}. Total {}.", lines.join("; "), self.amount(total(items)))
    }

    /// An amount as it is shown and read out: `$6.25`.
    pub fn amount(&self, amount: Money) -> String {
        format!("{}{amount}", self.currency.symbol)
    }

    /// What is on the menu, in sentences to say.
    pub fn spoken(&self) -> String {
        self.spoken_without(|_, _| false)
    }

    /// What is on the menu, in sentences to say, without the options that are left out.
    pub fn spoken_without(&self, left_out: impl Fn(&Field, &MenuOption) -> bool) -> String {
        let mut spoken = String::new();
        for field in &self.fields {
            let there: Vec<&MenuOption> = field.options.iter().filter(|option| !left_out(field, option)).collect();
            let options: Vec<String> = there.iter().map(|option| self.option_with_price(field, option)).collect();
            let (name, options) = (field.spoken_name(), options.join(", "));
            let _ = match &field.kind {
                Kind::Base if there.is_empty() => write!(spoken, "Everything is sold out."),
                Kind::Base => write!(spoken, "We have {options}."),
                _ if there.is_empty() => write!(spoken, " Nothing is left for {name}."),
                Kind::One { default } => {
                    let default = &field.options[*default];
                    // A default that is sold out is none: the caller has to choose.
                    match there.contains(&default) {
                        true => write!(spoken, " For {name}: {options} ({} unless you say otherwise).", default.name),
                        false => write!(spoken, " For {name}: {options}."),
                    }
                }
                Kind::Many { none } => write!(spoken, " For {name}: {options}, or {none}."),
            };
        }
        spoken
    }

    /// The menu as a part of the agent's prompt.
    pub fn prompt(&self) -> String {
        let mut prompt = format!("MENU OF {} (prices in {})\n", self.name, self.currency.code);
        for field in &self.fields {
            let kind = match &field.kind {
                Kind::Base => "what the drink is; always ask".to_owned(),
                Kind::One { default } => format!("exactly one; {} when not mentioned", field.options[*default].name),
                Kind::Many { none } => format!("any number; {none} when not mentioned"),
            };
            let options: Vec<String> =
                field.options.iter().map(|option| self.option_with_price(field, option)).collect();
            let _ = writeln!(prompt, "- {} ({kind}): {}", field.name, options.join("; "));
        }
        for rule in &self.rules {
            let name = |(field, option): (usize, usize)| &self.fields[field].options[option].name;
            let _ = writeln!(prompt, "- {} is only possible with {}", name(rule.option), name(rule.requires));
        }
        let _ = writeln!(prompt, "- at most {} drinks in one order", self.limits.drinks_per_order);
        prompt.push_str("- nothing else is sold; never invent an option or a price\n");
        prompt
    }

    /// Words that speech recognition should expect, each once: the shop's name, every option's, and the other words
    /// for what is no mere degree (a drink or a topping, not "half" or "normal").
    pub fn key_terms(&self) -> Vec<String> {
        let names = self.fields.iter().flat_map(|field| {
            let aliases_too = !matches!(field.kind, Kind::One { .. });
            field.options.iter().flat_map(move |option| {
                let aliases = option.aliases.iter().filter(move |_| aliases_too);
                std::iter::once(&option.name).chain(aliases)
            })
        });
        let mut terms: Vec<String> = Vec::new();
        for term in std::iter::once(&self.name).chain(names) {
            let spoken = term.chars().any(char::is_alphabetic);
            if spoken && !terms.iter().any(|known| known.eq_ignore_ascii_case(term)) {
                terms.push(term.clone());
            }
        }
        terms
    }

    fn option_with_price(&self, field: &Field, option: &MenuOption) -> String {
        match (&field.kind, option.price) {
            (Kind::Base, price) => format!("{} {}", option.name, self.amount(price)),
            (_, Money::ZERO) => option.name.clone(),
            (_, price) => format!("{} {} extra", option.name, self.amount(price)),
        }
    }
}

impl Field {
    /// The JSON schema of a tool's argument for this field.
    pub fn schema(&self) -> Value {
        let name = self.spoken_name();
        match &self.kind {
            Kind::Base => json!({
                "type": "string",
                "enum": self.option_names(),
                "description": format!("The {name} the caller asked for."),
            }),
            Kind::One { default } => json!({
                "type": "string",
                "enum": self.option_names(),
                "description": format!(
                    "The {name}, only if the caller mentioned it; a new drink has {}.",
                    self.options[*default].name
                ),
            }),
            Kind::Many { none } => json!({
                "type": "array",
                "items": {"type": "string", "enum": self.option_names()},
                "description": format!(
                    "All the {name} the caller asked for, and no others; an empty list only for {none}."
                ),
            }),
        }
    }

    /// What a line has of this field, in words.
    fn said(&self, item: &Item) -> String {
        match (item.choice(&self.name), &self.kind) {
            (Some(Choice::One(option)), _) => option.clone(),
            (Some(Choice::Many(options)), _) if !options.is_empty() => options.join(", "),
            (_, Kind::Many { none }) => none.clone(),
            _ => String::new(),
        }
    }
}
