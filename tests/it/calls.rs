//! Whole calls that become orders: what is on disk, on the wire and in the caller's ear afterwards, and what the server
//! does not let an agent do.

use crate::harness::{Call, TestShop, assert_agent_messages_valid, script};
use bobarista::app::Mode;
use bobarista::audio::{Downsampler, FRAME_BYTES, Framer, mulaw};
use bobarista::ordering::money::Money;
use bobarista::simulator::agent::AgentOptions;
use bobarista::simulator::{CallerOptions, ClosedBy, Event, Script, Side, Speaker, What};
use serde_json::{Value, json};

const COFFEE_MENU: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/menus/coffee.toml");
const AFTER_GOODBYE: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response>\n  <Hangup/>\n</Response>\n";
/// The recording that the simulated agent plays: linear16, 24 kHz.
const RECORDING: &[u8] = include_bytes!("../fixtures/audio/agent_reply_24k.s16le");

/// Call time to real time where every byte heard counts: a hiccup of a busy machine must not pass for a pause.
const CALM: f64 = 4.0;

/// A call by the book in a fresh shop, checked from every side but the sound. Returns it with the order's file, of
/// which what differs from run to run is checked here and replaced.
async fn happy_call(script: &Script, settings: &[(&str, &str)]) -> (Call, Value) {
    let tune = |agent: &mut AgentOptions| agent.speed = CALM;
    let mut shop = TestShop::open_tuned([script.clone()], settings, Mode::Production, tune).await;
    let mut feed = shop.staff_feed().await;
    let options = CallerOptions { speed: CALM, ..shop.caller_options() };
    let call = shop.call_as(script, options).await;

    call.assert_flawless();
    assert_eq!(call.report.closed_by, ClosedBy::Server);
    assert_eq!(call.report.after.as_deref(), Some(AFTER_GOODBYE));
    assert_eq!(call.report.clears, callers_lines(&call), "each line of the caller's clears the queue");
    // One mark a reply, in order. On a busy machine the caller may take a gap for a reply's end and interrupt it.
    let interrupted = call.events.iter().filter(|event| event.what == What::Interrupted).count();
    let replies: Vec<String> = (1..=agents_replies(&call)).map(|reply| format!("reply-{reply}")).collect();
    let marks = &call.report.marks_echoed;
    let unmarked: Vec<&String> = replies.iter().filter(|reply| !marks.contains(reply)).collect();
    assert_eq!((marks.len() + interrupted, unmarked.len()), (replies.len(), interrupted), "{marks:?}");
    assert!(marks.is_sorted() && marks.last() == replies.last(), "{marks:?}");
    let agent_ended = Event { side: Side::Agent, call: agent_id(&call), what: What::CallEnded { finished: true } };
    assert!(call.events.contains(&agent_ended), "the agent's leg is closed, after the script's last line");

    let call_sid = call.report.call_sid.as_str();
    assert_eq!(feed.event().await.1, json!({"type": "call_started", "call_sid": call_sid}));
    let created = feed.event().await.1;
    assert_eq!(created["type"], "order_created");
    assert_eq!(feed.event().await.1, json!({"type": "call_ended", "call_sid": call_sid}));

    let files = shop.order_files();
    let [file] = &files[..] else { panic!("one order, one file: {files:#?}") };
    let mut order = file.clone();
    for beside in ["revision", "answers", "fingerprint", "deliveries", "audit"] {
        order.as_object_mut().expect("an object").remove(beside);
    }
    assert_eq!(shop.json("/orders.json").await, json!([order]));
    assert_eq!(created["order"], order);
    let number = call.order_number().to_string();
    assert_eq!(shop.json(&format!("/api/orders/{number}")).await, order);
    assert_eq!(
        shop.json("/orders/in_progress.json").await,
        json!([{"order_number": number, "status": "received"}]),
        "the public sees a number and a status"
    );
    assert_eq!(file["call_sid"], call_sid);
    assert_eq!(file["order_number"], json!(number));
    (call, redacted(file))
}

