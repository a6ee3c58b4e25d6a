//! What only a database in a file can suffer, and how it is asked.

use super::*;
use crate::ordering::status::OrderStatus;
use crate::store::conformance::{
    self, Draft, Harness, SHOP, at, at_once, change, edit, hours, id, passes_the_suite, phone, text,
};
use crate::store::crowd::Crowd;
use crate::store::{Amend, Ask, Build, Check, Lane, Place};
use rusqlite::OpenFlags;
use rusqlite::trace::{TraceEvent, TraceEventCodes};
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::{Mutex, mpsc};
use std::time::Duration;

passes_the_suite!(Folder::new());

struct Folder(tempfile::TempDir);

#[async_trait]
impl Harness for Folder {
    async fn open(&self, access: Access, clear: bool) -> Result<Arc<dyn Store>, StoreError> {
        let config = OrdersConfig { clear_on_start: clear, ..self.config() };
        Ok(Arc::new(SqliteStore::open(&config, SHOP, access).await?))
    }
}

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    fn config(&self) -> OrdersConfig {
        OrdersConfig::json(self.0.path())
    }

    fn path(&self) -> PathBuf {
        self.config().sqlite_path
    }

    fn files(&self) -> BTreeSet<String> {
        let entries = fs::read_dir(self.0.path()).expect("a folder");
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect()
    }

    /// Both as what it is and as what others see of it.
    async fn store(&self) -> (Arc<SqliteStore>, Arc<dyn Store>) {
        let store = Arc::new(SqliteStore::open(&self.config(), SHOP, Access::Write).await.expect("it opens"));
        (Arc::clone(&store), store)
    }

    /// What another program does with the file.
    fn other_program(&self) -> Connection {
        Connection::open_with_flags(self.path(), OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)
            .expect("a database")
    }

    async fn refusal(&self, access: Access) -> String {
        match SqliteStore::open(&self.config(), SHOP, access).await {
            Ok(_) => panic!("it opened"),
            Err(error) => error.to_string().replace(&self.0.path().display().to_string(), "…"),
        }
    }
}

fn why<T>(outcome: Result<T, CommitError>) -> String {
    match outcome {
        Ok(_) => panic!("it was committed"),
        Err(error) => error.to_string(),
    }
}

async fn try_insert(store: &Arc<dyn Store>, draft: Draft) -> Result<Arc<Record>, CommitError> {
    store.insert(draft.checked(|_| true)).await
}

async fn count(store: &Arc<dyn Store>) -> u64 {
    store.statistics().await.expect("statistics").orders
}

