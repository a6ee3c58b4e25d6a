//! From a caller's words to the options of one menu field.
//!
//! A match is exact after folding, or leaves out words, or is off by a letter – in that order, and only if it fits
//! exactly one option. A word too many is never ignored: "iced latte", "no boba" and "not less ice" are refused,
//! because the word that does not fit is the one that matters. Nothing about any product is known here.

/// The words of one field's options.
#[derive(Debug, Clone)]
pub(super) struct Matcher {
    /// For each option its name, aliases and plurals.
    options: Vec<Vec<Words>>,
    /// Ways to say that none is wanted.
    none: Vec<Words>,
    /// The field's own words ("milk" in "oat milk"), which say nothing about the choice.
    own_words: Words,
}

/// Why something said matches no option. `said` is the part that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Miss {
    /// It fits nothing.
    Unknown { said: String },
    /// It fits several options, by index.
    Ambiguous { said: String, options: Vec<usize> },
}

/// Folded words: lower case, singular, without accents and punctuation, digits apart from letters.
type Words = Vec<String>;

/// No list of options takes longer to say.
const LONGEST_TEXT: usize = 400;

/// Words that people put around a choice.
const FILLERS: [&str; 14] =
    ["a", "an", "the", "some", "with", "please", "of", "just", "um", "uh", "make", "it", "add", "have"];

/// Words that alone point at no option, even where only one option's name has them.
const POINTLESS: [&str; 9] = ["no", "not", "non", "on", "in", "top", "without", "add", "and"];

/// Ways to say "none" in every field that may stay empty.
const NONE: [&str; 5] = ["none", "nothing", "no", "no thanks", "no thank you"];

impl Matcher {
    /// `options` has the names of each option, `none` the field's own ways to say "none", `own_words` what the field
    /// is called.
    pub(super) fn new<'a>(
        options: impl IntoIterator<Item = Vec<&'a str>>,
        none: &[String],
        own_words: impl IntoIterator<Item = &'a str>,
    ) -> Matcher {
        Matcher {
            options: options.into_iter().map(|names| names.into_iter().map(fold).collect()).collect(),
            none: none.iter().map(String::as_str).chain(NONE).map(fold).collect(),
            own_words: own_words.into_iter().flat_map(fold).collect(),
        }
    }

    /// The one option that is meant.
    pub(super) fn one(&self, said: &str) -> Result<usize, Miss> {
        let unknown = || Miss::Unknown { said: said.to_owned() };
        if said.len() > LONGEST_TEXT {
            return Err(unknown());
        }
        let readings = self.readings(said);
        let ways: [fn(&Words, &Words) -> bool; 3] = [same, part_of, nearly_part_of];
        for fits in ways {
            for words in &readings {
                match self.fitting(words, fits)[..] {
                    [] => {}
                    [only] => return Ok(only),
                    ref several => {
                        return Err(Miss::Ambiguous { said: said.to_owned(), options: several.to_vec() });
                    }
                }
            }
        }
        Err(unknown())
    }

    /// The options that are meant, in menu order, each once; none for "no toppings". A text may list several.
    pub(super) fn many<S: AsRef<str>>(&self, said: &[S]) -> Result<Vec<usize>, Miss> {
        let (none, some): (Vec<&str>, Vec<&str>) = said.iter().map(AsRef::as_ref).partition(|said| self.is_none(said));
        let mut chosen = Vec::new();
        for said in &some {
            chosen.extend(self.listed(said)?);
        }
        // "None" beside something else is a contradiction.
        if !none.is_empty() && !some.is_empty() {
            return Err(Miss::Unknown { said: [none, some].concat().join(", ") });
        }
        chosen.sort_unstable();
        chosen.dedup();
        Ok(chosen)
    }

    /// Two of these texts, of different options, that fold to the same words.
    pub(super) fn clash(&self) -> Option<(usize, usize)> {
        let forms = || self.options.iter().enumerate().flat_map(|(at, forms)| forms.iter().map(move |form| (at, form)));
        forms().find_map(|(at, form)| {
            forms().find_map(|(other, form2)| (at < other && same(form, form2)).then_some((at, other)))
        })
    }

    /// The first option that could not be told from "none".
    pub(super) fn clash_with_none(&self) -> Option<usize> {
        self.options.iter().position(|forms| forms.iter().any(|form| self.none.iter().any(|none| same(form, none))))
    }

    fn is_none(&self, said: &str) -> bool {
        said.len() <= LONGEST_TEXT
            && self.readings(said).iter().any(|words| self.none.iter().any(|none| same(words, none)))
    }

    /// One text that names an option or lists several. A list is cut at its separators before any looser reading, so
    /// that "agar, boba" is two toppings and not a piece of one name.
    fn listed(&self, said: &str) -> Result<Vec<usize>, Miss> {
        let parts = parts(said);
        if parts.len() < 2 || said.len() > LONGEST_TEXT {
            return self.one(parts.first().map_or(said, String::as_str)).map(|option| vec![option]);
        }
        for words in self.readings(said) {
            if let [only] = self.fitting(&words, same)[..] {
                return Ok(vec![only]);
            }
        }
        parts.iter().map(|part| self.one(part)).collect()
    }

    /// The words as said, without fillers, and without the field's own words.
    fn readings(&self, said: &str) -> Vec<Words> {
        let as_said = fold(said);
        let without = |words: &Words, dropped: &dyn Fn(&String) -> bool| -> Words {
            words.iter().filter(|word| !dropped(word)).cloned().collect()
        };
        let plain = without(&as_said, &|word| FILLERS.contains(&word.as_str()));
        let bare = without(&plain, &|word| self.own_words.contains(word));
        let mut readings = vec![as_said, plain, bare];
        readings.retain(|words| !words.is_empty());
        readings.dedup();
        readings
    }

    fn fitting(&self, words: &Words, fits: fn(&Words, &Words) -> bool) -> Vec<usize> {
        let fitting = self.options.iter().enumerate().filter(|(_, forms)| forms.iter().any(|form| fits(words, form)));
        fitting.map(|(option, _)| option).collect()
    }
}

