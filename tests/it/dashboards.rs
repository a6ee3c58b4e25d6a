//! What people look at: the pages, the lists behind them, and the live feeds.

use crate::harness::feed::Feed;
use crate::harness::{PATIENCE, TestShop, client, new_order, raw};
use bobarista::order_service::{NewOrder, OrderService};
use bobarista::simulator::Script;
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;
use tokio::task::JoinSet;

const FEEDS: [&str; 2] = ["/orders/events", "/barista/events"];

fn numbers(list: &Value) -> Vec<&str> {
    let entries = list.as_array().unwrap_or_else(|| panic!("no list: {list}"));
    entries.iter().map(|entry| entry["order_number"].as_str().expect("an order number")).collect()
}

/// `{server start}-{n}`.
fn parts(id: &str) -> (u64, u64) {
    let (start, n) = id.split_once('-').expect("two parts");
    (start.parse().expect("the server's start"), n.parse().expect("a number"))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_made_on_the_phone_is_on_every_screen_at_once() {
    let mut shop = TestShop::open([Script::boba()]).await;
    let mut public = Feed::open(&shop.url("/orders/events"), None).await;
    let mut staff = Feed::open(&shop.url("/barista/events"), None).await;
    let call = shop.call(&Script::boba()).await;
    let number = call.assert_flawless().order_number().to_string();

    let (created_id, created) = public.event().await;
    assert_eq!(created, json!({"type": "order_created", "order_number": number, "status": "received"}));
    let (started_id, started) = staff.event().await;
    assert_eq!(started, json!({"type": "call_started", "call_sid": call.report.call_sid}));
    let (staff_id, seen) = staff.event().await;
    assert_eq!(
        (&seen["type"], &seen["order_number"], &seen["status"]),
        (&json!("order_created"), &json!(number), &json!("received"))
    );
    let whole = shop.json(&format!("/api/orders/{number}")).await;
    assert_eq!(seen["order"], whole, "staff see the order as it is");
    let (ended_id, ended) = staff.event().await;
    assert_eq!(ended, json!({"type": "call_ended", "call_sid": call.report.call_sid}));
    assert_eq!(staff_id, created_id, "both feeds count the same events");
    let ((start, n), server_start) = (parts(&started_id), parts(&created_id).0);
    assert_eq!([start, parts(&ended_id).0], [server_start; 2]);
    assert_eq!([n + 1, n + 2], [parts(&staff_id).1, parts(&ended_id).1], "n counts up");

    assert_eq!(shop.json("/orders/in_progress.json").await, json!([{"order_number": number, "status": "received"}]));
    let board = json!({"preparing": [{"order_number": number}], "ready": [], "paused": false});
    assert_eq!(shop.json("/orders/board.json").await, board);
    assert_eq!(shop.json("/orders.json").await, json!([whole]));

    let done = client().post(shop.url(&format!("/api/orders/{number}/done"))).send().await.expect("an answer");
    assert_eq!(done.json::<Value>().await.expect("JSON"), json!({"ok": true}));
    let (_, changed) = public.event().await;
    assert_eq!(changed, json!({"type": "order_status_changed", "order_number": number, "status": "ready"}));
    let (_, changed) = staff.event().await;
    assert_eq!((&changed["type"], &changed["order"]["status"]), (&json!("order_status_changed"), &json!("ready")));
    assert_eq!(shop.json("/orders/in_progress.json").await, json!([]));
    let board = json!({"preparing": [], "ready": [{"order_number": number}], "paused": false});
    assert_eq!(shop.json("/orders/board.json").await, board);

    let mut open_to_all = public.seen.clone();
    for path in ["/orders/in_progress.json", "/orders/board.json", "/shop.json"] {
        open_to_all += &shop.json(path).await.to_string();
    }
    for secret in ["5551234567", "1234567", "taro", "items", "call_sid", &call.report.call_sid, "customer"] {
        assert!(!open_to_all.contains(secret), "{secret} is the staff's business: {open_to_all}");
    }
    assert!(staff.seen.contains("+15551234567"), "staff see who ordered");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_public_screens_show_numbers_and_states_only() {
    let shop = TestShop::open([]).await;
    let mut public = Feed::open(&shop.url("/orders/events"), None).await;
    let order = shop.place(Some("+15551234567")).await;
    shop.shop.orders().done(order.order_number, new_order(None).origin).await.expect("it is done");
    for _ in 0..2 {
        let (_, event) = public.event().await;
        let keys: Vec<&String> = event.as_object().expect("an object").keys().collect();
        assert_eq!(keys, ["type", "order_number", "status"]);
    }
    let board = shop.json("/orders/board.json").await;
    assert_eq!(board["ready"], json!([{"order_number": order.order_number}]));
    let shown = format!("{}{board}", public.seen);
    for secret in ["Ada", "1234567", "taro", "CA0000", "items", "phone", "name"] {
        assert!(!shown.contains(secret), "{secret} is the staff's business: {shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_in_their_order_and_within_their_limits() {
    let shop = TestShop::open([]).await;
    let mut orders = Vec::new();
    for _ in 0..105 {
        orders.push(shop.place(None).await.order_number.to_string());
    }
    let oldest_first: Vec<&str> = orders.iter().map(String::as_str).collect();
    let newest_first: Vec<&str> = oldest_first.iter().rev().copied().collect();

    assert_eq!(numbers(&shop.json("/orders.json").await), newest_first[..50]);
    assert_eq!(numbers(&shop.json("/orders/in_progress.json").await), newest_first[..100]);
    assert_eq!(numbers(&shop.json("/orders/board.json").await["preparing"]), oldest_first);
    assert_eq!(numbers(&shop.json("/orders.json?limit=3").await), newest_first[..3]);
    assert_eq!(numbers(&shop.json("/orders.json?limit=200").await), newest_first);
    assert_eq!(numbers(&shop.json("/orders/in_progress.json?limit=1").await), newest_first[..1]);
    for path in ["/orders.json", "/orders/in_progress.json"] {
        for limit in ["x", "-1", "1.5", "99999999999999999999999"] {
            let answer = client().get(shop.url(&format!("{path}?limit={limit}"))).send().await.expect("an answer");
            assert_eq!(answer.status(), 400, "{path}?limit={limit}");
        }
    }

    let origin = || new_order(None).origin;
    for number in [3, 1] {
        shop.shop.orders().done(orders[number].parse().expect("a number"), origin()).await.expect("it is done");
    }
    let board = shop.json("/orders/board.json").await;
    assert_eq!(numbers(&board["ready"]), [oldest_first[1], oldest_first[3]]);
    assert_eq!(numbers(&board["preparing"])[..3], [oldest_first[0], oldest_first[2], oldest_first[4]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_screen_that_comes_back_is_given_exactly_what_it_missed() {
    let shop = TestShop::open([]).await;
    for path in FEEDS {
        let mut feed = Feed::open(&shop.url(path), None).await;
        let first = shop.place(None).await;
        let (last_seen, event) = feed.event().await;
        assert_eq!(
            event["order_number"],
            json!(first.order_number),
            "only what is new is told to who asks for no more"
        );
        drop(feed);

        let mut missed = Vec::new();
        for _ in 0..5 {
            missed.push(shop.place(None).await.order_number);
        }
        let mut feed = Feed::open(&shop.url(path), Some(&last_seen)).await;
        let mut n = parts(&last_seen).1;
        for number in missed {
            let (id, event) = feed.event().await;
            n += 1;
            assert_eq!((parts(&id).1, &event["order_number"]), (n, &json!(number)));
        }
        let next = shop.place(None).await;
        assert_eq!(feed.event().await.1["order_number"], json!(next.order_number), "and then it is live again");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_screen_whose_place_is_unknown_is_told_to_start_afresh() {
    let shop = TestShop::open([]).await;
    let mut feed = Feed::open(&shop.url("/orders/events"), None).await;
    shop.place(None).await;
    let (start, n) = parts(&feed.event().await.0);
    let (another_start, future) = (format!("{}-{n}", start - 1000), format!("{start}-{}", n + 10_000));
    for path in FEEDS {
        for id in [another_start.as_str(), &future, "nonsense", "", "1-2-3", "-", "99999999999999999999999-1"] {
            let mut feed = Feed::open(&shop.url(path), Some(id)).await;
            let (place, event) = feed.event().await;
            assert_eq!(event, json!({"type": "resync"}), "after {id:?}");
            let order = shop.place(None).await;
            let (next, event) = feed.event().await;
            assert_eq!(event["order_number"], json!(order.order_number));
            assert_eq!(parts(&next).1, parts(&place).1 + 1, "it goes on from where it was told to start");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_feed_says_that_it_lives() {
    let shop = TestShop::open([]).await;
    let opened = Instant::now();
    let mut feed = Feed::open(&shop.url("/orders/events"), None).await;
    let block = feed.next().await.expect("the feed goes on");
    let waited = opened.elapsed();
    assert_eq!(block.json(), json!({"type": "ping"}));
    assert!(block.has_comment(), "a proxy that strips events still sees traffic: {block:?}");
    assert_eq!(block.field("id"), None, "a ping is no place to come back to");
    assert!((Duration::from_secs(13)..Duration::from_secs(25)).contains(&waited), "{waited:?}");
}

/// As many orders as asked for, several at a time, with notes of this length.
async fn flood(orders: &OrderService, count: usize, note_bytes: usize) {
    let mut making = JoinSet::new();
    for _ in 0..count {
        if making.len() == 16 {
            making.join_next().await.expect("some").expect("no panic");
        }
        let orders = orders.clone();
        let new = NewOrder { notes: Some("x".repeat(note_bytes)), ..new_order(None) };
        making.spawn(async move { orders.create(new).await.expect("an order") });
    }
    making.join_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_screen_that_does_not_read_slows_nobody_and_is_told_to_start_afresh() {
    // It is not to be cut off before it reads again, however long the orders take.
    let shop = TestShop::open_adjusted(&[], |app| app.bounded(|bounds| bounds.writing = 2 * PATIENCE)).await;
    // With little room on its side, and events of 32 KiB, the line is full long before the server's memory of events is
    // overwritten.
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(8 << 10).expect("a small buffer");
    let mut stalled = socket.connect(shop.shop.address()).await.expect("a connection");
    let request = format!("GET /barista/events HTTP/1.1\r\nHost: {}\r\n\r\n", shop.shop.address());
    stalled.write_all(request.as_bytes()).await.expect("the server reads");
    let mut head = [0; 15];
    stalled.read_exact(&mut head).await.expect("an answer");
    assert_eq!(&head, b"HTTP/1.1 200 OK");

    let mut reading = Feed::open(&shop.url("/orders/events"), None).await;
    let reader = tokio::spawn(async move {
        for _ in 0..1_400 {
            assert_eq!(reading.event().await.1["type"], "order_created", "who reads misses nothing");
        }
    });
    let flood = flood(shop.shop.orders(), 1_400, 32 << 10);
    tokio::time::timeout(PATIENCE, flood).await.expect("orders go on being made");
    reader.await.expect("the other screen saw them all");

    let mut text = Vec::new();
    let resync = async {
        let mut buffer = vec![0; 64 << 10];
        while !text.windows(17).any(|window| window == br#"{"type":"resync"}"#) {
            let read = stalled.read(&mut buffer).await.expect("the feed is whole");
            assert_ne!(read, 0, "the feed goes on");
            // What was read stays searchable across two reads.
            text.drain(..text.len().saturating_sub(64));
            text.extend_from_slice(&buffer[..read]);
        }
    };
    tokio::time::timeout(PATIENCE, resync).await.expect("it is told that it missed something");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_open_feeds_stops_promptly() {
    let test = TestShop::open([]).await;
    let mut feeds = [Feed::open(&test.url(FEEDS[0]), None).await, Feed::open(&test.url(FEEDS[1]), None).await];
    let asked = Instant::now();
    test.shop.close().await.expect("it stops");
    // Far below the time after which it would give up waiting for them.
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    for feed in &mut feeds {
        assert_eq!(feed.next().await, None, "the screens are told");
    }
}

async fn get(url: &str) -> (reqwest::header::HeaderMap, String) {
    let answer = client().get(url).send().await.expect("an answer");
    assert_eq!(answer.status(), 200, "{url}");
    (answer.headers().clone(), answer.text().await.expect("text"))
}

/// The values of an attribute, wherever it stands in a page.
fn attributes<'a>(html: &'a str, name: &str) -> Vec<&'a str> {
    let start = format!(" {name}=\"");
    html.split(start.as_str()).skip(1).map(|rest| rest.split('"').next().unwrap_or_default()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_served_with_all_they_need_and_run_no_script_of_strangers() {
    let shop = TestShop::open([]).await;
    for page in ["/", "/orders", "/barista", "/api/docs"] {
        let (headers, html) = get(&shop.url(page)).await;
        assert_eq!(headers["content-type"], "text/html; charset=utf-8", "{page}");
        let scripts: Vec<&str> = html.split("<script").skip(1).collect();
        assert!(!scripts.is_empty(), "{page} has a script");
        for script in scripts {
            let (opening, rest) = script.split_once('>').expect("a tag");
            assert!(opening.contains(" src=\"/static/") && rest.starts_with("</script>"), "{page}: {script}");
        }
        let lower = html.to_lowercase();
        for inline in [" onclick", " onload", " onerror", " style=", "<style", "javascript:", "http://", "https://"] {
            assert!(!lower.contains(inline), "{page} has {inline}");
        }
        for path in attributes(&html, "src").into_iter().chain(attributes(&html, "href")) {
            if !path.starts_with('#') {
                get(&shop.url(path)).await;
            }
        }
    }
}

/// Where the files of a folder, and of those within it, are served.
fn files_in(folder: &Path, path: &str, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).expect("the folder") {
        let entry = entry.expect("an entry");
        let path = format!("{path}/{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            files_in(&entry.path(), &path, found);
        } else {
            found.push(path);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn static_files_are_what_they_say_and_nothing_else_is_let_in() {
    let shop = TestShop::open([]).await;
    let mut paths = vec!["/".to_owned(), "/orders".to_owned(), "/barista".to_owned()];
    files_in(&Path::new(env!("CARGO_MANIFEST_DIR")).join("static"), "/static", &mut paths);
    assert!(paths.len() > 10, "{paths:?}");
    for path in paths {
        let (headers, body) = get(&shop.url(&path)).await;
        let kind = match path.rsplit_once('.').map_or("html", |(_, ending)| ending) {
            "html" => "text/html; charset=utf-8",
            "css" => "text/css; charset=utf-8",
            "js" => "text/javascript; charset=utf-8",
            "svg" => "image/svg+xml",
            other => panic!("{path}: a test must say what {other} is served as"),
        };
        assert_eq!(headers["content-type"], kind, "{path}");
        assert_eq!(headers["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(headers["x-frame-options"], "DENY", "{path}");
        let policy = headers["content-security-policy"].to_str().expect("text");
        let loads = if kind.starts_with("text/html") { "default-src 'self'" } else { "default-src 'none'" };
        assert!(policy.split(';').any(|part| part.trim() == loads), "{path}: {policy}");
        for hole in ["unsafe-inline", "unsafe-eval", "*", "data:", "http"] {
            assert!(!policy.contains(hole), "{path}: {policy}");
        }
        if kind.starts_with("text/javascript") {
            let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
            for import in body.lines().filter_map(|line| line.split_once("from \"./")) {
                let name = import.1.split('"').next().unwrap_or_default();
                get(&shop.url(&format!("{folder}/{name}"))).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_path_leads_out_of_the_static_folder() {
    let shop = TestShop::open([]).await;
    let ways_out = [
        "/static/../Cargo.toml",
        "/static/%2e%2e/Cargo.toml",
        "/static/..%2fCargo.toml",
        "/static/%2e%2e%2fCargo.toml",
        "/static/..%5cCargo.toml",
        "/static/....//Cargo.toml",
        "/static//etc/passwd",
        "/static/%2fetc%2fpasswd",
        "/static/../../../../../../etc/passwd",
        "/static/%252e%252e/Cargo.toml",
        "/static/index.html%00.js",
        "/static/",
        "/static/.",
        "/static",
        "/../Cargo.toml",
        "/Cargo.toml",
        "/static/%ff",
    ];
    for target in ways_out {
        let (status, answer) = raw::get(shop.shop.address(), target).await;
        assert!(matches!(status, 400 | 404), "{target}: {answer}");
        assert!(!answer.contains("[package]") && !answer.contains("root:"), "{target}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn anybody_may_know_the_shops_name_and_number() {
    let shop = TestShop::open([]).await;
    let card = shop.json("/shop.json").await;
    assert_eq!(card["phone"], Value::Null);
    assert!(card["name"].as_str().is_some_and(|name| !name.is_empty()), "{card}");
    let shop = TestShop::open_with([], &[("TWILIO_FROM_E164", "+15550001111")]).await;
    assert_eq!(shop.json("/shop.json").await["phone"], "+15550001111");
    let alive = client().get(shop.url("/healthz")).send().await.expect("an answer");
    assert_eq!(alive.status(), 200);
}

/// Keys that stand twice in one object of a script that is laid out as ours are: one key a line, indented by its depth.
fn keys_told_twice(script: &str) -> Vec<&str> {
    let mut open: Vec<(usize, Vec<&str>)> = Vec::new();
    let mut twice = Vec::new();
    for line in script.lines().filter(|line| !line.trim().is_empty()) {
        let told = line.trim_start();
        let depth = line.len() - told.len();
        open.retain(|(at, _)| *at <= depth);
        let key = told.split_once(':').map(|(key, _)| key);
        let Some(key) = key.filter(|key| key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')) else {
            continue;
        };
        if open.last().is_none_or(|(at, _)| *at < depth) {
            open.push((depth, Vec::new()));
        }
        let Some((_, keys)) = open.last_mut() else { continue };
        if keys.contains(&key) {
            twice.push(key);
        }
        keys.push(key);
    }
    twice
}

#[test]
fn no_sentence_of_the_pages_has_the_name_of_another() {
    let one = "a = {\n  b: 1,\n  c: {\n    b: 2,\n    d: 3,\n  },\n  e: {\n    b: 2,\n  },\n";
    assert_eq!(keys_told_twice(&format!("{one}}};")), Vec::<&str>::new());
    assert_eq!(keys_told_twice(&format!("{one}  c: () => 4,\n}};")), ["c"]);
    let text = concat!(env!("CARGO_MANIFEST_DIR"), "/static/text.js");
    let text = std::fs::read_to_string(text).expect("the pages' words");
    assert!(text.lines().count() > 300);
    assert_eq!(keys_told_twice(&text), Vec::<&str>::new(), "of two the later is shown for both");
}
