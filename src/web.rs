//! The routes for people and programs, and what holds for every request: an id, a size, an honest host.
//!
//! Handlers turn requests into calls of the order service and its answers into JSON; rules live elsewhere.

pub mod api;
pub mod deliveries;
pub mod error;
mod guard;
pub mod health;
pub mod live;
pub mod orders;
pub mod pages;
pub mod people;
pub mod seed;
pub mod staff;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn;
use error::WebError;

/// Orders, forms and keys are far smaller.
const MAX_BODY_BYTES: usize = 64 << 10;

/// Puts finished routers behind what holds for every request. On a local server (`loopback_only`) requests for another
/// host, or through a proxy, are refused.
pub fn finish(routes: Router, loopback_only: bool) -> Router {
    let routes = routes
        .fallback(async || WebError::not_found("there is no such page"))
        .method_not_allowed_fallback(async || WebError::method_not_allowed())
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES));
    let routes = if loopback_only { routes.layer(from_fn(guard::loopback_only)) } else { routes };
    routes.layer(from_fn(guard::correlate))
}
