//! From "Place Order" to an order that is taken, refused, sent again, given up.

use super::*;
use crate::table::protocol::RefusalCode;

/// A table whose cart of one line by each is being placed by Ada.
fn placing() -> Table {
    let mut table = Table::of_two();
    table.says("m1", json!({"type": "add_item", "op_id": "x", "item": {"flavor": "taro", "qty": 2}}));
    table.says("m2", json!({"type": "add_item", "op_id": "y", "item": {"flavor": "black"}}));
    assert!(table.places("m1").is_empty(), "nobody is told before there is an order");
    table
}

/// The same, when the point of sale has it.
fn sent() -> (Table, OrderNews) {
    let mut table = placing();
    let news = order(1, 1, table.items());
    table.placed(news.clone());
    (table, news)
}

/// The same, when the point of sale has refused it.
fn failed() -> (Table, OrderNews) {
    let (mut table, news) = sent();
    table.hears(news.clone().refused("The kitchen is closed."));
    (table, news)
}

fn refused(code: RefusalCode, message: &str) -> PlacementRefused {
    PlacementRefused { code, message: message.to_owned(), next_free: Vec::new() }
}

#[test]
fn an_order_holds_the_whole_cart() {
    let mut table = Table::of_two();
    table.adds("m1", "taro", 2);
    table.adds("m2", "black", 1);
    table.adds("m1", "black", 1);
    let view = table.view();
    table.says(
        "m2",
        json!({
            "type": "place_order", "op_id": "go", "revision": view["revision"], "total": view["total"],
            "special_instructions": "by the window", "phone": "(201) 555-0123", "pickup_at": "2026-01-31T12:00:00Z"
        }),
    );
    let placement = table.placement().expect("it is placed").clone();
    assert_eq!(placement.key, "table:s1:m2-go");
    assert_eq!((placement.again, placement.items), (None, table.items()));
    assert_eq!(placement.guests, ["Ada", "Bob", "Ada"]);
    assert_eq!((placement.most_drinks, placement.notes), (20, Some(Some("by the window".to_owned()))));
    assert_eq!(placement.phone.map(|phone| phone.as_e164().to_owned()).as_deref(), Some("+12015550123"));
    assert_eq!((placement.name, placement.pickup_at), (None, None), "who sits here is served here");
    assert_eq!(table.session.placing(), Some("table:s1:m2-go"));
    let view = table.view();
    assert_eq!((&view["cart_locked"], &view["order_processing_status"]), (&json!(true), &json!("processing")));
    assert_eq!((&view["locked_by_name"], &view["items"][0]["state"]), (&json!("Bob"), &json!("locked")));
}

#[test]
fn who_sends_an_order_again_sees_what_was_wished_and_keeps_it() {
    let mut table = Table::of_two();
    table.adds("m1", "taro", 1);
    let places = |table: &mut Table, op_id: &str, wish: Option<&str>| {
        let view = table.view();
        let mut order = json!({
            "type": "place_order", "op_id": op_id, "revision": view["revision"], "total": view["total"]
        });
        if let Some(wish) = wish {
            order["special_instructions"] = wish.into();
        }
        table.says("m1", order);
        table.placement().expect("it is placed").notes.clone()
    };
    assert_eq!(places(&mut table, "a", Some("nut allergy")), Some(Some("nut allergy".to_owned())));
    for (op_id, version) in [("b", 1), ("c", 2)] {
        let news = order(1, version, table.items());
        table.placed(news.clone());
        table.hears(news.refused("The kitchen is closed."));
        assert_eq!(table.view()["pending_notes"], "nut allergy");
        assert_eq!(places(&mut table, op_id, None), None, "nothing was said of it");
        assert_eq!(table.view()["pending_notes"], "nut allergy");
    }
    let news = order(1, 3, table.items());
    table.placed(news.clone());
    table.hears(news.refused("The kitchen is closed."));
    assert_eq!(places(&mut table, "d", Some("")), Some(None), "it was taken away");
    assert_eq!(table.view()["pending_notes"], Value::Null);
}

