//! What is known at one moment of what a change is checked against.
//!
//! What belongs to a key, an id, a phone or a fingerprint is read as it is and checked again at the commit. How long the
//! queue is comes from the index of open orders, which may be a moment behind: the latest orders are known from the
//! counter and looked up where the index does not show them yet. So of two orders for the last place in a slot the second
//! knows of the first, whichever process took it; an amended order may be counted as it was a moment ago.

use super::Inner;
use super::document::{Counter, Numbers, Phone};
use super::item::{Item, number, read, text};
use super::read::Walk;
use super::table::{BY_OPEN, KEY};
use super::work::{Work, order_key};
use crate::ordering::order::{Order, OrderId, OrderNumber};
use crate::ordering::phone_number::PhoneNumber;
use crate::ordering::status::OrderStatus;
use crate::store::numbers::{self, Standing};
use crate::store::query::Answered;
use crate::store::record::{Record, Tombstone};
use crate::store::{Ask, Facts, StoreError};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, HashMap};

impl Inner {
    /// The facts of a new order. All that they rest on is read into the work, but for the length of the queue.
    pub(super) async fn facts(&self, work: &mut Work<'_>, ask: &Ask) -> Result<Facts, StoreError> {
        let shop = &self.shop;
        let key = ask.key.as_deref().map(|key| shop.key(key));
        let print = ask.fingerprint.as_ref().map(|(print, _)| shop.fingerprint(print));
        let phone = ask.phone.as_ref().map(|phone| shop.phone(phone));
        let id = ask.order_id.as_ref().map(|id| [order_key(id), shop.tombstone(id)]);
        let items = [key.clone(), print.clone(), phone.clone(), Some(shop.counter())];
        let items = items.into_iter().flatten().chain(id.clone().into_iter().flatten());
        let (loaded, queue) = tokio::join!(work.load(items), self.indexed_queue());
        loaded?;
        let mut queue = queue?;
        self.add_latest(work, &mut queue).await?;

        let alike = match (&ask.fingerprint, &print) {
            (Some((fingerprint, since)), Some(print)) => self.alike(work, print, fingerprint, *since).await?,
            _ => Vec::new(),
        };
        Ok(Facts {
            answered: match ask.key.as_deref().zip(key) {
                Some((name, key)) => {
                    self.answered(name, work.found(&key).and_then(|found| found.document.as_deref())).await?
                }
                None => None,
            },
            id_taken: id.iter().flatten().any(|key| work.found(key).is_some_and(|found| found.exists())),
            alike,
            due: ask.due.clone().map_or_else(Vec::new, |range| {
                let mut due: BTreeMap<Timestamp, u32> = BTreeMap::new();
                for waiting in queue.values() {
                    if let Some(at) = waiting.due_at.filter(|at| range.contains(at)) {
                        let sum = due.entry(at).or_default();
                        *sum = sum.saturating_add(waiting.drinks);
                    }
                }
                due.into_iter().collect()
            }),
            drinks_ahead: drinks_ahead(&queue, ask.ahead_until),
            ..self.phone_facts(work, phone.as_deref(), ask.now)?
        })
    }

    /// The facts of a change of an order.
    pub(super) async fn facts_of(
        &self,
        work: &mut Work<'_>,
        phone: Option<&PhoneNumber>,
        now: Timestamp,
        ahead_until: Timestamp,
    ) -> Result<Facts, StoreError> {
        let phone = phone.map(|phone| self.shop.phone(phone));
        let counter = self.shop.counter();
        let (loaded, queue) =
            tokio::join!(work.load(phone.clone().into_iter().chain([counter.clone()])), self.indexed_queue());
        loaded?;
        let mut queue = queue?;
        self.add_latest(work, &mut queue).await?;
        // It only told of the latest orders: a new one meanwhile is no reason to do it again.
        work.release(&counter);
        let facts = self.phone_facts(work, phone.as_deref(), now)?;
        Ok(Facts { drinks_ahead: drinks_ahead(&queue, ahead_until), ..facts })
    }

    /// What a request with this key was answered, given the key's document.
    pub(super) async fn answered(&self, key: &str, document: Option<&str>) -> Result<Option<Answered>, StoreError> {
        let Some(order_id) = super::write::owner(document)? else { return Ok(None) };
        let (order, stone) = (order_key(&order_id), self.shop.tombstone(&order_id));
        let found = self.account.fetch(&[order.clone(), stone.clone()]).await?;
        let document = |key: &String| found.get(key).and_then(|found| found.document_of(&self.shop));
        let answers = match (document(&order), document(&stone)) {
            (Some(order), _) => self.account.record(order)?.answers,
            (None, Some(stone)) => serde_json::from_str::<Tombstone>(stone)?.answers,
            (None, None) => return Ok(None),
        };
        let answer = answers.into_iter().find(|answer| answer.key == key);
        Ok(answer.map(|answer| Answered { order_id, answer }))
    }

