//! Tables for staff: set up, printed, watched and ended; what the console and the TV tell of orders from tables.

use super::{LIVE, assert_all_quiet, open_console};
use crate::harness::browser::{Browser, Scheme, Screen, Window};
use crate::harness::{PATIENCE, TestShop, client, new_order};
use base64::Engine as _;
use bobarista::order_service::{NewOrder, Origin};
use bobarista::ordering::order::{Channel, Order};
use bobarista::ordering::status::OrderStatus;
use futures_util::SinkExt as _;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::path::Path;
use std::slice::from_ref;
use thirtyfour::Key;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Message, http::HeaderValue};

/// The card of the table that is called so.
const CARD: &str = "all('.table-card').find((made) => says(one('.table-name', made)) === args[0])";

async fn open_tables(browser: &Browser, shop: &TestShop) -> Window {
    let tables = browser.open(Screen::Tablet, shop, "/barista/tables").await;
    tables.until(LIVE, &[]).await;
    tables
}

/// Closes whatever dialog is open.
async fn close_dialog(window: &Window) {
    window.click("control('Close', one('dialog[open]'))", &[]).await;
    window.until("!one('dialog[open]')", &[]).await;
}

async fn set_up(shop: &TestShop, name: &str) -> Value {
    let asked = client().post(shop.url("/api/v1/tables")).json(&json!({"name": name}));
    let made = asked.send().await.expect("an answer");
    assert_eq!(made.status(), 201);
    made.json().await.expect("JSON")
}

fn token(table: &Value) -> &str {
    table["link"].as_str().and_then(|link| link.rsplit('/').next()).expect("a link")
}

/// A guest who has joined a table: the session and the cookie.
async fn join(shop: &TestShop, table: &Value, name: &str) -> (String, String) {
    let asked = json!({"token": token(table), "name": name});
    let joined = client().post(shop.url("/api/tables/join")).json(&asked).send().await.expect("an answer");
    assert_eq!(joined.status(), 201);
    let cookie = joined.headers()["set-cookie"].to_str().expect("text");
    let cookie = cookie.split(';').next().expect("a cookie").to_owned();
    let body: Value = joined.json().await.expect("JSON");
    (body["session"].as_str().expect("a session").to_owned(), cookie)
}

/// An order of two guests at a table, as the room of tables makes it.
async fn order_at(shop: &TestShop, table: &str, guests: [&str; 2]) -> Order {
    let plain = new_order(None);
    let items = vec![plain.items[0].clone(), plain.items[0].clone()];
    let mut asked = NewOrder {
        allow_duplicate: true,
        held_when_refused: true,
        ..NewOrder::new(Channel::Web, items, Origin { by: "web", correlation_id: None })
    };
    asked.metadata.insert("table".to_owned(), table.into());
    asked.metadata.insert("guests".to_owned(), json!(guests));
    let created = shop.shop.orders().create(asked).await.expect("an order");
    created.into_order().expect("not deleted")
}

