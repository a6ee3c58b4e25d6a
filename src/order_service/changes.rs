//! How each change of an order is carried out: checked against what the store knows, saved, announced with the commit.

use super::deliveries::newly_owing;
use super::texts;
use super::tickets;
use super::{Inner, OrderError, Origin, Patch};
use crate::events::{Event, Rendered};
use crate::ordering::order::{self, HistoryEntry, Order, OrderId};
use crate::ordering::status::OrderStatus;
use crate::store::{Announce, AuditEntry, ChangeError, Delivery, Facts, Reasons, Record, Remove, Update, unannounced};
use jiff::{SignedDuration, Timestamp};
use std::collections::HashSet;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

/// A change of status may be taken back for so long.
pub(super) const UNDO: SignedDuration = SignedDuration::from_secs(5);
/// An order to be fetched later than this is not made before what is ordered now.
pub(super) const AHEAD: SignedDuration = SignedDuration::from_hours(1);

impl Inner {
    pub(super) async fn change_status(
        self: Arc<Self>,
        id: OrderId,
        to: OrderStatus,
        reason: Option<String>,
        expected: Option<u64>,
        origin: Origin,
    ) -> Result<Order, OrderError> {
        self.move_to(id, to, reason, expected, origin, OrderStatus::may_become).await
    }

    pub(super) async fn done(self: Arc<Self>, id: OrderId, origin: Origin) -> Result<Order, OrderError> {
        let being_made = |from: OrderStatus, _, _| matches!(from, OrderStatus::Received | OrderStatus::Preparing);
        self.move_to(id, OrderStatus::Ready, None, None, origin, being_made).await
    }

    /// `may_become` is told from where, to where, and how long the order has been where it is.
    async fn move_to(
        self: Arc<Self>,
        id: OrderId,
        to: OrderStatus,
        reason: Option<String>,
        expected: Option<u64>,
        origin: Origin,
        may_become: impl Fn(OrderStatus, OrderStatus, SignedDuration) -> bool + Send + Sync + 'static,
    ) -> Result<Order, OrderError> {
        let now = self.clock.now();
        let inner = Arc::clone(&self);
        let by = origin.by;
        let amend = move |record: &Record, facts: &Facts| {
            check_version(record, expected)?;
            let from = record.order.status;
            if !may_become(from, to, now.duration_since(entered(&record.order))) {
                return Err(OrderError::InvalidState { from, to });
            }
            let text = texts::told_by(to);
            let mut changed = record.clone();
            if from == OrderStatus::Ready {
                // Nobody is called to the counter for what is not there any more.
                texts::take_back(&mut changed, from, entered(&record.order), texts::NOT_READY);
            }
            if from == OrderStatus::Pending || to == OrderStatus::Cancelled {
                tickets::decided(&mut changed, to, &origin);
            }
            changed.order.status = to;
            touch(&mut changed, to.as_str(), reason.clone(), &origin, now);
            inner.owe(&mut changed, "order_status_changed", text, facts, &origin, now);
            Ok(changed)
        };
        let record = self.amend(id, now, amend, Some(Event::OrderStatusChanged)).await?;
        log_moved(&record.order, by);
        let of_this_change = |delivery: &&Delivery| delivery.owed_at == now;
        texts::log_skipped(&record, record.deliveries.iter().filter(of_this_change));
        Ok(record.order.clone())
    }

    pub(super) async fn undo(
        self: Arc<Self>,
        id: OrderId,
        expected: Option<u64>,
        origin: Origin,
    ) -> Result<Order, OrderError> {
        let now = self.clock.now();
        let inner = Arc::clone(&self);
        let by = origin.by;
        let amend = move |record: &Record, facts: &Facts| {
            check_version(record, expected)?;
            let (before, since) = undoable(record, now).ok_or(OrderError::NothingToUndo)?;
            let mut changed = record.clone();
            changed.order.status = before;
            texts::take_back(&mut changed, record.order.status, since, texts::UNDONE);
            if before == OrderStatus::Ready {
                texts::owe_ready_again(&mut changed, now);
            }
            tickets::undecided(&mut changed, record.order.status, now);
            touch(&mut changed, "undone", None, &origin, now);
            inner.owe(&mut changed, "order_status_changed", None, facts, &origin, now);
            Ok::<_, OrderError>(changed)
        };
        let record = self.amend(id, now, amend, Some(Event::OrderStatusChanged)).await?;
        log_moved(&record.order, by);
        Ok(record.order.clone())
    }

    pub(super) async fn patch(
        self: Arc<Self>,
        id: OrderId,
        patch: Patch,
        expected: Option<u64>,
        origin: Origin,
    ) -> Result<Order, OrderError> {
        let now = self.clock.now();
        let inner = Arc::clone(&self);
        let amend = move |record: &Record, facts: &Facts| {
            check_version(record, expected)?;
            let mut changed = record.clone();
            if let Some(name) = &patch.name {
                changed.order.name.clone_from(name);
            }
            if let Some(notes) = &patch.notes {
                changed.order.notes.clone_from(notes);
            }
            if let Some(at) = patch.estimated_ready_time {
                changed.order.estimated_ready_time = at.map(order::stored_instant);
            }
            touch(&mut changed, "patched", None, &origin, now);
            inner.owe(&mut changed, "order_updated", None, facts, &origin, now);
            Ok::<_, OrderError>(changed)
        };
        let record = self.amend(id, now, amend, Some(Event::OrderUpdated)).await?;
        tracing::info!(
            event = "order_updated",
            order.number = %record.order.order_number,
            order.version = record.order.version,
            "order {} was corrected",
            record.order.order_number,
        );
        Ok(record.order.clone())
    }

