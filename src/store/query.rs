//! What stores are asked, and what they answer.

use super::record::{Answer, Delivery, Place, Record, folded_name};
use crate::ordering::money::Money;
use crate::ordering::order::OrderId;
use crate::ordering::phone_number::PhoneNumber;
use crate::ordering::status::OrderStatus;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Which orders are asked for: all that fit every condition given, newest first.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// One of these; empty: any.
    pub statuses: Vec<OrderStatus>,
    /// Exactly this phone.
    pub phone: Option<PhoneNumber>,
    /// This name, without regard to case or spacing.
    pub name: Option<String>,
    /// Exactly this customer.
    pub customer_id: Option<String>,
    /// Only orders that come after this place in the list, which is: older ones.
    pub after: Option<Place>,
    /// At most so many, and at least one.
    pub limit: usize,
}

impl Query {
    /// Whether an order fits every condition, wherever in the list it stands.
    pub fn fits(&self, record: &Record) -> bool {
        let order = &record.order;
        let is_named = |name: &String| order.name.as_deref().map(folded_name) == Some(folded_name(name));
        (self.statuses.is_empty() || self.statuses.contains(&order.status))
            && self.phone.as_ref().is_none_or(|phone| order.phone.as_ref() == Some(phone))
            && self.customer_id.as_ref().is_none_or(|customer| order.customer_id.as_ref() == Some(customer))
            && self.name.as_ref().is_none_or(is_named)
    }
}

/// One page of a list.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Newest first.
    pub records: Vec<Arc<Record>>,
    /// Where the next page goes on; none: this was the last.
    pub next: Option<Place>,
}

/// What is owed in one lane at a moment.
#[derive(Clone, Debug, Default)]
pub struct Owed {
    /// May be tried now, the longest due first.
    pub due: Vec<(OrderId, Delivery)>,
    /// When the next of the lane after these is due.
    pub next: Option<Timestamp>,
}

/// A request that was answered before.
#[derive(Clone, Debug, PartialEq)]
pub struct Answered {
    /// The order it made or amended, which may be deleted by now.
    pub order_id: OrderId,
    /// What was asked and answered.
    pub answer: Answer,
}

/// Counts over all orders.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// How many.
    pub orders: u64,
    /// The sum of all totals, cancelled orders left out.
    pub revenue: Money,
    /// How many of each status; every status is there.
    pub by_status: BTreeMap<&'static str, u64>,
    /// How many different customer ids.
    pub customers: u64,
}

/// Something durable that is no order, by kind and key.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// Whose it is: `[a-z_]{1,32}`.
    pub kind: String,
    /// Which: `[A-Za-z0-9_-]{1,128}`.
    pub key: String,
    /// The value.
    pub value: serde_json::Value,
    /// Counts up with every change, from 1.
    pub revision: u64,
}
