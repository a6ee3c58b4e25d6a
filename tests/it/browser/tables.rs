//! Guests of a table on their telephones: one cart that all change, one order, and what they see when something breaks.

use super::{LIVE, assert_all_quiet};
use crate::harness::browser::{Browser, Scheme, Screen, Window};
use crate::harness::{TestShop, client};
use bobarista::order_service::Origin;
use bobarista::ordering::status::OrderStatus;
use serde_json::{Value, json};
use std::time::Duration;
use wiremock::matchers::method;
use wiremock::{Mock, MockServer, ResponseTemplate};

const TARO: &str = "taro milk tea";
const BLACK: &str = "black milk tea";
/// Longer than all tries of an order at a point of sale that refuses it.
const TRIED_OUT: Duration = Duration::from_secs(45);

/// A table of the shop, as the path of its link.
async fn table(shop: &TestShop) -> String {
    let made = client().post(shop.url("/api/v1/tables")).json(&json!({"name": "Table 4"})).send().await;
    let made: Value = made.expect("an answer").json().await.expect("JSON");
    let link = made["link"].as_str().unwrap_or_else(|| panic!("{made} has a link"));
    link[link.find("/t/").expect("a table's path")..].to_owned()
}

/// Somebody who has opened this page and said their name.
async fn guest(browser: &Browser, shop: &TestShop, path: &str, name: &str) -> Window {
    let window = browser.open(Screen::Phone, shop, path).await;
    enter(&window, name).await;
    window
}

async fn enter(window: &Window, name: &str) {
    window.fill("one('#join-name')", &[], name).await;
    window.click("one('#join-form [type=submit]')", &[]).await;
    window.until(LIVE, &[]).await;
}

/// Chooses a drink with these options, and adds it.
async fn add(window: &Window, drink: &str, options: &[&str]) {
    window.click("one('[data-drink=\"' + args[0] + '\"]')", &[json!(drink)]).await;
    for option in options {
        choose(window, option).await;
    }
    window.click("one('#save-drink')", &[]).await;
    window.until("!one('#drink-sheet')", &[]).await;
}

async fn choose(window: &Window, option: &str) {
    window.click("one('#drink-sheet input[value=\"' + args[0] + '\"]').closest('.chip')", &[json!(option)]).await;
}

async fn open_cart(window: &Window) {
    window.click("one('#open-cart')", &[]).await;
    window.until("one('#cart-sheet') && one('#place-order')", &[]).await;
}

/// Presses the button that places the order, which is shut until everything that was asked for has been answered.
async fn place(window: &Window) {
    window.click("one('#place-order[aria-disabled=false]')", &[]).await;
}

/// Waits until the button that places the order says this.
async fn button_says(window: &Window, words: &str) {
    window.until_within(TRIED_OUT, "says(one('#place-order')) === args[0]", &[json!(words)]).await;
}

/// Waits until the order's number is shown, and returns it.
async fn placed(window: &Window) -> String {
    let number = window.until_within(TRIED_OUT, "says(one('#placed-dialog .placed-number'))", &[]).await;
    window.until("page().includes('Order placed successfully! 🎉')", &[]).await;
    number.as_str().expect("a number").to_owned()
}

