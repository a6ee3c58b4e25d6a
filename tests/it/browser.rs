//! The pages in real Chromium, as staff and people waiting use them.
//!
//! Each test has a shop and browsers of its own; a window is a device with its own cookies. What a page shows is told by
//! its words and the names of its controls.

mod calls;
mod console;
mod door;
mod feeds;
mod focus;
mod orders;
mod pages;
mod staff_tables;
mod tables;
mod tv;

use crate::harness::browser::{Browser, Screen, Window};
use crate::harness::{ACCOUNT_SID, AUTH_TOKEN, TestShop, client, new_order};
use bobarista::ordering::order::Order;
use serde_json::json;
use wiremock::ResponseTemplate;

const LIVE: &str = "document.documentElement.dataset.state === 'live'";

/// The console and the TV, both live.
async fn open_screens(browser: &Browser, shop: &TestShop) -> (Window, Window) {
    let tv = browser.open(Screen::Television, shop, "/orders");
    let (console, tv) = tokio::join!(open_console(browser, shop), tv);
    tv.until(LIVE, &[]).await;
    (console, tv)
}

async fn open_console(browser: &Browser, shop: &TestShop) -> Window {
    let console = browser.open(Screen::Tablet, shop, "/barista").await;
    console.until(LIVE, &[]).await;
    console
}

/// Nothing went wrong in these windows but what their tests expect.
async fn assert_all_quiet(windows: &[&Window]) {
    for window in windows {
        window.assert_quiet().await;
    }
}

/// What a shop that texts through this API is configured with.
fn texting(base: &str) -> [(&str, &str); 4] {
    [
        ("TWILIO_API_BASE", base),
        ("MSG_TWILIO_ACCOUNT_SID", ACCOUNT_SID),
        ("MSG_TWILIO_AUTH_TOKEN", AUTH_TOKEN),
        ("MSG_TWILIO_FROM_E164", "+18885550000"),
    ]
}

/// A shop in the middle of its day: eight orders of every kind, two of them ready, the oldest late and very late.
async fn busy_shop(texts: &str) -> (TestShop, Vec<Order>) {
    let mut settings = vec![("TWILIO_FROM_E164", "+15557654321"), ("TV_NAMES", "true")];
    settings.extend(texting(texts));
    let shop = TestShop::open_with([], &settings).await;
    let taro = json!({"flavor": "taro milk tea", "toppings": ["boba"]});
    let plain = json!({"flavor": "black milk tea", "sweetness": "0%", "ice": "no ice", "quantity": 2});
    let rich = json!({"flavor": "black milk tea", "toppings": ["boba", "vanilla cream"], "addons": ["matcha stencil on top"],
        "sweetness": "75%", "ice": "less ice"});
    let puddings = json!({"flavor": "taro milk tea", "toppings": ["egg pudding", "crystal agar boba"], "ice": "extra ice",
        "note": "lid on the side"});
    for (name, phone, notes, items) in [
        ("Ada", Some("+15551234501"), None, vec![&taro, &plain]),
        ("Grace", None, Some("nut allergy, please keep the lids apart"), vec![&rich]),
        ("Linus", Some("+15551234503"), None, vec![&puddings, &rich, &taro]),
        ("Barbara", Some("+15551234504"), None, vec![&plain]),
        ("Edsger", None, None, vec![&taro]),
        ("Katherine", Some("+15551234506"), None, vec![&rich, &puddings]),
        ("Alan", Some("+15551234507"), None, vec![&taro]),
        ("Mary", Some("+15551234508"), None, vec![&plain, &taro]),
    ] {
        let channel = if phone.is_some() { "phone" } else { "api" };
        let order = json!({"name": name, "phone": phone, "notes": notes, "items": items, "channel": channel});
        let made = client().post(shop.url("/api/v1/orders")).json(&order).send().await.expect("an answer");
        assert_eq!(made.status(), 201, "{}", made.text().await.expect("text"));
    }
    let mut orders = shop.orders().await;
    orders.reverse();
    for order in &orders[6..] {
        shop.shop.orders().done(order.order_number, new_order(None).origin).await.expect("it is done");
    }
    let shop = shop.stop().await;
    shop.age(0, 9);
    shop.age(1, 6);
    (shop.open().await, orders)
}

/// Twilio's word that a text is on its way.
fn accepted() -> ResponseTemplate {
    ResponseTemplate::new(201).set_body_json(json!({"sid": "SM1", "status": "queued"}))
}