#[test]
fn all_hear_who_locks_the_cart_and_that_the_order_was_taken() {
    let mut table = placing();
    let news = order(1, 1, table.items());
    let told = table.placed(news.clone());
    assert_eq!(types(&told), ["cart_locked", "order_processing", "done"]);
    let locked = &told[0];
    assert_eq!(
        (&locked["locked_by_member"], &locked["locked_by"], &locked["locked_by_name"]),
        (&json!("m1"), &json!("m1"), &json!("Ada"))
    );
    assert_eq!(
        (&locked["order_id"], &locked["message"]),
        (&json!("ORD-main-1"), &json!("Order is being processed..."))
    );
    assert_eq!(told[1]["message"], "Your order is being processed...");
    assert_eq!(told[2]["to"], "m1");
    assert_eq!(table.session.watched().first(), Some(&news.order_id));

    let told = table.hears(OrderNews { version: 2, ..news.at_status(OrderStatus::Received) });
    assert_eq!(types(&told), ["order_confirmed"]);
    let confirmed = &told[0];
    assert_eq!((&confirmed["message"], &confirmed["items"]), (&json!("Order placed successfully!"), &json!([])));
    let line = &confirmed["order"]["items"][1];
    assert_eq!(
        (&line["state"], &line["owner"], &line["flavor"]),
        (&json!("ordered"), &json!("m2"), &json!("black milk tea"))
    );
    let view = table.view();
    assert_eq!((&view["cart_locked"], &view["order_processing_status"]), (&json!(false), &json!("confirmed")));
    assert_eq!((&view["orders"][0], &view["pending_order_id"]), (&confirmed["order"], &Value::Null));
    table.adds("m1", "taro", 1);
    assert_eq!(table.view()["order_processing_status"], "idle");
}

#[test]
fn a_shop_without_a_point_of_sale_takes_it_at_once() {
    let mut table = placing();
    let told = table.placed(order(1, 1, table.items()).at_status(OrderStatus::Received));
    assert_eq!(types(&told), ["cart_locked", "done", "order_confirmed"]);
}

#[test]
fn what_an_order_becomes_is_told_once_a_version() {
    let (mut table, news) = sent();
    let ready = |version| OrderNews { version, ..news.clone().at_status(OrderStatus::Ready) };
    table.hears(OrderNews { version: 2, ..news.clone().at_status(OrderStatus::Received) });
    let told = table.hears(ready(4));
    assert_eq!((types(&told), &told[0]["order"]["status_label"]), (vec!["order_status"], &json!("Ready for pickup")));
    assert_eq!(told[0]["order"]["items"][0]["owner"], "m1");
    assert!(table.hears(ready(4)).is_empty());
    let late = OrderNews { version: 3, ..news.clone().at_status(OrderStatus::Preparing) };
    assert!(table.hears(late).is_empty(), "that was before");
    assert_eq!(table.session.watched().len(), 1);
    table.hears(OrderNews { version: 5, ..news.clone().at_status(OrderStatus::Completed) });
    assert!(table.session.watched().is_empty());
    table.input(Input::OrderDeleted(news.order_id));
    assert_eq!(types(&table.told()), ["snapshot", "snapshot"]);
    assert_eq!(table.view()["orders"], json!([]));
}

#[test]
fn two_who_place_in_the_same_instant_make_one_order() {
    let mut table = placing();
    let told = table.places("m2");
    let refusal = refusal(&told);
    let message = "Order already being processed by Ada";
    assert_eq!((&refusal["code"], &refusal["message"]), (&json!("IN_PROGRESS"), &json!(message)));
    assert!(table.placement().is_none());
    table.placed(order(1, 1, table.items()));
    let told = table.places("m2");
    assert_eq!(super::refusal(&told)["code"], "IN_PROGRESS");
}

