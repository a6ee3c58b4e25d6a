//! What the agent no longer wants: taken back where nothing was built on it, and never half an order.

use super::*;
use crate::ordering::cart::CartError;
use crate::ordering::order::{Choice, Item};
use crate::tools::journal::{Act, Journal};
use proptest::prelude::*;
use std::collections::HashMap;

impl Call {
    async fn ask_as(&mut self, id: &str, name: &str, arguments: Value) -> Value {
        let request = self.request(id, 0, name, &arguments.to_string());
        let (answer, _) = self.carry_out(request).await;
        assert_eq!(answer["ok"], true, "{name}: {answer}");
        answer
    }

    fn cancel(&mut self, ids: &[&str]) {
        self.desk.cancel(&ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>());
    }

    /// Lines, the staged drink, number and name.
    fn state(&self) -> (Vec<Item>, Option<Item>, Option<String>, Option<String>) {
        let journal = &self.desk.journal;
        (
            journal.cart().items().to_vec(),
            journal.cart().pending().cloned(),
            journal.phone().map(|phone| phone.as_e164().to_owned()),
            journal.name().map(str::to_owned),
        )
    }
}

#[tokio::test]
async fn each_change_is_taken_back_and_all_of_them_at_once() {
    let shop = Counter::new("boba").await;
    let mut call = shop.call("CA1", ANA);
    let mut states = vec![call.state()];
    let changes = [
        ("1", "add_to_cart", json!({"flavor": "taro"})),
        ("2", "update_pending_item", json!({"ice": "no ice"})),
        ("3", "clear_pending_item", json!({})),
        ("4", "add_to_cart", json!({"flavor": "black"})),
        ("5", "confirm_pending_to_cart", json!({})),
        ("6", "modify_cart_item", json!({"index": 0, "quantity": 2})),
        ("7", "set_sweetness_ice", json!({"ice": "less ice"})),
        ("8", "remove_from_cart", json!({"index": 0})),
        ("9", "save_phone_number", json!({})),
        ("10", "confirm_phone_number", json!({"confirmed": false})),
    ];
    for (id, name, arguments) in &changes {
        call.heard().ask_as(id, name, arguments.clone()).await;
        let after = call.state();
        assert_ne!(Some(&after), states.last(), "{name} changes something");
        states.push(after);
    }
    for (id, name, _) in changes.iter().rev() {
        states.pop();
        call.cancel(&[id]);
        assert_eq!(Some(&call.state()), states.last(), "{name}");
    }
    for (id, name, arguments) in &changes {
        call.heard().ask_as(id, name, arguments.clone()).await;
    }
    call.cancel(&["3", "1", "2", "10", "9", "8", "7", "6", "5", "4", "nobody's"]);
    assert_eq!(call.state(), states[0], "in whatever sequence they are named");
}

#[tokio::test]
async fn several_are_taken_back_also_when_each_comes_in_a_message_of_its_own() {
    let shop = Counter::new("boba").await;
    let mut call = shop.call("CA1", ANA);
    let before = call.state();
    call.heard().ask_as("1", "add_to_cart", json!({"flavor": "taro"})).await;
    call.ask_as("2", "update_pending_item", json!({"ice": "no ice"})).await;
    call.cancel(&["1"]);
    assert!(call.state().1.is_some(), "the second rests on it");
    call.cancel(&["2"]);
    assert_eq!(call.state(), before);
}

#[tokio::test]
async fn what_was_built_on_stays_and_what_was_not_goes() {
    let shop = Counter::new("boba").await;
    let mut call = shop.call("CA1", ANA);
    call.heard().ask_as("1", "add_to_cart", json!({"flavor": "taro"})).await;
    call.ask_as("2", "save_phone_number", json!({})).await;
    call.heard().ask_as("3", "confirm_pending_to_cart", json!({})).await;
    call.cancel(&["1", "2"]);
    let (lines, pending, phone, _) = call.state();
    assert_eq!((lines.len(), pending, phone), (1, None, None));

    // Two lines; the one that stays was changed by its place.
    call.heard().ask_as("4", "add_to_cart", json!({"flavor": "black"})).await;
    call.heard().ask_as("5", "confirm_pending_to_cart", json!({})).await;
    call.ask_as("6", "remove_from_cart", json!({"index": 0})).await;
    call.ask_as("7", "modify_cart_item", json!({"index": 0, "ice": "no ice"})).await;
    let before = call.state();
    call.cancel(&["6"]);
    assert_eq!(call.state(), before, "the line that was changed would be another one");
    call.cancel(&["7"]);
    assert_eq!(call.state().0.len(), 2, "and now both are taken back");
}

