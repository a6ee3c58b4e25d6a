//! What comes from the telephone: the caller's sound, marks, keys.

use super::super::keypad::{self, Entry};
use super::super::moment::{Moment, Sound};
use super::super::reply::mark_generation;
use super::{EndReason, Output, Purpose, Session};
use crate::twilio::message::PhoneMessage;
use std::time::Duration;

/// How often sound is told of.
const SOUND_EVERY: Duration = Duration::from_secs(1);

impl Session {
    pub(super) fn on_phone(&mut self, now: Duration, message: PhoneMessage<'_>, out: &mut Vec<Output>) {
        self.phone_heard = now;
        match message {
            PhoneMessage::Mark { name } => {
                if let Some(generation) = mark_generation(&name)
                    && self.replies.mark_returned(now, generation)
                {
                    self.reply_heard = true;
                    out.push(Output::Moment(Moment::ReplyHeard));
                }
            }
            PhoneMessage::Dtmf { digit } => {
                self.turn = self.turn.next();
                self.caller_noticed(now);
                let entry = self.keypad.press(now, digit, self.settings.can_transfer);
                self.on_keys(now, entry, out);
            }
            PhoneMessage::Stop => self.end(now, EndReason::CallerHungUp, out),
            // Media of any other track than the caller's is our own voice.
            PhoneMessage::Connected | PhoneMessage::Media(_) => {}
            PhoneMessage::Start(_) => {
                self.summary.bad_messages += 1;
                tracing::warn!("Twilio sent a second start on one stream; it is ignored");
            }
            PhoneMessage::Unknown { event } => {
                self.tell_once("Twilio", &event);
            }
        }
    }

    pub(super) fn on_caller_audio(&mut self, now: Duration, mulaw: &[u8], out: &mut Vec<Output>) {
        self.phone_heard = now;
        self.bad_on_phone = 0;
        if mulaw.is_empty() {
            return;
        }
        self.summary.frames_in += 1;
        self.sound.frames_in += 1;
        if !self.link.is_gone() {
            self.ears.listen(now, mulaw, self.link.is_live());
        }
        if self.link.is_live() {
            self.agent_fed = now;
            out.push(Output::AgentAudio(self.codec.up(mulaw)));
        }
        if now.saturating_sub(self.sound_told) >= SOUND_EVERY {
            self.tell_sound(now, out);
        }
    }

    /// What the caller typed is theirs to have said; what comes of it is the agent's.
    pub(super) fn on_keys(&mut self, now: Duration, entry: Option<Entry>, out: &mut Vec<Output>) {
        match entry {
            None => {}
            Some(Entry::Person) => {
                out.push(Output::Moment(Moment::Keys { count: 1 }));
                self.say_goodbye(now, Purpose::Transfer, self.settings.phrases.transfer.clone(), out);
            }
            Some(Entry::Digits(digits)) => {
                out.push(Output::Moment(Moment::Keys { count: digits.len() }));
                let words = keypad::in_words(&digits);
                self.record.said(None, &words);
                // An agent that is away finds them in the record.
                if self.link.is_live() {
                    self.inject_words(now, words, out);
                }
            }
        }
    }

    /// The caller is there: nobody need ask.
    pub(super) fn caller_noticed(&mut self, now: Duration) {
        self.caller_active = now;
        self.asked = 0;
    }

    pub(super) fn tell_sound(&mut self, now: Duration, out: &mut Vec<Output>) {
        self.sound_told = now;
        let sound = Sound { buffered: self.replies.buffered(now), ..std::mem::take(&mut self.sound) };
        out.push(Output::Moment(Moment::Sound(sound)));
    }
}
