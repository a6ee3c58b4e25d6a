//! What orders owe to the outside, as staff see it: what was given up, trying it again, and an order's whole record.
//!
//! Nothing here changes an order, so no version is asked for.

use super::asking::Asking;
use super::error::WebError;
use super::orders::{Limit, limit};
use super::staff::StaffDoor;
use crate::order_service::{DeliveryState, OrderService};
use crate::ordering::order::OrderId;
use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use serde_json::{Value, json};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// So many orders are looked at unless somebody says otherwise.
pub(super) const MOST_ORDERS: usize = 100;

/// Routes for staff and programs with the key.
pub fn router(orders: OrderService, door: &StaffDoor) -> OpenApiRouter {
    let routes = OpenApiRouter::default().routes(routes!(failed)).routes(routes!(retry)).routes(routes!(audit));
    door.guard_described(routes.with_state(orders))
}

/// The order's id in a path, for the description.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "handlers read the path as text, to answer 404 for what is no id")]
struct OfOrder {
    /// The order's id.
    #[param(pattern = "^[A-Za-z0-9_-]{1,64}$", example = "ORD-main-42")]
    order_id: String,
}

/// The delivery's id after it, for the description.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "handlers read the path as text, to answer 404 for what is no id")]
struct OfDelivery {
    /// The delivery's id, which counts up within its order.
    #[param(minimum = 1, example = 1)]
    id: u32,
}

/// Deliveries that were given up
///
/// Texts, rows and notices that were tried too often or refused, those of the newest orders first; `limit` counts orders.
#[utoipa::path(
    get,
    path = "/api/v1/deliveries/failed",
    operation_id = "failedDeliveries",
    tag = "deliveries",
    params(Limit),
    responses((status = 200, description = "The deliveries.", body = ref("#/components/schemas/FailedDeliveries"))),
)]
async fn failed(
    State(orders): State<OrderService>,
    query: Result<Query<Limit>, QueryRejection>,
) -> Result<Json<Value>, WebError> {
    Ok(Json(json!({"deliveries": given_up(&orders, limit(query, MOST_ORDERS)?).await?})))
}

/// What was given up of at most so many orders, the newest orders' first.
pub(super) async fn given_up(orders: &OrderService, most_orders: usize) -> Result<Vec<Value>, WebError> {
    let records = orders.undelivered(most_orders).await?;
    let failed = records.iter().flat_map(|record| {
        let given_up = record.deliveries.iter().filter(|delivery| delivery.state == DeliveryState::Failed);
        given_up.map(|delivery| {
            json!({
                "order_id": record.order.order_id,
                "order_number": record.order.order_number,
                "delivery": {
                    "id": delivery.id,
                    "kind": delivery.kind,
                    "to": delivery.to,
                    "reason": delivery.reason,
                    "attempts": delivery.attempts,
                    "tries": delivery.tries,
                },
            })
        })
    });
    Ok(failed.collect())
}

/// Try a delivery again
///
/// One that was given up is owed again. Asked for twice it is owed once. What was sent, or was never to be, stays as it is.
#[utoipa::path(
    post,
    path = "/api/v1/orders/{order_id}/deliveries/{id}/retry",
    operation_id = "retryDelivery",
    tag = "deliveries",
    params(OfOrder, OfDelivery),
    responses(
        (status = 200, description = "It is owed.", body = ref("#/components/schemas/Ok")),
        (status = 404),
    ),
)]
async fn retry(
    State(orders): State<OrderService>,
    Asking(origin): Asking,
    asked: Result<Path<(String, String)>, PathRejection>,
) -> Result<Json<Value>, WebError> {
    let Path((order, delivery)) = asked.map_err(|_| nothing())?;
    let (order, delivery) = (named(&order)?, delivery.parse().map_err(|_| nothing())?);
    orders.retry_delivery(&order, delivery, origin).await?;
    Ok(Json(json!({"ok": true})))
}

/// An order's whole record
///
/// Every change of an order and every delivery with its attempts, oldest first.
#[utoipa::path(
    get,
    path = "/api/v1/orders/{order_id}/audit",
    operation_id = "audit",
    tag = "deliveries",
    params(OfOrder),
    responses(
        (status = 200, description = "The record.", body = ref("#/components/schemas/Audit")),
        (status = 404),
    ),
)]
async fn audit(
    State(orders): State<OrderService>,
    asked: Result<Path<String>, PathRejection>,
) -> Result<Json<Value>, WebError> {
    let Path(order) = asked.map_err(|_| nothing())?;
    let record = orders.record(&named(&order)?).await?.ok_or_else(nothing)?;
    Ok(Json(json!({"changes": record.audit, "deliveries": record.deliveries})))
}

/// What is no order's id names no order.
fn named(order: &str) -> Result<OrderId, WebError> {
    order.parse().map_err(|_| nothing())
}

fn nothing() -> WebError {
    WebError::not_found("there is no such order or delivery")
}
