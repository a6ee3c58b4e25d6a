//! The database's tables, how they came to be, and how a connection to them is set up.

use super::fault::Fault;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use std::fs::File;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

/// How long a write of another program is waited for. A caller waits for a checkout at most eight seconds.
pub(super) const PATIENCE: Duration = Duration::from_millis(if cfg!(test) { 100 } else { 3000 });

/// "Boba": tells our databases from other programs'.
const APPLICATION_ID: i64 = 0x426f_6261;

/// What made each format from the one before; `user_version` says how many of them a database has had. What is here is
/// never changed, only added to.
const MIGRATIONS: [&str; 1] = ["
-- An order as JSON, and beside it what it is looked up by. Instants are nanoseconds since 1970.
CREATE TABLE orders (
    order_id TEXT PRIMARY KEY,
    place TEXT NOT NULL UNIQUE,
    number INTEGER NOT NULL,
    status TEXT NOT NULL,
    phone TEXT,
    name TEXT,          -- folded
    customer TEXT,
    fingerprint TEXT,
    drinks_since INTEGER NOT NULL,
    ready_at INTEGER,   -- when it is due: fetched or, where no time was said, ready
    drinks INTEGER NOT NULL,
    total INTEGER NOT NULL,     -- in cents
    is_open INTEGER NOT NULL,
    is_active INTEGER NOT NULL,
    is_undelivered INTEGER NOT NULL,
    record TEXT NOT NULL
) STRICT;
CREATE INDEX orders_by_number ON orders (number, place);
CREATE INDEX orders_by_status ON orders (status, place, total);
CREATE INDEX orders_by_phone ON orders (phone, place) WHERE phone IS NOT NULL;
CREATE INDEX orders_by_name ON orders (name, place) WHERE name IS NOT NULL;
CREATE INDEX orders_by_customer ON orders (customer, place) WHERE customer IS NOT NULL;
CREATE INDEX orders_alike ON orders (fingerprint, drinks_since) WHERE fingerprint IS NOT NULL;
CREATE INDEX orders_open ON orders (place) WHERE is_open = 1;
CREATE INDEX orders_open_numbers ON orders (number) WHERE is_open = 1;
CREATE INDEX orders_active ON orders (phone, drinks) WHERE is_active = 1 AND phone IS NOT NULL;
CREATE INDEX orders_due ON orders (ready_at, drinks) WHERE is_active = 1 AND ready_at IS NOT NULL;
CREATE INDEX orders_undelivered ON orders (place) WHERE is_undelivered = 1;

-- Drinks in active orders by their time of pickup; those as soon as possible stand at the smallest integer. A sum over
-- the orders themselves would take longer the more of them there are.
CREATE TABLE queue (pickup_at INTEGER PRIMARY KEY, drinks INTEGER NOT NULL) STRICT;

CREATE TABLE deliveries (
    order_id TEXT NOT NULL REFERENCES orders ON DELETE CASCADE,
    id INTEGER NOT NULL,
    lane TEXT NOT NULL,
    due_at INTEGER,     -- none: it is done
    phone TEXT,         -- of one that counts as a text to it
    owed_at INTEGER NOT NULL,
    PRIMARY KEY (order_id, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX deliveries_due ON deliveries (lane, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX deliveries_to ON deliveries (phone, owed_at) WHERE phone IS NOT NULL;

-- Whose answer a key was given: an order's, or a tombstone's.
CREATE TABLE keys (key TEXT PRIMARY KEY, order_id TEXT NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE tombstones (
    order_id TEXT PRIMARY KEY,
    number INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    tombstone TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX tombstones_by_number ON tombstones (number, created_at);

CREATE TABLE states (
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    revision INTEGER NOT NULL,
    PRIMARY KEY (kind, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE counters (shop_id TEXT PRIMARY KEY, n INTEGER NOT NULL) STRICT, WITHOUT ROWID;
"];

/// Makes an empty file where there is none. It will hold customers' phone numbers: nobody else on the machine reads it,
/// nor what SQLite puts beside it, which is given the same permissions.
pub(super) fn make_file(path: &Path) -> std::io::Result<()> {
    File::options().write(true).create(true).truncate(false).mode(0o600).open(path)?.sync_all()?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

/// The connection that writes, to a file that is there; the format is brought up to date.
pub(super) fn open_to_write(path: &Path) -> Result<Connection, Fault> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(PATIENCE)?;
    check_ours(&connection)?;
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if mode != "wal" {
        return Err(Fault::NoLog(mode));
    }
    // FULL: a commit that was acknowledged survives a power cut.
    connection.execute_batch(
        "PRAGMA synchronous = FULL;
         PRAGMA foreign_keys = ON;
         PRAGMA trusted_schema = OFF;
         -- What was erased is not to be read in the file's unused parts.
         PRAGMA secure_delete = ON;
         PRAGMA journal_size_limit = 16777216;",
    )?;
    connection.set_prepared_statement_cache_capacity(64);
    migrate(&mut connection)?;
    Ok(connection)
}

/// A connection that only reads.
pub(super) fn open_to_read(path: &Path) -> Result<Connection, Fault> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(PATIENCE)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// For whoever may not bring it up to date.
pub(super) fn check_format(connection: &Connection) -> Result<(), Fault> {
    check_ours(connection)?;
    if format(connection)? < known() { Err(Fault::Older) } else { Ok(()) }
}

/// Takes out all orders. Ids go on from where they were; tombstones and values stay.
pub(super) fn clear(connection: &Connection) -> Result<(), Fault> {
    connection.execute_batch(
        "BEGIN IMMEDIATE;
         DELETE FROM deliveries;
         DELETE FROM orders;
         DELETE FROM queue;
         DELETE FROM keys WHERE order_id NOT IN (SELECT order_id FROM tombstones);
         COMMIT;",
    )?;
    Ok(())
}

fn check_ours(connection: &Connection) -> Result<(), Fault> {
    let number = |sql| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    let found = format(connection)?;
    let is_empty = number("SELECT count(*) FROM sqlite_schema")? == 0;
    if !is_empty && number("PRAGMA application_id")? != APPLICATION_ID {
        return Err(Fault::Foreign);
    }
    if found > known() { Err(Fault::Newer { found, known: known() }) } else { Ok(()) }
}

fn known() -> i64 {
    MIGRATIONS.len() as i64
}

fn format(connection: &Connection) -> Result<i64, Fault> {
    Ok(connection.query_row("PRAGMA user_version", [], |row| row.get(0))?)
}

fn migrate(connection: &mut Connection) -> Result<(), Fault> {
    for (had, migration) in (0..).zip(MIGRATIONS) {
        if format(connection)? <= had {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            transaction.execute_batch(migration)?;
            transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
            transaction.pragma_update(None, "user_version", had + 1)?;
            transaction.commit()?;
        }
    }
    Ok(())
}
