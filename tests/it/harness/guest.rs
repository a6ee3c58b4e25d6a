//! Guests at tables: they join over HTTP and talk over a real socket.

use super::{Answer, PATIENCE, TestShop, client};
use futures_util::{SinkExt as _, StreamExt as _};
use reqwest::header::{CONTENT_TYPE, COOKIE, HeaderValue};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

/// Tells a server behind a proxy who asks.
const FORWARDED: &str = "X-Forwarded-For";

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A guest with one screen.
pub(crate) struct Guest {
    pub(crate) cookie: String,
    pub(crate) session: String,
    pub(crate) member: String,
    /// The first message on the socket.
    pub(crate) first: Value,
    /// All that was said on the socket, both ways: `true` is the server's.
    pub(crate) log: Vec<(bool, Value)>,
    socket: Socket,
    ops: u32,
}

impl TestShop {
    /// Sets up a table and answers the token of its code.
    pub(crate) async fn table(&self, name: &str) -> String {
        let table = self.add_table(name).await;
        let link = table["link"].as_str().expect("a link");
        link.rsplit('/').next().expect("a token").to_owned()
    }

    pub(crate) async fn add_table(&self, name: &str) -> Value {
        let answer = self.post_json("/api/v1/tables", &json!({"name": name})).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        answer.json()
    }

    pub(crate) async fn post_json(&self, path: &str, body: &Value) -> Answer {
        let request = client().post(self.url(path)).header(CONTENT_TYPE, "application/json");
        Answer::to(request.body(body.to_string())).await
    }

    /// Tries to join, and answers what comes of it.
    pub(crate) async fn try_join(&self, body: &Value) -> Answer {
        self.post_json("/api/tables/join", body).await
    }

    /// Joins by a proxy that passes on what this address asks, and connects.
    pub(crate) async fn guest_from(&self, address: &'static str, body: &Value) -> Guest {
        let request = client().post(self.url("/api/tables/join")).header(CONTENT_TYPE, "application/json");
        let request = request.header(FORWARDED, address).body(body.to_string());
        Guest::of(self, &Answer::to(request).await, Some(address)).await
    }

    /// Joins at the table of this token, and connects.
    pub(crate) async fn guest(&self, token: &str, name: &str) -> Guest {
        self.guest_who(&json!({"token": token, "name": name})).await
    }

    pub(crate) async fn guest_who(&self, body: &Value) -> Guest {
        Guest::of(self, &self.try_join(body).await, None).await
    }
}

/// Opens a guest's socket; the code that it was closed with, if that is what came first.
pub(crate) async fn knock(shop: &TestShop, session: &str, cookie: Option<&str>) -> Result<(Socket, Value), u16> {
    knock_from(shop, session, cookie, None).await
}

async fn knock_from(
    shop: &TestShop,
    session: &str,
    cookie: Option<&str>,
    address: Option<&'static str>,
) -> Result<(Socket, Value), u16> {
    let url = format!("ws://{}/ws/tables/{session}", shop.shop.address());
    let mut request = url.into_client_request().expect("a request");
    if let Some(cookie) = cookie {
        request.headers_mut().insert(COOKIE, HeaderValue::from_str(cookie).expect("a header"));
    }
    if let Some(address) = address {
        request.headers_mut().insert(FORWARDED, HeaderValue::from_static(address));
    }
    let (mut socket, _) = tokio_tungstenite::connect_async(request).await.expect("an upgrade");
    match read(&mut socket).await {
        Ok(first) => Ok((socket, first)),
        Err(code) => Err(code),
    }
}

async fn read(socket: &mut Socket) -> Result<Value, u16> {
    loop {
        let message = tokio::time::timeout(PATIENCE, socket.next()).await.expect("the server says something");
        match message {
            Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(text.as_str()).expect("JSON")),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            Some(Ok(Message::Close(Some(frame)))) => return Err(frame.code.into()),
            other => panic!("neither a message nor a close code: {other:?}"),
        }
    }
}

