mod audit;
mod changes;
mod marks;
mod people;
mod refusals;
mod tickets;

use super::*;
use crate::config::OrdersConfig;
use crate::events::{Audience, Delivery as EventDelivery};
use crate::ordering::menu::{Asked, Menu, Said};
use crate::ordering::phone_number::Region;
use crate::store::{self, Access};
use std::sync::atomic::{AtomicI64, Ordering};

/// A service over a real folder, with a clock that a test sets.
pub(crate) struct Shop {
    pub(crate) orders: OrderService,
    pub(super) events: EventLog,
    seconds: Arc<AtomicI64>,
    dir: tempfile::TempDir,
}

impl Shop {
    async fn open() -> Self {
        Self::open_in(tempfile::tempdir().expect("a temporary folder"), true).await
    }

    async fn open_in(dir: tempfile::TempDir, texts: bool) -> Self {
        Self::open_with(dir, texts, Menu::builtin("boba").expect("built in")).await
    }

    /// A shop that owes everything: texts, rows and notices.
    pub(crate) async fn open_with_all() -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        Self::open_owing(dir, true, true, Menu::builtin("boba").expect("built in")).await
    }

    /// A shop whose orders have to pass a point of sale, and that owes texts besides.
    pub(crate) async fn open_through_pos() -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        Self::open_through(dir, true, false, Menu::builtin("boba").expect("built in"), true).await
    }

    async fn open_with(dir: tempfile::TempDir, texts: bool, menu: Menu) -> Self {
        Self::open_owing(dir, texts, false, menu).await
    }

    async fn open_owing(dir: tempfile::TempDir, texts: bool, all: bool, menu: Menu) -> Self {
        Self::open_through(dir, texts, all, menu, false).await
    }

    async fn open_through(dir: tempfile::TempDir, texts: bool, all: bool, menu: Menu, through_pos: bool) -> Self {
        let seconds = Arc::new(AtomicI64::new(1_704_067_200));
        let shown = Arc::clone(&seconds);
        let clock = Clock::new(move || Timestamp::from_second(shown.load(Ordering::Relaxed)).expect("a valid instant"));
        let events = EventLog::new(clock.now());
        let rules = Rules {
            shop_id: "main".to_owned(),
            drinks_per_order: 10,
            active_drinks_per_phone: Some(20),
            ready_for: SignedDuration::from_hours(12),
            demo: false,
            through_pos,
        };
        let texts = TextPolicy { enabled: texts, countries: vec![Region::US], shop_name: "Boba".to_owned() };
        let store = store::open(&OrdersConfig::json(dir.path()), "main", Access::Write).await.expect("a fresh folder");
        let owes = Owes { texts, sheet: all, webhook: all };
        let shop = crate::shop::Shop::new(Arc::new(menu), true, events.clone());
        let orders = OrderService::new(store, events.clone(), shop, rules, owes, clock, TaskTracker::new());
        Self { orders, events, seconds, dir }
    }

    pub(crate) async fn place(&self, new: NewOrder) -> Order {
        placed(self.orders.create(new).await)
    }

    pub(crate) async fn set(&self, order: &Order, to: OrderStatus) -> Result<Order, OrderError> {
        self.orders.change_status(&order.order_id, to, None, None, origin("staff")).await
    }

    fn minutes_to_make(&self) -> u32 {
        self.orders.0.shop.ready_in_minutes(0, 1).expect("the menu says how long a drink takes")
    }

    /// How many texts may be tried now, and when the next after them.
    async fn due(&self) -> (usize, Option<Timestamp>) {
        let owed = self.orders.0.store.owed(Lane::Texts, self.orders.now(), 10).await.expect("readable");
        (owed.due.len(), owed.next)
    }

    /// Takes on what is due in a lane, as many as `most`.
    pub(crate) async fn claim(&self, lane: Lane, most: usize) -> Vec<Claimed> {
        let mut claimed = Vec::new();
        for (order, delivery) in self.orders.owed(lane, most).await.expect("readable").due {
            claimed.extend(self.orders.claim(&order, delivery.id).await.expect("saved"));
        }
        claimed
    }

    /// Tells what became of the attempt that is under way.
    pub(super) async fn tell(&self, order: &Order, id: u32, attempt: Attempt) {
        let claim =
            self.stored(order).deliveries.into_iter().find(|delivery| delivery.id == id).expect("owed").claimed_until;
        self.orders.record_attempt(&order.order_id, id, claim, attempt).await.expect("recorded");
    }

    pub(crate) fn pass(&self, seconds: i64) {
        self.seconds.fetch_add(seconds, Ordering::Relaxed);
    }

    /// What is on disk, told from the order's file alone.
    pub(crate) fn stored(&self, order: &Order) -> Record {
        let path = self.orders.place_of(&order.order_id).expect("a file");
        serde_json::from_slice(&std::fs::read(path).expect("readable")).expect("a record")
    }

    fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.dir.path()).expect("readable");
        let names = entries.map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned());
        let mut names: Vec<_> = names.filter(|name| name.starts_with("order_")).collect();
        names.sort();
        names
    }
}

