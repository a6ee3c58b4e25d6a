//! A ticket as the order that Square is asked to create.
//!
//! The same ticket always gives the same request, to the letter. What is longer than Square takes is cut, and never a
//! reason to refuse an order. Names and notes are people's words; no phone number is here to be told.

use super::super::words::cut;
use super::super::{PosError, Ticket};
use super::answer::TICKET_ENTRY;
use super::{SERVICE, SOURCE};
use crate::ordering::money::Money;
use crate::ordering::order::{Choice, Item};
use serde::Serialize;
use std::collections::BTreeMap;

/// Square's limits, in characters.
const MOST_REFERENCE: usize = 40;
const MOST_TICKET_NAME: usize = 30;
const MOST_ITEM_NAME: usize = 500;
const MOST_NOTE: usize = 500;
const MOST_RECIPIENT: usize = 255;

/// The body of `CreateOrder`.
#[derive(Debug, Serialize)]
pub(super) struct CreateOrder {
    /// At most 192 characters; a ticket's key is at most half of it.
    idempotency_key: String,
    order: Order,
}

#[derive(Debug, Serialize)]
struct Order {
    location_id: String,
    /// The order's id, where it fits; it stands in the metadata in any case.
    #[serde(skip_serializing_if = "Option::is_none")]
    reference_id: Option<String>,
    source: Source,
    #[serde(skip_serializing_if = "Option::is_none")]
    ticket_name: Option<String>,
    line_items: Vec<LineItem>,
    fulfillments: [Fulfillment; 1],
    metadata: BTreeMap<&'static str, String>,
}

#[derive(Debug, Serialize)]
struct Source {
    name: &'static str,
}

