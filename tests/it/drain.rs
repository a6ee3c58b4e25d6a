//! Stopping without dropping a call, what callers get without an agent, who calls too often, and what systemd is told.

use crate::harness::program::{Program, Running, Said};
use crate::harness::{
    ACCOUNT_SID, AUTH_TOKEN, Answer, PATIENCE, SPEED, TestShop, TwilioApi, client, post_signed, quick_order, script,
    shape, taping,
};
use bobarista::simulator::agent::AgentOptions;
use bobarista::simulator::{CallerOptions, ClosedBy, Event, Observer, Script, SimulatedAgent, SimulatedCaller, What};
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::watch;
use wiremock::ResponseTemplate;

const PERSON: &str = "+15550009999";
const RECORDING: &str = "RE00000000000000000000000000000001";

/// A server in a process of its own, its agent and what both ends of its calls tell. Its callers say one line and then
/// nothing, until they are let go on.
struct Deployed {
    folder: tempfile::TempDir,
    running: Running,
    address: SocketAddr,
    agent: SimulatedAgent,
    observer: Observer,
    events: UnboundedReceiver<Event>,
    lines: watch::Sender<usize>,
}

impl Deployed {
    async fn start(script: &Script, settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (told, events) = unbounded_channel();
        let observer = Observer { events: Some(told), tap: None };
        let options = AgentOptions { speed: SPEED, observer: observer.clone(), ..AgentOptions::default() };
        let agent = SimulatedAgent::start([script.clone()], options).await.expect("a port for the agent");
        // Who is held is no caller who has gone.
        let program = Program::local_server(folder.path(), &agent.url()).set("CALLER_IDLE_SECONDS", "600");
        let program = settings.iter().fold(program, |program, (name, value)| program.set(name, value));
        let mut running = program.start();
        let address = running.address().await;
        Self { folder, running, address, agent, observer, events, lines: watch::Sender::new(1) }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn caller(&self) -> SimulatedCaller {
        SimulatedCaller::new(self.caller_options()).expect("a caller")
    }

    fn caller_options(&self) -> CallerOptions {
        CallerOptions {
            base: self.url(""),
            dial_streams_at: Some(self.address),
            speed: SPEED,
            limit: Duration::from_secs(24 * 60 * 60),
            lines: Some(self.lines.subscribe()),
            observer: self.observer.clone(),
            ..CallerOptions::default()
        }
    }

    /// Callers say the rest of their lines.
    fn go_on(&self) {
        self.lines.send_replace(usize::MAX);
    }

    /// Waits until either end of a call tells something of this kind.
    async fn until(&mut self, wanted: impl Fn(&What) -> bool) {
        let found = async {
            while let Some(event) = self.events.recv().await {
                if wanted(&event.what) {
                    return;
                }
            }
            panic!("the simulators are gone");
        };
        tokio::time::timeout(PATIENCE, found).await.expect("the event comes");
    }

    async fn voice(&self, call_sid: &str) -> String {
        let form = [("CallSid", call_sid), ("From", "+15551234567")];
        let answer = client().post(self.url("/voice")).form(&form).send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::OK, "whatever happens, Twilio is told something to do");
        answer.text().await.expect("TwiML")
    }

    fn orders(&self) -> usize {
        orders_in(&self.folder.path().join("orders"))
    }

    async fn end(self) -> (Option<i32>, Said, usize) {
        let (folder, running) = (self.folder, self.running);
        let (status, said) = running.end().await;
        drop(self.agent);
        let orders = orders_in(&folder.path().join("orders"));
        (status.code(), said, orders)
    }
}

fn orders_in(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).expect("the orders' folder").map(|entry| entry.expect("an entry"));
    entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("order_")).count()
}

