//! `orders forget`: a customer's data, through the running server or, where none runs, in the store itself.
//!
//! Rows of the spreadsheet are owed, not written: the next server's outbox blanks them.

use crate::app::load_menu;
use crate::config::Config;
use crate::deepgram::line::tls_config;
use crate::events::EventLog;
use crate::logbook::Logbook;
use crate::order_service::{Clock, Erased, OrderService, Origin, Owes, Rules, TextPolicy};
use crate::ordering::phone_number::PhoneNumber;
use crate::shop::Shop;
use crate::store::{Access, Store, StoreError};
use crate::voicemail::Voicemails;
use anyhow::{Context as _, anyhow, bail};
use jiff::SignedDuration;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::task::TaskTracker;

/// Erasing is one commit an order.
const PATIENCE: Duration = Duration::from_secs(120);

/// Whom.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    /// The customer's phone number
    #[arg(long)]
    phone: String,
}

pub(super) async fn run(config: &Config, arguments: Arguments, out: &mut impl Write) -> anyhow::Result<()> {
    let phone = super::phone(config, &arguments.phone)?;
    let erased = match super::open(config, config.orders.kind, Access::Write).await {
        Ok(store) => {
            let erased = erase(config, store, &phone).await?;
            if config.deliveries.sheets.is_some() && erased.orders > 0 {
                writeln!(out, "their rows in the spreadsheet are blanked as soon as the server runs")?;
            }
            erased
        }
        Err(StoreError::InUse(..)) => {
            let Some(key) = &config.server.api_key else {
                bail!(
                    "a server is using these orders, and only it may change them: set API_KEY (for the server, too), so \
                     that it can be asked to, or stop it first. Nothing was erased"
                );
            };
            ask(config.server.bind, key, &phone).await?
        }
        Err(error) => return Err(error.into()),
    };
    let Erased { orders, deleted_orders } = erased;
    let masked = phone.masked();
    writeln!(out, "{masked} was erased from {orders} orders and the stored answers of {deleted_orders} deleted ones")?;
    Ok(())
}

/// In the store itself, as the server would.
async fn erase(config: &Config, store: Arc<dyn Store>, phone: &PhoneNumber) -> anyhow::Result<Erased> {
    let menu = Arc::new(load_menu(config)?);
    let clock = Clock::system();
    let events = EventLog::new(clock.now());
    let rules = Rules {
        shop_id: config.shop.id.clone(),
        drinks_per_order: menu.limits().drinks_per_order,
        active_drinks_per_phone: menu.limits().active_drinks_per_phone,
        ready_for: SignedDuration::MAX,
        demo: false,
        through_pos: false,
    };
    let texts = TextPolicy { enabled: false, countries: Vec::new(), shop_name: menu.name().to_owned() };
    let owes = Owes { texts, sheet: config.deliveries.sheets.is_some(), webhook: false };
    let shop = Shop::new(menu, config.shop.ordering_enabled, events.clone());
    let logbook = Logbook::open(Arc::clone(&store)).await?;
    // What is at Twilio is deleted by the next server.
    Voicemails::new(Arc::clone(&store), None, events.clone(), clock.clone()).forget(phone).await?;
    let orders = OrderService::new(store, events, shop, rules, owes, clock, TaskTracker::new());
    logbook.forget(&orders.calls_of(phone).await?).await?;
    let correlation_id = Some(format!("cmd_{:016x}", rand::random::<u64>()));
    Ok(orders.forget(phone, Origin { by: "staff", correlation_id }).await?)
}

/// Through the server.
async fn ask(bind: SocketAddr, key: &SecretString, phone: &PhoneNumber) -> anyhow::Result<Erased> {
    let client = reqwest::Client::builder().tls_backend_preconfigured(tls_config()?).no_proxy().timeout(PATIENCE);
    let url = format!("http://{}/api/v1/customers/forget", dialled(bind));
    let request = client.build()?.post(&url).bearer_auth(key.expose_secret());
    let answer = request.json(&json!({"phone": phone.as_e164()})).send().await;
    let answer = answer.with_context(|| format!("the server that uses these orders cannot be reached at {url}"))?;
    let status = answer.status();
    let body: Value = answer.json().await.unwrap_or_default();
    let count = |field: &str| body[field].as_u64();
    match (status.is_success(), count("orders"), count("deleted_orders")) {
        (true, Some(orders), Some(deleted_orders)) => Ok(Erased { orders, deleted_orders }),
        _ => {
            let why = body["error"]["message"].as_str().unwrap_or("it gave no reason");
            Err(anyhow!("the server at {url} did not erase the customer: {status}: {}", super::sight::plain(why)))
        }
    }
}

/// A server that listens everywhere is dialled on this machine.
fn dialled(bind: SocketAddr) -> SocketAddr {
    let ip = match bind.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, bind.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_dialled_where_it_listens() {
        for (bind, dial) in [
            ("127.0.0.1:8000", "127.0.0.1:8000"),
            ("0.0.0.0:80", "127.0.0.1:80"),
            ("[::]:8000", "[::1]:8000"),
            ("10.1.2.3:8000", "10.1.2.3:8000"),
        ] {
            assert_eq!(dialled(bind.parse().expect("an address")), dial.parse().expect("an address"));
        }
    }
}
