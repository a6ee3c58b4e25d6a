//! What a program gets over HTTP: an answer read to its end, errors in the contract's words, the description's shapes.

use super::{TestShop, client};
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

/// A text account that leads nowhere: texts are owed, and none arrives.
pub(crate) const TEXTS: [(&str, &str); 4] = [
    ("TWILIO_ACCOUNT_SID", "AC00000000000000000000000000000000"),
    ("TWILIO_AUTH_TOKEN", "token"),
    ("TWILIO_FROM_E164", "+15550001111"),
    ("TWILIO_API_BASE", "http://127.0.0.1:9"),
];

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) async fn to(request: reqwest::RequestBuilder) -> Self {
        let answer = request.send().await.expect("an answer");
        let (status, headers) = (answer.status(), answer.headers().clone());
        Self { status, headers, text: answer.text().await.expect("text") }
    }

    /// The beginning of an answer that does not end; what is refused is read to its end.
    pub(crate) async fn head(request: reqwest::RequestBuilder) -> Result<reqwest::Response, Self> {
        let answer = request.send().await.expect("an answer");
        if answer.status().is_success() {
            return Ok(answer);
        }
        let (status, headers) = (answer.status(), answer.headers().clone());
        Err(Self { status, headers, text: answer.text().await.expect("text") })
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// The cookie that it sets, as the browser sends it back.
    pub(crate) fn cookie(&self) -> String {
        let set = self.headers["set-cookie"].to_str().expect("text");
        set.split(';').next().expect("a pair").to_owned()
    }

    pub(crate) fn id(&self) -> &str {
        self.headers["x-correlation-id"].to_str().expect("text")
    }

    /// Panics unless it is an error in the contract's words.
    pub(crate) fn assert_error(&self, status: u16, code: &str) {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.headers["content-type"], "application/json");
        let body = self.json();
        let keys = |value: &Value| value.as_object().expect("an object").keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(&body), ["success", "error", "correlation_id"]);
        assert_eq!(keys(&body["error"]), ["code", "message", "details"]);
        assert_eq!((&body["success"], &body["error"]["code"]), (&json!(false), &json!(code)));
        assert!(body["error"]["details"].is_object(), "{body}");
        assert_eq!(body["correlation_id"], self.id());
        let sentence = body["error"]["message"].as_str().expect("a sentence");
        assert!(sentence.len() > 10, "{sentence}");
        for inside in ["/", "src", "panicked", "rror {", "::"] {
            assert!(!sentence.contains(inside), "{sentence}");
        }
    }
}

impl TestShop {
    pub(crate) async fn ask(&self, method: Method, path: &str) -> Answer {
        Answer::to(client().request(method, self.url(path))).await
    }

    /// As [`sign_in`].
    pub(crate) async fn sign_in(&self, password: &str) -> String {
        sign_in(&self.shop.base(), password).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path).await
    }

    pub(crate) async fn post(&self, path: &str) -> Answer {
        self.ask(Method::POST, path).await
    }
}

/// Tries to sign in with this password, as the console does.
pub(crate) async fn try_sign_in(base: &str, password: &str) -> Answer {
    let request = client().post(format!("{base}/login")).header(CONTENT_TYPE, "application/json");
    Answer::to(request.body(json!({"password": password}).to_string())).await
}

/// Signs staff in, and returns what to send as `Cookie` from then on.
pub(crate) async fn sign_in(base: &str, password: &str) -> String {
    let answer = try_sign_in(base, password).await;
    assert_eq!((answer.status, answer.json()), (StatusCode::OK, json!({"ok": true})));
    answer.cookie()
}

/// The description's shapes with their references to each other, to hold answers against one of them.
pub(crate) fn shape(document: &Value, name: &str) -> jsonschema::Validator {
    let whole = json!({"components": document["components"], "$ref": format!("#/components/schemas/{name}")});
    jsonschema::validator_for(&whole).expect("a schema")
}
