//! How orders are made and amended: what is checked against what the store knows, and what the record then holds.

use super::changes::{AHEAD, note, touch};
use super::deliveries::newly_owing;
use super::texts;
use super::{Created, Idempotency, Inner, NewOrder, OrderError, TicketState, ticket_state};
use crate::events::Event;
use crate::ordering::order::{self, HistoryEntry, Item, Order, OrderId, OrderNumber};
use crate::ordering::phone_number::PhoneNumber;
use crate::ordering::status::OrderStatus;
use crate::shop::DAYS_AHEAD;
use crate::store::{Answer, Answered, Ask, ChangeError, DeliveryKind, Facts, Insert, Reasons, Record};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The same phone and the same drinks within this time are taken for one slip.
const DUPLICATE_WINDOW: SignedDuration = SignedDuration::from_mins(5);
/// What is due later than this matters for no time of pickup.
const DUE: SignedDuration = SignedDuration::from_hours(24 * (DAYS_AHEAD + 1));

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
                if record.order.status == OrderStatus::Pending {
                    record.held_when_refused = new.held_when_refused;
                    inner.owe_ticket(&mut record, &new.origin, now);
                }
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
        let status = if self.rules.through_pos { OrderStatus::Pending } else { OrderStatus::Received };
        let ready = new.estimated_ready_time.or(new.pickup_at).or_else(|| self.ready_at(now, facts, drinks));
        Order {
            order_id,
            order_number,
            shop_id: self.rules.shop_id.clone(),
            channel: new.channel,
            status,
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
            history: vec![HistoryEntry { status, at: now, by: new.origin.by.to_owned() }],
        }
    }

    /// When the last of these drinks is made, after all that are ahead.
    pub(super) fn ready_at(&self, now: Timestamp, facts: &Facts, drinks: u32) -> Option<Timestamp> {
        self.shop.ready_at(now, facts.drinks_ahead, drinks).map(order::stored_instant)
    }

    /// `most`: none, as many as the shop allows in one order.
    pub(super) fn check_drinks(&self, drinks: u32, most: Option<u32>) -> Result<(), OrderError> {
        let limit = most.unwrap_or(self.rules.drinks_per_order);
        match drinks {
            0 => Err(OrderError::Empty),
            _ if drinks > limit => Err(OrderError::Limit { limit, per_phone: false }),
            _ => Ok(()),
        }
    }

    /// `active`: the drinks in the phone number's active orders, without these. Whoever may order more than others at
    /// once, as a table may, can do so with a number (`most` as in [`Inner::check_drinks`]).
    pub(super) fn check_phone(
        &self,
        active: u32,
        phone: Option<&PhoneNumber>,
        more: u32,
        most: Option<u32>,
    ) -> Result<(), OrderError> {
        let limit = self.rules.active_drinks_per_phone.map(|limit| limit.max(most.unwrap_or(0)));
        match (phone, limit) {
            (Some(_), Some(limit)) if active.saturating_add(more) > limit => {
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
        self.check_drinks(drinks, new.most_drinks)?;
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
        self.check_phone(facts.active_drinks, new.phone.as_ref(), drinks, new.most_drinks)?;
        Ok(self.check_shop(facts, new, now)?)
    }

    /// Whether the shop takes orders, has what is ordered, and can make it by when it is wanted.
    fn check_shop(&self, facts: &Facts, new: &NewOrder, now: Timestamp) -> Result<(), OrderError> {
        self.check_open(&new.items, now)?;
        let Some(pickup_at) = new.pickup_at else { return Ok(()) };
        let mut load = BTreeMap::new();
        for (at, drinks) in &facts.due {
            *load.entry(self.shop.slot_of(*at).unwrap_or(*at)).or_insert(0_u32) += drinks;
        }
        let drinks = order::drinks(&new.items);
        Ok(self.shop.check_pickup(now, pickup_at, drinks, facts.drinks_ahead, &load)?)
    }

    /// Whether the shop takes orders and has what these lines are made of.
    pub(super) fn check_open(&self, items: &[Item], now: Timestamp) -> Result<(), OrderError> {
        if let Some(sentence) = self.shop.ordering_closed(now) {
            return Err(OrderError::Closed(sentence));
        }
        let stock = self.shop.stock();
        items.iter().find_map(|item| stock.lacking(item)).map_or(Ok(()), |lacking| Err(OrderError::SoldOut(lacking)))
    }

    pub(super) async fn append(self: Arc<Self>, id: OrderId, more: NewOrder) -> Result<Order, OrderError> {
        let now = self.clock.now();
        let inner = Arc::clone(&self);
        let NewOrder { items, notes, idempotency, caller, most_drinks, origin, .. } = more;
        let amend = move |record: &Record, facts: &Facts| {
            if let Some(idempotency) = &idempotency {
                not_answered(record, idempotency)?;
            }
            let status = record.order.status;
            let is_refused = matches!(ticket_state(record), TicketState::Refused { .. });
            if is_refused || !matches!(status, OrderStatus::Pending | OrderStatus::Received) {
                return Err(OrderError::TooLate(status).into());
            }
            let drinks = order::drinks(&items);
            inner.check_drinks(record.order.drinks().saturating_add(drinks), most_drinks)?;
            inner.check_phone(facts.active_drinks, record.order.phone.as_ref(), drinks, most_drinks)?;
            inner.check_open(&items, now)?;
            let mut changed = record.clone();
            changed.order.items.extend(items.iter().cloned());
            changed.order.total = order::total(&changed.order.items);
            changed.order.notes = join_notes(changed.order.notes, notes.clone());
            if changed.order.pickup_at.is_none() {
                // The drinks ahead hold those of this order already.
                changed.order.estimated_ready_time = inner.ready_at(now, facts, drinks);
            }
            let Order { customer_id, items: all, .. } = &changed.order;
            changed.fingerprint = inner.fingerprint(customer_id.as_deref(), caller.as_ref(), all);
            changed.fingerprint_at = Some(now);
            touch(&mut changed, "amended", None, &origin, now);
            changed.answers.extend(idempotency.as_ref().map(|idempotency| answer(idempotency, &changed.order, now)));
            inner.owe(&mut changed, "order_updated", None, facts, &origin, now);
            inner.owe_addition(&mut changed, &items, notes.as_deref(), &origin, now);
            Ok(changed)
        };
        self.changed_once(id, now, amend, "was amended").await
    }

    /// Changes an order for a request with a key. The same request again finds the order as it now is.
    pub(super) async fn changed_once(
        &self,
        id: OrderId,
        now: Timestamp,
        amend: impl Fn(&Record, &Facts) -> Result<Record, Refusal> + Send + Sync + 'static,
        what: &str,
    ) -> Result<Order, OrderError> {
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
            "order {} {what}",
            record.order.order_number,
        );
        Ok(record.order.clone())
    }

    /// Who orders, as far as it is known, and what.
    pub(super) fn fingerprint(
        &self,
        customer_id: Option<&str>,
        caller: Option<&PhoneNumber>,
        items: &[Item],
    ) -> Option<String> {
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

/// Whether an order was not changed by this request already.
pub(super) fn not_answered(record: &Record, idempotency: &Idempotency) -> Result<(), Refusal> {
    let answer = record.answers.iter().find(|answer| answer.key == idempotency.key).cloned();
    let order_id = record.order.order_id.clone();
    repeated(answer.map(|answer| Answered { order_id, answer }).as_ref(), idempotency)
}

pub(super) fn answer(idempotency: &Idempotency, order: &Order, now: Timestamp) -> Answer {
    let reply = idempotency.reply.map(|reply| reply(order));
    Answer { key: idempotency.key.clone(), request: idempotency.request.clone(), at: now, reply }
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

fn before(now: Timestamp, span: SignedDuration) -> Timestamp {
    now.checked_sub(span).unwrap_or(Timestamp::MIN)
}

fn join_notes(old: Option<String>, new: Option<String>) -> Option<String> {
    match (old, new) {
        (Some(old), Some(new)) => Some(format!("{old}; {new}")),
        (old, new) => new.or(old),
    }
}
