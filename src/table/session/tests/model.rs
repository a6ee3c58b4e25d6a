//! A guest's screen as `static/table` has it: it owns nothing, applies what it is told by revision, keeps what it has asked for
//! until that is known to be saved, and sends it again when the connection comes back.

use serde_json::{Value, json};

/// An operation that may have to be sent again.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) message: Value,
    /// The cart's revision that it was answered with on this connection.
    answered: Option<u64>,
    /// It was answered on an earlier connection: what it did was seen, and must not be lost.
    was_done: bool,
    /// It was refused as the cart was locked, and waits for that to end.
    waits: bool,
}

/// One screen.
#[derive(Debug)]
pub(super) struct Screen {
    pub(super) member: String,
    /// The keys of a snapshot that a screen keeps up to date by itself; none: it has never seen one.
    pub(super) view: Option<Value>,
    pub(super) kept: Vec<Sent>,
    /// Operations that it was told will not be done.
    pub(super) refused: Vec<String>,
    asked_for_snapshot: bool,
    /// It was connected anew and has not been shown the cart since.
    is_new: bool,
    operations: u32,
}

impl Screen {
    pub(super) fn new(member: &str) -> Self {
        Self {
            member: member.to_owned(),
            view: None,
            kept: Vec::new(),
            refused: Vec::new(),
            asked_for_snapshot: false,
            is_new: true,
            operations: 0,
        }
    }

    /// A connection is there. Nothing is sent before the first snapshot.
    pub(super) fn connected(&mut self) {
        self.is_new = true;
        self.asked_for_snapshot = false;
        for sent in &mut self.kept {
            // What an earlier connection said of revisions need not hold for a server that has started again.
            sent.was_done |= sent.answered.take().is_some();
            sent.waits = false;
        }
    }

    /// The guest wants something; the message is to be sent, if there is a connection.
    pub(super) fn wants(&mut self, mut message: Value) -> Value {
        self.operations += 1;
        message["op_id"] = json!(format!("o{}", self.operations));
        self.kept.push(Sent { message: message.clone(), answered: None, was_done: false, waits: false });
        message
    }

    /// Takes what the server says; answers what is to be sent.
    pub(super) fn takes(&mut self, message: &Value) -> Vec<Value> {
        match message["type"].as_str().expect("a type") {
            "snapshot" => return self.shown(message),
            "done" => self.is_done(message["op_id"].clone(), &message["revision"]),
            "saved" => self.is_saved(&message["revision"]),
            "error" => self.is_refused(message),
            "presence" => self.set("members", &message["members"]),
            "order_status" => {
                let order = &message["order"];
                let orders = self.orders();
                match orders.iter_mut().find(|known| known["order_id"] == order["order_id"]) {
                    Some(known) => *known = order.clone(),
                    None => orders.push(order.clone()),
                }
            }
            "order_processing" => self.set("pending_since", &message["pending_since"]),
            "order_failed" => self.failed(message),
            "shop" | "bill_asked" | "pong" => {}
            "session_ended" => panic!("nobody ends it here"),
            _ => return self.changed(message),
        }
        Vec::new()
    }

    fn shown(&mut self, message: &Value) -> Vec<Value> {
        self.asked_for_snapshot = false;
        self.view = Some(message.clone());
        if !std::mem::take(&mut self.is_new) {
            self.is_saved(&message["saved_revision"]);
            return Vec::new();
        }
        // In the sequence in which the guest has asked for it: a line is added before it is changed.
        self.kept.iter().map(|sent| sent.message.clone()).collect()
    }

    /// Whatever has a revision: a change of the cart.
    fn changed(&mut self, message: &Value) -> Vec<Value> {
        let revision = message["revision"].as_u64().expect("a revision");
        let known = self.view.as_ref().expect("the snapshot is first")["revision"].as_u64().expect("a revision");
        if message["by"] == self.member.as_str() {
            self.is_done(message["op_id"].clone(), &message["revision"]);
        }
        if revision <= known || self.asked_for_snapshot {
            return Vec::new();
        }
        if revision > known + 1 {
            self.asked_for_snapshot = true;
            return vec![json!({"type": "snapshot"})];
        }
        self.apply(message);
        self.set("revision", &message["revision"]);
        self.after_change(message)
    }

