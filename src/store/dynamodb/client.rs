//! The account and the table that a store talks to: the client, patience with it, and its troubles as sentences.
//!
//! The SDK repeats a request that was throttled or not answered once more; beyond that, what is asked again and for how
//! long is decided here. AWS's own words are not passed on: they hold account numbers and addresses.

use super::table::ACTIONS_TO_SERVE;
use crate::config::DynamodbConfig;
use crate::store::StoreError;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{ProvideCredentials as _, SharedCredentialsProvider};
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_http_client::{Builder, tls};
use std::error::Error;
use std::io;
use std::time::{Duration, Instant};

/// Where an emulator is asked, the region's name means nothing, but it must have one.
const EMULATED_REGION: &str = "us-east-1";

/// How long the database is waited for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// For one answer.
    pub(super) answer: Duration,
    /// After so long nothing is asked again.
    pub(super) total: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { answer: Duration::from_millis(2500), total: Duration::from_secs(8) }
    }
}

/// One table and the right to use it.
#[derive(Clone, Debug)]
pub(super) struct Account {
    pub(super) client: Client,
    pub(super) table: String,
    pub(super) patience: Patience,
}

impl Account {
    /// Finds region and credentials as AWS's own tools do. Nothing is asked of DynamoDB yet.
    pub(super) async fn connect(config: &DynamodbConfig) -> Result<Self, StoreError> {
        let patience = Patience::default();
        let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .http_client(Builder::new().tls_provider(tls::Provider::Rustls(ring())).build_https());
        if let Some(region) = &config.region {
            loader = loader.region(Region::new(region.clone()));
        } else if config.endpoint.is_some() {
            loader = loader.region(Region::from_static(EMULATED_REGION));
        }
        if let Some(endpoint) = &config.endpoint {
            loader = loader.endpoint_url(endpoint);
        }
        let shared = loader.load().await;
        let open = |trouble| failed("open the DynamoDB table", &config.table, trouble);
        if shared.region().is_none() {
            return Err(open(Trouble::NoRegion));
        }
        let credentials = shared.credentials_provider().ok_or_else(|| open(Trouble::NoCredentials))?;
        if credentials.provide_credentials().await.is_err() {
            return Err(open(Trouble::NoCredentials));
        }
        Ok(Self::new(aws_sdk_dynamodb::config::Builder::from(&shared), credentials, &config.table, patience))
    }

    pub(super) fn new(
        config: aws_sdk_dynamodb::config::Builder,
        credentials: SharedCredentialsProvider,
        table: &str,
        patience: Patience,
    ) -> Self {
        let config = config
            .credentials_provider(credentials)
            .retry_config(RetryConfig::standard().with_max_attempts(2).with_initial_backoff(Duration::from_millis(50)))
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(patience.answer)
                    .operation_attempt_timeout(patience.answer)
                    .build(),
            )
            .build();
        Self { client: Client::from_conf(config), table: table.to_owned(), patience }
    }

    /// Asks until there is an answer, as long as waiting may help.
    pub(super) async fn patiently<T, E, A, F>(&self, action: &'static str, mut ask: A) -> Result<T, StoreError>
    where
        E: ProvideErrorMetadata,
        A: FnMut() -> F,
        F: Future<Output = Result<T, SdkError<E>>>,
    {
        let mut wait = Wait::new(self.patience.total);
        loop {
            let trouble = match ask().await {
                Ok(answer) => return Ok(answer),
                Err(error) => self.trouble(&error),
            };
            if !trouble.may_pass() || !wait.again().await {
                return Err(self.failed(action, trouble));
            }
        }
    }

    pub(super) fn failed(&self, action: &str, trouble: Trouble) -> StoreError {
        failed(action, &self.table, trouble)
    }

    pub(super) fn in_doubt(&self, action: &str) -> StoreError {
        StoreError::InDoubt(format!(
            "DynamoDB stopped answering while asked to {action} (DYNAMODB_TABLE={})",
            self.table
        ))
    }

    /// What went wrong, in our own words.
    pub(super) fn trouble<E: ProvideErrorMetadata>(&self, error: &SdkError<E>) -> Trouble {
        let code = match error {
            SdkError::TimeoutError(_) => return Trouble::Silent,
            SdkError::DispatchFailure(failure) if failure.is_timeout() => return Trouble::Silent,
            SdkError::DispatchFailure(failure) => {
                let never_sent = failure.as_connector_error().is_some_and(|error| never_connected(error));
                return if never_sent { Trouble::Away } else { Trouble::Broken };
            }
            SdkError::ResponseError(_) => return Trouble::Broken,
            SdkError::ServiceError(error) => {
                let code = error.err().code().unwrap_or_default();
                if error.raw().status().as_u16() >= 500 && !is_throttling(code) {
                    return Trouble::Faulty;
                }
                code
            }
            _ => "",
        };
        match code {
            code if is_throttling(code) => Trouble::Throttled,
            "ResourceNotFoundException" => Trouble::NoTable,
            "AccessDeniedException" => Trouble::Denied,
            "UnrecognizedClientException"
            | "InvalidSignatureException"
            | "ExpiredTokenException"
            | "IncompleteSignature"
            | "MissingAuthenticationToken"
            | "InvalidClientTokenId" => Trouble::Strangers,
            "" => Trouble::Refused("a request that it cannot be asked".to_owned()),
            code => Trouble::Refused(code.chars().filter(char::is_ascii_alphanumeric).take(60).collect()),
        }
    }
}

