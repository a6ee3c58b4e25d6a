//! The orders that there are: looked up, listed, corrected, moved on, deleted.
//!
//! A change names the version that it changes (`If-Match`), so that nobody overwrites what they have not seen.

use super::body::JsonBody;
use super::create::{self, Desk};
use super::headers::{IfMatch, etag};
use super::query::{Cursor, ListQuery};
use super::request::{Patch, StatusChange};
use super::summary::summary;
use crate::order_service::{self, OrderError, OrderService};
use crate::ordering::order::{Order, OrderId};
use crate::web::asking::{Asking, Named, no_such_order};
use crate::web::error::WebError;
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use serde_json::{Value, json};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn router(desk: Desk) -> OpenApiRouter {
    OpenApiRouter::default()
        .routes(routes!(list, create::create, delete_all))
        .routes(routes!(one, patch, delete))
        .routes(routes!(change_status))
        .routes(routes!(undo))
        .routes(routes!(summarize))
        // Their short address, which the descriptions of both name.
        .route("/api/orders", get(list).post(create::create))
        .with_state(desk)
}

/// The order's id in a path, for the description.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "handlers read the path as text, to answer 404 for what is no id")]
struct ById {
    /// The order's id.
    #[param(pattern = "^[A-Za-z0-9_-]{1,64}$", example = "ORD-main-42")]
    order_id: String,
}

/// The header without which nothing is changed, for the description.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "handlers read the header through IfMatch, which knows lists and weak tags")]
struct AtVersion {
    /// The version that is changed, as the order's ETag has it.
    #[param(rename = "If-Match", pattern = "^(\"[1-9][0-9]{0,5}\"|[1-9][0-9]{0,5})$", example = "\"1\"")]
    if_match: String,
}

/// List orders
///
/// Newest first, whole, with phone numbers: those that fit every filter. Also at `/api/orders`.
#[utoipa::path(
    get,
    path = "/api/v1/orders",
    operation_id = "listOrders",
    tag = "orders",
    params(
        ("status" = Option<String>, Query, example = "received,preparing",
            pattern = "^(pending|received|preparing|ready|completed|cancelled|confirmed|processing)(,(pending|received|preparing|ready|completed|cancelled|confirmed|processing))*$",
            description = "One of these; several are separated by commas."),
        ("phone" = Option<String>, Query, format = "phone", example = "+15551234567",
            description = "This phone number."),
        ("name" = Option<String>, Query, example = "Ada", max_length = 60, pattern = r"[^\s\u0000-\u001f\u007f-\u009f]",
            description = "This name, without regard to case or spacing."),
        ("customer_id" = Option<String>, Query, max_length = 128,
            pattern = r"^[^\s\u0000-\u001f\u007f-\u009f]+( [^\s\u0000-\u001f\u007f-\u009f]+)*$",
            description = "This customer."),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 500, description = "How many at most; 50 unless said."),
        ("cursor" = Option<String>, Query, format = "cursor",
            description = "The `next_cursor` of the page before."),
    ),
    responses((status = 200, description = "A page of orders.", body = ref("#/components/schemas/OrderList"))),
)]
async fn list(State(desk): State<Desk>, asked: Parameters) -> Result<Json<Value>, WebError> {
    let Query(parameters) = asked.map_err(|_| unreadable())?;
    let asked = ListQuery::parse(&parameters, desk.region)?;
    let query = order_service::Query {
        statuses: asked.statuses,
        phone: asked.phone,
        name: asked.name,
        customer_id: asked.customer_id,
        after: asked.cursor.map(Cursor::into_place),
        limit: asked.limit,
    };
    let page = desk.orders.list(&query).await?;
    let orders: Vec<&Order> = page.records.iter().map(|record| &record.order).collect();
    Ok(Json(json!({"orders": orders, "next_cursor": page.next.as_ref().map(Cursor::written)})))
}

/// Decoded parameters, in their sequence and with repetitions.
type Parameters = Result<Query<Vec<(String, String)>>, QueryRejection>;

fn unreadable() -> WebError {
    WebError::validation("the query cannot be read")
}

/// An order by its id
#[utoipa::path(
    get,
    path = "/api/v1/orders/{order_id}",
    operation_id = "order",
    tag = "orders",
    params(ById),
    responses(
        (status = 200, description = "The order.", body = ref("#/components/schemas/Order"),
            headers(("ETag" = String, description = "The order's version."))),
        (status = 404),
    ),
)]
async fn one(State(desk): State<Desk>, Named(id): Named) -> Result<Response, WebError> {
    Ok(tagged(&found(&desk.orders, &id).await?))
}

/// Correct an order
///
/// What is left out stays as it is, `null` takes it away.
#[utoipa::path(
    patch,
    path = "/api/v1/orders/{order_id}",
    operation_id = "patchOrder",
    tag = "orders",
    params(ById, AtVersion),
    request_body = ref("#/components/schemas/OrderPatch"),
    responses(
        (status = 200, description = "The order as it now is.", body = ref("#/components/schemas/Order"),
            headers(("ETag" = String, description = "The order's version."))),
        (status = 404),
        (status = 412),
        (status = 428),
    ),
)]
async fn patch(
    State(desk): State<Desk>,
    Named(id): Named,
    Asking(origin): Asking,
    headers: HeaderMap,
    JsonBody(body): JsonBody,
) -> Result<Response, WebError> {
    let Patch { estimated_ready_time, notes, name } = Patch::parse(&body)?;
    let patch = order_service::Patch { name, notes, estimated_ready_time };
    let version = version(&desk.orders, &id, &headers).await?;
    Ok(tagged(&desk.orders.patch(&id, patch, Some(version), origin).await?))
}

