//! Both sides of the protocol, held to `docs/tables.asyncapi.json`; and what is no message.

use super::*;
use crate::ordering::menu::{Menu, Said};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../../docs/tables.asyncapi.json")).expect("the description is JSON")
});

/// By the way it goes and its `type`.
static VALIDATORS: LazyLock<BTreeMap<(&str, String), jsonschema::Validator>> = LazyLock::new(|| {
    let messages = DOCUMENT["components"]["messages"].as_object().expect("messages");
    let validator = |(key, message): (&String, &Value)| {
        let way = if key.starts_with("Client") { "client" } else { "server" };
        let schema = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$ref": format!("#/components/messages/{key}/payload"),
            "components": DOCUMENT["components"],
        });
        let validator = jsonschema::options().should_validate_formats(true).build(&schema).expect("a schema");
        ((way, message["name"].as_str().expect("a name").to_owned()), validator)
    };
    messages.iter().map(validator).collect()
});

/// Holds a message of the server to the description.
pub(crate) fn is_described(message: &Value) {
    fits("server", message).unwrap_or_else(|error| panic!("{message}\n{error}"));
}

fn fits(way: &'static str, message: &Value) -> Result<(), String> {
    let kind = message["type"].as_str().expect("a type").to_owned();
    let validator = VALIDATORS.get(&(way, kind)).ok_or("there is no such message")?;
    let errors: Vec<String> =
        validator.iter_errors(message).map(|error| format!("{error} at {}", error.instance_path())).collect();
    if errors.is_empty() { Ok(()) } else { Err(errors.join("\n")) }
}

fn examples(way: &str) -> Vec<Value> {
    let messages = DOCUMENT["components"]["messages"].as_object().expect("messages");
    let of_way = messages.iter().filter(|(key, _)| key.to_lowercase().starts_with(way));
    let examples = of_way.flat_map(|(key, message)| {
        let examples = message["examples"].as_array().unwrap_or_else(|| panic!("{key} has no example"));
        assert!(!examples.is_empty(), "{key} has no example");
        examples.iter().map(|example| example["payload"].clone())
    });
    examples.collect()
}

fn described(way: &str) -> BTreeSet<String> {
    VALIDATORS.keys().filter(|(of, _)| *of == way).map(|(_, kind)| kind.clone()).collect()
}

fn at() -> Timestamp {
    "2026-01-31T09:00:00.25Z".parse().expect("a time")
}

fn line() -> Line {
    let menu = Menu::builtin("boba").expect("it is built in");
    let fields = vec![
        ("flavor".to_owned(), Said::One("taro milk tea".to_owned())),
        ("toppings".to_owned(), Said::Many(vec!["boba".to_owned(), "vanilla cream".to_owned()])),
    ];
    let item = menu.item(&Asked { fields, quantity: Some(2), note: Some("hot".to_owned()) }).expect("on the menu");
    Line { public_id: "m1-a".to_owned(), owner: "m1".to_owned(), state: LineState::Locked, revision: 3, item }
}

fn placed() -> PlacedOrder {
    PlacedOrder {
        order_id: OrderId::numbered("main", 42),
        order_number: OrderNumber::new(4782).expect("four digits"),
        status: OrderStatus::Received,
        status_label: OrderStatus::Received.label(),
        items: vec![line()],
        total: line().item.subtotal(),
        placed_at: at(),
        ready_at: Some(at()),
    }
}

fn members() -> Vec<Member> {
    vec![Member { member_id: "m1".to_owned(), name: "Ada".to_owned(), colour: 7, online: true }]
}

