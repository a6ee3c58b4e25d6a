//! What becomes of a call's moments: figures of the server, and the call's own record.
//!
//! Called in the middle of a call's sound, so nothing here waits; sound itself, which comes once a second, takes neither a
//! lock nor memory. The record is bounded and says when it was cut.

mod timeline;

use crate::bridge::driver::{Scribe, Witness};
use crate::bridge::moment::Loss;
use crate::bridge::{EndReason, Moment, Speaker, Summary};
use crate::config::CallRecords;
use crate::logbook::{CallRecord, Entry, Head, Logbook, Said};
use crate::metrics::{Heard, Metrics};
use jiff::Timestamp;
use std::cell::Cell;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use timeline::Timeline;
use tokio::time::Instant;

/// Lines of what was said.
const MOST: usize = 500;
/// Characters of one line.
const LONGEST: usize = 500;
/// Bytes of all lines together: some databases take no more than 400 KB of one thing.
const MOST_TEXT: usize = 128 << 10;

/// Where calls are noted.
#[derive(Clone)]
pub struct Notes {
    /// The figures of the server.
    pub metrics: Metrics,
    /// The records of calls.
    pub logbook: Logbook,
}

/// One call, as it is written down.
pub(super) struct Recorder {
    metrics: Metrics,
    /// None: nothing is kept of calls.
    draft: Option<Arc<Mutex<Draft>>>,
    transcribed: bool,
    began_at: Timestamp,
    began: Instant,
}

#[derive(Default)]
struct Draft {
    timeline: Timeline,
    transcript: Vec<Said>,
    /// Bytes of its texts.
    text: usize,
    transcript_cut: bool,
}

impl Recorder {
    /// A call that begins now.
    pub(super) fn new(metrics: Metrics, records: CallRecords, began_at: Timestamp) -> Self {
        metrics.call_started();
        let draft = (records != CallRecords::Nothing).then(Arc::default);
        Self { metrics, draft, transcribed: records == CallRecords::Transcript, began_at, began: Instant::now() }
    }

    /// Who is told of the call's moments.
    pub(super) fn witness(&self) -> Witness {
        let (metrics, draft) = (self.metrics.clone(), self.draft.clone());
        let was_live = Cell::new(false);
        Box::new(move |at, moment| {
            if matches!(moment, Moment::AgentLive { .. }) {
                was_live.set(true);
            }
            count(&metrics, moment, was_live.get());
            if let (Some(draft), Some(entry)) = (&draft, entry(&metrics, at, moment)) {
                lock(draft).timeline.note(entry);
            }
        })
    }

    /// Who writes down what is said, beside `other`; none: nobody may read it, now or later.
    pub(super) fn scribe(&self, other: Option<Scribe>) -> Option<Scribe> {
        let Some(draft) = self.draft.clone().filter(|_| self.transcribed) else { return other };
        let began = self.began;
        Some(Box::new(move |who, text| {
            lock(&draft).said(began.elapsed(), who, &text);
            if let Some(other) = &other {
                other(who, text);
            }
        }))
    }

    /// The call has ended: its record, where one is kept.
    pub(super) fn end(self, call_sid: &str, reason: EndReason, summary: &Summary) -> Option<CallRecord> {
        self.metrics.call_ended(reason.as_str(), summary.duration);
        let draft = mem::take(&mut *lock(self.draft.as_ref()?));
        let head = Head {
            call_sid: call_sid.to_owned(),
            began_at: self.began_at,
            duration_ms: whole_ms(summary.duration),
            end_reason: reason.as_str().to_owned(),
            replies: summary.replies,
            barge_ins: summary.barge_ins,
            tools: summary.tool_calls,
            slow_tools: summary.slow_tools,
            redials: summary.redials,
            order_number: summary.order_number.clone(),
            has_transcript: self.transcribed,
        };
        let (timeline, timeline_cut) = draft.timeline.written_out();
        Some(CallRecord {
            head,
            timeline,
            timeline_cut,
            transcript: self.transcribed.then_some(draft.transcript),
            transcript_cut: draft.transcript_cut,
        })
    }
}

impl Draft {
    fn said(&mut self, at: Duration, who: Speaker, text: &str) {
        let end = text.char_indices().nth(LONGEST).map_or(text.len(), |(end, _)| end);
        let kept = text.get(..end).unwrap_or_default();
        self.transcript_cut |= kept.len() < text.len();
        if self.transcript.len() >= MOST || self.text + kept.len() > MOST_TEXT {
            self.transcript_cut = true;
            return;
        }
        self.text += kept.len();
        self.transcript.push(Said { at_ms: whole_ms(at), who: who.as_str().to_owned(), text: kept.to_owned() });
    }
}

