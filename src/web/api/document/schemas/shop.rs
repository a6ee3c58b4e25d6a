//! The shapes of the menu as data, of the shop's state, and of sums.

use super::{closed, object, optional, reference};
use crate::ordering::menu::Menu;
use crate::ordering::status::OrderStatus;
use crate::web::api::menu::WEEKDAYS;
use crate::web::api::request::MOST_MINUTES;
use serde_json::{Map, Value, json};

/// These schemas, by name.
pub(super) fn all(menu: &Menu) -> Map<String, Value> {
    let count = json!({"type": "integer", "minimum": 0});
    let of_status = |status: OrderStatus| (status.as_str().to_owned(), count.clone());
    let breakdown: Map<String, Value> = OrderStatus::ALL.into_iter().map(of_status).collect();
    let schemas = json!({
        "Deleted": object("How many orders were deleted.", json!({"deleted": count})),
        "Statistics": object(
            "Counts over all orders.",
            json!({
                "total_orders": count,
                "total_revenue": {
                    "$ref": "#/components/schemas/Money",
                    "description": "The sum of all totals, cancelled orders left out.",
                },
                "status_breakdown": object("How many there are of each status.", Value::Object(breakdown)),
                "unique_customers": count,
            }),
        ),
        "Shop": shop(),
        "ShopPatch": shop_patch(menu),
        "Menu": whole_menu(),
        "MenuField": menu_field(),
        "MenuRule": menu_rule(),
    });
    match schemas {
        Value::Object(schemas) => schemas,
        _ => Map::new(),
    }
}

/// When a pause ends, on the wire; `others`: what may stand there beside a pause.
pub(super) fn paused_until(others: &[Value]) -> Value {
    let pauses = [json!({"type": "string", "format": "date-time"}), json!({"const": "resumed"})];
    let any = [&pauses[..], others].concat();
    json!({
        "description": "When orders are taken again, or `resumed`: not before somebody says so.",
        "anyOf": any,
    })
}

fn shop() -> Value {
    let properties = json!({
        "paused_until": paused_until(&[]),
        "sold_out": {
            "description": "Options by name; with the field before it, as in `milk:regular`, where two fields have it.",
            "type": "array",
            "items": {"type": "string"},
            "uniqueItems": true,
        },
    });
    let mut shop = optional(object("What the staff says about the shop.", properties), &["paused_until"]);
    shop["examples"] = json!([{"sold_out": []}]);
    shop
}

/// Names that one field alone has: any menu's other names have to be looked up in the refusal.
pub(super) fn unique_names(menu: &Menu) -> Vec<String> {
    let names = || menu.fields().iter().flat_map(|field| field.option_names());
    names().filter(|name| names().filter(|other| other == name).count() == 1).collect()
}

fn shop_patch(menu: &Menu) -> Value {
    let unique = unique_names(menu);
    let example = unique.first().cloned();
    let properties = json!({
        "paused_until": paused_until(&[json!({"type": "null"})]),
        "paused_for_minutes": {
            "description": "From now on, by the server's clock; instead of `paused_until`.",
            "type": "integer",
            "minimum": 1,
            "maximum": MOST_MINUTES,
        },
        "sold_out": {
            "description": "All that there is no more of, by name; with the field before it where two fields have it.",
            "type": "array",
            "items": {"type": "string", "enum": unique},
        },
    });
    let mut patch = closed(optional(
        object("What to change: what is left out stays, `null` resumes.", properties),
        &["paused_until", "paused_for_minutes", "sold_out"],
    ));
    patch["minProperties"] = 1.into();
    patch["not"] = json!({"required": ["paused_until", "paused_for_minutes"]});
    patch["examples"] = json!([{"paused_for_minutes": 30}, {"paused_until": null, "sold_out": [example]}]);
    patch
}

fn whole_menu() -> Value {
    let count = json!({"type": "integer", "minimum": 1});
    let or_none = json!({"type": ["integer", "null"], "minimum": 1});
    object(
        "What is sold, and by which rules.",
        json!({
            "name": {"description": "The shop's.", "type": "string"},
            "currency": object("What prices are in.", json!({"code": {"type": "string"}, "symbol": {"type": "string"}})),
            "time_zone": {"description": "An IANA name.", "type": ["string", "null"]},
            "closed": {
                "description": "Why no orders are taken now, as a sentence; null: they are.",
                "type": ["string", "null"],
            },
            "hours": hours(),
            "closed_days": {
                "description": "Dates on which the shop stays closed, whatever weekday they are.",
                "type": "array",
                "items": {"type": "string", "format": "date"},
            },
            "fields": {"description": "What the drink is comes first.", "type": "array", "items": reference("MenuField")},
            "rules": {"type": "array", "items": reference("MenuRule")},
            "phone_orders_require": object(
                "What an order by phone cannot do without.",
                json!({"phone": {"type": "boolean"}, "name": {"type": "boolean"}}),
            ),
            "limits": object(
                "How much may be ordered.",
                json!({
                    "drinks_per_order": count,
                    "active_drinks_per_phone": or_none,
                    "note_length": {"description": "Of a line's note, in characters.", "type": "integer"},
                }),
            ),
            "minutes_to_make": {"description": "One drink.", "type": ["integer", "null"]},
            "slots": {
                "description": "How many drinks may be due in how many minutes; null: any number.",
                "type": ["object", "null"],
                "properties": {"minutes": count, "drinks": count},
                "required": ["minutes", "drinks"],
            },
        }),
    )
}

fn hours() -> Value {
    let interval = object(
        "Open from the first to before the second; one that ends no later than it begins ends on the day after.",
        json!({
            "opens": {"type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$"},
            "closes": {"type": "string", "pattern": "^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$"},
        }),
    );
    let day = |(name, _)| (String::from(name), json!({"type": "array", "items": interval}));
    let description = "When the shop is open, by weekday and on its own clock; null: it never closes.";
    let mut hours = closed(object(description, Value::Object(WEEKDAYS.into_iter().map(day).collect())));
    hours["type"] = json!(["object", "null"]);
    hours
}

fn menu_field() -> Value {
    let properties = json!({
        "name": {"type": "string"},
        "price": {"$ref": "#/components/schemas/Money", "description": "What it adds to the drink's."},
        "sold_out": {"description": "Also when what it needs is sold out.", "type": "boolean"},
        "photo": {"description": "The path of a picture of it, where there is one.", "type": "string"},
    });
    let option = optional(object("One thing to choose.", properties), &["photo"]);
    object(
        "One thing to decide about a drink.",
        json!({
            "name": {"description": "Its key in a line.", "type": "string"},
            "label": {"description": "For people.", "type": "string"},
            "kind": {
                "description": "`base` has to be said, `one` has a default, `many` is any number of them.",
                "enum": ["base", "one", "many"],
            },
            "default": {
                "description": "What a drink gets when nothing is said: null, a name, or a list of none.",
                "type": ["string", "array", "null"],
                "items": {"type": "string"},
            },
            "options": {"type": "array", "minItems": 1, "items": option},
        }),
    )
}

fn menu_rule() -> Value {
    let place = |description: &str| {
        let name = json!({"type": "string"});
        object(description, json!({"field": name, "option": name}))
    };
    object(
        "An option that needs another one.",
        json!({
            "if": place("Who chooses this"),
            "then": place("needs this"),
            "say": {"description": "The sentence for who did not.", "type": "string"},
        }),
    )
}
