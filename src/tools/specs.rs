//! What the agent is told about its tools: names, descriptions for a voice model, and JSON schemas from the menu.

use serde_json::{Map, Value, json};

use crate::ordering::menu::{Field, Kind, Menu};

/// One tool as the agent is told of it.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolSpec {
    /// What the agent calls it by.
    pub name: &'static str,
    /// What it does and when to use it.
    pub description: String,
    /// The JSON schema of its arguments.
    pub parameters: Value,
    /// Whether it must wait until the caller has finished speaking: it cannot be taken back.
    pub defer_until_eot: bool,
}

/// The tools for this menu; `transfer`: whether there is a person to transfer to.
pub fn specs(menu: &Menu, transfer: bool) -> Vec<ToolSpec> {
    let base = menu.base();
    let mut specs = vec![
        spec("menu_summary", "Look up what is on the menu and what it costs. Use it when the caller asks.", [], &[]),
        spec(
            "add_to_cart",
            "Stage ONE drink the caller asked for, with only the choices they mentioned. This does not add it yet: read \
             the returned summary to the caller and ask whether it is right. For several of the same drink use quantity; \
             for different drinks stage, confirm, and then stage the next.",
            drink(menu, true),
            &[&base.name],
        ),
        spec(
            "update_pending_item",
            "Change the staged drink before it is confirmed. Name only what the caller changed; everything else stays. \
             Read the new summary back and ask again.",
            drink(menu, false),
            &[],
        ),
        spec(
            "confirm_pending_to_cart",
            "Put the staged drink into the cart. Use it only after the caller has answered yes to the read-back of \
             exactly this drink.",
            [],
            &[],
        ),
        spec("clear_pending_item", "Drop the staged drink because the caller does not want it.", [], &[]),
        spec(
            "get_cart",
            "Get everything in the cart with the total, to read the whole order back before checkout or when the caller \
             asks what they have so far.",
            [],
            &[],
        ),
        spec("remove_from_cart", "Take one line out of the cart.", [("index".to_owned(), index_schema())], &["index"]),
        spec(
            "modify_cart_item",
            "Change a drink that is already in the cart. Name only what the caller changed. The caller has to hear and \
             confirm the changed order before checkout.",
            std::iter::once(("index".to_owned(), index_schema())).chain(drink(menu, false)),
            &["index"],
        ),
    ];
    if has_sweetness_and_ice(menu) {
        let fields = menu.fields().iter().filter(|field| is_sweetness_or_ice(field));
        specs.push(spec(
            "set_sweetness_ice",
            "Change only the sweetness or the ice of a drink already in the cart; without index, of the last one.",
            std::iter::once(("index".to_owned(), index_schema()))
                .chain(fields.map(|field| (field.name.clone(), field.schema()))),
            &[],
        ));
    }
    specs.extend([
        spec(
            "save_phone_number",
            "Save the caller's phone number. Pass what they said in `phone`; leave it out when they want the number \
             they are calling from. Read the returned `spoken` back to them, digit by digit, and ask whether it is right.",
            [("phone".to_owned(), text("The number as the caller said it."))],
            &[],
        ),
        spec(
            "confirm_phone_number",
            "Note whether the caller said that the phone number you read back is right. False forgets the number.",
            [("confirmed".to_owned(), flag("True only if the caller said that it is right."))],
            &["confirmed"],
        ),
        irreversible(spec(
            "checkout_order",
            &checkout_description(menu),
            [
                ("phone".to_owned(), text("The caller's phone number, unless it is saved already.")),
                ("name".to_owned(), text("The name for the order, as the caller said it.")),
                ("notes".to_owned(), text("A wish about the whole order, in the caller's words.")),
                ("confirmed".to_owned(), flag("True only if the caller said yes to the whole order as you read it back.")),
                (
                    "allow_duplicate".to_owned(),
                    flag("True only after DUPLICATE_ORDER, if the caller wants the same drinks a second time."),
                ),
            ],
            &[],
        )),
        spec("order_is_placed", "Check whether this call's order is placed. Use it when you are not sure.", [], &[]),
        spec(
            "order_status",
            "Tell how an order stands: by its order number, or the latest one of the number the caller is calling from.",
            [
                ("order_number".to_owned(), text("The order number the caller said.")),
                ("phone".to_owned(), text("The phone number, if the caller calls from it.")),
            ],
            &[],
        ),
        spec(
            "extract_phone_and_order",
            "Find a phone number and an order number in something the caller said.",
            [("text".to_owned(), text("What the caller said, word for word."))],
            &["text"],
        ),
        irreversible(spec(
            "end_call",
            "End the call. Use it after the goodbye, or when the caller wants to hang up; never while a question is open.",
            [],
            &[],
        )),
    ]);
    if transfer {
        specs.push(irreversible(spec(
            "transfer_to_human",
            "Put the caller through to a person: when they ask for one, or when you cannot help them. Tell them first.",
            [("reason".to_owned(), text("Why, in a few words."))],
            &[],
        )));
    }
    specs
}

