use super::*;
use crate::config::OrdersConfig;
use crate::store::{self, Access};
use std::path::Path;

const HOUR: i64 = 3600;
const LIMITS: Limits = Limits { idle: SignedDuration::from_hours(12), whole: SignedDuration::from_hours(168), most: 3 };

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + seconds).unwrap()
}

async fn json(dir: &Path) -> Arc<dyn Store> {
    store::open(&OrdersConfig::json(dir), "main", Access::Write).await.expect("a folder of its own")
}

async fn open(store: &Arc<dyn Store>, now: Timestamp) -> Sessions {
    Sessions::open(Arc::clone(store), LIMITS, now).await.expect("readable")
}

async fn kept(store: &Arc<dyn Store>) -> usize {
    store.states(Some(KIND)).await.unwrap().len()
}

#[tokio::test]
async fn only_the_token_opens_and_the_store_does_not_know_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = json(dir.path()).await;
    let sessions = open(&store, at(0)).await;
    let token = sessions.begin(at(0)).await.unwrap();
    let other = sessions.begin(at(0)).await.unwrap();
    assert_eq!(token.expose().len(), 64);
    assert_ne!(token.expose(), other.expose());
    assert!(sessions.find(token.expose(), at(1)).is_some());
    let state = store.states(Some(KIND)).await.unwrap().remove(0);
    assert!(!format!("{state:?}").contains(token.expose()));
    let upper = token.expose().to_uppercase();
    for forged in ["", "0", &"0".repeat(64), &state.key, &upper, &token.expose()[1..], &format!("{}0", token.expose())]
    {
        assert!(sessions.find(forged, at(1)).is_none(), "{forged}");
    }
}

#[tokio::test]
async fn a_sign_in_ends_by_rest_and_in_the_end_whatever_happens() {
    let dir = tempfile::tempdir().unwrap();
    let store = json(dir.path()).await;
    let sessions = open(&store, at(0)).await;
    let (rests, works) = (sessions.begin(at(0)).await.unwrap(), sessions.begin(at(0)).await.unwrap());
    for hour in 1..12 {
        assert!(sessions.find(works.expose(), at(hour * HOUR)).is_some());
    }
    assert!(sessions.find(rests.expose(), at(12 * HOUR)).is_none());
    sessions.sweep(at(12 * HOUR), false).await.unwrap();
    assert_eq!(kept(&store).await, 1, "what has ended is forgotten");
    for hour in 12..168 {
        assert!(sessions.find(works.expose(), at(hour * HOUR)).is_some(), "{hour}");
    }
    assert!(sessions.find(works.expose(), at(168 * HOUR)).is_none());
    sessions.sweep(at(168 * HOUR), false).await.unwrap();
    assert_eq!(kept(&store).await, 0);
}

#[tokio::test]
async fn who_watches_is_not_idle_and_is_told_of_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let store = json(dir.path()).await;
    let sessions = open(&store, at(0)).await;
    let token = sessions.begin(at(0)).await.unwrap();
    let feed = tokio::spawn(sessions.find(token.expose(), at(0)).unwrap().ended());
    sessions.sweep(at(20 * HOUR), false).await.unwrap();
    assert!(sessions.find(token.expose(), at(21 * HOUR)).is_some() && !feed.is_finished());
    // Whoever looked away has rested from then on.
    let looked = sessions.find(token.expose(), at(21 * HOUR)).unwrap().ended();
    drop(looked);
    sessions.sweep(at(168 * HOUR), false).await.unwrap();
    feed.await.unwrap();
    assert!(sessions.find(token.expose(), at(168 * HOUR)).is_none());

    let token = sessions.begin(at(0)).await.unwrap();
    drop(sessions.find(token.expose(), at(0)).unwrap().ended());
    assert!(sessions.find(token.expose(), at(12 * HOUR)).is_none(), "a feed that is closed holds nothing up");
}

#[tokio::test]
async fn one_is_signed_out_or_all_are() {
    let dir = tempfile::tempdir().unwrap();
    let store = json(dir.path()).await;
    let sessions = open(&store, at(0)).await;
    let mut tokens = Vec::new();
    let mut feeds = Vec::new();
    for _ in 0..3 {
        let token = sessions.begin(at(0)).await.unwrap();
        feeds.push(tokio::spawn(sessions.find(token.expose(), at(0)).unwrap().ended()));
        tokens.push(token);
    }
    sessions.end([tokens[0].expose()]).await.unwrap();
    feeds.remove(0).await.unwrap();
    assert!(sessions.find(tokens[0].expose(), at(1)).is_none() && sessions.find(tokens[1].expose(), at(1)).is_some());
    assert!(!feeds[0].is_finished());
    sessions.end(["nobody's"]).await.unwrap();
    sessions.end_all().await.unwrap();
    for feed in feeds {
        feed.await.unwrap();
    }
    assert!(tokens.iter().all(|token| sessions.find(token.expose(), at(1)).is_none()));
    assert_eq!(kept(&store).await, 0);
}

