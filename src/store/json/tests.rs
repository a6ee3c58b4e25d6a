use super::*;
use crate::ordering::menu::{Asked, Menu, Said};
use crate::ordering::order::{Channel, HistoryEntry, Order, total};
use crate::ordering::status::OrderStatus;
use crate::store::conformance::{Harness, SHOP, passes_the_suite};
use crate::store::{Ask, Facts, unannounced};
use std::cell::{Cell, RefCell};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

thread_local! {
    /// How many folder syncs of this thread still work; none: all.
    static SYNCS_LEFT: Cell<Option<u32>> = const { Cell::new(None) };
    /// The folders that this thread has synced.
    static SYNCED: RefCell<Vec<PathBuf>> = const { RefCell::new(Vec::new()) };
    /// Whether this thread can remove no file.
    static NOTHING_GOES: Cell<bool> = const { Cell::new(false) };
    /// The next folder sync of this thread tells that it has begun, and hangs until it is told to go on.
    static HANGS: RefCell<Option<(Sender<()>, Receiver<()>)>> = const { RefCell::new(None) };
}

/// Fails where a test of this thread wants files to stay.
pub(super) fn faulty_removal(file: &Path) -> Result<(), StoreError> {
    if NOTHING_GOES.get() {
        return Err(io_error(format!("remove {}", file.display()))(std::io::Error::other("a fault of the disk")));
    }
    Ok(())
}

/// Fails where a test of this thread wants the disk to fail: after the rename.
pub(super) fn faulty_sync(dir: &Path) -> std::io::Result<()> {
    SYNCED.with_borrow_mut(|synced| synced.push(dir.to_owned()));
    if let Some((begun, go)) = HANGS.take() {
        let _ = begun.send(());
        let _ = go.recv();
    }
    match SYNCS_LEFT.get() {
        None => Ok(()),
        Some(0) => {
            SYNCS_LEFT.set(None);
            Err(std::io::Error::other("a fault of the disk"))
        }
        Some(left) => {
            SYNCS_LEFT.set(Some(left - 1));
            Ok(())
        }
    }
}

fn now() -> Timestamp {
    Timestamp::from_second(1_704_067_200).expect("a valid instant")
}

fn open_with(dir: &Path, clear_on_start: bool) -> Inner {
    let config = OrdersConfig { clear_on_start, ..OrdersConfig::json(dir) };
    Inner::open(&config, "main".to_owned(), Access::Write).expect("a folder")
}

fn record(order_id: OrderId, order_number: OrderNumber) -> Record {
    let fields = vec![("flavor".to_owned(), Said::One("taro".to_owned()))];
    let asked = Asked { fields, quantity: Some(1), note: None };
    let items = vec![Menu::builtin("boba").expect("built in").item(&asked).expect("on the menu")];
    let order = Order {
        order_id,
        order_number,
        shop_id: "main".to_owned(),
        channel: Channel::Phone,
        status: OrderStatus::Received,
        version: 1,
        name: None,
        phone: None,
        customer_id: None,
        notes: None,
        total: total(&items),
        items,
        call_sid: None,
        estimated_ready_time: None,
        pickup_at: None,
        metadata: serde_json::Map::new(),
        created_at: now(),
        updated_at: now(),
        history: vec![HistoryEntry { status: OrderStatus::Received, at: now(), by: "phone".to_owned() }],
    };
    Record::new(order)
}

fn insert(store: &Inner) -> Result<Arc<Record>, CommitError> {
    insert_if(store, true, unannounced())
}

fn insert_if(store: &Inner, allowed: bool, announce: Announce) -> Result<Arc<Record>, CommitError> {
    let ask =
        Ask { now: now(), order_id: None, key: None, fingerprint: None, phone: None, ahead_until: now(), due: None };
    let check = Box::new(move |_: &Facts| allowed);
    store.insert(Insert { ask, check, build: Box::new(|_, id, number| record(id, number)), announce })
}

fn amend(store: &Inner, id: &OrderId, announce: Announce) -> Result<Arc<Record>, CommitError> {
    let amend = |record: &Record, _: &Facts| {
        let mut changed = record.clone();
        changed.order.version += 1;
        changed.order.notes = Some("changed".to_owned());
        Some(changed)
    };
    store.update(Update { id: id.clone(), now: now(), ahead_until: now(), amend: Box::new(amend), announce })
}

fn path_of(store: &Inner, id: &OrderId) -> PathBuf {
    store.folder.path(&store.read().file_of(id).expect("a file"))
}

fn order_files(dir: &Path) -> Vec<String> {
    let mut names = files::names(dir).expect("readable");
    names.retain(|name| name.starts_with("order_"));
    names.sort();
    names
}

