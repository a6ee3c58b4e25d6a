//! The shapes of what orders owe to the outside, and of an order's whole record.

use super::{PHONE_WRITTEN, object, optional, order_id, order_number, reference};
use crate::order_service::{DeliveryKind, DeliveryState};
use serde_json::{Map, Value, json};

/// What is not there when there is nothing to say.
const UNLESS_EMPTY: [&str; 10] = [
    "to",
    "body",
    "claimed_until",
    "refusals",
    "certain",
    "tries",
    "reason",
    "provider_id",
    "carrier_status",
    "correlation_id",
];

/// These schemas, by name.
pub(super) fn all() -> Map<String, Value> {
    let given_up = object(
        "One of them, and whose it is.",
        json!({"order_id": order_id(), "order_number": order_number(), "delivery": reference("GivenUp")}),
    );
    let schemas = json!({
        "FailedDeliveries": object(
            "What was given up.",
            json!({"deliveries": {
                "description": "Those of the newest orders first.",
                "type": "array",
                "items": reference("FailedDelivery"),
            }}),
        ),
        "FailedDelivery": given_up,
        "GivenUp": object(
            "A delivery that was given up.",
            json!({
                "id": id(),
                "kind": kind(),
                "to": {"description": "To whom a text goes, in E.164.", "type": ["string", "null"], "pattern": PHONE_WRITTEN},
                "reason": {"description": "What went wrong last.", "type": ["string", "null"]},
                "attempts": attempts(),
                "tries": tries(),
            }),
        ),
        "Audit": object(
            "All that is known of an order beside the order itself.",
            json!({
                "changes": {"description": "Oldest first.", "type": "array", "items": reference("Change")},
                "deliveries": {"description": "Oldest first.", "type": "array", "items": reference("Delivery")},
            }),
        ),
        "Change": optional(change(), &["reason", "correlation_id"]),
        "Delivery": optional(delivery(), &UNLESS_EMPTY),
    });
    match schemas {
        Value::Object(schemas) => schemas,
        _ => Map::new(),
    }
}

fn change() -> Value {
    object(
        "One change of an order.",
        json!({
            "at": instant("When."),
            "by": {"description": "Who: phone, web, staff, api, pos or system.", "type": "string"},
            "what": {
                "description": "created, amended, sent_again, patched, undone, erased, delivery_retried, or the status it was moved to.",
                "type": "string",
            },
            "version": {"description": "The order's after it.", "type": "integer", "minimum": 1},
            "reason": {"description": "Why, where a reason was given.", "type": "string"},
            "correlation_id": correlation_id(),
        }),
    )
}

fn delivery() -> Value {
    object(
        "Something that an order owes to the outside.",
        json!({
            "id": id(),
            "kind": kind(),
            "to": {"description": "To whom a text goes, in E.164.", "type": "string", "pattern": PHONE_WRITTEN},
            "body": {
                "description": "The text, or the notice's or the ticket's JSON as text; a row tells the order as it is when it is written.",
                "type": "string",
            },
            "state": {
                "description": "owed: still to be sent; sent: taken; failed: given up; skipped: never to be sent.",
                "enum": [DeliveryState::Owed, DeliveryState::Sent, DeliveryState::Failed, DeliveryState::Skipped],
            },
            "owed_at": instant("Since when."),
            "not_before": instant("It is not tried before."),
            "claimed_until": instant("It is being tried; whoever does so has it until then."),
            "attempts": attempts(),
            "refusals": {
                "description": "Of a ticket: how many attempts ended with the point of sale certainly not having it.",
                "type": "integer",
                "minimum": 0,
            },
            "certain": {
                "description": "Of a ticket: the attempt up to which it is certain that the point of sale does not have it.",
                "type": "integer",
                "minimum": 0,
            },
            "tries": tries(),
            "reason": {"description": "Why it was skipped, or what went wrong last.", "type": "string"},
            "provider_id": {"description": "The carrier's name for it.", "type": "string"},
            "carrier_status": {"description": "What the carrier has told of it since.", "type": "string"},
            "correlation_id": correlation_id(),
        }),
    )
}

fn id() -> Value {
    json!({"description": "Counts up within its order.", "type": "integer", "minimum": 1})
}

fn kind() -> Value {
    json!({
        "description": "A text to the customer, the order's row in the spreadsheet, a notice to the webhook, or a ticket for the point of sale.",
        "enum": DeliveryKind::ALL,
    })
}

fn attempts() -> Value {
    let description = "How often it was tried since it was owed, or owed again.";
    json!({"description": description, "type": "integer", "minimum": 0})
}

fn tries() -> Value {
    let tried = object(
        "One attempt.",
        json!({
            "at": instant("When its outcome was known."),
            "outcome": {"description": "`sent`, or what went wrong.", "type": "string"},
        }),
    );
    json!({"description": "Every attempt, oldest first.", "type": "array", "items": tried})
}

fn correlation_id() -> Value {
    json!({"description": "The request or call that caused it.", "type": "string"})
}

fn instant(description: &str) -> Value {
    json!({"description": description, "type": "string", "format": "date-time"})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order_service::{AuditEntry, Delivery};
    use crate::ordering::phone_number::{PhoneNumber, Region};
    use crate::store::Tried;
    use jiff::Timestamp;

    /// With every field said, and with as few as there may be.
    fn deliveries() -> [Delivery; 2] {
        let (now, words) = (Timestamp::UNIX_EPOCH, || Some("words".to_owned()));
        let least = Delivery::owed(1, DeliveryKind::SheetRow, now);
        let most = Delivery {
            to: Some(PhoneNumber::parse("+15551234567", Region::US).expect("a number")),
            body: "It is ready.".to_owned(),
            claimed_until: Some(now),
            refusals: 1,
            certain: 1,
            tries: vec![Tried { at: now, outcome: "sent".to_owned() }],
            reason: words(),
            provider_id: words(),
            carrier_status: words(),
            correlation_id: words(),
            ..Delivery::owed(2, DeliveryKind::TextReady, now)
        };
        [most, least]
    }

    fn changes() -> [AuditEntry; 2] {
        let change = |word: Option<&str>| AuditEntry {
            at: Timestamp::UNIX_EPOCH,
            by: "staff".to_owned(),
            what: "ready".to_owned(),
            version: 2,
            reason: word.map(str::to_owned),
            correlation_id: word.map(str::to_owned),
        };
        [change(Some("words")), change(None)]
    }

    #[test]
    fn the_described_fields_are_those_that_are_stored() {
        let schemas = all();
        let keys = |value: &Value| value.as_object().expect("an object").keys().cloned().collect::<Vec<_>>();
        for (name, [most, least]) in [
            ("Delivery", deliveries().map(|delivery| json!(delivery))),
            ("Change", changes().map(|change| json!(change))),
        ] {
            assert_eq!(keys(&schemas[name]["properties"]), keys(&most), "{name}");
            assert_eq!(schemas[name]["required"], json!(keys(&least)), "{name}: what is always there");
            let schema = jsonschema::validator_for(&schemas[name]).expect("a schema");
            assert!(schema.is_valid(&most) && schema.is_valid(&least), "{name}");
            assert!(!schema.is_valid(&json!({})), "{name}");
        }
    }
}
