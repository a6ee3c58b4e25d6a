//! What the caller's line sounds like, and the words on it that the agent has not understood yet.
//!
//! Loudness only: who speaks and what is said is the agent's to find out. Two things rest on it: that a line which never
//! pauses is no conversation, and that words which an agent took with it when it was lost can be given to the next.

use std::collections::VecDeque;
use std::time::Duration;

/// µ-law bytes a second.
const BYTES_A_SECOND: usize = 8_000;
/// Kept while the agent listens and has noticed that the caller speaks. It is forgotten once understood.
const MOST_UTTERANCE: usize = 4 * BYTES_A_SECOND;
/// Kept of a sound that the agent has not noticed: speech that it will notice in a moment, or noise.
const MOST_UNNOTICED: usize = BYTES_A_SECOND / 2;
/// Kept while there is no agent.
const MOST_AWAY: usize = 10 * BYTES_A_SECOND;
/// Every so manieth byte is looked at.
const STRIDE: usize = 8;
/// The magnitude of a µ-law code (0 to 127, G.711) from which a sample is loud: 231 of 32,767 and more.
const LOUD: u8 = 0x30;
/// A line that was not loud for so long has paused: longer than people pause while they speak or music does.
pub(super) const PAUSE: Duration = Duration::from_secs(4);
/// A noise that the agent has made nothing of is forgotten so long after it.
const FORGET: Duration = Duration::from_secs(6);

/// What the caller said that no agent has understood.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Kept {
    /// µ-law.
    pub(super) words: Vec<u8>,
    /// An agent had noticed that they were spoken.
    pub(super) noticed: bool,
    /// How much was too much to be kept.
    pub(super) dropped: Duration,
}

/// The caller's side of the line.
#[derive(Debug, Default)]
pub(super) struct Ears {
    /// When it was last loud.
    loud_at: Option<Duration>,
    /// Since when it is loud without a pause.
    sounding_since: Duration,
    kept: VecDeque<u8>,
    /// The agent has noticed what is kept, and not understood it yet.
    noticed: bool,
    /// Kept audio that was dropped because it was too much, in bytes, while there was no agent.
    dropped: usize,
}

impl Ears {
    /// Takes caller audio; `agent`: whether there is one that hears it too.
    pub(super) fn listen(&mut self, now: Duration, mulaw: &[u8], agent: bool) {
        let looked = mulaw.iter().step_by(STRIDE);
        let loud = looked.clone().filter(|code| !**code & 0x7f >= LOUD).count();
        let is_loud = loud * 4 >= looked.len() && loud > 0;
        if is_loud {
            if self.loud_at.is_none_or(|at| now.saturating_sub(at) >= PAUSE) {
                self.sounding_since = now;
            }
            self.loud_at = Some(now);
        }
        if agent {
            if self.loud_at.is_some_and(|at| now.saturating_sub(at) < FORGET) {
                self.keep(mulaw, if self.noticed { MOST_UTTERANCE } else { MOST_UNNOTICED });
            } else if !self.kept.is_empty() {
                self.understood();
            }
        } else {
            let dropped = self.keep(mulaw, MOST_AWAY);
            self.dropped += dropped;
        }
    }

    /// The agent has noticed that the caller speaks.
    pub(super) fn noticed(&mut self) {
        self.noticed = true;
    }

    /// The agent has understood what was said so far.
    pub(super) fn understood(&mut self) {
        self.noticed = false;
        self.kept = VecDeque::new();
    }

    /// What the next agent has to hear.
    pub(super) fn take(&mut self) -> Kept {
        let dropped = Duration::from_millis((std::mem::take(&mut self.dropped) / (BYTES_A_SECOND / 1000)) as u64);
        let noticed = std::mem::take(&mut self.noticed);
        Kept { words: Vec::from(std::mem::take(&mut self.kept)), noticed, dropped }
    }

    /// Since when the line sounds without a pause; none when it has paused.
    pub(super) fn sounding_since(&self, now: Duration) -> Option<Duration> {
        self.loud_at.filter(|at| now.saturating_sub(*at) < PAUSE).map(|_| self.sounding_since)
    }

    /// Whether the line was loud a moment ago.
    pub(super) fn is_loud(&self, now: Duration) -> bool {
        self.loud_at.is_some_and(|at| now.saturating_sub(at) < Duration::from_secs(1))
    }

    fn keep(&mut self, mulaw: &[u8], most: usize) -> usize {
        if self.kept.capacity() == 0 {
            // Most of what is ever kept is this: not twice as much for growth.
            self.kept.reserve_exact(MOST_UNNOTICED + mulaw.len());
        }
        self.kept.extend(mulaw);
        let surplus = self.kept.len().saturating_sub(most);
        self.kept.drain(..surplus);
        surplus
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::mulaw;

    const FRAME: Duration = Duration::from_millis(20);

    /// Listens for so long to one level; the time afterwards.
    fn hear(ears: &mut Ears, from: Duration, time: Duration, level: i16, agent: bool) -> Duration {
        let frame = [mulaw::encode(level); 160];
        let mut now = from;
        while now < from + time {
            ears.listen(now, &frame, agent);
            now += FRAME;
        }
        now
    }

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn words_are_kept_until_they_are_understood_or_were_none() {
        let mut ears = Ears::default();
        let now = hear(&mut ears, s(0), s(3), 0, true);
        assert!(ears.kept.is_empty(), "silence");
        let now = hear(&mut ears, now, Duration::from_millis(400), 3_000, true);
        assert_eq!(ears.kept.len(), 3_200);
        ears.understood();
        assert_eq!(ears.kept.capacity(), 0, "a call at rest keeps nothing");
        let now = hear(&mut ears, now, s(9), -3_000, true);
        assert_eq!(ears.kept.len(), MOST_UNNOTICED);
        ears.noticed();
        let now = hear(&mut ears, now, s(9), -3_000, true);
        assert_eq!(ears.kept.len(), MOST_UTTERANCE);
        hear(&mut ears, now, s(7), 30, true);
        assert!(ears.kept.is_empty(), "nothing came of it");
    }

    #[test]
    fn while_there_is_no_agent_the_newest_of_everything_is_kept() {
        let mut ears = Ears::default();
        ears.noticed();
        let now = hear(&mut ears, s(0), s(1), 3_000, true);
        let now = hear(&mut ears, now, s(2), 0, false);
        assert_eq!(ears.kept.len(), 3 * BYTES_A_SECOND, "what was said before it was lost, too");
        hear(&mut ears, now, s(20), 0, false);
        let kept = ears.take();
        assert_eq!((kept.words.len(), kept.dropped), (MOST_AWAY, s(13)));
        assert_eq!(ears.take(), Kept { words: Vec::new(), noticed: false, dropped: s(0) });
    }

    #[test]
    fn a_line_sounds_until_it_pauses() {
        let mut ears = Ears::default();
        assert_eq!(ears.sounding_since(s(0)), None);
        let mut now = s(10);
        for _ in 0..10 {
            now = hear(&mut ears, now, s(2), 2_000, true);
            now = hear(&mut ears, now, PAUSE - FRAME * 2, 10, true);
        }
        assert_eq!(ears.sounding_since(now), Some(s(10)), "music has pauses");
        assert!(!ears.is_loud(now));
        now = hear(&mut ears, now, FRAME * 3, 10, true);
        assert_eq!(ears.sounding_since(now), None);
        hear(&mut ears, now, FRAME, 2_000, true);
        assert_eq!(ears.sounding_since(now), Some(now));
    }
}