pub(crate) fn taro(quantity: u32) -> Item {
    let fields = vec![("flavor".to_owned(), Said::One("taro".to_owned()))];
    let asked = Asked { fields, quantity: Some(quantity), note: None };
    Menu::builtin("boba").expect("built in").item(&asked).expect("on the menu")
}

pub(crate) fn phone(text: &str) -> PhoneNumber {
    PhoneNumber::parse(text, Region::US).expect("a phone number")
}

pub(crate) fn new(items: Vec<Item>) -> NewOrder {
    NewOrder {
        phone: Some(phone("555-123-4567")),
        call_sid: Some("CA1".to_owned()),
        ..NewOrder::new(Channel::Phone, items, origin("phone"))
    }
}

fn placed(created: Result<Created, OrderError>) -> Order {
    created.expect("an order").into_order().expect("not deleted")
}

fn key_of(key: &str) -> Idempotency {
    Idempotency { key: key.to_owned(), request: String::new(), reply: None }
}

pub(crate) fn origin(by: &'static str) -> Origin {
    Origin { by, correlation_id: Some("req_1".to_owned()) }
}

#[tokio::test]
async fn an_order_is_on_disk_before_it_is_told_and_announced_after() {
    let shop = Shop::open().await;
    let mut feed = shop.events.subscribe(Audience::Staff, None);
    let order = shop.place(new(vec![taro(2)])).await;
    assert_eq!(order.order_id.as_str(), "ORD-main-1");
    assert_eq!((order.total.cents(), order.version, order.status), (1100, 1, OrderStatus::Received));
    assert_eq!(order.customer_id.as_deref(), Some("+15551234567"));
    assert_eq!(shop.files(), ["order_20240101T000000.json"]);
    assert_eq!(shop.stored(&order).order, order);
    let EventDelivery::Event(_, json) = feed.next().await else { panic!("an event was expected") };
    let event: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((&event["type"], &event["order"]["order_id"]), (&"order_created".into(), &"ORD-main-1".into()));
}

#[tokio::test]
async fn many_at_once_get_ids_numbers_and_files_of_their_own() {
    let shop = Shop::open().await;
    let all = (0..64).map(|n| {
        let orders = shop.orders.clone();
        let order = NewOrder { phone: None, customer_id: Some(n.to_string()), ..new(vec![taro(1)]) };
        async move { orders.create(order).await.expect("an order").into_order().expect("an order") }
    });
    let made = futures_util::future::join_all(all).await;
    let distinct = |key: fn(&Order) -> String| made.iter().map(key).collect::<std::collections::HashSet<_>>().len();
    assert_eq!(distinct(|order| order.order_id.to_string()), 64);
    assert_eq!(distinct(|order| order.order_number.to_string()), 64);
    assert_eq!(shop.files().len(), 64);
    assert!(shop.files().contains(&"order_20240101T000000_64.json".to_owned()));
}

#[tokio::test]
async fn orders_and_the_count_survive_a_restart() {
    let shop = Shop::open().await;
    let first = shop.place(new(vec![taro(1)])).await;
    let Shop { orders, dir, .. } = shop;
    drop(orders);
    let shop = Shop::open_in(dir, true).await;
    assert_eq!(shop.orders.by_number(first.order_number).await.expect("readable"), Some(first.clone()));
    std::fs::remove_file(shop.orders.place_of(&first.order_id).expect("a file")).expect("removable");
    let Shop { orders, dir, .. } = shop;
    drop(orders);
    let shop = Shop::open_in(dir, true).await;
    let second = shop.place(new(vec![taro(1)])).await;
    assert_eq!(second.order_id.as_str(), "ORD-main-2", "an id is never given again");
}

