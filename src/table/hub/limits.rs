//! How much may come from one address: joins, orders, phone numbers.
//!
//! All who sit in the shop may share one address, its Wi-Fi's, and need the code of a table; who orders ahead needs nothing.

use super::phones::Phones;
use crate::rates::{Meters, Rate};
use std::net::IpAddr;
use std::time::Duration;

/// Addresses remembered at once.
const ADDRESSES: usize = 16_384;

/// What is counted of each address.
pub(super) struct Limits {
    pub(super) joins: Meters<IpAddr>,
    pub(super) orders: Meters<IpAddr>,
    pub(super) phones: Phones,
}

impl Limits {
    /// 600 joins and 60 phone numbers an hour, 120 orders in ten minutes: a full shop. Each session has its own, tighter pace.
    pub(super) fn at_tables() -> Self {
        Self::new(over(600, 3600), over(120, 600), 60)
    }

    /// 60 joins and 6 phone numbers an hour, 6 orders in ten minutes.
    pub(super) fn ahead() -> Self {
        Self::new(over(60, 3600), over(6, 600), 6)
    }

    fn new(joins: Rate, orders: Rate, phones: usize) -> Self {
        Self {
            joins: Meters::new(joins, ADDRESSES),
            orders: Meters::new(orders, ADDRESSES),
            phones: Phones::new(phones),
        }
    }
}

/// So many at once, and as many again over so many seconds.
fn over(burst: u32, seconds: u64) -> Rate {
    Rate { burst, every: Duration::from_secs(seconds) / burst }
}
