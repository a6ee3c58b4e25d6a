//! The measured process: started, looked at through /proc, ended.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

pub(crate) struct Child(std::process::Child);

impl Child {
    pub(crate) fn start(program: &Path, arguments: &[&str], settings: &[(&str, &str)]) -> Self {
        let mut command = Command::new(program);
        command.args(arguments).env_clear().envs(settings.iter().copied()).stdout(Stdio::piped());
        // A folder without an `.env` that could leak into the measurement.
        Self(command.current_dir(std::env::temp_dir()).spawn().expect("the program starts"))
    }

    pub(crate) fn first_line(&mut self) -> String {
        let mut line = String::new();
        let output = self.0.stdout.take().expect("its output is piped");
        BufReader::new(output).read_line(&mut line).expect("it says something");
        line.trim().to_owned()
    }

    /// CPU time so far, in milliseconds: fields 14 and 15 of /proc/pid/stat, in ticks of 10 ms.
    pub(crate) fn cpu_ms(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0.id())).expect("it is running");
        let after_name = stat.rsplit_once(')').expect("a name in brackets").1;
        let fields: Vec<&str> = after_name.split_whitespace().collect();
        let ticks = |field: usize| fields[field - 3].parse::<f64>().expect("a number");
        (ticks(14) + ticks(15)) * 10.0
    }

    /// Resident memory once it has stopped growing: what a server reads in at its start is no call's.
    pub(crate) async fn settled_kib(&self) -> f64 {
        let mut last = self.resident_kib();
        let mut unchanged = 0;
        while unchanged < 5 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let now = self.resident_kib();
            unchanged = if now == last { unchanged + 1 } else { 0 };
            last = now;
        }
        last
    }

    /// Resident memory, in KiB.
    pub(crate) fn resident_kib(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id())).expect("it is running");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a resident size");
        line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number")
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn free_port() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    listener.local_addr().expect("an address")
}

/// Until somebody listens there.
pub(crate) async fn wait_for(address: SocketAddr) {
    for _ in 0..500 {
        if tokio::net::TcpStream::connect(address).await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("nobody listens on {address}");
}
