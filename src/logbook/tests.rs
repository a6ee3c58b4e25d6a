use super::*;
use crate::config::OrdersConfig;
use crate::store::silent::SilentStore;
use crate::store::{self, Access};
use serde_json::json;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_704_067_200 + second).expect("a valid instant")
}

fn record(call_sid: &str, second: i64) -> CallRecord {
    let head = Head {
        call_sid: call_sid.to_owned(),
        began_at: at(second),
        duration_ms: 61_500,
        end_reason: "goodbye".to_owned(),
        replies: 4,
        barge_ins: 1,
        tools: 3,
        slow_tools: 0,
        redials: 0,
        order_number: Some("4782".to_owned()),
        has_transcript: true,
    };
    let done = Entry {
        at_ms: 900,
        what: "tool_done".into(),
        tool: Some("get_cart".into()),
        outcome: Some("ok".into()),
        took_ms: Some(12),
        ..Entry::default()
    };
    let said = Said { at_ms: 100, who: "caller".to_owned(), text: "Taro tea, \"please\".".to_owned() };
    CallRecord { head, timeline: vec![done], timeline_cut: false, transcript: Some(vec![said]), transcript_cut: false }
}

async fn store(dir: &tempfile::TempDir) -> Arc<dyn Store> {
    store::open(&OrdersConfig::json(dir.path()), "main", Access::Write).await.expect("a store")
}

fn sids(heads: &[Head]) -> Vec<&str> {
    heads.iter().map(|head| head.call_sid.as_str()).collect()
}

#[tokio::test]
async fn what_is_kept_is_read_again_after_a_restart() {
    let dir = tempfile::tempdir().expect("a folder");
    let kept = record("CA1", 0);
    {
        let logbook = Logbook::open(store(&dir).await).await.expect("it opens");
        logbook.keep(&kept).await.expect("it is kept");
        assert_eq!(logbook.read("CA1").await.expect("readable"), Some(kept.clone()));
    }
    let store = store(&dir).await;
    store.set_state(KIND, "CA9", &json!({"record": "{\"half\":"}), 0).await.expect("a damaged one");
    store.set_state(KIND, "CA8", &json!({"record": json!(kept).to_string()}), 0).await.expect("another's");
    let logbook = Logbook::open(store).await.expect("a damaged record keeps nothing from opening");
    assert_eq!(logbook.list(None, 10), (vec![kept.head.clone()], None));
    assert_eq!(logbook.read("CA1").await.expect("readable"), Some(kept));
    for nothing in ["CA2", "CA9", "CA8", "", "../CA1", "CA 1"] {
        assert_eq!(logbook.read(nothing).await.expect("readable"), None, "{nothing}");
    }
}

#[tokio::test]
async fn a_list_is_newest_first_and_goes_on_where_it_ended() {
    let dir = tempfile::tempdir().expect("a folder");
    let logbook = Logbook::open(store(&dir).await).await.expect("it opens");
    for (call_sid, second) in [("CA2", 5), ("CA1", 5), ("CA3", 1), ("CA4", 9)] {
        logbook.keep(&record(call_sid, second)).await.expect("it is kept");
    }
    let (first, next) = logbook.list(None, 2);
    assert_eq!(sids(&first), ["CA4", "CA2"]);
    let next = next.expect("there are more");
    assert_eq!(Place::parse(&next.to_text()).as_ref(), Some(&next));
    logbook.keep(&record("CA5", 20)).await.expect("one more comes meanwhile");
    let (second, end) = logbook.list(Some(&next), 2);
    assert_eq!((sids(&second), end), (vec!["CA1", "CA3"], None));

    logbook.keep(&record("CA3", 30)).await.expect("a call that comes twice");
    assert_eq!(sids(&logbook.list(None, 10).0), ["CA3", "CA5", "CA4", "CA2", "CA1"], "stands there once");
    for no_place in
        ["", "#CA1", "1#CA1", "0000000000000000000x#CA1", "00000000000000000001#", "00000000000000000001#C A"]
    {
        assert_eq!(Place::parse(no_place), None, "{no_place}");
    }
}

