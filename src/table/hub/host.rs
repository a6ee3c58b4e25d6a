//! The task of one session: what comes in goes to the session, what it wants done is done here, and what it has become is
//! saved.
//!
//! Saving is written behind, half a second after a change at the latest where the store keeps up; what is to be ordered is
//! saved first, so that a server that is killed in the middle knows what to ask for. The task itself waits for nothing but
//! its next input.

use super::joining::{Guesses, Shown, Stopped};
use super::placing::{Outcome, not_saved};
use super::screen::milliseconds;
use super::screens::{Closing, Queue, Screens};
use super::{Inner, MOST_MEMBERS, kept};
use crate::ordering::order::OrderId;
use crate::store::StoreError;
use crate::table::protocol::{Action, Kind, Operation, RefusalCode, Refused, ServerMessage, Snapshot};
use crate::table::session::{Input, NewMember, Output, Overview, Placement, Session};
use std::collections::{BTreeSet, VecDeque};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

/// What may wait for a session.
const QUEUE: usize = 64;
/// After a change it is saved within this time.
const SAVE_WITHIN: Duration = Duration::from_millis(500);
/// After a save that failed.
const SAVE_AGAIN: Duration = Duration::from_secs(2);
/// A clock may be set, and a machine may sleep: time is looked at anew at least so often, and no more often than this.
const LOOK: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(30));
/// What is over is taken out of the store by so many tries; after that it is taken up by the next start and ends again.
const MOST_TRIES: u32 = 5;

/// The way to a session's task.
pub(super) type Handle = mpsc::Sender<Command>;

/// A screen that was connected: its number, its member, and what it is told.
pub(super) type Connected = (u64, String, Queue);

/// What a session's task can be asked.
pub(super) enum Command {
    /// Let somebody in, who shows this; answers the member's id.
    Enter(NewMember, Shown, oneshot::Sender<Result<String, NotEntered>>),
    /// Which member has this secret (its hash).
    Who(String, oneshot::Sender<Option<String>>),
    /// Everything, as the member with this secret sees it.
    Look(String, oneshot::Sender<Option<Snapshot>>),
    /// Connect a screen of the member with this secret.
    Connect(String, oneshot::Sender<Option<Connected>>),
    /// A screen is gone.
    Leave(u64),
    /// Show everything to one screen.
    Show(u64),
    /// A member wants something done, who is counted by this address.
    Do(String, Operation, Option<IpAddr>),
    /// Something has happened outside.
    News(Box<Input>),
    /// What staff see of it.
    Overview(oneshot::Sender<Overview>),
    /// End, and say this.
    End(&'static str),
}

/// Why somebody was not let in.
pub(super) enum NotEntered {
    /// By the door.
    Stopped(Stopped),
    /// There are too many.
    Full,
}

/// A session and all that its task has to keep of it.
pub(super) struct Host {
    hub: Arc<Inner>,
    id: String,
    kind: Kind,
    table_id: Option<String>,
    session: Session,
    handle: mpsc::WeakSender<Command>,
    commands: mpsc::Receiver<Command>,
    screens: Screens,
    guesses: Guesses,
    /// The member who has just come in.
    joined: Option<String>,
    watched: BTreeSet<OrderId>,
    saving: Saving,
    /// Whom the order is counted for that is being placed; none: nobody.
    counted: Option<IpAddr>,
    /// Orders that are being cancelled.
    cancelling: TaskTracker,
    /// What becomes of its last order matters after its end.
    is_abandoned: bool,
    over: bool,
}

/// How far saving is.
struct Saving {
    /// The revision that the store has given to what was saved last.
    kept: u64,
    /// When what has changed is to be saved; none: nothing has.
    due: Option<Instant>,
    /// To be ordered once everything is saved.
    placement: Option<Box<Placement>>,
    underway: Option<JoinHandle<Saved>>,
    /// Somebody waits for the save that is under way.
    hurry: Arc<Notify>,
}

/// What came of a save.
struct Saved {
    outcome: Result<u64, StoreError>,
    /// The cart's revision that was saved.
    revision: u64,
    placement: Option<Box<Placement>>,
}

impl Host {
    /// `revision`: the store's, of what is kept of it; 0: nothing is.
    pub(super) fn new(
        hub: Arc<Inner>,
        id: String,
        kind: Kind,
        table_id: Option<String>,
        session: Session,
        revision: u64,
    ) -> (Self, Handle) {
        let (handle, commands) = mpsc::channel(QUEUE);
        let host = Self {
            hub,
            id,
            kind,
            table_id,
            session,
            handle: handle.downgrade(),
            commands,
            screens: Screens::default(),
            guesses: Guesses::default(),
            joined: None,
            watched: BTreeSet::new(),
            saving: Saving { kept: revision, due: None, placement: None, underway: None, hurry: Arc::default() },
            counted: None,
            cancelling: TaskTracker::new(),
            is_abandoned: false,
            over: false,
        };
        (host, handle)
    }

