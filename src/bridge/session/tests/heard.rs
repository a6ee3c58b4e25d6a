//! What the caller heard, and what is said again.

use super::*;

fn heard(out: &[Output]) -> bool {
    let request = out.iter().find_map(|output| match output {
        Output::RunTool(request) => Some(request.heard),
        _ => None,
    });
    request.expect("a tool is run")
}

#[test]
fn a_read_back_that_was_cut_off_is_known_as_such() {
    for (heard_ms, known) in [(1_000, false), (3_500, true)] {
        let mut call = Call::live();
        call.requests(&["f1"]);
        call.answers("f1", None);
        call.says("One taro milk tea with boba, half sweet, is that right?");
        call.speech(4_000);
        call.audio_done();
        call.wait(ms(heard_ms));
        call.caller_speaks();
        call.caller_says("Yes.");
        assert_eq!(heard(&call.requests(&["f2"])), known, "{heard_ms} ms");
        let cut = call.moments.iter().any(|moment| matches!(moment, Moment::BargeIn { .. }));
        assert!(cut);
    }
}

#[test]
fn a_mark_says_that_a_reply_was_heard_whatever_its_length() {
    let mut call = Call::live();
    call.speech(4_000);
    call.audio_done();
    call.wait(ms(500));
    call.mark_returns("reply-1");
    call.caller_speaks();
    assert_eq!(call.session.summary().barge_ins, 0);
}

#[test]
fn an_agent_that_is_lost_later_knows_what_was_heard_of_its_words() {
    let mut call = Call::live();
    call.says("We have taro milk tea and black milk tea and more.");
    call.speech(4_000);
    call.audio_done();
    call.wait(ms(1_600));
    call.caller_speaks();
    let context = serde_json::to_string(&call.session.record.context("").messages).expect("JSON");
    assert!(context.contains("We have taro milk…"), "{context}");
}

#[test]
fn an_order_number_that_was_cut_off_is_said_again_before_the_line_is_closed() {
    let placed = || Some(Effect::OrderPlaced { order_number: "4782".to_owned(), spoken: "4, 7, 8, 2".to_owned() });
    let ordered = |heard: Duration| {
        let mut call = Call::live();
        call.requests(&["f1"]);
        call.answers("f1", placed());
        call.says("Your number is 4, 7, 8, 2.");
        call.speech(4_000);
        call.audio_done();
        call.wait(heard);
        call.caller_speaks();
        call.caller_says("Thanks, bye.");
        call.requests(&["f2"]);
        call
    };
    let mut call = ordered(ms(1_000));
    let out = call.answers("f2", Some(Effect::EndCall));
    assert_eq!(injected(&out), ["Once more, your order number is 4, 7, 8, 2."]);
    call.says("Goodbye!");
    assert_eq!(injected(&call.speech(1_000)), [""; 0], "once is enough");
    call.audio_done();
    call.says("Once more, your order number is 4, 7, 8, 2.");
    call.speech(3_000);
    call.audio_done();
    assert_eq!(ended(&call.wait(ms(3_900))), None, "both are heard");
    call.mark_returns("reply-3");
    assert_eq!(ended(&call.wait(ms(500))), Some(EndReason::Goodbye));

    let mut call = ordered(ms(4_000));
    assert_eq!(injected(&call.answers("f2", Some(Effect::EndCall))), [""; 0], "it was heard");
}
