//! What Square says: an order, a page of orders, or an array of errors.
//!
//! Knows no request: what an error means for a ticket is all that is decided here.

use super::super::words::{cut, sentence};
use super::super::{Accepted, PosError, unclear};
use super::SERVICE;
use reqwest::StatusCode;
use serde::Deserialize;
use std::collections::HashMap;

/// The metadata entry that holds a ticket's key.
pub(super) const TICKET_ENTRY: &str = "ticket";
/// Square's order ids are at most this long, in characters.
const MOST_ID: usize = 192;

/// The answer to `CreateOrder`.
#[derive(Debug, Deserialize)]
pub(super) struct Created {
    pub(super) order: FoundOrder,
}

/// The answer to `SearchOrders`; without any order it is an empty object.
#[derive(Debug, Deserialize)]
pub(super) struct Page {
    #[serde(default)]
    pub(super) orders: Vec<FoundOrder>,
    pub(super) cursor: Option<String>,
}

/// As much of an order of Square's as is of interest here.
#[derive(Debug, Deserialize)]
pub(super) struct FoundOrder {
    id: String,
    state: Option<String>,
    metadata: Option<HashMap<String, String>>,
}

impl FoundOrder {
    /// Whether it was made of the ticket with this key.
    pub(super) fn is_of(&self, key: &str) -> bool {
        self.metadata.as_ref().and_then(|metadata| metadata.get(TICKET_ENTRY)).is_some_and(|ticket| ticket == key)
    }

    /// An order that was cancelled at the till is not there to be made.
    pub(super) fn accepted(&self) -> Result<Accepted, PosError> {
        if self.state.as_deref() == Some("CANCELED") {
            return Err(PosError::Refused(format!("the order was cancelled in {SERVICE}")));
        }
        Ok(Accepted { reference: cut(&self.id, MOST_ID) })
    }
}

#[derive(Debug, Deserialize)]
struct Errors {
    errors: Vec<Error>,
}

#[derive(Debug, Deserialize)]
struct Error {
    category: String,
    code: String,
    detail: Option<String>,
}

/// What an answer means that is no success. Only Square's own word that the request itself is wrong is a refusal: what is
/// wrong with the account, the line or Square may be put right, and the order is then still wanted.
pub(super) fn refusal(status: StatusCode, body: &[u8]) -> PosError {
    let errors = serde_json::from_slice::<Errors>(body).map(|answer| answer.errors).unwrap_or_default();
    let Some(error) = errors.first() else {
        return unclear(format!("{SERVICE} answered HTTP {}", status.as_u16()));
    };
    let of_the_request = matches!(status, StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY)
        && error.category == "INVALID_REQUEST_ERROR";
    let code = cut(&error.code, 60).unwrap_or_default();
    match error.code.as_str() {
        // It has an order of this key, which is another.
        "IDEMPOTENCY_KEY_REUSED" => unclear(format!("{SERVICE} has another order under this one's key")),
        _ if of_the_request => {
            let detail = error.detail.as_deref().and_then(sentence).unwrap_or(code);
            PosError::Refused(format!("{SERVICE} refused it: {detail}"))
        }
        _ if error.category == "AUTHENTICATION_ERROR" => {
            unclear(format!("{SERVICE} does not let SQUARE_ACCESS_TOKEN do this: {code}"))
        }
        _ => unclear(format!("{SERVICE} cannot take it now: HTTP {}, {code}", status.as_u16())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn said(status: u16, category: &str, code: &str) -> PosError {
        let body = json!({"errors": [{"category": category, "code": code, "detail": "Line\n1 is wrong."}]});
        refusal(StatusCode::from_u16(status).unwrap(), body.to_string().as_bytes())
    }

    #[test]
    fn only_a_wrong_request_is_refused() {
        let refused = said(400, "INVALID_REQUEST_ERROR", "INVALID_VALUE");
        assert_eq!(refused, PosError::Refused("Square refused it: Line 1 is wrong".to_owned()));
        for (status, category, code) in [
            (400, "INVALID_REQUEST_ERROR", "IDEMPOTENCY_KEY_REUSED"),
            (401, "AUTHENTICATION_ERROR", "UNAUTHORIZED"),
            (403, "AUTHENTICATION_ERROR", "INSUFFICIENT_SCOPES"),
            (404, "INVALID_REQUEST_ERROR", "NOT_FOUND"),
            (429, "RATE_LIMIT_ERROR", "RATE_LIMITED"),
            (500, "API_ERROR", "INTERNAL_SERVER_ERROR"),
            (503, "API_ERROR", "SERVICE_UNAVAILABLE"),
        ] {
            assert!(matches!(said(status, category, code), PosError::Unclear(_)), "{code}");
        }
        for strange in ["", "<html>", "{}", r#"{"errors":[]}"#, r#"{"errors":[{"code":"X"}]}"#] {
            let error = refusal(StatusCode::BAD_REQUEST, strange.as_bytes());
            assert_eq!(error, PosError::Unclear("Square answered HTTP 400".to_owned()), "{strange}");
        }
    }

    #[test]
    fn an_order_is_known_by_its_ticket_and_dead_when_it_was_cancelled() {
        let read = |value| serde_json::from_value::<FoundOrder>(value).unwrap();
        let open = read(json!({"id": "abc", "state": "OPEN", "metadata": {"ticket": "ORD-main-1:1"}, "version": 1}));
        assert!(open.is_of("ORD-main-1:1") && !open.is_of("ORD-main-1:2"));
        assert_eq!(open.accepted(), Ok(Accepted { reference: Some("abc".to_owned()) }));
        assert!(!read(json!({"id": "abc"})).is_of("ORD-main-1:1"), "not one of ours");
        assert!(matches!(read(json!({"id": "abc", "state": "CANCELED"})).accepted(), Err(PosError::Refused(_))));
        assert!(serde_json::from_value::<Page>(json!({})).unwrap().orders.is_empty());
    }
}