fn snapshot() -> Snapshot {
    Snapshot {
        session: "s1".to_owned(),
        kind: Kind::Table,
        table: Some("Window".to_owned()),
        you: "m1".to_owned(),
        members: members(),
        revision: 9,
        saved_revision: 7,
        items: vec![line()],
        total: line().item.subtotal(),
        count: 2,
        cart_locked: true,
        pending: Pending {
            locked_by_member: Some("m1".to_owned()),
            locked_by: Some("m1".to_owned()),
            locked_by_name: Some("Ada".to_owned()),
            pending_order_id: Some(OrderId::numbered("main", 43)),
            pending_order_number: OrderNumber::new(4783),
            pending_notes: Some("No nuts.".to_owned()),
            pending_since: Some(at()),
            error: Some("It is closed.".to_owned()),
        },
        order_processing_status: Processing::Processing,
        orders: vec![placed(), PlacedOrder { ready_at: None, ..placed() }],
        sold_out: vec!["boba".to_owned()],
        closed: Some("We are closed.".to_owned()),
        join: Some(Join { code: "4711".to_owned(), link: "/t/tok?invite=inv".to_owned() }),
        bill_asked: true,
        drinks_per_member: 10,
        last_updated: at(),
        server_time: at(),
    }
}

/// A message of every kind, full of what it may hold; and those of the same kind that hold as little as they may.
fn server_messages() -> Vec<ServerMessage> {
    let text = |text: &str| text.to_owned();
    let change = || Change { op_id: text("o1"), by: text("m1"), revision: 8, total: line().item.subtotal(), count: 2 };
    let changed = || Changed { change: change(), line: line() };
    let (order_id, order_number) = (placed().order_id, placed().order_number);
    let bare = Snapshot {
        kind: Kind::Ahead,
        table: None,
        items: Vec::new(),
        orders: Vec::new(),
        closed: None,
        join: None,
        pending: Pending {
            locked_by_member: None,
            locked_by: None,
            locked_by_name: None,
            pending_order_id: None,
            pending_order_number: None,
            pending_notes: None,
            pending_since: None,
            error: None,
        },
        order_processing_status: Processing::Idle,
        ..snapshot()
    };
    vec![
        ServerMessage::Snapshot(Box::new(snapshot())),
        ServerMessage::Snapshot(Box::new(bare)),
        ServerMessage::AddItem(changed()),
        ServerMessage::UpdateItem(changed()),
        ServerMessage::RemoveItem { change: change(), public_id: text("m1-a") },
        ServerMessage::ClearCart { change: change() },
        ServerMessage::CartLocked {
            revision: 9,
            locked_by_member: text("m1"),
            locked_by: text("m1"),
            locked_by_name: text("Ada"),
            order_id: order_id.clone(),
            order_number,
            message: text("Order is being processed..."),
            timestamp: at(),
        },
        ServerMessage::OrderProcessing {
            order_id: order_id.clone(),
            order_number,
            message: text("Your order is being processed..."),
            pending_since: at(),
        },
        ServerMessage::OrderConfirmed {
            revision: 10,
            order_id: order_id.clone(),
            order_number,
            message: text("Order placed successfully!"),
            order: placed(),
            items: vec![line()],
            total: line().item.subtotal(),
        },
        ServerMessage::OrderFailed {
            order_id,
            error: text("It is closed."),
            message: text("Order failed. Please try again."),
            allow_retry: true,
        },
        ServerMessage::CartUnlocked { revision: 11, items: vec![line()], total: line().item.subtotal() },
        ServerMessage::OrderStatus { order: placed() },
        ServerMessage::Presence { members: members() },
        ServerMessage::Shop { sold_out: vec![text("boba")], closed: None },
        ServerMessage::BillAsked { by: text("m1") },
        ServerMessage::Saved { revision: 8 },
        ServerMessage::SessionEnded { message: text("Thank you!") },
        ServerMessage::Done { op_id: text("o1"), revision: 8 },
        ServerMessage::Error(Refused {
            op_id: Some(text("o1")),
            code: RefusalCode::Conflict,
            message: text("A sentence."),
            choices: vec![text("boba")],
            line: Some(line()),
            total: Some(Money::from_cents(1250)),
            expected_total: Some(Money::from_cents(-1)),
            next_free: vec![at()],
            retry_after_ms: Some(400),
        }),
        ServerMessage::Error(Refused::default()),
        ServerMessage::Pong,
    ]
}

