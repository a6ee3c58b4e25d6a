//! The shapes in the API's description. What can be asked for comes from the menu; what is answered does not, because an
//! order keeps its words when the menu changes.

mod calls;
mod console;
mod deliveries;
mod shop;
mod tables;
mod voicemails;

use crate::ordering::menu::{Field, Kind, Menu};
use crate::ordering::order::Item;
use crate::ordering::status::OrderStatus;
use crate::ordering::{Asked, Channel, Said};
use crate::web::api::request::{LONGEST_ID, LONGEST_NAME, LONGEST_NOTES, LONGEST_REASON};
use crate::web::error::ErrorCode;
use serde_json::{Map, Value, json};

/// A pattern for a character that can be seen.
const VISIBLE: &str = r"[^\s\u0000-\u001f\u007f-\u009f]";

/// A pattern for a phone number as we write it.
const PHONE_WRITTEN: &str = "^\\+[0-9]{4,15}$";

/// Every schema, by name. A shop's id has nothing in it that a pattern would take for a sign.
pub(super) fn all(menu: &Menu, shop_id: &str) -> Value {
    let plain = ["NewOrder", "NewOrderElsewhere"].map(reference);
    let mut schemas = json!({
        "OrderStatus": {
            "description": "Where an order stands.",
            "type": "string",
            "enum": OrderStatus::ALL.map(OrderStatus::as_str),
        },
        "Money": {
            "description": format!("An amount in {} with at most two decimals.", menu.currency().code),
            "type": "number",
            "examples": [6.25],
        },
        "Line": answered_line(menu),
        "Order": order(menu),
        "Orders": {"type": "array", "items": reference("Order")},
        "OrderList": object(
            "One page of orders, newest first.",
            json!({
                "orders": {"type": "array", "items": reference("Order")},
                "next_cursor": {
                    "description": "Where the next page begins; null on the last one.",
                    "type": ["string", "null"],
                },
            }),
        ),
        "NumberedOrder": object(
            "What anybody may know of an order.",
            json!({"order_number": order_number(), "status": reference("OrderStatus")}),
        ),
        "NumberedOrders": {"type": "array", "items": reference("NumberedOrder")},
        "Board": board(),
        "PhoneOfOrder": object(
            "Whom to call about an order.",
            json!({"order_number": order_number(), "phone": {"type": ["string", "null"]}}),
        ),
        "Ok": object("It is done.", json!({"ok": {"const": true}})),
        "Forget": closed(object("Who is to be erased.", json!({"phone": phone(json!("string"))}))),
        "Forgotten": object(
            "From how much they were erased.",
            json!({
                "orders": {"description": "Orders.", "type": "integer", "minimum": 0},
                "deleted_orders": {
                    "description": "Deleted orders whose stored answers were still kept.", "type": "integer", "minimum": 0,
                },
                "calls": {"description": "Records of the calls of their orders.", "type": "integer", "minimum": 0},
            }),
        ),
        "NewLine": nullable(new_line(menu)),
        "NewOrder": nullable(new_order(menu, shop_id)),
        "NewOrderElsewhere": nullable(new_order_elsewhere(menu, shop_id)),
        "AgentOrder": nullable(agent_order(menu)),
        "AgentEnvelope": envelope(
            "An order by an AI agent. Sending it states that the customer has said yes to the whole order.",
            reference("AgentOrder"),
        ),
        "Envelope": nullable(optional(
            envelope("An order by any other program.", json!({"anyOf": plain})),
            &["idempotency_key"],
        )),
        "CreateOrder": {
            "description": "The order itself, or an envelope around it.",
            "anyOf": [plain[0], plain[1], reference("AgentEnvelope"), reference("Envelope")],
        },
        "OrderPatch": order_patch(),
        "StatusChange": optional(
            closed(object(
                "Where an order is to go, and why. `confirmed` is understood as received, `processing` as preparing.",
                json!({
                    "status": {
                        "type": "string",
                        "enum": OrderStatus::ALL.map(OrderStatus::as_str).iter().chain(&["confirmed", "processing"])
                            .collect::<Vec<_>>(),
                    },
                    "reason": nullable_text("For the order's history.", LONGEST_REASON),
                }),
            )),
            &["reason"],
        ),
        "Error": error(),
        "Problem": problem(),
    });
    schemas.as_object_mut().into_iter().for_each(|schemas| {
        let rooms =
            [shop::all(menu), deliveries::all(), console::all(menu), calls::all(), tables::all(), voicemails::all()];
        schemas.extend(rooms.into_iter().flatten());
    });
    schemas
}

