//! New orders: in every spelling, at our prices, with every refusal in its own words.

use super::*;
use crate::harness::{TEXTS, raw};

#[tokio::test(flavor = "multi_thread")]
async fn the_least_order_gets_an_id_a_number_a_place_and_a_version() {
    let shop = TestShop::open([]).await;
    let mut feed = shop.staff_feed().await;
    let answer = shop.create(&taro()).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    let order = assert_tagged(&answer);
    assert_eq!((&order["order_id"], &order["version"]), (&json!("ORD-main-1"), &json!(1)));
    assert_eq!(header(&answer, "location"), Some("/api/v1/orders/ORD-main-1"));
    assert_eq!(header(&answer, "idempotency-replayed"), None);
    let expected = [("status", json!("received")), ("channel", json!("api")), ("total", json!(5.5))];
    for (field, value) in expected {
        assert_eq!(order[field], value, "{field}");
    }
    assert_eq!(order["history"][0]["by"], "staff", "an open door lets in staff");
    let told = feed.event_of("order_created").await;
    assert_eq!(told["order"], order, "on the screen as it was answered");
    let found = shop.read("/orders/ORD-main-1").await;
    assert_eq!((found.status.as_u16(), assert_tagged(&found)), (200, order.clone()));
    // The same under its short address.
    let short = Answer::to(with_body(client().post(shop.url("/api/orders")), &taro())).await;
    assert_eq!((short.status.as_u16(), header(&short, "location")), (201, Some("/api/v1/orders/ORD-main-2")));
    // The original's look-up by number stays.
    let number = order["order_number"].as_str().expect("a number");
    assert_eq!(shop.json(&format!("/api/orders/{number}")).await, order);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agents_envelope_becomes_an_order_by_phone() {
    let shop = TestShop::open_with([], &TEXTS).await;
    let order = shop.created(&envelope("call-1-cart-3")).await;
    for (field, value) in [
        ("channel", json!("phone")),
        ("name", json!("John Doe")),
        ("phone", json!("+15551234567")),
        ("customer_id", json!("CUST-1")),
        ("notes", json!("by the window")),
        ("call_sid", json!("conv-1")),
        ("total", json!(12.5)),
    ] {
        assert_eq!(order[field], value, "{field}");
    }
    insta::assert_snapshot!(order["items"], @r#"[{"flavor":"taro milk tea","toppings":["boba"],"sweetness":"50%","ice":"regular ice","addons":[],"quantity":2,"price":6.25,"subtotal":12.5}]"#);
    let record = shop.shop.orders().recent(1).await.expect("readable").remove(0);
    assert_eq!(record.deliveries.len(), 1, "the text that it was received");
    assert_eq!(record.audit[0].by, "staff");
}

/// Seed figures: two coffees at 3.50 and a sandwich at 8.99 as 16.99, at a shop that has neither at that price.
#[tokio::test(flavor = "multi_thread")]
async fn prices_are_ours_and_a_different_one_is_told_with_both_figures() {
    let shop = TestShop::open_with([], &[("MENU_FILE", coffee().as_str())]).await;
    let body = json!({
        "order_id": "ORD-001", "customer_id": "CUST-001", "customer_name": "John Doe",
        "items": [{"item_name": "latte", "quantity": 2, "unit_price": 3.50}], "total_price": 16.99,
        "estimated_ready_time": "2024-11-22T15:30:00", "metadata": {"table": "5"},
    });
    let answer = shop.create(&body).await;
    answer.assert_error(409, "PRICE_MISMATCH");
    let error = &answer.json()["error"];
    assert_eq!((&error["details"]["given"], &error["details"]["expected"]), (&json!(3.5), &json!(5.0)), "{error}");
    assert_eq!(error["details"]["field"], "items[0].price");
    // Right, or left out, it is an order under its own id.
    let mut right = body;
    right["items"][0]["unit_price"] = json!(5);
    right["total_price"] = json!(10.0);
    let order = shop.created(&right).await;
    assert_eq!((&order["order_id"], &order["total"]), (&json!("ORD-001"), &json!(10.0)));
    assert_eq!(order["metadata"], json!({"table": "5"}));
    assert_eq!(order["estimated_ready_time"], "2024-11-22T15:30:00.000000+00:00");
}

fn coffee() -> String {
    format!("{}/menus/coffee.toml", env!("CARGO_MANIFEST_DIR"))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_of_ones_own_is_taken_once_and_for_ever() {
    let shop = TestShop::open([]).await;
    let named = |id: &str| {
        let mut body = taro();
        body["order_id"] = id.into();
        body
    };
    assert_eq!(shop.created(&named("TILL-7")).await["order_id"], "TILL-7");
    let again = shop.create(&named("TILL-7")).await;
    again.assert_error(409, "DUPLICATE_ORDER");
    assert_eq!(again.json()["error"]["details"]["existing_order_id"], "TILL-7");
    assert_eq!(shop.change(Method::DELETE, "/orders/TILL-7", 1, None).await.status, 204);
    shop.create(&named("TILL-7")).await.assert_error(409, "DUPLICATE_ORDER");
    let long = "x".repeat(65);
    for not_ours_to_give in ["ORD-main-1", "ORD-main-0007", "", "a b", "a/b", "ä", &long] {
        shop.create(&named(not_ours_to_give)).await.assert_error(400, "VALIDATION");
    }
    assert_eq!(shop.created(&named("ORD-other-1")).await["order_id"], "ORD-other-1", "another shop's is nobody's here");
    assert_eq!(shop.created(&taro()).await["order_id"], "ORD-main-1", "refusals cost no id");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_order_within_five_minutes_is_taken_for_a_slip() {
    let shop = TestShop::open([]).await;
    let mut body = taro();
    body["phone"] = "+15551234567".into();
    let first = shop.create_as("one", &body).await;
    assert_eq!(first.status, 201);
    let again = shop.create_as("two", &body).await;
    again.assert_error(409, "DUPLICATE_ORDER");
    assert_eq!(again.json()["error"]["details"]["existing_order_id"], first.json()["order_id"]);
    let mut meant = body.clone();
    meant["allow_duplicate"] = true.into();
    assert_eq!(shop.create_as("two", &meant).await.status, 201, "what was refused is not kept under its key");
    body["items"][0]["sweetness"] = "75%".into();
    assert_eq!(shop.create(&body).await.status, 201, "another drink");
    for _ in 0..2 {
        assert_eq!(shop.create(&taro()).await.status, 201, "nobody's order is nobody's slip");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_of_the_shop_are_422_and_name_what_is_wrong() {
    let shop = TestShop::open([]).await;
    let refused = |body: Value| {
        let shop = &shop;
        async move {
            let answer = shop.create(&body).await;
            answer.assert_error(422, "BUSINESS_RULE");
            answer.json()["error"]["details"].clone()
        }
    };
    let many = json!({"items": [{"flavor": "taro milk tea", "quantity": 11}]});
    assert_eq!(refused(many).await["limit"], 10);
    let rule = refused(json!({"items": [{"flavor": "taro milk tea", "addons": ["matcha"]}]})).await;
    assert_eq!((&rule["field"], &rule["missing"]), (&json!("items[0]"), &json!("vanilla cream")));
    let mut unconfirmed = envelope("k");
    unconfirmed["payload"]["confirmed"] = false.into();
    assert_eq!(refused(unconfirmed).await["field"], "confirmed");
    let mut late = taro();
    late["pickup_at"] = "2020-01-01T00:00:00Z".into();
    let answer = shop.create(&late).await;
    answer.assert_error(409, "SLOT_UNAVAILABLE");
    assert!(answer.json()["error"]["details"]["next_free"].is_array());
    let by_phone = json!({"channel": "phone", "items": [{"flavor": "taro milk tea"}]});
    assert_eq!(refused(by_phone).await["field"], "phone");
    assert!(shop.orders().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_ai_has_to_send_is_400_without_it() {
    let shop = TestShop::open([]).await;
    for (without, field) in [("user_id", "customer_id"), ("customer_name", "name"), ("customer_phone", "phone")] {
        let mut body = envelope("k");
        body["payload"].as_object_mut().expect("an object").shift_remove(without);
        let answer = shop.create(&body).await;
        answer.assert_error(400, "VALIDATION");
        assert_eq!(answer.json()["error"]["details"]["field"], field);
    }
    let mut body = envelope("k");
    body.as_object_mut().expect("an object").shift_remove("idempotency_key");
    shop.create(&body).await.assert_error(400, "VALIDATION");
    let answer = shop.create_as("in-the-header", &body).await;
    assert_eq!(answer.status, 201, "the header is as good: {}", answer.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_bodies_are_told_what_is_wrong_and_disturb_nobody() {
    let shop = TestShop::open([]).await;
    let send = |kind: &'static str, body: String| {
        Answer::to(shop.v1(Method::POST, "/orders").header(CONTENT_TYPE, kind).body(body))
    };
    let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
    for body in [
        "",
        "null",
        "[]",
        "{",
        "{}",
        "\u{feff}{}",
        r#"{"items":[]}"#,
        r#"{"items":[1]}"#,
        r#"{"items":[{"flavor":"taro milk tea"}],"items":[]}"#,
        r#"{"items":[{"flavor":"motor oil"}]}"#,
        r#"{"items":[{"flavor":"taro milk tea","quantity":0}]}"#,
        r#"{"items":[{"flavor":"taro milk tea","quantity":1e400}]}"#,
        r#"{"items":[{"flavor":"taro milk tea","colour":"red"}]}"#,
        r#"{"items":[{"flavor":"taro milk tea"}],"phone":"call me"}"#,
        r#"{"items":[{"flavor":"taro milk tea"}],"status":"ready"}"#,
        r#"{"items":[{"flavor":"taro milk tea"}],"metadata":{"test":true}}"#,
        r#"{"version":"2.0","action":"create_order","payload":{"items":[{"flavor":"taro milk tea"}]}}"#,
        &deep,
    ] {
        let answer = send("application/json", body.to_owned()).await;
        assert_eq!(answer.status, 400, "{body:.80}: {}", answer.text);
        assert_eq!(answer.json()["error"]["code"], "VALIDATION", "{body:.80}");
        assert!(answer.text.len() < 4_000, "what was sent is not repeated at length");
    }
    let all_at_once = send("application/json", r#"{"items":[{}],"phone":7,"colour":1}"#.to_owned()).await;
    let told = all_at_once.json()["error"]["details"]["problems"].as_array().expect("problems").len();
    assert_eq!(told, 3, "every problem at once: {}", all_at_once.text);
    send("application/json", " ".repeat((64 << 10) + 1)).await.assert_error(413, "PAYLOAD_TOO_LARGE");
    for kind in ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", ""] {
        let answer = send(kind, taro().to_string()).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["error"]["code"]), (415, &json!("UNSUPPORTED_MEDIA_TYPE")));
    }
    for key in ["a b", "\"a", "é", &"k".repeat(256)] {
        shop.create_as(key, &taro()).await.assert_error(400, "VALIDATION");
    }
    let differing =
        Answer::to(with_body(shop.v1(Method::POST, "/orders"), &envelope("a")).header("Idempotency-Key", "b"));
    differing.await.assert_error(400, "VALIDATION");
    let body = taro().to_string();
    let twice = format!(
        "POST /api/v1/orders HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Idempotency-Key: a\r\nIdempotency-Key: a\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    assert_eq!(raw::request(shop.shop.address(), &twice).await.0, 400, "one key");
    assert!(shop.orders().await.is_empty());
    assert_eq!(shop.create(&taro()).await.status, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_follow_rfc_9457_for_who_asks() {
    let shop = TestShop::open([]).await;
    let request = with_body(shop.v1(Method::POST, "/orders"), &json!({"items": []}));
    let answer =
        Answer::to(request.header("Accept", "application/problem+json").header("X-Correlation-ID", "till-7")).await;
    assert_eq!((answer.status.as_u16(), header(&answer, "content-type")), (400, Some("application/problem+json")));
    let problem = answer.json();
    assert_eq!((&problem["status"], &problem["code"]), (&json!(400), &json!("VALIDATION")));
    assert_eq!((&problem["correlation_id"], answer.id()), (&json!("till-7"), "till-7"));
    assert_eq!(problem["details"]["field"], "items");
}
