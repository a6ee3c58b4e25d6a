//! The buffer from which Twilio plays what we send, pure and without a clock: whoever owns it says how much time has
//! passed.

use std::collections::VecDeque;

/// Queued audio, and the marks between it.
#[derive(Debug, Default)]
pub(super) struct Player {
    queue: Vec<u8>,
    /// How much at the front of `queue` has been played.
    head: usize,
    /// Bytes that ever left the queue, played or flushed; marks are placed on this scale.
    gone: u64,
    marks: VecDeque<(u64, String)>,
}

impl Player {
    /// Where to append audio. It is played after everything queued before.
    pub(super) fn queue(&mut self) -> &mut Vec<u8> {
        // What was played is dropped when the queue runs empty, or when it is most of what is kept.
        if self.head == self.queue.len() || self.head > 64 * 1024 {
            self.queue.drain(..self.head);
            self.head = 0;
        }
        &mut self.queue
    }

    /// Plays up to `bytes` and returns what the caller hears of it, which is less when the queue runs empty.
    pub(super) fn play(&mut self, bytes: usize) -> &[u8] {
        let from = self.head;
        self.head = self.queue.len().min(from + bytes);
        self.gone += (self.head - from) as u64;
        &self.queue[from..self.head]
    }

    /// Places a mark behind everything queued.
    pub(super) fn mark(&mut self, name: String) {
        let place = self.gone + (self.queue.len() - self.head) as u64;
        self.marks.push_back((place, name));
    }

    /// The next mark that has been reached, to be echoed.
    pub(super) fn reached(&mut self) -> Option<String> {
        match self.marks.front() {
            Some((place, _)) if *place <= self.gone => self.marks.pop_front().map(|(_, name)| name),
            _ => None,
        }
    }

    /// Drops everything queued; every mark is thereby reached.
    pub(super) fn clear(&mut self) {
        self.gone += (self.queue.len() - self.head) as u64;
        self.queue.clear();
        self.head = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_mark_is_reached_when_the_audio_before_it_was_played() {
        let mut player = Player::default();
        player.queue().extend([1; 200]);
        player.mark("half".into());
        player.queue().extend([2; 100]);
        player.mark("end".into());
        assert_eq!(player.reached(), None);
        assert_eq!(player.play(160), [1; 160]);
        assert_eq!(player.reached(), None);
        assert_eq!(player.play(160).len(), 140);
        assert_eq!((player.reached().as_deref(), player.reached().as_deref()), (Some("half"), Some("end")));
        assert_eq!(player.reached(), None);
        assert!(player.play(160).is_empty());
        player.mark("nothing to wait for".into());
        assert!(player.reached().is_some());
    }

    #[test]
    fn clear_drops_the_audio_and_reaches_every_mark() {
        let mut player = Player::default();
        player.queue().extend([1; 500]);
        player.mark("a".into());
        player.play(160);
        player.clear();
        assert_eq!(player.reached().as_deref(), Some("a"));
        assert!(player.play(160).is_empty());
        player.queue().extend([2; 10]);
        player.mark("b".into());
        assert_eq!(player.reached(), None);
        assert_eq!(player.play(160), [2; 10]);
        assert_eq!(player.reached().as_deref(), Some("b"));
        player.clear();
        assert_eq!(player.reached(), None);
    }

    proptest! {
        #[test]
        fn everything_is_played_once_and_in_order(pieces in prop::collection::vec((0..9000_usize, 0..400_usize), 0..60)) {
            let mut player = Player::default();
            let (mut sent, mut heard) = (Vec::new(), Vec::new());
            for (size, play) in pieces {
                let piece: Vec<u8> = (0..size).map(|at| (sent.len() + at) as u8).collect();
                player.queue().extend(&piece);
                sent.extend(piece);
                heard.extend_from_slice(player.play(play));
            }
            heard.extend_from_slice(player.play(usize::MAX / 2));
            prop_assert_eq!(heard, sent);
        }
    }
}
