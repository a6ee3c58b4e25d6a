//! Proves that a request is Twilio's: HMAC-SHA1 over the public URL and the form, keyed with the auth token.
//!
//! Source: Twilio's documentation of `X-Twilio-Signature`. This file does not know the server's public URL; the caller
//! builds it from configuration, because behind a TLS proxy the request itself cannot tell.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;
use subtle::{Choice, ConstantTimeEq as _};

/// The header that carries it.
pub const HEADER: &str = "x-twilio-signature";

/// The signature of a request: base64 of HMAC-SHA1 over `url` followed by every name and value of `params`, sorted by
/// name; of a name given several times each different value once, sorted too.
pub fn sign(auth_token: &str, url: &str, params: &[(String, String)]) -> String {
    let mut sorted: Vec<(&str, &str)> = params.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    sorted.sort_unstable();
    sorted.dedup();
    let mut mac = Hmac::<Sha1>::new_from_slice(auth_token.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(url.as_bytes());
    for (name, value) in sorted {
        mac.update(name.as_bytes());
        mac.update(value.as_bytes());
    }
    STANDARD.encode(mac.finalize().into_bytes())
}

/// Whether `signature` is Twilio's for this request, compared in constant time.
///
/// Twilio signs a URL sometimes with its port and sometimes without, so the URL as given, without a port, and with its
/// scheme's standard port all count.
pub fn is_valid(auth_token: &str, url: &str, params: &[(String, String)], signature: &str) -> bool {
    let mut valid = Choice::from(0);
    for form in port_forms(url) {
        valid |= sign(auth_token, &form, params).as_bytes().ct_eq(signature.as_bytes());
    }
    valid.into()
}

/// The URL as it is, without its port, and with the standard port if it names none.
fn port_forms(url: &str) -> Vec<String> {
    let mut forms = vec![url.to_owned()];
    let Some((scheme, rest)) = url.split_once("://") else { return forms };
    let (authority, tail) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    // The colons inside an IPv6 address are not a port's.
    let (address, after_it) = authority.split_at(authority.rfind(']').map_or(0, |end| end + 1));
    let (host, port) = match after_it.rfind(':') {
        Some(colon) => authority.split_at(address.len() + colon),
        None => (authority, ""),
    };
    if port.is_empty() {
        let standard = if matches!(scheme, "https" | "wss") { 443 } else { 80 };
        forms.push(format!("{scheme}://{host}:{standard}{tail}"));
    } else {
        forms.push(format!("{scheme}://{host}{tail}"));
    }
    forms
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use serde_json::{Map, Value};

    #[derive(Deserialize)]
    struct Vectors {
        auth_token: String,
        valid: Vec<Case>,
        invalid: Vec<Case>,
    }

    #[derive(Deserialize)]
    struct Case {
        name: String,
        url: String,
        params: Map<String, Value>,
        signature: String,
    }

    impl Case {
        fn params(&self) -> Vec<(String, String)> {
            let text = |value: &Value| value.as_str().expect("vectors hold strings").to_owned();
            self.params
                .iter()
                .flat_map(|(name, value)| match value {
                    Value::Array(values) => values.iter().map(|one| (name.clone(), text(one))).collect(),
                    one => vec![(name.clone(), text(one))],
                })
                .collect()
        }
    }

    fn vectors() -> Vectors {
        serde_json::from_str(include_str!("../../tests/fixtures/twilio/signatures.json")).unwrap()
    }

    #[test]
    fn every_signature_of_twilios_library_is_accepted() {
        let vectors = vectors();
        assert_eq!(vectors.valid.len(), 12);
        for case in &vectors.valid {
            assert!(is_valid(&vectors.auth_token, &case.url, &case.params(), &case.signature), "{}", case.name);
        }
    }

    #[test]
    fn every_forgery_is_refused() {
        let vectors = vectors();
        assert_eq!(vectors.invalid.len(), 5);
        for case in &vectors.invalid {
            assert!(!is_valid(&vectors.auth_token, &case.url, &case.params(), &case.signature), "{}", case.name);
        }
    }

    #[test]
    fn a_repeated_value_counts_once_and_order_does_not_matter() {
        let param = |value: &str| ("MediaUrl".to_owned(), value.to_owned());
        let once = sign("token", "https://a/", &[param("a"), param("b")]);
        assert_eq!(once, sign("token", "https://a/", &[param("b"), param("a"), param("b")]));
    }

    #[test]
    fn forms_of_a_url() {
        assert_eq!(port_forms("wss://host/twilio"), ["wss://host/twilio", "wss://host:443/twilio"]);
        assert_eq!(port_forms("http://host:8000?a=b:1"), ["http://host:8000?a=b:1", "http://host?a=b:1"]);
        assert_eq!(port_forms("http://[::1]/x"), ["http://[::1]/x", "http://[::1]:80/x"]);
        assert_eq!(port_forms("http://[::1]:9/x"), ["http://[::1]:9/x", "http://[::1]/x"]);
        assert_eq!(port_forms("nonsense"), ["nonsense"]);
        assert_eq!(port_forms("https://"), ["https://", "https://:443"]);
    }

    proptest::proptest! {
        #[test]
        fn no_url_panics(url in "(https?://)?[\\[\\]:/?a-z0-9é]*", signature in ".*") {
            proptest::prop_assert!(!is_valid("token", &url, &[], &signature));
        }
    }
}
