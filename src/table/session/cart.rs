//! What is in the cart: who may change which line, and what is told of it.
//!
//! Anybody may change anybody's line, but only as they have seen it: a line has a revision, and whoever names an older one is
//! shown the line as it is.

use super::stored::{KeptLine, Stage, drinks, total};
use super::{Outcome, Output, Session};
use crate::ordering::menu::{Asked, Refusal};
use crate::ordering::order::{Item, OrderId};
use crate::shop::Lacking;
use crate::table::protocol::{Change, Changed, RefusalCode, Refused, ServerMessage};
use jiff::Timestamp;

/// A line, and the revision of it that the guest has seen.
type Seen<'a> = (&'a str, u64);

impl Session {
    pub(super) fn add(
        &mut self,
        now: Timestamp,
        member: &str,
        op_id: &str,
        asked: &Asked,
    ) -> Result<Outcome, Box<Refused>> {
        self.check_unlocked()?;
        let item = self.menu.item(asked).map_err(|refusal| self.refused_by_menu(&refusal))?;
        self.check_stock(&item)?;
        // Made of the operation's own name, so that an addition that is sent again after a crash makes the same line, and
        // what was done to that line since finds it.
        let public_id = format!("{member}-{op_id}");
        if self.kept.lines.iter().any(|line| line.public_id == public_id) {
            return Ok(Outcome::Done);
        }
        self.check_limit(member, self.drinks_of(member, None).saturating_add(item.quantity))?;
        let line = KeptLine { public_id, owner: member.to_owned(), revision: 1, item };
        self.kept.lines.push(line.clone());
        self.kept.just_confirmed = false;
        self.cart_changed(now);
        let changed = Changed { change: self.change(op_id, member), line: line.shown(self.line_state()) };
        Ok(told(ServerMessage::AddItem(changed)))
    }

    pub(super) fn update(
        &mut self,
        now: Timestamp,
        member: &str,
        op_id: &str,
        seen: Seen<'_>,
        asked: &Asked,
    ) -> Result<Outcome, Box<Refused>> {
        self.check_unlocked()?;
        let (at, line) = self.seen(seen)?;
        let item = self.menu.changed(&line.item, asked).map_err(|refusal| self.refused_by_menu(&refusal))?;
        if item == line.item {
            return Ok(Outcome::Done);
        }
        // Less of what is sold out, or another note on it, asks for nothing that there is not.
        if item.fields != line.item.fields || item.quantity > line.item.quantity {
            self.check_stock(&item)?;
        }
        if item.quantity > line.item.quantity {
            let others = self.drinks_of(&line.owner, Some(&line.public_id));
            self.check_limit(&line.owner, others.saturating_add(item.quantity))?;
        }
        let line = KeptLine { item, revision: line.revision + 1, ..line };
        if let Some(kept) = self.kept.lines.get_mut(at) {
            *kept = line.clone();
        }
        self.cart_changed(now);
        let changed = Changed { change: self.change(op_id, member), line: line.shown(self.line_state()) };
        Ok(told(ServerMessage::UpdateItem(changed)))
    }

    pub(super) fn remove(
        &mut self,
        now: Timestamp,
        member: &str,
        op_id: &str,
        seen: Seen<'_>,
    ) -> Result<Outcome, Box<Refused>> {
        self.check_unlocked()?;
        let (at, line) = self.seen(seen)?;
        self.kept.lines.remove(at);
        self.cart_changed(now);
        let change = self.change(op_id, member);
        Ok(told(ServerMessage::RemoveItem { change, public_id: line.public_id }))
    }

    pub(super) fn clear(
        &mut self,
        now: Timestamp,
        member: &str,
        op_id: &str,
        revision: u64,
    ) -> Result<Outcome, Box<Refused>> {
        self.check_unlocked()?;
        self.check_fresh(revision)?;
        if self.kept.lines.is_empty() {
            return Ok(Outcome::Done);
        }
        self.kept.lines.clear();
        self.cart_changed(now);
        Ok(told(ServerMessage::ClearCart { change: self.change(op_id, member) }))
    }

    /// An order that failed is no longer wanted once the cart is empty.
    pub(super) fn give_up_if_empty(&mut self, outputs: &mut Vec<Output>) {
        if let Some(order) = self.give_up() {
            outputs.push(Output::Cancel(order));
        }
    }

