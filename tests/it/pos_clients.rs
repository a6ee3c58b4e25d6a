//! The clients of points of sale against tills over real sockets: what is taken, refused, lost and never answered, and that
//! nothing is taken twice.

use crate::harness::counter::{Counter, Reply};
use crate::harness::square::{Square, Weather};
use crate::harness::till::{Mood, Till};
use axum::http::Response;
use bobarista::config::Config;
use bobarista::http::signature;
use bobarista::pos::{Accepted, PointOfSale, PosError, Ticket, connect};
use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

type Settings = Vec<(&'static str, String)>;

/// The point of sale of a shop with these settings, whose clock shows `now`.
fn point_of_sale(settings: Settings, now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Arc<dyn PointOfSale> {
    // Another test may have installed it already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let settings = settings.into_iter().chain([("DEEPGRAM_API_KEY", "key".to_owned())]);
    let settings: HashMap<&str, String> = settings.collect();
    let config = Config::read(&|name| settings.get(name).cloned()).expect("settings that can be used");
    let pos = connect(&config.pos, reqwest::Client::builder().no_proxy(), now);
    pos.expect("it can be connected").expect("one is configured")
}

/// A clock that is so many minutes ahead.
fn clock() -> (Arc<AtomicI64>, impl Fn() -> Timestamp + Send + Sync + 'static) {
    let minutes = Arc::new(AtomicI64::new(0));
    let shown = Arc::clone(&minutes);
    (minutes, move || Timestamp::now() + SignedDuration::from_mins(shown.load(Ordering::Relaxed)))
}

/// The same with one setting changed.
fn with(mut settings: Settings, name: &str, value: impl Into<String>) -> Settings {
    settings.iter_mut().find(|(known, _)| *known == name).expect("such a setting").1 = value.into();
    settings
}

fn ticket(key: &str) -> Ticket {
    let ticket = json!({
        "key": key, "order_id": "ORD-main-42", "order_number": "4782", "version": 1, "is_addition": false,
        "channel": "web", "name": "Zoë", "table": "Window 5", "notes": "no straws", "pickup_at": null,
        "items": [
            {"flavor": "taro milk tea", "toppings": ["boba"], "quantity": 2, "price": 6.25, "subtotal": 12.5},
            {"flavor": "black milk tea", "toppings": [], "quantity": 1, "price": 5.5, "subtotal": 5.5, "note": "warm"},
        ],
        "total": 18.0, "currency": "USD",
    });
    serde_json::from_value(ticket).expect("a ticket")
}

fn accepted(reference: &str) -> Accepted {
    Accepted { reference: Some(reference.to_owned()) }
}

#[track_caller]
fn assert_unclear<T: std::fmt::Debug>(result: Result<T, PosError>, what: &str) -> String {
    match result {
        Err(PosError::Unclear(reason)) => reason,
        other => panic!("{what}: {other:?}"),
    }
}

#[test]
fn the_examples_of_the_protocol_are_true() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/point-of-sale.md"));
    let page = page.expect("the page can be read");
    let lines: Vec<&str> = page.lines().map(str::trim).collect();
    let body = lines.iter().find(|line| line.starts_with(r#"{"key":"#)).expect("a ticket");
    let ticket: Ticket = serde_json::from_str(body).expect("a ticket that can be read");
    assert_eq!(serde_json::to_string(&ticket).unwrap(), *body, "as it is sent");
    let sesame = SecretString::from("sesame");
    let signed = |text: &str| format!("X-Bobarista-Signature: {}", signature(&sesame, 1_704_067_200, text));
    let signatures: Vec<&&str> = lines.iter().filter(|line| line.starts_with("X-Bobarista-Signature: ")).collect();
    assert_eq!(signatures, [&&*signed(body), &&*signed(&ticket.key)]);
    for field in serde_json::to_value(&ticket).unwrap().as_object().unwrap().keys() {
        assert!(page.contains(&format!("`{field}`")), "{field} is not explained");
    }
}

#[tokio::test]
async fn a_till_takes_a_ticket_once_and_is_told_all_of_it() {
    let till = Till::start().await;
    let pos = point_of_sale(till.settings(), Timestamp::now);
    let ticket = ticket("ORD-main-42:1");
    assert_eq!(pos.find(&ticket).await, Ok(None));
    assert_eq!(pos.place(&ticket).await, Ok(accepted("T-1")));
    assert_eq!(pos.place(&ticket).await, Ok(accepted("T-1")), "the same again");
    assert_eq!(pos.find(&ticket).await, Ok(Some(accepted("T-1"))));
    let addition = Ticket { key: "ORD-main-42:2".to_owned(), version: 2, is_addition: true, ..ticket.clone() };
    assert_eq!(pos.find(&addition).await, Ok(None), "another version is another ticket");
    assert_eq!(pos.place(&addition).await, Ok(accepted("T-2")));

    let held: Vec<Value> = till.tickets().into_iter().map(|held| held.ticket).collect();
    assert_eq!(held, [serde_json::to_value(ticket).unwrap(), serde_json::to_value(addition).unwrap()]);
    assert_eq!(till.unbelieved(), 0);
}

#[tokio::test]
async fn a_till_refuses_in_its_own_words_and_may_think_better_of_it() {
    let till = Till::start().await;
    let pos = point_of_sale(till.settings(), Timestamp::now);
    let ticket = ticket("ORD-main-42:1");
    till.from_now(Mood::Refuses("no\tdrawer is open\r\n\u{1b}[31m"));
    let refused = Err(PosError::Refused("no drawer is open [31m".to_owned()));
    assert_eq!(pos.place(&ticket).await, refused);
    assert_eq!(pos.find(&ticket).await, Ok(None), "what was refused is not there");
    till.from_now(Mood::Takes);
    assert_eq!(pos.place(&ticket).await, Ok(accepted("T-1")));

    for status in [400, 409, 422] {
        till.next(Mood::Says(status, "application/json", json!({"error": "x".repeat(1000)}).to_string()));
        let Err(PosError::Refused(reason)) = pos.place(&ticket).await else { panic!("{status} refuses") };
        assert_eq!(reason.chars().count(), 200, "{reason}");
    }
}

#[tokio::test]
async fn what_a_till_did_without_saying_so_is_found() {
    let till = Till::start().await;
    let pos = point_of_sale(till.settings(), Timestamp::now);
    let ticket = ticket("ORD-main-42:1");
    till.next(Mood::LosesAnswers);
    assert_unclear(pos.place(&ticket).await, "no answer came");
    till.next(Mood::LosesAnswers);
    assert_unclear(pos.find(&ticket).await, "no answer came here, either");
    assert_eq!(pos.find(&ticket).await, Ok(Some(accepted("T-1"))));
    let asked: Vec<String> = till.asked().into_iter().map(|(method, _)| method).collect();
    assert_eq!(asked, ["POST", "GET", "GET"], "nothing was repeated behind our back");
}

#[tokio::test]
async fn a_till_may_take_its_time() {
    let till = Till::start().await;
    let pos = point_of_sale(till.settings(), Timestamp::now);
    let ticket = ticket("ORD-main-42:1");
    till.next(Mood::Thinks);
    assert_unclear(pos.place(&ticket).await, "nothing is decided");
    assert_unclear(pos.find(&ticket).await, "nothing is decided yet");
    till.decide();
    assert_eq!(pos.find(&ticket).await, Ok(Some(accepted("T-1"))));
}

#[tokio::test]
async fn a_till_that_is_switched_off_has_neither_taken_nor_refused() {
    let mut till = Till::start().await;
    let pos = point_of_sale(till.settings(), Timestamp::now);
    let ticket = ticket("ORD-main-42:1");
    assert_eq!(pos.place(&ticket).await, Ok(accepted("T-1")));
    till.go_down().await;
    let reason = assert_unclear(pos.place(&ticket).await, "nobody is there");
    assert!(!reason.contains("127.0.0.1"), "the address may be a secret: {reason}");
    assert_unclear(pos.find(&ticket).await, "nobody is there");
    till.come_up().await;
    assert_eq!(pos.find(&ticket).await, Ok(Some(accepted("T-1"))));
}

#[tokio::test]
async fn a_till_believes_only_what_is_signed_with_its_secret_and_fresh() {
    let till = Till::start().await;
    let ticket = ticket("ORD-main-42:1");
    let stranger = point_of_sale(with(till.settings(), "POS_SECRET", "another"), Timestamp::now);
    let late = point_of_sale(till.settings(), || Timestamp::now() - SignedDuration::from_mins(6));
    for pos in [stranger, late] {
        let reason = assert_unclear(pos.place(&ticket).await, "not believed");
        assert!(reason.contains("POS_SECRET"), "{reason}");
        assert_unclear(pos.find(&ticket).await, "not believed");
    }
    assert_eq!((till.unbelieved(), till.asked().len(), till.tickets().len()), (4, 0, 0));
}

#[tokio::test]
async fn what_is_not_the_tills_own_word_counts_for_nothing() {
    const HTML: &str = "text/html";
    const JSON: &str = "application/json";
    let till = Till::start().await;
    let pos = point_of_sale(till.settings(), Timestamp::now);
    let ticket = ticket("ORD-main-42:1");
    let page = || "<html>It works!</html>".to_owned();
    let says = |status, kind, body: String| Mood::Says(status, kind, body);
    let endless = json!({"reference": "x".repeat(100_000)}).to_string();
    let strange = [
        says(200, HTML, page()),
        says(200, JSON, r#"{"reference":"T-1""#.to_owned()),
        says(200, JSON, r#"{"reference":{"id":1}}"#.to_owned()),
        says(200, JSON, endless),
        says(206, JSON, "{}".to_owned()),
        says(400, HTML, page()),
        says(404, HTML, page()),
        says(404, JSON, "{}".to_owned()),
        says(409, HTML, page()),
        says(409, JSON, r#"{"error":" \n "}"#.to_owned()),
        says(410, JSON, r#"{"error":"gone"}"#.to_owned()),
        says(422, JSON, r#"{"error":["no"]}"#.to_owned()),
        says(429, JSON, r#"{"error":"later"}"#.to_owned()),
        says(500, JSON, r#"{"error":"no"}"#.to_owned()),
        says(503, HTML, page()),
    ];
    for mood in strange {
        till.next(mood.clone());
        assert_unclear(pos.place(&ticket).await, &format!("{mood:?}"));
        till.next(mood.clone());
        assert_unclear(pos.find(&ticket).await, &format!("{mood:?}"));
    }
    assert!(till.tickets().is_empty());

    till.next(says(204, JSON, String::new()));
    assert_eq!(pos.place(&ticket).await, Ok(Accepted { reference: None }), "no words are needed to accept");
    let long = json!({"reference": "n".repeat(500), "anything": "else"}).to_string();
    till.next(says(201, JSON, long));
    let reference = pos.place(&ticket).await.unwrap().reference.unwrap();
    assert_eq!(reference.chars().count(), 100);
}

#[tokio::test]
async fn no_redirect_is_followed() {
    let (till, square) = (Till::start().await, Square::start().await);
    for status in [301, 302, 303, 307, 308] {
        let (to_till, to_square) = (till.url(), square.base());
        let moved = |address: String| {
            move |_| {
                Reply::Answer(
                    Response::builder().status(status).header("location", &address).body(String::new()).unwrap(),
                )
            }
        };
        let old_till = Counter::open(moved(to_till)).await;
        let old_square = Counter::open(moved(format!("{to_square}/v2/orders"))).await;
        let here = format!("http://{}/tickets", old_till.address());
        let there = format!("http://{}", old_square.address());
        for pos in [
            point_of_sale(with(till.settings(), "POS_URL", here), Timestamp::now),
            point_of_sale(with(square.settings(), "SQUARE_API_BASE", there), Timestamp::now),
        ] {
            assert_unclear(pos.place(&ticket("ORD-main-42:1")).await, "moved");
            assert_unclear(pos.find(&ticket("ORD-main-42:1")).await, "moved");
        }
    }
    assert!(till.asked().is_empty() && till.unbelieved() == 0 && square.asked().is_empty());
}

#[tokio::test]
async fn silence_is_not_waited_for_forever() {
    let (till, square) = (Till::start().await, Square::start().await);
    till.from_now(Mood::Silent);
    square.next(Weather::Silent);
    square.next(Weather::Silent);
    let at_till = point_of_sale(till.settings(), Timestamp::now);
    let at_square = point_of_sale(square.settings(), Timestamp::now);
    let ticket = ticket("ORD-main-42:1");
    let started = std::time::Instant::now();
    let (a, b, c, d) =
        tokio::join!(at_till.place(&ticket), at_till.find(&ticket), at_square.place(&ticket), at_square.find(&ticket));
    assert!(started.elapsed().as_secs() < 8, "whoever asks has given up by then: {:?}", started.elapsed());
    for reason in [
        assert_unclear(a, "the till"),
        assert_unclear(b, "the till"),
        assert_unclear(c, "Square"),
        assert_unclear(d, "Square"),
    ] {
        assert!(reason.ends_with("did not answer in time"), "{reason}");
    }
    till.until_asked(2).await;
    assert!(till.tickets().is_empty() && square.orders().is_empty());
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_none() {
    for cut in ["", "HTTP/1.1 2", "nonsense\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{"] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let breaking_off = tokio::spawn(async move {
            loop {
                let (mut socket, _) = listener.accept().await.unwrap();
                let mut request = [0; 64 * 1024];
                assert!(socket.read(&mut request).await.unwrap() > 0);
                socket.write_all(cut.as_bytes()).await.unwrap();
            }
        });
        let till = Till::start().await;
        let square = Square::start().await;
        for pos in [
            point_of_sale(with(till.settings(), "POS_URL", base.clone()), Timestamp::now),
            point_of_sale(with(square.settings(), "SQUARE_API_BASE", base.clone()), Timestamp::now),
        ] {
            assert_unclear(pos.place(&ticket("ORD-main-42:1")).await, cut);
            assert_unclear(pos.find(&ticket("ORD-main-42:1")).await, cut);
        }
        breaking_off.abort();
    }
}

#[tokio::test]
async fn square_has_one_order_a_ticket_and_it_is_found() {
    let square = Square::start().await;
    let (minutes, now) = clock();
    let pos = point_of_sale(square.settings(), now);
    let ticket = ticket("ORD-main-42:1");
    assert_unclear(pos.find(&ticket).await, "an earlier process may just have placed it");
    minutes.store(1, Ordering::Relaxed);
    assert_eq!(pos.find(&ticket).await, Ok(None));
    let taken = pos.place(&ticket).await.unwrap();
    assert_eq!(pos.place(&ticket).await, Ok(taken.clone()), "the same again");
    assert_eq!(pos.find(&ticket).await, Ok(Some(taken.clone())));
    let addition = Ticket { key: "ORD-main-42:2".to_owned(), version: 2, is_addition: true, ..ticket };
    assert_unclear(pos.find(&addition).await, "another version is another ticket");
    assert_ne!(pos.place(&addition).await.unwrap(), taken);

    let orders = square.orders();
    assert_eq!(orders.len(), 2);
    let first = &orders[0];
    assert_eq!(first["id"].as_str(), taken.reference.as_deref());
    assert_eq!(first["total_money"], json!({"amount": 1800, "currency": "USD"}));
    assert_eq!(first["reference_id"], "ORD-main-42");
    assert_eq!(first["metadata"]["ticket"], "ORD-main-42:1");
    assert_eq!(first["line_items"][1]["note"], "warm");
}

#[tokio::test]
async fn what_square_did_without_saying_so_is_found_among_many() {
    let square = Square::start().await;
    let (minutes, now) = clock();
    let pos = point_of_sale(square.settings(), now);
    let ticket = ticket("ORD-main-42:1");
    square.next(Weather::LosesAnswers);
    assert_unclear(pos.place(&ticket).await, "no answer came");
    square.crowd(250);
    let found = pos.find(&ticket).await.unwrap().expect("it is on the third page");
    assert_eq!(found.reference.as_deref(), square.orders()[0]["id"].as_str());
    assert_eq!(square.asked().len(), 4);
    let other = Ticket { key: "ORD-main-43:1".to_owned(), ..ticket };
    assert_unclear(pos.find(&other).await, "it may have been placed a moment ago");
    minutes.store(1, Ordering::Relaxed);
    assert_eq!(pos.find(&other).await, Ok(None), "all pages were read");
}

#[tokio::test]
async fn what_square_was_just_given_need_not_be_found_yet() {
    let square = Square::start().await;
    let (minutes, now) = clock();
    let pos = point_of_sale(square.settings(), now);
    let ticket = ticket("ORD-main-42:1");
    assert_unclear(pos.find(&ticket).await, "nothing is known of it");
    minutes.store(5, Ordering::Relaxed);
    square.next(Weather::Says(502, "text/html", "<html>".to_owned()));
    assert_unclear(pos.place(&ticket).await, "somebody on the way said that");
    assert_unclear(pos.find(&ticket).await, "Square may still be at it");
    minutes.store(6, Ordering::Relaxed);
    assert_eq!(pos.find(&ticket).await, Ok(None));
}

#[tokio::test]
async fn not_found_is_not_said_before_all_has_been_looked_at() {
    let square = Square::start().await;
    let (minutes, now) = clock();
    let pos = point_of_sale(square.settings(), now);
    square.crowd(501);
    minutes.store(49 * 60, Ordering::Relaxed);
    let owed_at = |hours| Some(Timestamp::now() + SignedDuration::from_hours(hours));
    let old = Ticket { owed_at: owed_at(-1), ..ticket("ORD-main-42:1") };
    let young = Ticket { owed_at: owed_at(1), ..ticket("ORD-main-43:1") };
    assert_unclear(pos.find(&old).await, "it may be on a later page");
    assert_unclear(pos.find(&young).await, "it may have been placed a moment ago");
    minutes.fetch_add(1, Ordering::Relaxed);
    assert_unclear(pos.find(&old).await, "it may be on a later page");
    assert_eq!(pos.find(&young).await, Ok(None), "orders older than the ticket are not looked through");
}

#[tokio::test]
async fn square_refuses_a_wrong_order_and_nothing_else() {
    let square = Square::start().await;
    let pos = point_of_sale(square.settings(), Timestamp::now);
    let ordered = ticket("ORD-main-42:1");
    square.next(Weather::Errs(400, "INVALID_REQUEST_ERROR", "INVALID_VALUE"));
    assert_eq!(pos.place(&ordered).await, Err(PosError::Refused("Square refused it: INVALID_VALUE".to_owned())));
    for (status, category, code) in [
        (429, "RATE_LIMIT_ERROR", "RATE_LIMITED"),
        (500, "API_ERROR", "INTERNAL_SERVER_ERROR"),
        (403, "AUTHENTICATION_ERROR", "INSUFFICIENT_SCOPES"),
    ] {
        square.next(Weather::Errs(status, category, code));
        assert_unclear(pos.place(&ordered).await, code);
    }
    square.next(Weather::Errs(400, "INVALID_REQUEST_ERROR", "INVALID_VALUE"));
    assert_unclear(pos.find(&ordered).await, "a search that is refused says nothing of the order");

    let stranger = point_of_sale(with(square.settings(), "SQUARE_ACCESS_TOKEN", "another"), Timestamp::now);
    let reason = assert_unclear(stranger.place(&ordered).await, "a wrong token");
    assert!(reason.contains("SQUARE_ACCESS_TOKEN") && !reason.contains("another"), "{reason}");
    let elsewhere = point_of_sale(with(square.settings(), "SQUARE_LOCATION_ID", "LELSEWHERE"), Timestamp::now);
    assert_unclear(elsewhere.place(&ordered).await, "a wrong location");
    assert!(square.orders().is_empty());

    assert!(pos.place(&ordered).await.is_ok());
    let changed = Ticket { notes: Some("other words".to_owned()), ..ordered };
    assert_unclear(pos.place(&changed).await, "it has this key for another order");
    assert_eq!(square.orders().len(), 1);
}

#[tokio::test]
async fn an_order_that_was_cancelled_in_square_is_not_taken() {
    let square = Square::start().await;
    let pos = point_of_sale(square.settings(), Timestamp::now);
    let ticket = ticket("ORD-main-42:1");
    pos.place(&ticket).await.unwrap();
    square.cancel_all();
    assert!(matches!(pos.find(&ticket).await, Err(PosError::Refused(_))));
    assert!(matches!(pos.place(&ticket).await, Err(PosError::Refused(_))), "nor when it is sent again");
}

#[tokio::test]
async fn what_is_not_squares_own_word_counts_for_nothing() {
    let square = Square::start().await;
    let pos = point_of_sale(square.settings(), Timestamp::now);
    let ticket = ticket("ORD-main-42:1");
    let endless = format!(r#"{{"order":{{"id":"{}"}}}}"#, "x".repeat(5_000_000));
    for (status, body) in [
        (200, "<html>".to_owned()),
        (200, r#"{"order":{}}"#.to_owned()),
        (200, r#"{"order":{"id":1},"orders":[{"id":1}]}"#.to_owned()),
        (200, endless),
        (400, "<html>".to_owned()),
        (400, r#"{"errors":[]}"#.to_owned()),
        (502, String::new()),
    ] {
        // What is no order may still be an answer to a search: an empty one.
        square.next(Weather::Says(status, "application/json", body.clone()));
        let shown = &body[..body.len().min(60)];
        assert_unclear(pos.place(&ticket).await, shown);
        if body != r#"{"order":{}}"# && body.len() < 1000 {
            square.next(Weather::Says(status, "application/json", body.clone()));
            assert_unclear(pos.find(&ticket).await, shown);
        }
    }
}
