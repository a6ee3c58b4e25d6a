//! What the caller has asked for so far, the latest steps that led there, and how some of them are taken back.
//!
//! A request is taken back by playing the other ones again, without it, from where the memory begins: what comes out is
//! what would be if it had never been made. If one that stays would then have shown something else – the drink that it
//! confirmed was not there, another line stood where it removed one – something was built on what is to be taken back, and
//! nothing is. This file knows neither the menu nor what becomes of the cart.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::{ToolRequest, Turn};
use crate::ordering::cart::{Cart, CartError};
use crate::ordering::order::Item;
use crate::ordering::phone_number::PhoneNumber;

/// Steps that can be taken back.
const MOST: usize = 16;

/// What the caller has asked for, and the steps that led there.
pub(super) struct Journal {
    now: Draft,
    /// As it was before the first of the steps.
    base: Draft,
    steps: VecDeque<Step>,
    /// The latest turn of what was taken back from the cart: what is said yes to is asked after it.
    taken_back: Turn,
}

/// What an order is made of.
#[derive(Clone)]
struct Draft {
    cart: Cart,
    /// Saved, or given at checkout.
    phone: Option<PhoneNumber>,
    /// Given at checkout.
    name: Option<String>,
}

/// One thing that a request does, or looks at so that the caller is told.
#[derive(Debug)]
pub(super) enum Act {
    Stage(Item),
    Update(Item),
    Confirm,
    Clear,
    ReadBack,
    Remove(usize),
    Modify(usize, Item),
    SavePhone(PhoneNumber),
    ConfirmPhone,
    ForgetPhone,
    SaveName(String),
}

struct Step {
    /// The request's; empty once another one has come with the same.
    id: String,
    turn: Turn,
    act: Act,
    /// The fingerprint of what it was done to.
    found: u64,
    is_cancelled: bool,
}

impl Journal {
    pub(super) fn new(cart: Cart) -> Journal {
        let now = Draft { cart, phone: None, name: None };
        Journal { base: now.clone(), now, steps: VecDeque::new(), taken_back: Turn::default() }
    }

    pub(super) fn cart(&self) -> &Cart {
        &self.now.cart
    }

    pub(super) fn phone(&self) -> Option<&PhoneNumber> {
        self.now.phone.as_ref()
    }

    pub(super) fn name(&self) -> Option<&str> {
        self.now.name.as_deref()
    }

    /// A request begins. Ids may come again, from an agent that was dialled anew: they then mean the new one.
    pub(super) fn begin(&mut self, id: &str) {
        for step in self.steps.iter_mut().filter(|step| step.id == id) {
            step.id.clear();
        }
    }

    /// Does what a request asks for. What was done or removed is returned, where there is a drink to tell of.
    pub(super) fn act(&mut self, by: &ToolRequest, act: Act) -> Result<Option<Item>, CartError> {
        let found = self.now.fingerprint(&act);
        let told = self.now.apply(&act, by.turn)?;
        self.steps.push_back(Step { id: by.id.clone(), turn: by.turn, act, found, is_cancelled: false });
        if self.steps.len() > MOST
            && let Some(oldest) = self.steps.pop_front()
        {
            // It went well before, from the same beginning.
            let _ = self.base.apply(&oldest.act, oldest.turn);
        }
        Ok(told)
    }

    /// Notes that these requests are not wanted any more: how many of their steps are remembered.
    pub(super) fn cancel(&mut self, ids: &[String]) -> usize {
        let cancelled = |step: &Step| !step.id.is_empty() && ids.contains(&step.id);
        let mut steps = 0;
        for step in self.steps.iter_mut().filter(|step| cancelled(step)) {
            step.is_cancelled = true;
            steps += 1;
        }
        steps
    }

