//! What a server needs beside its two legs, slow or away for a part of a call: the orders' store, and Twilio's REST API.

use super::conversation::Phase;
use crate::harness::{ACCOUNT_SID, AUTH_TOKEN, TestShop, TwilioApi};
use bobarista::simulator::{Event, Side, Speaker, What};
use futures_util::future::BoxFuture;
use std::time::Duration;
use wiremock::ResponseTemplate;

/// How the outside is during a call.
#[derive(Clone, Copy)]
pub(super) struct Outside {
    /// What happens to it while the call goes on.
    pub(super) during: fn(&mut TestShop) -> BoxFuture<'_, ()>,
    /// How the REST API answers; none: there is no account.
    pub(super) rest: Option<fn() -> ResponseTemplate>,
    sqlite: bool,
}

impl Default for Outside {
    fn default() -> Self {
        Self { during: |_| Box::pin(async {}), rest: None, sqlite: false }
    }
}

impl Outside {
    /// Settings that a shop in it has.
    pub(super) fn settings(&self, api: Option<&TwilioApi>) -> Vec<(String, String)> {
        let mut settings = Vec::new();
        if self.sqlite {
            settings.push(("ORDER_MANAGER_TYPE", "sqlite".to_owned()));
        }
        if let Some(api) = api {
            settings.push(("TWILIO_API_BASE", api.base()));
            settings.push(("TWILIO_ACCOUNT_SID", ACCOUNT_SID.to_owned()));
            settings.push(("TWILIO_AUTH_TOKEN", AUTH_TOKEN.to_owned()));
        }
        settings.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

/// The orders' folder is not there for this part of a call.
pub(super) fn store_away(phase: Phase) -> Outside {
    let during: fn(&mut TestShop) -> BoxFuture<'_, ()> = match phase {
        Phase::Dialling => |shop| Box::pin(away(shop, rang, said_nothing)),
        Phase::Greeting => |shop| Box::pin(away(shop, said_nothing, greeted)),
        Phase::Ordering => |shop| Box::pin(away(shop, greeted, staged)),
        Phase::Checkout => |shop| Box::pin(away(shop, staged, refused)),
        Phase::Goodbye => |shop| Box::pin(away(shop, placed, said_goodbye)),
    };
    Outside { during, ..Outside::default() }
}

/// Another program holds the orders' database for a while from the beginning of this part of a call on.
pub(super) fn store_slow(phase: Phase) -> Outside {
    let during: fn(&mut TestShop) -> BoxFuture<'_, ()> = match phase {
        Phase::Dialling => |shop| Box::pin(held(shop, rang)),
        Phase::Greeting => |shop| Box::pin(held(shop, said_nothing)),
        Phase::Ordering => |shop| Box::pin(held(shop, greeted)),
        Phase::Checkout => |shop| Box::pin(held(shop, staged)),
        Phase::Goodbye => |shop| Box::pin(held(shop, placed)),
    };
    Outside { during, sqlite: true, ..Outside::default() }
}

/// Twilio does not ask how the call goes on, and cannot be told.
pub(super) fn rest_away() -> Outside {
    Outside { rest: Some(|| ResponseTemplate::new(503)), ..Outside::default() }
}

/// Twilio does not ask how the call goes on, and takes longer to be told than anybody waits.
pub(super) fn rest_slow() -> Outside {
    Outside { rest: Some(|| ResponseTemplate::new(200).set_delay(Duration::from_secs(6))), ..Outside::default() }
}

type Moment = fn(&Event) -> bool;

fn rang(event: &Event) -> bool {
    event.side == Side::Caller && event.what == What::CallStarted
}

fn said_nothing(event: &Event) -> bool {
    event.side == Side::Agent && event.what == What::CallStarted
}

fn greeted(event: &Event) -> bool {
    event.side == Side::Agent && matches!(event.what, What::Said { who: Speaker::Agent, .. })
}

fn staged(event: &Event) -> bool {
    was_answered(event, "add_to_cart")
}

fn refused(event: &Event) -> bool {
    was_answered(event, "checkout_order")
}

fn placed(event: &Event) -> bool {
    refused(event)
}

fn was_answered(event: &Event, tool: &str) -> bool {
    event.side == Side::Agent && matches!(&event.what, What::ToolAnswered { name, .. } if name == tool)
}

fn said_goodbye(event: &Event) -> bool {
    let said = |text: &str| text == "Goodbye!";
    event.side == Side::Agent && matches!(&event.what, What::Said { who: Speaker::Agent, text } if said(text))
}

async fn reach(shop: &mut TestShop, moment: Moment) {
    shop.event(|event| moment(event).then_some(())).await;
}

async fn away(shop: &mut TestShop, from: Moment, to: Moment) {
    let (folder, elsewhere) = (shop.orders_dir(), shop.dir.path().join("away"));
    reach(shop, from).await;
    // Whoever runs this as root may write where nobody may, but not where nothing is.
    std::fs::rename(&folder, &elsewhere).expect("the folder moves away");
    reach(shop, to).await;
    std::fs::rename(&elsewhere, &folder).expect("the folder comes back");
}

async fn held(shop: &mut TestShop, from: Moment) {
    reach(shop, from).await;
    let other = rusqlite::Connection::open(shop.orders_dir().join("orders.db")).expect("a database");
    other.execute_batch("BEGIN IMMEDIATE").expect("nobody writes at this moment");
    tokio::time::sleep(Duration::from_secs(2)).await;
    other.execute_batch("ROLLBACK").expect("the database is let go");
}
