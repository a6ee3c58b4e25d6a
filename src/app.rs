//! Builds every part from the configuration and runs them: the only place that knows them all.

mod daily;

use crate::call::{CallSettings, Calls, LiveCalls};
use crate::config::{
    Config, ConfigError, Exposure, FinalConfirmationChoice, Lookup, Problem, SheetsConfig, WebhookConfig,
};
use crate::deepgram::line::{AgentLine, DialError};
use crate::deepgram::message::ClientMessage;
use crate::deepgram::prompt::{PromptError, agent_audio, opening_settings};
use crate::events::EventLog;
use crate::order_service::{Clock, OrderService, Owes, Rules, TextPolicy};
use crate::ordering::cart::FinalConfirmation;
use crate::ordering::menu::Menu;
use crate::ordering::phone_number::{self, Region};
use crate::outbox::{Credentials, Outbox, Pace, SenderError, Senders, SheetsSender, SmsSender, WebhookSender};
use crate::shop::{Shop, ShopKeeper};
use crate::store::{self, Access, StoreError, migration};
use crate::tools::{self, Toolbox};
use crate::twilio::rest::{BadBase, RestClient};
use crate::web;
use crate::web::health::Health;
use crate::web::pages::ShopCard;
use crate::web::staff::StaffDoor;
use axum::Router;
use axum::serve::ListenerExt as _;
use jiff::SignedDuration;
use secrecy::{ExposeSecret as _, SecretString};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long calls, requests and deliveries may take to end when the server stops: a little more than they give
/// themselves.
const STOP_LIMIT: Duration = Duration::from_secs(12);

