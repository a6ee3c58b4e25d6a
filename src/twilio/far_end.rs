//! Twilio's own half of a media stream: what it writes and what it accepts.
//!
//! Only a simulator and tests speak this half. It is kept beside [`message`](super::message) so that the two sides of
//! one protocol are read, and changed, together. It knows nothing of timing: when a mark is echoed is the simulator's
//! business.

use std::borrow::Cow;

use base64::Engine as _;
use serde::Deserialize;
use serde_json::json;

use super::message::{BASE64, MessageError, Start, json_string, object};

/// Writes the messages of one stream as Twilio does: numbered, with numbers as strings.
#[derive(Debug)]
pub struct FarEndWriter {
    start: Start,
    sequence: u64,
    chunk: u64,
    media_suffix: String,
}

impl FarEndWriter {
    /// A writer for the stream that `start` describes.
    pub fn new(start: Start) -> Self {
        let media_suffix = format!(r#""}},"streamSid":{}}}"#, json_string(&start.stream_sid));
        Self { start, sequence: 0, chunk: 0, media_suffix }
    }

    /// The first message, which has no number.
    pub fn connected(&self) -> String {
        json!({"event": "connected", "protocol": "Call", "version": "1.0.0"}).to_string()
    }

    /// The second message.
    pub fn start(&mut self) -> String {
        json!({
            "event": "start",
            "sequenceNumber": self.next(),
            "start": {
                "accountSid": self.start.account_sid,
                "streamSid": self.start.stream_sid,
                "callSid": self.start.call_sid,
                "tracks": ["inbound"],
                "mediaFormat": self.start.media_format,
                "customParameters": self.start.parameters,
            },
            "streamSid": self.start.stream_sid,
        })
        .to_string()
    }

    /// A piece of the caller's audio: µ-law bytes, `timestamp_ms` after the stream began. One allocation, exact.
    pub fn media(&mut self, audio: &[u8], timestamp_ms: u64) -> String {
        use std::fmt::Write as _;
        self.sequence += 1;
        self.chunk += 1;
        // The fixed words of the head come to 107 bytes; the three numbers have at most 20 digits each.
        let payload = base64::encoded_len(audio.len(), true).unwrap_or(0);
        let mut text = String::with_capacity(107 + 60 + payload + self.media_suffix.len());
        let (sequence, chunk) = (self.sequence, self.chunk);
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            r#"{{"event":"media","sequenceNumber":"{sequence}","media":{{"track":"inbound","chunk":"{chunk}","timestamp":"{timestamp_ms}","payload":""#
        );
        BASE64.encode_string(audio, &mut text);
        text.push_str(&self.media_suffix);
        text
    }

    /// A key that the caller pressed.
    pub fn dtmf(&mut self, digit: char) -> String {
        json!({
            "event": "dtmf",
            "streamSid": self.start.stream_sid,
            "sequenceNumber": self.next(),
            "dtmf": {"track": "inbound_track", "digit": digit},
        })
        .to_string()
    }

    /// Says a mark back.
    pub fn mark(&mut self, name: &str) -> String {
        json!({
            "event": "mark",
            "sequenceNumber": self.next(),
            "streamSid": self.start.stream_sid,
            "mark": {"name": name},
        })
        .to_string()
    }

    /// The last message.
    pub fn stop(&mut self) -> String {
        json!({
            "event": "stop",
            "sequenceNumber": self.next(),
            "streamSid": self.start.stream_sid,
            "stop": {"accountSid": self.start.account_sid, "callSid": self.start.call_sid},
        })
        .to_string()
    }

    fn next(&mut self) -> String {
        self.sequence += 1;
        self.sequence.to_string()
    }
}

/// What Twilio accepts on a stream. Anything else is its error 31924.
#[derive(Debug, PartialEq, Eq)]
pub enum FarEndMessage<'a> {
    /// Audio to play.
    Media(Payload<'a>),
    /// A mark to say back.
    Mark {
        /// Its name.
        name: Cow<'a, str>,
    },
    /// Drop what is queued.
    Clear,
}

impl<'a> FarEndMessage<'a> {
    /// Parses one text frame that was sent to `stream_sid`.
    ///
    /// # Errors
    /// [`MessageError`] for whatever Twilio would refuse: another event, a missing or a foreign stream.
    pub fn parse(text: &'a str, stream_sid: &str) -> Result<Self, MessageError> {
        let frame: Frame<'a> = object(text)?;
        if frame.stream_sid != stream_sid {
            return Err(MessageError::NotAllowed { event: format!("{} for another stream", frame.event) });
        }
        match &*frame.event {
            "media" => Ok(Self::Media(frame.media.ok_or(MessageError::Incomplete { event: "media" })?)),
            "mark" => Ok(Self::Mark { name: frame.mark.ok_or(MessageError::Incomplete { event: "mark" })?.name }),
            "clear" => Ok(Self::Clear),
            other => Err(MessageError::NotAllowed { event: other.to_owned() }),
        }
    }
}

