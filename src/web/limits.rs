//! How much one address may ask: requests, those under way at once, wrong keys, and what says it is Twilio's and is not.
//!
//! Files, photos, `/healthz` and `/readyz` have no limit, and requests that Twilio signed have no rate. Knows paths and answers,
//! not what they mean.

use super::client::{ClientAddress, Clients};
use super::error::{ErrorCode, WebError};
use super::places::Places;
use super::progress::holding;
use crate::call::{self, Room};
use crate::rates::{Meters, Rate};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A page with all that it fetches is no burst.
const BURST_SECONDS: u32 = 3;
/// Wrong keys at once, and the time for another.
const GUESSES: Rate = Rate { burst: 10, every: Duration::from_secs(6) };
/// Requests that are refused at Twilio's doors. A shop whose token is wrong still reads in Twilio's debugger why.
const REFUSED: Rate = Rate { burst: 60, every: Duration::from_secs(1) };
/// Addresses remembered at once, about 1 MiB.
const ADDRESSES: usize = 16_384;
/// Requests under way: a browser has six, a proxy's client not many more.
const UNDERWAY: usize = 128;
/// Media sockets that have not begun; Twilio's begin at once. `call` closes one that has not begun within 10 s.
const SOCKETS: (usize, usize) = (512, 64);

/// The limits of a server. Cheap to clone.
#[derive(Clone)]
pub struct Limits(Arc<Inner>);

struct Inner {
    clients: Clients,
    /// What the meters' time is measured from.
    started: Instant,
    requests: Meters<IpAddr>,
    guesses: Meters<IpAddr>,
    refused: Meters<IpAddr>,
    underway: Places,
    sockets: Places,
}

impl Limits {
    /// `rate` requests a second from one address.
    pub fn new(clients: Clients, rate: u32) -> Self {
        let requests = Rate { burst: rate.saturating_mul(BURST_SECONDS), every: Duration::from_secs(1) / rate.max(1) };
        Self(Arc::new(Inner {
            clients,
            started: Instant::now(),
            requests: Meters::new(requests, ADDRESSES),
            guesses: Meters::new(GUESSES, ADDRESSES),
            refused: Meters::new(REFUSED, ADDRESSES),
            // In all there are no more than connections.
            underway: Places::new(usize::MAX, UNDERWAY),
            sockets: Places::new(SOCKETS.0, SOCKETS.1),
        }))
    }
}

/// What a path is, as far as limits go. What is not known here has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Costs next to nothing, or must always answer.
    Free,
    /// Twilio's webhooks.
    Webhook,
    /// Twilio's media socket.
    Media,
    Other,
}

impl Kind {
    fn of(path: &str) -> Self {
        match path {
            "/" | "/favicon.ico" | "/healthz" | "/readyz" => Self::Free,
            "/twilio" => Self::Media,
            "/voice" | "/sms/status" => Self::Webhook,
            _ if path.starts_with("/static/") || path.starts_with("/photos/") => Self::Free,
            _ if path.starts_with("/voice/") => Self::Webhook,
            _ => Self::Other,
        }
    }
}

/// Refuses with 429 what is too much.
pub(super) async fn limit(
    State(limits): State<Limits>,
    client: ClientAddress,
    mut request: Request,
    next: Next,
) -> Response {
    let limits = &*limits.0;
    let kind = Kind::of(request.uri().path());
    let address = limits.clients.counted_as(client);
    if kind == Kind::Media {
        let place = limits.sockets.enter(address, 0).ok();
        request.extensions_mut().insert(Room::new(place));
    }
    let Some(address) = address.filter(|_| kind != Kind::Free) else { return next.run(request).await };
    let Ok(place) = limits.underway.enter(Some(address), 0) else {
        tracing::debug!(client = %address, "too many requests at once");
        let message = "too many requests of this address are under way; please wait for some of them";
        return WebError::new(ErrorCode::RateLimited, message).retry_after(1).into_response();
    };
    let result = match kind {
        Kind::Webhook | Kind::Media => limits.doors(kind, address, request, next).await,
        Kind::Free | Kind::Other => limits.desk(address, request, next).await,
    };
    // Feeds and media sockets have places of their own; those leave with their empty answer.
    let result = result.map(|answer| if is_feed(&answer) { answer } else { answer.map(holding(place)) });
    result.unwrap_or_else(|wait| {
        // Whole seconds, rounded up: who comes back then is let in.
        let seconds = u32::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u32::MAX);
        tracing::debug!(client = %address, "too many requests");
        let message = format!("too many requests come from this address; please wait {seconds} s");
        WebError::new(ErrorCode::RateLimited, message).retry_after(seconds).into_response()
    })
}

impl Inner {
    /// Staff, programs and strangers.
    async fn desk(&self, address: IpAddr, request: Request, next: Next) -> Result<Response, Duration> {
        let now = self.started.elapsed();
        self.requests.take(address, now)?;
        let shows_a_key = request.headers().contains_key(header::AUTHORIZATION);
        if shows_a_key {
            // Not even a right one is looked at any more, or guessing would go on.
            self.guesses.look(&address, now)?;
        }
        let response = next.run(request).await;
        if shows_a_key && response.status() == StatusCode::UNAUTHORIZED {
            // This one is answered; those after it will not be.
            let _ = self.guesses.take(address, now);
        }
        Ok(response)
    }

    /// Twilio, or who says so. Whatever is refused counts: what is not signed before its body is read, what claims to be
    /// after that, as nobody can tell earlier that it is not Twilio's.
    async fn doors(&self, kind: Kind, address: IpAddr, request: Request, next: Next) -> Result<Response, Duration> {
        let now = self.started.elapsed();
        if !call::claims_signature(request.headers()) {
            match kind {
                // Some proxies drop the signature of an upgrade; there the token in `start` decides.
                Kind::Media => self.requests.take(address, now)?,
                _ => self.refused.take(address, now)?,
            }
            return Ok(next.run(request).await);
        }
        let response = next.run(request).await;
        if response.status().is_client_error() {
            self.refused.take(address, now)?;
        }
        Ok(response)
    }
}

fn is_feed(answer: &Response) -> bool {
    answer.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_to_be_free_is_limited() {
        for path in ["/", "/static/style.css", "/photos/taro.jpg", "/favicon.ico", "/healthz", "/readyz"] {
            assert_eq!(Kind::of(path), Kind::Free, "{path}");
        }
        for path in ["/voice", "/voice/after", "/voice/status", "/sms/status"] {
            assert_eq!(Kind::of(path), Kind::Webhook, "{path}");
        }
        for path in [
            "/login",
            "/api/v1/orders",
            "/orders.json",
            "/orders/events",
            "/orders/board.json",
            "/barista",
            "/barista/events",
            "/metrics",
            "/static",
            "/photos",
            "//static/x",
            "/voices",
            "/healthz/",
            "",
        ] {
            assert_eq!(Kind::of(path), Kind::Other, "{path}");
        }
    }
}
