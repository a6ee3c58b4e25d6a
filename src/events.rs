//! What has just changed, numbered, replayable, for any number of live readers.
//!
//! Writers append to a ring of the latest events and never wait; a reader keeps its own place in the ring, so a slow one
//! costs nothing and is told to start afresh (`Resync`) when its place is gone. Knows nothing of HTTP.

use crate::ordering::order::{Channel, Order, OrderId};
use crate::ordering::status::OrderStatus;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{broadcast, watch};

/// Events kept for readers who come back: some minutes of a busy shop.
const KEPT: usize = 1024;

/// Something that dashboards want to know at once.
#[derive(Clone, Debug)]
pub enum Event {
    /// A new order.
    OrderCreated(Arc<Order>),
    /// Lines, notes or the like have changed.
    OrderUpdated(Arc<Order>),
    /// The status has changed.
    OrderStatusChanged(Arc<Order>),
    /// It is gone.
    OrderDeleted(Arc<Order>),
    /// Those who make it have noted how far they have come.
    OrderMarked {
        /// The order.
        order: Arc<Order>,
        /// The lines that are made, by their place in it.
        made: Vec<usize>,
        /// Since when it is to be made before all others.
        rushed_at: Option<Timestamp>,
    },
    /// The staff takes no orders for a while.
    OrderingPaused {
        /// Until when; none: until somebody resumes.
        until: Option<Timestamp>,
    },
    /// Orders are taken again.
    OrderingResumed,
    /// What is sold out has changed.
    MenuChanged {
        /// All that is sold out now, by name.
        sold_out: Vec<String>,
    },
    /// A call is in progress.
    CallStarted {
        /// Twilio's CallSid.
        call_sid: String,
    },
    /// A call is over.
    CallEnded {
        /// Twilio's CallSid.
        call_sid: String,
    },
    /// Which messages callers have left has changed.
    MessagesChanged,
    /// Something owed because of an order could not be delivered.
    DeliveryFailed {
        /// The order.
        order: Arc<Order>,
        /// What was owed, such as `text_ready`.
        kind: &'static str,
    },
}

impl Event {
    /// What anybody may see: numbers and states. None for what is the staff's business.
    fn public(&self) -> Option<Value> {
        let (name, order) = match self {
            Self::OrderCreated(order) => ("order_created", order),
            Self::OrderUpdated(order) => ("order_updated", order),
            Self::OrderStatusChanged(order) => ("order_status_changed", order),
            Self::OrderDeleted(order) => ("order_deleted", order),
            Self::OrderingPaused { until: Some(until) } => {
                return Some(json!({"type": "ordering_paused", "paused_until": until}));
            }
            Self::OrderingPaused { until: None } => return Some(json!({"type": "ordering_paused"})),
            Self::OrderingResumed => return Some(json!({"type": "ordering_resumed"})),
            Self::OrderMarked { .. }
            | Self::MenuChanged { .. }
            | Self::CallStarted { .. }
            | Self::CallEnded { .. }
            | Self::MessagesChanged
            | Self::DeliveryFailed { .. } => return None,
        };
        Some(json!({"type": name, "order_number": order.order_number, "status": order.status}))
    }

    /// The order that it is about.
    fn order(&self) -> Option<&OrderId> {
        match self {
            Self::OrderCreated(order)
            | Self::OrderUpdated(order)
            | Self::OrderStatusChanged(order)
            | Self::OrderDeleted(order)
            | Self::OrderMarked { order, .. }
            | Self::DeliveryFailed { order, .. } => Some(&order.order_id),
            _ => None,
        }
    }

    fn tally(&self) -> Option<Tally> {
        match self {
            Self::OrderCreated(order) => Some(Tally::Created(order.channel)),
            Self::OrderStatusChanged(order) => Some(Tally::Status(order.status)),
            Self::DeliveryFailed { kind, .. } => Some(Tally::GivenUp(kind)),
            _ => None,
        }
    }

    fn staff(&self) -> Value {
        match self {
            Self::OrderCreated(order)
            | Self::OrderUpdated(order)
            | Self::OrderStatusChanged(order)
            | Self::OrderDeleted(order) => {
                let mut value = self.public().unwrap_or_default();
                value["order"] = json!(**order);
                value
            }
            Self::OrderMarked { order, made, rushed_at } => json!({
                "type": "order_marked",
                "order_number": order.order_number,
                "order_id": order.order_id,
                "status": order.status,
                "made": made,
                "rushed_at": rushed_at,
            }),
            Self::OrderingPaused { .. } | Self::OrderingResumed => self.public().unwrap_or_default(),
            Self::MenuChanged { sold_out } => json!({"type": "menu_changed", "sold_out": sold_out}),
            Self::CallStarted { call_sid } => json!({"type": "call_started", "call_sid": call_sid}),
            Self::CallEnded { call_sid } => json!({"type": "call_ended", "call_sid": call_sid}),
            Self::MessagesChanged => json!({"type": "messages_changed"}),
            Self::DeliveryFailed { order, kind } => {
                json!({
                    "type": "delivery_failed",
                    "order_number": order.order_number,
                    "order_id": order.order_id,
                    "status": order.status,
                    "kind": kind,
                })
            }
        }
    }
}

