//! What has been said and done in a call: what a new session of the agent's goes on with.
//!
//! Bounded: the oldest goes first. Holds what callers say, so it is never logged and ends with the call.

use crate::deepgram::message::{FunctionCall, HistoryCall, HistoryItem, Role};
use crate::deepgram::settings::Context;
use std::collections::VecDeque;

/// Text that is kept, in bytes. A whole order takes a third of it.
const MOST_BYTES: usize = 12 << 10;
/// What an entry takes beside its text, so that empty ones are bounded as well.
const ENTRY_BYTES: usize = 32;
enum Entry {
    /// The caller's words, or those of a reply of the agent's.
    Said { reply: Option<u32>, text: String },
    /// A call, and its answer once there is one.
    Called { call: HistoryCall, answered: bool },
}

impl Entry {
    fn bytes(&self) -> usize {
        let text = match self {
            Self::Said { text, .. } => text.len(),
            Self::Called { call, .. } => {
                let signature = call.thought_signature.as_ref().map_or(0, String::len);
                call.id.len() + call.name.len() + call.arguments.len() + call.response.len() + signature
            }
        };
        text + ENTRY_BYTES
    }
}

/// One call's conversation.
#[derive(Default)]
pub(super) struct Record {
    entries: VecDeque<Entry>,
    bytes: usize,
}

impl Record {
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The caller said something, or the agent in the reply of this number.
    pub(super) fn said(&mut self, reply: Option<u32>, text: &str) {
        if !text.trim().is_empty() {
            self.add(Entry::Said { reply, text: text.to_owned() });
        }
    }

    /// The agent called a tool.
    pub(super) fn called(&mut self, call: &FunctionCall) {
        let FunctionCall { id, name, arguments, client_side, thought_signature } = call.clone();
        let call = HistoryCall { id, name, client_side, arguments, response: String::new(), thought_signature };
        self.add(Entry::Called { call, answered: false });
    }

    /// A tool has answered.
    pub(super) fn answered(&mut self, id: &str, content: &str) {
        for entry in &mut self.entries {
            if let Entry::Called { call, answered } = entry
                && call.id == id
            {
                self.bytes = self.bytes + content.len() - call.response.len();
                content.clone_into(&mut call.response);
                *answered = true;
            }
        }
        self.trim();
    }

    /// The agent took calls back: they never happened.
    pub(super) fn cancelled(&mut self, id: &str) {
        self.entries.retain(|entry| !matches!(entry, Entry::Called { call, .. } if call.id == id));
        self.bytes = self.entries.iter().map(Entry::bytes).sum();
    }

    /// The caller spoke into this reply and heard only this part (0 to 1) of it.
    pub(super) fn cut(&mut self, cut: u32, heard: f64) {
        let mut texts: Vec<&mut String> = self
            .entries
            .iter_mut()
            .filter_map(|entry| match entry {
                Entry::Said { reply, text } if *reply == Some(cut) => Some(text),
                Entry::Said { .. } | Entry::Called { .. } => None,
            })
            .collect();
        let total: usize = texts.iter().map(|text| text.len()).sum();
        let mut keep = (total as f64 * heard.clamp(0.0, 1.0)) as usize;
        for text in &mut texts {
            if keep < text.len() {
                // To the last whole word.
                let end = text.floor_char_boundary(keep);
                let end = text.get(..end).and_then(|heard| heard.rfind(char::is_whitespace)).unwrap_or(0);
                text.truncate(end);
                text.push('…');
                keep = 0;
            } else {
                keep -= text.len();
            }
        }
        self.bytes = self.entries.iter().map(Entry::bytes).sum();
    }

    /// What a new session goes on with. `still_working` answers for what has no answer yet.
    pub(super) fn context(&self, still_working: &str) -> Context {
        let item = |entry: &Entry| match entry {
            Entry::Said { reply, text } => {
                let role = if reply.is_some() { Role::Assistant } else { Role::User };
                HistoryItem::Said { role, content: text.clone() }
            }
            Entry::Called { call, answered } => {
                let response = if *answered { call.response.clone() } else { still_working.to_owned() };
                HistoryItem::Called { function_calls: vec![HistoryCall { response, ..call.clone() }] }
            }
        };
        self.entries.iter().map(item).collect()
    }

    /// Whether the agent has still to say something to what happened last: the caller's words, or a tool's answer.
    pub(super) fn is_agents_turn(&self) -> bool {
        self.entries.back().is_some_and(|last| !matches!(last, Entry::Said { reply: Some(_), .. }))
    }

