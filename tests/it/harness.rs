//! A shop to test: the real server on a free port, a simulated agent, a folder of its own for orders.

mod answer;
pub(crate) mod browser;
pub(crate) mod counter;
#[cfg(feature = "dynamodb")]
pub(crate) mod emulator;
pub(crate) mod feed;
pub(crate) mod google;
pub(crate) mod guest;
pub(crate) mod phone;
pub(crate) mod program;
pub(crate) mod raw;
mod schema;
pub(crate) mod square;
pub(crate) mod till;
mod twilio;
pub(crate) mod webhook;

use bobarista::app::{App, Mode};
use bobarista::order_service::{NewOrder, Origin};
use bobarista::ordering::menu::{Asked, Menu, Said};
use bobarista::ordering::order::{Channel, Order, OrderNumber};
use bobarista::ordering::phone_number::{PhoneNumber, Region};
use bobarista::outbox::Pace;
use bobarista::simulator::agent::AgentOptions;
use bobarista::simulator::{
    CallReport, CallerError, CallerOptions, Event, Observer, Script, Side, SimulatedAgent, SimulatedCaller,
    SimulatedShop, Tapped, What,
};
use feed::Feed;
use reqwest::redirect::Policy;
use secrecy::SecretString;
use serde_json::Value;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;
use tokio::net::TcpSocket;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinHandle;

pub(crate) use answer::{Answer, TEXTS, shape, sign_in, try_sign_in};
pub(crate) use schema::assert_agent_messages_valid;
pub(crate) use twilio::{ACCOUNT_SID, AUTH_TOKEN, TwilioApi, post_signed, taping};

/// Call time to real time: fast, and slow enough for a loaded machine to hear what is said.
pub(crate) const SPEED: f64 = 8.0;
/// Longer than anything here takes; a test that waits for it has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct TestShop {
    pub(crate) shop: SimulatedShop,
    pub(crate) dir: tempfile::TempDir,
    settings: HashMap<String, String>,
    observer: Observer,
    events: UnboundedReceiver<Event>,
    /// Events that a test has waited for; they belong to their call all the same.
    seen: Vec<Event>,
    tapped: UnboundedReceiver<Tapped>,
}

/// A shop whose server has stopped: its orders, its settings and where it was.
pub(crate) struct StoppedShop {
    dir: tempfile::TempDir,
    settings: HashMap<String, String>,
    /// Where it was, and will be.
    held: TcpSocket,
}

/// A call that [`TestShop::end_call`] waits for.
pub(crate) type CallInProgress = JoinHandle<Result<CallReport, CallerError>>;

/// What came of one call, as both ends told it.
pub(crate) struct Call {
    pub(crate) report: CallReport,
    pub(crate) events: Vec<Event>,
    pub(crate) messages: Vec<Tapped>,
}

impl TestShop {
    /// A local shop whose agent plays these scripts, one a connection.
    pub(crate) async fn open(scripts: impl IntoIterator<Item = Script>) -> Self {
        Self::open_with(scripts, &[]).await
    }

    pub(crate) async fn open_with(scripts: impl IntoIterator<Item = Script>, settings: &[(&str, &str)]) -> Self {
        Self::open_as(scripts, settings, Mode::Production).await
    }

    pub(crate) async fn open_as(
        scripts: impl IntoIterator<Item = Script>,
        settings: &[(&str, &str)],
        mode: Mode,
    ) -> Self {
        Self::open_tuned(scripts, settings, mode, |_| {}).await
    }

