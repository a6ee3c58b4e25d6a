//! Everybody who speaks, each a frame every 20 ms, spread evenly over them.
//!
//! One task speaks for all: a timer and a wake-up for every frame of every peer would be the larger part of what a load
//! costs, and it shares the machine with what it measures.

use super::books::{Books, Way};
use super::stamp::Stamp;
use super::wire::{Kind, Side, put};
use crate::deepgram::settings::AgentAudio;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::time::{MissedTickBehavior, interval};

/// Beats of a millisecond in a frame.
const BEATS: usize = 20;
/// Frames between two interruptions: two seconds.
const INTERRUPTS: u32 = 100;
const STOP: &str = r#"{"event":"stop","sequenceNumber":"3","streamSid":"MZload","stop":{}}"#;
const MEDIA: [&str; 2] = [
    r#"{"event":"media","sequenceNumber":"2","streamSid":"MZload","media":{"track":"inbound","chunk":"1","timestamp":"20","payload":""#,
    r#""}}"#,
];
/// Where a phone's message has its sound.
pub(super) const PAYLOAD_AT: usize = MEDIA[0].len();
const INTERRUPTED: &str = r#"{"type":"UserStartedSpeaking"}"#;
/// What follows an interruption before the next reply: without it the server would not know the reply for a new one.
const ALL_SAID: [&str; 2] =
    [r#"{"type":"AgentAudioDone"}"#, r#"{"type":"ConversationText","role":"user","content":"One more, please."}"#];

pub(super) struct Mouths {
    books: Arc<Books>,
    beats: [Mutex<Vec<Mouth>>; BEATS],
    silent: AtomicBool,
    hung_up: AtomicBool,
}

struct Mouth {
    socket: OwnedWriteHalf,
    who: Who,
    /// What the socket has not taken.
    unsent: Vec<u8>,
}

enum Who {
    /// The first frame tells when the call began, for the agent to read.
    Phone { began: Option<Stamp> },
    /// Interrupted every so many frames.
    Agent { audio: AgentAudio, frames_left: u32, sent: u16, next: Next },
}

/// What an agent's next frame tells.
#[derive(Clone, Copy)]
enum Next {
    /// When it was sent.
    Now,
    /// When the agent was interrupted: the first frame after that.
    Interrupted(Stamp),
    /// How many frames were sent before, so that the phone can tell how many were cleared: the one after.
    Sent,
}

impl Mouths {
    pub(super) fn new(books: Arc<Books>) -> Self {
        Self { books, beats: Default::default(), silent: Default::default(), hung_up: Default::default() }
    }

    pub(super) fn phone(&self, socket: OwnedWriteHalf, began: Stamp) {
        self.join(Mouth { socket, who: Who::Phone { began: Some(began) }, unsent: Vec::new() });
    }

    pub(super) fn agent(&self, socket: OwnedWriteHalf, audio: AgentAudio, number: u32) {
        // Not all at once: any prime does.
        let frames_left = number.wrapping_mul(37) % INTERRUPTS;
        self.join(Mouth {
            socket,
            who: Who::Agent { audio, frames_left, sent: 0, next: Next::Now },
            unsent: Vec::new(),
        });
    }

    fn join(&self, mouth: Mouth) {
        let size = |beat: &Mutex<Vec<Mouth>>| beat.lock().unwrap_or_else(PoisonError::into_inner).len();
        if let Some(emptiest) = self.beats.iter().min_by_key(|beat| size(beat)) {
            emptiest.lock().unwrap_or_else(PoisonError::into_inner).push(mouth);
        }
    }

    /// Speaks for all, for ever. Who cannot be spoken to any more is dropped.
    pub(super) async fn speak(self: Arc<Self>) {
        let mut ticks = interval(Duration::from_millis(1));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut message = Vec::new();
        for beat in self.beats.iter().cycle() {
            ticks.tick().await;
            let silent = self.silent.load(Relaxed);
            let mut mouths = beat.lock().unwrap_or_else(PoisonError::into_inner);
            mouths.retain_mut(|mouth| silent && !mouth.has_to_tell() || mouth.speak(&self.books, &mut message).is_ok());
        }
    }

    /// Nobody says anything more, but for agents that have to tell first what an interruption cleared: it would be counted
    /// as lost.
    pub(super) fn fall_silent(&self) {
        self.silent.store(true, Relaxed);
    }

    /// Whether calls may end.
    pub(super) fn has_hung_up(&self) -> bool {
        self.hung_up.load(Relaxed)
    }

    /// The phones say that they stop; the agents go with their sockets.
    pub(super) fn hang_up(&self) {
        self.hung_up.store(true, Relaxed);
        let mut stop = Vec::new();
        put(&mut stop, Side::Client, Kind::Text, &[STOP.as_bytes()]);
        put(&mut stop, Side::Client, Kind::Close, &[]);
        for beat in &self.beats {
            for mut mouth in beat.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
                if matches!(mouth.who, Who::Phone { .. }) {
                    // Who is gone needs not be told.
                    let _ = mouth.say(&stop);
                }
            }
        }
    }
}

impl Mouth {
    /// Whether it was interrupted, and has not said yet how many frames were sent before.
    fn has_to_tell(&self) -> bool {
        matches!(self.who, Who::Agent { next: Next::Interrupted(_) | Next::Sent, .. })
    }

    fn speak(&mut self, books: &Books, message: &mut Vec<u8>) -> io::Result<()> {
        message.clear();
        let now = books.now();
        let way = match &mut self.who {
            Who::Phone { began } => {
                let payload = STANDARD.encode(began.take().unwrap_or(now).as_mulaw());
                let parts = [MEDIA[0].as_bytes(), payload.as_bytes(), MEDIA[1].as_bytes()];
                put(message, Side::Client, Kind::Text, &parts);
                Some(Way::Up)
            }
            Who::Agent { frames_left: left @ 0, next, .. } => {
                put(message, Side::Server, Kind::Text, &[INTERRUPTED.as_bytes()]);
                (*left, *next) = (INTERRUPTS, Next::Interrupted(now));
                None
            }
            Who::Agent { audio, frames_left, sent, next } => {
                let told = match next {
                    Next::Now => now,
                    Next::Interrupted(at) => {
                        let at = *at;
                        ALL_SAID.iter().for_each(|text| put(message, Side::Server, Kind::Text, &[text.as_bytes()]));
                        *next = Next::Sent;
                        at
                    }
                    Next::Sent => {
                        *next = Next::Now;
                        Stamp::count(*sent)
                    }
                };
                put(message, Side::Server, Kind::Binary, &[&told.as_agents(*audio)]);
                *sent = sent.wrapping_add(1);
                *frames_left -= 1;
                Some(Way::Down)
            }
        };
        if let Some(way) = way {
            books.frame_sent(way);
        }
        self.say(message)
    }

    fn say(&mut self, message: &[u8]) -> io::Result<()> {
        let Self { socket, unsent, .. } = self;
        let write = |bytes: &[u8]| match socket.try_write(bytes) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            written => written,
        };
        if unsent.is_empty() {
            let written = write(message)?;
            unsent.extend_from_slice(message.get(written..).unwrap_or_default());
        } else {
            unsent.extend_from_slice(message);
            let written = write(unsent)?;
            unsent.drain(..written);
        }
        Ok(())
    }
}
