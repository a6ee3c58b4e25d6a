//! A tool's arguments: what a model wrote, read once into what the tools work with.
//!
//! Models write `"2"` or `2.0` for 2 and an empty text for what they leave out: that is understood. A name that the
//! tool does not have is refused, because the caller would be told that they got it.

use serde_json::{Map, Value};

use super::answer::{Code, Failure};
use crate::ordering::menu::{Asked, Menu, Said};
use crate::ordering::order::one_line;

/// The named arguments; whatever was null or blank is not among them.
#[derive(Debug)]
pub(super) struct Arguments(Map<String, Value>);

impl Arguments {
    /// Reads JSON text: an object, or a string that holds one. Nothing at all is no arguments.
    pub(super) fn parse(text: &str, allowed: &[&str]) -> Result<Arguments, Failure> {
        let object = match read(text) {
            Some(Value::Object(object)) => object,
            Some(Value::Null) => Map::new(),
            Some(Value::String(inner)) => match read(&inner) {
                Some(Value::Object(object)) => object,
                Some(Value::Null) => Map::new(),
                _ => return Err(not_an_object()),
            },
            _ => return Err(not_an_object()),
        };
        let mut arguments = Map::new();
        for (name, value) in object {
            if value.is_null() {
                continue;
            }
            if !allowed.contains(&name.as_str()) {
                let name: String = name.chars().filter(|letter| !letter.is_control()).take(40).collect();
                let known = allowed.iter().map(|name| Value::from(*name)).collect::<Vec<_>>();
                let error = format!("I can't take \"{name}\" here, so nothing was done.");
                return Err(Failure::new(Code::BadArguments, error).with("choices", known));
            }
            if !value.as_str().is_some_and(|text| text.trim().is_empty()) {
                arguments.insert(name, value);
            }
        }
        Ok(Arguments(arguments))
    }

    /// A text on one line.
    pub(super) fn line(&mut self, name: &str, longest: usize) -> Result<Option<String>, Failure> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        one_line(&text, longest).map_err(|_| bad(name, format!("has to be shorter than {longest} characters")))
    }

    /// A text; a number is one, as it is written.
    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>, Failure> {
        match self.0.remove(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(Value::Number(number)) => Ok(Some(number.to_string())),
            Some(_) => Err(bad(name, "has to be a text")),
        }
    }

    /// A yes or no.
    pub(super) fn flag(&mut self, name: &str) -> Result<Option<bool>, Failure> {
        match self.0.remove(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(Value::String(text)) if text.eq_ignore_ascii_case("true") => Ok(Some(true)),
            Some(Value::String(text)) if text.eq_ignore_ascii_case("false") => Ok(Some(false)),
            Some(_) => Err(bad(name, "has to be true or false")),
        }
    }

    /// A whole number from 0 up. One beyond what we count to is as good as the largest: no limit allows it.
    pub(super) fn whole(&mut self, name: &str) -> Result<Option<u32>, Failure> {
        let Some(value) = self.0.remove(name) else { return Ok(None) };
        let number = match &value {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        match number {
            Some(number) if number >= 0.0 && number.fract() == 0.0 => Ok(Some(number as u32)),
            _ => Err(bad(name, "has to be a whole number")),
        }
    }

    /// Which line of the cart.
    pub(super) fn index(&mut self) -> Result<Option<usize>, Failure> {
        Ok(self.whole("index")?.map(|index| index as usize))
    }

    /// What is asked of a drink: whatever is left.
    pub(super) fn asked(mut self, menu: &Menu) -> Result<Asked, Failure> {
        let quantity = self.whole("quantity")?;
        let note = self.text("note")?;
        let mut fields = Vec::new();
        for field in menu.fields() {
            if let Some(value) = self.0.remove(&field.name) {
                fields.push((field.name.clone(), said(&field.name, value)?));
            }
        }
        Ok(Asked { fields, quantity, note })
    }

    /// Whether nothing was named.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A required argument.
pub(super) fn required<T>(name: &str, value: Option<T>) -> Result<T, Failure> {
    value.ok_or_else(|| bad(name, "is missing"))
}

fn bad(name: &str, what: impl AsRef<str>) -> Failure {
    Failure::new(Code::BadArguments, format!("\"{name}\" {}.", what.as_ref())).with("field", name)
}

fn said(name: &str, value: Value) -> Result<Said, Failure> {
    let word = |value: Value| match value {
        Value::String(text) => Ok(text),
        Value::Number(number) => Ok(number.to_string()),
        _ => Err(bad(name, "has to be a text or a list of texts")),
    };
    match value {
        Value::Array(values) => Ok(Said::Many(values.into_iter().map(word).collect::<Result<_, _>>()?)),
        value => Ok(Said::One(word(value)?)),
    }
}

fn read(text: &str) -> Option<Value> {
    if text.trim().is_empty() { Some(Value::Null) } else { serde_json::from_str(text).ok() }
}

fn not_an_object() -> Failure {
    Failure::new(Code::BadArguments, "I couldn't make sense of that, so nothing was done.")
}
