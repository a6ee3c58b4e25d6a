//! What the agent may do during a call: the tools' names and schemas, and the desk that carries them out.
//!
//! A desk is one call's: it owns the cart, the number and the name the caller gave, and the order they placed. It
//! knows no sockets and no protocol: requests come in with the turn they were made in, answers go out as JSON text. It
//! believes nothing that the agent claims about the caller's yes; the turns tell.

// What comes from a socket decides no index: a peer must not be able to end a call, or all of them, by a message.
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::string_slice, clippy::unwrap_used, clippy::panic, clippy::unreachable)
)]

mod answer;
mod arguments;
mod cart;
mod checkout;
mod journal;
mod look_ups;
mod phone;
mod repeats;
mod specs;

use std::sync::Arc;

use serde_json::{Map, Value, json};
use tokio::sync::mpsc;

use crate::order_service::OrderService;
use crate::ordering::cart::{Cart, FinalConfirmation};
use crate::ordering::menu::Menu;
use crate::ordering::order::{OrderId, OrderNumber};
use crate::ordering::phone_number::{PhoneNumber, Region};
use crate::shop::Shop;

pub use crate::ordering::cart::Turn;
pub use answer::outcomes;
pub use phone::callers_number;
pub use specs::{ToolSpec, specs};

use answer::{Code, Failure};
use arguments::Arguments;
use checkout::{Doubt, Placing};
use journal::{Act, Journal};
use look_ups::LookUps;
use repeats::Repeats;

/// A tool that the agent asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolRequest {
    /// Goes back with the answer.
    pub id: String,
    /// Which tool.
    pub name: String,
    /// JSON text: an object, or a string that holds one.
    pub arguments: String,
    /// How often the caller had been heard when the agent asked.
    pub turn: Turn,
    /// Counts the agent's messages with requests: those of one message were meant together.
    pub batch: u64,
    /// Whether the caller heard what was read back to them last; true when nothing was. See [`is_read_back`].
    pub heard: bool,
}

/// What a desk is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeskRequest {
    /// Carry a tool out; it is answered.
    Run(ToolRequest),
    /// The agent no longer wants these requests, by their ids: stop them, take back what can be taken back. Not answered.
    Cancel(Vec<String>),
}

/// Whether a tool's answer is read back to the caller, for them to say yes to.
pub fn is_read_back(tool: &str) -> bool {
    matches!(tool, "add_to_cart" | "update_pending_item" | "modify_cart_item" | "set_sweetness_ice" | "get_cart")
}

/// What the agent is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolAnswer {
    /// The request's.
    pub id: String,
    /// The request's.
    pub name: String,
    /// A JSON object as text.
    pub content: String,
    /// `ok`, or the code of the refusal.
    pub outcome: &'static str,
    /// What the call has to do about it, beside answering.
    pub effect: Option<Effect>,
}

/// What follows for the call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Say goodbye and hang up.
    EndCall,
    /// Put the caller through to a person.
    Transfer {
        /// Why, in the agent's words.
        reason: Option<String>,
    },
    /// The order is on disk.
    OrderPlaced {
        /// What the caller is told.
        order_number: String,
        /// How it is said.
        spoken: String,
    },
}

/// What every call's tools work with. Cheap to clone.
#[derive(Clone)]
pub struct Toolbox {
    /// Makes the orders.
    pub orders: OrderService,
    /// The menu, and whether orders are taken.
    pub shop: Shop,
    /// Where numbers without a country code belong.
    pub region: Region,
    /// When the whole order is confirmed once more.
    pub final_confirmation: FinalConfirmation,
    /// Whether there is a person to transfer to.
    pub can_transfer: bool,
}

/// Who calls.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Twilio's name for the call.
    pub call_sid: String,
    /// The number they call from, as Twilio gave it: perhaps a word for "withheld".
    pub number: Option<String>,
    /// What caused the call, for deliveries and logs.
    pub correlation_id: String,
}

/// The answer to a tool that has not finished in time: it goes on, and a later request tells how it went.
pub fn still_working(id: String, name: String) -> ToolAnswer {
    let content = Failure::new(Code::StillWorking, "I'm still working on that, one moment please.").to_json();
    ToolAnswer { id, name, content: content.to_string(), outcome: Code::StillWorking.as_str(), effect: None }
}

/// One call's tools.
pub struct ToolDesk {
    toolbox: Toolbox,
    menu: Arc<Menu>,
    caller: Caller,
    /// The number they call from, unless withheld.
    callers_number: Option<PhoneNumber>,
    /// The cart, and the number and the name for the order.
    journal: Journal,
    /// What was done to lines in this turn.
    repeats: Repeats,
    /// What this call has ordered last.
    placed: Option<(OrderId, OrderNumber)>,
    /// A checkout that is being saved, or looked for; the cart stays as it is meanwhile.
    placing: Option<Placing>,
    /// A checkout of which nobody knows whether it was saved.
    doubt: Option<Doubt>,
    /// Orders that the caller asked about.
    look_ups: LookUps,
}

