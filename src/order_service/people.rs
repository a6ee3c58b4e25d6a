//! Customers' data: erased when they ask, and by itself after a time. The drinks and the sums stay, without anybody's.

use super::changes::touch;
use super::tickets;
use super::{Inner, OrderError, OrderService, Origin, Owes, Place, Query};
use crate::events::Event;
use crate::ordering::order::{self, Order, OrderId};
use crate::ordering::phone_number::PhoneNumber;
use crate::ordering::status::OrderStatus;
use crate::store::{Answer, Delivery, DeliveryKind, DeliveryState, Facts, Record};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

/// What was erased.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Erased {
    /// Orders that held something of the customer.
    pub orders: u64,
    /// Deleted orders whose stored answers did.
    pub deleted_orders: u64,
}

impl OrderService {
    /// Erases a customer from orders, stored answers, deliveries and the sheet: from those that hold the phone number, and
    /// from those that hold none and were made on a call from it.
    pub async fn forget(&self, phone: &PhoneNumber, origin: Origin) -> Result<Erased, OrderError> {
        let by_phone = Query { phone: Some(phone.clone()), ..Query::default() };
        let by_customer = Query { customer_id: Some(phone.as_e164().to_owned()), ..Query::default() };
        let mut erased = Erased::default();
        for query in [by_phone, by_customer] {
            erased.orders += self.erase_all(query, &origin, |_| true).await?;
        }
        let shop_id = self.0.rules.shop_id.clone();
        let called_from_it = move |record: &Record| is_by_caller(record, &shop_id, phone);
        erased.orders += self.erase_all(Query::default(), &origin, called_from_it).await?;
        for mut stone in self.0.store.tombstones().await? {
            let before = stone.answers.clone();
            stone.answers.iter_mut().filter(|answer| mentions(answer, phone)).for_each(erase_answer);
            if stone.answers != before {
                self.0.store.set_tombstone(&stone.order_id, Some(&stone)).await?;
                erased.deleted_orders += 1;
            }
        }
        Ok(erased)
    }

    /// The calls that a customer's orders were placed on: of those that hold the phone number, and of those that hold none
    /// and were made on a call from it. Once the customer is erased, the orders name them no more.
    pub async fn calls_of(&self, phone: &PhoneNumber) -> Result<Vec<String>, OrderError> {
        let (shop_id, e164) = (self.0.rules.shop_id.as_str(), Some(phone.as_e164()));
        let is_theirs = |record: &Record| {
            let order = &record.order;
            order.phone.as_ref() == Some(phone)
                || order.customer_id.as_deref() == e164
                || is_by_caller(record, shop_id, phone)
        };
        let (mut calls, mut query) = (Vec::new(), Query { limit: 200, ..Query::default() });
        loop {
            let page = self.list(&query).await?;
            let theirs = page.records.iter().filter(|record| is_theirs(record));
            calls.extend(theirs.filter_map(|record| record.order.call_sid.clone()));
            match page.next {
                Some(next) => query.after = Some(next),
                None => return Ok(calls),
            }
        }
    }

    /// Erases customers from completed and cancelled orders that were made at least `days` ago, and tells how many.
    pub async fn erase_old(&self, days: u32) -> Result<u64, OrderError> {
        let age = SignedDuration::from_hours(24 * i64::from(days));
        let until = self.now().checked_sub(age).unwrap_or(Timestamp::MIN);
        let old = Query {
            statuses: vec![OrderStatus::Completed, OrderStatus::Cancelled],
            after: Some(Place::before(until)),
            ..Query::default()
        };
        self.erase_all(old, &Origin { by: "system", correlation_id: None }, |_| true).await
    }

    async fn erase_all(
        &self,
        mut query: Query,
        origin: &Origin,
        is_meant: impl Fn(&Record) -> bool,
    ) -> Result<u64, OrderError> {
        query.limit = 200;
        let mut erased = 0;
        loop {
            let page = self.list(&query).await?;
            for record in page.records.iter().filter(|record| holds_somebody(record) && is_meant(record)) {
                let (id, origin) = (record.order.order_id.clone(), origin.clone());
                match self.carry_through(|inner| async move { inner.erase(id, origin).await }).await {
                    Ok(true) => erased += 1,
                    // Erased or deleted meanwhile.
                    Ok(false) | Err(OrderError::NotFound) => {}
                    Err(error) => return Err(error),
                }
            }
            match page.next {
                Some(next) => query.after = Some(next),
                None => return Ok(erased),
            }
        }
    }
}

impl Inner {
    /// Whether there was anybody to erase.
    pub(super) async fn erase(&self, id: OrderId, origin: Origin) -> Result<bool, OrderError> {
        let now = self.clock.now();
        let erase = move |record: &Record, _: &Facts| {
            if !holds_somebody(record) {
                return Err(Kept::Nobody);
            }
            let mut changed = record.clone();
            erase(&mut changed, now);
            touch(&mut changed, "erased", None, &origin, now);
            // Of an order that never owed a row the sheet holds nothing; one that did has a row, whatever is set now.
            if record.deliveries.iter().any(|delivery| delivery.kind == DeliveryKind::SheetRow) {
                Owes::row(&mut changed, &origin, now);
            }
            Ok(changed)
        };
        match self.amend(id, now, erase, Some(Event::OrderUpdated)).await {
            Ok(_) => Ok(true),
            Err(Kept::Nobody) => Ok(false),
            Err(Kept::Error(error)) => Err(error),
        }
    }
}

