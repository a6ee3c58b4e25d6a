//! The live feeds: server-sent events for the TV and, with customers' data, for the console.

use super::staff::StaffDoor;
use crate::events::{Audience, Delivery, EventId, EventLog, Subscription};
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::{Stream, StreamExt as _, stream};
use std::convert::Infallible;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Each feed says so often that it lives, whatever else it says, so that a dashboard can tell quiet from dead.
const PING: Duration = Duration::from_secs(15);
/// How soon a browser comes back.
const RETRY: Duration = Duration::from_secs(2);

#[derive(Clone)]
struct Feeds {
    events: EventLog,
    /// A feed never ends by itself; a server that stops must end it.
    shutdown: CancellationToken,
}

/// `/orders/events` for anyone and, behind the door, `/barista/events`.
pub fn router(events: EventLog, door: &StaffDoor, shutdown: CancellationToken) -> Router {
    let feeds = Feeds { events, shutdown };
    let public = Router::new().route("/orders/events", get(public)).with_state(feeds.clone());
    public.merge(door.guard(Router::new().route("/barista/events", get(staff)).with_state(feeds)))
}

async fn public(State(feeds): State<Feeds>, headers: HeaderMap) -> Response {
    feed(feeds, Audience::Public, &headers)
}

async fn staff(State(feeds): State<Feeds>, headers: HeaderMap) -> Response {
    feed(feeds, Audience::Staff, &headers)
}

fn feed(feeds: Feeds, audience: Audience, headers: &HeaderMap) -> Response {
    // An id that is not ours means events that we do not know: start afresh.
    let last_seen = headers
        .get("last-event-id")
        .and_then(|value| value.to_str().ok())
        .map(|text| text.parse().unwrap_or(EventId::UNKNOWN));
    let subscription = feeds.events.subscribe(audience, last_seen);
    let opening = stream::iter([Event::default().retry(RETRY), Event::default().comment("connected")]);
    let shutdown = feeds.shutdown;
    let events = opening.chain(events(subscription)).take_until(shutdown.cancelled_owned());
    let headers = [(HeaderName::from_static("x-accel-buffering"), "no")];
    (headers, Sse::new(events.map(Ok::<_, Infallible>))).into_response()
}

/// What comes, and between that a ping for every [`PING`], however much comes.
fn events(subscription: Subscription) -> impl Stream<Item = Event> {
    let next_ping = Instant::now() + PING;
    stream::unfold((subscription, next_ping), |(mut subscription, next_ping)| async move {
        tokio::select! {
            biased;
            delivery = subscription.next() => Some((render(&delivery), (subscription, next_ping))),
            () = tokio::time::sleep_until(next_ping) => {
                let ping = Event::default().comment("ping").data(r#"{"type":"ping"}"#);
                Some((ping, (subscription, Instant::now() + PING)))
            }
        }
    })
}

fn render(delivery: &Delivery) -> Event {
    match delivery {
        Delivery::Event(id, json) => Event::default().id(id.to_string()).data(&**json),
        Delivery::Resync(id) => Event::default().id(id.to_string()).data(r#"{"type":"resync"}"#),
    }
}
