//! A menu as data: everything a page or a till needs to offer it. Pure.

use crate::ordering::hours::{Interval, Week};
use crate::ordering::menu::{Field, Kind, Menu, MenuOption, Rule};
use crate::shop::{Shop, Stock};
use crate::web::photos;
use jiff::Timestamp;
use jiff::civil::Weekday;
use serde_json::{Map, Value, json};

/// The weekdays as a shop's file calls them.
pub(super) const WEEKDAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

/// The menu as it can be had at this moment.
pub(in crate::web) fn as_data(shop: &Shop, now: Timestamp) -> Value {
    let (menu, stock) = (shop.menu(), shop.stock());
    let (requires, limits) = (menu.requires(), menu.limits());
    json!({
        "name": menu.name(),
        "currency": {"code": menu.currency().code, "symbol": menu.currency().symbol},
        "time_zone": menu.time_zone().iana_name(),
        "closed": shop.ordering_closed(now),
        "hours": menu.hours().week().map(hours),
        "closed_days": menu.hours().week().map(closed_days).unwrap_or_default(),
        "fields": menu.fields().iter().map(|one| field(one, &stock)).collect::<Vec<_>>(),
        "rules": rules(menu),
        "phone_orders_require": {"phone": requires.phone, "name": requires.name},
        "limits": {
            "drinks_per_order": limits.drinks_per_order,
            "active_drinks_per_phone": limits.active_drinks_per_phone,
            "note_length": Menu::LONGEST_NOTE,
        },
        "minutes_to_make": menu.minutes_to_make(),
        "slots": menu.slots().map(|slots| json!({"minutes": slots.minutes, "drinks": slots.drinks})),
    })
}

fn hours(week: &Week) -> Map<String, Value> {
    let interval = |interval: &Interval| json!({"opens": interval.opens(), "closes": interval.closes()});
    let day = |(name, weekday): (&str, Weekday)| {
        (name.to_owned(), week.intervals(weekday).iter().map(interval).collect::<Vec<_>>().into())
    };
    WEEKDAYS.into_iter().map(day).collect()
}

fn closed_days(week: &Week) -> Vec<String> {
    week.closed().map(|date| date.to_string()).collect()
}

fn field(field: &Field, stock: &Stock) -> Value {
    let kind = field.kind.as_str();
    let default = match &field.kind {
        Kind::Base => Value::Null,
        Kind::One { default } => field.options.get(*default).map(|option| option.name.as_str()).into(),
        Kind::Many { .. } => json!([]),
    };
    let option = |option: &MenuOption| {
        let mut data = json!({"name": option.name, "price": option.price, "sold_out": !stock.has(field, option)});
        if let Some(photo) = &option.photo {
            data["photo"] = photos::path(photo.as_str()).into();
        }
        data
    };
    let options: Vec<Value> = field.options.iter().map(option).collect();
    json!({"name": field.name, "label": field.spoken_name(), "kind": kind, "default": default, "options": options})
}

fn rules(menu: &Menu) -> Vec<Value> {
    let place = |(field, option): (usize, usize)| {
        let field = menu.fields().get(field)?;
        Some(json!({"field": field.name, "option": field.options.get(option)?.name}))
    };
    let rule = |rule: &Rule| json!({"if": place(rule.option()), "then": place(rule.requires()), "say": rule.say});
    menu.rules().iter().map(rule).collect()
}
