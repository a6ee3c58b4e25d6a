//! Who is there.

use super::*;

#[test]
fn who_comes_in_is_dealt_an_id_and_a_colour() {
    let names: Vec<String> = (0..9).map(|n| format!("Guest {n}")).collect();
    let table = Table::of(Kind::Table, &names.iter().map(String::as_str).collect::<Vec<_>>());
    let members = table.snapshot().members;
    let dealt: Vec<_> = members.iter().map(|member| (member.member_id.as_str(), member.colour)).collect();
    let ids: Vec<String> = (1..=9).map(|n| format!("m{n}")).collect();
    let expected: Vec<_> = ids.iter().map(String::as_str).zip([0, 1, 2, 3, 4, 5, 6, 7, 0]).collect();
    assert_eq!(dealt, expected);
    assert_eq!(table.session.member_with("hash3"), Some("m4"));
    assert_eq!(table.session.member_with("m4"), None);
}

#[test]
fn a_member_is_there_as_long_as_one_screen_is() {
    let mut table = Table::of_two();
    table.input(Input::Connected("m1".to_owned()));
    assert_eq!(types(&table.told()), ["snapshot"], "the others know that Ada is there");
    assert!(table.input(Input::Disconnected("m1".to_owned())).is_empty());
    table.input(Input::Disconnected("m1".to_owned()));
    assert_eq!((&table.told()[0]["members"][0]["online"], table.told().len()), (&json!(false), 1));
    assert!(table.input(Input::Disconnected("m1".to_owned())).is_empty(), "she was gone");
    table.input(Input::Connected("m1".to_owned()));
    assert_eq!(types(&table.told()), ["snapshot", "presence"], "what a screen is told first is everything");
    assert!(table.input(Input::Connected("m9".to_owned())).is_empty(), "there is no such member");
    assert_eq!(table.session.overview().connected, 2);
}

#[test]
fn a_snapshot_is_the_members_own() {
    let mut table = Table::of_two();
    let told = table.says("m2", json!({"type": "snapshot"}));
    assert_eq!((&told[0]["you"], &told[0]["to"]), (&json!("m2"), &json!("m2")));
    assert_eq!(told[0]["join"], json!({"code": "4711", "link": "/t/tok?invite=inv"}));
    assert!(table.session.snapshot("m3", table.now).is_none());
    let alone = Table::of(Kind::Private, &["Eve"]);
    assert_eq!(alone.view()["join"], Value::Null, "nobody else can come");
}

#[test]
fn a_new_code_of_the_table_changes_the_link() {
    let mut table = Table::of_two();
    table.input(Input::Path("/t/new".to_owned()));
    let told = table.told();
    assert_eq!(types(&told), ["snapshot", "snapshot"]);
    assert_eq!(told[1]["join"]["link"], "/t/new?invite=inv");
    assert_eq!(table.session.door().path, "/t/new");
}

#[test]
fn a_guest_takes_another_name() {
    let mut table = Table::of_two();
    let told = table.says("m2", json!({"type": "set_name", "op_id": "n", "name": " Bo \n b "}));
    assert_eq!(types(&told), ["presence", "done"]);
    assert_eq!((&told[0]["members"][1]["name"], &told[1]["to"]), (&json!("Bo b"), &json!("m2")));
}

#[test]
fn the_bill_is_asked_for_once() {
    let mut table = Table::of_two();
    let told = table.says("m2", json!({"type": "ask_to_pay"}));
    assert_eq!((types(&told), &told[0]["by"]), (vec!["bill_asked", "done"], &json!("m2")));
    assert_eq!(types(&table.says("m1", json!({"type": "ask_to_pay"}))), ["done"]);
    assert_eq!(table.session.overview().bill_asked_at, Some(table.now));
    assert_eq!(table.view()["bill_asked"], true);
}

#[test]
fn after_a_restart_nobody_is_there_and_everything_else_is() {
    let mut table = Table::of_two();
    table.adds("m1", "taro", 2);
    let before = table.view();
    let stored = table.session.stored();
    table.restarts_with(&stored);
    assert!(table.snapshot().members.iter().all(|member| !member.online));
    table.input(Input::Connected("m1".to_owned()));
    table.input(Input::Connected("m2".to_owned()));
    let after = table.view();
    assert_eq!(after["saved_revision"], before["revision"], "what was kept was saved");
    for key in ["items", "total", "revision", "members", "orders", "join", "kind", "table"] {
        assert_eq!(after[key], before[key], "{key}");
    }
    assert_eq!(
        types(&table.says("m1", json!({"type": "add_item", "op_id": "op1", "item": {"flavor": "taro"}}))),
        ["done"]
    );
}

#[test]
fn what_is_saved_is_told_once() {
    let mut table = Table::of_two();
    table.adds("m1", "taro", 1);
    table.input(Input::Saved(1));
    assert_eq!(table.told(), [json!({"type": "saved", "revision": 1})]);
    assert!(table.input(Input::Saved(1)).is_empty());
    assert!(table.input(Input::Saved(0)).is_empty());
    assert_eq!(table.view()["saved_revision"], 1);
}