/// Whether the menu has the two choices that `set_sweetness_ice` is for.
pub(super) fn has_sweetness_and_ice(menu: &Menu) -> bool {
    menu.fields().iter().filter(|field| is_sweetness_or_ice(field)).count() == 2
}

fn is_sweetness_or_ice(field: &Field) -> bool {
    matches!(field.kind, Kind::One { .. }) && matches!(field.name.as_str(), "sweetness" | "ice")
}

fn checkout_description(menu: &Menu) -> String {
    let requires = menu.requires();
    let needs = match (requires.phone, requires.name) {
        (true, true) => " It needs the caller's phone number and a name.",
        (true, false) => " It needs the caller's phone number.",
        (false, true) => " It needs a name.",
        (false, false) => "",
    };
    format!(
        "Place the order: everything in the cart. Use it when the caller wants nothing else and has said yes to the \
         whole order.{needs} Say the order number only after this tool has returned it."
    )
}

/// The arguments that describe a drink.
fn drink(menu: &Menu, with_quantity_of_one: bool) -> Vec<(String, Value)> {
    let mut arguments: Vec<(String, Value)> =
        menu.fields().iter().map(|field| (field.name.clone(), field.schema())).collect();
    let limit = menu.limits().drinks_per_order;
    let how_many =
        if with_quantity_of_one { "How many of this drink; 1 when left out." } else { "How many of this drink." };
    arguments.push((
        "quantity".to_owned(),
        json!({"type": "integer", "minimum": 1, "maximum": limit, "description": how_many}),
    ));
    arguments.push((
        "note".to_owned(),
        text("A short wish for the barista that is no choice of the menu. Never a drink, size or topping that is not sold."),
    ));
    arguments
}

fn spec(
    name: &'static str,
    description: &str,
    arguments: impl IntoIterator<Item = (String, Value)>,
    required: &[&str],
) -> ToolSpec {
    let properties: Map<String, Value> = arguments.into_iter().collect();
    let mut parameters =
        Map::from_iter([("type".to_owned(), "object".into()), ("properties".to_owned(), properties.into())]);
    if !required.is_empty() {
        parameters.insert("required".to_owned(), required.into());
    }
    ToolSpec { name, description: description.to_owned(), parameters: parameters.into(), defer_until_eot: false }
}

fn irreversible(spec: ToolSpec) -> ToolSpec {
    ToolSpec { defer_until_eot: true, ..spec }
}

fn index_schema() -> Value {
    json!({"type": "integer", "minimum": 0, "description": "Which line of get_cart's items, counted from 0."})
}

fn text(description: &str) -> Value {
    json!({"type": "string", "description": description})
}

fn flag(description: &str) -> Value {
    json!({"type": "boolean", "description": description})
}
