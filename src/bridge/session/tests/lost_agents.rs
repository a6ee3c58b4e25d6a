//! An agent that is lost, and what becomes of the conversation.

use super::*;
use serde_json::Value;

/// The agent is lost in this way and another takes the call; the settings that it is given, and what follows.
fn replaced(call: &mut Call, loss: Input<'_>) -> (Value, Vec<Output>) {
    assert_eq!(call.give(loss)[0], Output::DropAgent);
    assert_eq!(call.wait(ms(250)), [Output::DialAgent]);
    call.give(Input::AgentConnected);
    let out = call.agent(AgentMessage::Welcome { request_id: "r2".to_owned() });
    let settings = match &out[..] {
        [Output::AgentText(text)] => text.clone(),
        [Output::AgentSettings(text)] => text.to_string(),
        other => panic!("{other:?}"),
    };
    crate::deepgram::schema::assert_valid(crate::deepgram::schema::Direction::FromClient, &settings);
    (serde_json::from_str(&settings).expect("JSON"), call.agent(AgentMessage::SettingsApplied))
}

fn in_conversation() -> Call {
    let mut call = Call::live();
    call.says("Hello!");
    call.speech(1_000);
    call.audio_done();
    call.wait(ms(1_000));
    call.caller_speaks();
    call.caller_says("A taro tea.");
    call
}