#[tokio::test(flavor = "multi_thread")]
async fn staff_set_up_tables_watch_their_guests_and_print_their_codes() {
    let shop = TestShop::open([]).await;
    let browser = Browser::start().await;
    let mut window = browser.open(Screen::Tablet, &shop, "/barista").await;
    window.click("one('#open-more')", &[]).await;
    window.click("one('#more-drawer a[href=\"/barista/tables\"]')", &[]).await;
    window.until(&format!("location.pathname === '/barista/tables' && {LIVE}"), &[]).await;
    window.until("/No tables yet/.test(page())", &[]).await;
    window.assert_accessible("tables, none").await;

    // With the keyboard alone.
    window.look("one('#name').focus()", &[]).await;
    window.keys("7" + Key::Enter).await;
    window
        .until("one('.code-picture') && one('.code-picture').complete && one('.code-picture').naturalWidth > 0", &[])
        .await;
    let link = window.look("one('#table-link').value", &[]).await;
    assert!(link.as_str().is_some_and(|link| link.contains("/t/")), "{link}");
    assert_eq!(window.look("nameOf(document.activeElement)", &[]).await, "Print");
    window.assert_accessible("a code").await;
    window.picture("tables-code").await;
    window.keys(Key::Escape + "").await;
    window.until("!one('dialog[open]')", &[]).await;
    window.until(CARD, &[json!("Table 7")]).await;
    for name in ["Window", "The long table by the door"] {
        window.fill("one('#name')", &[], name).await;
        window.click("control('Add')", &[]).await;
        window.until("one('#code-dialog[open]')", &[]).await;
        close_dialog(&window).await;
    }
    window.expect_failures(&["422"]);
    window.fill("one('#name')", &[], "Window").await;
    window.click("control('Add')", &[]).await;
    window.until("says(one('#add-problem')) !== ''", &[]).await;
    assert_eq!(window.look("one('#name').value", &[]).await, "Window", "what was typed stays");

    // Somebody sits down, and is seen without a hand on the page.
    let tables = shop.json("/api/v1/tables").await["tables"].clone();
    let seven = &tables[0];
    let (session, cookie) = join(&shop, seven, "Ada").await;
    window.until(&format!("/Ada.*not connected/.test(says({CARD}))"), &[json!("Table 7")]).await;
    for (screen, size) in [(Screen::Tablet, "tablet"), (Screen::Phone, "phone")] {
        window.resize(screen).await;
        for (scheme, light) in [(Scheme::Light, "light"), (Scheme::Dark, "dark")] {
            window.media(scheme, false).await;
            window.assert_accessible(&format!("tables, {size}, {light}")).await;
            window.picture(&format!("tables-{size}-{light}")).await;
        }
        let wide = window.look("document.documentElement.scrollWidth > innerWidth", &[]).await;
        assert_eq!(wide, false, "it has to be scrolled sideways on a {size}");
    }
    window.resize(Screen::Tablet).await;
    window.media(Scheme::Light, false).await;

    // A new link: only for who says yes.
    let link = json!(seven["link"]);
    let shown = format!("one('.table-code', {CARD}).dataset.link");
    window.click(&format!("control('New link', {CARD})"), &[json!("Table 7")]).await;
    window.click("control('Go back', one('dialog[open]'))", &[]).await;
    window.until("!one('dialog[open]')", &[]).await;
    assert_eq!(window.look(&shown, &[json!("Table 7")]).await, link);
    window.click(&format!("control('New link', {CARD})"), &[json!("Table 7")]).await;
    window.click("control('Make a new link', one('dialog[open]'))", &[]).await;
    window.until("one('#code-dialog[open]') && one('#table-link').value !== args[0]", from_ref(&link)).await;
    close_dialog(&window).await;
    window.until(&format!("{shown} !== args[1]"), &[json!("Table 7"), link]).await;
    let door = shop.url(&format!("/api/tables/door?token={}", token(seven)));
    assert_eq!(client().get(door).send().await.expect("an answer").status(), 404, "the printed code is dead");

    // The visit ends.
    window.click(&format!("control('End the visit of Ada', {CARD})"), &[json!("Table 7")]).await;
    window.click("all('dialog[open] .danger')[0]", &[]).await;
    window.until(&format!("/Nobody is sitting/.test(says({CARD}))"), &[json!("Table 7")]).await;
    let cart = client().get(shop.url(&format!("/api/tables/{session}/cart"))).header("cookie", cookie);
    assert_eq!(cart.send().await.expect("an answer").status(), 404);

    // And the table goes.
    window.click(&format!("control('Remove', {CARD})"), &[json!("Table 7")]).await;
    window.click("control('Remove the table', one('dialog[open]'))", &[]).await;
    window.until(&format!("!{CARD} && all('.table-card').length === 2"), &[json!("Table 7")]).await;
    let code = shop.url(&format!("/api/v1/tables/{}/qr.svg", seven["table_id"].as_str().expect("an id")));
    assert_eq!(client().get(code).send().await.expect("an answer").status(), 404);
    assert_all_quiet(&[&window]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sheet_has_every_code_large_enough_and_no_page_cuts_one() {
    let shop = TestShop::open([]).await;
    for name in ["1", "2", "3", "4", "5", "6", "Window", "The table of the regulars near the door"] {
        set_up(&shop, name).await;
    }
    let browser = Browser::start().await;
    let window = browser.open(Screen::Tablet, &shop, "/barista/tables/sheet").await;
    window.until("one('#print') && !one('#print').disabled", &[]).await;
    assert_eq!(window.look("all('.code').filter((code) => code.naturalWidth > 0).length", &[]).await, 8);
    window.assert_accessible("sheet").await;
    window.picture("tables-sheet-screen").await;

    window.media(Scheme::Light, true).await;
    // The margin of four modules on each side is no part of a code of at least 25 modules.
    let smallest = "Math.min(...all('.code').map((code) => code.getBoundingClientRect().width)) * 25.4 / 96 * 25 / 33";
    let smallest = window.look(smallest, &[]).await;
    assert!(smallest.as_f64() >= Some(40.0), "{smallest} mm");
    let cut = "all('.card').filter((card) => card.scrollHeight > card.clientHeight + 1 || card.scrollWidth > card.clientWidth + 1).map(says)";
    assert_eq!(window.look(cut, &[]).await, json!([]), "these do not fit");
    assert_eq!(window.look("control('Print') || null", &[]).await, Value::Null, "buttons are not for paper");
    for (paper, width, height) in [("A4", 8.27, 11.69), ("Letter", 8.5, 11.0)] {
        let size = json!({"paperWidth": width, "paperHeight": height, "printBackground": true});
        let pdf = window.tools("Page.printToPDF", size).await;
        let pdf = base64::engine::general_purpose::STANDARD.decode(pdf["data"].as_str().expect("a file"));
        let pdf = String::from_utf8_lossy(&pdf.expect("Base64")).into_owned();
        assert_eq!(pdf.matches("/Type /Page\n").count(), 2, "six on a page of {paper}, two on the next");
    }
    let metrics = json!({"width": 718, "height": 1047, "deviceScaleFactor": 1, "mobile": false});
    window.tools("Emulation.setDeviceMetricsOverride", metrics).await;
    window.picture("tables-sheet-a4").await;

    // One alone.
    let tables = shop.json("/api/v1/tables").await["tables"].clone();
    let window_table = tables.as_array().and_then(|tables| tables.iter().find(|table| table["name"] == "Window"));
    let id = window_table.and_then(|table| table["table_id"].as_str()).expect("an id");
    window.media(Scheme::Light, false).await;
    window.go(&shop.url(&format!("/barista/tables/sheet?table={id}"))).await;
    window.until("one('#print') && !one('#print').disabled", &[]).await;
    assert_eq!(window.look("all('.table').map(says)", &[]).await, json!(["Window"]));
    assert_all_quiet(&[&window]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_asks_to_pay_is_on_the_console_until_its_visit_ends() {
    let shop = TestShop::open([]).await;
    let table = set_up(&shop, "7").await;
    let (session, cookie) = join(&shop, &table, "Ada").await;
    let browser = Browser::start().await;
    let (console, tables) = tokio::join!(open_console(&browser, &shop), open_tables(&browser, &shop));
    let address = shop.url(&format!("/ws/tables/{session}")).replace("http://", "ws://");
    let mut request = address.into_client_request().expect("a request");
    request.headers_mut().insert("cookie", HeaderValue::from_str(&cookie).expect("a cookie"));
    let (mut screen, _) = connect_async(request).await.expect("a socket");
    let asks = json!({"type": "ask_to_pay", "op_id": "pay-1"}).to_string();
    screen.send(Message::text(asks)).await.expect("it is sent");
    tables.until(&format!("/Would like to pay.*Ada.*1 connected/.test(says({CARD}))"), &[json!("Table 7")]).await;
    console.until("says(one('#asking')) === 'Table 7 asks to pay'", &[]).await;
    console.assert_accessible("console, a table asks to pay").await;
    console.picture("console-table-asks").await;

    let ended = client().post(shop.url(&format!("/api/v1/tables/sessions/{session}/end"))).send().await;
    assert_eq!(ended.expect("an answer").status(), 204);
    console.until("!one('#asking')", &[]).await;
    tables.until(&format!("/Nobody is sitting/.test(says({CARD}))"), &[json!("Table 7")]).await;
    assert_all_quiet(&[&console, &tables]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn table_and_guests_are_on_the_card_the_ticket_and_the_tv() {
    let shop = TestShop::open([]).await;
    let browser = Browser::start().await;
    let console = browser.window(Screen::Tablet).await;
    console.before_pages("window.print = () => { window.printed = true; };").await;
    console.go(&shop.url("/barista")).await;
    let tv = browser.open(Screen::Television, &shop, "/orders").await;
    let order = order_at(&shop, "7", ["Ada", "<b>Grace</b>"]).await;
    let long = order_at(&shop, "The table of the regulars near the door", ["Linus", "Linus"]).await;
    let number = json!(order.order_number);
    let words = "says(card(args[0]))";
    console.until(&format!("/Table 7.*for Ada.*for <b>Grace<\\/b>/.test({words})"), from_ref(&number)).await;
    console.assert_accessible("console, orders of tables").await;
    console.picture("console-tables").await;
    console.click("control('More', card(args[0]))", from_ref(&number)).await;
    console.click("action(args[0], 'print')", from_ref(&number)).await;
    console.until("window.printed", &[]).await;
    console.media(Scheme::Light, true).await;
    let ticket = console.look("page()", &[]).await;
    for word in ["Table 7", "for Ada", "for <b>Grace</b>"] {
        assert!(ticket.as_str().is_some_and(|ticket| ticket.contains(word)), "{word} is missing: {ticket}");
    }
    console.media(Scheme::Light, false).await;

    let entry = "one(`.entry[data-number=\"${args[0]}\"]`)";
    tv.until(&format!("says(one('.entry-name', {entry})) === 'Table 7'"), from_ref(&number)).await;
    tv.until(&format!("one('.entry-name', {entry})"), &[json!(long.order_number)]).await;
    // Nothing of an entry reaches into another one, or out of its column.
    let overlap = "all('.entry').filter((entry) => {
        const box = entry.getBoundingClientRect(), name = one('.entry-name', entry).getBoundingClientRect();
        const column = entry.parentNode.getBoundingClientRect();
        const others = all('.entry').filter((other) => other !== entry).map((other) => other.getBoundingClientRect());
        const bottom = Math.max(box.bottom, name.bottom);
        return bottom > column.bottom || box.right > column.right + 1 ||
          others.some((other) => other.left < box.right - 1 && box.left < other.right - 1 && other.top < bottom - 1 && box.top < other.bottom - 1);
      }).map(says)";
    assert_eq!(tv.look(overlap, &[]).await, json!([]));
    tv.assert_accessible("TV, tables").await;
    tv.picture("tv-tables").await;
    assert_all_quiet(&[&console, &tv]).await;
}

/// As if the till had been silent for so many minutes: nobody waits for them. The shop has to be stopped.
fn age_tickets(folder: &Path, minutes: i64) {
    for entry in std::fs::read_dir(folder).expect("the orders' folder") {
        let path = entry.expect("an entry").path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("order_")) {
            let file = std::fs::read(&path).expect("an order's file");
            let mut file: Value = serde_json::from_slice(&file).expect("JSON");
            for delivery in file["deliveries"].as_array_mut().expect("deliveries") {
                let owed_at: Timestamp = delivery["owed_at"].as_str().expect("a time").parse().expect("a time");
                delivery["owed_at"] = (owed_at - SignedDuration::from_mins(minutes)).to_string().into();
            }
            std::fs::write(path, file.to_string()).expect("an order's file is written");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn staff_decide_about_orders_that_the_till_does_not_answer() {
    let silent = [("POINT_OF_SALE", "simulated"), ("POS_DELAY_MS", "600000")];
    let shop = TestShop::open_with([], &silent).await;
    let browser = Browser::start().await;
    let (kept, dropped) =
        (order_at(&shop, "7", ["Ada", "Grace"]).await, order_at(&shop, "8", ["Linus", "Linus"]).await);
    let (kept, dropped) = (json!(kept.order_number), json!(dropped.order_number));
    let console = open_console(&browser, &shop).await;
    console.until("/Waiting for the till: \\d+ s/.test(says(card(args[0])))", from_ref(&kept)).await;
    assert_eq!(
        console.look("action(args[0], 'accept') || null", from_ref(&kept)).await,
        Value::Null,
        "it has its time"
    );
    console.picture("console-pending").await;
    drop(console);

    let folder = shop.orders_dir();
    let stopped = shop.stop().await;
    age_tickets(&folder, 2);
    let shop = stopped.open().await;
    let console = open_console(&browser, &shop).await;
    for number in [&kept, &dropped] {
        console.until("action(args[0], 'accept') && action(args[0], 'cancel')", from_ref(number)).await;
        console.until("/Waiting for the till: [2-5] min/.test(says(card(args[0])))", from_ref(number)).await;
    }
    for (scheme, light) in [(Scheme::Light, "light"), (Scheme::Dark, "dark")] {
        console.media(scheme, false).await;
        console.assert_accessible(&format!("console, orders to decide about, {light}")).await;
        console.picture(&format!("console-undecided-{light}")).await;
    }
    console.click("action(args[0], 'accept')", from_ref(&kept)).await;
    console.until("/Confirmed/.test(says(card(args[0]))) && action(args[0], 'start')", from_ref(&kept)).await;
    console.until("/is accepted/.test(says(one('#undo-bar')))", &[]).await;
    console.click("action(args[0], 'cancel')", from_ref(&dropped)).await;
    console.click("control('Mistake', one('#cancel-dialog'))", &[]).await;
    console.until("!card(args[0])", from_ref(&dropped)).await;
    let orders = shop.orders().await;
    let state = |number: &Value| {
        let order = orders.iter().find(|order| json!(order.order_number) == *number).expect("it is there");
        (order.status, order.history.last().map(|entry| entry.by.clone()))
    };
    assert_eq!(state(&kept), (OrderStatus::Received, Some("staff".to_owned())));
    assert_eq!(state(&dropped), (OrderStatus::Cancelled, Some("staff".to_owned())));
    assert_all_quiet(&[&console]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_the_till_refuses_says_why_and_waits_for_staff() {
    let refusing = [("POINT_OF_SALE", "simulated"), ("POS_DELAY_MS", "0"), ("POS_FAILURE_PERCENT", "100")];
    let shop = TestShop::open_with([], &refusing).await;
    let browser = Browser::start().await;
    let console = open_console(&browser, &shop).await;
    let order = order_at(&shop, "7", ["Ada", "Grace"]).await;
    let number = json!(order.order_number);
    console.until("/Waiting for the till/.test(says(card(args[0])))", from_ref(&number)).await;
    // It is tried again by itself after two, four and eight seconds.
    console.until_within(PATIENCE, "/The till refused it[.] ./.test(says(card(args[0])))", from_ref(&number)).await;
    console.until("action(args[0], 'accept') && action(args[0], 'cancel')", from_ref(&number)).await;
    assert_eq!(console.look("all('.failure', card(args[0])).length", from_ref(&number)).await, 0, "it is said once");
    console.picture("console-refused").await;
    assert_all_quiet(&[&console]).await;
}
