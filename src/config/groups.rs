//! What each group of settings may be: one function a group, which names every setting that it finds wrong.

use super::reader::Reader;
use super::{
    AgentConfig, AudioChoice, CallRecords, Config, DeliveriesConfig, DynamodbConfig, Exposure, Fallback,
    FinalConfirmationChoice, LineConfig, LogConfig, OrdersConfig, ScreensConfig, ServerConfig, SheetsConfig,
    ShopConfig, StoreKind, TablesConfig, TelephoneConfig, TextAccount, WebhookConfig, is_loopback_host, parse_ip,
    without_port,
};
use ipnet::IpNet;
use secrecy::{ExposeSecret, SecretString};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

pub(super) fn require_what_exposure_needs(reader: &mut Reader<'_>, config: &Config) {
    reader.need(
        "DEEPGRAM_API_KEY",
        !config.agent.api_key.expose_secret().is_empty(),
        "the key of a Deepgram project, from its console",
    );
    if config.server.exposure == Exposure::Public {
        let public = "a server that others can reach needs";
        reader.need(
            "TWILIO_AUTH_TOKEN",
            config.telephone.auth_token.is_some(),
            &format!("{public} the account's primary auth token, to tell Twilio from strangers"),
        );
        reader.need(
            "STAFF_PASSWORD",
            config.server.staff_password.is_some(),
            &format!("{public} a password for the barista's console"),
        );
        let host = without_port(&config.telephone.voice_host);
        let reachable = !is_loopback_host(host) && !parse_ip(host).is_some_and(|ip| ip.is_unspecified());
        reader.need(
            "VOICE_HOST",
            reachable,
            &format!("{public} the public host name that Twilio dials, such as voice.example.com"),
        );
    }
}

pub(super) fn read_agent(reader: &mut Reader<'_>) -> AgentConfig {
    let prompt = reader.text("AGENT_PROMPT_FILE").and_then(|path| match std::fs::read_to_string(&path) {
        Ok(text) if !text.trim().is_empty() => Some(text),
        Ok(_) => {
            reader.problem("AGENT_PROMPT_FILE", "names an empty file: expected the agent's prompt");
            None
        }
        Err(error) => {
            reader.problem("AGENT_PROMPT_FILE", format!("names a file that cannot be read ({error})"));
            None
        }
    });
    AgentConfig {
        api_key: reader.secret("DEEPGRAM_API_KEY").unwrap_or_else(|| SecretString::from("")),
        url: reader
            .parsed("DG_AGENT_URL", "a ws:// or wss:// URL", |text| {
                is_url(text, &["ws", "wss"]).then(|| text.to_owned())
            })
            .unwrap_or_else(|| "wss://agent.deepgram.com/v1/agent/converse".to_owned()),
        language: reader.text_or("AGENT_LANGUAGE", "en"),
        stt_model: reader.text_or("AGENT_STT_MODEL", "nova-3"),
        think_model: reader.text_or("AGENT_THINK_MODEL", "gemini-2.5-flash"),
        think_provider: reader.text("AGENT_THINK_PROVIDER"),
        tts_model: reader.text_or("AGENT_TTS_MODEL", "aura-2-odysseus-en"),
        greeting: reader.text("AGENT_GREETING"),
        prompt,
        audio: reader
            .parsed("AGENT_AUDIO", "linear16 or mulaw", |text| match text {
                "linear16" => Some(AudioChoice::Linear16),
                "mulaw" => Some(AudioChoice::Mulaw),
                _ => None,
            })
            .unwrap_or(AudioChoice::Linear16),
    }
}

pub(super) fn read_bind(reader: &mut Reader<'_>) -> SocketAddr {
    reader
        .parsed("BIND_ADDR", "an address and a port, such as 127.0.0.1:8000", |text| {
            text.replace("localhost:", "127.0.0.1:").parse().ok()
        })
        .unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 8000)))
}

