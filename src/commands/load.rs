//! Many calls at once against a server in a process of its own: what a call costs, how late its sound is, what is lost.
//!
//! Nothing of the environment is used, and no key: the server's agent is the load's own.

use crate::deepgram::settings::AgentAudio;
use crate::simulator::load::{Delays, Door, Judged, Load, Plan, Report, Served, Verdict};
use anyhow::{Context as _, ensure};
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// What load is put on.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    /// Calls at once
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    calls: u32,
    /// How long all of them are held and measured
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=3_600))]
    seconds: u32,
    /// The audio on the agent's side
    #[arg(long, default_value = "linear16")]
    audio: Audio,
    /// New calls a second
    #[arg(long, default_value_t = 20.0, value_parser = rate)]
    rate: f64,
    /// Where to write the figures as JSON
    #[arg(long)]
    json: Option<PathBuf>,
    /// A server that is running already, such as http://127.0.0.1:8000; it must be local, with the same AGENT_AUDIO, and
    /// have DG_AGENT_URL name the address that --agent gives
    #[arg(long, requires = "agent")]
    server: Option<String>,
    /// Where the load's agent listens for such a server, such as 127.0.0.1:9000
    #[arg(long, requires = "server")]
    agent: Option<SocketAddr>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Audio {
    Linear16,
    Mulaw,
}

fn rate(text: &str) -> Result<f64, &'static str> {
    text.parse().ok().filter(|rate| (0.1..=1_000.0).contains(rate)).ok_or("expected a number from 0.1 to 1000")
}

pub(super) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let plan = Plan {
        calls: arguments.calls as usize,
        time: Duration::from_secs(arguments.seconds.into()),
        rate: arguments.rate,
        audio: match arguments.audio {
            Audio::Linear16 => AgentAudio::Linear16,
            Audio::Mulaw => AgentAudio::Mulaw,
        },
    };
    let load = Load::new(plan, arguments.agent.unwrap_or((Ipv4Addr::LOCALHOST, 0).into())).await?;
    let report = match &arguments.server {
        Some(base) => load.run(&Door::Webhook { base: base.trim_end_matches('/').to_owned() }, None).await?,
        None => {
            let program = std::env::current_exe().context("this program is nowhere")?;
            let folder = Folder::new()?;
            let (server, door) = Served::shop(&program, load.agent(), plan.audio, &folder.0).await?;
            load.run(&door, Some(server.process())).await?
        }
    };
    print!("{}", Table(&report));
    if let Some(path) = &arguments.json {
        let json = serde_json::to_string_pretty(&report)? + "\n";
        std::fs::write(path, json).with_context(|| format!("{} cannot be written", path.display()))?;
    }
    let [up, down] = report.frames_lost;
    ensure!(report.calls_failed == 0, "{} calls were not held to the end", report.calls_failed);
    ensure!(up + down == 0, "{} frames were lost", up + down);
    Ok(ExitCode::SUCCESS)
}

struct Table<'a>(&'a Report);

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = self.0;
        let Report { calls, seconds, audio, new_calls_a_second: rate, .. } = report;
        let verdict = Verdict::of(report);
        let beside = |judged: Option<Judged>| judged.map_or(String::new(), |judged| format!("    {judged}"));
        writeln!(f, "{calls} calls in {audio} for {seconds:.0} s, {rate} new ones a second\n")?;
        if let (Some(cpu), Some(kib)) = (report.cpu_ms_a_call_second, report.resident_kib_a_call) {
            writeln!(f, "CPU a call-second     {cpu:>9.2} ms")?;
            writeln!(f, "resident a call       {kib:>9.1} KiB{}", beside(verdict.kib))?;
        }
        writeln!(f, "the load's own CPU    {:>9.2} ms a call-second", report.generator_cpu_ms_a_call_second)?;
        writeln!(
            f,
            "frames lost           {:>9} of {} up{}",
            report.frames_lost[0],
            report.frames_sent[0],
            beside(Some(verdict.lost))
        )?;
        writeln!(f, "                      {:>9} of {} down", report.frames_lost[1], report.frames_sent[1])?;
        writeln!(f, "cleared, not lost     {:>9}", report.frames_cleared)?;
        writeln!(f, "calls failed          {:>9}", report.calls_failed)?;
        if let Some(why) = &report.first_failure {
            writeln!(f, "    the first: {why}")?;
        }
        writeln!(f, "\nmilliseconds                    p50      p99      max     count    p99")?;
        let rows = [
            ("sound to the agent", &report.up, verdict.up),
            ("sound to the caller", &report.down, verdict.down),
            ("interrupted → clear", &report.clear, verdict.clear),
            ("set-up", &report.set_up, verdict.set_up),
        ];
        for (name, delays, judged) in rows {
            match delays {
                Some(Delays { count, p50_ms, p99_ms, max_ms }) => {
                    writeln!(f, "{name:<26} {p50_ms:>8.1} {p99_ms:>8.1} {max_ms:>8.1} {count:>9}{}", beside(judged))?;
                }
                None => writeln!(f, "{name:<26}        –        –        –         0")?,
            }
        }
        Ok(())
    }
}

/// A folder that goes when this is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> anyhow::Result<Self> {
        let path =
            std::env::temp_dir().join(format!("bobarista-load-{}-{:08x}", std::process::id(), rand::random::<u32>()));
        std::fs::create_dir(&path).with_context(|| format!("{} cannot be made", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all::<&Path>(&self.0) {
            eprintln!("{} is left behind: {error}", self.0.display());
        }
    }
}
