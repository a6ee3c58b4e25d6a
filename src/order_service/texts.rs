//! Which texts are owed, to whom, and in what words. Sending them is the outbox's.

use crate::ordering::order::Order;
use crate::ordering::phone_number::{PhoneNumber, Region};
use crate::ordering::status::OrderStatus;
use crate::store::{Delivery, DeliveryKind, DeliveryState, Record};
use jiff::Timestamp;

/// Texts that one number is sent within an hour, at most.
const MOST_AN_HOUR: usize = 6;

/// Who is texted at all.
#[derive(Clone, Debug)]
pub struct TextPolicy {
    /// Whether there are credentials to send with.
    pub enabled: bool,
    /// Only numbers of these countries are texted.
    pub countries: Vec<Region>,
    /// Whom the texts speak for.
    pub shop_name: String,
}

impl TextPolicy {
    pub(super) fn reason_to_skip(&self, to: &PhoneNumber, last_hour: usize) -> Option<&'static str> {
        if !self.enabled {
            Some("no credentials for texts")
        } else if !to.country().is_some_and(|country| self.countries.contains(&country)) {
            Some("its country is not in SMS_COUNTRIES")
        } else if last_hour >= MOST_AN_HOUR {
            Some("it had enough texts within an hour")
        } else {
            None
        }
    }

    pub(super) fn body(&self, kind: DeliveryKind, order: &Order) -> String {
        let (shop, number) = (&self.shop_name, order.order_number);
        match kind {
            DeliveryKind::SheetRow | DeliveryKind::Webhook | DeliveryKind::PosTicket => String::new(),
            DeliveryKind::TextReceived => {
                format!("{shop}: thanks for your order! Your number is {number}. We will text you when it is ready.")
            }
            DeliveryKind::TextReady => format!("{shop}: your order {number} is ready. See you at the counter!"),
            DeliveryKind::TextCancelled => {
                format!("{shop}: your order {number} was cancelled. Please call us if you did not expect this.")
            }
        }
    }
}

/// Tells the log which of these were skipped, once the order is saved.
pub(super) fn log_skipped<'a>(record: &Record, deliveries: impl IntoIterator<Item = &'a Delivery>) {
    for delivery in deliveries.into_iter().filter(|delivery| delivery.state == DeliveryState::Skipped) {
        tracing::info!(
            event = "delivery_skipped",
            order.number = %record.order.order_number,
            kind = delivery.kind.as_str(),
            "no text was sent to {} ({}); it would have said: {}",
            delivery.to.as_ref().map(PhoneNumber::masked).unwrap_or_default(),
            delivery.reason.as_deref().unwrap_or_default(),
            delivery.body,
        );
    }
}

/// The text that an order's move to a status owes.
pub(super) const fn told_by(status: OrderStatus) -> Option<DeliveryKind> {
    match status {
        OrderStatus::Received => Some(DeliveryKind::TextReceived),
        OrderStatus::Ready => Some(DeliveryKind::TextReady),
        OrderStatus::Cancelled => Some(DeliveryKind::TextCancelled),
        OrderStatus::Pending | OrderStatus::Preparing | OrderStatus::Completed => None,
    }
}

/// What became of a text, as people are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextState {
    /// Still to be sent.
    Owed,
    /// Taken by the carrier.
    Sent,
    /// Given up.
    Failed,
    /// Never to be sent: no credentials, a country that is not texted, too many an hour.
    Skipped,
    /// Taken back unsent, with the change that owed it.
    Dropped,
}

impl TextState {
    /// The name on screens.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Owed => "owed",
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Dropped => "dropped",
        }
    }
}

/// What became of the newest text that tells of the move to `status`; none: there is none.
pub fn text_state(record: &Record, status: OrderStatus) -> Option<TextState> {
    let kind = told_by(status)?;
    let text = record.deliveries.iter().rev().find(|delivery| delivery.kind == kind)?;
    Some(match text.state {
        DeliveryState::Owed => TextState::Owed,
        DeliveryState::Sent => TextState::Sent,
        DeliveryState::Failed => TextState::Failed,
        DeliveryState::Skipped if matches!(text.reason.as_deref(), Some(UNDONE | NOT_READY)) => TextState::Dropped,
        DeliveryState::Skipped => TextState::Skipped,
    })
}

/// Whether the customer was told of the move to `status` at `owed_at`, or is being told at this moment.
pub(super) fn is_gone(record: &Record, status: OrderStatus, owed_at: Timestamp) -> bool {
    let mut texts = record.deliveries.iter().filter(|delivery| is_of(delivery, status, owed_at));
    texts.any(|text| match text.state {
        DeliveryState::Sent => true,
        // Even if its worker is dead: nobody knows how far it had come.
        DeliveryState::Owed => text.claimed_until.is_some(),
        DeliveryState::Failed | DeliveryState::Skipped => false,
    })
}

/// Why the text of a move that staff has undone was not sent.
pub(super) const UNDONE: &str = "the change was taken back";
/// Why nobody was called to the counter.
pub(super) const NOT_READY: &str = "the order was not ready any more";

/// Drops the text unsent that the move to `status` at `owed_at` owed and that is not true any more: nobody tries it again.
pub(super) fn take_back(record: &mut Record, status: OrderStatus, owed_at: Timestamp, why: &str) {
    let unsent = |delivery: &&mut Delivery| {
        is_of(delivery, status, owed_at) && matches!(delivery.state, DeliveryState::Owed | DeliveryState::Failed)
    };
    for delivery in record.deliveries.iter_mut().filter(unsent) {
        delivery.state = DeliveryState::Skipped;
        delivery.reason = Some(why.to_owned());
    }
}

/// Owes the text again that was dropped when the order ceased to be ready, which was a slip: it is ready after all.
pub(super) fn owe_ready_again(record: &mut Record, now: Timestamp) {
    let latest = record.deliveries.iter_mut().rev().find(|delivery| delivery.kind == DeliveryKind::TextReady);
    if let Some(text) = latest.filter(|text| text.reason.as_deref() == Some(NOT_READY)) {
        text.state = DeliveryState::Owed;
        text.not_before = text.not_before.max(now);
        text.claimed_until = None;
        text.attempts = 0;
        text.reason = None;
    }
}

fn is_of(delivery: &Delivery, status: OrderStatus, owed_at: Timestamp) -> bool {
    Some(delivery.kind) == told_by(status) && delivery.owed_at == owed_at
}
