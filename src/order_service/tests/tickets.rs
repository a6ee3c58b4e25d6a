//! Orders that a point of sale has to take first, as far as the service alone decides.

use super::*;
use crate::pos::Ticket;
use serde_json::json;

fn refused(shop: &Shop) -> Attempt {
    Attempt::Refused { again: shop.orders.now(), reason: "out of paper".to_owned() }
}

fn again(items: Vec<Item>, key: &str) -> SendAgain {
    SendAgain {
        items,
        notes: None,
        pickup_at: None,
        name: None,
        phone: None,
        most_drinks: None,
        metadata: serde_json::Map::new(),
        idempotency: key_of(key),
        origin: origin("web"),
    }
}

impl Shop {
    /// An order that stays pending when it is refused.
    async fn held(&self, order: NewOrder) -> Order {
        self.place(NewOrder { held_when_refused: true, allow_duplicate: true, ..order }).await
    }

    /// One that was refused in the end.
    async fn refused(&self, order: NewOrder) -> Order {
        let order = self.held(order).await;
        self.refuse(&order).await;
        order
    }

    async fn refuse(&self, order: &Order) {
        for _ in 0..MOST_REFUSALS {
            let [claimed] = &self.claim(Lane::Pos, 9).await[..] else { panic!("one ticket is owed") };
            self.tell(order, claimed.delivery.id, refused(self)).await;
        }
        assert!(matches!(self.ticket_state(order), TicketState::Refused { .. }));
    }

    fn ticket_state(&self, order: &Order) -> TicketState {
        ticket_state(&self.stored(order))
    }

    fn tickets(&self, order: &Order) -> Vec<(DeliveryState, Ticket)> {
        let all = self.stored(order).deliveries.into_iter();
        let tickets = all.filter(|delivery| delivery.kind == DeliveryKind::PosTicket);
        tickets.map(|delivery| (delivery.state, serde_json::from_str(&delivery.body).expect("a ticket"))).collect()
    }
}

#[tokio::test]
async fn a_ticket_tells_the_order_and_nobodys_number() {
    let shop = Shop::open_through_pos().await;
    let metadata = json!({"table": "7", "session": "s1", "guests": "Ada\nGrace"});
    let order = NewOrder {
        name: Some("Ada".to_owned()),
        notes: Some("two straws".to_owned()),
        metadata: metadata.as_object().expect("an object").clone(),
        ..new(vec![taro(2)])
    };
    let order = shop.place(order).await;
    let [(DeliveryState::Owed, ticket)] = &shop.tickets(&order)[..] else { panic!("one ticket is owed") };
    assert_eq!(ticket.key, "ORD-main-1:1");
    assert_eq!((ticket.order_number, ticket.version, ticket.is_addition), (order.order_number, 1, false));
    assert_eq!((ticket.channel.as_str(), ticket.currency.as_str()), ("phone", "USD"));
    assert_eq!((ticket.name.as_deref(), ticket.table.as_deref()), (Some("Ada"), Some("7")));
    assert_eq!(ticket.notes.as_deref(), Some("two straws"));
    assert_eq!((&ticket.items, ticket.total), (&order.items, order.total));
    assert!(!serde_json::to_string(ticket).expect("JSON").contains("5551234567"));
    let since = shop.orders.now();
    assert_eq!(shop.ticket_state(&order), TicketState::Waiting { since, reason: None });
}

#[tokio::test]
async fn what_comes_on_top_has_a_ticket_of_its_own() {
    let shop = Shop::open_through_pos().await;
    let order = shop.place(new(vec![taro(1)])).await;
    shop.pass(60);
    let more = NewOrder { notes: Some("quickly".to_owned()), ..new(vec![taro(3)]) };
    shop.orders.append(&order.order_id, more).await.expect("amended");
    let [(_, first), (DeliveryState::Owed, second)] = &shop.tickets(&order)[..] else { panic!("two tickets") };
    assert_eq!((first.items[0].quantity, first.is_addition), (1, false));
    assert_eq!((second.key.as_str(), second.is_addition), ("ORD-main-1:2", true));
    assert_eq!((&second.items, second.notes.as_deref()), (&vec![taro(3)], Some("quickly")));
    let since = shop.orders.now() - SignedDuration::from_mins(1);
    assert_eq!(shop.ticket_state(&order), TicketState::Waiting { since, reason: None }, "it waits since the first");
}

