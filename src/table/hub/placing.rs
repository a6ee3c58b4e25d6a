//! What a session wants ordered, made an order by the order service; and orders as sessions see them.
//!
//! A placement has a key, so that asking again is safe: it is asked again until it is known what came of it.

use super::Inner;
use crate::order_service::{
    Created, Idempotency, NewOrder, OrderError, OrderService, Origin, Record, SendAgain, TicketState, ticket_state,
};
use crate::ordering::order::{Channel, OrderId};
use crate::ordering::status::OrderStatus;
use crate::table::protocol::RefusalCode;
use crate::table::session::{OrderNews, Placement, PlacementRefused, Ticket};
use serde_json::{Map, Value};
use std::time::Duration;

/// Between two times that the same is asked.
const AGAIN: Duration = Duration::from_secs(1);
/// What could not be cancelled so often is left to staff, who see it.
const MOST_TRIES: u32 = 30;

/// Who orders, for an order's history.
fn guests() -> Origin {
    Origin { by: "web", correlation_id: None }
}

/// What came of a placement.
pub(super) type Outcome = Result<OrderNews, PlacementRefused>;

impl Inner {
    /// Makes the order, or sends it again. None: the server stops before it is known what came of it.
    pub(super) async fn place(&self, session: &str, table: Option<&str>, placement: &Placement) -> Option<Outcome> {
        self.until_known(|| async {
            let order = match &placement.again {
                Some(order) => self.orders.send_again(order, again(session, table, placement)).await,
                None => self.orders.create(new_order(session, table, placement)).await.and_then(Created::into_order),
            };
            match (order, &placement.again) {
                (Ok(order), _) => self.outcome_of(&order.order_id).await,
                // Staff were faster: it is what they made of it.
                (Err(OrderError::InvalidState { .. }), Some(order)) => self.outcome_of(order).await,
                (Err(error), _) if error.is_in_doubt() => Err(error),
                (Err(error), _) => Ok(Err(refused(error))),
            }
        })
        .await
    }

    /// What came of a placement that an earlier server began: it is looked up, and not made again.
    pub(super) async fn what_came_of(&self, key: &str) -> Option<Outcome> {
        self.until_known(|| async {
            match self.orders.ordered_by(key).await? {
                Some(order) => self.outcome_of(&order.order_id).await,
                None => Ok(Err(not_saved())),
            }
        })
        .await
    }

    /// Cancels an order that its guests have given up, if it still waits to be sent again.
    pub(super) async fn give_up(&self, order: &OrderId) {
        for _ in 0..MOST_TRIES {
            match cancel_pending(&self.orders, order).await {
                Ok(()) => return,
                Err(OrderError::VersionConflict { .. }) => {}
                Err(error) => {
                    tracing::warn!(order.id = %order, "an order that guests gave up cannot be cancelled yet: {error}");
                    tokio::select! {
                        () = self.stop.cancelled() => return,
                        () = tokio::time::sleep(AGAIN) => {}
                    }
                }
            }
        }
        tracing::error!(order.id = %order, "an order that guests gave up was not cancelled; staff see it as pending");
    }

    /// Waits for what the point of sale says to an order that is nobody's any more, and cancels it if that is no.
    pub(super) async fn settle(&self, order: &OrderId) {
        loop {
            match self.orders.record(order).await {
                Ok(None) => return,
                Ok(Some(record)) if record.order.status != OrderStatus::Pending => return,
                Ok(Some(record)) => match ticket_state(&record) {
                    TicketState::Refused { .. } => return self.give_up(order).await,
                    TicketState::Settled | TicketState::Stray { .. } => return,
                    TicketState::Waiting { .. } => {}
                },
                Err(error) => tracing::warn!(order.id = %order, "what became of an order is asked again: {error}"),
            }
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = tokio::time::sleep(AGAIN) => {}
            }
        }
    }

    async fn until_known<F>(&self, ask: impl Fn() -> F) -> Option<Outcome>
    where
        F: Future<Output = Result<Outcome, OrderError>>,
    {
        loop {
            match ask().await {
                Ok(outcome) => return Some(outcome),
                Err(error) => tracing::warn!("it is not known yet what came of a table's order: {error}"),
            }
            tokio::select! {
                () = self.stop.cancelled() => return None,
                () = tokio::time::sleep(AGAIN) => {}
            }
        }
    }

    async fn outcome_of(&self, order: &OrderId) -> Result<Outcome, OrderError> {
        let record = self.orders.record(order).await?;
        Ok(record.map(|record| news_of(&record)).ok_or_else(|| refused(OrderError::NotFound)))
    }
}

