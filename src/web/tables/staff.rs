//! Tables as staff manage them: which there are, what goes on at them, and the links that their codes lead to.

use super::{Desk, qr};
use crate::table::session::Overview;
use crate::table::{LONGEST_TABLE, Name, Table};
use crate::web::api::body::JsonBody;
use crate::web::error::{ErrorCode, WebError};
use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn router() -> OpenApiRouter<Arc<Desk>> {
    OpenApiRouter::default()
        .routes(routes!(list, add))
        .routes(routes!(remove))
        .routes(routes!(renew))
        .routes(routes!(code))
        .routes(routes!(end))
}

/// A table's id in a path, for the description.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "the handlers read the path as text, to answer 404 for what is no table")]
struct OfTable {
    /// The table's id.
    #[param(pattern = "^[0-9a-z]{1,64}$", example = "0123456789abcdefghjkmnpqrs")]
    table_id: String,
}

/// A session's id in a path, for the description.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "the handler reads the path as text, to answer 404 for what is no session")]
struct OfSession {
    /// The session's id.
    #[param(pattern = "^[0-9a-z]{1,64}$", example = "0123456789abcdefghjkmnpqrs")]
    session: String,
}

/// Tables and what goes on at them
///
/// Every table with the link that its code leads to and its sessions, the one that all share first; and the sessions of
/// those who order ahead.
#[utoipa::path(
    get,
    path = "/api/v1/tables",
    operation_id = "tables",
    tag = "tables",
    responses((status = 200, description = "All of them.", body = ref("#/components/schemas/Tables"))),
)]
async fn list(State(desk): State<Arc<Desk>>) -> Json<Value> {
    let listed = desk.tables.list().await;
    let tables = listed.tables.iter().map(|(table, sessions)| shown(&desk, table, sessions));
    Json(json!({"tables": tables.collect::<Vec<_>>(), "ahead": listed.ahead}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewTable {
    name: String,
}

/// Set up a table
///
/// Its name is what staff and guests call it; no two tables have the same.
#[utoipa::path(
    post,
    path = "/api/v1/tables",
    operation_id = "addTable",
    tag = "tables",
    request_body = ref("#/components/schemas/NewTable"),
    responses(
        (status = 201, description = "The table.", body = ref("#/components/schemas/Table")),
        (status = 422, description = "`BUSINESS_RULE`: another table is called that, or there are too many."),
    ),
)]
async fn add(State(desk): State<Arc<Desk>>, JsonBody(body): JsonBody) -> Result<(StatusCode, Json<Value>), WebError> {
    let asked = serde_json::from_slice::<NewTable>(&body).ok();
    let name = asked.and_then(|NewTable { name }| Name::parse(&name, LONGEST_TABLE)).ok_or_else(|| {
        let message = format!("the body has to be an object with name: one line of at most {LONGEST_TABLE} characters");
        WebError::validation(message).with("field", "name")
    })?;
    let table = desk.tables.add(name).await?;
    Ok((StatusCode::CREATED, Json(shown(&desk, &table, &[]))))
}

/// Give a table a new link
///
/// The code that was printed opens nothing from then on. Guests who have joined stay.
#[utoipa::path(
    post,
    path = "/api/v1/tables/{table_id}/link",
    operation_id = "renewTableLink",
    tag = "tables",
    params(OfTable),
    responses(
        (status = 200, description = "The table.", body = ref("#/components/schemas/Table")),
        (status = 404),
    ),
)]
async fn renew(
    State(desk): State<Arc<Desk>>,
    table_id: Result<Path<String>, PathRejection>,
) -> Result<Json<Value>, WebError> {
    let Path(table_id) = table_id.map_err(|_| no_table())?;
    let table = desk.tables.renew(&table_id).await?;
    let listed = desk.tables.list().await;
    let sessions = listed.tables.iter().find(|(one, _)| one.table_id == table.table_id);
    Ok(Json(shown(&desk, &table, sessions.map_or(&[], |(_, sessions)| sessions))))
}

/// A table's code
///
/// Its link as a QR code: a drawing without a size of its own, with the white margin that cameras need.
#[utoipa::path(
    get,
    path = "/api/v1/tables/{table_id}/qr.svg",
    operation_id = "tableCode",
    tag = "tables",
    params(OfTable),
    responses(
        (status = 200, description = "The code.", content_type = "image/svg+xml", body = String),
        (status = 404),
    ),
)]
async fn code(
    State(desk): State<Arc<Desk>>,
    table_id: Result<Path<String>, PathRejection>,
) -> Result<Response, WebError> {
    let Path(table_id) = table_id.map_err(|_| no_table())?;
    let table = desk.tables.table(&table_id).ok_or_else(no_table)?;
    let drawn = qr::svg(&link(&desk, &table)).map_err(|error| {
        tracing::error!("the code of a table cannot be drawn: {error}");
        WebError::new(ErrorCode::Internal, "the code cannot be drawn")
    })?;
    Ok(([(header::CONTENT_TYPE, "image/svg+xml")], drawn).into_response())
}

/// Remove a table
///
/// What goes on at it ends; orders stay.
#[utoipa::path(
    delete,
    path = "/api/v1/tables/{table_id}",
    operation_id = "removeTable",
    tag = "tables",
    params(OfTable),
    responses((status = 204, description = "It is gone."), (status = 404)),
)]
async fn remove(
    State(desk): State<Arc<Desk>>,
    table_id: Result<Path<String>, PathRejection>,
) -> Result<StatusCode, WebError> {
    let Path(table_id) = table_id.map_err(|_| no_table())?;
    desk.tables.remove(&table_id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// End a session
///
/// After its guests have paid, or whenever: their screens say so, and an order that was refused is cancelled.
#[utoipa::path(
    post,
    path = "/api/v1/tables/sessions/{session}/end",
    operation_id = "endTableSession",
    tag = "tables",
    params(OfSession),
    responses((status = 204, description = "It ends."), (status = 404)),
)]
async fn end(
    State(desk): State<Arc<Desk>>,
    session: Result<Path<String>, PathRejection>,
) -> Result<StatusCode, WebError> {
    let Path(session) = session.map_err(|_| WebError::not_found("there is no such session"))?;
    desk.tables.end(&session).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn no_table() -> WebError {
    WebError::not_found("there is no such table")
}

fn shown(desk: &Desk, table: &Table, sessions: &[Overview]) -> Value {
    json!({
        "table_id": table.table_id,
        "name": table.name,
        "link": link(desk, table),
        "created_at": table.created_at,
        "sessions": sessions,
    })
}

fn link(desk: &Desk, table: &Table) -> String {
    format!("{}/t/{}", desk.base, table.token)
}
