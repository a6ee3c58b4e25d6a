//! What orders owe to the outside, in a whole shop: rows, notices and texts, through faults, restarts and second thoughts.

use crate::harness::google::{Fault, GoogleSheets, SPREADSHEET_ID};
use crate::harness::program::Program;
use crate::harness::webhook::{Notice, SECRET, WebhookReceiver};
use crate::harness::{ACCOUNT_SID, AUTH_TOKEN, TestShop, TwilioApi, caller_of, client, quick_order, shape};
use bobarista::order_service::Origin;
use bobarista::ordering::order::Order;
use bobarista::ordering::status::OrderStatus;
use bobarista::simulator::{AgentOptions, SimulatedAgent};
use bobarista::twilio::signature;
use reqwest::StatusCode;
use reqwest::header::HOST;
use serde_json::{Value, json};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use wiremock::ResponseTemplate;

const FROM: &str = "+18885550000";
const PHONE: &str = "+15551234567";
const STAFF: Origin = Origin { by: "staff", correlation_id: None };

/// Everybody whom an order is told to.
struct Outside {
    google: GoogleSheets,
    credentials: String,
    receiver: WebhookReceiver,
    api: TwilioApi,
}

impl Outside {
    async fn start() -> Self {
        let google = GoogleSheets::start().await;
        let accepted = ResponseTemplate::new(201).set_body_json(json!({"sid": "SM1", "status": "queued"}));
        let api = TwilioApi::start([accepted]).await;
        let credentials = google.credentials();
        Self { google, credentials, receiver: WebhookReceiver::start().await, api }
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        let mut settings = self.sheet();
        settings.extend(self.webhook());
        settings.extend(self.texts());
        settings
    }

    fn sheet(&self) -> Vec<(&'static str, String)> {
        vec![
            ("SHEETS_SYNC_ENABLED", "true".to_owned()),
            ("SHEETS_SPREADSHEET_ID", SPREADSHEET_ID.to_owned()),
            ("GOOGLE_SHEETS_CREDENTIALS", self.credentials.clone()),
            ("SHEETS_API_BASE", self.google.base()),
        ]
    }

    fn webhook(&self) -> Vec<(&'static str, String)> {
        vec![("WEBHOOK_URL", self.receiver.url()), ("WEBHOOK_SECRET", SECRET.to_owned())]
    }

    fn texts(&self) -> Vec<(&'static str, String)> {
        vec![
            ("TWILIO_API_BASE", self.api.base()),
            ("MSG_TWILIO_ACCOUNT_SID", ACCOUNT_SID.to_owned()),
            ("MSG_TWILIO_AUTH_TOKEN", AUTH_TOKEN.to_owned()),
            ("MSG_TWILIO_FROM_E164", FROM.to_owned()),
        ]
    }

    /// The order ids and states in the sheet, below its titles.
    fn rows(&self) -> Vec<(String, String)> {
        self.google.rows().into_iter().skip(1).map(|row| (row[0].clone(), row[6].clone())).collect()
    }
}

