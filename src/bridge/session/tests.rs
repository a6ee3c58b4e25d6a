//! One call after the other in virtual time.

use super::*;
use crate::deepgram::message::CancelledCall;
use crate::deepgram::settings::AgentAudio;
use crate::twilio::message::{MediaFormat, Start};

/// A call on its way: µ-law both ways unless said otherwise, so that bytes are easy to count.
struct Call {
    session: Session,
    now: Duration,
    pending: Vec<Output>,
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn settings(audio: AgentAudio) -> SessionSettings {
    SessionSettings {
        stream_sid: "MZ1".to_owned(),
        agent_settings: "SETTINGS".into(),
        audio,
        closing_phrase: Some("Goodbye!".to_owned()),
        hangup_delay: ms(300),
        max_duration: Duration::from_secs(900),
        transcribed: false,
    }
}

impl Call {
    fn dialling(audio: AgentAudio) -> Self {
        Self { session: Session::new(settings(audio)), now: Duration::ZERO, pending: Vec::new() }
    }

    /// A call whose agent is ready.
    fn live() -> Self {
        Self::live_in(AgentAudio::Mulaw)
    }

    fn live_in(audio: AgentAudio) -> Self {
        let mut call = Self::dialling(audio);
        call.give(Input::AgentConnected);
        call.agent(AgentMessage::Welcome { request_id: "r".to_owned() });
        call.agent(AgentMessage::SettingsApplied);
        call
    }

    fn give(&mut self, input: Input<'_>) -> Vec<Output> {
        self.session.handle(self.now, input, &mut self.pending);
        std::mem::take(&mut self.pending)
    }

    fn agent(&mut self, message: AgentMessage) -> Vec<Output> {
        self.give(Input::Agent(message))
    }

    /// Agent speech of so many milliseconds.
    fn speech(&mut self, ms: usize) -> Vec<Output> {
        self.give(Input::AgentAudio(&vec![0x55; ms * 8]))
    }

    fn says(&mut self, content: &str) -> Vec<Output> {
        self.agent(AgentMessage::ConversationText { role: Role::Assistant, content: content.to_owned() })
    }

    fn caller_speaks(&mut self) -> Vec<Output> {
        self.agent(AgentMessage::UserStartedSpeaking)
    }

    fn audio_done(&mut self) -> Vec<Output> {
        self.agent(AgentMessage::AgentAudioDone)
    }

    fn caller_says(&mut self, content: &str) -> Vec<Output> {
        self.agent(AgentMessage::ConversationText { role: Role::User, content: content.to_owned() })
    }

    fn cancels(&mut self, id: &str) -> Vec<Output> {
        let cancelled = CancelledCall { id: id.to_owned(), name: "get_cart".to_owned() };
        self.agent(AgentMessage::FunctionCallCancelled { functions: vec![cancelled] })
    }

    fn caller_frame(&mut self) -> Vec<Output> {
        let text = format!(
            r#"{{"event":"media","streamSid":"MZ1","media":{{"track":"inbound","payload":"{}"}}}}"#,
            "f".repeat(212) + "fw=="
        );
        self.give(Input::Phone(PhoneMessage::parse(&text).expect("a media message")))
    }

    fn mark_returns(&mut self, name: &str) -> Vec<Output> {
        self.give(Input::Phone(PhoneMessage::Mark { name: name.into() }))
    }

    fn requests(&mut self, ids: &[&str]) -> Vec<Output> {
        let call = |id: &&str| FunctionCall {
            id: (*id).to_owned(),
            name: "get_cart".to_owned(),
            arguments: "{}".to_owned(),
            client_side: true,
            thought_signature: None,
        };
        self.agent(AgentMessage::FunctionCallRequest { functions: ids.iter().map(call).collect() })
    }

    fn answers(&mut self, id: &str, effect: Option<Effect>) -> Vec<Output> {
        self.give(Input::Tool(answer(id, effect)))
    }

