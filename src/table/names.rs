//! What people call themselves and their tables: one line that can be seen, no longer than fits.

/// The longest name of a table, in characters.
pub const LONGEST_TABLE: usize = 40;

/// One line without control characters, at least one character that can be seen, at most as long as was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(String);

impl Name {
    /// The text without spaces around it, if it is a name of at most `longest` characters.
    pub fn parse(text: &str, longest: usize) -> Option<Self> {
        let text = text.trim();
        let is_short = text.chars().nth(longest).is_none();
        let can_be_seen =
            text.chars().any(char::is_alphanumeric) || text.chars().any(|c| !c.is_ascii() && !is_unseen(c));
        let is_plain = !text.chars().any(|c| c.is_control() || turns_text(c));
        (is_short && can_be_seen && is_plain).then(|| Self(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

fn is_unseen(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{feff}' | '\u{ad}')
}

/// What would make the words beside a name read from the other side, or begin a new line.
fn turns_text(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Option<String> {
        Name::parse(text, 8).map(String::from)
    }

    #[test]
    fn a_name_is_one_line_that_can_be_seen() {
        for (text, parsed) in
            [("Ada", "Ada"), ("  7 ", "7"), ("José 日本", "José 日本"), ("🧋", "🧋"), ("12345678", "12345678")]
        {
            assert_eq!(name(text).as_deref(), Some(parsed));
        }
        for text in
            ["", "   ", "123456789", "a\nb", "a\u{0}", "\u{200b}", "\u{202e}abc", "a\u{2028}b", "!?", "\u{feff}"]
        {
            assert_eq!(name(text), None, "{text:?}");
        }
    }
}
