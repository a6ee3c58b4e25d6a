//! Signing in and out, by a form or by JSON: the page's own form works without a script, the console signs in in place.
//!
//! Who may sign in is `staff`'s to say; here its answer becomes a cookie.

use super::client::ClientAddress;
use super::cookies::Cookie;
use super::error::{ErrorCode, WebError};
use super::pages;
use super::site::{encoded, is_cross_site, own_path};
use super::staff::StaffDoor;
use crate::rates::Seldom;
use crate::staff::{SignInError, TooMany, Visit, Welcome};
use axum::extract::rejection::{FormRejection, JsonRejection};
use axum::extract::{DefaultBodyLimit, Form, FromRequest as _, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use secrecy::SecretString;
use serde::{Deserialize, Deserializer};
use serde_json::json;
use std::time::{Duration, Instant};

/// Room for the longest password that anybody types.
const MAX_BODY_BYTES: usize = 4 << 10;
/// How long a browser that staff have used is told from strangers.
const DEVICE_KEPT: Duration = Duration::from_secs(365 * 24 * 3600);
/// Where staff go who have not said where to.
const CONSOLE: &str = "/barista";

/// Told seldom: whoever is over the limit may go on asking.
static TOO_MANY: Seldom = Seldom::new();

/// `GET` and `POST /login`, `POST /logout`.
pub fn router(door: &StaffDoor) -> Router {
    Router::new()
        .route("/login", get(async || pages::file("login.html")).post(sign_in))
        .route("/logout", post(sign_out))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(door.clone())
}

#[derive(Deserialize)]
struct SignIn {
    #[serde(deserialize_with = "secret")]
    password: SecretString,
    next: Option<String>,
}

#[derive(Deserialize, Default)]
struct SignOut {
    #[serde(default)]
    everywhere: bool,
}

#[derive(Deserialize)]
struct Asked {
    next: Option<String>,
}

/// What a body was sent as is what its answer is sent as.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Manner {
    Form,
    Json,
}

async fn sign_in(
    State(door): State<StaffDoor>,
    ClientAddress(from): ClientAddress,
    request: Request,
) -> Result<Response, WebError> {
    refuse_other_sites(&request)?;
    let (headers, uri) = (request.headers().clone(), request.uri().clone());
    let (manner, SignIn { password, next }) = match Manner::of(&headers)? {
        Manner::Form => (Manner::Form, Form::from_request(request, &()).await.map_err(no_form)?.0),
        Manner::Json => (Manner::Json, Json::from_request(request, &()).await.map_err(no_json)?.0),
    };
    // A form without a script is sent to the page's own address, which may say where to go on.
    let next = next.or_else(|| asked(&uri)).filter(|next| own_path(next).is_some());
    if door.is_open() {
        return Ok(manner.answer(next.as_deref()));
    }
    let cookies = door.0.cookies;
    let sent = |cookie| cookies.sent(&headers, cookie).collect();
    let visit = Visit { from, devices: sent(Cookie::Device), replaced: sent(Cookie::Staff) };
    match door.0.staff.sign_in(password, visit).await {
        Ok(Welcome { token, device }) => {
            tracing::info!(client.address = %from, "staff signed in");
            let mut response = manner.answer(next.as_deref());
            for cookie in [
                cookies.set(Cookie::Staff, token.expose(), door.0.staff_session),
                cookies.set(Cookie::Device, &device, DEVICE_KEPT),
            ] {
                response.headers_mut().append(header::SET_COOKIE, cookie);
            }
            Ok(response)
        }
        Err(error) => {
            match &error {
                SignInError::Wrong => tracing::warn!(client.address = %from, "a wrong staff password was given"),
                SignInError::TooMany(_) => {
                    if let Some(count) = TOO_MANY.once_more(Instant::now()) {
                        tracing::warn!(client.address = %from, count, "too many try to sign in");
                    }
                }
                SignInError::NotKept(cause) => tracing::error!("a sign-in cannot be kept: {cause}"),
            }
            manner.refusal(&error, next.as_deref())
        }
    }
}

