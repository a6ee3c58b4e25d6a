//! A unit of work: items are read, a decision is made, and all changes are committed together only if nothing that the
//! decision rests on has changed since.
//!
//! Every item holds the stamp of the commit that wrote it. A transaction changes an item on condition that it still has
//! the stamp that was read, and what was only read is checked the same way. So whatever happens at once, it is as if it
//! had happened one after the other. A stamp is random: an item that is deleted and made again is not taken for the old.

use super::client::{Account, Trouble, Wait};
use super::document::ShareChange;
use super::item::{DOCUMENT, Item, ItemError, SHOP, STAMP, Shop, read, text};
use super::table::{KEY, incomplete};
use crate::ordering::order::OrderId;
use crate::store::StoreError;
use crate::store::record::Record;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    AttributeValue, ConditionCheck, Delete, KeysAndAttributes, Put, ReturnValuesOnConditionCheckFailure,
    TransactWriteItem,
};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The most items that DynamoDB reads or changes together.
const MOST_TOGETHER: usize = 100;

/// What was read of an item.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    pub(super) document: Option<String>,
    stamp: Option<String>,
    shop_id: Option<String>,
}

impl Found {
    fn of(item: &Item) -> Self {
        let owned = |name| text(item, name).map(str::to_owned);
        Self { document: owned(DOCUMENT), stamp: owned(STAMP), shop_id: owned(SHOP) }
    }

    /// The content, if it is this shop's.
    pub(super) fn document_of(&self, shop: &Shop) -> Option<&str> {
        self.document.as_deref().filter(|_| self.shop_id.as_deref() == Some(shop.0.as_str()))
    }

    pub(super) fn exists(&self) -> bool {
        self.stamp.is_some() || self.shop_id.is_some()
    }
}

/// What became of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Committed,
    /// Something had changed: nothing was committed.
    Conflict,
}

pub(super) struct Work<'a> {
    account: &'a Account,
    shop: &'a Shop,
    items: BTreeMap<String, (Found, Plan)>,
}

#[derive(Default)]
enum Plan {
    /// It must still be what was read.
    #[default]
    Check,
    Put(Item),
    Delete,
}

impl<'a> Work<'a> {
    pub(super) fn new(account: &'a Account, shop: &'a Shop) -> Self {
        Self { account, shop, items: BTreeMap::new() }
    }

    /// Reads these items, unless they have been read.
    pub(super) async fn load(&mut self, keys: impl IntoIterator<Item = String>) -> Result<(), StoreError> {
        let missing: Vec<String> = keys.into_iter().filter(|key| !self.items.contains_key(key)).collect();
        let found = self.account.fetch(&missing).await?;
        self.adopt(missing, found);
        Ok(())
    }

    /// Takes over items that were read apart.
    pub(super) fn adopt(&mut self, keys: Vec<String>, mut found: HashMap<String, Found>) {
        for key in keys {
            let item = found.remove(&key).unwrap_or_default();
            self.items.entry(key).or_insert((item, Plan::Check));
        }
    }

    /// Says, without a look, that there is no such item; if there is one, the commit is a conflict.
    pub(super) fn assume_absent(&mut self, key: &str) {
        self.items.entry(key.to_owned()).or_insert((Found::default(), Plan::Check));
    }

    /// What was read of an item.
    pub(super) fn found(&self, key: &str) -> Option<&Found> {
        self.items.get(key).map(|(found, _)| found)
    }

    /// The content of an item that was read; the default where there is none.
    pub(super) fn get<T: for<'de> Deserialize<'de> + Default>(&self, key: &str) -> Result<T, StoreError> {
        Ok(read(self.document(key))?)
    }

    fn document(&self, key: &str) -> Option<&str> {
        self.found(key).and_then(|found| found.document.as_deref())
    }

    pub(super) fn put(&mut self, item: Item) {
        if let Some(key) = text(&item, KEY).map(str::to_owned) {
            self.items.entry(key).or_default().1 = Plan::Put(item);
        }
    }

    pub(super) fn delete(&mut self, key: &str) {
        if let Some((found, plan)) = self.items.get_mut(key)
            && found.exists()
        {
            *plan = Plan::Delete;
        }
    }

    /// The decision does not rest on this item after all.
    pub(super) fn release(&mut self, key: &str) {
        if matches!(self.items.get(key), Some((_, Plan::Check))) {
            self.items.remove(key);
        }
    }

