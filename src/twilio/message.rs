//! The messages of one media stream: what Twilio says to us, and the three things we may say to it.
//!
//! Fifty `media` messages a second arrive on every call, so parsing one borrows from the socket's buffer and allocates
//! nothing, and writing one allocates exactly the text that is sent. This file does not know about sockets, calls or
//! what the audio means; the other half of the conversation, which only a simulator speaks, is in
//! [`far_end`](super::far_end).

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::{Deserialize, Serialize};

/// Twilio pads its base64; nothing is lost by also taking text without padding.
pub(super) const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Why a text frame of a media stream could not be understood.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    /// Not JSON, not an object, no `event`, or a field of the wrong type.
    #[error("not a media-stream message: {}", place(.0))]
    Shape(#[from] serde_json::Error),
    /// The event is known, but the object that carries its data is missing.
    #[error("a `{event}` message without its `{event}` object")]
    Incomplete {
        /// The event named by the message.
        event: &'static str,
    },
    /// A DTMF message whose digit is not a single one of `0-9`, `*`, `#`, `A-D`.
    #[error("a `dtmf` message whose digit is not one key of a telephone")]
    Digit,
    /// The payload is not base64.
    #[error("a media payload that is not base64: {0}")]
    Payload(#[from] base64::DecodeError),
    /// Something that may not be sent to Twilio on a stream: it answers with error 31924 and closes.
    #[error("Twilio does not take `{event}` messages")]
    NotAllowed {
        /// The event named by the message.
        event: String,
    },
}

/// One message of Twilio's, in the order in which a call sees them.
#[derive(Debug, PartialEq)]
pub enum PhoneMessage<'a> {
    /// The socket speaks media streams. Says nothing about the call.
    Connected,
    /// Which call this is, what format its audio has, and the parameters of our TwiML.
    Start(Box<Start>),
    /// A piece of audio, 20 ms as a rule. Only the caller's when [`Media::is_inbound`].
    Media(Media<'a>),
    /// The caller pressed a key.
    Dtmf {
        /// One of `0-9`, `*`, `#`, `A-D`.
        digit: char,
    },
    /// The audio before this mark was played, or flushed by a `clear`.
    Mark {
        /// The name we gave it.
        name: Cow<'a, str>,
    },
    /// The stream has ended; nothing follows.
    Stop,
    /// An event that this program does not know. Twilio may add some: log it once and go on.
    Unknown {
        /// Its name.
        event: Cow<'a, str>,
    },
}

impl<'a> PhoneMessage<'a> {
    /// Parses one text frame. Unknown fields are ignored, and a `media` message allocates nothing.
    ///
    /// # Errors
    /// [`MessageError`] for anything that is not such a message; the stream itself is unharmed by it.
    pub fn parse(text: &'a str) -> Result<Self, MessageError> {
        let frame: Frame<'a> = object(text)?;
        Ok(match &*frame.event {
            "media" => {
                let fields = frame.media.ok_or(MessageError::Incomplete { event: "media" })?;
                Self::Media(Media { inbound: fields.track == "inbound", payload: fields.payload })
            }
            "mark" => Self::Mark { name: frame.mark.ok_or(MessageError::Incomplete { event: "mark" })?.name },
            "start" => {
                let start = frame.start.ok_or(MessageError::Incomplete { event: "start" })?;
                Self::Start(Box::new(start))
            }
            "dtmf" => {
                let fields = frame.dtmf.ok_or(MessageError::Incomplete { event: "dtmf" })?;
                Self::Dtmf { digit: key(&fields.digit).ok_or(MessageError::Digit)? }
            }
            "connected" => Self::Connected,
            "stop" => Self::Stop,
            _ => Self::Unknown { event: frame.event },
        })
    }
}

/// What `start` says about the call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Start {
    /// Names this stream; every message we send carries it.
    pub stream_sid: String,
    /// Names the call, as in the voice webhook.
    pub call_sid: String,
    /// The account that the number belongs to.
    #[serde(default)]
    pub account_sid: Option<String>,
    /// The format of the audio, both ways.
    #[serde(default)]
    pub media_format: MediaFormat,
    /// The `<Parameter>`s of our TwiML.
    #[serde(default, rename = "customParameters")]
    pub parameters: BTreeMap<String, String>,
}

