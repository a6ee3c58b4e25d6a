//! A telephone without manners: speaks the media stream's protocol by hand, as well or as badly as a test wants.

use super::{PATIENCE, TestShop, client};
use bobarista::twilio::far_end::FarEndWriter;
use bobarista::twilio::message::{MediaFormat, Start};
use bobarista::twilio::signature;
use futures_util::{SinkExt as _, StreamExt as _};
use std::net::SocketAddr;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

/// One media socket, open, on which nothing has been said yet.
pub(crate) struct Phone {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// Writes what Twilio would.
    pub(crate) writer: FarEndWriter,
}

impl TestShop {
    /// Twilio's form for a call, posted to `path`.
    pub(crate) async fn post_call(&self, path: &str, call_sid: &str) -> reqwest::Response {
        let form = [("CallSid", call_sid), ("From", "+15551234567"), ("To", "+15557654321")];
        let form = form.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut request = client().post(self.url(path)).form(&form);
        if let Some(token) = self.setting("TWILIO_AUTH_TOKEN") {
            request = request.header(signature::HEADER, signature::sign(token, &self.url(path), &form));
        }
        request.send().await.expect("an answer")
    }

    /// Announces a call and returns the token in the TwiML.
    pub(crate) async fn announce_call(&self, call_sid: &str) -> String {
        token_in(&self.post_call("/voice", call_sid).await.text().await.expect("TwiML"))
    }

    /// Opens a media socket for a call; `token` goes into its `start`.
    pub(crate) async fn phone(&self, call_sid: &str, token: &str) -> Phone {
        self.phone_with(call_sid, token, MediaFormat::default()).await
    }

    pub(crate) async fn phone_with(&self, call_sid: &str, token: &str, media_format: MediaFormat) -> Phone {
        Phone::open(self.shop.address(), call_sid, token, media_format).await
    }
}

/// The stream's token in a call's TwiML.
pub(crate) fn token_in(twiml: &str) -> String {
    let token = twiml.split_once("name=\"token\" value=\"").and_then(|(_, rest)| rest.split_once('"'));
    token.unwrap_or_else(|| panic!("no token in {twiml}")).0.to_owned()
}

impl Phone {
    pub(crate) async fn open(address: SocketAddr, call_sid: &str, token: &str, media_format: MediaFormat) -> Self {
        let (socket, _) = tokio_tungstenite::connect_async(format!("ws://{address}/twilio")).await.expect("an upgrade");
        let writer = FarEndWriter::new(Start {
            stream_sid: format!("MZ{call_sid}"),
            call_sid: call_sid.to_owned(),
            account_sid: None,
            media_format,
            parameters: [("token".to_owned(), token.to_owned())].into(),
        });
        Self { socket, writer }
    }

    pub(crate) async fn send(&mut self, message: impl Into<Message>) {
        self.socket.send(message.into()).await.expect("the socket takes it");
    }

    /// `connected` and `start`, as Twilio begins every stream.
    pub(crate) async fn start(&mut self) {
        let (connected, start) = (self.writer.connected(), self.writer.start());
        self.send(connected).await;
        self.send(start).await;
    }

    /// The next text frame.
    pub(crate) async fn text(&mut self) -> String {
        let text = async {
            loop {
                match self.socket.next().await.expect("the socket stays open").expect("a frame") {
                    Message::Text(text) => return text.to_string(),
                    Message::Close(frame) => panic!("closed: {frame:?}"),
                    _ => {}
                }
            }
        };
        tokio::time::timeout(PATIENCE, text).await.expect("a text frame")
    }

    /// Reads until the server has closed, and says every mark back at once; the reason for the close.
    pub(crate) async fn closed(&mut self) -> String {
        let closed = async {
            loop {
                match self.socket.next().await {
                    Some(Ok(Message::Close(frame))) => {
                        return frame.map(|frame| frame.reason.to_string()).unwrap_or_default();
                    }
                    Some(Ok(Message::Text(text))) if text.contains("\"event\":\"mark\"") => {
                        let mark: serde_json::Value = serde_json::from_str(&text).expect("messages are JSON");
                        let echo = self.writer.mark(mark["mark"]["name"].as_str().expect("marks have names"));
                        self.send(echo).await;
                    }
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return "dropped".to_owned(),
                }
            }
        };
        tokio::time::timeout(PATIENCE, closed).await.expect("the server closes the socket")
    }

    /// Hangs up as Twilio does.
    pub(crate) async fn hang_up(mut self) {
        let stop = self.writer.stop();
        self.send(stop).await;
        let _ = self.socket.close(None).await;
    }
}
