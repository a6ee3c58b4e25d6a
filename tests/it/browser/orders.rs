//! An order on the console: from the first tap to the last, on two consoles, by hand and by keyboard.

use super::{LIVE, accepted, assert_all_quiet, open_console, texting};
use crate::harness::browser::{Browser, Screen, Window};
use crate::harness::{TestShop, TwilioApi, new_order};
use bobarista::order_service::NewOrder;
use bobarista::ordering::order::Order;
use bobarista::ordering::status::OrderStatus;
use serde_json::{Value, json};
use std::slice::from_ref;
use std::time::Duration;
use thirtyfour::Key;
use wiremock::ResponseTemplate;

const PHONE: &str = "+15551234567";

/// An offer that ends by itself is there for longer than this.
const AT_ONCE: Duration = Duration::from_millis(1500);

/// Waits until this order stands on a card with this status.
async fn shows(console: &Window, order: &Order, status: &str) {
    let is = "card(args[0]) && card(args[0]).dataset.status === args[1]";
    console.until(is, &[json!(order.order_number), json!(status)]).await;
}

/// Taps a button of an order's card: not in the moment after it has changed or moved, in which it is deaf, lest a second
/// tap meets another button.
async fn tap(console: &Window, order: &Order, action: &str) {
    let listens = "!card(args[0]).classList.contains('settling') && action(args[0], args[1])";
    console.click(listens, &[json!(order.order_number), json!(action)]).await;
}

/// Taps what stands in the card's menu.
async fn tap_in_menu(console: &Window, order: &Order, action: &str) {
    tap(console, order, "more").await;
    tap(console, order, action).await;
}

async fn is_gone(console: &Window, order: &Order) {
    console.until("!card(args[0])", &[json!(order.order_number)]).await;
}

/// A console whose requests wait while `window.holding` is a part of their path, until `letGo()`.
async fn open_console_that_waits(browser: &Browser, shop: &TestShop) -> Window {
    let console = browser.window(Screen::Tablet).await;
    console
        .before_pages(
            "{
               const real = window.fetch;
               let held = [];
               window.fetch = (path, options) =>
                 window.holding && path.includes(window.holding)
                   ? new Promise((go) => held.push(go)).then(() => real(path, options))
                   : real(path, options);
               window.isHeld = () => held.length > 0;
               window.letGo = () => {
                 window.holding = null;
                 held.forEach((go) => go());
                 held = [];
               };
             }",
        )
        .await;
    console.go(&shop.url("/barista")).await;
    console.until(LIVE, &[]).await;
    console
}

async fn hold(console: &Window, path: &str) {
    console.look("window.holding = args[0]", &[json!(path)]).await;
}

async fn let_go(console: &Window) {
    console.until("isHeld()", &[]).await;
    console.look("letGo() || true", &[]).await;
}

/// The order as the server has it.
async fn as_kept(shop: &TestShop, order: &Order) -> Value {
    shop.json(&format!("/api/v1/orders/{}", order.order_id)).await
}

async fn text(api: &mut TwilioApi) -> String {
    let (_, form) = api.request().await;
    form.into_iter().find(|(name, _)| name == "Body").expect("a text").1
}

