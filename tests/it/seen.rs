//! A server seen from outside: its metrics after a whole call, and what is kept of that call.

use crate::harness::{Answer, PATIENCE, TestShop, client, quick_order, script, shape};
use bobarista::simulator::Script;
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Every sample of a scrape by its series, after a strict look at the form of the text.
fn samples(text: &str) -> BTreeMap<String, f64> {
    assert!(text.ends_with('\n') && !text.contains("\n\n"));
    let (mut samples, mut described) = (BTreeMap::new(), BTreeSet::new());
    let (mut name, mut kind) = (String::new(), String::new());
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            name = help.split_once(' ').expect("a name and its help").0.to_owned();
            assert!(described.insert(name.clone()), "{name} is described twice");
            assert_well_named(&name);
        } else if let Some(typed) = line.strip_prefix("# TYPE ") {
            let (of, is) = typed.split_once(' ').expect("a name and its type");
            assert_eq!(of, name, "help comes first");
            assert!(["counter", "gauge", "histogram"].contains(&is), "{line}");
            assert_eq!(is == "counter", name.ends_with("_total"), "{line}");
            kind = is.to_owned();
        } else {
            let (series, value) = line.rsplit_once(' ').expect("a series and its value");
            let (of, labels) = series.split_once('{').unwrap_or((series, "}"));
            let suffix = of.strip_prefix(name.as_str()).unwrap_or_else(|| panic!("{line} stands under {name}"));
            let is_part = ["_bucket", "_sum", "_count"].contains(&suffix);
            assert!(if kind == "histogram" { is_part } else { suffix.is_empty() }, "{line}");
            let labels = labels.strip_suffix('}').expect("labels end");
            for label in labels.split(',').filter(|label| !label.is_empty()) {
                let (label, value) = label.split_once('=').expect("a label");
                assert!(label.bytes().all(|byte| byte.is_ascii_lowercase()), "{line}");
                let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).expect("quoted");
                assert!(value.len() <= 32 && !value.contains(['"', '\\']), "{line}");
            }
            let value = value.parse().unwrap_or_else(|error| panic!("{line}: {error}"));
            assert!(samples.insert(series.to_owned(), value).is_none(), "{series} is there twice");
        }
    }
    assert!(samples.len() > 100, "{}", samples.len());
    samples
}

/// Base units, and our own names under our own prefix.
fn assert_well_named(name: &str) {
    assert!(name.starts_with("bobarista_") || name.starts_with("process_"), "{name}");
    assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
    for unit in ["_ms", "_milliseconds", "_us", "_kb", "_minutes", "_percent"] {
        assert!(!format!("{name}_").contains(&format!("{unit}_")), "{name} is in no base unit");
    }
}

