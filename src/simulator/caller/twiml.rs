//! Reads TwiML as Twilio would: strictly, and only the verbs that this program answers with.
//!
//! A reader of its own rather than the writer's inverse, so that a mistake in the writer is found and not repeated.

use std::collections::BTreeMap;

/// Why a document would be refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TwimlError {
    /// Not well-formed XML (Twilio's error 12100).
    #[error("not XML at byte {0}")]
    Xml(usize),
    /// The outermost element is not `<Response>`.
    #[error("the document is not a <Response>")]
    NotAResponse,
    /// A verb or noun that is not simulated.
    #[error("<{0}> is not simulated")]
    Verb(String),
    /// A stream whose address Twilio would not dial.
    #[error("a stream's url is ws(s)://host/path without a query, not `{0}`")]
    StreamUrl(String),
    /// A parameter without a name, or of 500 characters and more.
    #[error("the parameter `{0}` is too long or has no name")]
    Parameter(String),
}

/// What a document asks for, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verb {
    Say(String),
    Connect(Stream),
    Dial(String),
    Record,
    Hangup,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stream {
    pub(super) url: String,
    pub(super) action: Option<String>,
    pub(super) parameters: BTreeMap<String, String>,
}

pub(super) fn read(text: &str) -> Result<Vec<Verb>, TwimlError> {
    let root = Reader { text, at: 0 }.document()?;
    if root.name != "Response" {
        return Err(TwimlError::NotAResponse);
    }
    root.children.into_iter().map(verb).collect()
}

fn verb(mut element: Element) -> Result<Verb, TwimlError> {
    match element.name.as_str() {
        "Say" => Ok(Verb::Say(element.text)),
        "Dial" => Ok(Verb::Dial(element.text)),
        "Record" => Ok(Verb::Record),
        "Hangup" => Ok(Verb::Hangup),
        "Connect" => match element.children.pop() {
            Some(noun) if noun.name == "Stream" && element.children.is_empty() => {
                stream(noun, element.attributes.remove("action")).map(Verb::Connect)
            }
            noun => Err(TwimlError::Verb(noun.map_or(element.name, |noun| noun.name))),
        },
        _ => Err(TwimlError::Verb(element.name)),
    }
}

fn stream(mut noun: Element, action: Option<String>) -> Result<Stream, TwimlError> {
    let url = noun.attributes.remove("url").unwrap_or_default();
    let rest = url.strip_prefix("wss://").or_else(|| url.strip_prefix("ws://"));
    if rest.is_none_or(|rest| rest.is_empty() || rest.starts_with('/') || rest.contains(['?', '#', ' '])) {
        return Err(TwimlError::StreamUrl(url));
    }
    let mut parameters = BTreeMap::new();
    for mut child in noun.children {
        if child.name != "Parameter" {
            return Err(TwimlError::Verb(child.name));
        }
        let name = child.attributes.remove("name").unwrap_or_default();
        let value = child.attributes.remove("value").unwrap_or_default();
        if name.is_empty() || name.chars().count() + value.chars().count() >= 500 {
            return Err(TwimlError::Parameter(name));
        }
        parameters.insert(name, value);
    }
    Ok(Stream { url, action, parameters })
}

#[derive(Debug)]
struct Element {
    name: String,
    attributes: BTreeMap<String, String>,
    children: Vec<Element>,
    text: String,
}

/// Deeper documents are no TwiML.
const MAX_DEPTH: usize = 8;