    /// Takes back what is not wanted any more and what nothing was built on: the requests of which something was taken
    /// back. What has to stay may go with a later one.
    pub(super) fn take_back(&mut self) -> Vec<String> {
        let mut taken = Vec::new();
        let unwanted: Vec<usize> = (0..self.steps.len()).filter(|at| self.is_cancelled(*at)).collect();
        if unwanted.is_empty() || self.without(&unwanted, &mut taken) {
            return taken;
        }
        // The latest first: an earlier one may have nothing else built on it.
        for at in unwanted.into_iter().rev() {
            self.without(&[at], &mut taken);
        }
        taken
    }

    /// The cart has become an order, which cannot be taken back by a step.
    pub(super) fn ordered(&mut self) {
        self.now.cart.ordered();
        self.settle();
    }

    /// Nobody knows whether the cart has become an order; if so, that cannot be taken back.
    pub(super) fn doubt(&mut self) {
        self.now.cart.doubt();
        self.settle();
    }

    /// The cart that was in doubt has become an order.
    pub(super) fn ordered_after_all(&mut self) {
        self.now.cart.ordered_after_all();
        self.settle();
    }

    fn settle(&mut self) {
        self.base = self.now.clone();
        self.steps.clear();
    }

    fn is_cancelled(&self, at: usize) -> bool {
        self.steps.get(at).is_some_and(|step| step.is_cancelled)
    }

    /// Plays all steps but these (ascending) again, unless something was built on them.
    fn without(&mut self, unwanted: &[usize], taken: &mut Vec<String>) -> bool {
        let mut draft = self.base.clone();
        for (at, step) in self.steps.iter().enumerate() {
            if unwanted.contains(&at) {
                continue;
            }
            if draft.fingerprint(&step.act) != step.found || draft.apply(&step.act, step.turn).is_err() {
                return false;
            }
        }
        for at in unwanted.iter().rev() {
            let Some(step) = self.steps.remove(*at) else { continue };
            if step.act.is_about_drinks() {
                self.taken_back = self.taken_back.max(step.turn);
            }
            taken.push(step.id);
        }
        // The caller may have heard of what is gone: nothing that they said before counts for what is there again.
        draft.cart.take_the_place_of(&self.now.cart, self.taken_back);
        self.now = draft;
        true
    }
}

impl Draft {
    fn apply(&mut self, act: &Act, turn: Turn) -> Result<Option<Item>, CartError> {
        let cart = &mut self.cart;
        Ok(match act {
            Act::Stage(item) => Some(cart.stage(item.clone(), turn)?.clone()),
            Act::Update(item) => Some(cart.update_pending(item.clone(), turn)?.clone()),
            Act::Confirm => Some(cart.confirm_pending(turn)?.clone()),
            Act::Clear => cart.clear_pending(),
            Act::ReadBack => {
                cart.read_back(turn);
                None
            }
            Act::Remove(index) => Some(cart.remove(*index, turn)?),
            Act::Modify(index, item) => Some(cart.modify(*index, item.clone(), turn)?.clone()),
            Act::SavePhone(phone) => {
                self.phone = Some(phone.clone());
                None
            }
            Act::ConfirmPhone => None,
            Act::ForgetPhone => {
                self.phone = None;
                None
            }
            Act::SaveName(name) => {
                self.name = Some(name.clone());
                None
            }
        })
    }

    /// Of all that decides what becomes of an act, and what is said of it.
    fn fingerprint(&self, act: &Act) -> u64 {
        let mut hasher = DefaultHasher::new();
        match act {
            Act::Update(_) | Act::Confirm | Act::Clear => self.cart.pending().hash(&mut hasher),
            Act::ReadBack => (self.cart.items(), self.cart.pending()).hash(&mut hasher),
            Act::Remove(index) | Act::Modify(index, _) => self.cart.line(*index).ok().hash(&mut hasher),
            Act::ConfirmPhone => self.phone.hash(&mut hasher),
            Act::Stage(_) | Act::SavePhone(_) | Act::ForgetPhone | Act::SaveName(_) => {}
        }
        hasher.finish()
    }
}

impl Act {
    fn is_about_drinks(&self) -> bool {
        !matches!(self, Act::SavePhone(_) | Act::ConfirmPhone | Act::ForgetPhone | Act::SaveName(_))
    }
}
