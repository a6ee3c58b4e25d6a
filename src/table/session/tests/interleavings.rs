//! Whatever happens in whatever sequence: screens end with the server's cart, nothing that was answered is lost, nothing is
//! ordered twice.

use super::model::Screen;
use super::*;
use crate::table::protocol::RefusalCode;
use crate::table::session::{Placement, PlacementRefused};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

const GUESTS: usize = 3;

/// Something that happens. Numbers choose among what there is.
#[derive(Clone, Debug)]
enum Event {
    /// A guest adds one of two drinks, so many times.
    Add(usize, bool, u32),
    /// A guest changes the count of a line.
    Update(usize, usize, u32),
    Remove(usize, usize),
    Clear(usize),
    Place(usize),
    /// A guest looks at the cart as it is and orders it, which hardly anybody would by chance. What comes of it: see
    /// [`World::place_now`].
    PlaceNow(usize, u8),
    Rename(usize, u8),
    /// Messages reach the server: at most so many.
    Up(usize, usize),
    /// Messages reach a screen: at most so many.
    Down(usize, usize),
    /// A screen sends something once more that it has sent.
    Repeat(usize, usize),
    Disconnect(usize),
    Connect(usize),
    Save,
    /// The server stops without notice; what was being placed was, or was not.
    Crash(bool),
    /// The order service answers: with an order that is taken at once, one that waits, or none.
    Answer(u8),
    /// The point of sale takes or refuses what waits; staff take or cancel it.
    Settle(usize, u8),
    /// Staff take back that they have cancelled an order.
    BringBack,
}

fn event() -> impl Strategy<Value = Event> {
    use Event::*;
    let guest = 0..GUESTS;
    prop_oneof![
        10 => (guest.clone(), any::<bool>(), 1..3_u32).prop_map(|(guest, which, qty)| Add(guest, which, qty)),
        3 => (guest.clone(), 0..4_usize, 1..4_u32).prop_map(|(guest, line, qty)| Update(guest, line, qty)),
        2 => (guest.clone(), 0..4_usize).prop_map(|(guest, line)| Remove(guest, line)),
        1 => guest.clone().prop_map(Clear),
        2 => guest.clone().prop_map(Place),
        8 => (guest.clone(), 0..4_u8).prop_map(|(guest, then)| PlaceNow(guest, then)),
        1 => (guest.clone(), any::<u8>()).prop_map(|(guest, name)| Rename(guest, name)),
        12 => (guest.clone(), 1..6_usize).prop_map(|(guest, most)| Up(guest, most)),
        12 => (guest.clone(), 1..6_usize).prop_map(|(guest, most)| Down(guest, most)),
        2 => (guest.clone(), 0..20_usize).prop_map(|(guest, which)| Repeat(guest, which)),
        1 => guest.clone().prop_map(Disconnect),
        6 => guest.prop_map(Connect),
        3 => Just(BringBack),
        2 => Just(Save),
        2 => any::<bool>().prop_map(Crash),
        12 => (0..4_u8).prop_map(Answer),
        14 => (0..2_usize, 0..8_u8).prop_map(|(order, how)| Settle(order, how)),
    ]
}

/// A screen's connection: what is on its way in both directions.
#[derive(Default)]
struct Connection {
    up: VecDeque<Value>,
    down: VecDeque<Value>,
}

struct World {
    menu: Arc<Menu>,
    session: Session,
    disk: Stored,
    screens: Vec<Screen>,
    connections: Vec<Option<Connection>>,
    /// Everything that a screen has sent, to be repeated.
    sent: Vec<Vec<Value>>,
    /// The order service: orders, and by which keys they were asked for.
    orders: Vec<OrderNews>,
    keys: BTreeMap<String, usize>,
    placement: Option<Placement>,
    /// Lines that somebody was told are in the cart, and lines that were taken out since.
    told: BTreeSet<String>,
    removed: BTreeSet<String>,
    now: Timestamp,
}

