//! How soon a change is seen by all at a table when many tables are busy at once: real sockets against the real server in a
//! process of its own, which keeps its sessions on disk as it does in a shop.
//!
//! `cargo bench --bench tables [-- --tables 200 --members 4 --seconds 20 --rate 1]`. Every member changes a line about `rate`
//! times a second; a delay is from before sending to the moment when the last member has read it. A change that one of
//! them does not see stops the run. Without `--bench` (under `cargo test`) a few tables show that it all works.

#[expect(dead_code, reason = "this one listens where it is told to, and says nothing")]
#[path = "feeds/process.rs"]
mod process;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use process::Child;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

struct Options {
    tables: usize,
    members: usize,
    seconds: u32,
    rate: u32,
}

/// The changes at one table that not all have seen, by operation: when it was sent, and how many have to see it yet.
type Unseen = Arc<Mutex<HashMap<String, (Instant, usize)>>>;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let measured = arguments.iter().any(|argument| argument == "--bench");
    let number = |name: &str, default: u32| {
        let at = arguments.iter().position(|argument| argument == name);
        at.map_or(default, |at| arguments[at + 1].parse().expect("a number"))
    };
    let options = Options {
        tables: number("--tables", if measured { 200 } else { 3 }) as usize,
        members: number("--members", 4) as usize,
        seconds: number("--seconds", if measured { 20 } else { 1 }),
        rate: number("--rate", if measured { 1 } else { 5 }),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(run(&options));
}

async fn run(options: &Options) {
    let Options { tables, members, seconds, rate } = options;
    let (address, orders) = (process::free_port(), tempfile::tempdir().expect("a temporary folder"));
    let settings = [
        ("DEEPGRAM_API_KEY", "bench"),
        ("BIND_ADDR", &address.to_string()),
        ("ORDERS_DIR", orders.path().to_str().expect("a path in UTF-8")),
        ("LOG_LEVEL", "warn"),
    ];
    let child = Child::start(std::path::Path::new(env!("CARGO_BIN_EXE_bobarista")), &[], &settings);
    process::wait_for(address).await;
    let kib_before = child.settled_kib().await;
    let (begun, mut seats) = (Instant::now(), Vec::new());
    for n in 0..*tables {
        let (token, unseen) = (table(address, n).await, Unseen::default());
        for m in 0..*members {
            let (socket, line) = join(address, &token, m).await;
            seats.push((m, socket, line, Arc::clone(&unseen)));
        }
    }
    println!("{tables} tables of {members} joined in {:.1} s", begun.elapsed().as_secs_f64());
    let kib_joined = child.resident_kib();
    let (measuring, cpu) = (Instant::now(), child.cpu_ms());
    let mut working = JoinSet::new();
    for (n, (m, socket, line, unseen)) in seats.into_iter().enumerate() {
        let (to, from) = socket.split();
        let (members, pace) = (*members, Duration::from_secs(1) / *rate);
        let during = Duration::from_secs(u64::from(*seconds));
        // Nobody begins together with others.
        let offset = pace * u32::try_from(n % 97).unwrap_or(0) / 97;
        working.spawn(async move {
            let reading = tokio::spawn(read(from, Arc::clone(&unseen)));
            tokio::time::sleep(offset).await;
            change(to, &line, m, &unseen, members, pace, during).await;
            reading.await.expect("no panic")
        });
    }
    let mut delays = working.join_all().await.concat();
    let cpu_percent = (child.cpu_ms() - cpu) / measuring.elapsed().as_secs_f64() / 10.0;
    let expected = tables * members * usize::try_from(seconds * rate).expect("few") * 9 / 10;
    assert!(delays.len() >= expected, "only {} changes were seen by all, of {expected} and more", delays.len());
    delays.sort_unstable();
    let ms = |percent: usize| delays[(delays.len() * percent / 100).min(delays.len() - 1)].as_secs_f64() * 1e3;
    println!(
        "{} changes seen by all {members}: p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms; CPU {cpu_percent:.0} % of one core",
        delays.len(),
        ms(50),
        ms(99),
        ms(100)
    );
    println!(
        "resident: {kib_before:.0} KiB before, {:.1} KiB a session of {members} once joined, {:.1} KiB at the end",
        (kib_joined - kib_before) / *tables as f64,
        (child.resident_kib() - kib_before) / *tables as f64
    );
}

