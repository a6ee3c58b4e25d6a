//! What is stored: an order, the proof that it was asked for once, what is owed because of it, and who changed it.

use crate::ordering::order::{Order, OrderId, OrderNumber};
use crate::ordering::phone_number::PhoneNumber;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// One order with everything that must be true together with it: the order's own JSON with the rest beside its keys.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The order.
    #[serde(flatten)]
    pub order: Order,
    /// Counts up with every commit, those of deliveries included; 1 when it is made. Stores keep it, nobody else sets
    /// it: it is what two writers of one order are told apart by.
    #[serde(default)]
    pub revision: u64,
    /// The answers to the requests that made or amended it: the same request again is given the same answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<Answer>,
    /// SHA-256 over shop, customer and drinks, as they are now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// Since when the drinks are those; none: since the order was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint_at: Option<Timestamp>,
    /// What is owed to the outside because of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deliveries: Vec<Delivery>,
    /// Every change, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub audit: Vec<AuditEntry>,
    /// When the customer's data was erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erased_at: Option<Timestamp>,
    /// How far those who make it have come.
    #[serde(default, skip_serializing_if = "Marks::are_none")]
    pub marks: Marks,
    /// Whether it stays pending when the point of sale refuses it in the end, instead of being cancelled.
    #[serde(default, skip_serializing_if = "is_false")]
    pub held_when_refused: bool,
}

impl Record {
    /// A record of a new order: nothing asked for by key, nothing owed, nothing changed yet.
    pub fn new(order: Order) -> Self {
        Self {
            order,
            revision: 1,
            answers: Vec::new(),
            fingerprint: None,
            fingerprint_at: None,
            deliveries: Vec::new(),
            audit: Vec::new(),
            erased_at: None,
            marks: Marks::default(),
            held_when_refused: false,
        }
    }

    /// The id of its next delivery.
    pub fn next_delivery_id(&self) -> u32 {
        self.deliveries.iter().map(|delivery| delivery.id).max().unwrap_or(0) + 1
    }

    /// Where the order stands among all orders of its shop.
    pub fn place(&self) -> Place {
        Place::of(&self.order)
    }

    /// Since when its drinks are what they are.
    pub fn drinks_since(&self) -> Timestamp {
        self.fingerprint_at.unwrap_or(self.order.created_at)
    }

    /// What a deletion leaves.
    pub fn tombstone(&self, now: Timestamp) -> Tombstone {
        Tombstone {
            order_id: self.order.order_id.clone(),
            order_number: self.order.order_number,
            created_at: self.order.created_at,
            deleted_at: now,
            answers: self.answers.clone(),
        }
    }
}

/// What those who make an order have noted on it for each other. It is no part of the order: neither version nor history
/// know of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marks {
    /// The lines that are made, by their place in the order. Lines are only ever appended, so a place stays what it is.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub made: BTreeSet<usize>,
    /// Since when it is to be made before all others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rushed_at: Option<Timestamp>,
}

impl Marks {
    /// Whether nothing is noted.
    pub fn are_none(&self) -> bool {
        *self == Self::default()
    }
}

/// An answer that was given to a request with an idempotency key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The key, unique among all orders of the shop. It begins with whose it is (`call:`, `api:`), so that nobody's key
    /// is another's.
    pub key: String,
    /// SHA-256 of what was asked, in hexadecimal; empty where a key alone says what was asked, and after the customer was
    /// erased: who knows the rest of a request could try all phone numbers.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub request: String,
    /// When it was given.
    pub at: Timestamp,
    /// What was answered, where that is told again word for word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply: Option<Reply>,
}

impl Answer {
    /// Whether it was given to this request, as far as is known.
    pub fn is_to(&self, request: &str) -> bool {
        self.request.is_empty() || self.request == request
    }
}

/// A stored answer's wording.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// The body.
    pub body: serde_json::Value,
}

/// What is left of a deleted order: until its answers have expired or, where the orderer chose its id, for good.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tombstone {
    /// The order that was.
    pub order_id: OrderId,
    /// Its number: not given again at once.
    pub order_number: OrderNumber,
    /// When the order was made.
    pub created_at: Timestamp,
    /// When it was deleted.
    pub deleted_at: Timestamp,
    /// The answers to the requests that made it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<Answer>,
}

impl Tombstone {
    /// What of it outlives its answers: that an id was used which its orderer chose and could choose again.
    pub fn bare(&self, shop_id: &str) -> Option<Self> {
        let is_counted = self.order_id.number_at(shop_id).is_some();
        (!is_counted).then(|| Self { answers: Vec::new(), ..self.clone() })
    }
}

/// One change of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// When.
    pub at: Timestamp,
    /// Who: `phone`, `web`, `staff`, `api`, `pos` or `system`.
    pub by: String,
    /// What: `created`, `amended`, `sent_again`, `patched`, `undone`, `erased`, `delivery_retried`, or the status it was
    /// moved to.
    pub what: String,
    /// The order's version after it.
    pub version: u64,
    /// Why, where a reason was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The request or call that caused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
}

