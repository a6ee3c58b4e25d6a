use super::*;
use secrecy::ExposeSecret as _;
use std::collections::HashMap;

fn read(settings: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let map: HashMap<String, String> =
        settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Config::read(&|name| map.get(name).cloned())
}

fn named(result: Result<Config, ConfigError>) -> Vec<&'static str> {
    result.expect_err("a problem was expected").problems.iter().map(|problem| problem.name).collect()
}

#[test]
fn a_local_server_needs_only_the_key() {
    let config = read(&[("DEEPGRAM_API_KEY", "k")]).unwrap();
    assert_eq!(config.server.exposure, Exposure::Local);
    assert_eq!(config.telephone.voice_host, "127.0.0.1:8000");
    assert_eq!((config.telephone.ws_scheme, config.http_scheme()), ("ws", "http"));
    assert!(config.telephone.texts.is_none());
    assert_eq!(named(read(&[])), ["DEEPGRAM_API_KEY"]);
}

#[test]
fn a_public_server_names_all_that_it_lacks_at_once() {
    for (name, value) in [("BIND_ADDR", "0.0.0.0:8000"), ("BIND_ADDR", "192.0.2.1:80"), ("BIND_ADDR", "[::]:8000")] {
        let missing = named(read(&[(name, value)]));
        assert_eq!(missing, ["DEEPGRAM_API_KEY", "TWILIO_AUTH_TOKEN", "STAFF_PASSWORD", "VOICE_HOST"][..missing.len()]);
        assert!(missing.len() >= 3);
    }
    let behind_proxy = named(read(&[("VOICE_HOST", "Voice.Example.com")]));
    assert_eq!(behind_proxy, ["DEEPGRAM_API_KEY", "TWILIO_AUTH_TOKEN", "STAFF_PASSWORD"]);
    for host in ["localhost", "127.0.0.1:8000", "0.0.0.0:8000", "[::]"] {
        let public = [
            ("BIND_ADDR", "0.0.0.0:8000"),
            ("VOICE_HOST", host),
            ("DEEPGRAM_API_KEY", "k"),
            ("TWILIO_AUTH_TOKEN", "t"),
            ("STAFF_PASSWORD", "p"),
        ];
        assert_eq!(named(read(&public)), ["VOICE_HOST"], "{host}");
    }
}

#[test]
fn a_public_server_with_everything_starts() {
    let config = read(&[
        ("VOICE_HOST", "Voice.Example.com"),
        ("DEEPGRAM_API_KEY", "k"),
        ("TWILIO_AUTH_TOKEN", "t"),
        ("TWILIO_ACCOUNT_SID", "AC1"),
        ("TWILIO_FROM_E164", "+15550001111"),
        ("STAFF_PASSWORD", "p"),
    ])
    .unwrap();
    assert_eq!(config.server.exposure, Exposure::Public);
    assert_eq!((config.telephone.voice_host.as_str(), config.telephone.ws_scheme), ("voice.example.com", "wss"));
    assert_eq!(config.telephone.texts.expect("the former three").from, "+15550001111");
    assert!(!format!("{:?}", config.agent).contains("\"k\""), "a secret was printed");
}

#[test]
fn every_malformed_setting_is_named_with_what_is_expected() {
    let error = read(&[
        ("DEEPGRAM_API_KEY", "k"),
        ("BIND_ADDR", "8000"),
        ("VOICE_HOST", "https://voice.example.com/"),
        ("WS_SCHEME", "https"),
        ("AGENT_AUDIO", "mp3"),
        ("DG_AGENT_URL", "https://agent.example.com"),
        ("TWILIO_FROM_E164", "555-1234"),
        ("CLOSE_ON_PHRASE", "perhaps"),
        ("HANGUP_DELAY_MS", "-1"),
        ("PHONE_REGION", "USA"),
        ("SMS_COUNTRIES", "US;CA"),
        ("SHOP_ID", "../etc"),
        ("FINAL_CONFIRMATION", "sometimes"),
        ("MAX_CALLS", "0"),
        ("ORDER_MANAGER_TYPE", "mongodb"),
        ("LOG_FORMAT", "xml"),
    ])
    .expect_err("all of them are wrong");
    assert_eq!(error.problems.len(), 15, "{error}");
    let text = error.to_string();
    for problem in &error.problems {
        assert!(text.contains(problem.name), "{} is not named", problem.name);
        assert!(problem.message.contains("expected"), "{}", problem.message);
    }
}

