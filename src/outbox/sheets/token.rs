//! Access tokens for a service account: a signed assertion is exchanged for one that holds for about an hour (RFC 7523,
//! as Google's page on service accounts over plain HTTP describes it).
//!
//! Whoever uses the tokens owns the [`TokenSource`], so that one renewal happens at a time. This file does not know which
//! API they are for, but for the scope.

use super::credentials::Credentials;
use crate::outbox::error::SendError;
use crate::outbox::http::{self, Now};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use reqwest::Client;
use ring::rand::SystemRandom;
use ring::signature::RSA_PKCS1_SHA256;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use std::time::Duration;

const SCOPE: &str = "https://www.googleapis.com/auth/spreadsheets";
const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// How long an assertion holds: the longest that Google takes.
const ASSERTION_SECONDS: i64 = 3600;
/// A token is renewed so long before it expires (or at half its life, when that is shorter): what is sent with it has to
/// arrive in time, and clocks differ.
const RENEW_EARLY_SECONDS: i64 = 300;
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Answers are about 1 KiB.
const MAX_ANSWER_BYTES: usize = 64 * 1024;
/// How the service is called in reasons.
const SERVICE: &str = "Google's sign-in for programs";

/// One account's tokens.
pub(super) struct TokenSource {
    credentials: Credentials,
    now: Now,
    cached: Option<Cached>,
}

struct Cached {
    token: SecretString,
    renew_at: Timestamp,
}

#[derive(Serialize)]
struct Header<'a> {
    alg: &'static str,
    typ: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<&'a str>,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    scope: &'static str,
    aud: &'a str,
    iat: i64,
    exp: i64,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    /// Seconds.
    expires_in: u32,
}

#[derive(Deserialize)]
struct Refused {
    error: String,
}

impl TokenSource {
    pub(super) fn new(credentials: Credentials, now: Now) -> Self {
        Self { credentials, now, cached: None }
    }

    /// A token that holds for a while: the last one or, when that is about to expire, a new one.
    pub(super) async fn token(&mut self, http: &Client) -> Result<SecretString, SendError> {
        let now = (self.now)();
        match &self.cached {
            Some(cached) if now < cached.renew_at => Ok(cached.token.clone()),
            _ => {
                let granted = self.ask(http, now).await?;
                let token = SecretString::from(granted.access_token);
                let life = i64::from(granted.expires_in);
                let good_for = SignedDuration::from_secs(life - RENEW_EARLY_SECONDS.min(life / 2));
                self.cached = Some(Cached { token: token.clone(), renew_at: now + good_for });
                Ok(token)
            }
        }
    }

    /// The last token was not accepted, whatever its age.
    pub(super) fn forget(&mut self) {
        self.cached = None;
    }

    pub(super) fn account(&self) -> &str {
        &self.credentials.client_email
    }

    async fn ask(&self, http: &Client, now: Timestamp) -> Result<Granted, SendError> {
        let assertion = assertion(&self.credentials, now)?;
        let form = [("grant_type", GRANT_TYPE), ("assertion", &assertion)];
        let sent = http.post(&self.credentials.token_uri).timeout(REQUEST_TIMEOUT).form(&form).send().await;
        // A token too many does no harm, so whatever is unclear may be tried again.
        let answer = sent.map_err(|_| SendError::busy(None, format!("{SERVICE} cannot be reached")))?;
        let (status, after) = (answer.status(), http::retry_after(answer.headers(), (self.now)()));
        let body = http::read_bounded(answer, MAX_ANSWER_BYTES).await.unwrap_or_default();
        if status.is_success() {
            let granted =
                serde_json::from_slice::<Granted>(&body).ok().filter(|granted| is_token(&granted.access_token));
            granted.ok_or_else(|| SendError::busy(None, format!("{SERVICE} gave an answer that is none")))
        } else if http::is_passing(status) {
            Err(SendError::busy(after, format!("{SERVICE} cannot answer now: HTTP {}", status.as_u16())))
        } else {
            let code = serde_json::from_slice::<Refused>(&body).ok().map(|refused| refused.error);
            let code = code.filter(|code| super::is_short_code(code)).unwrap_or_default();
            Err(SendError::refused(format!(
                "Google refused the service account (HTTP {} {code}): look at GOOGLE_SHEETS_CREDENTIALS and at this \
                 machine's clock",
                status.as_u16()
            )))
        }
    }
}