    /// A shop whose agent runs as `tune` says.
    pub(crate) async fn open_tuned(
        scripts: impl IntoIterator<Item = Script>,
        settings: &[(&str, &str)],
        mode: Mode,
        tune: impl FnOnce(&mut AgentOptions),
    ) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        Self::open_in(dir, scripts, settings, mode, tune, |app| app).await
    }

    /// A shop whose deliveries are tried again sooner than usual.
    pub(crate) async fn open_hurried(settings: &[(&str, &str)]) -> Self {
        Self::open_hurried_with([], settings).await
    }

    /// As [`TestShop::open_hurried`], with an agent that plays these scripts.
    pub(crate) async fn open_hurried_with(
        scripts: impl IntoIterator<Item = Script>,
        settings: &[(&str, &str)],
    ) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let pace = Pace { first_wait: Duration::from_millis(10) };
        Self::open_in(dir, scripts, settings, Mode::Production, |_| {}, |app| app.paced(pace)).await
    }

    /// A shop whose server is changed by `adjust` before it serves.
    pub(crate) async fn open_adjusted(settings: &[(&str, &str)], adjust: impl FnOnce(App) -> App) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        Self::open_in(dir, [], settings, Mode::Production, |_| {}, adjust).await
    }

    /// Stops this shop and opens one with other settings on the same folder.
    pub(crate) async fn reopen(self, scripts: impl IntoIterator<Item = Script>, settings: &[(&str, &str)]) -> Self {
        let Self { shop, dir, .. } = self;
        shop.close().await.expect("the server stops");
        Self::open_in(dir, scripts, settings, Mode::Production, |_| {}, |app| app).await
    }

    /// Stops this shop, for a while.
    pub(crate) async fn stop(self) -> StoppedShop {
        let Self { shop, dir, settings, .. } = self;
        let address = shop.address();
        shop.close().await.expect("the server stops");
        // Other tests ask for any port: this one stays taken, and who connects is refused.
        let held = TcpSocket::new_v4().expect("a socket");
        held.set_reuseaddr(true).expect("an option of sockets");
        held.bind(address).expect("nobody else has taken the port");
        StoppedShop { dir, settings, held }
    }

    async fn open_in(
        dir: tempfile::TempDir,
        scripts: impl IntoIterator<Item = Script>,
        settings: &[(&str, &str)],
        mode: Mode,
        tune: impl FnOnce(&mut AgentOptions),
        adjust: impl FnOnce(App) -> App,
    ) -> Self {
        let (events_to, events) = unbounded_channel();
        let (tap, tapped) = unbounded_channel();
        let observer = Observer { events: Some(events_to), tap: Some(tap) };
        let mut options = AgentOptions { speed: SPEED, observer: observer.clone(), ..AgentOptions::default() };
        tune(&mut options);
        let agent = SimulatedAgent::start(scripts, options).await.expect("a port for the agent");
        let mut map: HashMap<String, String> =
            settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        map.entry("ORDERS_DIR".to_owned()).or_insert_with(|| dir.path().join("orders").display().to_string());
        let shop = SimulatedShop::open_tuned(agent, |name| map.get(name).cloned(), mode, adjust);
        let shop = shop.await.expect("a shop");
        Self { shop, dir, settings: map, observer, events, seen: Vec::new(), tapped }
    }

    /// How this shop's callers call; change what the test is about. A shop with a public name is called by it, and
    /// signed for, as through a TLS proxy.
    pub(crate) fn caller_options(&self) -> CallerOptions {
        let host = self.setting("VOICE_HOST");
        CallerOptions {
            base: self.shop.base(),
            public_base: host.map(|host| format!("https://{host}")),
            dial_streams_at: host.map(|_| self.shop.address()),
            auth_token: self.setting("TWILIO_AUTH_TOKEN").map(SecretString::from),
            speed: SPEED,
            observer: self.observer.clone(),
            ..CallerOptions::default()
        }
    }

    /// One call by the script, and all that was told of it.
    pub(crate) async fn call(&mut self, script: &Script) -> Call {
        self.call_as(script, self.caller_options()).await
    }

    pub(crate) async fn call_as(&mut self, script: &Script, options: CallerOptions) -> Call {
        let call = self.begin_call(script, options);
        self.end_call(call).await
    }

    /// Begins a call that goes on while the test looks at something else.
    pub(crate) fn begin_call(&self, script: &Script, options: CallerOptions) -> CallInProgress {
        let caller = SimulatedCaller::new(options).expect("a caller");
        let script = script.clone();
        tokio::spawn(async move { caller.call(&script).await })
    }

    /// Waits for a call's end, and returns all that was told of it.
    pub(crate) async fn end_call(&mut self, call: CallInProgress) -> Call {
        let call = tokio::time::timeout(PATIENCE, call).await.expect("the call ends").expect("no panic");
        let report = call.expect("the call gets as far as a stream");
        self.at_rest().await;
        let events = self.all_events().await;
        Call { report, events, messages: drain(&mut self.tapped) }
    }

    /// What has been told and not been read yet, once the agent has told the end of every call that it took.
    async fn all_events(&mut self) -> Vec<Event> {
        let mut events = std::mem::take(&mut self.seen);
        events.extend(drain(&mut self.events));
        let open = |events: &[Event]| {
            let count = |wanted: fn(&What) -> bool| {
                events.iter().filter(|event| event.side == Side::Agent && wanted(&event.what)).count()
            };
            count(|what| *what == What::CallStarted) > count(|what| matches!(what, What::CallEnded { .. }))
        };
        while open(&events) {
            let next = tokio::time::timeout(PATIENCE, self.events.recv()).await;
            events.push(next.expect("the agent's leg is closed, too").expect("the simulators live"));
        }
        events
    }

    /// Waits until no call is in progress and none of their tasks is left.
    pub(crate) async fn at_rest(&self) {
        let rest = async {
            while self.shop.live_calls().count() > 0 || self.shop.task_count() > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let left = || format!("{} calls, {} tasks", self.shop.live_calls().count(), self.shop.task_count());
        tokio::time::timeout(PATIENCE, rest).await.unwrap_or_else(|_| panic!("left after the call: {}", left()));
    }

    /// The next event of the simulators that `pick` wants.
    pub(crate) async fn event<T>(&mut self, mut pick: impl FnMut(&Event) -> Option<T>) -> T {
        let wanted = async {
            loop {
                let event = self.events.recv().await.expect("the simulators live as long as the shop");
                self.seen.push(event.clone());
                if let Some(wanted) = pick(&event) {
                    return wanted;
                }
            }
        };
        tokio::time::timeout(PATIENCE, wanted).await.expect("the event comes")
    }

    /// The staff's feed, from now on.
    pub(crate) async fn staff_feed(&self) -> Feed {
        Feed::open(&self.url("/barista/events"), None).await
    }

    /// The value of a setting that this shop was opened with.
    pub(crate) fn setting(&self, name: &str) -> Option<&str> {
        self.settings.get(name).map(String::as_str)
    }

    /// Where this shop keeps its orders.
    pub(crate) fn orders_dir(&self) -> PathBuf {
        PathBuf::from(self.setting("ORDERS_DIR").expect("every shop has one"))
    }

    /// Each order's file as JSON, oldest first.
    pub(crate) fn order_files(&self) -> Vec<Value> {
        let entries = std::fs::read_dir(self.orders_dir()).expect("the orders' folder");
        let paths = entries.map(|entry| entry.expect("an entry").path());
        let is_order =
            |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("order_"));
        let mut paths: Vec<PathBuf> = paths.filter(is_order).collect();
        paths.sort();
        let read = |path: PathBuf| std::fs::read(path).expect("an order's file");
        paths.into_iter().map(|path| serde_json::from_slice(&read(path)).expect("JSON")).collect()
    }

    /// The deliveries of all orders as their files have them, oldest first, once `settled` is true of each.
    pub(crate) async fn deliveries(&self, settled: impl Fn(&Value) -> bool) -> Vec<Value> {
        let look = async {
            loop {
                // A file is replaced, not announced: what becomes of a delivery is no order event.
                let files = self.order_files();
                let of_each = files.iter().filter_map(|file| file["deliveries"].as_array());
                let deliveries: Vec<Value> = of_each.flatten().cloned().collect();
                if deliveries.iter().all(&settled) {
                    return deliveries;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, look).await.expect("the deliveries are settled")
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.shop.base())
    }

    pub(crate) async fn json(&self, path: &str) -> Value {
        let answer = client().get(self.url(path)).send().await.expect("an answer");
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        answer.json().await.expect("JSON")
    }

    /// Makes an order without a call: a quick one, for tests that are about what comes after.
    pub(crate) async fn place(&self, phone: Option<&str>) -> Order {
        let created = self.shop.orders().create(new_order(phone)).await.expect("an order");
        created.into_order().expect("not deleted")
    }

    /// All orders, newest first.
    pub(crate) async fn orders(&self) -> Vec<Order> {
        self.shop.orders().recent(100).await.expect("readable").iter().map(|record| record.order.clone()).collect()
    }
}

