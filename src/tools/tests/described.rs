//! What the agent is told of the tools, and that it is true.

use super::*;

#[test]
fn every_tool_is_described_with_a_schema_of_the_menu() {
    let names = |specs: &[ToolSpec]| specs.iter().map(|spec| spec.name).collect::<Vec<_>>();
    let boba = specs(&Menu::builtin("boba").unwrap(), true);
    let coffee = specs(&Menu::builtin("coffee").unwrap(), false);
    assert_eq!(
        names(&boba),
        [
            "menu_summary",
            "add_to_cart",
            "update_pending_item",
            "confirm_pending_to_cart",
            "clear_pending_item",
            "get_cart",
            "remove_from_cart",
            "modify_cart_item",
            "set_sweetness_ice",
            "save_phone_number",
            "confirm_phone_number",
            "checkout_order",
            "order_is_placed",
            "order_status",
            "extract_phone_and_order",
            "end_call",
            "transfer_to_human",
        ]
    );
    assert!(!names(&coffee).contains(&"set_sweetness_ice") && !names(&coffee).contains(&"transfer_to_human"));
    for spec in boba.iter().chain(&coffee) {
        let irreversible = ["checkout_order", "end_call", "transfer_to_human"].contains(&spec.name);
        assert_eq!(spec.defer_until_eot, irreversible, "{}", spec.name);
        assert!(jsonschema::meta::is_valid(&spec.parameters), "{}", spec.name);
        let schema = jsonschema::validator_for(&spec.parameters).unwrap();
        assert_eq!(schema.is_valid(&json!({})), spec.parameters.get("required").is_none(), "{}", spec.name);
    }
    let add = boba.iter().find(|spec| spec.name == "add_to_cart").unwrap();
    insta::assert_json_snapshot!(add.parameters, @r#"
    {
      "type": "object",
      "properties": {
        "flavor": {
          "type": "string",
          "enum": [
            "taro milk tea",
            "black milk tea"
          ],
          "description": "The flavor the caller asked for."
        },
        "toppings": {
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
        },
        "sweetness": {
          "type": "string",
          "enum": [
            "0%",
            "25%",
            "50%",
            "75%",
            "100%"
          ],
          "description": "The sweetness, only if the caller mentioned it; a new drink has 50%."
        },
        "ice": {
          "type": "string",
          "enum": [
            "no ice",
            "less ice",
            "regular ice",
            "extra ice"
          ],
          "description": "The ice, only if the caller mentioned it; a new drink has regular ice."
        },
        "addons": {
          "type": "array",
          "items": {
            "type": "string",
            "enum": [
              "matcha stencil on top"
            ]
          },
          "description": "All the addons the caller asked for, and no others; an empty list only for no add-ons."
        },
        "quantity": {
          "type": "integer",
          "minimum": 1,
          "maximum": 10,
          "description": "How many of this drink; 1 when left out."
        },
        "note": {
          "type": "string",
          "description": "A short wish for the barista that is no choice of the menu. Never a drink, size or topping that is not sold."
        }
      },
      "required": [
        "flavor"
      ]
    }
    "#);
    let schema = jsonschema::validator_for(&add.parameters).unwrap();
    assert!(schema.is_valid(&json!({"flavor": "taro milk tea", "toppings": ["boba"], "quantity": 2})));
    assert!(!schema.is_valid(&json!({"flavor": "oolong"})));
}

#[tokio::test]
async fn every_described_tool_exists_and_takes_what_it_describes() {
    for menu in ["boba", "coffee"] {
        let mut shop = Counter::new(menu).await;
        shop.toolbox.can_transfer = true;
        for spec in specs(shop.toolbox.shop.menu(), true) {
            let mut call = shop.call("CA1", ANA);
            let names: Vec<&String> = spec.parameters["properties"].as_object().unwrap().keys().collect();
            // A value that nothing takes: what is refused is the value, not the name.
            let arguments: Map<String, Value> = names.iter().map(|name| ((*name).clone(), json!({}))).collect();
            let answer = call.ask(spec.name, Value::Object(arguments)).await;
            assert_ne!(answer["code"], "UNKNOWN_TOOL", "{}", spec.name);
            if !names.is_empty() && spec.name != "update_pending_item" && spec.name != "modify_cart_item" {
                let error = answer["error"].as_str().unwrap();
                assert!(!error.contains("I can't take"), "{}: {error}", spec.name);
            }
        }
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

    /// Whatever a model sends, there is an answer with an object in it, and no order without a confirmed drink.
    #[test]
    fn no_request_breaks_the_desk(requests in proptest::collection::vec((0_usize..18, ".{0,40}", proptest::bool::ANY), 1..20)) {
        tokio::runtime::Runtime::new().unwrap().block_on(async {
            let shop = Counter::new("boba").await;
            let all = specs(shop.toolbox.shop.menu(), false);
            let mut call = shop.call("CA1", ANA);
            for (tool, text, as_object) in requests {
                let name = all.get(tool).map_or("nonsense", |spec| spec.name);
                let text = if as_object { json!({"flavor": text, "index": 0, "phone": text}).to_string() } else { text };
                call.ask_text(name, &text).await;
            }
            assert!(shop.orders.recent(10).await.unwrap().is_empty());
        });
    }
}
