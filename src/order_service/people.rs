//! Customers' data: erased when they ask, and by itself after a time. The drinks and the sums stay, without anybody's.

use super::changes::touch;
use super::{Inner, OrderError, OrderService, Origin, Place, Query};
use crate::events::Event;
use crate::ordering::order::OrderId;
use crate::ordering::phone_number::PhoneNumber;
use crate::ordering::status::OrderStatus;
use crate::store::{Answer, DeliveryState, Facts, Record};
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
    /// Erases a customer from orders, stored answers, deliveries and the sheet, wherever the phone number is on them.
    pub async fn forget(&self, phone: &PhoneNumber, origin: Origin) -> Result<Erased, OrderError> {
        let by_phone = Query { phone: Some(phone.clone()), ..Query::default() };
        let by_customer = Query { customer_id: Some(phone.as_e164().to_owned()), ..Query::default() };
        let mut erased = Erased::default();
        for query in [by_phone, by_customer] {
            erased.orders += self.erase_all(query, &origin).await?;
        }
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

    /// Erases customers from completed and cancelled orders that were made at least `days` ago, and tells how many.
    pub async fn erase_old(&self, days: u32) -> Result<u64, OrderError> {
        let age = SignedDuration::from_hours(24 * i64::from(days));
        let until = self.now().checked_sub(age).unwrap_or(Timestamp::MIN);
        let old = Query {
            statuses: vec![OrderStatus::Completed, OrderStatus::Cancelled],
            after: Some(Place::before(until)),
            ..Query::default()
        };
        self.erase_all(old, &Origin { by: "system", correlation_id: None }).await
    }

    async fn erase_all(&self, mut query: Query, origin: &Origin) -> Result<u64, OrderError> {
        query.limit = 200;
        let mut erased = 0;
        loop {
            let page = self.list(&query).await?;
            for record in page.records.iter().filter(|record| holds_somebody(record)) {
                let (id, origin) = (record.order.order_id.clone(), origin.clone());
                match self.carry_through(|inner| async move { inner.erase(id, origin).await }).await {
                    Ok(()) => erased += 1,
                    // Deleted meanwhile.
                    Err(OrderError::NotFound) => {}
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
    async fn erase(&self, id: OrderId, origin: Origin) -> Result<(), OrderError> {
        let now = self.clock.now();
        let owes = self.owes.clone();
        let erase = move |record: &Record, _: &Facts| {
            let mut changed = record.clone();
            erase(&mut changed, now);
            touch(&mut changed, "erased", None, &origin, now);
            owes.sheet_row(&mut changed, &origin, now);
            Ok::<_, OrderError>(changed)
        };
        self.amend(id, now, erase, Some(Event::OrderUpdated)).await.map(drop)
    }
}

fn holds_somebody(record: &Record) -> bool {
    let order = &record.order;
    let on_order = order.name.is_some() || order.phone.is_some() || order.customer_id.is_some();
    let noted = order.notes.is_some() || order.items.iter().any(|item| item.note.is_some());
    let owed = record.deliveries.iter().any(|delivery| delivery.to.is_some() || !delivery.body.is_empty());
    let answered = record.answers.iter().any(|answer| answer.reply.is_some() && record.erased_at.is_none());
    on_order || noted || owed || answered || record.fingerprint.is_some()
}

/// Takes everybody out of a record: the drinks, the total and the statuses stay.
fn erase(record: &mut Record, now: Timestamp) {
    let order = &mut record.order;
    (order.name, order.phone, order.customer_id, order.notes) = (None, None, None, None);
    order.items.iter_mut().for_each(|item| item.note = None);
    // It is a digest of the phone number, of which there are few enough to try them all.
    (record.fingerprint, record.fingerprint_at) = (None, None);
    record.answers.iter_mut().for_each(erase_answer);
    record.audit.iter_mut().for_each(|entry| entry.reason = None);
    for delivery in &mut record.deliveries {
        delivery.to = None;
        delivery.body.clear();
        if delivery.state == DeliveryState::Owed {
            delivery.state = DeliveryState::Skipped;
            delivery.reason = Some("the customer's data was erased".to_owned());
            delivery.claimed_until = None;
        }
    }
    record.erased_at = Some(now);
}

fn erase_answer(answer: &mut Answer) {
    let Some(order) = answer.reply.as_mut().and_then(|reply| reply.body.as_object_mut()) else { return };
    for field in ["name", "phone", "customer_id", "notes"] {
        if let Some(value) = order.get_mut(field) {
            *value = Value::Null;
        }
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