#[test]
fn a_locked_cart_is_changed_by_nobody() {
    for mut table in [placing(), sent().0] {
        let before = table.view();
        for message in [
            json!({"type": "add_item", "item": {"flavor": "taro"}}),
            json!({"type": "update_item", "public_id": "m1-x", "revision": 1, "item": {"qty": 1}}),
            json!({"type": "remove_item", "public_id": "m1-x", "revision": 1}),
            json!({"type": "clear_cart", "revision": before["revision"]}),
        ] {
            let told = table.says("m2", message);
            let refusal = refusal(&told);
            assert_eq!(
                (&refusal["code"], &refusal["message"]),
                (&json!("CART_LOCKED"), &json!("Order being processed by Ada"))
            );
        }
        assert_eq!(table.view(), before);
        assert_eq!(types(&table.says("m2", json!({"type": "set_name", "name": "Bo"}))), ["presence", "done"]);
    }
}

#[test]
fn an_order_that_is_asked_for_again_is_the_same_one() {
    let mut table = Table::of_two();
    table.adds("m1", "taro", 1);
    let place = json!({"type": "place_order", "op_id": "go", "revision": 1, "total": 5.5});
    table.says("m1", place.clone());
    assert!(table.says("m1", place.clone()).is_empty(), "its answer is on its way");
    let news = order(1, 1, table.items());
    table.placed(news.clone());
    assert_eq!(types(&table.says("m1", place.clone())), ["done"]);
    table.hears(OrderNews { version: 2, ..news.at_status(OrderStatus::Received) });
    assert_eq!(types(&table.says("m1", place)), ["done"]);
    assert!(table.placement().is_none());
}

#[test]
fn what_the_guest_has_not_seen_is_not_ordered() {
    let mut table = Table::of_two();
    table.adds("m1", "taro", 1);
    let place = |revision: u64, total: f64| json!({"type": "place_order", "revision": revision, "total": total});
    let told = table.says("m2", place(0, 0.0));
    assert_eq!(
        (types(&told), &told[0]["code"], &told[1]["to"]),
        (vec!["error", "snapshot"], &json!("STALE_CART"), &json!("m2"))
    );
    let told = table.says("m2", place(1, 0.01));
    let refusal = refusal(&told);
    let both = (&refusal["total"], &refusal["expected_total"]);
    assert_eq!((&refusal["code"], both), (&json!("PRICE_MISMATCH"), (&json!(5.5), &json!(0.01))));
    assert!(table.placement().is_none() && !table.snapshot().cart_locked);
    let mut table = Table::of_two();
    assert_eq!(super::refusal(&table.says("m1", place(0, 0.0)))["code"], "EMPTY_CART");
}

#[test]
fn nothing_is_ordered_that_the_shop_does_not_have_or_want() {
    let mut table = Table::of_two();
    table.says("m1", json!({"type": "add_item", "item": {"flavor": "taro", "toppings": ["boba"]}}));
    table.is_sold_out(&["boba"]);
    let told = table.places("m1");
    let refusal = refusal(&told);
    assert_eq!(refusal["code"], "SOLD_OUT");
    assert!(refusal["message"].as_str().is_some_and(|message| message.contains("boba is sold out")), "{refusal}");
    let notice = Notice { closed: Some("We are closed.".to_owned()), ..notice(&table.menu, &[]) };
    table.input(Input::Shop(notice));
    assert_eq!(table.told()[0]["closed"], "We are closed.");
    let told = table.places("m1");
    assert_eq!(
        (&super::refusal(&told)["code"], &super::refusal(&told)["message"]),
        (&json!("ORDERING_CLOSED"), &json!("We are closed."))
    );
}

#[test]
fn only_numbers_that_are_texted_are_taken_and_three_at_most() {
    let mut table = Table::of_two();
    table.adds("m1", "taro", 1);
    let mut place = |phone: &str| {
        let view = table.view();
        let message =
            json!({"type": "place_order", "revision": view["revision"], "total": view["total"], "phone": phone});
        let told = table.says("m1", message);
        if table.session.placing().is_some() {
            let key = table.session.placing().expect("it is").to_owned();
            table.input(Input::Placed(key, Err(refused(RefusalCode::NotSaved, "It was not saved."))));
            return json!("placed");
        }
        refusal(&told)["code"].clone()
    };
    for (phone, outcome) in [
        ("hello", "BAD_PHONE"),
        ("+44 20 7946 0958", "BAD_PHONE"),
        ("+1 900", "BAD_PHONE"),
        ("201 555 0123", "placed"),
        ("+1 (201) 555-0123", "placed"),
        ("201 555 0124", "placed"),
        ("201 555 0125", "placed"),
        ("201 555 0126", "PHONE_LIMIT"),
        ("201 555 0123", "placed"),
        ("", "placed"),
    ] {
        assert_eq!(place(phone), outcome, "{phone}");
    }
    let stored = serde_json::to_string(&table.session.stored()).expect("it can be written");
    assert!(!stored.contains("5550123"), "no list of numbers is kept");
}

