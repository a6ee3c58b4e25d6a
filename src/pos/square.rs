//! Square: each ticket is an order of its own at one location, made with `CreateOrder` and looked up with `SearchOrders`.
//!
//! Square keeps one order an idempotency key, so that a ticket may be sent again; what it is sent must then be the same to
//! the letter, so nothing in it may depend on the moment (`order`). `SearchOrders` filters by neither idempotency key nor
//! `reference_id`: the latest orders of our own source are read, and the ticket's key is looked for in their metadata.
//! Nothing is paid here: Square holds an open order. This file does not know when a ticket is put to it.

mod answer;
mod order;

use super::{Accepted, ConnectError, PointOfSale, PosError, Ticket, no_answer, unclear};
use crate::config::SquareConfig;
use crate::http::{self, read_bounded};
use answer::{Created, FoundOrder, Page, refusal};
use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use order::create_order;
use reqwest::{Client, ClientBuilder};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The version of Square's API that this was written for; each answers in the shapes of its day.
const SQUARE_VERSION: &str = "2025-01-23";
/// The origin that our orders name, and that they are searched by.
const SOURCE: &str = "Bobarista";
/// How the service is called in reasons.
const SERVICE: &str = "Square";
/// How long placing or finding may take: less than whoever asks waits for an attempt, so that the reason is ours.
const PATIENCE: Duration = Duration::from_secs(7);
/// How far back is searched for a ticket of which it is not known since when it is owed.
const FOUND_FOR: SignedDuration = SignedDuration::from_hours(48);
/// So much earlier than the ticket was owed a search begins: clocks differ.
const CLOCKS_DIFFER: SignedDuration = SignedDuration::from_mins(5);
/// After an attempt to place it, so long a search that finds nothing says nothing: the order may still be on its way into
/// what is searched.
const SETTLES: SignedDuration = SignedDuration::from_secs(60);
/// Orders a page, and how many pages are read.
const PAGE: usize = 100;
const MOST_PAGES: usize = 5;
/// More than a page of large orders needs, in bytes.
const MOST_BYTES: usize = 4 * 1024 * 1024;

/// One location of a Square seller.
pub struct SquarePos {
    http: Client,
    api_base: String,
    access_token: SecretString,
    location_id: String,
    now: Box<dyn Fn() -> Timestamp + Send + Sync>,
    /// Tickets that it may have, by key: when they were last put to it, as far as this process knows, or first looked for.
    unclear: Mutex<HashMap<String, Timestamp>>,
}

impl SquarePos {
    /// A client of one location; `now` tells how far back is searched. Of `http` a client of its own is made, which follows
    /// no redirects.
    ///
    /// # Errors
    /// [`ConnectError`] when `config.api_base` is no http(s) address or no client can be made.
    pub fn new(
        http: ClientBuilder,
        config: &SquareConfig,
        now: impl Fn() -> Timestamp + Send + Sync + 'static,
    ) -> Result<Self, ConnectError> {
        http::address(&config.api_base).ok_or(ConnectError::Address)?;
        Ok(Self {
            http: http::client(http.timeout(PATIENCE))?,
            api_base: config.api_base.clone(),
            access_token: config.access_token.clone(),
            location_id: config.location_id.clone(),
            now: Box::new(now),
            unclear: Mutex::default(),
        })
    }

    /// Posts `body` and reads the answer; one that is no success is told as its status and its body.
    async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, Failure> {
        let sent = self
            .http
            .post(format!("{}{path}", self.api_base))
            .bearer_auth(self.access_token.expose_secret())
            .header("square-version", SQUARE_VERSION)
            .json(body)
            .send()
            .await;
        let response = sent.map_err(|error| Failure::Unclear(no_answer(SERVICE, &error)))?;
        let status = response.status();
        let read = read_bounded(response, MOST_BYTES).await;
        let body = read.map_err(|unread| Failure::Unclear(unclear(format!("{SERVICE}: {unread}"))))?;
        if !status.is_success() {
            return Err(Failure::Answered { status, body });
        }
        let parsed = serde_json::from_slice(&body);
        parsed.map_err(|_| Failure::Unclear(unclear(format!("{SERVICE} answered in words that are not its own"))))
    }

