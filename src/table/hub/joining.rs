//! Who is let into a session that others have begun: whoever comes early, or was invited, or says the code. Pure.
//!
//! Four digits are few, so wrong ones are counted for the session, whoever says them: after five the code opens nothing for
//! ten minutes, not even when it is right. An invitation is long enough to need no such lock.

use crate::table::secret;
use crate::table::session::Door;
use jiff::{SignedDuration, Timestamp};

const MOST_WRONG: u32 = 5;
const LOCKED_FOR: SignedDuration = SignedDuration::from_mins(10);

/// What somebody shows at the door.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// Four digits that a member has told them.
    pub code: Option<String>,
    /// What stood in the link that a member has sent them.
    pub invite: Option<String>,
}

/// Why somebody was not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stopped {
    /// It takes a code or an invitation by now.
    NeedsCode,
    /// That was not the code.
    WrongCode,
    /// Nobody is let in by the code until then.
    Locked(Timestamp),
}

/// The wrong codes that were said at one door.
#[derive(Debug, Default)]
pub(super) struct Guesses {
    wrong: u32,
    locked_until: Option<Timestamp>,
}

impl Guesses {
    pub(super) fn admit(&mut self, door: &Door, shown: &Shown, now: Timestamp) -> Result<(), Stopped> {
        if now < door.open_until {
            return Ok(());
        }
        if shown.invite.as_ref().is_some_and(|invite| secret::is_same(&door.invite, invite)) {
            return Ok(());
        }
        let Some(code) = &shown.code else { return Err(Stopped::NeedsCode) };
        if let Some(until) = self.locked_until {
            if now < until {
                return Err(Stopped::Locked(until));
            }
            *self = Self::default();
        }
        if secret::is_same(&door.code, code.trim()) {
            self.wrong = 0;
            return Ok(());
        }
        self.wrong += 1;
        if self.wrong < MOST_WRONG {
            return Err(Stopped::WrongCode);
        }
        let until = now.checked_add(LOCKED_FOR).unwrap_or(Timestamp::MAX);
        self.locked_until = Some(until);
        Err(Stopped::Locked(until))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(minute * 60).expect("a time")
    }

    fn door() -> Door {
        Door { code: "4711".to_owned(), invite: "friend".to_owned(), path: String::new(), open_until: at(20) }
    }

    fn code(code: &str) -> Shown {
        Shown { code: Some(code.to_owned()), invite: None }
    }

    fn invite(invite: &str) -> Shown {
        Shown { code: None, invite: Some(invite.to_owned()) }
    }

    #[test]
    fn early_guests_walk_in_and_late_ones_show_something() {
        let mut guesses = Guesses::default();
        assert_eq!(guesses.admit(&door(), &Shown::default(), at(19)), Ok(()));
        assert_eq!(guesses.admit(&door(), &code("0000"), at(19)), Ok(()), "nobody asks for it yet");
        assert_eq!(guesses.admit(&door(), &Shown::default(), at(20)), Err(Stopped::NeedsCode));
        assert_eq!(guesses.admit(&door(), &code(" 4711 "), at(20)), Ok(()));
        assert_eq!(guesses.admit(&door(), &invite("friend"), at(20)), Ok(()));
        assert_eq!(guesses.admit(&door(), &invite("fiend"), at(20)), Err(Stopped::NeedsCode));
        assert_eq!(guesses.admit(&door(), &invite(""), at(20)), Err(Stopped::NeedsCode));
        assert_eq!(guesses.admit(&door(), &code(""), at(20)), Err(Stopped::WrongCode));
    }

    #[test]
    fn five_wrong_codes_lock_the_code_but_no_invitation() {
        let mut guesses = Guesses::default();
        for _ in 0..4 {
            assert_eq!(guesses.admit(&door(), &code("0000"), at(30)), Err(Stopped::WrongCode));
        }
        assert_eq!(guesses.admit(&door(), &Shown::default(), at(30)), Err(Stopped::NeedsCode), "that is no guess");
        assert_eq!(guesses.admit(&door(), &code("0000"), at(30)), Err(Stopped::Locked(at(40))));
        assert_eq!(
            guesses.admit(&door(), &code("4711"), at(39)),
            Err(Stopped::Locked(at(40))),
            "not even the right one"
        );
        assert_eq!(guesses.admit(&door(), &invite("friend"), at(39)), Ok(()));
        assert_eq!(guesses.admit(&door(), &code("0000"), at(40)), Err(Stopped::WrongCode), "five more");
        assert_eq!(guesses.admit(&door(), &code("4711"), at(40)), Ok(()));
        for _ in 0..4 {
            assert_eq!(
                guesses.admit(&door(), &code("0000"), at(41)),
                Err(Stopped::WrongCode),
                "a right one starts afresh"
            );
        }
    }
}
