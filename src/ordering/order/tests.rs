use super::*;
use proptest::prelude::*;
use serde_json::json;

fn taro() -> Item {
    Item {
        fields: vec![
            ("flavor".into(), Choice::One("taro milk tea".into())),
            ("toppings".into(), Choice::Many(vec!["boba".into()])),
            ("sweetness".into(), Choice::One("50%".into())),
            ("ice".into(), Choice::One("regular ice".into())),
            ("addons".into(), Choice::Many(Vec::new())),
        ],
        quantity: 1,
        price: Money::from_cents(625),
        note: None,
    }
}

fn order() -> Order {
    let at = Timestamp::from_second(1_704_067_200).unwrap();
    Order {
        order_id: OrderId::numbered("main", 42),
        order_number: OrderNumber::new(4782).unwrap(),
        shop_id: "main".into(),
        channel: Channel::Phone,
        status: OrderStatus::Received,
        version: 1,
        name: None,
        phone: serde_json::from_value(json!("+15551234567")).unwrap(),
        customer_id: Some("+15551234567".into()),
        notes: None,
        items: vec![taro()],
        total: Money::from_cents(625),
        call_sid: Some("CA00000000000000000000000000000042".into()),
        estimated_ready_time: None,
        pickup_at: None,
        metadata: serde_json::Map::new(),
        created_at: at,
        updated_at: at,
        history: vec![HistoryEntry { status: OrderStatus::Received, at, by: "phone".into() }],
    }
}

