//! Twilio's webhooks: a call comes in, a stream has ended, a message was left, how streams, recordings and texts fared. All
//! but the last three answer with TwiML.

use super::Calls;
use super::fallback::Refused;
use super::live::Expected;
use crate::order_service::{CarrierReport, CarrierStatus, OrderError};
use crate::ordering::phone_number::PhoneNumber;
use crate::rates::Seldom;
use crate::tools::callers_number;
use crate::twilio::signature;
use crate::twilio::twiml::{Stream, Twiml};
use crate::voicemail::Told;
use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Extension, Form, FromRequest as _, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use std::time::Instant;

type Params = Vec<(String, String)>;

pub(super) fn router(calls: Calls) -> Router {
    Router::new()
        .route("/voice", post(voice))
        .route("/voice/after", post(after))
        .route("/voice/status", post(stream_status))
        .route("/voice/recorded", post(recorded))
        .route("/voice/recording", post(recording_status))
        .route("/sms/status", post(text_status))
        .with_state(calls)
}

/// The request's id, put into its extensions by whoever serves the routes.
#[derive(Clone, Debug)]
pub struct CorrelationId(pub String);

/// Whether a request says that Twilio has signed it. Whether that is true is found out by whoever answers it.
pub fn claims_signature(headers: &HeaderMap) -> bool {
    headers.contains_key(signature::HEADER)
}

async fn voice(
    State(calls): State<Calls>,
    id: Option<Extension<CorrelationId>>,
    request: Request,
) -> Result<Response, Refusal> {
    let params = calls.verified(request, calls.settings().auth_token.as_ref()).await?;
    let call_sid = call_sid(&params)?;
    let from = field(&params, "From").map(str::to_owned);
    let correlation_id = id.map(|Extension(id)| id.0).unwrap_or_default();
    let token = match calls.take_on(Expected { call_sid: call_sid.to_owned(), from, correlation_id }) {
        Ok(token) => token,
        Err(why) => {
            calls.0.notes.metrics.call_turned_away(why.as_str());
            return Ok(answer(&calls.nobody_there(why.into())));
        }
    };
    let settings = calls.settings();
    // Twilio takes a name and a value of under 500 characters together.
    let parameter = |name: &str, value: &str| (name.to_owned(), value.chars().take(400).collect());
    let stream = Stream {
        url: settings.stream_url(),
        action: Some(settings.http_url("/voice/after")),
        status_callback: Some(settings.http_url("/voice/status")),
        parameters: vec![
            parameter("call_sid", call_sid),
            parameter("from", field(&params, "From").unwrap_or_default()),
            parameter("to", field(&params, "To").unwrap_or_default()),
            parameter("token", &token),
        ],
    };
    Ok(answer(&Twiml::connect(Some(&settings.shop.menu().sentences().say), stream)))
}

/// The stream has ended: hang up, put through, or say why there is nobody to talk to.
async fn after(State(calls): State<Calls>, request: Request) -> Result<Response, Refusal> {
    let params = calls.verified(request, calls.settings().auth_token.as_ref()).await?;
    let call_sid = call_sid(&params)?;
    if let Some(status) = field(&params, "DialCallStatus") {
        // Back from the person that the caller was put through to.
        return Ok(answer(&calls.twiml_after_transfer(status)));
    }
    let reason = calls.endings().take(call_sid);
    if reason.is_none() && calls.live().contains(call_sid) {
        calls.endings().asked_early(call_sid);
    }
    tracing::debug!(call.sid = call_sid, ?reason, "Twilio asks how the call goes on");
    Ok(answer(&calls.twiml_after(reason)))
}

/// The caller has left a message, or hung up instead of ending it. This request alone tells who it was.
async fn recorded(State(calls): State<Calls>, request: Request) -> Result<Response, Refusal> {
    let params = calls.verified(request, calls.settings().auth_token.as_ref()).await?;
    let call_sid = call_sid(&params)?;
    let from = field(&params, "From").and_then(|from| calls.callers_number(from));
    let noted = calls.note_message(call_sid, &params, from).await;
    Ok(answer(&calls.twiml_after_message(noted.is_ok())))
}