#[test]
fn the_next_agent_goes_on_where_the_last_one_stopped() {
    let mut call = in_conversation();
    call.requests(&["f1"]);
    call.answers("f1", None);
    let (settings, out) = replaced(&mut call, Input::Closed(Leg::Agent));
    assert_eq!(settings["agent"].get("greeting"), None, "nobody is greeted twice");
    let context = settings["agent"]["context"]["messages"].as_array().expect("a conversation");
    assert_eq!(context.len(), 3);
    assert_eq!((&context[0]["role"], &context[0]["content"]), (&"assistant".into(), &"Hello!".into()));
    assert_eq!((&context[1]["role"], &context[1]["content"]), (&"user".into(), &"A taro tea.".into()));
    assert_eq!(context[2]["function_calls"][0]["response"], r#"{"ok":true}"#);
    assert_eq!(injected(&out), ["I'm back."]);
    // It is the agent's turn: once it has said that it is back it is told so.
    call.says("I'm back.");
    call.speech(500);
    assert_eq!(mouthed(&call.audio_done()), ["Please go on."]);
    // And that is no yes of the caller's.
    let before = runs(&call.requests(&["f2"]))[0].1;
    call.caller_says("Please go on.");
    assert_eq!(runs(&call.requests(&["f3"]))[0].1, before);
    assert_eq!(call.session.summary().redials, 1);
    assert!(call.moments.contains(&Moment::AgentLost(Loss::Closed)));
    assert!(call.moments.contains(&Moment::AgentLive { after: ms(250), resumed: true }));
}

#[test]
fn an_agent_that_does_not_even_say_that_it_is_back_is_none() {
    let mut call = in_conversation();
    replaced(&mut call, Input::Closed(Leg::Agent));
    assert!(!call.wait(ms(4_999)).contains(&Output::DropAgent));
    assert!(call.wait(ms(1)).contains(&Output::DropAgent));

    // One that refuses to say so is there.
    let mut call = in_conversation();
    replaced(&mut call, Input::Closed(Leg::Agent));
    let refused = AgentMessage::InjectionRefused { message: "Somebody is speaking.".to_owned() };
    assert_eq!(mouthed(&call.agent(refused)), ["Please go on."]);
}

#[test]
fn words_that_an_agent_had_noticed_are_no_second_turn_when_the_next_one_hears_them() {
    let mut call = in_conversation();
    call.says("One taro tea. Right?");
    call.caller_speaks();
    for _ in 0..25 {
        call.caller_speech_frame();
    }
    let turn = call.session.turn;
    replaced(&mut call, Input::Closed(Leg::Agent));
    call.caller_speaks();
    call.caller_says("Two of them.");
    assert_eq!(call.session.turn, turn, "they were heard once, and the yes that they may be needs a turn of its own");
    call.caller_speaks();
    assert!(call.session.turn > turn);

    // What no agent had noticed is new, and so is what comes much later.
    let mut call = in_conversation();
    for _ in 0..25 {
        call.caller_speech_frame();
    }
    let turn = call.session.turn;
    replaced(&mut call, Input::Closed(Leg::Agent));
    call.caller_speaks();
    assert!(call.session.turn > turn);
}

#[test]
fn what_the_agent_has_acted_on_is_not_heard_again() {
    let mut call = in_conversation();
    call.caller_speaks();
    for _ in 0..25 {
        call.caller_speech_frame();
    }
    call.requests(&["f1"]);
    let (_, out) = replaced(&mut call, Input::Closed(Leg::Agent));
    assert!(!out.iter().any(|output| matches!(output, Output::AgentAudio(_))), "{out:?}");
}

#[test]
fn an_agent_that_thinks_or_writes_and_then_falls_silent_is_lost_all_the_same() {
    let signs: [fn(&mut Call) -> Vec<Output>; 3] = [
        |call| call.agent(AgentMessage::AgentThinking { content: "hm".to_owned() }),
        |call| call.says("A taro tea."),
        |call| {
            let latency = None;
            call.agent(AgentMessage::AgentStartedSpeaking {
                total_latency: latency,
                tts_latency: latency,
                ttt_latency: latency,
            })
        },
    ];
    for sign in signs {
        let mut call = in_conversation();
        call.wait(ms(5_000));
        sign(&mut call);
        call.caller_frame();
        assert!(!call.wait(ms(9_999)).contains(&Output::DropAgent));
        assert!(call.wait(ms(1)).contains(&Output::DropAgent));
    }
}

#[test]
fn a_goodbye_that_was_lost_with_its_agent_is_said_by_the_next() {
    for sent_ms in [0, 300] {
        let mut call = in_conversation();
        call.requests(&["f1"]);
        call.answers("f1", Some(Effect::EndCall));
        if sent_ms > 0 {
            call.says("Goodbye!");
            call.speech(sent_ms);
        }
        let (_, out) = replaced(&mut call, Input::Closed(Leg::Agent));
        assert_eq!(injected(&out), ["I'm back."], "{sent_ms} ms");
        assert_eq!(ended(&call.wait(ms(4_000))), None, "{sent_ms} ms");
        call.speech(500);
        call.audio_done();
        call.says("Goodbye!");
        call.speech(500);
        call.audio_done();
        call.wait(ms(500));
        call.mark_returns("reply-4");
        call.mark_returns("reply-3");
        assert_eq!(ended(&call.wait(ms(3_000))), Some(EndReason::Goodbye), "{sent_ms} ms");
    }
    // Who was to be put through is, with or without a word.
    let mut call = in_conversation();
    call.requests(&["f1"]);
    call.answers("f1", Some(Effect::Transfer { reason: None }));
    assert_eq!(ended(&call.give(Input::Closed(Leg::Agent))), Some(EndReason::Transfer));
}

#[test]
fn when_the_agent_spoke_last_the_caller_goes_on() {
    let mut call = in_conversation();
    call.says("With boba?");
    call.speech(500);
    call.audio_done();
    replaced(&mut call, Input::Closed(Leg::Agent));
    call.speech(500);
    assert!(mouthed(&call.audio_done()).is_empty() && mouthed(&call.wait(ms(6_000))).is_empty());
}

#[test]
fn a_caller_who_speaks_first_is_answered_first() {
    let mut call = in_conversation();
    replaced(&mut call, Input::Closed(Leg::Agent));
    call.caller_speaks();
    call.caller_says("Hello? Are you there?");
    call.speech(500);
    assert!(mouthed(&call.audio_done()).is_empty());
}

#[test]
fn an_agent_that_was_lost_before_a_word_greets() {
    let mut call = Call::live();
    let (settings, out) = replaced(&mut call, Input::Closed(Leg::Agent));
    assert!(settings["agent"]["greeting"].is_string() && injected(&out).is_empty());
}

#[test]
fn the_callers_last_words_reach_the_next_agent() {
    let mut call = in_conversation();
    call.says("With boba?");
    call.caller_speaks();
    // One second of speech, lost with the agent, and one while there is none.
    for _ in 0..50 {
        call.caller_speech_frame();
    }
    call.give(Input::Closed(Leg::Agent));
    for _ in 0..50 {
        assert_eq!(call.caller_speech_frame(), []);
    }
    call.wait(ms(250));
    call.give(Input::AgentConnected);
    call.agent(AgentMessage::Welcome { request_id: "r2".to_owned() });
    let out = call.agent(AgentMessage::SettingsApplied);
    let words: Vec<usize> = out
        .iter()
        .filter_map(|output| match output {
            Output::AgentAudio(words) => Some(words.len()),
            _ => None,
        })
        .collect();
    assert_eq!(words, [160; 100], "in messages as small as ever: a socket's buffer stays as large as the largest");
}

#[test]
fn words_that_were_understood_are_not_heard_twice() {
    let mut call = Call::live();
    for _ in 0..50 {
        call.caller_speech_frame();
    }
    call.caller_says("A taro tea.");
    let (_, out) = replaced(&mut call, Input::Closed(Leg::Agent));
    assert!(!out.iter().any(|output| matches!(output, Output::AgentAudio(_))), "{out:?}");
}

#[test]
fn an_agent_that_owes_a_reply_and_says_nothing_is_lost() {
    let mut call = in_conversation();
    call.caller_frame();
    assert!(!call.wait(ms(9_999)).contains(&Output::DropAgent));
    assert!(call.wait(ms(1)).contains(&Output::DropAgent));
    assert!(call.moments.contains(&Moment::AgentLost(Loss::Silent)));

    // Thinking, asking for tools and waiting for them is no silence.
    let mut call = in_conversation();
    call.wait(ms(9_000));
    call.requests(&["f1"]);
    call.wait(ms(7_000));
    call.answers("f1", None);
    call.wait(ms(9_000));
    call.says("One taro tea.");
    call.speech(20);
    assert!(!call.wait(ms(20_000)).contains(&Output::DropAgent));
}

#[test]
fn settings_that_are_refused_with_the_conversation_are_tried_without_it() {
    let error = |code: &str| AgentMessage::Error { code: code.to_owned(), description: String::new() };
    let mut call = in_conversation();
    call.give(Input::Closed(Leg::Agent));
    call.wait(ms(250));
    call.give(Input::AgentConnected);
    call.agent(AgentMessage::Welcome { request_id: "r2".to_owned() });
    assert_eq!(ended(&call.agent(error("INVALID_SETTINGS"))), None);
    call.wait(ms(500));
    call.give(Input::AgentConnected);
    let out = call.agent(AgentMessage::Welcome { request_id: "r3".to_owned() });
    assert!(matches!(&out[..], [Output::AgentText(text)] if !text.contains("taro tea.")), "{out:?}");
    assert_eq!(ended(&call.agent(error("INVALID_SETTINGS"))), Some(EndReason::AgentLost));
}

#[test]
fn a_goodbye_that_is_on_the_line_is_heard_without_an_agent() {
    let mut call = in_conversation();
    call.says("Goodbye!");
    call.speech(1_000);
    call.audio_done();
    assert_eq!(call.give(Input::Closed(Leg::Agent)), [Output::DropAgent]);
    let out = call.wait(ms(5_000));
    assert!(!out.contains(&Output::DialAgent) && ended(&out) == Some(EndReason::Goodbye), "{out:?}");
}

#[test]
fn a_tool_that_outlives_its_agent_is_answered_to_nobody_and_its_order_is_told_to_the_next() {
    let mut call = in_conversation();
    call.requests(&["f1"]);
    let (settings, _) = replaced(&mut call, Input::Closed(Leg::Agent));
    let calls = &settings["agent"]["context"]["messages"][2]["function_calls"];
    assert!(calls[0]["response"].as_str().is_some_and(|response| response.contains("STILL_WORKING")));
    let placed = Effect::OrderPlaced { order_number: "4782".to_owned(), spoken: "4, 7, 8, 2".to_owned() };
    let news = prompts(call.answers("f1", Some(placed)));
    assert!(matches!(&news[..], [news] if news.contains("4, 7, 8, 2")), "{news:?}");
}

#[test]
fn an_old_session_is_renewed_in_a_pause_and_nobody_notices() {
    let mut call = in_conversation();
    call.session.renew_at = ms(20_000);
    call.says("With boba?");
    call.speech(30_000);
    call.audio_done();
    call.caller_frame();
    assert!(!call.wait(ms(29_000)).contains(&Output::DropAgent), "not while somebody speaks");
    call.mark_returns("reply-2");
    let out = call.wait(ms(2_000));
    assert!(out.contains(&Output::DropAgent) && out.contains(&Output::DialAgent), "{out:?}");
    call.give(Input::AgentConnected);
    let out = call.agent(AgentMessage::Welcome { request_id: "r2".to_owned() });
    assert!(matches!(&out[..], [Output::AgentText(text)] if text.contains("With boba?")), "{out:?}");
    assert_eq!(injected(&call.agent(AgentMessage::SettingsApplied)), [""; 0]);
}