#[test]
fn an_order_that_failed_after_the_rename_is_gone_and_its_name_is_free() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let store = open_with(dir.path(), false);
    SYNCS_LEFT.set(Some(0));
    assert!(matches!(insert(&store), Err(CommitError::Store(StoreError::Io { .. }))));
    assert!(order_files(dir.path()).is_empty(), "an order that nobody was told of does not come back");
    let saved = insert(&store).expect("an order");
    assert_eq!(order_files(dir.path()), ["order_20240101T000000.json"]);
    assert_eq!(path_of(&store, &saved.order.order_id), dir.path().join("order_20240101T000000.json"));
}

#[test]
fn a_change_that_failed_after_the_rename_is_taken_back_on_disk_too() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let store = open_with(dir.path(), false);
    let saved = insert(&store).expect("an order");
    let path = path_of(&store, &saved.order.order_id);
    SYNCS_LEFT.set(Some(0));
    let told = Arc::new(AtomicBool::new(false));
    let tell = Arc::clone(&told);
    let announce: Announce = Box::new(|_| Box::new(move || tell.store(true, Ordering::Relaxed)));
    let failed = amend(&store, &saved.order.order_id, announce);
    assert!(matches!(failed, Err(CommitError::Store(StoreError::Io { .. }))), "{failed:?}");
    assert!(!told.load(Ordering::Relaxed), "what did not happen is not told");
    assert_eq!(files::read_json::<Record>(&path).expect("readable"), *saved);
    assert_eq!(store.read().by_id(&saved.order.order_id), Some(saved));
}

fn remove(store: &Inner, id: &OrderId) -> Result<Arc<Record>, CommitError> {
    store.remove(Remove { id: id.clone(), now: now(), check: Box::new(|_| true), announce: unannounced() })
}

fn is_a_fault<T>(outcome: Result<T, CommitError>) -> bool {
    matches!(outcome, Err(CommitError::Store(StoreError::Io { .. })))
}

#[test]
fn a_refused_order_that_stays_on_disk_goes_as_soon_as_it_can() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let store = open_with(dir.path(), false);
    NOTHING_GOES.set(true);
    SYNCS_LEFT.set(Some(0));
    assert!(is_a_fault(insert(&store)));
    assert_eq!(order_files(dir.path()), ["order_20240101T000000.json"]);
    store.check().expect_err("what would be true after a restart is told");
    // Meanwhile its name is nobody's: the next order of that second is not what is removed.
    let kept = insert(&store).expect("an order");
    NOTHING_GOES.set(false);
    store.check().expect("it is over");
    assert_eq!(order_files(dir.path()), ["order_20240101T000000_2.json"]);
    drop(store);
    let store = open_with(dir.path(), false);
    assert_eq!(store.read().open(), [kept]);
}

#[test]
fn a_deletion_that_failed_and_stays_on_disk_takes_no_order_away() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let store = open_with(dir.path(), false);
    let kept = insert(&store).expect("an order");
    let id = &kept.order.order_id;
    NOTHING_GOES.set(true);
    SYNCS_LEFT.set(Some(0));
    assert!(is_a_fault(remove(&store, id)));
    assert_eq!(store.read().by_id(id), Some(Arc::clone(&kept)), "it was not deleted");
    store.check().expect_err("what would be true after a restart is told");
    NOTHING_GOES.set(false);
    store.check().expect("it is over");
    drop(store);
    let store = open_with(dir.path(), false);
    assert_eq!(store.read().by_id(id), Some(Arc::clone(&kept)), "the order went with the next start");

    // Deleted after all: what was to go is wanted now.
    NOTHING_GOES.set(true);
    SYNCS_LEFT.set(Some(0));
    assert!(is_a_fault(remove(&store, id)));
    NOTHING_GOES.set(false);
    remove(&store, id).expect("it is deleted");
    store.check().expect("the disk works");
    drop(store);
    assert!(open_with(dir.path(), false).read().is_tombstoned(id), "its tombstone went");
}

