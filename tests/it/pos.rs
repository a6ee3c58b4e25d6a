//! Orders that have to pass a shop's till first: on the telephone, through faults, and across a restart.

use crate::harness::program::{Program, Running};
use crate::harness::till::{Mood, Till};
use crate::harness::{ACCOUNT_SID, AUTH_TOKEN, PATIENCE, TestShop, TwilioApi, client, new_order, quick_order};
use bobarista::order_service::{NewOrder, Origin};
use bobarista::ordering::order::Order;
use bobarista::ordering::status::OrderStatus;
use serde_json::{Value, json};
use std::time::Duration;
use wiremock::ResponseTemplate;

const FROM: &str = "+18885550000";
const NUMBER: &str = "5551234567";

async fn twilio() -> TwilioApi {
    TwilioApi::start([ResponseTemplate::new(201).set_body_json(json!({"sid": "SM1", "status": "queued"}))]).await
}

/// A shop with this till, that texts through this account.
fn settings(till: &Till, api: &TwilioApi) -> Vec<(&'static str, String)> {
    let mut settings = till.settings();
    settings.extend([
        ("TWILIO_API_BASE", api.base()),
        ("MSG_TWILIO_ACCOUNT_SID", ACCOUNT_SID.to_owned()),
        ("MSG_TWILIO_AUTH_TOKEN", AUTH_TOKEN.to_owned()),
        ("MSG_TWILIO_FROM_E164", FROM.to_owned()),
    ]);
    settings
}

