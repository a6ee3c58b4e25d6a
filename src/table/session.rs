//! One session at a table: who is there, what is in the cart, which order is on its way – a state machine without I/O.
//!
//! (now, input) → outputs. Every rule about a shared cart is here; what a drink is and costs is the menu's, what becomes of
//! an order the order service's. Who may come in and how fast somebody may ask is decided before it.

mod cart;
mod interface;
mod members;
mod order;
mod place;
mod stored;
mod view;

pub use interface::{Door, Input, NewMember, Notice, OrderNews, Output, Placement, PlacementRefused, Setup, Ticket};
pub use stored::Stored;
pub use view::Overview;

use crate::ordering::menu::{Asked, Menu};
use crate::ordering::order::OrderId;
use crate::ordering::phone_number::Region;
use crate::ordering::status::OrderStatus;
use crate::table::protocol::{Action, Kind, Operation, RefusalCode, Refused, ServerMessage};
use jiff::{SignedDuration, Timestamp};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use stored::Stage;

/// So long nobody has to be in a session that has no orders and an empty cart until it ends.
const DESERTED: SignedDuration = SignedDuration::from_mins(10);
/// So long after its last use a session ahead waits for an order to be ready.
const AWAITED: SignedDuration = SignedDuration::from_hours(20);
/// Orders of a session that are kept though they are completed or cancelled.
const MOST_FINISHED: usize = 30;

/// Which phone numbers guests may be texted at.
#[derive(Clone, Debug)]
pub struct PhoneRules {
    /// How a number without a country code is meant.
    pub region: Region,
    /// Numbers of these countries are texted.
    pub countries: Vec<Region>,
}

/// One session.
#[derive(Debug)]
pub struct Session {
    menu: Arc<Menu>,
    phones: PhoneRules,
    notice: Notice,
    /// What outlives the server.
    kept: Stored,
    /// The cart has been saved up to here.
    saved_revision: u64,
    /// How many screens of each member are connected; who has none is not in it.
    screens: HashMap<String, u32>,
    /// What was said of the order that is being sent again while it is: whether from before or after is known with the
    /// outcome.
    heard: Option<OrderNews>,
    /// Since when nobody is there and nothing either.
    deserted_since: Option<Timestamp>,
    /// When the latest orders were placed, oldest first.
    placed_at: VecDeque<Timestamp>,
    /// It has ended; nothing happens in it any more.
    is_over: bool,
}

/// What an operation comes to, where it is not refused.
enum Outcome {
    /// Everybody is told.
    Told(Box<ServerMessage>),
    /// Only whoever asked is told.
    Done,
    /// What comes of it is told later.
    Later,
}

impl Session {
    /// A session that begins now, with nobody in it.
    pub fn start(setup: Setup, phones: PhoneRules, notice: Notice, now: Timestamp) -> Self {
        let Setup { id, kind, table, menu, door, idle } = setup;
        let kept = Stored {
            id,
            kind,
            table,
            door,
            idle,
            started_at: now,
            last_active: now,
            updated_at: now,
            guests: Vec::new(),
            revision: 0,
            lines: Vec::new(),
            stage: Stage::Open,
            just_confirmed: false,
            given_up: Vec::new(),
            called_off: Vec::new(),
            called_off_because: None,
            orders: Vec::new(),
            numbers: Vec::new(),
            bill_asked_at: None,
            ending: None,
        };
        Self::new(kept, menu, phones, notice)
    }

    /// A session as it was kept. Nobody is connected. What was being placed is still [placing](Session::placing), an order
    /// that was on its way still [watched](Session::watched). Lines that today's menu does not have are gone, the others
    /// cost what they cost today; of a cart that is locked that is so once it is unlocked.
    pub fn restore(stored: Stored, menu: Arc<Menu>, phones: PhoneRules, notice: Notice) -> Self {
        let mut session = Self::new(stored, menu, phones, notice);
        // What is on its way was ordered at the prices of then.
        if !session.is_locked() {
            session.follow_menu();
            // Whoever watches it now is told that it still waits, and has it cancelled.
            session.give_up();
        }
        session
    }

    fn new(kept: Stored, menu: Arc<Menu>, phones: PhoneRules, notice: Notice) -> Self {
        let saved_revision = kept.revision;
        Self {
            menu,
            phones,
            notice,
            kept,
            saved_revision,
            screens: HashMap::new(),
            deserted_since: None,
            heard: None,
            placed_at: VecDeque::new(),
            is_over: false,
        }
    }

    /// What is to be kept of it: everything but who is connected.
    pub fn stored(&self) -> Stored {
        self.kept.clone()
    }

