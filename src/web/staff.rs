//! The door to customers' data: staff come in by their sign-in, programs by the API key.
//!
//! A browser sends the cookie along with whatever a page of ours makes it send, and an open door asks for none: so
//! changes are refused to pages of other sites. Programs with the key are no browsers.

use super::api::document;
use super::cookies::{Cookie, Cookies};
use super::error::WebError;
use super::site::{encoded, is_cross_site};
use crate::staff::{Signed, Staff, TvLink};
use axum::Router;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Redirect, Response};
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, pending};
use secrecy::{ExposeSecret, SecretString};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use subtle::ConstantTimeEq as _;
use tokio_util::sync::CancellationToken;
use utoipa_axum::router::OpenApiRouter;

/// Who came through the door; a handler finds it in the request's extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visitor {
    /// A person at a screen.
    Staff,
    /// A program with the API key.
    Api,
}

impl Visitor {
    /// As it stands in an order's history.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Staff => "staff",
            Self::Api => "api",
        }
    }
}

/// For how long whoever came through a door may stay; a feed ends with it. A handler takes it as an argument.
#[derive(Clone, Default)]
pub struct Stay(Hold);

#[derive(Clone, Default)]
enum Hold {
    /// Nothing that could end lets them in: the API key, an open door, a route without one.
    #[default]
    Nothing,
    SignIn(Signed),
    TvLink(CancellationToken),
}

impl Stay {
    pub(super) fn by_link(until: CancellationToken) -> Self {
        Self(Hold::TvLink(until))
    }

    /// Whether somebody has signed in, and could sign out.
    pub fn is_signed_in(&self) -> bool {
        matches!(self.0, Hold::SignIn(_))
    }

    /// Waits for the end of the stay. While it is waited for, a sign-in counts as used.
    pub fn ended(&self) -> BoxFuture<'static, ()> {
        match &self.0 {
            Hold::Nothing => pending().boxed(),
            Hold::SignIn(signed) => signed.ended().boxed(),
            Hold::TvLink(until) => until.clone().cancelled_owned().boxed(),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Stay {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_default())
    }
}

/// What opens the door.
pub struct Keys {
    /// Who may sign in.
    pub staff: Staff,
    /// How long a browser keeps a sign-in.
    pub staff_session: Duration,
    /// The programs' key.
    pub api_key: Option<SecretString>,
    /// The TV's link, and the address of this server that it begins with; none: the TV's page is for anyone.
    pub tv: Option<(TvLink, String)>,
    /// The server is reachable from this machine only, so that without a password the door stands open.
    pub local: bool,
    /// How browsers keep what lets them in.
    pub cookies: Cookies,
}

/// The door to staff routes, and to the TV's. Cheap to clone.
#[derive(Clone)]
pub struct StaffDoor(pub(super) Arc<Keys>);

impl StaffDoor {
    /// The door that these keys open.
    pub fn new(keys: Keys) -> Self {
        Self(Arc::new(keys))
    }

    /// Whether everybody who reaches this server is staff: nobody signs in, or out.
    pub fn is_open(&self) -> bool {
        self.0.local && !self.0.staff.has_password()
    }

    /// Whether only its own machine reaches this server.
    pub(super) fn is_local(&self) -> bool {
        self.0.local
    }

    /// Puts all routes of a router behind the door.
    pub fn guard(&self, routes: Router) -> Router {
        routes.route_layer(from_fn_with_state(self.clone(), check))
    }

    /// Like [`StaffDoor::guard`], for routes that describe themselves: they tell of the door, too.
    pub fn guard_described(&self, routes: OpenApiRouter) -> OpenApiRouter {
        let mut routes = routes.route_layer(from_fn_with_state(self.clone(), check));
        document::behind_the_door(routes.get_openapi_mut());
        routes
    }

    /// Who sends these headers, if they open the door.
    pub(super) fn admits(&self, headers: &HeaderMap) -> Option<(Visitor, Stay)> {
        if self.is_api_key(headers) {
            return Some((Visitor::Api, Stay::default()));
        }
        let signed = self.0.cookies.sent(headers, Cookie::Staff).find_map(|token| self.0.staff.signed(token));
        let signed = signed.map(|signed| (Visitor::Staff, Stay(Hold::SignIn(signed))));
        signed.or_else(|| self.is_open().then(|| (Visitor::Staff, Stay::default())))
    }

    /// Compares in constant time; nothing is equal to a key that is not set.
    fn is_api_key(&self, headers: &HeaderMap) -> bool {
        let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.split_once(' '));
        let Some((key, (scheme, given))) = self.0.api_key.as_ref().zip(given) else { return false };
        let is_same = key.expose_secret().as_bytes().ct_eq(given.trim().as_bytes());
        scheme.eq_ignore_ascii_case("bearer") && bool::from(is_same)
    }
}

