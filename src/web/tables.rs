//! Tables over HTTP: the guests' page with what it asks for, their live socket, and what staff do about tables.
//!
//! A guest is known by a cookie that holds their [`Passes`]; what a pass lets them do is the room `table`'s to say.

mod guests;
mod qr;
mod socket;
mod staff;

use super::client::Clients;
use super::cookies::{Cookie, Cookies};
use super::error::{ErrorCode, WebError};
use super::staff::StaffDoor;
use crate::shop::Shop;
use crate::table::{JoinError, Passes, TableError, Tables, Turned};
use axum::Router;
use axum::http::HeaderMap;
use std::sync::Arc;
use std::time::Duration;
use utoipa_axum::router::OpenApiRouter;

/// What the routes of tables work with.
pub struct Desk {
    /// The tables.
    pub tables: Tables,
    /// The shop that they are in.
    pub shop: Shop,
    /// Whose request it is.
    pub clients: Clients,
    /// How browsers keep what lets guests come back.
    pub cookies: Cookies,
    /// Whether texts are sent at all.
    pub texts: bool,
    /// The address of this server, as links begin: scheme and host.
    pub base: String,
}

/// For guests: `/t/{token}`, `/menu`, `/api/tables/…`, `/ws/tables/{session}`.
pub fn router(desk: Arc<Desk>) -> Router {
    guests::router().merge(socket::router()).with_state(desk)
}

/// For staff and programs with the key: `/api/v1/tables…`.
pub fn described(desk: Arc<Desk>, door: &StaffDoor) -> OpenApiRouter {
    door.guard_described(staff::router().with_state(desk))
}

impl Desk {
    /// What a browser has shown.
    fn passes(&self, headers: &HeaderMap) -> Passes {
        self.cookies.sent(headers, Cookie::Guest).next().map(Passes::parse).unwrap_or_default()
    }
}

impl From<JoinError> for WebError {
    fn from(error: JoinError) -> Self {
        let message = format!("{error}.");
        match error {
            JoinError::NoTable => Self::not_found(message),
            JoinError::NeedsCode | JoinError::WrongCode => {
                Self::new(ErrorCode::Forbidden, message).with("needs", "code")
            }
            JoinError::Locked(wait) => {
                Self::new(ErrorCode::RateLimited, message).with("needs", "code").retry_after(seconds(wait))
            }
            JoinError::TooMany(wait) => Self::new(ErrorCode::RateLimited, message).retry_after(seconds(wait)),
            JoinError::Full => Self::new(ErrorCode::BusinessRule, message),
            JoinError::Busy => Self::new(ErrorCode::Unavailable, message),
        }
    }
}

impl From<Turned> for WebError {
    fn from(turned: Turned) -> Self {
        match turned {
            Turned::NotMember => Self::new(ErrorCode::Unauthenticated, "this browser has not joined; join first"),
            Turned::Over => Self::not_found("there is no such session; it may be over"),
            Turned::GoingAway => {
                Self::new(ErrorCode::Unavailable, "the server starts anew; please try again").retry_after(1)
            }
        }
    }
}

impl From<TableError> for WebError {
    fn from(error: TableError) -> Self {
        let message = error.to_string();
        match error {
            TableError::NotFound => Self::not_found(message),
            TableError::NameTaken(_) | TableError::TooMany => Self::new(ErrorCode::BusinessRule, message),
            TableError::NotSaved(error) => {
                tracing::error!("a table could not be saved: {error}");
                Self::new(ErrorCode::Unavailable, "the table cannot be saved at the moment; please try again")
            }
        }
    }
}

/// Whole seconds, rounded up: who comes back then is let in.
fn seconds(wait: Duration) -> u32 {
    u32::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u32::MAX)
}
