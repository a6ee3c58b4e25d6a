//! A till of the shop's own that speaks our protocol: a signed POST of each ticket, a signed GET of what became of it.
//!
//! `docs/point-of-sale.md` tells the till's side of it. Two rules keep an order from being made twice or lost: only a till
//! itself can refuse – its `400`, `409`, `422` and `404` say why in JSON, so that a proxy on the way which answers for it
//! counts for nothing – and whatever is not understood is unclear, to be looked up later. This file does not know when.

use super::words::{cut, sentence};
use super::{Accepted, ConnectError, PointOfSale, PosError, Ticket, no_answer, unclear};
use crate::config::HttpPosConfig;
use crate::http::{self, SIGNATURE_HEADER, TIMESTAMP_HEADER, read_bounded, signature};
use async_trait::async_trait;
use jiff::Timestamp;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, ClientBuilder, RequestBuilder, StatusCode, Url};
use secrecy::SecretString;
use serde::Deserialize;
use std::fmt;
use std::time::Duration;

/// The header that names the ticket.
const KEY_HEADER: &str = "idempotency-key";

/// How long the whole of a request may take: less than whoever asks waits for an attempt, so that the reason is ours.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(7);
/// More than any answer of a till needs, in bytes.
const MOST_BYTES: usize = 16 * 1024;
/// The longest reference that is kept, in characters.
const MOST_REFERENCE: usize = 100;

/// A till that speaks our protocol.
pub struct HttpPos {
    http: Client,
    url: Url,
    secret: SecretString,
    now: Box<dyn Fn() -> Timestamp + Send + Sync>,
}

impl HttpPos {
    /// A client of the till at `config.url`, whose requests are signed with the time that `now` tells. Of `http` a client
    /// of its own is made, which follows no redirects.
    ///
    /// # Errors
    /// [`ConnectError`] when the address is no http(s) one or no client can be made.
    pub fn new(
        http: ClientBuilder,
        config: &HttpPosConfig,
        now: impl Fn() -> Timestamp + Send + Sync + 'static,
    ) -> Result<Self, ConnectError> {
        let url = http::address(&config.url).ok_or(ConnectError::Address)?;
        let http = http::client(http.timeout(REQUEST_TIMEOUT))?;
        Ok(Self { http, url, secret: config.secret.clone(), now: Box::new(now) })
    }

    /// Sends a request that is signed as saying `text`, and reads the answer.
    async fn ask(&self, request: RequestBuilder, text: &str) -> Result<Answer, PosError> {
        let timestamp = (self.now)().as_second();
        let signed = request
            .header(TIMESTAMP_HEADER, timestamp)
            .header(SIGNATURE_HEADER, signature(&self.secret, timestamp, text));
        let response = signed.send().await.map_err(|error| no_answer("the till", &error))?;
        let status = response.status();
        let body = read_bounded(response, MOST_BYTES).await.map_err(|unread| unclear(format!("the till: {unread}")))?;
        Ok(Answer { status, body })
    }

    /// Where a ticket is looked up: its key is one more segment of the path.
    fn place_of(&self, key: &str) -> Url {
        let mut url = self.url.clone();
        // An http address always has a path that can grow.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push(key);
        }
        url
    }
}

#[async_trait]
impl PointOfSale for HttpPos {
    async fn place(&self, ticket: &Ticket) -> Result<Accepted, PosError> {
        let body = serde_json::to_string(ticket).expect("a ticket can always be written as JSON");
        let request = self.http.post(self.url.clone()).header(CONTENT_TYPE, "application/json");
        let request = request.header(KEY_HEADER, &ticket.key).body(body.clone());
        self.ask(request, &body).await?.decision()
    }

    async fn find(&self, ticket: &Ticket) -> Result<Option<Accepted>, PosError> {
        let request = self.http.get(self.place_of(&ticket.key)).header(KEY_HEADER, &ticket.key);
        // There is no body to sign, so the key stands in its place: the signature is good for this question only.
        let answer = self.ask(request, &ticket.key).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return match answer.error() {
                Some(_) => Ok(None),
                None => Err(unclear("what answered HTTP 404 at the till's address is not the till")),
            };
        }
        answer.decision().map(Some)
    }
}

impl fmt::Debug for HttpPos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpPos").finish_non_exhaustive()
    }
}

/// What came back.
struct Answer {
    status: StatusCode,
    body: Vec<u8>,
}

/// The body of an answer that accepts.
#[derive(Default, Deserialize)]
struct Taken {
    reference: Option<String>,
}

/// The body of an answer that refuses.
#[derive(Deserialize)]
struct Refusal {
    error: String,
}

impl Answer {
    fn decision(&self) -> Result<Accepted, PosError> {
        match self.status {
            StatusCode::OK | StatusCode::CREATED | StatusCode::NO_CONTENT => self.accepted(),
            StatusCode::ACCEPTED => Err(unclear("the till has not decided yet")),
            StatusCode::BAD_REQUEST | StatusCode::CONFLICT | StatusCode::UNPROCESSABLE_ENTITY => {
                Err(self.error().map_or_else(|| unclear(self.strange()), PosError::Refused))
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Err(unclear("the till does not believe our signature: POS_SECRET may not be the one that it has"))
            }
            status if status.is_redirection() => Err(unclear("the till has moved, and POS_URL with it")),
            _ => Err(unclear(self.strange())),
        }
    }

    fn accepted(&self) -> Result<Accepted, PosError> {
        let taken: Taken = if self.body.trim_ascii().is_empty() {
            Taken::default()
        } else {
            serde_json::from_slice(&self.body)
                .map_err(|_| unclear("the till accepted in words that are not agreed on"))?
        };
        Ok(Accepted { reference: taken.reference.and_then(|reference| cut(&reference, MOST_REFERENCE)) })
    }

    /// The till's own reason, if this is the till's own answer.
    fn error(&self) -> Option<String> {
        let refusal: Refusal = serde_json::from_slice(&self.body).ok()?;
        sentence(&refusal.error)
    }

    fn strange(&self) -> String {
        format!("the till answered HTTP {}", self.status.as_u16())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_looked_up_below_the_address_that_it_was_posted_to() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let place = |url: &str, key| {
            let config = HttpPosConfig { url: url.to_owned(), secret: SecretString::from("sesame") };
            let pos = HttpPos::new(Client::builder().no_proxy(), &config, || Timestamp::UNIX_EPOCH).unwrap();
            assert!(!format!("{pos:?}").contains("till.example"), "the address may be a secret");
            pos.place_of(key).to_string()
        };
        let key = "ORD-main-42:1";
        for (url, expected) in [
            ("https://till.example.com", "https://till.example.com/ORD-main-42:1"),
            ("https://till.example.com/pos/tickets", "https://till.example.com/pos/tickets/ORD-main-42:1"),
            ("https://till.example.com/tickets/", "https://till.example.com/tickets/ORD-main-42:1"),
            ("https://till.example.com/tickets?shop=7", "https://till.example.com/tickets/ORD-main-42:1?shop=7"),
        ] {
            assert_eq!(place(url, key), expected);
        }
        assert_eq!(place("https://till.example.com/a", "../b"), "https://till.example.com/a/..%2Fb");
    }
}
