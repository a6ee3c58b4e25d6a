//! The program as it is run: each command in a folder of its own, with nothing in its environment but what a test sets.

use crate::harness::program::Program;
use crate::harness::{PATIENCE, SPEED, caller_of, client, sign_in, try_sign_in};
use bobarista::ordering::order::OrderNumber;
use bobarista::simulator::{AgentOptions, ClosedBy, Observer, Script, SimulatedAgent, What};
use serde_json::{Value, json};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::{TempDir, tempdir};

/// An agent's address where nobody answers.
const NOBODY: &str = "ws://127.0.0.1:9/v1/agent/converse";

fn folder() -> TempDir {
    tempdir().expect("a temporary folder")
}

/// The order files below a folder.
fn order_files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let is_order = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("order_"));
    entries.map(|entry| entry.expect("an entry").path()).filter(is_order).collect()
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).expect("the file is there")).expect("JSON")
}

async fn get(address: SocketAddr, path: &str) -> Value {
    let answer = client().get(format!("http://{address}{path}")).send().await.expect("an answer");
    assert_eq!(answer.status(), 200, "{path}");
    answer.json().await.expect("JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn one_demo_call_shows_the_conversation_and_leaves_a_verified_order() {
    let folder = folder();
    // If it is ours or somebody else's: the port is taken.
    let taken = TcpListener::bind("127.0.0.1:8000");
    // Nothing of this may be used: neither the folder nor the accounts.
    let twilio = TcpListener::bind("127.0.0.1:0").expect("a port");
    twilio.set_nonblocking(true).expect("a socket");
    let env_file = format!(
        "ORDERS_DIR=elsewhere\nDEEPGRAM_API_KEY=real-key\nDG_AGENT_URL={NOBODY}\nTWILIO_ACCOUNT_SID=AC1\n\
         TWILIO_AUTH_TOKEN=real-token\nTWILIO_FROM_E164=+15550001111\nTWILIO_API_BASE=http://{}\nVOICE_HOST=voice.example.com\n\
         MENU_FILE=missing.toml\n",
        twilio.local_addr().expect("an address")
    );
    std::fs::write(folder.path().join(".env"), env_file).expect("a file");
    let demo = Program::new(folder.path(), &["demo", "--once", "--speed", "10"]);
    // Set in the environment itself, they are still nobody's business in a demo.
    let demo = demo.set("DEEPGRAM_API_KEY", "real-key").set("TWILIO_API_BASE", "http://127.0.0.1:9");
    let (status, said) = demo.run().await;
    drop(taken);
    assert_eq!(status.code(), Some(0), "{said:#?}");

    let told = &said.stdout;
    for part in [
        "caller  Hi, I'd like a taro milk tea",
        "agent   One taro milk tea",
        "→ checkout_order",
        "← {\"ok\":true",
        "twilio  ",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(told.contains("127.0.0.1:8000 cannot be used"), "{told}");
    let addresses: Vec<&str> = told.split_whitespace().filter(|word| word.starts_with("http://127.0.0.1:")).collect();
    assert!(addresses.iter().any(|address| address.ends_with("/orders")), "{told}");
    assert!(addresses.iter().any(|address| address.ends_with("/barista")), "{told}");
    assert!(addresses.iter().all(|address| !address.contains(":8000/")), "another port: {told}");

    let files = order_files(&folder.path().join("orders/demo"));
    let [file] = &files[..] else { panic!("one order: {files:?}") };
    let order = read(file);
    assert_eq!(
        (&order["total"], &order["channel"], &order["metadata"]["demo"]),
        (&json!(6.25), &json!("phone"), &json!(true))
    );
    for part in
        [order["order_number"].as_str().expect("a number"), &file.file_name().expect("a name").to_string_lossy()]
    {
        assert!(told.contains(part), "{part}: {told}");
    }
    for text in order["deliveries"].as_array().expect("a list") {
        assert_eq!(text["state"], "skipped", "nobody is texted");
    }
    assert!(!folder.path().join("elsewhere").exists(), "the folder of .env is the shop's");
    assert!(twilio.accept().is_err(), "Twilio was called");
    assert!(!format!("{said:?}").contains("real-"), "{said:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_demo_keeps_away_from_orders_that_no_demo_made() {
    let folder = folder();
    let demo = || Program::new(folder.path(), &["demo", "--once", "--speed", "20"]).set("ORDERS_DIR", "till");
    let (status, said) = demo().run().await;
    assert_eq!(status.code(), Some(0), "{said:#?}");
    assert!(!folder.path().join("orders").exists(), "the environment names another folder");
    let file =
        order_files(&folder.path().join("till")).pop().expect("an order in the folder that the environment names");

    let mut order = read(&file);
    order["metadata"] = json!({});
    let untouched = serde_json::to_vec(&order).expect("JSON");
    std::fs::write(&file, &untouched).expect("a file");
    let (status, said) = demo().run().await;
    assert_eq!(status.code(), Some(1), "{said:#?}");
    assert!(said.stderr.contains("ORDERS_DIR") && said.stderr.contains("till"), "{}", said.stderr);
    assert_eq!(std::fs::read(&file).expect("the file is there"), untouched);

    // What cannot be read may be a shop's order.
    std::fs::write(&file, b"{\"order_id\":").expect("a file");
    let (status, said) = demo().run().await;
    assert_eq!(status.code(), Some(1), "{said:#?}");
    assert_eq!(std::fs::read(&file).expect("it is where it was"), b"{\"order_id\":");
    assert_eq!(order_files(&folder.path().join("till")).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_its_settings_says_what_is_missing_and_ends() {
    let folder = folder();
    let (status, said) = Program::new(folder.path(), &[]).run().await;
    assert_eq!(status.code(), Some(1), "{said:#?}");
    assert!(said.stderr.contains("DEEPGRAM_API_KEY is missing"), "{}", said.stderr);
    for needless in ["TWILIO_AUTH_TOKEN", "STAFF_PASSWORD", "VOICE_HOST"] {
        assert!(!said.stderr.contains(needless), "a local server needs no {needless}: {}", said.stderr);
    }
    let (status, said) = Program::new(folder.path(), &["serve"]).set("BIND_ADDR", "0.0.0.0:0").run().await;
    assert_eq!(status.code(), Some(1), "{said:#?}");
    assert_eq!(said.stderr.matches("cannot be used").count(), 1, "one message: {}", said.stderr);
    for needed in ["DEEPGRAM_API_KEY", "TWILIO_AUTH_TOKEN", "STAFF_PASSWORD", "VOICE_HOST"] {
        assert!(said.stderr.lines().any(|line| line.trim().starts_with(needed)), "{needed}: {}", said.stderr);
    }
    assert_eq!(std::fs::read_dir(folder.path()).expect("the folder").count(), 0, "nothing was begun");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_wrong_setting_is_named_at_once() {
    let folder = folder();
    let wrong = [
        ("BIND_ADDR", "everywhere"),
        ("WS_SCHEME", "https"),
        ("AGENT_AUDIO", "mp3"),
        ("MAX_CALLS", "many"),
        ("PHONE_REGION", "USA"),
        ("LOG_FORMAT", "xml"),
        ("CLEAR_ORDERS_ON_START", "perhaps"),
        ("DEEPGRAM_API_KEY_FILE", "/nowhere/key"),
    ];
    let server = wrong.iter().fold(Program::new(folder.path(), &[]), |server, (name, value)| server.set(name, value));
    let (status, said) = server.run().await;
    assert_eq!(status.code(), Some(1), "{said:#?}");
    for (name, _) in wrong {
        assert!(said.stderr.contains(name), "{name}: {}", said.stderr);
    }
    assert!(said.stderr.matches("expected").count() >= wrong.len() - 1, "{}", said.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_menu_stops_the_start_and_names_the_line() {
    let folder = folder();
    let menu =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("menus/boba.toml")).expect("the menu");
    let lines = menu.lines().count();
    let broken = format!("{menu}\nthis is no menu\n");
    std::fs::write(folder.path().join("menu.toml"), broken).expect("a file");
    for arguments in [&["serve"][..], &["check"], &["test-order"]] {
        let program =
            Program::new(folder.path(), arguments).set("BIND_ADDR", "127.0.0.1:0").set("DEEPGRAM_API_KEY", "key");
        let (status, said) = program.set("MENU_FILE", "menu.toml").run().await;
        assert_eq!(status.code(), Some(1), "{arguments:?}: {said:#?}");
        let told = format!("{}{}", said.stdout, said.stderr);
        assert!(told.contains("MENU_FILE"), "{arguments:?}: {told}");
        assert!(told.contains(&format!("line {}", lines + 2)), "{arguments:?}: {told}");
    }
    let missing = Program::new(folder.path(), &[]).set("DEEPGRAM_API_KEY", "key").set("MENU_FILE", "missing.toml");
    let (status, said) = missing.run().await;
    assert_eq!(status.code(), Some(1), "{said:#?}");
    assert!(said.stderr.contains("MENU_FILE") && said.stderr.contains("missing.toml"), "{}", said.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_env_file_is_read_the_environment_goes_first_and_a_stop_is_prompt() {
    let folder = folder();
    let env_file =
        format!("DEEPGRAM_API_KEY=key\nDG_AGENT_URL={NOBODY}\nBIND_ADDR=127.0.0.1:0\nSTAFF_PASSWORD=of-the-file\n");
    std::fs::write(folder.path().join(".env"), env_file).expect("a file");
    let mut server = Program::new(folder.path(), &[]).set("STAFF_PASSWORD", "of-the-environment").start();
    let address = server.address().await;
    let base = format!("http://{address}");
    try_sign_in(&base, "of-the-file").await.assert_error(401, "UNAUTHENTICATED");
    let cookie = sign_in(&base, "of-the-environment").await;
    let orders = client().get(format!("{base}/orders.json")).header("Cookie", cookie).send().await;
    assert_eq!(orders.expect("an answer").status(), 200);

    let asked = Instant::now();
    server.terminate();
    let (status, said) = server.end().await;
    assert_eq!(status.code(), Some(0), "{said:#?}");
    // Far below the time after which it would give up waiting for whatever is open.
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    assert!(said.stderr.contains("stopped"), "{}", said.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_env_file_is_told() {
    let folder = folder();
    std::fs::write(folder.path().join(".env"), "DEEPGRAM_API_KEY=key\nthis is no setting\n").expect("a file");
    let (status, said) = Program::new(folder.path(), &[]).set("BIND_ADDR", "127.0.0.1:0").run().await;
    assert_eq!(status.code(), Some(1), "{said:#?}");
    assert!(said.stderr.contains(".env"), "{}", said.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_env_file_names_the_setting_or_the_line_and_never_a_secret() {
    for (file, named) in [
        ("LOG_LEVEL=info\nDEEPGRAM_API_KEY=hush hush\n", "DEEPGRAM_API_KEY"),
        ("export STAFF_PASSWORD='hush\nhush\n", "STAFF_PASSWORD"),
        ("TWILIO_AUTH_TOKEN_FILE=\"hush\n", "TWILIO_AUTH_TOKEN_FILE"),
        ("# a comment\n\nhush hush\n", "line 3"),
        ("LOG_LEVEL=info\nhush hush=\n", "line 2"),
    ] {
        let folder = folder();
        std::fs::write(folder.path().join(".env"), file).expect("a file");
        for command in ["serve", "check", "test-order"] {
            let (status, said) = Program::new(folder.path(), &[command]).run().await;
            assert_eq!(status.code(), Some(1), "{said:#?}");
            let told = format!("{}{}", said.stdout, said.stderr);
            assert!(told.contains(named) && told.contains("quote the value"), "{named}: {told}");
            assert!(!told.contains("hush"), "a secret is shown: {told}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_env_file_of_a_folder_above_is_not_ours() {
    let folder = folder();
    std::fs::write(folder.path().join(".env"), "DEEPGRAM_API_KEY=key\n").expect("a file");
    let inner = folder.path().join("inner");
    std::fs::create_dir(&inner).expect("a folder");
    let (status, said) = Program::new(&inner, &["check"]).run().await;
    assert_eq!(status.code(), Some(1), "{said:#?}");
    assert!(said.stdout.contains("DEEPGRAM_API_KEY is missing"), "{}", said.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_folder_has_one_server() {
    let folder = folder();
    let mut first = Program::local_server(folder.path(), NOBODY).start();
    let address = first.address().await;
    let (status, said) = Program::local_server(folder.path(), NOBODY).run().await;
    assert_eq!(status.code(), Some(1), "{said:#?}");
    assert!(said.stderr.contains("another server") && said.stderr.contains("ORDERS_DIR"), "{}", said.stderr);
    assert_eq!(get(address, "/orders.json").await, json!([]), "the first one is not disturbed");
    first.kill().await;
    let mut next = Program::local_server(folder.path(), NOBODY).start();
    next.address().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_is_wrong_is_told_in_one_message() {
    let folder = folder();
    let wrong =
        [("MENU_FILE", "missing.toml"), ("PHONE_REGION", "XX"), ("SMS_COUNTRIES", "US,YY"), ("LOG_FORMAT", "xml")];
    for command in ["serve", "check"] {
        let program = Program::new(folder.path(), &[command]).set("BIND_ADDR", "127.0.0.1:0");
        let program = wrong.iter().fold(program, |program, (name, value)| program.set(name, value));
        let (status, said) = program.run().await;
        assert_eq!(status.code(), Some(1), "{command}: {said:#?}");
        let told = format!("{}{}", said.stdout, said.stderr);
        let message = told.split_once("cannot be used").unwrap_or_else(|| panic!("{command}: {told}")).1;
        for name in wrong.iter().map(|(name, _)| *name).chain(["DEEPGRAM_API_KEY"]) {
            assert_eq!(message.lines().filter(|line| line.trim().starts_with(name)).count(), 1, "{name}: {told}");
        }
    }
    let program = Program::new(folder.path(), &["check"]).set("DEEPGRAM_API_KEY", "key");
    let (status, said) = program.set("AGENT_THINK_MODEL", "nobodys-model").run().await;
    assert_eq!(status.code(), Some(1), "{said:#?}");
    assert!(said.stdout.contains("AGENT_THINK_PROVIDER is missing"), "{}", said.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_fails_has_cleared_no_order() {
    let (folder, taken) = (folder(), TcpListener::bind("127.0.0.1:0").expect("a port"));
    let order = folder.path().join("orders/order_20240101T000000.json");
    std::fs::create_dir(folder.path().join("orders")).expect("a folder");
    std::fs::write(&order, "{}").expect("a file");
    let server = || Program::local_server(folder.path(), NOBODY).set("CLEAR_ORDERS_ON_START", "true");
    let address = taken.local_addr().expect("an address").to_string();
    for failing in [server().set("BIND_ADDR", &address), server().set("PHONE_REGION", "XX")] {
        let (status, said) = failing.run().await;
        assert_eq!(status.code(), Some(1), "{said:#?}");
        assert!(order.exists(), "cleared by a start that failed: {said:#?}");
    }
    server().start().address().await;
    assert!(!order.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_demo_call_is_no_success() {
    let folder = folder();
    let mut demo = Program::new(folder.path(), &["demo", "--once"]).start();
    demo.line(|line| line.contains("A call from")).await;
    demo.terminate();
    let (status, said) = demo.end().await;
    assert_eq!(status.code(), Some(1), "{said:#?}");
    assert!(said.stderr.contains("interrupted"), "{said:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_taken_is_named() {
    let (folder, taken) = (folder(), TcpListener::bind("127.0.0.1:0").expect("a port"));
    let address = taken.local_addr().expect("an address").to_string();
    let (status, said) = Program::local_server(folder.path(), NOBODY).set("BIND_ADDR", &address).run().await;
    assert_eq!(status.code(), Some(1), "{said:#?}");
    assert!(said.stderr.contains("BIND_ADDR") && said.stderr.contains(&address), "{}", said.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn check_says_what_is_set_and_what_is_missing_and_keeps_secrets() {
    let folder = folder();
    let check = || Program::new(folder.path(), &["check"]);
    let (status, said) = check().run().await;
    assert_eq!(status.code(), Some(1), "{said:#?}");
    assert!(
        said.stdout.contains("DEEPGRAM_API_KEY is missing") && said.stdout.contains("not ready"),
        "{}",
        said.stdout
    );
    for setting in bobarista::config::SETTINGS {
        assert!(
            said.stdout.lines().any(|line| line.contains(&format!(" {} ", setting.name))),
            "{}: {}",
            setting.name,
            said.stdout
        );
    }

    std::fs::write(folder.path().join("password"), "hush-password").expect("a file");
    let public = || {
        let program = check().set("BIND_ADDR", "0.0.0.0:0").set("VOICE_HOST", "voice.example.com");
        let program = program.set("DEEPGRAM_API_KEY", "hush-key").set("TWILIO_AUTH_TOKEN", "hush-token");
        program.set("MSG_TWILIO_AUTH_TOKEN", "hush-texts").set("API_KEY", "hush-api").set("SHOP_ID", "harbour")
    };
    let (status, said) = public().run().await;
    assert_eq!(status.code(), Some(1), "{said:#?}");
    assert!(said.stdout.contains("STAFF_PASSWORD is missing"), "{}", said.stdout);
    let (status, said) = public().set("STAFF_PASSWORD_FILE", "password").run().await;
    assert_eq!(status.code(), Some(0), "{said:#?}");
    for part in [
        "voice.example.com",
        "harbour",
        "https://voice.example.com/voice",
        "is valid",
        "ready to start",
        "the file password",
    ] {
        assert!(said.stdout.contains(part), "{part}: {}", said.stdout);
    }
    assert!(!format!("{said:?}").contains("hush"), "a secret is shown: {said:#?}");
    let left: Vec<_> = std::fs::read_dir(folder.path())
        .expect("the folder")
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    assert_eq!(left, ["password"], "nothing was begun");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_order_is_written_read_back_and_never_shown() {
    let folder = folder();
    let test_order = || Program::new(folder.path(), &["test-order"]);
    let (status, said) = test_order().run().await;
    assert_eq!(status.code(), Some(0), "{said:#?}");
    let path_in = |said: &str| {
        let word = said.split_whitespace().find(|word| word.contains("test_order_")).expect("it says where it is");
        folder.path().join(word.trim_matches(|c: char| "`\"',.;()".contains(c)))
    };
    let first = path_in(&said.stdout);
    assert!(first.file_name().expect("a name").to_string_lossy().starts_with("test_order_"), "{}", first.display());
    assert!(read(&first)["items"].as_array().is_some_and(|items| items.len() == 1));

    let mut server = Program::local_server(folder.path(), NOBODY).start();
    let address = server.address().await;
    let (status, said) = test_order().run().await;
    assert_eq!(status.code(), Some(0), "beside a running server: {said:#?}");
    let second = path_in(&said.stdout);
    assert_ne!(first, second);
    for path in ["/orders.json", "/orders/in_progress.json"] {
        assert_eq!(get(address, path).await, json!([]), "{path}");
    }
    let answer = client()
        .get(format!("http://{address}/api/orders/{}", read(&first)["order_number"].as_str().expect("a number")));
    assert_eq!(answer.send().await.expect("an answer").status(), 404);
    server.kill().await;
    assert!(first.exists() && second.exists(), "a server leaves them alone");

    // A place that cannot be written is the answer that the command is there for.
    std::fs::write(folder.path().join("a-file"), "").expect("a file");
    let (status, said) = test_order().set("ORDERS_DIR", "a-file/orders").run().await;
    assert_eq!(status.code(), Some(1), "{said:#?}");
    assert!(said.stderr.contains("ORDERS_DIR") && said.stderr.contains("a-file"), "{}", said.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_was_announced_survives_a_power_cut() {
    let (events, mut told) = tokio::sync::mpsc::unbounded_channel();
    let observer = Observer { events: Some(events), tap: None };
    let options = AgentOptions { speed: SPEED, observer, ..AgentOptions::default() };
    let agent = SimulatedAgent::start([Script::boba()], options).await.expect("a port for the agent");
    let folder = folder();
    let mut server = Program::local_server(folder.path(), &agent.url()).start();
    let address = server.address().await;
    let calling = tokio::spawn(async move { caller_of(address).call(&Script::boba()).await });
    // The moment the agent is told, and not a moment later.
    let number: OrderNumber = loop {
        let event = tokio::time::timeout(PATIENCE, told.recv()).await.expect("in time").expect("the agent lives");
        if let What::ToolAnswered { name, content, .. } = event.what
            && name == "checkout_order"
        {
            let answer: Value = serde_json::from_str(&content).expect("JSON");
            break answer["order_number"]
                .as_str()
                .unwrap_or_else(|| panic!("{answer}"))
                .parse()
                .expect("an order number");
        }
    };
    server.kill().await;
    let report = calling.await.expect("no panic");
    assert!(!report.is_ok_and(|report| report.finished), "the call was cut off in the middle");

    let mut server = Program::local_server(folder.path(), &agent.url()).start();
    let address = server.address().await;
    let order = get(address, &format!("/api/orders/{number}")).await;
    assert_eq!(
        (&order["order_id"], &order["status"], &order["total"]),
        (&json!("ORD-main-1"), &json!("received"), &json!(6.25))
    );
    assert_eq!(get(address, "/orders/in_progress.json").await, json!([{"order_number": number, "status": "received"}]));

    // And the shop goes on where it was, for somebody else: the same drinks from the same number would be a slip.
    let report = caller_of(address)
        .calling_from("+15559876543")
        .call(&Script::boba())
        .await
        .expect("the call gets as far as a stream");
    assert!(report.finished && report.closed_by == ClosedBy::Server, "{report:?}");
    let orders = get(address, "/orders.json").await;
    assert_eq!(orders[0]["order_id"], "ORD-main-2", "{orders}");
    assert_ne!(orders[0]["order_number"], orders[1]["order_number"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_of_a_few_calls_tells_what_they_cost_and_loses_nothing() {
    for audio in ["linear16", "mulaw"] {
        let folder = folder();
        let arguments =
            ["load", "--calls", "3", "--seconds", "1", "--rate", "50", "--audio", audio, "--json", "it.json"];
        let (status, said) = Program::new(folder.path(), &arguments).run().await;
        assert_eq!(status.code(), Some(0), "{said:#?}");
        assert!(said.stdout.starts_with(&format!("3 calls in {audio} for 1 s, 50 new ones a second")), "{said:#?}");

        let figures = read(&folder.path().join("it.json"));
        assert_eq!((&figures["audio"], &figures["calls"]), (&json!(audio), &json!(3)));
        assert_eq!((&figures["calls_failed"], &figures["frames_lost"]), (&json!(0), &json!([0, 0])));
        assert_eq!(figures["set_up"]["count"], 3, "{figures}");
        for way in 0..2 {
            assert!(figures["frames_sent"][way].as_u64() > Some(0), "{figures}");
        }
        for delays in ["up", "down", "set_up"] {
            // Nearly all of what is measured is under the six seconds that can be told: else it told nothing.
            let (p50, max) = (figures[delays]["p50_ms"].as_f64(), figures[delays]["max_ms"].as_f64());
            assert!(p50 <= max && p50 < Some(6_000.0), "{delays}: {figures}");
        }
        for cost in ["cpu_ms_a_call_second", "resident_kib_a_call", "generator_cpu_ms_a_call_second"] {
            assert!(figures[cost].is_number(), "{cost}: {figures}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_whose_server_does_not_answer_says_so() {
    let folder = folder();
    let arguments =
        ["load", "--calls", "2", "--seconds", "1", "--server", "http://127.0.0.1:9", "--agent", "127.0.0.1:0"];
    let (status, said) = Program::new(folder.path(), &arguments).run().await;
    assert_eq!(status.code(), Some(1), "{said:#?}");
    assert!(said.stderr.contains("none of the calls was held to the end"), "{said:#?}");
}