/// The part of XML that a TwiML document can have: no DTD, no CDATA, no processing instructions but the first line.
struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn document(mut self) -> Result<Element, TwimlError> {
        if self.text.starts_with("<?xml ") {
            self.until("?>")?;
        }
        self.space_and_comments()?;
        let root = self.element(0)?;
        self.space_and_comments()?;
        if self.at < self.text.len() {
            return Err(self.error());
        }
        Ok(root)
    }

    fn element(&mut self, depth: usize) -> Result<Element, TwimlError> {
        if depth >= MAX_DEPTH {
            return Err(self.error());
        }
        self.expect("<")?;
        let name = self.name()?;
        let mut attributes = BTreeMap::new();
        loop {
            let spaced = self.space();
            if self.take("/>") {
                return Ok(Element { name, attributes, children: Vec::new(), text: String::new() });
            }
            if self.take(">") {
                break;
            }
            if !spaced {
                return Err(self.error());
            }
            let attribute = self.name()?;
            self.space();
            self.expect("=")?;
            self.space();
            let quote = if self.take("\"") { "\"" } else { self.expect("'").map(|()| "'")? };
            let start = self.at;
            let raw = self.until(quote)?;
            if raw.contains('<') || attributes.insert(attribute, unescape(raw, start)?).is_some() {
                return Err(TwimlError::Xml(start));
            }
        }
        let (mut children, mut text) = (Vec::new(), String::new());
        loop {
            let start = self.at;
            let rest = self.rest();
            let raw = rest.split('<').next().unwrap_or_default();
            text.push_str(&unescape(raw, start)?);
            self.at += raw.len();
            if self.take("</") {
                if self.name()? != name {
                    return Err(self.error());
                }
                self.space();
                self.expect(">")?;
                return Ok(Element { name, attributes, children, text: text.trim().to_owned() });
            }
            if self.take("<!--") {
                self.until("-->")?;
            } else {
                children.push(self.element(depth + 1)?);
            }
        }
    }

    fn name(&mut self) -> Result<String, TwimlError> {
        let rest = self.rest();
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-').unwrap_or(rest.len());
        let name = rest.get(..end).filter(|name| name.starts_with(|c: char| c.is_ascii_alphabetic()));
        let name = name.ok_or_else(|| self.error())?.to_owned();
        self.at += end;
        Ok(name)
    }

    fn space_and_comments(&mut self) -> Result<(), TwimlError> {
        loop {
            self.space();
            if !self.take("<!--") {
                return Ok(());
            }
            self.until("-->")?;
        }
    }

    fn space(&mut self) -> bool {
        let rest = self.rest();
        let skipped = rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len();
        self.at += skipped;
        skipped > 0
    }

    fn take(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn expect(&mut self, token: &str) -> Result<(), TwimlError> {
        match self.take(token) {
            true => Ok(()),
            false => Err(self.error()),
        }
    }

    fn until(&mut self, token: &str) -> Result<&str, TwimlError> {
        let start = self.at;
        let length = self.rest().find(token).ok_or_else(|| self.error())?;
        self.at = start + length + token.len();
        Ok(self.text.get(start..start + length).unwrap_or_default())
    }

    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn error(&self) -> TwimlError {
        TwimlError::Xml(self.at)
    }
}

