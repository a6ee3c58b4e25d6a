//! What Linux tells of this process, under the names that every Prometheus client gives it. Elsewhere it is left out.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

#[derive(Debug)]
pub(super) struct Process {
    /// Since 1970.
    started: Duration,
}

impl Process {
    /// A process that starts now.
    pub(super) fn starting() -> Self {
        Self { started: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() }
    }
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut tell = |name: &str, help: &str, unit: Option<&Unit>, value: f64| {
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, unit, gauge.metric_type())?)
        };
        let started = self.started.as_secs_f64();
        tell("process_start_time", "When the process started, since 1970.", Some(&Unit::Seconds), started)?;
        if let Some(bytes) = resident_bytes() {
            let help = "Memory of the process that is in RAM.";
            tell("process_resident_memory", help, Some(&Unit::Bytes), bytes)?;
        }
        if let Some(files) = open_files() {
            tell("process_open_fds", "Open files and sockets of the process.", None, files)?;
        }
        Ok(())
    }
}

fn resident_bytes() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024.0)
}

/// Without the one that looks.
fn open_files() -> Option<f64> {
    let files = std::fs::read_dir("/proc/self/fd").ok()?.count();
    Some(files.saturating_sub(1) as f64)
}