/// What a tool came to.
type Outcome = Result<Done, Failure>;

/// A tool that did what it was asked.
struct Done {
    content: Map<String, Value>,
    effect: Option<Effect>,
}

impl ToolDesk {
    /// A desk for a new call, with an empty cart.
    pub fn new(toolbox: Toolbox, caller: Caller) -> ToolDesk {
        let menu = Arc::clone(toolbox.shop.menu());
        let callers_number = caller.number.as_deref().and_then(|number| phone::callers_number(number, toolbox.region));
        let cart = Cart::new(menu.limits().drinks_per_order);
        ToolDesk {
            toolbox,
            menu,
            caller,
            callers_number,
            journal: Journal::new(cart),
            repeats: Repeats::default(),
            placed: None,
            placing: None,
            doubt: None,
            look_ups: LookUps::default(),
        }
    }

    /// Answers requests until there are no more. What needs the store takes time: while an order is saved or looked up
    /// other requests are answered, and a save that is under way when the call ends is still carried through. (Boxed: a
    /// channel sets aside room for dozens, in every call.)
    pub async fn run(mut self, mut requests: mpsc::Receiver<Box<DeskRequest>>, answers: mpsc::Sender<Box<ToolAnswer>>) {
        loop {
            let ready = tokio::select! {
                ready = self.ready() => ready,
                request = requests.recv() => match request.map(|request| *request) {
                    Some(DeskRequest::Run(request)) => self.take(request).into_iter().collect(),
                    Some(DeskRequest::Cancel(ids)) => {
                        self.cancel(&ids);
                        Vec::new()
                    }
                    None => break,
                },
            };
            for answer in ready {
                // A bridge that has gone wants no answers; what was asked is done all the same.
                let _ = answers.send(Box::new(answer)).await;
            }
        }
        // One that was looked for may have to be saved now.
        while self.placing.is_some() {
            let saved = checkout::saved(&mut self.placing).await;
            self.settle(saved);
        }
    }

    /// The answers of what had to be waited for; never, when there is nothing. Safe to drop and call again.
    async fn ready(&mut self) -> Vec<ToolAnswer> {
        tokio::select! {
            saved = checkout::saved(&mut self.placing) => self.settle(saved),
            answer = self.look_ups.next() => vec![answer],
        }
    }

    /// Answers a request, or keeps it until the store has answered.
    fn take(&mut self, request: ToolRequest) -> Option<ToolAnswer> {
        self.journal.begin(&request.id);
        let outcome = match request.name.as_str() {
            "checkout_order" => self.check_out(&request)?,
            "order_is_placed" => self.order_is_placed(&request)?,
            "order_status" => {
                let orders = self.toolbox.orders.clone();
                let asked = self.asked_status(&request);
                match asked.and_then(|asked| self.look_ups.begin(&request, phone::order_status(orders, asked))) {
                    Ok(()) => return None,
                    Err(failure) => Err(failure),
                }
            }
            _ => self.answer(&request),
        };
        Some(finish(request.id, request.name, outcome))
    }

    fn answer(&mut self, request: &ToolRequest) -> Outcome {
        let fields = || self.menu.fields().iter().map(|field| field.name.as_str());
        let line = || fields().chain(["quantity", "note"]).collect::<Vec<_>>();
        let arguments = |allowed: &[&str]| Arguments::parse(&request.arguments, allowed);
        match request.name.as_str() {
            "add_to_cart" => {
                let arguments = arguments(&line())?;
                self.unless_placing()?.add_to_cart(arguments, request)
            }
            "update_pending_item" => {
                let arguments = arguments(&line())?;
                self.unless_placing()?.update_pending_item(arguments, request)
            }
            "confirm_pending_to_cart" | "confirm_pending_item" => {
                arguments(&[])?;
                self.unless_placing()?.confirm_pending_to_cart(request)
            }
            "clear_pending_item" => {
                arguments(&[])?;
                self.unless_placing()?.clear_pending_item(request)
            }
            "remove_from_cart" => {
                let arguments = arguments(&["index"])?;
                self.unless_placing()?.once(request, |desk| desk.remove_from_cart(arguments, request))
            }
            "modify_cart_item" => {
                let arguments = arguments(&[&["index"], &line()[..]].concat())?;
                self.unless_placing()?.once(request, |desk| desk.modify_cart_item(arguments, request))
            }
            "set_sweetness_ice" if specs::has_sweetness_and_ice(&self.menu) => {
                let arguments = arguments(&["index", "sweetness", "ice"])?;
                self.unless_placing()?.once(request, |desk| desk.set_sweetness_ice(arguments, request))
            }
            "get_cart" => {
                arguments(&[])?;
                self.get_cart(request)
            }
            "menu_summary" => {
                arguments(&[])?;
                Ok(self.menu_summary())
            }
            "save_phone_number" => self.save_phone_number(arguments(&["phone"])?, request),
            "confirm_phone_number" => self.confirm_phone_number(arguments(&["confirmed"])?, request),
            "extract_phone_and_order" => self.extract_phone_and_order(arguments(&["text"])?),
            "end_call" => {
                arguments(&["reason"])?;
                Ok(Done::new(json!({"ok": true})).with(Effect::EndCall))
            }
            "transfer_to_human" if self.toolbox.can_transfer => {
                let reason = arguments(&["reason"])?.line("reason", 200)?;
                Ok(Done::new(json!({"ok": true})).with(Effect::Transfer { reason }))
            }
            _ => Err(Failure::new(Code::UnknownTool, "There is no such tool; nothing was done.")),
        }
    }

