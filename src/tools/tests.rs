use super::*;
use crate::config::OrdersConfig;
use crate::events::EventLog;
use crate::order_service::{Clock, Origin, Owes, Rules, TextPolicy};
use crate::ordering::order::Order;
use crate::ordering::status::OrderStatus;
use crate::shop::{Paused, ShopState, SoldOut};
use crate::store::silent::SilentStore;
use crate::store::{self, Access};
use jiff::{SignedDuration, Timestamp};
use std::sync::atomic::{AtomicI64, Ordering};
use tempfile::TempDir;
use tokio_util::task::TaskTracker;

/// A shop with a disk of its own and a clock that stands still.
struct Counter {
    toolbox: Toolbox,
    orders: OrderService,
    store: Arc<SilentStore>,
    folder: TempDir,
    clock: Arc<AtomicI64>,
}

impl Counter {
    async fn new(menu: &str) -> Counter {
        Counter::with(menu, true).await
    }

    async fn with(menu: &str, ordering_enabled: bool) -> Counter {
        let menu = Arc::new(Menu::builtin(menu).unwrap());
        let folder = tempfile::tempdir().unwrap();
        let config = OrdersConfig::json(folder.path().join("orders"));
        let store = SilentStore::over(store::open(&config, "main", Access::Write).await.unwrap());
        let clock = Arc::new(AtomicI64::new(1_704_067_200));
        let now = Arc::clone(&clock);
        let rules = Rules {
            shop_id: "main".into(),
            drinks_per_order: menu.limits().drinks_per_order,
            active_drinks_per_phone: menu.limits().active_drinks_per_phone,
            ready_for: SignedDuration::from_hours(12),
            demo: false,
            through_pos: false,
        };
        let texts = TextPolicy { enabled: false, countries: vec![Region::US], shop_name: menu.name().into() };
        let clock_now = Clock::new(move || Timestamp::from_second(now.load(Ordering::Relaxed)).unwrap());
        let events = EventLog::new(Timestamp::UNIX_EPOCH);
        let owes = Owes { texts, sheet: false, webhook: false };
        let shop = Shop::new(menu, ordering_enabled, events.clone());
        let orders = OrderService::new(store.clone(), events, shop.clone(), rules, owes, clock_now, TaskTracker::new());
        let toolbox = Toolbox {
            orders: orders.clone(),
            shop,
            region: Region::US,
            final_confirmation: FinalConfirmation::MultiItem,
            can_transfer: false,
        };
        Counter { toolbox, orders, store, folder, clock }
    }

    /// A call from this number.
    fn call(&self, sid: &str, number: &str) -> Call {
        let caller = Caller { call_sid: sid.into(), number: Some(number.into()), correlation_id: format!("req_{sid}") };
        Call { desk: ToolDesk::new(self.toolbox.clone(), caller), turn: Turn::default() }
    }

    async fn set(&self, number: &str, status: OrderStatus) -> Order {
        let order = self.orders.by_number(number.parse().unwrap()).await.unwrap().unwrap();
        let origin = Origin { by: "staff", correlation_id: None };
        self.orders.change_status(&order.order_id, status, None, None, origin).await.unwrap()
    }

    /// The staff pauses the shop, or sells out of something.
    fn shop_is(&self, paused: Option<Paused>, sold_out: &[&str]) {
        let sold_out = sold_out.iter().map(|name| SoldOut::from(*name)).collect();
        self.toolbox.shop.set_state(ShopState { paused, sold_out }, self.orders.now()).unwrap();
    }

    fn break_disk(&self) {
        std::fs::rename(self.folder.path().join("orders"), self.folder.path().join("gone")).unwrap();
    }

    fn mend_disk(&self) {
        std::fs::rename(self.folder.path().join("gone"), self.folder.path().join("orders")).unwrap();
    }
}

/// A caller on the line, and the agent that asks for tools.
struct Call {
    desk: ToolDesk,
    turn: Turn,
}

