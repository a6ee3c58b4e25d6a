//! Which texts are owed, to whom, and in what words. Sending them is the outbox's.

use crate::ordering::order::Order;
use crate::ordering::phone_number::{PhoneNumber, Region};
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
            DeliveryKind::SheetRow | DeliveryKind::Webhook => String::new(),
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

/// Drops the texts unsent that a change owed which is taken back.
pub(super) fn take_back(record: &mut Record, owed_at: Timestamp) {
    let of_it = |delivery: &&mut Delivery| {
        delivery.kind.is_text()
            && delivery.owed_at == owed_at
            && delivery.state == DeliveryState::Owed
            && delivery.attempts == 0
    };
    for delivery in record.deliveries.iter_mut().filter(of_it) {
        delivery.state = DeliveryState::Skipped;
        delivery.reason = Some("the change was taken back".to_owned());
    }
}