#[tokio::test]
async fn a_second_server_on_the_same_folder_is_refused() {
    let shop = Shop::open().await;
    let refused = store::open(&OrdersConfig::json(shop.dir.path()), "main", Access::Write).await;
    let refused = refused.err().expect("in use");
    assert!(matches!(refused, StoreError::InUse(..)));
    assert!(refused.to_string().contains("ORDERS_DIR"), "{refused}");
}

#[tokio::test]
async fn an_unreadable_file_is_set_aside_and_blocks_nobody() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    for (name, text) in
        [("order_1.json", "{"), ("order_2.json", "{}"), ("order_3.json", ""), ("test_order_1.json", "{")]
    {
        std::fs::write(dir.path().join(name), text).expect("writable");
    }
    let shop = Shop::open_in(dir, true).await;
    let order = shop.place(new(vec![taro(1)])).await;
    assert_eq!(shop.orders.recent(10).await.expect("readable").len(), 1);
    assert!(order.order_id.number_at("main").is_some_and(|n| n >= 1));
    let corrupt = shop.files().iter().filter(|name| name.ends_with(".corrupt")).count();
    assert_eq!(corrupt, 3);
    assert!(shop.dir.path().join("test_order_1.json").exists(), "a test order is nobody's business");
}

#[tokio::test]
async fn a_failing_disk_takes_no_order_announces_none_and_recovers() {
    let shop = Shop::open().await;
    let mut feed = shop.events.subscribe(Audience::Staff, None);
    let away = shop.dir.path().with_extension("away");
    std::fs::rename(shop.dir.path(), &away).expect("movable");
    let failed = shop.orders.create(new(vec![taro(1)])).await;
    assert!(matches!(failed, Err(OrderError::NotSaved(_))), "{failed:?}");
    assert!(shop.orders.recent(10).await.expect("readable").is_empty());
    std::fs::rename(&away, shop.dir.path()).expect("movable");
    let order = shop.place(new(vec![taro(1)])).await;
    let EventDelivery::Event(_, json) = feed.next().await else { panic!("an event was expected") };
    assert!(json.contains(order.order_id.as_str()), "the first event is of the order that was saved");
}

#[tokio::test]
async fn the_same_request_is_the_same_order() {
    let shop = Shop::open().await;
    let request = NewOrder { idempotency: Some(key_of("CA1:1")), ..new(vec![taro(1)]) };
    let first = shop.place(request.clone()).await;
    assert_eq!(shop.place(request.clone()).await, first);
    let Shop { orders, dir, .. } = shop;
    drop(orders);
    let shop = Shop::open_in(dir, true).await;
    assert_eq!(shop.place(request).await, first, "the same after a restart");
    assert_eq!(shop.files().len(), 1);
}

#[tokio::test]
async fn the_same_request_from_many_at_once_is_one_order() {
    let shop = Shop::open().await;
    let request = NewOrder { idempotency: Some(key_of("CA1:1")), ..new(vec![taro(1)]) };
    let all = (0..32).map(|_| {
        let (orders, request) = (shop.orders.clone(), request.clone());
        async move { orders.create(request).await }
    });
    for result in futures_util::future::join_all(all).await {
        assert!(matches!(result, Ok(_) | Err(OrderError::InProgress)), "{result:?}");
    }
    assert_eq!(shop.files().len(), 1);
}

#[tokio::test]
async fn the_same_drinks_from_the_same_phone_on_another_call_are_one_slip() {
    let shop = Shop::open().await;
    let first = shop.place(new(vec![taro(1)])).await;
    let second_round = new(vec![taro(1)]);
    shop.orders.create(second_round).await.expect("a second round on the same call is no slip");
    let redialled = || NewOrder { call_sid: Some("CA2".to_owned()), ..new(vec![taro(1)]) };
    match shop.orders.create(redialled()).await {
        Err(OrderError::Duplicate { existing }) => assert_eq!(existing.call_sid, first.call_sid),
        other => panic!("{other:?}"),
    }
    let wanted = NewOrder { allow_duplicate: true, ..redialled() };
    shop.orders.create(wanted).await.expect("asked for");
    let other_drinks = NewOrder { items: vec![taro(2)], ..redialled() };
    shop.orders.create(other_drinks).await.expect("other drinks");
    shop.pass(300);
    let later = NewOrder { call_sid: Some("CA3".to_owned()), ..new(vec![taro(1)]) };
    shop.orders.create(later).await.expect("five minutes later");
}

