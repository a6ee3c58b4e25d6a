//! What is wrong with a request: every problem at once, each with the field it is about.

use serde_json::{Map, Value};
use std::fmt;

/// How a problem is answered. The first one here outweighs the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// It cannot be understood, or something is missing.
    Invalid,
    /// It is understood, and a rule of the shop forbids it.
    Rule,
    /// It states a price that is not ours.
    Price,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    weight: Weight,
    /// Where: `items[0].flavor`; empty for the request as a whole.
    field: String,
    message: String,
    /// What helps to mend it: `choices`, or `given` and `expected`.
    more: Map<String, Value>,
}

impl Problem {
    pub(super) fn new(weight: Weight, field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { weight, field: field.into(), message: message.into(), more: Map::new() }
    }

    pub(super) fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.more.insert(key.to_owned(), value.into());
        self
    }

    /// How it is answered.
    pub fn weight(&self) -> Weight {
        self.weight
    }

    /// Where it is: `items[0].flavor`; empty for the request as a whole.
    pub fn field(&self) -> &str {
        &self.field
    }

    /// What is wrong there, to be read after the field's name.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// `choices`, or `given` and `expected`, where there are some.
    pub fn more(&self) -> &Map<String, Value> {
        &self.more
    }

    /// The whole sentence.
    pub fn sentence(&self) -> String {
        if self.field.is_empty() { self.message.clone() } else { format!("{}: {}", self.field, self.message) }
    }
}

/// Why nothing came of a request.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub struct Refused {
    /// Never empty; the heaviest first, otherwise as they were found.
    problems: Vec<Problem>,
}

impl Refused {
    /// Every problem, the heaviest first.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// The heaviest.
    pub fn first(&self) -> &Problem {
        self.problems.first().expect("a refusal has a problem")
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.first().sentence())
    }
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self { problems: vec![problem] }
    }
}

/// Problems as they are found.
#[derive(Debug, Default)]
pub(in crate::web::api) struct Problems(Vec<Problem>);

impl Problems {
    pub(in crate::web::api) fn add(&mut self, problem: Problem) {
        self.0.push(problem);
    }

    /// Something about this field that cannot be understood.
    pub(in crate::web::api) fn invalid(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.add(Problem::new(Weight::Invalid, field, message));
    }

    /// Whether one of these fields has a problem already.
    pub(in crate::web::api) fn concern(&self, fields: &[&str]) -> bool {
        self.0.iter().any(|problem| fields.contains(&problem.field.as_str()))
    }

    pub(in crate::web::api) fn are_none(&self) -> bool {
        self.0.is_empty()
    }

    /// The value, unless anything was wrong. There is none only if something was.
    pub(in crate::web::api) fn or<T>(mut self, value: Option<T>) -> Result<T, Refused> {
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            _ => {
                if self.0.is_empty() {
                    self.invalid("", "the request cannot be understood");
                }
                self.0.sort_by_key(|problem| problem.weight);
                Err(Refused { problems: self.0 })
            }
        }
    }
}

/// A name or value of somebody else's, cut to what fits into a sentence.
pub(in crate::web::api) fn shown(text: &str) -> String {
    let visible = |letter: &char| !letter.is_control();
    let cut: String = text.chars().filter(visible).take(40).collect();
    if text.chars().filter(visible).count() > 40 { format!("{cut}…") } else { cut }
}
