//! What is owed to the outside, and who takes it on.
//!
//! A delivery is committed with the change that owes it, and taken on by one worker at a time. What is learned of it is
//! recorded in the delivery itself (`deliveries/outcomes`): neither version nor history of the order move.

mod carrier;
pub(super) mod outcomes;

pub use carrier::{CarrierReport, CarrierStatus};
pub use outcomes::Attempt;

use super::changes::UNDO;
use super::texts::TextPolicy;
use super::tickets;
use super::{Inner, OrderError, OrderService, Origin};
use crate::ordering::order::{self, OrderId};
use crate::store::{Delivery, DeliveryKind, DeliveryState, Facts, Lane, Owed, Record};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use std::collections::HashSet;
use std::sync::Arc;
use tokio::sync::Notify;

/// What a staff tap owes waits as long as the tap can be taken back. An undo that comes just in time and is committed after
/// the text was taken on is refused.
const STAFF_DELAY: SignedDuration = UNDO;
/// A worker who has not told an outcome after so long is taken for dead: longer than any attempt may take.
pub const CLAIM: SignedDuration = SignedDuration::from_secs(60);

/// Who is told of orders.
#[derive(Clone, Debug)]
pub struct Owes {
    /// Customers, by text.
    pub texts: TextPolicy,
    /// The spreadsheet: every change updates the order's row.
    pub sheet: bool,
    /// The shop's own receiver: every change is told.
    pub webhook: bool,
}

impl Owes {
    pub(super) fn sheet_row(&self, record: &mut Record, origin: &Origin, now: Timestamp) {
        if self.sheet {
            Self::row(record, origin, now);
        }
    }

    /// The row tells the order as it is when it is written: one that is still to be written will do.
    pub(super) fn row(record: &mut Record, origin: &Origin, now: Timestamp) {
        let waits = |delivery: &Delivery| {
            delivery.kind == DeliveryKind::SheetRow
                && delivery.state == DeliveryState::Owed
                && delivery.claimed_until.is_none()
        };
        if !record.deliveries.iter().any(waits) {
            record.deliveries.push(Delivery {
                correlation_id: origin.correlation_id.clone(),
                ..Delivery::owed(record.next_delivery_id(), DeliveryKind::SheetRow, now)
            });
        }
    }
}

/// Wakes the workers of each lane.
#[derive(Debug, Default)]
pub(super) struct Wakes([Notify; Lane::ALL.len()]);

impl Wakes {
    fn of(&self, lane: Lane) -> &Notify {
        &self.0[lane as usize]
    }
}

/// A delivery that this process has taken on.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// The order, as it was when the delivery was taken on.
    pub record: Arc<Record>,
    /// The delivery; its attempts count this one.
    pub delivery: Delivery,
}

impl OrderService {
    /// What of a lane may be tried now, at most `most` deliveries, and when the next after these is due. Some of it may be
    /// somebody's already when it comes to be taken on.
    pub async fn owed(&self, lane: Lane, most: usize) -> Result<Owed, OrderError> {
        Ok(self.0.store.owed(lane, self.now(), most).await?)
    }