/// The same words. A percent sign may be missing, and so may the gaps between words where no digits are involved
/// ("milktea"; but "2 5%" is not 25%).
fn same(said: &Words, form: &Words) -> bool {
    fn meant(words: &Words) -> impl Iterator<Item = &String> {
        words.iter().filter(|word| *word != "%")
    }
    let digits = |words: &Words| words.iter().any(|word| is_number(word));
    let empty = meant(said).next().is_none();
    !empty && (meant(said).eq(meant(form)) || (!digits(said) && !digits(form) && said.concat() == form.concat()))
}

/// Some of the words, no others, and not only such as point at nothing or count something.
fn part_of(said: &Words, form: &Words) -> bool {
    points_at_something(said) && covers(said, form, |word, other| word == other)
}

/// Like [`part_of`], with a slip in long words.
fn nearly_part_of(said: &Words, form: &Words) -> bool {
    points_at_something(said) && covers(said, form, |word, other| word == other || nearly(word, other))
}

/// Whether every word said has a word of its own in the form.
fn covers(said: &Words, form: &Words, equal: fn(&str, &str) -> bool) -> bool {
    let mut free: Vec<&String> = form.iter().collect();
    said.iter().all(|word| {
        // The very word first, so that a near miss does not take it away from a later one.
        let at = free.iter().position(|other| *other == word);
        let at = at.or_else(|| free.iter().position(|other| equal(word, other)));
        at.map(|at| free.swap_remove(at)).is_some()
    })
}

fn points_at_something(words: &Words) -> bool {
    words.iter().any(|word| word.chars().count() >= 3 && !POINTLESS.contains(&word.as_str()) && !is_number(word))
}

