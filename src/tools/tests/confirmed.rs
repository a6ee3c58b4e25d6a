//! What counts as a yes to an order, and what does not.

use super::*;

#[tokio::test]
async fn several_drinks_are_ordered_only_on_a_yes_to_all_of_them() {
    let shop = Counter::new("boba").await;
    let mut call = shop.call("CA1", ANA);
    assert_eq!(call.refused("checkout_order", json!({"confirmed": true})).await, "EMPTY_CART");
    call.take_drink(json!({"flavor": "taro"})).await;
    call.take_drink(json!({"flavor": "black"})).await;
    assert_eq!(call.refused("checkout_order", json!({"confirmed": true})).await, "NO_PHONE");
    call.heard();
    let unread = call.ask("checkout_order", json!({"phone": ANA, "confirmed": true})).await;
    assert_eq!(unread["code"], "NEEDS_CONFIRMATION");
    assert!(unread["summary"].as_str().unwrap().contains("Total $11.00"), "{unread}");
    assert!(unread["next"].as_str().unwrap().contains("get_cart"), "{unread}");
    call.ok("get_cart", json!({})).await;
    let unheard = call.ask("checkout_order", json!({"confirmed": true})).await;
    assert_eq!(unheard["code"], "NEEDS_CONFIRMATION");
    assert!(!unheard["next"].as_str().unwrap().contains("get_cart"), "{unheard}");
    call.heard();
    assert_eq!(call.refused("checkout_order", json!({"confirmed": false})).await, "NEEDS_CONFIRMATION");
    assert_eq!(call.refused("checkout_order", json!({"confirmed": "maybe"})).await, "BAD_ARGUMENTS");
    let placed = call.ok("checkout_order", json!({"confirmed": "true"})).await;
    assert_eq!(placed["items"].as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn a_changed_line_is_not_ordered_on_the_old_yes() {
    for policy in [FinalConfirmation::Always, FinalConfirmation::MultiItem, FinalConfirmation::Never] {
        let mut shop = Counter::new("boba").await;
        shop.toolbox.final_confirmation = policy;
        let mut call = shop.call("CA1", ANA);
        call.take_drink(json!({"flavor": "taro"})).await;
        call.ok("modify_cart_item", json!({"index": 0, "quantity": 9})).await;
        let refused = call.refused("checkout_order", json!({"phone": ANA, "confirmed": true})).await;
        assert_eq!(refused, "NEEDS_CONFIRMATION", "{policy:?}");
        call.ok("get_cart", json!({})).await;
        call.heard().ok("checkout_order", json!({"confirmed": true})).await;
    }
}

#[tokio::test]
async fn always_asks_for_one_line_too_and_never_for_none() {
    let mut shop = Counter::new("boba").await;
    shop.toolbox.final_confirmation = FinalConfirmation::Always;
    let mut call = shop.call("CA1", ANA);
    call.take_drink(json!({"flavor": "taro"})).await;
    assert_eq!(call.refused("checkout_order", json!({"phone": ANA})).await, "NEEDS_CONFIRMATION");
    shop.toolbox.final_confirmation = FinalConfirmation::Never;
    let mut call = shop.call("CA2", ANA);
    call.take_drink(json!({"flavor": "taro"})).await;
    call.take_drink(json!({"flavor": "black"})).await;
    call.ok("checkout_order", json!({"phone": ANA})).await;
}

#[tokio::test]
async fn staging_and_confirming_in_one_breath_is_refused() {
    let shop = Counter::new("boba").await;
    let mut call = shop.call("CA1", ANA);
    call.heard();
    call.ok("add_to_cart", json!({"flavor": "taro"})).await;
    assert_eq!(call.refused("confirm_pending_to_cart", json!({})).await, "NEEDS_CONFIRMATION");
    assert_eq!(call.refused("confirm_pending_item", json!({})).await, "NEEDS_CONFIRMATION");
    assert_eq!(call.ok("get_cart", json!({})).await["items"], json!([]));
}
