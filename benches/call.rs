//! What one call costs, and how late its sound is, beside a bare relay of the same two sockets that converts nothing, in
//! the same run.
//!
//! `cargo bench --bench call` (`-- --calls 50,500 --seconds 10 --rounds 2`). Server and relay run in processes of their own,
//! so that their costs are theirs alone; the load is the one that `bobarista load` puts on. Beside each figure stands its
//! limit, and a limit that is missed is told by the status, too. Without `--bench` (under `cargo test`) a few calls show that
//! it all works, and nothing is held to a limit.

#[path = "call/relay.rs"]
mod relay;

use bobarista::deepgram::settings::AgentAudio;
use bobarista::simulator::load::{Delays, Door, Judged, Load, Plan, Report, Served, Verdict};
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// Processor time of a call, in that of the relay.
const RATIO_MULAW: f64 = 1.25;
const RATIO_LINEAR16: f64 = 1.6;
/// What a call may cost with most calls at once, in what it costs with fewest: it is to stay the same.
const GROWTH: f64 = 1.1;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    if let [command, agent] = &arguments[..]
        && command == "--relay"
    {
        runtime.block_on(relay::run(agent.parse().expect("the agent's address")));
        return ExitCode::SUCCESS;
    }
    let measured = arguments.iter().any(|argument| argument == "--bench");
    let option = |name: &str, full: &str, short: &str| {
        let at = arguments.iter().position(|argument| argument == name);
        let default = if measured { full } else { short };
        at.map_or(default, |at| arguments.get(at + 1).expect("a value")).to_owned()
    };
    let number = |text: String| text.parse::<u32>().expect("a number");
    let calls = option("--calls", "50,500", "3").split(',').map(|calls| number(calls.to_owned())).collect::<Vec<_>>();
    let seconds = number(option("--seconds", "10", "1"));
    let rounds = number(option("--rounds", "3", "1"));
    let rate = number(option("--rate", "20", "50")).into();
    let audios = match option("--audio", "both", "both").as_str() {
        "mulaw" => vec![AgentAudio::Mulaw],
        "linear16" => vec![AgentAudio::Linear16],
        _ => vec![AgentAudio::Mulaw, AgentAudio::Linear16],
    };
    let time = Duration::from_secs(seconds.into());
    println!(
        "{seconds} s, a frame every 20 ms each way, {rate} new calls a second; the better of {rounds} rounds each\n"
    );
    println!(
        "{:<8} {:>5} {:<6} {:>10} {:>6} {:>9} {:>13} {:>13} {:>13} {:>13} {:>6}",
        "audio", "calls", "", "ms/call-s", "ratio", "KiB/call", "up p50/p99", "down p50/p99", "clear", "set-up", "lost"
    );
    let mut all_met = true;
    let mut judge = |what: &str, judged: Judged| {
        if measured {
            println!("{what:>35}   {judged}");
            all_met &= judged.is_met();
        }
    };
    for audio in audios {
        let mut costs = Vec::new();
        for calls in &calls {
            let plan = Plan { calls: *calls as usize, time, rate, audio };
            let (mut relay, mut ours): (Vec<Report>, Vec<Report>) = Default::default();
            for _ in 0..rounds {
                relay.push(runtime.block_on(measure_relay(plan)));
                ours.push(runtime.block_on(measure_ours(plan)));
            }
            let [least, middle, most] = ratios(&relay, &ours);
            let (relay, ours) = (Best::of(&relay), Best::of(&ours));
            relay.print("relay", None);
            ours.print("ours", Some(middle));
            let ratio = if audio == AgentAudio::Mulaw { RATIO_MULAW } else { RATIO_LINEAR16 };
            judge(&format!("CPU in the relay's, {least:.2}–{most:.2}"), Judged::new(middle, ratio));
            ours.verdict().each().for_each(|(what, judged)| judge(what, judged));
            costs.push((*calls, ours.cpu_ms));
        }
        costs.sort_unstable_by_key(|(calls, _)| *calls);
        if let [(fewest, least), .., (most, cost)] = costs[..] {
            judge(&format!("CPU of one of {most} in that of {fewest}"), Judged::new(cost / least, GROWTH));
        }
    }
    if all_met { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn measure_relay(plan: Plan) -> Report {
    let load = Load::new(plan, (Ipv4Addr::LOCALHOST, 0).into()).await.expect("a port");
    let this = std::env::current_exe().expect("this program");
    let agent = load.agent().to_string();
    let mut relay = Served::start(&this, &["--relay", &agent], &[], &std::env::temp_dir()).expect("a process");
    let address = relay.first_line().expect("a line").parse().expect("the relay says where it listens");
    sound(load.run(&Door::Open(address), Some(relay.process())).await.expect("calls"))
}

async fn measure_ours(plan: Plan) -> Report {
    let load = Load::new(plan, (Ipv4Addr::LOCALHOST, 0).into()).await.expect("a port");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let program = Path::new(env!("CARGO_BIN_EXE_bobarista"));
    let (server, door) = Served::shop(program, load.agent(), plan.audio, folder.path()).await.expect("a server");
    sound(load.run(&door, Some(server.process())).await.expect("calls"))
}

/// A run in which calls failed, or whose frames told nothing, is no measurement.
fn sound(report: Report) -> Report {
    assert_eq!(report.first_failure, None, "{} calls failed", report.calls_failed);
    assert!(report.up.is_some() && report.down.is_some() && report.set_up.is_some(), "nothing was heard: {report:?}");
    report
}

/// What a call of ours costs in the relay's of the same round: least, middle, most. Whatever else the machine does, it does to
/// both of a round.
fn ratios(relay: &[Report], ours: &[Report]) -> [f64; 3] {
    let cpu = |of: &Report| of.cpu_ms_a_call_second.expect("a process of this machine");
    let mut ratios: Vec<f64> = relay.iter().zip(ours).map(|(relay, ours)| cpu(ours) / cpu(relay)).collect();
    ratios.sort_unstable_by(f64::total_cmp);
    [0, ratios.len() / 2, ratios.len() - 1].map(|at| ratios[at])
}

/// The least that any round found of each; what was lost, all rounds together.
struct Best<'a> {
    first: &'a Report,
    cpu_ms: f64,
    kib: f64,
    delays: [Option<(f64, f64)>; 4],
    lost: u64,
}

