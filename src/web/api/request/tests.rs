//! What programs send, and what becomes of it.

use super::*;
use crate::ordering::Money;
use crate::web::error::{ErrorCode, WebError};
use axum::body::to_bytes;
use axum::http::HeaderMap;
use proptest::prelude::*;
use serde_json::json;

fn check_at(menu: &str, body: &Value, key: Option<&str>) -> Result<Draft, Refused> {
    let menu = Menu::builtin(menu).unwrap();
    let header = key.map(|key| IdempotencyKey::parse(key).unwrap());
    let counter = Counter { menu: &menu, region: Region::US, shop_id: "main" };
    CreateOrder::parse(body.to_string().as_bytes(), header)?.check(counter)
}

fn check(body: Value) -> Result<Draft, Refused> {
    check_at("boba", &body, None)
}

/// The fields that have problems.
#[track_caller]
fn fields(body: Value) -> Vec<String> {
    let refused = check(body.clone()).expect_err(&body.to_string());
    refused.problems().iter().map(|problem| problem.field().to_owned()).collect()
}

fn plain() -> Value {
    json!({"items": [{"flavor": "taro milk tea"}]})
}

fn with(name: &str, value: Value) -> Value {
    let mut body = plain();
    body[name] = value;
    body
}

/// The envelope of an agent, complete.
fn envelope() -> Value {
    json!({
        "version": "1.0",
        "action": "create_order",
        "payload": {
            "user_id": "CUST-1",
            "customer_name": "John Doe",
            "customer_phone": "(555) 123-4567",
            "items": [{"name": "taro milk tea", "quantity": 2}],
            "source": "ai",
            "notes": "by the window",
        },
        "idempotency_key": "call-1-cart-3",
    })
}