#[tokio::test]
async fn a_cancelled_order_is_no_reason_to_refuse_the_same_again() {
    let shop = Shop::open().await;
    let first = shop.place(new(vec![taro(1)])).await;
    shop.set(&first, OrderStatus::Cancelled).await.expect("cancelled");
    let again = NewOrder { call_sid: Some("CA2".to_owned()), ..new(vec![taro(1)]) };
    shop.place(again).await;
}

#[tokio::test]
async fn limits_hold_for_an_order_and_for_a_phone() {
    let shop = Shop::open().await;
    assert!(matches!(shop.orders.create(new(vec![])).await, Err(OrderError::Empty)));
    let eleven = shop.orders.create(new(vec![taro(6), taro(5)])).await;
    assert!(matches!(eleven, Err(OrderError::Limit { limit: 10, per_phone: false })), "{eleven:?}");
    let full = || NewOrder { allow_duplicate: true, ..new(vec![taro(10)]) };
    let first = shop.place(full()).await;
    shop.orders.create(full()).await.expect("twenty");
    let one_more = shop.orders.create(new(vec![taro(1)])).await;
    assert!(matches!(one_more, Err(OrderError::Limit { limit: 20, per_phone: true })), "{one_more:?}");
    let other = NewOrder { phone: Some(phone("555-123-9999")), ..new(vec![taro(1)]) };
    shop.orders.create(other).await.expect("another phone");
    shop.orders.done(first.order_number, origin("staff")).await.expect("made");
    shop.orders.create(new(vec![taro(1)])).await.expect("room again");
}

#[tokio::test]
async fn new_drinks_amend_an_order_until_it_is_being_made() {
    let shop = Shop::open().await;
    let order = shop.place(new(vec![taro(1)])).await;
    let more = |key: &str| {
        let (orders, id, key) = (shop.orders.clone(), order.order_id.clone(), key_of(key));
        async move { orders.append(&id, NewOrder { idempotency: Some(key), ..new(vec![taro(2)]) }).await }
    };
    let amended = more("CA1:2").await.expect("amended");
    assert_eq!((amended.version, amended.items.len(), amended.total.cents()), (2, 2, 1650));
    assert_eq!((amended.order_id.clone(), amended.order_number), (order.order_id.clone(), order.order_number));
    assert_eq!(more("CA1:2").await.expect("the same request"), amended);
    assert_eq!(shop.stored(&order).order, amended);
    shop.set(&order, OrderStatus::Preparing).await.expect("started");
    assert!(matches!(more("CA1:3").await, Err(OrderError::TooLate(OrderStatus::Preparing))));
}

#[tokio::test]
async fn done_is_ready_once_and_owes_one_text_that_waits() {
    let shop = Shop::open().await;
    let order = shop.place(new(vec![taro(1)])).await;
    for _ in 0..2 {
        let done = shop.orders.done(order.order_number, origin("staff")).await.expect("done");
        assert_eq!((done.status, done.version), (OrderStatus::Ready, 2));
    }
    let record = shop.stored(&order);
    let kinds: Vec<_> = record.deliveries.iter().map(|delivery| delivery.kind).collect();
    assert_eq!(kinds, [DeliveryKind::TextReceived, DeliveryKind::TextReady]);
    assert_eq!(shop.due().await.0, 1, "the text of a staff tap waits");
    shop.pass(4);
    assert_eq!(shop.due().await.0, 1, "as long as it can be taken back");
    shop.pass(1);
    assert_eq!(shop.due().await.0, 2);
}

