//! What may be taken back, corrected and deleted, and what stays of it.

use super::*;
use crate::events::Subscription;
use serde_json::{Value, json};

async fn undo(shop: &Shop, order: &Order) -> Result<Order, OrderError> {
    shop.orders.undo(&order.order_id, None, origin("staff")).await
}

async fn next(feed: &mut Subscription) -> Value {
    let EventDelivery::Event(_, json) = feed.next().await else { panic!("an event was expected") };
    serde_json::from_str(&json).expect("JSON")
}

fn texts(record: &Record) -> Vec<(DeliveryKind, DeliveryState)> {
    record.deliveries.iter().map(|delivery| (delivery.kind, delivery.state)).collect()
}

#[tokio::test]
async fn a_slip_of_staff_is_taken_back_within_five_seconds_and_nobody_is_texted() {
    let shop = Shop::open().await;
    let order = shop.place(new(vec![taro(1)])).await;
    let mut feed = shop.events.subscribe(Audience::Staff, None);
    shop.set(&order, OrderStatus::Ready).await.expect("ready");
    shop.pass(5);
    let back = undo(&shop, &order).await.expect("five seconds are in time");
    assert_eq!((back.status, back.version), (OrderStatus::Received, 3));
    let expected =
        [(DeliveryKind::TextReceived, DeliveryState::Owed), (DeliveryKind::TextReady, DeliveryState::Skipped)];
    assert_eq!(texts(&shop.stored(&order)), expected);
    for status in ["ready", "received"] {
        let event = next(&mut feed).await;
        assert_eq!((&event["type"], &event["status"]), (&json!("order_status_changed"), &json!(status)));
    }

    let ready = shop.set(&order, OrderStatus::Ready).await.expect("ready again");
    shop.pass(6);
    assert!(matches!(undo(&shop, &order).await, Err(OrderError::NothingToUndo)), "too late");
    assert_eq!(shop.stored(&order).order, ready);
    assert_eq!(shop.due().await.0, 2, "both texts go out");
}

#[tokio::test]
async fn what_the_table_does_not_have_can_be_taken_back_too() {
    let shop = Shop::open().await;
    let order = shop.place(new(vec![taro(1)])).await;
    let cancelled = shop.set(&order, OrderStatus::Cancelled).await.expect("cancelled");
    let stale = shop.orders.undo(&order.order_id, Some(cancelled.version - 1), origin("staff")).await;
    assert!(matches!(stale, Err(OrderError::VersionConflict { current: 2 })), "{stale:?}");
    let back = shop.orders.undo(&order.order_id, Some(cancelled.version), origin("api")).await.expect("in time");
    assert_eq!(back.status, OrderStatus::Received);
    assert_eq!(shop.orders.open().await.expect("readable").len(), 1, "it is open again");
}

#[tokio::test]
async fn a_change_is_taken_back_once() {
    let shop = Shop::open().await;
    let order = shop.place(new(vec![taro(1)])).await;
    shop.set(&order, OrderStatus::Preparing).await.expect("preparing");
    shop.set(&order, OrderStatus::Ready).await.expect("ready");
    shop.pass(1);
    assert_eq!(undo(&shop, &order).await.expect("undone").status, OrderStatus::Preparing);
    assert!(matches!(undo(&shop, &order).await, Err(OrderError::NothingToUndo)), "nor is what came before it");
    shop.set(&order, OrderStatus::Cancelled).await.expect("cancelled");
    shop.pass(1);
    assert_eq!(undo(&shop, &order).await.expect("another slip").status, OrderStatus::Preparing);
}

#[tokio::test]
async fn only_what_people_did_is_taken_back() {
    let shop = Shop::open().await;
    let order = shop.place(new(vec![taro(1)])).await;
    assert!(matches!(undo(&shop, &order).await, Err(OrderError::NothingToUndo)), "it was made, not moved");
    for by in ["phone", "system"] {
        let order = shop.place(NewOrder { phone: None, ..new(vec![taro(1)]) }).await;
        let moved = shop.orders.change_status(&order.order_id, OrderStatus::Cancelled, None, None, origin(by)).await;
        moved.expect("cancelled");
        assert!(matches!(undo(&shop, &order).await, Err(OrderError::NothingToUndo)), "{by}");
    }
    let nobody: OrderId = "ORD-main-99".parse().expect("an id");
    assert!(matches!(shop.orders.undo(&nobody, None, origin("staff")).await, Err(OrderError::NotFound)));
}

#[tokio::test]
async fn a_correction_in_between_stays_when_the_status_is_taken_back() {
    let shop = Shop::open().await;
    let order = shop.place(new(vec![taro(1)])).await;
    shop.set(&order, OrderStatus::Ready).await.expect("ready");
    shop.pass(2);
    let patch = Patch { name: Some(Some("Ada".to_owned())), ..Patch::default() };
    shop.orders.patch(&order.order_id, patch, None, origin("staff")).await.expect("patched");
    shop.pass(2);
    let back = undo(&shop, &order).await.expect("in time");
    assert_eq!((back.status, back.name.as_deref(), back.version), (OrderStatus::Received, Some("Ada"), 4));
    assert_eq!(texts(&shop.stored(&order))[1], (DeliveryKind::TextReady, DeliveryState::Skipped));
}

