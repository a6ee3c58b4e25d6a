//! Many calls at once in real time, and what they find: how late sound is, what is lost, what a call costs.
//!
//! Both ends of every call are played here as cheaply as they can be, so that a machine that is shared with the server can
//! hold hundreds: no script, no listening, a frame of 20 ms each way whose sound tells when it was sent (`stamp`). They
//! speak the sockets' framing themselves (`wire`); what they say is Twilio's and Deepgram's language, which a relay that
//! understands neither passes on as well. This room does not know what lies between them.

mod agent;
mod books;
mod limits;
mod mouths;
mod phone;
mod process;
mod stamp;
mod wire;

pub use books::{Delays, Report};
pub use limits::{Judged, Verdict};
pub use process::{Process, Served};

use crate::deepgram::settings::AgentAudio;
use agent::Agents;
use books::Books;
use mouths::Mouths;
use phone::Phone;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

/// From when the last call is set up to when the measurement begins.
const SETTLE: Duration = Duration::from_secs(1);
/// From the last frame sent to when one that has not come is lost.
const LINGER: Duration = Duration::from_secs(3);
/// How long a call may take to begin, and to end: a server that shares two processors with thirty others needs more than ten
/// seconds for its first answer. How long it took is measured.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is asked of the server.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Calls at once.
    pub calls: usize,
    /// How long all of them are held and measured.
    pub time: Duration,
    /// New calls a second.
    pub rate: f64,
    /// The audio on the agent's side.
    pub audio: AgentAudio,
}

/// Where the calls go in.
#[derive(Clone, Debug)]
pub enum Door {
    /// The voice webhook of a server gives a token for the stream.
    Webhook {
        /// Such as `http://127.0.0.1:8000`.
        base: String,
    },
    /// A relay: whoever connects is through.
    Open(SocketAddr),
}

/// Why the load could not be put on.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A socket, or a process, or what the system tells of one.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The voice webhook.
    #[error("the voice webhook gives no answer: {0}")]
    Webhook(#[from] reqwest::Error),
    /// What the webhook said, or where the server is.
    #[error("{0}")]
    Answer(String),
    /// No call was held.
    #[error("none of the calls was held to the end; the first of them: {0}")]
    NoCalls(String),
}

/// The two ends of the calls to come: the agent listens already.
pub struct Load {
    plan: Plan,
    books: Arc<Books>,
    mouths: Arc<Mouths>,
    agents: Agents,
}

impl Load {
    /// Opens the agent's end at `at` (port 0: a free one).
    pub async fn new(plan: Plan, at: SocketAddr) -> Result<Self, LoadError> {
        let books = Arc::new(Books::new());
        let mouths = Arc::new(Mouths::new(Arc::clone(&books)));
        let agents = Agents::listen(at, plan.audio, Arc::clone(&books), Arc::clone(&mouths)).await?;
        Ok(Self { plan, books, mouths, agents })
    }

    /// Where the server finds its agent.
    pub fn agent(&self) -> SocketAddr {
        self.agents.address()
    }

