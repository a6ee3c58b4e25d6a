//! How the simulated agent goes on with a conversation that another connection began.

use serde_json::Value;

use super::Session;
use crate::deepgram::message::{HistoryItem, Role};
use crate::deepgram::settings::{Agent, ContextMessage};
use crate::simulator::What;

impl Session {
    /// Takes what the settings tell of the conversation: checks it, and knows from then on what the tools answered.
    pub(super) fn take_over(&mut self, agent: &Agent) {
        let greets = agent.greeting.as_ref().is_some_and(|greeting| !greeting.is_empty());
        let Some(context) = &agent.context else {
            if self.behaviour.resumes {
                self.tell(What::Surprise("a conversation goes on, and the settings do not tell it".to_owned()));
            }
            return;
        };
        if greets {
            self.tell(What::Surprise("a conversation that goes on begins with a greeting".to_owned()));
        }
        if context.messages.is_empty() {
            self.tell(What::Surprise("a context without messages".to_owned()));
        }
        let messages: Vec<HistoryItem> =
            context.messages.iter().map(|ContextMessage::History(item)| item.clone()).collect();
        for item in &messages {
            if let Some(wrong) = problem(item) {
                self.tell(What::Surprise(format!("{wrong} in the context: {item:?}")));
            }
            if let HistoryItem::Called { function_calls } = item {
                for call in function_calls {
                    let answer = serde_json::from_str(&call.response);
                    let answer = answer.unwrap_or_else(|_| Value::String(call.response.clone()));
                    self.answers.insert(call.name.clone(), answer);
                }
            }
        }
        self.tell(What::Resumed { messages });
    }
}

/// What is wrong with an entry, if anything.
fn problem(item: &HistoryItem) -> Option<&'static str> {
    match item {
        HistoryItem::Said { role: Role::Other(_), .. } => Some("a speaker who is neither user nor assistant"),
        HistoryItem::Said { content, .. } if content.trim().is_empty() => Some("an empty sentence"),
        HistoryItem::Said { .. } => None,
        HistoryItem::Called { function_calls } if function_calls.is_empty() => Some("no call"),
        HistoryItem::Called { function_calls } => function_calls.iter().find_map(|call| {
            let arguments = serde_json::from_str::<Value>(&call.arguments).is_ok();
            match call.id.is_empty() || call.name.is_empty() || call.response.is_empty() || !call.client_side {
                true => Some("a call without its id, name or answer"),
                false if !arguments => Some("arguments that are no JSON"),
                false => None,
            }
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deepgram::message::HistoryCall;

    fn called(change: impl FnOnce(&mut HistoryCall)) -> HistoryItem {
        let mut call = HistoryCall {
            id: "a".to_owned(),
            name: "get_cart".to_owned(),
            client_side: true,
            arguments: "{}".to_owned(),
            response: "{}".to_owned(),
            thought_signature: None,
        };
        change(&mut call);
        HistoryItem::Called { function_calls: vec![call] }
    }

    #[test]
    fn a_context_that_no_agent_could_use_is_told() {
        let said = |role, content: &str| HistoryItem::Said { role, content: content.to_owned() };
        assert_eq!(problem(&said(Role::User, "Tea.")), None);
        assert_eq!(problem(&called(|_| {})), None);
        for wrong in [
            said(Role::User, " "),
            said(Role::Other("system".to_owned()), "Tea."),
            HistoryItem::Called { function_calls: Vec::new() },
            called(|call| call.id.clear()),
            called(|call| call.response.clear()),
            called(|call| call.client_side = false),
            called(|call| call.arguments = "{".to_owned()),
        ] {
            assert!(problem(&wrong).is_some(), "{wrong:?}");
        }
    }
}
