//! The API's description: what the routes say of themselves, with the menu's schemas and what holds for every route.
//!
//! Served as OpenAPI 3.1 and as a page that anybody can read. It is made once, at the start: a menu does not change.

mod schemas;

use crate::ordering::Menu;
use crate::web::error::ErrorCode;
use crate::web::pages;
use axum::Router;
use axum::http::header;
use axum::routing::get;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use utoipa::openapi::{OpenApi, SecurityRequirement};
use utoipa_axum::router::OpenApiRouter;

/// Routes that describe themselves, and what describes them: `/api/openapi.json` and the page `/api/docs`.
pub fn serve(routes: OpenApiRouter, menu: &Menu, shop_id: &str) -> Router {
    let (routes, described) = routes.split_for_parts();
    let document: Arc<str> = complete(described, menu, shop_id).to_string().into();
    let json = get(async move || ([(header::CONTENT_TYPE, "application/json")], document.to_string()));
    routes.route("/api/openapi.json", json).route("/api/docs", get(async || pages::file("api.html")))
}

/// Notes on every operation that it is behind the staff's door.
pub(in crate::web) fn behind_the_door(described: &mut OpenApi) {
    for path in described.paths.paths.values_mut() {
        let operations = [
            &mut path.get,
            &mut path.put,
            &mut path.post,
            &mut path.delete,
            &mut path.options,
            &mut path.head,
            &mut path.patch,
            &mut path.trace,
        ];
        for operation in operations.into_iter().flatten() {
            let keys = [SIGN_IN, API_KEY].map(|key| SecurityRequirement::new(key, [] as [&str; 0]));
            operation.security = Some(keys.to_vec());
        }
    }
}

const SIGN_IN: &str = "staffSignIn";
const API_KEY: &str = "apiKey";
const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

const ABOUT: &str = "\
Orders of one shop. Amounts are numbers with at most two decimals, computed in whole cents; times are UTC.\n\n\
Every answer carries `X-Correlation-ID`, which the logs have as well; send your own to have it used. Errors are JSON \
with a `code` to act on and a sentence to read; with `Accept: application/problem+json` they follow RFC 9457.\n\n\
A browser is let in by signing in at `/login`, a program by the API key as a bearer token.";

/// The whole document.
fn complete(described: OpenApi, menu: &Menu, shop_id: &str) -> Value {
    let mut document = serde_json::to_value(described).expect("a description can be written as JSON");
    let paths = document.get_mut("paths").and_then(Value::as_object_mut);
    for (_, path) in paths.into_iter().flatten() {
        for (method, operation) in path.as_object_mut().into_iter().flatten() {
            if METHODS.contains(&method.as_str()) {
                complete_operation(method, operation);
            }
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": format!("{} – orders", menu.name()),
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "paths": document["paths"],
        "components": {
            "schemas": schemas::all(menu, shop_id),
            "headers": {
                "CorrelationId": {
                    "description": "The id of this request, also on every line that it has logged.",
                    "schema": {"type": "string", "pattern": "^[A-Za-z0-9_.-]{1,64}$"},
                },
            },
            "securitySchemes": {
                SIGN_IN: {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": "__Host-staff",
                    "description": "The cookie that a browser is given at `/login`; without https its name is `staff`.",
                },
                API_KEY: {"type": "http", "scheme": "bearer", "description": "The API key."},
            },
        },
    })
}

/// Adds what the door, the body's reader and the server itself may answer, and what every error and answer looks like.
fn complete_operation(method: &str, operation: &mut Value) {
    let guarded = operation.get("security").is_some();
    let has_body = operation.get_mut("requestBody").map(|body| body["required"] = true.into()).is_some();
    // What a path names is looked for, and found or not.
    let has_more = operation["parameters"].as_array().is_some_and(|all| all.iter().any(|one| one["in"] != "path"));
    // What is left out of a query or of the headers is not there; it cannot be null.
    for parameter in operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten() {
        let Some(kind) = parameter.pointer_mut("/schema/type") else { continue };
        if let Some(only) = kind.as_array().and_then(|kinds| kinds.iter().find(|kind| *kind != "null").cloned()) {
            *kind = only;
        }
    }
    let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) else { return };
    let always = [
        (ErrorCode::Validation, has_body || has_more),
        (ErrorCode::Unauthenticated, guarded),
        (ErrorCode::Forbidden, guarded && method != "get"),
        (ErrorCode::RequestTimeout, has_body),
        (ErrorCode::PayloadTooLarge, has_body),
        (ErrorCode::UnsupportedMediaType, has_body),
        (ErrorCode::MisdirectedRequest, true),
        (ErrorCode::Unavailable, true),
    ];
    for (code, _) in always.iter().filter(|(_, happens)| *happens) {
        responses.entry(code.status().as_str()).or_insert_with(|| json!({}));
    }
    for (status, response) in responses.iter_mut() {
        if status.starts_with(['4', '5']) {
            complete_error(status, response);
        }
        let headers = response.as_object_mut().map(|response| response.entry("headers").or_insert_with(|| json!({})));
        if let Some(headers) = headers {
            headers["X-Correlation-ID"] = json!({"$ref": "#/components/headers/CorrelationId"});
        }
    }
    responses.sort_keys();
}

