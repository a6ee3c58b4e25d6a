//! Stopping without dropping a call: from the first request to stop until there is nothing left that this process should
//! see to its end.
//!
//! The listener goes on meanwhile: Twilio asks how calls go on, and screens show the orders that those calls still make.
//! That is why feeds are ended by the stop that follows and not by the drain: a browser that was told to reconnect now
//! would come back to this same server, or, behind a proxy that reads `/readyz`, to none.

use crate::call::{Calls, Shutdown};
use crate::order_service::{Lane, OrderService};
use std::time::Duration;
use tokio::time::Instant;

/// How often it is looked whether calls are over. Nobody waits for less: a deploy takes seconds.
const LOOK: Duration = Duration::from_millis(50);
/// How often it is told what is waited for.
const TELL: Duration = Duration::from_secs(10);
/// How long deliveries that are due may take to be taken on. Those under way have a limit of their own, what is left is
/// kept.
const FLUSH_LIMIT: Duration = Duration::from_secs(10);

/// Waits to be asked to drain, sees calls (for at most `limit`) and then deliveries to their end, and stops the server.
/// A stop that comes earlier ends the waiting.
pub(super) async fn run(calls: Calls, orders: OrderService, limit: Duration, shutdown: Shutdown) {
    let Shutdown { drain, stop } = shutdown;
    let orderly = async {
        drain.cancelled().await;
        calls_end(&calls, limit).await;
        deliveries_go_out(&orders).await;
    };
    tokio::select! {
        () = stop.cancelled() => {
            // Whoever ends a server at once has it refuse calls at once, too.
            drain.cancel();
        }
        () = orderly => stop.cancel(),
    }
}

async fn calls_end(calls: &Calls, limit: Duration) {
    let begun = Instant::now();
    let (mut told, mut quiet) = (None::<Instant>, 0);
    // A call is nowhere to be seen for an instant between its token and its place among the live ones: two looks.
    while quiet < 2 {
        let underway = calls.underway();
        quiet = if underway == 0 { quiet + 1 } else { 0 };
        if underway > 0 && begun.elapsed() >= limit {
            tracing::warn!(calls = underway, "calls are not over in time (DRAIN_SECONDS); they are ended");
            return;
        }
        if underway > 0 && told.is_none_or(|told| told.elapsed() >= TELL) {
            let left = limit.saturating_sub(begun.elapsed()).as_secs();
            tracing::info!(calls = underway, "no calls are taken any more; those in progress have {left} s to end");
            told = Some(Instant::now());
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn deliveries_go_out(orders: &OrderService) {
    let mut told = false;
    let flushed = async {
        while is_anything_due(orders).await {
            if !told {
                tracing::info!("deliveries that are due are waited for");
                told = true;
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    if tokio::time::timeout(FLUSH_LIMIT, flushed).await.is_err() {
        tracing::warn!("some deliveries are left to the next start");
    }
}

async fn is_anything_due(orders: &OrderService) -> bool {
    for lane in Lane::ALL {
        match orders.owed(lane, 1).await {
            Ok(owed) if owed.due.is_empty() => {}
            Ok(_) => return true,
            // What cannot be looked up now is looked up at the next start.
            Err(error) => tracing::warn!("it could not be looked up what is owed: {error}"),
        }
    }
    false
}
