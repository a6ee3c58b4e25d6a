//! What becomes of the orders of a session: the one that is on its way, those that were given up, those that were taken.

use super::interface::{OrderNews, Ticket};
use super::stored::{Stage, Taken, Waiting, total};
use super::{Output, Session};
use crate::ordering::order::OrderId;
use crate::ordering::status::OrderStatus;
use crate::table::protocol::ServerMessage;
use jiff::Timestamp;

impl Session {
    pub(super) fn heard_of(&mut self, now: Timestamp, news: OrderNews, outputs: &mut Vec<Output>) {
        if let Some(taken) = self.kept.orders.iter_mut().find(|taken| taken.order_id == news.order_id) {
            if news.version > taken.version {
                *taken = Taken::new(&news, &taken.lines);
                let order = taken.shown();
                self.kept.updated_at = now;
                outputs.push(Output::All(ServerMessage::OrderStatus { order }));
                outputs.push(Output::Save);
            }
            return;
        }
        if let Some(at) = self.kept.given_up.iter().position(|order| order.order_id == news.order_id) {
            return self.heard_of_given_up(now, at, &news, outputs);
        }
        if let Some(at) = self.kept.called_off.iter().position(|order| order.order_id == news.order_id) {
            return self.heard_of_called_off(now, at, &news, outputs);
        }
        let is_it = |order: &Waiting| order.order_id == news.order_id;
        match &mut self.kept.stage {
            Stage::Placing(placing) if placing.again.as_ref().is_some_and(is_it) => {
                if self.heard.as_ref().is_none_or(|heard| heard.version <= news.version) {
                    self.heard = Some(news);
                }
            }
            Stage::Sent(order) | Stage::Failed { order, .. } if is_it(order) && news.version >= order.version => {
                order.version = news.version;
                self.moved(now, &news, outputs);
            }
            Stage::Open | Stage::Placing(_) | Stage::Sent(_) | Stage::Failed { .. } => {}
        }
    }

    /// An order is gone for good, by whoever may do that.
    pub(super) fn deleted(&mut self, now: Timestamp, order_id: &OrderId, outputs: &mut Vec<Output>) {
        let before = self.kept.orders.len();
        self.kept.orders.retain(|order| order.order_id != *order_id);
        self.kept.given_up.retain(|order| order.order_id != *order_id);
        if self.kept.orders.len() != before {
            self.kept.updated_at = now;
            outputs.push(Output::Save);
            self.show_all(now, outputs);
        }
        if let Stage::Sent(order) | Stage::Failed { order, .. } = &self.kept.stage
            && order.order_id == *order_id
        {
            self.called_off(now, outputs);
        }
        // Nobody brings that one back.
        self.kept.called_off.retain(|order| order.order_id != *order_id);
    }

    /// The order that was placed last is now this.
    fn moved(&mut self, now: Timestamp, news: &OrderNews, outputs: &mut Vec<Output>) {
        match (news.status, &news.ticket) {
            (OrderStatus::Pending, Ticket::Refused(reason)) => self.refused(now, reason.clone(), outputs),
            (OrderStatus::Pending, Ticket::Waiting) => {
                // Staff have sent it once more.
                if let Stage::Failed { order, .. } = &self.kept.stage {
                    let order = order.as_ref().clone();
                    self.lock(now, order, true, outputs);
                    outputs.push(Output::Save);
                }
            }
            // Nobody asks a point of sale: staff decide.
            (OrderStatus::Pending, Ticket::Settled) => {}
            (OrderStatus::Cancelled, _) => self.called_off(now, outputs),
            (OrderStatus::Received | OrderStatus::Preparing | OrderStatus::Ready | OrderStatus::Completed, _) => {
                if let Stage::Sent(order) | Stage::Failed { order, .. } =
                    std::mem::replace(&mut self.kept.stage, Stage::Open)
                {
                    self.kept.just_confirmed = true;
                    self.taken(now, &order, news, outputs);
                }
            }
        }
    }

