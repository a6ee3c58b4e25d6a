//! The only writer of orders: checks, saves, announces, owes deliveries – in this sequence, whoever asks.
//!
//! A change is announced only when it is on disk, and it is carried through even if whoever asked has gone. Knows
//! nothing of HTTP, of calls, or of how a text is sent.

mod changes;
mod texts;

pub use crate::store::Record;
pub use texts::TextPolicy;

use crate::events::EventLog;
use crate::ordering::order::{self, Channel, Item, Order, OrderId, OrderNumber};
use crate::ordering::phone_number::PhoneNumber;
use crate::ordering::status::OrderStatus;
use crate::store::{ChangeError, Delivery, JsonStore, StoreError};
use changes::entered;
use jiff::{SignedDuration, Timestamp};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::Notify;
use tokio_util::task::TaskTracker;

/// The present, replaceable in tests.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self::new(Timestamp::now)
    }

    /// A clock that a test sets.
    pub fn new(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The present, cut to what an order's JSON can hold.
    pub fn now(&self) -> Timestamp {
        order::stored_instant((self.0)())
    }
}

/// What holds for orders on every channel.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The shop's part of order ids.
    pub shop_id: String,
    /// Drinks in one order.
    pub drinks_per_order: u32,
    /// Drinks in one phone number's active orders.
    pub active_drinks_per_phone: Option<u32>,
    /// After this a ready order counts as picked up.
    pub ready_for: SignedDuration,
    /// Whether orders are marked as made by a demo.
    pub demo: bool,
}

/// Who asked for a change, for the history and for deliveries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// `phone`, `staff`, `api` or `system`.
    pub by: &'static str,
    /// The request or call that caused it.
    pub correlation_id: Option<String>,
}

/// An order to be made.
#[derive(Clone, Debug)]
pub struct NewOrder {
    /// How it came in.
    pub channel: Channel,
    /// Whom to call out.
    pub name: Option<String>,
    /// Whom to text.
    pub phone: Option<PhoneNumber>,
    /// Whoever orders, by the caller's own id; none: the phone number.
    pub customer_id: Option<String>,
    /// The number they call from. Nobody is texted there and the order does not hold it: it only tells, where neither an
    /// id nor a phone does, that the same customer ordered the same a moment ago.
    pub caller: Option<PhoneNumber>,
    /// What was asked for beside the menu.
    pub notes: Option<String>,
    /// The lines, priced by the menu.
    pub items: Vec<Item>,
    /// The call.
    pub call_sid: Option<String>,
    /// The same key again is the same order.
    pub idempotency_key: Option<String>,
    /// Order although the same customer ordered the same a moment ago.
    pub allow_duplicate: bool,
    /// Who asks.
    pub origin: Origin,
}

/// Why an order was not made or changed. Nothing was.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    /// Without lines there is nothing to order.
    #[error("the order has no drinks")]
    Empty,
    /// Too many drinks.
    #[error("more than {limit} drinks {}", if *.per_phone { "in active orders of one phone number" } else { "in one order" })]
    Limit {
        /// How many are allowed.
        limit: u32,
        /// Whether the phone number's active orders are meant, or this order.
        per_phone: bool,
    },
    /// The same customer ordered the same drinks a moment ago.
    #[error("the same order was placed a moment ago")]
    Duplicate {
        /// That order.
        existing: Box<Order>,
    },
    /// The same request is being carried out at this moment.
    #[error("the same order is being placed at this moment")]
    InProgress,
    /// There is no such order.
    #[error("there is no such order")]
    NotFound,
    /// The status does not allow it.
    #[error("an order that is {} cannot become {}", .from.label(), .to.label())]
    InvalidState {
        /// Where it stands.
        from: OrderStatus,
        /// Where it was to go.
        to: OrderStatus,
    },
    /// The order has gone too far to be amended.
    #[error("the order is already {} and cannot be changed", .0.label())]
    TooLate(OrderStatus),
    /// The store could not do it.
    #[error("the order could not be saved: {0}")]
    NotSaved(#[from] StoreError),
}

impl From<ChangeError<OrderError>> for OrderError {
    fn from(error: ChangeError<OrderError>) -> Self {
        match error {
            ChangeError::Store(error) => Self::NotSaved(error),
            ChangeError::NotFound => Self::NotFound,
            ChangeError::Refused(error) => error,
        }
    }
}

/// What became of an attempt to deliver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// The carrier has it, under this name.
    Sent {
        /// The carrier's id.
        provider_id: String,
    },
    /// Try again, not before.
    Retry {
        /// When.
        at: Timestamp,
        /// What went wrong.
        reason: String,
    },
    /// Given up.
    Failed {
        /// Why.
        reason: String,
    },
}

/// The order service. Cheap to clone.
#[derive(Clone)]
pub struct OrderService(Arc<Inner>);

struct Inner {
    store: JsonStore,
    events: EventLog,
    rules: Rules,
    texts: TextPolicy,
    clock: Clock,
    owed: Notify,
    tasks: TaskTracker,
}

impl OrderService {
    /// A service over an open store. `tasks` is waited for when the server stops.
    pub fn new(
        store: JsonStore,
        events: EventLog,
        rules: Rules,
        texts: TextPolicy,
        clock: Clock,
        tasks: TaskTracker,
    ) -> Self {
        Self(Arc::new(Inner { store, events, rules, texts, clock, owed: Notify::new(), tasks }))
    }

