//! From "Place Order" to an order: what is checked before the order service is asked, and what comes of its answer.

use super::interface::{OrderNews, Placement, PlacementRefused};
use super::stored::{Attempt, Placing, Stage, Waiting, total};
use super::{Outcome, Output, PhoneRules, Session};
use crate::ordering::order::OrderId;
use crate::ordering::phone_number::PhoneNumber;
use crate::ordering::status::OrderStatus;
use crate::table::protocol::{Kind, PlaceOrder, RefusalCode, Refused, ServerMessage};
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;

/// So many different phone numbers may be given in one session: texts cost the shop money.
const MOST_NUMBERS: usize = 3;
/// So many orders may be placed in one session within [`PACE`]. Those that nothing came of do not count.
const MOST_PLACED: usize = 6;
const PACE: SignedDuration = SignedDuration::from_mins(10);
/// Orders of one session that somebody still has to make.
const MOST_ACTIVE: usize = 10;

impl Session {
    pub(super) fn place(
        &mut self,
        now: Timestamp,
        member: &str,
        op_id: &str,
        order: PlaceOrder,
        outputs: &mut Vec<Output>,
    ) -> Result<Outcome, Box<Refused>> {
        self.check_free()?;
        self.check_cart(&order)?;
        let name = self.checked_name(order.name)?;
        let pickup_at = self.checked_pickup(order.pickup_at)?;
        self.check_pace(now)?;
        let phone = self.checked_phone(order.phone.as_deref())?;
        // Two members may name their operations alike.
        let key = format!("table:{}:{member}-{op_id}", self.kept.id);
        let again = match std::mem::replace(&mut self.kept.stage, Stage::Open) {
            Stage::Failed { order, .. } => Some(*order),
            Stage::Open | Stage::Placing(_) | Stage::Sent(_) => None,
        };
        let earlier = || again.as_ref().and_then(|order| order.attempt.notes.clone());
        let notes = order.special_instructions.clone().unwrap_or_else(earlier);
        let lines = &self.kept.lines;
        let owners: BTreeSet<&str> = lines.iter().map(|line| line.owner.as_str()).collect();
        let guests = u32::try_from(owners.len()).unwrap_or(u32::MAX);
        let placement = Placement {
            key: key.clone(),
            again: again.as_ref().map(|order| order.order_id.clone()),
            items: lines.iter().map(|line| line.item.clone()).collect(),
            guests: lines.iter().map(|line| self.name_of(&line.owner)).collect(),
            most_drinks: self.menu.limits().drinks_per_order.saturating_mul(guests),
            notes: order.special_instructions,
            name,
            phone,
            pickup_at,
        };
        let attempt = Attempt { by: member.to_owned(), since: now, notes, lines: lines.clone() };
        self.heard = None;
        self.placed_at.push_back(now);
        self.kept.just_confirmed = false;
        self.kept.updated_at = now;
        self.kept.stage = Stage::Placing(Box::new(Placing { key, op_id: op_id.to_owned(), attempt, again }));
        outputs.push(Output::Place(Box::new(placement)));
        Ok(Outcome::Later)
    }

    /// Whether this operation is the one that is being placed.
    pub(super) fn is_placing(&self, member: &str, op_id: &str) -> bool {
        matches!(&self.kept.stage, Stage::Placing(placing) if placing.attempt.by == member && placing.op_id == op_id)
    }

    pub(super) fn placed(
        &mut self,
        now: Timestamp,
        key: &str,
        outcome: Result<OrderNews, PlacementRefused>,
        outputs: &mut Vec<Output>,
    ) {
        let placing = match std::mem::replace(&mut self.kept.stage, Stage::Open) {
            Stage::Placing(placing) if placing.key == key => *placing,
            other => {
                self.kept.stage = other;
                return;
            }
        };
        match outcome {
            // The key of an order that was made long ago, by somebody who uses their names for operations again: it is not
            // what is in the cart now.
            Ok(news) if self.is_old(&news.order_id) => {
                self.not_placed(now, placing, PlacementRefused::of_old(), outputs);
            }
            Ok(news) => self.is_there(now, placing, news, outputs),
            Err(refused) => self.not_placed(now, placing, refused, outputs),
        }
        outputs.push(Output::Save);
        if let Some(reason) = self.kept.ending.take() {
            self.end(now, reason, outputs);
        }
    }

    /// Whether the session had this order before, and is through with it.
    fn is_old(&self, order_id: &OrderId) -> bool {
        let taken = self.kept.orders.iter().map(|order| &order.order_id);
        let called_off = self.kept.called_off.iter().map(|order| &order.order_id);
        taken.chain(called_off).any(|known| known == order_id)
    }