#[test]
fn a_deleted_order_whose_file_stays_never_comes_back() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let store = open_with(dir.path(), false);
    let id = insert(&store).expect("an order").order.order_id.clone();
    NOTHING_GOES.set(true);
    remove(&store, &id).expect("its tombstone says so");
    assert_eq!(store.read().by_id(&id), None);
    store.check().expect_err("a customer's data that should be gone is told of");
    let kept = insert(&store).expect("an order of the same second");
    let other = OrderId::numbered("main", 99);
    store
        .set_tombstone(&other, Some(record(other.clone(), kept.order.order_number).tombstone(now())))
        .expect("another");

    // Its answers expire. Without the tombstone the file would be an order again.
    store.set_tombstone(&id, None).expect_err("the order's file is still there");
    NOTHING_GOES.set(false);
    store.set_tombstone(&other, None).expect("one has nothing to do with the other");
    assert!(store.read().is_tombstoned(&id));
    assert_eq!(order_files(dir.path()).len(), 2);
    store.set_tombstone(&id, None).expect("the file goes first");
    assert!(!store.read().is_tombstoned(&id));
    drop(store);
    let store = open_with(dir.path(), false);
    assert_eq!(store.read().open(), [kept]);
}

#[test]
fn an_order_that_could_not_be_put_back_is_put_back_later() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let store = open_with(dir.path(), false);
    let saved = insert(&store).expect("an order");
    let file = store.read().file_of(&saved.order.order_id).expect("a file");
    let refused = record(saved.order.order_id.clone(), OrderNumber::new(4711).expect("digits"));
    store.folder.write_record(&file, &refused).expect("written");
    // In the way of whatever is written.
    let in_the_way = dir.path().join(format!(".{}.tmp", file.display()));
    fs::create_dir(&in_the_way).expect("a folder");
    assert!(!store.undone.restore(&store.folder, file.clone(), &saved));
    store.check().expect_err("what would be true after a restart is told");
    fs::remove_dir(&in_the_way).expect("it goes");
    store.check().expect("it is over");
    assert_eq!(store.folder.read_record(&file).expect("readable"), *saved);

    // A later change is not put back to what was before it.
    fs::create_dir(&in_the_way).expect("a folder");
    store.folder.remove(&file).expect("it goes");
    assert!(!store.undone.restore(&store.folder, file.clone(), &saved));
    fs::remove_dir(&in_the_way).expect("it goes");
    let changed = amend(&store, &saved.order.order_id, unannounced()).expect("changed");
    store.check().expect("it is over");
    assert_eq!(store.folder.read_record(&file).expect("readable"), *changed);
}

#[tokio::test]
async fn what_could_not_be_taken_back_is_tried_again_before_the_next_commit() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let store = JsonStore(Arc::new(open_with(dir.path(), false)));
    NOTHING_GOES.set(true);
    SYNCS_LEFT.set(Some(0));
    assert!(is_a_fault(insert(&store.0)));
    NOTHING_GOES.set(false);
    assert_eq!(order_files(dir.path()).len(), 1);
    store.raise_counter(1).await.expect("whatever is written next");
    assert!(order_files(dir.path()).is_empty());
}

/// Two are held by the order that they change, and a third waits until it is told that there are too many.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_hangs_is_waited_for_by_so_many_and_so_long() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let inner = Inner { crowd: Crowd::new(2, Duration::from_millis(50)), ..open_with(dir.path(), false) };
    let id = insert(&inner).expect("an order").order.order_id.clone();
    // So that raising it to that waits for no disk.
    inner.counter().raise(7).expect("it is raised");
    let store = JsonStore(Arc::new(inner));
    let forget = || {
        let (store, id) = (store.clone(), id.clone());
        tokio::spawn(async move { store.set_tombstone(&id, None).await })
    };
    let (hold, held) = (std::sync::mpsc::channel::<()>(), std::sync::mpsc::channel());
    let (inner, order) = (Arc::clone(&store.0), id.clone());
    let hanging = std::thread::spawn(move || {
        let _turn = inner.stripe(&order);
        held.0.send(()).expect("somebody waits");
        let _ = hold.1.recv();
    });
    held.1.recv().expect("it is held");
    let waiting = [forget(), forget()];
    let error = loop {
        // Until the two have their places, it has one itself.
        match store.raise_counter(7).await {
            Ok(()) => tokio::task::yield_now().await,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, StoreError::Crowded), "{error:?}");
    assert!(store.by_id(&id).await.expect("readers wait for nobody").is_some());
    drop(hold.0);
    for waiting in waiting {
        waiting.await.expect("it ends").expect("it was not forgotten");
    }
    hanging.join().expect("it ends");
    store.raise_counter(8).await.expect("there is room again");
}

#[test]
fn what_is_refused_costs_no_id() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let store = open_with(dir.path(), false);
    for _ in 0..3 {
        assert!(matches!(insert_if(&store, false, unannounced()), Err(CommitError::Refused)));
    }
    assert_eq!(insert(&store).expect("an order").order.order_id.as_str(), "ORD-main-1");
}