fn order(menu: &Menu) -> Value {
    let instant = |description: &str| json!({"description": description, "type": "string", "format": "date-time"});
    let entry = json!({
        "status": reference("OrderStatus"),
        "at": instant("When."),
        "by": {"description": "Who caused it: phone, staff, api …", "type": "string"},
    });
    let mut order = object(
        "An order. Its version is its ETag as well.",
        json!({
            "order_id": order_id(),
            "order_number": order_number(),
            "shop_id": {"type": "string"},
            "channel": channel(),
            "status": reference("OrderStatus"),
            "version": {"description": "Counts up with every change.", "type": "integer", "minimum": 1},
            "name": {"description": "Whom to call out.", "type": ["string", "null"]},
            "phone": {"description": "E.164.", "type": ["string", "null"], "pattern": PHONE_WRITTEN},
            "customer_id": {"description": "Their own id, or else the phone number.", "type": ["string", "null"]},
            "notes": {"type": ["string", "null"]},
            "items": {"type": "array", "items": reference("Line")},
            "total": reference("Money"),
            "call_sid": {"description": "The call it was placed on.", "type": ["string", "null"]},
            "estimated_ready_time": {"type": ["string", "null"], "format": "date-time"},
            "pickup_at": instant("When it is wanted, where that was said."),
            "metadata": {"description": "Whatever the client attached.", "type": "object"},
            "created_at": {"description": "When it was placed, in seconds since 1970.", "type": "integer"},
            "timestamp": instant("The same instant."),
            "updated_at": instant("When it last changed."),
            "history": {
                "description": "Every status it has had, oldest first.",
                "type": "array",
                "items": object("One of them.", entry),
            },
        }),
    );
    order["examples"] = json!([example_order(menu)]);
    optional(order, &["pickup_at"])
}

fn board() -> Value {
    let column = |description: &str, entry: Value| json!({"description": description, "type": "array", "items": entry});
    let entry = |properties: Value| optional(object("One order.", properties), &["name", "table"]);
    let numbered = entry(json!({
        "order_number": order_number(),
        "name": {"type": "string"},
        "table": {"description": "The table that ordered it, where it is at one.", "type": "string"},
    }));
    object(
        "What the screen in the shop shows.",
        json!({
            "preparing": column("Received or being prepared, oldest first.", numbered.clone()),
            "ready": column("Waiting for pickup, oldest first.", numbered),
            "paused": {"description": "Whether no orders are taken for now.", "type": "boolean"},
        }),
    )
}

fn answered_line(menu: &Menu) -> Value {
    let mut properties = Map::new();
    for field in menu.fields() {
        properties.insert(field.name.clone(), json!({"description": format!("The {}.", field.spoken_name())}));
    }
    properties.insert("quantity".to_owned(), json!({"type": "integer", "minimum": 1}));
    properties.insert("price".to_owned(), json!({"$ref": "#/components/schemas/Money", "description": "Of one."}));
    properties.insert("subtotal".to_owned(), reference("Money"));
    properties.insert("note".to_owned(), json!({"type": "string"}));
    json!({
        "description": "A drink, as often as quantity says. An order from before a change of the menu has other choices.",
        "type": "object",
        "properties": properties,
        "required": ["quantity", "price", "subtotal"],
    })
}

