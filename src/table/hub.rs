//! The sessions that are live: one task each, found by whoever joins, comes back, looks on or has news for them.
//!
//! What a session decides is carried out here: told to screens, kept in the store, ordered. Nothing is locked while anything
//! is waited for. Knows no socket and no cookie.

mod guests;
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
mod staff;

pub use guests::{Doorway, Entrance, JoinError, Joined, Place, Turned};
pub use joining::Shown;
pub use passes::{Pass, Passes};
pub use pickup::PickUp;
pub use screen::Screen;
pub use screens::Closing;
pub use staff::Listed;

use super::protocol::Kind;
use super::secret;
use super::session::{Door, Notice, PhoneRules, Session, Setup};
use super::tables::{Table, TableBook};
use crate::events::EventLog;
use crate::order_service::OrderService;
use crate::rates::{Meters, Rate};
use crate::shop::Shop;
use crate::store::{Store, StoreError};
use host::{Command, Handle, Host};
use jiff::{SignedDuration, Timestamp};
use limits::Limits;
use news::Watch;
use std::collections::{BTreeMap, HashMap};
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
}

impl Inner {
    fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn entry(&self, session: &str) -> Option<Entry> {
        self.live().sessions.get(session).cloned()
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

    /// How much one address may do where carts are of this kind.
    fn limits(&self, kind: Kind) -> &Limits {
        match kind {
            Kind::Table | Kind::Private => &self.at_tables,
            Kind::Ahead => &self.ahead,
        }
    }

    /// Why a session does not answer.
    fn silent(&self) -> Turned {
        if self.stop.is_cancelled() { Turned::GoingAway } else { Turned::Over }
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
