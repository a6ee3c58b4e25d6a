//! What there is to say about customers and about all orders together.

use crate::order_service::OrderService;
use crate::ordering::order::Order;
use crate::web::error::WebError;
use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use serde_json::{Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn router(orders: OrderService) -> OpenApiRouter {
    OpenApiRouter::default().routes(routes!(last_order)).routes(routes!(statistics)).with_state(orders)
}

/// A customer's newest order
///
/// Whoever brought no id of their own is known by the phone number.
#[utoipa::path(
    get,
    path = "/api/v1/customers/{customer_id}/last-order",
    operation_id = "lastOrder",
    tag = "customers",
    params(("customer_id" = String, Path, min_length = 1, max_length = 128, example = "+15551234567")),
    responses((status = 200, description = "The order.", body = ref("#/components/schemas/Order")), (status = 404)),
)]
async fn last_order(
    State(orders): State<OrderService>,
    asked: Result<Path<String>, PathRejection>,
) -> Result<Json<Order>, WebError> {
    let nothing = || WebError::not_found("this customer has no order");
    let Path(customer) = asked.map_err(|_| nothing())?;
    orders.latest_for_customer(&customer).await?.map(Json).ok_or_else(nothing)
}

/// Counts over all orders
#[utoipa::path(
    get,
    path = "/api/v1/statistics",
    operation_id = "statistics",
    tag = "customers",
    responses((status = 200, description = "The counts.", body = ref("#/components/schemas/Statistics"))),
)]
async fn statistics(State(orders): State<OrderService>) -> Result<Json<Value>, WebError> {
    let statistics = orders.statistics().await?;
    Ok(Json(json!({
        "total_orders": statistics.orders,
        "total_revenue": statistics.revenue,
        "status_breakdown": statistics.by_status,
        "unique_customers": statistics.customers,
    })))
}
