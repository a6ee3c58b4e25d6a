//! The one mapping from what went wrong to an HTTP status, a code and a safe sentence.
//!
//! A handler's error travels as a response extension until `web::guard` renders it, which knows the request's id and
//! the form that the client accepts. Causes with paths or addresses in them are logged, never sent.

use super::api::request::{Refused, Weight};
use crate::order_service::OrderError;
use crate::shop::{KeepError, StateError};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

/// The codes of the contract, and four for faults of HTTP itself. Each has one status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorCode {
    /// Something in the request is wrong.
    Validation,
    /// Nobody has signed in.
    Unauthenticated,
    /// Whoever asks may not.
    Forbidden,
    /// There is no such thing.
    NotFound,
    /// The route does not take that method.
    MethodNotAllowed,
    /// The body has not come in time.
    RequestTimeout,
    /// The same customer ordered the same a moment ago.
    DuplicateOrder,
    /// The request with that key is still being carried out.
    IdempotencyInProgress,
    /// A price was given, and it is not ours.
    PriceMismatch,
    /// The time asked for is full or closed.
    SlotUnavailable,
    /// The version asked for is not the order's any more.
    VersionConflict,
    /// More than a body may hold.
    PayloadTooLarge,
    /// The body is not JSON by its own account.
    UnsupportedMediaType,
    /// Asked for under a name that is not this server's.
    MisdirectedRequest,
    /// The status does not allow it.
    InvalidState,
    /// A rule of the shop forbids it.
    BusinessRule,
    /// The key was used for another request.
    IdempotencyMismatch,
    /// A change has to name the version it changes.
    VersionRequired,
    /// Too many requests.
    RateLimited,
    /// Something broke.
    Internal,
    /// A service that this one depends on failed.
    Integration,
    /// Not now.
    Unavailable,
}

impl ErrorCode {
    /// Every code, by status.
    pub const ALL: [ErrorCode; 22] = [
        Self::Validation,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::RequestTimeout,
        Self::DuplicateOrder,
        Self::IdempotencyInProgress,
        Self::PriceMismatch,
        Self::SlotUnavailable,
        Self::VersionConflict,
        Self::PayloadTooLarge,
        Self::UnsupportedMediaType,
        Self::MisdirectedRequest,
        Self::InvalidState,
        Self::BusinessRule,
        Self::IdempotencyMismatch,
        Self::VersionRequired,
        Self::RateLimited,
        Self::Internal,
        Self::Integration,
        Self::Unavailable,
    ];

    /// As clients read it: `NOT_FOUND`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Validation => "VALIDATION",
            Self::Unauthenticated => "UNAUTHENTICATED",
            Self::Forbidden => "FORBIDDEN",
            Self::NotFound => "NOT_FOUND",
            Self::MethodNotAllowed => "METHOD_NOT_ALLOWED",
            Self::RequestTimeout => "REQUEST_TIMEOUT",
            Self::DuplicateOrder => "DUPLICATE_ORDER",
            Self::IdempotencyInProgress => "IDEMPOTENCY_IN_PROGRESS",
            Self::PriceMismatch => "PRICE_MISMATCH",
            Self::SlotUnavailable => "SLOT_UNAVAILABLE",
            Self::VersionConflict => "VERSION_CONFLICT",
            Self::PayloadTooLarge => "PAYLOAD_TOO_LARGE",
            Self::UnsupportedMediaType => "UNSUPPORTED_MEDIA_TYPE",
            Self::MisdirectedRequest => "MISDIRECTED_REQUEST",
            Self::InvalidState => "INVALID_STATE",
            Self::BusinessRule => "BUSINESS_RULE",
            Self::IdempotencyMismatch => "IDEMPOTENCY_MISMATCH",
            Self::VersionRequired => "VERSION_REQUIRED",
            Self::RateLimited => "RATE_LIMITED",
            Self::Internal => "INTERNAL",
            Self::Integration => "INTEGRATION",
            Self::Unavailable => "UNAVAILABLE",
        }
    }

    /// The status that goes with it.
    pub const fn status(self) -> StatusCode {
        match self {
            Self::Validation => StatusCode::BAD_REQUEST,
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::DuplicateOrder | Self::IdempotencyInProgress | Self::PriceMismatch | Self::SlotUnavailable => {
                StatusCode::CONFLICT
            }
            Self::VersionConflict => StatusCode::PRECONDITION_FAILED,
            Self::PayloadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::MisdirectedRequest => StatusCode::MISDIRECTED_REQUEST,
            Self::InvalidState | Self::BusinessRule | Self::IdempotencyMismatch => StatusCode::UNPROCESSABLE_ENTITY,
            Self::VersionRequired => StatusCode::PRECONDITION_REQUIRED,
            Self::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Integration => StatusCode::BAD_GATEWAY,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// What it says, in a few words.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Validation => "something in the request is wrong",
            Self::Unauthenticated => "nobody has signed in",
            Self::Forbidden => "whoever asks may not",
            Self::NotFound => "there is no such thing",
            Self::MethodNotAllowed => "the route does not take that method",
            Self::RequestTimeout => "the body has not come in time",
            Self::DuplicateOrder => "the same customer ordered the same a moment ago",
            Self::IdempotencyInProgress => "the request with that key is still being carried out",
            Self::PriceMismatch => "a price was given, and it is not ours",
            Self::SlotUnavailable => "the time asked for is full or closed",
            Self::VersionConflict => "the version asked for is not the order's any more",
            Self::PayloadTooLarge => "more than a body may hold",
            Self::UnsupportedMediaType => "the body is not JSON by its own account",
            Self::MisdirectedRequest => "asked for under a name that is not this server's",
            Self::InvalidState => "the status does not allow it",
            Self::BusinessRule => "a rule of the shop forbids it",
            Self::IdempotencyMismatch => "the key was used for another request",
            Self::VersionRequired => "a change has to name the version it changes",
            Self::RateLimited => "too many requests",
            Self::Internal => "something broke",
            Self::Integration => "a service that this one depends on failed",
            Self::Unavailable => "not now",
        }
    }
}