#[derive(Debug, Serialize)]
struct LineItem {
    name: String,
    /// A decimal number as text.
    quantity: String,
    base_price_money: SquareMoney,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

#[derive(Debug, Serialize)]
struct SquareMoney {
    /// In the smallest unit of the currency.
    amount: i64,
    currency: String,
}

#[derive(Debug, Serialize)]
struct Fulfillment {
    r#type: &'static str,
    state: &'static str,
    pickup_details: PickupDetails,
}

#[derive(Debug, Serialize)]
struct PickupDetails {
    recipient: Recipient,
    schedule_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pickup_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

#[derive(Debug, Serialize)]
struct Recipient {
    display_name: String,
}

/// The request that creates a ticket's order at a location.
///
/// # Errors
/// [`PosError::Refused`] when a price is no amount of its currency.
pub(super) fn create_order(ticket: &Ticket, location_id: &str) -> Result<CreateOrder, PosError> {
    let line_items = ticket.items.iter().map(|item| line_item(item, &ticket.currency)).collect::<Result<_, _>>()?;
    let order_id = ticket.order_id.as_str();
    let metadata = BTreeMap::from([
        (TICKET_ENTRY, ticket.key.clone()),
        ("order_id", order_id.to_owned()),
        ("channel", ticket.channel.clone()),
    ]);
    Ok(CreateOrder {
        idempotency_key: ticket.key.clone(),
        order: Order {
            location_id: location_id.to_owned(),
            reference_id: (order_id.len() <= MOST_REFERENCE).then(|| order_id.to_owned()),
            source: Source { name: SOURCE },
            ticket_name: cut(&ticket_name(ticket), MOST_TICKET_NAME),
            line_items,
            fulfillments: [fulfillment(ticket)],
            metadata,
        },
    })
}

/// What is called out and printed: the number first, which is what a name that is cut must not push out.
fn ticket_name(ticket: &Ticket) -> String {
    let number = ticket.order_number;
    let whose = ticket.table.as_deref().or(ticket.name.as_deref()).unwrap_or_default();
    if ticket.is_addition { format!("{number} + {whose}") } else { format!("{number} {whose}") }
}

fn fulfillment(ticket: &Ticket) -> Fulfillment {
    let number = ticket.order_number;
    let name = ticket.name.as_deref().or(ticket.table.as_deref()).and_then(|name| cut(name, MOST_RECIPIENT));
    let notes = [
        ticket.is_addition.then(|| format!("More for order {number}.")),
        ticket.table.as_ref().map(|table| format!("Table: {table}.")),
        ticket.notes.clone(),
    ];
    let note = notes.into_iter().flatten().collect::<Vec<_>>().join(" ");
    Fulfillment {
        r#type: "PICKUP",
        state: "PROPOSED",
        pickup_details: PickupDetails {
            recipient: Recipient { display_name: name.unwrap_or_else(|| format!("Order {number}")) },
            schedule_type: if ticket.pickup_at.is_some() { "SCHEDULED" } else { "ASAP" },
            pickup_at: ticket.pickup_at.map(|at| at.to_string()),
            note: cut(&note, MOST_NOTE),
        },
    }
}

fn line_item(item: &Item, currency: &str) -> Result<LineItem, PosError> {
    let amount = smallest_units(item.price, currency)
        .ok_or_else(|| PosError::Refused(format!("{SERVICE} cannot be told a price of {} {currency}", item.price)))?;
    let mut fields = item.fields.iter();
    let name = fields.next().map(|(_, base)| words(base)).and_then(|name| cut(&name, MOST_ITEM_NAME));
    let chosen = fields
        .map(|(field, choice)| (field.replace('_', " "), words(choice)))
        .filter(|(_, choice)| !choice.is_empty())
        .map(|(field, choice)| format!("{field}: {choice}"));
    let note = chosen.chain(item.note.clone()).collect::<Vec<_>>().join("; ");
    Ok(LineItem {
        name: name.unwrap_or_else(|| "Item".to_owned()),
        quantity: item.quantity.to_string(),
        base_price_money: SquareMoney { amount, currency: currency.to_owned() },
        note: cut(&note, MOST_NOTE),
    })
}

fn words(choice: &Choice) -> String {
    match choice {
        Choice::One(option) => option.clone(),
        Choice::Many(options) => options.join(" + "),
    }
}

/// An amount in the smallest unit of its currency. Of the currencies of Square's countries the yen alone has no hundredths.
fn smallest_units(amount: Money, currency: &str) -> Option<i64> {
    let cents = amount.cents();
    match currency {
        "JPY" => (cents % 100 == 0).then_some(cents / 100),
        _ => Some(cents),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::tests::ticket;
    use super::*;

    fn json(ticket: &Ticket) -> serde_json::Value {
        serde_json::to_value(create_order(ticket, "L88917AVBK2S5").unwrap()).unwrap()
    }

    #[test]
    fn a_ticket_becomes_an_order_with_whole_cents() {
        insta::assert_json_snapshot!(json(&ticket("ORD-main-42:1")), @r#"
        {
          "idempotency_key": "ORD-main-42:1",
          "order": {
            "location_id": "L88917AVBK2S5",
            "reference_id": "ORD-main-42",
            "source": {
              "name": "Bobarista"
            },
            "ticket_name": "4782 Ana",
            "line_items": [
              {
                "name": "taro milk tea",
                "quantity": "2",
                "base_price_money": {
                  "amount": 705,
                  "currency": "USD"
                },
                "note": "toppings: boba + egg pudding; ice: less ice; no lid"
              }
            ],
            "fulfillments": [
              {
                "type": "PICKUP",
                "state": "PROPOSED",
                "pickup_details": {
                  "recipient": {
                    "display_name": "Ana"
                  },
                  "schedule_type": "ASAP"
                }
              }
            ],
            "metadata": {
              "channel": "phone",
              "order_id": "ORD-main-42",
              "ticket": "ORD-main-42:1"
            }
          }
        }
        "#);
    }

    #[test]
    fn an_addition_at_a_table_for_later_says_all_three() {
        let ticket = Ticket {
            is_addition: true,
            table: Some("Window 5".to_owned()),
            pickup_at: Some("2026-01-02T03:04:05Z".parse().unwrap()),
            name: None,
            ..ticket("ORD-main-42:2")
        };
        let order = &json(&ticket)["order"];
        assert_eq!(order["ticket_name"], "4782 + Window 5");
        insta::assert_json_snapshot!(order["fulfillments"], @r#"
        [
          {
            "type": "PICKUP",
            "state": "PROPOSED",
            "pickup_details": {
              "recipient": {
                "display_name": "Window 5"
              },
              "schedule_type": "SCHEDULED",
              "pickup_at": "2026-01-02T03:04:05Z",
              "note": "More for order 4782. Table: Window 5."
            }
          }
        ]
        "#);
    }

    #[test]
    fn what_square_has_no_room_for_is_cut_and_not_refused() {
        let mut ticket = ticket("ORD-main-42:1");
        ticket.order_id = "x".repeat(64).parse().unwrap();
        (ticket.name, ticket.notes) = (Some("ñ".repeat(300)), Some("please ".repeat(200)));
        ticket.items[0].note = Some("hot ".repeat(300));
        let order = &json(&ticket)["order"];
        let chars = |pointer: &str| order.pointer(pointer).unwrap().as_str().unwrap().chars().count();
        assert_eq!(order.get("reference_id"), None, "half an id is no id");
        assert_eq!(order["metadata"]["order_id"].as_str().unwrap().len(), 64);
        assert_eq!(chars("/ticket_name"), MOST_TICKET_NAME);
        assert_eq!(chars("/fulfillments/0/pickup_details/recipient/display_name"), MOST_RECIPIENT);
        assert_eq!(chars("/fulfillments/0/pickup_details/note"), MOST_NOTE);
        assert_eq!(chars("/line_items/0/note"), MOST_NOTE);
    }

    #[test]
    fn amounts_are_in_the_smallest_unit() {
        let amount = |cents, currency| smallest_units(Money::from_cents(cents), currency);
        assert_eq!(amount(625, "USD"), Some(625));
        assert_eq!(amount(625, "EUR"), Some(625));
        assert_eq!(amount(62_500, "JPY"), Some(625));
        assert_eq!(amount(62_550, "JPY"), None, "there are no hundredths of a yen");
        let ticket = Ticket { currency: "JPY".to_owned(), ..ticket("ORD-main-42:1") };
        assert!(matches!(create_order(&ticket, "L1"), Err(PosError::Refused(_))));
    }
}
