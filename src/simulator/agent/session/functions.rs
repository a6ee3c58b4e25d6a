//! What the simulated agent calls: function requests, their answers, and what the script expects of them.

use std::collections::HashMap;
use std::ops::ControlFlow::Continue;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Flow, Session, Terms, Waiting};
use crate::deepgram::message::{AgentMessage, CancelledCall, FunctionCall, HistoryCall, HistoryItem};
use crate::simulator::What;
use crate::simulator::script::{ArgumentStyle, Expectation, ToolRequest, field, fill};

impl Session {
    pub(super) async fn call_tools(&mut self, request: &ToolRequest) -> Flow {
        let mut open = HashMap::new();
        let mut functions = Vec::new();
        for call in &request.calls {
            self.calls += 1;
            let function = FunctionCall {
                id: format!("call_{}", self.calls),
                name: call.name.clone(),
                arguments: call.arguments.to_string(),
                client_side: true,
                thought_signature: None,
            };
            self.tell(What::ToolCalled {
                id: function.id.clone(),
                name: function.name.clone(),
                arguments: function.arguments.clone(),
            });
            open.insert(function.id.clone(), function.clone());
            functions.push(function);
        }
        let cancel_at = request.cancel_after_ms.map(|ms| Instant::now() + self.call_time(ms));
        self.waiting = Waiting::Tools { open, cancel_at };
        match self.behaviour.arguments {
            ArgumentStyle::String => self.send(AgentMessage::FunctionCallRequest { functions }).await,
            ArgumentStyle::Object => {
                let functions: Vec<Value> = functions
                    .iter()
                    .zip(&request.calls)
                    .map(|(function, call)| {
                        json!({"id": function.id, "name": function.name, "arguments": call.arguments,
                            "client_side": true})
                    })
                    .collect();
                self.send_text(json!({"type": "FunctionCallRequest", "functions": functions}).to_string()).await
            }
        }
    }

    pub(super) async fn cancel_tools(&mut self) -> Flow {
        let Waiting::Tools { open, .. } = std::mem::replace(&mut self.waiting, Waiting::Nothing) else {
            return Continue(());
        };
        let mut functions: Vec<CancelledCall> =
            open.into_values().map(|call| CancelledCall { id: call.id, name: call.name }).collect();
        functions.sort_by(|a, b| a.id.cmp(&b.id));
        self.cancelled.extend(functions.iter().map(|call| call.id.clone()));
        self.send(AgentMessage::FunctionCallCancelled { functions }).await
    }

    pub(super) async fn tool_answered(&mut self, id: String, name: String, content: String, terms: &Terms) -> Flow {
        let call = match &mut self.waiting {
            Waiting::Tools { open, .. } => open.remove(&id),
            _ => None,
        };
        let Some(call) = call else {
            let why = if self.cancelled.contains(&id) { "was cancelled" } else { "is not open" };
            self.tell(What::Surprise(format!("an answer to {name} ({id}), which {why}: {content}")));
            return Continue(());
        };
        if call.name != name {
            self.tell(What::Surprise(format!("{} ({id}) was answered as {name}", call.name)));
        }
        self.tell(What::ToolAnswered { id: id.clone(), name: name.clone(), content: content.clone() });
        let answer = serde_json::from_str(&content).unwrap_or_else(|_| Value::String(content.clone()));
        self.answers.insert(call.name.clone(), answer);
        if matches!(&self.waiting, Waiting::Tools { open, .. } if open.is_empty()) {
            self.waiting = Waiting::Nothing;
        }
        if terms.history {
            let done = HistoryCall {
                id,
                name: call.name,
                client_side: true,
                arguments: call.arguments,
                response: content,
                thought_signature: None,
            };
            self.send(AgentMessage::History(HistoryItem::Called { function_calls: vec![done] })).await?;
        }
        Continue(())
    }

    pub(super) fn check(&mut self, expectation: &Expectation) {
        if let Some(wrong) = expectation.check(self.answers.get(&expectation.tool)) {
            self.tell(What::ExpectationFailed(wrong));
        }
    }

    /// The text with its placeholders replaced by what the tools answered.
    pub(super) fn filled(&self, text: &str) -> String {
        let filled = fill(text, |name| {
            let (tool, path) = name.split_once('.')?;
            Some(match self.answers.get(tool).and_then(|answer| field(answer, path)) {
                Some(Value::String(text)) => text.clone(),
                Some(other) => other.to_string(),
                None => {
                    self.tell(What::ExpectationFailed(format!("{tool} answered no `{path}`")));
                    "unknown".to_owned()
                }
            })
        });
        filled.expect("placeholders are checked when a script is read")
    }
}
