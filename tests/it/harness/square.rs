//! Square's Orders API as far as it is used: `CreateOrder` and `SearchOrders` in the shapes of its published reference,
//! with its limits, its errors and its idempotency. What its reference does not have is refused.

use super::counter::{Asked, Counter, Reply};
use axum::http::Method;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

/// `SQUARE_ACCESS_TOKEN`.
pub(crate) const ACCESS_TOKEN: &str = "a square token of the tests";
/// `SQUARE_LOCATION_ID`.
pub(crate) const LOCATION: &str = "L88917AVBK2S5";

/// How Square takes a request.
#[derive(Clone, Debug)]
pub(crate) enum Weather {
    /// As its reference says.
    Fair,
    /// Nothing is done, nothing is said.
    Silent,
    /// What should be done is done, and the answer never arrives.
    LosesAnswers,
    /// Nothing is done, and this is the error: status, category, code.
    Errs(u16, &'static str, &'static str),
    /// Nothing is done, and this is said: status, content type, body.
    Says(u16, &'static str, String),
}

pub(crate) struct Square {
    counter: Counter,
    books: Arc<Mutex<Books>>,
}

#[derive(Default)]
struct Books {
    next: VecDeque<Weather>,
    /// Key, request, order; oldest first.
    orders: Vec<(String, Value, Value)>,
    asked: Vec<String>,
}

/// An error as Square tells it, with its HTTP status.
struct Refusal(u16, &'static str, &'static str, String);

impl Square {
    pub(crate) async fn start() -> Self {
        let books = Arc::new(Mutex::new(Books::default()));
        let clerk = Arc::clone(&books);
        let counter = Counter::open(move |asked| clerk.lock().expect("no clerk panics").reply(&asked)).await;
        Self { counter, books }
    }

    /// `SQUARE_API_BASE`.
    pub(crate) fn base(&self) -> String {
        format!("http://{}", self.counter.address())
    }

    /// The settings of a shop that sells through this Square.
    pub(crate) fn settings(&self) -> Vec<(&'static str, String)> {
        vec![
            ("POINT_OF_SALE", "square".to_owned()),
            ("SQUARE_ACCESS_TOKEN", ACCESS_TOKEN.to_owned()),
            ("SQUARE_LOCATION_ID", LOCATION.to_owned()),
            ("SQUARE_API_BASE", self.base()),
        ]
    }

    /// How one request is taken, after those that have a weather already.
    pub(crate) fn next(&self, weather: Weather) {
        self.books().next.push_back(weather);
    }

    /// All orders, oldest first.
    pub(crate) fn orders(&self) -> Vec<Value> {
        self.books().orders.iter().map(|(_, _, order)| order.clone()).collect()
    }

    /// The paths that were asked.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.books().asked.clone()
    }

    /// Somebody at the till cancels every order.
    pub(crate) fn cancel_all(&self) {
        self.books().orders.iter_mut().for_each(|(_, _, order)| order["state"] = "CANCELED".into());
    }

    /// Orders that have nothing to do with us but their source.
    pub(crate) fn crowd(&self, orders: usize) {
        let mut books = self.books();
        for n in 0..orders {
            let order = json!({"location_id": LOCATION, "source": {"name": "Bobarista"}, "line_items": []});
            books.keep(format!("crowd-{n}"), order.clone(), &order);
        }
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().expect("no clerk panics")
    }
}

impl Books {
    fn reply(&mut self, asked: &Asked) -> Reply {
        self.asked.push(asked.path.clone());
        let weather = self.next.pop_front().unwrap_or(Weather::Fair);
        match weather {
            Weather::Silent => return Reply::Silence,
            Weather::Says(status, content_type, body) => return Reply::text(status, content_type, body),
            Weather::Errs(status, category, code) => return told(&Refusal(status, category, code, code.to_owned())),
            Weather::Fair | Weather::LosesAnswers => {}
        }
        let done = read(asked).and_then(|body| match asked.path.as_str() {
            "/v2/orders" => self.create(&body),
            "/v2/orders/search" => self.search(&body),
            path => Err(Refusal(404, INVALID, "NOT_FOUND", format!("Resource not found: {path}."))),
        });
        if matches!(weather, Weather::LosesAnswers) {
            return Reply::HangUp;
        }
        done.map_or_else(|refusal| told(&refusal), |body| Reply::json(200, &body))
    }

