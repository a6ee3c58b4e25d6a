//! Calls that go wrong: each ends in a clear way for the caller, leaves nothing behind, and the next one works.

use crate::harness::{ACCOUNT_SID, AUTH_TOKEN, Call, TestShop, TwilioApi, client, quick_order, script};
use bobarista::deepgram::message::HistoryItem;
use bobarista::simulator::{CallerOptions, ClosedBy, Event, Script, Side, Speaker, What};
use serde_json::json;
use std::time::Duration;
use wiremock::ResponseTemplate;

const SORRY: &str = "<Say>Sorry, we lost the Boba Rista. \
    Please call again; nothing was ordered unless you heard an order number.</Say>";
const UNAVAILABLE: &str = "<Say>Sorry, the Boba Rista cannot come to the phone right now. \
    Please call again in a few minutes.</Say>";
const PERSON: &str = "+15550001111";

/// A call in a fresh shop by this script, whose agent plays one of these on each connection, seen through to its end on the
/// staff's feed; and one that then goes well. The agent has to be dialled for each of them, and for no more.
async fn broken_call_of(script: &Script, connections: Vec<Script>, settings: &[(&str, &str)]) -> Call {
    let wanted = connections.len();
    let mut shop = TestShop::open_with(connections.into_iter().chain([quick_order()]), settings).await;
    let mut feed = shop.staff_feed().await;
    // Returns when no call and no task is left.
    let call = shop.call(script).await;
    assert_eq!(shop.shop.agent().connections(), wanted, "{:#?}", call.events);
    let call_sid = &call.report.call_sid;
    assert_eq!(feed.event_of("call_started").await, json!({"type": "call_started", "call_sid": call_sid}));
    assert_eq!(feed.event_of("call_ended").await, json!({"type": "call_ended", "call_sid": call_sid}));

    shop.call(&quick_order()).await.assert_flawless().order_number();
    call
}

/// As [`broken_call_of`], on one connection.
async fn broken_call(broken: &Script, settings: &[(&str, &str)]) -> Call {
    broken_call_of(broken, vec![broken.clone()], settings).await
}

/// As [`broken_call_of`]; the agent takes so many connections in the same way.
async fn call_that_nobody_takes(broken: &Script, connections: usize, settings: &[(&str, &str)]) -> Call {
    broken_call_of(broken, vec![broken.clone(); connections], settings).await
}

/// As [`broken_call_of`]; the agent that is lost refuses every redial.
async fn call_that_loses_its_agent(broken: &Script, settings: &[(&str, &str)]) -> Call {
    let refusing = connecting("refuse");
    broken_call_of(broken, vec![broken.clone(), refusing.clone(), refusing.clone(), refusing], settings).await
}

/// What a caller is told by a call's last TwiML, in which `ACTION` stands for where the call's own TwiML said to ask.
fn assert_told(call: &Call, verbs: &[&str]) {
    assert_eq!(call.report.closed_by, ClosedBy::Server);
    let action = call.report.answer.split_once("<Connect action=\"").and_then(|(_, rest)| rest.split_once('"'));
    let (action, _) = action.expect("an action on <Connect>");
    let head = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response>\n";
    let verbs: String = verbs.iter().map(|verb| format!("  {verb}\n")).collect();
    let told = call.report.after.as_ref().map(|told| told.replace(action, "ACTION"));
    assert_eq!(told.as_deref(), Some(format!("{head}{verbs}</Response>\n").as_str()));
}

/// An agent that takes calls in this way, and a caller who says hello.
fn connecting(how: &str) -> Script {
    script(&format!(
        r#"
        name = "{how}"
        behaviour = {{ connect = "{how}" }}
        step = [{{ caller = "Hello?" }}]"#
    ))
}

