//! TwiML, typed: the few documents that answer Twilio's webhooks.
//!
//! Every value is escaped here and nowhere else, so that a caller's name or number cannot become markup. This file does
//! not know when which document is right.

use std::fmt;

/// A document: what Twilio is to do with the call, step by step.
///
/// `Display` renders it; [`CONTENT_TYPE`](Self::CONTENT_TYPE) goes with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Twiml {
    verbs: Vec<Verb>,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Verb {
    Say(String),
    Connect(Stream),
    Dial(Dial),
    Record(Record),
    Hangup,
}

/// A two-way media stream to open.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stream {
    /// Where: `wss://…` without a query string, which Twilio would refuse.
    pub url: String,
    /// What Twilio requests when the stream has ended: without it, or another verb, the call ends.
    pub action: Option<String>,
    /// Where Twilio reports that the stream started, stopped or failed: an absolute URL.
    pub status_callback: Option<String>,
    /// What `start` will say back to us. Twilio takes name plus value under 500 characters.
    pub parameters: Vec<(String, String)>,
}

/// Somebody else to connect the caller to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Dial {
    /// Whom: E.164.
    pub number: String,
    /// The number to show, which must be one of ours or the caller's.
    pub caller_id: Option<String>,
    /// What Twilio requests when that conversation has ended.
    pub action: Option<String>,
}

/// A message that the caller leaves, ended by the `#` key, by five seconds of silence or by the time it may take.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Record {
    /// The longest message, in seconds.
    pub max_seconds: u32,
    /// What Twilio requests when the caller has finished.
    pub action: String,
    /// Where Twilio reports that the recording can be fetched: an absolute URL.
    pub status_callback: String,
}

impl Twiml {
    /// The media type to answer with.
    pub const CONTENT_TYPE: &str = "text/xml; charset=utf-8";

    /// Greets the caller, then opens a media stream that holds the call until our side closes it.
    pub fn connect(say: Option<&str>, stream: Stream) -> Self {
        let mut verbs: Vec<Verb> = say.map(|text| Verb::Say(text.to_owned())).into_iter().collect();
        verbs.push(Verb::Connect(stream));
        Self { verbs }
    }

    /// Ends the call.
    pub fn hangup() -> Self {
        Self { verbs: vec![Verb::Hangup] }
    }

    /// Says one thing and ends the call.
    pub fn say_and_hangup(text: &str) -> Self {
        Self { verbs: vec![Verb::Say(text.to_owned()), Verb::Hangup] }
    }

    /// Connects the caller to somebody else, saying so first if there is something to say.
    pub fn dial(say: Option<&str>, dial: Dial) -> Self {
        let mut verbs: Vec<Verb> = say.map(|text| Verb::Say(text.to_owned())).into_iter().collect();
        verbs.push(Verb::Dial(dial));
        Self { verbs }
    }

    /// Says these things, one after the other, and takes a message. A caller who says nothing is hung up on: Twilio does
    /// not request the action of an empty recording but goes on.
    pub fn record(says: &[&str], record: Record) -> Self {
        let says = says.iter().map(|text| Verb::Say((*text).to_owned()));
        Self { verbs: says.chain([Verb::Record(record), Verb::Hangup]).collect() }
    }
}

impl fmt::Display for Twiml {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response>\n")?;
        for verb in &self.verbs {
            match verb {
                Verb::Say(text) => writeln!(out, "  <Say>{}</Say>", Escaped(text))?,
                Verb::Hangup => out.write_str("  <Hangup/>\n")?,
                Verb::Dial(dial) => {
                    out.write_str("  <Dial")?;
                    attribute(out, "callerId", dial.caller_id.as_deref())?;
                    attribute(out, "action", dial.action.as_deref())?;
                    writeln!(out, ">{}</Dial>", Escaped(&dial.number))?;
                }
                Verb::Record(record) => {
                    write!(out, "  <Record maxLength=\"{}\" timeout=\"5\"", record.max_seconds)?;
                    out.write_str(" finishOnKey=\"#\" playBeep=\"true\"")?;
                    attribute(out, "action", Some(&record.action))?;
                    attribute(out, "recordingStatusCallback", Some(&record.status_callback))?;
                    out.write_str("/>\n")?;
                }
                Verb::Connect(stream) => {
                    out.write_str("  <Connect")?;
                    attribute(out, "action", stream.action.as_deref())?;
                    out.write_str(">\n    <Stream")?;
                    attribute(out, "url", Some(&stream.url))?;
                    attribute(out, "statusCallback", stream.status_callback.as_deref())?;
                    out.write_str(">\n")?;
                    for (name, value) in &stream.parameters {
                        out.write_str("      <Parameter")?;
                        attribute(out, "name", Some(name))?;
                        attribute(out, "value", Some(value))?;
                        out.write_str("/>\n")?;
                    }
                    out.write_str("    </Stream>\n  </Connect>\n")?;
                }
            }
        }
        out.write_str("</Response>\n")
    }
}

fn attribute(out: &mut fmt::Formatter<'_>, name: &str, value: Option<&str>) -> fmt::Result {
    match value {
        Some(value) => write!(out, " {name}=\"{}\"", Escaped(value)),
        None => Ok(()),
    }
}

