use super::*;

#[test]
fn each_leg_that_fails_ends_the_call() {
    let error = AgentMessage::Error { code: "FAILED_TO_THINK".to_owned(), description: "no".to_owned() };
    for input in [Input::Agent(error), Input::Closed(Leg::Agent), Input::Stalled(Leg::Agent)] {
        let mut call = Call::live();
        assert_eq!(call.give(input), [Output::DropAgent]);
        for _ in 0..3 {
            assert_eq!(call.wait(ms(1_000)), [Output::DialAgent]);
            call.give(Input::AgentUnreachable { for_good: false });
        }
        assert!(call.session.ended && call.now < FIRST_LIMIT);
        assert_eq!(call.session.summary().redials, 3);
    }
    assert_eq!(ended(&Call::live().give(Input::Closed(Leg::Phone))), Some(EndReason::PhoneLost));
    assert_eq!(ended(&Call::live().give(Input::Stalled(Leg::Phone))), Some(EndReason::PhoneFault));
    assert_eq!(ended(&Call::live().give(Input::Phone(PhoneMessage::Stop))), Some(EndReason::CallerHungUp));
    assert_eq!(ended(&Call::live().give(Input::Shutdown)), Some(EndReason::Shutdown));
    let mut wrong_key = Call::dialling(AgentAudio::Mulaw);
    let refused = wrong_key.give(Input::AgentUnreachable { for_good: true });
    assert_eq!(ended(&refused), Some(EndReason::AgentUnreachable), "another attempt would fail again");
}

#[test]
fn a_call_ends_at_its_longest() {
    let mut call = Call::live();
    call.session.settings.max_duration = ms(40_000);
    assert_eq!(ended(&call.wait(ms(39_999))), None);
    assert_eq!(injected(&call.wait(ms(1))), ["I have to end this call now. Goodbye!"]);
    call.speech(2_000);
    call.audio_done();
    call.caller_speaks();
    assert_eq!(ended(&call.wait(ms(299))), None);
    assert_eq!(ended(&call.wait(ms(1))), Some(EndReason::MaxDuration), "nobody calls that off");

    let mut call = Call::live();
    call.session.settings.max_duration = ms(40_000);
    call.wait(ms(40_000));
    for _ in 0..14 {
        call.speech(1_000);
        assert_eq!(ended(&call.wait(ms(1_000))), None);
    }
    assert_eq!(ended(&call.wait(ms(1_000))), Some(EndReason::MaxDuration), "an agent that never stops is cut off");
}

#[test]
fn a_phone_leg_that_has_fallen_silent_is_gone() {
    let mut call = Call::live();
    call.wait(ms(59_000));
    call.caller_frame();
    assert_eq!(ended(&call.wait(PHONE_SILENCE - ms(1))), None);
    assert_eq!(ended(&call.wait(ms(1))), Some(EndReason::PhoneLost));
}

#[test]
fn a_second_start_is_ignored() {
    let mut call = Call::live();
    let format = MediaFormat { encoding: "audio/x-mulaw".to_owned(), sample_rate: 8000, channels: 1 };
    let start = Start {
        stream_sid: "MZ2".to_owned(),
        call_sid: "CA2".to_owned(),
        account_sid: None,
        media_format: format,
        parameters: Default::default(),
    };
    assert!(call.give(Input::Phone(PhoneMessage::Start(Box::new(start)))).is_empty());
    assert_eq!(media(&call.speech(20)), 1, "the call goes on under its own stream");
}

#[test]
fn what_cannot_be_understood_is_dropped_until_it_is_too_much() {
    let mut call = Call::live();
    let give = |call: &mut Call| call.give(Input::Unreadable(Leg::Phone, "no base64".into()));
    assert!(give(&mut call).is_empty());
    let many = |call: &mut Call| (1..MAX_BAD_IN_A_ROW).find_map(|_| ended(&give(call)));
    assert_eq!(many(&mut call), Some(EndReason::PhoneFault));

    let mut call = Call::live();
    for _ in 0..3 {
        assert_eq!(many(&mut call), None);
        assert_eq!(call.caller_frame().len(), 1, "the call goes on");
    }
}

#[test]
fn unknown_messages_and_empty_frames_are_tolerated() {
    let mut call = Call::live();
    for kind in ["SomethingNew", "SomethingNew", "Another"] {
        assert!(call.agent(AgentMessage::Unknown { kind: kind.to_owned() }).is_empty());
    }
    assert!(call.give(Input::Phone(PhoneMessage::Unknown { event: "new".into() })).is_empty());
    assert!(call.give(Input::AgentAudio(&[])).is_empty());
    assert!(call.give(Input::CallerAudio(&[])).is_empty());
    let ours = r#"{"event":"media","streamSid":"MZ1","media":{"track":"outbound","payload":"AAAA"}}"#;
    assert!(call.give(Input::Phone(PhoneMessage::parse(ours).expect("a media message"))).is_empty());
    assert_eq!(call.session.summary().frames_in, 0);
}
