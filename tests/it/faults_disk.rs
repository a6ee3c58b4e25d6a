//! The orders' disk as it fails under a real server: full, read-only, damaged, held by another program. Each time orders
//! are refused in clear words, readiness says so, reading goes on where it can, nothing half is left, and the server goes
//! on by itself once the fault is over.

use crate::harness::program::{Program, Running};
use crate::harness::{Answer, PATIENCE, TestShop, client};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

/// An agent's address where nobody answers.
const NOBODY: &str = "ws://127.0.0.1:9/v1/agent/converse";
/// A folder in which nobody can make anything, the superuser neither.
const READ_ONLY: &str = "/sys";

/// A program that orders at a server.
struct Till(SocketAddr);

impl Till {
    async fn ask(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Option<Value>) -> Answer {
        let mut request = client().request(method, format!("http://{}{path}", self.0));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Answer::to(match &body {
            Some(body) => request.json(body),
            None => request,
        })
        .await
    }

    async fn order(&self, key: &str) -> Answer {
        let body = json!({"customer_id": key, "items": [{"flavor": "taro milk tea", "toppings": ["boba"]}]});
        self.ask(Method::POST, "/api/v1/orders", &[("Idempotency-Key", key)], Some(body)).await
    }

    /// The order that must have been made, and not been there before.
    async fn ordered(&self, key: &str) -> Value {
        let answer = self.order(key).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        assert!(!answer.headers.contains_key("Idempotency-Replayed"), "{key} had been made before");
        answer.json()
    }

    async fn prepare(&self, order: &Value) -> Answer {
        let version = format!("\"{}\"", order["version"]);
        let body = json!({"status": "preparing"});
        self.ask(Method::POST, &path_of(order, "/status"), &[("If-Match", &version)], Some(body)).await
    }

    async fn delete(&self, order: &Value) -> Answer {
        let version = format!("\"{}\"", order["version"]);
        self.ask(Method::DELETE, &path_of(order, ""), &[("If-Match", &version)], None).await
    }

    async fn sell_out(&self) -> Answer {
        self.ask(Method::PATCH, "/api/v1/shop", &[], Some(json!({"sold_out": ["egg pudding"]}))).await
    }

    async fn read(&self, path: &str) -> Value {
        let answer = self.ask(Method::GET, path, &[], None).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        answer.json()
    }

    /// The ids of all orders, newest first.
    async fn ids(&self) -> Vec<Value> {
        let list = self.read("/api/v1/orders?limit=500").await;
        list["orders"].as_array().expect("orders").iter().map(|order| order["order_id"].clone()).collect()
    }