impl Call {
    fn heard(&mut self) -> &mut Call {
        self.turn = self.turn.next();
        self
    }

    async fn ask(&mut self, name: &str, arguments: Value) -> Value {
        self.ask_text(name, &arguments.to_string()).await.0
    }

    async fn ask_text(&mut self, name: &str, arguments: &str) -> (Value, Option<Effect>) {
        let request = self.request("f1", 0, name, arguments);
        self.carry_out(request).await
    }

    /// A request in this turn, from the agent's message of this number.
    fn request(&self, id: &str, batch: u64, name: &str, arguments: &str) -> ToolRequest {
        let (id, name, arguments) = (id.to_owned(), name.to_owned(), arguments.to_owned());
        ToolRequest { id, name, arguments, turn: self.turn, batch, heard: true }
    }

    async fn carry_out(&mut self, request: ToolRequest) -> (Value, Option<Effect>) {
        let (id, name) = (request.id.clone(), request.name.clone());
        let answer = match self.desk.take(request) {
            Some(answer) => answer,
            None => loop {
                // None: what was looked for is to be saved now.
                if let Some(answer) = self.desk.ready().await.pop() {
                    break answer;
                }
            },
        };
        assert_eq!((answer.id, answer.name), (id, name));
        let content: Value = serde_json::from_str(&answer.content).unwrap();
        assert!(content.is_object(), "{content}");
        if content["ok"] == false {
            assert!(content["code"].is_string() && content["error"].as_str().is_some_and(|error| !error.is_empty()));
        }
        (content, answer.effect)
    }

    /// Expects a refusal and gives its code.
    async fn refused(&mut self, name: &str, arguments: Value) -> String {
        let answer = self.ask(name, arguments).await;
        assert_eq!(answer["ok"], false, "{answer}");
        answer["code"].as_str().unwrap().to_owned()
    }

    async fn ok(&mut self, name: &str, arguments: Value) -> Value {
        let answer = self.ask(name, arguments).await;
        assert_eq!(answer["ok"], true, "{name}: {answer}");
        answer
    }

    /// Stages a drink, lets the caller say yes, confirms it.
    async fn take_drink(&mut self, drink: Value) -> Value {
        self.heard().ok("add_to_cart", drink).await;
        self.heard().ok("confirm_pending_to_cart", json!({})).await
    }
}

mod busy;
mod cancelled;
mod confirmed;
mod described;
mod doubt;
mod repeated;
mod shop;

const ANA: &str = "+15551234567";

