//! Twilio's REST API, played by wiremock: answers as told and hands every request on; and its signed webhooks.

use super::{Answer, PATIENCE, TestShop, client};
use bobarista::twilio::signature;
use std::sync::{Arc, Mutex};
use std::time::Instant;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use wiremock::matchers::{any, basic_auth};
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

pub(crate) const ACCOUNT_SID: &str = "AC11111111111111111111111111111111";
pub(crate) const AUTH_TOKEN: &str = "a token of the tests";

/// One account's REST API.
pub(crate) struct TwilioApi {
    server: MockServer,
    requests: UnboundedReceiver<(String, Vec<(String, String)>)>,
    arrivals: Arc<Mutex<Vec<Instant>>>,
}

impl TwilioApi {
    /// Gives these answers, one a request; the last one to all that follow. Whoever has not the account's credentials
    /// is answered 404.
    pub(crate) async fn start(answers: impl IntoIterator<Item = ResponseTemplate>) -> Self {
        let server = MockServer::start().await;
        let (heard, requests) = unbounded_channel();
        let answers: Vec<ResponseTemplate> = answers.into_iter().collect();
        let arrivals = Arc::default();
        let responder = Answers { answers, arrivals: Arc::clone(&arrivals), heard };
        Mock::given(any()).and(basic_auth(ACCOUNT_SID, AUTH_TOKEN)).respond_with(responder).mount(&server).await;
        Self { server, requests, arrivals }
    }

    /// `TWILIO_API_BASE`.
    pub(crate) fn base(&self) -> String {
        self.server.uri()
    }

    /// The next request: its path below the account's, and the fields of its form.
    pub(crate) async fn request(&mut self) -> (String, Vec<(String, String)>) {
        tokio::time::timeout(PATIENCE, self.requests.recv()).await.expect("a request").expect("the API lives")
    }

    /// When each request came.
    pub(crate) fn arrivals(&self) -> Vec<Instant> {
        self.arrivals.lock().expect("no panic").clone()
    }

    /// Whether a request has come that [`Self::request`] has not told yet.
    pub(crate) fn has_more(&self) -> bool {
        !self.requests.is_empty()
    }
}

struct Answers {
    answers: Vec<ResponseTemplate>,
    arrivals: Arc<Mutex<Vec<Instant>>>,
    heard: UnboundedSender<(String, Vec<(String, String)>)>,
}

impl Respond for Answers {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let account = format!("/2010-04-01/Accounts/{ACCOUNT_SID}/");
        let path = request.url.path();
        let path = path.strip_prefix(&account).unwrap_or(path).to_owned();
        let form = reqwest::Url::parse(&format!("form:?{}", String::from_utf8_lossy(&request.body)));
        let form = form.expect("a form").query_pairs().into_owned().collect();
        let mut arrivals = self.arrivals.lock().expect("no panic");
        arrivals.push(Instant::now());
        // A test that does not listen any more has ended.
        let _ = self.heard.send((path, form));
        self.answers[arrivals.len().min(self.answers.len()) - 1].clone()
    }
}

/// What a shop with a tape is configured with.
pub(crate) fn taping(base: &str) -> [(&'static str, &str); 5] {
    [
        ("TWILIO_ACCOUNT_SID", ACCOUNT_SID),
        ("TWILIO_AUTH_TOKEN", AUTH_TOKEN),
        ("TWILIO_API_BASE", base),
        ("VOICE_HOST", "127.0.0.1:8000"),
        ("FALLBACK", "voicemail"),
    ]
}

/// A webhook as Twilio sends it, if the token is right.
pub(crate) async fn post_signed(shop: &TestShop, path: &str, form: &[(&str, &str)], token: &str) -> Answer {
    let form: Vec<(String, String)> = form.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    let signed = signature::sign(token, &format!("http://127.0.0.1:8000{path}"), &form);
    let request = client().post(shop.url(path)).form(&form).header(signature::HEADER, signed);
    Answer::to(request.header("Host", "127.0.0.1:8000")).await
}
