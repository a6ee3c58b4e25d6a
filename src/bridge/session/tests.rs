//! One call after the other in virtual time.

mod audio;
mod barge_in;
mod faults;
mod goodbye;
mod heard;
mod keys;
mod lost_agents;
mod patience;
mod setting_up;
mod slow_and_cancelled;
mod tools;

use super::time::{PHONE_SILENCE, SUSPENDED_LIMIT};
use super::*;
use crate::bridge::link::FIRST_LIMIT;
use crate::bridge::reply::MARK_SLACK;
use crate::bridge::tool_calls;
use crate::deepgram::message::{AgentMessage, CancelledCall, ClientMessage, FunctionCall, Role};
use crate::deepgram::prompt;
use crate::deepgram::settings::{AgentAudio, Opening};
use crate::tools::{Effect, ToolAnswer};
use crate::twilio::message::{MediaFormat, PhoneMessage, Start};

/// A call on its way: µ-law both ways unless said otherwise, so that bytes are easy to count.
struct Call {
    session: Session,
    now: Duration,
    pending: Vec<Output>,
    moments: Vec<Moment>,
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn phrases() -> Phrases {
    Phrases {
        back: "I'm back.".to_owned(),
        one_moment: "One moment.".to_owned(),
        still_there: "Are you still there?".to_owned(),
        idle_goodbye: "I can't hear anyone. Goodbye!".to_owned(),
        noise_goodbye: "I can't take an order like this. Goodbye!".to_owned(),
        late_goodbye: "I have to end this call now. Goodbye!".to_owned(),
        transfer: "I'm putting you through.".to_owned(),
        number_again: "Once more, your order number is {number}.".to_owned(),
    }
}

fn settings(audio: AgentAudio) -> SessionSettings {
    SessionSettings {
        stream_sid: "MZ1".to_owned(),
        opening: Arc::new(Opening::new(crate::deepgram::settings::tests::settings())),
        audio,
        phrases: Arc::new(phrases()),
        closing_phrase: Some("Goodbye!".to_owned()),
        hangup_delay: ms(300),
        max_duration: Duration::from_secs(900),
        caller_idle: Duration::from_secs(100_000),
        max_talk: Duration::from_secs(180),
        agent_session: Duration::from_secs(6_600),
        can_transfer: true,
        transcribed: false,
    }
}

impl Call {
    fn dialling(audio: AgentAudio) -> Self {
        let session = Session::new(settings(audio));
        let mut call = Self { session, now: Duration::ZERO, pending: Vec::new(), moments: Vec::new() };
        assert_eq!(call.give(Input::Tick), [Output::DialAgent]);
        call
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
        let mut out = std::mem::take(&mut self.pending);
        out.retain(|output| match output {
            Output::Moment(moment) => {
                self.moments.push(moment.clone());
                false
            }
            _ => true,
        });
        out
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
        self.give(Input::CallerAudio(&[0x7f; 160]))
    }

    /// A frame that is loud.
    fn caller_speech_frame(&mut self) -> Vec<Output> {
        self.give(Input::CallerAudio(&[0; 160]))
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
    ToolAnswer {
        id: id.to_owned(),
        name: "get_cart".to_owned(),
        content: r#"{"ok":true}"#.to_owned(),
        outcome: "ok",
        effect,
    }
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

/// What the agent is asked to say.
fn injected(out: &[Output]) -> Vec<String> {
    let words = |output: &Output| match output {
        Output::AgentText(text) => match ClientMessage::parse(text) {
            Ok(ClientMessage::InjectAgentMessage { message, .. }) => Some(message),
            _ => None,
        },
        _ => None,
    };
    out.iter().filter_map(words).collect()
}

/// The words that are put into the caller's mouth.
fn mouthed(out: &[Output]) -> Vec<String> {
    let words = |output: &Output| match output {
        Output::AgentText(text) => match ClientMessage::parse(text) {
            Ok(ClientMessage::InjectUserMessage { content }) => Some(content),
            _ => None,
        },
        _ => None,
    };
    out.iter().filter_map(words).collect()
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
