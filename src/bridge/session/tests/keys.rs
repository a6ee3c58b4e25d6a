//! Keys of the telephone.

use super::*;

fn types(call: &mut Call, keys: &str) -> Vec<Output> {
    keys.chars().flat_map(|digit| call.give(Input::Phone(PhoneMessage::Dtmf { digit }))).collect()
}

#[test]
fn a_number_is_shown_to_the_agent_as_the_callers_words() {
    let mut call = Call::live();
    let out = types(&mut call, "5551234567#");
    assert_eq!(mouthed(&out), ["My phone number is 5551234567; I typed it on my keypad."]);
    assert_eq!(mouthed(&types(&mut call, "4781*2")), [""; 0]);
    assert_eq!(mouthed(&call.wait(ms(4_000))), ["I typed 4782 on my keypad."]);
    // The echo is no second turn.
    let turn = call.session.turn;
    call.caller_says("I typed 4782 on my keypad.");
    assert_eq!(call.session.turn, turn);
}

#[test]
fn a_zero_asks_for_a_person() {
    let mut call = Call::live();
    types(&mut call, "0");
    assert_eq!(injected(&call.wait(ms(2_000))), ["I'm putting you through."]);
    call.speech(1_000);
    call.audio_done();
    call.wait(ms(1_000));
    call.mark_returns("reply-1");
    assert_eq!(ended(&call.wait(ms(300))), Some(EndReason::Transfer));
}

#[test]
fn keys_that_are_pressed_while_there_is_no_agent_are_told_to_the_next() {
    let mut call = Call::live();
    call.says("Your number?");
    call.give(Input::Closed(Leg::Agent));
    assert_eq!(types(&mut call, "5551234567#"), []);
    call.wait(ms(250));
    call.give(Input::AgentConnected);
    let out = call.agent(AgentMessage::Welcome { request_id: "r2".to_owned() });
    assert!(matches!(&out[..], [Output::AgentText(text)] if text.contains("My phone number is 5551234567")));
}