    /// A number for a new order. What is known of it is read into the work.
    pub(super) async fn free_number(&self, work: &mut Work<'_>, now: Timestamp) -> Result<OrderNumber, StoreError> {
        let since = numbers::resting_since(now);
        for round in numbers::rounds() {
            let keys: Vec<String> = round.numbers().iter().map(|number| self.shop.number(*number)).collect();
            let found = self.account.fetch(&keys).await?;
            let standing = |number| {
                let known: Numbers =
                    read(found.get(&self.shop.number(number)).and_then(|found| found.document.as_deref()))?;
                Ok::<_, StoreError>(match known.is_open() {
                    true => Standing::Taken,
                    false if known.was_given_after(since) => Standing::Resting,
                    false => Standing::Free,
                })
            };
            if let Some(number) = round.pick(standing)? {
                work.adopt(vec![self.shop.number(number)], found);
                return Ok(number);
            }
        }
        Err(StoreError::NoNumber)
    }

    fn phone_facts(&self, work: &Work<'_>, phone: Option<&str>, now: Timestamp) -> Result<Facts, StoreError> {
        let phone: Phone = phone.map_or_else(|| Ok(Phone::default()), |key| work.get(key))?;
        let hour_ago = now.checked_sub(SignedDuration::from_hours(1)).unwrap_or(Timestamp::MIN);
        Ok(Facts {
            active_drinks: phone.active_drinks(),
            texts_last_hour: phone.texts_since(hour_ago),
            ..Facts::default()
        })
    }

    /// Orders of a fingerprint that are not cancelled and whose drinks are no older than asked, newest first.
    async fn alike(
        &self,
        work: &Work<'_>,
        key: &str,
        fingerprint: &str,
        since: Timestamp,
    ) -> Result<Vec<Order>, StoreError> {
        let known: BTreeMap<OrderId, Timestamp> = work.get(key)?;
        let ids: Vec<OrderId> = known.into_iter().filter(|(_, at)| *at >= since).map(|(id, _)| id).collect();
        let mut records = self.records(&ids).await?;
        records.retain(|record| {
            record.fingerprint.as_deref() == Some(fingerprint)
                && record.drinks_since() >= since
                && record.order.status != OrderStatus::Cancelled
        });
        records.sort_by_key(|record| std::cmp::Reverse(record.place()));
        Ok(records.iter().map(|record| record.order.clone()).collect())
    }

    /// Active orders as the index of open orders has them.
    async fn indexed_queue(&self) -> Result<Queue, StoreError> {
        let mut queue = Queue::new();
        let mut walk = Walk::forward(&BY_OPEN, self.shop.0.clone());
        while let Some(items) = walk.page(&self.account, None).await? {
            queue.extend(items.iter().filter_map(Waiting::of_item));
        }
        Ok(queue)
    }

    /// Adds the latest orders that the index does not show.
    async fn add_latest(&self, work: &Work<'_>, queue: &mut Queue) -> Result<(), StoreError> {
        let counter: Counter = work.get(&self.shop.counter())?;
        let latest = counter.recent.into_iter().map(|recent| recent.order_id);
        let unseen: Vec<OrderId> = latest.filter(|id| !queue.contains_key(id.as_str())).collect();
        let records = self.records(&unseen).await?;
        queue.extend(records.iter().filter_map(|record| Waiting::of_record(record)));
        Ok(())
    }
}

/// Active orders by id.
type Queue = HashMap<String, Waiting>;

/// What an active order adds to the queue.
struct Waiting {
    drinks: u32,
    pickup_at: Option<Timestamp>,
    due_at: Option<Timestamp>,
}

impl Waiting {
    fn of_item(item: &Item) -> Option<(String, Self)> {
        let at = |name| text(item, name).and_then(|text| text.parse().ok());
        let drinks = number(item, "active_drinks")?;
        let pickup_at = at("pickup_at");
        let waiting = Self { drinks, pickup_at, due_at: pickup_at.or_else(|| at("estimated_ready_time")) };
        Some((text(item, KEY)?.to_owned(), waiting))
    }

    fn of_record(record: &Record) -> Option<(String, Self)> {
        let order = &record.order;
        let waiting = Self { drinks: order.drinks(), pickup_at: order.pickup_at, due_at: order.due_at() };
        order.status.is_active().then(|| (order.order_id.to_string(), waiting))
    }
}

fn drinks_ahead(queue: &Queue, until: Timestamp) -> u32 {
    let ahead = queue.values().filter(|waiting| waiting.pickup_at.is_none_or(|at| at < until));
    ahead.fold(0, |sum, waiting| sum.saturating_add(waiting.drinks))
}
