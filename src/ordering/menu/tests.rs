use super::*;
use proptest::prelude::*;

fn boba() -> Menu {
    Menu::builtin("boba").unwrap()
}

fn coffee() -> Menu {
    Menu::builtin("coffee").unwrap()
}

fn asked(fields: &[(&str, &str)]) -> Asked {
    let fields = fields.iter().map(|(field, said)| (field.to_string(), Said::One(said.to_string())));
    Asked { fields: fields.collect(), ..Asked::default() }
}

#[test]
fn a_drink_takes_the_defaults_of_what_is_not_mentioned() {
    let menu = boba();
    let item = menu.item(&asked(&[("flavor", "taro"), ("toppings", "pearls")])).unwrap();
    insta::assert_snapshot!(
        serde_json::to_string(&item).unwrap(),
        @r#"{"flavor":"taro milk tea","toppings":["boba"],"sweetness":"50%","ice":"regular ice","addons":[],"quantity":1,"price":6.25,"subtotal":6.25}"#
    );
    assert_eq!(menu.summary(&item), "taro milk tea | boba | no add-ons | 50%, regular ice");
    assert_eq!(menu.price(&item), Some(Money::from_cents(625)));

    let menu = coffee();
    let mut latte = asked(&[("drink", "Latte"), ("milk", "oat milk"), ("extras", "whip and vanilla")]);
    latte.quantity = Some(2);
    latte.note = Some(" extra\thot\n".into());
    let item = menu.item(&latte).unwrap();
    insta::assert_snapshot!(
        serde_json::to_string(&item).unwrap(),
        @r#"{"drink":"latte","size":"medium","milk":"oat","extras":["whipped cream","vanilla syrup"],"quantity":2,"price":6.7,"subtotal":13.4,"note":"extra hot"}"#
    );
    assert_eq!(menu.summary(&item), "2 x medium latte | oat milk | whipped cream, vanilla syrup | note: extra hot");
    assert_eq!(
        menu.cart_summary(&[item]),
        "2 x medium latte | oat milk | whipped cream, vanilla syrup | note: extra hot. Total $13.40."
    );
}

#[test]
fn every_price_of_the_contract() {
    let cents = |menu: &Menu, fields: &[(&str, &str)]| menu.item(&asked(fields)).unwrap().price.cents();
    let menu = boba();
    assert_eq!(cents(&menu, &[("flavor", "black milk tea")]), 550);
    let all = [("flavor", "taro"), ("toppings", "boba, egg pudding, crystal agar boba, cream"), ("addons", "matcha")];
    assert_eq!(cents(&menu, &all), 550 + 4 * 75 + 50);
    let menu = coffee();
    for (drink, price) in [("latte", 450), ("cappuccino", 450), ("espresso", 300), ("americano", 350), ("mocha", 500)] {
        assert_eq!(cents(&menu, &[("drink", drink), ("size", "small")]), price);
        assert_eq!(cents(&menu, &[("drink", drink)]), price + 50);
        assert_eq!(cents(&menu, &[("drink", drink), ("size", "large"), ("milk", "soya")]), price + 160);
    }
    assert_eq!(cents(&menu, &[("drink", "mocha"), ("extras", "cream, caramel, vanilla, hazelnut")]), 550 + 50 + 180);
}

#[test]
fn words_of_the_contract_are_understood() {
    let menu = boba();
    for (field, said, option) in [
        ("toppings", "cream", "vanilla cream"),
        ("toppings", "foam", "vanilla cream"),
        ("toppings", "tapioca", "boba"),
        ("toppings", "pearls", "boba"),
        ("sweetness", "half sugar", "50%"),
        ("sweetness", "50 percent", "50%"),
        ("sweetness", "50", "50%"),
        ("sweetness", "unsweetened", "0%"),
        ("sweetness", "seventy-five", "75%"),
        ("ice", "no ice", "no ice"),
        ("ice", "regular", "regular ice"),
    ] {
        let item = menu.item(&asked(&[("flavor", "taro"), (field, said)])).unwrap();
        let expected = match menu.field(field).unwrap().kind {
            Kind::Many { .. } => Choice::Many(vec![option.into()]),
            _ => Choice::One(option.into()),
        };
        assert_eq!(item.choice(field), Some(&expected), "{field} {said}");
    }
    let matcha = menu.item(&asked(&[("flavor", "taro"), ("toppings", "cream"), ("addons", "matcha")])).unwrap();
    assert_eq!(matcha.choice("addons"), Some(&Choice::Many(vec!["matcha stencil on top".into()])));
}

