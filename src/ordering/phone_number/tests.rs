use super::*;
use proptest::prelude::*;

fn us(text: &str) -> Result<String, PhoneError> {
    PhoneNumber::parse(text, Region::US).map(String::from)
}

fn number(text: &str) -> PhoneNumber {
    PhoneNumber::parse(text, Region::US).unwrap()
}

#[test]
fn every_way_to_say_a_number() {
    for text in [
        "555-123-4567",
        "5551234567",
        "15551234567",
        "1-555-123-4567",
        "+1 (555) 123 4567",
        "(555) 123-4567",
        "tel:+1-555-123-4567",
        "555.123.4567",
        "five five five, one two three, four five six seven",
        "Five Five Five One Two Three Four Five Six Seven.",
        "double five five one two three four five six seven",
        "triple five, one two three, forty five sixty seven",
        "five fifty five, one twenty three, four thousand... no",
        "plus one five five five one two three four five six seven",
        "It's 555, 123, 45 67, thanks!",
        "my number is area code 555 and then 1 2 3 4 5 6 7 please",
    ] {
        let expected = if text.ends_with("no") { Err(PhoneError::NotANumber) } else { Ok("+15551234567".into()) };
        assert_eq!(us(text), expected, "{text}");
    }
    for (text, e164) in [
        ("eight hundred five five five oh one two three", "+18005550123"),
        ("one eight hundred, five five five, zero one double two", "+18005550122"),
        ("five five five eight six seven five three oh nine", "+15558675309"),
        ("five five five ten twenty thirty oh", "+15551020300"),
        ("two one two fifty five fifty oh nineteen", "+12125550019"),
        ("+44 20 7946 0958", "+442079460958"),
        ("+44 (0)20 7946 0958", "+442079460958"),
        ("+33 1 42 68 53 00", "+33142685300"),
        ("011 33 1 42 68 53 00", "+33142685300"),
        ("+39 06 698 82662", "+390669882662"),
        ("011 44 20 7946 0958", "+442079460958"),
        ("plus four four, two oh, seven nine four six, oh nine five eight", "+442079460958"),
    ] {
        assert_eq!(us(text).as_deref(), Ok(e164), "{text}");
    }
    let london = PhoneNumber::parse("020 7946 0958", "GB".parse().unwrap()).unwrap();
    assert_eq!(london.as_e164(), "+442079460958");
    let paris = PhoneNumber::parse("01 42 68 53 00", "FR".parse().unwrap()).unwrap();
    assert_eq!(paris.as_e164(), "+33142685300");
    for moscow in ["800 555 35 35", "8 800 555 35 35", "+7 800 555 35 35"] {
        let moscow = PhoneNumber::parse(moscow, "RU".parse().unwrap()).unwrap();
        assert_eq!(moscow.as_e164(), "+78005553535");
        assert_eq!(moscow.country().unwrap().as_str(), "RU");
    }
    let rome = PhoneNumber::parse("06 698 82662", "IT".parse().unwrap()).unwrap();
    assert_eq!(rome.as_e164(), "+390669882662");
}

#[test]
fn anything_else_is_refused() {
    for text in [
        "",
        "   ",
        "no",
        "the usual",
        "+",
        "plus",
        "double",
        "five five five double",
        "double fifty one two three four five six seven eight",
        "five five for one two three four five six seven",
        "555-123-4567 extension 12",
        "555-123-4567x12",
        "1-800-FLOWERS",
        "555#123#4567",
        "555 123 4567 + 1",
        "hundred five five five one two three four",
        "anonymous",
        "<script>5551234567</script>",
        "sip:5551234567@example.com",
    ] {
        assert_eq!(us(text), Err(PhoneError::NotANumber), "{text}");
    }
    for text in [
        "0",
        "911",
        "123 4567",
        "555 123 456",
        "555 123 45678",
        "+1 555 123 456",
        "+1 555 123 45678",
        "+999 555 123 4567",
        "+0 555 123 4567",
        "555 123 4567, 555 123 4567",
        "00000000000000000000000000000000000",
    ] {
        assert_eq!(us(text), Err(PhoneError::WrongLength), "{text}");
    }
    assert_eq!(us(&"five ".repeat(1000)), Err(PhoneError::NotANumber));
}

