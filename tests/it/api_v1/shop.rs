//! The menu as data, and the shop's state: changed, obeyed, kept.

use super::*;
use crate::harness::shape;

impl TestShop {
    async fn tell(&self, body: Value) -> Answer {
        Answer::to(with_body(self.v1(Method::PATCH, "/shop"), &body)).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_menu_says_all_that_a_page_needs() {
    let shop = TestShop::open([]).await;
    let menu = shop.read("/menu").await.json();
    insta::assert_json_snapshot!("boba_menu", menu);
    assert_eq!(shop.tell(json!({"sold_out": ["vanilla cream"], "paused_until": "resumed"})).await.status, 200);
    let now = shop.read("/menu").await.json();
    let out: Vec<&str> = now["fields"]
        .as_array()
        .expect("fields")
        .iter()
        .flat_map(|field| field["options"].as_array().expect("options"))
        .filter(|option| option["sold_out"] == true)
        .map(|option| option["name"].as_str().expect("a name"))
        .collect();
    assert_eq!(out, ["vanilla cream", "matcha stencil on top"], "also what needs it");
    assert_eq!(now["closed"], "We are not taking orders right now. Please try again in a while.");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_state_is_changed_told_obeyed_and_kept() {
    let shop = TestShop::open([]).await;
    let mut feed = shop.staff_feed().await;
    assert_eq!(shop.read("/shop").await.json(), json!({"sold_out": []}));
    let answer = shop.tell(json!({"sold_out": ["toppings:boba"]})).await;
    assert_eq!((answer.status.as_u16(), answer.json()), (200, json!({"sold_out": ["boba"]})));
    assert_eq!(feed.event_of("menu_changed").await["sold_out"], json!(["boba"]));
    let with_boba = json!({"items": [{"flavor": "taro milk tea", "toppings": ["boba"]}]});
    let refused = shop.create(&with_boba).await;
    refused.assert_error(422, "BUSINESS_RULE");
    assert_eq!(refused.json()["error"]["details"]["sold_out"], "boba");

    assert_eq!(shop.json("/orders/board.json").await["paused"], false);
    let paused = shop.tell(json!({"paused_until": "2999-01-01T13:00:00+01:00"})).await.json();
    assert_eq!(paused, json!({"paused_until": "2999-01-01T12:00:00Z", "sold_out": ["boba"]}), "what is left out stays");
    assert_eq!(feed.event_of("ordering_paused").await["paused_until"], "2999-01-01T12:00:00Z");
    assert_eq!(shop.json("/orders/board.json").await["paused"], true);
    shop.create(&taro()).await.assert_error(422, "BUSINESS_RULE");

    let shop = shop.reopen([], &[]).await;
    assert_eq!(shop.read("/shop").await.json(), paused, "over a restart");
    assert_eq!(shop.json("/orders/board.json").await["paused"], true);
    let mut feed = shop.staff_feed().await;
    assert_eq!(shop.tell(json!({"paused_until": null})).await.json(), json!({"sold_out": ["boba"]}));
    feed.event_of("ordering_resumed").await;
    assert_eq!(shop.create(&taro()).await.status, 201);
    shop.create(&with_boba).await.assert_error(422, "BUSINESS_RULE");

    let half_an_hour = shop.tell(json!({"paused_for_minutes": 30})).await.json();
    let until: jiff::Timestamp = half_an_hour["paused_until"].as_str().and_then(|at| at.parse().ok()).expect("an end");
    let minutes = until.duration_since(jiff::Timestamp::now()).as_secs_f64() / 60.0;
    assert!((28.0..=30.0).contains(&minutes), "{minutes}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_makes_no_sense_changes_nothing() {
    let shop = TestShop::open([]).await;
    assert_eq!(shop.tell(json!({"sold_out": ["boba"]})).await.status, 200);
    for (wrong, field) in [
        (json!({"sold_out": ["oolong"]}), "sold_out"),
        (json!({"sold_out": ["ice:boba"]}), "sold_out"),
        (json!({"paused_until": "soon", "sold_out": []}), "paused_until"),
        (json!({"paused_for_minutes": 0}), "paused_for_minutes"),
        (json!({"open": true}), "open"),
    ] {
        let answer = shop.tell(wrong).await;
        answer.assert_error(400, "VALIDATION");
        assert_eq!(answer.json()["error"]["details"]["field"], field, "{}", answer.text);
    }
    let over = shop.tell(json!({"paused_until": "2020-01-01T00:00:00Z"})).await;
    over.assert_error(422, "BUSINESS_RULE");
    shop.tell(json!({})).await.assert_error(400, "VALIDATION");
    assert_eq!(shop.read("/shop").await.json(), json!({"sold_out": ["boba"]}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_cannot_be_saved_is_not_obeyed() {
    let shop = TestShop::open([]).await;
    let folder = shop.orders_dir().join("state");
    std::fs::write(&folder, "").expect("a file in the folder's place");
    shop.tell(json!({"paused_until": "resumed"})).await.assert_error(503, "UNAVAILABLE");
    assert_eq!(shop.read("/shop").await.json(), json!({"sold_out": []}));
    assert_eq!(shop.create(&taro()).await.status, 201, "it is open");
    std::fs::remove_file(&folder).expect("removed");
    assert_eq!(shop.tell(json!({"paused_until": "resumed"})).await.status, 200);
}

/// When the boba shop is open, if it says.
const HOURS: &str = r#"
[hours]
mon = ["09:00-18:00"]
fri = ["20:00-02:00", "9:30-12:00", "18:00-20:00"]
sun = ["00:00-24:00"]
closed = ["2027-01-01", "2026-12-25"]
[slots]
minutes = 15
drinks = 20
"#;

#[tokio::test(flavor = "multi_thread")]
async fn the_menu_tells_when_the_shop_is_open() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("shop.toml");
    std::fs::write(&file, format!("{}{HOURS}", include_str!("../../../menus/boba.toml"))).expect("a file");
    let shop = TestShop::open_with([], &[("MENU_FILE", file.to_str().expect("a path"))]).await;
    let menu = shop.read("/menu").await.json();
    let open = |opens: &str, closes: &str| json!({"opens": opens, "closes": closes});
    let expected = json!({
        "mon": [open("09:00", "18:00")],
        "tue": [], "wed": [], "thu": [],
        "fri": [open("09:30", "12:00"), open("18:00", "20:00"), open("20:00", "02:00")],
        "sat": [],
        "sun": [open("00:00", "24:00")],
    });
    assert_eq!(menu["hours"], expected);
    assert_eq!(menu["closed_days"], json!(["2026-12-25", "2027-01-01"]));
    assert_eq!(menu["slots"], json!({"minutes": 15, "drinks": 20}));
    let document = shop.json("/api/openapi.json").await;
    let told: Vec<String> = shape(&document, "Menu").iter_errors(&menu).map(|error| error.to_string()).collect();
    assert_eq!(told, [""; 0]);
    let mut wrong = menu.clone();
    wrong["hours"]["mon"][0]["closes"] = json!("25:00");
    assert!(!shape(&document, "Menu").is_valid(&wrong), "the shape says something");
}

#[tokio::test(flavor = "multi_thread")]
async fn both_menus_are_as_described() {
    for menu in ["boba", "coffee"] {
        let file = format!("{}/menus/{menu}.toml", env!("CARGO_MANIFEST_DIR"));
        let shop = TestShop::open_with([], &[("MENU_FILE", file.as_str())]).await;
        let document = shop.json("/api/openapi.json").await;
        let errors = |name: &str, value: &Value| -> Vec<String> {
            shape(&document, name).iter_errors(value).map(|error| error.to_string()).collect()
        };
        assert_eq!(errors("Menu", &shop.read("/menu").await.json()), [""; 0], "{menu}");
        let examples = document["components"]["schemas"]["ShopPatch"]["examples"].as_array().expect("examples").clone();
        assert_eq!(examples.len(), 2);
        for example in examples {
            assert_eq!(errors("ShopPatch", &example), [""; 0], "{example}");
            let answer = shop.tell(example).await;
            assert_eq!(answer.status, 200, "{}", answer.text);
            assert_eq!(errors("Shop", &answer.json()), [""; 0], "{}", answer.text);
        }
    }
}