    /// Takes one input; appends what is to be done.
    pub fn handle(&mut self, now: Timestamp, input: Input, outputs: &mut Vec<Output>) {
        if self.is_over {
            return;
        }
        match input {
            Input::Join(member) => self.join(now, member, outputs),
            Input::Connected(member) => self.connected(now, &member, outputs),
            Input::Disconnected(member) => self.disconnected(&member, outputs),
            Input::Look(member) => self.show(now, &member, outputs),
            Input::Operation(member, operation) => self.operate(now, &member, operation, outputs),
            Input::Placed(key, outcome) => self.placed(now, &key, outcome, outputs),
            Input::Order(news) => self.heard_of(now, news, outputs),
            Input::OrderDeleted(order_id) => self.deleted(now, &order_id, outputs),
            Input::Shop(notice) => self.shop_changed(notice, outputs),
            Input::Path(path) => {
                self.kept.door.path = path;
                outputs.push(Output::Save);
                self.show_all(now, outputs);
            }
            Input::Saved(revision) => self.saved(revision, outputs),
            Input::End(reason) => self.end(now, reason, outputs),
            Input::Tick => self.tick(now, outputs),
        }
        self.forget_finished();
        self.deserted_since = self.is_deserted().then(|| self.deserted_since.unwrap_or(now));
    }

    /// The member who has this secret (SHA-256, hexadecimal).
    pub fn member_with(&self, secret_hash: &str) -> Option<&str> {
        let guest = self.kept.guests.iter().find(|guest| guest.secret_hash == secret_hash)?;
        Some(&guest.member_id)
    }

    /// Whether this operation of a member was done, or is being done.
    pub fn has_done(&self, member: &str, op_id: &str) -> bool {
        self.guest(member).is_some_and(|guest| guest.has_done(op_id))
    }

    /// What lets others in.
    pub fn door(&self) -> &Door {
        &self.kept.door
    }

    /// Why it ends, where it was to end before the server stopped: it is to be ended once more.
    pub fn ending(&self) -> Option<&str> {
        self.kept.ending.as_deref()
    }

    /// The placement whose outcome is not known, for whoever restores the session: it is to be asked for, not made again.
    pub fn placing(&self) -> Option<&str> {
        match &self.kept.stage {
            Stage::Placing(placing) => Some(&placing.key),
            Stage::Open | Stage::Sent(_) | Stage::Failed { .. } => None,
        }
    }

    /// The orders whose changes it wants to hear of: the one on its way, those that it has given up and that are not known to
    /// be cancelled, and of this session's those that are open, or cancelled by staff who may bring them back.
    pub fn watched(&self) -> Vec<OrderId> {
        let pending = match &self.kept.stage {
            Stage::Open => None,
            Stage::Placing(placing) => placing.again.as_ref(),
            Stage::Sent(order) | Stage::Failed { order, .. } => Some(order.as_ref()),
        };
        let given_up = self.kept.given_up.iter().chain(&self.kept.called_off);
        let may_go_on = |status: OrderStatus| status.is_open() || status == OrderStatus::Cancelled;
        let open = self.kept.orders.iter().filter(|order| may_go_on(order.status));
        pending
            .into_iter()
            .chain(given_up)
            .map(|order| &order.order_id)
            .chain(open.map(|order| &order.order_id))
            .cloned()
            .collect()
    }

    /// The cart's revision: what [`Input::Saved`] is to say once [`Session::stored`] has been saved.
    pub fn revision(&self) -> u64 {
        self.kept.revision
    }

    /// When it wants [`Input::Tick`] next, at the latest.
    pub fn next_deadline(&self) -> Timestamp {
        let idle = later(self.last_awaited(), self.kept.idle);
        match self.deserted_since {
            Some(since) => later(since, DESERTED).min(idle),
            // It was just restored: since when is for the first input to say.
            None if self.is_deserted() => self.kept.last_active,
            None => idle,
        }
    }

    /// When it was used last, or will be: who orders ahead for the evening comes back to it in the evening. For a later day
    /// they come with a pass that is not kept any more, so nothing is kept for them either.
    fn last_awaited(&self) -> Timestamp {
        let open = self.kept.orders.iter().filter(|order| self.kept.kind == Kind::Ahead && order.status.is_open());
        let latest = later(self.kept.last_active, AWAITED);
        open.filter_map(|order| order.ready_at).map(|at| at.min(latest)).fold(self.kept.last_active, Timestamp::max)
    }

    /// Nobody is there, nothing was ordered, nothing is in the cart: whoever comes back misses nothing.
    fn is_deserted(&self) -> bool {
        let kept = &self.kept;
        let is_empty = kept.lines.is_empty() && kept.orders.is_empty() && kept.given_up.is_empty();
        is_empty && self.screens.is_empty() && matches!(kept.stage, Stage::Open) && kept.bill_asked_at.is_none()
    }

