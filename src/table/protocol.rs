//! What a guest's screen and the server say to each other about one cart: one JSON object a message, `type` first.
//!
//! The server owns the cart and its prices. A screen sends what it wants changed, with an operation id of its own making
//! (`op_id`): the same id again is answered again and done once. Whatever changes the cart raises its revision by one and is
//! told to all in the sequence of the revisions; who sees a gap asks for a `snapshot`. `docs/tables.asyncapi.json` describes
//! the same messages for others, and a test holds both to each other.

mod read;

use crate::ordering::menu::Asked;
use crate::ordering::money::Money;
use crate::ordering::order::{Item, OrderId, OrderNumber};
use crate::ordering::status::OrderStatus;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The longest message that a guest may send, in bytes.
pub const LONGEST_MESSAGE: usize = 8 << 10;
/// The longest name of a guest, in characters.
pub const LONGEST_NAME: usize = 24;
/// The longest wish for a whole order, in characters.
pub const LONGEST_NOTES: usize = 300;

/// What a guest's screen asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum ClientMessage {
    /// `{"type":"snapshot"}`: everything, once more.
    Snapshot,
    /// `{"type":"ping"}`: answered by `pong`.
    Ping,
    /// Whatever changes something.
    Do(Operation),
}

/// Something to be done once, however often it is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    /// The screen's own name for it: 1 to 64 letters, digits, `-` and `_`.
    pub op_id: String,
    /// What to do.
    pub action: Action,
}

/// What can be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// `add_item`, `item` holding the menu's fields, `qty` and `note`.
    AddItem(Asked),
    /// `update_item`: only what `item` names changes.
    UpdateItem {
        /// Which line.
        public_id: String,
        /// The revision of the line that the guest saw.
        revision: u64,
        /// What to change.
        item: Asked,
    },
    /// `remove_item`.
    RemoveItem {
        /// Which line.
        public_id: String,
        /// The revision of the line that the guest saw.
        revision: u64,
    },
    /// `clear_cart`.
    ClearCart {
        /// The revision of the cart that the guest saw.
        revision: u64,
    },
    /// `place_order`, and "Retry Order".
    PlaceOrder(PlaceOrder),
    /// `set_name`.
    SetName(String),
    /// `ask_to_pay`: staff are called to the table.
    AskToPay,
}

/// An order to be placed of the whole cart.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PlaceOrder {
    /// The revision of the cart that the guest saw.
    pub revision: u64,
    /// What the guest was shown that it costs (`total`): only compared.
    pub total: Money,
    /// `special_instructions`: for the whole order. None: nothing was said, so an order that is sent again keeps what it
    /// has; `Some(None)`: there is nothing to wish any more.
    pub special_instructions: Option<Option<String>>,
    /// Whom to call out; order-ahead cannot do without.
    pub name: Option<String>,
    /// Whom to text, as it was typed.
    pub phone: Option<String>,
    /// When it shall be fetched; order-ahead only.
    pub pickup_at: Option<Timestamp>,
}

/// Whose cart it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// All who sit at a table.
    Table,
    /// One guest's own at a table.
    Private,
    /// Of somebody who is not here yet and fetches it.
    Ahead,
}

/// A guest, as the others see them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// `m1`, `m2` …, in the sequence of joining.
    pub member_id: String,
    /// What they call themselves.
    pub name: String,
    /// One of eight: 0 to 7; pages give them their shades.
    pub colour: u8,
    /// Whether a screen of theirs is connected.
    pub online: bool,
}

/// Where a line stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LineState {
    /// In the cart.
    Pending,
    /// On its way to the point of sale.
    Locked,
    /// Taken.
    Ordered,
}

/// One drink of the cart, as often as `qty` says. Its JSON has `public_id`, `owner`, `state`, `revision`, the menu's fields,
/// `qty`, `quantity` (the same), `price` (each), `subtotal` and, where there is one, `note`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Unique in the session, never given again.
    pub public_id: String,
    /// The member who added it.
    pub owner: String,
    /// Where it stands.
    pub state: LineState,
    /// Counts up with every change of the line, from 1.
    pub revision: u64,
    /// What it is.
    pub item: Item,
}

impl Serialize for Line {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap as _;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("public_id", &self.public_id)?;
        map.serialize_entry("owner", &self.owner)?;
        map.serialize_entry("state", &self.state)?;
        map.serialize_entry("revision", &self.revision)?;
        for (field, choice) in &self.item.fields {
            map.serialize_entry(field, choice)?;
        }
        map.serialize_entry("qty", &self.item.quantity)?;
        map.serialize_entry("quantity", &self.item.quantity)?;
        map.serialize_entry("price", &self.item.price)?;
        map.serialize_entry("subtotal", &self.item.subtotal())?;
        if let Some(note) = &self.item.note {
            map.serialize_entry("note", note)?;
        }
        map.end()
    }
}

