//! The original's routes: what the TV shows, what the console shows, Done, and made-up orders in a demo.

use super::error::WebError;
use super::staff::{StaffDoor, Visitor};
use crate::call::CorrelationId;
use crate::order_service::{OrderService, Origin, Record};
use crate::ordering::order::{Order, OrderNumber};
use crate::ordering::status::OrderStatus;
use crate::shop::Shop;
use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Extension, Path, Query, State};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Public and staff routes about orders.
pub fn router(orders: OrderService, shop: Shop, door: &StaffDoor) -> OpenApiRouter {
    let public = OpenApiRouter::default().routes(routes!(in_progress)).with_state(orders.clone());
    let screen = OpenApiRouter::default().routes(routes!(board)).with_state((orders.clone(), shop));
    let staff = OpenApiRouter::default()
        .routes(routes!(recent))
        .routes(routes!(one))
        .routes(routes!(phone))
        .routes(routes!(done))
        .with_state(orders);
    public.merge(screen).merge(door.guard_described(staff))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Limit {
    /// How many at most.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<usize>,
}

/// The order number in a path, for the description.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "the handlers read the path as text, to answer 404 for what is no number")]
struct Numbered {
    /// The number that the customer was told.
    #[param(pattern = "^[1-9][0-9]{3,4}$", example = "4782")]
    number: String,
}

/// A limit from 1 to 500.
pub(super) fn limit(query: Result<Query<Limit>, QueryRejection>, default: usize) -> Result<usize, WebError> {
    let given = query.ok().map(|Query(query)| query.limit.unwrap_or(default));
    given
        .filter(|limit| (1..=500).contains(limit))
        .ok_or_else(|| WebError::validation("limit is a whole number from 1 to 500"))
}

/// What stands in the path where an order number belongs; what is not even text is no order's number.
type Asked = Result<Path<String>, PathRejection>;

fn number(asked: Asked) -> Result<OrderNumber, WebError> {
    let Path(text) = asked.map_err(|_| no_order(""))?;
    text.parse().map_err(|_| no_order(&text))
}

fn no_order(number: &str) -> WebError {
    let shown: String = number.chars().filter(char::is_ascii_alphanumeric).take(12).collect();
    WebError::not_found(format!("there is no order {shown}").trim_end())
}

async fn find(orders: &OrderService, asked: Asked) -> Result<Order, WebError> {
    let number = number(asked)?;
    orders.by_number(number).await?.ok_or_else(|| no_order(&number.to_string()))
}

/// Orders in progress
///
/// Received or being prepared, newest first.
#[utoipa::path(
    get,
    path = "/orders/in_progress.json",
    operation_id = "ordersInProgress",
    tag = "screens",
    params(Limit),
    responses((status = 200, description = "The orders.", body = ref("#/components/schemas/NumberedOrders"))),
)]
async fn in_progress(
    State(orders): State<OrderService>,
    query: Result<Query<Limit>, QueryRejection>,
) -> Result<Json<Value>, WebError> {
    let limit = limit(query, 100)?;
    let open = orders.open().await?;
    let shown = |record: &&Arc<Record>| matches!(record.order.status, OrderStatus::Received | OrderStatus::Preparing);
    let newest: Vec<Value> = open.iter().rev().filter(shown).take(limit).map(numbered).collect();
    Ok(Json(newest.into()))
}

fn numbered(record: &Arc<Record>) -> Value {
    json!({"order_number": record.order.order_number, "status": record.order.status})
}

/// The order screen
///
/// Both columns, oldest first.
#[utoipa::path(
    get,
    path = "/orders/board.json",
    operation_id = "board",
    tag = "screens",
    responses((status = 200, description = "What the screen shows.", body = ref("#/components/schemas/Board"))),
)]
async fn board(State((orders, shop)): State<(OrderService, Shop)>) -> Result<Json<Value>, WebError> {
    let open = orders.open().await?;
    let column = |is_shown: fn(OrderStatus) -> bool| -> Vec<Value> {
        let shown = open.iter().filter(|record| is_shown(record.order.status));
        shown.map(|record| json!({"order_number": record.order.order_number})).collect()
    };
    let preparing = column(|status| matches!(status, OrderStatus::Received | OrderStatus::Preparing));
    let ready = column(|status| status == OrderStatus::Ready);
    Ok(Json(json!({"preparing": preparing, "ready": ready, "paused": shop.is_paused(orders.now())})))
}

/// The latest orders
///
/// Whole orders, newest first, with phone numbers.
#[utoipa::path(
    get,
    path = "/orders.json",
    operation_id = "latestOrders",
    tag = "screens",
    params(Limit),
    responses((status = 200, description = "The orders.", body = ref("#/components/schemas/Orders"))),
)]
async fn recent(
    State(orders): State<OrderService>,
    query: Result<Query<Limit>, QueryRejection>,
) -> Result<Json<Value>, WebError> {
    let records = orders.recent(limit(query, 50)?).await?;
    let whole: Vec<Value> = records.iter().map(|record| json!(record.order)).collect();
    Ok(Json(whole.into()))
}

/// An order by its number
///
/// The newest one that has it.
#[utoipa::path(
    get,
    path = "/api/orders/{number}",
    operation_id = "orderByNumber",
    tag = "screens",
    params(Numbered),
    responses((status = 200, description = "The order.", body = ref("#/components/schemas/Order")), (status = 404)),
)]
async fn one(State(orders): State<OrderService>, asked: Asked) -> Result<Json<Order>, WebError> {
    find(&orders, asked).await.map(Json)
}

/// The phone number of an order
#[utoipa::path(
    get,
    path = "/api/orders/phone/{number}",
    operation_id = "phoneOfOrder",
    tag = "screens",
    params(Numbered),
    responses(
        (status = 200, description = "The number to call or text.", body = ref("#/components/schemas/PhoneOfOrder")),
        (status = 404),
    ),
)]
async fn phone(State(orders): State<OrderService>, asked: Asked) -> Result<Json<Value>, WebError> {
    let order = find(&orders, asked).await?;
    Ok(Json(json!({"order_number": order.order_number, "phone": order.phone})))
}

/// An order is done
///
/// It becomes ready, and the customer's text is owed. Nothing more happens to an order that is ready already.
#[utoipa::path(
    post,
    path = "/api/orders/{number}/done",
    operation_id = "done",
    tag = "screens",
    params(Numbered),
    responses(
        (status = 200, description = "It is ready.", body = ref("#/components/schemas/Ok")),
        (status = 404),
        (status = 422, description = "`INVALID_STATE`: it is neither received nor being prepared."),
    ),
)]
async fn done(
    State(orders): State<OrderService>,
    Extension(CorrelationId(id)): Extension<CorrelationId>,
    Extension(visitor): Extension<Visitor>,
    asked: Asked,
) -> Result<Json<Value>, WebError> {
    let origin = Origin { by: visitor.as_str(), correlation_id: Some(id) };
    orders.done(number(asked)?, origin).await?;
    Ok(Json(json!({"ok": true})))
}
