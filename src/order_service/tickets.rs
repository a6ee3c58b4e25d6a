//! Orders that a point of sale has to take first: what it is asked, what its answers make of an order, and what becomes of
//! a ticket when somebody decides without it.
//!
//! Until the point of sale has taken an order, that order is pending and owes a ticket. The answer and the move that it
//! causes are one commit. Knows nothing of how a point of sale is asked, and of time only when an order was changed.

use super::changes::{log_moved, touch};
use super::deliveries::{find, outcomes};
use super::{Attempt, Claimed, Inner, OrderError, Origin, texts};
use crate::events::{Event, Rendered};
use crate::ordering::order::{self, Item, Order, OrderId};
use crate::ordering::status::OrderStatus;
use crate::pos::Ticket;
use crate::store::{Announce, Delivery, DeliveryKind, DeliveryState, Facts, Record};
use jiff::Timestamp;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A ticket that the point of sale has refused so often is not put to it again by itself.
pub const MOST_REFUSALS: u32 = 4;

/// Why a ticket was not put to the point of sale any more.
const ACCEPTED_BY_STAFF: &str = "staff accepted the order";
const CANCELLED_BY_STAFF: &str = "staff cancelled the order";
const CANCELLED: &str = "the order was cancelled";
const SENT_AGAIN: &str = "the order was sent again";

/// Where an order stands with the point of sale.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TicketState {
    /// There is none to be asked, or its answer is known.
    Settled,
    /// It is on its way, or nobody knows yet what became of it.
    Waiting {
        /// Since when.
        since: Timestamp,
        /// Why it has not been taken yet, if that is known.
        reason: Option<String>,
    },
    /// It was refused in the end.
    Refused {
        /// Why: words for people, as they follow a colon.
        reason: String,
    },
    /// The order is cancelled, and the point of sale has it: somebody has to take it back there.
    Stray {
        /// What it is called there, if that was said.
        reference: Option<String>,
    },
}

/// Where an order stands with the point of sale.
pub fn ticket_state(record: &Record) -> TicketState {
    if record.order.status == OrderStatus::Cancelled {
        let taken = tickets(record).filter(|ticket| ticket.state == DeliveryState::Sent).last();
        return taken
            .map_or(TicketState::Settled, |ticket| TicketState::Stray { reference: ticket.provider_id.clone() });
    }
    if record.order.status != OrderStatus::Pending {
        return TicketState::Settled;
    }
    let waiting = tickets(record).find(|ticket| ticket.state == DeliveryState::Owed);
    if let Some(Delivery { owed_at, reason, .. }) = waiting {
        return TicketState::Waiting { since: *owed_at, reason: reason.clone() };
    }
    match tickets(record).last() {
        Some(Delivery { state: DeliveryState::Failed, reason, .. }) => {
            TicketState::Refused { reason: reason.clone().unwrap_or_else(|| "it was refused".to_owned()) }
        }
        _ => TicketState::Settled,
    }
}

/// What is to be done about a ticket that a worker has taken on.
#[derive(Clone, Debug, PartialEq)]
pub enum TicketStep {
    /// The point of sale certainly does not have it: it is put to it.
    Place(Ticket),
    /// It may have it: it is asked.
    Find(Ticket),
    /// Nothing: the order was decided on without it.
    Drop,
}

/// What is to be done about this ticket now.
pub fn ticket_step(Claimed { record, delivery }: &Claimed) -> TicketStep {
    let Some(ticket) = ticket_of(delivery) else { return TicketStep::Drop };
    // The attempt that begins now is counted already.
    let is_certain = delivery.attempts <= delivery.certain.saturating_add(1);
    match (is_certain, is_wanted(record, delivery)) {
        (true, true) => TicketStep::Place(ticket),
        (true, false) => TicketStep::Drop,
        // Also if nobody wants it any more: that the till has a cancelled order is for somebody to know.
        (false, _) => TicketStep::Find(ticket),
    }
}

/// Whether the order still waits for this ticket's answer. What came on top is wanted as long as the order is not cancelled.
pub(super) fn is_wanted(record: &Record, delivery: &Delivery) -> bool {
    match ticket_of(delivery) {
        Some(ticket) if ticket.is_addition => record.order.status != OrderStatus::Cancelled,
        Some(_) => record.order.status == OrderStatus::Pending,
        None => false,
    }
}

/// Whether an earlier ticket of the order is not settled: what comes on top of it has to wait.
pub(super) fn has_earlier(record: &Record, delivery: u32) -> bool {
    tickets(record).any(|ticket| ticket.id < delivery && ticket.state == DeliveryState::Owed)
}

