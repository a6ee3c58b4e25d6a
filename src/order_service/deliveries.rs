//! What is owed to the outside, and what became of it.
//!
//! A delivery is committed with the change that owes it. What is learned of it later is recorded in the delivery itself:
//! neither version nor history of the order move.

use super::changes::note;
use super::texts::TextPolicy;
use super::{Inner, OrderError, OrderService, Origin};
use crate::events::{Event, Rendered};
use crate::ordering::order::{self, OrderId};
use crate::store::{Announce, Delivery, DeliveryKind, DeliveryState, Facts, Record, Tried};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use std::sync::Arc;

/// What a staff tap owes waits so long, so that the tap can be taken back.
const STAFF_DELAY: SignedDuration = SignedDuration::from_secs(5);
/// A worker who has not told an outcome after so long is taken for dead: longer than any attempt may take.
const CLAIM: SignedDuration = SignedDuration::from_secs(60);
/// Outcomes that are kept of one delivery.
const MOST_TRIES_KEPT: usize = 50;

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
    /// The row tells the order as it is when it is written: one that is still to be written will do.
    pub(super) fn sheet_row(&self, record: &mut Record, origin: &Origin, now: Timestamp) {
        let waits = |delivery: &Delivery| {
            delivery.kind == DeliveryKind::SheetRow
                && delivery.state == DeliveryState::Owed
                && delivery.claimed_until.is_none()
        };
        if self.sheet && !record.deliveries.iter().any(waits) {
            record.deliveries.push(Delivery {
                correlation_id: origin.correlation_id.clone(),
                ..Delivery::owed(record.next_delivery_id(), DeliveryKind::SheetRow, now)
            });
        }
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

/// What became of an attempt to deliver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// The carrier has it, under this name where it has one.
    Sent {
        /// The carrier's id.
        provider_id: Option<String>,
    },
    /// Try again, not before.
    Retry {
        /// When.
        at: Timestamp,
        /// What went wrong.
        reason: String,
    },
    /// Given up.
    Failed {
        /// Why.
        reason: String,
    },
}

impl OrderService {
    /// Takes on at most `most` deliveries that are due, and tells when the next after these is due. A delivery is taken on
    /// by one worker at a time, whichever process it is in; one that tells no outcome within a minute loses it.
    pub async fn claim_due(&self, most: usize) -> Result<(Vec<Claimed>, Option<Timestamp>), OrderError> {
        let now = self.0.clock.now();
        let owed = self.0.store.owed(now, most).await?;
        let mut claimed = Vec::with_capacity(owed.due.len());
        for (id, delivery) in owed.due {
            let inner = Arc::clone(&self.0);
            let taken = self.carry_through(|_| async move { inner.claim(id, delivery.id, now).await }).await;
            match taken {
                Ok(taken) => claimed.push(taken),
                // Somebody else has it, or it is gone.
                Err(OrderError::NoSuchDelivery | OrderError::NotFound) => {}
                Err(error) => return Err(error),
            }
        }
        Ok((claimed, owed.next))
    }

