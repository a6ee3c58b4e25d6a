//! The texts that an order owes: sent, retried, given up or skipped, and never in a call's way.

use crate::harness::{ACCOUNT_SID, AUTH_TOKEN, PATIENCE, TestShop, TwilioApi, client, quick_order};
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use wiremock::ResponseTemplate;

const FROM: &str = "+18885550000";

/// What a shop that texts through `base` is configured with. The telephone's own account stays unset, so that nothing
/// else is signed for or asked of the API.
fn texting(base: &str) -> [(&str, &str); 4] {
    [
        ("TWILIO_API_BASE", base),
        ("MSG_TWILIO_ACCOUNT_SID", ACCOUNT_SID),
        ("MSG_TWILIO_AUTH_TOKEN", AUTH_TOKEN),
        ("MSG_TWILIO_FROM_E164", FROM),
    ]
}

fn accepted(sid: &str) -> ResponseTemplate {
    ResponseTemplate::new(201).set_body_json(json!({"sid": sid, "status": "queued"}))
}

fn text(body: String) -> (String, Vec<(String, String)>) {
    let form = [("From", FROM), ("To", "+15551234567"), ("Body", body.as_str())];
    ("Messages.json".to_owned(), form.map(|(name, value)| (name.to_owned(), value.to_owned())).into())
}

fn received(number: impl std::fmt::Display) -> (String, Vec<(String, String)>) {
    text(format!(
        "Deepgram BobaRista: thanks for your order! Your number is {number}. We will text you when it is ready."
    ))
}

fn ready(number: impl std::fmt::Display) -> (String, Vec<(String, String)>) {
    text(format!("Deepgram BobaRista: your order {number} is ready. See you at the counter!"))
}

