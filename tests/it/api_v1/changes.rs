//! Changes to orders: which version, by whom, in which sequence, and back again.

use super::*;
use crate::harness::{PATIENCE, TEXTS};
use bobarista::app::{App, Mode};
use bobarista::config::Config;
use bobarista::order_service::{Clock, DeliveryKind, DeliveryState, OrderService};
use futures_util::future::join_all;
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use tokio_util::sync::CancellationToken;

#[tokio::test(flavor = "multi_thread")]
async fn a_change_names_the_version_that_it_changes() {
    let shop = TestShop::open([]).await;
    let order = shop.created(&taro()).await;
    let routes = [
        (Method::PATCH, "", Some(json!({"name": "Ada"}))),
        (Method::POST, "/status", Some(json!({"status": "preparing"}))),
        (Method::POST, "/undo", None),
        (Method::DELETE, "", None),
    ];
    for (method, below, body) in &routes {
        let path = path_of(&order, below);
        let request = |tag: Option<&str>| {
            let mut request = shop.v1(method.clone(), &path);
            if let Some(tag) = tag {
                request = request.header(IF_MATCH, tag);
            }
            Answer::to(match body {
                Some(body) => with_body(request, body),
                None => request,
            })
        };
        for without in [None, Some("*")] {
            request(without).await.assert_error(428, "VERSION_REQUIRED");
        }
        for stale in ["\"2\"", "W/\"1\"", "\"0\"", "\"x\"", "\"2\", \"3\""] {
            let answer = request(Some(stale)).await;
            answer.assert_error(412, "VERSION_CONFLICT");
            assert_eq!(answer.json()["error"]["details"]["version"], 1);
        }
        for wrong in ["01", "\"1", ""] {
            request(Some(wrong)).await.assert_error(400, "VALIDATION");
        }
        let nobody = path.replace("ORD-main-1", "ORD-main-99");
        shop.change(method.clone(), &nobody, 1, body.clone()).await.assert_error(404, "NOT_FOUND");
    }
    assert_eq!(shop.read(&path_of(&order, "")).await.json(), order, "nothing has changed");
    let several = shop.v1(Method::PATCH, &path_of(&order, "")).header(IF_MATCH, "\"7\", \"1\"");
    let answer = Answer::to(with_body(several, &json!({"name": "Ada"}))).await;
    assert_eq!((answer.status.as_u16(), assert_tagged(&answer)["version"].clone()), (200, json!(2)));
}

