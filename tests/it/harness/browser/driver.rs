//! The browser's processes: chromedriver, which starts a Chromium for each window, and a folder for all that they write.

use super::super::PATIENCE;
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use tokio::sync::{Semaphore, SemaphorePermit};

/// How many tests may have browsers at a time: more of them would only wait for each other.
static ROOM: Semaphore = Semaphore::const_new(3);

/// A chromedriver. It ends, with every browser that it started, when it is dropped, or when this process ends in whatever
/// way: all of them are one process group, whose first reads its input to the end and then kills the group.
pub(super) struct Driver {
    group: Child,
    /// Where chromedriver listens.
    pub(super) url: String,
    /// The program to start.
    pub(super) chromium: String,
    /// Profiles, caches, reports of crashes.
    pub(super) folder: tempfile::TempDir,
    _room: SemaphorePermit<'static>,
}

impl Driver {
    pub(super) async fn start() -> Self {
        let room = ROOM.acquire().await.expect("never closed");
        let (chromium, chromedriver) = (find("chromium", "chromium"), find("chromedriver", "chromium-driver"));
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut command = Command::new("sh");
        command.args(["-c", "\"$0\" --port=0 & read -r _; kill -KILL 0", &chromedriver]).process_group(0);
        for variable in ["HOME", "TMPDIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"] {
            command.env(variable, folder.path());
        }
        let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut group = spawned.expect("a shell");
        let lines = BufReader::new(group.stdout.take().expect("piped")).lines();
        let port = tokio::task::spawn_blocking(|| {
            let mut lines = lines.map_while(Result::ok);
            let port = lines
                .find_map(|line| Some(line.split_once("successfully on port ")?.1.trim_end_matches('.').to_owned()));
            // It goes on telling, and must not meet a closed pipe.
            std::thread::spawn(move || lines.for_each(drop));
            port
        });
        let port = tokio::time::timeout(PATIENCE, port).await.expect("chromedriver says where it listens");
        let port = port.expect("no panic").expect("chromedriver listens");
        Self { group, chromium, url: format!("http://127.0.0.1:{port}"), folder, _room: room }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // The end of its input is what the group waits for.
        drop(self.group.stdin.take());
        let _ = self.group.wait();
    }
}

/// Where a command is, or a panic that says where to get it.
fn find(command: &str, package: &str) -> String {
    let found = Command::new("sh").args(["-c", "command -v \"$0\"", command]).output().expect("a shell");
    assert!(
        found.status.success(),
        "{command} is missing, and the pages are tested in it: it is in Debian's package {package}, which tests/run \
         installs"
    );
    String::from_utf8_lossy(&found.stdout).trim().to_owned()
}
