//! JSON that says each thing once: an object with the same key twice has no one meaning, so it is refused.

use super::problem::{Problem, Refused, Weight};
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::fmt;

/// Reads a body that has to be one JSON object.
pub(super) fn object(body: &[u8]) -> Result<Map<String, Value>, Refused> {
    let refused = |message: String| Refused::from(Problem::new(Weight::Invalid, "", message));
    match serde_json::from_slice::<Unambiguous>(body) {
        Ok(Unambiguous(Value::Object(object))) => Ok(object),
        Ok(_) => Err(refused("the body has to be a JSON object".to_owned())),
        Err(error) => Err(refused(format!("the body is not JSON: {error}"))),
    }
}

struct Unambiguous(Value);

impl<'de> Deserialize<'de> for Unambiguous {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader).map(Self)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("a number that is none"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Unambiguous(value)) = array.next_element()? {
            values.push(value);
        }
        Ok(values.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some((key, Unambiguous(value))) = map.next_entry::<String, _>()? {
            if object.contains_key(&key) {
                return Err(de::Error::custom("an object has the same key twice"));
            }
            object.insert(key, value);
        }
        Ok(object.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn reads_objects_and_nothing_else() {
        let text = br#"{"a":[1,-2,2.5,true,null,"\u00e9",{"b":{}}]}"#;
        assert_eq!(Value::Object(object(text).unwrap()), json!({"a": [1, -2, 2.5, true, null, "é", {"b": {}}]}));
        let deep = format!("{}{}", "{\"a\":".repeat(500), "}".repeat(500));
        for wrong in [
            "",
            "[]",
            "null",
            "7",
            "{",
            "{} {}",
            "{'a':1}",
            "{\"a\":1,}",
            "{\"a\":NaN}",
            "{\"a\":1e999}",
            "{\"a\":\"\\ud800\"}",
            "{\"a\":1,\"a\":1}",
            "{\"a\":{\"b\":1,\"\\u0062\":2}}",
            &deep,
        ] {
            let refused = object(wrong.as_bytes()).expect_err(wrong);
            assert_eq!((refused.first().weight(), refused.first().field()), (Weight::Invalid, ""), "{wrong}");
        }
        assert!(object(b"{\"a\":\"\xff\"}").is_err());
    }
}