#[tokio::test]
async fn the_least_used_makes_room() {
    let dir = tempfile::tempdir().unwrap();
    let store = json(dir.path()).await;
    let sessions = open(&store, at(0)).await;
    let mut tokens = Vec::new();
    for second in 0..3 {
        tokens.push(sessions.begin(at(second)).await.unwrap());
    }
    assert!(sessions.find(tokens[0].expose(), at(10)).is_some());
    tokens.push(sessions.begin(at(11)).await.unwrap());
    let live: Vec<bool> = tokens.iter().map(|token| sessions.find(token.expose(), at(12)).is_some()).collect();
    assert_eq!(live, [true, false, true, true]);
    assert_eq!(kept(&store).await, 3);
}

#[tokio::test]
async fn who_signs_in_is_in_though_the_one_that_made_room_cannot_be_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let store = json(dir.path()).await;
    let sessions = open(&store, at(0)).await;
    let first = sessions.begin(at(0)).await.unwrap();
    let file = dir.path().join("state").join(KIND).join(format!("{}.json", fingerprint(first.expose())));
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    for second in 1..4 {
        let token = sessions.begin(at(second)).await.unwrap();
        assert!(sessions.find(token.expose(), at(second)).is_some());
    }
    assert!(sessions.find(first.expose(), at(4)).is_none());
    assert!(sessions.sweep(at(4), false).await.is_err());
    std::fs::remove_dir(&file).unwrap();
    sessions.sweep(at(4), false).await.unwrap();
    assert_eq!(kept(&store).await, 3, "it was tried again");
}

#[tokio::test]
async fn a_restart_knows_who_is_signed_in_and_since_when_each_rests() {
    let dir = tempfile::tempdir().unwrap();
    let store = json(dir.path()).await;
    let sessions = open(&store, at(0)).await;
    let (works, rests) = (sessions.begin(at(0)).await.unwrap(), sessions.begin(at(0)).await.unwrap());
    assert!(sessions.find(works.expose(), at(240)).is_some());
    sessions.sweep(at(240), false).await.unwrap();
    let last_seen = async || {
        let key = fingerprint(works.expose());
        let value = store.state(KIND, &key).await.unwrap().unwrap().value;
        serde_json::from_value::<Kept>(value).unwrap().last_seen
    };
    assert_eq!(last_seen().await, at(0), "not for every use");
    assert!(sessions.find(works.expose(), at(11 * HOUR)).is_some());
    sessions.sweep(at(11 * HOUR), false).await.unwrap();
    assert_eq!(last_seen().await, at(11 * HOUR));
    assert!(sessions.find(works.expose(), at(11 * HOUR + 1)).is_some());
    sessions.sweep(at(11 * HOUR + 1), true).await.unwrap();
    assert_eq!(last_seen().await, at(11 * HOUR + 1), "a server that stops writes every use");

    store.set_state(KIND, "nonsense", &serde_json::json!({"created_at": 5}), 0).await.unwrap();
    let sessions = open(&store, at(13 * HOUR)).await;
    assert!(sessions.find(works.expose(), at(13 * HOUR)).is_some());
    assert!(sessions.find(rests.expose(), at(13 * HOUR)).is_none());
    assert_eq!(kept(&store).await, 1, "what ended meanwhile, and what is no sign-in, is gone");
}

#[tokio::test]
async fn what_another_server_has_ended_is_not_brought_back() {
    let dir = tempfile::tempdir().unwrap();
    let store = json(dir.path()).await;
    let sessions = open(&store, at(0)).await;
    let token = sessions.begin(at(0)).await.unwrap();
    let other = open(&store, at(0)).await;
    assert!(other.find(token.expose(), at(HOUR)).is_some());
    other.sweep(at(HOUR), false).await.unwrap();
    // Both have used it: the revision is the other one's, which is learned and no reason to sign anybody out.
    assert!(sessions.find(token.expose(), at(HOUR)).is_some());
    sessions.sweep(at(HOUR), false).await.unwrap();
    sessions.sweep(at(HOUR), false).await.unwrap();
    assert!(sessions.find(token.expose(), at(HOUR)).is_some());

    other.end([token.expose()]).await.unwrap();
    assert!(sessions.find(token.expose(), at(2 * HOUR)).is_some(), "it is learned with the next use that is written");
    sessions.sweep(at(2 * HOUR), false).await.unwrap();
    assert!(sessions.find(token.expose(), at(2 * HOUR)).is_none());
    assert_eq!(kept(&store).await, 0);
}
