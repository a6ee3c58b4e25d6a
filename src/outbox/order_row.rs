//! An order as a row of the spreadsheet, in the words and the time of the shop.
//!
//! Does not know which row is whose, nor when it is written.

use super::sheets::Row;
use crate::ordering::menu::Menu;
use crate::ordering::order::Order;

/// The row that tells this order.
pub(super) fn row(order: &Order, menu: &Menu) -> Row {
    let items: Vec<String> = order.items.iter().map(|item| menu.summary(item)).collect();
    Row {
        order_id: order.order_id.to_string(),
        date: order.created_at.to_zoned(menu.time_zone().clone()).strftime("%Y-%m-%d %H:%M").to_string(),
        customer: order.name.clone().unwrap_or_default(),
        phone: order.phone.as_ref().map(|phone| phone.as_e164().to_owned()).unwrap_or_default(),
        items: items.join("; "),
        total_qty: order.drinks(),
        status: order.status.label().to_owned(),
        source: order.channel.to_string(),
        notes: order.notes.clone().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ordering::menu::{Asked, Said};
    use crate::ordering::order::{Channel, HistoryEntry, OrderId, OrderNumber, total};
    use crate::ordering::phone_number::{PhoneNumber, Region};
    use crate::ordering::status::OrderStatus;
    use jiff::Timestamp;

    fn order(menu: &Menu) -> Order {
        let item = |quantity, note: Option<&str>| {
            let fields = vec![("flavor".to_owned(), Said::One("taro".to_owned()))];
            menu.item(&Asked { fields, quantity: Some(quantity), note: note.map(str::to_owned) }).expect("on the menu")
        };
        let items = vec![item(1, None), item(2, Some("for Bo"))];
        let at = Timestamp::from_second(1_704_067_200).expect("a valid instant");
        Order {
            order_id: OrderId::numbered("main", 42),
            order_number: OrderNumber::new(4782).expect("a number"),
            shop_id: "main".to_owned(),
            channel: Channel::Phone,
            status: OrderStatus::Ready,
            version: 1,
            name: Some("Ada".to_owned()),
            phone: PhoneNumber::parse("555-123-4567", Region::US).ok(),
            customer_id: None,
            notes: Some("no straw".to_owned()),
            total: total(&items),
            items,
            call_sid: None,
            estimated_ready_time: None,
            pickup_at: None,
            metadata: serde_json::Map::new(),
            created_at: at,
            updated_at: at,
            history: vec![HistoryEntry { status: OrderStatus::Received, at, by: "phone".to_owned() }],
        }
    }

    #[test]
    fn a_row_tells_the_order_in_the_words_and_the_time_of_the_shop() {
        let menu = Menu::builtin("boba").expect("built in");
        insta::assert_debug_snapshot!(row(&order(&menu), &menu), @r#"
        Row {
            order_id: "ORD-main-42",
            date: "2023-12-31 16:00",
            customer: "Ada",
            phone: "+15551234567",
            items: "taro milk tea | no toppings | no add-ons | 50%, regular ice; 2 x taro milk tea | no toppings | no add-ons | 50%, regular ice | note: for Bo",
            total_qty: 3,
            status: "Ready for pickup",
            source: "phone",
            notes: "no straw",
        }
        "#);
    }

    #[test]
    fn nobody_leaves_empty_cells() {
        let menu = Menu::builtin("boba").expect("built in");
        let mut nobodys = order(&menu);
        (nobodys.name, nobodys.phone, nobodys.notes) = (None, None, None);
        let row = row(&nobodys, &menu);
        assert_eq!([row.customer, row.phone, row.notes], [""; 3]);
    }
}
