//! An order in words, for people. Pure.

use crate::ordering::menu::Menu;
use crate::ordering::order::{Channel, Choice, Item, Order};
use crate::ordering::phone_number::PhoneNumber;
use jiff::Timestamp;
use std::fmt::Write as _;

/// Some lines: number and status, when and how, for whom, every drink with what it costs, the total. Times are those of
/// the shop's clock.
pub(super) fn summary(order: &Order, menu: &Menu) -> String {
    let mut text = format!("Order {} ({}): {}\n", order.order_number, order.order_id, order.status.label());
    let mut line = |line: String| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{line}");
    };
    let clock = |at: Timestamp| at.to_zoned(menu.time_zone().clone()).strftime("%Y-%m-%d %H:%M").to_string();
    let by = match order.channel {
        Channel::Phone => "by phone",
        Channel::Web => "on the web",
        Channel::Api => "over the API",
    };
    line(format!("Placed {by} at {}", clock(order.created_at)));
    match (order.pickup_at, order.estimated_ready_time) {
        (Some(at), _) => line(format!("To be picked up at {}", clock(at))),
        (None, Some(at)) => line(format!("Should be ready at {}", clock(at))),
        (None, None) => {}
    }
    let customer = [order.name.as_deref(), order.phone.as_ref().map(PhoneNumber::as_e164)];
    let customer: Vec<&str> = customer.into_iter().flatten().collect();
    if !customer.is_empty() {
        line(format!("For {}", customer.join(", ")));
    }
    line(String::new());
    for item in &order.items {
        line(format!("{:>10}  {}", menu.amount(item.subtotal()), words(item, menu)));
    }
    line(format!("{:>10}  in total", menu.amount(order.total)));
    if let Some(notes) = &order.notes {
        line(format!("\nNotes: {notes}"));
    }
    text
}

/// As the menu says it; a line of another menu in its own words.
fn words(item: &Item, menu: &Menu) -> String {
    if menu.fields().iter().all(|field| item.choice(&field.name).is_some()) {
        return menu.summary(item);
    }
    let chosen = item.fields.iter().flat_map(|(_, choice)| match choice {
        Choice::One(option) => std::slice::from_ref(option),
        Choice::Many(options) => options,
    });
    let mut words = format!("{} x {}", item.quantity, chosen.cloned().collect::<Vec<_>>().join(", "));
    if let Some(note) = &item.note {
        let _ = write!(words, " | note: {note}");
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ordering::menu::{Asked, Said};
    use crate::ordering::status::OrderStatus;

    fn order(menu: &Menu) -> Order {
        let drink = |fields: &[(&str, &str)], quantity, note: Option<&str>| {
            let fields =
                fields.iter().map(|(name, said)| ((*name).to_owned(), Said::One((*said).to_owned()))).collect();
            menu.item(&Asked { fields, quantity: Some(quantity), note: note.map(str::to_owned) }).unwrap()
        };
        let items = vec![
            drink(&[("flavor", "taro"), ("toppings", "boba")], 2, Some("no straw")),
            drink(&[("flavor", "black")], 1, None),
        ];
        Order {
            order_id: "ORD-main-42".parse().unwrap(),
            order_number: "4782".parse().unwrap(),
            shop_id: "main".to_owned(),
            channel: Channel::Phone,
            status: OrderStatus::Preparing,
            version: 2,
            name: Some("Ada".to_owned()),
            phone: Some(PhoneNumber::parse("+15551234567", crate::ordering::Region::US).unwrap()),
            customer_id: None,
            notes: Some("by the window".to_owned()),
            total: crate::ordering::order::total(&items),
            items,
            call_sid: None,
            estimated_ready_time: Some("2024-01-01T20:10:00Z".parse().unwrap()),
            pickup_at: None,
            metadata: serde_json::Map::new(),
            created_at: "2024-01-01T20:00:00Z".parse().unwrap(),
            updated_at: "2024-01-01T20:01:00Z".parse().unwrap(),
            history: vec![],
        }
    }

    #[test]
    fn it_reads_well() {
        let menu = Menu::builtin("boba").unwrap();
        insta::assert_snapshot!(summary(&order(&menu), &menu), @"
        Order 4782 (ORD-main-42): Being prepared
        Placed by phone at 2024-01-01 12:00
        Should be ready at 2024-01-01 12:10
        For Ada, +15551234567

            $12.50  2 x taro milk tea | boba | no add-ons | 50%, regular ice | note: no straw
             $5.50  black milk tea | no toppings | no add-ons | 50%, regular ice
            $18.00  in total

        Notes: by the window
        ");
    }

    #[test]
    fn what_is_not_known_is_not_said_and_another_menus_order_still_reads() {
        let (boba, coffee) = (Menu::builtin("boba").unwrap(), Menu::builtin("coffee").unwrap());
        let order = Order {
            name: None,
            phone: None,
            notes: None,
            estimated_ready_time: None,
            pickup_at: Some("2024-01-01T21:00:00Z".parse().unwrap()),
            channel: Channel::Api,
            ..order(&boba)
        };
        insta::assert_snapshot!(summary(&order, &coffee), @"
        Order 4782 (ORD-main-42): Being prepared
        Placed over the API at 2024-01-01 15:00
        To be picked up at 2024-01-01 16:00

            $12.50  2 x taro milk tea, boba, 50%, regular ice | note: no straw
             $5.50  1 x black milk tea, 50%, regular ice
            $18.00  in total
        ");
    }
}
