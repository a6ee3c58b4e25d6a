//! A simulated shop: a simulated caller and a simulated agent talk over real sockets through the real server.
//!
//! Nothing of the environment is used but `ORDERS_DIR`, `LOG_LEVEL` and `LOG_FORMAT`: no key and no credential that
//! happens to be set, and nobody is texted.

use super::logs;
use crate::app::{self, Mode};
use crate::config::{Config, ConfigError, OrdersConfig};
use crate::deepgram::line::tls_config;
use crate::order_service::Origin;
use crate::ordering::order::{Order, OrderNumber};
use crate::ordering::status::OrderStatus;
use crate::simulator::agent::AgentOptions;
use crate::simulator::{CallerOptions, Event, Observer, Script, Side, SimulatedAgent, SimulatedCaller, SimulatedShop};
use crate::simulator::{ClosedBy, Speaker, What};
use crate::store::{Access, JsonStore, Query, Store as _};
use anyhow::{Context as _, anyhow, bail, ensure};
use rand::RngExt as _;
use serde_json::Value;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio_util::sync::CancellationToken;

const ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8000);
const ORDERS_DIR: &str = "orders/demo";
/// From the end of a call to the next one.
const PAUSE: Duration = Duration::from_secs(20);
/// Orders to be made on the screens; the simulated barista finishes the oldest beyond that.
const MOST_WAITING: usize = 6;
/// Ready ones; the oldest beyond that are picked up.
const MOST_READY: usize = 3;

/// How the demo is run.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    /// Make one call, verify its order and exit: 0, or non-zero saying what was wrong
    #[arg(long)]
    once: bool,
    /// How many times faster than real time calls are made
    #[arg(long, default_value_t = 1.0, value_parser = speed)]
    speed: f64,
}

fn speed(text: &str) -> Result<f64, &'static str> {
    text.parse().ok().filter(|speed| (0.5..=20.0).contains(speed)).ok_or("expected a number from 0.5 to 20")
}

pub(super) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let environment = super::environment;
    let dir = environment("ORDERS_DIR").filter(|dir| !dir.is_empty()).unwrap_or_else(|| ORDERS_DIR.to_owned());
    let settings = |name: &str| match name {
        "ORDERS_DIR" => Some(dir.clone()),
        "LOG_LEVEL" => environment(name).or_else(|| Some("warn".to_owned())),
        "LOG_FORMAT" => environment(name),
        _ => None,
    };
    start_logs(&settings)?;
    refuse_real_orders(Path::new(&dir)).await?;
    let shutdown = CancellationToken::new();
    super::cancel_on_signals([shutdown.clone()])?;

    let (events, told) = mpsc::unbounded_channel();
    let observer = Observer { events: Some(events), tap: None };
    let options = AgentOptions { speed: arguments.speed, observer: observer.clone(), ..AgentOptions::default() };
    let agent = SimulatedAgent::start([Script::boba()], options).await.context("no port for the simulated agent")?;
    let listener = listen()?;
    let shop = SimulatedShop::open_on(listener, agent, settings, Mode::Demo).await?;
    println!("A simulated call becomes an order: no keys, no network, nobody is texted.\n");
    println!("  people waiting look at  {}/orders", shop.base());
    println!("  the barista looks at    {}/barista", shop.base());
    println!("  orders are kept in      {dir}");

    let http = reqwest::Client::builder().no_proxy().tls_backend_preconfigured(tls_config()?);
    let http = http.build().context("no HTTP client could be made")?;
    println!("  guests at a table open  {}\n", table_link(&http, shop.base()).await?);
    let mut demo = Demo { shop, told, observer, http, speed: arguments.speed, failures: Vec::new() };
    let result = tokio::select! {
        result = demo.play(arguments.once) => result,
        // Ctrl-C is how a demo ends; but one call that was to be verified was not.
        () = shutdown.cancelled() => match arguments.once {
            true => Err(anyhow!("interrupted before the call was verified")),
            false => Ok(()),
        },
    };
    demo.shop.close().await.context("the server failed")?;
    result.map(|()| ExitCode::SUCCESS)
}

fn start_logs(settings: &dyn Fn(&str) -> Option<String>) -> Result<(), ConfigError> {
    let config = Config::read(&|name| match name {
        "DEEPGRAM_API_KEY" => Some("simulated".to_owned()),
        _ => settings(name),
    })?;
    logs::start(&config.log);
    Ok(())
}

