//! `bobarista orders` as it is run: beside a running server, and on what it has left.

use crate::harness::program::{Program, Running, Said};
use crate::harness::{client, new_order};
use bobarista::config::{OrdersConfig, StoreKind};
use bobarista::order_service::Record;
use bobarista::ordering::order::{HistoryEntry, Order, OrderId, OrderNumber};
use bobarista::ordering::phone_number::PhoneNumber;
use bobarista::ordering::status::OrderStatus;
use bobarista::store::{self, Access, Answer, AuditEntry, Reply, Tombstone};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitStatus;
use tempfile::{TempDir, tempdir};

/// An agent's address where nobody answers.
const NOBODY: &str = "ws://127.0.0.1:9/v1/agent/converse";
const KEY: &str = "the-key";
const ADA: &str = "+15551234567";
const GRACE: &str = "+15559876543";

fn folder() -> TempDir {
    tempdir().expect("a temporary folder")
}

/// `bobarista orders …` in a folder that holds nothing but orders: no key is set.
fn orders(folder: &Path, arguments: &[&str]) -> Program {
    let all: Vec<&str> = std::iter::once("orders").chain(arguments.iter().copied()).collect();
    Program::new(folder, &all)
}

async fn told(program: Program) -> String {
    let (status, said) = program.run().await;
    assert!(status.success(), "{said:#?}");
    said.stdout
}

async fn refused(program: Program) -> String {
    let (status, said): (ExitStatus, Said) = program.run().await;
    assert_eq!(status.code(), Some(1), "{said:#?}");
    said.stderr
}

async fn serve(folder: &Path) -> (Running, SocketAddr) {
    let mut server = Program::local_server(folder, NOBODY).set("API_KEY", KEY).start();
    let address = server.address().await;
    (server, address)
}

async fn stop(server: Running) -> Said {
    server.terminate();
    let (status, said) = server.end().await;
    assert!(status.success(), "{said:#?}");
    said
}

fn days_ago(days: i64) -> Timestamp {
    let then = Timestamp::now() - SignedDuration::from_hours(24 * days);
    Timestamp::from_second(then.as_second()).expect("a valid instant")
}

/// An order with all that may stand beside it.
fn record(n: u32, phone: &str, status: OrderStatus, made: Timestamp) -> Record {
    let new = new_order(Some(phone));
    let order = Order {
        order_id: OrderId::numbered("main", n.into()),
        order_number: OrderNumber::new(1000 + n).expect("a number"),
        shop_id: "main".to_owned(),
        channel: new.channel,
        status,
        version: 2,
        name: new.name,
        phone: new.phone,
        customer_id: Some(phone.to_owned()),
        notes: Some("no straw".to_owned()),
        total: new.items[0].price,
        items: new.items,
        call_sid: new.call_sid,
        estimated_ready_time: None,
        pickup_at: None,
        metadata: serde_json::Map::from_iter([
            ("z".to_owned(), json!(0.30000000000000004)),
            ("a".to_owned(), json!("é")),
        ]),
        created_at: made,
        updated_at: made,
        history: vec![HistoryEntry { status, at: made, by: "phone".to_owned() }],
    };
    let body = json!({"order_id": order.order_id, "name": "Ada", "phone": phone, "customer_id": phone});
    let answer = Answer {
        key: format!("api:{n}"),
        request: "f00d".to_owned(),
        at: made,
        reply: Some(Reply { status: 201, body }),
    };
    let change = AuditEntry {
        at: made,
        by: "phone".to_owned(),
        what: "created".to_owned(),
        version: 1,
        reason: None,
        correlation_id: Some("req_1".to_owned()),
    };
    Record { revision: 5, answers: vec![answer], audit: vec![change], ..Record::new(order) }
}

/// Puts a record into the folder as if a server had made it, without waiting for the disk.
fn put(dir: &Path, record: &Record) {
    std::fs::create_dir_all(dir).expect("a folder");
    let stamp = record.order.created_at.strftime("%Y%m%dT%H%M%S");
    let file = format!("order_{stamp}_{}.json", record.order.order_number);
    std::fs::write(dir.join(file), serde_json::to_vec(record).expect("JSON")).expect("a file");
}