/// The record with what differs from run to run replaced, after a look at its form.
fn redacted(record: &Value) -> Value {
    let mut record = record.clone();
    let created: jiff::Timestamp = record["timestamp"].as_str().expect("a text").parse().expect("ISO 8601");
    assert_eq!(record["created_at"], created.as_second());
    assert_eq!(record["updated_at"], record["timestamp"]);
    assert_eq!(record["history"][0]["at"], record["timestamp"]);
    let number = record["order_number"].as_str().expect("a text").to_owned();
    assert!(number.len() == 4 && number.bytes().all(|digit| digit.is_ascii_digit()), "{number}");
    let sid = record["call_sid"].as_str().expect("a text").to_owned();
    for (name, value) in record.as_object_mut().expect("an object") {
        match (name.as_str(), value) {
            (
                "order_number"
                | "call_sid"
                | "created_at"
                | "timestamp"
                | "updated_at"
                | "fingerprint"
                | "estimated_ready_time",
                value,
            ) => {
                *value = format!("[{name}]").into();
            }
            ("history", history) => history[0]["at"] = "[timestamp]".into(),
            ("answers", answers) => {
                let key = answers[0]["key"].as_str().expect("a text").replace(&sid, "[call_sid]");
                answers[0]["key"] = key.into();
                answers[0]["at"] = "[timestamp]".into();
            }
            ("audit", audit) => {
                audit[0]["at"] = "[timestamp]".into();
                audit[0]["correlation_id"] = "[correlation_id]".into();
            }
            ("deliveries", deliveries) => {
                for delivery in deliveries.as_array_mut().expect("a list") {
                    let body = delivery["body"].as_str().expect("a text").replace(&number, "[order_number]");
                    delivery["body"] = body.into();
                    for name in ["owed_at", "not_before", "correlation_id"] {
                        delivery[name] = format!("[{name}]").into();
                    }
                }
            }
            _ => {}
        }
    }
    record
}

fn callers_lines(call: &Call) -> u64 {
    let spoke =
        |event: &&Event| event.side == Side::Caller && matches!(event.what, What::Said { who: Speaker::Caller, .. });
    call.events.iter().filter(spoke).count() as u64
}

fn agents_replies(call: &Call) -> usize {
    call.messages.iter().filter(|tapped| tapped.side == Side::Agent && tapped.text.contains("AgentAudioDone")).count()
}

fn agent_id(call: &Call) -> String {
    let agents = call.events.iter().find(|event| event.side == Side::Agent);
    agents.expect("the agent took the call").call.clone()
}

