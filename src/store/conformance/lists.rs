//! Lists and counts.

use super::*;
use crate::ordering::money::Money;
use crate::store::{Place, Query, folded_name};
use std::collections::HashSet;

/// Orders that differ in everything that is looked for, several of them made at the same instant.
fn many() -> Vec<Record> {
    let names =
        [None, Some("Ana"), Some("  ana  MARIA "), Some("Ana Maria"), Some("ÅSA"), Some("åsa"), Some("O'Neil; --")];
    let customers = [None, Some("till"), Some("Till"), Some("+15551230001")];
    (0..60)
        .map(|k: usize| {
            let draft = Draft {
                at: at(-minutes(k as i64 / 4)),
                name: names[k % names.len()].map(str::to_owned),
                phone: (!k.is_multiple_of(3)).then(|| phone(k as u32 % 3)),
                customer: customers[k % customers.len()].map(str::to_owned),
                status: OrderStatus::ALL[k % OrderStatus::ALL.len()],
                drinks: 1 + k as u32 % 3,
                ..Draft::default()
            };
            // Of one instant, the shop's own ids come in the sequence of their numbers, not of their letters.
            let name = if k.is_multiple_of(2) { format!("ORD-main-{}", 5 + k) } else { format!("till-{k}") };
            draft.elsewhere(&name, 1000 + k as u32)
        })
        .collect()
}

fn expected(records: &[Record], query: &Query) -> Vec<OrderId> {
    let name = query.name.as_deref().map(folded_name);
    let mut fitting: Vec<&Record> = records
        .iter()
        .filter(|record| {
            let order = &record.order;
            (query.statuses.is_empty() || query.statuses.contains(&order.status))
                && query.phone.as_ref().is_none_or(|phone| order.phone.as_ref() == Some(phone))
                && query.customer_id.as_ref().is_none_or(|id| order.customer_id.as_ref() == Some(id))
                && name.as_ref().is_none_or(|name| order.name.as_deref().map(folded_name).as_ref() == Some(name))
        })
        .collect();
    fitting.sort_by_key(|record| std::cmp::Reverse(record.place()));
    fitting.into_iter().map(|record| record.order.order_id.clone()).collect()
}

/// Every page to the last.
async fn walk(store: &Arc<dyn Store>, query: &Query) -> Vec<OrderId> {
    let mut query = query.clone();
    let mut found = Vec::new();
    loop {
        let page = store.list(&query).await.expect("a list");
        assert!(page.records.len() <= query.limit, "more than asked for");
        assert!(page.next.is_none() || page.records.len() == query.limit, "a page in the middle is not full");
        found.extend(page.records.iter().map(|record| record.order.order_id.clone()));
        match page.next {
            // It was written out and read back, as a cursor is.
            Some(next) => query.after = Some(Place::from_text(next.to_string())),
            None => return found,
        }
    }
}

pub(in crate::store) async fn lists_are_what_was_asked_for_newest_first(place: &dyn Harness) {
    use OrderStatus::{Cancelled, Completed, Preparing, Received};
    let store = open(place).await;
    let records = many();
    for record in &records {
        store.import(record).await.expect("it is imported");
    }
    let store = reopen(place, store).await;
    let statuses = [
        vec![],
        vec![Received],
        vec![Received, Preparing, Cancelled],
        OrderStatus::ALL.to_vec(),
        vec![Completed, Completed],
    ];
    let names = [None, Some("ana"), Some("ANA maria"), Some("ÅSA "), Some("o'neil; --"), Some("nobody"), Some("")];
    let customers = [None, Some("till"), Some("nobody"), Some("")];
    let mut found = 0;
    for statuses in &statuses {
        for name in names {
            for customer in customers {
                for phone in [None, Some(phone(1)), Some(phone(9))] {
                    let query = Query {
                        statuses: statuses.clone(),
                        phone,
                        name: name.map(str::to_owned),
                        customer_id: customer.map(str::to_owned),
                        after: None,
                        limit: 7,
                    };
                    let expected = expected(&records, &query);
                    found += expected.len();
                    assert_eq!(walk(&store, &query).await, expected, "{query:?}");
                }
            }
        }
    }
    assert!(found > 300, "the queries look for what is there: {found}");
    let everything = Query { limit: 60, ..Query::default() };
    assert_eq!(store.list(&everything).await.expect("a list").next, None, "there is no page after the last");
    assert_eq!(walk(&store, &Query { limit: 1, ..Query::default() }).await, expected(&records, &everything));
    assert_eq!(walk(&store, &Query { limit: usize::MAX, ..Query::default() }).await.len(), 60);
    let since = Query { after: Some(Place::before(at(-minutes(10)))), ..everything };
    assert!(store.list(&since).await.expect("a list").records.iter().all(|r| r.order.created_at < at(-minutes(10))));
    assert_eq!(store.list(&since).await.expect("a list").records.len(), 60 - 44);
    for anything in ["", "\u{10ffff}", "' OR 1=1 --"] {
        let query = Query { after: Some(Place::from_text(anything)), limit: 100, ..Query::default() };
        store.list(&query).await.expect("any text is a place");
    }
}

