//! What is noted beside an order: what becomes of it, and what does not become of the order.

use super::*;
use crate::events::Subscription;
use serde_json::{Value, json};

async fn mark(shop: &Shop, order: &Order, mark: Mark) -> Result<Marks, OrderError> {
    shop.orders.mark(&order.order_id, mark, origin("staff")).await.map(|record| marks(&record))
}

fn made(item: usize) -> Mark {
    Mark::Item { item, made: true }
}

async fn next(feed: &mut Subscription) -> Value {
    let EventDelivery::Event(_, json) = feed.next().await else { panic!("an event was expected") };
    serde_json::from_str(&json).expect("JSON")
}

#[tokio::test]
async fn a_mark_is_kept_beside_the_order_and_changes_nothing_of_it() {
    let shop = Shop::open_with_all().await;
    let order = shop.place(new(vec![taro(1), taro(2)])).await;
    let before = shop.stored(&order);
    let (mut staff, mut public) =
        (shop.events.subscribe(Audience::Staff, None), shop.events.subscribe(Audience::Public, None));
    shop.pass(60);
    mark(&shop, &order, made(1)).await.expect("marked");
    let rushed = mark(&shop, &order, Mark::Rush(true)).await.expect("marked");
    assert_eq!(rushed, Marks { made: [1].into(), rushed_at: Some(shop.orders.now()) });

    let after = shop.stored(&order);
    assert_eq!(after.order, order, "version, history and all");
    assert_eq!((&after.audit, &after.deliveries), (&before.audit, &before.deliveries), "nobody outside is told");
    assert_eq!((after.marks, after.revision), (rushed.clone(), before.revision + 2));
    let told = |rushed_at: Value| {
        json!({
            "type": "order_marked",
            "order_number": order.order_number,
            "order_id": order.order_id,
            "status": "received",
            "made": [1],
            "rushed_at": rushed_at,
        })
    };
    assert_eq!(next(&mut staff).await, told(Value::Null));
    assert_eq!(next(&mut staff).await, told(json!(rushed.rushed_at)));

    shop.pass(60);
    assert_eq!(mark(&shop, &order, Mark::Rush(true)).await.expect("harmless"), rushed, "it keeps its place");
    assert_eq!(mark(&shop, &order, made(1)).await.expect("harmless"), rushed);
    assert_eq!(shop.stored(&order).revision, after.revision, "what is noted already is not committed again");
    shop.set(&order, OrderStatus::Preparing).await.expect("preparing");
    for feed in [&mut staff, &mut public] {
        assert_eq!(next(feed).await["type"], "order_status_changed", "nobody is told of what is no news");
    }
    mark(&shop, &order, Mark::Item { item: 1, made: false }).await.expect("unmarked");
    assert_eq!(mark(&shop, &order, Mark::Rush(false)).await.expect("unmarked"), Marks::default());
    let file = serde_json::to_value(shop.stored(&order)).expect("JSON");
    assert!(file.get("marks").is_none(), "nothing is left of it");
}

#[tokio::test]
async fn marks_rest_while_an_order_is_closed_and_come_back_with_it() {
    let shop = Shop::open().await;
    let order = shop.place(new(vec![taro(1), taro(2)])).await;
    mark(&shop, &order, made(0)).await.expect("marked");
    let marked = mark(&shop, &order, Mark::Rush(true)).await.expect("marked");
    let shown = |order: &Order| marks(&shop.stored(order));
    for (to, back) in [(OrderStatus::Cancelled, None), (OrderStatus::Completed, Some(OrderStatus::Ready))] {
        if back.is_some() {
            shop.set(&order, OrderStatus::Ready).await.expect("ready");
            assert_eq!(shown(&order), marked, "a ready order may turn out not to be");
        }
        shop.set(&order, to).await.expect("closed");
        assert_eq!(shown(&order), Marks::default());
        let refused = mark(&shop, &order, made(1)).await;
        assert!(matches!(refused, Err(OrderError::TooLate(status)) if status == to), "{refused:?}");
        match back {
            Some(back) => shop.set(&order, back).await.map(drop).expect("recalled"),
            None => shop.orders.undo(&order.order_id, None, origin("staff")).await.map(drop).expect("in time"),
        }
        assert_eq!(shown(&order), marked);
    }
}

