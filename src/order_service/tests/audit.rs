//! Who changed an order, what they did, when, and because of which request.

use super::*;

fn asked(by: &'static str, request: &str) -> Origin {
    Origin { by, correlation_id: Some(request.to_owned()) }
}

/// What the audit of an order on disk says, a line an entry: version, who, what, seconds since the order, request, reason.
fn told(shop: &Shop, order: &Order) -> Vec<String> {
    let record = shop.stored(order);
    let line = |entry: &AuditEntry| {
        let after = entry.at.duration_since(order.created_at).as_secs();
        let request = entry.correlation_id.as_deref().unwrap_or("-");
        let reason = entry.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
        format!("{} {} {} +{after} {request}{reason}", entry.version, entry.by, entry.what)
    };
    record.audit.iter().map(line).collect()
}

#[tokio::test]
async fn every_change_is_written_down_with_who_what_when_and_why() {
    let shop = Shop::open().await;
    let (orders, made) = (shop.orders.clone(), NewOrder { origin: asked("phone", "call_1"), ..new(vec![taro(1)]) });
    let order = shop.place(made).await;
    let id = &order.order_id;
    shop.pass(1);
    let more = NewOrder { origin: asked("phone", "call_2"), ..new(vec![taro(2)]) };
    orders.append(id, more).await.expect("amended");
    shop.pass(1);
    let patch = Patch { notes: Some(Some("no straw".to_owned())), ..Patch::default() };
    orders.patch(id, patch, None, asked("api", "req_3")).await.expect("patched");
    shop.pass(1);
    orders.done(order.order_number, asked("staff", "req_4")).await.expect("done");
    shop.pass(1);
    orders.undo(id, None, asked("staff", "req_5")).await.expect("undone");
    shop.pass(1);
    let why = Some("out of milk".to_owned());
    orders.change_status(id, OrderStatus::Cancelled, why, None, asked("api", "req_6")).await.expect("cancelled");
    let lines = [
        "1 phone created +0 call_1",
        "2 phone amended +1 call_2",
        "3 api patched +2 req_3",
        "4 staff ready +3 req_4",
        "5 staff undone +4 req_5",
        "6 api cancelled +5 req_6 (out of milk)",
    ];
    assert_eq!(told(&shop, &order), lines);
    let history: Vec<_> = shop.stored(&order).order.history;
    assert_eq!(history.len(), 6, "one line a version");
    for (entry, line) in history.iter().zip(&shop.stored(&order).audit) {
        assert_eq!((entry.at, &entry.by), (line.at, &line.by));
    }
}

#[tokio::test]
async fn what_was_refused_or_repeated_is_no_change() {
    let shop = Shop::open().await;
    let order = shop.place(new(vec![taro(1)])).await;
    let before = shop.stored(&order);
    shop.set(&order, OrderStatus::Completed).await.expect_err("not in the table");
    shop.orders.undo(&order.order_id, None, origin("staff")).await.expect_err("nothing to undo");
    let stale = shop.orders.patch(&order.order_id, Patch::default(), Some(7), origin("staff")).await;
    assert!(matches!(stale, Err(OrderError::VersionConflict { current: 1 })), "{stale:?}");
    let stale = shop.orders.delete(&order.order_id, Some(7), origin("staff")).await;
    assert!(matches!(stale, Err(OrderError::VersionConflict { current: 1 })), "{stale:?}");
    shop.place(NewOrder { idempotency: Some(key_of("CA9:1")), call_sid: Some("CA9".to_owned()), ..new(vec![taro(3)]) })
        .await;
    assert_eq!(shop.stored(&order), before);

    let more = || NewOrder { idempotency: Some(key_of("CA1:2")), ..new(vec![taro(2)]) };
    for _ in 0..3 {
        shop.orders.append(&order.order_id, more()).await.expect("once, and the same again");
    }
    shop.orders.done(order.order_number, origin("staff")).await.expect("done");
    shop.orders.done(order.order_number, origin("staff")).await.expect("done already");
    let what: Vec<_> = shop.stored(&order).audit.into_iter().map(|entry| entry.what).collect();
    assert_eq!(what, ["created", "amended", "ready"]);
}

#[tokio::test]
async fn what_the_system_and_retries_do_is_written_down_too() {
    let shop = Shop::open().await;
    let order = shop.place(new(vec![taro(1)])).await;
    let failed = Attempt::Failed { reason: "no such number".to_owned() };
    shop.tell(&order, 1, failed).await;
    shop.orders.retry_delivery(&order.order_id, 1, asked("staff", "req_2")).await.expect("tried again");
    shop.orders.done(order.order_number, asked("staff", "req_3")).await.expect("done");
    shop.pass(12 * 3600);
    shop.orders.complete_forgotten().await;
    shop.pass(30 * 24 * 3600);
    assert_eq!(shop.orders.erase_old(30).await.expect("erased"), 1);
    let lines = [
        "1 phone created +0 req_1",
        "1 staff delivery_retried +0 req_2",
        "2 staff ready +0 req_3",
        "3 system completed +43200 -",
        "4 system erased +2635200 -",
    ];
    assert_eq!(told(&shop, &order), lines);
}