#[tokio::test]
async fn a_move_that_the_table_does_not_have_changes_nothing() {
    let shop = Shop::open().await;
    let order = shop.place(new(vec![taro(1)])).await;
    let refused = shop.set(&order, OrderStatus::Completed).await;
    assert!(matches!(refused, Err(OrderError::InvalidState { .. })), "{refused:?}");
    assert_eq!(shop.stored(&order).order, order);
    let nobody: OrderId = "ORD-main-99".parse().expect("an id");
    let missing = shop.orders.change_status(&nobody, OrderStatus::Ready, None, None, origin("staff")).await;
    assert!(matches!(missing, Err(OrderError::NotFound)));
}

#[tokio::test]
async fn a_text_is_owed_where_it_may_be_sent_and_skipped_elsewhere() {
    let states = |record: &Record| record.deliveries.iter().map(|delivery| delivery.state).collect::<Vec<_>>();
    let shop = Shop::open().await;
    let here = shop.place(new(vec![taro(1)])).await;
    assert_eq!(states(&shop.stored(&here)), [DeliveryState::Owed]);
    let abroad = NewOrder { phone: Some(phone("+44 20 7946 0958")), ..new(vec![taro(1)]) };
    let abroad = shop.place(abroad).await;
    assert_eq!(states(&shop.stored(&abroad)), [DeliveryState::Skipped]);
    let unknown = NewOrder { phone: None, ..new(vec![taro(1)]) };
    let unknown = shop.place(unknown).await;
    assert!(shop.stored(&unknown).deliveries.is_empty());

    let without = Shop::open_in(tempfile::tempdir().expect("a temporary folder"), false).await;
    let order = without.place(new(vec![taro(1)])).await;
    assert_eq!(states(&without.stored(&order)), [DeliveryState::Skipped], "without credentials");
    assert_eq!(without.due().await, (0, None));
}

#[tokio::test]
async fn a_number_is_texted_at_most_six_times_an_hour() {
    let shop = Shop::open().await;
    for round in 0..7 {
        let order = NewOrder { allow_duplicate: true, ..new(vec![taro(1)]) };
        let order = shop.place(order).await;
        let expected = if round < 6 { DeliveryState::Owed } else { DeliveryState::Skipped };
        assert_eq!(shop.stored(&order).deliveries[0].state, expected, "{round}");
    }
    shop.pass(3600);
    let later = shop.place(NewOrder { allow_duplicate: true, ..new(vec![taro(1)]) }).await;
    assert_eq!(shop.stored(&later).deliveries[0].state, DeliveryState::Owed);
}

#[tokio::test]
async fn what_a_delivery_learns_moves_neither_version_nor_history() {
    let shop = Shop::open().await;
    let order = shop.place(new(vec![taro(1)])).await;
    let claim = async |shop: &Shop| shop.claim(Lane::Texts, 10).await;
    assert_eq!(claim(&shop).await.len(), 1);
    assert!(claim(&shop).await.is_empty(), "it is taken on by one worker at a time");
    let again = Timestamp::from_second(1_704_067_230).expect("a valid instant");
    let retry = Attempt::Retry { at: again, reason: "busy".to_owned() };
    shop.tell(&order, 1, retry).await;
    assert_eq!(shop.due().await, (0, Some(again)));
    shop.pass(30);
    assert_eq!(claim(&shop).await.len(), 1);
    let sent = Attempt::Sent { provider_id: Some("SM1".to_owned()) };
    shop.tell(&order, 1, sent).await;
    assert_eq!(shop.due().await, (0, None));
    let record = shop.stored(&order);
    assert_eq!(record.order, order);
    let delivery = &record.deliveries[0];
    assert_eq!((delivery.state, delivery.attempts), (DeliveryState::Sent, 2));
    let outcomes: Vec<_> = delivery.tries.iter().map(|tried| tried.outcome.as_str()).collect();
    assert_eq!(outcomes, ["busy", "sent"]);
}

#[tokio::test]
async fn a_worker_that_is_gone_loses_what_it_had_taken_on() {
    let shop = Shop::open().await;
    shop.place(new(vec![taro(1)])).await;
    assert_eq!(shop.claim(Lane::Texts, 10).await.len(), 1);
    shop.pass(59);
    assert_eq!(shop.due().await.0, 0);
    shop.pass(1);
    assert_eq!(shop.claim(Lane::Texts, 10).await.len(), 1, "after a minute without an outcome");
    let Shop { orders, dir, .. } = shop;
    drop(orders);
    let shop = Shop::open_in(dir, true).await;
    assert_eq!(shop.due().await.0, 0);
    shop.orders.release_claims().await.expect("freed");
    assert_eq!(shop.due().await.0, 1, "at once, where no other process can have it");
}

