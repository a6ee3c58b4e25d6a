//! What decisions are told.

use super::*;
use std::collections::BTreeMap;

pub(in crate::store) async fn what_a_check_is_told_of_a_phone(place: &dyn Harness) {
    let store = open(place).await;
    let (ana, ben) = (phone(1), phone(2));
    let of = |who: &PhoneNumber| Draft { phone: Some(who.clone()), ..Draft::default() };
    for (drinks, status) in [
        (1, OrderStatus::Pending),
        (2, OrderStatus::Received),
        (4, OrderStatus::Preparing),
        (8, OrderStatus::Ready),
        (16, OrderStatus::Completed),
        (32, OrderStatus::Cancelled),
    ] {
        Draft { drinks, status, ..of(&ana) }.insert(&store).await;
    }
    let gone = Draft { drinks: 64, ..of(&ana) }.insert(&store).await;
    let moved = Draft { drinks: 128, ..of(&ana) }.insert(&store).await;
    remove(&store, &gone.order.order_id, at(0)).await.expect("it is removed");
    let other = ben.clone();
    edit(&store, &moved.order.order_id, move |record| record.order.phone = Some(other.clone())).await;
    Draft { drinks: 256, ..Draft::default() }.insert(&store).await;

    let store = reopen(place, store).await;
    let told = async |who: Option<&PhoneNumber>| {
        let told = facts(&store, Ask { phone: who.cloned(), ..Draft::default().ask() }).await;
        (told.active_drinks, told.texts_last_hour)
    };
    assert_eq!(told(Some(&ana)).await, (1 + 2 + 4, 0));
    assert_eq!(told(Some(&ben)).await, (128, 0));
    assert_eq!(told(Some(&phone(3))).await, (0, 0));
    assert_eq!(told(None).await, (0, 0));

    // Texts count by whom they go to, whatever became of the order, and not when they were skipped.
    let deliveries = vec![
        text(1, &ana, at(-minutes(59))),
        text(2, &ana, at(-minutes(61))),
        text(3, &ben, at(-1)),
        Delivery { state: DeliveryState::Skipped, ..text(4, &ana, at(-1)) },
        Delivery { state: DeliveryState::Sent, ..text(5, &ana, at(-2)) },
        Delivery { kind: DeliveryKind::Webhook, to: None, ..text(6, &ana, at(-1)) },
    ];
    let status = OrderStatus::Completed;
    let texted = Draft { status, deliveries, ..of(&ben) }.insert(&store).await;
    assert_eq!((told(Some(&ana)).await.1, told(Some(&ben)).await.1), (2, 1));
    edit(&store, &texted.order.order_id, |record| record.deliveries[0].state = DeliveryState::Skipped).await;
    assert_eq!((told(Some(&ana)).await.1, told(Some(&ben)).await.1), (1, 1));
    let later = facts(&store, Ask { phone: Some(ana), ..Draft { at: at(hours(1)), ..Draft::default() }.ask() }).await;
    assert_eq!(later.texts_last_hour, 0);
}

pub(in crate::store) async fn what_a_check_is_told_of_the_queue(place: &dyn Harness) {
    let store = open(place).await;
    let draft = |drinks, pickup: Option<i64>, ready: Option<i64>| Draft {
        drinks,
        pickup_at: pickup.map(|in_minutes| at(minutes(in_minutes))),
        ready_at: ready.map(|in_minutes| at(minutes(in_minutes))),
        ..Draft::default()
    };
    draft(1, None, Some(5)).insert(&store).await;
    draft(2, Some(29), Some(29)).insert(&store).await;
    draft(4, Some(30), Some(30)).insert(&store).await;
    // Its slot is the one in which it is fetched, however early or late it is made.
    draft(8, Some(200), Some(25)).insert(&store).await;
    let done = draft(16, None, Some(5)).insert(&store).await;
    let gone = draft(32, Some(10), Some(10)).insert(&store).await;
    draft(64, None, None).insert(&store).await;
    draft(128, None, Some(5)).insert(&store).await;
    set_status(&store, &done.order.order_id, OrderStatus::Ready).await;
    remove(&store, &gone.order.order_id, at(0)).await.expect("it is removed");

    let store = reopen(place, store).await;
    let told = async |ahead: i64, due: Option<std::ops::Range<i64>>| {
        let due = due.map(|due| at(minutes(due.start))..at(minutes(due.end)));
        let told = facts(&store, Ask { ahead_until: at(minutes(ahead)), due, ..Draft::default().ask() }).await;
        let mut sums: BTreeMap<Timestamp, u32> = BTreeMap::new();
        for (at, drinks) in told.due {
            *sums.entry(at).or_default() += drinks;
        }
        (told.drinks_ahead, sums.into_iter().collect::<Vec<_>>())
    };
    assert_eq!(told(30, None).await, (1 + 2 + 64 + 128, Vec::new()));
    assert_eq!(told(0, None).await.0, 1 + 64 + 128);
    assert_eq!(told(1000, None).await.0, 1 + 2 + 4 + 8 + 64 + 128);
    assert_eq!(told(0, Some(0..30)).await.1, [(at(minutes(5)), 1 + 128), (at(minutes(29)), 2)]);
    assert_eq!(told(0, Some(30..200)).await.1, [(at(minutes(30)), 4)]);
    assert_eq!(told(0, Some(300..400)).await.1, []);
}

