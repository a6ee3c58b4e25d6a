//! The documents beside orders: the shop's counter, and what all orders of a number, a phone, a key or a fingerprint
//! share. An order adds its share to each and takes it away again; what is left of a document without any goes too.

use super::item::{Item, ItemError, Shop, check_size, expire, read};
use crate::ordering::order::{OrderId, OrderNumber};
use crate::ordering::status::OrderStatus;
use crate::store::record::{DeliveryState, Record};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How many closed orders a number remembers, and how many alike a fingerprint.
const REMEMBERED: usize = 32;
/// An order that was made so long ago is in the index of open orders.
const INDEXED_AFTER: SignedDuration = SignedDuration::from_secs(5);

/// What one order adds to a shared document.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Share {
    Number(Numbered, Timestamp),
    Key(String),
    Fingerprint(Timestamp),
    Phone(PhoneShare),
}

/// A change of one share: of what sort it is, and what it is from now on.
pub(super) struct ShareChange<'a> {
    pub(super) of: &'a Share,
    pub(super) now: Option<&'a Share>,
}

/// The count of a shop's orders.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Counter {
    /// The highest `n` that was given.
    pub(super) n: u64,
    /// The latest orders, which the index of open orders may not show yet.
    pub(super) recent: Vec<Recent>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Recent {
    pub(super) order_id: OrderId,
    pub(super) at: Timestamp,
}

impl Counter {
    /// Notes an order that is made at this moment.
    pub(super) fn note(&mut self, order_id: &OrderId, at: Timestamp) {
        self.recent.retain(|recent| at.duration_since(recent.at).abs() < INDEXED_AFTER);
        self.recent.push(Recent { order_id: order_id.clone(), at });
        let excess = self.recent.len().saturating_sub(REMEMBERED);
        self.recent.drain(..excess);
    }
}

/// Who has had a number.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Numbers {
    /// When it was last given, also to an order that is deleted since.
    given: Option<Timestamp>,
    orders: Vec<Numbered>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Numbered {
    order_id: OrderId,
    place: String,
    is_open: bool,
}

impl Numbers {
    pub(super) fn newest(&self) -> Option<&OrderId> {
        self.orders.iter().max_by(|a, b| a.place.cmp(&b.place)).map(|numbered| &numbered.order_id)
    }

    pub(super) fn is_open(&self) -> bool {
        self.orders.iter().any(|numbered| numbered.is_open)
    }

    pub(super) fn was_given_after(&self, since: Timestamp) -> bool {
        self.given.is_some_and(|at| at > since)
    }

    /// Drops the oldest closed orders beyond those that are remembered.
    fn forget(&mut self) {
        self.orders.sort_by(|a, b| b.place.cmp(&a.place));
        let mut closed = 0;
        self.orders.retain(|numbered| {
            closed += usize::from(!numbered.is_open);
            numbered.is_open || closed <= REMEMBERED
        });
    }
}

/// What counts against a phone number, by the order that it is from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Phone(BTreeMap<OrderId, PhoneShare>);

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct PhoneShare {
    /// In an active order.
    drinks: u32,
    /// When texts were owed, skipped ones left out.
    texts: Vec<Timestamp>,
}

impl Phone {
    pub(super) fn active_drinks(&self) -> u32 {
        self.0.values().fold(0, |sum, share| sum.saturating_add(share.drinks))
    }

    pub(super) fn texts_since(&self, after: Timestamp) -> usize {
        self.0.values().flat_map(|share| &share.texts).filter(|at| **at > after).count()
    }

    fn newest_text(&self) -> Option<Timestamp> {
        self.0.values().flat_map(|share| &share.texts).max().copied()
    }

