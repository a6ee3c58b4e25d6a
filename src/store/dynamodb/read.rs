//! Lists: an index says which items, the table says what they are.
//!
//! An index may be a moment behind the table, and holds no more than what it is sorted by. So every list looks its items
//! up in the table and drops what does not fit any more: a list may lack what is a moment old, but what it shows is true.

use super::Inner;
use super::client::{Account, Trouble, Wait};
use super::item::{Item, KIND, Kept, SHOP, number, text};
use super::table::{BY_CUSTOMER, BY_NAME, BY_OPEN, BY_OWED, BY_PHONE, BY_SHOP, BY_STATUS, BY_UNDELIVERED, Index};
use super::table::{DUE, KEY, PLACE};
use super::work::{key_of, order_key};
use crate::ordering::money::Money;
use crate::ordering::order::OrderId;
use crate::ordering::status::OrderStatus;
use crate::store::StoreError;
use crate::store::query::{Owed, Page, Query, State, Statistics};
use crate::store::record::{Delivery, DeliveryState, Lane, Place, Record, Tombstone, folded_name};
use aws_sdk_dynamodb::types::{AttributeValue, DeleteRequest, WriteRequest};
use jiff::Timestamp;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;

/// How many items of an index are asked for at once.
const PAGE: usize = 100;
/// Sort keys cannot be longer.
const LONGEST_SORT_KEY: usize = 1024;
/// How many items DynamoDB deletes in one request.
const MOST_DELETED_TOGETHER: usize = 25;

impl Inner {
    pub(super) async fn list(&self, query: &Query) -> Result<Page, StoreError> {
        // Nothing comes before the empty place, and DynamoDB takes no empty text.
        if query.after.as_ref().is_some_and(|after| after.as_str().is_empty()) {
            return Ok(Page::default());
        }
        let name = query.name.as_deref().map(folded_name);
        let limit = query.limit.max(1);
        let mut merged = Merged(self.walks(query, name.as_deref()));
        let mut records: Vec<Arc<Record>> = Vec::new();
        // One more than asked for, so that it is known whether there is more.
        let mut wanted = limit.saturating_add(1).min(PAGE);
        while records.len() <= limit {
            let ids = merged.next(&self.account, wanted).await?;
            if ids.is_empty() {
                break;
            }
            let found = self.records(&ids).await?;
            let before = records.len();
            records.extend(found.into_iter().filter(|record| query.fits(record)));
            // Where orders do not fit, more of them are looked at together.
            let all_fit = records.len() - before == ids.len();
            wanted = if all_fit { (limit.saturating_add(1) - records.len().min(limit)).min(PAGE) } else { PAGE };
        }
        let is_more = records.len() > limit;
        records.truncate(limit);
        let next = records.last().filter(|_| is_more).map(|record| record.place());
        Ok(Page { records, next })
    }

    /// The lists that hold all that a query asks for, and the least beside it.
    fn walks(&self, query: &Query, name: Option<&str>) -> Vec<Walk> {
        let shop = &self.shop;
        let walk = |index, partition| Walk::backward(index, partition, query.after.as_ref());
        if let Some(phone) = &query.phone {
            vec![walk(&BY_PHONE, shop.of_phone(phone))]
        } else if let Some(customer) = &query.customer_id {
            vec![walk(&BY_CUSTOMER, shop.of_text(customer))]
        } else if let Some(name) = name {
            vec![walk(&BY_NAME, shop.of_text(name))]
        } else if query.statuses.is_empty() {
            vec![walk(&BY_SHOP, shop.0.clone())]
        } else {
            let statuses = OrderStatus::ALL.into_iter().filter(|status| query.statuses.contains(status));
            statuses.flat_map(|status| shop.of_status(status)).map(|part| walk(&BY_STATUS, part)).collect()
        }
    }

    /// Oldest first.
    pub(super) async fn open_orders(&self) -> Result<Vec<Arc<Record>>, StoreError> {
        let mut walk = Walk::forward(&BY_OPEN, self.shop.0.clone());
        let mut open = Vec::new();
        while let Some(items) = walk.page(&self.account, None).await? {
            let records = self.records(&ids(&items)).await?;
            open.extend(records.into_iter().filter(|record| record.order.status.is_open()));
        }
        Ok(open)
    }

