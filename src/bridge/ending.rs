//! The end that the agent asked for: when may the line be closed?
//!
//! A goodbye must be heard, not merely sent, and none may be lost that is still being thought of.

use super::end_reason::EndReason;
use super::reply::Replies;
use std::time::Duration;

/// How long a goodbye that was announced, but not begun, is waited for.
const GOODBYE_GRACE: Duration = Duration::from_secs(3);

/// Why there is a goodbye, and with it what happens afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The conversation is over.
    HangUp,
    /// The caller is put through.
    Transfer,
    /// Nobody speaks.
    Idle,
    /// The line sounds without end, and nobody converses.
    Noise,
    /// The call has lasted long enough.
    Late,
}

impl Purpose {
    /// Whether a caller who speaks calls it off.
    pub(super) fn can_be_called_off(self) -> bool {
        matches!(self, Self::HangUp | Self::Transfer | Self::Idle)
    }
}

impl From<Purpose> for EndReason {
    fn from(purpose: Purpose) -> Self {
        match purpose {
            Purpose::HangUp => EndReason::Goodbye,
            Purpose::Transfer => EndReason::Transfer,
            Purpose::Idle => EndReason::CallerIdle,
            Purpose::Noise => EndReason::NoConversation,
            Purpose::Late => EndReason::MaxDuration,
        }
    }
}

/// A goodbye in progress.
#[derive(Debug)]
pub(super) struct Ending {
    pub(super) purpose: Purpose,
    since: Duration,
    /// The latest reply when the ending was asked for: a later one is the goodbye.
    generation: u32,
    /// The goodbye is in the reply that was being spoken.
    in_progress: bool,
    /// The tool call that asked for it.
    request: Option<String>,
}

impl Ending {
    /// `end_call` or a transfer: the goodbye may be in the current reply, or come after the tool's answer.
    pub(super) fn asked(now: Duration, purpose: Purpose, replies: &Replies) -> Self {
        Self { purpose, since: now, generation: replies.generation(), in_progress: false, request: None }
    }

    /// Names the tool call that asked for it, so that its cancellation calls it off.
    pub(super) fn by(self, request: &str) -> Self {
        Self { request: Some(request.to_owned()), ..self }
    }

    pub(super) fn is_by(&self, request: &str) -> bool {
        self.request.as_deref() == Some(request)
    }

    /// The closing phrase stood in the agent's text: it is in the reply being spoken, or in the next one.
    pub(super) fn phrase(now: Duration, replies: &Replies) -> Self {
        Self { in_progress: replies.is_speaking(), ..Self::asked(now, Purpose::HangUp, replies) }
    }

    /// Something is said after all that was to be the last: the next reply is waited for.
    pub(super) fn wait_for_another(&mut self, now: Duration, replies: &Replies) {
        // One that begins while this one is still being spoken comes after it.
        (self.since, self.generation, self.in_progress) = (now, replies.generation(), false);
    }

    /// Whether all of the goodbye is on the phone side: nothing of it is still to come from the agent.
    pub(super) fn is_sent(&self, replies: &Replies) -> bool {
        (self.in_progress || replies.generation() > self.generation) && !replies.is_speaking()
    }

    /// A second sign of the same end.
    pub(super) fn join(&mut self, other: Self) {
        self.in_progress |= other.in_progress;
    }

    /// When the line may be closed, as things stand: the line quiet, the goodbye spoken or waited for, then `silence`.
    pub(super) fn due(&self, replies: &Replies, silence: Duration) -> Duration {
        let spoken = self.in_progress || replies.generation() > self.generation;
        let waited_for = if spoken { self.since } else { self.since + GOODBYE_GRACE };
        replies.quiet_at().max(waited_for) + silence
    }
}
