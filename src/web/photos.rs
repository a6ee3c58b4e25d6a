//! The pictures of the menu, for anyone: guests' pages show them. Where they come from is not known here.

use super::error::WebError;
use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::collections::HashMap;
use std::sync::Arc;

/// Where they are.
const PLACE: &str = "/photos/";
/// A picture is the same until the next start, and another one mostly has another name.
const KEPT: &str = "public, max-age=86400";

/// A picture.
#[derive(Clone, Debug)]
pub struct Photo {
    /// All of it.
    pub bytes: Bytes,
    /// What it is coded as.
    pub media_type: &'static str,
}

/// Every picture, by its name. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Photos(Arc<HashMap<String, Photo>>);

impl FromIterator<(String, Photo)> for Photos {
    fn from_iter<I: IntoIterator<Item = (String, Photo)>>(photos: I) -> Self {
        Self(Arc::new(photos.into_iter().collect()))
    }
}

/// The path of a picture.
pub(super) fn path(name: &str) -> String {
    format!("{PLACE}{name}")
}

/// `/photos/{name}`.
pub fn router(photos: Photos) -> Router {
    Router::new().route("/photos/{name}", get(photo)).with_state(photos)
}

async fn photo(State(photos): State<Photos>, asked: Result<Path<String>, PathRejection>) -> Response {
    let found = asked.ok().and_then(|Path(name)| photos.0.get(&name).cloned());
    match found {
        Some(Photo { bytes, media_type }) => {
            ([(header::CONTENT_TYPE, media_type), (header::CACHE_CONTROL, KEPT)], bytes).into_response()
        }
        None => WebError::not_found("there is no such picture").into_response(),
    }
}
