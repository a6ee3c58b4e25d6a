//! What every store promises, as tests that each of them passes: [`passes_the_suite`] makes them from a [`Harness`].
//!
//! Knows no store. What only one of them can suffer, such as a full disk or a throttled table, is tested beside it.

mod changes;
mod facts;
mod inserts;
mod kept;
mod lists;
mod owed;
mod races;

pub(super) use changes::*;
pub(super) use facts::*;
pub(super) use inserts::*;
pub(super) use kept::*;
pub(super) use lists::*;
pub(super) use owed::*;
pub(super) use races::*;

use super::{
    Access, Amend, Announce, Answer, Ask, CommitError, Delivery, DeliveryKind, DeliveryState, Facts, Insert, Lane,
    Record, Remove, Store, StoreError, Update, unannounced,
};
use crate::ordering::order::{Choice, Item, OrderId, OrderNumber};
use crate::ordering::phone_number::PhoneNumber;
use crate::ordering::status::OrderStatus;
use async_trait::async_trait;
use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use std::sync::{Arc, LazyLock, Mutex};

/// The shop whose orders a [`Harness`] opens.
pub(super) const SHOP: &str = "main";

/// A place of its own where one test's orders are kept.
#[async_trait]
pub(super) trait Harness: Send + Sync {
    /// Opens the orders of [`SHOP`] in this place, `clear` as `CLEAR_ORDERS_ON_START`. Whoever opened it to write
    /// before has been dropped, or is expected to be in the way.
    async fn open(&self, access: Access, clear: bool) -> Result<Arc<dyn Store>, StoreError>;

    /// Puts thousands of orders there before it is opened. To be replaced where something is faster than that many
    /// imports.
    async fn fill(&self, records: Vec<Record>) {
        let store = self.open(Access::Write, false).await.expect("the store opens");
        let records = Arc::new(Mutex::new(records));
        at_once(64, |_| {
            let (store, records) = (Arc::clone(&store), Arc::clone(&records));
            async move {
                let next = || records.lock().unwrap().pop();
                while let Some(record) = next() {
                    store.import(&record).await.expect("an order is imported");
                }
            }
        })
        .await;
    }
}

/// One test for each promise, in the module where it stands. `$place` is an expression for a new [`Harness`]; it may
/// await.
macro_rules! passes_the_suite {
    ($place:expr) => {
        $crate::store::conformance::passes_the_suite! { $place =>
            ids_count_up_and_are_never_given_again,
            a_refused_order_costs_no_id_and_is_told_to_nobody,
            an_order_may_bring_its_own_id_once,
            the_counter_can_be_raised_and_never_falls,
            numbers_of_open_orders_differ_and_find_the_newest,
            numbers_rest_for_a_day_while_others_are_free,
            a_key_is_claimed_with_its_order_for_good,
            an_insert_goes_on_when_nobody_waits_for_it,
            what_a_check_is_told_of_a_phone,
            what_a_check_is_told_of_the_queue,
            what_a_check_is_told_of_the_same_drinks,
            what_an_amendment_is_told,
            a_change_is_seen_everywhere,
            a_refused_change_changes_nothing,
            a_change_takes_no_other_orders_key,
            a_removed_order_leaves_its_answers_and_its_number,
            announcements_come_once_a_commit_and_in_sequence,
            orders_inserted_at_once_share_nothing,
            one_key_from_many_at_once_is_one_order,
            one_fingerprint_from_many_at_once_is_one_order,
            writers_of_one_order_wait_for_each_other,
            a_phone_limit_holds_against_orders_made_and_amended_at_once,
            an_order_is_removed_once,
            lists_are_what_was_asked_for_newest_first,
            cursors_are_complete_while_orders_are_made,
            open_orders_come_oldest_first,
            statistics_count_every_order,
            deliveries_come_when_they_are_due,
            a_pile_in_one_lane_hides_nothing_in_another,
            deliveries_given_up_are_found,
            values_change_only_as_expected,
            one_of_many_sets_a_value,
            values_survive_and_are_told_apart,
            tombstones_can_be_replaced_and_forgotten,
            imported_orders_are_as_they_were,
            what_is_written_survives_reopening,
            clearing_takes_the_orders_and_nothing_else,
            whoever_looks_sees_everything_and_changes_nothing,
            a_second_server_is_refused_where_only_one_may_write,
        }
    };
    ($place:expr => $($promise:ident,)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                $crate::store::conformance::$promise(&$place).await;
            }
        )+
    };
}
pub(super) use passes_the_suite;

