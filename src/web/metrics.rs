//! `GET /metrics`: the figures of the server for Prometheus, and the counting of requests.
//!
//! Opened by the programs' key, or by asking a server that only its own machine reaches. What is counted elsewhere – calls
//! in progress, feeds, what is due – is looked up when somebody asks.

use super::error::WebError;
use super::places::FeedPlaces;
use super::staff::{StaffDoor, Visitor};
use crate::call::LiveCalls;
use crate::events::Audience;
use crate::metrics::{CONTENT_TYPE, Metrics, Present};
use crate::order_service::{Lane, OrderService};
use crate::table::Tables;
use crate::table::protocol::Kind;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use std::time::Duration;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Deliveries that are counted of a lane; more would say no more.
const MOST_DUE: usize = 1_000;
/// How long the store may take to say what is due. A scrape of ten seconds is given up.
const PATIENCE: Duration = Duration::from_secs(2);

/// What requests are for, as the metrics tell.
pub const ROUTES: [&str; 8] = ["voice", "stream", "feed", "api", "page", "file", "ops", "other"];

/// Where the figures are. Cheap to clone.
#[derive(Clone)]
pub struct Gauges {
    /// What is counted as it happens.
    pub metrics: Metrics,
    /// Knows what is due.
    pub orders: OrderService,
    /// The calls in progress.
    pub live: LiveCalls,
    /// The live feeds.
    pub feeds: FeedPlaces,
    /// Knows the guests who order together.
    pub tables: Tables,
    /// Who may look.
    pub door: StaffDoor,
}

/// `/metrics`.
pub fn router(gauges: Gauges) -> OpenApiRouter {
    OpenApiRouter::default().routes(routes!(scrape)).with_state(gauges)
}

/// Counts every request to these routes, whatever they are answered.
pub fn counted(routes: Router, metrics: Metrics) -> Router {
    routes.layer(from_fn_with_state(metrics, count))
}

/// Figures for Prometheus
///
/// Counters, gauges and histograms in base units. With the API key; a server that only its own machine reaches asks for
/// none.
#[utoipa::path(
    get,
    path = "/metrics",
    operation_id = "metrics",
    tag = "operations",
    security((), ("apiKey" = [])),
    responses((status = 200, description = "Prometheus' text format 0.0.4.", body = String, content_type = "text/plain")),
)]
async fn scrape(State(gauges): State<Gauges>, headers: HeaderMap) -> Result<Response, WebError> {
    let is_program = matches!(gauges.door.admits(&headers), Some((Visitor::Api, _)));
    if !is_program && !gauges.door.is_local() {
        return Err(WebError::unauthenticated());
    }
    let Gauges { metrics, orders, live, feeds, tables, .. } = &gauges;
    let [texts, sheet, webhook, pos] = Lane::ALL;
    let due = async |lane| (lane, due(orders, lane).await);
    let listed = tokio::time::timeout(PATIENCE, tables.list());
    let (texts, sheet, webhook, pos, listed) = tokio::join!(due(texts), due(sheet), due(webhook), due(pos), listed);
    let listed = listed.ok();
    let of_kind = |kind| Some(listed.as_ref()?.sessions().filter(|session| session.kind == kind).count());
    let kinds = [("table", Kind::Table), ("private", Kind::Private), ("ahead", Kind::Ahead)];
    let present = Present {
        calls: live.count(),
        feeds: vec![("public", feeds.open(Audience::Public)), ("staff", feeds.open(Audience::Staff))],
        table_sessions: kinds.map(|(name, kind)| (name, of_kind(kind))).to_vec(),
        table_screens: listed.as_ref().map(|listed| listed.sessions().map(|session| session.connected).sum()),
        due: [texts, sheet, webhook, pos].map(|(lane, due)| (lane.as_str(), due)).to_vec(),
    };
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], metrics.text(&present)).into_response())
}

/// None: the store does not say.
async fn due(orders: &OrderService, lane: Lane) -> Option<usize> {
    let owed = tokio::time::timeout(PATIENCE, orders.owed(lane, MOST_DUE)).await.ok()?;
    owed.map(|owed| owed.due.len()).ok()
}

async fn count(State(metrics): State<Metrics>, request: Request, next: Next) -> Response {
    let route = route(request.uri().path());
    let response = next.run(request).await;
    metrics.request(route, response.status().as_u16());
    response
}

/// One of [`ROUTES`].
fn route(path: &str) -> &'static str {
    let begins = |with: &str| path.strip_prefix(with).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    match path {
        "/healthz" | "/readyz" | "/metrics" => "ops",
        "/twilio" => "stream",
        "/favicon.ico" => "file",
        "/" | "/login" | "/logout" => "page",
        _ if begins("/voice") || begins("/sms") => "voice",
        _ if begins("/static") || begins("/photos") => "file",
        _ if path.ends_with("/events") || begins("/ws/tables") => "feed",
        _ if begins("/api") || path.ends_with(".json") => "api",
        _ if begins("/barista") || begins("/orders") || begins("/t") || path == "/menu" => "page",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_is_for_something_that_is_told() {
        for (path, expected) in [
            ("/voice", "voice"),
            ("/voice/after", "voice"),
            ("/sms/status", "voice"),
            ("/twilio", "stream"),
            ("/orders/events", "feed"),
            ("/barista/calls/CA1/events", "feed"),
            ("/api/v1/orders", "api"),
            ("/orders.json", "api"),
            ("/barista/console.json", "api"),
            ("/barista", "page"),
            ("/t/v925afk01myj2r1z8870pw9sh6", "page"),
            ("/menu", "page"),
            ("/ws/tables/s1", "feed"),
            ("/tables", "other"),
            ("/static/style.css", "file"),
            ("/photos/taro.jpg", "file"),
            ("/metrics", "ops"),
            ("/voices", "other"),
            ("/wp-login.php", "other"),
            ("", "other"),
        ] {
            assert_eq!(route(path), expected, "{path}");
            assert!(ROUTES.contains(&expected));
        }
    }
}
