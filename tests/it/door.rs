//! Who gets in: signatures and tokens, forms that are none, sockets that misbehave, and the limits.

use crate::harness::{AUTH_TOKEN, TestShop, client, quick_order, script};
use bobarista::simulator::{CallerError, CallerOptions, ClosedBy, Event, Script, Side, SimulatedCaller, Speaker, What};
use bobarista::twilio::message::MediaFormat;
use bobarista::twilio::signature;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, COOKIE, HOST};
use std::time::{Duration, Instant};
use tokio_tungstenite::tungstenite::Message;

const TEXTS_TOKEN: &str = "the token of the account that texts";
/// What a shop on the internet has.
const PUBLIC: [(&str, &str); 4] = [
    ("VOICE_HOST", "Voice.Example.com"),
    ("TWILIO_AUTH_TOKEN", AUTH_TOKEN),
    ("MSG_TWILIO_AUTH_TOKEN", TEXTS_TOKEN),
    ("STAFF_PASSWORD", "open sesame"),
];
const PUBLIC_BASE: &str = "https://voice.example.com";

/// How long a socket may take to begin.
const START_LIMIT: Duration = Duration::from_secs(10);

/// An agent that listens, and ends the call when the caller has said something.
fn short() -> Script {
    script("name = \"short\"\nstep = [{ caller = \"Hello?\" }, { agent = \"Goodbye!\" }]")
}

