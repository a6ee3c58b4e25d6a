//! What became of a delivery: told by the worker who tried it, by the carrier later on, and by staff who want it tried
//! again.

use super::carrier::CarrierReport;
use super::{change_delivery, find};
use crate::events::{Event, Rendered};
use crate::order_service::changes::note;
use crate::order_service::{Inner, OrderError, OrderService, Origin, tickets};
use crate::ordering::order::{self, OrderId};
use crate::store::{Announce, Delivery, DeliveryKind, DeliveryState, Facts, Record, Tried};
use jiff::Timestamp;
use std::sync::Arc;

/// Outcomes that are kept of one delivery.
const MOST_TRIES_KEPT: usize = 50;

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
    /// Of a ticket: the point of sale certainly does not have it. Tried again, unless it was refused too often.
    Refused {
        /// Not before.
        again: Timestamp,
        /// Why: words for people.
        reason: String,
    },
    /// Of a ticket: there is no point of sale any more, and the one that there was certainly does not have it. Nobody has
    /// to be waited for.
    Needless {
        /// Why: words for people.
        reason: String,
    },
    /// Given up.
    Failed {
        /// Why.
        reason: String,
    },
}

impl OrderService {
    /// Records what became of an attempt, and frees the delivery for the next. `claim` is when the claim that it was made
    /// under ends or ended: if the delivery is somebody else's by now, it stays theirs.
    pub async fn record_attempt(
        &self,
        order: &OrderId,
        delivery: u32,
        claim: Option<Timestamp>,
        attempt: Attempt,
    ) -> Result<(), OrderError> {
        let order = order.clone();
        self.carry_through(move |inner| inner.record_attempt(order, delivery, claim, attempt)).await
    }

    /// Records what the carrier tells of a text later on. A text that it could not deliver is shown as failed; a report
    /// that tells nothing new changes nothing.
    ///
    /// # Errors
    /// [`OrderError::NoSuchDelivery`] when there is none, or it is no text.
    pub async fn record_carrier_status(
        &self,
        order: &OrderId,
        delivery: u32,
        report: CarrierReport,
    ) -> Result<(), OrderError> {
        let order = order.clone();
        self.carry_through(move |inner| async move { inner.record_carrier_status(order, delivery, report).await }).await
    }

    /// Owes a delivery again that was given up. One that is owed already stays as it is.
    ///
    /// # Errors
    /// [`OrderError::NoSuchDelivery`] when there is none, or there is nothing left of it to send.
    pub async fn retry_delivery(&self, order: &OrderId, delivery: u32, origin: Origin) -> Result<(), OrderError> {
        let order = order.clone();
        self.carry_through(move |inner| async move { inner.retry_delivery(order, delivery, origin).await }).await
    }
}

/// What live readers are told of a change of a delivery.
#[derive(Clone, Copy)]
enum Tell {
    /// That it was given up, if it was.
    GivenUp,
    /// That the order is to be looked at again.
    Changed,
}

/// Why a delivery was not changed.
enum Unchanged {
    /// It is as it should be.
    Needless,
    Error(OrderError),
}

impl From<OrderError> for Unchanged {
    fn from(error: OrderError) -> Self {
        Self::Error(error)
    }
}

impl Inner {
    async fn record_attempt(
        self: Arc<Self>,
        id: OrderId,
        delivery_id: u32,
        claim: Option<Timestamp>,
        attempt: Attempt,
    ) -> Result<(), OrderError> {
        let now = self.clock.now();
        let is_ticket = |record: &Record| {
            find(record, delivery_id).is_some_and(|delivery| delivery.kind == DeliveryKind::PosTicket)
        };
        // Its outcome is one of the order's own.
        if self.store.by_id(&id).await?.is_some_and(|record| is_ticket(&record)) {
            return self.record_ticket(id, delivery_id, claim, attempt).await;
        }
        let learn = move |record: &Record, _: &Facts| {
            let mut changed = change_delivery(record, delivery_id, |delivery| {
                attempted(delivery, claim, &attempt, now);
                true
            })?;
            if matches!(attempt, Attempt::Sent { .. }) {
                tell_with(&mut changed, delivery_id, now);
            }
            Ok(changed)
        };
        self.change(id, delivery_id, Tell::GivenUp, learn).await.map(drop)
    }

    async fn record_carrier_status(
        &self,
        id: OrderId,
        delivery_id: u32,
        report: CarrierReport,
    ) -> Result<(), OrderError> {
        let now = self.clock.now();
        let failed = report.status.is_failure();
        let learn = move |record: &Record, _: &Facts| {
            let delivery = find(record, delivery_id).filter(|delivery| delivery.kind.is_text());
            if !report.is_news_for(delivery.ok_or(OrderError::NoSuchDelivery)?) {
                return Err(Unchanged::Needless);
            }
            Ok(change_delivery(record, delivery_id, |delivery| {
                reported(delivery, &report, now);
                true
            })?)
        };
        let Some(record) = self.change(id, delivery_id, Tell::GivenUp, learn).await? else { return Ok(()) };
        if let Some(delivery) = find(&record, delivery_id).filter(|_| failed) {
            tracing::error!(
                event = "delivery_failed",
                order.number = %record.order.order_number,
                kind = delivery.kind.as_str(),
                correlation.id = delivery.correlation_id.as_deref(),
                "a text did not arrive: {}",
                delivery.reason.as_deref().unwrap_or("the carrier does not say why"),
            );
        }
        Ok(())
    }

