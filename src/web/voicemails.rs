//! What callers have left on tape where no agent could serve them, for staff: which messages there are, and their sound.

use super::error::{ErrorCode, WebError};
use super::staff::StaffDoor;
use crate::voicemail::{Voicemail, VoicemailError, Voicemails};
use axum::Json;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use serde_json::{Value, json};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Routes for staff and programs with the key.
pub fn router(voicemails: Voicemails, door: &StaffDoor) -> OpenApiRouter {
    let routes = OpenApiRouter::default().routes(routes!(list)).routes(routes!(sound));
    door.guard_described(routes.with_state(voicemails))
}

/// Messages of callers
///
/// What callers have left where no agent could serve them, newest first.
#[utoipa::path(
    get,
    path = "/api/voicemails",
    operation_id = "voicemails",
    tag = "calls",
    responses((status = 200, description = "The messages.", body = ref("#/components/schemas/Voicemails"))),
)]
async fn list(State(voicemails): State<Voicemails>) -> Result<Json<Value>, WebError> {
    let all = voicemails.list().await?;
    Ok(Json(json!({"voicemails": all.iter().map(shown).collect::<Vec<Value>>()})))
}

fn shown(voicemail: &Voicemail) -> Value {
    let Voicemail { recording_sid, call_sid, from, seconds, at, erased: _ } = voicemail;
    json!({
        "recording_sid": recording_sid,
        "call_sid": call_sid,
        "from": from,
        "seconds": seconds,
        "at": at,
        "sound": format!("/api/voicemails/{recording_sid}.mp3"),
    })
}

/// The file's name in a path, for the description.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "the handler reads the path as text, to answer 404 for what is no recording")]
struct OfRecording {
    /// The recording's sid, and `.mp3`.
    #[param(pattern = "^RE[0-9a-f]{32}\\.mp3$", example = "RE00000000000000000000000000000001.mp3")]
    recording: String,
}

/// A message's sound
///
/// As the telephone company has recorded it, which takes some seconds: until then, as of a message that was erased, 404.
#[utoipa::path(
    get,
    path = "/api/voicemails/{recording}",
    operation_id = "voicemailSound",
    tag = "calls",
    params(OfRecording),
    responses(
        (status = 200, description = "The sound.", content_type = "audio/mpeg", body = String),
        (status = 404),
        (status = 502),
    ),
)]
async fn sound(
    State(voicemails): State<Voicemails>,
    recording: Result<Path<String>, PathRejection>,
) -> Result<Response, WebError> {
    let sid = recording.ok().and_then(|Path(file)| file.strip_suffix(".mp3")?.parse().ok());
    let recording = voicemails.sound(&sid.ok_or(VoicemailError::NotFound)?).await?;
    // Handed on as it comes: one that breaks off breaks off here, too.
    let chunks = stream::try_unfold(recording, async |mut recording| {
        let chunk = recording.chunk().await?;
        Ok::<_, VoicemailError>(chunk.map(|chunk| (chunk, recording)))
    });
    Ok(([(header::CONTENT_TYPE, "audio/mpeg")], Body::from_stream(chunks)).into_response())
}

impl From<VoicemailError> for WebError {
    fn from(error: VoicemailError) -> Self {
        match error {
            VoicemailError::NotFound => Self::not_found("there is no such message, or its sound is not ready yet"),
            VoicemailError::Store(error) => {
                tracing::warn!("messages cannot be looked up: {error}");
                Self::new(ErrorCode::Unavailable, "messages cannot be looked up at the moment")
            }
            VoicemailError::NoAccount => Self::new(ErrorCode::Unavailable, error.to_string()),
            VoicemailError::Twilio(error) => {
                tracing::warn!("a message cannot be fetched: {error}");
                Self::new(ErrorCode::Integration, "the telephone company does not hand out the sound at the moment")
            }
        }
    }
}
