//! What runs by itself beside calls: ready orders nobody picked up every minute, stored answers every hour, customers'
//! data every day – and each of them once after the start.
//!
//! A round that fails is told to the log and tried again at the next one.

use crate::order_service::OrderService;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Works until the server stops. `retention_days`: after so many days customers are erased from closed orders; none:
/// never.
pub(super) async fn run(orders: OrderService, retention_days: Option<u32>, shutdown: CancellationToken) {
    // Side by side: a first round of erasing may take long, and the minute's work does not wait for it.
    let work = async {
        tokio::join!(
            every(MINUTE, || orders.complete_forgotten()),
            every(HOUR, || expire_answers(&orders)),
            every(DAY, || erase_old(&orders, retention_days)),
        )
    };
    tokio::select! {
        // What is cut off here goes on at the next start: every order is one commit of its own.
        () = shutdown.cancelled() => {}
        _ = work => {}
    }
}

/// Works at once and then once a period, for ever.
async fn every<F: Future<Output = ()>>(period: Duration, work: impl Fn() -> F) {
    let mut ticks = interval(period);
    // A machine that slept has nothing to make up for.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        work().await;
    }
}

async fn expire_answers(orders: &OrderService) {
    match orders.expire_answers().await {
        Ok(0) => {}
        Ok(expired) => tracing::info!(expired, "what was left of {expired} deleted orders has expired"),
        Err(error) => tracing::warn!("what is left of deleted orders could not be looked through: {error}"),
    }
}

async fn erase_old(orders: &OrderService, retention_days: Option<u32>) {
    let Some(days) = retention_days else { return };
    match orders.erase_old(days).await {
        Ok(0) => {}
        Ok(erased) => tracing::info!(
            event = "customers_erased",
            erased,
            "customers were erased from {erased} closed orders that are {days} days old or older"
        ),
        Err(error) => tracing::warn!("customers could not be erased from old orders, which is tried again: {error}"),
    }
}
