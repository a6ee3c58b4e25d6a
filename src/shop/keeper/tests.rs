use super::*;
use crate::config::OrdersConfig;
use crate::events::{Audience, Delivery, EventLog};
use crate::ordering::menu::Menu;
use crate::store::{self, Access};
use std::path::Path;

fn now() -> Timestamp {
    "2024-01-01T12:00:00Z".parse().unwrap()
}

fn later(minutes: i64) -> Timestamp {
    now().checked_add(jiff::SignedDuration::from_mins(minutes)).unwrap()
}

async fn json(dir: &Path) -> Arc<dyn Store> {
    store::open(&OrdersConfig::json(dir), "main", Access::Write).await.expect("a folder of its own")
}

/// A shop whose state is kept there, at this moment.
async fn keeper(store: &Arc<dyn Store>, at: Timestamp) -> (ShopKeeper, EventLog) {
    let events = EventLog::new(now());
    let shop = Shop::new(Arc::new(Menu::builtin("boba").unwrap()), true, events.clone());
    let keeper = ShopKeeper::open(shop, Arc::clone(store), move || at, TaskTracker::new()).await;
    (keeper.expect("readable"), events)
}

fn names(names: &[&str]) -> BTreeSet<SoldOut> {
    names.iter().map(|name| SoldOut::from(*name)).collect()
}

fn sold_out(these: &[&str]) -> Change {
    Change { sold_out: Some(names(these)), ..Change::default() }
}

fn pause(paused: Option<Paused>) -> Change {
    Change { paused: Some(paused), ..Change::default() }
}

#[tokio::test]
async fn what_was_said_outlives_the_process_and_a_pause_does_not_outlive_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let store = json(dir.path()).await;
    let (first, _) = keeper(&store, now()).await;
    assert_eq!(*first.shop().state(), ShopState::default());
    first.change(sold_out(&["toppings:boba"])).await.unwrap();
    let until = Paused::Until(later(30));
    let state = first.change(pause(Some(until))).await.unwrap();
    let both = ShopState { paused: Some(until), sold_out: names(&["boba"]) };
    assert_eq!((state, &*first.shop().state()), (both.clone(), &both), "what is left out stays");
    drop((first, store));

    let store = json(dir.path()).await;
    let (next, events) = keeper(&store, later(10)).await;
    assert_eq!(*next.shop().state(), both);
    let mut feed = events.subscribe(Audience::Staff, None);
    assert!(futures_util::poll!(std::pin::pin!(feed.next())).is_pending(), "a start is no news");
    let (over, _) = keeper(&store, later(30)).await;
    assert_eq!(*over.shop().state(), ShopState { paused: None, ..both });
    let state = over.change(sold_out(&[])).await.unwrap();
    assert_eq!(state, ShopState::default());
    let kept = store.state(KIND, KEY).await.unwrap().unwrap();
    assert_eq!(
        (kept.value, kept.revision),
        (serde_json::json!({"sold_out": []}), 3),
        "written back with the next change"
    );
}

#[tokio::test]
async fn what_makes_no_sense_is_neither_kept_nor_obeyed() {
    let dir = tempfile::tempdir().unwrap();
    let store = json(dir.path()).await;
    let (keeper, _) = keeper(&store, now()).await;
    keeper.change(sold_out(&["boba"])).await.unwrap();
    for (wrong, is_right) in [
        (sold_out(&["boba", "oolong"]), false),
        (pause(Some(Paused::Until(now()))), false),
        (pause(Some(Paused::Until(later(1)))), true),
    ] {
        let changed = keeper.change(wrong.clone()).await;
        assert_eq!(changed.is_ok(), is_right, "{wrong:?}");
        assert!(is_right || matches!(changed, Err(KeepError::State(_))), "{changed:?}");
    }
    assert_eq!(store.state(KIND, KEY).await.unwrap().unwrap().revision, 2);
    assert_eq!(keeper.shop().state().sold_out, names(&["boba"]));
}

