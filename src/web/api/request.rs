//! From a JSON body to an order that can be made: every spelling understood, every problem told, nothing silently lost.
//!
//! Pure: no HTTP, no store, no clock. A request is read in two steps, because a request that is sent again has to be
//! recognised by its key and its payload even if it could not be made today: the menu may have changed in between.

mod change;
mod fields;
mod json;
mod line;
mod metadata;
mod payload;
mod problem;
mod shop_patch;

pub use change::{LONGEST_REASON, Patch, StatusChange};
pub(in crate::web::api) use fields::{identifier, line as words};
pub use problem::{Problem, Refused, Weight};
pub(in crate::web::api) use problem::{Problems, shown};
pub use shop_patch::{MOST_MINUTES, ShopPatch};

use super::headers::IdempotencyKey;
use crate::ordering::Menu;
use crate::ordering::order::{Channel, Item, OrderId, total};
use crate::ordering::phone_number::{PhoneNumber, Region, numbers_in};
use crate::ordering::status::OrderStatus;
use fields::{Fields, Stated, flag, instant, instant_or_utc, stated, text};
use jiff::Timestamp;
use serde_json::{Map, Value};

/// The longest name, in characters.
pub const LONGEST_NAME: usize = 60;
/// The longest notes, in characters.
pub const LONGEST_NOTES: usize = 500;
/// The longest customer id or id of a call, in characters.
pub const LONGEST_ID: usize = 128;
/// The fewest digits of a phone number that an AI may order with.
const FEWEST_AI_DIGITS: usize = 10;

const CHANNEL: [&str; 2] = ["channel", "source"];
const NAME: [&str; 2] = ["name", "customer_name"];
const PHONE: [&str; 2] = ["phone", "customer_phone"];
const CUSTOMER: [&str; 2] = ["customer_id", "user_id"];
const NOTES: [&str; 2] = ["notes", "special_instructions"];
const TOTAL: [&str; 2] = ["total", "total_price"];
const CALL: [&str; 2] = ["call_sid", "conversation_id"];

/// What a request is checked against.
#[derive(Clone, Copy, Debug)]
pub struct Counter<'a> {
    /// What is sold, and for how much.
    pub menu: &'a Menu,
    /// Where a phone number without a country code belongs.
    pub region: Region,
    /// The shop's part of its own order ids.
    pub shop_id: &'a str,
}

/// A request to make an order, understood as far as it can be without the shop.
#[derive(Clone, Debug)]
pub struct CreateOrder {
    /// The order as it was sent, without the key.
    payload: Map<String, Value>,
    key: Option<IdempotencyKey>,
    hash: String,
}

/// An order that can be made, in our own words and at our own prices.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    /// How it came in.
    pub channel: Channel,
    /// Whom to call out.
    pub name: Option<String>,
    /// Whom to text.
    pub phone: Option<PhoneNumber>,
    /// Whoever orders, by the client's own id.
    pub customer_id: Option<String>,
    /// What was asked for beside the menu.
    pub notes: Option<String>,
    /// The lines, priced by the menu; never empty.
    pub items: Vec<Item>,
    /// The call, or another system's conversation.
    pub call_sid: Option<String>,
    /// Whatever the client attached.
    pub metadata: Map<String, Value>,
    /// When it is wanted.
    pub pickup_at: Option<Timestamp>,
    /// When it should be ready, if the client says so.
    pub estimated_ready_time: Option<Timestamp>,
    /// The client's own id for the order.
    pub order_id: Option<OrderId>,
    /// The same key again is the same order.
    pub idempotency_key: Option<String>,
    /// Order although the same customer ordered the same a moment ago.
    pub allow_duplicate: bool,
}

impl CreateOrder {
    /// Reads a body: the order itself or, with any of `version`, `action` and `payload`, an envelope around it. `header`
    /// is the request's `Idempotency-Key`; one in the body has to be the same.
    ///
    /// # Errors
    /// A body that is no JSON object, an envelope of an unknown version or action, a key that is none.
    pub fn parse(body: &[u8], header: Option<IdempotencyKey>) -> Result<CreateOrder, Refused> {
        let mut problems = Problems::default();
        let (mut payload, outer) = payload::open(json::object(body)?, &mut problems);
        let mut key = header;
        let inner = payload.shift_remove(payload::KEY);
        for (field, given) in [(payload::KEY, outer), ("payload.idempotency_key", inner)] {
            match given.as_ref().map(payload::read_key) {
                None | Some(Ok(None)) => {}
                Some(Ok(Some(given))) if key.as_ref().is_none_or(|key| *key == given) => key = Some(given),
                Some(Ok(Some(_))) => problems.invalid(field, "the request has another key as well"),
                Some(Err(message)) => problems.invalid(field, message),
            }
        }
        let hash = payload::hash(&payload);
        problems.or(Some(CreateOrder { payload, key, hash }))
    }

    /// The key that makes a repetition the same request.
    pub fn idempotency_key(&self) -> Option<&str> {
        self.key.as_ref().map(IdempotencyKey::as_str)
    }

