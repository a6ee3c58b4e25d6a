//! The TV's own door, where the shop has set `TV_TOKEN`: a link that staff can see and revoke. Without it there is none.

use super::api::document;
use super::client::ClientAddress;
use super::cookies::Cookie;
use super::error::{ErrorCode, WebError};
use super::site::encoded;
use super::staff::{StaffDoor, Stay, kept_by_nobody, turned_away};
use crate::staff::{TooMany, TvLink};
use axum::extract::{Query, Request, State};
use axum::http::{Method, Uri, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use std::net::IpAddr;
use std::time::Duration;
use utoipa_axum::router::OpenApiRouter;

/// A TV that nobody touches stays in for so long.
const PASS_KEPT: Duration = Duration::from_secs(365 * 24 * 3600);
/// The page that the link leads to.
const PAGE: &str = "/orders";

#[derive(Deserialize)]
struct Shown {
    token: String,
}

impl StaffDoor {
    /// Puts the TV's routes behind its link, where there is one. Staff come in as well.
    pub fn guard_tv(&self, routes: Router) -> Router {
        match self.0.tv {
            Some(_) => routes.route_layer(from_fn_with_state(self.clone(), check)),
            None => routes,
        }
    }

    /// Like [`StaffDoor::guard_tv`], for routes that describe themselves.
    pub fn guard_tv_described(&self, routes: OpenApiRouter) -> OpenApiRouter {
        if self.0.tv.is_none() {
            return routes;
        }
        let mut routes = routes.route_layer(from_fn_with_state(self.clone(), check));
        document::behind_the_door(routes.get_openapi_mut());
        routes
    }

    fn link(&self) -> Option<&TvLink> {
        self.0.tv.as_ref().map(|(link, _)| link)
    }

    fn address(&self) -> Option<String> {
        let (link, base) = self.0.tv.as_ref()?;
        Some(format!("{base}{PAGE}?token={}", encoded(&link.token())))
    }
}

/// What staff need to open the TV's page on another device, and to take it back: `/barista/tv.json` and
/// `/barista/tv/revoke`.
pub fn router(door: &StaffDoor) -> Router {
    let routes = Router::new().route("/barista/tv.json", get(link)).route("/barista/tv/revoke", post(revoke));
    door.guard(routes.with_state(door.clone()))
}

async fn link(State(door): State<StaffDoor>) -> Json<Value> {
    Json(json!({"link": door.address()}))
}

async fn revoke(State(door): State<StaffDoor>) -> Result<Json<Value>, WebError> {
    let link = door.link().ok_or_else(|| WebError::not_found("the TV has no link here: TV_TOKEN is not set"))?;
    link.revoke().await.map_err(|error| {
        tracing::error!("that the TV's link was revoked cannot be kept: {error}");
        WebError::new(ErrorCode::Unavailable, "the link could not be revoked, and still opens; please try again")
    })?;
    tracing::info!("the TV's link was revoked");
    Ok(Json(json!({"link": door.address()})))
}

async fn check(
    State(door): State<StaffDoor>,
    ClientAddress(from): ClientAddress,
    mut request: Request,
    next: Next,
) -> Response {
    let pass = pass_of_the_link(&door, from, request.method(), request.uri());
    if let Ok(Some(pass)) = &pass {
        let cookie = door.0.cookies.set(Cookie::Tv, pass, PASS_KEPT);
        // Away from the address that holds the token: it is not to stand in the browser's bar.
        return ([(header::SET_COOKIE, cookie)], Redirect::to(PAGE)).into_response();
    }
    // Staff first: their stay does not end with the link.
    let stay = door.admits(request.headers()).map(|(_, stay)| stay).or_else(|| {
        let link = door.link()?;
        let until = door.0.cookies.sent(request.headers(), Cookie::Tv).find_map(|pass| link.holds(pass))?;
        Some(Stay::by_link(until))
    });
    let Some(stay) = stay else {
        return pass.map_or_else(|error| too_many(error).into_response(), |_| turned_away(&request));
    };
    request.extensions_mut().insert(stay);
    kept_by_nobody(next.run(request).await)
}

/// What the browser is given for a link that opens.
fn pass_of_the_link(door: &StaffDoor, from: IpAddr, method: &Method, uri: &Uri) -> Result<Option<String>, TooMany> {
    let is_page = method == Method::GET && uri.path() == PAGE;
    let shown = Query::<Shown>::try_from_uri(uri).ok().filter(|_| is_page);
    match shown.zip(door.link()) {
        Some((Query(shown), link)) => door.0.staff.try_tv(link, &shown.token, from),
        None => Ok(None),
    }
}

fn too_many(error: TooMany) -> WebError {
    WebError::new(ErrorCode::RateLimited, error.to_string()).retry_after(error.retry_after)
}