#[tokio::test]
async fn a_read_back_that_was_taken_back_was_none() {
    let shop = Counter::new("boba").await;
    let mut call = shop.call("CA1", ANA);
    call.take_drink(json!({"flavor": "taro"})).await;
    call.take_drink(json!({"flavor": "black"})).await;
    call.heard().ask_as("1", "get_cart", json!({})).await;
    call.heard().cancel(&["1"]);
    let whole = json!({"phone": ANA, "confirmed": true});
    assert_eq!(call.refused("checkout_order", whole.clone()).await, "NEEDS_CONFIRMATION");
    call.ask_as("2", "get_cart", json!({})).await;
    call.heard().ok("checkout_order", whole).await;
}

#[tokio::test]
async fn a_yes_counts_only_after_what_was_taken_back() {
    let shop = Counter::new("boba").await;
    let mut call = shop.call("CA1", ANA);
    call.heard().ask_as("1", "add_to_cart", json!({"flavor": "taro"})).await;
    call.heard().ask_as("2", "update_pending_item", json!({"quantity": 2})).await;
    call.cancel(&["2"]);
    assert_eq!(call.refused("confirm_pending_to_cart", json!({})).await, "NEEDS_CONFIRMATION");
    let confirmed = call.heard().ok("confirm_pending_to_cart", json!({})).await;
    assert_eq!(confirmed["item"]["quantity"], 1);
}

#[tokio::test]
async fn what_is_long_ago_stays_and_an_id_means_the_latest_request() {
    let shop = Counter::new("boba").await;
    let mut call = shop.call("CA1", ANA);
    call.heard().ask_as("first", "add_to_cart", json!({"flavor": "taro"})).await;
    for _ in 0..16 {
        call.ask_as("look", "get_cart", json!({})).await;
    }
    call.cancel(&["first"]);
    assert!(call.state().1.is_some());
    call.ask_as("first", "update_pending_item", json!({"quantity": 2})).await;
    call.cancel(&["first", "look"]);
    assert_eq!(call.state().1.map(|item| item.quantity), Some(1));
    call.cancel(&["", "first"]);
    assert!(call.state().1.is_some());
}

#[tokio::test]
async fn a_refused_checkout_leaves_neither_number_nor_name_when_taken_back() {
    let shop = Counter::new("boba").await;
    let mut call = shop.call("CA1", ANA);
    let request = call.request("1", 0, "checkout_order", &json!({"phone": ANA, "name": "Ana"}).to_string());
    assert_eq!(call.carry_out(request).await.0["code"], "EMPTY_CART");
    assert_eq!(call.state().3.as_deref(), Some("Ana"));
    call.cancel(&["1"]);
    assert_eq!((call.state().2, call.state().3), (None, None));
}

/// On one thread a save cannot begin before the desk has taken all requests that lie ready.
#[tokio::test(flavor = "current_thread")]
async fn an_order_under_way_is_carried_through_and_what_waits_for_it_does_not_begin() {
    let shop = Counter::new("boba").await;
    let mut call = shop.call("CA1", ANA);
    call.heard().ask_as("a", "add_to_cart", json!({"flavor": "taro"})).await;
    call.heard().ask_as("b", "confirm_pending_to_cart", json!({})).await;
    let (requests, incoming) = mpsc::channel(16);
    let (outgoing, mut answers) = mpsc::channel(16);
    let run = |id: &str, name: &str| {
        let request = call.request(id, 0, name, &json!({}).to_string());
        DeskRequest::Run(request)
    };
    let number = DeskRequest::Run(call.request("0", 0, "save_phone_number", "{}"));
    let cancel = |ids: &[&str]| DeskRequest::Cancel(ids.iter().map(|id| (*id).to_owned()).collect());
    let asked = [
        number,
        run("1", "checkout_order"),
        run("2", "checkout_order"),
        run("3", "order_is_placed"),
        run("4", "order_is_placed"),
        cancel(&["0", "a", "b", "1", "2", "3"]),
    ];
    for request in asked {
        requests.try_send(Box::new(request)).unwrap();
    }
    let desk = tokio::spawn(call.desk.run(incoming, outgoing));
    let mut told = Vec::new();
    for _ in 0..3 {
        told.push(answers.recv().await.unwrap());
    }
    assert_eq!(told.iter().map(|answer| answer.id.as_str()).collect::<Vec<_>>(), ["0", "1", "4"]);
    let orders = shop.orders.recent(10).await.unwrap();
    let order = &orders[0].order;
    let (order_number, spoken) = (order.order_number.to_string(), order.order_number.spoken());
    assert_eq!(told[1].effect, Some(Effect::OrderPlaced { order_number, spoken }));
    assert_eq!(serde_json::from_str::<Value>(&told[2].content).unwrap()["placed"], true);

    // What has become an order is not taken back, and the next checkout is answered with it.
    requests.send(Box::new(cancel(&["1", "b", "a"]))).await.unwrap();
    let again = ToolRequest {
        id: "5".into(),
        name: "checkout_order".into(),
        arguments: "{}".into(),
        turn: Turn(9),
        batch: 1,
        heard: true,
    };
    requests.send(Box::new(DeskRequest::Run(again))).await.unwrap();
    let again = answers.recv().await.unwrap();
    assert_eq!((again.id.as_str(), &again.content), ("5", &told[1].content));
    drop(requests);
    desk.await.unwrap();
    assert_eq!((orders.len(), shop.orders.recent(10).await.unwrap().len()), (1, 1));
}

