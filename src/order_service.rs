//! The only writer of orders: checks, saves, announces, owes deliveries – in this sequence, whoever asks.
//!
//! A change is announced only when it is durable, and it is carried through even if whoever asked has gone. Knows
//! nothing of HTTP, of calls, or of how a delivery is made.

mod changes;
mod deliveries;
mod load;
mod marks;
mod people;
mod placing;
mod sending_again;
mod texts;
mod tickets;

pub use crate::store::{
    Answer, AuditEntry, Delivery, DeliveryKind, DeliveryState, Lane, Marks, Owed, Page, Place, Query, Record, Reply,
    Statistics,
};
pub use changes::{entered, undo_until};
pub use deliveries::{Attempt, CLAIM, CarrierReport, CarrierStatus, Claimed, Owes};
pub use load::Load;
pub use marks::{Mark, marks};
pub use people::Erased;
pub use texts::{TextPolicy, TextState, text_state};
pub use tickets::{MOST_REFUSALS, TicketState, TicketStep, ticket_state, ticket_step};

use crate::events::EventLog;
use crate::ordering::order::{self, Channel, Item, Order, OrderId, OrderNumber};
use crate::ordering::phone_number::PhoneNumber;
use crate::ordering::status::OrderStatus;
use crate::shop::{Lacking, NoSlot, Shop};
use crate::store::{ANSWERS_KEPT, Answered, ChangeError, Store, StoreError};
use deliveries::Wakes;
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;
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
    /// Whether orders have to pass a point of sale: until it has taken one, that order is pending.
    pub through_pos: bool,
}

/// Who asked for a change, for the history and for deliveries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// `phone`, `web`, `staff`, `api`, `pos` or `system`.
    pub by: &'static str,
    /// The request or call that caused it.
    pub correlation_id: Option<String>,
}

impl Origin {
    /// Whether a person at a screen, or a program in their place, did it: what they slip on can be taken back.
    pub fn is_by_people(&self) -> bool {
        matches!(self.by, "staff" | "api")
    }
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
    /// An id that the orderer brought along; none: the shop's next.
    pub order_id: Option<OrderId>,
    /// When it shall be fetched; none: as soon as it is ready.
    pub pickup_at: Option<Timestamp>,
    /// When it should be ready, where the orderer knows better than the shop.
    pub estimated_ready_time: Option<Timestamp>,
    /// Whatever the orderer attached.
    pub metadata: serde_json::Map<String, serde_json::Value>,
    /// The same key again is the same order.
    pub idempotency: Option<Idempotency>,
    /// Order although the same customer ordered the same a moment ago.
    pub allow_duplicate: bool,
    /// How many drinks it may have; none: as many as the shop allows in one order. A table has as many guests' worth.
    pub most_drinks: Option<u32>,
    /// Whether it stays pending when the point of sale refuses it in the end, because whoever ordered decides what then
    /// becomes of it. Other orders are cancelled.
    pub held_when_refused: bool,
    /// Who asks.
    pub origin: Origin,
}

impl NewOrder {
    /// An order of these lines, about which nothing else is known.
    pub fn new(channel: Channel, items: Vec<Item>, origin: Origin) -> Self {
        Self {
            channel,
            name: None,
            phone: None,
            customer_id: None,
            caller: None,
            notes: None,
            items,
            call_sid: None,
            order_id: None,
            pickup_at: None,
            estimated_ready_time: None,
            metadata: serde_json::Map::new(),
            idempotency: None,
            allow_duplicate: false,
            most_drinks: None,
            held_when_refused: false,
            origin,
        }
    }
}

/// What makes a request the same as an earlier one, and how that is shown.
#[derive(Clone, Debug)]
pub struct Idempotency {
    /// Unique among all requests. It begins with whose it is (`call:`, `api:`), so that nobody's key is another's.
    pub key: String,
    /// SHA-256 of what is asked: the same key for something else is refused. Empty where the key alone says what is
    /// asked.
    pub request: String,
    /// What is answered again word for word; none: the order as it then is.
    pub reply: Option<fn(&Order) -> Reply>,
}

/// An order that the point of sale refused in the end, to be put to it once more: as it is now, with these lines.
#[derive(Clone, Debug)]
pub struct SendAgain {
    /// The lines, priced by the menu, instead of those that it had.
    pub items: Vec<Item>,
    /// What was asked for beside the menu. None: as it stands there; `Some(None)`: nothing any more.
    pub notes: Option<Option<String>>,
    /// When it shall be fetched, instead of when that was to be; none: as soon as it is ready.
    pub pickup_at: Option<Timestamp>,
    /// Whom to call out, if that was said.
    pub name: Option<String>,
    /// Whom to text, if that was said.
    pub phone: Option<PhoneNumber>,
    /// How many drinks it may have; none: as many as the shop allows in one order.
    pub most_drinks: Option<u32>,
    /// Instead of what stood there under the same names.
    pub metadata: serde_json::Map<String, serde_json::Value>,
    /// The same key again changes nothing.
    pub idempotency: Idempotency,
    /// Who asks.
    pub origin: Origin,
}

