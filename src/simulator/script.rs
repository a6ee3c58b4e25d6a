//! A conversation as data: what the caller says, what the agent says and calls, and what goes wrong.
//!
//! One file holds both sides in the order in which they happen. Each simulator reads the steps of its own side and
//! waits, by ear, for the other's. A file that makes no sense is refused with the line that does not. This file does
//! not know about sockets or time.

use std::collections::HashSet;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use toml::Spanned;

use super::voice::{Clip, Sound};

/// Why a script cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    /// Not TOML, or with a field that no script has.
    #[error("{0}")]
    Syntax(#[from] toml::de::Error),
    /// There is no `[[step]]`.
    #[error("a script needs at least one [[step]]")]
    Empty,
    /// A step that makes no sense.
    #[error("line {line}, step {number}: {problem}")]
    Step {
        /// The line that the step begins on.
        line: usize,
        /// The step, counting from 1.
        number: usize,
        /// What is wrong with it.
        problem: Problem,
    },
}

/// What can be wrong with a step.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Nothing, or several things at once.
    #[error("a step is exactly one of caller (or digits), agent, tools, expect, fault and hang_up")]
    Kind,
    /// An option of another kind of step.
    #[error("`{0}` does not go with this kind of step")]
    Stray(&'static str),
    /// Words or tools are missing.
    #[error("`{0}` is empty")]
    Empty(&'static str),
    /// Not keys of a telephone.
    #[error("`digits` are 0-9, *, # and A-D")]
    Digits,
    /// An answer is used before the tool was called.
    #[error("`{0}` has not been called by then")]
    NotCalled(String),
    /// A brace without its partner, or a placeholder that is not `{tool.field}`.
    #[error("a placeholder is written {{tool.field}}")]
    Placeholder,
}

/// One conversation, from both sides.
#[derive(Debug, Clone)]
pub struct Script {
    /// What it is called in reports.
    pub name: String,
    /// Whether the caller first waits for the agent's greeting (the words of which are in the agent's settings).
    pub greeting: bool,
    /// How the agent behaves throughout.
    pub behaviour: Behaviour,
    /// What happens, in order.
    pub steps: Vec<Step>,
}

/// How the simulated agent behaves throughout a conversation.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Behaviour {
    /// How it takes the connection.
    pub connect: Connect,
    /// How it writes the arguments of a function call.
    pub arguments: ArgumentStyle,
    /// How much audio of an interrupted reply still comes after `UserStartedSpeaking`, in milliseconds of sound.
    pub late_audio_ms: u32,
    /// Whether an interrupted reply still ends with `AgentAudioDone`. The real agent sometimes omits it.
    pub audio_done_after_interruption: bool,
    /// How long it thinks before it reacts to the caller, in milliseconds.
    pub think_ms: u32,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            connect: Connect::default(),
            arguments: ArgumentStyle::default(),
            late_audio_ms: 0,
            audio_done_after_interruption: true,
            think_ms: 200,
        }
    }
}

/// How the agent takes a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Connect {
    /// As it should.
    #[default]
    Accept,
    /// Answers the upgrade with 503.
    Refuse,
    /// Upgrades, then says nothing.
    NeverWelcome,
    /// Says `Welcome`, takes the settings, and says nothing.
    NeverApply,
}

/// How function arguments are written: Deepgram documents a string, others have seen an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ArgumentStyle {
    /// JSON text inside a string.
    #[default]
    String,
    /// The object itself, which the schema does not allow.
    Object,
}

/// One thing that happens.
#[derive(Debug, Clone)]
pub enum Step {
    /// The caller speaks or presses keys.
    Caller(CallerLine),
    /// The agent speaks.
    Agent(AgentReply),
    /// The agent calls functions, all in one request, and waits for every answer.
    Tools(ToolRequest),
    /// The latest answer of a tool is compared.
    Expect(Expectation),
    /// The agent goes wrong.
    Fault(Fault),
    /// The caller hangs up.
    HangUp,
}

