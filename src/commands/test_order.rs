//! Writes a test order as the store writes orders, reads it back, checks every field, and says where it is.
//!
//! Its file is never shown, counted or texted, and it may be written beside a running server.

use crate::app::load_menu;
use crate::config::{Config, Lookup};
use crate::ordering::menu::{Asked, Menu, Said};
use crate::ordering::order::{
    Channel, HistoryEntry, Item, Order, OrderId, OrderNumber, fingerprint, stored_instant, total,
};
use crate::ordering::phone_number::{PhoneNumber, Region};
use crate::ordering::status::OrderStatus;
use crate::store::json::write_record;
use crate::store::{Answer, AuditEntry, Delivery, DeliveryKind, DeliveryState, Marks, Record, Reply, Tried};
use anyhow::{Context as _, anyhow, bail};
use jiff::Timestamp;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

pub(super) fn run(lookup: Lookup<'_>) -> anyhow::Result<ExitCode> {
    // A disk can be tested before there is a key for the agent.
    let config = Config::read(&|name| match name {
        "DEEPGRAM_API_KEY" => lookup(name).or_else(|| Some("not used by a test order".to_owned())),
        _ => lookup(name),
    })?;
    let dir = &config.orders.dir;
    std::fs::create_dir_all(dir).with_context(|| format!("ORDERS_DIR: cannot make {}", dir.display()))?;
    let written = test_record(&load_menu(&config)?, &config.shop.id)?;
    let path = write_record(dir, &free_name(dir, &written.order), &written)?;
    let differing = differences(&written, &path)?;
    if !differing.is_empty() {
        bail!("{} was written, but reads back otherwise in: {}", path.display(), differing.join(", "));
    }
    println!("a test order was written, read back and checked in every field: {}", path.display());
    Ok(ExitCode::SUCCESS)
}

fn test_record(menu: &Menu, shop_id: &str) -> anyhow::Result<Record> {
    let now = stored_instant(Timestamp::now());
    let base = menu.base();
    let drink = base.option_names().into_iter().next().ok_or_else(|| anyhow!("the menu sells nothing"))?;
    let asked = Asked { fields: vec![(base.name.clone(), Said::One(drink))], quantity: Some(1), note: None };
    let items: Vec<Item> = vec![menu.item(&asked)?];
    // A number that nobody can have; its text is skipped in any case.
    let phone = PhoneNumber::parse("+1 555 555 0100", Region::US).context("a phone number")?;
    let order = Order {
        order_id: OrderId::numbered(shop_id, 0),
        order_number: OrderNumber::new(1000).ok_or_else(|| anyhow!("1000 is an order number"))?,
        shop_id: shop_id.to_owned(),
        channel: Channel::Api,
        status: OrderStatus::Received,
        version: 1,
        name: Some("Test".to_owned()),
        phone: Some(phone.clone()),
        customer_id: Some("test".to_owned()),
        notes: Some("a test order".to_owned()),
        total: total(&items),
        items,
        call_sid: Some("CA00000000000000000000000000000000".to_owned()),
        estimated_ready_time: Some(now),
        pickup_at: Some(now),
        metadata: serde_json::Map::from_iter([("test".to_owned(), Value::Bool(true))]),
        created_at: now,
        updated_at: now,
        history: vec![HistoryEntry { status: OrderStatus::Received, at: now, by: "system".to_owned() }],
    };
    let delivery = Delivery {
        to: Some(phone),
        body: "a text that is never sent".to_owned(),
        state: DeliveryState::Skipped,
        claimed_until: Some(now),
        attempts: 1,
        refusals: 1,
        certain: 1,
        tries: vec![Tried { at: now, outcome: "none".to_owned() }],
        reason: Some("a test order".to_owned()),
        provider_id: Some("SM00000000000000000000000000000000".to_owned()),
        carrier_status: Some("none".to_owned()),
        correlation_id: Some("req_test".to_owned()),
        ..Delivery::owed(1, DeliveryKind::TextReceived, now)
    };
    let answer = Answer {
        key: "test".to_owned(),
        request: "test".to_owned(),
        at: now,
        reply: Some(Reply { status: 201, body: serde_json::to_value(&order)? }),
    };
    let change = AuditEntry {
        at: now,
        by: "system".to_owned(),
        what: "created".to_owned(),
        version: 1,
        reason: Some("a test order".to_owned()),
        correlation_id: Some("req_test".to_owned()),
    };
    Ok(Record {
        fingerprint: Some(fingerprint(shop_id, "test", &order.items)),
        answers: vec![answer],
        fingerprint_at: Some(now),
        deliveries: vec![delivery],
        audit: vec![change],
        erased_at: Some(now),
        marks: Marks { made: [0].into(), rushed_at: Some(now) },
        held_when_refused: true,
        ..Record::new(order)
    })
}

fn free_name(dir: &Path, order: &Order) -> PathBuf {
    let stem = format!("test_order_{}", order.created_at.strftime("%Y%m%dT%H%M%S"));
    let names = std::iter::once(format!("{stem}.json")).chain((2..).map(|k: u64| format!("{stem}_{k}.json")));
    names.map(PathBuf::from).find(|name| !dir.join(name).exists()).unwrap_or_default()
}

/// The keys whose values read back otherwise than they were written.
fn differences(written: &Record, path: &Path) -> anyhow::Result<Vec<String>> {
    let text = std::fs::read(path).with_context(|| format!("cannot read {} back", path.display()))?;
    let read: Value = serde_json::from_slice(&text).context("it is not JSON any more")?;
    let expected = serde_json::to_value(written)?;
    let (Some(expected), Some(read_keys)) = (expected.as_object(), read.as_object()) else { bail!("it is no object") };
    let differing = expected.iter().filter(|(key, value)| read_keys.get(*key) != Some(value));
    let mut differing: Vec<String> = differing.map(|(key, _)| key.clone()).collect();
    if serde_json::from_value::<Record>(read)? != *written && differing.is_empty() {
        differing.push("the order as a whole".to_owned());
    }
    Ok(differing)
}
