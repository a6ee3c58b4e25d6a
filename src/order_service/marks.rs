//! What those who make an order note on it for each other: which of its lines are made, and that it goes before all
//! others.
//!
//! Kept beside the order and told to staff. It is no change of the order: two people who tick different lines at the same
//! moment are both right, so no version is asked for, none goes up, and history has no line of it. A closed order has
//! nothing to be made, so its marks are not shown and cannot be changed; they come back with it when its closing is
//! undone or it is recalled.

use super::{Inner, OrderError, OrderService, Origin};
use crate::events::{Event, Rendered};
use crate::ordering::order::OrderId;
use crate::store::{Announce, Facts, Marks, Record};
use std::sync::Arc;

/// One thing to note.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Whether a line is made.
    Item {
        /// Its place in the order, from 0.
        item: usize,
        /// Whether it is.
        made: bool,
    },
    /// Whether the order is to be made before all others.
    Rush(bool),
}

impl OrderService {
    /// Notes something on an open order, and answers the order with all that is stored beside it. What is noted already
    /// stays as it is, and nobody is told of it again.
    ///
    /// # Errors
    /// [`OrderError::TooLate`] when the order is closed, [`OrderError::NoSuchItem`] when it has no such line.
    pub async fn mark(&self, id: &OrderId, mark: Mark, origin: Origin) -> Result<Arc<Record>, OrderError> {
        let id = id.clone();
        self.carry_through(move |inner| async move { inner.mark(id, mark, origin).await }).await
    }
}

/// The marks of an order as they are to be shown: a closed one has none.
pub fn marks(record: &Record) -> Marks {
    if record.order.status.is_open() { record.marks.clone() } else { Marks::default() }
}

/// Why an order stayed as it was.
enum Unchanged {
    /// It is noted already.
    Needless,
    Error(OrderError),
}

impl From<OrderError> for Unchanged {
    fn from(error: OrderError) -> Self {
        Self::Error(error)
    }
}

impl Inner {
    async fn mark(&self, id: OrderId, mark: Mark, origin: Origin) -> Result<Arc<Record>, OrderError> {
        let now = self.clock.now();
        let amend = move |record: &Record, _: &Facts| {
            let status = record.order.status;
            if !status.is_open() {
                return Err(OrderError::TooLate(status).into());
            }
            let mut changed = record.clone();
            let is_new = match mark {
                Mark::Item { item, .. } if item >= record.order.items.len() => {
                    return Err(OrderError::NoSuchItem(item).into());
                }
                Mark::Item { item, made: true } => changed.marks.made.insert(item),
                Mark::Item { item, made: false } => changed.marks.made.remove(&item),
                // Who rushes an order again does not send it behind those rushed since.
                Mark::Rush(rush) => rush != changed.marks.rushed_at.is_some(),
            };
            if let Mark::Rush(rush) = mark {
                changed.marks.rushed_at = rush.then_some(now);
            }
            if is_new { Ok(changed) } else { Err(Unchanged::Needless) }
        };
        let events = self.events.clone();
        let announce: Announce = Box::new(move |record| {
            let Marks { made, rushed_at } = marks(record);
            let order = Arc::new(record.order.clone());
            let event = Event::OrderMarked { order, made: made.into_iter().collect(), rushed_at };
            let rendered = Rendered::from(&event);
            Box::new(move || events.publish(rendered))
        });
        match self.amend_and(id.clone(), now, amend, announce).await {
            Ok(record) => {
                tracing::debug!(order.number = %record.order.order_number, by = origin.by, "an order was marked");
                Ok(record)
            }
            Err(Unchanged::Needless) => self.store.by_id(&id).await?.ok_or(OrderError::NotFound),
            Err(Unchanged::Error(error)) => Err(error),
        }
    }
}