/// A message can be fetched, or nothing was said.
async fn recording_status(State(calls): State<Calls>, request: Request) -> Result<StatusCode, Refusal> {
    let params = calls.verified(request, calls.settings().auth_token.as_ref()).await?;
    let call_sid = call_sid(&params)?;
    match field(&params, "RecordingStatus") {
        None | Some("completed") => calls.note_message(call_sid, &params, None).await?,
        Some(status) => tracing::debug!(call.sid = call_sid, "Twilio reports a recording as {status}"),
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn stream_status(State(calls): State<Calls>, request: Request) -> Result<StatusCode, Refusal> {
    let params = calls.verified(request, calls.settings().auth_token.as_ref()).await?;
    let event = field(&params, "StreamEvent").unwrap_or("an unnamed event");
    let call_sid = field(&params, "CallSid").unwrap_or_default();
    match field(&params, "StreamError") {
        Some(error) => tracing::error!(call.sid = call_sid, "Twilio reports {event}: {error}"),
        None => tracing::debug!(call.sid = call_sid, "Twilio reports {event}"),
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Which text a report is about: the callback's own query, signed with the rest.
#[derive(Deserialize)]
struct Reported {
    order: String,
    delivery: u32,
}

async fn text_status(
    State(calls): State<Calls>,
    about: Result<Query<Reported>, QueryRejection>,
    request: Request,
) -> Result<StatusCode, Refusal> {
    let params = calls.verified(request, calls.settings().texts_auth_token.as_ref()).await?;
    let sid = field(&params, "MessageSid").filter(is_sane_sid);
    let status = field(&params, "MessageStatus").and_then(CarrierStatus::parse);
    let order = about.as_ref().ok().and_then(|Query(about)| about.order.parse().ok());
    let (Ok(Query(Reported { delivery, .. })), Some(order), Some(sid), Some(status)) = (about, order, sid, status)
    else {
        // Texts of an earlier version, or a word that Twilio has not had before.
        tracing::debug!(provider_id = sid, "the carrier reports a text in a way that is not understood");
        return Ok(StatusCode::NO_CONTENT);
    };
    let code = field(&params, "ErrorCode").and_then(|code| code.parse::<u32>().ok());
    let code = code.map(|code| format!(", error {code}")).unwrap_or_default();
    tracing::info!(provider_id = sid, "the carrier reports a text as {}{code}", status.as_str());
    let reason = status.is_failure().then(|| format!("it did not arrive: {}{code}", status.as_str()));
    let report = CarrierReport { provider_id: sid.to_owned(), status, reason };
    match calls.orders().record_carrier_status(&order, delivery, report).await {
        Err(OrderError::NotSaved(_)) => return Err(Refusal::NotSaved),
        // Deleted meanwhile: nobody asks any more what became of it.
        Err(error) => tracing::debug!(provider_id = sid, "a carrier's report was not kept: {error}"),
        Ok(()) => {}
    }
    Ok(StatusCode::NO_CONTENT)
}

/// What strangers are refused, told seldom: they may ask as often as they like. The log is one for all servers here.
static REFUSED: Seldom = Seldom::new();

/// Why a webhook was not answered. Twilio shows the text in its debugger.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error("this request was not signed by Twilio for this account")]
    NotTwilio,
    #[error("this is not a form: {0}")]
    NotAForm(String, StatusCode),
    #[error("the form names no call (CallSid)")]
    NoCall,
    #[error("this could not be recorded now")]
    NotSaved,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::NotTwilio => StatusCode::FORBIDDEN,
            Self::NotAForm(_, status) => *status,
            Self::NoCall => StatusCode::BAD_REQUEST,
            Self::NotSaved => StatusCode::SERVICE_UNAVAILABLE,
        };
        if status.is_server_error() {
            tracing::warn!("a webhook was refused: {self}");
        } else if let Some(count) = REFUSED.once_more(Instant::now()) {
            tracing::warn!(count, "a webhook was refused: {self}");
        }
        (status, self.to_string()).into_response()
    }
}

impl Calls {
    /// Expects a call's stream: the token that lets it in.
    ///
    /// # Errors
    /// Why this call is not taken.
    fn take_on(&self, expected: Expected) -> Result<String, Refused> {
        let (now, call_sid) = (Instant::now(), expected.call_sid.clone());
        let from = expected.from.as_deref().and_then(|from| self.callers_number(from));
        // Before all else: who calls all day must not ring the shop all day because it is closed to calls.
        if !self.callers().admits(&call_sid, from.as_ref(), now) {
            let from = from.as_ref().map(PhoneNumber::masked);
            tracing::warn!(call.sid = call_sid, from, "a call was turned away: too many come from this number");
            return Err(Refused::TooOften);
        }
        let place = self.place_for(expected, now);
        if place.is_err() {
            // Who finds us busy calls again, and is not to be sent away for that.
            self.callers().give_back(&call_sid);
        }
        place
    }

    /// A place for a call, whoever it is from.
    fn place_for(&self, expected: Expected, now: Instant) -> Result<String, Refused> {
        let call_sid = expected.call_sid.clone();
        if self.is_draining() {
            tracing::info!(call.sid = call_sid, "a call was turned away: the server is to stop");
            return Err(Refused::Draining);
        }
        let taken = self.live().count() + self.tokens().outstanding_beside(&call_sid, now);
        if taken >= self.settings().line.max_calls {
            tracing::warn!(call.sid = call_sid, "a call was turned away: {taken} are in progress or about to start");
            return Err(Refused::Busy);
        }
        self.tokens().issue(expected, now).ok_or_else(|| {
            tracing::error!(call.sid = call_sid, "a call was turned away: too many are about to start");
            Refused::Busy
        })
    }

    /// The number that a call comes from, unless it is withheld.
    fn callers_number(&self, from: &str) -> Option<PhoneNumber> {
        callers_number(from, self.region())
    }

    /// Keeps what a request tells of a message that a caller has left.
    async fn note_message(&self, call_sid: &str, params: &Params, from: Option<PhoneNumber>) -> Result<(), Refusal> {
        // The first of the two requests names the recording only by its address.
        let sid = field(params, "RecordingSid").or_else(|| field(params, "RecordingUrl")?.rsplit('/').next());
        let Some(recording_sid) = sid.and_then(|sid| sid.parse().ok()) else {
            tracing::debug!(call.sid = call_sid, "Twilio tells of a message and names no recording");
            return Ok(());
        };
        let seconds = field(params, "RecordingDuration").and_then(|seconds| seconds.parse().ok());
        let told = Told { recording_sid, call_sid: call_sid.to_owned(), from, seconds };
        match self.voicemails().note(&told).await {
            Ok(()) => {
                tracing::info!(event = "voicemail", call.sid = call_sid, "a caller has left a message");
                Ok(())
            }
            Err(error) => {
                tracing::error!(call.sid = call_sid, "a caller's message was not noted: {error}");
                Err(Refusal::NotSaved)
            }
        }
    }

    /// The form, once it is proven to be Twilio's. Without a token to prove it by (a local server), any form will do.
    async fn verified(&self, request: Request, auth_token: Option<&SecretString>) -> Result<Params, Refusal> {
        let (uri, headers) = (request.uri().clone(), request.headers().clone());
        if auth_token.is_some() && !claims_signature(&headers) {
            // Nobody waits for its body, and a stranger learns nothing of how that is read.
            return Err(Refusal::NotTwilio);
        }
        let params = match Form::<Params>::from_request(request, &()).await {
            Ok(Form(params)) => params,
            Err(rejection) => {
                let status = if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
                    StatusCode::PAYLOAD_TOO_LARGE
                } else {
                    StatusCode::BAD_REQUEST
                };
                return Err(Refusal::NotAForm(rejection.to_string(), status));
            }
        };
        let Some(token) = auth_token else { return Ok(params) };
        let signed = headers.get(signature::HEADER).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let url = self.settings().http_url(uri.path_and_query().map_or("/", |path| path.as_str()));
        if signature::is_valid(token.expose_secret(), &url, &params, signed) {
            Ok(params)
        } else {
            Err(Refusal::NotTwilio)
        }
    }
}

fn answer(twiml: &Twiml) -> Response {
    ([(header::CONTENT_TYPE, Twiml::CONTENT_TYPE)], twiml.to_string()).into_response()
}

fn field<'a>(params: &'a Params, name: &str) -> Option<&'a str> {
    params.iter().find(|(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.as_str())
}

fn call_sid(params: &Params) -> Result<&str, Refusal> {
    field(params, "CallSid").filter(is_sane_sid).ok_or(Refusal::NoCall)
}

fn is_sane_sid(sid: &&str) -> bool {
    sid.len() <= 64 && sid.bytes().all(|byte| byte.is_ascii_alphanumeric())
}
