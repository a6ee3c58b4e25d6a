//! The calls in progress, the tokens of calls about to start, and how calls that just ended are to go on.
//!
//! All three are keyed by what Twilio sends back to us, live for seconds to minutes, and are bounded.

mod transcript;

pub use transcript::{Line, Reader};

use crate::bridge::EndReason;
use crate::bridge::driver::Scribe;
use crate::events::{Event, EventLog};
use crate::order_service::Clock;
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use jiff::Timestamp;
use rand::Rng as _;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};
use subtle::ConstantTimeEq as _;
use tokio::sync::oneshot;
use transcript::Transcript;

/// From the TwiML to the stream's `start`: the greeting is said and the socket opened in between.
const TOKEN_LIFE: Duration = Duration::from_secs(60);
/// Tokens outstanding; strangers who may ask for calls cannot fill the memory.
const MOST_TOKENS: usize = 10_000;

/// The calls in progress. Cheap to clone.
#[derive(Clone)]
pub struct LiveCalls(Arc<LiveInner>);

struct LiveInner {
    calls: DashMap<String, Live>,
    events: EventLog,
    clock: Clock,
    /// Whether what is said is kept for whoever reads along.
    transcribed: bool,
}

struct Live {
    since: Timestamp,
    transcript: Option<Arc<Transcript>>,
}

impl LiveCalls {
    /// No calls. `transcribed`: whether staff may read along what is said in them.
    pub fn new(events: EventLog, clock: Clock, transcribed: bool) -> Self {
        Self(Arc::new(LiveInner { calls: DashMap::new(), events, clock, transcribed }))
    }

    /// How many calls are in progress.
    pub fn count(&self) -> usize {
        self.0.calls.len()
    }

    /// Each call by its CallSid with when it began, the longest first.
    pub fn list(&self) -> Vec<(String, Timestamp)> {
        let mut calls: Vec<_> = self.0.calls.iter().map(|call| (call.since, call.key().clone())).collect();
        calls.sort();
        calls.into_iter().map(|(since, call_sid)| (call_sid, since)).collect()
    }

    /// Reads along in a call, from after line `seen` or (0) from the oldest that is kept; none: it is not in progress, or
    /// nothing is kept of what is said.
    pub fn read_along(&self, call_sid: &str, seen: u64) -> Option<Reader> {
        let call = self.0.calls.get(call_sid)?;
        call.transcript.as_ref().map(|transcript| transcript.read(seen))
    }

    /// Whether a call is in progress.
    pub(super) fn contains(&self, call_sid: &str) -> bool {
        self.0.calls.contains_key(call_sid)
    }

    /// Enters a call, unless it is in progress already. It leaves, and `call_ended` is sent, when the guard goes.
    pub(super) fn enter(&self, call_sid: &str) -> Option<LiveGuard> {
        let transcript = match self.0.calls.entry(call_sid.to_owned()) {
            Entry::Occupied(_) => return None,
            Entry::Vacant(place) => {
                let transcript = self.0.transcribed.then(Arc::default);
                place.insert(Live { since: self.0.clock.now(), transcript: transcript.clone() });
                transcript
            }
        };
        self.0.events.publish(&Event::CallStarted { call_sid: call_sid.to_owned() });
        Some(LiveGuard { calls: self.clone(), call_sid: call_sid.to_owned(), transcript })
    }
}

/// One call's presence among the live ones.
pub(super) struct LiveGuard {
    calls: LiveCalls,
    call_sid: String,
    transcript: Option<Arc<Transcript>>,
}

impl LiveGuard {
    /// Who writes down what is said; none: nobody may read it.
    pub(super) fn scribe(&self) -> Option<Scribe> {
        let transcript = Arc::clone(self.transcript.as_ref()?);
        let clock = self.calls.0.clock.clone();
        Some(Box::new(move |who, text| transcript.add(who, text, clock.now())))
    }
}

impl Drop for LiveGuard {
    fn drop(&mut self) {
        self.calls.0.calls.remove(&self.call_sid);
        if let Some(transcript) = &self.transcript {
            transcript.end();
        }
        self.calls.0.events.publish(&Event::CallEnded { call_sid: std::mem::take(&mut self.call_sid) });
    }
}

/// What Twilio's signed webhook told us of a call, kept until its stream starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Expected {
    pub(super) call_sid: String,
    pub(super) from: Option<String>,
    pub(super) correlation_id: String,
}

/// Single-use tokens, one a call.
#[derive(Default)]
pub(super) struct Tokens(DashMap<String, Issued>);

