//! What live feeds cost and how late they are: 500 open feeds and 50 orders a second against the real server in a process of
//! its own, beside a bare loop, also in a process of its own, that writes the same bytes to as many sockets.
//!
//! `cargo bench --bench feeds [-- --feeds 500 --rate 50 --seconds 20]`. Every feed has to get every event, in order; a gap
//! stops the run. Without `--bench` (under `cargo test`) a few feeds show that it all works.

#[path = "feeds/process.rs"]
mod process;

use process::Child;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;
use tokio::task::JoinSet;

struct Options {
    feeds: usize,
    rate: u32,
    seconds: u32,
}

/// What one side did.
struct Figures {
    /// Sorted, of every event on every feed, from the request to make the order to its event.
    delays: Vec<Duration>,
    kib_before: f64,
    kib_after: f64,
    /// Of one core, while orders were made.
    cpu_percent: f64,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    if arguments.iter().any(|argument| argument == "--bare") {
        runtime.block_on(bare());
        return;
    }
    let measured = arguments.iter().any(|argument| argument == "--bench");
    let number = |name: &str, default: u32| {
        let at = arguments.iter().position(|argument| argument == name);
        at.map_or(default, |at| arguments[at + 1].parse().expect("a number"))
    };
    let options = Options {
        feeds: number("--feeds", if measured { 500 } else { 10 }) as usize,
        rate: number("--rate", if measured { 50 } else { 20 }),
        seconds: number("--seconds", if measured { 20 } else { 1 }),
    };
    runtime.block_on(compare(&options));
}

async fn compare(options: &Options) {
    let Options { feeds, rate, seconds } = options;
    println!(
        "{feeds} feeds, {rate} orders a second for {seconds} s; delays in ms, from before the request to its event"
    );
    println!("{:<8} {:>8} {:>8} {:>8} {:>7} {:>14}", "", "p50", "p99", "max", "CPU %", "resident KiB");
    let this = std::env::current_exe().expect("this program");
    let mut child = Child::start(&this, &["--bare"], &[]);
    let address = child.first_line().parse().expect("it says where it listens");
    let bare = measure(&child, address, options).await;
    tell("bare", &bare);
    drop(child);

    let (address, orders) = (process::free_port(), tempfile::tempdir().expect("a temporary folder"));
    let settings = [
        ("DEEPGRAM_API_KEY", "bench"),
        ("BIND_ADDR", &address.to_string()),
        ("ORDERS_DIR", orders.path().to_str().expect("a path in UTF-8")),
        ("MAX_FEEDS", "10000"),
        ("LOG_LEVEL", "error"),
    ];
    let child = Child::start(std::path::Path::new(env!("CARGO_BIN_EXE_bobarista")), &[], &settings);
    process::wait_for(address).await;
    let ours = measure(&child, address, options).await;
    tell("ours", &ours);
    println!(
        "ours to bare: p99 {:.2}, CPU {:.2}",
        ours.percentile(99).as_secs_f64() / bare.percentile(99).as_secs_f64(),
        ours.cpu_percent / bare.cpu_percent
    );
}

fn tell(name: &str, figures: &Figures) {
    let ms = |delay: Duration| delay.as_secs_f64() * 1e3;
    println!(
        "{name:<8} {:>8.2} {:>8.2} {:>8.2} {:>7.1} {:>6.0} → {:<6.0}",
        ms(figures.percentile(50)),
        ms(figures.percentile(99)),
        ms(figures.percentile(100)),
        figures.cpu_percent,
        figures.kib_before,
        figures.kib_after
    );
}

impl Figures {
    fn percentile(&self, percent: usize) -> Duration {
        self.delays[(self.delays.len() * percent / 100).min(self.delays.len() - 1)]
    }
}

/// When each order was asked for: the n-th is found in the n-th event.
type Asked = Arc<Mutex<Vec<Instant>>>;

