//! The program itself as a process: an environment and a folder of its own, and every line that it writes.

use super::PATIENCE;
use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// A command of the program, not yet run. It knows no setting but those it is given.
pub(crate) struct Program(Command);

/// The program as it runs. Dropping it kills it.
pub(crate) struct Running {
    child: Child,
    lines: UnboundedReceiver<Line>,
    said: Said,
}

/// All that it has written.
#[derive(Debug, Clone, Default)]
pub(crate) struct Said {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

enum Line {
    Out(String),
    Err(String),
}

impl Program {
    /// `bobarista {arguments}` in this folder.
    pub(crate) fn new(folder: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bobarista"));
        command.args(arguments).current_dir(folder).env_clear();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self(command)
    }

    /// A server that only this machine reaches, on a free port, whose agent is at this address.
    pub(crate) fn local_server(folder: &Path, agent: &str) -> Self {
        let server = Self::new(folder, &[]);
        server.set("BIND_ADDR", "127.0.0.1:0").set("DEEPGRAM_API_KEY", "simulated").set("DG_AGENT_URL", agent)
    }

    pub(crate) fn set(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.0.env(name, value);
        self
    }

    /// So that [`Running::limit_files`] makes its writes fail. Who writes beyond such a limit is ended by a signal, unless
    /// it was started without: what it is told then is an error of the disk.
    pub(crate) fn of_limited_files(self) -> Self {
        let inner = self.0;
        let mut shell = Command::new("sh");
        shell.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""]).arg(inner.get_program()).args(inner.get_args());
        shell.env_clear().envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
        shell.current_dir(inner.get_current_dir().expect("every program has its folder"));
        shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self(shell)
    }

    pub(crate) fn start(mut self) -> Running {
        let mut child = self.0.spawn().expect("the program starts");
        let (to, lines) = unbounded_channel();
        let (out, err) = (child.stdout.take().expect("piped"), child.stderr.take().expect("piped"));
        let (to_out, to_err) = (to.clone(), to);
        // They end with the process.
        std::thread::spawn(move || read_lines(out, |line| to_out.send(Line::Out(line)).is_ok()));
        std::thread::spawn(move || read_lines(err, |line| to_err.send(Line::Err(line)).is_ok()));
        Running { child, lines, said: Said::default() }
    }

    /// Runs it to its end.
    pub(crate) async fn run(self) -> (ExitStatus, Said) {
        self.start().end().await
    }
}

impl Running {
    /// Where it listens, from the log line of a server that is ready.
    pub(crate) async fn address(&mut self) -> SocketAddr {
        let line = self.line(|line| line.contains("serving")).await;
        let field = line.split_once("address").and_then(|(_, rest)| rest.split_once("127."));
        let text = format!("127.{}", field.unwrap_or_else(|| panic!("no address: {line}")).1);
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.' && c != ':').unwrap_or(text.len());
        text[..end].parse().unwrap_or_else(|_| panic!("no address: {line}"))
    }

    /// Waits for the next line, on either output, that is wanted.
    pub(crate) async fn line(&mut self, wanted: impl Fn(&str) -> bool) -> String {
        let find = async {
            while let Some(line) = self.lines.recv().await {
                let line = self.said.note(line);
                if wanted(&line) {
                    return Some(line);
                }
            }
            None
        };
        let found = tokio::time::timeout(PATIENCE, find).await;
        found.ok().flatten().unwrap_or_else(|| panic!("the line did not come: {:#?}", self.said))
    }

    /// Asks it to stop, as systemd and `docker stop` do.
    pub(crate) fn terminate(&self) {
        let kill = format!("kill -TERM {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().expect("a shell").success());
    }

    /// From now on none of its files can be written beyond so many bytes; none: it has all the room it wants.
    pub(crate) fn limit_files(&self, bytes: Option<u64>) {
        let limit = bytes.map_or("unlimited".to_owned(), |bytes| bytes.to_string());
        let (pid, soft) = (self.child.id().to_string(), format!("--fsize={limit}:"));
        let done = Command::new("prlimit").args(["--pid", &pid, &soft]).status();
        assert!(done.expect("prlimit is part of every Linux").success());
    }

    /// Ends it as a power cut would: nothing of it runs any more.
    pub(crate) async fn kill(mut self) -> Said {
        self.child.kill().expect("it runs");
        self.end().await.1
    }

    /// Waits for its end and for all that it wrote.
    pub(crate) async fn end(mut self) -> (ExitStatus, Said) {
        let end = async {
            while let Some(line) = self.lines.recv().await {
                self.said.note(line);
            }
            loop {
                // Its outputs are closed, so it is about to end.
                if let Some(status) = self.child.try_wait().expect("it is ours") {
                    return status;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        match tokio::time::timeout(PATIENCE, end).await {
            Ok(status) => (status, std::mem::take(&mut self.said)),
            Err(_) => panic!("the program does not end: {:#?}", self.said),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Said {
    fn note(&mut self, line: Line) -> String {
        let (to, line) = match line {
            Line::Out(line) => (&mut self.stdout, line),
            Line::Err(line) => (&mut self.stderr, line),
        };
        to.push_str(&line);
        to.push('\n');
        line
    }
}

fn read_lines(output: impl Read, mut take: impl FnMut(String) -> bool) {
    for line in BufReader::new(output).lines() {
        if !line.is_ok_and(&mut take) {
            return;
        }
    }
}
