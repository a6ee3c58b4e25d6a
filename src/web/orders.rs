//! The original's routes: what the TV shows, what the console shows, Done, and made-up orders in a demo.

use super::asking::Asking;
use super::error::WebError;
use super::staff::StaffDoor;
use crate::config::ScreensConfig;
use crate::order_service::{OrderService, Record, entered};
use crate::ordering::order::{Channel, Order, OrderNumber};
use crate::ordering::status::OrderStatus;
use crate::shop::Shop;
use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Letters of a name on the screen in the shop.
const LONGEST_FIRST_NAME: usize = 20;
/// Letters of a table's name there.
const LONGEST_TABLE: usize = 24;

/// Public and staff routes about orders.
pub fn router(orders: OrderService, shop: Shop, screens: &ScreensConfig, door: &StaffDoor) -> OpenApiRouter {
    let public = OpenApiRouter::default().routes(routes!(in_progress)).with_state(orders.clone());
    let tv = Tv { orders: orders.clone(), shop, look: Look::new(screens) };
    let screen = OpenApiRouter::default().routes(routes!(board)).with_state(tv);
    let staff = OpenApiRouter::default()
        .routes(routes!(recent))
        .routes(routes!(one))
        .routes(routes!(phone))
        .routes(routes!(done))
        .with_state(orders);
    door.guard_tv_described(public.merge(screen)).merge(door.guard_described(staff))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Limit {
    /// How many at most.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<usize>,
}

/// The order number in a path, for the description.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "the handlers read the path as text, to answer 404 for what is no number")]
struct Numbered {
    /// The number that the customer was told.
    #[param(pattern = "^[1-9][0-9]{3,4}$", example = "4782")]
    number: String,
}

/// A limit from 1 to 500.
pub(super) fn limit(query: Result<Query<Limit>, QueryRejection>, default: usize) -> Result<usize, WebError> {
    let given = query.ok().map(|Query(query)| query.limit.unwrap_or(default));
    given
        .filter(|limit| (1..=500).contains(limit))
        .ok_or_else(|| WebError::validation("limit is a whole number from 1 to 500"))
}

/// What stands in the path where an order number belongs; what is not even text is no order's number.
type Asked = Result<Path<String>, PathRejection>;

fn number(asked: Asked) -> Result<OrderNumber, WebError> {
    let Path(text) = asked.map_err(|_| no_order(""))?;
    text.parse().map_err(|_| no_order(&text))
}

fn no_order(number: &str) -> WebError {
    let shown: String = number.chars().filter(char::is_ascii_alphanumeric).take(12).collect();
    WebError::not_found(format!("there is no order {shown}").trim_end())
}

async fn find(orders: &OrderService, asked: Asked) -> Result<Order, WebError> {
    let number = number(asked)?;
    orders.by_number(number).await?.ok_or_else(|| no_order(&number.to_string()))
}

/// Orders in progress
///
/// Received or being prepared, newest first.
#[utoipa::path(
    get,
    path = "/orders/in_progress.json",
    operation_id = "ordersInProgress",
    tag = "screens",
    params(Limit),
    responses((status = 200, description = "The orders.", body = ref("#/components/schemas/NumberedOrders"))),
)]
async fn in_progress(
    State(orders): State<OrderService>,
    query: Result<Query<Limit>, QueryRejection>,
) -> Result<Json<Value>, WebError> {
    let limit = limit(query, 100)?;
    let open = orders.open().await?;
    let shown = |record: &&Arc<Record>| matches!(record.order.status, OrderStatus::Received | OrderStatus::Preparing);
    let newest: Vec<Value> = open.iter().rev().filter(shown).take(limit).map(numbered).collect();
    Ok(Json(newest.into()))
}

fn numbered(record: &Arc<Record>) -> Value {
    json!({"order_number": record.order.order_number, "status": record.order.status})
}

/// The order screen
///
/// Both columns, oldest first. First names are there only where the shop shows them, tables where an order is at one; an
/// order that has been ready for long is left out, whether it was picked up or not.
#[utoipa::path(
    get,
    path = "/orders/board.json",
    operation_id = "board",
    tag = "screens",
    responses((status = 200, description = "What the screen shows.", body = ref("#/components/schemas/Board"))),
)]
async fn board(State(tv): State<Tv>) -> Result<Json<Value>, WebError> {
    let Tv { orders, shop, look } = tv;
    let (open, now) = (orders.open().await?, orders.now());
    let (preparing, ready) = look.columns(&open, now);
    Ok(Json(json!({"preparing": preparing, "ready": ready, "paused": shop.is_paused(now)})))
}