/// An order as a session sees it.
pub(super) fn news_of(record: &Record) -> OrderNews {
    let order = &record.order;
    OrderNews {
        order_id: order.order_id.clone(),
        order_number: order.order_number,
        version: order.version,
        status: order.status,
        items: order.items.clone(),
        total: order.total,
        placed_at: order.created_at,
        ready_at: order.estimated_ready_time,
        ticket: match ticket_state(record) {
            TicketState::Settled | TicketState::Stray { .. } => Ticket::Settled,
            TicketState::Waiting { .. } => Ticket::Waiting,
            TicketState::Refused { reason } => Ticket::Refused(reason),
        },
    }
}

async fn cancel_pending(orders: &OrderService, id: &OrderId) -> Result<(), OrderError> {
    let Some(order) = orders.by_id(id).await? else { return Ok(()) };
    if order.status != OrderStatus::Pending {
        return Ok(());
    }
    let reason = Some("the guests gave it up".to_owned());
    match orders.change_status(id, OrderStatus::Cancelled, reason, Some(order.version), guests()).await {
        Ok(_) | Err(OrderError::NotFound | OrderError::InvalidState { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

fn new_order(session: &str, table: Option<&str>, placement: &Placement) -> NewOrder {
    NewOrder {
        name: placement.name.clone(),
        phone: placement.phone.clone(),
        notes: placement.notes.clone().flatten(),
        pickup_at: placement.pickup_at,
        metadata: metadata(session, table, placement),
        idempotency: Some(idempotency(placement)),
        allow_duplicate: true,
        most_drinks: Some(placement.most_drinks),
        held_when_refused: true,
        ..NewOrder::new(Channel::Web, placement.items.clone(), guests())
    }
}

fn again(session: &str, table: Option<&str>, placement: &Placement) -> SendAgain {
    SendAgain {
        items: placement.items.clone(),
        notes: placement.notes.clone(),
        pickup_at: placement.pickup_at,
        name: placement.name.clone(),
        phone: placement.phone.clone(),
        most_drinks: Some(placement.most_drinks),
        metadata: metadata(session, table, placement),
        idempotency: idempotency(placement),
        origin: guests(),
    }
}

/// The key alone says what is asked: nobody else makes one of this kind, and a session makes each once.
fn idempotency(placement: &Placement) -> Idempotency {
    Idempotency { key: placement.key.clone(), request: String::new(), reply: None }
}

fn metadata(session: &str, table: Option<&str>, placement: &Placement) -> Map<String, Value> {
    let mut metadata = Map::new();
    if let Some(table) = table {
        metadata.insert("table".to_owned(), table.into());
    }
    metadata.insert("session".to_owned(), session.into());
    metadata.insert("guests".to_owned(), placement.guests.clone().into());
    metadata
}

fn refused(error: OrderError) -> PlacementRefused {
    let message = sentence(&error);
    let plain = |code| PlacementRefused { code, message, next_free: Vec::new() };
    match error {
        OrderError::Empty => plain(RefusalCode::EmptyCart),
        OrderError::Limit { .. } => plain(RefusalCode::Limit),
        OrderError::Closed(_) => plain(RefusalCode::OrderingClosed),
        OrderError::SoldOut(_) => plain(RefusalCode::SoldOut),
        OrderError::NoSlot(no_slot) => {
            PlacementRefused { next_free: no_slot.next_free, ..plain(RefusalCode::SlotUnavailable) }
        }
        error => {
            tracing::warn!("a table's order was not made: {error}");
            not_saved()
        }
    }
}

fn sentence(error: &OrderError) -> String {
    match error {
        OrderError::Empty => "There is nothing in the cart yet.".to_owned(),
        OrderError::Limit { limit, per_phone: true } => {
            format!("There are too many drinks on their way for this phone number already: {limit} are possible.")
        }
        OrderError::Limit { limit, per_phone: false } => format!("An order can have {limit} drinks."),
        OrderError::SoldOut(lacking) => format!("{} is sold out.", lacking.option),
        error => error.to_string(),
    }
}

/// Nothing came of it.
pub(super) fn not_saved() -> PlacementRefused {
    PlacementRefused {
        code: RefusalCode::NotSaved,
        message: "The order could not be saved. Nothing was ordered; please try again.".to_owned(),
        next_free: Vec::new(),
    }
}
