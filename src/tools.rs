//! What the agent may do during a call: the tools' names and schemas, and the desk that carries them out.
//!
//! A desk is one call's: it owns the cart, the number and the name the caller gave, and the order they placed. It
//! knows no sockets and no protocol: requests come in with the turn they were made in, answers go out as JSON text. It
//! believes nothing that the agent claims about the caller's yes; the turns tell.

mod answer;
mod arguments;
mod cart;
mod checkout;
mod phone;
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
pub use specs::{ToolSpec, specs};

use answer::{Code, Failure};
use arguments::Arguments;
use checkout::{Doubt, Placing};

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
    ToolAnswer { id, name, content: content.to_string(), effect: None }
}

/// One call's tools.
pub struct ToolDesk {
    toolbox: Toolbox,
    menu: Arc<Menu>,
    caller: Caller,
    /// The number they call from, unless withheld.
    callers_number: Option<PhoneNumber>,
    cart: Cart,
    /// Saved, or given at checkout.
    phone: Option<PhoneNumber>,
    /// Given at checkout.
    name: Option<String>,
    /// What this call has ordered last.
    placed: Option<(OrderId, OrderNumber)>,
    /// A checkout that is being saved, or looked for; the cart stays as it is meanwhile.
    placing: Option<Placing>,
    /// A checkout of which nobody knows whether it was saved.
    doubt: Option<Doubt>,
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
            cart,
            phone: None,
            name: None,
            placed: None,
            placing: None,
            doubt: None,
        }
    }

    /// Answers requests until there are no more. Only a checkout takes time: while it is being saved other requests
    /// are answered, and one that is under way when the call ends is still carried through. (Boxed: a channel sets aside
    /// room for dozens, in every call.)
    pub async fn run(mut self, mut requests: mpsc::Receiver<Box<ToolRequest>>, answers: mpsc::Sender<Box<ToolAnswer>>) {
        loop {
            let ready = tokio::select! {
                saved = checkout::saved(&mut self.placing) => self.settle(saved),
                request = requests.recv() => match request {
                    Some(request) => self.take(*request).await.into_iter().collect(),
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

    /// Answers a request, or keeps it until the checkout under way is saved.
    async fn take(&mut self, request: ToolRequest) -> Option<ToolAnswer> {
        let outcome = match request.name.as_str() {
            "checkout_order" => self.check_out(&request)?,
            "order_is_placed" => self.order_is_placed(&request)?,
            "order_status" => {
                let asked = self.asked_status(&request);
                let orders = self.toolbox.orders.clone();
                phone::order_status(orders, asked).await
            }
            _ => self.answer(&request),
        };
        Some(finish(request.id, request.name, outcome))
    }

    fn answer(&mut self, request: &ToolRequest) -> Outcome {
        let turn = request.turn;
        let fields = || self.menu.fields().iter().map(|field| field.name.as_str());
        let line = || fields().chain(["quantity", "note"]).collect::<Vec<_>>();
        let arguments = |allowed: &[&str]| Arguments::parse(&request.arguments, allowed);
        match request.name.as_str() {
            "add_to_cart" => {
                let arguments = arguments(&line())?;
                self.unless_placing()?.add_to_cart(arguments, turn)
            }
            "update_pending_item" => {
                let arguments = arguments(&line())?;
                self.unless_placing()?.update_pending_item(arguments, turn)
            }
            "confirm_pending_to_cart" | "confirm_pending_item" => {
                arguments(&[])?;
                self.unless_placing()?.confirm_pending_to_cart(turn)
            }
            "clear_pending_item" => {
                arguments(&[])?;
                self.unless_placing()?.clear_pending_item()
            }
            "remove_from_cart" => {
                let arguments = arguments(&["index"])?;
                self.unless_placing()?.remove_from_cart(arguments, turn)
            }
            "modify_cart_item" => {
                let arguments = arguments(&[&["index"], &line()[..]].concat())?;
                self.unless_placing()?.modify_cart_item(arguments, turn)
            }
            "set_sweetness_ice" if specs::has_sweetness_and_ice(&self.menu) => {
                let arguments = arguments(&["index", "sweetness", "ice"])?;
                self.unless_placing()?.set_sweetness_ice(arguments, turn)
            }
            "get_cart" => {
                arguments(&[])?;
                Ok(self.get_cart(turn))
            }
            "menu_summary" => {
                arguments(&[])?;
                Ok(self.menu_summary())
            }
            "save_phone_number" => self.save_phone_number(arguments(&["phone"])?),
            "confirm_phone_number" => self.confirm_phone_number(arguments(&["confirmed"])?),
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
            ToolAnswer { id, name, content: Value::Object(done.content).to_string(), effect: done.effect }
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
            ToolAnswer { id, name, content: failure.to_json().to_string(), effect: None }
        }
    }
}

#[cfg(test)]
mod tests;
