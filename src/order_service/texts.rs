//! Which texts are owed, to whom, and in what words. Sending them is the outbox's.

use crate::ordering::order::Order;
use crate::ordering::phone_number::{PhoneNumber, Region};
use crate::store::{Delivery, DeliveryKind, DeliveryState, Record, View};
use jiff::{SignedDuration, Timestamp};

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

/// A text that a change owes.
pub(super) struct Owed {
    pub(super) kind: DeliveryKind,
    pub(super) to: PhoneNumber,
    pub(super) wait: SignedDuration,
    pub(super) correlation_id: Option<String>,
    /// See [`texts_last_hour`].
    pub(super) last_hour: usize,
}

impl TextPolicy {
    /// Puts the text beside the order: owed, or skipped for a reason. Under the store's lock, so the log is told later.
    pub(super) fn owe(&self, record: &mut Record, owed: Owed, now: Timestamp) {
        let body = self.body(owed.kind, &record.order);
        let skipped = self.reason_to_skip(&owed);
        record.deliveries.push(Delivery {
            id: record.deliveries.iter().map(|delivery| delivery.id).max().unwrap_or(0) + 1,
            kind: owed.kind,
            to: owed.to,
            body,
            state: if skipped.is_some() { DeliveryState::Skipped } else { DeliveryState::Owed },
            owed_at: now,
            not_before: now + owed.wait,
            attempts: 0,
            reason: skipped.map(str::to_owned),
            provider_id: None,
            correlation_id: owed.correlation_id,
        });
    }

    fn reason_to_skip(&self, owed: &Owed) -> Option<&'static str> {
        let country = owed.to.country();
        if !self.enabled {
            Some("no credentials for texts")
        } else if !country.is_some_and(|country| self.countries.contains(&country)) {
            Some("its country is not in SMS_COUNTRIES")
        } else if owed.last_hour >= MOST_AN_HOUR {
            Some("it had enough texts within an hour")
        } else {
            None
        }
    }

    fn body(&self, kind: DeliveryKind, order: &Order) -> String {
        let (shop, number) = (&self.shop_name, order.order_number);
        match kind {
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
            delivery.to.masked(),
            delivery.reason.as_deref().unwrap_or_default(),
            delivery.body,
        );
    }
}

/// Texts sent or owed to a number within the last hour.
pub(super) fn texts_last_hour(view: &View<'_>, to: &PhoneNumber, now: Timestamp) -> usize {
    let recent = |delivery: &&Delivery| {
        delivery.to == *to
            && delivery.state != DeliveryState::Skipped
            && now.duration_since(delivery.owed_at) < SignedDuration::from_hours(1)
    };
    view.by_phone(to).flat_map(|record| &record.deliveries).filter(recent).count()
}
