//! A shop's till, written from `docs/point-of-sale.md`: believes only what is signed and fresh, keeps one ticket a key, and
//! behaves as badly as it is told to.

use super::PATIENCE;
use super::counter::{Asked, Counter, Reply};
use axum::http::Method;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::Sha256;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::watch;

/// `POS_SECRET`.
pub(crate) const TILL_SECRET: &str = "a till secret of the tests";
/// How old a request may be, and how far ahead.
const MOST_SECONDS: i64 = 300;
/// Below it tickets are posted and looked up.
const PATH: &str = "/tickets";

/// How the till takes a request.
#[derive(Clone, Debug)]
pub(crate) enum Mood {
    /// As it should: accepts, and says what it has.
    Takes,
    /// A new ticket is refused for this reason; look-ups are answered.
    Refuses(&'static str),
    /// A new ticket is laid aside without a decision; look-ups of it say so.
    Thinks,
    /// Nothing is taken, nothing is said.
    Silent,
    /// What should be done is done, and the answer never arrives.
    LosesAnswers,
    /// Nothing is done, and this is said: status, content type, body.
    Says(u16, &'static str, String),
}

/// A ticket that the till has.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Held {
    pub(crate) key: String,
    pub(crate) reference: String,
    /// As it was sent.
    pub(crate) ticket: Value,
    decided: bool,
}

pub(crate) struct Till {
    counter: Counter,
    desk: Arc<Mutex<Desk>>,
    /// Counts what was asked.
    asked: watch::Receiver<usize>,
}

struct Desk {
    mood: Mood,
    next: VecDeque<Mood>,
    held: Vec<Held>,
    /// `POST` or `GET` and the key, of everything that was believed.
    asked: Vec<(String, String)>,
    unbelieved: usize,
    tell: watch::Sender<usize>,
}

impl Till {
    pub(crate) async fn start() -> Self {
        let (tell, asked) = watch::channel(0);
        let (next, held, past) = (VecDeque::new(), Vec::new(), Vec::new());
        let desk = Arc::new(Mutex::new(Desk { mood: Mood::Takes, next, held, asked: past, unbelieved: 0, tell }));
        let clerk = Arc::clone(&desk);
        let counter = Counter::open(move |asked| clerk.lock().expect("no clerk panics").reply(&asked)).await;
        Self { counter, desk, asked }
    }

    /// `POS_URL`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}{PATH}", self.counter.address())
    }

    /// The settings of a shop with this till.
    pub(crate) fn settings(&self) -> Vec<(&'static str, String)> {
        vec![("POINT_OF_SALE", "http".to_owned()), ("POS_URL", self.url()), ("POS_SECRET", TILL_SECRET.to_owned())]
    }

    /// How every request is taken from now on, unless one has a mood of its own.
    #[expect(clippy::wrong_self_convention, reason = "it is about time, not about conversion")]
    pub(crate) fn from_now(&self, mood: Mood) {
        self.desk().mood = mood;
    }

    /// How one request is taken, after those that have a mood already.
    pub(crate) fn next(&self, mood: Mood) {
        self.desk().next.push_back(mood);
    }

    /// What was laid aside is accepted.
    pub(crate) fn decide(&self) {
        self.desk().held.iter_mut().for_each(|held| held.decided = true);
    }

    /// The tickets that it has, in the order in which they came.
    pub(crate) fn tickets(&self) -> Vec<Held> {
        self.desk().held.clone()
    }

    /// `POST` or `GET` and the key, of everything that was believed.
    pub(crate) fn asked(&self) -> Vec<(String, String)> {
        self.desk().asked.clone()
    }

    /// How many requests were not believed.
    pub(crate) fn unbelieved(&self) -> usize {
        self.desk().unbelieved
    }

    /// Waits until that many requests have come, believed or not.
    pub(crate) async fn until_asked(&self, times: usize) {
        let mut asked = self.asked.clone();
        let enough = asked.wait_for(|count| *count >= times);
        tokio::time::timeout(PATIENCE, enough).await.expect("it was asked too seldom").expect("the till is there");
    }

