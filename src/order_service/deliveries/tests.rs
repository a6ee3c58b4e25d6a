use super::super::tests::{Shop, new, origin, phone, taro};
use super::*;
use crate::events::{Audience, Delivery as EventDelivery};
use crate::order_service::{NewOrder, Patch};
use crate::ordering::order::{Channel, Order};
use crate::ordering::phone_number::PhoneNumber;
use crate::ordering::status::OrderStatus;
use serde_json::Value;

impl Shop {
    /// Kinds and states of all that an order owes or owed, as they are on disk.
    fn owes(&self, order: &Order) -> Vec<(DeliveryKind, DeliveryState)> {
        self.stored(order).deliveries.iter().map(|delivery| (delivery.kind, delivery.state)).collect()
    }

    fn delivery(&self, order: &Order, id: u32) -> Delivery {
        find(&self.stored(order), id).expect("a delivery").clone()
    }

    async fn take_on(&self, lane: Lane) -> Vec<u32> {
        self.claim(lane, 10).await.into_iter().map(|claimed| claimed.delivery.id).collect()
    }

    async fn learn(&self, order: &Order, id: u32, attempt: Attempt) {
        self.tell(order, id, attempt).await;
    }

    async fn report(&self, order: &Order, id: u32, sid: &str, status: CarrierStatus) -> Result<(), OrderError> {
        let reason = status.is_failure().then(|| format!("{}, error 30003", status.as_str()));
        let report = CarrierReport { provider_id: sid.to_owned(), status, reason };
        self.orders.record_carrier_status(&order.order_id, id, report).await
    }
}

fn sent(sid: &str) -> Attempt {
    Attempt::Sent { provider_id: Some(sid.to_owned()) }
}

fn given_up() -> Attempt {
    Attempt::Failed { reason: "no".to_owned() }
}

fn of_kind(record: &Record, kind: DeliveryKind) -> Vec<&Delivery> {
    record.deliveries.iter().filter(|delivery| delivery.kind == kind).collect()
}

use CarrierStatus::{Delivered, Queued, Sending, Undelivered};
use DeliveryKind::{SheetRow, TextCancelled, TextReady, TextReceived, Webhook};
use DeliveryState::{Failed, Owed, Sent, Skipped};

#[tokio::test]
async fn nobody_is_called_for_an_order_that_is_not_ready_any_more() {
    let shop = Shop::open_with_all().await;
    for next in [OrderStatus::Preparing, OrderStatus::Completed, OrderStatus::Cancelled] {
        let order = shop.place(NewOrder { allow_duplicate: true, ..new(vec![taro(1)]) }).await;
        shop.set(&order, OrderStatus::Ready).await.expect("made");
        assert!(shop.owes(&order).contains(&(TextReady, Owed)));
        shop.set(&order, next).await.expect("it was a slip, or they stood at the counter");
        assert!(shop.owes(&order).contains(&(TextReady, Skipped)), "{next}");
    }
    let order = shop.place(NewOrder { allow_duplicate: true, ..new(vec![taro(1)]) }).await;
    shop.set(&order, OrderStatus::Preparing).await.expect("started");
    assert!(shop.owes(&order).contains(&(TextReceived, Owed)), "that the order came is true all the same");
}

#[tokio::test]
async fn an_order_that_is_ready_after_all_is_told_once() {
    let shop = Shop::open_with_all().await;
    let order = shop.place(new(vec![taro(1)])).await;
    shop.set(&order, OrderStatus::Ready).await.expect("made");
    shop.set(&order, OrderStatus::Completed).await.expect("a slip");
    shop.orders.undo(&order.order_id, None, origin("staff")).await.expect("in time");
    shop.pass(5);
    assert_eq!(shop.owes(&order).iter().filter(|owed| **owed == (TextReady, Owed)).count(), 1);
    let text = of_kind(&shop.stored(&order), TextReady)[0].id;
    assert!(shop.take_on(Lane::Texts).await.contains(&text));
    shop.tell(&order, text, sent("SM1")).await;
    shop.set(&order, OrderStatus::Completed).await.expect("picked up");
    shop.orders.undo(&order.order_id, None, origin("staff")).await.expect("a slip again");
    assert_eq!(of_kind(&shop.stored(&order), TextReady)[0].state, Sent, "who was told is not told again");
}

