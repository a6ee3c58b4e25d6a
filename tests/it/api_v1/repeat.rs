//! Requests that are sent again: by nervous clients, after restarts, after deletions, many at once.

use super::*;
use crate::harness::TEXTS;
use futures_util::future::join_all;
use std::collections::HashSet;

/// Panics unless the second is the first again, marked as such.
fn assert_replayed(first: &Answer, again: &Answer) {
    assert_eq!((again.status, &again.text), (first.status, &first.text), "word for word");
    for name in ["location", "etag", "content-type"] {
        assert_eq!(header(again, name), header(first, name), "{name}");
    }
    assert_eq!(header(again, "idempotency-replayed"), Some("true"));
    assert_ne!(again.id(), first.id(), "it is a request of its own");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_request_gets_the_same_answer_whatever_became_of_the_order() {
    let shop = TestShop::open_with([], &TEXTS).await;
    let body = envelope("call-1-cart-3");
    let first = shop.create(&body).await;
    assert_eq!(first.status, 201, "{}", first.text);
    assert_replayed(&first, &shop.create(&body).await);
    // The same request: without the envelope, its keys in another order, the key quoted in the header.
    let inner = body["payload"].as_object().expect("an object").iter().rev();
    let turned: Value = inner.map(|(name, value)| (name.clone(), value.clone())).collect();
    assert_replayed(&first, &shop.create_as("\"call-1-cart-3\"", &turned).await);
    let short = with_body(client().post(shop.url("/api/orders")), &body);
    assert_replayed(&first, &Answer::to(short).await);

    let order = first.json();
    assert_eq!(shop.move_to(&order, 1, "preparing").await.status, 200);
    assert_replayed(&first, &shop.create(&body).await);
    // Another menu, on which nothing of it is.
    let coffee = format!("{}/menus/coffee.toml", env!("CARGO_MANIFEST_DIR"));
    let shop = shop.reopen([], &[("MENU_FILE", coffee.as_str())]).await;
    assert_replayed(&first, &shop.create(&body).await);
    let mut fresh = body.clone();
    fresh["idempotency_key"] = "another".into();
    shop.create(&fresh).await.assert_error(400, "VALIDATION");
    assert_eq!(shop.orders().await[0].version, 2, "nothing was written");

    assert_eq!(shop.change(Method::DELETE, &path_of(&order, ""), 2, None).await.status, 204);
    assert_replayed(&first, &shop.create(&body).await);
    let shop = shop.reopen([], &[]).await;
    assert_replayed(&first, &shop.create(&body).await);
    shop.read(&path_of(&order, "")).await.assert_error(404, "NOT_FOUND");
    assert!(shop.orders().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_for_one_request() {
    let shop = TestShop::open([]).await;
    let first = shop.create_as("k", &taro()).await;
    let mut other = taro();
    other["items"][0]["quantity"] = 2.into();
    shop.create_as("k", &other).await.assert_error(422, "IDEMPOTENCY_MISMATCH");
    // Even one that could not be ordered: what the key was used for comes first.
    let nonsense = json!({"items": [{"flavor": "motor oil"}]});
    shop.create_as("k", &nonsense).await.assert_error(422, "IDEMPOTENCY_MISMATCH");
    assert_eq!(shop.change(Method::DELETE, "/orders/ORD-main-1", 1, None).await.status, 204);
    shop.create_as("k", &other).await.assert_error(422, "IDEMPOTENCY_MISMATCH");
    assert_replayed(&first, &shop.create_as("k", &taro()).await);
    assert!(shop.orders().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_refused_is_not_kept() {
    let shop = TestShop::open([]).await;
    shop.create_as("k", &json!({"items": []})).await.assert_error(400, "VALIDATION");
    let many = json!({"items": [{"flavor": "taro milk tea", "quantity": 11}]});
    shop.create_as("k", &many).await.assert_error(422, "BUSINESS_RULE");
    let answer = shop.create_as("k", &taro()).await;
    assert_eq!((answer.status.as_u16(), header(&answer, "idempotency-replayed")), (201, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_64_clients_with_one_key_one_orders_and_all_are_answered_alike() {
    let shop = TestShop::open_with([], &TEXTS).await;
    let body = envelope("one-key");
    let ask = || shop.create(&body);
    let mut answers = HashSet::new();
    let mut fresh = 0;
    for first in join_all((0..64).map(|_| ask())).await {
        let mut answer = first;
        while answer.status == 409 {
            answer.assert_error(409, "IDEMPOTENCY_IN_PROGRESS");
            assert_eq!(header(&answer, "retry-after"), Some("1"));
            answer = ask().await;
        }
        assert_eq!(answer.status, 201, "{}", answer.text);
        fresh += usize::from(header(&answer, "idempotency-replayed").is_none());
        answers.insert(answer.text);
    }
    assert_eq!((answers.len(), fresh), (1, 1));
    let orders = shop.orders().await;
    assert_eq!((orders.len(), shop.order_files().len()), (1, 1));
    let record = shop.shop.orders().recent(1).await.expect("readable").remove(0);
    assert_eq!(record.deliveries.len(), 1, "one text");
}

/// Each client a key of its own, as after a retry that forgot it: the fingerprint is what is left.
#[tokio::test(flavor = "multi_thread")]
async fn of_32_clients_with_the_same_drinks_one_orders() {
    let shop = TestShop::open([]).await;
    let orders = join_all((0..32).map(|n| {
        let body = envelope(&format!("key-{n}"));
        let shop = &shop;
        async move { shop.create(&body).await }
    }))
    .await;
    let created = orders.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(created, 1);
    for refused in orders.iter().filter(|answer| answer.status != 201) {
        let code = refused.json()["error"]["code"].clone();
        assert!(code == "DUPLICATE_ORDER" || code == "IDEMPOTENCY_IN_PROGRESS", "{code}");
    }
    assert_eq!(shop.orders().await.len(), 1);
}
