//! A database that throttles, breaks, keeps silent, is away, or does not know us: clear errors, nothing lost, nothing
//! twice, and no restart to get over it.

use super::super::client::Patience;
use super::emulator::{Fault, Proxy};
use super::{Table, account, count};
use crate::config::{DynamodbConfig, OrdersConfig};
use crate::store::conformance::{Draft, Harness as _, SHOP, at_once, id};
use crate::store::dynamodb::DynamodbStore;
use crate::store::{Access, CommitError, Query, Store, StoreError};
use aws_sdk_dynamodb::types::{AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType};
use std::collections::BTreeSet;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(2);

async fn behind_a_proxy() -> (Table, Proxy, Arc<dyn Store>) {
    let (table, proxy) = (Table::new().await, Proxy::start().await);
    let store = table.behind(&proxy, PATIENCE).await;
    (table, proxy, Arc::new(store))
}

#[tokio::test]
async fn what_is_throttled_is_asked_again() {
    let (_table, proxy, store) = behind_a_proxy().await;
    proxy.next("TransactWriteItems", [Fault::Throttle, Fault::Fail, Fault::Throttle]);
    let order = Draft { key: Some("api:1".into()), ..Draft::default() }.insert(&store).await;
    assert_eq!((proxy.struck(), order.order.order_id.as_str()), (3, "ORD-main-1"));
    proxy.next("Query", [Fault::Throttle, Fault::Fail]);
    assert_eq!((count(&store).await, proxy.struck()), (1, 2));
}

#[tokio::test]
async fn what_a_batch_leaves_out_is_asked_for_again() {
    let (table, proxy, store) = behind_a_proxy().await;
    for _ in 0..3 {
        Draft::default().insert(&store).await;
    }
    proxy.next("BatchGetItem", [Fault::LeaveUnprocessed, Fault::LeaveUnprocessed]);
    assert_eq!((count(&store).await, proxy.struck()), (3, 2));

    proxy.next("BatchWriteItem", [Fault::LeaveUnprocessed, Fault::LeaveUnprocessed]);
    let account = account(proxy.endpoint(), &table.0.table, Patience::default());
    let store: Arc<dyn Store> =
        Arc::new(DynamodbStore::over(account, SHOP, Access::Write, true).await.expect("the store opens"));
    assert_eq!((count(&store).await, proxy.struck()), (0, 2));
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_made_once() {
    let (_table, proxy, store) = behind_a_proxy().await;
    proxy.next("TransactWriteItems", [Fault::SwallowAnswer]);
    let order = Draft { key: Some("api:1".into()), ..Draft::default() }.insert(&store).await;
    assert_eq!((proxy.struck(), order.order.order_id.as_str()), (1, "ORD-main-1"));
    assert_eq!((count(&store).await, store.counter().await.expect("a count")), (1, 1));

    proxy.next("TransactWriteItems", [Fault::Cut, Fault::Cut, Fault::Cut]);
    let revision = store.set_state("shop", "paused", &serde_json::json!(true), 0).await;
    assert_eq!((proxy.struck(), revision.expect("a state")), (3, 1));
}

#[tokio::test]
async fn a_commit_that_was_made_and_never_answered_is_found() {
    let (_table, proxy, store) = behind_a_proxy().await;
    proxy.always("TransactWriteItems", Fault::SwallowAnswer);
    let order = Draft::default().insert(&store).await;
    proxy.heal();
    assert_eq!(store.by_id(&order.order.order_id).await.expect("a look").as_deref(), Some(&*order));
    assert_eq!(count(&store).await, 1);
}

/// The counter and the number's document are written over by whoever comes next; the order is not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_was_never_answered_is_found_although_others_followed() {
    let (table, proxy, store) = behind_a_proxy().await;
    let other = table.open(Access::Write, false).await.expect("the store opens");
    proxy.always("TransactWriteItems", Fault::SwallowAnswer);
    let unanswered = tokio::spawn(async move { Draft::default().insert(&store).await });
    while other.by_id(&id("ORD-main-1")).await.expect("a look").is_none() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let next = Draft::default().insert(&other).await;
    let order = unanswered.await.expect("it was committed, and that is found");
    assert_eq!((order.order.order_id.as_str(), next.order.order_id.as_str()), ("ORD-main-1", "ORD-main-2"));
}