async fn check(State(door): State<StaffDoor>, mut request: Request, next: Next) -> Response {
    let Some((visitor, stay)) = door.admits(request.headers()) else { return turned_away(&request) };
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD);
    if changes && visitor == Visitor::Staff && is_cross_site(request.headers(), request.uri()) {
        return WebError::cross_site().into_response();
    }
    request.extensions_mut().insert(visitor);
    request.extensions_mut().insert(stay);
    kept_by_nobody(next.run(request).await)
}

/// To the sign-in and back again, for somebody who looks at a page; 401 for everything else. A wrong key is a wrong key
/// whatever its program accepts, and counted by its 401.
pub(super) fn turned_away(request: &Request) -> Response {
    let is_program = request.headers().contains_key(header::AUTHORIZATION);
    let accepts = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let looks = matches!(*request.method(), Method::GET | Method::HEAD) && accepts.contains("text/html");
    if is_program || !looks {
        return WebError::unauthenticated().into_response();
    }
    let asked = request.uri().path_and_query().map_or("/barista", |asked| asked.as_str());
    Redirect::to(&format!("/login?next={}", encoded(asked))).into_response()
}

/// What is behind a door stays in no cache, whatever its handler says of it.
pub(super) fn kept_by_nobody(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, OrdersConfig};
    use crate::staff::{Password, Visit};
    use crate::store::{self, Access};
    use jiff::Timestamp;
    use std::net::Ipv4Addr;

    /// A door, and the folder that its sign-ins are kept in.
    async fn door(local: bool, password: Option<&str>, api_key: Option<&str>) -> (StaffDoor, tempfile::TempDir) {
        let dir = tempfile::tempdir().unwrap();
        let store = store::open(&OrdersConfig::json(dir.path()), "main", Access::Write).await.unwrap();
        let config = Config::read(&|name| (name == "DEEPGRAM_API_KEY").then(|| "key".to_owned())).unwrap();
        let password = password.map(|plain| Password::parse(&SecretString::from(plain)).unwrap());
        let staff = Staff::open(&config.server, password, store, Timestamp::now).await.unwrap();
        let door = StaffDoor::new(Keys {
            staff,
            staff_session: config.server.staff_session,
            api_key: api_key.map(SecretString::from),
            tv: None,
            local,
            cookies: Cookies::new(false),
        });
        (door, dir)
    }

    fn with(name: header::HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_str(value).expect("a header"))])
    }

    fn visitor(door: &StaffDoor, headers: &HeaderMap) -> Option<Visitor> {
        door.admits(headers).map(|(visitor, _)| visitor)
    }

    #[tokio::test]
    async fn the_sign_in_and_the_key_open_and_nothing_else_does() {
        let (door, _dir) = door(false, Some("pass:word"), Some("key")).await;
        let signed = door.0.staff.sign_in("pass:word".into(), Visit::new(Ipv4Addr::LOCALHOST.into())).await;
        let token = signed.unwrap_or_else(|error| panic!("{error}")).token;
        let cookie = |text: &str| with(header::COOKIE, text);
        let bearer = |text: &str| with(header::AUTHORIZATION, text);
        let own = format!("staff={}", token.expose());
        assert_eq!(visitor(&door, &cookie(&own)), Some(Visitor::Staff));
        let tossed = format!("staff={}; {own}", "0".repeat(64));
        assert_eq!(visitor(&door, &cookie(&tossed)), Some(Visitor::Staff), "another cookie hides none");
        for key in ["Bearer key", "bearer  key"] {
            assert_eq!(visitor(&door, &bearer(key)), Some(Visitor::Api));
        }
        // The key in the cookie, the cookie as the key, the password in place of either, and what once opened.
        for wrong in [
            cookie("staff=key"),
            cookie("staff=pass:word"),
            cookie(&format!("__Host-{own}")),
            cookie(&format!("tv={}", token.expose())),
            bearer(&format!("Bearer {}", token.expose())),
            bearer("Bearer pass:word"),
            bearer("Bearer"),
            bearer("Bearer "),
            bearer("key"),
            bearer("Digest key"),
            bearer("Basic YW55Ym9keTpwYXNzOndvcmQ="),
            HeaderMap::new(),
        ] {
            assert_eq!(visitor(&door, &wrong), None, "{wrong:?}");
        }
    }

    #[tokio::test]
    async fn only_a_local_server_without_a_password_stands_open() {
        let (open, _dir) = door(true, None, Some("key")).await;
        assert!(open.is_open());
        assert_eq!(visitor(&open, &HeaderMap::new()), Some(Visitor::Staff));
        assert_eq!(visitor(&open, &with(header::AUTHORIZATION, "Bearer key")), Some(Visitor::Api));
        assert_eq!(visitor(&open, &with(header::AUTHORIZATION, "Bearer wrong")), Some(Visitor::Staff));
        for (local, password) in [(true, Some("p")), (false, None)] {
            let (closed, _dir) = door(local, password, None).await;
            assert!(!closed.is_open());
            assert_eq!(visitor(&closed, &HeaderMap::new()), None);
            assert_eq!(visitor(&closed, &with(header::AUTHORIZATION, "Bearer ")), None, "no key is no empty key");
        }
    }
}
