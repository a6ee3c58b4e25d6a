use super::*;
use crate::config::{OrdersConfig, StoreKind};
use crate::ordering::menu::{Asked, Menu, Said};
use crate::ordering::order::{Channel, HistoryEntry, Order, OrderNumber, total};
use crate::ordering::status::OrderStatus;
use crate::store::{self, Access, Answer, Reply};
use serde_json::Value;
use tempfile::TempDir;

const NAME: &str = "json in here";

fn now() -> Timestamp {
    Timestamp::from_second(1_704_067_200).expect("a valid instant")
}

fn record(n: u32) -> Record {
    let fields = vec![("flavor".to_owned(), Said::One("taro".to_owned()))];
    let asked = Asked { fields, quantity: Some(1), note: None };
    let items = vec![Menu::builtin("boba").expect("built in").item(&asked).expect("on the menu")];
    let order = Order {
        order_id: OrderId::numbered("main", n.into()),
        order_number: OrderNumber::new(1000 + n).expect("a number"),
        shop_id: "main".to_owned(),
        channel: Channel::Api,
        status: OrderStatus::Completed,
        version: 3,
        name: Some("Zoë 🧋".to_owned()),
        phone: None,
        customer_id: Some(n.to_string()),
        notes: None,
        total: total(&items),
        items,
        call_sid: None,
        estimated_ready_time: None,
        pickup_at: None,
        metadata: serde_json::Map::from_iter([
            ("z".to_owned(), Value::from(0.1 + 0.2)),
            ("a".to_owned(), Value::from(f64::from(n).sqrt() * 1e-300)),
            ("m".to_owned(), json!([{"π": 2.225_073_858_507_201e-308}, u64::MAX, null])),
        ]),
        created_at: now(),
        updated_at: now(),
        history: vec![HistoryEntry { status: OrderStatus::Completed, at: now(), by: "api".to_owned() }],
    };
    let reply = Some(Reply { status: 201, body: json!({"order_id": order.order_id, "n": 5e-324}) });
    let answer = Answer { key: format!("api:{n}"), request: "f00".to_owned(), at: now(), reply };
    Record { revision: 7, answers: vec![answer], ..Record::new(order) }
}

struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    async fn open(&self, kind: StoreKind) -> Arc<dyn Store> {
        let config = OrdersConfig { kind, ..OrdersConfig::json(self.0.path()) };
        store::open(&config, "main", Access::Write).await.expect("a fresh place")
    }
}

/// Orders, a deleted one, a value that was changed, and a counter above all of them.
async fn furnish(store: &dyn Store) {
    let records: Vec<Record> = (1..=450).map(record).collect();
    let all = stream::iter(&records).map(Ok::<_, StoreError>);
    all.try_for_each_concurrent(AT_ONCE, |record| store.import(record)).await.expect("imported");
    let remove =
        Remove { id: OrderId::numbered("main", 450), now: now(), check: Box::new(|_| true), announce: unannounced() };
    store.remove(remove).await.expect("deleted");
    store.set_state("shop", "state", &json!({"sold_out": []}), 0).await.expect("set");
    store.set_state("shop", "state", &json!({"sold_out": ["taro"]}), 1).await.expect("set again");
    store.raise_counter(1000).await.expect("raised");
}

