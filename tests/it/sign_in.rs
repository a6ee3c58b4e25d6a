//! The door to the screens: signing in and out, what a stranger can try, and the TV's link.

use crate::harness::feed::Feed;
use crate::harness::{AUTH_TOKEN, Answer, PATIENCE, TestShop, client, sign_in, try_sign_in};
use argon2::{Argon2, Params, PasswordHasher as _};
use bobarista::app::{App, Mode, read_config};
use bobarista::order_service::Clock;
use jiff::Timestamp;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, COOKIE, ORIGIN};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_util::sync::CancellationToken;

const LOCAL: [(&str, &str); 2] = [("STAFF_PASSWORD", "sesame"), ("API_KEY", "the-key")];
/// As strangers reach it: no address is trusted, and cookies are for https.
const PUBLIC: [(&str, &str); 3] =
    [("STAFF_PASSWORD", "sesame"), ("VOICE_HOST", "shop.example"), ("TWILIO_AUTH_TOKEN", AUTH_TOKEN)];
const HTML: &str = "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8";

impl TestShop {
    fn as_staff(&self, method: Method, path: &str, cookie: &str) -> RequestBuilder {
        client().request(method, self.url(path)).header(COOKIE, cookie)
    }

    /// What the console's list answers to whoever sends this cookie.
    async fn orders_as(&self, cookie: &str) -> StatusCode {
        Answer::to(self.as_staff(Method::GET, "/orders.json", cookie)).await.status
    }

    async fn form(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        Answer::to(client().post(self.url(path)).form(fields)).await
    }

    async fn feed_as(&self, path: &str, cookie: &str) -> Feed {
        Feed::of(self.as_staff(Method::GET, path, cookie)).await
    }
}

fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
    answer.headers.get(name).map_or("", |value| value.to_str().expect("text"))
}