pub(super) fn read_telephone(reader: &mut Reader<'_>, bind: SocketAddr) -> TelephoneConfig {
    const SID: &str = "an account SID, which begins with AC";
    const NUMBER: &str = "a phone number in E.164, such as +15551234567";
    let sid = |text: &str| text.starts_with("AC").then(|| text.to_owned());
    let number = |text: &str| is_e164(text).then(|| text.to_owned());

    let account_sid = reader.parsed("TWILIO_ACCOUNT_SID", SID, sid);
    let auth_token = reader.secret("TWILIO_AUTH_TOKEN");
    let own_number = reader.parsed("TWILIO_FROM_E164", NUMBER, number);
    let texts_sid = reader.parsed("MSG_TWILIO_ACCOUNT_SID", SID, sid).or_else(|| account_sid.clone());
    let texts_auth_token = reader.secret("MSG_TWILIO_AUTH_TOKEN").or_else(|| auth_token.clone());
    let texts_from = reader.parsed("MSG_TWILIO_FROM_E164", NUMBER, number).or_else(|| own_number.clone());
    let texts = match (texts_sid, texts_auth_token.clone(), texts_from) {
        (Some(account_sid), Some(auth_token), Some(from)) => Some(TextAccount { account_sid, auth_token, from }),
        _ => None,
    };

    let voice_host = reader
        .parsed(
            "VOICE_HOST",
            "a host name and perhaps a port, without scheme or path, such as voice.example.com",
            |text| is_host(text).then(|| text.to_ascii_lowercase()),
        )
        .unwrap_or_else(|| bind.to_string());
    let ws_scheme = reader
        .parsed("WS_SCHEME", "ws or wss", |text| match text {
            "ws" => Some("ws"),
            "wss" => Some("wss"),
            _ => None,
        })
        .unwrap_or(if is_loopback_host(&voice_host) { "ws" } else { "wss" });
    let close_on_phrase = reader.boolean("CLOSE_ON_PHRASE", true);
    let phrase = reader.text_or("CLOSING_PHRASE", "Goodbye!");
    let country = |text: &str| {
        let text = text.trim();
        (text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_alphabetic())).then(|| text.to_ascii_uppercase())
    };
    let region = reader
        .parsed("PHONE_REGION", "a country's two letters, such as US", country)
        .unwrap_or_else(|| "US".to_owned());
    TelephoneConfig {
        account_sid,
        auth_token,
        number: own_number,
        texts,
        texts_auth_token,
        api_base: reader
            .parsed("TWILIO_API_BASE", "an http:// or https:// URL", |text| {
                is_url(text, &["http", "https"]).then(|| text.trim_end_matches('/').to_owned())
            })
            .unwrap_or_else(|| "https://api.twilio.com".to_owned()),
        voice_host,
        ws_scheme,
        closing_phrase: close_on_phrase.then_some(phrase),
        hangup_delay: Duration::from_millis(reader.number("HANGUP_DELAY_MS", 300, 0..=10_000)),
        transfer_number: reader.parsed("TRANSFER_NUMBER", NUMBER, number),
        sms_countries: reader
            .parsed("SMS_COUNTRIES", "countries of two letters each, such as US,CA", |text| {
                text.split(',').map(country).collect::<Option<Vec<_>>>()
            })
            .unwrap_or_else(|| vec![region.clone()]),
        region,
    }
}

pub(super) fn read_shop(reader: &mut Reader<'_>) -> ShopConfig {
    ShopConfig {
        id: reader
            .parsed("SHOP_ID", "1 to 32 letters, digits, _ or -", |text| {
                let sane = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
                (sane && text.len() <= 32).then(|| text.to_owned())
            })
            .unwrap_or_else(|| "main".to_owned()),
        menu_file: reader.text("MENU_FILE").map(PathBuf::from),
        ordering_enabled: reader.boolean("ORDERING_ENABLED", true),
        final_confirmation: reader
            .parsed("FINAL_CONFIRMATION", "always, multi_item or never", |text| match text {
                "always" => Some(FinalConfirmationChoice::Always),
                "multi_item" => Some(FinalConfirmationChoice::MultiItem),
                "never" => Some(FinalConfirmationChoice::Never),
                _ => None,
            })
            .unwrap_or(FinalConfirmationChoice::MultiItem),
        ready_for: Duration::from_secs(3600 * reader.number("READY_HOURS", 12, 1..=168)),
    }
}