#[tokio::test]
async fn a_boba_call_from_first_drink_to_order_number() {
    let shop = Counter::new("boba").await;
    let mut call = shop.call("CA1", ANA);
    let staged = call.heard().ok("add_to_cart", json!({"flavor": "taro milk tea", "toppings": ["boba"]})).await;
    insta::assert_json_snapshot!(staged, @r#"
    {
      "ok": true,
      "staged": true,
      "pending_item": {
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
      },
      "summary": "taro milk tea | boba | no add-ons | 50%, regular ice"
    }
    "#);
    let confirmed = call.heard().ok("confirm_pending_to_cart", json!({})).await;
    insta::assert_json_snapshot!(confirmed, @r#"
    {
      "ok": true,
      "cart_count": 1,
      "item": {
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
      },
      "cart_total": 6.25
    }
    "#);
    let saved = call.heard().ok("save_phone_number", json!({"phone": "555-123-4567"})).await;
    assert_eq!(saved, json!({"ok": true, "phone": ANA, "spoken": "5 5 5, 1 2 3, 4 5 6 7"}));
    let confirmed = call.heard().ok("confirm_phone_number", json!({"confirmed": true})).await;
    assert_eq!(confirmed, json!({"ok": true, "confirmed": true, "phone": ANA}));

    let (mut placed, effect) = call.ask_text("checkout_order", "{}").await;
    let number = placed["order_number"].as_str().unwrap().to_owned();
    assert_eq!(
        effect,
        Some(Effect::OrderPlaced {
            order_number: number.clone(),
            spoken: placed["spoken_order_number"].as_str().unwrap().to_owned()
        })
    );
    let order = shop.orders.by_number(number.parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(placed["spoken_order_number"], order.order_number.spoken());
    placed["order_number"] = "4782".into();
    placed["spoken_order_number"] = "4, 7, 8, 2".into();
    insta::assert_json_snapshot!(placed, @r#"
    {
      "ok": true,
      "order_number": "4782",
      "spoken_order_number": "4, 7, 8, 2",
      "order_id": "ORD-main-1",
      "status": "received",
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
      "phone": "+15551234567",
      "name": null,
      "ready_in_minutes": 2
    }
    "#);
    assert_eq!((order.call_sid.as_deref(), order.phone.as_ref().map(PhoneNumber::as_e164)), (Some("CA1"), Some(ANA)));
    let spoken = order.order_number.spoken();
    assert_eq!(
        call.ask("order_is_placed", json!({})).await,
        json!({"placed": true, "order_number": number, "spoken_order_number": spoken})
    );
    let (ended, effect) = call.ask_text("end_call", "").await;
    assert_eq!((ended, effect), (json!({"ok": true}), Some(Effect::EndCall)));
}

#[tokio::test]
async fn a_coffee_call_needs_a_name_and_no_phone() {
    let shop = Counter::new("coffee").await;
    let mut call = shop.call("CA1", "anonymous");
    let staged = call.heard().ok("add_to_cart", json!({"drink": "lattes", "milk": "oat milk", "quantity": "2"})).await;
    assert_eq!(staged["summary"], "2 x medium latte | oat milk | no extras");
    assert_eq!(staged["pending_item"]["subtotal"], json!(11.2));
    call.heard().ok("confirm_pending_item", json!({})).await;
    assert_eq!(call.refused("checkout_order", json!({})).await, "NO_NAME");
    let placed = call.ok("checkout_order", json!({"name": " Ana\n", "notes": "by\tthe window"})).await;
    assert_eq!((&placed["name"], &placed["phone"], &placed["total"]), (&json!("Ana"), &Value::Null, &json!(11.2)));
    // Two drinks of two minutes each, nobody before.
    assert_eq!(placed["ready_in_minutes"], 4);
    let order =
        shop.orders.by_number(placed["order_number"].as_str().unwrap().parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(order.notes.as_deref(), Some("by the window"));
    assert_eq!(call.refused("set_sweetness_ice", json!({"ice": "no ice"})).await, "UNKNOWN_TOOL");
}

#[tokio::test]
async fn arguments_may_come_in_any_wrapping_and_nothing_else() {
    let shop = Counter::new("boba").await;
    let mut call = shop.call("CA1", ANA);
    for text in [
        r#"{"flavor":"taro","ice":null,"sweetness":50,"toppings":"","quantity":2.0}"#,
        r#""{\"flavor\":\"taro\",\"toppings\":[],\"quantity\":\"2\"}""#,
        r#"{"flavor":["taro"],"toppings":"none","quantity":2,"size":null}"#,
    ] {
        let (answer, _) = call.ask_text("add_to_cart", text).await;
        assert_eq!(answer["summary"], "2 x taro milk tea | no toppings | no add-ons | 50%, regular ice", "{answer}");
        call.ok("clear_pending_item", json!(null)).await;
    }
    for text in ["[]", "7", "{", "\"x\"", "\"[]\"", "true", "{\"flavor\":}", "nonsense"] {
        let (answer, _) = call.ask_text("add_to_cart", text).await;
        assert_eq!(answer["code"], "BAD_ARGUMENTS", "{text}");
    }
    for (arguments, field) in [
        (json!({"flavor": "taro", "quantity": "many"}), "quantity"),
        (json!({"flavor": "taro", "quantity": 1.5}), "quantity"),
        (json!({"flavor": "taro", "quantity": -1}), "quantity"),
        (json!({"flavor": "taro", "quantity": [2]}), "quantity"),
        (json!({"flavor": {"name": "taro"}}), "flavor"),
        (json!({"flavor": true}), "flavor"),
        (json!({"flavor": "taro", "toppings": [["boba"]]}), "toppings"),
        (json!({"flavor": "taro", "note": 5, "size": "large"}), "size"),
        (json!({"flavor": "taro", "size": "large"}), "size"),
    ] {
        let answer = call.ask("add_to_cart", arguments.clone()).await;
        assert_eq!(answer["code"], "BAD_ARGUMENTS", "{arguments}");
        assert!(answer["error"].as_str().unwrap().contains(field), "{answer}");
    }
    assert_eq!(call.refused("add_to_cart", json!({})).await, "BAD_ARGUMENTS");
    assert_eq!(call.refused("add_to_cart", json!({"flavor": "taro", "quantity": 0})).await, "BAD_ARGUMENTS");
    assert_eq!(call.refused("add_to_cart", json!({"flavor": "taro", "quantity": 1e300})).await, "LIMIT");
    assert_eq!(call.refused("add_to_cart", json!({"flavor": "taro", "note": "x".repeat(201)})).await, "BAD_ARGUMENTS");
    assert_eq!(call.refused("order_pizza", json!({})).await, "UNKNOWN_TOOL");
    assert_eq!(call.refused("transfer_to_human", json!({})).await, "UNKNOWN_TOOL");
    assert_eq!(call.refused("get_cart", json!({"index": 1})).await, "BAD_ARGUMENTS");
    assert_eq!(call.refused("order_is_placed", json!({"phone": ANA})).await, "BAD_ARGUMENTS");
    assert_eq!(call.ok("get_cart", json!({})).await["count"], 0);
}

#[tokio::test]
async fn what_is_not_on_the_menu_is_refused_with_the_choices() {
    let shop = Counter::new("boba").await;
    let mut call = shop.call("CA1", ANA);
    let unknown = call.ask("add_to_cart", json!({"flavor": "oolong"})).await;
    insta::assert_json_snapshot!(unknown, @r#"
    {
      "ok": false,
      "code": "UNKNOWN_OPTION",
      "error": "Sorry, \"oolong\" is not on our menu. For flavor there is taro milk tea or black milk tea.",
      "choices": [
        "taro milk tea",
        "black milk tea"
      ]
    }
    "#);
    let ambiguous = call.ask("add_to_cart", json!({"flavor": "milk tea"})).await;
    assert_eq!((&ambiguous["code"], &ambiguous["choices"][1]), (&json!("AMBIGUOUS"), &json!("black milk tea")));
    let rule = call.ask("add_to_cart", json!({"flavor": "taro", "addons": ["matcha"]})).await;
    assert_eq!((&rule["code"], &rule["choices"]), (&json!("RULE"), &json!(["vanilla cream"])));
    assert_eq!(call.refused("confirm_pending_to_cart", json!({})).await, "NO_PENDING_ITEM");
}

#[tokio::test]
async fn a_staged_drink_is_changed_confirmed_or_cleared() {
    let shop = Counter::new("boba").await;
    let mut call = shop.call("CA1", ANA);
    let none = call.ask("confirm_pending_to_cart", json!({})).await;
    assert_eq!(none, json!({"ok": false, "code": "NO_PENDING_ITEM", "error": "No pending drink to confirm."}));
    assert_eq!(call.refused("update_pending_item", json!({"ice": "no ice"})).await, "NO_PENDING_ITEM");
    assert_eq!(call.ok("clear_pending_item", json!({})).await["cleared"], false);

    call.heard().ok("add_to_cart", json!({"flavor": "taro", "toppings": ["boba"], "ice": "less ice"})).await;
    let pending = call.ask("add_to_cart", json!({"flavor": "black"})).await;
    assert_eq!(pending["code"], "PENDING_ITEM");
    assert_eq!(pending["summary"], "taro milk tea | boba | no add-ons | 50%, less ice");
    assert_eq!(call.refused("update_pending_item", json!({})).await, "BAD_ARGUMENTS");
    let updated = call.ok("update_pending_item", json!({"sweetness": "25%", "toppings": ["none"]})).await;
    assert_eq!(updated["summary"], "taro milk tea | no toppings | no add-ons | 25%, less ice");
    let early = call.ask("confirm_pending_to_cart", json!({})).await;
    assert_eq!((&early["code"], &early["summary"]), (&json!("NEEDS_CONFIRMATION"), &updated["summary"]));
    assert_eq!(call.refused("checkout_order", json!({"phone": ANA})).await, "PENDING_ITEM");
    let confirmed = call.heard().ok("confirm_pending_to_cart", json!({})).await;
    assert_eq!((&confirmed["cart_count"], &confirmed["cart_total"]), (&json!(1), &json!(5.5)));

    call.ok("add_to_cart", json!({"flavor": "black"})).await;
    assert_eq!(call.ok("clear_pending_item", json!({})).await, json!({"ok": true, "cleared": true}));
    assert_eq!(call.heard().refused("confirm_pending_to_cart", json!({})).await, "NO_PENDING_ITEM");
}

#[tokio::test]
async fn lines_are_looked_at_changed_and_removed() {
    let shop = Counter::new("boba").await;
    let mut call = shop.call("CA1", ANA);
    assert_eq!(call.refused("set_sweetness_ice", json!({"ice": "no ice"})).await, "EMPTY_CART");
    call.take_drink(json!({"flavor": "taro", "quantity": 2})).await;
    call.take_drink(json!({"flavor": "black", "toppings": "pudding"})).await;
    let cart = call.ok("get_cart", json!({})).await;
    assert_eq!((&cart["count"], &cart["total"], &cart["pending_item"]), (&json!(3), &json!(17.25), &Value::Null));
    assert_eq!(
        cart["summary"],
        "2 x taro milk tea | no toppings | no add-ons | 50%, regular ice; black milk tea | egg pudding | no add-ons | \
         50%, regular ice. Total $17.25."
    );
    let changed = call.ok("modify_cart_item", json!({"index": 0, "toppings": ["boba"], "quantity": 1})).await;
    assert_eq!((&changed["cart_count"], &changed["cart_total"]), (&json!(2), &json!(12.5)));
    assert_eq!(changed["item"]["toppings"], json!(["boba"]));
    let last = call.ok("set_sweetness_ice", json!({"sweetness": "no sugar", "ice": "extra"})).await;
    assert_eq!((&last["item"]["flavor"], &last["item"]["ice"]), (&json!("black milk tea"), &json!("extra ice")));
    assert_eq!(call.ok("set_sweetness_ice", json!({"index": "0", "ice": "no ice"})).await["item"]["ice"], "no ice");
    let bad = call.ask("remove_from_cart", json!({"index": 2})).await;
    assert_eq!((&bad["code"], bad["choices"].as_array().map(Vec::len)), (&json!("BAD_INDEX"), Some(2)));
    assert_eq!(call.refused("modify_cart_item", json!({"index": 9, "ice": "no ice"})).await, "BAD_INDEX");
    assert_eq!(call.refused("remove_from_cart", json!({})).await, "BAD_ARGUMENTS");
    assert_eq!(call.refused("remove_from_cart", json!({"index": -1})).await, "BAD_ARGUMENTS");
    assert_eq!(call.refused("modify_cart_item", json!({"index": 0})).await, "BAD_ARGUMENTS");
    assert_eq!(call.refused("modify_cart_item", json!({"index": 0, "quantity": 10})).await, "LIMIT");
    assert_eq!(call.refused("set_sweetness_ice", json!({"toppings": ["boba"]})).await, "BAD_ARGUMENTS");
    let removed = call.ok("remove_from_cart", json!({"index": 0})).await;
    assert_eq!((&removed["removed"]["flavor"], &removed["cart_count"]), (&json!("taro milk tea"), &json!(1)));

    call.ok("add_to_cart", json!({"flavor": "taro"})).await;
    assert_eq!(call.refused("set_sweetness_ice", json!({"ice": "no ice"})).await, "PENDING_ITEM");
    let cart = call.ok("get_cart", json!({})).await;
    assert_eq!(cart["pending_item"]["flavor"], "taro milk tea");
    assert!(cart["summary"].as_str().unwrap().contains("Not confirmed yet: taro"), "{cart}");
}

#[tokio::test]
async fn limits_hold_for_an_order_and_for_a_number() {
    let shop = Counter::new("boba").await;
    for sid in ["CA1", "CA2"] {
        let mut call = shop.call(sid, ANA);
        call.heard();
        assert_eq!(call.refused("add_to_cart", json!({"flavor": "taro", "quantity": 11})).await, "LIMIT");
        call.take_drink(json!({"flavor": "taro", "quantity": 10})).await;
        assert_eq!(call.refused("add_to_cart", json!({"flavor": "taro"})).await, "LIMIT");
        call.ok("checkout_order", json!({"phone": ANA, "allow_duplicate": true})).await;
        // The order is full, so it cannot be amended either.
        call.take_drink(json!({"flavor": "taro"})).await;
        assert_eq!(call.refused("checkout_order", json!({})).await, "LIMIT");
    }
    let mut third = shop.call("CA3", ANA);
    third.take_drink(json!({"flavor": "taro"})).await;
    assert_eq!(third.refused("checkout_order", json!({"phone": ANA})).await, "LIMIT");
    third.ok("checkout_order", json!({"phone": "555 987 6543"})).await;
}

#[tokio::test]
async fn phone_numbers_are_saved_forgotten_and_refused() {
    let shop = Counter::new("boba").await;
    let mut call = shop.call("CA1", ANA);
    assert_eq!(call.refused("confirm_phone_number", json!({"confirmed": true})).await, "NO_PHONE");
    assert_eq!(call.refused("confirm_phone_number", json!({})).await, "BAD_ARGUMENTS");
    assert_eq!(call.refused("save_phone_number", json!({"phone": "123"})).await, "BAD_PHONE");
    assert_eq!(call.refused("save_phone_number", json!({"phone": "my usual one"})).await, "BAD_PHONE");
    assert_eq!(call.refused("save_phone_number", json!({"phone": true})).await, "BAD_ARGUMENTS");
    assert_eq!(call.ok("save_phone_number", json!({})).await["phone"], ANA);
    let said = json!({"phone": "five five five, nine eight seven, six five four three"});
    assert_eq!(call.ok("save_phone_number", said).await["phone"], "+15559876543");
    assert_eq!(call.ok("save_phone_number", json!({"phone": 5559876543_u64})).await["phone"], "+15559876543");
    let forgotten = call.ok("confirm_phone_number", json!({"confirmed": false})).await;
    assert_eq!(forgotten, json!({"ok": true, "confirmed": false, "phone": null}));
    call.take_drink(json!({"flavor": "taro"})).await;
    assert_eq!(call.refused("checkout_order", json!({})).await, "NO_PHONE");
    assert_eq!(call.refused("checkout_order", json!({"phone": "55"})).await, "BAD_PHONE");
    assert_eq!(call.ok("checkout_order", json!({"phone": "(555) 987-6543"})).await["phone"], "+15559876543");

    for withheld in ["anonymous", "+266696687", "Restricted", ""] {
        let mut call = shop.call("CA2", withheld);
        assert_eq!(call.refused("save_phone_number", json!({"phone": ""})).await, "NO_PHONE", "{withheld}");
    }
}

#[tokio::test]
async fn one_call_is_one_order_that_grows_until_somebody_makes_it() {
    let shop = Counter::new("boba").await;
    let mut call = shop.call("CA1", ANA);
    call.take_drink(json!({"flavor": "taro"})).await;
    let first = call.ok("checkout_order", json!({"phone": ANA})).await;
    let again = call.ok("checkout_order", json!({})).await;
    assert_eq!(again, first);

    call.take_drink(json!({"flavor": "black"})).await;
    let amended = call.ok("checkout_order", json!({"notes": "two straws"})).await;
    assert_eq!((&amended["order_number"], &amended["order_id"]), (&first["order_number"], &first["order_id"]));
    assert_eq!((amended["items"].as_array().map(Vec::len), &amended["total"]), (Some(2), &json!(11.0)));
    let number = first["order_number"].as_str().unwrap();
    assert_eq!(shop.orders.by_number(number.parse().unwrap()).await.unwrap().unwrap().version, 2);

    shop.set(number, OrderStatus::Preparing).await;
    call.take_drink(json!({"flavor": "taro"})).await;
    let second = call.ok("checkout_order", json!({})).await;
    assert_ne!(second["order_id"], first["order_id"]);
    assert_eq!(second["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(shop.orders.recent(10).await.unwrap().len(), 2);
}

#[tokio::test]
async fn the_same_drinks_on_a_second_call_are_a_slip_unless_wanted() {
    let shop = Counter::new("boba").await;
    let mut first = shop.call("CA1", ANA);
    first.take_drink(json!({"flavor": "taro", "toppings": ["boba", "pudding"]})).await;
    let placed = first.ok("checkout_order", json!({"phone": ANA})).await;
    let mut second = shop.call("CA2", ANA);
    second.take_drink(json!({"flavor": "taro", "toppings": ["pudding", "boba"]})).await;
    let slip = second.ask("checkout_order", json!({"phone": "555-123-4567"})).await;
    assert_eq!((&slip["code"], &slip["order_number"]), (&json!("DUPLICATE_ORDER"), &placed["order_number"]));
    assert_eq!(second.ask("order_is_placed", json!({})).await, json!({"placed": false, "order_number": null}));
    let wanted = second.ok("checkout_order", json!({"allow_duplicate": true})).await;
    assert_ne!(wanted["order_number"], placed["order_number"]);

    shop.clock.fetch_add(301, Ordering::Relaxed);
    let mut later = shop.call("CA3", ANA);
    later.take_drink(json!({"flavor": "taro", "toppings": ["pudding", "boba"]})).await;
    later.ok("checkout_order", json!({"phone": ANA})).await;
}

#[tokio::test]
async fn an_order_is_found_by_number_or_by_the_line_it_was_placed_from() {
    let shop = Counter::new("boba").await;
    let mut call = shop.call("CA1", ANA);
    assert_eq!(call.ask("order_status", json!({})).await, json!({"found": false}));
    call.take_drink(json!({"flavor": "taro"})).await;
    let placed = call.ok("checkout_order", json!({"phone": ANA, "name": "Ana"})).await;
    let number = placed["order_number"].as_str().unwrap().to_owned();
    let found = json!({
        "found": true, "order_number": number, "status": "received", "status_label": "Confirmed", "total": 5.5,
    });
    let spoken: Vec<String> = number.chars().map(String::from).collect();
    let mut stranger = shop.call("CA2", "+15559876543");
    for arguments in [
        json!({"order_number": number}),
        json!({"order_number": number.parse::<u32>().unwrap()}),
        json!({"order_number": spoken.join(", ")}),
        json!({"order_number": format!("#{number}.")}),
    ] {
        assert_eq!(stranger.ask("order_status", arguments.clone()).await, found, "{arguments}");
    }
    // A stranger cannot look a phone number up, not even by saying it.
    for arguments in [json!({"phone": ANA}), json!({}), json!({"order_number": "12"}), json!({"order_number": ANA})] {
        assert_eq!(stranger.ask("order_status", arguments.clone()).await, json!({"found": false}), "{arguments}");
    }
    let mut again = shop.call("CA3", ANA);
    for arguments in [json!({"phone": "555-123-4567"}), json!({})] {
        assert_eq!(again.ask("order_status", arguments).await, found);
    }
    assert_eq!(again.refused("order_status", json!({"phone": "what?"})).await, "BAD_PHONE");
    let mut withheld = shop.call("CA4", "anonymous");
    assert_eq!(withheld.ask("order_status", json!({"phone": ANA})).await, json!({"found": false}));
    shop.set(&number, OrderStatus::Ready).await;
    assert_eq!(again.ask("order_status", json!({})).await["status_label"], "Ready for pickup");
    // A finished order promises no time any more.
    assert_eq!(call.ok("checkout_order", json!({})).await["ready_in_minutes"], Value::Null);
}

#[tokio::test]
async fn numbers_are_found_in_a_sentence() {
    let shop = Counter::new("boba").await;
    let mut call = shop.call("CA1", ANA);
    for (text, phone, order) in [
        ("My number is 555-123-4567 and my order is 4782", Some(ANA), Some("4782")),
        ("order four seven eight two", None, Some("4782")),
        ("it's area code five five five then one two three four five six seven", Some(ANA), None),
        ("nothing to see here", None, None),
    ] {
        let answer = call.ask("extract_phone_and_order", json!({"text": text})).await;
        assert_eq!(answer, json!({"phone": phone, "order_number": order}), "{text}");
    }
    assert_eq!(call.refused("extract_phone_and_order", json!({})).await, "BAD_ARGUMENTS");
}

#[tokio::test]
async fn the_menu_is_told_in_its_own_words() {
    let boba = Counter::new("boba").await.call("CA1", ANA).ok("menu_summary", json!({})).await;
    assert_eq!(boba["flavors"], json!(["taro milk tea", "black milk tea"]));
    assert_eq!(boba["addons"], json!(["matcha stencil on top"]));
    let keys: Vec<&String> = boba.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["ok", "summary", "flavors", "toppings", "sweetness_levels", "ice_levels", "addons"]);
    let coffee = Counter::new("coffee").await.call("CA1", ANA).ok("menu_summary", json!({})).await;
    assert_eq!(coffee["milks"], json!(["regular", "oat", "almond", "soy"]));
    assert!(coffee["summary"].as_str().unwrap().contains("espresso $3.00"));
}

#[tokio::test]
async fn a_person_is_called_only_where_there_is_one() {
    let mut shop = Counter::new("boba").await;
    shop.toolbox.can_transfer = true;
    let mut call = shop.call("CA1", ANA);
    let (answer, effect) = call.ask_text("transfer_to_human", r#"{"reason":"wants\na person"}"#).await;
    assert_eq!(answer, json!({"ok": true}));
    assert_eq!(effect, Some(Effect::Transfer { reason: Some("wants a person".into()) }));
}

#[tokio::test]
async fn two_calls_have_two_carts() {
    let shop = Counter::new("boba").await;
    let (mut one, mut other) = (shop.call("CA1", ANA), shop.call("CA2", "+15559876543"));
    one.take_drink(json!({"flavor": "taro"})).await;
    other.heard().ok("add_to_cart", json!({"flavor": "black"})).await;
    assert_eq!(other.ok("get_cart", json!({})).await["count"], 0);
    assert_eq!(one.ok("get_cart", json!({})).await["pending_item"], Value::Null);
}

#[test]
fn a_tool_past_its_time_is_told_so() {
    let answer = still_working("f7".into(), "checkout_order".into());
    assert_eq!((answer.id.as_str(), answer.name.as_str(), &answer.effect), ("f7", "checkout_order", &None));
    assert!(answer.content.starts_with(r#"{"ok":false,"code":"STILL_WORKING","error":""#), "{}", answer.content);
}
