//! The shapes of tables and of what goes on at them.

use super::{closed, object, reference};
use crate::table::{LONGEST_TABLE, Name};
use serde_json::{Map, Value, json};

/// These schemas, by name.
pub(super) fn all() -> Map<String, Value> {
    let instant = |description: &str| json!({"description": description, "type": "string", "format": "date-time"});
    let count = |description: &str| json!({"description": description, "type": "integer", "minimum": 0});
    let sessions =
        |description: &str| json!({"description": description, "type": "array", "items": reference("TableSession")});
    let mut new_table = closed(object(
        "A table to set up.",
        json!({
            "name": {
                "description": "One line that can be seen.",
                "type": "string",
                "minLength": 1,
                "maxLength": LONGEST_TABLE,
                "pattern": Name::PATTERN,
            },
        }),
    ));
    new_table["examples"] = json!([{"name": "Table 7"}]);
    let schemas = json!({
        "Tables": object(
            "All tables, and who orders ahead.",
            json!({
                "tables": {"description": "By name.", "type": "array", "items": reference("Table")},
                "ahead": sessions("Of those who order ahead."),
            }),
        ),
        "Table": object(
            "A table.",
            json!({
                "table_id": {"description": "Names it.", "type": "string"},
                "name": {"description": "What people call it.", "type": "string"},
                "link": {"description": "Where its code leads to.", "type": "string"},
                "created_at": instant("When it was set up."),
                "sessions": sessions("What goes on at it, the session that all share first."),
            }),
        ),
        "NewTable": new_table,
        "TableSession": object(
            "Guests who order together.",
            json!({
                "session": {"description": "Names it.", "type": "string"},
                "kind": {"description": "Whose cart it is.", "enum": ["table", "private", "ahead"]},
                "guests": {"description": "What they call themselves.", "type": "array", "items": {"type": "string"}},
                "connected": count("Screens that are connected."),
                "count": count("Drinks in the cart."),
                "orders": count("Orders that were taken."),
                "locked": {"description": "Whether an order is on its way.", "type": "boolean"},
                "bill_asked_at": {
                    "description": "Since when they want to pay; null: they have not said so.",
                    "type": ["string", "null"],
                    "format": "date-time",
                },
                "started_at": instant("When it began."),
                "last_active": instant("When something last happened in it."),
            }),
        ),
    });
    match schemas {
        Value::Object(schemas) => schemas,
        _ => Map::new(),
    }
}