#[derive(Clone)]
struct Tv {
    orders: OrderService,
    shop: Shop,
    look: Look,
}

/// What the screen in the shop shows of orders.
#[derive(Clone, Copy)]
struct Look {
    names: bool,
    /// A ready order is shown for so long.
    ready_for: SignedDuration,
}

impl Look {
    fn new(screens: &ScreensConfig) -> Self {
        let ready_for = SignedDuration::try_from(screens.tv_ready).unwrap_or(SignedDuration::MAX);
        Self { names: screens.tv_names, ready_for }
    }

    /// What is being made and what is ready, of open orders.
    fn columns(self, open: &[Arc<Record>], now: Timestamp) -> (Vec<Value>, Vec<Value>) {
        let column = |is_shown: &dyn Fn(&Order) -> bool| -> Vec<Value> {
            let shown = open.iter().map(|record| &record.order).filter(|order| is_shown(order));
            shown.map(|order| self.entry(order)).collect()
        };
        let preparing = |order: &Order| matches!(order.status, OrderStatus::Received | OrderStatus::Preparing);
        let ready =
            |order: &Order| order.status == OrderStatus::Ready && now.duration_since(entered(order)) < self.ready_for;
        (column(&preparing), column(&ready))
    }

    fn entry(self, order: &Order) -> Value {
        let mut entry = json!({"order_number": order.order_number});
        if let Some(name) = order.name.as_deref().filter(|_| self.names).and_then(first_name) {
            entry["name"] = name.into();
        }
        if let Some(table) = table(order) {
            entry["table"] = table.into();
        }
        entry
    }
}

/// What may be shown to a room full of strangers: the first word of a name, cut to what fits beside a number.
fn first_name(name: &str) -> Option<String> {
    short(name.split_whitespace().next()?, LONGEST_FIRST_NAME)
}

/// The table that an order was placed at. What programs attach to theirs under the same name is nobody's table, and not
/// for everybody's eyes.
fn table(order: &Order) -> Option<String> {
    let name = order.metadata.get("table").filter(|_| order.channel == Channel::Web)?.as_str()?;
    let words: Vec<&str> = name
        .split(|letter: char| letter.is_whitespace() || letter.is_control())
        .filter(|word| !word.is_empty())
        .collect();
    short(&words.join(" "), LONGEST_TABLE)
}

fn short(words: &str, most: usize) -> Option<String> {
    let shown: String = words.chars().filter(|letter| !letter.is_control()).take(most).collect();
    (!shown.is_empty()).then_some(shown)
}

/// The latest orders
///
/// Whole orders, newest first, with phone numbers.
#[utoipa::path(
    get,
    path = "/orders.json",
    operation_id = "latestOrders",
    tag = "screens",
    params(Limit),
    responses((status = 200, description = "The orders.", body = ref("#/components/schemas/Orders"))),
)]
async fn recent(
    State(orders): State<OrderService>,
    query: Result<Query<Limit>, QueryRejection>,
) -> Result<Json<Value>, WebError> {
    let records = orders.recent(limit(query, 50)?).await?;
    let whole: Vec<Value> = records.iter().map(|record| json!(record.order)).collect();
    Ok(Json(whole.into()))
}

/// An order by its number
///
/// The newest one that has it.
#[utoipa::path(
    get,
    path = "/api/orders/{number}",
    operation_id = "orderByNumber",
    tag = "screens",
    params(Numbered),
    responses((status = 200, description = "The order.", body = ref("#/components/schemas/Order")), (status = 404)),
)]
async fn one(State(orders): State<OrderService>, asked: Asked) -> Result<Json<Order>, WebError> {
    find(&orders, asked).await.map(Json)
}

/// The phone number of an order
#[utoipa::path(
    get,
    path = "/api/orders/phone/{number}",
    operation_id = "phoneOfOrder",
    tag = "screens",
    params(Numbered),
    responses(
        (status = 200, description = "The number to call or text.", body = ref("#/components/schemas/PhoneOfOrder")),
        (status = 404),
    ),
)]
async fn phone(State(orders): State<OrderService>, asked: Asked) -> Result<Json<Value>, WebError> {
    let order = find(&orders, asked).await?;
    Ok(Json(json!({"order_number": order.order_number, "phone": order.phone})))
}