/// Something owed to the outside because of an order: it is sent at least once or shown as failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// Unique within its order, counting up.
    pub id: u32,
    /// What is owed.
    pub kind: DeliveryKind,
    /// To whom a text goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<PhoneNumber>,
    /// The text, the webhook's JSON or the ticket's as it is sent; empty for a sheet row, which tells the order as it then
    /// is.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub body: String,
    /// Whether it is done.
    pub state: DeliveryState,
    /// Since when it is owed.
    pub owed_at: Timestamp,
    /// Not to be tried before.
    pub not_before: Timestamp,
    /// A worker has it until then; if nothing was heard of the worker by then, another may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claimed_until: Option<Timestamp>,
    /// How often it was tried since it was owed, or since it was asked to be tried again.
    #[serde(default)]
    pub attempts: u32,
    /// Of a ticket: how many of those attempts ended with the certainty that the point of sale does not have it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub refusals: u32,
    /// Of a ticket: the attempt up to which that is certain. Who knows no outcome of a later one has to ask for it first.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub certain: u32,
    /// Every attempt with its outcome, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tries: Vec<Tried>,
    /// Why it was skipped, or what went wrong last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The carrier's name for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_id: Option<String>,
    /// What the carrier told of it since: `sent`, `delivered`, `undelivered` …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carrier_status: Option<String>,
    /// The request that caused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
}

impl Delivery {
    /// A delivery of that kind that is owed from now on, to nobody and without a body yet.
    pub fn owed(id: u32, kind: DeliveryKind, now: Timestamp) -> Self {
        Self {
            id,
            kind,
            to: None,
            body: String::new(),
            state: DeliveryState::Owed,
            owed_at: now,
            not_before: now,
            claimed_until: None,
            attempts: 0,
            refusals: 0,
            certain: 0,
            tries: Vec::new(),
            reason: None,
            provider_id: None,
            carrier_status: None,
            correlation_id: None,
        }
    }

    /// From when on it may be tried; none: it is done.
    pub fn due_at(&self) -> Option<Timestamp> {
        let free = self.claimed_until.map_or(self.not_before, |until| until.max(self.not_before));
        (self.state == DeliveryState::Owed).then_some(free)
    }
}

/// One attempt to deliver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tried {
    /// When its outcome was known.
    pub at: Timestamp,
    /// `sent`, or what went wrong.
    pub outcome: String,
}

/// What is owed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryKind {
    /// "We have your order."
    TextReceived,
    /// "It is ready."
    TextReady,
    /// "It was cancelled."
    TextCancelled,
    /// The order's row in the spreadsheet.
    SheetRow,
    /// The shop's own receiver is told.
    Webhook,
    /// The point of sale is to take the order.
    PosTicket,
}

impl DeliveryKind {
    /// Every kind.
    pub const ALL: [Self; 6] =
        [Self::TextReceived, Self::TextReady, Self::TextCancelled, Self::SheetRow, Self::Webhook, Self::PosTicket];

    /// The name in files, logs and events.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TextReceived => "text_received",
            Self::TextReady => "text_ready",
            Self::TextCancelled => "text_cancelled",
            Self::SheetRow => "sheet_row",
            Self::Webhook => "webhook",
            Self::PosTicket => "pos_ticket",
        }
    }

    /// The way that it goes out.
    pub const fn lane(self) -> Lane {
        match self {
            Self::TextReceived | Self::TextReady | Self::TextCancelled => Lane::Texts,
            Self::SheetRow => Lane::Sheet,
            Self::Webhook => Lane::Webhook,
            Self::PosTicket => Lane::Pos,
        }
    }

    /// Whether it is a text message to the customer.
    pub const fn is_text(self) -> bool {
        matches!(self.lane(), Lane::Texts)
    }
}

/// A way out, and whoever is at the end of it: deliveries of one lane wait for each other, those of others never do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Text messages to customers.
    Texts,
    /// Rows of the spreadsheet.
    Sheet,
    /// Notices to the shop's own receiver.
    Webhook,
    /// Tickets for the point of sale.
    Pos,
}

impl Lane {
    /// Every lane.
    pub const ALL: [Self; 4] = [Self::Texts, Self::Sheet, Self::Webhook, Self::Pos];

    /// The name in databases.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Texts => "texts",
            Self::Sheet => "sheet",
            Self::Webhook => "webhook",
            Self::Pos => "pos",
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
    /// Never to be sent: no credentials, a country that is not texted, too many an hour, taken back, decided by staff.
    Skipped,
}

/// Where an order stands among all orders of its shop: a text that sorts by the time of its making, then by the number in
/// its id, then by the id. Stores index it, cursors hold it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place(Arc<str>);

impl Place {
    /// An order's place.
    pub fn of(order: &Order) -> Self {
        let n = order.order_id.number_at(&order.shop_id).unwrap_or(0);
        Self(format!("{}#{n:020}#{}", Self::instant(order.created_at), order.order_id).into())
    }

    /// Before every order made at `at` or later, after all earlier ones.
    pub fn before(at: Timestamp) -> Self {
        Self(Self::instant(at).into())
    }

    /// A place that was written out as text. Any text will do: it only tells where to go on.
    pub fn from_text(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Microseconds in a fixed width, offset so that instants before 1970 sort too.
    fn instant(at: Timestamp) -> String {
        const OFFSET: i64 = 1 << 60;
        format!("{:020}", at.as_microsecond() + OFFSET)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A name as it is looked for: without regard to case or spacing.
pub fn folded_name(name: &str) -> String {
    name.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
const fn is_false(value: &bool) -> bool {
    !*value
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
const fn is_zero(value: &u32) -> bool {
    *value == 0
}
