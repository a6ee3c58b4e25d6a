//! An order's lines: the same matching as the agent's tools, at the menu's prices.

use super::fields::{Fields, Stated, quantity, short_text, stated};
use super::problem::{Problem, Problems, Weight};
use crate::ordering::menu::{Asked, Field, Menu, Refusal, Said};
use crate::ordering::{Item, Money};
use serde_json::{Map, Value};

/// Other systems' names for what a drink is.
const BASE: [&str; 2] = ["name", "item_name"];
const QUANTITY: [&str; 2] = ["quantity", "qty"];
const PRICE: [&str; 2] = ["price", "unit_price"];

/// The lines under `items`: those that can be made. There is at least one, or a problem.
pub(super) fn all(fields: &mut Fields<'_>, menu: &Menu, problems: &mut Problems) -> Vec<Item> {
    let objects = fields.take(problems, &["items"], |value| match value {
        Value::Array(lines) if !lines.is_empty() => {
            let objects = lines.iter().map(|line| line.as_object().cloned()).collect::<Option<Vec<_>>>();
            objects.ok_or_else(|| "every line has to be an object".to_owned())
        }
        _ => Err("has to be a list of at least one line".to_owned()),
    });
    if objects.is_none() && !problems.concern(&["items"]) {
        problems.invalid("items", "an order needs at least one line");
    }
    let lines = objects.unwrap_or_default().into_iter().enumerate();
    lines.filter_map(|(index, object)| one(object, index, menu, problems)).collect()
}

/// A price that is not ours, with both.
pub(super) fn mismatch(field: impl Into<String>, given: &Stated, expected: Money) -> Problem {
    let given = given.number();
    let message = format!("{given} was given, and it is {expected}; prices are the shop's, and may be left out");
    let expected = serde_json::to_value(expected).unwrap_or_default();
    Problem::new(Weight::Price, field, message).with("given", given).with("expected", expected)
}

fn one(object: Map<String, Value>, index: usize, menu: &Menu, problems: &mut Problems) -> Option<Item> {
    let mut fields = Fields::new(object, format!("items[{index}]."));
    // A word of the menu's own means what it means there.
    let free = |names: &[&'static str]| -> Vec<&'static str> {
        names.iter().copied().filter(|name| menu.field(name).is_none()).collect()
    };
    let mut asked = Asked::default();
    let mut whole = true;
    for (at, field) in menu.fields().iter().enumerate() {
        let mut spellings = vec![field.name.as_str()];
        if at == 0 {
            spellings.extend(free(&BASE));
        }
        let given = fields.has(&spellings);
        let said = fields.take(problems, &spellings, said);
        whole &= said.is_some() || !given || !concerned(problems, &fields, &spellings);
        asked.fields.extend(said.map(|said| (field.name.clone(), said)));
    }
    asked.quantity = fields.take(problems, &free(&QUANTITY), quantity);
    asked.note = fields.take(problems, &["note"], short_text(Menu::LONGEST_NOTE));
    let price = fields.take(problems, &free(&PRICE), stated);
    let subtotal = fields.take(problems, &["subtotal"], stated);
    let at = |name: &str| format!("items[{index}].{name}");
    fields.finish(problems);
    // A line of which a choice cannot even be read would be refused for the wrong reason.
    if !whole {
        return None;
    }
    let item = menu.item(&asked).map_err(|refusal| problems.add(told(refusal, menu, at))).ok()?;
    for (name, given, ours) in [("price", price, item.price), ("subtotal", subtotal, item.subtotal())] {
        if let Some(given) = given.filter(|given| !given.is(ours)) {
            problems.add(mismatch(at(name), &given, ours));
        }
    }
    Some(item)
}

fn concerned(problems: &Problems, fields: &Fields<'_>, spellings: &[&str]) -> bool {
    spellings.iter().any(|name| problems.concern(&[&fields.named(name)]))
}

fn said(value: &Value) -> Result<Said, String> {
    let refused = || "has to be a text or a list of texts".to_owned();
    let word = |value: &Value| value.as_str().map(str::to_owned).ok_or_else(refused);
    match value {
        Value::Array(values) => values.iter().map(word).collect::<Result<_, _>>().map(Said::Many),
        value => word(value).map(Said::One),
    }
}

fn told(refusal: Refusal, menu: &Menu, at: impl Fn(&str) -> String) -> Problem {
    let message = refusal.to_string();
    // A refusal speaks of a field as a voice would.
    let key = |spoken: &str| {
        let field = menu.fields().iter().find(|field: &&Field| field.spoken_name() == spoken);
        at(field.map_or(spoken, |field| &field.name))
    };
    match &refusal {
        Refusal::UnknownField { field } => Problem::new(Weight::Invalid, at(field), message),
        Refusal::MissingBase { field, choices }
        | Refusal::UnknownOption { field, choices, .. }
        | Refusal::Ambiguous { field, choices } => {
            Problem::new(Weight::Invalid, key(field), message).with("choices", choices.clone())
        }
        Refusal::Rule { missing, .. } => {
            let line = at("");
            Problem::new(Weight::Rule, line.trim_end_matches('.'), message).with("missing", missing.clone())
        }
        Refusal::NoQuantity => Problem::new(Weight::Invalid, at("quantity"), message),
        Refusal::NoteTooLong => Problem::new(Weight::Invalid, at("note"), message),
    }
}