impl StoppedShop {
    /// Makes an order, the oldest being number 0, so many minutes older than it is.
    pub(crate) fn age(&self, order: usize, minutes: i64) {
        let folder = PathBuf::from(&self.settings["ORDERS_DIR"]);
        let entries =
            std::fs::read_dir(folder).expect("the orders' folder").map(|entry| entry.expect("an entry").path());
        let is_order =
            |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("order_"));
        let read = |path: PathBuf| {
            let file: Value = serde_json::from_slice(&std::fs::read(&path).expect("an order's file")).expect("JSON");
            (path, file)
        };
        let mut files: Vec<(PathBuf, Value)> = entries.filter(is_order).map(read).collect();
        files.sort_by_key(|(_, file)| file["timestamp"].as_str().map(str::to_owned));
        let (path, mut file) = files.swap_remove(order);
        let made = file["timestamp"].as_str().expect("a time").parse::<jiff::Timestamp>().expect("a time");
        let older = made - jiff::SignedDuration::from_mins(minutes);
        file["created_at"] = older.as_second().into();
        file["timestamp"] = older.strftime("%Y-%m-%dT%H:%M:%S%.6f+00:00").to_string().into();
        file["history"][0]["at"] = file["timestamp"].clone();
        std::fs::write(path, file.to_string()).expect("an order's file is written");
    }

    /// Makes tables' sessions so many minutes older than they are.
    pub(crate) fn age_sessions(&self, minutes: i64) {
        let folder = PathBuf::from(&self.settings["ORDERS_DIR"]).join("state/table_session");
        for entry in std::fs::read_dir(folder).expect("there are sessions") {
            let path = entry.expect("an entry").path();
            let mut file: Value = serde_json::from_slice(&std::fs::read(&path).expect("a session")).expect("JSON");
            let session = &mut file["value"]["session"];
            for place in ["/door/open_until", "/started_at", "/last_active", "/updated_at"] {
                let at = session.pointer_mut(place).expect("a time");
                let then = at.as_str().expect("a time").parse::<jiff::Timestamp>().expect("a time");
                *at = (then - jiff::SignedDuration::from_mins(minutes)).to_string().into();
            }
            std::fs::write(path, file.to_string()).expect("a session is written");
        }
    }

    /// Opens it again, at its address and with nobody to take calls.
    pub(crate) async fn open(self) -> TestShop {
        let Self { dir, settings, held } = self;
        let agent = SimulatedAgent::start([], AgentOptions::default()).await.expect("a port for the agent");
        let listener = held.listen(1024).expect("the port is held");
        let shop = SimulatedShop::open_on(listener, agent, |name| settings.get(name).cloned(), Mode::Production).await;
        let ((_, events), (_, tapped)) = (unbounded_channel(), unbounded_channel());
        let (shop, observer) = (shop.expect("a shop"), Observer::default());
        TestShop { shop, dir, settings, observer, events, seen: Vec::new(), tapped }
    }
}

