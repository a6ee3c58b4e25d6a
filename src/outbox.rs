//! Sends what is owed because of orders: one worker a process, a few deliveries at once, never on a call's path.
//!
//! What is owed lives with the orders, so nothing is lost with this process; what became of an attempt is recorded
//! through the order service. A delivery is made at least once or shown as failed.

mod error;
mod http;
mod sheets;
mod sms;
pub mod webhook;

pub use error::{SendError, SenderError};
pub use sheets::{BadCredentials, Credentials, Row, SheetsSender};
pub use sms::SmsSender;
pub use webhook::WebhookSender;

use crate::order_service::{Attempt, Claimed, OrderError, OrderService};
use crate::ordering::order::OrderId;
use crate::ordering::phone_number::PhoneNumber;
use futures_util::FutureExt as _;
use jiff::{SignedDuration, Timestamp};
use rand::RngExt as _;
use std::panic::AssertUnwindSafe;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Deliveries tried at the same time.
const AT_ONCE: usize = 4;
/// Tries before a delivery is given up.
const MOST_TRIES: u32 = 5;
/// The wait after the first try; four times as long after each further one, and up to half as long again by chance.
const FIRST_WAIT: Duration = Duration::from_secs(2);
/// How long the worker looks away at the most: a clock that was set must not leave anything unsent.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);
/// When the outcome of an attempt cannot be saved, it is tried again so often rather than sent again.
const SAVE_AGAIN: Duration = Duration::from_secs(5);
/// When it cannot be looked up what is owed.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// How long deliveries under way may take when the server stops.
const LAST_DELIVERIES: Duration = Duration::from_secs(10);

/// The worker.
pub struct Outbox {
    orders: OrderService,
    sms: Option<SmsSender>,
}

impl Outbox {
    /// A worker; without a sender, texts that are still owed from earlier are shown as failed.
    pub fn new(orders: OrderService, sms: Option<SmsSender>) -> Self {
        Self { orders, sms }
    }

