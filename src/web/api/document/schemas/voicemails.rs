//! The shapes of what callers have left on tape.

use super::{PHONE_WRITTEN, object, reference};
use serde_json::{Map, Value, json};

/// These schemas, by name.
pub(super) fn all() -> Map<String, Value> {
    let schemas = json!({
        "Voicemails": object(
            "Messages of callers whom no agent could serve.",
            json!({"voicemails": {"description": "Newest first.", "type": "array", "items": reference("Voicemail")}}),
        ),
        "Voicemail": object(
            "One of them.",
            json!({
                "recording_sid": {"description": "Names it.", "type": "string", "pattern": "^RE[0-9A-Fa-f]{32}$"},
                "call_sid": {"description": "The call that it was left in.", "type": "string"},
                "from": {
                    "description": "Who left it, in E.164; null when withheld.",
                    "type": ["string", "null"],
                    "pattern": PHONE_WRITTEN,
                },
                "seconds": {"description": "How long it is, once known.", "type": ["integer", "null"], "minimum": 0},
                "at": {"description": "When it was left.", "type": "string", "format": "date-time"},
                "sound": {"description": "Where its sound is.", "type": "string"},
            }),
        ),
    });
    match schemas {
        Value::Object(schemas) => schemas,
        _ => Map::new(),
    }
}
