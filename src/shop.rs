//! The shop as it is at this moment: what is on its menu and left of it, whether it takes orders, when a drink could be
//! ready, when an order could be picked up.
//!
//! Holds the state in memory and tells who wants to know; keeping it is the [keeper](ShopKeeper)'s. Knows nothing of calls
//! or of HTTP, and no clock: the present is an argument, also where time itself changes something (see [`Shop::run`]).

mod keeper;
mod slots;
mod state;
mod stock;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::events::{Event, EventLog};
use crate::ordering::menu::Menu;

pub use keeper::{Change, KeepError, ShopKeeper};
pub use slots::{DAYS_AHEAD, NoSlot, NoSlotReason};
pub use state::{NoPause, Paused, ShopState, SoldOut, StateError};
pub use stock::{Lacking, Stock};

use slots::Question;

/// A clock may be set, and a machine may sleep: the present is looked at anew at least so often.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// The shop. Cheap to clone.
#[derive(Clone)]
pub struct Shop(Arc<Inner>);

struct Inner {
    menu: Arc<Menu>,
    ordering_enabled: bool,
    events: EventLog,
    /// With every name as the menu spells it.
    state: watch::Sender<Arc<ShopState>>,
    /// What is out of the ordinary, for agents; follows from the state and the time.
    notice: watch::Sender<Arc<str>>,
}

impl Shop {
    /// A shop with this menu, nothing sold out, not paused; `ordering_enabled`: whether it takes orders at all.
    pub fn new(menu: Arc<Menu>, ordering_enabled: bool, events: EventLog) -> Self {
        let (state, notice) = (watch::Sender::default(), watch::Sender::new(Arc::from("")));
        Self(Arc::new(Inner { menu, ordering_enabled, events, state, notice }))
    }

    /// What is sold and said.
    pub fn menu(&self) -> &Arc<Menu> {
        &self.0.menu
    }

    /// What the staff has said about the shop. A pause in it may have run out a moment ago: see [`Shop::is_paused`].
    pub fn state(&self) -> Arc<ShopState> {
        Arc::clone(&self.0.state.borrow())
    }

    /// The state, now and whenever it changes.
    pub fn changes(&self) -> watch::Receiver<Arc<ShopState>> {
        self.0.state.subscribe()
    }

    /// What an agent has to know beside its prompt, now and whenever it changes: why no orders are taken, and what is
    /// sold out. Empty: nothing is out of the ordinary.
    pub fn notices(&self) -> watch::Receiver<Arc<str>> {
        self.0.notice.subscribe()
    }

    /// What can be had.
    pub fn stock(&self) -> Stock {
        self.stock_in(&self.state())
    }

    /// What can be had in that state.
    pub fn stock_in(&self, state: &ShopState) -> Stock {
        Stock::new(Arc::clone(&self.0.menu), &state.sold_out)
    }

    /// A state with every name as the menu spells it, for whoever keeps it before it is set.
    ///
    /// # Errors
    /// [`StateError`]: a name that the menu does not have, or a pause that would be over.
    pub fn checked(&self, state: ShopState, now: Timestamp) -> Result<ShopState, StateError> {
        if let Some(Paused::Until(end)) = state.paused.filter(|paused| !paused.holds(now)) {
            return Err(StateError::PausedInThePast(end));
        }
        let sold_out = state.sold_out.iter().map(|name| self.spelled(name)).collect::<Result<_, _>>()?;
        Ok(ShopState { paused: state.paused, sold_out })
    }

    /// A name as the menu spells it.
    fn spelled(&self, name: &SoldOut) -> Result<SoldOut, StateError> {
        Ok(stock::canonical(&self.0.menu, stock::find(&self.0.menu, name)?))
    }

    /// Takes a new state: from here on tools obey it, and feeds and agents are told.
    ///
    /// # Errors
    /// [`StateError`]; nothing has changed.
    pub fn set_state(&self, state: ShopState, now: Timestamp) -> Result<Arc<ShopState>, StateError> {
        Ok(self.obey(self.checked(state, now)?, now))
    }

    /// Takes a state that was checked.
    fn obey(&self, state: ShopState, now: Timestamp) -> Arc<ShopState> {
        let state = Arc::new(state);
        self.change(&state);
        self.refresh(now);
        state
    }

