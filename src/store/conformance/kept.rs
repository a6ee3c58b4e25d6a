//! What is kept: values beside orders, tombstones, orders from elsewhere, every character of every field.

use super::*;
use crate::ordering::order::HistoryEntry;
use crate::store::{AuditEntry, Marks, Query, Reply, Tombstone, Tried};
use proptest::collection::{btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::Value;

/// What there is of a kind: key, value, revision.
async fn values(store: &Arc<dyn Store>, kind: Option<&str>) -> Vec<(String, String, Value, u64)> {
    let states = store.states(kind).await.expect("values");
    states.into_iter().map(|state| (state.kind, state.key, state.value, state.revision)).collect()
}

pub(in crate::store) async fn values_change_only_as_expected(place: &dyn Harness) {
    let store = open(place).await;
    let stale = |outcome: Result<u64, StoreError>| assert!(matches!(outcome, Err(StoreError::Stale)), "{outcome:?}");
    assert_eq!(store.state("shop", "main").await.expect("a look-up"), None);
    stale(store.set_state("shop", "main", &json!(1), 1).await);
    assert_eq!(store.set_state("shop", "main", &json!({"paused": true}), 0).await.expect("it is set"), 1);
    stale(store.set_state("shop", "main", &json!(2), 0).await);
    stale(store.set_state("shop", "main", &json!(2), 2).await);
    assert_eq!(store.set_state("shop", "main", &json!(null), 1).await.expect("it is set"), 2);
    stale(store.set_state("shop", "main", &json!(3), 1).await);
    let state = store.state("shop", "main").await.expect("a look-up").expect("a value");
    assert_eq!(
        (state.kind.as_str(), state.key.as_str(), state.value, state.revision),
        ("shop", "main", json!(null), 2)
    );
    store.remove_state("shop", "main").await.expect("it is removed");
    store.remove_state("shop", "main").await.expect("nothing happens");
    stale(store.set_state("shop", "main", &json!(4), 2).await);
    assert_eq!(store.set_state("shop", "main", &json!(4), 0).await.expect("it is set"), 1);
}

pub(in crate::store) async fn one_of_many_sets_a_value(place: &dyn Harness) {
    let store = open(place).await;
    for expected in 0..3 {
        let outcomes = at_once(16, |writer| {
            let store = Arc::clone(&store);
            async move { store.set_state("table", "t1", &json!(writer), expected).await }
        })
        .await;
        let set: Vec<usize> = (0..16).filter(|writer| outcomes[*writer].is_ok()).collect();
        assert_eq!(set.len(), 1, "{outcomes:?}");
        assert!(outcomes.iter().all(|outcome| matches!(outcome, Ok(_) | Err(StoreError::Stale))), "{outcomes:?}");
        let state = store.state("table", "t1").await.expect("a look-up").expect("a value");
        assert_eq!((state.value, state.revision), (json!(set[0]), expected + 1));
    }
}

pub(in crate::store) async fn values_survive_and_are_told_apart(place: &dyn Harness) {
    let store = open(place).await;
    assert_eq!(values(&store, None).await, []);
    let long = "k".repeat(128);
    for (kind, key, value) in [
        ("session", "b", json!({"é": ["\u{1F9CB}", 1.5, null], "z": 1, "a": 2})),
        ("session", "a", json!("")),
        ("session_x", "a", json!([])),
        ("table", "a", json!(1)),
        ("table", "A", json!(2)),
        ("table", long.as_str(), json!("x".repeat(100_000))),
        ("gone", "a", json!(3)),
    ] {
        assert_eq!(store.set_state(kind, key, &value, 0).await.expect("it is set"), 1);
    }
    store.remove_state("gone", "a").await.expect("it is removed");
    let mut store = store;
    for _ in 0..2 {
        let all = values(&store, None).await;
        let places: Vec<_> = all.iter().map(|(kind, key, ..)| (kind.as_str(), key.as_str())).collect();
        let expected =
            [("session", "a"), ("session", "b"), ("session_x", "a"), ("table", "A"), ("table", "a"), ("table", &long)];
        assert_eq!(places, expected);
        assert_eq!(values(&store, Some("session")).await, all[..2]);
        assert_eq!(values(&store, Some("sess")).await, []);
        assert_eq!(values(&store, Some("gone")).await, []);
        // The keys of an object in their own sequence, too.
        assert_eq!(all[1].2.to_string(), r#"{"é":["🧋",1.5,null],"z":1,"a":2}"#);
        assert_eq!(all[5].2.as_str().map(str::len), Some(100_000));
        store = reopen(place, store).await;
    }
}

pub(in crate::store) async fn tombstones_can_be_replaced_and_forgotten(place: &dyn Harness) {
    let store = open(place).await;
    let draft = |key: &str| Draft { key: Some(key.into()), ..Draft::default() };
    for (k, key) in ["call:1", "call:2", "call:3"].into_iter().enumerate() {
        let made = draft(key).insert(&store).await;
        remove(&store, &made.order.order_id, at(k as i64)).await.expect("it is removed");
    }
    let mut stones = store.tombstones().await.expect("tombstones");
    stones.sort_by_key(|stone| stone.deleted_at);
    let [first, second, third] = <[Tombstone; 3]>::try_from(stones).expect("three");

    // Erased: the answer stays, what it said of the customer goes.
    let erased = Tombstone {
        answers: vec![Answer { reply: Some(Reply { status: 410, body: Value::Null }), ..first.answers[0].clone() }],
        ..first.clone()
    };
    store.set_tombstone(&first.order_id, Some(&erased)).await.expect("it is replaced");
    store.set_tombstone(&second.order_id, None).await.expect("it is forgotten");
    store.set_tombstone(&id("nobody"), None).await.expect("nothing happens");
    let moved = Tombstone { order_id: id("elsewhere-1"), answers: vec![answer("call:9", at(0))], ..third.clone() };
    store.set_tombstone(&moved.order_id, Some(&moved)).await.expect("it comes from another store");
    let store = reopen(place, store).await;
    let mut kept = store.tombstones().await.expect("tombstones");
    kept.sort_by_key(|stone| stone.order_id.clone());
    assert_eq!(kept, [erased.clone(), third, moved]);
    let found = store.by_key("call:1").await.expect("a look-up").expect("an answer");
    assert_eq!((found.order_id, found.answer), (first.order_id, erased.answers[0].clone()));
    assert_eq!(store.by_key("call:2").await.expect("a look-up"), None);
    assert!(store.by_key("call:9").await.expect("a look-up").is_some());
    assert!(facts(&store, Draft { id: Some(id("elsewhere-1")), ..Draft::default() }.ask()).await.id_taken);
}

pub(in crate::store) async fn imported_orders_are_as_they_were(place: &dyn Harness) {
    let store = open(place).await;
    let draft = Draft {
        key: Some("call:1".into()),
        phone: Some(phone(1)),
        name: Some("Ana".into()),
        fingerprint: Some("taro".into()),
        drinks: 3,
        deliveries: vec![text(1, &phone(1), at(-1))],
        ..Draft::default()
    };
    let record = Record { revision: 9, ..draft.elsewhere("ORD-main-5", 4782) };
    store.import(&record).await.expect("it is imported");
    store.import(&record).await.expect("an equal one is left alone");
    let mut other = record.clone();
    other.order.notes = Some("another".into());
    for other in [other, Record { revision: 10, ..record.clone() }] {
        let refused = store.import(&other).await;
        assert!(matches!(&refused, Err(StoreError::Occupied(id)) if id.as_str() == "ORD-main-5"), "{refused:?}");
    }
    let mut store = store;
    for _ in 0..2 {
        let found = store.by_id(&id("ORD-main-5")).await.expect("a look-up").expect("the order");
        assert_eq!(*found, record);
        assert_eq!(store.by_number(number(4782)).await.expect("a look-up"), Some(found));
        assert!(store.by_key("call:1").await.expect("a look-up").is_some());
        let told = facts(&store, draft.ask()).await;
        assert_eq!((told.active_drinks, told.texts_last_hour, told.drinks_ahead, told.alike.len()), (3, 1, 3, 1));
        assert_eq!(store.owed(Lane::Texts, at(0), 10).await.expect("what is owed").due.len(), 1);
        assert_eq!(store.statistics().await.expect("statistics").orders, 1);
        store = reopen(place, store).await;
    }
    store.raise_counter(5).await.expect("it is raised");
    assert_eq!(Draft::default().insert(&store).await.order.order_id.number_at(SHOP), Some(6));
    let changed = set_status(&store, &id("ORD-main-5"), OrderStatus::Ready).await;
    assert_eq!(changed.revision, 10);
}

pub(in crate::store) async fn what_is_written_survives_reopening(place: &dyn Harness) {
    let store = open(place).await;
    let mut runner =
        TestRunner::new(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() });
    let mut written = Vec::new();
    for k in 0..64_u32 {
        let mut sample = || anything().new_tree(&mut runner).expect("a record").current();
        let (first, second) = (sample(), sample());
        // Made, changed into something quite different, or taken over.
        let kept = if k % 3 == 0 {
            let record = same_place(&second, &id(&format!("own-{k}")), number(10_000 + k), second.order.created_at, k);
            store.import(&record).await.expect("it is imported");
            Arc::new(record)
        } else {
            let (made, order_id) = (first.clone(), id(&format!("own-{k}")));
            let insert = Insert {
                ask: Ask { now: first.order.created_at, order_id: Some(order_id.clone()), ..Draft::default().ask() },
                build: Box::new(move |_, id, number| same_place(&made, &id, number, made.order.created_at, k)),
                ..Draft::default().checked(|_| true)
            };
            let made = store.insert(insert).await.expect("it is inserted");
            let expected = same_place(&first, &order_id, made.order.order_number, first.order.created_at, k);
            assert_eq!(*made, Record { revision: 1, ..expected });
            if k % 3 == 1 {
                made
            } else {
                let amend = move |record: &Record, _: &Facts| {
                    let order = &record.order;
                    Some(same_place(&second, &order.order_id, order.order_number, order.created_at, k))
                };
                store.update(change(&order_id, amend)).await.expect("it is changed")
            }
        };
        let read = store.by_id(&kept.order.order_id).await.expect("a look-up").expect("the order");
        assert_same(&read, &kept);
        written.push(kept);
    }
    let store = reopen(place, store).await;
    for kept in &written {
        let read = store.by_id(&kept.order.order_id).await.expect("a look-up").expect("the order");
        assert_same(&read, kept);
        if let Some(name) = &kept.order.name {
            let query = Query { name: Some(name.clone()), limit: 1000, ..Query::default() };
            assert!(store.list(&query).await.expect("a list").records.contains(kept), "{name:?} is not found");
        }
        for answer in &kept.answers {
            let found = store.by_key(&answer.key).await.expect("a look-up").expect("an answer");
            assert_eq!((&found.order_id, &found.answer), (&kept.order.order_id, answer));
        }
    }
    let everything = Query { limit: 1000, ..Query::default() };
    assert_eq!(store.list(&everything).await.expect("a list").records.len(), written.len());
}

fn assert_same(read: &Record, written: &Record) {
    assert_eq!(read, written);
    let json = |record| serde_json::to_string(record).expect("a record is JSON");
    assert_eq!(json(read), json(written));
}

pub(in crate::store) async fn clearing_takes_the_orders_and_nothing_else(place: &dyn Harness) {
    let store = open(place).await;
    let to = phone(1);
    let failed = Delivery { state: DeliveryState::Failed, ..text(2, &to, at(0)) };
    let deliveries = vec![text(1, &to, at(0)), failed];
    let key = Some("call:kept".to_owned());
    let draft = Draft { key, phone: Some(to), fingerprint: Some("taro".into()), deliveries, ..Draft::default() };
    let made = draft.clone().insert(&store).await;
    let deleted = Draft { id: Some(id("till-2")), key: Some("call:deleted".into()), ..Draft::default() };
    let gone = deleted.clone().insert(&store).await;
    remove(&store, &gone.order.order_id, at(0)).await.expect("it is removed");
    let left = store.tombstones().await.expect("tombstones");
    Draft { id: Some(id("till-1")), ..Draft::default() }.insert(&store).await;
    store.set_state("shop", "main", &json!("paused"), 0).await.expect("it is set");
    drop(store);
    let store = place.open(Access::Write, true).await.expect("it opens");
    let mut store = store;
    for _ in 0..2 {
        assert_eq!(store.by_id(&made.order.order_id).await.expect("a look-up"), None);
        assert_eq!(store.by_number(made.order.order_number).await.expect("a look-up"), None);
        assert!(store.open().await.expect("open orders").is_empty());
        assert!(store.undelivered(10).await.expect("a list").is_empty());
        let owed = store.owed(Lane::Texts, at(hours(1)), 10).await.expect("what is owed");
        assert!(owed.due.is_empty() && owed.next.is_none());
        assert_eq!(store.statistics().await.expect("statistics").orders, 0);
        let told = facts(&store, draft.ask()).await;
        assert_eq!((told.active_drinks, told.texts_last_hour, told.drinks_ahead, told.alike.len()), (0, 0, 0, 0));
        assert_eq!(values(&store, Some("shop")).await.len(), 1);

        // An order's key goes with it; one that was deleted before is still answered for, as long as it would have been.
        assert_eq!(store.by_key("call:kept").await.expect("a look-up"), None);
        assert_eq!(store.tombstones().await.expect("tombstones"), left);
        let found = store.by_key("call:deleted").await.expect("a look-up").expect("an answer");
        assert_eq!((&found.order_id, &found.answer), (&gone.order.order_id, &gone.answers[0]));
        let told = facts(&store, deleted.ask()).await;
        assert!(told.id_taken && told.answered.is_some());
        store = reopen(place, store).await;
    }
    let again = draft.insert(&store).await;
    let found = store.by_key("call:kept").await.expect("a look-up").expect("an answer");
    assert_eq!(found.order_id, again.order.order_id);
    assert_ne!(again.order.order_id, made.order.order_id);
    store.set_tombstone(&gone.order.order_id, None).await.expect("it is forgotten");
    assert_eq!(store.by_key("call:deleted").await.expect("a look-up"), None);
}

pub(in crate::store) async fn whoever_looks_sees_everything_and_changes_nothing(place: &dyn Harness) {
    let writer = open(place).await;
    let draft = Draft { key: Some("call:1".into()), phone: Some(phone(1)), ..Draft::default() };
    let made = draft.insert(&writer).await;
    let order_id = &made.order.order_id;
    let gone = Draft::default().insert(&writer).await;
    remove(&writer, &gone.order.order_id, at(0)).await.expect("it is removed");
    writer.set_state("shop", "main", &json!(1), 0).await.expect("it is set");

    let reader = place.open(Access::Read, false).await.expect("it opens beside the writer");
    assert_eq!(reader.by_id(order_id).await.expect("a look-up"), Some(Arc::clone(&made)));
    assert_eq!(reader.by_number(made.order.order_number).await.expect("a look-up"), Some(Arc::clone(&made)));
    assert!(reader.by_key("call:1").await.expect("a look-up").is_some());
    assert_eq!(reader.open().await.expect("open orders"), [Arc::clone(&made)]);
    assert_eq!(reader.statistics().await.expect("statistics"), writer.statistics().await.expect("statistics"));
    assert_eq!(reader.tombstones().await.expect("tombstones").len(), 1);
    assert_eq!(values(&reader, None).await, values(&writer, None).await);
    assert!(reader.counter().await.expect("the counter") >= 2);

    let read_only = |error: StoreError| assert!(matches!(error, StoreError::ReadOnly), "{error:?}");
    let not_made = |error: CommitError| match error {
        CommitError::Store(error) => read_only(error),
        other => panic!("{other:?}"),
    };
    not_made(reader.insert(Draft::default().checked(|_| true)).await.expect_err("a write"));
    not_made(reader.update(change(order_id, |record, _| Some(record.clone()))).await.expect_err("a write"));
    not_made(remove(&reader, order_id, at(0)).await.expect_err("a write"));
    read_only(reader.set_state("shop", "main", &json!(2), 1).await.expect_err("a write"));
    read_only(reader.remove_state("shop", "main").await.expect_err("a write"));
    read_only(reader.set_tombstone(&gone.order.order_id, None).await.expect_err("a write"));
    read_only(reader.raise_counter(99).await.expect_err("a write"));
    read_only(reader.import(&Draft::default().elsewhere("till-1", 1234)).await.expect_err("a write"));

    // It is in nobody's way, and did nothing.
    set_status(&writer, order_id, OrderStatus::Preparing).await;
    drop(reader);
    writer.check().await.expect("it can be written to");
    let writer = reopen(place, writer).await;
    assert_eq!(writer.statistics().await.expect("statistics").orders, 1);
    assert_eq!(writer.tombstones().await.expect("tombstones").len(), 1);
}

pub(in crate::store) async fn a_second_server_is_refused_where_only_one_may_write(place: &dyn Harness) {
    let store = open(place).await;
    let second = place.open(Access::Write, false).await;
    if store.is_shared() {
        assert!(second.is_ok());
    } else {
        let error = second.map(|_| ()).expect_err("one server at a time");
        assert!(matches!(error, StoreError::InUse(..)), "{error:?}");
        // Not even one that would begin with a wipe.
        Draft::default().insert(&store).await;
        place.open(Access::Write, true).await.map(|_| ()).expect_err("one server at a time");
        assert_eq!(store.statistics().await.expect("statistics").orders, 1);
    }
    reopen(place, store).await;
}

/// The same contents as another order of the same place in the list; keys are given once in the whole store.
fn same_place(contents: &Record, id: &OrderId, number: OrderNumber, created_at: Timestamp, k: u32) -> Record {
    let mut record = contents.clone();
    record.order.order_id = id.clone();
    record.order.order_number = number;
    record.order.created_at = created_at;
    for (index, answer) in record.answers.iter_mut().enumerate() {
        answer.key = format!("{}{k}-{index}", answer.key);
    }
    for (index, delivery) in (0..).zip(&mut record.deliveries) {
        delivery.id = index;
    }
    record
}

/// Whatever a person or a program may have put into a text, hostile or careless.
fn words() -> BoxedStrategy<String> {
    let letters = vec(any::<char>().prop_filter("no text holds it", |letter| *letter != '\0'), 0..16);
    let known = ["", " ", "Ana", "'; DROP TABLE orders; --", "=1+1", "\u{202e}evil", "a\tb\r\nc", "🧋🧋", "\"\\/", "#"];
    prop_oneof![
        4 => "\\PC{0,24}",
        2 => letters.prop_map(|letters| letters.into_iter().collect()),
        2 => prop::sample::select(known.to_vec()).prop_map(str::to_owned),
    ]
    .boxed()
}

fn instants() -> impl Strategy<Value = Timestamp> {
    (-2_000_000_000_i64..9_000_000_000, 0_i64..1_000_000)
        .prop_map(|(seconds, micros)| Timestamp::from_microsecond(seconds * 1_000_000 + micros).expect("in range"))
}

fn json_values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1_000_000_i32..1_000_000).prop_map(|hundredths| Value::from(f64::from(hundredths) / 100.0)),
        words().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((words(), inner), 0..4).prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