    /// Lets time pass, waking the session whenever it asks for it.
    fn wait(&mut self, time: Duration) -> Vec<Output> {
        let until = self.now + time;
        let mut out = Vec::new();
        while self.session.next_deadline() <= until && !self.session.ended {
            self.now = self.session.next_deadline().max(self.now);
            out.extend(self.give(Input::Tick));
        }
        self.now = until;
        out
    }
}

/// What agents are told by these outputs, and nothing else beside it.
fn prompts(out: Vec<Output>) -> Vec<String> {
    let prompt = |output| match output {
        Output::AgentText(text) => match ClientMessage::parse(&text) {
            Ok(ClientMessage::UpdatePrompt { prompt }) => prompt,
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    };
    out.into_iter().map(prompt).collect()
}

fn answer(id: &str, effect: Option<Effect>) -> ToolAnswer {
    ToolAnswer { id: id.to_owned(), name: "get_cart".to_owned(), content: r#"{"ok":true}"#.to_owned(), effect }
}

fn ended(out: &[Output]) -> Option<EndReason> {
    out.iter().find_map(|output| match output {
        Output::End(reason) => Some(*reason),
        _ => None,
    })
}

/// Media messages among the outputs.
fn media(out: &[Output]) -> usize {
    out.iter().filter(|output| matches!(output, Output::Phone(text) if text.contains(r#""event":"media""#))).count()
}

fn marks<'a>(out: &'a [Output]) -> Vec<&'a str> {
    let name = |output: &'a Output| match output {
        Output::Phone(text) if text.contains(r#""event":"mark""#) => text.split('"').rev().nth(1),
        _ => None,
    };
    out.iter().filter_map(name).collect()
}

fn responses<'a>(out: &'a [Output]) -> Vec<&'a str> {
    let text = |output: &'a Output| match output {
        Output::AgentText(text) if text.contains("FunctionCallResponse") => Some(text.as_str()),
        _ => None,
    };
    out.iter().filter_map(text).collect()
}

fn runs<'a>(out: &'a [Output]) -> Vec<(&'a str, Turn)> {
    let run = |output: &'a Output| match output {
        Output::RunTool(request) => Some((request.id.as_str(), request.turn)),
        _ => None,
    };
    out.iter().filter_map(run).collect()
}

mod setting_up {
    use super::*;

    #[test]
    fn settings_follow_the_welcome_and_audio_follows_their_acceptance() {
        let mut call = Call::dialling(AgentAudio::Mulaw);
        assert!(call.give(Input::AgentConnected).is_empty());
        assert!(call.caller_frame().is_empty(), "audio before the settings is an error to the agent");
        let out = call.agent(AgentMessage::Welcome { request_id: "r".to_owned() });
        assert_eq!(out, [Output::AgentSettings("SETTINGS".into())]);
        assert!(call.caller_frame().is_empty());
        let out = call.agent(AgentMessage::SettingsApplied);
        assert!(matches!(&out[..], [Output::AgentAudio(early)] if early.len() == 320), "{out:?}");
        assert!(matches!(&call.caller_frame()[..], [Output::AgentAudio(audio)] if audio.len() == 160));
    }

    #[test]
    fn the_newest_three_seconds_are_kept() {
        let mut call = Call::dialling(AgentAudio::Mulaw);
        for _ in 0..400 {
            assert!(call.caller_frame().is_empty());
        }
        call.give(Input::AgentConnected);
        call.agent(AgentMessage::Welcome { request_id: "r".to_owned() });
        let out = call.agent(AgentMessage::SettingsApplied);
        assert!(matches!(&out[..], [Output::AgentAudio(early)] if early.len() == 24_000));
        assert_eq!(call.session.summary().dropped_early_ms, 5_000);
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
        assert_eq!(ended(&dialling.wait(SETUP_LIMIT)), Some(EndReason::AgentUnreachable));

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
}

mod audio {
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
}

mod barge_in {
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
        let announced =
            AgentMessage::AgentStartedSpeaking { total_latency: None, tts_latency: None, ttt_latency: None };
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
}

mod goodbye {
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
        assert_eq!(ended(&call.wait(ms(29_000))), None);

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
        assert_eq!(ended(&call.wait(ms(29_000))), None, "nor does it count later");
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
        assert_eq!(ended(&call.wait(ms(29_000))), None);
    }

    #[test]
    fn a_late_text_ends_nothing_even_when_the_interrupted_reply_was_complete() {
        let mut call = Call::live();
        call.speech(3_000);
        call.audio_done();
        call.now += ms(500);
        call.caller_speaks();
        call.says("Goodbye!");
        assert_eq!(ended(&call.wait(ms(29_000))), None);
        call.caller_says("Hello?");
        call.caller_frame();
        call.says("Goodbye!");
        assert_eq!(ended(&call.wait(ms(29_000))), Some(EndReason::Goodbye), "a text after the caller's is a new one");
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
        assert_eq!(ended(&call.wait(ms(29_000))), None);
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
}

mod tools {
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
        let placed = Effect::OrderPlaced { order_number: "4782".to_owned() };
        assert!(call.answers("f1", Some(placed)).is_empty());
        assert_eq!(call.session.summary().order_number.as_deref(), Some("4782"), "the order is there all the same");
    }

    #[test]
    fn a_cancelled_call_is_not_answered() {
        let mut call = Call::live();
        call.requests(&["f1", "f2"]);
        call.cancels("f1");
        assert!(call.answers("f1", Some(Effect::EndCall)).is_empty());
        assert_eq!(responses(&call.answers("f2", None)).len(), 1);
        assert_eq!(ended(&call.wait(ms(29_000))), None, "a cancelled end_call ends nothing");
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
}

mod faults {
    use super::*;

