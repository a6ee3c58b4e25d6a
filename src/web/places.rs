//! Places that are held for a while – connections, live feeds, sockets that have not begun – counted in all and by address.
//!
//! Whoever is let in gets a [`Place`] and has it until it drops it; there is no other way to leave.

use super::client::{ClientAddress, Clients};
use super::error::{ErrorCode, WebError};
use crate::events::Audience;
use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Places of one kind, counted by address, or by whatever else. Cheap to clone.
pub(super) struct Places<K: Eq + Hash + Copy = IpAddr>(Arc<Inner<K>>);

struct Inner<K> {
    in_all: usize,
    of_one: usize,
    taken: Mutex<Taken<K>>,
}

struct Taken<K> {
    in_all: usize,
    /// Nobody is in here with none, so it is never larger than `in_all`.
    by_one: HashMap<K, usize>,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// All are taken.
    InAll,
    /// This address has as many as one may have.
    OfOne,
}

/// A place; dropping it makes room.
#[must_use]
pub struct Place<K: Eq + Hash + Copy = IpAddr> {
    places: Places<K>,
    one: Option<K>,
}

impl<K: Eq + Hash + Copy> Clone for Places<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K: Eq + Hash + Copy> Places<K> {
    pub(super) fn new(in_all: usize, of_one: usize) -> Self {
        let taken = Mutex::new(Taken { in_all: 0, by_one: HashMap::new() });
        Self(Arc::new(Inner { in_all, of_one, taken }))
    }

    /// A place for this one; none is one that is not counted by itself. The last `kept` are not given to it.
    pub(super) fn enter(&self, one: Option<K>, kept: usize) -> Result<Place<K>, Full> {
        let mut taken = self.taken();
        if taken.in_all >= self.0.in_all.saturating_sub(kept) {
            return Err(Full::InAll);
        }
        if let Some(one) = one {
            if taken.by_one.get(&one).is_some_and(|taken| *taken >= self.0.of_one) {
                return Err(Full::OfOne);
            }
            *taken.by_one.entry(one).or_default() += 1;
        }
        taken.in_all += 1;
        Ok(Place { places: self.clone(), one })
    }

    fn taken(&self) -> MutexGuard<'_, Taken<K>> {
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash + Copy> Drop for Place<K> {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        taken.in_all -= 1;
        let Some(one) = self.one else { return };
        if let Some(count) = taken.by_one.get_mut(&one) {
            *count -= 1;
            if *count == 0 {
                taken.by_one.remove(&one);
            }
        }
    }
}

/// The most feeds of one address and one audience: every screen of a large shop, and room for those that have not noticed
/// their end.
const FEEDS_OF_ONE: usize = 50;
/// How soon somebody who found all feeds taken may come back, in seconds.
const COME_BACK: u32 = 30;

/// Guests share the shop's address: what they open is not counted as the staff's.
type Readers = (IpAddr, Audience);

/// A feed's place; dropping it makes room.
#[must_use]
pub struct FeedPlace {
    _place: Place<Readers>,
    open: Arc<AtomicUsize>,
}

impl Drop for FeedPlace {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The places of the live feeds. Cheap to clone.
#[derive(Clone)]
pub struct FeedPlaces {
    places: Places<Readers>,
    clients: Clients,
    /// A tenth of the feeds is for staff, whatever strangers open.
    kept_for_staff: usize,
    public: Arc<AtomicUsize>,
    staff: Arc<AtomicUsize>,
}

impl FeedPlaces {
    /// So many feeds at once, and fifty of one address and one audience.
    pub fn new(clients: Clients, in_all: usize) -> Self {
        let (public, staff) = (Arc::default(), Arc::default());
        Self { places: Places::new(in_all, FEEDS_OF_ONE), clients, kept_for_staff: in_all / 10, public, staff }
    }

    /// How many feeds are open for these readers.
    pub fn open(&self, audience: Audience) -> usize {
        self.opened(audience).load(Ordering::Relaxed)
    }