/// A line as it is asked for. The options' other names, near misses and lists in one text are understood as well; this is
/// what is certain to be.
fn new_line(menu: &Menu) -> Value {
    let mut properties: Map<String, Value> =
        menu.fields().iter().map(|field| (field.name.clone(), choice(field))).collect();
    let most = menu.limits().drinks_per_order;
    properties.insert("quantity".to_owned(), json!({"type": "integer", "minimum": 1, "maximum": most, "default": 1}));
    properties.insert("note".to_owned(), json!({"type": "string", "maxLength": Menu::LONGEST_NOTE}));
    for (name, what) in [("price", "Of one"), ("subtotal", "Of the line")] {
        let description = format!("{what}. Prices are the shop's: refused if it is another.");
        properties.insert(name.to_owned(), json!({"description": description, "type": "number"}));
    }
    let rules: Vec<&str> = menu.rules().iter().map(|rule| rule.say.as_str()).collect();
    let description = format!(
        "A drink off the menu. What is left out takes its default. Also understood: name or item_name for {}, qty for \
         quantity, unit_price for price. {}",
        menu.base().name,
        rules.join(" ")
    );
    json!({
        "description": description.trim_end(),
        "type": "object",
        "properties": properties,
        "required": [menu.base().name],
        "additionalProperties": false,
        "examples": [example_line(menu)],
    })
}

fn choice(field: &Field) -> Value {
    let options = field.option_names();
    match &field.kind {
        Kind::Base => json!({"description": "What the drink is.", "type": "string", "enum": options}),
        Kind::One { default } => {
            let default = field.options.get(*default).map(|option| &option.name);
            json!({"type": "string", "enum": options, "default": default})
        }
        Kind::Many { none } => json!({
            "description": format!("Any number of them; none: {none}."),
            "type": "array",
            "items": {"type": "string", "enum": options},
            "uniqueItems": true,
            "default": [],
        }),
    }
}

fn new_order(menu: &Menu, shop_id: &str) -> Value {
    let instant =
        |description: &str| json!({"description": description, "type": ["string", "null"], "format": "date-time"});
    let properties = json!({
        "items": lines(menu),
        "channel": {"description": "How it came in; api unless said otherwise.", "type": "string", "enum": channels()},
        "name": nullable_text("Whom to call out.", LONGEST_NAME),
        "phone": phone(json!(["string", "null"])),
        "customer_id": identifier(json!(["string", "null"]), "Whoever orders, by your own id."),
        "notes": nullable_text("What is asked for beside the menu.", LONGEST_NOTES),
        "call_sid": identifier(json!(["string", "null"]), "The call or conversation."),
        "order_id": own_order_id(shop_id),
        "pickup_at": instant("When it is wanted."),
        "estimated_ready_time": instant("When it should be ready; the shop's own estimate unless said."),
        "metadata": {"description": "Whatever you attach: at most 4096 bytes, six levels deep.", "type": "object"},
        "total": {"description": "Prices are the shop's: refused if it is another.", "type": "number"},
        "allow_duplicate": {
            "description": "Order although the same customer ordered the same within five minutes.",
            "type": "boolean",
            "default": false,
        },
        "confirmed": {"description": "That the customer has said yes; there is nothing else to say.", "enum": [true]},
        "status": {"description": "Every order starts as received.", "enum": ["received", "confirmed"]},
    });
    let description = "An order. Also understood: customer_name for name, customer_phone for phone, user_id for \
        customer_id, special_instructions for notes, conversation_id for call_sid, total_price for total, source for \
        channel (ai is the phone), and idempotency_key instead of the header. Two spellings of one thing have to agree. A phone order needs what the menu requires.";
    json!({
        "description": description,
        "type": "object",
        "properties": properties,
        "required": ["items"],
        "additionalProperties": false,
        "examples": [{"name": "Ada", "items": [example_line(menu)]}],
    })
}

