//! The record of one call, as it is stored and as staff read it.

use super::{State, StoreError};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::borrow::Cow;

/// All that is kept of a call. What a record was written without, by an earlier version, is read as nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CallRecord {
    /// What a list shows of it.
    #[serde(flatten)]
    pub head: Head,
    /// What happened, in its sequence.
    #[serde(default)]
    pub timeline: Vec<Entry>,
    /// Whether more happened than is kept.
    #[serde(default)]
    pub timeline_cut: bool,
    /// What was said, in its sequence; none: it was not to be kept.
    #[serde(default)]
    pub transcript: Option<Vec<Said>>,
    /// Whether more was said than is kept.
    #[serde(default)]
    pub transcript_cut: bool,
}

/// A call in short.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Head {
    /// Twilio's name of the call.
    pub call_sid: String,
    /// When its stream began.
    pub began_at: Timestamp,
    /// From the stream's start to its end.
    #[serde(default)]
    pub duration_ms: u64,
    /// How it ended.
    #[serde(default)]
    pub end_reason: String,
    /// Replies that the agent began.
    #[serde(default)]
    pub replies: u32,
    /// How often the caller spoke into a reply.
    #[serde(default)]
    pub barge_ins: u32,
    /// Tools that were run.
    #[serde(default)]
    pub tools: u32,
    /// Tools that took too long.
    #[serde(default)]
    pub slow_tools: u32,
    /// Dials of the agent after the first.
    #[serde(default)]
    pub redials: u32,
    /// The order that was placed last.
    #[serde(default)]
    pub order_number: Option<String>,
    /// Whether what was said is kept.
    #[serde(default)]
    pub has_transcript: bool,
}

/// Something that happened. Names of this program are borrowed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Since the stream's start.
    pub at_ms: u64,
    /// Its name, such as `tool_done`.
    pub what: Cow<'static, str>,
    /// Which tool; one that does not exist is `unknown`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<Cow<'static, str>>,
    /// `ok`, or the code of the refusal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Cow<'static, str>>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Cow<'static, str>>,
    /// How long it took, or how much of a reply was not heard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took_ms: Option<u64>,
    /// How many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// Which order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_number: Option<String>,
}

/// Something that was said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Said {
    /// Since the stream's start, when it was known.
    pub at_ms: u64,
    /// `caller` or `agent`.
    pub who: String,
    /// What; its beginning, if it was long.
    pub text: String,
}

/// The whole record is one text within its state: a store that holds its states in memory needs a tenth of the room.
pub(super) fn to_value(record: &CallRecord) -> Result<Value, StoreError> {
    Ok(json!({"record": serde_json::to_string(record)?}))
}

pub(super) fn from_state(state: State) -> Option<CallRecord> {
    let record: CallRecord = serde_json::from_str(state.value.get("record")?.as_str()?).ok()?;
    (record.head.call_sid == state.key).then_some(record)
}

/// When the call began, also of a record that cannot be read otherwise.
pub(super) fn began_at(state: &State) -> Option<Timestamp> {
    let record: Value = serde_json::from_str(state.value.get("record")?.as_str()?).ok()?;
    record.get("began_at")?.as_str()?.parse().ok()
}
