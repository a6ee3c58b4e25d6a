//! The real thing: Twilio, Deepgram and the shop's dashboards.

use super::service::Service;
use crate::app::{self, App, Mode, Shutdown};
use crate::config::Config;
use crate::order_service::Clock;
use anyhow::Context as _;
use std::process::ExitCode;

pub(super) async fn run(config: Config) -> anyhow::Result<ExitCode> {
    let shutdown = Shutdown::default();
    // Asked once it sees its calls to their end, asked twice it tells callers that it cannot, asked three times it is gone.
    super::cancel_on_signals([shutdown.drain.clone(), shutdown.stop.clone()])?;
    let bind = config.server.bind;
    // Before the orders' folder is opened: a start that fails must not have cleared it.
    let listener = app::listen(bind).with_context(|| format!("BIND_ADDR: cannot listen on {bind}"))?;
    let app = App::build(&config, Mode::Production, Clock::system(), shutdown.clone()).await?;
    let service = Service::of(&app, shutdown);
    let (scheme, host) = (config.http_scheme(), &config.telephone.voice_host);
    tracing::info!(
        address = %listener.local_addr().unwrap_or(bind),
        exposure = ?config.server.exposure,
        "serving; Twilio's voice webhook is {scheme}://{host}/voice, the console {scheme}://{host}/barista"
    );
    // In a task of its own, so that no part of the server holds it up; it ends with the runtime.
    let telling = tokio::spawn(service.run());
    app.serve(listener).await;
    telling.abort();
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}
