//! What the agent asks for: tools, their answers, and what follows from them for the call.

use super::super::ending::{Ending, Purpose};
use super::super::moment::Moment;
use super::super::tool_calls::{Admission, Asked, Cancelled, Finished};
use super::agent::REPLY_LIMIT;
use super::{Output, Session};
use crate::deepgram::message::{CancelledCall, ClientMessage, FunctionCall};
use crate::tools::{Effect, ToolAnswer, is_read_back};
use std::time::Duration;

impl Session {
    pub(super) fn on_function_calls(&mut self, now: Duration, functions: Vec<FunctionCall>, out: &mut Vec<Output>) {
        self.suspended = None;
        self.reply_due = None;
        self.tools.begin_batch();
        let asked = Asked { turn: self.turn, interruptions: self.interruptions, heard: self.told.heard() };
        for call in functions {
            let tool = short(&call.name);
            let noted = call.client_side.then(|| call.clone());
            match self.tools.admit(now, call, asked) {
                Admission::Run(request) => {
                    self.worked = now;
                    // What it asks for comes of what it has understood.
                    self.ears.understood();
                    self.summary.tool_calls += 1;
                    if let Some(call) = noted {
                        self.record.called(&call);
                    }
                    out.push(Output::Moment(Moment::ToolBegan { tool }));
                    out.push(Output::RunTool(request));
                }
                Admission::Answer(answer) => self.respond(now, answer, out),
                Admission::Ignore => {}
            }
        }
    }

    /// The agent takes calls back. What they changed is undone by whoever did it; nothing is answered.
    pub(super) fn on_cancelled(&mut self, functions: Vec<CancelledCall>, out: &mut Vec<Output>) {
        let mut ids = Vec::new();
        for CancelledCall { id, name } in functions {
            match self.tools.cancel(&id) {
                Cancelled::Unknown => continue,
                Cancelled::Answered(ToolAnswer { effect: Some(Effect::OrderPlaced { spoken, .. }), .. }) => {
                    // What is on the disk stays there.
                    self.unknown_order = Some(spoken);
                }
                Cancelled::Answered(_) | Cancelled::Running => {}
            }
            self.record.cancelled(&id);
            if self.ending.as_ref().is_some_and(|ending| ending.is_by(&id)) {
                self.ending = None;
            }
            out.push(Output::Moment(Moment::ToolCancelled { tool: short(&name) }));
            ids.push(id);
        }
        if !ids.is_empty() {
            self.reply_due = None;
            out.push(Output::CancelTools(ids));
            self.tell_news(out);
        }
    }

    pub(super) fn on_tool(&mut self, now: Duration, answer: ToolAnswer, out: &mut Vec<Output>) {
        let finished = self.tools.finish(now, &answer);
        let wanted = finished.as_ref().is_some_and(|finished| finished.wanted);
        if let Some(Effect::OrderPlaced { order_number, spoken }) = &answer.effect {
            // True even when the answer comes too late to be sent: the order is there.
            self.summary.order_number = Some(order_number.clone());
            self.told.ordered(order_number, spoken, self.replies.generation());
            out.push(Output::Moment(Moment::OrderPlaced { order_number: order_number.clone() }));
            self.unknown_order = (!wanted).then(|| spoken.clone());
            self.tell_news(out);
        }
        // Whoever waits for it: an agent that comes later is to know.
        self.record.answered(&answer.id, &answer.content);
        let Some(Finished { interruptions, took, .. }) = finished else { return };
        let (tool, outcome) = (short(&answer.name), answer.outcome);
        out.push(Output::Moment(Moment::ToolDone { tool, took, outcome }));
        if !wanted {
            return;
        }
        if outcome == "ok" && is_read_back(&answer.name) {
            self.told.reads_back(self.replies.generation());
        }
        let purpose = match answer.effect {
            Some(Effect::EndCall) => Some(Purpose::HangUp),
            Some(Effect::Transfer { .. }) => Some(Purpose::Transfer),
            Some(Effect::OrderPlaced { .. }) | None => None,
        };
        let id = answer.id.clone();
        self.respond(now, answer, out);
        // Who has begun to speak since the agent asked has called the ending off before it began.
        if let Some(purpose) = purpose
            && interruptions == self.interruptions
        {
            self.ask_to_end(now, purpose, &id, out);
        }
    }

    fn ask_to_end(&mut self, now: Duration, purpose: Purpose, request: &str, out: &mut Vec<Output>) {
        match &mut self.ending {
            // Who was promised a person is not hung up on, and what is final stays so.
            Some(ending) if ending.purpose != Purpose::HangUp => return,
            Some(ending) => ending.purpose = purpose,
            None => {
                self.ending = Some(Ending::asked(now, purpose, &self.replies).by(request));
                out.push(Output::Moment(Moment::Goodbye(purpose.into())));
            }
        }
        self.say_number_again(now, out);
    }

    /// A number that was not heard to its end is said once more before the line is closed; the goodbye waits for it.
    pub(super) fn say_number_again(&mut self, now: Duration, out: &mut Vec<Output>) {
        if !self.link.is_live() {
            return;
        }
        let Some(spoken) = self.told.number_again(self.replies.generation()) else { return };
        let words = self.settings.phrases.number_again.replace("{number}", spoken);
        out.push(Output::Moment(Moment::NumberAgain));
        if let Some(ending) = &mut self.ending {
            ending.wait_for_another(now, &self.replies);
        }
        self.inject(now, words, true, out);
    }

    /// Says that a tool takes a moment, where there would be silence.
    pub(super) fn tell_slow(&mut self, now: Duration, out: &mut Vec<Output>) {
        if let Some(tool) = self.tools.tell_slow(now) {
            out.push(Output::Moment(Moment::ToolSlow { tool: short(&tool) }));
            self.inject(now, self.settings.phrases.one_moment.clone(), true, out);
        }
    }

    pub(super) fn respond(&mut self, now: Duration, answer: ToolAnswer, out: &mut Vec<Output>) {
        if self.link.is_live() {
            let ToolAnswer { id, name, content, .. } = answer;
            out.push(Output::AgentText(ClientMessage::FunctionCallResponse { id, name, content }.to_json()));
            // While the caller speaks it is not the agent's turn.
            let agents_turn = !self.tools.are_running() && !self.stale_text;
            self.reply_due = agents_turn.then_some(now + REPLY_LIMIT);
        }
    }
}

/// A tool's name as it may be noted: the model's own text where there is no such tool.
pub(super) fn short(name: &str) -> String {
    name.chars().take(64).collect()
}