#[test]
fn a_tape_needs_the_account_that_keeps_it() {
    let tape = |settings: &[(&str, &str)]| {
        let settings: Vec<_> =
            settings.iter().copied().chain([("DEEPGRAM_API_KEY", "k"), ("FALLBACK", "voicemail")]).collect();
        read(&settings).map(|config| config.line.fallback)
    };
    let (sid, token) = (("TWILIO_ACCOUNT_SID", "AC1"), ("TWILIO_AUTH_TOKEN", "sesame"));
    assert_eq!(tape(&[sid, token]).unwrap(), Fallback::Voicemail);
    for (settings, missing) in
        [(&[sid][..], &["TWILIO_AUTH_TOKEN"][..]), (&[token], &["TWILIO_ACCOUNT_SID"]), (&[], &[sid.0, token.0])]
    {
        let error = tape(settings).expect_err("nobody could listen to what is said");
        let named: Vec<_> = error.problems.iter().map(|problem| problem.name).collect();
        assert_eq!(named, missing, "{error}");
    }
}

#[test]
fn deliveries_are_off_until_they_are_configured() {
    let deliveries = |settings: &[(&str, &str)]| {
        let settings: Vec<_> = settings.iter().copied().chain([("DEEPGRAM_API_KEY", "k")]).collect();
        read(&settings).map(|config| config.deliveries)
    };
    let off = deliveries(&[("SHEETS_SPREADSHEET_ID", "1a-B_"), ("GOOGLE_SHEETS_CREDENTIALS", "{}")]).unwrap();
    assert!(off.sheets.is_none() && off.webhook.is_none());

    let on = deliveries(&[
        ("SHEETS_SYNC_ENABLED", "true"),
        ("SHEETS_SPREADSHEET_ID", "1a-B_"),
        ("GOOGLE_SHEETS_CREDENTIALS", "{}"),
        ("SHEETS_API_BASE", "http://127.0.0.1:9/"),
        ("WEBHOOK_URL", "https://example.com/hook"),
        ("WEBHOOK_SECRET", "sesame"),
    ])
    .unwrap();
    assert!(!format!("{on:?}").contains("sesame"), "a secret was printed");
    let (sheets, webhook) = (on.sheets.expect("on"), on.webhook.expect("on"));
    assert_eq!((sheets.spreadsheet_id.as_str(), sheets.sheet_name.as_str()), ("1a-B_", "Orders"));
    assert_eq!((sheets.api_base.as_str(), webhook.url.as_str()), ("http://127.0.0.1:9", "https://example.com/hook"));

    assert_eq!(
        named(read(&[("DEEPGRAM_API_KEY", "k"), ("SHEETS_SYNC_ENABLED", "true")])),
        ["SHEETS_SPREADSHEET_ID", "GOOGLE_SHEETS_CREDENTIALS"]
    );
    assert_eq!(named(read(&[("DEEPGRAM_API_KEY", "k"), ("WEBHOOK_URL", "https://example.com/")])), ["WEBHOOK_SECRET"]);
}

#[test]
fn customers_data_goes_only_where_nobody_reads_it_on_the_way() {
    for (name, good) in [
        ("SHEETS_API_BASE", "http://localhost:9"),
        ("WEBHOOK_URL", "http://[::1]:9/hook"),
        ("POS_URL", "https://till.example.com/tickets"),
        ("SQUARE_API_BASE", "https://connect.squareupsandbox.com/"),
    ] {
        let read = |value| read(&[("DEEPGRAM_API_KEY", "k"), ("WEBHOOK_SECRET", "s"), (name, value)]);
        assert!(read(good).is_ok(), "{good}");
        for bad in ["example.com/hook", "http://example.com/hook", "http://10.0.0.1/", "ftp://localhost/", "https://"] {
            assert_eq!(named(read(bad)), [name], "{bad}");
        }
    }
    let whole_address = "https://docs.google.com/spreadsheets/d/1a-B_/edit";
    assert_eq!(
        named(read(&[("DEEPGRAM_API_KEY", "k"), ("SHEETS_SPREADSHEET_ID", whole_address)])),
        ["SHEETS_SPREADSHEET_ID"]
    );
}

