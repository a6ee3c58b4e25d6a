//! What is in the cart, and who may change it.

use super::*;

#[test]
fn everybody_is_told_of_a_line_and_who_added_it() {
    let mut table = Table::of_two();
    let item = json!({"flavor": "taro", "toppings": ["boba"], "qty": 2, "note": "hot"});
    let told = table.says("m2", json!({"type": "add_item", "op_id": "x", "item": item}));
    insta::assert_json_snapshot!(told, @r#"
    [
      {
        "type": "add_item",
        "op_id": "x",
        "by": "m2",
        "revision": 1,
        "total": 12.5,
        "count": 2,
        "line": {
          "public_id": "m2-x",
          "owner": "m2",
          "state": "pending",
          "revision": 1,
          "flavor": "taro milk tea",
          "toppings": [
            "boba"
          ],
          "sweetness": "50%",
          "ice": "regular ice",
          "addons": [],
          "qty": 2,
          "quantity": 2,
          "price": 6.25,
          "subtotal": 12.5,
          "note": "hot"
        }
      }
    ]
    "#);
    assert!(matches!(table.outputs.first(), Some(Output::Save)), "it is to be saved");
    assert_eq!(table.snapshot().total, money(12.5));
}

#[test]
fn an_operation_is_done_once_and_answered_again() {
    let mut table = Table::of_two();
    let add = json!({"type": "add_item", "op_id": "x", "item": {"flavor": "taro"}});
    table.says("m1", add.clone());
    assert_eq!(table.says("m1", add.clone()), [json!({"type": "done", "op_id": "x", "revision": 1, "to": "m1"})]);
    assert!(!table.outputs.iter().any(|output| matches!(output, Output::Save)), "nothing has changed");
    assert_eq!(types(&table.says("m2", add)), ["add_item"], "another member's names are their own");
    assert_eq!(table.items().len(), 2);
}

#[test]
fn the_last_two_hundred_operations_are_known() {
    let mut table = Table::of_two();
    let rename = |n: u32| json!({"type": "set_name", "op_id": format!("r{n}"), "name": format!("Ada {n}")});
    for n in 0..=200 {
        table.says("m1", rename(n));
    }
    assert_eq!(types(&table.says("m1", rename(1))), ["done"], "known");
    assert_eq!(types(&table.says("m1", rename(0))), ["presence", "done"], "forgotten");
}

#[test]
fn a_forgotten_addition_still_makes_no_second_line() {
    let mut table = Table::of_two();
    let add = json!({"type": "add_item", "op_id": "x", "item": {"flavor": "taro"}});
    table.says("m1", add.clone());
    for n in 0..200 {
        table.says("m1", json!({"type": "set_name", "op_id": format!("r{n}"), "name": "Ada"}));
    }
    assert_eq!(types(&table.says("m1", add)), ["done"]);
    assert_eq!(table.items().len(), 1);
}

#[test]
fn anybody_may_change_a_line_as_they_have_seen_it() {
    let mut table = Table::of_two();
    table.says("m1", json!({"type": "add_item", "op_id": "x", "item": {"flavor": "taro", "note": "hot"}}));
    let change = |revision: u64, item: Value| json!({"type": "update_item", "public_id": "m1-x", "revision": revision, "item": item});
    let told = table.says("m2", change(1, json!({"qty": 3, "note": ""})));
    let line = &told[0]["line"];
    assert_eq!((&told[0]["by"], &line["owner"], &line["revision"]), (&json!("m2"), &json!("m1"), &json!(2)));
    assert_eq!((&line["qty"], line.get("note"), &told[0]["total"]), (&json!(3), None, &json!(16.5)));

    let before = table.view();
    let told = table.says("m1", change(1, json!({"qty": 1})));
    let refused = refusal(&told);
    assert_eq!((&refused["code"], &refused["to"], &refused["line"]), (&json!("CONFLICT"), &json!("m1"), line));
    let told = table.says("m1", json!({"type": "remove_item", "public_id": "m1-x", "revision": 1}));
    assert_eq!((&refusal(&told)["code"], &refusal(&told)["line"]), (&json!("CONFLICT"), line));
    assert_eq!(table.view(), before, "nothing was changed");

    assert_eq!(types(&table.says("m1", change(2, json!({"qty": 3})))), ["done"], "it is three already");
    let told = table.says("m1", json!({"type": "remove_item", "public_id": "m1-x", "revision": 2}));
    assert_eq!((&told[0]["public_id"], &told[0]["count"], &told[0]["total"]), (&json!("m1-x"), &json!(0), &json!(0.0)));
    let told = table.says("m2", change(2, json!({"qty": 1})));
    assert_eq!((&refusal(&told)["code"], refusal(&told).get("line")), (&json!("CONFLICT"), None), "it is gone");
}

#[test]
fn a_line_of_another_table_is_none_of_this_one() {
    let mut table = Table::of_two();
    let mut other = Table::of(Kind::Table, &["Eve"]);
    other.says("m1", json!({"type": "add_item", "op_id": "theirs", "item": {"flavor": "taro"}}));
    let told = table.says("m1", json!({"type": "remove_item", "public_id": "m1-theirs", "revision": 1}));
    assert_eq!(refusal(&told)["code"], "CONFLICT");
    let operation = Operation { op_id: "y".to_owned(), action: Action::AskToPay };
    assert!(table.input(Input::Operation("m7".to_owned(), operation)).is_empty(), "nobody of that name is here");
}

#[test]
fn what_the_menu_does_not_have_is_refused_with_what_it_has() {
    let mut table = Table::of_two();
    for (item, code, choices) in [
        (json!({"flavor": "cola"}), "UNKNOWN_OPTION", 2),
        (json!({}), "UNKNOWN_OPTION", 2),
        (json!({"flavor": "milk tea"}), "AMBIGUOUS", 2),
        (json!({"flavor": "taro", "price": 0.01}), "UNKNOWN_OPTION", 0),
        (json!({"flavor": "taro", "owner": "m2"}), "UNKNOWN_OPTION", 0),
        (json!({"flavor": "taro", "qty": 0}), "UNKNOWN_OPTION", 0),
        (json!({"flavor": "taro", "addons": ["matcha stencil on top"]}), "RULE", 1),
        (json!({"flavor": "taro", "note": "x".repeat(201)}), "BAD_MESSAGE", 0),
    ] {
        let told = table.says("m1", json!({"type": "add_item", "op_id": "x", "item": item}));
        let refused = refusal(&told);
        let listed = refused.get("choices").and_then(Value::as_array).map_or(0, Vec::len);
        assert_eq!((&refused["code"], listed), (&json!(code), choices), "{item}");
    }
    assert!(table.items().is_empty());
    // What was refused was not done, so its name is free.
    assert_eq!(
        types(&table.says("m1", json!({"type": "add_item", "op_id": "x", "item": {"flavor": "taro"}}))),
        ["add_item"]
    );
}

#[test]
fn the_limit_is_each_members_own() {
    let mut table = Table::of_two();
    table.adds("m1", "taro", 9);
    let told = table.adds("m1", "black", 2);
    assert_eq!(refusal(&told)["code"], "LIMIT");
    assert_eq!(types(&table.adds("m1", "black", 1)), ["add_item"]);
    assert_eq!(types(&table.adds("m2", "black", 10)), ["add_item"]);
    let line = json!(table.snapshot().items[0]);
    let more = |qty: u64| json!({"type": "update_item", "public_id": line["public_id"], "revision": line["revision"], "item": {"qty": qty}});
    for qty in [10, u64::from(u32::MAX), u64::MAX] {
        let told = table.says("m2", more(qty));
        assert_eq!(refusal(&told)["code"], "LIMIT", "it counts as its owner's: {qty}");
    }
    assert_eq!(types(&table.says("m2", more(8))), ["update_item"]);
    assert_eq!(table.view()["drinks_per_member"], 10);
}

#[test]
fn what_is_sold_out_is_not_added_and_what_needs_it_neither() {
    let mut table = Table::of_two();
    table.says(
        "m1",
        json!({"type": "add_item", "op_id": "x", "item": {"flavor": "taro", "toppings": ["vanilla cream"]}}),
    );
    let told = table.is_sold_out(&["vanilla cream"]);
    let names = json!(["vanilla cream", "matcha stencil on top"]);
    assert_eq!(told, [json!({"type": "shop", "sold_out": names, "closed": null})]);
    assert!(table.is_sold_out(&["vanilla cream"]).is_empty(), "that is known");
    for item in [
        json!({"flavor": "taro", "toppings": ["vanilla cream"]}),
        json!({"flavor": "taro", "addons": ["matcha stencil on top"]}),
    ] {
        let told = table.says("m2", json!({"type": "add_item", "item": item}));
        assert_eq!(refusal(&told)["code"], "SOLD_OUT", "{item}");
    }
    let change = |revision: u64, item: Value| json!({"type": "update_item", "public_id": "m1-x", "revision": revision, "item": item});
    let told = table.says("m1", change(1, json!({"qty": 2})));
    assert_eq!(refusal(&told)["code"], "SOLD_OUT", "not more of it");
    assert_eq!(types(&table.says("m1", change(1, json!({"note": "quick"})))), ["update_item"]);
    assert_eq!(types(&table.says("m1", change(2, json!({"toppings": []})))), ["update_item"]);
}

#[test]
fn a_cart_is_cleared_as_it_was_seen() {
    let mut table = Table::of_two();
    table.adds("m1", "taro", 1);
    table.adds("m2", "black", 1);
    let told = table.says("m1", json!({"type": "clear_cart", "revision": 1}));
    assert_eq!((refusal(&told)["code"].as_str(), told.len()), (Some("STALE_CART"), 1));
    assert_eq!(types(&table.says("m1", json!({"type": "clear_cart", "revision": 2}))), ["clear_cart"]);
    assert!(table.items().is_empty());
    assert_eq!(types(&table.says("m1", json!({"type": "clear_cart", "revision": 3}))), ["done"], "it is empty");
}

#[test]
fn a_restored_cart_is_todays_menus() {
    let mut table = Table::of_two();
    table.says("m1", json!({"type": "add_item", "op_id": "a", "item": {"flavor": "taro", "toppings": ["boba"]}}));
    table
        .says("m1", json!({"type": "add_item", "op_id": "b", "item": {"flavor": "taro", "toppings": ["egg pudding"]}}));
    let stored = table.session.stored();
    let text = include_str!("../../../../menus/boba.toml");
    let text = text.replacen("price = 5.50", "price = 6.00", 1).replace("name = \"egg pudding\"", "name = \"flan\"");
    table.menu = Arc::new(Menu::parse(&text).expect("a menu"));
    table.restarts_with(&stored);
    let cart = table.snapshot();
    let lines: Vec<_> = cart.items.iter().map(|line| (line.public_id.as_str(), line.revision)).collect();
    assert_eq!(lines, [("m1-a", 2)], "nobody sells egg pudding any more");
    assert_eq!((cart.total, cart.revision, cart.saved_revision), (money(6.75), 3, 2));
}
