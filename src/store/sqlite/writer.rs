//! The one connection that writes, on a thread of its own. Commits that wait while another is being written share the next
//! transaction, and so its fsync: each in a savepoint, so that one that fails does not take the others with it.

use super::fault::Fault;
use super::schema;
use crate::store::StoreError;
use crate::store::crowd::Crowd;
use rusqlite::Connection;
use std::collections::VecDeque;
use std::os::unix::fs::MetadataExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tokio::sync::oneshot;

/// Commits of one transaction. More would only make the first of them wait.
const MOST_AT_ONCE: usize = 64;

/// How long nothing must have been written before the log is emptied.
const IDLE: Duration = Duration::from_millis(if cfg!(test) { 100 } else { 1000 });

pub(super) struct Writer {
    queue: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    pub(super) crowd: Crowd,
}

/// Does its part inside the transaction, or learns why there is none.
type Job = Box<dyn FnOnce(Result<&Connection, Fault>) -> Done + Send>;

/// What came of a job inside the transaction.
struct Done {
    /// What it wrote is to stay.
    keep: bool,
    fault: Option<Fault>,
    /// Called with what came of the transaction.
    tell: Box<dyn FnOnce(Result<(), Fault>)>,
}

impl Writer {
    pub(super) fn start(
        path: PathBuf,
        connection: Connection,
        runtime: tokio::runtime::Handle,
    ) -> std::io::Result<Self> {
        let (queue, jobs) = channel();
        let file = identity(&path)?;
        let mut database = Database { path, file, connection: Some(connection), is_log_folded: false };
        let run = move || {
            // Whoever is told of a commit may want to start a task.
            let _runtime = runtime.enter();
            while let Some(batch) = next_batch(&jobs, (!database.is_log_folded).then_some(IDLE)) {
                match batch {
                    Batch::Jobs(jobs) => database.write(jobs),
                    Batch::Idle => database.fold_log(),
                }
            }
            database.close();
        };
        let thread = thread::Builder::new().name("sqlite-writer".into()).spawn(run)?;
        Ok(Self { queue: Some(queue), thread: Some(thread), crowd: Crowd::default() })
    }

    /// Runs `work` in a write transaction, then `announce` when it is durable. `work` answers what came of it, `Err` of
    /// which takes back whatever it has written; or the database's fault. It is finished even if nobody waits for it.
    pub(super) async fn commit<T, E>(
        &self,
        action: &'static str,
        work: impl FnOnce(&Connection) -> Result<Result<T, E>, Fault> + Send + 'static,
        announce: impl FnOnce(&T) + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let place = self.crowd.enter().await?;
        let (reply, answer) = oneshot::channel();
        // What it tells belongs to the call or request that asked for it.
        let span = tracing::Span::current();
        let job: Job = Box::new(move |connection| {
            let outcome = connection.and_then(|connection| span.in_scope(|| work(connection)));
            let (keep, fault) = (matches!(outcome, Ok(Ok(_))), outcome.as_ref().err().cloned());
            let tell = Box::new(move |committed: Result<(), Fault>| {
                let _place = place;
                let outcome = match outcome.and_then(|outcome| committed.map(|()| outcome)) {
                    Ok(outcome) => outcome,
                    Err(fault) => Err(E::from(fault.during(action))),
                };
                if let Ok(made) = &outcome
                    && catch_unwind(AssertUnwindSafe(|| span.in_scope(|| announce(made)))).is_err()
                {
                    tracing::error!("a change was saved, but telling of it failed");
                }
                let _ = reply.send(outcome);
            });
            Done { keep, fault, tell }
        });
        let lost = |_| E::from(StoreError::Interrupted);
        let queue = self.queue.as_ref().ok_or(StoreError::Interrupted)?;
        queue.send(job).map_err(|_| StoreError::Interrupted)?;
        answer.await.map_err(lost)?
    }
}

impl Drop for Writer {
    /// Waits until everything is written and the database is closed.
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(thread) = self.thread.take()
            // What was told of a commit may have held the store, and dropped it last.
            && thread.thread().id() != thread::current().id()
        {
            let _ = thread.join();
        }
    }
}

enum Batch {
    Jobs(Vec<Job>),
    Idle,
}

/// Waits for a job, and takes those along that wait already; for so long, if there is something to do when none comes.
fn next_batch(jobs: &Receiver<Job>, patience: Option<Duration>) -> Option<Batch> {
    let first = match patience {
        None => jobs.recv().ok()?,
        Some(patience) => match jobs.recv_timeout(patience) {
            Ok(first) => first,
            Err(RecvTimeoutError::Timeout) => return Some(Batch::Idle),
            Err(RecvTimeoutError::Disconnected) => return None,
        },
    };
    let mut batch = vec![first];
    batch.extend(jobs.try_iter().take(MOST_AT_ONCE - 1));
    Some(Batch::Jobs(batch))
}