#[tokio::test]
async fn what_was_cancelled_during_a_save_goes_when_the_save_has_failed() {
    let shop = Counter::new("boba").await;
    let mut call = shop.call("CA1", ANA);
    call.heard().ask_as("1", "add_to_cart", json!({"flavor": "taro"})).await;
    call.heard().ask_as("2", "confirm_pending_to_cart", json!({})).await;
    shop.break_disk();
    let request = call.request("3", 0, "checkout_order", &json!({"phone": ANA}).to_string());
    assert_eq!(call.desk.take(request), None);
    call.cancel(&["3", "2"]);
    assert_eq!(call.state().0.len(), 1, "it is being ordered");
    let saved = checkout::saved(&mut call.desk.placing).await;
    let told = call.desk.settle(saved);
    assert_eq!((told.len(), told[0].outcome), (1, "NOT_SAVED"));
    let (lines, pending, phone, _) = call.state();
    assert_eq!((lines.len(), pending.is_some(), phone), (0, true, None));
    // It is another cart now, with another key.
    shop.mend_disk();
    call.heard().ok("confirm_pending_to_cart", json!({})).await;
    call.ok("checkout_order", json!({"phone": ANA})).await;
    assert_eq!(shop.orders.recent(10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_checkout_cancelled_while_an_earlier_one_is_looked_for_does_not_begin() {
    let shop = Counter::new("boba").await;
    let mut call = shop.call("CA1", ANA);
    call.take_drink(json!({"flavor": "taro"})).await;
    shop.store.swallow(1);
    assert_eq!(call.refused("checkout_order", json!({"phone": ANA})).await, "NOT_SAVED");
    call.take_drink(json!({"flavor": "black"})).await;
    call.heard().ok("get_cart", json!({})).await;
    let request = call.heard().request("1", 0, "checkout_order", &json!({"confirmed": true}).to_string());
    assert_eq!(call.desk.take(request), None, "it waits for the search");
    call.cancel(&["1"]);
    let saved = checkout::saved(&mut call.desk.placing).await;
    assert_eq!(call.desk.settle(saved), []);
    assert!(call.desk.placing.is_none());
    assert_eq!(call.state().0.len(), 1, "what was found is out of the cart, the other drink is not ordered");
    assert_eq!(call.ask("order_is_placed", json!({})).await["placed"], true);
    call.ok("checkout_order", json!({"confirmed": true})).await;
    assert_eq!(shop.orders.recent(10).await.unwrap()[0].order.items.len(), 2);
}

#[tokio::test]
async fn a_cancelled_checkout_in_doubt_is_one_order_all_the_same() {
    let shop = Counter::new("boba").await;
    let mut call = shop.call("CA1", ANA);
    call.take_drink(json!({"flavor": "taro"})).await;
    shop.store.swallow(1);
    let request = call.request("1", 0, "checkout_order", &json!({"phone": ANA}).to_string());
    assert_eq!(call.desk.take(request), None);
    call.cancel(&["1"]);
    let saved = checkout::saved(&mut call.desk.placing).await;
    assert_eq!(call.desk.settle(saved)[0].outcome, "NOT_SAVED");
    call.ok("checkout_order", json!({})).await;
    assert_eq!(shop.orders.recent(10).await.unwrap().len(), 1);
}

#[derive(Debug, Clone)]
enum Event {
    Heard,
    Asks(usize, u32, usize),
    Cancels(Vec<usize>),
    Ordered,
    CancelsAll,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        2 => Just(Event::Heard),
        6 => (0_usize..11, 1_u32..4, 0_usize..3).prop_map(|(act, quantity, index)| Event::Asks(act, quantity, index)),
        2 => prop::collection::vec(0_usize..6, 1..4).prop_map(Event::Cancels),
        1 => Just(Event::CancelsAll),
        1 => prop_oneof![3 => Just(Event::Heard), 1 => Just(Event::Ordered)],
    ]
}

fn act(act: usize, quantity: u32, index: usize) -> Act {
    let item = |sort: &str| Item {
        fields: vec![("flavor".into(), Choice::One(sort.into()))],
        quantity,
        price: crate::ordering::money::Money::from_cents(550),
        note: None,
    };
    let phone = PhoneNumber::parse(&format!("+1555123456{quantity}"), Region::US).unwrap();
    match act {
        0 => Act::Stage(item("taro")),
        1 => Act::Update(item("black")),
        2 | 3 => Act::Confirm,
        4 => Act::Clear,
        5 => Act::ReadBack,
        6 => Act::Remove(index),
        7 => Act::Modify(index, item("mocha")),
        8 => Act::SavePhone(phone),
        9 if index == 0 => Act::ForgetPhone,
        9 => Act::ConfirmPhone,
        _ => Act::SaveName(format!("name {quantity}")),
    }
}

fn asked(id: usize, turn: u64) -> ToolRequest {
    let (name, arguments) = (String::new(), String::new());
    ToolRequest { id: format!("f{id}"), name, arguments, turn: Turn(turn), batch: 0, heard: true }
}

/// A request that went well: its number, its turn, the act's recipe, and what was told of it.
type Done = (usize, u64, (usize, u32, usize), Option<Item>);

proptest! {
    /// Whatever is asked and cancelled: what there is in the end is what those requests alone would have made that were not
    /// taken back, each was told the same, nothing is in the cart that the caller had no turn to say yes to, and no
    /// revision is two carts.
    #[test]
    fn what_was_taken_back_never_happened(events in prop::collection::vec(event(), 1..60)) {
        let mut journal = Journal::new(Cart::new(10));
        let mut turn = 1;
        // What went well and is there: its request, the act's recipe and what was told of it. None: a checkout.
        let mut done: Vec<Option<Done>> = Vec::new();
        let mut asks = 0;
        let mut carts: HashMap<u64, Vec<Item>> = HashMap::new();
        for event in events {
            match event {
                Event::Heard => turn += 1,
                Event::Asks(kind, quantity, index) => {
                    asks += 1;
                    journal.begin(&format!("f{asks}"));
                    if let Ok(told) = journal.act(&asked(asks, turn), act(kind, quantity, index)) {
                        done.push(Some((asks, turn, (kind, quantity, index), told)));
                    }
                }
                Event::Ordered => {
                    if journal.cart().may_order(Turn(turn), true, FinalConfirmation::MultiItem).is_ok() {
                        journal.ordered();
                        done.push(None);
                    }
                }
                Event::Cancels(back) => {
                    let ids: Vec<String> = back.iter().map(|back| format!("f{}", asks.saturating_sub(*back))).collect();
                    journal.cancel(&ids);
                    let taken = journal.take_back();
                    let known = taken.iter().all(|id| done.iter().flatten().any(|one| *id == format!("f{}", one.0)));
                    prop_assert!(known, "what was not done cannot be taken back");
                    done.retain(|one| one.as_ref().is_none_or(|(asked, ..)| !taken.contains(&format!("f{asked}"))));
                }
                Event::CancelsAll => {
                    let ids: Vec<String> = (0..=asks).map(|id| format!("f{id}")).collect();
                    let remembered = journal.cancel(&ids);
                    let taken = journal.take_back();
                    prop_assert_eq!(taken.len(), remembered, "nothing stays that could hold it");
                    done.retain(|one| one.as_ref().is_none_or(|(asked, ..)| !taken.contains(&format!("f{asked}"))));
                }
            }

            let mut other = Journal::new(Cart::new(10));
            let mut staged_at = 0;
            for one in &done {
                let Some((asked_as, turn, (kind, quantity, index), told)) = one else {
                    other.ordered();
                    continue;
                };
                let act = act(*kind, *quantity, *index);
                match &act {
                    Act::Stage(_) | Act::Update(_) => staged_at = *turn,
                    Act::Confirm => prop_assert!(staged_at < *turn, "in the cart without a turn of the caller"),
                    _ => {}
                }
                let again: Result<Option<Item>, CartError> = other.act(&asked(*asked_as, *turn), act);
                prop_assert_eq!(again.as_ref(), Ok(told), "it was told otherwise");
            }
            prop_assert_eq!(journal.cart().items(), other.cart().items());
            prop_assert_eq!(journal.cart().pending(), other.cart().pending());
            prop_assert_eq!((journal.phone(), journal.name()), (other.phone(), other.name()));
            // Never easier than without: what may be ordered might have been ordered.
            let may = |journal: &Journal| journal.cart().may_order(Turn(turn), true, FinalConfirmation::MultiItem).is_ok();
            prop_assert!(may(&other) || !may(&journal), "taking back is no yes");
            let seen = carts.entry(journal.cart().revision()).or_insert_with(|| journal.cart().items().to_vec());
            prop_assert_eq!(&seen[..], journal.cart().items(), "two carts of one revision");
        }
    }
}
