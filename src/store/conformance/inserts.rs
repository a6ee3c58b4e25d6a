//! New orders: ids, numbers and keys.

use super::*;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

fn n(record: &Record) -> u64 {
    record.order.order_id.number_at(SHOP).expect("an id of the shop's own")
}

pub(in crate::store) async fn ids_count_up_and_are_never_given_again(place: &dyn Harness) {
    let store = open(place).await;
    assert_eq!(store.counter().await.expect("the counter"), 0);
    let first = Draft::default().insert(&store).await;
    assert_eq!((first.order.order_id.as_str(), first.revision), ("ORD-main-1", 1));
    let second = Draft::default().insert(&store).await;
    assert_eq!(n(&second), 2);
    remove(&store, &second.order.order_id, at(0)).await.expect("it is removed");
    let third = Draft::default().insert(&store).await;
    assert!(n(&third) > n(&second), "an id was given again: {}", third.order.order_id);

    remove(&store, &third.order.order_id, at(0)).await.expect("it is removed");
    let store = reopen(place, store).await;
    let fourth = Draft::default().insert(&store).await;
    assert!(n(&fourth) > n(&third), "an id was given again: {}", fourth.order.order_id);

    drop(store);
    let store = place.open(Access::Write, true).await.expect("it opens");
    let fifth = Draft::default().insert(&store).await;
    assert!(n(&fifth) > n(&fourth), "an id was given again: {}", fifth.order.order_id);
    assert!(store.counter().await.expect("the counter") >= n(&fifth));
}

pub(in crate::store) async fn a_refused_order_costs_no_id_and_is_told_to_nobody(place: &dyn Harness) {
    let store = open(place).await;
    for _ in 0..3 {
        facts(&store, Draft { key: Some("call:1".into()), ..Draft::default() }.ask()).await;
    }
    assert_eq!(store.by_key("call:1").await.expect("a look-up"), None);
    assert_eq!(n(&*Draft::default().insert(&store).await), 1);
}

pub(in crate::store) async fn an_order_may_bring_its_own_id_once(place: &dyn Harness) {
    let store = open(place).await;
    let draft = Draft { id: Some(id("till-7")), ..Draft::default() };
    assert!(!facts(&store, draft.ask()).await.id_taken);
    let own = draft.clone().insert(&store).await;
    assert_eq!((own.order.order_id.as_str(), own.revision), ("till-7", 1));
    assert!(facts(&store, draft.ask()).await.id_taken);
    assert_eq!(n(&*Draft::default().insert(&store).await), 1, "it used up an id of the shop's");

    // Even a check that lets it pass must not put it over the order that is there.
    let again = Draft { drinks: 9, ..draft.clone() };
    store.insert(again.checked(|_| true)).await.expect_err("the id is taken");
    assert_eq!(store.by_id(&id("till-7")).await.expect("a look-up"), Some(own));

    remove(&store, &id("till-7"), at(0)).await.expect("it is removed");
    assert!(facts(&store, draft.ask()).await.id_taken, "forgotten with the order");
    let store = reopen(place, store).await;
    assert!(facts(&store, draft.ask()).await.id_taken, "forgotten on reopening");
    store.insert(draft.checked(|_| true)).await.expect_err("the id was taken");
}

pub(in crate::store) async fn the_counter_can_be_raised_and_never_falls(place: &dyn Harness) {
    let store = open(place).await;
    store.raise_counter(41).await.expect("it is raised");
    assert!(store.counter().await.expect("the counter") >= 41);
    store.raise_counter(3).await.expect("nothing happens");
    assert!(n(&*Draft::default().insert(&store).await) > 41);
    store.raise_counter(1000).await.expect("it is raised");
    let store = reopen(place, store).await;
    assert!(n(&*Draft::default().insert(&store).await) > 1000);
}

pub(in crate::store) async fn numbers_of_open_orders_differ_and_find_the_newest(place: &dyn Harness) {
    let store = open(place).await;
    let mut given = HashSet::new();
    for _ in 0..60 {
        let record = Draft::default().insert(&store).await;
        let number = record.order.order_number;
        assert!((1000..=9999).contains(&number.to_string().parse::<u32>().expect("digits")), "{number}");
        assert!(given.insert(number), "{number} was given twice");
        assert_eq!(store.by_number(number).await.expect("a look-up"), Some(record));
    }
    let free = (1000..=9999).map(number).find(|number| !given.contains(number)).expect("most are free");
    assert_eq!(store.by_number(free).await.expect("a look-up"), None);

    // Another store may hold several orders of one number: the newest is found, in whatever sequence they come.
    let made = |seconds, status| Draft { at: at(seconds), status, ..Draft::default() };
    let digits: u32 = free.to_string().parse().expect("digits");
    for (name, seconds, status) in [
        ("middle", -hours(30), OrderStatus::Completed),
        ("newest", -hours(1), OrderStatus::Cancelled),
        ("oldest", -hours(60), OrderStatus::Completed),
    ] {
        store.import(&made(seconds, status).elsewhere(name, digits)).await.expect("it is imported");
    }
    let found = store.by_number(free).await.expect("a look-up").expect("an order");
    assert_eq!(found.order.order_id.as_str(), "newest");
    let store = reopen(place, store).await;
    let found = store.by_number(free).await.expect("a look-up").expect("an order");
    assert_eq!(found.order.order_id.as_str(), "newest");
    remove(&store, &id("newest"), at(0)).await.expect("it is removed");
    let found = store.by_number(free).await.expect("a look-up").expect("an order");
    assert_eq!(found.order.order_id.as_str(), "middle");
}

