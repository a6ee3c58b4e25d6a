//! When an order ahead could be fetched: free times on the shop's clock, as the order service will judge them.

use crate::order_service::{OrderError, OrderService};
use crate::shop::Shop;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// Times that are offered: at a quarter of an hour each, a day's.
const OFFERED: usize = 48;
/// Drinks that are fetched later than this are not made first.
const AHEAD: SignedDuration = SignedDuration::from_hours(1);

/// When an order could be fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PickUp {
    /// Free times, soonest first.
    pub times: Vec<Timestamp>,
    /// When it would be ready without a time being asked for; none: the shop cannot tell, or takes no orders now.
    pub asap: Option<Timestamp>,
}

/// What is free at this moment. Nothing is reserved by asking.
pub(super) async fn times(orders: &OrderService, shop: &Shop, drinks: u32) -> Result<PickUp, OrderError> {
    let now = orders.now();
    let (mut ahead, mut load) = (0_u32, BTreeMap::new());
    for record in orders.open().await? {
        let order = &record.order;
        if !order.status.is_active() {
            continue;
        }
        if order.pickup_at.is_none_or(|at| at < now.checked_add(AHEAD).unwrap_or(Timestamp::MAX)) {
            ahead = ahead.saturating_add(order.drinks());
        }
        if let Some(at) = order.due_at() {
            *load.entry(shop.slot_of(at).unwrap_or(at)).or_insert(0_u32) += order.drinks();
        }
    }
    let asap = shop.ordering_closed(now).is_none().then(|| shop.ready_at(now, ahead, drinks)).flatten();
    Ok(PickUp { times: shop.free_pickups(now, drinks, ahead, &load, OFFERED), asap })
}