    /// There is an order: everybody is told that the cart is locked, and then what is known of it.
    fn is_there(&mut self, now: Timestamp, placing: Placing, news: OrderNews, outputs: &mut Vec<Output>) {
        let Placing { op_id, attempt, again, .. } = placing;
        // Of two accounts of one version the one that came on its own is the later one.
        let later = self.heard.take().filter(|heard| heard.order_id == news.order_id && heard.version >= news.version);
        let news = later.unwrap_or(news);
        let by = attempt.by.clone();
        // Staff may have settled a failed order before it could be sent again: then it is what it was before, and what was
        // added since is not in it.
        let attempt = match again {
            Some(earlier) if !attempt.is_of(&news) => earlier.attempt,
            Some(_) | None => attempt,
        };
        let order = Waiting {
            order_id: news.order_id.clone(),
            order_number: news.order_number,
            version: news.version,
            attempt,
        };
        self.lock(now, order, news.status == OrderStatus::Pending, outputs);
        self.done(&by, op_id, outputs);
        self.heard_of(now, news, outputs);
    }

    /// Locks the cart for an order.
    pub(super) fn lock(&mut self, now: Timestamp, order: Waiting, is_pending: bool, outputs: &mut Vec<Output>) {
        self.cart_changed(now);
        let Waiting { order_id, order_number, attempt, .. } = &order;
        outputs.push(Output::All(ServerMessage::CartLocked {
            revision: self.kept.revision,
            locked_by_member: attempt.by.clone(),
            locked_by: attempt.by.clone(),
            locked_by_name: self.name_of(&attempt.by),
            order_id: order_id.clone(),
            order_number: *order_number,
            message: "Order is being processed...".to_owned(),
            timestamp: attempt.since,
        }));
        if is_pending {
            outputs.push(Output::All(ServerMessage::OrderProcessing {
                order_id: order_id.clone(),
                order_number: *order_number,
                message: "Your order is being processed...".to_owned(),
                pending_since: attempt.since,
            }));
        }
        self.kept.stage = Stage::Sent(Box::new(order));
    }

    /// Nothing was ordered: the cart is open again, and an order that was to be sent again still waits.
    fn not_placed(&mut self, now: Timestamp, placing: Placing, refused: PlacementRefused, outputs: &mut Vec<Output>) {
        let Placing { op_id, attempt, again, .. } = placing;
        self.placed_at.pop_back();
        // It was not done, so it may be asked for again.
        if let Some(guest) = self.guest_mut(&attempt.by) {
            guest.forget(&op_id);
        }
        let PlacementRefused { code, message, next_free } = refused;
        let told = Refused { op_id: Some(op_id), next_free, ..*Refused::new(code, message.clone()) };
        outputs.push(Output::To(attempt.by, ServerMessage::Error(told)));
        if let Some(order) = again {
            outputs.push(Output::All(super::order::failed(&order, message.clone(), true)));
            self.kept.stage = Stage::Failed { order: Box::new(order), error: message };
        }
        self.unlock(now, outputs);
        if let Some(heard) = self.heard.take() {
            self.heard_of(now, heard, outputs);
        }
    }

    /// Tells everybody that the cart is open again.
    pub(super) fn unlock(&mut self, now: Timestamp, outputs: &mut Vec<Output>) {
        let because = self.kept.called_off_because.take();
        // While it was locked the menu may have become another one.
        self.follow_menu();
        self.cart_changed(now);
        // That is what it was unlocked for.
        self.kept.called_off_because = because;
        outputs.push(Output::All(ServerMessage::CartUnlocked {
            revision: self.kept.revision,
            items: self.lines(),
            total: total(&self.kept.lines),
        }));
        self.give_up_if_empty(outputs);
    }

    fn check_free(&self) -> Result<(), Box<Refused>> {
        let by = match &self.kept.stage {
            Stage::Open | Stage::Failed { .. } => return Ok(()),
            Stage::Placing(placing) => &placing.attempt.by,
            Stage::Sent(order) => &order.attempt.by,
        };
        let message = format!("Order already being processed by {}", self.name_of(by));
        Err(Refused::new(RefusalCode::InProgress, message))
    }