/// An HTTP client that goes straight to the server, and where it is sent on to only if a test says so. It keeps no
/// connections: they would belong to one test's runtime.
pub(crate) fn client() -> reqwest::Client {
    static CLIENT: LazyLock<reqwest::Client> = LazyLock::new(|| {
        // Whoever came first has chosen the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = reqwest::Client::builder()
            .no_proxy()
            .redirect(Policy::none())
            .pool_max_idle_per_host(0)
            .read_timeout(PATIENCE);
        builder.build().expect("a client")
    });
    CLIENT.clone()
}

/// Calls the server at this address, which is a process of its own.
pub(crate) fn caller_of(address: SocketAddr) -> SimulatedCaller {
    let options = CallerOptions {
        base: format!("http://{address}"),
        // It was told to listen on any port, so the one in its own addresses is wrong.
        dial_streams_at: Some(address),
        speed: SPEED,
        ..CallerOptions::default()
    };
    SimulatedCaller::new(options).expect("a caller")
}

/// One taro milk tea with boba, asked for by Ada on a telephone of this number.
pub(crate) fn new_order(phone: Option<&str>) -> NewOrder {
    let menu = Menu::builtin("boba").expect("the built-in menu");
    let said = |words: &str| Said::One(words.to_owned());
    let fields = vec![
        ("flavor".to_owned(), said("taro milk tea")),
        ("toppings".to_owned(), Said::Many(vec!["boba".to_owned()])),
    ];
    let region: Region = "US".parse().expect("a country");
    let item = menu.item(&Asked { fields, quantity: Some(1), note: None }).expect("it is on the menu");
    NewOrder {
        name: Some("Ada".to_owned()),
        phone: phone.map(|number| PhoneNumber::parse(number, region).expect("a phone number")),
        call_sid: Some("CA00000000000000000000000000000042".to_owned()),
        allow_duplicate: true,
        ..NewOrder::new(Channel::Phone, vec![item], Origin { by: "phone", correlation_id: None })
    }
}