/// Somebody has decided on the order: nobody is asked any more. A worker who is asking just now still tells the answer.
pub(super) fn decided(record: &mut Record, to: OrderStatus, origin: &Origin) {
    let why = if origin.is_by_people() { by_staff(to) } else { CANCELLED };
    let open = |ticket: &&mut Delivery| match ticket.state {
        DeliveryState::Owed => ticket.claimed_until.is_none(),
        DeliveryState::Failed => true,
        DeliveryState::Sent | DeliveryState::Skipped => false,
    };
    tickets_mut(record).filter(open).for_each(|ticket| skip(ticket, why));
}

/// The move to `undone` was taken back: whoever was not asked any more because of it is asked again, and nobody else. What
/// was taken meanwhile is found then.
pub(super) fn undecided(record: &mut Record, undone: OrderStatus, now: Timestamp) {
    let is_pending = record.order.status == OrderStatus::Pending;
    if !is_pending && undone != OrderStatus::Cancelled {
        return;
    }
    let why = by_staff(undone);
    for ticket in tickets_mut(record) {
        let is_dropped = ticket.state == DeliveryState::Skipped && ticket.reason.as_deref() == Some(why);
        let is_taken = ticket.state == DeliveryState::Sent && is_pending;
        if is_dropped && ticket.refusals >= MOST_REFUSALS {
            ticket.state = DeliveryState::Failed;
            ticket.reason = ticket.tries.last().map(|tried| tried.outcome.clone());
        } else if is_dropped || is_taken {
            (ticket.state, ticket.reason) = (DeliveryState::Owed, None);
            ticket.not_before = ticket.not_before.max(now);
        }
    }
}

/// Those that were refused have no more to say once the order is put to the point of sale anew.
pub(super) fn superseded(record: &mut Record) {
    let refused = tickets_mut(record).filter(|ticket| ticket.state == DeliveryState::Failed);
    refused.for_each(|ticket| skip(ticket, SENT_AGAIN));
}

/// A ticket's JSON without anybody's name or words; none: it is no ticket.
pub(super) fn without_anybody(body: &str) -> Option<String> {
    let mut ticket: Ticket = serde_json::from_str(body).ok()?;
    (ticket.name, ticket.notes) = (None, None);
    ticket.items.iter_mut().for_each(|item| item.note = None);
    serde_json::to_string(&ticket).ok()
}

impl Inner {
    /// Owes a ticket of the whole order.
    pub(super) fn owe_ticket(&self, record: &mut Record, origin: &Origin, now: Timestamp) {
        let order = &record.order;
        let ticket = self.ticket(order, order.items.clone(), order.notes.clone(), false);
        push(record, &ticket, origin, now);
    }

    /// Owes a ticket of what came on top, if the order went to a point of sale.
    pub(super) fn owe_addition(
        &self,
        record: &mut Record,
        items: &[Item],
        notes: Option<&str>,
        origin: &Origin,
        now: Timestamp,
    ) {
        if self.rules.through_pos && tickets(record).next().is_some() {
            let ticket = self.ticket(&record.order, items.to_vec(), notes.map(str::to_owned), true);
            push(record, &ticket, origin, now);
        }
    }

    fn ticket(&self, order: &Order, items: Vec<Item>, notes: Option<String>, is_addition: bool) -> Ticket {
        Ticket {
            key: format!("{}:{}", order.order_id, order.version),
            order_id: order.order_id.clone(),
            order_number: order.order_number,
            version: order.version,
            is_addition,
            channel: order.channel.as_str().to_owned(),
            name: order.name.clone(),
            table: order.metadata.get("table").and_then(|table| table.as_str()).map(str::to_owned),
            notes,
            pickup_at: order.pickup_at,
            total: order::total(&items),
            items,
            currency: self.shop.menu().currency().code.to_owned(),
            owed_at: None,
        }
    }

