//! What is stored: an order, the proof that it was asked for once, and what is owed because of it.

use crate::ordering::order::Order;
use crate::ordering::phone_number::PhoneNumber;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One order's file: the order's own JSON with the rest beside its keys.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The order.
    #[serde(flatten)]
    pub order: Order,
    /// The keys of the requests that made or amended it: the same request again finds it here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub idempotency_keys: Vec<String>,
    /// SHA-256 over shop, customer and drinks, as they are now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// Since when the drinks are those; none: since the order was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint_at: Option<Timestamp>,
    /// What is owed to the outside because of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deliveries: Vec<Delivery>,
}

/// Something owed to the outside because of an order: it is sent at least once or shown as failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// Unique within its order, counting up.
    pub id: u32,
    /// What is owed.
    pub kind: DeliveryKind,
    /// To whom.
    pub to: PhoneNumber,
    /// The text as it is sent.
    pub body: String,
    /// Whether it is done.
    pub state: DeliveryState,
    /// Since when it is owed.
    pub owed_at: Timestamp,
    /// Not to be tried before.
    pub not_before: Timestamp,
    /// How often it was tried.
    #[serde(default)]
    pub attempts: u32,
    /// Why it was skipped, or what went wrong last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The carrier's name for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_id: Option<String>,
    /// The request that caused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
}

/// What is owed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryKind {
    /// "We have your order."
    TextReceived,
    /// "It is ready."
    TextReady,
    /// "It was cancelled."
    TextCancelled,
}

impl DeliveryKind {
    /// The name in files, logs and events.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TextReceived => "text_received",
            Self::TextReady => "text_ready",
            Self::TextCancelled => "text_cancelled",
        }
    }
}

/// Whether a delivery is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// Still to be sent.
    Owed,
    /// Taken by the carrier.
    Sent,
    /// Given up.
    Failed,
    /// Never to be sent: no credentials, a country that is not texted, too many an hour.
    Skipped,
}