#[test]
fn refuses_with_the_choices() {
    let menu = boba();
    let refused = |fields: &[(&str, &str)]| menu.item(&asked(fields)).unwrap_err();
    let teas = vec!["taro milk tea".to_owned(), "black milk tea".to_owned()];
    assert_eq!(refused(&[]), Refusal::MissingBase { field: "flavor".into(), choices: teas.clone() });
    assert_eq!(
        refused(&[("flavor", "milk tea")]),
        Refusal::Ambiguous { field: "flavor".into(), choices: teas.clone() }
    );
    assert_eq!(
        refused(&[("flavor", "oolong")]),
        Refusal::UnknownOption { field: "flavor".into(), said: "\"oolong\"".into(), choices: teas }
    );
    assert_eq!(refused(&[("flavor", "taro"), ("size", "large")]), Refusal::UnknownField { field: "size".into() });
    assert_eq!(
        refused(&[("flavor", "oolong")]).to_string(),
        "Sorry, \"oolong\" is not on our menu. For flavor there is taro milk tea or black milk tea."
    );
    assert!(matches!(refused(&[("flavor", "taro"), ("toppings", "no boba")]), Refusal::UnknownOption { .. }));
    assert!(matches!(refused(&[("flavor", "taro"), ("ice", "not less ice")]), Refusal::UnknownOption { .. }));
    assert!(matches!(refused(&[("flavor", "taro"), ("sweetness", "5%")]), Refusal::UnknownOption { .. }));
    assert!(matches!(coffee().item(&asked(&[("drink", "iced latte")])).unwrap_err(), Refusal::UnknownOption { .. }));
    assert!(matches!(
        coffee().item(&asked(&[("drink", "latte"), ("extras", "syrup")])).unwrap_err(),
        Refusal::Ambiguous { choices, .. } if choices.len() == 3
    ));
    let none = Asked { quantity: Some(0), ..asked(&[("flavor", "taro")]) };
    assert_eq!(menu.item(&none), Err(Refusal::NoQuantity));
    let long = Asked { note: Some("x".repeat(201)), ..asked(&[("flavor", "taro")]) };
    assert_eq!(menu.item(&long), Err(Refusal::NoteTooLong));
}

#[test]
fn a_stencil_needs_cream_whenever_the_drink_changes() {
    let menu = boba();
    let rule = Refusal::Rule { say: menu.rules()[0].say.clone(), missing: "vanilla cream".into() };
    assert_eq!(menu.item(&asked(&[("flavor", "taro"), ("addons", "matcha")])), Err(rule.clone()));
    let item = menu.item(&asked(&[("flavor", "taro"), ("toppings", "cream"), ("addons", "matcha")])).unwrap();
    assert_eq!(menu.changed(&item, &asked(&[("toppings", "none")])), Err(rule));
    let plain = menu.changed(&item, &asked(&[("toppings", "none"), ("addons", "no add-ons")])).unwrap();
    assert_eq!(plain.price, Money::from_cents(550));
}

#[test]
fn a_change_leaves_everything_else_alone() {
    let menu = boba();
    let fields = [("flavor", "taro"), ("toppings", "boba"), ("sweetness", "25%"), ("ice", "less ice")];
    let item = menu.item(&Asked { quantity: Some(3), note: Some("for Ana".into()), ..asked(&fields) }).unwrap();
    let changed = menu.changed(&item, &asked(&[("ice", "no ice")])).unwrap();
    assert_eq!(changed.choice("ice"), Some(&Choice::One("no ice".into())));
    assert_eq!(menu.changed(&changed, &asked(&[("ice", "less ice")])).unwrap(), item);
    assert_eq!(menu.changed(&item, &Asked::default()).unwrap(), item);
    let emptied = Asked {
        fields: vec![("toppings".into(), Said::Many(Vec::new()))],
        note: Some("  ".into()),
        ..Asked::default()
    };
    let emptied = menu.changed(&item, &emptied).unwrap();
    assert_eq!(emptied.choice("toppings"), Some(&Choice::Many(Vec::new())));
    assert_eq!(emptied.note, None);
}