    /// Records what became of an attempt at a ticket and, in the same commit, what follows for the order.
    pub(super) async fn record_ticket(
        self: Arc<Self>,
        id: OrderId,
        delivery_id: u32,
        claim: Option<Timestamp>,
        attempt: Attempt,
    ) -> Result<(), OrderError> {
        let now = self.clock.now();
        let moved = Arc::new(AtomicBool::new(false));
        let learn = {
            let (inner, moved) = (Arc::clone(&self), Arc::clone(&moved));
            move |record: &Record, facts: &Facts| {
                let mut changed = record.clone();
                let delivery = changed.deliveries.iter_mut().find(|known| known.id == delivery_id);
                let delivery = delivery.ok_or(OrderError::NoSuchDelivery)?;
                let wanted = is_wanted(record, delivery);
                let is_addition = ticket_of(delivery).is_some_and(|ticket| ticket.is_addition);
                let why_not = (!wanted).then(|| why_unwanted(&record.order));
                let decides = wanted && !is_addition;
                let becomes = match attempted(delivery, claim, &attempt, why_not, now) {
                    Learned::Taken => decides.then_some((OrderStatus::Received, "pos")),
                    Learned::Needless => decides.then_some((OrderStatus::Received, "system")),
                    Learned::Refused => {
                        (decides && !record.held_when_refused).then_some((OrderStatus::Cancelled, "pos"))
                    }
                    Learned::PutOff => {
                        put_off_later_ones(&mut changed, delivery_id);
                        None
                    }
                    Learned::Nothing => None,
                };
                if let Some((to, by)) = becomes {
                    inner.move_by_pos(&mut changed, delivery_id, to, by, facts, now);
                }
                // A store may ask more than once: the last answer is the one that it commits.
                moved.store(becomes.is_some(), Ordering::Relaxed);
                Ok::<_, OrderError>(changed)
            }
        };
        let announce = self.ticket_announcement(delivery_id, Arc::clone(&moved));
        let record = self.amend_and(id, now, learn, announce).await?;
        let order = &record.order;
        if moved.load(Ordering::Relaxed) {
            log_moved(order, order.history.last().map_or("pos", |entry| entry.by.as_str()));
            texts::log_skipped(&record, record.deliveries.iter().filter(|delivery| delivery.owed_at == now));
        } else if order.status == OrderStatus::Cancelled
            && find(&record, delivery_id).is_some_and(|ticket| ticket.state == DeliveryState::Sent)
        {
            tracing::warn!(
                order.id = %order.order_id,
                order.number = %order.order_number,
                "the point of sale has order {}, which is cancelled here",
                order.order_number,
            );
        }
        Ok(())
    }

    fn move_by_pos(
        &self,
        record: &mut Record,
        ticket: u32,
        to: OrderStatus,
        by: &'static str,
        facts: &Facts,
        now: Timestamp,
    ) {
        let ticket = find(record, ticket);
        let reason = ticket.filter(|_| to == OrderStatus::Cancelled).and_then(|ticket| ticket.reason.clone());
        let correlation_id = ticket.and_then(|ticket| ticket.correlation_id.clone());
        let origin = Origin { by, correlation_id };
        record.order.status = to;
        if to == OrderStatus::Cancelled {
            let unsent = |ticket: &&mut Delivery| ticket.state == DeliveryState::Owed;
            tickets_mut(record).filter(unsent).for_each(|ticket| skip(ticket, CANCELLED));
            // There is nothing to be done about a refusal that has been followed: it is not among what was given up.
            let refused = |ticket: &&mut Delivery| ticket.state == DeliveryState::Failed;
            tickets_mut(record).filter(refused).for_each(|ticket| ticket.state = DeliveryState::Skipped);
        }
        touch(record, to.as_str(), reason, &origin, now);
        self.owe(record, "order_status_changed", texts::told_by(to), facts, &origin, now);
    }

    /// Tells of the move, if there was one, and that a ticket was given up, if it was.
    fn ticket_announcement(&self, delivery_id: u32, moved: Arc<AtomicBool>) -> Announce {
        let events = self.events.clone();
        Box::new(move |record| {
            let order = Arc::new(record.order.clone());
            let ticket = find(record, delivery_id);
            let has_moved = moved.load(Ordering::Relaxed);
            let is_cancelled = order.status == OrderStatus::Cancelled;
            let failed = ticket.filter(|ticket| ticket.state == DeliveryState::Failed || has_moved && is_cancelled);
            // Nothing of the order is another, but staff have to hear that the till has it all the same.
            let stray = ticket.filter(|ticket| is_cancelled && ticket.state == DeliveryState::Sent);
            let stray = stray.map(|_| Event::OrderUpdated(Arc::clone(&order)));
            let moved = has_moved.then(|| Event::OrderStatusChanged(Arc::clone(&order)));
            let failed = failed.map(|ticket| Event::DeliveryFailed { order, kind: ticket.kind.as_str() });
            let told: Vec<_> = moved.iter().chain(&failed).chain(&stray).map(Rendered::from).collect();
            Box::new(move || told.into_iter().for_each(|event| events.publish(event)))
        })
    }
}

