//! Made-up orders for a demo's dashboards: shown and counted, never texted.

use super::error::WebError;
use super::staff::StaffDoor;
use crate::call::CorrelationId;
use crate::order_service::{NewOrder, OrderService, Origin};
use crate::ordering::menu::{Asked, Kind, Menu, Said};
use crate::ordering::order::{Channel, Item};
use crate::shop::Shop;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Extension, Query, State};
use axum::routing::post;
use axum::{Json, Router};
use rand::seq::IndexedRandom as _;
use rand::{Rng, RngExt as _};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Clone)]
struct Seed {
    orders: OrderService,
    shop: Shop,
}

#[derive(Deserialize)]
struct Count {
    n: Option<u32>,
}

/// `POST /api/seed?n=2`, merged only into a demo's routes.
pub fn router(orders: OrderService, shop: Shop, door: &StaffDoor) -> Router {
    door.guard(Router::new().route("/api/seed", post(seed)).with_state(Seed { orders, shop }))
}

async fn seed(
    State(seed): State<Seed>,
    Extension(CorrelationId(id)): Extension<CorrelationId>,
    query: Result<Query<Count>, QueryRejection>,
) -> Result<Json<Value>, WebError> {
    let count = query.ok().map_or(Some(0), |Query(count)| count.n.or(Some(2))).unwrap_or(0);
    if !(1..=10).contains(&count) {
        return Err(WebError::validation("n is a whole number from 1 to 10"));
    }
    let mut numbers = Vec::new();
    for _ in 0..count {
        let origin = Origin { by: "api", correlation_id: Some(id.clone()) };
        let names = ["Ada", "Grace", "Linus", "Barbara", "Edsger"];
        let new = NewOrder {
            name: names.choose(&mut rand::rng()).map(|name| (*name).to_owned()),
            allow_duplicate: true,
            ..NewOrder::new(Channel::Api, made_up(seed.shop.menu(), &mut rand::rng()), origin)
        };
        numbers.push(seed.orders.create(new).await?.into_order()?.order_number);
    }
    Ok(Json(json!({"ok": true, "orders": numbers})))
}

/// One to three drinks off the menu; a drink that breaks a rule of the menu is made up anew.
fn made_up(menu: &Menu, rng: &mut impl Rng) -> Vec<Item> {
    let lines = rng.random_range(1..=3);
    let drinks = std::iter::repeat_with(|| menu.item(&asked(menu, rng))).take(100);
    drinks.filter_map(Result::ok).take(lines).collect()
}

fn asked(menu: &Menu, rng: &mut impl Rng) -> Asked {
    let fields = menu.fields().iter().map(|field| {
        let names = field.option_names();
        let said = match &field.kind {
            Kind::Base | Kind::One { .. } => Said::One(names.choose(rng).cloned().unwrap_or_default()),
            Kind::Many { .. } => {
                let some = rng.random_range(0..=names.len().min(2));
                Said::Many(names.sample(rng, some).cloned().collect())
            }
        };
        (field.name.clone(), said)
    });
    Asked { fields: fields.collect(), quantity: Some(rng.random_range(1..=2)), note: None }
}
