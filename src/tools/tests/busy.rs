//! Requests while the store is at work.

use super::*;

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
