//! What a list is asked for: filters, how many, and where to go on.

use super::request::{LONGEST_ID, LONGEST_NAME, Problems, Refused, identifier, shown, words};
use crate::order_service::Place;
use crate::ordering::order::OrderId;
use crate::ordering::phone_number::{PhoneNumber, Region};
use crate::ordering::status::OrderStatus;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

/// The longest list.
pub const MOST: usize = 500;
const DEFAULT: usize = 50;
const KNOWN: &str = "status, phone, name, customer_id, limit and cursor";

/// Orders to be listed: those that fit every filter that is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListQuery {
    /// Any of these; empty: any.
    pub statuses: Vec<OrderStatus>,
    /// The order's phone number.
    pub phone: Option<PhoneNumber>,
    /// The order's name.
    pub name: Option<String>,
    /// The order's customer.
    pub customer_id: Option<String>,
    /// How many at most, 1 to [`MOST`].
    pub limit: usize,
    /// Where the list before this one ended.
    pub cursor: Option<Cursor>,
}

/// A place in a list, as clients hold it: the place's text in base64url, 1 to 512 characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(Place);

impl Cursor {
    const LONGEST: usize = 512;

    /// Reads a cursor; none: it is none that a list has given.
    pub fn parse(text: &str) -> Option<Cursor> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok().filter(|_| text.len() <= Self::LONGEST)?;
        let place = String::from_utf8(bytes).ok()?;
        // Two numbers and an id: whatever else it was, it would silently be some place in the list.
        let mut parts = place.splitn(3, '#');
        let is_number = |part: Option<&str>| {
            part.is_some_and(|part| part.len() == 20 && part.bytes().all(|byte| byte.is_ascii_digit()))
        };
        let is_place = is_number(parts.next()) && is_number(parts.next());
        let has_id = parts.next().is_some_and(|id| id.parse::<OrderId>().is_ok());
        (is_place && has_id).then(|| Self(Place::from_text(place)))
    }

    /// The cursor of a place.
    pub fn written(place: &Place) -> String {
        URL_SAFE_NO_PAD.encode(place.as_str())
    }

    /// The place.
    pub fn into_place(self) -> Place {
        self.0
    }
}

impl ListQuery {
    /// Reads decoded parameters; phone numbers without a country code belong to `region`.
    ///
    /// # Errors
    /// A parameter that there is not, one given twice (`status` may be), and values that are none.
    pub fn parse(parameters: &[(String, String)], region: Region) -> Result<ListQuery, Refused> {
        let mut problems = Problems::default();
        let mut query = ListQuery {
            statuses: Vec::new(),
            phone: None,
            name: None,
            customer_id: None,
            limit: DEFAULT,
            cursor: None,
        };
        for (at, (name, value)) in parameters.iter().enumerate() {
            let again = parameters.iter().take(at).any(|(earlier, _)| earlier == name);
            if again && name != "status" {
                problems.invalid(shown(name), "may be given once");
                continue;
            }
            let read = match name.as_str() {
                "status" => query.add_statuses(value),
                "phone" => phone(value, region).map(|phone| query.phone = Some(phone)),
                "name" => words(LONGEST_NAME)(&Value::from(value.as_str())).and_then(|name| {
                    query.name = Some(name.ok_or_else(|| "has to be a name".to_owned())?);
                    Ok(())
                }),
                "customer_id" => {
                    identifier(LONGEST_ID)(&Value::from(value.as_str())).map(|id| query.customer_id = Some(id))
                }
                "limit" => limit(value).map(|limit| query.limit = limit),
                "cursor" => match Cursor::parse(value) {
                    Some(cursor) => {
                        query.cursor = Some(cursor);
                        Ok(())
                    }
                    None => Err("has to be the next_cursor of the list before".to_owned()),
                },
                _ => Err(format!("there is no such parameter; there are {KNOWN}")),
            };
            if let Err(message) = read {
                problems.invalid(shown(name), message);
            }
        }
        problems.or(Some(query))
    }

    fn add_statuses(&mut self, list: &str) -> Result<(), String> {
        for word in list.split(',') {
            let status =
                word.trim().parse().map_err(|error: crate::ordering::status::UnknownStatus| error.to_string())?;
            if !self.statuses.contains(&status) {
                self.statuses.push(status);
            }
        }
        Ok(())
    }
}

/// In a query a `+` stands for a space, and many clients write the number as it is.
fn phone(value: &str, region: Region) -> Result<PhoneNumber, String> {
    let meant = match value.strip_prefix(' ') {
        Some(rest) if rest.starts_with(|first: char| first.is_ascii_digit()) => format!("+{rest}"),
        _ => value.to_owned(),
    };
    PhoneNumber::parse(&meant, region).map_err(|error| error.to_string())
}

fn limit(value: &str) -> Result<usize, String> {
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    let limit = value.parse().ok().filter(|limit| digits && (1..=MOST).contains(limit));
    limit.ok_or_else(|| format!("has to be a whole number from 1 to {MOST}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(pairs: &[(&str, &str)]) -> Result<ListQuery, Refused> {
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        ListQuery::parse(&pairs, Region::US)
    }

    #[test]
    fn filters_are_read() {
        let place = "00001234567890123456#00000000000000000042#ORD-main-42";
        let cursor = Cursor::written(&Place::from_text(place));
        let query = parse(&[
            ("status", "received,preparing"),
            ("status", "confirmed"),
            ("phone", " 15551234567"),
            ("name", "Ada"),
            ("customer_id", "CUST-1"),
            ("limit", "500"),
            ("cursor", &cursor),
        ])
        .unwrap();
        assert_eq!(query.statuses, [OrderStatus::Received, OrderStatus::Preparing]);
        assert_eq!(query.phone.map(|phone| phone.as_e164().to_owned()).as_deref(), Some("+15551234567"));
        assert_eq!((query.limit, query.name.as_deref()), (500, Some("Ada")));
        assert_eq!(
            (query.customer_id.as_deref(), query.cursor.unwrap().into_place().as_str()),
            (Some("CUST-1"), place)
        );
        let all = parse(&[]).unwrap();
        assert_eq!((all.limit, all.statuses, all.cursor), (50, vec![], None));
    }

    #[test]
    fn what_is_no_parameter_is_refused_by_name() {
        for (name, value) in [
            ("limit", "0"),
            ("limit", "501"),
            ("limit", "+5"),
            ("limit", ""),
            ("limit", "5.0"),
            ("status", ""),
            ("status", "eaten"),
            ("status", "ready,"),
            ("phone", "call me"),
            ("phone", ""),
            ("name", " "),
            ("customer_id", ""),
            ("customer_id", " a"),
            ("cursor", ""),
            ("cursor", "a b"),
            ("cursor", "abc_-9"),
            ("cursor", "NDI"),
            ("offset", "3"),
            ("Status", "ready"),
            ("", ""),
        ] {
            let refused = parse(&[(name, value)]).expect_err(name);
            assert_eq!(refused.first().field(), name, "{name}={value}");
        }
        assert_eq!(parse(&[("limit", "1"), ("limit", "2")]).expect_err("twice").first().field(), "limit");
        let both = parse(&[("limit", "x"), ("page", "2")]).expect_err("two problems");
        assert_eq!(both.problems().len(), 2);
    }
}
