//! What one call amounted to: counted by the session, told once at its end.

use std::time::Duration;

/// The counts of one call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// From the stream's start to its end.
    pub duration: Duration,
    /// Media messages from the caller.
    pub frames_in: u64,
    /// Media messages to the caller.
    pub frames_out: u64,
    /// Caller audio dropped while there was no agent, in milliseconds.
    pub dropped_early_ms: u64,
    /// How often the agent was dialled once more.
    pub redials: u32,
    /// Replies that the agent began.
    pub replies: u32,
    /// How often the caller spoke into a reply.
    pub barge_ins: u32,
    /// Tool calls that were run.
    pub tool_calls: u32,
    /// Tool calls that were answered `STILL_WORKING`.
    pub slow_tools: u32,
    /// Messages on either leg that could not be understood.
    pub bad_messages: u32,
    /// The order number that checkout gave last.
    pub order_number: Option<String>,
}
