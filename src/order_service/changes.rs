//! How each change is carried out: checked against what the store knows, saved, announced with the commit.

use super::deliveries::newly_owing;
use super::texts;
use super::{Created, Idempotency, Inner, NewOrder, OrderError, Origin, Patch};
use crate::events::{Event, Rendered};
use crate::ordering::order::{self, HistoryEntry, Item, Order, OrderId, OrderNumber};
use crate::ordering::phone_number::PhoneNumber;
use crate::ordering::status::OrderStatus;
use crate::shop::DAYS_AHEAD;
use crate::store::{
    Announce, Answer, Answered, Ask, AuditEntry, ChangeError, Delivery, DeliveryKind, Facts, Insert, Reasons, Record,
    Remove, Update, unannounced,
};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, HashSet};
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

/// The same phone and the same drinks within this time are taken for one slip.
const DUPLICATE_WINDOW: SignedDuration = SignedDuration::from_mins(5);
/// A change of status may be taken back for so long.
pub(super) const UNDO: SignedDuration = SignedDuration::from_secs(5);
/// What is due later than this matters for no time of pickup.
const DUE: SignedDuration = SignedDuration::from_hours(24 * (DAYS_AHEAD + 1));
/// An order to be fetched later than this is not made before what is ordered now.
const AHEAD: SignedDuration = SignedDuration::from_hours(1);

impl Inner {
    pub(super) async fn create(self: Arc<Self>, new: NewOrder) -> Result<Created, OrderError> {
        let drinks = order::drinks(&new.items);
        let now = self.clock.now();
        let customer_id =
            new.customer_id.clone().or_else(|| new.phone.as_ref().map(|phone| phone.as_e164().to_owned()));
        let fingerprint = self.fingerprint(customer_id.as_deref(), new.caller.as_ref(), &new.items);
        let suspicious_since = before(now, DUPLICATE_WINDOW).checked_add(SignedDuration::from_micros(1)).unwrap_or(now);
        let ask = Ask {
            now,
            order_id: new.order_id.clone(),
            key: new.idempotency.as_ref().map(|idempotency| idempotency.key.clone()),
            fingerprint: fingerprint.clone().map(|print| (print, suspicious_since)),
            phone: new.phone.clone(),
            ahead_until: now + AHEAD,
            due: new.pickup_at.map(|_| before(now, AHEAD)..now + DUE),
        };
        let reasons = Reasons::default();
        let check = {
            let (inner, new, reasons) = (Arc::clone(&self), new.clone(), reasons.clone());
            move |facts: &Facts| reasons.keep(inner.check_new(facts, &new, now)).is_some()
        };
        let build = {
            let inner = Arc::clone(&self);
            move |facts: &Facts, order_id, order_number| {
                let order = inner.new_order(facts, order_id, order_number, &new, customer_id.clone(), now);
                let answers = new.idempotency.as_ref().map(|idempotency| answer(idempotency, &order, now));
                let mut record = Record {
                    answers: answers.into_iter().collect(),
                    fingerprint: fingerprint.clone(),
                    ..Record::new(order)
                };
                note(&mut record, "created", None, &new.origin, now);
                let text = (record.order.status == OrderStatus::Received).then_some(DeliveryKind::TextReceived);
                inner.owe(&mut record, "order_created", text, facts, &new.origin, now);
                record
            }
        };
        let insert = Insert {
            ask,
            check: Box::new(check),
            build: Box::new(build),
            announce: self.announcement(Event::OrderCreated),
        };
        let record = match reasons.explain(self.store.insert(insert).await) {
            Ok(record) => record,
            Err(ChangeError::Refused(Refusal::Answered(answered))) => return self.answered(*answered).await,
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
        self.wake_outbox(newly_owing(None, &record));
        Ok(Created::New(record.order.clone()))
    }

    async fn answered(&self, answered: Answered) -> Result<Created, OrderError> {
        let record = self.store.by_id(&answered.order_id).await?;
        Ok(Created::Before { order: record.map(|record| record.order.clone()), answer: answered.answer })
    }

    fn new_order(
        &self,
        facts: &Facts,
        order_id: OrderId,
        order_number: OrderNumber,
        new: &NewOrder,
        customer_id: Option<String>,
        now: Timestamp,
    ) -> Order {
        let mut metadata = new.metadata.clone();
        if self.rules.demo {
            metadata.insert("demo".to_owned(), true.into());
        }
        let drinks = order::drinks(&new.items);
        let ready = new.estimated_ready_time.or(new.pickup_at).or_else(|| self.ready_at(now, facts, drinks));
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
            estimated_ready_time: ready.map(order::stored_instant),
            pickup_at: new.pickup_at.map(order::stored_instant),
            metadata,
            created_at: now,
            updated_at: now,
            history: vec![HistoryEntry { status: OrderStatus::Received, at: now, by: new.origin.by.to_owned() }],
        }
    }