impl TestShop {
    async fn scrape(&self) -> BTreeMap<String, f64> {
        let answer = self.get("/metrics").await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert_eq!(answer.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
        samples(&answer.text)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scrape_after_a_whole_call_tells_what_happened() {
    let script = quick_order();
    let mut shop = TestShop::open([script.clone()]).await;
    let before = shop.scrape().await;
    assert_eq!(before["bobarista_calls_started_total"], 0.0);
    // What the README's alerts look at must have been nought before it can rise.
    for outcome in ["NOT_SAVED", "STILL_WORKING"] {
        let series = format!("bobarista_tool_calls_total{{tool=\"checkout_order\",outcome=\"{outcome}\"}}");
        assert_eq!(before.get(&series), Some(&0.0), "{series}");
    }
    let feed = shop.staff_feed().await;
    assert_eq!(shop.scrape().await["bobarista_feeds_open{audience=\"staff\"}"], 1.0);
    drop(feed);
    let call = shop.call(&script).await;
    let number = call.assert_flawless().order_number().to_string();
    let changed = shop.post(&format!("/api/orders/{number}/done")).await;
    assert_eq!(changed.status, 200, "{}", changed.text);
    let after = shop.scrape().await;
    for (series, value) in [
        ("bobarista_calls_active", 0.0),
        ("bobarista_calls_started_total", 1.0),
        ("bobarista_call_duration_seconds_count", 1.0),
        ("bobarista_agent_connects_total{outcome=\"new\"}", 1.0),
        ("bobarista_agent_redials_total", 0.0),
        ("bobarista_agent_set_up_seconds_count", 1.0),
        ("bobarista_tool_calls_total{tool=\"add_to_cart\",outcome=\"ok\"}", 1.0),
        ("bobarista_tool_calls_total{tool=\"checkout_order\",outcome=\"ok\"}", 1.0),
        ("bobarista_tool_duration_seconds_count{tool=\"checkout_order\"}", 1.0),
        ("bobarista_calls_turned_away_total{reason=\"busy\"}", 0.0),
        ("bobarista_orders_created_total{channel=\"phone\"}", 1.0),
        ("bobarista_order_status_changes_total{status=\"ready\"}", 1.0),
        ("bobarista_deliveries_due{lane=\"texts\"}", 0.0),
        ("bobarista_http_requests_total{route=\"stream\",status=\"1xx\"}", 1.0),
    ] {
        assert_eq!(after.get(series), Some(&value), "{series}");
    }
    let ended: f64 =
        after.iter().filter(|(series, _)| series.starts_with("bobarista_calls_ended_total")).map(|(_, n)| n).sum();
    assert_eq!(ended, 1.0);
    for direction in ["in", "out"] {
        assert!(after[&format!("bobarista_audio_frames_total{{direction=\"{direction}\"}}")] > 10.0);
    }
    assert!(after["bobarista_agent_replies_total{stage=\"began\"}"] >= 3.0);
    let timeline = shop.json(&format!("/api/v1/calls/{}", call.report.call_sid)).await["timeline"].clone();
    let entries = timeline.as_array().expect("a list");
    for what in ["agent_live", "reply_began", "tool_began", "tool_done", "order_placed", "goodbye"] {
        assert!(entries.iter().any(|entry| entry["what"] == what), "{what}: {timeline}");
    }
    assert!(entries.iter().any(|entry| entry["order_number"] == json!(number)), "{timeline}");
    assert!(entries.is_sorted_by_key(|entry| entry["at_ms"].as_u64()), "{timeline}");
    assert!(after["bobarista_http_requests_total{route=\"voice\",status=\"2xx\"}"] >= 1.0);
    assert!(after["process_resident_memory_bytes"] > 1e6 && after["process_open_fds"] > 3.0);
    for (series, count) in &before {
        let is_count = series.contains("_total") || series.contains("_bucket") || series.contains("_count");
        assert!(!is_count || after[series] >= *count, "{series} went down");
    }
    let text = shop.get("/metrics").await.text;
    assert!(!text.contains(&call.report.call_sid) && !text.contains("1555"), "no calls' names, no numbers");
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_for_programs_with_the_key_and_for_a_servers_own_machine() {
    let local = TestShop::open_with([], &[("STAFF_PASSWORD", "sesame"), ("API_KEY", "the-key")]).await;
    assert_eq!(local.get("/metrics").await.status, 200, "its own machine needs no key");
    let public = [
        ("STAFF_PASSWORD", "sesame"),
        ("API_KEY", "the-key"),
        ("VOICE_HOST", "voice.example.com"),
        ("TWILIO_AUTH_TOKEN", "token"),
    ];
    let public = TestShop::open_with([], &public).await;
    public.get("/metrics").await.assert_error(401, "UNAUTHENTICATED");
    let ask = || client().get(public.url("/metrics"));
    Answer::to(ask().bearer_auth("guess")).await.assert_error(401, "UNAUTHENTICATED");
    let cookie = public.sign_in("sesame").await;
    Answer::to(ask().header("Cookie", cookie)).await.assert_error(401, "UNAUTHENTICATED");
    assert_eq!(Answer::to(ask().bearer_auth("the-key")).await.status, 200);
}

/// A call whose answers end somebody's order, said in words.
fn talkative() -> Script {
    script(
        r#"
        name = "talkative"
        step = [
            { agent = "Hey, what can I get you?" },
            { caller = "Nothing, thank you." },
            { agent = "Goodbye!" },
        ]"#,
    )
}

async fn one_call(settings: &[(&str, &str)]) -> (TestShop, String) {
    let script = talkative();
    let mut shop = TestShop::open_with([script.clone()], settings).await;
    let call = shop.call(&script).await;
    let call_sid = call.assert_flawless().report.call_sid.clone();
    (shop, call_sid)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_kept_as_the_shop_has_set() {
    for (records, has_record, has_transcript) in
        [("none", false, false), ("timeline", true, false), ("transcript", true, true)]
    {
        let (shop, call_sid) = one_call(&[("CALL_RECORDS", records)]).await;
        let document = shop.json("/api/openapi.json").await;
        let list = shop.json("/api/v1/calls").await;
        assert!(shape(&document, "CallList").is_valid(&list), "{list}");
        let whole = shop.get(&format!("/api/v1/calls/{call_sid}")).await;
        if !has_record {
            assert_eq!(list, json!({"calls": [], "next_cursor": null}));
            whole.assert_error(404, "NOT_FOUND");
            continue;
        }
        let whole = whole.json();
        assert!(shape(&document, "CallRecord").is_valid(&whole), "{whole}");
        let head = &list["calls"][0];
        assert_eq!(
            (&head["call_sid"], &head["end_reason"], &head["order_number"]),
            (&json!(call_sid), &whole["end_reason"], &Value::Null)
        );
        assert!(head.get("transcript").is_none() && head.get("timeline").is_none(), "{head}");
        assert_eq!(
            (&whole["has_transcript"], whole["transcript"].is_array()),
            (&json!(has_transcript), has_transcript)
        );
        if has_transcript {
            let said = whole["transcript"].as_array().expect("lines").iter();
            let said: Vec<_> =
                said.map(|line| (line["who"].as_str().unwrap_or(""), line["text"].as_str().unwrap_or(""))).collect();
            assert!(
                said.contains(&("caller", "Nothing, thank you.")) && said.contains(&("agent", "Goodbye!")),
                "{said:?}"
            );
        }
        // It outlives the server, and the public page's reader never sees it.
        let shop = shop.reopen([], &[("CALL_RECORDS", records)]).await;
        assert_eq!(shop.json(&format!("/api/v1/calls/{call_sid}")).await, whole);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_calls_go_on_where_they_ended_and_nonsense_is_refused() {
    let script = talkative();
    let mut shop = TestShop::open([script.clone(), script.clone(), script.clone()]).await;
    let mut sids = Vec::new();
    for _ in 0..3 {
        sids.insert(0, shop.call(&script).await.report.call_sid);
    }
    let first = shop.json("/api/v1/calls?limit=2").await;
    let next = first["next_cursor"].as_str().expect("there is one more");
    let second = shop.json(&format!("/api/v1/calls?limit=2&cursor={next}")).await;
    let calls = [&first, &second].into_iter().flat_map(|page| page["calls"].as_array().expect("a list"));
    let told: Vec<&str> = calls.map(|call| call["call_sid"].as_str().expect("a name")).collect();
    assert_eq!((told, &second["next_cursor"]), (sids.iter().map(String::as_str).collect(), &Value::Null));
    for nonsense in ["limit=0", "limit=501", "limit=x", "cursor=", "cursor=abc", "cursor=NDI"] {
        shop.get(&format!("/api/v1/calls?{nonsense}")).await.assert_error(400, "VALIDATION");
    }
    for nothing in ["CA1", "%00", "%F0%9F%8D%B5", "..%2F..%2Fetc", &"9".repeat(4000)] {
        shop.get(&format!("/api/v1/calls/{nothing}")).await.assert_error(404, "NOT_FOUND");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_forgotten_is_forgotten_in_their_calls_too() {
    let script = quick_order();
    let mut shop = TestShop::open_with([script.clone(), talkative()], &[("CALL_RECORDS", "transcript")]).await;
    let ordered = shop.call(&script).await.report.call_sid;
    let other = shop.call(&talkative()).await.report.call_sid;
    assert_eq!(shop.json("/api/v1/calls").await["calls"].as_array().map(Vec::len), Some(2));
    let phone = shop.orders().await[0].phone.as_ref().expect("a number").as_e164().to_owned();
    let forget = client().post(shop.url("/api/v1/customers/forget")).header("Content-Type", "application/json");
    let answer = Answer::to(forget.body(json!({"phone": phone}).to_string())).await;
    assert_eq!(answer.json(), json!({"orders": 1, "deleted_orders": 0, "calls": 1}));
    shop.get(&format!("/api/v1/calls/{ordered}")).await.assert_error(404, "NOT_FOUND");
    assert_eq!(shop.get(&format!("/api/v1/calls/{other}")).await.status, 200, "nobody's order leads to it");
}

#[tokio::test(flavor = "multi_thread")]
async fn old_records_are_erased_when_the_server_starts() {
    let (shop, call_sid) = one_call(&[]).await;
    let path = shop.orders_dir().join(format!("state/call/{call_sid}.json"));
    let file = std::fs::read_to_string(&path).expect("its file");
    let mut state: Value = serde_json::from_str(&file).expect("JSON");
    let text = state["value"]["record"].as_str().expect("a record").to_owned();
    let mut record: Value = serde_json::from_str(&text).expect("JSON");
    record["began_at"] = "2020-01-01T00:00:00Z".into();
    let stopped = shop.stop().await;
    state["value"]["record"] = record.to_string().into();
    std::fs::write(&path, state.to_string()).expect("it is written");
    let shop = stopped.open().await;
    let address = format!("/api/v1/calls/{call_sid}");
    let known = || shop.get(&address);
    // The file goes first.
    let gone = async {
        while path.exists() || known().await.status == StatusCode::OK {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.expect("it is erased");
    known().await.assert_error(404, "NOT_FOUND");
}
