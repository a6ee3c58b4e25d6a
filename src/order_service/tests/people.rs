//! What is erased of customers, when, and what stays.

use super::*;
use serde_json::json;

const NUMBER: &str = "5551234567";

fn told(order: NewOrder, n: u32) -> NewOrder {
    let reply = |order: &Order| Reply { status: 201, body: json!(order) };
    NewOrder {
        name: Some("Ada Lovelace".to_owned()),
        notes: Some("for Ada".to_owned()),
        call_sid: Some(format!("CA{n}")),
        allow_duplicate: true,
        idempotency: Some(Idempotency { key: format!("api:{n}"), request: String::new(), reply: Some(reply) }),
        ..order
    }
}

impl Shop {
    /// Everything in the folder that is about orders, as text.
    fn written(&self) -> String {
        let entries =
            std::fs::read_dir(self.dir.path()).expect("readable").map(|entry| entry.expect("readable").path());
        let files = entries.filter(|path| path.extension().is_some_and(|ending| ending == "json"));
        files.map(|path| std::fs::read_to_string(path).expect("readable")).collect()
    }

    async fn forget(&self, number: &str) -> Erased {
        self.orders.forget(&phone(number), origin("staff")).await.expect("forgotten")
    }
}

#[tokio::test]
async fn a_customer_who_asks_is_forgotten_everywhere() {
    let shop = Shop::open().await;
    let mut noted = taro(1);
    noted.note = Some("Ada likes it hot".to_owned());
    let open = shop.place(told(new(vec![noted]), 1)).await;
    let cancelled = shop.place(told(new(vec![taro(2)]), 2)).await;
    let why = Some("Ada called".to_owned());
    let cancel = shop.orders.change_status(&cancelled.order_id, OrderStatus::Cancelled, why, None, origin("staff"));
    cancel.await.expect("cancelled");
    let deleted = shop.place(told(new(vec![taro(3)]), 3)).await;
    shop.orders.delete(&deleted.order_id, None, origin("staff")).await.expect("deleted");
    let by_id = NewOrder { phone: None, customer_id: Some("+15551234567".to_owned()), ..told(new(vec![taro(4)]), 4) };
    let by_id = shop.place(by_id).await;
    let other = NewOrder { phone: Some(phone("555-123-9999")), name: Some("Grace".to_owned()), ..new(vec![taro(1)]) };
    let other = shop.place(other).await;
    let untouched = shop.stored(&other);
    assert!(shop.written().matches(NUMBER).count() > 8, "{}", shop.written());

    assert_eq!(shop.forget("555-123-4567").await, Erased { orders: 3, deleted_orders: 1 });
    let written = shop.written();
    for somebody in [NUMBER, "Ada"] {
        assert!(!written.contains(somebody), "{somebody}: {written}");
    }
    assert_eq!(shop.stored(&other), untouched);
    for (order, drinks) in [(&open, 1), (&cancelled, 2), (&by_id, 4)] {
        let record = shop.stored(order);
        assert_eq!((record.order.drinks(), record.order.total), (drinks, order.total), "the sums stay");
        assert_eq!(record.erased_at, Some(shop.orders.now()));
        assert_eq!(record.fingerprint, None, "it is a digest of the number");
    }
    let statistics = shop.orders.statistics().await.expect("readable");
    assert_eq!((statistics.orders, statistics.customers), (4, 1));
    assert_eq!(shop.forget("555-123-4567").await, Erased::default(), "once");
    let again = shop.orders.create(told(new(vec![taro(1)]), 1)).await.expect("the key is still known");
    assert!(matches!(again, Created::Before { order: Some(_), .. }), "{again:?}");
}

#[tokio::test]
async fn who_gave_no_number_is_found_by_the_one_they_called_from() {
    let shop = Shop::open().await;
    let called =
        |from: Option<&str>, n| NewOrder { phone: None, caller: from.map(phone), ..told(new(vec![taro(1)]), n) };
    let ada = shop.place(called(Some("555-123-4567"), 1)).await;
    let grace = shop.place(called(Some("555-123-9999"), 2)).await;
    let withheld = shop.place(called(None, 3)).await;
    assert_eq!(shop.forget("555-123-4567").await, Erased { orders: 1, deleted_orders: 0 });
    let names = [&ada, &grace, &withheld].map(|order| shop.stored(order).order.name.is_some());
    assert_eq!(names, [false, true, true]);
}

#[tokio::test]
async fn a_text_that_is_still_owed_is_not_sent_to_who_was_forgotten() {
    let shop = Shop::open().await;
    let order = shop.place(new(vec![taro(1)])).await;
    shop.forget("555-123-4567").await;
    assert_eq!(shop.due().await, (0, None));
    let done = shop.orders.done(order.order_number, origin("staff")).await.expect("it is made all the same");
    assert_eq!(done.status, OrderStatus::Ready);
    assert_eq!(shop.stored(&order).deliveries.len(), 1, "nobody is there to be texted");
}

