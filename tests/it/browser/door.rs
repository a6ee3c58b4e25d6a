//! Signing in, signing out everywhere, and an open console that loses nothing by it.

use super::{LIVE, assert_all_quiet};
use crate::harness::TestShop;
use crate::harness::browser::{Browser, Scheme, Screen, Window};
use serde_json::json;

const PASSWORD: &str = "open sesame";

/// A console, by way of the page that asks who comes.
async fn sign_in(browser: &Browser, shop: &TestShop) -> Window {
    let window = browser.open(Screen::Tablet, shop, "/barista").await;
    window.until("location.pathname === '/login'", &[]).await;
    window.fill("one('input[type=password]')", &[], PASSWORD).await;
    window.click("one('[type=submit]')", &[]).await;
    window.until("location.pathname === '/barista'", &[]).await;
    window.until(LIVE, &[]).await;
    window
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_told_and_the_right_one_leads_on() {
    let shop = TestShop::open_with([], &[("STAFF_PASSWORD", PASSWORD)]).await;
    let browser = Browser::start().await;
    let mut window = browser.open(Screen::Tablet, &shop, "/barista").await;
    window.expect_failures(&["401"]);
    window.until("location.pathname === '/login' && one('input[type=password]')", &[]).await;
    for (scheme, light) in [(Scheme::Light, "light"), (Scheme::Dark, "dark")] {
        window.media(scheme, false).await;
        window.assert_accessible(&format!("login, {light}")).await;
        window.picture(&format!("login-{light}")).await;
    }
    window.fill("one('input[type=password]')", &[], "sesame").await;
    window.click("one('[type=submit]')", &[]).await;
    window.until("/password/i.test(says(one('[role=alert]')))", &[]).await;
    assert_eq!(window.look("location.search", &[]).await, "?next=/barista", "it is told in place");
    window.assert_accessible("login, after a wrong password").await;
    window.fill("one('input[type=password]')", &[], PASSWORD).await;
    window.click("one('[type=submit]')", &[]).await;
    window.until("location.pathname === '/barista'", &[]).await;
    window.until(LIVE, &[]).await;
    assert_all_quiet(&[&window]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_console_whose_sign_in_ended_asks_in_place_and_goes_on() {
    let shop = TestShop::open_with([], &[("STAFF_PASSWORD", PASSWORD)]).await;
    let order = shop.place(Some("+15551234567")).await;
    let browser = Browser::start().await;
    let (mut mine, mut theirs) = tokio::join!(sign_in(&browser, &shop), sign_in(&browser, &shop));
    mine.expect_failures(&["401"]);
    theirs.expect_failures(&["401"]);
    mine.click("one('.phone', card(args[0]))", &[json!(order.order_number)]).await;
    mine.until("/555.?123.?4567/.test(page())", &[]).await;
    // In the middle of a sentence.
    mine.click("action(args[0], 'more')", &[json!(order.order_number)]).await;
    mine.click("action(args[0], 'cancel')", &[json!(order.order_number)]).await;
    mine.fill("one('#cancel-dialog input')", &[], "the tap is").await;

    theirs.click("one('#open-more')", &[]).await;
    theirs.click("control(/everywhere/i)", &[]).await;
    theirs.click("one('dialog[open]:not(#more-drawer) button.danger')", &[]).await;
    // Who went on purpose leaves nothing behind; the other one keeps all it has, but for phone numbers.
    theirs.until("location.pathname === '/login' && one('input[type=password]')", &[]).await;
    mine.until("one('dialog[open] input[type=password]')", &[]).await;
    let phone = "card(args[0]).querySelector('.phone')";
    mine.until(&format!("{phone}.getAttribute('aria-expanded') === 'false'"), &[json!(order.order_number)]).await;
    mine.look(&format!("{phone}.click()"), &[json!(order.order_number)]).await;
    assert_eq!(
        mine.look("document.body.textContent.replace(/\\D/g, '').includes('1234567')", &[]).await,
        false,
        "masked, and stays so"
    );
    mine.picture("console-signed-out").await;
    mine.assert_accessible("sign-in in place").await;
    let missed = shop.place(None).await;

    mine.fill("one('dialog[open] input[type=password]')", &[], "sesame").await;
    mine.click("one('dialog[open] form:has(input[type=password]) [type=submit]')", &[]).await;
    mine.until("/wrong|not right|password/i.test(says(one('dialog[open] form [role=alert]')))", &[]).await;
    mine.fill("one('dialog[open] input[type=password]')", &[], PASSWORD).await;
    mine.click("one('dialog[open] form:has(input[type=password]) [type=submit]')", &[]).await;
    mine.until("!one('input[type=password]') && document.documentElement.dataset.state === 'live'", &[]).await;
    mine.until("one('#cancel-dialog input').value === 'the tap is'", &[]).await;
    mine.until("card(args[0])", &[json!(missed.order_number)]).await;
    mine.click("one('#cancel-dialog [type=submit]')", &[]).await;
    mine.until("!card(args[0])", &[json!(order.order_number)]).await;
    assert!(theirs.look("one('input[type=password]') !== undefined", &[]).await == true, "only one signed in again");
    assert_all_quiet(&[&mine, &theirs]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tv_with_a_link_of_its_own_is_opened_by_it_until_it_is_revoked() {
    let shop = TestShop::open_with([], &[("STAFF_PASSWORD", PASSWORD), ("TV_TOKEN", "a token of the tests")]).await;
    let order = shop.place(None).await;
    let browser = Browser::start().await;
    let (console, mut tv) = tokio::join!(sign_in(&browser, &shop), browser.open(Screen::Television, &shop, "/orders"));
    tv.until("location.pathname === '/login'", &[]).await;
    console.click("one('#open-more')", &[]).await;
    let link = console.until("one('#tv-link').value", &[]).await;
    let link = link.as_str().expect("a link").to_owned();
    tv.go(&link).await;
    tv.until(LIVE, &[]).await;
    tv.until("all('.entry-number').map(says).includes(args[0])", &[json!(order.order_number)]).await;
    assert_eq!(tv.look("location.pathname + location.search", &[]).await, "/orders", "the link is not left to be read");

    tv.expect_failures(&["401"]);
    console.click("control('New link', one('#more-drawer'))", &[]).await;
    console.click("one('dialog[open]:not(#more-drawer) button.danger')", &[]).await;
    tv.until("/no longer valid/.test(page()) && !all('.entry-number').some(isInSight)", &[]).await;
    let next = console.until("one('#tv-link').value !== args[0] && one('#tv-link').value", &[json!(link)]).await;
    tv.go(next.as_str().expect("a link")).await;
    tv.until(LIVE, &[]).await;
    assert_all_quiet(&[&console, &tv]).await;
}