    /// Works until the server stops.
    pub async fn run(self, shutdown: CancellationToken) {
        if let Err(error) = self.orders.release_claims().await {
            tracing::warn!("deliveries that were under way when the last server ended have to wait: {error}");
        }
        let mut tasks: JoinSet<()> = JoinSet::new();
        loop {
            let pause = match self.take_on(&mut tasks).await {
                Ok(next) => next.map_or(LONGEST_SLEEP, |at| until(at, self.orders.now()).min(LONGEST_SLEEP)),
                Err(error) => {
                    tracing::error!("what is owed could not be looked up: {error}");
                    LOOK_AGAIN
                }
            };
            tokio::select! {
                () = shutdown.cancelled() => break,
                () = self.orders.newly_owed() => {}
                () = tokio::time::sleep(pause) => {}
                // A panic in one has been logged by the runtime; its claim ends by itself.
                Some(_) = tasks.join_next() => {}
            }
        }
        let drained = async { while tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(LAST_DELIVERIES, drained).await.is_err() {
            tracing::warn!("deliveries were cut off by the shutdown; they are still owed");
        }
    }

    /// Starts what is due, as far as there is room, and tells when to look again.
    async fn take_on(&self, tasks: &mut JoinSet<()>) -> Result<Option<Timestamp>, OrderError> {
        let room = AT_ONCE.saturating_sub(tasks.len());
        if room == 0 {
            // The end of one of them wakes the worker.
            return Ok(None);
        }
        let (claimed, next) = self.orders.claim_due(room).await?;
        for claimed in claimed {
            tasks.spawn(deliver(self.orders.clone(), self.sms.clone(), claimed));
        }
        Ok(next)
    }
}

async fn deliver(orders: OrderService, sms: Option<SmsSender>, claimed: Claimed) {
    let Claimed { record, delivery } = claimed;
    let tries = delivery.attempts;
    let attempt = match &sms {
        Some(sms) => match outcome(sms.send(&delivery)).await {
            Ok(provider_id) => Attempt::Sent { provider_id: Some(provider_id) },
            Err(error) => after_failure(&error, tries, orders.now()),
        },
        None => Attempt::Failed { reason: "no credentials for texts".to_owned() },
    };
    let kind = delivery.kind.as_str();
    let to = delivery.to.as_ref().map(PhoneNumber::masked).unwrap_or_default();
    let correlation = delivery.correlation_id.as_deref();
    let order = record.order.order_number.to_string();
    match &attempt {
        Attempt::Sent { provider_id } => tracing::info!(
            event = "delivery_sent",
            order.number = order,
            kind,
            tries,
            provider_id,
            correlation.id = correlation,
            "a text was sent to {to}"
        ),
        Attempt::Retry { reason, .. } => tracing::warn!(
            order.number = order,
            kind,
            tries,
            correlation.id = correlation,
            "a text to {to} could not be sent and is tried again: {reason}"
        ),
        Attempt::Failed { reason } => tracing::error!(
            event = "delivery_failed",
            order.number = order,
            kind,
            tries,
            correlation.id = correlation,
            "a text to {to} was given up: {reason}"
        ),
    }
    save(&orders, &record.order.order_id, delivery.id, attempt).await;
}

/// What became of a sending. One that panics has an unknown outcome and counts as a try, as any other: it is tried again
/// later and given up in the end, instead of being tried again at once for ever.
async fn outcome(sending: impl Future<Output = Result<String, SendError>>) -> Result<String, SendError> {
    let fault = || SendError::unknown("it may or may not have been sent: a fault of ours");
    AssertUnwindSafe(sending).catch_unwind().await.unwrap_or_else(|_| Err(fault()))
}

/// Saves the outcome, however long the disk is away: sending again because of it would be worse.
async fn save(orders: &OrderService, order: &OrderId, delivery: u32, attempt: Attempt) {
    loop {
        match orders.record_attempt(order, delivery, attempt.clone()).await {
            Err(OrderError::NotSaved(error)) => {
                tracing::error!("the outcome of a delivery could not be saved yet: {error}");
                tokio::time::sleep(SAVE_AGAIN).await;
            }
            Ok(()) | Err(_) => return,
        }
    }
}

fn after_failure(error: &SendError, tries: u32, now: Timestamp) -> Attempt {
    let asked = match error {
        SendError::Final { .. } => return Attempt::Failed { reason: error.to_string() },
        SendError::Retryable { after, .. } => after.unwrap_or_default(),
        SendError::Unknown { .. } => Duration::ZERO,
    };
    if tries >= MOST_TRIES {
        return Attempt::Failed { reason: format!("{error}; tried {tries} times") };
    }
    let wait = FIRST_WAIT * 4_u32.pow(tries.saturating_sub(1));
    let jitter = wait.mul_f64(rand::rng().random_range(0.0..0.5));
    let wait = (wait + jitter).max(asked).min(Duration::from_secs(3600));
    let at = now.checked_add(SignedDuration::try_from(wait).unwrap_or(SignedDuration::ZERO)).unwrap_or(now);
    Attempt::Retry { at, reason: error.to_string() }
}

fn until(at: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(now)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::twilio::rest::RestError;

    fn now() -> Timestamp {
        Timestamp::from_second(1_704_067_200).expect("a valid instant")
    }

    fn wait_after(tries: u32, error: &SendError) -> Option<Duration> {
        match after_failure(error, tries, now()) {
            Attempt::Retry { at, .. } => Some(until(at, now())),
            _ => None,
        }
    }

    #[test]
    fn waits_grow_and_end_after_five_tries() {
        let busy = SendError::busy(None, "busy");
        for (tries, least) in [(1, 2), (2, 8), (3, 32), (4, 128)] {
            let wait = wait_after(tries, &busy).expect("to be tried again").as_secs_f64();
            assert!((f64::from(least)..=f64::from(least) * 1.5).contains(&wait), "{tries}: {wait}");
        }
        assert_eq!(wait_after(5, &busy), None);
    }

    #[tokio::test]
    async fn a_sending_that_panics_is_a_try_with_an_unknown_outcome() {
        let panicked = outcome(async { panic!("a fault of ours") }).await.expect_err("nothing was sent");
        assert!(matches!(panicked, SendError::Unknown { .. }), "{panicked:?}");
        assert!(wait_after(1, &panicked).is_some_and(|wait| wait >= FIRST_WAIT), "not at once");
        assert_eq!(wait_after(MOST_TRIES, &panicked), None, "not for ever");
    }

    #[test]
    fn a_final_refusal_is_never_tried_again_and_an_unknown_outcome_is() {
        assert_eq!(wait_after(1, &RestError::Final { code: Some(21610), status: 400 }.into()), None);
        assert!(wait_after(1, &RestError::Unknown(None).into()).is_some());
    }

    #[test]
    fn a_services_own_wish_is_respected_up_to_an_hour() {
        let asked = |seconds| {
            let after = Some(Duration::from_secs(seconds));
            SendError::from(RestError::Retryable { after, status: Some(429) })
        };
        assert_eq!(wait_after(1, &asked(30)), Some(Duration::from_secs(30)));
        assert_eq!(wait_after(1, &asked(1 << 40)), Some(Duration::from_secs(3600)));
    }
}
