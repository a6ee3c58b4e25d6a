//! The emulator, one for all tests, and a proxy in front of it that throttles, breaks and swallows.

use serde_json::{Value, json};
use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, LazyLock, Mutex};
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// The emulator's URL. It is started when it is first asked for, and ends with this process.
pub(super) fn endpoint() -> &'static str {
    // The child is kept, because it ends when its input does.
    static EMULATOR: LazyLock<(Child, String)> = LazyLock::new(start);
    &EMULATOR.1
}

fn start() -> (Child, String) {
    let built = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/tools/bin/dynamodb-emulator");
    let program = std::env::var_os("DYNAMODB_EMULATOR").map_or_else(built, PathBuf::from);
    let started = Command::new(&program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut child = started.unwrap_or_else(|error| {
        panic!(
            "the DynamoDB emulator {} cannot be started ({error}); build it with \
             `cargo install --locked --path tests/emulator --root target/tools`, or name it in DYNAMODB_EMULATOR",
            program.display()
        )
    });
    let output = child.stdout.take().expect("its output is piped");
    let mut url = String::new();
    BufReader::new(output).read_line(&mut url).expect("the emulator tells its URL");
    (child, url.trim().to_owned())
}

/// What the proxy does to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Answers that the table is asked too much.
    Throttle,
    /// Answers with a fault of the service.
    Fail,
    /// Passes it on and swallows the answer until the client has gone.
    SwallowAnswer,
    /// Passes it on and closes the connection instead of answering.
    Cut,
    /// Never answers, and never passes it on.
    Hang,
    /// Answers a query as if nothing had been found.
    AnswerNothing,
    /// Answers a batch as if there had been no time for any of it.
    LeaveUnprocessed,
    /// Answers that the credentials are unknown.
    RejectCredentials,
    /// Answers that the credentials do not allow it, in AWS's words.
    Deny,
}

/// Stands in front of the emulator and does to the next requests of one operation what it is told.
pub(super) struct Proxy {
    address: SocketAddr,
    endpoint: String,
    plan: Arc<Mutex<Plan>>,
    /// Ends with the proxy, and all its connections with it.
    _server: JoinSet<()>,
}

/// The place of a proxy that is away.
pub(super) struct Stopped(SocketAddr);

impl Stopped {
    pub(super) async fn start_again(self) -> Proxy {
        Proxy::on(TcpListener::bind(self.0).await.expect("the same port"))
    }
}

#[derive(Default)]
struct Plan {
    operation: &'static str,
    faults: VecDeque<Fault>,
    /// From now on, to every request of the operation.
    always: Option<Fault>,
    /// Requests of the operation that were done something to.
    struck: usize,
}

impl Proxy {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        Self::on(listener)
    }

    fn on(listener: TcpListener) -> Self {
        let address = listener.local_addr().expect("an address");
        let plan = Arc::new(Mutex::new(Plan::default()));
        let mut server = JoinSet::new();
        let plans = Arc::clone(&plan);
        server.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                connections.spawn(serve(client, Arc::clone(&plans)));
            }
        });
        Self { address, endpoint: format!("http://{address}"), plan, _server: server }
    }

    /// Is away from now on, until it is started again where it was.
    pub(super) async fn stop(self) -> Stopped {
        let address = self.address;
        drop(self);
        // Until the port is closed.
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
        Stopped(address)
    }

    pub(super) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Does these to the next requests of an operation.
    pub(super) fn next(&self, operation: &'static str, faults: impl IntoIterator<Item = Fault>) {
        let faults = faults.into_iter().collect();
        *self.plan.lock().unwrap() = Plan { operation, faults, ..Plan::default() };
    }

    /// Does this to every request of an operation.
    pub(super) fn always(&self, operation: &'static str, fault: Fault) {
        *self.plan.lock().unwrap() = Plan { operation, always: Some(fault), ..Plan::default() };
    }

    pub(super) fn heal(&self) {
        *self.plan.lock().unwrap() = Plan::default();
    }

    pub(super) fn struck(&self) -> usize {
        self.plan.lock().unwrap().struck
    }
}