#[tokio::test]
async fn changes_share_a_row_until_somebody_writes_it() {
    let shop = Shop::open_with_all().await;
    let order = shop.place(NewOrder { phone: None, ..new(vec![taro(1)]) }).await;
    shop.set(&order, OrderStatus::Preparing).await.expect("started");
    let rows = |record: &Record| of_kind(record, SheetRow).iter().map(|row| (row.id, row.state)).collect::<Vec<_>>();
    assert_eq!(rows(&shop.stored(&order)), [(2, Owed)], "one row for both");
    assert_eq!(shop.take_on(Lane::Sheet).await, [2]);
    shop.set(&order, OrderStatus::Ready).await.expect("made");
    assert_eq!(rows(&shop.stored(&order)), [(2, Owed), (5, Owed)], "what is being written may be older");
    assert!(shop.take_on(Lane::Sheet).await.is_empty(), "rows of one order are written one after the other");
    shop.learn(&order, 2, Attempt::Sent { provider_id: None }).await;
    assert_eq!(shop.take_on(Lane::Sheet).await, [5]);
    shop.learn(&order, 5, Attempt::Sent { provider_id: None }).await;
    assert_eq!(rows(&shop.stored(&order)), [(2, Sent), (5, Sent)]);
}

#[tokio::test]
async fn a_row_that_was_written_settles_those_given_up_before() {
    let shop = Shop::open_with_all().await;
    let order = shop.place(NewOrder { phone: None, ..new(vec![taro(1)]) }).await;
    assert_eq!(shop.take_on(Lane::Sheet).await, [2]);
    shop.learn(&order, 2, given_up()).await;
    assert_eq!(shop.orders.undelivered(9).await.expect("readable").len(), 1);
    shop.set(&order, OrderStatus::Preparing).await.expect("started");
    assert_eq!(shop.take_on(Lane::Sheet).await, [4]);
    shop.learn(&order, 4, Attempt::Sent { provider_id: None }).await;
    let settled = shop.delivery(&order, 2);
    assert_eq!((settled.state, settled.reason), (Sent, None));
    assert_eq!(settled.tries.last().expect("a try").outcome, "sent with a later row");
    assert!(shop.orders.undelivered(9).await.expect("readable").is_empty());
}

#[tokio::test]
async fn every_change_is_told_to_the_webhook_as_it_was() {
    let shop = Shop::open_with_all().await;
    let order = shop.place(new(vec![taro(1)])).await;
    let id = &order.order_id;
    shop.orders.append(id, new(vec![taro(2)])).await.expect("amended");
    let patch = Patch { notes: Some(Some("no straw".to_owned())), ..Patch::default() };
    shop.orders.patch(id, patch, None, origin("api")).await.expect("corrected");
    shop.set(&order, OrderStatus::Preparing).await.expect("started");
    shop.orders.undo(id, None, origin("staff")).await.expect("taken back");
    let record = shop.stored(&order);
    let bodies: Vec<Value> =
        of_kind(&record, Webhook).iter().map(|notice| serde_json::from_str(&notice.body).expect("JSON")).collect();
    let told: Vec<_> = bodies.iter().map(|body| (body["type"].as_str(), body["order"]["version"].as_u64())).collect();
    let expected = ["order_created", "order_updated", "order_updated", "order_status_changed", "order_status_changed"];
    assert_eq!(told, expected.iter().zip(1..).map(|(kind, version)| (Some(*kind), Some(version))).collect::<Vec<_>>());
    assert_eq!(bodies[0]["order"], serde_json::json!(order), "as it was then");
    assert_eq!(bodies[3]["order"]["status"], "preparing");
    assert_eq!(bodies[4]["order"], serde_json::json!(record.order));
    assert_eq!(bodies[0]["at"], "2024-01-01T00:00:00Z");
}

