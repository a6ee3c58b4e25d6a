//! How a session ends.

use super::*;

fn is_over(table: &Table) -> bool {
    matches!(table.outputs.last(), Some(Output::Ended))
}

#[test]
fn staff_end_it_and_all_are_told() {
    let mut table = Table::of_two();
    table.input(Input::End("Thank you for your visit!".to_owned()));
    assert_eq!(table.told(), [json!({"type": "session_ended", "message": "Thank you for your visit!"})]);
    assert!(is_over(&table) && matches!(table.outputs.first(), Some(Output::Save)));
    assert!(table.adds("m1", "taro", 1).is_empty(), "nothing happens any more");
}

#[test]
fn it_ends_when_nothing_has_happened_for_long() {
    let mut table = Table::of_two();
    table.now = start_of_time() + SignedDuration::from_hours(2);
    table.adds("m1", "taro", 1);
    assert_eq!(table.session.next_deadline(), table.now + SignedDuration::from_hours(3));
    table.now = table.session.next_deadline() - SignedDuration::from_millis(1);
    assert!(table.input(Input::Tick).is_empty());
    table.now = table.session.next_deadline();
    table.input(Input::Tick);
    assert!(is_over(&table));
}

#[test]
fn who_orders_ahead_for_the_evening_finds_it_in_the_evening() {
    let mut table = Table::of(Kind::Ahead, &["Ada"]);
    table.adds("m1", "taro", 1);
    let view = table.view();
    let place = json!({
        "type": "place_order", "revision": view["revision"], "total": view["total"], "name": "Ada", "pickup_at": null
    });
    table.says("m1", place);
    let evening = start_of_time() + SignedDuration::from_hours(8);
    let news = OrderNews { ready_at: Some(evening), ..order(1, 1, table.items()) };
    table.placed(news.clone().at_status(OrderStatus::Received));
    assert_eq!(table.session.next_deadline(), evening + SignedDuration::from_hours(3));
    // What is fetched is waited for no longer.
    table.hears(OrderNews { version: 2, ..news.at_status(OrderStatus::Completed) });
    assert_eq!(table.session.next_deadline(), table.now + SignedDuration::from_hours(3));
}

#[test]
fn it_does_not_end_while_an_order_is_on_its_way() {
    let mut table = Table::of_two();
    table.adds("m1", "taro", 1);
    table.places("m1");
    table.now = table.session.next_deadline();
    assert!(table.input(Input::Tick).is_empty());
    assert!(table.session.next_deadline() > table.now, "or it would be asked again at once");
}

#[test]
fn an_order_that_failed_is_cancelled_with_it() {
    let mut table = Table::of_two();
    table.adds("m1", "taro", 1);
    table.places("m1");
    let news = order(1, 1, table.items());
    table.placed(news.clone());
    table.hears(news.refused("The kitchen is closed."));
    table.input(Input::End("Bye!".to_owned()));
    assert!(is_over(&table));
    assert_eq!(table.cancelled(), Some("ORD-main-1"));
}

#[test]
fn an_order_on_its_way_is_not_but_what_becomes_of_it_is_asked_for() {
    let mut table = Table::of_two();
    table.adds("m1", "taro", 1);
    table.places("m1");
    let news = order(1, 1, table.items());
    table.placed(news);
    table.input(Input::End("Bye!".to_owned()));
    let is_abandoned = |table: &Table| {
        let mut abandoned = table.outputs.iter();
        abandoned.any(|output| matches!(output, Output::Abandon(order) if order.as_str() == "ORD-main-1"))
    };
    assert!(is_over(&table) && is_abandoned(&table));
    assert_eq!(table.cancelled(), None);
    // The server stops before the point of sale has answered.
    let stored = table.session.stored();
    table.restarts_with(&stored);
    let reason = table.session.ending().expect("it was over").to_owned();
    table.input(Input::End(reason));
    assert!(is_over(&table) && is_abandoned(&table));
}

#[test]
fn it_waits_for_what_is_being_placed() {
    let mut table = Table::of_two();
    table.adds("m1", "taro", 1);
    table.places("m1");
    table.input(Input::End("Bye!".to_owned()));
    assert!(!is_over(&table) && table.told().is_empty());
    let stored = table.session.stored();
    table.restarts_with(&stored);
    let told = table.placed(order(1, 1, table.items()));
    assert_eq!(types(&told), ["cart_locked", "order_processing", "done", "session_ended"]);
    assert!(is_over(&table));
}

#[test]
fn staff_see_what_there_is() {
    let mut table = Table::of_two();
    table.adds("m1", "taro", 2);
    insta::assert_json_snapshot!(table.session.overview(), @r#"
    {
      "session": "s1",
      "kind": "table",
      "guests": [
        "Ada",
        "Bob"
      ],
      "connected": 2,
      "count": 2,
      "orders": 0,
      "locked": false,
      "bill_asked_at": null,
      "started_at": "2026-01-31T09:00:00Z",
      "last_active": "2026-01-31T09:00:00Z"
    }
    "#);
}

#[test]
fn it_ends_soon_when_nobody_is_there_and_nothing_either() {
    let mut table = Table::of_two();
    table.input(Input::Disconnected("m1".to_owned()));
    table.now += SignedDuration::from_hours(1);
    table.input(Input::Disconnected("m2".to_owned()));
    assert_eq!(table.session.next_deadline(), table.now + SignedDuration::from_mins(10));
    // Somebody looks in again.
    table.now += SignedDuration::from_mins(9);
    table.input(Input::Connected("m1".to_owned()));
    table.now += SignedDuration::from_mins(9);
    assert!(table.input(Input::Tick).is_empty());
    table.input(Input::Disconnected("m1".to_owned()));
    // A restart is nobody's fault.
    table.now += SignedDuration::from_mins(9);
    let stored = table.session.stored();
    table.restarts_with(&stored);
    assert!(table.session.next_deadline() <= table.now, "it wants to know the time");
    assert!(table.input(Input::Tick).is_empty());
    assert_eq!(table.session.next_deadline(), table.now + SignedDuration::from_mins(10));
    table.now = table.session.next_deadline();
    table.input(Input::Tick);
    assert!(is_over(&table));
}

#[test]
fn a_drink_in_the_cart_waits_for_hours() {
    let mut table = Table::of(Kind::Table, &["Ada"]);
    table.adds("m1", "taro", 1);
    table.input(Input::Disconnected("m1".to_owned()));
    assert_eq!(table.session.next_deadline(), table.now + SignedDuration::from_hours(3));
}
