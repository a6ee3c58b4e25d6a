//! The shop for programs: its menu as data, and its own state, which can be changed.

use super::body::JsonBody;
use super::menu;
use super::request::ShopPatch;
use crate::shop::{ShopKeeper, ShopState};
use crate::web::error::WebError;
use axum::Json;
use axum::extract::State;
use serde_json::Value;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn router(keeper: ShopKeeper) -> OpenApiRouter {
    OpenApiRouter::default().routes(routes!(show_menu)).routes(routes!(state, change)).with_state(keeper)
}

/// The menu
///
/// Every choice with its price, what is sold out, rules and limits. The price of a drink is the sum of its options'.
#[utoipa::path(
    get,
    path = "/api/v1/menu",
    operation_id = "menu",
    tag = "shop",
    responses((status = 200, description = "What is sold.", body = ref("#/components/schemas/Menu"))),
)]
async fn show_menu(State(keeper): State<ShopKeeper>) -> Json<Value> {
    Json(menu::as_data(keeper.shop(), keeper.now()))
}

/// The shop's state
///
/// Whether orders are paused, and what is sold out.
#[utoipa::path(
    get,
    path = "/api/v1/shop",
    operation_id = "shop",
    tag = "shop",
    responses((status = 200, description = "As it is now.", body = ref("#/components/schemas/Shop"))),
)]
async fn state(State(keeper): State<ShopKeeper>) -> Json<ShopState> {
    Json(keeper.shop().state_at(keeper.now()))
}

/// Pause, resume, sell out
///
/// What is left out stays as it is. Agents in calls, tools and screens obey at once; it lasts over restarts.
#[utoipa::path(
    patch,
    path = "/api/v1/shop",
    operation_id = "changeShop",
    tag = "shop",
    request_body = ref("#/components/schemas/ShopPatch"),
    responses(
        (status = 200, description = "As it now is.", body = ref("#/components/schemas/Shop")),
        (status = 422, description = "`BUSINESS_RULE`: the pause would be over already."),
    ),
)]
async fn change(State(keeper): State<ShopKeeper>, JsonBody(body): JsonBody) -> Result<Json<ShopState>, WebError> {
    let change = ShopPatch::parse(&body)?.change(keeper.now());
    Ok(Json(keeper.change(change).await?))
}