    /// Switches it off: it remembers what it has.
    pub(crate) async fn go_down(&mut self) {
        self.counter.close().await;
    }

    pub(crate) async fn come_up(&mut self) {
        self.counter.reopen().await;
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().expect("no clerk panics")
    }
}

impl Desk {
    fn reply(&mut self, asked: &Asked) -> Reply {
        let mood = self.next.pop_front().unwrap_or_else(|| self.mood.clone());
        self.tell.send_modify(|count| *count += 1);
        match mood {
            Mood::Silent => return Reply::Silence,
            Mood::Says(status, content_type, body) => return Reply::text(status, content_type, body),
            _ => {}
        }
        let answer = match asked.method {
            Method::POST => self.take(asked, &mood),
            Method::GET => self.look_up(asked),
            _ => Reply::json(405, &json!({"error": "POST or GET"})),
        };
        if matches!(mood, Mood::LosesAnswers) { Reply::HangUp } else { answer }
    }

    fn take(&mut self, asked: &Asked, mood: &Mood) -> Reply {
        let ticket: Option<Value> = serde_json::from_slice(&asked.body).ok();
        let key = asked.header("Idempotency-Key").unwrap_or_default().to_owned();
        let json = asked.header("Content-Type") == Some("application/json");
        let (true, true, Some(ticket)) = (is_ours(asked, &asked.body), asked.path == PATH && json, ticket) else {
            return self.disbelieve();
        };
        self.asked.push(("POST".to_owned(), key.clone()));
        if ticket["key"] != key.as_str() {
            return Reply::json(422, &json!({"error": "the key is another than the header's"}));
        }
        if let Some(held) = self.held.iter().find(|held| held.key == key) {
            return told(held);
        }
        if let Mood::Refuses(reason) = mood {
            return Reply::json(409, &json!({"error": reason}));
        }
        let reference = format!("T-{}", self.held.len() + 1);
        let held = Held { key, reference, ticket, decided: !matches!(mood, Mood::Thinks) };
        let answer = told(&held);
        self.held.push(held);
        answer
    }

    fn look_up(&mut self, asked: &Asked) -> Reply {
        let key = asked.path.strip_prefix(PATH).and_then(|rest| rest.strip_prefix('/')).unwrap_or_default();
        // A look-up has no body: the key is signed.
        if !is_ours(asked, key.as_bytes()) {
            return self.disbelieve();
        }
        self.asked.push(("GET".to_owned(), key.to_owned()));
        let held = self.held.iter().find(|held| held.key == key);
        held.map_or_else(|| Reply::json(404, &json!({"error": "there is no such ticket"})), told)
    }

    fn disbelieve(&mut self) -> Reply {
        self.unbelieved += 1;
        Reply::json(401, &json!({"error": "the signature is wrong"}))
    }
}

fn told(held: &Held) -> Reply {
    if held.decided { Reply::json(200, &json!({"reference": held.reference})) } else { Reply::json(202, &json!({})) }
}

/// Whether a request is signed as saying `text`, and fresh.
fn is_ours(asked: &Asked, text: &[u8]) -> bool {
    verified(asked, text).unwrap_or(false)
}

fn verified(asked: &Asked, text: &[u8]) -> Option<bool> {
    let timestamp = asked.header("X-Bobarista-Timestamp")?;
    let signature = asked.header("X-Bobarista-Signature")?.strip_prefix("v1=")?;
    let digits =
        signature.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
    let signature: Vec<u8> = digits.collect::<Option<_>>()?;
    let mut mac = Hmac::<Sha256>::new_from_slice(TILL_SECRET.as_bytes()).expect("a key");
    mac.update(format!("{timestamp}.").as_bytes());
    mac.update(text);
    // Compares in constant time.
    mac.verify_slice(&signature).ok()?;
    let timestamp: i64 = timestamp.parse().ok()?;
    Some((Timestamp::now().as_second() - timestamp).abs() <= MOST_SECONDS)
}