#[test]
fn the_least_that_is_an_order() {
    let draft = check(plain()).unwrap();
    assert_eq!((draft.channel, draft.items.len(), draft.allow_duplicate), (Channel::Api, 1, false));
    assert_eq!((draft.name, draft.phone, draft.customer_id, draft.idempotency_key), (None, None, None, None));
    insta::assert_snapshot!(json!(draft.items), @r#"[{"flavor":"taro milk tea","toppings":[],"sweetness":"50%","ice":"regular ice","addons":[],"quantity":1,"price":5.5,"subtotal":5.5}]"#);
}

#[test]
fn everything_that_can_be_said() {
    let mut body = json!({
        "order_id": "TILL-7", "channel": "web", "name": " Ada  L. ", "phone": "+44 20 7946 0958",
        "customer_id": "CUST-1", "notes": "by the\nwindow", "call_sid": "conv-1", "metadata": {"table": "5"},
        "pickup_at": "2024-11-22T15:30:00-08:00", "estimated_ready_time": "2024-11-22T15:30:00",
        "allow_duplicate": true, "status": "confirmed", "confirmed": true, "total": 15, "items": [{
            "flavor": "Taro Tea", "toppings": ["pearls", "cream"], "addons": "matcha", "sweetness": "half sugar",
            "ice": null, "quantity": 2, "price": 7.5, "subtotal": 15.0, "note": "no straw",
        }],
    });
    let draft = check_at("boba", &body, Some("key-1"));
    body["total"] = 15.01.into();
    let refused = check_at("boba", &body, Some("key-1")).expect_err("a cent too much");
    assert_eq!((refused.first().weight(), refused.first().field()), (Weight::Price, "total"));
    let draft = draft.unwrap();
    assert_eq!(draft.order_id.unwrap().as_str(), "TILL-7");
    assert_eq!((draft.channel, draft.name.as_deref()), (Channel::Web, Some("Ada L.")));
    assert_eq!(draft.phone.unwrap().as_e164(), "+442079460958");
    assert_eq!((draft.notes.as_deref(), draft.call_sid.as_deref()), (Some("by the window"), Some("conv-1")));
    assert_eq!(Value::Object(draft.metadata), json!({"table": "5"}));
    assert_eq!(draft.pickup_at.unwrap().to_string(), "2024-11-22T23:30:00Z");
    assert_eq!(draft.estimated_ready_time.unwrap().to_string(), "2024-11-22T15:30:00Z");
    assert_eq!((draft.idempotency_key.as_deref(), draft.allow_duplicate), (Some("key-1"), true));
    let item = &draft.items[0];
    assert_eq!((item.quantity, item.price, item.note.as_deref()), (2, Money::from_cents(750), Some("no straw")));
}

#[test]
fn an_agents_envelope_is_an_order_by_phone() {
    let draft = check(envelope()).unwrap();
    assert_eq!((draft.channel, draft.items[0].quantity), (Channel::Phone, 2));
    assert_eq!(draft.phone.unwrap().as_e164(), "+15551234567");
    assert_eq!((draft.customer_id.as_deref(), draft.name.as_deref()), (Some("CUST-1"), Some("John Doe")));
    assert_eq!(
        (draft.idempotency_key.as_deref(), draft.notes.as_deref()),
        (Some("call-1-cart-3"), Some("by the window"))
    );
    let unwrapped = check_at("boba", &envelope()["payload"], Some("call-1-cart-3")).unwrap();
    assert_eq!(unwrapped.channel, Channel::Phone);
}

#[test]
fn an_agent_has_to_know_who_orders() {
    for (name, field) in
        [("user_id", "customer_id"), ("customer_name", "name"), ("customer_phone", "phone"), ("items", "items")]
    {
        let mut body = envelope();
        body["payload"].as_object_mut().unwrap().shift_remove(name);
        assert_eq!(fields(body), [field], "without {name}");
        let mut body = envelope();
        body["payload"][name] = Value::Null;
        assert_eq!(fields(body), [field], "null {name}");
    }
    let mut body = envelope();
    body["idempotency_key"] = Value::Null;
    assert_eq!(fields(body.clone()), ["idempotency_key"]);
    assert_eq!(
        check_at("boba", &body, Some("from-the-header")).unwrap().idempotency_key.as_deref(),
        Some("from-the-header")
    );
    for (short, is_refused) in [("555-1234", true), ("five five five one two three four", true), ("15551234567", false)]
    {
        let mut body = envelope();
        body["payload"]["customer_phone"] = short.into();
        assert_eq!(check(body).is_err(), is_refused, "{short}");
    }
    // Nobody else needs any of it.
    assert!(check(with("source", json!("api"))).is_ok());
    // A phone order of a program that is no AI needs what the menu requires.
    let refused = check(with("channel", json!("phone"))).expect_err("no phone");
    assert_eq!((refused.first().weight(), refused.first().field()), (Weight::Rule, "phone"));
}

#[test]
fn what_was_not_confirmed_is_not_ordered() {
    let mut body = envelope();
    body["payload"]["confirmed"] = false.into();
    let refused = check(body.clone()).expect_err("not confirmed");
    assert_eq!((refused.first().weight(), refused.first().field()), (Weight::Rule, "confirmed"));
    body["payload"]["confirmed"] = true.into();
    assert!(check(body).is_ok());
    assert_eq!(fields(with("confirmed", json!("yes"))), ["confirmed"]);
}

#[test]
fn an_envelope_is_whole_or_refused() {
    for (name, value) in [
        ("version", json!("2.0")),
        ("version", json!(1.0)),
        ("version", Value::Null),
        ("action", json!("cancel_order")),
        ("action", Value::Null),
        ("payload", json!([])),
        ("payload", Value::Null),
        ("items", json!([])),
        ("idempotency_key", json!("a b")),
        ("idempotency_key", json!(7)),
        ("idempotency_key", json!("x".repeat(256))),
    ] {
        let mut body = envelope();
        body[name] = value;
        assert_eq!(fields(body.clone()), [name], "{body}");
    }
    let mut body = envelope();
    body["payload"]["idempotency_key"] = "another".into();
    assert_eq!(fields(body), ["payload.idempotency_key"]);
    let refused = check_at("boba", &envelope(), Some("another")).expect_err("two keys");
    assert_eq!(refused.first().field(), "idempotency_key");
    assert!(check_at("boba", &envelope(), Some("call-1-cart-3")).is_ok());
}

#[test]
fn two_spellings_agree_or_are_refused() {
    let pairs = [
        ("name", "customer_name", json!("Ada"), json!("Eve")),
        ("phone", "customer_phone", json!("+15551234567"), json!("+15551234568")),
        ("customer_id", "user_id", json!("1"), json!("2")),
        ("call_sid", "conversation_id", json!("1"), json!("2")),
        ("notes", "special_instructions", json!("a"), json!("b")),
        ("channel", "source", json!("web"), json!("api")),
    ];
    for (ours, theirs, value, other) in pairs {
        let mut body = with(ours, value.clone());
        body[theirs] = value;
        assert!(check(body.clone()).is_ok(), "{body}");
        body[theirs] = other;
        assert_eq!(fields(body), [theirs]);
    }
    let mut body = with("phone", json!("555-123-4567"));
    body["customer_phone"] = "+1 (555) 123 4567".into();
    assert!(check(body).is_ok(), "the same number written differently");
    let line = |line: Value| fields(json!({"items": [line]}));
    assert_eq!(line(json!({"flavor": "taro milk tea", "name": "black milk tea"})), ["items[0].name"]);
    assert_eq!(line(json!({"flavor": "taro milk tea", "quantity": 1, "qty": 2})), ["items[0].qty"]);
    assert_eq!(line(json!({"flavor": "taro milk tea", "price": 5.5, "unit_price": 5})), ["items[0].unit_price"]);
}

#[test]
fn nothing_that_is_sent_is_lost() {
    assert_eq!(fields(with("coupon", json!("FREE"))), ["coupon"]);
    assert_eq!(fields(with("Name", Value::Null)), ["Name"]);
    assert_eq!(fields(json!({"items": [{"flavor": "taro milk tea", "size": "large"}]})), ["items[0].size"]);
    let refused = check(with("coupon", json!("FREE"))).expect_err("unknown");
    let known = refused.first().more()["choices"].as_array().unwrap();
    assert!(known.contains(&json!("customer_name")) && known.contains(&json!("pickup_at")), "{known:?}");
    let many: serde_json::Map<String, Value> = (0..1000).map(|n| (format!("{n}"), json!(n))).collect();
    assert!(fields(Value::Object(many)).len() <= 11, "bounded");
}

#[test]
fn every_problem_is_told_at_once() {
    let body = json!({
        "name": 7, "phone": "call me", "customer_id": "", "notes": "x".repeat(501), "order_id": "ORD-main-7",
        "pickup_at": "soon", "estimated_ready_time": 5, "metadata": [], "allow_duplicate": "no", "status": "ready",
        "total": "6.25", "items": [
            {"flavor": "orange juice"}, {"toppings": ["boba"]}, {"flavor": "taro milk tea", "sweetness": "7%"},
            {"flavor": "milk tea"}, {"flavor": ["taro milk tea", 7]}, {"flavor": "taro milk tea", "quantity": 0},
            {"flavor": "taro milk tea", "note": "x".repeat(201)},
        ],
    });
    assert_eq!(
        fields(body),
        [
            "name",
            "phone",
            "customer_id",
            "notes",
            "metadata",
            "pickup_at",
            "estimated_ready_time",
            "order_id",
            "allow_duplicate",
            "status",
            "items[0].flavor",
            "items[1].flavor",
            "items[2].sweetness",
            "items[3].flavor",
            "items[4].flavor",
            "items[5].quantity",
            "items[6].note",
            "total",
        ]
    );
}

#[test]
fn lines_are_objects_in_a_list() {
    for items in [json!([]), json!({}), json!("tea"), json!(["tea"]), json!([{"flavor": "taro milk tea"}, null])] {
        assert_eq!(fields(json!({"items": items})), ["items"], "{items}");
    }
    assert_eq!(fields(json!({})), ["items"]);
}

#[test]
fn what_is_not_sold_is_refused_with_the_choices() {
    let refused = check(json!({"items": [{"flavor": "taro milk tea", "toppings": ["gold"]}]})).expect_err("gold");
    let choices = &refused.first().more()["choices"];
    assert_eq!(choices, &json!(["boba", "egg pudding", "crystal agar boba", "vanilla cream"]));
    let refused = check(json!({"items": [{"flavor": "taro milk tea", "addons": ["matcha"]}]})).expect_err("a rule");
    assert_eq!((refused.first().weight(), refused.first().field()), (Weight::Rule, "items[0]"));
}

#[test]
fn the_seeds_own_sum_is_wrong_and_both_sums_are_told() {
    // Another shop's prices, the same arithmetic: 2 x 3.00 + 5.50 is not 12.00.
    let order = |total: f64| {
        json!({
            "items": [
                {"item_name": "espresso", "quantity": 2, "unit_price": 3.00, "size": "small"},
                {"item_name": "mocha", "quantity": 1, "unit_price": 5.50},
            ],
            "name": "John Doe",
            "total_price": total,
        })
    };
    assert!(check_at("coffee", &order(11.5), None).is_ok());
    let refused = check_at("coffee", &order(12.0), None).expect_err("a wrong sum");
    assert_eq!((refused.first().weight(), refused.first().field()), (Weight::Price, "total"));
    assert_eq!((&refused.first().more()["given"], &refused.first().more()["expected"]), (&json!(12.0), &json!(11.5)));
    let line = json!({"items": [{"flavor": "taro milk tea", "quantity": 2, "price": 5, "subtotal": 10}], "total": 10});
    assert_eq!(fields(line), ["items[0].price", "items[0].subtotal"], "a total of wrong lines is not told as well");
}

#[test]
fn an_id_is_the_clients_own_or_ours() {
    for id in ["TILL-7", "ORD-main-7a", "ORD-annex-7", "x", &"x".repeat(64)] {
        assert_eq!(check(with("order_id", json!(id))).unwrap().order_id.unwrap().as_str(), id);
    }
    for id in ["ORD-main-7", "ORD-main-007", "ORD-main-99999999999999999999999", "", "a b", "a/b", "é", &"x".repeat(65)]
    {
        assert_eq!(fields(with("order_id", json!(id))), ["order_id"], "{id}");
    }
}

#[test]
fn metadata_is_bounded() {
    let nested = (0..6).fold(json!(1), |inner, _| json!({"a": inner}));
    assert!(check(with("metadata", nested.clone())).is_ok());
    for wrong in [json!({"a": nested}), json!({"a": "x".repeat(4096)}), json!([1]), json!("{}"), json!({"demo": true})]
    {
        assert_eq!(fields(with("metadata", wrong.clone())), ["metadata"], "{wrong}");
    }
}

#[test]
fn a_repetition_has_the_same_hash_whatever_its_form() {
    let hash = |text: &str| CreateOrder::parse(text.as_bytes(), None).unwrap().payload_hash().to_owned();
    let first = hash(r#"{"items":[{"flavor":"taro milk tea","quantity":2}],"name":"Ada","total":11}"#);
    assert_eq!(first.len(), 64);
    for same in [
        "{ \"total\": 11.0,\n\"name\": \"\\u0041da\", \"items\": [ {\"quantity\": 2, \"flavor\": \"taro milk tea\"} ] }",
        r#"{"items":[{"flavor":"taro milk tea","quantity":2}],"name":"Ada","total":11,"idempotency_key":"k"}"#,
        r#"{"version":"1.0","action":"create_order","payload":{"items":[{"flavor":"taro milk tea","quantity":2}],"name":"Ada","total":11}}"#,
    ] {
        assert_eq!(hash(same), first, "{same}");
    }
    for other in [
        r#"{"items":[{"flavor":"taro milk tea","quantity":3}],"name":"Ada","total":11}"#,
        r#"{"items":[{"flavor":"taro milk tea","quantity":2}],"name":"ada","total":11}"#,
        r#"{"items":[{"flavor":"taro milk tea","quantity":2}],"name":"Ada","total":11.5}"#,
        r#"{"items":[{"flavor":"taro milk tea","quantity":2}],"name":"Ada"}"#,
    ] {
        assert_ne!(hash(other), first, "{other}");
    }
}

#[tokio::test]
async fn a_refusal_is_told_in_the_contracts_words() {
    let body = json!({"items": [{"flavor": "cola"}, {"flavor": "taro milk tea", "price": 5}], "coupon": 1});
    let error = WebError::from(check(body).expect_err("refused"));
    assert_eq!(error.code(), ErrorCode::Validation);
    let response = error.render("req_1", &HeaderMap::new());
    let bytes = to_bytes(response.into_body(), 1 << 16).await.unwrap();
    let mut body: Value = serde_json::from_slice(&bytes).unwrap();
    body["error"]["details"]["problems"][1]["choices"] = json!("…");
    insta::assert_snapshot!(serde_json::to_string_pretty(&body).unwrap(), @r#"
    {
      "success": false,
      "error": {
        "code": "VALIDATION",
        "message": "items[0].flavor: Sorry, \"cola\" is not on our menu. For flavor there is taro milk tea or black milk tea.",
        "details": {
          "field": "items[0].flavor",
          "choices": [
            "taro milk tea",
            "black milk tea"
          ],
          "problems": [
            {
              "field": "items[0].flavor",
              "code": "VALIDATION",
              "message": "Sorry, \"cola\" is not on our menu. For flavor there is taro milk tea or black milk tea.",
              "choices": [
                "taro milk tea",
                "black milk tea"
              ]
            },
            {
              "field": "coupon",
              "code": "VALIDATION",
              "message": "there is no such field here, so nothing was done",
              "choices": "…"
            },
            {
              "field": "items[1].price",
              "code": "PRICE_MISMATCH",
              "message": "5 was given, and it is 5.50; prices are the shop's, and may be left out",
              "given": 5.0,
              "expected": 5.5
            }
          ]
        }
      },
      "correlation_id": "req_1"
    }
    "#);
}

fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        prop::sample::select(vec!["taro milk tea", "boba", "ai", "1.0", "create_order", "+15551234567"])
            .prop_map(Value::from),
    ];
    let key = prop_oneof![
        prop::sample::select(vec![
            "items",
            "name",
            "customer_name",
            "flavor",
            "toppings",
            "quantity",
            "qty",
            "price",
            "total",
            "version",
            "action",
            "payload",
            "idempotency_key",
            "source",
            "metadata",
            "order_id",
            "phone",
            "confirmed",
        ])
        .prop_map(str::to_owned),
        ".{0,6}",
    ];
    leaf.prop_recursive(4, 48, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((key.clone(), inner), 0..6)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn whatever_is_sent_is_an_order_or_refused_with_its_fields(body in anything()) {
        match check(body) {
            Ok(draft) => prop_assert!(!draft.items.is_empty()),
            Err(refused) => prop_assert!(!refused.first().sentence().is_empty()),
        }
    }

    #[test]
    fn bytes_that_are_no_json_are_refused(body in prop::collection::vec(any::<u8>(), 0..64)) {
        let an_object = serde_json::from_slice::<Map<String, Value>>(&body).is_ok();
        prop_assert!(an_object || CreateOrder::parse(&body, None).is_err());
    }
}