fn complete_error(status: &str, response: &mut Value) {
    let codes = || ErrorCode::ALL.into_iter().filter(|code| code.status().as_str() == status);
    if response["description"].as_str().unwrap_or_default().is_empty() {
        let told: Vec<String> = codes().map(|code| format!("`{}`: {}", code.as_str(), code.meaning())).collect();
        response["description"] = format!("{}.", told.join("; ")).into();
    }
    let schema = |name: &str| json!({"schema": {"$ref": format!("#/components/schemas/{name}")}});
    response["content"] = json!({"application/json": schema("Error"), "application/problem+json": schema("Problem")});
    let mut headers = Map::new();
    if codes().any(|code| code == ErrorCode::Unauthenticated) {
        let description = "How a program is let in.";
        headers
            .insert("WWW-Authenticate".to_owned(), json!({"description": description, "schema": {"type": "string"}}));
    }
    if codes().any(|code| matches!(code, ErrorCode::RateLimited | ErrorCode::IdempotencyInProgress)) {
        let description = "Seconds after which to try again.";
        headers.insert("Retry-After".to_owned(), json!({"description": description, "schema": {"type": "integer"}}));
    }
    response["headers"] = headers.into();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ordering::Region;
    use crate::web::api::request::{Counter, CreateOrder, Patch, Refused, ShopPatch, StatusChange};

    #[utoipa::path(post, path = "/tea/{cup}", params(("cup" = String, Path, description = "Which.")),
        request_body = ref("#/components/schemas/StatusChange"),
        responses((status = 204, description = "Poured."), (status = 404)))]
    async fn pour() {}

    fn document(menu: &str) -> Value {
        let menu = Menu::builtin(menu).unwrap();
        let mut routes: OpenApiRouter = OpenApiRouter::new().routes(utoipa_axum::routes!(pour));
        behind_the_door(routes.get_openapi_mut());
        complete(routes.into_openapi(), &menu, "main")
    }

    #[test]
    fn an_operation_tells_all_that_may_come() {
        let document = document("boba");
        let operation = &document["paths"]["/tea/{cup}"]["post"];
        assert_eq!(operation["requestBody"]["required"], true);
        let told: Vec<&String> = operation["responses"].as_object().unwrap().keys().collect();
        assert_eq!(told, ["204", "400", "401", "403", "404", "408", "413", "415", "421", "503"]);
        assert_eq!(operation["security"], json!([{"staffSignIn": []}, {"apiKey": []}]));
        for (status, response) in operation["responses"].as_object().unwrap() {
            assert!(response["headers"]["X-Correlation-ID"].is_object(), "{status}");
            assert!(!response["description"].as_str().unwrap().is_empty(), "{status}");
            let is_error = response["content"]["application/json"]["schema"]["$ref"] == "#/components/schemas/Error";
            assert_eq!(is_error, status != "204", "{status}");
        }
    }

    /// The fields that the reader knows, for a body that has an unknown one.
    fn known(refused: &Refused) -> Vec<String> {
        let problems = refused.problems().iter();
        let choices = problems.filter(|problem| problem.field().ends_with("no_such_field"));
        let names = choices.flat_map(|problem| problem.more()["choices"].as_array().unwrap());
        names.map(|name| name.as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn the_description_and_the_reader_know_the_same_fields() {
        for menu in ["boba", "coffee"] {
            let schemas = &document(menu)["components"]["schemas"];
            let menu = Menu::builtin(menu).unwrap();
            let counter = Counter { menu: &menu, region: Region::US, shop_id: "main" };
            let create = |body: Value| {
                let request = CreateOrder::parse(body.to_string().as_bytes(), None).unwrap();
                request.check(counter).expect_err("an unknown field")
            };
            let unknown = json!({"no_such_field": 1});
            let bytes = unknown.to_string();
            let order = known(&create(unknown.clone()));
            for (name, known) in [
                ("NewOrder", order.clone()),
                ("NewLine", known(&create(json!({"items": [unknown]})))),
                ("OrderPatch", known(&Patch::parse(bytes.as_bytes()).unwrap_err())),
                ("StatusChange", known(&StatusChange::parse(bytes.as_bytes()).unwrap_err())),
                ("ShopPatch", known(&ShopPatch::parse(bytes.as_bytes()).unwrap_err())),
            ] {
                let described = &schemas[name];
                for field in described["properties"].as_object().unwrap().keys() {
                    assert!(known.contains(field) || field == "idempotency_key", "{name}.{field} is refused");
                }
                let told = described["description"].as_str().unwrap();
                for field in known {
                    let is_told = described["properties"].get(&field).is_some() || told.contains(&field);
                    assert!(is_told, "{name}.{field} is not described");
                }
            }
            for name in ["AgentOrder", "NewOrderElsewhere"] {
                for field in schemas[name]["properties"].as_object().unwrap().keys() {
                    assert!(order.contains(field), "{name}.{field} is refused");
                }
            }
            for name in ["NewOrder", "NewOrderElsewhere", "NewLine"] {
                let example = &schemas[name]["examples"][0];
                let body = if name == "NewLine" { json!({"items": [example]}) } else { example.clone() };
                let request = CreateOrder::parse(body.to_string().as_bytes(), None).unwrap();
                request.check(counter).unwrap_or_else(|refused| panic!("{name}: {refused}"));
            }
        }
    }

    #[test]
    fn every_reference_leads_somewhere_and_every_schema_is_one() {
        fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
            match value {
                Value::Object(object) => {
                    found.extend(object.get("$ref").and_then(Value::as_str));
                    object.values().for_each(|value| references(value, found));
                }
                Value::Array(values) => values.iter().for_each(|value| references(value, found)),
                _ => {}
            }
        }
        for menu in ["boba", "coffee"] {
            let document = document(menu);
            let mut found = Vec::new();
            references(&document, &mut found);
            assert!(found.len() > 10);
            for reference in found {
                let target = reference.strip_prefix('#').and_then(|pointer| document.pointer(pointer));
                assert!(target.is_some(), "{reference} leads nowhere");
            }
            for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
                assert!(jsonschema::meta::is_valid(schema), "{name}");
            }
        }
    }
}