    pub(super) async fn delete(
        self: Arc<Self>,
        id: OrderId,
        expected: Option<u64>,
        origin: Origin,
    ) -> Result<(), OrderError> {
        let reasons = Reasons::default();
        let check = {
            let reasons = reasons.clone();
            move |record: &Record| reasons.keep(check_version(record, expected)).is_some()
        };
        let announce = self.announcement(Event::OrderDeleted);
        let remove = Remove { id, now: self.clock.now(), check: Box::new(check), announce };
        let record = reasons.explain(self.store.remove(remove).await)?;
        tracing::info!(
            event = "order_deleted",
            order.id = %record.order.order_id,
            order.number = %record.order.order_number,
            by = origin.by,
            "order {} was deleted",
            record.order.order_number,
        );
        Ok(())
    }

    /// Commits a change of an order and wakes the outbox for what it owes.
    pub(super) async fn amend<E: From<OrderError> + Send + 'static>(
        &self,
        id: OrderId,
        now: Timestamp,
        amend: impl Fn(&Record, &Facts) -> Result<Record, E> + Send + Sync + 'static,
        event: Option<fn(Arc<Order>) -> Event>,
    ) -> Result<Arc<Record>, E> {
        let announce = event.map_or_else(unannounced, |event| self.announcement(event));
        self.amend_and(id, now, amend, announce).await
    }

    /// As [`Inner::amend`], told in other words than an order's.
    pub(super) async fn amend_and<E: From<OrderError> + Send + 'static>(
        &self,
        id: OrderId,
        now: Timestamp,
        amend: impl Fn(&Record, &Facts) -> Result<Record, E> + Send + Sync + 'static,
        announce: Announce,
    ) -> Result<Arc<Record>, E> {
        let reasons = Reasons::default();
        let owing = Arc::new(Mutex::new(HashSet::new()));
        let amend = {
            let (reasons, owing) = (reasons.clone(), Arc::clone(&owing));
            Box::new(move |record: &Record, facts: &Facts| {
                let changed = reasons.keep(amend(record, facts))?;
                // A store may ask more than once: the last answer is the one that it commits.
                *owing.lock().unwrap_or_else(PoisonError::into_inner) = newly_owing(Some(record), &changed);
                Some(changed)
            })
        };
        let update = Update { id, now, ahead_until: now + AHEAD, amend, announce };
        match reasons.explain(self.store.update(update).await) {
            Ok(record) => {
                self.wake_outbox(mem::take(&mut *owing.lock().unwrap_or_else(PoisonError::into_inner)));
                Ok(record)
            }
            Err(ChangeError::Refused(reason)) => Err(reason),
            Err(ChangeError::NotFound) => Err(OrderError::NotFound.into()),
            Err(ChangeError::Store(error)) => {
                tracing::error!("an order could not be changed: {error}");
                Err(OrderError::NotSaved(error).into())
            }
        }
    }

    /// What tells of a saved change: rendered before readers see it, numbered when they do.
    pub(super) fn announcement(&self, event: fn(Arc<Order>) -> Event) -> Announce {
        let events = self.events.clone();
        Box::new(move |record| {
            let rendered = Rendered::from(&event(Arc::new(record.order.clone())));
            Box::new(move || events.publish(rendered))
        })
    }
}

fn check_version(record: &Record, expected: Option<u64>) -> Result<(), OrderError> {
    let current = record.order.version;
    match expected {
        Some(expected) if expected != current => Err(OrderError::VersionConflict { current }),
        _ => Ok(()),
    }
}

/// The status before the last change of status and when that change was made, if it may be taken back.
fn undoable(record: &Record, now: Timestamp) -> Option<(OrderStatus, Timestamp)> {
    let mut changes = record.order.history.windows(2).filter_map(|pair| match pair {
        [before, after] if before.status != after.status => Some((before.status, after)),
        _ => None,
    });
    let (before, last) = changes.next_back()?;
    let what = record.audit.iter().rev().find(|entry| entry.at == last.at).map(|entry| entry.what.as_str());
    let by_people = matches!(last.by.as_str(), "staff" | "api");
    let may = by_people
        && what != Some("undone")
        && now.duration_since(last.at) <= UNDO
        && !texts::is_gone(record, record.order.status, last.at);
    may.then_some((before, last.at))
}

/// Until when the last change of an order's status may be taken back; none: it may not, or not any more.
pub fn undo_until(record: &Record, now: Timestamp) -> Option<Timestamp> {
    let (_, since) = undoable(record, now)?;
    since.checked_add(UNDO).ok()
}

pub(super) fn log_moved(order: &Order, by: &str) {
    tracing::info!(
        event = "order_status_changed",
        order.number = %order.order_number,
        order.status = %order.status,
        by,
        "order {} is now {}",
        order.order_number,
        order.status.label(),
    );
}

/// When an order entered its status.
pub fn entered(order: &Order) -> Timestamp {
    let entry = order.history.iter().rev().take_while(|entry| entry.status == order.status).last();
    entry.map_or(order.created_at, |entry| entry.at)
}

/// A change: one version up, one line of history, one of the audit.
pub(super) fn touch(record: &mut Record, what: &str, reason: Option<String>, origin: &Origin, now: Timestamp) {
    let order = &mut record.order;
    order.version += 1;
    order.updated_at = now;
    order.history.push(HistoryEntry { status: order.status, at: now, by: origin.by.to_owned() });
    note(record, what, reason, origin, now);
}

/// One line of the audit.
pub(super) fn note(record: &mut Record, what: &str, reason: Option<String>, origin: &Origin, now: Timestamp) {
    record.audit.push(AuditEntry {
        at: now,
        by: origin.by.to_owned(),
        what: what.to_owned(),
        version: record.order.version,
        reason,
        correlation_id: origin.correlation_id.clone(),
    });
}
