//! How a change is handed to a store: what it has to look up first, who decides, and who is told.
//!
//! The order service decides, the store carries out. A decision is a function of what the store knows at one moment,
//! and the store sees to it that nothing it knew has changed when it commits: by a lock, a transaction, or by asking
//! again. So decisions may be asked for more than once; they must not wait for anything.

use super::query::Answered;
use super::record::Record;
use crate::ordering::order::{Order, OrderId, OrderNumber};
use crate::ordering::phone_number::PhoneNumber;
use jiff::Timestamp;
use std::ops::Range;

/// What a new order is checked against.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The present.
    pub now: Timestamp,
    /// An id that the orderer brought along; none: the shop's next.
    pub order_id: Option<OrderId>,
    /// The request's idempotency key.
    pub key: Option<String>,
    /// Whose drinks they are and since when the same drinks are suspicious.
    pub fingerprint: Option<(String, Timestamp)>,
    /// Whom it is for.
    pub phone: Option<PhoneNumber>,
    /// Active orders to be picked up later than this are nobody's hurry.
    pub ahead_until: Timestamp,
    /// Which due drinks matter.
    pub due: Option<Range<Timestamp>>,
}

/// What a store knows at one moment, as far as it was asked.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Of the key: the request was carried out before.
    pub answered: Option<Answered>,
    /// Of the key: an order with it is being written at this moment.
    pub key_in_flight: bool,
    /// Of the order id: an order has it, or had it.
    pub id_taken: bool,
    /// Of the fingerprint: orders with it whose drinks are no older than asked and that are not cancelled, newest first.
    pub alike: Vec<Order>,
    /// Of the fingerprint: an order with it is being written at this moment.
    pub alike_in_flight: bool,
    /// Of the phone: drinks in its active orders, those being written included.
    pub active_drinks: u32,
    /// Of the phone: texts owed or sent to it, skipped ones left out, since an hour ago.
    pub texts_last_hour: usize,
    /// Drinks in active orders that have no time of pickup, or one before `ahead_until`.
    pub drinks_ahead: u32,
    /// Of the range: when how many drinks of active orders are due. An order is due when it is fetched; one that has no time
    /// of pickup, when it should be ready.
    pub due: Vec<(Timestamp, u32)>,
}

/// Whether a new order may be made.
pub type Check = Box<dyn Fn(&Facts) -> bool + Send + Sync>;
/// The record of a new order, given its id and its number.
pub type Build = Box<dyn Fn(&Facts, OrderId, OrderNumber) -> Record + Send + Sync>;
/// The record as it shall be; none: it stays. The facts are those of the record's own phone (and `ahead_until`).
pub type Amend = Box<dyn Fn(&Record, &Facts) -> Option<Record> + Send + Sync>;
/// Called once, when the change is durable: prepares what is to be told of it. What it returns is called when readers see
/// the change, in the sequence of the commits of one order.
pub type Announce = Box<dyn FnOnce(&Record) -> Box<dyn FnOnce() + Send> + Send>;

/// A new order.
pub struct Insert {
    /// What to look up.
    pub ask: Ask,
    /// Asked before an id is taken, and for the last time when nothing can change any more before the commit.
    pub check: Check,
    /// Asked after the check let it pass, with the same facts.
    pub build: Build,
    /// Who is told.
    pub announce: Announce,
}

/// A change of an order.
pub struct Update {
    /// Which.
    pub id: OrderId,
    /// The present.
    pub now: Timestamp,
    /// See [`Ask::ahead_until`].
    pub ahead_until: Timestamp,
    /// Makes the change.
    pub amend: Amend,
    /// Who is told.
    pub announce: Announce,
}

/// The end of an order: it goes with all that it owes; its answers and its number stay a while in a tombstone.
pub struct Remove {
    /// Which.
    pub id: OrderId,
    /// The present.
    pub now: Timestamp,
    /// Whether it may go.
    pub check: Box<dyn Fn(&Record) -> bool + Send + Sync>,
    /// Who is told, with the record as it was.
    pub announce: Announce,
}

/// Tells nobody.
pub fn unannounced() -> Announce {
    Box::new(|_| Box::new(|| ()))
}
