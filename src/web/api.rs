//! The typed API: what programs send becomes checked values here, before any of it reaches the order service.
//!
//! Routes are one file each for what they are about; bodies, queries and headers have rooms of their own, and none of
//! those knows a store or who is asking.

pub mod body;
mod create;
mod customers;
pub mod document;
pub mod headers;
pub(super) mod menu;
mod orders;
pub mod query;
pub mod request;
mod shop;
mod summary;

use super::staff::StaffDoor;
use crate::order_service::OrderService;
use crate::ordering::phone_number::Region;
use crate::shop::ShopKeeper;
use utoipa_axum::router::OpenApiRouter;

/// `/api/v1/…`, for staff and for programs with the API key. Phone numbers without a country code belong to `region`.
pub fn router(orders: OrderService, keeper: ShopKeeper, region: Region, door: &StaffDoor) -> OpenApiRouter {
    let counter = create::Desk { orders: orders.clone(), shop: keeper.shop().clone(), region };
    let routes = orders::router(counter).merge(customers::router(orders)).merge(shop::router(keeper));
    door.guard_described(routes)
}
