//! The real thing: Twilio, Deepgram and the shop's dashboards.

use crate::app::{self, App, Mode};
use crate::config::Config;
use crate::order_service::Clock;
use anyhow::Context as _;
use std::process::ExitCode;

pub(super) async fn run(config: Config) -> anyhow::Result<ExitCode> {
    let shutdown = super::shutdown_on_signal()?;
    let bind = config.server.bind;
    // Before the orders' folder is opened: a start that fails must not have cleared it.
    let listener = app::listen(bind).with_context(|| format!("BIND_ADDR: cannot listen on {bind}"))?;
    let app = App::build(&config, Mode::Production, Clock::system(), shutdown).await?;
    let (scheme, host) = (config.http_scheme(), &config.telephone.voice_host);
    tracing::info!(
        address = %listener.local_addr().unwrap_or(bind),
        exposure = ?config.server.exposure,
        "serving; Twilio's voice webhook is {scheme}://{host}/voice, the console {scheme}://{host}/barista"
    );
    app.serve(listener).await;
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}
