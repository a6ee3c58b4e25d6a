//! What goes into a session and what comes out of it.

use crate::ordering::menu::Menu;
use crate::ordering::money::Money;
use crate::ordering::order::{Item, OrderId, OrderNumber};
use crate::ordering::phone_number::PhoneNumber;
use crate::ordering::status::OrderStatus;
use crate::shop::Stock;
use crate::table::protocol::{Kind, Operation, RefusalCode, ServerMessage};
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;

/// What holds for a session from its beginning.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Its id: opaque, safe in a path.
    pub id: String,
    /// Whose cart it is.
    pub kind: Kind,
    /// The table's id and name, where it is at one.
    pub table: Option<(String, String)>,
    /// What can be ordered.
    pub menu: Arc<Menu>,
    /// What lets others in.
    pub door: Door,
    /// It ends when nothing has happened in it for so long.
    pub idle: SignedDuration,
}

/// What lets others into a session.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Door {
    /// Four digits that members see.
    pub code: String,
    /// The secret of the invite link.
    pub invite: String,
    /// Where the table's code leads to, `/t/{token}`: with the secret it is the invite link.
    pub path: String,
    /// Until then whoever scans the table's code is let in.
    pub open_until: Timestamp,
}

/// Somebody who comes in.
#[derive(Clone, Debug)]
pub struct NewMember {
    /// What they call themselves, checked to be one line.
    pub name: String,
    /// SHA-256 of the secret that they come back with, in hexadecimal.
    pub secret_hash: String,
}

/// Something that happens to a session.
#[derive(Clone, Debug)]
pub enum Input {
    /// Somebody comes in. Their id is that of [`Output::Joined`].
    Join(NewMember),
    /// A screen of this member is connected; one member may have several. All of them are given a snapshot, before anything
    /// else is told.
    Connected(String),
    /// One of them is gone.
    Disconnected(String),
    /// A member asks for a snapshot.
    Look(String),
    /// A member wants something done.
    Operation(String, Operation),
    /// What came of [`Output::Place`], by its key. The order is watched from then on, so it is to be looked at once more: it
    /// may have moved before it was.
    Placed(String, Result<OrderNews, PlacementRefused>),
    /// The order that is on its way, or one that was taken, is now this.
    Order(OrderNews),
    /// An order of this session is gone for good.
    OrderDeleted(OrderId),
    /// What can be had has changed, or whether orders are taken.
    Shop(Notice),
    /// The table has a new code: this is where it leads to.
    Path(String),
    /// Everything up to this revision has been saved.
    Saved(u64),
    /// It ends, for this reason: a sentence for the guests.
    End(String),
    /// Time has passed.
    Tick,
}

/// What a session has to know of the shop.
#[derive(Clone, Debug)]
pub struct Notice {
    /// What can be had.
    pub stock: Stock,
    /// Why no orders are taken; none: they are.
    pub closed: Option<String>,
}

/// An order as a session sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct OrderNews {
    /// Its id.
    pub order_id: OrderId,
    /// Its number.
    pub order_number: OrderNumber,
    /// Counts up with every change.
    pub version: u64,
    /// Where it stands.
    pub status: OrderStatus,
    /// Its lines.
    pub items: Vec<Item>,
    /// What it costs.
    pub total: Money,
    /// When it was placed.
    pub placed_at: Timestamp,
    /// When it should be ready.
    pub ready_at: Option<Timestamp>,
    /// Where it stands with the point of sale, while it is pending.
    pub ticket: Ticket,
}

/// Where an order stands with the point of sale.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ticket {
    /// There is none to ask, or it has answered.
    Settled,
    /// It is on its way.
    Waiting,
    /// It was refused in the end, for this reason.
    Refused(String),
}

/// Why no order came of a placement. Nothing was ordered.
#[derive(Clone, Debug, PartialEq)]
pub struct PlacementRefused {
    /// For programs.
    pub code: RefusalCode,
    /// A sentence.
    pub message: String,
    /// With `SLOT_UNAVAILABLE`: times that are free.
    pub next_free: Vec<Timestamp>,
}

/// Something that a session wants done.
#[derive(Clone, Debug)]
pub enum Output {
    /// Somebody has come in, as this member.
    Joined(String),
    /// Told to every screen of one member.
    To(String, ServerMessage),
    /// Told to every screen.
    All(ServerMessage),
    /// To be saved soon: [`Input::Saved`] tells when it is.
    Save,
    /// To be ordered, once what the session now is has been saved. [`Input::Placed`] tells what came of it.
    Place(Box<Placement>),
    /// The order that waits to be sent again is to be cancelled: the cart was emptied, or the session ended.
    Cancel(OrderId),
    /// The order that is on its way is nobody's any more: it is to be cancelled if the point of sale refuses it. Until that
    /// is known the session is to be kept, as it now is.
    Abandon(OrderId),
    /// It is over: forget it once what it is has been saved.
    Ended,
}

/// An order to be made, or made again.
#[derive(Clone, Debug, PartialEq)]
pub struct Placement {
    /// Unique among all placements: the same one again is the same order.
    pub key: String,
    /// The order that failed and is sent again, with these lines instead of its own.
    pub again: Option<OrderId>,
    /// The lines, priced by the menu.
    pub items: Vec<Item>,
    /// What the one who added each line calls themselves.
    pub guests: Vec<String>,
    /// How many drinks this order may have: a member's limit, times those who have any.
    pub most_drinks: u32,
    /// For the whole order. None: nothing was said, so an order that is made again keeps what it has.
    pub notes: Option<Option<String>>,
    /// Whom to call out.
    pub name: Option<String>,
    /// Whom to text.
    pub phone: Option<PhoneNumber>,
    /// When it shall be fetched.
    pub pickup_at: Option<Timestamp>,
}
