//! What callers have left on tape and calls that have ended, as staff listen to them and look at them.

use super::{assert_all_quiet, open_console};
use crate::harness::browser::{Browser, Scheme, Screen};
use crate::harness::{AUTH_TOKEN, TestShop, TwilioApi, post_signed, quick_order, taping};
use serde_json::{Value, json};
use wiremock::ResponseTemplate;

/// What may be in a timeline, one of each.
fn timeline() -> Value {
    json!([
        {"at_ms": 12, "what": "agent_dialled"},
        {"at_ms": 420, "what": "agent_live", "took_ms": 408},
        {"at_ms": 900, "what": "reply_began"},
        {"at_ms": 4100, "what": "barge_in", "took_ms": 1200},
        {"at_ms": 6000, "what": "turn", "took_ms": 930},
        {"at_ms": 7000, "what": "tool_began", "tool": "add_to_cart"},
        {"at_ms": 7040, "what": "tool_done", "tool": "add_to_cart", "outcome": "ok", "took_ms": 40},
        {"at_ms": 8000, "what": "tool_done", "tool": "unknown", "outcome": "UNKNOWN_TOOL", "took_ms": 1},
        {"at_ms": 9000, "what": "tool_slow", "tool": "checkout_order"},
        {"at_ms": 9500, "what": "tool_cancelled", "tool": "get_cart"},
        {"at_ms": 10000, "what": "agent_lost", "reason": "silent"},
        {"at_ms": 10300, "what": "agent_resumed", "took_ms": 300},
        {"at_ms": 20000, "what": "agent_renewed"},
        {"at_ms": 30000, "what": "keys", "count": 10},
        {"at_ms": 31000, "what": "asked"},
        {"at_ms": 40000, "what": "reply_heard"},
        {"at_ms": 50000, "what": "order_placed", "order_number": "4782"},
        {"at_ms": 55000, "what": "number_again"},
        {"at_ms": 61000, "what": "goodbye", "reason": "goodbye"},
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn staff_find_a_call_and_read_what_happened_and_what_was_said() {
    let script = quick_order();
    let settings = [("CALL_RECORDS", "transcript")];
    let mut shop = TestShop::open_with([script.clone(), script.clone()], &settings).await;
    let first = shop.call(&script).await.report.call_sid;
    let second = shop.call(&script).await.report.call_sid;
    let path = shop.orders_dir().join(format!("state/call/{second}.json"));
    let shop = shop.stop().await;
    let mut state: Value = serde_json::from_str(&std::fs::read_to_string(&path).expect("a record")).expect("JSON");
    let mut record: Value = serde_json::from_str(state["value"]["record"].as_str().expect("a text")).expect("JSON");
    record["timeline"] = timeline();
    record["transcript"][0]["text"] = "<b>Taro</b> & tea, \u{202e}please".into();
    state["value"]["record"] = record.to_string().into();
    std::fs::write(&path, state.to_string()).expect("it is written");
    let shop = shop.open().await;

    let browser = Browser::start().await;
    let mut window = browser.open(Screen::Desktop, &shop, "/barista").await;
    window.click("one('#open-more')", &[]).await;
    window.click("one('#more-drawer a[href=\"/barista/calls\"]')", &[]).await;
    window.until("location.pathname === '/barista/calls' && all('[data-call]').length === 2", &[]).await;
    window.assert_accessible("calls, none chosen").await;
    window.click("one('[data-call=\"' + args[0] + '\"]')", &[json!(second)]).await;
    window.until("/Twilio/.test(page()) && all('.records-timeline li').length === 19", &[]).await;
    let marked = window.look("one('[aria-current]').dataset.call", &[]).await;
    assert_eq!(marked, json!(second));
    let focused = window.look("document.activeElement.id", &[]).await;
    assert_eq!(focused, "record-heading", "a screen reader reads on there");
    let told = window.look("page()", &[]).await;
    let told = told.as_str().expect("text");
    for words in
        ["<b>Taro</b> & tea", "Order 4782 is placed", "add_to_cart: ok, after 0.0 s", "said nothing", "10 keys"]
    {
        assert!(told.contains(words), "{words} is not shown: {told}");
    }
    for nothing in ["undefined", "null", "NaN", "[object"] {
        assert!(!told.contains(nothing), "{told}");
    }
    for (screen, size) in [(Screen::Desktop, "desktop"), (Screen::Phone, "phone")] {
        window.resize(screen).await;
        for (scheme, light) in [(Scheme::Light, "light"), (Scheme::Dark, "dark")] {
            window.media(scheme, false).await;
            window.assert_accessible(&format!("calls, {size}, {light}")).await;
            window.picture(&format!("calls-{size}-{light}")).await;
        }
        let wide = window.look("document.documentElement.scrollWidth > innerWidth", &[]).await;
        assert_eq!(wide, false, "it has to be scrolled sideways on a {size}");
    }
    // To another, back by the browser's own button, and to one that is not kept.
    window.click("one('[data-call=\"' + args[0] + '\"]')", &[json!(first)]).await;
    window.until("one('[aria-current]').dataset.call === args[0]", &[json!(first)]).await;
    window.look("void history.back()", &[]).await;
    window.until("one('[aria-current]').dataset.call === args[0]", &[json!(second)]).await;
    window.expect_failures(&["404"]);
    window.go(&shop.url("/barista/calls#CA1")).await;
    window.look("void location.reload()", &[]).await;
    window.until("/Nothing is kept of this call/.test(says(one('[role=alert]')))", &[]).await;
    assert_all_quiet(&[&window]).await;
}

/// A second of silence: frames of MPEG-1 layer III, 128 kbit/s at 44.1 kHz, that hold nothing.
fn silence() -> Vec<u8> {
    let mut frame = vec![0; 417];
    frame[..4].copy_from_slice(&[0xff, 0xfb, 0x90, 0x64]);
    frame.repeat(38)
}

#[tokio::test(flavor = "multi_thread")]
async fn staff_are_told_of_a_message_and_listen_to_it() {
    let mut twilio = TwilioApi::start([
        ResponseTemplate::new(404),
        ResponseTemplate::new(200).set_body_raw(silence(), "audio/mpeg"),
    ])
    .await;
    let base = twilio.base();
    let shop = TestShop::open_with([], &taping(&base)).await;
    let browser = Browser::start().await;
    let mut console = open_console(&browser, &shop).await;
    assert_eq!(console.look("document.getElementById('unheard').hidden", &[]).await, true, "there is none yet");

    let left = async |n: u32, from: &str| {
        let sid = format!("RE{n:032x}");
        let form = [("CallSid", "CA1"), ("From", from), ("RecordingSid", &sid), ("RecordingDuration", "7")];
        assert_eq!(post_signed(&shop, "/voice/recorded", &form, AUTH_TOKEN).await.status, 200);
    };
    left(1, "+15551234567").await;
    console.until("says(one('#unheard')) === '1 new message'", &[]).await;
    console.assert_accessible("console, a message").await;
    console.click("one('#unheard')", &[]).await;
    console.until("location.pathname === '/barista/calls' && all('audio').length === 1", &[]).await;
    let told = console.look("says(one('#messages'))", &[]).await;
    let told = told.as_str().expect("text");
    assert!(told.contains("555") && told.contains("4567") && told.contains("7 s"), "{told}");
    assert!(!twilio.has_more(), "nobody has asked for its sound");
    console.assert_accessible("calls, a message").await;

    // A test that turns no sound on needs nobody's leave to play.
    let play = "void ((one('audio').muted = true), one('audio').play().catch(() => {}))";
    console.look(play, &[]).await;
    console.until("/cannot be played/.test(says(one('#message-problem')))", &[]).await;
    console.expect_failures(&["404"]);
    console.look(play, &[]).await;
    console.until("one('audio').ended && document.getElementById('message-problem').hidden", &[]).await;
    for _ in 0..2 {
        assert_eq!(twilio.request().await.0, format!("Recordings/RE{:032x}.mp3", 1));
    }

    console.go(&shop.url("/barista")).await;
    console.until(super::LIVE, &[]).await;
    assert_eq!(console.look("document.getElementById('unheard').hidden", &[]).await, true, "it was shown");
    left(2, "anonymous").await;
    console.until("says(one('#unheard')) === '1 new message'", &[]).await;
    assert_all_quiet(&[&console]).await;
}