/// Audio for the caller's ear, still as base64.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub struct Payload<'a> {
    #[serde(borrow)]
    payload: Cow<'a, str>,
}

impl Payload<'_> {
    /// Appends the µ-law bytes to `out`.
    ///
    /// # Errors
    /// [`MessageError::Payload`] for what is not base64; `out` is then as it was.
    pub fn append_to(&self, out: &mut Vec<u8>) -> Result<(), MessageError> {
        let before = out.len();
        BASE64.decode_vec(&*self.payload, out).map_err(|error| {
            out.truncate(before);
            MessageError::Payload(error)
        })
    }
}

#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(borrow)]
    event: Cow<'a, str>,
    #[serde(borrow, rename = "streamSid")]
    stream_sid: Cow<'a, str>,
    #[serde(borrow)]
    media: Option<Payload<'a>>,
    #[serde(borrow)]
    mark: Option<MarkFields<'a>>,
}

#[derive(Deserialize)]
struct MarkFields<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
}

#[cfg(test)]
mod tests {
    use super::super::message::{PhoneMessage, StreamWriter};
    use super::*;

    fn writer() -> FarEndWriter {
        FarEndWriter::new(Start {
            stream_sid: "MZ0".into(),
            call_sid: "CA0".into(),
            account_sid: Some("AC0".into()),
            media_format: Default::default(),
            parameters: [("token".to_owned(), "a\"b".to_owned())].into(),
        })
    }

    #[test]
    fn a_whole_stream_reads_as_it_was_written() {
        let mut twilio = writer();
        let sent = [
            twilio.connected(),
            twilio.start(),
            twilio.media(&[0xff, 0x00], 20),
            twilio.dtmf('*'),
            twilio.mark("reply-1"),
            twilio.stop(),
        ];
        let mut read = sent.iter().map(|text| PhoneMessage::parse(text).unwrap());
        assert_eq!(read.next(), Some(PhoneMessage::Connected));
        assert_eq!(read.next(), Some(PhoneMessage::Start(Box::new(writer().start))));
        let Some(PhoneMessage::Media(media)) = read.next() else { panic!("not media") };
        let mut audio = Vec::new();
        media.decode_into(&mut audio).unwrap();
        assert_eq!((audio, media.is_inbound()), (vec![0xff, 0x00], true));
        assert_eq!(read.next(), Some(PhoneMessage::Dtmf { digit: '*' }));
        assert_eq!(read.next(), Some(PhoneMessage::Mark { name: "reply-1".into() }));
        assert_eq!(read.next(), Some(PhoneMessage::Stop));
        insta::assert_snapshot!(sent[2], @r#"{"event":"media","sequenceNumber":"2","media":{"track":"inbound","chunk":"1","timestamp":"20","payload":"/wA="},"streamSid":"MZ0"}"#);
        insta::assert_snapshot!(sent[5], @r#"{"event":"stop","sequenceNumber":"5","streamSid":"MZ0","stop":{"accountSid":"AC0","callSid":"CA0"}}"#);
    }

    #[test]
    fn media_is_one_allocation() {
        let mut twilio = writer();
        (twilio.sequence, twilio.chunk) = (u64::MAX - 1, u64::MAX - 1);
        let text = twilio.media(&[0; 160], u64::MAX);
        let payload = base64::encoded_len(160, true).unwrap();
        assert!(text.capacity() <= 107 + 60 + payload + twilio.media_suffix.len(), "it grew");
    }

    #[test]
    fn what_our_writer_says_is_what_twilio_takes() {
        let writer = StreamWriter::new("MZ0");
        let (media, mark, clear) = (writer.media(&[1, 2, 3]), writer.mark("m"), writer.clear());
        let Ok(FarEndMessage::Media(payload)) = FarEndMessage::parse(&media, "MZ0") else { panic!("not media") };
        let mut out = vec![9];
        payload.append_to(&mut out).unwrap();
        assert_eq!(out, [9, 1, 2, 3]);
        assert_eq!(FarEndMessage::parse(&mark, "MZ0").unwrap(), FarEndMessage::Mark { name: "m".into() });
        assert_eq!(FarEndMessage::parse(&clear, "MZ0").unwrap(), FarEndMessage::Clear);
    }

    #[test]
    fn what_twilio_refuses() {
        for text in [
            r#"{"event":"stop","streamSid":"MZ0"}"#,
            r#"{"event":"clear"}"#,
            r#"{"event":"clear","streamSid":"MZ1"}"#,
            r#"{"event":"media","streamSid":"MZ0"}"#,
            "[]",
        ] {
            assert!(FarEndMessage::parse(text, "MZ0").is_err(), "{text} was taken");
        }
    }
}