    /// Until the session is over or the server stops.
    pub(super) async fn run(mut self) {
        self.take_up();
        while !self.over {
            let (stop, due) = (self.hub.stop.clone(), self.saving.due());
            let wake = tokio::time::sleep(self.until_deadline());
            tokio::select! {
                biased;
                () = stop.cancelled() => return self.stop().await,
                saved = finished(&mut self.saving.underway) => self.saved(saved),
                () = at(due) => self.save(),
                () = wake => self.feed(Input::Tick),
                command = self.commands.recv() => match command {
                    Some(command) => self.obey(command),
                    // The registry holds a way to it until it is over.
                    None => return,
                },
            }
        }
        self.end().await;
    }

    /// What an earlier server has begun is gone on with.
    fn take_up(&mut self) {
        self.watch();
        if self.session.placing().is_none()
            && let Some(reason) = self.session.ending().map(str::to_owned)
        {
            return self.feed(Input::End(reason));
        }
        let Some(key) = self.session.placing().map(str::to_owned) else { return };
        let (hub, handle) = (Arc::clone(&self.hub), self.handle.clone());
        let looking = async move {
            let outcome = hub.what_came_of(&key).await;
            tell_placed(&handle, key, outcome).await;
        };
        self.hub.tasks.spawn(looking);
    }

    fn obey(&mut self, command: Command) {
        match command {
            // Whoever has asked may have gone.
            Command::Enter(newcomer, shown, reply) => drop(reply.send(self.enter(newcomer, &shown))),
            Command::Who(hash, reply) => drop(reply.send(self.session.member_with(&hash).map(str::to_owned))),
            Command::Look(hash, reply) => drop(reply.send(self.look(&hash))),
            Command::Connect(hash, reply) => self.connect(&hash, reply),
            Command::Leave(screen) => {
                if let Some(member) = self.screens.leave(screen) {
                    self.feed(Input::Disconnected(member));
                }
            }
            Command::Show(screen) => self.show(screen),
            Command::Do(member, operation, address) => self.operate(member, operation, address),
            Command::News(input) => self.feed(*input),
            Command::Overview(reply) => drop(reply.send(self.session.overview())),
            Command::End(sentence) => self.feed(Input::End(sentence.to_owned())),
        }
    }

    fn enter(&mut self, newcomer: NewMember, shown: &Shown) -> Result<String, NotEntered> {
        let now = self.hub.orders.now();
        let members = self.session.overview().guests.len();
        // Who begins a session is shown no door.
        if members > 0 {
            self.guesses.admit(self.session.door(), shown, now).map_err(NotEntered::Stopped)?;
        }
        if members >= MOST_MEMBERS {
            return Err(NotEntered::Full);
        }
        self.feed(Input::Join(newcomer));
        self.joined.take().ok_or(NotEntered::Full)
    }

    fn operate(&mut self, member: String, operation: Operation, address: Option<IpAddr>) {
        let limits = self.hub.limits(self.kind);
        let counted = address.filter(|_| matches!(operation.action, Action::PlaceOrder(_)));
        let Some(address) = counted.filter(|_| !self.session.has_done(&member, &operation.op_id)) else {
            return self.feed(Input::Operation(member, operation));
        };
        if let Err(wait) = limits.orders.look(&address, self.hub.started.elapsed()) {
            let message = "Many orders were placed from here just now. Please wait a few minutes before the next one.";
            let refused = Refused::new(RefusalCode::RateLimited, message);
            let (op_id, retry_after_ms) = (Some(operation.op_id), Some(milliseconds(wait)));
            let refused = ServerMessage::Error(Refused { op_id, retry_after_ms, ..*refused });
            let lost = self.screens.tell_member(&member, &refused);
            return lost.into_iter().for_each(|member| self.feed(Input::Disconnected(member)));
        }
        let was_free = self.saving.placement.is_none();
        self.feed(Input::Operation(member, operation));
        // What was refused is no order.
        if was_free && self.saving.placement.is_some() {
            let taken = self.hub.limits(self.kind).orders.take(address, self.hub.started.elapsed());
            // Another session may have taken the last one meanwhile: then this one is one more than there should be.
            self.counted = taken.is_ok().then_some(address);
        }
    }

    fn look(&self, secret_hash: &str) -> Option<Snapshot> {
        let member = self.session.member_with(secret_hash)?;
        self.session.snapshot(member, self.hub.orders.now())
    }

