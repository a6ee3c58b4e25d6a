//! The tools about telephone numbers and orders placed earlier.
//!
//! Nobody learns a phone number or a name here: an order is found by its number, or by the number that the caller is
//! calling from – not by one that they merely say.

use serde_json::json;

use super::answer::{Code, Failure};
use super::arguments::{Arguments, required};
use super::{Act, Done, Outcome, ToolDesk, ToolRequest};
use crate::order_service::OrderService;
use crate::ordering::order::{OrderId, OrderNumber};
use crate::ordering::phone_number::{PhoneNumber, Region, numbers_in};

impl ToolDesk {
    pub(super) fn save_phone_number(&mut self, mut arguments: Arguments, by: &ToolRequest) -> Outcome {
        let phone = match arguments.text("phone")? {
            Some(said) => self.read_phone(&said)?,
            None => self.callers_number.clone().ok_or_else(|| {
                let error = "I can't see the number you are calling from. Could you tell me your phone number?";
                Failure::new(Code::NoPhone, error)
            })?,
        };
        let done = Done::new(json!({"ok": true, "phone": phone, "spoken": phone.spoken()}));
        self.journal.act(by, Act::SavePhone(phone))?;
        Ok(done)
    }

    pub(super) fn confirm_phone_number(&mut self, mut arguments: Arguments, by: &ToolRequest) -> Outcome {
        let confirmed = required("confirmed", arguments.flag("confirmed")?)?;
        if confirmed && self.journal.phone().is_none() {
            return Err(Failure::new(Code::NoPhone, "I don't have a phone number yet. Could you tell me yours?"));
        }
        self.journal.act(by, if confirmed { Act::ConfirmPhone } else { Act::ForgetPhone })?;
        Ok(Done::new(json!({"ok": true, "confirmed": confirmed, "phone": self.journal.phone()})))
    }

    pub(super) fn extract_phone_and_order(&self, mut arguments: Arguments) -> Outcome {
        let text = required("text", arguments.text("text")?)?;
        let numbers = numbers_in(&text);
        let phone = |text: &str| PhoneNumber::parse(text, self.toolbox.region).ok();
        // A number said in one go, or else with a word somewhere in the middle.
        let whole = numbers.iter().enumerate().find_map(|(at, number)| Some((at..=at, phone(number)?)));
        let found = whole.or_else(|| {
            numbers.windows(2).enumerate().find_map(|(at, pair)| Some((at..=at + 1, phone(&pair.concat())?)))
        });
        let rest =
            numbers.iter().enumerate().filter(|(at, _)| !found.as_ref().is_some_and(|(used, _)| used.contains(at)));
        let order_number = rest.filter_map(|(_, number)| number.parse::<OrderNumber>().ok()).next();
        let phone = found.map(|(_, phone)| phone);
        Ok(Done::new(json!({"phone": phone, "order_number": order_number})))
    }

    /// Which order a request asks about.
    pub(super) fn asked_status(&self, request: &ToolRequest) -> Result<AskedOrder, Failure> {
        let mut arguments = Arguments::parse(&request.arguments, &["phone", "order_number"])?;
        Ok(match (arguments.text("order_number")?, arguments.text("phone")?) {
            (Some(said), _) => match &numbers_in(&said)[..] {
                [number] => number.parse().map_or(AskedOrder::Nobodys, AskedOrder::Number),
                _ => AskedOrder::Nobodys,
            },
            (None, Some(said)) => {
                let phone = self.read_phone(&said)?;
                if self.callers_number.as_ref() == Some(&phone) {
                    AskedOrder::LatestFor(phone)
                } else {
                    AskedOrder::Nobodys
                }
            }
            (None, None) => match (&self.placed, &self.callers_number) {
                (Some((id, _)), _) => AskedOrder::Id(id.clone()),
                (None, Some(own)) => AskedOrder::LatestFor(own.clone()),
                (None, None) => AskedOrder::Nobodys,
            },
        })
    }

    pub(super) fn read_phone(&self, said: &str) -> Result<PhoneNumber, Failure> {
        PhoneNumber::parse(said, self.toolbox.region).map_err(|error| {
            let error = format!("Sorry, {error}. Could you say your phone number again, digit by digit?");
            Failure::new(Code::BadPhone, error)
        })
    }
}

/// An order that a caller asks about.
pub(super) enum AskedOrder {
    Id(OrderId),
    Number(OrderNumber),
    LatestFor(PhoneNumber),
    /// None that they may know of.
    Nobodys,
}

pub(super) async fn order_status(orders: OrderService, asked: AskedOrder) -> Outcome {
    let found = match asked {
        AskedOrder::Id(id) => orders.by_id(&id).await,
        AskedOrder::Number(number) => orders.by_number(number).await,
        AskedOrder::LatestFor(phone) => orders.latest_for_phone(&phone).await,
        AskedOrder::Nobodys => Ok(None),
    };
    let order = found.map_err(|error| {
        tracing::error!("an order could not be looked up: {error}");
        Failure::new(Code::NotSaved, "Sorry, I can't look up orders right now. Please try again in a moment.")
    })?;
    Ok(Done::new(match order {
        Some(order) => json!({
            "found": true,
            "order_number": order.order_number,
            "status": order.status,
            "status_label": order.status.label(),
            "total": order.total,
        }),
        None => json!({"found": false}),
    }))
}

/// The number somebody calls from, as Twilio tells it; `None` when it is withheld or no number.
pub fn callers_number(told: &str, region: Region) -> Option<PhoneNumber> {
    let digits = told.trim().strip_prefix('+')?;
    if WITHHELD.contains(&digits) { None } else { PhoneNumber::parse(told, region).ok() }
}

/// What stands for a withheld number: the words "anonymous", "restricted", "blocked", "unknown" and "unavailable" as
/// they are typed on a telephone's keys. (The words themselves are no numbers and need no list.)
const WITHHELD: [&str; 5] = ["266696687", "7378742833", "2562533", "8656696", "86282452253"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn withheld_numbers_are_the_words_on_a_keypad() {
        let keypad = |word: &str| -> String {
            let key = |letter| b"22233344455566677778889999"[usize::from(letter - b'a')] as char;
            word.bytes().map(key).collect()
        };
        assert_eq!(WITHHELD, ["anonymous", "restricted", "blocked", "unknown", "unavailable"].map(keypad)[..]);
    }

    #[test]
    fn a_callers_number_is_a_number_or_withheld() {
        let number = |told| callers_number(told, Region::US).map(String::from);
        assert_eq!(number("+15551234567").as_deref(), Some("+15551234567"));
        for told in
            ["anonymous", "Restricted", "+266696687", "+86282452253", "", "sip:a@b.c", "client:ana", "5551234567"]
        {
            assert_eq!(number(told), None, "{told}");
        }
    }
}
