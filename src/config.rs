//! Every setting, typed, read once through a look-up function; an error names the variable and what is expected.
//!
//! Knows no other room: what a phone number or a menu is, is checked by those who own the words.

mod groups;
mod pos;
mod reader;
mod settings;

use groups::{
    read_agent, read_bind, read_deliveries, read_line, read_log, read_orders, read_screens, read_server, read_shop,
    read_tables, read_telephone, require_what_exposure_needs,
};
use ipnet::IpNet;
use pos::read_pos;
pub use pos::{HttpPosConfig, PosConfig, SimulatedPosConfig, SquareConfig};
use reader::Reader;
pub use reader::{ConfigError, Lookup, Problem};
use secrecy::SecretString;
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
    /// What keeps a call going, and what ends it.
    pub line: LineConfig,
    /// Where orders are kept.
    pub orders: OrdersConfig,
    /// What is told to the outside, beside texts.
    pub deliveries: DeliveriesConfig,
    /// Whom an order has to pass before it is received.
    pub pos: PosConfig,
    /// Guests who order from their own telephones.
    pub tables: TablesConfig,
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
}

/// What keeps a call going, and what ends it.
#[derive(Clone, Debug)]
pub struct LineConfig {
    /// Calls at once.
    pub max_calls: usize,
    /// Calls of one caller within an hour.
    pub calls_per_hour: u32,
    /// Longest call.
    pub max_call: Duration,
    /// A caller who is silent for so long is asked whether they are there.
    pub caller_idle: Duration,
    /// A line that makes sounds for so long without a pause, and without anything coming of it, is no caller's.
    pub max_talk: Duration,
    /// An agent's session is renewed in a pause once it is so old.
    pub agent_session: Duration,
    /// What callers get whom no agent can serve.
    pub fallback: Fallback,
    /// How long a server that is asked to stop lets calls go on.
    pub drain: Duration,
    /// What is kept of a call that has ended.
    pub records: CallRecords,
}

/// What callers get whom no agent can serve; a sentence says why in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fallback {
    /// They are put through to `TRANSFER_NUMBER`.
    Transfer,
    /// They may leave a message.
    Voicemail,
    /// Only the sentence.
    Sentence,
}

/// What is kept of a call that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CallRecords {
    /// Nothing.
    Nothing,
    /// What happened when, without a word of what was said.
    Timeline,
    /// That, and what both sides said.
    Transcript,
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

/// Guests who order from their own telephones, at a table or ahead.
#[derive(Clone, Debug)]
pub struct TablesConfig {
    /// Whether `/menu` takes orders of whoever opens it.
    pub order_ahead: bool,
    /// Whoever scans a table's code within this time of the first joins without being asked for anything.
    pub open: Duration,
    /// A session that nobody uses for so long ends.
    pub idle: Duration,
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
        let line = read_line(&mut reader, &telephone);
        let exposure = if server_bind.ip().is_loopback() && is_loopback_host(&telephone.voice_host) {
            Exposure::Local
        } else {
            Exposure::Public
        };
        let config = Self {
            agent: read_agent(&mut reader),
            shop: read_shop(&mut reader),
            line,
            orders: read_orders(&mut reader),
            deliveries: read_deliveries(&mut reader),
            pos: read_pos(&mut reader),
            tables: read_tables(&mut reader),
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