#[tokio::test]
async fn a_silent_database_is_given_up_in_time_and_nothing_is_lost() {
    let (_table, proxy, store) = behind_a_proxy().await;
    proxy.always("TransactWriteItems", Fault::Hang);
    let began = Instant::now();
    let lost = at_once(5, |_| {
        let store = Arc::clone(&store);
        async move { sentence(store.insert(Draft::default().checked(|_| true)).await) }
    })
    .await;
    // Those behind the first do not each wait as long once more.
    assert!(began.elapsed() < PATIENCE * 4, "{:?}", began.elapsed());
    let kinds: BTreeSet<String> = lost.into_iter().collect();
    insta::assert_debug_snapshot!(kinds, @r#"
    {
        "DynamoDB stopped answering while asked to save an order (DYNAMODB_TABLE=orders); it is not known whether it was saved: repeat it with the same key, or look first",
        "cannot save an order (DYNAMODB_TABLE=orders): DynamoDB is slow, and other orders have waited for it longer",
    }
    "#);
    proxy.heal();
    let order = Draft::default().insert(&store).await;
    assert_eq!((order.order.order_id.as_str(), count(&store).await), ("ORD-main-1", 1));
}

#[tokio::test]
async fn a_database_that_is_away_is_told_and_waited_for() {
    let (table, proxy) = (Table::new().await, Proxy::start().await);
    let store: Arc<dyn Store> = Arc::new(table.behind(&proxy, PATIENCE).await);
    let proxy = proxy.stop().await;
    insta::assert_snapshot!(masked(&store.check().await.expect_err("it is away")), @"cannot reach the DynamoDB table (DYNAMODB_TABLE=orders): DynamoDB cannot be reached");
    let lost = store.insert(Draft::default().checked(|_| true)).await;
    insta::assert_snapshot!(sentence(lost), @"cannot read orders (DYNAMODB_TABLE=orders): DynamoDB cannot be reached");
    let _proxy = proxy.start_again().await;
    store.check().await.expect("it is there again");
    let order = Draft::default().insert(&store).await;
    assert_eq!((order.order.order_id.as_str(), count(&store).await), ("ORD-main-1", 1));
}

#[tokio::test]
async fn refusals_are_told_without_the_words_of_aws() {
    let (_table, proxy, store) = behind_a_proxy().await;
    let mut told = Vec::new();
    for fault in [Fault::Throttle, Fault::Fail, Fault::RejectCredentials, Fault::Deny] {
        proxy.always("BatchGetItem", fault);
        let lost = store.insert(Draft::default().checked(|_| true)).await;
        told.push(sentence(lost));
        let list = store.list(&Query { limit: 5, ..Query::default() }).await;
        assert!(list.is_ok_and(|page| page.records.is_empty()), "nothing is listed, so nothing is read");
    }
    assert!(told.iter().all(|sentence| !sentence.contains("arn:")), "{told:?}");
    insta::assert_debug_snapshot!(told, @r#"
    [
        "cannot read orders (DYNAMODB_TABLE=orders): DynamoDB is asked more than the table's capacity allows",
        "cannot read orders (DYNAMODB_TABLE=orders): DynamoDB has a fault of its own",
        "cannot read orders (DYNAMODB_TABLE=orders): AWS does not accept the credentials; check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        "cannot read orders (DYNAMODB_TABLE=orders): the AWS credentials do not allow it; the program needs dynamodb:BatchGetItem, dynamodb:BatchWriteItem, dynamodb:ConditionCheckItem, dynamodb:DeleteItem, dynamodb:DescribeTable, dynamodb:GetItem, dynamodb:PutItem, dynamodb:Query, dynamodb:Scan",
    ]
    "#);
}

#[tokio::test]
async fn an_order_larger_than_an_item_is_refused() {
    let table = Table::new().await;
    let store = table.open(Access::Write, false).await.expect("the store opens");
    let draft = Draft { name: Some("ü".repeat(205_000)), ..Draft::default() };
    let refused = store.insert(draft.checked(|_| true)).await;
    insta::assert_snapshot!(sentence(refused), @"cannot save an order (DYNAMODB_TABLE=orders): an order takes 410867 bytes, and an item of DynamoDB holds 409600");
    assert_eq!((count(&store).await, store.counter().await.expect("a count")), (0, 0));
    let mut record = Draft::default().elsewhere("large", 1234);
    record.answers =
        (0..120).map(|k| crate::store::conformance::answer(&format!("api:{k}"), record.order.created_at)).collect();
    let refused = store.import(&record).await.expect_err("it has too many keys");
    insta::assert_snapshot!(masked(&refused), @"cannot take over an order (DYNAMODB_TABLE=orders): it touches 122 items, and DynamoDB changes at most 100 together");
}

#[tokio::test]
async fn a_table_that_is_missing_or_another_is_named() {
    let missing = Table::missing();
    let refused = missing.open(Access::Write, false).await.err().expect("there is no table");
    insta::assert_snapshot!(masked(&refused), @"cannot open the DynamoDB table (DYNAMODB_TABLE=orders): there is no such table; make it with `bobarista orders create-table`");

    let create = |key: &'static str| {
        let table = Table::missing();
        async move {
            let attribute = AttributeDefinition::builder().attribute_name(key).attribute_type(ScalarAttributeType::S);
            let schema = KeySchemaElement::builder().attribute_name(key).key_type(KeyType::Hash);
            let request =
                table.0.client.create_table().table_name(&table.0.table).billing_mode(BillingMode::PayPerRequest);
            let request = request.attribute_definitions(attribute.build().expect("an attribute"));
            request.key_schema(schema.build().expect("a key")).send().await.expect("a table");
            table
        }
    };
    let refused = create("id").await.open(Access::Read, false).await.err().expect("another table");
    insta::assert_snapshot!(masked(&refused), @"cannot open the DynamoDB table (DYNAMODB_TABLE=orders): the table was made for something else: its key is not order_id; name another one");
    let refused = create("order_id").await.open(Access::Read, false).await.err().expect("a table without indexes");
    insta::assert_snapshot!(masked(&refused), @"cannot open the DynamoDB table (DYNAMODB_TABLE=orders): the table has no index shop_index as this program needs it; `bobarista orders create-table` makes a new table");
}

/// Asked for by the tests below, in a process of its own with an environment of its own.
#[tokio::test]
#[ignore = "run by its siblings with an environment of its own"]
async fn opens_from_the_environment() {
    let dynamodb = DynamodbConfig {
        table: std::env::var("DYNAMODB_TABLE").expect("a table"),
        region: std::env::var("AWS_REGION").ok(),
        endpoint: std::env::var("AWS_ENDPOINT_URL").ok(),
    };
    let config = OrdersConfig { dynamodb, ..OrdersConfig::json("unused") };
    match DynamodbStore::open(&config, SHOP, Access::Write).await {
        Ok(store) => println!("told: {:?}", store.check().await),
        Err(refused) => println!("told: {refused}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_without_region_or_credentials_names_the_setting() {
    let table = Table::new().await;
    let name = ("DYNAMODB_TABLE", table.0.table.as_str());
    let endpoint = ("AWS_ENDPOINT_URL", super::emulator::endpoint());
    let credentials = [("AWS_ACCESS_KEY_ID", "an-id"), ("AWS_SECRET_ACCESS_KEY", "a-secret")];
    insta::assert_snapshot!(told(&[name]), @"cannot open the DynamoDB table (DYNAMODB_TABLE=orders): there is no AWS region; set AWS_REGION, such as us-east-1");
    insta::assert_snapshot!(told(&[name, ("AWS_REGION", "eu-central-1")]), @"cannot open the DynamoDB table (DYNAMODB_TABLE=orders): there are no AWS credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the machine a role");
    insta::assert_snapshot!(told(&[name, endpoint]), @"cannot open the DynamoDB table (DYNAMODB_TABLE=orders): there are no AWS credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the machine a role");
    assert_eq!(told(&[name, endpoint, credentials[0], credentials[1]]), "Ok(())");
}

/// What [`opens_from_the_environment`] tells in this environment.
fn told(environment: &[(&str, &str)]) -> String {
    let this = std::env::current_exe().expect("this program");
    let test = format!("{}::opens_from_the_environment", module_path!().split_once("::").expect("a crate").1);
    let output = Command::new(this)
        .args([test.as_str(), "--exact", "--ignored", "--nocapture"])
        .env_clear()
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("HOME", "/nonexistent")
        .envs(environment.iter().copied())
        .output()
        .expect("the test runs");
    let output = String::from_utf8_lossy(&output.stdout).into_owned();
    let told = output.lines().find_map(|line| line.split_once("told: ")).map(|(_, told)| told.to_owned());
    mask(&told.unwrap_or(output))
}

fn sentence<T>(lost: Result<T, CommitError>) -> String {
    match lost {
        Err(CommitError::Store(error)) => masked(&error),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was committed"),
    }
}

fn masked(error: &StoreError) -> String {
    mask(&error.to_string())
}

/// Tables of tests are numbered.
fn mask(sentence: &str) -> String {
    sentence
        .split_inclusive(')')
        .map(|part| match part.split_once("=orders-") {
            Some((before, _)) => format!("{before}=orders)"),
            None => part.to_owned(),
        })
        .collect()
}
