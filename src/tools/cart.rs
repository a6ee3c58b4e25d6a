//! The cart's tools: stage, change, confirm, clear, look, remove.

use serde_json::{Value, json};

use super::answer::{Code, Failure};
use super::arguments::{Arguments, required};
use super::{Done, Outcome, ToolDesk, Turn};
use crate::ordering::cart::CartError;
use crate::ordering::order::Item;

impl ToolDesk {
    pub(super) fn add_to_cart(&mut self, arguments: Arguments, turn: Turn) -> Outcome {
        // Before the drink is looked at: whatever it is, the other one comes first.
        if self.cart.pending().is_some() {
            return Err(self.told(CartError::PendingItem));
        }
        let item = self.drink(None, arguments)?;
        self.cart.stage(item, turn)?;
        Ok(self.staged())
    }

    pub(super) fn update_pending_item(&mut self, arguments: Arguments, turn: Turn) -> Outcome {
        let pending = self.cart.pending().ok_or(CartError::NoPendingItem)?;
        if arguments.is_empty() {
            return Err(nothing_named());
        }
        let item = self.drink(Some(pending), arguments)?;
        self.cart.update_pending(item, turn)?;
        Ok(self.staged())
    }

    pub(super) fn confirm_pending_to_cart(&mut self, turn: Turn) -> Outcome {
        // It may have sold out since it was staged.
        self.all_there(self.cart.pending())?;
        match self.cart.confirm_pending(turn) {
            Ok(item) => {
                let item = json!(item);
                Ok(Done::new(json!({
                    "ok": true,
                    "cart_count": self.cart.drinks(),
                    "item": item,
                    "cart_total": self.cart.total(),
                })))
            }
            Err(error) => Err(self.told(error)),
        }
    }

    pub(super) fn clear_pending_item(&mut self) -> Outcome {
        let cleared = self.cart.clear_pending().is_some();
        Ok(Done::new(json!({"ok": true, "cleared": cleared})))
    }

    pub(super) fn get_cart(&mut self, turn: Turn) -> Done {
        self.cart.read_back(turn);
        let mut summary = self.menu.cart_summary(self.cart.items());
        if let Some(pending) = self.cart.pending() {
            summary.push_str(&format!(" Not confirmed yet: {}.", self.menu.summary(pending)));
        }
        Done::new(json!({
            "ok": true,
            "items": self.cart.items(),
            "count": self.cart.drinks(),
            "total": self.cart.total(),
            "pending_item": self.cart.pending(),
            "summary": summary,
        }))
    }

    pub(super) fn remove_from_cart(&mut self, mut arguments: Arguments, turn: Turn) -> Outcome {
        let index = required("index", arguments.index()?)?;
        match self.cart.remove(index, turn) {
            Ok(removed) => Ok(Done::new(json!({"ok": true, "removed": removed, "cart_count": self.cart.drinks()}))),
            Err(error) => Err(self.told(error)),
        }
    }

    pub(super) fn modify_cart_item(&mut self, mut arguments: Arguments, turn: Turn) -> Outcome {
        let index = required("index", arguments.index()?)?;
        let item = self.modify(index, arguments, turn)?;
        Ok(Done::new(json!({
            "ok": true,
            "item": item,
            "cart_count": self.cart.drinks(),
            "cart_total": self.cart.total(),
        })))
    }

    pub(super) fn set_sweetness_ice(&mut self, mut arguments: Arguments, turn: Turn) -> Outcome {
        let index = match arguments.index()? {
            Some(index) => index,
            // "Less ice, please" is about the drink being talked about, and that is not in the cart yet.
            None if self.cart.pending().is_some() => return Err(self.told(CartError::PendingItem)),
            None => self.cart.items().len().checked_sub(1).ok_or(CartError::EmptyCart)?,
        };
        let item = self.modify(index, arguments, turn)?;
        Ok(Done::new(json!({"ok": true, "item": item})))
    }

    fn modify(&mut self, index: usize, arguments: Arguments, turn: Turn) -> Result<Value, Failure> {
        let line = self.cart.line(index).map_err(|error| self.told(error))?;
        if arguments.is_empty() {
            return Err(nothing_named());
        }
        let item = self.drink(Some(line), arguments)?;
        Ok(json!(self.cart.modify(index, item, turn)?))
    }

    /// A drink as it is asked for, or the one before with what is asked for changed, of what the shop has at this moment.
    fn drink(&self, before: Option<&Item>, arguments: Arguments) -> Result<Item, Failure> {
        let asked = arguments.asked(&self.menu)?;
        let item = match before {
            Some(before) => self.menu.changed(before, &asked),
            None => self.menu.item(&asked),
        };
        let stock = self.toolbox.shop.stock();
        match item {
            Ok(item) => stock.lacking(&item).map_or(Ok(item), |lacking| Err(lacking.into())),
            Err(refusal) => Err(stock.lacking_for(&refusal).map_or_else(|| refusal.into(), Failure::from)),
        }
    }

    /// Refuses drinks that have something which has sold out since they were staged, and says which drink.
    pub(super) fn all_there<'a>(&self, drinks: impl IntoIterator<Item = &'a Item>) -> Result<(), Failure> {
        let stock = self.toolbox.shop.stock();
        match drinks.into_iter().find_map(|drink| Some((drink, stock.lacking(drink)?))) {
            Some((drink, lacking)) => Err(Failure::from(lacking).with("summary", self.menu.summary(drink))),
            None => Ok(()),
        }
    }

    fn staged(&self) -> Done {
        Done::new(json!({
            "ok": true,
            "staged": true,
            "pending_item": self.cart.pending(),
            "summary": self.cart.pending().map(|item| self.menu.summary(item)),
        }))
    }

    /// A refusal of the cart with what the agent needs to go on: the drink to confirm, the lines there are.
    fn told(&self, error: CartError) -> Failure {
        let pending = self.cart.pending().map(|item| self.menu.summary(item));
        match (error, pending) {
            (CartError::PendingItem, Some(summary)) => {
                let error = format!("Let's finish this one first: {summary}. Is that right?");
                Failure::new(Code::PendingItem, error).with("summary", summary)
            }
            (CartError::NeedsConfirmation, Some(summary)) => {
                let error = format!("I still need your yes to this: {summary}. Is that right?");
                Failure::new(Code::NeedsConfirmation, error).with("summary", summary)
            }
            (CartError::BadIndex { .. }, _) => {
                let lines: Vec<String> = self.cart.items().iter().map(|item| self.menu.summary(item)).collect();
                Failure::new(Code::BadIndex, "I can't find that drink in the cart.").with("choices", lines)
            }
            (error, _) => error.into(),
        }
    }
}

fn nothing_named() -> Failure {
    Failure::new(Code::BadArguments, "What should be different about it?")
}