    /// Takes up the state that was kept over a restart, and tells nobody. What is no longer on the menu, and a pause that
    /// has run out meanwhile, is left out.
    pub fn restore(&self, state: ShopState, now: Timestamp) {
        self.0.state.send_replace(Arc::new(self.still_true(&state, now)));
        self.refresh(now);
    }

    /// The state as it was kept, without what is no longer on the menu, and without a pause that has run out.
    fn still_true(&self, state: &ShopState, now: Timestamp) -> ShopState {
        let mut sold_out = BTreeSet::new();
        for name in &state.sold_out {
            match stock::find(&self.0.menu, name) {
                Ok(place) => {
                    sold_out.insert(stock::canonical(&self.0.menu, place));
                }
                Err(_) => tracing::warn!("{:?} was sold out and is not on the menu any more", name.as_str()),
            }
        }
        ShopState { paused: state.paused.filter(|paused| paused.holds(now)), sold_out }
    }

    /// What the staff has said about the shop, as far as it holds at this moment.
    pub fn state_at(&self, now: Timestamp) -> ShopState {
        let state = self.state();
        ShopState { paused: state.paused.filter(|paused| paused.holds(now)), sold_out: state.sold_out.clone() }
    }

    /// Whether the staff has paused the shop.
    pub fn is_paused(&self, now: Timestamp) -> bool {
        self.pause(now).is_some()
    }

    /// Why no orders are taken now, as a sentence to say; none: they are.
    pub fn ordering_closed(&self, now: Timestamp) -> Option<String> {
        self.ordering_closed_in(&self.state(), now)
    }

    /// As [`Shop::ordering_closed`], in that state.
    pub fn ordering_closed_in(&self, state: &ShopState, now: Timestamp) -> Option<String> {
        let hours = self.0.menu.hours();
        if !self.0.ordering_enabled {
            return Some("We are not taking orders right now. Please try again later.".to_owned());
        }
        match state.paused.filter(|paused| paused.holds(now)) {
            Some(Paused::UntilResumed) => {
                Some("We are not taking orders right now. Please try again in a while.".to_owned())
            }
            Some(Paused::Until(end)) => {
                // A pause may last into the night: what counts is when orders are taken again.
                let again = hours.next_opening(end).map(|again| format!(" We will again {}.", self.when(again, now)));
                Some(format!("We are not taking orders right now.{}", again.unwrap_or_default()))
            }
            None if hours.is_open(now) => None,
            None => {
                let again = hours.next_opening(now).map(|again| format!(" We open again {}.", self.when(again, now)));
                Some(format!("We are closed right now.{}", again.unwrap_or_default()))
            }
        }
    }

    /// Minutes until the last of `drinks` is made, after `drinks_ahead` others, one after the other; none: the menu says
    /// nothing about time.
    pub fn ready_in_minutes(&self, drinks_ahead: u32, drinks: u32) -> Option<u32> {
        self.0.menu.minutes_to_make().map(|minutes| minutes.saturating_mul(drinks_ahead.saturating_add(drinks)))
    }

    /// When the last of `drinks` is made, as [`Shop::ready_in_minutes`] counts.
    pub fn ready_at(&self, now: Timestamp, drinks_ahead: u32, drinks: u32) -> Option<Timestamp> {
        slots::ready_at(&self.0.menu, now, drinks_ahead, drinks)
    }

    /// The start of the pick-up slot that an instant belongs to; none: the shop has no slots.
    pub fn slot_of(&self, at: Timestamp) -> Option<Timestamp> {
        slots::slot_of(&self.0.menu, at, self.0.menu.slots()?.minutes)
    }

    /// Whether an order of so many drinks can be picked up at `pickup_at`. `ahead`: drinks to be made before it; `load`:
    /// drinks of open orders, by the [start of the slot](Shop::slot_of) that they are due in.
    ///
    /// # Errors
    /// [`NoSlot`]: why not, and which times are free.
    pub fn check_pickup(
        &self,
        now: Timestamp,
        pickup_at: Timestamp,
        drinks: u32,
        ahead: u32,
        load: &BTreeMap<Timestamp, u32>,
    ) -> Result<(), NoSlot> {
        Question { menu: &self.0.menu, now, drinks, ahead, load }.check(pickup_at)
    }