/// The format of a stream's audio.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MediaFormat {
    /// A media type.
    pub encoding: String,
    /// Samples a second.
    pub sample_rate: u32,
    /// 1 for mono.
    pub channels: u32,
}

impl MediaFormat {
    /// Whether this is µ-law, 8 kHz, mono: the only format that Twilio documents and that we speak.
    pub fn is_telephone(&self) -> bool {
        *self == Self::default()
    }
}

impl Default for MediaFormat {
    fn default() -> Self {
        Self { encoding: "audio/x-mulaw".to_owned(), sample_rate: 8000, channels: 1 }
    }
}

/// One piece of audio, still as base64.
#[derive(Debug, PartialEq, Eq)]
pub struct Media<'a> {
    inbound: bool,
    payload: Cow<'a, str>,
}

impl Media<'_> {
    /// Whether this is what the caller said. Any other track is our own voice, and must never reach the agent.
    pub fn is_inbound(&self) -> bool {
        self.inbound
    }

    /// Decodes the µ-law bytes into `out`, which is emptied first and keeps its capacity.
    ///
    /// # Errors
    /// [`MessageError::Payload`] for what is not base64; `out` is then empty.
    pub fn decode_into(&self, out: &mut Vec<u8>) -> Result<(), MessageError> {
        out.clear();
        BASE64.decode_vec(&*self.payload, out).map_err(|error| {
            out.clear();
            MessageError::Payload(error)
        })
    }
}

/// Writes what may go to Twilio on one stream: `media`, `mark` and `clear`, and nothing else.
#[derive(Debug, Clone)]
pub struct StreamWriter {
    media_prefix: String,
    mark_prefix: String,
    clear: String,
}

impl StreamWriter {
    const SUFFIX: &str = "\"}}";

    /// A writer for the stream that `start` named.
    pub fn new(stream_sid: &str) -> Self {
        let sid = json_string(stream_sid);
        Self {
            media_prefix: format!(r#"{{"event":"media","streamSid":{sid},"media":{{"payload":""#),
            mark_prefix: format!(r#"{{"event":"mark","streamSid":{sid},"mark":{{"name":"#),
            clear: format!(r#"{{"event":"clear","streamSid":{sid}}}"#),
        }
    }

    /// Audio to play after whatever is queued: raw µ-law, 8 kHz, any length.
    ///
    /// The text's capacity equals its length, so that turning it into a socket message does not copy it.
    pub fn media(&self, audio: &[u8]) -> String {
        let payload = base64::encoded_len(audio.len(), true).unwrap_or(0);
        let mut text = String::with_capacity(self.media_prefix.len() + payload + Self::SUFFIX.len());
        text.push_str(&self.media_prefix);
        BASE64.encode_string(audio, &mut text);
        text.push_str(Self::SUFFIX);
        text
    }

    /// Asks Twilio to say `name` back once the audio sent so far has been played (or cleared).
    pub fn mark(&self, name: &str) -> String {
        let name = json_string(name);
        let mut text = String::with_capacity(self.mark_prefix.len() + name.len() + 2);
        text.push_str(&self.mark_prefix);
        text.push_str(&name);
        text.push_str("}}");
        text
    }

    /// Drops everything queued. Twilio then also echoes every mark that was still waiting.
    pub fn clear(&self) -> String {
        self.clear.clone()
    }
}

/// `text` as a JSON string, quotes included.
pub(super) fn json_string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Reads a JSON object. Without the look at its first byte an array would do: serde also reads structs by position.
pub(super) fn object<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, serde_json::Error> {
    match text.trim_ascii_start().starts_with('{') {
        true => serde_json::from_str(text),
        false => Err(serde::de::Error::custom("expected an object")),
    }
}

/// One flat view of every event, so that a frame is read in a single pass: a tagged enum would make serde buffer the
/// whole message, payload included, before it knows which variant it is.
#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(borrow)]
    event: Cow<'a, str>,
    #[serde(borrow)]
    media: Option<MediaFields<'a>>,
    #[serde(borrow)]
    mark: Option<MarkFields<'a>>,
    #[serde(borrow)]
    dtmf: Option<DtmfFields<'a>>,
    start: Option<Start>,
}

#[derive(Deserialize)]
struct MediaFields<'a> {
    /// `<Connect><Stream>` carries only the caller's track, so a message that does not say which one is theirs.
    #[serde(borrow, default = "inbound")]
    track: Cow<'a, str>,
    #[serde(borrow)]
    payload: Cow<'a, str>,
}

#[derive(Deserialize)]
struct MarkFields<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
}

