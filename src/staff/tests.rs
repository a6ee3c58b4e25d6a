use super::*;
use crate::config::{Config, OrdersConfig};
use crate::store::{self, Access};
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};

/// A door in virtual time. Another one on the same folder is a restart.
struct Door {
    staff: Staff,
    store: Arc<dyn Store>,
    now: Arc<AtomicI64>,
}

impl Door {
    async fn open(dir: &Path, settings: &[(&str, &str)]) -> Self {
        let config = Config::read(&|name| {
            let given = settings.iter().find(|(setting, _)| *setting == name).map(|(_, value)| (*value).to_owned());
            given.or_else(|| (name == "DEEPGRAM_API_KEY" || name == "TWILIO_AUTH_TOKEN").then(|| "key".to_owned()))
        });
        let config = config.expect("settings").server;
        let password = config.staff_password.as_ref().map(|setting| Password::parse(setting).expect("usable"));
        let store = store::open(&OrdersConfig::json(dir), "main", Access::Write).await.expect("a folder");
        let now = Arc::new(AtomicI64::new(1_700_000_000));
        let shown = Arc::clone(&now);
        let clock = move || Timestamp::from_second(shown.load(Ordering::Relaxed)).expect("an instant");
        let staff = Staff::open(&config, password, Arc::clone(&store), clock).await.expect("a door");
        Self { staff, store, now }
    }

    async fn try_from(&self, from: &str, password: &str) -> Result<Token, SignInError> {
        self.try_as(Visit::new(from.parse().expect("an address")), password).await.map(|welcome| welcome.token)
    }

    async fn try_as(&self, visit: Visit<'_>, password: &str) -> Result<Welcome, SignInError> {
        self.staff.sign_in(SecretString::from(password), visit).await
    }
}

const PUBLIC: [(&str, &str); 2] = [("STAFF_PASSWORD", "sesame"), ("VOICE_HOST", "shop.example")];

#[tokio::test]
async fn an_address_that_guesses_is_shut_out_even_with_the_right_password() {
    let dir = tempfile::tempdir().unwrap();
    let door = Door::open(dir.path(), &PUBLIC).await;
    for _ in 0..5 {
        assert!(matches!(door.try_from("127.0.0.1", "guess").await, Err(SignInError::Wrong)));
    }
    for password in ["guess", "sesame"] {
        let told = door.try_from("127.0.0.1", password).await.err();
        assert!(matches!(told, Some(SignInError::TooMany(TooMany { retry_after: 60..=61 }))), "{told:?}");
    }
    // Nobody else suffers, and time heals.
    assert!(door.try_from("192.0.2.1", "sesame").await.is_ok());
    door.now.fetch_add(61, Ordering::Relaxed);
    assert!(door.try_from("127.0.0.1", "sesame").await.is_ok());
    for _ in 0..20 {
        assert!(door.try_from("127.0.0.1", "sesame").await.is_ok(), "what is right is not counted");
    }
}

#[tokio::test]
async fn a_local_server_lets_its_own_machine_guess() {
    let dir = tempfile::tempdir().unwrap();
    let door = Door::open(dir.path(), &[("STAFF_PASSWORD", "sesame")]).await;
    for _ in 0..8 {
        assert!(matches!(door.try_from("::ffff:127.0.0.1", "guess").await, Err(SignInError::Wrong)));
    }
    assert!(door.try_from("::1", "sesame").await.is_ok());
}

#[tokio::test]
async fn a_restart_keeps_sign_ins_and_another_password_ends_them() {
    let dir = tempfile::tempdir().unwrap();
    let door = Door::open(dir.path(), &PUBLIC).await;
    let token = door.try_from("192.0.2.1", "sesame").await.expect("signed in");
    let kept = door.store.states(None).await.unwrap();
    assert!(!format!("{kept:?}").contains("sesame"), "{kept:?}");
    drop(door);

    let door = Door::open(dir.path(), &PUBLIC).await;
    assert!(door.staff.signed(token.expose()).is_some());
    drop(door);

    let changed = [("STAFF_PASSWORD", "tahini"), ("VOICE_HOST", "shop.example")];
    let door = Door::open(dir.path(), &changed).await;
    assert!(door.staff.signed(token.expose()).is_none());
    drop(door);
    let door = Door::open(dir.path(), &PUBLIC).await;
    assert!(door.staff.signed(token.expose()).is_none(), "it has not come back with the old password");
}