#[tokio::test]
async fn without_a_point_of_sale_an_order_is_received_at_once() {
    let shop = Shop::open().await;
    let order = shop.place(NewOrder { held_when_refused: true, ..new(vec![taro(1)]) }).await;
    assert_eq!(order.status, OrderStatus::Received);
    shop.orders.append(&order.order_id, new(vec![taro(1)])).await.expect("amended");
    assert_eq!(shop.tickets(&order), []);
    assert_eq!(shop.ticket_state(&order), TicketState::Settled);
    assert!(!shop.stored(&order).held_when_refused, "there is nobody to refuse it");
}

#[tokio::test]
async fn a_tables_order_may_have_as_many_drinks_as_its_guests() {
    let shop = Shop::open_through_pos().await;
    let many = |most_drinks| NewOrder { phone: None, most_drinks, ..new(vec![taro(9), taro(9), taro(9)]) };
    let refused = shop.orders.create(many(None)).await;
    assert!(matches!(refused, Err(OrderError::Limit { limit: 10, per_phone: false })), "{refused:?}");
    let refused = shop.orders.create(many(Some(26))).await;
    assert!(matches!(refused, Err(OrderError::Limit { limit: 26, per_phone: false })), "{refused:?}");
    assert_eq!(shop.place(many(Some(27))).await.drinks(), 27);
}

#[tokio::test]
async fn what_was_refused_is_sent_again_as_it_is_now() {
    let shop = Shop::open_through_pos().await;
    let order = NewOrder { phone: None, notes: Some("hot".to_owned()), ..new(vec![taro(1)]) };
    let order = shop.refused(order).await;
    let mut feed = shop.events.subscribe(Audience::Staff, None);
    let metadata = json!({"guests": "Ada"}).as_object().expect("an object").clone();
    let retry = SendAgain {
        name: Some("Ada".to_owned()),
        phone: Some(phone("555-123-9999")),
        metadata,
        ..again(vec![taro(2), taro(1)], "table:s:2")
    };
    let sent = shop.orders.send_again(&order.order_id, retry.clone()).await.expect("refused before");
    assert_eq!((&sent.order_id, sent.order_number), (&order.order_id, order.order_number));
    assert_eq!((sent.status, sent.version, sent.drinks()), (OrderStatus::Pending, 2, 3));
    assert_eq!((sent.total.cents(), sent.notes.as_deref(), sent.name.as_deref()), (1650, Some("hot"), Some("Ada")));
    assert_eq!(sent.customer_id.as_deref(), Some("+15551239999"));
    assert_eq!(sent.metadata["guests"], "Ada");
    let record = shop.stored(&order);
    assert_eq!(record.order, sent);
    assert_eq!(record.audit.last().map(|entry| (entry.what.as_str(), entry.by.as_str())), Some(("sent_again", "web")));
    let [(DeliveryState::Skipped, _), (DeliveryState::Owed, ticket)] = &shop.tickets(&order)[..] else {
        panic!("the new one alone is owed")
    };
    assert_eq!((ticket.key.as_str(), ticket.is_addition, &ticket.items), ("ORD-main-1:2", false, &sent.items));
    assert!(shop.orders.undelivered(9).await.expect("readable").is_empty());
    let EventDelivery::Event(_, json) = feed.next().await else { panic!("an event was expected") };
    assert!(json.contains("\"order_updated\""), "{json}");

    let repeated = shop.orders.send_again(&order.order_id, retry).await.expect("done already");
    assert_eq!(repeated, sent);
    assert_eq!(shop.orders.ordered_by("table:s:2").await.expect("readable"), Some(sent));
    let [claimed] = &shop.claim(Lane::Pos, 9).await[..] else { panic!("one ticket is owed") };
    shop.tell(&order, claimed.delivery.id, Attempt::Sent { provider_id: None }).await;
    let record = shop.stored(&order);
    assert_eq!((record.order.status, record.order.version), (OrderStatus::Received, 3));
    let text = record.deliveries.iter().find(|delivery| delivery.kind == DeliveryKind::TextReceived).expect("owed");
    assert_eq!(text.to, Some(phone("555-123-9999")));
}