    fn create(&mut self, body: &Value) -> Result<Value, Refusal> {
        known(body, &["idempotency_key", "order"])?;
        let key = text(body, "/idempotency_key", 192)?.to_owned();
        check_order(&body["order"])?;
        if let Some((_, request, order)) = self.orders.iter().find(|(known, _, _)| *known == key) {
            let reused = "The idempotency key can only be retried with the same request data.";
            let same = (request == body).then(|| json!({"order": order}));
            return same.ok_or_else(|| Refusal(400, INVALID, "IDEMPOTENCY_KEY_REUSED", reused.to_owned()));
        }
        Ok(json!({"order": self.keep(key, body.clone(), &body["order"])}))
    }

    fn keep(&mut self, key: String, request: Value, order: &Value) -> Value {
        let lines = order["line_items"].as_array().into_iter().flatten();
        let total: i64 = lines.map(|line| cents(line).unwrap_or_default()).sum();
        let mut made = order.clone();
        let now = Timestamp::now().to_string();
        made["id"] = format!("CAISE{:020}", self.orders.len() + 1).into();
        made["version"] = 1.into();
        made["state"] = "OPEN".into();
        made["total_money"] = json!({"amount": total, "currency": "USD"});
        (made["created_at"], made["updated_at"]) = (now.as_str().into(), now.as_str().into());
        self.orders.push((key, request, made.clone()));
        made
    }

    fn search(&self, body: &Value) -> Result<Value, Refusal> {
        known(body, &["location_ids", "cursor", "query", "limit", "return_entries"])?;
        known(&body["query"], &["filter", "sort"])?;
        let (filter, sort) = (&body["query"]["filter"], &body["query"]["sort"]);
        // There is none by reference or key.
        known(filter, &["state_filter", "date_time_filter", "fulfillment_filter", "source_filter", "customer_filter"])?;
        let locations = body["location_ids"].as_array().filter(|ids| (1..=10).contains(&ids.len()));
        let locations = locations.ok_or_else(|| wrong("location_ids", "Must specify 1 to 10 locations."))?;
        if !filter["date_time_filter"].is_null() && sort["sort_field"] != "CREATED_AT" {
            return Err(wrong("sort_field", "sort_field must match the date_time_filter's field."));
        }
        let since = filter["date_time_filter"]["created_at"]["start_at"].as_str().unwrap_or("1970-01-01T00:00:00Z");
        let since: Timestamp = since.parse().map_err(|_| wrong("start_at", "Must be RFC 3339."))?;
        let limit = body["limit"].as_u64().unwrap_or(500).min(1000) as usize;
        let sources = filter["source_filter"]["source_names"].as_array();
        let mut found: Vec<&Value> = self
            .orders
            .iter()
            .map(|(_, _, order)| order)
            .filter(|order| locations.contains(&order["location_id"]))
            .filter(|order| order["created_at"].as_str().and_then(|at| at.parse().ok()) >= Some(since))
            .filter(|order| sources.is_none_or(|sources| sources.contains(&order["source"]["name"])))
            .collect();
        if sort["sort_order"] != "ASC" {
            found.reverse();
        }
        let start: usize =
            body["cursor"].as_str().map_or(Ok(0), str::parse).map_err(|_| wrong("cursor", "Invalid."))?;
        let page: Vec<&Value> = found.iter().skip(start).take(limit).copied().collect();
        let mut answer = Map::new();
        if !page.is_empty() {
            answer.insert("orders".to_owned(), json!(page));
        }
        if start + limit < found.len() {
            answer.insert("cursor".to_owned(), (start + limit).to_string().into());
        }
        Ok(answer.into())
    }
}

const INVALID: &str = "INVALID_REQUEST_ERROR";

fn told(Refusal(status, category, code, detail): &Refusal) -> Reply {
    Reply::json(*status, &json!({"errors": [{"category": category, "code": code, "detail": detail}]}))
}