/// An agent that goes wrong when the caller has ordered, before the order is placed.
fn going_wrong(fault: &str) -> Script {
    script(&format!(
        r#"
        name = "{fault}"
        step = [
            {{ caller = "Taro tea." }},
            {{ tools = [{{ name = "add_to_cart", arguments = {{ flavor = "taro milk tea" }} }}] }},
            {{ fault = "{fault}" }},
        ]"#
    ))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_refuses_the_connection_is_dialled_three_times_more_and_is_unavailable() {
    let call = call_that_nobody_takes(&connecting("refuse"), 4, &[]).await;
    assert_told(&call, &[UNAVAILABLE, "<Hangup/>"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_rejects_the_key_is_not_asked_again() {
    let call = call_that_nobody_takes(&connecting("reject"), 1, &[]).await;
    assert_told(&call, &[UNAVAILABLE, "<Hangup/>"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_agent_the_caller_is_put_through_to_a_person_if_there_is_one() {
    let call = call_that_nobody_takes(&connecting("refuse"), 4, &[("TRANSFER_NUMBER", PERSON)]).await;
    assert_told(&call, &[UNAVAILABLE, &format!("<Dial action=\"ACTION\">{PERSON}</Dial>")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_never_welcomes_is_unavailable() {
    // The caller waits for ten seconds at most, and no attempt takes all of them.
    let call = call_that_nobody_takes(&connecting("never_welcome"), 3, &[]).await;
    assert_told(&call, &[UNAVAILABLE, "<Hangup/>"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_never_applies_the_settings_is_unavailable() {
    let call = call_that_nobody_takes(&connecting("never_apply"), 3, &[]).await;
    assert_told(&call, &[UNAVAILABLE, "<Hangup/>"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_reports_an_error_and_cannot_be_had_again_is_lost() {
    let call = call_that_loses_its_agent(&going_wrong("error"), &[]).await;
    assert_told(&call, &[SORRY, "<Hangup/>"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_drops_the_connection_and_cannot_be_had_again_is_lost() {
    let settings = [("TRANSFER_NUMBER", PERSON), ("TWILIO_FROM_E164", "+15557654321")];
    let call = call_that_loses_its_agent(&going_wrong("close"), &settings).await;
    assert_told(&call, &[SORRY, &format!("<Dial callerId=\"+15557654321\" action=\"ACTION\">{PERSON}</Dial>")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_is_lost_twice_goes_on_with_the_conversation_and_greets_once() {
    let interrupted = script(
        r#"
        name = "lost twice"
        bridge = "Sorry, the line dropped for a moment. I'm back."
        step = [
            { caller = "Taro tea." },
            { fault = "error" },
            { tools = [{ name = "add_to_cart", arguments = { flavor = "taro milk tea" } }] },
            { fault = "close" },
            { expect = { tool = "add_to_cart", field = "staged", value = true } },
            { agent = "Right?" },
            { caller = "Yes." },
            { tools = [{ name = "confirm_pending_to_cart" }, { name = "save_phone_number" }] },
            { tools = [{ name = "checkout_order" }] },
            { expect = { tool = "checkout_order", field = "ok", value = true } },
            { agent = "It is {checkout_order.spoken_order_number}. Goodbye!" },
        ]"#,
    );
    let call = broken_call_of(&interrupted, interrupted.connections(), &[]).await;
    call.assert_flawless();
    assert_told(&call, &["<Hangup/>"]);
    let said = |words: &str| {
        let said = |event: &&Event| {
            let heard = matches!(&event.what, What::Said { who: Speaker::Agent, text } if text.starts_with(words));
            event.side == Side::Agent && heard
        };
        call.events.iter().filter(said).count()
    };
    assert_eq!((said("Hey! I am your"), said("Sorry, the line dropped")), (1, 2), "{:#?}", call.events);

    // What each of the two was told of the conversation.
    let told: Vec<&Vec<HistoryItem>> = call
        .events
        .iter()
        .filter_map(|event| match &event.what {
            What::Resumed { messages } => Some(messages),
            _ => None,
        })
        .collect();
    let [first, second] = &told[..] else { panic!("{:#?}", call.events) };
    let words = |item: &HistoryItem| match item {
        HistoryItem::Said { role, content } => format!("{role:?}: {content}"),
        HistoryItem::Called { function_calls } => format!("{}: {}", function_calls[0].name, function_calls[0].response),
    };
    let first: Vec<String> = first.iter().map(words).collect();
    let second: Vec<String> = second.iter().map(words).collect();
    let [greeting, order] = &first[..] else { panic!("{first:#?}") };
    // On a busy machine the caller may speak into it: then it is told as far as it was heard.
    let heard = greeting.strip_prefix("Assistant: ").map(|heard| heard.trim_end_matches('…'));
    assert!(heard.is_some_and(|heard| said(heard) > 0), "{greeting}");
    assert_eq!(order, "User: Taro tea.");
    assert_eq!(second[..2], first[..]);
    assert!(second.last().is_some_and(|answer| answer.starts_with("add_to_cart: {\"ok\":true")), "{second:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_may_hang_up_on_an_agent_that_has_fallen_silent() {
    let silent = script(
        r#"
        name = "silent"
        step = [{ caller = "Taro tea." }, { fault = "silence" }, { hang_up = true }]"#,
    );
    let mut shop = TestShop::open([silent.clone(), quick_order()]).await;
    // Sooner than the silence is noticed.
    let options = CallerOptions { patience: Duration::from_secs(3), ..shop.caller_options() };
    let call = shop.call_as(&silent, options).await;
    assert_eq!((call.report.closed_by, call.report.after), (ClosedBy::Caller, None));
    shop.call(&quick_order()).await.assert_flawless().order_number();
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_and_unknown_messages_of_the_agent_do_not_disturb_a_call() {
    let noisy = script(
        r#"
        name = "noisy"
        step = [
            { fault = "garbage" },
            { caller = "Taro tea." },
            { fault = "unknown_message" },
            { tools = [{ name = "add_to_cart", arguments = { flavor = "taro milk tea" } }] },
            { fault = "garbage" },
            { agent = "Right?" },
            { caller = "Yes." },
            { tools = [{ name = "confirm_pending_to_cart" }, { name = "save_phone_number" }] },
            { tools = [{ name = "checkout_order" }] },
            { expect = { tool = "checkout_order", field = "ok", value = true } },
            { agent = "Goodbye!" },
        ]"#,
    );
    let call = broken_call(&noisy, &[]).await;
    call.assert_flawless();
    assert_told(&call, &["<Hangup/>"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_may_hang_up_at_any_moment() {
    let mut shop = TestShop::open([Script::boba()]).await;
    let mut feed = shop.staff_feed().await;
    // While the agent is dialled, in the greeting, in the first words, while the drink is read back.
    for after_ms in [0, 40, 1_500, 7_000, 13_000] {
        let hang_up_after = Some(Duration::from_millis(after_ms));
        let options = CallerOptions { hang_up_after, ..shop.caller_options() };
        let call = shop.call_as(&Script::boba(), options).await;
        assert_eq!((call.report.closed_by, call.report.after), (ClosedBy::Caller, None), "{after_ms} ms");
        for kind in ["call_started", "call_ended"] {
            assert_eq!(feed.event().await.1, json!({"type": kind, "call_sid": call.report.call_sid}), "{after_ms} ms");
        }
    }

    // Without a word of Twilio's: the connection breaks.
    let token = shop.announce_call("CA1").await;
    let mut phone = shop.phone("CA1", &token).await;
    phone.start().await;
    feed.event_of("call_started").await;
    drop(phone);
    assert_eq!(feed.event_of("call_ended").await["call_sid"], "CA1");
    let after = shop.post_call("/voice/after", "CA1").await.text().await.expect("TwiML");
    assert!(after.contains(SORRY), "{after}");
    shop.at_rest().await;

    shop.call(&Script::boba()).await.assert_flawless();
    assert_eq!(shop.orders().await.len(), 1, "nobody who hung up has ordered");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_cannot_be_saved_stays_in_the_cart_and_is_placed_once_when_the_disk_is_back() {
    let stubborn = script(
        r#"
        name = "no disk"
        step = [
            { caller = "Taro tea." },
            { tools = [{ name = "add_to_cart", arguments = { flavor = "taro milk tea" } }] },
            { agent = "Right?" },
            { caller = "Yes." },
            { tools = [{ name = "confirm_pending_to_cart" }, { name = "save_phone_number" }] },
            { tools = [{ name = "checkout_order" }] },
            { expect = { tool = "checkout_order", field = "code", value = "NOT_SAVED" } },
            { tools = [{ name = "get_cart" }, { name = "order_is_placed" }] },
            { expect = { tool = "get_cart", field = "count", value = 1 } },
            { expect = { tool = "order_is_placed", field = "placed", value = false } },
            { agent = "I am so sorry, but for some reason I could not place the order. It is still in the cart. Shall I try it once more?" },
            { caller = "Yes, please." },
            { tools = [{ name = "checkout_order" }] },
            { expect = { tool = "checkout_order", field = "ok", value = true } },
            { agent = "{checkout_order.spoken_order_number}. Goodbye!" },
        ]"#,
    );
    let mut shop = TestShop::open([stubborn.clone()]).await;
    let mut feed = shop.staff_feed().await;
    let (folder, away) = (shop.orders_dir(), shop.dir.path().join("away"));
    // Whoever runs this as root may write where nobody may, but not where nothing is.
    std::fs::rename(&folder, &away).expect("the folder moves away");
    let call = shop.begin_call(&stubborn, shop.caller_options());
    let answered = |event: &Event| match &event.what {
        What::ToolAnswered { name, .. } if name == "checkout_order" => Some(()),
        _ => None,
    };
    shop.event(answered).await;
    assert!(shop.orders().await.is_empty());
    std::fs::rename(&away, &folder).expect("the folder comes back");
    let call = shop.end_call(call).await;
    call.assert_flawless();

    let orders = shop.orders().await;
    assert_eq!((orders.len(), shop.order_files().len()), (1, 1));
    assert_eq!(orders[0].order_number, call.order_number());
    assert_eq!(feed.event_of("order_created").await["order_number"], json!(call.order_number()));
    assert_eq!(feed.event().await.1["type"], "call_ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_who_wants_a_person_is_put_through_to_one() {
    let script = script(
        r#"
        name = "a person"
        step = [
            { caller = "Give me a human." },
            { tools = [{ name = "transfer_to_human", arguments = { reason = "asked for one" } }] },
            { expect = { tool = "transfer_to_human", field = "ok", value = true } },
            { agent = "One moment, I am putting you through." },
        ]"#,
    );
    let call = broken_call(&script, &[("TRANSFER_NUMBER", PERSON)]).await;
    call.assert_flawless();
    assert_told(&call, &[&format!("<Dial action=\"ACTION\">{PERSON}</Dial>")]);
    let heard = &call.report.marks_echoed;
    assert!(heard.iter().any(|mark| mark == "reply-2"), "the last words were heard: {heard:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_whom_no_person_answered_is_told_so() {
    let shop = TestShop::open_with([quick_order()], &[("TRANSFER_NUMBER", PERSON)]).await;
    for (status, told) in [("no-answer", Some(UNAVAILABLE)), ("busy", Some(UNAVAILABLE)), ("completed", None)] {
        let form = [("CallSid", "CA1"), ("DialCallStatus", status)];
        let answer = client().post(shop.url("/voice/after")).form(&form).send().await.expect("an answer");
        let twiml = answer.text().await.expect("TwiML");
        assert!(twiml.contains("<Hangup/>") && !twiml.contains("<Dial"), "{status}: {twiml}");
        assert_eq!(twiml.contains("<Say>"), told.is_some(), "{status}: {twiml}");
        assert!(told.is_none_or(|told| twiml.contains(told)), "{status}: {twiml}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_twilio_does_not_ask_about_is_ended_through_the_rest_api() {
    let goodbye = script("name = \"goodbye\"\nstep = [{ agent = \"We are closed. Goodbye!\" }]");
    let lost = script("name = \"lost\"\nstep = [{ fault = \"close\" }]");
    let mut api = TwilioApi::start([ResponseTemplate::new(200).set_body_string("{}")]).await;
    let base = api.base();
    let settings =
        [("TWILIO_API_BASE", &*base), ("TWILIO_ACCOUNT_SID", ACCOUNT_SID), ("TWILIO_AUTH_TOKEN", AUTH_TOKEN)];
    let refusing = connecting("refuse");
    let connections = [goodbye, lost, refusing.clone(), refusing.clone(), refusing, quick_order()];
    let shop = TestShop::open_with(connections, &settings).await;
    for call_sid in ["CA1", "CA2"] {
        let token = shop.announce_call(call_sid).await;
        let mut phone = shop.phone(call_sid, &token).await;
        phone.start().await;
        phone.closed().await;
        // And now nobody requests /voice/after.
    }
    let (path, form) = api.request().await;
    assert_eq!((path.as_str(), form), ("Calls/CA1.json", vec![("Status".to_owned(), "completed".to_owned())]));
    let (path, form) = api.request().await;
    assert_eq!(path, "Calls/CA2.json");
    let [(name, twiml)] = &form[..] else { panic!("{form:?}") };
    assert_eq!(name, "Twiml");
    assert!(twiml.contains(SORRY), "{twiml}");
    shop.at_rest().await;
    assert!(!api.has_more());

    // A server that stops says so before it is gone: there is nobody left to ask.
    let token = shop.announce_call("CA3").await;
    let mut phone = shop.phone("CA3", &token).await;
    phone.start().await;
    phone.text().await;
    shop.shop.close().await.expect("the server stops");
    let (path, form) = api.request().await;
    assert_eq!(path, "Calls/CA3.json");
    assert!(form[0].0 == "Twiml" && form[0].1.contains(SORRY), "{form:?}");
    assert!(!api.has_more());
}
