//! What the files of a folder hold, for finding it again: rebuilt at every start, kept in step with the files after that.
//!
//! Claims are what orders being written have taken already, so that two of them never take the same. Totals count an
//! order from the moment it is claimed.

use super::super::commit::{Ask, Facts};
use super::super::numbers::{self, Standing};
use super::super::query::{Answered, Owed, Page, Query, Statistics};
use super::super::record::{DeliveryState, Lane, Place, Record, Tombstone, folded_name};
use crate::ordering::order::{OrderId, OrderNumber};
use crate::ordering::phone_number::PhoneNumber;
use crate::ordering::status::OrderStatus;
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::convert::Infallible;
use std::hash::Hash;
use std::ops::Bound;
use std::path::PathBuf;
use std::sync::Arc;

#[derive(Default)]
pub(super) struct Index {
    orders: HashMap<OrderId, Entry>,
    by_place: BTreeMap<Place, OrderId>,
    open: BTreeSet<Place>,
    by_status: HashMap<OrderStatus, BTreeSet<Place>>,
    by_number: HashMap<OrderNumber, BTreeSet<Place>>,
    by_phone: HashMap<PhoneNumber, BTreeSet<Place>>,
    by_name: HashMap<String, BTreeSet<Place>>,
    by_customer: HashMap<String, BTreeSet<Place>>,
    by_fingerprint: HashMap<String, BTreeSet<Place>>,
    by_key: HashMap<String, OrderId>,
    undelivered: BTreeSet<Place>,
    owed: HashMap<Lane, BTreeSet<(Timestamp, OrderId, u32)>>,
    tombstones: HashMap<OrderId, Tombstone>,
    /// When a number was last given, also to an order that is deleted since.
    given: HashMap<OrderNumber, Timestamp>,
    files: HashSet<PathBuf>,
    revenue_cents: i64,
    totals: Totals,
    claims: Claims,
}

struct Entry {
    record: Arc<Record>,
    file: PathBuf,
}

/// What orders that are being written have taken.
#[derive(Default)]
struct Claims {
    ids: HashSet<OrderId>,
    numbers: HashSet<OrderNumber>,
    keys: HashSet<String>,
    fingerprints: HashSet<String>,
}

/// Sums over orders, those being written included.
#[derive(Default)]
struct Totals {
    /// Drinks in active orders.
    by_phone: HashMap<PhoneNumber, u32>,
    /// Drinks in active orders that are to be made as soon as possible.
    soon: u32,
    /// Drinks in active orders with a time of pickup, by it.
    booked: BTreeMap<Timestamp, u32>,
    /// Drinks in active orders, by when they are due.
    due: BTreeMap<Timestamp, u32>,
    /// When texts to a number were owed, skipped ones left out.
    texts: HashMap<PhoneNumber, BTreeSet<(Timestamp, OrderId, u32)>>,
}

/// What one order being written has taken; given back by [`Index::release`].
#[derive(Clone, Debug)]
pub(super) struct Claim {
    pub(super) file: PathBuf,
    pub(super) record: Arc<Record>,
}

impl Index {
    pub(super) fn by_id(&self, id: &OrderId) -> Option<Arc<Record>> {
        self.orders.get(id).map(|entry| Arc::clone(&entry.record))
    }

    pub(super) fn by_number(&self, number: OrderNumber) -> Option<Arc<Record>> {
        self.numbered(number).next().map(Arc::clone)
    }

    pub(super) fn by_key(&self, key: &str) -> Option<Answered> {
        let order_id = self.by_key.get(key)?;
        let live = self.orders.get(order_id).map(|entry| &entry.record.answers);
        let answers = live.or_else(|| self.tombstones.get(order_id).map(|stone| &stone.answers))?;
        let answer = answers.iter().find(|answer| answer.key == key)?;
        Some(Answered { order_id: order_id.clone(), answer: answer.clone() })
    }

    /// Oldest first.
    pub(super) fn open(&self) -> Vec<Arc<Record>> {
        self.open.iter().filter_map(|place| self.at(place)).cloned().collect()
    }

