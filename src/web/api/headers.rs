//! The headers that make requests safe to repeat and changes safe to race: `Idempotency-Key`, `If-Match`, `ETag`.

use crate::web::error::{ErrorCode, WebError};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

/// Names a request, so that its repetition is known.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Says on an answer that it is the stored one of the first request with that key.
pub const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// 1 to 255 visible ASCII characters that name a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey(String);

/// A text that is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an idempotency key has 1 to 255 visible ASCII characters")]
pub struct BadKey;

impl IdempotencyKey {
    const LONGEST: usize = 255;

    /// Reads a key as it stands in a body.
    ///
    /// # Errors
    /// Nothing, too much, a space, or what is not ASCII.
    pub fn parse(text: &str) -> Result<IdempotencyKey, BadKey> {
        let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        ((1..=Self::LONGEST).contains(&text.len()) && visible).then(|| Self(text.to_owned())).ok_or(BadKey)
    }

    /// Reads the header, if there is one: a structured field's string (`"…"`, as the IETF's draft has it) or the bare
    /// key, as most clients send it. Both are the same key.
    ///
    /// # Errors
    /// 400 for a key that is none, and for more than one.
    pub fn of(headers: &HeaderMap) -> Result<Option<IdempotencyKey>, WebError> {
        let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
        let Some(value) = values.next() else { return Ok(None) };
        let text = value.to_str().unwrap_or_default();
        let key = match text.strip_prefix('"') {
            Some(rest) => unquoted(rest),
            None => Some(text.to_owned()),
        };
        let key = key.and_then(|key| Self::parse(&key).ok()).filter(|_| values.next().is_none());
        let refused = || WebError::validation(BadKey.to_string()).with("field", "Idempotency-Key");
        key.map(Some).ok_or_else(refused)
    }

    /// The key.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A structured field's string after its opening quotation mark; `None` if it does not end where the text does.
fn unquoted(text: &str) -> Option<String> {
    let mut key = String::new();
    let mut letters = text.chars();
    loop {
        match letters.next()? {
            '"' => return letters.as_str().is_empty().then_some(key),
            '\\' => key.push(letters.next().filter(|letter| matches!(letter, '"' | '\\'))?),
            letter => key.push(letter),
        }
    }
}

/// The versions that a change may be made to: those that `If-Match` names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IfMatch(Vec<u64>);

impl IfMatch {
    /// Reads `If-Match`: one or several entity tags, in one header or several. Weak tags and tags that are none of ours
    /// match nothing, as RFC 9110 has it. `*` is refused like a missing header: it would let a change overwrite what
    /// its sender has never seen, which is what the header is for.
    ///
    /// # Errors
    /// 428 without versions, 400 for what is no list of entity tags.
    pub fn of(headers: &HeaderMap) -> Result<IfMatch, WebError> {
        let required = |message| WebError::new(ErrorCode::VersionRequired, message).with("field", "If-Match");
        let mut versions = Vec::new();
        let mut values = headers.get_all(header::IF_MATCH).iter().peekable();
        if values.peek().is_none() {
            return Err(required("a change needs If-Match with the order's version, such as \"3\": its ETag has it"));
        }
        for value in values {
            let text = value.to_str().unwrap_or_default().trim();
            if text == "*" {
                return Err(required("If-Match has to name the version that is changed, such as \"3\", not *"));
            }
            let refused = || {
                let message = "If-Match has to be an entity tag in quotation marks, such as \"3\", or a list of them";
                WebError::validation(message).with("field", "If-Match")
            };
            // The version as it is in JSON, without quotation marks: no entity tag, and no doubt what is meant.
            if let Some(bare) = version(Some(text)).filter(|bare| (1..1_000_000).contains(bare)) {
                versions.push(bare);
                continue;
            }
            versions.extend(tags(text).ok_or_else(refused)?.into_iter().filter_map(version));
        }
        Ok(Self(versions))
    }

    /// Whether the change may be made to an order of this version.
    pub fn matches(&self, version: u64) -> bool {
        self.0.contains(&version)
    }

