//! An order and its lines, and how both are written as JSON.
//!
//! It does not know the menu that an order was made from: a line carries its own words and its own price, so an order
//! still reads the same after the menu has changed.

mod identifiers;

pub use identifiers::{BadIdentifier, Channel, OrderId, OrderNumber};

use std::fmt;
use std::fmt::Write as _;

use jiff::Timestamp;
use serde::de::{self, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

use super::money::Money;
use super::phone_number::PhoneNumber;
use super::status::OrderStatus;

/// An order as it is stored, shown and sent. Its JSON has the keys in the order of the fields, with `created_at`
/// written twice: as epoch seconds and, under `timestamp`, in ISO 8601.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(into = "Wire", try_from = "Wire")]
pub struct Order {
    /// `ORD-{shop}-{n}` or, over the API, the orderer's own; never changes and is never given again.
    pub order_id: OrderId,
    /// What the customer is told.
    pub order_number: OrderNumber,
    /// The shop it was placed at.
    pub shop_id: String,
    /// How it came in.
    pub channel: Channel,
    /// Where it stands.
    pub status: OrderStatus,
    /// Counts up with every change, from 1.
    pub version: u64,
    /// Whom to call out at the counter.
    pub name: Option<String>,
    /// Whom to text.
    pub phone: Option<PhoneNumber>,
    /// Whoever ordered: the caller's own id, or else the phone number.
    pub customer_id: Option<String>,
    /// What the customer asked for beside the menu.
    pub notes: Option<String>,
    /// The lines.
    pub items: Vec<Item>,
    /// What it costs.
    pub total: Money,
    /// The call it was placed on.
    pub call_sid: Option<String>,
    /// When it should be ready.
    pub estimated_ready_time: Option<Timestamp>,
    /// When the customer wants to fetch it; none: as soon as it is ready.
    pub pickup_at: Option<Timestamp>,
    /// Whatever the orderer attached.
    pub metadata: serde_json::Map<String, serde_json::Value>,
    /// When it was placed.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Every status it has had, oldest first.
    pub history: Vec<HistoryEntry>,
}

impl Order {
    /// How many drinks it holds: the sum of the lines' quantities.
    pub fn drinks(&self) -> u32 {
        drinks(&self.items)
    }

    /// When its drinks are wanted: when it is fetched or, where no time was said, when it should be ready.
    pub fn due_at(&self) -> Option<Timestamp> {
        self.pickup_at.or(self.estimated_ready_time)
    }
}

/// How many drinks these lines hold.
pub fn drinks(items: &[Item]) -> u32 {
    items.iter().fold(0, |drinks, item| drinks.saturating_add(item.quantity))
}

/// What these lines cost.
pub fn total(items: &[Item]) -> Money {
    items.iter().map(Item::subtotal).sum()
}

/// The instant as an order's JSON can hold it: whole microseconds. A time that goes into an order is cut to this
/// first, so that an order read back equals the one that was saved.
pub fn stored_instant(at: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(at.as_microsecond()).unwrap_or(at)
}

/// A customer's words as one line without control characters; `None` when nothing is left of them.
///
/// # Errors
/// More than `longest` characters.
pub fn one_line(text: &str, longest: usize) -> Result<Option<String>, TooLong> {
    let visible: String = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    let visible = visible.split_whitespace().collect::<Vec<_>>().join(" ");
    if visible.chars().count() > longest {
        return Err(TooLong);
    }
    Ok((!visible.is_empty()).then_some(visible))
}

/// More words than there is room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the text is too long")]
pub struct TooLong;

/// One status that an order has had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// The status it entered.
    pub status: OrderStatus,
    /// When.
    #[serde(with = "instant")]
    pub at: Timestamp,
    /// Who caused it: `phone`, `staff`, `api` …
    pub by: String,
}

/// What was chosen in one field of the menu.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Choice {
    /// Exactly one option.
    One(String),
    /// Any number of options, in menu order.
    Many(Vec<String>),
}

/// One line of an order or a cart: a drink, as often as `quantity` says.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Item {
    /// The menu's own fields, base first, in menu order.
    pub fields: Vec<(String, Choice)>,
    /// How many of it; at least 1.
    pub quantity: u32,
    /// What one of it costs.
    pub price: Money,
    /// What was asked for beside the menu.
    pub note: Option<String>,
}