    /// Frees what a process that is gone had taken on: for a store that no other process writes to, at its start.
    pub async fn release_claims(&self) -> Result<(), OrderError> {
        if self.0.store.is_shared() {
            return Ok(());
        }
        let owed = self.0.store.owed(Timestamp::MAX, usize::MAX).await?;
        let mut claimed: Vec<OrderId> =
            owed.due.into_iter().filter(|(_, delivery)| delivery.claimed_until.is_some()).map(|(id, _)| id).collect();
        claimed.dedup();
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

    /// Waits until something new is owed.
    pub async fn newly_owed(&self) {
        self.0.owed.notified().await;
    }

    /// Records what became of an attempt, and frees the delivery for the next.
    pub async fn record_attempt(&self, order: &OrderId, delivery: u32, attempt: Attempt) -> Result<(), OrderError> {
        let order = order.clone();
        self.carry_through(move |inner| async move { inner.record_attempt(order, delivery, attempt).await }).await
    }

    /// Records what the carrier tells of a text later on. A text that it could not deliver is shown as failed.
    pub async fn record_carrier_status(
        &self,
        order: &OrderId,
        delivery: u32,
        provider_id: &str,
        status: &str,
        reason: Option<String>,
    ) -> Result<(), OrderError> {
        let (order, provider_id, status) = (order.clone(), provider_id.to_owned(), status.to_owned());
        self.carry_through(move |inner| async move {
            inner.record_carrier_status(order, delivery, provider_id, status, reason).await
        })
        .await
    }

    /// Owes a delivery again that was given up.
    pub async fn retry_delivery(&self, order: &OrderId, delivery: u32, origin: Origin) -> Result<(), OrderError> {
        let order = order.clone();
        self.carry_through(move |inner| async move { inner.retry_delivery(order, delivery, origin).await }).await
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

    async fn claim(&self, id: OrderId, delivery_id: u32, now: Timestamp) -> Result<Claimed, OrderError> {
        let take = move |record: &Record, _: &Facts| {
            change_delivery(record, delivery_id, |delivery| {
                let is_due = delivery.due_at().is_some_and(|at| at <= now);
                delivery.attempts += 1;
                delivery.claimed_until = Some(order::stored_instant(now + CLAIM));
                is_due
            })
        };
        let record = self.amend(id, now, take, None).await?;
        let delivery = find(&record, delivery_id).cloned().ok_or(OrderError::NoSuchDelivery)?;
        Ok(Claimed { record, delivery })
    }

    async fn record_attempt(&self, id: OrderId, delivery_id: u32, attempt: Attempt) -> Result<(), OrderError> {
        let now = self.clock.now();
        let learned = attempt.clone();
        let record = move |record: &Record, _: &Facts| {
            change_delivery(record, delivery_id, |delivery| {
                delivery.claimed_until = None;
                let outcome = match &learned {
                    Attempt::Sent { provider_id } => {
                        delivery.state = DeliveryState::Sent;
                        delivery.provider_id.clone_from(provider_id);
                        delivery.reason = None;
                        if delivery.kind == DeliveryKind::Webhook {
                            // It was told; the order itself still says what.
                            delivery.body.clear();
                        }
                        "sent"
                    }
                    Attempt::Retry { at, reason } => {
                        delivery.not_before = order::stored_instant(*at);
                        delivery.reason = Some(reason.clone());
                        reason
                    }
                    Attempt::Failed { reason } => {
                        // It may have been taken back or erased while it was tried.
                        if delivery.state == DeliveryState::Owed {
                            delivery.state = DeliveryState::Failed;
                            delivery.reason = Some(reason.clone());
                        }
                        reason
                    }
                };
                if delivery.tries.len() >= MOST_TRIES_KEPT {
                    delivery.tries.remove(0);
                }
                delivery.tries.push(Tried { at: now, outcome: outcome.to_owned() });
                true
            })
        };
        let failed = matches!(attempt, Attempt::Failed { .. });
        self.change(id, record, failed.then_some(delivery_id)).await
    }

    async fn record_carrier_status(
        &self,
        id: OrderId,
        delivery_id: u32,
        provider_id: String,
        status: String,
        reason: Option<String>,
    ) -> Result<(), OrderError> {
        let failed = matches!(status.as_str(), "failed" | "undelivered");
        let now = self.clock.now();
        let record = move |record: &Record, _: &Facts| {
            change_delivery(record, delivery_id, |delivery| {
                // The report may come before the outcome of the request that it reports on.
                let is_of_it = delivery.provider_id.as_ref().is_none_or(|known| *known == provider_id);
                if failed && is_of_it {
                    delivery.state = DeliveryState::Failed;
                    delivery.claimed_until = None;
                    delivery.reason.clone_from(&reason);
                    delivery.tries.push(Tried { at: now, outcome: reason.clone().unwrap_or_else(|| status.clone()) });
                }
                delivery.provider_id = Some(provider_id.clone());
                delivery.carrier_status = Some(status.clone());
                is_of_it && delivery.kind.is_text()
            })
        };
        self.change(id, record, failed.then_some(delivery_id)).await
    }

    async fn retry_delivery(&self, id: OrderId, delivery_id: u32, origin: Origin) -> Result<(), OrderError> {
        let now = self.clock.now();
        let again = move |record: &Record, _: &Facts| {
            let mut changed = change_delivery(record, delivery_id, |delivery| {
                let was_given_up = delivery.state == DeliveryState::Failed;
                delivery.state = DeliveryState::Owed;
                delivery.attempts = 0;
                delivery.not_before = now;
                delivery.provider_id = None;
                delivery.carrier_status = None;
                was_given_up
            })?;
            note(&mut changed, "delivery_retried", None, &origin, now);
            Ok(changed)
        };
        self.change(id, again, None).await
    }

    /// Commits what was learned of a delivery; one that was given up is told to the console.
    async fn change(
        &self,
        id: OrderId,
        change: impl Fn(&Record, &Facts) -> Result<Record, OrderError> + Send + Sync + 'static,
        given_up: Option<u32>,
    ) -> Result<(), OrderError> {
        let events = self.events.clone();
        let announce: Announce = Box::new(move |record| {
            let event = given_up.and_then(|id| find(record, id)).map(|delivery| {
                let order = Arc::new(record.order.clone());
                Rendered::from(&Event::DeliveryFailed { order, kind: delivery.kind.as_str() })
            });
            Box::new(move || {
                if let Some(event) = event {
                    events.publish(event);
                }
            })
        });
        self.amend_and(id, self.clock.now(), change, announce).await.map(drop)
    }

    pub(super) fn wake_outbox(&self, record: &Record) {
        if record.deliveries.iter().any(|delivery| delivery.due_at().is_some()) {
            self.owed.notify_one();
        }
    }
}

fn find(record: &Record, delivery: u32) -> Option<&Delivery> {
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
