//! What the console loads and does, by two consoles at once and over restarts.

use crate::harness::feed::Feed;
use crate::harness::{Answer, TEXTS, TestShop, client, new_order, shape};
use bobarista::order_service::NewOrder;
use bobarista::ordering::order::Order;
use bobarista::simulator::{Script, What};
use reqwest::RequestBuilder;
use reqwest::header::COOKIE;
use serde_json::{Value, json};

const COFFEE_MENU: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/menus/coffee.toml");

impl TestShop {
    async fn console(&self) -> Value {
        self.json("/barista/console.json").await
    }

    async fn tell_console(&self, path: &str, body: Value) -> Answer {
        let request = client().post(self.url(path)).header("Content-Type", "application/json");
        Answer::to(request.body(body.to_string())).await
    }

    async fn mark(&self, order: &Order, body: Value) -> Answer {
        self.tell_console(&format!("/barista/orders/{}/marks", order.order_id), body).await
    }

    async fn switch(&self, id: &str, sold_out: bool) -> Answer {
        self.tell_console("/barista/sold-out", json!({"id": id, "sold_out": sold_out})).await
    }

    pub(crate) async fn set_status(&self, order: &Order, version: u64, status: &str) -> Answer {
        let url = self.url(&format!("/api/v1/orders/{}/status", order.order_id));
        let request = client().post(url).header("If-Match", format!("\"{version}\""));
        let body = json!({"status": status}).to_string();
        Answer::to(request.header("Content-Type", "application/json").body(body)).await
    }

