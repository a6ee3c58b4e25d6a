//! A conversation as data: what the caller says, what the agent says and calls, and what goes wrong.
//!
//! One file holds both sides in the order in which they happen. Each simulator reads the steps of its own side and
//! waits, by ear, for the other's. A file that makes no sense is refused with the line that does not. This file does
//! not know about sockets or time.
//!
//! A step is a table with one of these, and options of its own:
//!
//! | step | what happens | options |
//! |---|---|---|
//! | `caller`, `digits` | the caller speaks, presses keys | `clip`, `interrupt_after_ms`, `pause_ms` |
//! | `agent` | the agent speaks | `clip`, `continues` |
//! | `tools` | the agent calls functions | `apart`, `repeat`, `wait`, `cancel_after_ms`, `cancel_answered` |
//! | `expect` | a tool's answer is compared | |
//! | `turn` | an agent that goes on with a conversation waits for the caller's turn, spoken or injected | |
//! | `fault` | the agent goes wrong: [`Fault`] | `code`, `into_reply_ms` |
//! | `line` | the telephone line goes wrong: [`LineTrouble`] | `after_ms`, `heard_ms`, `for_ms` |
//! | `hang_up` | the caller hangs up | |
//!
//! What is wrong from the start, or throughout, is in `behaviour`: [`Behaviour`].

use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;

use super::voice::{Clip, Sound};

mod faults;
mod read;
#[cfg(test)]
mod tests;

pub use faults::{AgentFault, Fault, LineFault, LineTrouble};

/// What an agent is told that goes on after a tool's answer.
const GO_ON: &str = "Please go on.";

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
    #[error("a step is exactly one of caller (or digits), agent, tools, expect, turn, fault, line and hang_up")]
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
    /// What the caller hears, beside the steps, of an agent that goes on after a fault; only its length counts.
    pub bridge: String,
    /// What happens, in order.
    pub steps: Vec<Step>,
}

/// How the simulated agent behaves throughout a conversation.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Behaviour {
    /// How it takes the connection.
    pub connect: Connect,
    /// What goes wrong, in order, before `Welcome`; one that ends the connection comes instead of it.
    pub before_welcome: Vec<Fault>,
    /// Whether it goes on with a conversation: the settings must then tell what was said, and hold no greeting.
    pub resumes: bool,
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
            before_welcome: Vec::new(),
            resumes: false,
            arguments: ArgumentStyle::default(),
            late_audio_ms: 0,
            audio_done_after_interruption: true,
            think_ms: 200,
        }
    }
}

impl Behaviour {
    /// Whether a connection gets as far as a conversation.
    fn comes_about(&self) -> bool {
        self.connect == Connect::Accept && !self.before_welcome.iter().any(|fault| fault.ends_connection())
    }

    /// The same on a connection that nothing is wrong with.
    fn welcoming(&self) -> Self {
        Self { connect: Connect::Accept, before_welcome: Vec::new(), ..self.clone() }
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
    /// Answers the upgrade with 401, as it does when the key is wrong.
    Reject,
    /// Drops the connection instead of answering the upgrade.
    HangUp,
    /// Upgrades, then says nothing.
    NeverWelcome,
    /// Says `Welcome`, takes the settings, and says nothing.
    NeverApply,
    /// Says `Welcome`, and that the settings are wrong.
    RefuseSettings,
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
    /// The agent calls functions, and as a rule waits for every answer.
    Tools(ToolRequest),
    /// The latest answer of a tool is compared.
    Expect(Expectation),
    /// The agent waits for a turn of the caller's: these words if it is spoken, others if it is injected.
    Turn(String),
    /// The agent goes wrong.
    Fault(AgentFault),
    /// The telephone line goes wrong.
    Line(LineFault),
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
    /// Whether each is a request of its own, sent before any is answered.
    pub apart: bool,
    /// Whether all of it is asked for twice.
    pub repeat: Option<Repeat>,
    /// Whether the answers are waited for before the next step.
    pub wait: bool,
    /// Takes back what is unanswered after this long, in milliseconds, and goes on.
    pub cancel_after_ms: Option<u32>,
    /// Takes everything back once it is answered.
    pub cancel_answered: bool,
}

/// How a request is repeated, before its first answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Repeat {
    /// With the same ids: the same calls, said again.
    SameId,
    /// With ids of their own: other calls with the same words.
    NewId,
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

impl Script {
    /// Reads a script.
    ///
    /// # Errors
    /// [`ScriptError`], naming the line.
    pub fn parse(text: &str) -> Result<Self, ScriptError> {
        read::script(text)
    }

    /// A taro milk tea with boba is ordered, confirmed and checked out (menu `boba`).
    pub fn boba() -> Self {
        Self::parse(include_str!("scripts/boba.toml")).expect("a test reads the scripts that come with the program")
    }

    /// A large latte is ordered, confirmed and checked out (menu `coffee`).
    pub fn coffee() -> Self {
        Self::parse(include_str!("scripts/coffee.toml")).expect("a test reads the scripts that come with the program")
    }

    /// What the agent plays on each connection of one call, when it is dialled anew after every fault that ends one: the
    /// script itself, and after each such fault the rest of it.
    pub fn connections(&self) -> Vec<Self> {
        let mut all = vec![self.clone()];
        if !self.behaviour.comes_about() {
            all.push(Self { behaviour: self.behaviour.welcoming(), ..self.clone() });
        }
        let faults = self.steps.iter().enumerate().filter_map(|(at, step)| match step {
            Step::Fault(fault) if fault.kind.ends_connection() => Some(at),
            _ => None,
        });
        all.extend(faults.map(|at| self.continued_after(at)));
        all
    }

    /// The rest of the conversation for an agent that is dialled after the fault at step `at`. It is told what was said
    /// before; whatever the caller or a tool has said last and nobody has answered, it waits to be told again. A reply
    /// that the fault cut off is not said again, unless it was the last: nobody would end the call.
    fn continued_after(&self, at: usize) -> Self {
        let (before, after) = self.steps.split_at(at);
        let cuts_a_reply = matches!(after.first(), Some(Step::Fault(fault)) if fault.into_reply_ms.is_some());
        let mut rest = after.get(1..).unwrap_or_default();
        if let ([Step::Agent(_), following @ ..], true) = (rest, cuts_a_reply)
            && !following.is_empty()
        {
            rest = following;
        }
        let said_last = before.iter().rev().find_map(|step| match step {
            Step::Caller(line) => Some(Some(line.text.clone())),
            Step::Turn(text) => Some(Some(text.clone())),
            Step::Tools(_) => Some(Some(GO_ON.to_owned())),
            Step::Agent(_) => Some(None),
            Step::Expect(_) | Step::Fault(_) | Step::Line(_) | Step::HangUp => None,
        });
        let unanswered = said_last.flatten().filter(|_| !cuts_a_reply);
        let steps = unanswered.map(Step::Turn).into_iter().chain(rest.iter().cloned()).collect();
        let behaviour = Behaviour { resumes: true, ..self.behaviour.welcoming() };
        Self { name: format!("{}, continued", self.name), greeting: false, behaviour, steps, bridge: String::new() }
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

fn no_arguments() -> Value {
    Value::Object(serde_json::Map::new())
}