/// A call whose first line has put something into the cart, and whose other lines order it.
fn slow_order() -> Script {
    script(
        r#"
        name = "a slow order"
        step = [
            { caller = "Taro tea." },
            { tools = [{ name = "add_to_cart", arguments = { flavor = "taro milk tea" } }] },
            { agent = "One taro milk tea with no toppings, fifty percent sweetness and regular ice. Is that right?" },
            { caller = "Yes, that is right, thank you very much indeed." },
            { tools = [{ name = "confirm_pending_to_cart" }, { name = "save_phone_number" }] },
            { agent = "And may I take it that this is all for today, or would you like to have something else with it?" },
            { caller = "No, that is all, thanks." },
            { tools = [{ name = "checkout_order", arguments = { allow_duplicate = true } }] },
            { expect = { tool = "checkout_order", field = "ok", value = true } },
            { agent = "Goodbye!" },
        ]"#,
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_in_progress_outlives_the_request_to_stop() {
    let script = slow_order();
    let mut server = Deployed::start(&script, &[]).await;
    let mut feed = crate::harness::feed::Feed::open(&server.url("/orders/events"), None).await;
    // Told to begin before, and not begun yet: let in below.
    let caller = server.caller();
    let call = tokio::spawn(async move { caller.call(&script).await });
    server.until(|what| matches!(what, What::ToolAnswered { .. })).await;
    assert_eq!(server.orders(), 0);
    server.running.terminate();
    server.running.line(|line| line.contains("no calls are taken any more")).await;

    let ready = Answer::to(client().get(server.url("/readyz"))).await;
    ready.assert_error(503, "UNAVAILABLE");
    assert_eq!(ready.json()["error"]["details"]["reason"], "draining");
    let turned_away = server.voice("CA11111111111111111111111111111111").await;
    assert!(turned_away.contains("<Say>") && !turned_away.contains("<Stream"), "{turned_away}");
    assert_eq!(Answer::to(client().get(server.url("/orders"))).await.status, 200, "screens go on");

    server.go_on();
    let report = tokio::time::timeout(PATIENCE, call).await.expect("the call ends").expect("no panic");
    let report = report.expect("a call");
    assert!(report.finished, "{report:#?}");
    assert_eq!(report.closed_by, ClosedBy::Server);
    assert!(report.after.expect("Twilio is answered").contains("<Hangup/>"));
    // The screens saw the order that the last call made, and only then were sent away.
    assert_eq!(feed.event().await.1["type"], "order_created");
    while feed.next().await.is_some() {}
    let (status, said, orders) = server.end().await;
    assert_eq!((status, orders), (Some(0), 1), "{said:#?}");
    assert!(said.stderr.contains("stopped"), "{said:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_was_told_to_begin_is_still_let_in() {
    let script = quick_order();
    let shop = TestShop::open([script.clone()]).await;
    let token = shop.announce_call("CA1").await;
    shop.shop.drain();
    let turned_away = shop.post_call("/voice", "CA2").await;
    assert_eq!(turned_away.status(), StatusCode::OK);
    assert!(!turned_away.text().await.expect("TwiML").contains("<Stream"));
    let mut phone = shop.phone("CA1", &token).await;
    phone.start().await;
    assert!(phone.text().await.contains("\"event\":\"m"), "the agent is heard");
    phone.hang_up().await;
    shop.shop.ended().await.expect("nothing is waited for any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_twice_is_obeyed_at_once_and_callers_are_told() {
    let mut twilio = TwilioApi::start([ResponseTemplate::new(200).set_body_string("{}")]).await;
    let script = slow_order();
    let settings = [
        ("TWILIO_ACCOUNT_SID", ACCOUNT_SID),
        ("TWILIO_AUTH_TOKEN", AUTH_TOKEN),
        ("TWILIO_API_BASE", &*twilio.base()),
        ("VOICE_HOST", "127.0.0.1:8000"),
    ];
    let mut server = Deployed::start(&script, &settings).await;
    let options = CallerOptions {
        public_base: Some("http://127.0.0.1:8000".to_owned()),
        auth_token: Some(AUTH_TOKEN.into()),
        ..server.caller_options()
    };
    let caller = SimulatedCaller::new(options).expect("a caller");
    let call = tokio::spawn(async move { caller.call(&script).await });
    server.until(|what| matches!(what, What::ToolAnswered { .. })).await;
    server.running.terminate();
    server.running.line(|line| line.contains("no calls are taken any more")).await;
    // Its caller says nothing any more: left to itself the call would go on.
    server.running.terminate();
    let (path, form) = twilio.request().await;
    assert!(path.starts_with("Calls/CA"), "{path}");
    assert!(form[0].1.contains("we lost the Boba Rista"), "{form:?}");
    let (status, said, orders) = server.end().await;
    assert_eq!((status, orders), (Some(0), 0), "{said:#?}");
    // Its socket is closed, and nobody is left to ask how it goes on.
    let _ = call.await.expect("no panic");
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_do_not_end_are_ended() {
    let script = slow_order();
    let mut server = Deployed::start(&script, &[("DRAIN_SECONDS", "0")]).await;
    let caller = server.caller();
    let call = tokio::spawn(async move { caller.call(&script).await });
    server.until(|what| matches!(what, What::ToolAnswered { .. })).await;
    server.running.terminate();
    let (status, said, orders) = server.end().await;
    assert_eq!((status, orders), (Some(0), 0), "{said:#?}");
    assert!(said.stderr.contains("DRAIN_SECONDS"), "{said:#?}");
    let _ = call.await.expect("no panic");
}

#[tokio::test(flavor = "multi_thread")]
async fn systemd_is_told_how_the_server_fares() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).expect("a socket");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let (told, mut tellings) = unbounded_channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(length) = socket.recv(&mut buffer) {
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if !text.lines().all(|line| told.send(line.to_owned()).is_ok()) {
                return;
            }
        }
    });
    let mut until = async |wanted: &str| {
        let found = async {
            let mut seen = Vec::new();
            while let Some(line) = tellings.recv().await {
                let found = line == wanted;
                seen.push(line);
                if found {
                    return seen;
                }
            }
            panic!("{wanted} was not told: {seen:#?}");
        };
        tokio::time::timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("{wanted} was not told"))
    };
    let script = slow_order();
    let settings = [("NOTIFY_SOCKET", path.to_str().expect("text")), ("WATCHDOG_USEC", "400000")];
    let mut server = Deployed::start(&script, &settings).await;
    until("READY=1").await;
    until("STATUS=0 calls in progress").await;
    for _ in 0..3 {
        until("WATCHDOG=1").await;
    }
    let caller = server.caller();
    let call = tokio::spawn(async move { caller.call(&script).await });
    server.until(|what| matches!(what, What::ToolAnswered { .. })).await;
    server.running.terminate();
    until("STOPPING=1").await;
    until("EXTEND_TIMEOUT_USEC=60000000").await;
    until("WATCHDOG=1").await;
    server.go_on();
    let report = call.await.expect("no panic").expect("a call");
    assert!(report.finished);
    assert_eq!(server.end().await.0, Some(0));
}

