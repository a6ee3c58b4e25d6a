//! What the console loads and does beside the API's own changes: one look at everything it shows, marks on orders, and
//! switches for what is sold out.
//!
//! One look is one answer, so that a screen that was away is right again after a single request.

mod marking;

use super::api::body::JsonBody;
use super::asking::{Asking, Named};
use super::deliveries::{MOST_ORDERS, given_up};
use super::error::WebError;
use super::health::ordering;
use super::staff::{StaffDoor, Stay};
use crate::call::LiveCalls;
use crate::config::ScreensConfig;
use crate::order_service::{OrderService, Record, TicketState, marks, text_state, ticket_state, undo_until};
use crate::ordering::menu::{Field, Kind, MenuOption};
use crate::ordering::status::OrderStatus;
use crate::shop::{ShopKeeper, ShopState};
use crate::voicemail::Voicemails;
use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use marking::{MarkAsked, Switch};
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Orders of any status that the console shows.
const RECENT: usize = 50;
/// Messages of callers that it counts.
const MESSAGES: usize = 100;

/// All that the console shows. Cheap to clone.
#[derive(Clone)]
pub struct Console {
    /// The orders.
    pub orders: OrderService,
    /// The shop's own state.
    pub keeper: ShopKeeper,
    /// The calls in progress.
    pub live: LiveCalls,
    /// What callers have left on tape.
    pub voicemails: Voicemails,
    /// From when on an order is late, and the like.
    pub screens: ScreensConfig,
}

/// The console's routes, for staff and programs with the key.
pub fn router(console: Console, door: &StaffDoor) -> OpenApiRouter {
    let routes = OpenApiRouter::default().routes(routes!(snapshot)).routes(routes!(mark)).routes(routes!(sold_out));
    door.guard_described(routes.with_state(console))
}

/// Everything on the console
///
/// Open orders, the latest orders, what was given up, the shop, its menu, calls in progress, messages of callers and
/// settings, at one moment.
#[utoipa::path(
    get,
    path = "/barista/console.json",
    operation_id = "console",
    tag = "screens",
    responses((status = 200, description = "All of it.", body = ref("#/components/schemas/Console"))),
)]
async fn snapshot(State(console): State<Console>, stay: Stay) -> Result<Json<Value>, WebError> {
    let Console { orders, keeper, live, voicemails, screens } = &console;
    let open = orders.open().await?;
    let recent = orders.recent(RECENT).await?;
    let failures = given_up(orders, MOST_ORDERS).await?;
    let messages = voicemails.list().await?;
    // Told once: what is late, what can be taken back and whether the shop is open belong to one moment.
    let now = orders.now();
    let state = keeper.shop().state_at(now);
    let (open, recent) = reconciled(open, recent);
    let entries = |records: &[Arc<Record>]| -> Vec<Value> { records.iter().map(|record| entry(record, now)).collect() };
    let calls: Vec<Value> =
        live.list().into_iter().map(|(sid, since)| json!({"call_sid": sid, "started_at": since})).collect();
    let look = json!({
        "now": now,
        "open": entries(&open),
        "recent": entries(&recent),
        "failures": failures,
        "shop": shop_now(keeper, &state, now),
        "menu": menu(keeper, &state),
        "calls": calls,
        "messages": messages.iter().take(MESSAGES).map(|message| message.at).collect::<Vec<_>>(),
        "settings": {
            "amber_minutes": minutes(screens.amber_after),
            "red_minutes": minutes(screens.red_after),
            "transcripts": screens.call_transcripts,
            "currency": keeper.shop().menu().currency().symbol,
            "signed_in": stay.is_signed_in(),
        },
    });
    Ok(Json(look))
}