#[tokio::test]
async fn only_what_was_refused_is_sent_again() {
    let shop = Shop::open_through_pos().await;
    let order = shop.held(new(vec![taro(1)])).await;
    let waiting = shop.orders.send_again(&order.order_id, again(vec![taro(2)], "table:1")).await;
    assert!(matches!(waiting, Err(OrderError::InProgress)), "{waiting:?}");
    let [claimed] = &shop.claim(Lane::Pos, 9).await[..] else { panic!("one ticket is owed") };
    shop.tell(&order, claimed.delivery.id, Attempt::Sent { provider_id: None }).await;
    let taken = shop.orders.send_again(&order.order_id, again(vec![taro(2)], "table:1")).await;
    let from = OrderStatus::Received;
    assert!(matches!(taken, Err(OrderError::InvalidState { from: was, .. }) if was == from), "{taken:?}");
    assert_eq!(shop.stored(&order).order.drinks(), 1);
    let nowhere = OrderId::numbered("main", 99);
    let missing = shop.orders.send_again(&nowhere, again(vec![taro(2)], "table:1")).await;
    assert!(matches!(missing, Err(OrderError::NotFound)), "{missing:?}");
}

#[tokio::test]
async fn what_is_sent_again_is_checked_as_a_new_order() {
    let shop = Shop::open_through_pos().await;
    let other = shop.place(NewOrder { phone: Some(phone("555-123-9999")), ..new(vec![taro(10)]) }).await;
    shop.set(&other, OrderStatus::Received).await.expect("accepted by hand");
    let order = shop.refused(NewOrder { most_drinks: Some(15), ..new(vec![taro(9), taro(6)]) }).await;
    let id = &order.order_id;
    let empty = shop.orders.send_again(id, again(Vec::new(), "table:1")).await;
    assert!(matches!(empty, Err(OrderError::Empty)), "{empty:?}");
    let many = shop.orders.send_again(id, again(vec![taro(11)], "table:1")).await;
    assert!(matches!(many, Err(OrderError::Limit { limit: 10, per_phone: false })), "{many:?}");
    let theirs = SendAgain {
        phone: Some(phone("555-123-9999")),
        most_drinks: Some(20),
        ..again(vec![taro(6), taro(5)], "table:1")
    };
    let many = shop.orders.send_again(id, theirs).await;
    assert!(matches!(many, Err(OrderError::Limit { limit: 20, per_phone: true })), "theirs and these: {many:?}");
    let keyed = SendAgain {
        idempotency: Idempotency { request: "one".to_owned(), ..key_of("table:1") },
        most_drinks: Some(40),
        ..again(vec![taro(20)], "")
    };
    shop.orders.send_again(id, keyed.clone()).await.expect("the old lines do not count");
    let other = SendAgain { idempotency: Idempotency { request: "two".to_owned(), ..key_of("table:1") }, ..keyed };
    let mismatch = shop.orders.send_again(id, other).await;
    assert!(matches!(mismatch, Err(OrderError::KeyMismatch)), "{mismatch:?}");
}

#[tokio::test]
async fn a_wish_stays_unless_it_is_taken_away() {
    let shop = Shop::open_through_pos().await;
    let order = shop.refused(NewOrder { notes: Some("nut allergy".to_owned()), ..new(vec![taro(1)]) }).await;
    let sent = shop.orders.send_again(&order.order_id, again(vec![taro(2)], "table:1")).await.expect("refused before");
    assert_eq!(sent.notes.as_deref(), Some("nut allergy"));
    let ticket = shop.tickets(&order).pop().expect("a ticket").1;
    assert_eq!(ticket.notes.as_deref(), Some("nut allergy"));
    shop.refuse(&order).await;
    let without = SendAgain { notes: Some(None), ..again(vec![taro(2)], "table:2") };
    let sent = shop.orders.send_again(&order.order_id, without).await.expect("refused before");
    assert_eq!(sent.notes, None);
}

