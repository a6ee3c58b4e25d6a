//! Changes inputs: bit by bit, by splicing, by the target's own words, and – where an input is JSON – by its structure.

use crate::random::Random;
use serde_json::{Value, json};

/// One input, changed a few times.
pub(super) fn mutated(inputs: &[Vec<u8>], words: &[&str], random: &mut Random) -> Vec<u8> {
    let mut input = random.of(inputs).clone();
    for _ in 0..=random.below(4) {
        input = match random.below(3) {
            0 => structure(&input, words, random).unwrap_or(input),
            _ => bytes(input, inputs, words, random),
        };
    }
    input
}

fn bytes(mut input: Vec<u8>, inputs: &[Vec<u8>], words: &[&str], random: &mut Random) -> Vec<u8> {
    let piece = random.piece(input.len());
    match random.below(9) {
        0 if !input.is_empty() => {
            let at = random.below(input.len());
            input[at] ^= 1 << random.below(8);
        }
        1 if !input.is_empty() => {
            let at = random.below(input.len());
            input[at] = *random.of(b"\"\\{}[],:=#.-+eE0123456789 \n\t\0\x7f\xff\xc3\xf0");
        }
        2 => drop(input.drain(piece)),
        3 => {
            let copy = input[piece.clone()].to_vec();
            input.splice(piece.end..piece.end, copy);
        }
        4 => drop(input.splice(piece, random.of(words).bytes())),
        5 => {
            let other = random.of(inputs);
            let from = random.piece(other.len());
            input.splice(piece, other[from].iter().copied());
        }
        6 => lines(&mut input, inputs, random),
        7 => {
            let numbers = ["0", "-1", "1e400", "18446744073709551616", "0.1", "4294967296", "NaN", "2147483648", "00"];
            input.splice(piece, random.of(&numbers).bytes());
        }
        _ => {
            let many = random.of(words).repeat(1 + random.below(40));
            input.splice(piece.start..piece.start, many.into_bytes());
        }
    }
    input
}

/// Drops, doubles, swaps or takes over a line.
fn lines(input: &mut Vec<u8>, inputs: &[Vec<u8>], random: &mut Random) {
    let mut lines: Vec<&[u8]> = input.split(|byte| *byte == b'\n').collect();
    let at = random.below(lines.len());
    let other = random.below(lines.len());
    match random.below(4) {
        0 => drop(lines.remove(at)),
        1 => lines.insert(other, lines[at]),
        2 => lines.swap(at, other),
        _ => {
            let theirs: Vec<&[u8]> = random.of(inputs).split(|byte| *byte == b'\n').collect();
            let theirs = theirs[random.below(theirs.len())];
            lines.insert(at, theirs);
        }
    }
    *input = lines.join(&b'\n');
}

/// Changes one place of a JSON value, or of one that a line of the input ends with.
fn structure(input: &[u8], words: &[&str], random: &mut Random) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(input).ok()?;
    let lines: Vec<&str> = text.lines().collect();
    let (start, line) = match serde_json::from_str::<Value>(text) {
        Ok(_) => (0, text),
        Err(_) if lines.is_empty() => return None,
        Err(_) => {
            let line = random.of(&lines);
            let start = line.as_ptr() as usize - text.as_ptr() as usize + line.find(['{', '['])?;
            (start, text[start..].lines().next()?)
        }
    };
    let mut value: Value = serde_json::from_str(line).ok()?;
    let mut places = Vec::new();
    count(&value, &mut String::new(), &mut places);
    let place = value.pointer_mut(&places[random.below(places.len())])?;
    match (random.below(6), place) {
        (0, place) => *place = strange(words, random),
        (1, Value::Object(map)) if !map.is_empty() => {
            let key = map.keys().nth(random.below(map.len()))?.clone();
            map.shift_remove(&key);
        }
        (2, Value::Object(map)) => drop(map.insert((*random.of(words)).to_owned(), strange(words, random))),
        (3, Value::Array(list)) => list.push(strange(words, random)),
        (3, place) => *place = json!([place.clone()]),
        (4, place) => *place = Value::String(place.to_string()),
        (_, Value::String(string)) => *string = format!("{string}{}", random.of(words)),
        (_, place) => *place = strange(words, random),
    }
    let changed = value.to_string();
    Some(format!("{}{changed}{}", &text[..start], &text[start + line.len()..]).into_bytes())
}

fn count(value: &Value, path: &mut String, places: &mut Vec<String>) {
    places.push(path.clone());
    let mut inner = |key: &str, value: &Value| {
        let length = path.len();
        path.push('/');
        path.push_str(&key.replace('~', "~0").replace('/', "~1"));
        count(value, path, places);
        path.truncate(length);
    };
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| inner(key, value)),
        Value::Array(list) => list.iter().enumerate().for_each(|(at, value)| inner(&at.to_string(), value)),
        _ => {}
    }
}

fn strange(words: &[&str], random: &mut Random) -> Value {
    match random.below(16) {
        0 => Value::Null,
        1 => json!(true),
        2 => json!(0),
        3 => json!(-1),
        4 => json!(1e300),
        5 => json!(u64::MAX),
        6 => json!(0.5),
        7 => json!(""),
        8 => json!([]),
        9 => json!({}),
        10 => json!([null, [], {}]),
        11 => json!("\u{0}\u{202e}\u{1F9CB}é\"\\"),
        12 => json!("9".repeat(1 + random.below(400))),
        _ => json!(random.of(words)),
    }
}
