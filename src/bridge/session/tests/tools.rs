use super::*;

#[test]
fn every_call_of_a_request_is_run_and_answered_under_its_id() {
    let mut call = Call::live();
    let out = call.requests(&["f1", "f2", "f3"]);
    assert_eq!(runs(&out).iter().map(|(id, _)| *id).collect::<Vec<_>>(), ["f1", "f2", "f3"]);
    for id in ["f3", "f1", "f2"] {
        let out = call.answers(id, None);
        assert!(matches!(&responses(&out)[..], [text] if text.contains(&format!(r#""id":"{id}""#))));
    }
    assert_eq!(call.session.summary().tool_calls, 3);
}

#[test]
fn a_slow_tool_is_answered_for_and_its_late_answer_is_not_sent() {
    let mut call = Call::live();
    call.requests(&["f1"]);
    call.caller_frame();
    assert!(responses(&call.wait(ms(7_999))).is_empty());
    let out = call.wait(ms(1));
    assert!(matches!(&responses(&out)[..], [text] if text.contains("STILL_WORKING")), "{out:?}");
    let placed = Effect::OrderPlaced { order_number: "4782".to_owned(), spoken: "4, 7, 8, 2".to_owned() };
    let news = prompts(call.answers("f1", Some(placed)));
    assert!(matches!(&news[..], [news] if news.contains("4, 7, 8, 2")), "{news:?}");
    assert_eq!(call.session.summary().order_number.as_deref(), Some("4782"), "the order is there all the same");
}

#[test]
fn a_cancelled_call_is_not_answered() {
    let mut call = Call::live();
    call.requests(&["f1", "f2"]);
    call.cancels("f1");
    assert!(call.answers("f1", Some(Effect::EndCall)).is_empty());
    assert_eq!(responses(&call.answers("f2", None)).len(), 1);
    assert_eq!(ended(&call.wait(ms(9_000))), None, "a cancelled end_call ends nothing");
}

#[test]
fn a_repeated_request_is_not_run_twice_and_gets_the_same_answer() {
    let mut call = Call::live();
    call.requests(&["f1"]);
    assert!(call.requests(&["f1"]).is_empty(), "still running");
    let first = call.answers("f1", None);
    assert_eq!(call.requests(&["f1"]), first);
}

#[test]
fn server_side_calls_are_left_to_the_server() {
    let mut call = Call::live();
    let function = FunctionCall {
        id: "f1".to_owned(),
        name: "search".to_owned(),
        arguments: "{}".to_owned(),
        client_side: false,
        thought_signature: None,
    };
    assert!(call.agent(AgentMessage::FunctionCallRequest { functions: vec![function] }).is_empty());
}

#[test]
fn a_flood_of_calls_is_answered_and_bounded() {
    let mut call = Call::live();
    let ids: Vec<String> = (0..100).map(|id| format!("f{id}")).collect();
    let out = call.requests(&ids.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!((runs(&out).len(), responses(&out).len()), (tool_calls::MOST, 100 - tool_calls::MOST));
}

#[test]
fn requests_are_stamped_with_how_often_the_caller_was_heard() {
    let mut call = Call::live();
    let mut stamps = vec![runs(&call.requests(&["f0"]))[0].1];
    call.caller_speaks();
    stamps.push(runs(&call.requests(&["f1"]))[0].1);
    call.agent(AgentMessage::ConversationText { role: Role::User, content: "yes".to_owned() });
    stamps.push(runs(&call.requests(&["f2"]))[0].1);
    call.give(Input::Phone(PhoneMessage::Dtmf { digit: '1' }));
    stamps.push(runs(&call.requests(&["f3"]))[0].1);
    assert!(stamps.is_sorted_by(|a, b| a < b), "{stamps:?}");
    call.says("the agent's words are no turn of the caller's");
    assert_eq!(runs(&call.requests(&["f4"]))[0].1, stamps[3]);
}