    /// The versions, as they were named; empty if every tag was foreign, so that no order matches.
    pub fn versions(&self) -> &[u64] {
        &self.0
    }
}

/// An order's version as its entity tag: `"3"`.
pub fn etag(version: u64) -> HeaderValue {
    HeaderValue::try_from(format!("\"{version}\"")).expect("digits in quotation marks are a header's value")
}

/// A list's tags with what is between their quotation marks, `None` for a weak one; nothing if it is no such list.
fn tags(mut text: &str) -> Option<Vec<Option<&str>>> {
    let mut tags = Vec::new();
    loop {
        let (weak, quoted) = match text.strip_prefix("W/") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (tag, rest) = quoted.strip_prefix('"')?.split_once('"')?;
        let allowed = |byte: u8| byte == 0x21 || (0x23..=0x7e).contains(&byte);
        tags.push((!weak).then_some(tag).filter(|tag| tag.bytes().all(allowed)));
        text = match rest.trim_start().strip_prefix(',') {
            Some(more) => more.trim_start(),
            None => return rest.trim().is_empty().then_some(tags),
        };
    }
}

/// The version in a tag of ours, exactly as we write it.
fn version(tag: Option<&str>) -> Option<u64> {
    tag.and_then(|tag| tag.parse::<u64>().ok().filter(|version| version.to_string() == tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, values: &[&str]) -> HeaderMap {
        values.iter().map(|value| (name.clone(), HeaderValue::from_str(value).unwrap())).collect()
    }

    #[test]
    fn a_key_is_the_same_quoted_and_bare() {
        let key =
            |values: &[&str]| IdempotencyKey::of(&headers(IDEMPOTENCY_KEY, values)).map(|key| key.map(|key| key.0));
        assert_eq!(key(&[]).unwrap(), None);
        assert_eq!(key(&["8e03978e-40d5"]).unwrap().as_deref(), Some("8e03978e-40d5"));
        assert_eq!(key(&["\"8e03978e-40d5\""]).unwrap().as_deref(), Some("8e03978e-40d5"));
        assert_eq!(key(&[r#""a\"b\\c""#]).unwrap().as_deref(), Some(r#"a"b\c"#));
        assert_eq!(key(&[&"k".repeat(255)]).unwrap().map(|key| key.len()), Some(255));
        let long = "k".repeat(256);
        for wrong in
            [&[""][..], &["a b"], &["\"\""], &["\"a"], &["\"a\"b"], &[r#""a\b""#], &["é"], &[&long], &["a", "a"]]
        {
            assert_eq!(key(wrong).expect_err("refused").code(), ErrorCode::Validation, "{wrong:?}");
        }
    }

    #[test]
    fn a_change_names_its_version() {
        let read = |values: &[&str]| IfMatch::of(&headers(header::IF_MATCH, values));
        assert_eq!(read(&["\"3\""]).unwrap().versions(), [3]);
        assert_eq!(read(&["\"3\" ,\"4\"", "\"5\""]).unwrap().versions(), [3, 4, 5]);
        let three = read(&["\"3\""]).unwrap();
        assert!(three.matches(3) && !three.matches(2));
        for foreign in ["W/\"3\"", "\"03\"", "\"+3\"", "\"abc\"", "\"\"", "\"a,b\"", "\"99999999999999999999\""] {
            assert_eq!(read(&[foreign]).unwrap().versions(), [0; 0], "{foreign}");
        }
        assert_eq!(read(&["W/\"3\", \"4\""]).unwrap().versions(), [4]);
        for without in [&[][..], &["*"], &[" * "], &["\"3\"", "*"]] {
            assert_eq!(read(without).expect_err("refused").code(), ErrorCode::VersionRequired, "{without:?}");
        }
        assert_eq!(read(&["3"]).unwrap().versions(), [3], "as it is in JSON");
        for wrong in
            ["", "0", "03", "1000000", "3, 4", "-3", "'3'", "\"3", "\"3\" \"4\"", "\"3\",", ",", "w/\"3\"", "*,\"3\""]
        {
            assert_eq!(read(&[wrong]).expect_err("refused").code(), ErrorCode::Validation, "{wrong}");
        }
    }

    #[test]
    fn the_tag_we_give_is_the_tag_we_take() {
        for number in [1, 3, u64::MAX] {
            let tag = etag(number);
            let headers = HeaderMap::from_iter([(header::IF_MATCH, tag)]);
            assert!(IfMatch::of(&headers).unwrap().matches(number));
        }
    }
}