#[tokio::test(flavor = "multi_thread")]
async fn every_tap_is_seen_by_the_other_console_and_can_be_taken_back() {
    let mut api = TwilioApi::start([accepted()]).await;
    let base = api.base();
    let shop = TestShop::open_with([], &texting(&base)).await;
    let browser = Browser::start().await;
    let (mine, theirs) = tokio::join!(open_console(&browser, &shop), open_console(&browser, &shop));
    let order = shop.place(Some(PHONE)).await;
    assert!(text(&mut api).await.contains("thanks for your order"));

    shows(&mine, &order, "received").await;
    tap(&mine, &order, "start").await;
    shows(&theirs, &order, "preparing").await;
    let line = "one('.tick', card(args[0]))";
    mine.click(line, &[json!(order.order_number)]).await;
    theirs.until(&format!("{line}.getAttribute('aria-pressed') === 'true'"), &[json!(order.order_number)]).await;

    // Done by mistake, and taken back in time, which is short: nobody is texted, as the record of it tells later.
    tap(&mine, &order, "done").await;
    tap(&mine, &order, "undo").await;
    shows(&mine, &order, "preparing").await;
    shows(&theirs, &order, "preparing").await;

    // Done, and recalled when the text has gone: the page says that it has.
    tap(&mine, &order, "done").await;
    assert!(text(&mut api).await.contains("is ready"));
    theirs.until("action(args[0], 'recall')", &[json!(order.order_number)]).await;
    tap(&theirs, &order, "recall").await;
    theirs.until("/text/i.test(says(one('#undo-bar')))", &[]).await;
    shows(&mine, &order, "preparing").await;

    tap(&mine, &order, "done").await;
    shows(&theirs, &order, "ready").await;
    tap(&theirs, &order, "pickup").await;
    for console in [&mine, &theirs] {
        is_gone(console, &order).await;
    }
    let kept = as_kept(&shop, &order).await;
    let steps: Vec<&str> =
        kept["history"].as_array().expect("a history").iter().filter_map(|step| step["status"].as_str()).collect();
    assert_eq!(steps, ["received", "preparing", "ready", "preparing", "ready", "preparing", "ready", "completed"]);
    assert_eq!(kept["status"], "completed");
    let audit = shop.json(&format!("/api/v1/orders/{}/audit", order.order_id)).await;
    let texts = audit["deliveries"].as_array().expect("deliveries").iter();
    let states: Vec<&Value> = texts.filter(|text| text["kind"] == "text_ready").map(|text| &text["state"]).collect();
    assert_eq!(states[..2], ["skipped", "sent"], "the third hangs on how fast it was picked up");
    assert_all_quiet(&[&mine, &theirs]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_rushed_to_the_front_or_cancelled_with_a_reason() {
    let shop = TestShop::open([]).await;
    let orders = [shop.place(None).await, shop.place(None).await, shop.place(None).await];
    let browser = Browser::start().await;
    let (mine, theirs) = tokio::join!(open_console(&browser, &shop), open_console(&browser, &shop));
    let numbers = "all('.card').map((card) => card.dataset.order)";
    let expect = async |console: &Window, order: [usize; 3]| {
        let wanted = order.map(|index| orders[index].order_number.to_string());
        console.until(&format!("{numbers}.join() === args[0]"), &[json!(wanted.join(","))]).await;
    };
    for console in [&mine, &theirs] {
        expect(console, [0, 1, 2]).await;
    }
    tap_in_menu(&mine, &orders[2], "rush").await;
    for console in [&mine, &theirs] {
        expect(console, [2, 0, 1]).await;
    }
    // A bar that has just come up is deaf for 0.4 s, lest it takes a tap that was meant for what lay there.
    let listens = "one('#undo') && performance.now() - (window.upSince = window.upSince || performance.now()) > 500";
    mine.until(listens, &[]).await;
    mine.click("one('#undo')", &[]).await;
    for console in [&mine, &theirs] {
        expect(console, [0, 1, 2]).await;
    }

    tap_in_menu(&theirs, &orders[1], "cancel").await;
    theirs.fill("one('#cancel-dialog input')", &[], "the customer called again").await;
    theirs.click("one('#cancel-dialog [type=submit]')", &[]).await;
    for console in [&mine, &theirs] {
        is_gone(console, &orders[1]).await;
    }
    assert_eq!(as_kept(&shop, &orders[1]).await["status"], "cancelled");
    // Whoever looks it up finds out why.
    mine.click("one('#open-list')", &[]).await;
    mine.click("one('#recent [data-status=cancelled] button')", &[]).await;
    mine.until("/by staff the customer called again/i.test(says(one('#order-dialog')))", &[]).await;
    let files = shop.order_files();
    let file = files.iter().find(|file| file["order_id"] == json!(orders[1].order_id)).expect("the order's file");
    let last = file["audit"].as_array().and_then(|entries| entries.last()).expect("an entry");
    assert_eq!((&last["by"], &last["reason"]), (&json!("staff"), &json!("the customer called again")));
    assert_all_quiet(&[&mine, &theirs]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_consoles_on_one_order_one_wins_and_the_other_is_told() {
    let shop = TestShop::open([]).await;
    let order = shop.place(None).await;
    let browser = Browser::start().await;
    let mut late = browser.window(Screen::Tablet).await;
    // Its feed can be held back, as by a slow network, so that it acts on what it saw.
    late.before_pages(
        "window.EventSource = class extends EventSource {
           set onmessage(take) { super.onmessage = (message) => window.heldBack || take(message); }
         };",
    )
    .await;
    late.expect_failures(&["412"]);
    late.go(&shop.url("/barista")).await;
    late.until(LIVE, &[]).await;
    let early = open_console(&browser, &shop).await;
    shows(&late, &order, "received").await;
    late.look("window.heldBack = true", &[]).await;

    tap_in_menu(&early, &order, "cancel").await;
    early.click("one('#cancel-dialog button.reason')", &[]).await;
    is_gone(&early, &order).await;
    let before = as_kept(&shop, &order).await;
    shows(&late, &order, "received").await;
    tap(&late, &order, "done").await;
    late.until(
        "/cancelled/i.test(says(one('[role=alert]'))) && says(one('[role=alert]')).includes(args[0])",
        &[json!(order.order_number)],
    )
    .await;
    is_gone(&late, &order).await;
    assert_eq!(as_kept(&shop, &order).await, before, "nothing was overwritten");
    assert_all_quiet(&[&late, &early]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_change_waits_for_the_first_and_both_are_made() {
    let shop = TestShop::open([]).await;
    let (first, second) = (shop.place(None).await, shop.place(None).await);
    let browser = Browser::start().await;
    let console = open_console_that_waits(&browser, &shop).await;
    shows(&console, &first, "received").await;

    // Cancelled while it is still being started.
    hold(&console, "/status").await;
    tap(&console, &first, "start").await;
    tap_in_menu(&console, &first, "cancel").await;
    console.click("one('#cancel-dialog button.reason')", &[]).await;
    let_go(&console).await;
    is_gone(&console, &first).await;
    console.until("!one('#cancel-dialog')", &[]).await;
    assert_eq!(as_kept(&shop, &first).await["status"], "cancelled");

    // Ticked, and not after all, while the tick is on its way: the last tap counts, however slow the first one was.
    let number = json!(second.order_number);
    let line = "one('.tick', card(args[0]))";
    let is_ticked = |on: bool| format!("{line}.getAttribute('aria-pressed') === '{on}'");
    hold(&console, "/marks").await;
    console.click(line, from_ref(&number)).await;
    console.until(&is_ticked(true), from_ref(&number)).await;
    console.click(line, from_ref(&number)).await;
    console.until(&is_ticked(false), from_ref(&number)).await;
    let_go(&console).await;
    console.until("/to make again/.test(says(one('#undo-bar')))", &[]).await;
    assert_eq!(shop.json("/barista/console.json").await["open"][0]["made"], json!([]));
    console.until(&is_ticked(false), from_ref(&number)).await;
    assert_all_quiet(&[&console]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_last_change_of_an_order_is_offered_for_undo() {
    let shop = TestShop::open([]).await;
    let order = shop.place(None).await;
    let browser = Browser::start().await;
    let console = open_console(&browser, &shop).await;
    shows(&console, &order, "received").await;

    tap(&console, &order, "start").await;
    shows(&console, &order, "preparing").await;
    tap(&console, &order, "done").await;
    shows(&console, &order, "ready").await;
    // Another screen's news may be there before the answer that makes the offer.
    console.until("/is ready/.test(says(one('#undo-bar')))", &[]).await;
    console.keys("u").await;
    shows(&console, &order, "preparing").await;
    // The start cannot be taken back any more, so nothing offers it.
    console.until_within(AT_ONCE, "!one('#undo-bar')", &[]).await;
    console.keys("u").await;

    tap(&console, &order, "done").await;
    shows(&console, &order, "ready").await;
    tap(&console, &order, "undo").await;
    shows(&console, &order, "preparing").await;
    console.until_within(AT_ONCE, "!one('#undo-bar')", &[]).await;
    assert_eq!(console.look("!one('#notice')", &[]).await, true, "nothing went wrong");
    assert_all_quiet(&[&console]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tablet_whose_clock_is_slow_offers_undo_for_no_longer_than_there_is_one() {
    let shop = TestShop::open([]).await;
    let order = shop.place(None).await;
    let browser = Browser::start().await;
    let console = browser.window(Screen::Tablet).await;
    console
        .before_pages(
            "window.Date = class extends Date {
               constructor(...given) { given.length === 0 ? super(Date.now()) : super(...given); }
               static now() { return super.now() - 4500; }
             };",
        )
        .await;
    console.go(&shop.url("/barista")).await;
    console.until(LIVE, &[]).await;
    shows(&console, &order, "received").await;
    tap(&console, &order, "done").await;
    console.until("action(args[0], 'undo')", &[json!(order.order_number)]).await;
    // Five seconds, one until the card looks again, and what the browser takes; 9.5 s at least for a page that trusts its
    // own clock.
    let limit = Duration::from_secs(9);
    console.until_within(limit, "action(args[0], 'recall')", &[json!(order.order_number)]).await;
    assert_all_quiet(&[&console]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dialog_follows_what_becomes_of_its_order() {
    let shop = TestShop::open([]).await;
    let (first, second) = (shop.place(None).await, shop.place(None).await);
    let browser = Browser::start().await;
    let mut console = browser.window(Screen::Tablet).await;
    console.expect_failures(&["404"]);
    console.go(&shop.url("/barista")).await;
    console.until(LIVE, &[]).await;
    shows(&console, &first, "received").await;

    // What cannot be cancelled any more does not stand in the way of the next one.
    let origin = || new_order(None).origin;
    let enabled = "one('#cancel-dialog button.reason:enabled')";
    tap_in_menu(&console, &first, "cancel").await;
    console.until(enabled, &[]).await;
    shop.shop.orders().done(first.order_number, origin()).await.expect("it is done");
    let picked_up = OrderStatus::Completed;
    shop.shop.orders().change_status(&first.order_id, picked_up, None, None, origin()).await.expect("it is picked up");
    console.until(&format!("one('#cancel-dialog button.reason') && !{enabled}"), &[]).await;
    console.click("control('Close', one('dialog[open]'))", &[]).await;
    tap_in_menu(&console, &second, "cancel").await;
    console.until(enabled, &[]).await;
    console.click("control('Close', one('dialog[open]'))", &[]).await;

    // Pushed out of the last orders, an order is still there; deleted, it is not.
    for _ in 0..50 {
        shop.place(None).await;
    }
    tap_in_menu(&console, &second, "open").await;
    console.click("one('#order-dialog [data-action=done]')", &[]).await;
    let listens = "one('#order-dialog .card:not(.settling) [data-action=pickup]')";
    console.click(listens, &[]).await;
    console.until("says(one('#order-dialog .card-status')) === 'Completed'", &[]).await;
    shop.place(None).await;
    console.until("all('.cards > .card').length === 51", &[]).await;
    console.until("one('#order-dialog [data-action=recall]')", &[]).await;
    assert_eq!(console.look("/deleted/.test(says(one('#order-dialog')))", &[]).await, false);
    shop.shop.orders().delete(&second.order_id, None, origin()).await.expect("deleted");
    console.until("/deleted/.test(says(one('#order-dialog')))", &[]).await;
    assert_all_quiet(&[&console]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_console_that_still_waits_for_its_first_answer_says_so() {
    let shop = TestShop::open([]).await;
    let browser = Browser::start().await;
    let console = browser.window(Screen::Tablet).await;
    console
        .before_pages(
            "{
               const real = window.fetch;
               const released = new Promise((go) => (window.release = go));
               window.fetch = (path, options) =>
                 (path.includes('console.json') ? released : Promise.resolve()).then(() => real(path, options));
             }",
        )
        .await;
    console.go(&shop.url("/barista")).await;
    console.click("one('#open-list')", &[]).await;
    console.until("/connecting/i.test(says(one('#list-drawer')))", &[]).await;
    console.fill("one('#search')", &[], "12").await;
    console.click("control('Close', one('dialog[open]'))", &[]).await;
    console.click("one('#open-stock')", &[]).await;
    console.click("one('[data-pause=\"15\"]')", &[]).await;
    console.until("/connecting/i.test(says(one('#notice')))", &[]).await;
    console.look("release() || true", &[]).await;
    console.until(LIVE, &[]).await;
    assert_eq!(shop.json("/readyz").await["ordering"], "open");
    assert_all_quiet(&[&console]).await;
}

/// Presses Tab until the focus is on an element; nothing else moves it.
async fn tab_to(console: &Window, element: &str, args: &[Value]) {
    for _ in 0..80 {
        if console.look(&format!("document.activeElement === ({element})"), args).await == true {
            return;
        }
        console.keys(Key::Tab).await;
    }
    panic!("Tab does not lead to {element} with {args:?}");
}

/// Presses what has the focus on a card that listens: again, if the card has turned deaf just then.
async fn enter(console: &Window, order: &Order) {
    let listen = "(window.deaf = null, addEventListener('click',
        (event) => { window.deaf = event.target.closest('.settling') !== null; }, { capture: true, once: true }), true)";
    for _ in 0..5 {
        console.until("!card(args[0]).classList.contains('settling')", &[json!(order.order_number)]).await;
        console.look(listen, &[]).await;
        console.keys(Key::Enter).await;
        if console.until("window.deaf !== null && [window.deaf]", &[]).await == json!([false]) {
            return;
        }
    }
    panic!("the card does not listen");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_order_is_handled_without_a_pointer() {
    let shop = TestShop::open([]).await;
    let (order, other) = (shop.place(None).await, shop.place(None).await);
    let number = json!(order.order_number);
    let browser = Browser::start().await;
    let console = open_console(&browser, &shop).await;
    shows(&console, &order, "received").await;
    shows(&console, &other, "received").await;

    console.keys("2").await;
    shows(&console, &other, "preparing").await;
    console.until("/is being prepared/.test(says(one('#undo-bar')))", &[]).await;
    console.keys("u").await;
    shows(&console, &other, "received").await;

    console.keys("1").await;
    shows(&console, &order, "preparing").await;
    tab_to(&console, "one('.tick', card(args[0]))", from_ref(&number)).await;
    console.keys(Key::Space).await;
    console.until("one('.tick', card(args[0])).getAttribute('aria-pressed') === 'true'", from_ref(&number)).await;
    tab_to(&console, "action(args[0], 'done')", from_ref(&number)).await;
    enter(&console, &order).await;
    shows(&console, &order, "ready").await;
    tab_to(&console, "action(args[0], 'pickup')", from_ref(&number)).await;
    enter(&console, &order).await;
    is_gone(&console, &order).await;

    tab_to(&console, "action(args[0], 'more')", &[json!(other.order_number)]).await;
    enter(&console, &other).await;
    tab_to(&console, "action(args[0], 'cancel')", &[json!(other.order_number)]).await;
    enter(&console, &other).await;
    console.until("document.activeElement.closest('#cancel-dialog')", &[]).await;
    console.keys(Key::Enter).await;
    is_gone(&console, &other).await;
    assert_eq!(as_kept(&shop, &other).await["status"], "cancelled");
    assert_all_quiet(&[&console]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_orders_are_all_there_and_within_reach() {
    let shop = TestShop::open([]).await;
    let browser = Browser::start().await;
    let console = open_console(&browser, &shop).await;
    let mut numbers = Vec::new();
    for _ in 0..60 {
        numbers.push(shop.place(None).await.order_number.to_string());
    }
    console
        .until("all('.card').map((card) => card.dataset.order).join() === args[0]", &[json!(numbers.join(","))])
        .await;
    assert_eq!(
        console.look("document.documentElement.scrollWidth <= innerWidth", &[]).await,
        true,
        "no way to the side"
    );
    console.picture("console-sixty").await;
    let last = json!(numbers[59]);
    console.click("action(args[0], 'start')", from_ref(&last)).await;
    console.until("card(args[0]).dataset.status === 'preparing'", &[last]).await;
    assert_all_quiet(&[&console]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_was_refused_stands_on_its_card_until_it_is_tried_again() {
    let refused =
        ResponseTemplate::new(400).set_body_json(json!({"code": 21610, "message": "unsubscribed", "status": 400}));
    let mut api = TwilioApi::start([refused, accepted()]).await;
    let base = api.base();
    let shop = TestShop::open_with([], &texting(&base)).await;
    let browser = Browser::start().await;
    let console = open_console(&browser, &shop).await;
    let order = shop
        .shop
        .orders()
        .create(NewOrder { ..new_order(Some(PHONE)) })
        .await
        .expect("an order")
        .into_order()
        .expect("not deleted");
    text(&mut api).await;
    let again = "control('Try again', card(args[0]))";
    console.until(again, &[json!(order.order_number)]).await;
    console.picture("console-failed-delivery").await;
    console.click(again, &[json!(order.order_number)]).await;
    text(&mut api).await;
    console.until(&format!("card(args[0]) && !{again}"), &[json!(order.order_number)]).await;
    assert_all_quiet(&[&console]).await;
}