    fn opened(&self, audience: Audience) -> &Arc<AtomicUsize> {
        match audience {
            Audience::Public => &self.public,
            Audience::Staff => &self.staff,
        }
    }

    /// A place for a feed, to be kept as long as it is open; 429 when this address has too many, 503 when all are taken.
    pub fn enter(&self, audience: Audience, address: ClientAddress) -> Result<FeedPlace, WebError> {
        let kept = match audience {
            Audience::Public => self.kept_for_staff,
            Audience::Staff => 0,
        };
        let readers = self.clients.counted_as(address).map(|address| (address, audience));
        let entered = self.places.enter(readers, kept).map(|place| {
            let open = Arc::clone(self.opened(audience));
            open.fetch_add(1, Ordering::Relaxed);
            FeedPlace { _place: place, open }
        });
        entered.map_err(|full| {
            let (code, message) = match full {
                Full::InAll => (ErrorCode::Unavailable, "all live feeds are taken at the moment"),
                Full::OfOne => (ErrorCode::RateLimited, "too many live feeds are open from this address"),
            };
            tracing::warn!("a live feed was refused: {message}");
            WebError::new(code, message).retry_after(COME_BACK)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().expect("an address"))
    }

    #[test]
    fn a_place_is_free_again_once_it_is_dropped() {
        let places: Places = Places::new(3, 2);
        let (ada, bob) = (address("198.51.100.1"), address("198.51.100.2"));
        let first = places.enter(ada, 0).expect("there is room");
        let second = places.enter(ada, 0).expect("there is room");
        assert_eq!(places.enter(ada, 0).err(), Some(Full::OfOne));
        let third = places.enter(bob, 0).expect("there is room for another");
        assert_eq!(places.enter(bob, 0).err(), Some(Full::InAll));
        assert_eq!(places.enter(None, 0).err(), Some(Full::InAll));
        drop(first);
        let again = places.enter(ada, 0).expect("there is room again");
        drop((second, third, again));
        let taken = places.taken();
        assert_eq!((taken.in_all, taken.by_one.len()), (0, 0), "nothing is remembered of who has left");
    }

    #[test]
    fn who_is_not_counted_has_only_the_limit_of_all() {
        let places: Places = Places::new(5, 1);
        let held: Vec<Place> = (0..5).map(|_| places.enter(None, 0).expect("there is room")).collect();
        assert_eq!(places.enter(None, 0).err(), Some(Full::InAll));
        drop(held);
        assert!(places.enter(None, 0).is_ok());
    }

    #[test]
    fn the_last_feeds_are_for_staff_and_who_is_refused_is_told_when_to_come_back() {
        let feeds = FeedPlaces::new(Clients::new(&[], false), 100);
        let stranger = |n: u8| ClientAddress(IpAddr::from([198, 51, 100, n]));
        let public = |n| feeds.enter(Audience::Public, stranger(n));
        let mut held: Vec<FeedPlace> =
            (0..90).map(|n| public(n / FEEDS_OF_ONE as u8).expect("there is room")).collect();
        assert_eq!(public(0).err().map(|error| error.code()), Some(ErrorCode::Unavailable));
        held.extend((0..10).map(|_| feeds.enter(Audience::Staff, stranger(9)).expect("it was kept")));
        assert_eq!((feeds.open(Audience::Public), feeds.open(Audience::Staff)), (90, 10));
        let error = feeds.enter(Audience::Staff, stranger(9)).err().expect("now all are taken");
        assert_eq!(error.code(), ErrorCode::Unavailable);
        held.drain(60..);
        assert_eq!(
            (feeds.open(Audience::Public), feeds.open(Audience::Staff)),
            (60, 0),
            "who was refused is not counted"
        );
        assert_eq!(public(0).err().map(|error| error.code()), Some(ErrorCode::RateLimited));
        assert!(public(1).is_ok());
        assert!(feeds.enter(Audience::Staff, stranger(0)).is_ok(), "guests at the shop's address keep nobody out");
    }
}