    /// Does something to a line, unless it was done already.
    fn once(&mut self, request: &ToolRequest, act: impl FnOnce(&mut Self) -> Outcome) -> Outcome {
        if let Some(content) = self.repeats.answer_again(request) {
            tracing::info!(tool = %request.name, "the agent asked twice for the same; it was done once");
            return Ok(Done { content, effect: None });
        }
        let done = act(self)?;
        self.repeats.done(request, &done.content);
        Ok(done)
    }

    /// Takes back what the agent no longer wants, as far as nothing was built on it. What has not begun does not begin; an
    /// order on its way to the disk goes on, and whoever asked for it is told.
    fn cancel(&mut self, ids: &[String]) {
        let waited = self.placing.as_mut().map_or(0, |placing| placing.forget(ids)) + self.look_ups.forget(ids);
        let done = self.journal.cancel(ids);
        let taken_back = self.take_back();
        tracing::info!(
            count = ids.len(),
            taken_back,
            left = done.saturating_sub(taken_back),
            not_begun = waited,
            "the agent cancelled tool calls"
        );
    }

    /// Takes back what can be, and counts it. While an order is being saved, or looked for, what it is made of stays.
    fn take_back(&mut self) -> usize {
        if self.placing.is_some() {
            return 0;
        }
        let taken_back = self.journal.take_back();
        self.repeats.forget(&taken_back);
        taken_back.len()
    }

    /// The desk, unless its cart is being ordered at this moment.
    fn unless_placing(&mut self) -> Result<&mut Self, Failure> {
        if self.placing.is_some() {
            return Err(Failure::new(Code::StillWorking, "I'm just placing the order, one moment please."));
        }
        Ok(self)
    }

    fn menu_summary(&self) -> Done {
        let stock = self.toolbox.shop.stock();
        let spoken = self.menu.spoken_without(|field, option| !stock.has(field, option));
        let mut done = Done::new(json!({"ok": true, "summary": spoken}));
        for field in self.menu.fields() {
            done.content.insert(field.list.clone(), stock.options(field).into());
        }
        done
    }
}

impl Done {
    /// `content` is a JSON object.
    fn new(content: Value) -> Done {
        let content = match content {
            Value::Object(content) => content,
            other => Map::from_iter([("result".to_owned(), other)]),
        };
        Done { content, effect: None }
    }

    fn with(mut self, effect: Effect) -> Done {
        self.effect = Some(effect);
        self
    }
}

/// Writes an outcome down and tells the log what was decided – never with what.
fn finish(id: String, name: String, outcome: Outcome) -> ToolAnswer {
    match outcome {
        Ok(done) => {
            tracing::info!(event = "ai_decision", tool = %name, decision = "done", "the agent used a tool");
            let content = Value::Object(done.content).to_string();
            ToolAnswer { id, name, content, outcome: "ok", effect: done.effect }
        }
        Err(failure) => {
            let code = failure.code.as_str();
            // The name of a tool that does not exist is the model's own text.
            let tool = if failure.code == Code::UnknownTool { "unknown" } else { name.as_str() };
            tracing::info!(event = "ai_decision", tool, decision = code, "a tool was refused");
            if failure.code.is_guardrail() {
                let guardrail = code;
                tracing::warn!(
                    event = "ai_guardrail_triggered",
                    guardrail,
                    action = "refused",
                    tool,
                    "the agent may not do that yet"
                );
            }
            ToolAnswer { id, name, content: failure.to_json().to_string(), outcome: code, effect: None }
        }
    }
}

#[cfg(test)]
mod tests;
