//! Reads settings one by one, collecting every problem instead of stopping at the first.
//!
//! Knows nothing of what a setting means beyond its name in [`super::SETTINGS`].

use secrecy::SecretString;
use std::fmt;
use std::path::Path;

/// One setting that is missing or wrong, and what is expected of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The environment variable's name.
    pub name: &'static str,
    /// What is wrong and what is expected, as a sentence's end: `is missing: …`.
    pub message: String,
}

/// Every problem of a configuration at once. Its text names each setting on a line of its own.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    /// Never empty.
    pub problems: Vec<Problem>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the configuration cannot be used:")?;
        for problem in &self.problems {
            write!(f, "\n  {} {}", problem.name, problem.message)?;
        }
        Ok(())
    }
}

/// Where values come from: the environment in production, a map in tests.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

pub(super) struct Reader<'a> {
    lookup: Lookup<'a>,
    pub(super) problems: Vec<Problem>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(lookup: Lookup<'a>) -> Self {
        Self { lookup, problems: Vec::new() }
    }

    /// The value as text. Empty counts as unset, so that `NAME=` in a file means the default.
    pub(super) fn text(&mut self, name: &'static str) -> Option<String> {
        debug_assert!(super::SETTINGS.iter().any(|setting| setting.name == name), "{name} is not in SETTINGS");
        (self.lookup)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    pub(super) fn text_or(&mut self, name: &'static str, default: &str) -> String {
        self.text(name).unwrap_or_else(|| default.to_owned())
    }

    /// A value that `parse` accepts; otherwise a problem that says what was `expected`.
    pub(super) fn parsed<T>(
        &mut self,
        name: &'static str,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let value = self.text(name)?;
        let parsed = parse(&value);
        if parsed.is_none() {
            self.problem(name, format!("is malformed: expected {expected}"));
        }
        parsed
    }

    pub(super) fn boolean(&mut self, name: &'static str, default: bool) -> bool {
        self.parsed(name, "true or false", |text| match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Some(true),
            "false" | "0" | "no" | "off" => Some(false),
            _ => None,
        })
        .unwrap_or(default)
    }

    pub(super) fn number(&mut self, name: &'static str, default: u64, range: std::ops::RangeInclusive<u64>) -> u64 {
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        self.parsed(name, &expected, |text| text.parse().ok().filter(|number| range.contains(number)))
            .unwrap_or(default)
    }

    /// A secret, from `NAME` or from the file that `NAME_FILE` names (which must then be readable).
    pub(super) fn secret(&mut self, name: &'static str) -> Option<SecretString> {
        if let Some(value) = self.text(name) {
            return Some(SecretString::from(value));
        }
        let file = (self.lookup)(&format!("{name}_FILE")).filter(|path| !path.trim().is_empty())?;
        match std::fs::read_to_string(Path::new(file.trim())) {
            Ok(text) if text.trim().is_empty() => {
                self.problem(name, format!("is missing: the file that {name}_FILE names is empty"));
                None
            }
            Ok(text) => Some(SecretString::from(text.trim().to_owned())),
            Err(error) => {
                self.problem(name, format!("is missing: the file that {name}_FILE names cannot be read ({error})"));
                None
            }
        }
    }

    /// A problem when a setting is not `present`, unless more has been told of it already.
    pub(super) fn need(&mut self, name: &'static str, present: bool, why: &str) {
        if !present && !self.problems.iter().any(|problem| problem.name == name) {
            self.problem(name, format!("is missing: {why}"));
        }
    }

    pub(super) fn problem(&mut self, name: &'static str, message: impl Into<String>) {
        self.problems.push(Problem { name, message: message.into() });
    }
}
