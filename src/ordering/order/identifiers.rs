//! What an order is called, what a customer is told, and by which way it came: texts that were checked where they came in.

use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// An order's name for ever: `[A-Za-z0-9_-]{1,64}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct OrderId(String);

impl OrderId {
    /// The `n`th order of a shop: `ORD-main-42`. The shop's id has been checked where the configuration was read.
    pub fn numbered(shop_id: &str, n: u64) -> OrderId {
        OrderId(format!("ORD-{shop_id}-{n}"))
    }

    /// The `n` of an id that this shop gives itself, `None` for one that an orderer brought along. Ids that look like
    /// ours but whose number does not fit count as ours, with the largest number: nobody may bring one.
    pub fn number_at(&self, shop_id: &str) -> Option<u64> {
        let digits = self.0.strip_prefix("ORD-")?.strip_prefix(shop_id)?.strip_prefix('-')?;
        let ours = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        ours.then(|| digits.parse().unwrap_or(u64::MAX))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for OrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for OrderId {
    type Err = BadIdentifier;

    fn from_str(text: &str) -> Result<OrderId, BadIdentifier> {
        OrderId::try_from(text.to_owned())
    }
}

impl TryFrom<String> for OrderId {
    type Error = BadIdentifier;

    fn try_from(text: String) -> Result<OrderId, BadIdentifier> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        if (1..=64).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(OrderId(text))
        } else {
            Err(BadIdentifier::OrderId)
        }
    }
}

/// What a customer is told and shown: 1000 to 9999, or five digits when none of those is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "Cow<'_, str>")]
pub struct OrderNumber(u32);

impl OrderNumber {
    /// A number of four or five digits.
    pub fn new(number: u32) -> Option<OrderNumber> {
        (1000..=99_999).contains(&number).then_some(OrderNumber(number))
    }

    /// Digit by digit, for a voice to read: `4, 7, 8, 2`.
    pub fn spoken(self) -> String {
        let digits: Vec<String> = self.to_string().chars().map(String::from).collect();
        digits.join(", ")
    }
}

impl fmt::Display for OrderNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<OrderNumber> for String {
    fn from(number: OrderNumber) -> String {
        number.to_string()
    }
}

impl FromStr for OrderNumber {
    type Err = BadIdentifier;

    fn from_str(text: &str) -> Result<OrderNumber, BadIdentifier> {
        // `u32::from_str` alone would take a sign.
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|_| digits).and_then(OrderNumber::new).ok_or(BadIdentifier::OrderNumber)
    }
}

impl TryFrom<Cow<'_, str>> for OrderNumber {
    type Error = BadIdentifier;

    fn try_from(text: Cow<'_, str>) -> Result<OrderNumber, BadIdentifier> {
        text.parse()
    }
}

/// A text that is not what it should name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadIdentifier {
    /// Not an order id.
    #[error("an order id has 1 to 64 characters out of A-Z, a-z, 0-9, _ and -")]
    OrderId,
    /// Not an order number.
    #[error("an order number has four or five digits and does not start with 0")]
    OrderNumber,
    /// Not a channel.
    #[error("a channel is phone, web or api")]
    Channel,
}

/// How an order came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", try_from = "Cow<'_, str>")]
pub enum Channel {
    /// A call.
    Phone,
    /// The web menu.
    Web,
    /// Another program.
    Api,
}

impl Channel {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Phone, Self::Web, Self::Api];

    /// The wire name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Channel::Phone => "phone",
            Channel::Web => "web",
            Channel::Api => "api",
        }
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Reads a wire name; `ai`, another system's word, is the phone.
impl FromStr for Channel {
    type Err = BadIdentifier;

    fn from_str(text: &str) -> Result<Channel, BadIdentifier> {
        match text {
            "phone" | "ai" => Ok(Channel::Phone),
            "web" => Ok(Channel::Web),
            "api" => Ok(Channel::Api),
            _ => Err(BadIdentifier::Channel),
        }
    }
}

impl TryFrom<Cow<'_, str>> for Channel {
    type Error = BadIdentifier;

    fn try_from(text: Cow<'_, str>) -> Result<Channel, BadIdentifier> {
        text.parse()
    }
}