#[tokio::test]
async fn an_undo_drops_the_text_of_the_tap_and_nothing_else() {
    let shop = Shop::open_with_all().await;
    let order = shop.place(new(vec![taro(1)])).await;
    shop.pass(1);
    shop.set(&order, OrderStatus::Ready).await.expect("made");
    shop.pass(4);
    shop.orders.undo(&order.order_id, None, origin("staff")).await.expect("taken back");
    let kinds = [
        (TextReceived, Owed),
        (Webhook, Owed),
        (SheetRow, Owed),
        (TextReady, Skipped),
        (Webhook, Owed),
        (Webhook, Owed),
    ];
    assert_eq!(shop.owes(&order), kinds);
    shop.pass(3600);
    assert_eq!(shop.take_on(Lane::Texts).await, [1], "it is never sent later");
}

#[tokio::test]
async fn a_pile_of_rows_hides_no_text() {
    let shop = Shop::open_with_all().await;
    for _ in 0..20 {
        shop.place(NewOrder { phone: None, ..new(vec![taro(1)]) }).await;
    }
    shop.pass(1);
    let order = shop.place(new(vec![taro(1)])).await;
    let owed = shop.orders.owed(Lane::Texts, 1).await.expect("readable");
    assert_eq!(owed.due.iter().map(|(id, text)| (id, text.id)).collect::<Vec<_>>(), [(&order.order_id, 1)]);
    assert_eq!(owed.next, None, "of other lanes nothing is told either");
    assert_eq!(shop.claim(Lane::Sheet, 5).await.len(), 5);
}

#[tokio::test]
async fn a_claim_begins_when_it_is_made() {
    let shop = Shop::open_with_all().await;
    let order = shop.place(new(vec![taro(1)])).await;
    assert_eq!(shop.orders.owed(Lane::Texts, 9).await.expect("readable").due.len(), 1);
    shop.pass(50);
    let claimed = shop.orders.claim(&order.order_id, 1).await.expect("saved").expect("due");
    assert_eq!(claimed.delivery.claimed_until, Some(shop.orders.now() + CLAIM));
    shop.pass(59);
    assert!(shop.orders.claim(&order.order_id, 1).await.expect("looked at").is_none(), "it is somebody's");
    assert!(shop.orders.claim(&order.order_id, 99).await.expect("looked at").is_none(), "there is none");
}

#[tokio::test]
async fn an_outcome_that_comes_late_frees_nobody_elses_claim() {
    let shop = Shop::open_with_all().await;
    let order = shop.place(new(vec![taro(1)])).await;
    let claim =
        async || shop.orders.claim(&order.order_id, 1).await.expect("saved").expect("due").delivery.claimed_until;
    let slow = claim().await;
    shop.pass(60);
    let now = claim().await;
    let late = [Attempt::Retry { at: shop.orders.now(), reason: "busy".to_owned() }, given_up()];
    for outcome in late {
        shop.orders.record_attempt(&order.order_id, 1, slow, outcome).await.expect("recorded");
        let text = shop.delivery(&order, 1);
        assert_eq!((text.state, text.claimed_until), (Owed, now), "it is under way");
    }
    assert_eq!(shop.delivery(&order, 1).tries.len(), 2, "told all the same");
    shop.orders.record_attempt(&order.order_id, 1, slow, sent("SM1")).await.expect("recorded");
    assert_eq!(shop.delivery(&order, 1).state, Sent, "what was sent is not sent again");
    shop.orders.record_attempt(&order.order_id, 1, now, given_up()).await.expect("recorded");
    assert_eq!(shop.delivery(&order, 1).state, Sent);
}

