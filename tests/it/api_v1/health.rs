//! Alive, and able to take a call.

use super::*;
use crate::harness::{PATIENCE, TestShop, quick_order};
use std::time::Duration;

impl TestShop {
    /// Waits for an answer of this status: the last one holds for a moment.
    async fn until_ready_is(&self, status: u16) -> Answer {
        let wanted = async {
            loop {
                let answer = self.get("/readyz").await;
                if answer.status == status {
                    return answer;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(PATIENCE, wanted).await.unwrap_or_else(|_| panic!("/readyz never was {status}"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_gone_and_back_is_told_and_needs_no_restart() {
    let shop = TestShop::open_with([], &[("STAFF_PASSWORD", "sesame"), ("API_KEY", "the-key")]).await;
    let ready = shop.get("/readyz").await;
    assert_eq!((ready.status.as_u16(), ready.json()), (200, json!({"ready": true, "ordering": "open"})));
    let folder = shop.orders_dir();
    let elsewhere = folder.with_extension("aside");
    std::fs::rename(&folder, &elsewhere).expect("renamed");
    let answer = shop.until_ready_is(503).await;
    answer.assert_error(503, "UNAVAILABLE");
    assert_eq!(answer.json()["error"]["details"], json!({"reason": "store"}));
    assert!(!answer.text.contains("orders/") && !answer.text.contains("tmp"), "no paths: {}", answer.text);
    let alive = shop.get("/healthz").await;
    assert_eq!((alive.status.as_u16(), alive.text.as_str()), (200, "ok\n"));
    let create = || Answer::to(with_body(shop.v1(Method::POST, "/orders"), &taro()).bearer_auth("the-key"));
    create().await.assert_error(503, "UNAVAILABLE");
    std::fs::rename(&elsewhere, &folder).expect("renamed");
    shop.until_ready_is(200).await;
    assert_eq!(create().await.status, 201);
    // A full disk or a folder that is read-only looks like this: there, and nothing can be made in it.
    std::fs::rename(&folder, &elsewhere).expect("renamed");
    std::fs::write(&folder, "").expect("a file in the folder's place");
    shop.until_ready_is(503).await;
    std::fs::remove_file(&folder).expect("removed");
    std::fs::rename(&elsewhere, &folder).expect("renamed");
    shop.until_ready_is(200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_is_no_fault() {
    let shop = TestShop::open([]).await;
    let pause = with_body(shop.v1(Method::PATCH, "/shop"), &json!({"paused_until": "resumed"}));
    assert_eq!(Answer::to(pause).await.status, 200);
    let answer = shop.get("/readyz").await;
    assert_eq!((answer.status.as_u16(), answer.json()), (200, json!({"ready": true, "ordering": "paused"})));
    let off = TestShop::open_with([], &[("ORDERING_ENABLED", "false")]).await;
    assert_eq!(off.get("/readyz").await.json()["ordering"], "closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shop_whose_lines_are_taken_is_not_ready_until_one_is_free() {
    let mut shop = TestShop::open_with([quick_order()], &[("MAX_CALLS", "1")]).await;
    let mut feed = shop.staff_feed().await;
    let call = shop.begin_call(&quick_order(), shop.caller_options());
    feed.event_of("call_started").await;
    let answer = shop.get("/readyz").await;
    answer.assert_error(503, "UNAVAILABLE");
    assert_eq!(answer.json()["error"]["details"]["reason"], "busy");
    shop.end_call(call).await.assert_flawless();
    shop.until_ready_is(200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn however_many_ask_the_store_is_tried_once() {
    let shop = TestShop::open([]).await;
    let answers = futures_util::future::join_all((0..200).map(|_| shop.get("/readyz"))).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
}
