//! The original's routes: what the TV shows, what the console shows, Done, and made-up orders in a demo.

use super::error::WebError;
use super::staff::{StaffDoor, Visitor};
use crate::call::CorrelationId;
use crate::order_service::{OrderService, Origin, Record};
use crate::ordering::order::{Order, OrderNumber};
use crate::ordering::status::OrderStatus;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Extension, Path, Query, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// Public and staff routes about orders.
pub fn router(orders: OrderService, door: &StaffDoor) -> Router {
    let public = Router::new()
        .route("/orders/in_progress.json", get(in_progress))
        .route("/orders/board.json", get(board))
        .with_state(orders.clone());
    let staff = Router::new()
        .route("/orders.json", get(recent))
        .route("/api/orders/{number}", get(one))
        .route("/api/orders/phone/{number}", get(phone))
        .route("/api/orders/{number}/done", post(done))
        .with_state(orders);
    public.merge(door.guard(staff))
}

#[derive(Deserialize)]
struct Limit {
    limit: Option<usize>,
}

/// A limit from 1 to 500.
fn limit(query: Result<Query<Limit>, QueryRejection>, default: usize) -> Result<usize, WebError> {
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

async fn board(State(orders): State<OrderService>) -> Result<Json<Value>, WebError> {
    let open = orders.open().await?;
    let column = |is_shown: fn(OrderStatus) -> bool| -> Vec<Value> {
        let shown = open.iter().filter(|record| is_shown(record.order.status));
        shown.map(|record| json!({"order_number": record.order.order_number})).collect()
    };
    let preparing = column(|status| matches!(status, OrderStatus::Received | OrderStatus::Preparing));
    let ready = column(|status| status == OrderStatus::Ready);
    Ok(Json(json!({"preparing": preparing, "ready": ready, "paused": false})))
}

async fn recent(
    State(orders): State<OrderService>,
    query: Result<Query<Limit>, QueryRejection>,
) -> Result<Json<Value>, WebError> {
    let records = orders.recent(limit(query, 50)?).await?;
    let whole: Vec<Value> = records.iter().map(|record| json!(record.order)).collect();
    Ok(Json(whole.into()))
}

async fn one(State(orders): State<OrderService>, asked: Asked) -> Result<Json<Order>, WebError> {
    find(&orders, asked).await.map(Json)
}

async fn phone(State(orders): State<OrderService>, asked: Asked) -> Result<Json<Value>, WebError> {
    let order = find(&orders, asked).await?;
    Ok(Json(json!({"order_number": order.order_number, "phone": order.phone})))
}

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