pub(super) fn ring() -> tls::rustls_provider::CryptoMode {
    tls::rustls_provider::CryptoMode::Ring
}

fn failed(action: &str, table: &str, trouble: Trouble) -> StoreError {
    StoreError::Database { action: format!("{action} (DYNAMODB_TABLE={table})"), source: Box::new(trouble) }
}

/// Whether the request cannot have been sent.
fn never_connected(error: &(dyn Error + 'static)) -> bool {
    let mut causes = std::iter::successors(Some(error), |&error| error.source());
    causes.any(|cause| match cause.downcast_ref::<io::Error>() {
        Some(error) => matches!(
            error.kind(),
            io::ErrorKind::ConnectionRefused | io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable
        ),
        // The resolver's errors have no type of their own.
        None => cause.to_string() == "dns error",
    })
}

fn is_throttling(code: &str) -> bool {
    matches!(
        code,
        "ProvisionedThroughputExceededException"
            | "RequestLimitExceeded"
            | "ThrottlingException"
            | "Throttling"
            | "TransactionInProgressException"
    )
}

/// What can go wrong with DynamoDB.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Trouble {
    #[error("DynamoDB cannot be reached")]
    Away,
    #[error("the connection to DynamoDB broke")]
    Broken,
    #[error("DynamoDB did not answer in time")]
    Silent,
    #[error("DynamoDB has a fault of its own")]
    Faulty,
    #[error("DynamoDB is asked more than the table's capacity allows")]
    Throttled,
    #[error("it was changed by others again and again")]
    Contended,
    #[error("DynamoDB is slow, and other orders have waited for it longer")]
    Crowded,
    #[error("there is no such table; make it with `bobarista orders create-table`")]
    NoTable,
    #[error("the table is not ready to be used; try again in a minute")]
    NotReady,
    #[error("the table was made for something else: its key is not {}; name another one", super::table::KEY)]
    WrongKey,
    #[error("the table has no index {0} as this program needs it; `bobarista orders create-table` makes a new table")]
    NoIndex(&'static str),
    #[error("AWS does not accept the credentials; check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")]
    Strangers,
    #[error("the AWS credentials do not allow it; the program needs {}", ACTIONS_TO_SERVE.join(", "))]
    Denied,
    #[error(
        "there are no AWS credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the machine a role"
    )]
    NoCredentials,
    #[error("there is no AWS region; set AWS_REGION, such as us-east-1")]
    NoRegion,
    #[error("{what} takes {bytes} bytes, and an item of DynamoDB holds 409600")]
    TooLarge { what: &'static str, bytes: usize },
    #[error("it touches {0} items, and DynamoDB changes at most 100 together")]
    TooMany(usize),
    #[error("DynamoDB refused it: {0}")]
    Refused(String),
}

impl Trouble {
    /// Whether it may be over when the same is asked again.
    pub(super) fn may_pass(&self) -> bool {
        matches!(self, Self::Away | Self::Broken | Self::Silent | Self::Faulty | Self::Throttled)
    }

    /// Whether the request may have been carried out all the same.
    pub(super) fn leaves_doubt(&self) -> bool {
        matches!(self, Self::Broken | Self::Silent | Self::Faulty)
    }
}

/// Pauses that grow, each cut short by chance so that those who wait for the same do not come back together.
pub(super) struct Wait {
    until: Instant,
    longest: Duration,
}

impl Wait {
    const SHORTEST: Duration = Duration::from_millis(20);
    const LONGEST: Duration = Duration::from_millis(1000);

    pub(super) fn new(total: Duration) -> Self {
        Self { until: Instant::now() + total, longest: Self::SHORTEST }
    }

    /// Waits a while; false: it has been long enough.
    pub(super) async fn again(&mut self) -> bool {
        let pause = self.longest.mul_f64(rand::random_range(0.3..1.0));
        if Instant::now() + pause >= self.until {
            return false;
        }
        tokio::time::sleep(pause).await;
        self.longest = (self.longest * 2).min(Self::LONGEST);
        true
    }
}