    /// Brings the documents that an order shares with others from what it was to what it is.
    pub(super) async fn share(&mut self, old: Option<&Record>, new: Option<&Record>) -> Result<(), StoreError> {
        const ACTION: &str = "save an order";
        let Some(id) = new.or(old).map(|record| record.order.order_id.clone()) else { return Ok(()) };
        let shop = self.shop;
        let shares = |record: Option<&Record>| record.map(|record| shop.shares(record)).unwrap_or_default();
        let (old, new) = (shares(old), shares(new));
        let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        let changed: Vec<&String> = keys.into_iter().filter(|key| old.get(*key) != new.get(*key)).collect();
        self.load(changed.iter().map(|key| (*key).clone())).await?;
        for key in changed {
            let Some(of) = new.get(key).or_else(|| old.get(key)) else { continue };
            let change = ShareChange { of, now: new.get(key) };
            match shop.with_share(key, self.document(key), &id, change) {
                Ok(Some(item)) => self.put(item),
                Ok(None) => self.delete(key),
                Err(error) => return Err(self.account.unfit(ACTION, error)),
            }
        }
        Ok(())
    }

    /// Plans to write an order.
    pub(super) fn put_order(&mut self, record: &Record) -> Result<(), StoreError> {
        let item = self.shop.order(record).map_err(|error| self.account.unfit("save an order", error))?;
        self.put(item);
        Ok(())
    }

    /// Commits all changes together, or nothing.
    pub(super) async fn commit(self, action: &'static str) -> Result<Outcome, StoreError> {
        let Self { account, items, .. } = self;
        let failed = |trouble| account.failed(action, trouble);
        if !items.values().any(|(_, plan)| !matches!(plan, Plan::Check)) {
            return Ok(Outcome::Committed);
        }
        if items.len() > MOST_TOGETHER {
            return Err(failed(Trouble::TooMany(items.len())));
        }
        // DynamoDB knows a request that is repeated by it, too.
        let stamp = format!("{:032x}", rand::random::<u128>());
        let proof = Proof::of(&items, &stamp);
        let steps: Result<Vec<TransactWriteItem>, Trouble> =
            items.into_iter().map(|(key, (found, plan))| account.step(key, found, plan, &stamp)).collect();
        let request = account
            .client
            .transact_write_items()
            .set_transact_items(Some(steps.map_err(failed)?))
            .client_request_token(&stamp);

        let mut wait = Wait::new(account.patience.total);
        let mut in_doubt = false;
        loop {
            let trouble = match request.clone().send().await {
                Ok(_) => return Ok(Outcome::Committed),
                Err(error) => match error.as_service_error() {
                    Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
                        let codes = cancelled.cancellation_reasons().iter().filter_map(|reason| reason.code());
                        match judge(codes) {
                            // It would have been told that it was committed, if it had been.
                            Verdict::Conflict => return Ok(Outcome::Conflict),
                            Verdict::Refused(code) => return Err(failed(Trouble::Refused(code))),
                            Verdict::Busy => Trouble::Throttled,
                        }
                    }
                    _ => account.trouble(&error),
                },
            };
            in_doubt |= trouble.leaves_doubt();
            if !trouble.may_pass() {
                return Err(failed(trouble));
            }
            if wait.again().await {
                continue;
            }
            if !in_doubt {
                return Err(failed(trouble));
            }
            // The request may still be on its way: only a commit that is found proves anything.
            let found = account.has_committed(&proof).await;
            return if found { Ok(Outcome::Committed) } else { Err(account.in_doubt(action)) };
        }
    }
}

enum Verdict {
    Conflict,
    Busy,
    Refused(String),
}

fn judge<'a>(codes: impl Iterator<Item = &'a str>) -> Verdict {
    let mut verdict = Verdict::Busy;
    for code in codes {
        match code {
            "ConditionalCheckFailed" => return Verdict::Conflict,
            "None" | "TransactionConflict" | "ProvisionedThroughputExceeded" | "ThrottlingError" => {}
            other => verdict = Verdict::Refused(other.chars().filter(char::is_ascii_alphanumeric).take(60).collect()),
        }
    }
    verdict
}

impl Account {
    /// Reads items as they are at this moment, in any number.
    pub(super) async fn fetch(&self, keys: &[String]) -> Result<HashMap<String, Found>, StoreError> {
        let keys: BTreeSet<&String> = keys.iter().collect();
        let keys: Vec<&String> = keys.into_iter().collect();
        let mut found = HashMap::with_capacity(keys.len());
        for chunk in keys.chunks(MOST_TOGETHER) {
            let mut wanted: Vec<Item> = chunk.iter().map(|key| key_of(key)).collect();
            let mut wait = Wait::new(self.patience.total);
            while !wanted.is_empty() {
                let request = KeysAndAttributes::builder()
                    .set_keys(Some(std::mem::take(&mut wanted)))
                    .consistent_read(true)
                    .projection_expression("#key, #document, #stamp, #shop")
                    .expression_attribute_names("#key", KEY)
                    .expression_attribute_names("#document", DOCUMENT)
                    .expression_attribute_names("#stamp", STAMP)
                    .expression_attribute_names("#shop", SHOP)
                    .build()
                    .map_err(|error| self.failed("read orders", incomplete(error)))?;
                let request = self.client.batch_get_item().request_items(&self.table, request);
                let answer = self.patiently("read orders", || request.clone().send()).await?;
                for item in answer.responses().into_iter().flat_map(HashMap::values).flatten() {
                    if let Some(key) = text(item, KEY) {
                        found.insert(key.to_owned(), Found::of(item));
                    }
                }
                // More than 16 MB, or more than the table's capacity allows at this moment.
                let left = answer.unprocessed_keys.and_then(|mut tables| tables.remove(&self.table));
                wanted = left.map(|left| left.keys).unwrap_or_default();
                if !wanted.is_empty() && !wait.again().await {
                    return Err(self.failed("read orders", Trouble::Throttled));
                }
            }
        }
        Ok(found)
    }

