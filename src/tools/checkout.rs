//! Placing the order: everything that has to hold first, the save, and what the caller is told afterwards.
//!
//! The save is the order service's and takes as long as the disk does. Meanwhile the cart is frozen, and whoever asks
//! about the order waits for the truth. Where the store cannot tell what came of a save, its key is kept, and the order is
//! looked for before anything else is ordered or said.

use futures_util::future::BoxFuture;
use serde_json::json;

use super::answer::{Code, Failure};
use super::arguments::Arguments;
use super::{Act, Done, Effect, Outcome, ToolAnswer, ToolDesk, ToolRequest, finish};
use crate::order_service::{Idempotency, NewOrder, OrderError, OrderService, Origin};
use crate::ordering::cart::CartError;
use crate::ordering::order::{Channel, Order, OrderId};

/// The longest name and notes, in characters.
const LONGEST_NAME: usize = 60;
const LONGEST_NOTES: usize = 500;

type Save = BoxFuture<'static, Ended>;

/// An order on its way to the disk, or looked for there.
pub(super) struct Placing {
    save: Save,
    /// The request that is being carried out; none while an order is looked for.
    started_by: Option<ToolRequest>,
    /// Who waits for it and has not begun.
    waiting: Vec<ToolRequest>,
}

impl Placing {
    /// These requests are not wanted any more: those that have not begun are not answered. The one under way is.
    pub(super) fn forget(&mut self, ids: &[String]) -> usize {
        let before = self.waiting.len();
        self.waiting.retain(|request| !ids.contains(&request.id));
        before - self.waiting.len()
    }
}

/// A checkout whose outcome nobody knows, by the key that it was saved with if it was.
pub(super) struct Doubt {
    key: String,
}

/// What came of a save or of a search.
enum Ended {
    /// An order is saved or could not be. The key, if it was to be saved under one.
    Saved(Result<Order, OrderError>, Option<String>),
    /// The checkout in doubt was made after all; none: not until now.
    Found(Result<Option<Order>, OrderError>),
}

/// A save or a search that has ended, and who waits for it.
pub(super) struct Saved {
    ended: Ended,
    waiting: Vec<ToolRequest>,
}

/// The end of the save under way; never, when there is none. Safe to drop and call again.
pub(super) async fn saved(placing: &mut Option<Placing>) -> Saved {
    let ended = match placing {
        Some(placing) => (&mut placing.save).await,
        None => std::future::pending().await,
    };
    let asked = placing.take().map(|placing| placing.started_by.into_iter().chain(placing.waiting).collect());
    Saved { ended, waiting: asked.unwrap_or_default() }
}

impl ToolDesk {
    /// Starts the save, or says why not; `None`: the answer comes when the save has ended.
    pub(super) fn check_out(&mut self, request: &ToolRequest) -> Option<Outcome> {
        if self.waits(request) { None } else { self.begin(request) }
    }

    /// Whether this call has an order; `None`: the answer comes when the save under way has ended.
    pub(super) fn order_is_placed(&mut self, request: &ToolRequest) -> Option<Outcome> {
        if let Err(failure) = Arguments::parse(&request.arguments, &[]) {
            return Some(Err(failure));
        }
        if self.waits(request) { None } else { Some(Ok(self.is_placed())) }
    }

    /// Whether a request has to wait for the save under way, or until it is known what came of the one before.
    fn waits(&mut self, request: &ToolRequest) -> bool {
        if let Some(placing) = &mut self.placing {
            placing.waiting.push(request.clone());
        } else if let Some(Doubt { key }) = &self.doubt {
            let (orders, key) = (self.toolbox.orders.clone(), key.clone());
            let save: Save = Box::pin(async move { Ended::Found(orders.ordered_by(&key).await) });
            self.placing = Some(Placing { save, started_by: None, waiting: vec![request.clone()] });
        }
        self.placing.is_some()
    }

    fn begin(&mut self, request: &ToolRequest) -> Option<Outcome> {
        match self.start_save(request) {
            Ok(save) => {
                self.placing = Some(Placing { save, started_by: Some(request.clone()), waiting: Vec::new() });
                None
            }
            Err(failure) => Some(Err(failure)),
        }
    }

    /// Remembers what came of the save and answers everybody who waited for it. Who waited for a search is answered, or
    /// waits for the save that begins now.
    pub(super) fn settle(&mut self, saved: Saved) -> Vec<ToolAnswer> {
        match saved.ended {
            Ended::Saved(result, key) => self.settle_save(&result, key, saved.waiting),
            Ended::Found(Ok(found)) => {
                if let Some(order) = found {
                    tracing::info!(order.number = %order.order_number, "an order in doubt was saved after all");
                    self.journal.ordered_after_all();
                    self.placed = Some((order.order_id, order.order_number));
                    self.doubt = None;
                }
                // What was cancelled meanwhile goes before anything else begins.
                self.take_back();
                // What was not found may still be on its way: until something else is saved it is looked for again.
                saved.waiting.into_iter().filter_map(|request| self.answer_after_search(request)).collect()
            }
            Ended::Found(Err(error)) => {
                tracing::warn!("an order in doubt could not be looked for: {error}");
                self.take_back();
                let answer = |request: ToolRequest| finish(request.id, request.name, Err(in_doubt()));
                saved.waiting.into_iter().map(answer).collect()
            }
        }
    }

