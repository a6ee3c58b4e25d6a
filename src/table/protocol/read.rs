//! Reads what a guest's screen sends: whatever it is, the outcome is a message or a sentence that says what is wrong.
//!
//! It knows no menu: what an item holds beside `qty` and `note` is handed on as it was said. Keys of a message that are not
//! ours are read over, so that a screen of tomorrow may say more than a server of today understands.

use super::{
    Action, ClientMessage, LONGEST_MESSAGE, LONGEST_NAME, LONGEST_NOTES, Operation, PlaceOrder, RefusalCode, Refused,
};
use crate::ordering::menu::{Asked, Said};
use crate::ordering::money::Money;
use crate::ordering::order::{one_line, stored_instant};
use crate::table::names::Name;
use jiff::Timestamp;
use serde_json::{Map, Value};

/// The longest name of an operation, in bytes.
const LONGEST_OP_ID: usize = 64;
/// The longest phone number as it is typed, in bytes.
const LONGEST_PHONE: usize = 64;
/// The longest name of a line, in bytes.
const LONGEST_PUBLIC_ID: usize = 128;

type Object = Map<String, Value>;

impl ClientMessage {
    /// Reads one message.
    ///
    /// # Errors
    /// A sentence, with the operation's id where that could be read.
    pub fn parse(text: &str) -> Result<ClientMessage, Box<Refused>> {
        if text.len() > LONGEST_MESSAGE {
            return Err(bad("This message is too long."));
        }
        let Ok(Value::Object(mut object)) = serde_json::from_str(text) else {
            return Err(bad("This is no JSON object."));
        };
        match object.get("type").and_then(Value::as_str) {
            Some("snapshot") => return Ok(ClientMessage::Snapshot),
            Some("ping") => return Ok(ClientMessage::Ping),
            _ => {}
        }
        let op_id = op_id(&object)?;
        match action(&mut object) {
            Ok(action) => Ok(ClientMessage::Do(Operation { op_id, action })),
            Err(refused) => Err(Box::new(Refused { op_id: Some(op_id), ..*refused })),
        }
    }
}

fn op_id(object: &Object) -> Result<String, Box<Refused>> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    match object.get("op_id") {
        Some(Value::String(id)) if (1..=LONGEST_OP_ID).contains(&id.len()) && id.bytes().all(allowed) => Ok(id.clone()),
        _ => Err(bad("An operation needs an \"op_id\" of 1 to 64 letters, digits, - and _.")),
    }
}

fn action(object: &mut Object) -> Result<Action, Box<Refused>> {
    let action = match object.get("type").and_then(Value::as_str) {
        Some("add_item") => Action::AddItem(asked(object)?),
        Some("update_item") => {
            Action::UpdateItem { public_id: public_id(object)?, revision: revision(object)?, item: asked(object)? }
        }
        Some("remove_item") => Action::RemoveItem { public_id: public_id(object)?, revision: revision(object)? },
        Some("clear_cart") => Action::ClearCart { revision: revision(object)? },
        Some("place_order") => Action::PlaceOrder(place_order(object)?),
        Some("set_name") => {
            Action::SetName(name(object)?.ok_or_else(|| Refused::new(RefusalCode::NoName, "Please tell us a name."))?)
        }
        Some("ask_to_pay") => Action::AskToPay,
        _ => return Err(bad("\"type\" is none of this protocol's.")),
    };
    Ok(action)
}

fn place_order(object: &mut Object) -> Result<PlaceOrder, Box<Refused>> {
    let total = object.remove("total").ok_or_else(|| bad("\"total\" is missing: what the guest was shown."))?;
    let total: Money = serde_json::from_value(total).map_err(|_| bad("\"total\" has to be an amount such as 6.25."))?;
    Ok(PlaceOrder {
        revision: revision(object)?,
        total,
        special_instructions: match object.get("special_instructions") {
            None | Some(Value::Null) => None,
            Some(_) => Some(line(object, "special_instructions", LONGEST_NOTES)?),
        },
        name: name(object)?,
        phone: phone(object)?,
        pickup_at: pickup_at(object)?,
    })
}