    /// What the request asks for, as 64 hexadecimal digits: equal for the same JSON whatever the order of its keys, its
    /// white space and its envelope. The idempotency key is no part of it.
    ///
    /// It is the SHA-256 of `bobarista-payload-1\n` and the payload as compact JSON with sorted keys and whole numbers
    /// without a fraction.
    pub fn payload_hash(&self) -> &str {
        &self.hash
    }

    /// The order that is asked for.
    ///
    /// # Errors
    /// Every problem that it has. What cannot be understood outweighs what a rule of the shop forbids, and that outweighs
    /// a price that is not ours.
    pub fn check(&self, counter: Counter<'_>) -> Result<Draft, Refused> {
        let mut problems = Problems::default();
        let mut fields = Fields::new(self.payload.clone(), "");
        let ai = CHANNEL.iter().any(|name| self.payload.get(*name).and_then(Value::as_str) == Some("ai"));
        let phones = PHONE.map(|name| self.payload.get(name).and_then(Value::as_str).map(str::to_owned));

        let channel = fields.take(&mut problems, &CHANNEL, |value| {
            text(value)?.parse().map_err(|_| "has to be phone (or ai), web or api".to_owned())
        });
        let name = fields.take(&mut problems, &NAME, words(LONGEST_NAME)).flatten();
        let phone = fields.take(&mut problems, &PHONE, |value| {
            PhoneNumber::parse(&text(value)?, counter.region).map_err(|error| error.to_string())
        });
        let customer_id = fields.take(&mut problems, &CUSTOMER, identifier(LONGEST_ID));
        let notes = fields.take(&mut problems, &NOTES, words(LONGEST_NOTES)).flatten();
        let call_sid = fields.take(&mut problems, &CALL, identifier(LONGEST_ID));
        let metadata = fields.take(&mut problems, &["metadata"], metadata::read).unwrap_or_default();
        let pickup_at = fields.take(&mut problems, &["pickup_at"], instant);
        let estimated_ready_time = fields.take(&mut problems, &["estimated_ready_time"], instant_or_utc);
        let order_id = fields.take(&mut problems, &["order_id"], |value| own_id(value, counter.shop_id));
        let allow_duplicate = fields.take(&mut problems, &["allow_duplicate"], flag).unwrap_or_default();
        fields.take(&mut problems, &["status"], first_status);
        if fields.take(&mut problems, &["confirmed"], flag) == Some(false) {
            let message = "nothing is ordered that the customer has not confirmed";
            problems.add(Problem::new(Weight::Rule, "confirmed", message));
        }
        let items = line::all(&mut fields, counter.menu, &mut problems);
        let total = fields.take(&mut problems, &TOTAL, stated);
        check_total(&items, total, &mut problems);

        let channel = channel.unwrap_or(if ai { Channel::Phone } else { Channel::Api });
        let rules = counter.menu.requires();
        for (names, given, by_menu) in [
            (NAME, name.is_some(), rules.name),
            (PHONE, phone.is_some(), rules.phone),
            (CUSTOMER, customer_id.is_some(), false),
            ([payload::KEY; 2], self.key.is_some(), false),
        ] {
            if given || problems.concern(&names) {
                continue;
            }
            if ai {
                problems.invalid(names[0], "an AI has to send it");
            } else if by_menu && channel == Channel::Phone {
                problems.add(Problem::new(Weight::Rule, names[0], "an order by phone needs it at this shop"));
            }
        }
        if ai && phone.is_some() && phones.iter().flatten().any(|phone| digits(phone) < FEWEST_AI_DIGITS) {
            problems.invalid("phone", format!("from an AI it needs at least {FEWEST_AI_DIGITS} digits"));
        }
        fields.finish(&mut problems);
        problems.or(Some(Draft {
            channel,
            name,
            phone,
            customer_id,
            notes,
            items,
            call_sid,
            metadata,
            pickup_at,
            estimated_ready_time,
            order_id,
            idempotency_key: self.key.as_ref().map(|key| key.as_str().to_owned()),
            allow_duplicate,
        }))
    }
}

/// How many digits a number has as it was said or written, without a country code that was not.
fn digits(phone: &str) -> usize {
    numbers_in(phone).concat().bytes().filter(u8::is_ascii_digit).count()
}

fn own_id(value: &Value, shop_id: &str) -> Result<OrderId, String> {
    let id: OrderId = text(value)?.parse().map_err(|_| "has to be 1 to 64 of A-Z, a-z, 0-9, _ and -".to_owned())?;
    match id.number_at(shop_id) {
        None => Ok(id),
        Some(_) => Err(format!("ids of the form ORD-{shop_id}-{{digits}} are given by the shop")),
    }
}

/// Every order starts as received; a client may say so.
fn first_status(value: &Value) -> Result<OrderStatus, String> {
    match text(value)?.parse() {
        Ok(OrderStatus::Received) => Ok(OrderStatus::Received),
        _ => Err("an order starts as received".to_owned()),
    }
}

/// Only where every line is right: next to one that is not, our own total would be wrong as well.
fn check_total(items: &[Item], stated: Option<Stated>, problems: &mut Problems) {
    let expected = total(items);
    if let Some(given) = stated.filter(|given| problems.are_none() && !given.is(expected)) {
        problems.add(line::mismatch("total", &given, expected));
    }
}

#[cfg(test)]
mod tests;