#[test]
fn the_service_is_understood_and_shut_in() {
    let unit = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/bobarista.service");
    let text = std::fs::read_to_string(unit).expect("it is there");
    let folder = tempfile::tempdir().expect("a temporary folder");
    // What it starts is looked for, and nobody has installed it here.
    let copy = folder.path().join("bobarista.service");
    let here = env!("CARGO_BIN_EXE_bobarista");
    assert!(text.contains("ExecStart=/usr/local/bin/bobarista serve"));
    std::fs::write(&copy, text.replace("/usr/local/bin/bobarista", here)).expect("a file");
    let run = |arguments: &[&str]| {
        let output = Command::new("systemd-analyze").args(arguments).arg(&copy).output();
        let output = output.expect("systemd-analyze is installed; tests/run sees to it");
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{arguments:?}: {said}");
        said
    };
    let said = run(&["verify", "--man=no"]);
    assert!(!said.contains("bobarista.service"), "{said}");
    // Out of 10 for a service that nothing holds; in tenths.
    run(&["security", "--offline=true", "--threshold=15"]);
    let (head, service) = text.split_once("\n[Service]\n").expect("its sections");
    assert!(head.lines().any(|line| line == "StartLimitIntervalSec=0"), "it is given up after a few failed starts");
    assert!(service.lines().any(|line| line == "Restart=on-failure"));
    let seconds = |name: &str| -> u64 {
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        value.expect(name).parse().expect("seconds")
    };
    assert!((1..=5).contains(&seconds("RestartSec")), "callers wait for it");
    let config = bobarista::config::Config::read(&|name| (name == "DEEPGRAM_API_KEY").then(|| "key".to_owned()));
    assert!(seconds("TimeoutStopSec") > config.expect("defaults").line.drain.as_secs() + 34, "what follows the calls");
}

