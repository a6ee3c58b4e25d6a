//! The suite that every store passes, against an emulator that enforces transactions; then what only this store can
//! suffer.

mod emulator;
mod faults;
mod sharing;

use super::client::{Account, Patience};
use super::document::ShareChange;
use super::item::{DOCUMENT, Item, Shop, text};
use super::table::{Billing, Created};
use super::{Access, DynamodbStore, Query, Record, Store, StoreError};
use crate::store::conformance::{Harness, SHOP, passes_the_suite};
use async_trait::async_trait;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region, SharedCredentialsProvider};
use aws_sdk_dynamodb::types::{PutRequest, WriteRequest};
use aws_smithy_http_client::{Builder, tls};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

passes_the_suite!(Table::new().await);

/// A table of its own in the emulator.
struct Table(Account);

impl Table {
    async fn new() -> Self {
        let table = Self::missing();
        assert_eq!(table.0.create_table(Billing::OnDemand).await.expect("a new table"), Created::New);
        table
    }

    /// A name that no table has.
    fn missing() -> Self {
        static TABLES: AtomicUsize = AtomicUsize::new(0);
        let name = format!("orders-{}", TABLES.fetch_add(1, Ordering::Relaxed));
        Self(account(emulator::endpoint(), &name, Patience::default()))
    }

    async fn open_as(&self, shop: &str, access: Access, clear: bool) -> Result<DynamodbStore, StoreError> {
        DynamodbStore::over(self.0.clone(), shop, access, clear).await
    }

    /// The same table behind a proxy that makes faults.
    async fn behind(&self, proxy: &emulator::Proxy, patience: Duration) -> DynamodbStore {
        let patience = Patience { answer: patience / 4, total: patience };
        let account = account(proxy.endpoint(), &self.0.table, patience);
        DynamodbStore::over(account, SHOP, Access::Write, false).await.expect("the store opens")
    }
}

/// How many orders a list without conditions finds.
async fn count(store: &Arc<dyn Store>) -> usize {
    store.list(&Query { limit: 1000, ..Query::default() }).await.expect("a list").records.len()
}

#[async_trait]
impl Harness for Table {
    async fn open(&self, access: Access, clear: bool) -> Result<Arc<dyn Store>, StoreError> {
        Ok(Arc::new(self.open_as(SHOP, access, clear).await?))
    }

    /// What so many imports would leave, written in batches and without conditions.
    async fn fill(&self, records: Vec<Record>) {
        let shop = Shop(SHOP.to_owned());
        let mut items: HashMap<String, Item> = HashMap::new();
        for record in &records {
            let id = &record.order.order_id;
            items.insert(id.to_string(), shop.order(record).expect("an item"));
            for (key, share) in &shop.shares(record) {
                let document = items.get(key).and_then(|item| text(item, DOCUMENT)).map(str::to_owned);
                let change = ShareChange { of: share, now: Some(share) };
                let item = shop.with_share(key, document.as_deref(), id, change).expect("an item");
                items.extend(item.map(|item| (key.clone(), item)));
            }
        }
        let put = |item| {
            WriteRequest::builder()
                .put_request(PutRequest::builder().set_item(Some(item)).build().expect("a put"))
                .build()
        };
        let mut writes: Vec<WriteRequest> = items.into_values().map(put).collect();
        while !writes.is_empty() {
            let some = writes.split_off(writes.len().saturating_sub(25));
            let request = self.0.client.batch_write_item().request_items(&self.0.table, some);
            let answer = request.send().await.expect("items are written");
            assert!(answer.unprocessed_items.is_none_or(|left| left.is_empty()), "the emulator writes all of them");
        }
    }
}

fn account(endpoint: &str, table: &str, patience: Patience) -> Account {
    let config = aws_sdk_dynamodb::config::Builder::new()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::from_static("us-east-1"))
        .endpoint_url(endpoint)
        .http_client(Builder::new().tls_provider(tls::Provider::Rustls(super::client::ring())).build_https());
    let credentials = Credentials::new("an-id", "a-secret", None, None, "test");
    Account::new(config, SharedCredentialsProvider::new(credentials), table, patience)
}
