//! A session step by step, and by chance.

mod carts;
mod endings;
mod interleavings;
mod model;
mod orders;
mod people;

use super::*;
use crate::events::EventLog;
use crate::ordering::money::Money;
use crate::ordering::order::{Item, OrderNumber};
use crate::ordering::status::OrderStatus;
use crate::shop::{Shop, ShopState, SoldOut};
use crate::table::protocol::{ClientMessage, Kind, Snapshot};
use jiff::SignedDuration;
use serde_json::{Value, json};

fn boba() -> Arc<Menu> {
    Arc::new(Menu::builtin("boba").expect("it is built in"))
}

fn start_of_time() -> Timestamp {
    "2026-01-31T09:00:00Z".parse().expect("a time")
}

/// What holds while these are sold out.
fn notice(menu: &Arc<Menu>, sold_out: &[&str]) -> Notice {
    let shop = Shop::new(Arc::clone(menu), true, EventLog::new(start_of_time()));
    let sold_out = sold_out.iter().map(|name| SoldOut::from(*name)).collect();
    shop.set_state(ShopState { sold_out, ..ShopState::default() }, start_of_time()).expect("the menu has them");
    Notice { stock: shop.stock(), closed: None }
}

fn setup(kind: Kind, menu: &Arc<Menu>) -> Setup {
    Setup {
        id: "s1".to_owned(),
        kind,
        table: Some(("t1".to_owned(), "Window".to_owned())),
        menu: Arc::clone(menu),
        door: Door {
            code: "4711".to_owned(),
            invite: "inv".to_owned(),
            path: "/t/tok".to_owned(),
            open_until: start_of_time() + SignedDuration::from_mins(20),
        },
        idle: SignedDuration::from_hours(3),
    }
}

fn phones() -> PhoneRules {
    PhoneRules { region: Region::US, countries: vec![Region::US] }
}

/// A session with a clock, and everything that it wanted done last.
struct Table {
    menu: Arc<Menu>,
    session: Session,
    now: Timestamp,
    outputs: Vec<Output>,
    operations: u32,
}

impl Table {
    /// A table at which Ada (`m1`) and Bob (`m2`) sit, each with a screen.
    fn of_two() -> Self {
        Self::of(Kind::Table, &["Ada", "Bob"])
    }

    fn of(kind: Kind, names: &[&str]) -> Self {
        Self::with(kind, boba(), names)
    }

    fn with(kind: Kind, menu: Arc<Menu>, names: &[&str]) -> Self {
        let now = start_of_time();
        let session = Session::start(setup(kind, &menu), phones(), notice(&menu, &[]), now);
        let mut table = Self { menu, session, now, outputs: Vec::new(), operations: 0 };
        for (at, name) in names.iter().enumerate() {
            table.input(Input::Join(NewMember { name: (*name).to_owned(), secret_hash: format!("hash{at}") }));
            table.input(Input::Connected(format!("m{}", at + 1)));
        }
        table
    }

    fn input(&mut self, input: Input) -> &[Output] {
        self.outputs.clear();
        self.session.handle(self.now, input, &mut self.outputs);
        &self.outputs
    }

    /// A message of this member's screen, with an operation id of its own unless it brings one.
    fn says(&mut self, member: &str, mut message: Value) -> Vec<Value> {
        self.operations += 1;
        if message.get("op_id").is_none() {
            message["op_id"] = json!(format!("op{}", self.operations));
        }
        match ClientMessage::parse(&message.to_string()).expect("a message") {
            ClientMessage::Do(operation) => self.input(Input::Operation(member.to_owned(), operation)),
            ClientMessage::Snapshot => self.input(Input::Look(member.to_owned())),
            ClientMessage::Ping => panic!("pings are not the session's"),
        };
        self.told()
    }

    fn adds(&mut self, member: &str, flavor: &str, qty: u32) -> Vec<Value> {
        self.says(member, json!({"type": "add_item", "item": {"flavor": flavor, "qty": qty}}))
    }

