//! Callers who say nothing, or never stop.

use super::*;

fn live() -> Call {
    let mut call = Call::live();
    call.session.settings.caller_idle = ms(15_000);
    call
}

fn asked(call: &mut Call) {
    call.caller_frame();
    assert_eq!(injected(&call.wait(ms(14_999))), [""; 0]);
    assert_eq!(injected(&call.wait(ms(1))), ["Are you still there?"]);
    call.says("Are you still there?");
    call.speech(1_000);
    call.audio_done();
    call.wait(ms(1_000));
    let generation = call.session.replies.generation();
    call.mark_returns(&format!("reply-{generation}"));
}

#[test]
fn a_silent_caller_is_asked_twice_and_told_goodbye() {
    let mut call = live();
    asked(&mut call);
    asked(&mut call);
    call.caller_frame();
    assert_eq!(injected(&call.wait(ms(15_000))), ["I can't hear anyone. Goodbye!"]);
    call.says("I can't hear anyone. Goodbye!");
    call.speech(2_000);
    call.audio_done();
    call.wait(ms(2_000));
    call.mark_returns("reply-3");
    assert_eq!(ended(&call.wait(ms(300))), Some(EndReason::CallerIdle));
}

#[test]
fn a_caller_who_answers_is_a_caller_again() {
    let mut call = live();
    asked(&mut call);
    asked(&mut call);
    call.caller_speaks();
    call.caller_says("Yes, wait.");
    call.says("Take your time.");
    call.speech(500);
    call.audio_done();
    call.mark_returns("reply-3");
    asked(&mut call);
}

#[test]
fn nobody_is_asked_while_something_is_under_way() {
    let mut call = live();
    call.requests(&["f1"]);
    call.caller_frame();
    assert!(!injected(&call.wait(ms(7_000))).contains(&"Are you still there?".to_owned()), "a tool");
    let mut call = live();
    call.speech(30_000);
    call.caller_frame();
    assert_eq!(injected(&call.wait(ms(30_000))), [""; 0], "a long reply");
}

#[test]
fn an_agent_that_does_not_even_ask_is_lost() {
    let mut call = live();
    call.wait(ms(15_000));
    call.caller_frame();
    assert!(call.wait(ms(10_000)).contains(&Output::DropAgent));
}

#[test]
fn a_cough_into_the_agents_words_is_asked_about_soon() {
    let mut call = live();
    call.says("We have taro milk tea, and");
    call.speech(4_000);
    call.caller_speaks();
    call.caller_frame();
    assert_eq!(injected(&call.wait(ms(5_999))), [""; 0]);
    assert_eq!(injected(&call.wait(ms(1))), ["Are you still there?"]);
}

#[test]
fn music_is_told_goodbye_and_a_caller_in_a_loud_place_is_not() {
    let loud = |call: &mut Call, time: Duration| {
        let until = call.now + time;
        let mut out = Vec::new();
        while call.now < until {
            out.extend(call.caller_speech_frame());
            out.extend(call.wait(ms(20)));
        }
        injected(&out)
    };
    let mut call = Call::live();
    assert_eq!(loud(&mut call, ms(179_000)), [""; 0]);
    assert_eq!(loud(&mut call, ms(1_100)), ["I can't take an order like this. Goodbye!"]);
    call.caller_speaks();
    assert!(call.session.ending.is_some(), "music does not call it off");
    call.caller_speech_frame();
    assert_eq!(ended(&call.wait(ms(3_400))), Some(EndReason::NoConversation));

    // Nor one who converses and orders nothing.
    let mut call = Call::live();
    for turn in 1..5 {
        assert_eq!(loud(&mut call, ms(100_000)), [""; 0]);
        call.speech(1_000);
        call.audio_done();
        loud(&mut call, ms(1_000));
        call.mark_returns(&format!("reply-{turn}"));
        call.caller_says("And what is in it?");
        call.says("Taro.");
        call.speech(20);
    }

    let mut call = Call::live();
    for turn in 0..5 {
        assert_eq!(loud(&mut call, ms(100_000)), [""; 0]);
        let id = format!("f{turn}");
        call.requests(&[&id]);
        call.answers(&id, None);
        call.says("Right.");
    }
}