pub(in crate::store) async fn numbers_rest_for_a_day_while_others_are_free(place: &dyn Harness) {
    let (rested, completed, deleted) = (1234, 5678, 9999);
    let open_order = |digits: u32| Draft::default().elsewhere(&format!("n{digits}"), digits);
    let taken = (1000..=9999).filter(|digits| ![rested, completed, deleted].contains(digits));
    place.fill(taken.map(open_order).collect()).await;
    let store = open(place).await;
    let closed = |hours_ago| Draft { at: at(-hours(hours_ago)), status: OrderStatus::Completed, ..Draft::default() };
    store.import(&closed(25).elsewhere("rested", rested)).await.expect("it is imported");
    store.import(&closed(23).elsewhere("completed", completed)).await.expect("it is imported");
    store.import(&closed(1).elsewhere("deleted", deleted)).await.expect("it is imported");
    remove(&store, &id("deleted"), at(0)).await.expect("it is removed");

    let given = |record: Arc<Record>| record.order.order_number;
    assert_eq!(given(Draft::default().insert(&store).await), number(rested));
    // When every other is taken, one that has not rested is better than one of five digits.
    let two =
        HashSet::from([given(Draft::default().insert(&store).await), given(Draft::default().insert(&store).await)]);
    assert_eq!(two, HashSet::from([number(completed), number(deleted)]));
    let five = given(Draft::default().insert(&store).await);
    assert!(five >= number(10_000), "{five} is taken by an open order");
    // One that becomes free is found among nine thousand.
    set_status(&store, &id("n4711"), OrderStatus::Completed).await;
    assert_eq!(given(Draft { at: at(hours(25)), ..Draft::default() }.insert(&store).await), number(4711));
}

pub(in crate::store) async fn a_key_is_claimed_with_its_order_for_good(place: &dyn Harness) {
    let store = open(place).await;
    let draft = Draft { key: Some("call:CA1:3".into()), ..Draft::default() };
    assert_eq!(facts(&store, draft.ask()).await.answered, None);
    let made = draft.clone().insert(&store).await;
    let first = store.by_key("call:CA1:3").await.expect("a look-up").expect("an answer");
    assert_eq!((&first.order_id, &first.answer), (&made.order.order_id, &made.answers[0]));
    assert_eq!(facts(&store, draft.ask()).await.answered, Some(first.clone()));
    assert_eq!(store.by_key("call:CA1:33").await.expect("a look-up"), None);
    assert_eq!(store.by_key("").await.expect("a look-up"), None);

    let reply = crate::store::Reply { status: 201, body: json!({"order_id": "é", "total": 5.5}) };
    let told = Answer { request: "ab".repeat(32), reply: Some(reply), ..answer("api:ключ #1", at(7)) };
    let also = told.clone();
    edit(&store, &made.order.order_id, move |record| record.answers.push(also.clone())).await;
    let both: HashMap<&str, Answer> = HashMap::from([("call:CA1:3", first.answer), ("api:ключ #1", told)]);
    let mut store = store;
    for when in ["at once", "after reopening", "after it is deleted", "after it is deleted and reopening"] {
        if when == "after it is deleted" {
            remove(&store, &made.order.order_id, at(0)).await.expect("it is removed");
        } else if when != "at once" {
            store = reopen(place, store).await;
        }
        for (key, answer) in &both {
            let found = store.by_key(key).await.expect("a look-up").expect("an answer");
            assert_eq!((&found.order_id, &found.answer), (&made.order.order_id, answer), "{when}");
        }
        assert!(facts(&store, draft.ask()).await.answered.is_some(), "{when}");
    }
}

pub(in crate::store) async fn an_insert_goes_on_when_nobody_waits_for_it(place: &dyn Harness) {
    let store = open(place).await;
    let (tell, told) = tokio::sync::oneshot::channel();
    let announce: Announce = Box::new(move |_| {
        Box::new(move || {
            let _ = tell.send(());
        })
    });
    let insert = Insert { announce, ..Draft { key: Some("call:1".into()), ..Draft::default() }.checked(|_| true) };
    let waited = futures_util::future::poll_immediate(store.insert(insert)).await;
    assert!(waited.is_none_or(|done| done.is_ok()));
    tokio::time::timeout(Duration::from_secs(20), told).await.expect("it goes on").expect("it is announced");
    assert!(store.by_key("call:1").await.expect("a look-up").is_some());
}