/// The recording as a caller has to hear it: converted in one piece, cut into frames.
fn recording_as_heard() -> Vec<u8> {
    let (mut converted, mut heard) = (Vec::new(), Vec::new());
    let (mut down, mut framer) = (Downsampler::new(), Framer::new());
    down.push(RECORDING, &mut converted);
    down.finish(&mut converted);
    framer.push(&converted, |frame| heard.extend_from_slice(frame));
    framer.finish(|frame| heard.extend_from_slice(frame));
    heard
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_becomes_a_boba_order() {
    let (call, file) = happy_call(&Script::boba(), &[]).await;
    insta::assert_json_snapshot!("boba_order", file);

    assert!(find(&call.report.heard, &recording_as_heard()).is_some(), "the recording was not heard bit by bit");
    let (ours, theirs) = assert_agent_messages_valid(&call.messages);
    assert_eq!(Vec::from_iter(ours), ["FunctionCallResponse", "Settings"]);
    for kind in ["Welcome", "SettingsApplied", "ConversationText", "UserStartedSpeaking", "FunctionCallRequest"] {
        assert!(theirs.contains(kind), "{kind} is not among {theirs:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_becomes_a_coffee_order() {
    let (call, file) = happy_call(&Script::coffee(), &[("MENU_FILE", COFFEE_MENU)]).await;
    insta::assert_json_snapshot!("coffee_order", file);
    assert_agent_messages_valid(&call.messages);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_mulaw_on_both_legs_the_agent_is_heard_byte_by_byte() {
    let (call, _) = happy_call(&Script::boba(), &[("AGENT_AUDIO", "mulaw")]).await;
    // The simulated agent's own conversion of its recording, which is rough: averages of three samples.
    let samples: Vec<i32> = RECORDING.as_chunks().0.iter().map(|pair| i32::from(i16::from_le_bytes(*pair))).collect();
    let sent: Vec<u8> =
        samples.chunks_exact(3).map(|three| mulaw::encode((three.iter().sum::<i32>() / 3) as i16)).collect();
    assert!(find(&call.report.heard, &sent).is_some(), "the agent's bytes were not heard as they were sent");
    assert_agent_messages_valid(&call.messages);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_who_interrupts_hears_no_more_of_that_reply() {
    let interrupting = script(
        r#"
        name = "barge-in"
        behaviour = { late_audio_ms = 600 }
        step = [
            { caller = "A taro milk tea." },
            { tools = [{ name = "add_to_cart", arguments = { flavor = "taro milk tea" } }] },
            { agent = "Sure! One taro milk tea with boba. Anything else?", clip = "agent_reply" },
            { caller = "Just the tea.", interrupt_after_ms = 500 },
            { tools = [{ name = "confirm_pending_to_cart" }] },
            { expect = { tool = "confirm_pending_to_cart", field = "ok", value = true } },
            { agent = "Sure! One taro milk tea with boba. Anything else?", clip = "agent_reply" },
            { caller = "No." },
            { tools = [{ name = "save_phone_number" }, { name = "checkout_order" }] },
            { expect = { tool = "checkout_order", field = "ok", value = true } },
            { agent = "Done. Goodbye!" },
        ]"#,
    );
    let mut shop = TestShop::open_tuned([interrupting.clone()], &[], Mode::Production, |agent| {
        agent.speed = CALM;
        agent.pace = 1.0;
    })
    .await;
    let options = CallerOptions { speed: CALM, ..shop.caller_options() };
    let call = shop.call_as(&interrupting, options).await;
    call.assert_flawless();
    let interruptions = call.events.iter().filter(|event| event.what == What::Interrupted).count();
    assert_eq!(interruptions, 1, "the agent was interrupted while it was sending");
    assert_eq!(call.report.closed_by, ClosedBy::Server);
    assert_eq!(shop.orders().await.len(), 1);

    // Heard were a part of the reply and, without anything between, the whole of it when it was said again.
    let whole = recording_as_heard();
    let heard = &call.report.heard;
    let again = find(heard, &whole).expect("the reply that nobody interrupted is heard to its end");
    let before = &heard[..again];
    let part = (0..whole.len()).rev().find(|length| before.ends_with(&whole[..*length])).expect("at least nothing");
    assert!(part >= 500 * 8, "heard before the interruption: {part} bytes");
    // Between the first line's clear and the second's, more had come than was heard.
    let to_caller: Vec<&str> = call
        .messages
        .iter()
        .filter(|tapped| tapped.side == Side::Caller && !tapped.sent)
        .map(|tapped| tapped.text.as_str())
        .collect();
    let is = |text: &&str, event: &str| text.starts_with(&format!("{{\"event\":\"{event}\""));
    let interrupted = to_caller.split(|text| is(text, "clear")).nth(1).expect("each line clears the queue");
    let queued = interrupted.iter().filter(|text| is(text, "media")).count() * FRAME_BYTES;
    assert!(part < queued && queued < whole.len(), "heard {part} bytes of {queued} queued, of {}", whole.len());
    assert!(!call.report.marks_echoed.contains(&"reply-2".to_owned()), "{:?}", call.report.marks_echoed);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_calls_at_once_have_a_cart_each() {
    let order = |behaviour: &str, flavor: &str, quantity: u32, total: f64| {
        script(&format!(
            r#"
            name = "{flavor}"
            behaviour = {behaviour}
            step = [
                {{ caller = "{quantity} {flavor}, please." }},
                {{ tools = [{{ name = "add_to_cart", arguments = {{ flavor = "{flavor}", quantity = {quantity} }} }}] }},
                {{ agent = "{quantity} {flavor}. Is that right?" }},
                {{ caller = "Yes, that is right." }},
                {{ tools = [{{ name = "confirm_pending_to_cart" }}, {{ name = "get_cart" }}] }},
                {{ expect = {{ tool = "get_cart", field = "count", value = {quantity} }} }},
                {{ expect = {{ tool = "get_cart", field = "items.0.flavor", value = "{flavor}" }} }},
                {{ expect = {{ tool = "get_cart", field = "total", value = {total} }} }},
                {{ agent = "Anything else, or shall I place the order now?" }},
                {{ caller = "Please do." }},
                {{ tools = [{{ name = "save_phone_number" }}, {{ name = "checkout_order" }}] }},
                {{ expect = {{ tool = "checkout_order", field = "items.1", value = "none" }} }},
                {{ agent = "All done. Goodbye!" }},
            ]"#
        ))
    };
    let (strings, objects) = (r#"{ arguments = "string" }"#, r#"{ arguments = "object" }"#);
    let taro = order(strings, "taro milk tea", 2, 11.0);
    let black = order(objects, "black milk tea", 3, 16.5);
    let mut shop = TestShop::open([taro.clone(), black.clone()]).await;

    let first = shop.begin_call(&taro, shop.caller_options());
    // The scripts are played in the order of the connections, so the second caller waits for the first one's.
    shop.event(|event| (event.side == Side::Agent && event.what == What::CallStarted).then_some(())).await;
    let other = CallerOptions { from: "+15559876543".to_owned(), ..shop.caller_options() };
    let second = shop.begin_call(&black, other);
    let mut seen_together = 0;
    let mut flaws = Vec::new();
    let mut ended = 0;
    while ended < 2 {
        let what = shop.event(|event| (event.side == Side::Agent).then(|| event.what.clone())).await;
        seen_together = seen_together.max(shop.shop.live_calls().count());
        match what {
            What::CallEnded { .. } => ended += 1,
            What::ExpectationFailed(_) | What::Surprise(_) => flaws.push(what),
            _ => {}
        }
    }
    let first = first.await.expect("no panic").expect("a stream");
    let second = second.await.expect("no panic").expect("a stream");
    shop.at_rest().await;

    assert_eq!(seen_together, 2, "the calls were one after the other");
    // Each script expects a second line that must not be there.
    assert_eq!(flaws.len(), 2, "{flaws:#?}");
    assert!(flaws.iter().all(|flaw| format!("{flaw:?}").contains("items.1")), "{flaws:#?}");
    let orders = shop.orders().await;
    assert_eq!(orders.len(), 2);
    for (report, flavor, quantity, phone) in
        [(first, "taro milk tea", 2, "+15551234567"), (second, "black milk tea", 3, "+15559876543")]
    {
        let order = orders.iter().find(|order| order.call_sid.as_deref() == Some(&report.call_sid));
        let order = json!(order.expect("an order of each call"));
        assert_eq!(order["items"][0]["flavor"], flavor);
        assert_eq!(order["items"][0]["quantity"], quantity);
        assert_eq!(order["phone"], phone);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_cannot_order_what_the_caller_did_not_confirm() {
    let reckless = script(
        r#"
        name = "reckless"
        step = [
            { caller = "Hello, a taro milk tea." },
            { tools = [{ name = "checkout_order" }, { name = "confirm_pending_item" }] },
            { expect = { tool = "checkout_order", field = "code", value = "EMPTY_CART" } },
            { expect = { tool = "confirm_pending_item", field = "code", value = "NO_PENDING_ITEM" } },
            { expect = { tool = "confirm_pending_item", field = "error", value = "No pending drink to confirm." } },
            { tools = [{ name = "add_to_cart", arguments = { flavor = "taro milk tea", quantity = 11 } }] },
            { expect = { tool = "add_to_cart", field = "code", value = "LIMIT" } },
            { tools = [{ name = "add_to_cart", arguments = { flavor = "taro milk tea", toppings = ["gravel"] } }] },
            { expect = { tool = "add_to_cart", field = "code", value = "UNKNOWN_OPTION" } },
            { expect = { tool = "add_to_cart", field = "choices", value = ["boba", "egg pudding", "crystal agar boba", "vanilla cream"] } },
            { tools = [{ name = "add_to_cart", arguments = { flavor = "taro milk tea", addons = ["matcha"] } }] },
            { expect = { tool = "add_to_cart", field = "code", value = "RULE" } },
            { expect = { tool = "add_to_cart", field = "choices", value = ["vanilla cream"] } },
            { tools = [{ name = "add_to_cart", arguments = { flavour = "taro milk tea" } }] },
            { expect = { tool = "add_to_cart", field = "code", value = "BAD_ARGUMENTS" } },
            { tools = [{ name = "add_to_cart", arguments = 5 }] },
            { expect = { tool = "add_to_cart", field = "code", value = "BAD_ARGUMENTS" } },
            { tools = [{ name = "make_coffee" }] },
            { expect = { tool = "make_coffee", field = "code", value = "UNKNOWN_TOOL" } },

            { tools = [{ name = "add_to_cart", arguments = { flavor = "taro milk tea" } }, { name = "confirm_pending_to_cart" }] },
            { expect = { tool = "add_to_cart", field = "staged", value = true } },
            { expect = { tool = "confirm_pending_to_cart", field = "code", value = "NEEDS_CONFIRMATION" } },
            { tools = [{ name = "get_cart" }, { name = "checkout_order" }, { name = "add_to_cart", arguments = { flavor = "black milk tea" } }] },
            { expect = { tool = "get_cart", field = "count", value = 0 } },
            { expect = { tool = "get_cart", field = "items", value = [] } },
            { expect = { tool = "checkout_order", field = "code", value = "PENDING_ITEM" } },
            { expect = { tool = "add_to_cart", field = "code", value = "PENDING_ITEM" } },
            { agent = "One taro milk tea, is that right?" },

            { caller = "Yes, please." },
            { tools = [{ name = "confirm_pending_to_cart" }, { name = "checkout_order" }] },
            { expect = { tool = "confirm_pending_to_cart", field = "cart_count", value = 1 } },
            { expect = { tool = "checkout_order", field = "code", value = "NO_PHONE" } },
            { tools = [{ name = "save_phone_number" }, { name = "menu_summary" }, { name = "order_is_placed" }] },
            { expect = { tool = "save_phone_number", field = "phone", value = "+15551234567" } },
            { expect = { tool = "menu_summary", field = "ok", value = true } },
            { expect = { tool = "order_is_placed", field = "placed", value = false } },
            { tools = [{ name = "modify_cart_item", arguments = { index = 0, ice = "no ice" } }, { name = "checkout_order", arguments = { confirmed = true } }] },
            { expect = { tool = "modify_cart_item", field = "item.ice", value = "no ice" } },
            { expect = { tool = "checkout_order", field = "code", value = "NEEDS_CONFIRMATION" } },
            { agent = "Without ice, then." },

            { caller = "Hm, okay, right." },
            { tools = [{ name = "checkout_order", arguments = { confirmed = true } }, { name = "get_cart" }] },
            { expect = { tool = "checkout_order", field = "code", value = "NEEDS_CONFIRMATION" } },
            { expect = { tool = "get_cart", field = "total", value = 5.5 } },
            { agent = "So one taro milk tea without ice. Is that right?" },

            { caller = "Yes, that's right." },
            { tools = [{ name = "checkout_order", arguments = { confirmed = true } }] },
            { expect = { tool = "checkout_order", field = "ok", value = true } },
            { tools = [{ name = "checkout_order" }, { name = "order_is_placed" }] },
            { expect = { tool = "order_is_placed", field = "placed", value = true } },
            { agent = "Your number is {checkout_order.spoken_order_number}." },

            { caller = "Oh, and a black milk tea." },
            { tools = [{ name = "add_to_cart", arguments = { flavor = "black milk tea" } }] },
            { agent = "A black milk tea as well, is that right?" },
            { caller = "Yes." },
            { tools = [{ name = "confirm_pending_to_cart" }] },
            { tools = [{ name = "checkout_order" }] },
            { expect = { tool = "checkout_order", field = "total", value = 11 } },
            { agent = "It is the same number. Goodbye!" },
        ]"#,
    );
    let mut shop = TestShop::open([reckless.clone()]).await;
    let call = shop.call(&reckless).await;
    call.assert_flawless();

    let asked: Vec<(&str, &str)> = call.events.iter().filter_map(asked).collect();
    let mut answered: Vec<(&str, &str)> = call.events.iter().filter_map(answered).collect();
    answered.sort_unstable_by_key(|(id, _)| asked.iter().position(|(asked, _)| asked == id));
    assert_eq!(asked, answered, "every request has its answer");

    let checkouts = call.answers("checkout_order");
    let refused = checkouts.iter().filter(|answer| answer["code"] == "NEEDS_CONFIRMATION");
    for answer in refused {
        let summary = answer["summary"].as_str().expect("what to read to the caller");
        assert!(summary.contains("no ice"), "{summary}");
    }
    let [placed, repeated, amended] = &checkouts[checkouts.len() - 3..] else { unreachable!("a slice of three") };
    assert_eq!(repeated, placed);
    assert_eq!(amended["order_id"], placed["order_id"]);
    assert_eq!(amended["order_number"], placed["order_number"]);
    let orders = shop.orders().await;
    assert_eq!(orders.len(), 1);
    assert_eq!((orders[0].version, orders[0].items.len()), (2, 2));
    assert_eq!(orders[0].total, Money::from_cents(1100));
}

fn asked(event: &Event) -> Option<(&str, &str)> {
    match &event.what {
        What::ToolCalled { id, name, .. } => Some((id, name)),
        _ => None,
    }
}

fn answered(event: &Event) -> Option<(&str, &str)> {
    match &event.what {
        What::ToolAnswered { id, name, .. } => Some((id, name)),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redial_with_the_same_drinks_is_asked_about_and_a_wanted_second_order_is_taken() {
    let first = Script::boba();
    let again = script(
        r#"
        name = "redial"
        step = [
            { caller = "A taro milk tea with boba." },
            { tools = [{ name = "add_to_cart", arguments = { flavor = "taro milk tea", toppings = ["boba"] } }] },
            { agent = "One taro milk tea with boba, right?" },
            { caller = "Right." },
            { tools = [{ name = "confirm_pending_to_cart" }, { name = "save_phone_number" }, { name = "checkout_order" }] },
            { expect = { tool = "checkout_order", field = "code", value = "DUPLICATE_ORDER" } },
            { agent = "You have ordered that already: {checkout_order.spoken_order_number}. Once more?" },
            { caller = "Yes, for a friend." },
            { tools = [{ name = "checkout_order", arguments = { allow_duplicate = true } }] },
            { expect = { tool = "checkout_order", field = "ok", value = true } },
            { agent = "Done. Goodbye!" },
        ]"#,
    );
    let mut shop = TestShop::open([first.clone(), again.clone()]).await;
    let number = shop.call(&first).await.assert_flawless().order_number();
    let call = shop.call(&again).await;
    call.assert_flawless();
    assert_eq!(call.answers("checkout_order")[0]["order_number"], json!(number));
    assert_ne!(call.order_number(), number);
    assert_eq!(shop.orders().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shop_that_asks_for_a_last_yes_gets_it_and_a_closed_one_still_tells_about_orders() {
    let asking = script(
        r#"
        name = "always"
        step = [
            { caller = "A taro milk tea." },
            { tools = [{ name = "add_to_cart", arguments = { flavor = "taro milk tea" } }] },
            { agent = "One taro milk tea, right?" },
            { caller = "Right." },
            { tools = [{ name = "confirm_pending_to_cart" }, { name = "save_phone_number" }, { name = "checkout_order", arguments = { confirmed = true } }] },
            { expect = { tool = "checkout_order", field = "code", value = "NEEDS_CONFIRMATION" } },
            { tools = [{ name = "get_cart" }] },
            { agent = "One taro milk tea for five fifty. Shall I place it?" },
            { caller = "Yes." },
            { tools = [{ name = "checkout_order", arguments = { confirmed = true } }] },
            { expect = { tool = "checkout_order", field = "ok", value = true } },
            { agent = "Done. Goodbye!" },
        ]"#,
    );
    let closed = script(
        r#"
        name = "closed"
        step = [
            { caller = "Is my order ready? And a black milk tea, please." },
            { tools = [{ name = "order_status" }, { name = "add_to_cart", arguments = { flavor = "black milk tea" } }] },
            { expect = { tool = "order_status", field = "found", value = true } },
            { expect = { tool = "order_status", field = "status", value = "received" } },
            { agent = "It is not ready yet. And a black milk tea?" },
            { caller = "Yes." },
            { tools = [{ name = "confirm_pending_to_cart" }, { name = "save_phone_number" }, { name = "checkout_order" }] },
            { expect = { tool = "checkout_order", field = "code", value = "ORDERING_CLOSED" } },
            { agent = "{checkout_order.error} Goodbye!" },
        ]"#,
    );
    let mut shop = TestShop::open_with([asking.clone()], &[("FINAL_CONFIRMATION", "always")]).await;
    let number = shop.call(&asking).await.assert_flawless().order_number();
    let mut shop = shop.reopen([closed.clone()], &[("ORDERING_ENABLED", "false")]).await;
    let call = shop.call(&closed).await;
    call.assert_flawless();
    assert_eq!(call.answer("order_status")["order_number"], json!(number));
    assert_eq!(shop.orders().await.len(), 1, "nothing was ordered of a closed shop");
}
