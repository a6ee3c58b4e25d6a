use super::*;

fn asked_to_end() -> Call {
    let mut call = Call::live();
    call.requests(&["f1"]);
    let out = call.answers("f1", Some(Effect::EndCall));
    assert_eq!(responses(&out).len(), 1, "the agent is answered");
    call
}

#[test]
fn a_goodbye_is_heard_before_the_line_is_closed() {
    let mut call = asked_to_end();
    call.now += ms(800);
    call.speech(1_500);
    assert_eq!(marks(&call.audio_done()), ["reply-1"]);
    assert_eq!(ended(&call.wait(ms(1_500))), None);
    assert!(call.mark_returns("reply-1").is_empty());
    assert_eq!(ended(&call.wait(ms(299))), None, "silence is kept after it");
    assert_eq!(ended(&call.wait(ms(1))), Some(EndReason::Goodbye));
    assert!(call.speech(20).is_empty() && call.wait(ms(9_000)).is_empty(), "nothing follows the end");
}

#[test]
fn the_bytes_sent_decide_when_the_mark_never_returns() {
    let mut call = asked_to_end();
    call.speech(1_500);
    call.audio_done();
    assert_eq!(ended(&call.wait(ms(1_500) + MARK_SLACK + ms(299))), None);
    assert_eq!(ended(&call.wait(ms(1))), Some(EndReason::Goodbye));
}

#[test]
fn the_bytes_sent_decide_when_the_reply_never_ends() {
    let mut call = asked_to_end();
    call.speech(1_500);
    assert_eq!(ended(&call.wait(ms(1_500) + MARK_SLACK + ms(299))), None);
    assert_eq!(ended(&call.wait(ms(1))), Some(EndReason::Goodbye));
}

#[test]
fn a_goodbye_said_before_end_call_is_played_out_and_another_is_waited_for_a_while() {
    let mut call = Call::live();
    call.speech(1_000);
    call.audio_done();
    call.requests(&["f1"]);
    call.answers("f1", Some(Effect::EndCall));
    call.now += ms(1_000);
    call.mark_returns("reply-1");
    assert_eq!(ended(&call.wait(ms(2_299))), None);
    assert_eq!(ended(&call.wait(ms(1))), Some(EndReason::Goodbye));
}

#[test]
fn the_closing_phrase_ends_the_call_once_its_reply_was_heard() {
    let mut call = Call::live();
    call.speech(500);
    call.says("See you soon. GOOD  bye!");
    call.speech(500);
    call.audio_done();
    call.now += ms(1_000);
    call.mark_returns("reply-1");
    assert_eq!(ended(&call.wait(ms(300))), Some(EndReason::Goodbye));
}

#[test]
fn the_closing_phrase_may_come_before_its_audio() {
    let mut call = Call::live();
    call.says("Goodbye!");
    call.now += ms(1_000);
    call.speech(1_000);
    call.audio_done();
    assert_eq!(ended(&call.wait(ms(999))), None);
    call.mark_returns("reply-1");
    assert_eq!(ended(&call.wait(ms(300))), Some(EndReason::Goodbye));
}

#[test]
fn the_callers_own_goodbye_ends_nothing_and_neither_does_a_phrase_switched_off() {
    let mut call = Call::live();
    call.agent(AgentMessage::ConversationText { role: Role::User, content: "Goodbye!".to_owned() });
    assert_eq!(ended(&call.wait(ms(9_000))), None);

    let mut call = Call::live();
    call.session.settings.closing_phrase = None;
    call.says("Goodbye!");
    assert_eq!(ended(&call.wait(ms(29_000))), None);
}

#[test]
fn a_caller_who_speaks_during_the_goodbye_calls_it_off() {
    let mut call = asked_to_end();
    call.speech(3_000);
    call.audio_done();
    call.now += ms(1_000);
    call.caller_speaks();
    call.mark_returns("reply-1");
    assert_eq!(ended(&call.wait(ms(29_000))), None, "a mark flushed by the clear is no goodbye heard");
    call.caller_says("Wait, one more thing.");
    assert_eq!(ended(&call.wait(ms(9_000))), None, "nor does it count later");
    call.caller_frame();
    call.says("Anything else, then? Goodbye!");
    call.speech(500);
    call.audio_done();
    call.mark_returns("reply-2");
    assert_eq!(ended(&call.wait(ms(29_000))), Some(EndReason::Goodbye), "a later goodbye counts");
}