#[test]
fn a_point_of_sale_is_none_until_one_is_chosen_and_has_what_it_needs() {
    let pos = |settings: &[(&str, &str)]| {
        let settings: Vec<_> = settings.iter().copied().chain([("DEEPGRAM_API_KEY", "k")]).collect();
        read(&settings).map(|config| config.pos)
    };
    let http = [("POS_URL", "http://127.0.0.1:9/tickets"), ("POS_SECRET", "sesame")];
    let square = [("SQUARE_ACCESS_TOKEN", "sesame"), ("SQUARE_LOCATION_ID", "L88917AVBK2S5")];
    let all: Vec<_> = http.into_iter().chain(square).collect();
    assert!(matches!(pos(&all).unwrap(), PosConfig::None), "what is not chosen is not used");

    let with = |kind: &'static str, settings: &[(&'static str, &'static str)]| {
        let settings: Vec<_> = settings.iter().copied().chain([("POINT_OF_SALE", kind)]).collect();
        pos(&settings)
    };
    let played = with("simulated", &[("POS_DELAY_MS", "0"), ("POS_FAILURE_PERCENT", "100")]).unwrap();
    let PosConfig::Simulated(played) = played else { panic!("{played:?}") };
    assert_eq!((played.delay, played.failure_percent), (Duration::ZERO, 100));
    let posted = with("http", &http).unwrap();
    assert!(!format!("{posted:?}").contains("sesame"), "a secret was printed");
    assert!(matches!(posted, PosConfig::Http(http) if http.url == "http://127.0.0.1:9/tickets"));
    let pushed = with("square", &square).unwrap();
    assert!(!format!("{pushed:?}").contains("sesame"), "a secret was printed");
    assert!(matches!(pushed, PosConfig::Square(square) if square.api_base == "https://connect.squareup.com"));

    let missing = |kind, settings: &[(&'static str, &'static str)]| {
        let error = with(kind, settings).expect_err("something is missing");
        error.problems.iter().map(|problem| problem.name).collect::<Vec<_>>()
    };
    assert_eq!(missing("http", &http[..1]), ["POS_SECRET"]);
    assert_eq!(missing("http", &[]), ["POS_URL", "POS_SECRET"]);
    assert_eq!(missing("http", &[("POS_URL", "http://10.0.0.1/"), http[1]]), ["POS_URL"], "told once");
    assert_eq!(missing("square", &square[1..]), ["SQUARE_ACCESS_TOKEN"]);
    assert_eq!(missing("square", &[]), ["SQUARE_ACCESS_TOKEN", "SQUARE_LOCATION_ID"]);
    assert_eq!(missing("square", &[square[0], ("SQUARE_LOCATION_ID", "../v2")]), ["SQUARE_LOCATION_ID"]);
    assert_eq!(missing("toast", &[]), ["POINT_OF_SALE"]);
    for (name, value) in [("POS_FAILURE_PERCENT", "101"), ("POS_FAILURE_PERCENT", "-1"), ("POS_DELAY_MS", "3 s")] {
        assert_eq!(missing("none", &[(name, value)]), [name], "wrong, though nobody uses it");
    }
}

#[test]
fn tables_are_open_for_a_while_and_the_street_is_asked_in_only_on_request() {
    let tables = |settings: &[(&str, &str)]| {
        let settings: Vec<_> = settings.iter().copied().chain([("DEEPGRAM_API_KEY", "k")]).collect();
        read(&settings).map(|config| config.tables)
    };
    let usual = tables(&[]).unwrap();
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    assert_eq!((usual.order_ahead, usual.open, usual.idle), (false, minutes(20), minutes(180)));
    let chosen =
        tables(&[("ORDER_AHEAD", "true"), ("TABLE_OPEN_MINUTES", "1"), ("TABLE_IDLE_MINUTES", "1440")]).unwrap();
    assert_eq!((chosen.order_ahead, chosen.open, chosen.idle), (true, minutes(1), minutes(1440)));
    for (name, value) in [("TABLE_OPEN_MINUTES", "0"), ("TABLE_IDLE_MINUTES", "4"), ("ORDER_AHEAD", "maybe")] {
        let error = tables(&[(name, value)]).expect_err("out of range");
        assert_eq!(error.problems.iter().map(|problem| problem.name).collect::<Vec<_>>(), [name]);
    }
}

#[test]
fn a_secret_may_come_from_a_file_and_a_missing_file_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    std::fs::write(&path, "from-file\n").unwrap();
    let config = read(&[("DEEPGRAM_API_KEY_FILE", path.to_str().unwrap())]).unwrap();
    assert_eq!(config.agent.api_key.expose_secret(), "from-file");
    let error = read(&[("DEEPGRAM_API_KEY_FILE", "/nowhere/key")]).expect_err("no such file");
    assert_eq!(error.problems.len(), 1);
    assert!(error.to_string().contains("DEEPGRAM_API_KEY_FILE"), "{error}");
}

#[test]
fn an_empty_value_means_the_default() {
    let config = read(&[("DEEPGRAM_API_KEY", "k"), ("SHOP_ID", ""), ("MAX_CALLS", " ")]).unwrap();
    assert_eq!((config.shop.id.as_str(), config.line.max_calls), ("main", 40));
}

#[test]
fn hosts_are_told_apart() {
    for host in ["localhost", "LOCALHOST:1", "127.0.0.1", "127.8.9.1:80", "[::1]:80", "[::1]"] {
        assert!(is_loopback_host(host), "{host}");
    }
    for host in ["voice.example.com", "10.0.0.1:80", "localhost.example.com", "127.0.0.1.example.com", "[::]:80"] {
        assert!(!is_loopback_host(host), "{host}");
    }
}
