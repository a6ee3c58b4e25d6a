//! One call's cart: what is staged, what is confirmed, and whether the caller has said yes to it.
//!
//! Pure. Time is the caller's turn, a number that the bridge counts up whenever the caller was heard: a yes counts
//! only if the caller had a turn between the question and the yes, whatever the agent claims. The cart does not know
//! the menu (lines arrive checked) and never becomes an order by itself.

use std::str::FromStr;

use super::money::Money;
use super::order::{Item, drinks, total};

/// How often the caller had been heard when a request was made. Only compared, never computed with here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Turn(pub u64);

impl Turn {
    /// The caller was heard once more.
    pub fn next(self) -> Turn {
        Turn(self.0.saturating_add(1))
    }
}

/// When the whole cart is read back and confirmed once more before it is ordered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FinalConfirmation {
    /// Also a cart of a single line.
    Always,
    /// Unless its only line was itself confirmed last.
    #[default]
    MultiItem,
    /// Never; but a changed line still needs a turn of the caller after the change.
    Never,
}

impl FromStr for FinalConfirmation {
    type Err = UnknownFinalConfirmation;

    fn from_str(text: &str) -> Result<Self, UnknownFinalConfirmation> {
        match text {
            "always" => Ok(Self::Always),
            "multi_item" => Ok(Self::MultiItem),
            "never" => Ok(Self::Never),
            _ => Err(UnknownFinalConfirmation),
        }
    }
}

/// A text that names no [`FinalConfirmation`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected always, multi_item or never")]
pub struct UnknownFinalConfirmation;

/// Why the cart did not do it; it is as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CartError {
    /// A staged drink waits for the caller's yes or no.
    #[error("There is still a drink to confirm.")]
    PendingItem,
    /// Nothing is staged.
    #[error("No pending drink to confirm.")]
    NoPendingItem,
    /// The caller has not been heard since what they would be saying yes to.
    #[error("The caller has not said yes to that yet.")]
    NeedsConfirmation,
    /// Too many drinks.
    #[error("We can make at most {limit} drinks in one order.")]
    Limit {
        /// Drinks an order may have.
        limit: u32,
    },
    /// There is no such line.
    #[error("There is no drink number {index} in the cart.")]
    BadIndex {
        /// Counted from 0.
        index: usize,
        /// How many lines there are.
        lines: usize,
    },
    /// There is nothing to order.
    #[error("The cart is empty.")]
    EmptyCart,
}

/// The cart of one call.
#[derive(Debug, Clone)]
pub struct Cart {
    limit: u32,
    lines: Vec<Item>,
    /// How many of the lines, the first ones, may have been ordered already.
    in_doubt: usize,
    pending: Option<Pending>,
    revision: u64,
    last_change: LastChange,
    /// The turn of the first read-back since the last change of a line.
    read_back: Option<Turn>,
    /// The turn of the last staging or change: no yes from before it counts.
    last_question: Turn,
    /// The turn of the last change to a confirmed line since the cart was last empty.
    last_modified: Option<Turn>,
}

#[derive(Debug, Clone)]
struct Pending {
    item: Item,
    /// The turn in which it was staged or last updated.
    since: Turn,
}

/// What happened to the lines last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LastChange {
    /// Nothing since the cart was empty, or a line was removed or changed.
    Other,
    /// A line came in by the caller's yes to it.
    Confirmed,
}

impl Cart {
    /// An empty cart that takes so many drinks.
    pub fn new(limit: u32) -> Cart {
        Cart {
            limit,
            lines: Vec::new(),
            in_doubt: 0,
            pending: None,
            revision: 0,
            last_change: LastChange::Other,
            read_back: None,
            last_question: Turn::default(),
            last_modified: None,
        }
    }

    /// The confirmed lines.
    pub fn items(&self) -> &[Item] {
        &self.lines
    }

    /// The staged drink.
    pub fn pending(&self) -> Option<&Item> {
        self.pending.as_ref().map(|pending| &pending.item)
    }

    /// Confirmed drinks, counting quantities.
    pub fn drinks(&self) -> u32 {
        drinks(&self.lines)
    }

    /// What the confirmed lines cost.
    pub fn total(&self) -> Money {
        total(&self.lines)
    }

    /// Counts up with every change of the lines and with every checkout: the same revision is the same cart.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Stages a drink. It is not in the cart before the caller has confirmed it.
    ///
    /// # Errors
    /// [`CartError::PendingItem`] while another is staged, [`CartError::Limit`].
    pub fn stage(&mut self, item: Item, turn: Turn) -> Result<&Item, CartError> {
        if self.pending.is_some() {
            return Err(CartError::PendingItem);
        }
        self.put_pending(item, turn)
    }

    /// Replaces the staged drink by a changed one; a yes to the old one no longer counts.
    ///
    /// # Errors
    /// [`CartError::NoPendingItem`], [`CartError::Limit`].
    pub fn update_pending(&mut self, item: Item, turn: Turn) -> Result<&Item, CartError> {
        if self.pending.is_none() {
            return Err(CartError::NoPendingItem);
        }
        self.put_pending(item, turn)
    }

    /// Takes the staged drink into the cart.
    ///
    /// # Errors
    /// [`CartError::NoPendingItem`]; [`CartError::NeedsConfirmation`] when the caller was not heard since it was
    /// staged or updated.
    pub fn confirm_pending(&mut self, turn: Turn) -> Result<&Item, CartError> {
        let pending = self.pending.take_if(|pending| turn > pending.since);
        let Some(pending) = pending else {
            return Err(match self.pending {
                Some(_) => CartError::NeedsConfirmation,
                None => CartError::NoPendingItem,
            });
        };
        self.changed(LastChange::Confirmed);
        self.lines.push(pending.item);
        Ok(&self.lines[self.lines.len() - 1])
    }

