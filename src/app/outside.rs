//! Clients of what is outside: Twilio's API, Google's, the shop's webhook, its point of sale.

use super::AppError;
use crate::config::{Config, Exposure, WebhookConfig};
use crate::order_service::Clock;
use crate::outbox::{Credentials, Senders, SheetsSender, SmsSender, WebhookSender};
use crate::pos;
use crate::twilio::rest::{BadBase, RestClient};
use secrecy::SecretString;

/// TLS by rustls with ring, as on the agent leg: one TLS stack in the program.
pub(super) fn http_client() -> Result<reqwest::ClientBuilder, AppError> {
    let tls = crate::deepgram::line::tls_config()?;
    Ok(reqwest::Client::builder().tls_backend_preconfigured(tls))
}

/// Whoever sends what orders owe, as far as each is configured.
pub(super) fn senders(
    config: &Config,
    http: &reqwest::Client,
    credentials: Option<Credentials>,
    clock: &Clock,
) -> Result<Senders, AppError> {
    let now = || {
        let clock = clock.clone();
        move || clock.now()
    };
    let sheets = match config.deliveries.sheets.as_ref().zip(credentials) {
        Some((sheets, credentials)) => {
            Some(SheetsSender::new(http_client()?, sheets, credentials, now()).map_err(AppError::Sheets)?)
        }
        None => None,
    };
    let webhook = match &config.deliveries.webhook {
        Some(WebhookConfig { url, secret }) => {
            Some(WebhookSender::new(http_client()?, url, secret.clone(), now()).map_err(AppError::Webhook)?)
        }
        None => None,
    };
    let pos = pos::connect(&config.pos, http_client()?, now()).map_err(AppError::PointOfSale)?;
    Ok(Senders { sms: sms_sender(config, http)?, sheets, webhook, pos })
}

fn sms_sender(config: &Config, http: &reqwest::Client) -> Result<Option<SmsSender>, AppError> {
    let Some(account) = &config.telephone.texts else { return Ok(None) };
    let rest = rest(config, http, &account.account_sid, &account.auth_token)?;
    // Twilio cannot reach a local server.
    let callback = (config.server.exposure == Exposure::Public)
        .then(|| format!("{}://{}/sms/status", config.http_scheme(), config.telephone.voice_host));
    Ok(Some(SmsSender::new(rest, account.from.clone(), callback)))
}

/// Steers calls and has the recordings; none without credentials.
pub(super) fn voice_rest(config: &Config, http: &reqwest::Client) -> Result<Option<RestClient>, AppError> {
    match (&config.telephone.account_sid, &config.telephone.auth_token) {
        (Some(sid), Some(token)) => Ok(Some(rest(config, http, sid, token)?)),
        _ => Ok(None),
    }
}

fn rest(config: &Config, http: &reqwest::Client, sid: &str, token: &SecretString) -> Result<RestClient, BadBase> {
    RestClient::new(http.clone(), &config.telephone.api_base, sid.to_owned(), token.clone())
}