    pub(super) fn list(&self, query: &Query) -> Page {
        let older = (Bound::Unbounded, query.after.clone().map_or(Bound::Unbounded, Bound::Excluded));
        let one = |set: Option<&BTreeSet<Place>>| -> Vec<Arc<Record>> {
            set.map(|set| self.matching(set.range(older.clone()).rev(), query)).unwrap_or_default()
        };
        // The set that is most likely the smallest; whatever else is asked for is looked at in each order.
        let mut records = if let Some(phone) = &query.phone {
            one(self.by_phone.get(phone))
        } else if let Some(customer) = &query.customer_id {
            one(self.by_customer.get(customer))
        } else if let Some(name) = &query.name {
            one(self.by_name.get(&folded_name(name)))
        } else if query.statuses.is_empty() {
            self.matching(self.by_place.range(older.clone()).map(|(place, _)| place).rev(), query)
        } else {
            let statuses: HashSet<OrderStatus> = query.statuses.iter().copied().collect();
            statuses.iter().flat_map(|status| one(self.by_status.get(status))).collect()
        };
        records.sort_by_key(|record| std::cmp::Reverse(record.place()));
        let is_more = records.len() > query.limit;
        records.truncate(query.limit);
        let next = records.last().filter(|_| is_more).map(|record| record.place());
        Page { records, next }
    }

