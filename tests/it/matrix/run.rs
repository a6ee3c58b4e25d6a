//! Runs lines of the table, some at a time, and looks at what each left behind.

use super::conversation::{Conversation, Phase};
use super::outside::Outside;
use crate::harness::{Call, TestShop, TwilioApi, assert_agent_messages_valid, client};
use bobarista::simulator::{CallerOptions, ClosedBy, Script, Side, What};
use serde_json::json;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Calls at a time, of all tests of the matrix together: most of them wait most of the time.
static ROOM: Semaphore = Semaphore::const_new(8);
/// The longest that any call of the table takes, with its shop.
const LIMIT: Duration = Duration::from_secs(50);
/// Longer than the longest silence of an agent that is redialled.
const PATIENCE: Duration = Duration::from_secs(25);

/// One line of the table.
pub(super) struct Cell {
    fault: String,
    phase: Phase,
    conversation: Conversation,
    expected: Outcome,
    /// What the agent plays after the first connection.
    then: Then,
    outside: Outside,
}

#[derive(Clone, Copy, PartialEq)]
enum Then {
    GoesOn,
    Repeats,
    /// Every connection but the first is taken in this way.
    Connects(&'static str),
}

/// What has to come of a call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outcome {
    pub(super) orders: Orders,
    pub(super) ended: Ended,
    /// How often the agent was dialled; none: it does not matter.
    pub(super) connections: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Orders {
    None,
    One,
    AtMostOne,
}

/// How the caller's call ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// With the agent's goodbye, heard to its end, after the script's last line.
    Goodbye,
    /// With a sentence of Twilio's.
    Told,
    /// The server has to tell Twilio through the REST API, which does not listen.
    ToldByRest,
    /// By the caller, as far as Twilio says.
    HungUp,
}

impl Cell {
    pub(super) fn new(fault: &str, phase: Phase, conversation: Conversation, expected: Outcome) -> Self {
        let outside = Outside::default();
        Self { fault: fault.to_owned(), phase, conversation, expected, then: Then::GoesOn, outside }
    }

    /// Every connection goes wrong as the first one does.
    pub(super) fn for_ever(self) -> Self {
        Self { fault: format!("{} for ever", self.fault), then: Then::Repeats, ..self }
    }

    /// Every connection but the first is taken in this way.
    pub(super) fn then(self, connect: &'static str) -> Self {
        Self { then: Then::Connects(connect), ..self }
    }

    pub(super) fn outside(self, outside: Outside) -> Self {
        Self { outside, ..self }
    }

    fn name(&self) -> String {
        format!("{} × {}", self.fault, self.phase)
    }

    fn connections(&self, script: &Script) -> Vec<Script> {
        match self.then {
            Then::GoesOn => script.connections(),
            Then::Repeats => vec![script.clone()],
            Then::Connects(how) => {
                let connecting = Conversation::default().behaviour(&format!("connect = \"{how}\""));
                vec![script.clone(), connecting.script(how)]
            }
        }
    }
}