/// The `type` of a message. Without a wildcard: who adds a kind of message has to describe it.
fn kind(message: &ServerMessage) -> &'static str {
    match message {
        ServerMessage::Snapshot(_) => "snapshot",
        ServerMessage::AddItem(_) => "add_item",
        ServerMessage::UpdateItem(_) => "update_item",
        ServerMessage::RemoveItem { .. } => "remove_item",
        ServerMessage::ClearCart { .. } => "clear_cart",
        ServerMessage::CartLocked { .. } => "cart_locked",
        ServerMessage::OrderProcessing { .. } => "order_processing",
        ServerMessage::OrderConfirmed { .. } => "order_confirmed",
        ServerMessage::OrderFailed { .. } => "order_failed",
        ServerMessage::CartUnlocked { .. } => "cart_unlocked",
        ServerMessage::OrderStatus { .. } => "order_status",
        ServerMessage::Presence { .. } => "presence",
        ServerMessage::Shop { .. } => "shop",
        ServerMessage::BillAsked { .. } => "bill_asked",
        ServerMessage::Saved { .. } => "saved",
        ServerMessage::SessionEnded { .. } => "session_ended",
        ServerMessage::Done { .. } => "done",
        ServerMessage::Error(_) => "error",
        ServerMessage::Pong => "pong",
    }
}

#[test]
fn what_the_server_tells_is_described() {
    let mut kinds = BTreeSet::new();
    for message in server_messages() {
        let json = json!(message);
        assert_eq!(json["type"], kind(&message));
        is_described(&json);
        kinds.insert(kind(&message).to_owned());
    }
    assert_eq!(kinds, described("server"), "a message is described that nobody sends, or sent and not described");
}

#[test]
fn the_description_allows_nothing_else() {
    let mut message = json!(ServerMessage::Saved { revision: 8 });
    message["total"] = json!(5.5);
    assert!(fits("server", &message).is_err());
    let mut message = json!(ServerMessage::AddItem(Changed {
        change: Change { op_id: "o".to_owned(), by: "m1".to_owned(), revision: 1, total: Money::ZERO, count: 0 },
        line: line(),
    }));
    message["line"]["state"] = json!("eaten");
    assert!(fits("server", &message).is_err());
    message["line"]["state"] = json!("pending");
    message["line"]["toppings"] = json!(7);
    assert!(fits("server", &message).is_err());
}

#[test]
fn examples_fit_their_descriptions() {
    for example in examples("server") {
        is_described(&example);
    }
    for example in examples("client") {
        fits("client", &example).unwrap_or_else(|error| panic!("{example}\n{error}"));
    }
}

#[test]
fn every_described_wish_is_understood() {
    let mut kinds = BTreeSet::new();
    for example in examples("client") {
        let message = ClientMessage::parse(&example.to_string()).unwrap_or_else(|error| panic!("{example}\n{error:?}"));
        let kind = match message {
            ClientMessage::Snapshot => "snapshot",
            ClientMessage::Ping => "ping",
            ClientMessage::Do(Operation { op_id, action }) => {
                assert_eq!(example["op_id"], op_id);
                match action {
                    Action::AddItem(_) => "add_item",
                    Action::UpdateItem { .. } => "update_item",
                    Action::RemoveItem { .. } => "remove_item",
                    Action::ClearCart { .. } => "clear_cart",
                    Action::PlaceOrder(_) => "place_order",
                    Action::SetName(_) => "set_name",
                    Action::AskToPay => "ask_to_pay",
                }
            }
        };
        assert_eq!(example["type"], kind);
        kinds.insert(kind.to_owned());
    }
    assert_eq!(kinds, described("client"));
}

#[test]
fn every_code_is_described() {
    use RefusalCode::*;
    let codes = [
        BadMessage,
        UnknownOption,
        Ambiguous,
        Rule,
        SoldOut,
        Limit,
        EmptyCart,
        CartLocked,
        InProgress,
        Conflict,
        StaleCart,
        PriceMismatch,
        OrderingClosed,
        BadPhone,
        PhoneLimit,
        NoName,
        SlotUnavailable,
        RateLimited,
        NotSaved,
    ];
    assert_eq!(json!(codes), DOCUMENT["components"]["schemas"]["RefusalCode"]["enum"]);
}

fn action(message: Value) -> Action {
    match ClientMessage::parse(&message.to_string()) {
        Ok(ClientMessage::Do(operation)) => operation.action,
        other => panic!("{message}: {other:?}"),
    }
}

