//! The cart's tools: stage, change, confirm, clear, look, remove.

use serde_json::json;

use super::answer::{Code, Failure};
use super::arguments::{Arguments, required};
use super::{Act, Done, Outcome, ToolDesk, ToolRequest};
use crate::ordering::cart::CartError;
use crate::ordering::order::Item;

impl ToolDesk {
    pub(super) fn add_to_cart(&mut self, arguments: Arguments, by: &ToolRequest) -> Outcome {
        // Before the drink is looked at: whatever it is, the other one comes first.
        if self.journal.cart().pending().is_some() {
            return Err(self.told(CartError::PendingItem));
        }
        let item = self.drink(None, arguments)?;
        self.journal.act(by, Act::Stage(item))?;
        Ok(self.staged())
    }

    pub(super) fn update_pending_item(&mut self, arguments: Arguments, by: &ToolRequest) -> Outcome {
        let pending = self.journal.cart().pending().ok_or(CartError::NoPendingItem)?;
        if arguments.is_empty() {
            return Err(nothing_named());
        }
        let item = self.drink(Some(pending), arguments)?;
        self.journal.act(by, Act::Update(item))?;
        Ok(self.staged())
    }

    pub(super) fn confirm_pending_to_cart(&mut self, by: &ToolRequest) -> Outcome {
        // It may have sold out since it was staged.
        self.all_there(self.journal.cart().pending())?;
        let item = self.journal.act(by, Act::Confirm).map_err(|error| self.told(error))?;
        Ok(Done::new(json!({
            "ok": true,
            "cart_count": self.journal.cart().drinks(),
            "item": item,
            "cart_total": self.journal.cart().total(),
        })))
    }

    pub(super) fn clear_pending_item(&mut self, by: &ToolRequest) -> Outcome {
        let cleared = self.journal.act(by, Act::Clear)?.is_some();
        Ok(Done::new(json!({"ok": true, "cleared": cleared})))
    }

    pub(super) fn get_cart(&mut self, by: &ToolRequest) -> Outcome {
        self.journal.act(by, Act::ReadBack)?;
        self.repeats.looked_at();
        let mut summary = self.menu.cart_summary(self.journal.cart().items());
        if let Some(pending) = self.journal.cart().pending() {
            summary.push_str(&format!(" Not confirmed yet: {}.", self.menu.summary(pending)));
        }
        Ok(Done::new(json!({
            "ok": true,
            "items": self.journal.cart().items(),
            "count": self.journal.cart().drinks(),
            "total": self.journal.cart().total(),
            "pending_item": self.journal.cart().pending(),
            "summary": summary,
        })))
    }

    pub(super) fn remove_from_cart(&mut self, mut arguments: Arguments, by: &ToolRequest) -> Outcome {
        let index = required("index", arguments.index()?)?;
        let removed = self.journal.act(by, Act::Remove(index)).map_err(|error| self.told(error))?;
        Ok(Done::new(json!({"ok": true, "removed": removed, "cart_count": self.journal.cart().drinks()})))
    }

    pub(super) fn modify_cart_item(&mut self, mut arguments: Arguments, by: &ToolRequest) -> Outcome {
        let index = required("index", arguments.index()?)?;
        let item = self.modify(index, arguments, by)?;
        Ok(Done::new(json!({
            "ok": true,
            "item": item,
            "cart_count": self.journal.cart().drinks(),
            "cart_total": self.journal.cart().total(),
        })))
    }

    pub(super) fn set_sweetness_ice(&mut self, mut arguments: Arguments, by: &ToolRequest) -> Outcome {
        let index = match arguments.index()? {
            Some(index) => index,
            // "Less ice, please" is about the drink being talked about, and that is not in the cart yet.
            None if self.journal.cart().pending().is_some() => return Err(self.told(CartError::PendingItem)),
            None => self.journal.cart().items().len().checked_sub(1).ok_or(CartError::EmptyCart)?,
        };
        let item = self.modify(index, arguments, by)?;
        Ok(Done::new(json!({"ok": true, "item": item})))
    }

    fn modify(&mut self, index: usize, arguments: Arguments, by: &ToolRequest) -> Result<Option<Item>, Failure> {
        let line = self.journal.cart().line(index).map_err(|error| self.told(error))?;
        if arguments.is_empty() {
            return Err(nothing_named());
        }
        let item = self.drink(Some(line), arguments)?;
        Ok(self.journal.act(by, Act::Modify(index, item))?)
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
            "pending_item": self.journal.cart().pending(),
            "summary": self.journal.cart().pending().map(|item| self.menu.summary(item)),
        }))
    }

    /// A refusal of the cart with what the agent needs to go on: the drink to confirm, the lines there are.
    fn told(&self, error: CartError) -> Failure {
        let pending = self.journal.cart().pending().map(|item| self.menu.summary(item));
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
                let lines: Vec<String> =
                    self.journal.cart().items().iter().map(|item| self.menu.summary(item)).collect();
                Failure::new(Code::BadIndex, "I can't find that drink in the cart.").with("choices", lines)
            }
            (error, _) => error.into(),
        }
    }
}

fn nothing_named() -> Failure {
    Failure::new(Code::BadArguments, "What should be different about it?")
}