impl Plan {
    /// What is done to this request.
    fn fault(&mut self, request: &Message) -> Option<Fault> {
        let target = request.header("x-amz-target").unwrap_or_default();
        let is_meant = !self.operation.is_empty() && target.ends_with(self.operation);
        let fault = is_meant.then(|| self.faults.pop_front().or(self.always)).flatten();
        self.struck += usize::from(fault.is_some());
        fault
    }
}

/// One connection of a client, and ours to the emulator.
async fn serve(client: TcpStream, plan: Arc<Mutex<Plan>>) {
    let (reader, mut writer) = client.into_split();
    let mut reader = tokio::io::BufReader::new(reader);
    let address = endpoint().trim_start_matches("http://");
    let mut emulator = tokio::io::BufReader::new(TcpStream::connect(address).await.expect("the emulator is there"));
    while let Some(request) = Message::read(&mut reader).await {
        let fault = plan.lock().unwrap().fault(&request);
        let answer = match fault {
            Some(Fault::Hang) => return std::future::pending().await,
            Some(Fault::Throttle) => refusal(400, "ProvisionedThroughputExceededException", "slow down"),
            Some(Fault::Fail) => refusal(500, "InternalServerError", "arn:aws:dynamodb:us-east-1:123456789012"),
            Some(Fault::RejectCredentials) => refusal(400, "UnrecognizedClientException", "who are you?"),
            Some(Fault::Deny) => {
                refusal(400, "AccessDeniedException", "User: arn:aws:iam::123456789012:user/ann is not authorized")
            }
            Some(Fault::AnswerNothing) => answer(200, &json!({ "Items": [], "Count": 0 })),
            Some(Fault::LeaveUnprocessed) => {
                let asked: Value = serde_json::from_slice(&request.body).expect("a request is JSON");
                let is_read = request.header("x-amz-target").is_some_and(|target| target.ends_with("BatchGetItem"));
                let left = if is_read { "UnprocessedKeys" } else { "UnprocessedItems" };
                answer(200, &json!({ left: asked["RequestItems"] }))
            }
            None | Some(Fault::SwallowAnswer | Fault::Cut) => {
                emulator.write_all(&request.bytes()).await.expect("the emulator takes it");
                let answer = Message::read(&mut emulator).await.expect("the emulator answers");
                match fault {
                    Some(Fault::SwallowAnswer) => return std::future::pending().await,
                    Some(Fault::Cut) => return,
                    _ => answer.bytes(),
                }
            }
        };
        if writer.write_all(&answer).await.is_err() {
            return;
        }
    }
}

/// A request or an answer, as far as a proxy need understand it: its body's length is told in its head.
struct Message {
    head: String,
    body: Vec<u8>,
}

impl Message {
    /// The next one; none: the other end has gone.
    async fn read(from: &mut (impl AsyncBufRead + Unpin)) -> Option<Self> {
        let mut message = Self { head: String::new(), body: Vec::new() };
        while !message.head.ends_with("\r\n\r\n") {
            if from.read_line(&mut message.head).await.ok()? == 0 {
                return None;
            }
        }
        let length = message.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        message.body.resize(length, 0);
        from.read_exact(&mut message.body).await.ok()?;
        Some(message)
    }

    fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.head.lines().filter_map(|line| line.split_once(':'));
        headers.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    fn bytes(&self) -> Vec<u8> {
        [self.head.as_bytes(), &self.body].concat()
    }
}

fn refusal(status: u16, code: &str, message: &str) -> Vec<u8> {
    answer(status, &json!({ "__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": message }))
}

fn answer(status: u16, body: &Value) -> Vec<u8> {
    let body = body.to_string();
    let kind = "content-type: application/x-amz-json-1.0";
    format!("HTTP/1.1 {status} A Test\r\n{kind}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}