#[tokio::test]
async fn what_is_sent_again_is_fetched_when_it_is_wanted_now() {
    let text = include_str!("../../../menus/boba.toml");
    let menu = Menu::parse(&format!("{text}\n[slots]\nminutes = 15\ndrinks = 10")).expect("a menu");
    let dir = tempfile::tempdir().expect("a temporary folder");
    let shop = Shop::open_through(dir, true, false, menu, true).await;
    let at = |hours: i64| Some(shop.orders.now() + SignedDuration::from_hours(hours));
    let to_be_fetched = |pickup_at, drinks| NewOrder { pickup_at, phone: None, ..new(vec![taro(drinks)]) };
    let order = shop.refused(to_be_fetched(at(2), 6)).await;
    shop.held(to_be_fetched(at(3), 6)).await;
    let retry = |pickup_at, key| SendAgain { pickup_at, ..again(vec![taro(6)], key) };
    let full = shop.orders.send_again(&order.order_id, retry(at(3), "table:1")).await;
    let Err(OrderError::NoSlot(no)) = full else { panic!("it was taken: {full:?}") };
    assert!(!no.next_free.is_empty());
    assert_eq!(shop.stored(&order).order.pickup_at, at(2), "nothing was changed");
    let sent = shop.orders.send_again(&order.order_id, retry(at(4), "table:2")).await.expect("free");
    assert_eq!((sent.pickup_at, sent.estimated_ready_time), (at(4), at(4)));
    let claimed = shop.claim(Lane::Pos, 9).await;
    let tickets = shop.tickets(&order);
    assert_eq!(tickets.last().map(|(_, ticket)| ticket.pickup_at), Some(at(4)), "the till is told");
    let theirs = claimed.iter().find(|claimed| claimed.record.order.order_id == order.order_id).expect("owed");
    for _ in 0..MOST_REFUSALS {
        shop.tell(&order, theirs.delivery.id, refused(&shop)).await;
    }
    let own =
        shop.orders.send_again(&order.order_id, retry(at(4), "table:3")).await.expect("its own drinks do not count");
    assert_eq!(own.pickup_at, at(4));
}

#[tokio::test]
async fn a_large_table_may_leave_a_number() {
    let shop = Shop::open_through_pos().await;
    let lines = || vec![taro(9), taro(9), taro(9)];
    let few = shop.orders.create(NewOrder { most_drinks: Some(26), ..new(lines()) }).await;
    assert!(matches!(few, Err(OrderError::Limit { limit: 26, per_phone: false })), "{few:?}");
    let order = shop.refused(NewOrder { most_drinks: Some(27), ..new(lines()) }).await;
    let retry = SendAgain { most_drinks: Some(27), ..again(lines(), "table:1") };
    assert_eq!(shop.orders.send_again(&order.order_id, retry).await.expect("refused before").drinks(), 27);
    let second = shop.orders.create(NewOrder { most_drinks: Some(27), allow_duplicate: true, ..new(lines()) }).await;
    assert!(matches!(second, Err(OrderError::Limit { limit: 27, per_phone: true })), "{second:?}");
}

#[tokio::test]
async fn a_slip_of_staff_brings_the_ticket_back() {
    let shop = Shop::open_through_pos().await;
    for to in [OrderStatus::Received, OrderStatus::Cancelled] {
        let order = shop.held(new(vec![taro(1)])).await;
        shop.set(&order, to).await.expect("decided");
        assert_eq!(shop.ticket_state(&order), TicketState::Settled);
        shop.orders.undo(&order.order_id, None, origin("staff")).await.expect("in time");
        assert!(matches!(shop.ticket_state(&order), TicketState::Waiting { reason: None, .. }));
        assert_eq!(shop.claim(Lane::Pos, 9).await.len(), 1);
        shop.set(&order, OrderStatus::Cancelled).await.expect("cancelled");

        let order = shop.refused(new(vec![taro(1)])).await;
        shop.set(&order, to).await.expect("decided");
        assert!(shop.orders.undelivered(9).await.expect("readable").is_empty(), "there is nothing left to do");
        shop.orders.undo(&order.order_id, None, origin("staff")).await.expect("in time");
        assert_eq!(shop.ticket_state(&order), TicketState::Refused { reason: "out of paper".to_owned() });
        shop.set(&order, OrderStatus::Cancelled).await.expect("cancelled");
    }
}