    /// Drops the staged drink, if there is one.
    pub fn clear_pending(&mut self) -> Option<Item> {
        self.pending.take().map(|pending| pending.item)
    }

    /// Notes that the agent was given the whole cart to read out, in this turn.
    pub fn read_back(&mut self, turn: Turn) {
        // The first one counts: a caller who answered it need not answer the agent's looking again.
        self.read_back.get_or_insert(turn);
    }

    /// Whether the lines were read back as they are now.
    pub fn was_read_back(&self) -> bool {
        self.read_back.is_some()
    }

    /// Takes a line out.
    ///
    /// # Errors
    /// [`CartError::BadIndex`].
    pub fn remove(&mut self, index: usize, turn: Turn) -> Result<Item, CartError> {
        self.line(index)?;
        self.changed(LastChange::Other);
        self.last_question = self.last_question.max(turn);
        let removed = self.lines.remove(index);
        if index < self.in_doubt {
            self.in_doubt -= 1;
        }
        if self.lines.is_empty() {
            self.last_modified = None;
        }
        Ok(removed)
    }

    /// Replaces a line by a changed one; an old yes no longer covers it. The very same drink is no change.
    ///
    /// # Errors
    /// [`CartError::BadIndex`], [`CartError::Limit`].
    pub fn modify(&mut self, index: usize, item: Item, turn: Turn) -> Result<&Item, CartError> {
        let before = self.line(index)?;
        if *before != item {
            let others = self.drinks().saturating_sub(before.quantity);
            let pending = self.pending().map_or(0, |item| item.quantity);
            self.check_limit(others.saturating_add(pending).saturating_add(item.quantity))?;
            self.changed(LastChange::Other);
            self.last_question = self.last_question.max(turn);
            self.last_modified = self.last_modified.max(Some(turn));
            self.lines[index] = item;
        }
        self.line(index)
    }

    /// A line.
    ///
    /// # Errors
    /// [`CartError::BadIndex`].
    pub fn line(&self, index: usize) -> Result<&Item, CartError> {
        self.lines.get(index).ok_or(CartError::BadIndex { index, lines: self.lines.len() })
    }

    /// Whether the caller has said yes to the cart as it is. `confirmed` is the agent's claim that they said yes to
    /// the whole order; it counts only after a read-back that the caller had a turn to answer.
    ///
    /// # Errors
    /// [`CartError::EmptyCart`], [`CartError::PendingItem`], [`CartError::NeedsConfirmation`].
    pub fn may_order(&self, turn: Turn, confirmed: bool, policy: FinalConfirmation) -> Result<(), CartError> {
        if self.pending.is_some() {
            return Err(CartError::PendingItem);
        }
        if self.lines.is_empty() {
            return Err(CartError::EmptyCart);
        }
        let one_line_just_confirmed = self.lines.len() == 1 && self.last_change == LastChange::Confirmed;
        let whole_order_confirmed =
            confirmed && turn > self.last_question && self.read_back.is_some_and(|read_back| turn > read_back);
        let yes = match policy {
            FinalConfirmation::Always => whole_order_confirmed,
            FinalConfirmation::MultiItem => one_line_just_confirmed || whole_order_confirmed,
            FinalConfirmation::Never => self.last_modified.is_none_or(|modified| turn > modified),
        };
        if yes { Ok(()) } else { Err(CartError::NeedsConfirmation) }
    }

    /// Empties the cart once its order is saved. Until then nothing is taken out, so that a save that fails leaves the
    /// cart – and its revision – as they were.
    pub fn ordered(&mut self) -> Vec<Item> {
        self.changed(LastChange::Other);
        self.last_modified = None;
        self.in_doubt = 0;
        std::mem::take(&mut self.lines)
    }

    /// Notes that nobody knows whether the order of these lines was saved.
    pub fn doubt(&mut self) {
        self.in_doubt = self.lines.len();
    }

    /// Takes out the lines of the order that was in doubt, now that it is known to be saved – also those that were changed
    /// since: changed or not, they are ordered. The yes to the whole cart holds for the lines that came later.
    pub fn ordered_after_all(&mut self) -> Vec<Item> {
        self.revision += 1;
        let ordered = std::mem::take(&mut self.in_doubt).min(self.lines.len());
        let ordered: Vec<Item> = self.lines.drain(..ordered).collect();
        if self.lines.is_empty() {
            self.changed(LastChange::Other);
            self.last_modified = None;
        }
        ordered
    }

    /// Goes on in another cart's stead, of which this one is a part or an earlier state. It counts as changed, and what the
    /// caller said in this turn or before is no yes to anything in it that is still asked.
    pub fn take_the_place_of(&mut self, other: &Cart, turn: Turn) {
        // The same revision would be the same cart.
        self.revision = other.revision + 1;
        self.last_question = self.last_question.max(turn);
        if let Some(pending) = &mut self.pending {
            pending.since = pending.since.max(turn);
        }
    }

    fn put_pending(&mut self, item: Item, turn: Turn) -> Result<&Item, CartError> {
        self.check_limit(self.drinks().saturating_add(item.quantity))?;
        self.last_question = self.last_question.max(turn);
        Ok(&self.pending.insert(Pending { item, since: turn }).item)
    }

    fn check_limit(&self, drinks: u32) -> Result<(), CartError> {
        if drinks > self.limit { Err(CartError::Limit { limit: self.limit }) } else { Ok(()) }
    }

    fn changed(&mut self, change: LastChange) {
        self.revision += 1;
        self.last_change = change;
        self.read_back = None;
    }
}

#[cfg(test)]
mod tests;
