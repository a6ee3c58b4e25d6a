//! What may become of sending a delivery when it is not delivered, by what may be done about it: the same three ways for
//! every sender.
//!
//! A reason is a sentence that staff read and that is kept with the order: it never holds a key, a token, a phone number
//! or the text of an answer, at most a short code of the service's. This file does not know when a delivery is tried
//! again.

use crate::twilio::rest::RestError;
use std::time::Duration;

/// Why a delivery was not made, or is not known to be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// It was refused, and the same would be refused again.
    #[error("{reason}")]
    Final {
        /// A sentence for staff.
        reason: String,
    },
    /// It was not made; the same may be tried again.
    #[error("{reason}")]
    Retryable {
        /// How long the service asks to be left alone, if it says.
        after: Option<Duration>,
        /// A sentence for staff.
        reason: String,
    },
    /// It may or may not have been made. It is tried again all the same: a delivery is owed at least once.
    #[error("{reason}")]
    Unknown {
        /// A sentence for staff.
        reason: String,
    },
}

/// Why a sender cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum SenderError {
    /// The address is left out: it may hold a password, or be a secret as a whole.
    #[error("the address is not an http or https one")]
    Address,
    /// No HTTP client could be made.
    #[error("no HTTP client could be made: {0}")]
    Http(#[from] reqwest::Error),
}

impl SendError {
    pub(super) fn refused(reason: impl Into<String>) -> Self {
        Self::Final { reason: reason.into() }
    }

    pub(super) fn busy(after: Option<Duration>, reason: impl Into<String>) -> Self {
        Self::Retryable { after, reason: reason.into() }
    }

    pub(super) fn unknown(reason: impl Into<String>) -> Self {
        Self::Unknown { reason: reason.into() }
    }
}

impl From<RestError> for SendError {
    fn from(error: RestError) -> Self {
        let reason = error.to_string();
        match error {
            RestError::Final { .. } => Self::Final { reason },
            RestError::Retryable { after, .. } => Self::Retryable { after, reason },
            RestError::Unknown(_) => Self::Unknown { reason },
        }
    }
}
