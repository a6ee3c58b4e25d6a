use super::*;

#[test]
fn settings_follow_the_welcome_and_audio_follows_their_acceptance() {
    let mut call = Call::dialling(AgentAudio::Mulaw);
    assert!(call.give(Input::AgentConnected).is_empty());
    assert!(call.caller_frame().is_empty(), "audio before the settings is an error to the agent");
    let out = call.agent(AgentMessage::Welcome { request_id: "r".to_owned() });
    assert_eq!(out, [Output::AgentSettings(call.session.settings.opening.text())]);
    assert!(call.caller_frame().is_empty());
    let out = call.agent(AgentMessage::SettingsApplied);
    assert!(
        matches!(&out[..], [Output::AgentAudio(one), Output::AgentAudio(two)] if one.len() + two.len() == 320),
        "{out:?}"
    );
    assert!(matches!(&call.caller_frame()[..], [Output::AgentAudio(audio)] if audio.len() == 160));
}

#[test]
fn the_newest_ten_seconds_are_kept() {
    let mut call = Call::dialling(AgentAudio::Mulaw);
    for _ in 0..800 {
        assert!(call.caller_frame().is_empty());
    }
    call.give(Input::AgentConnected);
    call.agent(AgentMessage::Welcome { request_id: "r".to_owned() });
    let out = call.agent(AgentMessage::SettingsApplied);
    assert!(
        out.len() == 500 && out.iter().all(|output| matches!(output, Output::AgentAudio(early) if early.len() == 160))
    );
    assert_eq!(call.session.summary().dropped_early_ms, 6_000);
}

#[test]
fn a_welcome_or_an_acceptance_out_of_turn_changes_nothing() {
    let mut call = Call::dialling(AgentAudio::Mulaw);
    call.give(Input::AgentConnected);
    assert!(call.agent(AgentMessage::SettingsApplied).is_empty());
    assert_eq!(call.agent(AgentMessage::Welcome { request_id: "r".to_owned() }).len(), 1);
    assert!(call.agent(AgentMessage::Welcome { request_id: "r".to_owned() }).is_empty(), "settings are sent once");
}

#[test]
fn an_agent_that_never_answers_is_given_up_in_every_phase() {
    let mut dialling = Call::dialling(AgentAudio::Mulaw);
    assert_eq!(ended(&dialling.wait(FIRST_LIMIT)), Some(EndReason::AgentUnreachable));

    let mut unwelcome = Call::dialling(AgentAudio::Mulaw);
    unwelcome.wait(ms(5_000));
    unwelcome.give(Input::AgentConnected);
    assert_eq!(ended(&unwelcome.wait(ms(5_000))), Some(EndReason::AgentUnreachable), "10 s in all");

    let mut unaccepted = Call::dialling(AgentAudio::Mulaw);
    unaccepted.wait(ms(5_000));
    unaccepted.give(Input::AgentConnected);
    unaccepted.agent(AgentMessage::Welcome { request_id: "r".to_owned() });
    assert_eq!(ended(&unaccepted.wait(ms(5_000))), Some(EndReason::AgentUnreachable), "10 s in all");
}

#[test]
fn settings_that_are_refused_end_the_call_as_unreachable() {
    let mut call = Call::dialling(AgentAudio::Mulaw);
    call.give(Input::AgentConnected);
    call.agent(AgentMessage::Welcome { request_id: "r".to_owned() });
    let error = AgentMessage::Error { code: "INVALID_SETTINGS".to_owned(), description: "no".to_owned() };
    assert_eq!(ended(&call.agent(error)), Some(EndReason::AgentUnreachable));
}