impl Call {
    /// The latest answer of a tool, as the agent received it.
    pub(crate) fn answer(&self, tool: &str) -> Value {
        self.answers(tool).pop().unwrap_or_else(|| panic!("{tool} was not answered: {:#?}", self.events))
    }

    /// Every answer of a tool, oldest first.
    pub(crate) fn answers(&self, tool: &str) -> Vec<Value> {
        let answer = |event: &Event| match &event.what {
            What::ToolAnswered { name, content, .. } if event.side == Side::Agent && name == tool => {
                Some(serde_json::from_str(content).expect("answers are JSON"))
            }
            _ => None,
        };
        self.events.iter().filter_map(answer).collect()
    }

    /// The order number that the agent was given.
    pub(crate) fn order_number(&self) -> OrderNumber {
        let answer = self.answer("checkout_order");
        answer["order_number"].as_str().and_then(|number| number.parse().ok()).expect("an order number")
    }

    /// Panics with what went wrong, if either simulator saw anything go wrong.
    pub(crate) fn assert_flawless(&self) -> &Self {
        let flaw = |event: &&Event| matches!(event.what, What::ExpectationFailed(_) | What::Surprise(_));
        let flaws: Vec<_> = self.events.iter().filter(flaw).collect();
        assert!(flaws.is_empty(), "{flaws:#?}");
        assert!(self.report.finished, "the caller did not get to the end: {:#?}", self.report);
        self
    }
}

/// The shortest way to an order of the boba shop: a taro milk tea.
pub(crate) fn quick_order() -> Script {
    script(
        r#"
        name = "quick order"
        step = [
            { caller = "Taro tea." },
            { tools = [{ name = "add_to_cart", arguments = { flavor = "taro milk tea" } }] },
            { agent = "Right?" },
            { caller = "Yes." },
            { tools = [{ name = "confirm_pending_to_cart" }, { name = "save_phone_number" }] },
            { tools = [{ name = "checkout_order", arguments = { allow_duplicate = true } }] },
            { expect = { tool = "checkout_order", field = "ok", value = true } },
            { agent = "Goodbye!" },
        ]"#,
    )
}

/// A script written in a test.
#[track_caller]
pub(crate) fn script(text: &str) -> Script {
    Script::parse(text).unwrap_or_else(|error| panic!("{error}"))
}

fn drain<T>(channel: &mut UnboundedReceiver<T>) -> Vec<T> {
    std::iter::from_fn(|| channel.try_recv().ok()).collect()
}