async fn post(address: SocketAddr, path: &str, body: &Value) -> (Value, Option<String>) {
    let answer = exchange(address, path, body).await;
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
    assert!(head.starts_with("HTTP/1.1 201"), "{head}");
    let cookie = head.lines().find_map(|line| line.strip_prefix("set-cookie: "));
    let cookie = cookie.and_then(|cookie| cookie.split(';').next()).map(str::to_owned);
    (serde_json::from_str(body).expect("JSON"), cookie)
}

/// One request over a connection of its own, read to its end.
async fn exchange(address: SocketAddr, path: &str, body: &Value) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let body = body.to_string();
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut socket = TcpStream::connect(address).await.expect("a connection");
    socket.write_all(request.as_bytes()).await.expect("it reads");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.expect("it answers");
    answer
}

async fn table(address: SocketAddr, n: usize) -> String {
    let (table, _) = post(address, "/api/v1/tables", &json!({"name": format!("Table {n}")})).await;
    table["link"].as_str().and_then(|link| link.rsplit('/').next()).expect("a link").to_owned()
}

/// A member with a line of their own in the cart.
async fn join(address: SocketAddr, token: &str, m: usize) -> (Socket, String) {
    let (joined, cookie) =
        post(address, "/api/tables/join", &json!({"token": token, "name": format!("Guest {m}")})).await;
    let session = joined["session"].as_str().expect("a session");
    let mut request = format!("ws://{address}/ws/tables/{session}").into_client_request().expect("a request");
    let cookie = cookie.expect("a cookie").parse().expect("a header");
    request.headers_mut().insert("cookie", cookie);
    let (mut socket, _) = tokio_tungstenite::connect_async(request).await.expect("an upgrade");
    let op_id = format!("line-{m}");
    let add = json!({"type": "add_item", "op_id": op_id, "item": {"flavor": "taro milk tea"}});
    socket.send(Message::text(add.to_string())).await.expect("it reads");
    loop {
        let Some(Ok(Message::Text(text))) = socket.next().await else { continue };
        let message: Value = serde_json::from_str(text.as_str()).expect("JSON");
        if message["op_id"] == op_id.as_str() {
            return (socket, message["line"]["public_id"].as_str().expect("a line").to_owned());
        }
    }
}

async fn change(
    mut to: SplitSink<Socket, Message>,
    line: &str,
    m: usize,
    unseen: &Unseen,
    members: usize,
    pace: Duration,
    during: Duration,
) {
    let mut ticks = tokio::time::interval(pace);
    let until = Instant::now() + during;
    // The line's revision: nobody else changes it.
    for n in 1.. {
        ticks.tick().await;
        if Instant::now() >= until {
            break;
        }
        let op_id = format!("{m}-{n}");
        let item = json!({"note": format!("number {n}")});
        let message =
            json!({"type": "update_item", "op_id": op_id, "public_id": line, "revision": n, "item": item}).to_string();
        unseen.lock().unwrap_or_else(PoisonError::into_inner).insert(op_id, (Instant::now(), members));
        to.send(Message::text(message)).await.expect("it reads");
    }
    // What is under way comes in.
    let patience = Instant::now() + Duration::from_secs(30);
    while !unseen.lock().unwrap_or_else(PoisonError::into_inner).is_empty() {
        assert!(Instant::now() < patience, "a change was not seen by all");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    to.close().await.expect("it is there");
}

/// The delays of those changes that this member was the last to see.
async fn read(mut from: SplitStream<Socket>, unseen: Unseen) -> Vec<Duration> {
    let mut delays = Vec::new();
    while let Some(Ok(message)) = from.next().await {
        let Message::Text(text) = message else { continue };
        let text = text.as_str();
        assert!(!text.contains(r#""type":"error""#), "{text}");
        if !text.contains(r#""type":"update_item""#) {
            continue;
        }
        let message: Value = serde_json::from_str(text).expect("JSON");
        let op_id = message["op_id"].as_str().expect("an operation");
        let mut unseen = unseen.lock().unwrap_or_else(PoisonError::into_inner);
        let (sent, left) = unseen.get_mut(op_id).expect("it was sent from here");
        *left -= 1;
        if *left == 0 {
            delays.push(sent.elapsed());
            unseen.remove(op_id);
        }
    }
    delays
}
