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

mod cancelled;
mod repeated;

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
async fn several_drinks_are_ordered_only_on_a_yes_to_all_of_them() {
    let shop = Counter::new("boba").await;
    let mut call = shop.call("CA1", ANA);
    assert_eq!(call.refused("checkout_order", json!({"confirmed": true})).await, "EMPTY_CART");
    call.take_drink(json!({"flavor": "taro"})).await;
    call.take_drink(json!({"flavor": "black"})).await;
    assert_eq!(call.refused("checkout_order", json!({"confirmed": true})).await, "NO_PHONE");
    call.heard();
    let unread = call.ask("checkout_order", json!({"phone": ANA, "confirmed": true})).await;
    assert_eq!(unread["code"], "NEEDS_CONFIRMATION");
    assert!(unread["summary"].as_str().unwrap().contains("Total $11.00"), "{unread}");
    assert!(unread["next"].as_str().unwrap().contains("get_cart"), "{unread}");
    call.ok("get_cart", json!({})).await;
    let unheard = call.ask("checkout_order", json!({"confirmed": true})).await;
    assert_eq!(unheard["code"], "NEEDS_CONFIRMATION");
    assert!(!unheard["next"].as_str().unwrap().contains("get_cart"), "{unheard}");
    call.heard();
    assert_eq!(call.refused("checkout_order", json!({"confirmed": false})).await, "NEEDS_CONFIRMATION");
    assert_eq!(call.refused("checkout_order", json!({"confirmed": "maybe"})).await, "BAD_ARGUMENTS");
    let placed = call.ok("checkout_order", json!({"confirmed": "true"})).await;
    assert_eq!(placed["items"].as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn a_changed_line_is_not_ordered_on_the_old_yes() {
    for policy in [FinalConfirmation::Always, FinalConfirmation::MultiItem, FinalConfirmation::Never] {
        let mut shop = Counter::new("boba").await;
        shop.toolbox.final_confirmation = policy;
        let mut call = shop.call("CA1", ANA);
        call.take_drink(json!({"flavor": "taro"})).await;
        call.ok("modify_cart_item", json!({"index": 0, "quantity": 9})).await;
        let refused = call.refused("checkout_order", json!({"phone": ANA, "confirmed": true})).await;
        assert_eq!(refused, "NEEDS_CONFIRMATION", "{policy:?}");
        call.ok("get_cart", json!({})).await;
        call.heard().ok("checkout_order", json!({"confirmed": true})).await;
    }
}

#[tokio::test]
async fn always_asks_for_one_line_too_and_never_for_none() {
    let mut shop = Counter::new("boba").await;
    shop.toolbox.final_confirmation = FinalConfirmation::Always;
    let mut call = shop.call("CA1", ANA);
    call.take_drink(json!({"flavor": "taro"})).await;
    assert_eq!(call.refused("checkout_order", json!({"phone": ANA})).await, "NEEDS_CONFIRMATION");
    shop.toolbox.final_confirmation = FinalConfirmation::Never;
    let mut call = shop.call("CA2", ANA);
    call.take_drink(json!({"flavor": "taro"})).await;
    call.take_drink(json!({"flavor": "black"})).await;
    call.ok("checkout_order", json!({"phone": ANA})).await;
}

#[tokio::test]
async fn staging_and_confirming_in_one_breath_is_refused() {
    let shop = Counter::new("boba").await;
    let mut call = shop.call("CA1", ANA);
    call.heard();
    call.ok("add_to_cart", json!({"flavor": "taro"})).await;
    assert_eq!(call.refused("confirm_pending_to_cart", json!({})).await, "NEEDS_CONFIRMATION");
    assert_eq!(call.refused("confirm_pending_item", json!({})).await, "NEEDS_CONFIRMATION");
    assert_eq!(call.ok("get_cart", json!({})).await["items"], json!([]));
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
async fn a_closed_shop_takes_no_order_and_still_answers() {
    let shop = Counter::with("boba", false).await;
    let mut call = shop.call("CA1", ANA);
    call.take_drink(json!({"flavor": "taro"})).await;
    assert_eq!(call.refused("checkout_order", json!({"phone": ANA})).await, "ORDERING_CLOSED");
    call.ok("menu_summary", json!({})).await;
    assert_eq!(shop.orders.recent(10).await.unwrap().len(), 0);
}

#[tokio::test]
async fn what_is_sold_out_is_neither_offered_nor_staged() {
    let shop = Counter::new("boba").await;
    let mut call = shop.call("CA1", ANA);
    call.take_drink(json!({"flavor": "taro"})).await;
    shop.shop_is(None, &["boba", "vanilla cream", "black milk tea", "less ice"]);
    let menu = call.ok("menu_summary", json!({})).await;
    assert_eq!(
        (&menu["flavors"], &menu["toppings"]),
        (&json!(["taro milk tea"]), &json!(["egg pudding", "crystal agar boba"]))
    );
    assert_eq!(menu["addons"], json!([]), "the stencil needs the cream");
    assert!(!menu["summary"].as_str().unwrap().contains("black milk tea"));

    let refused = call.heard().ask("add_to_cart", json!({"flavor": "taro", "toppings": ["pearls"]})).await;
    insta::assert_json_snapshot!(refused, @r#"
    {
      "ok": false,
      "code": "SOLD_OUT",
      "error": "Sorry, boba is sold out. For toppings there is egg pudding or crystal agar boba.",
      "sold_out": "boba",
      "choices": [
        "egg pudding",
        "crystal agar boba"
      ]
    }
    "#);
    assert_eq!(call.refused("add_to_cart", json!({"flavor": "black"})).await, "SOLD_OUT");
    assert_eq!(call.refused("add_to_cart", json!({"flavor": "taro", "addons": "matcha"})).await, "SOLD_OUT");
    assert_eq!(call.refused("modify_cart_item", json!({"index": 0, "toppings": "cream"})).await, "SOLD_OUT");
    assert_eq!(call.refused("set_sweetness_ice", json!({"ice": "light"})).await, "SOLD_OUT");
    call.ok("add_to_cart", json!({"flavor": "taro", "toppings": "pudding"})).await;
    assert_eq!(call.refused("update_pending_item", json!({"toppings": "boba"})).await, "SOLD_OUT");
    assert_eq!(call.ok("get_cart", json!({})).await["pending_item"]["toppings"], json!(["egg pudding"]));
    shop.shop_is(None, &[]);
    call.ok("update_pending_item", json!({"toppings": "boba"})).await;
}

#[tokio::test]
async fn what_sells_out_meanwhile_is_neither_confirmed_nor_ordered() {
    let shop = Counter::new("boba").await;
    let mut call = shop.call("CA1", ANA);
    call.heard().ok("add_to_cart", json!({"flavor": "taro", "toppings": "boba"})).await;
    shop.shop_is(None, &["boba"]);
    let refused = call.heard().ask("confirm_pending_to_cart", json!({})).await;
    assert_eq!((&refused["code"], &refused["sold_out"]), (&json!("SOLD_OUT"), &json!("boba")));
    assert_eq!(refused["summary"], "taro milk tea | boba | no add-ons | 50%, regular ice");
    // Whatever else is changed, the boba is still not there.
    assert_eq!(call.refused("update_pending_item", json!({"ice": "no ice"})).await, "SOLD_OUT");
    call.ok("update_pending_item", json!({"toppings": "pudding"})).await;
    call.heard().ok("confirm_pending_to_cart", json!({})).await;

    shop.shop_is(None, &["egg pudding"]);
    let refused = call.ask("checkout_order", json!({"phone": ANA})).await;
    assert_eq!((&refused["code"], &refused["sold_out"]), (&json!("SOLD_OUT"), &json!("egg pudding")));
    assert_eq!(refused["choices"], json!(["boba", "crystal agar boba", "vanilla cream"]));
    assert_eq!(shop.orders.recent(10).await.unwrap().len(), 0);
    call.ok("modify_cart_item", json!({"index": 0, "toppings": "none"})).await;
    call.heard().ok("get_cart", json!({})).await;
    call.heard().ok("checkout_order", json!({"confirmed": true})).await;
    assert_eq!(shop.orders.recent(10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_pause_holds_orders_back_and_nothing_else() {
    let shop = Counter::new("boba").await;
    let mut call = shop.call("CA1", ANA);
    call.take_drink(json!({"flavor": "taro"})).await;
    let number = call.ok("checkout_order", json!({"phone": ANA})).await["order_number"].clone();
    let in_an_hour = shop.orders.now().checked_add(SignedDuration::from_hours(1)).unwrap();
    shop.shop_is(Some(Paused::Until(in_an_hour)), &[]);
    assert_eq!(call.ask("order_status", json!({})).await["order_number"], number);
    assert_eq!(call.ok("checkout_order", json!({})).await["order_number"], number, "what is placed stays placed");
    call.take_drink(json!({"flavor": "black"})).await;
    let refused = call.ask("checkout_order", json!({})).await;
    let expected = "We are not taking orders right now. We will again at 5 PM.";
    assert_eq!((&refused["code"], &refused["error"]), (&json!("ORDERING_CLOSED"), &json!(expected)));
    shop.clock.fetch_add(3600, Ordering::Relaxed);
    call.ok("checkout_order", json!({})).await;
}

#[tokio::test]
async fn a_full_disk_leaves_the_cart_and_the_next_try_orders_once() {
    let shop = Counter::new("boba").await;
    let mut call = shop.call("CA1", ANA);
    call.take_drink(json!({"flavor": "taro"})).await;
    shop.break_disk();
    assert_eq!(call.refused("checkout_order", json!({"phone": ANA})).await, "NOT_SAVED");
    assert_eq!(call.ask("order_is_placed", json!({})).await, json!({"placed": false, "order_number": null}));
    assert_eq!(call.ok("get_cart", json!({})).await["count"], 1);
    shop.mend_disk();
    call.ok("checkout_order", json!({})).await;
    assert_eq!(shop.orders.recent(10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_order_in_doubt_is_looked_for_and_its_drinks_are_not_ordered_again() {
    let shop = Counter::new("boba").await;
    let mut call = shop.call("CA1", ANA);
    call.take_drink(json!({"flavor": "taro"})).await;
    shop.store.swallow(1);
    let doubt = call.ask("checkout_order", json!({"phone": ANA})).await;
    let sentence = "I can't tell yet whether your order went through. One moment, I'll find out.";
    assert_eq!((&doubt["code"], &doubt["error"]), (&json!("NOT_SAVED"), &json!(sentence)));
    shop.store.close(true);
    assert_eq!(call.ask("order_is_placed", json!({})).await["error"], sentence, "it is neither placed nor not placed");

    // The caller goes on: what was ordered is changed, and something is added.
    call.heard().ok("modify_cart_item", json!({"index": 0, "ice": "no ice"})).await;
    call.take_drink(json!({"flavor": "black"})).await;
    call.heard().ok("get_cart", json!({})).await;
    let whole = json!({"confirmed": true});
    assert_eq!(
        call.heard().ask("checkout_order", whole.clone()).await["error"],
        sentence,
        "nothing before it is known"
    );
    assert_eq!(shop.orders.recent(10).await.unwrap().len(), 1);
    shop.store.close(false);
    let placed = call.ok("checkout_order", whole).await;
    let flavors =
        |order: &Value| order["items"].as_array().unwrap().iter().map(|item| item["flavor"].clone()).collect();
    let both: Vec<Value> = flavors(&placed);
    assert_eq!(both, ["taro milk tea", "black milk tea"]);
    assert_eq!(call.ok("get_cart", json!({})).await["count"], 0);
    assert_eq!(call.ok("checkout_order", json!({})).await["order_id"], placed["order_id"]);
    assert_eq!(shop.orders.recent(10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn whoever_asks_about_an_order_in_doubt_is_told_the_truth() {
    let shop = Counter::new("boba").await;
    let mut call = shop.call("CA1", ANA);
    call.take_drink(json!({"flavor": "taro"})).await;
    shop.store.swallow(1);
    assert_eq!(call.refused("checkout_order", json!({"phone": ANA})).await, "NOT_SAVED");
    let number = shop.orders.recent(1).await.unwrap()[0].order.order_number;
    let told = call.ask("order_is_placed", json!({})).await;
    assert_eq!(told, json!({"placed": true, "order_number": number, "spoken_order_number": number.spoken()}));
    assert_eq!(call.ok("get_cart", json!({})).await["count"], 0, "it is ordered");

    // An amendment is in doubt no less than an order.
    call.take_drink(json!({"flavor": "black"})).await;
    shop.store.swallow(1);
    assert_eq!(call.refused("checkout_order", json!({})).await, "NOT_SAVED");
    call.take_drink(json!({"flavor": "black", "ice": "less ice"})).await;
    call.heard().ok("get_cart", json!({})).await;
    let amended = call.heard().ok("checkout_order", json!({"confirmed": true})).await;
    assert_eq!((amended["items"].as_array().unwrap().len(), &amended["order_number"]), (3, &json!(number)));
}

#[tokio::test]
async fn a_second_order_in_doubt_is_not_appended_to_the_first() {
    let shop = Counter::new("boba").await;
    let mut call = shop.call("CA1", ANA);
    call.take_drink(json!({"flavor": "taro"})).await;
    let first = call.ok("checkout_order", json!({"phone": ANA})).await;
    let number = first["order_number"].as_str().unwrap();
    shop.set(number, OrderStatus::Preparing).await;
    // Too late to amend: a new order is made, and nobody hears of it. Then the first can be amended again.
    call.take_drink(json!({"flavor": "black"})).await;
    shop.store.swallow(1);
    assert_eq!(call.refused("checkout_order", json!({})).await, "NOT_SAVED");
    let origin = Origin { by: "staff", correlation_id: None };
    let order = shop.orders.by_number(number.parse().unwrap()).await.unwrap().unwrap();
    shop.orders.undo(&order.order_id, None, origin).await.unwrap();
    let second = call.ok("checkout_order", json!({})).await;
    assert_ne!(second["order_id"], first["order_id"]);
    assert_eq!(shop.orders.recent(10).await.unwrap().len(), 2);
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

/// On one thread a save cannot begin before the desk has taken all requests that lie ready.
#[tokio::test(flavor = "current_thread")]
async fn while_an_order_is_saved_the_cart_is_frozen_and_questions_are_answered() {
    let shop = Counter::new("boba").await;
    let mut call = shop.call("CA1", ANA);
    call.take_drink(json!({"flavor": "taro"})).await;
    let (requests, incoming) = mpsc::channel(16);
    let (outgoing, mut answers) = mpsc::channel(16);
    for (id, name, arguments) in [
        ("1", "checkout_order", json!({"phone": ANA})),
        ("2", "add_to_cart", json!({"flavor": "black"})),
        ("3", "get_cart", json!({})),
        ("4", "order_is_placed", json!({})),
        ("5", "checkout_order", json!({})),
        ("6", "modify_cart_item", json!({"index": 0, "quantity": 2})),
        ("7", "menu_summary", json!({})),
    ] {
        let request = call.request(id, 0, name, &arguments.to_string());
        requests.try_send(Box::new(DeskRequest::Run(request))).unwrap();
    }
    let desk = tokio::spawn(call.desk.run(incoming, outgoing));
    let mut order = Vec::new();
    let mut said = std::collections::HashMap::new();
    for _ in 0..7 {
        let answer = answers.recv().await.unwrap();
        let content: Value = serde_json::from_str(&answer.content).unwrap();
        order.push(answer.id.clone());
        said.insert(answer.id, content);
    }
    assert_eq!(order, ["2", "3", "6", "7", "1", "4", "5"]);
    assert_eq!(said["2"]["code"], "STILL_WORKING");
    assert_eq!(said["6"]["code"], "STILL_WORKING");
    assert_eq!(said["3"]["count"], 1);
    assert_eq!(said["1"]["ok"], true);
    assert_eq!(said["4"]["placed"], true);
    assert_eq!(said["5"], said["1"]);
    drop(requests);
    desk.await.unwrap();
    assert_eq!(shop.orders.recent(10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_slow_look_up_holds_up_nobody_else() {
    let shop = Counter::new("boba").await;
    let mut call = shop.call("CA1", ANA);
    call.take_drink(json!({"flavor": "taro"})).await;
    let (requests, incoming) = mpsc::channel(16);
    let (outgoing, mut answers) = mpsc::channel(16);
    let held = shop.store.hold().await;
    let ask = |id: &str, name: &str, arguments: Value| {
        let request = call.request(id, 0, name, &arguments.to_string());
        requests.try_send(Box::new(DeskRequest::Run(request))).unwrap();
    };
    for id in ["1", "2", "3", "4", "5"] {
        ask(id, "order_status", json!({"order_number": "1234"}));
    }
    ask("6", "get_cart", json!({}));
    ask("7", "checkout_order", json!({"phone": ANA}));
    let given_up = vec!["2".to_owned(), "3".to_owned()];
    requests.try_send(Box::new(DeskRequest::Cancel(given_up))).unwrap();
    ask("8", "order_status", json!({"order_number": "1235"}));
    let desk = tokio::spawn(call.desk.run(incoming, outgoing));
    let mut told = Vec::new();
    while told.len() < 3 {
        let ToolAnswer { id, outcome, .. } = *answers.recv().await.unwrap();
        told.push((id, outcome));
    }
    let (one_too_many, cart, order) = (("5", "STILL_WORKING"), ("6", "ok"), ("7", "ok"));
    let expected = [one_too_many, cart, order].map(|(id, outcome)| (id.to_owned(), outcome));
    assert_eq!(told, expected, "everybody but who waits for the store");
    drop(held);
    let mut told = Vec::new();
    while told.len() < 3 {
        told.push(answers.recv().await.unwrap().id);
    }
    told.sort();
    assert_eq!(told, ["1", "4", "8"], "what was cancelled is not answered");
    drop(requests);
    desk.await.unwrap();
}

#[tokio::test]
async fn an_order_under_way_when_the_call_ends_is_carried_through() {
    let shop = Counter::new("boba").await;
    let mut call = shop.call("CA1", ANA);
    call.take_drink(json!({"flavor": "taro"})).await;
    let (requests, incoming) = mpsc::channel(1);
    let (outgoing, answers) = mpsc::channel(1);
    let arguments = json!({"phone": ANA}).to_string();
    let request = call.request("1", 0, "checkout_order", &arguments);
    requests.try_send(Box::new(DeskRequest::Run(request))).unwrap();
    drop((requests, answers));
    call.desk.run(incoming, outgoing).await;
    assert_eq!(shop.orders.recent(10).await.unwrap().len(), 1);
}

#[test]
fn every_tool_is_described_with_a_schema_of_the_menu() {
    let names = |specs: &[ToolSpec]| specs.iter().map(|spec| spec.name).collect::<Vec<_>>();
    let boba = specs(&Menu::builtin("boba").unwrap(), true);
    let coffee = specs(&Menu::builtin("coffee").unwrap(), false);
    assert_eq!(
        names(&boba),
        [
            "menu_summary",
            "add_to_cart",
            "update_pending_item",
            "confirm_pending_to_cart",
            "clear_pending_item",
            "get_cart",
            "remove_from_cart",
            "modify_cart_item",
            "set_sweetness_ice",
            "save_phone_number",
            "confirm_phone_number",
            "checkout_order",
            "order_is_placed",
            "order_status",
            "extract_phone_and_order",
            "end_call",
            "transfer_to_human",
        ]
    );
    assert!(!names(&coffee).contains(&"set_sweetness_ice") && !names(&coffee).contains(&"transfer_to_human"));
    for spec in boba.iter().chain(&coffee) {
        let irreversible = ["checkout_order", "end_call", "transfer_to_human"].contains(&spec.name);
        assert_eq!(spec.defer_until_eot, irreversible, "{}", spec.name);
        assert!(jsonschema::meta::is_valid(&spec.parameters), "{}", spec.name);
        let schema = jsonschema::validator_for(&spec.parameters).unwrap();
        assert_eq!(schema.is_valid(&json!({})), spec.parameters.get("required").is_none(), "{}", spec.name);
    }
    let add = boba.iter().find(|spec| spec.name == "add_to_cart").unwrap();
    insta::assert_json_snapshot!(add.parameters, @r#"
    {
      "type": "object",
      "properties": {
        "flavor": {
          "type": "string",
          "enum": [
            "taro milk tea",
            "black milk tea"
          ],
          "description": "The flavor the caller asked for."
        },
        "toppings": {
          "type": "array",
          "items": {
            "type": "string",
            "enum": [
              "boba",
              "egg pudding",
              "crystal agar boba",
              "vanilla cream"
            ]
          },
          "description": "All the toppings the caller asked for, and no others; an empty list only for no toppings."
        },
        "sweetness": {
          "type": "string",
          "enum": [
            "0%",
            "25%",
            "50%",
            "75%",
            "100%"
          ],
          "description": "The sweetness, only if the caller mentioned it; a new drink has 50%."
        },
        "ice": {
          "type": "string",
          "enum": [
            "no ice",
            "less ice",
            "regular ice",
            "extra ice"
          ],
          "description": "The ice, only if the caller mentioned it; a new drink has regular ice."
        },
        "addons": {
          "type": "array",
          "items": {
            "type": "string",
            "enum": [
              "matcha stencil on top"
            ]
          },
          "description": "All the addons the caller asked for, and no others; an empty list only for no add-ons."
        },
        "quantity": {
          "type": "integer",
          "minimum": 1,
          "maximum": 10,
          "description": "How many of this drink; 1 when left out."
        },
        "note": {
          "type": "string",
          "description": "A short wish for the barista that is no choice of the menu. Never a drink, size or topping that is not sold."
        }
      },
      "required": [
        "flavor"
      ]
    }
    "#);
    let schema = jsonschema::validator_for(&add.parameters).unwrap();
    assert!(schema.is_valid(&json!({"flavor": "taro milk tea", "toppings": ["boba"], "quantity": 2})));
    assert!(!schema.is_valid(&json!({"flavor": "oolong"})));
}

#[tokio::test]
async fn every_described_tool_exists_and_takes_what_it_describes() {
    for menu in ["boba", "coffee"] {
        let mut shop = Counter::new(menu).await;
        shop.toolbox.can_transfer = true;
        for spec in specs(shop.toolbox.shop.menu(), true) {
            let mut call = shop.call("CA1", ANA);
            let names: Vec<&String> = spec.parameters["properties"].as_object().unwrap().keys().collect();
            // A value that nothing takes: what is refused is the value, not the name.
            let arguments: Map<String, Value> = names.iter().map(|name| ((*name).clone(), json!({}))).collect();
            let answer = call.ask(spec.name, Value::Object(arguments)).await;
            assert_ne!(answer["code"], "UNKNOWN_TOOL", "{}", spec.name);
            if !names.is_empty() && spec.name != "update_pending_item" && spec.name != "modify_cart_item" {
                let error = answer["error"].as_str().unwrap();
                assert!(!error.contains("I can't take"), "{}: {error}", spec.name);
            }
        }
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

    /// Whatever a model sends, there is an answer with an object in it, and no order without a confirmed drink.
    #[test]
    fn no_request_breaks_the_desk(requests in proptest::collection::vec((0_usize..18, ".{0,40}", proptest::bool::ANY), 1..20)) {
        tokio::runtime::Runtime::new().unwrap().block_on(async {
            let shop = Counter::new("boba").await;
            let all = specs(shop.toolbox.shop.menu(), false);
            let mut call = shop.call("CA1", ANA);
            for (tool, text, as_object) in requests {
                let name = all.get(tool).map_or("nonsense", |spec| spec.name);
                let text = if as_object { json!({"flavor": text, "index": 0, "phone": text}).to_string() } else { text };
                call.ask_text(name, &text).await;
            }
            assert!(shop.orders.recent(10).await.unwrap().is_empty());
        });
    }
}
