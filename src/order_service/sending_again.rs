//! How an order that the point of sale refused is put to it once more, with whatever it holds now.

use super::changes::{AHEAD, touch};
use super::placing::{answer, not_answered};
use super::{Inner, OrderError, Query, SendAgain, TicketState, ticket_state, tickets};
use crate::ordering::order::{self, Order, OrderId};
use crate::ordering::phone_number::PhoneNumber;
use crate::ordering::status::OrderStatus;
use crate::store::{DeliveryKind, Facts, Record};
use std::collections::BTreeMap;
use std::sync::Arc;

impl Inner {
    pub(super) async fn send_again(self: Arc<Self>, id: OrderId, again: SendAgain) -> Result<Order, OrderError> {
        let now = self.clock.now();
        // What a change is decided on holds the drinks of the number that the order had. Those of another are counted
        // beforehand: two orders of one number at the same moment could come to a few drinks too many.
        let active = match &again.phone {
            Some(phone) => Some((phone.clone(), self.active_drinks(phone, &id).await?)),
            None => None,
        };
        // What is due at that time is counted beforehand as well, and without this order.
        let due = match again.pickup_at {
            Some(_) => self.load(Some(&id)).await?.due,
            None => BTreeMap::new(),
        };
        let inner = Arc::clone(&self);
        let amend = move |record: &Record, facts: &Facts| {
            not_answered(record, &again.idempotency)?;
            let from = record.order.status;
            match ticket_state(record) {
                TicketState::Refused { .. } => {}
                TicketState::Waiting { .. } => return Err(OrderError::InProgress.into()),
                TicketState::Settled | TicketState::Stray { .. } => {
                    return Err(OrderError::InvalidState { from, to: OrderStatus::Pending }.into());
                }
            }
            let (before, drinks) = (record.order.drinks(), order::drinks(&again.items));
            inner.check_drinks(drinks, again.most_drinks)?;
            let others = match &active {
                Some((phone, drinks)) if record.order.phone.as_ref() != Some(phone) => *drinks,
                _ => facts.active_drinks.saturating_sub(before),
            };
            let phone = again.phone.as_ref().or(record.order.phone.as_ref());
            inner.check_phone(others, phone, drinks, again.most_drinks)?;
            inner.check_open(&again.items, now)?;
            // An order that is to be fetched later is not among those that are made first.
            let is_ahead = record.order.pickup_at.is_none_or(|at| at < now + AHEAD);
            let own = if is_ahead { before } else { 0 };
            let ahead = Facts { drinks_ahead: facts.drinks_ahead.saturating_sub(own), ..facts.clone() };
            if let Some(pickup_at) = again.pickup_at {
                inner.shop.check_pickup(now, pickup_at, drinks, ahead.drinks_ahead, &due).map_err(OrderError::from)?;
            }
            let mut changed = record.clone();
            replace(&mut changed, &again);
            let ready = changed.order.pickup_at.or_else(|| inner.ready_at(now, &ahead, drinks));
            changed.order.estimated_ready_time = ready;
            let Order { customer_id, items, .. } = &changed.order;
            changed.fingerprint = inner.fingerprint(customer_id.as_deref(), None, items);
            changed.fingerprint_at = Some(now);
            tickets::superseded(&mut changed);
            // Where there is no point of sale any more, there is nobody to wait for.
            let text = (!inner.rules.through_pos).then_some(DeliveryKind::TextReceived);
            if text.is_some() {
                changed.order.status = OrderStatus::Received;
            }
            touch(&mut changed, "sent_again", None, &again.origin, now);
            changed.answers.push(answer(&again.idempotency, &changed.order, now));
            inner.owe(&mut changed, "order_updated", text, facts, &again.origin, now);
            if text.is_none() {
                inner.owe_ticket(&mut changed, &again.origin, now);
            }
            Ok(changed)
        };
        self.changed_once(id, now, amend, "goes to the point of sale once more").await
    }

    /// Drinks in the number's active orders but this one.
    async fn active_drinks(&self, phone: &PhoneNumber, but: &OrderId) -> Result<u32, OrderError> {
        let statuses = OrderStatus::ALL.into_iter().filter(|status| status.is_active()).collect();
        let mut query = Query { phone: Some(phone.clone()), statuses, limit: 200, ..Query::default() };
        let mut drinks = 0_u32;
        loop {
            let page = self.store.list(&query).await?;
            let others = page.records.iter().filter(|record| record.order.order_id != *but);
            drinks = others.fold(drinks, |drinks, record| drinks.saturating_add(record.order.drinks()));
            match page.next {
                Some(next) => query.after = Some(next),
                None => return Ok(drinks),
            }
        }
    }
}

fn replace(record: &mut Record, again: &SendAgain) {
    let order = &mut record.order;
    order.items.clone_from(&again.items);
    order.total = order::total(&order.items);
    if let Some(notes) = &again.notes {
        order.notes.clone_from(notes);
    }
    order.pickup_at = again.pickup_at.map(order::stored_instant);
    if again.name.is_some() {
        order.name.clone_from(&again.name);
    }
    if let Some(phone) = &again.phone {
        // Whoever brought no id of their own is known by the number.
        let by_number = order.phone.as_ref().map(PhoneNumber::as_e164) == order.customer_id.as_deref();
        if by_number {
            order.customer_id = Some(phone.as_e164().to_owned());
        }
        order.phone = Some(phone.clone());
    }
    order.metadata.extend(again.metadata.clone());
    // They were noted of lines that are not there any more.
    record.marks.made.clear();
}
