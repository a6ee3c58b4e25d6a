//! What the program tells of a call – and what it must never tell: who called, what was said, and any key.

use crate::harness::phone::{Phone, token_in};
use crate::harness::program::Program;
use crate::harness::{PATIENCE, SPEED, client, sign_in, try_sign_in};
use bobarista::ordering::menu::Menu;
use bobarista::simulator::script::Step;
use bobarista::simulator::{
    AgentOptions, CallReport, CallerOptions, ClosedBy, Observer, Script, SimulatedAgent, SimulatedCaller, Tapped,
};
use bobarista::twilio::message::MediaFormat;
use secrecy::SecretString;
use serde_json::Value;
use std::collections::HashSet;
use std::net::SocketAddr;

const KEYS: [(&str, &str); 4] = [
    ("DEEPGRAM_API_KEY", "hush-deepgram-key"),
    ("TWILIO_AUTH_TOKEN", "hush-twilio-token"),
    ("STAFF_PASSWORD", "hush-staff-password"),
    ("API_KEY", "hush-api-key"),
];

/// An account, so that the texts' worker has something to tell; nobody listens there.
const TEXTS: [(&str, &str); 3] =
    [("TWILIO_ACCOUNT_SID", "AC00"), ("TWILIO_FROM_E164", "+15550001111"), ("TWILIO_API_BASE", "http://127.0.0.1:9")];

/// The number that is texted, as far as a log may tell it.
const MASKED: &str = "*********67";

/// A whole call against the program as it is run, from its webhook to a Done on the console.
struct Told {
    stderr: String,
    report: CallReport,
    order_number: String,
    /// Everything that both simulators sent and received.
    wire: Vec<Tapped>,
}

async fn a_call(level: &str, format: &str, texts: &[(&str, &str)]) -> Told {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (tap, mut tapped) = tokio::sync::mpsc::unbounded_channel();
    let observer = Observer { events: None, tap: Some(tap) };
    let options = AgentOptions { speed: SPEED, observer: observer.clone(), ..AgentOptions::default() };
    let agent = SimulatedAgent::start([Script::boba()], options).await.expect("a port for the agent");
    let mut server = Program::local_server(folder.path(), &agent.url());
    for (name, value) in KEYS {
        server = server.set(name, value);
    }
    for (name, value) in texts {
        server = server.set(name, value);
    }
    // Staff may read along; the log may not.
    let mut server = server.set("CALL_TRANSCRIPTS", "true").set("LOG_LEVEL", level).set("LOG_FORMAT", format).start();
    let address = server.address().await;
    let report = talk(address, observer).await;

    let orders = client().get(format!("http://{address}/orders.json")).bearer_auth("hush-api-key").send().await;
    let orders: Value = orders.expect("an answer").json().await.expect("JSON");
    let order_number = orders[0]["order_number"].as_str().unwrap_or_else(|| panic!("no order: {orders}")).to_owned();
    let base = format!("http://{address}");
    try_sign_in(&base, "hush-wrong-password").await.assert_error(401, "UNAUTHENTICATED");
    let cookie = sign_in(&base, "hush-staff-password").await;
    for path in [format!("/api/orders/{order_number}/done"), "/api/orders/1/done".to_owned()] {
        let url = format!("http://{address}{path}");
        client().post(url).header("Cookie", &cookie).send().await.expect("an answer");
    }
    // A stranger's webhook, which the log is to tell of as well.
    let form = [("CallSid", "CA00"), ("From", "+15551234567"), ("Body", "hush-words")];
    client().post(format!("http://{address}/sms/status")).form(&form).send().await.expect("an answer");
    server.line(|line| line.contains(MASKED)).await;
    server.terminate();
    let (status, said) = server.end().await;
    assert!(status.success(), "{said:#?}");
    assert_eq!(said.stdout, "", "logs go to standard error");
    let wire = std::iter::from_fn(|| tapped.try_recv().ok()).collect();
    Told { stderr: said.stderr, report, order_number, wire }
}

