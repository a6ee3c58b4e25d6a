//! A Google service account's credentials, as its JSON key file holds them.
//!
//! Does not know what they are used for. No error and no debug output shows a part of the key.

use crate::config::is_loopback_host;
use reqwest::Url;
use ring::rsa::KeyPair;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Map, Value};
use std::fmt;

/// A service account that can sign.
pub struct Credentials {
    pub(super) client_email: String,
    /// Which of the account's keys it is.
    pub(super) key_id: Option<String>,
    /// Where access tokens are given out: https, or http on this machine. Also the audience of what is signed, as it is
    /// written.
    pub(super) token_uri: String,
    pub(super) key: KeyPair,
}

/// Why a text is no service account's credentials. The text itself is left out of every sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadCredentials {
    /// No JSON object.
    #[error("is not a JSON object: expected the key file of a Google service account")]
    NotJson,
    /// JSON of another kind of account, such as a user's.
    #[error("is of another kind of account: expected a Google service account's key file")]
    OtherKind,
    /// A field is missing, empty or no text.
    #[error("lacks `{0}`: expected the key file of a Google service account")]
    Missing(&'static str),
    /// The private key cannot be used.
    #[error("holds a `private_key` that cannot be used: expected an RSA key of 2048 bits or more, PKCS#8 in PEM")]
    Key,
    /// Tokens cannot be asked for there.
    #[error("holds a `token_uri` that is no https address")]
    TokenUri,
}

impl Credentials {
    /// Reads a key file's JSON.
    ///
    /// # Errors
    /// [`BadCredentials`], which never repeats what it has read.
    pub fn parse(json: &str) -> Result<Self, BadCredentials> {
        let fields: Map<String, Value> = serde_json::from_str(json).map_err(|_| BadCredentials::NotJson)?;
        let text = |name| fields.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let needed = |name| text(name).ok_or(BadCredentials::Missing(name));
        if text("type").is_some_and(|kind| kind != "service_account") {
            return Err(BadCredentials::OtherKind);
        }
        let (client_email, pem) = (needed("client_email")?, needed("private_key")?);
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| BadCredentials::Key)?;
        let key = KeyPair::from_pkcs8(der.secret_pkcs8_der()).map_err(|_| BadCredentials::Key)?;
        let token_uri = needed("token_uri")?;
        if !Url::parse(token_uri).is_ok_and(|url| is_safe(&url)) {
            return Err(BadCredentials::TokenUri);
        }
        Ok(Self {
            client_email: client_email.to_owned(),
            key_id: text("private_key_id").map(str::to_owned),
            token_uri: token_uri.to_owned(),
            key,
        })
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("client_email", &self.client_email).finish_non_exhaustive()
    }
}

/// Whether what is sent there stays between us and it.
fn is_safe(url: &Url) -> bool {
    url.host_str().is_some_and(|host| match url.scheme() {
        "https" => true,
        "http" => is_loopback_host(host),
        _ => false,
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use serde_json::json;

    pub(in crate::outbox::sheets) const PEM: &str = include_str!("../../../tests/fixtures/google/throwaway_key.pem");

    /// A key file with one field changed; `null` takes it out.
    pub(in crate::outbox::sheets) fn key_file(name: &str, value: Value) -> String {
        let mut file = json!({
            "type": "service_account",
            "project_id": "shop",
            "private_key_id": "key-1",
            "private_key": PEM,
            "client_email": "orders@shop.iam.gserviceaccount.com",
            "token_uri": "https://oauth2.googleapis.com/token",
        });
        match value {
            Value::Null => drop(file.as_object_mut().unwrap().remove(name)),
            value => file[name] = value,
        }
        file.to_string()
    }

    #[test]
    fn a_key_file_is_understood_with_and_without_what_is_optional() {
        let whole = Credentials::parse(&key_file("project_id", json!("x"))).unwrap();
        assert_eq!(whole.client_email, "orders@shop.iam.gserviceaccount.com");
        assert_eq!(whole.key_id.as_deref(), Some("key-1"));
        for optional in ["type", "project_id", "private_key_id"] {
            assert!(Credentials::parse(&key_file(optional, Value::Null)).is_ok(), "{optional}");
        }
        assert!(Credentials::parse(&key_file("token_uri", json!("http://127.0.0.1:1/token"))).is_ok());
        assert!(Credentials::parse(&key_file("token_uri", json!("http://[::1]:1/token"))).is_ok());
    }

    #[test]
    fn what_is_wrong_is_named() {
        let refused = |name, value| Credentials::parse(&key_file(name, value)).expect_err("refused");
        for name in ["client_email", "private_key", "token_uri"] {
            for value in [Value::Null, json!(""), json!(7), json!({})] {
                assert_eq!(refused(name, value), BadCredentials::Missing(name));
            }
        }
        assert_eq!(refused("type", json!("authorized_user")), BadCredentials::OtherKind);
        for uri in ["oauth2.googleapis.com", "http://oauth2.googleapis.com/token", "ftp://x/", "http://localhost.evil/"]
        {
            assert_eq!(refused("token_uri", json!(uri)), BadCredentials::TokenUri, "{uri}");
        }
        for text in ["", "{", "[]", "\"key\"", "null"] {
            assert_eq!(Credentials::parse(text).expect_err("refused"), BadCredentials::NotJson);
        }
    }

    #[test]
    fn keys_that_cannot_sign_are_refused_and_never_shown() {
        let body = PEM.lines().nth(5).unwrap();
        let cut: String = PEM.lines().filter(|line| *line != body).map(|line| format!("{line}\n")).collect();
        for key in [body, &cut, &PEM.replace("PRIVATE", "RSA PRIVATE"), "-----BEGIN PRIVATE KEY-----"] {
            let error = Credentials::parse(&key_file("private_key", json!(key))).expect_err("refused");
            assert_eq!(error, BadCredentials::Key);
        }
        let good = Credentials::parse(&key_file("type", Value::Null)).unwrap();
        assert!(!format!("{good:?}").contains("KeyPair"), "{good:?}");
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in ".*") {
            proptest::prop_assert!(Credentials::parse(&text).is_err());
        }
    }
}
