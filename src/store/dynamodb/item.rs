//! Items: how an order, and what stands beside orders, is written as one, and by what keys it is found. Pure: knows no
//! table.
//!
//! Every item holds its content as one JSON text (`document`), which is all that is ever read back of it; the attributes
//! beside it are what indexes are made of. An order is thus given back as it was, to the last digit.

use super::client::Trouble;
use super::document::{Counter, KeyOwner};
use super::table::{BY_CUSTOMER, BY_NAME, BY_OPEN, BY_OWED, BY_PHONE, BY_SHOP, BY_STATUS, BY_UNDELIVERED};
use super::table::{DUE, EXPIRES, Index, KEY, PLACE};
use crate::ordering::order::{OrderId, OrderNumber};
use crate::ordering::phone_number::PhoneNumber;
use crate::ordering::status::OrderStatus;
use crate::store::record::{Delivery, DeliveryState, Place, Record, Tombstone, folded_name};
use aws_sdk_dynamodb::types::AttributeValue;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;

pub(super) type Item = HashMap<String, AttributeValue>;

/// An item's content.
pub(super) const DOCUMENT: &str = "document";
/// The commit that wrote the item: two writers are told apart by it, and a commit in doubt is recognised by it.
pub(super) const STAMP: &str = "stamp";
/// Whose the item is: several shops may keep their orders in one table.
pub(super) const SHOP: &str = "shop_id";
/// What the item is; [`Shop`]'s keys begin with it.
pub(super) const KIND: &str = "kind";

/// The largest item that DynamoDB holds, names of attributes included.
const LARGEST: usize = 400 * 1024;
/// An index cannot hold longer ones: what is longer is told apart by its hash.
const LONGEST_IN_INDEX: usize = 512;
/// Closed orders only ever become more, and all of today's are written side by side: they are spread over so many
/// partitions of the index of statuses, which a list reads side by side.
const CLOSED_SHARDS: u8 = 4;
/// How long what only expires is kept: twice as long as anybody asks for it.
const KEPT: SignedDuration = SignedDuration::from_hours(48);

/// A shop's part of the table.
#[derive(Clone, Debug)]
pub(super) struct Shop(pub(super) String);

impl Shop {
    pub(super) fn counter(&self) -> String {
        format!("#counter#{}", self.0)
    }

    pub(super) fn number(&self, number: OrderNumber) -> String {
        format!("#number#{}#{number}", self.0)
    }

    /// A key is whatever a request brought along, so only its hash fits for certain.
    pub(super) fn key(&self, key: &str) -> String {
        format!("#key#{}#{}", self.0, sha256(key))
    }

    pub(super) fn fingerprint(&self, fingerprint: &str) -> String {
        format!("#fingerprint#{}#{}", self.0, in_index(fingerprint))
    }

    pub(super) fn phone(&self, phone: &PhoneNumber) -> String {
        format!("#phone#{}#{}", self.0, phone.as_e164())
    }

    pub(super) fn tombstone(&self, id: &OrderId) -> String {
        format!("#tombstone#{}#{id}", self.0)
    }

    pub(super) fn state(&self, kind: &str, key: &str) -> String {
        format!("#state#{}#{kind}#{key}", self.0)
    }

    /// The index partition of a text that is the orderer's own.
    pub(super) fn of_text(&self, text: &str) -> String {
        format!("{}#{}", self.0, in_index(text))
    }

    pub(super) fn of_phone(&self, phone: &PhoneNumber) -> String {
        format!("{}#{}", self.0, phone.as_e164())
    }

    pub(super) fn states(&self) -> String {
        format!("{}#state", self.0)
    }

    pub(super) fn tombstones(&self) -> String {
        format!("{}#tombstone", self.0)
    }

    /// All index partitions of a status.
    pub(super) fn of_status(&self, status: OrderStatus) -> Vec<String> {
        if status.is_open() {
            return vec![format!("{}#{status}", self.0)];
        }
        (0..CLOSED_SHARDS).map(|shard| format!("{}#{status}#{shard}", self.0)).collect()
    }

