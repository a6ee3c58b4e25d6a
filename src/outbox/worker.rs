//! The worker of one lane: looks up what is due, takes it on as far as there is room, and sees every delivery to its end.
//!
//! Knows nothing of how a delivery is made.

use super::{Outbox, until};
use crate::order_service::{Claimed, Lane, OrderError, Owed};
use crate::ordering::order::OrderId;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::task::{self, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

/// How long a worker looks away at the most: a clock that was set must not leave anything unsent.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);
/// When what is owed cannot be looked up or taken on.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// When something is due that somebody else has to finish with first.
const BLOCKED: Duration = Duration::from_secs(1);
/// How long deliveries under way may take when the server stops.
const LAST_DELIVERIES: Duration = Duration::from_secs(10);
/// Looked up beyond what there is room for, because some of it may not be had at the moment.
const LOOK_PAST: usize = 16;
/// After so many that could not be taken on the fault is not theirs.
const MOST_FAULTS: usize = 4;

/// Deliveries tried at the same time. Rows are written one by one, so that an older state of an order is never written
/// over a newer one.
const fn at_once(lane: Lane) -> usize {
    match lane {
        Lane::Texts | Lane::Webhook | Lane::Pos => 4,
        Lane::Sheet => 1,
    }
}

/// How patient a worker is with an outcome that cannot be saved.
#[derive(Clone, Copy)]
struct Saving {
    /// It is tried again so often.
    again: Duration,
    /// After so long it gives way to other deliveries.
    beside: Duration,
    /// From then on it is tried again so often.
    rarely: Duration,
}

impl Default for Saving {
    fn default() -> Self {
        Self { again: Duration::from_secs(5), beside: Duration::from_secs(120), rarely: Duration::from_secs(60) }
    }
}

pub(super) struct Worker {
    outbox: Arc<Outbox>,
    lane: Lane,
    saving: Saving,
    slots: Arc<Semaphore>,
    /// A slot was given back before its task ended.
    given_back: Arc<Notify>,
    tasks: JoinSet<()>,
    /// What the tasks see to. It is not taken on again before its outcome is saved, even if its claim has ended: what was
    /// sent must not be sent again because of a fault of ours.
    under_way: HashMap<task::Id, (OrderId, u32)>,
}

impl Worker {
    pub(super) fn new(outbox: Arc<Outbox>, lane: Lane) -> Self {
        Self {
            outbox,
            lane,
            saving: Saving::default(),
            slots: Arc::new(Semaphore::new(at_once(lane))),
            given_back: Arc::default(),
            tasks: JoinSet::new(),
            under_way: HashMap::new(),
        }
    }

    /// Works until the server stops.
    pub(super) async fn run(mut self, shutdown: &CancellationToken) {
        loop {
            let pause = match self.take_on().await {
                Ok(pause) => pause,
                Err(error) => {
                    tracing::error!("what is owed could not be looked up or taken on: {error}");
                    LOOK_AGAIN
                }
            };
            tokio::select! {
                () = shutdown.cancelled() => break,
                () = self.outbox.orders.newly_owed(self.lane) => {}
                () = tokio::time::sleep(pause) => {}
                () = self.given_back.notified() => {}
                Some(ended) = self.tasks.join_next_with_id() => self.settle(&ended),
            }
        }
        let drained = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(LAST_DELIVERIES, drained).await.is_err() {
            tracing::warn!("deliveries were cut off by the shutdown; they are still owed");
        }
    }

    /// One of the tasks has ended. If it panicked, the runtime has logged it and its claim ends by itself.
    fn settle(&mut self, ended: &Result<(task::Id, ()), JoinError>) {
        let id = match ended {
            Ok((id, ())) => *id,
            Err(error) => error.id(),
        };
        self.under_way.remove(&id);
    }

    /// Starts what is due, each as soon as it is taken on, and tells when to look again.
    ///
    /// # Errors
    /// Nothing could be looked up, or nothing of it could be taken on.
    pub(super) async fn take_on(&mut self) -> Result<Duration, OrderError> {
        while let Some(ended) = self.tasks.try_join_next_with_id() {
            self.settle(&ended);
        }
        let room = self.slots.available_permits();
        if room == 0 {
            // The end of one of them wakes the worker.
            return Ok(LONGEST_SLEEP);
        }
        let orders = self.outbox.orders.clone();
        let Owed { due, next } = orders.owed(self.lane, room + self.under_way.len() + LOOK_PAST).await?;
        let (mut is_blocked, mut is_started, mut faults) = (false, false, Vec::new());
        for (order, delivery) in due {
            if self.under_way.values().any(|(of, id)| (of, *id) == (&order, delivery.id)) {
                continue;
            }
            let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() else { return Ok(LONGEST_SLEEP) };
            match orders.claim(&order, delivery.id).await {
                Ok(Some(claimed)) => {
                    is_started = true;
                    let (outbox, given_back) = (Arc::clone(&self.outbox), Arc::clone(&self.given_back));
                    let task = self.tasks.spawn(see_to(outbox, claimed, self.saving, slot, given_back));
                    self.under_way.insert(task.id(), (order, delivery.id));
                }
                Ok(None) => is_blocked = true,
                // Those behind an order that cannot be saved go out all the same.
                Err(error) => faults.push(error),
            }
            if faults.len() >= MOST_FAULTS {
                break;
            }
        }
        match faults.pop() {
            Some(error) if !is_started => Err(error),
            Some(_) => Ok(LOOK_AGAIN),
            None if is_blocked => Ok(BLOCKED),
            None => Ok(next.map_or(LONGEST_SLEEP, |at| until(at, orders.now()).min(LONGEST_SLEEP))),
        }
    }
}

/// Delivers and saves the outcome, however long the disk is away. In the end that is tried rarely and beside other
/// deliveries: an order that can never be saved must not hold a slot for good.
async fn see_to(
    outbox: Arc<Outbox>,
    claimed: Claimed,
    saving: Saving,
    slot: OwnedSemaphorePermit,
    given_back: Arc<Notify>,
) {
    let Some(attempt) = outbox.deliver(&claimed).await else { return };
    let Claimed { record, delivery } = claimed;
    let order = &record.order;
    let save = || outbox.orders.record_attempt(&order.order_id, delivery.id, delivery.claimed_until, attempt.clone());
    let mut slot = Some(slot);
    let mut waited = Duration::ZERO;
    while let Err(OrderError::NotSaved(error)) = save().await {
        if waited < saving.beside {
            tracing::error!("the outcome of a delivery could not be saved yet: {error}");
        } else if slot.take().is_some() {
            tracing::error!(
                order.id = %order.order_id,
                order.number = %order.order_number,
                kind = delivery.kind.as_str(),
                "the outcome of a delivery cannot be saved; this server does not make it again, the next one may: {error}"
            );
            given_back.notify_one();
        }
        let pause = if slot.is_some() { saving.again } else { saving.rarely };
        tokio::time::sleep(pause).await;
        waited += pause;
    }
}

#[cfg(test)]
impl Worker {
    /// Waits for what is under way.
    pub(super) async fn finish(&mut self) {
        while let Some(ended) = self.tasks.join_next_with_id().await {
            self.settle(&ended);
        }
    }
}

#[cfg(test)]
mod tests;
