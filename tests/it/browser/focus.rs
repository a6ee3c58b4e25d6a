//! Where the focus of a keyboard goes, and which taps a card does not take.

use super::{assert_all_quiet, open_console};
use crate::harness::browser::Browser;
use crate::harness::{TestShop, client};
use serde_json::json;
use std::slice::from_ref;
use thirtyfour::Key;

const SEEN: &str =
    "document.activeElement !== document.body && getComputedStyle(document.activeElement).outlineStyle === 'solid'";

#[tokio::test(flavor = "multi_thread")]
async fn the_focus_is_seen_and_comes_back_whatever_a_key_has_done() {
    let shop = TestShop::open([]).await;
    let (order, other) = (shop.place(None).await, shop.place(None).await);
    let (number, next) = (json!(order.order_number), json!(other.order_number));
    let browser = Browser::start().await;
    let console = open_console(&browser, &shop).await;
    let focus = async |name: &str| {
        let listens = "card(args[0]) && !card(args[0]).classList.contains('settling') && action(args[0], args[1])";
        console
            .until(&format!("{listens} && (action(args[0], args[1]).focus(), true)"), &[number.clone(), json!(name)])
            .await;
    };

    // Its button is gone, the card is there.
    focus("start").await;
    console.keys(Key::Enter).await;
    console.until("card(args[0]).dataset.status === 'preparing' && !action(args[0], 'start')", from_ref(&number)).await;
    console.until(&format!("{SEEN} && document.activeElement === card(args[0])"), from_ref(&number)).await;

    // The menu is hidden before the dialog opens; the focus comes back to what opened the menu.
    focus("more").await;
    console.keys(Key::Enter).await;
    focus("open").await;
    console.keys(Key::Enter).await;
    console.until("one('#order-dialog')", &[]).await;
    assert_eq!(console.look("getComputedStyle(document.documentElement).overflowY", &[]).await, "hidden");
    console.keys(Key::Escape).await;
    console.until(&format!("{SEEN} && document.activeElement === action(args[0], 'more')"), from_ref(&number)).await;

    // The whole card is gone: the focus is on the one that comes first now.
    console.keys(Key::Enter).await;
    focus("cancel").await;
    console.keys(Key::Enter).await;
    console.until("document.activeElement.closest('#cancel-dialog')", &[]).await;
    console.keys(Key::Enter).await;
    console.until("!card(args[0]) && !one('dialog[open]')", from_ref(&number)).await;
    console.until(&format!("{SEEN} && document.activeElement === card(args[0])"), from_ref(&next)).await;
    assert_all_quiet(&[&console]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_that_comes_where_another_was_is_deaf_for_a_moment() {
    let shop = TestShop::open([]).await;
    let (first, second) = (shop.place(None).await, shop.place(None).await);
    let browser = Browser::start().await;
    let console = open_console(&browser, &shop).await;
    let number = json!(first.order_number);
    let change = async |path: &str, version: u32| {
        let change = client().post(shop.url(&format!("/api/v1/orders/{}/{path}", first.order_id)));
        let change = change.header("If-Match", format!("\"{version}\"")).json(&json!({"status": "cancelled"}));
        assert_eq!(change.send().await.expect("an answer").status(), 200);
    };
    console.until("card(args[0])", &[json!(second.order_number)]).await;
    change("status", 1).await;
    console.until("!card(args[0])", from_ref(&number)).await;
    let watch = "(() => {
        new MutationObserver(() => {
          const came = card(args[0]);
          window.wasDeaf = window.wasDeaf === undefined && came ? came.classList.contains('settling') : window.wasDeaf;
        }).observe(document.querySelector('#to-make'), { childList: true });
    })()";
    console.look(watch, from_ref(&number)).await;
    change("undo", 2).await;
    console.until("window.wasDeaf !== undefined", &[]).await;
    assert_eq!(console.look("window.wasDeaf", &[]).await, true);
    assert_all_quiet(&[&console]).await;
}
