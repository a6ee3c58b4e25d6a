//! Builds every part from the configuration and runs them: the only place that knows them all.

mod counted;
mod daily;
mod drain;
mod outside;
mod photos;
mod tables;

pub use crate::call::Shutdown;
use crate::call::{CallSettings, Calls, LiveCalls, Notes, Services};
use crate::config::{Config, ConfigError, Exposure, FinalConfirmationChoice, Lookup, Problem, SheetsConfig};
use crate::deepgram::line::{AgentLine, DialError};
use crate::deepgram::prompt::{PromptError, agent_audio, opening_settings};
use crate::deepgram::settings::Opening;
use crate::events::EventLog;
use crate::logbook::Logbook;
use crate::metrics::Metrics;
use crate::order_service::{Clock, OrderService, Owes, Rules, TextPolicy};
use crate::ordering::cart::FinalConfirmation;
use crate::ordering::menu::Menu;
use crate::ordering::phone_number::{self, Region};
use crate::outbox::{Credentials, Outbox, Pace, SenderError};
use crate::pos::ConnectError;
use crate::shop::{Shop, ShopKeeper};
use crate::staff::{Password, Staff, TvLink};
use crate::store::{self, Access, StoreError, migration};
use crate::table::Tables;
use crate::tools::{self, Toolbox};
use crate::twilio::rest::BadBase;
use crate::voicemail::Voicemails;
use crate::web;
use crate::web::client::Clients;
use crate::web::console::Console;
use crate::web::cookies::Cookies;
use crate::web::health::Health;
use crate::web::limits::Limits;
use crate::web::metrics::Gauges;
use crate::web::pages::ShopCard;
use crate::web::photos::Photos;
use crate::web::places::FeedPlaces;
pub use crate::web::server::listen;
use crate::web::server::{self, Bounds};
use crate::web::staff::{Keys, StaffDoor};
use axum::Router;
use counted::{names, teller};
use jiff::SignedDuration;
use outside::{http_client, senders, voice_rest};
use secrecy::ExposeSecret as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
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
    /// The point of sale cannot be asked that way.
    #[error("POS_URL or SQUARE_API_BASE: {0}")]
    PointOfSale(#[source] ConnectError),
    /// No HTTP client could be made.
    #[error("no HTTP client could be made: {0}")]
    Http(#[from] reqwest::Error),
}

/// A server, built and not yet listening.
pub struct App {
    routes: Router,
    clients: Clients,
    bounds: Bounds,
    outbox: Outbox,
    orders: OrderService,
    logbook: Logbook,
    shop: Shop,
    staff: Staff,
    live: LiveCalls,
    calls: Calls,
    tables: Tables,
    voicemails: Voicemails,
    retention_days: Option<u32>,
    drain_limit: Duration,
    tasks: TaskTracker,
    shutdown: Shutdown,
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
    /// The menu's pictures.
    photos: Photos,
    region: Region,
    sms_countries: Vec<Region>,
    /// The agent's opening settings.
    opening: Opening,
    agent: AgentLine,
    /// Who writes to the spreadsheet, where there is one.
    sheets: Option<Credentials>,
    /// What staff sign in with, where it is needed.
    password: Option<Password>,
}

impl Understood {
    fn new(config: &Config) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let menu = note(&mut problems, menu(config)).map(Arc::new);
        let photos = menu.as_ref().and_then(|menu| note(&mut problems, photos::read(config, menu)));
        let region = note(&mut problems, country("PHONE_REGION", &config.telephone.region));
        // Where only the region is given it is the country that is texted, and would be told twice.
        let countries =
            config.telephone.sms_countries.iter().filter(|code| **code != config.telephone.region || region.is_some());
        let countries: Result<Vec<Region>, Problem> = countries.map(|code| country("SMS_COUNTRIES", code)).collect();
        let sms_countries = note(&mut problems, countries);
        let opening = menu.as_ref().and_then(|menu| note(&mut problems, opening(config, menu)));
        let line = AgentLine::new(&config.agent.url, &config.agent.api_key);
        let agent =
            note(&mut problems, line.map_err(|error| problem("DG_AGENT_URL", format!("cannot be dialled: {error}"))));
        let sheets = note(&mut problems, sheets_credentials(config));
        let password = note(&mut problems, staff_password(config));
        match (menu, photos, region, sms_countries, opening, agent, sheets, password) {
            (
                Some(menu),
                Some(photos),
                Some(region),
                Some(sms_countries),
                Some(opening),
                Some(agent),
                Some(sheets),
                Some(password),
            ) => Ok(Self { menu, photos, region, sms_countries, opening, agent, sheets, password }),
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

fn opening(config: &Config, menu: &Menu) -> Result<Opening, Problem> {
    let specs = tools::specs(menu, config.telephone.transfer_number.is_some());
    let settings = opening_settings(&config.agent, menu, specs).map_err(|error| match error {
        PromptError::UnknownProvider(_) => problem("AGENT_THINK_PROVIDER", error.to_string()),
        PromptError::TooLong(_) => {
            let name = if config.agent.prompt.is_some() { "AGENT_PROMPT_FILE" } else { "MENU_FILE" };
            problem(name, error.to_string())
        }
    })?;
    Ok(Opening::new(settings))
}

/// Who writes to the spreadsheet, where there is one.
fn sheets_credentials(config: &Config) -> Result<Option<Credentials>, Problem> {
    let parse = |sheets: &SheetsConfig| Credentials::parse(sheets.credentials.expose_secret());
    let parsed = config.deliveries.sheets.as_ref().map(parse).transpose();
    parsed.map_err(|error| problem("GOOGLE_SHEETS_CREDENTIALS", error.to_string()))
}

fn staff_password(config: &Config) -> Result<Option<Password>, Problem> {
    let parsed = config.server.staff_password.as_ref().map(Password::parse).transpose();
    parsed.map_err(|error| problem("STAFF_PASSWORD", error.to_string()))
}

impl App {
    /// Builds all parts; takes the orders' folder. `shutdown` ends what [`App::serve`] runs.
    pub async fn build(
        config: &Config,
        mode: Mode,
        clock: Clock,
        shutdown: impl Into<Shutdown>,
    ) -> Result<Self, AppError> {
        let shutdown = shutdown.into();
        // All that can be wrong is looked at before the store is opened: opening it may clear it.
        let understood = Understood::new(config).map_err(|problems| ConfigError { problems })?;
        let Understood { menu, photos, region, sms_countries, opening, agent, sheets, password } = understood;
        let http = http_client()?.build()?;
        let senders = senders(config, &http, sheets, &clock)?;
        let rest = voice_rest(config, &http)?;
        let tasks = TaskTracker::new();

        let store = store::open(&config.orders, &config.shop.id, Access::Write).await?;
        if let Some(source) = migration::unfinished(&*store).await? {
            return Err(AppError::HalfCopied(source));
        }
        let metrics = Metrics::new(&names(&menu));
        let events = EventLog::counted(clock.now(), teller(metrics.clone()));
        let rules = Rules {
            shop_id: config.shop.id.clone(),
            drinks_per_order: menu.limits().drinks_per_order,
            active_drinks_per_phone: menu.limits().active_drinks_per_phone,
            ready_for: SignedDuration::try_from(config.shop.ready_for).unwrap_or(SignedDuration::MAX),
            demo: mode == Mode::Demo,
            through_pos: senders.pos.is_some(),
        };
        let (texting, table_settings) =
            (senders.sms.is_some(), tables::settings(config, region, sms_countries.clone()));
        let texts = TextPolicy { enabled: texting, countries: sms_countries, shop_name: menu.name().to_owned() };
        let owes = Owes { texts, sheet: senders.sheets.is_some(), webhook: senders.webhook.is_some() };
        let shop = Shop::new(Arc::clone(&menu), config.shop.ordering_enabled, events.clone());
        let now = {
            let clock = clock.clone();
            move || clock.now()
        };
        let staff = Staff::open(&config.server, password, Arc::clone(&store), now.clone()).await?;
        let tv = match config.server.tv_token.clone() {
            Some(secret) => Some(TvLink::open(secret, Arc::clone(&store)).await?),
            None => None,
        };
        let keeper = ShopKeeper::open(shop.clone(), Arc::clone(&store), now, tasks.clone()).await?;
        let logbook = Logbook::open(Arc::clone(&store)).await?;
        let voicemails = Voicemails::new(Arc::clone(&store), rest.clone(), events.clone(), clock.clone());
        let kept = Arc::clone(&store);
        let orders = OrderService::new(store, events.clone(), shop.clone(), rules, owes, clock.clone(), tasks.clone());
        let stop = shutdown.stop.clone();
        let tables = Tables::open(table_settings, kept, orders.clone(), shop.clone(), &events, stop).await?;

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
        let live = LiveCalls::new(events.clone(), clock.clone(), config.screens.call_transcripts);
        let calls = Calls::new(
            call_settings(config, &shop, opening),
            Services {
                agent,
                tools: toolbox,
                rest,
                voicemails: voicemails.clone(),
                notes: Notes { metrics: metrics.clone(), logbook: logbook.clone() },
            },
            live.clone(),
            tasks.clone(),
            shutdown.clone(),
        );

        let local = config.server.exposure == Exposure::Local;
        let base = format!("{}://{}", config.http_scheme(), config.telephone.voice_host);
        let cookies = Cookies::new(config.http_scheme() == "https");
        let door = StaffDoor::new(Keys {
            staff: staff.clone(),
            staff_session: config.server.staff_session,
            api_key: config.server.api_key.clone(),
            tv: tv.map(|link| (link, base.clone())),
            local,
            cookies,
        });
        let clients = Clients::new(&config.server.trusted_proxies, local);
        let limits = Limits::new(clients.clone(), config.server.request_rate);
        let feeds = FeedPlaces::new(clients.clone(), config.server.max_feeds);
        let card = ShopCard { name: menu.name().to_owned(), phone: config.telephone.number.clone() };
        let console = Console {
            orders: orders.clone(),
            keeper: keeper.clone(),
            live: live.clone(),
            voicemails: voicemails.clone(),
            screens: config.screens.clone(),
        };
        let gauges = Gauges {
            metrics: metrics.clone(),
            orders: orders.clone(),
            live: live.clone(),
            feeds: feeds.clone(),
            tables: tables.clone(),
            door: door.clone(),
        };
        let guests = Arc::new(web::tables::Desk {
            tables: tables.clone(),
            shop: shop.clone(),
            clients: clients.clone(),
            cookies,
            texts: texting,
            base,
        });
        let described = web::orders::router(orders.clone(), shop.clone(), &config.screens, &door)
            .merge(web::console::router(console, &door))
            .merge(web::people::router(orders.clone(), logbook.clone(), voicemails.clone(), region, &door))
            .merge(web::calls::router(logbook.clone(), &door))
            .merge(web::metrics::router(gauges))
            .merge(web::deliveries::router(orders.clone(), &door))
            .merge(web::voicemails::router(voicemails.clone(), &door))
            .merge(web::tables::described(Arc::clone(&guests), &door))
            .merge(web::api::router(orders.clone(), keeper, region, &door));
        let draining = shutdown.drain.clone();
        let health = Health::new(orders.clone(), shop.clone(), live.clone(), config.line.max_calls, draining);
        let mut routes = calls
            .router()
            .merge(web::pages::router(card, &door))
            .merge(web::login::router(&door))
            .merge(web::tv::router(&door))
            .merge(web::calls::page(&door))
            .merge(web::photos::router(photos))
            .merge(web::tables::router(guests))
            .merge(health.router())
            .merge(web::live::router(events, live.clone(), feeds, &door, shutdown.stop.clone()))
            .merge(web::api::document::serve(described, &menu, &config.shop.id));
        if mode == Mode::Demo {
            routes = routes.merge(web::seed::router(orders.clone(), shop.clone(), &door));
        }
        let routes = web::metrics::counted(web::finish(routes, clients.clone(), limits), metrics.clone());
        let outbox = Outbox::new(orders.clone(), senders, menu)
            .counted(Arc::new(move |kind, outcome| metrics.delivery(kind, outcome)));
        Ok(Self {
            routes,
            clients,
            bounds: bounds(config),
            outbox,
            orders,
            logbook,
            shop,
            staff,
            live,
            calls,
            tables,
            voicemails,
            retention_days: config.orders.retention_days,
            drain_limit: config.line.drain,
            tasks,
            shutdown,
        })
    }

    /// With another patience towards the services that deliveries go to.
    pub fn paced(self, pace: Pace) -> Self {
        Self { outbox: self.outbox.paced(pace), ..self }
    }

    /// With other bounds for connections.
    pub fn bounded(mut self, change: impl FnOnce(&mut Bounds)) -> Self {
        change(&mut self.bounds);
        self
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

    /// Serves until it is asked to drain, and then until calls are over; or until it is told to stop. Then it ends feeds
    /// and what calls there are, finishes requests, and lets deliveries under way finish.
    pub async fn serve(self, listener: TcpListener) {
        let stop = self.shutdown.stop.clone();
        let drain = tokio::spawn(drain::run(self.calls, self.orders.clone(), self.drain_limit, self.shutdown));
        // The first phone number costs a noticeable pause: not in somebody's call.
        let warm = tokio::task::spawn_blocking(phone_number::warm_up);
        let outbox = tokio::spawn(self.outbox.run(stop.clone()));
        let clock = self.orders.clone();
        let shop = tokio::spawn(self.shop.run(move || clock.now(), stop.clone()));
        let staff = tokio::spawn(self.staff.run(stop.clone()));
        let tables = tokio::spawn(self.tables.run());
        let kept = daily::Kept { orders: self.orders, logbook: self.logbook, voicemails: self.voicemails };
        let daily = tokio::spawn(daily::run(kept, self.retention_days, stop.clone()));
        let serving = server::serve(listener, self.routes, self.clients, self.bounds, stop.clone());
        let bounded = async {
            stop.cancelled().await;
            tokio::time::sleep(STOP_LIMIT).await;
        };
        tokio::select! {
            () = serving => {}
            () = bounded => tracing::warn!("some requests did not end in time"),
        }
        stop.cancel();
        self.tasks.close();
        let ended = async {
            self.tasks.wait().await;
            // Their work is bounded by itself; a panic there has been logged by the runtime.
            let _ = tokio::join!(drain, outbox, shop, staff, tables, daily, warm);
        };
        if tokio::time::timeout(STOP_LIMIT, ended).await.is_err() {
            tracing::warn!("some calls or deliveries did not end in time");
        }
    }
}

/// Calls, feeds and guests' screens hold their connections, so they come on top of those that come and go. Twilio's calls come from few
/// addresses.
fn bounds(config: &Config) -> Bounds {
    let Bounds { connections, connections_of_one, .. } = Bounds::default();
    let (calls, feeds) = (config.line.max_calls, config.server.max_feeds);
    Bounds {
        connections: connections + calls + feeds + tables::GUESTS,
        connections_of_one: connections_of_one + calls + tables::GUESTS_OF_ONE,
        ..Bounds::default()
    }
}

fn call_settings(config: &Config, shop: &Shop, opening: Opening) -> CallSettings {
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
        line: config.line.clone(),
        opening: Arc::new(opening),
        audio: agent_audio(config.agent.audio),
        closing_phrase: telephone.closing_phrase.clone(),
        hangup_delay: telephone.hangup_delay,
    }
}

fn country(setting: &'static str, code: &str) -> Result<Region, Problem> {
    code.parse().map_err(|_| problem(setting, format!("names no country: {code}; expected two letters, such as US")))
}