    /// Makes the calls, measures all of them together for the plan's time, and ends them. `server` is looked at if it is
    /// a process of this machine.
    ///
    /// # Errors
    /// [`LoadError::NoCalls`] if there was nothing to measure; calls that failed beside others are in the report.
    pub async fn run(self, door: &Door, server: Option<Process>) -> Result<Report, LoadError> {
        let Self { plan, books, mouths, agents } = self;
        let http = http_client()?;
        let target = door.address().await?;
        let idle_kib = match server {
            Some(server) => Some(server.settled_kib().await?),
            None => None,
        };
        let speaking = tokio::spawn(Arc::clone(&mouths).speak());

        let mut phones = JoinSet::new();
        let begun = Instant::now();
        for number in 0..plan.calls {
            sleep_until(begun + Duration::from_secs_f64(number as f64 / plan.rate)).await;
            let phone = Phone { number, target, door: door.clone(), audio: plan.audio, http: http.clone() };
            let (books, mouths) = (Arc::clone(&books), Arc::clone(&mouths));
            phones.spawn(async move {
                if let Err(error) = phone.call(&books, &mouths).await {
                    books.failed(format!("call {number}: {error}"));
                }
            });
        }
        let all_begun = Instant::now();
        while books.set_up.count() + (books.failures() as u64) < plan.calls as u64 && all_begun.elapsed() < PATIENCE {
            sleep(Duration::from_millis(50)).await;
        }
        sleep(SETTLE).await;
        books.measure(true);
        let (before, ours_before, began) =
            (server.map(Process::cpu).transpose()?, Process::this().cpu()?, Instant::now());
        sleep(plan.time).await;
        let elapsed = began.elapsed();
        books.measure(false);
        let cpu = match (server, before) {
            (Some(server), Some(before)) => Some(server.cpu()?.saturating_sub(before)),
            _ => None,
        };
        let own_cpu = Process::this().cpu()?.saturating_sub(ours_before);
        let grown_kib = match (server, idle_kib) {
            (Some(server), Some(idle)) => Some(server.resident_kib()? as f64 - idle as f64),
            _ => None,
        };

        // Silence first, so that nothing is on its way when what came is counted against what went.
        mouths.fall_silent();
        let silent = Instant::now();
        while books.lost() != [0, 0] && silent.elapsed() < LINGER {
            sleep(Duration::from_millis(50)).await;
        }
        let lost = books.lost();
        mouths.hang_up();
        let all_gone = async { while phones.join_next().await.is_some() {} };
        if tokio::time::timeout(PATIENCE, all_gone).await.is_err() {
            books.failed("a call did not end when its caller hung up".to_owned());
        }
        speaking.abort();
        drop(agents);

        let call_seconds = elapsed.as_secs_f64() * plan.calls as f64;
        let ms_a_call_second = |cpu: Duration| cpu.as_secs_f64() * 1000.0 / call_seconds;
        let report = Report {
            audio: plan.audio.name(),
            calls: plan.calls,
            seconds: elapsed.as_secs_f64(),
            new_calls_a_second: plan.rate,
            cpu_ms_a_call_second: cpu.map(ms_a_call_second),
            resident_kib_a_call: grown_kib.map(|kib| kib / plan.calls as f64),
            generator_cpu_ms_a_call_second: ms_a_call_second(own_cpu),
            up: books.up.summary(),
            down: books.down.summary(),
            clear: books.clear.summary(),
            set_up: books.set_up.summary(),
            frames_sent: books.sent(),
            frames_lost: lost,
            frames_cleared: books.all_cleared(),
            calls_failed: books.failures(),
            first_failure: books.first_failure(),
        };
        match report.first_failure {
            Some(ref why) if report.calls_failed >= plan.calls => Err(LoadError::NoCalls(why.clone())),
            _ => Ok(report),
        }
    }
}

impl Door {
    async fn address(&self) -> Result<SocketAddr, LoadError> {
        match self {
            Self::Open(address) => Ok(*address),
            Self::Webhook { base } => {
                let url = reqwest::Url::parse(base).map_err(|error| LoadError::Answer(format!("{base}: {error}")))?;
                let (Some(host), Some(port), "http") = (url.host_str(), url.port_or_known_default(), url.scheme())
                else {
                    return Err(LoadError::Answer(format!("{base}: expected http://host:port")));
                };
                let mut found = tokio::net::lookup_host((host, port)).await?;
                found.next().ok_or_else(|| LoadError::Answer(format!("{base} is nowhere")))
            }
        }
    }
}

fn http_client() -> Result<reqwest::Client, LoadError> {
    // Whoever came first has chosen the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // Idle connections to the webhook would count as memory of the calls.
    Ok(reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build()?)
}
