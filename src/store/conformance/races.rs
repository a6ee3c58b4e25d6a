//! Many at once.

use super::*;
use std::collections::HashSet;

pub(in crate::store) async fn orders_inserted_at_once_share_nothing(place: &dyn Harness) {
    let store = open(place).await;
    let made = at_once(64, |_| {
        let store = Arc::clone(&store);
        async move { Draft::default().insert(&store).await }
    })
    .await;
    let ids: HashSet<_> = made.iter().map(|record| record.order.order_id.clone()).collect();
    let numbers: HashSet<_> = made.iter().map(|record| record.order.order_number).collect();
    assert_eq!((ids.len(), numbers.len()), (64, 64));
    let store = reopen(place, store).await;
    for record in &made {
        let kept = store.by_id(&record.order.order_id).await.expect("a look-up");
        assert_eq!(kept.as_ref(), Some(record));
    }
    assert_eq!(store.statistics().await.expect("statistics").orders, 64);
}

pub(in crate::store) async fn one_key_from_many_at_once_is_one_order(place: &dyn Harness) {
    let store = open(place).await;
    let draft = Draft { key: Some("call:1".into()), ..Draft::default() };
    let is_new = |facts: &Facts| facts.answered.is_none() && !facts.key_in_flight;
    the_only_order_of_many(&store, &draft, is_new).await;
    let answered = store.by_key("call:1").await.expect("a look-up").expect("an answer");
    assert!(store.by_id(&answered.order_id).await.expect("a look-up").is_some());
}

pub(in crate::store) async fn one_fingerprint_from_many_at_once_is_one_order(place: &dyn Harness) {
    let store = open(place).await;
    let draft = Draft { fingerprint: Some("taro".into()), ..Draft::default() };
    let is_new = |facts: &Facts| facts.alike.is_empty() && !facts.alike_in_flight;
    the_only_order_of_many(&store, &draft, is_new).await;
    assert_eq!(facts(&store, draft.ask()).await.alike.len(), 1);
}

async fn the_only_order_of_many(store: &Arc<dyn Store>, draft: &Draft, is_new: fn(&Facts) -> bool) {
    let outcomes = at_once(32, |_| {
        let (store, insert) = (Arc::clone(store), draft.clone().checked(is_new));
        async move { store.insert(insert).await }
    })
    .await;
    let made = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    let refused = outcomes.iter().filter(|outcome| matches!(outcome, Err(CommitError::Refused))).count();
    assert_eq!((made, refused), (1, 31), "{outcomes:?}");
    assert_eq!(store.statistics().await.expect("statistics").orders, 1);
    assert_eq!(store.open().await.expect("open orders").len(), 1);
}

pub(in crate::store) async fn writers_of_one_order_wait_for_each_other(place: &dyn Harness) {
    let store = open(place).await;
    let order_id = Draft::default().insert(&store).await.order.order_id.clone();
    let changed = at_once(32, |writer| {
        let (store, order_id) = (Arc::clone(&store), order_id.clone());
        async move {
            edit(&store, &order_id, move |record| {
                record.order.metadata.insert(format!("writer {writer}"), json!(record.revision));
            })
            .await
        }
    })
    .await;
    let revisions: HashSet<u64> = changed.iter().map(|record| record.revision).collect();
    assert_eq!(revisions, (2..=33).collect());
    let last = reopen(place, store).await.by_id(&order_id).await.expect("a look-up").expect("the order");
    assert_eq!((last.revision, last.order.version, last.order.metadata.len()), (33, 33, 32));
    let seen: HashSet<u64> = last.order.metadata.values().filter_map(serde_json::Value::as_u64).collect();
    assert_eq!(seen, (1..=32).collect(), "two writers saw the same revision");
}

pub(in crate::store) async fn a_phone_limit_holds_against_orders_made_and_amended_at_once(place: &dyn Harness) {
    const LIMIT: u32 = 13;
    let store = open(place).await;
    let draft = Draft { phone: Some(phone(1)), drinks: 2, ..Draft::default() };
    let active = async || facts(&store, draft.ask()).await.active_drinks;
    let made = at_once(16, |_| {
        let insert = draft.clone().checked(|facts| facts.active_drinks + 2 <= 7);
        let store = Arc::clone(&store);
        async move { store.insert(insert).await.ok() }
    })
    .await;
    let made: Vec<_> = made.into_iter().flatten().collect();
    assert_eq!((made.len(), active().await), (3, 6));

    // Orders of one phone grow while new ones are made.
    let outcomes = at_once(24, |index| {
        let store = Arc::clone(&store);
        let order_id = made[index % made.len()].order.order_id.clone();
        let draft = draft.clone();
        async move {
            if index % 2 == 0 {
                return store.insert(draft.checked(|facts| facts.active_drinks + 2 <= LIMIT)).await.is_ok();
            }
            let grow = |record: &Record, facts: &Facts| {
                let mut grown = record.clone();
                grown.order.items.push(taro(2));
                grown.order.total = crate::ordering::order::total(&grown.order.items);
                (facts.active_drinks + 2 <= LIMIT).then_some(grown)
            };
            store.update(change(&order_id, grow)).await.is_ok()
        }
    })
    .await;
    assert_eq!(outcomes.iter().filter(|grown| **grown).count(), 3);
    assert_eq!(active().await, 12);
    let all = store.open().await.expect("open orders");
    assert_eq!(all.iter().map(|record| record.order.drinks()).sum::<u32>(), 12);
}

pub(in crate::store) async fn an_order_is_removed_once(place: &dyn Harness) {
    let store = open(place).await;
    let order_id = Draft::default().insert(&store).await.order.order_id.clone();
    let outcomes = at_once(16, |index| {
        let (store, order_id) = (Arc::clone(&store), order_id.clone());
        async move {
            if index % 2 == 0 {
                return remove(&store, &order_id, at(0)).await.map(|_| true);
            }
            store.update(change(&order_id, |record, _| Some(record.clone()))).await.map(|_| false)
        }
    })
    .await;
    assert_eq!(outcomes.iter().filter(|outcome| matches!(outcome, Ok(true))).count(), 1);
    for error in outcomes.into_iter().filter_map(Result::err) {
        assert!(matches!(error, CommitError::NotFound), "{error:?}");
    }
    // No change brought it back.
    assert_eq!(reopen(place, store).await.by_id(&order_id).await.expect("a look-up"), None);
}