    /// Takes on a delivery. It is taken on by one worker at a time, whichever process it is in; one that tells no outcome
    /// within a minute loses it. None: it is not due any more, somebody else has it, or it is a row and another row of its
    /// order is being written, or a ticket and an earlier one of its order is not settled.
    pub async fn claim(&self, order: &OrderId, delivery: u32) -> Result<Option<Claimed>, OrderError> {
        let order = order.clone();
        match self.carry_through(move |inner| async move { inner.claim(order, delivery).await }).await {
            Ok(claimed) => Ok(Some(claimed)),
            Err(OrderError::NoSuchDelivery | OrderError::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Frees what a process that is gone had taken on: for a store that no other process writes to, at its start.
    pub async fn release_claims(&self) -> Result<(), OrderError> {
        if self.0.store.is_shared() {
            return Ok(());
        }
        let mut claimed = HashSet::new();
        for lane in Lane::ALL {
            let owed = self.0.store.owed(lane, Timestamp::MAX, usize::MAX).await?;
            let taken = owed.due.into_iter().filter(|(_, delivery)| delivery.claimed_until.is_some());
            claimed.extend(taken.map(|(id, _)| id));
        }
        for id in claimed {
            let release = |record: &Record, _: &Facts| {
                let mut changed = record.clone();
                changed.deliveries.iter_mut().for_each(|delivery| delivery.claimed_until = None);
                Ok::<_, OrderError>(changed)
            };
            self.0.amend(id, self.0.clock.now(), release, None).await?;
        }
        Ok(())
    }

    /// Waits until something new is owed in a lane. Who begins to wait later is told all the same.
    pub async fn newly_owed(&self, lane: Lane) {
        self.0.owed.of(lane).notified().await;
    }
}

impl Inner {
    /// Puts what a change owes beside the order, under the facts that the change is committed with.
    pub(super) fn owe(
        &self,
        record: &mut Record,
        event: &'static str,
        text: Option<DeliveryKind>,
        facts: &Facts,
        origin: &Origin,
        now: Timestamp,
    ) {
        if let (Some(kind), Some(to)) = (text, record.order.phone.clone()) {
            let may_be_undone = record.order.version > 1 && origin.is_by_people();
            let skipped = self.owes.texts.reason_to_skip(&to, facts.texts_last_hour);
            record.deliveries.push(Delivery {
                to: Some(to),
                body: self.owes.texts.body(kind, &record.order),
                state: if skipped.is_some() { DeliveryState::Skipped } else { DeliveryState::Owed },
                not_before: if may_be_undone { now.checked_add(STAFF_DELAY).unwrap_or(now) } else { now },
                reason: skipped.map(str::to_owned),
                correlation_id: origin.correlation_id.clone(),
                ..Delivery::owed(record.next_delivery_id(), kind, now)
            });
        }
        if self.owes.webhook {
            record.deliveries.push(Delivery {
                body: json!({"type": event, "at": now, "order": record.order}).to_string(),
                correlation_id: origin.correlation_id.clone(),
                ..Delivery::owed(record.next_delivery_id(), DeliveryKind::Webhook, now)
            });
        }
        self.owes.sheet_row(record, origin, now);
    }

    async fn claim(&self, id: OrderId, delivery_id: u32) -> Result<Claimed, OrderError> {
        let clock = self.clock.clone();
        let take = move |record: &Record, _: &Facts| {
            // Not when it was asked for: until it is this order's turn a claim could be half over.
            let now = clock.now();
            // Of two that write the row of one order the slower one would write the older state over the newer.
            let row_under_way = record.deliveries.iter().any(|other| {
                other.kind == DeliveryKind::SheetRow
                    && other.state == DeliveryState::Owed
                    && other.claimed_until.is_some_and(|until| until > now)
            });
            let must_wait = match find(record, delivery_id).map(|delivery| delivery.kind) {
                Some(DeliveryKind::SheetRow) => row_under_way,
                Some(DeliveryKind::PosTicket) => tickets::has_earlier(record, delivery_id),
                _ => false,
            };
            change_delivery(record, delivery_id, |delivery| {
                let is_due = delivery.due_at().is_some_and(|at| at <= now) && !must_wait;
                delivery.attempts += 1;
                delivery.claimed_until = Some(order::stored_instant(now + CLAIM));
                is_due
            })
        };
        let record = self.amend(id, self.clock.now(), take, None).await?;
        let delivery = find(&record, delivery_id).cloned().ok_or(OrderError::NoSuchDelivery)?;
        Ok(Claimed { record, delivery })
    }

    pub(super) fn wake_outbox(&self, lanes: HashSet<Lane>) {
        lanes.into_iter().for_each(|lane| self.owed.of(lane).notify_one());
    }
}

/// The lanes in which a change owes something that was not owed before. A worker who takes on a delivery or is done with
/// it needs nobody to wake it.
pub(super) fn newly_owing(before: Option<&Record>, after: &Record) -> HashSet<Lane> {
    let owes = |record: &Record, id| find(record, id).is_some_and(|delivery| delivery.due_at().is_some());
    let is_new =
        |delivery: &&Delivery| delivery.due_at().is_some() && !before.is_some_and(|before| owes(before, delivery.id));
    after.deliveries.iter().filter(is_new).map(|delivery| delivery.kind.lane()).collect()
}

pub(super) fn find(record: &Record, delivery: u32) -> Option<&Delivery> {
    record.deliveries.iter().find(|known| known.id == delivery)
}

/// The record with one delivery changed; `change` says whether that may be.
fn change_delivery(
    record: &Record,
    delivery: u32,
    change: impl FnOnce(&mut Delivery) -> bool,
) -> Result<Record, OrderError> {
    let mut changed = record.clone();
    let found = changed.deliveries.iter_mut().find(|known| known.id == delivery);
    if found.is_some_and(change) { Ok(changed) } else { Err(OrderError::NoSuchDelivery) }
}

#[cfg(test)]
mod tests;
