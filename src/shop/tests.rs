//! The shop's state, what it means for a drink, and what is said about it.

use super::*;
use crate::events::{Audience, Delivery, Subscription};
use crate::ordering::menu::{Asked, Refusal, Said};
use crate::ordering::order::Item;

/// Closed on Sundays and on the last Monday of the year.
const HOURS: &str = "[hours]\nmon = [\"09:00-18:00\"]\ntue = [\"09:30-18:00\"]\nsat = [\"09:00-18:00\"]\n\
                     closed = [\"2024-12-30\"]";

fn shop_with(tables: &str) -> Shop {
    let text = format!("{}\n{tables}", include_str!("../../menus/boba.toml"));
    Shop::new(Arc::new(Menu::parse(&text).unwrap()), true, EventLog::new(Timestamp::UNIX_EPOCH))
}

fn boba() -> Shop {
    shop_with("")
}

/// A day in January 2024 (the 1st is a Monday), by the clock of the boba shop.
fn january(day: u32, time: &str) -> Timestamp {
    format!("2024-01-{day:02}T{time}-08:00").parse().unwrap()
}

fn sold_out(names: &[&str]) -> ShopState {
    ShopState { paused: None, sold_out: names.iter().map(|name| SoldOut::from(*name)).collect() }
}

fn paused(paused: Paused) -> ShopState {
    ShopState { paused: Some(paused), ..ShopState::default() }
}

fn drink(menu: &Menu, fields: &[(&str, &str)]) -> Result<Item, Refusal> {
    let fields = fields.iter().map(|(field, said)| ((*field).to_owned(), Said::One((*said).to_owned())));
    menu.item(&Asked { fields: fields.collect(), ..Asked::default() })
}

async fn next(feed: &mut Subscription) -> String {
    match feed.next().await {
        Delivery::Event(_, json) => json.to_string(),
        Delivery::Resync(_) => panic!("nothing was missed"),
    }
}

#[test]
fn names_are_spelled_as_on_the_menu_and_unknown_ones_refused() {
    let (shop, now) = (boba(), january(1, "12:00"));
    let state = shop.set_state(sold_out(&["toppings:boba", "egg pudding"]), now).unwrap();
    assert_eq!(*state, sold_out(&["boba", "egg pudding"]));
    for unknown in ["bobas", "ice:boba", "", "toppings:", "flavor"] {
        let refused = shop.set_state(sold_out(&["boba", unknown]), now).unwrap_err();
        assert!(matches!(&refused, StateError::Unknown { choices, .. } if choices.len() == 16), "{refused}");
    }
    assert_eq!(shop.state(), state, "a refused state changes nothing");
    // The coffee shop's regular is a milk; a menu that has it twice wants the field.
    let twice = include_str!("../../menus/coffee.toml").replace("\"medium\"", "\"regular\"");
    let twice = twice.replace("aliases = [\"middle\"]", "aliases = []");
    let shop = Shop::new(Arc::new(Menu::parse(&twice).unwrap()), true, EventLog::new(now));
    let ambiguous = shop.set_state(sold_out(&["regular"]), now).unwrap_err();
    assert_eq!(
        ambiguous.to_string(),
        "\"regular\" is in several places on the menu; expected one of size:regular, milk:regular"
    );
    let state = shop.set_state(sold_out(&["milk:regular", "extras:whipped cream"]), now).unwrap();
    assert_eq!(*state, sold_out(&["milk:regular", "whipped cream"]));
    let stock = shop.stock();
    let id = |field: usize, option: &str| {
        let field = &shop.menu().fields()[field];
        let option = field.options.iter().find(|one| one.name == option).expect("it is on the menu");
        stock.sold_out_name(field, option).map(|id| id.as_str().to_owned())
    };
    let ids = [id(0, "latte"), id(1, "regular"), id(2, "regular"), id(2, "oat")].map(Option::unwrap);
    assert_eq!(ids, ["latte", "size:regular", "milk:regular", "oat"], "a name that two fields have is told apart");
    assert!(shop.stock().lacking(&drink(shop.menu(), &[("drink", "latte"), ("milk", "oat")]).unwrap()).is_none());
}

