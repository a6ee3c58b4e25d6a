//! The server is killed at random moments while orders are made and changed by many at once. After each restart everything
//! that was acknowledged is there, once and whole, and in the end everything owed was delivered.
//!
//! `CRASH_KILLS` sets how often it is killed in all; the long mode is
//! `CRASH_KILLS=200 cargo test --test it crash -- --nocapture` (with `--features dynamodb` for the third store).

use crate::harness::program::{Program, Running};
use crate::harness::webhook::{SECRET, WebhookReceiver};
use crate::harness::{PATIENCE, client};
use rand::RngExt as _;
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

const KEY: &str = "the-key";
const CLIENTS: usize = 8;
/// Kills of one store, unless `CRASH_KILLS` says otherwise.
const KILLS: u32 = 5;

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_with_the_json_store_has_lost_and_doubled_nothing() {
    crash(Vec::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_with_the_sqlite_store_has_lost_and_doubled_nothing() {
    crash(vec![("ORDER_MANAGER_TYPE", "sqlite".to_owned())]).await;
}

#[cfg(feature = "dynamodb")]
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_with_the_dynamodb_store_has_lost_and_doubled_nothing() {
    let emulator = crate::harness::emulator::Emulator::start().await;
    crash(emulator.settings()).await;
}

fn kills() -> u32 {
    let stores = if cfg!(feature = "dynamodb") { 3 } else { 2 };
    let all = std::env::var("CRASH_KILLS").ok().map(|kills| kills.parse::<u32>().expect("CRASH_KILLS is a number"));
    all.map_or(KILLS, |all| all.div_ceil(stores))
}

/// One client, who asks for one thing after the other.
#[derive(Default)]
struct Client {
    id: usize,
    asked: usize,
    /// Orders that the server has acknowledged, newest last.
    orders: Vec<Known>,
    /// The request whose answer did not come.
    unanswered: Option<Asked>,
}

/// An order as the server has last told of it.
#[derive(Clone, Debug)]
struct Known {
    id: String,
    version: u64,
    status: String,
}

#[derive(Clone, Debug)]
enum Asked {
    /// By its key.
    Create(String),
    /// The order's place in the client's list.
    Change(usize),
}

struct Shop {
    folder: tempfile::TempDir,
    webhook: WebhookReceiver,
    settings: Vec<(&'static str, String)>,
}

impl Shop {
    async fn start(&self) -> (Running, SocketAddr) {
        let mut server = Program::local_server(self.folder.path(), "ws://127.0.0.1:1")
            .set("ORDERS_DIR", self.folder.path().join("orders"))
            .set("API_KEY", KEY)
            .set("WEBHOOK_URL", self.webhook.url())
            .set("WEBHOOK_SECRET", SECRET)
            .set("LOG_LEVEL", "bobarista=info,warn");
        for (name, value) in &self.settings {
            server = server.set(name, value);
        }
        let mut server = server.start();
        let address = server.address().await;
        (server, address)
    }
}

async fn crash(settings: Vec<(&'static str, String)>) {
    let folder = tempfile::tempdir().expect("a folder");
    let shop = Shop { folder, webhook: WebhookReceiver::start().await, settings };
    let mut clients: Vec<Client> = (0..CLIENTS).map(|id| Client { id, ..Client::default() }).collect();
    let mut delivered: HashSet<(String, u64)> = HashSet::new();
    for kill in 0..kills() {
        let (server, address) = shop.start().await;
        // What was left unanswered by the last server is asked again, and what it acknowledged is looked for.
        for client in &mut clients {
            client.settle(address).await;
        }
        let busy: Vec<_> = clients.drain(..).map(|client| tokio::spawn(client.keep_asking(address))).collect();
        tokio::time::sleep(Duration::from_millis(rand::rng().random_range(20..600))).await;
        let said = server.kill().await;
        for client in busy {
            clients.push(client.await.expect("no client panics"));
        }
        assert!(!said.stderr.contains("panicked"), "{}", said.stderr);
        note(&shop.webhook, &mut delivered);
        let made: usize = clients.iter().map(|client| client.orders.len()).sum();
        println!("killed {} times; {made} orders acknowledged", kill + 1);
    }

    let (server, address) = shop.start().await;
    for client in &mut clients {
        client.settle(address).await;
    }
    let known: HashMap<String, Known> =
        clients.iter().flat_map(|client| &client.orders).map(|known| (known.id.clone(), known.clone())).collect();
    let orders = all_orders(address).await;
    assert_eq!(orders.len(), known.len(), "as many orders as requests");
    assert!(orders.len() > CLIENTS, "the test has made hardly any orders");
    let mut open_numbers = HashSet::new();
    let mut ids = HashSet::new();
    for order in &orders {
        let id = order["order_id"].as_str().expect("an id");
        assert!(ids.insert(id.to_owned()), "{id} was given twice");
        check_whole(order);
        let known = known.get(id).unwrap_or_else(|| panic!("{id} was asked for by nobody"));
        assert_eq!((&order["version"], &order["status"]), (&json!(known.version), &json!(known.status)), "{id}");
        if !matches!(known.status.as_str(), "completed" | "cancelled") {
            let number = order["order_number"].as_str().expect("a number");
            assert!(open_numbers.insert(number.to_owned()), "the open number {number} was given twice");
        }
    }

    // Every change owes a notice.
    let owed: HashSet<(String, u64)> =
        known.values().flat_map(|known| (1..=known.version).map(|version| (known.id.clone(), version))).collect();
    let patience = Instant::now() + PATIENCE + Duration::from_secs(90);
    loop {
        note(&shop.webhook, &mut delivered);
        let missing = owed.difference(&delivered).count();
        if missing == 0 {
            break;
        }
        assert!(Instant::now() < patience, "{missing} of {} notices were never delivered", owed.len());
        // Nothing announces the arrival of the last notice.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    drop(server);
}

impl Client {
    async fn keep_asking(mut self, address: SocketAddr) -> Self {
        loop {
            let open = self.orders.iter().rposition(|known| next(&known.status).is_some());
            let ask = match open {
                Some(place) if rand::rng().random_bool(0.4) => Asked::Change(place),
                _ => {
                    self.asked += 1;
                    Asked::Create(format!("key-{}-{}", self.id, self.asked))
                }
            };
            self.unanswered = Some(ask.clone());
            if !self.ask(address, ask).await {
                return self;
            }
            self.unanswered = None;
        }
    }

    /// False: no answer came.
    async fn ask(&mut self, address: SocketAddr, ask: Asked) -> bool {
        match ask {
            Asked::Create(key) => {
                let body = json!({
                    "name": "Ada",
                    "customer_id": key,
                    "items": [{"flavor": "taro milk tea", "toppings": ["boba"], "quantity": 1}],
                });
                let sent = client().post(format!("http://{address}/api/v1/orders")).bearer_auth(KEY);
                let Some(order) = told(sent.header("Idempotency-Key", key).json(&body), StatusCode::CREATED).await
                else {
                    return false;
                };
                let known = known(&order);
                assert!(self.orders.iter().all(|other| other.id != known.id), "{} was given twice", known.id);
                self.orders.push(known);
            }
            Asked::Change(place) => {
                let Known { id, version, status } = &self.orders[place];
                let to = next(status).expect("it can be changed");
                let sent = client().post(format!("http://{address}/api/v1/orders/{id}/status")).bearer_auth(KEY);
                let sent = sent.header("If-Match", format!("\"{version}\"")).json(&json!({"status": to}));
                let Some(order) = told(sent, StatusCode::OK).await else { return false };
                assert_eq!((&order["version"], &order["status"]), (&json!(version + 1), &json!(to)));
                self.orders[place] = known(&order);
            }
        }
        true
    }

    /// Asks a new server what became of the request that the last one did not answer, and whether it knows all that was
    /// acknowledged.
    async fn settle(&mut self, address: SocketAddr) {
        match self.unanswered.take() {
            Some(Asked::Create(key)) => assert!(self.ask(address, Asked::Create(key)).await, "an answer"),
            Some(Asked::Change(place)) => {
                let before = self.orders[place].clone();
                let now = known(&get(address, &before.id).await);
                let changed = now.version == before.version + 1 && Some(now.status.as_str()) == next(&before.status);
                assert!(now.version == before.version || changed, "{before:?} has become {now:?}");
                self.orders[place] = now;
            }
            None => {}
        }
        for known in self.orders.iter().rev().take(20) {
            let order = get(address, &known.id).await;
            check_whole(&order);
            assert_eq!((&order["version"], &order["status"]), (&json!(known.version), &json!(known.status)));
        }
    }
}

fn next(status: &str) -> Option<&'static str> {
    match status {
        "received" => Some("preparing"),
        "preparing" => Some("ready"),
        "ready" => Some("completed"),
        _ => None,
    }
}

fn known(order: &Value) -> Known {
    let text = |key: &str| order[key].as_str().unwrap_or_else(|| panic!("{key}: {order}")).to_owned();
    Known { id: text("order_id"), version: order["version"].as_u64().expect("a version"), status: text("status") }
}

/// The body of the answer; none: the server has gone before it was whole.
async fn told(request: reqwest::RequestBuilder, expected: StatusCode) -> Option<Value> {
    let answer = request.send().await.ok()?;
    let status = answer.status();
    let body = answer.text().await.ok()?;
    assert_eq!(status, expected, "{body}");
    Some(serde_json::from_str(&body).expect("JSON"))
}

async fn get(address: SocketAddr, id: &str) -> Value {
    let sent = client().get(format!("http://{address}/api/v1/orders/{id}")).bearer_auth(KEY);
    told(sent, StatusCode::OK).await.expect("an answer")
}

async fn all_orders(address: SocketAddr) -> Vec<Value> {
    let mut orders = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let place = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
        let sent = client().get(format!("http://{address}/api/v1/orders?limit=500{place}")).bearer_auth(KEY);
        let page = told(sent, StatusCode::OK).await.expect("an answer");
        orders.extend(page["orders"].as_array().expect("orders").iter().cloned());
        cursor = page["next_cursor"].as_str().map(str::to_owned);
        if cursor.is_none() {
            return orders;
        }
    }
}

/// No order is half written: its sums and its history fit.
fn check_whole(order: &Value) {
    let items = order["items"].as_array().expect("items");
    assert_eq!(items.len(), 1, "{order}");
    assert_eq!((&items[0]["subtotal"], &order["total"]), (&json!(6.25), &json!(6.25)), "{order}");
    let history = order["history"].as_array().expect("a history");
    assert_eq!(json!(history.len()), order["version"], "{order}");
    assert_eq!(history[history.len() - 1]["status"], order["status"], "{order}");
}

/// Which versions of which orders were told.
fn note(webhook: &WebhookReceiver, delivered: &mut HashSet<(String, u64)>) {
    for notice in webhook.notices() {
        let body: Value = serde_json::from_str(&notice.body).expect("JSON");
        let known = known(&body["order"]);
        delivered.insert((known.id, known.version));
    }
    assert_eq!(webhook.refused(), 0, "every notice is signed");
}
