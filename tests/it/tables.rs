//! Guests at a table, each with a real socket: what they share, what they order, and what they may not do.

use crate::harness::guest::knock;
use crate::harness::{Answer, TestShop, client};
use reqwest::Method;
use reqwest::header::COOKIE;
use serde_json::{Value, json};

mod limits;
mod ordering;

const NO_POS: &[(&str, &str)] = &[];

async fn open(settings: &[(&str, &str)]) -> TestShop {
    TestShop::open_with([], settings).await
}

#[tokio::test(flavor = "multi_thread")]
async fn guests_see_each_other_and_every_change() {
    let shop = open(NO_POS).await;
    let token = shop.table("Table 7").await;
    let mut ada = shop.guest(&token, "Ada").await;
    assert_eq!((&ada.first["table"], &ada.first["you"]), (&json!("Table 7"), &json!("m1")));
    let mut bob = shop.guest(&token, "Bob").await;
    assert_eq!((&bob.session, bob.member.as_str()), (&ada.session, "m2"));
    let both = |message: &Value| {
        let members = message["members"].as_array().expect("members");
        members.len() == 2 && members.iter().all(|member| member["online"] == true)
    };
    ada.expect("presence", both).await;
    let figures = shop.get("/metrics").await.text;
    for figure in ["sessions{kind=\"table\"} 1.0", "sessions{kind=\"ahead\"} 0.0", "screens 2.0"] {
        assert!(figures.contains(&format!("bobarista_table_{figure}\n")), "{figure}: {figures}");
    }

    let line = ada.add(2).await;
    assert_eq!((&line["owner"], &line["state"], &line["qty"]), (&json!("m1"), &json!("pending"), &json!(2)));
    let seen = bob.hear("add_item").await;
    assert_eq!((&seen["line"], &seen["by"], &seen["count"]), (&line, &json!("m1"), &json!(2)));

    // Both change the same line; the later one is told what it is by now.
    let change =
        |note: &str| json!({"public_id": line["public_id"], "revision": line["revision"], "item": {"note": note}});
    bob.ask("update_item", change("cold")).await;
    let changed = ada.hear("update_item").await;
    assert_eq!((&changed["line"]["note"], &changed["by"]), (&json!("cold"), &json!("m2")));
    ada.ask("update_item", change("hot")).await;
    let conflict = ada.refusal().await;
    assert_eq!((&conflict["code"], &conflict["line"]), (&json!("CONFLICT"), &changed["line"]));

    // What is repeated is done once.
    let add = json!({"type": "add_item", "op_id": "again", "item": {"flavor": "black milk tea"}});
    ada.send(add.clone()).await;
    ada.expect("add_item", |message| message["op_id"] == "again").await;
    ada.send(add).await;
    let done = ada.hear("done").await;
    assert_eq!(done["op_id"], "again");
    let cart = bob.cart(&shop).await;
    assert_eq!((cart["items"].as_array().map(Vec::len), &cart["count"]), (Some(2), &json!(3)));
    assert_eq!(cart["revision"], done["revision"]);

    // A refresh: the other socket goes, this one shows everything.
    bob.reconnect(&shop).await;
    for field in ["items", "total", "revision", "members", "orders"] {
        assert_eq!(bob.first[field], cart[field], "{field}");
    }
    bob.send(json!({"type": "ping"})).await;
    bob.hear("pong").await;
    bob.send(json!({"type": "snapshot"})).await;
    assert_eq!(bob.hear("snapshot").await["items"], cart["items"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_of_a_table_is_taken_at_once_where_no_till_is_asked() {
    let shop = open(NO_POS).await;
    let token = shop.table("Table 7").await;
    let (mut ada, mut bob) = (shop.guest(&token, "Ada").await, shop.guest(&token, "Bob").await);
    ada.add(1).await;
    bob.add(2).await;
    let cart = bob.cart(&shop).await;
    bob.ask(
        "place_order",
        json!({"revision": cart["revision"], "total": cart["total"], "special_instructions": "no straws"}),
    )
    .await;
    let locked = ada.hear("cart_locked").await;
    assert_eq!((&locked["locked_by_member"], &locked["locked_by_name"]), (&json!("m2"), &json!("Bob")));
    let confirmed = ada.hear("order_confirmed").await;
    assert_eq!(confirmed["message"], "Order placed successfully!");
    assert_eq!((&confirmed["items"], &confirmed["order"]["total"]), (&json!([]), &cart["total"]));
    assert_eq!(bob.hear("order_confirmed").await["order_id"], confirmed["order_id"]);

    let number = confirmed["order_number"].as_str().expect("a number");
    let order = shop.json(&format!("/api/orders/{number}")).await;
    assert_eq!(
        (&order["channel"], &order["status"], &order["notes"]),
        (&json!("web"), &json!("received"), &json!("no straws"))
    );
    let metadata = &order["metadata"];
    assert_eq!((&metadata["table"], &metadata["guests"]), (&json!("Table 7"), &json!(["Ada", "Bob"])));
    assert_eq!(order["history"][0]["by"], "web");

    // Staff make it, and the table hears of it.
    shop.post(&format!("/api/orders/{number}/done")).await;
    let ready = ada.expect("order_status", |message| message["order"]["status"] == "ready").await;
    assert_eq!(ready["order"]["order_number"], number);
    let cart = ada.cart(&shop).await;
    assert_eq!((&cart["orders"][0]["status"], &cart["cart_locked"]), (&json!("ready"), &json!(false)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_forged_is_refused() {
    let shop = open(NO_POS).await;
    let (token, other) = (shop.table("Table 7").await, shop.table("Table 8").await);
    let (mut ada, mut eve) = (shop.guest(&token, "Ada").await, shop.guest(&other, "Eve").await);
    let line = ada.add(1).await;
    let cart = ada.cart(&shop).await;

    // A total, and a price in a line.
    ada.ask("place_order", json!({"revision": cart["revision"], "total": 0.01})).await;
    let refused = ada.refusal().await;
    assert_eq!((&refused["code"], &refused["total"]), (&json!("PRICE_MISMATCH"), &cart["total"]));
    ada.ask("add_item", json!({"item": {"flavor": "taro milk tea", "price": 0.01}})).await;
    assert_eq!(ada.refusal().await["code"], "UNKNOWN_OPTION");

    // A line of another table.
    eve.ask("remove_item", json!({"public_id": line["public_id"], "revision": line["revision"]})).await;
    assert_eq!(eve.refusal().await["code"], "CONFLICT");
    assert_eq!(ada.cart(&shop).await["items"], json!([line]));

    // A session that is not hers; a secret that is nobody's; no cookie; a token that is none.
    let path = format!("/api/tables/{}/cart", ada.session);
    eve.get(&shop, &path).await.assert_error(401, "UNAUTHENTICATED");
    shop.get(&path).await.assert_error(401, "UNAUTHENTICATED");
    let secret = ada.cookie.rsplit('.').next().expect("a secret");
    let forged = ada.cookie.replace(secret, &secret.chars().rev().collect::<String>());
    for cookie in [Some(forged.as_str()), Some(eve.cookie.as_str()), Some("guest=x.y"), None] {
        assert_eq!(knock(&shop, &ada.session, cookie).await.err(), Some(4001), "{cookie:?}");
    }
    let gone = format!("guest={}.{secret}", "0".repeat(26));
    assert_eq!(knock(&shop, &"0".repeat(26), Some(&gone)).await.err(), Some(4004));
    let unknown =
        Answer::to(client().get(shop.url(&format!("/api/tables/{}/cart", "0".repeat(26)))).header(COOKIE, gone)).await;
    unknown.assert_error(404, "NOT_FOUND");
    shop.try_join(&json!({"token": "x", "name": "Eve"})).await.assert_error(404, "NOT_FOUND");
    shop.try_join(&json!({"ahead": true, "name": "Eve"})).await.assert_error(404, "NOT_FOUND");
    shop.get("/api/tables/door?token=x").await.assert_error(404, "NOT_FOUND");
    for body in [json!({"token": token}), json!({"token": token, "name": " "}), json!({"name": "Eve"}), json!([])] {
        shop.try_join(&body).await.assert_error(400, "VALIDATION");
    }
    let foreign = client().post(shop.url("/api/tables/join")).header("Origin", "https://evil.example");
    let foreign =
        foreign.header("Content-Type", "application/json").body(json!({"token": token, "name": "Eve"}).to_string());
    Answer::to(foreign).await.assert_error(403, "FORBIDDEN");

    // What is no message of ours.
    for text in ["", "{", "[]", "{}", r#"{"type":"add_item"}"#, r#"{"type":"nonsense","op_id":"x"}"#] {
        ada.send_text(text).await;
        assert_eq!(ada.refusal().await["code"], "BAD_MESSAGE", "{text}");
    }
    assert_eq!(shop.orders().await.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn late_guests_need_the_code_and_wrong_ones_lock_it() {
    let shop = open(NO_POS).await;
    let token = shop.table("Table 7").await;
    let ada = shop.guest(&token, "Ada").await;
    let (code, link) = (&ada.first["join"]["code"], ada.first["join"]["link"].as_str().expect("a link"));
    let (_, invite) = link.split_once(&format!("/t/{token}?invite=")).expect("an invitation");
    assert_eq!(shop.json(&format!("/api/tables/door?token={token}")).await["needs"], "nothing");

    let shop = late(shop, 21).await;
    let door = shop.json(&format!("/api/tables/door?token={token}")).await;
    assert_eq!((&door["needs"], &door["session"]), (&json!("code"), &Value::Null));
    let mine = ada.get(&shop, &format!("/api/tables/door?token={token}")).await.json();
    assert_eq!(mine["session"], ada.session, "who is in is asked for nothing");

    let join = |more: Value| {
        let mut body = json!({"token": token, "name": "Bob"});
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        body
    };
    let refused = shop.try_join(&join(json!({}))).await;
    refused.assert_error(403, "FORBIDDEN");
    assert_eq!(refused.json()["error"]["details"], json!({"needs": "code"}));
    assert_eq!(shop.try_join(&join(json!({"code": code}))).await.json()["session"], ada.session);
    assert_eq!(shop.try_join(&join(json!({"invite": invite}))).await.json()["session"], ada.session);

    let wrong = if code == "0000" { "0001" } else { "0000" };
    for _ in 0..4 {
        shop.try_join(&join(json!({"code": wrong}))).await.assert_error(403, "FORBIDDEN");
    }
    for code in [&json!(wrong), code] {
        let locked = shop.try_join(&join(json!({"code": code}))).await;
        locked.assert_error(429, "RATE_LIMITED");
        let wait: u32 = locked.headers["retry-after"].to_str().expect("text").parse().expect("seconds");
        assert!((590..=600).contains(&wait), "{wait}");
    }
    assert_eq!(shop.try_join(&join(json!({"invite": invite}))).await.status, 201, "an invitation still lets in");
    let private = shop.guest_who(&join(json!({"private": true}))).await;
    assert_ne!(private.session, ada.session);
    assert_eq!((&private.first["kind"], &private.first["join"]), (&json!("private"), &Value::Null));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_with_a_cart_of_their_own_is_still_at_the_table() {
    let shop = open(NO_POS).await;
    let token = shop.table("Table 7").await;
    let (_bob, mut ada) = (shop.guest(&token, "Bob").await, shop.guest(&token, "Ada").await);
    ada.add(1).await;
    let join = async |cookie: &str, is_private: bool| {
        let body = json!({"token": token, "name": "Ada", "private": is_private}).to_string();
        let request = client().post(shop.url("/api/tables/join")).header(COOKIE, cookie);
        Answer::to(request.header("Content-Type", "application/json").body(body)).await
    };
    let own = join(&ada.cookie, true).await;
    assert_eq!((own.status.as_u16(), &own.json()["kind"]), (201, &json!("private")));
    let cart = async |cookie: &str, session: &Value| {
        let path = format!("/api/tables/{}/cart", session.as_str().expect("an id"));
        Answer::to(client().get(shop.url(&path)).header(COOKIE, cookie)).await.json()
    };
    let both = own.cookie();
    assert_eq!(cart(&both, &own.json()["session"]).await["items"], json!([]));
    assert_eq!(cart(&both, &json!(ada.session)).await["count"], 1, "the first cart is hers still");

    // Who goes back is who they were, and finds the door to that cart.
    let again = join(&both, false).await;
    assert_eq!((&again.json()["session"], &again.json()["member_id"]), (&json!(ada.session), &json!("m2")));
    let door = client().get(shop.url(&format!("/api/tables/door?token={token}"))).header(COOKIE, again.cookie());
    assert_eq!(Answer::to(door).await.json()["session"], ada.session);
    assert_eq!(join(&again.cookie(), true).await.json()["session"], own.json()["session"]);
}

/// The same shop, its sessions having begun so many minutes earlier.
async fn late(shop: TestShop, minutes: i64) -> TestShop {
    let stopped = shop.stop().await;
    stopped.age_sessions(minutes);
    stopped.open().await
}

#[tokio::test(flavor = "multi_thread")]
async fn staff_manage_tables_and_end_what_goes_on() {
    let shop = open(NO_POS).await;
    let document = shop.json("/api/openapi.json").await;
    let (table, other) = (shop.add_table("Table 10").await, shop.add_table("Table 9").await);
    let token = table["link"].as_str().and_then(|link| link.rsplit('/').next()).expect("a token").to_owned();
    assert!(crate::harness::shape(&document, "Table").is_valid(&table), "{table}");
    let mut ada = shop.guest(&token, "Ada").await;
    ada.add(3).await;
    ada.ask("ask_to_pay", json!({})).await;
    ada.hear("bill_asked").await;

    let all = shop.json("/api/v1/tables").await;
    assert!(crate::harness::shape(&document, "Tables").is_valid(&all), "{all}");
    assert_eq!(all["tables"][0]["name"], "Table 9", "as people count");
    let session = &all["tables"][1]["sessions"][0];
    assert_eq!((&session["guests"], &session["count"], &session["connected"]), (&json!(["Ada"]), &json!(3), &json!(1)));
    assert!(session["bill_asked_at"].is_string(), "{session}");
    shop.post_json("/api/v1/tables", &json!({"name": "table 9"})).await.assert_error(422, "BUSINESS_RULE");
    for body in [json!({"name": ""}), json!({"name": "a\nb"}), json!({"name": "x".repeat(41)}), json!({}), json!(7)] {
        shop.post_json("/api/v1/tables", &body).await.assert_error(400, "VALIDATION");
    }

    // A new link: the old code is worthless, who is there stays and can invite.
    let id = table["table_id"].as_str().expect("an id");
    let renewed = shop.post(&format!("/api/v1/tables/{id}/link")).await.json();
    assert_ne!(renewed["link"], table["link"]);
    assert_eq!(renewed["sessions"].as_array().map(Vec::len), Some(1));
    let fresh = ada.hear("snapshot").await;
    let path = renewed["link"].as_str().and_then(|link| link.split_once("/t/")).expect("a link").1;
    assert!(fresh["join"]["link"].as_str().expect("a link").starts_with(&format!("/t/{path}?invite=")), "{fresh}");
    shop.try_join(&json!({"token": token, "name": "Bob"})).await.assert_error(404, "NOT_FOUND");
    let old = format!("/api/tables/door?token={token}");
    shop.get(&old).await.assert_error(404, "NOT_FOUND");
    let reloaded = ada.get(&shop, &old).await.json();
    assert_eq!((&reloaded["session"], &reloaded["table"]), (&json!(ada.session), &json!("Table 10")));

    let end = format!("/api/v1/tables/sessions/{}/end", ada.session);
    assert_eq!(shop.post(&end).await.status, 204);
    ada.hear("session_ended").await;
    assert_eq!(ada.closed().await, 4004);
    shop.post(&end).await.assert_error(404, "NOT_FOUND");
    ada.get(&shop, &format!("/api/tables/{}/cart", ada.session)).await.assert_error(404, "NOT_FOUND");

    let token = path.to_owned();
    let mut bob = shop.guest(&token, "Bob").await;
    assert_ne!(bob.session, ada.session, "the next guests begin afresh");
    assert_eq!(bob.first["items"], json!([]));
    assert_eq!(shop.ask(Method::DELETE, &format!("/api/v1/tables/{id}")).await.status, 204);
    assert_eq!(bob.closed().await, 4004);
    shop.ask(Method::DELETE, &format!("/api/v1/tables/{id}")).await.assert_error(404, "NOT_FOUND");
    let left = shop.json("/api/v1/tables").await;
    assert_eq!(
        (left["tables"].as_array().map(Vec::len), &left["tables"][0]["table_id"]),
        (Some(1), &other["table_id"])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_too_fast_is_slowed_down_and_then_cut_off() {
    let shop = open(NO_POS).await;
    let token = shop.table("Table 7").await;
    let (mut ada, mut bob) = (shop.guest(&token, "Ada").await, shop.guest(&token, "Bob").await);
    for n in 0..50 {
        ada.send(json!({"type": "add_item", "op_id": format!("fast-{n}"), "item": {"flavor": "taro milk tea"}})).await;
    }
    let limited = ada.expect("error", |message| message["code"] == "RATE_LIMITED").await;
    assert!(limited["op_id"].as_str().is_some_and(|id| id.starts_with("fast-")), "{limited}");
    assert!(limited["retry_after_ms"].as_u64().is_some_and(|wait| (1..=100).contains(&wait)), "{limited}");
    bob.add(1).await;
    for n in 0..600 {
        ada.send_anyway(json!({"type": "ping", "n": n})).await;
    }
    assert_eq!(ada.closed().await, 1008);
    bob.add(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_says_so_and_goes_on_where_it_was() {
    let shop = open(NO_POS).await;
    let token = shop.table("Table 7").await;
    let mut ada = shop.guest(&token, "Ada").await;
    ada.add(2).await;
    let before = ada.cart(&shop).await;
    let stopped = shop.stop().await;
    assert_eq!(ada.closed().await, 1001);
    let shop = stopped.open().await;
    ada.reconnect(&shop).await;
    for field in ["items", "total", "revision", "join", "table", "you"] {
        assert_eq!(ada.first[field], before[field], "{field}");
    }
    assert_eq!(ada.first["saved_revision"], before["revision"]);
    ada.add(1).await;
}
