//! How orders are made, changed, deleted and taken over: each as one unit of work, done again when others were faster.

use super::Inner;
use super::client::{Trouble, Wait};
use super::document::{Counter, KeyOwner};
use super::work::{Outcome, Work, order_key};
use crate::ordering::order::OrderId;
use crate::store::record::{Record, Tombstone};
use crate::store::{CommitError, Insert, Remove, StoreError, Update};
use jiff::Timestamp;
use std::sync::Arc;

const SAVE: &str = "save an order";
const DELETE: &str = "delete an order";
/// The keys of a deleted order that are taken along. What remains of more is harmless: a key without an order is free.
const KEYS_TAKEN_ALONG: usize = 80;

impl Inner {
    pub(super) async fn insert(&self, new: Insert) -> Result<Arc<Record>, CommitError> {
        let Insert { ask, check, build, announce } = new;
        // One after the other within this process: they would only be in each other's way. Other processes are met at
        // the counter, which every one of them changes.
        let turn = tokio::time::timeout(self.account.patience.total, self.inserting.lock()).await;
        let turn = turn.map_err(|_| self.account.failed(SAVE, Trouble::Crowded))?;
        let mut wait = Wait::new(self.account.patience.total);
        let mut is_id_in_doubt = false;
        let (record, _one) = loop {
            let mut work = self.work();
            let facts = self.facts(&mut work, &ask).await?;
            if !check(&facts) {
                return Err(CommitError::Refused);
            }
            let mut counter: Counter = work.get(&self.shop.counter())?;
            let id = match &ask.order_id {
                Some(id) if facts.id_taken => return Err(StoreError::Occupied(id.clone()).into()),
                Some(id) => id.clone(),
                None => {
                    counter.n = match is_id_in_doubt {
                        true => self.next_free(counter.n).await?,
                        false => counter.n + 1,
                    };
                    OrderId::numbered(&self.shop.0, counter.n)
                }
            };
            let number = self.free_number(&mut work, ask.now).await?;
            let record = Record { revision: 1, ..build(&facts, id.clone(), number) };

            counter.note(&id, Timestamp::now());
            work.put(self.shop.counter_item(&counter).map_err(|error| self.account.unfit(SAVE, error))?);
            work.assume_absent(&order_key(&id));
            work.put_order(&record)?;
            work.share(None, Some(&record)).await?;
            // Nobody else tells of this order before it was told of.
            let one = self.one_at_a_time(&id).await;
            if work.commit(SAVE).await? == Outcome::Committed {
                break (Arc::new(record), one);
            }
            is_id_in_doubt = true;
            self.again(&mut wait, SAVE).await?;
        };
        drop(turn);
        announce(&record)();
        Ok(record)
    }

    pub(super) async fn update(&self, update: Update) -> Result<Arc<Record>, CommitError> {
        let Update { id, now, ahead_until, amend, announce } = update;
        let _one = self.one_at_a_time(&id).await;
        let mut wait = Wait::new(self.account.patience.total);
        let changed = loop {
            let mut work = self.work();
            let current = self.current(&mut work, &id).await?;
            let phone = current.order.phone.clone();
            let facts = self.facts_of(&mut work, phone.as_ref(), now, ahead_until).await?;
            let changed = amend(&current, &facts).ok_or(CommitError::Refused)?;
            let changed = Record { revision: current.revision + 1, ..changed };
            self.check_keys(&mut work, &current, &changed).await?;
            work.put_order(&changed)?;
            work.share(Some(&current), Some(&changed)).await?;
            // Where nothing of the phone changes, nothing of it was decided: changes of its other orders do not matter.
            if let Some(phone) = &phone {
                work.release(&self.shop.phone(phone));
            }
            if work.commit(SAVE).await? == Outcome::Committed {
                break Arc::new(changed);
            }
            self.again(&mut wait, SAVE).await?;
        };
        announce(&changed)();
        Ok(changed)
    }

    pub(super) async fn remove(&self, remove: Remove) -> Result<Arc<Record>, CommitError> {
        let Remove { id, now, check, announce } = remove;
        let _one = self.one_at_a_time(&id).await;
        let mut wait = Wait::new(self.account.patience.total);
        let removed = loop {
            let mut work = self.work();
            let current = self.current(&mut work, &id).await?;
            if !check(&current) {
                return Err(CommitError::Refused);
            }
            // The answers stay, in the tombstone, and their keys lead there until they expire.
            let answers = current.answers.clone();
            work.share(Some(&Record { answers: Vec::new(), ..current.clone() }), None).await?;
            let keys: Vec<_> = answers.iter().take(KEYS_TAKEN_ALONG).map(|answer| self.shop.key(&answer.key)).collect();
            work.load(keys.into_iter().chain([self.shop.tombstone(&id)])).await?;
            let unfit = |error| self.account.unfit(DELETE, error);
            for answer in answers.iter().take(KEYS_TAKEN_ALONG) {
                work.put(self.shop.key_item(&answer.key, &id, Some(now)).map_err(unfit)?);
            }
            work.put(self.shop.tombstone_item(&current.tombstone(now)).map_err(unfit)?);
            work.delete(&order_key(&id));
            if work.commit(DELETE).await? == Outcome::Committed {
                break Arc::new(current);
            }
            self.again(&mut wait, DELETE).await?;
        };
        announce(&removed)();
        Ok(removed)
    }

