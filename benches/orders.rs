//! What keeping orders costs: durable orders a second beside a bare write-and-fsync loop on the same disk in the same run,
//! finding orders among few and among many, and opening a store that holds many.
//!
//! `cargo bench --bench orders [-- --many 100000 --seconds 4 --dir DIR]`

use std::fs::{self, File};
use std::hint::black_box;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bobarista::config::{DynamodbConfig, OrdersConfig, StoreKind};
use bobarista::events::EventLog;
use bobarista::order_service::{Clock, NewOrder, OrderService, Origin, Owes, Query, Record, Rules, TextPolicy};
use bobarista::ordering::menu::{Asked, Menu, Said};
use bobarista::ordering::order::{Channel, HistoryEntry, Item, Order, OrderId, OrderNumber, total};
use bobarista::ordering::phone_number::{PhoneNumber, Region};
use bobarista::ordering::status::OrderStatus;
use bobarista::shop::Shop;
use bobarista::store::{self, Access, Store};
use jiff::{SignedDuration, Timestamp};
use tokio_util::task::TaskTracker;

const WRITERS: usize = 64;
const FEW: usize = 10;
/// Look-ups timed; the median counts.
const LOOK_UPS: usize = 301;

fn main() {
    let options = Options::read();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let folder = tempfile::Builder::new().prefix("bench-orders-").tempdir_in(&options.dir).expect("a folder");
        println!("durable orders a second, {WRITERS} writers at once, in {}\n", options.dir.display());
        println!("{:<10} {:>12} {:>16} {:>8}", "store", "orders/s", "bare loop/s", "ratio");
        for kind in kinds() {
            let (rate, bare) = commits(kind, folder.path(), &options).await;
            println!("{:<10} {rate:>12.0} {bare:>16.0} {:>8.2}", kind.as_str(), rate / bare);
        }
        println!("\nfinding orders, microseconds (median), among {FEW} and among many\n");
        println!("{:<10} {:<28} {:>10} {:>10} {:>8}", "store", "", "few", "many", "ratio");
        for kind in kinds() {
            // What asks over a network is filled more slowly; a tenth will do to see whether it is flat.
            let many = if kind == StoreKind::Dynamodb { options.many / 10 } else { options.many };
            find(kind, folder.path(), many).await;
        }
    });
}

/// DynamoDB only where a build has it and an endpoint is named: nobody's account is billed for a benchmark.
fn kinds() -> Vec<StoreKind> {
    let mut kinds = vec![StoreKind::Json, StoreKind::Sqlite];
    if cfg!(feature = "dynamodb") && std::env::var_os("AWS_ENDPOINT_URL").is_some() {
        kinds.push(StoreKind::Dynamodb);
    }
    kinds
}

struct Options {
    /// The writing is measured so often, each time between two runs of the bare loop; the best ratio counts, as other
    /// work on the disk can only spoil it.
    rounds: usize,
    many: usize,
    seconds: f64,
    dir: PathBuf,
}

impl Options {
    fn read() -> Self {
        let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
        // Cargo itself adds `--bench` when it is to be measured; without, it is a test that all of it still works.
        let measured = std::env::args().any(|word| word == "--bench");
        let mut options = match measured {
            true => Self { rounds: 3, many: 100_000, seconds: 4.0, dir },
            false => Self { rounds: 1, many: 50, seconds: 0.1, dir },
        };
        let mut words = std::env::args().skip(1).filter(|word| word != "--bench");
        while let Some(word) = words.next() {
            let value = words.next().unwrap_or_else(|| panic!("{word} needs a value"));
            match word.as_str() {
                "--many" => options.many = value.parse().expect("a number"),
                "--seconds" => options.seconds = value.parse().expect("a number"),
                "--dir" => options.dir = value.into(),
                other => panic!("{other} is no option; there are --many, --seconds and --dir"),
            }
        }
        options
    }
}

/// Orders a second through the order service, and files a second of the bare loop around it.
async fn commits(kind: StoreKind, folder: &Path, options: &Options) -> (f64, f64) {
    let seconds = options.seconds;
    let mut best: Option<(f64, f64)> = None;
    for round in 0..options.rounds {
        let dir = folder.join(format!("commits-{}-{round}", kind.as_str()));
        let store = open(kind, &dir).await;
        let sample = serde_json::to_vec_pretty(&record(1)).expect("JSON");
        let before = bare_loop(&dir, &sample, seconds / 2.0);
        let rate = write(store, seconds).await;
        let after = bare_loop(&dir, &sample, seconds / 2.0);
        let bare = f64::midpoint(before, after);
        if best.is_none_or(|(rate_so_far, bare_so_far)| rate / bare > rate_so_far / bare_so_far) {
            best = Some((rate, bare));
        }
        fs::remove_dir_all(&dir).expect("removable");
    }
    best.expect("at least one round")
}

