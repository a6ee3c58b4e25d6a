//! Orders that are not made: ids that are taken, a shop that is closed or has run out, times that cannot be had.

use super::*;
use crate::shop::{NoSlotReason, Paused, ShopState, SoldOut};

/// Open on Mondays from nine; four drinks a quarter of an hour. The first of January 2024, where the clock of these tests
/// begins, is the Monday's start in Greenwich.
async fn with_slots() -> Shop {
    let text = include_str!("../../../menus/boba.toml").replace("America/Los_Angeles", "Europe/London");
    let text = format!("{text}\n[hours]\nmon = [\"09:00-18:00\"]\n[slots]\nminutes = 15\ndrinks = 4\n");
    let menu = Menu::parse(&text).expect("a menu");
    let shop = Shop::open_with(tempfile::tempdir().expect("a temporary folder"), true, menu).await;
    shop.pass(9 * 3600);
    shop
}

fn at(time: &str) -> Timestamp {
    format!("2024-01-01T{time}:00Z").parse().expect("an instant")
}

fn fetched(time: &str, drinks: u32) -> NewOrder {
    NewOrder { phone: None, pickup_at: Some(at(time)), ..new(vec![taro(drinks)]) }
}

#[tokio::test]
async fn an_orderers_own_id_is_used_once() {
    let shop = Shop::open().await;
    let own = |items| NewOrder { order_id: Some("till-7_A".parse().expect("an id")), phone: None, ..new(items) };
    let order = shop.place(own(vec![taro(1)])).await;
    assert_eq!(order.order_id.as_str(), "till-7_A");
    let taken = shop.orders.create(own(vec![taro(2)])).await;
    assert!(matches!(&taken, Err(OrderError::IdTaken(id)) if id.as_str() == "till-7_A"), "{taken:?}");
    shop.orders.delete(&order.order_id, None, origin("api")).await.expect("deleted");
    let taken = shop.orders.create(own(vec![taro(2)])).await;
    assert!(matches!(taken, Err(OrderError::IdTaken(_))), "nor after a deletion: {taken:?}");
    let next = shop.place(NewOrder { phone: None, ..new(vec![taro(1)]) }).await;
    assert_eq!(next.order_id.as_str(), "ORD-main-1", "no id of ours was used up");
}

#[tokio::test]
async fn of_many_who_bring_one_id_one_gets_it() {
    let shop = Shop::open().await;
    let all = (0..16).map(|n| {
        let orders = shop.orders.clone();
        let order_id = Some("till-7".parse().expect("an id"));
        let order = NewOrder { order_id, phone: None, customer_id: Some(n.to_string()), ..new(vec![taro(1)]) };
        async move { orders.create(order).await }
    });
    let made = futures_util::future::join_all(all).await;
    assert_eq!(made.iter().filter(|made| made.is_ok()).count(), 1);
    assert!(made.iter().all(|made| matches!(made, Ok(_) | Err(OrderError::IdTaken(_)))), "{made:?}");
}

#[tokio::test]
async fn what_is_sold_out_is_neither_ordered_nor_added() {
    let shop = Shop::open().await;
    let order = shop.place(NewOrder { phone: None, ..new(vec![taro(1)]) }).await;
    let request = || NewOrder { idempotency: Some(key_of("CA2:1")), phone: None, ..new(vec![taro(1)]) };
    let before = shop.place(request()).await;
    let sold_out = ShopState { paused: None, sold_out: [SoldOut::from("taro milk tea")].into() };
    shop.orders.0.shop.set_state(sold_out, shop.orders.now()).expect("on the menu");
    let refused = shop.orders.create(NewOrder { phone: None, ..new(vec![taro(1)]) }).await;
    assert!(matches!(&refused, Err(OrderError::SoldOut(lacking)) if lacking.option == "taro milk tea"), "{refused:?}");
    let refused = shop.orders.append(&order.order_id, new(vec![taro(1)])).await;
    assert!(matches!(refused, Err(OrderError::SoldOut(_))), "{refused:?}");
    assert_eq!(shop.stored(&order).order, order);
    assert_eq!(shop.place(request()).await, before, "what was ordered before is answered as before");
}

