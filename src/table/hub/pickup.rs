//! When an order ahead could be fetched: free times on the shop's clock, as the order service will judge them.

use crate::order_service::{Load, OrderError, OrderService};
use crate::shop::Shop;
use jiff::Timestamp;

/// Times that are offered: at a quarter of an hour each, a day's.
const OFFERED: usize = 48;

/// When an order could be fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PickUp {
    /// Free times, soonest first.
    pub times: Vec<Timestamp>,
    /// When it would be ready without a time being asked for; none: the shop cannot tell, takes no orders now, or has slots,
    /// of which one has to be asked for: the first of `times` is as soon as possible, then.
    pub asap: Option<Timestamp>,
}

/// What is free at this moment. Nothing is reserved by asking.
pub(super) async fn times(orders: &OrderService, shop: &Shop, drinks: u32) -> Result<PickUp, OrderError> {
    let now = orders.now();
    let Load { ahead, due } = orders.load().await?;
    let may_be_asap = shop.menu().slots().is_none() && shop.ordering_closed(now).is_none();
    let asap = may_be_asap.then(|| shop.ready_at(now, ahead, drinks)).flatten();
    Ok(PickUp { times: shop.free_pickups(now, drinks, ahead, &due, OFFERED), asap })
}
