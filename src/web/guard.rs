//! What holds for every request: an id on it, on its log lines and on its answer; headers that tell browsers what not to
//! do with that; no socket for a page of another site; and, on a local server, a caller who really is on this machine.

use super::error::WebError;
use super::site::is_cross_site;
use crate::call::CorrelationId;
use crate::config::is_loopback_host;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tracing::Instrument;

/// What a page may load and who may show it. Nothing is inline, nothing comes from elsewhere.
const PAGE_POLICY: &str =
    "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; object-src 'none'";
/// What is no page loads nothing, should a browser ever show it as one.
const OTHER_POLICY: &str = "default-src 'none'; frame-ancestors 'none'";

const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");

/// Takes over the client's id if it sent a sane one, else makes one; renders errors with it.
pub(super) async fn correlate(mut request: Request, next: Next) -> Response {
    let id = request
        .headers()
        .get(CORRELATION_ID)
        .and_then(|value| value.to_str().ok())
        .filter(|id| is_sane(id))
        .map_or_else(|| format!("req_{:016x}", rand::random::<u64>()), str::to_owned);
    request.extensions_mut().insert(CorrelationId(id.clone()));
    let headers = request.headers().clone();
    // At the level of errors, so that no `LOG_LEVEL` takes the id off an error.
    let span = tracing::error_span!("request", correlation.id = %id);
    let mut response = next.run(request).instrument(span).await;
    if let Some(error) = response.extensions_mut().remove::<WebError>() {
        response = error.render(&id, &headers);
    }
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(CORRELATION_ID, value);
    }
    response
}

/// Puts on every answer what keeps browsers from guessing, framing, telling and keeping. That https is to be used
/// (`Strict-Transport-Security`) is for the proxy to say, which speaks it.
pub(super) async fn protect(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let is_page = headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    let policy = if is_page { PAGE_POLICY } else { OTHER_POLICY };
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CONTENT_SECURITY_POLICY, policy),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // What may be kept says so itself.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Refuses WebSockets that another site's page opens: unlike a request, the page could read what comes back. Programs,
/// such as Twilio, are no pages and tell of none.
pub(super) async fn own_sockets(request: Request, next: Next) -> Response {
    let upgrades = request.headers().get_all(header::UPGRADE).iter();
    let mut wanted = upgrades.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    if wanted.any(|one| one.trim().eq_ignore_ascii_case("websocket")) && is_cross_site(request.headers(), request.uri())
    {
        return WebError::cross_site().into_response();
    }
    next.run(request).await
}

/// Refuses requests for another host, and those that a proxy forwards: behind one, every stranger looks local.
pub(super) async fn loopback_only(request: Request, next: Next) -> Response {
    if is_local(request.headers(), request.uri().host()) {
        next.run(request).await
    } else {
        WebError::misdirected().into_response()
    }
}

fn is_local(headers: &HeaderMap, target: Option<&str>) -> bool {
    const FORWARDED: [&str; 5] = ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip"];
    let host = headers.get(header::HOST).map_or(target, |value| value.to_str().ok());
    host.is_some_and(is_loopback_host) && !FORWARDED.iter().any(|name| headers.contains_key(*name))
}

fn is_sane(id: &str) -> bool {
    (1..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn a_local_server_answers_loopback_hosts_and_no_proxies() {
        for host in ["localhost:8000", "127.0.0.1:8000", "[::1]:8000", "LOCALHOST"] {
            assert!(is_local(&headers(&[("host", host)]), None), "{host}");
        }
        for host in ["voice.example.com", "127.0.0.1.example.com", "10.0.0.1", ""] {
            assert!(!is_local(&headers(&[("host", host)]), None), "{host}");
        }
        assert!(!is_local(&HeaderMap::new(), None));
        for name in ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip"] {
            assert!(!is_local(&headers(&[("host", "localhost"), (name, "192.0.2.1")]), None), "{name}");
        }
    }

    #[test]
    fn only_sane_ids_are_taken_over() {
        assert!(is_sane("req_abc-1.2"));
        for id in ["", "a b", "a\nb", "ä", &"x".repeat(65)] {
            assert!(!is_sane(id), "{id:?}");
        }
    }
}