    /// When the last of these drinks is made, after all that are ahead.
    fn ready_at(&self, now: Timestamp, facts: &Facts, drinks: u32) -> Option<Timestamp> {
        self.shop.ready_at(now, facts.drinks_ahead, drinks).map(order::stored_instant)
    }

    fn check_drinks(&self, drinks: u32) -> Result<(), OrderError> {
        let limit = self.rules.drinks_per_order;
        match drinks {
            0 => Err(OrderError::Empty),
            _ if drinks > limit => Err(OrderError::Limit { limit, per_phone: false }),
            _ => Ok(()),
        }
    }

    fn check_phone(&self, facts: &Facts, phone: Option<&PhoneNumber>, more: u32) -> Result<(), OrderError> {
        match (phone, self.rules.active_drinks_per_phone) {
            (Some(_), Some(limit)) if facts.active_drinks.saturating_add(more) > limit => {
                Err(OrderError::Limit { limit, per_phone: true })
            }
            _ => Ok(()),
        }
    }

    /// Of two equal requests only one comes through: the facts hold until the commit.
    fn check_new(&self, facts: &Facts, new: &NewOrder, now: Timestamp) -> Result<(), Refusal> {
        if let Some(idempotency) = &new.idempotency {
            repeated(facts.answered.as_ref(), idempotency)?;
            if facts.key_in_flight {
                return Err(OrderError::InProgress.into());
            }
        }
        let drinks = order::drinks(&new.items);
        self.check_drinks(drinks)?;
        if let Some(id) = new.order_id.as_ref().filter(|_| facts.id_taken) {
            return Err(OrderError::IdTaken(id.clone()).into());
        }
        if !new.allow_duplicate {
            if facts.alike_in_flight {
                return Err(OrderError::InProgress.into());
            }
            // Our own calls tell a second round from a repetition by their keys. Another system's conversation is only a
            // name that it gave us.
            let ours = new.origin.by == "phone" && new.call_sid.is_some();
            let same_call = |order: &Order| ours && order.call_sid == new.call_sid;
            if let Some(existing) = facts.alike.iter().find(|order| !same_call(order)) {
                return Err(OrderError::Duplicate { existing: Box::new(existing.clone()) }.into());
            }
        }
        self.check_phone(facts, new.phone.as_ref(), drinks)?;
        Ok(self.check_shop(facts, new, now)?)
    }

    /// Whether the shop takes orders, has what is ordered, and can make it by when it is wanted.
    fn check_shop(&self, facts: &Facts, new: &NewOrder, now: Timestamp) -> Result<(), OrderError> {
        if let Some(sentence) = self.shop.ordering_closed(now) {
            return Err(OrderError::Closed(sentence));
        }
        self.check_stock(&new.items)?;
        let Some(pickup_at) = new.pickup_at else { return Ok(()) };
        let mut load = BTreeMap::new();
        for (at, drinks) in &facts.due {
            *load.entry(self.shop.slot_of(*at).unwrap_or(*at)).or_insert(0_u32) += drinks;
        }
        let drinks = order::drinks(&new.items);
        Ok(self.shop.check_pickup(now, pickup_at, drinks, facts.drinks_ahead, &load)?)
    }

    fn check_stock(&self, items: &[Item]) -> Result<(), OrderError> {
        let stock = self.shop.stock();
        items.iter().find_map(|item| stock.lacking(item)).map_or(Ok(()), |lacking| Err(OrderError::SoldOut(lacking)))
    }