    /// The point of sale has refused it in the end: everybody is told why, and it may be sent again.
    fn refused(&mut self, now: Timestamp, reason: String, outputs: &mut Vec<Output>) {
        let (order, was_locked) = match std::mem::replace(&mut self.kept.stage, Stage::Open) {
            Stage::Sent(order) => (order, true),
            Stage::Failed { order, error } if error != reason => (order, false),
            other => {
                self.kept.stage = other;
                return;
            }
        };
        outputs.push(Output::All(failed(&order, reason.clone(), true)));
        self.kept.stage = Stage::Failed { order, error: reason };
        self.kept.updated_at = now;
        if was_locked {
            self.unlock(now, outputs);
        }
        outputs.push(Output::Save);
    }

    /// It will not be made, unless staff take that back: the next one is a new order.
    fn called_off(&mut self, now: Timestamp, outputs: &mut Vec<Output>) {
        let (order, was_locked) = match std::mem::replace(&mut self.kept.stage, Stage::Open) {
            Stage::Sent(order) => (order, true),
            Stage::Failed { order, .. } => (order, false),
            other => {
                self.kept.stage = other;
                return;
            }
        };
        let because = "The shop has cancelled this order.".to_owned();
        outputs.push(Output::All(failed(&order, because.clone(), false)));
        self.kept.call_off(*order);
        self.kept.called_off_because = Some(because);
        self.kept.updated_at = now;
        if was_locked {
            self.unlock(now, outputs);
        }
        outputs.push(Output::Save);
    }

    /// It was taken: what was ordered leaves the cart, also what was changed since; what was added since stays.
    fn taken(&mut self, now: Timestamp, order: &Waiting, news: &OrderNews, outputs: &mut Vec<Output>) {
        let ordered = &order.attempt.lines;
        self.kept.lines.retain(|line| !ordered.iter().any(|ordered| ordered.public_id == line.public_id));
        let taken = Taken::new(news, ordered);
        let shown = taken.shown();
        self.kept.orders.push(taken);
        self.cart_changed(now);
        outputs.push(Output::All(ServerMessage::OrderConfirmed {
            revision: self.kept.revision,
            order_id: news.order_id.clone(),
            order_number: news.order_number,
            message: "Order placed successfully!".to_owned(),
            order: shown,
            items: self.lines(),
            total: total(&self.kept.lines),
        }));
        outputs.push(Output::Save);
    }

    fn heard_of_given_up(&mut self, now: Timestamp, at: usize, news: &OrderNews, outputs: &mut Vec<Output>) {
        if news.status == OrderStatus::Pending {
            // It was to be cancelled, and was not: the server may have stopped before.
            outputs.push(Output::Cancel(news.order_id.clone()));
            return;
        }
        let order = self.kept.given_up.remove(at);
        if news.status != OrderStatus::Cancelled {
            // Staff were faster: it will be made.
            self.taken(now, &order, news, outputs);
        }
        outputs.push(Output::Save);
    }

    /// Staff have cancelled it by mistake, and have taken that back: it is on its way again, or has been taken by now.
    fn heard_of_called_off(&mut self, now: Timestamp, at: usize, news: &OrderNews, outputs: &mut Vec<Output>) {
        let is_older = self.kept.called_off.get(at).is_none_or(|order| news.version < order.version);
        let has_another = !matches!(self.kept.stage, Stage::Open);
        // The guests may have been faster, and have placed another: then no cart is locked for this one until that is through.
        let must_wait = news.status == OrderStatus::Pending && has_another;
        if is_older || must_wait || news.status == OrderStatus::Cancelled {
            return;
        }
        let order = Waiting { version: news.version, ..self.kept.called_off.remove(at) };
        outputs.push(Output::Save);
        if news.status == OrderStatus::Pending {
            self.kept.just_confirmed = false;
            self.lock(now, order, true, outputs);
            self.moved(now, news, outputs);
            self.give_up_if_empty(outputs);
        } else {
            self.taken(now, &order, news, outputs);
        }
    }
}

/// What is told of an order that was not taken.
pub(super) fn failed(order: &Waiting, error: String, allow_retry: bool) -> ServerMessage {
    ServerMessage::OrderFailed {
        order_id: order.order_id.clone(),
        error,
        message: "Order failed. Please try again.".to_owned(),
        allow_retry,
    }
}
