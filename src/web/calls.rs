//! Calls that have ended, as staff read them: a list, one call with all that is kept of it, and the page for people.

use super::error::{ErrorCode, WebError};
use super::pages;
use super::staff::StaffDoor;
use crate::logbook::{CallRecord, Logbook, Place};
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

const MOST: usize = 500;
const DEFAULT: usize = 50;

/// Routes for staff and programs with the key.
pub fn router(logbook: Logbook, door: &StaffDoor) -> OpenApiRouter {
    let routes = OpenApiRouter::default().routes(routes!(list)).routes(routes!(one));
    door.guard_described(routes.with_state(logbook))
}

/// `/barista/calls`.
pub fn page(door: &StaffDoor) -> Router {
    door.guard(Router::new().route("/barista/calls", get(async || pages::file("calls.html"))))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Asked {
    /// How many at most; 50 unless said.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<usize>,
    /// The `next_cursor` of the page before.
    #[param(format = "call-cursor")]
    cursor: Option<String>,
}

/// The call's name in a path, for the description.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "the handler reads the path as text, to answer 404 for what is no name")]
struct ByName {
    /// Twilio's name of the call.
    #[param(pattern = "^[A-Za-z0-9_-]{1,128}$", example = "CA00000000000000000000000000000042")]
    call_sid: String,
}

/// List calls that have ended
///
/// Newest first, in short. What is kept of calls, and whether anything is, the shop has set.
#[utoipa::path(
    get,
    path = "/api/v1/calls",
    operation_id = "listCalls",
    tag = "calls",
    params(Asked),
    responses((status = 200, description = "A page of calls.", body = ref("#/components/schemas/CallList"))),
)]
async fn list(
    State(logbook): State<Logbook>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Json<Value>, WebError> {
    let limit_is = || WebError::validation(format!("limit is a whole number from 1 to {MOST}"));
    let Query(Asked { limit, cursor }) = asked.map_err(|_| limit_is())?;
    let limit = Some(limit.unwrap_or(DEFAULT)).filter(|limit| (1..=MOST).contains(limit)).ok_or_else(limit_is)?;
    let after = cursor.map(|cursor| place(&cursor)).transpose()?;
    let (calls, next) = logbook.list(after.as_ref(), limit);
    let next = next.map(|next| URL_SAFE_NO_PAD.encode(next.to_text()));
    Ok(Json(json!({"calls": calls, "next_cursor": next})))
}

/// A call that has ended
///
/// All that is kept of it: what happened when and, where the shop keeps that, what was said.
#[utoipa::path(
    get,
    path = "/api/v1/calls/{call_sid}",
    operation_id = "call",
    tag = "calls",
    params(ByName),
    responses((status = 200, description = "The call.", body = ref("#/components/schemas/CallRecord")), (status = 404)),
)]
async fn one(
    State(logbook): State<Logbook>,
    asked: Result<Path<String>, PathRejection>,
) -> Result<Json<CallRecord>, WebError> {
    let nothing = || WebError::not_found("nothing is kept of such a call");
    let Path(call_sid) = asked.map_err(|_| nothing())?;
    let record = logbook.read(&call_sid).await.map_err(|error| {
        tracing::error!("the record of a call could not be read: {error}");
        WebError::new(ErrorCode::Unavailable, "the record cannot be read at the moment")
    })?;
    record.map(Json).ok_or_else(nothing)
}

fn place(cursor: &str) -> Result<Place, WebError> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok();
    let place = bytes.and_then(|bytes| Place::parse(std::str::from_utf8(&bytes).ok()?));
    place.ok_or_else(|| WebError::validation("cursor has to be the next_cursor of the list before"))
}