    fn status_of(&self, status: OrderStatus, id: &OrderId) -> String {
        let first = Sha256::digest(id.as_str()).first().copied().unwrap_or(0);
        let mut all = self.of_status(status);
        all.swap_remove(usize::from(first) % all.len())
    }

    /// An order as it is stored.
    pub(super) fn order(&self, record: &Record) -> Result<Item, ItemError> {
        let order = &record.order;
        let mut item = self.item(order.order_id.as_str(), "order", record)?;
        put(&mut item, "status", order.status.as_str());
        item.insert("total_cents".to_owned(), AttributeValue::N(order.total.cents().to_string()));
        put(&mut item, PLACE, record.place().as_str());
        put(&mut item, BY_SHOP.partition, &self.0);
        put(&mut item, BY_STATUS.partition, &self.status_of(order.status, &order.order_id));
        if order.status.is_open() {
            put(&mut item, BY_OPEN.partition, &self.0);
        }
        if order.status.is_active() {
            item.insert("active_drinks".to_owned(), AttributeValue::N(order.drinks().to_string()));
            for (name, at) in [("pickup_at", order.pickup_at), ("estimated_ready_time", order.estimated_ready_time)] {
                at.into_iter().for_each(|at| put(&mut item, name, &at.to_string()));
            }
        }
        if let Some(customer) = &order.customer_id {
            put(&mut item, "customer_id", &in_index(customer));
            put(&mut item, BY_CUSTOMER.partition, &self.of_text(customer));
        }
        if let Some(name) = &order.name {
            put(&mut item, BY_NAME.partition, &self.of_text(&folded_name(name)));
        }
        if let Some(phone) = &order.phone {
            put(&mut item, BY_PHONE.partition, &self.of_phone(phone));
        }
        if let Some(due) = record.deliveries.iter().filter_map(Delivery::due_at).min() {
            put(&mut item, BY_OWED.partition, &self.0);
            put(&mut item, DUE, Place::before(due).as_str());
        }
        if record.deliveries.iter().any(|delivery| delivery.state == DeliveryState::Failed) {
            put(&mut item, BY_UNDELIVERED.partition, &self.0);
        }
        check_size("an order", item)
    }

    /// What an order has left.
    pub(super) fn tombstone_item(&self, stone: &Tombstone) -> Result<Item, ItemError> {
        let mut item = self.item(&self.tombstone(&stone.order_id), "tombstone", stone)?;
        list(&mut item, &BY_SHOP, &self.tombstones(), stone.order_id.as_str());
        if stone.bare(&self.0).is_none() {
            expire(&mut item, stone.deleted_at);
        }
        check_size("what a deleted order leaves", item)
    }

    pub(super) fn state_item(&self, kind: &str, key: &str, kept: &Kept) -> Result<Item, ItemError> {
        let mut item = self.item(&self.state(kind, key), "state", kept)?;
        list(&mut item, &BY_SHOP, &self.states(), &format!("{kind}#{key}"));
        check_size("a state", item)
    }

    pub(super) fn counter_item(&self, counter: &Counter) -> Result<Item, ItemError> {
        self.item(&self.counter(), "counter", counter)
    }

    /// Whose key it is. `expires`: its order is deleted at that time, and only the tombstone knows the answer.
    pub(super) fn key_item(&self, key: &str, id: &OrderId, expires: Option<Timestamp>) -> Result<Item, ItemError> {
        let mut item = self.item(&self.key(key), "key", &KeyOwner { order_id: id.clone() })?;
        expires.into_iter().for_each(|at| expire(&mut item, at));
        Ok(item)
    }

    /// What is written to see whether something can be.
    pub(super) fn probe_item(&self) -> Result<Item, ItemError> {
        self.item(&format!("#probe#{}", self.0), "probe", &Timestamp::now())
    }