pub(in crate::store) async fn what_a_check_is_told_of_the_same_drinks(place: &dyn Harness) {
    let store = open(place).await;
    let same = |seconds| Draft { at: at(seconds), fingerprint: Some("taro".into()), ..Draft::default() };
    let told = async |store: &Arc<dyn Store>| -> Vec<String> {
        let told = facts(store, same(0).ask()).await;
        assert!(!told.alike_in_flight, "nothing is being written");
        told.alike.iter().map(|order| order.order_id.to_string()).collect()
    };
    assert!(told(&store).await.is_empty());
    let edge = same(-minutes(5)).insert(&store).await.order.order_id.to_string();
    let old = same(-minutes(5) - 1).insert(&store).await;
    let cancelled = same(-3).insert(&store).await;
    let gone = same(-2).insert(&store).await;
    let newest = same(-1).insert(&store).await.order.order_id.to_string();
    Draft { fingerprint: Some("mocha".into()), ..same(-1) }.insert(&store).await;
    Draft { fingerprint: None, ..same(-1) }.insert(&store).await;
    set_status(&store, &cancelled.order.order_id, OrderStatus::Cancelled).await;
    remove(&store, &gone.order.order_id, at(0)).await.expect("it is removed");
    assert_eq!(told(&store).await, [newest.clone(), edge.clone()]);

    // An older order that has these drinks only since a moment ago is as suspicious; one that no longer has them is not.
    edit(&store, &old.order.order_id, |record| record.fingerprint_at = Some(at(-4))).await;
    edit(&store, &id(&newest), |record| record.fingerprint = Some("two taro".into())).await;
    let old = old.order.order_id.to_string();
    assert_eq!(told(&store).await, [edge.clone(), old.clone()]);
    assert_eq!(told(&reopen(place, store).await).await, [edge, old]);
}

pub(in crate::store) async fn what_an_amendment_is_told(place: &dyn Harness) {
    let store = open(place).await;
    let (ana, ben) = (phone(1), phone(2));
    let of = |who: &PhoneNumber, drinks| Draft {
        phone: Some(who.clone()),
        drinks,
        deliveries: vec![text(1, who, at(-minutes(10)))],
        ..Draft::default()
    };
    let amended = of(&ana, 1).insert(&store).await;
    of(&ana, 2).insert(&store).await;
    of(&ben, 4).insert(&store).await;
    Draft { pickup_at: Some(at(hours(2))), ..of(&ana, 8) }.insert(&store).await;
    let nobody = Draft { drinks: 16, ..Draft::default() }.insert(&store).await;

    for (id, expected) in [(&amended.order.order_id, (1 + 2 + 8, 3)), (&nobody.order.order_id, (0, 0))] {
        let told = Arc::new(Mutex::new(None));
        let keep = Arc::clone(&told);
        let amend = move |_: &Record, facts: &Facts| {
            *keep.lock().unwrap() = Some(facts.clone());
            None
        };
        let refused = store.update(change(id, amend)).await;
        assert!(matches!(refused, Err(CommitError::Refused)), "{refused:?}");
        let told = told.lock().unwrap().take().expect("it was asked");
        assert_eq!((told.active_drinks, told.texts_last_hour), expected);
        assert_eq!(told.drinks_ahead, 1 + 2 + 4 + 16);
    }
}
