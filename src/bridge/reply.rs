//! What the agent is saying, and how much of it the caller has heard.
//!
//! *Sent* is not *heard*: the phone side buffers what we send and plays it in real time. One mark a reply comes back
//! when it was played, except that a `clear` sends all of them back at once; so what was marked before a clear counts as
//! flushed, never as heard.

use std::time::Duration;

/// µ-law bytes a millisecond at 8 kHz.
const BYTES_PER_MS: u64 = 8;
/// Audio after so long without any belongs to a new reply, even if nothing else told the end of the interrupted one.
pub(super) const NEW_REPLY_GAP: Duration = Duration::from_millis(300);
/// How long a mark may come late before the bytes that were sent decide.
pub(super) const MARK_SLACK: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Idle,
    Speaking,
    /// The caller spoke into it: what still comes of it is dropped.
    Interrupted,
}

/// What the caller did not hear of a reply that they spoke into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Interruption {
    /// Of what was sent.
    pub(super) unheard: Duration,
    /// Which part of what was sent was heard, from 0 to 1 000.
    pub(super) heard_permille: u32,
    /// More of it was still to come.
    pub(super) open: bool,
}

impl Interruption {
    /// Whether more than `slack` of the reply was not heard, as far as anybody knows.
    pub(super) fn lost_more_than(&self, slack: Duration) -> bool {
        self.open || self.unheard > slack
    }
}

/// The agent's replies, numbered by generation.
#[derive(Debug)]
pub(super) struct Replies {
    state: State,
    generation: u32,
    last_audio: Duration,
    /// When everything sent so far will have been played.
    busy_until: Duration,
    /// How long what was sent of the latest reply lasts.
    length: Duration,
    marked: u32,
    flushed: u32,
    heard: u32,
    heard_at: Duration,
    /// Whether a partial frame may wait in the framer.
    unpadded: bool,
}

impl Replies {
    pub(super) fn new() -> Self {
        Self {
            state: State::Idle,
            generation: 0,
            last_audio: Duration::ZERO,
            busy_until: Duration::ZERO,
            length: Duration::ZERO,
            marked: 0,
            flushed: 0,
            heard: 0,
            heard_at: Duration::ZERO,
            unpadded: false,
        }
    }

    /// Audio has come. False: it belongs to a reply that the caller interrupted and must be dropped.
    pub(super) fn accept_audio(&mut self, now: Duration) -> bool {
        let gap = now.saturating_sub(self.last_audio);
        self.last_audio = now;
        match self.state {
            State::Speaking => {}
            State::Interrupted if gap < NEW_REPLY_GAP => return false,
            State::Idle | State::Interrupted => self.begin(),
        }
        self.unpadded = true;
        true
    }

    /// `AgentStartedSpeaking`: the next audio is a new reply. True if one was still open and must be finished first.
    pub(super) fn announced(&mut self) -> bool {
        let open = self.state == State::Speaking && self.unpadded;
        self.begin();
        open
    }

    /// `AgentAudioDone`. True if this reply was being sent and must now be padded and marked.
    pub(super) fn audio_done(&mut self) -> bool {
        let was_speaking = self.state == State::Speaking;
        self.state = State::Idle;
        self.unpadded = false;
        was_speaking
    }

    /// The caller speaks: what was sent is flushed, what comes of this reply is dropped. None: all of it was heard.
    pub(super) fn interrupt(&mut self, now: Duration) -> Option<Interruption> {
        let unheard = self.buffered(now).min(self.length);
        // One whose end was never told has ended all the same once it was played.
        let coming = !unheard.is_zero() || now.saturating_sub(self.last_audio) < NEW_REPLY_GAP;
        let open = self.state == State::Speaking && coming;
        let heard = self.length.saturating_sub(unheard);
        let heard_permille = (heard.as_millis() * 1000 / self.length.as_millis().max(1)) as u32;
        let interrupted = (open || !unheard.is_zero()).then_some(Interruption { unheard, heard_permille, open });
        if self.state == State::Speaking {
            self.state = State::Interrupted;
            // The gap is counted from here: a late chunk may come after a pause in the stream before the interruption.
            self.last_audio = now;
        }
        self.unpadded = false;
        self.flushed = self.marked;
        self.busy_until = now;
        self.heard_at = now;
        interrupted
    }

    /// What the phone side has been sent and has not played.
    pub(super) fn buffered(&self, now: Duration) -> Duration {
        self.busy_until.saturating_sub(now)
    }

    /// `bytes` of µ-law went to the phone leg.
    pub(super) fn sent(&mut self, now: Duration, bytes: usize) {
        let length = Duration::from_millis(bytes as u64 / BYTES_PER_MS);
        self.busy_until = self.busy_until.max(now) + length;
        self.length += length;
    }

    /// The generation to mark, when its audio is complete.
    pub(super) fn mark(&mut self) -> u32 {
        self.marked = self.generation;
        self.generation
    }

    /// A mark came back. True if the reply was heard to its end.
    pub(super) fn mark_returned(&mut self, now: Duration, generation: u32) -> bool {
        if generation <= self.flushed || generation > self.marked || generation <= self.heard {
            return false;
        }
        self.heard = generation;
        self.heard_at = now;
        if generation == self.generation && self.state != State::Speaking {
            // All of it was played, sooner than the bytes say perhaps: the far end's clock is the one that counts.
            self.busy_until = self.busy_until.min(now);
        }
        true
    }

    /// The generation of the latest reply; 0 before the first.
    pub(super) fn generation(&self) -> u32 {
        self.generation
    }

    pub(super) fn is_speaking(&self) -> bool {
        self.state == State::Speaking
    }

    /// When the line is quiet, all being played: the last mark's return, or the time that the sent bytes take.
    pub(super) fn quiet_at(&self) -> Duration {
        let unheard = self.marked > self.heard.max(self.flushed);
        if self.state == State::Speaking || unheard { self.busy_until + MARK_SLACK } else { self.heard_at }
    }

    /// When a partial frame must be padded and sent although no `AgentAudioDone` came: the stream has paused and the
    /// line is about to run dry, so padding can no longer put a hole into flowing speech.
    pub(super) fn pad_at(&self) -> Option<Duration> {
        self.unpadded.then(|| (self.last_audio + NEW_REPLY_GAP).max(self.busy_until))
    }

    pub(super) fn padded(&mut self) {
        self.unpadded = false;
    }

    fn begin(&mut self) {
        self.state = State::Speaking;
        self.generation += 1;
        self.length = Duration::ZERO;
    }
}

/// The mark's name on the wire.
pub(super) fn mark_name(generation: u32) -> String {
    format!("reply-{generation}")
}

/// The generation in a mark's name; none for a name that is not ours.
pub(super) fn mark_generation(name: &str) -> Option<u32> {
    name.strip_prefix("reply-")?.parse().ok()
}
