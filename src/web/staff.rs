//! Who may see customers' data: staff with the password (HTTP Basic, any user name) and programs with the API key.
//!
//! A browser sends the password along with whatever any page makes it send, and an open door asks for none: so changes
//! are refused to pages of other sites. Programs with the key are no browsers.

use super::api::document;
use super::error::WebError;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, Method, Uri, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use std::sync::Arc;
use subtle::ConstantTimeEq as _;
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

/// The door to staff routes. Cheap to clone.
#[derive(Clone)]
pub struct StaffDoor(Arc<Keys>);

struct Keys {
    password: Option<SecretString>,
    api_key: Option<SecretString>,
    /// A local server without a password is open.
    open: bool,
}

impl StaffDoor {
    /// `local`: the server is reachable from this machine only, so that without a password the door stands open.
    pub fn new(password: Option<SecretString>, api_key: Option<SecretString>, local: bool) -> Self {
        let open = local && password.is_none();
        Self(Arc::new(Keys { password, api_key, open }))
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

    fn admits(&self, headers: &HeaderMap) -> Option<Visitor> {
        self.knows(headers).or(self.0.open.then_some(Visitor::Staff))
    }

    fn knows(&self, headers: &HeaderMap) -> Option<Visitor> {
        let given = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
        let (scheme, credentials) = given.split_once(' ')?;
        if scheme.eq_ignore_ascii_case("basic") {
            let decoded = STANDARD.decode(credentials.trim()).unwrap_or_default();
            let password = decoded.iter().position(|byte| *byte == b':').and_then(|colon| decoded.get(colon + 1..));
            same(self.0.password.as_ref(), password.unwrap_or_default()).then_some(Visitor::Staff)
        } else if scheme.eq_ignore_ascii_case("bearer") {
            same(self.0.api_key.as_ref(), credentials.trim().as_bytes()).then_some(Visitor::Api)
        } else {
            None
        }
    }
}

async fn check(State(door): State<StaffDoor>, mut request: Request, next: Next) -> Response {
    let Some(visitor) = door.admits(request.headers()) else { return WebError::unauthenticated().into_response() };
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD);
    if changes && visitor == Visitor::Staff && is_cross_site(request.headers(), request.uri()) {
        return WebError::cross_site().into_response();
    }
    request.extensions_mut().insert(visitor);
    next.run(request).await
}

/// Whether a page of another site has sent this: its browser says so itself, or its origin is not this host.
fn is_cross_site(headers: &HeaderMap, target: &Uri) -> bool {
    let value = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let site = value(HeaderName::from_static("sec-fetch-site"));
    if site.is_some_and(|site| site.eq_ignore_ascii_case("cross-site") || site.eq_ignore_ascii_case("same-site")) {
        return true;
    }
    let Some(origin) = value(header::ORIGIN) else { return false };
    let host = value(header::HOST).or_else(|| target.authority().map(|authority| authority.as_str()));
    // `null`, the origin of a page that hides where it is from, has no host.
    match (origin.split_once("://"), host) {
        (Some((scheme, from)), Some(host)) => !is_same_host(scheme, from, host),
        _ => true,
    }
}

/// A scheme's own port may be written or left out; a TLS proxy may add it to `Host`.
fn is_same_host(scheme: &str, from: &str, host: &str) -> bool {
    let port = if scheme.eq_ignore_ascii_case("https") { ":443" } else { ":80" };
    let bare = |host: &str| host.strip_suffix(port).unwrap_or(host).to_ascii_lowercase();
    bare(from) == bare(host)
}

/// Compares in constant time; nothing is equal to a secret that is not set.
fn same(secret: Option<&SecretString>, given: &[u8]) -> bool {
    secret.is_some_and(|secret| bool::from(secret.expose_secret().as_bytes().ct_eq(given)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn door(local: bool, password: Option<&str>, api_key: Option<&str>) -> StaffDoor {
        StaffDoor::new(password.map(SecretString::from), api_key.map(SecretString::from), local)
    }

    fn with(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_str(value).expect("a header"))])
    }

    #[test]
    fn the_password_and_the_key_open_and_nothing_else_does() {
        let door = door(false, Some("pass:word"), Some("key"));
        let basic = |text: &str| with(&format!("Basic {}", STANDARD.encode(text)));
        assert_eq!(door.admits(&basic("anyone:pass:word")), Some(Visitor::Staff));
        assert_eq!(door.admits(&with("Bearer key")), Some(Visitor::Api));
        assert_eq!(door.admits(&with("bearer  key")), Some(Visitor::Api));
        for wrong in [basic("anyone:wrong"), basic("pass:word"), basic(""), with("Basic ???"), with("Bearer pass:word")]
        {
            assert_eq!(door.admits(&wrong), None, "{wrong:?}");
        }
        for wrong in ["Bearer", "Bearer ", "key", "Digest key"] {
            assert_eq!(door.admits(&with(wrong)), None, "{wrong:?}");
        }
        assert_eq!(door.admits(&HeaderMap::new()), None);
    }

    #[test]
    fn a_secret_that_is_not_set_opens_nothing() {
        let door = door(false, None, None);
        for empty in ["Bearer ", "Basic Og==", "Basic "] {
            assert_eq!(door.admits(&with(empty)), None, "{empty}");
        }
    }

    #[test]
    fn only_a_local_server_without_a_password_stands_open() {
        let open = door(true, None, Some("key"));
        assert_eq!(open.admits(&HeaderMap::new()), Some(Visitor::Staff));
        assert_eq!(open.admits(&with("Bearer key")), Some(Visitor::Api));
        assert_eq!(open.admits(&with("Bearer wrong")), Some(Visitor::Staff));
        assert_eq!(door(true, Some("p"), None).admits(&HeaderMap::new()), None);
        assert_eq!(door(false, None, None).admits(&HeaderMap::new()), None);
    }

    #[test]
    fn a_page_of_another_site_is_told_from_our_own() {
        let is_cross = |pairs: &[(&'static str, &'static str)]| {
            let pairs =
                pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
            is_cross_site(&pairs.collect(), &Uri::from_static("/api/seed"))
        };
        for ours in [
            &[][..],
            &[("host", "shop.example")],
            &[("host", "shop.example"), ("sec-fetch-site", "same-origin")],
            &[("host", "shop.example"), ("sec-fetch-site", "none")],
            &[("host", "shop.example"), ("origin", "https://shop.example")],
            &[("host", "shop.example:443"), ("origin", "https://SHOP.example")],
            &[("host", "localhost:8000"), ("origin", "http://localhost:8000")],
            &[("host", "[::1]:8000"), ("origin", "http://[::1]:8000")],
        ] {
            assert!(!is_cross(ours), "{ours:?}");
        }
        for theirs in [
            &[("host", "shop.example"), ("sec-fetch-site", "cross-site")][..],
            &[("host", "shop.example"), ("sec-fetch-site", "Same-Site")],
            &[("host", "shop.example"), ("sec-fetch-site", "same-origin"), ("origin", "https://evil.example")],
            &[("host", "shop.example"), ("origin", "https://shop.example.evil.example")],
            &[("host", "shop.example"), ("origin", "null")],
            &[("host", "shop.example"), ("origin", "")],
            &[("host", "localhost:8000"), ("origin", "http://localhost:3000")],
            &[("host", "localhost:8000"), ("origin", "http://localhost")],
            &[("host", "localhost:443"), ("origin", "http://localhost")],
            &[("origin", "https://shop.example")],
        ] {
            assert!(is_cross(theirs), "{theirs:?}");
        }
    }
}