    pub(super) fn item(&self, key: &str, kind: &str, content: &impl Serialize) -> Result<Item, ItemError> {
        let mut item = Item::new();
        put(&mut item, KEY, key);
        put(&mut item, SHOP, &self.0);
        put(&mut item, KIND, kind);
        put(&mut item, DOCUMENT, &serde_json::to_string(content)?);
        Ok(item)
    }
}

/// Why something cannot be an item.
#[derive(Debug, thiserror::Error)]
pub(super) enum ItemError {
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    #[error(transparent)]
    Trouble(#[from] Trouble),
}

/// The content of an item; the default where there is none.
pub(super) fn read<T: for<'de> Deserialize<'de> + Default>(document: Option<&str>) -> Result<T, serde_json::Error> {
    document.map_or_else(|| Ok(T::default()), serde_json::from_str)
}

/// A text attribute.
pub(super) fn text<'a>(item: &'a Item, name: &str) -> Option<&'a str> {
    item.get(name)?.as_s().ok().map(String::as_str)
}

/// A number attribute.
pub(super) fn number<T: std::str::FromStr>(item: &Item, name: &str) -> Option<T> {
    item.get(name)?.as_n().ok()?.parse().ok()
}

/// A durable value that is no order.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) revision: u64,
    pub(super) value: serde_json::Value,
}

fn put(item: &mut Item, name: &str, text: &str) {
    item.insert(name.to_owned(), AttributeValue::S(text.to_owned()));
}

fn list(item: &mut Item, index: &Index, partition: &str, place: &str) {
    put(item, index.partition, partition);
    put(item, index.sort, place);
}

/// Has DynamoDB forget it when it is no more asked for. DynamoDB goes by its own clock, whatever ours says.
pub(super) fn expire(item: &mut Item, since: Timestamp) {
    let at = since.max(Timestamp::now()).as_second().saturating_add(KEPT.as_secs());
    item.insert(EXPIRES.to_owned(), AttributeValue::N(at.to_string()));
}

pub(super) fn check_size(what: &'static str, item: Item) -> Result<Item, ItemError> {
    let of = |value: &AttributeValue| value.as_s().or(value.as_n()).map_or(0, String::len);
    // What a commit adds to it: its stamp.
    let bytes = 64 + item.iter().map(|(name, value)| name.len() + of(value)).sum::<usize>();
    if bytes > LARGEST { Err(Trouble::TooLarge { what, bytes }.into()) } else { Ok(item) }
}

fn in_index(text: &str) -> String {
    // A text that looks like a hash is hashed too, so that nobody's own is another's hash.
    if text.len() > LONGEST_IN_INDEX || text.starts_with("sha256:") {
        return format!("sha256:{}", sha256(text));
    }
    text.to_owned()
}