    #[test]
    fn each_leg_that_fails_ends_the_call() {
        let error = AgentMessage::Error { code: "FAILED_TO_THINK".to_owned(), description: "no".to_owned() };
        assert_eq!(ended(&Call::live().agent(error)), Some(EndReason::AgentLost));
        assert_eq!(ended(&Call::live().give(Input::Closed(Leg::Agent))), Some(EndReason::AgentLost));
        assert_eq!(ended(&Call::live().give(Input::Stalled(Leg::Agent))), Some(EndReason::AgentLost));
        assert_eq!(ended(&Call::live().give(Input::Closed(Leg::Phone))), Some(EndReason::PhoneLost));
        assert_eq!(ended(&Call::live().give(Input::Stalled(Leg::Phone))), Some(EndReason::PhoneFault));
        assert_eq!(ended(&Call::live().give(Input::Phone(PhoneMessage::Stop))), Some(EndReason::CallerHungUp));
        assert_eq!(ended(&Call::live().give(Input::Shutdown)), Some(EndReason::Shutdown));
        let mut dialling = Call::dialling(AgentAudio::Mulaw);
        assert_eq!(ended(&dialling.give(Input::AgentUnreachable)), Some(EndReason::AgentUnreachable));
    }

    #[test]
    fn a_call_ends_at_its_longest() {
        let mut call = Call::live();
        call.session.settings.max_duration = ms(40_000);
        assert_eq!(ended(&call.wait(ms(39_999))), None);
        assert_eq!(ended(&call.wait(ms(1))), Some(EndReason::MaxDuration));
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
        let garbage = r#"{"event":"media","streamSid":"MZ1","media":{"track":"inbound","payload":"***"}}"#;
        let give = |call: &mut Call| call.give(Input::Phone(PhoneMessage::parse(garbage).expect("well-formed JSON")));
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
        let empty = r#"{"event":"media","streamSid":"MZ1","media":{"track":"inbound","payload":""}}"#;
        assert!(call.give(Input::Phone(PhoneMessage::parse(empty).expect("well-formed JSON"))).is_empty());
        assert_eq!(call.session.summary().frames_in, 0);
    }
}

#[test]
fn the_agent_is_told_of_the_shop_once_and_not_before_it_listens() {
    let mut call = Call::dialling(AgentAudio::Mulaw);
    assert!(call.give(Input::Shop("Sold out: tea.".into())).is_empty());
    call.give(Input::AgentConnected);
    call.agent(AgentMessage::Welcome { request_id: "r".to_owned() });
    assert!(call.give(Input::Shop("Sold out: boba.".into())).is_empty());
    // Only what holds by now.
    assert_eq!(prompts(call.agent(AgentMessage::SettingsApplied)), [prompt::shop_update("Sold out: boba.")]);
    assert!(call.give(Input::Shop("Sold out: boba.".into())).is_empty());
    assert!(call.agent(AgentMessage::PromptUpdated).is_empty());
    assert_eq!(prompts(call.give(Input::Shop("Paused.".into()))), [prompt::shop_update("Paused.")]);
    assert_eq!(prompts(call.give(Input::Shop("".into()))), [prompt::shop_update("")]);

    // An ordinary shop is no news.
    let mut call = Call::dialling(AgentAudio::Mulaw);
    call.give(Input::Shop("Sold out: tea.".into()));
    call.give(Input::Shop("".into()));
    call.give(Input::AgentConnected);
    call.agent(AgentMessage::Welcome { request_id: "r".to_owned() });
    assert!(call.agent(AgentMessage::SettingsApplied).is_empty());
}

#[test]
fn what_is_said_is_told_only_where_somebody_may_read_it() {
    let mut call = Call::live();
    assert_eq!(call.caller_says("Hi."), []);
    assert_eq!(call.says("Hey!"), []);
    call.session.settings.transcribed = true;
    assert_eq!(call.caller_says("A taro."), [Output::Said(Speaker::Caller, "A taro.".to_owned())]);
    assert_eq!(call.says("Sure!"), [Output::Said(Speaker::Agent, "Sure!".to_owned())]);
    let role = Role::Other("system".to_owned());
    let aside = AgentMessage::ConversationText { role, content: "You are a barista.".to_owned() };
    assert_eq!(call.agent(aside), []);
    call.says("Goodbye!");
    call.speech(500);
    call.audio_done();
    call.mark_returns("reply-1");
    assert_eq!(ended(&call.wait(ms(29_000))), Some(EndReason::Goodbye), "it ends the call all the same");
}