    /// One more than asked for, so that it is known whether there is more.
    fn matching<'a>(&self, newest_first: impl Iterator<Item = &'a Place>, query: &Query) -> Vec<Arc<Record>> {
        let found = newest_first.filter_map(|place| self.at(place)).filter(|record| query.fits(record));
        found.take(query.limit.saturating_add(1)).cloned().collect()
    }

    pub(super) fn owed(&self, lane: Lane, now: Timestamp, most: usize) -> Owed {
        let Some(owed) = self.owed.get(&lane) else { return Owed::default() };
        let find = |order: &OrderId, id: u32| {
            let record = &self.orders.get(order)?.record;
            let delivery = record.deliveries.iter().find(|delivery| delivery.id == id)?;
            Some((order.clone(), delivery.clone()))
        };
        let due: Vec<_> = owed.iter().take_while(|(at, ..)| *at <= now).take(most).collect();
        let next = owed.iter().nth(due.len()).map(|(at, ..)| *at);
        Owed { due: due.into_iter().filter_map(|(_, order, id)| find(order, *id)).collect(), next }
    }

    pub(super) fn undelivered(&self, most: usize) -> Vec<Arc<Record>> {
        self.undelivered.iter().rev().filter_map(|place| self.at(place)).take(most).cloned().collect()
    }

    pub(super) fn statistics(&self) -> Statistics {
        let of_status = |status: OrderStatus| self.by_status.get(&status).map_or(0, BTreeSet::len) as u64;
        Statistics {
            orders: self.orders.len() as u64,
            revenue: crate::ordering::money::Money::from_cents(self.revenue_cents),
            by_status: OrderStatus::ALL.into_iter().map(|status| (status.as_str(), of_status(status))).collect(),
            customers: self.by_customer.len() as u64,
        }
    }

    pub(super) fn tombstones(&self) -> Vec<Tombstone> {
        self.tombstones.values().cloned().collect()
    }

    /// Whether an order has this id, had it, or is just given it.
    pub(super) fn has_or_had(&self, id: &OrderId) -> bool {
        self.orders.contains_key(id) || self.tombstones.contains_key(id) || self.claims.ids.contains(id)
    }

    /// The order that a key belongs to, if it is another one.
    pub(super) fn owner_of(&self, key: &str, order: &OrderId) -> Option<OrderId> {
        self.by_key.get(key).filter(|owner| *owner != order).cloned()
    }

    pub(super) fn is_tombstoned(&self, id: &OrderId) -> bool {
        self.tombstones.contains_key(id)
    }

    /// What is known at this moment of what a new order is checked against.
    pub(super) fn facts(&self, ask: &Ask) -> Facts {
        let print = ask.fingerprint.as_ref();
        let alike = print.map(|(print, since)| {
            let fits = |record: &&Arc<Record>| {
                record.drinks_since() >= *since && record.order.status != OrderStatus::Cancelled
            };
            let same = self.by_fingerprint.get(print).into_iter().flatten().rev();
            same.filter_map(|place| self.at(place)).filter(fits).map(|record| record.order.clone()).collect()
        });
        Facts {
            answered: ask.key.as_deref().and_then(|key| self.by_key(key)),
            key_in_flight: ask.key.as_ref().is_some_and(|key| self.claims.keys.contains(key)),
            id_taken: ask.order_id.as_ref().is_some_and(|id| self.has_or_had(id)),
            alike: alike.unwrap_or_default(),
            alike_in_flight: print.is_some_and(|(print, _)| self.claims.fingerprints.contains(print)),
            due: ask.due.clone().map_or_else(Vec::new, |range| {
                self.totals.due.range(range).map(|(at, drinks)| (*at, *drinks)).collect()
            }),
            ..self.facts_of(ask.phone.as_ref(), ask.now, ask.ahead_until)
        }
    }

    /// What is known of a phone and of the queue.
    pub(super) fn facts_of(&self, phone: Option<&PhoneNumber>, now: Timestamp, ahead_until: Timestamp) -> Facts {
        let hour_ago = now.checked_sub(SignedDuration::from_hours(1)).unwrap_or(Timestamp::MIN);
        let texts = phone.and_then(|phone| self.totals.texts.get(phone));
        let recent = |texts: &BTreeSet<(Timestamp, OrderId, u32)>| {
            texts.iter().rev().take_while(|(at, ..)| *at > hour_ago).count()
        };
        let booked = self.totals.booked.range(..ahead_until).map(|(_, drinks)| *drinks);
        Facts {
            active_drinks: phone.and_then(|phone| self.totals.by_phone.get(phone)).copied().unwrap_or(0),
            texts_last_hour: texts.map_or(0, recent),
            drinks_ahead: booked.fold(self.totals.soon, u32::saturating_add),
            ..Facts::default()
        }
    }

    /// A file name for an order made at `at`, not taken by another.
    pub(super) fn free_file(&self, at: Timestamp) -> PathBuf {
        let stem = format!("order_{}", at.strftime("%Y%m%dT%H%M%S"));
        let names = std::iter::once(format!("{stem}.json")).chain((2..).map(|k: u64| format!("{stem}_{k}.json")));
        names.map(PathBuf::from).find(|name| !self.files.contains(name)).unwrap_or_default()
    }

    /// A number for a new order.
    pub(super) fn free_number(&self, now: Timestamp) -> Option<OrderNumber> {
        let since = numbers::resting_since(now);
        let is_taken = |number: &OrderNumber| {
            self.claims.numbers.contains(number) || self.numbered(*number).any(|record| record.order.status.is_open())
        };
        let standing = |number: OrderNumber| match self.given.get(&number) {
            _ if is_taken(&number) => Standing::Taken,
            Some(at) if *at > since => Standing::Resting,
            _ => Standing::Free,
        };
        numbers::rounds().find_map(|round| {
            let Ok(picked) = round.pick(|number| Ok::<_, Infallible>(standing(number)));
            picked
        })
    }

    pub(super) fn file_of(&self, id: &OrderId) -> Option<PathBuf> {
        self.orders.get(id).map(|entry| entry.file.clone())
    }

    pub(super) fn claim(&mut self, claim: &Claim) {
        let Record { order, answers, fingerprint, .. } = &*claim.record;
        self.files.insert(claim.file.clone());
        self.claims.ids.insert(order.order_id.clone());
        self.claims.numbers.insert(order.order_number);
        self.claims.keys.extend(answers.iter().map(|answer| answer.key.clone()));
        self.claims.fingerprints.extend(fingerprint.clone());
        self.totals.count(&claim.record);
    }

    /// Gives back what an order being written had taken, now that it is shown.
    pub(super) fn release(&mut self, claim: &Claim) {
        let Record { order, answers, fingerprint, .. } = &*claim.record;
        self.claims.ids.remove(&order.order_id);
        self.claims.numbers.remove(&order.order_number);
        for answer in answers {
            self.claims.keys.remove(&answer.key);
        }
        if let Some(fingerprint) = fingerprint {
            self.claims.fingerprints.remove(fingerprint);
        }
    }

    /// Gives back what an order had taken that could not be written.
    pub(super) fn abandon(&mut self, claim: &Claim) {
        self.release(claim);
        self.totals.discount(&claim.record);
        self.files.remove(&claim.file);
    }

    /// Nobody is given this name: the file is still there, and will go.
    pub(super) fn keep_name(&mut self, file: PathBuf) {
        self.files.insert(file);
    }

    /// From here on the sums are those of `new`, which is about to be written over `old`.
    pub(super) fn recount(&mut self, old: &Record, new: &Record) {
        self.totals.discount(old);
        self.totals.count(new);
    }

    /// Shows an order read from its file.
    pub(super) fn load(&mut self, record: Arc<Record>, file: PathBuf) {
        self.totals.count(&record);
        self.show(record, file);
    }

    /// Shows an order, whose sums are counted already, as it now is on disk.
    pub(super) fn show(&mut self, record: Arc<Record>, file: PathBuf) {
        let id = record.order.order_id.clone();
        if let Some(old) = self.orders.remove(&id) {
            self.unlist(&old.record);
        }
        self.enlist(&record);
        self.files.insert(file.clone());
        self.orders.insert(id, Entry { record, file });
    }

    /// Takes an order out that is deleted.
    pub(super) fn remove(&mut self, id: &OrderId) {
        if let Some(old) = self.orders.remove(id) {
            self.unlist(&old.record);
            self.totals.discount(&old.record);
            self.files.remove(&old.file);
        }
    }

    pub(super) fn set_tombstone(&mut self, id: &OrderId, stone: Option<Tombstone>) {
        if let Some(old) = self.tombstones.remove(id) {
            for answer in old.answers {
                self.by_key.remove(&answer.key);
            }
        }
        if let Some(stone) = stone {
            self.by_key.extend(stone.answers.iter().map(|answer| (answer.key.clone(), id.clone())));
            let given = self.given.entry(stone.order_number).or_insert(stone.created_at);
            *given = stone.created_at.max(*given);
            self.tombstones.insert(id.clone(), stone);
        }
    }

    fn enlist(&mut self, record: &Record) {
        let (order, place) = (&record.order, record.place());
        if order.status.is_open() {
            self.open.insert(place.clone());
        }
        self.by_status.entry(order.status).or_default().insert(place.clone());
        self.by_number.entry(order.order_number).or_default().insert(place.clone());
        let given = self.given.entry(order.order_number).or_insert(order.created_at);
        *given = order.created_at.max(*given);
        if let Some(phone) = &order.phone {
            self.by_phone.entry(phone.clone()).or_default().insert(place.clone());
        }
        if let Some(name) = &order.name {
            self.by_name.entry(folded_name(name)).or_default().insert(place.clone());
        }
        if let Some(customer) = &order.customer_id {
            self.by_customer.entry(customer.clone()).or_default().insert(place.clone());
        }
        if let Some(fingerprint) = &record.fingerprint {
            self.by_fingerprint.entry(fingerprint.clone()).or_default().insert(place.clone());
        }
        self.by_key.extend(record.answers.iter().map(|answer| (answer.key.clone(), order.order_id.clone())));
        for delivery in &record.deliveries {
            if let Some(at) = delivery.due_at() {
                let lane = self.owed.entry(delivery.kind.lane()).or_default();
                lane.insert((at, order.order_id.clone(), delivery.id));
            }
            if delivery.state == DeliveryState::Failed {
                self.undelivered.insert(place.clone());
            }
        }
        if order.status != OrderStatus::Cancelled {
            self.revenue_cents += order.total.cents();
        }
        self.by_place.insert(place, order.order_id.clone());
    }

    fn unlist(&mut self, record: &Record) {
        let (order, place) = (&record.order, record.place());
        self.by_place.remove(&place);
        self.open.remove(&place);
        self.undelivered.remove(&place);
        drop_place(&mut self.by_status, Some(&order.status), &place);
        drop_place(&mut self.by_number, Some(&order.order_number), &place);
        drop_place(&mut self.by_phone, order.phone.as_ref(), &place);
        drop_place(&mut self.by_name, order.name.as_deref().map(folded_name).as_ref(), &place);
        drop_place(&mut self.by_customer, order.customer_id.as_ref(), &place);
        drop_place(&mut self.by_fingerprint, record.fingerprint.as_ref(), &place);
        for answer in &record.answers {
            self.by_key.remove(&answer.key);
        }
        for delivery in &record.deliveries {
            if let Some(at) = delivery.due_at()
                && let Some(lane) = self.owed.get_mut(&delivery.kind.lane())
            {
                lane.remove(&(at, order.order_id.clone(), delivery.id));
            }
        }
        if order.status != OrderStatus::Cancelled {
            self.revenue_cents -= order.total.cents();
        }
    }

    fn at(&self, place: &Place) -> Option<&Arc<Record>> {
        self.orders.get(self.by_place.get(place)?).map(|entry| &entry.record)
    }

    /// Orders with a number, newest first.
    fn numbered(&self, number: OrderNumber) -> impl Iterator<Item = &Arc<Record>> {
        self.by_number.get(&number).into_iter().flatten().rev().filter_map(|place| self.at(place))
    }
}

