//! What guests do before they have a screen: look in, join, come back.

use super::joining::{Shown, Stopped};
use super::{Command, Entry, Inner, MOST_MEMBERS, Pass, Passes, PickUp, Screen, Tables, ask, host, pickup};
use crate::order_service::OrderError;
use crate::table::names::Name;
use crate::table::protocol::{Kind, Snapshot};
use crate::table::secret;
use crate::table::session::NewMember;
use crate::table::tables::Table;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// A session may be over between being found and being asked; each try finds another.
const MOST_TRIES: usize = 8;

/// Where somebody wants to order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// At the table whose printed code has this token.
    Table(String),
    /// Before they come.
    Ahead,
}

/// Somebody who wants to join.
#[derive(Clone, Debug)]
pub struct Entrance {
    /// Where.
    pub place: Place,
    /// What they call themselves.
    pub name: Name,
    /// What they show to be let in.
    pub shown: Shown,
    /// Whether they want a cart of their own.
    pub private: bool,
    /// What their browser has shown: who is in already does not join twice.
    pub passes: Passes,
    /// Whom joins are counted for; none: nobody counts.
    pub address: Option<IpAddr>,
}

/// Somebody who has joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// What lets them come back.
    pub pass: Pass,
    /// Which member they are.
    pub member_id: String,
    /// Whose cart it is.
    pub kind: Kind,
}

/// Why somebody did not join.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JoinError {
    /// No table has such a token, or orders are not taken ahead.
    #[error("there is no such table")]
    NoTable,
    /// The others have begun a while ago.
    #[error("the others began a while ago: ask one of them for the code or an invitation")]
    NeedsCode,
    /// That was not the code.
    #[error("that is not the code")]
    WrongCode,
    /// There were too many wrong codes; so long none is looked at.
    #[error("there were too many wrong codes")]
    Locked(Duration),
    /// Too many have joined from that address.
    #[error("too many have joined from this address")]
    TooMany(Duration),
    /// No member more fits in.
    #[error("there are {MOST_MEMBERS} guests already")]
    Full,
    /// No session more fits in.
    #[error("too many tables are busy at the moment")]
    Busy,
}

/// Why somebody was turned away who wanted to come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Turned {
    /// They have not joined that session.
    #[error("join first")]
    NotMember,
    /// It is over.
    #[error("this is over")]
    Over,
    /// The server stops; it goes on with the next one.
    #[error("this goes on in a moment")]
    GoingAway,
}

/// What somebody finds who looks at a door.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doorway {
    /// The table's name.
    pub table: Option<String>,
    /// Whose cart would be joined.
    pub kind: Kind,
    /// Whether a code or an invitation is asked for.
    pub needs_code: bool,
    /// The session here that this browser is in already.
    pub session: Option<String>,
}

impl Tables {
    /// Whether somebody may come in by there.
    pub fn has(&self, place: &Place) -> bool {
        self.0.found(place).is_ok()
    }

    /// What somebody finds there, and whether this browser is in already.
    ///
    /// # Errors
    /// [`JoinError::NoTable`].
    pub async fn door(&self, place: &Place, passes: &Passes) -> Result<Doorway, JoinError> {
        let table = match self.0.found(place) {
            Err(JoinError::NoTable) if matches!(place, Place::Table(_)) => {
                // The table may have a new code since: who sits there reloads the page of the old one.
                return self.0.seated(passes).await.ok_or(JoinError::NoTable);
            }
            table => table?,
        };
        let table_id = table.as_ref().map(|table| table.table_id.as_str());
        let seat = self.0.member_of(passes, table_id, |_| true).await;
        let shared = table_id.and_then(|id| self.0.live().shared_at(id).cloned());
        Ok(Doorway {
            kind: if table.is_some() { Kind::Table } else { Kind::Ahead },
            needs_code: shared.is_some_and(|shared| self.0.orders.now() >= shared.open_until),
            table: table.map(|table| table.name),
            session: seat.map(|(pass, _)| pass.session),
        })
    }

    /// Joins the session there, or begins one.
    ///
    /// # Errors
    /// [`JoinError`].
    pub async fn join(&self, entrance: Entrance) -> Result<Joined, JoinError> {
        let inner = &self.0;
        let table = inner.found(&entrance.place)?;
        let kind = match (&table, entrance.private) {
            (None, _) => Kind::Ahead,
            (Some(_), true) => Kind::Private,
            (Some(_), false) => Kind::Table,
        };
        let table_id = table.as_ref().map(|table| table.table_id.as_str());
        if let Some((pass, member_id)) = inner.member_of(&entrance.passes, table_id, |entry| entry.kind == kind).await {
            return Ok(Joined { pass, member_id, kind });
        }
        if let Some(address) = entrance.address {
            inner.limits(kind).joins.take(address, inner.started.elapsed()).map_err(JoinError::TooMany)?;
        }
        let secret = secret::random();
        for _ in 0..MOST_TRIES {
            let (session, entry) = inner.seat(kind, table.as_ref())?;
            let newcomer = NewMember { name: entrance.name.clone().into(), secret_hash: secret::hash(&secret) };
            let shown = entrance.shown.clone();
            match ask(&entry.handle, |reply| Command::Enter(newcomer, shown, reply)).await {
                Some(Ok(member_id)) => {
                    return Ok(Joined { pass: Pass { session, secret }, member_id, kind });
                }
                Some(Err(why)) => return Err(inner.refusal(why)),
                None => {}
            }
        }
        Err(JoinError::Busy)
    }