impl Guest {
    async fn of(shop: &TestShop, answer: &Answer, address: Option<&'static str>) -> Self {
        assert_eq!(answer.status, 201, "{}", answer.text);
        let (joined, cookie) = (answer.json(), answer.cookie());
        let text = |name: &str| joined[name].as_str().expect("text").to_owned();
        let (session, member) = (text("session"), text("member_id"));
        let (socket, first) = knock_from(shop, &session, Some(&cookie), address).await.expect("a member is let in");
        assert_eq!(first["type"], "snapshot", "{first}");
        let log = vec![(true, first.clone())];
        Self { cookie, session, member, first, log, socket, ops: 0 }
    }

    /// Comes back by another socket.
    pub(crate) async fn reconnect(&mut self, shop: &TestShop) {
        let (socket, first) = knock(shop, &self.session, Some(&self.cookie)).await.expect("a member is let in");
        assert_eq!(first["type"], "snapshot", "{first}");
        self.log.push((true, first.clone()));
        (self.socket, self.first) = (socket, first);
    }

    pub(crate) async fn send(&mut self, message: Value) {
        self.send_text(&message.to_string()).await;
        self.log.push((false, message));
    }

    pub(crate) async fn send_text(&mut self, text: &str) {
        self.socket.send(Message::text(text)).await.expect("the server reads");
    }

    /// Sends what nobody may read any more.
    pub(crate) async fn send_anyway(&mut self, message: Value) {
        // The server may have closed the socket already.
        let _ = self.socket.send(Message::text(message.to_string())).await;
    }

    /// Asks for an operation under a name of its own, which is answered.
    pub(crate) async fn ask(&mut self, kind: &str, mut message: Value) -> String {
        self.ops += 1;
        let op_id = format!("{}-{}", self.member, self.ops);
        message["type"] = kind.into();
        message["op_id"] = op_id.as_str().into();
        self.send(message).await;
        op_id
    }

    /// Adds a taro milk tea, and answers its line once it is in the cart.
    pub(crate) async fn add(&mut self, quantity: u32) -> Value {
        let op_id = self.ask("add_item", json!({"item": {"flavor": "taro milk tea", "qty": quantity}})).await;
        let added = self.expect("add_item", |message| message["op_id"] == op_id.as_str()).await;
        added["line"].clone()
    }

    /// Places what is in the cart as it is now, and answers the operation's name.
    pub(crate) async fn place(&mut self, shop: &TestShop) -> String {
        let cart = self.cart(shop).await;
        self.ask("place_order", json!({"revision": cart["revision"], "total": cart["total"]})).await
    }

    /// The next message of this type that is `meant`; those before it are read over.
    pub(crate) async fn expect(&mut self, kind: &str, meant: impl Fn(&Value) -> bool) -> Value {
        let mut others = Vec::new();
        let patience = tokio::time::Instant::now() + PATIENCE;
        loop {
            // Pings keep a socket alive on which the message never comes.
            let message = match tokio::time::timeout_at(patience, read(&mut self.socket)).await {
                Ok(Ok(message)) => message,
                Ok(Err(code)) => panic!("closed by {code} instead of {kind}; read: {others:#?}"),
                Err(_) => panic!("no {kind} came; read: {others:#?}"),
            };
            self.log.push((true, message.clone()));
            if message["type"] == kind && meant(&message) {
                return message;
            }
            others.push(message);
        }
    }

    /// The next message of this type.
    pub(crate) async fn hear(&mut self, kind: &str) -> Value {
        self.expect(kind, |_| true).await
    }

    /// The next refusal.
    pub(crate) async fn refusal(&mut self) -> Value {
        self.hear("error").await
    }

    /// The code that the server closes the socket with; messages before it are read over.
    pub(crate) async fn closed(&mut self) -> u16 {
        loop {
            match read(&mut self.socket).await {
                Ok(message) => self.log.push((true, message)),
                Err(code) => return code,
            }
        }
    }

    /// The cart as it is asked for over HTTP.
    pub(crate) async fn cart(&self, shop: &TestShop) -> Value {
        let answer = self.get(shop, &format!("/api/tables/{}/cart", self.session)).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()
    }

    /// Asks with this guest's cookie.
    pub(crate) async fn get(&self, shop: &TestShop, path: &str) -> Answer {
        Answer::to(client().get(shop.url(path)).header(COOKIE, &self.cookie)).await
    }
}