    /// Waits for an answer of this status: the last one holds for a moment.
    async fn until_ready_is(&self, status: u16) -> Answer {
        let wanted = async {
            loop {
                let answer = self.ask(Method::GET, "/readyz", &[], None).await;
                if answer.status == status {
                    return answer;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(PATIENCE, wanted).await.unwrap_or_else(|_| panic!("/readyz never was {status}"))
    }

    /// No order can be saved, which readiness says without saying where.
    async fn assert_takes_no_orders(&self, keys: &[&str]) {
        for answer in futures_util::future::join_all(keys.iter().map(|key| self.order(key))).await {
            answer.assert_error(503, "UNAVAILABLE");
        }
        let ready = self.until_ready_is(503).await;
        ready.assert_error(503, "UNAVAILABLE");
        assert_eq!(ready.json()["error"]["details"], json!({"reason": "store"}));
        let alive = self.ask(Method::GET, "/healthz", &[], None).await;
        assert_eq!(alive.status, 200, "a restart would mend nothing");
    }

    /// Nothing at all can be saved.
    async fn assert_changes_nothing(&self, known: &Value) {
        for answer in [self.prepare(known).await, self.delete(known).await, self.sell_out().await] {
            answer.assert_error(503, "UNAVAILABLE");
        }
    }

    /// The fault is over, and nothing of what was refused has happened: what was asked for is asked for again.
    async fn assert_recovers(&self, known: &Value, keys: &[&str]) {
        self.until_ready_is(200).await;
        assert_eq!(self.ids().await, [known["order_id"].clone()], "nothing that was refused is there");
        assert_eq!(self.read("/api/v1/shop").await, json!({"sold_out": []}));
        let mut ids = BTreeSet::from([known["order_id"].to_string()]);
        for key in keys {
            assert!(ids.insert(self.ordered(key).await["order_id"].to_string()), "an id was given twice");
        }
        let changed = self.prepare(known).await;
        assert_eq!((changed.status.as_u16(), &changed.json()["version"]), (200, &json!(2)), "{}", changed.text);
        assert_eq!(self.sell_out().await.status, 200);
    }
}

fn path_of(order: &Value, below: &str) -> String {
    format!("/api/v1/orders/{}{below}", order["order_id"].as_str().expect("an id"))
}

/// A server whose orders are in a folder of that name.
fn server(folder: &Path, store: &str) -> Program {
    Program::local_server(folder, NOBODY).set("ORDER_MANAGER_TYPE", store)
}

async fn started(program: Program) -> (Running, Till) {
    let mut running = program.start();
    let address = running.address().await;
    (running, Till(address))
}

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
}

/// A write fails midway, in a file that could still be made: so does one to a full disk.
async fn full_disk(store: &str) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let orders = folder.path().join("orders");
    let (running, till) = started(server(folder.path(), store).of_limited_files()).await;
    let known = till.ordered("first").await;
    let (before, keys) = (names(&orders), ["a", "b", "c", "d", "e", "f", "g", "h"]);
    // A disk may have room for a few bytes, which are no order.
    for bytes in [0, 300] {
        running.limit_files(Some(bytes));
        till.assert_takes_no_orders(&keys).await;
        if bytes == 0 {
            till.assert_changes_nothing(&known).await;
        }
        assert_eq!(till.read(&path_of(&known, "")).await, known, "what there is can be read");
        let left: Vec<String> = names(&orders).difference(&before).cloned().collect();
        assert!(left.iter().all(|name| name == "state"), "{bytes} bytes: left behind: {left:?}");
    }
    running.limit_files(None);
    till.assert_recovers(&known, &keys).await;
    let (ids, shop) = (till.ids().await, till.read("/api/v1/shop").await);
    let said = running.kill().await;
    assert!(!said.stderr.contains("panicked"), "{}", said.stderr);
    let (_running, till) = started(server(folder.path(), store)).await;
    assert_eq!((till.ids().await, till.read("/api/v1/shop").await), (ids, shop), "and it lasts");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_takes_no_orders_and_goes_on_when_there_is_room_json() {
    full_disk("json").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_takes_no_orders_and_goes_on_when_there_is_room_sqlite() {
    full_disk("sqlite").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_becomes_read_only_takes_no_orders_until_it_can_be_written() {
    for store in ["json", "sqlite"] {
        let shop = TestShop::open_with([], &[("ORDER_MANAGER_TYPE", store)]).await;
        let till = Till(shop.shop.address());
        let known = till.ordered("first").await;
        let (folder, away) = (shop.orders_dir(), shop.dir.path().join("away"));
        std::fs::rename(&folder, &away).expect("renamed");
        std::os::unix::fs::symlink(READ_ONLY, &folder).expect("a link");
        till.assert_takes_no_orders(&["a", "b"]).await;
        till.assert_changes_nothing(&known).await;
        std::fs::remove_file(&folder).expect("removed");
        std::fs::rename(&away, &folder).expect("renamed");
        till.assert_recovers(&known, &["a", "b"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_cannot_be_written_stops_the_start_by_its_setting() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (store, setting) in [("json", "ORDERS_DIR"), ("sqlite", "SQLITE_PATH")] {
        let place = format!("{READ_ONLY}/orders");
        let (status, said) = server(folder.path(), store).set(setting, &place).run().await;
        assert_eq!(status.code(), Some(1), "{said:#?}");
        assert!(said.stderr.contains(setting) && said.stderr.contains(&place), "{}", said.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_damaged_are_set_aside_and_the_others_served() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let orders = folder.path().join("orders");
    let (running, till) = started(server(folder.path(), "json")).await;
    let mut made = Vec::new();
    let mut files = Vec::new();
    for key in ["cut-off", "garbage", "whole"] {
        let before = names(&orders);
        made.push(till.ordered(key).await);
        let new: Vec<String> =
            names(&orders).difference(&before).filter(|name| name.ends_with(".json")).cloned().collect();
        let [file] = &new[..] else { panic!("one file an order: {new:?}") };
        files.push(orders.join(file));
    }
    assert_eq!(till.sell_out().await.status, 200);
    running.kill().await;
    let whole = std::fs::read(&files[0]).expect("a file");
    let damaged = [&whole[..whole.len() / 2], &[0xff, 0, b'{']];
    for (file, bytes) in files.iter().zip(damaged) {
        std::fs::write(file, bytes).expect("it is damaged");
    }
    let state = orders.join("state/shop/state.json");
    std::fs::write(&state, "{\"revision\":").expect("it is damaged");

    let (running, till) = started(server(folder.path(), "json")).await;
    till.until_ready_is(200).await;
    assert_eq!(till.ids().await, [made[2]["order_id"].clone()]);
    for lost in &made[..2] {
        till.ask(Method::GET, &path_of(lost, ""), &[], None).await.assert_error(404, "NOT_FOUND");
    }
    for (file, bytes) in files.iter().zip(damaged) {
        assert!(!file.exists());
        let aside = format!("{}.corrupt", file.display());
        assert_eq!(std::fs::read(aside).expect("set aside"), bytes, "whoever mends it has all there was");
    }
    assert_eq!(till.read("/api/v1/shop").await, json!({"sold_out": []}), "of the shop's state nothing is known");
    assert_eq!(till.sell_out().await.status, 200);
    let next = till.ordered("next").await;
    assert!(made.iter().all(|order| order["order_id"] != next["order_id"]), "an id was given twice");
    let said = running.kill().await;
    let told = |file: &Path| {
        let name = file.file_name().expect("a name").to_string_lossy().into_owned();
        said.stdout.lines().chain(said.stderr.lines()).filter(|line| line.contains(&name)).count()
    };
    assert_eq!((told(&files[0]), told(&files[1]), told(&files[2]), told(&state)), (1, 1, 0, 1), "{said:#?}");
    // Mended and put back it is read again; its own name may be that of another order of the same second by now.
    std::fs::write(orders.join("order_mended.json"), &whole).expect("mended");
    let (_running, till) = started(server(folder.path(), "json")).await;
    assert_eq!(till.read(&path_of(&made[0], "")).await, made[0]);
    assert_eq!(till.ids().await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_database_stops_the_start_and_is_left_as_it_is() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("orders/orders.db");
    let (running, till) = started(server(folder.path(), "sqlite")).await;
    let known = till.ordered("first").await;
    running.terminate();
    running.end().await;
    let whole = std::fs::read(&file).expect("a database");
    let mut damaged = whole.clone();
    damaged[..512].fill(0xa5);
    std::fs::write(&file, &damaged).expect("it is damaged");
    let (status, said) = server(folder.path(), "sqlite").run().await;
    assert_eq!(status.code(), Some(1), "{said:#?}");
    assert!(said.stderr.contains("SQLITE_PATH") && said.stderr.contains("no SQLite database"), "{}", said.stderr);
    assert_eq!(std::fs::read(&file).expect("a file"), damaged);
    std::fs::write(&file, &whole).expect("restored from a copy");
    let (_running, till) = started(server(folder.path(), "sqlite")).await;
    assert_eq!(till.read(&path_of(&known, "")).await, known);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_another_program_holds_takes_no_orders_until_it_is_let_go() {
    let shop = TestShop::open_with([], &[("ORDER_MANAGER_TYPE", "sqlite")]).await;
    let till = Till(shop.shop.address());
    let known = till.ordered("first").await;
    let other = rusqlite::Connection::open(shop.orders_dir().join("orders.db")).expect("a database");
    other.execute_batch("BEGIN IMMEDIATE").expect("a lock");
    till.assert_takes_no_orders(&["a", "b", "c"]).await;
    till.assert_changes_nothing(&known).await;
    assert_eq!(till.read(&path_of(&known, "")).await, known, "reading goes on");
    other.execute_batch("ROLLBACK").expect("the lock is released");
    till.assert_recovers(&known, &["a", "b", "c"]).await;
}