pub(super) async fn open(place: &dyn Harness) -> Arc<dyn Store> {
    place.open(Access::Write, false).await.expect("the store opens")
}

/// What a new start of the server finds.
pub(super) async fn reopen(place: &dyn Harness, store: Arc<dyn Store>) -> Arc<dyn Store> {
    drop(store);
    open(place).await
}

/// So many seconds after this process began. Near the present, because a store that lets things expire may have a clock
/// of its own.
pub(super) fn at(seconds: i64) -> Timestamp {
    static BEGAN: LazyLock<i64> = LazyLock::new(|| Timestamp::now().as_second());
    Timestamp::from_second(*BEGAN + seconds).expect("near the present")
}

pub(super) fn minutes(minutes: i64) -> i64 {
    60 * minutes
}

pub(super) fn hours(hours: i64) -> i64 {
    3600 * hours
}

pub(super) fn phone(last: u32) -> PhoneNumber {
    serde_json::from_value(json!(format!("+1555123{last:04}"))).expect("E.164")
}

pub(super) fn id(text: &str) -> OrderId {
    text.parse().expect("an order id")
}

pub(super) fn number(number: u32) -> OrderNumber {
    OrderNumber::new(number).expect("an order number")
}

/// An order to be made.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub(super) at: Timestamp,
    pub(super) id: Option<OrderId>,
    pub(super) key: Option<String>,
    pub(super) fingerprint: Option<String>,
    pub(super) phone: Option<PhoneNumber>,
    pub(super) name: Option<String>,
    pub(super) customer: Option<String>,
    pub(super) drinks: u32,
    pub(super) status: OrderStatus,
    pub(super) ready_at: Option<Timestamp>,
    pub(super) pickup_at: Option<Timestamp>,
    pub(super) deliveries: Vec<Delivery>,
}

impl Default for Draft {
    fn default() -> Self {
        Self {
            at: at(0),
            id: None,
            key: None,
            fingerprint: None,
            phone: None,
            name: None,
            customer: None,
            drinks: 1,
            status: OrderStatus::Received,
            ready_at: None,
            pickup_at: None,
            deliveries: Vec::new(),
        }
    }
}

impl Draft {
    pub(super) fn ask(&self) -> Ask {
        Ask {
            now: self.at,
            order_id: self.id.clone(),
            key: self.key.clone(),
            fingerprint: self.fingerprint.clone().map(|print| (print, self.at - SignedDuration::from_mins(5))),
            phone: self.phone.clone(),
            ahead_until: self.at + SignedDuration::from_mins(30),
            due: None,
        }
    }

    pub(super) fn record(&self, id: OrderId, number: OrderNumber) -> Record {
        let order = json!({
            "order_id": id, "order_number": number, "shop_id": SHOP, "channel": "api", "status": self.status,
            "version": 1, "name": self.name, "phone": self.phone, "customer_id": self.customer, "notes": null,
            "items": [taro(self.drinks)], "total": 5.5 * f64::from(self.drinks), "call_sid": null,
            "estimated_ready_time": self.ready_at, "pickup_at": self.pickup_at, "metadata": {},
            "created_at": self.at.as_second(), "timestamp": self.at, "updated_at": self.at,
            "history": [{"status": self.status, "at": self.at, "by": "api"}],
        });
        let mut record = Record::new(serde_json::from_value(order).expect("an order"));
        record.answers = self.key.iter().map(|key| answer(key, self.at)).collect();
        record.fingerprint = self.fingerprint.clone();
        record.deliveries = self.deliveries.clone();
        record
    }

    /// The same order in another store, to be imported.
    pub(super) fn elsewhere(&self, id: &str, number: u32) -> Record {
        self.record(self::id(id), self::number(number))
    }

    pub(super) fn checked(self, check: impl Fn(&Facts) -> bool + Send + Sync + 'static) -> Insert {
        Insert {
            ask: self.ask(),
            check: Box::new(check),
            build: Box::new(move |_, id, number| self.record(id, number)),
            announce: unannounced(),
        }
    }