#[test]
fn a_late_text_of_the_interrupted_goodbye_does_not_end_the_call() {
    let mut call = Call::live();
    call.speech(3_000);
    call.caller_speaks();
    call.says("Goodbye!");
    assert_eq!(ended(&call.wait(ms(15_000))), None);
}

#[test]
fn a_late_text_ends_nothing_even_when_the_interrupted_reply_was_complete() {
    let mut call = Call::live();
    call.speech(3_000);
    call.audio_done();
    call.now += ms(500);
    call.caller_speaks();
    call.says("Goodbye!");
    assert_eq!(ended(&call.wait(ms(15_000))), None);
    call.caller_says("Hello?");
    call.caller_frame();
    call.says("Goodbye!");
    assert_eq!(ended(&call.wait(ms(15_000))), Some(EndReason::Goodbye), "a text after the caller's is a new one");
}

#[test]
fn a_cough_during_the_goodbye_does_not_leave_the_line_open() {
    let mut call = asked_to_end();
    call.speech(3_000);
    call.caller_speaks();
    assert_eq!(ended(&call.wait(SUSPENDED_LIMIT - ms(1))), None);
    assert_eq!(ended(&call.wait(ms(1))), Some(EndReason::Goodbye));
}

#[test]
fn whatever_follows_the_interruption_keeps_the_line_open() {
    let followers: [fn(&mut Call) -> Vec<Output>; 3] = [
        |call| call.caller_says("wait"),
        |call| call.requests(&["f2"]),
        |call| {
            call.audio_done();
            call.speech(20)
        },
    ];
    for follow in followers {
        let mut call = asked_to_end();
        call.speech(3_000);
        call.caller_speaks();
        follow(&mut call);
        call.answers("f2", None);
        call.says("Yes?");
        call.now += ms(400);
        call.speech(20);
        call.wait(ms(20_000));
        call.caller_frame();
        assert_eq!(ended(&call.wait(ms(20_000))), None);
    }
}

#[test]
fn a_cancelled_end_call_ends_nothing_even_after_its_answer() {
    let mut call = asked_to_end();
    call.cancels("f1");
    assert_eq!(ended(&call.wait(ms(29_000))), None);
}

#[test]
fn an_end_call_that_the_caller_has_overtaken_ends_nothing() {
    let mut call = Call::live();
    call.requests(&["f1"]);
    call.caller_speaks();
    assert_eq!(responses(&call.answers("f1", Some(Effect::EndCall))).len(), 1);
    assert_eq!(ended(&call.wait(ms(15_000))), None);
}

#[test]
fn who_was_promised_a_person_is_not_hung_up_on() {
    let mut call = Call::live();
    call.requests(&["f1", "f2"]);
    call.answers("f1", Some(Effect::Transfer { reason: None }));
    call.answers("f2", Some(Effect::EndCall));
    assert_eq!(ended(&call.wait(ms(29_000))), Some(EndReason::Transfer));
}

#[test]
fn an_agent_that_leaves_after_its_goodbye_is_heard_to_the_end() {
    let mut call = asked_to_end();
    call.speech(1_000);
    call.audio_done();
    assert_eq!(ended(&call.give(Input::Closed(Leg::Agent))), None);
    call.now += ms(1_000);
    call.mark_returns("reply-1");
    assert_eq!(ended(&call.wait(ms(300))), Some(EndReason::Goodbye));
}

#[test]
fn a_transfer_is_announced_before_it_happens() {
    let mut call = Call::live();
    call.requests(&["f1"]);
    call.answers("f1", Some(Effect::Transfer { reason: None }));
    call.speech(1_000);
    call.audio_done();
    call.now += ms(1_000);
    call.mark_returns("reply-1");
    assert_eq!(ended(&call.wait(ms(300))), Some(EndReason::Transfer));
}

#[test]
fn marks_that_are_not_ours_or_not_sent_yet_are_ignored() {
    let mut call = asked_to_end();
    call.speech(1_000);
    for name in ["reply-1", "reply-7", "reply-", "other", ""] {
        call.mark_returns(name);
    }
    assert_eq!(ended(&call.wait(ms(1_000))), None);
}