#[tokio::test]
async fn a_closed_shop_takes_nothing_and_answers_what_it_took() {
    let shop = with_slots().await;
    let request = || NewOrder { idempotency: Some(key_of("CA2:1")), phone: None, ..new(vec![taro(1)]) };
    let before = shop.place(request()).await;
    let paused = ShopState { paused: Some(Paused::UntilResumed), ..ShopState::default() };
    shop.orders.0.shop.set_state(paused, shop.orders.now()).expect("paused");
    let is_closed = |result: &Result<Order, OrderError>| matches!(result, Err(OrderError::Closed(sentence)) if !sentence.is_empty());
    let create =
        async |shop: &Shop| shop.orders.create(NewOrder { phone: None, ..new(vec![taro(1)]) }).await?.into_order();
    assert!(is_closed(&create(&shop).await));
    assert!(is_closed(&shop.orders.append(&before.order_id, new(vec![taro(1)])).await));
    assert_eq!(shop.place(request()).await, before);
    shop.set(&before, OrderStatus::Ready).await.expect("what was taken is made and handed over");

    shop.orders.0.shop.set_state(ShopState::default(), shop.orders.now()).expect("resumed");
    create(&shop).await.expect("open again");
    shop.pass(9 * 3600);
    assert!(is_closed(&create(&shop).await), "six o'clock");
}

#[tokio::test]
async fn a_slot_takes_what_it_can_make() {
    let shop = with_slots().await;
    shop.place(fetched("10:05", 3)).await;
    let refused = shop.orders.create(fetched("10:00", 2)).await;
    let Err(OrderError::NoSlot(no_slot)) = refused else { panic!("{refused:?}") };
    assert_eq!(no_slot.reason, NoSlotReason::Full);
    assert_eq!(no_slot.next_free, [at("10:15"), at("10:30"), at("10:45")]);
    shop.place(fetched("10:14", 1)).await;
    let full = shop.orders.create(fetched("10:00", 1)).await;
    assert!(matches!(full, Err(OrderError::NoSlot(_))), "{full:?}");
    let taken_up = shop.place(fetched("10:15", 1)).await;
    assert_eq!((taken_up.pickup_at, taken_up.estimated_ready_time), (Some(at("10:15")), Some(at("10:15"))));
    shop.set(&shop.place(fetched("10:15", 3)).await, OrderStatus::Cancelled).await.expect("cancelled");
    shop.place(fetched("10:20", 3)).await;

    for (time, drinks, reason) in [
        ("08:00", 1, NoSlotReason::Past),
        ("09:01", 1, NoSlotReason::TooSoon),
        ("18:00", 1, NoSlotReason::Closed),
        ("11:00", 5, NoSlotReason::TooManyDrinks(4)),
    ] {
        let refused = shop.orders.create(fetched(time, drinks)).await;
        assert!(
            matches!(&refused, Err(OrderError::NoSlot(no_slot)) if no_slot.reason == reason),
            "{time}: {refused:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_is_never_overbooked_by_many_at_once() {
    let shop = with_slots().await;
    let all = (0..32).map(|n| {
        let orders = shop.orders.clone();
        let order = NewOrder { customer_id: Some(n.to_string()), ..fetched("12:00", 1) };
        tokio::spawn(async move { orders.create(order).await })
    });
    let made = futures_util::future::join_all(all).await.into_iter().map(|made| made.expect("no panic"));
    let (made, refused): (Vec<_>, Vec<_>) = made.partition(Result::is_ok);
    assert_eq!(made.len(), 4);
    for refused in refused {
        assert!(matches!(&refused, Err(OrderError::NoSlot(no)) if no.reason == NoSlotReason::Full), "{refused:?}");
    }
}