pub(in crate::store) async fn cursors_are_complete_while_orders_are_made(place: &dyn Harness) {
    let store = open(place).await;
    for k in 0..30 {
        Draft { at: at(-minutes(k / 3)), ..Draft::default() }.insert(&store).await;
    }
    let statuses = [vec![], vec![OrderStatus::Received, OrderStatus::Ready]];
    for statuses in statuses {
        let everything = Query { statuses: statuses.clone(), limit: 1000, ..Query::default() };
        let before = walk(&store, &everything).await;
        let mut query = Query { statuses, limit: 4, ..Query::default() };
        let mut found = Vec::new();
        loop {
            let page = store.list(&query).await.expect("a list");
            found.extend(page.records.iter().map(|record| record.order.order_id.clone()));
            Draft { at: at(1), ..Draft::default() }.insert(&store).await;
            match page.next {
                Some(next) => query.after = Some(next),
                None => break,
            }
        }
        assert_eq!(found, before);
        assert_eq!(found.iter().collect::<HashSet<_>>().len(), found.len());
    }
}

pub(in crate::store) async fn open_orders_come_oldest_first(place: &dyn Harness) {
    let store = open(place).await;
    for record in many() {
        store.import(&record).await.expect("it is imported");
    }
    let mut expected = expected(&many(), &Query::default());
    let records = many();
    let is_open =
        |id: &OrderId| records.iter().any(|record| record.order.order_id == *id && record.order.status.is_open());
    expected.retain(is_open);
    expected.reverse();
    let open: Vec<OrderId> =
        store.open().await.expect("open orders").iter().map(|record| record.order.order_id.clone()).collect();
    assert_eq!(open, expected);
    for id in &open[..20] {
        set_status(&store, id, OrderStatus::Completed).await;
    }
    let store = reopen(place, store).await;
    let left = store.open().await.expect("open orders");
    assert_eq!(ids(&left), open[20..].iter().map(OrderId::as_str).collect::<Vec<_>>());
}

pub(in crate::store) async fn statistics_count_every_order(place: &dyn Harness) {
    let store = open(place).await;
    let empty = store.statistics().await.expect("statistics");
    assert_eq!((empty.orders, empty.revenue, empty.customers, empty.by_status.len()), (0, Money::ZERO, 0, 6));
    for record in many() {
        store.import(&record).await.expect("it is imported");
    }
    let counted = store.statistics().await.expect("statistics");
    let of = |status: OrderStatus| counted.by_status[status.as_str()];
    assert_eq!((counted.orders, counted.customers), (60, 3));
    assert_eq!(OrderStatus::ALL.map(of), [10; 6]);
    let paid = |record: &Record| record.order.status != OrderStatus::Cancelled;
    assert_eq!(counted.revenue, many().iter().filter(|record| paid(record)).map(|record| record.order.total).sum());

    set_status(&store, &id("ORD-main-5"), OrderStatus::Cancelled).await;
    remove(&store, &id("till-1"), at(0)).await.expect("it is removed");
    let counted = reopen(place, store).await.statistics().await.expect("statistics");
    assert_eq!((counted.orders, counted.by_status["pending"], counted.by_status["received"]), (59, 9, 9));
    let gone = many()[0].order.total.cents() + many()[1].order.total.cents();
    let all: Money = many().iter().filter(|record| paid(record)).map(|record| record.order.total).sum();
    assert_eq!(counted.revenue.cents(), all.cents() - gone);
}
