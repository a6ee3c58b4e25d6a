//! Every setting, typed, read once through a look-up function; an error names the variable and what is expected.
//!
//! Knows no other room: what a phone number or a menu is, is checked by those who own the words.

mod reader;
mod settings;

use ipnet::IpNet;
use reader::Reader;
pub use reader::{ConfigError, Lookup, Problem};
use secrecy::{ExposeSecret, SecretString};
pub use settings::{SETTINGS, Setting};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// The whole configuration, by concern.
#[derive(Clone, Debug)]
pub struct Config {
    /// The voice agent.
    pub agent: AgentConfig,
    /// The phone side.
    pub telephone: TelephoneConfig,
    /// The shop's own choices.
    pub shop: ShopConfig,
    /// Where orders are kept.
    pub orders: OrdersConfig,
    /// What is told to the outside, beside texts.
    pub deliveries: DeliveriesConfig,
    /// The console and the TV.
    pub screens: ScreensConfig,
    /// The HTTP server.
    pub server: ServerConfig,
    /// Logs.
    pub log: LogConfig,
}

/// Deepgram's voice agent.
#[derive(Clone, Debug)]
pub struct AgentConfig {
    /// `Authorization: Token …`.
    pub api_key: SecretString,
    /// `ws://` or `wss://`.
    pub url: String,
    /// BCP 47 tag, such as `en`.
    pub language: String,
    /// Speech to text.
    pub stt_model: String,
    /// Language model.
    pub think_model: String,
    /// Deepgram's name of the model's provider; none: told from the model's name.
    pub think_provider: Option<String>,
    /// Text to speech.
    pub tts_model: String,
    /// Replaces the menu's greeting.
    pub greeting: Option<String>,
    /// The text of `AGENT_PROMPT_FILE`: replaces the built-in prompt.
    pub prompt: Option<String>,
    /// What is sent and received as audio.
    pub audio: AudioChoice,
}

/// The agent leg's audio.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AudioChoice {
    /// 48 kHz up, 24 kHz down, 16 bits.
    Linear16,
    /// µ-law 8 kHz both ways: frames pass through.
    Mulaw,
}

/// Twilio and the words around a call.
#[derive(Clone, Debug)]
pub struct TelephoneConfig {
    /// The account of the called number, for REST calls on the phone call itself.
    pub account_sid: Option<String>,
    /// Proves webhooks, and authorizes REST.
    pub auth_token: Option<SecretString>,
    /// The number that customers dial.
    pub number: Option<String>,
    /// The account that texts; none unless all three parts are known.
    pub texts: Option<TextAccount>,
    /// Proves status callbacks of texts.
    pub texts_auth_token: Option<SecretString>,
    /// REST base URL, no trailing slash.
    pub api_base: String,
    /// Host, and port where there is one, in lower case, that Twilio signs and dials.
    pub voice_host: String,
    /// `ws` or `wss`.
    pub ws_scheme: &'static str,
    /// Ends the call when the agent's text holds it (folded); none when switched off.
    pub closing_phrase: Option<String>,
    /// Silence after the goodbye.
    pub hangup_delay: Duration,
    /// E.164.
    pub transfer_number: Option<String>,
    /// Two upper-case letters.
    pub region: String,
    /// Two upper-case letters each.
    pub sms_countries: Vec<String>,
}

/// Credentials for sending texts.
#[derive(Clone, Debug)]
pub struct TextAccount {
    /// `AC…`.
    pub account_sid: String,
    /// Its primary token.
    pub auth_token: SecretString,
    /// E.164 sender.
    pub from: String,
}

/// What the shop chose.
#[derive(Clone, Debug)]
pub struct ShopConfig {
    /// Part of every order id.
    pub id: String,
    /// None: the built-in boba menu.
    pub menu_file: Option<PathBuf>,
    /// False: no orders are taken.
    pub ordering_enabled: bool,
    /// `always`, `multi_item` or `never`.
    pub final_confirmation: FinalConfirmationChoice,
    /// After this a ready order counts as picked up.
    pub ready_for: Duration,
    /// Calls at once.
    pub max_calls: usize,
    /// Longest call.
    pub max_call: Duration,
}