    /// The index tells the orders that owe something, whatever it is: those that owe nothing in this lane are passed over.
    pub(super) async fn owed(&self, lane: Lane, now: Timestamp, most: usize) -> Result<Owed, StoreError> {
        let mut walk = Walk::forward(&BY_OWED, self.shop.0.clone());
        let mut found: Vec<(Timestamp, OrderId, Delivery)> = Vec::new();
        while let Some(items) = walk.page(&self.account, Some(most.saturating_add(1))).await? {
            for record in self.records(&ids(&items)).await? {
                let in_lane = record.deliveries.iter().filter(|delivery| delivery.kind.lane() == lane);
                let owed = in_lane.filter_map(|delivery| Some((delivery.due_at()?, delivery)));
                found.extend(owed.map(|(at, delivery)| (at, record.order.order_id.clone(), delivery.clone())));
            }
            // Orders come by the first of their deliveries: what is due no later than the last of these comes before
            // all that is still to be read.
            let Some(last) = items.last().and_then(|item| text(item, DUE)) else { continue };
            if found.iter().filter(|(at, ..)| Place::before(*at).as_str() <= last).count() > most {
                break;
            }
        }
        found.sort_by(|(at, id, delivery), (other_at, other_id, other)| {
            (at, id, delivery.id).cmp(&(other_at, other_id, other.id))
        });
        let due = found.iter().take(most).take_while(|(at, ..)| *at <= now).count();
        let next = found.get(due).map(|(at, ..)| *at);
        found.truncate(due);
        Ok(Owed { due: found.into_iter().map(|(_, id, delivery)| (id, delivery)).collect(), next })
    }

    pub(super) async fn undelivered(&self, most: usize) -> Result<Vec<Arc<Record>>, StoreError> {
        let mut merged = Merged(vec![Walk::backward(&BY_UNDELIVERED, self.shop.0.clone(), None)]);
        let mut found = Vec::new();
        while found.len() < most {
            let ids = merged.next(&self.account, (most - found.len()).min(PAGE)).await?;
            if ids.is_empty() {
                break;
            }
            let failed =
                |record: &Arc<Record>| record.deliveries.iter().any(|delivery| delivery.state == DeliveryState::Failed);
            found.extend(self.records(&ids).await?.into_iter().filter(failed));
        }
        Ok(found)
    }

    pub(super) async fn statistics(&self) -> Result<Statistics, StoreError> {
        let mut by_status: BTreeMap<&'static str, u64> = OrderStatus::ALL.map(|status| (status.as_str(), 0)).into();
        let (mut orders, mut cents, mut customers) = (0, 0_i64, HashSet::new());
        let mut walk = Walk::forward(&BY_SHOP, self.shop.0.clone());
        while let Some(items) = walk.page(&self.account, None).await? {
            for item in items {
                orders += 1;
                let status = text(&item, "status").unwrap_or_default();
                if let Some(count) = by_status.get_mut(status) {
                    *count += 1;
                }
                if status != OrderStatus::Cancelled.as_str() {
                    cents = cents.saturating_add(number(&item, "total_cents").unwrap_or(0));
                }
                customers.extend(text(&item, "customer_id").map(str::to_owned));
            }
        }
        Ok(Statistics { orders, revenue: Money::from_cents(cents), by_status, customers: customers.len() as u64 })
    }

    pub(super) async fn states(&self, kind: Option<&str>) -> Result<Vec<State>, StoreError> {
        let mut walk = Walk::forward(&BY_SHOP, self.shop.states());
        walk.prefix = kind.map(|kind| format!("{kind}#"));
        let mut states = Vec::new();
        while let Some(items) = walk.page(&self.account, None).await? {
            let places: Vec<(String, String)> = items
                .iter()
                .filter_map(|item| text(item, PLACE)?.split_once('#'))
                .map(|(kind, key)| (kind.to_owned(), key.to_owned()))
                .collect();
            let keys: Vec<String> = places.iter().map(|(kind, key)| self.shop.state(kind, key)).collect();
            let found = self.account.fetch(&keys).await?;
            for ((kind, key), item) in places.into_iter().zip(&keys) {
                let Some(document) = found.get(item).and_then(|found| found.document.as_deref()) else { continue };
                let Kept { revision, value } = serde_json::from_str(document)?;
                states.push(State { kind, key, value, revision });
            }
        }
        states.sort_by(|a, b| (&a.kind, &a.key).cmp(&(&b.kind, &b.key)));
        Ok(states)
    }