/// What a client is told.
#[derive(Clone, Debug)]
pub struct WebError {
    code: ErrorCode,
    message: String,
    details: Map<String, Value>,
    /// Says how a program is let in.
    challenge: bool,
    /// Seconds after which to try again.
    retry_after: Option<u32>,
}

impl WebError {
    /// An error with this sentence.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), details: Map::new(), challenge: false, retry_after: None }
    }

    /// The error with one more of `details`.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.details.insert(key.to_owned(), value.into());
        self
    }

    /// The error with a `Retry-After`.
    #[must_use]
    pub fn retry_after(self, seconds: u32) -> Self {
        Self { retry_after: Some(seconds), ..self }
    }

    /// Its code.
    pub fn code(&self) -> ErrorCode {
        self.code
    }

    /// 404.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::NotFound, message)
    }

    /// 400: something in the request is wrong, and what.
    pub fn validation(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Validation, message)
    }

    /// 401 for whoever has neither signed in nor a key.
    pub fn unauthenticated() -> Self {
        let message = "this is for staff: sign in, or send the API key as a bearer token";
        Self { challenge: true, ..Self::new(ErrorCode::Unauthenticated, message) }
    }

    /// 403: a page of another site would have changed something with a staff member's browser.
    pub fn cross_site() -> Self {
        let message = "this comes from another site's page; changes are made from this server's own pages";
        Self::new(ErrorCode::Forbidden, message)
    }

    /// 405.
    pub fn method_not_allowed() -> Self {
        Self::new(ErrorCode::MethodNotAllowed, "this page does not take that method")
    }

    /// 408: nobody waits for the body any longer.
    pub(super) fn too_slow() -> Self {
        Self::new(ErrorCode::RequestTimeout, "the body of the request has not come in time; please send it again")
    }

    /// 421: a local server was asked as if it were a public one.
    pub fn misdirected() -> Self {
        let message =
            "this server answers on this machine only; set VOICE_HOST to the public host name to serve others";
        Self::new(ErrorCode::MisdirectedRequest, message)
    }

    /// 503: the store failed, or did not tell what came of it.
    fn not_saved(is_in_doubt: bool) -> Self {
        let message = if is_in_doubt {
            "it is not known whether it was saved; repeat it with the same key, or look first"
        } else {
            "what is kept here cannot be reached at the moment; nothing has changed, please try again"
        };
        Self::new(ErrorCode::Unavailable, message)
    }

    /// The JSON body, in the form that the client accepts.
    pub(super) fn render(&self, correlation_id: &str, request: &HeaderMap) -> Response {
        let accepts = request.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let problem = accepts.contains("application/problem+json");
        let (status, code) = (self.code.status(), self.code.as_str());
        let body = if problem {
            json!({
                "type": "about:blank",
                "title": status.canonical_reason().unwrap_or("Error"),
                "status": status.as_u16(),
                "detail": self.message,
                "code": code,
                "details": self.details,
                "correlation_id": correlation_id,
            })
        } else {
            json!({
                "success": false,
                "error": {"code": code, "message": self.message, "details": self.details},
                "correlation_id": correlation_id,
            })
        };
        let kind = if problem { "application/problem+json" } else { "application/json" };
        let mut response = (status, [(header::CONTENT_TYPE, kind)], body.to_string()).into_response();
        if self.challenge {
            // Browsers ask nobody for a bearer token: pages sign in by `/login`.
            let bearer = HeaderValue::from_static("Bearer realm=\"staff\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, bearer);
        }
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl IntoResponse for WebError {
    fn into_response(self) -> Response {
        let mut response = self.code.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<OrderError> for WebError {
    fn from(error: OrderError) -> Self {
        let message = error.to_string();
        match error {
            OrderError::Empty => Self::validation(message),
            OrderError::Limit { limit, .. } => Self::new(ErrorCode::BusinessRule, message).with("limit", limit),
            OrderError::Duplicate { existing } => {
                Self::new(ErrorCode::DuplicateOrder, message).with("existing_order_id", existing.order_id.as_str())
            }
            OrderError::Closed(_) => Self::new(ErrorCode::BusinessRule, message),
            OrderError::SoldOut(lacking) => Self::new(ErrorCode::BusinessRule, message)
                .with("sold_out", lacking.option)
                .with("field", lacking.field)
                .with("choices", lacking.choices),
            OrderError::NoSlot(no_slot) => {
                let free: Vec<String> = no_slot.next_free.iter().map(ToString::to_string).collect();
                Self::new(ErrorCode::SlotUnavailable, message).with("next_free", free)
            }
            OrderError::InProgress => Self::new(ErrorCode::IdempotencyInProgress, message).retry_after(1),
            OrderError::KeyMismatch => Self::new(ErrorCode::IdempotencyMismatch, message),
            OrderError::IdTaken(id) => {
                Self::new(ErrorCode::DuplicateOrder, message).with("existing_order_id", id.as_str())
            }
            OrderError::NotFound | OrderError::NoSuchDelivery => Self::not_found(message),
            OrderError::VersionConflict { current } => {
                Self::new(ErrorCode::VersionConflict, message).with("version", current)
            }
            OrderError::InvalidState { .. }
            | OrderError::TooLate(_)
            | OrderError::NoSuchItem(_)
            | OrderError::NothingToUndo => Self::new(ErrorCode::InvalidState, message),
            OrderError::NotSaved(cause) => {
                tracing::error!("the orders' store failed: {cause}");
                Self::not_saved(cause.leaves_doubt())
            }
        }
    }
}

impl From<KeepError> for WebError {
    fn from(error: KeepError) -> Self {
        let message = error.to_string();
        match error {
            KeepError::State(StateError::PausedInThePast(_)) => {
                Self::new(ErrorCode::BusinessRule, message).with("field", "paused_until")
            }
            KeepError::State(StateError::Unknown { choices, .. } | StateError::Ambiguous { choices, .. }) => {
                Self::validation(message).with("field", "sold_out").with("choices", choices)
            }
            KeepError::NotSaved(cause) => {
                tracing::error!("the shop's state could not be saved: {cause}");
                Self::not_saved(cause.leaves_doubt())
            }
        }
    }
}

/// The heaviest problem gives code, sentence and details; `details.problems` has every one.
impl From<Refused> for WebError {
    fn from(refused: Refused) -> Self {
        let code = |weight| match weight {
            Weight::Invalid => ErrorCode::Validation,
            Weight::Rule => ErrorCode::BusinessRule,
            Weight::Price => ErrorCode::PriceMismatch,
        };
        let problems: Vec<Value> = refused
            .problems()
            .iter()
            .map(|problem| {
                let mut told = json!({"field": problem.field(), "code": code(problem.weight()).as_str()});
                told["message"] = problem.message().into();
                for (key, value) in problem.more() {
                    told[key] = value.clone();
                }
                told
            })
            .collect();
        let first = refused.first();
        let mut error = Self::new(code(first.weight()), first.sentence());
        if !first.field().is_empty() {
            error = error.with("field", first.field());
        }
        for (key, value) in first.more() {
            error = error.with(key, value.clone());
        }
        error.with("problems", problems)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::StoreError;

    #[test]
    fn every_code_has_the_contracts_status() {
        let table: Vec<String> =
            ErrorCode::ALL.iter().map(|code| format!("{} {}", code.status().as_u16(), code.as_str())).collect();
        insta::assert_snapshot!(table.join("\n"), @r"
        400 VALIDATION
        401 UNAUTHENTICATED
        403 FORBIDDEN
        404 NOT_FOUND
        405 METHOD_NOT_ALLOWED
        408 REQUEST_TIMEOUT
        409 DUPLICATE_ORDER
        409 IDEMPOTENCY_IN_PROGRESS
        409 PRICE_MISMATCH
        409 SLOT_UNAVAILABLE
        412 VERSION_CONFLICT
        413 PAYLOAD_TOO_LARGE
        415 UNSUPPORTED_MEDIA_TYPE
        421 MISDIRECTED_REQUEST
        422 INVALID_STATE
        422 BUSINESS_RULE
        422 IDEMPOTENCY_MISMATCH
        428 VERSION_REQUIRED
        429 RATE_LIMITED
        500 INTERNAL
        502 INTEGRATION
        503 UNAVAILABLE
        ");
    }

    #[test]
    fn what_nobody_knows_is_not_told_as_undone() {
        let told = |error: StoreError| WebError::from(OrderError::NotSaved(error));
        let doubt = told(StoreError::InDoubt("DynamoDB stopped answering (DYNAMODB_TABLE=orders)".to_owned()));
        let expected = "it is not known whether it was saved; repeat it with the same key, or look first";
        assert_eq!((doubt.code(), doubt.message.as_str()), (ErrorCode::Unavailable, expected));
        assert!(told(StoreError::NoNumber).message.contains("nothing has changed"));
    }

    #[test]
    fn says_when_to_come_back() {
        let error = WebError::new(ErrorCode::RateLimited, "not so fast").retry_after(7);
        let response = error.render("req_1", &HeaderMap::new());
        assert_eq!((response.status().as_u16(), &response.headers()["retry-after"]), (429, &HeaderValue::from(7)));
    }
}
