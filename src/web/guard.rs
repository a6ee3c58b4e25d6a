//! What holds for every request: an id on it, on its log lines and on its answer; and, on a local server, a caller who
//! really is on this machine.

use super::error::WebError;
use crate::call::CorrelationId;
use crate::config::is_loopback_host;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tracing::Instrument;

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