/// The address in a table's printed code. The table is made if an earlier demo has not left one.
async fn table_link(http: &reqwest::Client, base: String) -> anyhow::Result<String> {
    #[derive(serde::Deserialize)]
    struct Tables {
        tables: Vec<Table>,
    }
    #[derive(serde::Deserialize)]
    struct Table {
        link: String,
    }
    let all = format!("{base}/api/v1/tables");
    let tables: Tables = http.get(&all).send().await?.error_for_status()?.json().await?;
    if let Some(table) = tables.tables.into_iter().next() {
        return Ok(table.link);
    }
    let made = http.post(&all).json(&serde_json::json!({"name": "1"})).send().await?;
    Ok(made.error_for_status()?.json::<Table>().await?.link)
}

/// A demo must not mix its orders with a shop's.
async fn refuse_real_orders(dir: &Path) -> anyhow::Result<()> {
    if !dir.exists() {
        return Ok(());
    }
    let store = JsonStore::open(&OrdersConfig::json(dir), "main", Access::Read).await?;
    let all = store.list(&Query { limit: usize::MAX, ..Query::default() }).await?;
    let is_demo = |order: &Order| order.metadata.get("demo") == Some(&Value::Bool(true));
    let real = all.records.iter().filter(|record| !is_demo(&record.order)).count() + store.unreadable();
    let shown = dir.display();
    ensure!(real == 0, "{shown} (ORDERS_DIR) holds {real} orders that no demo made; name another folder");
    Ok(())
}

fn listen() -> anyhow::Result<TcpListener> {
    match app::listen(ADDRESS) {
        Ok(listener) => Ok(listener),
        Err(error) => {
            let other = app::listen((Ipv4Addr::LOCALHOST, 0).into()).context("no port to listen on")?;
            println!("{ADDRESS} cannot be used ({error}); another port is.\n");
            Ok(other)
        }
    }
}

struct Demo {
    shop: SimulatedShop,
    told: UnboundedReceiver<Event>,
    observer: Observer,
    /// Straight to the shop on this machine, whatever proxy is set.
    http: reqwest::Client,
    speed: f64,
    failures: Vec<String>,
}