async fn talk(address: SocketAddr, observer: Observer) -> CallReport {
    let options = CallerOptions {
        base: format!("http://{address}"),
        public_base: Some("http://127.0.0.1:0".to_owned()),
        auth_token: Some(SecretString::from("hush-twilio-token")),
        dial_streams_at: Some(address),
        speed: SPEED,
        observer,
        ..CallerOptions::default()
    };
    let caller = SimulatedCaller::new(options).expect("a caller");
    let script = Script::boba();
    let call = tokio::time::timeout(PATIENCE, caller.call(&script)).await.expect("the call ends");
    let report = call.expect("the call gets as far as a stream");
    assert!(report.finished && report.closed_by == ClosedBy::Server, "{report:?}");
    report
}

impl Told {
    /// Panics if a line holds what is nobody's business.
    fn assert_discreet(&self) {
        let mut secrets: Vec<String> = KEYS.iter().map(|(_, value)| (*value).to_owned()).collect();
        // Any form of the caller's number has these.
        secrets.extend(["1234567", "123-4567", "123 4567", "1 2 3, 4 5 6 7", "hush-words"].map(str::to_owned));
        secrets.extend(self.stream_token());
        for step in Script::boba().steps {
            match step {
                Step::Caller(line) => secrets.push(line.text),
                // Placeholders are filled in; the words around them are not changed.
                Step::Agent(reply) => {
                    secrets.extend(reply.texts.iter().flat_map(|text| text.split(['{', '}'])).map(str::to_owned))
                }
                _ => {}
            }
        }
        secrets.push(Menu::builtin("boba").expect("the built-in menu").sentences().greeting.clone());
        secrets.extend(["taro", "toppings"].map(str::to_owned));
        // The text message says this too, and one that is not sent is told in full.
        secrets.retain(|secret| !secret.contains("We will text you when it is ready"));
        secrets.retain(|secret| secret.len() > 3 && !secret.starts_with("checkout_") && !secret.starts_with("save_"));
        assert!(secrets.len() > 15, "{secrets:?}");
        for line in self.stderr.lines() {
            for secret in &secrets {
                assert!(!line.contains(secret.as_str()), "{secret:?} is in the log: {line}");
            }
        }
    }

