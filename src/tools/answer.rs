//! A refusal as the agent hears it: a code for the prompt to act on, and a sentence to say.

use serde_json::{Map, Value};

use crate::ordering::cart::CartError;
use crate::ordering::menu::Refusal;
use crate::shop::Lacking;

/// Why a tool did nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Code {
    BadArguments,
    UnknownTool,
    UnknownOption,
    Ambiguous,
    SoldOut,
    Rule,
    Limit,
    PendingItem,
    NoPendingItem,
    BadIndex,
    EmptyCart,
    BadPhone,
    NoPhone,
    NoName,
    NeedsConfirmation,
    DuplicateOrder,
    OrderingClosed,
    NotSaved,
    StillWorking,
}

/// What a tool's outcome can be: `ok`, or the code of the refusal.
pub fn outcomes() -> impl Iterator<Item = &'static str> {
    ["ok"].into_iter().chain(Code::ALL.map(Code::as_str))
}

impl Code {
    /// All of them.
    const ALL: [Self; 19] = [
        Self::BadArguments,
        Self::UnknownTool,
        Self::UnknownOption,
        Self::Ambiguous,
        Self::SoldOut,
        Self::Rule,
        Self::Limit,
        Self::PendingItem,
        Self::NoPendingItem,
        Self::BadIndex,
        Self::EmptyCart,
        Self::BadPhone,
        Self::NoPhone,
        Self::NoName,
        Self::NeedsConfirmation,
        Self::DuplicateOrder,
        Self::OrderingClosed,
        Self::NotSaved,
        Self::StillWorking,
    ];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Code::BadArguments => "BAD_ARGUMENTS",
            Code::UnknownTool => "UNKNOWN_TOOL",
            Code::UnknownOption => "UNKNOWN_OPTION",
            Code::Ambiguous => "AMBIGUOUS",
            Code::SoldOut => "SOLD_OUT",
            Code::Rule => "RULE",
            Code::Limit => "LIMIT",
            Code::PendingItem => "PENDING_ITEM",
            Code::NoPendingItem => "NO_PENDING_ITEM",
            Code::BadIndex => "BAD_INDEX",
            Code::EmptyCart => "EMPTY_CART",
            Code::BadPhone => "BAD_PHONE",
            Code::NoPhone => "NO_PHONE",
            Code::NoName => "NO_NAME",
            Code::NeedsConfirmation => "NEEDS_CONFIRMATION",
            Code::DuplicateOrder => "DUPLICATE_ORDER",
            Code::OrderingClosed => "ORDERING_CLOSED",
            Code::NotSaved => "NOT_SAVED",
            Code::StillWorking => "STILL_WORKING",
        }
    }

    /// Whether the server held the agent back, as against not understanding it.
    pub(super) fn is_guardrail(self) -> bool {
        matches!(
            self,
            Code::SoldOut
                | Code::Rule
                | Code::Limit
                | Code::PendingItem
                | Code::EmptyCart
                | Code::NoPhone
                | Code::NoName
                | Code::NeedsConfirmation
                | Code::DuplicateOrder
                | Code::OrderingClosed
        )
    }
}

/// A tool that did nothing, and why.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Failure {
    pub(super) code: Code,
    error: String,
    /// What there is to choose from, and whatever else the agent needs to go on.
    details: Map<String, Value>,
}

impl Failure {
    /// `error` is a sentence to say.
    pub(super) fn new(code: Code, error: impl Into<String>) -> Failure {
        Failure { code, error: error.into(), details: Map::new() }
    }

    pub(super) fn with(mut self, key: &str, value: impl Into<Value>) -> Failure {
        self.details.insert(key.to_owned(), value.into());
        self
    }

    pub(super) fn to_json(&self) -> Value {
        let mut object = Map::new();
        object.insert("ok".to_owned(), false.into());
        object.insert("code".to_owned(), self.code.as_str().into());
        object.insert("error".to_owned(), self.error.clone().into());
        object.extend(self.details.clone());
        Value::Object(object)
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Failure {
        let error = refusal.to_string();
        match refusal {
            Refusal::UnknownField { .. } | Refusal::NoQuantity | Refusal::NoteTooLong => {
                Failure::new(Code::BadArguments, error)
            }
            Refusal::MissingBase { choices, .. } => Failure::new(Code::BadArguments, error).with("choices", choices),
            Refusal::UnknownOption { choices, .. } => Failure::new(Code::UnknownOption, error).with("choices", choices),
            Refusal::Ambiguous { choices, .. } => Failure::new(Code::Ambiguous, error).with("choices", choices),
            Refusal::Rule { missing, .. } => Failure::new(Code::Rule, error).with("choices", vec![missing]),
        }
    }
}

impl From<Lacking> for Failure {
    fn from(lacking: Lacking) -> Failure {
        let error = lacking.to_string();
        Failure::new(Code::SoldOut, error).with("sold_out", lacking.option).with("choices", lacking.choices)
    }
}

impl From<CartError> for Failure {
    fn from(error: CartError) -> Failure {
        let code = match error {
            CartError::PendingItem => Code::PendingItem,
            CartError::NoPendingItem => Code::NoPendingItem,
            CartError::NeedsConfirmation => Code::NeedsConfirmation,
            CartError::Limit { .. } => Code::Limit,
            CartError::BadIndex { .. } => Code::BadIndex,
            CartError::EmptyCart => Code::EmptyCart,
        };
        Failure::new(code, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_an_outcome() {
        assert!(Code::ALL.iter().enumerate().all(|(n, code)| *code as usize == n));
        assert_eq!(Code::ALL.len(), Code::StillWorking as usize + 1, "it is the last of them");
    }
}