#[tokio::test]
async fn what_cannot_be_saved_is_not_obeyed() {
    let dir = tempfile::tempdir().unwrap();
    let store = json(dir.path()).await;
    let (keeper, events) = keeper(&store, now()).await;
    keeper.change(sold_out(&["boba"])).await.unwrap();
    let mut feed = events.subscribe(Audience::Staff, None);
    // Nothing can be written where a file stands in the place of a folder.
    let folder = dir.path().join("state");
    std::fs::rename(&folder, dir.path().join("aside")).unwrap();
    std::fs::write(&folder, "").unwrap();
    let refused = keeper.change(sold_out(&[])).await.unwrap_err();
    assert!(matches!(refused, KeepError::NotSaved(_)), "{refused}");
    assert_eq!(keeper.shop().state().sold_out, names(&["boba"]));
    assert!(futures_util::poll!(std::pin::pin!(feed.next())).is_pending(), "nobody was told");
    std::fs::remove_file(&folder).unwrap();
    std::fs::rename(dir.path().join("aside"), &folder).unwrap();
    keeper.change(sold_out(&[])).await.unwrap();
    assert_eq!(*keeper.shop().state(), ShopState::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_changes_at_once_none_is_lost_and_the_last_is_obeyed() {
    let dir = tempfile::tempdir().unwrap();
    let store = json(dir.path()).await;
    let (one, events) = keeper(&store, now()).await;
    let (other, _) = keeper(&store, now()).await;
    let mut feed = events.subscribe(Audience::Staff, None);
    let pauses = (0..16).map(|n| {
        let keeper = if n % 2 == 0 { &one } else { &other };
        keeper.change(pause(Some(Paused::Until(later(n + 1)))))
    });
    let (changed, sold) = futures_util::join!(futures_util::future::join_all(pauses), one.change(sold_out(&["boba"])));
    sold.unwrap();
    changed.into_iter().for_each(|changed| drop(changed.unwrap()));
    let kept = store.state(KIND, KEY).await.unwrap().unwrap();
    assert_eq!(kept.revision, 17, "each was saved");
    let state: ShopState = serde_json::from_value(kept.value).unwrap();
    assert_eq!(state.sold_out, names(&["boba"]), "whoever pauses does not undo what is sold out");
    // The one that did not make the last change learns of the other's with its next.
    let last = one.change(Change::default()).await.unwrap();
    assert_eq!((&last, &*one.shop().state()), (&state, &state));
    let mut ended = None;
    loop {
        let next = tokio::time::timeout(std::time::Duration::from_secs(10), feed.next()).await.expect("told");
        let Delivery::Event(_, json) = next else { panic!("nothing was missed") };
        let event: serde_json::Value = serde_json::from_str(&json).unwrap();
        if event["type"] == "ordering_paused" {
            ended = event["paused_until"].as_str().map(str::to_owned);
        }
        if ended == state.paused.and_then(Paused::end).map(|end| end.to_string()) {
            break;
        }
    }
}

#[tokio::test]
async fn a_state_that_is_none_of_ours_does_not_keep_the_shop_closed() {
    let dir = tempfile::tempdir().unwrap();
    let store = json(dir.path()).await;
    store.set_state(KIND, KEY, &serde_json::json!({"paused_until": 7}), 0).await.unwrap();
    let (keeper, _) = keeper(&store, now()).await;
    assert_eq!(*keeper.shop().state(), ShopState::default());
    let state = keeper.change(sold_out(&["boba"])).await.unwrap();
    assert_eq!(state.sold_out, names(&["boba"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_switch_is_of_one_option_whatever_others_say_of_others() {
    let dir = tempfile::tempdir().unwrap();
    let store = json(dir.path()).await;
    let (one, _) = keeper(&store, now()).await;
    let (other, _) = keeper(&store, now()).await;
    let options = ["boba", "egg pudding", "crystal agar boba", "vanilla cream", "taro milk tea", "black milk tea"];
    one.change(sold_out(&options[..3])).await.unwrap();
    let names_of = options.map(SoldOut::from);
    let switches = names_of.iter().enumerate().map(|(n, name)| {
        let keeper = if n % 2 == 0 { &one } else { &other };
        // What was sold out is there again, and the other way round.
        keeper.switch(name, n >= 3)
    });
    let (switched, paused) =
        futures_util::join!(futures_util::future::join_all(switches), other.change(pause(Some(Paused::UntilResumed))));
    switched.into_iter().for_each(|switched| drop(switched.unwrap()));
    paused.unwrap();
    let kept: ShopState = serde_json::from_value(store.state(KIND, KEY).await.unwrap().unwrap().value).unwrap();
    assert_eq!(kept, ShopState { paused: Some(Paused::UntilResumed), sold_out: names(&options[3..]) });

    let state = one.switch(&SoldOut::from("toppings:boba"), true).await.unwrap();
    assert!(state.sold_out.contains(&SoldOut::from("boba")), "as the menu spells it");
    assert_eq!(one.switch(&SoldOut::from("boba"), true).await.unwrap(), state, "twice is once");
    let state = one.switch(&SoldOut::from("toppings:boba"), false).await.unwrap();
    assert_eq!(state, kept);
    for sold_out in [true, false] {
        let refused = one.switch(&SoldOut::from("oolong"), sold_out).await;
        assert!(matches!(refused, Err(KeepError::State(StateError::Unknown { .. }))), "{refused:?}");
    }
}
