//! Whether the server is alive, and whether it could take a call now. Public, so nothing of paths, hosts or customers.
//!
//! Whoever asks, and however often: the store is tried by one at a time and its answer holds for a moment.

use super::error::{ErrorCode, WebError};
use crate::call::LiveCalls;
use crate::order_service::OrderService;
use crate::shop::{Shop, ShopState};
use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long the store's answer holds.
const FRESH: Duration = Duration::from_secs(1);
/// A store that takes longer cannot be called able to take orders.
const PATIENCE: Duration = Duration::from_secs(2);

/// What has to be well. Cheap to clone.
#[derive(Clone)]
pub struct Health(Arc<Inner>);

struct Inner {
    orders: OrderService,
    shop: Shop,
    live: LiveCalls,
    max_calls: usize,
    draining: CancellationToken,
    latest: Mutex<Option<(Instant, Probe)>>,
    /// A store that hangs is not asked again before it has answered.
    one: Arc<Semaphore>,
}

/// Whether an order could be saved.
type Probe = Shared<BoxFuture<'static, bool>>;

impl Health {
    /// The health of a server that takes `max_calls` at once, and none any more when it is `draining`.
    pub fn new(
        orders: OrderService,
        shop: Shop,
        live: LiveCalls,
        max_calls: usize,
        draining: CancellationToken,
    ) -> Self {
        let (latest, one) = (Mutex::new(None), Arc::new(Semaphore::new(1)));
        Self(Arc::new(Inner { orders, shop, live, max_calls, draining, latest, one }))
    }

    /// `/healthz` and `/readyz`.
    pub fn router(self) -> Router {
        Router::new().route("/healthz", get(async || "ok\n")).route("/readyz", get(ready)).with_state(self)
    }

    fn probe(&self) -> Probe {
        let mut latest = self.0.latest.lock().unwrap_or_else(PoisonError::into_inner);
        match &*latest {
            Some((at, probe)) if at.elapsed() < FRESH => probe.clone(),
            _ => {
                let probe = could_save(self.0.orders.clone(), Arc::clone(&self.0.one)).boxed().shared();
                *latest = Some((Instant::now(), probe.clone()));
                probe
            }
        }
    }
}

async fn could_save(orders: OrderService, one: Arc<Semaphore>) -> bool {
    let Ok(turn) = one.try_acquire_owned() else {
        tracing::warn!("not ready: the orders' store has not answered yet");
        return false;
    };
    let check = tokio::spawn(async move {
        let _turn = turn;
        orders.check().await
    });
    match tokio::time::timeout(PATIENCE, check).await {
        Ok(Ok(Ok(()))) => return true,
        Ok(Ok(Err(error))) => tracing::warn!("not ready: {error}"),
        Ok(Err(error)) => tracing::error!("not ready: the store's check broke: {error}"),
        Err(_) => tracing::warn!("not ready: the orders' store does not answer"),
    }
    false
}

async fn ready(State(health): State<Health>) -> Result<Json<Value>, WebError> {
    let Inner { orders, shop, live, max_calls, draining, .. } = &*health.0;
    let not = |reason: &str, sentence| WebError::new(ErrorCode::Unavailable, sentence).with("reason", reason);
    if draining.is_cancelled() {
        return Err(not("draining", "this server takes no more calls: it is to stop"));
    }
    if live.count() >= *max_calls {
        return Err(not("busy", "every line is taken"));
    }
    if !health.probe().await {
        return Err(not("store", "no order could be saved at the moment"));
    }
    let now = orders.now();
    Ok(Json(json!({"ready": true, "ordering": ordering(shop, &shop.state(), now)})))
}

/// Whether orders are taken in that state: `open`, `paused` by staff, or `closed`.
pub(super) fn ordering(shop: &Shop, state: &ShopState, now: Timestamp) -> &'static str {
    match shop.ordering_closed_in(state, now) {
        None => "open",
        Some(_) if state.paused.is_some_and(|paused| paused.holds(now)) => "paused",
        Some(_) => "closed",
    }
}