/// What is asked of a drink: everything in `item` that is not a count or a note is a field of the menu, or none.
fn asked(object: &mut Object) -> Result<Asked, Box<Refused>> {
    let Some(Value::Object(item)) = object.remove("item") else {
        return Err(bad("\"item\" has to be an object."));
    };
    let mut asked = Asked::default();
    for (key, value) in item {
        match key.as_str() {
            "qty" | "quantity" => {
                let quantity = quantity(&value)?;
                if asked.quantity.is_some_and(|before| before != quantity) {
                    return Err(bad("\"qty\" and \"quantity\" are the same, and differ."));
                }
                asked.quantity = Some(quantity);
            }
            // No note is an empty one: it takes a note away.
            "note" => asked.note = Some(text(&value, "note")?),
            // Not said.
            _ if value.is_null() => {}
            _ => {
                let said = said(value).ok_or_else(|| bad("What is chosen has to be a text or a list of texts."))?;
                asked.fields.push((key, said));
            }
        }
    }
    Ok(asked)
}

fn said(value: Value) -> Option<Said> {
    let word = |value: Value| match value {
        Value::String(text) => Some(text),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    match value {
        Value::Array(values) => values.into_iter().map(word).collect::<Option<_>>().map(Said::Many),
        value => word(value).map(Said::One),
    }
}

/// One beyond what we count to is as good as the largest: no limit allows it.
fn quantity(value: &Value) -> Result<u32, Box<Refused>> {
    match value.as_f64() {
        Some(number) if number >= 0.0 && number.fract() == 0.0 => Ok(number as u32),
        _ => Err(bad("\"qty\" has to be a whole number.")),
    }
}

fn public_id(object: &Object) -> Result<String, Box<Refused>> {
    match object.get("public_id") {
        Some(Value::String(id)) if id.len() <= LONGEST_PUBLIC_ID => Ok(id.clone()),
        _ => Err(bad("\"public_id\" has to name a line.")),
    }
}

fn revision(object: &Object) -> Result<u64, Box<Refused>> {
    let revision = object.get("revision").and_then(Value::as_u64);
    revision.ok_or_else(|| bad("\"revision\" has to be the one that was seen, a whole number."))
}

fn line(object: &Object, key: &str, longest: usize) -> Result<Option<String>, Box<Refused>> {
    let Some(value) = object.get(key) else { return Ok(None) };
    one_line(&text(value, key)?, longest)
        .map_err(|_| bad(format!("\"{key}\" has to be shorter: {longest} characters at most.")))
}

/// What somebody may also call themselves who joins.
fn name(object: &Object) -> Result<Option<String>, Box<Refused>> {
    let Some(text) = line(object, "name", LONGEST_NAME)? else { return Ok(None) };
    let none = || Refused::new(RefusalCode::NoName, "That does not look like a name. Please tell us another one.");
    Ok(Some(Name::parse(&text, LONGEST_NAME).ok_or_else(none)?.into()))
}

/// Nothing at all is an empty text.
fn text(value: &Value, key: &str) -> Result<String, Box<Refused>> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Null => Ok(String::new()),
        _ => Err(bad(format!("\"{key}\" has to be a text."))),
    }
}

fn phone(object: &Object) -> Result<Option<String>, Box<Refused>> {
    let Some(value) = object.get("phone") else { return Ok(None) };
    let typed = text(value, "phone")?;
    if typed.len() > LONGEST_PHONE {
        return Err(Refused::new(RefusalCode::BadPhone, "That is too long for a phone number."));
    }
    Ok(Some(typed).filter(|typed| !typed.trim().is_empty()))
}

fn pickup_at(object: &Object) -> Result<Option<Timestamp>, Box<Refused>> {
    match object.get("pickup_at") {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            let at = value.as_str().and_then(|text| text.parse().ok()).map(stored_instant);
            at.map(Some).ok_or_else(|| bad("\"pickup_at\" has to be a time such as 2026-01-31T09:30:00Z."))
        }
    }
}

fn bad(message: impl Into<String>) -> Box<Refused> {
    Refused::new(RefusalCode::BadMessage, message)
}