/// When a yes to the whole order is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinalConfirmationChoice {
    /// For every order.
    Always,
    /// Not for one line that was just confirmed.
    MultiItem,
    /// Each line's own yes is enough.
    Never,
}

/// The order store.
#[derive(Clone, Debug)]
pub struct OrdersConfig {
    /// Which store.
    pub kind: StoreKind,
    /// Folder of the json store.
    pub dir: PathBuf,
    /// File of the sqlite store.
    pub sqlite_path: PathBuf,
    /// The dynamodb store.
    pub dynamodb: DynamodbConfig,
    /// The original's wipe.
    pub clear_on_start: bool,
    /// After so many days the customer's data is erased from closed orders; none: never.
    pub retention_days: Option<u32>,
}

impl OrdersConfig {
    /// The json store in a folder, and nothing else.
    pub fn json(dir: impl Into<PathBuf>) -> Self {
        let dir = dir.into();
        Self {
            kind: StoreKind::Json,
            sqlite_path: dir.join("orders.db"),
            dir,
            dynamodb: DynamodbConfig::default(),
            clear_on_start: false,
            retention_days: None,
        }
    }
}

/// Where orders can be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreKind {
    /// One file an order.
    Json,
    /// One SQLite database.
    Sqlite,
    /// Amazon DynamoDB.
    Dynamodb,
}

impl StoreKind {
    /// As `ORDER_MANAGER_TYPE` names it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Sqlite => "sqlite",
            Self::Dynamodb => "dynamodb",
        }
    }
}

impl FromStr for StoreKind {
    type Err = UnknownStore;

    fn from_str(text: &str) -> Result<Self, UnknownStore> {
        let known = [Self::Json, Self::Sqlite, Self::Dynamodb];
        known.into_iter().find(|kind| kind.as_str() == text).ok_or(UnknownStore)
    }
}

/// No store has that name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected json, sqlite or dynamodb")]
pub struct UnknownStore;

/// Amazon DynamoDB. Credentials come from the environment, as AWS's own tools have them.
#[derive(Clone, Debug, Default)]
pub struct DynamodbConfig {
    /// The table's name.
    pub table: String,
    /// AWS region; none: as AWS's own tools find it.
    pub region: Option<String>,
    /// Another endpoint than AWS's own, for an emulator.
    pub endpoint: Option<String>,
}

/// Deliveries beside texts, each off unless it is configured.
#[derive(Clone, Debug)]
pub struct DeliveriesConfig {
    /// Orders as rows of a spreadsheet.
    pub sheets: Option<SheetsConfig>,
    /// Signed notices of orders.
    pub webhook: Option<WebhookConfig>,
}

/// A sheet of a Google spreadsheet.
#[derive(Clone, Debug)]
pub struct SheetsConfig {
    /// As in the spreadsheet's address.
    pub spreadsheet_id: String,
    /// The sheet's name, as people read it.
    pub sheet_name: String,
    /// A service account's key file, as JSON that has not been looked into.
    pub credentials: SecretString,
    /// Base URL, no trailing slash; `http` only to this machine.
    pub api_base: String,
}

/// Where orders are told to.
#[derive(Clone, Debug)]
pub struct WebhookConfig {
    /// `https`, or `http` to this machine.
    pub url: String,
    /// Signs every notice.
    pub secret: SecretString,
}

/// The HTTP server.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// Where to listen.
    pub bind: SocketAddr,
    /// Who can reach it, by the rules for what it then needs.
    pub exposure: Exposure,
    /// Opens the sign-in: the password itself, or its argon2 hash in PHC form.
    pub staff_password: Option<SecretString>,
    /// A sign-in that nobody uses for so long ends.
    pub staff_idle: Duration,
    /// The longest that a sign-in lasts.
    pub staff_session: Duration,
    /// Opens staff routes as a bearer token.
    pub api_key: Option<SecretString>,
    /// Makes the TV's link; none: the TV is open to anyone.
    pub tv_token: Option<SecretString>,
    /// Whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Requests a second from one address.
    pub request_rate: u32,
    /// Live feeds at once.
    pub max_feeds: usize,
}

/// What the console and the TV show.
#[derive(Clone, Debug)]
pub struct ScreensConfig {
    /// First names on the TV.
    pub tv_names: bool,
    /// A ready order leaves the TV after so long.
    pub tv_ready: Duration,
    /// From this age on an order's age is amber.
    pub amber_after: Duration,
    /// From this age on it is red.
    pub red_after: Duration,
    /// Whether staff may read along what is said in a call.
    pub call_transcripts: bool,
}