#[test]
fn is_written_as_the_contract_has_it() {
    insta::assert_snapshot!(serde_json::to_string_pretty(&order()).unwrap(), @r#"
        {
          "order_id": "ORD-main-42",
          "order_number": "4782",
          "shop_id": "main",
          "channel": "phone",
          "status": "received",
          "version": 1,
          "name": null,
          "phone": "+15551234567",
          "customer_id": "+15551234567",
          "notes": null,
          "items": [
            {
              "flavor": "taro milk tea",
              "toppings": [
                "boba"
              ],
              "sweetness": "50%",
              "ice": "regular ice",
              "addons": [],
              "quantity": 1,
              "price": 6.25,
              "subtotal": 6.25
            }
          ],
          "total": 6.25,
          "call_sid": "CA00000000000000000000000000000042",
          "estimated_ready_time": null,
          "metadata": {},
          "created_at": 1704067200,
          "timestamp": "2024-01-01T00:00:00.000000+00:00",
          "updated_at": "2024-01-01T00:00:00.000000+00:00",
          "history": [
            {
              "status": "received",
              "at": "2024-01-01T00:00:00.000000+00:00",
              "by": "phone"
            }
          ]
        }
        "#);
}

#[test]
fn survives_json() {
    let mut full = order();
    full.name = Some("Ana".into());
    full.notes = Some("by the window".into());
    full.estimated_ready_time = Some("2024-01-01T00:08:00.5Z".parse().unwrap());
    full.updated_at = "2024-01-01T00:00:01.000001Z".parse().unwrap();
    full.metadata.insert("table".into(), json!({"n": 4}));
    full.items.push(Item { quantity: 3, note: Some("extra hot".into()), ..taro() });
    for order in [order(), full] {
        let text = serde_json::to_string(&order).unwrap();
        assert_eq!(serde_json::from_str::<Order>(&text).unwrap(), order);
    }
}

#[test]
fn a_file_that_contradicts_itself_is_refused() {
    let text = serde_json::to_value(order()).unwrap();
    for (pointer, wrong) in [
        ("/created_at", json!(1_704_067_201)),
        ("/timestamp", json!("yesterday")),
        ("/order_number", json!("0782")),
        ("/order_number", json!("+4782")),
        ("/order_id", json!("../../etc/passwd")),
        ("/channel", json!("fax")),
        ("/status", json!("eaten")),
        ("/phone", json!("5551234567")),
        ("/total", json!(6.255)),
        ("/items/0/subtotal", json!(1)),
        ("/items/0/quantity", json!(0)),
        ("/items/0/quantity", json!(-1)),
        ("/items/0/flavor", json!(7)),
        ("/items/0", json!([])),
    ] {
        let mut value = text.clone();
        *value.pointer_mut(pointer).unwrap() = wrong.clone();
        assert!(serde_json::from_value::<Order>(value).is_err(), "{pointer} = {wrong}");
    }
    assert!(serde_json::from_str::<Item>(r#"{"a":"b","a":"c","quantity":1,"price":1}"#).is_err());
    assert!(serde_json::from_str::<Item>(r#"{"a":"b","quantity":1}"#).is_err());
}

#[test]
fn a_line_keeps_the_order_of_its_fields() {
    let text = r#"{"drink":"latte","size":"medium","milk":"oat","extras":["whipped cream"],"quantity":2,"price":6.1,"subtotal":12.2,"note":"hot"}"#;
    let item: Item = serde_json::from_str(text).unwrap();
    assert_eq!(item.choice("milk"), Some(&Choice::One("oat".into())));
    assert_eq!(item.subtotal(), Money::from_cents(1220));
    assert_eq!(serde_json::to_string(&item).unwrap(), text);
}

#[test]
fn identifiers() {
    assert_eq!(OrderNumber::new(4782).unwrap().spoken(), "4, 7, 8, 2");
    assert_eq!("10042".parse::<OrderNumber>().unwrap().spoken(), "1, 0, 0, 4, 2");
    for text in ["", "999", "0999", "100000", "+123", " 4782", "４７８２"] {
        assert_eq!(text.parse::<OrderNumber>(), Err(BadIdentifier::OrderNumber), "{text:?}");
    }
    assert_eq!(OrderId::numbered("main", 42).number_at("main"), Some(42));
    for (id, number) in [
        ("ORD-main-", None),
        ("ORD-main-4x", None),
        ("ORD-annex-4", None),
        ("my-4", None),
        ("ORD-main-99999999999999999999", Some(u64::MAX)),
    ] {
        assert_eq!(id.parse::<OrderId>().unwrap().number_at("main"), number, "{id}");
    }
    for id in ["", "a b", "é", &"x".repeat(65)] {
        assert_eq!(id.parse::<OrderId>(), Err(BadIdentifier::OrderId), "{id:?}");
    }
    assert_eq!("ai".parse(), Ok(Channel::Phone));
}

#[test]
fn a_stored_instant_is_what_comes_back() {
    let at: Timestamp = "2024-01-01T00:00:00.123456789Z".parse().unwrap();
    let order = Order { created_at: stored_instant(at), ..order() };
    let text = serde_json::to_string(&order).unwrap();
    assert!(text.contains(r#""timestamp":"2024-01-01T00:00:00.123456+00:00""#), "{text}");
    assert_eq!(serde_json::from_str::<Order>(&text).unwrap(), order);
}

#[test]
fn the_fingerprint_is_of_customer_and_drinks() {
    let both =
        Item { fields: vec![("toppings".into(), Choice::Many(vec!["boba".into(), "egg pudding".into()]))], ..taro() };
    let mut turned = both.clone();
    turned.fields = vec![("toppings".into(), Choice::Many(vec!["egg pudding".into(), "boba".into()]))];
    let print = |items: &[Item]| fingerprint("main", "+15551234567", items);

    assert_eq!(print(&[taro(), both.clone()]), print(&[turned, taro()]));
    assert_eq!(print(&[taro(), taro()]), print(&[Item { quantity: 2, ..taro() }]));
    assert_eq!(print(&[taro()]), print(&[Item { price: Money::ZERO, ..taro() }]));
    assert_ne!(print(&[taro()]), print(&[taro(), taro()]));
    assert_ne!(print(&[taro()]), print(&[both]));
    assert_ne!(print(&[taro()]), print(&[Item { note: Some("hot".into()), ..taro() }]));
    assert_ne!(print(&[taro()]), fingerprint("annex", "+15551234567", &[taro()]));
    assert_ne!(print(&[taro()]), fingerprint("main", "+15551234568", &[taro()]));
    assert_eq!(print(&[taro()]).len(), 64);
}

proptest! {
    #[test]
    fn the_fingerprint_ignores_how_lines_are_cut(quantities in prop::collection::vec(1_u32..5, 1..6)) {
        let lines: Vec<Item> = quantities.iter().map(|&quantity| Item { quantity, ..taro() }).collect();
        let one = Item { quantity: quantities.iter().sum(), ..taro() };
        prop_assert_eq!(fingerprint("main", "c", &lines), fingerprint("main", "c", &[one]));
    }
}