#[test]
fn a_drink_lacks_what_is_sold_out_and_what_needs_it() {
    let (shop, now) = (boba(), january(1, "12:00"));
    let with = |fields: &[(&str, &str)]| drink(shop.menu(), &[&[("flavor", "taro")], fields].concat());
    assert!(shop.stock().is_complete());
    shop.set_state(sold_out(&["vanilla cream", "regular ice"]), now).unwrap();
    let stock = shop.stock();
    let told = |fields: &[(&str, &str)]| stock.lacking(&with(fields).unwrap()).map(|lacking| lacking.to_string());
    assert_eq!(told(&[("toppings", "boba"), ("ice", "no ice")]), None);
    let no_cream = "Sorry, vanilla cream is sold out. For toppings there is boba, egg pudding or crystal agar boba.";
    assert_eq!(told(&[("toppings", "boba and cream"), ("ice", "no ice")]).as_deref(), Some(no_cream));
    // The default is not taken silently when there is none of it.
    let no_ice = "Sorry, regular ice is sold out. For ice there is no ice, less ice or extra ice.";
    assert_eq!(told(&[]).as_deref(), Some(no_ice));
    // Who asks for the stencil is not offered the cream that it needs.
    let refused = with(&[("addons", "matcha")]).unwrap_err();
    assert_eq!(stock.lacking_for(&refused).unwrap().to_string(), "Sorry, matcha stencil on top is sold out.");
    let addons = shop.menu().field("addons").unwrap();
    assert!(stock.options(addons).is_empty());
    assert_eq!(boba().stock().lacking_for(&refused), None);
}

#[test]
fn whether_orders_are_taken_and_when_again() {
    let shop = shop_with(HOURS);
    let now = january(1, "12:00");
    let closed = |at: Timestamp| shop.ordering_closed(at);
    let said = |sentence: &str| Some(sentence.to_owned());
    assert_eq!(closed(now), None);
    assert_eq!(closed(january(1, "08:15")), said("We are closed right now. We open again at 9 AM."));
    assert_eq!(closed(january(1, "18:00")), said("We are closed right now. We open again tomorrow at 9:30 AM."));
    assert_eq!(closed(january(2, "18:00")), said("We are closed right now. We open again on Saturday at 9 AM."));
    let holidays = "2024-12-28T18:00:00-08:00".parse().unwrap();
    assert_eq!(closed(holidays), said("We are closed right now. We open again on Tuesday at 9:30 AM."));

    shop.set_state(paused(Paused::Until(january(1, "15:20:01"))), now).unwrap();
    assert_eq!(closed(now), said("We are not taking orders right now. We will again at 3:21 PM."));
    assert!(shop.is_paused(now));
    assert_eq!(closed(january(1, "15:20:01")), None, "a pause ends by itself");
    shop.set_state(paused(Paused::Until(january(1, "20:00"))), now).unwrap();
    assert_eq!(closed(now), said("We are not taking orders right now. We will again tomorrow at 9:30 AM."));
    shop.set_state(paused(Paused::UntilResumed), now).unwrap();
    assert_eq!(closed(now), said("We are not taking orders right now. Please try again in a while."));
    shop.set_state(ShopState::default(), now).unwrap();
    assert_eq!(closed(now), None);

    let over = shop.set_state(paused(Paused::Until(now)), now).unwrap_err();
    assert_eq!(over, StateError::PausedInThePast(now));
    let menu = Arc::clone(shop.menu());
    let off = Shop::new(menu, false, EventLog::new(now));
    assert!(off.ordering_closed(now).is_some() && !off.is_paused(now));
}

