use super::*;

#[test]
fn the_line_is_cleared_at_once_and_late_audio_of_the_reply_is_dropped() {
    let mut call = Call::live();
    assert_eq!(media(&call.speech(2_000)), 1);
    call.now += ms(500);
    let out = call.caller_speaks();
    assert!(matches!(&out[..], [Output::ClearPhone(clear)] if clear.contains(r#""event":"clear""#)));
    assert!(call.speech(20).is_empty());
    call.now += ms(200);
    assert!(call.speech(20).is_empty());
    assert!(call.audio_done().is_empty(), "an interrupted reply is not marked");
    assert_eq!(media(&call.speech(20)), 1, "the next reply has begun at the old one's end");
    assert_eq!(call.session.summary().barge_ins, 1);
}

#[test]
fn the_next_reply_begins_where_it_is_announced() {
    let mut call = Call::live();
    call.speech(2_000);
    call.caller_speaks();
    assert!(call.speech(20).is_empty());
    let announced = AgentMessage::AgentStartedSpeaking { total_latency: None, tts_latency: None, ttt_latency: None };
    assert!(call.agent(announced).is_empty());
    assert_eq!(media(&call.speech(20)), 1);
}

#[test]
fn the_next_reply_begins_after_a_pause_when_nothing_else_tells() {
    let mut call = Call::live();
    call.speech(2_000);
    call.caller_speaks();
    for _ in 0..5 {
        call.now += ms(299);
        assert!(call.speech(20).is_empty(), "still the old one");
    }
    call.now += ms(300);
    assert_eq!(media(&call.speech(20)), 1);
}

#[test]
fn text_of_the_agent_does_not_begin_a_reply() {
    let mut call = Call::live();
    call.speech(2_000);
    call.caller_speaks();
    call.says("a late text of the interrupted reply");
    assert!(call.speech(20).is_empty());
}

#[test]
fn clearing_a_quiet_line_harms_nothing() {
    let mut call = Call::live();
    assert_eq!(call.caller_speaks().len(), 1);
    assert_eq!(media(&call.speech(20)), 1, "the reply to come is not dropped");
    assert_eq!(call.session.summary().barge_ins, 0);
}

#[test]
fn nothing_of_an_interrupted_reply_leaks_into_the_next() {
    let mut call = Call::live_in(AgentAudio::Linear16);
    // 10 ms of loud audio wait in the framer when the caller speaks.
    call.give(Input::AgentAudio(&[0x00, 0x60].repeat(240)));
    call.caller_speaks();
    call.audio_done();
    let out = call.give(Input::AgentAudio(&vec![0; 48 * 25]));
    let quiet = StreamWriter::new("MZ1").media(&[0xFF; 160]);
    assert_eq!(out, [Output::Phone(quiet)]);
}