impl World {
    fn new() -> Self {
        let menu = boba();
        let now = start_of_time();
        let mut session = Session::start(setup(Kind::Table, &menu), phones(), notice(&menu, &[]), now);
        for guest in 0..GUESTS {
            let member = NewMember { name: format!("Guest {guest}"), secret_hash: format!("hash{guest}") };
            session.handle(now, Input::Join(member), &mut Vec::new());
        }
        Self {
            menu,
            disk: session.stored(),
            session,
            screens: (0..GUESTS).map(|guest| Screen::new(&format!("m{}", guest + 1))).collect(),
            connections: (0..GUESTS).map(|_| None).collect(),
            sent: vec![Vec::new(); GUESTS],
            orders: Vec::new(),
            keys: BTreeMap::new(),
            placement: None,
            told: BTreeSet::new(),
            removed: BTreeSet::new(),
            now,
        }
    }

    fn input(&mut self, input: Input) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let watches_anew = matches!(input, Input::Placed(..));
            let mut outputs = Vec::new();
            self.session.handle(self.now, input, &mut outputs);
            for output in outputs {
                inputs.extend(self.carry_out(output));
            }
            if watches_anew {
                inputs.extend(self.watched());
            }
            self.check_prices();
        }
    }

    fn carry_out(&mut self, output: Output) -> Option<Input> {
        match output {
            Output::To(member, message) => self.send(&member, &described(&message)),
            Output::All(message) => {
                let message = described(&message);
                self.note_removed(&message);
                for guest in 0..GUESTS {
                    let member = self.screens[guest].member.clone();
                    self.send(&member, &message);
                }
            }
            Output::Place(placement) => {
                assert!(!self.keys.contains_key(&placement.key), "{} is placed again", placement.key);
                self.disk = self.session.stored();
                self.placement = Some(*placement);
                return Some(Input::Saved(self.session.revision()));
            }
            Output::Cancel(order_id) => {
                let order = self.orders.iter_mut().find(|order| order.order_id == order_id).expect("it is there");
                if order.status == OrderStatus::Pending {
                    *order =
                        OrderNews { version: order.version + 1, ..order.clone().at_status(OrderStatus::Cancelled) };
                }
                return Some(Input::Order(order.clone()));
            }
            Output::Joined(_) | Output::Save => {}
            Output::Abandon(_) | Output::Ended => panic!("nobody ends it"),
        }
        None
    }

    fn send(&mut self, member: &str, message: &Value) {
        let guest = self.screens.iter().position(|screen| screen.member == member).expect("a member");
        if let Some(connection) = &mut self.connections[guest] {
            connection.down.push_back(message.clone());
        }
    }

    fn note_removed(&mut self, message: &Value) {
        match message["type"].as_str() {
            Some("remove_item") => drop(self.removed.insert(message["public_id"].to_string())),
            // Which lines there were is known from before.
            Some("clear_cart") => self.removed.extend(self.told.iter().cloned()),
            Some("add_item") => drop(self.told.insert(message["line"]["public_id"].to_string())),
            _ => {}
        }
    }

    fn watched(&self) -> Vec<Input> {
        let watched = self.session.watched();
        let orders = self.orders.iter().filter(|order| watched.contains(&order.order_id));
        orders.cloned().map(Input::Order).collect()
    }

    /// The cart always costs what its lines cost by the menu.
    fn check_prices(&self) {
        let cart = self.session.snapshot("m1", self.now).expect("a member");
        let by_menu = |line: &crate::table::protocol::Line| {
            self.menu.price(&line.item).expect("on the menu") * line.item.quantity
        };
        assert_eq!(cart.total, cart.items.iter().map(by_menu).sum());
    }

    fn wants(&mut self, guest: usize, message: Value) {
        let message = self.screens[guest].wants(message);
        self.sends(guest, vec![message]);
    }

    fn sends(&mut self, guest: usize, messages: Vec<Value>) {
        self.sent[guest].extend(messages.iter().filter(|message| message["type"] != "snapshot").cloned());
        // What was wanted before the screen has seen the cart is sent when it has.
        if let (Some(connection), Some(_)) = (&mut self.connections[guest], &self.screens[guest].view) {
            connection.up.extend(messages);
        }
    }

    fn seen(&self, guest: usize, key: &str) -> Option<Value> {
        self.screens[guest].view.as_ref().map(|view| view[key].clone())
    }

    fn line(&self, guest: usize, at: usize) -> Option<Value> {
        let items = self.seen(guest, "items")?;
        let items = items.as_array().expect("a list");
        items.get(at % items.len().max(1)).cloned()
    }

    fn happens(&mut self, event: Event) {
        self.now += SignedDuration::from_millis(10);
        match event {
            Event::Add(guest, which, qty) => {
                let flavor = if which { "taro milk tea" } else { "black milk tea" };
                self.wants(guest, json!({"type": "add_item", "item": {"flavor": flavor, "qty": qty}}));
            }
            Event::Update(guest, at, qty) => {
                let Some(line) = self.line(guest, at) else { return };
                let (id, revision) = (&line["public_id"], &line["revision"]);
                let message =
                    json!({"type": "update_item", "public_id": id, "revision": revision, "item": {"qty": qty}});
                self.wants(guest, message);
            }
            Event::Remove(guest, at) => {
                let Some(line) = self.line(guest, at) else { return };
                let (id, revision) = (&line["public_id"], &line["revision"]);
                self.wants(guest, json!({"type": "remove_item", "public_id": id, "revision": revision}));
            }
            Event::Clear(guest) => {
                let Some(revision) = self.seen(guest, "revision") else { return };
                self.wants(guest, json!({"type": "clear_cart", "revision": revision}));
            }
            Event::Place(guest) => {
                let Some(revision) = self.seen(guest, "revision") else { return };
                let total = self.seen(guest, "total");
                self.wants(guest, json!({"type": "place_order", "revision": revision, "total": total}));
            }
            Event::Rename(guest, name) => {
                self.wants(guest, json!({"type": "set_name", "name": format!("Guest {name}")}))
            }
            Event::PlaceNow(guest, then) => self.place_now(guest, then),
            Event::Up(guest, most) => (0..most).for_each(|_| self.up(guest)),
            Event::Down(guest, most) => (0..most).for_each(|_| self.down(guest)),
            Event::Repeat(guest, which) => {
                let sent = &self.sent[guest];
                let Some(message) = sent.len().checked_sub(1 + which).and_then(|at| sent.get(at)).cloned() else {
                    return;
                };
                if let Some(connection) = &mut self.connections[guest] {
                    connection.up.push_back(message);
                }
            }
            Event::Disconnect(guest) => {
                if self.connections[guest].take().is_some() {
                    let member = self.screens[guest].member.clone();
                    self.input(Input::Disconnected(member));
                }
            }
            Event::Connect(guest) => {
                if self.connections[guest].is_none() {
                    self.connections[guest] = Some(Connection::default());
                    self.screens[guest].connected();
                    let member = self.screens[guest].member.clone();
                    self.input(Input::Connected(member));
                }
            }
            Event::Save => {
                self.disk = self.session.stored();
                self.input(Input::Saved(self.session.revision()));
            }
            Event::Crash(was_placed) => self.crash(was_placed),
            Event::Answer(how) => self.answer(how),
            Event::Settle(order, how) => self.settle(order, how),
            Event::BringBack => self.bring_back(),
        }
    }

    /// What follows is left to chance (0, 1), or: the order waits for the point of sale (2), or is refused by it (3).
    fn place_now(&mut self, guest: usize, then: u8) {
        self.happens(Event::Connect(guest));
        for _ in 0..2 {
            self.happens(Event::Down(guest, 1000));
            self.happens(Event::Up(guest, 1000));
        }
        self.happens(Event::Down(guest, 1000));
        self.happens(Event::Place(guest));
        self.happens(Event::Up(guest, 1000));
        if then >= 2 {
            self.answer(2);
        }
        if then == 3 {
            self.settle(0, 7);
        }
    }

    fn up(&mut self, guest: usize) {
        let Some(message) = self.connections[guest].as_mut().and_then(|connection| connection.up.pop_front()) else {
            return;
        };
        let member = self.screens[guest].member.clone();
        match ClientMessage::parse(&message.to_string()).expect("a message") {
            ClientMessage::Do(operation) => self.input(Input::Operation(member, operation)),
            ClientMessage::Snapshot => self.input(Input::Look(member)),
            ClientMessage::Ping => unreachable!("no screen of the model pings"),
        }
    }

    fn down(&mut self, guest: usize) {
        let Some(message) = self.connections[guest].as_mut().and_then(|connection| connection.down.pop_front()) else {
            return;
        };
        let answers = self.screens[guest].takes(&message);
        self.sends(guest, answers);
    }

    fn crash(&mut self, was_placed: bool) {
        if let Some(placement) = self.placement.take()
            && was_placed
        {
            let _ = self.order_of(&placement, false);
        }
        self.connections = (0..GUESTS).map(|_| None).collect();
        let stored = serde_json::to_string(&self.disk).expect("it can be written");
        let stored = serde_json::from_str(&stored).expect("what was written can be read");
        self.session = Session::restore(stored, Arc::clone(&self.menu), phones(), notice(&self.menu, &[]));
        if let Some(key) = self.session.placing().map(str::to_owned) {
            let found = self.keys.get(&key).map(|at| self.orders[*at].clone());
            self.input(Input::Placed(key, found.ok_or_else(not_saved)));
        }
        for input in self.watched() {
            self.input(input);
        }
    }

    fn answer(&mut self, how: u8) {
        let Some(placement) = self.placement.take() else { return };
        let outcome = if how == 0 { Err(not_saved()) } else { self.order_of(&placement, how == 1) };
        self.input(Input::Placed(placement.key, outcome));
    }

    /// What the order service makes of a placement.
    fn order_of(&mut self, placement: &Placement, is_taken: bool) -> Result<OrderNews, PlacementRefused> {
        assert!(!self.keys.contains_key(&placement.key));
        let at = match &placement.again {
            None => {
                let new = order(self.orders.len() as u64 + 1, 1, placement.items.clone());
                self.orders.push(new);
                self.orders.len() - 1
            }
            Some(id) => {
                let at = self.orders.iter().position(|order| order.order_id == *id).expect("it is there");
                let order = &mut self.orders[at];
                if order.status != OrderStatus::Pending {
                    // Staff were faster: it is what they made of it.
                    return Ok(order.clone());
                }
                if !matches!(order.ticket, Ticket::Refused(_)) {
                    return Err(not_saved());
                }
                order.version += 1;
                order.items.clone_from(&placement.items);
                order.total = placement.items.iter().map(Item::subtotal).sum();
                order.ticket = Ticket::Waiting;
                at
            }
        };
        self.keys.insert(placement.key.clone(), at);
        if is_taken {
            let order = &mut self.orders[at];
            *order = OrderNews { version: order.version + 1, ..order.clone().at_status(OrderStatus::Received) };
        }
        Ok(self.orders[at].clone())
    }

    fn settle(&mut self, which: usize, how: u8) {
        let mut pending = self.orders.iter_mut().filter(|order| order.status == OrderStatus::Pending);
        let Some(order) = pending.nth(which) else { return };
        let status = match how {
            0 => OrderStatus::Cancelled,
            1 => OrderStatus::Received,
            _ if order.ticket != Ticket::Waiting => return,
            2 | 3 => OrderStatus::Received,
            _ => OrderStatus::Pending,
        };
        *order = match status {
            OrderStatus::Pending => order.clone().refused("It is closed."),
            status => OrderNews { version: order.version + 1, ..order.clone().at_status(status) },
        };
        let news = order.clone();
        if self.session.watched().contains(&news.order_id) {
            self.input(Input::Order(news));
        }
    }

    /// Only the latest order: who has placed another since has two.
    fn bring_back(&mut self) {
        let watched = self.session.watched();
        let Some(order) = self.orders.last_mut().filter(|_| self.placement.is_none()) else { return };
        if order.status != OrderStatus::Cancelled || !watched.contains(&order.order_id) {
            return;
        }
        *order = OrderNews {
            version: order.version + 1,
            status: OrderStatus::Pending,
            ticket: Ticket::Waiting,
            ..order.clone()
        };
        let news = order.clone();
        self.input(Input::Order(news));
    }

    /// Everybody is connected, everything arrives, every question is answered.
    fn comes_to_rest(&mut self) {
        for guest in 0..GUESTS {
            self.happens(Event::Connect(guest));
        }
        for _ in 0..1000 {
            for guest in 0..GUESTS {
                self.up(guest);
                self.down(guest);
            }
            let is_quiet = |connection: &Option<Connection>| {
                connection.as_ref().is_some_and(|connection| connection.up.is_empty() && connection.down.is_empty())
            };
            if !self.connections.iter().all(is_quiet) {
                continue;
            }
            if self.placement.is_some() {
                self.answer(2);
            } else if self.orders.iter().any(|order| order.ticket == Ticket::Waiting) {
                let waiting = self.orders.iter().filter(|order| order.status == OrderStatus::Pending);
                let at = waiting.take_while(|order| order.ticket != Ticket::Waiting).count();
                self.settle(at, 2);
            } else if self.session.revision() > self.session.saved_revision {
                self.happens(Event::Save);
            } else {
                return;
            }
        }
        panic!("it does not come to rest");
    }

    fn check(&mut self) {
        let at_hand: Vec<Value> =
            self.screens.iter().map(|screen| json!(self.session.snapshot(&screen.member, self.now))).collect();
        for (screen, truth) in self.screens.iter().zip(&at_hand) {
            let view = screen.view.as_ref().expect("it has been shown the cart");
            for (key, value) in truth.as_object().expect("an object") {
                // Clocks are nobody's to guess.
                if !["last_updated", "server_time"].contains(&key.as_str()) {
                    assert_eq!(&view[key], value, "{key} of {}", screen.member);
                }
            }
            assert!(screen.kept.is_empty(), "{} still keeps {:?}", screen.member, screen.kept);
        }
        self.check_lines(&at_hand[0]);
    }

    /// Every line that anybody was told of is in the cart, in exactly one order, was taken out, or its owner was told that it is
    /// not there after all.
    fn check_lines(&self, truth: &Value) {
        let ids = |items: &Value| -> Vec<String> {
            items.as_array().expect("a list").iter().map(|line| line["public_id"].to_string()).collect()
        };
        let mut places = ids(&truth["items"]);
        for order in truth["orders"].as_array().expect("a list") {
            places.extend(ids(&order["items"]));
        }
        let distinct: BTreeSet<&String> = places.iter().collect();
        assert_eq!(distinct.len(), places.len(), "a line is in two places: {places:?}");
        let refused: BTreeSet<String> = self
            .screens
            .iter()
            .flat_map(|screen| {
                screen.refused.iter().map(|op_id| json!(format!("{}-{op_id}", screen.member)).to_string())
            })
            .collect();
        for line in &self.told {
            assert!(distinct.contains(line) || self.removed.contains(line) || refused.contains(line), "{line} is lost");
        }
        let taken = self.orders.iter().filter(|order| order.status == OrderStatus::Received).count();
        assert_eq!(truth["orders"].as_array().map(Vec::len), Some(taken), "an order is unknown to the table");
    }
}