/// The same under the names that other systems have for its fields.
fn new_order_elsewhere(menu: &Menu, shop_id: &str) -> Value {
    let mut order = new_order(menu, shop_id);
    order["description"] = "An order in the words of other systems. Also understood: everything of NewOrder.".into();
    let Some(properties) = order["properties"].as_object_mut() else { return order };
    for (ours, theirs) in [
        ("channel", "source"),
        ("name", "customer_name"),
        ("phone", "customer_phone"),
        ("customer_id", "user_id"),
        ("call_sid", "conversation_id"),
        ("total", "total_price"),
    ] {
        let field = properties.remove(ours);
        properties.extend(field.map(|field| (theirs.to_owned(), field)));
    }
    order["examples"] = json!([{"customer_name": "Ada", "items": [example_line(menu)]}]);
    order
}

fn agent_order(menu: &Menu) -> Value {
    optional(
        closed(object(
            "What an AI agent has been told by a customer. Also understood: everything of NewOrder.",
            json!({
                "user_id": identifier(json!("string"), "Whoever orders, by your own id."),
                "customer_name": {"type": "string", "maxLength": LONGEST_NAME, "pattern": VISIBLE},
                "customer_phone": phone(json!("string")),
                "items": lines(menu),
                "source": {"const": "ai"},
                "notes": nullable_text("What is asked for beside the menu.", LONGEST_NOTES),
                "conversation_id": identifier(json!(["string", "null"]), "The conversation."),
                "confirmed": {"enum": [true]},
            }),
        )),
        &["notes", "conversation_id", "confirmed"],
    )
}

fn envelope(description: &str, payload: Value) -> Value {
    let properties = json!({
        "version": {"const": "1.0"},
        "action": {"const": "create_order"},
        "payload": payload,
        "idempotency_key": key(),
    });
    closed(object(description, properties))
}

fn order_patch() -> Value {
    let mut patch = optional(
        closed(object(
            "What to change; null erases, and what is left out stays. Also understood: customer_name, special_instructions.",
            json!({
                "estimated_ready_time": {"type": ["string", "null"], "format": "date-time"},
                "notes": nullable_text("What was asked for beside the menu.", LONGEST_NOTES),
                "name": nullable_text("Whom to call out.", LONGEST_NAME),
            }),
        )),
        &["estimated_ready_time", "notes", "name"],
    );
    patch["minProperties"] = 1.into();
    patch
}

fn error() -> Value {
    let inner = object(
        "What went wrong.",
        json!({
            "code": code(),
            "message": {"description": "A sentence to read.", "type": "string"},
            "details": details(),
        }),
    );
    let mut error = object(
        "Every error.",
        json!({"success": {"const": false}, "error": inner, "correlation_id": {"type": "string"}}),
    );
    error["examples"] = json!([{
        "success": false,
        "error": {"code": "NOT_FOUND", "message": "there is no order 4782", "details": {}},
        "correlation_id": "req_7d1f0c2ab94e6a35",
    }]);
    error
}

fn problem() -> Value {
    object(
        "Every error, after RFC 9457.",
        json!({
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "code": code(),
            "details": details(),
            "correlation_id": {"type": "string"},
        }),
    )
}

fn code() -> Value {
    json!({"description": "To act on.", "type": "string", "enum": ErrorCode::ALL.map(ErrorCode::as_str)})
}

fn details() -> Value {
    let description = "What helps to mend it: the field, the choices, the existing order's id, and under problems every \
        other thing that is wrong.";
    json!({"description": description, "type": "object"})
}

fn lines(menu: &Menu) -> Value {
    json!({"type": "array", "minItems": 1, "maxItems": menu.limits().drinks_per_order, "items": reference("NewLine")})
}

fn key() -> Value {
    json!({
        "description": "Names this request, so that sending it again does not order again. The header Idempotency-Key does the same.",
        "type": "string",
        "pattern": "^[!-~]{1,255}$",
    })
}

/// The format is no registered one; it tells generators of examples what the pattern cannot.
fn phone(kind: Value) -> Value {
    json!({
        "description": "Any way of writing it; without a country code it belongs to the shop's country.",
        "type": kind,
        "format": "phone",
        "examples": ["+15551234567"],
    })
}