#[tokio::test]
async fn what_staff_settled_is_not_brought_back_by_a_later_slip() {
    let shop = Shop::open_through_pos().await;
    for refused in [false, true] {
        let order = new(vec![taro(1)]);
        let order = if refused { shop.refused(order).await } else { shop.held(order).await };
        shop.set(&order, OrderStatus::Received).await.expect("accepted by hand");
        for to in [OrderStatus::Preparing, OrderStatus::Cancelled] {
            shop.pass(60);
            shop.set(&order, to).await.expect("moved");
            shop.orders.undo(&order.order_id, None, origin("staff")).await.expect("in time");
            assert_eq!(shop.tickets(&order)[0].0, DeliveryState::Skipped, "undone from {to}");
        }
        assert!(shop.claim(Lane::Pos, 9).await.is_empty());
        assert!(shop.orders.undelivered(9).await.expect("readable").is_empty());
    }
    let order = shop.held(new(vec![taro(1)])).await;
    let [claimed] = &shop.claim(Lane::Pos, 9).await[..] else { panic!("one ticket is owed") };
    shop.tell(&order, claimed.delivery.id, Attempt::Sent { provider_id: None }).await;
    shop.orders.append(&order.order_id, new(vec![taro(2)])).await.expect("amended");
    shop.set(&order, OrderStatus::Cancelled).await.expect("cancelled");
    shop.orders.undo(&order.order_id, None, origin("staff")).await.expect("in time");
    let states: Vec<_> = shop.tickets(&order).into_iter().map(|(state, _)| state).collect();
    assert_eq!(states, [DeliveryState::Sent, DeliveryState::Owed], "what came on top is wanted again");
}

#[tokio::test]
async fn staff_learn_that_the_till_has_what_they_cancelled() {
    let shop = Shop::open_through_pos().await;
    let order = shop.held(new(vec![taro(1)])).await;
    let [claimed] = &shop.claim(Lane::Pos, 9).await[..] else { panic!("one ticket is owed") };
    shop.set(&order, OrderStatus::Cancelled).await.expect("cancelled");
    assert_eq!(shop.ticket_state(&order), TicketState::Settled);
    let mut feed = shop.events.subscribe(Audience::Staff, None);
    shop.tell(&order, claimed.delivery.id, Attempt::Sent { provider_id: Some("T-17".to_owned()) }).await;
    assert_eq!(shop.ticket_state(&order), TicketState::Stray { reference: Some("T-17".to_owned()) });
    let EventDelivery::Event(_, json) = feed.next().await else { panic!("an event was expected") };
    let event: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((&event["type"], &event["status"]), (&json!("order_updated"), &json!("cancelled")));
}

#[tokio::test]
async fn staff_may_put_what_was_refused_to_the_till_once_more() {
    let shop = Shop::open_through_pos().await;
    let order = shop.refused(new(vec![taro(1)])).await;
    let id = shop.stored(&order).deliveries[0].id;
    shop.orders.retry_delivery(&order.order_id, id, origin("staff")).await.expect("given up");
    let [claimed] = &shop.claim(Lane::Pos, 9).await[..] else { panic!("one ticket is owed") };
    assert!(matches!(ticket_step(claimed), TicketStep::Place(_)), "it certainly does not have it");
    shop.tell(&order, id, refused(&shop)).await;
    assert!(matches!(shop.ticket_state(&order), TicketState::Waiting { .. }), "the count begins anew");
    shop.set(&order, OrderStatus::Cancelled).await.expect("cancelled");
    let over = shop.orders.retry_delivery(&order.order_id, id, origin("staff")).await;
    assert!(matches!(over, Err(OrderError::NoSuchDelivery)), "{over:?}");
}

