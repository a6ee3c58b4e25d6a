//! The figures of a server, as Prometheus scrapes them: counters, gauges and histograms in base units.
//!
//! Takes plain values and knows nobody who gives them. Labels have few values, all of them names of this program: no phone
//! number, no call's id and no word of anybody's, so that neither people nor strangers' inventions get into a monitoring
//! system. What an agent invents counts as `unknown`.

mod process;
mod seconds;
mod series;
mod text;

pub use text::CONTENT_TYPE;

use process::Process;
use prometheus_client::encoding::EncodeMetric;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use seconds::Seconds;
use series::Series;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// What counts for a name that is not known.
const UNKNOWN: &str = "unknown";

/// Of statuses.
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// From a hang-up at the greeting to the longest call.
const CALLS: &[f64] = &[5.0, 15.0, 30.0, 60.0, 90.0, 120.0, 180.0, 300.0, 600.0, 1200.0, 3600.0];
/// From a dial at the next rack to one that is given up.
const SET_UP: &[f64] = &[0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0];
/// A person takes a fifth of a second, and wonders after two.
const TURNS: &[f64] = &[0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0];
/// From a look into the cart to a checkout on a bad disk.
const TOOLS: &[f64] = &[0.001, 0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0];
/// A frame is 0.02 s.
const HELD: &[f64] = &[0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0];
/// A reply comes faster than it is heard.
const BUFFERED: &[f64] = &[0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0];

/// The values of labels, as whoever owns the names spells them.
#[derive(Clone, Debug)]
pub struct Names {
    /// How calls end.
    pub endings: Vec<&'static str>,
    /// How the agent is lost.
    pub losses: Vec<&'static str>,
    /// What the agent may do.
    pub tools: Vec<&'static str>,
    /// What may come of it.
    pub outcomes: Vec<&'static str>,
    /// Where orders come from.
    pub channels: Vec<&'static str>,
    /// What can become of them.
    pub statuses: Vec<&'static str>,
    /// What may be owed because of them.
    pub deliveries: Vec<&'static str>,
    /// The ways out of deliveries.
    pub lanes: Vec<&'static str>,
    /// Why a caller is not taken.
    pub refusals: Vec<&'static str>,
    /// What requests are for.
    pub routes: Vec<&'static str>,
}