fn lent<'a>(settings: &'a [(&'static str, String)]) -> Vec<(&'static str, &'a str)> {
    settings.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

fn is_not_owed(delivery: &Value) -> bool {
    delivery["state"] != "owed"
}

fn outcomes(delivery: &Value) -> Vec<&str> {
    let tries = delivery["tries"].as_array().expect("tries");
    tries.iter().map(|tried| tried["outcome"].as_str().expect("a text")).collect()
}

fn told(notice: &Notice) -> (String, Value) {
    let body: Value = serde_json::from_str(&notice.body).expect("JSON");
    (body["type"].as_str().expect("a type").to_owned(), body["order"].clone())
}

impl TestShop {
    async fn set(&self, order: &Order, to: OrderStatus) -> Order {
        let changed = self.shop.orders().change_status(&order.order_id, to, None, None, STAFF);
        changed.await.expect("the table has it")
    }

    async fn try_again(&self, order: &Order, delivery: &Value) -> StatusCode {
        let path = format!("/api/v1/orders/{}/deliveries/{delivery}/retry", order.order_id);
        client().post(self.url(&path)).send().await.expect("an answer").status()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_becomes_a_row_a_notice_and_a_text_that_follow_the_order() {
    let mut outside = Outside::start().await;
    let settings = outside.settings();
    let mut shop = TestShop::open_with([quick_order()], &lent(&settings)).await;
    let number = shop.call(&quick_order()).await.assert_flawless().order_number();
    let deliveries = shop.deliveries(is_not_owed).await;
    assert!(deliveries.iter().all(|delivery| delivery["state"] == "sent"), "{deliveries:#?}");
    let order = shop.orders().await.remove(0);
    let id = order.order_id.to_string();
    let rows = outside.google.rows();
    assert_eq!(rows.len(), 2, "{rows:?}");
    let items = "taro milk tea | no toppings | no add-ons | 50%, regular ice";
    assert_eq!(rows[1][2..], ["", PHONE, items, "1", "Confirmed", "phone"]);
    assert_eq!(rows[1][0], id);
    let notice = outside.receiver.notices().pop().expect("a notice");
    assert_eq!(
        (notice.delivery.as_str(), told(&notice)),
        (&*format!("{id}:2"), ("order_created".to_owned(), json!(order)))
    );
    let (_, form) = outside.api.request().await;
    assert!(form.iter().any(|(name, value)| name == "Body" && value.contains(&number.to_string())), "{form:?}");
    assert!(!form.iter().any(|(name, _)| name == "StatusCallback"), "Twilio cannot reach a local server");

    shop.set(&order, OrderStatus::Preparing).await;
    let cancelled = shop.set(&order, OrderStatus::Cancelled).await;
    shop.deliveries(is_not_owed).await;
    assert_eq!(outside.rows(), [(id, "Cancelled".to_owned())]);
    let mut notices: Vec<_> = outside.receiver.notices().iter().map(told).collect();
    notices.sort_by_key(|(_, order)| order["version"].as_u64());
    let kinds: Vec<_> = notices.iter().map(|(kind, order)| (kind.as_str(), order["status"].as_str())).collect();
    assert_eq!(kinds, [("order_status_changed", Some("preparing")), ("order_status_changed", Some("cancelled"))]);
    assert_eq!(notices[1].1, json!(cancelled));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_google_that_goes_away_and_comes_back_has_one_row_of_each_order() {
    let outside = Outside::start().await;
    let settings = outside.sheet();
    for fault in [Fault::Refused(503, None), Fault::Garbage, Fault::CutOff] {
        outside.google.next_write(fault);
    }
    outside.google.next_token(Fault::CutOff);
    let shop = TestShop::open_hurried(&lent(&settings)).await;
    let order = shop.place(None).await;
    let deliveries = shop.deliveries(is_not_owed).await;
    assert_eq!((&deliveries[0]["state"], &deliveries[0]["attempts"]), (&json!("sent"), &json!(5)));
    assert_eq!(outcomes(&deliveries[0]).len(), 5);
    assert_eq!(outside.rows(), [(order.order_id.to_string(), "Confirmed".to_owned())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_is_written_as_the_order_is_by_then() {
    let outside = Outside::start().await;
    let settings = outside.sheet();
    outside.google.next(Fault::Refused(503, Some(1)));
    let shop = TestShop::open_hurried(&lent(&settings)).await;
    let order = shop.place(None).await;
    shop.deliveries(|delivery| delivery["tries"].is_array()).await;
    shop.set(&order, OrderStatus::Ready).await;
    assert_eq!(shop.deliveries(is_not_owed).await.len(), 1, "one row for both");
    assert_eq!(outside.rows(), [(order.order_id.to_string(), "Ready for pickup".to_owned())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_order_is_owed_to_nobody_any_more() {
    let outside = Outside::start().await;
    let settings = outside.settings();
    outside.google.next(Fault::Refused(503, Some(1)));
    outside.receiver.answer_next(503, "1");
    let shop = TestShop::open_hurried(&lent(&settings)).await;
    let gone = shop.place(None).await;
    shop.deliveries(|delivery| delivery["tries"].is_array()).await;
    shop.shop.orders().delete(&gone.order_id, None, STAFF).await.expect("deleted");
    assert_eq!(outside.receiver.notices().len(), 1);
    // Owed later, so it is sent later.
    outside.google.next(Fault::Refused(503, Some(2)));
    let kept = shop.place(None).await;
    shop.deliveries(is_not_owed).await;
    assert_eq!(outside.rows(), [(kept.order_id.to_string(), "Confirmed".to_owned())]);
    let notices = outside.receiver.notices();
    assert!(notices.iter().all(|notice| notice.delivery.starts_with(kept.order_id.as_str())), "{notices:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_who_is_forgotten_is_gone_from_the_sheet() {
    let outside = Outside::start().await;
    let settings = outside.sheet();
    let shop = TestShop::open_hurried(&lent(&settings)).await;
    let order = shop.place(Some(PHONE)).await;
    shop.deliveries(is_not_owed).await;
    let row = outside.google.rows().remove(1);
    assert_eq!(row[2..4], ["Ada", PHONE]);
    // Staff copied it below.
    outside.google.fill(&[&[], &[], &row.iter().map(String::as_str).collect::<Vec<_>>()]);
    let phone = order.phone.clone().expect("a phone");
    shop.shop.orders().forget(&phone, STAFF).await.expect("forgotten");
    shop.deliveries(is_not_owed).await;
    let rows = outside.google.rows();
    assert_eq!(rows.len(), 3);
    for row in &rows[1..] {
        assert_eq!((row[0].as_str(), &row[2..4]), (order.order_id.as_str(), &[String::new(), String::new()][..]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_fails_is_told_again_and_not_before_it_wants_to_be() {
    let outside = Outside::start().await;
    let settings = outside.webhook();
    outside.receiver.answer_next(500, "");
    outside.receiver.answer_next(429, "1");
    let shop = TestShop::open_hurried(&lent(&settings)).await;
    let placed = Instant::now();
    shop.place(None).await;
    let deliveries = shop.deliveries(is_not_owed).await;
    assert!(placed.elapsed() >= Duration::from_secs(1), "{:?}", placed.elapsed());
    let busy = ["the webhook cannot take it now: HTTP 500", "the webhook cannot take it now: HTTP 429", "sent"];
    assert_eq!(outcomes(&deliveries[0]), busy);
    let notices = outside.receiver.notices();
    assert_eq!(notices.len(), 3);
    assert!(notices.iter().all(|notice| (&notice.delivery, &notice.body) == (&notices[0].delivery, &notices[0].body)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_given_up_is_shown_until_somebody_tries_again() {
    let outside = Outside::start().await;
    let settings = outside.webhook();
    for _ in 0..5 {
        outside.receiver.answer_next(500, "");
    }
    let shop = TestShop::open_hurried(&lent(&settings)).await;
    let mut feed = shop.staff_feed().await;
    assert_eq!(shop.json("/api/v1/deliveries/failed").await, json!({"deliveries": []}));
    let order = shop.place(None).await;
    let event = feed.event_of("delivery_failed").await;
    assert_eq!((&event["order_id"], &event["kind"]), (&json!(order.order_id), &json!("webhook")));
    assert_eq!(outside.receiver.notices().len(), 5);

    // As a console sees it that is opened later.
    let failed = shop.json("/api/v1/deliveries/failed").await;
    let reason = "the webhook cannot take it now: HTTP 500; tried 5 times";
    let delivery = &failed["deliveries"][0]["delivery"];
    assert_eq!(failed["deliveries"].as_array().map(Vec::len), Some(1));
    assert_eq!(failed["deliveries"][0]["order_number"], json!(order.order_number));
    assert_eq!((&delivery["kind"], &delivery["reason"]), (&json!("webhook"), &json!(reason)));
    assert_eq!((&delivery["attempts"], outcomes(delivery).len()), (&json!(5), 5));

    let id = delivery["id"].clone();
    assert_eq!(shop.try_again(&order, &id).await, StatusCode::OK);
    assert_eq!(feed.event_of("order_updated").await["order"]["version"], 1, "other consoles look again");
    shop.deliveries(is_not_owed).await;
    assert_eq!(outside.receiver.notices().len(), 1);
    assert_eq!(shop.json("/api/v1/deliveries/failed").await, json!({"deliveries": []}));
    for nothing in [id, json!(99), json!("x"), json!(-1)] {
        assert_eq!(shop.try_again(&order, &nothing).await, StatusCode::NOT_FOUND, "{nothing}");
    }
    let audit = shop.json(&format!("/api/v1/orders/{}/audit", order.order_id)).await;
    let changes: Vec<_> = audit["changes"].as_array().expect("a list").iter().map(|entry| &entry["what"]).collect();
    assert_eq!(changes, ["created", "delivery_retried"]);
    assert_eq!(outcomes(&audit["deliveries"][0]).len(), 6);
    let document = shop.json("/api/openapi.json").await;
    for (name, told) in [("FailedDeliveries", &failed), ("Audit", &audit)] {
        let errors: Vec<_> = shape(&document, name).iter_errors(told).map(|error| error.to_string()).collect();
        assert_eq!(errors, [""; 0], "{told:#}");
    }
    let stranger = client().get(shop.url("/api/v1/orders/ORD-main-99/audit")).send().await.expect("an answer");
    assert_eq!(stranger.status(), StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spreadsheet_that_never_answers_holds_up_no_text() {
    // Connections are taken by the system and answered by nobody.
    let deaf = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let mut outside = Outside::start().await;
    let mut settings = outside.settings();
    settings.retain(|(name, _)| *name != "SHEETS_API_BASE" && *name != "WEBHOOK_URL");
    let base = format!("http://{}", deaf.local_addr().expect("an address"));
    settings.extend([("SHEETS_API_BASE", base.clone()), ("WEBHOOK_URL", base)]);
    let shop = TestShop::open_hurried(&lent(&settings)).await;
    let began = Instant::now();
    for n in 0..6 {
        shop.place(Some(&format!("+1555123456{n}"))).await;
    }
    for _ in 0..6 {
        outside.api.request().await;
    }
    assert!(began.elapsed() < Duration::from_secs(8), "the first request is still waited for: {:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tap_that_is_taken_back_texts_nobody() {
    let mut outside = Outside::start().await;
    let settings = outside.texts();
    let shop = TestShop::open_with([], &lent(&settings)).await;
    let order = shop.place(Some(PHONE)).await;
    outside.api.request().await;
    shop.set(&order, OrderStatus::Ready).await;
    shop.shop.orders().undo(&order.order_id, None, STAFF).await.expect("within five seconds");
    let tapped = Instant::now();
    shop.set(&order, OrderStatus::Ready).await;
    let (_, form) = outside.api.request().await;
    assert!(tapped.elapsed() >= Duration::from_secs(5), "{:?}", tapped.elapsed());
    assert!(form.iter().any(|(name, value)| name == "Body" && value.contains("is ready")), "{form:?}");
    let deliveries = shop.deliveries(is_not_owed).await;
    let states: Vec<_> = deliveries.iter().map(|delivery| &delivery["state"]).collect();
    assert_eq!(states, ["sent", "skipped", "sent"]);
    assert!(!outside.api.has_more());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_carrier_reports_is_known_by_its_signature_and_shown() {
    let mut outside = Outside::start().await;
    let mut settings = outside.texts();
    let public = [("VOICE_HOST", "Voice.Example.com"), ("TWILIO_AUTH_TOKEN", "of calls"), ("STAFF_PASSWORD", "sesame")];
    settings.extend(public.map(|(name, value)| (name, value.to_owned())));
    let shop = TestShop::open_with([], &lent(&settings)).await;
    let order = shop.place(Some(PHONE)).await;
    let (_, form) = outside.api.request().await;
    let callback = form.into_iter().find(|(name, _)| name == "StatusCallback").expect("a callback").1;
    assert_eq!(callback, format!("https://voice.example.com/sms/status?order={}&delivery=1", order.order_id));
    shop.deliveries(is_not_owed).await;

    let report = async |url: &str, token: &str, status: &str, code: Option<&str>| {
        let mut form =
            vec![("MessageSid".to_owned(), "SM1".to_owned()), ("MessageStatus".to_owned(), status.to_owned())];
        form.extend(code.map(|code| ("ErrorCode".to_owned(), code.to_owned())));
        let here = url.replace("https://voice.example.com", &shop.shop.base());
        let request = client().post(here).header(HOST, "voice.example.com").form(&form);
        let signed = request.header(signature::HEADER, signature::sign(token, &callback, &form));
        signed.send().await.expect("an answer").status()
    };
    let delivery = async || shop.deliveries(|_| true).await.remove(0);
    assert_eq!(report(&callback, AUTH_TOKEN, "sent", None).await, StatusCode::NO_CONTENT);
    assert_eq!(delivery().await["carrier_status"], "sent");
    for (url, token) in [(callback.as_str(), "of calls"), (&callback.replace("delivery=1", "delivery=2"), AUTH_TOKEN)] {
        assert_eq!(report(url, token, "undelivered", Some("30003")).await, StatusCode::FORBIDDEN);
    }
    assert_eq!(delivery().await["state"], "sent");

    for (status, code) in
        [("undelivered", Some("30003")), ("sent", None), ("undelivered", Some("30003")), ("odd", None)]
    {
        assert_eq!(report(&callback, AUTH_TOKEN, status, code).await, StatusCode::NO_CONTENT, "{status}");
    }
    let failed = delivery().await;
    assert_eq!((&failed["state"], &failed["carrier_status"]), (&json!("failed"), &json!("undelivered")));
    assert_eq!(outcomes(&failed), ["sent", "it did not arrive: undelivered, error 30003"]);
    let page = client().get(shop.url("/api/v1/deliveries/failed")).header(HOST, "voice.example.com");
    assert_eq!(page.try_clone().expect("no body").send().await.expect("an answer").status(), StatusCode::UNAUTHORIZED);
    let page: Value = page
        .header("Cookie", shop.sign_in("sesame").await)
        .send()
        .await
        .expect("an answer")
        .json()
        .await
        .expect("JSON");
    let shown = &page["deliveries"][0]["delivery"];
    assert_eq!((&shown["to"], &shown["reason"]), (&json!(PHONE), &failed["reason"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_owed_survives_a_power_cut_and_what_fails_is_in_the_log() {
    let mut outside = Outside::start().await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let options = AgentOptions { speed: crate::harness::SPEED, ..AgentOptions::default() };
    let agent = SimulatedAgent::start([quick_order()], options).await.expect("a port for the agent");
    let start = |settings: Vec<(&'static str, String)>| {
        let server = Program::local_server(folder.path(), &agent.url());
        settings.into_iter().fold(server, |server, (name, value)| server.set(name, value)).start()
    };
    // It is asked to wait for longer than the first server lives.
    outside.receiver.answer_next(503, "5");
    outside.google.next(Fault::Refused(503, Some(5)));
    let mut server = start(outside.settings());
    let address = server.address().await;
    caller_of(address).call(&quick_order()).await.expect("a call");
    for kind in ["webhook", "sheet_row"] {
        server.line(|line| line.contains("is tried again") && line.contains(kind)).await;
    }
    server.kill().await;
    outside.api.request().await;

    let mut server = start(outside.settings());
    let address = server.address().await;
    for kind in ["webhook", "sheet_row"] {
        server.line(|line| line.contains("delivery_sent") && line.contains(kind)).await;
    }
    let notices = outside.receiver.notices();
    let [first, .., last] = &notices[..] else { panic!("two at least: {notices:?}") };
    assert_eq!((&first.delivery, &first.body), (&last.delivery, &last.body));
    let (_, order) = told(last);
    assert_eq!(outside.rows(), [(order["order_id"].as_str().expect("an id").to_owned(), "Confirmed".to_owned())]);

    outside.receiver.answer_next(410, "");
    let done = format!("http://{address}/api/orders/{}/done", order["order_number"].as_str().expect("a number"));
    assert_eq!(client().post(done).send().await.expect("an answer").status(), StatusCode::OK);
    let line = server.line(|line| line.contains("delivery_failed")).await;
    assert!(line.contains("the webhook refused it: HTTP 410"), "{line}");
    server.kill().await;
}