pub(super) fn read_line(reader: &mut Reader<'_>, telephone: &TelephoneConfig) -> LineConfig {
    let fallback = reader.parsed("FALLBACK", "transfer, voicemail or sentence", |text| match text {
        "transfer" => Some(Fallback::Transfer),
        "voicemail" => Some(Fallback::Voicemail),
        "sentence" => Some(Fallback::Sentence),
        _ => None,
    });
    if fallback == Some(Fallback::Transfer) {
        let why = "FALLBACK=transfer needs the number of a person";
        reader.need("TRANSFER_NUMBER", telephone.transfer_number.is_some(), why);
    }
    if fallback == Some(Fallback::Voicemail) {
        let why = "FALLBACK=voicemail needs the account whose recordings are played and deleted";
        reader.need("TWILIO_ACCOUNT_SID", telephone.account_sid.is_some(), why);
        reader.need("TWILIO_AUTH_TOKEN", telephone.auth_token.is_some(), why);
    }
    let usual = if telephone.transfer_number.is_some() { Fallback::Transfer } else { Fallback::Sentence };
    LineConfig {
        max_calls: reader.number("MAX_CALLS", 40, 1..=10_000) as usize,
        calls_per_hour: reader.number("CALLS_PER_HOUR", 20, 1..=10_000) as u32,
        max_call: Duration::from_secs(reader.number("MAX_CALL_SECONDS", 900, 30..=36_000)),
        caller_idle: Duration::from_secs(reader.number("CALLER_IDLE_SECONDS", 15, 5..=600)),
        max_talk: Duration::from_secs(reader.number("MAX_TALK_SECONDS", 180, 30..=3_600)),
        agent_session: Duration::from_secs(reader.number("AGENT_SESSION_SECONDS", 6_600, 60..=7_100)),
        fallback: fallback.unwrap_or(usual),
        drain: Duration::from_secs(reader.number("DRAIN_SECONDS", 300, 0..=36_000)),
        records: reader
            .parsed("CALL_RECORDS", "none, timeline or transcript", |text| match text {
                "none" => Some(CallRecords::Nothing),
                "timeline" => Some(CallRecords::Timeline),
                "transcript" => Some(CallRecords::Transcript),
                _ => None,
            })
            .unwrap_or(CallRecords::Timeline),
    }
}

pub(super) fn read_orders(reader: &mut Reader<'_>) -> OrdersConfig {
    let kind = reader.parsed("ORDER_MANAGER_TYPE", "json, sqlite or dynamodb", |text| text.parse().ok());
    let dir = PathBuf::from(reader.text_or("ORDERS_DIR", "orders"));
    OrdersConfig {
        kind: kind.unwrap_or(StoreKind::Json),
        sqlite_path: reader.text("SQLITE_PATH").map_or_else(|| dir.join("orders.db"), PathBuf::from),
        dir,
        dynamodb: DynamodbConfig {
            table: reader
                .parsed("DYNAMODB_TABLE", "3 to 255 letters, digits, _, - or .", |text| {
                    let sane = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
                    (sane && (3..=255).contains(&text.len())).then(|| text.to_owned())
                })
                .unwrap_or_else(|| "orders".to_owned()),
            region: reader.text("AWS_REGION"),
            endpoint: reader.parsed("AWS_ENDPOINT_URL", "an http:// or https:// URL", |text| {
                is_url(text, &["http", "https"]).then(|| text.to_owned())
            }),
        },
        clear_on_start: reader.boolean("CLEAR_ORDERS_ON_START", false),
        retention_days: Some(reader.number("RETENTION_DAYS", 30, 0..=36_500))
            .filter(|days| *days > 0)
            .map(|days| days as u32),
    }
}

pub(super) fn read_deliveries(reader: &mut Reader<'_>) -> DeliveriesConfig {
    let sheets_on = reader.boolean("SHEETS_SYNC_ENABLED", false);
    let spreadsheet_id = reader.parsed(
        "SHEETS_SPREADSHEET_ID",
        "letters, digits, _ and -, the part of the spreadsheet's address between /d/ and /edit",
        |text| {
            let sane = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
            sane.then(|| text.to_owned())
        },
    );
    let credentials = reader.secret("GOOGLE_SHEETS_CREDENTIALS");
    let sheet_name = reader.text_or("SHEETS_SHEET_NAME", "Orders");
    let api_base = private_url(reader, "SHEETS_API_BASE").map(|url| url.trim_end_matches('/').to_owned());
    if sheets_on {
        let why = "SHEETS_SYNC_ENABLED needs";
        reader.need("SHEETS_SPREADSHEET_ID", spreadsheet_id.is_some(), &format!("{why} a spreadsheet to write to"));
        let key = format!("{why} the key file (JSON) of a Google service account");
        reader.need("GOOGLE_SHEETS_CREDENTIALS", credentials.is_some(), &key);
    }
    let url = private_url(reader, "WEBHOOK_URL");
    let secret = reader.secret("WEBHOOK_SECRET");
    if url.is_some() {
        reader.need("WEBHOOK_SECRET", secret.is_some(), "what is sent to WEBHOOK_URL is signed with it");
    }
    DeliveriesConfig {
        sheets: spreadsheet_id.zip(credentials).filter(|_| sheets_on).map(|(spreadsheet_id, credentials)| {
            SheetsConfig {
                spreadsheet_id,
                sheet_name,
                credentials,
                api_base: api_base.unwrap_or_else(|| "https://sheets.googleapis.com".to_owned()),
            }
        }),
        webhook: url.zip(secret).map(|(url, secret)| WebhookConfig { url, secret }),
    }
}

