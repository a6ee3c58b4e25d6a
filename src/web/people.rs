//! Customers' data: erased when they ask for it.

use super::api::body::JsonBody;
use super::asking::Asking;
use super::error::WebError;
use super::staff::StaffDoor;
use crate::logbook::Logbook;
use crate::order_service::{OrderError, OrderService};
use crate::ordering::phone_number::{PhoneNumber, Region};
use crate::voicemail::Voicemails;
use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

#[derive(Clone)]
struct People {
    orders: OrderService,
    logbook: Logbook,
    voicemails: Voicemails,
    region: Region,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Forget {
    phone: String,
}

/// What is erased of a customer; numbers without a country are of `region`.
pub fn router(
    orders: OrderService,
    logbook: Logbook,
    voicemails: Voicemails,
    region: Region,
    door: &StaffDoor,
) -> OpenApiRouter {
    let routes = OpenApiRouter::default().routes(routes!(forget));
    door.guard_described(routes.with_state(People { orders, logbook, voicemails, region }))
}

/// Forget a customer
///
/// Erases who has this phone number from all orders, stored answers, deliveries and the spreadsheet, the records of the
/// calls that these orders were placed on, and the messages that they have left; drinks and sums stay. To have erased nobody
/// is no error.
#[utoipa::path(
    post,
    path = "/api/v1/customers/forget",
    operation_id = "forgetCustomer",
    tag = "customers",
    request_body(content = ref("#/components/schemas/Forget"), content_type = "application/json"),
    responses((status = 200, description = "It is done.", body = ref("#/components/schemas/Forgotten"))),
)]
async fn forget(
    State(people): State<People>,
    Asking(origin): Asking,
    JsonBody(body): JsonBody,
) -> Result<Json<Value>, WebError> {
    let Ok(Forget { phone }) = serde_json::from_slice(&body) else {
        return Err(WebError::validation("expected an object with nothing but a phone: {\"phone\":\"+15551234567\"}"));
    };
    let phone = PhoneNumber::parse(&phone, people.region)
        .map_err(|_| WebError::validation("phone is a phone number, such as +15551234567"))?;
    // First: afterwards nothing leads from the customer to the calls.
    let calls = people.logbook.forget(&people.orders.calls_of(&phone).await?).await.map_err(OrderError::NotSaved)?;
    let erased = people.orders.forget(&phone, origin).await?;
    people.voicemails.forget(&phone).await?;
    Ok(Json(json!({"orders": erased.orders, "deleted_orders": erased.deleted_orders, "calls": calls})))
}
