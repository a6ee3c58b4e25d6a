//! The server's edge: how much one address may ask and hold, how long a peer may dawdle, and what all of it does to feeds.

use crate::harness::feed::Feed;
use crate::harness::{Answer, PATIENCE, TestShop, client, new_order};
use bobarista::order_service::NewOrder;
use bobarista::twilio::signature;
use reqwest::header::{HeaderValue, RETRY_AFTER};
use reqwest::{Method, StatusCode};
use serde_json::Value;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

const TOKEN: &str = "the token of the account";
const KEY: &str = "the key of the till";
/// What a shop on the internet has.
const PUBLIC: [(&str, &str); 4] = [
    ("VOICE_HOST", "voice.example.com"),
    ("TWILIO_AUTH_TOKEN", TOKEN),
    ("STAFF_PASSWORD", "open sesame"),
    ("API_KEY", KEY),
];
/// Loopback is a client like any other.
const NO_PROXY: (&str, &str) = ("TRUSTED_PROXIES", "192.0.2.1");
const ADA: &str = "198.51.100.1";
const BOB: &str = "198.51.100.2";

fn public(more: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
    PUBLIC.iter().chain(more).copied().collect()
}

/// A request that a proxy passed on for this address.
fn asked_by(shop: &TestShop, address: &str, path: &str) -> reqwest::RequestBuilder {
    client().get(shop.url(path)).header("X-Forwarded-For", address)
}

async fn status_for(shop: &TestShop, address: &str, path: &str) -> StatusCode {
    Answer::to(asked_by(shop, address, path)).await.status
}

/// The number of seconds in `Retry-After`.
fn wait_of(answer: &Answer) -> u64 {
    let value = answer.headers.get(RETRY_AFTER).expect("who is refused is told when to come back");
    value.to_str().ok().and_then(|seconds| seconds.parse().ok()).expect("seconds")
}

/// `{server start}-{n}`.
fn n_of(id: &str) -> u64 {
    id.rsplit_once('-').and_then(|(_, n)| n.parse().ok()).expect("a number")
}

/// As many orders as asked for, several at a time, with notes of this length.
async fn flood(shop: &TestShop, count: usize, note_bytes: usize) {
    let mut making = JoinSet::new();
    for _ in 0..count {
        if making.len() == 16 {
            making.join_next().await.expect("some").expect("no panic");
        }
        let orders = shop.shop.orders().clone();
        let new = NewOrder { notes: Some("x".repeat(note_bytes)), ..new_order(None) };
        making.spawn(async move { orders.create(new).await.expect("an order") });
    }
    making.join_all().await;
}