fn order_id() -> Value {
    json!({"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$", "examples": ["ORD-main-42"]})
}

fn own_order_id(shop_id: &str) -> Value {
    json!({
        "description": "Your own id for the order; the shop's own are not yours to give.",
        "type": "string",
        "pattern": "^[A-Za-z0-9_-]{1,64}$",
        "not": {"type": "string", "pattern": format!("^ORD-{shop_id}-[0-9]+$")},
        "examples": ["TILL-7"],
    })
}

fn order_number() -> Value {
    json!({"description": "What the customer is told.", "type": "string", "pattern": "^[1-9][0-9]{3,4}$"})
}

fn channel() -> Value {
    json!({"description": "How it came in.", "type": "string", "enum": channels()})
}

fn channels() -> [&'static str; 3] {
    [Channel::Phone, Channel::Web, Channel::Api].map(Channel::as_str)
}

/// As `request` reads one: a line that would stay as it is.
fn identifier(kind: Value, description: &str) -> Value {
    let pattern = format!("^{VISIBLE}+( {VISIBLE}+)*$");
    json!({"description": description, "type": kind, "maxLength": LONGEST_ID, "pattern": pattern})
}

fn nullable_text(description: &str, longest: usize) -> Value {
    json!({"description": description, "type": ["string", "null"], "maxLength": longest})
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// An object that has all of these.
fn object(description: &str, properties: Value) -> Value {
    let required: Vec<&String> = properties.as_object().into_iter().flat_map(Map::keys).collect();
    let required = json!(required);
    json!({"description": description, "type": "object", "properties": properties, "required": required})
}

/// Without these being required.
fn optional(mut schema: Value, names: &[&str]) -> Value {
    if let Some(required) = schema.get_mut("required").and_then(Value::as_array_mut) {
        required.retain(|name| !name.as_str().is_some_and(|name| names.contains(&name)));
    }
    schema
}

/// With nothing else.
fn closed(mut schema: Value) -> Value {
    schema["additionalProperties"] = false.into();
    schema
}

/// With `null` allowed wherever a property may be left out: it says the same.
fn nullable(mut schema: Value) -> Value {
    let required = schema["required"].clone();
    for (name, property) in schema.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten() {
        if required.as_array().is_some_and(|required| required.contains(&Value::from(name.as_str()))) {
            continue;
        }
        if let Some(kind) = property.get_mut("type").filter(|kind| kind.is_string()) {
            *kind = json!([kind, "null"]);
        }
        if let Some(options) = property.get_mut("enum").and_then(Value::as_array_mut) {
            options.push(Value::Null);
        }
    }
    schema
}

/// The first drink on the menu with everything at its default, as it is asked for.
fn example_line(menu: &Menu) -> Value {
    let base = menu.base();
    let first = base.options.first().map(|option| option.name.as_str());
    json!({&base.name: first, "quantity": 1})
}

fn example_order(menu: &Menu) -> Value {
    let base = menu.base();
    let first = base.options.first().map(|option| option.name.clone()).unwrap_or_default();
    let asked = Asked { fields: vec![(base.name.clone(), Said::One(first))], quantity: Some(1), note: None };
    let items: Vec<Item> = menu.item(&asked).into_iter().collect();
    json!({
        "order_id": "ORD-main-42", "order_number": "4782", "shop_id": "main", "channel": "phone",
        "status": "received", "version": 1, "name": null, "phone": "+15551234567", "customer_id": "+15551234567",
        "notes": null, "total": crate::ordering::order::total(&items), "items": items,
        "call_sid": "CA00000000000000000000000000000042", "estimated_ready_time": null, "metadata": {},
        "created_at": 1_704_067_200, "timestamp": "2024-01-01T00:00:00.000000+00:00",
        "updated_at": "2024-01-01T00:00:00.000000+00:00",
        "history": [{"status": "received", "at": "2024-01-01T00:00:00.000000+00:00", "by": "phone"}],
    })
}