    fn add(&mut self, entry: Entry) {
        self.bytes += entry.bytes();
        self.entries.push_back(entry);
        self.trim();
    }

    fn trim(&mut self) {
        while self.bytes > MOST_BYTES
            && let Some(oldest) = self.entries.pop_front()
        {
            self.bytes -= oldest.bytes();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deepgram::message::ClientMessage;
    use crate::deepgram::schema::{Direction, assert_valid};
    use crate::deepgram::settings::Opening;

    fn call(id: &str, name: &str) -> FunctionCall {
        FunctionCall {
            id: id.to_owned(),
            name: name.to_owned(),
            arguments: r#"{"flavor":"taro milk tea"}"#.to_owned(),
            client_side: true,
            thought_signature: Some("sig".to_owned()),
        }
    }

    fn texts(context: &Context) -> Vec<String> {
        let json = serde_json::to_value(&context.messages).expect("JSON");
        let text = |item: &serde_json::Value| {
            let said = item["content"].as_str().map(str::to_owned);
            said.unwrap_or_else(|| item["function_calls"][0]["response"].as_str().unwrap_or_default().to_owned())
        };
        json.as_array().expect("a list").iter().map(text).collect()
    }

    #[test]
    fn a_conversation_goes_on_with_all_of_it() {
        let mut record = Record::default();
        assert!(record.is_empty() && !record.is_agents_turn());
        record.said(Some(1), "Hello!");
        assert!(!record.is_agents_turn());
        record.said(None, "A taro tea.");
        assert!(record.is_agents_turn());
        record.called(&call("f1", "add_to_cart"));
        record.answered("f1", r#"{"ok":true}"#);
        assert!(record.is_agents_turn());
        record.said(Some(1), "A taro tea, right?");
        let context = record.context("?");
        assert_eq!(texts(&context), ["Hello!", "A taro tea.", r#"{"ok":true}"#, "A taro tea, right?"]);

        // What the agent gets is what Deepgram takes, without a second greeting.
        let opening = Opening::new(crate::deepgram::settings::tests::settings());
        let text = opening.resumed(context);
        assert_valid(Direction::FromClient, &text);
        let ClientMessage::Settings(settings) = ClientMessage::parse(&text).expect("settings") else {
            panic!("{text}")
        };
        assert_eq!(settings.agent.greeting, None);
        assert_eq!(settings.agent.context.expect("a context").messages.len(), 4);
    }

    #[test]
    fn a_tool_without_an_answer_is_still_working_and_a_cancelled_one_never_was() {
        let mut record = Record::default();
        record.called(&call("f1", "checkout_order"));
        record.called(&call("f2", "get_cart"));
        record.cancelled("f2");
        record.answered("f2", "too late");
        assert_eq!(texts(&record.context("still working")), ["still working"]);
    }

    #[test]
    fn of_words_that_were_spoken_into_only_what_was_heard_is_kept() {
        let mut record = Record::default();
        record.said(None, "What is there?");
        record.said(Some(1), "We have taro milk tea.");
        record.said(Some(1), "And black milk tea.");
        record.cut(1, 0.8);
        assert_eq!(texts(&record.context("")), ["What is there?", "We have taro milk tea.", "And black…"]);
        record.cut(1, 0.3);
        assert_eq!(texts(&record.context("")), ["What is there?", "We have…", "…"]);
        record.cut(1, 0.0);
        record.said(Some(2), "Are you still there?");
        record.cut(1, 0.0);
        assert_eq!(
            texts(&record.context("")).last().map(String::as_str),
            Some("Are you still there?"),
            "another reply"
        );
        record.said(None, "Äh, ja.");
        record.cut(1, 0.5);
        assert_eq!(
            texts(&record.context("")).last().map(String::as_str),
            Some("Äh, ja."),
            "the caller's words are whole"
        );
    }

    #[test]
    fn the_oldest_goes_first() {
        let mut record = Record::default();
        for number in 0..1_000 {
            record.said((number % 2 == 0).then_some(number), &format!("Sentence {number} {}", "x".repeat(50)));
        }
        record.said(Some(1), "The end.");
        let texts = texts(&record.context(""));
        assert!(texts.iter().map(String::len).sum::<usize>() <= MOST_BYTES && texts.len() > 80);
        assert_eq!(texts.last().map(String::as_str), Some("The end."));
    }
}
