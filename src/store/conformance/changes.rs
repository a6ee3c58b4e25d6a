//! Orders changed and removed, and who is told.

use super::*;
use crate::store::Query;

pub(in crate::store) async fn a_change_is_seen_everywhere(place: &dyn Harness) {
    let store = open(place).await;
    let made = Draft { name: Some("Ana".into()), phone: Some(phone(1)), ..Draft::default() }.insert(&store).await;
    let order_id = &made.order.order_id;
    let changed = edit(&store, order_id, |record| {
        record.order.name = Some("Ben".into());
        record.order.phone = Some(phone(2));
        record.order.customer_id = Some("till".into());
        record.order.status = OrderStatus::Preparing;
        record.order.notes = Some("by the window".into());
        // Whatever a writer makes of it: the store counts.
        record.revision = 77;
    })
    .await;
    assert_eq!((changed.revision, changed.order.version), (2, 2));
    let mut store = store;
    for _ in 0..2 {
        assert_eq!(store.by_id(order_id).await.expect("a look-up").as_ref(), Some(&changed));
        assert_eq!(store.by_number(made.order.order_number).await.expect("a look-up").as_ref(), Some(&changed));
        let any = Query { limit: 10, ..Query::default() };
        for (query, found) in [
            (Query { name: Some("ana".into()), ..any.clone() }, 0),
            (Query { name: Some("ben".into()), ..any.clone() }, 1),
            (Query { phone: Some(phone(1)), ..any.clone() }, 0),
            (Query { phone: Some(phone(2)), ..any.clone() }, 1),
            (Query { customer_id: Some("till".into()), ..any.clone() }, 1),
            (Query { statuses: vec![OrderStatus::Received], ..any.clone() }, 0),
            (Query { statuses: vec![OrderStatus::Preparing], ..any.clone() }, 1),
        ] {
            let page = store.list(&query).await.expect("a list");
            assert_eq!(page.records.len(), found, "{query:?}");
            assert!(page.records.iter().all(|record| *record == changed));
        }
        store = reopen(place, store).await;
    }
    let again = edit(&store, order_id, |record| record.order.notes = None).await;
    assert_eq!(again.revision, 3, "the count did not go on after reopening");
}

pub(in crate::store) async fn a_refused_change_changes_nothing(place: &dyn Harness) {
    let store = open(place).await;
    let made = Draft { key: Some("call:1".into()), ..Draft::default() }.insert(&store).await;
    let order_id = &made.order.order_id;
    let nobody: fn() -> Announce = || Box::new(|_| unreachable!("nothing happened"));
    let refused = store.update(Update { announce: nobody(), ..change(order_id, |_, _| None) }).await;
    assert!(matches!(refused, Err(CommitError::Refused)), "{refused:?}");
    let kept = Remove { id: order_id.clone(), now: at(0), check: Box::new(|_| false), announce: nobody() };
    let refused = store.remove(kept).await;
    assert!(matches!(refused, Err(CommitError::Refused)), "{refused:?}");
    assert_eq!(store.by_id(order_id).await.expect("a look-up"), Some(Arc::clone(&made)));

    let nowhere = id("ORD-main-99");
    let missing =
        store.update(Update { announce: nobody(), ..change(&nowhere, |record, _| Some(record.clone())) }).await;
    assert!(matches!(missing, Err(CommitError::NotFound)), "{missing:?}");
    assert!(matches!(remove(&store, &nowhere, at(0)).await, Err(CommitError::NotFound)));
    assert_eq!(store.by_id(&nowhere).await.expect("a look-up"), None);
    assert_eq!(store.tombstones().await.expect("tombstones"), []);
    assert_eq!(reopen(place, store).await.by_id(order_id).await.expect("a look-up"), Some(made));
}

