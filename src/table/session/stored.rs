//! What of a session outlives the server: all but who is connected. Written as it stands, read back as it was written.

use super::interface::{Door, OrderNews};
use crate::ordering::money::Money;
use crate::ordering::order::{self, Item, OrderId, OrderNumber};
use crate::ordering::status::OrderStatus;
use crate::table::protocol::{Kind, Line, LineState, PlacedOrder};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// So many operations of a member are known again.
pub(super) const OPERATIONS_KNOWN: usize = 200;

/// So many orders that staff have cancelled are watched: one that was cancelled by mistake comes back within seconds.
const CALLED_OFF_KNOWN: usize = 4;

/// What is kept of a session over a restart.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Stored {
    pub(super) id: String,
    pub(super) kind: Kind,
    /// Id and name.
    pub(super) table: Option<(String, String)>,
    pub(super) door: Door,
    pub(super) idle: SignedDuration,
    pub(super) started_at: Timestamp,
    pub(super) last_active: Timestamp,
    pub(super) updated_at: Timestamp,
    /// In the sequence of joining: the first is `m1`.
    pub(super) guests: Vec<Guest>,
    pub(super) revision: u64,
    pub(super) lines: Vec<KeptLine>,
    pub(super) stage: Stage,
    /// The last order was taken, and nothing has been put into the cart since.
    pub(super) just_confirmed: bool,
    /// Orders that failed and were then cancelled by the guests: until that is done, staff may still have accepted them.
    pub(super) given_up: Vec<Waiting>,
    /// Orders that were cancelled and not by the guests, oldest first: staff can take that back. At most
    /// [`CALLED_OFF_KNOWN`].
    #[serde(default)]
    pub(super) called_off: Vec<Waiting>,
    /// Why the last order was called off, as a sentence, until the cart changes: who was away then has not heard it.
    #[serde(default)]
    pub(super) called_off_because: Option<String>,
    pub(super) orders: Vec<Taken>,
    /// Digests of the phone numbers that were given: only how many differ is of interest.
    pub(super) numbers: Vec<String>,
    pub(super) bill_asked_at: Option<Timestamp>,
    /// It ends for this reason: as soon as the outcome of a placement is known, or it has, and the point of sale has not
    /// said yet what becomes of its last order.
    pub(super) ending: Option<String>,
}

impl Stored {
    /// Remembers an order that was called off, with its lines.
    pub(super) fn call_off(&mut self, order: Waiting) {
        if self.called_off.len() >= CALLED_OFF_KNOWN {
            self.called_off.remove(0);
        }
        self.called_off.push(order);
    }
}

/// Somebody who has joined.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Guest {
    pub(super) member_id: String,
    pub(super) name: String,
    pub(super) colour: u8,
    pub(super) secret_hash: String,
    /// The latest operations that were done, oldest first; at most [`OPERATIONS_KNOWN`].
    pub(super) done: VecDeque<String>,
}

impl Guest {
    pub(super) fn has_done(&self, op_id: &str) -> bool {
        self.done.iter().any(|done| done == op_id)
    }

    pub(super) fn remember(&mut self, op_id: &str) {
        if self.done.len() >= OPERATIONS_KNOWN {
            self.done.pop_front();
        }
        self.done.push_back(op_id.to_owned());
    }

    pub(super) fn forget(&mut self, op_id: &str) {
        self.done.retain(|done| done != op_id);
    }
}

/// A line without its state, which follows from the stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct KeptLine {
    pub(super) public_id: String,
    pub(super) owner: String,
    pub(super) revision: u64,
    pub(super) item: Item,
}

impl KeptLine {
    pub(super) fn shown(&self, state: LineState) -> Line {
        Line {
            public_id: self.public_id.clone(),
            owner: self.owner.clone(),
            state,
            revision: self.revision,
            item: self.item.clone(),
        }
    }
}

/// How far the order is that is being placed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Stage {
    /// There is none.
    Open,
    /// It is with the order service; whether there is an order is not known.
    Placing(Box<Placing>),
    /// It waits for the point of sale.
    Sent(Box<Waiting>),
    /// The point of sale has refused it; it waits to be sent again.
    Failed {
        order: Box<Waiting>,
        /// Why, as a sentence.
        error: String,
    },
}

/// An order that the order service has been asked for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Placing {
    pub(super) key: String,
    pub(super) op_id: String,
    pub(super) attempt: Attempt,
    /// The order that failed and is sent again.
    pub(super) again: Option<Waiting>,
}

/// Who wanted what ordered.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Attempt {
    /// The member.
    pub(super) by: String,
    pub(super) since: Timestamp,
    /// For the whole order.
    #[serde(default)]
    pub(super) notes: Option<String>,
    /// The lines as they were then: these leave the cart when the order is taken.
    pub(super) lines: Vec<KeptLine>,
}

impl Attempt {
    /// Whether the order holds just these lines.
    pub(super) fn is_of(&self, news: &OrderNews) -> bool {
        news.items.iter().eq(self.lines.iter().map(|line| &line.item))
    }
}

/// An order that is there and has not been taken.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Waiting {
    pub(super) order_id: OrderId,
    pub(super) order_number: OrderNumber,
    /// The latest that was heard of.
    pub(super) version: u64,
    pub(super) attempt: Attempt,
}

/// An order that was taken.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Taken {
    pub(super) order_id: OrderId,
    pub(super) order_number: OrderNumber,
    pub(super) version: u64,
    pub(super) status: OrderStatus,
    pub(super) lines: Vec<KeptLine>,
    pub(super) placed_at: Timestamp,
    pub(super) ready_at: Option<Timestamp>,
}

impl Taken {
    /// The order as it is said to be; who added its lines is known from `lines`, which it was placed with.
    pub(super) fn new(news: &OrderNews, lines: &[KeptLine]) -> Self {
        let line = |(at, item): (usize, &Item)| match lines.get(at) {
            Some(line) => KeptLine { item: item.clone(), ..line.clone() },
            // Somebody else has added to the order: it is nobody's at the table.
            None => KeptLine {
                public_id: format!("{}-{at}", news.order_id),
                owner: String::new(),
                revision: 1,
                item: item.clone(),
            },
        };
        Self {
            order_id: news.order_id.clone(),
            order_number: news.order_number,
            version: news.version,
            status: news.status,
            lines: news.items.iter().enumerate().map(line).collect(),
            placed_at: news.placed_at,
            ready_at: news.ready_at,
        }
    }

    pub(super) fn shown(&self) -> PlacedOrder {
        PlacedOrder {
            order_id: self.order_id.clone(),
            order_number: self.order_number,
            status: self.status,
            status_label: self.status.label(),
            items: self.lines.iter().map(|line| line.shown(LineState::Ordered)).collect(),
            total: total(&self.lines),
            placed_at: self.placed_at,
            ready_at: self.ready_at,
        }
    }
}

/// What lines cost.
pub(super) fn total(lines: &[KeptLine]) -> Money {
    lines.iter().map(|line| line.item.subtotal()).sum()
}

/// How many drinks lines hold.
pub(super) fn drinks<'a>(lines: impl IntoIterator<Item = &'a KeptLine>) -> u32 {
    lines.into_iter().fold(0, |sum, line| sum.saturating_add(order::drinks(std::slice::from_ref(&line.item))))
}