fn sha256(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::conformance::{Draft, at, hours, id, minutes, phone, text};
    use crate::store::dynamodb::table::INDEXES;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn attributes(record: &Record) -> BTreeMap<String, String> {
        let item = Shop("main".into()).order(record).expect("an item");
        let value = |value: &AttributeValue| value.as_s().or(value.as_n()).expect("a text or a number").clone();
        item.iter().filter(|(name, _)| *name != DOCUMENT).map(|(name, of)| (name.clone(), value(of))).collect()
    }

    #[test]
    fn an_open_order_is_in_every_list_it_belongs_to() {
        let when: Timestamp = "2024-01-01T00:00:00Z".parse().expect("an instant");
        let mut record = Draft {
            at: when,
            name: Some(" Ada  LOVELACE".into()),
            phone: Some(phone(1)),
            customer: Some("ada@example.com".into()),
            drinks: 2,
            ready_at: Some(when),
            deliveries: vec![text(1, &phone(1), when)],
            ..Draft::default()
        }
        .elsewhere("ORD-main-42", 4782);
        insta::assert_debug_snapshot!(attributes(&record), @r#"
        {
            "active_drinks": "2",
            "by_customer": "main#ada@example.com",
            "by_name": "main#ada lovelace",
            "by_open": "main",
            "by_owed": "main",
            "by_phone": "main#+15551230001",
            "by_shop": "main",
            "by_status": "main#received",
            "customer_id": "ada@example.com",
            "due_at": "01154625571806846976",
            "estimated_ready_time": "2024-01-01T00:00:00Z",
            "kind": "order",
            "order_id": "ORD-main-42",
            "place": "01154625571806846976#00000000000000000042#ORD-main-42",
            "shop_id": "main",
            "status": "received",
            "total_cents": "1100",
        }
        "#);

        record.order.status = OrderStatus::Completed;
        record.order.name = None;
        record.order.phone = None;
        record.order.customer_id = None;
        record.deliveries[0].state = DeliveryState::Failed;
        insta::assert_debug_snapshot!(attributes(&record), @r#"
        {
            "by_shop": "main",
            "by_status": "main#completed#0",
            "by_undelivered": "main",
            "kind": "order",
            "order_id": "ORD-main-42",
            "place": "01154625571806846976#00000000000000000042#ORD-main-42",
            "shop_id": "main",
            "status": "completed",
            "total_cents": "1100",
        }
        "#);
    }

    #[test]
    fn closed_orders_are_spread_and_open_ones_are_not() {
        let shop = Shop("main".into());
        let of = |status| {
            let part = |n: u32| shop.status_of(status, &id(&format!("ORD-main-{n}")));
            (0..200).map(part).collect::<std::collections::BTreeSet<_>>()
        };
        assert_eq!(of(OrderStatus::Received).into_iter().collect::<Vec<_>>(), ["main#received"]);
        assert_eq!(of(OrderStatus::Completed).into_iter().collect::<Vec<_>>(), shop.of_status(OrderStatus::Completed));
    }

    #[test]
    fn an_id_that_its_orderer_chose_is_remembered_for_good() {
        let left = |id: &str| {
            let stone = Draft::default().elsewhere(id, 4782).tombstone(at(0));
            Shop("main".to_owned()).tombstone_item(&stone).expect("it fits")
        };
        assert!(left("ORD-main-7").contains_key(EXPIRES), "the counter knows of it");
        assert!(!left("till-7").contains_key(EXPIRES));
    }

    #[test]
    fn what_expires_does_so_by_the_later_clock() {
        let mut item = Item::new();
        expire(&mut item, at(hours(1000)));
        assert_eq!(number(&item, EXPIRES), Some(at(hours(1048)).as_second()));
        expire(&mut item, at(hours(-1000)));
        let from_now = number::<i64>(&item, EXPIRES).expect("a time") - Timestamp::now().as_second();
        assert!((hours(48) - minutes(1)..=hours(48)).contains(&from_now), "{from_now}");
    }

    proptest! {
        /// DynamoDB refuses longer keys of indexes, and empty ones.
        #[test]
        fn whatever_is_written_in_an_order_fits_into_the_indexes(
            name in ".{0,40}", customer in ".{0,40}", often in 1_usize..60
        ) {
            let draft = Draft { name: Some(name.repeat(often)), customer: Some(customer.repeat(often)), ..Draft::default() };
            let item = attributes(&draft.elsewhere("mine", 1000));
            for index in &INDEXES {
                for (key, limit) in [(index.partition, 2048), (index.sort, 1024)] {
                    let length = item.get(key).map_or(1, String::len);
                    prop_assert!((1..=limit).contains(&length), "{} is {} bytes long", key, length);
                }
            }
        }

        /// What is looked for is looked for where it was put, and nobody's text is found under another's.
        #[test]
        fn long_texts_stay_apart(one in "[a-c]{0,3}", other in "[a-c]{0,3}") {
            let shop = Shop("main".into());
            let long = |text: &str| shop.of_text(&text.repeat(600));
            prop_assert_eq!(long(&one) == long(&other), one == other);
            let hashed = long(&one);
            let imitated = shop.of_text(hashed.trim_start_matches("main#"));
            prop_assert!(one.is_empty() || imitated != hashed);
        }
    }
}
