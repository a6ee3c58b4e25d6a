//! The TV: legible from afar, never scrolled, and right.

use super::{LIVE, accepted, assert_all_quiet, busy_shop};
use crate::harness::browser::{Browser, Scheme, Screen, Window};
use crate::harness::{TestShop, TwilioApi, new_order};
use bobarista::ordering::order::Order;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::slice::from_ref;
use std::time::Duration;

const NUMBERS: &str = "all('.entry-number')";

async fn open_tv(browser: &Browser, shop: &TestShop) -> Window {
    let tv = browser.open(Screen::Television, shop, "/orders").await;
    tv.until(LIVE, &[]).await;
    tv
}

async fn place(shop: &TestShop, count: usize) -> Vec<Order> {
    let mut orders = Vec::new();
    for _ in 0..count {
        orders.push(shop.place(None).await);
    }
    orders
}

async fn finish(shop: &TestShop, order: &Order) {
    shop.shop.orders().done(order.order_number, new_order(None).origin).await.expect("it is done");
}

/// Nothing has to be scrolled, and every number that stands there is seen whole.
async fn assert_all_in_sight(tv: &Window) {
    assert_eq!(tv.look("scrolled()", &[]).await, json!([]));
    let hidden = tv.look("all('.entry-number').filter((number) => !isInSight(number)).map(says)", &[]).await;
    assert_eq!(hidden, json!([]), "these are cut off or covered");
}

#[tokio::test(flavor = "multi_thread")]
async fn few_orders_are_legible_from_eight_metres() {
    let api = TwilioApi::start([accepted()]).await;
    let (shop, orders) = busy_shop(&api.base()).await;
    let browser = Browser::start().await;
    let tv = open_tv(&browser, &shop).await;
    tv.until(&format!("{NUMBERS}.length === {}", orders.len()), &[]).await;
    let least = tv.look(&format!("Math.min(...{NUMBERS}.map(digitHeight)) / innerHeight"), &[]).await;
    println!("height of a digit with eight orders: {:.1} % of the screen's", least.as_f64().expect("a share") * 100.0);
    assert!(least.as_f64() >= Some(0.1), "{least}");
    tv.until("/Order by phone.*765.?4321/.test(page())", &[]).await;
    assert!(tv.look("page().includes('Grace')", &[]).await == true, "first names are switched on");
    assert_all_in_sight(&tv).await;
    tv.assert_accessible("TV, light").await;
    tv.picture("tv-light").await;
    tv.media(Scheme::Dark, false).await;
    tv.assert_accessible("TV, dark").await;
    tv.picture("tv-dark").await;
    assert_all_quiet(&[&tv]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_became_ready_is_shown_large_and_leaves_when_it_is_picked_up() {
    let shop = TestShop::open([]).await;
    let orders = place(&shop, 3).await;
    let browser = Browser::start().await;
    let tv = open_tv(&browser, &shop).await;
    let number = json!(orders[1].order_number);
    finish(&shop, &orders[1]).await;
    // Larger than whatever stood there before, and read out.
    let large = tv.until("all('.entry-number').filter((one) => says(one) === args[0]).map(digitHeight).find((height) => height > innerHeight / 5)", from_ref(&number)).await;
    assert!(large.is_number());
    tv.until("document.querySelector('[role=status]').textContent.includes(args[0])", from_ref(&number)).await;
    tv.picture("tv-now-ready").await;
    assert_eq!(tv.look("scrolled()", &[]).await, json!([]));
    // It stands with the others at once, and is shown large beside them for a few seconds.
    let standing = "all('.column-ready .fresh .entry-number').filter(isInSight).map(says).includes(args[0])";
    assert_eq!(tv.look(standing, from_ref(&number)).await, true);
    tv.until("!one('.hero')", &[]).await;
    assert_all_in_sight(&tv).await;

    let (id, version) = (&orders[1].order_id, 2);
    let change = crate::harness::client()
        .post(shop.url(&format!("/api/v1/orders/{id}/status")))
        .json(&json!({"status": "completed"}));
    let changed = change.header("If-Match", format!("\"{version}\"")).send().await.expect("an answer");
    assert_eq!(changed.status(), 200);
    tv.until("!all('.entry-number').map(says).includes(args[0])", &[number]).await;
    assert_eq!(tv.look("all('.entry-number').length", &[]).await, 2);
    assert_all_quiet(&[&tv]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn at_rush_hour_every_number_is_seen_while_others_become_ready() {
    let shop = TestShop::open([]).await;
    let orders = place(&shop, 75).await;
    for order in &orders[..30] {
        finish(&shop, order).await;
    }
    let browser = Browser::start().await;
    let tv = open_tv(&browser, &shop).await;
    let watch = "(() => {
        window.seen = new Set();
        window.hidden = 0;
        setInterval(() => {
          const whole = (column) => all(`.column-${column} .entry-number`).filter(isInSight).map(says);
          const ready = whole('ready');
          ready.concat(whole('preparing')).forEach((number) => window.seen.add(number));
          window.hidden += ready.length === 0 ? 1 : 0;
        }, 100);
    })()";
    tv.look(watch, &[]).await;
    let numbers = json!(orders.iter().map(|order| order.order_number.to_string()).collect::<Vec<_>>());
    let rush = async {
        for order in &orders[30..] {
            finish(&shop, order).await;
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
    };
    let all_seen = "args[0].every((one) => window.seen.has(one))";
    tokio::select! {
        () = rush => panic!("the rush is over, and not every number has been seen"),
        _ = tv.until_within(Duration::from_secs(60), all_seen, from_ref(&numbers)) => {}
    }
    assert_eq!(tv.look("window.hidden", &[]).await, 0, "what is ready is always in sight");
    tv.until("one('.hero')", &[]).await;
    tv.picture("tv-rush-hour").await;
    assert_all_quiet(&[&tv]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_orders_take_turns_and_none_is_left_out() {
    let shop = TestShop::open([]).await;
    let orders = place(&shop, 75).await;
    for order in &orders[..15] {
        finish(&shop, order).await;
    }
    let wanted: BTreeSet<String> = orders.iter().map(|order| order.order_number.to_string()).collect();
    let browser = Browser::start().await;
    let tv = open_tv(&browser, &shop).await;
    let mut seen = BTreeSet::new();
    let mut pages = 0;
    while seen != wanted {
        let now = format!("{NUMBERS}.map(says)");
        let new =
            tv.until(&format!("{now}.some((number) => !args[0].includes(number)) && {now}"), &[json!(seen)]).await;
        let new: Vec<Value> = new.as_array().expect("numbers").clone();
        seen.extend(new.iter().map(|number| number.as_str().expect("a number").to_owned()));
        pages += 1;
        assert!(seen.is_subset(&wanted), "{seen:?}");
        assert_all_in_sight(&tv).await;
        tv.picture(&format!("tv-many-{pages}")).await;
    }
    let least = tv.look(&format!("Math.min(...{NUMBERS}.map(digitHeight)) / innerHeight"), &[]).await;
    println!(
        "height of a digit with 75 orders: {:.1} % of the screen's; {pages} pages",
        least.as_f64().expect("a share") * 100.0
    );
    assert!(least.as_f64() >= Some(0.045), "pages turn before numbers are too small: {least}");
    assert!(pages > 1, "75 orders were meant to be more than a page");
    assert_all_quiet(&[&tv]).await;
}