#[tokio::test]
async fn a_lane_is_woken_for_what_is_newly_owed_and_for_nothing_else() {
    use futures_util::FutureExt as _;
    let shop = Shop::open_with_all().await;
    let woken = || Lane::ALL.map(|lane| shop.orders.newly_owed(lane).now_or_never().is_some());
    let order = shop.place(new(vec![taro(1)])).await;
    assert_eq!(woken(), [true, true, true, false], "nobody asks a point of sale");
    assert_eq!(woken(), [false; 4], "once");
    assert_eq!(shop.take_on(Lane::Texts).await, [1]);
    shop.learn(&order, 1, Attempt::Retry { at: shop.orders.now(), reason: "busy".to_owned() }).await;
    assert_eq!(shop.take_on(Lane::Texts).await, [1]);
    shop.learn(&order, 1, given_up()).await;
    assert_eq!(woken(), [false; 4], "by what its own worker does");
    shop.orders.retry_delivery(&order.order_id, 1, origin("staff")).await.expect("owed again");
    assert_eq!(woken(), [true, false, false, false]);
    shop.set(&order, OrderStatus::Preparing).await.expect("started");
    assert_eq!(woken(), [false, false, true, false], "the row was owed already");
}

#[tokio::test]
async fn whatever_the_channel_only_countries_of_the_shop_are_texted() {
    let shop = Shop::open_with_all().await;
    for channel in [Channel::Phone, Channel::Web, Channel::Api] {
        for (number, state) in [("555-123-4567", Owed), ("+44 20 7946 0958", Skipped)] {
            let order = NewOrder { channel, phone: Some(phone(number)), allow_duplicate: true, ..new(vec![taro(1)]) };
            let order = shop.place(order).await;
            assert_eq!(shop.owes(&order)[0], (TextReceived, state), "{channel:?} {number}");
        }
    }
}

#[tokio::test]
async fn who_waits_for_a_point_of_sale_is_texted_when_it_has_accepted() {
    let shop = Shop::open_with_all().await;
    let mut record = shop.stored(&shop.place(new(vec![taro(1)])).await);
    record.order.order_id = "pending-1".parse().expect("an id");
    record.order.status = OrderStatus::Pending;
    record.deliveries.clear();
    shop.orders.0.store.import(&record).await.expect("imported");
    let order = record.order;
    shop.orders.append(&order.order_id, new(vec![taro(1)])).await.expect("amended");
    assert_eq!(shop.owes(&order), [(Webhook, Owed), (SheetRow, Owed)], "no text while pending");
    let received = shop.orders.change_status(&order.order_id, OrderStatus::Received, None, None, origin("system"));
    received.await.expect("accepted");
    let text = shop.delivery(&order, 3);
    assert_eq!((text.kind, text.not_before), (TextReceived, shop.orders.now()));
}

#[tokio::test]
async fn who_was_told_a_number_is_told_that_it_was_cancelled() {
    let shop = Shop::open_with_all().await;
    let order = shop.place(new(vec![taro(1)])).await;
    shop.set(&order, OrderStatus::Cancelled).await.expect("cancelled");
    let record = shop.stored(&order);
    let [text] = of_kind(&record, TextCancelled)[..] else { panic!("one text: {record:#?}") };
    assert_eq!(text.not_before.duration_since(text.owed_at), STAFF_DELAY);
    assert!(text.body.contains(&order.order_number.to_string()), "{}", text.body);
    let nobody = shop.place(NewOrder { phone: None, ..new(vec![taro(1)]) }).await;
    shop.set(&nobody, OrderStatus::Cancelled).await.expect("cancelled");
    assert!(of_kind(&shop.stored(&nobody), TextCancelled).is_empty());
}