pub(in crate::store) async fn a_removed_order_leaves_its_answers_and_its_number(place: &dyn Harness) {
    let store = open(place).await;
    let draft = Draft {
        key: Some("call:1".into()),
        phone: Some(phone(1)),
        fingerprint: Some("taro".into()),
        deliveries: vec![text(1, &phone(1), at(0))],
        ..Draft::default()
    };
    let made = draft.clone().insert(&store).await;
    let order_id = &made.order.order_id;
    let told = Told::default();
    let removed = Remove { id: order_id.clone(), now: at(9), check: Box::new(|_| true), announce: told.announce() };
    assert_eq!(store.remove(removed).await.expect("it is removed"), made);
    assert_eq!(told.all(), [(order_id.clone(), 1)]);
    let mut store = store;
    for _ in 0..2 {
        assert_eq!(store.by_id(order_id).await.expect("a look-up"), None);
        assert_eq!(store.by_number(made.order.order_number).await.expect("a look-up"), None);
        assert!(store.open().await.expect("a list").is_empty());
        assert!(store.owed(Lane::Texts, at(hours(1)), 10).await.expect("what is owed").due.is_empty());
        let all = Query { limit: 10, ..Query::default() };
        assert!(store.list(&all).await.expect("a list").records.is_empty());
        assert_eq!(store.tombstones().await.expect("tombstones"), [made.tombstone(at(9))]);
        let told = facts(&store, draft.ask()).await;
        assert_eq!((told.active_drinks, told.drinks_ahead, told.alike.len()), (0, 0, 0));
        store = reopen(place, store).await;
    }
    let again = remove(&store, order_id, at(10)).await;
    assert!(matches!(again, Err(CommitError::NotFound)), "{again:?}");
}

pub(in crate::store) async fn announcements_come_once_a_commit_and_in_sequence(place: &dyn Harness) {
    let store = open(place).await;
    let told = Told::default();
    let insert = Insert { announce: told.announce(), ..Draft::default().checked(|_| true) };
    let order_id = store.insert(insert).await.expect("it is inserted").order.order_id.clone();
    assert_eq!(told.all(), [(order_id.clone(), 1)], "told before the insert returned");

    at_once(32, |index| {
        let (store, announce) = (Arc::clone(&store), told.announce());
        let amend = move |record: &Record, _: &Facts| (index % 4 != 0).then(|| record.clone());
        let update = Update { announce, ..change(&order_id, amend) };
        async move { store.update(update).await.is_ok() }
    })
    .await;
    let expected: Vec<_> = (1..=25).map(|revision| (order_id.clone(), revision)).collect();
    assert_eq!(told.all(), expected);
}

pub(in crate::store) async fn a_change_takes_no_other_orders_key(place: &dyn Harness) {
    let store = open(place).await;
    let keyed = |key: &str| Draft { key: Some(key.to_owned()), ..Draft::default() };
    let (first, second) = (keyed("api:1").insert(&store).await, keyed("api:2").insert(&store).await);
    let gone = keyed("api:3").insert(&store).await;
    remove(&store, &gone.order.order_id, at(0)).await.expect("it is removed");
    for (key, owner) in [("api:1", &first), ("api:3", &gone)] {
        let take = move |record: &Record, _: &Facts| {
            let answers = record.answers.iter().cloned().chain([answer(key, at(0))]).collect();
            Some(Record { answers, ..record.clone() })
        };
        let refused = store.update(change(&second.order.order_id, take)).await;
        let occupied = &owner.order.order_id;
        assert!(matches!(&refused, Err(CommitError::Store(StoreError::Occupied(id))) if id == occupied), "{refused:?}");
        let known = store.by_key(key).await.expect("a look-up").map(|answered| answered.order_id);
        assert_eq!(known.as_ref(), Some(occupied));
    }
    assert_eq!(store.by_id(&second.order.order_id).await.expect("a look-up"), Some(Arc::clone(&second)));
    let own = edit(&store, &second.order.order_id, |record| record.answers.push(answer("api:4", at(0)))).await;
    assert_eq!(own.answers.len(), 2, "a free one is its own");
}