#[tokio::test]
async fn after_so_many_days_closed_orders_are_nobodys() {
    let shop = Shop::open().await;
    let closed = shop.place(told(new(vec![taro(1)]), 1)).await;
    shop.set(&closed, OrderStatus::Cancelled).await.expect("cancelled");
    let open = shop.place(told(new(vec![taro(2)]), 2)).await;
    shop.pass(30 * 24 * 3600 - 1);
    let young = shop.place(told(new(vec![taro(3)]), 3)).await;
    shop.set(&young, OrderStatus::Cancelled).await.expect("cancelled");
    assert_eq!(shop.orders.erase_old(30).await.expect("erased"), 0, "not yet");
    shop.pass(2);
    assert_eq!(shop.orders.erase_old(30).await.expect("erased"), 1);
    let names = [&closed, &open, &young].map(|order| shop.stored(order).order.name);
    assert_eq!(names.map(|name| name.is_some()), [false, true, true]);
    let record = shop.stored(&closed);
    assert_eq!((record.order.items, record.order.total), (closed.items, closed.total));
    assert_eq!(shop.orders.erase_old(30).await.expect("erased"), 0, "once");
}

#[tokio::test]
async fn more_orders_than_a_page_holds_are_completed_and_erased() {
    let shop = Shop::open().await;
    let all = (0..250).map(|n| {
        let orders = shop.orders.clone();
        let order = NewOrder { phone: None, customer_id: Some(n.to_string()), ..new(vec![taro(1)]) };
        async move { placed(orders.create(order).await).order_id }
    });
    let ids = futures_util::future::join_all(all).await;
    let ready = ids.iter().map(|id| {
        let (orders, id) = (shop.orders.clone(), id.clone());
        async move { orders.change_status(&id, OrderStatus::Ready, None, None, origin("staff")).await.expect("done") }
    });
    futures_util::future::join_all(ready).await;
    let ready = shop.orders.list(&Query { statuses: vec![OrderStatus::Ready], limit: 1, ..Query::default() }).await;
    assert_eq!(ready.expect("readable").records.len(), 1);
    shop.pass(12 * 3600);
    shop.orders.complete_forgotten().await;
    assert!(shop.orders.open().await.expect("readable").is_empty(), "nobody picked them up");
    shop.pass(12 * 3600 + 1);
    assert_eq!(shop.orders.erase_old(1).await.expect("erased"), 250);
    assert_eq!(shop.orders.statistics().await.expect("readable").customers, 0);
}

#[tokio::test]
async fn whose_call_it_was_what_was_attached_and_the_digest_of_the_request_go_too() {
    let shop = Shop::open().await;
    let metadata = json!({"demo": true, "guest": "Ada Lovelace", "table": {"ask": "Ada"}});
    let digest = "ab".repeat(32);
    let request = || {
        let mut order = told(new(vec![taro(1)]), 1);
        order.metadata = metadata.as_object().expect("an object").clone();
        order.idempotency = order.idempotency.map(|key| Idempotency { request: digest.clone(), ..key });
        order
    };
    let order = shop.place(request()).await;
    assert!(shop.written().contains(&digest));
    assert_eq!(shop.forget("555-123-4567").await.orders, 1);
    let written = shop.written();
    for somebody in ["Ada", "CA1", &digest] {
        assert!(!written.contains(somebody), "{somebody}: {written}");
    }
    assert_eq!(json!(shop.stored(&order).order.metadata), json!({"demo": true}), "that is our own mark");
    assert_eq!(shop.forget("555-123-4567").await, Erased::default(), "once");
    let Ok(Created::Before { order: Some(_), answer }) = shop.orders.create(request()).await else {
        panic!("the key alone is the request now")
    };
    assert_eq!(answer.reply.expect("it is told again").body["name"], json!(null));
}

#[tokio::test]
async fn a_row_that_was_once_owed_is_blanked_though_the_sheet_is_off_now() {
    let shop = Shop::open_with_all().await;
    let order = shop.place(new(vec![taro(1)])).await;
    let rows = |shop: &Shop| {
        let deliveries = shop.stored(&order).deliveries.into_iter();
        deliveries.filter(|delivery| delivery.kind == DeliveryKind::SheetRow).map(|row| row.state).collect::<Vec<_>>()
    };
    let taken = shop.claim(Lane::Sheet, 1).await;
    shop.tell(&order, taken[0].delivery.id, Attempt::Sent { provider_id: None }).await;
    assert_eq!(rows(&shop), [DeliveryState::Sent]);
    let Shop { orders, dir, .. } = shop;
    drop(orders);
    let shop = Shop::open_in(dir, true).await;
    assert_eq!(shop.forget("555-123-4567").await.orders, 1);
    assert_eq!(rows(&shop), [DeliveryState::Sent, DeliveryState::Owed]);
}

/// Two rounds at once find the same orders; whoever comes second has nothing to do.
#[tokio::test]
async fn an_order_is_erased_once_by_two_at_once() {
    let shop = Shop::open().await;
    let order = shop.place(told(new(vec![taro(1)]), 1)).await;
    let inner = &shop.orders.0;
    let (first, second) = tokio::join!(
        inner.erase(order.order_id.clone(), origin("staff")),
        inner.erase(order.order_id.clone(), origin("system")),
    );
    let mut erased = [first.expect("saved"), second.expect("saved")];
    erased.sort_unstable();
    assert_eq!((erased, shop.stored(&order).order.version), ([false, true], 2));
}
