//! Lists, look-ups and sums.

use super::*;
use std::collections::BTreeSet;

fn ids(page: &Value) -> Vec<String> {
    let orders = page["orders"].as_array().expect("a page");
    orders.iter().map(|order| order["order_id"].as_str().expect("an id").to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_are_found_by_every_filter_newest_first() {
    let shop = TestShop::open([]).await;
    let drink = |name: &str, phone: &str, customer: Option<&str>| {
        let mut body = taro();
        (body["name"], body["phone"]) = (name.into(), phone.into());
        body["customer_id"] = customer.map_or(Value::Null, Value::from);
        body["allow_duplicate"] = true.into();
        body
    };
    let first = shop.created(&drink("Ada Lovelace", "+15551234567", None)).await;
    let second = shop.created(&drink("Grace", "+15551234568", Some("CUST 1"))).await;
    shop.created(&drink("ada  LOVELACE", "+15551234567", Some("CUST 1"))).await;
    assert_eq!(shop.move_to(&first, 1, "preparing").await.status, 200);
    assert_eq!(shop.move_to(&second, 1, "cancelled").await.status, 200);
    for (query, found) in [
        ("", vec![3, 2, 1]),
        ("?status=received", vec![3]),
        ("?status=preparing,cancelled", vec![2, 1]),
        ("?status=confirmed&status=processing", vec![3, 1]),
        ("?phone=%2B15551234567", vec![3, 1]),
        ("?phone=+15551234567", vec![3, 1]),
        ("?phone=(555)%20123-4567", vec![3, 1]),
        ("?name=Ada%20lovelace", vec![3, 1]),
        ("?name=Ada", vec![]),
        ("?customer_id=CUST%201", vec![3, 2]),
        ("?customer_id=%2B15551234567", vec![1]),
        ("?name=ada+lovelace&status=received&customer_id=CUST+1", vec![3]),
        ("?phone=%2B15551234567&customer_id=CUST%201&status=cancelled", vec![]),
        ("?limit=2", vec![3, 2]),
    ] {
        let page = shop.read(&format!("/orders{query}")).await;
        assert_eq!(page.status, 200, "{query}: {}", page.text);
        let found: Vec<String> = found.iter().map(|n| format!("ORD-main-{n}")).collect();
        assert_eq!(ids(&page.json()), found, "{query}");
        assert_eq!(page.json()["next_cursor"].is_string(), query == "?limit=2", "{query}");
    }
    let page = shop.read("/orders?limit=1").await.json();
    assert_eq!(page["orders"][0], shop.read("/orders/ORD-main-3").await.json(), "whole orders");
    assert_eq!(page["orders"][0]["phone"], "+15551234567", "whole numbers");
    assert_eq!(shop.json("/api/orders?limit=1").await, page, "the short address");
    for wrong in [
        "limit=0",
        "limit=501",
        "limit=x",
        "status=eaten",
        "status=",
        "phone=no",
        "cursor=x",
        "cursor=NDI",
        "page=2",
        "limit=1&limit=2",
        "name=%20",
    ] {
        shop.read(&format!("/orders?{wrong}")).await.assert_error(400, "VALIDATION");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_hold_each_order_once_while_others_are_made_and_deleted() {
    let shop = TestShop::open([]).await;
    for _ in 0..23 {
        shop.created(&taro()).await;
    }
    let (mut seen, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let more = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
        let (page_path, body) = (format!("/orders?limit=5{more}"), taro());
        let (page, made) = tokio::join!(shop.read(&page_path), shop.created(&body));
        let page = page.json();
        seen.extend(ids(&page));
        // What is made meanwhile comes before the first page, what is deleted is only missing.
        let gone = path_of(&made, "");
        assert_eq!(shop.change(Method::DELETE, &gone, 1, None).await.status, 204);
        shop.created(&taro()).await;
        match page["next_cursor"].as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => break,
        }
    }
    let number = |id: &String| id.rsplit('-').next().and_then(|n| n.parse::<u32>().ok()).expect("a number");
    let numbers: Vec<u32> = seen.iter().map(number).collect();
    assert!(numbers.windows(2).all(|pair| pair[0] > pair[1]), "newest first, none twice: {numbers:?}");
    let first: BTreeSet<u32> = (1..=23).collect();
    assert!(first.is_subset(&numbers.iter().copied().collect()), "all that were there: {numbers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customers_last_order_and_the_sums_of_all() {
    let shop = TestShop::open([]).await;
    let nothing = json!({
        "total_orders": 0, "total_revenue": 0.0, "unique_customers": 0,
        "status_breakdown": {"cancelled": 0, "completed": 0, "pending": 0, "preparing": 0, "ready": 0, "received": 0},
    });
    assert_eq!(shop.read("/statistics").await.json(), nothing);
    let mut body = taro();
    body["customer_id"] = "Ünal / Söhne".into();
    shop.created(&body).await;
    body["items"][0]["quantity"] = 2.into();
    let last = shop.created(&body).await;
    let mut by_phone = taro();
    by_phone["phone"] = "+15551234567".into();
    let cancelled = shop.created(&by_phone).await;
    assert_eq!(shop.move_to(&cancelled, 1, "cancelled").await.status, 200);
    let found = shop.read("/customers/%C3%9Cnal%20%2F%20S%C3%B6hne/last-order").await;
    assert_eq!((found.status.as_u16(), found.json()), (200, last));
    let found = shop.read("/customers/+15551234567/last-order").await.json();
    assert_eq!((&found["order_id"], &found["status"]), (&cancelled["order_id"], &json!("cancelled")));
    for nobody in ["CUST-9", "%00", "%F0%9F%8D%B5", "null"] {
        shop.read(&format!("/customers/{nobody}/last-order")).await.assert_error(404, "NOT_FOUND");
    }
    let sums = shop.read("/statistics").await.json();
    assert_eq!((&sums["total_orders"], &sums["total_revenue"]), (&json!(3), &json!(16.5)), "cancelled is no revenue");
    assert_eq!(sums["unique_customers"], 2);
    assert_eq!((&sums["status_breakdown"]["received"], &sums["status_breakdown"]["cancelled"]), (&json!(2), &json!(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_can_be_read_by_people() {
    let shop = TestShop::open([]).await;
    let order = shop.created(&envelope("k")).await;
    let answer = shop.read(&path_of(&order, "/summary")).await;
    assert_eq!((answer.status.as_u16(), header(&answer, "content-type")), (200, Some("text/plain; charset=utf-8")));
    let number = order["order_number"].as_str().expect("a number");
    assert!(answer.text.starts_with(&format!("Order {number} (ORD-main-1): Confirmed\n")), "{}", answer.text);
    for part in ["For John Doe, +15551234567", "$12.50  2 x taro milk tea | boba", "Notes: by the window"] {
        assert!(answer.text.contains(part), "{part}: {}", answer.text);
    }
    shop.read("/orders/ORD-main-9/summary").await.assert_error(404, "NOT_FOUND");
}