    fn answer_after_search(&mut self, request: ToolRequest) -> Option<ToolAnswer> {
        if let Some(placing) = &mut self.placing {
            placing.waiting.push(request);
            return None;
        }
        let outcome = match request.name.as_str() {
            "order_is_placed" => Ok(self.is_placed()),
            _ => self.begin(&request)?,
        };
        Some(finish(request.id, request.name, outcome))
    }

    fn settle_save(
        &mut self,
        result: &Result<Order, OrderError>,
        key: Option<String>,
        waiting: Vec<ToolRequest>,
    ) -> Vec<ToolAnswer> {
        match (result, key) {
            (Ok(order), key) => {
                self.placed = Some((order.order_id.clone(), order.order_number));
                // Without a key it was only looked at.
                if key.is_some() {
                    self.journal.ordered();
                    self.doubt = None;
                }
            }
            (Err(error), Some(key)) if error.is_in_doubt() => {
                self.journal.doubt();
                self.doubt = Some(Doubt { key });
            }
            (Err(_), _) => {}
        }
        self.take_back();
        let answer = |request: ToolRequest| {
            let outcome = match result {
                _ if request.name == "order_is_placed" => {
                    if self.doubt.is_some() {
                        Err(in_doubt())
                    } else {
                        Ok(self.is_placed())
                    }
                }
                Ok(order) => Ok(self.placed_answer(order, request.heard)),
                Err(error) => Err(self.failed(error)),
            };
            finish(request.id, request.name, outcome)
        };
        waiting.into_iter().map(answer).collect()
    }

    fn start_save(&mut self, request: &ToolRequest) -> Result<Save, Failure> {
        let allowed = ["phone", "name", "notes", "confirmed", "allow_duplicate"];
        let mut arguments = Arguments::parse(&request.arguments, &allowed)?;
        let phone = arguments.text("phone")?.map(|said| self.read_phone(&said)).transpose()?;
        let name = arguments.line("name", LONGEST_NAME)?;
        let notes = arguments.line("notes", LONGEST_NOTES)?;
        let confirmed = arguments.flag("confirmed")?.unwrap_or(false);
        let allow_duplicate = arguments.flag("allow_duplicate")?.unwrap_or(false);
        // They count from here on, whatever else is still missing.
        if let Some(phone) = phone {
            self.journal.act(request, Act::SavePhone(phone))?;
        }
        if let Some(name) = name {
            self.journal.act(request, Act::SaveName(name))?;
        }

        let orders = self.toolbox.orders.clone();
        let placed = self.placed.as_ref().map(|(id, _)| id.clone());
        if self.journal.cart().items().is_empty() && self.journal.cart().pending().is_none() {
            // Nothing new: the order of this call stands.
            let error = "There is nothing in the cart yet. What would you like?";
            let id = placed.ok_or_else(|| Failure::new(Code::EmptyCart, error))?;
            return Ok(Box::pin(async move {
                let order = orders.by_id(&id).await.and_then(|order| order.ok_or(OrderError::NotFound));
                Ended::Saved(order, None)
            }));
        }
        if let Some(pending) = self.journal.cart().pending() {
            let summary = self.menu.summary(pending);
            let error = format!("There is still a drink to confirm: {summary}. Would you like it?");
            return Err(Failure::new(Code::PendingItem, error).with("summary", summary));
        }
        // Before anything is asked of the caller: neither a number nor a name would help.
        if let Some(sentence) = self.toolbox.shop.ordering_closed(self.toolbox.orders.now()) {
            return Err(Failure::new(Code::OrderingClosed, sentence));
        }
        self.all_there(self.journal.cart().items())?;
        let requires = self.menu.requires();
        if requires.phone && self.journal.phone().is_none() {
            return Err(Failure::new(Code::NoPhone, "Which phone number may I put on the order?"));
        }
        if requires.name && self.journal.name().is_none() {
            return Err(Failure::new(Code::NoName, "What name may I put on the order?"));
        }
        self.journal
            .cart()
            .may_order(request.turn, confirmed, self.toolbox.final_confirmation)
            .map_err(|error| self.not_confirmed(error))?;

        let origin = Origin { by: "phone", correlation_id: Some(self.caller.correlation_id.clone()) };
        // The same cart of the same call is the same order, however often it is tried.
        let key = format!("call:{}:{}", self.caller.call_sid, self.journal.cart().revision());
        let new = NewOrder {
            name: self.journal.name().map(str::to_owned),
            phone: self.journal.phone().cloned(),
            caller: self.callers_number.clone(),
            notes,
            call_sid: Some(self.caller.call_sid.clone()),
            idempotency: Some(Idempotency { key: key.clone(), request: String::new(), reply: None }),
            allow_duplicate,
            ..NewOrder::new(Channel::Phone, self.journal.cart().items().to_vec(), origin)
        };
        Ok(Box::pin(async move {
            let result = save(orders, placed, new).await;
            Ended::Saved(result, Some(key))
        }))
    }