#[tokio::test(flavor = "multi_thread")]
async fn name_notes_and_ready_time_can_be_corrected_and_nothing_else() {
    let shop = TestShop::open([]).await;
    let mut feed = shop.staff_feed().await;
    let order = shop.created(&taro()).await;
    let patch = |version: u64, body: Value| shop.change(Method::PATCH, "/orders/ORD-main-1", version, Some(body));
    let answer =
        patch(1, json!({"name": " Ada ", "notes": "by the door", "estimated_ready_time": "2024-11-22T15:30:00Z"}));
    let changed = assert_tagged(&answer.await);
    assert_eq!((&changed["name"], &changed["notes"]), (&json!("Ada"), &json!("by the door")));
    assert_eq!(changed["estimated_ready_time"], "2024-11-22T15:30:00.000000+00:00");
    assert_eq!((&changed["total"], &changed["order_number"]), (&order["total"], &order["order_number"]));
    assert_eq!(feed.event_of("order_updated").await["order"], changed);
    let erased = assert_tagged(&patch(2, json!({"notes": null})).await);
    assert_eq!((&erased["name"], &erased["notes"], &erased["version"]), (&json!("Ada"), &Value::Null, &json!(3)));
    for wrong in [json!({}), json!({"total": 1}), json!({"status": "ready"}), json!({"name": 7}), json!([])] {
        patch(3, wrong).await.assert_error(400, "VALIDATION");
    }
    let long = json!({"notes": "x".repeat(501)});
    patch(3, long).await.assert_error(400, "VALIDATION");
    let record = shop.shop.orders().recent(1).await.expect("readable").remove(0);
    assert_eq!(
        record.audit.iter().map(|entry| entry.what.as_str()).collect::<Vec<_>>(),
        ["created", "patched", "patched"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_goes_where_the_table_lets_it_and_nowhere_else() {
    let shop = TestShop::open_with([], &TEXTS).await;
    let mut feed = shop.staff_feed().await;
    let order = shop.created(&envelope("k")).await;
    shop.move_to(&order, 1, "completed").await.assert_error(422, "INVALID_STATE");
    shop.move_to(&order, 1, "received").await.assert_error(422, "INVALID_STATE");
    shop.move_to(&order, 1, "eaten").await.assert_error(400, "VALIDATION");
    let path = path_of(&order, "/status");
    let body = json!({"status": "processing", "reason": "the till said so"});
    let request = shop.v1(Method::POST, &path).header(IF_MATCH, "\"1\"").header("X-Correlation-ID", "till-7");
    let preparing = assert_tagged(&Answer::to(with_body(request, &body)).await);
    assert_eq!((&preparing["status"], &preparing["version"]), (&json!("preparing"), &json!(2)));
    assert_eq!(feed.event_of("order_status_changed").await["status"], "preparing");
    let ready = assert_tagged(&shop.move_to(&order, 2, "ready").await);
    assert_eq!(assert_tagged(&shop.move_to(&order, 3, "completed").await)["status"], "completed");
    assert_eq!(assert_tagged(&shop.move_to(&order, 4, "ready").await)["status"], "ready", "a recall");
    shop.move_to(&ready, 3, "completed").await.assert_error(412, "VERSION_CONFLICT");
    let record = shop.shop.orders().recent(1).await.expect("readable").remove(0);
    let entry = &record.audit[1];
    assert_eq!((entry.reason.as_deref(), entry.correlation_id.as_deref()), (Some("the till said so"), Some("till-7")));
    assert_eq!(record.order.version, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_32_writers_by_version_each_makes_one_version() {
    let shop = TestShop::open([]).await;
    shop.created(&taro()).await;
    let path = "/orders/ORD-main-1";
    let write = |n: usize| {
        let shop = &shop;
        async move {
            loop {
                let seen = shop.read(path).await.json()["version"].as_u64().expect("a version");
                let answer = shop.change(Method::PATCH, path, seen, Some(json!({"notes": n.to_string()}))).await;
                if answer.status == 200 {
                    let order = assert_tagged(&answer);
                    assert_eq!(order["notes"], n.to_string(), "what it answers is what it made");
                    assert_eq!(order["version"], seen + 1, "of what it had seen");
                    return seen + 1;
                }
                answer.assert_error(412, "VERSION_CONFLICT");
            }
        }
    };
    let versions: Vec<u64> = join_all((0..32).map(write)).await;
    assert_eq!(versions.iter().copied().collect::<BTreeSet<_>>(), (2..=33).collect(), "each version once");
    let order = shop.orders().await.remove(0);
    assert_eq!((order.version, order.history.len()), (33, 33));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_deleted_with_an_event_and_never_comes_back() {
    let shop = TestShop::open_with([], &TEXTS).await;
    let mut feed = shop.staff_feed().await;
    let order = shop.created(&envelope("k")).await;
    let answer = shop.change(Method::DELETE, &path_of(&order, ""), 1, None).await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (204, ""));
    assert_eq!(feed.event_of("order_deleted").await["order_number"], order["order_number"]);
    for below in ["", "/summary"] {
        shop.read(&path_of(&order, below)).await.assert_error(404, "NOT_FOUND");
    }
    shop.change(Method::DELETE, &path_of(&order, ""), 1, None).await.assert_error(404, "NOT_FOUND");
    assert_eq!(shop.created(&taro()).await["order_id"], "ORD-main-2");
    let shop = shop.reopen([], &[]).await;
    assert_eq!(shop.created(&taro()).await["order_id"], "ORD-main-3");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_orders_are_deleted_only_by_who_says_so() {
    let shop = TestShop::open([]).await;
    for _ in 0..3 {
        shop.created(&taro()).await;
    }
    let mut feed = shop.staff_feed().await;
    for unsure in [
        "",
        "?confirm",
        "?confirm=yes",
        "?confirm=ALL",
        "?confirm=all&status=ready",
        "?status=ready",
        "?confirm=all&confirm=all",
    ] {
        let answer = Answer::to(shop.v1(Method::DELETE, &format!("/orders{unsure}"))).await;
        answer.assert_error(400, "VALIDATION");
    }
    assert_eq!(shop.orders().await.len(), 3);
    let answer = Answer::to(shop.v1(Method::DELETE, "/orders?confirm=all")).await;
    assert_eq!((answer.status.as_u16(), answer.json()), (200, json!({"deleted": 3})));
    for _ in 0..3 {
        feed.event_of("order_deleted").await;
    }
    let again = Answer::to(shop.v1(Method::DELETE, "/orders?confirm=all")).await;
    assert_eq!(again.json(), json!({"deleted": 0}));
    assert!(shop.orders().await.is_empty() && shop.order_files().is_empty());
}

/// A server whose clock a test sets; it is gone with the test's runtime.
struct Clocked {
    base: String,
    orders: OrderService,
    seconds: Arc<AtomicI64>,
    _dir: tempfile::TempDir,
}

impl Clocked {
    async fn open() -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let orders_dir = dir.path().display().to_string();
        let config = Config::read(&|name| match name {
            "ORDERS_DIR" => Some(orders_dir.clone()),
            "DEEPGRAM_API_KEY" => Some("simulated".to_owned()),
            _ => TEXTS.iter().find(|(setting, _)| *setting == name).map(|(_, value)| (*value).to_owned()),
        })
        .expect("settings");
        let seconds = Arc::new(AtomicI64::new(1_704_067_200));
        let shown = Arc::clone(&seconds);
        let clock = Clock::new(move || Timestamp::from_second(shown.load(Ordering::Relaxed)).expect("an instant"));
        let app = App::build(&config, Mode::Production, clock, CancellationToken::new()).await.expect("a server");
        let orders = app.orders();
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let base = format!("http://{}", listener.local_addr().expect("an address"));
        tokio::spawn(app.serve(listener));
        Self { base, orders, seconds, _dir: dir }
    }

    async fn post(&self, path: &str, version: Option<u64>, body: Option<Value>) -> Answer {
        let mut request = client().post(format!("{}/api/v1{path}", self.base)).timeout(PATIENCE);
        if let Some(version) = version {
            request = request.header(IF_MATCH, format!("\"{version}\""));
        }
        Answer::to(match &body {
            Some(body) => with_body(request, body),
            None => request,
        })
        .await
    }

    async fn text(&self, kind: DeliveryKind) -> DeliveryState {
        let record = self.orders.recent(1).await.expect("readable").remove(0);
        record.deliveries.iter().rev().find(|delivery| delivery.kind == kind).expect("it was owed").state
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_status_can_be_taken_back_for_five_seconds() {
    let shop = Clocked::open().await;
    let order = shop.post("/orders", None, Some(envelope("k"))).await;
    assert_eq!(order.status, 201, "{}", order.text);
    let (status, undo) = ("/orders/ORD-main-1/status", "/orders/ORD-main-1/undo");
    shop.post(undo, Some(1), None).await.assert_error(422, "INVALID_STATE");
    let ready = Some(json!({"status": "ready"}));
    assert_eq!(shop.post(status, Some(1), ready.clone()).await.status, 200);
    assert_eq!(shop.text(DeliveryKind::TextReady).await, DeliveryState::Owed);
    shop.seconds.fetch_add(5, Ordering::Relaxed);
    let undone = assert_tagged(&shop.post(undo, Some(2), None).await);
    assert_eq!((&undone["status"], &undone["version"]), (&json!("received"), &json!(3)));
    assert_eq!(shop.text(DeliveryKind::TextReady).await, DeliveryState::Skipped, "the text is never sent");
    shop.post(undo, Some(3), None).await.assert_error(422, "INVALID_STATE");

    assert_eq!(shop.post(status, Some(3), ready).await.status, 200);
    shop.seconds.fetch_add(6, Ordering::Relaxed);
    shop.post(undo, Some(4), None).await.assert_error(422, "INVALID_STATE");
    let stands = shop.orders.recent(1).await.expect("readable").remove(0).order.clone();
    assert_eq!((stands.status.as_str(), stands.version), ("ready", 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn after_five_minutes_the_same_order_is_another_one() {
    let shop = Clocked::open().await;
    let order = |key: &str| shop.post("/orders", None, Some(envelope(key)));
    assert_eq!(order("a").await.status, 201);
    shop.seconds.fetch_add(299, Ordering::Relaxed);
    order("b").await.assert_error(409, "DUPLICATE_ORDER");
    shop.seconds.fetch_add(1, Ordering::Relaxed);
    assert_eq!(order("b").await.status, 201);
    shop.seconds.fetch_add(24 * 3600, Ordering::Relaxed);
    let replayed = order("a").await;
    assert_eq!(header(&replayed, "idempotency-replayed"), Some("true"), "also after a day");
}
