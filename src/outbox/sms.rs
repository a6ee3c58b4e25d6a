//! Texts through Twilio.

use super::error::SendError;
use crate::order_service::Delivery;
use crate::ordering::order::OrderId;
use crate::twilio::rest::{RestClient, Text};
use std::sync::Arc;

/// Sends texts from one number. Cheap to clone.
#[derive(Clone)]
pub struct SmsSender(Arc<Inner>);

struct Inner {
    rest: RestClient,
    from: String,
    status_callback: Option<String>,
}

impl SmsSender {
    /// `status_callback` is where Twilio reports what became of a text: an absolute URL it can reach, without a query. The
    /// order and the delivery are added to it as `order` and `delivery`, and Twilio signs them with the rest.
    pub fn new(rest: RestClient, from: String, status_callback: Option<String>) -> Self {
        Self(Arc::new(Inner { rest, from, status_callback }))
    }

    /// Hands one text over and returns Twilio's id for it.
    pub(super) async fn send(&self, order: &OrderId, delivery: &Delivery) -> Result<String, SendError> {
        let Inner { rest, from, status_callback } = &*self.0;
        let Some(to) = &delivery.to else { return Err(SendError::refused("there is no number to send it to")) };
        // An order id needs no escaping: it is letters, digits, `_` and `-`.
        let callback = status_callback.as_ref().map(|url| format!("{url}?order={order}&delivery={}", delivery.id));
        let text = Text { from, to: to.as_e164(), body: &delivery.body, status_callback: callback.as_deref() };
        Ok(rest.send_text(&text).await?)
    }
}
