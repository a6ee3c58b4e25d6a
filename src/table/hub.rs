//! The sessions that are live: one task each, found by whoever joins, comes back, looks on or has news for them.
//!
//! What a session decides is carried out here: told to screens, kept in the store, ordered. Nothing is locked while anything
//! is waited for. Knows no socket and no cookie.

mod host;
mod joining;
mod kept;
mod limits;
mod news;
mod passes;
mod phones;
mod pickup;
mod placing;
mod screen;
mod screens;

pub use joining::Shown;
pub use passes::{Pass, Passes};
pub use pickup::PickUp;
pub use screen::Screen;
pub use screens::Closing;

use super::names::Name;
use super::protocol::{Kind, Snapshot};
use super::secret;
use super::session::{Door, Input, NewMember, Notice, Overview, PhoneRules, Session, Setup};
use super::tables::{Table, TableBook, TableError};
use crate::events::EventLog;
use crate::order_service::OrderService;
use crate::rates::{Meters, Rate};
use crate::shop::Shop;
use crate::store::{Store, StoreError};
use futures_util::future::join_all;
use host::{Command, Handle, Host};
use jiff::{SignedDuration, Timestamp};
use joining::Stopped;
use limits::Limits;
use news::Watch;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Shared sessions of tables that are live at once, and as many carts of one guest each: these two take nothing from each
/// other.
const MOST_SESSIONS: usize = 500;
/// Members of one session.
const MOST_MEMBERS: usize = 12;
/// What one member's screens may ask for together.
const OPERATIONS: Rate = Rate { burst: 20, every: Duration::from_millis(100) };
/// Sessions that are being saved because time has come, and not because somebody waits for it. A store on disk writes one
/// after the other.
const SAVED_AT_ONCE: usize = 2;
/// A session may be over between being found and being asked; each try finds another.
const MOST_TRIES: usize = 8;

/// How a member's operations are counted.
type MemberMeters = Meters<String>;

/// How tables are run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Whether whoever opens the menu's page may order ahead.
    pub ahead: bool,
    /// So long after a session's beginning whoever scans the table's code joins it.
    pub open_for: SignedDuration,
    /// A session that nobody uses for so long ends.
    pub idle: SignedDuration,
    /// Which numbers may be texted.
    pub phones: PhoneRules,
}

/// The tables of a shop and what goes on at them. Cheap to clone.
#[derive(Clone)]
pub struct Tables(Arc<Inner>);

struct Inner {
    settings: Settings,
    book: TableBook,
    store: Arc<dyn Store>,
    orders: OrderService,
    shop: Shop,
    live: Mutex<Live>,
    watch: Watch,
    at_tables: Limits,
    ahead: Limits,
    /// What the meters' time is measured from.
    started: Instant,
    saving: Semaphore,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// The sessions that are live.
#[derive(Default)]
struct Live {
    sessions: BTreeMap<String, Entry>,
    /// The session that all at a table share, by the table's id.
    shared: HashMap<String, String>,
}

#[derive(Clone)]
struct Entry {
    handle: Handle,
    kind: Kind,
    table_id: Option<String>,
    /// Until then nobody is asked for a code.
    open_until: Timestamp,
    meters: Arc<MemberMeters>,
}

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
    /// Takes up the tables, and the sessions as they were when the server stopped. They live until `stop` is cancelled.
    ///
    /// # Errors
    /// What keeps the store from being read. What cannot be read of it is logged and left out.
    pub async fn open(
        settings: Settings,
        store: Arc<dyn Store>,
        orders: OrderService,
        shop: Shop,
        events: &EventLog,
        stop: CancellationToken,
    ) -> Result<Self, StoreError> {
        let inner = Arc::new(Inner {
            settings,
            book: TableBook::open(Arc::clone(&store)).await?,
            watch: Watch::new(events.orders()),
            store,
            orders,
            shop,
            live: Mutex::default(),
            at_tables: Limits::at_tables(),
            ahead: Limits::ahead(),
            started: Instant::now(),
            saving: Semaphore::new(SAVED_AT_ONCE),
            tasks: TaskTracker::new(),
            stop,
        });
        inner.take_up().await?;
        Ok(Self(inner))
    }

    /// Brings sessions their news until the server stops; returns when all of them are saved.
    pub async fn run(self) {
        news::run(&self.0).await;
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }

    /// What runs because of tables and ends with them: [`Tables::run`] waits for it.
    pub fn tasks(&self) -> &TaskTracker {
        &self.0.tasks
    }

    /// The present, as sessions see it.
    pub fn now(&self) -> Timestamp {
        self.0.orders.now()
    }

    /// How tables are run.
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// The table of that id.
    pub fn table(&self, table_id: &str) -> Option<Table> {
        self.0.book.get(table_id)
    }

    /// Whether somebody may come in by there.
    pub fn has(&self, place: &Place) -> bool {
        self.0.found(place).is_ok()
    }

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
            let _ = entry.handle.send(Command::End(ENDED_BY_STAFF)).await;
        }
        Ok(())
    }

    /// Ends a session for staff.
    ///
    /// # Errors
    /// [`Turned::Over`]: there is no such session.
    pub async fn end(&self, session: &str) -> Result<(), Turned> {
        let entry = self.0.entry(session).ok_or(Turned::Over)?;
        entry.handle.send(Command::End(ENDED_BY_STAFF)).await.map_err(|_| self.0.silent())
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
    pub async fn pick_up(&self, drinks: u32) -> Result<PickUp, crate::order_service::OrderError> {
        pickup::times(&self.0.orders, &self.0.shop, drinks).await
    }
}

