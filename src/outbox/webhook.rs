//! Signed notices to an address of the shop's choice, so that it can plug in anything.
//!
//! One POST a delivery, of JSON, with three headers:
//!
//! | header | what it holds |
//! |---|---|
//! | `X-Bobarista-Delivery` | the delivery's id, the same on every retry: whoever has seen it has done the work already |
//! | `X-Bobarista-Timestamp` | when this attempt was signed, in seconds since 1970 |
//! | `X-Bobarista-Signature` | `v1=` and the HMAC-SHA256 of `{timestamp}.{body}`, keyed with `WEBHOOK_SECRET`, in lower-case hex |
//!
//! A receiver computes the signature over the timestamp header, a full stop and the body's bytes as they came (before any
//! JSON is parsed), compares it in constant time, and refuses a timestamp more than five minutes away from its own clock:
//! what a stranger has recorded cannot be played to it later. It answers 2xx within 10 s; 408, 425, 429 and 5xx mean
//! "again later" and may say when in `Retry-After`; everything else means "never again".
//!
//! This file does not know what is sent, nor when it is tried again.

use super::error::{SendError, SenderError};
use super::http::{self, Now};
use crate::http::{SIGNATURE_HEADER, TIMESTAMP_HEADER, signature};
use jiff::Timestamp;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Client, ClientBuilder, Url};
use secrecy::SecretString;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The header that names the delivery.
pub const DELIVERY_HEADER: &str = "x-bobarista-delivery";

/// How long one attempt may take, from connecting to the head of the answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// How the service is called in reasons. Its address may be a secret.
const SERVICE: &str = "the webhook";

/// Sends notices to one address. Cheap to clone.
#[derive(Clone)]
pub struct WebhookSender(Arc<Inner>);

struct Inner {
    http: Client,
    url: Url,
    secret: SecretString,
    now: Now,
}

impl WebhookSender {
    /// A sender to `url`, whose notices are signed with `secret` and the time that `now` tells. Of `http` a client of its
    /// own is made, which follows no redirects.
    ///
    /// # Errors
    /// [`SenderError`] when `url` is no http(s) address or no client can be made.
    pub fn new(
        http: ClientBuilder,
        url: &str,
        secret: SecretString,
        now: impl Fn() -> Timestamp + Send + Sync + 'static,
    ) -> Result<Self, SenderError> {
        let (http, url) = (http::client(http)?, http::address(url)?);
        Ok(Self(Arc::new(Inner { http, url, secret, now: Arc::new(now) })))
    }

    /// Sends `body`, which is JSON, as the delivery `delivery_id`: visible ASCII, and the same on every retry.
    ///
    /// # Errors
    /// [`SendError`]; after `Unknown` it may have arrived.
    pub async fn send(&self, delivery_id: &str, body: &str) -> Result<(), SendError> {
        let Inner { http, url, secret, now } = &*self.0;
        let delivery_id = HeaderValue::from_str(delivery_id)
            .map_err(|_| SendError::refused("the delivery's id does not fit into a header"))?;
        let timestamp = now().as_second();
        let sent = http
            .post(url.clone())
            .timeout(REQUEST_TIMEOUT)
            .header(CONTENT_TYPE, "application/json")
            .header(DELIVERY_HEADER, delivery_id)
            .header(TIMESTAMP_HEADER, timestamp)
            .header(SIGNATURE_HEADER, signature(secret, timestamp, body))
            .body(body.to_owned())
            .send()
            .await;
        // The body of an answer is dropped unread, whatever its length: the status says it all.
        let answer = sent.map_err(|error| http::no_answer(SERVICE, &error))?;
        let status = answer.status();
        if status.is_success() {
            Ok(())
        } else if http::is_passing(status) {
            let after = http::retry_after(answer.headers(), now());
            Err(SendError::busy(after, format!("{SERVICE} cannot take it now: HTTP {}", status.as_u16())))
        } else if status.is_redirection() {
            Err(SendError::refused(format!("{SERVICE} has moved, and WEBHOOK_URL with it: HTTP {}", status.as_u16())))
        } else {
            Err(SendError::refused(format!("{SERVICE} refused it: HTTP {}", status.as_u16())))
        }
    }
}

impl fmt::Debug for WebhookSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookSender").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    fn sender(url: &str) -> WebhookSender {
        // Another test may have installed it already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = Client::builder().no_proxy();
        WebhookSender::new(http, url, SecretString::from("sesame"), || Timestamp::UNIX_EPOCH).unwrap()
    }

    /// What is made of an answer of these bytes, after which the receiver hangs up.
    async fn answered(bytes: &'static [u8]) -> Result<(), SendError> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let sender = sender(&format!("http://{}/hook", listener.local_addr().unwrap()));
        let receiver = tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"{}") {
                socket.read_buf(&mut request).await.unwrap();
            }
            socket.write_all(bytes).await.unwrap();
        });
        let result = sender.send("d-1", "{}").await;
        receiver.await.unwrap();
        result
    }

    #[tokio::test]
    async fn the_status_is_enough_and_no_status_is_unknown() {
        let endless = b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\nx";
        assert_eq!(answered(endless).await, Ok(()), "the body does not count");
        for cut in [&b""[..], b"HTTP/1.1 2", b"nonsense\r\n\r\n"] {
            assert!(matches!(answered(cut).await, Err(SendError::Unknown { .. })), "{cut:?}");
        }
    }

    #[tokio::test]
    async fn nobody_there_may_be_retried_and_the_address_is_not_told() {
        let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = gone.local_addr().unwrap();
        drop(gone);
        let sender = sender(&format!("http://user:hidden@{address}/hook-of-secrets"));
        let error = sender.send("d-1", "{}").await.unwrap_err();
        assert!(matches!(error, SendError::Retryable { after: None, .. }), "{error:?}");
        for shown in [format!("{error:?}"), error.to_string(), format!("{sender:?}")] {
            assert!(!shown.contains("hidden") && !shown.contains("hook-of") && !shown.contains("sesame"), "{shown}");
        }
    }

    #[tokio::test]
    async fn an_id_that_is_no_header_is_refused_here() {
        let error = sender("http://127.0.0.1:9/").send("a\r\nX-Evil: 1", "{}").await.unwrap_err();
        assert!(matches!(error, SendError::Final { .. }), "{error:?}");
    }
}