/// Why an order stayed as it was.
enum Kept {
    /// Somebody else has erased it meanwhile.
    Nobody,
    Error(OrderError),
}

impl From<OrderError> for Kept {
    fn from(error: OrderError) -> Self {
        Self::Error(error)
    }
}

/// Who gave no number is told from others by the one they called from, which only the fingerprint knows.
fn is_by_caller(record: &Record, shop_id: &str, phone: &PhoneNumber) -> bool {
    let Order { phone: None, customer_id: None, items, .. } = &record.order else { return false };
    record.fingerprint.as_ref().is_some_and(|print| *print == order::fingerprint(shop_id, phone.as_e164(), items))
}

fn holds_somebody(record: &Record) -> bool {
    let order = &record.order;
    let on_order = order.name.is_some() || order.phone.is_some() || order.customer_id.is_some();
    let attached = order.call_sid.is_some() || order.metadata.iter().any(|(key, value)| !is_ours(key, value));
    let noted = order.notes.is_some() || order.items.iter().any(|item| item.note.is_some());
    let owed = record.deliveries.iter().any(|delivery| delivery.to.is_some() || says_something(delivery));
    let answered = record.answers.iter().any(|answer| !answer.request.is_empty() || names_somebody(answer));
    on_order || attached || noted || owed || answered || record.fingerprint.is_some()
}

/// A ticket that may still go to the point of sale stays one without anybody's name in it.
fn says_something(delivery: &Delivery) -> bool {
    kept_ticket(delivery).unwrap_or_default() != delivery.body
}

/// What stays of a ticket that is not settled: without it its order would be pending for good.
fn kept_ticket(delivery: &Delivery) -> Option<String> {
    let is_open = matches!(delivery.state, DeliveryState::Owed | DeliveryState::Failed);
    let is_kept = delivery.kind == DeliveryKind::PosTicket && is_open;
    is_kept.then(|| tickets::without_anybody(&delivery.body)).flatten()
}

/// Whether something in an order's metadata is this program's own mark and says nothing of anybody.
fn is_ours(key: &str, value: &Value) -> bool {
    key == "demo" && value.is_boolean()
}

fn names_somebody(answer: &Answer) -> bool {
    let mut erased = answer.clone();
    erase_answer(&mut erased);
    erased != *answer
}

/// Takes everybody out of a record: the drinks, the total and the statuses stay.
fn erase(record: &mut Record, now: Timestamp) {
    let order = &mut record.order;
    (order.name, order.phone, order.customer_id, order.notes) = (None, None, None, None);
    order.items.iter_mut().for_each(|item| item.note = None);
    // Whose call it was, and whatever a program attached.
    order.call_sid = None;
    order.metadata.retain(|key, value| is_ours(key, value));
    // It is a digest of the phone number, of which there are few enough to try them all.
    (record.fingerprint, record.fingerprint_at) = (None, None);
    record.answers.iter_mut().for_each(erase_answer);
    record.audit.iter_mut().for_each(|entry| entry.reason = None);
    // A row holds nobody: whenever it is written, it tells the order as it then is.
    for delivery in record.deliveries.iter_mut().filter(|delivery| delivery.kind != DeliveryKind::SheetRow) {
        if let Some(ticket) = kept_ticket(delivery) {
            delivery.body = ticket;
            continue;
        }
        delivery.to = None;
        delivery.body.clear();
        // Also what was given up: there is nothing left of it that could be tried again.
        if matches!(delivery.state, DeliveryState::Owed | DeliveryState::Failed) {
            delivery.state = DeliveryState::Skipped;
            delivery.reason = Some("the customer's data was erased".to_owned());
            delivery.claimed_until = None;
        }
    }
    record.erased_at = Some(now);
}

fn erase_answer(answer: &mut Answer) {
    // It is a digest of everything that was asked, the phone number included. From here on the key alone is the request.
    answer.request.clear();
    let Some(order) = answer.reply.as_mut().and_then(|reply| reply.body.as_object_mut()) else { return };
    for field in ["name", "phone", "customer_id", "notes", "call_sid"] {
        if let Some(value) = order.get_mut(field) {
            *value = Value::Null;
        }
    }
    if let Some(metadata) = order.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.retain(|key, value| is_ours(key, value));
    }
    for item in order.get_mut("items").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(item) = item.as_object_mut() {
            item.remove("note");
        }
    }
}

fn mentions(answer: &Answer, phone: &PhoneNumber) -> bool {
    let body = answer.reply.as_ref().map(|reply| &reply.body);
    ["phone", "customer_id"].iter().any(|field| body.is_some_and(|body| body[*field] == phone.as_e164()))
}