impl Item {
    /// The keys of a line's JSON that no menu field may use.
    pub const OWN_KEYS: [&str; 4] = ["quantity", "price", "subtotal", "note"];

    /// What was chosen in a field.
    pub fn choice(&self, field: &str) -> Option<&Choice> {
        self.fields.iter().find_map(|(name, choice)| (name == field).then_some(choice))
    }

    /// What the whole line costs.
    pub fn subtotal(&self) -> Money {
        self.price * self.quantity
    }
}

/// The menu's own fields, then `quantity`, `price` (each), `subtotal`, and `note` where there is one.
impl Serialize for Item {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (field, choice) in &self.fields {
            map.serialize_entry(field, choice)?;
        }
        map.serialize_entry("quantity", &self.quantity)?;
        map.serialize_entry("price", &self.price)?;
        map.serialize_entry("subtotal", &self.subtotal())?;
        if let Some(note) = &self.note {
            map.serialize_entry("note", note)?;
        }
        map.end()
    }
}

/// Reads our own spelling, without a menu: a string is one option, an array is many.
impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Item, D::Error> {
        deserializer.deserialize_map(Line)
    }
}

struct Line;

impl<'de> Visitor<'de> for Line {
    type Value = Item;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a line of an order")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Item, A::Error> {
        let mut fields: Vec<(String, Choice)> = Vec::new();
        let (mut quantity, mut price, mut subtotal, mut note) = (None, None, None, None);
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "quantity" => quantity = Some(map.next_value::<u32>()?),
                "price" => price = Some(map.next_value::<Money>()?),
                "subtotal" => subtotal = Some(map.next_value::<Money>()?),
                "note" => note = map.next_value::<Option<String>>()?,
                _ if fields.iter().any(|(name, _)| *name == key) => {
                    return Err(de::Error::custom(format_args!("field {key:?} appears twice in one line")));
                }
                _ => {
                    let choice = map.next_value()?;
                    fields.push((key, choice));
                }
            }
        }
        let quantity = quantity.ok_or_else(|| de::Error::missing_field("quantity"))?;
        let price = price.ok_or_else(|| de::Error::missing_field("price"))?;
        let item = Item { fields, quantity, price, note };
        if item.quantity == 0 {
            return Err(de::Error::custom("a line with quantity 0"));
        }
        if subtotal.is_some_and(|subtotal| subtotal != item.subtotal()) {
            return Err(de::Error::custom("a line whose subtotal is not its price times its quantity"));
        }
        Ok(item)
    }
}

/// A digest that is equal for two orders of the same drinks by the same customer at the same shop: 64 hexadecimal
/// digits.
///
/// It is the SHA-256 of the JSON text `["bobarista-order-1", shop_id, customer, lines]`. `lines` holds
/// `[fields, note, quantity]` for each different drink, where `fields` is the list of `[name, choice]` sorted by name,
/// with the options of a many-choice sorted; equal drinks are one line with the quantities added up, and the lines are
/// sorted. So the order of lines and of options does not matter, and two lines of one drink equal one line of two.
/// Prices are left out: the same drinks are the same drinks after a price has changed.
pub fn fingerprint(shop_id: &str, customer: &str, items: &[Item]) -> String {
    type Drink<'a> = (Vec<(&'a str, Choice)>, Option<&'a str>);

    let mut lines: Vec<(Drink<'_>, u64)> = items.iter().map(|item| (drink(item), u64::from(item.quantity))).collect();
    lines.sort();
    lines.dedup_by(|later, kept| {
        let same = later.0 == kept.0;
        if same {
            kept.1 += later.1;
        }
        same
    });
    let lines: Vec<_> = lines.into_iter().map(|((fields, note), quantity)| (fields, note, quantity)).collect();
    let text = serde_json::to_vec(&("bobarista-order-1", shop_id, customer, lines))
        .expect("strings and integers can always be written as JSON");
    Sha256::digest(text).iter().fold(String::with_capacity(64), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("writing to a String cannot fail");
        hex
    })
}

