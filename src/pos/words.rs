//! Words of a till that people here will read: one line each, and not more of it than fits on a screen.

/// The longest that is kept of a sentence, in characters.
const MOST_CHARS: usize = 200;

/// A till's sentence as one line without control characters and without its full stop, since it is shown within others; cut
/// where it is too long; `None` when nothing is left of it.
pub(super) fn sentence(text: &str) -> Option<String> {
    let line = cut(text, MOST_CHARS)?;
    let line = line.trim_end_matches(['.', ' ']);
    (!line.is_empty()).then(|| line.to_owned())
}

/// At most `most` characters of a text, as one line without control characters; `None` when nothing is left of it.
pub(super) fn cut(text: &str, most: usize) -> Option<String> {
    let visible: String = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    let line = visible.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= most {
        return (!line.is_empty()).then_some(line);
    }
    let kept: String = line.chars().take(most.saturating_sub(1)).collect();
    Some(format!("{}…", kept.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_sentence_is_one_line_that_fits_into_another() {
        assert_eq!(sentence(" No\ttill\r\n is  open.\u{7} ").as_deref(), Some("No till is open"));
        assert_eq!(sentence("v1.2 is closed").as_deref(), Some("v1.2 is closed"));
        for nothing in ["", " \u{0}\n", ".", " .. . "] {
            assert_eq!(sentence(nothing), None, "{nothing:?}");
        }
        assert_eq!(cut("abcd", 4).as_deref(), Some("abcd"));
        assert_eq!(cut("abcde", 4).as_deref(), Some("abc…"));
    }

    proptest! {
        #[test]
        fn nothing_is_too_long_or_more_than_a_line(text in any::<String>(), times in 1_usize..50, most in 1_usize..300) {
            for line in [cut(&text.repeat(times), most), sentence(&text.repeat(times)), cut(&text, most)].into_iter().flatten() {
                prop_assert!(!line.is_empty() && line.chars().count() <= most.max(MOST_CHARS));
                prop_assert!(!line.chars().any(char::is_control));
            }
            prop_assert!(cut(&text, most).is_none_or(|line| line.chars().count() <= most));
        }
    }
}