/// Whether strangers can reach the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exposure {
    /// `BIND_ADDR` or the host in `VOICE_HOST` is not loopback.
    Public,
    /// Both are loopback.
    Local,
}

/// How logs are written.
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// A filter of `tracing-subscriber`.
    pub filter: String,
    /// One JSON object a line.
    pub json: bool,
}

impl Config {
    /// Reads all settings, or tells every one that is missing or malformed.
    pub fn read(lookup: Lookup<'_>) -> Result<Self, ConfigError> {
        let (config, problems) = Self::read_anyway(lookup);
        if problems.is_empty() { Ok(config) } else { Err(ConfigError { problems }) }
    }

    /// Reads all settings, with the default of each that is missing or malformed, and tells which those are: for looking
    /// for further problems. Nothing may be started with it unless there are none.
    pub fn read_anyway(lookup: Lookup<'_>) -> (Self, Vec<Problem>) {
        let mut reader = Reader::new(lookup);
        let server_bind = read_bind(&mut reader);
        let telephone = read_telephone(&mut reader, server_bind);
        let exposure = if server_bind.ip().is_loopback() && is_loopback_host(&telephone.voice_host) {
            Exposure::Local
        } else {
            Exposure::Public
        };
        let config = Self {
            agent: read_agent(&mut reader),
            shop: read_shop(&mut reader),
            orders: read_orders(&mut reader),
            deliveries: read_deliveries(&mut reader),
            server: read_server(&mut reader, server_bind, exposure),
            screens: read_screens(&mut reader),
            log: read_log(&mut reader),
            telephone,
        };
        require_what_exposure_needs(&mut reader, &config);
        (config, reader.problems)
    }

    /// `http` or `https`, as the outside sees this server.
    pub fn http_scheme(&self) -> &'static str {
        if self.telephone.ws_scheme == "ws" { "http" } else { "https" }
    }
}

/// Whether a host (with or without a port) names this machine only.
pub fn is_loopback_host(host: &str) -> bool {
    let host = without_port(host);
    host.eq_ignore_ascii_case("localhost") || parse_ip(host).is_some_and(|ip| ip.is_loopback())
}

fn require_what_exposure_needs(reader: &mut Reader<'_>, config: &Config) {
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

fn read_agent(reader: &mut Reader<'_>) -> AgentConfig {
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

fn read_bind(reader: &mut Reader<'_>) -> SocketAddr {
    reader
        .parsed("BIND_ADDR", "an address and a port, such as 127.0.0.1:8000", |text| {
            text.replace("localhost:", "127.0.0.1:").parse().ok()
        })
        .unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 8000)))
}

fn read_telephone(reader: &mut Reader<'_>, bind: SocketAddr) -> TelephoneConfig {
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

fn read_shop(reader: &mut Reader<'_>) -> ShopConfig {
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
        max_calls: reader.number("MAX_CALLS", 40, 1..=10_000) as usize,
        max_call: Duration::from_secs(reader.number("MAX_CALL_SECONDS", 900, 30..=7_000)),
    }
}

fn read_orders(reader: &mut Reader<'_>) -> OrdersConfig {
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

fn read_deliveries(reader: &mut Reader<'_>) -> DeliveriesConfig {
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
fn private_url(reader: &mut Reader<'_>, name: &'static str) -> Option<String> {
    reader.parsed(name, "an https:// URL, or an http:// one of this machine", |text| {
        let url = reqwest::Url::parse(text).ok()?;
        let safe = url.scheme() == "https" || (url.scheme() == "http" && is_loopback_host(url.host_str()?));
        (safe && url.has_host()).then(|| text.to_owned())
    })
}

fn read_server(reader: &mut Reader<'_>, bind: SocketAddr, exposure: Exposure) -> ServerConfig {
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

fn read_screens(reader: &mut Reader<'_>) -> ScreensConfig {
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

fn read_log(reader: &mut Reader<'_>) -> LogConfig {
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

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.ends_with(':') => name,
        _ => host,
    }
}

fn parse_ip(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

#[cfg(test)]
mod tests;