#[tokio::test]
async fn a_delivery_given_up_is_shown_to_staff() {
    let shop = Shop::open().await;
    let order = shop.place(new(vec![taro(1)])).await;
    let mut feed = shop.events.subscribe(Audience::Staff, None);
    let failed = Attempt::Failed { reason: "no such number".to_owned() };
    shop.tell(&order, 1, failed).await;
    let EventDelivery::Event(_, json) = feed.next().await else { panic!("an event was expected") };
    let event: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let expected = serde_json::json!({
        "type": "delivery_failed",
        "order_number": order.order_number,
        "order_id": order.order_id,
        "status": "received",
        "kind": "text_received",
    });
    assert_eq!(event, expected);
}

#[tokio::test]
async fn a_ready_order_nobody_picks_up_is_completed() {
    let shop = Shop::open().await;
    let order = shop.place(new(vec![taro(1)])).await;
    shop.orders.done(order.order_number, origin("staff")).await.expect("done");
    shop.pass(12 * 3600 - 1);
    shop.orders.complete_forgotten().await;
    assert_eq!(shop.orders.by_id(&order.order_id).await.expect("readable").expect("there").status, OrderStatus::Ready);
    shop.pass(1);
    shop.orders.complete_forgotten().await;
    let completed = shop.orders.by_id(&order.order_id).await.expect("readable").expect("there");
    assert_eq!(completed.status, OrderStatus::Completed);
    assert_eq!(completed.history.last().expect("a history").by, "system");
}

#[tokio::test]
async fn an_order_is_ready_when_all_before_it_and_its_own_drinks_are_made() {
    let shop = Shop::open().await;
    let nobodys = |drinks| NewOrder { phone: None, ..new(vec![taro(drinks)]) };
    let made = shop.place(nobodys(3)).await;
    shop.orders.done(made.order_number, origin("staff")).await.expect("done");
    let minutes = |order: &Order| {
        let wait = order.estimated_ready_time.expect("a time").duration_since(order.created_at);
        wait.as_mins()
    };
    let each = i64::from(shop.minutes_to_make());
    assert_eq!(minutes(&made), 3 * each);
    assert_eq!(minutes(&shop.place(nobodys(2)).await), 2 * each, "what is made is not ahead any more");
    assert_eq!(minutes(&shop.place(nobodys(4)).await), 6 * each);
    let later = NewOrder { pickup_at: Some(shop.orders.now() + SignedDuration::from_hours(3)), ..nobodys(9) };
    assert_eq!(minutes(&shop.place(later).await), 180);
    assert_eq!(minutes(&shop.place(nobodys(1)).await), 7 * each, "what is fetched in hours is nobody's hurry");
}

#[tokio::test]
async fn a_store_can_be_looked_at_beside_a_server_but_not_written() {
    let shop = Shop::open().await;
    let order = shop.place(new(vec![taro(1)])).await;
    let config = OrdersConfig::json(shop.dir.path());
    let beside = store::open(&config, "main", Access::Read).await.expect("readable");
    assert_eq!(beside.by_id(&order.order_id).await.expect("readable").expect("there").order, order);
    assert!(matches!(beside.check().await, Err(StoreError::ReadOnly)));
    let nowhere = OrdersConfig::json("/nowhere");
    assert!(matches!(store::open(&nowhere, "main", Access::Read).await, Err(StoreError::Io { .. })));
}

#[tokio::test]
async fn a_slip_is_told_by_the_drinks_as_they_are_now() {
    let shop = Shop::open().await;
    let order = shop.place(new(vec![taro(1)])).await;
    shop.pass(240);
    shop.orders.append(&order.order_id, new(vec![taro(2)])).await.expect("amended");
    shop.pass(240);
    let redialled = |items| NewOrder { call_sid: Some("CA2".to_owned()), ..new(items) };
    match shop.orders.create(redialled(vec![taro(3)])).await {
        Err(OrderError::Duplicate { existing }) => assert_eq!(existing.order_id, order.order_id),
        other => panic!("eight minutes after the order, four after its last line: {other:?}"),
    }
    shop.orders.create(redialled(vec![taro(1)])).await.expect("no order is of one drink any more");
    shop.pass(60);
    shop.orders.create(redialled(vec![taro(3)])).await.expect("five minutes after the last line");
}

