//! What every sender over HTTP needs: a client that follows no redirects, and what a failure means.
//!
//! Does not know what is sent. Twilio's client has rules of its own, in its room.

use super::error::{SendError, SenderError};
pub(super) use crate::http::{read_bounded, retry_after};
use jiff::Timestamp;
use reqwest::{Client, ClientBuilder, StatusCode, Url};
use std::sync::Arc;

/// Where the time comes from.
pub(super) type Now = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// A client that follows no redirects.
pub(super) fn client(builder: ClientBuilder) -> Result<Client, SenderError> {
    Ok(crate::http::client(builder)?)
}

/// An http or https address with a host.
pub(super) fn address(text: &str) -> Result<Url, SenderError> {
    crate::http::address(text).ok_or(SenderError::Address)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_passing_troubles_are_tried_again() {
        let passing = |code| is_passing(StatusCode::from_u16(code).unwrap());
        assert!([408, 425, 429, 500, 502, 503, 504].into_iter().all(passing));
        assert!(![301, 308, 400, 401, 403, 404, 409, 410, 413, 422].into_iter().any(passing));
    }
}
