//! The one mapping from what went wrong to an HTTP status, a code and a safe sentence.
//!
//! A handler's error travels as a response extension until `web::guard` renders it, which knows the request's id and
//! the form that the client accepts. Causes with paths or addresses in them are logged, never sent.

use crate::order_service::OrderError;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

/// What a client is told.
#[derive(Clone, Debug)]
pub struct WebError {
    status: StatusCode,
    code: &'static str,
    message: String,
    details: Map<String, Value>,
    /// Asks a browser for the staff password.
    challenge: bool,
}

impl WebError {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), details: Map::new(), challenge: false }
    }

    fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.details.insert(key.to_owned(), value.into());
        self
    }

    /// 404.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NOT_FOUND", message)
    }

    /// 400: something in the request is wrong, and what.
    pub fn validation(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "VALIDATION", message)
    }

    /// 401, asking for the staff password.
    pub fn unauthenticated() -> Self {
        let message = "this is for staff: sign in with the staff password, or send the API key as a bearer token";
        Self { challenge: true, ..Self::new(StatusCode::UNAUTHORIZED, "UNAUTHENTICATED", message) }
    }

    /// 403: a page of another site would have changed something with a staff member's browser.
    pub fn cross_site() -> Self {
        let message = "this comes from another site's page; changes are made from this server's own pages";
        Self::new(StatusCode::FORBIDDEN, "FORBIDDEN", message)
    }

    /// 405.
    pub fn method_not_allowed() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", "this page does not take that method")
    }

    /// 421: a local server was asked as if it were a public one.
    pub fn misdirected() -> Self {
        let message =
            "this server answers on this machine only; set VOICE_HOST to the public host name to serve others";
        Self::new(StatusCode::MISDIRECTED_REQUEST, "MISDIRECTED_REQUEST", message)
    }

    /// The JSON body, in the form that the client accepts.
    pub(super) fn render(&self, correlation_id: &str, request: &HeaderMap) -> Response {
        let accepts = request.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let problem = accepts.contains("application/problem+json");
        let body = if problem {
            json!({
                "type": "about:blank",
                "title": self.status.canonical_reason().unwrap_or("Error"),
                "status": self.status.as_u16(),
                "detail": self.message,
                "code": self.code,
                "details": self.details,
                "correlation_id": correlation_id,
            })
        } else {
            json!({
                "success": false,
                "error": {"code": self.code, "message": self.message, "details": self.details},
                "correlation_id": correlation_id,
            })
        };
        let kind = if problem { "application/problem+json" } else { "application/json" };
        let mut response = (self.status, [(header::CONTENT_TYPE, kind)], body.to_string()).into_response();
        if self.challenge {
            let basic = HeaderValue::from_static("Basic realm=\"staff\", charset=\"UTF-8\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, basic);
        }
        response
    }
}

impl IntoResponse for WebError {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<OrderError> for WebError {
    fn from(error: OrderError) -> Self {
        let message = error.to_string();
        match error {
            OrderError::Empty => Self::validation(message),
            OrderError::Limit { limit, .. } => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "BUSINESS_RULE", message).with("limit", limit)
            }
            OrderError::Closed(_) => Self::new(StatusCode::UNPROCESSABLE_ENTITY, "BUSINESS_RULE", message),
            OrderError::SoldOut(lacking) => Self::new(StatusCode::UNPROCESSABLE_ENTITY, "BUSINESS_RULE", message)
                .with("sold_out", lacking.option)
                .with("field", lacking.field)
                .with("choices", lacking.choices),
            OrderError::NoSlot(no_slot) => {
                let free: Vec<String> = no_slot.next_free.iter().map(ToString::to_string).collect();
                Self::new(StatusCode::CONFLICT, "SLOT_UNAVAILABLE", message).with("next_free", free)
            }
            OrderError::Duplicate { existing } => Self::new(StatusCode::CONFLICT, "DUPLICATE_ORDER", message)
                .with("existing_order_id", existing.order_id.as_str()),
            OrderError::InProgress => Self::new(StatusCode::CONFLICT, "IDEMPOTENCY_IN_PROGRESS", message),
            OrderError::KeyMismatch => Self::new(StatusCode::UNPROCESSABLE_ENTITY, "IDEMPOTENCY_MISMATCH", message),
            OrderError::IdTaken(id) => {
                Self::new(StatusCode::CONFLICT, "DUPLICATE_ORDER", message).with("existing_order_id", id.as_str())
            }
            OrderError::NotFound | OrderError::NoSuchDelivery => Self::not_found(message),
            OrderError::VersionConflict { current } => {
                Self::new(StatusCode::PRECONDITION_FAILED, "VERSION_CONFLICT", message).with("version", current)
            }
            OrderError::InvalidState { .. } | OrderError::TooLate(_) | OrderError::NothingToUndo => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "INVALID_STATE", message)
            }
            OrderError::NotSaved(cause) => {
                tracing::error!("a change could not be saved: {cause}");
                let message = "the change could not be saved; nothing has changed, please try again";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", message)
            }
        }
    }
}