#[test]
fn order_ahead_needs_a_name_and_a_time_where_there_are_slots() {
    let slots = format!("{}\n[slots]\nminutes = 15\ndrinks = 20\n", include_str!("../../../../menus/boba.toml"));
    let with_slots = Arc::new(Menu::parse(&slots).expect("a menu"));
    for (menu, without_time) in [(boba(), "placed"), (with_slots, "SLOT_UNAVAILABLE")] {
        let mut table = Table::with(Kind::Ahead, menu, &["Eve"]);
        table.adds("m1", "taro", 1);
        let mut place = json!({"type": "place_order", "revision": 1, "total": 5.5});
        assert_eq!(refusal(&table.says("m1", place.clone()))["code"], "NO_NAME");
        place["name"] = json!("Eve");
        let told = table.says("m1", place.clone());
        match without_time {
            "placed" => assert_eq!(table.placement().expect("it is placed").pickup_at, None),
            code => {
                assert_eq!(refusal(&told)["code"], code);
                place["pickup_at"] = json!("2026-01-31T09:30:00Z");
                table.says("m1", place);
                let placement = table.placement().expect("it is placed");
                assert_eq!(placement.pickup_at.map(|at| at.to_string()).as_deref(), Some("2026-01-31T09:30:00Z"));
            }
        }
    }
}

#[test]
fn a_placement_of_which_no_order_came_opens_the_cart() {
    let mut table = placing();
    let key = table.session.placing().expect("it is being placed").to_owned();
    table.input(Input::Placed("table:s1:another".to_owned(), Ok(order(9, 1, Vec::new()))));
    assert!(table.outputs.is_empty(), "that is not what is being placed");
    let next_free = vec![table.now];
    let refused = PlacementRefused { next_free, ..refused(RefusalCode::SlotUnavailable, "That time is taken.") };
    table.input(Input::Placed(key.clone(), Err(refused)));
    let told = table.told();
    assert_eq!(
        (types(&told), &told[0]["to"], &told[0]["op_id"]),
        (vec!["error", "cart_unlocked"], &json!("m1"), &json!("op3"))
    );
    assert_eq!(told[0]["next_free"], json!(["2026-01-31T09:00:00Z"]));
    assert_eq!(
        (&told[1]["items"][0]["state"], &table.view()["order_processing_status"]),
        (&json!("pending"), &json!("idle"))
    );
    // The same operation once more is done now, under the same key: the order service knows whether there was an order.
    let view = table.view();
    table.says(
        "m1",
        json!({"type": "place_order", "op_id": "op3", "revision": view["revision"], "total": view["total"]}),
    );
    assert_eq!(table.placement().map(|placement| placement.key.as_str()), Some(key.as_str()));
}