fn lent<'a>(settings: &'a [(&'static str, String)]) -> Vec<(&'static str, &'a str)> {
    settings.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

/// What the next text says.
async fn text(api: &mut TwilioApi) -> String {
    let (_, form) = api.request().await;
    form.into_iter().find(|(name, _)| name == "Body").expect("a text").1
}

fn posts(till: &Till) -> usize {
    till.asked().iter().filter(|(method, _)| method == "POST").count()
}

impl TestShop {
    /// The one order there is, once it has this status.
    async fn once(&self, status: OrderStatus) -> Order {
        let look = async {
            loop {
                if let Some(order) = self.orders().await.into_iter().find(|order| order.status == status) {
                    return order;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, look).await.unwrap_or_else(|_| panic!("no order is {status}"))
    }

    /// The `ticket` of the only open order on the console, once `is_wanted`.
    async fn ticket(&self, is_wanted: impl Fn(&Value) -> bool) -> Value {
        let look = async {
            loop {
                let ticket = self.json("/barista/console.json").await["open"][0]["ticket"].clone();
                if is_wanted(&ticket) {
                    return ticket;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, look).await.expect("the ticket stands there")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_ends_with_a_pending_order_that_is_received_when_the_till_has_taken_it() {
    let (till, mut api) = (Till::start().await, twilio().await);
    till.next(Mood::Thinks);
    let settings = settings(&till, &api);
    let mut shop = TestShop::open_hurried_with([quick_order()], &lent(&settings)).await;
    let mut feed = shop.staff_feed().await;
    let call = shop.call(&quick_order()).await;
    let answer = call.assert_flawless().answer("checkout_order");
    assert_eq!((&answer["ok"], &answer["status"]), (&json!(true), &json!("pending")), "{answer}");
    assert_eq!(feed.event_of("order_created").await["status"], "pending");
    let ticket = shop.ticket(|ticket| ticket["reason"].is_string()).await;
    assert_eq!(ticket["state"], "waiting", "{ticket}");
    assert!(!api.has_more(), "nobody is told before the till has it");

    till.decide();
    let changed = feed.event_of("order_status_changed").await;
    assert_eq!((&changed["status"], &changed["order"]["history"][1]["by"]), (&json!("received"), &json!("pos")));
    let number = call.order_number().to_string();
    assert!(text(&mut api).await.contains(&format!("Your number is {number}")));
    let [held] = &till.tickets()[..] else { panic!("one ticket: {:?}", till.tickets()) };
    let order = shop.once(OrderStatus::Received).await;
    assert_eq!(held.key, format!("{}:1", order.order_id));
    assert_eq!((&held.ticket["order_number"], &held.ticket["items"]), (&json!(number), &json!(order.items)));
    assert!(!held.ticket.to_string().contains(NUMBER), "a till needs nobody's number: {}", held.ticket);
    assert_eq!((posts(&till), till.unbelieved()), (1, 0), "{:?}", till.asked());
    let tickets = shop.deliveries(|delivery| delivery["state"] != "owed").await;
    let ticket = tickets.iter().find(|delivery| delivery["kind"] == "pos_ticket").expect("a ticket");
    assert_eq!((&ticket["state"], &ticket["provider_id"]), (&json!("sent"), &json!(held.reference)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_hangs_up_while_the_till_says_nothing() {
    let (till, api) = (Till::start().await, twilio().await);
    till.from_now(Mood::Silent);
    let settings = settings(&till, &api);
    let mut shop = TestShop::open_with([quick_order()], &lent(&settings)).await;
    let call = shop.call(&quick_order()).await;
    assert_eq!(call.assert_flawless().answer("checkout_order")["status"], "pending");
    till.until_asked(1).await;
    let ticket = shop.ticket(Value::is_object).await;
    assert_eq!((&ticket["state"], ticket["since"].is_string()), (&json!("waiting"), true), "{ticket}");
    // Staff need not wait for it any longer.
    let order = shop.once(OrderStatus::Pending).await;
    let staff = Origin { by: "staff", correlation_id: None };
    let accepted = shop.shop.orders().change_status(&order.order_id, OrderStatus::Received, None, None, staff).await;
    assert_eq!(accepted.expect("the table has it").status, OrderStatus::Received);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_whose_order_is_refused_in_the_end_is_cancelled_shown_and_told() {
    let (till, mut api) = (Till::start().await, twilio().await);
    till.from_now(Mood::Refuses("out of cups"));
    let settings = settings(&till, &api);
    let mut shop = TestShop::open_hurried_with([quick_order()], &lent(&settings)).await;
    let mut feed = shop.staff_feed().await;
    let number = shop.call(&quick_order()).await.assert_flawless().order_number().to_string();
    let changed = feed.event_of("order_status_changed").await;
    assert_eq!((&changed["status"], &changed["order_number"]), (&json!("cancelled"), &json!(number)));
    let failed = feed.event_of("delivery_failed").await;
    assert_eq!((&failed["kind"], &failed["order_number"]), (&json!("pos_ticket"), &json!(number)));
    assert!(text(&mut api).await.contains(&format!("your order {number} was cancelled")));
    assert_eq!((posts(&till), till.tickets().len()), (4, 0), "{:?}", till.asked());
    let failures = shop.json("/barista/console.json").await["failures"].clone();
    assert_eq!(failures, json!([]), "there is nothing to try again");
    let tickets = shop.deliveries(|delivery| delivery["state"] != "owed").await;
    let ticket = tickets.iter().find(|delivery| delivery["kind"] == "pos_ticket").expect("a ticket");
    assert_eq!((&ticket["state"], &ticket["reason"]), (&json!("skipped"), &json!("out of cups")));
    let tries = ticket["tries"].as_array().expect("tries");
    assert_eq!(tries.len(), 4, "{tries:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_whoever_ordered_decides_on_waits_for_them_when_it_is_refused() {
    let till = Till::start().await;
    till.from_now(Mood::Refuses("out of cups"));
    let settings = till.settings();
    let shop = TestShop::open_hurried(&lent(&settings)).await;
    let held = NewOrder { held_when_refused: true, ..new_order(None) };
    let order = shop.shop.orders().create(held).await.expect("an order").into_order().expect("not deleted");
    let ticket = shop.ticket(|ticket| ticket["state"] == "refused").await;
    assert_eq!(ticket, json!({"state": "refused", "since": null, "reason": "out of cups", "reference": null}));
    assert_eq!(shop.orders().await, [order]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_looked_up_and_nothing_is_placed_twice() {
    let till = Till::start().await;
    till.next(Mood::LosesAnswers);
    till.next(Mood::Says(503, "text/plain", "closed for cleaning".to_owned()));
    let settings = till.settings();
    let shop = TestShop::open_hurried(&lent(&settings)).await;
    let order = shop.place(None).await;
    let received = shop.once(OrderStatus::Received).await;
    assert_eq!((received.order_id, received.version), (order.order_id, 2));
    assert_eq!((posts(&till), till.tickets().len()), (1, 1), "{:?}", till.asked());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_till_never_got_is_placed_after_it_was_looked_up() {
    let till = Till::start().await;
    till.next(Mood::Says(502, "text/plain", "bad gateway".to_owned()));
    let settings = till.settings();
    let shop = TestShop::open_hurried(&lent(&settings)).await;
    shop.place(None).await;
    shop.once(OrderStatus::Received).await;
    let methods: Vec<_> = till.asked().into_iter().map(|(method, _)| method).collect();
    assert_eq!(methods, ["GET", "POST"], "what was not said is looked up first");
    assert_eq!(till.tickets().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_starts_again_finds_out_what_became_of_a_ticket() {
    let mut till = Till::start().await;
    till.next(Mood::LosesAnswers);
    let settings = till.settings();
    let shop = TestShop::open_with([], &lent(&settings)).await;
    let order = shop.place(None).await;
    till.until_asked(1).await;
    till.go_down().await;
    let shop = shop.stop().await.open().await;
    assert_eq!(shop.once(OrderStatus::Pending).await.order_id, order.order_id);
    till.come_up().await;
    let received = shop.once(OrderStatus::Received).await;
    assert_eq!((received.order_id, received.order_number), (order.order_id, order.order_number));
    assert_eq!((posts(&till), till.tickets().len()), (1, 1), "{:?}", till.asked());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_while_it_asks_places_nothing_before_it_has_looked() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let till = Till::start().await;
    till.next(Mood::Silent);
    let start = || -> Running {
        let server = Program::local_server(folder.path(), "ws://127.0.0.1:9/v1/agent/converse");
        till.settings().iter().fold(server, |server, (name, value)| server.set(name, value)).start()
    };
    let mut server = start();
    let orders = format!("http://{}/api/v1/orders", server.address().await);
    let asked = client().post(orders).json(&json!({"items": [{"flavor": "taro milk tea"}]})).send().await;
    let made: Value = asked.expect("an answer").json().await.expect("JSON");
    assert_eq!(made["status"], "pending", "{made}");
    till.until_asked(1).await;
    server.kill().await;

    let mut server = start();
    let order =
        format!("http://{}/api/v1/orders/{}", server.address().await, made["order_id"].as_str().expect("an id"));
    let received = async {
        loop {
            let order: Value = client().get(&order).send().await.expect("an answer").json().await.expect("JSON");
            if order["status"] == "received" {
                return order;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let received = tokio::time::timeout(PATIENCE, received).await.expect("the till takes it");
    assert_eq!(received["order_number"], made["order_number"]);
    let methods: Vec<_> = till.asked().into_iter().map(|(method, _)| method).collect();
    assert_eq!(methods, ["GET", "POST"], "what was not heard of any more is looked up first");
    assert_eq!(till.tickets().len(), 1);
}