struct Issued {
    token: String,
    expected: Expected,
    expires: Instant,
}

impl Tokens {
    /// Calls about to start.
    pub(super) fn outstanding(&self, now: Instant) -> usize {
        self.0.retain(|_, issued| issued.expires > now);
        self.0.len()
    }

    /// Calls about to start but this one: Twilio may ask again about it.
    pub(super) fn outstanding_beside(&self, call_sid: &str, now: Instant) -> usize {
        // Counted in one look: between two of them another request about the call may come through.
        let mut others = 0;
        self.0.retain(|other, issued| {
            let lives = issued.expires > now;
            others += usize::from(lives && other != call_sid);
            lives
        });
        others
    }

    /// A token for a call, the same one for a call that waits to start; none when far too many are outstanding.
    pub(super) fn issue(&self, expected: Expected, now: Instant) -> Option<String> {
        let expires = now + TOKEN_LIFE;
        if let Some(mut issued) = self.0.get_mut(&expected.call_sid).filter(|issued| issued.expires > now) {
            // Whichever of the two answers Twilio follows, it holds.
            issued.expires = expires;
            return Some(issued.token.clone());
        }
        if self.0.len() >= MOST_TOKENS && self.outstanding(now) >= MOST_TOKENS {
            return None;
        }
        let mut secret = [0; 24];
        rand::rng().fill_bytes(&mut secret);
        let token = secret.iter().fold(String::with_capacity(48), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        });
        self.0.insert(expected.call_sid.clone(), Issued { token: token.clone(), expected, expires });
        Some(token)
    }

    /// Takes a token in: what it was issued for, if it is known, in time and of this call. It is used up either way.
    pub(super) fn redeem(&self, token: &str, call_sid: &str, now: Instant) -> Option<Expected> {
        let mut shown = None;
        // There are no more than calls may be in progress; whoever guesses learns nothing from how long it takes.
        self.0.retain(|_, issued| {
            let is_it: bool = issued.token.as_bytes().ct_eq(token.as_bytes()).into();
            if is_it {
                shown = Some((issued.expected.clone(), issued.expires));
            }
            !is_it
        });
        let (expected, expires) = shown?;
        (expires > now && expected.call_sid == call_sid).then_some(expected)
    }
}

/// How calls whose stream has ended are to go on, until Twilio asks.
#[derive(Default)]
pub(super) struct Endings {
    ended: DashMap<String, (EndReason, oneshot::Sender<()>)>,
    /// Calls that Twilio asked about before we knew of their end: it saw the stream break first.
    asked_early: DashMap<String, ()>,
}

impl Endings {
    /// Remembers an ending; the receiver is told when Twilio has asked for it.
    pub(super) fn put(&self, call_sid: &str, reason: EndReason) -> oneshot::Receiver<()> {
        let (asked, told) = oneshot::channel();
        if self.asked_early.remove(call_sid).is_none() {
            self.ended.insert(call_sid.to_owned(), (reason, asked));
        }
        told
    }

    /// Calls that Twilio has not asked about yet.
    pub(super) fn outstanding(&self) -> usize {
        self.ended.len()
    }

    /// Twilio asks about a call that is still in progress here.
    pub(super) fn asked_early(&self, call_sid: &str) {
        self.asked_early.insert(call_sid.to_owned(), ());
    }