/// Delete an order
///
/// With whatever it still owes. Its id is never given again.
#[utoipa::path(
    delete,
    path = "/api/v1/orders/{order_id}",
    operation_id = "deleteOrder",
    tag = "orders",
    params(ById, AtVersion),
    responses((status = 204, description = "It is gone."), (status = 404), (status = 412), (status = 428)),
)]
async fn delete(
    State(desk): State<Desk>,
    Named(id): Named,
    Asking(origin): Asking,
    headers: HeaderMap,
) -> Result<StatusCode, WebError> {
    let version = version(&desk.orders, &id, &headers).await?;
    desk.orders.delete(&id, Some(version), origin).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Delete all orders
///
/// Those that there are at this moment. What was answered to the requests that made them is kept for a day.
#[utoipa::path(
    delete,
    path = "/api/v1/orders",
    operation_id = "deleteAllOrders",
    tag = "orders",
    params(("confirm" = String, Query, pattern = "^all$", example = "all", description = "That all are meant.")),
    responses((status = 200, description = "How many there were.", body = ref("#/components/schemas/Deleted"))),
)]
async fn delete_all(
    State(desk): State<Desk>,
    Asking(origin): Asking,
    asked: Parameters,
) -> Result<Json<Value>, WebError> {
    let Query(parameters) = asked.map_err(|_| unreadable())?;
    let [(name, value)] = &parameters[..] else { return Err(unconfirmed()) };
    if (name.as_str(), value.as_str()) != ("confirm", "all") {
        return Err(unconfirmed());
    }
    Ok(Json(json!({"deleted": desk.orders.delete_all(origin).await?})))
}

fn unconfirmed() -> WebError {
    WebError::validation("this deletes every order; if that is meant, say confirm=all and nothing else")
        .with("field", "confirm")
}

/// Move an order on
///
/// A customer's text that this owes waits five seconds, so that it can be taken back.
#[utoipa::path(
    post,
    path = "/api/v1/orders/{order_id}/status",
    operation_id = "changeStatus",
    tag = "orders",
    params(ById, AtVersion),
    request_body = ref("#/components/schemas/StatusChange"),
    responses(
        (status = 200, description = "The order as it now is.", body = ref("#/components/schemas/Order"),
            headers(("ETag" = String, description = "The order's version."))),
        (status = 404),
        (status = 412),
        (status = 422, description = "`INVALID_STATE`: it cannot go there from where it is."),
        (status = 428),
    ),
)]
async fn change_status(
    State(desk): State<Desk>,
    Named(id): Named,
    Asking(origin): Asking,
    headers: HeaderMap,
    JsonBody(body): JsonBody,
) -> Result<Response, WebError> {
    let StatusChange { status, reason } = StatusChange::parse(&body)?;
    let version = version(&desk.orders, &id, &headers).await?;
    Ok(tagged(&desk.orders.change_status(&id, status, reason, Some(version), origin).await?))
}

/// Take back a change of status
///
/// For five seconds: the status before it comes back as a new version, and a text that is not sent yet never is.
#[utoipa::path(
    post,
    path = "/api/v1/orders/{order_id}/undo",
    operation_id = "undo",
    tag = "orders",
    params(ById, AtVersion),
    responses(
        (status = 200, description = "The order as it now is.", body = ref("#/components/schemas/Order"),
            headers(("ETag" = String, description = "The order's version."))),
        (status = 404),
        (status = 412),
        (status = 422, description = "`INVALID_STATE`: there is no such change, or it is too long ago."),
        (status = 428),
    ),
)]
async fn undo(
    State(desk): State<Desk>,
    Named(id): Named,
    Asking(origin): Asking,
    headers: HeaderMap,
) -> Result<Response, WebError> {
    let version = version(&desk.orders, &id, &headers).await?;
    Ok(tagged(&desk.orders.undo(&id, Some(version), origin).await?))
}

/// An order in words
///
/// For people: what, for whom, how much, by the shop's clock.
#[utoipa::path(
    get,
    path = "/api/v1/orders/{order_id}/summary",
    operation_id = "summary",
    tag = "orders",
    params(ById),
    responses((status = 200, description = "Some lines of text.", body = String, content_type = "text/plain"), (status = 404)),
)]
async fn summarize(State(desk): State<Desk>, Named(id): Named) -> Result<String, WebError> {
    Ok(summary(&found(&desk.orders, &id).await?, desk.shop.menu()))
}

async fn found(orders: &OrderService, id: &OrderId) -> Result<Order, WebError> {
    orders.by_id(id).await?.ok_or_else(no_such_order)
}

/// The version that the request means to change. The service looks once more, when nothing can come between.
async fn version(orders: &OrderService, id: &OrderId, headers: &HeaderMap) -> Result<u64, WebError> {
    let current = found(orders, id).await?.version;
    if IfMatch::of(headers)?.matches(current) {
        Ok(current)
    } else {
        Err(OrderError::VersionConflict { current }.into())
    }
}

fn tagged(order: &Order) -> Response {
    ([(header::ETAG, etag(order.version))], Json(order)).into_response()
}
