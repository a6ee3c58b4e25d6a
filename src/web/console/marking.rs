//! What the console says: a mark on an order, a switch. Read from JSON; whether it can be done is not known here.

use crate::order_service::Mark;
use crate::shop::SoldOut;
use crate::web::error::WebError;
use serde::Deserialize;
use serde_json::Number;

/// A mark that is asked for.
pub(super) struct MarkAsked(pub(super) Mark);

/// One option that there is no more of, or again.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Switch {
    pub(super) id: SoldOut,
    pub(super) sold_out: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    item: Option<Number>,
    made: Option<bool>,
    rush: Option<bool>,
}

impl MarkAsked {
    /// Reads `{"item":0,"made":true}` or `{"rush":true}`.
    ///
    /// # Errors
    /// Anything else, both of them in one included.
    pub(super) fn parse(body: &[u8]) -> Result<Self, WebError> {
        let said: Result<Said, _> = serde_json::from_slice(body);
        let mark = match said {
            Ok(Said { item: Some(item), made: Some(made), rush: None }) => {
                place(&item).map(|item| Mark::Item { item, made })
            }
            Ok(Said { item: None, made: None, rush: Some(rush) }) => Some(Mark::Rush(rush)),
            _ => None,
        };
        match mark {
            Some(mark) => Ok(Self(mark)),
            None => {
                Err(WebError::validation("expected {\"item\":0,\"made\":true} or {\"rush\":true}, and nothing else"))
            }
        }
    }
}

/// A line's place: a whole number, also one that is written as 1.0. Beyond what we count to there is no line anyway.
fn place(number: &Number) -> Option<usize> {
    let float = || number.as_f64().filter(|n| n.fract() == 0.0 && *n >= 0.0).map(|n| n as u64);
    number.as_u64().or_else(float).map(|n| usize::try_from(n).unwrap_or(usize::MAX))
}

impl Switch {
    /// Reads `{"id":"boba","sold_out":true}`. Ids are the shop's to know.
    ///
    /// # Errors
    /// Anything else.
    pub(super) fn parse(body: &[u8]) -> Result<Self, WebError> {
        serde_json::from_slice(body)
            .map_err(|_| WebError::validation("expected {\"id\":\"boba\",\"sold_out\":true}, and nothing else"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_one_thing() {
        let parse = |body: &str| MarkAsked::parse(body.as_bytes()).map(|MarkAsked(mark)| mark);
        assert_eq!(parse(r#"{"item":3,"made":false}"#).unwrap(), Mark::Item { item: 3, made: false });
        assert_eq!(parse(r#"{"item":1.0,"made":true}"#).unwrap(), Mark::Item { item: 1, made: true });
        let far = parse(r#"{"item":99999999999999999999999,"made":true}"#).unwrap();
        assert_eq!(far, Mark::Item { item: usize::MAX, made: true }, "which no order has");
        assert_eq!(parse(r#"{"rush":true}"#).unwrap(), Mark::Rush(true));
        for wrong in [
            "",
            "{}",
            "[]",
            "null",
            "true",
            r#"{"item":0}"#,
            r#"{"made":true}"#,
            r#"{"item":-1,"made":true}"#,
            r#"{"item":0.5,"made":true}"#,
            r#"{"item":"0","made":true}"#,
            r#"{"item":0,"made":1}"#,
            r#"{"item":0,"made":null}"#,
            r#"{"rush":"yes"}"#,
            r#"{"rush":null}"#,
            r#"{"rush":true,"rush":false}"#,
            r#"{"item":0,"made":true,"rush":true}"#,
            r#"{"rush":true,"status":"ready"}"#,
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_switch_names_one_option() {
        let Switch { id, sold_out } = Switch::parse(br#"{"id":"milk:oat","sold_out":true}"#).unwrap();
        assert_eq!((id.as_str(), sold_out), ("milk:oat", true));
        for wrong in [r#"{"id":"boba"}"#, r#"{"id":["boba"],"sold_out":true}"#, r#"{"id":"boba","sold_out":1}"#, "[]"] {
            assert!(Switch::parse(wrong.as_bytes()).is_err(), "{wrong}");
        }
        assert!(Switch::parse(br#"{"id":"boba","sold_out":true,"until":"noon"}"#).is_err());
    }
}
