//! What happens outside of sessions and matters in them: orders that move on, what is sold out, whether the shop is open.
//!
//! One task looks orders up, one after the other, so that no session hears of an order's states in the wrong sequence.

use super::placing::news_of;
use super::{Command, Handle, Inner};
use crate::order_service::OrderError;
use crate::ordering::order::OrderId;
use crate::table::session::Input;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::sync::broadcast::{self, error::RecvError};

/// An order that could not be looked up is looked up again after this.
const AGAIN: Duration = Duration::from_secs(1);

/// Which sessions want to hear of which orders.
pub(super) struct Watch {
    state: Mutex<Watched>,
    wake: Notify,
    /// Taken by whoever runs.
    changes: Mutex<Option<broadcast::Receiver<OrderId>>>,
}

#[derive(Default)]
struct Watched {
    by_order: BTreeMap<OrderId, Handle>,
    /// To be looked up, whatever has happened.
    asked: BTreeSet<OrderId>,
}

impl Watch {
    pub(super) fn new(changes: broadcast::Receiver<OrderId>) -> Self {
        Self { state: Mutex::default(), wake: Notify::new(), changes: Mutex::new(Some(changes)) }
    }

    /// Tells this session of an order from now on, and how it is now.
    pub(super) fn begin(&self, order: OrderId, session: &Handle) {
        let mut state = self.state();
        state.by_order.insert(order.clone(), session.clone());
        state.asked.insert(order);
        self.wake.notify_one();
    }

    /// Tells whoever watches the order how it is now.
    pub(super) fn look(&self, order: OrderId) {
        self.state().asked.insert(order);
        self.wake.notify_one();
    }

    /// Tells nobody of the order any more.
    pub(super) fn end(&self, order: &OrderId) {
        self.state().by_order.remove(order);
    }

    fn state(&self) -> MutexGuard<'_, Watched> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Brings news until the server stops.
pub(super) async fn run(hub: &Inner) {
    let changes = hub.watch.changes.lock().unwrap_or_else(PoisonError::into_inner).take();
    // Only a second run would find none.
    let Some(mut changes) = changes else { return };
    let (mut state, mut notices) = (hub.shop.changes(), hub.shop.notices());
    loop {
        let waits = !hub.watch.state().asked.is_empty();
        tokio::select! {
            biased;
            () = hub.stop.cancelled() => return,
            change = changes.recv() => match change {
                Ok(order) => look(hub, order).await,
                Err(RecvError::Lagged(_)) => {
                    let mut watched = hub.watch.state();
                    let watched = &mut *watched;
                    watched.asked.extend(watched.by_order.keys().cloned());
                    hub.watch.wake.notify_one();
                }
                // The log lives as long as the order service, which is ours.
                Err(RecvError::Closed) => return,
            },
            () = hub.watch.wake.notified() => look_all(hub).await,
            () = tokio::time::sleep(AGAIN), if waits => look_all(hub).await,
            // Their senders are the shop's, which is ours.
            _ = state.changed() => tell_shop(hub).await,
            _ = notices.changed() => tell_shop(hub).await,
        }
    }
}

async fn look_all(hub: &Inner) {
    let asked = std::mem::take(&mut hub.watch.state().asked);
    for order in asked {
        look(hub, order).await;
    }
}

async fn look(hub: &Inner, order: OrderId) {
    let session = hub.watch.state().by_order.get(&order).cloned();
    let Some(session) = session else { return };
    let input = match hub.orders.record(&order).await {
        Ok(Some(record)) => Input::Order(news_of(&record)),
        Ok(None) => Input::OrderDeleted(order),
        Err(error) => return look_again(hub, order, &error),
    };
    // A session that is over wants no news.
    let _ = session.send(Command::News(Box::new(input))).await;
}

fn look_again(hub: &Inner, order: OrderId, error: &OrderError) {
    tracing::warn!(order.id = %order, "an order cannot be looked up for its table, which is tried again: {error}");
    hub.watch.state().asked.insert(order);
}

async fn tell_shop(hub: &Inner) {
    let notice = hub.notice(hub.orders.now());
    let sessions: Vec<Handle> = hub.live().sessions.values().map(|entry| entry.handle.clone()).collect();
    for session in sessions {
        // As above.
        let _ = session.send(Command::News(Box::new(Input::Shop(notice.clone())))).await;
    }
}
