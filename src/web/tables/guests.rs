//! What guests' pages ask for: the page itself, what is behind its door, joining, the menu, times to fetch an order, and
//! the cart for those whose socket is away.

use super::Desk;
use crate::ordering::phone_number::Region;
use crate::table::protocol::{LONGEST_NAME, Snapshot};
use crate::table::{Entrance, Name, Place, Shown};
use crate::web::api::body::JsonBody;
use crate::web::api::menu;
use crate::web::client::ClientAddress;
use crate::web::cookies::Cookie;
use crate::web::error::{ErrorCode, WebError};
use crate::web::pages;
use crate::web::site::is_cross_site;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// Longer than sessions last, unless `TABLE_IDLE_MINUTES` lets them.
const PASS_KEPT: Duration = Duration::from_secs(24 * 3600);
/// The most drinks that a time is asked for.
const MOST_DRINKS: u32 = 1_000;

pub(super) fn router() -> Router<Arc<Desk>> {
    Router::new()
        .route("/t/{token}", get(table_page))
        .route("/menu", get(menu_page))
        .route("/api/tables/door", get(door))
        .route("/api/tables/join", post(join))
        .route("/api/tables/menu", get(show_menu))
        .route("/api/tables/pickup", get(pick_up))
        .route("/api/tables/{session}/cart", get(cart))
}

/// The page says itself what it finds behind the door; what it is answered with is for programs.
async fn table_page(State(desk): State<Arc<Desk>>, token: Result<Path<String>, PathRejection>) -> Response {
    let place = token.map(|Path(token)| Place::Table(token));
    page(place.is_ok_and(|place| desk.tables.has(&place)))
}

async fn menu_page(State(desk): State<Arc<Desk>>) -> Response {
    if desk.tables.has(&Place::Ahead) {
        page(true)
    } else {
        WebError::not_found("there is no such page").into_response()
    }
}

fn page(is_there: bool) -> Response {
    let page = pages::file("table.html");
    if is_there { page } else { (StatusCode::NOT_FOUND, page).into_response() }
}

/// Which door is meant.
#[derive(Deserialize)]
struct AtDoor {
    token: Option<String>,
    ahead: Option<String>,
}

async fn door(
    State(desk): State<Arc<Desk>>,
    headers: HeaderMap,
    asked: Result<Query<AtDoor>, QueryRejection>,
) -> Result<Json<Value>, WebError> {
    let Query(AtDoor { token, ahead }) = asked.map_err(|_| WebError::validation(WHERE))?;
    let is_ahead = ahead.is_some_and(|ahead| matches!(ahead.as_str(), "1" | "true"));
    let place = place(token, is_ahead)?;
    let found = desk.tables.door(&place, &desk.passes(&headers)).await?;
    let (menu, phones) = (desk.shop.menu(), &desk.tables.settings().phones);
    Ok(Json(json!({
        "shop": menu.name(),
        "currency": {"code": menu.currency().code, "symbol": menu.currency().symbol},
        "table": found.table,
        "kind": found.kind,
        "needs": if found.needs_code { "code" } else { "nothing" },
        "session": found.session,
        "region": phones.region.as_str(),
        "text_countries": phones.countries.iter().map(Region::as_str).collect::<Vec<_>>(),
        "texts": desk.texts,
        "time_zone": menu.time_zone().iana_name(),
    })))
}

/// Who wants to join, and where.
#[derive(Deserialize)]
struct Join {
    token: Option<String>,
    #[serde(default)]
    ahead: bool,
    name: Option<String>,
    code: Option<String>,
    invite: Option<String>,
    #[serde(default)]
    private: bool,
}

async fn join(
    State(desk): State<Arc<Desk>>,
    client: ClientAddress,
    uri: Uri,
    headers: HeaderMap,
    JsonBody(body): JsonBody,
) -> Result<Response, WebError> {
    if is_cross_site(&headers, &uri) {
        return Err(WebError::cross_site());
    }
    let shape = "the body has to be an object with name, and token or ahead; code, invite and private where they apply";
    let asked: Join = serde_json::from_slice(&body).map_err(|_| WebError::validation(shape))?;
    let name = asked.name.as_deref().and_then(|name| Name::parse(name, LONGEST_NAME));
    let name = name.ok_or_else(|| {
        WebError::validation(format!("name has to be one line of at most {LONGEST_NAME} characters"))
            .with("field", "name")
    })?;
    let passes = desk.passes(&headers);
    let entrance = Entrance {
        place: place(asked.token, asked.ahead)?,
        name,
        shown: Shown { code: asked.code, invite: asked.invite },
        private: asked.private,
        passes: passes.clone(),
        address: desk.clients.counted_as(client),
    };
    let joined = desk.tables.join(entrance).await?;
    let told = json!({"session": joined.pass.session(), "member_id": joined.member_id, "kind": joined.kind});
    let cookie = desk.cookies.set(Cookie::Guest, &passes.with(joined.pass).to_string(), PASS_KEPT);
    Ok((StatusCode::CREATED, [(header::SET_COOKIE, cookie)], Json(told)).into_response())
}

const WHERE: &str = "say where: the token of a table's code, or ahead";

fn place(token: Option<String>, ahead: bool) -> Result<Place, WebError> {
    match (token, ahead) {
        (Some(token), false) => Ok(Place::Table(token)),
        (None, true) => Ok(Place::Ahead),
        _ => Err(WebError::validation(WHERE)),
    }
}

async fn show_menu(State(desk): State<Arc<Desk>>) -> Json<Value> {
    Json(menu::as_data(&desk.shop, desk.tables.now()))
}

#[derive(Deserialize)]
struct Drinks {
    drinks: Option<u32>,
}

async fn pick_up(
    State(desk): State<Arc<Desk>>,
    asked: Result<Query<Drinks>, QueryRejection>,
) -> Result<Json<Value>, WebError> {
    if !desk.tables.has(&Place::Ahead) {
        return Err(WebError::not_found("orders are not taken ahead"));
    }
    let drinks = asked.ok().map(|Query(Drinks { drinks })| drinks.unwrap_or(1));
    let drinks = drinks.filter(|drinks| (1..=MOST_DRINKS).contains(drinks));
    let drinks = drinks
        .ok_or_else(|| WebError::validation(format!("drinks has to be a whole number from 1 to {MOST_DRINKS}")))?;
    let found = desk.tables.pick_up(drinks).await?;
    let written: Vec<String> = found.times.iter().map(Timestamp::to_string).collect();
    Ok(Json(json!({"times": written, "asap": found.asap.map(|at| at.to_string())})))
}

async fn cart(
    State(desk): State<Arc<Desk>>,
    headers: HeaderMap,
    session: Result<Path<String>, PathRejection>,
) -> Result<Json<Snapshot>, WebError> {
    let Path(session) = session.map_err(|_| WebError::new(ErrorCode::NotFound, "there is no such session"))?;
    Ok(Json(desk.tables.cart(&session, &desk.passes(&headers)).await?))
}
