//! The screens of one session: what each is told waits in a queue of its own, so that one that does not read holds up
//! nobody.
//!
//! Here is the session's end of them; [`Screen`](super::Screen) is the other one.

use crate::table::protocol::ServerMessage;
use std::sync::{Arc, OnceLock};
use tokio::sync::mpsc;

/// Messages that may wait for one screen.
const QUEUE: usize = 256;
/// Screens of one member; the oldest goes when there is one more. A phone that lost its connection comes back by a new
/// one long before the old one is known to be dead.
const OF_ONE_MEMBER: usize = 4;

/// Why a screen is told nothing more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closing {
    /// The session is over.
    Over,
    /// The server stops.
    GoingAway,
    /// It does not keep up, or its member has opened too many others: it may come back and starts afresh.
    Dropped,
    /// It goes on asking for more than it may.
    Flooding,
}

/// A message as it is sent: rendered once, however many screens read it.
pub(super) type Told = Arc<str>;

/// The queue's reading end.
pub(super) struct Queue {
    pub(super) told: mpsc::Receiver<Told>,
    /// Set before the queue ends.
    pub(super) closing: Arc<OnceLock<Closing>>,
}

struct Seat {
    id: u64,
    member: String,
    to: mpsc::Sender<Told>,
    closing: Arc<OnceLock<Closing>>,
}

impl Seat {
    fn close(self, why: Closing) {
        // Nobody else sets it; whoever did would have taken the seat with it.
        let _ = self.closing.set(why);
    }
}

/// The screens that are connected.
#[derive(Default)]
pub(super) struct Screens {
    seats: Vec<Seat>,
    next: u64,
}

impl Screens {
    /// One more screen of a member, and those that had to go for it.
    pub(super) fn open(&mut self, member: &str) -> (u64, Queue, usize) {
        let (to, told) = mpsc::channel(QUEUE);
        let (closing, id) = (Arc::new(OnceLock::new()), self.next);
        self.next += 1;
        let mut gone = 0;
        while self.seats.iter().filter(|seat| seat.member == member).count() >= OF_ONE_MEMBER {
            let Some(oldest) = self.seats.iter().position(|seat| seat.member == member) else { break };
            self.seats.remove(oldest).close(Closing::Dropped);
            gone += 1;
        }
        self.seats.push(Seat { id, member: member.to_owned(), to, closing: Arc::clone(&closing) });
        (id, Queue { told, closing }, gone)
    }

    /// The member whose screen it was; none: it is gone already.
    pub(super) fn leave(&mut self, id: u64) -> Option<String> {
        let at = self.seats.iter().position(|seat| seat.id == id)?;
        Some(self.seats.remove(at).member)
    }

    /// Whose screen it is.
    pub(super) fn member_of(&self, id: u64) -> Option<&str> {
        self.seats.iter().find(|seat| seat.id == id).map(|seat| seat.member.as_str())
    }

    /// Tells one screen. Members whose screens are lost by this are answered.
    #[must_use]
    pub(super) fn tell_one(&mut self, id: u64, message: &ServerMessage) -> Vec<String> {
        self.tell(message, |seat| seat.id == id)
    }

    /// Tells every screen of one member.
    #[must_use]
    pub(super) fn tell_member(&mut self, member: &str, message: &ServerMessage) -> Vec<String> {
        self.tell(message, |seat| seat.member == member)
    }

    /// Tells every screen.
    #[must_use]
    pub(super) fn tell_all(&mut self, message: &ServerMessage) -> Vec<String> {
        self.tell(message, |_| true)
    }

    fn tell(&mut self, message: &ServerMessage, whom: impl Fn(&Seat) -> bool) -> Vec<String> {
        if !self.seats.iter().any(&whom) {
            return Vec::new();
        }
        let Some(told) = render(message) else { return Vec::new() };
        let mut lost = Vec::new();
        let mut at = 0;
        while let Some(seat) = self.seats.get(at) {
            if whom(seat) && seat.to.try_send(Arc::clone(&told)).is_err() {
                let seat = self.seats.remove(at);
                lost.push(seat.member.clone());
                seat.close(Closing::Dropped);
            } else {
                at += 1;
            }
        }
        lost
    }

    /// Ends all of them, after they have read what waits for them.
    pub(super) fn close(&mut self, why: Closing) {
        self.seats.drain(..).for_each(|seat| seat.close(why));
    }
}

/// As it is sent; none, which cannot be: it has no JSON.
pub(super) fn render(message: &ServerMessage) -> Option<Told> {
    serde_json::to_string(message)
        .inspect_err(|error| tracing::error!("a table's message cannot be written as JSON: {error}"))
        .ok()
        .map(Arc::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_screen_that_does_not_read_is_dropped_and_holds_up_nobody() {
        let mut screens = Screens::default();
        let (_, mut slow, _) = screens.open("m1");
        let (_, mut quick, _) = screens.open("m2");
        for _ in 0..QUEUE {
            assert_eq!(screens.tell_all(&ServerMessage::Pong), [""; 0]);
            assert_eq!(quick.told.recv().await.as_deref(), Some(r#"{"type":"pong"}"#));
        }
        assert_eq!(screens.tell_all(&ServerMessage::Pong), ["m1"]);
        assert_eq!(slow.closing.get(), Some(&Closing::Dropped));
        let read = std::iter::from_fn(|| slow.told.try_recv().ok()).count();
        assert_eq!(read, QUEUE, "what was queued can still be read");
        assert_eq!(slow.told.recv().await, None);
        assert!(quick.told.recv().await.is_some() && quick.closing.get().is_none());
    }

    #[test]
    fn a_member_has_four_screens_and_the_oldest_goes() {
        let mut screens = Screens::default();
        let other = screens.open("m2");
        let first = screens.open("m1");
        for _ in 1..OF_ONE_MEMBER {
            assert_eq!(screens.open("m1").2, 0);
        }
        assert_eq!(screens.open("m1").2, 1);
        assert_eq!(first.1.closing.get(), Some(&Closing::Dropped));
        assert_eq!((screens.leave(first.0), screens.leave(other.0)), (None, Some("m2".to_owned())));
        screens.close(Closing::Over);
        assert_eq!(screens.seats.len(), 0);
    }
}