#[derive(Deserialize)]
struct DtmfFields<'a> {
    #[serde(borrow)]
    digit: Cow<'a, str>,
}

fn inbound() -> Cow<'static, str> {
    Cow::Borrowed("inbound")
}

fn key(text: &str) -> Option<char> {
    let mut letters = text.chars();
    let key = letters.next()?;
    (letters.next().is_none() && matches!(key, '0'..='9' | '*' | '#' | 'A'..='D')).then_some(key)
}

/// Where and in which way JSON is wrong, without quoting it: it may hold somebody's number, or a megabyte.
fn place(error: &serde_json::Error) -> String {
    format!("{:?} error in line {}, column {}", error.classify(), error.line(), error.column()).to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const START: &str = r#"{"event":"start","sequenceNumber":"1","start":{"accountSid":"AC0","streamSid":"MZ0",
        "callSid":"CA0","tracks":["inbound"],"mediaFormat":{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1},
        "customParameters":{"token":"t","from":"+15551234567"}},"streamSid":"MZ0"}"#;
    const MEDIA: &str = r#"{"event":"media","sequenceNumber":"3","media":{"track":"inbound","chunk":"1",
        "timestamp":"5","payload":"/38A"},"streamSid":"MZ0"}"#;

    fn media(text: &str) -> Media<'_> {
        match PhoneMessage::parse(text) {
            Ok(PhoneMessage::Media(media)) => media,
            other => panic!("not media: {other:?}"),
        }
    }

    #[test]
    fn start_says_everything_about_the_call() {
        let PhoneMessage::Start(start) = PhoneMessage::parse(START).unwrap() else { panic!("not start") };
        assert_eq!((start.stream_sid.as_str(), start.call_sid.as_str()), ("MZ0", "CA0"));
        assert_eq!(start.account_sid.as_deref(), Some("AC0"));
        assert!(start.media_format.is_telephone());
        assert_eq!(start.parameters.get("token").map(String::as_str), Some("t"));
        assert_eq!(start.parameters.len(), 2);
    }

    #[test]
    fn another_format_is_seen() {
        let text = START.replace("8000", "16000");
        let PhoneMessage::Start(start) = PhoneMessage::parse(&text).unwrap() else { panic!("not start") };
        assert!(!start.media_format.is_telephone());
    }

    #[test]
    fn media_borrows_its_payload_and_reuses_the_buffer() {
        let media = media(MEDIA);
        assert!(matches!(media.payload, Cow::Borrowed(_)));
        let mut out = Vec::with_capacity(160);
        let (place, room) = (out.as_ptr(), out.capacity());
        media.decode_into(&mut out).unwrap();
        assert_eq!(out, [0xff, 0x7f, 0x00]);
        assert_eq!((out.as_ptr(), out.capacity()), (place, room));
    }

    #[test]
    fn a_payload_with_json_escapes_is_the_same_audio() {
        let text = MEDIA.replace("/38A", r"\/38A");
        let mut out = Vec::new();
        media(&text).decode_into(&mut out).unwrap();
        assert_eq!(out, [0xff, 0x7f, 0x00]);
    }

    #[test]
    fn only_the_inbound_track_is_the_caller() {
        assert!(media(MEDIA).is_inbound());
        assert!(!media(&MEDIA.replace("inbound", "outbound")).is_inbound());
        assert!(media(&MEDIA.replace(r#""track":"inbound","#, "")).is_inbound());
    }

    #[test]
    fn base64_that_is_not_is_an_error_and_leaves_nothing_behind() {
        for payload in ["!!!!", "/38", "/", "é", "/38A=", "AAAA AAAA"] {
            let text = MEDIA.replace("/38A", payload);
            let mut out = vec![1, 2, 3];
            match media(&text).decode_into(&mut out) {
                Ok(()) => assert_eq!(payload, "/38", "only missing padding is forgiven"),
                Err(MessageError::Payload(_)) => assert!(out.is_empty()),
                Err(other) => panic!("{other}"),
            }
        }
        let text = MEDIA.replace("/38A", "");
        let mut out = vec![1];
        media(&text).decode_into(&mut out).unwrap();
        assert!(out.is_empty(), "an empty frame is silence of no length");
    }

    #[test]
    fn the_small_events() {
        let parse = |text| PhoneMessage::parse(text).unwrap();
        assert_eq!(parse(r#"{"event":"connected","protocol":"Call","version":"1.0.0"}"#), PhoneMessage::Connected);
        assert_eq!(parse(r#"{"event":"stop","stop":{"callSid":"CA0"}}"#), PhoneMessage::Stop);
        assert_eq!(
            parse(r##"{"event":"dtmf","dtmf":{"track":"inbound_track","digit":"#"}}"##),
            PhoneMessage::Dtmf { digit: '#' }
        );
        assert_eq!(
            parse(r#"{"event":"mark","mark":{"name":"reply-1"}}"#),
            PhoneMessage::Mark { name: "reply-1".into() }
        );
        assert_eq!(parse(r#"{"event":"weather","weather":[]}"#), PhoneMessage::Unknown { event: "weather".into() });
    }

    #[test]
    fn hostile_frames_are_errors() {
        let huge = format!("{{\"event\":\"media\",\"media\":{}", "[".repeat(100_000));
        for text in [
            "",
            " ",
            "null",
            "[]",
            "\"media\"",
            "{}",
            "{",
            "\u{0}",
            r#"["connected",null,null,null,null]"#,
            r#"{"event":5}"#,
            r#"{"event":null}"#,
            r#"{"event":["media"]}"#,
            r#"{"event":"media"}"#,
            r#"{"event":"media","media":null}"#,
            r#"{"event":"media","media":"AAAA"}"#,
            r#"{"event":"media","media":{}}"#,
            r#"{"event":"media","media":{"payload":7}}"#,
            r#"{"event":"start"}"#,
            r#"{"event":"start","start":{"streamSid":"MZ0"}}"#,
            r#"{"event":"start","start":{"streamSid":1,"callSid":2}}"#,
            r#"{"event":"start","start":{"streamSid":"M","callSid":"C","customParameters":{"token":1}}}"#,
            r#"{"event":"dtmf","dtmf":{"digit":"12"}}"#,
            r#"{"event":"dtmf","dtmf":{"digit":""}}"#,
            r#"{"event":"dtmf","dtmf":{"digit":"x"}}"#,
            r#"{"event":"dtmf","dtmf":{"digit":1}}"#,
            r#"{"event":"mark","mark":{}}"#,
            r#"{"event":"stop"} trailing"#,
            &huge,
        ] {
            assert!(PhoneMessage::parse(text).is_err(), "{:.60} was understood", text);
        }
    }

    #[test]
    fn what_we_write_is_what_twilio_documents() {
        let writer = StreamWriter::new("MZ0");
        insta::assert_snapshot!(writer.media(&[0xff, 0x7f, 0x00, 0x80]), @r#"{"event":"media","streamSid":"MZ0","media":{"payload":"/38AgA=="}}"#);
        insta::assert_snapshot!(writer.mark("reply-1"), @r#"{"event":"mark","streamSid":"MZ0","mark":{"name":"reply-1"}}"#);
        insta::assert_snapshot!(writer.clear(), @r#"{"event":"clear","streamSid":"MZ0"}"#);
    }

    #[test]
    fn hostile_names_stay_inside_their_strings() {
        let writer = StreamWriter::new("MZ\"},\"x\":\"\u{7}");
        for text in [writer.media(b"a"), writer.mark("a\"}}\n{"), writer.clear()] {
            let value: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!(value["streamSid"], "MZ\"},\"x\":\"\u{7}");
            assert!(value.get("x").is_none());
        }
    }

    proptest! {
        #[test]
        fn any_audio_survives_and_costs_one_exact_allocation(audio in prop::collection::vec(any::<u8>(), 0..2000)) {
            let text = StreamWriter::new("MZ0").media(&audio);
            prop_assert_eq!(text.len(), text.capacity());
            let mut out = Vec::new();
            media(&text).decode_into(&mut out).unwrap();
            prop_assert_eq!(out, audio);
        }

        #[test]
        fn no_text_at_all_panics(text in ".*") {
            let _ = PhoneMessage::parse(&text);
        }
    }
}
