//! What every client of an HTTP service needs: to stay at one address, to prove who it is, and of an answer not more than
//! can be held, and when to come back.
//!
//! Knows no service, and nothing of what a failure means: that is each client's.

mod signing;

pub use signing::{SIGNATURE_HEADER, TIMESTAMP_HEADER, signature};

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Client, ClientBuilder, Response, Url, redirect};
use std::time::Duration;

/// Why there is no body.
#[derive(Debug, thiserror::Error)]
pub enum Unread {
    /// It broke off, or came too slowly.
    #[error("the answer broke off")]
    Broken(#[source] reqwest::Error),
    /// It is longer than whoever asked wants to hold.
    #[error("the answer is too long")]
    TooLong,
}

/// A client that follows no redirects: what it sends is meant for one address, and may be signed or carry a token.
///
/// # Errors
/// The client's own, when none can be made.
pub fn client(builder: ClientBuilder) -> reqwest::Result<Client> {
    builder.redirect(redirect::Policy::none()).build()
}

/// An http or https address with a host; `None` for any other text.
pub fn address(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    (matches!(url.scheme(), "http" | "https") && url.has_host()).then_some(url)
}

/// `Retry-After`, in seconds or as an HTTP date (RFC 9110 §10.2.3); one in the past is no wait.
pub fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(Duration::try_from(at.duration_since(now)).unwrap_or_default())
}

/// The answer's body, of at most `most` bytes.
///
/// # Errors
/// [`Unread`]; what was read until then is dropped.
pub async fn read_bounded(mut response: Response, most: usize) -> Result<Vec<u8>, Unread> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| Unread::Broken(error.without_url()))? {
        if body.len() + chunk.len() > most {
            return Err(Unread::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
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
    fn addresses_are_http_and_have_a_host() {
        assert!(address("https://example.com/hook?shop=1").is_some());
        for bad in ["", "example.com", "ftp://example.com", "file:///etc/passwd", "http://"] {
            assert!(address(bad).is_none(), "{bad}");
        }
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

    #[tokio::test]
    async fn a_body_is_read_up_to_its_bound() {
        let read = |length: usize, most| {
            let response = axum::http::Response::new("x".repeat(length));
            read_bounded(Response::from(response), most)
        };
        assert_eq!(read(8, 8).await.unwrap(), b"xxxxxxxx");
        assert_eq!(read(0, 0).await.unwrap(), b"");
        assert!(matches!(read(9, 8).await, Err(Unread::TooLong)));
    }
}