    pub(super) async fn tombstones(&self) -> Result<Vec<Tombstone>, StoreError> {
        let mut walk = Walk::forward(&BY_SHOP, self.shop.tombstones());
        let mut stones = Vec::new();
        while let Some(items) = walk.page(&self.account, None).await? {
            let keys: Vec<String> = items.iter().filter_map(|item| text(item, KEY)).map(str::to_owned).collect();
            for found in self.account.fetch(&keys).await?.values() {
                stones.extend(found.document.as_deref().map(serde_json::from_str).transpose()?);
            }
        }
        Ok(stones)
    }

    /// Orders of these ids as they are, in this sequence, without those that there are not.
    pub(super) async fn records(&self, ids: &[OrderId]) -> Result<Vec<Arc<Record>>, StoreError> {
        let keys: Vec<String> = ids.iter().map(order_key).collect();
        let found = self.account.fetch(&keys).await?;
        let documents = keys.iter().filter_map(|key| found.get(key)?.document_of(&self.shop));
        documents.map(|document| self.account.record(document).map(Arc::new)).collect()
    }

    /// Deletes all orders of this shop with whatever leads to them. What stays is the count, what is no order's, and what
    /// orders have left that were deleted before.
    pub(super) async fn clear(&self) -> Result<(), StoreError> {
        const ACTION: &str = "delete all orders";
        let request = self
            .account
            .client
            .scan()
            .table_name(&self.account.table)
            .consistent_read(true)
            .filter_expression("#shop = :shop AND NOT #kind IN (:counter, :state)")
            .projection_expression("#key, #kind")
            .expression_attribute_names("#key", KEY)
            .expression_attribute_names("#shop", SHOP)
            .expression_attribute_names("#kind", KIND)
            .expression_attribute_values(":shop", AttributeValue::S(self.shop.0.clone()))
            .expression_attribute_values(":counter", AttributeValue::S("counter".to_owned()))
            .expression_attribute_values(":state", AttributeValue::S("state".to_owned()));
        let (mut last, mut stones) = (None, Vec::new());
        loop {
            let page = request.clone().set_exclusive_start_key(last);
            let page = self.account.patiently(ACTION, || page.clone().send()).await?;
            let is_stone = |item: &&Item| text(item, KIND) == Some("tombstone");
            let (left, gone): (Vec<&Item>, Vec<&Item>) = page.items().iter().partition(is_stone);
            let keys = |items: &[&Item]| -> Vec<String> {
                items.iter().filter_map(|item| text(item, KEY)).map(str::to_owned).collect()
            };
            stones.extend(keys(&left));
            for chunk in keys(&gone).chunks(MOST_DELETED_TOGETHER) {
                self.account.delete(ACTION, chunk).await?;
            }
            last = page.last_evaluated_key;
            if last.is_none() {
                break;
            }
        }
        // Their keys and numbers went with those of the orders, which they may have shared.
        for found in self.account.fetch(&stones).await?.values() {
            let stone: Option<Tombstone> = found.document.as_deref().map(serde_json::from_str).transpose()?;
            if let Some(stone) = stone {
                self.set_tombstone(&stone.order_id, Some(&stone)).await?;
            }
        }
        Ok(())
    }
}

fn ids(items: &[Item]) -> Vec<OrderId> {
    items.iter().filter_map(|item| text(item, KEY)?.parse().ok()).collect()
}

impl Account {
    async fn delete(&self, action: &'static str, keys: &[String]) -> Result<(), StoreError> {
        let failed = |error| self.failed(action, super::table::incomplete(error));
        let delete = |key: &String| {
            let delete = DeleteRequest::builder().set_key(Some(key_of(key))).build()?;
            Ok(WriteRequest::builder().delete_request(delete).build())
        };
        let mut wanted: Vec<WriteRequest> = keys.iter().map(delete).collect::<Result<_, _>>().map_err(failed)?;
        let mut wait = Wait::new(self.patience.total);
        while !wanted.is_empty() {
            let request = self.client.batch_write_item().request_items(&self.table, std::mem::take(&mut wanted));
            let answer = self.patiently(action, || request.clone().send()).await?;
            wanted = answer.unprocessed_items.and_then(|mut left| left.remove(&self.table)).unwrap_or_default();
            if !wanted.is_empty() && !wait.again().await {
                return Err(self.failed(action, Trouble::Throttled));
            }
        }
        Ok(())
    }
}

