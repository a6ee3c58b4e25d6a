//! The routes about orders as programs use them: answers, errors, who is let in, and what happens when many ask at once.

use crate::harness::{Answer, TEXTS, TestShop, client, raw, shape};
use bobarista::app::Mode;
use bobarista::store::{DeliveryKind, DeliveryState};
use reqwest::header::{ACCEPT, AUTHORIZATION, COOKIE};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::collections::HashSet;

#[tokio::test(flavor = "multi_thread")]
async fn an_order_can_be_read_whole_and_its_phone_alone() {
    let shop = TestShop::open([]).await;
    let order = shop.place(Some("+15551234567")).await;
    let number = order.order_number;
    let whole = shop.get(&format!("/api/orders/{number}")).await;
    assert_eq!((whole.status, whole.json()), (StatusCode::OK, json!(order)));
    let phone = shop.get(&format!("/api/orders/phone/{number}")).await;
    assert_eq!(phone.json(), json!({"order_number": number, "phone": "+15551234567"}));
    let nobody = shop.place(None).await.order_number;
    assert_eq!(shop.get(&format!("/api/orders/phone/{nobody}")).await.json()["phone"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn done_is_done_once_however_often_it_is_tapped() {
    let shop = TestShop::open_with([], &TEXTS).await;
    let number = shop.place(Some("+15551234567")).await.order_number;
    let done = format!("/api/orders/{number}/done");
    let first = shop.post(&done).await;
    assert_eq!((first.status, first.json()), (StatusCode::OK, json!({"ok": true})));
    let ready = shop.orders().await.remove(0);
    assert_eq!((ready.status.as_str(), ready.version), ("ready", 2));
    let again = shop.post(&done).await;
    assert_eq!((again.status, again.json()), (StatusCode::OK, json!({"ok": true})));
    assert_eq!(shop.orders().await.remove(0), ready, "nothing has changed");

    let record = shop.shop.orders().recent(1).await.expect("readable").remove(0);
    let owed = |kind| record.deliveries.iter().filter(|delivery| delivery.kind == kind).collect::<Vec<_>>();
    assert_eq!(owed(DeliveryKind::TextReceived).len(), 1);
    let [ready] = owed(DeliveryKind::TextReady)[..] else { panic!("one text: {:?}", record.deliveries) };
    assert_eq!(ready.state, DeliveryState::Owed);
    assert_eq!((ready.not_before - ready.owed_at).get_seconds(), 5, "time to take the tap back");
    assert_eq!(ready.correlation_id.as_deref(), Some(first.id()), "the request that caused it");
    assert_eq!(record.deliveries.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_taps_at_once_one_counts() {
    let shop = TestShop::open_with([], &TEXTS).await;
    let number = shop.place(Some("+15551234567")).await.order_number;
    let client = client();
    let url = shop.url(&format!("/api/orders/{number}/done"));
    let taps = (0..32).map(|_| Answer::to(client.post(&url)));
    for answer in futures_util::future::join_all(taps).await {
        assert_eq!((answer.status, answer.json()), (StatusCode::OK, json!({"ok": true})));
    }
    let record = shop.shop.orders().recent(1).await.expect("readable").remove(0);
    assert_eq!((record.order.version, record.order.history.len()), (2, 2));
    let texts = record.deliveries.iter().filter(|delivery| delivery.kind == DeliveryKind::TextReady);
    assert_eq!(texts.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_said_in_the_contracts_words() {
    let shop = TestShop::open([]).await;
    let number = shop.place(None).await.order_number;
    let unknown = if number.to_string() == "4782" { "4783" } else { "4782" };
    for nothing in
        [unknown, "0", "999", "abc", "-1", "99999999999999999999", "%00", "%F0%9F%8D%B5", "4782%2f..", "%3Cscript%3E"]
    {
        shop.get(&format!("/api/orders/{nothing}")).await.assert_error(404, "NOT_FOUND");
        shop.get(&format!("/api/orders/phone/{nothing}")).await.assert_error(404, "NOT_FOUND");
        let answer = shop.post(&format!("/api/orders/{nothing}/done")).await;
        answer.assert_error(404, "NOT_FOUND");
        assert!(!answer.text.contains("<script>"));
    }
    let long = "9".repeat(4_000);
    let answer = shop.get(&format!("/api/orders/{long}")).await;
    answer.assert_error(404, "NOT_FOUND");
    assert!(answer.text.len() < 500, "what was asked is not repeated at length");
    for nowhere in ["/nowhere", "/api", "/api/orders/1/2/3", "/orders/events/more", "/static/nothing.js"] {
        shop.get(nowhere).await.assert_error(404, "NOT_FOUND");
    }
    // Not UTF-8.
    let (status, answer) = raw::get(shop.shop.address(), "/api/orders/%ff").await;
    assert!(status == 404 && answer.contains("\"NOT_FOUND\""), "{answer}");
    let done = "POST /api/orders/%ff/done HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let (status, answer) = raw::request(shop.shop.address(), done).await;
    assert!(status == 404 && answer.contains("\"NOT_FOUND\""), "{answer}");
    for limit in ["many", "0", "501", "-1"] {
        for path in ["/orders.json", "/orders/in_progress.json"] {
            shop.get(&format!("{path}?limit={limit}")).await.assert_error(400, "VALIDATION");
        }
    }
    for limit in ["1", "500", "007"] {
        assert_eq!(shop.get(&format!("/orders.json?limit={limit}")).await.status, StatusCode::OK);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_says_which_methods_it_takes() {
    let shop = TestShop::open([]).await;
    let number = shop.place(None).await.order_number;
    let routes = [
        (Method::DELETE, "/orders.json".to_owned(), "GET"),
        (Method::POST, "/orders/in_progress.json".to_owned(), "GET"),
        (Method::PUT, format!("/api/orders/{number}"), "GET"),
        (Method::GET, format!("/api/orders/{number}/done"), "POST"),
        (Method::GET, "/voice".to_owned(), "POST"),
    ];
    for (method, path, allowed) in routes {
        let answer = shop.ask(method, &path).await;
        answer.assert_error(405, "METHOD_NOT_ALLOWED");
        let told = answer.headers.get("allow").map(|value| value.to_str().expect("text"));
        assert!(told.is_some_and(|told| told.split(',').any(|method| method == allowed)), "{path}: {told:?}");
    }
    assert_eq!(shop.orders().await.remove(0).version, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_has_an_id_and_takes_over_a_sane_one() {
    let shop = TestShop::open([]).await;
    let ask = |path: &str, id: &str| Answer::to(client().get(shop.url(path)).header("X-Correlation-ID", id));
    for path in ["/", "/orders.json", "/api/orders/1", "/nowhere", "/static/style.css"] {
        assert_eq!(ask(path, "till-7.4_a").await.id(), "till-7.4_a", "{path}");
        let long = "x".repeat(65);
        for insane in ["", "two words", "a\"b", "<b>", "a=b", "a;b", &long] {
            let id = ask(path, insane).await.id().to_owned();
            assert_ne!(id, insane, "{path}");
            assert!(id.starts_with("req_") && id.len() > 10, "{path}: {id}");
        }
    }
    let given: HashSet<String> =
        futures_util::future::join_all((0..20).map(async |_| shop.get("/").await.id().to_owned()))
            .await
            .into_iter()
            .collect();
    assert_eq!(given.len(), 20, "each its own");
    assert_eq!(ask("/api/orders/1", "mine").await.json()["correlation_id"], "mine");
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_come_as_problem_details_to_who_asks_for_them() {
    let shop = TestShop::open([]).await;
    let accept = "text/html;q=0.1, application/problem+json";
    let answer = Answer::to(client().get(shop.url("/api/orders/1")).header(ACCEPT, accept)).await;
    assert_eq!(
        (answer.status, &answer.headers["content-type"]),
        (StatusCode::NOT_FOUND, &"application/problem+json".parse().expect("a value"))
    );
    let problem = answer.json();
    assert_eq!(
        (&problem["status"], &problem["code"], &problem["title"]),
        (&json!(404), &json!("NOT_FOUND"), &json!("Not Found"))
    );
    assert_eq!((&problem["type"], &problem["correlation_id"]), (&json!("about:blank"), &json!(answer.id())));
    let plain = shop.get("/api/orders/1").await.json();
    assert_eq!(problem["detail"], plain["error"]["message"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn made_up_orders_are_for_demos_only() {
    let shop = TestShop::open_with([], &TEXTS).await;
    shop.post("/api/seed").await.assert_error(404, "NOT_FOUND");
    assert!(shop.orders().await.is_empty());

    let demo = TestShop::open_as([], &TEXTS, Mode::Demo).await;
    for n in ["0", "11", "x", "-1", "1.5", "4294967297"] {
        demo.post(&format!("/api/seed?n={n}")).await.assert_error(400, "VALIDATION");
    }
    assert!(demo.orders().await.is_empty());
    let mut made = 0;
    for (query, count) in [("", 2), ("?n=1", 1), ("?n=10", 10)] {
        let answer = demo.post(&format!("/api/seed{query}")).await;
        let body = answer.json();
        assert_eq!((answer.status, &body["ok"]), (StatusCode::OK, &json!(true)));
        let numbers: HashSet<&str> =
            body["orders"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
        assert_eq!(numbers.len(), count, "{body}");
        made += count;
        let shown = demo.json("/orders/in_progress.json").await;
        let shown: HashSet<&str> =
            shown.as_array().expect("a list").iter().filter_map(|order| order["order_number"].as_str()).collect();
        assert!(numbers.is_subset(&shown) && shown.len() == made, "{shown:?}");
    }
    for record in demo.shop.orders().recent(100).await.expect("readable") {
        assert!(record.deliveries.is_empty() && record.order.phone.is_none(), "nobody is texted: {record:?}");
        assert_eq!(record.order.metadata.get("demo"), Some(&json!(true)));
        assert!(!record.order.items.is_empty() && record.order.total.cents() > 0);
    }
    demo.get("/api/seed").await.assert_error(405, "METHOD_NOT_ALLOWED");
}

/// Method and path of every route that shows or changes customers' data.
fn staff_routes(number: impl std::fmt::Display) -> Vec<(Method, String)> {
    let get = |path: String| (Method::GET, path);
    vec![
        get("/barista".to_owned()),
        get("/barista/events".to_owned()),
        get("/orders.json".to_owned()),
        get(format!("/api/orders/{number}")),
        get(format!("/api/orders/phone/{number}")),
        (Method::POST, format!("/api/orders/{number}/done")),
        (Method::POST, "/api/seed".to_owned()),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn staff_routes_open_for_the_password_and_the_key_only() {
    let keys = [("STAFF_PASSWORD", "password"), ("API_KEY", "the-key")];
    let shop = TestShop::open_as([], &keys, Mode::Demo).await;
    let number = shop.place(Some("+15551234567")).await.order_number;
    let wrong = [
        None,
        Some(String::new()),
        Some("Basic".to_owned()),
        // staff:password, and staff:the-key.
        Some("Basic c3RhZmY6cGFzc3dvcmQ=".to_owned()),
        Some("Basic c3RhZmY6dGhlLWtleQ==".to_owned()),
        Some("Bearer wrong".to_owned()),
        Some("Bearer the-key-and-more".to_owned()),
        Some("Bearer password".to_owned()),
        Some("the-key".to_owned()),
    ];
    for (method, path) in staff_routes(number) {
        for credentials in &wrong {
            let mut request = client().request(method.clone(), shop.url(&path));
            if let Some(credentials) = credentials {
                request = request.header(AUTHORIZATION, credentials);
            }
            let answer = Answer::to(request).await;
            answer.assert_error(401, "UNAUTHENTICATED");
            let challenge = answer.headers["www-authenticate"].to_str().expect("text");
            assert_eq!(challenge, "Bearer realm=\"staff\"", "no browser asks anybody for that");
            assert!(!answer.text.contains("1234567"));
        }
    }
    assert_eq!(shop.orders().await.len(), 1, "nothing was seeded");
    assert_eq!(shop.orders().await.remove(0).version, 1, "nothing was done");

    for (name, credentials) in [(COOKIE, shop.sign_in("password").await), (AUTHORIZATION, "Bearer the-key".to_owned())]
    {
        for (method, path) in staff_routes(number) {
            let answer = client().request(method, shop.url(&path)).header(&name, &credentials).send().await;
            assert_eq!(answer.expect("an answer").status(), 200, "{path} with {credentials}");
        }
    }
    // One that does not exist asks for no password, one that takes no such method does.
    shop.get("/api/nothing").await.assert_error(404, "NOT_FOUND");
}

#[tokio::test(flavor = "multi_thread")]
async fn public_routes_stay_public_and_a_shop_without_a_password_is_open_to_its_own_machine() {
    let closed = TestShop::open_with([], &[("STAFF_PASSWORD", "sesame"), ("API_KEY", "the-key")]).await;
    let public = [
        "/",
        "/orders",
        "/orders/events",
        "/orders/in_progress.json",
        "/orders/board.json",
        "/shop.json",
        "/healthz",
        "/static/live.js",
    ];
    for path in public {
        let answer = client().get(closed.url(path)).send().await.expect("an answer");
        assert_eq!(answer.status(), 200, "{path}");
        assert!(!answer.headers().contains_key("www-authenticate"), "{path}");
    }
    let open = TestShop::open_as([], &[], Mode::Demo).await;
    let number = open.place(None).await.order_number;
    for (method, path) in staff_routes(number) {
        let answer = client().request(method, open.url(&path)).send().await.expect("an answer");
        assert_eq!(answer.status(), 200, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_local_server_answers_its_own_machine_only() {
    let shop = TestShop::open([]).await;
    shop.place(Some("+15551234567")).await;
    let foreign = [
        "Host: voice.example.com",
        "Host: 127.0.0.1\r\nX-Forwarded-For: 203.0.113.9",
        "Host: localhost\r\nForwarded: for=203.0.113.9",
    ];
    for path in ["/orders.json", "/", "/orders/events", "/voice"] {
        for headers in foreign {
            let request = format!("GET {path} HTTP/1.1\r\n{headers}\r\nConnection: close\r\n\r\n");
            let (status, answer) = raw::request(shop.shop.address(), &request).await;
            assert_eq!(status, 421, "{headers}: {answer}");
            assert!(answer.contains("VOICE_HOST") && !answer.contains("1234567"), "{answer}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_too_large_is_refused_and_the_next_request_is_answered() {
    let shop = TestShop::open([]).await;
    let form = |bytes: usize| {
        let request = client().post(shop.url("/voice")).header("Content-Type", "application/x-www-form-urlencoded");
        Answer::to(request.body(format!("CallSid=CA1&From={}", "x".repeat(bytes))))
    };
    assert_eq!(form(70 << 10).await.status, 413);
    assert_eq!(form(1 << 10).await.status, 200);
    let number = shop.place(None).await.order_number;
    let url = shop.url(&format!("/api/orders/{number}/done"));
    let answer = Answer::to(client().post(url).body(vec![b'x'; 1 << 10])).await;
    assert_eq!(answer.json(), json!({"ok": true}), "a body that nobody asked for is no fault");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_sites_page_changes_nothing_with_staffs_browser() {
    let keys = [("STAFF_PASSWORD", "password"), ("API_KEY", "the-key")];
    let shop = TestShop::open_with([], &keys).await;
    let number = shop.place(None).await.order_number;
    let done = shop.url(&format!("/api/orders/{number}/done"));
    let cookie = shop.sign_in("password").await;
    let tap = |name: &'static str, value: &str| client().post(&done).header(COOKIE, &cookie).header(name, value);
    for (name, value) in [
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
        ("Origin", "https://evil.example"),
        ("Origin", "http://127.0.0.1:1"),
        ("Origin", "null"),
    ] {
        Answer::to(tap(name, value)).await.assert_error(403, "FORBIDDEN");
    }
    assert_eq!(shop.orders().await.remove(0).version, 1, "nothing was done");
    let read = client().get(shop.url("/orders.json")).header(COOKIE, &cookie);
    assert_eq!(Answer::to(read.header("Sec-Fetch-Site", "cross-site")).await.status, StatusCode::OK, "a link to us");
    assert_eq!(Answer::to(tap("Origin", &shop.shop.base())).await.status, StatusCode::OK, "our own page");
    assert_eq!(shop.orders().await.remove(0).history[1].by, "staff");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_is_known_by_its_key_and_is_not_taken_for_a_page() {
    let keys: Vec<_> = TEXTS.iter().copied().chain([("STAFF_PASSWORD", "password"), ("API_KEY", "the-key")]).collect();
    let shop = TestShop::open_with([], &keys).await;
    let number = shop.place(Some("+15551234567")).await.order_number;
    let done = client().post(shop.url(&format!("/api/orders/{number}/done"))).bearer_auth("the-key");
    let answer = Answer::to(done.header("Origin", "https://till.example")).await;
    assert_eq!((answer.status, answer.json()), (StatusCode::OK, json!({"ok": true})));
    let record = shop.shop.orders().recent(1).await.expect("readable").remove(0);
    assert_eq!(record.order.history[1].by, "api");
    let ready = record.deliveries.iter().find(|delivery| delivery.kind == DeliveryKind::TextReady).expect("owed");
    assert_eq!(ready.not_before.duration_since(ready.owed_at).as_secs(), 5, "it can be taken back, as a tap can");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_description_is_true_and_anybody_may_read_it() {
    let keys = [("STAFF_PASSWORD", "password"), ("API_KEY", "the-key")];
    let shop = TestShop::open_with([], &keys).await;
    let order = shop.place(Some("+15551234567")).await;
    let answer = shop.get("/api/openapi.json").await;
    assert_eq!(
        (answer.status, answer.headers["content-type"].to_str().expect("text")),
        (StatusCode::OK, "application/json")
    );
    let document = answer.json();
    assert_eq!(document["openapi"], "3.1.0");
    let table = client().post(shop.url("/api/v1/tables")).bearer_auth("the-key").json(&json!({"name": "4"}));
    let table = Answer::to(table).await.json();
    let filled = |path: &str| {
        let path = path.replace("{number}", &order.order_number.to_string());
        let path = path.replace("{order_id}", order.order_id.as_str()).replace("{customer_id}", "+15551234567");
        path.replace("{table_id}", table["table_id"].as_str().expect("a table"))
    };
    let mut held = 0;
    for (path, methods) in document["paths"].as_object().expect("paths") {
        // Their answers are looked at where messages are left and calls are made.
        let elsewhere = path.ends_with("/{recording}") || path.ends_with("/{call_sid}");
        let Some(operation) = methods.get("get").filter(|_| !elsewhere) else { continue };
        let request = client().get(shop.url(&filled(path)));
        let open = Answer::to(request.try_clone().expect("no body")).await;
        // A key that a server on its own machine does not ask for is none here.
        let is_optional = |keys: &&Value| keys.as_array().is_some_and(|keys| keys.contains(&json!({})));
        match operation.get("security").filter(|keys| !is_optional(keys)) {
            Some(_) => {
                open.assert_error(401, "UNAUTHENTICATED");
                assert!(shape(&document, "Error").is_valid(&open.json()));
            }
            None => assert_eq!(open.status, StatusCode::OK, "{path}"),
        }
        let known = Answer::to(request.bearer_auth("the-key")).await;
        let (kind, content) =
            operation["responses"]["200"]["content"].as_object().and_then(|all| all.iter().next()).expect("content");
        assert!(known.headers["content-type"].to_str().expect("text").starts_with(kind.as_str()), "{path}");
        if kind == "application/json" {
            let name = content["schema"]["$ref"].as_str().expect("a shape").rsplit('/').next().expect("a name");
            assert!(shape(&document, name).is_valid(&known.json()), "{path} is no {name}: {}", known.text);
            held += 1;
        }
    }
    assert_eq!(held, 17);
    let problem = client().get(shop.url("/orders.json")).header(ACCEPT, "application/problem+json");
    assert!(shape(&document, "Problem").is_valid(&Answer::to(problem).await.json()));
}