#[test]
fn numbers_are_found_in_a_sentence() {
    for (text, numbers) in [
        ("555 123 4567 and the order is 4 7 8 2", &["5551234567", "4782"][..]),
        ("order four seven eight two, phone +1 555-123-4567", &["4782", "+15551234567"]),
        ("double five, five then nothing", &["555"]),
        ("+1 +2", &["+1", "+2"]),
        ("nothing at all", &[]),
        ("double", &[]),
        ("", &[]),
    ] {
        assert_eq!(numbers_in(text), numbers, "{text}");
    }
}

#[test]
fn is_spoken_in_the_groups_of_its_country() {
    for (e164, spoken) in [
        ("+15551234567", "5 5 5, 1 2 3, 4 5 6 7"),
        ("+12015550123", "2 0 1, 5 5 5, 0 1 2 3"),
        ("+442079460958", "0 2 0, 7 9 4 6, 0 9 5 8"),
        ("+447911123456", "0 7 9 1 1, 1 2 3 4 5 6"),
        ("+33142685300", "0 1, 4 2, 6 8, 5 3, 0 0"),
    ] {
        assert_eq!(number(e164).spoken(), spoken);
    }
}

#[test]
fn is_masked_wherever_it_could_be_logged() {
    let number = number("+15551234567");
    assert_eq!(number.masked(), "*********67");
    assert_eq!(format!("{number:?}"), "PhoneNumber(*********67)");
}

#[test]
fn knows_its_country() {
    for (e164, country) in [
        ("+15551234567", "US"),
        ("+12015550123", "US"),
        ("+16137827274", "CA"),
        ("+18765550123", "JM"),
        ("+442079460958", "GB"),
        ("+491711234567", "DE"),
    ] {
        assert_eq!(number(e164).country().map(|region| region.to_string()).as_deref(), Some(country), "{e164}");
    }
    assert_eq!("us".parse(), Ok(Region::US));
    for text in ["", "USA", "U", "XX", "🇺🇸"] {
        assert!(text.parse::<Region>().is_err(), "{text}");
    }
}

#[test]
fn only_e164_is_read_back() {
    let stored: PhoneNumber = serde_json::from_str("\"+15551234567\"").unwrap();
    assert_eq!(stored, number("555 123 4567"));
    assert_eq!(serde_json::to_string(&stored).unwrap(), "\"+15551234567\"");
    for text in ["5551234567", "+0555123456", "+1555", "+1 555 123 4567", "+1555123456789012", "+1555123456a", ""] {
        assert!(serde_json::from_value::<PhoneNumber>(text.into()).is_err(), "{text}");
    }
}

proptest! {
    #[test]
    fn ten_digits_are_one_number_however_they_are_written(
        digits in "[2-9][0-9]{9}", separators in prop::collection::vec("[ .,()-]{0,2}", 10), words in any::<u16>(),
    ) {
        const WORDS: [&str; 10] =
            ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
        let mut text = String::new();
        for (at, (digit, separator)) in digits.chars().zip(&separators).enumerate() {
            if words >> at & 1 == 1 {
                text += &format!(" {} ", WORDS[digit.to_digit(10).unwrap() as usize]);
            } else {
                text.push(digit);
            }
            text += separator;
        }
        prop_assert_eq!(us(&text), Ok(format!("+1{digits}")));
    }

    #[test]
    fn what_is_read_reads_the_same_again(text in "[+0-9a-z ]{0,40}") {
        if let Ok(number) = PhoneNumber::parse(&text, Region::US) {
            prop_assert_eq!(PhoneNumber::parse(number.as_e164(), Region::US), Ok(number.clone()));
            prop_assert!(!number.spoken().is_empty());
        }
    }

    #[test]
    fn no_text_panics(text in any::<String>()) {
        let _ = PhoneNumber::parse(&text, Region::US);
    }
}
