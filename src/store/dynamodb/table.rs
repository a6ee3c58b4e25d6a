//! The table: its key, its indexes, how it is made and how it is recognised. Knows nothing of what an order is.

use super::client::{Account, Trouble, Wait};
use crate::store::StoreError;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection, ProjectionType,
    ProvisionedThroughput, ScalarAttributeType, TableDescription, TableStatus, TimeToLiveSpecification,
    TimeToLiveStatus,
};
use std::collections::BTreeSet;
use std::time::Duration;

/// The partition key of every item: an order's id, or a name with a `#` in it, which no order id has.
pub(super) const KEY: &str = "order_id";
/// When DynamoDB may forget an item, in epoch seconds.
pub(super) const EXPIRES: &str = "expires_at";
/// The sort key of all indexes but one: an order's `Place`.
pub(super) const PLACE: &str = "place";
/// The sort key of what is owed: the instant from which it may be tried.
pub(super) const DUE: &str = "due_at";

/// What the program's role must be allowed to serve orders from a table and its indexes.
///
/// A transaction needs no permission of its own: DynamoDB asks for those of the actions in it.
pub const ACTIONS_TO_SERVE: [&str; 9] = [
    "dynamodb:BatchGetItem",
    "dynamodb:BatchWriteItem",
    "dynamodb:ConditionCheckItem",
    "dynamodb:DeleteItem",
    "dynamodb:DescribeTable",
    "dynamodb:GetItem",
    "dynamodb:PutItem",
    "dynamodb:Query",
    "dynamodb:Scan",
];

/// What whoever makes the table must be allowed beside that; see [`create_table`].
pub const ACTIONS_TO_CREATE: [&str; 4] =
    ["dynamodb:CreateTable", "dynamodb:DescribeTable", "dynamodb:DescribeTimeToLive", "dynamodb:UpdateTimeToLive"];

/// How the table's reads and writes are paid for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Billing {
    /// By what is used.
    OnDemand,
    /// By what is kept ready, for the table and for each of its indexes.
    Provisioned {
        /// Read capacity units.
        read: u32,
        /// Write capacity units.
        write: u32,
    },
}

/// What became of a request for a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Created {
    /// It is there now.
    New,
    /// It was there before, and is as it should be.
    Already,
}

/// A list of items that are found by `partition` and sorted by `sort`. An item without that attribute is not in it.
pub(super) struct Index {
    pub(super) name: &'static str,
    pub(super) partition: &'static str,
    pub(super) sort: &'static str,
    /// What can be read in the index itself. For everything else its items are looked up in the table.
    pub(super) also: &'static [&'static str],
}

/// Everything of a shop, by kind; its orders with what statistics are made of.
pub(super) const BY_SHOP: Index =
    Index { name: "shop_index", partition: "by_shop", sort: PLACE, also: &["status", "total_cents", "customer_id"] };
/// Open orders, with what tells how long the queue is. Not told apart by status, so that an order that moves from one
/// to the next while they are listed is neither missed nor seen twice.
pub(super) const BY_OPEN: Index = Index {
    name: "open_index",
    partition: "by_open",
    sort: PLACE,
    also: &["active_drinks", "pickup_at", "estimated_ready_time"],
};
pub(super) const BY_STATUS: Index = plain("status_index", "by_status", PLACE);
pub(super) const BY_CUSTOMER: Index = plain("customer_id_index", "by_customer", PLACE);
pub(super) const BY_NAME: Index = plain("customer_name_index", "by_name", PLACE);
pub(super) const BY_PHONE: Index = plain("phone_index", "by_phone", PLACE);
/// Orders that owe a delivery.
pub(super) const BY_OWED: Index = plain("owed_index", "by_owed", DUE);
/// Orders with a delivery that was given up.
pub(super) const BY_UNDELIVERED: Index = plain("undelivered_index", "by_undelivered", PLACE);

pub(super) const INDEXES: [Index; 8] =
    [BY_SHOP, BY_OPEN, BY_STATUS, BY_CUSTOMER, BY_NAME, BY_PHONE, BY_OWED, BY_UNDELIVERED];

const fn plain(name: &'static str, partition: &'static str, sort: &'static str) -> Index {
    Index { name, partition, sort, also: &[] }
}

/// How often a table that is being made is looked at, and how often at most.
const LOOK_EVERY: Duration = Duration::from_secs(1);
const LOOKS: usize = 600;

/// Makes the table with all its indexes, waits until it can be used, and has it forget what has expired. A table that
/// is there already is only looked at.
///
/// Whoever calls it needs [`ACTIONS_TO_CREATE`].
///
/// # Errors
/// [`StoreError::Database`] with what AWS refused, or with what an existing table lacks.
pub async fn create_table(config: &crate::config::DynamodbConfig, billing: Billing) -> Result<Created, StoreError> {
    Account::connect(config).await?.create_table(billing).await
}

impl Account {
    pub(super) async fn create_table(&self, billing: Billing) -> Result<Created, StoreError> {
        const ACTION: &str = "make the DynamoDB table";
        let created = match self.describe().await {
            Ok(_) => Created::Already,
            Err(Trouble::NoTable) => {
                self.request_table(billing).await.map_err(|trouble| self.failed(ACTION, trouble))?;
                Created::New
            }
            Err(trouble) => return Err(self.failed(ACTION, trouble)),
        };
        self.wait_until_active().await.map_err(|trouble| self.failed(ACTION, trouble))?;
        self.enable_expiry().await.map_err(|trouble| self.failed(ACTION, trouble))?;
        Ok(created)
    }

