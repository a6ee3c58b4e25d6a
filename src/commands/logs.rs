//! Where log lines go: standard error, as text or as one JSON object a line.

use crate::config::LogConfig;
use std::io::IsTerminal as _;
use tracing::{Level, Metadata};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{FilterExt as _, LevelFilter, filter_fn};
use tracing_subscriber::fmt;
use tracing_subscriber::prelude::*;

pub(super) fn start(config: &LogConfig) {
    // The hint keeps what the filter below rules out as cheap as it was.
    let discreet = filter_fn(is_discreet).with_max_level_hint(LevelFilter::TRACE);
    let filter = EnvFilter::new(&config.filter).and(discreet);
    let lines = fmt::layer().with_writer(std::io::stderr).with_target(false);
    let lines = if config.json {
        lines.json().flatten_event(true).with_current_span(false).with_span_list(true).boxed()
    } else {
        lines.with_ansi(std::io::stderr().is_terminal()).boxed()
    };
    tracing_subscriber::registry().with(lines.with_filter(filter)).init();
}

/// Below `info` the libraries under us repeat what is on the wire – phone numbers, what was said, keys – so they are not
/// heard there, whatever `LOG_LEVEL` says.
fn is_discreet(line: &Metadata<'_>) -> bool {
    *line.level() <= Level::INFO || line.target().split("::").next() == Some(env!("CARGO_CRATE_NAME"))
}
