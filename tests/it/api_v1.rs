//! The typed API over real HTTP, as tills, agents and consoles use it.

mod changes;
mod create;
mod doors;
mod health;
mod lists;
mod repeat;
mod shop;

use crate::harness::{Answer, TestShop, client};
use reqwest::header::{CONTENT_TYPE, ETAG, IF_MATCH};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use std::fmt::Display;

/// The least that is an order.
fn taro() -> Value {
    json!({"items": [{"flavor": "taro milk tea"}]})
}

/// An agent's envelope, complete, at prices of ours.
fn envelope(key: &str) -> Value {
    json!({
        "version": "1.0",
        "action": "create_order",
        "payload": {
            "user_id": "CUST-1",
            "customer_name": "John Doe",
            "customer_phone": "(555) 123-4567",
            "items": [{
                "name": "taro milk tea", "toppings": ["boba"], "quantity": 2, "unit_price": 6.25, "subtotal": 12.5,
            }],
            "total_price": 12.5,
            "source": "ai",
            "special_instructions": "by the window",
            "conversation_id": "conv-1",
            "confirmed": true,
        },
        "idempotency_key": key,
    })
}

impl TestShop {
    /// A request below `/api/v1`.
    fn v1(&self, method: Method, path: &str) -> RequestBuilder {
        client().request(method, self.url(&format!("/api/v1{path}")))
    }

    async fn read(&self, path: &str) -> Answer {
        Answer::to(self.v1(Method::GET, path)).await
    }

    async fn create(&self, body: &Value) -> Answer {
        Answer::to(with_body(self.v1(Method::POST, "/orders"), body)).await
    }

    /// Creates with the header.
    async fn create_as(&self, key: &str, body: &Value) -> Answer {
        Answer::to(with_body(self.v1(Method::POST, "/orders"), body).header("Idempotency-Key", key)).await
    }

    /// The order that must have been created.
    async fn created(&self, body: &Value) -> Value {
        let answer = self.create(body).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        answer.json()
    }

    /// A change to what this version is.
    async fn change(&self, method: Method, path: &str, version: impl Display, body: Option<Value>) -> Answer {
        let request = self.v1(method, path).header(IF_MATCH, format!("\"{version}\""));
        Answer::to(match &body {
            Some(body) => with_body(request, body),
            None => request,
        })
        .await
    }

    async fn move_to(&self, order: &Value, version: u64, status: &str) -> Answer {
        self.change(Method::POST, &path_of(order, "/status"), version, Some(json!({"status": status}))).await
    }
}

fn with_body(request: RequestBuilder, body: &Value) -> RequestBuilder {
    request.header(CONTENT_TYPE, "application/json").body(body.to_string())
}

fn path_of(order: &Value, below: &str) -> String {
    format!("/orders/{}{below}", order["order_id"].as_str().expect("an id"))
}

fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    answer.headers.get(name).map(|value| value.to_str().expect("text"))
}

/// Panics unless the answer is the order, with its version as its tag.
fn assert_tagged(answer: &Answer) -> Value {
    let order = answer.json();
    assert_eq!(header(answer, ETAG.as_str()), Some(format!("\"{}\"", order["version"]).as_str()), "{}", answer.text);
    order
}