/// An order of this session that was taken.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlacedOrder {
    /// `ORD-…`.
    pub order_id: OrderId,
    /// What to ask for at the counter.
    pub order_number: OrderNumber,
    /// How far it is.
    pub status: OrderStatus,
    /// The same for people.
    pub status_label: &'static str,
    /// Its lines, as they were in the cart: `ordered`.
    pub items: Vec<Line>,
    /// What it costs.
    pub total: Money,
    /// When it was placed.
    pub placed_at: Timestamp,
    /// When it should be ready, if the shop can tell.
    pub ready_at: Option<Timestamp>,
}

/// How far the order is that is being placed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Processing {
    /// None is.
    #[default]
    Idle,
    /// It is on its way; the cart is locked.
    Processing,
    /// The last one was taken, and nothing has been put into the cart since.
    Confirmed,
    /// It was refused; the cart is open, and the order waits to be sent again.
    Failed,
}

/// What a locked or failed order is to its guests.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Pending {
    /// The member who placed it, while the cart is locked (`locked_by_member`, and `locked_by` the same).
    pub locked_by_member: Option<String>,
    /// The same.
    pub locked_by: Option<String>,
    /// What they call themselves.
    pub locked_by_name: Option<String>,
    /// Its id, once it has one.
    pub pending_order_id: Option<OrderId>,
    /// Its number.
    pub pending_order_number: Option<OrderNumber>,
    /// What was wished for the whole of it: it keeps that when it is sent again and nothing else is said.
    pub pending_notes: Option<String>,
    /// Since when it is on its way.
    pub pending_since: Option<Timestamp>,
    /// Why it failed, as a sentence; of one that the shop has cancelled until the cart changes.
    pub error: Option<String>,
}

/// Everything about one session, as one of its members sees it: the cart of `GET /api/tables/{session}/cart` and, with
/// `"type":"snapshot"`, the first message on every socket.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Snapshot {
    /// The session's id.
    pub session: String,
    /// Whose cart it is.
    pub kind: Kind,
    /// The table's name, where it is at one.
    pub table: Option<String>,
    /// The member who is shown this.
    pub you: String,
    /// Everybody who has joined.
    pub members: Vec<Member>,
    /// Counts up with every change of the cart.
    pub revision: u64,
    /// Up to here changes have been saved: operations that were answered on this connection with this revision or a lower
    /// one need not be kept for sending them again. What was answered on an earlier connection and was not known to be
    /// saved then is sent again, whatever is said here: a server that was killed counts on from what it had saved.
    pub saved_revision: u64,
    /// The lines.
    pub items: Vec<Line>,
    /// What they cost.
    pub total: Money,
    /// Drinks in them.
    pub count: u32,
    /// Whether nobody may change it now.
    pub cart_locked: bool,
    /// The order that is on its way or has failed.
    #[serde(flatten)]
    pub pending: Pending,
    /// How far it is.
    pub order_processing_status: Processing,
    /// The orders of this session that were taken, oldest first.
    pub orders: Vec<PlacedOrder>,
    /// What cannot be had now, as the menu spells it.
    pub sold_out: Vec<String>,
    /// Why no orders are taken now; none: they are.
    pub closed: Option<String>,
    /// What lets others in; none where nobody else can join.
    pub join: Option<Join>,
    /// Whether somebody has asked to pay.
    pub bill_asked: bool,
    /// Drinks that one member may have in one order.
    pub drinks_per_member: u32,
    /// When the cart, its members or its order last changed.
    pub last_updated: Timestamp,
    /// The server's clock, by which the times above are meant.
    pub server_time: Timestamp,
}

/// What a member can give to somebody who comes later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Join {
    /// Four digits.
    pub code: String,
    /// The path of a link: `/t/{token}?invite=…`.
    pub link: String,
}

