//! Requests that are made a second time under another id: a line is addressed by its place, so the same words said twice
//! would take out two lines, or change one that has moved up.
//!
//! The same request in the same turn of the caller, from another message of the agent, is the same wish – unless the agent
//! has looked at the cart in between: then it knows which line stands where. What is staged, confirmed or ordered needs
//! none of this: a second time finds another drink staged, nothing to confirm, or the order that there is.

use serde_json::{Map, Value};

use super::{ToolRequest, Turn};

/// Requests remembered.
const MOST: usize = 16;

/// What has been done to lines in this turn, since the cart was looked at.
#[derive(Default)]
pub(super) struct Repeats {
    turn: Turn,
    done: Vec<Answered>,
}

struct Answered {
    id: String,
    batch: u64,
    name: String,
    arguments: Value,
    content: Map<String, Value>,
}

impl Repeats {
    /// What was answered to the same request, with a note for the agent that it is the same.
    pub(super) fn answer_again(&self, request: &ToolRequest) -> Option<Map<String, Value>> {
        if request.turn != self.turn || self.done.is_empty() {
            return None;
        }
        let arguments = read(&request.arguments);
        let same =
            |done: &&Answered| done.batch != request.batch && done.name == request.name && done.arguments == arguments;
        let mut content = self.done.iter().find(same)?.content.clone();
        content.insert("repeated".to_owned(), true.into());
        let note = "This was done already, and nothing was done a second time. If the caller means another line as well, call \
                    get_cart first.";
        content.insert("note".to_owned(), note.into());
        Some(content)
    }

    /// A line was removed or changed.
    pub(super) fn done(&mut self, request: &ToolRequest, content: &Map<String, Value>) {
        if request.turn != self.turn {
            self.turn = request.turn;
            self.done.clear();
        }
        if self.done.len() == MOST {
            self.done.remove(0);
        }
        self.done.push(Answered {
            id: request.id.clone(),
            batch: request.batch,
            name: request.name.clone(),
            arguments: read(&request.arguments),
            content: content.clone(),
        });
    }

    /// These requests were taken back: made again, they are new.
    pub(super) fn forget(&mut self, ids: &[String]) {
        self.done.retain(|done| !ids.contains(&done.id));
    }

    /// The agent has looked at the cart: what it asks for now is about what it has seen.
    pub(super) fn looked_at(&mut self) {
        self.done.clear();
    }
}

/// What a request's arguments say, however they are wrapped and spaced.
fn read(arguments: &str) -> Value {
    match serde_json::from_str(arguments) {
        Ok(Value::String(inner)) => serde_json::from_str(&inner).unwrap_or(Value::String(inner)),
        Ok(value) => value,
        Err(_) => Value::Null,
    }
}
