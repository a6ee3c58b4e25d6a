//! What one address may do ahead, whoever asks from there, and that it takes nothing from others.

use crate::harness::TestShop;
use crate::harness::guest::Guest;
use serde_json::{Value, json};

const ADA: &str = "198.51.100.1";
const BOB: &str = "198.51.100.2";
/// Orders in ten minutes, and phone numbers in an hour, of one address.
const MOST: usize = 6;

/// A shop on the internet that takes orders ahead, and texts.
async fn open() -> TestShop {
    let settings = [
        ("ORDER_AHEAD", "true"),
        ("VOICE_HOST", "voice.example.com"),
        ("TWILIO_AUTH_TOKEN", "the token of the account"),
        ("STAFF_PASSWORD", "open sesame"),
        ("API_KEY", "the key of the till"),
    ];
    TestShop::open_with([], &settings).await
}

/// Somebody new with a drink in their cart.
async fn guest(shop: &TestShop, address: &'static str) -> Guest {
    let mut guest = shop.guest_from(address, &json!({"ahead": true, "name": "Ada"})).await;
    guest.add(1).await;
    guest
}

/// Places the order, with the phone number that ends in `n` if there is one.
async fn place(guest: &mut Guest, n: Option<usize>, pickup_at: Value) {
    guest.send(json!({"type": "snapshot"})).await;
    let cart = guest.hear("snapshot").await;
    let phone = n.map(|n| format!("+1555123456{n}"));
    let order = json!({
        "revision": cart["revision"], "total": cart["total"], "name": "Ada", "phone": phone, "pickup_at": pickup_at
    });
    guest.ask("place_order", order).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_may_order_so_often_and_give_so_many_numbers() {
    let shop = open().await;
    // What is refused is no order.
    let mut early = guest(&shop, ADA).await;
    for _ in 0..MOST {
        place(&mut early, None, json!("2024-01-01T00:00:00Z")).await;
        assert_eq!(early.refusal().await["code"], "SLOT_UNAVAILABLE");
        early.hear("cart_unlocked").await;
    }
    for n in 0..MOST {
        let mut ada = guest(&shop, ADA).await;
        place(&mut ada, Some(n), Value::Null).await;
        ada.hear("order_confirmed").await;
    }
    let mut next = guest(&shop, ADA).await;
    place(&mut next, Some(7), Value::Null).await;
    assert_eq!(next.refusal().await["code"], "PHONE_LIMIT");
    place(&mut next, None, Value::Null).await;
    let refused = next.refusal().await;
    assert_eq!(refused["code"], "RATE_LIMITED");
    assert!(refused["retry_after_ms"].as_u64().is_some_and(|wait| wait > 1000), "{refused}");

    let mut bob = guest(&shop, BOB).await;
    place(&mut bob, Some(7), Value::Null).await;
    bob.hear("order_confirmed").await;
    assert_eq!(shop.orders().await.len(), MOST + 1);
}