/// What came of a request for a new order.
#[derive(Clone, Debug)]
pub enum Created {
    /// It was made.
    New(Order),
    /// The same request had made it before.
    Before {
        /// The order as it now is; none: it was deleted since.
        order: Option<Order>,
        /// What was answered then.
        answer: Answer,
    },
}

impl Created {
    /// The order, whenever it was made.
    ///
    /// # Errors
    /// [`OrderError::NotFound`] when it was deleted since.
    pub fn into_order(self) -> Result<Order, OrderError> {
        match self {
            Self::New(order) | Self::Before { order: Some(order), .. } => Ok(order),
            Self::Before { order: None, .. } => Err(OrderError::NotFound),
        }
    }
}

/// What may be corrected in an order after it was made. None: as it is; `Some(None)`: taken away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Patch {
    /// Whom to call out.
    pub name: Option<Option<String>>,
    /// What was asked for beside the menu.
    pub notes: Option<Option<String>>,
    /// When it should be ready.
    pub estimated_ready_time: Option<Option<Timestamp>>,
}

/// Why an order was not made or changed. Nothing was, unless it [is in doubt](OrderError::is_in_doubt).
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
    /// No orders are taken now.
    #[error("{0}")]
    Closed(String),
    /// Something is not to be had any more.
    #[error("{} is sold out", .0.option)]
    SoldOut(Lacking),
    /// It cannot be fetched when it is wanted.
    #[error(transparent)]
    NoSlot(#[from] NoSlot),
    /// The same customer ordered the same drinks a moment ago.
    #[error("the same order was placed a moment ago")]
    Duplicate {
        /// That order.
        existing: Box<Order>,
    },
    /// The same request is being carried out at this moment.
    #[error("the same order is being placed at this moment")]
    InProgress,
    /// The same key was used for something else.
    #[error("this idempotency key was used for another request")]
    KeyMismatch,
    /// The orderer's own id has been used.
    #[error("the order id {0} has been used")]
    IdTaken(OrderId),
    /// There is no such order.
    #[error("there is no such order")]
    NotFound,
    /// There is no such delivery, or nothing to do about it.
    #[error("there is no such delivery that could be tried again")]
    NoSuchDelivery,
    /// The order has changed since whoever asks has seen it.
    #[error("the order has changed meanwhile: it has version {current} now")]
    VersionConflict {
        /// Its version.
        current: u64,
    },
    /// There is no change of status that may still be taken back.
    #[error("nothing can be taken back: only the last change of status by staff can, once, and for 5 seconds")]
    NothingToUndo,
    /// The status does not allow it.
    #[error("an order that is {} cannot become {}", .from.label(), .to.label())]
    InvalidState {
        /// Where it stands.
        from: OrderStatus,
        /// Where it was to go.
        to: OrderStatus,
    },
    /// The order has no such line.
    #[error("the order has no item {0}; the first is item 0")]
    NoSuchItem(usize),
    /// The order has gone too far to be amended.
    #[error("the order is already {} and cannot be changed", .0.label())]
    TooLate(OrderStatus),
    /// The store could not do it.
    #[error("the order could not be saved: {0}")]
    NotSaved(#[from] StoreError),
}

impl OrderError {
    /// Whether it may have been done all the same, so that the same must be asked again with the same key, or looked for.
    pub fn is_in_doubt(&self) -> bool {
        matches!(self, Self::NotSaved(error) if error.leaves_doubt())
    }
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

/// The order service. Cheap to clone.
#[derive(Clone)]
pub struct OrderService(Arc<Inner>);

struct Inner {
    store: Arc<dyn Store>,
    events: EventLog,
    shop: Shop,
    rules: Rules,
    owes: Owes,
    clock: Clock,
    owed: Wakes,
    tasks: TaskTracker,
}

impl OrderService {
    /// A service over an open store. `tasks` is waited for when the server stops.
    pub fn new(
        store: Arc<dyn Store>,
        events: EventLog,
        shop: Shop,
        rules: Rules,
        owes: Owes,
        clock: Clock,
        tasks: TaskTracker,
    ) -> Self {
        Self(Arc::new(Inner { store, events, shop, rules, owes, clock, owed: Wakes::default(), tasks }))
    }

    /// Makes an order, or finds the one that the same request has made already.
    pub async fn create(&self, new: NewOrder) -> Result<Created, OrderError> {
        self.carry_through(|inner| inner.create(new)).await
    }

    /// What a request with this key was answered before, also when its order was deleted since; none: the key is free, or
    /// its first request is still under way. For whoever must answer a repetition before looking at what it asks for.
    ///
    /// # Errors
    /// [`OrderError::KeyMismatch`] when the key was used for another request.
    pub async fn answered(&self, key: &str, request: &str) -> Result<Option<Answer>, OrderError> {
        match self.0.store.by_key(key).await? {
            Some(Answered { answer, .. }) if !answer.is_to(request) => Err(OrderError::KeyMismatch),
            answered => Ok(answered.map(|answered| answered.answer)),
        }
    }

    /// The order that a request with this key made or amended, as it now is; none: no such request was carried out, or its
    /// order was deleted since. For whoever was left in doubt.
    pub async fn ordered_by(&self, key: &str) -> Result<Option<Order>, OrderError> {
        match self.0.store.by_key(key).await? {
            Some(Answered { order_id, .. }) => self.by_id(&order_id).await,
            None => Ok(None),
        }
    }

    /// Appends the lines and notes of `more` to an order that is still pending or received. A repeated key changes
    /// nothing; name, phone and channel stay the order's.
    pub async fn append(&self, id: &OrderId, more: NewOrder) -> Result<Order, OrderError> {
        let id = id.clone();
        self.carry_through(|inner| inner.append(id, more)).await
    }

    /// Puts an order to the point of sale once more that it has refused: version up, the lines as they are now. A repeated
    /// key changes nothing.
    ///
    /// # Errors
    /// [`OrderError::InvalidState`] when it is not pending any more, [`OrderError::InProgress`] when it is still being asked
    /// about; as [`OrderService::create`] otherwise.
    pub async fn send_again(&self, id: &OrderId, again: SendAgain) -> Result<Order, OrderError> {
        let id = id.clone();
        self.carry_through(|inner| inner.send_again(id, again)).await
    }

    /// Moves an order to another status, if the table allows it and its version is the one expected.
    pub async fn change_status(
        &self,
        id: &OrderId,
        to: OrderStatus,
        reason: Option<String>,
        expected: Option<u64>,
        origin: Origin,
    ) -> Result<Order, OrderError> {
        let id = id.clone();
        self.carry_through(move |inner| inner.change_status(id, to, reason, expected, origin)).await
    }

    /// Takes back the last change of status, if staff made it within the last five seconds: the status before it comes
    /// back as a new version, and what the change owed and is not yet sent is dropped.
    pub async fn undo(&self, id: &OrderId, expected: Option<u64>, origin: Origin) -> Result<Order, OrderError> {
        let id = id.clone();
        self.carry_through(move |inner| inner.undo(id, expected, origin)).await
    }

    /// Corrects an order.
    pub async fn patch(
        &self,
        id: &OrderId,
        patch: Patch,
        expected: Option<u64>,
        origin: Origin,
    ) -> Result<Order, OrderError> {
        let id = id.clone();
        self.carry_through(move |inner| inner.patch(id, patch, expected, origin)).await
    }

    /// Deletes an order, with whatever it still owes. The answers to the requests that made it are kept for a day.
    pub async fn delete(&self, id: &OrderId, expected: Option<u64>, origin: Origin) -> Result<(), OrderError> {
        let id = id.clone();
        self.carry_through(move |inner| inner.delete(id, expected, origin)).await
    }

    /// Deletes all orders there are at this moment, and tells how many.
    pub async fn delete_all(&self, origin: Origin) -> Result<u64, OrderError> {
        let mut deleted = 0;
        let mut query = Query { limit: 200, ..Query::default() };
        loop {
            let page = self.list(&query).await?;
            for record in &page.records {
                match self.delete(&record.order.order_id, None, origin.clone()).await {
                    Ok(()) => deleted += 1,
                    Err(OrderError::NotFound) => {}
                    Err(error) => return Err(error),
                }
            }
            match page.next {
                Some(next) => query.after = Some(next),
                None => return Ok(deleted),
            }
        }
    }

    /// The console's Done: what was received or is being prepared is ready, and the text owed. An order that is ready
    /// already stays as it is; one that is completed is recalled by its own change of status, never by this.
    pub async fn done(&self, number: OrderNumber, origin: Origin) -> Result<Order, OrderError> {
        let order = self.by_number(number).await?.ok_or(OrderError::NotFound)?;
        let id = order.order_id.clone();
        match self.carry_through(|inner| inner.done(id, origin)).await {
            Err(OrderError::InvalidState { from: OrderStatus::Ready, .. }) => Ok(order),
            other => other,
        }
    }

    /// Completes ready orders that nobody picked up in time.
    pub async fn complete_forgotten(&self) {
        let now = self.0.clock.now();
        let is_forgotten = |order: &Order| now.duration_since(entered(order)) >= self.0.rules.ready_for;
        let mut ready = Query { statuses: vec![OrderStatus::Ready], limit: 200, ..Query::default() };
        loop {
            let page = match self.list(&ready).await {
                Ok(page) => page,
                Err(error) => return tracing::warn!("ready orders could not be looked through: {error}"),
            };
            for record in page.records.iter().filter(|record| is_forgotten(&record.order)) {
                let id = &record.order.order_id;
                let origin = Origin { by: "system", correlation_id: None };
                let expected = Some(record.order.version);
                if let Err(error) = self.change_status(id, OrderStatus::Completed, None, expected, origin).await {
                    tracing::warn!(order.id = %id, "a ready order could not be completed: {error}");
                }
            }
            let Some(next) = page.next else { return };
            ready.after = Some(next);
        }
    }

    /// Forgets the answers of orders that were deleted long enough ago, and tells of how many. What says that an id was
    /// used stays, unless the id is one that counts up and is never given again anyway.
    pub async fn expire_answers(&self) -> Result<u64, OrderError> {
        let now = self.0.clock.now();
        let mut expired = 0;
        for stone in self.0.store.tombstones().await? {
            if now.duration_since(stone.deleted_at) <= ANSWERS_KEPT {
                continue;
            }
            let bare = stone.bare(self.shop_id());
            if bare.as_ref() != Some(&stone) {
                self.0.store.set_tombstone(&stone.order_id, bare.as_ref()).await?;
                expired += 1;
            }
        }
        Ok(expired)
    }

    /// The order of that id.
    pub async fn by_id(&self, id: &OrderId) -> Result<Option<Order>, OrderError> {
        Ok(self.record(id).await?.map(|record| record.order.clone()))
    }

    /// The order of that id with all that is stored beside it.
    pub async fn record(&self, id: &OrderId) -> Result<Option<Arc<Record>>, OrderError> {
        Ok(self.0.store.by_id(id).await?)
    }

    /// The newest order with that number.
    pub async fn by_number(&self, number: OrderNumber) -> Result<Option<Order>, OrderError> {
        Ok(self.0.store.by_number(number).await?.map(|record| record.order.clone()))
    }

    /// A phone number's newest order.
    pub async fn latest_for_phone(&self, phone: &PhoneNumber) -> Result<Option<Order>, OrderError> {
        self.newest(&Query { phone: Some(phone.clone()), limit: 1, ..Query::default() }).await
    }

    /// A customer's newest order.
    pub async fn latest_for_customer(&self, customer_id: &str) -> Result<Option<Order>, OrderError> {
        self.newest(&Query { customer_id: Some(customer_id.to_owned()), limit: 1, ..Query::default() }).await
    }

    /// Orders, newest first.
    pub async fn recent(&self, limit: usize) -> Result<Vec<Arc<Record>>, OrderError> {
        Ok(self.list(&Query { limit, ..Query::default() }).await?.records)
    }

    /// A page of orders, newest first.
    pub async fn list(&self, query: &Query) -> Result<Page, OrderError> {
        Ok(self.0.store.list(query).await?)
    }

    /// Orders that are neither completed nor cancelled, oldest first.
    pub async fn open(&self) -> Result<Vec<Arc<Record>>, OrderError> {
        Ok(self.0.store.open().await?)
    }

    /// Orders with a delivery that was given up, newest first.
    pub async fn undelivered(&self, most: usize) -> Result<Vec<Arc<Record>>, OrderError> {
        Ok(self.0.store.undelivered(most).await?)
    }

    /// Counts over all orders.
    pub async fn statistics(&self) -> Result<Statistics, OrderError> {
        Ok(self.0.store.statistics().await?)
    }

    /// Where an order is, as operators look for it.
    pub fn place_of(&self, id: &OrderId) -> Option<String> {
        self.0.store.place_of(id)
    }

    /// Whether an order could be saved now.
    pub async fn check(&self) -> Result<(), OrderError> {
        Ok(self.0.store.check().await?)
    }

    /// The shop's part of order ids.
    pub fn shop_id(&self) -> &str {
        &self.0.rules.shop_id
    }

    /// The present, as this service sees it.
    pub fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    async fn newest(&self, query: &Query) -> Result<Option<Order>, OrderError> {
        Ok(self.list(query).await?.records.first().map(|record| record.order.clone()))
    }

    /// Runs a change as a task of its own, so that nobody's hanging up can leave it half announced.
    async fn carry_through<T, F>(&self, change: impl FnOnce(Arc<Inner>) -> F) -> Result<T, OrderError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, OrderError>> + Send + 'static,
    {
        let change = tracing::Instrument::in_current_span(change(Arc::clone(&self.0)));
        self.0.tasks.spawn(change).await.unwrap_or(Err(OrderError::NotSaved(StoreError::lost())))
    }
}

#[cfg(test)]
pub(crate) mod tests;
