//! The shapes of what is kept of calls that have ended.

use super::{object, optional, order_number, reference};
use crate::call::ENTRIES;
use serde_json::{Map, Value, json};

/// What stands in an entry only where it has something to say.
const IN_SOME: [&str; 6] = ["tool", "outcome", "reason", "took_ms", "count", "order_number"];

/// These schemas, by name.
pub(super) fn all() -> Map<String, Value> {
    let mut whole = head();
    let more = json!({
        "timeline": {
            "description": "What happened, in its sequence.", "type": "array", "items": reference("CallEntry"),
        },
        "timeline_cut": {"description": "Whether more happened than is kept.", "type": "boolean"},
        "transcript": {
            "description": "What was said, in its sequence; null: the shop does not keep it.",
            "type": ["array", "null"],
            "items": reference("CallLine"),
        },
        "transcript_cut": {"description": "Whether more was said than is kept.", "type": "boolean"},
    });
    if let (Some(properties), Value::Object(more)) = (whole.as_object_mut(), more) {
        properties.extend(more);
    }
    let schemas = json!({
        "CallList": object(
            "One page of calls that have ended, newest first.",
            json!({
                "calls": {"type": "array", "items": reference("CallHead")},
                "next_cursor": {
                    "description": "Where the next page begins; null on the last one.",
                    "type": ["string", "null"],
                },
            }),
        ),
        "CallHead": object("A call in short.", head()),
        "CallRecord": object("All that is kept of a call.", whole),
        "CallEntry": optional(entry(), &IN_SOME),
        "CallLine": object(
            "Something that was said.",
            json!({
                "at_ms": since_start("When it was known"),
                "who": {"enum": ["caller", "agent"]},
                "text": {"description": "Its beginning, if it was long.", "type": "string"},
            }),
        ),
    });
    match schemas {
        Value::Object(schemas) => schemas,
        _ => Map::new(),
    }
}

fn head() -> Value {
    let count = |description: &str| json!({"description": description, "type": "integer", "minimum": 0});
    json!({
        "call_sid": {"description": "Twilio's name of the call.", "type": "string"},
        "began_at": {"description": "When its stream began.", "type": "string", "format": "date-time"},
        "duration_ms": count("From the stream's start to its end."),
        "end_reason": {"description": "How it ended, such as `goodbye` or `caller_hung_up`.", "type": "string"},
        "replies": count("Replies that the agent began."),
        "barge_ins": count("How often the caller spoke into a reply."),
        "tools": count("Tools that were run."),
        "slow_tools": count("Tools that took too long."),
        "redials": count("How often the agent was dialled again."),
        "order_number": {
            "description": "The order that was placed last; null: none was.",
            "anyOf": [order_number(), {"type": "null"}],
        },
        "has_transcript": {"description": "Whether what was said is kept.", "type": "boolean"},
    })
}

fn entry() -> Value {
    object(
        "Something that happened.",
        json!({
            "at_ms": since_start("When"),
            "what": {"enum": ENTRIES},
            "tool": {"description": "Which tool; one that does not exist is `unknown`.", "type": "string"},
            "outcome": {"description": "`ok`, or the code of the refusal.", "type": "string"},
            "reason": {"description": "Why.", "type": "string"},
            "took_ms": {
                "description": "How long it took; of `barge_in`, how much of the reply was not heard.",
                "type": "integer",
                "minimum": 0,
            },
            "count": {"description": "How many keys.", "type": "integer", "minimum": 0},
            "order_number": order_number(),
        }),
    )
}

fn since_start(description: &str) -> Value {
    json!({
        "description": format!("{description}, in milliseconds since the stream's start."),
        "type": "integer",
        "minimum": 0,
    })
}