/// Text made safe for element content and quoted attributes alike.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        for letter in self.0.chars() {
            match letter {
                '&' => out.write_str("&amp;")?,
                '<' => out.write_str("&lt;")?,
                '>' => out.write_str("&gt;")?,
                '"' => out.write_str("&quot;")?,
                '\'' => out.write_str("&apos;")?,
                // A parser turns these into spaces inside an attribute unless they are written as references.
                '\t' | '\n' | '\r' => write!(out, "&#{};", u32::from(letter))?,
                // XML 1.0 has no way to write the other control characters: one of them makes Twilio refuse the
                // document, and so the call.
                '\0'..='\x1f' | '\u{fffe}' | '\u{ffff}' => {}
                _ => out.write_char(letter)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_connected() {
        let twiml = Twiml::connect(
            Some("Connecting you."),
            Stream {
                url: "wss://voice.example.com/twilio".into(),
                action: Some("/voice/after".into()),
                status_callback: Some("https://voice.example.com/voice/status".into()),
                parameters: vec![("call_sid".into(), "CA0".into()), ("from".into(), "+15551234567".into())],
            },
        );
        insta::assert_snapshot!(twiml.to_string(), @r#"
        <?xml version="1.0" encoding="UTF-8"?>
        <Response>
          <Say>Connecting you.</Say>
          <Connect action="/voice/after">
            <Stream url="wss://voice.example.com/twilio" statusCallback="https://voice.example.com/voice/status">
              <Parameter name="call_sid" value="CA0"/>
              <Parameter name="from" value="+15551234567"/>
            </Stream>
          </Connect>
        </Response>
        "#);
    }

    #[test]
    fn a_stream_may_be_bare() {
        let twiml = Twiml::connect(None, Stream { url: "ws://127.0.0.1/twilio".into(), ..Stream::default() });
        insta::assert_snapshot!(twiml.to_string(), @r#"
        <?xml version="1.0" encoding="UTF-8"?>
        <Response>
          <Connect>
            <Stream url="ws://127.0.0.1/twilio">
            </Stream>
          </Connect>
        </Response>
        "#);
    }

    #[test]
    fn a_call_is_ended_or_handed_on() {
        insta::assert_snapshot!(Twiml::hangup().to_string(), @r#"
        <?xml version="1.0" encoding="UTF-8"?>
        <Response>
          <Hangup/>
        </Response>
        "#);
        insta::assert_snapshot!(Twiml::say_and_hangup("We're closed.").to_string(), @r#"
        <?xml version="1.0" encoding="UTF-8"?>
        <Response>
          <Say>We&apos;re closed.</Say>
          <Hangup/>
        </Response>
        "#);
        let dial = Dial {
            number: "+15550001111".into(),
            caller_id: Some("+15552223333".into()),
            action: Some("/voice/after".into()),
        };
        insta::assert_snapshot!(Twiml::dial(Some("One moment."), dial).to_string(), @r#"
        <?xml version="1.0" encoding="UTF-8"?>
        <Response>
          <Say>One moment.</Say>
          <Dial callerId="+15552223333" action="/voice/after">+15550001111</Dial>
        </Response>
        "#);
    }

    #[test]
    fn a_message_is_taken() {
        let record = Record {
            max_seconds: 120,
            action: "https://voice.example.com/voice/recorded".into(),
            status_callback: "https://voice.example.com/voice/recording".into(),
        };
        insta::assert_snapshot!(Twiml::record(&["We're busy.", "Leave a message."], record).to_string(), @r##"
        <?xml version="1.0" encoding="UTF-8"?>
        <Response>
          <Say>We&apos;re busy.</Say>
          <Say>Leave a message.</Say>
          <Record maxLength="120" timeout="5" finishOnKey="#" playBeep="true" action="https://voice.example.com/voice/recorded" recordingStatusCallback="https://voice.example.com/voice/recording"/>
          <Hangup/>
        </Response>
        "##);
    }

    #[test]
    fn hostile_values_stay_values() {
        let hostile = "\"/><Dial>+1900</Dial><!-- ]]> &amp; 'x'\r\n\t\u{0}\u{1b}\u{ffff}é🧋";
        let twiml = Twiml::connect(
            Some(hostile),
            Stream {
                url: hostile.into(),
                action: Some(hostile.into()),
                status_callback: None,
                parameters: vec![(hostile.into(), hostile.into())],
            },
        )
        .to_string();
        insta::assert_snapshot!(Escaped(hostile).to_string(), @"&quot;/&gt;&lt;Dial&gt;+1900&lt;/Dial&gt;&lt;!-- ]]&gt; &amp;amp; &apos;x&apos;&#13;&#10;&#9;é🧋");
        assert_eq!(twiml.matches("<Dial").count(), 0);
        assert_eq!(twiml.matches(&Escaped(hostile).to_string()).count(), 5);
        let dial = Twiml::dial(None, Dial { number: hostile.into(), ..Dial::default() }).to_string();
        assert_eq!(dial.matches("<Dial").count(), 1);
    }
}
