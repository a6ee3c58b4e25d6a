//! What can become of an order: its statuses and the moves between them.

use std::fmt;
use std::str::FromStr;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

/// Where an order stands. The wire names are the lower-case names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", try_from = "std::borrow::Cow<'_, str>")]
pub enum OrderStatus {
    /// Waiting for a point of sale to accept it.
    Pending,
    /// Taken; nobody has started on it.
    Received,
    /// Being made.
    Preparing,
    /// Waiting for the customer.
    Ready,
    /// Picked up.
    Completed,
    /// Will not be made.
    Cancelled,
}

impl OrderStatus {
    /// How long after its completion an order may be called back to `ready`.
    pub const RECALL: SignedDuration = SignedDuration::from_mins(15);

    /// Every status, in the order of an ordinary life.
    pub const ALL: [OrderStatus; 6] =
        [Self::Pending, Self::Received, Self::Preparing, Self::Ready, Self::Completed, Self::Cancelled];

    /// The wire name: `received`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Received => "received",
            Self::Preparing => "preparing",
            Self::Ready => "ready",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
        }
    }

    /// What people are shown and told: `Confirmed`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Received => "Confirmed",
            Self::Preparing => "Being prepared",
            Self::Ready => "Ready for pickup",
            Self::Completed => "Completed",
            Self::Cancelled => "Cancelled",
        }
    }

    /// Somebody still has to make it: pending, received or preparing.
    pub const fn is_active(self) -> bool {
        matches!(self, Self::Pending | Self::Received | Self::Preparing)
    }

    /// It still holds its order number: neither completed nor cancelled.
    pub const fn is_open(self) -> bool {
        !matches!(self, Self::Completed | Self::Cancelled)
    }

    /// Whether the move to `next` is in the table, `since_change` after this status was entered.
    ///
    /// Only the recall of a completed order depends on the time. Staying where it is is no move.
    pub fn may_become(self, next: OrderStatus, since_change: SignedDuration) -> bool {
        use OrderStatus::{Cancelled, Completed, Pending, Preparing, Ready, Received};
        match self {
            Pending => matches!(next, Received | Cancelled),
            Received => matches!(next, Preparing | Ready | Cancelled),
            Preparing => matches!(next, Ready | Cancelled),
            Ready => matches!(next, Completed | Preparing | Cancelled),
            Completed => next == Ready && since_change <= Self::RECALL,
            Cancelled => false,
        }
    }
}

impl fmt::Display for OrderStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A word that names no status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is no order status; expected pending, received, preparing, ready, completed or cancelled")]
pub struct UnknownStatus(String);

/// Reads a wire name, or another system's word for it: `confirmed` is received, `processing` is preparing.
impl FromStr for OrderStatus {
    type Err = UnknownStatus;

    fn from_str(text: &str) -> Result<Self, UnknownStatus> {
        match text {
            "confirmed" => Ok(Self::Received),
            "processing" => Ok(Self::Preparing),
            _ => Self::ALL
                .into_iter()
                .find(|status| status.as_str() == text)
                .ok_or_else(|| UnknownStatus(text.chars().take(40).collect())),
        }
    }
}

impl TryFrom<std::borrow::Cow<'_, str>> for OrderStatus {
    type Error = UnknownStatus;

    fn try_from(text: std::borrow::Cow<'_, str>) -> Result<Self, UnknownStatus> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use OrderStatus::{Cancelled, Completed, Pending, Preparing, Ready, Received};

    #[test]
    fn moves_only_along_the_table() {
        let table: [(OrderStatus, &[OrderStatus]); 6] = [
            (Pending, &[Received, Cancelled]),
            (Received, &[Preparing, Ready, Cancelled]),
            (Preparing, &[Ready, Cancelled]),
            (Ready, &[Completed, Preparing, Cancelled]),
            (Completed, &[Ready]),
            (Cancelled, &[]),
        ];
        for (from, allowed) in table {
            for to in OrderStatus::ALL {
                assert_eq!(from.may_become(to, SignedDuration::ZERO), allowed.contains(&to), "{from} to {to}");
            }
        }
    }

    #[test]
    fn a_completed_order_comes_back_within_a_quarter_of_an_hour() {
        assert!(Completed.may_become(Ready, SignedDuration::from_mins(15)));
        assert!(!Completed.may_become(Ready, SignedDuration::from_mins(15) + SignedDuration::from_millis(1)));
        assert!(Ready.may_become(Preparing, SignedDuration::from_hours(11)));
        // A clock that was set back must not lock the counter out.
        assert!(Completed.may_become(Ready, SignedDuration::from_mins(-5)));
    }

    #[test]
    fn names_survive_json_and_foreign_words_are_understood() {
        for status in OrderStatus::ALL {
            let json = serde_json::to_string(&status).unwrap();
            assert_eq!(json, format!("\"{status}\""));
            assert_eq!(serde_json::from_str::<OrderStatus>(&json).unwrap(), status);
        }
        assert_eq!("confirmed".parse(), Ok(Received));
        assert_eq!(serde_json::from_str::<OrderStatus>("\"processing\"").unwrap(), Preparing);
        for word in ["", "Received", "done", "received "] {
            assert!(word.parse::<OrderStatus>().is_err(), "{word:?}");
        }
    }

    #[test]
    fn active_and_open() {
        let active: Vec<_> = OrderStatus::ALL.into_iter().filter(|status| status.is_active()).collect();
        let open: Vec<_> = OrderStatus::ALL.into_iter().filter(|status| status.is_open()).collect();
        assert_eq!(active, [Pending, Received, Preparing]);
        assert_eq!(open, [Pending, Received, Preparing, Ready]);
    }
}
