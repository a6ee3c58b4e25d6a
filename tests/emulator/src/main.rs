//! A DynamoDB on a free port of this machine, for tests.
//!
//! It writes its URL as one line, keeps everything in memory or in the file that it is given, and ends when its input
//! ends: whoever started it need not remember to stop it, not even when it is killed.

use dynoxide::Database;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let database = match std::env::args().nth(1) {
        Some(path) => Database::new(&path)?,
        None => Database::memory()?,
    };
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}", listener.local_addr()?);
    let ended = async {
        let mut input = tokio::io::stdin();
        let mut ignored = [0; 64];
        while matches!(input.read(&mut ignored).await, Ok(1..)) {}
    };
    tokio::select! {
        () = dynoxide::server::serve_on(listener, database) => {}
        () = ended => {}
    }
    // A blocked read of the input must not keep the program.
    std::process::exit(0)
}