/// Note how far an order is
///
/// A line is made or is not after all, or the order is to be made before all others. Nothing of it is a change of the
/// order, so no version is asked for and none goes up; to repeat it is harmless.
#[utoipa::path(
    post,
    path = "/barista/orders/{order_id}/marks",
    operation_id = "mark",
    tag = "screens",
    params(("order_id" = String, Path, description = "The order's id.", pattern = "^[A-Za-z0-9_-]{1,64}$")),
    request_body(content = ref("#/components/schemas/Mark"), content_type = "application/json"),
    responses(
        (status = 200, description = "The order as it now is.", body = ref("#/components/schemas/ConsoleEntry")),
        (status = 404),
        (status = 422, description = "`INVALID_STATE`: it is closed, or has no such line."),
    ),
)]
async fn mark(
    State(console): State<Console>,
    Asking(origin): Asking,
    Named(id): Named,
    JsonBody(body): JsonBody,
) -> Result<Json<Value>, WebError> {
    let MarkAsked(mark) = MarkAsked::parse(&body)?;
    let record = console.orders.mark(&id, mark, origin).await?;
    Ok(Json(entry(&record, console.orders.now())))
}

/// Sold out, or there again
///
/// One option alone: what somebody else says of another one at the same moment stays.
#[utoipa::path(
    post,
    path = "/barista/sold-out",
    operation_id = "soldOut",
    tag = "screens",
    request_body(content = ref("#/components/schemas/SoldOutSwitch"), content_type = "application/json"),
    responses((status = 200, description = "The shop as it now is.", body = ref("#/components/schemas/ShopNow"))),
)]
async fn sold_out(State(console): State<Console>, JsonBody(body): JsonBody) -> Result<Json<Value>, WebError> {
    let Switch { id, sold_out } = Switch::parse(&body)?;
    let state = console.keeper.switch(&id, sold_out).await?;
    Ok(Json(shop_now(&console.keeper, &state, console.keeper.now())))
}

/// The two lists are read one after the other, the open ones first: an order that changed in between is in both as it was
/// last, and one that was made or recalled in between is among the open ones as well.
fn reconciled(open: Vec<Arc<Record>>, recent: Vec<Arc<Record>>) -> (Vec<Arc<Record>>, Vec<Arc<Record>>) {
    let mut latest: HashMap<_, Arc<Record>> = HashMap::new();
    for record in open.iter().chain(&recent) {
        let known = latest.entry(record.order.order_id.clone()).or_insert_with(|| Arc::clone(record));
        if record.revision > known.revision {
            *known = Arc::clone(record);
        }
    }
    let newest = |record: Arc<Record>| latest.get(&record.order.order_id).map_or(record, Arc::clone);
    let known: HashSet<_> = open.iter().map(|record| record.order.order_id.clone()).collect();
    let added = recent.iter().filter(|record| !known.contains(&record.order.order_id)).cloned();
    let both = open.into_iter().map(newest).chain(added.map(newest));
    let mut open: Vec<_> = both.filter(|record| record.order.status.is_open()).collect();
    open.sort_by_key(|record| record.place());
    (open, recent.into_iter().map(newest).collect())
}

/// An order as the console shows it.
fn entry(record: &Record, now: Timestamp) -> Value {
    let text = |status| text_state(record, status).map(|text| text.as_str());
    let marks = marks(record);
    json!({
        "order": record.order,
        "made": marks.made,
        "rushed_at": marks.rushed_at,
        "undo_until": undo_until(record, now),
        "ticket": ticket(record),
        "texts": {
            "received": text(OrderStatus::Received),
            "ready": text(OrderStatus::Ready),
            "cancelled": text(OrderStatus::Cancelled),
        },
    })
}

/// Where an order stands with the point of sale; null: nobody is waited for, and nobody has anything to do.
fn ticket(record: &Record) -> Value {
    match ticket_state(record) {
        TicketState::Settled => Value::Null,
        TicketState::Waiting { since, reason } => {
            json!({"state": "waiting", "since": since, "reason": reason, "reference": null})
        }
        TicketState::Refused { reason } => {
            json!({"state": "refused", "since": null, "reason": reason, "reference": null})
        }
        TicketState::Stray { reference } => {
            json!({"state": "taken", "since": null, "reason": null, "reference": reference})
        }
    }
}