/// What is counted elsewhere and told when somebody looks.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Present {
    /// Calls in progress.
    pub calls: usize,
    /// Live feeds that are open, by who reads them.
    pub feeds: Vec<(&'static str, usize)>,
    /// Sessions of guests who order together, by whose cart it is; none: it is not known.
    pub table_sessions: Vec<(&'static str, Option<usize>)>,
    /// Screens of those guests that are connected; none: it is not known.
    pub table_screens: Option<usize>,
    /// Deliveries that are due, by lane; none: it is not known.
    pub due: Vec<(&'static str, Option<usize>)>,
}

/// Sound of a call, of about a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// Media messages from the caller.
    pub frames_in: u64,
    /// Media messages to the caller.
    pub frames_out: u64,
    /// Caller audio that was dropped.
    pub dropped: Duration,
    /// What the phone side has been sent and has not played.
    pub buffered: Duration,
    /// The longest that sound was held.
    pub held: Duration,
}

/// The figures of a server. Cheap to clone.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

/// Told apart by two labels.
type Table = Family<[(&'static str, &'static str); 2], Counter>;
type Seconded = Counter<f64, AtomicU64>;
type Level = Gauge<f64, AtomicU64>;

struct Inner {
    registry: Registry,
    tools: Vec<&'static str>,

    calls_active: Level,
    calls_started: Counter,
    calls_ended: Series<Counter>,
    calls_turned_away: Series<Counter>,
    call_duration: Seconds,

    agent_connects: Series<Counter>,
    agent_redials: Counter,
    agent_losses: Series<Counter>,
    agent_set_up: Seconds,

    frames: Series<Counter>,
    dropped: Seconded,
    buffered: Seconds,
    held: Seconds,

    agent_latency: Seconds,
    replies: Series<Counter>,
    barge_ins: Counter,
    unheard: Seconded,

    tool_calls: Table,
    tool_duration: Series<Seconds>,
    tool_slow: Series<Counter>,
    tool_cancelled: Series<Counter>,

    orders_created: Series<Counter>,
    order_statuses: Series<Counter>,

    deliveries: Table,
    delivery_kinds: Vec<&'static str>,
    deliveries_due: Series<Level>,

    feeds: Series<Level>,
    table_sessions: Series<Level>,
    table_screens: Level,
    requests: Table,
    routes: Vec<&'static str>,
}

impl Metrics {
    /// Figures that all stand at nought, of a process that starts now.
    pub fn new(names: &Names) -> Self {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Process::starting()));
        let ours = &mut Shelf(registry.sub_registry_with_prefix("bobarista"));
        let counters = |label, values: &[&'static str]| Series::new(label, values.to_vec(), Counter::default);
        let of_tools = || Series::open("tool", names.tools.clone(), UNKNOWN, Counter::default);
        let build = Series::new("version", [env!("CARGO_PKG_VERSION")], Level::default);
        ours.put("build_info", "Which version this is; always 1", build).of(env!("CARGO_PKG_VERSION")).set(1.0);

        let inner = Inner {
            tools: names.tools.clone(),
            delivery_kinds: names.deliveries.clone(),
            routes: names.routes.clone(),

            calls_active: ours.put("calls_active", "Calls in progress", Level::default()),
            calls_started: ours.put("calls_started", "Calls that began", Counter::default()),
            calls_ended: ours.put("calls_ended", "Calls that ended, by how", counters("reason", &names.endings)),
            calls_turned_away: ours.put(
                "calls_turned_away",
                "Callers who were not put through to the agent, by why",
                counters("reason", &names.refusals),
            ),
            call_duration: ours.put_seconds("call_duration", "How long calls took", Seconds::new(CALLS)),

            agent_connects: ours.put(
                "agent_connects",
                "Attempts to have the agent, by outcome: a new conversation, one that goes on, or why there was none",
                Series::new("outcome", ["new", "resumed", "unreachable", "set_up"], Counter::default),
            ),
            agent_redials: ours.put("agent_redials", "Dials after the first one of a call", Counter::default()),
            agent_losses: ours.put(
                "agent_losses",
                "How often the agent was gone, by why; renewed is no fault",
                counters("kind", &names.losses),
            ),
            agent_set_up: ours.put_seconds(
                "agent_set_up",
                "From the first attempt to dial the agent to its taking the conversation",
                Seconds::new(SET_UP),
            ),

            frames: ours.put(
                "audio_frames",
                "Media messages: in, from callers, and out, to them",
                Series::new("direction", ["in", "out"], Counter::default),
            ),
            dropped: ours.put_seconds("audio_dropped", "Callers' audio that was dropped", Seconded::default()),
            buffered: ours.put_seconds(
                "audio_buffered",
                "What the phone side had been sent and had not played, each call once a second",
                Seconds::new(BUFFERED),
            ),
            held: ours.put_seconds(
                "audio_held",
                "The longest that sound was held here in a second of a call: the latency that this server adds",
                Seconds::new(HELD),
            ),

            agent_latency: ours.put_seconds(
                "agent_latency",
                "From the end of the caller's words to the first sound of the agent, as the agent reports it",
                Seconds::new(TURNS),
            ),
            replies: ours.put(
                "agent_replies",
                "Replies of the agent that began, and that were heard to their end",
                Series::new("stage", ["began", "heard"], Counter::default),
            ),
            barge_ins: ours.put("barge_ins", "How often a caller spoke into a reply", Counter::default()),
            unheard: ours.put_seconds(
                "barge_in_unheard",
                "What was cut off of the replies that callers spoke into",
                Seconded::default(),
            ),

            tool_calls: ours.put(
                "tool_calls",
                "Tools that were answered, by tool and outcome: ok, or the code of the refusal",
                table(("tool", names.tools.iter().chain(&[UNKNOWN])), ("outcome", &names.outcomes)),
            ),
            tool_duration: ours.put_seconds(
                "tool_duration",
                "From a tool's request to its answer",
                Series::open("tool", names.tools.clone(), UNKNOWN, || Seconds::new(TOOLS)),
            ),
            tool_slow: ours.put("tool_slow", "Tools that took so long that the agent was asked to say so", of_tools()),
            tool_cancelled: ours.put("tool_cancelled", "Tools whose answer the agent no longer wanted", of_tools()),

            orders_created: ours.put("orders_created", "New orders, by channel", counters("channel", &names.channels)),
            order_statuses: ours.put(
                "order_status_changes",
                "How often an order came to have this status, other than as a new one",
                counters("status", &names.statuses),
            ),

            deliveries: ours.put(
                "deliveries",
                "Attempts to deliver what orders owe, by kind and outcome: sent, retried (which comes again) or failed",
                table(("kind", names.deliveries.iter()), ("outcome", &["sent", "retried", "failed"])),
            ),
            deliveries_due: ours.put(
                "deliveries_due",
                "Deliveries that should be under way, at most a thousand a lane; NaN when the store does not say",
                Series::new("lane", names.lanes.clone(), Level::default),
            ),

            feeds: ours.put(
                "feeds_open",
                "Live feeds that are open, by who reads them",
                Series::new("audience", ["public", "staff"], Level::default),
            ),
            table_sessions: ours.put(
                "table_sessions",
                "Sessions of guests who order together, by whose cart it is",
                Series::new("kind", ["table", "private", "ahead"], Level::default),
            ),
            table_screens: ours.put(
                "table_screens",
                "Screens of guests who order together that are connected",
                Level::default(),
            ),
            requests: ours.put(
                "http_requests",
                "Requests that were answered, by what they were for and the class of the status",
                table(("route", names.routes.iter()), ("status", &CLASSES)),
            ),
            registry,
        };
        Self(Arc::new(inner))
    }

    /// Everything as Prometheus' text.
    pub fn text(&self, present: &Present) -> String {
        let inner = &*self.0;
        inner.calls_active.set(present.calls as f64);
        for (audience, open) in &present.feeds {
            inner.feeds.of(audience).set(*open as f64);
        }
        for (kind, live) in &present.table_sessions {
            inner.table_sessions.of(kind).set(level(*live));
        }
        inner.table_screens.set(level(present.table_screens));
        for (lane, due) in &present.due {
            inner.deliveries_due.of(lane).set(level(*due));
        }
        let mut openmetrics = String::new();
        if let Err(error) = encode(&mut openmetrics, &inner.registry) {
            // Nothing that is written into a string fails but what a metric itself makes fail, and none here does.
            tracing::error!("the metrics could not be written: {error}");
        }
        text::prometheus(&openmetrics)
    }

    /// A call began.
    pub fn call_started(&self) {
        self.0.calls_started.inc();
    }

    /// A call ended.
    pub fn call_ended(&self, reason: &str, duration: Duration) {
        self.0.calls_ended.of(reason).inc();
        self.0.call_duration.observe(duration);
    }

    /// A caller was not put through to the agent.
    pub fn call_turned_away(&self, reason: &str) {
        self.0.calls_turned_away.of(reason).inc();
    }

    /// The agent is dialled once more within a call.
    pub fn agent_redialled(&self) {
        self.0.agent_redials.inc();
    }

    /// The agent has taken the conversation, `after` so long.
    pub fn agent_live(&self, after: Duration, resumed: bool) {
        self.0.agent_connects.of(if resumed { "resumed" } else { "new" }).inc();
        self.0.agent_set_up.observe(after);
    }

    /// The agent is gone, or (`unreachable`, `set_up`) could not be had, which was an attempt as well.
    pub fn agent_lost(&self, kind: &str) {
        self.0.agent_losses.of(kind).inc();
        // Of any other kind there is no series: it is no attempt.
        self.0.agent_connects.of(kind).inc();
    }

    /// Takes no lock and no memory: this is called in the middle of every call's sound.
    pub fn sound(&self, heard: &Heard) {
        let inner = &*self.0;
        inner.frames.of("in").inc_by(heard.frames_in);
        inner.frames.of("out").inc_by(heard.frames_out);
        if !heard.dropped.is_zero() {
            inner.dropped.inc_by(heard.dropped.as_secs_f64());
        }
        inner.buffered.observe(heard.buffered);
        inner.held.observe(heard.held);
    }

    /// The agent reports how long it took to answer.
    pub fn turn(&self, latency: Duration) {
        self.0.agent_latency.observe(latency);
    }

    /// A reply began.
    pub fn reply_began(&self) {
        self.0.replies.of("began").inc();
    }

    /// A reply was heard to its end.
    pub fn reply_heard(&self) {
        self.0.replies.of("heard").inc();
    }

    /// A caller spoke into a reply, and did not hear so much of it.
    pub fn barge_in(&self, unheard: Duration) {
        self.0.barge_ins.inc();
        self.0.unheard.inc_by(unheard.as_secs_f64());
    }

    /// A tool was answered. `outcome` is `ok` or a code of this program.
    pub fn tool_done(&self, tool: &str, outcome: &'static str, took: Duration) {
        let tool = self.tool(tool);
        self.0.tool_calls.get_or_create(&[("tool", tool), ("outcome", outcome)]).inc();
        self.0.tool_duration.of(tool).observe(took);
    }

    /// The agent was asked to say that a tool takes a moment.
    pub fn tool_slow(&self, tool: &str) {
        self.0.tool_slow.of(tool).inc();
    }

    /// The agent no longer wants a tool's answer.
    pub fn tool_cancelled(&self, tool: &str) {
        self.0.tool_cancelled.of(tool).inc();
    }

    /// A tool as it may be kept and shown: one that does not exist is the agent's own text.
    pub fn tool(&self, tool: &str) -> &'static str {
        known(&self.0.tools, tool)
    }

    /// There is a new order.
    pub fn order_created(&self, channel: &str) {
        self.0.orders_created.of(channel).inc();
    }

    /// An order came to have this status.
    pub fn order_status(&self, status: &str) {
        self.0.order_statuses.of(status).inc();
    }

    /// What came of an attempt to deliver: `sent`, `retried` or `failed`.
    pub fn delivery(&self, kind: &str, outcome: &'static str) {
        let kind = known(&self.0.delivery_kinds, kind);
        self.0.deliveries.get_or_create(&[("kind", kind), ("outcome", outcome)]).inc();
    }

    /// A request was answered with this status.
    pub fn request(&self, route: &str, status: u16) {
        let [information, success, redirection, refusal, fault] = CLASSES;
        let class = match status {
            100..=199 => information,
            200..=299 => success,
            300..=399 => redirection,
            400..=499 => refusal,
            _ => fault,
        };
        self.0.requests.get_or_create(&[("route", known(&self.0.routes, route)), ("status", class)]).inc();
    }
}