/// A line's drink, whatever the order its fields and options were named in.
fn drink(item: &Item) -> (Vec<(&str, Choice)>, Option<&str>) {
    let mut fields: Vec<(&str, Choice)> =
        item.fields.iter().map(|(name, choice)| (name.as_str(), choice.clone())).collect();
    for (_, choice) in &mut fields {
        if let Choice::Many(options) = choice {
            options.sort();
        }
    }
    fields.sort();
    (fields, item.note.as_deref())
}

/// An order as JSON has it.
#[derive(Serialize, Deserialize)]
struct Wire {
    order_id: OrderId,
    order_number: OrderNumber,
    shop_id: String,
    channel: Channel,
    status: OrderStatus,
    version: u64,
    name: Option<String>,
    phone: Option<PhoneNumber>,
    customer_id: Option<String>,
    notes: Option<String>,
    items: Vec<Item>,
    total: Money,
    call_sid: Option<String>,
    #[serde(default, with = "instant::optional")]
    estimated_ready_time: Option<Timestamp>,
    #[serde(default, with = "instant::optional", skip_serializing_if = "Option::is_none")]
    pickup_at: Option<Timestamp>,
    #[serde(default)]
    metadata: serde_json::Map<String, serde_json::Value>,
    created_at: i64,
    #[serde(with = "instant")]
    timestamp: Timestamp,
    #[serde(with = "instant")]
    updated_at: Timestamp,
    history: Vec<HistoryEntry>,
}

impl From<Order> for Wire {
    fn from(order: Order) -> Wire {
        Wire {
            order_id: order.order_id,
            order_number: order.order_number,
            shop_id: order.shop_id,
            channel: order.channel,
            status: order.status,
            version: order.version,
            name: order.name,
            phone: order.phone,
            customer_id: order.customer_id,
            notes: order.notes,
            items: order.items,
            total: order.total,
            call_sid: order.call_sid,
            estimated_ready_time: order.estimated_ready_time,
            pickup_at: order.pickup_at,
            metadata: order.metadata,
            created_at: order.created_at.as_second(),
            timestamp: order.created_at,
            updated_at: order.updated_at,
            history: order.history,
        }
    }
}

impl TryFrom<Wire> for Order {
    type Error = ContradictingTimes;

    fn try_from(wire: Wire) -> Result<Order, ContradictingTimes> {
        if wire.created_at != wire.timestamp.as_second() {
            return Err(ContradictingTimes);
        }
        Ok(Order {
            order_id: wire.order_id,
            order_number: wire.order_number,
            shop_id: wire.shop_id,
            channel: wire.channel,
            status: wire.status,
            version: wire.version,
            name: wire.name,
            phone: wire.phone,
            customer_id: wire.customer_id,
            notes: wire.notes,
            items: wire.items,
            total: wire.total,
            call_sid: wire.call_sid,
            estimated_ready_time: wire.estimated_ready_time,
            pickup_at: wire.pickup_at,
            metadata: wire.metadata,
            created_at: wire.timestamp,
            updated_at: wire.updated_at,
            history: wire.history,
        })
    }
}

#[derive(Debug, thiserror::Error)]
#[error("created_at and timestamp are not the same instant")]
struct ContradictingTimes;

/// `2024-01-01T00:00:00.000000+00:00`: UTC, always six decimals, so that the texts sort like the instants.
mod instant {
    use std::borrow::Cow;

    use jiff::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&at.strftime("%Y-%m-%dT%H:%M:%S.%6f+00:00"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(|_| de::Error::invalid_value(de::Unexpected::Str(&text), &"a time in ISO 8601"))
    }

    pub(super) mod optional {
        use jiff::Timestamp;
        use serde::{Deserialize, Deserializer, Serializer};

        pub(in super::super) fn serialize<S: Serializer>(
            at: &Option<Timestamp>,
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            match at {
                Some(at) => super::serialize(at, serializer),
                None => serializer.serialize_none(),
            }
        }

        pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
            deserializer: D,
        ) -> Result<Option<Timestamp>, D::Error> {
            #[derive(Deserialize)]
            struct Instant(#[serde(with = "super")] Timestamp);

            Ok(Option::<Instant>::deserialize(deserializer)?.map(|Instant(at)| at))
        }
    }
}

#[cfg(test)]
mod tests;
