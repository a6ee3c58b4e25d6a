//! Checks messages against the schema of every Voice Agent message (see `tests/fixtures/deepgram`). Tests only.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde_json::{Value, json};

/// Which way a message goes; some types exist both ways, with different shapes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Direction {
    FromAgent,
    FromClient,
}

/// Fails the test unless `text` is a valid message of its type.
#[track_caller]
pub(crate) fn assert_valid(direction: Direction, text: &str) {
    let message: Value = serde_json::from_str(text).expect("a message is JSON");
    let kind = message["type"].as_str().expect("a message has a type");
    let validator = VALIDATORS.get(&(direction, kind.to_owned())).unwrap_or_else(|| panic!("no {direction:?} {kind}"));
    let errors: Vec<String> =
        validator.iter_errors(&message).map(|error| format!("{} at {}", error, error.instance_path())).collect();
    assert!(errors.is_empty(), "{text}\n{}", errors.join("\n"));
}

/// The type of every message the agent may send.
pub(crate) fn kinds(direction: Direction) -> Vec<String> {
    let mut kinds: Vec<String> =
        VALIDATORS.keys().filter(|(way, _)| *way == direction).map(|(_, kind)| kind.clone()).collect();
    kinds.sort();
    kinds
}

static VALIDATORS: LazyLock<HashMap<(Direction, String), jsonschema::Validator>> = LazyLock::new(|| {
    let schema: Value = serde_json::from_str(include_str!("../../tests/fixtures/deepgram/agent-v1.schema.json"))
        .expect("the schema is JSON");
    let mut validators = HashMap::new();
    for (direction, map) in [(Direction::FromAgent, "server_messages"), (Direction::FromClient, "client_messages")] {
        for (name, definition) in schema[map].as_object().expect("a map of messages") {
            // The map distinguishes the two directions of one type by a prefix that the wire does not have.
            let kind = name.strip_prefix("Receive").or(name.strip_prefix("Send")).unwrap_or(name);
            let whole = json!({"$schema": schema["$schema"], "$ref": definition, "$defs": schema["$defs"]});
            let validator = jsonschema::validator_for(&whole).expect("the schema is one");
            validators.insert((direction, kind.to_owned()), validator);
        }
    }
    validators
});