    /// Makes an order, or finds the one that the same request has made already.
    pub async fn create(&self, new: NewOrder) -> Result<Order, OrderError> {
        self.carry_through(|inner| async move { inner.create(new).await }).await
    }

    /// Appends the lines and notes of `more` to an order that is still pending or received. A repeated key changes
    /// nothing; name, phone and channel stay the order's.
    pub async fn append(&self, id: &OrderId, more: NewOrder) -> Result<Order, OrderError> {
        let id = id.clone();
        self.carry_through(|inner| async move { inner.append(id, more).await }).await
    }

    /// Moves an order to another status, if the table allows it.
    pub async fn change_status(&self, id: &OrderId, to: OrderStatus, origin: Origin) -> Result<Order, OrderError> {
        let id = id.clone();
        self.carry_through(move |inner| async move { inner.change_status(id, to, origin).await }).await
    }

    /// The console's Done: what was received or is being prepared is ready, and the text owed. An order that is ready
    /// already stays as it is; one that is completed is recalled by its own change of status, never by this.
    pub async fn done(&self, number: OrderNumber, origin: Origin) -> Result<Order, OrderError> {
        let order = self.by_number(number).ok_or(OrderError::NotFound)?;
        let id = order.order_id.clone();
        let made = self.carry_through(|inner| async move { inner.done(id, origin).await }).await;
        match made {
            Err(OrderError::InvalidState { from: OrderStatus::Ready, .. }) => Ok(order),
            other => other,
        }
    }

    /// Completes ready orders that nobody picked up in time.
    pub async fn complete_forgotten(&self) {
        let now = self.0.clock.now();
        let forgotten: Vec<OrderId> = self.0.store.read(|view| {
            let is_forgotten = |record: &&Arc<Record>| {
                record.order.status == OrderStatus::Ready
                    && now.duration_since(entered(&record.order)) >= self.0.rules.ready_for
            };
            view.open().filter(is_forgotten).map(|record| record.order.order_id.clone()).collect()
        });
        for id in forgotten {
            let origin = Origin { by: "system", correlation_id: None };
            if let Err(error) = self.change_status(&id, OrderStatus::Completed, origin).await {
                tracing::warn!(order.id = %id, "a ready order could not be completed: {error}");
            }
        }
    }

    /// The order of that id.
    pub fn by_id(&self, id: &OrderId) -> Option<Order> {
        self.0.store.read(|view| view.by_id(id)).map(|record| record.order.clone())
    }

    /// The newest order with that number.
    pub fn by_number(&self, number: OrderNumber) -> Option<Order> {
        self.0.store.read(|view| view.by_number(number)).map(|record| record.order.clone())
    }

    /// A phone number's newest order.
    pub fn latest_for_phone(&self, phone: &PhoneNumber) -> Option<Order> {
        self.0.store.read(|view| view.by_phone(phone).next().map(|record| record.order.clone()))
    }

    /// Orders, newest first.
    pub fn recent(&self, limit: usize) -> Vec<Arc<Record>> {
        self.0.store.read(|view| view.newest_first().take(limit).cloned().collect())
    }

    /// Orders that are neither completed nor cancelled, oldest first.
    pub fn open(&self) -> Vec<Arc<Record>> {
        self.0.store.read(|view| view.open().cloned().collect())
    }

    /// Drinks to be made before this order's.
    pub fn drinks_ahead_of(&self, id: &OrderId) -> u32 {
        self.0.store.read(|view| {
            let active = view.open().filter(|record| record.order.status.is_active());
            active.take_while(|record| record.order.order_id != *id).map(|record| record.order.drinks()).sum()
        })
    }

    /// Where an order's file is.
    pub fn path_of(&self, id: &OrderId) -> Option<PathBuf> {
        self.0.store.path_of(id)
    }

    /// What is owed and due, and when the next is due after that.
    pub fn due_deliveries(&self, most: usize) -> (Vec<(OrderId, Delivery)>, Option<Timestamp>) {
        let now = self.0.clock.now();
        self.0.store.read(|view| {
            let find = |order: &OrderId, id: u32| {
                let record = view.by_id(order)?;
                let delivery = record.deliveries.iter().find(|delivery| delivery.id == id)?;
                Some((order.clone(), delivery.clone()))
            };
            let due = view.owed().take_while(|(at, ..)| *at <= now).filter_map(|(_, order, id)| find(order, id));
            (due.take(most).collect(), view.owed().map(|(at, ..)| at).find(|at| *at > now))
        })
    }

    /// Waits until something new is owed.
    pub async fn newly_owed(&self) {
        self.0.owed.notified().await;
    }

    /// The present, as this service sees it.
    pub fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// Records what became of an attempt, in the delivery's own record: neither version nor history move.
    pub async fn record_attempt(&self, order: &OrderId, delivery: u32, attempt: Attempt) -> Result<(), OrderError> {
        let order = order.clone();
        self.carry_through(move |inner| async move { inner.record_attempt(order, delivery, attempt).await }).await
    }

    /// Runs a change as a task of its own, so that nobody's hanging up can leave it half announced.
    async fn carry_through<T, F>(&self, change: impl FnOnce(Arc<Inner>) -> F) -> Result<T, OrderError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, OrderError>> + Send + 'static,
    {
        let change = tracing::Instrument::in_current_span(change(Arc::clone(&self.0)));
        self.0.tasks.spawn(change).await.unwrap_or(Err(OrderError::NotSaved(StoreError::Interrupted)))
    }
}

#[cfg(test)]
mod tests;
