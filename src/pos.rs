//! Points of sale that an order may have to pass before it is taken: one question each – take this order – and one look
//! back – what became of it.
//!
//! Whoever implements [`PointOfSale`] knows one till's language and nothing of orders' lives. When an order is put to it, how
//! often, and what follows is the outbox's and the order service's.

mod http;
mod simulated;
mod square;
mod words;

pub use http::HttpPos;
pub use simulated::SimulatedPos;
pub use square::SquarePos;

use crate::config::PosConfig;
use crate::ordering::money::Money;
use crate::ordering::order::{Item, OrderId, OrderNumber};
use async_trait::async_trait;
use jiff::Timestamp;
use reqwest::ClientBuilder;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What a point of sale is told of an order: all it needs, and nobody's phone number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ticket {
    /// `{order id}:{version}`: the same key is the same ticket, however often it is sent.
    pub key: String,
    /// The order.
    pub order_id: OrderId,
    /// What the customer calls it by.
    pub order_number: OrderNumber,
    /// The order's version that the lines are of.
    pub version: u64,
    /// Whether the lines come on top of what an earlier ticket of this order had.
    pub is_addition: bool,
    /// `phone`, `web` or `api`.
    pub channel: String,
    /// Whom to call out.
    pub name: Option<String>,
    /// The table, where it is at one.
    pub table: Option<String>,
    /// For the whole order.
    pub notes: Option<String>,
    /// When it shall be fetched.
    pub pickup_at: Option<Timestamp>,
    /// The lines.
    pub items: Vec<Item>,
    /// What the lines cost.
    pub total: Money,
    /// ISO 4217.
    pub currency: String,
    /// Since when it is to be put to a point of sale: none can have had it before. Ours alone, it is told to nobody; none:
    /// it is not known.
    #[serde(skip)]
    pub owed_at: Option<Timestamp>,
}

/// The point of sale has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Its own name for it, where it gave one.
    pub reference: Option<String>,
}

/// Why a point of sale did not take a ticket, or did not say.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PosError {
    /// It does not have the ticket, and said why: a sentence for people.
    #[error("{0}")]
    Refused(String),
    /// Nobody knows whether it has the ticket, or it cannot be asked at the moment.
    #[error("{0}")]
    Unclear(String),
}

/// A point of sale.
#[async_trait]
pub trait PointOfSale: Send + Sync + 'static {
    /// Puts a ticket to it. Safe to repeat with the same key.
    ///
    /// # Errors
    /// [`PosError::Refused`] only when it certainly does not have it.
    async fn place(&self, ticket: &Ticket) -> Result<Accepted, PosError>;

    /// What became of a ticket; none: it has none of this key, so that it may be placed again.
    ///
    /// # Errors
    /// As [`PointOfSale::place`].
    async fn find(&self, ticket: &Ticket) -> Result<Option<Accepted>, PosError>;
}

/// Why a point of sale cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The address is left out: it may hold a password, or be a secret as a whole.
    #[error("the address is not an http or https one")]
    Address,
    /// No HTTP client could be made.
    #[error("no HTTP client could be made: {0}")]
    Http(#[from] reqwest::Error),
}

/// The point of sale that is configured, if one is; `now` tells the time that requests are signed with. Of `http` a client
/// of its own is made, which follows no redirects. Nothing is sent yet.
///
/// # Errors
/// [`ConnectError`].
pub fn connect(
    config: &PosConfig,
    http: ClientBuilder,
    now: impl Fn() -> Timestamp + Send + Sync + 'static,
) -> Result<Option<Arc<dyn PointOfSale>>, ConnectError> {
    Ok(match config {
        PosConfig::None => None,
        PosConfig::Simulated(config) => Some(Arc::new(SimulatedPos::new(config))),
        PosConfig::Http(config) => Some(Arc::new(HttpPos::new(http, config, now)?)),
        PosConfig::Square(config) => Some(Arc::new(SquarePos::new(http, config, now)?)),
    })
}

fn unclear(reason: impl Into<String>) -> PosError {
    PosError::Unclear(reason.into())
}

/// What it means that a request got no answer: one that was never sent says nothing of those before it. The error's own
/// words are left out, as they may hold the address, which may be a secret.
fn no_answer(service: &str, error: &reqwest::Error) -> PosError {
    let what = if error.is_connect() {
        "cannot be reached"
    } else if error.is_timeout() {
        "did not answer in time"
    } else {
        "broke off before it had answered"
    };
    unclear(format!("{service} {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{HttpPosConfig, SimulatedPosConfig};
    use crate::ordering::order::Choice;
    use secrecy::SecretString;
    use std::time::Duration;

    /// A ticket for two taro milk teas.
    pub(super) fn ticket(key: &str) -> Ticket {
        let one = |option: &str| Choice::One(option.to_owned());
        let items = vec![Item {
            fields: vec![
                ("flavor".to_owned(), one("taro milk tea")),
                ("toppings".to_owned(), Choice::Many(vec!["boba".to_owned(), "egg pudding".to_owned()])),
                ("ice".to_owned(), one("less ice")),
                ("addons".to_owned(), Choice::Many(Vec::new())),
            ],
            quantity: 2,
            price: Money::from_cents(705),
            note: Some("no lid".to_owned()),
        }];
        Ticket {
            key: key.to_owned(),
            order_id: "ORD-main-42".parse().unwrap(),
            order_number: "4782".parse().unwrap(),
            version: 1,
            is_addition: false,
            channel: "phone".to_owned(),
            name: Some("Ana".to_owned()),
            table: None,
            notes: None,
            pickup_at: None,
            total: crate::ordering::order::total(&items),
            items,
            currency: "USD".to_owned(),
            owed_at: None,
        }
    }

    fn connected(config: &PosConfig) -> Result<bool, ConnectError> {
        // Another test may have installed it already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        connect(config, reqwest::Client::builder().no_proxy(), || Timestamp::UNIX_EPOCH).map(|pos| pos.is_some())
    }

    #[test]
    fn what_is_configured_is_connected() {
        let simulated = SimulatedPosConfig { delay: Duration::ZERO, failure_percent: 0 };
        let http = |url: &str| HttpPosConfig { url: url.to_owned(), secret: SecretString::from("sesame") };
        assert!(!connected(&PosConfig::None).unwrap());
        assert!(connected(&PosConfig::Simulated(simulated)).unwrap());
        assert!(connected(&PosConfig::Http(http("https://till.example.com/tickets"))).unwrap());
        let error = connected(&PosConfig::Http(http("ftp://hidden@till.example.com/"))).unwrap_err();
        assert!(!error.to_string().contains("hidden"), "{error}");
    }

    #[test]
    fn a_ticket_is_read_as_it_was_written() {
        let ticket = ticket("ORD-main-42:1");
        let json = serde_json::to_string(&ticket).unwrap();
        assert_eq!(serde_json::from_str::<Ticket>(&json).unwrap(), ticket);
        insta::assert_snapshot!(json, @r#"{"key":"ORD-main-42:1","order_id":"ORD-main-42","order_number":"4782","version":1,"is_addition":false,"channel":"phone","name":"Ana","table":null,"notes":null,"pickup_at":null,"items":[{"flavor":"taro milk tea","toppings":["boba","egg pudding"],"ice":"less ice","addons":[],"quantity":2,"price":7.05,"subtotal":14.1,"note":"no lid"}],"total":14.1,"currency":"USD"}"#);
    }
}
