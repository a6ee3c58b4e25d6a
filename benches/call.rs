//! What one call costs: CPU time a call-second and resident memory a call, beside a bare relay of the same two sockets
//! that converts nothing, in the same run.
//!
//! `cargo bench --bench call` (`-- --calls 100 --seconds 10`). Server and relay run in processes of their own, so that
//! their costs are theirs alone; the load – callers that send and hear a frame every 20 ms – runs in this one. Without
//! `--bench` (under `cargo test`) a few calls show that it all works.

#[path = "call/peers.rs"]
mod peers;
#[path = "call/process.rs"]
mod process;
#[path = "call/relay.rs"]
mod relay;

use peers::{AgentKind, Load, PhoneKind};
use process::{Child, Cost};
use std::net::SocketAddr;
use std::time::Duration;

/// Which audio is on the agent leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Audio {
    Linear16,
    Mulaw,
}

impl Audio {
    fn name(self) -> &'static str {
        match self {
            Self::Linear16 => "linear16",
            Self::Mulaw => "mulaw",
        }
    }

    /// Agent speech of 20 ms.
    fn chunk_bytes(self) -> usize {
        match self {
            Self::Linear16 => 960,
            Self::Mulaw => 160,
        }
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    if let [command, agent] = &arguments[..]
        && command == "--relay"
    {
        runtime.block_on(relay::run(agent.parse().expect("the agent's address")));
        return;
    }
    let measured = arguments.iter().any(|argument| argument == "--bench");
    let number = |name: &str, default: u64| {
        let at = arguments.iter().position(|argument| argument == name);
        at.map_or(default, |at| arguments[at + 1].parse().expect("a number"))
    };
    let calls = number("--calls", if measured { 100 } else { 3 }) as usize;
    let seconds = number("--seconds", if measured { 10 } else { 1 });
    let rounds = number("--rounds", if measured { 2 } else { 1 });
    runtime.block_on(compare(calls, Duration::from_secs(seconds), rounds));
}

async fn compare(calls: usize, time: Duration, rounds: u64) {
    println!(
        "{calls} calls for {} s, full duplex, a frame every 20 ms each way; the better of {rounds}",
        time.as_secs()
    );
    println!(
        "{:<10} {:>18} {:>18} {:>7} {:>14} {:>14}",
        "audio", "relay ms/call-s", "ours ms/call-s", "ratio", "relay KiB/call", "ours KiB/call"
    );
    for audio in [Audio::Linear16, Audio::Mulaw] {
        let (mut relay, mut ours) = (Cost::WORST, Cost::WORST);
        for _ in 0..rounds {
            relay = relay.better_of(measure_relay(audio, calls, time).await);
            ours = ours.better_of(measure_ours(audio, calls, time).await);
        }
        println!(
            "{:<10} {:>18.3} {:>18.3} {:>7.2} {:>14.1} {:>14.1}",
            audio.name(),
            relay.cpu_ms,
            ours.cpu_ms,
            ours.cpu_ms / relay.cpu_ms,
            relay.kib,
            ours.kib
        );
    }
}

async fn measure_relay(audio: Audio, calls: usize, time: Duration) -> Cost {
    let agent = peers::agent(AgentKind::Bare, audio.chunk_bytes()).await;
    let this = std::env::current_exe().expect("this program");
    let mut child = Child::start(&this, &["--relay", &agent.to_string()], &[]);
    let address: SocketAddr = child.first_line().parse().expect("the relay says where it listens");
    Load { phone: PhoneKind::Bare, address, calls, time }.run(&child).await
}

async fn measure_ours(audio: Audio, calls: usize, time: Duration) -> Cost {
    let agent = peers::agent(AgentKind::Deepgram, audio.chunk_bytes()).await;
    let address = process::free_port();
    let orders = tempfile::tempdir().expect("a temporary folder");
    let settings = [
        ("DEEPGRAM_API_KEY", "bench"),
        ("DG_AGENT_URL", &format!("ws://{agent}/v1/agent/converse")),
        ("BIND_ADDR", &address.to_string()),
        ("ORDERS_DIR", orders.path().to_str().expect("a path in UTF-8")),
        ("AGENT_AUDIO", audio.name()),
        ("MAX_CALLS", "10000"),
        ("LOG_LEVEL", "error"),
    ];
    let child = Child::start(std::path::Path::new(env!("CARGO_BIN_EXE_bobarista")), &[], &settings);
    process::wait_for(address).await;
    Load { phone: PhoneKind::Twilio, address, calls, time }.run(&child).await
}