async fn measure(child: &Child, address: SocketAddr, options: &Options) -> Figures {
    let asked = Asked::default();
    let events = (options.rate * options.seconds) as usize;
    let mut reading = JoinSet::new();
    let kib_before = child.settled_kib().await;
    for n in 0..options.feeds {
        let path = if n % 2 == 0 { "/orders/events" } else { "/barista/events" };
        let mut socket = TcpStream::connect(address).await.expect("a connection");
        let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n");
        socket.write_all(request.as_bytes()).await.expect("it reads");
        let mut unread = Vec::new();
        while !contains(&unread, b": connected") {
            assert_ne!(socket.read_buf(&mut unread).await.expect("it answers"), 0, "the feed is refused");
        }
        reading.spawn(read(socket, unread, Arc::clone(&asked), events));
    }
    let (began, cpu) = (Instant::now(), child.cpu_ms());
    order(address, &asked, options.rate, events).await;
    let delays = tokio::time::timeout(Duration::from_secs(60), reading.join_all()).await;
    let mut delays = delays.expect("every feed gets every event").concat();
    let cpu_percent = (child.cpu_ms() - cpu) / began.elapsed().as_secs_f64() / 10.0;
    delays.sort_unstable();
    Figures { delays, kib_before, kib_after: child.resident_kib(), cpu_percent }
}

/// Asks for orders one after the other at an even rate, so that the n-th event is the n-th order's.
async fn order(address: SocketAddr, asked: &Asked, rate: u32, count: usize) {
    let body = r#"{"items":[{"flavor":"taro milk tea"}],"allow_duplicate":true}"#;
    let mut socket = TcpStream::connect(address).await.expect("a connection");
    socket.set_nodelay(true).expect("an option of the socket");
    let request = format!(
        "POST /api/v1/orders HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / rate);
    let mut answer = vec![0; 16 << 10];
    for _ in 0..count {
        ticks.tick().await;
        asked.lock().unwrap_or_else(PoisonError::into_inner).push(Instant::now());
        socket.write_all(request.as_bytes()).await.expect("it reads");
        // Headers and body come in one write.
        let read = socket.read(&mut answer).await.expect("it answers");
        assert!(answer.starts_with(b"HTTP/1.1 201"), "{}", String::from_utf8_lossy(&answer[..read]));
    }
}

/// Reads all events of one feed; a gap or a wrong sequence stops the run.
async fn read(mut socket: TcpStream, mut unread: Vec<u8>, asked: Asked, events: usize) -> Vec<Duration> {
    let (mut delays, mut last) = (Vec::with_capacity(events), None);
    loop {
        while let Some(end) = unread.windows(2).position(|pair| pair == b"\n\n") {
            let now = Instant::now();
            let block = String::from_utf8_lossy(&unread[..end]).into_owned();
            unread.drain(..end + 2);
            let Some(id) = block.lines().find_map(|line| line.strip_prefix("id: ")) else { continue };
            assert!(block.contains(r#""type":"order_created""#), "{block}");
            let n: u64 = id.rsplit_once('-').and_then(|(_, n)| n.parse().ok()).expect("an id");
            assert!(last.is_none_or(|last| n == last + 1), "{n} after {last:?}");
            last = Some(n);
            delays.push(now - asked.lock().unwrap_or_else(PoisonError::into_inner)[delays.len()]);
            if delays.len() == events {
                return delays;
            }
        }
        assert_ne!(socket.read_buf(&mut unread).await.expect("the feed is whole"), 0, "the feed goes on");
    }
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

/// The yardstick: what is posted is an event to whoever asked for one, and nothing is checked, saved or rendered.
async fn bare() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    println!("{}", listener.local_addr().expect("an address"));
    let (publish, _) = broadcast::channel::<Arc<[u8]>>(1024);
    loop {
        let (socket, _) = listener.accept().await.expect("a connection");
        tokio::spawn(bare_connection(socket, publish.clone()));
    }
}

async fn bare_connection(mut socket: TcpStream, publish: broadcast::Sender<Arc<[u8]>>) {
    let _ = socket.set_nodelay(true);
    let mut buffer = vec![0; 4096];
    let mut n = 0_u64;
    while let Ok(read @ 1..) = socket.read(&mut buffer).await {
        if buffer.starts_with(b"POST") {
            n += 1;
            // As long as an order on the staff's feed.
            let event =
                format!("id: 1-{n}\ndata: {{\"type\":\"order_created\",\"order\":\"{}\"}}\n\n", "x".repeat(800));
            let _ = publish.send(event.into_bytes().into());
            let _ = socket.write_all(b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}").await;
        } else if buffer[..read].starts_with(b"GET") {
            let mut events = publish.subscribe();
            let head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n: connected\n\n";
            let mut going = socket.write_all(head).await;
            while going.is_ok() {
                let Ok(event) = events.recv().await else { return };
                going = socket.write_all(&event).await;
            }
            return;
        }
    }
}