    fn not_confirmed(&self, error: CartError) -> Failure {
        if error != CartError::NeedsConfirmation {
            return error.into();
        }
        let summary = self.menu.cart_summary(self.journal.cart().items());
        // The two ways to get here ask for different things of the agent, and one sentence of the caller.
        let next = if self.journal.cart().was_read_back() {
            "Wait until the caller has answered, then call checkout_order with confirmed true if they said yes."
        } else {
            "Call get_cart, read its summary to the caller, and wait for their answer."
        };
        let error = format!("Before I place it, is this right? {summary}");
        Failure::new(Code::NeedsConfirmation, error).with("summary", summary).with("next", next)
    }

    fn is_placed(&self) -> Done {
        match &self.placed {
            Some((_, number)) => {
                Done::new(json!({"placed": true, "order_number": number, "spoken_order_number": number.spoken()}))
            }
            None => Done::new(json!({"placed": false, "order_number": null})),
        }
    }

    /// `heard`: whether the caller heard what was read back to them before.
    fn placed_answer(&self, order: &Order, heard: bool) -> Done {
        let ready_in_minutes = order.status.is_active().then(|| {
            let wait = order.estimated_ready_time?.duration_since(self.toolbox.orders.now());
            // Begun minutes count: nobody should come too early.
            Some((wait.as_secs().max(0) + 59) / 60)
        });
        let content = json!({
            "ok": true,
            "order_number": order.order_number,
            "spoken_order_number": order.order_number.spoken(),
            "order_id": order.order_id,
            "status": order.status,
            "items": order.items,
            "total": order.total,
            "phone": order.phone,
            "name": order.name,
            "ready_in_minutes": ready_in_minutes.flatten(),
        });
        let mut done = Done::new(content);
        if !heard {
            // Nothing is refused for it: they said yes. But they may not have heard all of what to.
            done.content.insert("heard".to_owned(), false.into());
            done.content.insert("summary".to_owned(), self.menu.cart_summary(&order.items).into());
        }
        done.with(Effect::OrderPlaced {
            order_number: order.order_number.to_string(),
            spoken: order.order_number.spoken(),
        })
    }

    fn failed(&self, error: &OrderError) -> Failure {
        match error {
            OrderError::Limit { limit, per_phone: false } => {
                Failure::new(Code::Limit, format!("We can make at most {limit} drinks in one order."))
            }
            OrderError::Limit { limit, per_phone: true } => {
                let error = format!(
                    "There are already drinks being made for that phone number, and we can make at most {limit} at a time."
                );
                Failure::new(Code::Limit, error)
            }
            OrderError::Duplicate { existing } => {
                let number = existing.order_number;
                let error = format!(
                    "You ordered the same drinks a moment ago; the order number is {}. Would you like them once more?",
                    number.spoken()
                );
                Failure::new(Code::DuplicateOrder, error)
                    .with("order_number", number.to_string())
                    .with("spoken_order_number", number.spoken())
            }
            OrderError::InProgress => {
                Failure::new(Code::StillWorking, "The same order is just being placed, one moment please.")
            }
            OrderError::Empty => CartError::EmptyCart.into(),
            OrderError::Closed(sentence) => Failure::new(Code::OrderingClosed, sentence.clone()),
            OrderError::SoldOut(lacking) => lacking.clone().into(),
            error if error.is_in_doubt() => in_doubt(),
            OrderError::KeyMismatch
            | OrderError::NoSlot(_)
            | OrderError::IdTaken(_)
            | OrderError::NotFound
            | OrderError::NoSuchDelivery
            | OrderError::NoSuchItem(_)
            | OrderError::VersionConflict { .. }
            | OrderError::NothingToUndo
            | OrderError::InvalidState { .. }
            | OrderError::TooLate(_)
            | OrderError::NotSaved(_) => {
                let error = "Sorry, I could not place the order. It is still in the cart; shall I try once more?";
                Failure::new(Code::NotSaved, error)
            }
        }
    }
}

/// What is said while nobody knows.
fn in_doubt() -> Failure {
    let error = "I can't tell yet whether your order went through. One moment, I'll find out.";
    let next = "Call checkout_order again: it finds out first, and orders nothing twice.";
    Failure::new(Code::NotSaved, error).with("next", next)
}

/// Appends to the call's order while that may still be changed; otherwise makes a new one.
async fn save(orders: OrderService, amended: Option<OrderId>, new: NewOrder) -> Result<Order, OrderError> {
    if let Some(id) = amended {
        match orders.append(&id, new.clone()).await {
            Err(OrderError::TooLate(_) | OrderError::NotFound) => {}
            other => return other,
        }
    }
    orders.create(new).await?.into_order()
}
