//! Twilio's REST API, as far as we need it: send a text, steer or end a call, fetch or delete what a caller recorded.
//!
//! One request a method, no retries: whoever owes the delivery decides when to try again, and [`RestError`] tells it
//! the three things that matter. Nothing here is built on Twilio's list of error codes, which grows. This file does not
//! know what a text says or why a call ends.

use std::time::Duration;

use crate::http::{Unread, read_bounded, retry_after};
use bytes::Bytes;
use jiff::Timestamp;
use reqwest::{Client, RequestBuilder, Response, StatusCode, Url};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

/// Where Twilio's API is.
pub const DEFAULT_BASE: &str = "https://api.twilio.com";

/// How long one request may take, from connecting to the last byte of the answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the beginning of a recording may take to come; how long all of it takes is up to whoever reads it.
const RECORDING_TIMEOUT: Duration = Duration::from_secs(10);
/// Twilio's answers are about 1 KiB; whatever is longer is not one, and is not read to its end.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// Why a request did not do what was asked, by what may be done about it.
///
/// Twilio's own sentences are left out on purpose: they repeat phone numbers, which must stay out of logs.
#[derive(Debug, thiserror::Error)]
pub enum RestError {
    /// Twilio did not take the request (it was never reached, is overloaded or broken): the same request may be made
    /// again.
    #[error("Twilio cannot take the request now")]
    Retryable {
        /// How long Twilio asks to be left alone, if it says.
        after: Option<Duration>,
        /// The HTTP status, or nothing when no connection came about.
        status: Option<u16>,
    },
    /// Twilio refused it: the same request would be refused again.
    #[error("Twilio refused the request: HTTP {status}{}", code.map(|code| format!(", error {code}")).unwrap_or_default())]
    Final {
        /// Twilio's error code, if it gave one.
        code: Option<u32>,
        /// The HTTP status.
        status: u16,
    },
    /// The request went out and no answer that can be understood came back. It may have been carried out.
    #[error("Twilio may or may not have carried out the request")]
    Unknown(#[source] Option<reqwest::Error>),
}

/// A base address that no request could be sent to.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not an http or https address")]
pub struct BadBase(pub String);

/// One Twilio account.
#[derive(Debug, Clone)]
pub struct RestClient {
    http: Client,
    base: Url,
    account_sid: String,
    auth_token: SecretString,
}

/// One text message.
#[derive(Debug, Clone, Copy)]
pub struct Text<'a> {
    /// One of the account's numbers, E.164.
    pub from: &'a str,
    /// E.164.
    pub to: &'a str,
    /// What it says.
    pub body: &'a str,
    /// Where Twilio reports what became of it: an absolute URL.
    pub status_callback: Option<&'a str>,
}

/// What to do with a call in progress.
#[derive(Debug, Clone, Copy)]
pub enum CallUpdate<'a> {
    /// Hang up.
    Complete,
    /// Drop what it is doing and follow this TwiML.
    Twiml(&'a str),
}

impl RestClient {
    /// A client of one account, at `base` ([`DEFAULT_BASE`] unless configured otherwise).
    ///
    /// # Errors
    /// [`BadBase`] when `base` is no http(s) address.
    pub fn new(http: Client, base: &str, account_sid: String, auth_token: SecretString) -> Result<Self, BadBase> {
        let bad = || BadBase(base.to_owned());
        let base = Url::parse(base).map_err(|_| bad())?;
        if !matches!(base.scheme(), "http" | "https") || !base.has_host() {
            return Err(bad());
        }
        Ok(Self { http, base, account_sid, auth_token })
    }

    /// Hands a text to Twilio and returns the message's sid. Accepted is not delivered: that, the status callback
    /// tells.
    ///
    /// # Errors
    /// [`RestError`]; after `Unknown` the text may still arrive.
    pub async fn send_text(&self, text: &Text<'_>) -> Result<String, RestError> {
        #[derive(Deserialize)]
        struct Accepted {
            sid: String,
        }
        let mut form = vec![("From", text.from), ("To", text.to), ("Body", text.body)];
        form.extend(text.status_callback.map(|url| ("StatusCallback", url)));
        let answer = self.post(&["Messages.json"], &form).await?;
        let accepted: Accepted = serde_json::from_slice(&answer).map_err(|_| RestError::Unknown(None))?;
        Ok(accepted.sid)
    }