/// One slip in a word of five letters, two in one of nine; shorter words and numbers have to be right.
fn nearly(word: &str, other: &str) -> bool {
    let shorter = word.chars().count().min(other.chars().count());
    let slips = match shorter {
        0..5 => return false,
        5..9 => 1,
        _ => 2,
    };
    !is_number(word) && !is_number(other) && distance(word, other) <= slips
}

/// Letters to insert, drop, change, or swap with their neighbour.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let width = b.len() + 1;
    let mut table = vec![0; (a.len() + 1) * width];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            table[i * width + j] = if i == 0 || j == 0 {
                i + j
            } else {
                let changed = table[(i - 1) * width + j - 1] + usize::from(a[i - 1] != b[j - 1]);
                let dropped = table[(i - 1) * width + j] + 1;
                let inserted = table[i * width + j - 1] + 1;
                let best = changed.min(dropped).min(inserted);
                if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                    best.min(table[(i - 2) * width + j - 2] + 1)
                } else {
                    best
                }
            };
        }
    }
    table[a.len() * width + b.len()]
}

fn is_number(word: &str) -> bool {
    const NUMBERS: [&str; 30] = [
        "zero",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
        "thirteen",
        "fourteen",
        "fifteen",
        "sixteen",
        "seventeen",
        "eighteen",
        "nineteen",
        "twenty",
        "thirty",
        "forty",
        "fifty",
        "sixty",
        "seventy",
        "eighty",
        "ninety",
        "hundred",
        "thousand",
    ];
    word == "%" || word.bytes().any(|byte| byte.is_ascii_digit()) || NUMBERS.contains(&word)
}