/// Whether it fits into a header.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// `header.claims.signature`, each base64url without padding; signed with RS256 (RFC 7518 §3.3).
fn assertion(credentials: &Credentials, now: Timestamp) -> Result<String, SendError> {
    let header = Header { alg: "RS256", typ: "JWT", kid: credentials.key_id.as_deref() };
    let iat = now.as_second();
    let claims = Claims {
        iss: &credentials.client_email,
        scope: SCOPE,
        aud: &credentials.token_uri,
        iat,
        exp: iat + ASSERTION_SECONDS,
    };
    let unusable = || SendError::refused("GOOGLE_SHEETS_CREDENTIALS cannot be signed with");
    let json = |json: Result<Vec<u8>, serde_json::Error>| json.map(|json| URL_SAFE_NO_PAD.encode(json));
    let header = json(serde_json::to_vec(&header)).map_err(|_| unusable())?;
    let claims = json(serde_json::to_vec(&claims)).map_err(|_| unusable())?;
    let signed = format!("{header}.{claims}");
    let mut signature = vec![0; credentials.key.public().modulus_len()];
    credentials
        .key
        .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)
        .map_err(|_| unusable())?;
    Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

#[cfg(test)]
mod tests {
    use super::super::credentials::tests::key_file;
    use super::*;
    use serde_json::Value;

    #[test]
    fn an_assertion_says_who_for_what_to_whom_and_until_when() {
        let credentials = Credentials::parse(&key_file("type", Value::Null)).unwrap();
        let assertion = assertion(&credentials, Timestamp::from_second(1_704_067_200).unwrap()).unwrap();
        let parts: Vec<Vec<u8>> =
            assertion.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).expect("base64url")).collect();
        let [header, claims, signature] = parts.as_slice() else { panic!("three parts: {assertion}") };
        insta::assert_snapshot!(String::from_utf8_lossy(header), @r#"{"alg":"RS256","typ":"JWT","kid":"key-1"}"#);
        insta::assert_snapshot!(String::from_utf8_lossy(claims), @r#"{"iss":"orders@shop.iam.gserviceaccount.com","scope":"https://www.googleapis.com/auth/spreadsheets","aud":"https://oauth2.googleapis.com/token","iat":1704067200,"exp":1704070800}"#);
        // PKCS#1 v1.5 is deterministic: `openssl dgst -sha256 -sign throwaway_key.pem` over the first two parts.
        let openssl = "Trz-qZjGE9hXHMHQFi4Rlmve8RdE6_lvscBE8aliswydU5mbkfSp6DVMSNXgAJy-iWjDgTbdMU9j508sL2jhQasugOf_XZLI3cI1inNtmSDKfhWcM0f3ytL1HHet5IZTns6atJEaqTtGQi_0XUzQq23n0TuRGCCHKHZ9SF6j-bISw5ZkzZH-QN1vuqKtSY8tgbn-eFT9CCcB5wK1V977davLXKhR9yF2xjYee0r90OuekA6-b0R2d2vp85aY4JzRiS1YnGaW9GOBG2flGodEniZ1ns5IKMLfTdALHoZa6m0ttI0o8desP8lpkyeLcu8l0QjBXMHY25vC789t0Pj8KA";
        assert_eq!(URL_SAFE_NO_PAD.encode(signature), openssl);
    }

    #[test]
    fn tokens_that_would_break_a_header_are_none() {
        assert!(is_token("ya29.c.b0Aaek-_~+/="));
        for bad in ["", "a b", "a\r\nX-Evil: 1", "naïve"] {
            assert!(!is_token(bad), "{bad}");
        }
    }
}