    fn places(&mut self, member: &str) -> Vec<Value> {
        let view = self.view();
        self.says(member, json!({"type": "place_order", "revision": view["revision"], "total": view["total"]}))
    }

    /// Everything that was said last, to whomever; those that are for one member have them under `to`.
    fn told(&self) -> Vec<Value> {
        let told = |output: &Output| match output {
            Output::All(message) => Some(described(message)),
            Output::To(member, message) => {
                let mut message = described(message);
                message["to"] = json!(member);
                Some(message)
            }
            _ => None,
        };
        self.outputs.iter().filter_map(told).collect()
    }

    fn placement(&self) -> Option<&Placement> {
        self.outputs.iter().find_map(|output| match output {
            Output::Place(placement) => Some(placement.as_ref()),
            _ => None,
        })
    }

    fn cancelled(&self) -> Option<&str> {
        self.outputs.iter().find_map(|output| match output {
            Output::Cancel(order) => Some(order.as_str()),
            _ => None,
        })
    }

    /// The last placement becomes this order.
    fn placed(&mut self, news: OrderNews) -> Vec<Value> {
        let key = self.session.placing().expect("something is being placed").to_owned();
        self.input(Input::Placed(key, Ok(news)));
        self.told()
    }

    fn hears(&mut self, news: OrderNews) -> Vec<Value> {
        self.input(Input::Order(news));
        self.told()
    }

    fn snapshot(&self) -> Snapshot {
        self.session.snapshot("m1", self.now).expect("Ada is there")
    }

    fn view(&self) -> Value {
        json!(self.snapshot())
    }

    fn items(&self) -> Vec<Item> {
        self.snapshot().items.into_iter().map(|line| line.item).collect()
    }

    fn is_sold_out(&mut self, names: &[&str]) -> Vec<Value> {
        let notice = notice(&self.menu, names);
        self.input(Input::Shop(notice));
        self.told()
    }

    /// The server stops without notice and starts again with what was saved.
    fn restarts_with(&mut self, stored: &Stored) {
        let text = serde_json::to_string(stored).expect("it can be written");
        let stored = serde_json::from_str(&text).expect("what was written can be read");
        self.session = Session::restore(stored, Arc::clone(&self.menu), phones(), notice(&self.menu, &[]));
    }
}

/// An order of these lines, with the point of sale.
fn order(n: u64, version: u64, items: Vec<Item>) -> OrderNews {
    OrderNews {
        order_id: OrderId::numbered("main", n),
        order_number: OrderNumber::new(4700 + n as u32).expect("four digits"),
        version,
        status: OrderStatus::Pending,
        total: items.iter().map(Item::subtotal).sum(),
        items,
        placed_at: start_of_time(),
        ready_at: None,
        ticket: Ticket::Waiting,
    }
}

impl OrderNews {
    fn at_status(self, status: OrderStatus) -> Self {
        Self { status, ticket: Ticket::Settled, ..self }
    }

    fn refused(self, reason: &str) -> Self {
        Self { ticket: Ticket::Refused(reason.to_owned()), ..self }
    }
}

/// A message as it is sent, which is as the protocol's description says.
fn described(message: &ServerMessage) -> Value {
    let message = json!(message);
    crate::table::protocol::tests::is_described(&message);
    message
}

/// The types of messages, in their sequence.
fn types(messages: &[Value]) -> Vec<&str> {
    messages.iter().map(|message| message["type"].as_str().expect("a type")).collect()
}

/// The only refusal among messages.
fn refusal(messages: &[Value]) -> &Value {
    let mut refusals = messages.iter().filter(|message| message["type"] == "error");
    let refusal = refusals.next().unwrap_or_else(|| panic!("no refusal: {messages:?}"));
    assert!(refusals.next().is_none(), "{messages:?}");
    refusal
}

fn money(amount: f64) -> Money {
    Money::from_number(amount).expect("an amount")
}