#[tokio::test]
async fn where_no_phone_is_asked_for_a_redial_is_told_by_the_number_they_call_from() {
    let shop = Shop::open().await;
    let from = |caller: Option<&str>, call: &str| NewOrder {
        phone: None,
        caller: caller.map(phone),
        call_sid: Some(call.to_owned()),
        ..new(vec![taro(1)])
    };
    let first = shop.place(from(Some("555-123-4567"), "CA1")).await;
    let file = std::fs::read_to_string(shop.orders.place_of(&first.order_id).expect("a file")).expect("readable");
    assert!(!file.contains("1234567"), "who did not give a number is not written down: {file}");
    let redial = shop.orders.create(from(Some("555-123-4567"), "CA2")).await;
    assert!(matches!(redial, Err(OrderError::Duplicate { .. })), "{redial:?}");
    shop.orders.create(from(Some("555-123-9999"), "CA3")).await.expect("another number");
    shop.orders.create(from(None, "CA4")).await.expect("withheld");
    shop.orders.create(from(None, "CA5")).await.expect("withheld: perhaps another customer");

    let more = NewOrder { items: vec![taro(2)], ..from(Some("555-123-4567"), "CA1") };
    shop.orders.append(&first.order_id, more).await.expect("amended");
    let three = NewOrder { items: vec![taro(3)], ..from(Some("555-123-4567"), "CA6") };
    let redial = shop.orders.create(three).await;
    assert!(matches!(redial, Err(OrderError::Duplicate { .. })), "{redial:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_announced_of_an_order_comes_in_the_sequence_of_its_versions() {
    let shop = Shop::open().await;
    let mut feed = shop.events.subscribe(Audience::Staff, None);
    let orders: Vec<_> =
        (0..8).map(|n| NewOrder { phone: None, customer_id: Some(n.to_string()), ..new(vec![taro(1)]) }).collect();
    let changed = orders.into_iter().map(|new| {
        let orders = shop.orders.clone();
        tokio::spawn(async move {
            let id = placed(orders.create(new.clone()).await).order_id;
            let more = (0..8).map(|_| orders.append(&id, new.clone()));
            futures_util::future::join_all(more).await.into_iter().filter(Result::is_ok).count()
        })
    });
    let changed = futures_util::future::join_all(changed).await.into_iter().map(|done| 1 + done.expect("no panic"));
    let mut versions = std::collections::HashMap::new();
    for _ in 0..changed.sum() {
        let EventDelivery::Event(_, json) = feed.next().await else { panic!("an event was expected") };
        let event: serde_json::Value = serde_json::from_str(&json).expect("JSON");
        let latest = versions.entry(event["order"]["order_id"].to_string()).or_insert(0);
        *latest += 1;
        assert_eq!(event["order"]["version"], *latest);
    }
}

#[tokio::test]
async fn done_is_for_what_is_being_made_and_recalls_nothing() {
    let shop = Shop::open().await;
    for gone in [OrderStatus::Completed, OrderStatus::Cancelled] {
        let order = shop.place(NewOrder { phone: None, ..new(vec![taro(1)]) }).await;
        if gone == OrderStatus::Completed {
            shop.orders.done(order.order_number, origin("staff")).await.expect("made");
        }
        let gone = shop.set(&order, gone).await.expect("gone");
        let done = shop.orders.done(order.order_number, origin("staff")).await;
        assert!(matches!(done, Err(OrderError::InvalidState { from, .. }) if from == gone.status), "{done:?}");
        assert_eq!(shop.orders.by_id(&order.order_id).await.expect("readable"), Some(gone));
    }
    let order = shop.place(NewOrder { phone: None, ..new(vec![taro(1)]) }).await;
    shop.set(&order, OrderStatus::Preparing).await.expect("started");
    let done = shop.orders.done(order.order_number, origin("staff")).await.expect("made");
    assert_eq!(done.status, OrderStatus::Ready);
}
