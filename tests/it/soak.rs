//! Many calls, one after and beside the other, of random length and with faults: nothing of them may stay but their orders.
//!
//! `MALLOC_ARENA_MAX=1 SOAK_SECONDS=1200 cargo test --locked --test it soak:: -- --nocapture` is the long mode; `SOAK_SEED` repeats one. Resident
//! memory is this process's, simulators included, so nothing else may run in it: the test has a stage of its own.

use crate::harness::{PATIENCE, SPEED, TestShop, script};
use crate::random::{Random, number, seed};
use bobarista::app::Mode;
use bobarista::ordering::order::OrderNumber;
use bobarista::simulator::{CallerOptions, ClosedBy, Event, Observer, Script, SimulatedCaller, What};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::unbounded_channel;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How often callers ring, with 200 calls a minute in mind. At eight times the speed of life a call takes about three seconds.
const CALLS_A_SECOND: f64 = 200.0 / 60.0;
/// Calls before the first measurement: allocators, caches, pools and threads are what they are going to be.
const WARM_UP: usize = 40;
/// What memory may grow by beside the orders: an allocator gives back what it likes.
const SLACK_KIB: u64 = 12 << 10;
/// What an order takes in the index, and the file system's names in the store, at most.
const ORDER_KIB: u64 = 8;
/// Descriptors and tasks that may come and go by themselves.
const SLACK_FILES: usize = 4;
const SLACK_TASKS: usize = 4;
/// How often the store is away for a second.
const AWAY_EVERY: Duration = Duration::from_secs(9);
/// The longest call, in call time.
const LONGEST: Duration = Duration::from_secs(45);

/// All that there is of a process to leak.
#[derive(Debug, Clone, Copy)]
struct Footprint {
    resident_kib: u64,
    files: usize,
    tasks: usize,
}

impl Footprint {
    fn now() -> Self {
        let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells");
        let resident =
            status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse().ok());
        Self {
            resident_kib: resident.expect("a process has memory"),
            files: std::fs::read_dir("/proc/self/fd").expect("Linux tells").count(),
            tasks: tokio::runtime::Handle::current().metrics().num_alive_tasks(),
        }
    }

    /// Whether no more is open than `before`.
    fn is_closed(&self, before: &Self) -> bool {
        self.files <= before.files + SLACK_FILES && self.tasks <= before.tasks + SLACK_TASKS
    }
}

/// What the agent has been told, over all calls.
#[derive(Default)]
struct Ledger {
    /// Conversations that asked for a checkout.
    asked: HashSet<String>,
    /// Order numbers that were told, and in which conversations.
    told: HashMap<OrderNumber, HashSet<String>>,
    surprises: Vec<Event>,
}

impl Ledger {
    fn note(&mut self, event: Event) {
        match &event.what {
            What::ToolCalled { name, .. } if name == "checkout_order" => drop(self.asked.insert(event.call)),
            What::ToolAnswered { name, content, .. } if name == "checkout_order" => {
                let answer: Value = serde_json::from_str(content).expect("answers are JSON");
                let number = answer["order_number"].as_str().filter(|_| answer["ok"] == true);
                if let Some(number) = number.and_then(|number| number.parse().ok()) {
                    self.told.entry(number).or_default().insert(event.call);
                }
            }
            // It was on its way already.
            What::Surprise(what) if what.contains("which was cancelled") => {}
            What::Surprise(_) if self.surprises.len() < 20 => self.surprises.push(event),
            _ => {}
        }
    }
}