    pub(super) async fn append(self: Arc<Self>, id: OrderId, more: NewOrder) -> Result<Order, OrderError> {
        let now = self.clock.now();
        let inner = Arc::clone(&self);
        let NewOrder { items, notes, idempotency, caller, origin, .. } = more;
        let amend = move |record: &Record, facts: &Facts| {
            if let Some(idempotency) = &idempotency {
                let answer = record.answers.iter().find(|answer| answer.key == idempotency.key).cloned();
                let order_id = record.order.order_id.clone();
                repeated(answer.map(|answer| Answered { order_id, answer }).as_ref(), idempotency)?;
            }
            let status = record.order.status;
            if !matches!(status, OrderStatus::Pending | OrderStatus::Received) {
                return Err(OrderError::TooLate(status).into());
            }
            let drinks = order::drinks(&items);
            inner.check_drinks(record.order.drinks().saturating_add(drinks))?;
            inner.check_phone(facts, record.order.phone.as_ref(), drinks)?;
            if let Some(sentence) = inner.shop.ordering_closed(now) {
                return Err(OrderError::Closed(sentence).into());
            }
            inner.check_stock(&items)?;
            let mut changed = record.clone();
            changed.order.items.extend(items.iter().cloned());
            changed.order.total = order::total(&changed.order.items);
            changed.order.notes = join_notes(changed.order.notes, notes.clone());
            if changed.order.pickup_at.is_none() {
                // The drinks ahead hold those of this order already.
                changed.order.estimated_ready_time = inner.ready_at(now, facts, drinks);
            }
            let Order { customer_id, items, .. } = &changed.order;
            changed.fingerprint = inner.fingerprint(customer_id.as_deref(), caller.as_ref(), items);
            changed.fingerprint_at = Some(now);
            touch(&mut changed, "amended", None, &origin, now);
            changed.answers.extend(idempotency.as_ref().map(|idempotency| answer(idempotency, &changed.order, now)));
            inner.owe(&mut changed, "order_updated", None, facts, &origin, now);
            Ok(changed)
        };
        let record = match self.amend(id.clone(), now, amend, Some(Event::OrderUpdated)).await {
            Ok(record) => record,
            Err(Refusal::Answered(_)) => {
                let record = self.store.by_id(&id).await?;
                return record.map(|record| record.order.clone()).ok_or(OrderError::NotFound);
            }
            Err(Refusal::Error(error)) => return Err(error),
        };
        tracing::info!(
            event = "order_updated",
            order.number = %record.order.order_number,
            order.version = record.order.version,
            "order {} was amended",
            record.order.order_number,
        );
        Ok(record.order.clone())
    }

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
            if texts::is_gone(record, record.order.status, since) {
                return Err(OrderError::NothingToUndo);
            }
            let mut changed = record.clone();
            changed.order.status = before;
            texts::take_back(&mut changed, record.order.status, since, texts::UNDONE);
            if before == OrderStatus::Ready {
                texts::owe_ready_again(&mut changed, now);
            }
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
    fn announcement(&self, event: fn(Arc<Order>) -> Event) -> Announce {
        let events = self.events.clone();
        Box::new(move |record| {
            let rendered = Rendered::from(&event(Arc::new(record.order.clone())));
            Box::new(move || events.publish(rendered))
        })
    }

    /// Who orders, as far as it is known, and what.
    fn fingerprint(&self, customer_id: Option<&str>, caller: Option<&PhoneNumber>, items: &[Item]) -> Option<String> {
        let customer = customer_id.or_else(|| caller.map(PhoneNumber::as_e164))?;
        Some(order::fingerprint(&self.rules.shop_id, customer, items))
    }
}

/// Why the store was told not to write.
pub(super) enum Refusal {
    /// It is done already.
    Answered(Box<Answered>),
    Error(OrderError),
}

impl From<OrderError> for Refusal {
    fn from(error: OrderError) -> Self {
        Self::Error(error)
    }
}

/// Whether a key was used before: for the same request, which is answered already, or for another.
fn repeated(answered: Option<&Answered>, idempotency: &Idempotency) -> Result<(), Refusal> {
    match answered {
        Some(answered) if !answered.answer.is_to(&idempotency.request) => Err(OrderError::KeyMismatch.into()),
        Some(answered) => Err(Refusal::Answered(Box::new(answered.clone()))),
        None => Ok(()),
    }
}

fn answer(idempotency: &Idempotency, order: &Order, now: Timestamp) -> Answer {
    let reply = idempotency.reply.map(|reply| reply(order));
    Answer { key: idempotency.key.clone(), request: idempotency.request.clone(), at: now, reply }
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
    let may = by_people && what != Some("undone") && now.duration_since(last.at) <= UNDO;
    may.then_some((before, last.at))
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

fn log_moved(order: &Order, by: &str) {
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
pub(super) fn entered(order: &Order) -> Timestamp {
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

fn before(now: Timestamp, span: SignedDuration) -> Timestamp {
    now.checked_sub(span).unwrap_or(Timestamp::MIN)
}

fn join_notes(old: Option<String>, new: Option<String>) -> Option<String> {
    match (old, new) {
        (Some(old), Some(new)) => Some(format!("{old}; {new}")),
        (old, new) => new.or(old),
    }
}
