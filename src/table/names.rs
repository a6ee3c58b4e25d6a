//! What people call themselves and their tables: one line that can be seen, no longer than fits.

/// The longest name of a table, in characters.
pub const LONGEST_TABLE: usize = 40;

/// One line without control characters, at least one character that can be seen, at most as long as was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(String);

impl Name {
    /// The same as a regular expression, for descriptions: all that [`Name::parse`] asks but for the length.
    pub const PATTERN: &str = concat!(
        r"^[^\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]*",
        r"[^\s\u0000-\u001f\u007f-\u009f\u00ad\u061c\u115f\u1160\u200b-\u200f\u2028-\u202e\u2060-\u2069\u2800\u3164\ufeff\uffa0]",
        r"[^\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]*$",
    );

    /// The text without spaces around it, if it is a name of at most `longest` characters.
    pub fn parse(text: &str, longest: usize) -> Option<Self> {
        let is_plain = !text.chars().any(|c| c.is_control() || turns_text(c));
        let can_be_seen = text.chars().any(|c| !is_unseen(c));
        let text = text.trim();
        let is_short = text.chars().nth(longest).is_none();
        (is_plain && can_be_seen && is_short).then(|| Self(text.to_owned()))
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
    c.is_whitespace()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2065}')
        || matches!(c, '\u{2800}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}')
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
        let pattern = jsonschema::validator_for(&serde_json::json!({"pattern": Name::PATTERN})).unwrap();
        let fits = |text: &str| pattern.is_valid(&text.into());
        for (text, parsed) in [
            ("Ada", "Ada"),
            ("  7 ", "7"),
            ("José 日本", "José 日本"),
            ("🧋", "🧋"),
            ("12345678", "12345678"),
            ("#", "#"),
        ] {
            assert_eq!(name(text).as_deref(), Some(parsed));
            assert!(fits(text), "{text:?}");
        }
        for text in
            ["", "   ", "a\nb", "7\n", "a\u{0}", "\u{200b}", "\u{202e}abc", "a\u{2028}b", "\u{feff}", "\u{3164}"]
        {
            assert_eq!(name(text), None, "{text:?}");
            assert!(!fits(text), "{text:?}");
        }
        assert_eq!(name("123456789"), None);
    }

    #[test]
    fn the_pattern_says_of_every_character_what_the_parser_does() {
        let pattern = jsonschema::validator_for(&serde_json::json!({"pattern": Name::PATTERN})).unwrap();
        for character in '\u{0}'..='\u{ffff}' {
            for text in [format!("{character}"), format!("a{character}b")] {
                assert_eq!(name(&text).is_some(), pattern.is_valid(&text.as_str().into()), "{text:?}");
            }
        }
    }
}