#[tokio::test]
async fn feeds_are_told_what_changed_and_nothing_else() {
    let (shop, now) = (boba(), january(1, "12:00"));
    let mut staff = shop.0.events.subscribe(Audience::Staff, None);
    let mut public = shop.0.events.subscribe(Audience::Public, None);
    let until = ShopState { paused: Some(Paused::Until(january(1, "13:00"))), ..sold_out(&["boba"]) };
    for state in [until.clone(), until, paused(Paused::UntilResumed), ShopState::default(), ShopState::default()] {
        shop.set_state(state, now).unwrap();
    }
    for expected in [
        r#"{"type":"ordering_paused","paused_until":"2024-01-01T21:00:00Z"}"#,
        r#"{"type":"menu_changed","sold_out":["boba"]}"#,
        r#"{"type":"ordering_paused"}"#,
        r#"{"type":"menu_changed","sold_out":[]}"#,
        r#"{"type":"ordering_resumed"}"#,
    ] {
        assert_eq!(next(&mut staff).await, expected);
        if !expected.contains("menu_changed") {
            assert_eq!(next(&mut public).await, expected);
        }
    }
    assert!(futures_util::poll!(std::pin::pin!(staff.next())).is_pending());
}

#[test]
fn what_was_kept_is_taken_up_as_far_as_it_still_holds() {
    let (shop, now) = (boba(), january(1, "12:00"));
    let changes = shop.changes();
    let old = ShopState { paused: Some(Paused::Until(now)), ..sold_out(&["toppings:boba", "oolong"]) };
    shop.restore(old, now);
    assert_eq!(*shop.state(), sold_out(&["boba"]));
    assert_eq!(*changes.borrow(), shop.state());
    shop.restore(paused(Paused::UntilResumed), now);
    assert!(shop.is_paused(now));
}

#[test]
fn agents_are_told_what_is_out_of_the_ordinary() {
    let (shop, now) = (shop_with(HOURS), january(1, "12:00"));
    let mut notices = shop.notices();
    let mut told = || notices.has_changed().unwrap().then(|| notices.borrow_and_update().to_string());
    shop.restore(ShopState::default(), now);
    assert_eq!(told(), None);
    shop.set_state(sold_out(&["vanilla cream", "black milk tea"]), now).unwrap();
    let out = "Sold out: black milk tea, vanilla cream (toppings), matcha stencil on top (addons).";
    assert_eq!(told().as_deref(), Some(out));
    shop.set_state(sold_out(&["vanilla cream", "black milk tea"]), now).unwrap();
    assert_eq!(told(), None, "no news is not told");
    shop.set_state(ShopState { paused: Some(Paused::UntilResumed), ..sold_out(&["boba"]) }, now).unwrap();
    insta::assert_snapshot!(told().unwrap(), @"No orders can be placed at the moment. Who wants to order is told: We are not taking orders right now. Please try again in a while. Sold out: boba (toppings).");
    shop.set_state(ShopState::default(), now).unwrap();
    assert_eq!(told().as_deref(), Some(""));
    shop.refresh(january(1, "18:00"));
    assert!(told().unwrap().ends_with("We are closed right now. We open again tomorrow at 9:30 AM."));
}

#[tokio::test]
async fn a_pause_that_has_run_out_ends_with_an_event() {
    let shop = boba();
    let mut feed = shop.0.events.subscribe(Audience::Public, None);
    let shutdown = CancellationToken::new();
    let running = tokio::spawn(shop.clone().run(Timestamp::now, shutdown.clone()));
    let soon = Timestamp::now().checked_add(SignedDuration::from_millis(50)).unwrap();
    let state = ShopState { paused: Some(Paused::Until(soon)), ..sold_out(&["boba"]) };
    shop.set_state(state, Timestamp::now()).unwrap();
    assert!(next(&mut feed).await.contains("ordering_paused"));
    assert_eq!(next(&mut feed).await, r#"{"type":"ordering_resumed"}"#);
    assert!(Timestamp::now() >= soon);
    assert_eq!(*shop.state(), sold_out(&["boba"]), "what is sold out stays so");
    shutdown.cancel();
    running.await.unwrap();
}
