//! What runs by itself beside calls: ready orders nobody picked up every minute, stored answers and messages every hour,
//! customers' data and the records of calls every day – and each of them once after the start.
//!
//! A round that fails is told to the log and tried again at the next one.

use crate::logbook::Logbook;
use crate::order_service::OrderService;
use crate::voicemail::Voicemails;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What time does something to.
pub(super) struct Kept {
    pub(super) orders: OrderService,
    pub(super) logbook: Logbook,
    pub(super) voicemails: Voicemails,
}

/// Works until the server stops. `retention_days`: after so many days customers are erased from closed orders, and calls and
/// messages are forgotten; none: never.
pub(super) async fn run(
    Kept { orders, logbook, voicemails }: Kept,
    retention_days: Option<u32>,
    shutdown: CancellationToken,
) {
    // Side by side: a first round of erasing may take long, and the minute's work does not wait for it.
    let work = async {
        tokio::join!(
            every(MINUTE, || orders.complete_forgotten()),
            every(HOUR, || expire_answers(&orders)),
            every(HOUR, || sweep_messages(&voicemails, retention_days)),
            every(DAY, || erase_old(&orders, retention_days)),
            every(DAY, || forget_calls(&orders, &logbook, retention_days)),
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

async fn sweep_messages(voicemails: &Voicemails, retention_days: Option<u32>) {
    match voicemails.sweep(retention_days).await {
        Ok(0) => {}
        Ok(deleted) => tracing::info!(deleted, "{deleted} messages of callers were deleted"),
        Err(error) => tracing::warn!("old messages could not be deleted, which is tried again: {error}"),
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

async fn forget_calls(orders: &OrderService, logbook: &Logbook, retention_days: Option<u32>) {
    let Some(days) = retention_days else { return };
    match logbook.erase_old(days, orders.now()).await {
        Ok(0) => {}
        Ok(erased) => tracing::info!(
            event = "calls_erased",
            erased,
            "the records of {erased} calls were erased, which are {days} days old or older"
        ),
        Err(error) => tracing::warn!("old records of calls could not be erased, which is tried again: {error}"),
    }
}