struct Database {
    path: PathBuf,
    /// Device and number of the file that was opened.
    file: (u64, u64),
    /// None: it failed in a way that a new one may get over.
    connection: Option<Connection>,
    /// Nothing was written since the log was folded into the database.
    is_log_folded: bool,
}

impl Database {
    /// Commits all jobs; a transaction that is lost on the way takes those with it that had their part in it, and the
    /// others get another.
    fn write(&mut self, batch: Vec<Job>) {
        self.is_log_folded = false;
        let mut jobs = VecDeque::from(batch);
        while !jobs.is_empty() {
            let mut done = Vec::new();
            let committed = self.transaction(&mut jobs, &mut done);
            if committed.as_ref().is_err_and(Fault::is_of_connection)
                || done.iter().any(|done| done.fault.as_ref().is_some_and(Fault::is_of_connection))
            {
                self.connection = None;
            }
            if let Err(fault) = &committed
                && done.is_empty()
            {
                // It did not even begin: nobody's part was tried.
                done.extend(jobs.drain(..).map(|job| job(Err(fault.clone()))));
            }
            for done in done {
                (done.tell)(committed.clone());
            }
        }
    }

    fn transaction(&mut self, jobs: &mut VecDeque<Job>, done: &mut Vec<Done>) -> Result<(), Fault> {
        self.check_place()?;
        if self.connection.is_none() {
            self.connection = Some(schema::open_to_write(&self.path)?);
        }
        let Some(connection) = &self.connection else { return Err(Fault::Together) };
        connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        let committed = run(connection, jobs, done);
        if !connection.is_autocommit() {
            // If even this fails the connection is given up, and the transaction with it.
            if let Err(error) = connection.execute_batch("ROLLBACK") {
                tracing::error!("a failed write could not be taken back at once: {error}");
                self.connection = None;
            }
        }
        committed
    }

    /// A file that is no longer where it was would take orders that nobody finds after the next start.
    fn check_place(&self) -> Result<(), Fault> {
        match identity(&self.path) {
            Ok(file) if file == self.file => Ok(()),
            _ => Err(Fault::Moved),
        }
    }

    /// Empties the log when nobody writes: what was erased would stay in it until it is written over. Waits for no reader;
    /// whom it would have to wait for is let pass, and it is done after the next write.
    fn fold_log(&mut self) {
        self.is_log_folded = true;
        let Some(connection) = &self.connection else { return };
        let fold = || {
            connection.busy_timeout(Duration::ZERO)?;
            let folded = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
            connection.busy_timeout(schema::PATIENCE)?;
            folded
        };
        if let Err(error) = fold() {
            tracing::debug!("the orders' log stays until the next write: {error}");
        }
    }

    /// Folds the log into the database, so that the one file is all there is.
    fn close(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        let folded = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        if let Err(error) = folded.and_then(|()| connection.close().map_err(|(_, error)| error)) {
            // Nothing is lost: the log is read at the next start.
            tracing::warn!("the orders' database was not closed tidily: {error}");
        }
    }
}

/// Runs the jobs and commits them. Once the transaction is lost no further job is begun.
fn run(connection: &Connection, jobs: &mut VecDeque<Job>, done: &mut Vec<Done>) -> Result<(), Fault> {
    while !jobs.is_empty() {
        connection.prepare_cached("SAVEPOINT one")?.execute([])?;
        let Some(job) = jobs.pop_front() else { break };
        let outcome = catch_unwind(AssertUnwindSafe(|| job(Ok(connection))));
        let keep = outcome.as_ref().is_ok_and(|done| done.keep);
        // One that panicked has dropped whoever waits for it, who is told that it was interrupted.
        done.extend(outcome);
        if connection.is_autocommit() {
            return Err(done.last().and_then(|done| done.fault.clone()).unwrap_or(Fault::Together));
        }
        if !keep {
            connection.prepare_cached("ROLLBACK TO one")?.execute([])?;
        }
        connection.prepare_cached("RELEASE one")?.execute([])?;
    }
    connection.prepare_cached("COMMIT")?.execute([])?;
    Ok(())
}

fn identity(path: &Path) -> std::io::Result<(u64, u64)> {
    let file = std::fs::metadata(path)?;
    Ok((file.dev(), file.ino()))
}