impl Totals {
    fn count(&mut self, record: &Record) {
        let (order, drinks) = (&record.order, record.order.drinks());
        if order.status.is_active() {
            if let Some(phone) = &order.phone {
                *self.by_phone.entry(phone.clone()).or_default() += drinks;
            }
            match order.pickup_at {
                Some(at) => *self.booked.entry(at).or_default() += drinks,
                None => self.soon += drinks,
            }
            if let Some(at) = order.due_at() {
                *self.due.entry(at).or_default() += drinks;
            }
        }
        for (to, text) in texts(record) {
            self.texts.entry(to.clone()).or_default().insert(text);
        }
    }

    fn discount(&mut self, record: &Record) {
        let (order, drinks) = (&record.order, record.order.drinks());
        if order.status.is_active() {
            if let Some(phone) = &order.phone
                && let Some(sum) = self.by_phone.get_mut(phone)
            {
                *sum = sum.saturating_sub(drinks);
                if *sum == 0 {
                    self.by_phone.remove(phone);
                }
            }
            match order.pickup_at {
                Some(at) => take_from(&mut self.booked, at, drinks),
                None => self.soon = self.soon.saturating_sub(drinks),
            }
            if let Some(at) = order.due_at() {
                take_from(&mut self.due, at, drinks);
            }
        }
        for (to, text) in texts(record) {
            if let Some(sent) = self.texts.get_mut(to) {
                sent.remove(&text);
                if sent.is_empty() {
                    self.texts.remove(to);
                }
            }
        }
    }
}

/// The texts of a record that count against a number's hour.
fn texts(record: &Record) -> impl Iterator<Item = (&PhoneNumber, (Timestamp, OrderId, u32))> {
    let counted = record.deliveries.iter().filter(|delivery| delivery.state != DeliveryState::Skipped);
    counted.filter_map(|delivery| {
        let to = delivery.to.as_ref()?;
        Some((to, (delivery.owed_at, record.order.order_id.clone(), delivery.id)))
    })
}

fn take_from(sums: &mut BTreeMap<Timestamp, u32>, at: Timestamp, drinks: u32) {
    if let Some(sum) = sums.get_mut(&at) {
        *sum = sum.saturating_sub(drinks);
        if *sum == 0 {
            sums.remove(&at);
        }
    }
}

fn drop_place<K: Eq + Hash>(map: &mut HashMap<K, BTreeSet<Place>>, key: Option<&K>, place: &Place) {
    if let Some(key) = key
        && let Some(places) = map.get_mut(key)
    {
        places.remove(place);
        if places.is_empty() {
            map.remove(key);
        }
    }
}