    /// Drops what counts no more: a text an hour older than the newest, and orders of which nothing counts.
    fn forget(&mut self) {
        let newest = self.newest_text();
        let hour_before = newest.and_then(|at| at.checked_sub(SignedDuration::from_hours(1)).ok());
        for share in self.0.values_mut() {
            share.texts.retain(|at| hour_before.is_none_or(|limit| *at > limit));
        }
        self.0.retain(|_, share| share.drinks > 0 || !share.texts.is_empty());
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct KeyOwner {
    pub(super) order_id: OrderId,
}

impl Shop {
    /// What a record adds to the documents that it shares with others, by the documents' keys.
    pub(super) fn shares(&self, record: &Record) -> BTreeMap<String, Share> {
        let order = &record.order;
        let mut shares = BTreeMap::new();
        let number = Numbered {
            order_id: order.order_id.clone(),
            place: record.place().as_str().to_owned(),
            is_open: order.status.is_open(),
        };
        shares.insert(self.number(order.order_number), Share::Number(number, order.created_at));
        for answer in &record.answers {
            shares.insert(self.key(&answer.key), Share::Key(answer.key.clone()));
        }
        if let Some(fingerprint) = record.fingerprint.as_ref().filter(|_| order.status != OrderStatus::Cancelled) {
            shares.insert(self.fingerprint(fingerprint), Share::Fingerprint(record.drinks_since()));
        }
        let mut phones: BTreeMap<String, PhoneShare> = BTreeMap::new();
        if let Some(phone) = order.phone.as_ref().filter(|_| order.status.is_active()) {
            phones.entry(self.phone(phone)).or_default().drinks = order.drinks();
        }
        for delivery in record.deliveries.iter().filter(|delivery| delivery.state != DeliveryState::Skipped) {
            if let Some(to) = &delivery.to {
                phones.entry(self.phone(to)).or_default().texts.push(delivery.owed_at);
            }
        }
        shares.extend(phones.into_iter().map(|(key, share)| (key, Share::Phone(share))));
        shares
    }

    /// The document with an order's share in it as it now is (`None`: without it); `None`: nothing is left of it.
    pub(super) fn with_share(
        &self,
        key: &str,
        document: Option<&str>,
        id: &OrderId,
        share: ShareChange<'_>,
    ) -> Result<Option<Item>, ItemError> {
        match share {
            ShareChange { of: Share::Key(_), now: None } => Ok(None),
            ShareChange { of: Share::Key(key), now: Some(_) } => self.key_item(key, id, None).map(Some),
            ShareChange { of: Share::Number(..), now } => {
                let mut numbers: Numbers = read(document)?;
                numbers.orders.retain(|numbered| numbered.order_id != *id);
                if let Some(Share::Number(numbered, at)) = now {
                    numbers.given = numbers.given.max(Some(*at));
                    numbers.orders.push(numbered.clone());
                }
                numbers.forget();
                self.item(key, "number", &numbers).map(Some)
            }
            ShareChange { of: Share::Fingerprint(_), now } => {
                let mut prints: BTreeMap<OrderId, Timestamp> = read(document)?;
                prints.remove(id);
                if let Some(Share::Fingerprint(since)) = now {
                    prints.insert(id.clone(), *since);
                }
                let oldest = prints.iter().min_by_key(|(_, since)| **since).map(|(id, _)| id.clone());
                if let Some(oldest) = oldest.filter(|_| prints.len() > REMEMBERED) {
                    prints.remove(&oldest);
                }
                let Some(newest) = prints.values().max().copied() else { return Ok(None) };
                let mut item = self.item(key, "fingerprint", &prints)?;
                expire(&mut item, newest);
                Ok(Some(item))
            }
            ShareChange { of: Share::Phone(_), now } => {
                let mut phone: Phone = read(document)?;
                phone.0.remove(id);
                if let Some(Share::Phone(share)) = now {
                    phone.0.insert(id.clone(), share.clone());
                }
                phone.forget();
                if phone.0.is_empty() {
                    return Ok(None);
                }
                let mut item = self.item(key, "phone", &phone)?;
                if phone.active_drinks() == 0 {
                    phone.newest_text().into_iter().for_each(|at| expire(&mut item, at));
                }
                check_size("what is known of a phone number", item).map(Some)
            }
        }
    }

    /// A number document that says when the number was last given.
    pub(super) fn given(&self, number: OrderNumber, document: Option<&str>, at: Timestamp) -> Result<Item, ItemError> {
        let mut numbers: Numbers = read(document)?;
        numbers.given = numbers.given.max(Some(at));
        self.item(&self.number(number), "number", &numbers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::conformance::{Draft, SHOP, at, id, minutes, number, phone, text};
    use proptest::prelude::*;

    fn shop() -> Shop {
        Shop(SHOP.to_owned())
    }

    /// Carries changes of shares out in memory, as a commit does in the table.
    #[derive(Default)]
    struct Shared(BTreeMap<String, Item>);

    impl Shared {
        fn change(&mut self, old: Option<&Record>, new: Option<&Record>) {
            let shares = |record: Option<&Record>| record.map(|record| shop().shares(record)).unwrap_or_default();
            let (old_shares, new_shares) = (shares(old), shares(new));
            let id = &new.or(old).expect("a record").order.order_id;
            for (key, of) in old_shares.iter().chain(&new_shares) {
                let change = ShareChange { of, now: new_shares.get(key) };
                let item = shop().with_share(key, self.document(key), id, change).expect("a document");
                match item {
                    Some(item) => drop(self.0.insert(key.clone(), item)),
                    None => drop(self.0.remove(key)),
                }
            }
        }

        fn document(&self, key: &str) -> Option<&str> {
            self.0.get(key).and_then(|item| crate::store::dynamodb::item::text(item, "document"))
        }

        fn get<T: for<'de> Deserialize<'de> + Default>(&self, key: &str) -> T {
            read(self.document(key)).expect("a document")
        }
    }

    fn order(n: u32, number: u32, draft: &Draft) -> Record {
        draft.elsewhere(&format!("order-{n}"), number)
    }

    #[test]
    fn a_phone_counts_what_is_active_and_what_was_texted_within_the_hour() {
        let texts = |minute: i64| vec![text(1, &phone(1), at(minutes(minute)))];
        let draft =
            |drinks, minute| Draft { phone: Some(phone(1)), drinks, deliveries: texts(minute), ..Draft::default() };
        let (first, second) = (order(1, 1001, &draft(2, 0)), order(2, 1002, &draft(3, 50)));
        let mut shared = Shared::default();
        shared.change(None, Some(&first));
        shared.change(None, Some(&second));
        let known = |shared: &Shared| shared.get::<Phone>(&shop().phone(&phone(1)));
        assert_eq!((known(&shared).active_drinks(), known(&shared).texts_since(at(minutes(-10)))), (5, 2));

        let mut done = first.clone();
        done.order.status = OrderStatus::Ready;
        shared.change(Some(&first), Some(&done));
        assert_eq!((known(&shared).active_drinks(), known(&shared).texts_since(at(minutes(-10)))), (3, 2));
        assert!(!shared.0[&shop().phone(&phone(1))].contains_key("expires_at"), "an active order counts for ever");

        let third = order(3, 1003, &draft(1, 61));
        shared.change(None, Some(&third));
        assert_eq!(known(&shared).0.len(), 2, "of the first nothing counts any more");
        shared.change(Some(&second), None);
        shared.change(Some(&third), None);
        assert!(!shared.0.contains_key(&shop().phone(&phone(1))));
    }

    #[test]
    fn a_number_remembers_all_open_orders_and_the_latest_others() {
        let mut shared = Shared::default();
        let of = |n: u32, status| order(n, 4782, &Draft { at: at(i64::from(n)), status, ..Draft::default() });
        let open = of(0, OrderStatus::Received);
        shared.change(None, Some(&open));
        for n in 1..50 {
            shared.change(None, Some(&of(n, OrderStatus::Completed)));
        }
        let known = |shared: &Shared| shared.get::<Numbers>(&shop().number(number(4782)));
        assert_eq!(known(&shared).orders.len(), 1 + REMEMBERED);
        assert_eq!((known(&shared).is_open(), known(&shared).newest()), (true, Some(&id("order-49"))));
        shared.change(Some(&of(49, OrderStatus::Completed)), None);
        shared.change(Some(&open), None);
        assert_eq!((known(&shared).is_open(), known(&shared).newest()), (false, Some(&id("order-48"))));
        assert!(known(&shared).was_given_after(at(48)));
        assert!(!known(&shared).was_given_after(at(49)));
    }

    #[test]
    fn the_counter_knows_the_latest_orders_for_a_moment() {
        let mut counter = Counter::default();
        for n in 0..100 {
            counter.note(&id(&format!("order-{n}")), at(0));
        }
        assert_eq!(counter.recent.len(), REMEMBERED);
        counter.note(&id("later"), at(5));
        assert_eq!(counter.recent.iter().map(|recent| recent.order_id.as_str()).collect::<Vec<_>>(), ["later"]);
    }

    proptest! {
        /// Whatever becomes of orders, the documents hold what the orders as they now are add to them.
        #[test]
        fn what_is_shared_is_the_sum_of_the_orders(
            steps in prop::collection::vec((0_u32..6, 0_u32..3, 0_u32..4, any::<bool>(), any::<bool>()), 1..40)
        ) {
            let mut shared = Shared::default();
            let mut orders: BTreeMap<u32, Record> = BTreeMap::new();
            for (n, of_phone, drinks, is_active, is_gone) in steps {
                let draft = Draft {
                    phone: (of_phone > 0).then(|| phone(of_phone)),
                    fingerprint: (drinks > 1).then(|| format!("print-{drinks}")),
                    drinks: drinks + 1,
                    status: if is_active { OrderStatus::Preparing } else { OrderStatus::Cancelled },
                    ..Draft::default()
                };
                let new = (!is_gone).then(|| order(n, 1000 + drinks, &draft));
                let old = orders.remove(&n);
                if old.is_some() || new.is_some() {
                    shared.change(old.as_ref(), new.as_ref());
                }
                orders.extend(new.map(|new| (n, new)));
            }
            let active = || orders.values().filter(|record| record.order.status.is_active());
            for last in 1..3 {
                let of_phone = active().filter(|record| record.order.phone == Some(phone(last)));
                let drinks: u32 = of_phone.map(|record| record.order.drinks()).sum();
                prop_assert_eq!(shared.get::<Phone>(&shop().phone(&phone(last))).active_drinks(), drinks);
            }
            for drinks in 0..4 {
                let is_open = active().any(|record| record.order.order_number == number(1000 + drinks));
                prop_assert_eq!(shared.get::<Numbers>(&shop().number(number(1000 + drinks))).is_open(), is_open);
                let print = format!("print-{drinks}");
                let alike: BTreeMap<OrderId, Timestamp> = shared.get(&shop().fingerprint(&print));
                let same = active().filter(|record| record.fingerprint.as_ref() == Some(&print)).count();
                prop_assert_eq!(alike.len(), same);
            }
        }
    }
}
