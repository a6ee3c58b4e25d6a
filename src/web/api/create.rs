//! A new order over the API, once however often it is asked for.
//!
//! A key is looked up before the order is checked: what was answered then is answered again, even if the menu has changed
//! or the order is gone. Nothing is kept of what was refused, so that it can be mended and sent with the same key.

use super::body::JsonBody;
use super::headers::{IDEMPOTENCY_REPLAYED, IdempotencyKey, etag};
use super::request::{Counter, CreateOrder, Draft};
use crate::order_service::{Answer, Created, Idempotency, NewOrder, OrderError, OrderService, Origin, Reply};
use crate::ordering::Order;
use crate::ordering::phone_number::Region;
use crate::shop::Shop;
use crate::web::asking::Asking;
use crate::web::error::WebError;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

/// What orders are taken at.
#[derive(Clone)]
pub(super) struct Desk {
    pub(super) orders: OrderService,
    pub(super) shop: Shop,
    pub(super) region: Region,
}

/// Create an order
///
/// The order itself, or an envelope around it. With an idempotency key – in the header, or in the body – the same request
/// again gets the same answer word for word, for at least a day, also after the order was deleted; refused requests are
/// not kept. The same drinks for the same customer within five minutes under another key are refused unless
/// `allow_duplicate` says otherwise. Also at `/api/orders`.
#[utoipa::path(
    post,
    path = "/api/v1/orders",
    operation_id = "createOrder",
    tag = "orders",
    params(
        ("Idempotency-Key" = Option<String>, Header, pattern = "^[!#-~][!-~]{0,254}$", example = "8e03978e-40d5",
            description = "Names this request, so that sending it again does not order again. The same as \
                `idempotency_key` in the body. In quotation marks or without."),
    ),
    request_body = ref("#/components/schemas/CreateOrder"),
    responses(
        (status = 201, description = "The order, new or as it was answered then.",
            body = ref("#/components/schemas/Order"),
            headers(
                ("Location" = String, description = "Where the order is."),
                ("ETag" = String, description = "The order's version."),
                ("Idempotency-Replayed" = String, description = "`true` on an answer that was given before."),
            )),
        (status = 409, description = "`DUPLICATE_ORDER`: the same was ordered within five minutes, or the `order_id` was \
            used; `existing_order_id` says where. `IDEMPOTENCY_IN_PROGRESS`: the same is being ordered at this moment. \
            `PRICE_MISMATCH`: `given` is not our price, `expected` is. `SLOT_UNAVAILABLE`: it cannot be fetched then; \
            `next_free` has the next times."),
        (status = 422, description = "`BUSINESS_RULE`: a limit, a rule of the menu, sold out, or no orders are taken. \
            `IDEMPOTENCY_MISMATCH`: the key was used for another request."),
    ),
)]
pub(super) async fn create(
    State(desk): State<Desk>,
    Asking(origin): Asking,
    headers: HeaderMap,
    JsonBody(body): JsonBody,
) -> Result<Response, WebError> {
    let request = CreateOrder::parse(&body, IdempotencyKey::of(&headers)?)?;
    let idempotency = request.idempotency_key().map(|key| Idempotency {
        key: format!("api:{key}"),
        request: request.payload_hash().to_owned(),
        reply: Some(reply),
    });
    if let Some(Idempotency { key, request, .. }) = &idempotency
        && let Some(answer) = desk.orders.answered(key, request).await?
    {
        return replayed(answer);
    }
    let counter = Counter { menu: desk.shop.menu(), region: desk.region, shop_id: desk.orders.shop_id() };
    let draft = request.check(counter)?;
    match desk.orders.create(new_order(draft, idempotency, origin)).await? {
        Created::New(order) => Ok(answered(reply(&order))),
        Created::Before { answer, .. } => replayed(answer),
    }
}

/// What is told of a new order, and kept to be told again.
fn reply(order: &Order) -> Reply {
    Reply { status: StatusCode::CREATED.as_u16(), body: json!(order) }
}

fn replayed(answer: Answer) -> Result<Response, WebError> {
    let mut response = answered(answer.reply.ok_or(OrderError::NotFound)?);
    response.headers_mut().insert(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
    Ok(response)
}

/// The headers are in the body: nothing else has to be kept.
fn answered(Reply { status, body }: Reply) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::CREATED);
    let id = body.get("order_id").and_then(Value::as_str).unwrap_or_default();
    let location = HeaderValue::try_from(format!("/api/v1/orders/{id}"));
    let version = body.get("version").and_then(Value::as_u64);
    let mut response = (status, Json(body)).into_response();
    let headers = response.headers_mut();
    headers.extend(location.map(|location| (header::LOCATION, location)));
    headers.extend(version.map(|version| (header::ETAG, etag(version))));
    response
}

fn new_order(draft: Draft, idempotency: Option<Idempotency>, origin: Origin) -> NewOrder {
    let Draft { channel, name, phone, customer_id, notes, items, call_sid, metadata, .. } = draft;
    NewOrder {
        name,
        phone,
        customer_id,
        notes,
        call_sid,
        order_id: draft.order_id,
        pickup_at: draft.pickup_at,
        estimated_ready_time: draft.estimated_ready_time,
        metadata,
        idempotency,
        allow_duplicate: draft.allow_duplicate,
        ..NewOrder::new(channel, items, origin)
    }
}
