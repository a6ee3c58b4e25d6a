use super::super::Senders;
use super::super::worker::Worker;
use super::*;
use crate::order_service::tests::{Shop, new, taro};
use crate::order_service::{DeliveryKind, DeliveryState, Lane, NewOrder, Record, TicketState, ticket_state};
use crate::ordering::menu::Menu;
use crate::ordering::order::Order;
use crate::ordering::status::OrderStatus;
use crate::pos::Ticket;
use async_trait::async_trait;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

/// What a till says next.
enum Says {
    Yes,
    No,
    /// The line breaks; whether it has the ticket shows when it is asked.
    Unclear {
        has_it: bool,
    },
    /// Yes, once it is let go on.
    Later,
    Panic,
}

/// A till that says what it is told to, and notes what it is asked.
#[derive(Default)]
struct Till {
    says: Mutex<VecDeque<Says>>,
    has: Mutex<Vec<String>>,
    asked: Mutex<Vec<(&'static str, String)>>,
    is_asked: Notify,
    goes_on: Notify,
}

impl Till {
    fn that_says(says: impl IntoIterator<Item = Says>) -> Arc<Self> {
        Arc::new(Self { says: Mutex::new(says.into_iter().collect()), ..Self::default() })
    }

    /// What it was asked since this was looked at.
    fn asked(&self) -> Vec<(&'static str, String)> {
        std::mem::take(&mut self.asked.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn note(&self, what: &'static str, ticket: &Ticket) -> Option<Says> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push((what, ticket.key.clone()));
        self.is_asked.notify_one();
        self.says.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    fn take(&self, ticket: &Ticket) -> Accepted {
        self.has.lock().unwrap_or_else(PoisonError::into_inner).push(ticket.key.clone());
        Accepted { reference: Some(format!("T-{}", ticket.order_number)) }
    }
}

#[async_trait]
impl PointOfSale for Till {
    async fn place(&self, ticket: &Ticket) -> Result<Accepted, PosError> {
        match self.note("place", ticket) {
            None | Some(Says::Yes) => Ok(self.take(ticket)),
            Some(Says::No) => Err(PosError::Refused("out of paper".to_owned())),
            Some(Says::Unclear { has_it }) => {
                if has_it {
                    self.take(ticket);
                }
                Err(PosError::Unclear("the line broke".to_owned()))
            }
            Some(Says::Later) => {
                self.goes_on.notified().await;
                Ok(self.take(ticket))
            }
            Some(Says::Panic) => panic!("a fault of ours"),
        }
    }

    async fn find(&self, ticket: &Ticket) -> Result<Option<Accepted>, PosError> {
        match self.note("find", ticket) {
            Some(Says::Unclear { .. }) => Err(PosError::Unclear("the line broke".to_owned())),
            _ => {
                let has = self.has.lock().unwrap_or_else(PoisonError::into_inner).contains(&ticket.key);
                Ok(has.then(|| Accepted { reference: Some("T-found".to_owned()) }))
            }
        }
    }
}

fn worker(shop: &Shop, till: Option<&Arc<Till>>) -> Worker {
    let menu = Arc::new(Menu::builtin("boba").expect("built in"));
    let pos = till.map(|till| Arc::clone(till) as Arc<dyn PointOfSale>);
    Worker::new(Arc::new(Outbox::new(shop.orders.clone(), Senders { pos, ..Senders::default() }, menu)), Lane::Pos)
}

impl Worker {
    /// What is due is done.
    async fn turn(&mut self) {
        self.take_on().await.expect("looked up");
        self.finish().await;
    }
}

impl Shop {
    async fn pending(&self, held: bool) -> Order {
        let order = NewOrder { held_when_refused: held, allow_duplicate: true, ..new(vec![taro(1)]) };
        let order = self.place(order).await;
        assert_eq!(order.status, OrderStatus::Pending);
        order
    }

    fn status(&self, order: &Order) -> OrderStatus {
        self.stored(order).order.status
    }

    fn ticket_deliveries(&self, order: &Order) -> Vec<Delivery> {
        let all = self.stored(order).deliveries.into_iter();
        all.filter(|delivery| delivery.kind == DeliveryKind::PosTicket).collect()
    }

    fn texts(&self, order: &Order) -> Vec<DeliveryKind> {
        let all = self.stored(order).deliveries.into_iter();
        all.map(|delivery| delivery.kind).filter(|kind| kind.is_text()).collect()
    }
}

fn key(order: &Order, version: u64) -> String {
    format!("{}:{version}", order.order_id)
}

fn by_whom(record: &Record) -> Vec<(OrderStatus, &str)> {
    record.order.history.iter().map(|entry| (entry.status, entry.by.as_str())).collect()
}

#[tokio::test]
async fn what_the_till_takes_is_received_and_the_customer_is_told_then() {
    let shop = Shop::open_through_pos().await;
    let till = Till::that_says([Says::Yes]);
    let order = shop.pending(false).await;
    assert_eq!(shop.texts(&order), [], "nobody is told before");
    worker(&shop, Some(&till)).turn().await;
    assert_eq!(till.asked(), [("place", key(&order, 1))]);
    let record = shop.stored(&order);
    assert_eq!(by_whom(&record), [(OrderStatus::Pending, "phone"), (OrderStatus::Received, "pos")]);
    assert_eq!((record.order.version, ticket_state(&record)), (2, TicketState::Settled));
    assert_eq!(shop.texts(&order), [DeliveryKind::TextReceived]);
    let [ticket] = &shop.ticket_deliveries(&order)[..] else { panic!("one ticket") };
    assert_eq!(ticket.state, DeliveryState::Sent);
    assert_eq!(ticket.provider_id, Some(format!("T-{}", order.order_number)));
}

#[tokio::test]
async fn a_refusal_is_tried_again_after_two_four_and_eight_seconds_and_the_fourth_is_the_last() {
    let shop = Shop::open_through_pos().await;
    let till = Till::that_says([Says::No, Says::No, Says::No, Says::No]);
    let order = shop.pending(false).await;
    let mut worker = worker(&shop, Some(&till));
    worker.turn().await;
    for (refusals, wait) in [(1, 2), (2, 4), (3, 8)] {
        let [ticket] = &shop.ticket_deliveries(&order)[..] else { panic!("one ticket") };
        assert_eq!((ticket.refusals, ticket.state), (refusals, DeliveryState::Owed));
        let TicketState::Waiting { reason, .. } = ticket_state(&shop.stored(&order)) else { panic!("it waits") };
        assert_eq!(reason.as_deref(), Some("out of paper"));
        assert_eq!(till.asked(), [("place", key(&order, 1))], "what it refused it need not be asked for");
        shop.pass(wait - 1);
        worker.turn().await;
        assert_eq!(till.asked(), [], "{wait} s are not over");
        shop.pass(1);
        worker.turn().await;
    }
    assert_eq!(till.asked(), [("place", key(&order, 1))]);
    let record = shop.stored(&order);
    assert_eq!(by_whom(&record), [(OrderStatus::Pending, "phone"), (OrderStatus::Cancelled, "pos")]);
    assert_eq!(record.audit.last().and_then(|entry| entry.reason.as_deref()), Some("out of paper"));
    assert_eq!(shop.texts(&order), [DeliveryKind::TextCancelled]);
    let [ticket] = &shop.ticket_deliveries(&order)[..] else { panic!("one ticket") };
    assert_eq!((ticket.state, ticket.reason.as_deref()), (DeliveryState::Skipped, Some("out of paper")));
    assert!(shop.orders.undelivered(9).await.expect("readable").is_empty(), "nobody can do anything about it");
    shop.pass(3600);
    worker.turn().await;
    assert_eq!(till.asked(), [], "that was the last");
}

#[tokio::test]
async fn who_decides_on_a_refusal_finds_the_order_pending() {
    let shop = Shop::open_through_pos().await;
    let till = Till::that_says([Says::No, Says::No, Says::No, Says::No]);
    let order = shop.pending(true).await;
    let mut worker = worker(&shop, Some(&till));
    for _ in 0..4 {
        worker.turn().await;
        shop.pass(8);
    }
    assert_eq!(shop.status(&order), OrderStatus::Pending);
    assert_eq!(ticket_state(&shop.stored(&order)), TicketState::Refused { reason: "out of paper".to_owned() });
    assert_eq!(shop.texts(&order), []);
}

#[tokio::test]
async fn what_is_unclear_is_asked_for_until_it_is_found() {
    let shop = Shop::open_through_pos().await;
    let unclear = || Says::Unclear { has_it: true };
    let till = Till::that_says([unclear(), unclear(), unclear(), unclear(), unclear(), unclear()]);
    let order = shop.pending(false).await;
    let mut worker = worker(&shop, Some(&till));
    worker.turn().await;
    assert_eq!(till.asked(), [("place", key(&order, 1))]);
    for wait in [1, 2, 4, 5, 5, 5] {
        let [ticket] = &shop.ticket_deliveries(&order)[..] else { panic!("one ticket") };
        assert_eq!((ticket.refusals, ticket.state), (0, DeliveryState::Owed), "it is no refusal");
        shop.pass(wait - 1);
        worker.turn().await;
        assert_eq!(till.asked(), [], "{wait} s are not over");
        shop.pass(1);
        worker.turn().await;
        assert_eq!(till.asked(), [("find", key(&order, 1))], "it is not placed twice");
    }
    assert_eq!(shop.status(&order), OrderStatus::Received);
    assert_eq!(shop.ticket_deliveries(&order)[0].provider_id.as_deref(), Some("T-found"));
}

#[tokio::test]
async fn what_is_not_found_counts_as_refused_and_is_placed_again_with_the_same_key() {
    let shop = Shop::open_through_pos().await;
    let till = Till::that_says([Says::Unclear { has_it: false }]);
    let order = shop.pending(false).await;
    let mut worker = worker(&shop, Some(&till));
    worker.turn().await;
    shop.pass(1);
    worker.turn().await;
    assert_eq!(till.asked().last(), Some(&("find", key(&order, 1))));
    assert_eq!(shop.ticket_deliveries(&order)[0].refusals, 1);
    shop.pass(1);
    worker.turn().await;
    assert_eq!(till.asked(), [], "the wait after a refusal is two seconds");
    shop.pass(1);
    worker.turn().await;
    assert_eq!(till.asked(), [("place", key(&order, 1))]);
    assert_eq!(shop.status(&order), OrderStatus::Received);
}

#[tokio::test]
async fn a_fault_of_ours_is_unclear_too() {
    let shop = Shop::open_through_pos().await;
    let till = Till::that_says([Says::Panic]);
    let order = shop.pending(false).await;
    let mut worker = worker(&shop, Some(&till));
    worker.turn().await;
    assert_eq!(shop.ticket_deliveries(&order)[0].state, DeliveryState::Owed);
    shop.pass(1);
    worker.turn().await;
    assert_eq!(till.asked().last(), Some(&("find", key(&order, 1))));
}

#[tokio::test]
async fn a_till_that_says_nothing_is_not_waited_for_and_nobody_knows() {
    let till = Till::that_says([Says::Later]);
    let ticket: Ticket = serde_json::from_value(serde_json::json!({
        "key": "ORD-main-1:1", "order_id": "ORD-main-1", "order_number": "4782", "version": 1, "is_addition": false,
        "channel": "phone", "name": null, "table": null, "notes": null, "pickup_at": null, "items": [], "total": 0,
        "currency": "USD",
    }))
    .expect("a ticket");
    let late = answer(&*till, &TicketStep::Place(ticket), Duration::from_millis(1)).await;
    assert_eq!(late, Err(PosError::Unclear("the point of sale does not answer".to_owned())));
}

#[tokio::test]
async fn who_did_not_live_to_tell_has_perhaps_placed_it() {
    let shop = Shop::open_through_pos().await;
    let (taken, lost, fresh) = (shop.pending(false).await, shop.pending(false).await, shop.pending(false).await);
    let till = Till::that_says([]);
    for order in [&taken, &lost] {
        let id = shop.ticket_deliveries(order)[0].id;
        let claimed = shop.orders.claim(&order.order_id, id).await.expect("saved").expect("due");
        let TicketStep::Place(ticket) = ticket_step(&claimed) else { panic!("it was never tried") };
        if order.order_id == taken.order_id {
            till.take(&ticket);
        }
    }
    shop.orders.release_claims().await.expect("a new server");
    let mut worker = worker(&shop, Some(&till));
    worker.turn().await;
    let mut asked = till.asked();
    asked.sort();
    let expected = [("find", key(&taken, 1)), ("find", key(&lost, 1)), ("place", key(&fresh, 1))];
    assert_eq!(asked, expected, "who was never tried is placed");
    assert_eq!(
        [&taken, &lost, &fresh].map(|order| shop.status(order)),
        [OrderStatus::Received, OrderStatus::Pending, OrderStatus::Received]
    );
    shop.pass(2);
    worker.turn().await;
    assert_eq!(till.asked(), [("place", key(&lost, 1))]);
    assert_eq!(shop.status(&lost), OrderStatus::Received);
}

#[tokio::test]
async fn what_comes_on_top_waits_for_what_it_comes_on_top_of() {
    let shop = Shop::open_through_pos().await;
    let till = Till::that_says([Says::No]);
    let order = shop.pending(false).await;
    shop.orders.append(&order.order_id, new(vec![taro(2)])).await.expect("amended");
    let mut worker = worker(&shop, Some(&till));
    worker.turn().await;
    worker.turn().await;
    assert_eq!(till.asked(), [("place", key(&order, 1))]);
    shop.pass(2);
    worker.turn().await;
    worker.turn().await;
    assert_eq!(till.asked(), [("place", key(&order, 1)), ("place", key(&order, 2))]);
    assert_eq!(shop.status(&order), OrderStatus::Received);
    assert!(shop.ticket_deliveries(&order).iter().all(|ticket| ticket.state == DeliveryState::Sent));
    assert_eq!(shop.texts(&order), [DeliveryKind::TextReceived], "told once");
}

#[tokio::test]
async fn what_comes_on_top_and_is_refused_leaves_the_order_as_it_is() {
    let shop = Shop::open_through_pos().await;
    let till = Till::that_says([Says::Yes, Says::No, Says::No, Says::No, Says::No]);
    let order = shop.pending(false).await;
    let mut worker = worker(&shop, Some(&till));
    worker.turn().await;
    shop.orders.append(&order.order_id, new(vec![taro(2)])).await.expect("amended");
    for _ in 0..4 {
        worker.turn().await;
        shop.pass(8);
    }
    assert_eq!(shop.status(&order), OrderStatus::Received);
    let states: Vec<_> = shop.ticket_deliveries(&order).iter().map(|ticket| ticket.state).collect();
    assert_eq!(states, [DeliveryState::Sent, DeliveryState::Failed]);
    assert_eq!(shop.orders.undelivered(9).await.expect("readable").len(), 1, "staff see it");
}

#[tokio::test]
async fn what_comes_on_top_of_what_is_cancelled_is_never_put() {
    let shop = Shop::open_through_pos().await;
    let till = Till::that_says([Says::No, Says::No, Says::No, Says::No]);
    let order = shop.pending(false).await;
    shop.orders.append(&order.order_id, new(vec![taro(2)])).await.expect("amended");
    let mut worker = worker(&shop, Some(&till));
    for _ in 0..6 {
        worker.turn().await;
        shop.pass(8);
    }
    assert_eq!(till.asked(), vec![("place", key(&order, 1)); 4]);
    let states: Vec<_> = shop.ticket_deliveries(&order).iter().map(|ticket| ticket.state).collect();
    assert_eq!(states, [DeliveryState::Skipped, DeliveryState::Skipped]);
}

#[tokio::test]
async fn what_staff_decide_is_not_put_to_the_till_any_more() {
    let shop = Shop::open_through_pos().await;
    let till = Till::that_says([]);
    for (to, why) in
        [(OrderStatus::Received, "staff accepted the order"), (OrderStatus::Cancelled, "staff cancelled the order")]
    {
        let order = shop.pending(false).await;
        shop.set(&order, to).await.expect("the table has it");
        let [ticket] = &shop.ticket_deliveries(&order)[..] else { panic!("one ticket") };
        assert_eq!((ticket.state, ticket.reason.as_deref()), (DeliveryState::Skipped, Some(why)));
    }
    worker(&shop, Some(&till)).turn().await;
    assert_eq!(till.asked(), []);
}

#[tokio::test]
async fn an_answer_that_comes_after_staff_have_decided_moves_nothing() {
    let shop = Shop::open_through_pos().await;
    let till = Till::that_says([Says::Later]);
    let order = shop.pending(false).await;
    let mut worker = worker(&shop, Some(&till));
    worker.take_on().await.expect("one is under way");
    till.is_asked.notified().await;
    shop.set(&order, OrderStatus::Cancelled).await.expect("cancelled");
    assert_eq!(shop.ticket_deliveries(&order)[0].state, DeliveryState::Owed, "it is being asked");
    till.goes_on.notify_one();
    worker.finish().await;
    assert_eq!(shop.status(&order), OrderStatus::Cancelled);
    assert_eq!(shop.ticket_deliveries(&order)[0].state, DeliveryState::Sent);
    shop.orders
        .undo(&order.order_id, None, crate::order_service::tests::origin("staff"))
        .await
        .expect("cancelled by a slip");
    worker.turn().await;
    assert_eq!(till.asked().last(), Some(&("find", key(&order, 1))), "what it has is found, not placed twice");
    assert_eq!(shop.status(&order), OrderStatus::Received);
}

#[tokio::test]
async fn who_is_gone_without_a_word_after_staff_have_decided_is_asked_and_not_placed() {
    let shop = Shop::open_through_pos().await;
    let till = Till::that_says([]);
    let order = shop.pending(false).await;
    let id = shop.ticket_deliveries(&order)[0].id;
    shop.orders.claim(&order.order_id, id).await.expect("saved").expect("due");
    shop.set(&order, OrderStatus::Cancelled).await.expect("cancelled");
    shop.orders.release_claims().await.expect("a new server");
    worker(&shop, Some(&till)).turn().await;
    assert_eq!(till.asked(), [("find", key(&order, 1))]);
    assert_eq!(shop.ticket_deliveries(&order)[0].state, DeliveryState::Skipped);
    assert_eq!(shop.status(&order), OrderStatus::Cancelled);
}

#[tokio::test]
async fn without_a_point_of_sale_only_what_the_last_one_may_have_is_for_staff_to_decide() {
    let shop = Shop::open_through_pos().await;
    let (fresh, refused, unclear) = (shop.pending(false).await, shop.pending(true).await, shop.pending(false).await);
    shop.orders.append(&fresh.order_id, new(vec![taro(2)])).await.expect("amended");
    for (order, attempt) in [
        (&refused, Attempt::Refused { again: shop.orders.now(), reason: "out of paper".to_owned() }),
        (&unclear, Attempt::Retry { at: shop.orders.now(), reason: "the line broke".to_owned() }),
    ] {
        let id = shop.ticket_deliveries(order)[0].id;
        let claimed = shop.orders.claim(&order.order_id, id).await.expect("saved").expect("due");
        let claim = claimed.delivery.claimed_until;
        shop.orders.record_attempt(&order.order_id, id, claim, attempt).await.expect("recorded");
    }
    let mut worker = worker(&shop, None);
    worker.turn().await;
    worker.turn().await;
    for order in [&fresh, &refused] {
        let record = shop.stored(order);
        assert_eq!(by_whom(&record).last(), Some(&(OrderStatus::Received, "system")));
        assert!(shop.ticket_deliveries(order).iter().all(|ticket| ticket.state == DeliveryState::Skipped));
        assert_eq!(shop.texts(order), [DeliveryKind::TextReceived]);
    }
    assert_eq!(shop.status(&unclear), OrderStatus::Pending, "nobody knows");
    let state = ticket_state(&shop.stored(&unclear));
    assert_eq!(state, TicketState::Refused { reason: SWITCHED_OFF.to_owned() });
}