/// A URL that customers' data is sent to: nobody on the way may read it.
pub(super) fn private_url(reader: &mut Reader<'_>, name: &'static str) -> Option<String> {
    reader.parsed(name, "an https:// URL, or an http:// one of this machine", |text| {
        let url = reqwest::Url::parse(text).ok()?;
        let safe = url.scheme() == "https" || (url.scheme() == "http" && is_loopback_host(url.host_str()?));
        (safe && url.has_host()).then(|| text.to_owned())
    })
}

pub(super) fn read_tables(reader: &mut Reader<'_>) -> TablesConfig {
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    TablesConfig {
        order_ahead: reader.boolean("ORDER_AHEAD", false),
        open: minutes(reader.number("TABLE_OPEN_MINUTES", 20, 1..=1440)),
        idle: minutes(reader.number("TABLE_IDLE_MINUTES", 180, 5..=1440)),
    }
}

pub(super) fn read_server(reader: &mut Reader<'_>, bind: SocketAddr, exposure: Exposure) -> ServerConfig {
    let hours = |hours: u64| Duration::from_secs(3600 * hours);
    ServerConfig {
        bind,
        exposure,
        staff_password: reader.secret("STAFF_PASSWORD"),
        staff_idle: hours(reader.number("STAFF_IDLE_HOURS", 12, 1..=720)),
        staff_session: hours(reader.number("STAFF_SESSION_HOURS", 168, 1..=8760)),
        api_key: reader.secret("API_KEY"),
        tv_token: read_tv_token(reader),
        trusted_proxies: reader
            .parsed("TRUSTED_PROXIES", "addresses or networks, such as 10.0.0.0/8,192.0.2.7", |text| {
                text.split(',').map(|one| network(one.trim())).collect()
            })
            .unwrap_or_else(|| ["127.0.0.0/8", "::1"].into_iter().filter_map(network).collect()),
        request_rate: reader.number("REQUEST_RATE", 50, 1..=100_000) as u32,
        max_feeds: reader.number("MAX_FEEDS", 1000, 1..=100_000) as usize,
    }
}

/// The TV's token stands in a link and is guessed from afar.
const TV_TOKEN_CHARS: usize = 16;

fn read_tv_token(reader: &mut Reader<'_>) -> Option<SecretString> {
    let token = reader.secret("TV_TOKEN")?;
    if token.expose_secret().chars().count() < TV_TOKEN_CHARS {
        reader.problem("TV_TOKEN", format!("is too short: expected {TV_TOKEN_CHARS} characters or more"));
    }
    Some(token)
}

fn network(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

pub(super) fn read_screens(reader: &mut Reader<'_>) -> ScreensConfig {
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    let (amber, red) = (reader.number("AMBER_MINUTES", 5, 1..=1440), reader.number("RED_MINUTES", 8, 1..=1440));
    if red < amber {
        reader.problem("RED_MINUTES", format!("is too small: expected AMBER_MINUTES ({amber}) or more"));
    }
    ScreensConfig {
        tv_names: reader.boolean("TV_NAMES", false),
        tv_ready: minutes(reader.number("TV_READY_MINUTES", 20, 1..=1440)),
        amber_after: minutes(amber),
        red_after: minutes(red),
        call_transcripts: reader.boolean("CALL_TRANSCRIPTS", false),
    }
}

pub(super) fn read_log(reader: &mut Reader<'_>) -> LogConfig {
    LogConfig {
        filter: reader
            .parsed("LOG_LEVEL", "error, warn, info, debug, trace, or a filter such as bobarista=debug", |text| {
                tracing_subscriber::EnvFilter::try_new(text).ok().map(|_| text.to_owned())
            })
            .unwrap_or_else(|| "info".to_owned()),
        json: reader
            .parsed("LOG_FORMAT", "text or json", |text| match text {
                "text" => Some(false),
                "json" => Some(true),
                _ => None,
            })
            .unwrap_or(false),
    }
}

fn is_e164(text: &str) -> bool {
    text.strip_prefix('+')
        .is_some_and(|digits| (7..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

fn is_url(text: &str, schemes: &[&str]) -> bool {
    reqwest::Url::parse(text).is_ok_and(|url| schemes.contains(&url.scheme()) && url.has_host())
}

/// A host with perhaps a port, and nothing else that a URL could hold.
fn is_host(text: &str) -> bool {
    reqwest::Url::parse(&format!("https://{text}/"))
        .is_ok_and(|url| url.has_host() && url.path() == "/" && url.query().is_none() && url.username().is_empty())
        && !text.contains(['/', '?', '#', '@', ' '])
}