#[tokio::test]
async fn an_answer_under_a_claim_that_was_lost_counts_only_if_it_is_yes() {
    let shop = Shop::open_through_pos().await;
    let order = shop.held(new(vec![taro(1)])).await;
    let [first] = &shop.claim(Lane::Pos, 9).await[..] else { panic!("one ticket is owed") };
    shop.pass(60);
    let [second] = &shop.claim(Lane::Pos, 9).await[..] else { panic!("its claim is over") };
    assert!(matches!(ticket_step(second), TicketStep::Find(_)));
    let (id, late) = (first.delivery.id, first.delivery.claimed_until);
    shop.orders.record_attempt(&order.order_id, id, late, refused(&shop)).await.expect("recorded");
    let ticket = shop.stored(&order).deliveries[0].clone();
    assert_eq!((ticket.refusals, ticket.claimed_until), (0, second.delivery.claimed_until));
    let yes = Attempt::Sent { provider_id: None };
    shop.orders.record_attempt(&order.order_id, id, late, yes.clone()).await.expect("recorded");
    assert_eq!(shop.stored(&order).order.status, OrderStatus::Received);
    shop.tell(&order, id, yes).await;
    let record = shop.stored(&order);
    assert_eq!(record.order.version, 2, "told twice it moves once");
}

#[tokio::test]
async fn every_move_is_told_with_what_became_of_the_ticket() {
    let shop = Shop::open_through_pos().await;
    let order = shop.place(new(vec![taro(1)])).await;
    let mut feed = shop.events.subscribe(Audience::Staff, None);
    for _ in 0..MOST_REFUSALS {
        let [claimed] = &shop.claim(Lane::Pos, 9).await[..] else { panic!("one ticket is owed") };
        shop.tell(&order, claimed.delivery.id, refused(&shop)).await;
    }
    let mut told = Vec::new();
    for _ in 0..2 {
        let EventDelivery::Event(_, json) = feed.next().await else { panic!("an event was expected") };
        let event: serde_json::Value = serde_json::from_str(&json).expect("JSON");
        told.push((event["type"].clone(), event["status"].clone(), event["kind"].clone()));
    }
    let expected = [
        (json!("order_status_changed"), json!("cancelled"), json!(null)),
        (json!("delivery_failed"), json!("cancelled"), json!("pos_ticket")),
    ];
    assert_eq!(told, expected);
    let undone = shop.orders.undo(&order.order_id, None, origin("staff")).await;
    assert!(matches!(undone, Err(OrderError::NothingToUndo)), "{undone:?}");
}

#[tokio::test]
async fn who_is_forgotten_while_the_till_is_asked_leaves_an_order_without_a_name() {
    let shop = Shop::open_through_pos().await;
    let metadata = json!({"table": "7", "guests": "Ada\nGrace"}).as_object().expect("an object").clone();
    let mut noted = taro(1);
    noted.note = Some("for Ada".to_owned());
    let order = NewOrder {
        name: Some("Ada".to_owned()),
        notes: Some("Ada's birthday".to_owned()),
        metadata,
        ..new(vec![noted])
    };
    let order = shop.place(order).await;
    let forget = async || shop.orders.forget(&phone("555-123-4567"), origin("staff")).await.expect("forgotten").orders;
    assert_eq!(forget().await, 1);
    let path = shop.orders.place_of(&order.order_id).expect("a file");
    let written = std::fs::read_to_string(path).expect("readable");
    assert!(!written.contains("Ada") && !written.contains("Grace"), "{written}");
    let [(DeliveryState::Owed, ticket)] = &shop.tickets(&order)[..] else { panic!("it is still owed") };
    assert_eq!((ticket.items.len(), ticket.name.as_deref()), (1, None));
    let [claimed] = &shop.claim(Lane::Pos, 9).await[..] else { panic!("one ticket is owed") };
    shop.tell(&order, claimed.delivery.id, Attempt::Sent { provider_id: None }).await;
    assert_eq!(shop.stored(&order).order.status, OrderStatus::Received);
}