/// What guests are told whose session staff have ended.
const ENDED_BY_STAFF: &str = "Your table was closed by our staff. Thank you for coming!";

impl Inner {
    fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn entry(&self, session: &str) -> Option<Entry> {
        self.live().sessions.get(session).cloned()
    }

    fn entries_at(&self, table_id: &str) -> Vec<Entry> {
        let at_table = |entry: &&Entry| entry.table_id.as_deref() == Some(table_id);
        self.live().sessions.values().filter(at_table).cloned().collect()
    }

    /// How much one address may do where carts are of this kind.
    fn limits(&self, kind: Kind) -> &Limits {
        match kind {
            Kind::Table | Kind::Private => &self.at_tables,
            Kind::Ahead => &self.ahead,
        }
    }

    /// The table there; none: they order ahead.
    fn found(&self, place: &Place) -> Result<Option<Table>, JoinError> {
        match place {
            Place::Table(token) => self.book.by_token(token).map(Some).ok_or(JoinError::NoTable),
            Place::Ahead if self.settings.ahead => Ok(None),
            Place::Ahead => Err(JoinError::NoTable),
        }
    }

    /// The session to join: the one that goes on at the table, or a new one.
    fn seat(self: &Arc<Self>, kind: Kind, table: Option<&Table>) -> Result<(String, Entry), JoinError> {
        let mut live = self.live();
        if kind == Kind::Table
            && let Some(table) = table
            && let Some(session) = live.shared.get(&table.table_id)
            && let Some(entry) = live.sessions.get(session)
        {
            return Ok((session.clone(), entry.clone()));
        }
        if live.of_pool(kind) >= MOST_SESSIONS {
            return Err(JoinError::Busy);
        }
        let (now, id) = (self.orders.now(), secret::random());
        let open_until = now.checked_add(self.settings.open_for).unwrap_or(Timestamp::MAX);
        let setup = Setup {
            id: id.clone(),
            kind,
            table: table.map(|table| (table.table_id.clone(), table.name.clone())),
            menu: Arc::clone(self.shop.menu()),
            door: Door { code: secret::code(), invite: secret::random(), path: path(table), open_until },
            idle: self.settings.idle,
        };
        let session = Session::start(setup, self.settings.phones.clone(), self.notice(now), now);
        let table_id = table.map(|table| table.table_id.clone());
        let entry = self.host(&mut live, id.clone(), kind, table_id, session, 0);
        Ok((id, entry))
    }

    /// Gives a session its task and its place among the live ones.
    fn host(
        self: &Arc<Self>,
        live: &mut Live,
        id: String,
        kind: Kind,
        table_id: Option<String>,
        session: Session,
        revision: u64,
    ) -> Entry {
        let open_until = session.door().open_until;
        // Those who have joined since share another one.
        let is_ending = session.ending().is_some();
        let (host, handle) = Host::new(Arc::clone(self), id.clone(), kind, table_id.clone(), session, revision);
        self.tasks.spawn(host.run());
        let meters = Arc::new(Meters::new(OPERATIONS, MOST_MEMBERS));
        if let Some(table_id) = table_id.clone().filter(|_| kind == Kind::Table && !is_ending) {
            live.shared.insert(table_id, id.clone());
        }
        let entry = Entry { handle, kind, table_id, open_until, meters };
        live.sessions.insert(id, entry.clone());
        entry
    }

    /// Nobody finds the session any more.
    fn forget(&self, session: &str) {
        let mut live = self.live();
        let live = &mut *live;
        live.sessions.remove(session);
        live.shared.retain(|_, shared| shared != session);
    }

    /// What sessions have to know of the shop.
    fn notice(&self, now: Timestamp) -> Notice {
        let state = self.shop.state();
        Notice { stock: self.shop.stock_in(&state), closed: self.shop.ordering_closed_in(&state, now) }
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

    /// Why a session does not answer.
    fn silent(&self) -> Turned {
        if self.stop.is_cancelled() { Turned::GoingAway } else { Turned::Over }
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

impl Live {
    /// Sessions that are shared by a table, or those that are not: as this kind is.
    fn of_pool(&self, kind: Kind) -> usize {
        self.sessions.values().filter(|entry| (entry.kind == Kind::Table) == (kind == Kind::Table)).count()
    }

    fn shared_at(&self, table_id: &str) -> Option<&Entry> {
        self.sessions.get(self.shared.get(table_id)?)
    }
}

/// Where a table's code leads to; who orders ahead invites nobody.
fn path(table: Option<&Table>) -> String {
    table.map_or_else(String::new, |table| format!("/t/{}", table.token))
}

/// Asks a session; none: it is over.
async fn ask<T>(session: &Handle, question: impl FnOnce(oneshot::Sender<T>) -> Command) -> Option<T> {
    let (reply, answer) = oneshot::channel();
    session.send(question(reply)).await.ok()?;
    answer.await.ok()
}
