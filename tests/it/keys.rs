//! Keys that a caller presses, over real sockets.

use crate::harness::{TestShop, script};
use bobarista::simulator::{ClosedBy, Side, Speaker, What};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_number_that_is_typed_is_the_callers_word_and_ends_on_the_order() {
    let typed = script(
        r#"
        name = "typed"
        step = [
            { caller = "Taro tea." },
            { tools = [{ name = "add_to_cart", arguments = { flavor = "taro milk tea" } }] },
            { agent = "Right?" },
            { caller = "Yes." },
            { tools = [{ name = "confirm_pending_to_cart" }] },
            { agent = "Please type your number." },
            { digits = "5551119*0000#" },
            { tools = [{ name = "save_phone_number", arguments = { phone = "5551110000" } }] },
            { tools = [{ name = "checkout_order" }] },
            { expect = { tool = "checkout_order", field = "phone", value = "+15551110000" } },
            { agent = "{checkout_order.spoken_order_number}. Goodbye!" },
        ]"#,
    );
    let mut shop = TestShop::open([typed.clone()]).await;
    let call = shop.call(&typed).await;
    call.assert_flawless();
    let words = "My phone number is 5551110000; I typed it on my keypad.".to_owned();
    let said = What::Said { who: Speaker::Caller, text: words };
    assert!(call.events.iter().any(|event| event.side == Side::Agent && event.what == said), "{:#?}", call.events);
    let orders = shop.json("/orders.json").await;
    assert_eq!((orders[0]["phone"].clone(), orders[1].clone()), (json!("+15551110000"), json!(null)), "one order");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zero_puts_the_caller_through_to_a_person() {
    let lost = script(
        r#"name = "lost"
step = [{ agent = "What may I bring you?" }, { digits = "0" }, { agent = "I did not get that." }]"#,
    );
    let mut shop = TestShop::open_with([lost.clone()], &[("TRANSFER_NUMBER", "+15550001111")]).await;
    let call = shop.call(&lost).await;
    assert_eq!(call.report.closed_by, ClosedBy::Server);
    let after = call.report.after.expect("what follows");
    assert!(after.contains("<Dial") && after.contains("+15550001111"), "{after}");
    let told = What::Said { who: Speaker::Agent, text: "One moment, I'm putting you through.".to_owned() };
    assert!(call.events.iter().any(|event| event.side == Side::Agent && event.what == told), "{:#?}", call.events);
}
