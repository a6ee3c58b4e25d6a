//! What staff see and do: the tables, what goes on at them, and its end.

use super::{Command, Entry, Inner, Tables, Turned, ask, path};
use crate::table::names::Name;
use crate::table::protocol::Kind;
use crate::table::session::{Input, Overview};
use crate::table::tables::{Table, TableError};
use futures_util::future::join_all;

/// What guests are told whose session staff have ended.
pub(super) fn ended(kind: Kind) -> &'static str {
    match kind {
        Kind::Table | Kind::Private => "Your table was closed by our staff. Thank you for coming!",
        Kind::Ahead => "This cart was closed by our staff.",
    }
}

/// All that goes on, for staff.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    /// Each table with its sessions, the shared one first.
    pub tables: Vec<(Table, Vec<Overview>)>,
    /// Sessions of those who order ahead.
    pub ahead: Vec<Overview>,
}

impl Listed {
    /// All sessions, wherever.
    pub fn sessions(&self) -> impl Iterator<Item = &Overview> {
        self.tables.iter().flat_map(|(_, sessions)| sessions).chain(&self.ahead)
    }
}

impl Tables {
    /// All that goes on.
    pub async fn list(&self) -> Listed {
        let entries: Vec<(Option<String>, Entry)> =
            self.0.live().sessions.values().map(|entry| (entry.table_id.clone(), entry.clone())).collect();
        let asked = entries
            .into_iter()
            .map(|(table_id, entry)| async move { Some((table_id, ask(&entry.handle, Command::Overview).await?)) });
        let mut overviews: Vec<(Option<String>, Overview)> = join_all(asked).await.into_iter().flatten().collect();
        overviews.sort_by_key(|(_, overview)| (overview.kind != Kind::Table, overview.started_at));
        let of = |id: Option<&str>| {
            overviews.iter().filter(|(table, _)| table.as_deref() == id).map(|(_, overview)| overview.clone()).collect()
        };
        let tables = self.0.book.all().into_iter().map(|table| {
            let sessions = of(Some(&table.table_id));
            (table, sessions)
        });
        Listed { tables: tables.collect(), ahead: of(None) }
    }

    /// Sets up a table.
    ///
    /// # Errors
    /// [`TableError`].
    pub async fn add(&self, name: Name) -> Result<Table, TableError> {
        self.0.book.add(name, self.0.orders.now()).await
    }

    /// Gives a table another token: its printed code opens nothing any more. Who is at the table stays.
    ///
    /// # Errors
    /// [`TableError`]; the token is as it was.
    pub async fn renew(&self, table_id: &str) -> Result<Table, TableError> {
        let table = self.0.book.renew(table_id).await?;
        for entry in self.0.entries_at(table_id) {
            let news = Input::Path(path(Some(&table)));
            // One that cannot be told is over.
            let _ = entry.handle.send(Command::News(Box::new(news))).await;
        }
        Ok(table)
    }

    /// Removes a table, and ends what goes on at it.
    ///
    /// # Errors
    /// [`TableError`]; the table is as it was.
    pub async fn remove(&self, table_id: &str) -> Result<(), TableError> {
        self.0.book.remove(table_id).await?;
        for entry in self.0.entries_at(table_id) {
            // As above.
            let _ = entry.handle.send(Command::End(ended(entry.kind))).await;
        }
        Ok(())
    }

    /// Ends a session for staff.
    ///
    /// # Errors
    /// [`Turned::Over`]: there is no such session.
    pub async fn end(&self, session: &str) -> Result<(), Turned> {
        let entry = self.0.entry(session).ok_or(Turned::Over)?;
        entry.handle.send(Command::End(ended(entry.kind))).await.map_err(|_| self.0.silent())
    }
}

impl Inner {
    fn entries_at(&self, table_id: &str) -> Vec<Entry> {
        let at_table = |entry: &&Entry| entry.table_id.as_deref() == Some(table_id);
        self.live().sessions.values().filter(at_table).cloned().collect()
    }
}