#[tokio::test]
async fn who_is_erased_is_owed_nothing_and_leaves_the_sheet() {
    let shop = Shop::open_with_all().await;
    let order = shop.place(new(vec![taro(1)])).await;
    assert_eq!(shop.take_on(Lane::Webhook).await, [2]);
    shop.learn(&order, 2, given_up()).await;
    assert!(shop.stored(&order).deliveries[1].body.contains("1234567"), "it held the number");
    let to = order.phone.clone().expect("a phone");
    let erased = shop.orders.forget(&to, origin("system")).await.expect("erased");
    assert_eq!(erased.orders, 1);
    let states = [(TextReceived, Skipped), (Webhook, Skipped), (SheetRow, Owed)];
    assert_eq!(shop.owes(&order), states, "given up or not: nothing is left to be tried again");
    let file = std::fs::read_to_string(shop.orders.place_of(&order.order_id).expect("a file")).expect("readable");
    assert!(!file.contains("1234567"), "{file}");
    let gone = shop.orders.retry_delivery(&order.order_id, 2, origin("staff")).await;
    assert!(matches!(gone, Err(OrderError::NoSuchDelivery)), "{gone:?}");
}

#[tokio::test]
async fn a_row_that_is_being_written_while_its_customer_is_erased_is_written_over() {
    let shop = Shop::open_with_all().await;
    let order = shop.place(new(vec![taro(1)])).await;
    assert_eq!(shop.take_on(Lane::Sheet).await, [3]);
    let to = order.phone.clone().expect("a phone");
    shop.orders.forget(&to, origin("system")).await.expect("erased");
    assert!(shop.take_on(Lane::Sheet).await.is_empty(), "not beside the other");
    shop.learn(&order, 3, Attempt::Sent { provider_id: None }).await;
    assert_eq!(shop.take_on(Lane::Sheet).await, [4]);
}

#[tokio::test]
async fn an_order_that_never_had_a_row_gets_none_by_being_erased() {
    let shop = Shop::open_with_all().await;
    let mut record = shop.stored(&shop.place(new(vec![taro(1)])).await);
    record.order.order_id = "older-than-the-sheet".parse().expect("an id");
    record.deliveries.clear();
    shop.orders.0.store.import(&record).await.expect("imported");
    let to: PhoneNumber = phone("555-123-4567");
    assert_eq!(shop.orders.forget(&to, origin("system")).await.expect("erased").orders, 2);
    assert!(shop.owes(&record.order).is_empty());
}

#[tokio::test]
async fn what_was_given_up_can_be_tried_again_once_a_tap() {
    let shop = Shop::open_with_all().await;
    let order = shop.place(new(vec![taro(1)])).await;
    let retry = async |id| shop.orders.retry_delivery(&order.order_id, id, origin("staff")).await;
    assert_eq!(shop.take_on(Lane::Texts).await, [1]);
    shop.learn(&order, 1, given_up()).await;
    shop.pass(60);
    let mut feed = shop.events.subscribe(Audience::Staff, None);
    for _ in 0..2 {
        retry(1).await.expect("owed again");
    }
    let text = shop.delivery(&order, 1);
    assert_eq!((text.state, text.attempts, text.not_before), (Owed, 0, shop.orders.now()));
    assert_eq!(text.tries.len(), 1, "what was tried is not forgotten");
    let record = shop.stored(&order);
    let retried = record.audit.iter().filter(|entry| entry.what == "delivery_retried");
    assert_eq!(retried.map(|entry| entry.by.as_str()).collect::<Vec<_>>(), ["staff"], "the second tap changes nothing");
    assert_eq!(record.order, order, "neither version nor history move");
    let EventDelivery::Event(_, json) = feed.next().await else { panic!("an event was expected") };
    assert!(json.contains("order_updated"), "other consoles look again: {json}");

    assert_eq!(shop.take_on(Lane::Texts).await, [1]);
    shop.learn(&order, 1, sent("SM1")).await;
    for id in [1, 99] {
        assert!(matches!(retry(id).await, Err(OrderError::NoSuchDelivery)), "{id}");
    }
}