fn is_not_owed(delivery: &Value) -> bool {
    delivery["state"] != "owed"
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_gives_a_number_is_texted_there() {
    let mut api = TwilioApi::start([accepted("SM1"), accepted("SM2")]).await;
    let base = api.base();
    let shop = TestShop::open_with([], &texting(&base)).await;
    let token = shop.table("Table 7").await;
    let mut ada = shop.guest(&token, "Ada").await;
    ada.add(1).await;
    let cart = ada.cart(&shop).await;
    let order = |phone: &str| json!({"revision": cart["revision"], "total": cart["total"], "phone": phone});
    ada.ask("place_order", order("+44 7400 123456")).await;
    assert_eq!(ada.refusal().await["code"], "BAD_PHONE", "a country that is not texted");
    ada.ask("place_order", order("(555) 123-4567")).await;
    let confirmed = ada.hear("order_confirmed").await;
    let number = confirmed["order_number"].as_str().expect("a number");
    assert_eq!(api.request().await, received(number));
    shop.post(&format!("/api/orders/{number}/done")).await;
    assert_eq!(api.request().await, ready(number));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_is_texted_when_the_order_is_received_and_when_it_is_ready() {
    let mut api = TwilioApi::start([accepted("SM1"), accepted("SM2")]).await;
    let base = api.base();
    let mut shop = TestShop::open_with([quick_order()], &texting(&base)).await;
    let number = shop.call(&quick_order()).await.assert_flawless().order_number();
    assert_eq!(api.request().await, received(number));

    let tapped = Instant::now();
    for _ in 0..2 {
        // Tapped twice, texted once.
        let done = client().post(shop.url(&format!("/api/orders/{number}/done"))).send().await.expect("an answer");
        assert_eq!(done.status(), StatusCode::OK);
    }
    assert_eq!(api.request().await, ready(number));
    assert!(tapped.elapsed() >= Duration::from_secs(5), "the tap could not be taken back: {:?}", tapped.elapsed());

    let deliveries = shop.deliveries(is_not_owed).await;
    let told: Vec<_> = deliveries
        .iter()
        .map(|delivery| json!([delivery["kind"], delivery["state"], delivery["attempts"], delivery["provider_id"]]))
        .collect();
    assert_eq!(told, [json!(["text_received", "sent", 1, "SM1"]), json!(["text_ready", "sent", 1, "SM2"])]);
    let order = &shop.order_files()[0];
    assert_eq!((&order["version"], &order["status"]), (&json!(2), &json!("ready")), "deliveries are no changes");
    assert!(!api.has_more());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_twilio_cannot_take_now_is_sent_once_more() {
    let mut api = TwilioApi::start([ResponseTemplate::new(503), accepted("SM1")]).await;
    let base = api.base();
    let mut shop = TestShop::open_with([quick_order()], &texting(&base)).await;
    let number = shop.call(&quick_order()).await.assert_flawless().order_number();
    assert_eq!(api.request().await, received(number));
    assert_eq!(api.request().await, received(number));
    let waited = api.arrivals()[1] - api.arrivals()[0];
    assert!(waited >= Duration::from_millis(1500), "too soon: {waited:?}");
    let deliveries = shop.deliveries(is_not_owed).await;
    assert_eq!(deliveries.len(), 1);
    let sent = &deliveries[0];
    assert_eq!((&sent["state"], &sent["attempts"], &sent["provider_id"]), (&json!("sent"), &json!(2), &json!("SM1")));
    assert!(!api.has_more());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_twilio_refuses_is_shown_as_failed_and_never_sent_again() {
    let refused = ResponseTemplate::new(400)
        .set_body_json(json!({"code": 21610, "message": "Attempt to send to unsubscribed recipient", "status": 400}));
    let mut api = TwilioApi::start([refused, accepted("SM2")]).await;
    let base = api.base();
    let mut shop = TestShop::open_with([quick_order()], &texting(&base)).await;
    let mut feed = shop.staff_feed().await;
    let number = shop.call(&quick_order()).await.assert_flawless().order_number();
    assert_eq!(api.request().await, received(number));
    let failed = feed.event_of("delivery_failed").await;
    assert_eq!((&failed["order_number"], &failed["kind"]), (&json!(number), &json!("text_received")));
    let deliveries = shop.deliveries(is_not_owed).await;
    let failed = &deliveries[0];
    assert_eq!((&failed["state"], &failed["attempts"]), (&json!("failed"), &json!(1)));
    assert_eq!(failed["reason"], "Twilio refused the request: HTTP 400, error 21610");

    // The next text goes out, and it is the next one: the refused one is not tried again, not even after a restart.
    let done = client().post(shop.url(&format!("/api/orders/{number}/done"))).send().await.expect("an answer");
    assert_eq!(done.status(), StatusCode::OK);
    let shop = shop.reopen([quick_order()], &texting(&base)).await;
    assert_eq!(api.request().await, ready(number));
    let states: Vec<Value> =
        shop.deliveries(is_not_owed).await.iter().map(|delivery| delivery["state"].clone()).collect();
    assert_eq!(states, ["failed", "sent"]);
    assert!(!api.has_more());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_twilio_delays_no_call_and_what_is_owed_is_sent_after_a_restart() {
    let gone = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let dead = format!("http://{}", gone.local_addr().expect("an address"));
    drop(gone);
    let mut shop = TestShop::open_with([quick_order()], &texting(&dead)).await;
    let call = shop.call(&quick_order()).await;
    let number = call.assert_flawless().order_number();
    let tried = |delivery: &Value| delivery["attempts"].as_u64() > Some(0);
    let owed = shop.deliveries(tried).await;
    assert_eq!((&owed[0]["state"], &owed[0]["reason"]), (&json!("owed"), &json!("Twilio cannot take the request now")));

    let mut api = TwilioApi::start([accepted("SM1")]).await;
    let base = api.base();
    let shop = shop.reopen([quick_order()], &texting(&base)).await;
    assert_eq!(api.request().await, received(number));
    let sent = shop.deliveries(is_not_owed).await;
    assert_eq!((&sent[0]["state"], &sent[0]["provider_id"]), (&json!("sent"), &json!("SM1")));
    assert!(!api.has_more());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_twilio_that_never_answers_delays_no_call() {
    // Connections are taken by the system and answered by nobody.
    let deaf = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let base = format!("http://{}", deaf.local_addr().expect("an address"));
    let mut shop = TestShop::open_with([quick_order()], &texting(&base)).await;
    let call = shop.call(&quick_order()).await;
    call.assert_flawless();
    // The call has ended while the text is still being tried.
    let deliveries = shop.deliveries(|_| true).await;
    assert_eq!((&deliveries[0]["state"], &deliveries[0]["tries"]), (&json!("owed"), &Value::Null), "{deliveries:?}");
    tokio::time::timeout(PATIENCE, deaf.accept()).await.expect("it was tried").expect("a connection");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_credentials_a_text_is_skipped_and_stays_so() {
    let mut shop = TestShop::open([quick_order()]).await;
    let number = shop.call(&quick_order()).await.assert_flawless().order_number();
    let skipped = |delivery: &Value| delivery["state"] == "skipped";
    let deliveries = shop.deliveries(|_| true).await;
    assert!(deliveries.len() == 1 && deliveries.iter().all(skipped), "{deliveries:#?}");
    assert_eq!(deliveries[0]["reason"], "no credentials for texts");

    // Credentials that come later are for later texts.
    let mut api = TwilioApi::start([accepted("SM1")]).await;
    let base = api.base();
    let shop = shop.reopen([quick_order()], &texting(&base)).await;
    let done = client().post(shop.url(&format!("/api/orders/{number}/done"))).send().await.expect("an answer");
    assert_eq!(done.status(), StatusCode::OK);
    assert_eq!(api.request().await, ready(number));
    let deliveries = shop.deliveries(is_not_owed).await;
    assert!(skipped(&deliveries[0]) && deliveries[1]["state"] == "sent", "{deliveries:#?}");
    assert!(!api.has_more());
}
