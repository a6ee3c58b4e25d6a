//! What every sender over HTTP needs: a client that follows no redirects, bounded answers, and what a failure means.
//!
//! Does not know what is sent. Twilio's client has rules of its own, in its room.

use super::error::{SendError, SenderError};
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Client, ClientBuilder, Response, StatusCode, Url, redirect};
use std::sync::Arc;
use std::time::Duration;

/// Where the time comes from.
pub(super) type Now = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Redirects are not followed: what is sent is meant for one address, and may be signed or carry a token.
pub(super) fn client(builder: ClientBuilder) -> Result<Client, SenderError> {
    Ok(builder.redirect(redirect::Policy::none()).build()?)
}

/// An http or https address with a host.
pub(super) fn address(text: &str) -> Result<Url, SenderError> {
    let url = Url::parse(text).map_err(|_| SenderError::Address)?;
    if matches!(url.scheme(), "http" | "https") && url.has_host() { Ok(url) } else { Err(SenderError::Address) }
}

/// What it means that a request got no answer. Without a connection nothing was sent, so nothing can happen twice.
pub(super) fn no_answer(service: &str, error: &reqwest::Error) -> SendError {
    if error.is_connect() {
        SendError::busy(None, format!("{service} cannot be reached"))
    } else if error.is_timeout() {
        SendError::unknown(format!("{service} did not answer in time"))
    } else {
        SendError::unknown(format!("{service} broke off before it had answered"))
    }
}

/// Whether an answer means that the same request may succeed later.
pub(super) fn is_passing(status: StatusCode) -> bool {
    matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS)
        || status.is_server_error()
}

/// `Retry-After`, in seconds or as an HTTP date (RFC 9110 §10.2.3); one in the past is no wait.
pub(super) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(Duration::try_from(at.duration_since(now)).unwrap_or_default())
}

/// The answer's body, unless it breaks off or is longer than `most` bytes.
pub(super) async fn read_bounded(mut response: Response, most: usize) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.ok()? {
        if body.len() + chunk.len() > most {
            return None;
        }
        body.extend_from_slice(&chunk);
    }
    Some(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(header: &str) -> Option<u64> {
        let headers = HeaderMap::from_iter([(RETRY_AFTER, header.parse().unwrap())]);
        let now = "1994-11-06T08:49:30Z".parse().unwrap();
        retry_after(&headers, now).map(|wait| wait.as_secs())
    }

    #[test]
    fn retry_after_is_understood_in_both_forms() {
        assert_eq!(wait("7"), Some(7));
        assert_eq!(wait(" 120 "), Some(120));
        assert_eq!(wait("Sun, 06 Nov 1994 08:49:37 GMT"), Some(7));
        assert_eq!(wait("Sun, 06 Nov 1994 08:00:00 GMT"), Some(0), "in the past");
        for nonsense in ["", "-1", "1.5", "soon", "Sun, 32 Nov 1994 08:49:37 GMT", "99999999999999999999"] {
            assert_eq!(wait(nonsense), None, "{nonsense}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), Timestamp::UNIX_EPOCH), None);
    }

    #[test]
    fn only_passing_troubles_are_tried_again() {
        let passing = |code| is_passing(StatusCode::from_u16(code).unwrap());
        assert!([408, 425, 429, 500, 502, 503, 504].into_iter().all(passing));
        assert!(![301, 308, 400, 401, 403, 404, 409, 410, 413, 422].into_iter().any(passing));
    }

    #[test]
    fn addresses_are_http_and_have_a_host() {
        assert!(address("https://example.com/hook?shop=1").is_ok());
        for bad in ["", "example.com", "ftp://example.com", "file:///etc/passwd", "http://"] {
            assert!(address(bad).is_err(), "{bad}");
        }
    }
}
