//! What a handler has to know of a request beside its body: who asks, and about which order.

use crate::call::CorrelationId;
use crate::order_service::Origin;
use crate::ordering::order::OrderId;
use crate::web::error::{ErrorCode, WebError};
use crate::web::staff::Visitor;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;

/// Who asks for a change, for the order's history.
pub(super) struct Asking(pub(super) Origin);

impl<S: Send + Sync> FromRequestParts<S> for Asking {
    type Rejection = WebError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, WebError> {
        // The door has put it there; a route that was built without a door must not change anything.
        let visitor = parts.extensions.get::<Visitor>();
        let visitor = visitor.ok_or_else(|| WebError::new(ErrorCode::Internal, "nobody is known to ask for this"))?;
        let id = parts.extensions.get::<CorrelationId>().map(|CorrelationId(id)| id.clone());
        Ok(Self(Origin { by: visitor.as_str(), correlation_id: id }))
    }
}

/// The order that a path names; what cannot be an order's id is no order's.
pub(super) struct Named(pub(super) OrderId);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = WebError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, WebError> {
        let path: Result<Path<String>, PathRejection> = Path::from_request_parts(parts, state).await;
        let id = path.ok().and_then(|Path(text)| text.parse().ok());
        id.map(Self).ok_or_else(no_such_order)
    }
}

/// 404.
pub(super) fn no_such_order() -> WebError {
    WebError::not_found("there is no order with this id")
}