    fn unclear(&self) -> MutexGuard<'_, HashMap<String, Timestamp>> {
        self.unclear.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note_placing(&self, key: &str) {
        let now = (self.now)();
        let mut unclear = self.unclear();
        // Staff may have decided on some, and nobody asks for those any more.
        unclear.retain(|_, last| now.duration_since(*last) < FOUND_FOR);
        unclear.insert(key.to_owned(), now);
    }

    /// What is known of a ticket need not be remembered.
    fn note(&self, key: &str, answer: &Result<Accepted, PosError>) {
        if !matches!(answer, Err(PosError::Unclear(_))) {
            self.unclear().remove(key);
        }
    }

    async fn search(&self, ticket: &Ticket) -> Result<Option<FoundOrder>, PosError> {
        let since = match ticket.owed_at {
            Some(owed_at) => owed_at.saturating_sub(CLOCKS_DIFFER),
            None => (self.now)().saturating_sub(FOUND_FOR),
        };
        let since = since.unwrap_or(Timestamp::MIN);
        let mut cursor: Option<String> = None;
        for _ in 0..MOST_PAGES {
            let mut query = json!({
                "location_ids": [self.location_id],
                "query": {
                    "filter": {
                        "date_time_filter": {"created_at": {"start_at": since.to_string()}},
                        "source_filter": {"source_names": [SOURCE]},
                    },
                    "sort": {"sort_field": "CREATED_AT", "sort_order": "DESC"},
                },
                "limit": PAGE,
            });
            if let Some(cursor) = cursor {
                query["cursor"] = cursor.into();
            }
            // That a search is refused says nothing of the order.
            let page: Page = self.post("/v2/orders/search", &query).await.map_err(|failure| match failure {
                Failure::Unclear(error) => error,
                Failure::Answered { status, body } => unclear(refusal(status, &body).to_string()),
            })?;
            if let Some(order) = page.orders.into_iter().find(|order| order.is_of(&ticket.key)) {
                return Ok(Some(order));
            }
            cursor = page.cursor.filter(|cursor| !cursor.is_empty());
            if cursor.is_none() {
                return Ok(None);
            }
        }
        Err(unclear(format!("{SERVICE} has too many orders to look through")))
    }
}

/// Why there is nothing to read.
enum Failure {
    Unclear(PosError),
    Answered { status: reqwest::StatusCode, body: Vec<u8> },
}

#[async_trait]
impl PointOfSale for SquarePos {
    async fn place(&self, ticket: &Ticket) -> Result<Accepted, PosError> {
        let request = create_order(ticket, &self.location_id)?;
        // Noted beforehand: whoever asks may not wait for the answer.
        self.note_placing(&ticket.key);
        let created: Result<Created, _> = self.post("/v2/orders", &request).await;
        let answer = match created {
            Ok(created) => created.order.accepted(),
            Err(Failure::Unclear(error)) => Err(error),
            Err(Failure::Answered { status, body }) => Err(refusal(status, &body)),
        };
        self.note(&ticket.key, &answer);
        answer
    }

    async fn find(&self, ticket: &Ticket) -> Result<Option<Accepted>, PosError> {
        let asked_at = (self.now)();
        let searched = tokio::time::timeout(PATIENCE, self.search(ticket)).await;
        let found = searched.unwrap_or_else(|_| Err(unclear(format!("{SERVICE} did not answer in time"))))?;
        if let Some(order) = found {
            let answer = order.accepted();
            self.note(&ticket.key, &answer);
            return answer.map(Some);
        }
        let mut unclear_since = self.unclear();
        // What an earlier process put to it may have been put a moment ago.
        let last = *unclear_since.entry(ticket.key.clone()).or_insert(asked_at);
        if asked_at.duration_since(last) < SETTLES {
            return Err(unclear(format!("{SERVICE} does not show it yet")));
        }
        unclear_since.remove(&ticket.key);
        Ok(None)
    }
}

impl fmt::Debug for SquarePos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SquarePos").field("location_id", &self.location_id).finish_non_exhaustive()
    }
}