/// One list of an index, read page by page.
pub(super) struct Walk {
    index: &'static Index,
    partition: String,
    forward: bool,
    /// Only what sorts before it.
    before: Option<String>,
    prefix: Option<String>,
    last: Option<Item>,
    is_over: bool,
    /// Read, and not yet handed on: place and id.
    ahead: VecDeque<(String, OrderId)>,
}

impl Walk {
    /// From the first on.
    pub(super) fn forward(index: &'static Index, partition: String) -> Self {
        Self {
            index,
            partition,
            forward: true,
            before: None,
            prefix: None,
            last: None,
            is_over: false,
            ahead: VecDeque::new(),
        }
    }

    /// From the last on, or from the last before a place.
    fn backward(index: &'static Index, partition: String, before: Option<&Place>) -> Self {
        // Every place is much shorter, so where a longer text is cut makes no difference.
        let cut = |text: &str| text[..text.floor_char_boundary(LONGEST_SORT_KEY)].to_owned();
        let before = before.map(|place| cut(place.as_str()));
        Self { forward: false, before, ..Self::forward(index, partition) }
    }

    /// The next items; none: it is over. A page may be empty.
    pub(super) async fn page(
        &mut self,
        account: &Account,
        most: Option<usize>,
    ) -> Result<Option<Vec<Item>>, StoreError> {
        if self.is_over {
            return Ok(None);
        }
        let mut condition = "#partition = :partition".to_owned();
        let mut names = HashMap::from([("#partition".to_owned(), self.index.partition.to_owned())]);
        let mut values = HashMap::from([(":partition".to_owned(), AttributeValue::S(self.partition.clone()))]);
        for (limit, test) in [(&self.before, "#sort < :limit"), (&self.prefix, "begins_with(#sort, :limit)")] {
            if let Some(limit) = limit {
                condition.push_str(" AND ");
                condition.push_str(test);
                names.insert("#sort".to_owned(), self.index.sort.to_owned());
                values.insert(":limit".to_owned(), AttributeValue::S(limit.clone()));
            }
        }
        let request = account
            .client
            .query()
            .table_name(&account.table)
            .index_name(self.index.name)
            .key_condition_expression(condition)
            .set_expression_attribute_names(Some(names))
            .set_expression_attribute_values(Some(values))
            .scan_index_forward(self.forward)
            .set_limit(most.map(|most| most.clamp(1, 1000) as i32))
            .set_exclusive_start_key(self.last.take());
        let answer = account.patiently("list orders", || request.clone().send()).await?;
        self.last = answer.last_evaluated_key;
        self.is_over = self.last.is_none();
        Ok(Some(answer.items.unwrap_or_default()))
    }

    /// Sees to it that the next item is known, if there is one.
    async fn look_ahead(&mut self, account: &Account, most: usize) -> Result<(), StoreError> {
        while self.ahead.is_empty() {
            let Some(items) = self.page(account, Some(most)).await? else { break };
            let known = |item: &Item| Some((text(item, self.index.sort)?.to_owned(), text(item, KEY)?.parse().ok()?));
            self.ahead.extend(items.iter().filter_map(known));
        }
        Ok(())
    }
}

/// Several lists, read as one: newest first.
struct Merged(Vec<Walk>);

impl Merged {
    /// The next ids, at most so many; none: it is over.
    async fn next(&mut self, account: &Account, most: usize) -> Result<Vec<OrderId>, StoreError> {
        let mut ids: Vec<OrderId> = Vec::with_capacity(most);
        while ids.len() < most {
            let looks = self.0.iter_mut().map(|walk| walk.look_ahead(account, most));
            futures_util::future::try_join_all(looks).await?;
            let place = |walk: &&mut Walk| walk.ahead.front().map(|(place, _)| place.clone());
            let Some(newest) = self.0.iter_mut().filter(|walk| !walk.ahead.is_empty()).max_by_key(place) else { break };
            let Some((_, id)) = newest.ahead.pop_front() else { break };
            // An order that is moving from one status to the next may be seen in both.
            if ids.last() != Some(&id) {
                ids.push(id);
            }
        }
        Ok(ids)
    }
}
