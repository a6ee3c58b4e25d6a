//! The agent's tool calls: which are running, which have been answered, which have taken too long.
//!
//! Every request is answered once under its id, unless the agent cancelled it; one that is sent again gets the same
//! answer and no second run.

use crate::deepgram::message::FunctionCall;
use crate::tools::{ToolAnswer, ToolRequest, Turn, still_working};
use std::collections::VecDeque;
use std::time::Duration;

/// After so long a tool is answered for: the agent must not fall silent.
pub(super) const LIMIT: Duration = Duration::from_secs(8);
/// Calls in flight; more are refused.
pub(super) const MOST: usize = 16;
/// Answers remembered.
const REMEMBERED: usize = 8;

#[derive(Default)]
pub(super) struct ToolCalls {
    running: Vec<Running>,
    answered: VecDeque<ToolAnswer>,
}

struct Running {
    id: String,
    name: String,
    until: Duration,
    /// How often the caller had begun to speak when it was asked for.
    interruptions: u32,
}

/// What is to be done about a call.
pub(super) enum Admission {
    Run(ToolRequest),
    Answer(ToolAnswer),
    /// It is the agent's own, or running already.
    Ignore,
}

impl ToolCalls {
    pub(super) fn admit(&mut self, now: Duration, call: FunctionCall, turn: Turn, interruptions: u32) -> Admission {
        if !call.client_side || self.running.iter().any(|running| running.id == call.id) {
            return Admission::Ignore;
        }
        if let Some(answer) = self.answered.iter().find(|answer| answer.id == call.id) {
            return Admission::Answer(answer.clone());
        }
        if self.running.len() >= MOST {
            return Admission::Answer(still_working(call.id, call.name));
        }
        let (id, name) = (call.id.clone(), call.name.clone());
        self.running.push(Running { id, name, until: now + LIMIT, interruptions });
        Admission::Run(ToolRequest { id: call.id, name: call.name, arguments: call.arguments, turn })
    }

    /// A tool has answered: how often the caller had begun to speak when it was asked for. None: nobody waits for it any
    /// more.
    pub(super) fn finish(&mut self, answer: &ToolAnswer) -> Option<u32> {
        let index = self.running.iter().position(|running| running.id == answer.id)?;
        let running = self.running.swap_remove(index);
        self.remember(answer.clone());
        Some(running.interruptions)
    }

    pub(super) fn cancel(&mut self, id: &str) {
        self.running.retain(|running| running.id != id);
    }

    /// One call that has taken too long, answered for.
    pub(super) fn overdue(&mut self, now: Duration) -> Option<ToolAnswer> {
        let index = self.running.iter().position(|running| now >= running.until)?;
        let Running { id, name, .. } = self.running.swap_remove(index);
        let answer = still_working(id, name);
        self.remember(answer.clone());
        Some(answer)
    }

    /// When the next call will have taken too long.
    pub(super) fn deadline(&self) -> Duration {
        self.running.iter().map(|running| running.until).min().unwrap_or(Duration::MAX)
    }

    fn remember(&mut self, answer: ToolAnswer) {
        if self.answered.len() == REMEMBERED {
            self.answered.pop_front();
        }
        self.answered.push_back(answer);
    }
}
