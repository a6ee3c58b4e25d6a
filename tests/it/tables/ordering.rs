//! A table's order and the till that it has to pass: at once, refused and sent again, in the middle of a restart; and orders
//! ahead.

use crate::harness::guest::Guest;
use crate::harness::till::{Mood, Till};
use crate::harness::{Answer, PATIENCE, TestShop, client};
use bobarista::ordering::status::OrderStatus;
use bobarista::outbox::Pace;
use serde_json::{Value, json};
use std::time::Duration;

/// A shop with these settings whose tickets are tried again soon.
async fn hurried(settings: &[(&str, &str)]) -> TestShop {
    TestShop::open_adjusted(settings, |app| app.paced(Pace { first_wait: Duration::from_millis(10) })).await
}

async fn with_till(till: &Till) -> TestShop {
    let settings = till.settings();
    let settings: Vec<(&str, &str)> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    hurried(&settings).await
}

/// Two guests at a table with a drink each.
async fn two(shop: &TestShop) -> (Guest, Guest) {
    let token = shop.table("Table 7").await;
    let (mut ada, mut bob) = (shop.guest(&token, "Ada").await, shop.guest(&token, "Bob").await);
    ada.add(1).await;
    bob.add(2).await;
    (ada, bob)
}

/// Everything that was said has the shape that is published for it.
fn assert_as_published(guests: &[&Guest]) {
    let document: Value = serde_json::from_str(include_str!("../../../docs/tables.asyncapi.json")).expect("JSON");
    let mut held = 0;
    for (is_servers, message) in guests.iter().flat_map(|guest| &guest.log) {
        let kind = message["type"].as_str().expect("every message has a type");
        let words = kind.split('_').map(|word| word[..1].to_uppercase() + &word[1..]);
        let name = format!("{}{}", if *is_servers { "Server" } else { "Client" }, words.collect::<String>());
        let pointer = format!("#/components/messages/{name}/payload");
        let schema = json!({"components": document["components"], "$ref": pointer});
        let schema = jsonschema::validator_for(&schema).expect("a schema");
        assert!(schema.is_valid(message), "{name}: {message}");
        held += 1;
    }
    assert!(held > 10, "{held} messages");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_who_place_in_the_same_instant_make_one_order() {
    let till = Till::start().await;
    till.from_now(Mood::Thinks);
    let shop = with_till(&till).await;
    let (mut ada, mut bob) = two(&shop).await;
    let cart = ada.cart(&shop).await;
    let order = json!({"revision": cart["revision"], "total": cart["total"]});
    tokio::join!(ada.ask("place_order", order.clone()), bob.ask("place_order", order));
    let (first, second) = (ada.hear("cart_locked").await, bob.hear("cart_locked").await);
    assert_eq!(first, second);
    let (winner, loser) = if first["locked_by_member"] == "m1" { (&mut ada, &mut bob) } else { (&mut bob, &mut ada) };
    // Whoever came second may have been told before or after the lock.
    let told =
        loser.log.iter().find(|(_, message)| message["code"] == "IN_PROGRESS").map(|(_, message)| message.clone());
    let told = match told {
        Some(told) => told,
        None => loser.refusal().await,
    };
    assert_eq!(told["code"], "IN_PROGRESS", "{told}");
    assert!(told["message"].as_str().is_some_and(|said| said.contains("Order already being processed")), "{told}");
    winner.hear("order_processing").await;
    loser.ask("add_item", json!({"item": {"flavor": "taro milk tea"}})).await;
    assert_eq!(loser.refusal().await["code"], "CART_LOCKED");
    let waiting = loser.cart(&shop).await;
    assert_eq!((&waiting["cart_locked"], &waiting["order_processing_status"]), (&json!(true), &json!("processing")));
    assert_eq!(waiting["pending_order_id"], first["order_id"]);
    assert_eq!(waiting["items"][0]["state"], "locked");

    till.until_asked(1).await;
    till.decide();
    for guest in [&mut ada, &mut bob] {
        assert_eq!(guest.hear("order_confirmed").await["order_id"], first["order_id"]);
    }
    let orders = shop.orders().await;
    assert_eq!((orders.len(), orders[0].status, till.tickets().len()), (1, OrderStatus::Received, 1));
    assert_eq!(till.tickets()[0].ticket["table"], "Table 7");
    assert_as_published(&[&ada, &bob]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_order_is_sent_again_under_its_id() {
    let till = Till::start().await;
    till.from_now(Mood::Refuses("The till is being counted."));
    let shop = with_till(&till).await;
    let (mut ada, mut bob) = two(&shop).await;
    ada.place(&shop).await;
    let failed = bob.hear("order_failed").await;
    assert_eq!((&failed["message"], &failed["allow_retry"]), (&json!("Order failed. Please try again."), &json!(true)));
    assert!(failed["error"].as_str().is_some_and(|why| why.contains("The till is being counted")), "{failed}");
    let unlocked = bob.hear("cart_unlocked").await;
    assert_eq!(
        (unlocked["items"].as_array().map(Vec::len), &unlocked["items"][0]["state"]),
        (Some(2), &json!("pending"))
    );
    let id = failed["order_id"].clone();
    assert_eq!(shop.orders().await[0].status, OrderStatus::Pending);

    till.from_now(Mood::Takes);
    bob.add(1).await;
    bob.place(&shop).await;
    let confirmed = ada.hear("order_confirmed").await;
    assert_eq!(confirmed["order_id"], id);
    assert_eq!(confirmed["order"]["items"].as_array().map(Vec::len), Some(3));
    let orders = shop.orders().await;
    assert_eq!((orders.len(), orders[0].drinks(), orders[0].status), (1, 4, OrderStatus::Received));
    assert_eq!(till.tickets().len(), 1, "the till has it once");
    assert_eq!(bob.cart(&shop).await["orders"].as_array().map(Vec::len), Some(1));
    assert_as_published(&[&ada, &bob]);
}

#[tokio::test(flavor = "multi_thread")]
async fn emptying_the_cart_gives_a_refused_order_up() {
    let till = Till::start().await;
    till.from_now(Mood::Refuses("No."));
    let shop = with_till(&till).await;
    let (mut ada, mut bob) = two(&shop).await;
    ada.place(&shop).await;
    bob.hear("order_failed").await;
    let cart = bob.cart(&shop).await;
    bob.ask("clear_cart", json!({"revision": cart["revision"]})).await;
    ada.hear("clear_cart").await;
    until(&shop, OrderStatus::Cancelled).await;

    // What is placed then is another order.
    till.from_now(Mood::Takes);
    ada.add(1).await;
    ada.place(&shop).await;
    bob.hear("order_confirmed").await;
    assert_eq!(shop.orders().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_staff_cancel_and_bring_back_is_still_the_tables_only_one() {
    let till = Till::start().await;
    till.from_now(Mood::Thinks);
    let shop = with_till(&till).await;
    let (mut ada, mut bob) = two(&shop).await;
    ada.place(&shop).await;
    bob.hear("order_processing").await;
    till.until_asked(1).await;
    let order = shop.orders().await.remove(0);
    assert_eq!(shop.set_status(&order, order.version, "cancelled").await.status, 200);
    assert_eq!(bob.hear("order_failed").await["allow_retry"], false);
    assert_eq!(bob.hear("cart_unlocked").await["items"].as_array().map(Vec::len), Some(2));
    assert_eq!(bob.cart(&shop).await["error"], "The shop has cancelled this order.");

    let undo = client().post(shop.url(&format!("/api/v1/orders/{}/undo", order.order_id)));
    let undo = undo.header("If-Match", format!("\"{}\"", order.version + 1));
    assert_eq!(Answer::to(undo).await.status, 200);
    let locked = bob.hear("cart_locked").await;
    assert_eq!(locked["order_id"], json!(order.order_id));
    till.decide();
    assert_eq!(bob.hear("order_confirmed").await["order_id"], locked["order_id"]);
    assert_eq!((shop.orders().await.len(), bob.cart(&shop).await["items"].clone()), (1, json!([])));
    assert_as_published(&[&ada, &bob]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_till_refuses_after_the_end_is_cancelled() {
    let till = Till::start().await;
    till.from_now(Mood::Says(503, "application/json", "{}".to_owned()));
    let shop = with_till(&till).await;
    let (mut ada, _bob) = two(&shop).await;
    ada.place(&shop).await;
    ada.hear("order_processing").await;
    assert_eq!(shop.post(&format!("/api/v1/tables/sessions/{}/end", ada.session)).await.status, 204);
    assert_eq!(ada.closed().await, 4004);
    assert_eq!(shop.orders().await[0].status, OrderStatus::Pending);
    till.from_now(Mood::Refuses("No."));
    until(&shop, OrderStatus::Cancelled).await;
}

/// Waits until the newest order has this status.
async fn until(shop: &TestShop, status: OrderStatus) {
    let mut changes = shop.staff_feed().await;
    let wait = async {
        while shop.orders().await.first().is_none_or(|order| order.status != status) {
            changes.event().await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("the order gets there");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_in_the_middle_finds_out_what_came_of_it() {
    let till = Till::start().await;
    till.from_now(Mood::Thinks);
    let shop = with_till(&till).await;
    let (mut ada, mut bob) = two(&shop).await;
    ada.place(&shop).await;
    let locked = bob.hear("order_processing").await;
    till.until_asked(1).await;
    let stopped = shop.stop().await;
    assert_eq!((ada.closed().await, bob.closed().await), (1001, 1001));
    till.decide();
    let shop = stopped.open().await;
    ada.reconnect(&shop).await;
    if ada.first["orders"] == json!([]) {
        assert_eq!((&ada.first["cart_locked"], &ada.first["pending_order_id"]), (&json!(true), &locked["order_id"]));
        assert_eq!(ada.hear("order_confirmed").await["order_id"], locked["order_id"]);
    }
    let cart = ada.cart(&shop).await;
    assert_eq!((&cart["orders"][0]["order_id"], &cart["items"]), (&locked["order_id"], &json!([])));
    assert_eq!((shop.orders().await.len(), till.tickets().len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_simulated_till_takes_all_or_nothing() {
    for (percent, message) in [("0", "order_confirmed"), ("100", "order_failed")] {
        let settings = [("POINT_OF_SALE", "simulated"), ("POS_DELAY_MS", "1"), ("POS_FAILURE_PERCENT", percent)];
        let shop = hurried(&settings).await;
        let (mut ada, mut bob) = two(&shop).await;
        ada.place(&shop).await;
        bob.hear(message).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_ahead_has_a_name_and_a_time() {
    let shop = TestShop::open_with([], &[("ORDER_AHEAD", "true")]).await;
    let door = shop.json("/api/tables/door?ahead=1").await;
    assert_eq!((&door["kind"], &door["table"], &door["needs"]), (&json!("ahead"), &Value::Null, &json!("nothing")));
    let mut ada = shop.guest_who(&json!({"ahead": true, "name": "Ada"})).await;
    let mut eve = shop.guest_who(&json!({"ahead": true, "name": "Eve"})).await;
    assert_ne!(ada.session, eve.session, "strangers share nothing");
    assert_eq!(ada.first["join"], Value::Null);
    ada.add(2).await;
    let place = |cart: Value, more: Value| {
        let mut order = json!({"revision": cart["revision"], "total": cart["total"]});
        order.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        order
    };
    let times = shop.json("/api/tables/pickup?drinks=2").await;
    let (first, at) = (&times["times"][0], &times["times"][3]);
    assert!(times["asap"].is_string() && first.is_string() && at.is_string(), "{times}");
    for query in ["?drinks=0", "?drinks=x", "?drinks=99999"] {
        shop.get(&format!("/api/tables/pickup{query}")).await.assert_error(400, "VALIDATION");
    }
    let cart = ada.cart(&shop).await;
    ada.ask("place_order", place(cart, json!({"name": "Ada", "pickup_at": "2024-01-01T00:00:00Z"}))).await;
    let refused = ada.refusal().await;
    assert_eq!(refused["code"], "SLOT_UNAVAILABLE");
    // The next quarter of an hour may have begun since.
    let later = shop.json("/api/tables/pickup?drinks=2").await["times"][0].clone();
    assert!([first, &later].contains(&&refused["next_free"][0]), "{refused}");
    // The cart was locked meanwhile, which is a revision of its own.
    ada.hear("cart_unlocked").await;
    let cart = ada.cart(&shop).await;
    ada.ask("place_order", place(cart, json!({"name": "Ada L.", "pickup_at": at}))).await;
    let confirmed = ada.hear("order_confirmed").await;
    let number = confirmed["order_number"].as_str().expect("a number");
    let order = shop.json(&format!("/api/orders/{number}")).await;
    assert_eq!((&order["name"], &order["channel"]), (&json!("Ada L."), &json!("web")));
    let instant = |value: &Value| value.as_str().and_then(|text| text.parse::<jiff::Timestamp>().ok()).expect("a time");
    assert_eq!(instant(&order["pickup_at"]), instant(at));
    assert_eq!(shop.json("/orders/board.json").await["preparing"][0]["order_number"], number);
    eve.add(1).await;
    assert_eq!(eve.cart(&shop).await["orders"], json!([]));
    assert_as_published(&[&ada, &eve]);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_slots_the_first_time_that_is_offered_is_as_soon_as_possible() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("shop.toml");
    let menu = include_str!("../../../menus/boba.toml");
    std::fs::write(&file, format!("{menu}\n[slots]\nminutes = 15\ndrinks = 20\n")).expect("a file");
    let settings = [("ORDER_AHEAD", "true"), ("MENU_FILE", file.to_str().expect("a path"))];
    let shop = TestShop::open_with([], &settings).await;
    let mut ada = shop.guest_who(&json!({"ahead": true, "name": "Ada"})).await;
    ada.add(1).await;
    let offered = shop.json("/api/tables/pickup?drinks=1").await;
    assert_eq!(offered["asap"], Value::Null, "the time of a slot has to be asked for");
    assert!(offered["times"][0].is_string(), "{offered}");
    // The first may have passed by the time that it is asked for.
    let (cart, at) = (ada.cart(&shop).await, &offered["times"][1]);
    let order = json!({"revision": cart["revision"], "total": cart["total"], "name": "Ada", "pickup_at": at});
    ada.ask("place_order", order).await;
    let confirmed = ada.hear("order_confirmed").await;
    let instant = |value: &Value| value.as_str().and_then(|text| text.parse::<jiff::Timestamp>().ok());
    assert_eq!(instant(&confirmed["order"]["ready_at"]), instant(at));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_uses_ends_and_an_order_stays() {
    let shop = TestShop::open_with([], &[("TABLE_IDLE_MINUTES", "5")]).await;
    let (mut ada, _bob) = two(&shop).await;
    ada.place(&shop).await;
    ada.hear("order_confirmed").await;
    let stopped = shop.stop().await;
    stopped.age_sessions(6);
    let shop = stopped.open().await;
    let wait = async {
        // A session looks at the clock when it is taken up, and then is gone from the list.
        while shop.json("/api/v1/tables").await["tables"][0]["sessions"] != json!([]) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("it ends");
    ada.get(&shop, &format!("/api/tables/{}/cart", ada.session)).await.assert_error(404, "NOT_FOUND");
    assert_eq!(shop.orders().await.len(), 1);
}