/// A point of sale whose answers are the test's.
async fn till(answers: impl IntoIterator<Item = (&'static str, ResponseTemplate)>) -> MockServer {
    let till = MockServer::start().await;
    answer(&till, answers).await;
    till
}

async fn answer(till: &MockServer, answers: impl IntoIterator<Item = (&'static str, ResponseTemplate)>) {
    till.reset().await;
    for (asked, with) in answers {
        Mock::given(method(asked)).respond_with(with).mount(till).await;
    }
}

/// A shop whose orders pass this till.
async fn shop_with(till: &MockServer) -> TestShop {
    let settings = [("POINT_OF_SALE", "http"), ("POS_URL", &till.uri()), ("POS_SECRET", "a secret of the till and us")];
    TestShop::open_with([], &settings).await
}

/// What says neither yes nor no.
fn unclear() -> ResponseTemplate {
    ResponseTemplate::new(503)
}

/// There is no such order.
fn nothing() -> ResponseTemplate {
    ResponseTemplate::new(404).set_body_json(json!({"error": "There is no such order."}))
}

fn taken() -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(json!({"reference": "T-1"}))
}

#[tokio::test(flavor = "multi_thread")]
async fn three_guests_fill_one_cart_and_one_of_them_places_it_for_all() {
    let till = till([("POST", unclear()), ("GET", unclear())]).await;
    let shop = shop_with(&till).await;
    let path = table(&shop).await;
    let browser = Browser::start().await;
    let (ada, grace, linus) = tokio::join!(
        guest(&browser, &shop, &path, "Ada"),
        guest(&browser, &shop, &path, "Grace"),
        guest(&browser, &shop, &path, "<b>Linus</b>"),
    );
    add(&ada, TARO, &["boba"]).await;
    add(&grace, BLACK, &["0%", "no ice"]).await;
    for window in [&ada, &grace, &linus] {
        window.until("says(one('#bar')).includes('2 drinks') && says(one('#bar')).includes('$11.75')", &[]).await;
        open_cart(window).await;
    }
    linus.until("says(one('.share')).includes('Ada') && !one('.share b')", &[]).await;
    // One makes it two, another sees it and takes their own out again.
    ada.click("control('One more taro milk tea')", &[]).await;
    for window in [&ada, &grace, &linus] {
        window.until("page().includes('2 × taro milk tea') && says(one('.cart-sum')) === '$18.00'", &[]).await;
    }
    let shares = linus.look("all('.share-head').map(says).sort()", &[]).await;
    assert_eq!(shares, json!(["A Ada $12.50", "G Grace $5.50"]));
    let mine = ada.look("says(all('.share-head')[0])", &[]).await;
    assert_eq!(mine, "A Ada (you) $12.50", "one's own come first");

    place(&grace).await;
    button_says(&grace, "Pending Confirmation...").await;
    grace.until("says(one('#cart-state')) === 'Your order is being processed...'", &[]).await;
    for window in [&ada, &linus] {
        button_says(window, "Order Being Processed by Grace").await;
        window.until("says(one('#cart-state')) === 'Order being processed by Grace'", &[]).await;
        let is_shut = window.look("one('#place-order').ariaDisabled === 'true' && !one('.line-tools')", &[]).await;
        assert_eq!(is_shut, true, "nothing can be changed");
    }
    linus.picture("table-locked").await;
    // A page that is opened in the middle knows as much.
    linus.look("void location.reload()", &[]).await;
    linus.until("says(one('#bar-words')) === 'Order Being Processed by Grace'", &[]).await;
    answer(&till, [("POST", unclear()), ("GET", taken())]).await;
    let numbers = [placed(&ada).await, placed(&grace).await, placed(&linus).await];
    let orders = shop.orders().await;
    assert_eq!(orders.len(), 1);
    assert_eq!(numbers, [(); 3].map(|()| orders[0].order_number.to_string()));
    let (channel, at) = (orders[0].channel, orders[0].metadata.get("table"));
    assert_eq!((channel.as_str(), at), ("web", Some(&json!("Table 4"))));

    for window in [&ada, &grace, &linus] {
        window.click("one('#placed-dialog .button.main')", &[]).await;
    }
    // Words that leave by themselves are noted as they come.
    for window in [&ada, &grace, &linus] {
        let note =
            "void new MutationObserver(() => { window.wasTold = window.wasTold || page().includes('is ready!'); })
            .observe(document.getElementById('notices'), { childList: true })";
        window.look(note, &[]).await;
    }
    shop.shop.orders().done(orders[0].order_number, crate::harness::new_order(None).origin).await.expect("it is done");
    for window in [&ada, &grace, &linus] {
        window.until("one('[data-status=ready]') && window.wasTold", &[]).await;
        window.click("one('#open-orders')", &[]).await;
        window.until("says(one('#orders-sheet')).includes('2 × taro milk tea')", &[]).await;
    }
    ada.assert_accessible("a table, my orders").await;
    assert_all_quiet(&[&ada, &grace, &linus]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_who_change_one_drink_are_told_and_shown_the_truth() {
    let shop = TestShop::open([]).await;
    let path = table(&shop).await;
    let browser = Browser::start().await;
    let (ada, grace) = tokio::join!(guest(&browser, &shop, &path, "Ada"), guest(&browser, &shop, &path, "Grace"));
    add(&ada, TARO, &[]).await;
    grace.until("says(one('#bar')).includes('1 drink')", &[]).await;
    open_cart(&ada).await;
    open_cart(&grace).await;
    ada.click("control('Change taro milk tea')", &[]).await;
    ada.fill("one('#drink-note')", &[], "two straws").await;
    choose(&ada, "egg pudding").await;
    grace.click("control('One more taro milk tea')", &[]).await;
    // Seen by the other as well, the server has it.
    for window in [&grace, &ada] {
        window.until("page().includes('2 × taro milk tea')", &[]).await;
    }
    ada.click("one('#save-drink')", &[]).await;
    // The change was refused, and is all still there to be saved again.
    ada.until("/changed this meanwhile. It is now: 2 × taro/.test(says(one('#drink-sheet')))", &[]).await;
    assert_eq!(ada.look("one('#drink-note').value", &[]).await, "two straws");
    assert_eq!(ada.look("one('input[value=\"egg pudding\"]').checked", &[]).await, true);
    ada.assert_accessible("a drink that somebody else has changed").await;
    ada.click("one('#save-drink')", &[]).await;
    for window in [&ada, &grace] {
        window.until("page().includes('egg pudding') && page().includes('“two straws”')", &[]).await;
    }

    // What is sold out while it is in the cart is marked, cannot be chosen, and holds up the order until it is settled.
    let sold_out = client().patch(shop.url("/api/v1/shop")).json(&json!({"sold_out": ["egg pudding"]})).send();
    assert_eq!(sold_out.await.expect("an answer").status(), 200);
    for window in [&ada, &grace] {
        window.until("page().includes('egg pudding is sold out: please change or remove it')", &[]).await;
        window.until("one('#place-order').ariaDisabled === 'true'", &[]).await;
    }
    grace.picture("table-sold-out").await;
    grace.click("control('Change taro milk tea')", &[]).await;
    grace.until("/egg pudding is sold out/i.test(says(one('.sheet-foot')))", &[]).await;
    choose(&grace, "egg pudding").await;
    grace.until("one('input[value=\"egg pudding\"]').disabled", &[]).await;
    grace.click("one('#save-drink')", &[]).await;
    for window in [&ada, &grace] {
        window.until("one('#place-order').ariaDisabled === 'false' && !page().includes('sold out: please')", &[]).await;
    }

    // Both in the same instant: one order.
    let press = "void one('#place-order').click()";
    tokio::join!(ada.look(press, &[]), grace.look(press, &[]));
    let numbers = tokio::join!(placed(&ada), placed(&grace));
    assert_eq!(numbers.0, numbers.1);
    let orders = shop.orders().await;
    assert_eq!(orders.len(), 1);

    // Telephones lie on the table: that it was cancelled stays to be read.
    for window in [&ada, &grace] {
        window.click("one('#placed-dialog .button.main')", &[]).await;
    }
    let (books, id, staff) = (shop.shop.orders(), &orders[0].order_id, Origin { by: "staff", correlation_id: None });
    let cancel = || books.change_status(id, OrderStatus::Cancelled, None, None, staff.clone());
    cancel().await.expect("it is cancelled");
    books.undo(id, None, staff.clone()).await.expect("a slip, which is taken back within five seconds");
    for window in [&ada, &grace] {
        window.until("!one('#problems .notice') && one('[data-status=received]')", &[]).await;
    }
    cancel().await.expect("it is cancelled");
    for window in [&ada, &grace] {
        window.until("/was cancelled/.test(says(one('#problems .notice.lasting')))", &[]).await;
    }
    grace.picture("table-cancelled").await;
    grace.assert_accessible("a table whose order was cancelled").await;
    grace.click("one('#problems button')", &[]).await;
    grace.until("!one('#problems .notice')", &[]).await;
    assert_all_quiet(&[&ada, &grace]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_the_till_refuses_is_told_to_all_and_sent_again_by_another() {
    let refused = ResponseTemplate::new(422).set_body_json(json!({"error": "The till is out of paper."}));
    let till = till([("POST", unclear()), ("GET", unclear())]).await;
    let shop = shop_with(&till).await;
    let path = table(&shop).await;
    let browser = Browser::start().await;
    let (ada, grace) = tokio::join!(guest(&browser, &shop, &path, "Ada"), guest(&browser, &shop, &path, "Grace"));
    add(&ada, TARO, &[]).await;
    grace.until("says(one('#bar')).includes('1 drink')", &[]).await;
    open_cart(&ada).await;
    place(&ada).await;
    ada.until("/takes longer than usual/.test(says(one('#cart-state')))", &[]).await;
    button_says(&ada, "Pending Confirmation...").await;
    answer(&till, [("POST", refused), ("GET", nothing())]).await;
    button_says(&ada, "Retry Order").await;
    ada.until("says(one('#cart-state')) === 'Order failed: The till is out of paper. Tap to retry.'", &[]).await;
    grace.until("page().includes('Order failed: The till is out of paper. Tap to retry.')", &[]).await;
    ada.picture("table-failed").await;
    ada.assert_accessible("a table, after a failure").await;

    // It is the same order that is sent again, with what was added since.
    answer(&till, [("POST", taken()), ("GET", nothing())]).await;
    add(&grace, BLACK, &[]).await;
    open_cart(&grace).await;
    button_says(&grace, "Retry Order").await;
    place(&grace).await;
    let numbers = tokio::join!(placed(&ada), placed(&grace));
    assert_eq!(numbers.0, numbers.1);
    let orders = shop.orders().await;
    assert_eq!(orders.len(), 1, "under its id");
    assert_eq!(orders[0].items.len(), 2);
    assert_all_quiet(&[&ada, &grace]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_takes_long_is_found_out_after_a_restart_and_a_reload() {
    let till = till([("POST", unclear()), ("GET", unclear())]).await;
    let shop = shop_with(&till).await;
    let path = table(&shop).await;
    let browser = Browser::start().await;
    let mut ada = guest(&browser, &shop, &path, "Ada").await;
    add(&ada, TARO, &[]).await;
    open_cart(&ada).await;
    place(&ada).await;
    ada.until("/takes longer than usual/.test(says(one('#cart-state')))", &[]).await;
    button_says(&ada, "Pending Confirmation...").await;

    ada.expect_failures(&["ERR_", "WebSocket"]);
    let shop = shop.stop().await;
    ada.until("/^Connection lost. Reconnecting.../.test(says(one('#trouble')))", &[]).await;
    let shop = shop.open().await;
    ada.until(LIVE, &[]).await;
    button_says(&ada, "Pending Confirmation...").await;
    ada.look("void location.reload()", &[]).await;
    ada.until("says(one('#bar-words')) === 'Pending Confirmation...'", &[]).await;

    answer(&till, [("POST", unclear()), ("GET", taken())]).await;
    let number = placed(&ada).await;
    let orders = shop.orders().await;
    assert_eq!((orders.len(), orders[0].order_number.to_string()), (1, number));
    assert_all_quiet(&[&ada]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_chosen_while_the_server_is_away_arrives_once_it_is_back() {
    let shop = TestShop::open([]).await;
    let path = table(&shop).await;
    let browser = Browser::start().await;
    let (mut ada, mut grace) =
        tokio::join!(guest(&browser, &shop, &path, "Ada"), guest(&browser, &shop, &path, "Grace"));
    add(&grace, BLACK, &[]).await;
    ada.until("says(one('#bar')).includes('1 drink')", &[]).await;
    for window in [&mut ada, &mut grace] {
        window.expect_failures(&["ERR_", "WebSocket"]);
    }
    let shop = shop.stop().await;
    ada.until("says(one('#trouble')) === 'Connection lost. Reconnecting...'", &[]).await;
    ada.picture("table-lost").await;
    add(&ada, TARO, &["vanilla cream", "matcha stencil on top"]).await;
    open_cart(&ada).await;
    // Two steps are one change, as neither was sent.
    ada.click("control('One more black milk tea')", &[]).await;
    ada.click("control('One more black milk tea')", &[]).await;
    ada.until("page().includes('3 × black milk tea') && page().includes('not sent yet')", &[]).await;
    let is_shut = ada.look("one('#place-order').ariaDisabled", &[]).await;
    assert_eq!(is_shut, "true", "nobody orders what the server has not seen");
    let shop = shop.open().await;
    for window in [&ada, &grace] {
        window.until(LIVE, &[]).await;
        window.until("says(one('#bar-sum', document)) === '$23.25' || says(one('.cart-sum')) === '$23.25'", &[]).await;
    }
    ada.until("!page().includes('not sent yet') && one('#place-order').ariaDisabled === 'false'", &[]).await;
    assert!(shop.orders().await.is_empty());
    assert_all_quiet(&[&ada, &grace]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drink_is_explained_as_it_is_chosen_and_every_screen_can_be_used_by_all() {
    let mut settings = vec![("ORDER_AHEAD", "true"), ("SMS_COUNTRIES", "US,GB")];
    settings.extend(super::texting("http://127.0.0.1:9"));
    let shop = TestShop::open_with([], &settings).await;
    let path = table(&shop).await;
    let browser = Browser::start().await;
    let window = browser.open(Screen::Phone, &shop, &path).await;
    window.until("one('#join-name')", &[]).await;
    shows_well(&window, "table-join").await;
    window.click("one('#join-form [type=submit]')", &[]).await;
    window.until("/call you/.test(says(one('[role=alert]'))) && document.activeElement.id === 'join-name'", &[]).await;
    enter(&window, "Ada").await;
    shows_well(&window, "table-menu").await;

    window.click("one('[data-drink=\"' + args[0] + '\"]')", &[json!(TARO)]).await;
    choose(&window, "matcha stencil on top").await;
    window.until("/drawn on vanilla cream/.test(says(one('.rule')))", &[]).await;
    assert_eq!(window.look("one('#save-drink').ariaDisabled", &[]).await, "true");
    shows_well(&window, "table-rule").await;
    window.click("one('.rule .button.main')", &[]).await;
    window.until("!one('.rule') && says(one('#save-drink')).includes('$6.75')", &[]).await;
    assert_eq!(
        window.look("document.activeElement.value", &[]).await,
        "vanilla cream",
        "the focus is where it was done"
    );
    window.click("one('#save-drink')", &[]).await;
    window.until("says(one('#bar')).includes('$6.75')", &[]).await;
    open_cart(&window).await;
    shows_well(&window, "table-cart").await;
    window.keys(thirtyfour::Key::Escape + "").await;
    window.until("!one('#cart-sheet')", &[]).await;
    window.click("one('#open-people')", &[]).await;
    let code = window.until("says(one('.invite-code'))", &[]).await;
    assert!(code.as_str().is_some_and(|code| code.len() == 4), "{code}");
    shows_well(&window, "table-people").await;
    window.click("control('We would like to pay')", &[]).await;
    window.until("/with the bill/.test(says(one('.pay-asked')))", &[]).await;
    window.keys(thirtyfour::Key::Escape + "").await;

    // Ahead: a name and a time are part of the order.
    window.go(&shop.url("/menu")).await;
    window.until("one('#join-name').value === 'Ada'", &[]).await;
    enter(&window, "Ada").await;
    add(&window, BLACK, &[]).await;
    open_cart(&window).await;
    window.until("one('#order-name').value === 'Ada' && one('#order-pickup').options.length > 0", &[]).await;
    shows_well(&window, "table-ahead").await;
    // A wide screen has the cart beside the menu, so that its sheet was closed.
    window.until("says(one('#bar')).includes('1 drink')", &[]).await;
    open_cart(&window).await;
    window.fill("one('#order-phone')", &[], "12").await;
    place(&window).await;
    window.until("/phone number/.test(says(one('.order-details [role=alert]')))", &[]).await;
    window.until("document.activeElement.id === 'order-phone'", &[]).await;
    window.look("void (one('#order-country').value = 'GB')", &[]).await;
    window.fill("one('#order-phone')", &[], "07400 123456").await;
    place(&window).await;
    let number = placed(&window).await;
    shows_well(&window, "table-placed").await;
    let orders = shop.orders().await;
    assert_eq!((orders[0].order_number.to_string(), orders[0].name.as_deref()), (number, Some("Ada")));
    let phone = orders[0].phone.as_ref().map(|phone| phone.as_e164().to_owned());
    assert_eq!(phone.as_deref(), Some("+447400123456"), "its country is the one that was chosen");
    assert_all_quiet(&[&window]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_model_follows_the_revisions_and_the_queue_loses_nothing() {
    let shop = TestShop::open([]).await;
    let browser = Browser::start().await;
    let window = browser.open(Screen::Phone, &shop, "/").await;
    let faults = window.look(include_str!("tables.js"), &[]).await;
    assert_eq!(faults, json!([]));
    assert_all_quiet(&[&window]).await;
}

/// In both lights, on a telephone and on a wide screen: accessible, and never to be scrolled sideways.
async fn shows_well(window: &Window, name: &str) {
    for (screen, size) in [(Screen::Desktop, "desktop"), (Screen::Phone, "phone")] {
        window.resize(screen).await;
        for (scheme, light) in [(Scheme::Light, "light"), (Scheme::Dark, "dark")] {
            window.media(scheme, false).await;
            window.assert_accessible(&format!("{name}, {size}, {light}")).await;
            window.picture(&format!("{name}-{size}-{light}")).await;
        }
        let wide = window.look("document.documentElement.scrollWidth > innerWidth", &[]).await;
        assert_eq!(wide, false, "{name} has to be scrolled sideways on a {size}");
    }
    window.media(Scheme::Light, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_alone_needs_nobody_and_who_is_invited_is_let_in() {
    let shop = TestShop::open([]).await;
    let path = table(&shop).await;
    let browser = Browser::start().await;
    let ada = guest(&browser, &shop, &path, "Ada").await;
    let mut lost = browser.open(Screen::Phone, &shop, "/t/unknown").await;
    lost.expect_failures(&["404"]);
    lost.until("/is not known/.test(page())", &[]).await;
    lost.assert_accessible("a table that is not known").await;

    let alone = browser.open(Screen::Phone, &shop, &path).await;
    alone.fill("one('#join-name')", &[], "Eve").await;
    alone.click("control('Order just for me')", &[]).await;
    alone.until(LIVE, &[]).await;
    alone.until("says(one('#place-name')) === 'Just for me'", &[]).await;
    add(&alone, TARO, &[]).await;
    alone.until("says(one('#bar')).includes('1 drink')", &[]).await;
    assert_eq!(ada.look("Boolean(one('#bar'))", &[]).await, false, "it is in nobody else's cart");

    ada.click("one('#open-people')", &[]).await;
    let link = ada.until("one('#invite-link').value", &[]).await;
    let link = link.as_str().expect("a link");
    let grace = guest(&browser, &shop, &link[link.find("/t/").expect("a path")..], "Grace").await;
    grace.until("says(one('#place-name')) === 'Table 4' && location.search === ''", &[]).await;
    ada.until("says(one('#people-sheet')).includes('Grace')", &[]).await;

    // Staff close the table: everybody at it is told, whatever is open, and who has a cart of their own is not.
    let tables = shop.json("/api/v1/tables").await;
    let sessions = tables["tables"][0]["sessions"].as_array().expect("sessions");
    let shared = sessions.iter().find(|session| session["kind"] == "table").expect("the one of the table");
    let end = format!("/api/v1/tables/sessions/{}/end", shared["session"].as_str().expect("an id"));
    assert_eq!(client().post(shop.url(&end)).send().await.expect("an answer").status(), 204);
    for window in [&ada, &grace] {
        window.until("control('Begin anew') && !one('dialog')", &[]).await;
    }
    ada.assert_accessible("a table that was closed").await;
    assert_eq!(alone.look("document.documentElement.dataset.state", &[]).await, "live");
    ada.click("control('Begin anew')", &[]).await;
    ada.until("one('#join-name').value === 'Ada'", &[]).await;
    assert_all_quiet(&[&ada, &alone, &grace, &lost]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_late_needs_the_code() {
    let shop = TestShop::open([]).await;
    let path = table(&shop).await;
    let browser = Browser::start().await;
    let mut ada = guest(&browser, &shop, &path, "Ada").await;
    ada.expect_failures(&["ERR_", "WebSocket"]);
    let sessions = shop.orders_dir().join("state/table_session");
    let shop = shop.stop().await;
    for file in std::fs::read_dir(sessions).expect("the sessions' folder") {
        let path = file.expect("a file").path();
        let mut kept: Value = serde_json::from_str(&std::fs::read_to_string(&path).expect("a session")).expect("JSON");
        let until = &mut kept["value"]["session"]["door"]["open_until"];
        assert!(until.is_string(), "{until}");
        *until = "2024-01-01T00:00:00Z".into();
        std::fs::write(path, kept.to_string()).expect("it is written");
    }
    let shop = shop.open().await;
    ada.until(LIVE, &[]).await;
    ada.click("one('#open-people')", &[]).await;
    let code = ada.until("says(one('.invite-code'))", &[]).await;
    let code = code.as_str().expect("four digits");
    let wrong = if code == "1111" { "2222" } else { "1111" };

    let mut grace = browser.open(Screen::Phone, &shop, &path).await;
    grace.expect_failures(&["403"]);
    grace.fill("one('#join-name')", &[], "Grace").await;
    grace.click("control('Join the table')", &[]).await;
    grace.until("document.activeElement.id === 'join-code' && says(one('#join-form [role=alert]'))", &[]).await;
    grace.fill("one('#join-code')", &[], wrong).await;
    grace.click("control('Join the table')", &[]).await;
    grace
        .until("one('#join-code').ariaInvalid === 'true' && /code/i.test(says(one('#join-form [role=alert]')))", &[])
        .await;
    grace.assert_accessible("a wrong code").await;
    grace.picture("table-wrong-code").await;
    grace.fill("one('#join-code')", &[], code).await;
    grace.click("control('Join the table')", &[]).await;
    grace.until(LIVE, &[]).await;
    ada.until("says(one('#people-sheet')).includes('Grace')", &[]).await;
    assert_all_quiet(&[&ada, &grace]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_whose_telephone_is_offline_catches_up_with_the_others() {
    let shop = TestShop::open([]).await;
    let path = table(&shop).await;
    let browser = Browser::start().await;
    let (mut ada, grace) = tokio::join!(guest(&browser, &shop, &path, "Ada"), guest(&browser, &shop, &path, "Grace"));
    ada.expect_failures(&["ERR_", "WebSocket"]);
    ada.tools("Network.enable", json!({})).await;
    offline(&ada, true).await;
    ada.until("/^Connection lost. Reconnecting.../.test(says(one('#trouble')))", &[]).await;
    grace.click("one('#open-people')", &[]).await;
    grace.until("/Ada \\(not connected\\)/.test(says(one('#people-sheet')))", &[]).await;
    grace.keys(thirtyfour::Key::Escape + "").await;
    add(&ada, TARO, &["egg pudding"]).await;
    add(&grace, BLACK, &[]).await;
    open_cart(&grace).await;
    place(&grace).await;
    let number = placed(&grace).await;
    offline(&ada, false).await;
    ada.until(LIVE, &[]).await;
    // What was ordered meanwhile is news; what was chosen meanwhile is in the cart for the next order.
    assert_eq!(placed(&ada).await, number);
    for window in [&ada, &grace] {
        window.click("one('#placed-dialog .button.main')", &[]).await;
        window.until("says(one('#bar')).includes('1 drink') && says(one('#bar')).includes('$6.25')", &[]).await;
    }
    assert_all_quiet(&[&ada, &grace]).await;
}

async fn offline(window: &Window, is: bool) {
    let conditions = json!({"offline": is, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1});
    window.tools("Network.emulateNetworkConditions", conditions).await;
}