#[test]
fn an_item_of_another_menu_has_no_price_here() {
    let latte = coffee().item(&asked(&[("drink", "latte")])).unwrap();
    assert_eq!(boba().price(&latte), None);
}

#[test]
fn says_what_there_is() {
    insta::assert_snapshot!(boba().spoken(), @r#"We have taro milk tea $5.50, black milk tea $5.50. For toppings: boba $0.75 extra, egg pudding $0.75 extra, crystal agar boba $0.75 extra, vanilla cream $0.75 extra, or no toppings. For sweetness: 0%, 25%, 50%, 75%, 100% (50% unless you say otherwise). For ice: no ice, less ice, regular ice, extra ice (regular ice unless you say otherwise). For addons: matcha stencil on top $0.50 extra, or no add-ons."#);
    insta::assert_snapshot!(coffee().prompt(), @r#"
    MENU OF Code Cafe (prices in USD)
    - drink (what the drink is; always ask): latte $4.50; cappuccino $4.50; espresso $3.00; americano $3.50; mocha $5.00
    - size (exactly one; medium when not mentioned): small; medium $0.50 extra; large $1.00 extra
    - milk (exactly one; regular when not mentioned): regular; oat $0.60 extra; almond $0.60 extra; soy $0.60 extra
    - extras (any number; no extras when not mentioned): whipped cream $0.50 extra; vanilla syrup $0.60 extra; caramel syrup $0.60 extra; hazelnut syrup $0.60 extra
    - at most 10 drinks in one order
    - nothing else is sold; never invent an option or a price
    "#);
    insta::assert_json_snapshot!(boba().field("toppings").unwrap().schema(), @r#"
    {
      "type": "array",
      "items": {
        "type": "string",
        "enum": [
          "boba",
          "egg pudding",
          "crystal agar boba",
          "vanilla cream"
        ]
      },
      "description": "All the toppings the caller asked for, and no others; an empty list only for no toppings."
    }
    "#);
    insta::assert_json_snapshot!(coffee().field("size").unwrap().schema(), @r#"
    {
      "type": "string",
      "enum": [
        "small",
        "medium",
        "large"
      ],
      "description": "The size, only if the caller mentioned it; a new drink has medium."
    }
    "#);
    let terms = boba().key_terms();
    assert!(terms.contains(&"taro milk tea".into()) && terms.contains(&"tapioca".into()), "{terms:?}");
    assert!(!terms.contains(&"50%".into()), "{terms:?}");
    assert_eq!(Menu::builtin("soup").map(|menu| menu.name), None);
}

/// The boba menu with one piece of it replaced.
fn broken(piece: &str, replacement: &str) -> MenuError {
    let text = include_str!("../../../menus/boba.toml");
    assert!(text.contains(piece), "{piece:?} is not in the menu");
    Menu::parse(&text.replacen(piece, replacement, 1)).expect_err(replacement)
}

#[test]
fn a_bad_file_is_told_by_its_line() {
    let text = include_str!("../../../menus/boba.toml");
    let line_of = |piece: &str| text[..text.find(piece).unwrap()].matches('\n').count() + 1;
    for (piece, replacement, expected) in [
        ("\"USD\"", "\"XYZ\"", "unknown currency \"XYZ\""),
        ("\"America/Los_Angeles\"", "\"Mars/Olympus\"", "IANA name"),
        ("[\"phone\"]", "[\"fax\"]", "expected phone or name"),
        ("minutes_to_make = 2", "minutes_to_make = 0", "at least 1"),
        ("drinks_per_order = 10", "drinks_per_order = -1", "expected u32"),
        ("drinks_per_order = 10", "drinks_per_hour = 10", "unknown field"),
        ("price = 5.50", "price = 5.505", "at most two decimals"),
        ("price = 5.50", "price = \"5.50\"", "an amount such as 6.25"),
        ("price = 5.50", "price = -5.50", "negative"),
        ("price = 5.50", "price = nan", "an amount such as 6.25"),
        ("field = \"flavor\"", "field = \"quantity\"", "used by every order"),
        ("field = \"flavor\"", "field = \"Flavor of tea\"", "lower-case letters"),
        ("list = \"flavors\"", "list = \"summary\"", "used by every order"),
        ("field = \"toppings\"\nlist", "field = \"flavor\"\nlist", "is there already"),
        ("list = \"toppings\"", "list = \"flavors\"", "is there already"),
        ("name = \"taro milk tea\"", "name = \" \"", "some text"),
        ("name = \"egg pudding\"", "name = \"Bobas\"", "share a name"),
        ("name = \"egg pudding\"", "name = \"egg pudding\", photo = \"../pudding.jpg\"", "cannot be a picture's name"),
        ("name = \"egg pudding\"", "name = \"egg pudding\", photo = \"pudding.svg\"", "jpg, png, webp or avif"),
        ("\"custard pudding\"", "\"tapioca\"", "share a name"),
        ("\"custard pudding\"", "\"no toppings\"", "none is wanted"),
        ("none = [\"no toppings\"", "none = [\"\"", "at least one way"),
        ("none = [\"no toppings\", \"no topping at all\", \"plain\"]\n", "", "needs none"),
        ("default = \"50%\"", "default = \"60%\"", "\"60%\" is no option"),
        ("default = \"50%\"\n", "", "needs a default"),
        ("\"toppings\"\nkind = \"many\"", "\"toppings\"\nkind = \"several\"", "unknown variant"),
        ("kind = \"one\"\ndefault = \"50%\"", "kind = \"many\"\ndefault = \"50%\"", "belongs to kind \"one\""),
        (
            "{ field = \"addons\", name = \"matcha stencil on top\" }",
            "{ field = \"addons\", name = \"matcha\" }",
            "unknown option \"matcha\"",
        ),
        (
            "{ field = \"toppings\", name = \"vanilla cream\" }",
            "{ field = \"topping\", name = \"vanilla cream\" }",
            "unknown field \"topping\"",
        ),
        ("{flavor} | ", "{flavour} | ", "unknown field {flavour}"),
        ("{addons} | ", "", "{addons} has to appear"),
        ("{sweetness}, {ice}", "{sweetness}, {ice", "a { without its }"),
        ("greeting = ", "greting = ", "unknown field `greting`"),
        ("currency = \"USD\"", "currency = USD", ""),
    ] {
        let error = broken(piece, replacement);
        assert!(error.message.contains(expected), "{replacement}: {error}");
        // The error stands within the lines that were replaced, or at the key that lacks something.
        let lines = line_of(piece)..=line_of(piece) + piece.matches('\n').count();
        let at_kind = error.message.contains("needs") && error.line.abs_diff(line_of(piece)) <= 1;
        assert!(lines.contains(&error.line) || at_kind, "{replacement}: {error}, expected at {lines:?}");
    }
    let no_options = text.find("options = [").unwrap();
    let end = no_options + text[no_options..].find("\n]").unwrap() + 2;
    let error = Menu::parse(&format!("{}options = []{}", &text[..no_options], &text[end..])).unwrap_err();
    assert_eq!((error.line, error.message.as_str()), (line_of("options = ["), "expected at least one option"));
    let no_price = broken("price = 5.50\n", "");
    assert!(no_price.message.contains("has no price"), "{no_price}");
    assert!(Menu::parse("").unwrap_err().message.contains("missing field"));
}

/// The boba menu with this at its end.
fn boba_with(tables: &str) -> Result<Menu, MenuError> {
    Menu::parse(&format!("{}\n{tables}", include_str!("../../../menus/boba.toml")))
}

#[test]
fn the_built_in_shops_never_close_and_the_example_in_the_file_is_valid() {
    for menu in [boba(), coffee()] {
        assert_eq!(menu.hours().next_change(jiff::Timestamp::UNIX_EPOCH), None);
        assert!(menu.hours().is_open(jiff::Timestamp::UNIX_EPOCH) && menu.slots().is_none());
    }
    let (_, example) = include_str!("../../../menus/boba.toml").split_once("# [hours]").unwrap();
    let lines = example.lines().filter_map(|line| line.strip_prefix("# "));
    let tables: Vec<&str> = lines.filter(|line| line.starts_with('[') || line.contains(" = ")).collect();
    let menu = boba_with(&format!("[hours]\n{}", tables.join("\n"))).unwrap();
    assert_eq!(menu.slots(), Some(Slots { minutes: 15, drinks: 20 }));
    // A Friday night, in Los Angeles.
    assert!(menu.hours().is_open("2026-11-28T01:59:00-08:00".parse().unwrap()));
    assert!(!menu.hours().is_open("2026-12-25T10:00:00-08:00".parse().unwrap()));
}

#[test]
fn bad_hours_and_slots_are_told_by_their_line() {
    let lines = include_str!("../../../menus/boba.toml").lines().count() + 1;
    for (tables, line, expected) in [
        ("[hours]\nmon = [\"09:00-18:00\"]\ntue = [\"9 to 5\"]", 3, "\"9 to 5\" is no interval"),
        ("[hours]\nmon = [\"09:00-09:00\"]", 2, "ends where it begins"),
        ("[hours]\nmon = [\n\"09:00-12:00\",\n\"11:00-13:00\"]", 4, "\"11:00-13:00\" overlaps"),
        ("[hours]\nmon = [\"09:00-18:00\"]\nclosed = [\"25.12.2026\"]", 3, "\"25.12.2026\" is no date"),
        ("[hours]\nmon = [\"09:00-18:00\"]\nclosed = [\"2026-02-30\"]", 3, "is no date"),
        ("[hours]\nmon = [\"09:00-18:00\"]\nclosed = [\"2026-12-25T10:00\"]", 3, "is no date"),
        ("[hours]\nmon = \"09:00-18:00\"", 2, "expected a sequence"),
        ("[hours]\nmonday = [\"09:00-18:00\"]", 2, "unknown field `monday`"),
        ("[hours]\nmon = []", 1, "never opens"),
        ("[slots]\nminutes = 25\ndrinks = 20", 2, "25 minutes do not divide an hour"),
        ("[slots]\nminutes = 1\ndrinks = 20", 2, "do not divide an hour"),
        ("[slots]\nminutes = 15\ndrinks = 0", 3, "at least 1"),
        ("[slots]\nminutes = 15", 1, "missing field `drinks`"),
    ] {
        let error = boba_with(tables).expect_err(tables);
        assert!(error.message.contains(expected), "{tables}: {error}");
        assert_eq!(error.line, lines + line, "{tables}: {error}");
    }
}

#[test]
fn what_is_sold_out_is_not_said() {
    let without = |names: &'static [&str]| boba().spoken_without(|_, option| names.contains(&option.name.as_str()));
    assert_eq!(without(&[]), boba().spoken());
    insta::assert_snapshot!(
        without(&["taro milk tea", "boba", "regular ice", "matcha stencil on top"]),
        @"We have black milk tea $5.50. For toppings: egg pudding $0.75 extra, crystal agar boba $0.75 extra, vanilla cream $0.75 extra, or no toppings. For sweetness: 0%, 25%, 50%, 75%, 100% (50% unless you say otherwise). For ice: no ice, less ice, extra ice. Nothing is left for addons."
    );
    assert!(without(&["taro milk tea", "black milk tea"]).starts_with("Everything is sold out."));
}

proptest! {
    #[test]
    fn a_price_is_the_sum_of_what_is_in_the_cup(
        flavor in 0_usize..2, toppings in prop::sample::subsequence(vec![0_usize, 1, 2, 3], 0..=4), matcha: bool,
        quantity in 1_u32..=10,
    ) {
        let menu = boba();
        let names = |field: &str, chosen: &[usize]| {
            Said::Many(chosen.iter().map(|&option| menu.field(field).unwrap().options[option].name.clone()).collect())
        };
        let addons: &[usize] = if matcha { &[0] } else { &[] };
        let asked = Asked {
            fields: vec![
                ("flavor".into(), names("flavor", &[flavor])),
                ("toppings".into(), names("toppings", &toppings)),
                ("addons".into(), names("addons", addons)),
            ],
            quantity: Some(quantity),
            note: None,
        };
        match menu.item(&asked) {
            Err(refusal) => {
                let rule = matches!(refusal, Refusal::Rule { .. });
                prop_assert!(rule);
                prop_assert!(matcha && !toppings.contains(&3));
            }
            Ok(item) => {
                let each = 550 + 75 * toppings.len() as i64 + if matcha { 50 } else { 0 };
                prop_assert_eq!(item.price.cents(), each);
                prop_assert_eq!(item.subtotal().cents(), each * i64::from(quantity));
                prop_assert_eq!(menu.price(&item), Some(item.price));
            }
        }
    }

    #[test]
    fn no_file_panics(cut in 0_usize..4000, junk in "[\\PC\n\"{}=]{0,20}") {
        let text = include_str!("../../../menus/coffee.toml");
        let cut = (0..=cut.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
        let _ = Menu::parse(&format!("{}{junk}{}", &text[..cut], &text[cut..]));
    }
}
