//! What a client attaches to an order for itself: any JSON object, within bounds.

use serde_json::{Map, Value};

/// The most bytes of it as compact JSON.
const MOST_BYTES: usize = 4096;
/// The most objects and lists within each other, itself included.
const DEEPEST: usize = 6;
/// What the server notes in an order of its own accord.
const OURS: [&str; 2] = ["demo", "test"];

pub(super) fn read(value: &Value) -> Result<Map<String, Value>, String> {
    let Value::Object(object) = value else { return Err("has to be an object".to_owned()) };
    if let Some(ours) = OURS.iter().find(|ours| object.contains_key(**ours)) {
        return Err(format!("\"{ours}\" is noted by the server alone"));
    }
    if depth(value) > DEEPEST {
        return Err(format!("has to have at most {DEEPEST} objects and lists within each other"));
    }
    if value.to_string().len() > MOST_BYTES {
        return Err(format!("has to have at most {MOST_BYTES} bytes"));
    }
    Ok(object.clone())
}

/// The body's reader has bounded how deep this can go.
fn depth(value: &Value) -> usize {
    match value {
        Value::Object(object) => 1 + object.values().map(depth).max().unwrap_or_default(),
        Value::Array(values) => 1 + values.iter().map(depth).max().unwrap_or_default(),
        _ => 0,
    }
}