/// Proves that the server still takes calls, and that none of what came before has reached an agent.
async fn assert_next_call_works(shop: &mut TestShop) {
    assert_eq!(shop.shop.agent().connections(), 0, "the agent was dialled for a stranger");
    shop.call(&short()).await.assert_flawless();
    assert_eq!(shop.shop.agent().connections(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_answered_with_a_stream_and_what_the_caller_claims_is_escaped() {
    let shop = TestShop::open_with([short()], &[("VOICE_HOST", "localhost:9"), ("WS_SCHEME", "wss")]).await;
    let from = "+1\"/><Hangup/>&amp;\u{0}'";
    let form = [("CallSid", "CA1"), ("From", from), ("To", "+15557654321")];
    let answer = client().post(shop.url("/voice")).form(&form).send().await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()[CONTENT_TYPE], "text/xml; charset=utf-8");
    let twiml = answer.text().await.expect("TwiML");
    let token =
        twiml.split_once("name=\"token\" value=\"").and_then(|(_, rest)| rest.split_once('"')).expect("a token").0;
    assert!(token.len() >= 32 && token.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{token}");
    insta::assert_snapshot!(twiml.replace(token, "[token]"), @r#"
    <?xml version="1.0" encoding="UTF-8"?>
    <Response>
      <Say>Connecting you to the Deepgram Boba Rista.</Say>
      <Connect action="https://localhost:9/voice/after">
        <Stream url="wss://localhost:9/twilio" statusCallback="https://localhost:9/voice/status">
          <Parameter name="call_sid" value="CA1"/>
          <Parameter name="from" value="+1&quot;/&gt;&lt;Hangup/&gt;&amp;amp;&apos;"/>
          <Parameter name="to" value="+15557654321"/>
          <Parameter name="token" value="[token]"/>
        </Stream>
      </Connect>
    </Response>
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_twilio_has_not_signed_is_refused_and_what_it_has_becomes_an_order() {
    let mut shop = TestShop::open_with([quick_order()], &PUBLIC).await;
    let form: Vec<(String, String)> =
        [("CallSid", "CA1"), ("From", "+15551234567")].map(|(name, value)| (name.into(), value.into())).into();
    let paths = ["/voice", "/voice/after", "/voice/status", "/sms/status"];
    for path in paths {
        let url = format!("{PUBLIC_BASE}{path}");
        let right = if path == "/sms/status" { TEXTS_TOKEN } else { AUTH_TOKEN };
        let wrong = if path == "/sms/status" { AUTH_TOKEN } else { TEXTS_TOKEN };
        let post = |signature: Option<String>| {
            let request = client().post(shop.url(path)).header(HOST, "voice.example.com").form(&form);
            match signature {
                Some(signature) => request.header(signature::HEADER, signature),
                None => request,
            }
        };
        let other_form = [("CallSid".to_owned(), "CA2".to_owned())];
        for refused in [
            None,
            Some(String::new()),
            Some("not base64!".to_owned()),
            Some(signature::sign(wrong, &url, &form)),
            Some(signature::sign(right, &url, &other_form)),
            Some(signature::sign(right, &format!("{url}?x=1"), &form)),
            Some(signature::sign(right, &shop.url(path), &form)),
        ] {
            let answer = post(refused.clone()).send().await.expect("an answer");
            assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{path} with {refused:?}");
        }
        let answer = post(Some(signature::sign(right, &url, &form))).send().await.expect("an answer");
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
    }

    // A stream whose upgrade is signed by somebody else does not open.
    let forger = CallerOptions { auth_token: Some(TEXTS_TOKEN.into()), ..shop.caller_options() };
    let forger = SimulatedCaller::new(forger).expect("a caller");
    assert!(matches!(forger.call(&quick_order()).await, Err(CallerError::Status { status: 403, .. })));
    let upgrade = format!("ws://{}/twilio", shop.shop.address());
    let mut request =
        tokio_tungstenite::tungstenite::client::IntoClientRequest::into_client_request(upgrade).expect("a request");
    let forged = signature::sign(TEXTS_TOKEN, "wss://voice.example.com/twilio", &[]);
    request.headers_mut().insert(signature::HEADER, forged.parse().expect("a header"));
    match tokio_tungstenite::connect_async(request).await {
        Err(tokio_tungstenite::tungstenite::Error::Http(answer)) => assert_eq!(answer.status(), 403),
        other => panic!("{other:?}"),
    }
    assert_eq!(shop.shop.agent().connections(), 0, "the agent was dialled for a stranger");

    let call = shop.call(&quick_order()).await;
    call.assert_flawless();
    assert!(call.report.answer.contains("url=\"wss://voice.example.com/twilio\""), "{}", call.report.answer);
    assert_eq!(call.report.closed_by, ClosedBy::Server);
    let staff = client().get(shop.url("/orders.json")).header(COOKIE, shop.sign_in("open sesame").await);
    let orders: serde_json::Value = staff.send().await.expect("an answer").json().await.expect("JSON");
    assert_eq!(orders[0]["phone"], "+15551234567");
    // The staff's side is theirs alone.
    for path in ["/orders.json", "/barista/events", "/api/orders/1234"] {
        let answer = client().get(shop.url(path)).send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{path}");
    }
    // Some proxies drop the signature of the upgrade; the token still tells Twilio from strangers.
    let unsigned = CallerOptions { sign_upgrade: false, ..shop.caller_options() };
    shop.call_as(&quick_order(), unsigned).await.assert_flawless();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_without_the_right_token_never_reaches_an_agent() {
    let mut shop = TestShop::open([short()]).await;
    // Announced, but not used: the token stays with its call.
    let token = shop.announce_call("CA1").await;
    for (call_sid, token) in [("CA2", ""), ("CA2", "0123456789abcdef"), ("CA2", token.as_str()), ("CA1", &token)] {
        // The last one is right, and too late: whoever shows a token has used it up.
        let mut phone = shop.phone(call_sid, token).await;
        phone.start().await;
        assert_eq!(phone.closed().await, "its start has no valid token for its call", "{call_sid} {token}");
    }
    shop.at_rest().await;
    assert_next_call_works(&mut shop).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_opens_one_stream() {
    let mut shop = TestShop::open([short()]).await;
    let mut feed = shop.staff_feed().await;
    let token = shop.announce_call("CA1").await;
    let mut phone = shop.phone("CA1", &token).await;
    phone.start().await;
    feed.event_of("call_started").await;
    let mut second = shop.phone("CA1", &token).await;
    second.start().await;
    assert_eq!(second.closed().await, "its start has no valid token for its call");
    let fresh = shop.announce_call("CA1").await;
    let mut third = shop.phone("CA1", &fresh).await;
    third.start().await;
    assert_eq!(third.closed().await, "its call is in progress already");

    // None of it disturbed the call: the greeting comes, and a second start is ignored.
    phone.start().await;
    let heard = phone.text().await;
    assert!(heard.contains(r#""event":"media""#), "{heard}");
    phone.hang_up().await;
    feed.event_of("call_ended").await;
    shop.at_rest().await;
    assert_eq!(shop.shop.agent().connections(), 1);
    shop.call(&short()).await.assert_flawless();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_begins_with_nonsense_is_closed_with_the_reason() {
    let mut shop = TestShop::open([short()]).await;
    let giant = "x".repeat((64 << 10) + 1);
    let first_messages = [
        (Message::text("not json"), "not a media-stream message"),
        (Message::text("{}"), "not a media-stream message"),
        (Message::text(r#"{"event":"start","start":{"callSid":5}}"#), "not a media-stream message"),
        (Message::binary(vec![0; 160]), "it is binary"),
        (Message::text(giant), "Message too long"),
    ];
    // None is kept until its time to begin is up.
    let began = Instant::now();
    for (message, why) in first_messages {
        let token = shop.announce_call("CA1").await;
        let mut phone = shop.phone("CA1", &token).await;
        let shown: String = message.to_string().chars().take(60).collect();
        phone.send(message).await;
        let told = phone.closed().await;
        assert!(told.starts_with("a message could not be read: ") && told.contains(why), "{told:?} after {shown}");
    }
    let token = shop.announce_call("CA1").await;
    let mut stopped = shop.phone("CA1", &token).await;
    stopped.send(r#"{"event":"stop"}"#).await;
    stopped.closed().await;
    let formats = [("audio/x-wav", 8000, 1), ("audio/x-mulaw", 16_000, 1), ("audio/x-mulaw", 8000, 2)];
    for (encoding, sample_rate, channels) in formats {
        let token = shop.announce_call("CA1").await;
        let format = MediaFormat { encoding: encoding.to_owned(), sample_rate, channels };
        let mut phone = shop.phone_with("CA1", &token, format).await;
        phone.start().await;
        let told = phone.closed().await;
        assert!(told.contains("not audio/x-mulaw at 8000 Hz in one channel"), "{told}");
    }
    let token = shop.announce_call("CA1").await;
    let mut endless = shop.phone("CA1", &token).await;
    for _ in 0..16 {
        endless.send(r#"{"event":"somethingNew"}"#).await;
    }
    assert_eq!(endless.closed().await, "too many messages before start");
    assert!(began.elapsed() < START_LIMIT, "{:?}", began.elapsed());
    shop.at_rest().await;
    assert_next_call_works(&mut shop).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_never_starts_is_closed_after_ten_seconds() {
    let mut shop = TestShop::open([short()]).await;
    let token = shop.announce_call("CA1").await;
    let began = Instant::now();
    let mut phone = shop.phone("CA1", &token).await;
    let connected = phone.writer.connected();
    phone.send(connected).await;
    assert_eq!(phone.closed().await, "no start within 10 s");
    assert!(began.elapsed() >= START_LIMIT, "{:?}", began.elapsed());
    shop.at_rest().await;
    assert_next_call_works(&mut shop).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn audio_before_the_start_is_passed_over_and_nonsense_after_it_is_endured() {
    let mut shop = TestShop::open([short()]).await;
    let mut feed = shop.staff_feed().await;
    let token = shop.announce_call("CA1").await;
    let mut phone = shop.phone("CA1", &token).await;
    let media = phone.writer.media(&[0xff; 160], 0);
    phone.send(media).await;
    phone.start().await;
    feed.event_of("call_started").await;
    let empty = phone.writer.media(&[], 20);
    for nonsense in [
        Message::text("not json"),
        Message::text(""),
        Message::binary(vec![1, 2, 3]),
        Message::text(r#"{"event":"media","media":{"payload":"*** no base64 ***"}}"#),
        Message::text(r#"{"event":"mark","mark":{"name":"not ours"}}"#),
        Message::text(r#"{"event":"somethingNew"}"#),
        Message::text(empty),
    ] {
        phone.send(nonsense).await;
    }
    let heard = phone.text().await;
    assert!(heard.contains(r#""event":"media""#), "{heard}");
    // Too much of a good thing ends the call, and only this one.
    phone.send("x".repeat((64 << 10) + 1)).await;
    assert_eq!(feed.event_of("call_ended").await["call_sid"], "CA1");
    drop(phone);
    shop.at_rest().await;
    shop.call(&short()).await.assert_flawless();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_is_none_is_refused_and_the_next_call_works() {
    let mut shop = TestShop::open([short()]).await;
    const FORM: &str = "application/x-www-form-urlencoded";
    let giant = format!("CallSid=CA1&From={}", "5".repeat(70 << 10));
    let long_sid = format!("CallSid={}", "A".repeat(65));
    let bodies: [(&str, &[u8], u16); 8] = [
        ("application/json", br#"{"CallSid":"CA1"}"#, 400),
        ("multipart/form-data; boundary=x", b"--x--", 400),
        (FORM, b"CallSid=%ff%fe", 400),
        (FORM, b"", 400),
        (FORM, b"From=%2B15551234567", 400),
        (FORM, b"CallSid=CA1%0d%0aX", 400),
        (FORM, long_sid.as_bytes(), 400),
        (FORM, giant.as_bytes(), 413),
    ];
    for path in ["/voice", "/voice/after"] {
        for (content_type, body, status) in bodies {
            let request = client().post(shop.url(path)).header(CONTENT_TYPE, content_type).body(body.to_vec());
            let answer = request.send().await.expect("an answer");
            let shown = String::from_utf8_lossy(&body[..body.len().min(40)]).into_owned();
            assert_eq!(answer.status(), status, "{path} with {content_type} {shown}");
        }
    }
    let answer = client().get(shop.url("/voice")).send().await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_next_call_works(&mut shop).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_call_too_many_is_told_so() {
    let waiting = script("name = \"waiting\"\nstep = [{ caller = \"Hello?\" }, { hang_up = true }]");
    let mut shop = TestShop::open_with([waiting.clone()], &[("MAX_CALLS", "1")]).await;
    let first = shop.begin_call(&waiting, shop.caller_options());
    shop.event(|event| (event.side == Side::Agent && event.what == What::CallStarted).then_some(())).await;
    let second = SimulatedCaller::new(shop.caller_options()).expect("a caller").call(&waiting).await;
    let second = second.expect("an answer");
    assert_eq!(second.closed_by, ClosedBy::NoStream);
    let call = shop.end_call(first).await;
    let told = |event: &Event| match &event.what {
        What::Said { who: Speaker::Twilio, text } if event.call == second.call_sid => Some(text.clone()),
        _ => None,
    };
    assert_eq!(
        call.events.iter().filter_map(told).collect::<Vec<_>>(),
        ["Sorry, every Boba Rista is on another call. Please call again in a few minutes."]
    );
    assert_eq!(shop.shop.agent().connections(), 1);
    // There is room again.
    let third = shop.call(&waiting).await;
    assert_eq!(third.report.closed_by, ClosedBy::Caller);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_local_server_answers_only_this_machine() {
    let shop = TestShop::open([short()]).await;
    for path in ["/voice", "/orders/in_progress.json", "/orders.json", "/nowhere"] {
        for (name, value) in [
            ("host", "voice.example.com"),
            ("host", "127.0.0.1.example.com"),
            ("x-forwarded-for", "192.0.2.1"),
            ("x-forwarded-host", "voice.example.com"),
            ("forwarded", "for=192.0.2.1"),
            ("x-real-ip", "192.0.2.1"),
        ] {
            let answer = client().post(shop.url(path)).header(name, value).send().await.expect("an answer");
            assert_eq!(answer.status(), StatusCode::MISDIRECTED_REQUEST, "{path} with {name}: {value}");
            let told = answer.text().await.expect("a text");
            assert!(told.contains("VOICE_HOST"), "{told}");
        }
    }
    assert_eq!(shop.json("/orders/in_progress.json").await, serde_json::json!([]));
    assert_eq!(shop.post_call("/voice", "CA1").await.status(), StatusCode::OK);
}