fn not_saved() -> PlacementRefused {
    PlacementRefused { code: RefusalCode::NotSaved, message: "It was not saved.".to_owned(), next_free: Vec::new() }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, max_shrink_iters: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn all_screens_end_with_the_servers_cart(events in prop::collection::vec(event(), 0..200)) {
        let mut world = World::new();
        for event in events {
            world.happens(event);
        }
        world.comes_to_rest();
        world.check();
    }
}

#[test]
fn what_was_answered_and_not_saved_is_sent_again_whatever_was_saved_since() {
    let mut world = World::new();
    for event in [
        Event::Connect(0),
        Event::Down(0, 9),
        Event::Add(0, true, 1),
        Event::Up(0, 9),
        Event::Down(0, 9),
        Event::Crash(false),
        Event::Connect(1),
        Event::Down(1, 9),
        Event::Add(1, true, 1),
        Event::Add(1, false, 2),
        Event::Up(1, 9),
        Event::Down(1, 9),
        Event::Save,
    ] {
        world.happens(event);
    }
    let cart = world.session.snapshot("m1", world.now).expect("a member");
    assert_eq!(
        (cart.items.len(), cart.saved_revision),
        (2, 2),
        "the crash has undone what was answered with revision 1"
    );
    world.comes_to_rest();
    world.check();
    let cart = world.session.snapshot("m1", world.now).expect("a member");
    let lines: Vec<&str> = cart.items.iter().map(|line| line.public_id.as_str()).collect();
    assert_eq!(lines, ["m2-o1", "m2-o2", "m1-o1"]);
}
