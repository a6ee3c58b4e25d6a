//! Holds messages of the agent leg to the published schema (see `tests/fixtures/deepgram`).

use bobarista::simulator::{Side, Tapped};
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashMap};
use std::sync::LazyLock;

/// Panics unless every message between us and the agent is one of the schema; returns the types seen in each
/// direction, ours first.
pub(crate) fn assert_agent_messages_valid(messages: &[Tapped]) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut ours, mut theirs) = (BTreeSet::new(), BTreeSet::new());
    for tapped in messages.iter().filter(|tapped| tapped.side == Side::Agent) {
        let message: Value = serde_json::from_str(&tapped.text).expect("a message is JSON");
        let kind = message["type"].as_str().expect("a message has a type");
        // The simulated agent tapped it, so what it sent is the agent's.
        let map = if tapped.sent { "server_messages" } else { "client_messages" };
        let validator =
            VALIDATORS.get(&(map, kind.to_owned())).unwrap_or_else(|| panic!("there is no {kind} in {map}"));
        let errors: Vec<String> =
            validator.iter_errors(&message).map(|error| format!("{error} at {}", error.instance_path())).collect();
        assert!(errors.is_empty(), "{}\n{}", tapped.text, errors.join("\n"));
        if tapped.sent { &mut theirs } else { &mut ours }.insert(kind.to_owned());
    }
    (ours, theirs)
}

static VALIDATORS: LazyLock<HashMap<(&str, String), jsonschema::Validator>> = LazyLock::new(|| {
    let schema: Value =
        serde_json::from_str(include_str!("../../fixtures/deepgram/agent-v1.schema.json")).expect("the schema is JSON");
    let mut validators = HashMap::new();
    for map in ["server_messages", "client_messages"] {
        for (name, definition) in schema[map].as_object().expect("a map of messages") {
            // The map distinguishes the two directions of one type by a prefix that the wire does not have.
            let kind = name.strip_prefix("Receive").or(name.strip_prefix("Send")).unwrap_or(name);
            let whole = json!({"$schema": schema["$schema"], "$ref": definition, "$defs": schema["$defs"]});
            let validator = jsonschema::validator_for(&whole).expect("the schema is one");
            validators.insert((map, kind.to_owned()), validator);
        }
    }
    validators
});
