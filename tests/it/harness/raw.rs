//! One HTTP request as bytes, for what a well-behaved client would not send.

use super::PATIENCE;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Sends `GET {target}` untouched, and returns the status and all of the answer.
pub(crate) async fn get(address: SocketAddr, target: &str) -> (u16, String) {
    request(address, &format!("GET {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")).await
}

/// Sends these bytes, and returns the status and all of the answer.
pub(crate) async fn request(address: SocketAddr, bytes: &str) -> (u16, String) {
    let mut socket = TcpStream::connect(address).await.expect("a connection");
    socket.write_all(bytes.as_bytes()).await.expect("the server reads");
    let mut answer = Vec::new();
    let read = tokio::time::timeout(PATIENCE, socket.read_to_end(&mut answer)).await.expect("the answer ends");
    read.expect("the answer is whole");
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.unwrap_or_else(|| panic!("no HTTP: {answer}")), answer)
}