#[test]
fn a_failed_order_waits_and_is_sent_again_with_what_the_cart_then_holds() {
    let (mut table, news) = sent();
    let told = table.hears(news.clone().refused("The kitchen is closed."));
    assert_eq!(types(&told), ["order_failed", "cart_unlocked"]);
    let failed = &told[0];
    assert_eq!((&failed["error"], &failed["allow_retry"]), (&json!("The kitchen is closed."), &json!(true)));
    assert_eq!(failed["message"], "Order failed. Please try again.");
    let view = table.view();
    assert_eq!(
        (&view["order_processing_status"], &view["error"]),
        (&json!("failed"), &json!("The kitchen is closed."))
    );
    assert_eq!((&view["pending_order_id"], &view["locked_by"]), (&json!("ORD-main-1"), &Value::Null));
    assert!(table.hears(news.clone().refused("The kitchen is closed.")).is_empty(), "that is known");
    let told = table.hears(news.clone().refused("It is out of milk."));
    assert_eq!(types(&told), ["order_failed"], "the reason is another");

    table.adds("m2", "taro", 1);
    table.places("m2");
    let placement = table.placement().expect("it is placed").clone();
    assert_eq!((placement.again.as_ref(), placement.items.len()), (Some(&news.order_id), 3));
    let again = OrderNews { version: 2, ..order(1, 2, table.items()) };
    let told = table.placed(again.clone());
    assert_eq!(
        (types(&told), &told[0]["order_id"]),
        (vec!["cart_locked", "order_processing", "done"], &json!("ORD-main-1"))
    );
    let told = table.hears(OrderNews { version: 3, ..again.at_status(OrderStatus::Received) });
    assert_eq!((types(&told), &told[0]["items"]), (vec!["order_confirmed"], &json!([])));
}

#[test]
fn sending_again_that_is_refused_leaves_the_order_failed() {
    let (mut table, news) = failed();
    table.places("m2");
    let key = table.session.placing().expect("it is being placed").to_owned();
    table.input(Input::Placed(key, Err(refused(RefusalCode::OrderingClosed, "We are closed."))));
    let told = table.told();
    assert_eq!(types(&told), ["error", "order_failed", "cart_unlocked"]);
    assert_eq!((&told[1]["error"], &told[1]["order_id"]), (&json!("We are closed."), &json!("ORD-main-1")));
    assert_eq!(
        (&table.view()["order_processing_status"], table.session.watched()),
        (&json!("failed"), vec![news.order_id])
    );
}

#[test]
fn what_is_heard_while_an_order_is_sent_again_counts_by_its_version() {
    // Staff were faster: the order service refuses to send it again, and the order is taken as it was.
    let (mut table, news) = failed();
    table.adds("m2", "taro", 1);
    table.places("m2");
    assert!(table.hears(OrderNews { version: 2, ..news.clone().at_status(OrderStatus::Received) }).is_empty());
    let key = table.session.placing().expect("it is being placed").to_owned();
    table.input(Input::Placed(key, Err(refused(RefusalCode::NotSaved, "It was taken."))));
    let told = table.told();
    assert_eq!(types(&told), ["error", "order_failed", "cart_unlocked", "order_confirmed"]);
    assert_eq!(told[3]["items"].as_array().map(Vec::len), Some(1), "what was added since stays");

    // The same, when the order service answers with what it is.
    let (mut table, news) = failed();
    table.adds("m2", "taro", 1);
    table.places("m2");
    let told = table.placed(OrderNews { version: 2, ..news.at_status(OrderStatus::Received) });
    assert_eq!(types(&told), ["cart_locked", "done", "order_confirmed"]);
    assert_eq!((&told[1]["to"], told[2]["items"].as_array().map(Vec::len)), (&json!("m2"), Some(1)));

    // The point of sale was faster than the word that it was sent.
    let (mut table, news) = failed();
    table.adds("m2", "taro", 1);
    table.places("m2");
    table.hears(news.refused("The kitchen is closed."));
    let again = order(1, 2, table.items());
    table.hears(OrderNews { version: 3, ..again.clone().at_status(OrderStatus::Received) });
    let told = table.placed(again);
    assert_eq!((types(&told), &told[2]["items"]), (vec!["cart_locked", "done", "order_confirmed"], &json!([])));
}

#[test]
fn what_was_ordered_leaves_the_cart_and_nothing_else() {
    let (mut table, news) = failed();
    table.says("m2", json!({"type": "update_item", "public_id": "m1-x", "revision": 1, "item": {"qty": 3}}));
    table.says("m2", json!({"type": "add_item", "op_id": "z", "item": {"flavor": "taro"}}));
    let told = table.hears(OrderNews { version: 2, ..news.at_status(OrderStatus::Received) });
    assert_eq!(types(&told), ["order_confirmed"], "staff have accepted it after all");
    let left: Vec<_> = told[0]["items"].as_array().expect("a list").iter().map(|line| &line["public_id"]).collect();
    assert_eq!((left, &told[0]["total"]), (vec![&json!("m2-z")], &json!(5.5)));
    assert_eq!(told[0]["order"]["items"][0]["qty"], 2, "as it was ordered");
}