#[test]
fn an_order_may_be_said_in_the_seeds_words() {
    let order = action(json!({
        "type": "place_order", "op_id": "a", "revision": 3, "total": 1250.00, "special_instructions": " Table by\nthe window ",
        "cart_items": [{"public_id": "item_123", "menu_item_id": 456, "qty": 2, "note": "Extra spicy", "price": 0.01}],
        "phone": " ", "name": null, "pickup_at": null
    }));
    let expected = PlaceOrder {
        revision: 3,
        total: Money::from_cents(125_000),
        special_instructions: Some(Some("Table by the window".to_owned())),
        ..PlaceOrder::default()
    };
    assert_eq!(order, Action::PlaceOrder(expected));
}

#[test]
fn a_count_has_two_names_and_one_value() {
    let asked =
        |item: Value| ClientMessage::parse(&json!({"type": "add_item", "op_id": "a", "item": item}).to_string());
    for item in [json!({"qty": 2}), json!({"quantity": 2}), json!({"qty": 2.0, "quantity": 2})] {
        let Ok(ClientMessage::Do(Operation { action: Action::AddItem(asked), .. })) = asked(item.clone()) else {
            panic!("{item}")
        };
        assert_eq!(asked.quantity, Some(2), "{item}");
    }
    for item in [json!({"qty": 2, "quantity": 3}), json!({"qty": -1}), json!({"qty": 1.5}), json!({"qty": "two"})] {
        assert_eq!(asked(item.clone()).expect_err("no count").code, RefusalCode::BadMessage, "{item}");
    }
}

#[test]
fn what_an_item_holds_beside_is_asked_of_the_menu() {
    let item = json!({"flavor": "taro", "toppings": ["boba", 7], "ice": null, "price": 0.01, "note": null});
    let Action::AddItem(asked) = action(json!({"type": "add_item", "op_id": "a", "item": item})) else { panic!() };
    let said = |text: &str| Said::One(text.to_owned());
    let toppings = Said::Many(vec!["boba".to_owned(), "7".to_owned()]);
    let fields = [("flavor", said("taro")), ("toppings", toppings), ("price", said("0.01"))];
    assert_eq!(asked.fields, fields.map(|(name, said)| (name.to_owned(), said)));
    assert_eq!((asked.quantity, asked.note.as_deref()), (None, Some("")));
}