    /// Whether it is time for one order more.
    fn check_pace(&mut self, now: Timestamp) -> Result<(), Box<Refused>> {
        if self.kept.orders.iter().filter(|order| order.status.is_active()).count() >= MOST_ACTIVE {
            let message = format!("{MOST_ACTIVE} orders are on their way already. Please wait for one of them.");
            return Err(Refused::new(RefusalCode::Limit, message));
        }
        // A clock that was set back makes nobody wait for longer than the pace does.
        self.placed_at.retain(|at| now.duration_since(*at).abs() < PACE);
        let Some(oldest) = self.placed_at.front().filter(|_| self.placed_at.len() >= MOST_PLACED) else {
            return Ok(());
        };
        let left = (PACE - now.duration_since(*oldest)).min(PACE);
        let message = "Many orders were placed here just now. Please wait a few minutes before the next one.";
        let retry_after_ms = u64::try_from(left.as_millis()).ok();
        Err(Box::new(Refused { retry_after_ms, ..*Refused::new(RefusalCode::RateLimited, message) }))
    }

    /// Whether the cart is what the guest has seen, and can be ordered.
    fn check_cart(&self, order: &PlaceOrder) -> Result<(), Box<Refused>> {
        self.check_fresh(order.revision)?;
        let lines = &self.kept.lines;
        if lines.is_empty() {
            return Err(Refused::new(RefusalCode::EmptyCart, "There is nothing in the cart yet."));
        }
        let total = total(lines);
        if order.total != total {
            let message = format!("This costs {total}, not {}.", order.total);
            let refused = Refused::new(RefusalCode::PriceMismatch, message);
            return Err(Box::new(Refused { total: Some(total), expected_total: Some(order.total), ..*refused }));
        }
        if let Some(closed) = &self.notice.closed {
            return Err(Refused::new(RefusalCode::OrderingClosed, closed.clone()));
        }
        for line in lines {
            self.check_stock(&line.item)?;
            self.check_limit(&line.owner, self.drinks_of(&line.owner, None))?;
        }
        Ok(())
    }

    fn checked_name(&self, name: Option<String>) -> Result<Option<String>, Box<Refused>> {
        if name.is_none() && self.kept.kind == Kind::Ahead {
            return Err(Refused::new(RefusalCode::NoName, "Please tell us a name to call out."));
        }
        Ok(name)
    }

    fn checked_pickup(&self, pickup_at: Option<Timestamp>) -> Result<Option<Timestamp>, Box<Refused>> {
        match self.kept.kind {
            // Who sits here is served here.
            Kind::Table | Kind::Private => Ok(None),
            Kind::Ahead if pickup_at.is_none() && self.menu.slots().is_some() => {
                Err(Refused::new(RefusalCode::SlotUnavailable, "Please choose when you would like to pick it up."))
            }
            Kind::Ahead => Ok(pickup_at),
        }
    }

    /// The number, counted among those that were given.
    fn checked_phone(&mut self, phone: Option<&str>) -> Result<Option<PhoneNumber>, Box<Refused>> {
        let Some(typed) = phone else { return Ok(None) };
        let number = self.phones.number(typed)?;
        let digest = digest(&self.kept.id, &number);
        if !self.kept.numbers.contains(&digest) {
            if self.kept.numbers.len() >= MOST_NUMBERS {
                let message = "Too many different phone numbers were given here. You can also leave it out.";
                return Err(Refused::new(RefusalCode::PhoneLimit, message));
            }
            self.kept.numbers.push(digest);
        }
        Ok(Some(number))
    }
}

impl PhoneRules {
    /// The number that was typed.
    ///
    /// # Errors
    /// It is none, or of a country that is not texted.
    pub fn number(&self, typed: &str) -> Result<PhoneNumber, Box<Refused>> {
        let bad = |message: String| Refused::new(RefusalCode::BadPhone, message);
        let number = PhoneNumber::parse(typed, self.region)
            .map_err(|_| bad("That does not look like a phone number. You can also leave it out.".to_owned()))?;
        if !number.country().is_some_and(|country| self.countries.contains(&country)) {
            let countries: Vec<&str> = self.countries.iter().map(|country| country.as_str()).collect();
            return Err(bad(format!(
                "We can only text numbers of {}. You can also leave it out.",
                countries.join(", ")
            )));
        }
        Ok(number)
    }
}

impl PlacementRefused {
    fn of_old() -> Self {
        let message = "This was ordered before. Please place the order once more.".to_owned();
        Self { code: RefusalCode::NotSaved, message, next_free: Vec::new() }
    }
}

/// Equal for equal numbers within one session; no list of a session's numbers is kept.
fn digest(session: &str, number: &PhoneNumber) -> String {
    let digest = Sha256::digest(format!("{session} {}", number.as_e164()));
    digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