/// With these sign-ins before.
fn replacing<'a>(tokens: &[&'a str]) -> Visit<'a> {
    Visit { replaced: tokens.to_vec(), ..Visit::new("192.0.2.1".parse().expect("an address")) }
}

#[tokio::test]
async fn signing_in_again_ends_the_sign_ins_before() {
    let dir = tempfile::tempdir().unwrap();
    let door = Door::open(dir.path(), &PUBLIC).await;
    let first = door.try_from("192.0.2.1", "sesame").await.expect("signed in");
    let second = door.try_from("192.0.2.1", "sesame").await.expect("signed in");
    // A token that somebody has made up becomes nobody's.
    let forged = "f".repeat(64);
    let visit = replacing(&[first.expose(), &forged, second.expose()]);
    let third = door.try_as(visit, "sesame").await.expect("signed in").token;
    assert_ne!(third.expose(), forged);
    assert!(door.staff.signed(third.expose()).is_some());
    for token in [first.expose(), second.expose(), &forged] {
        assert!(door.staff.signed(token).is_none());
    }
}

#[tokio::test]
async fn who_signs_in_is_in_though_the_sign_in_before_cannot_be_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let door = Door::open(dir.path(), &PUBLIC).await;
    let first = door.try_from("192.0.2.1", "sesame").await.expect("signed in");
    let file = format!("state/staff_session/{}.json", fingerprint(first.expose()));
    std::fs::remove_file(dir.path().join(&file)).expect("it is kept there");
    std::fs::create_dir(dir.path().join(&file)).expect("what cannot be removed as a file");
    assert!(door.staff.sign_out([first.expose()]).await.is_err(), "here it is told");
    let second = door.try_as(replacing(&[first.expose()]), "sesame").await.expect("signed in").token;
    assert!(door.staff.signed(second.expose()).is_some() && door.staff.signed(first.expose()).is_none());
}

#[tokio::test]
async fn strangers_keep_no_device_out_that_staff_have_used_until_the_password_changes() {
    let dir = tempfile::tempdir().unwrap();
    let door = Door::open(dir.path(), &PUBLIC).await;
    let here: IpAddr = "192.0.2.1".parse().expect("an address");
    let tablet = door.try_as(Visit::new(here), "sesame").await.expect("signed in").device;
    for _ in 0..5 {
        assert!(door.try_from("192.0.2.1", "guess").await.is_err());
    }
    let with = |devices: &[&'static str]| Visit { devices: devices.to_vec(), ..Visit::new(here) };
    for word in ["", "sesame", "forged"] {
        let told = door.try_as(with(&[word]), "sesame").await.err();
        assert!(matches!(told, Some(SignInError::TooMany(_))), "{told:?}");
    }
    let by_tablet = || Visit { devices: vec!["forged", &tablet], ..Visit::new(here) };
    for _ in 0..3 {
        let again = door.try_as(by_tablet(), "sesame").await.expect("signed in");
        assert_eq!(again.device, tablet, "it stays the same device");
    }
    // It may slip as often as anybody, and is no way to guess on.
    for _ in 0..5 {
        assert!(matches!(door.try_as(by_tablet(), "guess").await, Err(SignInError::Wrong)));
    }
    assert!(matches!(door.try_as(by_tablet(), "sesame").await, Err(SignInError::TooMany(_))));
    door.now.fetch_add(61, Ordering::Relaxed);
    assert!(door.try_as(by_tablet(), "sesame").await.is_ok());
    assert!(door.staff.signed(&tablet).is_none(), "it opens nothing");
    drop(door);

    let known = async |settings: &[(&str, &str)], password: &str| {
        let door = Door::open(dir.path(), settings).await;
        for _ in 0..5 {
            assert!(door.try_from("192.0.2.1", "guess").await.is_err());
        }
        door.try_as(by_tablet(), password).await.is_ok()
    };
    assert!(known(&PUBLIC, "sesame").await, "a restart knows it");
    assert!(!known(&[("STAFF_PASSWORD", "tahini"), ("VOICE_HOST", "shop.example")], "tahini").await);
    assert!(!known(&PUBLIC, "sesame").await, "not with the old password either");
}

#[tokio::test]
async fn without_a_password_nobody_signs_in() {
    let dir = tempfile::tempdir().unwrap();
    let door = Door::open(dir.path(), &[]).await;
    assert!(!door.staff.has_password());
    assert!(matches!(door.try_from("127.0.0.1", "").await, Err(SignInError::Wrong)));
}
