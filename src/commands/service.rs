//! What systemd is told of this process, where it runs it as a service of `Type=notify`: that it serves, that it drains and
//! how many calls it waits for, and, where there is a watchdog, that it lives.
//!
//! Without systemd all of it goes nowhere.

use crate::app::{App, Shutdown};
use crate::call::LiveCalls;
use crate::order_service::{OrderService, Query};
use sd_notify::NotifyState;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// How often systemd is told how many calls there are.
const TELL: Duration = Duration::from_secs(2);
/// For so long systemd waits for the next word of a service that stops. It covers what follows the calls as well: deliveries
/// and requests, which have limits of their own.
const EXTENSION: Duration = Duration::from_secs(60);

/// Tells systemd about a server, beside it.
pub(super) struct Service {
    orders: OrderService,
    live: LiveCalls,
    shutdown: Shutdown,
}

impl Service {
    pub(super) fn of(app: &App, shutdown: Shutdown) -> Self {
        Self { orders: app.orders(), live: app.live_calls(), shutdown }
    }

    /// Tells that it serves, and then how it fares, for as long as it is polled.
    pub(super) async fn run(self) {
        notify(&[NotifyState::Ready]);
        tokio::join!(self.tell(), self.feed_the_dog());
    }

    async fn tell(&self) {
        let mut told = String::new();
        let mut ticks = interval(TELL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut drains = false;
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = self.shutdown.drain.cancelled(), if !drains => {
                    drains = true;
                    notify(&[NotifyState::Stopping]);
                }
            }
            let calls = self.live.count();
            let status = match drains {
                false => format!("{calls} calls in progress"),
                true => format!("waiting for {calls} calls to end"),
            };
            if drains {
                let extension = u32::try_from(EXTENSION.as_micros()).unwrap_or(u32::MAX);
                notify(&[NotifyState::ExtendTimeoutUsec(extension)]);
            }
            if status != told {
                notify(&[NotifyState::Status(&status)]);
                told = status;
            }
        }
    }

    /// The runtime turns, or this would not be polled; and the store answers, be it with an error: a disk that is full is
    /// no reason to end calls, a lock that nobody gives back is.
    async fn feed_the_dog(&self) {
        let Some(limit) = sd_notify::watchdog_enabled() else { return };
        let mut ticks = interval(limit / 2);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let asked = Instant::now();
            // Whoever is waited for is waited for here; no answer, no word, and systemd starts the service anew.
            let newest = Query { limit: 1, ..Query::default() };
            if let Err(error) = self.orders.list(&newest).await {
                tracing::warn!("the orders' store answers the watchdog with an error: {error}");
            }
            notify(&[NotifyState::Watchdog]);
            if asked.elapsed() > limit / 4 {
                tracing::warn!(
                    took_ms = asked.elapsed().as_millis() as u64,
                    "the orders' store was slow to answer the watchdog"
                );
            }
        }
    }
}

fn notify(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!("systemd could not be told: {error}");
    }
}
