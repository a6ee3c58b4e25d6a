//! What is kept of sessions, so that they outlive the server: one state of the store each, removed when it is over.

use super::{Command, Inner, staff};
use crate::store::{Store, StoreError};
use crate::table::protocol::Kind;
use crate::table::session::{Session, Stored};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

/// Where the store has them; the key is the session's id.
const KIND: &str = "table_session";

/// A session as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    kind: Kind,
    table_id: Option<String>,
    session: Stored,
}

/// Everything that is to be kept of it.
pub(super) fn value(kind: Kind, table_id: Option<&str>, session: &Session) -> Result<Value, StoreError> {
    let table_id = table_id.map(str::to_owned);
    Ok(serde_json::to_value(Kept { kind, table_id, session: session.stored() })?)
}

/// Saves it; `expected` is the revision that was saved last. Answers its new one.
pub(super) async fn save(store: &dyn Store, session: &str, value: &Value, expected: u64) -> Result<u64, StoreError> {
    match store.set_state(KIND, session, value, expected).await {
        // A save whose outcome nobody knew was made after all. Nobody else writes it.
        Err(StoreError::Stale) => {
            let revision = store.state(KIND, session).await?.map_or(0, |state| state.revision);
            store.set_state(KIND, session, value, revision).await
        }
        saved => saved,
    }
}

pub(super) async fn remove(store: &dyn Store, session: &str) -> Result<(), StoreError> {
    store.remove_state(KIND, session).await
}

impl Inner {
    /// Every session goes on as it was kept. One of a table that is gone ends.
    pub(super) async fn take_up(self: &Arc<Self>) -> Result<(), StoreError> {
        let states = self.store.states(Some(KIND)).await?;
        let notice = self.notice(self.orders.now());
        for state in states {
            let Ok(Kept { kind, table_id, session }) = serde_json::from_value(state.value) else {
                tracing::error!(table.session = state.key, "what was kept of a table's session cannot be read");
                continue;
            };
            let menu = Arc::clone(self.shop.menu());
            let session = Session::restore(session, menu, self.settings.phones.clone(), notice.clone());
            let is_orphan = table_id.as_deref().is_some_and(|table_id| self.book.get(table_id).is_none());
            let mut live = self.live();
            let entry = self.host(&mut live, state.key, kind, table_id, session, state.revision);
            if is_orphan {
                // Its queue is empty.
                let _ = entry.handle.try_send(Command::End(staff::ended(kind)));
            }
        }
        Ok(())
    }
}