/// `was_live`: there has been an agent in this call.
fn count(metrics: &Metrics, moment: &Moment, was_live: bool) {
    match moment {
        Moment::AgentDialled { attempt } if *attempt > 0 || was_live => metrics.agent_redialled(),
        Moment::AgentLive { after, resumed } => metrics.agent_live(*after, *resumed),
        Moment::AgentLost(loss) => metrics.agent_lost(loss.as_str()),
        Moment::ReplyBegan => metrics.reply_began(),
        Moment::ReplyHeard => metrics.reply_heard(),
        Moment::BargeIn { unheard } => metrics.barge_in(*unheard),
        Moment::TurnLatency { total } => metrics.turn(*total),
        Moment::ToolDone { tool, took, outcome } => metrics.tool_done(tool, outcome, *took),
        Moment::ToolCancelled { tool } => metrics.tool_cancelled(tool),
        Moment::ToolSlow { tool } => metrics.tool_slow(tool),
        Moment::Sound(sound) => metrics.sound(&Heard {
            frames_in: sound.frames_in,
            frames_out: sound.frames_out,
            dropped: sound.dropped,
            buffered: sound.buffered,
            held: sound.held,
        }),
        Moment::AgentDialled { .. }
        | Moment::ToolBegan { .. }
        | Moment::OrderPlaced { .. }
        | Moment::NumberAgain
        | Moment::Keys { .. }
        | Moment::Asked
        | Moment::Goodbye(_) => {}
    }
}

/// What a timeline tells of it; none: nothing.
fn entry(metrics: &Metrics, at: Duration, moment: &Moment) -> Option<Entry> {
    let what = |name: &'static str| Entry { at_ms: whole_ms(at), what: name.into(), ..Entry::default() };
    let of_tool = |name, tool: &str| Entry { tool: Some(metrics.tool(tool).into()), ..what(name) };
    Some(match moment {
        Moment::AgentDialled { .. } => what("agent_dialled"),
        Moment::AgentLive { after, resumed } => {
            let name = if *resumed { "agent_resumed" } else { "agent_live" };
            Entry { took_ms: Some(whole_ms(*after)), ..what(name) }
        }
        Moment::AgentLost(Loss::Renewed) => what("agent_renewed"),
        Moment::AgentLost(loss) => Entry { reason: Some(loss.as_str().into()), ..what("agent_lost") },
        Moment::ReplyBegan => what("reply_began"),
        Moment::ReplyHeard => what("reply_heard"),
        Moment::BargeIn { unheard } => Entry { took_ms: Some(whole_ms(*unheard)), ..what("barge_in") },
        Moment::TurnLatency { total } => Entry { took_ms: Some(whole_ms(*total)), ..what("turn") },
        Moment::ToolBegan { tool } => of_tool("tool_began", tool),
        Moment::ToolDone { tool, took, outcome } => {
            Entry { outcome: Some((*outcome).into()), took_ms: Some(whole_ms(*took)), ..of_tool("tool_done", tool) }
        }
        Moment::ToolCancelled { tool } => of_tool("tool_cancelled", tool),
        Moment::ToolSlow { tool } => of_tool("tool_slow", tool),
        Moment::OrderPlaced { order_number } => {
            Entry { order_number: Some(order_number.clone()), ..what("order_placed") }
        }
        Moment::NumberAgain => what("number_again"),
        Moment::Keys { count } => Entry { count: Some(*count as u64), ..what("keys") },
        Moment::Asked => what("asked"),
        Moment::Goodbye(reason) => Entry { reason: Some(reason.as_str().into()), ..what("goodbye") },
        Moment::Sound(_) => return None,
    })
}

/// All names that a timeline's entries have.
pub const ENTRIES: [&str; 18] = [
    "agent_dialled",
    "agent_live",
    "agent_resumed",
    "agent_lost",
    "agent_renewed",
    "reply_began",
    "reply_heard",
    "barge_in",
    "turn",
    "tool_began",
    "tool_done",
    "tool_cancelled",
    "tool_slow",
    "order_placed",
    "number_again",
    "keys",
    "asked",
    "goodbye",
];

fn whole_ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn lock(draft: &Mutex<Draft>) -> MutexGuard<'_, Draft> {
    draft.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