#[test]
fn an_empty_cart_gives_up_a_failed_order() {
    let (mut table, news) = failed();
    let revision = table.view()["revision"].clone();
    table.says("m1", json!({"type": "remove_item", "public_id": "m1-x", "revision": 1}));
    assert_eq!(table.cancelled(), None);
    table.says("m1", json!({"type": "remove_item", "public_id": "m2-y", "revision": 1}));
    assert_eq!(table.cancelled(), Some("ORD-main-1"));
    assert_eq!(table.view()["order_processing_status"], "idle");
    assert_eq!(table.session.watched().first(), Some(&news.order_id), "until it is known to be cancelled");
    assert!(table.hears(news.clone()).is_empty());
    assert_eq!(table.cancelled(), Some("ORD-main-1"), "a restarted server had not done it");
    assert!(table.hears(OrderNews { version: 2, ..news.at_status(OrderStatus::Cancelled) }).is_empty());
    assert!(table.session.watched().is_empty());
    table.adds("m1", "taro", 1);
    table.places("m1");
    assert_eq!(table.placement().expect("it is placed").again, None, "the next one is a new order");
    assert!(table.view()["revision"].as_u64() > revision.as_u64());

    let (mut table, news) = failed();
    let revision = table.view()["revision"].clone();
    table.says("m2", json!({"type": "clear_cart", "revision": revision}));
    assert_eq!(table.cancelled(), Some("ORD-main-1"));
    let told = table.hears(OrderNews { version: 2, ..news.at_status(OrderStatus::Received) });
    assert_eq!(
        (types(&told), table.view()["orders"].as_array().map(Vec::len)),
        (vec!["order_confirmed"], Some(1)),
        "staff were faster"
    );
}

#[test]
fn an_order_that_staff_cancel_is_over() {
    let (mut table, news) = sent();
    let cancelled = OrderNews { version: 2, ..news.clone().at_status(OrderStatus::Cancelled) };
    let told = table.hears(cancelled);
    assert_eq!((types(&told), &told[0]["allow_retry"]), (vec!["order_failed", "cart_unlocked"], &json!(false)));
    assert_eq!((&table.view()["order_processing_status"], table.items().len()), (&json!("idle"), 2));
    table.places("m2");
    assert_eq!(table.placement().expect("it is placed").again, None);

    let (mut table, _) = failed();
    table.input(Input::OrderDeleted(news.order_id));
    assert_eq!(types(&table.told()), ["order_failed"], "the cart was open");
    assert!(table.session.watched().is_empty(), "nobody brings it back");
}

/// An order that staff have cancelled while it was on its way.
fn called_off() -> (Table, OrderNews) {
    let (mut table, news) = sent();
    table.hears(OrderNews { version: 2, ..news.clone().at_status(OrderStatus::Cancelled) });
    (table, news)
}

#[test]
fn who_was_away_when_staff_cancelled_sees_it_until_the_cart_changes() {
    let (mut table, _) = called_off();
    let stored = table.session.stored();
    table.restarts_with(&stored);
    let view = table.view();
    let told = (&view["order_processing_status"], &view["error"], &view["pending_order_id"]);
    assert_eq!(told, (&json!("idle"), &json!("The shop has cancelled this order."), &Value::Null));
    table.adds("m2", "taro", 1);
    assert_eq!(table.view()["error"], Value::Null);
}