fn statuses() -> impl Strategy<Value = OrderStatus> {
    prop::sample::select(OrderStatus::ALL.to_vec())
}

fn items() -> impl Strategy<Value = Item> {
    let field = (words(), prop_oneof![words().prop_map(Choice::One), vec(words(), 0..3).prop_map(Choice::Many)]);
    (vec(field, 0..4), 1_u32..50, 0_i64..100_000, option::of(words())).prop_map(|(fields, quantity, cents, note)| {
        let mut named: Vec<(String, Choice)> = Vec::new();
        for (name, choice) in fields {
            if !Item::OWN_KEYS.contains(&name.as_str()) && named.iter().all(|(other, _)| *other != name) {
                named.push((name, choice));
            }
        }
        Item { fields: named, quantity, price: crate::ordering::money::Money::from_cents(cents), note }
    })
}

fn deliveries() -> impl Strategy<Value = Delivery> {
    let states = vec![DeliveryState::Owed, DeliveryState::Sent, DeliveryState::Failed, DeliveryState::Skipped];
    let tries = vec((instants(), words()).prop_map(|(at, outcome)| Tried { at, outcome }), 0..3);
    let what = (
        prop::sample::select(DeliveryKind::ALL.to_vec()),
        prop::sample::select(states),
        option::of(0_u32..9999),
        words(),
    );
    let when = (instants(), instants(), option::of(instants()), any::<(u32, u32, u32)>());
    let told = (option::of(words()), option::of(words()), option::of(words()), option::of(words()));
    (what, when, told, tries).prop_map(|((kind, state, to, body), when, told, tries)| Delivery {
        id: 0,
        kind,
        to: to.map(phone),
        body,
        state,
        owed_at: when.0,
        not_before: when.1,
        claimed_until: when.2,
        attempts: when.3.0,
        refusals: when.3.1,
        certain: when.3.2,
        tries,
        reason: told.0,
        provider_id: told.1,
        carrier_status: told.2,
        correlation_id: told.3,
    })
}

