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
/// After so long the agent is asked to say that it takes a moment.
pub(super) const SLOW: Duration = Duration::from_millis(1_500);
/// Calls in flight; more are refused.
pub(super) const MOST: usize = 16;
/// Answers remembered.
const REMEMBERED: usize = 32;
/// Requests that were taken back, remembered so that they are not run should they come again.
const MOST_CANCELLED: usize = 32;

#[derive(Default)]
pub(super) struct ToolCalls {
    running: Vec<Running>,
    answered: VecDeque<ToolAnswer>,
    cancelled: VecDeque<String>,
    /// The agent's messages with requests, counted.
    batch: u64,
    /// The message whose slowness was told of.
    told_slow: u64,
}

struct Running {
    id: String,
    name: String,
    since: Duration,
    batch: u64,
    /// How often the caller had begun to speak when it was asked for.
    interruptions: u32,
    /// Whether the agent that asked is still there.
    wanted: bool,
}

/// What is to be done about a call.
pub(super) enum Admission {
    Run(ToolRequest),
    Answer(ToolAnswer),
    /// It is the agent's own, or running already, or was taken back.
    Ignore,
}

/// What was taken back.
pub(super) enum Cancelled {
    /// It had not been answered.
    Running,
    /// It had been, with this.
    Answered(ToolAnswer),
    /// There is no such request, or it was taken back before.
    Unknown,
}

/// What a request came with.
#[derive(Clone, Copy)]
pub(super) struct Asked {
    pub(super) turn: Turn,
    /// How often the caller has begun to speak.
    pub(super) interruptions: u32,
    /// Whether the caller heard what was read back.
    pub(super) heard: bool,
}

/// A request that was answered in time.
pub(super) struct Finished {
    pub(super) interruptions: u32,
    pub(super) took: Duration,
    /// Whether the agent that asked is still there.
    pub(super) wanted: bool,
}

impl ToolCalls {
    /// A new message with requests begins.
    pub(super) fn begin_batch(&mut self) {
        self.batch += 1;
    }

    pub(super) fn admit(&mut self, now: Duration, call: FunctionCall, asked: Asked) -> Admission {
        let taken_back = self.cancelled.contains(&call.id);
        let runs = |running: &Running| running.wanted && running.id == call.id;
        if !call.client_side || taken_back || self.running.iter().any(runs) {
            return Admission::Ignore;
        }
        if let Some(answer) = self.answered.iter().find(|answer| answer.id == call.id) {
            return Admission::Answer(answer.clone());
        }
        if self.running.len() >= MOST {
            return Admission::Answer(still_working(call.id, call.name));
        }
        let (id, name, batch) = (call.id.clone(), call.name.clone(), self.batch);
        let Asked { turn, interruptions, heard } = asked;
        self.running.push(Running { id, name, since: now, batch, interruptions, wanted: true });
        Admission::Run(ToolRequest { id: call.id, name: call.name, arguments: call.arguments, turn, batch, heard })
    }

    /// A tool has answered. None: nobody waits for it any more.
    pub(super) fn finish(&mut self, now: Duration, answer: &ToolAnswer) -> Option<Finished> {
        let index = self.running.iter().position(|running| running.id == answer.id)?;
        let Running { since, interruptions, wanted, .. } = self.running.remove(index);
        if wanted {
            self.remember(answer.clone());
        }
        Some(Finished { interruptions, took: now.saturating_sub(since), wanted })
    }

    /// The agent takes a request back.
    pub(super) fn cancel(&mut self, id: &str) -> Cancelled {
        let answered = self.answered.iter().position(|answer| answer.id == id);
        let running = self.running.iter().position(|running| running.wanted && running.id == id);
        let cancelled = match (running, answered.and_then(|index| self.answered.remove(index))) {
            (Some(index), _) => {
                self.running.swap_remove(index);
                Cancelled::Running
            }
            (None, Some(answer)) => Cancelled::Answered(answer),
            (None, None) => return Cancelled::Unknown,
        };
        if self.cancelled.len() == MOST_CANCELLED {
            self.cancelled.pop_front();
        }
        self.cancelled.push_back(id.to_owned());
        cancelled
    }

    /// The agent that asked is gone: what still runs is carried through, and answered to nobody. The next one has ids of
    /// its own.
    pub(super) fn orphan(&mut self) {
        for running in &mut self.running {
            running.wanted = false;
        }
        self.answered.clear();
        self.cancelled.clear();
    }

    pub(super) fn are_running(&self) -> bool {
        self.running.iter().any(|running| running.wanted)
    }

    /// One call that has taken too long, answered for, and whether the agent that asked is still there.
    pub(super) fn overdue(&mut self, now: Duration) -> Option<(ToolAnswer, bool)> {
        let index = self.running.iter().position(|running| now >= running.since + LIMIT)?;
        let Running { id, name, wanted, .. } = self.running.swap_remove(index);
        let answer = still_working(id, name);
        if wanted {
            self.remember(answer.clone());
        }
        Some((answer, wanted))
    }

    /// When a call will be slow that nothing has been said about.
    pub(super) fn slow_at(&self) -> Option<Duration> {
        let untold = self.running.iter().filter(|running| running.wanted && running.batch > self.told_slow);
        untold.map(|running| running.since + SLOW).min()
    }

    /// The name of a slow call, once for all of its message.
    pub(super) fn tell_slow(&mut self, now: Duration) -> Option<String> {
        let slow = |running: &&Running| running.wanted && running.batch > self.told_slow && now >= running.since + SLOW;
        let name = self.running.iter().find(slow)?.name.clone();
        self.told_slow = self.batch;
        Some(name)
    }

    /// When the next call will have taken too long.
    pub(super) fn deadline(&self) -> Duration {
        self.running.iter().map(|running| running.since + LIMIT).min().unwrap_or(Duration::MAX)
    }

    fn remember(&mut self, answer: ToolAnswer) {
        if self.answered.len() == REMEMBERED {
            self.answered.pop_front();
        }
        self.answered.push_back(answer);
    }
}
