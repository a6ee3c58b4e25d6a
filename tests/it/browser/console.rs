//! What staff have around the orders: what is sold out, pauses, sounds, tickets; and how all of it looks.

use super::{LIVE, accepted, assert_all_quiet, busy_shop, open_console, open_screens};
use crate::harness::browser::{Browser, Scheme, Screen, Window};
use crate::harness::{TestShop, TwilioApi, new_order, script};
use bobarista::order_service::{NewOrder, Patch};
use bobarista::ordering::status::OrderStatus;
use bobarista::simulator::Script;
use serde_json::{Value, json};
use std::slice::from_ref;
use std::time::Duration;

/// A caller who wants boba, and an agent who is told that there is none.
fn boba_is_wanted() -> Script {
    script(
        r#"
        name = "boba is wanted"
        step = [
            { caller = "Taro tea with boba." },
            { tools = [{ name = "add_to_cart", arguments = { flavor = "taro milk tea", toppings = ["boba"] } }] },
            { expect = { tool = "add_to_cart", field = "code", value = "SOLD_OUT" } },
            { agent = "Goodbye!" },
        ]"#,
    )
}

/// Closes whatever dialog is open.
async fn close_dialog(console: &Window) {
    console.click("control('Close', one('dialog[open]'))", &[]).await;
    console.until("!one('dialog[open]')", &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sold_out_is_so_on_every_console_and_for_the_agent() {
    let mut shop = TestShop::open([boba_is_wanted()]).await;
    let browser = Browser::start().await;
    let (mine, theirs) = tokio::join!(open_console(&browser, &shop), open_console(&browser, &shop));
    let switch = "one('[role=switch][data-option=\"boba\"]')";
    for console in [&mine, &theirs] {
        console.click("one('#open-stock')", &[]).await;
        console.until(&format!("{switch}.getAttribute('aria-checked') === 'false'"), &[]).await;
    }
    mine.click(switch, &[]).await;
    theirs.until(&format!("{switch}.getAttribute('aria-checked') === 'true'"), &[]).await;
    shop.call(&boba_is_wanted()).await.assert_flawless();

    // What needs something that is sold out is not to be had either.
    let stencil = "says(one('[role=switch][data-option=\"matcha stencil on top\"]'))";
    mine.until(&format!("/available/i.test({stencil})"), &[]).await;
    theirs.click("one('[role=switch][data-option=\"vanilla cream\"]')", &[]).await;
    mine.until(&format!("/needs something/i.test({stencil})"), &[]).await;
    // A switch takes no tap until the one before has been answered.
    theirs.until("/vanilla cream is sold out/i.test(says(one('#undo-bar')))", &[]).await;
    theirs.click("one('[role=switch][data-option=\"vanilla cream\"]')", &[]).await;
    mine.until(&format!("/available/i.test({stencil})"), &[]).await;

    theirs.click(switch, &[]).await;
    mine.until(&format!("{switch}.getAttribute('aria-checked') === 'false'"), &[]).await;
    assert_eq!(shop.json("/api/v1/shop").await["sold_out"], json!([]));
    assert_all_quiet(&[&mine, &theirs]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_is_on_every_screen_until_it_is_over() {
    let shop = TestShop::open([]).await;
    let browser = Browser::start().await;
    let (mine, tv) = open_screens(&browser, &shop).await;
    mine.click("one('#open-stock')", &[]).await;
    mine.click("one('[data-pause=\"15\"]')", &[]).await;
    tv.until("/paused/i.test(page())", &[]).await;
    mine.until("/paused/i.test(says(one('#stock-drawer')))", &[]).await;
    assert_eq!(shop.json("/readyz").await["ordering"], "paused");
    close_dialog(&mine).await;
    mine.until("/paused/i.test(says(one('#paused')))", &[]).await;
    mine.picture("console-paused").await;
    tv.picture("tv-paused").await;

    mine.click("control('Resume', one('#paused'))", &[]).await;
    mine.until("!one('#paused')", &[]).await;
    tv.until("!/paused/i.test(page())", &[]).await;
    assert_eq!(shop.json("/readyz").await["ordering"], "open");
    assert_all_quiet(&[&mine, &tv]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_way_back_from_a_pause_ends_the_pause_of_another_console() {
    let shop = TestShop::open([]).await;
    let browser = Browser::start().await;
    let (mine, theirs) = tokio::join!(open_console(&browser, &shop), open_console(&browser, &shop));
    for console in [&mine, &theirs] {
        console.click("one('#open-stock')", &[]).await;
    }
    mine.click("one('[data-pause=\"15\"]')", &[]).await;
    mine.until("one('#undo-bar')", &[]).await;
    theirs.until("/paused/i.test(says(one('#stock-drawer')))", &[]).await;
    theirs.click("one('[data-pause=resumed]')", &[]).await;
    mine.until("/until you resume/.test(says(one('#stock-drawer')))", &[]).await;
    // There is nothing to take back any more, long before the offer would have ended by itself.
    mine.until_within(Duration::from_millis(1500), "!one('#undo-bar')", &[]).await;
    mine.keys("u").await;
    assert_eq!(shop.json("/api/v1/shop").await["paused_until"], "resumed");
    assert_all_quiet(&[&mine, &theirs]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shift_begins_with_sound_and_a_muted_console_says_so() {
    let shop = TestShop::open([]).await;
    let browser = Browser::start().await;
    let console = browser.window(Screen::Tablet).await;
    console
        .before_pages(
            "window.audio = [];
             window.AudioContext = class extends AudioContext {
               constructor() { super(); window.audio.push(this); }
               createOscillator() { window.tones = (window.tones || 0) + 1; return super.createOscillator(); }
             };",
        )
        .await;
    console.go(&shop.url("/barista")).await;
    console.until(LIVE, &[]).await;
    // Nothing sounds before somebody has tapped, and the page says so.
    console.until("control('Start shift')", &[]).await;
    shop.place(None).await;
    console.until("all('.card').length === 1", &[]).await;
    assert_eq!(console.look("window.tones || 0", &[]).await, 0);

    console.click("control('Start shift')", &[]).await;
    console.until("window.audio.length === 1 && window.audio[0].state === 'running'", &[]).await;
    console.until("!control('Start shift') && window.tones > 0", &[]).await;
    let before = console.look("window.tones", &[]).await;
    let order = shop.place(None).await;
    console.until("all('.card').length === 2 && window.tones > args[0]", &[before]).await;

    // By somebody else: who does it here needs no sound to know.
    let patch = Patch { notes: Some(Some("no straw".to_owned())), ..Patch::default() };
    let origin = || new_order(None).origin;
    shop.shop.orders().patch(&order.order_id, patch, None, origin()).await.expect("changed");
    console.until("document.documentElement.dataset.played === 'changed'", &[]).await;
    let cancelled = shop.shop.orders().change_status(&order.order_id, OrderStatus::Cancelled, None, None, origin());
    cancelled.await.expect("cancelled");
    console.until("document.documentElement.dataset.played === 'cancelled'", &[]).await;
    console.until("all('.card').length === 1", &[]).await;

    console.click("one('#sound')", &[]).await;
    console.until("/muted/i.test(says(one('#sound')))", &[]).await;
    let before = console.look("window.tones", &[]).await;
    shop.place(None).await;
    console.until("all('.card').length === 2", &[]).await;
    assert_eq!(console.look("window.tones", &[]).await, before, "muted");
    assert_all_quiet(&[&console]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_read_along_by_whoever_asks_for_it() {
    let mut shop = TestShop::open_with([Script::boba()], &[("CALL_TRANSCRIPTS", "true")]).await;
    let browser = Browser::start().await;
    let console = open_console(&browser, &shop).await;
    let call = shop.begin_call(&Script::boba(), shop.caller_options());
    console.until("/^1 call/.test(says(one('#calls')))", &[]).await;
    let read = "performance.getEntriesByType('resource').filter((one) => one.name.includes('/calls/')).length";
    console.click("one('#calls')", &[]).await;
    console.until("control('Close', one('#calls-drawer'))", &[]).await;
    assert_eq!(console.look(read, &[]).await, 0, "nobody has asked yet");

    console.click("one('[data-call]')", &[]).await;
    let log = "says(one('#calls-drawer [role=log]'))";
    for words in ["taro milk tea with boba please", "Is that right?", "Goodbye!", "The call has ended."] {
        console.until(&format!("{log}.includes(args[0])"), &[json!(words)]).await;
    }
    shop.end_call(call).await.assert_flawless();
    assert_all_quiet(&[&console]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_is_printed_alone_and_as_wide_as_its_paper() {
    let shop = TestShop::open([]).await;
    let new = NewOrder { notes: Some("nut allergy".to_owned()), ..new_order(Some("+15551234567")) };
    let order = shop.shop.orders().create(new).await.expect("an order").into_order().expect("not deleted");
    let other = shop.place(None).await;
    let browser = Browser::start().await;
    let console = browser.window(Screen::Tablet).await;
    console.before_pages("window.print = () => { window.printed = true; };").await;
    console.go(&shop.url("/barista")).await;
    console.until(LIVE, &[]).await;
    let number = json!(order.order_number);
    console.click("action(args[0], 'more')", from_ref(&number)).await;
    console.click("action(args[0], 'print')", from_ref(&number)).await;
    console.until("window.printed", &[]).await;

    console.media(Scheme::Light, true).await;
    let ticket = console.look("page()", &[]).await;
    let ticket = ticket.as_str().expect("words");
    for word in [number.as_str().expect("a number"), "Ada", "taro milk tea", "boba", "50%", "nut allergy", "67"] {
        assert!(ticket.contains(word), "{word} is missing: {ticket}");
    }
    for word in [&other.order_number.to_string(), "Done", "Start", "5551234567", "1234567"] {
        assert!(!ticket.contains(word), "{word} is on the ticket: {ticket}");
    }
    let pdf = console.tools("Page.printToPDF", json!({"preferCSSPageSize": true})).await;
    let pdf = base64_text(&pdf["data"]);
    let pages: Vec<&str> = pdf.split("/MediaBox [0 0 ").skip(1).filter_map(|rest| rest.split(' ').next()).collect();
    // 80 mm in points of 1/72 inch.
    let is_roll = |width: &&str| width.parse::<f64>().is_ok_and(|points| (points - 226.8).abs() < 1.0);
    assert!(pages.len() == 1 && pages.iter().all(is_roll), "{pages:?}");
    assert_all_quiet(&[&console]).await;
}

fn base64_text(base64: &Value) -> String {
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::STANDARD.decode(base64.as_str().expect("Base64")).expect("Base64");
    String::from_utf8_lossy(&bytes).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_console_is_accessible_and_fits_every_screen() {
    let api = TwilioApi::start([accepted()]).await;
    let (shop, orders) = busy_shop(&api.base()).await;
    let browser = Browser::start().await;
    let console = open_console(&browser, &shop).await;
    console.until("all('.card').length === 8", &[]).await;
    // Age is told in words and in colour, and the late ones are the oldest.
    for (order, late) in [(&orders[0], "red"), (&orders[1], "amber"), (&orders[2], "")] {
        console.until("card(args[0]).dataset.late === args[1]", &[json!(order.order_number), json!(late)]).await;
    }
    let (first, started) = (json!(orders[0].order_number), json!(orders[2].order_number));
    console.click("one('.tick', card(args[0]))", &[first]).await;
    console.click("action(args[0], 'start')", from_ref(&started)).await;
    console.until("card(args[0]).dataset.status === 'preparing' && !one('.busy')", from_ref(&started)).await;
    // So that no bar lies over the pictures.
    console.until("!one('#undo-bar')", &[]).await;
    for scheme in [Scheme::Light, Scheme::Dark] {
        console.media(scheme, false).await;
        let light = if scheme == Scheme::Dark { "dark" } else { "light" };
        for (screen, size) in [
            (Screen::Desktop, "desktop"),
            (Screen::Tablet, "tablet"),
            (Screen::UprightTablet, "upright"),
            (Screen::Phone, "phone"),
        ] {
            console.resize(screen).await;
            assert_eq!(console.look("document.documentElement.scrollWidth <= innerWidth", &[]).await, true, "{size}");
            let small = "all('button, a[href], input, [role=switch]')
                .filter((one) => !one.closest('.skip') && Math.min(one.offsetHeight, one.offsetWidth) < 48)
                .map((one) => `${nameOf(one)} ${one.offsetWidth}×${one.offsetHeight}`)";
            assert_eq!(console.look(small, &[]).await, json!([]), "too small for wet fingers, {size}");
            console.look("scrollTo(0, 0)", &[]).await;
            console.picture(&format!("console-{size}-{light}")).await;
        }
        console.assert_accessible(&format!("console, {light}")).await;
        console.resize(Screen::Tablet).await;
        for opener in ["#open-list", "#open-stock", "#open-more"] {
            console.click(&format!("one('{opener}')"), &[]).await;
            console.until("one('dialog[open]')", &[]).await;
            console.assert_accessible(&format!("console, {opener}, {light}")).await;
            console.picture(&format!("console{}-{light}", opener.replace("#open", ""))).await;
            close_dialog(&console).await;
        }
        for inner in ["open", "cancel"] {
            console.click("action(args[0], 'more')", from_ref(&started)).await;
            console.click("action(args[0], args[1])", &[started.clone(), json!(inner)]).await;
            console.until("one('dialog[open]')", &[]).await;
            console.assert_accessible(&format!("console, {inner}, {light}")).await;
            console.picture(&format!("console-{inner}-{light}")).await;
            close_dialog(&console).await;
        }
    }
    assert_all_quiet(&[&console]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_found_again_and_its_phone_is_masked_until_it_is_tapped() {
    let shop = TestShop::open([]).await;
    let found = shop.place(Some("+15551234567")).await;
    // No order's number is the end of either phone's, or begins with what is searched for.
    let other = shop.place(Some("+15557650321")).await;
    let browser = Browser::start().await;
    let console = open_console(&browser, &shop).await;
    let number = json!(found.order_number);
    console.until("card(args[0])", from_ref(&number)).await;
    assert_eq!(console.look("/1234567|123-4567/.test(document.body.innerText)", &[]).await, false, "masked");
    console.click("one('.phone', card(args[0]))", from_ref(&number)).await;
    console
        .until("says(one('.phone', card(args[0]))).replace(/\\D/g, '').endsWith('5551234567')", from_ref(&number))
        .await;

    console.click("one('#open-list')", &[]).await;
    let rows = "all('#recent [data-order]').map((row) => row.dataset.order).join()";
    let both = format!("{},{}", other.order_number, found.order_number);
    console.until(&format!("{rows} === args[0]"), &[json!(both)]).await;
    let only = format!("{rows} === args[0]");
    for query in ["1234567", &found.order_number.to_string()] {
        console.fill("one('#search')", &[], query).await;
        console.until(&only, from_ref(&number)).await;
    }
    console.click("one('#recent button')", &[]).await;
    console.until("says(one('#order-dialog')).includes(args[0])", &[number]).await;
    assert_all_quiet(&[&console]).await;
}