/// What the server tells. Whatever has a `revision` tells of a change of the cart.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ServerMessage {
    /// Everything.
    Snapshot(Box<Snapshot>),
    /// A line was added.
    AddItem(Changed),
    /// A line was changed.
    UpdateItem(Changed),
    /// A line was taken out.
    RemoveItem {
        /// By whom and where the cart stands.
        #[serde(flatten)]
        change: Change,
        /// Which.
        public_id: String,
    },
    /// All lines were taken out.
    ClearCart {
        /// By whom and where the cart stands.
        #[serde(flatten)]
        change: Change,
    },
    /// The cart is locked: an order is on its way.
    CartLocked {
        /// The cart's revision.
        revision: u64,
        /// Who placed it.
        locked_by_member: String,
        /// The same.
        locked_by: String,
        /// What they call themselves.
        locked_by_name: String,
        /// The order.
        order_id: OrderId,
        /// Its number.
        order_number: OrderNumber,
        /// "Order is being processed..."
        message: String,
        /// When.
        timestamp: Timestamp,
    },
    /// It is with the point of sale, or is tried there once more.
    OrderProcessing {
        /// The order.
        order_id: OrderId,
        /// Its number.
        order_number: OrderNumber,
        /// "Your order is being processed..."
        message: String,
        /// Since when.
        pending_since: Timestamp,
    },
    /// It was taken.
    OrderConfirmed {
        /// The cart's revision.
        revision: u64,
        /// The order.
        order_id: OrderId,
        /// Its number.
        order_number: OrderNumber,
        /// "Order placed successfully!"
        message: String,
        /// The whole of it.
        order: PlacedOrder,
        /// What is left in the cart.
        items: Vec<Line>,
        /// What that costs.
        total: Money,
    },
    /// It was not taken.
    OrderFailed {
        /// The order.
        order_id: OrderId,
        /// Why, as a sentence.
        error: String,
        /// "Order failed. Please try again."
        message: String,
        /// Whether the same order may be sent again.
        allow_retry: bool,
    },
    /// The cart may be changed again.
    CartUnlocked {
        /// The cart's revision.
        revision: u64,
        /// Its lines.
        items: Vec<Line>,
        /// What they cost.
        total: Money,
    },
    /// An order that was taken has moved on.
    OrderStatus {
        /// The order as it is.
        order: PlacedOrder,
    },
    /// Who is here has changed.
    Presence {
        /// Everybody who has joined.
        members: Vec<Member>,
    },
    /// What cannot be had has changed, or whether orders are taken.
    Shop {
        /// What cannot be had, as the menu spells it.
        sold_out: Vec<String>,
        /// Why no orders are taken now; none: they are.
        closed: Option<String>,
    },
    /// Somebody has asked to pay.
    BillAsked {
        /// Who.
        by: String,
    },
    /// Changes up to this revision have been saved.
    Saved {
        /// The cart's revision.
        revision: u64,
    },
    /// It is over; the socket is closed after this.
    SessionEnded {
        /// A sentence.
        message: String,
    },
    /// An operation that changes no cart is done: `set_name`, `ask_to_pay`, a repetition of what was done before.
    Done {
        /// Which.
        op_id: String,
        /// Where the cart stands.
        revision: u64,
    },
    /// Something was not done.
    Error(Refused),
    /// The answer to `ping`.
    Pong,
}

/// A line that was added or changed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Changed {
    /// By whom and where the cart stands.
    #[serde(flatten)]
    pub change: Change,
    /// The line as it now is.
    pub line: Line,
}

/// What every change of the cart tells.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// The operation.
    pub op_id: String,
    /// The member.
    pub by: String,
    /// The cart's revision after it.
    pub revision: u64,
    /// What the cart costs after it.
    pub total: Money,
    /// Drinks in it.
    pub count: u32,
}

/// Why something was not done.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Refused {
    /// Which operation; none: the message could not be read so far.
    pub op_id: Option<String>,
    /// For programs.
    pub code: RefusalCode,
    /// A sentence for the guest.
    pub message: String,
    /// What could have been chosen.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<String>,
    /// With `CONFLICT`: the line as it is; none: it is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<Line>,
    /// With `PRICE_MISMATCH`: what the cart costs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<Money>,
    /// With `PRICE_MISMATCH`: what the guest was shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_total: Option<Money>,
    /// With `SLOT_UNAVAILABLE`: times that are free.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub next_free: Vec<Timestamp>,
    /// With `RATE_LIMITED`: when to go on, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

impl Refused {
    /// A refusal with a sentence, and nothing beside it. Boxed, as it is many times as large as what is not refused.
    pub fn new(code: RefusalCode, message: impl Into<String>) -> Box<Self> {
        Box::new(Self { code, message: message.into(), ..Self::default() })
    }
}

/// Why something was not done, for programs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RefusalCode {
    /// The message is none of this protocol's.
    #[default]
    BadMessage,
    /// The menu has no such field or option, or the base is missing, or the quantity is none.
    UnknownOption,
    /// It fits several options.
    Ambiguous,
    /// An option lacks what it requires.
    Rule,
    /// It cannot be had now.
    SoldOut,
    /// Too many drinks, or too many orders that are still to be made.
    Limit,
    /// There is nothing to order.
    EmptyCart,
    /// An order is on its way: nothing may be changed.
    CartLocked,
    /// An order is on its way: "Order already being processed".
    InProgress,
    /// Somebody else has changed or removed the line meanwhile.
    Conflict,
    /// Somebody else has changed the cart meanwhile.
    StaleCart,
    /// It does not cost what the guest was shown.
    PriceMismatch,
    /// No orders are taken now.
    OrderingClosed,
    /// The phone number is none, or of a country that is not texted.
    BadPhone,
    /// Too many numbers were given at this table, or from this address.
    PhoneLimit,
    /// A name is needed, or what was said is none.
    NoName,
    /// It cannot be fetched then, or no time was said.
    SlotUnavailable,
    /// Too many messages, or orders.
    RateLimited,
    /// It could not be saved; asking again with the same operation id is safe.
    NotSaved,
}

#[cfg(test)]
pub(crate) mod tests;