/// Everything that comes until the server ends the connection.
async fn to_the_end(socket: &mut TcpStream) -> String {
    let (mut bytes, mut buffer) = (Vec::new(), vec![0; 64 << 10]);
    let reading = async {
        // Cut off is cut off, with or without a farewell.
        while let Ok(read @ 1..) = socket.read(&mut buffer).await {
            bytes.extend_from_slice(&buffer[..read]);
        }
    };
    tokio::time::timeout(PATIENCE, reading).await.expect("the server ends the connection");
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A connection on which the server answers.
async fn alive(address: SocketAddr) -> TcpStream {
    let mut socket = TcpStream::connect(address).await.expect("a connection");
    assert!(is_answered(&mut socket).await, "the server answers");
    socket
}

async fn is_answered(socket: &mut TcpStream) -> bool {
    if socket.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await.is_err() {
        return false;
    }
    let mut answer = Vec::new();
    while !answer.ends_with(b"ok\n") {
        match socket.read_u8().await {
            Ok(byte) => answer.push(byte),
            Err(_) => return false,
        }
    }
    answer.starts_with(b"HTTP/1.1 200 OK")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_feeds_get_every_event_in_order_and_without_a_gap() {
    const EVENTS: usize = 300;
    let shop = TestShop::open([]).await;
    let mut reading = JoinSet::new();
    for n in 0..100 {
        let path = if n % 2 == 0 { "/orders/events" } else { "/barista/events" };
        let mut feed = Feed::open(&shop.url(path), None).await;
        reading.spawn(async move {
            let mut seen: Vec<(u64, Value)> = Vec::new();
            while seen.len() < EVENTS {
                let (id, event) = feed.event().await;
                assert_eq!(event["type"], "order_created");
                assert_eq!(event.get("order").is_some(), path == "/barista/events");
                seen.push((n_of(&id), event["order_number"].clone()));
            }
            seen
        });
    }
    flood(&shop, EVENTS, 100).await;
    let all = tokio::time::timeout(PATIENCE, reading.join_all()).await.expect("every feed gets every event");
    for seen in &all {
        assert!(seen.windows(2).all(|pair| pair[0].0 + 1 == pair[1].0), "{seen:?}");
        assert_eq!(seen, &all[0], "all see the same");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_stalls_is_cut_off_and_misses_nothing_when_it_comes_back() {
    let one_feed = [("MAX_FEEDS", "1")];
    let shop = TestShop::open_adjusted(&one_feed, |app| app.bounded(|bounds| bounds.writing = Duration::from_secs(1)));
    let shop = shop.await;
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(8 << 10).expect("a small buffer");
    let mut stalled = socket.connect(shop.shop.address()).await.expect("a connection");
    let request = format!("GET /barista/events HTTP/1.1\r\nHost: {}\r\n\r\n", shop.shop.address());
    stalled.write_all(request.as_bytes()).await.expect("the server reads");
    let mut head = [0; 15];
    stalled.read_exact(&mut head).await.expect("an answer");
    assert_eq!(&head, b"HTTP/1.1 200 OK");

    // More than the server and both kernels keep for it.
    flood(&shop, 100, 32 << 10).await;
    let stalled_at = Instant::now();
    // It has the only place, until it is cut off.
    while Answer::head(client().get(shop.url("/barista/events"))).await.is_err() {
        assert!(stalled_at.elapsed() < Duration::from_secs(20), "who stalls is not cut off");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    let text = to_the_end(&mut stalled).await;
    let (whole, _) = text.rsplit_once("\n\n").expect("some whole events");
    let id = whole.lines().rev().find_map(|line| line.strip_prefix("id: ")).expect("the last one that it had");
    assert!(n_of(id) < 60, "so much is not kept for somebody who does not read: {id}");
    // Its place is free once the server has noticed that whoever had it is gone.
    let back = async || loop {
        let request = client().get(shop.url("/barista/events")).header("Last-Event-ID", id);
        if let Ok(response) = Answer::head(request).await {
            return response;
        }
    };
    let read = async |mut response: reqwest::Response, wanted: &str| {
        let mut text = String::new();
        let reading = async {
            while !text.contains(wanted) {
                let chunk = response.chunk().await.expect("the feed is whole").expect("the feed goes on");
                text += &String::from_utf8_lossy(&chunk);
            }
        };
        tokio::time::timeout(PATIENCE, reading).await.expect("the feed goes on");
        text
    };
    let start = id.rsplit_once('-').expect("two parts").0;
    let replayed = read(back().await, &format!("id: {start}-100\n")).await;
    let ids: Vec<u64> = replayed.lines().filter_map(|line| line.strip_prefix("id: ")).map(n_of).collect();
    assert_eq!(ids, (n_of(id) + 1..=100).collect::<Vec<u64>>());

    flood(&shop, 1_100, 10).await;
    let resynced = read(back().await, "resync").await;
    assert!(resynced.contains(&format!("id: {start}-1200\ndata: {{\"type\":\"resync\"}}")), "{resynced}");
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_have_to_come_in_time_and_feeds_may_be_quiet_for_longer() {
    let limit = Duration::from_millis(700);
    let shop = TestShop::open_adjusted(&[], |app| app.bounded(|bounds| bounds.headers = limit)).await;
    let address = shop.shop.address();
    let mut feed = Feed::open(&shop.url("/orders/events"), None).await;
    let began = Instant::now();
    // Nothing at all, half a request, one byte after the other, and a second request that does not come.
    for start in [&b""[..], b"GET /healthz HTTP/1.1\r\nHost: local"] {
        let mut socket = TcpStream::connect(address).await.expect("a connection");
        socket.write_all(start).await.expect("the server reads");
        assert_eq!(to_the_end(&mut socket).await, "");
    }
    let (mut reading, mut writing) = TcpStream::connect(address).await.expect("a connection").into_split();
    let trickle = async {
        while writing.write_all(b"G").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let mut nothing = Vec::new();
    tokio::select! {
        () = trickle => {}
        _ = reading.read_to_end(&mut nothing) => {}
    }
    assert!(began.elapsed() >= limit * 3, "{:?}", began.elapsed());
    let mut kept = alive(address).await;
    to_the_end(&mut kept).await;
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    let order = shop.place(None).await;
    assert_eq!(feed.event().await.1["order_number"], order.order_number.to_string());
}

/// The beginning of a sign-in: so much of its body, which is 17 bytes long.
async fn half_a_sign_in(address: SocketAddr, forwarded: &str, body: &str) -> TcpStream {
    let mut socket = TcpStream::connect(address).await.expect("a connection");
    let head = "POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n";
    let text = format!("{head}{forwarded}Content-Length: 17\r\n\r\n{body}");
    socket.write_all(text.as_bytes()).await.expect("the server reads");
    socket
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_has_to_come_in_time_however_it_trickles() {
    let limit = Duration::from_millis(700);
    let settings = [("STAFF_PASSWORD", "password")];
    let shop = TestShop::open_adjusted(&settings, |app| app.bounded(|bounds| bounds.body = limit)).await;
    let address = shop.shop.address();
    let mut feed = Feed::open(&shop.url("/orders/events"), None).await;
    let began = Instant::now();
    let mut quiet = half_a_sign_in(address, "", "pass").await;
    let (mut reading, mut writing) = half_a_sign_in(address, "", "").await.into_split();
    let trickle = async {
        for byte in "password=password".bytes() {
            if writing.write_all(&[byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(limit / 10).await;
        }
        std::future::pending::<()>().await;
    };
    let mut told = String::new();
    tokio::select! {
        () = trickle => {}
        _ = reading.read_to_string(&mut told) => {}
    }
    for text in [told, to_the_end(&mut quiet).await] {
        assert!(text.starts_with("HTTP/1.1 408 "), "{text}");
        assert!(text.contains("\"code\":\"REQUEST_TIMEOUT\""), "{text}");
    }
    assert!((limit..limit * 10).contains(&began.elapsed()), "{:?}", began.elapsed());
    // Who is only slow is served, on a connection that goes on, and a feed has no limit of that kind.
    let mut slow = half_a_sign_in(address, "", "password=").await;
    tokio::time::sleep(limit / 3).await;
    slow.write_all(b"password").await.expect("the server reads");
    slow.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.expect("it reads");
    let told = to_the_end(&mut slow).await;
    assert!(told.starts_with("HTTP/1.1 303 ") && told.ends_with("ok\n"), "{told}");
    let order = shop.place(None).await;
    assert_eq!(feed.event().await.1["order_number"], order.order_number.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_under_way_are_counted_by_address_and_feeds_are_not_among_them() {
    // Nobody of them is given up before all are there.
    let limit = 2 * PATIENCE;
    let settings = public(&[("REQUEST_RATE", "10000")]);
    let shop = TestShop::open_adjusted(&settings, |app| app.bounded(|bounds| bounds.body = limit)).await;
    let forwarded = format!("X-Forwarded-For: {ADA}\r\n");
    let mut feeds = Vec::new();
    for _ in 0..50 {
        feeds.push(Answer::head(asked_by(&shop, ADA, "/orders/events")).await.expect("there is room"));
    }
    let mut halves = Vec::new();
    for _ in 0..128 {
        halves.push(half_a_sign_in(shop.shop.address(), &forwarded, "password").await);
    }
    let full = async { while status_for(&shop, ADA, "/orders/board.json").await != 429 {} };
    tokio::time::timeout(PATIENCE, full).await.expect("so many are enough");
    let refused = Answer::to(asked_by(&shop, ADA, "/orders/board.json")).await;
    refused.assert_error(429, "RATE_LIMITED");
    assert_eq!(wait_of(&refused), 1);
    let signed = asked_by(&shop, ADA, "/voice").header(signature::HEADER, "made up");
    Answer::to(signed).await.assert_error(429, "RATE_LIMITED");
    assert_eq!(status_for(&shop, BOB, "/orders/board.json").await, 200);
    assert_eq!(status_for(&shop, ADA, "/healthz").await, 200);
    for half in &halves {
        assert_eq!(
            half.try_read(&mut [0]).map_err(|error| error.kind()),
            Err(ErrorKind::WouldBlock),
            "all had a place"
        );
    }
    drop(halves);
    let again = async { while status_for(&shop, ADA, "/orders/board.json").await != 200 {} };
    tokio::time::timeout(PATIENCE, again).await.expect("who goes makes room");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_waits_for_handlers_and_not_for_peers() {
    let shop = TestShop::open_with([], &[("STAFF_PASSWORD", "password")]).await;
    let address = shop.shop.address();
    let _feed = Feed::open(&shop.url("/orders/events"), None).await;
    let mut waited_for = vec![alive(address).await, half_a_sign_in(address, "", "password").await];
    for start in [&b""[..], b"GET /healthz HTTP/1.1\r\nHost: local"] {
        let mut socket = TcpStream::connect(address).await.expect("a connection");
        socket.write_all(start).await.expect("the server reads");
        waited_for.push(socket);
        let mut second = alive(address).await;
        second.write_all(start).await.expect("the server reads");
        waited_for.push(second);
    }
    // Two are checked at once, so some are not yet when the first is answered.
    let mut signing_in = Vec::new();
    for _ in 0..5 {
        signing_in.push(half_a_sign_in(address, "", "password=password").await);
    }
    signing_in[0].readable().await.expect("an answer");
    let began = Instant::now();
    let stopped = shop.stop().await;
    assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
    for socket in &mut waited_for {
        assert_eq!(to_the_end(socket).await, "", "nothing was asked");
    }
    let shop = stopped.open().await;
    for socket in &mut signing_in {
        let answer = to_the_end(socket).await;
        assert!(answer.starts_with("HTTP/1.1 303 "), "{answer}");
        let cookie = answer.lines().find_map(|line| line.strip_prefix("set-cookie: ")).expect("a cookie");
        let cookie = cookie.split(';').next().expect("a pair");
        let console = client().get(shop.url("/barista/console.json")).header("Cookie", cookie);
        assert_eq!(Answer::to(console).await.status, 200, "the sign-in was kept");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_counted_by_address_and_in_all() {
    let few = |app: bobarista::app::App| app.bounded(|bounds| (bounds.connections, bounds.connections_of_one) = (8, 3));
    // A stranger may have three; a proxy, and this machine on a local server, as many as there are.
    for (settings, most) in [(public(&[NO_PROXY]), 3), (public(&[]), 8), (Vec::new(), 8)] {
        let shop = TestShop::open_adjusted(&settings, few).await;
        let address = shop.shop.address();
        let mut held = Vec::new();
        for _ in 0..most {
            held.push(alive(address).await);
        }
        for _ in 0..5 {
            let mut one_too_many = TcpStream::connect(address).await.expect("the kernel takes it");
            assert!(!is_answered(&mut one_too_many).await, "{most} are allowed");
        }
        assert!(is_answered(&mut held[0]).await, "those that are there stay");
        held.pop();
        let again = async {
            loop {
                let mut socket = TcpStream::connect(address).await.expect("a connection");
                if is_answered(&mut socket).await {
                    return;
                }
            }
        };
        tokio::time::timeout(PATIENCE, again).await.expect("who leaves makes room");
    }
}

/// How many of these requests pass before one is refused, and the refusal.
async fn until_refused(most: usize, mut ask: impl FnMut() -> reqwest::RequestBuilder) -> (usize, Answer) {
    for passed in 0..most {
        let answer = Answer::to(ask()).await;
        if answer.status == StatusCode::TOO_MANY_REQUESTS {
            answer.assert_error(429, "RATE_LIMITED");
            return (passed, answer);
        }
    }
    panic!("{most} requests pass");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_address_behind_a_proxy_has_a_rate_of_its_own() {
    let shop = TestShop::open_with([], &public(&[("REQUEST_RATE", "1")])).await;
    let board = "/orders/board.json";
    let began = Instant::now();
    let (passed, refused) = until_refused(100, || asked_by(&shop, ADA, board)).await;
    let earned = began.elapsed().as_secs() as usize + 1;
    assert!((3..=3 + earned).contains(&passed), "{passed} in {:?}", began.elapsed());
    assert_eq!(wait_of(&refused), 1);
    // Whatever the client writes into the header itself.
    for forged in [format!("{BOB}, {ADA}"), format!("127.0.0.1,{ADA}:4711"), format!("nonsense, {ADA}, 127.0.0.1")] {
        until_refused(100, || asked_by(&shop, &forged, board)).await;
    }
    let twice = || asked_by(&shop, BOB, board).header("X-Forwarded-For", HeaderValue::from_static(ADA));
    until_refused(100, twice).await;
    for path in ["/orders.json", "/login", "/api/v1/menu", "/no/such/page"] {
        until_refused(100, || asked_by(&shop, ADA, path)).await;
    }
    for path in ["/", "/healthz", "/readyz", "/static/style.css"] {
        for _ in 0..20 {
            assert_eq!(status_for(&shop, ADA, path).await, 200, "{path}");
        }
    }
    assert_eq!(status_for(&shop, BOB, board).await, 200);
    // The next 64 bits are as easily had as the last.
    until_refused(100, || asked_by(&shop, "2001:db8::1", board)).await;
    until_refused(100, || asked_by(&shop, "2001:db8::ffff:2", board)).await;
    assert_eq!(status_for(&shop, "2001:db8:0:1::1", board).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_no_proxy_cannot_give_itself_another_address() {
    let shop = TestShop::open_with([], &public(&[NO_PROXY, ("REQUEST_RATE", "1")])).await;
    let mut n = 0;
    let (passed, _) = until_refused(100, || {
        n += 1;
        asked_by(&shop, &format!("198.51.100.{n}"), "/orders/board.json")
    })
    .await;
    assert!(passed < 50, "{passed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_local_server_does_not_limit_its_own_machine() {
    let shop = TestShop::open_with([], &[("REQUEST_RATE", "1"), ("API_KEY", KEY), ("STAFF_PASSWORD", "p")]).await;
    let mut feeds = Vec::new();
    for _ in 0..60 {
        assert_eq!(shop.get("/orders/board.json").await.status, 200);
        let wrong = client().get(shop.url("/api/v1/menu")).bearer_auth("wrong");
        Answer::to(wrong).await.assert_error(401, "UNAUTHENTICATED");
        feeds.push(Feed::open(&shop.url("/orders/events"), None).await);
    }
    Answer::to(asked_by(&shop, ADA, "/orders/board.json")).await.assert_error(421, "MISDIRECTED_REQUEST");
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_the_key_soon_ends_and_stops_nobody_else() {
    let shop = TestShop::open_with([], &PUBLIC).await;
    let mut n = 0;
    let (passed, refused) = until_refused(40, || {
        n += 1;
        asked_by(&shop, ADA, "/api/v1/menu").bearer_auth(format!("guess {n}"))
    })
    .await;
    assert!((10..20).contains(&passed), "{passed}");
    assert!((1..=6).contains(&wait_of(&refused)), "{}", wait_of(&refused));
    let right = Answer::to(asked_by(&shop, ADA, "/api/v1/menu").bearer_auth(KEY)).await;
    right.assert_error(429, "RATE_LIMITED");
    assert_eq!(Answer::to(asked_by(&shop, BOB, "/api/v1/menu").bearer_auth(KEY)).await.status, 200);
    // Who shows no key guesses none.
    for _ in 0..20 {
        Answer::to(asked_by(&shop, ADA, "/api/v1/menu")).await.assert_error(401, "UNAUTHENTICATED");
        assert_eq!(status_for(&shop, ADA, "/orders/board.json").await, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn twilios_doors_are_limited_for_everybody_but_twilio() {
    let shop = TestShop::open_with([], &PUBLIC).await;
    let form = vec![("CallSid".to_owned(), "CA1".to_owned())];
    let post = |address: &str, signed: Option<&str>| {
        let request = client().post(shop.url("/voice")).header("X-Forwarded-For", address).form(&form);
        match signed {
            Some(signed) => request.header(signature::HEADER, signed),
            None => request,
        }
    };
    let (passed, _) = until_refused(200, || post(ADA, None)).await;
    assert!((60..120).contains(&passed), "{passed}");
    let (passed, _) = until_refused(200, || post(BOB, Some("wrong"))).await;
    assert!((60..120).contains(&passed), "{passed}");
    let right = signature::sign(TOKEN, "https://voice.example.com/voice", &form);
    for _ in 0..100 {
        for address in [ADA, BOB] {
            assert_eq!(Answer::to(post(address, Some(&right))).await.status, 200);
        }
    }
    assert_eq!(Answer::to(post("198.51.100.3", None)).await.status, 403);
    assert_eq!(
        status_for(&shop, ADA, "/orders/board.json").await,
        200,
        "who shares its address can still use the rest"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_made_up_signature_opens_nothing_and_no_body_is_awaited_without_one() {
    let shop = TestShop::open_with([], &PUBLIC).await;
    let as_if_signed = |method: Method, address: &str, path: &str| {
        let request = client().request(method, shop.url(path)).header("X-Forwarded-For", address);
        request.header(signature::HEADER, "made up").header("Content-Type", "text/plain")
    };
    for (method, address, path) in [
        (Method::POST, "198.51.100.3", "/voice"),
        (Method::POST, "198.51.100.4", "/sms/status"),
        (Method::GET, "198.51.100.5", "/voice"),
        (Method::GET, "198.51.100.6", "/twilio"),
        (Method::GET, "198.51.100.7", "/voice/no/such/page"),
    ] {
        let (passed, _) = until_refused(200, || as_if_signed(method.clone(), address, path)).await;
        assert!((60..120).contains(&passed), "{passed} of {method} {path}");
        // The meter is one for all doors, and who shows no signature is not even read.
        let unsigned = || client().post(shop.url("/voice")).header("X-Forwarded-For", address);
        let (passed, _) = until_refused(60, unsigned).await;
        assert!(passed < 30, "{passed} more, though only time gives any back");
    }
    for address in ["198.51.100.3", "198.51.100.8"] {
        // One has used up what it may, but for what time has given back; the other has not.
        let mut socket = TcpStream::connect(shop.shop.address()).await.expect("a connection");
        let text = format!(
            "POST /voice HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: {address}\r\nContent-Length: 60000\r\n\r\nCallSid="
        );
        let began = Instant::now();
        socket.write_all(text.as_bytes()).await.expect("the server reads");
        let told = to_the_end(&mut socket).await;
        assert!(told.starts_with("HTTP/1.1 403 ") || told.starts_with("HTTP/1.1 429 "), "{told}");
        assert!(began.elapsed() < Duration::from_secs(5), "the body was awaited for {:?}", began.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_that_do_not_begin_are_counted_and_keep_twilio_from_nothing() {
    let shop = TestShop::open_with([], &PUBLIC).await;
    let dial = async |address: &'static str, signed: bool| {
        let url = format!("ws://{}/twilio", shop.shop.address());
        let mut request = url.into_client_request().expect("a request");
        request.headers_mut().insert("X-Forwarded-For", HeaderValue::from_static(address));
        if signed {
            let right = signature::sign(TOKEN, "wss://voice.example.com/twilio", &[]);
            request.headers_mut().insert(signature::HEADER, right.parse().expect("a header"));
        }
        match tokio_tungstenite::connect_async(request).await {
            Ok((socket, _)) => Ok(socket),
            Err(tokio_tungstenite::tungstenite::Error::Http(answer)) => Err(answer.status()),
            Err(other) => panic!("{other}"),
        }
    };
    let mut held = Vec::new();
    for _ in 0..64 {
        held.push(dial(ADA, false).await.expect("there is room"));
    }
    assert_eq!(dial(ADA, false).await.err(), Some(StatusCode::SERVICE_UNAVAILABLE));
    assert!(dial(BOB, false).await.is_ok());
    let _twilios = dial(ADA, true).await.expect("Twilio is always let in");
    held.clear();
    let again = async { while dial(ADA, false).await.is_err() {} };
    tokio::time::timeout(PATIENCE, again).await.expect("who leaves makes room");
}

#[tokio::test(flavor = "multi_thread")]
async fn feeds_are_counted_by_address_and_in_all_and_some_are_kept_for_staff() {
    let shop = TestShop::open_with([], &public(&[("MAX_FEEDS", "100")])).await;
    let feed = async |address: &str| Answer::head(asked_by(&shop, address, "/orders/events")).await;
    let mut held = Vec::new();
    for _ in 0..50 {
        held.push(feed(ADA).await.expect("there is room"));
    }
    let refused = feed(ADA).await.expect_err("one may not have more");
    refused.assert_error(429, "RATE_LIMITED");
    assert!(wait_of(&refused) > 0);
    for _ in 0..40 {
        held.push(feed(BOB).await.expect("there is room"));
    }
    let refused = feed("198.51.100.3").await.expect_err("all are taken");
    refused.assert_error(503, "UNAVAILABLE");
    assert!(wait_of(&refused) > 0);
    let staff = asked_by(&shop, ADA, "/barista/events").bearer_auth(KEY);
    held.push(Answer::head(staff).await.expect("a place was kept, whatever guests at the shop's address open"));
    // Of the places that are left ten are not for strangers.
    held.drain(..2);
    let again = async { while feed(ADA).await.is_err() {} };
    tokio::time::timeout(PATIENCE, again).await.expect("who leaves makes room");
}