#[tokio::test]
async fn no_text_goes_out_after_its_tap_was_taken_back() {
    let shop = Shop::open().await;
    let order = shop.place(new(vec![taro(1)])).await;
    shop.orders.done(order.order_number, origin("staff")).await.expect("done");
    shop.pass(4);
    let due = async || shop.claim(Lane::Texts, 10).await.len();
    assert_eq!(due().await, 1, "the tap can still be taken back: only the first text goes out");
    undo(&shop, &order).await.expect("at the last moment");
    shop.pass(3600);
    assert_eq!(due().await, 1, "the first text again, which nobody told the outcome of");
    assert_eq!(texts(&shop.stored(&order))[1], (DeliveryKind::TextReady, DeliveryState::Skipped));
}

#[tokio::test]
async fn a_tap_whose_text_is_under_way_or_sent_cannot_be_taken_back() {
    let shop = Shop::open().await;
    let order = shop.place(new(vec![taro(1)])).await;
    shop.orders.done(order.order_number, origin("staff")).await.expect("done");
    shop.pass(6);
    assert_eq!(shop.claim(Lane::Texts, 10).await.len(), 2);
    // An undo that came in time, and was committed late.
    shop.pass(-1);
    assert!(matches!(undo(&shop, &order).await, Err(OrderError::NothingToUndo)), "under way");
    let sent = Attempt::Sent { provider_id: Some("SM1".to_owned()) };
    shop.tell(&order, 2, sent).await;
    assert!(matches!(undo(&shop, &order).await, Err(OrderError::NothingToUndo)), "sent");
    assert_eq!(shop.stored(&order).order.status, OrderStatus::Ready);
}

#[tokio::test]
async fn a_text_that_failed_is_dropped_with_its_tap() {
    let shop = Shop::open().await;
    let [tried, given_up] = [shop.place(new(vec![taro(1)])).await, shop.place(new(vec![taro(2)])).await];
    let failed = Attempt::Failed { reason: "no such number".to_owned() };
    let busy = Attempt::Retry { at: shop.orders.now(), reason: "busy".to_owned() };
    for (order, outcome) in [(&tried, busy), (&given_up, failed)] {
        shop.orders.done(order.order_number, origin("staff")).await.expect("done");
        shop.pass(6);
        shop.claim(Lane::Texts, 10).await;
        shop.tell(order, 2, outcome).await;
        shop.pass(-1);
        undo(&shop, order).await.expect("nobody was told");
        assert_eq!(texts(&shop.stored(order))[1], (DeliveryKind::TextReady, DeliveryState::Skipped));
        let again = shop.orders.retry_delivery(&order.order_id, 2, origin("staff")).await;
        assert!(matches!(again, Err(OrderError::NoSuchDelivery)), "{again:?}");
    }
}

#[tokio::test]
async fn a_patch_changes_what_it_names_and_nothing_else() {
    let shop = Shop::open().await;
    let order = shop.place(NewOrder { name: Some("Ada".to_owned()), ..new(vec![taro(1)]) }).await;
    let mut feed = shop.events.subscribe(Audience::Staff, None);
    let at = "2024-01-01T01:00:00.123456789Z".parse().expect("an instant");
    let patch =
        Patch { notes: Some(Some("no straw".to_owned())), estimated_ready_time: Some(Some(at)), ..Patch::default() };
    let patched = shop.orders.patch(&order.order_id, patch, Some(1), origin("api")).await.expect("patched");
    let expected = Order {
        notes: Some("no straw".to_owned()),
        estimated_ready_time: Some("2024-01-01T01:00:00.123456Z".parse().expect("an instant")),
        version: 2,
        updated_at: patched.updated_at,
        history: patched.history.clone(),
        ..order.clone()
    };
    assert_eq!(patched, expected);
    assert_eq!(shop.stored(&order).order, patched, "what is answered is what is stored");
    assert_eq!(next(&mut feed).await["type"], "order_updated");
    let taken_away = Patch { name: Some(None), notes: Some(None), estimated_ready_time: Some(None) };
    let patched = shop.orders.patch(&order.order_id, taken_away, Some(2), origin("api")).await.expect("patched");
    assert_eq!((patched.name, patched.notes, patched.estimated_ready_time), (None, None, None));
}

fn with_reply(key: &str, request: &str) -> Idempotency {
    let reply = |order: &Order| Reply { status: 201, body: json!(order) };
    Idempotency { key: key.to_owned(), request: request.to_owned(), reply: Some(reply) }
}

