//! A request's body as bytes that say they are JSON; anything else is answered in our own words.

use crate::web::error::{ErrorCode, WebError};
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, FailedToBufferBody};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};

/// The body of a request whose content type is JSON. What is in it is for the reader to parse.
#[derive(Clone, Debug)]
pub struct JsonBody(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for JsonBody {
    type Rejection = WebError;

    async fn from_request(request: Request, state: &S) -> Result<Self, WebError> {
        if !is_json(request.headers()) {
            let message = "the body has to be JSON, and say so: Content-Type: application/json";
            return Err(WebError::new(ErrorCode::UnsupportedMediaType, message));
        }
        Bytes::from_request(request, state).await.map(Self).map_err(|rejection| match rejection {
            BytesRejection::FailedToBufferBody(FailedToBufferBody::LengthLimitError(_)) => {
                WebError::new(ErrorCode::PayloadTooLarge, "the body is larger than this server takes")
            }
            _ => WebError::validation("the body ended before its time"),
        })
    }
}

/// `application/json` or a `+json` type, with or without parameters.
fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::client::Clients;
    use crate::web::finish;
    use crate::web::limits::Limits;
    use axum::Router;
    use axum::body::Body;
    use axum::http::{HeaderValue, StatusCode};
    use axum::routing::post;
    use futures_util::stream;
    use tower::ServiceExt as _;

    async fn answer(kind: &str, body: Body) -> (StatusCode, String) {
        let clients = Clients::new(&[], false);
        let limits = Limits::new(clients.clone(), 50);
        let routes = finish(Router::new().route("/", post(async |_: JsonBody| "read")), clients, limits);
        let request = Request::post("/").header("Content-Type", kind).body(body).unwrap();
        let response = routes.oneshot(request).await.unwrap();
        let status = response.status();
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 16).await.unwrap();
        (status, String::from_utf8(bytes.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn what_is_no_body_of_ours_is_told_in_our_words() {
        assert_eq!(answer("application/json", Body::from("{}")).await, (StatusCode::OK, "read".to_owned()));
        let large = || Body::from(vec![b' '; (64 << 10) + 1]);
        let endless = Body::from_stream(stream::repeat_with(|| Ok::<_, std::io::Error>(vec![b' '; 1024])));
        let broken = Body::from_stream(stream::iter([Ok(vec![b'{']), Err(std::io::Error::other("gone"))]));
        for (kind, body, status, code) in [
            ("text/plain", Body::from("{}"), 415, "UNSUPPORTED_MEDIA_TYPE"),
            ("application/x-www-form-urlencoded", large(), 415, "UNSUPPORTED_MEDIA_TYPE"),
            ("application/json", large(), 413, "PAYLOAD_TOO_LARGE"),
            ("application/json", endless, 413, "PAYLOAD_TOO_LARGE"),
            ("application/json", broken, 400, "VALIDATION"),
        ] {
            let (told, text) = answer(kind, body).await;
            assert_eq!(told, status, "{text}");
            assert!(text.contains(&format!("\"code\":\"{code}\"")), "{text}");
        }
    }

    #[test]
    fn json_says_that_it_is() {
        let is = |value: &str| {
            is_json(&HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_str(value).unwrap())]))
        };
        for json in ["application/json", "Application/JSON; charset=utf-8", "application/merge-patch+json"] {
            assert!(is(json), "{json}");
        }
        for other in ["", "text/plain", "application/x-www-form-urlencoded", "text/json+json", "application/jsonp"] {
            assert!(!is(other), "{other}");
        }
        assert!(!is_json(&HeaderMap::new()));
    }
}
