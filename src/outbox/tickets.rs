//! Tickets through a point of sale: whether it is asked for one or given one, and how long it is left alone afterwards.
//!
//! A point of sale that certainly does not have a ticket is given it; one that may have it is asked first. What follows
//! for the order, and which refusal is the last, is the order service's.

use super::{Outbox, Pace};
use crate::order_service::{Attempt, Claimed, Delivery, TicketStep, ticket_step};
use crate::pos::{Accepted, PointOfSale, PosError};
use futures_util::FutureExt as _;
use jiff::{SignedDuration, Timestamp};
use std::panic::AssertUnwindSafe;
use std::time::Duration;

/// How long a point of sale may take to answer.
const PATIENCE: Duration = Duration::from_secs(8);
/// What guests and staff are told of a ticket that a point of sale may have that is not configured any more.
const SWITCHED_OFF: &str = "the shop's till was switched off before it had answered";

impl Outbox {
    /// What became of it; none: nobody was asked, as the order was decided on.
    pub(super) async fn put(&self, claimed: &Claimed) -> Option<Attempt> {
        let step = ticket_step(claimed);
        if step == TicketStep::Drop {
            return None;
        }
        let Some(pos) = &self.senders.pos else {
            return Some(match step {
                TicketStep::Place(_) => Attempt::Needless { reason: "no point of sale is configured".to_owned() },
                TicketStep::Find(_) | TicketStep::Drop => Attempt::Failed { reason: SWITCHED_OFF.to_owned() },
            });
        };
        let answer = answer(&**pos, &step, PATIENCE).await;
        Some(match answer {
            Ok(Accepted { reference }) => Attempt::Sent { provider_id: reference },
            Err(error) => after(error, &claimed.delivery, self.pace, self.orders.now()),
        })
    }
}

/// What the point of sale says. Whether one that says nothing in time, or panics, has the ticket is unclear.
async fn answer(pos: &dyn PointOfSale, step: &TicketStep, patience: Duration) -> Result<Accepted, PosError> {
    let asked = async {
        match step {
            TicketStep::Place(ticket) => pos.place(ticket).await,
            TicketStep::Find(ticket) => pos.find(ticket).await?.ok_or_else(lost),
            TicketStep::Drop => Err(lost()),
        }
    };
    let unclear = |why: &str| Err(PosError::Unclear(why.to_owned()));
    match tokio::time::timeout(patience, AssertUnwindSafe(asked).catch_unwind()).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) => unclear("the point of sale could not be asked"),
        Err(_) => unclear("the point of sale does not answer"),
    }
}

fn lost() -> PosError {
    PosError::Refused("the order did not reach the point of sale".to_owned())
}

/// At the usual pace 2, 4 and 8 s after the first three refusals; 1, 2, 4 and then every 5 s while it is unclear.
fn after(error: PosError, delivery: &Delivery, Pace { first_wait }: Pace, now: Timestamp) -> Attempt {
    let doubled = |wait: Duration, times: u32| wait * 2_u32.pow(times.min(8));
    let at =
        |wait: Duration| now.checked_add(SignedDuration::try_from(wait).unwrap_or(SignedDuration::ZERO)).unwrap_or(now);
    match error {
        PosError::Refused(reason) => Attempt::Refused { again: at(doubled(first_wait, delivery.refusals)), reason },
        PosError::Unclear(reason) => {
            let unclear = delivery.attempts.saturating_sub(delivery.certain).saturating_sub(1);
            let wait = doubled(first_wait / 2, unclear).min(first_wait * 5 / 2);
            Attempt::Retry { at: at(wait), reason }
        }
    }
}

#[cfg(test)]
mod tests;