#[tokio::test]
async fn only_lines_that_are_there_can_be_made() {
    let shop = Shop::open().await;
    let order = shop.place(new(vec![taro(3)])).await;
    for (item, is_made) in [(1, true), (1, false), (usize::MAX, true)] {
        let refused = mark(&shop, &order, Mark::Item { item, made: is_made }).await;
        assert!(matches!(refused, Err(OrderError::NoSuchItem(no)) if no == item), "{refused:?}");
    }
    mark(&shop, &order, made(0)).await.expect("marked");
    let more = NewOrder { idempotency: Some(key_of("call:more")), ..new(vec![taro(1)]) };
    shop.orders.append(&order.order_id, more).await.expect("appended");
    assert_eq!(marks(&shop.stored(&order)).made, [0].into(), "what was appended is still to be made");
    mark(&shop, &order, made(1)).await.expect("marked");
    let nobody = OrderId::numbered("main", 99);
    let refused = shop.orders.mark(&nobody, Mark::Rush(true), origin("staff")).await;
    assert!(matches!(refused, Err(OrderError::NotFound)), "{refused:?}");
}

#[tokio::test]
async fn what_is_told_as_undoable_is_what_undo_takes_back() {
    let shop = Shop::open().await;
    let order = shop.place(new(vec![taro(1)])).await;
    let until = |shop: &Shop| undo_until(&shop.stored(&order), shop.orders.now());
    assert_eq!(until(&shop), None, "it was made, not moved");
    shop.set(&order, OrderStatus::Ready).await.expect("ready");
    let end = shop.orders.now() + SignedDuration::from_secs(5);
    shop.pass(5);
    assert_eq!(until(&shop), Some(end));
    shop.pass(1);
    assert_eq!(until(&shop), None, "too late");
    shop.set(&order, OrderStatus::Completed).await.expect("completed");
    assert!(until(&shop).is_some());
    shop.orders.undo(&order.order_id, None, origin("staff")).await.expect("undone");
    assert_eq!(until(&shop), None, "once");

    let order = shop.place(new(vec![taro(1)])).await;
    shop.claim(Lane::Texts, 10).await;
    shop.set(&order, OrderStatus::Cancelled).await.expect("cancelled");
    let shown = || async { undo_until(&shop.stored(&order), shop.orders.now()) };
    assert!(shown().await.is_some());
    shop.pass(5);
    assert_eq!(shop.claim(Lane::Texts, 10).await.len(), 1);
    assert_eq!(shown().await, None, "the text is on its way");
}

#[tokio::test]
async fn what_became_of_a_text_is_told_of_the_newest() {
    let shop = Shop::open().await;
    let order = shop.place(new(vec![taro(1)])).await;
    let state = |shop: &Shop| text_state(&shop.stored(&order), OrderStatus::Ready).map(TextState::as_str);
    assert_eq!(state(&shop), None);
    shop.set(&order, OrderStatus::Ready).await.expect("ready");
    assert_eq!(state(&shop), Some("owed"));
    shop.orders.undo(&order.order_id, None, origin("staff")).await.expect("undone");
    assert_eq!(state(&shop), Some("dropped"));
    shop.set(&order, OrderStatus::Ready).await.expect("ready");
    assert_eq!(state(&shop), Some("owed"), "that is another one");
    let mut record = shop.stored(&order);
    let latest = record.deliveries.last_mut().expect("a text");
    (latest.state, latest.reason) = (DeliveryState::Skipped, Some("no credentials for texts".to_owned()));
    assert_eq!(text_state(&record, OrderStatus::Ready), Some(TextState::Skipped));
    for (state, told) in [(DeliveryState::Sent, TextState::Sent), (DeliveryState::Failed, TextState::Failed)] {
        record.deliveries.last_mut().expect("a text").state = state;
        assert_eq!(text_state(&record, OrderStatus::Ready), Some(told));
    }
    assert_eq!(text_state(&record, OrderStatus::Preparing), None, "nobody is texted about that");
}