/// What is counted of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tally {
    /// There is a new order.
    Created(Channel),
    /// An order came to have this status.
    Status(OrderStatus),
    /// A delivery of this kind was given up.
    GivenUp(&'static str),
}

/// Takes what is counted. Must not wait: it is called under locks.
pub type Teller = Box<dyn Fn(Tally) + Send + Sync>;

/// Who reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Audience {
    /// Anybody.
    Public,
    /// Whoever may see customers' data.
    Staff,
}

/// An event's place: `{server start}-{n}`, n counting up from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventId {
    start: i64,
    n: u64,
}

impl EventId {
    /// The place of an event that this log never had.
    pub const UNKNOWN: Self = Self { start: i64::MIN, n: 0 };
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.start, self.n)
    }
}

impl FromStr for EventId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (start, n) = text.split_once('-').ok_or(())?;
        Ok(Self { start: start.parse().map_err(|_| ())?, n: n.parse().map_err(|_| ())? })
    }
}

/// What a reader is given next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// One event: its place and its JSON.
    Event(EventId, Arc<str>),
    /// Some were missed: fetch everything afresh, go on from this place.
    Resync(EventId),
}

/// The log of events. Cheap to clone.
#[derive(Clone)]
pub struct EventLog(Arc<Inner>);

struct Inner {
    start: i64,
    /// Each with its number.
    ring: Mutex<VecDeque<(u64, Rendered)>>,
    /// The number of the latest event; 0 before the first.
    latest: watch::Sender<u64>,
    /// Which orders have changed, for those who look them up themselves.
    orders: broadcast::Sender<OrderId>,
    teller: Option<Teller>,
}

/// An event as it will be read: rendered once, whoever reads, and before any lock is taken.
pub struct Rendered {
    public: Option<Arc<str>>,
    staff: Arc<str>,
    tally: Option<Tally>,
    order: Option<OrderId>,
}

impl From<&Event> for Rendered {
    fn from(event: &Event) -> Self {
        let public = event.public().map(|value| Arc::from(value.to_string()));
        Self {
            public,
            staff: Arc::from(event.staff().to_string()),
            tally: event.tally(),
            order: event.order().cloned(),
        }
    }
}

impl EventLog {
    /// An empty log, as of this server start.
    pub fn new(server_start: Timestamp) -> Self {
        Self::opened(server_start, None)
    }

    /// The same, and `teller` is told what is counted of every event as it is published.
    pub fn counted(server_start: Timestamp, teller: Teller) -> Self {
        Self::opened(server_start, Some(teller))
    }

    fn opened(server_start: Timestamp, teller: Option<Teller>) -> Self {
        let (latest, _) = watch::channel(0);
        let (orders, _) = broadcast::channel(KEPT);
        Self(Arc::new(Inner { start: server_start.as_millisecond(), ring: Mutex::default(), latest, orders, teller }))
    }

    /// Numbers an event and wakes the readers. Never waits, so that it may be called under a lock.
    pub fn publish(&self, event: impl Into<Rendered>) {
        let rendered = event.into();
        if let (Some(teller), Some(tally)) = (&self.0.teller, rendered.tally) {
            teller(tally);
        }
        // Numbered under the ring's lock, so that the ring is in the order of the numbers.
        let mut ring = self.0.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let n = *self.0.latest.borrow() + 1;
        if ring.len() == KEPT {
            ring.pop_front();
        }
        let order = rendered.order.clone();
        ring.push_back((n, rendered));
        self.0.latest.send_replace(n);
        if let Some(order) = order {
            // Nobody needs to listen.
            let _ = self.0.orders.send(order);
        }
    }

    /// Which orders have changed from now on, in this sequence; who is told that some were missed looks at all it cares for.
    pub fn orders(&self) -> broadcast::Receiver<OrderId> {
        self.0.orders.subscribe()
    }

    /// A reader from now on, or from after the event that it saw last.
    pub fn subscribe(&self, audience: Audience, last_seen: Option<EventId>) -> Subscription {
        let latest = self.0.latest.subscribe();
        let now = *latest.borrow();
        let (place, lost) = match last_seen {
            None => (now, false),
            Some(id) if id.start != self.0.start || id.n > now => (now, true),
            Some(id) => (id.n, false),
        };
        Subscription { log: self.clone(), audience, place, lost, latest }
    }

