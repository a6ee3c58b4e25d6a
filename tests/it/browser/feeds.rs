//! What is on the screens is the truth, at once, or says that it is not.

use super::{assert_all_quiet, open_screens};
use crate::harness::browser::{Browser, Window};
use crate::harness::{TestShop, new_order, quick_order};
use bobarista::order_service::NewOrder;
use bobarista::ordering::order::Order;
use serde_json::json;
use std::time::Duration;

/// Far more than a change needs to be seen; a machine that is busy with other tests may need more than the 250 ms that
/// are promised. How long it took is printed.
const SEEN_WITHIN_MS: f64 = 2_000.0;

/// From now on the page notes when each order number was first painted, in milliseconds of the epoch.
async fn watch(window: &Window) {
    let watch = "(() => {
        const seen = (window.seenAt = {});
        const look = () => requestAnimationFrame(() => setTimeout(() => {
          const at = performance.timeOrigin + performance.now();
          window.callSeen = window.callSeen || says(one('#calls'));
          (document.body.innerText.match(/\\b\\d{4,5}\\b/g) || []).forEach((number) => { seen[number] = seen[number] || at; });
        }));
        new MutationObserver(look).observe(document, { subtree: true, childList: true, characterData: true, attributes: true });
    })()";
    window.look(watch, &[]).await;
}

/// Milliseconds from the moment at which an order was made, by the server's clock, until this page had painted it.
async fn seen_after(window: &Window, order: &Order) -> f64 {
    let at = window.until("window.seenAt[args[0]]", &[json!(order.order_number)]).await;
    let made_at = json!(order)["timestamp"].as_str().expect("a time").parse::<jiff::Timestamp>().expect("a time");
    at.as_f64().expect("a time") - made_at.as_microsecond() as f64 / 1e3
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_by_phone_is_on_both_screens_at_once() {
    let mut shop = TestShop::open([quick_order()]).await;
    let browser = Browser::start().await;
    let (console, tv) = open_screens(&browser, &shop).await;
    watch(&console).await;
    watch(&tv).await;

    shop.call(&quick_order()).await.assert_flawless();
    let mut orders = shop.orders().await;
    let call = console.until("window.callSeen", &[]).await;
    assert!(call.as_str().is_some_and(|words| words.starts_with("1 call")), "{call}");
    println!("from an order to the screens, in ms   console      tv");
    // A machine that stands still for a moment spoils all orders of that moment.
    let mut best = f64::INFINITY;
    for _ in 0..3 {
        for _ in 0..9 {
            orders.push(shop.place(None).await);
        }
        let mut slowest = 0.0_f64;
        for order in orders.drain(..) {
            let (on_console, on_tv) = (seen_after(&console, &order).await, seen_after(&tv, &order).await);
            println!("{:<35} {on_console:>9.0} {on_tv:>7.0}", order.order_number);
            slowest = slowest.max(on_console).max(on_tv);
        }
        best = best.min(slowest);
        if best < SEEN_WITHIN_MS {
            break;
        }
    }
    assert!(best < SEEN_WITHIN_MS, "{best} ms");
    assert_all_quiet(&[&console, &tv]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn screens_say_since_when_they_are_not_live_and_are_right_again_when_the_server_is_back() {
    let shop = TestShop::open([]).await;
    let before = shop.place(None).await.order_number.to_string();
    let browser = Browser::start().await;
    let (mut console, mut tv) = open_screens(&browser, &shop).await;
    for window in [&mut console, &mut tv] {
        window.until("page().includes(args[0])", &[json!(before)]).await;
        window.expect_failures(&["net::ERR_CONNECTION_REFUSED", "net::ERR_INCOMPLETE_CHUNKED_ENCODING"]);
    }

    let shop = shop.stop().await;
    for window in [&console, &tv] {
        let words =
            window.until_within(Duration::from_secs(40), "/Not live since (.+, )?\\d+:\\d\\d/.test(page())", &[]);
        words.await;
    }
    // The page makes room for its alarm in the next frame.
    console.until("all('.tools button').every(isInSight)", &[]).await;
    let covered = "all('.tools button').filter((one) => !isInSight(one)).map(says)";
    assert_eq!(console.look(covered, &[]).await, json!([]), "what can be done without a server stays within reach");
    console.picture("console-stale").await;
    tv.picture("tv-stale").await;

    let shop = shop.open().await;
    let after = shop.place(None).await.order_number.to_string();
    for window in [&console, &tv] {
        let both = "page().includes(args[0]) && page().includes(args[1]) && !page().includes('Not live')";
        window.until_within(Duration::from_secs(40), both, &[json!(before), json!(after)]).await;
        let next = shop.place(None).await.order_number;
        window.until("page().includes(args[0])", &[json!(next)]).await;
    }
    assert_all_quiet(&[&console, &tv]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_caller_says_is_text_on_every_screen_and_never_markup() {
    const HOSTILE: &str = "<img src=x onerror=alert(1)>";
    let shop = TestShop::open_with([], &[("TV_NAMES", "true")]).await;
    let browser = Browser::start().await;
    let (console, tv) = open_screens(&browser, &shop).await;
    let new = NewOrder {
        name: Some(HOSTILE.to_owned()),
        notes: Some(format!("{HOSTILE}</li><script>alert(2)</script>")),
        ..new_order(None)
    };
    let order = shop.shop.orders().create(new).await.expect("an order").into_order().expect("not deleted");

    console.until("page().includes(args[0]) && page().includes('<script>alert(2)</script>')", &[json!(HOSTILE)]).await;
    tv.until("page().includes(args[0])", &[json!(order.order_number)]).await;
    for window in [&console, &tv] {
        assert_eq!(window.look("document.querySelectorAll('[onerror], body script').length", &[]).await, 0);
    }
    assert_all_quiet(&[&console, &tv]).await;
}
