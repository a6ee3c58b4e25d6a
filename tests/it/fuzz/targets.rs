//! What is fuzzed, and what must hold of whatever is read.

use super::{Target, fuzz};
use crate::harness::TestShop;
use bobarista::audio::{Downsampler, FRAME_BYTES, Framer, Upsampler};
use bobarista::deepgram::message::{AgentMessage, ClientMessage};
use bobarista::ordering::cart::FinalConfirmation;
use bobarista::ordering::menu::{Asked, Menu, Said};
use bobarista::ordering::order::Choice;
use bobarista::tools::{Caller, DeskRequest, ToolDesk, ToolRequest, Toolbox, Turn, specs};
use bobarista::twilio::message::{PhoneMessage, StreamWriter};
use serde_json::Value;
use std::fmt::Display;
use tokio::sync::mpsc;

#[test]
fn phone_messages() {
    let words = [
        "event",
        "media",
        "start",
        "stop",
        "mark",
        "dtmf",
        "connected",
        "clear",
        "payload",
        "track",
        "inbound",
        "outbound",
        "digit",
        "name",
        "streamSid",
        "callSid",
        "accountSid",
        "customParameters",
        "mediaFormat",
        "encoding",
        "sampleRate",
        "channels",
        "sequenceNumber",
        "chunk",
        "timestamp",
        "////",
        "/w==",
        "\\u0041",
        "\\/",
        "#",
        "token",
        "\\ud800",
        "null",
    ];
    let mut audio = Vec::new();
    let mut run = |input: &[u8]| {
        let text = String::from_utf8_lossy(input);
        let message = match PhoneMessage::parse(&text) {
            Ok(message) => message,
            Err(error) => return problem(&error),
        };
        let writer = StreamWriter::new("MZ0");
        match &message {
            PhoneMessage::Media(media) => {
                if let Err(error) = media.decode_into(&mut audio) {
                    assert!(audio.is_empty(), "half a frame is left");
                    return format!("media {} {}", media.is_inbound(), problem(&error));
                }
                let written = writer.media(&audio);
                let Ok(PhoneMessage::Media(again)) = PhoneMessage::parse(&written) else { panic!("{written}") };
                let mut twice = Vec::new();
                again.decode_into(&mut twice).expect("we wrote it");
                assert_eq!(audio, twice);
                // The codec takes any length.
                let mut up = Vec::new();
                Upsampler::new().push(&audio, &mut up);
                return format!("media {} {}", media.is_inbound(), audio.len().min(4));
            }
            PhoneMessage::Mark { name } => {
                let written = writer.mark(name);
                assert_eq!(PhoneMessage::parse(&written).expect("we wrote it"), message);
            }
            PhoneMessage::Start(start) => {
                let json = serde_json::to_string(start).expect("it was JSON");
                assert_eq!(
                    &serde_json::from_str::<bobarista::twilio::message::Start>(&json).expect("we wrote it"),
                    &**start
                );
                let format = start.media_format.is_telephone();
                return format!("start {format} {}", start.parameters.len().min(4));
            }
            _ => {}
        }
        shape(&format!("{message:?}"))
    };
    fuzz(Target { name: "phone_messages", words: &words, most_bytes: 8 << 10, run: &mut run });
}

const AGENTS_WORDS: [&str; 48] = [
    "type",
    "Welcome",
    "request_id",
    "SettingsApplied",
    "ConversationText",
    "role",
    "user",
    "assistant",
    "content",
    "UserStartedSpeaking",
    "AgentThinking",
    "AgentStartedSpeaking",
    "total_latency",
    "tts_latency",
    "AgentAudioDone",
    "FunctionCallRequest",
    "functions",
    "id",
    "name",
    "arguments",
    "client_side",
    "thought_signature",
    "FunctionCallCancelled",
    "FunctionCallResponse",
    "LatencyReport",
    "History",
    "InjectionRefused",
    "message",
    "PromptUpdated",
    "SpeakUpdated",
    "ThinkUpdated",
    "ListenUpdated",
    "Error",
    "Warning",
    "code",
    "description",
    "Settings",
    "agent",
    "audio",
    "input",
    "encoding",
    "KeepAlive",
    "UpdatePrompt",
    "prompt",
    "InjectAgentMessage",
    "InjectUserMessage",
    "behavior",
    "function_calls",
];

#[test]
fn agent_messages() {
    let mut run = |input: &[u8]| {
        let text = String::from_utf8_lossy(input);
        match AgentMessage::parse(&text) {
            Ok(message) => {
                let again = AgentMessage::parse(&message.to_json()).expect("we wrote it");
                assert_eq!(message, again, "from {text}");
                shape(&format!("{message:?}"))
            }
            Err(error) => problem(&error),
        }
    };
    fuzz(Target { name: "agent_messages", words: &AGENTS_WORDS, most_bytes: 8 << 10, run: &mut run });
}