/// Why the server cannot start. Each names the setting to look at.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// Settings are wrong in what they mean.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The orders' folder cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Somebody began to copy orders into this store and has not finished.
    #[error(
        "the orders are the unfinished copy of {0}; finish it with `bobarista orders migrate`, or set ORDER_MANAGER_TYPE \
         to what was used before"
    )]
    HalfCopied(String),
    /// The agent cannot be dialled.
    #[error("the agent cannot be dialled: {0}")]
    Agent(#[from] DialError),
    /// Twilio's API cannot be reached that way.
    #[error("TWILIO_API_BASE: {0}")]
    TwilioBase(#[from] BadBase),
    /// The spreadsheet cannot be written to that way.
    #[error("SHEETS_API_BASE: {0}")]
    Sheets(#[source] SenderError),
    /// The webhook cannot be reached that way.
    #[error("WEBHOOK_URL: {0}")]
    Webhook(#[source] SenderError),
    /// No HTTP client could be made.
    #[error("no HTTP client could be made: {0}")]
    Http(#[from] reqwest::Error),
}

/// A server, built and not yet listening.
pub struct App {
    routes: Router,
    outbox: Outbox,
    orders: OrderService,
    shop: Shop,
    live: LiveCalls,
    retention_days: Option<u32>,
    tasks: TaskTracker,
    shutdown: CancellationToken,
}

/// Which kind of server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The real thing.
    Production,
    /// Orders are marked as a demo's, and can be made up.
    Demo,
}

/// Reads all settings and what they name, or tells every one that is wrong – in one message.
pub fn read_config(lookup: Lookup<'_>) -> Result<Config, ConfigError> {
    let (config, mut problems) = Config::read_anyway(lookup);
    for problem in validate(&config) {
        if !problems.iter().any(|told| told.name == problem.name) {
            problems.push(problem);
        }
    }
    if problems.is_empty() { Ok(config) } else { Err(ConfigError { problems }) }
}

/// What is wrong with settings that take more than themselves to understand: the menu, countries, what the agent is told
/// to be. Starts nothing and touches no order.
pub fn validate(config: &Config) -> Vec<Problem> {
    Understood::new(config).err().unwrap_or_default()
}

/// The menu that the configuration names, or the built-in one.
pub fn load_menu(config: &Config) -> Result<Menu, ConfigError> {
    menu(config).map_err(|problem| ConfigError { problems: vec![problem] })
}

fn menu(config: &Config) -> Result<Menu, Problem> {
    let parse = |text: &str| {
        Menu::parse(text).map_err(|error| problem("MENU_FILE", format!("names a menu with a flaw: {error}")))
    };
    match &config.shop.menu_file {
        Some(path) => match std::fs::read_to_string(path) {
            Ok(text) => parse(&text),
            Err(error) => Err(problem("MENU_FILE", format!("cannot be read: {}: {error}", path.display()))),
        },
        None => parse(include_str!("../menus/boba.toml")),
    }
}

/// What the settings mean to the rooms that they are for.
struct Understood {
    menu: Arc<Menu>,
    region: Region,
    sms_countries: Vec<Region>,
    /// The agent's opening settings, as JSON.
    agent_settings: String,
    agent: AgentLine,
    /// Who writes to the spreadsheet, where there is one.
    sheets: Option<Credentials>,
}

impl Understood {
    fn new(config: &Config) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let menu = note(&mut problems, menu(config)).map(Arc::new);
        let region = note(&mut problems, country("PHONE_REGION", &config.telephone.region));
        // Where only the region is given it is the country that is texted, and would be told twice.
        let countries =
            config.telephone.sms_countries.iter().filter(|code| **code != config.telephone.region || region.is_some());
        let countries: Result<Vec<Region>, Problem> = countries.map(|code| country("SMS_COUNTRIES", code)).collect();
        let sms_countries = note(&mut problems, countries);
        let agent_settings = menu.as_ref().and_then(|menu| note(&mut problems, agent_settings(config, menu)));
        let line = AgentLine::new(&config.agent.url, &config.agent.api_key);
        let agent =
            note(&mut problems, line.map_err(|error| problem("DG_AGENT_URL", format!("cannot be dialled: {error}"))));
        let sheets = note(&mut problems, sheets_credentials(config));
        match (menu, region, sms_countries, agent_settings, agent, sheets) {
            (Some(menu), Some(region), Some(sms_countries), Some(agent_settings), Some(agent), Some(sheets)) => {
                Ok(Self { menu, region, sms_countries, agent_settings, agent, sheets })
            }
            _ => Err(problems),
        }
    }
}

fn note<T>(problems: &mut Vec<Problem>, result: Result<T, Problem>) -> Option<T> {
    result.map_err(|problem| problems.push(problem)).ok()
}

fn problem(name: &'static str, message: String) -> Problem {
    Problem { name, message }
}

fn agent_settings(config: &Config, menu: &Menu) -> Result<String, Problem> {
    let specs = tools::specs(menu, config.telephone.transfer_number.is_some());
    let settings = opening_settings(&config.agent, menu, specs).map_err(|error| match error {
        PromptError::UnknownProvider(_) => problem("AGENT_THINK_PROVIDER", error.to_string()),
        PromptError::TooLong(_) => {
            let name = if config.agent.prompt.is_some() { "AGENT_PROMPT_FILE" } else { "MENU_FILE" };
            problem(name, error.to_string())
        }
    })?;
    Ok(ClientMessage::Settings(Box::new(settings)).to_json())
}

/// Who writes to the spreadsheet, where there is one.
fn sheets_credentials(config: &Config) -> Result<Option<Credentials>, Problem> {
    let parse = |sheets: &SheetsConfig| Credentials::parse(sheets.credentials.expose_secret());
    let parsed = config.deliveries.sheets.as_ref().map(parse).transpose();
    parsed.map_err(|error| problem("GOOGLE_SHEETS_CREDENTIALS", error.to_string()))
}

impl App {
    /// Builds all parts; takes the orders' folder. Cancelling `shutdown` ends what [`App::serve`] runs.
    pub async fn build(
        config: &Config,
        mode: Mode,
        clock: Clock,
        shutdown: CancellationToken,
    ) -> Result<Self, AppError> {
        // All that can be wrong is looked at before the store is opened: opening it may clear it.
        let understood = Understood::new(config).map_err(|problems| ConfigError { problems })?;
        let Understood { menu, region, sms_countries, agent_settings, agent, sheets } = understood;
        let http = http_client()?.build()?;
        let senders = senders(config, &http, sheets, &clock)?;
        let rest = voice_rest(config, &http)?;
        let tasks = TaskTracker::new();

        let store = store::open(&config.orders, &config.shop.id, Access::Write).await?;
        if let Some(source) = migration::unfinished(&*store).await? {
            return Err(AppError::HalfCopied(source));
        }
        let events = EventLog::new(clock.now());
        let rules = Rules {
            shop_id: config.shop.id.clone(),
            drinks_per_order: menu.limits().drinks_per_order,
            active_drinks_per_phone: menu.limits().active_drinks_per_phone,
            ready_for: SignedDuration::try_from(config.shop.ready_for).unwrap_or(SignedDuration::MAX),
            demo: mode == Mode::Demo,
        };
        let texts =
            TextPolicy { enabled: senders.sms.is_some(), countries: sms_countries, shop_name: menu.name().to_owned() };
        let owes = Owes { texts, sheet: senders.sheets.is_some(), webhook: senders.webhook.is_some() };
        let shop = Shop::new(Arc::clone(&menu), config.shop.ordering_enabled, events.clone());
        let now = {
            let clock = clock.clone();
            move || clock.now()
        };
        let keeper = ShopKeeper::open(shop.clone(), Arc::clone(&store), now, tasks.clone()).await?;
        let orders = OrderService::new(store, events.clone(), shop.clone(), rules, owes, clock, tasks.clone());

        let toolbox = Toolbox {
            orders: orders.clone(),
            shop: shop.clone(),
            region,
            final_confirmation: match config.shop.final_confirmation {
                FinalConfirmationChoice::Always => FinalConfirmation::Always,
                FinalConfirmationChoice::MultiItem => FinalConfirmation::MultiItem,
                FinalConfirmationChoice::Never => FinalConfirmation::Never,
            },
            can_transfer: config.telephone.transfer_number.is_some(),
        };
        let live = LiveCalls::new(events.clone());
        let calls = Calls::new(
            call_settings(config, &shop, &agent_settings),
            agent,
            toolbox,
            rest,
            live.clone(),
            tasks.clone(),
            shutdown.clone(),
        );

        let local = config.server.exposure == Exposure::Local;
        let door = StaffDoor::new(config.server.staff_password.clone(), config.server.api_key.clone(), local);
        let card = ShopCard { name: menu.name().to_owned(), phone: config.telephone.number.clone() };
        let described = web::orders::router(orders.clone(), shop.clone(), &door)
            .merge(web::people::router(orders.clone(), region, &door))
            .merge(web::deliveries::router(orders.clone(), &door))
            .merge(web::api::router(orders.clone(), keeper, region, &door));
        let health = Health::new(orders.clone(), shop.clone(), live.clone(), config.shop.max_calls, shutdown.clone());
        let mut routes = calls
            .router()
            .merge(web::pages::router(card, &door))
            .merge(health.router())
            .merge(web::live::router(events, &door, shutdown.clone()))
            .merge(web::api::document::serve(described, &menu, &config.shop.id));
        if mode == Mode::Demo {
            routes = routes.merge(web::seed::router(orders.clone(), shop.clone(), &door));
        }
        let routes = web::finish(routes, local);
        let outbox = Outbox::new(orders.clone(), senders, menu);
        let retention_days = config.orders.retention_days;
        Ok(Self { routes, outbox, orders, shop, live, retention_days, tasks, shutdown })
    }

    /// With another patience towards the services that deliveries go to.
    pub fn paced(self, pace: Pace) -> Self {
        Self { outbox: self.outbox.paced(pace), ..self }
    }

    /// The order service, for commands that run beside the server.
    pub fn orders(&self) -> OrderService {
        self.orders.clone()
    }

    /// The shop's own state.
    pub fn shop(&self) -> Shop {
        self.shop.clone()
    }

    /// The calls in progress.
    pub fn live_calls(&self) -> LiveCalls {
        self.live.clone()
    }

    /// The tasks that calls and changes run as.
    pub fn tasks(&self) -> TaskTracker {
        self.tasks.clone()
    }

    /// Serves until `shutdown` is cancelled, then ends feeds and calls, finishes requests, and lets deliveries under way
    /// finish.
    pub async fn serve(self, listener: TcpListener) -> std::io::Result<()> {
        // The first phone number costs a noticeable pause: not in somebody's call.
        let warm = tokio::task::spawn_blocking(phone_number::warm_up);
        let outbox = tokio::spawn(self.outbox.run(self.shutdown.clone()));
        let clock = self.orders.clone();
        let shop = tokio::spawn(self.shop.run(move || clock.now(), self.shutdown.clone()));
        let daily = tokio::spawn(daily::run(self.orders, self.retention_days, self.shutdown.clone()));
        let listener = listener.tap_io(|socket| {
            if let Err(error) = socket.set_nodelay(true) {
                tracing::debug!("a socket may delay its frames: {error}");
            }
        });
        let serving =
            axum::serve(listener, self.routes).with_graceful_shutdown(self.shutdown.clone().cancelled_owned());
        let bounded = async {
            self.shutdown.cancelled().await;
            tokio::time::sleep(STOP_LIMIT).await;
        };
        let served = tokio::select! {
            served = serving.into_future() => served,
            () = bounded => { tracing::warn!("some requests did not end in time"); Ok(()) }
        };
        self.shutdown.cancel();
        self.tasks.close();
        let ended = async {
            self.tasks.wait().await;
            // Their work is bounded by itself; a panic there has been logged by the runtime.
            let _ = tokio::join!(outbox, shop, daily, warm);
        };
        if tokio::time::timeout(STOP_LIMIT, ended).await.is_err() {
            tracing::warn!("some calls or deliveries did not end in time");
        }
        served
    }
}

fn call_settings(config: &Config, shop: &Shop, agent_settings: &str) -> CallSettings {
    let telephone = &config.telephone;
    CallSettings {
        auth_token: telephone.auth_token.clone(),
        texts_auth_token: telephone.texts_auth_token.clone(),
        http_scheme: config.http_scheme(),
        ws_scheme: telephone.ws_scheme,
        host: telephone.voice_host.clone(),
        shop: shop.clone(),
        transfer_number: telephone.transfer_number.clone(),
        number: telephone.number.clone(),
        max_calls: config.shop.max_calls,
        agent_settings: agent_settings.into(),
        audio: agent_audio(config.agent.audio),
        closing_phrase: telephone.closing_phrase.clone(),
        hangup_delay: telephone.hangup_delay,
        max_duration: config.shop.max_call,
    }
}

fn country(setting: &'static str, code: &str) -> Result<Region, Problem> {
    code.parse().map_err(|_| problem(setting, format!("names no country: {code}; expected two letters, such as US")))
}

/// TLS by rustls with ring, as on the agent leg: one TLS stack in the program.
fn http_client() -> Result<reqwest::ClientBuilder, AppError> {
    let tls = crate::deepgram::line::tls_config()?;
    Ok(reqwest::Client::builder().tls_backend_preconfigured(tls))
}

/// Whoever sends what orders owe, as far as each is configured.
fn senders(
    config: &Config,
    http: &reqwest::Client,
    credentials: Option<Credentials>,
    clock: &Clock,
) -> Result<Senders, AppError> {
    let now = || {
        let clock = clock.clone();
        move || clock.now()
    };
    let sheets = match config.deliveries.sheets.as_ref().zip(credentials) {
        Some((sheets, credentials)) => {
            Some(SheetsSender::new(http_client()?, sheets, credentials, now()).map_err(AppError::Sheets)?)
        }
        None => None,
    };
    let webhook = match &config.deliveries.webhook {
        Some(WebhookConfig { url, secret }) => {
            Some(WebhookSender::new(http_client()?, url, secret.clone(), now()).map_err(AppError::Webhook)?)
        }
        None => None,
    };
    Ok(Senders { sms: sms_sender(config, http)?, sheets, webhook })
}

fn sms_sender(config: &Config, http: &reqwest::Client) -> Result<Option<SmsSender>, AppError> {
    let Some(account) = &config.telephone.texts else { return Ok(None) };
    let rest = rest(config, http, &account.account_sid, &account.auth_token)?;
    // Twilio cannot reach a local server.
    let callback = (config.server.exposure == Exposure::Public)
        .then(|| format!("{}://{}/sms/status", config.http_scheme(), config.telephone.voice_host));
    Ok(Some(SmsSender::new(rest, account.from.clone(), callback)))
}

fn voice_rest(config: &Config, http: &reqwest::Client) -> Result<Option<RestClient>, AppError> {
    match (&config.telephone.account_sid, &config.telephone.auth_token) {
        (Some(sid), Some(token)) => Ok(Some(rest(config, http, sid, token)?)),
        _ => Ok(None),
    }
}

fn rest(config: &Config, http: &reqwest::Client, sid: &str, token: &SecretString) -> Result<RestClient, BadBase> {
    RestClient::new(http.clone(), &config.telephone.api_base, sid.to_owned(), token.clone())
}
