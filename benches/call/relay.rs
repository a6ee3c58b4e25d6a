//! The yardstick: forwards every message between the same two sockets and converts nothing. One task a call, 4 KiB read
//! buffers, one flush for all that is ready on the other side.

use futures_util::{FutureExt, Sink, SinkExt, Stream, StreamExt};
use std::net::{Ipv4Addr, SocketAddr};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{accept_async_with_config, client_async_with_config};

pub(crate) fn config() -> WebSocketConfig {
    WebSocketConfig::default().read_buffer_size(4096).write_buffer_size(4096)
}

pub(crate) async fn run(agent: SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    println!("{}", listener.local_addr().expect("an address"));
    while let Ok((socket, _)) = listener.accept().await {
        tokio::spawn(relay(socket, agent));
    }
}

async fn relay(phone: TcpStream, agent: SocketAddr) {
    phone.set_nodelay(true).expect("a TCP socket");
    let Ok(mut phone) = accept_async_with_config(phone, Some(config())).await else { return };
    let agent_socket = TcpStream::connect(agent).await.expect("the agent is there");
    agent_socket.set_nodelay(true).expect("a TCP socket");
    let url = format!("ws://{agent}/v1/agent/converse");
    let (mut agent, _) = client_async_with_config(url, agent_socket, Some(config())).await.expect("a handshake");
    loop {
        let sent = tokio::select! {
            Some(Ok(message)) = phone.next() => forward(message, &mut phone, &mut agent).await,
            Some(Ok(message)) = agent.next() => forward(message, &mut agent, &mut phone).await,
            else => return,
        };
        if sent.is_err() {
            return;
        }
    }
}

/// A message and whatever else has come meanwhile.
async fn forward<S, T>(first: Message, from: &mut S, to: &mut T) -> Result<(), Error>
where
    S: Stream<Item = Result<Message, Error>> + Unpin,
    T: Sink<Message, Error = Error> + Unpin,
{
    to.feed(first).await?;
    while let Some(Some(message)) = from.next().now_or_never() {
        to.feed(message?).await?;
    }
    to.flush().await
}