    /// An order of that many lines.
    async fn place_lines(&self, lines: usize) -> Order {
        let mut new = new_order(Some("+15551234567"));
        new.items = vec![new.items[0].clone(); lines];
        self.shop.orders().create(new).await.expect("an order").into_order().expect("not deleted")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_look_is_all_that_the_console_shows() {
    let settings = [&TEXTS[..], &[("AMBER_MINUTES", "3"), ("RED_MINUTES", "7")]].concat();
    let shop = TestShop::open_with([], &settings).await;
    let first = shop.place(Some("+15551234567")).await;
    let second = shop.place(None).await;
    let gone = shop.place(None).await;
    assert_eq!(shop.set_status(&gone, 1, "cancelled").await.status, 200);
    assert_eq!(shop.set_status(&first, 1, "ready").await.status, 200);

    let answer = shop.get("/barista/console.json").await;
    assert_eq!(answer.headers["cache-control"], "no-store");
    let look = answer.json();
    let described = shape(&shop.json("/api/openapi.json").await, "Console");
    let errors: Vec<String> = described.iter_errors(&look).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?}\n{look}");
    let keys: Vec<&String> = look.as_object().expect("an object").keys().collect();
    assert_eq!(keys, ["now", "open", "recent", "failures", "shop", "menu", "calls", "messages", "settings"]);

    let ids = |list: &str| -> Vec<String> {
        let entries = look[list].as_array().expect("a list").iter();
        entries.map(|entry| entry["order"]["order_id"].as_str().expect("an id").to_owned()).collect()
    };
    let of = |orders: [&Order; 2]| orders.map(|order| order.order_id.to_string());
    assert_eq!(ids("open"), of([&first, &second]));
    assert_eq!(ids("recent")[1..], of([&second, &first]));
    let entry = &look["open"][0];
    assert_eq!(entry["order"], shop.json(&format!("/api/v1/orders/{}", first.order_id)).await, "the whole order");
    assert_eq!((&entry["made"], &entry["rushed_at"]), (&json!([]), &Value::Null));
    assert_eq!(entry["texts"]["ready"], "owed", "a tap can be taken back, so its text waits");
    assert_eq!(entry["texts"]["cancelled"], Value::Null);
    let instant = |value: &Value| value.as_str().expect("a text").parse::<jiff::Timestamp>().expect("an instant");
    let (now, until) = (instant(&look["now"]), instant(&entry["undo_until"]));
    assert_eq!(until.duration_since(instant(&entry["order"]["updated_at"])).as_secs(), 5);
    assert!(until > now);
    assert_eq!(look["open"][1]["undo_until"], Value::Null, "it was made, not moved");

    let quiet = json!({"ordering": "open", "closed": null, "paused_until": null, "sold_out": []});
    assert_eq!((&look["shop"], &look["failures"], &look["calls"]), (&quiet, &json!([]), &json!([])));
    let settings = json!({
        "amber_minutes": 3, "red_minutes": 7, "transcripts": false, "currency": "$", "signed_in": false,
    });
    assert_eq!(look["settings"], settings);
    let flavor = json!({"name": "taro milk tea", "id": "taro milk tea", "sold_out": false, "lacking": false});
    assert_eq!((&look["menu"][0]["kind"], &look["menu"][0]["options"][0]), (&json!("base"), &flavor));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_be_undone_is_what_undo_takes_back() {
    let shop = TestShop::open_with([], &TEXTS).await;
    let order = shop.place(Some("+15551234567")).await;
    assert_eq!(shop.set_status(&order, 1, "ready").await.status, 200);
    assert!(shop.console().await["open"][0]["undo_until"].is_string());
    let undo = client().post(shop.url(&format!("/api/v1/orders/{}/undo", order.order_id)));
    assert_eq!(Answer::to(undo.header("If-Match", "\"2\"")).await.status, 200);
    let look = shop.console().await;
    let entry = &look["open"][0];
    assert_eq!((&entry["undo_until"], &entry["texts"]["ready"]), (&Value::Null, &json!("dropped")));
    let undo = client().post(shop.url(&format!("/api/v1/orders/{}/undo", order.order_id)));
    Answer::to(undo.header("If-Match", "\"3\"")).await.assert_error(422, "INVALID_STATE");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_consoles_tick_at_once_and_every_tick_counts() {
    let shop = TestShop::open([]).await;
    let order = shop.place_lines(8).await;
    let (mut staff, before) = (shop.staff_feed().await, shop.console().await["open"][0]["order"].clone());
    let ticks = (0..8).map(|item| shop.mark(&order, json!({"item": item, "made": true})));
    let rush = shop.mark(&order, json!({"rush": true}));
    let (answers, rushed) = tokio::join!(futures_util::future::join_all(ticks), rush);
    assert!(answers.iter().chain([&rushed]).all(|answer| answer.status == 200));

    let entry = shop.console().await["open"][0].clone();
    assert_eq!(entry["made"], json!([0, 1, 2, 3, 4, 5, 6, 7]));
    assert!(entry["rushed_at"].is_string());
    assert_eq!(entry["order"], before, "neither version nor history know of it");
    let mut told = Vec::new();
    for _ in 0..9 {
        told.push(staff.event_of("order_marked").await);
    }
    let last = told.pop().expect("nine");
    let expected = json!({
        "type": "order_marked",
        "order_number": order.order_number,
        "order_id": order.order_id,
        "status": "received",
        "made": entry["made"],
        "rushed_at": entry["rushed_at"],
    });
    assert_eq!(last, expected, "the last word is the whole truth");

    // Said once more: nothing is committed and nobody told, so the next event is of what is new.
    let revision = |shop: &TestShop| shop.order_files()[0]["revision"].clone();
    let committed = revision(&shop);
    for again in [json!({"item": 3, "made": true}), json!({"rush": true})] {
        assert_eq!(shop.mark(&order, again).await.json(), entry);
    }
    assert_eq!(revision(&shop), committed);
    let unticked = shop.mark(&order, json!({"item": 3, "made": false})).await.json();
    assert_eq!(unticked["made"], json!([0, 1, 2, 4, 5, 6, 7]));
    assert_eq!(staff.event_of("order_marked").await["made"], unticked["made"]);
    assert_eq!(shop.mark(&order, json!({"rush": false})).await.json()["rushed_at"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn marks_are_the_staffs_business() {
    let shop = TestShop::open([]).await;
    let order = shop.place(None).await;
    let mut public = Feed::open(&shop.url("/orders/events"), None).await;
    assert_eq!(shop.mark(&order, json!({"item": 0, "made": true})).await.status, 200);
    assert_eq!(shop.mark(&order, json!({"rush": true})).await.status, 200);
    let next = shop.place(None).await;
    assert_eq!(public.event().await.1["order_number"], json!(next.order_number), "nothing of marks came before");
    let board = shop.json("/orders/board.json").await;
    assert_eq!(board["preparing"][0], json!({"order_number": order.order_number}), "a rush moves nobody on the TV");
}

#[tokio::test(flavor = "multi_thread")]
async fn marks_outlive_a_restart_and_more_lines_and_rest_while_the_order_is_closed() {
    let shop = TestShop::open([]).await;
    let order = shop.place_lines(2).await;
    assert_eq!(shop.mark(&order, json!({"item": 1, "made": true})).await.status, 200);
    assert_eq!(shop.mark(&order, json!({"rush": true})).await.status, 200);
    let rushed_at = shop.console().await["open"][0]["rushed_at"].clone();

    let shop = shop.reopen([], &[]).await;
    let more = NewOrder { phone: None, name: None, ..new_order(None) };
    shop.shop.orders().append(&order.order_id, more).await.expect("appended");
    let entry = shop.console().await["open"][0].clone();
    assert_eq!((&entry["made"], &entry["rushed_at"]), (&json!([1]), &rushed_at));
    assert_eq!(entry["order"]["items"].as_array().map(Vec::len), Some(3), "what was appended is not made yet");

    assert_eq!(shop.set_status(&order, 2, "ready").await.status, 200);
    assert_eq!(shop.set_status(&order, 3, "completed").await.status, 200);
    let closed = shop.console().await["recent"][0].clone();
    assert_eq!((&closed["made"], &closed["rushed_at"]), (&json!([]), &Value::Null));
    shop.mark(&order, json!({"item": 0, "made": true})).await.assert_error(422, "INVALID_STATE");
    assert_eq!(shop.set_status(&order, 4, "ready").await.status, 200);
    assert_eq!(shop.console().await["open"][0]["made"], json!([1]), "a recalled order keeps its ticks");
}

#[tokio::test(flavor = "multi_thread")]
async fn marks_that_make_no_sense_are_refused() {
    let shop = TestShop::open([]).await;
    let order = shop.place(None).await;
    for nonsense in
        [json!({}), json!({"item": -1, "made": true}), json!({"item": 0}), json!({"rush": true, "made": true})]
    {
        shop.mark(&order, nonsense).await.assert_error(400, "VALIDATION");
    }
    for item in [1_u64, 7, 1 << 40] {
        shop.mark(&order, json!({"item": item, "made": true})).await.assert_error(422, "INVALID_STATE");
    }
    for nobody in ["ORD-main-99", "%3Cscript%3E", "%00"] {
        let answer = shop.tell_console(&format!("/barista/orders/{nobody}/marks"), json!({"rush": true})).await;
        answer.assert_error(404, "NOT_FOUND");
    }
    assert!(shop.order_files()[0].get("marks").is_none(), "nothing of it was kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_consoles_never_undo_each_others_switches() {
    let shop = TestShop::open_with([], &[("MENU_FILE", COFFEE_MENU)]).await;
    let mut staff = shop.staff_feed().await;
    let options = ["latte", "mocha", "oat", "almond", "soy", "whipped cream", "small", "large"];
    let switches = options.iter().map(|id| shop.switch(id, true));
    for answer in futures_util::future::join_all(switches).await {
        assert_eq!(answer.status, 200, "{}", answer.text);
    }
    let mut all: Vec<Value> = options.iter().map(|id| json!(id)).collect();
    all.sort_by_key(|id| id.as_str().map(str::to_owned));
    let look = shop.console().await;
    assert_eq!(look["shop"]["sold_out"], json!(all));
    let named = |name: &str| {
        let options = look["menu"].as_array().into_iter().flatten().flat_map(|field| field["options"].as_array());
        options.flatten().find(|option| option["name"] == name).cloned().expect("it is on the menu")
    };
    assert_eq!((&named("oat")["sold_out"], &named("espresso")["sold_out"]), (&json!(true), &json!(false)));
    let mut told = staff.event_of("menu_changed").await;
    while told["sold_out"].as_array().map(Vec::len) != Some(options.len()) {
        told = staff.event_of("menu_changed").await;
    }

    let (on, off) = tokio::join!(shop.switch("espresso", true), shop.switch("milk:oat", false));
    assert_eq!((on.status.as_u16(), off.status.as_u16()), (200, 200));
    let left = shop.console().await["shop"]["sold_out"].clone();
    let left: Vec<&str> = left.as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    assert!(left.contains(&"espresso") && !left.contains(&"oat") && left.len() == options.len(), "{left:?}");

    let answer = shop.switch("espresso", true).await.json();
    let described = shape(&shop.json("/api/openapi.json").await, "ShopNow");
    assert!(described.is_valid(&answer), "{answer}");
    let unknown = shop.switch("tapioca", true).await;
    unknown.assert_error(400, "VALIDATION");
    assert!(unknown.json()["error"]["details"]["choices"].as_array().is_some_and(|all| all.contains(&json!("latte"))));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_board_shows_first_names_only_where_the_shop_wants_them() {
    let placed = async |shop: &TestShop, name: &str| {
        let new = NewOrder { name: Some(name.to_owned()), ..new_order(Some("+15551234567")) };
        shop.shop.orders().create(new).await.expect("an order").into_order().expect("not deleted")
    };
    let shop = TestShop::open_with([], &[("TV_NAMES", "true")]).await;
    let names = ["Ada Lovelace", "<img src=x onerror=alert(1)>", "Wolfeschlegelsteinhausenbergerdorff"];
    for name in names {
        placed(&shop, name).await;
    }
    let board = shop.json("/orders/board.json").await;
    let shown: Vec<&str> =
        board["preparing"].as_array().expect("a list").iter().filter_map(|entry| entry["name"].as_str()).collect();
    assert_eq!(shown, ["Ada", "<img", "Wolfeschlegelsteinha"]);
    assert!(shape(&shop.json("/api/openapi.json").await, "Board").is_valid(&board));

    let shop = shop.reopen([], &[]).await;
    let board = shop.json("/orders/board.json").await.to_string();
    assert!(!board.contains("name"), "{board}");
}

/// The lines of a call in progress that can be read along, read to its end.
async fn read_to_the_end(feed: &mut Feed) -> Vec<(String, String)> {
    let mut lines = Vec::new();
    while let Some(block) = feed.next().await {
        let event = block.json();
        match event["type"].as_str() {
            Some("said") => {
                assert_eq!(block.field("id"), Some((lines.len() + 1).to_string().as_str()));
                event["at"].as_str().expect("a text").parse::<jiff::Timestamp>().expect("an instant");
                let text = |name: &str| event[name].as_str().expect("a text").to_owned();
                lines.push((text("who"), text("text")));
            }
            Some("call_ended") => {
                assert!(feed.next().await.is_none(), "nothing comes after the end");
                return lines;
            }
            other => assert_eq!(other, Some("ping")),
        }
    }
    panic!("the end was not told");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_read_along_while_it_lasts_where_the_shop_wants_that() {
    let mut shop = TestShop::open_with([Script::boba()], &[("CALL_TRANSCRIPTS", "true")]).await;
    let mut staff = shop.staff_feed().await;
    let call = shop.begin_call(&Script::boba(), shop.caller_options());
    let call_sid = staff.event_of("call_started").await["call_sid"].as_str().expect("a text").to_owned();
    let look = shop.console().await;
    assert_eq!((&look["settings"]["transcripts"], &look["calls"][0]["call_sid"]), (&json!(true), &json!(call_sid)));
    let described = shape(&shop.json("/api/openapi.json").await, "Console");
    assert!(described.is_valid(&look), "{look}");

    let url = format!("/barista/calls/{call_sid}/events");
    let mut early = Feed::open(&shop.url(&url), None).await;
    // Whoever comes in the middle reads what was said before, too.
    shop.event(|event| matches!(event.what, What::ToolAnswered { .. }).then_some(())).await;
    let mut late = Feed::open(&shop.url(&url), None).await;
    shop.get("/barista/calls/CA99/events").await.assert_error(404, "NOT_FOUND");
    let (early, late) = tokio::join!(read_to_the_end(&mut early), read_to_the_end(&mut late));
    assert_eq!(early, late);
    let said = |who: &str, words: &str| early.iter().any(|(by, text)| by == who && text.contains(words));
    assert!(said("caller", "taro milk tea with boba please") && said("agent", "Is that right?"), "{early:?}");
    assert!(said("agent", "Goodbye!"), "to the end: {early:?}");

    let call = shop.end_call(call).await;
    call.assert_flawless();
    shop.get(&url).await.assert_error(404, "NOT_FOUND");
    staff.event_of("call_ended").await;
    for words in ["Is that right?", "with boba please", "said"] {
        assert!(!staff.seen.contains(words), "what is said is not on the feed of all consoles");
    }
    let files = shop.order_files().iter().map(Value::to_string).collect::<String>();
    assert!(!files.contains("with boba please"), "nor kept with the order");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_call_is_read_along_unless_the_shop_wants_that() {
    let mut shop = TestShop::open([Script::boba()]).await;
    let mut staff = shop.staff_feed().await;
    let call = shop.begin_call(&Script::boba(), shop.caller_options());
    let call_sid = staff.event_of("call_started").await["call_sid"].as_str().expect("a text").to_owned();
    shop.event(|event| matches!(event.what, What::ToolAnswered { .. }).then_some(())).await;
    assert_eq!(shop.console().await["calls"][0]["call_sid"], json!(call_sid), "it is in progress");
    shop.get(&format!("/barista/calls/{call_sid}/events")).await.assert_error(404, "NOT_FOUND");
    shop.end_call(call).await.assert_flawless();
    assert_eq!(shop.console().await["calls"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_ends_who_reads_along() {
    let shop = TestShop::open_with([Script::boba()], &[("CALL_TRANSCRIPTS", "true")]).await;
    let mut staff = shop.staff_feed().await;
    let call = shop.begin_call(&Script::boba(), shop.caller_options());
    let call_sid = staff.event_of("call_started").await["call_sid"].as_str().expect("a text").to_owned();
    let mut feed = Feed::open(&shop.url(&format!("/barista/calls/{call_sid}/events")), None).await;
    let (closed, ()) = tokio::join!(shop.shop.close(), async { while feed.next().await.is_some() {} });
    closed.expect("the server stops");
    // How the call ended is not what this is about.
    drop(call.await.expect("no panic"));
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_shown_nothing_of_the_console() {
    let shop = TestShop::open_with([], &[("STAFF_PASSWORD", "sesame"), ("CALL_TRANSCRIPTS", "true")]).await;
    let order = shop.place(None).await;
    shop.get("/barista/console.json").await.assert_error(401, "UNAUTHENTICATED");
    shop.get("/barista/calls/CA1/events").await.assert_error(401, "UNAUTHENTICATED");
    shop.mark(&order, json!({"rush": true})).await.assert_error(401, "UNAUTHENTICATED");
    shop.switch("boba", true).await.assert_error(401, "UNAUTHENTICATED");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_signs_out_reads_along_no_more() {
    let settings = [("STAFF_PASSWORD", "sesame"), ("API_KEY", "key"), ("CALL_TRANSCRIPTS", "true")];
    let mut shop = TestShop::open_with([Script::boba()], &settings).await;
    let cookie = shop.sign_in("sesame").await;
    let as_staff = |request: RequestBuilder| request.header(COOKIE, &cookie);
    let mut staff = Feed::of(as_staff(client().get(shop.url("/barista/events")))).await;
    let call = shop.begin_call(&Script::boba(), shop.caller_options());
    let call_sid = staff.event_of("call_started").await["call_sid"].as_str().expect("a text").to_owned();
    let url = shop.url(&format!("/barista/calls/{call_sid}/events"));
    let mut theirs = Feed::of(as_staff(client().get(&url))).await;
    let mut programs = Feed::of(client().get(&url).bearer_auth("key")).await;

    let look = Answer::to(as_staff(client().get(shop.url("/barista/console.json")))).await.json();
    assert_eq!(look["settings"]["signed_in"], true);
    let look = Answer::to(client().get(shop.url("/barista/console.json")).bearer_auth("key")).await.json();
    assert_eq!(look["settings"]["signed_in"], false, "a program has nothing to sign out of");

    assert_eq!(Answer::to(as_staff(client().post(shop.url("/logout")))).await.status.as_u16() / 100, 3);
    while theirs.next().await.is_some() {}
    assert!(!theirs.seen.contains("call_ended"), "the call goes on without them");
    read_to_the_end(&mut programs).await;
    shop.end_call(call).await.assert_flawless();
}