#[test]
fn client_messages() {
    let mut run = |input: &[u8]| {
        let text = String::from_utf8_lossy(input);
        match ClientMessage::parse(&text) {
            Ok(message) => {
                let json = message.to_json();
                let again = ClientMessage::parse(&json).expect("we wrote it");
                assert_eq!(json, again.to_json(), "from {text}");
                shape(&format!("{message:?}"))
            }
            Err(error) => problem(&error),
        }
    };
    fuzz(Target { name: "client_messages", words: &AGENTS_WORDS, most_bytes: 16 << 10, run: &mut run });
}

/// The first bytes cut the rest into pieces: what comes out must not depend on it.
#[test]
fn sound() {
    fn pieces(input: &[u8]) -> (&[u8], Vec<&[u8]>) {
        let (cuts, sound) = input.split_at(input.len().min(8));
        let mut rest = sound;
        let mut pieces = Vec::new();
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, after) = rest.split_at(rest.len().min(usize::from(*cut) * 3 + 1));
            pieces.push(piece);
            rest = after;
        }
        (sound, pieces)
    }
    fn down<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
        let (mut sampler, mut framer, mut sent) = (Downsampler::new(), Framer::new(), Vec::new());
        let mut scratch = Vec::new();
        let frame = |sent: &mut Vec<u8>, frame: &[u8]| {
            assert!(frame.len().is_multiple_of(FRAME_BYTES) && !frame.is_empty(), "{}", frame.len());
            sent.extend_from_slice(frame);
        };
        for piece in pieces {
            scratch.clear();
            sampler.push(piece, &mut scratch);
            framer.push(&scratch, |audio| frame(&mut sent, audio));
        }
        scratch.clear();
        sampler.finish(&mut scratch);
        framer.push(&scratch, |audio| frame(&mut sent, audio));
        framer.finish(|audio| frame(&mut sent, audio));
        assert!(framer.is_empty());
        sent
    }
    fn up<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
        let (mut sampler, mut out) = (Upsampler::new(), Vec::new());
        pieces.into_iter().for_each(|piece| sampler.push(piece, &mut out));
        out
    }
    let mut run = |input: &[u8]| {
        let (whole, pieces) = pieces(input);
        let (cut, one) = (down(pieces.iter().copied()), down([whole]));
        assert_eq!(cut, one, "down depends on the pieces");
        let upward = up([whole]);
        assert_eq!(up(pieces), upward, "up depends on the pieces");
        assert_eq!(upward.len(), whole.len() * 12);
        format!("{} {} {}", whole.len().checked_ilog2().unwrap_or(0), cut.len() / FRAME_BYTES % 8, whole.len() % 7)
    };
    fuzz(Target { name: "sound", words: &["\0\0", "\x7f\x7f", "\u{80}", "RIFF"], most_bytes: 1 << 10, run: &mut run });
}

#[test]
fn menus() {
    let words = [
        "[[field]]",
        "name",
        "kind",
        "options",
        "price",
        "default",
        "aliases",
        "plural",
        "requires",
        "rule",
        "limits",
        "[hours]",
        "minutes_to_make",
        "one",
        "many",
        "base",
        "say",
        "greeting",
        "currency",
        "USD",
        "time_zone",
        "Europe/Berlin",
        "Mars/Base",
        "{",
        "}",
        "{flavor}",
        "\"\"\"",
        "inf",
        "nan",
        "1979-05-27",
        "99999999999.99",
        "-0.01",
        "\\u0000",
        "\u{202e}",
        "drinks_per_order",
        "[slots]",
        "spoken",
        "summary",
        "[[rules]]",
        "[",
        "]",
    ];
    let mut run = |input: &[u8]| {
        let text = String::from_utf8_lossy(input);
        let menu = match Menu::parse(&text) {
            Ok(menu) => menu,
            Err(error) => return problem(&error),
        };
        // All that is made of a menu, and one drink of every option.
        let (prompt, terms) = (menu.prompt(), menu.key_terms());
        let schemas: Vec<Value> = specs(&menu, true).into_iter().map(|spec| spec.parameters).collect();
        assert!(schemas.iter().all(Value::is_object));
        let mut drinks = Vec::new();
        let base = menu.base().name.clone();
        for first in menu.base().option_names() {
            for field in menu.fields() {
                for option in field.option_names() {
                    let fields =
                        vec![(base.clone(), Said::One(first.clone())), (field.name.clone(), Said::One(option))];
                    if let Ok(item) = menu.item(&Asked { fields, quantity: Some(2), note: Some("hot".to_owned()) }) {
                        assert!(!menu.summary(&item).is_empty());
                        assert!(
                            item.choice(&base).is_some_and(|choice| *choice == Choice::One(first.clone()))
                                || field.name == base
                        );
                        let same = menu.changed(&item, &Asked { fields: Vec::new(), quantity: None, note: None });
                        assert_eq!(same.as_ref(), Ok(&item), "changing nothing changes nothing");
                        drinks.push(item);
                    }
                }
            }
        }
        let summary = menu.cart_summary(&drinks);
        assert!(!prompt.is_empty() && !summary.is_empty());
        format!("menu {} {} {}", menu.fields().len(), terms.len() / 8, drinks.len() / 16)
    };
    fuzz(Target { name: "menus", words: &words, most_bytes: 16 << 10, run: &mut run });
}

