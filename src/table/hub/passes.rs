//! What lets guests come back: a pass for each session that their browser has joined lately.

use crate::table::secret;
use std::fmt;

/// Sessions that one browser is in at once: a table's, a cart of one's own, an order ahead, and the last one's orders.
const MOST: usize = 4;

/// What a browser shows to come back: a session's id and a member's secret, which nobody else knows.
#[derive(Clone, PartialEq, Eq)]
pub struct Pass {
    pub(super) session: String,
    pub(super) secret: String,
}

impl Pass {
    /// The session that it is for.
    pub fn session(&self) -> &str {
        &self.session
    }
}

impl fmt::Debug for Pass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pass({}.…)", self.session)
    }
}

/// The passes of one browser, the latest first; at most four, one a session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Passes(Vec<Pass>);

impl Passes {
    /// Passes as their `Display` has written them; what is none of these holds no pass.
    pub fn parse(text: &str) -> Self {
        let words: Vec<&str> = text.splitn(2 * MOST + 1, '.').take(2 * MOST).collect();
        let pass = |pair: &[&str]| match pair {
            [session, secret] if secret::is_random(session) && secret::is_random(secret) => {
                Some(Pass { session: (*session).to_owned(), secret: (*secret).to_owned() })
            }
            _ => None,
        };
        Self(words.chunks(2).map_while(pass).collect())
    }

    /// With this one as the latest. The oldest goes when there are too many.
    #[must_use]
    pub fn with(self, pass: Pass) -> Self {
        let others = self.0.into_iter().filter(|other| other.session != pass.session);
        Self(std::iter::once(pass.clone()).chain(others).take(MOST).collect())
    }

    /// The one for this session.
    pub fn of(&self, session: &str) -> Option<&Pass> {
        self.0.iter().find(|pass| pass.session == session)
    }

    /// All, the latest first.
    pub fn iter(&self) -> impl Iterator<Item = &Pass> {
        self.0.iter()
    }
}

impl fmt::Display for Passes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, Pass { session, secret }) in self.0.iter().enumerate() {
            let dot = if at > 0 { "." } else { "" };
            write!(f, "{dot}{session}.{secret}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pass(session: char) -> Pass {
        Pass { session: session.to_string().repeat(26), secret: secret::random() }
    }

    #[test]
    fn passes_are_read_as_they_were_written_the_latest_first() {
        let (a, b) = (pass('a'), pass('b'));
        let passes = Passes::default().with(a.clone()).with(b.clone());
        assert_eq!(Passes::parse(&passes.to_string()), passes);
        assert_eq!(passes.iter().collect::<Vec<_>>(), [&b, &a]);
        assert_eq!((passes.of(a.session()), passes.of("c")), (Some(&a), None));
        let again = Pass { secret: secret::random(), ..a.clone() };
        assert_eq!(passes.with(again.clone()).iter().collect::<Vec<_>>(), [&again, &b], "one a session");
        assert!(!format!("{b:?}").contains(&b.secret));
    }

    #[test]
    fn there_are_four_at_most_whatever_is_sent() {
        let all = "abcdefghjk".chars().fold(Passes::default(), |passes, session| passes.with(pass(session)));
        assert_eq!(all.iter().map(|pass| &pass.session[..1]).collect::<String>(), "kjhg");
        let sent = vec![all.to_string(); 1000].join(".");
        assert_eq!(Passes::parse(&sent), all);
    }

    #[test]
    fn what_is_no_pass_ends_the_list() {
        let good = Passes::default().with(pass('a'));
        for bad in ["", ".", "x", "x.y", "a.b.c.d", &"a".repeat(26), &format!("{}.", "a".repeat(26))] {
            assert_eq!(Passes::parse(bad), Passes::default(), "{bad:?}");
            assert_eq!(Passes::parse(&format!("{good}.{bad}")), good, "{bad:?}");
        }
    }
}