fn is_order(name: &str) -> bool {
    (name.starts_with("order_") || name.starts_with("deleted_")) && name.ends_with(".json")
}

/// All orders and what deleted ones have left, by id, as they are on disk.
fn on_disk(dir: &Path) -> BTreeMap<String, Value> {
    let entries = std::fs::read_dir(dir).expect("a folder").map(|entry| entry.expect("an entry").path());
    let files = entries.filter(|path| path.file_name().is_some_and(|name| is_order(&name.to_string_lossy())));
    let read = |path| serde_json::from_slice::<Value>(&std::fs::read(path).expect("a file")).expect("JSON");
    files.map(read).map(|json| (json["order_id"].as_str().expect("an id").to_owned(), json)).collect()
}

/// Every file below a folder with its bytes.
fn bytes(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(dir).expect("a folder").map(|entry| entry.expect("an entry").path());
    let files = entries.filter(|path| path.is_file() && !path.ends_with(".lock"));
    files.map(|path| (path.display().to_string(), std::fs::read(path).expect("a file"))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_can_be_looked_at_while_the_server_runs() {
    let folder = folder();
    let dir = folder.path().join("orders");
    for (n, phone, status) in
        [(1, ADA, OrderStatus::Received), (2, GRACE, OrderStatus::Received), (3, ADA, OrderStatus::Cancelled)]
    {
        put(&dir, &record(n, phone, status, days_ago(i64::from(9 - n))));
    }
    let (server, _) = serve(folder.path()).await;
    let before = bytes(&dir);
    let list = |more: &[&str]| told(orders(folder.path(), &[&["list"], more].concat()));

    let all = list(&[]).await;
    let ids = |text: &str| -> Vec<String> {
        let id = |line: &str| line.split_whitespace().nth(1).expect("an id").to_owned();
        text.lines().map(id).collect()
    };
    assert_eq!(ids(&all), ["ORD-main-3", "ORD-main-2", "ORD-main-1"], "newest first");
    assert!(all.contains("*********67") && all.contains("Ada") && !all.contains("1234567"), "{all}");
    assert!(list(&["--phones"]).await.contains(ADA));
    assert_eq!(ids(&list(&["--status", "confirmed"]).await), ["ORD-main-2", "ORD-main-1"]);
    assert_eq!(ids(&list(&["--phone", "555-123-4567"]).await), ["ORD-main-3", "ORD-main-1"]);
    assert_eq!(ids(&list(&["--phone", "555-123-4567", "--limit", "1"]).await), ["ORD-main-3"]);
    assert_eq!(ids(&list(&["--name", " ADA ", "--status", "cancelled"]).await), ["ORD-main-3"]);
    assert_eq!(list(&["--name", "Nobody"]).await, "");
    assert!(refused(orders(folder.path(), &["list", "--phone", "12"])).await.contains("--phone"));

    for asked in ["ORD-main-1", "1001"] {
        let shown = told(orders(folder.path(), &["show", asked])).await;
        assert!(!shown.contains("1234567"), "{shown}");
        let shown: Value = serde_json::from_str(&shown).expect("JSON");
        assert_eq!(
            (&shown["order_id"], &shown["phone"], &shown["customer_id"], &shown["changes"][0]["by"]),
            (&json!("ORD-main-1"), &json!("*********67"), &json!("*********67"), &json!("phone"))
        );
        assert!(shown["kept_in"].as_str().is_some_and(|path| path.ends_with(".json")), "{shown}");
    }
    let shown: Value =
        serde_json::from_str(&told(orders(folder.path(), &["show", "1001", "--phones"])).await).expect("JSON");
    assert_eq!((&shown["phone"], &shown["customer_id"]), (&json!(ADA), &json!(ADA)));
    assert!(refused(orders(folder.path(), &["show", "ORD-main-9"])).await.contains("ORD-main-9"));

    let counted = told(orders(folder.path(), &["stats"])).await;
    for line in ["orders     3", "  received 2", "  cancelled1", "sales      12.50", "customers  2"] {
        let squeezed = |text: &str| text.split_whitespace().collect::<String>();
        assert!(counted.lines().any(|told| squeezed(told).starts_with(&squeezed(line))), "{line}: {counted}");
    }
    let exported: Value =
        serde_json::from_str(&told(orders(folder.path(), &["export", "--format", "json"])).await).expect("JSON");
    let whole =
        |n: usize| json!(record(n as u32, [ADA, GRACE, ADA][n - 1], OrderStatus::Received, days_ago(0)).order.items);
    assert_eq!(exported.as_array().map(Vec::len), Some(3));
    assert_eq!((&exported[2]["items"], &exported[2]["phone"]), (&whole(1), &json!("*********67")));
    assert_eq!(bytes(&dir), before, "whoever looks changes nothing");
    stop(server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_is_read_as_text_by_spreadsheets_and_by_nobody_else() {
    let folder = folder();
    let dir = folder.path().join("orders");
    let mut evil = record(1, ADA, OrderStatus::Received, days_ago(1));
    evil.order.name = Some("=HYPERLINK(\"http://evil\",\"x\")".to_owned());
    evil.order.notes = Some("@SUM(1,2)".to_owned());
    evil.order.customer_id = Some("-1+1".to_owned());
    put(&dir, &evil);
    put(&dir, &record(2, GRACE, OrderStatus::Received, days_ago(0)));
    let csv = told(orders(folder.path(), &["export", "--format", "csv", "--phones"])).await;
    let rows: Vec<&str> = csv.lines().collect();
    assert_eq!(rows.len(), 3, "{csv}");
    assert!(rows[0].starts_with("order_id,order_number,"), "{csv}");
    assert!(rows[2].contains("\"'=HYPERLINK(\"\"http://evil\"\",\"\"x\"\")\""), "{csv}");
    assert!(rows[2].contains(",\"'@SUM(1,2)\",") && rows[2].contains(",'-1+1,"), "{csv}");
    assert!(rows[2].contains(",'+15551234567,"), "{csv}");
    assert!(rows[2].contains(",\"1 x taro milk tea, boba, 50%, regular ice\",1,6.25,"), "{csv}");

    let masked = orders(folder.path(), &["export", "--format", "csv", "--out", "all.csv"]);
    assert!(told(masked).await.contains("2 orders were written to all.csv"));
    let file = folder.path().join("all.csv");
    let masked = std::fs::read_to_string(&file).expect("a file");
    assert!(masked.contains(",*********67,-1+1,") || masked.contains(",*********67,'-1+1,"), "{masked}");
    assert!(!masked.contains("1234567") && !masked.contains("9876543"), "{masked}");
    assert_eq!(masked.matches("\r\n").count(), 3);
    use std::os::unix::fs::PermissionsExt as _;
    assert_eq!(std::fs::metadata(&file).expect("a file").permissions().mode() & 0o777, 0o600);
    assert!(
        refused(orders(folder.path(), &["export", "--format", "csv", "--out", "no/where.csv"]))
            .await
            .contains("where.csv")
    );
    let nothing = folder.path().join("nothing");
    std::fs::create_dir(&nothing).expect("a folder");
    let empty = orders(folder.path(), &["export", "--format", "json"]).set("ORDERS_DIR", &nothing);
    assert_eq!(told(empty).await, "[]\n");
    let nowhere = orders(folder.path(), &["list"]).set("ORDERS_DIR", "nowhere");
    assert!(refused(nowhere).await.contains("nowhere"));
    assert!(!folder.path().join("nowhere").exists(), "whoever looks makes no folder");
}

fn migrate(folder: &Path, from: &str, to: &str) -> Program {
    orders(folder, &["migrate", "--from", from, "--to", to])
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_move_to_another_store_and_back_as_they_were() {
    let folder = folder();
    let dir = folder.path().join("orders");
    for n in 1..=20 {
        put(&dir, &record(n, ADA, OrderStatus::Received, days_ago(1)));
    }
    {
        let store = store::open(&OrdersConfig::json(&dir), "main", Access::Write).await.expect("a folder");
        store.set_state("shop", "state", &json!({"sold_out": ["taro milk tea"]}), 0).await.expect("set");
        store.raise_counter(77).await.expect("raised");
        let gone = record(21, GRACE, OrderStatus::Completed, days_ago(2));
        let stone = Tombstone { deleted_at: days_ago(0), ..gone.tombstone(days_ago(0)) };
        store.set_tombstone(&gone.order.order_id, Some(&stone)).await.expect("set");
    }
    let before = on_disk(&dir);
    assert_eq!(before.len(), 21);

    let (server, _) = serve(folder.path()).await;
    let beside = refused(migrate(folder.path(), "json", "sqlite")).await;
    assert!(beside.contains("a server is using the orders") && beside.contains("stop it first"), "{beside}");
    assert!(!dir.join("orders.db").exists());
    stop(server).await;

    // A start may clear; a migration never does.
    let moved = told(migrate(folder.path(), "json", "sqlite").set("CLEAR_ORDERS_ON_START", "true")).await;
    for part in ["20 of 20", "20 orders, 1 deleted ones, 1 other values", "77", "set ORDER_MANAGER_TYPE=sqlite"] {
        assert!(moved.contains(part), "{part}: {moved}");
    }
    assert_eq!(on_disk(&dir), before, "the source is as it was");
    told(migrate(folder.path(), "json", "sqlite")).await;

    let back =
        |from, to| migrate(folder.path(), from, to).set("ORDERS_DIR", "back").set("SQLITE_PATH", "orders/orders.db");
    told(back("sqlite", "json")).await;
    let back_dir = folder.path().join("back");
    assert_eq!(on_disk(&back_dir), before);
    let store = store::open(&OrdersConfig::json(&back_dir), "main", Access::Read).await.expect("a folder");
    assert_eq!(store.counter().await.expect("readable"), 77);
    let states = store.states(None).await.expect("readable");
    assert_eq!(states.len(), 1);
    assert_eq!(states[0].value, json!({"sold_out": ["taro milk tea"]}));

    let listed = orders(folder.path(), &["list"]).set("ORDER_MANAGER_TYPE", "sqlite");
    assert_eq!(told(listed).await.lines().count(), 20);
    assert!(refused(migrate(folder.path(), "json", "json")).await.contains("both say json"));
    let nowhere = migrate(folder.path(), "json", "sqlite").set("ORDERS_DIR", "nowhere");
    assert!(refused(nowhere).await.contains("no json orders"));
    assert!(!folder.path().join("nowhere").exists());
}

#[cfg(feature = "dynamodb")]
#[tokio::test(flavor = "multi_thread")]
async fn orders_move_to_dynamodb_and_back_as_they_were() {
    let emulator = crate::harness::emulator::Emulator::start().await;
    let folder = folder();
    for n in 1..=20 {
        put(&folder.path().join("orders"), &record(n, ADA, OrderStatus::Received, days_ago(1)));
    }
    let before = on_disk(&folder.path().join("orders"));
    let with_table = |from, to, dir| {
        let settings = emulator.settings().into_iter().filter(|(name, _)| *name != "ORDER_MANAGER_TYPE");
        settings.fold(migrate(folder.path(), from, to).set("ORDERS_DIR", dir), |command, (name, value)| {
            command.set(name, value)
        })
    };
    let moved = told(with_table("json", "dynamodb", "orders")).await;
    assert!(moved.contains("20 of 20") && moved.contains("set ORDER_MANAGER_TYPE=dynamodb"), "{moved}");
    told(with_table("dynamodb", "json", "back")).await;
    assert_eq!(on_disk(&folder.path().join("back")), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_elses_orders_are_never_written_over() {
    let folder = folder();
    put(&folder.path().join("orders"), &record(1, ADA, OrderStatus::Received, days_ago(1)));
    told(migrate(folder.path(), "json", "sqlite")).await;
    put(&folder.path().join("other"), &record(1, GRACE, OrderStatus::Received, days_ago(1)));
    let sqlite = folder.path().join("orders/orders.db");
    let other = migrate(folder.path(), "json", "sqlite").set("ORDERS_DIR", "other").set("SQLITE_PATH", &sqlite);
    let why = refused(other).await;
    assert!(why.contains("ORD-main-1") && why.contains("nothing was written"), "{why}");
    let shown = orders(folder.path(), &["show", "1001", "--phones"]).set("ORDER_MANAGER_TYPE", "sqlite");
    assert!(told(shown).await.contains(ADA));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migration_that_was_killed_goes_on_and_nobody_serves_half_of_it() {
    const ORDERS: u32 = 1000;
    let folder = folder();
    let dir = folder.path().join("orders");
    // Reading the menu for each of them would take longer than the rest.
    let mut order = record(1, ADA, OrderStatus::Received, days_ago(1));
    for n in 1..=ORDERS {
        order.order.order_id = OrderId::numbered("main", n.into());
        order.order.order_number = OrderNumber::new(1000 + n).expect("a number");
        order.answers[0].key = format!("api:{n}");
        put(&dir, &order);
    }
    let mut first = migrate(folder.path(), "json", "sqlite").start();
    first.line(|line| line.contains(&format!("of {ORDERS} orders"))).await;
    let said = first.kill().await;
    assert!(!said.stdout.contains("done"), "it was not cut off: {}", said.stdout);

    let server = Program::local_server(folder.path(), NOBODY).set("ORDER_MANAGER_TYPE", "sqlite");
    let why = refused(server).await;
    assert!(why.contains("unfinished copy of json in") && why.contains("orders migrate"), "{why}");
    let elsewhere = migrate(folder.path(), "json", "sqlite").set("ORDERS_DIR", "elsewhere");
    put(&folder.path().join("elsewhere"), &record(1, GRACE, OrderStatus::Received, days_ago(1)));
    let why = refused(elsewhere.set("SQLITE_PATH", "orders/orders.db")).await;
    assert!(why.contains("unfinished copy"), "{why}");

    // The shop goes on with what it had, and one order changes meanwhile.
    let (server, address) = serve(folder.path()).await;
    let done = client().post(format!("http://{address}/api/orders/1001/done")).bearer_auth(KEY).send().await;
    assert!(done.expect("an answer").status().is_success());
    stop(server).await;

    let told_last = told(migrate(folder.path(), "json", "sqlite")).await;
    assert!(told_last.contains(&format!("{ORDERS} orders, 0 deleted ones")), "{told_last}");
    let config = OrdersConfig { kind: StoreKind::Sqlite, ..OrdersConfig::json(&dir) };
    let copy = store::open(&config, "main", Access::Read).await.expect("a database");
    for (id, order) in on_disk(&dir) {
        let there = copy.by_id(&id.parse().expect("an id")).await.expect("readable").expect("it was copied");
        assert_eq!(json!(*there), order);
    }
}

fn forget(folder: &Path, phone: &str) -> Program {
    orders(folder, &["forget", "--phone", phone])
}

/// Files in which a phone number is.
fn mentions(dir: &Path, number: &str) -> usize {
    bytes(dir).values().filter(|file| String::from_utf8_lossy(file).contains(number)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_is_forgotten_with_and_without_a_server() {
    let folder = folder();
    let dir = folder.path().join("orders");
    let mut by_id = record(4, GRACE, OrderStatus::Received, days_ago(1));
    by_id.order.customer_id = Some(ADA.to_owned());
    by_id.order.phone = None;
    put(&dir, &by_id);
    for (n, phone) in [(1, ADA), (2, GRACE), (3, ADA)] {
        put(&dir, &record(n, phone, OrderStatus::Received, days_ago(1)));
    }
    assert_eq!(mentions(&dir, "5551234567"), 3);
    let gone = told(forget(folder.path(), "555 123 4567")).await;
    assert!(gone.contains("*********67 was erased from 3 orders"), "{gone}");
    assert_eq!((mentions(&dir, "5551234567"), mentions(&dir, "5559876543")), (0, 1), "the other customer stays");
    let left = on_disk(&dir);
    assert_eq!((&left["ORD-main-1"]["total"], &left["ORD-main-1"]["name"]), (&json!(6.25), &Value::Null));
    let erased = left["ORD-main-1"]["audit"].as_array().and_then(|audit| audit.last()).expect("an entry");
    assert_eq!((&erased["what"], &erased["by"]), (&json!("erased"), &json!("staff")));
    assert!(told(forget(folder.path(), ADA)).await.contains("0 orders"), "again is no error");

    let (server, address) = serve(folder.path()).await;
    let without_key = refused(forget(folder.path(), GRACE)).await;
    assert!(without_key.contains("API_KEY") && without_key.contains("Nothing was erased"), "{without_key}");
    let with = |key: &str| forget(folder.path(), GRACE).set("API_KEY", key).set("BIND_ADDR", address.to_string());
    assert_eq!(mentions(&dir, "5559876543"), 1);
    let gone = told(with(KEY)).await;
    assert!(gone.contains("was erased from 1 orders"), "{gone}");
    assert_eq!(mentions(&dir, "5559876543"), 0);
    let shown: Value = {
        let answer = client().get(format!("http://{address}/api/orders/1002")).bearer_auth(KEY).send().await;
        answer.expect("an answer").json().await.expect("JSON")
    };
    assert_eq!((&shown["phone"], &shown["version"]), (&Value::Null, &json!(3)), "the server knows");
    let nobody = forget(folder.path(), GRACE).set("API_KEY", KEY).set("BIND_ADDR", "127.0.0.1:9");
    assert!(refused(nobody).await.contains("127.0.0.1:9"));
    stop(server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn forgetting_is_for_staff_and_takes_nothing_but_a_phone() {
    let folder = folder();
    let server = Program::local_server(folder.path(), NOBODY).set("API_KEY", KEY).set("STAFF_PASSWORD", "a-password");
    let mut server = server.start();
    let address = server.address().await;
    let post = |body: &'static str, key: Option<&str>| {
        let request = client().post(format!("http://{address}/api/v1/customers/forget"));
        let request = request.header("content-type", "application/json").body(body);
        let request = match key {
            Some(key) => request.bearer_auth(key),
            None => request,
        };
        async { request.send().await.expect("an answer").status().as_u16() }
    };
    let good = "{\"phone\":\"+15551234567\"}";
    assert_eq!(post(good, None).await, 401);
    assert_eq!(post(good, Some("wrong")).await, 401);
    assert_eq!(post(good, Some(KEY)).await, 200);
    for bad in ["", "{}", "[]", "{\"phone\":1}", "{\"phone\":\"12\"}", "{\"phone\":\"+15551234567\",\"all\":true}"] {
        assert_eq!(post(bad, Some(KEY)).await, 400, "{bad}");
    }
    stop(server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn old_customers_are_erased_when_the_server_starts() {
    let folder = folder();
    let dir = folder.path().join("orders");
    let old = record(1, ADA, OrderStatus::Completed, days_ago(31));
    for record in [
        &old,
        &record(2, ADA, OrderStatus::Received, days_ago(31)),
        &record(3, ADA, OrderStatus::Cancelled, days_ago(29)),
    ] {
        put(&dir, record);
    }
    // Nobody gets a taste of the retention that is switched off.
    let never = Program::local_server(folder.path(), NOBODY).set("RETENTION_DAYS", "0").set("LOG_LEVEL", "info");
    let mut server = never.start();
    server.address().await;
    let said = stop(server).await;
    assert!(!said.stderr.contains("were erased"), "{}", said.stderr);
    assert_eq!(mentions(&dir, "5551234567"), 3);

    let (mut server, _) = serve(folder.path()).await;
    let line = server.line(|line| line.contains("customers_erased")).await;
    assert!(line.contains("from 1 closed orders that are 30 days old"), "{line}");
    let said = stop(server).await;
    assert!(!said.stderr.contains("1234567"), "{}", said.stderr);
    let left = on_disk(&dir);
    let erased: Record = serde_json::from_value(left["ORD-main-1"].clone()).expect("a record");
    let nobody = (None::<PhoneNumber>, None, None, None);
    assert_eq!((erased.order.phone, erased.order.name, erased.order.customer_id, erased.order.notes), nobody);
    assert_eq!((erased.order.items, erased.order.total), (old.order.items, old.order.total));
    assert_eq!(erased.audit.last().map(|entry| entry.by.as_str()), Some("system"));
    assert_eq!(mentions(&dir, "5551234567"), 2, "open and recent orders are as they were");
}