    fn operate(&mut self, now: Timestamp, member: &str, operation: Operation, outputs: &mut Vec<Output>) {
        let Operation { op_id, action } = operation;
        let Some(guest) = self.guest(member) else { return };
        let is_repeated = guest.has_done(&op_id);
        self.kept.last_active = now;
        if is_repeated {
            // What is being placed is answered when its outcome is known.
            if !self.is_placing(member, &op_id) {
                self.done(member, op_id, outputs);
            }
            return;
        }
        let places = matches!(action, Action::PlaceOrder(_));
        let outcome = match action {
            Action::AddItem(asked) => self.add(now, member, &op_id, &asked),
            Action::UpdateItem { public_id, revision, item } => {
                self.update(now, member, &op_id, (&public_id, revision), &item)
            }
            Action::RemoveItem { public_id, revision } => self.remove(now, member, &op_id, (&public_id, revision)),
            Action::ClearCart { revision } => self.clear(now, member, &op_id, revision),
            Action::PlaceOrder(order) => self.place(now, member, &op_id, order, outputs),
            Action::SetName(name) => Ok(self.rename(now, member, name, outputs)),
            Action::AskToPay => Ok(self.ask_to_pay(now, member, outputs)),
        };
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(refused) => {
                let is_stale = refused.code == RefusalCode::StaleCart;
                let refused = Refused { op_id: Some(op_id), ..*refused };
                outputs.push(Output::To(member.to_owned(), ServerMessage::Error(refused)));
                if is_stale && places {
                    self.show(now, member, outputs);
                }
                return;
            }
        };
        if let Some(guest) = self.guest_mut(member) {
            guest.remember(&op_id);
        }
        outputs.push(Output::Save);
        match outcome {
            Outcome::Told(message) => outputs.push(Output::All(*message)),
            Outcome::Done => self.done(member, op_id, outputs),
            Outcome::Later => {}
        }
        self.give_up_if_empty(outputs);
    }

    fn done(&self, member: &str, op_id: String, outputs: &mut Vec<Output>) {
        let message = ServerMessage::Done { op_id, revision: self.kept.revision };
        outputs.push(Output::To(member.to_owned(), message));
    }

    fn saved(&mut self, revision: u64, outputs: &mut Vec<Output>) {
        if revision > self.saved_revision {
            self.saved_revision = revision;
            outputs.push(Output::All(ServerMessage::Saved { revision }));
        }
    }

    fn shop_changed(&mut self, notice: Notice, outputs: &mut Vec<Output>) {
        let before = (self.sold_out(), std::mem::replace(&mut self.notice, notice).closed);
        let (sold_out, closed) = (self.sold_out(), self.notice.closed.clone());
        if before != (sold_out.clone(), closed.clone()) {
            outputs.push(Output::All(ServerMessage::Shop { sold_out, closed }));
        }
    }

    fn tick(&mut self, now: Timestamp, outputs: &mut Vec<Output>) {
        let is_due = match self.deserted_since {
            None if self.is_deserted() => false,
            _ => now >= self.next_deadline(),
        };
        if !is_due {
            return;
        }
        if self.is_locked() {
            // Whoever waits for an order is there.
            self.kept.last_active = now;
            return;
        }
        self.end(now, "Nothing has happened here for a while, so this cart was closed.".to_owned(), outputs);
    }

    fn end(&mut self, now: Timestamp, reason: String, outputs: &mut Vec<Output>) {
        self.kept.updated_at = now;
        outputs.push(Output::Save);
        match &self.kept.stage {
            Stage::Placing(_) => {
                // Whether there is an order that would have to be cancelled is not known yet.
                self.kept.ending = Some(reason);
                return;
            }
            Stage::Failed { order, .. } => outputs.push(Output::Cancel(order.order_id.clone())),
            // What the point of sale may be making already is not taken back. What it refuses nobody can send again.
            Stage::Sent(order) => {
                outputs.push(Output::Abandon(order.order_id.clone()));
                self.kept.ending = Some(reason.clone());
            }
            Stage::Open => {}
        }
        self.is_over = true;
        outputs.push(Output::All(ServerMessage::SessionEnded { message: reason }));
        outputs.push(Output::Ended);
    }

    /// Of orders that nobody waits for any more the latest are enough.
    fn forget_finished(&mut self) {
        let orders = &mut self.kept.orders;
        let finished = orders.iter().filter(|order| !order.status.is_open()).count();
        let mut too_many = finished.saturating_sub(MOST_FINISHED);
        orders.retain(|order| {
            let goes = too_many > 0 && !order.status.is_open();
            too_many -= usize::from(goes);
            !goes
        });
    }

    /// Counts a change of the cart.
    fn cart_changed(&mut self, now: Timestamp) {
        self.kept.revision += 1;
        self.kept.updated_at = now;
        self.kept.called_off_because = None;
    }

    /// Makes the lines what today's menu says, or drops them.
    fn follow_menu(&mut self) {
        let menu = &self.menu;
        let mut lines = self.kept.lines.clone();
        lines.retain_mut(|line| {
            let today = menu.price(&line.item).and_then(|_| menu.changed(&line.item, &Asked::default()).ok());
            let Some(today) = today else { return false };
            if line.item != today {
                line.item = today;
                line.revision += 1;
            }
            true
        });
        if lines != self.kept.lines {
            self.kept.lines = lines;
            self.kept.revision += 1;
        }
    }
}

fn later(at: Timestamp, span: SignedDuration) -> Timestamp {
    at.checked_add(span).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