fn shop_now(keeper: &ShopKeeper, state: &ShopState, now: Timestamp) -> Value {
    let shop = keeper.shop();
    json!({
        "ordering": ordering(shop, state, now),
        "closed": shop.ordering_closed_in(state, now),
        "paused_until": state.paused,
        "sold_out": state.sold_out,
    })
}

/// What can be switched off. An option whose own switch is on may still lack another that it needs.
fn menu(keeper: &ShopKeeper, state: &ShopState) -> Vec<Value> {
    let shop = keeper.shop();
    let stock = shop.stock_in(state);
    let option = |field: &Field, option: &MenuOption| {
        let id = stock.sold_out_name(field, option)?;
        let sold_out = state.sold_out.contains(&id);
        Some(json!({"name": option.name, "id": id, "sold_out": sold_out, "lacking": !stock.has(field, option)}))
    };
    let field = |field: &Field| {
        let kind = field.kind.as_str();
        let default = match field.kind {
            Kind::One { default } => field.options.get(default).map(|option| option.name.as_str()),
            Kind::Base | Kind::Many { .. } => None,
        };
        let options: Vec<Value> = field.options.iter().filter_map(|one| option(field, one)).collect();
        json!({"name": field.name, "label": field.spoken_name(), "kind": kind, "default": default, "options": options})
    };
    shop.menu().fields().iter().map(field).collect()
}

fn minutes(time: Duration) -> u64 {
    time.as_secs() / 60
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order_service::tests::{Shop, new, origin, taro};

    #[tokio::test]
    async fn an_order_that_changes_between_two_lists_is_in_both_as_it_was_last() {
        let shop = Shop::open_with_all().await;
        let (stays, goes) = (shop.place(new(vec![taro(1)])).await, shop.place(new(vec![taro(2)])).await);
        let open = shop.orders.open().await.expect("readable");
        shop.set(&stays, OrderStatus::Preparing).await.expect("preparing");
        shop.set(&goes, OrderStatus::Cancelled).await.expect("cancelled");
        let recent = shop.orders.recent(RECENT).await.expect("readable");
        for (open, recent) in [(open.clone(), recent.clone()), (open, Vec::new())] {
            let reads_both = !recent.is_empty();
            let (open, recent) = reconciled(open, recent);
            let status = |records: &[Arc<Record>]| -> Vec<OrderStatus> {
                records.iter().map(|record| record.order.status).collect()
            };
            if reads_both {
                assert_eq!(status(&open), [OrderStatus::Preparing], "nothing closed is told as open");
                assert_eq!(status(&recent), [OrderStatus::Cancelled, OrderStatus::Preparing]);
            } else {
                assert_eq!(status(&open), [OrderStatus::Received; 2], "what is only in one list stays as it is");
            }
        }
    }

    #[tokio::test]
    async fn an_order_that_is_made_or_recalled_between_two_lists_is_in_both() {
        let shop = Shop::open_with_all().await;
        let recalled = shop.place(new(vec![taro(1)])).await;
        shop.set(&recalled, OrderStatus::Cancelled).await.expect("cancelled");
        let stays = shop.place(new(vec![taro(2)])).await;
        let open = shop.orders.open().await.expect("readable");
        let version = Some(shop.stored(&recalled).order.version);
        shop.orders.undo(&recalled.order_id, version, origin("staff")).await.expect("taken back");
        let made = shop.place(new(vec![taro(3)])).await;
        let recent = shop.orders.recent(RECENT).await.expect("readable");
        let ids = |records: &[Arc<Record>]| -> Vec<_> {
            records.iter().map(|record| record.order.order_id.clone()).collect()
        };
        assert_eq!(ids(&open), std::slice::from_ref(&stays.order_id));
        let (open, recent) = reconciled(open, recent);
        let oldest_first = [recalled, stays, made].map(|order| order.order_id);
        assert_eq!(ids(&open), oldest_first);
        assert!(ids(&recent).iter().rev().eq(&oldest_first));
    }
}
