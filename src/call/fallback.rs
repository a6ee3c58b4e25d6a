//! What callers get whom no agent serves, or serves any longer: why, in the shop's words, and then a person, a tape, or
//! nothing more.
//!
//! Knows neither requests nor sockets.

use super::Calls;
use crate::bridge::EndReason;
use crate::config::Fallback;
use crate::twilio::twiml::{Dial, Record, Twiml};

/// The longest message, in seconds.
const LONGEST_MESSAGE: u32 = 120;

/// Why a caller is not put through to the agent at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Every line is taken.
    Busy,
    /// They call again and again.
    TooOften,
    /// The server is about to stop.
    Draining,
}

impl Refused {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Busy, Self::TooOften, Self::Draining];

    /// The name in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::TooOften => "too_often",
            Self::Draining => "draining",
        }
    }
}

impl From<Refused> for Why {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Busy => Self::Busy,
            Refused::TooOften => Self::TooOften,
            Refused::Draining => Self::Unavailable,
        }
    }
}

/// Why nobody takes the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// There is no agent, or this server takes no more calls.
    Unavailable,
    /// Every line is taken.
    Busy,
    /// The conversation broke off.
    Lost,
    /// They call again and again.
    TooOften,
}

impl Calls {
    /// What a call hears next, given how its stream ended; none: no stream of it is known.
    pub(super) fn twiml_after(&self, reason: Option<EndReason>) -> Twiml {
        match reason {
            Some(
                EndReason::Goodbye
                | EndReason::CallerHungUp
                | EndReason::MaxDuration
                | EndReason::CallerIdle
                | EndReason::NoConversation,
            ) => Twiml::hangup(),
            Some(EndReason::Transfer) => self.transfer(None).unwrap_or_else(Twiml::hangup),
            None | Some(EndReason::AgentUnreachable) => self.nobody_there(Why::Unavailable),
            Some(EndReason::PhoneLost | EndReason::PhoneFault | EndReason::AgentLost | EndReason::Shutdown) => {
                self.nobody_there(Why::Lost)
            }
        }
    }

    /// What a caller hears whom nobody answered; one who has talked to somebody has heard enough.
    pub(super) fn twiml_after_transfer(&self, status: &str) -> Twiml {
        if matches!(status, "completed" | "answered") {
            Twiml::hangup()
        } else {
            Twiml::say_and_hangup(&self.settings().shop.menu().sentences().say_unavailable)
        }
    }

    /// What a caller hears who has left a message: they are told that we have it only if we do.
    pub(super) fn twiml_after_message(&self, is_noted: bool) -> Twiml {
        let sentences = self.settings().shop.menu().sentences();
        Twiml::say_and_hangup(if is_noted { &sentences.say_thanks } else { &sentences.say_apology })
    }

    /// The caller is told why nobody takes the order, and gets what the shop has chosen.
    pub(super) fn nobody_there(&self, why: Why) -> Twiml {
        let settings = self.settings();
        let sentences = settings.shop.menu().sentences();
        let say = match why {
            Why::Unavailable => &sentences.say_unavailable,
            Why::Busy | Why::TooOften => &sentences.say_busy,
            Why::Lost => &sentences.say_apology,
        };
        match settings.line.fallback {
            // They would ring the shop, or fill the tape, all day.
            _ if why == Why::TooOften => Twiml::say_and_hangup(say),
            Fallback::Sentence => Twiml::say_and_hangup(say),
            Fallback::Transfer => self.transfer(Some(say)).unwrap_or_else(|| Twiml::say_and_hangup(say)),
            Fallback::Voicemail => {
                let record = Record {
                    max_seconds: LONGEST_MESSAGE,
                    action: settings.http_url("/voice/recorded"),
                    status_callback: settings.http_url("/voice/recording"),
                };
                Twiml::record(&[say, &sentences.say_voicemail], record)
            }
        }
    }

    fn transfer(&self, say: Option<&str>) -> Option<Twiml> {
        let settings = self.settings();
        let number = settings.transfer_number.clone()?;
        let action = Some(settings.http_url("/voice/after"));
        Some(Twiml::dial(say, Dial { number, caller_id: settings.number.clone(), action }))
    }
}