#[tokio::test]
async fn reports_of_the_carrier_count_in_the_sequence_of_what_they_tell() {
    let shop = Shop::open_with_all().await;
    let order = shop.place(new(vec![taro(1)])).await;
    shop.take_on(Lane::Texts).await;
    shop.learn(&order, 1, sent("SM1")).await;
    for status in
        [Sending, Queued, CarrierStatus::Sent, Sending, Delivered, CarrierStatus::Sent, Delivered, Undelivered]
    {
        shop.report(&order, 1, "SM1", status).await.expect("harmless");
    }
    let text = shop.delivery(&order, 1);
    assert_eq!((text.state, text.carrier_status.as_deref()), (Sent, Some("delivered")));
    assert_eq!(shop.stored(&order).revision, 3 + 3, "only what was new was saved");
    shop.report(&order, 1, "SM9", Undelivered).await.expect("of another message");
    assert_eq!(shop.delivery(&order, 1), text);
    let none = shop.report(&order, 99, "SM1", Delivered).await;
    assert!(matches!(none, Err(OrderError::NoSuchDelivery)), "{none:?}");
    let no_text = shop.report(&order, 2, "SM1", Delivered).await;
    assert!(matches!(no_text, Err(OrderError::NoSuchDelivery)), "{no_text:?}");
}

#[tokio::test]
async fn a_text_that_did_not_arrive_is_shown_once_and_late_reports_do_not_spoil_the_next() {
    let shop = Shop::open_with_all().await;
    let order = shop.place(new(vec![taro(1)])).await;
    shop.take_on(Lane::Texts).await;
    shop.learn(&order, 1, sent("SM1")).await;
    let mut feed = shop.events.subscribe(Audience::Staff, None);
    for _ in 0..2 {
        shop.report(&order, 1, "SM1", Undelivered).await.expect("recorded");
    }
    let text = shop.delivery(&order, 1);
    assert_eq!((text.state, text.reason.as_deref()), (Failed, Some("undelivered, error 30003")));
    assert_eq!(text.tries.len(), 2);
    let EventDelivery::Event(_, json) = feed.next().await else { panic!("an event was expected") };
    assert!(json.contains("delivery_failed"), "{json}");

    shop.orders.retry_delivery(&order.order_id, 1, origin("staff")).await.expect("owed again");
    shop.report(&order, 1, "SM1", Undelivered).await.expect("late");
    assert_eq!(shop.delivery(&order, 1).state, Owed, "that was the message before");
    assert_eq!(shop.take_on(Lane::Texts).await, [1]);
    shop.learn(&order, 1, sent("SM2")).await;
    shop.report(&order, 1, "SM1", Undelivered).await.expect("later still");
    let text = shop.delivery(&order, 1);
    assert_eq!((text.state, text.provider_id.as_deref(), text.carrier_status), (Sent, Some("SM2"), None));
}

#[tokio::test]
async fn a_report_may_overtake_the_answer_or_stand_in_for_it() {
    let shop = Shop::open_with_all().await;
    let early = shop.place(new(vec![taro(1)])).await;
    shop.report(&early, 1, "SM0", Undelivered).await.expect("of nothing that was sent");
    assert_eq!(shop.delivery(&early, 1).state, Owed);
    shop.take_on(Lane::Texts).await;
    shop.report(&early, 1, "SM1", Undelivered).await.expect("recorded");
    shop.learn(&early, 1, sent("SM1")).await;
    assert_eq!(shop.delivery(&early, 1).state, Failed, "the answer came late and tells nothing new");

    let lost = shop.place(NewOrder { allow_duplicate: true, ..new(vec![taro(1)]) }).await;
    shop.take_on(Lane::Texts).await;
    let at = shop.orders.now() + SignedDuration::from_secs(2);
    shop.learn(&lost, 1, Attempt::Retry { at, reason: "it broke off".to_owned() }).await;
    shop.report(&lost, 1, "SM2", CarrierStatus::Sent).await.expect("recorded");
    shop.pass(60);
    assert!(shop.take_on(Lane::Texts).await.is_empty(), "the carrier has it: the customer is not texted twice");
    assert_eq!(shop.delivery(&lost, 1).state, Sent);
}
