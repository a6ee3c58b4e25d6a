//! All orders in memory, by everything that they are looked up by.
//!
//! Holds orders that are on disk and, apart from them, the claims of orders that are being written: their keys and
//! numbers are taken, but nobody is shown them.

use super::record::{DeliveryState, Record};
use crate::ordering::order::{OrderId, OrderNumber};
use crate::ordering::phone_number::PhoneNumber;
use jiff::{SignedDuration, Timestamp};
use rand::RngExt as _;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

/// An order number is not given again for so long while others are free.
const NUMBER_REST: SignedDuration = SignedDuration::from_hours(24);

#[derive(Default)]
pub(super) struct Index {
    orders: HashMap<OrderId, Entry>,
    /// Oldest first.
    by_age: BTreeSet<Age>,
    open: BTreeSet<Age>,
    /// The newest order with a number.
    by_number: HashMap<OrderNumber, OrderId>,
    by_phone: HashMap<PhoneNumber, BTreeSet<Age>>,
    by_key: HashMap<String, OrderId>,
    by_fingerprint: HashMap<String, BTreeSet<Age>>,
    owed: BTreeSet<(Timestamp, OrderId, u32)>,
    files: HashSet<PathBuf>,
    claims: Claims,
}

struct Entry {
    record: Arc<Record>,
    file: PathBuf,
}

/// When it was made, then its id, so that two of one instant have an order.
type Age = (Timestamp, u64, OrderId);

/// What orders that are being written have taken.
#[derive(Default)]
struct Claims {
    numbers: HashSet<OrderNumber>,
    keys: HashSet<String>,
    fingerprints: HashSet<String>,
    drinks: HashMap<PhoneNumber, u32>,
}

/// What one order being written has taken; given back by [`Index::release`].
#[derive(Clone, Debug)]
pub(super) struct Claim {
    pub(super) file: PathBuf,
    pub(super) record: Arc<Record>,
}

/// The orders, for reading under the store's lock.
pub struct View<'a>(pub(super) &'a Index);

impl View<'_> {
    /// The order of that id.
    pub fn by_id(&self, id: &OrderId) -> Option<Arc<Record>> {
        self.0.orders.get(id).map(|entry| Arc::clone(&entry.record))
    }

    /// The newest order with that number.
    pub fn by_number(&self, number: OrderNumber) -> Option<Arc<Record>> {
        self.by_id(self.0.by_number.get(&number)?)
    }

    /// The order that a request with this key made or amended.
    pub fn by_key(&self, key: &str) -> Option<Arc<Record>> {
        self.by_id(self.0.by_key.get(key)?)
    }

    /// Whether an order with this key is being written at this moment.
    pub fn is_key_in_flight(&self, key: &str) -> bool {
        self.0.claims.keys.contains(key)
    }

    /// Whether an order with this fingerprint is being written at this moment.
    pub fn is_fingerprint_in_flight(&self, fingerprint: &str) -> bool {
        self.0.claims.fingerprints.contains(fingerprint)
    }

    /// Orders of that fingerprint, newest first.
    pub fn by_fingerprint(&self, fingerprint: &str) -> impl Iterator<Item = &Arc<Record>> {
        self.records(self.0.by_fingerprint.get(fingerprint).into_iter().flatten().rev())
    }

    /// A phone number's orders, newest first.
    pub fn by_phone(&self, phone: &PhoneNumber) -> impl Iterator<Item = &Arc<Record>> {
        self.records(self.0.by_phone.get(phone).into_iter().flatten().rev())
    }

    /// All orders, newest first.
    pub fn newest_first(&self) -> impl Iterator<Item = &Arc<Record>> {
        self.records(self.0.by_age.iter().rev())
    }

    /// Orders that are neither completed nor cancelled, oldest first.
    pub fn open(&self) -> impl Iterator<Item = &Arc<Record>> {
        self.records(self.0.open.iter())
    }

    /// Drinks in a phone number's active orders, those being written included.
    pub fn active_drinks(&self, phone: &PhoneNumber) -> u32 {
        let written: u32 = self
            .by_phone(phone)
            .filter(|record| record.order.status.is_active())
            .map(|record| record.order.drinks())
            .sum();
        written.saturating_add(self.0.claims.drinks.get(phone).copied().unwrap_or(0))
    }

    /// What is owed, by when it may be tried.
    pub fn owed(&self) -> impl Iterator<Item = (Timestamp, &OrderId, u32)> {
        self.0.owed.iter().map(|(at, order, id)| (*at, order, *id))
    }

    fn records<'a>(&'a self, ages: impl Iterator<Item = &'a Age>) -> impl Iterator<Item = &'a Arc<Record>> {
        ages.filter_map(|(_, _, id)| self.0.orders.get(id)).map(|entry| &entry.record)
    }
}

impl Index {
    /// A file name for an order made at `at`, not taken by another.
    pub(super) fn free_file(&self, at: Timestamp) -> PathBuf {
        let stem = format!("order_{}", at.strftime("%Y%m%dT%H%M%S"));
        let names = std::iter::once(format!("{stem}.json")).chain((2..).map(|k: u64| format!("{stem}_{k}.json")));
        names.map(PathBuf::from).find(|name| !self.files.contains(name)).unwrap_or_default()
    }