/// Panics unless the server ends the feed.
async fn assert_ends(mut feed: Feed) {
    let end = async { while feed.next().await.is_some() {} };
    tokio::time::timeout(PATIENCE, end).await.expect("the feed ends");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_signs_in_and_leads_back() {
    let shop = TestShop::open_with([], &PUBLIC).await;
    let page = client().get(shop.url("/barista?card=7")).header(ACCEPT, HTML);
    let sent = Answer::to(page).await;
    assert_eq!((sent.status.as_u16(), header(&sent, "location")), (303, "/login?next=/barista%3Fcard%3D7"));
    let page = shop.get("/login?next=/barista%3Fcard%3D7").await;
    assert!(page.status == 200 && page.text.contains("<form class=\"login-form\" method=\"post\">"), "{}", page.text);

    // As the page's own form is sent without its script: to the address that it stands at.
    let wrong = shop.form("/login?next=/barista%3Fcard%3D7", &[("password", "sesam"), ("username", "staff")]).await;
    assert_eq!((wrong.status.as_u16(), header(&wrong, "location")), (303, "/login?wrong&next=/barista%3Fcard%3D7"));
    assert!(!wrong.headers.contains_key("set-cookie"));
    let right = shop.form("/login?wrong&next=/barista%3Fcard%3D7", &[("password", "sesame")]).await;
    assert_eq!((right.status.as_u16(), header(&right, "location")), (303, "/barista?card=7"));
    let cookie = header(&right, "set-cookie");
    let (pair, flags) = cookie.split_once("; ").expect("flags");
    assert_eq!(flags, "Path=/; Max-Age=604800; HttpOnly; SameSite=Lax; Secure");
    assert!(pair.starts_with("__Host-staff=") && pair.len() == "__Host-staff=".len() + 64, "{pair}");

    let page = Answer::to(shop.as_staff(Method::GET, "/barista", pair).header(ACCEPT, HTML)).await;
    assert_eq!((page.status.as_u16(), header(&page, "cache-control")), (200, "no-store"));
    assert_eq!(shop.orders_as(pair).await, StatusCode::OK);
    assert_eq!(shop.orders_as(&pair.replace("__Host-", "")).await, StatusCode::UNAUTHORIZED, "set over http by others");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_led_to_another_site() {
    let shop = TestShop::open_with([], &LOCAL).await;
    for elsewhere in [
        "//evil.example",
        "https://evil.example/barista",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "javascript:alert(1)",
        "/x\r\nSet-Cookie: staff=1",
        "evil.example",
        "",
    ] {
        let answer = shop.form("/login", &[("password", "sesame"), ("next", elsewhere)]).await;
        assert_eq!((answer.status.as_u16(), header(&answer, "location")), (303, "/barista"), "{elsewhere:?}");
        assert_eq!(answer.headers.get_all("set-cookie").iter().count(), 2);
        let answer = shop.form("/login", &[("password", "wrong"), ("next", elsewhere)]).await;
        assert_eq!(header(&answer, "location"), "/login?wrong", "{elsewhere:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_sent_to_the_sign_in_or_told_401() {
    let shop = TestShop::open_with([], &LOCAL).await;
    for path in ["/barista", "/barista/events", "/orders.json", "/barista/tv.json"] {
        for accept in ["application/json", "text/event-stream", "*/*"] {
            Answer::to(client().get(shop.url(path)).header(ACCEPT, accept)).await.assert_error(401, "UNAUTHENTICATED");
        }
    }
    let change = client().post(shop.url("/barista/tv/revoke")).header(ACCEPT, HTML);
    Answer::to(change).await.assert_error(401, "UNAUTHENTICATED");
    let signed_in = shop.sign_in("sesame").await;
    for (name, forged) in [
        (COOKIE, format!("staff={}", "0".repeat(64))),
        (COOKIE, format!("staff={}", "f".repeat(63))),
        (COOKIE, "staff=sesame".to_owned()),
        (COOKIE, "staff=the-key".to_owned()),
        (COOKIE, "staff=".to_owned()),
        (COOKIE, signed_in.to_uppercase()),
        (COOKIE, signed_in.replace("staff=", "tv=")),
        (COOKIE, signed_in[..signed_in.len() - 1].to_owned()),
        (COOKIE, format!("{signed_in}0")),
        (COOKIE, "x".repeat(5000)),
        (AUTHORIZATION, signed_in.replace("staff=", "Bearer ")),
        (AUTHORIZATION, "Bearer sesame".to_owned()),
        // staff:sesame.
        (AUTHORIZATION, "Basic c3RhZmY6c2VzYW1l".to_owned()),
    ] {
        let answer = Answer::to(client().get(shop.url("/orders.json")).header(&name, &forged)).await;
        answer.assert_error(401, "UNAUTHENTICATED");
        assert!(!header(&answer, "www-authenticate").contains("Basic"));
    }
    assert_eq!(shop.orders_as(&signed_in).await, StatusCode::OK);
    // A browser keeps other cookies for this host as well, and perhaps more than one of that name.
    let among = format!("theme=dark; staff={}; {signed_in}; tv=1", "0".repeat(64));
    assert_eq!(shop.orders_as(&among).await, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_was_there_before_is_never_signed_in() {
    let shop = TestShop::open_with([], &LOCAL).await;
    let planted = format!("staff={}", "a".repeat(64));
    let request = client().post(shop.url("/login")).header(COOKIE, &planted).form(&[("password", "sesame")]);
    let answer = Answer::to(request).await;
    let first = answer.cookie();
    assert_ne!(first, planted);
    assert_eq!(shop.orders_as(&planted).await, StatusCode::UNAUTHORIZED);
    // Signing in once more changes the token, and the one before opens nothing.
    let again = client().post(shop.url("/login")).header(COOKIE, &first).form(&[("password", "sesame")]);
    let second = Answer::to(again).await.cookie();
    assert_ne!(first, second);
    assert_eq!(shop.orders_as(&first).await, StatusCode::UNAUTHORIZED);
    assert_eq!(shop.orders_as(&second).await, StatusCode::OK);
    // A browser may send more than one; what any of them opens is closed.
    let third = shop.sign_in("sesame").await;
    let both = format!("{first}; {second}; {third}");
    Answer::to(shop.as_staff(Method::POST, "/logout", &both)).await;
    for cookie in [&second, &third] {
        assert_eq!(shop.orders_as(cookie).await, StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_guesses_is_made_to_wait_and_learns_nothing() {
    let shop = TestShop::open_with([], &PUBLIC).await;
    let signed_in = shop.sign_in("sesame").await;
    let base = shop.shop.base();
    // Both at the same moment count both.
    let guess = || try_sign_in(&base, "guess");
    let guesses = tokio::join!(guess(), guess(), guess(), guess(), guess());
    for answer in [guesses.0, guesses.1, guesses.2, guesses.3, guesses.4] {
        answer.assert_error(401, "UNAUTHENTICATED");
    }
    for password in ["guess", "sesame"] {
        let answer = try_sign_in(&base, password).await;
        answer.assert_error(429, "RATE_LIMITED");
        let wait: u32 = header(&answer, "retry-after").parse().expect("seconds");
        assert!((1..=61).contains(&wait), "{wait}");
        let answer = shop.form("/login?next=/barista", &[("password", password)]).await;
        assert_eq!((answer.status.as_u16(), header(&answer, "location")), (303, "/login?slow&next=/barista"));
        assert!(!header(&answer, "retry-after").is_empty() && !answer.headers.contains_key("set-cookie"));
    }
    assert_eq!(shop.orders_as(&signed_in).await, StatusCode::OK, "who is in stays in");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_staff_have_used_is_not_shut_out_with_those_who_guess() {
    let shop = TestShop::open_with([], &PUBLIC).await;
    let first = shop.form("/login", &[("password", "sesame")]).await;
    let cookies: Vec<&str> =
        first.headers.get_all("set-cookie").iter().map(|set| set.to_str().expect("text")).collect();
    let (device, flags) = cookies[1].split_once("; ").expect("flags");
    assert_eq!(flags, "Path=/; Max-Age=31536000; HttpOnly; SameSite=Lax; Secure");
    assert!(device.starts_with("__Host-device="), "{device}");
    assert_eq!(shop.orders_as(device).await, StatusCode::UNAUTHORIZED, "it opens nothing");
    assert_eq!(shop.orders_as(&device.replace("device", "staff")).await, StatusCode::UNAUTHORIZED);
    for _ in 0..5 {
        shop.form("/login", &[("password", "guess")]).await;
    }
    try_sign_in(&shop.shop.base(), "sesame").await.assert_error(429, "RATE_LIMITED");
    let by_device = shop.as_staff(Method::POST, "/login", device).form(&[("password", "sesame")]);
    let answer = Answer::to(by_device).await;
    assert_eq!(shop.orders_as(&answer.cookie()).await, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_sites_page_signs_nobody_in_or_out() {
    let shop = TestShop::open_with([], &LOCAL).await;
    let cookie = shop.sign_in("sesame").await;
    for (name, value) in [
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
        ("Origin", "https://evil.example"),
        ("Origin", "null"),
        ("Sec-Fetch-Site", "nonsense"),
    ] {
        for path in ["/login", "/logout"] {
            let request = shop.as_staff(Method::POST, path, &cookie).header(name, value);
            let fields = [("password", "sesame"), ("everywhere", "true")];
            let answer = Answer::to(request.form(&fields)).await;
            answer.assert_error(403, "FORBIDDEN");
            assert!(!answer.headers.contains_key("set-cookie"));
        }
    }
    assert_eq!(shop.orders_as(&cookie).await, StatusCode::OK);
    // Our own: a form of a page that gives no referrer, through a proxy that changes the host, and what a script posts in
    // a browser that does not say "same-origin".
    let base = shop.shop.base();
    for (origin, site) in [
        ("null", Some("same-origin")),
        ("https://shop.example", Some("same-origin")),
        ("null", Some("none")),
        (base.as_str(), None),
    ] {
        let own = client().post(shop.url("/login")).header(ORIGIN, origin);
        let own = site.into_iter().fold(own, |own, site| own.header("Sec-Fetch-Site", site));
        let answer = Answer::to(own.form(&[("password", "sesame")])).await;
        assert_eq!(shop.orders_as(&answer.cookie()).await, StatusCode::OK, "{origin} {site:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_guessed_no_longer_by_looking_at_pages() {
    let settings = [PUBLIC.as_slice(), &[("API_KEY", "the-key")]].concat();
    let shop = TestShop::open_with([], &settings).await;
    let guess = |key: &str| Answer::to(client().get(shop.url("/barista")).header(ACCEPT, HTML).bearer_auth(key));
    guess("guess").await.assert_error(401, "UNAUTHENTICATED");
    let mut passed = 1;
    while guess("guess").await.status == 401 {
        passed += 1;
        assert!(passed < 40, "it goes on");
    }
    assert!(passed >= 10, "{passed}");
    guess("the-key").await.assert_error(429, "RATE_LIMITED");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_sign_in_is_refused_without_repeating_it() {
    let shop = TestShop::open_with([], &LOCAL).await;
    const FORM: &str = "application/x-www-form-urlencoded";
    let long = format!("password={}", "hush".repeat(2000));
    for (path, kind, body, status) in [
        ("/login", FORM, "passwort=hush", 400),
        ("/login", FORM, "", 400),
        ("/login", FORM, long.as_str(), 413),
        ("/login", "application/json", "{\"password\":5}", 400),
        ("/login", "application/json", "{\"password\":\"hush\"", 400),
        ("/login", "application/json", "[]", 400),
        ("/login", "text/plain", "password=hush", 415),
        ("/login", "multipart/form-data; boundary=x", "--x--", 415),
        ("/logout", "application/json", "{\"everywhere\":\"hush\"}", 400),
        ("/logout", FORM, "everywhere=hush", 400),
        ("/logout", "text/plain", "everywhere=true", 415),
    ] {
        let request = client().post(shop.url(path)).header(CONTENT_TYPE, kind).body(body.to_owned());
        let answer = Answer::to(request).await;
        assert_eq!(answer.status, status, "{path} {kind} {body}: {}", answer.text);
        assert!(!answer.text.contains("hush") && !answer.headers.contains_key("set-cookie"), "{}", answer.text);
    }
    let answer = Answer::to(client().post(shop.url("/login"))).await;
    answer.assert_error(415, "UNSUPPORTED_MEDIA_TYPE");
    shop.ask(Method::PUT, "/login").await.assert_error(405, "METHOD_NOT_ALLOWED");
    shop.get("/logout").await.assert_error(405, "METHOD_NOT_ALLOWED");
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_out_ends_one_sign_in_with_its_feeds_or_all() {
    let shop = TestShop::open_with([], &LOCAL).await;
    let [first, second, third] =
        [shop.sign_in("sesame").await, shop.sign_in("sesame").await, shop.sign_in("sesame").await];
    let feed_of_first = shop.feed_as("/barista/events", &first).await;
    let mut feed_of_second = shop.feed_as("/barista/events", &second).await;
    let feed_of_third = shop.feed_as("/barista/events", &third).await;
    let mut public = Feed::open(&shop.url("/orders/events"), None).await;

    let out = Answer::to(shop.as_staff(Method::POST, "/logout", &first)).await;
    assert_eq!((out.status.as_u16(), header(&out, "location")), (303, "/login"));
    assert_eq!(header(&out, "set-cookie"), "staff=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax");
    assert_ends(feed_of_first).await;
    assert_eq!(shop.orders_as(&first).await, StatusCode::UNAUTHORIZED);
    shop.place(None).await;
    feed_of_second.event_of("order_created").await;

    // Whoever is out signs nobody else out.
    let everywhere = |cookie: &str| {
        let request = shop.as_staff(Method::POST, "/logout", cookie).header(CONTENT_TYPE, "application/json");
        Answer::to(request.body("{\"everywhere\":true}"))
    };
    everywhere(&first).await.assert_error(401, "UNAUTHENTICATED");
    everywhere("").await.assert_error(401, "UNAUTHENTICATED");
    assert_eq!(shop.orders_as(&third).await, StatusCode::OK);
    let out = everywhere(&second).await;
    assert_eq!((out.status.as_u16(), out.json()), (200, json!({"ok": true})));
    assert_ends(feed_of_second).await;
    assert_ends(feed_of_third).await;
    for cookie in [&second, &third] {
        assert_eq!(shop.orders_as(cookie).await, StatusCode::UNAUTHORIZED);
    }
    // Programs and the TV are none of theirs.
    public.event_of("order_created").await;
    let program = client().get(shop.url("/orders.json")).bearer_auth("the-key");
    assert_eq!(Answer::to(program).await.status, 200);
    // Again, it harms nobody.
    let again = shop.form("/logout", &[("everywhere", "false")]).await;
    assert_eq!((again.status.as_u16(), header(&again, "location")), (303, "/login"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_signs_nobody_out_and_another_password_everybody() {
    let shop = TestShop::open_with([], &LOCAL).await;
    let (stays, leaves) = (shop.sign_in("sesame").await, shop.sign_in("sesame").await);
    Answer::to(shop.as_staff(Method::POST, "/logout", &leaves)).await;
    let shop = shop.reopen([], &LOCAL).await;
    assert_eq!(shop.orders_as(&stays).await, StatusCode::OK);
    assert_eq!(shop.orders_as(&leaves).await, StatusCode::UNAUTHORIZED);

    let argon2 = Argon2::from(Params::new(64, 1, 1, None).expect("cheap parameters"));
    let hash = argon2.hash_password(b"tahini").expect("a hash").to_string();
    let shop = shop.reopen([], &[("STAFF_PASSWORD", &hash)]).await;
    assert_eq!(shop.orders_as(&stays).await, StatusCode::UNAUTHORIZED);
    for wrong in ["sesame", hash.as_str()] {
        try_sign_in(&shop.shop.base(), wrong).await.assert_error(401, "UNAUTHENTICATED");
    }
    let cookie = shop.sign_in("tahini").await;
    assert_eq!(shop.orders_as(&cookie).await, StatusCode::OK);
}

#[test]
fn a_hash_that_is_none_stops_the_start() {
    let settings = |name: &str| match name {
        "DEEPGRAM_API_KEY" => Some("key".to_owned()),
        "STAFF_PASSWORD" => Some("$argon2id$v=19$m=19456,t=2,p=1$hush".to_owned()),
        _ => None,
    };
    let error = read_config(&settings).expect_err("no password can match it").to_string();
    assert!(error.contains("STAFF_PASSWORD begins like an argon2 hash and is none"), "{error}");
    assert!(!error.contains("hush"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_ends_with_its_time_and_its_feed_with_it() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let orders_dir = dir.path().join("orders").display().to_string();
    let config = read_config(&|name| match name {
        "ORDERS_DIR" => Some(orders_dir.clone()),
        "DEEPGRAM_API_KEY" => Some("key".to_owned()),
        "STAFF_PASSWORD" => Some("sesame".to_owned()),
        _ => None,
    });
    let hours = Arc::new(AtomicI64::new(500_000));
    let shown = Arc::clone(&hours);
    let clock = Clock::new(move || Timestamp::from_second(3600 * shown.load(Ordering::Relaxed)).expect("an instant"));
    let shutdown = CancellationToken::new();
    let app = App::build(&config.expect("settings"), Mode::Production, clock, shutdown.clone()).await;
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let base = format!("http://{}", listener.local_addr().expect("an address"));
    let serving = tokio::spawn(app.expect("a server").serve(listener));
    let orders = async |cookie: &str| {
        Answer::to(client().get(format!("{base}/orders.json")).header(COOKIE, cookie)).await.status.as_u16()
    };

    let (rests, watches) = (sign_in(&base, "sesame").await, sign_in(&base, "sesame").await);
    let feed = Feed::of(client().get(format!("{base}/barista/events")).header(COOKIE, &watches)).await;
    hours.fetch_add(11, Ordering::Relaxed);
    assert_eq!(orders(&rests).await, 200, "it was used before its 12 hours were up");
    hours.fetch_add(12, Ordering::Relaxed);
    assert_eq!((orders(&rests).await, orders(&watches).await), (401, 200), "who only watches is not idle");
    hours.fetch_add(168, Ordering::Relaxed);
    assert_ends(feed).await;
    assert_eq!(orders(&watches).await, 401);
    shutdown.cancel();
    serving.await.expect("no panic");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_another_site_opens_no_socket() {
    let shop = TestShop::open([]).await;
    let open = async |name: &'static str, value: String| {
        let mut request = format!("ws://{}/twilio", shop.shop.address()).into_client_request().expect("a request");
        request.headers_mut().insert(name, value.parse().expect("a header"));
        match tokio_tungstenite::connect_async(request).await {
            Ok(_) => 101,
            Err(tungstenite::Error::Http(answer)) => answer.status().as_u16(),
            Err(error) => panic!("{error}"),
        }
    };
    for (name, value) in [
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("origin", "http://127.0.0.1:1"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
    ] {
        assert_eq!(open(name, value.to_owned()).await, 403, "{name}: {value}");
    }
    assert_eq!(open("origin", shop.shop.base()).await, 101);
    assert_eq!(open("sec-fetch-site", "same-origin".to_owned()).await, 101);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_tells_browsers_what_not_to_do() {
    let shop = TestShop::open_with([], &LOCAL).await;
    let cookie = shop.sign_in("sesame").await;
    let get = |path: &str| (Method::GET, path.to_owned());
    for (method, path) in [
        get("/"),
        get("/login"),
        get("/orders"),
        get("/barista"),
        get("/orders.json"),
        get("/orders/board.json"),
        get("/shop.json"),
        get("/healthz"),
        get("/static/style.css"),
        get("/api/docs"),
        get("/nowhere"),
        get("/voice"),
        (Method::POST, "/voice".to_owned()),
        (Method::POST, "/login".to_owned()),
        (Method::DELETE, "/orders".to_owned()),
    ] {
        for cookie in ["", &cookie] {
            let answer = Answer::to(shop.as_staff(method.clone(), &path, cookie)).await;
            let told = |name: &str| header(&answer, name).to_owned();
            assert_eq!(told("x-content-type-options"), "nosniff", "{path}");
            assert_eq!(told("x-frame-options"), "DENY", "{path}");
            assert_eq!(told("referrer-policy"), "no-referrer", "{path}");
            let expected = if told("content-type").starts_with("text/html") {
                "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; object-src 'none'"
            } else {
                "default-src 'none'; frame-ancestors 'none'"
            };
            assert_eq!(told("content-security-policy"), expected, "{path}");
            let is_file = ["/", "/login", "/orders", "/static/style.css", "/api/docs"].contains(&path.as_str());
            let kept = if is_file && answer.status == 200 { "no-cache" } else { "no-store" };
            assert_eq!(told("cache-control"), kept, "{path}");
        }
    }
}

const TV: [(&str, &str); 3] = [("STAFF_PASSWORD", "sesame"), ("API_KEY", "the-key"), ("TV_TOKEN", "a wide screen/ü&")];
const TV_ROUTES: [&str; 3] = ["/orders", "/orders/board.json", "/orders/in_progress.json"];

/// The address in the link, as this machine reaches it.
async fn tv_link(shop: &TestShop, request: RequestBuilder) -> String {
    let answer = Answer::to(request).await;
    let link = answer.json()["link"].as_str().expect("a link").to_owned();
    let base = format!("{}/orders?token=", shop.shop.base());
    assert!(link.starts_with(&base), "{link}");
    link
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tv_opens_by_its_link_until_that_is_revoked() {
    let shop = TestShop::open_with([], &TV).await;
    let staff = shop.sign_in("sesame").await;
    for path in TV_ROUTES.into_iter().chain(["/orders/events"]) {
        shop.get(path).await.assert_error(401, "UNAUTHENTICATED");
    }
    let stranger = Answer::to(client().get(shop.url("/orders?token=wide")).header(ACCEPT, HTML)).await;
    assert_eq!((stranger.status.as_u16(), header(&stranger, "location")), (303, "/login?next=/orders%3Ftoken%3Dwide"));
    shop.get("/orders?token=").await.assert_error(401, "UNAUTHENTICATED");
    shop.get("/orders/board.json?token=a%20wide%20screen/%C3%BC%26").await.assert_error(401, "UNAUTHENTICATED");

    let link = tv_link(&shop, shop.as_staff(Method::GET, "/barista/tv.json", &staff)).await;
    assert!(link.ends_with("?token=a%20wide%20screen/%C3%BC%26"), "{link}");
    let opened = Answer::to(client().get(&link)).await;
    assert_eq!((opened.status.as_u16(), header(&opened, "location")), (303, "/orders"));
    let (tv, flags) = header(&opened, "set-cookie").split_once("; ").expect("flags");
    assert_eq!(flags, "Path=/; Max-Age=31536000; HttpOnly; SameSite=Lax");
    for path in TV_ROUTES {
        assert_eq!(Answer::to(shop.as_staff(Method::GET, path, tv)).await.status, 200, "{path}");
        assert_eq!(Answer::to(shop.as_staff(Method::GET, path, &staff)).await.status, 200, "{path}");
    }
    assert_eq!(shop.orders_as(tv).await, StatusCode::UNAUTHORIZED, "the TV is no console");
    assert_eq!(shop.orders_as(&tv.replace("tv=", "staff=")).await, StatusCode::UNAUTHORIZED);

    let feed_of_tv = shop.feed_as("/orders/events", tv).await;
    let mut feed_of_staff = shop.feed_as("/orders/events", &staff).await;
    let theirs = shop.as_staff(Method::POST, "/barista/tv/revoke", &staff).header(ORIGIN, "https://evil.example");
    Answer::to(theirs).await.assert_error(403, "FORBIDDEN");
    let new_link = tv_link(&shop, shop.as_staff(Method::POST, "/barista/tv/revoke", &staff)).await;
    assert_ne!(new_link, link);
    assert_ends(feed_of_tv).await;
    for path in TV_ROUTES {
        Answer::to(shop.as_staff(Method::GET, path, tv)).await.assert_error(401, "UNAUTHENTICATED");
    }
    Answer::to(client().get(&link)).await.assert_error(401, "UNAUTHENTICATED");
    shop.place(None).await;
    feed_of_staff.event_of("order_created").await;
    let new_tv = Answer::to(client().get(&new_link)).await.cookie();

    // Over a restart the old link stays out and the new one in.
    let shop = shop.reopen([], &TV).await;
    assert_eq!(Answer::to(shop.as_staff(Method::GET, "/orders", &new_tv)).await.status, 200);
    Answer::to(shop.as_staff(Method::GET, "/orders", tv)).await.assert_error(401, "UNAUTHENTICATED");
    let described = Answer::to(client().get(shop.url("/api/openapi.json"))).await.json();
    assert!(described["paths"]["/orders/board.json"]["get"]["security"].is_array());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_guesses_the_tvs_token_is_made_to_wait() {
    let settings = [PUBLIC.as_slice(), &[("TV_TOKEN", "a token of the tests")]].concat();
    let shop = TestShop::open_with([], &settings).await;
    let show =
        |token: &str| Answer::to(client().get(shop.url(&format!("/orders?token={}", token.replace(' ', "%20")))));
    let tv = show("a token of the tests").await.cookie();
    for _ in 0..5 {
        show("guess").await.assert_error(401, "UNAUTHENTICATED");
    }
    for token in ["guess", "a token of the tests"] {
        let answer = show(token).await;
        answer.assert_error(429, "RATE_LIMITED");
        let wait: u32 = header(&answer, "retry-after").parse().expect("seconds");
        assert!((1..=61).contains(&wait), "{wait}");
    }
    // Who is in stays in, and guesses of the one are none of the other.
    assert_eq!(Answer::to(shop.as_staff(Method::GET, "/orders?token=guess", &tv)).await.status, 200);
    shop.get("/orders").await.assert_error(401, "UNAUTHENTICATED");
    assert_eq!(try_sign_in(&shop.shop.base(), "sesame").await.status, 200);
}

#[test]
fn a_tv_token_that_is_soon_guessed_stops_the_start() {
    let read = |token: &'static str| {
        read_config(&move |name| match name {
            "DEEPGRAM_API_KEY" => Some("key".to_owned()),
            "TV_TOKEN" => Some(token.to_owned()),
            _ => None,
        })
    };
    let error = read("fifteen letters").expect_err("too short").to_string();
    assert!(error.contains("TV_TOKEN is too short: expected 16 characters or more"), "{error}");
    assert!(!error.contains("fifteen"), "{error}");
    assert!(read("sixteen lettérs!").is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_token_the_tv_is_for_anyone_and_has_no_link() {
    let shop = TestShop::open_with([], &LOCAL).await;
    for path in TV_ROUTES.into_iter().chain(["/orders?token=x"]) {
        assert_eq!(shop.get(path).await.status, 200, "{path}");
    }
    let staff = shop.sign_in("sesame").await;
    let told = Answer::to(shop.as_staff(Method::GET, "/barista/tv.json", &staff)).await;
    assert_eq!(told.json(), json!({"link": Value::Null}));
    Answer::to(shop.as_staff(Method::POST, "/barista/tv/revoke", &staff)).await.assert_error(404, "NOT_FOUND");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_password_is_set_everybody_on_this_machine_is_in() {
    let shop = TestShop::open([]).await;
    let answer = try_sign_in(&shop.shop.base(), "anything").await;
    assert_eq!((answer.status.as_u16(), answer.json()), (200, json!({"ok": true})));
    assert!(!answer.headers.contains_key("set-cookie"), "there is nothing to sign out of");
    let answer = shop.form("/login?next=/barista", &[("password", "")]).await;
    assert_eq!((answer.status.as_u16(), header(&answer, "location")), (303, "/barista"));
    assert_eq!(shop.get("/orders.json").await.status, 200);
}