    /// Everything, as this member sees it.
    ///
    /// # Errors
    /// [`Turned`].
    pub async fn cart(&self, session: &str, passes: &Passes) -> Result<Snapshot, Turned> {
        let (entry, secret_hash) = self.0.returning(session, passes)?;
        ask(&entry.handle, |reply| Command::Look(secret_hash, reply))
            .await
            .ok_or_else(|| self.0.silent())?
            .ok_or(Turned::NotMember)
    }

    /// Connects a screen of this member. The first thing that it is told is everything. `address`: whom the phone numbers
    /// that it gives and the orders that it places are counted for; none: nobody counts.
    ///
    /// # Errors
    /// [`Turned`].
    pub async fn connect(&self, session: &str, passes: &Passes, address: Option<IpAddr>) -> Result<Screen, Turned> {
        let (entry, secret_hash) = self.0.returning(session, passes)?;
        let connected = ask(&entry.handle, |reply| Command::Connect(secret_hash, reply)).await;
        let connected = connected.ok_or_else(|| self.0.silent())?;
        let (id, member, queue) = connected.ok_or(Turned::NotMember)?;
        let (session, hub) = (entry.handle, Arc::clone(&self.0));
        let (kind, meters) = (entry.kind, entry.meters);
        Ok(Screen { id, member, kind, queue, session, meters, hub, address, refused: 0 })
    }

    /// When an order of so many drinks could be fetched.
    ///
    /// # Errors
    /// What keeps the orders from being looked at.
    pub async fn pick_up(&self, drinks: u32) -> Result<PickUp, OrderError> {
        pickup::times(&self.0.orders, &self.0.shop, drinks).await
    }
}

impl Inner {
    /// The table there; none: they order ahead.
    fn found(&self, place: &Place) -> Result<Option<Table>, JoinError> {
        match place {
            Place::Table(token) => self.book.by_token(token).map(Some).ok_or(JoinError::NoTable),
            Place::Ahead if self.settings.ahead => Ok(None),
            Place::Ahead => Err(JoinError::NoTable),
        }
    }

    /// The session, and what is kept of the secret of the pass for it.
    fn returning(&self, session: &str, passes: &Passes) -> Result<(Entry, String), Turned> {
        let pass = passes.of(session).ok_or(Turned::NotMember)?;
        let entry = self.entry(session).ok_or(Turned::Over)?;
        Ok((entry, secret::hash(&pass.secret)))
    }

    /// What a member finds whose table has another token by now: the session that they are in.
    async fn seated(&self, passes: &Passes) -> Option<Doorway> {
        for pass in passes.iter() {
            let Some(Entry { kind, table_id: Some(table_id), .. }) = self.entry(&pass.session) else { continue };
            let Some(table) = self.book.get(&table_id) else { continue };
            if self.has_joined(pass).await.is_some() {
                let (table, session) = (Some(table.name), Some(pass.session.clone()));
                return Some(Doorway { table, kind, needs_code: false, session });
            }
        }
        None
    }

    /// The latest of these passes for a session at that table that `is_meant`, and the member whose it is.
    async fn member_of(
        &self,
        passes: &Passes,
        table_id: Option<&str>,
        is_meant: impl Fn(&Entry) -> bool,
    ) -> Option<(Pass, String)> {
        for pass in passes.iter() {
            let entry = self.entry(&pass.session);
            if entry.is_some_and(|entry| entry.table_id.as_deref() == table_id && is_meant(&entry))
                && let Some(member_id) = self.has_joined(pass).await
            {
                return Some((pass.clone(), member_id));
            }
        }
        None
    }

    /// The member whose pass it is.
    async fn has_joined(&self, pass: &Pass) -> Option<String> {
        let entry = self.entry(&pass.session)?;
        ask(&entry.handle, |reply| Command::Who(secret::hash(&pass.secret), reply)).await?
    }

    fn refusal(&self, why: host::NotEntered) -> JoinError {
        match why {
            host::NotEntered::Stopped(Stopped::NeedsCode) => JoinError::NeedsCode,
            host::NotEntered::Stopped(Stopped::WrongCode) => JoinError::WrongCode,
            host::NotEntered::Stopped(Stopped::Locked(until)) => {
                JoinError::Locked(Duration::try_from(until.duration_since(self.orders.now())).unwrap_or_default())
            }
            host::NotEntered::Full => JoinError::Full,
        }
    }
}
