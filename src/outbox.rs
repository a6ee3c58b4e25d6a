//! Sends what is owed because of orders: one set of workers a process, never on a call's path.
//!
//! Each lane – texts, the spreadsheet, the webhook, the point of sale – has a worker and a bound of its own, so that a slow service holds up
//! nobody but itself. What is owed lives with the orders, so nothing is lost with this process; what became of an attempt
//! is recorded through the order service. A delivery is made at least once or shown as failed.

mod error;
mod http;
mod order_row;
mod sheets;
mod sms;
mod tickets;
pub mod webhook;
mod worker;

pub use error::{SendError, SenderError};
pub use sheets::{BadCredentials, Credentials, Row, SheetsSender};
pub use sms::SmsSender;
pub use webhook::WebhookSender;

use crate::order_service::{Attempt, CLAIM, Claimed, Delivery, Lane, MOST_REFUSALS, OrderService};
use crate::ordering::menu::Menu;
use crate::ordering::order::{Order, OrderId};
use crate::ordering::phone_number::PhoneNumber;
use crate::pos::PointOfSale;
use futures_util::FutureExt as _;
use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use rand::RngExt as _;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use worker::Worker;

/// Tries before a delivery is given up.
const MOST_TRIES: u32 = 5;
/// How long one attempt may take, all its requests together.
const ATTEMPT_LIMIT: Duration = Duration::from_secs(45);
// When its claim has ended it is another's; until then there must be time left to save the outcome.
const _: () = assert!(ATTEMPT_LIMIT.as_secs() + 10 < CLAIM.as_secs().unsigned_abs());
/// However long a service asks to be left alone, it is asked again after this.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// Who sends what. Without a sender, what is still owed from earlier is shown as failed.
#[derive(Clone, Default)]
pub struct Senders {
    /// Texts.
    pub sms: Option<SmsSender>,
    /// Rows.
    pub sheets: Option<SheetsSender>,
    /// Notices.
    pub webhook: Option<WebhookSender>,
    /// Tickets.
    pub pos: Option<Arc<dyn PointOfSale>>,
}

/// How patient the workers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// The wait after the first try; four times as long after each further one, and up to half as long again by chance.
    /// Tickets wait for the first refusal's time exactly, and twice as long after each further one.
    pub first_wait: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { first_wait: Duration::from_secs(2) }
    }
}

/// The workers, not yet working.
pub struct Outbox {
    orders: OrderService,
    senders: Senders,
    menu: Arc<Menu>,
    pace: Pace,
    counter: Counter,
}

/// Takes the kind of a delivery that was tried, and what came of it: `sent`, or `retried` if it is tried again. That one
/// is given up is an event.
pub type Counter = Arc<dyn Fn(&'static str, &'static str) + Send + Sync>;

impl Outbox {
    /// Workers for these orders; the menu puts an order's lines into words.
    pub fn new(orders: OrderService, senders: Senders, menu: Arc<Menu>) -> Self {
        Self { orders, senders, menu, pace: Pace::default(), counter: Arc::new(|_, _| {}) }
    }

    /// Tells `counter` of every attempt.
    pub fn counted(self, counter: Counter) -> Self {
        Self { counter, ..self }
    }

    /// At another pace than the usual one.
    pub fn paced(self, pace: Pace) -> Self {
        Self { pace, ..self }
    }

    /// Works until the server stops.
    pub async fn run(self, shutdown: CancellationToken) {
        if let Err(error) = self.orders.release_claims().await {
            tracing::warn!("deliveries that were under way when the last server ended have to wait: {error}");
        }
        let outbox = Arc::new(self);
        join_all(Lane::ALL.map(|lane| Worker::new(Arc::clone(&outbox), lane).run(&shutdown))).await;
    }

    /// What became of it; none: its order was deleted, and all that it owed went with it.
    async fn deliver(&self, claimed: &Claimed) -> Option<Attempt> {
        let Claimed { record, delivery } = claimed;
        let order = &record.order;
        let attempt = if delivery.kind.lane() == Lane::Pos {
            match self.put(claimed).await {
                Some(attempt) => attempt,
                None => {
                    return Some(Attempt::Failed { reason: "it was decided on without the point of sale".to_owned() });
                }
            }
        } else if delivery.attempts > MOST_TRIES {
            // Whoever tried it did not live to tell: perhaps because of it.
            Attempt::Failed { reason: format!("tried {MOST_TRIES} times, the last time with an unknown outcome") }
        } else {
            match outcome(self.send(&order.order_id, delivery), ATTEMPT_LIMIT).await {
                Ok(Made::Sent(provider_id)) => Attempt::Sent { provider_id },
                Ok(Made::OrderIsGone) => return None,
                Err(error) => after_failure(&error, delivery.attempts, self.pace, self.orders.now()),
            }
        };
        tell(order, delivery, &attempt);
        match attempt {
            Attempt::Sent { .. } => (self.counter)(delivery.kind.as_str(), "sent"),
            Attempt::Refused { .. } if is_last(delivery) => {}
            Attempt::Refused { .. } | Attempt::Retry { .. } => (self.counter)(delivery.kind.as_str(), "retried"),
            Attempt::Needless { .. } | Attempt::Failed { .. } => {}
        }
        Some(attempt)
    }