    /// Changes what a call in progress is doing.
    ///
    /// # Errors
    /// [`RestError`]; a call that has already ended is `Final` with status 404 or 400.
    pub async fn update_call(&self, call_sid: &str, update: CallUpdate<'_>) -> Result<(), RestError> {
        let form = match update {
            CallUpdate::Complete => ("Status", "completed"),
            CallUpdate::Twiml(twiml) => ("Twiml", twiml),
        };
        self.post(&["Calls", &format!("{call_sid}.json")], &[form]).await.map(drop)
    }

    /// Opens a recording as MP3.
    ///
    /// # Errors
    /// [`RestError`]; one that is not there, or not there yet, is `Final` with status 404.
    pub async fn recording(&self, recording_sid: &str) -> Result<Recording, RestError> {
        let request = self.http.get(self.url(&["Recordings", &format!("{recording_sid}.mp3")]));
        let sent = tokio::time::timeout(RECORDING_TIMEOUT, self.authorized(request).send()).await;
        let sent = sent.map_err(|_| RestError::Retryable { after: None, status: None })?;
        accepted(sent).await.map(Recording)
    }

    /// Deletes a recording. One that is not there any more is deleted.
    ///
    /// # Errors
    /// [`RestError`].
    pub async fn delete_recording(&self, recording_sid: &str) -> Result<(), RestError> {
        let request = self.http.delete(self.url(&["Recordings", &format!("{recording_sid}.json")]));
        match accepted(self.authorized(request).timeout(REQUEST_TIMEOUT).send().await).await {
            Ok(_) | Err(RestError::Final { status: 404, .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn post(&self, path: &[&str], form: &[(&str, &str)]) -> Result<Vec<u8>, RestError> {
        let request = self.http.post(self.url(path)).timeout(REQUEST_TIMEOUT).form(form);
        body_of(accepted(self.authorized(request).send().await).await?).await
    }

    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            // Pushed as segments so that a strange sid is escaped and cannot point elsewhere.
            segments.pop_if_empty().extend(["2010-04-01", "Accounts", &self.account_sid]).extend(path);
        }
        url
    }

    fn authorized(&self, request: RequestBuilder) -> RequestBuilder {
        request.basic_auth(&self.account_sid, Some(self.auth_token.expose_secret()))
    }
}

/// A recording that is being fetched.
#[derive(Debug)]
pub struct Recording(Response);

impl Recording {
    /// The next bytes; none: that was all.
    ///
    /// # Errors
    /// [`RestError::Unknown`]: it broke off.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, RestError> {
        self.0.chunk().await.map_err(|error| RestError::Unknown(Some(error.without_url())))
    }
}

/// An answer that says yes, its body not read yet.
async fn accepted(sent: reqwest::Result<Response>) -> Result<Response, RestError> {
    let response = match sent {
        Ok(response) => response,
        // Without a connection nothing was sent, so nothing can happen twice.
        Err(error) if error.is_connect() => return Err(RestError::Retryable { after: None, status: None }),
        Err(error) => return Err(RestError::Unknown(Some(error.without_url()))),
    };
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() {
        let after = retry_after(response.headers(), Timestamp::now());
        return Err(RestError::Retryable { after, status: Some(status.as_u16()) });
    }
    let code = body_of(response).await.ok().and_then(|body| error_code(&body));
    Err(RestError::Final { code, status: status.as_u16() })
}

fn error_code(body: &[u8]) -> Option<u32> {
    #[derive(Deserialize)]
    struct Refused {
        code: u32,
    }
    serde_json::from_slice(body).ok().map(|Refused { code }| code)
}

async fn body_of(response: Response) -> Result<Vec<u8>, RestError> {
    read_bounded(response, MAX_ANSWER_BYTES).await.map_err(|unread| match unread {
        Unread::Broken(error) => RestError::Unknown(Some(error)),
        Unread::TooLong => RestError::Unknown(None),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt as _;
    use wiremock::matchers::{basic_auth, body_string, header, method, path};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    const TEXT: Text<'_> = Text {
        from: "+18885550000",
        to: "+15551234567",
        body: "Ready! 100% & more",
        status_callback: Some("https://voice.example.com/sms/status"),
    };

    fn client(base: &str) -> RestClient {
        // Another test may have installed it already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = Client::builder().no_proxy().build().unwrap();
        RestClient::new(http, base, "AC0".into(), SecretString::from("secret")).unwrap()
    }

    async fn answering(response: ResponseTemplate) -> (MockServer, RestClient) {
        let server = MockServer::start().await;
        Mock::given(method("POST")).respond_with(response).mount(&server).await;
        let client = client(&server.uri());
        (server, client)
    }

    #[tokio::test]
    async fn a_text_is_sent_as_documented() {
        let server = MockServer::start().await;
        Mock::given(method("POST"))
            .and(path("/2010-04-01/Accounts/AC0/Messages.json"))
            .and(basic_auth("AC0", "secret"))
            .and(header("content-type", "application/x-www-form-urlencoded"))
            .and(body_string(
                "From=%2B18885550000&To=%2B15551234567&Body=Ready%21+100%25+%26+more\
                 &StatusCallback=https%3A%2F%2Fvoice.example.com%2Fsms%2Fstatus",
            ))
            .respond_with(ResponseTemplate::new(201).set_body_string(r#"{"sid":"SM1","status":"queued"}"#))
            .expect(1)
            .mount(&server)
            .await;
        assert_eq!(client(&server.uri()).send_text(&TEXT).await.unwrap(), "SM1");
    }

    #[tokio::test]
    async fn a_call_is_ended_or_redirected() {
        let server = MockServer::start().await;
        for body in ["Status=completed", "Twiml=%3CResponse%2F%3E"] {
            Mock::given(method("POST"))
                .and(path("/2010-04-01/Accounts/AC0/Calls/CA0.json"))
                .and(body_string(body))
                .respond_with(ResponseTemplate::new(200).set_body_string("{}"))
                .expect(1)
                .mount(&server)
                .await;
        }
        let client = client(&format!("{}/", server.uri()));
        client.update_call("CA0", CallUpdate::Complete).await.unwrap();
        client.update_call("CA0", CallUpdate::Twiml("<Response/>")).await.unwrap();
    }

    #[tokio::test]
    async fn a_recording_is_fetched_and_deleted() {
        let server = MockServer::start().await;
        let at = |verb: &str, file: &str| {
            let path = path(format!("/2010-04-01/Accounts/AC0/Recordings/{file}"));
            Mock::given(method(verb)).and(path).and(basic_auth("AC0", "secret"))
        };
        at("GET", "RE0.mp3").respond_with(ResponseTemplate::new(200).set_body_string("sound")).mount(&server).await;
        at("GET", "RE1.mp3").respond_with(ResponseTemplate::new(404)).mount(&server).await;
        at("DELETE", "RE0.json").respond_with(ResponseTemplate::new(204)).expect(1).mount(&server).await;
        at("DELETE", "RE1.json").respond_with(ResponseTemplate::new(404)).expect(1).mount(&server).await;
        at("DELETE", "RE2.json").respond_with(ResponseTemplate::new(500)).expect(1).mount(&server).await;
        let client = client(&server.uri());
        let mut recording = client.recording("RE0").await.unwrap();
        assert_eq!(recording.chunk().await.unwrap().unwrap(), "sound");
        assert!(recording.chunk().await.unwrap().is_none());
        assert!(matches!(client.recording("RE1").await, Err(RestError::Final { status: 404, .. })));
        client.delete_recording("RE0").await.unwrap();
        client.delete_recording("RE1").await.expect("it is gone");
        assert!(matches!(client.delete_recording("RE2").await, Err(RestError::Retryable { status: Some(500), .. })));
    }

    #[tokio::test]
    async fn a_hostile_sid_stays_one_path_segment() {
        let (server, client) = answering(ResponseTemplate::new(200)).await;
        client.update_call("../../x?y#z", CallUpdate::Complete).await.unwrap();
        let seen = server.received_requests().await.unwrap();
        assert_eq!(seen[0].url.path(), "/2010-04-01/Accounts/AC0/Calls/..%2F..%2Fx%3Fy%23z.json");
    }

    #[tokio::test]
    async fn overload_and_faults_may_be_retried() {
        let (_server, client) = answering(ResponseTemplate::new(429).insert_header("retry-after", "7")).await;
        let error = client.send_text(&TEXT).await.unwrap_err();
        assert!(
            matches!(error, RestError::Retryable { after: Some(after), status: Some(429) } if after.as_secs() == 7)
        );
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        let (_server, client) = answering(ResponseTemplate::new(429).insert_header("retry-after", date)).await;
        let error = client.send_text(&TEXT).await.unwrap_err();
        assert!(matches!(error, RestError::Retryable { after: Some(Duration::ZERO), .. }), "{error:?}");
        for status in [500, 502, 503] {
            let (_server, client) = answering(ResponseTemplate::new(status)).await;
            let error = client.send_text(&TEXT).await.unwrap_err();
            assert!(matches!(error, RestError::Retryable { after: None, status: Some(seen) } if seen == status));
        }
    }

    #[tokio::test]
    async fn nobody_there_may_be_retried() {
        let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = gone.local_addr().unwrap();
        drop(gone);
        let error = client(&format!("http://{address}")).send_text(&TEXT).await.unwrap_err();
        assert!(matches!(error, RestError::Retryable { status: None, .. }), "{error:?}");
    }

    #[tokio::test]
    async fn a_refusal_is_final_and_does_not_repeat_the_number() {
        let body = r#"{"code":21610,"message":"Attempt to send to +15551234567","status":400}"#;
        let (_server, client) = answering(ResponseTemplate::new(400).set_body_string(body)).await;
        let error = client.send_text(&TEXT).await.unwrap_err();
        assert!(matches!(error, RestError::Final { code: Some(21610), status: 400 }));
        assert_eq!(error.to_string(), "Twilio refused the request: HTTP 400, error 21610");
        assert!(!format!("{error:?}").contains("555"));
        for (status, body) in [(401, "no"), (404, "[]"), (418, r#"{"code":"x"}"#), (304, "")] {
            let (_server, client) = answering(ResponseTemplate::new(status).set_body_string(body)).await;
            let error = client.send_text(&TEXT).await.unwrap_err();
            assert!(matches!(error, RestError::Final { code: None, status: seen } if seen == status), "{error:?}");
        }
    }

    #[tokio::test]
    async fn an_answer_cut_short_is_unknown() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = client(&format!("http://{}", listener.local_addr().unwrap()));
        let server = tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            socket.read_u8().await.unwrap();
        });
        let error = client.send_text(&TEXT).await.unwrap_err();
        assert!(matches!(error, RestError::Unknown(Some(_))), "{error:?}");
        server.await.unwrap();
    }

    #[tokio::test]
    async fn an_answer_that_is_not_twilios_is_unknown() {
        for body in ["".to_owned(), "[]".to_owned(), "x".repeat(MAX_ANSWER_BYTES + 1)] {
            let (_server, client) = answering(ResponseTemplate::new(201).set_body_string(body)).await;
            assert!(matches!(client.send_text(&TEXT).await, Err(RestError::Unknown(None))));
        }
    }

    #[test]
    fn bad_addresses_are_refused_and_the_token_is_never_shown() {
        let good = client(DEFAULT_BASE);
        assert!(!format!("{good:?}").contains("secret"));
        for base in ["", "api.twilio.com", "ftp://x", "file:///etc"] {
            let token = SecretString::from("secret");
            assert!(RestClient::new(good.http.clone(), base, "AC0".into(), token).is_err(), "{base}");
        }
    }
}