#[tokio::test]
async fn what_is_old_or_somebodys_who_is_forgotten_is_erased() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = store(&dir).await;
    let logbook = Logbook::open(Arc::clone(&store)).await.expect("it opens");
    let day = 24 * 60 * 60;
    for (call_sid, second) in [("CA1", 0), ("CA2", day - 1), ("CA3", day), ("CA4", day + 1)] {
        logbook.keep(&record(call_sid, second)).await.expect("it is kept");
    }
    assert_eq!(logbook.erase_old(30, at(31 * day)).await.expect("erased"), 3);
    assert_eq!(logbook.erase_old(30, at(31 * day)).await.expect("nothing left to do"), 0);
    let left: Vec<String> =
        store.states(Some(KIND)).await.expect("readable").into_iter().map(|kept| kept.key).collect();
    assert_eq!(left, ["CA4"]);
    let nobodys = ["CA1".to_owned(), "no such".to_owned()];
    assert_eq!(logbook.forget(&nobodys).await.expect("nothing to erase"), 0);
    assert_eq!(logbook.forget(&["CA4".to_owned()]).await.expect("erased"), 1);
    assert_eq!(logbook.list(None, 10), (vec![], None));
    assert_eq!(store.states(Some(KIND)).await.expect("readable"), []);
}

#[tokio::test]
async fn a_call_without_a_name_is_not_kept_and_no_fault() {
    let dir = tempfile::tempdir().expect("a folder");
    let logbook = Logbook::open(store(&dir).await).await.expect("it opens");
    logbook.keep(&record("../../etc", 0)).await.expect("it is passed over");
    assert_eq!(logbook.list(None, 10), (vec![], None));
}

/// Whoever gives up waiting leaves the store to it: the place is taken until the store is done.
#[tokio::test]
async fn a_store_that_hangs_is_given_few_records_at_once() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = SilentStore::over(store(&dir).await);
    let logbook = Logbook::open(store.clone()).await.expect("it opens");
    let keep = |n: usize| {
        let logbook = logbook.clone();
        tokio::spawn(async move { logbook.keep(&record(&format!("CA{n}"), n as i64)).await })
    };
    let settled = async || {
        for _ in 0..1000 {
            tokio::task::yield_now().await;
        }
        store.hanging()
    };
    store.hang(true);
    let given_up: Vec<_> = (0..100).map(keep).collect();
    assert_eq!(settled().await, AT_ONCE);
    given_up.iter().for_each(tokio::task::JoinHandle::abort);
    let waiting: Vec<_> = (100..110).map(keep).collect();
    assert_eq!(settled().await, AT_ONCE, "the store has not done those that it had");
    store.hang(false);
    for kept in waiting {
        kept.await.expect("no panic").expect("it is kept");
    }
    assert_eq!(logbook.list(None, 500).0.len(), AT_ONCE + 10, "those that the store had were kept as well");
}

#[tokio::test]
async fn what_cannot_be_read_is_kept_no_longer_than_the_rest() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = store(&dir).await;
    let day = 24 * 60 * 60;
    let whose = |second| json!({"began_at": at(second), "timeline": "of another make"}).to_string();
    for (key, value) in [
        ("CA1", json!({"record": "{\"half\":"})),
        ("CA2", json!({"record": whose(0)})),
        ("CA3", json!({"record": whose(2 * day)})),
        ("CA4", json!("no record at all")),
        ("CA5", json!({"record": json!(record("CA1", 0)).to_string()})),
    ] {
        store.set_state(KIND, key, &value, 0).await.expect("a damaged one");
    }
    store.set_state("voicemail", "CA6", &json!("another room's"), 0).await.expect("kept");
    let logbook = Logbook::open(Arc::clone(&store)).await.expect("it opens");
    logbook.keep(&record("CA7", 2 * day)).await.expect("it is kept");
    assert_eq!(logbook.erase_old(30, at(31 * day)).await.expect("erased"), 4);
    let mut left: Vec<String> = store.states(None).await.expect("readable").into_iter().map(|kept| kept.key).collect();
    left.sort();
    assert_eq!(left, ["CA3", "CA6", "CA7"], "by age where that can be told");
    assert_eq!(logbook.erase_old(30, at(32 * day)).await.expect("erased"), 2);
}

#[test]
fn a_record_of_an_earlier_version_is_read() {
    let text = json!({"call_sid": "CA1", "began_at": at(0)}).to_string();
    let state = State { kind: KIND.to_owned(), key: "CA1".to_owned(), value: json!({"record": text}), revision: 1 };
    let read = from_state(state).expect("a record");
    assert_eq!((read.head.began_at, read.head.replies, read.timeline.len()), (at(0), 0, 0));
    assert_eq!((read.head.order_number, read.transcript), (None, None));
}
