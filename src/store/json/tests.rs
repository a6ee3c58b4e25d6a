use super::*;
use crate::ordering::menu::{Asked, Menu, Said};
use crate::ordering::order::{Channel, HistoryEntry, Order, total};
use crate::ordering::status::OrderStatus;
use crate::store::{Ask, Facts, unannounced};
use std::cell::Cell;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

thread_local! {
    /// How many folder syncs of this thread still work; none: all.
    static SYNCS_LEFT: Cell<Option<u32>> = const { Cell::new(None) };
}

/// Fails where a test of this thread wants the disk to fail: after the rename.
pub(super) fn faulty_sync(_dir: &Path) -> Result<(), StoreError> {
    match SYNCS_LEFT.get() {
        None => Ok(()),
        Some(0) => {
            SYNCS_LEFT.set(None);
            Err(io_error("sync")(std::io::Error::other("a fault of the disk")))
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