/// What agents do. Their callers all say the same, so that any of them can follow any script, as after a redial.
fn scripts() -> Vec<Script> {
    let taro = r#"{ tools = [{ name = "add_to_cart", arguments = { flavor = "taro milk tea" } }] }"#;
    let yes = r#"{ agent = "Right?" }, { caller = "Yes." }"#;
    let confirm = r#"{ tools = [{ name = "confirm_pending_to_cart" }, { name = "save_phone_number" }] }"#;
    let checkout = r#"{ tools = [{ name = "checkout_order" }] }"#;
    // Without the number: the simulated agent keeps the sound of every sentence, which would be each call's own.
    let goodbye = r#"{ agent = "You can pick it up in a few minutes. Goodbye!" }"#;
    let ordered = format!("{taro}, {yes}, {confirm}, {checkout}");
    let fault = |fault: &str| format!("{{ fault = \"{fault}\" }}");
    let mut all = Vec::new();
    let mut play = |name: &str, behaviour: &str, steps: &str| {
        let text = format!("name = \"{name}\"\n{behaviour}\nstep = [{{ caller = \"Taro tea.\" }}, {steps}]");
        all.push(script(&text));
    };
    for _ in 0..4 {
        play("order", "", &format!("{ordered}, {goodbye}"));
    }
    play("repeated", "", &format!("{ordered}, {checkout}, {checkout}, {goodbye}"));
    // A save takes some milliseconds: some of these come in time, and some too late.
    for ms in [0, 8, 40] {
        let cancelled = format!("{{ tools = [{{ name = \"checkout_order\" }}], cancel_after_ms = {ms} }}");
        play("cancelled checkout", "", &format!("{taro}, {yes}, {confirm}, {cancelled}, {checkout}, {goodbye}"));
        let unwanted = taro.replace("}] }", &format!("}}], cancel_after_ms = {ms} }}"));
        play(
            "cancelled drink",
            "",
            &format!("{unwanted}, {taro}, {yes}, {confirm}, {checkout}, {{ agent = \"Goodbye!\" }}"),
        );
    }
    for name in ["error", "close", "go_away", "half_frame", "silence", "deaf"] {
        play(name, "", &format!("{taro}, {}", fault(name)));
        play("after the order", "", &format!("{ordered}, {}", fault(name)));
    }
    let garbage = fault("garbage");
    play("garbage", "", &format!("{garbage}, {taro}, {garbage}, {yes}, {confirm}, {checkout}, {goodbye}"));
    play("flood", "", &format!("{}, {ordered}, {goodbye}", fault("flood")));
    play("unknown", "", &format!("{}, {ordered}, {goodbye}", fault("unknown_message")));
    for how in ["refuse", "never_welcome", "never_apply"] {
        play(how, &format!("behaviour = {{ connect = \"{how}\" }}"), "{ agent = \"Hello?\" }");
    }
    play(
        "late audio",
        "behaviour = { late_audio_ms = 400, audio_done_after_interruption = false }",
        &format!(
            "{{ agent = \"Let me tell you about everything that we have today and yesterday.\" }}, \
         {{ caller = \"Stop.\", interrupt_after_ms = 400 }}, {ordered}, {goodbye}"
        ),
    );
    all
}

/// Callers who say something so many times, whenever the agent has said something, and then only listen. Who talks on talks
/// into the goodbye, too. On every third line something goes wrong, before or after they have said yes.
fn callers() -> Vec<Script> {
    let exchange = r#"{ agent = "Right?" }, { caller = "Yes." }"#;
    let of = |more: usize| {
        let exchanges = vec![exchange; more].join(", ");
        script(&format!("name = \"caller\"\nstep = [{{ caller = \"Taro tea.\" }}, {exchanges}]"))
    };
    let troubles = [
        r#""drop", after_ms = 500"#,
        r#""stop""#,
        r#""start_again""#,
        r#""pause", for_ms = 3000"#,
        r#""hold_marks", for_ms = 4000"#,
        r#""lose_marks""#,
    ];
    let on_a_bad_line = troubles.iter().flat_map(|trouble| {
        let trouble = format!("{{ line = {trouble} }}");
        [format!("{trouble}, {exchange}"), format!("{exchange}, {trouble}")]
            .map(|steps| script(&format!("name = \"bad line\"\nstep = [{{ caller = \"Taro tea.\" }}, {steps}]")))
    });
    let well = [1, 1, 1, 1, 3, 5].repeat(4).into_iter().map(of);
    well.chain(on_a_bad_line).collect()
}

/// The orders' folder is away for a second, again and again, until this is over; how often it was.
async fn a_store_comes_and_goes(folder: PathBuf, over: CancellationToken) -> usize {
    let elsewhere = folder.with_extension("away");
    for times in 0.. {
        tokio::select! {
            () = over.cancelled() => return times,
            () = tokio::time::sleep(AWAY_EVERY) => {}
        }
        std::fs::rename(&folder, &elsewhere).expect("the folder moves away");
        tokio::time::sleep(Duration::from_secs(1)).await;
        std::fs::rename(&elsewhere, &folder).expect("the folder comes back");
    }
    unreachable!("it ends when it is over")
}

/// So many calls, arriving over time; how each ended, by kind.
async fn calls(
    shop: &TestShop,
    count: usize,
    first: usize,
    random: &mut Random,
    callers: &[Script],
) -> BTreeMap<String, usize> {
    let mut calls = JoinSet::new();
    let mut endings = BTreeMap::new();
    let mut note = |ending: String| *endings.entry(ending).or_insert(0) += 1;
    for number in first..first + count {
        let hang_up_after = (random.below(5) < 3).then(|| Duration::from_millis(random.below(30_000) as u64));
        let options = CallerOptions {
            from: format!("+1555{number:07}"),
            keep_audio: false,
            hang_up_after,
            limit: LONGEST,
            observer: Observer::default(),
            ..shop.caller_options()
        };
        let caller = SimulatedCaller::new(options).expect("a caller");
        let script = random.of(callers).clone();
        calls.spawn(async move { caller.call(&script).await.map(|report| report.closed_by) });
        // Twice the mean at most: some calls come together, some alone.
        tokio::time::sleep(Duration::from_secs_f64(random.below(2_000) as f64 / 1_000.0 / CALLS_A_SECOND)).await;
        while let Some(ended) = calls.try_join_next() {
            note(ending(ended.expect("no panic")));
        }
    }
    while let Some(ended) = calls.join_next().await {
        note(ending(ended.expect("no panic")));
    }
    endings
}

