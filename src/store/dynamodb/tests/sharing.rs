//! Several servers and several shops in one table, and an index that is behind.

use super::super::table::{self, Billing, Created};
use super::emulator::{Fault, Proxy};
use super::{Table, count};
use crate::ordering::status::OrderStatus;
use crate::store::conformance::{Draft, Harness as _, SHOP, at, at_once, change, facts, id, minutes, number, phone};
use crate::store::{Access, Ask, CommitError, Query, Store, StoreError};
use jiff::SignedDuration;
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_never_give_an_id_or_a_number_twice() {
    let table = Table::new().await;
    let servers = two_servers(&table).await;
    let made = at_once(48, |k| {
        let server = Arc::clone(&servers[k % 2]);
        async move { Draft { key: Some(format!("api:{k}")), ..Draft::default() }.insert(&server).await }
    })
    .await;

    let ids: HashSet<_> = made.iter().map(|record| record.order.order_id.number_at(SHOP)).collect();
    assert_eq!(ids, (1..=48).map(Some).collect());
    let numbers: HashSet<_> = made.iter().map(|record| record.order.order_number).collect();
    assert_eq!(numbers.len(), 48);
    for server in &servers {
        assert_eq!((count(server).await, server.counter().await.expect("a count")), (48, 48));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_make_one_order_of_one_key_and_of_the_same_drinks() {
    let table = Table::new().await;
    let servers = two_servers(&table).await;
    let made = at_once(16, |k| {
        let server = Arc::clone(&servers[k % 2]);
        let draft = Draft { key: Some("api:one".into()), ..Draft::default() };
        async move { server.insert(draft.checked(|facts| facts.answered.is_none())).await.is_ok() }
    })
    .await;
    assert_eq!(made.into_iter().filter(|made| *made).count(), 1);

    let made = at_once(16, |k| {
        let server = Arc::clone(&servers[k % 2]);
        let draft = Draft { fingerprint: Some("same".into()), ..Draft::default() };
        async move { server.insert(draft.checked(|facts| facts.alike.is_empty())).await.is_ok() }
    })
    .await;
    assert_eq!(made.into_iter().filter(|made| *made).count(), 1);
    assert_eq!(count(&servers[0]).await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_keep_a_phone_number_within_its_limit() {
    let table = Table::new().await;
    let servers = two_servers(&table).await;
    at_once(16, |k| {
        let server = Arc::clone(&servers[k % 2]);
        let draft = Draft { phone: Some(phone(1)), drinks: 3, ..Draft::default() };
        async move { server.insert(draft.checked(|facts| facts.active_drinks + 3 <= 10)).await.is_ok() }
    })
    .await;
    assert_eq!(count(&servers[0]).await, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_change_one_order_one_after_the_other() {
    let table = Table::new().await;
    let servers = two_servers(&table).await;
    let order = Draft::default().insert(&servers[0]).await;
    let revisions = at_once(24, |k| {
        let (server, id) = (Arc::clone(&servers[k % 2]), order.order.order_id.clone());
        async move {
            let add = change(&id, |record, _| {
                let mut changed = record.clone();
                changed.order.version += 1;
                Some(changed)
            });
            server.update(add).await.expect("a change is made").revision
        }
    })
    .await;
    assert_eq!(revisions.into_iter().collect::<BTreeSet<_>>(), (2..=25).collect());
    let changed = servers[1].by_id(&order.order.order_id).await.expect("a look").expect("the order");
    assert_eq!((changed.revision, changed.order.version), (25, 25));
}

#[tokio::test]
async fn shops_in_one_table_do_not_see_each_other() {
    let table = Table::new().await;
    let main = table.open(Access::Write, false).await.expect("the store opens");
    let annex: Arc<dyn Store> = Arc::new(table.open_as("annex", Access::Write, false).await.expect("the store opens"));
    let draft = Draft {
        id: Some(id("mine")),
        key: Some("api:1".into()),
        fingerprint: Some("drinks".into()),
        phone: Some(phone(1)),
        name: Some("Ada".into()),
        customer: Some("ada".into()),
        ..Draft::default()
    };
    let order = draft.clone().insert(&main).await;
    main.set_state("shop", "paused", &serde_json::json!(true), 0).await.expect("a state");

    assert!(annex.by_id(&id("mine")).await.expect("a look").is_none());
    assert!(annex.by_number(order.order.order_number).await.expect("a look").is_none());
    assert!(annex.by_key("api:1").await.expect("a look").is_none());
    assert!(annex.open().await.expect("a look").is_empty());
    assert!(annex.states(None).await.expect("a look").is_empty());
    for query in [
        Query { limit: 9, ..Query::default() },
        Query { limit: 9, phone: Some(phone(1)), ..Query::default() },
        Query { limit: 9, name: Some("ada".into()), ..Query::default() },
        Query { limit: 9, customer_id: Some("ada".into()), ..Query::default() },
        Query { limit: 9, statuses: OrderStatus::ALL.into(), ..Query::default() },
    ] {
        assert!(annex.list(&query).await.expect("a look").records.is_empty(), "{query:?}");
        assert_eq!(main.list(&query).await.expect("a look").records.len(), 1, "{query:?}");
    }
    let known = facts(&annex, draft.ask()).await;
    assert_eq!((known.active_drinks, known.drinks_ahead, known.alike.len()), (0, 0, 0));
    // The id is the table's key: what one shop has been brought, no other can have.
    assert!(known.id_taken);
    let taken = annex.insert(draft.checked(|_| true)).await;
    assert!(matches!(taken, Err(CommitError::Store(StoreError::Occupied(_)))), "{taken:?}");

    drop(annex);
    let annex: Arc<dyn Store> = Arc::new(table.open_as("annex", Access::Write, true).await.expect("the store opens"));
    assert_eq!((count(&annex).await, count(&main).await), (0, 1));
}

#[tokio::test]
async fn an_id_that_another_shop_was_brought_is_left_out() {
    let table = Table::new().await;
    let main = table.open(Access::Write, false).await.expect("the store opens");
    let annex: Arc<dyn Store> = Arc::new(table.open_as("annex", Access::Write, false).await.expect("the store opens"));
    for n in 1..=3 {
        Draft { id: Some(id(&format!("ORD-main-{n}"))), ..Draft::default() }.insert(&annex).await;
    }
    let first = Draft::default().insert(&main).await;
    let second = Draft::default().insert(&main).await;
    assert_eq!((first.order.order_id.as_str(), second.order.order_id.as_str()), ("ORD-main-4", "ORD-main-5"));
}

/// The places of a time slot are counted although the index does not show the latest orders yet.
#[tokio::test]
async fn the_queue_holds_orders_that_the_index_does_not_show_yet() {
    let table = Table::new().await;
    let proxy = Proxy::start().await;
    let store: Arc<dyn Store> = Arc::new(table.behind(&proxy, Duration::from_secs(8)).await);
    proxy.always("Query", Fault::AnswerNothing);
    let ready_at = Some(at(minutes(10)));
    let order = Draft { drinks: 2, ready_at, ..Draft::default() }.insert(&store).await;
    let ask = || Ask { due: Some(at(0)..at(minutes(30))), ..Draft::default().ask() };
    let known = facts(&store, ask()).await;
    assert_eq!((known.drinks_ahead, known.due), (2, vec![(at(minutes(10)), 2)]));

    // Nor is an order counted on that is ready by now.
    let ready = change(&order.order.order_id, |record, _| {
        let mut changed = record.clone();
        changed.order.status = OrderStatus::Ready;
        Some(changed)
    });
    store.update(ready).await.expect("a change is made");
    assert_eq!(facts(&store, ask()).await.drinks_ahead, 0);
}

/// What an index still shows and the table knows better is not listed.
#[tokio::test]
async fn a_list_shows_what_the_table_holds() {
    let table = Table::new().await;
    let store = table.open(Access::Write, false).await.expect("the store opens");
    // Larger than what one answer of DynamoDB can hold: the table is asked again for what is left.
    let notes = "no ice, please; ".repeat(20_000);
    for k in 0..60 {
        let mut record = Draft::default().elsewhere(&format!("large-{k}"), 1000 + k);
        record.order.notes = Some(notes.clone());
        store.import(&record).await.expect("an order is imported");
    }
    let mut query = Query { limit: 25, ..Query::default() };
    let mut seen = Vec::new();
    loop {
        let page = store.list(&query).await.expect("a page");
        seen.extend(page.records.iter().map(|record| record.order.order_number));
        query.after = page.next;
        if query.after.is_none() {
            break;
        }
    }
    assert_eq!(seen.iter().collect::<HashSet<_>>(), (1000..1060).map(number).collect::<Vec<_>>().iter().collect());
    assert_eq!(seen.len(), 60);
    assert_eq!(store.open().await.expect("a look").len(), 60);
    drop(store);
    let store = table.open(Access::Write, true).await.expect("the store opens");
    assert_eq!(count(&store).await, 0);
}

#[tokio::test]
async fn any_cursor_is_a_place_to_go_on_from() {
    let table = Table::new().await;
    let store = table.open(Access::Write, false).await.expect("the store opens");
    Draft::default().insert(&store).await;
    for (after, found) in [("", 0), ("0", 0), ("~", 1), (&"é".repeat(5000) as &str, 1)] {
        let query = Query { limit: 5, after: Some(crate::store::Place::from_text(after)), ..Query::default() };
        assert_eq!(store.list(&query).await.expect("a page").records.len(), found, "{after:.9}");
    }
}

#[tokio::test]
async fn a_table_is_made_once_with_all_indexes() {
    let table = Table::missing();
    let billing = Billing::Provisioned { read: 10, write: 5 };
    assert_eq!(table.0.create_table(billing).await.expect("a table"), Created::New);
    assert_eq!(table.0.create_table(Billing::OnDemand).await.expect("a table"), Created::Already);

    let described = table.0.client.describe_table().table_name(&table.0.table).send().await.expect("a description");
    let described = described.table.expect("the table");
    let indexes: BTreeSet<_> =
        described.global_secondary_indexes().iter().filter_map(|index| index.index_name()).collect();
    insta::assert_debug_snapshot!(indexes, @r#"
    {
        "customer_id_index",
        "customer_name_index",
        "open_index",
        "owed_index",
        "phone_index",
        "shop_index",
        "status_index",
        "undelivered_index",
    }
    "#);
    for index in described.global_secondary_indexes() {
        let throughput = index.provisioned_throughput().expect("it is provisioned");
        assert_eq!((throughput.read_capacity_units(), throughput.write_capacity_units()), (Some(10), Some(5)));
    }
    let expiry = table.0.client.describe_time_to_live().table_name(&table.0.table).send().await.expect("a description");
    let expiry = expiry.time_to_live_description.expect("it is described");
    assert_eq!(expiry.attribute_name(), Some(table::EXPIRES));
}

#[tokio::test]
async fn an_order_is_asked_for_by_a_day_long_slot() {
    let table = Table::new().await;
    let store = table.open(Access::Write, false).await.expect("the store opens");
    let tomorrow = at(0) + SignedDuration::from_hours(24);
    Draft { pickup_at: Some(tomorrow), ready_at: Some(tomorrow), ..Draft::default() }.insert(&store).await;
    let known = facts(&store, Ask { due: Some(at(0)..tomorrow), ..Draft::default().ask() }).await;
    assert_eq!((known.drinks_ahead, known.due), (0, vec![]));
}

async fn two_servers(table: &Table) -> [Arc<dyn Store>; 2] {
    let open = || async { table.open(Access::Write, false).await.expect("the store opens") };
    [open().await, open().await]
}