#[test]
fn an_order_that_staff_bring_back_is_on_its_way_again() {
    let (mut table, news) = called_off();
    let stored = table.session.stored();
    table.restarts_with(&stored);
    assert_eq!(table.session.watched(), std::slice::from_ref(&news.order_id), "staff may take it back");
    assert!(table.hears(news.clone()).is_empty(), "that was before");
    let told = table.hears(OrderNews { version: 3, ..news.clone() });
    assert_eq!(types(&told), ["cart_locked", "order_processing"]);
    let view = table.view();
    assert_eq!((&view["cart_locked"], &view["error"]), (&json!(true), &Value::Null));
    assert_eq!(refusal(&table.places("m2"))["code"], "IN_PROGRESS", "nobody orders it a second time");
    let told = table.hears(OrderNews { version: 4, ..news.at_status(OrderStatus::Received) });
    assert_eq!((types(&told), &told[0]["items"]), (vec!["order_confirmed"], &json!([])));

    let (mut table, news) = called_off();
    let told = table.hears(OrderNews { version: 4, ..news.at_status(OrderStatus::Received) });
    assert_eq!((types(&told), &told[0]["items"]), (vec!["order_confirmed"], &json!([])), "the till was fast");

    let (mut table, news) = called_off();
    let told = table.hears(OrderNews { version: 3, ..news.clone().refused("The kitchen is closed.") });
    assert_eq!(types(&told), ["cart_locked", "order_processing", "order_failed", "cart_unlocked"]);
    table.places("m2");
    assert_eq!(table.placement().expect("it is placed").again, Some(news.order_id), "as before it was cancelled");
}

#[test]
fn an_order_that_is_brought_back_too_late_waits_for_the_next_one() {
    let (mut table, news) = called_off();
    table.places("m2");
    assert_eq!(table.placement().expect("it is placed").again, None);
    assert!(table.hears(OrderNews { version: 3, ..news.clone() }).is_empty());
    table.placed(order(2, 1, table.items()));
    let told = table.hears(OrderNews { version: 4, ..news.clone().at_status(OrderStatus::Received) });
    assert_eq!((types(&told), &told[0]["order_id"]), (vec!["order_confirmed"], &json!("ORD-main-1")));
    let view = table.view();
    assert_eq!((&view["cart_locked"], &view["pending_order_id"]), (&json!(true), &json!("ORD-main-2")));
}

#[test]
fn staff_may_send_a_failed_order_once_more() {
    let (mut table, news) = failed();
    let told = table.hears(news.clone());
    assert_eq!(types(&told), ["cart_locked", "order_processing"]);
    assert_eq!(table.view()["cart_locked"], true);
    assert!(table.hears(news).is_empty());
}

#[test]
fn a_name_for_an_operation_from_long_ago_does_not_bring_its_order_back() {
    let mut table = placing();
    let news = order(1, 1, table.items()).at_status(OrderStatus::Received);
    table.placed(news.clone());
    table.adds("m1", "taro", 1);
    table.places("m1");
    let told = table.placed(news);
    assert_eq!((types(&told), &told[0]["code"]), (vec!["error", "cart_unlocked"], &json!("NOT_SAVED")));
    assert_eq!(table.items().len(), 1);
}

#[test]
fn a_restarted_server_asks_what_became_of_a_placement() {
    for became in [true, false] {
        let mut table = placing();
        let stored = table.session.stored();
        table.restarts_with(&stored);
        assert_eq!(table.session.placing(), Some("table:s1:m1-op3"));
        assert_eq!((&table.view()["cart_locked"], &table.view()["locked_by"]), (&json!(true), &json!("m1")));
        if became {
            let told = table.placed(order(1, 1, table.items()));
            assert_eq!(types(&told), ["cart_locked", "order_processing", "done"]);
            let stored = table.session.stored();
            table.restarts_with(&stored);
            assert_eq!(table.session.watched(), [OrderId::numbered("main", 1)]);
            let told =
                table.hears(OrderNews { version: 2, ..order(1, 2, table.items()).at_status(OrderStatus::Received) });
            assert_eq!(types(&told), ["order_confirmed"]);
        } else {
            let key = table.session.placing().expect("it is being placed").to_owned();
            table.input(Input::Placed(key, Err(refused(RefusalCode::NotSaved, "It was not saved."))));
            assert_eq!((table.items().len(), table.snapshot().cart_locked), (2, false));
        }
    }
}

/// An order is placed and taken, which is the `n`th one.
fn takes_one(table: &mut Table, n: u64) {
    table.adds("m1", "taro", 1);
    table.places("m1");
    let news = order(n, 1, table.items());
    table.placed(news.at_status(OrderStatus::Received));
}