#[test]
fn changes_are_told_under_the_lock_that_shows_them() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let store = Arc::new(open_with(dir.path(), false));
    let locked = || -> Announce {
        let store = Arc::clone(&store);
        Box::new(|_| Box::new(move || assert!(store.index.try_read().is_err(), "nobody sees it before it is told")))
    };
    let saved = insert_if(&store, true, locked()).expect("an order");
    amend(&store, &saved.order.order_id, locked()).expect("changed");
}

#[test]
fn a_cleared_folder_gives_no_id_again() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let first = insert(&open_with(dir.path(), false)).expect("an order").order.order_id.clone();
    // As after a power cut: what was used is lost, what was reserved is not.
    let counter = dir.path().join("counter-main");
    let line = fs::read_to_string(&counter).expect("readable");
    fs::write(&counter, line.replacen("00000000000000000001", "00000000000000000000", 1)).expect("writable");
    let second = insert(&open_with(dir.path(), true)).expect("an order").order.order_id.clone();
    assert_ne!(first, second);
    assert_eq!(order_files(dir.path()).len(), 1, "cleared");
}

#[test]
fn an_old_corrupt_file_does_not_make_the_count_jump_at_every_start() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    fs::write(dir.path().join("order_1.json"), "{").expect("writable");
    let mut ids = Vec::new();
    for start in 0..3 {
        let store = open_with(dir.path(), false);
        assert_eq!(store.unreadable, usize::from(start == 0));
        ids.push(insert(&store).expect("an order").order.order_id.number_at("main").expect("ours"));
    }
    assert_eq!(ids, [ids[0], ids[0] + 1, ids[0] + 2]);
}

#[test]
fn of_two_files_with_one_id_the_later_version_wins_and_the_other_is_set_aside() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let store = open_with(dir.path(), false);
    let saved = insert(&store).expect("an order");
    let id = saved.order.order_id.clone();
    let path = path_of(&store, &id);
    fs::copy(&path, dir.path().join("order_20230101T000000.json")).expect("a copy");
    fs::copy(&path, dir.path().join("order_20250101T000000.json")).expect("a copy");
    amend(&store, &id, unannounced()).expect("changed");
    drop(store);
    let store = open_with(dir.path(), false);
    assert_eq!(store.read().by_id(&id).expect("there").order.version, 2);
    assert_eq!(path_of(&store, &id), path);
    assert_eq!(store.unreadable, 2);
    let expected =
        ["order_20230101T000000.json.corrupt", "order_20240101T000000.json", "order_20250101T000000.json.corrupt"];
    assert_eq!(order_files(dir.path()), expected);
}

#[test]
fn an_order_is_read_by_nobody_else_on_the_machine() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let store = open_with(dir.path(), false);
    let path = path_of(&store, &insert(&store).expect("an order").order.order_id);
    assert_eq!(fs::metadata(path).expect("there").permissions().mode() & 0o777, 0o600);
}

fn set(store: &Inner, key: &str, value: &str, expected: u64) -> Result<u64, StoreError> {
    store.states.set(&store.folder, "shop".to_owned(), key.to_owned(), value.into(), expected)
}

fn remove_state(store: &Inner, key: &str) -> Result<(), StoreError> {
    store.states.remove(&store.folder, "shop".to_owned(), key.to_owned())
}

fn state(store: &Inner, key: &str) -> Option<(serde_json::Value, u64)> {
    store.states.get("shop", key).map(|state| (state.value, state.revision))
}

/// The folders that `work` syncs, as they are called below `dir`.
fn synced(dir: &Path, work: impl FnOnce()) -> Vec<String> {
    SYNCED.take();
    work();
    let inner = |path: PathBuf| path.strip_prefix(dir).expect("one of ours").display().to_string();
    SYNCED.take().into_iter().map(inner).collect()
}

#[test]
fn a_state_and_its_folders_outlast_a_power_cut_and_so_does_its_removal() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let store = open_with(dir.path(), false);
    let first = synced(dir.path(), || assert_eq!(set(&store, "a", "1", 0).expect("set"), 1));
    assert_eq!(first, ["", "state", "state/shop"]);
    assert_eq!(synced(dir.path(), || assert_eq!(set(&store, "b", "1", 0).expect("set"), 1)), ["state/shop"]);
    assert_eq!(synced(dir.path(), || remove_state(&store, "b").expect("removed")), ["state/shop"]);
    drop(store);
    // Whoever made the folders may have been killed before they were on disk.
    let store = open_with(dir.path(), false);
    let again = synced(dir.path(), || assert_eq!(set(&store, "a", "2", 1).expect("set"), 2));
    assert_eq!(again, ["", "state", "state/shop"]);
    // A kind's folder is made and its entry does not get to the disk: the next one sees to it.
    let other = |key: &str| store.states.set(&store.folder, "table".to_owned(), key.to_owned(), "1".into(), 0);
    SYNCS_LEFT.set(Some(1));
    other("a").expect_err("the disk fails");
    assert_eq!(synced(dir.path(), || assert_eq!(other("a").expect("set"), 1)), ["", "state", "state/table"]);
}