    pub(super) async fn import(&self, record: &Record) -> Result<(), StoreError> {
        let id = &record.order.order_id;
        let _one = self.one_at_a_time(id).await;
        let mut wait = Wait::new(self.account.patience.total);
        loop {
            let mut work = self.work();
            let key = order_key(id);
            work.load([key.clone()]).await?;
            if let Some(found) = work.found(&key).filter(|found| found.exists()) {
                let same = found.document_of(&self.shop).map(|document| self.account.record(document)).transpose()?;
                return if same.as_ref() == Some(record) { Ok(()) } else { Err(StoreError::Occupied(id.clone())) };
            }
            work.put_order(record)?;
            work.share(None, Some(record)).await?;
            if work.commit("take over an order").await? == Outcome::Committed {
                return Ok(());
            }
            self.again(&mut wait, "take over an order").await?;
        }
    }

    pub(super) async fn set_tombstone(&self, id: &OrderId, stone: Option<&Tombstone>) -> Result<(), StoreError> {
        const ACTION: &str = "keep what a deleted order leaves";
        let unfit = |error| self.account.unfit(ACTION, error);
        let key = self.shop.tombstone(id);
        let mut wait = Wait::new(self.account.patience.total);
        loop {
            let mut work = self.work();
            work.load([key.clone()]).await?;
            let old: Option<Tombstone> =
                work.found(&key).and_then(|found| found.document.as_deref()).map(serde_json::from_str).transpose()?;
            let dropped: Vec<String> = old
                .iter()
                .flat_map(|old| &old.answers)
                .filter(|answer| !stone.is_some_and(|new| new.answers.iter().any(|kept| kept.key == answer.key)))
                .map(|answer| self.shop.key(&answer.key))
                .take(KEYS_TAKEN_ALONG)
                .collect();
            work.load(dropped.iter().cloned()).await?;
            for key in &dropped {
                let owner = owner(work.found(key).and_then(|found| found.document.as_deref()))?;
                if owner.as_ref() == Some(id) { work.delete(key) } else { work.release(key) }
            }
            match stone {
                Some(stone) => {
                    let number = self.shop.number(stone.order_number);
                    let keys = stone.answers.iter().map(|answer| self.shop.key(&answer.key));
                    work.load(keys.chain([number.clone()])).await?;
                    for answer in &stone.answers {
                        let expires = Some(stone.deleted_at);
                        work.put(self.shop.key_item(&answer.key, id, expires).map_err(unfit)?);
                    }
                    let document = work.found(&number).and_then(|found| found.document.clone());
                    let given = self.shop.given(stone.order_number, document.as_deref(), stone.created_at);
                    work.put(given.map_err(unfit)?);
                    work.put(self.shop.tombstone_item(stone).map_err(unfit)?);
                }
                None => work.delete(&key),
            }
            if work.commit(ACTION).await? == Outcome::Committed {
                return Ok(());
            }
            self.again(&mut wait, ACTION).await?;
        }
    }

    pub(super) async fn raise_counter(&self, n: u64) -> Result<(), StoreError> {
        const ACTION: &str = "raise the count of orders";
        let mut wait = Wait::new(self.account.patience.total);
        loop {
            let mut work = self.work();
            work.load([self.shop.counter()]).await?;
            let mut counter: Counter = work.get(&self.shop.counter())?;
            if counter.n >= n {
                return Ok(());
            }
            counter.n = n;
            work.put(self.shop.counter_item(&counter).map_err(|error| self.account.unfit(ACTION, error))?);
            if work.commit(ACTION).await? == Outcome::Committed {
                return Ok(());
            }
            self.again(&mut wait, ACTION).await?;
        }
    }

    /// The order as it is, read into the work.
    async fn current(&self, work: &mut Work<'_>, id: &OrderId) -> Result<Record, CommitError> {
        let key = order_key(id);
        work.load([key.clone()]).await?;
        let document = work.found(&key).and_then(|found| found.document_of(&self.shop));
        Ok(self.account.record(document.ok_or(CommitError::NotFound)?)?)
    }

    /// The first `n` after this one whose order id nobody has: another shop may have been brought it, or it was taken
    /// over from another store without the count.
    async fn next_free(&self, n: u64) -> Result<u64, StoreError> {
        let mut from = n + 1;
        let mut together = 1;
        loop {
            let to = from.saturating_add(together);
            let key = |n| order_key(&OrderId::numbered(&self.shop.0, n));
            let keys: Vec<String> = (from..to).map(key).collect();
            let found = self.account.fetch(&keys).await?;
            if let Some((n, _)) = (from..to).zip(&keys).find(|(_, key)| !found.contains_key(*key)) {
                return Ok(n);
            }
            // Most often only the first was taken; where many are, they are many.
            (from, together) = (to, 100);
        }
    }

    /// A key that an order is given must be nobody else's. (A new order's was decided on with the order itself.)
    async fn check_keys(&self, work: &mut Work<'_>, old: &Record, new: &Record) -> Result<(), StoreError> {
        let id = &new.order.order_id;
        for answer in new.answers.iter().filter(|answer| old.answers.iter().all(|known| known.key != answer.key)) {
            let key = self.shop.key(&answer.key);
            work.load([key.clone()]).await?;
            let document = work.found(&key).and_then(|found| found.document.as_deref());
            // One whose order and tombstone are gone is left over, and free.
            if let Some(taken) = self.answered(&answer.key, document).await?.filter(|taken| taken.order_id != *id) {
                return Err(StoreError::Occupied(taken.order_id));
            }
        }
        Ok(())
    }

    async fn again(&self, wait: &mut Wait, action: &str) -> Result<(), StoreError> {
        if wait.again().await { Ok(()) } else { Err(self.account.failed(action, Trouble::Contended)) }
    }
}

/// Whose key it is.
pub(super) fn owner(document: Option<&str>) -> Result<Option<OrderId>, StoreError> {
    let owner: Option<KeyOwner> = document.map(serde_json::from_str).transpose()?;
    Ok(owner.map(|owner| owner.order_id))
}