#[tokio::test]
async fn a_locked_database_is_told_and_got_over() {
    let folder = Folder::new();
    let (_, store) = folder.store().await;
    let kept = Draft::default().insert(&store).await;
    let other = folder.other_program();
    other.execute_batch("BEGIN IMMEDIATE").expect("a lock");
    assert_eq!(
        why(try_insert(&store, Draft::default()).await),
        "cannot save an order: another program is writing to the database and does not stop"
    );
    store.check().await.expect_err("nothing can be saved");
    let read = store.by_id(&kept.order.order_id).await.expect("reading goes on");
    assert_eq!(read, Some(kept));
    other.execute_batch("ROLLBACK").expect("the lock is released");
    store.check().await.expect("it is over");
    let next = Draft::default().insert(&store).await;
    assert_eq!(next.order.order_id.as_str(), "ORD-main-2", "the refused one cost an id");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_told_and_got_over() {
    let folder = Folder::new();
    let (sqlite, store) = folder.store().await;
    let kept = Draft { key: Some("call:0".into()), ..Draft::default() }.insert(&store).await;
    let limit = |pages: i64| {
        sqlite.write("set a limit", move |connection| Ok(connection.pragma_update(None, "max_page_count", pages)?))
    };
    limit(1).await.expect("the limit is what it has");
    let huge = |k: usize| {
        let draft = Draft { key: Some(format!("call:{k}")), name: Some("x".repeat(20_000)), ..Draft::default() };
        (draft, Arc::clone(&store))
    };
    let outcomes = at_once(16, |k| {
        let (draft, store) = huge(k + 1);
        async move { try_insert(&store, draft).await }
    })
    .await;
    for outcome in outcomes {
        assert_eq!(why(outcome), "cannot save an order: the disk is full");
    }
    store.check().await.expect_err("nothing can be saved");
    assert_eq!(count(&store).await, 1);
    limit(1_000_000).await.expect("there is room again");
    store.check().await.expect("it is over");
    assert_eq!(store.states(None).await.expect("values"), [], "a check leaves nothing");
    let outcomes = at_once(16, |k| {
        let (draft, store) = huge(k + 1);
        async move { try_insert(&store, draft).await.is_ok() }
    })
    .await;
    assert_eq!(outcomes, [true; 16]);
    drop(sqlite);
    let store = conformance::reopen(&folder, store).await;
    assert_eq!(count(&store).await, 17);
    assert_eq!(
        store.by_key("call:0").await.expect("a look-up").map(|found| found.order_id),
        Some(kept.order.order_id.clone())
    );
}

#[tokio::test]
async fn what_is_no_database_of_ours_is_left_as_it_is() {
    let folder = Folder::new();
    let garbage = vec![b'x'; 8192];
    fs::write(folder.path(), &garbage).expect("a file");
    for access in [Access::Write, Access::Read] {
        assert_eq!(
            folder.refusal(access).await,
            "cannot open the orders in …/orders.db (SQLITE_PATH): the file is no SQLite database, or its beginning is damaged"
        );
    }
    assert_eq!(fs::read(folder.path()).expect("a file"), garbage);

    let folder = Folder::new();
    folder.other_program().execute_batch("CREATE TABLE songs (title)").expect("a database");
    let before = fs::read(folder.path()).expect("a file");
    for access in [Access::Write, Access::Read] {
        assert_eq!(
            folder.refusal(access).await,
            "cannot open the orders in …/orders.db (SQLITE_PATH): it is another program's database"
        );
    }
    assert_eq!(fs::read(folder.path()).expect("a file"), before);
}

#[tokio::test]
async fn a_format_of_another_version_is_named() {
    let folder = Folder::new();
    let (_, store) = folder.store().await;
    Draft::default().insert(&store).await;
    drop(store);
    let set_format = |format: i64| {
        let other = folder.other_program();
        other.pragma_update(None, "user_version", format).expect("it is set");
    };
    set_format(99);
    for access in [Access::Write, Access::Read] {
        assert_eq!(
            folder.refusal(access).await,
            "cannot open the orders in …/orders.db (SQLITE_PATH): it was made by a newer version of this program \
             (its format is 99, this version knows 1)"
        );
    }
    set_format(0);
    assert_eq!(
        folder.refusal(Access::Read).await,
        "cannot open the orders in …/orders.db (SQLITE_PATH): it was made by an older version of this program; start the \
         server once to bring it up to date"
    );
    set_format(1);
    assert_eq!(count(&conformance::open(&folder).await).await, 1);
}

#[tokio::test]
async fn whoever_looks_makes_no_database() {
    let folder = Folder::new();
    let refusal = folder.refusal(Access::Read).await;
    assert!(refusal.starts_with("cannot open the orders in …/orders.db (SQLITE_PATH): No such file"), "{refusal}");
    assert_eq!(folder.files(), BTreeSet::new());
    let (_, store) = folder.store().await;
    drop(store);
    // Nobody serves it: looking needs no server.
    let reader = folder.open(Access::Read, true).await.expect("it opens");
    assert_eq!(count(&reader).await, 0);
}

#[tokio::test]
async fn damage_is_told_and_hides_nothing_else() {
    let folder = Folder::new();
    let (_, store) = folder.store().await;
    let made: Vec<_> = [Draft::default().insert(&store).await, Draft::default().insert(&store).await].into();
    let damaged = &made[0].order.order_id;
    let sql = "UPDATE orders SET record = '{\"order_id\":' WHERE order_id = ?1";
    folder.other_program().execute(sql, [damaged.as_str()]).expect("one row is damaged");
    assert_eq!(store.open().await.expect("a list"), [Arc::clone(&made[1])]);
    let page = store.list(&Query { limit: 10, ..Query::default() }).await.expect("a list");
    assert_eq!(page.records, [Arc::clone(&made[1])]);
    let error = store.by_id(damaged).await.expect_err("it cannot be read").to_string();
    assert!(error.starts_with("cannot look up an order: an order cannot be read or written as JSON"), "{error}");
    let error = why(store.update(change(damaged, |record, _| Some(record.clone()))).await);
    assert!(error.starts_with("cannot save an order: an order cannot be read or written as JSON"), "{error}");
    edit(&store, &made[1].order.order_id, |record| record.order.notes = None).await;
    drop(store);

    // Whole pages, from where the tables begin.
    let mut bytes = fs::read(folder.path()).expect("a file");
    bytes[4096..].fill(0xa5);
    fs::write(folder.path(), &bytes).expect("it is damaged");
    match SqliteStore::open(&folder.config(), SHOP, Access::Write).await {
        Err(error) => assert!(error.to_string().ends_with("is damaged; restore it from a copy"), "{error}"),
        Ok(store) => {
            let store: Arc<dyn Store> = Arc::new(store);
            let error = store.open().await.expect_err("it is damaged").to_string();
            assert_eq!(error, "cannot list open orders: the database file is damaged; restore it from a copy");
            let error = why(try_insert(&store, Draft::default()).await);
            assert_eq!(error, "cannot save an order: the database file is damaged; restore it from a copy");
        }
    }
}

#[tokio::test]
async fn a_file_that_was_moved_takes_no_orders() {
    let folder = Folder::new();
    let (_, store) = folder.store().await;
    Draft::default().insert(&store).await;
    let aside = folder.0.path().join("aside.db");
    fs::rename(folder.path(), &aside).expect("it is moved");
    let moved =
        "cannot save an order: the file was moved or deleted while the server runs; put it back, or restart the server";
    assert_eq!(why(try_insert(&store, Draft::default()).await), moved);
    fs::copy(&aside, folder.path()).expect("a copy is another file");
    assert_eq!(why(try_insert(&store, Draft::default()).await), moved);
    fs::rename(&aside, folder.path()).expect("it is put back");
    assert_eq!(Draft::default().insert(&store).await.order.order_id.as_str(), "ORD-main-2");
    assert_eq!(count(&conformance::reopen(&folder, store).await).await, 2);
}

#[tokio::test]
async fn only_the_owner_reads_the_files_and_one_is_left() {
    let folder = Folder::new();
    let (_, store) = folder.store().await;
    Draft::default().insert(&store).await;
    assert_eq!(
        folder.files(),
        ["orders.db", "orders.db-shm", "orders.db-wal", "orders.db.lock"].map(str::to_owned).into()
    );
    for name in ["orders.db", "orders.db-shm", "orders.db-wal"] {
        let mode = fs::metadata(folder.0.path().join(name)).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    drop(store);
    assert_eq!(folder.files(), ["orders.db", "orders.db.lock"].map(str::to_owned).into());
}

#[tokio::test]
async fn what_was_erased_is_not_in_the_file_any_more() {
    let folder = Folder::new();
    let (_, store) = folder.store().await;
    let secret = "Xanthippe of the third floor";
    let named = Draft {
        name: Some(secret.into()),
        customer: Some(secret.into()),
        phone: Some(phone(4711)),
        ..Draft::default()
    };
    let erased = named.clone().insert(&store).await;
    let removed = named.insert(&store).await;
    let holds = |needle: &str| {
        fs::read(folder.path()).expect("a file").windows(needle.len()).any(|window| window == needle.as_bytes())
    };
    let store = conformance::reopen(&folder, store).await;
    assert!(holds(secret) && holds("+15551234711"));
    edit(&store, &erased.order.order_id, |record| {
        (record.order.name, record.order.customer_id, record.order.phone) = (None, None, None);
    })
    .await;
    conformance::remove(&store, &removed.order.order_id, at(0)).await.expect("it is removed");
    drop(store);
    assert!(!holds(secret) && !holds(&secret.to_lowercase()) && !holds("+15551234711"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_that_share_a_transaction_fail_alone() {
    let folder = Folder::new();
    let (sqlite, store) = folder.store().await;
    let taken = Draft { key: Some("call:taken".into()), ..Draft::default() }.insert(&store).await;
    // The writer is held until all the others wait.
    let (go, wait) = mpsc::channel::<()>();
    let held = sqlite.write("wait", move |_| {
        let _ = wait.recv();
        Ok(())
    });
    let mut all: Vec<futures_util::future::BoxFuture<'_, String>> = vec![Box::pin(async {
        held.await.expect("it is let go");
        String::new()
    })];
    for k in 0..9 {
        let store = &store;
        let draft =
            Draft { key: Some(if k == 4 { "call:taken".into() } else { format!("call:{k}") }), ..Draft::default() };
        let mut insert = draft.checked(move |_| {
            assert_ne!(k, 2, "a check that panics");
            k != 6
        });
        if k == 7 {
            insert.announce = Box::new(|_| Box::new(|| panic!("telling of it fails")));
        }
        all.push(Box::pin(async move {
            match store.insert(insert).await {
                Ok(record) => record.order.order_id.to_string(),
                Err(error) => error.to_string(),
            }
        }));
    }
    // Polled once, each has handed in its work.
    let mut all = futures_util::future::join_all(all);
    assert!(futures_util::future::poll_immediate(&mut all).await.is_none());
    go.send(()).expect("the writer waits");
    let outcomes = all.await;
    assert_eq!(
        outcomes[1..],
        [
            "ORD-main-2",
            "ORD-main-3",
            "the write was interrupted",
            "ORD-main-4",
            "its id or its key belongs to the order ORD-main-1",
            "ORD-main-5",
            "refused",
            "ORD-main-6",
            "ORD-main-7",
        ]
    );
    assert_eq!(count(&store).await, 7);
    assert_eq!(
        store.by_key("call:taken").await.expect("a look-up").map(|found| found.order_id),
        Some(taken.order.order_id.clone())
    );
}

#[tokio::test]
async fn a_writer_that_hangs_is_waited_for_by_so_many_and_so_long() {
    let folder = Folder::new();
    let mut sqlite = SqliteStore::open(&folder.config(), SHOP, Access::Write).await.expect("it opens");
    sqlite.writer.as_mut().expect("a writer").crowd = Crowd::new(2, Duration::from_millis(50));
    let (go, wait) = mpsc::channel::<()>();
    let hang = move |_: &Connection| {
        let _ = wait.recv();
        Ok(())
    };
    let mut waiting = Box::pin(async { tokio::join!(sqlite.write("wait", hang), sqlite.raise_counter(7)) });
    assert!(futures_util::future::poll_immediate(&mut waiting).await.is_none());
    let error = sqlite.raise_counter(8).await.expect_err("it is the third");
    assert!(matches!(error, StoreError::Crowded), "{error:?}");
    go.send(()).expect("the writer waits");
    let (held, raised) = waiting.await;
    held.and(raised).expect("they were not forgotten");
    sqlite.raise_counter(9).await.expect("there is room again");
    assert_eq!(sqlite.counter().await.expect("the counter"), 9);
}

#[tokio::test]
async fn what_was_erased_does_not_stay_in_the_log() {
    let folder = Folder::new();
    let (_, store) = folder.store().await;
    let named = Draft { name: Some("Zebedee Quux".into()), ..Draft::default() };
    let order_id = named.insert(&store).await.order.order_id.clone();
    edit(&store, &order_id, |record| record.order.name = None).await;
    let mentions = |name: &String| {
        let bytes = fs::read(folder.0.path().join(name)).unwrap_or_default();
        bytes.windows(7).any(|bytes| bytes.eq_ignore_ascii_case(b"Zebedee"))
    };
    assert!(folder.files().iter().any(mentions), "it is in the log until nobody writes");
    let until = std::time::Instant::now() + Duration::from_secs(10);
    // A file that shrinks is no event.
    while folder.files().iter().any(mentions) {
        assert!(std::time::Instant::now() < until, "it is still there");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let kept = store.by_id(&order_id).await.expect("a look-up").expect("the order");
    assert_eq!(kept.order.name, None);
    edit(&store, &order_id, |record| record.order.name = Some("Ana".into())).await;
}

#[tokio::test]
async fn ids_pass_over_orders_from_elsewhere() {
    let folder = Folder::new();
    let (_, store) = folder.store().await;
    for name in ["ORD-main-1", "ORD-main-2", "ORD-annex-3"] {
        store.import(&Draft::default().elsewhere(name, 4782)).await.expect("it is imported");
    }
    assert_eq!(Draft::default().insert(&store).await.order.order_id.as_str(), "ORD-main-3");
    let error = store.raise_counter(u64::MAX).await.expect_err("a slip").to_string();
    assert_eq!(error, "cannot raise the order counter: no shop gives 18446744073709551615 orders");
    assert_eq!(Draft::default().insert(&store).await.order.order_id.as_str(), "ORD-main-4");
}

#[tokio::test]
async fn the_queue_stays_the_sum_of_the_active_orders() {
    let folder = Folder::new();
    let (sqlite, store) = folder.store().await;
    let mut made = Vec::new();
    for k in 0..8 {
        let pickup_at = (k % 3 != 0).then(|| at(hours(1 + k % 2)));
        made.push(Draft { drinks: 1 + k as u32, pickup_at, ..Draft::default() }.insert(&store).await);
    }
    let steps = [
        (0, OrderStatus::Ready),
        (0, OrderStatus::Preparing),
        (1, OrderStatus::Cancelled),
        (2, OrderStatus::Completed),
    ];
    for (k, status) in steps {
        conformance::set_status(&store, &made[k].order.order_id, status).await;
    }
    edit(&store, &made[3].order.order_id, |record| record.order.pickup_at = Some(at(hours(9)))).await;
    edit(&store, &made[4].order.order_id, |record| record.order.items.extend(record.order.items.clone())).await;
    conformance::remove(&store, &made[5].order.order_id, at(0)).await.expect("it is removed");
    let mut expected = std::collections::BTreeMap::new();
    for record in store.open().await.expect("open orders").iter().filter(|record| record.order.status.is_active()) {
        *expected.entry(record.order.pickup_at.map_or(i64::MIN, look::nanos)).or_default() +=
            i64::from(record.order.drinks());
    }
    let read = |connection: &Connection| {
        let mut queue = connection.prepare("SELECT pickup_at, drinks FROM queue ORDER BY pickup_at")?;
        Ok(queue.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<Vec<(i64, i64)>, _>>()?)
    };
    assert_eq!(sqlite.readers.read("look", read).await.expect("the queue"), expected.into_iter().collect::<Vec<_>>());
    assert!(count(&store).await == 7);
}

static ASKED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

fn note(event: TraceEvent<'_>) {
    if let TraceEvent::Stmt(statement, _) = event {
        ASKED.lock().unwrap().insert(statement.sql().into_owned());
    }
}

/// Whatever is asked of the tables while everything is done that a store does.
#[test]
fn every_query_has_its_index() {
    let folder = Folder::new();
    schema::make_file(&folder.path()).expect("a file");
    let connection = schema::open_to_write(&folder.path()).expect("a database");
    connection.trace_v2(TraceEventCodes::SQLITE_TRACE_STMT, Some(note));

    let draft = Draft {
        key: Some("call:1".into()),
        fingerprint: Some("taro".into()),
        phone: Some(phone(1)),
        deliveries: vec![text(1, &phone(1), at(0))],
        pickup_at: Some(at(60)),
        ..Draft::default()
    };
    let ask = Ask { due: Some(at(0)..at(9)), order_id: Some(id("till-1")), ..draft.ask() };
    let yes: Check = Box::new(|_| true);
    let build: Build = Box::new(move |_, id, number| draft.record(id, number));
    decide::insert(&connection, SHOP, &ask, &yes, &build).expect("no fault").expect("an order");
    let numbered = Ask { order_id: None, key: None, ..ask };
    let other: Build = Box::new(|_, id, number| Draft::default().record(id, number));
    decide::insert(&connection, SHOP, &numbered, &yes, &other).expect("no fault").expect("an order");
    decide::open_numbers(&connection).expect("no fault");
    let amend: Amend = Box::new(|record, _| {
        let mut changed = record.clone();
        changed.order.status = OrderStatus::Ready;
        changed.answers.clear();
        changed.deliveries.clear();
        Some(changed)
    });
    let till = id("till-1");
    look::by_key(&connection, "call:1").expect("no fault").expect("an answer");
    let order = look::by_id(&connection, &till).expect("no fault").expect("an order");
    look::by_number(&connection, order.order.order_number).expect("no fault").expect("an order");
    decide::update(&connection, &till, at(0), at(0), &amend).expect("no fault").expect("a change");
    decide::remove(&connection, &till, at(0), &|_| true).expect("no fault").expect("it is removed");
    put::tombstone(&connection, &till, Some(&order.tombstone(at(0)))).expect("no fault");
    put::tombstone(&connection, &till, None).expect("no fault");
    put::state(&connection, "shop", "a", "1", 0).expect("no fault");
    put::state(&connection, "shop", "a", "1", 1).expect("no fault");
    put::no_state(&connection, "shop", "a").expect("no fault");
    look::states(&connection, Some("shop")).expect("no fault");
    look::state(&connection, "shop", "a").expect("no fault");
    look::open(&connection).expect("no fault");
    look::owed(&connection, Lane::Texts, at(0), 9).expect("no fault");
    look::undelivered(&connection, 9).expect("no fault");
    look::statistics(&connection).expect("no fault");
    for statuses in [vec![], vec![OrderStatus::Received, OrderStatus::Ready]] {
        for (phone, name, customer_id) in [
            (None, None, None),
            (Some(phone(1)), None, None),
            (Some(phone(1)), Some("a"), Some("b")),
            (None, Some("a"), None),
            (None, Some("a"), Some("b")),
        ] {
            for after in [None, Some(Place::before(at(0)))] {
                let (name, customer_id) = (name.map(str::to_owned), customer_id.map(str::to_owned));
                let phone = phone.clone();
                let query = Query { statuses: statuses.clone(), phone, name, customer_id, after, limit: 3 };
                look::list(&connection, &query).expect("no fault");
            }
        }
    }
    connection.trace_v2(TraceEventCodes::empty(), None);

    let asked: BTreeSet<String> = std::mem::take(&mut *ASKED.lock().unwrap());
    assert!(asked.len() > 45, "little was asked: {asked:#?}");
    for sql in asked.iter().filter(|sql| !sql.starts_with("--")) {
        let mut plan = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).expect("a plan");
        let holes = plan.parameter_count();
        let steps = plan.query_map(rusqlite::params_from_iter(vec![1; holes]), |row| row.get::<_, String>(3));
        for step in steps.expect("a plan").map(|step| step.expect("a step")) {
            let by_index = !step.starts_with("SCAN") || step.contains("USING") || step == "SCAN CONSTANT ROW";
            // Orders with the same drinks within five minutes are a handful.
            let sorted = step.contains("TEMP B-TREE") && !sql.contains("orders_alike");
            assert!(by_index && !sorted, "{sql}\n{step}");
        }
    }
}
