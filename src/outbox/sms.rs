//! Texts through Twilio.

use super::error::SendError;
use crate::order_service::Delivery;
use crate::ordering::phone_number::PhoneNumber;
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
    /// `status_callback` is where Twilio reports what became of a text: an absolute URL it can reach.
    pub fn new(rest: RestClient, from: String, status_callback: Option<String>) -> Self {
        Self(Arc::new(Inner { rest, from, status_callback }))
    }

    /// Hands one text over and returns Twilio's id for it.
    pub(super) async fn send(&self, delivery: &Delivery) -> Result<String, SendError> {
        let text = Text {
            from: &self.0.from,
            to: delivery.to.as_ref().map(PhoneNumber::as_e164).unwrap_or_default(),
            body: &delivery.body,
            status_callback: self.0.status_callback.as_deref(),
        };
        Ok(self.0.rest.send_text(&text).await?)
    }
}
