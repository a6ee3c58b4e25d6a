//! What a request asks for, out of its envelope, and the digest that tells whether it is asked for again.

use super::fields::Fields;
use super::problem::Problems;
use crate::web::api::headers::IdempotencyKey;
use serde_json::{Map, Number, Value};
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;

/// The key's name in an envelope and in a plain order.
pub(super) const KEY: &str = "idempotency_key";
const VERSION: &str = "1.0";
const ACTION: &str = "create_order";

/// The order in a body, and the key of the envelope around it if there is one.
pub(super) fn open(body: Map<String, Value>, problems: &mut Problems) -> (Map<String, Value>, Option<Value>) {
    let mut fields = Fields::new(body.clone(), "");
    if !fields.has(&["version", "action", "payload"]) {
        return (body, None);
    }
    let only = |expected: &'static str| {
        move |value: &Value| {
            let known = value.as_str() == Some(expected);
            known.then_some(()).ok_or_else(|| format!("has to be the text \"{expected}\""))
        }
    };
    let version = fields.take(problems, &["version"], only(VERSION));
    let action = fields.take(problems, &["action"], only(ACTION));
    let payload = fields.take(problems, &["payload"], |value| {
        value.as_object().cloned().ok_or_else(|| "has to be an object".to_owned())
    });
    let key = fields.take(problems, &[KEY], |value| Ok(value.clone()));
    for (name, is_missing) in
        [("version", version.is_none()), ("action", action.is_none()), ("payload", payload.is_none())]
    {
        if is_missing && !problems.concern(&[name]) {
            problems.invalid(name, "an envelope needs it");
        }
    }
    fields.finish(problems);
    (payload.unwrap_or_default(), key)
}

pub(super) fn read_key(value: &Value) -> Result<Option<IdempotencyKey>, String> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => IdempotencyKey::parse(text).map(Some).map_err(|error| error.to_string()),
        _ => Err("has to be a text".to_owned()),
    }
}

pub(super) fn hash(payload: &Map<String, Value>) -> String {
    let text = format!("bobarista-payload-1\n{}", canonical(&Value::Object(payload.clone())));
    Sha256::digest(text).iter().fold(String::with_capacity(64), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("writing to a String cannot fail");
        hex
    })
}

fn canonical(value: &Value) -> Value {
    match value {
        Value::Object(object) => {
            let mut entries: Vec<_> = object.iter().collect();
            entries.sort_by_key(|(key, _)| key.as_str());
            Value::Object(entries.into_iter().map(|(key, value)| (key.clone(), canonical(value))).collect())
        }
        Value::Array(values) => values.iter().map(canonical).collect(),
        Value::Number(number) => Value::Number(whole(number)),
        other => other.clone(),
    }
}

/// `2.0` is 2: some languages write every number with a fraction. Beyond 2^53 not every whole number is one.
fn whole(number: &Number) -> Number {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match number.as_f64() {
        Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() <= EXACT => Number::from(float as i64),
        _ => number.clone(),
    }
}