    fn id(&self, n: u64) -> EventId {
        EventId { start: self.0.start, n }
    }
}

/// One reader's place in the log.
pub struct Subscription {
    log: EventLog,
    audience: Audience,
    /// The number of the event seen last.
    place: u64,
    lost: bool,
    latest: watch::Receiver<u64>,
}

impl Subscription {
    /// The next event for this audience. Safe to drop and call again.
    pub async fn next(&mut self) -> Delivery {
        loop {
            // Marked as seen before looking, so that what comes while we look wakes us.
            let latest = *self.latest.borrow_and_update();
            if let Some(delivery) = self.look(latest) {
                return delivery;
            }
            if self.latest.changed().await.is_err() {
                // The log lives as long as `self.log`, so its sender cannot have gone.
                std::future::pending::<()>().await;
            }
        }
    }

    fn look(&mut self, latest: u64) -> Option<Delivery> {
        let ring = self.log.0.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = ring.front().map_or(latest + 1, |(n, _)| *n);
        if self.lost || self.place + 1 < oldest {
            self.lost = false;
            self.place = latest;
            return Some(Delivery::Resync(self.log.id(latest)));
        }
        let skip = usize::try_from(self.place + 1 - oldest).unwrap_or(usize::MAX);
        for (n, event) in ring.iter().skip(skip) {
            self.place = *n;
            let json = match self.audience {
                Audience::Public => event.public.as_ref(),
                Audience::Staff => Some(&event.staff),
            };
            if let Some(json) = json {
                return Some(Delivery::Event(self.log.id(*n), Arc::clone(json)));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log() -> EventLog {
        EventLog::new(Timestamp::from_millisecond(1_704_067_200_000).expect("a valid instant"))
    }

    fn call(n: usize) -> Event {
        Event::CallStarted { call_sid: format!("CA{n}") }
    }

    #[tokio::test]
    async fn staff_sees_calls_and_the_public_does_not() {
        let log = log();
        let mut staff = log.subscribe(Audience::Staff, None);
        let mut public = log.subscribe(Audience::Public, None);
        log.publish(&call(1));
        let Delivery::Event(id, json) = staff.next().await else { panic!("an event was expected") };
        assert_eq!(id.to_string(), "1704067200000-1");
        assert_eq!(&*json, r#"{"type":"call_started","call_sid":"CA1"}"#);
        let mut next = std::pin::pin!(public.next());
        assert!(futures_util::poll!(next.as_mut()).is_pending());
    }

    #[tokio::test]
    async fn a_reader_who_comes_back_is_given_what_it_missed() {
        let log = log();
        for n in 0..5 {
            log.publish(&call(n));
        }
        let seen: EventId = "1704067200000-3".parse().expect("an id");
        let mut reader = log.subscribe(Audience::Staff, Some(seen));
        for n in 4..=5 {
            assert!(matches!(reader.next().await, Delivery::Event(id, _) if id.n == n));
        }
    }

    #[tokio::test]
    async fn too_old_from_before_a_restart_or_from_the_future_means_resync() {
        for id in ["1704067200000-3", "1704067100000-1030", "1704067200000-99999"] {
            let log = log();
            for n in 0..KEPT + 10 {
                log.publish(&call(n));
            }
            let mut reader = log.subscribe(Audience::Staff, Some(id.parse().expect("an id")));
            assert!(matches!(reader.next().await, Delivery::Resync(id) if id.n == KEPT as u64 + 10), "{id}");
            log.publish(&call(0));
            assert!(matches!(reader.next().await, Delivery::Event(id, _) if id.n == KEPT as u64 + 11), "{id}");
        }
    }

    #[tokio::test]
    async fn a_stalled_reader_is_resynced_and_never_slows_the_writer() {
        let log = log();
        let mut stalled = log.subscribe(Audience::Staff, None);
        for n in 0..KEPT * 3 {
            log.publish(&call(n));
        }
        assert!(matches!(stalled.next().await, Delivery::Resync(_)));
        log.publish(&call(1));
        assert!(matches!(stalled.next().await, Delivery::Event(id, _) if id.n == KEPT as u64 * 3 + 1));
        assert_eq!(log.0.ring.lock().expect("no panic holds it").len(), KEPT);
    }

    #[test]
    fn an_id_that_is_none_is_refused() {
        for text in ["", "1", "-1", "a-1", "1-", "1-b", "1-2-3"] {
            assert!(text.parse::<EventId>().is_err(), "{text}");
        }
    }
}