#[test]
fn orders_have_a_pace_and_what_came_to_nothing_does_not_count() {
    let mut table = Table::of_two();
    for n in 1..=5 {
        takes_one(&mut table, n);
    }
    table.adds("m1", "taro", 1);
    table.places("m1");
    let key = table.session.placing().expect("it is the sixth").to_owned();
    let message = "Nothing was ordered.".to_owned();
    let refused = PlacementRefused { code: RefusalCode::NotSaved, message, next_free: Vec::new() };
    table.input(Input::Placed(key, Err(refused)));
    table.now += SignedDuration::from_mins(4);
    table.places("m1");
    let news = order(6, 1, table.items());
    table.placed(news.at_status(OrderStatus::Received));

    table.adds("m2", "taro", 1);
    let told = table.places("m2");
    assert_eq!((refusal(&told)["code"].as_str(), table.placement()), (Some("RATE_LIMITED"), None));
    assert_eq!(refusal(&told)["retry_after_ms"], 6 * 60 * 1000);
    table.now += SignedDuration::from_mins(6);
    table.places("m2");
    assert!(table.placement().is_some());
}

#[test]
fn ten_orders_are_made_at_once_and_the_latest_thirty_are_known() {
    let mut table = Table::of_two();
    for n in 1..=10 {
        takes_one(&mut table, n);
        table.now += SignedDuration::from_mins(2);
    }
    table.adds("m1", "taro", 1);
    assert_eq!(refusal(&table.places("m1"))["code"], "LIMIT");
    let items = table.items();
    table.hears(order(1, 2, items).at_status(OrderStatus::Ready));
    table.places("m1");
    let news = order(11, 1, table.items());
    table.placed(news.at_status(OrderStatus::Completed));
    for n in 2..=10 {
        table.hears(order(n, 2, Vec::new()).at_status(OrderStatus::Completed));
    }
    for n in 12..=45 {
        table.now += SignedDuration::from_mins(2);
        takes_one(&mut table, n);
        table.hears(order(n, 2, Vec::new()).at_status(OrderStatus::Completed));
    }
    let orders = table.snapshot().orders;
    assert_eq!(orders.len(), 31, "the one that waits to be fetched, and thirty");
    assert_eq!(orders[0].order_id.as_str(), "ORD-main-1");
    assert_eq!((orders[1].order_id.as_str(), orders[30].order_id.as_str()), ("ORD-main-16", "ORD-main-45"));
}

/// Today nobody sells any of what `failed` has in the cart.
fn without_black_and_taro() -> Arc<Menu> {
    let text = include_str!("../../../../menus/boba.toml");
    let text =
        text.replace("name = \"taro milk tea\"", "name = \"x\"").replace("name = \"black milk tea\"", "name = \"y\"");
    Arc::new(Menu::parse(&text).expect("a menu"))
}

#[test]
fn a_failed_order_that_cannot_be_sent_again_after_a_restart_is_cancelled() {
    let (mut table, news) = failed();
    let stored = table.session.stored();
    table.menu = without_black_and_taro();
    table.restarts_with(&stored);
    assert!(table.items().is_empty());
    assert_eq!(table.session.watched(), std::slice::from_ref(&news.order_id));
    table.hears(OrderNews { version: 2, ..news.refused("The kitchen is closed.") });
    assert_eq!(table.cancelled(), Some("ORD-main-1"));
}

#[test]
fn a_cart_that_is_unlocked_is_todays_menus() {
    let (mut table, news) = sent();
    let stored = table.session.stored();
    table.menu = without_black_and_taro();
    table.restarts_with(&stored);
    assert_eq!(table.items().len(), 2, "they were ordered yet");
    let told = table.hears(OrderNews { version: 2, ..news.refused("The kitchen is closed.") });
    let unlocked = told.iter().find(|message| message["type"] == "cart_unlocked").expect("it is unlocked");
    assert_eq!(unlocked["items"], json!([]));
    assert_eq!(table.cancelled(), Some("ORD-main-1"), "none of it can be sent again");
}