/// A list's parts; one for a text that is no list.
fn parts(said: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    for piece in said.split_inclusive([',', ';', '/', '&', '+', '\n']) {
        let (piece, cut) = match piece.strip_suffix([',', ';', '/', '&', '+', '\n']) {
            Some(piece) => (piece, true),
            None => (piece, false),
        };
        for word in piece.split_whitespace() {
            if ["and", "plus", "with"].iter().any(|separator| word.eq_ignore_ascii_case(separator)) {
                parts.push(String::new());
            } else if let Some(part) = parts.last_mut() {
                if !part.is_empty() {
                    part.push(' ');
                }
                part.push_str(word);
            }
        }
        if cut {
            parts.push(String::new());
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}

/// The words of a text, folded.
fn fold(text: &str) -> Words {
    #[derive(PartialEq)]
    enum Kind {
        Letters,
        Digits,
        Percent,
        Gap,
    }
    let mut words: Words = Vec::new();
    let mut last = Kind::Gap;
    for character in text.chars().flat_map(char::to_lowercase) {
        let kind = match character {
            '\'' | '’' => continue,
            '%' => Kind::Percent,
            _ if character.is_numeric() => Kind::Digits,
            _ if character.is_alphabetic() => Kind::Letters,
            _ => Kind::Gap,
        };
        if kind != Kind::Gap {
            let character = without_accent(character);
            match words.last_mut() {
                Some(word) if kind == last => word.push(character),
                _ => words.push(character.to_string()),
            }
        }
        last = kind;
    }
    for at in 0..words.len() {
        if words[at] == "percent" || (words[at] == "cent" && at > 0 && words[at - 1] == "per") {
            words[at] = "%".to_owned();
        } else if words[at].len() >= 3 && words[at].ends_with('s') && !words[at].ends_with("ss") {
            words[at].pop();
        }
    }
    words.retain(|word| word != "per");
    words
}

fn without_accent(character: char) -> char {
    match character {
        'à' | 'á' | 'â' | 'ã' | 'ä' | 'å' => 'a',
        'è' | 'é' | 'ê' | 'ë' => 'e',
        'ì' | 'í' | 'î' | 'ï' => 'i',
        'ò' | 'ó' | 'ô' | 'õ' | 'ö' => 'o',
        'ù' | 'ú' | 'û' | 'ü' => 'u',
        'ç' => 'c',
        'ñ' => 'n',
        _ => character,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn matcher(options: &[&[&str]], none: &[&str], own_words: &[&str]) -> Matcher {
        let none: Vec<String> = none.iter().map(|text| text.to_string()).collect();
        Matcher::new(options.iter().map(|names| names.to_vec()), &none, own_words.iter().copied())
    }

    fn teas() -> Matcher {
        matcher(&[&["taro milk tea"], &["black milk tea"]], &[], &["flavor", "drink"])
    }

    fn toppings() -> Matcher {
        matcher(
            &[
                &["boba", "tapioca", "pearls"],
                &["egg pudding"],
                &["crystal agar boba"],
                &["vanilla cream", "cream", "foam"],
            ],
            &["no toppings"],
            &["toppings", "topping"],
        )
    }

    fn sweetness() -> Matcher {
        matcher(
            &[
                &["0%", "no sugar", "zero percent"],
                &["25%", "twenty five percent"],
                &["50%", "half sugar", "fifty percent"],
                &["100%", "full sugar", "one hundred percent", "hundred percent"],
            ],
            &[],
            &["sweetness", "sugar"],
        )
    }

    fn ice() -> Matcher {
        matcher(&[&["no ice"], &["less ice", "light ice"], &["regular ice"], &["extra ice"]], &[], &["ice"])
    }

    fn unknown<T>(said: &str) -> Result<T, Miss> {
        Err(Miss::Unknown { said: said.to_owned() })
    }

    #[test]
    fn finds_the_one_option_that_is_meant() {
        for (matcher, said, option) in [
            (teas(), "taro milk tea", 0),
            (teas(), "  TARO  Milk-Tea!! ", 0),
            (teas(), "taro milk teas", 0),
            (teas(), "a taro milktea, please", 0),
            (teas(), "taro", 0),
            (teas(), "taro tea", 0),
            (teas(), "the black", 1),
            (teas(), "blakc milk tea", 1),
            (teas(), "black flavor", 1),
            (toppings(), "boba", 0),
            (toppings(), "Pearl", 0),
            (toppings(), "crystal boba", 2),
            (toppings(), "puddings", 1),
            (toppings(), "vanila cream", 3),
            (toppings(), "vanílla cream", 3),
            (sweetness(), "50%", 2),
            (sweetness(), "50", 2),
            (sweetness(), "50 percent", 2),
            (sweetness(), "50 per cent sugar", 2),
            (sweetness(), "fifty", 2),
            (sweetness(), "half", 2),
            (sweetness(), "0", 0),
            (sweetness(), "no sugar", 0),
            (sweetness(), "a hundred percent", 3),
            (sweetness(), "twenty-five percent", 1),
            (ice(), "no ice please", 0),
            (ice(), "less", 1),
            (ice(), "regular", 2),
            (ice(), "light ice", 1),
        ] {
            assert_eq!(matcher.one(said), Ok(option), "{said:?}");
        }
    }

    #[test]
    fn refuses_what_fits_nothing() {
        for (matcher, said) in [
            (teas(), "oolong"),
            (teas(), "iced taro milk tea"),
            (teas(), "no taro milk tea"),
            (teas(), "taro black milk tea"),
            (teas(), "tarot latte"),
            (teas(), ""),
            (teas(), "!?"),
            (teas(), "drink"),
            (toppings(), "no boba"),
            (toppings(), "extra boba"),
            (toppings(), "boda"),
            (sweetness(), "5%"),
            (sweetness(), "2 5%"),
            (sweetness(), "60%"),
            (sweetness(), "1"),
            (sweetness(), "one"),
            (sweetness(), "twenty"),
            (sweetness(), "sixty percent"),
            (sweetness(), "%"),
            (sweetness(), "150%"),
            (ice(), "not less ice"),
            (ice(), "no"),
            (ice(), "nice"),
            (ice(), "no less ice"),
        ] {
            assert_eq!(matcher.one(said), unknown(said), "{said:?}");
        }
        let long = "boba ".repeat(1000);
        assert_eq!(toppings().one(&long), unknown(&long));
    }

    #[test]
    fn asks_when_several_options_fit() {
        for (matcher, said, options) in [
            (teas(), "milk tea", vec![0, 1]),
            (teas(), "tea", vec![0, 1]),
            (ice(), "ice", vec![0, 1, 2, 3]),
            (sweetness(), "sugar", vec![0, 2, 3]),
        ] {
            assert_eq!(matcher.one(said), Err(Miss::Ambiguous { said: said.into(), options }), "{said:?}");
        }
    }

    #[test]
    fn reads_lists() {
        for (said, options) in [
            (&["boba"][..], &[0][..]),
            (&["vanilla cream", "boba"], &[0, 3]),
            (&["boba, egg pudding and cream"], &[0, 1, 3]),
            (&["boba with pudding", "boba"], &[0, 1]),
            (&["agar, boba"], &[0, 2]),
            (&["egg, pudding"], &[1]),
            (&["Boba & Foam."], &[0, 3]),
            (&[], &[]),
            (&["none"], &[]),
            (&["no toppings, please"], &[]),
            (&["no topping"], &[]),
            (&["nothing"], &[]),
        ] {
            assert_eq!(toppings().many(said).as_deref(), Ok(options), "{said:?}");
        }
        for (said, part) in [
            (&["boba, cheese foam"][..], "cheese foam"),
            (&["boba", "no pudding"], "no pudding"),
            (&["boba and no pudding"], "no pudding"),
            (&["none", "boba"], "none, boba"),
            (&["boba", "none"], "none, boba"),
            (&[""], ""),
        ] {
            assert_eq!(toppings().many(said), unknown(part), "{said:?}");
        }
        let cookies = matcher(&[&["cookies and cream"], &["cream"]], &[], &[]);
        assert_eq!(cookies.many(&["cookies and cream"]), Ok(vec![0]));
    }

    #[test]
    fn names_that_cannot_be_told_apart_are_found() {
        assert_eq!(matcher(&[&["Oat"], &["soy", "oats"]], &[], &[]).clash(), Some((0, 1)));
        assert_eq!(teas().clash(), None);
        assert_eq!(matcher(&[&["boba"], &["nothing"]], &[], &[]).clash_with_none(), Some(1));
        assert_eq!(toppings().clash_with_none(), None);
    }

    #[test]
    fn slips_are_counted() {
        for (a, b, slips) in [("", "", 0), ("latte", "late", 1), ("latte", "lattte", 1), ("latte", "altte", 1)] {
            assert_eq!(distance(a, b), slips);
        }
        assert!(nearly("capuccino", "cappuccino") && nearly("expresso", "espresso"));
        assert!(!nearly("soda", "soya") && !nearly("forty", "fifty"));
    }

    proptest! {
        #[test]
        fn no_text_panics(said in any::<String>()) {
            for matcher in [teas(), toppings(), sweetness(), ice()] {
                let _ = (matcher.one(&said), matcher.many(&[&said]));
            }
        }

        #[test]
        fn a_number_is_right_or_refused(number in 0_u32..1000) {
            let exact = match number { 0 => Some(0), 25 => Some(1), 50 => Some(2), 100 => Some(3), _ => None };
            for said in [format!("{number}%"), format!("{number}"), format!("{number} percent sugar")] {
                prop_assert_eq!(sweetness().one(&said).ok(), exact, "{}", said);
            }
        }

        #[test]
        fn a_word_too_many_is_refused(
            word in "(no|not|without|iced|double|decaf|hot|skip|never|half)", matcher in 0_usize..2, option in 0_usize..2,
        ) {
            let (matcher, names) =
                [(teas(), ["taro milk tea", "black milk tea"]), (toppings(), ["boba", "egg pudding"])][matcher].clone();
            let said = format!("{word} {}", names[option]);
            prop_assert!(matcher.one(&said).is_err(), "{}", said);
            prop_assert!(matcher.many(&[&said]).is_err(), "{}", said);
        }
    }
}