    pub(super) async fn insert(self, store: &Arc<dyn Store>) -> Arc<Record> {
        store.insert(self.checked(|_| true)).await.expect("an order is inserted")
    }
}

pub(super) fn taro(quantity: u32) -> Item {
    Item {
        fields: vec![("flavor".into(), Choice::One("taro milk tea".into()))],
        quantity,
        price: crate::ordering::money::Money::from_cents(550),
        note: None,
    }
}

pub(super) fn answer(key: &str, at: Timestamp) -> Answer {
    Answer { key: key.to_owned(), request: String::new(), at, reply: None }
}

/// A text owed at `owed_at`, to be sent at once.
pub(super) fn text(id: u32, to: &PhoneNumber, owed_at: Timestamp) -> Delivery {
    Delivery {
        id,
        kind: DeliveryKind::TextReceived,
        to: Some(to.clone()),
        body: "Thank you!".into(),
        state: DeliveryState::Owed,
        owed_at,
        not_before: owed_at,
        claimed_until: None,
        attempts: 0,
        refusals: 0,
        certain: 0,
        tries: Vec::new(),
        reason: None,
        provider_id: None,
        carrier_status: None,
        correlation_id: None,
    }
}

/// What a check of this question would be told; nothing is inserted.
pub(super) async fn facts(store: &Arc<dyn Store>, ask: Ask) -> Facts {
    let told = Arc::new(Mutex::new(None));
    let keep = Arc::clone(&told);
    let refused = store
        .insert(Insert {
            ask,
            check: Box::new(move |facts| {
                *keep.lock().unwrap() = Some(facts.clone());
                false
            }),
            build: Box::new(|_, _, _| unreachable!("it was refused")),
            announce: Box::new(|_| unreachable!("it was refused")),
        })
        .await;
    assert!(matches!(refused, Err(CommitError::Refused)), "{refused:?}");
    let told = told.lock().unwrap().take();
    told.expect("the check was asked")
}

pub(super) fn change(
    id: &OrderId,
    amend: impl Fn(&Record, &Facts) -> Option<Record> + Send + Sync + 'static,
) -> Update {
    let amend: Amend = Box::new(amend);
    Update { id: id.clone(), now: at(0), ahead_until: at(minutes(30)), amend, announce: unannounced() }
}

/// Changes an order whatever the facts are.
pub(super) async fn edit(
    store: &Arc<dyn Store>,
    id: &OrderId,
    edit: impl Fn(&mut Record) + Send + Sync + 'static,
) -> Arc<Record> {
    let amend = move |record: &Record, _: &Facts| {
        let mut changed = record.clone();
        edit(&mut changed);
        changed.order.version += 1;
        Some(changed)
    };
    store.update(change(id, amend)).await.expect("an order is changed")
}

pub(super) async fn set_status(store: &Arc<dyn Store>, id: &OrderId, status: OrderStatus) -> Arc<Record> {
    edit(store, id, move |record| record.order.status = status).await
}

pub(super) async fn remove(store: &Arc<dyn Store>, id: &OrderId, now: Timestamp) -> Result<Arc<Record>, CommitError> {
    store.remove(Remove { id: id.clone(), now, check: Box::new(|_| true), announce: unannounced() }).await
}

/// Runs as many at the same time as the machine allows.
pub(super) async fn at_once<T, F>(count: usize, mut each: impl FnMut(usize) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let tasks: Vec<_> = (0..count).map(|index| tokio::spawn(each(index))).collect();
    join_all(tasks).await.into_iter().map(|done| done.expect("a task ends")).collect()
}

pub(super) fn ids(records: &[Arc<Record>]) -> Vec<&str> {
    records.iter().map(|record| record.order.order_id.as_str()).collect()
}

/// Writes down what is told: when it was prepared and when it was said.
#[derive(Clone, Default)]
pub(super) struct Told(Arc<Mutex<Vec<(OrderId, u64)>>>);

impl Told {
    pub(super) fn announce(&self) -> Announce {
        let told = self.clone();
        Box::new(move |record| {
            let what = (record.order.order_id.clone(), record.revision);
            Box::new(move || told.0.lock().unwrap().push(what))
        })
    }

    pub(super) fn all(&self) -> Vec<(OrderId, u64)> {
        self.0.lock().unwrap().clone()
    }
}
