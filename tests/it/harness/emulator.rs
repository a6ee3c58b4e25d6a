//! The DynamoDB emulator as a process of its own, and a table in it.

use super::program::Program;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Ends when it is dropped, or when this process ends in whatever way: the emulator reads its input to its end.
pub(crate) struct Emulator {
    process: Child,
    endpoint: String,
}

impl Emulator {
    /// With an empty table.
    pub(crate) async fn start() -> Self {
        let built = || Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/bin/dynamodb-emulator");
        let program = std::env::var_os("DYNAMODB_EMULATOR").map_or_else(built, PathBuf::from);
        let mut command = Command::new(&program);
        let started = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut process = started.unwrap_or_else(|error| {
            panic!("{} cannot be started ({error}); tests/run builds it", program.display());
        });
        let mut endpoint = String::new();
        BufReader::new(process.stdout.take().expect("piped")).read_line(&mut endpoint).expect("its address");
        let emulator = Self { process, endpoint: endpoint.trim().to_owned() };
        let folder = tempfile::tempdir().expect("a folder");
        let mut create = Program::new(folder.path(), &["orders", "create-table"]);
        for (name, value) in emulator.settings() {
            create = create.set(name, value);
        }
        let (status, said) = create.run().await;
        assert!(status.success(), "{said:?}");
        emulator
    }

    /// What a server has to be told to keep its orders here.
    pub(crate) fn settings(&self) -> Vec<(&'static str, String)> {
        vec![
            ("ORDER_MANAGER_TYPE", "dynamodb".to_owned()),
            ("DYNAMODB_TABLE", "orders".to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ENDPOINT_URL", self.endpoint.clone()),
            ("AWS_ACCESS_KEY_ID", "emulated".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "emulated".to_owned()),
        ]
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