/// What the caller says.
#[derive(Debug, Clone)]
pub struct CallerLine {
    /// The words; empty when there are only keys.
    pub text: String,
    /// The keys pressed once the words are said.
    pub digits: String,
    /// Speaks this long after the agent's reply began, in milliseconds, instead of waiting for its end.
    pub interrupt_after_ms: Option<u32>,
    /// How much longer than usual to wait, in milliseconds.
    pub pause_ms: u32,
    /// The words as sound: µ-law, 8 kHz; empty when there are only keys.
    pub audio: Bytes,
}

/// What the agent says in one reply, or one part of it.
#[derive(Debug, Clone)]
pub struct AgentReply {
    /// One `ConversationText` each. `{tool.field}` stands for what that tool answered last.
    pub texts: Vec<String>,
    /// A recording to be heard instead of the (one) text.
    pub clip: Option<Clip>,
    /// Whether the next `agent` step belongs to the same reply, so that no `AgentAudioDone` comes between.
    pub continues: bool,
}

/// Functions to call at once.
#[derive(Debug, Clone)]
pub struct ToolRequest {
    /// In order.
    pub calls: Vec<ToolCall>,
    /// Takes back what is unanswered after this long, in milliseconds, and goes on.
    pub cancel_after_ms: Option<u32>,
}

/// One function to call.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolCall {
    /// Which.
    pub name: String,
    /// With what: an object as a rule; anything else is there to be refused.
    #[serde(default = "no_arguments")]
    pub arguments: Value,
}

/// What a tool's latest answer must hold.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    /// Which tool.
    pub tool: String,
    /// Where in its answer: names and indices joined by dots.
    pub field: String,
    /// What must be there. Numbers are equal when their values are.
    pub value: Value,
}

/// How an agent goes wrong in the middle of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// Sends an `Error`, then closes.
    Error,
    /// Drops the connection without a word.
    Close,
    /// Says nothing any more, but keeps listening.
    Silence,
    /// Sends frames that are no messages, then goes on.
    Garbage,
    /// Sends a message of a type that nobody knows, then goes on.
    UnknownMessage,
}

impl Script {
    /// Reads a script.
    ///
    /// # Errors
    /// [`ScriptError`], naming the line.
    pub fn parse(text: &str) -> Result<Self, ScriptError> {
        let file: File = toml::from_str(text)?;
        if file.step.is_empty() {
            return Err(ScriptError::Empty);
        }
        let mut called = HashSet::new();
        let mut steps = Vec::with_capacity(file.step.len());
        for (index, raw) in file.step.into_iter().enumerate() {
            let before = text.get(..raw.span().start).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            let step = Step::try_from(raw.into_inner())
                .and_then(|step| check_answers(&step, &mut called).map(|()| step))
                .map_err(|problem| ScriptError::Step { line, number: index + 1, problem })?;
            steps.push(step);
        }
        Ok(Self { name: file.name, greeting: file.greeting, behaviour: file.behaviour, steps })
    }

    /// A taro milk tea with boba is ordered, confirmed and checked out (menu `boba`).
    pub fn boba() -> Self {
        Self::parse(include_str!("scripts/boba.toml")).expect("a test reads the scripts that come with the program")
    }

    /// A large latte is ordered, confirmed and checked out (menu `coffee`).
    pub fn coffee() -> Self {
        Self::parse(include_str!("scripts/coffee.toml")).expect("a test reads the scripts that come with the program")
    }
}

impl AgentReply {
    /// How long it lasts at least, in milliseconds: what placeholders stand for is not counted.
    pub(super) fn least_ms(&self) -> u32 {
        let one = |text: &String| {
            let least = fill(text, |_| Some(String::new())).unwrap_or_default();
            Sound { text: &least, clip: self.clip }.duration_ms()
        };
        self.texts.iter().map(one).fold(0, u32::saturating_add)
    }
}

impl Expectation {
    /// Compares with an answer; says what is wrong, if anything.
    pub(super) fn check(&self, answer: Option<&Value>) -> Option<String> {
        let found = answer.and_then(|answer| field(answer, &self.field));
        let equal = match (found, &self.value) {
            (Some(Value::Number(found)), Value::Number(wanted)) => found.as_f64() == wanted.as_f64(),
            (found, wanted) => found == Some(wanted),
        };
        if equal {
            return None;
        }
        let answer = answer.map_or_else(|| "no answer".to_owned(), Value::to_string);
        Some(format!("{}.{} should be {}, got {answer}", self.tool, self.field, self.value))
    }
}