    /// The token of the call's TwiML.
    fn stream_token(&self) -> Vec<String> {
        let token = token_in(&self.report.answer);
        assert!(token.len() >= 32, "{token}");
        let sent = self.wire.iter().any(|message| message.sent && message.text.contains(&token));
        assert!(sent, "the token went over the line");
        vec![token]
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_told_in_json_with_its_ids_and_nothing_private() {
    let told = a_call("debug", "json", &TEXTS).await;
    let lines: Vec<Value> = told
        .stderr
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}")))
        .collect();
    for line in &lines {
        assert!(line["message"].as_str().is_some_and(|sentence| !sentence.is_empty()), "no sentence: {line}");
        assert!(line["level"].is_string() && line["timestamp"].is_string(), "{line}");
    }
    let in_call =
        |line: &&Value| line["spans"].as_array().is_some_and(|spans| spans.iter().any(|span| span["name"] == "call"));
    let of_call: Vec<&Value> = lines.iter().filter(in_call).collect();
    assert!(of_call.len() >= 8, "{}", told.stderr);
    let mut ids = HashSet::new();
    for line in &of_call {
        let span = line["spans"]
            .as_array()
            .and_then(|spans| spans.iter().find(|span| span["name"] == "call"))
            .expect("the span");
        assert_eq!(span["call.sid"], told.report.call_sid, "{line}");
        ids.insert(span["correlation.id"].as_str().expect("an id").to_owned());
    }
    assert!(ids.len() == 1 && ids.iter().all(|id| id.starts_with("req_")), "one call, one id: {ids:?}");

    let events = |name: &str| of_call.iter().filter(|line| line["event"] == name).copied().collect::<Vec<_>>();
    assert_eq!(events("call_started").len(), 1);
    let [created] = events("order_created")[..] else { panic!("one order: {}", told.stderr) };
    assert_eq!(created["order.number"], told.order_number);
    let decisions: Vec<&Value> = events("ai_decision").iter().map(|line| &line["tool"]).collect();
    assert_eq!(
        decisions,
        ["add_to_cart", "confirm_pending_to_cart", "save_phone_number", "checkout_order", "end_call"]
    );
    assert!(events("ai_decision").iter().all(|line| line["decision"] == "done"));
    let [ended] = events("call_ended")[..] else { panic!("one end: {}", told.stderr) };
    assert_eq!((&ended["reason"], &ended["tools"]), (&Value::from("goodbye"), &Value::from(5)));
    assert_eq!(ended["order.number"], told.order_number);
    for count in ["duration_ms", "frames_in", "frames_out"] {
        assert!(ended[count].as_u64().is_some_and(|count| count > 50), "{count}: {ended}");
    }
    assert_eq!(ended["bad_messages"], 0);

    let ready = lines.iter().find(|line| line["event"] == "order_status_changed").expect("Done is told");
    assert_eq!(
        (&ready["order.number"], &ready["order.status"]),
        (&Value::from(told.order_number.as_str()), &Value::from("ready"))
    );
    let request = ready["spans"].as_array().and_then(|spans| spans.iter().find(|span| span["name"] == "request"));
    assert!(
        request.is_some_and(|span| span["correlation.id"].as_str().is_some_and(|id| id.starts_with("req_"))),
        "{ready}"
    );
    assert!(
        lines.iter().any(|line| line["message"].as_str().is_some_and(|text| text.contains("was not signed by Twilio")))
    );
    let text = lines.iter().find(|line| line["message"].as_str().is_some_and(|told| told.contains(MASKED)));
    let text = text.unwrap_or_else(|| panic!("no text: {}", told.stderr));
    assert!(ids.contains(text["correlation.id"].as_str().unwrap_or_default()), "the call that caused it: {text}");
    assert_eq!(text["order.number"], told.order_number);
    told.assert_discreet();
}

#[tokio::test(flavor = "multi_thread")]
async fn not_even_the_finest_level_tells_what_is_private() {
    let told = a_call("trace", "text", &[]).await;
    for part in [
        "call_started",
        "call_ended",
        "order_created",
        "reason=\"goodbye\"",
        &format!("call.sid={}", told.report.call_sid),
    ] {
        assert!(told.stderr.contains(part), "{part}: {}", told.stderr);
    }
    let skipped = told.stderr.lines().find(|line| line.contains(MASKED)).expect("a text that is not sent is told");
    let in_call =
        skipped.contains(&format!("call.sid={}", told.report.call_sid)) && skipped.contains("correlation.id=req_");
    assert!(in_call && skipped.contains("delivery_skipped"), "{skipped}");
    assert!(!told.stderr.contains('\u{1b}'), "no colours where nobody looks at a terminal");
    told.assert_discreet();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_wrong_in_a_call_names_the_call() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    // No agent answers there, and none will.
    let mut server = Program::local_server(folder.path(), "ws://127.0.0.1:9").set("LOG_FORMAT", "json").start();
    let address = server.address().await;
    let form = [("CallSid", "CA7"), ("From", "+15551234567"), ("To", "+15557654321")];
    let twiml = client().post(format!("http://{address}/voice")).form(&form).send().await.expect("an answer");
    let token = token_in(&twiml.text().await.expect("TwiML"));
    let mut phone = Phone::open(address, "CA7", &token, MediaFormat::default()).await;
    phone.start().await;
    phone.send(r#"{"event":"media","streamSid":"MZCA7","media":{"track":"inbound","payload":"***"}}"#).await;
    let mut untold = vec!["not base64", "the agent cannot be reached"];
    while !untold.is_empty() {
        let line = server.line(|line| untold.iter().any(|told| line.contains(told))).await;
        untold.retain(|told| !line.contains(told));
        let line: Value = serde_json::from_str(&line).expect("a JSON line");
        assert_eq!(line["spans"][0]["call.sid"], "CA7", "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coarse_level_takes_the_request_off_no_line() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = Program::local_server(folder.path(), "ws://127.0.0.1:9").set("TWILIO_AUTH_TOKEN", "hush-twilio-token");
    // Where it listens is told at `info`.
    let server = server.set("LOG_LEVEL", "warn,bobarista::commands=info").set("LOG_FORMAT", "json");
    let mut server = server.start();
    let address = server.address().await;
    let forged = client().post(format!("http://{address}/voice")).header("X-Correlation-ID", "till-7").send();
    assert_eq!(forged.await.expect("an answer").status(), 403);
    let line: Value =
        serde_json::from_str(&server.line(|line| line.contains("was not signed")).await).expect("a JSON line");
    assert_eq!(line["spans"][0]["correlation.id"], "till-7", "{line}");
}