async fn sign_out(State(door): State<StaffDoor>, request: Request) -> Result<Response, WebError> {
    refuse_other_sites(&request)?;
    let headers = request.headers().clone();
    // A form whose only button is pressed may have nothing to send.
    let (manner, SignOut { everywhere }) = match headers.get(header::CONTENT_TYPE) {
        None => (Manner::Form, SignOut::default()),
        Some(_) => match Manner::of(&headers)? {
            Manner::Form => (Manner::Form, Form::from_request(request, &()).await.map_err(no_form)?.0),
            Manner::Json => (Manner::Json, Json::from_request(request, &()).await.map_err(no_json)?.0),
        },
    };
    // All that opens: the page would stay signed in by the second one.
    let mut tokens = door.0.cookies.sent(&headers, Cookie::Staff);
    let ended = if everywhere {
        // Otherwise anybody could sign everybody out.
        if !tokens.any(|token| door.0.staff.signed(token).is_some()) && !door.is_open() {
            return Err(WebError::unauthenticated());
        }
        tracing::info!("staff signed out everywhere");
        door.0.staff.sign_out_everywhere().await
    } else {
        door.0.staff.sign_out(tokens).await
    };
    ended.map_err(|error| {
        tracing::error!("that staff signed out cannot be kept: {error}");
        WebError::new(ErrorCode::Unavailable, "you are signed out; a restart of the server may undo it, so try again")
    })?;
    let mut response = manner.answer(Some("/login"));
    response.headers_mut().insert(header::SET_COOKIE, door.0.cookies.forget(Cookie::Staff));
    Ok(response)
}

/// Nobody is signed in or out by another site's page: neither as themselves nor as somebody else.
fn refuse_other_sites(request: &Request) -> Result<(), WebError> {
    if is_cross_site(request.headers(), request.uri()) { Err(WebError::cross_site()) } else { Ok(()) }
}

fn asked(uri: &Uri) -> Option<String> {
    Query::<Asked>::try_from_uri(uri).ok().and_then(|Query(asked)| asked.next)
}

impl Manner {
    fn of(headers: &HeaderMap) -> Result<Self, WebError> {
        let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if kind.eq_ignore_ascii_case("application/json") {
            Ok(Self::Json)
        } else if kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            Ok(Self::Form)
        } else {
            Err(WebError::new(
                ErrorCode::UnsupportedMediaType,
                "send this as a form, or as JSON that says so by its content type",
            ))
        }
    }

    fn answer(self, next: Option<&str>) -> Response {
        match self {
            Self::Form => Redirect::to(next.unwrap_or(CONSOLE)).into_response(),
            Self::Json => Json(json!({"ok": true})).into_response(),
        }
    }

    fn refusal(self, error: &SignInError, next: Option<&str>) -> Result<Response, WebError> {
        let why = match error {
            SignInError::Wrong => "wrong",
            SignInError::TooMany(_) => "slow",
            SignInError::NotKept(_) => {
                let message = "the sign-in could not be kept at the moment; please try again";
                return Err(WebError::new(ErrorCode::Unavailable, message));
            }
        };
        let wait = match error {
            SignInError::TooMany(TooMany { retry_after }) => Some(*retry_after),
            _ => None,
        };
        if self == Self::Json {
            return Err(match wait {
                Some(seconds) => WebError::new(ErrorCode::RateLimited, error.to_string()).retry_after(seconds),
                None => WebError::new(ErrorCode::Unauthenticated, error.to_string()),
            });
        }
        let next = next.map(|next| format!("&next={}", encoded(next))).unwrap_or_default();
        let mut response = Redirect::to(&format!("/login?{why}{next}")).into_response();
        if let Some(seconds) = wait {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        Ok(response)
    }
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SecretString, D::Error> {
    String::deserialize(deserializer).map(SecretString::from)
}

fn no_form(rejection: FormRejection) -> WebError {
    not_read(rejection.status())
}

fn no_json(rejection: JsonRejection) -> WebError {
    not_read(rejection.status())
}

/// Without the library's own words: they may hold what was typed.
fn not_read(status: StatusCode) -> WebError {
    if status == StatusCode::PAYLOAD_TOO_LARGE {
        return WebError::new(ErrorCode::PayloadTooLarge, "this is more than a sign-in holds");
    }
    WebError::validation("send the field password to sign in; everywhere, to sign out, is true or false")
}