#[test]
fn what_is_no_message_is_refused_with_a_sentence() {
    let long = "x".repeat(LONGEST_NOTES + 1);
    let op = |rest: Value| {
        let mut message = json!({"op_id": "a"});
        message.as_object_mut().expect("an object").extend(rest.as_object().expect("an object").clone());
        message.to_string()
    };
    let id = Some("a");
    for (text, op_id, code) in [
        (String::new(), None, RefusalCode::BadMessage),
        ("null".to_owned(), None, RefusalCode::BadMessage),
        ("[]".to_owned(), None, RefusalCode::BadMessage),
        ("{}".to_owned(), None, RefusalCode::BadMessage),
        ("[".repeat(4000), None, RefusalCode::BadMessage),
        (" ".repeat(LONGEST_MESSAGE + 1), None, RefusalCode::BadMessage),
        (json!({"type": "ask_to_pay"}).to_string(), None, RefusalCode::BadMessage),
        (json!({"type": "ask_to_pay", "op_id": ""}).to_string(), None, RefusalCode::BadMessage),
        (json!({"type": "ask_to_pay", "op_id": "a b"}).to_string(), None, RefusalCode::BadMessage),
        (json!({"type": "ask_to_pay", "op_id": "é"}).to_string(), None, RefusalCode::BadMessage),
        (json!({"type": "ask_to_pay", "op_id": "x".repeat(65)}).to_string(), None, RefusalCode::BadMessage),
        (json!({"type": "ask_to_pay", "op_id": 7}).to_string(), None, RefusalCode::BadMessage),
        (op(json!({})), id, RefusalCode::BadMessage),
        (op(json!({"type": "dance"})), id, RefusalCode::BadMessage),
        (op(json!({"type": ["add_item"]})), id, RefusalCode::BadMessage),
        (op(json!({"type": "add_item"})), id, RefusalCode::BadMessage),
        (op(json!({"type": "add_item", "item": "taro"})), id, RefusalCode::BadMessage),
        (op(json!({"type": "add_item", "item": {"flavor": {"is": "taro"}}})), id, RefusalCode::BadMessage),
        (op(json!({"type": "add_item", "item": {"toppings": [["boba"]]}})), id, RefusalCode::BadMessage),
        (op(json!({"type": "add_item", "item": {"hot": true}})), id, RefusalCode::BadMessage),
        (op(json!({"type": "add_item", "item": {"note": 7}})), id, RefusalCode::BadMessage),
        (op(json!({"type": "update_item", "public_id": "l", "item": {}})), id, RefusalCode::BadMessage),
        (op(json!({"type": "update_item", "revision": 1, "item": {}})), id, RefusalCode::BadMessage),
        (op(json!({"type": "remove_item", "public_id": "l", "revision": -1})), id, RefusalCode::BadMessage),
        (op(json!({"type": "remove_item", "public_id": "x".repeat(200), "revision": 1})), id, RefusalCode::BadMessage),
        (op(json!({"type": "clear_cart", "revision": "1"})), id, RefusalCode::BadMessage),
        (op(json!({"type": "place_order", "revision": 1})), id, RefusalCode::BadMessage),
        (op(json!({"type": "place_order", "revision": 1, "total": "5.50"})), id, RefusalCode::BadMessage),
        (op(json!({"type": "place_order", "revision": 1, "total": 5.505})), id, RefusalCode::BadMessage),
        (
            op(json!({"type": "place_order", "revision": 1, "total": 1, "special_instructions": long})),
            id,
            RefusalCode::BadMessage,
        ),
        (
            op(json!({"type": "place_order", "revision": 1, "total": 1, "name": "x".repeat(25)})),
            id,
            RefusalCode::BadMessage,
        ),
        (
            op(json!({"type": "place_order", "revision": 1, "total": 1, "pickup_at": "soon"})),
            id,
            RefusalCode::BadMessage,
        ),
        (
            op(json!({"type": "place_order", "revision": 1, "total": 1, "phone": "1".repeat(65)})),
            id,
            RefusalCode::BadPhone,
        ),
        (op(json!({"type": "set_name"})), id, RefusalCode::NoName),
        (op(json!({"type": "set_name", "name": " \n "})), id, RefusalCode::NoName),
        (op(json!({"type": "set_name", "name": "\u{202e}adA"})), id, RefusalCode::NoName),
        (op(json!({"type": "set_name", "name": "\u{200b}\u{feff}"})), id, RefusalCode::NoName),
        (op(json!({"type": "place_order", "revision": 1, "total": 1, "name": "Ada\u{2066}"})), id, RefusalCode::NoName),
    ] {
        let refused = ClientMessage::parse(&text).expect_err(&text);
        assert_eq!((refused.op_id.as_deref(), refused.code), (op_id, code), "{text}");
        assert!(refused.message.ends_with('.'), "{}", refused.message);
    }
}

proptest! {
    #[test]
    fn nothing_makes_the_reader_fall_over(text in any::<String>()) {
        let _ = ClientMessage::parse(&text);
    }

    #[test]
    fn a_mutilated_message_is_read_or_refused(
        which in any::<prop::sample::Index>(),
        key in any::<prop::sample::Index>(),
        put in prop_oneof![
            Just(Value::Null), Just(json!(true)), Just(json!([])), Just(json!({})), Just(json!(1e300)), Just(json!(-1)),
            any::<i64>().prop_map(Value::from), any::<String>().prop_map(Value::from),
        ],
    ) {
        let examples = examples("client");
        let mut message = which.get(&examples).clone();
        let object = message.as_object_mut().expect("an object");
        let keys: Vec<String> = object.keys().cloned().collect();
        object.insert(key.get(&keys).clone(), put);
        let text = message.to_string();
        if let Err(refused) = ClientMessage::parse(&text) {
            prop_assert!(!refused.message.is_empty());
        }
    }
}
