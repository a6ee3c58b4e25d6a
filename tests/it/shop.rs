//! The shop's own state in the middle of a call: what the agent is told, what the tools do, what the feeds show.

use crate::harness::{TestShop, assert_agent_messages_valid, client, script};
use bobarista::deepgram::prompt::shop_update;
use bobarista::simulator::{Event, Script, Side, What};
use serde_json::{Value, json};

/// A caller who wants boba, takes pudding, and has to wait until orders are taken again. Between a tool's answer and the
/// next tool there is always a line of the caller's: time for the staff to change something.
fn patient_caller() -> Script {
    script(
        r#"
        name = "patient caller"
        step = [
            { caller = "Good morning! A taro milk tea with boba please." },
            { tools = [{ name = "add_to_cart", arguments = { flavor = "taro", toppings = ["boba"] } }] },
            { expect = { tool = "add_to_cart", field = "code", value = "SOLD_OUT" } },
            { agent = "There is no boba left." },
            { caller = "Oh. Then with egg pudding please." },
            { tools = [{ name = "add_to_cart", arguments = { flavor = "taro", toppings = ["egg pudding"] } }] },
            { expect = { tool = "add_to_cart", field = "ok", value = true } },
            { agent = "Right?" },
            { caller = "Yes." },
            { tools = [{ name = "confirm_pending_to_cart" }, { name = "save_phone_number" }] },
            { agent = "Shall I place it?" },
            { caller = "Yes please, and thank you very much for your help this morning." },
            { tools = [{ name = "checkout_order" }] },
            { expect = { tool = "checkout_order", field = "code", value = "ORDERING_CLOSED" } },
            { agent = "We take no orders at the moment." },
            { caller = "And what about the order that I placed a long time ago, yesterday?" },
            { tools = [{ name = "order_status" }] },
            { expect = { tool = "order_status", field = "found", value = false } },
            { agent = "There is none. But we take orders again." },
            { caller = "Then place it now, please." },
            { tools = [{ name = "checkout_order" }] },
            { expect = { tool = "checkout_order", field = "ok", value = true } },
            { agent = "Goodbye!" },
        ]"#,
    )
}

/// The staff says this on the console, or a program for them.
async fn tell(shop: &TestShop, change: Value) {
    let request = client().patch(shop.url("/api/v1/shop")).header("Content-Type", "application/json");
    let answer = request.body(change.to_string()).send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn the_staff_changes_what_there_is_in_the_middle_of_a_call() {
    let mut shop = TestShop::open([patient_caller()]).await;
    let mut staff = shop.staff_feed().await;
    tell(&shop, json!({"sold_out": ["crystal agar boba"]})).await;
    let answered = |tool: &'static str| {
        move |event: &Event| match &event.what {
            What::ToolAnswered { name, .. } if event.side == Side::Agent && name == tool => Some(()),
            _ => None,
        }
    };
    let call = shop.begin_call(&patient_caller(), shop.caller_options());
    // What held before the call is told first of all.
    shop.event(|event| matches!(event.what, What::PromptUpdated { .. }).then_some(())).await;
    tell(&shop, json!({"sold_out": ["boba"]})).await;
    shop.event(answered("confirm_pending_to_cart")).await;
    tell(&shop, json!({"paused_until": "resumed"})).await;
    shop.event(answered("checkout_order")).await;
    tell(&shop, json!({"paused_until": null, "sold_out": []})).await;
    let call = shop.end_call(call).await;

    call.assert_flawless();
    assert_agent_messages_valid(&call.messages);
    let told = call.events.iter().filter_map(|event| match &event.what {
        What::PromptUpdated { prompt } => Some(prompt.clone()),
        _ => None,
    });
    let paused = "No orders can be placed at the moment. Who wants to order is told: We are not taking orders right now. \
                  Please try again in a while. Sold out: boba (toppings).";
    let news = ["Sold out: crystal agar boba (toppings).", "Sold out: boba (toppings).", paused, ""];
    assert_eq!(told.collect::<Vec<_>>(), news.map(shop_update));
    let refused = &call.answers("add_to_cart")[0];
    assert_eq!(refused["choices"], json!(["egg pudding", "crystal agar boba", "vanilla cream"]));
    let closed = &call.answers("checkout_order")[0];
    assert_eq!(closed["error"], "We are not taking orders right now. Please try again in a while.");
    assert_eq!(shop.orders().await.len(), 1);

    let mut changes = Vec::new();
    while changes.len() < 5 {
        let event = staff.event().await.1;
        if matches!(event["type"].as_str(), Some("menu_changed" | "ordering_paused" | "ordering_resumed")) {
            changes.push(event);
        }
    }
    let menu_changed = |names: Value| json!({"type": "menu_changed", "sold_out": names});
    let expected = [
        menu_changed(json!(["crystal agar boba"])),
        menu_changed(json!(["boba"])),
        json!({"type": "ordering_paused"}),
        json!({"type": "ordering_resumed"}),
        menu_changed(json!([])),
    ];
    assert_eq!(changes, expected);
}