    /// The order that is to be cancelled, which failed and of which nothing is left in the cart.
    pub(super) fn give_up(&mut self) -> Option<OrderId> {
        if !self.kept.lines.is_empty() {
            return None;
        }
        match std::mem::replace(&mut self.kept.stage, Stage::Open) {
            Stage::Failed { order, .. } => {
                let order_id = order.order_id.clone();
                self.kept.given_up.push(*order);
                Some(order_id)
            }
            other => {
                self.kept.stage = other;
                None
            }
        }
    }

    pub(super) fn check_fresh(&self, revision: u64) -> Result<(), Box<Refused>> {
        if revision == self.kept.revision {
            return Ok(());
        }
        Err(Refused::new(RefusalCode::StaleCart, "The cart has changed meanwhile. Please look at it once more."))
    }

    pub(super) fn check_stock(&self, item: &Item) -> Result<(), Box<Refused>> {
        self.notice.stock.lacking(item).map_or(Ok(()), |lacking| Err(sold_out(lacking)))
    }

    /// Whether this member may have so many drinks in one order.
    pub(super) fn check_limit(&self, member: &str, drinks: u32) -> Result<(), Box<Refused>> {
        let limit = self.menu.limits().drinks_per_order;
        if drinks <= limit {
            return Ok(());
        }
        let name = self.name_of(member);
        Err(Refused::new(
            RefusalCode::Limit,
            format!("Each guest can have at most {limit} drinks in one order ({name})."),
        ))
    }

    /// Drinks that a member has in the cart, without those of one line.
    pub(super) fn drinks_of(&self, member: &str, without: Option<&str>) -> u32 {
        let others = |line: &&KeptLine| line.owner == member && Some(line.public_id.as_str()) != without;
        drinks(self.kept.lines.iter().filter(others))
    }

    fn check_unlocked(&self) -> Result<(), Box<Refused>> {
        match &self.kept.stage {
            Stage::Open | Stage::Failed { .. } => Ok(()),
            Stage::Placing(placing) => Err(self.locked_by(&placing.attempt.by)),
            Stage::Sent(order) => Err(self.locked_by(&order.attempt.by)),
        }
    }

    fn locked_by(&self, member: &str) -> Box<Refused> {
        Refused::new(RefusalCode::CartLocked, format!("Order being processed by {}", self.name_of(member)))
    }

    /// The line, if it is as the guest has seen it.
    fn seen(&self, (public_id, revision): Seen<'_>) -> Result<(usize, KeptLine), Box<Refused>> {
        let mut lines = self.kept.lines.iter().enumerate();
        let Some((at, line)) = lines.find(|(_, line)| line.public_id == public_id) else {
            return Err(Refused::new(RefusalCode::Conflict, "This drink is not in the cart any more."));
        };
        if line.revision != revision {
            let refused = Refused::new(RefusalCode::Conflict, "Somebody has changed this drink meanwhile.");
            return Err(Box::new(Refused { line: Some(line.shown(self.line_state())), ..*refused }));
        }
        Ok((at, line.clone()))
    }

    fn change(&self, op_id: &str, member: &str) -> Change {
        Change {
            op_id: op_id.to_owned(),
            by: member.to_owned(),
            revision: self.kept.revision,
            total: total(&self.kept.lines),
            count: drinks(&self.kept.lines),
        }
    }

    fn refused_by_menu(&self, refusal: &Refusal) -> Box<Refused> {
        if let Some(lacking) = self.notice.stock.lacking_for(refusal) {
            return sold_out(lacking);
        }
        let (code, choices) = match refusal {
            Refusal::MissingBase { choices, .. } | Refusal::UnknownOption { choices, .. } => {
                (RefusalCode::UnknownOption, choices.clone())
            }
            Refusal::UnknownField { .. } | Refusal::NoQuantity => (RefusalCode::UnknownOption, Vec::new()),
            Refusal::Ambiguous { choices, .. } => (RefusalCode::Ambiguous, choices.clone()),
            Refusal::Rule { missing, .. } => (RefusalCode::Rule, vec![missing.clone()]),
            Refusal::NoteTooLong => (RefusalCode::BadMessage, Vec::new()),
        };
        Box::new(Refused { choices, ..*Refused::new(code, refusal.to_string()) })
    }
}

fn told(message: ServerMessage) -> Outcome {
    Outcome::Told(Box::new(message))
}

fn sold_out(lacking: Lacking) -> Box<Refused> {
    let message = lacking.to_string();
    Box::new(Refused { choices: lacking.choices, ..*Refused::new(RefusalCode::SoldOut, message) })
}