    /// Whether the table is there and has all that is looked up in it.
    pub(super) async fn verify_table(&self) -> Result<(), Trouble> {
        let mut wait = Wait::new(self.patience.total);
        loop {
            match self.describe().await {
                Ok(table) => return check_shape(&table),
                Err(trouble) if trouble.may_pass() && wait.again().await => {}
                Err(trouble) => return Err(trouble),
            }
        }
    }

    async fn describe(&self) -> Result<TableDescription, Trouble> {
        let described = self.client.describe_table().table_name(&self.table).send().await;
        let described = described.map_err(|error| self.trouble(&error))?;
        described.table.ok_or_else(|| Trouble::Refused("an answer without a table".to_owned()))
    }

    async fn request_table(&self, billing: Billing) -> Result<(), Trouble> {
        let mut request = self
            .client
            .create_table()
            .table_name(&self.table)
            .key_schema(key(KEY, KeyType::Hash)?)
            .set_provisioned_throughput(throughput(billing)?)
            .billing_mode(match billing {
                Billing::OnDemand => BillingMode::PayPerRequest,
                Billing::Provisioned { .. } => BillingMode::Provisioned,
            });
        let partitions = INDEXES.iter().map(|index| index.partition);
        let names: BTreeSet<&str> = partitions.chain([KEY, PLACE, DUE]).collect();
        for name in names {
            let attribute =
                AttributeDefinition::builder().attribute_name(name).attribute_type(ScalarAttributeType::S).build();
            request = request.attribute_definitions(attribute.map_err(incomplete)?);
        }
        for index in &INDEXES {
            let projection = match index.also {
                [] => Projection::builder().projection_type(ProjectionType::KeysOnly),
                also => Projection::builder()
                    .projection_type(ProjectionType::Include)
                    .set_non_key_attributes(Some(also.iter().map(ToString::to_string).collect())),
            };
            let index = GlobalSecondaryIndex::builder()
                .index_name(index.name)
                .key_schema(key(index.partition, KeyType::Hash)?)
                .key_schema(key(index.sort, KeyType::Range)?)
                .projection(projection.build())
                .set_provisioned_throughput(throughput(billing)?)
                .build();
            request = request.global_secondary_indexes(index.map_err(incomplete)?);
        }
        match request.send().await {
            // Somebody else has made it a moment ago.
            Err(error) if error.as_service_error().is_some_and(|error| error.is_resource_in_use_exception()) => Ok(()),
            Err(error) => Err(self.trouble(&error)),
            Ok(_) => Ok(()),
        }
    }

    async fn wait_until_active(&self) -> Result<(), Trouble> {
        for _ in 0..LOOKS {
            let table = self.describe().await?;
            match table.table_status() {
                Some(TableStatus::Creating | TableStatus::Updating) => tokio::time::sleep(LOOK_EVERY).await,
                _ => return check_shape(&table),
            }
        }
        Err(Trouble::Silent)
    }

    async fn enable_expiry(&self) -> Result<(), Trouble> {
        let described = self.client.describe_time_to_live().table_name(&self.table).send().await;
        let described = described.map_err(|error| self.trouble(&error))?;
        let status = described.time_to_live_description.and_then(|expiry| expiry.time_to_live_status);
        if matches!(status, Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling)) {
            return Ok(());
        }
        let expiry = TimeToLiveSpecification::builder().enabled(true).attribute_name(EXPIRES).build();
        let request = self.client.update_time_to_live().table_name(&self.table);
        let enabled = request.time_to_live_specification(expiry.map_err(incomplete)?).send().await;
        enabled.map(|_| ()).map_err(|error| self.trouble(&error))
    }
}

fn check_shape(table: &TableDescription) -> Result<(), Trouble> {
    if let Some(TableStatus::Deleting | TableStatus::Creating) = table.table_status() {
        return Err(Trouble::NotReady);
    }
    if !has_key(table.key_schema(), KEY, None) {
        return Err(Trouble::WrongKey);
    }
    let lacks = |index: &&Index| {
        let found = table.global_secondary_indexes().iter().find(|found| found.index_name() == Some(index.name));
        !found.is_some_and(|found| has_key(found.key_schema(), index.partition, Some(index.sort)))
    };
    match INDEXES.iter().find(lacks) {
        Some(index) => Err(Trouble::NoIndex(index.name)),
        None => Ok(()),
    }
}

fn has_key(schema: &[KeySchemaElement], partition: &str, sort: Option<&str>) -> bool {
    let of = |wanted: KeyType| schema.iter().find(|part| *part.key_type() == wanted).map(|part| part.attribute_name());
    of(KeyType::Hash) == Some(partition) && of(KeyType::Range) == sort
}

fn key(name: &str, kind: KeyType) -> Result<KeySchemaElement, Trouble> {
    KeySchemaElement::builder().attribute_name(name).key_type(kind).build().map_err(incomplete)
}

fn throughput(billing: Billing) -> Result<Option<ProvisionedThroughput>, Trouble> {
    let Billing::Provisioned { read, write } = billing else { return Ok(None) };
    let throughput =
        ProvisionedThroughput::builder().read_capacity_units(read.into()).write_capacity_units(write.into()).build();
    throughput.map(Some).map_err(incomplete)
}

pub(super) fn incomplete(error: aws_sdk_dynamodb::error::BuildError) -> Trouble {
    Trouble::Refused(format!("an incomplete request: {error}"))
}
