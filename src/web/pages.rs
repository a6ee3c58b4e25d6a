//! The pages, served from the binary (from the folder in debug builds), and what they need to know of the shop.

use super::error::WebError;
use super::staff::StaffDoor;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use rust_embed::RustEmbed;
use serde_json::{Value, json};
use std::sync::Arc;

#[derive(RustEmbed)]
#[folder = "static/"]
struct Static;

/// What anybody may know of the shop.
#[derive(Clone, Debug)]
pub struct ShopCard {
    /// Its name.
    pub name: String,
    /// The number to dial, E.164.
    pub phone: Option<String>,
}

/// `/`, `/static/…`, `/shop.json`; behind the TV's link, where there is one, `/orders`; behind the door, `/barista` and the pages of tables.
pub fn router(shop: ShopCard, door: &StaffDoor) -> Router {
    let public = Router::new()
        .route("/", get(async || file("index.html")))
        .route("/favicon.ico", get(async || file("favicon.svg")))
        .route(
            "/static/{*path}",
            get(async |path: Result<Path<String>, PathRejection>| {
                file(&path.map(|Path(path)| path).unwrap_or_default())
            }),
        )
        .route("/shop.json", get(shop_json))
        .with_state(Arc::new(shop));
    let tv = door.guard_tv(Router::new().route("/orders", get(async || file("orders.html"))));
    let staff = Router::new()
        .route("/barista", get(async || file("barista.html")))
        .route("/barista/tables", get(async || file("tables.html")))
        .route("/barista/tables/sheet", get(async || file("tables-sheet.html")));
    public.merge(tv).merge(door.guard(staff))
}

async fn shop_json(State(shop): State<Arc<ShopCard>>) -> Json<Value> {
    Json(json!({"name": shop.name, "phone": shop.phone}))
}

/// A file of the pages, or 404.
pub(super) fn file(path: &str) -> Response {
    let Some(found) = Static::get(path) else { return WebError::not_found("there is no such page").into_response() };
    let kind = match path.rsplit_once('.').map(|(_, ending)| ending) {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    };
    let headers = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-cache")];
    (headers, found.data.into_owned()).into_response()
}
