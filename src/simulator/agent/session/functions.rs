//! What the simulated agent calls: function requests, their answers, and what the script expects of them.

use std::ops::ControlFlow::Continue;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Flow, Session, Terms, Waiting};
use crate::deepgram::message::{AgentMessage, CancelledCall, FunctionCall, HistoryCall, HistoryItem};
use crate::simulator::What;
use crate::simulator::script::{ArgumentStyle, Expectation, Repeat, ToolCall, ToolRequest, field, fill};

impl Session {
    pub(super) async fn call_tools(&mut self, request: &ToolRequest) -> Flow {
        let cancel_at = request.cancel_after_ms.map(|ms| Instant::now() + self.call_time(ms));
        if request.wait || cancel_at.is_some() {
            self.waiting = Waiting::Tools { cancel_at, cancel_answered: request.cancel_answered };
        }
        let groups = if request.apart { 1 } else { request.calls.len() };
        for calls in request.calls.chunks(groups) {
            let functions = calls.iter().map(|call| self.function(call)).collect();
            self.request(functions).await?;
        }
        match request.repeat {
            None => Continue(()),
            Some(Repeat::NewId) => {
                let functions = request.calls.iter().map(|call| self.function(call)).collect();
                self.request(functions).await
            }
            Some(Repeat::SameId) => {
                let mut functions: Vec<FunctionCall> = self.open.values().cloned().collect();
                functions.sort_by(|a, b| a.id.cmp(&b.id));
                self.repeated.extend(functions.iter().map(|function| (function.id.clone(), None)));
                self.request(functions).await
            }
        }
    }

    /// A call with an id of its own, from now on open.
    fn function(&mut self, call: &ToolCall) -> FunctionCall {
        self.calls += 1;
        let function = FunctionCall {
            // Ids of two connections of one call are as different as those of one.
            id: format!("call_{}_{}", self.id.get(4..12).unwrap_or_default(), self.calls),
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
        self.open.insert(function.id.clone(), function.clone());
        function
    }

    async fn request(&mut self, functions: Vec<FunctionCall>) -> Flow {
        match self.behaviour.arguments {
            ArgumentStyle::String => self.send(AgentMessage::FunctionCallRequest { functions }).await,
            ArgumentStyle::Object => {
                let object = |function: FunctionCall| {
                    let arguments: Value = serde_json::from_str(&function.arguments).unwrap_or_default();
                    json!({"id": function.id, "name": function.name, "arguments": arguments, "client_side": true})
                };
                let functions: Vec<Value> = functions.into_iter().map(object).collect();
                self.send_text(json!({"type": "FunctionCallRequest", "functions": functions}).to_string()).await
            }
        }
    }

    /// Takes back what is unanswered.
    pub(super) async fn cancel_tools(&mut self) -> Flow {
        self.waiting = Waiting::Nothing;
        let calls = std::mem::take(&mut self.open).into_values();
        self.cancel(calls.map(|call| CancelledCall { id: call.id, name: call.name }).collect()).await
    }

    async fn cancel(&mut self, mut functions: Vec<CancelledCall>) -> Flow {
        functions.sort_by(|a, b| a.id.cmp(&b.id));
        self.cancelled.extend(functions.iter().map(|call| call.id.clone()));
        self.send(AgentMessage::FunctionCallCancelled { functions }).await
    }

    pub(super) async fn tool_answered(&mut self, id: String, name: String, content: String, terms: &Terms) -> Flow {
        let Some(call) = self.open.remove(&id) else {
            let why = match self.repeated.get(&id) {
                Some(Some(first)) if *first == content => return Continue(()),
                Some(Some(_)) => "was answered otherwise before",
                _ if self.cancelled.contains(&id) => "was cancelled",
                _ => "is not open",
            };
            self.tell(What::Surprise(format!("an answer to {name} ({id}), which {why}: {content}")));
            return Continue(());
        };
        if call.name != name {
            self.tell(What::Surprise(format!("{} ({id}) was answered as {name}", call.name)));
        }
        if let Some(answered) = self.repeated.get_mut(&id) {
            *answered = Some(content.clone());
        }
        self.tell(What::ToolAnswered { id: id.clone(), name: name.clone(), content: content.clone() });
        let answer = serde_json::from_str(&content).unwrap_or_else(|_| Value::String(content.clone()));
        self.answers.insert(call.name.clone(), answer);
        self.answered.push(CancelledCall { id: id.clone(), name: call.name.clone() });
        let all_answered = self.open.is_empty();
        if let Waiting::Tools { cancel_answered, .. } = self.waiting
            && all_answered
        {
            self.waiting = Waiting::Nothing;
            if cancel_answered {
                let answered = std::mem::take(&mut self.answered);
                self.cancel(answered).await?;
            }
        }
        if all_answered {
            self.answered.clear();
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
