//! The same request under another id: done once.

use super::*;
use proptest::prelude::*;

impl Call {
    /// A request from a message of its own.
    async fn ask_in(&mut self, batch: u64, name: &str, arguments: &Value) -> Value {
        let request = self.request(&format!("b{batch}"), batch, name, &arguments.to_string());
        self.carry_out(request).await.0
    }

    async fn three_drinks(&mut self) {
        for flavor in ["taro", "black", "taro"] {
            self.take_drink(json!({"flavor": flavor})).await;
        }
    }
}

#[tokio::test]
async fn a_line_is_removed_once_however_often_that_is_asked_for_in_one_turn() {
    let shop = Counter::new("boba").await;
    let mut call = shop.call("CA1", ANA);
    call.three_drinks().await;
    let first = json!({"index": 0});
    let removed = call.ask_in(1, "remove_from_cart", &first).await;
    assert_eq!((&removed["removed"]["flavor"], &removed["cart_count"]), (&json!("taro milk tea"), &json!(2)));
    let again = call.ask_in(2, "remove_from_cart", &first).await;
    let mut told = removed.clone();
    told["repeated"] = true.into();
    told["note"] = again["note"].clone();
    assert_eq!(again, told);
    assert!(again["note"].as_str().unwrap().contains("get_cart"));
    // Also in other spelling, and after something else was done.
    call.ask_in(3, "remove_from_cart", &json!({"index": 1})).await;
    let request = call.request("b4", 4, "remove_from_cart", r#""{ \"index\" : 0 }""#);
    assert_eq!(call.carry_out(request).await.0["repeated"], true);
    assert_eq!(call.ok("get_cart", json!({})).await["count"], 1);
    // Who has looked knows what stands there.
    let last = call.ask_in(5, "remove_from_cart", &first).await;
    assert_eq!((&last["removed"]["flavor"], &last["repeated"]), (&json!("black milk tea"), &Value::Null));
}

#[tokio::test]
async fn two_lines_are_removed_by_one_message_or_in_two_turns() {
    let shop = Counter::new("boba").await;
    let mut call = shop.call("CA1", ANA);
    call.three_drinks().await;
    let first = json!({"index": 0});
    for left in [2, 1] {
        assert_eq!(call.ask_in(1, "remove_from_cart", &first).await["cart_count"], left);
    }
    assert_eq!(call.heard().ask_in(2, "remove_from_cart", &first).await["cart_count"], 0);
    // Nothing was done: there is nothing to repeat.
    assert_eq!(call.heard().ask_in(3, "remove_from_cart", &first).await["code"], "BAD_INDEX");
    assert_eq!(call.ask_in(4, "remove_from_cart", &first).await["code"], "BAD_INDEX");
}

#[tokio::test]
async fn a_change_by_place_does_not_hit_the_line_that_has_moved_there() {
    let shop = Counter::new("boba").await;
    let mut call = shop.call("CA1", ANA);
    call.three_drinks().await;
    let (two, less) = (json!({"index": 0, "quantity": 2}), json!({"ice": "less ice"}));
    let changed = call.ask_in(1, "modify_cart_item", &two).await;
    call.ask_in(2, "set_sweetness_ice", &less).await;
    call.ask_in(3, "remove_from_cart", &json!({"index": 0})).await;
    call.ask_in(4, "remove_from_cart", &json!({"index": 1})).await;
    let again = call.ask_in(5, "modify_cart_item", &two).await;
    assert_eq!((&again["item"], &again["repeated"]), (&changed["item"], &json!(true)));
    assert_eq!(call.ask_in(6, "set_sweetness_ice", &less).await["repeated"], true);
    let cart = call.ok("get_cart", json!({})).await;
    assert_eq!((&cart["count"], &cart["items"][0]["ice"]), (&json!(1), &json!("regular ice")));
}

#[tokio::test]
async fn a_removal_that_was_taken_back_can_be_made_again() {
    let shop = Counter::new("boba").await;
    let mut call = shop.call("CA1", ANA);
    call.three_drinks().await;
    let first = json!({"index": 0});
    call.ask_in(1, "remove_from_cart", &first).await;
    call.desk.cancel(&["b1".to_owned()]);
    let again = call.ask_in(2, "remove_from_cart", &first).await;
    assert_eq!((&again["cart_count"], &again["repeated"]), (&json!(2), &Value::Null));
}

#[tokio::test]
async fn an_order_after_a_read_back_that_was_cut_off_is_told_once_more() {
    let shop = Counter::new("boba").await;
    let mut call = shop.call("CA1", ANA);
    call.take_drink(json!({"flavor": "taro"})).await;
    let mut request = call.request("1", 0, "checkout_order", &json!({"phone": ANA}).to_string());
    request.heard = false;
    let (placed, effect) = call.carry_out(request).await;
    assert!(matches!(effect, Some(Effect::OrderPlaced { .. })), "nothing is refused for it");
    assert_eq!((&placed["ok"], &placed["heard"]), (&json!(true), &json!(false)));
    let cart = call.desk.menu.cart_summary(&shop.orders.recent(1).await.unwrap()[0].order.items);
    assert_eq!(placed["summary"], cart);

    call.take_drink(json!({"flavor": "black"})).await;
    let more = call.ok("checkout_order", json!({})).await;
    assert!(more.get("heard").is_none() && more.get("summary").is_none(), "it was heard: {more}");
    assert_eq!(more["order_id"], placed["order_id"], "what is missing is added");
}

/// One request of a call: the tool and its arguments, and whether the caller is heard before it.
type Asked = (usize, usize, bool);

fn request((tool, which, _): Asked) -> (&'static str, Value) {
    let index = which % 3;
    match tool {
        0 | 1 => ("add_to_cart", json!({"flavor": (["taro", "black"][which % 2]), "quantity": (1 + which / 2)})),
        2 => ("update_pending_item", json!({"quantity": 1 + index})),
        3..=5 => ("confirm_pending_to_cart", json!({})),
        6 => ("clear_pending_item", json!({})),
        7 => ("get_cart", json!({})),
        8 | 9 => ("remove_from_cart", json!({"index": index})),
        10 => ("modify_cart_item", json!({"index": index, "quantity": 1 + which / 3})),
        11 => ("set_sweetness_ice", json!({"ice": (["no ice", "less ice"][which % 2])})),
        12 => ("save_phone_number", json!({"phone": format!("555-123-456{which}")})),
        13 => ("confirm_phone_number", json!({"confirmed": which % 2 == 0})),
        14 => ("order_is_placed", json!({})),
        _ => ("checkout_order", json!({"phone": ANA, "confirmed": true})),
    }
}

/// Carries requests out, each in a message of its own, and repeats some: `again` tells how many steps later, if at all. What
/// is there in the end: the cart, and the drinks of every order.
async fn outcome(asked: &[Asked], again: &[Option<usize>]) -> (Value, Value, Vec<Vec<Value>>) {
    let shop = Counter::new("boba").await;
    let mut call = shop.call("CA1", ANA);
    let mut batch = 0;
    let mut later: Vec<(usize, &str, Value)> = Vec::new();
    for (at, one) in asked.iter().enumerate() {
        if one.2 {
            call.heard();
            later.clear();
        }
        let (name, arguments) = request(*one);
        batch += 1;
        let answer = call.ask_in(batch, name, &arguments).await;
        if name == "get_cart" {
            later.clear();
        }
        match again.get(at).copied().flatten() {
            Some(0) => later.push((at, name, arguments)),
            // Only what is addressed by its place can do harm later on. What was refused may be asked for again.
            Some(steps)
                if matches!(name, "remove_from_cart" | "modify_cart_item" | "set_sweetness_ice")
                    && answer["ok"] == true =>
            {
                later.push((at + steps, name, arguments));
            }
            _ => {}
        }
        for (_, name, arguments) in later.iter().filter(|(due, ..)| *due == at) {
            batch += 1;
            call.ask_in(batch, name, arguments).await;
        }
    }
    let orders = shop.orders.recent(10).await.unwrap();
    let drinks = orders.iter().map(|record| record.order.items.iter().map(|item| json!(item)).collect()).collect();
    let phone = json!(call.desk.journal.phone());
    (call.ok("get_cart", json!({})).await, phone, drinks)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// A call in which requests come twice, at once or – where it could do harm – later in the same turn, ends as the call in
    /// which they come once.
    #[test]
    fn nothing_is_doubled(
        asked in prop::collection::vec((0_usize..17, 0_usize..6, prop::bool::weighted(0.6)), 1..30),
        again in prop::collection::vec(prop::option::of(0_usize..4), 30),
    ) {
        tokio::runtime::Runtime::new().unwrap().block_on(async {
            assert_eq!(outcome(&asked, &again).await, outcome(&asked, &[]).await);
        });
    }
}