fn audits() -> impl Strategy<Value = AuditEntry> {
    (instants(), words(), words(), any::<u64>(), option::of(words()), option::of(words())).prop_map(
        |(at, by, what, version, reason, correlation_id)| AuditEntry { at, by, what, version, reason, correlation_id },
    )
}

fn answers() -> impl Strategy<Value = Answer> {
    let reply = (100_u16..600, json_values()).prop_map(|(status, body)| Reply { status, body });
    (words(), words(), instants(), option::of(reply)).prop_map(|(key, request, at, reply)| Answer {
        key: format!("api:{key}"),
        request,
        at,
        reply,
    })
}

/// A record with anything in every field but its id and number.
fn anything() -> impl Strategy<Value = Record> {
    let notes = prop_oneof![
        9 => option::of(words()),
        1 => (words(), 1_usize..20_000).prop_map(|(word, most)| Some(format!("x{word}").repeat(most).chars().take(20_000).collect())),
    ];
    let history =
        vec((statuses(), instants(), words()).prop_map(|(status, at, by)| HistoryEntry { status, at, by }), 0..3);
    let metadata = vec((words(), json_values()), 0..4);
    let customer = (option::of(words()), option::of(0_u32..9999), option::of(words()), notes, option::of(words()));
    let order = (statuses(), any::<u64>(), vec(items(), 0..3), metadata, history);
    let times = (instants(), instants(), option::of(instants()), option::of(instants()));
    let rest = (
        option::of("[0-9a-f]{64}"),
        option::of(instants()),
        vec(answers(), 0..3),
        vec(deliveries(), 0..4),
        vec(audits(), 0..3),
        (btree_set(0_usize..12, 0..4), option::of(instants())).prop_map(|(made, rushed_at)| Marks { made, rushed_at }),
        any::<bool>(),
    );
    (customer, order, times, rest).prop_map(|(customer, order, times, rest)| {
        let draft = Draft { at: times.0, ready_at: times.2, ..Draft::default() };
        let mut record = draft.elsewhere("any", 1000);
        let into = &mut record.order;
        (into.name, into.customer_id, into.notes, into.call_sid) = (customer.0, customer.2, customer.3, customer.4);
        into.phone = customer.1.map(phone);
        (into.status, into.version, into.items, into.history) = (order.0, order.1, order.2, order.4);
        into.total = crate::ordering::order::total(&into.items);
        into.metadata = order.3.into_iter().collect();
        into.updated_at = times.1;
        (record.fingerprint, record.fingerprint_at, record.answers) = (rest.0, rest.1, rest.2);
        (record.deliveries, record.audit, record.erased_at) = (rest.3, rest.4, times.3);
        (record.marks, record.held_when_refused) = (rest.5, rest.6);
        record
    })
}