/// A call as lines: `+` is the caller heard, `-n` cancels the request n lines before, `tool arguments` is asked for.
#[test]
fn tool_arguments() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let shop = runtime.block_on(TestShop::open([]));
    let toolbox = Toolbox {
        orders: shop.shop.orders().clone(),
        shop: shop.shop.shop().clone(),
        region: "US".parse().expect("a country"),
        final_confirmation: FinalConfirmation::MultiItem,
        can_transfer: true,
    };
    let menu = Menu::builtin("boba").expect("built in");
    let mut words: Vec<&str> = specs(&menu, true).iter().map(|spec| spec.name).collect();
    words.extend([
        "flavor",
        "toppings",
        "sweetness",
        "ice",
        "addons",
        "quantity",
        "note",
        "index",
        "phone",
        "name",
        "notes",
        "confirmed",
        "allow_duplicate",
        "order_number",
        "text",
        "reason",
        "taro",
        "black milk tea",
        "boba",
        "none",
        "50%",
        "no ice",
        "\n+\n",
        "555-123-4567",
        "+15551234567",
        "4782",
        "four seven",
        "double five",
        "٣",
        "-1",
        "\n-1\n",
        "true",
        "\"{}\"",
    ]);
    let mut calls = 0;
    let mut run = |input: &[u8]| {
        calls += 1;
        let caller = Caller {
            call_sid: format!("CA{calls}"),
            number: Some(format!("+1555{calls:07}")),
            correlation_id: "req_fuzz".to_owned(),
        };
        let desk = ToolDesk::new(toolbox.clone(), caller);
        runtime.block_on(converse(desk, &String::from_utf8_lossy(input)))
    };
    fuzz(Target { name: "tool_arguments", words: &words, most_bytes: 4 << 10, run: &mut run });
}

async fn converse(desk: ToolDesk, script: &str) -> String {
    let (requests, incoming) = mpsc::channel(1);
    let (outgoing, mut answers) = mpsc::channel(1);
    let desk = tokio::spawn(desk.run(incoming, outgoing));
    let mut turn = Turn::default();
    let mut outcomes = Vec::new();
    for (at, line) in script.lines().take(24).enumerate() {
        if line.starts_with('+') {
            turn = turn.next();
            continue;
        }
        if let Some(Ok(back)) = line.strip_prefix('-').map(str::parse::<usize>) {
            let cancel = DeskRequest::Cancel(vec![at.saturating_sub(back).to_string()]);
            requests.send(Box::new(cancel)).await.expect("the desk takes all there is");
            continue;
        }
        let (name, arguments) = line.split_once(' ').unwrap_or((line, ""));
        let (id, name, arguments) = (at.to_string(), name.to_owned(), arguments.to_owned());
        let request = ToolRequest { id, name, arguments, turn, batch: at as u64, heard: at % 2 == 0 };
        requests.send(Box::new(DeskRequest::Run(request))).await.expect("the desk takes all there is");
        let answer = answers.recv().await.expect("every request is answered");
        let content: Value = serde_json::from_str(&answer.content).expect("answers are JSON");
        assert!(content.is_object(), "{content}");
        assert_eq!(answer.outcome == "ok", content["ok"] != false, "{content}");
        outcomes.push(answer.outcome);
    }
    drop(requests);
    desk.await.expect("the desk does not panic");
    outcomes.sort_unstable();
    outcomes.dedup();
    outcomes.join(" ")
}

/// What an error is, without what was wrong in particular.
fn problem(error: &impl Display) -> String {
    let text = error.to_string();
    let quoted = text.find('`').zip(text.rfind('`'));
    let rest = quoted.map_or_else(|| text.clone(), |(from, to)| format!("{}{}", &text[..from], &text[to..]));
    rest.chars().filter(|letter| !letter.is_ascii_digit()).take(80).collect()
}

/// What a value is like, without what is written in it: its first word, then words as `a` and numbers as `0`.
fn shape(debug: &str) -> String {
    let word = debug.find(|letter: char| !letter.is_alphanumeric()).unwrap_or(debug.len());
    let (name, rest) = debug.split_at(word);
    let mut shape = name.to_owned();
    for letter in rest.chars() {
        let like = match letter {
            '0'..='9' => '0',
            'a'..='z' | 'A'..='Z' | '_' => 'a',
            '{' | '}' | '[' | ']' | '(' | ')' | '"' | ':' => letter,
            _ => continue,
        };
        if !shape.ends_with(like) {
            shape.push(like);
        }
        if shape.len() > 160 {
            break;
        }
    }
    shape
}