    /// When so many drinks could be picked up: the first free times, at most `most`. The rest as in [`Shop::check_pickup`].
    pub fn free_pickups(
        &self,
        now: Timestamp,
        drinks: u32,
        ahead: u32,
        load: &BTreeMap<Timestamp, u32>,
        most: usize,
    ) -> Vec<Timestamp> {
        Question { menu: &self.0.menu, now, drinks, ahead, load }.free(most)
    }

    /// Does what time does, until `shutdown`: ends pauses that have run out, and tells agents when the shop opens or
    /// closes.
    pub async fn run(self, clock: impl Fn() -> Timestamp, shutdown: CancellationToken) {
        let mut changes = self.changes();
        loop {
            let now = clock();
            self.refresh(now);
            let wait = self.next_change(now).map(|next| Duration::try_from(next.duration_since(now)));
            // The instant itself, not the one before it: clocks here are no finer than a microsecond.
            let wait = wait.and_then(Result::ok).map_or(LOOK_EVERY, |wait| wait + Duration::from_millis(1));
            tokio::select! {
                () = shutdown.cancelled() => return,
                // The sender is ours.
                _ = changes.changed() => {}
                () = tokio::time::sleep(wait.min(LOOK_EVERY)) => {}
            }
        }
    }

    fn pause(&self, now: Timestamp) -> Option<Paused> {
        self.0.state.borrow().paused.filter(|paused| paused.holds(now))
    }

    /// Puts a state in the place of the old one and publishes the difference, in the order of the changes.
    fn change(&self, state: &Arc<ShopState>) {
        self.0.state.send_if_modified(|current| {
            let before = std::mem::replace(current, Arc::clone(state));
            if before.paused != state.paused {
                self.0.events.publish(&match state.paused {
                    Some(paused) => Event::OrderingPaused { until: paused.end() },
                    None => Event::OrderingResumed,
                });
            }
            if before.sold_out != state.sold_out {
                let names = state.sold_out.iter().map(|name| name.as_str().to_owned());
                self.0.events.publish(&Event::MenuChanged { sold_out: names.collect() });
            }
            before != *state
        });
    }

    /// Brings up to date what follows from the time.
    fn refresh(&self, now: Timestamp) {
        self.0.state.send_if_modified(|current| {
            let over = current.paused.is_some_and(|paused| !paused.holds(now));
            if over {
                *current = Arc::new(ShopState { paused: None, sold_out: current.sold_out.clone() });
                self.0.events.publish(&Event::OrderingResumed);
            }
            over
        });
        self.0.notice.send_if_modified(|told| {
            // Made under the lock, so that the newest state is told last.
            let notice = self.notice(now);
            let changed = **told != *notice;
            if changed {
                *told = Arc::from(notice);
            }
            changed
        });
    }

    fn notice(&self, now: Timestamp) -> String {
        let mut notice = Vec::new();
        if let Some(sentence) = self.ordering_closed(now) {
            notice.push(format!("No orders can be placed at the moment. Who wants to order is told: {sentence}"));
        }
        let stock = self.stock();
        if !stock.is_complete() {
            notice.push(format!("Sold out: {}.", stock.said().join(", ")));
        }
        notice.join(" ")
    }

    /// When time changes something next.
    fn next_change(&self, now: Timestamp) -> Option<Timestamp> {
        let pause = self.pause(now).and_then(Paused::end);
        [pause, self.0.menu.hours().next_change(now)].into_iter().flatten().min()
    }

    /// An instant to come as it is said: `at 3:30 PM`, `tomorrow at 9 AM`, `on Monday at 9 AM`, `on January 2 at 9 AM`.
    fn when(&self, at: Timestamp, now: Timestamp) -> String {
        let wall = |at: Timestamp| at.to_zoned(self.0.menu.time_zone().clone());
        // Who comes at the minute that is said must not be early.
        let then = wall(at.checked_add(SignedDuration::from_secs(59)).unwrap_or(at));
        let time = if then.minute() == 0 { then.strftime("%-I %p") } else { then.strftime("%-I:%M %p") };
        let days = wall(now).date().until(then.date()).map_or(i32::MAX, |span| span.get_days());
        match days {
            0 => format!("at {time}"),
            1 => format!("tomorrow at {time}"),
            2..=6 => format!("on {} at {time}", then.strftime("%A")),
            _ => format!("on {} at {time}", then.strftime("%B %-d")),
        }
    }
}

#[cfg(test)]
mod tests;