fn wrong(field: &str, why: &str) -> Refusal {
    Refusal(400, INVALID, "INVALID_VALUE", format!("{field}: {why}"))
}

/// The body of a request that Square would look at.
fn read(asked: &Asked) -> Result<Value, Refusal> {
    if asked.header("Authorization") != Some(format!("Bearer {ACCESS_TOKEN}").as_str()) {
        let detail = "This request could not be authorized.".to_owned();
        return Err(Refusal(401, "AUTHENTICATION_ERROR", "UNAUTHORIZED", detail));
    }
    let version = asked.header("Square-Version").and_then(|version| version.parse::<jiff::civil::Date>().ok());
    let json = asked.header("Content-Type") == Some("application/json");
    if asked.method != Method::POST || version.is_none() || !json {
        return Err(wrong("request", "A POST of JSON with a Square-Version was expected."));
    }
    serde_json::from_slice(&asked.body).map_err(|_| wrong("body", "Not JSON."))
}

fn check_order(order: &Value) -> Result<(), Refusal> {
    let fields = ["location_id", "reference_id", "source", "ticket_name", "line_items", "fulfillments", "metadata"];
    known(order, &fields)?;
    if text(order, "/location_id", 50)? != LOCATION {
        return Err(Refusal(404, INVALID, "NOT_FOUND", "Location was not found.".to_owned()));
    }
    for (field, most) in [("/reference_id", 40), ("/ticket_name", 30)] {
        if order.pointer(field).is_some() {
            text(order, field, most)?;
        }
    }
    for line in order["line_items"].as_array().ok_or_else(|| wrong("line_items", "Expected a list."))? {
        known(line, &["name", "quantity", "base_price_money", "note"])?;
        text(line, "/name", 512)?;
        text(line, "/quantity", 12)?;
        cents(line).ok_or_else(|| wrong("base_price_money", "Expected an integer amount and a quantity."))?;
        if line.get("note").is_some() {
            text(line, "/note", 2000)?;
        }
    }
    let fulfillments = order["fulfillments"].as_array().map(Vec::as_slice).unwrap_or_default();
    for fulfillment in fulfillments {
        text(fulfillment, "/pickup_details/recipient/display_name", 255)?;
        let details = &fulfillment["pickup_details"];
        let scheduled = details["schedule_type"] == "SCHEDULED";
        let at = details["pickup_at"].as_str().and_then(|at| at.parse::<Timestamp>().ok());
        if fulfillments.len() > 1 || fulfillment["type"] != "PICKUP" || scheduled != at.is_some() {
            return Err(wrong("fulfillments", "Expected one pickup, with a time if it is scheduled."));
        }
    }
    let metadata = order["metadata"].as_object().cloned().unwrap_or_default();
    let sane = metadata.iter().all(|(key, value)| {
        let letters = key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
        letters && key.len() <= 60 && value.as_str().is_some_and(|value| value.len() <= 255)
    });
    if sane && metadata.len() <= 10 { Ok(()) } else { Err(wrong("metadata", "Too much, or no text.")) }
}

/// What a line costs.
fn cents(line: &Value) -> Option<i64> {
    let each = line["base_price_money"]["amount"].as_i64()?;
    let currency = line["base_price_money"]["currency"].as_str().filter(|currency| currency.len() == 3);
    currency.and(line["quantity"].as_str()?.parse::<i64>().ok()).map(|quantity| each * quantity)
}

fn text<'a>(value: &'a Value, pointer: &str, most: usize) -> Result<&'a str, Refusal> {
    let text = value.pointer(pointer).and_then(Value::as_str);
    let fits = text.filter(|text| (1..=most).contains(&text.chars().count()));
    fits.ok_or_else(|| wrong(pointer, &format!("Expected 1 to {most} characters.")))
}

/// No field but these.
fn known(value: &Value, fields: &[&str]) -> Result<(), Refusal> {
    let Some(object) = value.as_object() else { return Err(wrong("body", "Expected an object.")) };
    match object.keys().find(|key| !fields.contains(&key.as_str())) {
        Some(key) => Err(Refusal(400, INVALID, "BAD_REQUEST", format!("Unrecognized field: {key}."))),
        None => Ok(()),
    }
}