    pub(super) fn unfit(&self, action: &str, error: ItemError) -> StoreError {
        match error {
            ItemError::Json(error) => StoreError::Encoding(error),
            ItemError::Trouble(trouble) => self.failed(action, trouble),
        }
    }

    /// An order's record from its item's content.
    pub(super) fn record(&self, document: &str) -> Result<Record, StoreError> {
        Ok(serde_json::from_str(document)?)
    }

    fn step(&self, key: String, found: Found, plan: Plan, stamp: &str) -> Result<TransactWriteItem, Trouble> {
        let (condition, name, value) = match found {
            Found { stamp: Some(stamp), .. } => ("#is = :is", STAMP, Some(AttributeValue::S(stamp))),
            // Written by something else than this program: taken as it is.
            found if found.exists() => ("attribute_exists(#is)", KEY, None),
            _ => ("attribute_not_exists(#is)", KEY, None),
        };
        let values = value.map(|value| HashMap::from([(":is".to_owned(), value)]));
        let nothing = ReturnValuesOnConditionCheckFailure::None;
        let step = TransactWriteItem::builder();
        let step = match plan {
            Plan::Check => step.condition_check(
                ConditionCheck::builder()
                    .table_name(&self.table)
                    .set_key(Some(key_of(&key)))
                    .condition_expression(condition)
                    .expression_attribute_names("#is", name)
                    .set_expression_attribute_values(values)
                    .return_values_on_condition_check_failure(nothing)
                    .build()
                    .map_err(incomplete)?,
            ),
            Plan::Put(mut item) => {
                item.insert(STAMP.to_owned(), AttributeValue::S(stamp.to_owned()));
                step.put(
                    Put::builder()
                        .table_name(&self.table)
                        .set_item(Some(item))
                        .condition_expression(condition)
                        .expression_attribute_names("#is", name)
                        .set_expression_attribute_values(values)
                        .return_values_on_condition_check_failure(nothing)
                        .build()
                        .map_err(incomplete)?,
                )
            }
            Plan::Delete => step.delete(
                Delete::builder()
                    .table_name(&self.table)
                    .set_key(Some(key_of(&key)))
                    .condition_expression(condition)
                    .expression_attribute_names("#is", name)
                    .set_expression_attribute_values(values)
                    .return_values_on_condition_check_failure(nothing)
                    .build()
                    .map_err(incomplete)?,
            ),
        };
        Ok(step.build())
    }

    /// Whether a commit that was not answered can be seen to have been made.
    async fn has_committed(&self, proof: &Proof) -> bool {
        let keys: Vec<String> = proof.put.iter().chain(&proof.deleted).cloned().collect();
        let Ok(found) = self.fetch(&keys).await else { return false };
        if proof.put.is_empty() {
            return proof.deleted.iter().all(|key| !found.contains_key(key));
        }
        found.values().any(|found| found.stamp.as_ref() == Some(&proof.stamp))
    }
}

/// What shows afterwards that a commit was made. Nobody else writes its stamp, so one item that has it is enough: items
/// that many orders share, such as the counter, have been written over by the next commit long before anybody looks.
struct Proof {
    stamp: String,
    put: Vec<String>,
    /// Of a commit that only deletes: items that are gone.
    deleted: Vec<String>,
}

impl Proof {
    fn of(items: &BTreeMap<String, (Found, Plan)>, stamp: &str) -> Self {
        let keys = |is_meant: fn(&Plan) -> bool| {
            items.iter().filter(|(_, (_, plan))| is_meant(plan)).map(|(key, _)| key.clone()).collect()
        };
        let put = keys(|plan| matches!(plan, Plan::Put(_)));
        Self { stamp: stamp.to_owned(), put, deleted: keys(|plan| matches!(plan, Plan::Delete)) }
    }
}

/// The key of an item, as DynamoDB asks for it.
pub(super) fn key_of(key: &str) -> Item {
    Item::from([(KEY.to_owned(), AttributeValue::S(key.to_owned()))])
}

/// An order id as a key.
pub(super) fn order_key(id: &OrderId) -> String {
    id.as_str().to_owned()
}