    /// Twilio asks how a call is to go on.
    pub(super) fn take(&self, call_sid: &str) -> Option<EndReason> {
        let (_, (reason, asked)) = self.ended.remove(call_sid)?;
        // Nobody waiting any more is no fault: the answer still holds.
        let _ = asked.send(());
        Some(reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::Speaker;

    fn expected(call_sid: &str) -> Expected {
        Expected { call_sid: call_sid.to_owned(), from: None, correlation_id: "req_1".to_owned() }
    }

    #[test]
    fn a_token_works_once_for_its_call_and_in_time() {
        let (tokens, now) = (Tokens::default(), Instant::now());
        let token = tokens.issue(expected("CA1"), now).expect("a token");
        assert_eq!(tokens.redeem(&token, "CA1", now), Some(expected("CA1")));
        assert_eq!(tokens.redeem(&token, "CA1", now), None, "used twice");

        let token = tokens.issue(expected("CA1"), now).expect("a token");
        assert!(tokens.issue(expected("CA2"), now).is_some());
        assert_eq!(tokens.redeem(&token, "CA2", now), None, "another call's");
        assert_eq!(tokens.redeem(&token, "CA1", now), None, "shown is used up");
        let token = tokens.issue(expected("CA1"), now).expect("a token");
        assert_eq!(tokens.redeem(&token, "CA1", now + TOKEN_LIFE), None, "too late");
        assert_eq!(tokens.redeem("", "CA1", now), None);
    }

    #[test]
    fn a_call_that_is_asked_about_again_has_one_token_and_one_place() {
        let (tokens, now) = (Tokens::default(), Instant::now());
        let token = tokens.issue(expected("CA1"), now).expect("a token");
        let later = now + TOKEN_LIFE / 2;
        assert_eq!(tokens.issue(expected("CA1"), later).as_ref(), Some(&token));
        assert_eq!((tokens.outstanding(later), tokens.outstanding_beside("CA1", later)), (1, 0));
        assert_eq!(tokens.outstanding_beside("CA2", later), 1);
        assert_eq!(tokens.redeem(&token, "CA1", now + TOKEN_LIFE), Some(expected("CA1")), "it lives on");
        assert_ne!(tokens.issue(expected("CA1"), later), Some(token), "a used one is not given again");
    }

    #[test]
    fn a_call_never_counts_beside_itself_whatever_comes_between() {
        let (tokens, now) = (Tokens::default(), Instant::now());
        std::thread::scope(|threads| {
            for _ in 0..2 {
                threads.spawn(|| {
                    for _ in 0..20_000 {
                        assert_eq!(tokens.outstanding_beside("CA1", now), 0);
                        let token = tokens.issue(expected("CA1"), now).expect("a token");
                        tokens.redeem(&token, "CA1", now);
                    }
                });
            }
        });
    }

    #[test]
    fn a_flood_of_requests_is_bounded_and_passes() {
        let (tokens, now) = (Tokens::default(), Instant::now());
        for n in 0..MOST_TOKENS {
            assert!(tokens.issue(expected(&format!("CA{n}")), now).is_some());
        }
        assert!(tokens.issue(expected("CA"), now).is_none());
        assert!(tokens.issue(expected("CA"), now + TOKEN_LIFE).is_some());
    }

    #[tokio::test]
    async fn twilio_is_told_once_how_a_call_goes_on_even_if_it_asks_first() {
        let endings = Endings::default();
        let asked = endings.put("CA1", EndReason::Goodbye);
        assert_eq!(endings.take("CA1"), Some(EndReason::Goodbye));
        asked.await.expect("whoever waits is told that Twilio has asked");
        assert_eq!(endings.take("CA1"), None);

        endings.asked_early("CA2");
        drop(endings.put("CA2", EndReason::PhoneLost));
        assert_eq!(endings.take("CA2"), None, "it has been answered");
        drop(endings.put("CA2", EndReason::PhoneLost));
        assert_eq!(endings.take("CA2"), Some(EndReason::PhoneLost));
    }

    #[tokio::test]
    async fn a_call_leaves_with_its_guard() {
        let events = EventLog::new(jiff::Timestamp::UNIX_EPOCH);
        let calls = LiveCalls::new(events, Clock::new(|| Timestamp::UNIX_EPOCH), false);
        let guard = calls.enter("CA1").expect("the first");
        assert!(calls.enter("CA1").is_none(), "one call twice");
        assert_eq!(calls.count(), 1);
        assert_eq!(calls.list(), [("CA1".to_owned(), Timestamp::UNIX_EPOCH)]);
        assert!(guard.scribe().is_none() && calls.read_along("CA1", 0).is_none(), "nothing is kept unless asked for");
        drop(guard);
        assert_eq!(calls.count(), 0);
    }

    #[tokio::test]
    async fn what_is_said_is_there_while_the_call_lasts() {
        let events = EventLog::new(Timestamp::UNIX_EPOCH);
        let calls = LiveCalls::new(events, Clock::new(|| Timestamp::UNIX_EPOCH), true);
        let guard = calls.enter("CA1").expect("the first");
        guard.scribe().expect("somebody may read it")(Speaker::Agent, "Hey!".to_owned());
        assert!(calls.read_along("CA2", 0).is_none(), "no such call");
        let mut reader = calls.read_along("CA1", 0).expect("it is in progress");
        let line = reader.next().await.expect("a line");
        assert_eq!((line.who, line.text.as_str()), (Speaker::Agent, "Hey!"));
        drop(guard);
        assert!(calls.read_along("CA1", 0).is_none(), "it is gone with its call");
        assert!(reader.next().await.is_none());
    }
}