/// An order is done
///
/// It becomes ready, and the customer's text is owed. Nothing more happens to an order that is ready already.
#[utoipa::path(
    post,
    path = "/api/orders/{number}/done",
    operation_id = "done",
    tag = "screens",
    params(Numbered),
    responses(
        (status = 200, description = "It is ready.", body = ref("#/components/schemas/Ok")),
        (status = 404),
        (status = 422, description = "`INVALID_STATE`: it is neither received nor being prepared."),
    ),
)]
async fn done(
    State(orders): State<OrderService>,
    Asking(origin): Asking,
    asked: Asked,
) -> Result<Json<Value>, WebError> {
    orders.done(number(asked)?, origin).await?;
    Ok(Json(json!({"ok": true})))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order_service::NewOrder;
    use crate::order_service::tests::{Shop, new, taro};

    #[tokio::test]
    async fn a_ready_order_leaves_the_screen_in_time_and_a_recalled_one_is_there_again() {
        let shop = Shop::open_with_all().await;
        let look = Look { names: false, ready_for: SignedDuration::from_mins(20) };
        let columns = async || {
            let (preparing, ready) = look.columns(&shop.orders.open().await.expect("readable"), shop.orders.now());
            (preparing.len(), ready.len())
        };
        let order = shop.place(new(vec![taro(1)])).await;
        shop.pass(7_200);
        assert_eq!(columns().await, (1, 0), "what is being made stays, however long it takes");
        shop.set(&order, OrderStatus::Ready).await.expect("ready");
        shop.pass(20 * 60 - 1);
        assert_eq!(columns().await, (0, 1));
        shop.pass(1);
        assert_eq!(columns().await, (0, 0));
        shop.set(&order, OrderStatus::Preparing).await.expect("not ready after all");
        assert_eq!(columns().await, (1, 0));
        shop.set(&order, OrderStatus::Ready).await.expect("ready");
        assert_eq!(columns().await, (0, 1), "its time begins anew");
    }

    #[tokio::test]
    async fn nobody_is_named_unless_the_shop_wants_it() {
        let shop = Shop::open_with_all().await;
        shop.place(NewOrder { name: Some("Ada Lovelace".to_owned()), ..new(vec![taro(1)]) }).await;
        let (open, now) = (shop.orders.open().await.expect("readable"), shop.orders.now());
        let name = |names| {
            let look = Look { names, ready_for: SignedDuration::from_mins(20) };
            look.columns(&open, now).0[0].get("name").cloned()
        };
        assert_eq!((name(false), name(true)), (None, Some(json!("Ada"))));
    }

    #[tokio::test]
    async fn a_table_is_told_of_orders_that_were_placed_at_one() {
        let shop = Shop::open_with_all().await;
        for (channel, table, told) in [
            (Channel::Web, json!("Window 3"), json!("Window 3")),
            (Channel::Web, json!(" Table\n\u{1b} of the regulars, by the door"), json!("Table of the regulars, b")),
            (Channel::Web, json!(""), Value::Null),
            (Channel::Web, json!({"name": "3"}), Value::Null),
            (Channel::Web, Value::Null, Value::Null),
            (Channel::Api, json!("a program's own"), Value::Null),
        ] {
            let mut asked = NewOrder { channel, ..new(vec![taro(1)]) };
            asked.metadata.insert("table".to_owned(), table.clone());
            let order = shop.place(asked).await;
            let look = Look { names: false, ready_for: SignedDuration::from_mins(20) };
            assert_eq!(look.entry(&order)["table"], told, "{table}");
        }
    }

    #[test]
    fn a_first_name_is_one_short_word_without_tricks() {
        for (name, first) in [
            ("Ada", Some("Ada")),
            ("  Ada\tLovelace ", Some("Ada")),
            ("Jean-Luc", Some("Jean-Luc")),
            ("A\u{1b}da\u{0}", Some("Ada")),
            ("Wolfeschlegelsteinhausenbergerdorff", Some("Wolfeschlegelsteinha")),
            ("", None),
            (" \u{1b} ", None),
        ] {
            assert_eq!(first_name(name).as_deref(), first, "{name:?}");
        }
    }
}