    fn connect(&mut self, secret_hash: &str, reply: oneshot::Sender<Option<Connected>>) {
        let Some(member) = self.session.member_with(secret_hash).map(str::to_owned) else {
            // Whoever has asked may have gone.
            return drop(reply.send(None));
        };
        let (id, queue, gone) = self.screens.open(&member);
        for _ in 0..gone {
            self.feed(Input::Disconnected(member.clone()));
        }
        self.feed(Input::Connected(member.clone()));
        if let Err(Some((id, member, _))) = reply.send(Some((id, member, queue)))
            && self.screens.leave(id).is_some()
        {
            self.feed(Input::Disconnected(member));
        }
    }

    fn show(&mut self, screen: u64) {
        let Some(member) = self.screens.member_of(screen) else { return };
        let Some(snapshot) = self.session.snapshot(member, self.hub.orders.now()) else { return };
        let lost = self.screens.tell_one(screen, &ServerMessage::Snapshot(Box::new(snapshot)));
        lost.into_iter().for_each(|member| self.feed(Input::Disconnected(member)));
    }

    /// Gives the session an input, and does what it wants done.
    fn feed(&mut self, input: Input) {
        let moves_orders = matches!(input, Input::Placed(..) | Input::Order(_) | Input::OrderDeleted(_));
        let mut placed = None;
        if let Input::Placed(_, outcome) = &input {
            placed = outcome.as_ref().ok().map(|news| news.order_id.clone());
            // What was refused is no order.
            if let Some(address) = self.counted.take().filter(|_| placed.is_none()) {
                self.hub.limits(self.kind).orders.give_back(&address);
            }
        }
        let mut inputs = VecDeque::from([input]);
        let mut outputs = Vec::new();
        while let Some(input) = inputs.pop_front() {
            self.session.handle(self.hub.orders.now(), input, &mut outputs);
            for output in outputs.drain(..) {
                let lost = self.carry_out(output);
                inputs.extend(lost.into_iter().map(Input::Disconnected));
            }
        }
        if moves_orders {
            self.watch();
        }
        if let Some(order) = placed {
            // It may have moved on before anybody watched it.
            self.hub.watch.look(order);
        }
    }

    /// Answers the members whose screens were lost by it.
    fn carry_out(&mut self, output: Output) -> Vec<String> {
        match output {
            Output::Joined(member) => self.joined = Some(member),
            Output::To(member, message) => return self.screens.tell_member(&member, &message),
            Output::All(message) => return self.screens.tell_all(&message),
            Output::Save => self.saving.changed(),
            Output::Place(placement) => self.saving.place(placement),
            Output::Cancel(order) => self.cancel(order),
            Output::Abandon(order) => self.abandon(order),
            Output::Ended => self.over = true,
        }
        Vec::new()
    }

    fn save(&mut self) {
        if self.saving.underway.is_some() {
            return;
        }
        let placement = self.saving.placement.take();
        self.saving.due = None;
        let revision = self.session.revision();
        let value = kept::value(self.kind, self.table_id.as_deref(), &self.session);
        let (hub, id, expected) = (Arc::clone(&self.hub), self.id.clone(), self.saving.kept);
        let (hurry, waits) = (Arc::clone(&self.saving.hurry), placement.is_none());
        let saving = async move {
            let turn = async {
                if waits {
                    let turn = tokio::select! {
                        turn = hub.saving.acquire() => turn.ok(),
                        () = hurry.notified() => None,
                    };
                    return turn;
                }
                None
            };
            let _turn = turn.await;
            let outcome = match value {
                Ok(value) => kept::save(&*hub.store, &id, &value, expected).await,
                Err(error) => Err(error),
            };
            Saved { outcome, revision, placement }
        };
        self.saving.underway = Some(self.hub.tasks.spawn(saving));
    }

    fn saved(&mut self, saved: Saved) {
        self.saving.underway = None;
        match saved.outcome {
            Ok(kept) => {
                self.saving.kept = kept;
                self.feed(Input::Saved(saved.revision));
                if let Some(placement) = saved.placement {
                    self.place(placement);
                }
            }
            Err(error) => {
                tracing::warn!(
                    table.session = self.id,
                    "a table's session could not be saved, which is tried again: {error}"
                );
                self.saving.due.get_or_insert(Instant::now() + SAVE_AGAIN);
                if let Some(placement) = saved.placement {
                    self.feed(Input::Placed(placement.key, Err(not_saved())));
                }
            }
        }
    }

    fn place(&mut self, placement: Box<Placement>) {
        let (hub, handle, id) = (Arc::clone(&self.hub), self.handle.clone(), self.id.clone());
        let table = self.table_id.as_deref().and_then(|table_id| self.hub.book.get(table_id)).map(|table| table.name);
        let placing = async move {
            let outcome = hub.place(&id, table.as_deref(), &placement).await;
            tell_placed(&handle, placement.key, outcome).await;
        };
        self.hub.tasks.spawn(placing);
    }