    async fn retry_delivery(&self, id: OrderId, delivery_id: u32, origin: Origin) -> Result<(), OrderError> {
        let now = self.clock.now();
        let again = move |record: &Record, _: &Facts| {
            let known = find(record, delivery_id).ok_or(OrderError::NoSuchDelivery)?;
            if known.state == DeliveryState::Owed {
                return Err(Unchanged::Needless);
            }
            let is_ticket = known.kind == DeliveryKind::PosTicket;
            if is_ticket && !tickets::is_wanted(record, known) {
                return Err(OrderError::NoSuchDelivery.into());
            }
            let mut changed = change_delivery(record, delivery_id, |delivery| {
                let was_given_up = delivery.state == DeliveryState::Failed;
                delivery.state = DeliveryState::Owed;
                delivery.refusals = 0;
                if !is_ticket {
                    // How a ticket was tried tells whether it has to be asked for first.
                    delivery.attempts = 0;
                }
                delivery.not_before = now;
                delivery.claimed_until = None;
                // The carrier's name for it stays until it has another: late reports on the old message are known by it.
                was_given_up
            })?;
            note(&mut changed, "delivery_retried", None, &origin, now);
            Ok(changed)
        };
        self.change(id, delivery_id, Tell::Changed, again).await.map(drop)
    }

    /// Commits what was learned of a delivery, and tells of it what readers want to know; none: nothing new was learned.
    async fn change(
        &self,
        id: OrderId,
        delivery_id: u32,
        tell: Tell,
        change: impl Fn(&Record, &Facts) -> Result<Record, Unchanged> + Send + Sync + 'static,
    ) -> Result<Option<Arc<Record>>, OrderError> {
        let events = self.events.clone();
        let announce: Announce = Box::new(move |record| {
            let order = || Arc::new(record.order.clone());
            let delivery = find(record, delivery_id);
            let event = match tell {
                Tell::Changed => Some(Event::OrderUpdated(order())),
                Tell::GivenUp => delivery
                    .filter(|delivery| delivery.state == DeliveryState::Failed)
                    .map(|delivery| Event::DeliveryFailed { order: order(), kind: delivery.kind.as_str() }),
            };
            let event = event.map(|event| Rendered::from(&event));
            Box::new(move || {
                if let Some(event) = event {
                    events.publish(event);
                }
            })
        });
        match self.amend_and(id, self.clock.now(), change, announce).await {
            Ok(record) => Ok(Some(record)),
            Err(Unchanged::Needless) => Ok(None),
            Err(Unchanged::Error(error)) => Err(error),
        }
    }
}

fn attempted(delivery: &mut Delivery, claim: Option<Timestamp>, attempt: &Attempt, now: Timestamp) {
    // An outcome that comes late is no news of the attempt that is under way now, except that it was sent.
    let is_theirs = delivery.claimed_until == claim;
    if is_theirs {
        delivery.claimed_until = None;
    }
    // It may have been taken back or erased while it was tried, or reported on by the carrier.
    let is_open = is_theirs && delivery.state == DeliveryState::Owed;
    let outcome = match attempt {
        Attempt::Sent { provider_id } => {
            let is_reported = provider_id.is_some() && delivery.provider_id == *provider_id;
            if !is_reported {
                delivery.state = DeliveryState::Sent;
                delivery.provider_id.clone_from(provider_id);
                delivery.carrier_status = None;
                delivery.reason = None;
            }
            if delivery.kind == DeliveryKind::Webhook {
                // It was told; the order itself still says what.
                delivery.body.clear();
            }
            "sent"
        }
        Attempt::Retry { at, reason } => {
            if is_open {
                delivery.not_before = order::stored_instant(*at);
                delivery.reason = Some(reason.clone());
            }
            reason
        }
        Attempt::Refused { reason, .. } | Attempt::Needless { reason } | Attempt::Failed { reason } => {
            if is_open {
                delivery.state = DeliveryState::Failed;
                delivery.reason = Some(reason.clone());
            }
            reason
        }
    };
    tried(delivery, outcome, now);
}

fn reported(delivery: &mut Delivery, report: &CarrierReport, now: Timestamp) {
    delivery.provider_id = Some(report.provider_id.clone());
    delivery.carrier_status = Some(report.status.as_str().to_owned());
    if report.status.is_failure() {
        delivery.state = DeliveryState::Failed;
        delivery.claimed_until = None;
        delivery.reason.clone_from(&report.reason);
        tried(delivery, report.reason.as_deref().unwrap_or(report.status.as_str()), now);
    } else if delivery.state == DeliveryState::Owed {
        // The answer to the request is still on its way or was lost; the carrier has it all the same.
        delivery.state = DeliveryState::Sent;
        delivery.claimed_until = None;
        delivery.reason = None;
    }
}

/// A row tells the order as it is, so one that was written has told what earlier ones were given up with.
fn tell_with(record: &mut Record, written: u32, now: Timestamp) {
    let is_row = |delivery: &Delivery| delivery.kind == DeliveryKind::SheetRow;
    if !find(record, written).is_some_and(is_row) {
        return;
    }
    let given_up = |delivery: &&mut Delivery| is_row(delivery) && delivery.state == DeliveryState::Failed;
    for delivery in record.deliveries.iter_mut().filter(given_up) {
        delivery.state = DeliveryState::Sent;
        delivery.reason = None;
        tried(delivery, "sent with a later row", now);
    }
}

pub(in crate::order_service) fn tried(delivery: &mut Delivery, outcome: &str, now: Timestamp) {
    if delivery.tries.len() >= MOST_TRIES_KEPT {
        delivery.tries.remove(0);
    }
    delivery.tries.push(Tried { at: now, outcome: outcome.to_owned() });
}
