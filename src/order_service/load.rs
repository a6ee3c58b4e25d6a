//! What is to be made already: how many drinks come first, and how many are due when.

use super::changes::AHEAD;
use super::{Inner, OrderError, OrderService};
use crate::ordering::order::OrderId;
use jiff::Timestamp;
use std::collections::BTreeMap;

/// The drinks of active orders at one moment. A commit judges by its own facts; this is for whoever asks before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Drinks that are made before what is ordered now.
    pub ahead: u32,
    /// Drinks by the start of the slot that they are due in.
    pub due: BTreeMap<Timestamp, u32>,
}

impl OrderService {
    /// What is to be made at this moment.
    pub async fn load(&self) -> Result<Load, OrderError> {
        self.0.load(None).await
    }
}

impl Inner {
    /// As [`OrderService::load`], without one order.
    pub(super) async fn load(&self, but: Option<&OrderId>) -> Result<Load, OrderError> {
        let soon = self.clock.now().checked_add(AHEAD).unwrap_or(Timestamp::MAX);
        let mut load = Load::default();
        for record in self.store.open().await? {
            let order = &record.order;
            if !order.status.is_active() || Some(&order.order_id) == but {
                continue;
            }
            if order.pickup_at.is_none_or(|at| at < soon) {
                load.ahead = load.ahead.saturating_add(order.drinks());
            }
            if let Some(at) = order.due_at() {
                *load.due.entry(self.shop.slot_of(at).unwrap_or(at)).or_default() += order.drinks();
            }
        }
        Ok(load)
    }
}