    fn cancel(&mut self, order: OrderId) {
        let hub = Arc::clone(&self.hub);
        self.cancelling.spawn(async move { hub.give_up(&order).await });
    }

    fn abandon(&mut self, order: OrderId) {
        let hub = Arc::clone(&self.hub);
        self.is_abandoned = true;
        self.cancelling.spawn(async move { hub.settle(&order).await });
    }

    /// Is told of the orders that matter by now, and of how they are.
    fn watch(&mut self) {
        let Some(handle) = self.handle.upgrade() else { return };
        let wanted: BTreeSet<OrderId> = self.session.watched().into_iter().collect();
        for order in self.watched.difference(&wanted) {
            self.hub.watch.end(order);
        }
        for order in wanted.difference(&self.watched) {
            self.hub.watch.begin(order.clone(), &handle);
        }
        self.watched = wanted;
    }

    fn until_deadline(&self) -> Duration {
        let left = self.session.next_deadline().duration_since(self.hub.orders.now());
        Duration::try_from(left).unwrap_or_default().clamp(LOOK.0, LOOK.1)
    }

    /// The server stops: the session goes on when it starts again.
    async fn stop(mut self) {
        self.screens.close(Closing::GoingAway);
        if self.saving.underway.is_some() {
            self.saving.hurry.notify_one();
            let saved = finished(&mut self.saving.underway).await;
            self.saved_last(saved);
        }
        if self.saving.due.is_some() || self.saving.placement.is_some() {
            self.keep().await;
        }
        self.cancelling.close();
        self.cancelling.wait().await;
    }

    /// It is over: what it still owes is done, and then nothing is kept of it.
    async fn end(mut self) {
        self.hub.forget(&self.id);
        self.screens.close(Closing::Over);
        self.watched.iter().for_each(|order| self.hub.watch.end(order));
        // Nobody gets an answer any more, and whoever joins finds another session.
        self.commands.close();
        if self.saving.underway.is_some() {
            // What is saved after it was removed would be there again.
            self.saving.hurry.notify_one();
            let saved = finished(&mut self.saving.underway).await;
            self.saved_last(saved);
        }
        if self.is_abandoned {
            self.keep().await;
        }
        self.cancelling.close();
        self.cancelling.wait().await;
        if self.is_abandoned && self.hub.stop.is_cancelled() {
            // The next server asks what became of its order.
            return;
        }
        for _ in 0..MOST_TRIES {
            match kept::remove(&*self.hub.store, &self.id).await {
                Ok(()) => return,
                Err(error) => tracing::warn!(table.session = self.id, "what is over is still kept: {error}"),
            }
            tokio::select! {
                () = self.hub.stop.cancelled() => return,
                () = tokio::time::sleep(SAVE_AGAIN) => {}
            }
        }
    }

    /// Saves what it has become.
    async fn keep(&self) {
        let saved = match kept::value(self.kind, self.table_id.as_deref(), &self.session) {
            Ok(value) => kept::save(&*self.hub.store, &self.id, &value, self.saving.kept).await,
            Err(error) => Err(error),
        };
        if let Err(error) = saved {
            tracing::error!(table.session = self.id, "a table's latest changes could not be saved: {error}");
        }
    }

    fn saved_last(&mut self, saved: Saved) {
        match saved.outcome {
            Ok(kept) => self.saving.kept = kept,
            Err(_) => self.saving.changed(),
        }
    }
}

impl Saving {
    /// When a save is to begin; none: nothing has changed, or one is under way.
    fn due(&self) -> Option<Instant> {
        if self.underway.is_some() {
            return None;
        }
        if self.placement.is_some() { Some(Instant::now()) } else { self.due }
    }

    fn changed(&mut self) {
        self.due.get_or_insert_with(|| Instant::now() + SAVE_WITHIN);
    }

    fn place(&mut self, placement: Box<Placement>) {
        self.placement = Some(placement);
        if self.underway.is_some() {
            self.hurry.notify_one();
        }
    }
}

/// Sessions that are over want to know nothing; those of a server that stops will ask again.
async fn tell_placed(session: &mpsc::WeakSender<Command>, key: String, outcome: Option<Outcome>) {
    if let (Some(session), Some(outcome)) = (session.upgrade(), outcome) {
        let _ = session.send(Command::News(Box::new(Input::Placed(key, outcome)))).await;
    }
}

async fn at(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// The end of a task; never, where there is none.
async fn finished(task: &mut Option<JoinHandle<Saved>>) -> Saved {
    match task {
        Some(task) => {
            let lost = |_| Saved { outcome: Err(StoreError::Interrupted), revision: 0, placement: None };
            Pin::new(task).await.unwrap_or_else(lost)
        }
        None => std::future::pending().await,
    }
}