fn ending<E: std::fmt::Display>(ended: Result<ClosedBy, E>) -> String {
    match ended {
        Ok(closed_by) => format!("{closed_by:?}"),
        Err(error) => format!("not a call: {error}"),
    }
}

/// Waits until nothing of the calls is left, or for as long as a test may wait.
async fn rest(shop: &TestShop, before: Option<&Footprint>) -> Footprint {
    shop.at_rest().await;
    let begun = Instant::now();
    loop {
        let now = Footprint::now();
        let is_left = before.is_some_and(|before| !now.is_closed(before));
        if !is_left && begun.elapsed() > Duration::from_secs(1) || begun.elapsed() > PATIENCE {
            return now;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_calls_leave_nothing_but_their_orders() {
    let seconds = number("SOAK_SECONDS").unwrap_or(60);
    let seed = seed("SOAK_SEED");
    println!("SOAK_SEED={seed}");
    let mut random = Random::new(seed);
    let count = ((seconds as f64 * CALLS_A_SECOND) as usize).max(1);

    let (all, callers) = (scripts(), callers());
    let connections = (WARM_UP + count) * 3;
    let played: Vec<Script> = (0..connections).map(|_| random.of(&all).clone()).collect();
    let (events, mut told) = unbounded_channel();
    let ledger = Arc::new(Mutex::new(Ledger::default()));
    let noted = Arc::clone(&ledger);
    tokio::spawn(async move {
        while let Some(event) = told.recv().await {
            noted.lock().unwrap_or_else(PoisonError::into_inner).note(event);
        }
    });
    let observer = Observer { events: Some(events), tap: None };
    let shop = TestShop::open_tuned(played, &[], Mode::Production, |options| options.observer = observer).await;

    let warm = calls(&shop, WARM_UP, 0, &mut random, &callers).await;
    let before = rest(&shop, None).await;
    println!("warmed up with {WARM_UP} calls ({warm:?}): {before:?}");
    let orders_before = shop.shop.orders().recent(100_000).await.expect("readable").len();
    let begun = Instant::now();
    let over = CancellationToken::new();
    let store = tokio::spawn(a_store_comes_and_goes(shop.orders_dir(), over.clone()));
    let endings = calls(&shop, count, WARM_UP, &mut random, &callers).await;
    over.cancel();
    println!("the store was away {} times", store.await.expect("no panic"));
    let took = begun.elapsed();
    let after = rest(&shop, Some(&before)).await;
    let orders = shop.shop.orders().recent(100_000).await.expect("readable");
    println!("{count} calls in {took:.0?}, at {SPEED} times the speed of life: {endings:?}");
    println!("{} orders; {} connections of the agent; {after:?}", orders.len(), shop.shop.agent().connections());

    assert_eq!(shop.shop.live_calls().count(), 0);
    assert!(after.is_closed(&before), "left open: {before:?}, {after:?}");
    let made = (orders.len() - orders_before) as u64;
    let most = before.resident_kib + SLACK_KIB + made * ORDER_KIB;
    assert!(after.resident_kib <= most, "memory has grown beyond {most} KiB: {before:?}, {after:?}");
    let lost = endings.iter().filter(|(ending, _)| ending.starts_with("not a call") || ending.starts_with("Violation"));
    assert_eq!(lost.count(), 0, "{endings:?}");

    let ledger = ledger.lock().unwrap_or_else(PoisonError::into_inner);
    println!("{} numbers told, {} conversations asked for an order", ledger.told.len(), ledger.asked.len());
    assert!(ledger.surprises.is_empty(), "{:#?}", ledger.surprises);
    let (mut callers, mut drinks) = (HashSet::new(), 0);
    for record in &orders {
        let order = &record.order;
        let call = order.call_sid.clone().expect("an order of a call");
        assert!(callers.insert(call), "a call has two orders: {}", order.order_id);
        // A call whose agent was dialled anew may play another script, and order once more: one drink a conversation.
        assert_eq!(order.items.len(), order.version as usize, "{}", order.order_id);
        assert!(order.items.iter().all(|item| item.quantity == 1), "{}", order.order_id);
        drinks += order.items.len();
    }
    let numbers: HashSet<OrderNumber> = orders.iter().map(|record| record.order.order_number).collect();
    assert_eq!(numbers.len(), orders.len(), "two open orders of one number");
    for number in ledger.told.keys() {
        assert!(numbers.contains(number), "an order that was told is not there");
    }
    assert!(drinks <= ledger.asked.len(), "more drinks than conversations that ordered one");
    assert!(made > 0 && ledger.told.len() * 2 > orders.len(), "hardly anything was ordered: {made}");
}