/// What an attempt has taught.
enum Learned {
    /// The point of sale has it.
    Taken,
    /// It will not have it.
    Refused,
    /// There is none to have it.
    Needless,
    /// It is asked again later.
    PutOff,
    /// Nothing that matters any more.
    Nothing,
}

fn attempted(
    delivery: &mut Delivery,
    claim: Option<Timestamp>,
    attempt: &Attempt,
    why_not: Option<&str>,
    now: Timestamp,
) -> Learned {
    // An outcome that comes late is no news of the attempt that is under way now, except that it was taken.
    let is_theirs = delivery.claimed_until == claim;
    if is_theirs {
        delivery.claimed_until = None;
    }
    let is_open = is_theirs && delivery.state == DeliveryState::Owed;
    let (outcome, learned) = match attempt {
        Attempt::Sent { provider_id } => {
            (delivery.state, delivery.reason) = (DeliveryState::Sent, None);
            delivery.provider_id.clone_from(provider_id);
            ("sent", Learned::Taken)
        }
        Attempt::Refused { reason, .. }
        | Attempt::Retry { reason, .. }
        | Attempt::Needless { reason }
        | Attempt::Failed { reason }
            if !is_open =>
        {
            (reason.as_str(), Learned::Nothing)
        }
        Attempt::Refused { again, reason } => {
            delivery.refusals += 1;
            delivery.certain = delivery.attempts;
            delivery.reason = Some(reason.clone());
            delivery.not_before = order::stored_instant(*again);
            if delivery.refusals >= MOST_REFUSALS {
                delivery.state = DeliveryState::Failed;
                (reason.as_str(), Learned::Refused)
            } else {
                (reason.as_str(), Learned::PutOff)
            }
        }
        Attempt::Retry { at, reason } => {
            delivery.reason = Some(reason.clone());
            delivery.not_before = order::stored_instant(*at);
            (reason.as_str(), Learned::PutOff)
        }
        Attempt::Needless { reason } => {
            skip(delivery, reason);
            (reason.as_str(), Learned::Needless)
        }
        Attempt::Failed { reason } => {
            (delivery.state, delivery.reason) = (DeliveryState::Failed, Some(reason.clone()));
            (reason.as_str(), Learned::Nothing)
        }
    };
    outcomes::tried(delivery, outcome, now);
    if let Some(why) = why_not.filter(|_| is_open && delivery.state != DeliveryState::Sent) {
        skip(delivery, why);
        return Learned::Nothing;
    }
    learned
}

/// Those behind it are not looked at before it is: a heap of them would hide what could be sent.
fn put_off_later_ones(record: &mut Record, delivery: u32) {
    let Some(until) = find(record, delivery).map(|delivery| delivery.not_before) else { return };
    let behind = tickets_mut(record).filter(|ticket| ticket.id > delivery && ticket.state == DeliveryState::Owed);
    behind.for_each(|ticket| ticket.not_before = ticket.not_before.max(until));
}

fn push(record: &mut Record, ticket: &Ticket, origin: &Origin, now: Timestamp) {
    record.deliveries.push(Delivery {
        body: serde_json::to_string(ticket).expect("a ticket has text keys only"),
        correlation_id: origin.correlation_id.clone(),
        ..Delivery::owed(record.next_delivery_id(), DeliveryKind::PosTicket, now)
    });
}

/// Why the order does not wait for a ticket's answer any more.
fn why_unwanted(order: &Order) -> &'static str {
    let by_people = order.history.last().is_some_and(|last| matches!(last.by.as_str(), "staff" | "api"));
    if by_people { by_staff(order.status) } else { CANCELLED }
}

fn by_staff(to: OrderStatus) -> &'static str {
    if to == OrderStatus::Cancelled { CANCELLED_BY_STAFF } else { ACCEPTED_BY_STAFF }
}

fn skip(ticket: &mut Delivery, why: &str) {
    ticket.state = DeliveryState::Skipped;
    ticket.reason = Some(why.to_owned());
}

fn ticket_of(delivery: &Delivery) -> Option<Ticket> {
    let ticket: Ticket = serde_json::from_str(&delivery.body).ok()?;
    Some(Ticket { owed_at: Some(delivery.owed_at), ..ticket })
}

fn tickets(record: &Record) -> impl Iterator<Item = &Delivery> {
    record.deliveries.iter().filter(|delivery| delivery.kind == DeliveryKind::PosTicket)
}

fn tickets_mut(record: &mut Record) -> impl Iterator<Item = &mut Delivery> {
    record.deliveries.iter_mut().filter(|delivery| delivery.kind == DeliveryKind::PosTicket)
}