    /// A number that no open order has and that, while there are others, was not given within the last day.
    pub(super) fn free_number(&self, now: Timestamp) -> Option<OrderNumber> {
        let is_open = |number: &OrderNumber| {
            self.claims.numbers.contains(number)
                || self.newest_of(*number).is_some_and(|record| record.order.status.is_open())
        };
        let is_rested = |number: &OrderNumber| {
            self.newest_of(*number).is_none_or(|record| now.duration_since(record.order.created_at) >= NUMBER_REST)
        };
        let four = || (1000..=9999).filter_map(OrderNumber::new);
        let mut rng = rand::rng();
        let guesses = std::iter::repeat_with(|| OrderNumber::new(rng.random_range(1000..=9999))).flatten();
        if let Some(number) = guesses.take(32).find(|number| !is_open(number) && is_rested(number)) {
            return Some(number);
        }
        let mut free: Vec<OrderNumber> = four().filter(|number| !is_open(number) && is_rested(number)).collect();
        if free.is_empty() {
            free = four().filter(|number| !is_open(number)).collect();
        }
        if free.is_empty() {
            free = (10_000..=99_999).filter_map(OrderNumber::new).filter(|number| !is_open(number)).collect();
        }
        if free.is_empty() { None } else { Some(free[rand::rng().random_range(0..free.len())]) }
    }

    fn newest_of(&self, number: OrderNumber) -> Option<&Arc<Record>> {
        self.orders.get(self.by_number.get(&number)?).map(|entry| &entry.record)
    }

    pub(super) fn file_of(&self, id: &OrderId) -> Option<PathBuf> {
        self.orders.get(id).map(|entry| entry.file.clone())
    }

    pub(super) fn claim(&mut self, claim: &Claim) {
        let Record { order, idempotency_keys, fingerprint, .. } = &*claim.record;
        self.files.insert(claim.file.clone());
        self.claims.numbers.insert(order.order_number);
        self.claims.keys.extend(idempotency_keys.iter().cloned());
        self.claims.fingerprints.extend(fingerprint.clone());
        if let Some(phone) = &order.phone {
            *self.claims.drinks.entry(phone.clone()).or_default() += order.drinks();
        }
    }

    pub(super) fn release(&mut self, claim: &Claim) {
        let Record { order, idempotency_keys, fingerprint, .. } = &*claim.record;
        self.claims.numbers.remove(&order.order_number);
        for key in idempotency_keys {
            self.claims.keys.remove(key);
        }
        if let Some(fingerprint) = fingerprint {
            self.claims.fingerprints.remove(fingerprint);
        }
        if let Some(phone) = &order.phone
            && let Some(drinks) = self.claims.drinks.get_mut(phone)
        {
            *drinks = drinks.saturating_sub(order.drinks());
            if *drinks == 0 {
                self.claims.drinks.remove(phone);
            }
        }
        if !self.orders.contains_key(&order.order_id) {
            self.files.remove(&claim.file);
        }
    }

    /// Shows an order as it now is on disk.
    pub(super) fn put(&mut self, record: Arc<Record>, file: PathBuf) {
        let id = record.order.order_id.clone();
        if let Some(old) = self.orders.remove(&id) {
            self.forget(&old.record);
        }
        let age = age(&record);
        let order = &record.order;
        if order.status.is_open() {
            self.open.insert(age.clone());
        }
        let is_newest = self.newest_of(order.order_number).is_none_or(|other| self::age(other) < age);
        if is_newest {
            self.by_number.insert(order.order_number, id.clone());
        }
        if let Some(phone) = &order.phone {
            self.by_phone.entry(phone.clone()).or_default().insert(age.clone());
        }
        for key in &record.idempotency_keys {
            self.by_key.insert(key.clone(), id.clone());
        }
        if let Some(fingerprint) = &record.fingerprint {
            self.by_fingerprint.entry(fingerprint.clone()).or_default().insert(age.clone());
        }
        for delivery in record.deliveries.iter().filter(|delivery| delivery.state == DeliveryState::Owed) {
            self.owed.insert((delivery.not_before, id.clone(), delivery.id));
        }
        self.by_age.insert(age);
        self.files.insert(file.clone());
        self.orders.insert(id, Entry { record, file });
    }

    /// Takes an order out of all look-ups but the number, which its successor takes over.
    fn forget(&mut self, record: &Record) {
        let age = age(record);
        self.by_age.remove(&age);
        self.open.remove(&age);
        if let Some(ages) = record.order.phone.as_ref().and_then(|phone| self.by_phone.get_mut(phone)) {
            ages.remove(&age);
        }
        if let Some(ages) = record.fingerprint.as_ref().and_then(|print| self.by_fingerprint.get_mut(print)) {
            ages.remove(&age);
        }
        for delivery in &record.deliveries {
            self.owed.remove(&(delivery.not_before, age.2.clone(), delivery.id));
        }
    }
}

fn age(record: &Record) -> Age {
    let order = &record.order;
    let n = order.order_id.number_at(&order.shop_id).unwrap_or(0);
    (order.created_at, n, order.order_id.clone())
}
