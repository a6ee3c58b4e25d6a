//! The routes for people and programs, and what holds for every request: an id, an address, a size, a rate, an honest
//! host, and headers that tell a browser what not to do with the answer; and the server under them.
//!
//! Handlers turn requests into calls of the order service and its answers into JSON; rules live elsewhere.

pub mod api;
mod asking;
pub mod calls;
pub mod client;
pub mod console;
pub mod cookies;
pub mod deliveries;
pub mod error;
mod guard;
pub mod health;
pub mod limits;
pub mod live;
pub mod login;
pub mod metrics;
pub mod orders;
pub mod pages;
pub mod people;
pub mod photos;
pub mod places;
mod progress;
pub mod seed;
pub mod server;
mod site;
pub mod staff;
pub mod tables;
pub mod tv;
pub mod voicemails;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use client::Clients;
use error::WebError;
use limits::Limits;

/// Orders, forms and keys are far smaller.
const MAX_BODY_BYTES: usize = 64 << 10;

/// Puts finished routers behind what holds for every request. On a local server requests for another host, or through a
/// proxy, are refused.
pub fn finish(routes: Router, clients: Clients, limits: Limits) -> Router {
    let routes = routes
        .fallback(async || WebError::not_found("there is no such page"))
        .method_not_allowed_fallback(async || WebError::method_not_allowed())
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(from_fn(progress::in_time))
        .layer(from_fn_with_state(limits, limits::limit));
    let routes = if clients.is_local() { routes.layer(from_fn(guard::loopback_only)) } else { routes };
    let routes = routes.layer(from_fn(guard::own_sockets)).layer(from_fn_with_state(clients, client::tell_apart));
    // Errors are rendered on the way out of `correlate`; what every response carries is added to those as well.
    routes.layer(from_fn(guard::correlate)).layer(from_fn(guard::protect))
}