async fn run(source: &dyn Store, target: &dyn Store) -> Result<Copied, MigrationError> {
    copy(source, target, NAME, now(), &|_, _| ()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn all_of_a_store_is_the_same_in_another_and_back_again() {
    let (json, sqlite, back) = (Place::new(), Place::new(), Place::new());
    let (from, to) = (json.open(StoreKind::Json).await, sqlite.open(StoreKind::Sqlite).await);
    furnish(&*from).await;
    let told = std::sync::Mutex::new(Vec::new());
    let all = Copied { orders: 449, tombstones: 1, states: 1, counter: 1000 };
    let progress = |done, of| told.lock().expect("no panic").push((done, of));
    assert_eq!(copy(&*from, &*to, NAME, now(), &progress).await.expect("copied"), all);
    assert_eq!(*told.lock().expect("no panic"), [(200, 449), (400, 449), (449, 449)]);
    assert_eq!(unfinished(&*to).await.expect("readable"), None);

    let back = back.open(StoreKind::Json).await;
    assert_eq!(copy(&*to, &*back, "sqlite", now(), &|_, _| ()).await.expect("copied"), all);
    for n in 1..450 {
        let there = back.by_id(&OrderId::numbered("main", n.into())).await.expect("readable").expect("there");
        assert_eq!(*there, record(n), "the revision is copied too");
    }
    let answered = back.by_key("api:450").await.expect("readable").expect("the answer of a deleted order");
    assert_eq!(answered.answer, record(450).answers[0]);
    assert_eq!(back.state("shop", "state").await.expect("readable").expect("there").value["sold_out"][0], "taro");
    assert_eq!(run(&*from, &*back).await.expect("nothing is left to do"), all);
}

#[tokio::test]
async fn what_is_not_the_sources_is_left_as_it_is() {
    let source = Place::new();
    let source = source.open(StoreKind::Json).await;
    source.import(&record(1)).await.expect("imported");
    let other = Record { revision: 8, ..record(1) };
    let target = Place::new();
    let target = target.open(StoreKind::Json).await;
    target.import(&other).await.expect("imported");
    let refused = run(&*source, &*target).await.expect_err("refused").to_string();
    assert!(refused.contains("the order ORD-main-1") && refused.contains("nothing was written"), "{refused}");
    assert_eq!(target.states(None).await.expect("readable"), [], "no mark either");
    assert_eq!(target.counter().await.expect("readable"), source.counter().await.expect("readable"));
    assert_eq!(*target.by_id(&record(1).order.order_id).await.expect("readable").expect("there"), other);

    let deleted = Place::new();
    let deleted = deleted.open(StoreKind::Json).await;
    let stone = record(2).tombstone(now());
    deleted.set_tombstone(&stone.order_id, Some(&stone)).await.expect("set");
    let refused = run(&*source, &*deleted).await.expect_err("refused");
    assert!(matches!(refused, MigrationError::Foreign(_)), "{refused}");

    let paused = Place::new();
    let paused = paused.open(StoreKind::Sqlite).await;
    paused.set_state("shop", "state", &json!(1), 0).await.expect("set");
    let refused = run(&*source, &*paused).await.expect_err("refused");
    assert!(matches!(refused, MigrationError::Foreign(_)), "{refused}");
    assert!(paused.list(&Query { limit: 1, ..Query::default() }).await.expect("readable").records.is_empty());
}

#[tokio::test]
async fn what_was_cut_off_goes_on_with_its_own_source_only() {
    let (source, target) = (Place::new(), Place::new());
    let (source, target) = (source.open(StoreKind::Json).await, target.open(StoreKind::Sqlite).await);
    source.import(&record(1)).await.expect("imported");
    target.set_state(MARK, UNFINISHED, &json!({"from": "elsewhere"}), 0).await.expect("set");
    let refused = run(&*source, &*target).await.expect_err("refused").to_string();
    assert!(refused.contains("elsewhere"), "{refused}");
    let refused = run(&*target, &*source).await.expect_err("half a copy is no source").to_string();
    assert!(refused.contains("elsewhere"), "{refused}");

    target.set_state(MARK, UNFINISHED, &json!({"from": NAME}), 1).await.expect("set");
    assert_eq!(unfinished(&*target).await.expect("readable").as_deref(), Some(NAME));
    // All this was brought before the source went on: an older version, an order and a value that are gone since.
    target.import(&Record { revision: 2, ..record(1) }).await.expect("imported");
    target.import(&record(2)).await.expect("imported");
    target.import(&record(3)).await.expect("imported");
    target.set_state("table", "7", &json!({}), 0).await.expect("set");
    let (stone, gone) = (record(3).tombstone(now()), record(4).tombstone(now()));
    source.set_tombstone(&stone.order_id, Some(&stone)).await.expect("set");
    target.set_tombstone(&gone.order_id, Some(&gone)).await.expect("set");
    source.set_state("shop", "state", &json!(2), 0).await.expect("set");
    target.set_state("shop", "state", &json!(1), 0).await.expect("set");

    let copied = run(&*source, &*target).await.expect("it goes on");
    assert_eq!((copied.orders, copied.tombstones, copied.states), (1, 1, 1));
    let all = target.list(&Query { limit: 10, ..Query::default() }).await.expect("readable").records;
    assert_eq!(all.iter().map(|record| (**record).clone()).collect::<Vec<_>>(), [record(1)]);
    assert_eq!(target.tombstones().await.expect("readable"), [stone]);
    assert_eq!(target.by_key("api:2").await.expect("readable"), None);
    assert_eq!(unfinished(&*target).await.expect("readable"), None);
}