impl Demo {
    async fn play(&mut self, once: bool) -> anyhow::Result<()> {
        loop {
            match self.round().await {
                Ok(()) => {}
                Err(error) if once => return Err(error),
                // A machine that was put to sleep in the middle of a call is no reason to stop.
                Err(error) => println!("\n  that call went wrong: {error:#}\n"),
            }
            if once {
                return Ok(());
            }
            self.tidy_up().await?;
            println!("  the next call comes in {} s; Ctrl-C ends the demo\n", PAUSE.as_secs());
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// One call and its order, verified.
    async fn round(&mut self) -> anyhow::Result<()> {
        let (answered, order, path) = self.one_call().await?;
        println!("\n  order {} is in {}", order.order_number, path.display());
        self.verify(&answered, &path).await?;
        println!("  verified: on disk as it was confirmed, and on the screens\n");
        Ok(())
    }

    /// One call, told as it happens, and the order that came of it.
    async fn one_call(&mut self) -> anyhow::Result<(Answered, Order, PathBuf)> {
        let from = format!("+1555{:07}", rand::rng().random_range(1_000_000..=9_999_999));
        let caller = SimulatedCaller::new(CallerOptions {
            base: self.shop.base(),
            from: from.clone(),
            speed: self.speed,
            observer: self.observer.clone(),
            ..CallerOptions::default()
        })?;
        println!("A call from {from}");
        let script = Script::boba();
        let mut answered = Answered::default();
        self.failures.clear();
        let report = {
            let call = caller.call(&script);
            tokio::pin!(call);
            loop {
                tokio::select! {
                    report = &mut call => break report?,
                    Some(event) = self.told.recv() => tell(event, &mut answered, &mut self.failures),
                }
            }
        };
        while let Ok(event) = self.told.try_recv() {
            tell(event, &mut answered, &mut self.failures);
        }
        if !self.failures.is_empty() {
            bail!("the call went wrong: {}", self.failures.join("; "));
        }
        ensure!(report.finished, "the caller did not get to the end of the conversation ({:?})", report.closed_by);
        ensure!(report.closed_by == ClosedBy::Server, "the server did not end the call: {:?}", report.closed_by);
        let hung_up = report.after.as_deref().is_some_and(|twiml| twiml.contains("<Hangup/>"));
        ensure!(hung_up, "the call was not hung up after the goodbye: {:?}", report.after);
        let number = answered.order["order_number"].as_str().context("the caller was not given an order number")?;
        let number: OrderNumber = number.parse()?;
        let order = self.shop.orders().by_number(number).await?.context("the order is nowhere")?;
        let path = self.shop.orders().place_of(&order.order_id).context("the order is in no file")?;
        Ok((answered, order, PathBuf::from(path)))
    }

    /// Holds the file and the screens against what was confirmed on the phone.
    async fn verify(&self, answered: &Answered, path: &Path) -> anyhow::Result<()> {
        let file: Value = serde_json::from_slice(&std::fs::read(path).context("the order's file cannot be read")?)?;
        for key in ["order_id", "order_number", "status", "items", "total", "phone", "name"] {
            ensure_same(&file, key, &answered.order[key])?;
        }
        ensure_same(&file, "channel", &"phone".into())?;
        ensure!(!answered.confirmed.is_empty(), "nothing was confirmed on the phone");
        ensure_same(&file, "items", &answered.confirmed.clone().into())?;
        let url = format!("{}/orders/in_progress.json", self.shop.base());
        let shown = self.http.get(url).send().await?.error_for_status()?.text().await?;
        let shown: Value = serde_json::from_str(&shown)?;
        let number = &answered.order["order_number"];
        let on_screen =
            shown.as_array().is_some_and(|orders| orders.iter().any(|order| order["order_number"] == *number));
        ensure!(on_screen, "order {number} is not on the screens");
        Ok(())
    }

    /// The simulated barista and those who wait: the oldest orders get ready and are picked up, so that the screens live.
    async fn tidy_up(&self) -> anyhow::Result<()> {
        let orders = self.shop.orders();
        let open = orders.open().await?;
        let those = |is_it: fn(OrderStatus) -> bool| {
            open.iter().filter(|record| is_it(record.order.status)).collect::<Vec<_>>()
        };
        let waiting = those(|status| matches!(status, OrderStatus::Received | OrderStatus::Preparing));
        for record in waiting.iter().take(waiting.len().saturating_sub(MOST_WAITING)) {
            let url = format!("{}/api/orders/{}/done", self.shop.base(), record.order.order_number);
            self.http.post(url).send().await?.error_for_status()?;
        }
        let ready = those(|status| status == OrderStatus::Ready);
        for record in ready.iter().take(ready.len().saturating_sub(MOST_READY)) {
            let origin = Origin { by: "staff", correlation_id: None };
            orders.change_status(&record.order.order_id, OrderStatus::Completed, None, None, origin).await?;
        }
        Ok(())
    }
}

/// What the agent was answered: the order must be of this.
#[derive(Default)]
struct Answered {
    /// The lines that went into the cart, one after the other.
    confirmed: Vec<Value>,
    /// The checkout's answer.
    order: Value,
}

fn ensure_same(object: &Value, key: &str, expected: &Value) -> anyhow::Result<()> {
    ensure!(object[key] == *expected, "{key} is {} instead of {expected}", object[key]);
    Ok(())
}

/// What happens, as a line; much is seen from both sides, so most is told by the agent's.
fn tell(event: Event, answered: &mut Answered, failures: &mut Vec<String>) {
    match (event.side, event.what) {
        (Side::Caller, What::Said { who: Speaker::Twilio, text }) => println!("  twilio  {text}"),
        (Side::Agent, What::Said { who: Speaker::Caller, text }) => println!("  caller  {text}"),
        (Side::Agent, What::Said { who: Speaker::Agent, text }) => println!("  agent   {text}"),
        (Side::Agent, What::ToolCalled { name, arguments, .. }) => println!("            → {name} {arguments}"),
        (Side::Agent, What::ToolAnswered { name, content, .. }) => {
            println!("            ← {content}");
            let answer: Value = serde_json::from_str(&content).unwrap_or_default();
            match &*name {
                "confirm_pending_to_cart" if answer["ok"] == true => answered.confirmed.push(answer["item"].clone()),
                "checkout_order" => answered.order = answer,
                _ => {}
            }
        }
        (_, What::ExpectationFailed(what) | What::Surprise(what)) => failures.push(what),
        _ => {}
    }
}