    fn apply(&mut self, message: &Value) {
        if message["type"] != "cart_unlocked" && self.get("order_processing_status") != "failed" {
            // Why an order was called off is of interest until the cart changes.
            self.set("error", &Value::Null);
        }
        match message["type"].as_str().expect("a type") {
            "add_item" => {
                self.items().push(message["line"].clone());
                if self.get("order_processing_status") == "confirmed" {
                    self.set("order_processing_status", &json!("idle"));
                }
                self.counted(message);
            }
            "update_item" => {
                let line = &message["line"];
                let known = self.items().iter_mut().find(|known| known["public_id"] == line["public_id"]);
                *known.expect("revisions are in sequence") = line.clone();
                self.counted(message);
            }
            "remove_item" => {
                self.items().retain(|line| line["public_id"] != message["public_id"]);
                self.counted(message);
            }
            "clear_cart" => {
                self.items().clear();
                self.counted(message);
            }
            "cart_locked" => {
                self.set("cart_locked", &json!(true));
                self.set("order_processing_status", &json!("processing"));
                for key in ["locked_by_member", "locked_by", "locked_by_name"] {
                    self.set(key, &message[key]);
                }
                self.set("pending_order_id", &message["order_id"]);
                self.set("pending_order_number", &message["order_number"]);
                self.set("pending_since", &message["timestamp"]);
                self.set("error", &Value::Null);
                self.items().iter_mut().for_each(|line| line["state"] = json!("locked"));
            }
            "order_confirmed" => {
                self.orders().push(message["order"].clone());
                if self.get("pending_order_id") == message["order_id"] {
                    self.set("cart_locked", &json!(false));
                    self.set("order_processing_status", &json!("confirmed"));
                    self.nothing_pending();
                }
                self.replaced(message);
            }
            "cart_unlocked" => {
                self.set("cart_locked", &json!(false));
                if self.get("order_processing_status") == "failed" {
                    self.nobody_locks();
                } else {
                    let error = self.get("error");
                    self.set("order_processing_status", &json!("idle"));
                    self.nothing_pending();
                    self.set("error", &error);
                }
                self.replaced(message);
            }
            other => panic!("{other} has no revision"),
        }
        if self.items().is_empty() && self.get("order_processing_status") == "failed" {
            self.set("order_processing_status", &json!("idle"));
            self.nothing_pending();
        }
    }

    /// What waited for the cart to be unlocked is sent.
    fn after_change(&mut self, message: &Value) -> Vec<Value> {
        if message["type"] != "cart_unlocked" && message["type"] != "order_confirmed" {
            return Vec::new();
        }
        let waiting =
            self.kept.iter_mut().filter_map(|sent| std::mem::take(&mut sent.waits).then(|| sent.message.clone()));
        waiting.collect()
    }

    fn failed(&mut self, message: &Value) {
        if self.get("pending_order_id") != message["order_id"] {
            return;
        }
        if message["allow_retry"] == true {
            self.set("order_processing_status", &json!("failed"));
            self.set("error", &message["error"]);
        } else {
            self.set("order_processing_status", &json!("idle"));
            self.nothing_pending();
            self.set("error", &message["error"]);
        }
    }

    fn nobody_locks(&mut self) {
        for key in ["locked_by_member", "locked_by", "locked_by_name", "pending_since"] {
            self.set(key, &Value::Null);
        }
    }

    fn nothing_pending(&mut self) {
        self.nobody_locks();
        for key in ["pending_order_id", "pending_order_number", "error"] {
            self.set(key, &Value::Null);
        }
    }

    fn counted(&mut self, message: &Value) {
        self.set("total", &message["total"]);
        self.set("count", &message["count"]);
    }

    fn replaced(&mut self, message: &Value) {
        self.set("items", &message["items"]);
        self.set("total", &message["total"]);
        let count: u64 = self.items().iter().map(|line| line["qty"].as_u64().expect("a count")).sum();
        self.set("count", &json!(count));
    }

    fn is_done(&mut self, op_id: Value, revision: &Value) {
        for sent in self.kept.iter_mut().filter(|sent| sent.message["op_id"] == op_id) {
            sent.answered = revision.as_u64();
            sent.waits = false;
        }
        let saved = self.get("saved_revision");
        self.is_saved(&saved);
    }

    fn is_saved(&mut self, revision: &Value) {
        self.set("saved_revision", revision);
        let saved = revision.as_u64().expect("a revision");
        self.kept.retain(|sent| sent.answered.is_none_or(|revision| revision > saved));
    }

    fn is_refused(&mut self, message: &Value) {
        let op_id = &message["op_id"];
        let is_kept =
            |sent: &&mut Sent| sent.message["op_id"] == *op_id && (sent.was_done || sent.message["type"] == "add_item");
        if let Some(sent) = self.kept.iter_mut().find(is_kept)
            && message["code"] == "CART_LOCKED"
        {
            // What was added waits for the order to be through; so does what was done once and undone by a crash.
            sent.waits = true;
            return;
        }
        self.kept.retain(|sent| sent.message["op_id"] != *op_id);
        self.refused.push(op_id.as_str().expect("every operation was named").to_owned());
    }

    fn get(&self, key: &str) -> Value {
        self.view.as_ref().map(|view| view[key].clone()).unwrap_or_default()
    }

    fn set(&mut self, key: &str, value: &Value) {
        self.view.as_mut().expect("the snapshot is first")[key] = value.clone();
    }

    fn items(&mut self) -> &mut Vec<Value> {
        self.list("items")
    }

    fn orders(&mut self) -> &mut Vec<Value> {
        self.list("orders")
    }

    fn list(&mut self, key: &str) -> &mut Vec<Value> {
        let view = self.view.as_mut().expect("the snapshot is first");
        view[key].as_array_mut().expect("a list")
    }
}
