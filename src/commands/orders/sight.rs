//! Orders as operators see them: phone numbers masked unless they are asked for, nothing in them that a terminal obeys.
//!
//! What an orderer attached as metadata, notes and names are shown as they are.

use crate::ordering::order::{Choice, Item, Order};
use crate::ordering::phone_number::PhoneNumber;
use serde_json::Value;

/// Digits from which on a customer id is taken for a phone number.
const DIGITS_OF_A_NUMBER: usize = 7;

/// Whether phone numbers are shown.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct Sight {
    /// Show phone numbers whole
    #[arg(long)]
    phones: bool,
}

impl Sight {
    pub(super) fn phone(self, phone: Option<&PhoneNumber>) -> String {
        let shown = |phone: &PhoneNumber| if self.phones { phone.as_e164().to_owned() } else { phone.masked() };
        phone.map(shown).unwrap_or_default()
    }

    /// Customer ids are phone numbers where the customer brought no other.
    pub(super) fn customer(self, id: Option<&str>) -> String {
        let id = id.unwrap_or_default();
        if self.phones || !looks_like_a_number(id) { id.to_owned() } else { masked(id) }
    }

    /// The order as the API shows it.
    pub(super) fn json(self, order: &Order) -> serde_json::Result<Value> {
        let mut json = serde_json::to_value(order)?;
        if let Some(phone) = json.get_mut("phone").filter(|phone| !phone.is_null()) {
            *phone = self.phone(order.phone.as_ref()).into();
        }
        if let Some(customer) = json.get_mut("customer_id").filter(|customer| !customer.is_null()) {
            *customer = self.customer(order.customer_id.as_deref()).into();
        }
        Ok(json)
    }
}

/// A line's drink in words, as often as it is ordered: `2 x taro milk tea, boba, 50%, regular ice`.
pub(super) fn drink(item: &Item) -> String {
    let chosen = item.fields.iter().flat_map(|(_, choice)| match choice {
        Choice::One(option) => std::slice::from_ref(option),
        Choice::Many(options) => options,
    });
    let words: Vec<&str> = chosen.map(String::as_str).collect();
    let note = item.note.as_ref().map(|note| format!(" ({note})")).unwrap_or_default();
    format!("{} x {}{note}", item.quantity, words.join(", "))
}

/// One line of text without anything that a terminal would take for a command.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}

fn looks_like_a_number(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    digits >= DIGITS_OF_A_NUMBER && text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.() /".contains(&byte))
}

fn masked(number: &str) -> String {
    let digits: String = number.chars().filter(char::is_ascii_digit).collect();
    let (hidden, shown) = digits.split_at(digits.len().saturating_sub(2));
    format!("{}{shown}", "*".repeat(hidden.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MASKED: Sight = Sight { phones: false };

    #[test]
    fn customer_ids_that_are_numbers_are_masked_and_others_are_not() {
        for number in ["+15551234567", "15551234567", "(555) 123-45.67", "555-1267"] {
            let shown = MASKED.customer(Some(number));
            assert!(shown.starts_with("*****") && shown.ends_with("67"), "{number}: {shown}");
            assert_eq!(Sight { phones: true }.customer(Some(number)), number);
        }
        for other in ["", "ada", "123456", "user-5551234567", "user_1"] {
            assert_eq!(MASKED.customer(Some(other)), other);
        }
    }

    #[test]
    fn a_terminal_is_told_nothing() {
        assert_eq!(plain("Ada\u{1b}[2J\r\n7"), "Ada\u{fffd}[2J\u{fffd}\u{fffd}7");
    }
}