#[tokio::test]
async fn a_deleted_order_is_gone_and_its_request_is_answered_as_it_was() {
    let shop = Shop::open().await;
    let request = || NewOrder { idempotency: Some(with_reply("api:1", "hash")), ..new(vec![taro(1)]) };
    let order = shop.place(request()).await;
    let mut feed = shop.events.subscribe(Audience::Staff, None);
    shop.orders.delete(&order.order_id, Some(1), origin("staff")).await.expect("deleted");
    assert_eq!(next(&mut feed).await["type"], "order_deleted");
    assert_eq!(shop.orders.by_id(&order.order_id).await.expect("readable"), None);
    assert_eq!(shop.orders.by_number(order.order_number).await.expect("readable"), None);
    assert_eq!(shop.due().await, (0, None), "what it owed went with it");
    let gone = shop.orders.delete(&order.order_id, None, origin("staff")).await;
    assert!(matches!(gone, Err(OrderError::NotFound)), "{gone:?}");

    let check = async |shop: &Shop| match shop.orders.create(request()).await {
        Ok(Created::Before { order: None, answer }) => {
            assert_eq!(answer.reply, Some(Reply { status: 201, body: json!(order) }));
        }
        other => panic!("{other:?}"),
    };
    check(&shop).await;
    let Shop { orders, dir, .. } = shop;
    drop(orders);
    let shop = Shop::open_in(dir, true).await;
    check(&shop).await;

    shop.pass(24 * 3600);
    assert_eq!(shop.orders.expire_answers().await.expect("looked through"), 0, "not yet");
    check(&shop).await;
    shop.pass(1);
    assert_eq!(shop.orders.expire_answers().await.expect("looked through"), 1);
    let again = shop.place(request()).await;
    assert_eq!(again.order_id.as_str(), "ORD-main-2", "its id is not given again");
}

#[tokio::test]
async fn an_id_that_its_orderer_chose_is_never_free_again() {
    let shop = Shop::open().await;
    let id: OrderId = "till-7".parse().expect("an id");
    let idempotency = Some(Idempotency { key: "api:1".to_owned(), request: String::new(), reply: None });
    let own = NewOrder { order_id: Some(id.clone()), ..new(vec![taro(1)]) };
    let order = shop.place(NewOrder { idempotency, ..own.clone() }).await;
    shop.orders.delete(&order.order_id, None, origin("staff")).await.expect("deleted");
    shop.pass(24 * 3600 + 1);
    assert_eq!(shop.orders.expire_answers().await.expect("looked through"), 1);
    assert_eq!(shop.orders.expire_answers().await.expect("looked through"), 0, "nothing is left to expire");
    let answered = shop.orders.answered("api:1", "").await.expect("readable");
    assert_eq!(answered, None, "its key is");
    let Shop { orders, dir, .. } = shop;
    drop(orders);
    let shop = Shop::open_in(dir, true).await;
    let again = shop.orders.create(own).await;
    assert!(matches!(&again, Err(OrderError::IdTaken(taken)) if *taken == id), "{again:?}");
}

#[tokio::test]
async fn all_orders_are_deleted_and_counted() {
    let shop = Shop::open().await;
    for n in 0..5 {
        let customer_id = Some(n.to_string());
        shop.place(NewOrder { phone: None, customer_id, ..new(vec![taro(1)]) }).await;
    }
    let mut feed = shop.events.subscribe(Audience::Staff, None);
    assert_eq!(shop.orders.delete_all(origin("api")).await.expect("deleted"), 5);
    for _ in 0..5 {
        assert_eq!(next(&mut feed).await["type"], "order_deleted");
    }
    assert!(shop.orders.recent(10).await.expect("readable").is_empty());
    assert_eq!(shop.orders.statistics().await.expect("readable").orders, 0);
    assert_eq!(shop.orders.delete_all(origin("api")).await.expect("nothing"), 0);
    assert_eq!(shop.place(new(vec![taro(1)])).await.order_id.as_str(), "ORD-main-6");
}

#[tokio::test]
async fn a_key_is_for_one_request() {
    let shop = Shop::open().await;
    let request =
        |key, hash| NewOrder { idempotency: Some(with_reply(key, hash)), allow_duplicate: true, ..new(vec![taro(1)]) };
    let order = shop.place(request("api:1", "this")).await;
    let mismatch = shop.orders.create(request("api:1", "that")).await;
    assert!(matches!(mismatch, Err(OrderError::KeyMismatch)), "{mismatch:?}");
    let mismatch = shop.orders.append(&order.order_id, request("api:1", "that")).await;
    assert!(matches!(mismatch, Err(OrderError::KeyMismatch)), "{mismatch:?}");
    assert_eq!(shop.files().len(), 1);
    // The answer is that of then, the order that of now.
    shop.set(&order, OrderStatus::Preparing).await.expect("preparing");
    match shop.orders.create(request("api:1", "this")).await {
        Ok(Created::Before { order: Some(now), answer }) => {
            assert_eq!(now.status, OrderStatus::Preparing);
            assert_eq!(answer.reply.expect("a reply").body, json!(order));
        }
        other => panic!("{other:?}"),
    }
    shop.place(request("api:2", "this")).await;
}
