//! What is owed to the outside.

use super::*;

pub(in crate::store) async fn deliveries_come_when_they_are_due(place: &dyn Harness) {
    let store = open(place).await;
    assert!(store.owed(Lane::Texts, at(0), 10).await.expect("what is owed").next.is_none());
    let to = phone(1);
    let waiting = |id, seconds| Delivery { not_before: at(seconds), ..text(id, &to, at(-100)) };
    let first = Draft {
        deliveries: vec![
            waiting(1, -10),
            waiting(2, 5),
            Delivery { state: DeliveryState::Sent, ..waiting(3, -10) },
            Delivery { state: DeliveryState::Failed, ..waiting(4, -10) },
            Delivery { state: DeliveryState::Skipped, ..waiting(5, -10) },
            Delivery { claimed_until: Some(at(30)), ..waiting(6, -90) },
            Delivery { claimed_until: Some(at(-50)), ..waiting(7, -40) },
        ],
        ..Draft::default()
    };
    let first = first.insert(&store).await;
    // Also of an order that is closed.
    let status = OrderStatus::Cancelled;
    let second = Draft { status, deliveries: vec![waiting(1, -20)], ..Draft::default() }.insert(&store).await;

    let (a, b) = (&first.order.order_id, &second.order.order_id);
    let told = async |store: &Arc<dyn Store>, seconds, most| {
        let owed = store.owed(Lane::Texts, at(seconds), most).await.expect("what is owed");
        for (order, delivery) in &owed.due {
            let record = if order == a { &first } else { &second };
            assert!(record.deliveries.contains(delivery), "as it stands with its order: {delivery:?}");
        }
        (owed.due.into_iter().map(|(order, delivery)| (order, delivery.id)).collect::<Vec<_>>(), owed.next)
    };
    let due = |pairs: &[(&OrderId, u32)]| pairs.iter().map(|(order, id)| ((*order).clone(), *id)).collect::<Vec<_>>();
    let mut store = store;
    for _ in 0..2 {
        assert_eq!(told(&store, -100, 10).await, (vec![], Some(at(-40))));
        assert_eq!(told(&store, 0, 10).await, (due(&[(a, 7), (b, 1), (a, 1)]), Some(at(5))));
        assert_eq!(told(&store, 0, 2).await, (due(&[(a, 7), (b, 1)]), Some(at(-10))), "more is due than asked for");
        assert_eq!(told(&store, 5, 10).await, (due(&[(a, 7), (b, 1), (a, 1), (a, 2)]), Some(at(30))));
        assert_eq!(told(&store, 30, 10).await.0.last(), Some(&(a.clone(), 6)), "a claim has ended");
        assert_eq!(told(&store, 30, 10).await.1, None);
        store = reopen(place, store).await;
    }
    // Claimed, done, put off: each is seen at the next look.
    edit(&store, a, |record| {
        record.deliveries[0].claimed_until = Some(at(60));
        record.deliveries[1].state = DeliveryState::Sent;
        record.deliveries[6].not_before = at(45);
    })
    .await;
    remove(&store, b, at(0)).await.expect("it is removed");
    let owed = store.owed(Lane::Texts, at(44), 10).await.expect("what is owed");
    assert_eq!(owed.due.iter().map(|(order, delivery)| (order, delivery.id)).collect::<Vec<_>>(), [(a, 6)]);
    assert_eq!(owed.next, Some(at(45)));
}

pub(in crate::store) async fn a_pile_in_one_lane_hides_nothing_in_another(place: &dyn Harness) {
    let store = open(place).await;
    let row = |id| Delivery { kind: DeliveryKind::SheetRow, to: None, ..text(id, &phone(1), at(-50)) };
    for seconds in -40..-20 {
        Draft { at: at(seconds), deliveries: vec![row(1)], ..Draft::default() }.insert(&store).await;
    }
    let later = Delivery { not_before: at(9), ..row(3) };
    let ticket = Delivery { kind: DeliveryKind::PosTicket, to: None, ..text(4, &phone(1), at(-2)) };
    let deliveries = vec![row(1), text(2, &phone(1), at(-1)), later, ticket];
    let last = Draft { deliveries, ..Draft::default() }.insert(&store).await;
    let owed = async |lane, most| store.owed(lane, at(0), most).await.expect("what is owed");
    let texts = owed(Lane::Texts, 1).await;
    let found: Vec<_> = texts.due.iter().map(|(order, delivery)| (order, delivery.id)).collect();
    assert_eq!((found, texts.next), (vec![(&last.order.order_id, 2)], None));
    assert_eq!(owed(Lane::Sheet, 100).await.due.len(), 21);
    assert_eq!(owed(Lane::Sheet, 100).await.next, Some(at(9)));
    assert!(owed(Lane::Webhook, 100).await.due.is_empty());
    let tickets = owed(Lane::Pos, 1).await;
    assert_eq!((tickets.due[0].1.id, tickets.due.len(), tickets.next), (4, 1, None));
}

pub(in crate::store) async fn deliveries_given_up_are_found(place: &dyn Harness) {
    let store = open(place).await;
    let failed = |id| Delivery { state: DeliveryState::Failed, ..text(id, &phone(1), at(0)) };
    let made = |seconds, deliveries| Draft { at: at(seconds), deliveries, ..Draft::default() };
    let older = made(-9, vec![text(1, &phone(1), at(0)), failed(2), failed(3)]).insert(&store).await;
    made(-8, vec![text(1, &phone(1), at(0))]).insert(&store).await;
    let newer = made(-7, vec![failed(1)]).insert(&store).await;
    let status = OrderStatus::Completed;
    let newest = Draft { status, ..made(-6, vec![failed(1)]) }.insert(&store).await;
    let (older, newer, newest) = (&older.order.order_id, &newer.order.order_id, &newest.order.order_id);

    let found = store.undelivered(10).await.expect("a list");
    assert_eq!(ids(&found), [newest.as_str(), newer.as_str(), older.as_str()]);
    assert_eq!(ids(&store.undelivered(2).await.expect("a list")), [newest.as_str(), newer.as_str()]);
    edit(&store, newer, |record| record.deliveries[0].state = DeliveryState::Owed).await;
    edit(&store, older, |record| record.deliveries[1].state = DeliveryState::Sent).await;
    remove(&store, newest, at(0)).await.expect("it is removed");
    assert_eq!(ids(&store.undelivered(10).await.expect("a list")), [older.as_str()]);
    assert_eq!(ids(&reopen(place, store).await.undelivered(10).await.expect("a list")), [older.as_str()]);
}
