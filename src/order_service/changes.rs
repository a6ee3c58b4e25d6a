//! How each change is carried out: checked under the store's lock, saved, announced with the commit.

use super::texts::{self, Owed, texts_last_hour};
use super::{Attempt, Inner, NewOrder, OrderError, Origin};
use crate::events::{Event, Rendered};
use crate::ordering::order::{self, HistoryEntry, Item, Order, OrderId, OrderNumber};
use crate::ordering::phone_number::PhoneNumber;
use crate::ordering::status::OrderStatus;
use crate::store::{ChangeError, Delivery, DeliveryKind, DeliveryState, Record, View};
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;

/// The same phone and the same drinks within this time are taken for one slip.
const DUPLICATE_WINDOW: SignedDuration = SignedDuration::from_mins(5);
/// A text that a staff tap owes waits so long, so that the tap can be taken back.
const STAFF_TEXT_DELAY: SignedDuration = SignedDuration::from_secs(5);

impl Inner {
    pub(super) async fn create(self: Arc<Self>, new: NewOrder) -> Result<Order, OrderError> {
        let drinks = order::drinks(&new.items);
        self.check_drinks(drinks)?;
        let now = self.clock.now();
        let customer_id =
            new.customer_id.clone().or_else(|| new.phone.as_ref().map(|phone| phone.as_e164().to_owned()));
        let fingerprint = self.fingerprint(customer_id.as_deref(), new.caller.as_ref(), &new.items);

        let check = {
            let (inner, new, fingerprint) = (Arc::clone(&self), new.clone(), fingerprint.clone());
            move |view: &View<'_>| inner.check_new(view, &new, fingerprint.as_deref(), now)
        };
        let build = {
            let inner = Arc::clone(&self);
            move |view: &View<'_>, order_id, order_number| {
                let order = inner.new_order(order_id, order_number, &new, customer_id, now);
                let mut record = Record {
                    order,
                    idempotency_keys: new.idempotency_key.into_iter().collect(),
                    fingerprint,
                    fingerprint_at: None,
                    deliveries: Vec::new(),
                };
                inner.owe_text(view, &mut record, DeliveryKind::TextReceived, &new.origin, now);
                record
            }
        };
        let record = match self.store.insert(now, check, build, self.announcement(Event::OrderCreated)).await {
            Ok(record) => record,
            Err(ChangeError::Refused(Refusal::Done(existing))) => return Ok(existing.order.clone()),
            Err(ChangeError::Refused(Refusal::Error(error))) => {
                log_refusal(&error);
                return Err(error);
            }
            Err(ChangeError::Store(error)) => {
                tracing::error!("an order could not be saved: {error}");
                return Err(error.into());
            }
            Err(ChangeError::NotFound) => return Err(OrderError::NotFound),
        };
        tracing::info!(
            event = "order_created",
            order.id = %record.order.order_id,
            order.number = %record.order.order_number,
            order.channel = %record.order.channel,
            order.drinks = drinks,
            "order {} was placed",
            record.order.order_number,
        );
        texts::log_skipped(&record, &record.deliveries);
        self.wake_outbox(&record);
        Ok(record.order.clone())
    }

    fn new_order(
        &self,
        order_id: OrderId,
        order_number: OrderNumber,
        new: &NewOrder,
        customer_id: Option<String>,
        now: Timestamp,
    ) -> Order {
        let mut metadata = serde_json::Map::new();
        if self.rules.demo {
            metadata.insert("demo".to_owned(), true.into());
        }
        Order {
            order_id,
            order_number,
            shop_id: self.rules.shop_id.clone(),
            channel: new.channel,
            status: OrderStatus::Received,
            version: 1,
            name: new.name.clone(),
            phone: new.phone.clone(),
            customer_id,
            notes: new.notes.clone(),
            total: order::total(&new.items),
            items: new.items.clone(),
            call_sid: new.call_sid.clone(),
            estimated_ready_time: None,
            metadata,
            created_at: now,
            updated_at: now,
            history: vec![HistoryEntry { status: OrderStatus::Received, at: now, by: new.origin.by.to_owned() }],
        }
    }

    fn check_drinks(&self, drinks: u32) -> Result<(), OrderError> {
        match drinks {
            0 => Err(OrderError::Empty),
            drinks if drinks > self.rules.drinks_per_order => {
                Err(OrderError::Limit { limit: self.rules.drinks_per_order, per_phone: false })
            }
            _ => Ok(()),
        }
    }

    fn check_phone(&self, view: &View<'_>, phone: Option<&PhoneNumber>, more: u32) -> Result<(), OrderError> {
        match (phone, self.rules.active_drinks_per_phone) {
            (Some(phone), Some(limit)) if view.active_drinks(phone).saturating_add(more) > limit => {
                Err(OrderError::Limit { limit, per_phone: true })
            }
            _ => Ok(()),
        }
    }

    /// Under the store's lock: of two equal requests only one comes through.
    fn check_new(&self, view: &View<'_>, new: &NewOrder, print: Option<&str>, now: Timestamp) -> Result<(), Refusal> {
        if let Some(key) = &new.idempotency_key {
            if let Some(existing) = view.by_key(key) {
                return Err(Refusal::Done(existing));
            }
            if view.is_key_in_flight(key) {
                return Err(OrderError::InProgress.into());
            }
        }
        if let (Some(print), false) = (print, new.allow_duplicate) {
            if view.is_fingerprint_in_flight(print) {
                return Err(OrderError::InProgress.into());
            }
            let same_call = |order: &Order| new.call_sid.is_some() && order.call_sid == new.call_sid;
            let recent = |record: &&Arc<Record>| {
                let order = &record.order;
                now.duration_since(record.fingerprint_at.unwrap_or(order.created_at)) < DUPLICATE_WINDOW
                    && order.status != OrderStatus::Cancelled
                    && !same_call(order)
            };
            if let Some(existing) = view.by_fingerprint(print).find(recent) {
                return Err(OrderError::Duplicate { existing: Box::new(existing.order.clone()) }.into());
            }
        }
        Ok(self.check_phone(view, new.phone.as_ref(), order::drinks(&new.items))?)
    }

    pub(super) async fn append(self: Arc<Self>, id: OrderId, more: NewOrder) -> Result<Order, OrderError> {
        let now = self.clock.now();
        let inner = Arc::clone(&self);
        let NewOrder { items, notes, idempotency_key: key, caller, origin, .. } = more;
        let change = move |record: &Record| {
            if key.as_ref().is_some_and(|key| record.idempotency_keys.contains(key)) {
                return Err(Refusal::Done(Arc::new(record.clone())));
            }
            let status = record.order.status;
            if !matches!(status, OrderStatus::Pending | OrderStatus::Received) {
                return Err(OrderError::TooLate(status).into());
            }
            inner.check_drinks(record.order.drinks().saturating_add(order::drinks(&items)))?;
            inner.store.read(|view| inner.check_phone(view, record.order.phone.as_ref(), order::drinks(&items)))?;
            let mut changed = record.clone();
            changed.order.items.extend(items);
            changed.order.total = order::total(&changed.order.items);
            changed.order.notes = join_notes(changed.order.notes, notes);
            changed.idempotency_keys.extend(key);
            let Order { customer_id, items, .. } = &changed.order;
            changed.fingerprint = inner.fingerprint(customer_id.as_deref(), caller.as_ref(), items);
            changed.fingerprint_at = Some(now);
            touch(&mut changed.order, now, origin.by);
            Ok(changed)
        };
        let record = match self.store.update(id, change, self.announcement(Event::OrderUpdated)).await {
            Ok(record) => record,
            Err(ChangeError::Refused(Refusal::Done(existing))) => return Ok(existing.order.clone()),
            Err(ChangeError::Refused(Refusal::Error(error))) => return Err(error),
            Err(ChangeError::Store(error)) => {
                tracing::error!("an order could not be amended: {error}");
                return Err(error.into());
            }
            Err(ChangeError::NotFound) => return Err(OrderError::NotFound),
        };
        tracing::info!(
            event = "order_updated",
            order.number = %record.order.order_number,
            order.version = record.order.version,
            "order {} was amended",
            record.order.order_number,
        );
        self.wake_outbox(&record);
        Ok(record.order.clone())
    }

    pub(super) async fn change_status(
        self: Arc<Self>,
        id: OrderId,
        to: OrderStatus,
        origin: Origin,
    ) -> Result<Order, OrderError> {
        self.move_to(id, to, origin, OrderStatus::may_become).await
    }

    pub(super) async fn done(self: Arc<Self>, id: OrderId, origin: Origin) -> Result<Order, OrderError> {
        let being_made = |from: OrderStatus, _, _| matches!(from, OrderStatus::Received | OrderStatus::Preparing);
        self.move_to(id, OrderStatus::Ready, origin, being_made).await
    }

    /// `may_become` is told from where, to where, and how long the order has been where it is.
    async fn move_to(
        self: Arc<Self>,
        id: OrderId,
        to: OrderStatus,
        origin: Origin,
        may_become: impl FnOnce(OrderStatus, OrderStatus, SignedDuration) -> bool + Send + 'static,
    ) -> Result<Order, OrderError> {
        let now = self.clock.now();
        let inner = Arc::clone(&self);
        let by = origin.by;
        let owed = match to {
            OrderStatus::Ready => Some(DeliveryKind::TextReady),
            OrderStatus::Cancelled => Some(DeliveryKind::TextCancelled),
            _ => None,
        };
        let change = move |record: &Record| {
            let from = record.order.status;
            if !may_become(from, to, now.duration_since(entered(&record.order))) {
                return Err(OrderError::InvalidState { from, to });
            }
            let mut changed = record.clone();
            changed.order.status = to;
            touch(&mut changed.order, now, origin.by);
            if let Some(kind) = owed {
                inner.store.read(|view| inner.owe_text(view, &mut changed, kind, &origin, now));
            }
            Ok(changed)
        };
        let record = self.store.update(id, change, self.announcement(Event::OrderStatusChanged)).await?;
        tracing::info!(
            event = "order_status_changed",
            order.number = %record.order.order_number,
            order.status = %to,
            by,
            "order {} is now {}",
            record.order.order_number,
            to.label(),
        );
        let of_this_change = |delivery: &&Delivery| Some(delivery.kind) == owed && delivery.owed_at == now;
        texts::log_skipped(&record, record.deliveries.last().filter(of_this_change));
        self.wake_outbox(&record);
        Ok(record.order.clone())
    }

    pub(super) async fn record_attempt(
        self: Arc<Self>,
        id: OrderId,
        delivery_id: u32,
        attempt: Attempt,
    ) -> Result<(), OrderError> {
        let failed = matches!(attempt, Attempt::Failed { .. });
        let change = move |record: &Record| {
            let mut changed = record.clone();
            let delivery = changed.deliveries.iter_mut().find(|delivery| delivery.id == delivery_id);
            let delivery = delivery.ok_or(OrderError::NotFound)?;
            delivery.attempts += 1;
            match attempt {
                Attempt::Sent { provider_id } => {
                    delivery.state = DeliveryState::Sent;
                    delivery.provider_id = Some(provider_id);
                    delivery.reason = None;
                }
                Attempt::Retry { at, reason } => {
                    delivery.not_before = order::stored_instant(at);
                    delivery.reason = Some(reason);
                }
                Attempt::Failed { reason } => {
                    delivery.state = DeliveryState::Failed;
                    delivery.reason = Some(reason);
                }
            }
            Ok::<_, OrderError>(changed)
        };
        let events = self.events.clone();
        let announce = move |record: &Record| {
            let given_up = record.deliveries.iter().find(|delivery| failed && delivery.id == delivery_id);
            let event = given_up.map(|delivery| {
                let order = Arc::new(record.order.clone());
                Rendered::from(&Event::DeliveryFailed { order, kind: delivery.kind.as_str() })
            });
            move || {
                if let Some(event) = event {
                    events.publish(event);
                }
            }
        };
        self.store.update(id, change, announce).await?;
        Ok(())
    }

    fn owe_text(&self, view: &View<'_>, record: &mut Record, kind: DeliveryKind, origin: &Origin, now: Timestamp) {
        let Some(to) = record.order.phone.clone() else { return };
        let owed = Owed {
            kind,
            wait: if origin.by == "staff" { STAFF_TEXT_DELAY } else { SignedDuration::ZERO },
            correlation_id: origin.correlation_id.clone(),
            last_hour: texts_last_hour(view, &to, now),
            to,
        };
        self.texts.owe(record, owed, now);
    }

    /// What tells of a saved change: rendered before the store's lock, numbered under it.
    fn announcement(
        &self,
        event: impl FnOnce(Arc<Order>) -> Event + Send + 'static,
    ) -> impl FnOnce(&Record) -> Box<dyn FnOnce()> + Send + 'static {
        let events = self.events.clone();
        move |record| {
            let rendered = Rendered::from(&event(Arc::new(record.order.clone())));
            Box::new(move || events.publish(rendered))
        }
    }

    /// Who orders, as far as it is known, and what.
    fn fingerprint(&self, customer_id: Option<&str>, caller: Option<&PhoneNumber>, items: &[Item]) -> Option<String> {
        let customer = customer_id.or_else(|| caller.map(PhoneNumber::as_e164))?;
        Some(order::fingerprint(&self.rules.shop_id, customer, items))
    }

    fn wake_outbox(&self, record: &Record) {
        if record.deliveries.iter().any(|delivery| delivery.state == DeliveryState::Owed) {
            self.owed.notify_one();
        }
    }
}

/// Why the store was told not to write.
enum Refusal {
    /// It is done already.
    Done(Arc<Record>),
    Error(OrderError),
}

impl From<OrderError> for Refusal {
    fn from(error: OrderError) -> Self {
        Self::Error(error)
    }
}

fn log_refusal(error: &OrderError) {
    if let OrderError::Duplicate { existing } = error {
        tracing::warn!(
            event = "duplicate_order_blocked",
            order.number = %existing.order_number,
            "the same customer ordered the same drinks a moment ago"
        );
    }
}

/// When an order entered its status.
pub(super) fn entered(order: &Order) -> Timestamp {
    order.history.last().map_or(order.created_at, |entry| entry.at)
}

/// A change: one version up, one line of history.
fn touch(order: &mut Order, now: Timestamp, by: &str) {
    order.version += 1;
    order.updated_at = now;
    order.history.push(HistoryEntry { status: order.status, at: now, by: by.to_owned() });
}

fn join_notes(old: Option<String>, new: Option<String>) -> Option<String> {
    match (old, new) {
        (Some(old), Some(new)) => Some(format!("{old}; {new}")),
        (old, new) => new.or(old),
    }
}