/// Runs every line, or (`MATRIX_ONLY`) those with this in their name, and panics with all that went wrong.
pub(super) async fn run(cells: Vec<Cell>) {
    let only = std::env::var("MATRIX_ONLY").ok();
    let runtime = tokio::runtime::Handle::current().metrics();
    let before = runtime.num_alive_tasks();
    let tasks: Vec<_> = cells
        .into_iter()
        .filter(|cell| only.as_ref().is_none_or(|only| cell.name().contains(only)))
        .map(|cell| {
            let name = cell.name();
            let call = async move {
                let _room = ROOM.acquire().await.expect("it is never closed");
                tokio::time::timeout(LIMIT, one(cell)).await.expect("the call takes no longer than any call may")
            };
            (name, tokio::spawn(call))
        })
        .collect();
    let mut wrong = Vec::new();
    for (name, task) in tasks {
        if let Err(error) = task.await {
            let panic = error.into_panic();
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic");
            wrong.push(format!("{name}: {text}"));
        }
    }
    assert!(wrong.is_empty(), "{} went wrong:\n{}", wrong.len(), wrong.join("\n"));
    // The shops are closed as well: whatever is left now, with all that it holds, is left for ever.
    let rest = async {
        while runtime.num_alive_tasks() > before {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let rested = tokio::time::timeout(LIMIT, rest).await;
    assert!(rested.is_ok(), "{} tasks are left", runtime.num_alive_tasks().saturating_sub(before));
}

async fn one(cell: Cell) {
    let script = cell.conversation.script(&cell.name());
    let api = match cell.outside.rest {
        Some(answer) => Some(TwilioApi::start([answer()]).await),
        None => None,
    };
    let mut settings = vec![
        ("AGENT_AUDIO".to_owned(), "mulaw".to_owned()),
        ("AGENT_GREETING".to_owned(), "Hello, what may I bring you?".to_owned()),
        ("CALLER_IDLE_SECONDS".to_owned(), "5".to_owned()),
    ];
    settings.extend(cell.outside.settings(api.as_ref()));
    let settings: Vec<(&str, &str)> = settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let mut shop = TestShop::open_with(cell.connections(&script), &settings).await;
    let mut feed = shop.staff_feed().await;
    let options =
        CallerOptions { patience: PATIENCE, asks_after: cell.outside.rest.is_none(), ..shop.caller_options() };
    let call = shop.begin_call(&cell.conversation.callers_script(&cell.name()), options);
    (cell.outside.during)(&mut shop).await;
    let call = shop.end_call(call).await;

    // Nothing is left: `end_call` has waited for calls and tasks.
    let left = async {
        while shop.shop.agent().open_connections() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), left).await.expect("no connection to the agent is left");
    check_connections(&cell, &shop, &call);
    check_end(&cell, &call);
    check_orders(cell.expected.orders, &shop).await;
    if let Some(mut api) = api {
        api.request().await;
        assert!(!api.has_more(), "Twilio is told once");
    }

    // What comes after the call on the feed shows that nothing more comes of it.
    let after = client().patch(shop.url("/api/v1/shop")).json(&json!({"sold_out": ["egg pudding"]})).send();
    assert!(after.await.expect("an answer").status().is_success());
    let mut of_the_call = Vec::new();
    loop {
        let (_, event) = feed.event().await;
        match event["type"].as_str() {
            Some("menu_changed") => break,
            Some("call_started" | "call_ended") => {
                assert_eq!(event["call_sid"], call.report.call_sid.as_str());
                of_the_call.push(event["type"].clone());
            }
            _ => {}
        }
    }
    assert_eq!(of_the_call, ["call_started", "call_ended"]);
}

fn check_connections(cell: &Cell, shop: &TestShop, call: &Call) {
    let dialled = shop.shop.agent().connections();
    assert!(
        cell.expected.connections.is_none_or(|wanted| wanted == dialled),
        "dialled {dialled} times: {:#?}",
        call.events
    );
    // Faults of the script's own are no messages.
    if !["garbage", "flood", "unknown"].iter().any(|fault| cell.fault.contains(fault)) {
        assert_agent_messages_valid(&call.messages);
    }
    let resumed = |what: &What| matches!(what, What::Resumed { .. });
    let resumed = call.events.iter().filter(|event| event.side == Side::Agent && resumed(&event.what)).count();
    if cell.then == Then::GoesOn && cell.phase != Phase::Dialling && cell.expected.connections.is_some() {
        assert_eq!(resumed, dialled - 1, "each agent after the first is told what was said: {:#?}", call.events);
    }
    let flaw = |what: &What| match what {
        // An answer may cross its cancellation on the wire.
        What::Surprise(text) => !(cell.fault.starts_with("taken back") && text.contains("which was cancelled")),
        what => matches!(what, What::ExpectationFailed(_)),
    };
    let flaws: Vec<&What> = call.events.iter().map(|event| &event.what).filter(|what| flaw(what)).collect();
    assert!(flaws.is_empty(), "{flaws:#?}");
}

fn check_end(cell: &Cell, call: &Call) {
    let report = &call.report;
    let after = report.after.as_deref();
    let says = after.is_some_and(|twiml| twiml.contains("<Say>"));
    match cell.expected.ended {
        Ended::Goodbye => {
            let goodbye = bobarista::simulator::agents_words("Goodbye!");
            let heard = report.heard.windows(goodbye.len()).any(|heard| heard == goodbye);
            assert!(heard, "the caller has not heard the goodbye to its end: {:#?}", call.events);
            assert_eq!((&report.closed_by, says), (&ClosedBy::Server, false), "{after:?} {:#?}", call.events);
            assert!(after.is_some_and(|twiml| twiml.contains("<Hangup/>")), "{after:?}");
            assert!(report.finished, "the caller did not get to the end: {:#?}", call.events);
        }
        Ended::Told => {
            assert!(matches!(report.closed_by, ClosedBy::Server | ClosedBy::Cut), "{:?}", report.closed_by);
            assert!(says, "{after:?}: {:#?}", call.events);
        }
        Ended::ToldByRest => assert_eq!((&report.closed_by, after), (&ClosedBy::Server, None), "{:#?}", call.events),
        Ended::HungUp => assert_eq!(report.closed_by, ClosedBy::Server, "{:#?}", call.events),
    }
}

async fn check_orders(wanted: Orders, shop: &TestShop) {
    let orders = shop.json("/orders.json").await;
    let orders = orders.as_array().expect("a list");
    let fits = match wanted {
        Orders::None => orders.is_empty(),
        Orders::One => orders.len() == 1,
        Orders::AtMostOne => orders.len() <= 1,
    };
    assert!(fits, "{wanted:?} wanted: {orders:#?}");
    let confirmed = json!([{
        "flavor": "taro milk tea", "toppings": ["boba"], "sweetness": "50%", "ice": "regular ice", "addons": [],
        "quantity": 1, "price": 6.25, "subtotal": 6.25,
    }]);
    for order in orders {
        assert_eq!(order["items"], confirmed, "exactly what was confirmed");
        assert_eq!(order["version"], 1, "{order:#}");
    }
}
