//! The live feeds: server-sent events for the TV and, with customers' data, for the console; and what is said in a call,
//! for staff who read along.

use super::client::ClientAddress;
use super::error::WebError;
use super::places::{FeedPlace, FeedPlaces};
use super::staff::{StaffDoor, Stay};
use crate::call::{Line, LiveCalls, Reader};
use crate::events::{Audience, Delivery, EventId, EventLog, Subscription};
use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::{Stream, StreamExt as _, stream};
use serde_json::json;
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
    calls: LiveCalls,
    places: FeedPlaces,
    /// A feed never ends by itself; a server that stops must end it, and one that drains must not: its last calls still
    /// make orders. A browser comes back by itself, after [`RETRY`].
    shutdown: CancellationToken,
}

/// `/orders/events` for anyone, or by the TV's link where there is one, and, behind the door, `/barista/events` and
/// `/barista/calls/{call_sid}/events`.
pub fn router(
    events: EventLog,
    calls: LiveCalls,
    places: FeedPlaces,
    door: &StaffDoor,
    shutdown: CancellationToken,
) -> Router {
    let feeds = Feeds { events, calls, places, shutdown };
    let public = Router::new().route("/orders/events", get(public)).with_state(feeds.clone());
    let behind =
        Router::new().route("/barista/events", get(staff)).route("/barista/calls/{call_sid}/events", get(said));
    door.guard_tv(public).merge(door.guard(behind.with_state(feeds)))
}

async fn public(
    State(feeds): State<Feeds>,
    stay: Stay,
    client: ClientAddress,
    headers: HeaderMap,
) -> Result<Response, WebError> {
    let place = feeds.places.enter(Audience::Public, client)?;
    Ok(feed(feeds, Audience::Public, &stay, place, &headers))
}

async fn staff(
    State(feeds): State<Feeds>,
    stay: Stay,
    client: ClientAddress,
    headers: HeaderMap,
) -> Result<Response, WebError> {
    let place = feeds.places.enter(Audience::Staff, client)?;
    Ok(feed(feeds, Audience::Staff, &stay, place, &headers))
}

/// What is said in a call: its last lines first, then as it is said, until the call ends.
async fn said(
    State(feeds): State<Feeds>,
    stay: Stay,
    client: ClientAddress,
    call_sid: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response, WebError> {
    let seen = last_event_id(&headers).and_then(|id| id.parse().ok()).unwrap_or(0);
    let reader = call_sid.ok().and_then(|Path(call_sid)| feeds.calls.read_along(&call_sid, seen));
    let reader = reader.ok_or_else(|| WebError::not_found("there is no such call that can be read along"))?;
    let place = feeds.places.enter(Audience::Staff, client)?;
    let next = async |reader: Option<Reader>| {
        let mut reader = reader?;
        match reader.next().await {
            Some(line) => Some((spoken(&line), Some(reader))),
            None => Some((Event::default().data(r#"{"type":"call_ended"}"#), None)),
        }
    };
    Ok(open(feeds, &stay, place, stream::unfold(Some(reader), next)))
}

fn feed(feeds: Feeds, audience: Audience, stay: &Stay, place: FeedPlace, headers: &HeaderMap) -> Response {
    // An id that is not ours means events that we do not know: start afresh.
    let last_seen = last_event_id(headers).map(|text| text.parse().unwrap_or(EventId::UNKNOWN));
    let subscription = feeds.events.subscribe(audience, last_seen);
    let next = async |mut subscription: Subscription| {
        let delivery = subscription.next().await;
        Some((render(&delivery), subscription))
    };
    open(feeds, stay, place, stream::unfold(subscription, next))
}

fn last_event_id(headers: &HeaderMap) -> Option<&str> {
    headers.get("last-event-id").and_then(|value| value.to_str().ok())
}

/// A feed of these events.
fn open(feeds: Feeds, stay: &Stay, place: FeedPlace, events: impl Stream<Item = Event> + Send + 'static) -> Response {
    let opening = stream::iter([Event::default().retry(RETRY), Event::default().comment("connected")]);
    let shutdown = feeds.shutdown;
    // Who is signed out reads no more.
    let events = opening.chain(with_pings(events)).take_until(shutdown.cancelled_owned()).take_until(stay.ended());
    let headers = [(HeaderName::from_static("x-accel-buffering"), "no")];
    // The place is the stream's, and free when that is dropped.
    let events = events.map(move |event| {
        let _held = &place;
        Ok::<_, Infallible>(event)
    });
    (headers, Sse::new(events)).into_response()
}

/// What comes, and between that a ping for every [`PING`], however much comes.
fn with_pings(events: impl Stream<Item = Event> + Send + 'static) -> impl Stream<Item = Event> {
    let next_ping = Instant::now() + PING;
    stream::unfold((events.boxed(), next_ping), |(mut events, next_ping)| async move {
        tokio::select! {
            biased;
            event = events.next() => event.map(|event| (event, (events, next_ping))),
            () = tokio::time::sleep_until(next_ping) => {
                let ping = Event::default().comment("ping").data(r#"{"type":"ping"}"#);
                Some((ping, (events, Instant::now() + PING)))
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

fn spoken(line: &Line) -> Event {
    let json = json!({"type": "said", "who": line.who.as_str(), "text": line.text, "at": line.at});
    Event::default().id(line.n.to_string()).data(json.to_string())
}
