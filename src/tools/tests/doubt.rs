//! Orders that could not be saved, or of which nobody knows.

use super::*;

#[tokio::test]
async fn a_full_disk_leaves_the_cart_and_the_next_try_orders_once() {
    let shop = Counter::new("boba").await;
    let mut call = shop.call("CA1", ANA);
    call.take_drink(json!({"flavor": "taro"})).await;
    shop.break_disk();
    assert_eq!(call.refused("checkout_order", json!({"phone": ANA})).await, "NOT_SAVED");
    assert_eq!(call.ask("order_is_placed", json!({})).await, json!({"placed": false, "order_number": null}));
    assert_eq!(call.ok("get_cart", json!({})).await["count"], 1);
    shop.mend_disk();
    call.ok("checkout_order", json!({})).await;
    assert_eq!(shop.orders.recent(10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_order_in_doubt_is_looked_for_and_its_drinks_are_not_ordered_again() {
    let shop = Counter::new("boba").await;
    let mut call = shop.call("CA1", ANA);
    call.take_drink(json!({"flavor": "taro"})).await;
    shop.store.swallow(1);
    let doubt = call.ask("checkout_order", json!({"phone": ANA})).await;
    let sentence = "I can't tell yet whether your order went through. One moment, I'll find out.";
    assert_eq!((&doubt["code"], &doubt["error"]), (&json!("NOT_SAVED"), &json!(sentence)));
    shop.store.close(true);
    assert_eq!(call.ask("order_is_placed", json!({})).await["error"], sentence, "it is neither placed nor not placed");

    // The caller goes on: what was ordered is changed, and something is added.
    call.heard().ok("modify_cart_item", json!({"index": 0, "ice": "no ice"})).await;
    call.take_drink(json!({"flavor": "black"})).await;
    call.heard().ok("get_cart", json!({})).await;
    let whole = json!({"confirmed": true});
    assert_eq!(
        call.heard().ask("checkout_order", whole.clone()).await["error"],
        sentence,
        "nothing before it is known"
    );
    assert_eq!(shop.orders.recent(10).await.unwrap().len(), 1);
    shop.store.close(false);
    let placed = call.ok("checkout_order", whole).await;
    let flavors =
        |order: &Value| order["items"].as_array().unwrap().iter().map(|item| item["flavor"].clone()).collect();
    let both: Vec<Value> = flavors(&placed);
    assert_eq!(both, ["taro milk tea", "black milk tea"]);
    assert_eq!(call.ok("get_cart", json!({})).await["count"], 0);
    assert_eq!(call.ok("checkout_order", json!({})).await["order_id"], placed["order_id"]);
    assert_eq!(shop.orders.recent(10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn whoever_asks_about_an_order_in_doubt_is_told_the_truth() {
    let shop = Counter::new("boba").await;
    let mut call = shop.call("CA1", ANA);
    call.take_drink(json!({"flavor": "taro"})).await;
    shop.store.swallow(1);
    assert_eq!(call.refused("checkout_order", json!({"phone": ANA})).await, "NOT_SAVED");
    let number = shop.orders.recent(1).await.unwrap()[0].order.order_number;
    let told = call.ask("order_is_placed", json!({})).await;
    assert_eq!(told, json!({"placed": true, "order_number": number, "spoken_order_number": number.spoken()}));
    assert_eq!(call.ok("get_cart", json!({})).await["count"], 0, "it is ordered");

    // An amendment is in doubt no less than an order.
    call.take_drink(json!({"flavor": "black"})).await;
    shop.store.swallow(1);
    assert_eq!(call.refused("checkout_order", json!({})).await, "NOT_SAVED");
    call.take_drink(json!({"flavor": "black", "ice": "less ice"})).await;
    call.heard().ok("get_cart", json!({})).await;
    let amended = call.heard().ok("checkout_order", json!({"confirmed": true})).await;
    assert_eq!((amended["items"].as_array().unwrap().len(), &amended["order_number"]), (3, &json!(number)));
}

#[tokio::test]
async fn a_second_order_in_doubt_is_not_appended_to_the_first() {
    let shop = Counter::new("boba").await;
    let mut call = shop.call("CA1", ANA);
    call.take_drink(json!({"flavor": "taro"})).await;
    let first = call.ok("checkout_order", json!({"phone": ANA})).await;
    let number = first["order_number"].as_str().unwrap();
    shop.set(number, OrderStatus::Preparing).await;
    // Too late to amend: a new order is made, and nobody hears of it. Then the first can be amended again.
    call.take_drink(json!({"flavor": "black"})).await;
    shop.store.swallow(1);
    assert_eq!(call.refused("checkout_order", json!({})).await, "NOT_SAVED");
    let origin = Origin { by: "staff", correlation_id: None };
    let order = shop.orders.by_number(number.parse().unwrap()).await.unwrap().unwrap();
    shop.orders.undo(&order.order_id, None, origin).await.unwrap();
    let second = call.ok("checkout_order", json!({})).await;
    assert_ne!(second["order_id"], first["order_id"]);
    assert_eq!(shop.orders.recent(10).await.unwrap().len(), 2);
}
