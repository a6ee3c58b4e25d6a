//! What the shop has said meanwhile: closed, paused, sold out.

use super::*;

#[tokio::test]
async fn a_closed_shop_takes_no_order_and_still_answers() {
    let shop = Counter::with("boba", false).await;
    let mut call = shop.call("CA1", ANA);
    call.take_drink(json!({"flavor": "taro"})).await;
    assert_eq!(call.refused("checkout_order", json!({"phone": ANA})).await, "ORDERING_CLOSED");
    call.ok("menu_summary", json!({})).await;
    assert_eq!(shop.orders.recent(10).await.unwrap().len(), 0);
}

#[tokio::test]
async fn what_is_sold_out_is_neither_offered_nor_staged() {
    let shop = Counter::new("boba").await;
    let mut call = shop.call("CA1", ANA);
    call.take_drink(json!({"flavor": "taro"})).await;
    shop.shop_is(None, &["boba", "vanilla cream", "black milk tea", "less ice"]);
    let menu = call.ok("menu_summary", json!({})).await;
    assert_eq!(
        (&menu["flavors"], &menu["toppings"]),
        (&json!(["taro milk tea"]), &json!(["egg pudding", "crystal agar boba"]))
    );
    assert_eq!(menu["addons"], json!([]), "the stencil needs the cream");
    assert!(!menu["summary"].as_str().unwrap().contains("black milk tea"));

    let refused = call.heard().ask("add_to_cart", json!({"flavor": "taro", "toppings": ["pearls"]})).await;
    insta::assert_json_snapshot!(refused, @r#"
    {
      "ok": false,
      "code": "SOLD_OUT",
      "error": "Sorry, boba is sold out. For toppings there is egg pudding or crystal agar boba.",
      "sold_out": "boba",
      "choices": [
        "egg pudding",
        "crystal agar boba"
      ]
    }
    "#);
    assert_eq!(call.refused("add_to_cart", json!({"flavor": "black"})).await, "SOLD_OUT");
    assert_eq!(call.refused("add_to_cart", json!({"flavor": "taro", "addons": "matcha"})).await, "SOLD_OUT");
    assert_eq!(call.refused("modify_cart_item", json!({"index": 0, "toppings": "cream"})).await, "SOLD_OUT");
    assert_eq!(call.refused("set_sweetness_ice", json!({"ice": "light"})).await, "SOLD_OUT");
    call.ok("add_to_cart", json!({"flavor": "taro", "toppings": "pudding"})).await;
    assert_eq!(call.refused("update_pending_item", json!({"toppings": "boba"})).await, "SOLD_OUT");
    assert_eq!(call.ok("get_cart", json!({})).await["pending_item"]["toppings"], json!(["egg pudding"]));
    shop.shop_is(None, &[]);
    call.ok("update_pending_item", json!({"toppings": "boba"})).await;
}

#[tokio::test]
async fn what_sells_out_meanwhile_is_neither_confirmed_nor_ordered() {
    let shop = Counter::new("boba").await;
    let mut call = shop.call("CA1", ANA);
    call.heard().ok("add_to_cart", json!({"flavor": "taro", "toppings": "boba"})).await;
    shop.shop_is(None, &["boba"]);
    let refused = call.heard().ask("confirm_pending_to_cart", json!({})).await;
    assert_eq!((&refused["code"], &refused["sold_out"]), (&json!("SOLD_OUT"), &json!("boba")));
    assert_eq!(refused["summary"], "taro milk tea | boba | no add-ons | 50%, regular ice");
    // Whatever else is changed, the boba is still not there.
    assert_eq!(call.refused("update_pending_item", json!({"ice": "no ice"})).await, "SOLD_OUT");
    call.ok("update_pending_item", json!({"toppings": "pudding"})).await;
    call.heard().ok("confirm_pending_to_cart", json!({})).await;

    shop.shop_is(None, &["egg pudding"]);
    let refused = call.ask("checkout_order", json!({"phone": ANA})).await;
    assert_eq!((&refused["code"], &refused["sold_out"]), (&json!("SOLD_OUT"), &json!("egg pudding")));
    assert_eq!(refused["choices"], json!(["boba", "crystal agar boba", "vanilla cream"]));
    assert_eq!(shop.orders.recent(10).await.unwrap().len(), 0);
    call.ok("modify_cart_item", json!({"index": 0, "toppings": "none"})).await;
    call.heard().ok("get_cart", json!({})).await;
    call.heard().ok("checkout_order", json!({"confirmed": true})).await;
    assert_eq!(shop.orders.recent(10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_pause_holds_orders_back_and_nothing_else() {
    let shop = Counter::new("boba").await;
    let mut call = shop.call("CA1", ANA);
    call.take_drink(json!({"flavor": "taro"})).await;
    let number = call.ok("checkout_order", json!({"phone": ANA})).await["order_number"].clone();
    let in_an_hour = shop.orders.now().checked_add(SignedDuration::from_hours(1)).unwrap();
    shop.shop_is(Some(Paused::Until(in_an_hour)), &[]);
    assert_eq!(call.ask("order_status", json!({})).await["order_number"], number);
    assert_eq!(call.ok("checkout_order", json!({})).await["order_number"], number, "what is placed stays placed");
    call.take_drink(json!({"flavor": "black"})).await;
    let refused = call.ask("checkout_order", json!({})).await;
    let expected = "We are not taking orders right now. We will again at 5 PM.";
    assert_eq!((&refused["code"], &refused["error"]), (&json!("ORDERING_CLOSED"), &json!(expected)));
    shop.clock.fetch_add(3600, Ordering::Relaxed);
    call.ok("checkout_order", json!({})).await;
}