fn unescape(raw: &str, start: usize) -> Result<String, TwimlError> {
    let error = || TwimlError::Xml(start);
    let legal = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..);
    let mut text = String::with_capacity(raw.len());
    let mut parts = raw.split('&');
    text.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let (entity, after) = part.split_once(';').ok_or_else(error)?;
        let letter = match entity {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            _ => {
                let number = entity.strip_prefix('#').ok_or_else(error)?;
                let code = match number.strip_prefix('x') {
                    Some(hex) => u32::from_str_radix(hex, 16),
                    None => number.parse(),
                };
                code.ok().and_then(char::from_u32).ok_or_else(error)?
            }
        };
        text.push(letter);
        text.push_str(after);
    }
    match text.chars().all(legal) {
        true => Ok(text),
        false => Err(error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::twilio::twiml::{self, Twiml};
    use proptest::prelude::*;

    fn connect(stream: &str) -> Result<Vec<Verb>, TwimlError> {
        read(&format!("<Response><Connect>{stream}</Connect></Response>"))
    }

    #[test]
    fn what_the_program_answers_is_read() {
        let twiml = Twiml::connect(
            Some("Connecting you."),
            twiml::Stream {
                url: "wss://voice.example.com/twilio".into(),
                action: Some("/voice/after".into()),
                status_callback: Some("https://voice.example.com/voice/status".into()),
                parameters: vec![("token".into(), "a&b<c>\"'\n".into())],
            },
        );
        assert_eq!(
            read(&twiml.to_string()).unwrap(),
            [
                Verb::Say("Connecting you.".into()),
                Verb::Connect(Stream {
                    url: "wss://voice.example.com/twilio".into(),
                    action: Some("/voice/after".into()),
                    parameters: [("token".to_owned(), "a&b<c>\"'\n".to_owned())].into(),
                }),
            ]
        );
        assert_eq!(read(&Twiml::hangup().to_string()).unwrap(), [Verb::Hangup]);
        let dial = twiml::Dial { number: "+15550001111".into(), ..Default::default() };
        assert_eq!(read(&Twiml::dial(None, dial).to_string()).unwrap(), [Verb::Dial("+15550001111".into())]);
    }

    #[test]
    fn other_peoples_spelling_is_read_too() {
        let text = "<?xml version='1.0'?><!-- hi --><Response ><Say voice = 'x'>a<!-- b -->c &#x41;&#66;</Say >\n\
                    <Connect><Stream url='ws://h/p'/></Connect></Response> ";
        let verbs = read(text).unwrap();
        assert_eq!(verbs[0], Verb::Say("ac AB".into()));
        assert!(matches!(&verbs[1], Verb::Connect(stream) if stream.parameters.is_empty()));
    }

    #[test]
    fn what_twilio_would_refuse_is_refused() {
        for text in [
            "",
            "hello",
            "<Response>",
            "<Response></Respons>",
            "<Response/><Response/>",
            "<Response><Say>a & b</Say></Response>",
            "<Response><Say>&nbsp;</Say></Response>",
            "<Response><Say>\u{1}</Say></Response>",
            "<Response><Say>&#0;</Say></Response>",
            "<Response><Say a=1/></Response>",
            "<Response><Say a='1' a='2'/></Response>",
            "<Response><Say a='<'/></Response>",
            "<Response><Say a='1'b='2'/></Response>",
            "<!DOCTYPE x><Response/>",
            &"<Response>".repeat(10_000),
        ] {
            assert!(matches!(read(text), Err(TwimlError::Xml(_))), "{text:.60} was read");
        }
        assert_eq!(read("<Reply/>"), Err(TwimlError::NotAResponse));
        assert_eq!(read("<Response><Play/></Response>"), Err(TwimlError::Verb("Play".into())));
        assert_eq!(connect(""), Err(TwimlError::Verb("Connect".into())));
        assert_eq!(connect("<Room/>"), Err(TwimlError::Verb("Room".into())));
        for url in ["", "https://h/", "wss://", "wss:///p", "wss://h/p?a=b", "/twilio"] {
            assert_eq!(connect(&format!("<Stream url='{url}'/>")), Err(TwimlError::StreamUrl(url.into())));
        }
        for (name, value) in [("", "x"), ("token", &"x".repeat(495)[..])] {
            let stream = format!("<Stream url='wss://h/'><Parameter name='{name}' value='{value}'/></Stream>");
            assert_eq!(connect(&stream), Err(TwimlError::Parameter(name.into())));
        }
    }

    proptest! {
        #[test]
        fn any_value_survives_the_way_from_the_writer_to_the_reader(value in "\\PC{0,200}") {
            let parameters = vec![("name".to_owned(), value.clone())];
            let stream = twiml::Stream { url: "wss://h/".into(), parameters, ..Default::default() };
            let verbs = read(&Twiml::connect(None, stream).to_string()).unwrap();
            let Verb::Connect(stream) = &verbs[0] else { panic!("{verbs:?}") };
            prop_assert_eq!(&stream.parameters["name"], &value);
        }

        #[test]
        fn no_text_at_all_panics(text in "[<>/&;\"'=a-z é!?-]*") {
            let _ = read(&text);
        }
    }
}