/// With every series there from the start, at nought: one that came with its first event would not have risen then, and
/// nobody would be told.
fn table<'a>(
    (row, rows): (&'static str, impl Iterator<Item = &'a &'static str>),
    (column, columns): (&'static str, &[&'static str]),
) -> Table {
    let table = Table::default();
    for name in rows {
        for of in columns {
            drop(table.get_or_create(&[(row, *name), (column, *of)]));
        }
    }
    table
}

/// What is not known is told as such.
fn level(count: Option<usize>) -> f64 {
    count.map_or(f64::NAN, |count| count as f64)
}

fn known(names: &[&'static str], name: &str) -> &'static str {
    names.iter().find(|there| **there == name).copied().unwrap_or(UNKNOWN)
}

/// Where metrics are put, under the prefix of this program.
struct Shelf<'a>(&'a mut Registry);

impl Shelf<'_> {
    /// The library adds the full stop to `help`, and `_total` to a counter's name.
    fn put<M: EncodeMetric + Clone + Send + Sync + std::fmt::Debug + 'static>(
        &mut self,
        name: &str,
        help: &str,
        metric: M,
    ) -> M {
        self.0.register(name, help, metric.clone());
        metric
    }

    fn put_seconds<M: EncodeMetric + Clone + Send + Sync + std::fmt::Debug + 'static>(
        &mut self,
        name: &str,
        help: &str,
        metric: M,
    ) -> M {
        self.0.register_with_unit(name, help, Unit::Seconds, metric.clone());
        metric
    }
}

#[cfg(test)]
mod tests;
