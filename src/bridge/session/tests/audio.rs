use super::*;

#[test]
fn linear16_is_converted_both_ways_and_the_last_partial_frame_is_padded() {
    let mut call = Call::live_in(AgentAudio::Linear16);
    assert!(matches!(&call.caller_frame()[..], [Output::AgentAudio(audio)] if audio.len() == 1920));
    // 25 ms of 24 kHz samples, split in the middle of one.
    let speech = vec![0; 1200];
    assert_eq!(media(&call.give(Input::AgentAudio(&speech[..601]))), 0);
    assert_eq!(media(&call.give(Input::AgentAudio(&speech[601..]))), 1);
    let out = call.audio_done();
    assert_eq!((media(&out), marks(&out)), (1, vec!["reply-1"]), "the rest is padded, sent and marked");
}

#[test]
fn mulaw_passes_untouched_in_any_chunking() {
    let mut call = Call::live();
    let audio: Vec<u8> = (0..=255).collect();
    let out = call.give(Input::AgentAudio(&audio));
    let expected = StreamWriter::new("MZ1").media(&audio);
    assert_eq!(out, [Output::Phone(expected)]);
}

#[test]
fn a_reply_without_its_end_is_padded_when_the_line_runs_dry() {
    let mut call = Call::live_in(AgentAudio::Linear16);
    assert_eq!(media(&call.give(Input::AgentAudio(&vec![0; 48 * 25]))), 1);
    assert_eq!(media(&call.wait(ms(299))), 0);
    assert_eq!(media(&call.wait(ms(1))), 1);
    assert_eq!(media(&call.wait(ms(5_000))), 0, "padded once");
}

#[test]
fn a_reply_that_pauses_in_the_middle_of_a_sample_goes_on_in_it() {
    let speech: Vec<u8> = (0..24_000_i32).flat_map(|at| (((at % 24) * 800) as i16).to_le_bytes()).collect();
    let loudest = |out: &[Output]| -> i32 {
        let payload = |output: &Output| match output {
            Output::Phone(text) => PhoneMessage::parse(text).ok().and_then(|message| match message {
                PhoneMessage::Media(media) => {
                    let mut audio = Vec::new();
                    media.decode_into(&mut audio).ok().map(|()| audio)
                }
                _ => None,
            }),
            _ => None,
        };
        let samples = out.iter().filter_map(payload).flatten();
        samples.map(|code| i32::from(crate::audio::mulaw::decode(code)).abs()).max().unwrap_or(0)
    };
    let mut call = Call::live_in(AgentAudio::Linear16);
    call.give(Input::AgentAudio(&speech[..9_601]));
    call.wait(ms(2_000));
    let whole = call.give(Input::AgentAudio(&speech[9_601..]));
    assert!(loudest(&whole) < 20_000, "shifted by a byte, samples would reach full scale: {}", loudest(&whole));
}

#[test]
fn a_silent_caller_keeps_the_agent_alive() {
    let mut call = Call::live();
    call.caller_frame();
    assert!(call.wait(ms(7_999)).is_empty());
    let out = call.wait(ms(1));
    assert!(
        matches!(&out[..], [Output::AgentText(text), Output::AgentAudio(_)] if text.contains("KeepAlive")),
        "{out:?}"
    );
    assert_eq!(call.wait(ms(8_000)).len(), 2, "and again");
    call.caller_frame();
    assert!(call.wait(ms(7_999)).is_empty(), "audio is a sign of life as well");
}