impl<'a> Best<'a> {
    fn of(rounds: &'a [Report]) -> Self {
        let least =
            |value: &dyn Fn(&Report) -> Option<f64>| rounds.iter().filter_map(value).fold(f64::INFINITY, f64::min);
        let delays = |of: fn(&Report) -> Option<Delays>| {
            let p99 = least(&|round| Some(of(round)?.p99_ms));
            p99.is_finite().then(|| (least(&|round| Some(of(round)?.p50_ms)), p99))
        };
        Self {
            first: rounds.first().expect("a round"),
            cpu_ms: least(&|round| round.cpu_ms_a_call_second),
            kib: least(&|round| round.resident_kib_a_call),
            delays: [delays(|of| of.up), delays(|of| of.down), delays(|of| of.clear), delays(|of| of.set_up)],
            lost: rounds.iter().flat_map(|round| round.frames_lost).sum(),
        }
    }

    fn verdict(&self) -> Verdict {
        Verdict::on(Some(self.kib), self.delays.map(|delays| Some(delays?.1)), self.lost)
    }

    fn print(&self, name: &str, ratio: Option<f64>) {
        let Report { audio, calls, .. } = self.first;
        let ratio = ratio.map_or(String::new(), |ratio| format!("{ratio:.2}"));
        let [up, down, clear, set_up] =
            self.delays.map(|delays| delays.map_or("–".to_owned(), |(p50, p99)| format!("{p50:.1} / {p99:.1}")));
        println!(
            "{audio:<8} {calls:>5} {name:<6} {:>10.3} {ratio:>6} {:>9.1} {up:>13} {down:>13} {clear:>13} {set_up:>13} {:>6}",
            self.cpu_ms, self.kib, self.lost
        );
    }
}
