//! Who is let in, to every route that the description names, and which methods each takes.

use super::*;
use crate::harness::raw;
use reqwest::header::COOKIE;

/// Every operation: method, path with something in its holes, whether it is guarded.
fn operations(document: &Value) -> Vec<(Method, String, bool)> {
    let paths = document["paths"].as_object().expect("paths").iter();
    let fill = |path: &str| {
        let holes = [
            ("{order_id}", "ORD-main-1"),
            ("{customer_id}", "C"),
            ("{number}", "4782"),
            ("{id}", "1"),
            ("{call_sid}", "CA1"),
        ];
        holes.into_iter().fold(path.to_owned(), |path, (hole, filling)| path.replace(hole, filling))
    };
    paths
        .flat_map(|(path, methods)| {
            let methods = methods.as_object().expect("operations").iter();
            methods.filter_map(move |(method, operation)| {
                let method: Method = method.to_uppercase().parse().ok()?;
                // What is behind the staff's door names both keys; what only some servers guard names none as well.
                let keys = operation.get("security").and_then(Value::as_array);
                let is_guarded = keys.is_some_and(|keys| !keys.contains(&json!({})));
                Some((method, fill(path), is_guarded))
            })
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_guarded_route_asks_for_a_key_and_refuses_other_sites() {
    let keys = [("STAFF_PASSWORD", "sesame"), ("API_KEY", "the-key")];
    let shop = TestShop::open_with([], &keys).await;
    shop.place(Some("+15551234567")).await;
    let operations = operations(&shop.json("/api/openapi.json").await);
    let guarded: Vec<_> = operations.iter().filter(|(_, _, guarded)| *guarded).collect();
    assert!(guarded.len() >= 23 && guarded.iter().filter(|(_, path, _)| path.starts_with("/api/v1")).count() >= 19);
    let cookie = shop.sign_in("sesame").await;
    for (method, path, _) in &guarded {
        let request = || with_body(client().request(method.clone(), shop.url(path)), &json!({}));
        Answer::to(request()).await.assert_error(401, "UNAUTHENTICATED");
        Answer::to(request().bearer_auth("wrong")).await.assert_error(401, "UNAUTHENTICATED");
        if method != Method::GET {
            let theirs = request().header(COOKIE, &cookie).header("Origin", "https://evil.example");
            Answer::to(theirs).await.assert_error(403, "FORBIDDEN");
        }
    }
    let short = client().get(shop.url("/api/orders"));
    Answer::to(short).await.assert_error(401, "UNAUTHENTICATED");
    let short = with_body(client().post(shop.url("/api/orders")), &taro());
    Answer::to(short).await.assert_error(401, "UNAUTHENTICATED");
    let orders = shop.orders().await;
    assert_eq!((orders.len(), orders[0].version), (1, 1), "nothing was done");
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_and_staff_are_told_apart_in_the_history() {
    let keys = [("STAFF_PASSWORD", "sesame"), ("API_KEY", "the-key")];
    let shop = TestShop::open_with([], &keys).await;
    let create = with_body(shop.v1(Method::POST, "/orders"), &taro()).bearer_auth("the-key");
    let order = Answer::to(create.header("Origin", "https://till.example")).await.json();
    assert_eq!(order["history"][0]["by"], "api", "a program is no page of another site");
    let status = with_body(shop.v1(Method::POST, &path_of(&order, "/status")), &json!({"status": "preparing"}));
    let status = status.header(IF_MATCH, "\"1\"").header(COOKIE, shop.sign_in("sesame").await);
    assert_eq!(Answer::to(status).await.json()["history"][1]["by"], "staff");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_says_which_methods_it_takes() {
    let shop = TestShop::open([]).await;
    shop.created(&taro()).await;
    for (path, allowed) in [
        ("/orders", vec!["GET", "HEAD", "POST", "DELETE"]),
        ("/orders/ORD-main-1", vec!["GET", "HEAD", "PATCH", "DELETE"]),
        ("/orders/ORD-main-1/status", vec!["POST"]),
        ("/orders/ORD-main-1/undo", vec!["POST"]),
        ("/orders/ORD-main-1/summary", vec!["GET", "HEAD"]),
        ("/orders/ORD-main-1/audit", vec!["GET", "HEAD"]),
        ("/orders/ORD-main-1/deliveries/1/retry", vec!["POST"]),
        ("/deliveries/failed", vec!["GET", "HEAD"]),
        ("/customers/C/last-order", vec!["GET", "HEAD"]),
        ("/statistics", vec!["GET", "HEAD"]),
        ("/calls", vec!["GET", "HEAD"]),
        ("/calls/CA1", vec!["GET", "HEAD"]),
        ("/menu", vec!["GET", "HEAD"]),
        ("/shop", vec!["GET", "HEAD", "PATCH"]),
    ] {
        for method in [Method::PUT, Method::OPTIONS, Method::TRACE] {
            let answer = Answer::to(shop.v1(method, path)).await;
            answer.assert_error(405, "METHOD_NOT_ALLOWED");
            let mut told: Vec<&str> = header(&answer, "allow").expect("Allow").split(',').collect();
            let mut allowed = allowed.clone();
            told.sort_unstable();
            allowed.sort_unstable();
            assert_eq!(told, allowed, "{path}");
        }
    }
    let head = Answer::to(shop.v1(Method::HEAD, "/orders/ORD-main-1")).await;
    assert_eq!((head.status.as_u16(), header(&head, "etag"), head.text.as_str()), (200, Some("\"1\""), ""));
    for nowhere in ["/orders/ORD-main-1/history", "/orders/ORD-main-1/status/x", "/customers/C", "/nothing", ""] {
        shop.read(nowhere).await.assert_error(404, "NOT_FOUND");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_order_id_is_no_order() {
    let shop = TestShop::open([]).await;
    let long = "9".repeat(4_000);
    for nothing in ["ORD-main-1", "%00", "%F0%9F%8D%B5", "..%2F..%2Fetc", "%3Cscript%3E", "a%20b", &long] {
        for below in ["", "/summary", "/audit"] {
            let answer = shop.read(&format!("/orders/{nothing}{below}")).await;
            answer.assert_error(404, "NOT_FOUND");
            assert!(answer.text.len() < 400 && !answer.text.contains("script"));
        }
        shop.change(Method::POST, &format!("/orders/{nothing}/undo"), 1, None).await.assert_error(404, "NOT_FOUND");
        shop.change(Method::DELETE, &format!("/orders/{nothing}"), 1, None).await.assert_error(404, "NOT_FOUND");
        let retry = shop.v1(Method::POST, &format!("/orders/{nothing}/deliveries/1/retry"));
        Answer::to(retry).await.assert_error(404, "NOT_FOUND");
    }
    // Not UTF-8.
    let (status, answer) = raw::get(shop.shop.address(), "/api/v1/orders/%ff").await;
    assert!(status == 404 && answer.contains("\"NOT_FOUND\""), "{answer}");
    let (status, answer) = raw::get(shop.shop.address(), "/api/v1/customers/%ff/last-order").await;
    assert!(status == 404 && answer.contains("\"NOT_FOUND\""), "{answer}");
}