/// What lies at a path such as `items.0.price`.
pub(super) fn field<'a>(answer: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(answer, |value, name| match value {
        Value::Array(items) => items.get(name.parse::<usize>().ok()?),
        other => other.get(name),
    })
}

/// Replaces each `{placeholder}` of a text.
pub(super) fn fill(text: &str, mut value: impl FnMut(&str) -> Option<String>) -> Result<String, Problem> {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(open) = rest.find(['{', '}']) {
        let (before, from) = rest.split_at(open);
        let inner = from.strip_prefix('{').and_then(|from| from.split_once('}'));
        let (name, after) = inner.ok_or(Problem::Placeholder)?;
        filled.push_str(before);
        filled.push_str(&value(name).ok_or(Problem::Placeholder)?);
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

/// An answer may be used only after the tool that gives it.
fn check_answers(step: &Step, called: &mut HashSet<String>) -> Result<(), Problem> {
    let mut missing = None;
    let mut note = |tool: &str, called: &HashSet<String>| {
        if !called.contains(tool) {
            missing.get_or_insert_with(|| tool.to_owned());
        }
    };
    match step {
        Step::Tools(request) => called.extend(request.calls.iter().map(|call| call.name.clone())),
        Step::Expect(expectation) => note(&expectation.tool, called),
        Step::Agent(reply) => {
            for text in &reply.texts {
                fill(text, |name| {
                    note(name.split_once('.')?.0, called);
                    Some(String::new())
                })?;
            }
        }
        Step::Caller(_) | Step::Fault(_) | Step::HangUp => {}
    }
    missing.map_or(Ok(()), |tool| Err(Problem::NotCalled(tool)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    #[serde(default = "yes")]
    greeting: bool,
    #[serde(default)]
    behaviour: Behaviour,
    #[serde(default)]
    step: Vec<Spanned<RawStep>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawStep {
    caller: Option<String>,
    digits: Option<String>,
    interrupt_after_ms: Option<u32>,
    pause_ms: Option<u32>,
    clip: Option<Clip>,
    agent: Option<OneOrMany>,
    continues: Option<bool>,
    tools: Option<Vec<ToolCall>>,
    cancel_after_ms: Option<u32>,
    expect: Option<Expectation>,
    fault: Option<Fault>,
    hang_up: Option<bool>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl TryFrom<RawStep> for Step {
    type Error = Problem;

    fn try_from(raw: RawStep) -> Result<Self, Problem> {
        let is_caller = raw.caller.is_some() || raw.digits.is_some();
        let hangs_up = raw.hang_up == Some(true);
        let kinds = [is_caller, raw.agent.is_some(), raw.tools.is_some(), raw.expect.is_some(), raw.fault.is_some()];
        if kinds.iter().filter(|given| **given).count() + usize::from(hangs_up) != 1 {
            return Err(Problem::Kind);
        }
        let stray = [
            ("interrupt_after_ms", raw.interrupt_after_ms.is_some() && !is_caller),
            ("pause_ms", raw.pause_ms.is_some() && !is_caller),
            ("clip", raw.clip.is_some() && raw.caller.is_none() && raw.agent.is_none()),
            ("continues", raw.continues.is_some() && raw.agent.is_none()),
            ("cancel_after_ms", raw.cancel_after_ms.is_some() && raw.tools.is_none()),
        ];
        if let Some((name, _)) = stray.into_iter().find(|(_, stray)| *stray) {
            return Err(Problem::Stray(name));
        }
        if is_caller {
            return caller_line(raw).map(Self::Caller);
        }
        if let Some(agent) = raw.agent {
            let texts = match agent {
                OneOrMany::One(text) => vec![text],
                OneOrMany::Many(texts) => texts,
            };
            if texts.is_empty() || texts.iter().any(|text| text.trim().is_empty()) {
                return Err(Problem::Empty("agent"));
            }
            if raw.clip.is_some() && texts.len() > 1 {
                return Err(Problem::Stray("clip"));
            }
            let continues = raw.continues.unwrap_or(false);
            return Ok(Self::Agent(AgentReply { texts, clip: raw.clip, continues }));
        }
        match (raw.tools, raw.expect, raw.fault) {
            (Some(calls), _, _) if calls.is_empty() => Err(Problem::Empty("tools")),
            (Some(calls), _, _) => Ok(Self::Tools(ToolRequest { calls, cancel_after_ms: raw.cancel_after_ms })),
            (_, Some(expectation), _) => Ok(Self::Expect(expectation)),
            (_, _, Some(fault)) => Ok(Self::Fault(fault)),
            (None, None, None) => Ok(Self::HangUp),
        }
    }
}

fn caller_line(raw: RawStep) -> Result<CallerLine, Problem> {
    let text = match raw.caller {
        Some(text) if text.trim().is_empty() => return Err(Problem::Empty("caller")),
        Some(text) => text,
        None => String::new(),
    };
    let digits = raw.digits.unwrap_or_default();
    if text.is_empty() && digits.is_empty() {
        return Err(Problem::Empty("digits"));
    }
    if !digits.chars().all(|key| matches!(key, '0'..='9' | '*' | '#' | 'A'..='D')) {
        return Err(Problem::Digits);
    }
    let audio = match text.is_empty() {
        true => Bytes::new(),
        false => Sound { text: &text, clip: raw.clip }.on_the_phone(),
    };
    let pause_ms = raw.pause_ms.unwrap_or(0);
    Ok(CallerLine { text, digits, interrupt_after_ms: raw.interrupt_after_ms, pause_ms, audio })
}

fn no_arguments() -> Value {
    Value::Object(serde_json::Map::new())
}

fn yes() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_scripts_that_come_with_the_program_can_be_played() {
        for script in [Script::boba(), Script::coffee()] {
            assert!(script.greeting && script.steps.len() > 10, "{}", script.name);
            let Some(Step::Agent(last)) = script.steps.last() else { panic!("the agent has the last word") };
            assert!(last.texts[0].ends_with("Goodbye!"));
        }
        let Some(Step::Caller(line)) = Script::boba().steps.into_iter().next() else { panic!("the caller begins") };
        assert_eq!(line.audio.len(), 31_200, "the recording");
    }

    #[test]
    fn every_kind_of_step() {
        let script = Script::parse(
            r##"
            name = "all"
            greeting = false
            behaviour = { connect = "never_apply", arguments = "object", late_audio_ms = 300 }
            [[step]]
            caller = "Hello"
            digits = "12#"
            interrupt_after_ms = 500
            [[step]]
            tools = [{ name = "a", arguments = { x = [1, 2.5, "y"] } }, { name = "b" }]
            cancel_after_ms = 10
            [[step]]
            agent = ["One {a.x.0}.", "Two."]
            continues = true
            [[step]]
            expect = { tool = "b", field = "ok", value = true }
            [[step]]
            fault = "unknown_message"
            [[step]]
            digits = "5"
            pause_ms = 100
            [[step]]
            hang_up = true
            "##,
        )
        .unwrap();
        assert_eq!(script.behaviour.connect, Connect::NeverApply);
        assert_eq!(script.behaviour.think_ms, 200);
        let [Step::Caller(line), Step::Tools(tools), Step::Agent(reply), Step::Expect(_), rest @ ..] =
            &script.steps[..]
        else {
            panic!("{:?}", script.steps)
        };
        assert_eq!((line.digits.as_str(), line.interrupt_after_ms), ("12#", Some(500)));
        assert_eq!(tools.calls[0].arguments, json!({"x": [1, 2.5, "y"]}));
        assert_eq!(tools.calls[1].arguments, json!({}));
        assert!(reply.continues);
        assert!(matches!(rest, [Step::Fault(Fault::UnknownMessage), Step::Caller(keys), Step::HangUp]
            if keys.audio.is_empty() && keys.pause_ms == 100));
    }

    #[test]
    fn nonsense_is_refused_with_its_line() {
        let refuse = |step: &str| match Script::parse(&format!("name = \"x\"\n[[step]]\nagent = \"Hi\"\n{step}")) {
            Err(ScriptError::Step { line, number, problem }) => (line, number, problem),
            other => panic!("{step}: {other:?}"),
        };
        assert_eq!(refuse("[[step]]\n"), (4, 2, Problem::Kind));
        assert_eq!(refuse("[[step]]\nhang_up = false").2, Problem::Kind);
        assert_eq!(refuse("[[step]]\nagent = \"a\"\ncaller = \"b\"").2, Problem::Kind);
        assert_eq!(refuse("[[step]]\nagent = \"a\"\ninterrupt_after_ms = 1").2, Problem::Stray("interrupt_after_ms"));
        assert_eq!(refuse("[[step]]\ndigits = \"1\"\nclip = \"caller_taro\"").2, Problem::Stray("clip"));
        assert_eq!(refuse("[[step]]\nagent = [\"a\", \"b\"]\nclip = \"agent_reply\"").2, Problem::Stray("clip"));
        assert_eq!(refuse("[[step]]\nagent = []").2, Problem::Empty("agent"));
        assert_eq!(refuse("[[step]]\ncaller = \" \"").2, Problem::Empty("caller"));
        assert_eq!(refuse("[[step]]\ntools = []").2, Problem::Empty("tools"));
        assert_eq!(refuse("[[step]]\ndigits = \"\"").2, Problem::Empty("digits"));
        assert_eq!(refuse("[[step]]\ndigits = \"5x\"").2, Problem::Digits);
        for text in ["{", "}", "{a}", "a {b", "{a.b}}"] {
            let problem = refuse(&format!("[[step]]\nagent = \"{text}\"")).2;
            assert!(matches!(problem, Problem::Placeholder | Problem::NotCalled(_)), "{text}: {problem}");
        }
        assert_eq!(refuse("[[step]]\nagent = \"{a.b}\"").2, Problem::NotCalled("a".into()));
        let expect = "[[step]]\nexpect = { tool = \"a\", field = \"ok\", value = 1 }";
        assert_eq!(refuse(expect).2, Problem::NotCalled("a".into()));
    }

    #[test]
    fn what_is_no_script_is_refused() {
        for (text, says) in [
            ("", "name"),
            ("name = \"x\"", "at least one"),
            ("name = 5", "line 1"),
            ("name = \"x\"\nspeed = 1", "speed"),
            ("name = \"x\"\n[[step]]\nagnet = \"Hi\"", "agnet"),
            ("name = \"x\"\n[[step]]\nfault = \"fire\"", "fire"),
            ("name = \"x\"\n[[step]]\ncaller = \"x\"\nclip = \"none\"", "none"),
            ("name = \"x\"\nbehaviour = { connect = \"maybe\" }", "maybe"),
            ("[[step", "line 1"),
        ] {
            let error = Script::parse(text).unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    #[test]
    fn answers_are_compared_by_value() {
        let expect = |field: &str, value| Expectation { tool: "checkout_order".into(), field: field.into(), value };
        let answer = json!({"ok": true, "total": 6.0, "items": [{"price": 6.25}]});
        assert_eq!(expect("ok", json!(true)).check(Some(&answer)), None);
        assert_eq!(expect("total", json!(6)).check(Some(&answer)), None);
        assert_eq!(expect("items.0.price", json!(6.25)).check(Some(&answer)), None);
        assert!(expect("items.1.price", json!(6.25)).check(Some(&answer)).is_some());
        assert!(expect("ok", json!("true")).check(Some(&answer)).is_some());
        insta::assert_snapshot!(
            expect("ok", json!(true)).check(Some(&json!({"ok": false}))).unwrap(),
            @r#"checkout_order.ok should be true, got {"ok":false}"#
        );
        insta::assert_snapshot!(expect("ok", json!(true)).check(None).unwrap(), @"checkout_order.ok should be true, got no answer");
    }
}
