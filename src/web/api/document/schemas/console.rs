//! The shapes of what the console shows and says.

use super::shop::{paused_until, unique_names};
use super::{closed, object, reference};
use crate::order_service::TextState;
use crate::ordering::menu::Menu;
use serde_json::{Map, Value, json};

/// These schemas, by name.
pub(super) fn all(menu: &Menu) -> Map<String, Value> {
    let entries = |description: &str| list(description, &reference("ConsoleEntry"));
    let made = json!({"description": "The lines that are made.", "type": "array", "items": place()});
    let call = object("One of them.", json!({"call_sid": {"type": "string"}, "started_at": instant("Since when.")}));
    let left = instant("One of them.");
    let schemas = json!({
        "Console": object(
            "Everything on the console, at one moment.",
            json!({
                "now": instant("That moment, by the server's clock."),
                "open": entries("Every order that is neither completed nor cancelled, oldest first."),
                "recent": entries("The latest orders of any status, newest first."),
                "failures": list("Deliveries that were given up.", &reference("FailedDelivery")),
                "shop": reference("ShopNow"),
                "menu": list("What can be switched off.", &reference("Switchboard")),
                "calls": list("Calls in progress, the longest first.", &call),
                "messages": list("When each of the latest messages of callers was left, newest first.", &left),
                "settings": settings(),
            }),
        ),
        "ConsoleEntry": object(
            "An order with what is noted beside it.",
            json!({
                "order": reference("Order"),
                "made": made,
                "rushed_at": instant_or_none("Since when it is to be made before all others."),
                "undo_until": instant_or_none("Until when its last change of status can be undone."),
                "ticket": ticket(),
                "texts": texts(),
            }),
        ),
        "Mark": {
            "description": "A line is made or is not, or the order is to be made before all others or is not.",
            "anyOf": [
                closed(object("A line.", json!({"item": place(), "made": {"type": "boolean"}}))),
                closed(object("The order.", json!({"rush": {"type": "boolean"}}))),
            ],
        },
        "ShopNow": object(
            "Whether orders are taken, and what is sold out.",
            json!({
                "ordering": {"enum": ["open", "paused", "closed"]},
                "closed": {
                    "description": "Why no orders are taken now, as a sentence; null: they are.",
                    "type": ["string", "null"],
                },
                "paused_until": paused_until(&[json!({"type": "null"})]),
                "sold_out": list("The ids of what is switched off.", &json!({"type": "string"})),
            }),
        ),
        "SoldOutSwitch": closed(object(
            "One option.",
            json!({
                "id": {
                    "description": "Its name; with the field before it, as in `milk:regular`, where two fields have it.",
                    "type": "string",
                    "enum": unique_names(menu),
                },
                "sold_out": {"type": "boolean"},
            }),
        )),
        "Switchboard": switchboard(),
    });
    match schemas {
        Value::Object(schemas) => schemas,
        _ => Map::new(),
    }
}

fn settings() -> Value {
    let minutes = |colour: &str| {
        let description = format!("From so many minutes on an order's age is {colour}.");
        json!({"description": description, "type": "integer", "minimum": 1})
    };
    object(
        "How the console is set.",
        json!({
            "amber_minutes": minutes("amber"),
            "red_minutes": minutes("red"),
            "transcripts": {"description": "Whether what is said in calls can be read along.", "type": "boolean"},
            "currency": {"description": "The sign before a price.", "type": "string"},
            "signed_in": {"description": "Whether there is anything to sign out of.", "type": "boolean"},
        }),
    )
}

fn ticket() -> Value {
    let mut ticket = object(
        "Where an order stands with the point of sale; null: nobody is waited for, and nothing is to be done there.",
        json!({
            "state": {
                "description": "refused: it is not put to it any more by itself; taken: it is cancelled here, and the point of sale has it.",
                "enum": ["waiting", "refused", "taken"],
            },
            "since": instant_or_none("Since when it waits."),
            "reason": {"description": "Why it has not been taken; null: nobody knows.", "type": ["string", "null"]},
            "reference": {"description": "The point of sale's own name for what it has taken.", "type": ["string", "null"]},
        }),
    );
    ticket["type"] = json!(["object", "null"]);
    ticket
}

fn texts() -> Value {
    let states = [TextState::Owed, TextState::Sent, TextState::Failed, TextState::Skipped, TextState::Dropped];
    let names: Vec<Value> = states.iter().map(|state| state.as_str().into()).chain([Value::Null]).collect();
    let text = json!({
        "description": "Of the newest of its kind; dropped: taken back unsent; null: there is none.",
        "enum": names,
    });
    object("What became of the customer's texts.", json!({"received": text, "ready": text, "cancelled": text}))
}

fn switchboard() -> Value {
    let option = object(
        "One thing to choose.",
        json!({
            "name": {"type": "string"},
            "id": {"description": "What it is switched off and on by.", "type": "string"},
            "sold_out": {"description": "Whether it is switched off.", "type": "boolean"},
            "lacking": {"description": "Whether it, or something that it needs, is switched off.", "type": "boolean"},
        }),
    );
    object(
        "One thing to decide about a drink.",
        json!({
            "name": {"description": "Its key in a line.", "type": "string"},
            "label": {"description": "For people.", "type": "string"},
            "kind": {"enum": ["base", "one", "many"]},
            "default": {"description": "What is taken unasked, where one has to be.", "type": ["string", "null"]},
            "options": list("All of them.", &option),
        }),
    )
}

fn list(description: &str, items: &Value) -> Value {
    json!({"description": description, "type": "array", "items": items})
}

fn place() -> Value {
    json!({"description": "A line's place in the order, from 0.", "type": "integer", "minimum": 0})
}

fn instant(description: &str) -> Value {
    json!({"description": description, "type": "string", "format": "date-time"})
}

fn instant_or_none(description: &str) -> Value {
    json!({"description": format!("{description} Null: it is not."), "type": ["string", "null"], "format": "date-time"})
}
