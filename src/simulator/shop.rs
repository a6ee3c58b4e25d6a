//! A whole shop on this machine: the real server on a real port, with a simulated agent to dial.

use super::SimulatedAgent;
use crate::app::{self, App, AppError, Mode, Shutdown};
use crate::call::LiveCalls;
use crate::config::{Config, ConfigError};
use crate::order_service::{Clock, OrderService};
use crate::shop::Shop;
use std::net::{Ipv4Addr, SocketAddr};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

/// A running shop. Dropping it stops the server without waiting for it.
pub struct SimulatedShop {
    address: SocketAddr,
    agent: SimulatedAgent,
    orders: OrderService,
    shop: Shop,
    live: LiveCalls,
    tasks: TaskTracker,
    shutdown: Shutdown,
    serving: JoinHandle<()>,
}

/// Why a shop could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum ShopError {
    /// A setting is missing or wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The server could not be built.
    #[error(transparent)]
    App(#[from] AppError),
    /// No port.
    #[error("no port to listen on: {0}")]
    Port(#[from] std::io::Error),
}

impl SimulatedShop {
    /// A shop on a free port. `settings` are looked up before those that the simulation needs: where the agent is, a
    /// key for it, and the address to listen on.
    pub async fn open(
        agent: SimulatedAgent,
        settings: impl Fn(&str) -> Option<String>,
        mode: Mode,
    ) -> Result<Self, ShopError> {
        let listener = app::listen((Ipv4Addr::LOCALHOST, 0).into())?;
        Self::open_on(listener, agent, settings, mode).await
    }

    /// A shop on a free port whose server is changed by `tune` after it was built.
    pub async fn open_tuned(
        agent: SimulatedAgent,
        settings: impl Fn(&str) -> Option<String>,
        mode: Mode,
        tune: impl FnOnce(App) -> App,
    ) -> Result<Self, ShopError> {
        let listener = app::listen((Ipv4Addr::LOCALHOST, 0).into())?;
        Self::build(listener, agent, settings, mode, tune).await
    }

    /// A shop on this port.
    pub async fn open_on(
        listener: TcpListener,
        agent: SimulatedAgent,
        settings: impl Fn(&str) -> Option<String>,
        mode: Mode,
    ) -> Result<Self, ShopError> {
        Self::build(listener, agent, settings, mode, |app| app).await
    }

    async fn build(
        listener: TcpListener,
        agent: SimulatedAgent,
        settings: impl Fn(&str) -> Option<String>,
        mode: Mode,
        tune: impl FnOnce(App) -> App,
    ) -> Result<Self, ShopError> {
        let address = listener.local_addr()?;
        let config = Config::read(&|name| {
            settings(name).or_else(|| match name {
                "BIND_ADDR" => Some(address.to_string()),
                "DG_AGENT_URL" => Some(agent.url()),
                "DEEPGRAM_API_KEY" => Some("simulated".to_owned()),
                _ => None,
            })
        })?;
        let shutdown = Shutdown::default();
        let app = tune(App::build(&config, mode, Clock::system(), shutdown.clone()).await?);
        let (orders, shop, live, tasks) = (app.orders(), app.shop(), app.live_calls(), app.tasks());
        let serving = tokio::spawn(app.serve(listener));
        Ok(Self { address, agent, orders, shop, live, tasks, shutdown, serving })
    }

    /// `http://127.0.0.1:port`.
    pub fn base(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The agent that it dials.
    pub fn agent(&self) -> &SimulatedAgent {
        &self.agent
    }

    /// Its orders.
    pub fn orders(&self) -> &OrderService {
        &self.orders
    }

    /// Its own state: paused, sold out.
    pub fn shop(&self) -> &Shop {
        &self.shop
    }

    /// Its calls in progress.
    pub fn live_calls(&self) -> &LiveCalls {
        &self.live
    }

    /// How many tasks its calls and changes run as.
    pub fn task_count(&self) -> usize {
        self.tasks.len()
    }

    /// Takes no more calls; the server ends when those in progress are over.
    pub fn drain(&self) {
        self.shutdown.drain.cancel();
    }

    /// Returns when the server has ended by itself.
    pub async fn ended(mut self) -> std::io::Result<()> {
        (&mut self.serving).await.map_err(std::io::Error::other)
    }

    /// Stops the server and then the agent, and returns when all is gone.
    pub async fn close(mut self) -> std::io::Result<()> {
        self.shutdown.stop.cancel();
        (&mut self.serving).await.map_err(std::io::Error::other)
    }
}

impl Drop for SimulatedShop {
    fn drop(&mut self) {
        self.shutdown.stop.cancel();
    }
}
