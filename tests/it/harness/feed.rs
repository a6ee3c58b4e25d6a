//! Reads server-sent events as they are on the wire: comments and `retry` too, which client libraries keep to themselves.

use super::{PATIENCE, client};
use serde_json::Value;

/// An open feed.
pub(crate) struct Feed {
    response: reqwest::Response,
    unread: String,
    /// Everything that was read, as it came.
    pub(crate) seen: String,
}

/// What stands between two empty lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Block(Vec<String>);

impl Feed {
    /// Opens a feed that must be there, and reads what each begins with.
    pub(crate) async fn open(url: &str, last_event_id: Option<&str>) -> Self {
        let mut request = client().get(url);
        if let Some(id) = last_event_id {
            request = request.header("Last-Event-ID", id);
        }
        Self::of(request).await
    }

    /// As [`Feed::open`], by a request with whatever lets it in.
    pub(crate) async fn of(request: reqwest::RequestBuilder) -> Self {
        let response = request.send().await.expect("an answer");
        assert_eq!(response.status(), 200, "{}", response.url());
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["x-accel-buffering"], "no");
        // What is behind a door is kept by nobody.
        assert!(["no-cache", "no-store"].iter().any(|kept| response.headers()["cache-control"] == kept));
        let mut feed = Self { response, unread: String::new(), seen: String::new() };
        assert_eq!(feed.next().await.expect("a beginning").0, ["retry: 2000"]);
        assert_eq!(feed.next().await.expect("a beginning").0, [": connected"]);
        feed
    }

    /// The next block; none when the server has ended the feed.
    pub(crate) async fn next(&mut self) -> Option<Block> {
        loop {
            if let Some(end) = self.unread.find("\n\n") {
                let block = self.unread[..end].lines().map(str::to_owned).collect();
                self.unread.drain(..end + 2);
                return Some(Block(block));
            }
            let chunk = tokio::time::timeout(PATIENCE, self.response.chunk()).await.expect("the feed goes on");
            let text = String::from_utf8(chunk.expect("the feed is whole")?.to_vec()).expect("UTF-8");
            self.seen += &text;
            self.unread += &text;
        }
    }

    /// The next event that is no ping: its id and its JSON.
    pub(crate) async fn event(&mut self) -> (String, Value) {
        loop {
            let block = self.next().await.expect("the feed goes on");
            let json = block.json();
            if json["type"] != "ping" {
                return (block.field("id").expect("an id").to_owned(), json);
            }
        }
    }

    /// The next event of this type; what comes before it is passed over.
    pub(crate) async fn event_of(&mut self, kind: &str) -> Value {
        let wanted = async {
            loop {
                let (_, event) = self.event().await;
                if event["type"] == kind {
                    return event;
                }
            }
        };
        // As a whole: pings come for ever.
        tokio::time::timeout(PATIENCE, wanted).await.unwrap_or_else(|_| panic!("no {kind} on the feed"))
    }
}

impl Block {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut values = self.0.iter().filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        let value = values.next();
        assert!(values.next().is_none(), "{name} twice: {self:?}");
        value
    }

    /// Whether it has a comment.
    pub(crate) fn has_comment(&self) -> bool {
        self.0.iter().any(|line| line.starts_with(':'))
    }

    /// The object in its `data`; events have no name, so that a browser hands all of them to one listener.
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.field("event"), None);
        let json: Value = serde_json::from_str(self.field("data").expect("data")).expect("JSON");
        assert!(json.is_object(), "{json}");
        json
    }
}