/// One thread that writes files as large as an order's and syncs each, and nothing else.
fn bare_loop(dir: &Path, bytes: &[u8], seconds: f64) -> f64 {
    let dir = dir.join("bare");
    fs::create_dir_all(&dir).expect("a folder");
    let (start, mut files) = (Instant::now(), 0_u32);
    while start.elapsed().as_secs_f64() < seconds {
        let mut file = File::create(dir.join(files.to_string())).expect("a file");
        file.write_all(bytes).expect("written");
        file.sync_all().expect("synced");
        files += 1;
    }
    let rate = f64::from(files) / start.elapsed().as_secs_f64();
    fs::remove_dir_all(&dir).expect("removable");
    rate
}

async fn write(store: Arc<dyn Store>, seconds: f64) -> f64 {
    let orders = service(store);
    let made = Arc::new(AtomicU64::new(0));
    let (start, end) = (Instant::now(), Duration::from_secs_f64(seconds));
    let writers = (0..WRITERS).map(|writer| {
        let (orders, made) = (orders.clone(), Arc::clone(&made));
        tokio::spawn(async move {
            let mut n = 0;
            while start.elapsed() < end {
                n += 1;
                let customer = format!("customer-{writer}-{n}");
                let new = NewOrder { customer_id: Some(customer), name: Some("Ada".to_owned()), ..new_order() };
                orders.create(new).await.expect("an order");
                made.fetch_add(1, Ordering::Relaxed);
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.expect("no panic");
    }
    made.load(Ordering::Relaxed) as f64 / start.elapsed().as_secs_f64()
}

async fn find(kind: StoreKind, folder: &Path, many: usize) {
    let dir = folder.join(format!("find-{}", kind.as_str()));
    let few = times(&*filled(open(kind, &dir.join("few")).await, FEW).await, FEW).await;
    let start = Instant::now();
    let store = filled(open(kind, &dir.join("many")).await, many).await;
    let filled_in = start.elapsed();
    let among_many = times(&*store, many).await;
    for ((name, few), (_, many)) in few.iter().zip(&among_many) {
        println!("{:<10} {name:<28} {few:>10.1} {many:>10.1} {:>8.1}", kind.as_str(), many / few);
    }
    drop(store);
    let start = Instant::now();
    let store = open(kind, &dir.join("many")).await;
    let opened = start.elapsed().as_secs_f64();
    let taken_over = filled_in.as_secs_f64();
    println!(
        "{:<10} opened with {many} orders in {opened:.2} s (taken over one by one in {taken_over:.0} s)\n",
        kind.as_str()
    );
    drop(store);
    fs::remove_dir_all(&dir).expect("removable");
}

/// What is looked up, and the median time in microseconds.
async fn times(store: &dyn Store, orders: usize) -> Vec<(&'static str, f64)> {
    let middle = record(orders / 2);
    let newest = Query { limit: 50, ..Query::default() };
    let customer = Query { customer_id: middle.order.customer_id.clone(), ..newest.clone() };
    let phone = Query { phone: middle.order.phone.clone(), ..newest.clone() };
    let cursor = Query { after: Some(middle.place()), limit: 5, ..Query::default() };
    let completed = Query { statuses: vec![OrderStatus::Completed], limit: 5, ..Query::default() };
    let ten = Query { limit: 10, ..Query::default() };
    vec![
        ("an order by id", median(async || drop(black_box(store.by_id(&middle.order.order_id).await))).await),
        (
            "an order by number",
            median(async || drop(black_box(store.by_number(middle.order.order_number).await))).await,
        ),
        ("a phone's orders", median(async || drop(black_box(store.list(&phone).await))).await),
        ("a customer's orders", median(async || drop(black_box(store.list(&customer).await))).await),
        ("the newest 10", median(async || drop(black_box(store.list(&ten).await))).await),
        ("the newest 5 completed", median(async || drop(black_box(store.list(&completed).await))).await),
        ("5 from the middle on", median(async || drop(black_box(store.list(&cursor).await))).await),
    ]
}

async fn median(look_up: impl AsyncFn()) -> f64 {
    let mut times = Vec::with_capacity(LOOK_UPS);
    for _ in 0..LOOK_UPS {
        let start = Instant::now();
        look_up().await;
        times.push(start.elapsed());
    }
    times.sort();
    times[LOOK_UPS / 2].as_secs_f64() * 1e6
}

async fn filled(store: Arc<dyn Store>, orders: usize) -> Arc<dyn Store> {
    let writers = (0..WRITERS).map(|writer| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            for n in (writer..orders).step_by(WRITERS) {
                store.import(&record(n)).await.expect("an order");
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.expect("no panic");
    }
    store
}

async fn open(kind: StoreKind, dir: &Path) -> Arc<dyn Store> {
    fs::create_dir_all(dir).expect("a folder");
    // A table of its own, as each of the others has a folder.
    let table = dir.to_string_lossy().chars().rev().take(200).filter(char::is_ascii_alphanumeric).collect();
    let dynamodb = DynamodbConfig {
        table,
        region: Some("us-east-1".to_owned()),
        endpoint: std::env::var("AWS_ENDPOINT_URL").ok(),
    };
    let config = OrdersConfig { kind, dynamodb, ..OrdersConfig::json(dir) };
    #[cfg(feature = "dynamodb")]
    if kind == StoreKind::Dynamodb {
        let billing = store::dynamodb::Billing::OnDemand;
        store::dynamodb::create_table(&config.dynamodb, billing).await.expect("a table");
    }
    store::open(&config, "main", Access::Write).await.expect("a store")
}

fn service(store: Arc<dyn Store>) -> OrderService {
    let events = EventLog::new(Timestamp::now());
    let rules = Rules {
        shop_id: "main".to_owned(),
        drinks_per_order: 10,
        active_drinks_per_phone: None,
        ready_for: SignedDuration::from_hours(12),
        demo: false,
        through_pos: false,
    };
    let texts = TextPolicy { enabled: false, countries: Vec::new(), shop_name: "Boba".to_owned() };
    let owes = Owes { texts, sheet: false, webhook: false };
    let menu = Arc::new(Menu::builtin("boba").expect("built in"));
    let shop = Shop::new(menu, true, events.clone());
    OrderService::new(store, events, shop, rules, owes, Clock::system(), TaskTracker::new())
}

fn new_order() -> NewOrder {
    NewOrder::new(Channel::Api, items(), Origin { by: "api", correlation_id: None })
}

fn items() -> Vec<Item> {
    let menu = Menu::builtin("boba").expect("built in");
    let said = |words: &str| Said::One(words.to_owned());
    let fields =
        vec![("flavor".to_owned(), said("taro")), ("toppings".to_owned(), Said::Many(vec!["boba".to_owned()]))];
    vec![menu.item(&Asked { fields, quantity: Some(1), note: None }).expect("on the menu")]
}

/// The nth order of a shop that has made three in the last ten minutes; the others are completed.
fn record(n: usize) -> Record {
    let first = Timestamp::from_second(1_700_000_000).expect("a valid instant");
    let at = first + SignedDuration::from_secs(200 * n as i64);
    let items = items();
    let number = 1000 + (n % 9000) as u32;
    let phone = PhoneNumber::parse(&format!("+1555{:07}", n / 5), Region::US).expect("a phone number");
    let status = if n % 10_000 > 9_900 || n < FEW / 2 { OrderStatus::Received } else { OrderStatus::Completed };
    Record::new(Order {
        order_id: OrderId::numbered("main", n as u64 + 1),
        order_number: OrderNumber::new(number).expect("an order number"),
        shop_id: "main".to_owned(),
        channel: Channel::Phone,
        status,
        version: 1,
        name: Some(format!("Ada {n}")),
        customer_id: Some(phone.as_e164().to_owned()),
        phone: Some(phone),
        notes: None,
        total: total(&items),
        items,
        call_sid: Some(format!("CA{n:032x}")),
        estimated_ready_time: Some(at),
        pickup_at: None,
        metadata: serde_json::Map::new(),
        created_at: at,
        updated_at: at,
        history: vec![HistoryEntry { status, at, by: "phone".to_owned() }],
    })
}