#[test]
fn a_state_that_could_not_be_saved_or_removed_is_as_it_was() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let store = open_with(dir.path(), false);
    set(&store, "a", "1", 0).expect("set");
    for (key, expected) in [("a", 1), ("b", 0)] {
        // The rename has happened by then.
        SYNCS_LEFT.set(Some(0));
        set(&store, key, "2", expected).expect_err("the disk fails");
    }
    let saved = Some(("1".into(), 1));
    assert_eq!((state(&store, "a"), state(&store, "b")), (saved.clone(), None));
    drop(store);
    let store = open_with(dir.path(), false);
    assert_eq!((state(&store, "a"), state(&store, "b")), (saved.clone(), None), "nor after a restart");
    SYNCS_LEFT.set(Some(0));
    remove_state(&store, "a").expect_err("it may come back");
    assert_eq!(state(&store, "a"), saved, "so it is not called removed");
    remove_state(&store, "a").expect("removed");
    remove_state(&store, "never").expect("nothing happens");
    store.states.remove(&store.folder, "nobody".to_owned(), "a".to_owned()).expect("nothing happens");
    assert_eq!(state(&store, "a"), None);
}

/// What is read is what was durable before; and a commit of orders is not concerned.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn states_are_read_while_a_disk_hangs_on_one() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let store = JsonStore(Arc::new(open_with(dir.path(), false)));
    set(&store.0, "a", "1", 0).expect("set");
    let ((begun, has_begun), (go, wait)) = (channel(), channel());
    let inner = Arc::clone(&store.0);
    let hanging = std::thread::spawn(move || {
        HANGS.set(Some((begun, wait)));
        set(&inner, "a", "2", 1)
    });
    has_begun.recv().expect("it hangs");
    let reader = store.clone();
    let reading = tokio::spawn(async move {
        let one = reader.state("shop", "a").await.expect("readable").map(|state| state.revision);
        let all = reader.states(None).await.expect("readable").len();
        (one, all)
    });
    let read = tokio::time::timeout(Duration::from_secs(5), reading).await;
    assert_eq!(read.expect("readers wait for no disk").expect("no panic"), (Some(1), 1));
    insert(&store.0).expect("an order");
    go.send(()).expect("it hangs still");
    assert_eq!(hanging.join().expect("no panic").expect("set"), 2);
    assert_eq!(state(&store.0, "a"), Some(("2".into(), 2)));
}

#[test]
fn a_state_never_makes_a_vanished_folder_of_orders_anew() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let orders = dir.path().join("orders");
    let store = open_with(&orders, false);
    set(&store, "a", "1", 0).expect("set");
    let away = dir.path().join("away");
    fs::rename(&orders, &away).expect("renamed");
    for (key, expected) in [("a", 1), ("b", 0)] {
        let error = set(&store, key, "2", expected).expect_err("nothing is there");
        assert!(matches!(error, StoreError::Io { .. }), "{error}");
    }
    remove_state(&store, "a").expect_err("what cannot be reached is not removed");
    assert!(!orders.exists(), "another folder would hide the orders when theirs is back");
    fs::rename(&away, &orders).expect("renamed");
    assert_eq!(set(&store, "a", "2", 1).expect("set"), 2);
    assert_eq!(set(&store, "b", "1", 0).expect("set"), 1);
}

/// A place of orders for the suite.
struct InFolder(tempfile::TempDir);

#[async_trait]
impl Harness for InFolder {
    async fn open(&self, access: Access, clear: bool) -> Result<Arc<dyn Store>, StoreError> {
        let config = OrdersConfig { clear_on_start: clear, ..OrdersConfig::json(self.0.path()) };
        Ok(Arc::new(JsonStore::open(&config, SHOP, access).await?))
    }

    /// Without an fsync each.
    async fn fill(&self, records: Vec<Record>) {
        for (k, record) in records.iter().enumerate() {
            let file = self.0.path().join(format!("order_20240101T000000_{}.json", k + 2));
            std::fs::write(file, serde_json::to_vec(record).expect("a record is JSON")).expect("a file");
        }
    }
}

passes_the_suite!(InFolder(tempfile::tempdir().expect("a temporary folder")));