/// A shop without an agent to answer at its only line; what a second caller gets.
async fn second_caller(settings: &[(&str, &str)]) -> String {
    let settings = [settings, &[("MAX_CALLS", "1")]].concat();
    let shop = TestShop::open_with([], &settings).await;
    shop.announce_call("CA1").await;
    let again = shop.post_call("/voice", "CA1").await.text().await.expect("TwiML");
    assert!(again.contains("<Stream"), "the first may be asked about again: {again}");
    let answer = shop.post_call("/voice", "CA2").await;
    assert_eq!(answer.status(), StatusCode::OK);
    answer.text().await.expect("TwiML")
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_at_a_full_line_get_what_the_shop_has_chosen() {
    let sentence = second_caller(&[]).await;
    assert!(sentence.contains("on another call") && sentence.contains("<Hangup/>"), "{sentence}");
    let person = second_caller(&[("TRANSFER_NUMBER", PERSON)]).await;
    assert!(person.contains("on another call") && person.contains(PERSON), "{person}");
    let none = second_caller(&[("TRANSFER_NUMBER", PERSON), ("FALLBACK", "sentence")]).await;
    assert!(!none.contains(PERSON), "{none}");
    let twilio = TwilioApi::start([ResponseTemplate::new(404)]).await;
    let base = twilio.base();
    let settings = [&taping(&base)[..], &[("TRANSFER_NUMBER", PERSON), ("MAX_CALLS", "1")]].concat();
    let shop = TestShop::open_with([], &settings).await;
    let voice = async |call_sid| post_signed(&shop, "/voice", &[("CallSid", call_sid)], AUTH_TOKEN).await.text;
    assert!(voice("CA1").await.contains("<Stream"));
    let tape = voice("CA2").await;
    assert!(tape.contains("on another call") && tape.contains("leave a message"), "{tape}");
    assert!(tape.contains("<Record maxLength=\"120\"") && tape.contains("/voice/recording\""), "{tape}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_a_message_is_told_that_we_have_it_only_if_we_do() {
    let twilio = TwilioApi::start([ResponseTemplate::new(404)]).await;
    let shop = TestShop::open_with([], &taping(&twilio.base())).await;
    let recorded = [("CallSid", "CA1"), ("From", "+15551234567"), ("RecordingSid", RECORDING)];
    let (folder, away) = (shop.orders_dir(), shop.dir.path().join("away"));
    std::fs::rename(&folder, &away).expect("renamed");
    // A folder in which nobody can make anything, the superuser neither.
    std::os::unix::fs::symlink("/sys", &folder).expect("a link");
    let lost = post_signed(&shop, "/voice/recorded", &recorded, AUTH_TOKEN).await;
    assert_eq!(lost.status, StatusCode::OK, "the caller is still on the line: {}", lost.text);
    assert!(lost.text.contains("Please call again") && lost.text.contains("<Hangup/>"), "{}", lost.text);
    assert!(!lost.text.contains("we have your message"), "{}", lost.text);
    assert_eq!(post_signed(&shop, "/voice/recording", &recorded, AUTH_TOKEN).await.status, 503, "not on the line");
    std::fs::remove_file(&folder).expect("removed");
    std::fs::rename(&away, &folder).expect("renamed");
    let thanks = post_signed(&shop, "/voice/recorded", &recorded, AUTH_TOKEN).await;
    assert!(thanks.text.contains("we have your message"), "{}", thanks.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_finds_the_line_busy_may_call_again() {
    let settings = [("CALLS_PER_HOUR", "1"), ("MAX_CALLS", "1")];
    let shop = TestShop::open_with([quick_order()], &settings).await;
    let voice = async |call_sid: &str| {
        let form = [("CallSid", call_sid), ("From", "+15551234568")];
        client().post(shop.url("/voice")).form(&form).send().await.expect("an answer").text().await.expect("TwiML")
    };
    let token = shop.announce_call("CA1").await;
    for call_sid in ["CA2", "CA3"] {
        assert!(voice(call_sid).await.contains("on another call"));
    }
    let mut feed = shop.staff_feed().await;
    let mut phone = shop.phone("CA1", &token).await;
    phone.start().await;
    feed.event_of("call_started").await;
    phone.hang_up().await;
    shop.at_rest().await;
    assert!(voice("CA4").await.contains("<Stream"), "that they called before is not held against them");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_calls_all_day_rings_nobody() {
    let settings = [("CALLS_PER_HOUR", "2"), ("TRANSFER_NUMBER", PERSON), ("MAX_CALLS", "100")];
    let shop = TestShop::open_with([], &settings).await;
    let voice = async |from: &str, call_sid: &str| {
        let form = [("CallSid", call_sid), ("From", from)];
        let answer = client().post(shop.url("/voice")).form(&form).send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::OK);
        answer.text().await.expect("TwiML")
    };
    for call_sid in ["CA1", "CA1", "CA1", "CA2", "CA2"] {
        assert!(voice("+15551234567", call_sid).await.contains("<Stream"), "one call counts once");
    }
    let refused = voice("+15551234567", "CA3").await;
    assert!(refused.contains("<Say>") && refused.contains("<Hangup/>"), "{refused}");
    assert!(!refused.contains("<Stream") && !refused.contains(PERSON), "{refused}");
    assert!(voice("+15551234568", "CA4").await.contains("<Stream"), "somebody else");
    for n in 5..10 {
        for withheld in ["anonymous", "+266696687"] {
            assert!(voice(withheld, &format!("CA{n}{}", withheld.len())).await.contains("<Stream"), "{withheld}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_shop_still_answers_the_telephone() {
    let asking = script(
        r#"
        name = "asks about an order"
        step = [
            { caller = "Is my order ready?" },
            { tools = [{ name = "order_status" }] },
            { expect = { tool = "order_status", field = "found", value = true } },
            { agent = "It is being made. Goodbye!" },
        ]"#,
    );
    let mut shop = TestShop::open([asking.clone()]).await;
    shop.place(Some("+15551234567")).await;
    let pause = client().patch(shop.url("/api/v1/shop")).json(&json!({"paused_for_minutes": 30}));
    assert_eq!(Answer::to(pause).await.status, 200);
    assert_eq!(Answer::to(client().get(shop.url("/readyz"))).await.json()["ordering"], "paused");
    shop.call(&asking).await.assert_flawless();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_kept_shown_played_and_erased() {
    let mut twilio = TwilioApi::start([
        ResponseTemplate::new(404),
        ResponseTemplate::new(200).set_body_string("sound"),
        ResponseTemplate::new(503),
    ])
    .await;
    let base = twilio.base();
    let settings = [&taping(&base)[..], &[("STAFF_PASSWORD", "sesame"), ("API_KEY", "the-key")]].concat();
    let shop = TestShop::open_with([], &settings).await;
    let post = async |path: &str, form: &[(&str, &str)], token: &str| post_signed(&shop, path, form, token).await;
    let at_twilio = format!("https://api.twilio.com/2010-04-01/Accounts/{ACCOUNT_SID}/Recordings/{RECORDING}");
    let recorded =
        [("CallSid", "CA1"), ("From", "+15551234567"), ("RecordingUrl", &at_twilio), ("RecordingDuration", "7")];
    let status =
        [("CallSid", "CA1"), ("RecordingSid", RECORDING), ("RecordingStatus", "completed"), ("RecordingDuration", "7")];
    let absent = [("CallSid", "CA1"), ("RecordingSid", RECORDING), ("RecordingStatus", "absent")];
    for path in ["/voice/recorded", "/voice/recording"] {
        assert_eq!(post(path, &status, "another token").await.status, 403);
    }
    assert_eq!(post("/voice/recording", &absent, AUTH_TOKEN).await.status, 204);
    let list = || Answer::to(client().get(shop.url("/api/voicemails")).bearer_auth("the-key"));
    assert_eq!(list().await.json(), json!({"voicemails": []}));

    assert_eq!(post("/voice/recording", &status, AUTH_TOKEN).await.status, 204);
    let thanks = post("/voice/recorded", &recorded, AUTH_TOKEN).await;
    assert!(thanks.text.contains("we have your message") && thanks.text.contains("<Hangup/>"), "{}", thanks.text);
    let all = list().await.json();
    assert!(shape(&shop.json("/api/openapi.json").await, "Voicemails").is_valid(&all), "{all}");
    let [one] = &all["voicemails"].as_array().expect("a list")[..] else { panic!("one message: {all}") };
    assert_eq!((&one["from"], &one["seconds"]), (&json!("+15551234567"), &json!(7)));
    assert_eq!((&one["call_sid"], &one["recording_sid"]), (&json!("CA1"), &json!(RECORDING)));

    let sound = one["sound"].as_str().expect("an address");
    Answer::to(client().get(shop.url(sound))).await.assert_error(401, "UNAUTHENTICATED");
    let get = |path: &str| Answer::to(client().get(shop.url(path)).bearer_auth("the-key"));
    get(sound).await.assert_error(404, "NOT_FOUND");
    let played = get(sound).await;
    assert_eq!((played.status, played.text.as_str()), (StatusCode::OK, "sound"));
    assert_eq!(played.headers["content-type"], "audio/mpeg");
    get(sound).await.assert_error(502, "INTEGRATION");
    for _ in 0..3 {
        assert_eq!(twilio.request().await.0, format!("Recordings/{RECORDING}.mp3"));
    }
    for nothing in ["/api/voicemails/RE00000000000000000000000000000002.mp3", "/api/voicemails/..%2fx.mp3"] {
        get(nothing).await.assert_error(404, "NOT_FOUND");
    }
    assert!(!twilio.has_more(), "only what is listed is fetched");

    let forget = client().post(shop.url("/api/v1/customers/forget")).bearer_auth("the-key");
    assert_eq!(Answer::to(forget.json(&json!({"phone": "+15551234567"}))).await.status, 200);
    assert_eq!(list().await.json(), json!({"voicemails": Value::Array(Vec::new())}));
    get(sound).await.assert_error(404, "NOT_FOUND");
}
