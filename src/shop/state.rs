//! What the staff says about the shop: paused, and what is sold out. A value, as it is on the wire and in the store.
//!
//! Names are checked against the menu by the shop that takes the state, not here.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// On the wire, a pause without an end.
const RESUMED: &str = "resumed";

/// `{"paused_until"?: "2024-01-01T12:00:00Z" or "resumed", "sold_out": ["boba", "milk:regular"]}`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShopState {
    /// Whether orders are being taken.
    #[serde(rename = "paused_until", default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<Paused>,
    /// What there is no more of.
    #[serde(default)]
    pub sold_out: BTreeSet<SoldOut>,
}

/// Until when no orders are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Paused {
    /// Until somebody resumes; on the wire `"resumed"`.
    UntilResumed,
    /// Until this instant.
    Until(Timestamp),
}

/// The name of an option that is sold out: the option's own where only one field has it, otherwise `field:option`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SoldOut(String);

/// Why a state was not taken; nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// The menu has no such option.
    #[error("\"{name}\" is not on the menu; expected one of {}", .choices.join(", "))]
    Unknown {
        /// What was given.
        name: String,
        /// Every option.
        choices: Vec<String>,
    },
    /// Several fields have an option of this name.
    #[error("\"{name}\" is in several places on the menu; expected one of {}", .choices.join(", "))]
    Ambiguous {
        /// What was given.
        name: String,
        /// The same with its fields.
        choices: Vec<String>,
    },
    /// A pause that would be over already.
    #[error("the pause would end in the past ({0})")]
    PausedInThePast(Timestamp),
}

/// A text that says no pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected an instant such as 2024-01-01T12:00:00Z, or \"{RESUMED}\" for a pause without an end")]
pub struct NoPause;

impl Paused {
    /// Whether the pause still holds.
    pub fn holds(self, now: Timestamp) -> bool {
        match self {
            Self::UntilResumed => true,
            Self::Until(end) => now < end,
        }
    }

    /// When it ends by itself.
    pub fn end(self) -> Option<Timestamp> {
        match self {
            Self::UntilResumed => None,
            Self::Until(end) => Some(end),
        }
    }
}

impl TryFrom<String> for Paused {
    type Error = NoPause;

    fn try_from(text: String) -> Result<Self, NoPause> {
        match text.as_str() {
            RESUMED => Ok(Self::UntilResumed),
            instant => instant.parse().map(Self::Until).map_err(|_| NoPause),
        }
    }
}

impl From<Paused> for String {
    fn from(paused: Paused) -> Self {
        match paused {
            Paused::UntilResumed => RESUMED.to_owned(),
            Paused::Until(end) => end.to_string(),
        }
    }
}

impl SoldOut {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for SoldOut {
    fn from(name: String) -> Self {
        Self(name)
    }
}

impl From<&str> for SoldOut {
    fn from(name: &str) -> Self {
        Self(name.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_wire_is_what_it_says() {
        for (wire, paused) in [
            (json!({"sold_out": ["boba", "milk:regular"]}), None),
            (json!({"paused_until": "resumed", "sold_out": []}), Some(Paused::UntilResumed)),
            (
                json!({"paused_until": "2024-01-01T12:30:00Z", "sold_out": []}),
                Some(Paused::Until("2024-01-01T12:30:00Z".parse().unwrap())),
            ),
        ] {
            let state: ShopState = serde_json::from_value(wire.clone()).unwrap();
            assert_eq!(state.paused, paused);
            assert_eq!(serde_json::to_value(&state).unwrap(), wire);
        }
        assert_eq!(serde_json::from_str::<ShopState>("{}").unwrap(), ShopState::default());
        let offset: ShopState = serde_json::from_value(json!({"paused_until": "2024-01-01T13:30:00+01:00"})).unwrap();
        assert_eq!(serde_json::to_value(offset).unwrap()["paused_until"], "2024-01-01T12:30:00Z");
        for wrong in [
            json!({"paused_until": "soon"}),
            json!({"paused_until": "2024-01-01T12:30:00"}),
            json!({"paused_until": true}),
            json!({"sold_out": "boba"}),
            json!({"sold_out": [1]}),
            json!({"soldout": []}),
        ] {
            assert!(serde_json::from_value::<ShopState>(wrong.clone()).is_err(), "{wrong}");
        }
    }
}
