//! Reads scripts from TOML, and says which line makes no sense.

use std::collections::HashSet;

use bytes::Bytes;
use serde::Deserialize;
use toml::Spanned;

use super::{
    AgentFault, AgentReply, Behaviour, CallerLine, Expectation, Fault, LineFault, LineTrouble, Problem, Repeat, Script,
    ScriptError, Step, ToolCall, ToolRequest, fill,
};
use crate::simulator::voice::{Clip, Sound};

pub(super) fn script(text: &str) -> Result<Script, ScriptError> {
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
            .and_then(|step| check_answers(&step, &mut called, file.behaviour.resumes).map(|()| step))
            .map_err(|problem| ScriptError::Step { line, number: index + 1, problem })?;
        steps.push(step);
    }
    let File { name, greeting, behaviour, bridge, .. } = file;
    Ok(Script { name, greeting, behaviour, bridge, steps })
}

/// An answer may be used only after the tool that gives it; an agent that goes on with a conversation may have been told
/// any.
fn check_answers(step: &Step, called: &mut HashSet<String>, resumes: bool) -> Result<(), Problem> {
    let mut missing = None;
    let mut note = |tool: &str, called: &HashSet<String>| {
        if !resumes && !called.contains(tool) {
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
        Step::Caller(_) | Step::Turn(_) | Step::Fault(_) | Step::Line(_) | Step::HangUp => {}
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
    bridge: String,
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
    apart: Option<bool>,
    repeat: Option<Repeat>,
    wait: Option<bool>,
    cancel_after_ms: Option<u32>,
    cancel_answered: Option<bool>,
    expect: Option<Expectation>,
    turn: Option<String>,
    fault: Option<Fault>,
    code: Option<String>,
    into_reply_ms: Option<u32>,
    line: Option<LineTrouble>,
    after_ms: Option<u32>,
    heard_ms: Option<u32>,
    for_ms: Option<u32>,
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
        let kinds = [
            is_caller,
            raw.agent.is_some(),
            raw.tools.is_some(),
            raw.expect.is_some(),
            raw.turn.is_some(),
            raw.fault.is_some(),
            raw.line.is_some(),
            hangs_up,
        ];
        if kinds.iter().filter(|given| **given).count() != 1 {
            return Err(Problem::Kind);
        }
        if let Some(name) = raw.stray(is_caller) {
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
        if let Some(calls) = raw.tools {
            if calls.is_empty() {
                return Err(Problem::Empty("tools"));
            }
            return Ok(Self::Tools(ToolRequest {
                calls,
                apart: raw.apart.unwrap_or(false),
                repeat: raw.repeat,
                wait: raw.wait.unwrap_or(true),
                cancel_after_ms: raw.cancel_after_ms,
                cancel_answered: raw.cancel_answered.unwrap_or(false),
            }));
        }
        match (raw.expect, raw.turn, raw.fault, raw.line) {
            (Some(expectation), ..) => Ok(Self::Expect(expectation)),
            (_, Some(text), ..) if text.trim().is_empty() => Err(Problem::Empty("turn")),
            (_, Some(text), ..) => Ok(Self::Turn(text)),
            (.., Some(kind), _) => {
                Ok(Self::Fault(AgentFault { kind, code: raw.code, into_reply_ms: raw.into_reply_ms }))
            }
            (.., Some(kind)) => Ok(Self::Line(LineFault {
                kind,
                after_ms: raw.after_ms.unwrap_or(0),
                heard_ms: raw.heard_ms.unwrap_or(0),
                for_ms: raw.for_ms.unwrap_or(0),
            })),
            (None, None, None, None) => Ok(Self::HangUp),
        }
    }
}

impl RawStep {
    /// An option that does not go with this kind of step.
    fn stray(&self, is_caller: bool) -> Option<&'static str> {
        let (agent, tools) = (self.agent.is_some(), self.tools.is_some());
        let (fault, line) = (self.fault.is_some(), self.line.is_some());
        let lasts = matches!(self.line, Some(LineTrouble::Pause | LineTrouble::HoldMarks));
        let options = [
            ("interrupt_after_ms", self.interrupt_after_ms.is_some(), is_caller),
            ("pause_ms", self.pause_ms.is_some(), is_caller),
            ("clip", self.clip.is_some(), self.caller.is_some() || agent),
            ("continues", self.continues.is_some(), agent),
            ("apart", self.apart.is_some(), tools),
            ("repeat", self.repeat.is_some(), tools),
            ("wait", self.wait.is_some(), tools),
            ("cancel_after_ms", self.cancel_after_ms.is_some(), tools),
            // What is not waited for is never all answered.
            ("cancel_answered", self.cancel_answered.is_some(), tools && self.wait != Some(false)),
            ("code", self.code.is_some(), self.fault == Some(Fault::Error)),
            ("into_reply_ms", self.into_reply_ms.is_some(), fault),
            ("after_ms", self.after_ms.is_some(), line),
            ("heard_ms", self.heard_ms.is_some(), line),
            ("for_ms", self.for_ms.is_some(), lasts),
        ];
        options.into_iter().find(|(_, given, fits)| *given && !fits).map(|(name, ..)| name)
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

fn yes() -> bool {
    true
}
