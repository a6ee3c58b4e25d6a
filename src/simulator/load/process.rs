//! A process of this machine as /proc shows it, and a server that is started for a run.

use super::{Door, LoadError};
use crate::deepgram::settings::AgentAudio;
use std::ffi::OsStr;
use std::io::{self, BufRead as _, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The kernel's clock tick on Linux, in which /proc counts.
const TICK: Duration = Duration::from_millis(10);

/// A process that is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Process(u32);

impl Process {
    /// The one with this id.
    pub fn with_id(id: u32) -> Self {
        Self(id)
    }

    pub(super) fn this() -> Self {
        Self(std::process::id())
    }

    /// Processor time so far, user and system.
    pub(super) fn cpu(self) -> io::Result<Duration> {
        let stat = self.read("stat")?;
        // Fields 14 and 15, counted from the id; the second is a name in brackets, which may hold spaces.
        let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let mut ticks = after_name.split_whitespace().skip(11).map_while(|field| field.parse::<u32>().ok());
        match (ticks.next(), ticks.next()) {
            (Some(user), Some(system)) => Ok(TICK * (user + system)),
            _ => Err(io::Error::other("/proc/<pid>/stat is not as expected")),
        }
    }

    /// Resident memory of its own, in KiB: not the pages of its program's file, which are read in when they are first
    /// needed, whatever the number of calls.
    pub(super) fn resident_kib(self) -> io::Result<u64> {
        let status = self.read("status")?;
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        kib.ok_or_else(|| io::Error::other("/proc/<pid>/status tells no resident size"))
    }

    /// Resident memory once it has stopped growing: what a server reads in at its start is no call's.
    pub(super) async fn settled_kib(self) -> io::Result<u64> {
        let (mut last, mut unchanged) = (self.resident_kib()?, 0);
        while unchanged < 5 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let now = self.resident_kib()?;
            unchanged = if now == last { unchanged + 1 } else { 0 };
            last = now;
        }
        Ok(last)
    }

    fn read(self, file: &str) -> io::Result<String> {
        std::fs::read_to_string(format!("/proc/{}/{file}", self.0))
    }
}

/// A program that serves while it is measured. It ends when this is dropped.
#[derive(Debug)]
pub struct Served(Child);

impl Served {
    /// This program as a server: no keys, its agent the one at `agent`, its orders in `folder`.
    pub async fn shop(
        program: &Path,
        agent: SocketAddr,
        audio: AgentAudio,
        folder: &Path,
    ) -> Result<(Self, Door), LoadError> {
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let (orders, bind) = (folder.join("orders"), address.to_string());
        let dialled = format!("ws://{agent}/v1/agent/converse");
        let variables = [
            ("DEEPGRAM_API_KEY", OsStr::new("simulated")),
            ("DG_AGENT_URL", OsStr::new(&dialled)),
            ("BIND_ADDR", OsStr::new(&bind)),
            ("ORDERS_DIR", orders.as_os_str()),
            ("AGENT_AUDIO", OsStr::new(audio.name())),
            ("LOG_LEVEL", OsStr::new("error")),
            // Only what limits a caller, or one who talks for so long, is out of the way.
            ("MAX_CALLS", OsStr::new("10000")),
            ("MAX_CALL_SECONDS", OsStr::new("36000")),
            ("MAX_TALK_SECONDS", OsStr::new("3600")),
            ("CALLER_IDLE_SECONDS", OsStr::new("600")),
        ];
        let mut server = Self::start(program, &["serve"], &variables, folder)?;
        server.listens(address).await?;
        Ok((server, Door::Webhook { base: format!("http://{address}") }))
    }

    /// Starts it with these variables and no others, in `folder`, where no `.env` should be.
    pub fn start(
        program: &Path,
        arguments: &[&str],
        variables: &[(&str, &OsStr)],
        folder: &Path,
    ) -> Result<Self, LoadError> {
        let mut command = Command::new(program);
        command.args(arguments).env_clear().envs(variables.iter().copied());
        Ok(Self(command.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?))
    }

    /// What it is to the system.
    pub fn process(&self) -> Process {
        Process(self.0.id())
    }

    /// The first line that it says, which may only be asked for once.
    pub fn first_line(&mut self) -> Result<String, LoadError> {
        let mut line = String::new();
        let output = self.0.stdout.take().ok_or_else(|| LoadError::Answer("its output was read already".to_owned()))?;
        BufReader::new(output).read_line(&mut line)?;
        Ok(line.trim().to_owned())
    }

    /// Until somebody listens there.
    async fn listens(&mut self, address: SocketAddr) -> Result<(), LoadError> {
        for _ in 0..1_000 {
            if tokio::net::TcpStream::connect(address).await.is_ok() {
                return Ok(());
            }
            if let Some(status) = self.0.try_wait()? {
                return Err(LoadError::Answer(format!("the server did not start: {status}")));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Err(LoadError::Answer(format!("nobody listens on {address}")))
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // One that has ended by itself needs no ending.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