    async fn send(&self, order: &OrderId, delivery: &Delivery) -> Result<Made, SendError> {
        let Senders { sms, sheets, webhook, pos: _ } = &self.senders;
        let missing = || SendError::refused("nothing is configured to send it with");
        match delivery.kind.lane() {
            Lane::Texts => {
                let sms = sms.as_ref().ok_or_else(missing)?;
                sms.send(order, delivery).await.map(|sid| Made::Sent(Some(sid)))
            }
            Lane::Sheet => self.write_row(sheets.as_ref().ok_or_else(missing)?, order).await,
            Lane::Webhook => {
                let webhook = webhook.as_ref().ok_or_else(missing)?;
                let name = format!("{order}:{}", delivery.id);
                webhook.send(&name, &delivery.body).await.map(|()| Made::Sent(None))
            }
            Lane::Pos => Err(SendError::refused("a ticket is put, not sent")),
        }
    }

    /// Writes the order as it is now, whatever it was when the row came to be owed: nothing older is written after it.
    async fn write_row(&self, sheets: &SheetsSender, order: &OrderId) -> Result<Made, SendError> {
        let record = self.orders.record(order).await.map_err(|error| {
            tracing::warn!(order.id = %order, "an order could not be read for its row: {error}");
            SendError::busy(None, "the order could not be read")
        })?;
        let Some(record) = record else { return Ok(Made::OrderIsGone) };
        let row = order_row::row(&record.order, &self.menu);
        if record.erased_at.is_some() {
            // Staff may have copied it to other rows.
            sheets.erase(&row).await?;
        }
        sheets.put(&row).await.map(|()| Made::Sent(None))
    }
}

/// What became of a sending that did not fail.
enum Made {
    /// It was taken, under this name where it got one.
    Sent(Option<String>),
    /// The order was deleted meanwhile: there is nothing to deliver any more.
    OrderIsGone,
}

/// What became of a sending. One that panics or takes too long has an unknown outcome and counts as a try, as any other:
/// it is tried again later and given up in the end, instead of being tried again at once for ever.
async fn outcome<T>(sending: impl Future<Output = Result<T, SendError>>, limit: Duration) -> Result<T, SendError> {
    let unknown = |why| SendError::unknown(format!("it may or may not have been sent: {why}"));
    match tokio::time::timeout(limit, AssertUnwindSafe(sending).catch_unwind()).await {
        Ok(Ok(sent)) => sent,
        Ok(Err(_)) => Err(unknown("a fault of ours")),
        Err(_) => Err(unknown("it took too long")),
    }
}

fn tell(order: &Order, delivery: &Delivery, attempt: &Attempt) {
    let number = order.order_number.to_string();
    let (kind, tries, correlation) = (delivery.kind.as_str(), delivery.attempts, delivery.correlation_id.as_deref());
    let what = match delivery.kind.lane() {
        Lane::Texts => {
            format!("the text to {}", delivery.to.as_ref().map(PhoneNumber::masked).unwrap_or_default())
        }
        Lane::Sheet => format!("the row of order {number}"),
        Lane::Webhook => format!("the notice of order {number}"),
        Lane::Pos => format!("the ticket of order {number}"),
    };
    match attempt {
        Attempt::Sent { provider_id } => tracing::info!(
            event = "delivery_sent",
            order.number = number,
            kind,
            tries,
            provider_id,
            correlation.id = correlation,
            "{what} was sent"
        ),
        Attempt::Retry { reason, .. } => tracing::warn!(
            order.number = number,
            kind,
            tries,
            correlation.id = correlation,
            "{what} could not be sent and is tried again: {reason}"
        ),
        Attempt::Refused { reason, .. } if !is_last(delivery) => tracing::warn!(
            order.number = number,
            kind,
            tries,
            correlation.id = correlation,
            "{what} was refused and is tried again: {reason}"
        ),
        Attempt::Needless { reason } => {
            tracing::info!(order.number = number, kind, correlation.id = correlation, "{what} is not needed: {reason}")
        }
        Attempt::Refused { reason, .. } | Attempt::Failed { reason } => tracing::error!(
            event = "delivery_failed",
            order.number = number,
            kind,
            tries,
            correlation.id = correlation,
            "{what} was given up: {reason}"
        ),
    }
}

/// Whether a refusal now is the last.
const fn is_last(ticket: &Delivery) -> bool {
    ticket.refusals + 1 >= MOST_REFUSALS
}

fn after_failure(error: &SendError, tries: u32, pace: Pace, now: Timestamp) -> Attempt {
    let asked = match error {
        SendError::Final { .. } => return Attempt::Failed { reason: error.to_string() },
        SendError::Retryable { after, .. } => after.unwrap_or_default(),
        SendError::Unknown { .. } => Duration::ZERO,
    };
    if tries >= MOST_TRIES {
        return Attempt::Failed { reason: format!("{error}; tried {tries} times") };
    }
    let wait = pace.first_wait * 4_u32.pow(tries.saturating_sub(1));
    let jitter = wait.mul_f64(rand::rng().random_range(0.0..0.5));
    let wait = (wait + jitter).max(asked).min(LONGEST_WAIT);
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
        match after_failure(error, tries, Pace::default(), now()) {
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
        let panicked =
            outcome::<()>(async { panic!("a fault of ours") }, ATTEMPT_LIMIT).await.expect_err("nothing was sent");
        assert!(matches!(panicked, SendError::Unknown { .. }), "{panicked:?}");
        assert!(wait_after(1, &panicked).is_some_and(|wait| wait >= Pace::default().first_wait), "not at once");
        assert_eq!(wait_after(MOST_TRIES, &panicked), None, "not for ever");
    }

    #[tokio::test]
    async fn a_sending_that_never_ends_is_a_try_with_an_unknown_outcome() {
        let late = outcome::<()>(std::future::pending(), Duration::ZERO).await.expect_err("it never ends");
        assert!(matches!(late, SendError::Unknown { .. }), "{late:?}");
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
