//! Messages that callers have left where no agent could serve them: which there are, and their sound, which stays with
//! Twilio until it is listened to or erased.
//!
//! The only writer of them, which tells the screens that there is another one. Knows nothing of why a message was left, nor
//! of who listens.

use crate::events::{Event, EventLog};
use crate::order_service::Clock;
use crate::ordering::phone_number::PhoneNumber;
use crate::store::{State, Store, StoreError};
use crate::twilio::rest::{Recording, RestClient, RestError};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Where the store has them, by the recording's sid.
const KIND: &str = "voicemail";
/// Each of them means that the other of Twilio's two requests about a recording came through, so that many are a fault of
/// the store.
const MOST_TRIES: usize = 16;

/// What is known of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Voicemail {
    /// Names the recording, at Twilio too.
    pub recording_sid: String,
    /// The call that it was left in.
    pub call_sid: String,
    /// Who left it; none: withheld, or not told yet.
    pub from: Option<PhoneNumber>,
    /// How long it is; none: not told yet.
    pub seconds: Option<u32>,
    /// When we first heard of it.
    pub at: Timestamp,
    /// Shown to nobody any more; Twilio's recording is still to be deleted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub erased: bool,
}

/// What one of Twilio's requests tells of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Names the recording.
    pub recording_sid: RecordingSid,
    /// The call that it was left in.
    pub call_sid: String,
    /// Who left it, where the request tells.
    pub from: Option<PhoneNumber>,
    /// How long it is, where the request tells.
    pub seconds: Option<u32>,
}

/// `RE` and 32 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordingSid(String);

/// No recording has such a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected RE and 32 hexadecimal digits")]
pub struct NoSid;

impl std::str::FromStr for RecordingSid {
    type Err = NoSid;

    fn from_str(text: &str) -> Result<Self, NoSid> {
        let digits = text.strip_prefix("RE").ok_or(NoSid)?;
        let sane = digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        if sane { Ok(Self(text.to_owned())) } else { Err(NoSid) }
    }
}

impl RecordingSid {
    /// As Twilio writes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a message cannot be had or noted.
#[derive(Debug, thiserror::Error)]
pub enum VoicemailError {
    /// There is none of that name.
    #[error("there is no such message")]
    NotFound,
    /// The store's reason.
    #[error("messages cannot be looked up or kept: {0}")]
    Store(#[from] StoreError),
    /// Twilio's.
    #[error(transparent)]
    Twilio(#[from] RestError),
    /// There are no credentials to fetch or delete it with.
    #[error("TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN are needed to fetch and delete recordings")]
    NoAccount,
}

/// The messages of a shop. Cheap to clone.
#[derive(Clone)]
pub struct Voicemails(Arc<Inner>);

struct Inner {
    store: Arc<dyn Store>,
    rest: Option<RestClient>,
    events: EventLog,
    clock: Clock,
}

impl Voicemails {
    /// What this store keeps; recordings are fetched and deleted through `rest`.
    pub fn new(store: Arc<dyn Store>, rest: Option<RestClient>, events: EventLog, clock: Clock) -> Self {
        Self(Arc::new(Inner { store, rest, events, clock }))
    }

    /// Notes what Twilio tells. It tells twice, in any sequence, and perhaps again: who called when the caller has
    /// finished, how long the message is when it can be fetched.
    ///
    /// # Errors
    /// [`VoicemailError::Store`]: it is not noted.
    pub async fn note(&self, told: &Told) -> Result<(), VoicemailError> {
        let (store, sid) = (&self.0.store, told.recording_sid.as_str());
        for _ in 0..MOST_TRIES {
            let kept = store.state(KIND, sid).await?;
            let revision = kept.as_ref().map_or(0, |kept| kept.revision);
            let before = kept.as_ref().and_then(parse);
            let mut voicemail = before.clone().unwrap_or_else(|| Voicemail {
                recording_sid: sid.to_owned(),
                call_sid: told.call_sid.clone(),
                from: None,
                seconds: None,
                at: self.0.clock.now(),
                erased: false,
            });
            // Whoever was forgotten is not brought back by a request that was late.
            if !voicemail.erased {
                voicemail.from = voicemail.from.or_else(|| told.from.clone());
                voicemail.seconds = voicemail.seconds.or(told.seconds);
            }
            if before.as_ref() == Some(&voicemail) {
                return Ok(());
            }
            match store.set_state(KIND, sid, &value(&voicemail)?, revision).await {
                Ok(_) => {
                    self.0.events.publish(&Event::MessagesChanged);
                    return Ok(());
                }
                Err(StoreError::Stale) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(StoreError::Stale.into())
    }

    /// All messages, newest first.
    ///
    /// # Errors
    /// [`VoicemailError::Store`].
    pub async fn list(&self) -> Result<Vec<Voicemail>, VoicemailError> {
        let mut all = self.all().await?;
        all.retain(|voicemail| !voicemail.erased);
        all.sort_by(|a, b| b.at.cmp(&a.at).then_with(|| a.recording_sid.cmp(&b.recording_sid)));
        Ok(all)
    }

    /// The sound of a message, as MP3. Only of one that is listed: the account may have other recordings.
    ///
    /// # Errors
    /// [`VoicemailError::NotFound`] also while Twilio is still at it.
    pub async fn sound(&self, recording_sid: &RecordingSid) -> Result<Recording, VoicemailError> {
        let kept = self.0.store.state(KIND, recording_sid.as_str()).await?;
        kept.as_ref().and_then(parse).filter(|voicemail| !voicemail.erased).ok_or(VoicemailError::NotFound)?;
        let rest = self.0.rest.as_ref().ok_or(VoicemailError::NoAccount)?;
        match rest.recording(recording_sid.as_str()).await {
            Err(RestError::Final { status: 404, .. }) => Err(VoicemailError::NotFound),
            result => Ok(result?),
        }
    }

    /// Erases what somebody with this number has left, and tells how much. Nobody sees it from now on; Twilio's
    /// recordings go with the next [`Voicemails::sweep`].
    ///
    /// # Errors
    /// [`VoicemailError::Store`]; what was erased until then is erased.
    pub async fn forget(&self, phone: &PhoneNumber) -> Result<u64, VoicemailError> {
        let mut erased = 0;
        for state in self.0.store.states(Some(KIND)).await? {
            let Some(voicemail) = parse(&state).filter(|voicemail| voicemail.from.as_ref() == Some(phone)) else {
                continue;
            };
            let gone = Voicemail { from: None, erased: true, ..voicemail };
            self.0.store.set_state(KIND, &state.key, &value(&gone)?, state.revision).await?;
            self.0.events.publish(&Event::MessagesChanged);
            erased += 1;
        }
        Ok(erased)
    }

    /// Deletes, here and at Twilio, what was erased and what is as many days old, and of what cannot be read everything;
    /// tells how much. What Twilio does not delete now is kept until it does: nobody else knows that it is there.
    ///
    /// # Errors
    /// [`VoicemailError::Store`], and [`VoicemailError::NoAccount`] when something is to be deleted that nobody may ask
    /// Twilio to.
    pub async fn sweep(&self, days: Option<u32>) -> Result<u64, VoicemailError> {
        let age = days.map(|days| SignedDuration::from_hours(24 * i64::from(days)));
        let until = age.and_then(|age| self.0.clock.now().checked_sub(age).ok()).unwrap_or(Timestamp::MIN);
        let is_due = |state: &State| match parse(state) {
            Some(voicemail) => voicemail.erased || voicemail.at <= until,
            None => days.is_some(),
        };
        let mut deleted = 0;
        for state in self.0.store.states(Some(KIND)).await?.iter().filter(|state| is_due(state)) {
            let rest = self.0.rest.as_ref().ok_or(VoicemailError::NoAccount)?;
            let sid = state.key.as_str();
            if sid.parse::<RecordingSid>().is_ok()
                && let Err(error) = rest.delete_recording(sid).await
            {
                tracing::warn!(recording.sid = sid, "a recording could not be deleted yet: {error}");
                continue;
            }
            self.0.store.remove_state(KIND, sid).await?;
            self.0.events.publish(&Event::MessagesChanged);
            deleted += 1;
        }
        Ok(deleted)
    }

    async fn all(&self) -> Result<Vec<Voicemail>, VoicemailError> {
        Ok(self.0.store.states(Some(KIND)).await?.iter().filter_map(parse).collect())
    }
}

fn parse(state: &State) -> Option<Voicemail> {
    let parsed = serde_json::from_value(state.value.clone());
    parsed.map_err(|_| tracing::error!(key = state.key, "a message that was kept cannot be read")).ok()
}

fn value(voicemail: &Voicemail) -> Result<serde_json::Value, StoreError> {
    Ok(serde_json::to_value(voicemail)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::OrdersConfig;
    use crate::ordering::phone_number::Region;
    use crate::store::{Access, open};
    use std::sync::atomic::{AtomicI64, Ordering};
    use wiremock::matchers::method;
    use wiremock::{Mock, MockServer, ResponseTemplate};

    const SID: &str = "RE00000000000000000000000000000001";

    fn told(sid: &str, from: Option<&str>, seconds: Option<u32>) -> Told {
        Told {
            recording_sid: sid.parse().unwrap(),
            call_sid: "CA1".to_owned(),
            from: from.map(|from| PhoneNumber::parse(from, Region::US).unwrap()),
            seconds,
        }
    }

    /// Messages in a folder, and the clock that they go by, in seconds.
    async fn voicemails(folder: &std::path::Path, rest: Option<RestClient>) -> (Voicemails, Arc<AtomicI64>) {
        let store = open(&OrdersConfig::json(folder), "main", Access::Write).await.unwrap();
        let seconds = Arc::new(AtomicI64::new(1_700_000_000));
        let now = Arc::clone(&seconds);
        let clock = Clock::new(move || Timestamp::from_second(now.load(Ordering::Relaxed)).unwrap());
        (Voicemails::new(store, rest, EventLog::new(clock.now()), clock), seconds)
    }

    #[tokio::test]
    async fn two_requests_in_any_sequence_make_one_message() {
        let folder = tempfile::tempdir().unwrap();
        let (all, seconds) = voicemails(folder.path(), None).await;
        let other = SID.replace('1', "2");
        all.note(&told(SID, Some("+15551234567"), None)).await.unwrap();
        seconds.fetch_add(60, Ordering::Relaxed);
        all.note(&told(SID, None, Some(7))).await.unwrap();
        all.note(&told(&other, None, Some(8))).await.unwrap();
        all.note(&told(&other, Some("+15551234568"), None)).await.unwrap();
        all.note(&told(&other, None, Some(8))).await.unwrap();
        let list = all.list().await.unwrap();
        let seen: Vec<_> = list
            .iter()
            .map(|one| (one.recording_sid.as_str(), one.from.as_ref().map(PhoneNumber::as_e164), one.seconds))
            .collect();
        assert_eq!(seen, [(other.as_str(), Some("+15551234568"), Some(8)), (SID, Some("+15551234567"), Some(7))]);
        assert_eq!(list[1].at.as_second(), 1_700_000_000, "when it was first heard of");
    }

    #[tokio::test]
    async fn who_is_forgotten_stays_forgotten_and_what_is_old_goes() {
        let folder = tempfile::tempdir().unwrap();
        let (_twilio, rest) = twilio(&[204, 503, 404, 204]).await;
        let (all, seconds) = voicemails(folder.path(), Some(rest)).await;
        all.note(&told(SID, Some("+15551234567"), Some(7))).await.unwrap();
        let other = SID.replace('1', "2");
        all.note(&told(&other, Some("+15551234568"), Some(8))).await.unwrap();
        let phone = PhoneNumber::parse("+15551234567", Region::US).unwrap();
        assert_eq!((all.forget(&phone).await.unwrap(), all.forget(&phone).await.unwrap()), (1, 0));
        all.note(&told(SID, Some("+15551234567"), Some(7))).await.unwrap();
        assert_eq!(all.list().await.unwrap().len(), 1);
        assert!(matches!(all.sound(&SID.parse().unwrap()).await, Err(VoicemailError::NotFound)));
        assert_eq!(all.sweep(None).await.unwrap(), 1, "what was erased");
        assert_eq!(all.sweep(Some(30)).await.unwrap(), 0);
        seconds.fetch_add(30 * 24 * 3600, Ordering::Relaxed);
        assert_eq!(all.sweep(None).await.unwrap(), 0, "never, if so configured");
        assert_eq!(all.sweep(Some(30)).await.unwrap(), 0, "Twilio has it still");
        assert_eq!(all.list().await.unwrap().len(), 1);
        assert_eq!(all.sweep(Some(30)).await.unwrap(), 1, "Twilio has it no more");
        assert!(all.list().await.unwrap().is_empty());
        all.0.store.set_state(KIND, SID, &serde_json::json!("of another make"), 0).await.unwrap();
        assert_eq!(all.sweep(None).await.unwrap(), 0);
        assert_eq!(all.sweep(Some(30)).await.unwrap(), 1, "nobody can tell how old it is");
    }

    #[tokio::test]
    async fn what_nobody_can_delete_at_twilio_is_not_called_deleted() {
        let folder = tempfile::tempdir().unwrap();
        let (all, seconds) = voicemails(folder.path(), None).await;
        all.note(&told(SID, Some("+15551234567"), Some(7))).await.unwrap();
        assert!(matches!(all.sound(&SID.parse().unwrap()).await, Err(VoicemailError::NoAccount)));
        assert_eq!(all.sweep(Some(30)).await.unwrap(), 0, "nothing is due");
        seconds.fetch_add(30 * 24 * 3600, Ordering::Relaxed);
        assert!(matches!(all.sweep(Some(30)).await, Err(VoicemailError::NoAccount)));
        assert_eq!(all.list().await.unwrap().len(), 1, "it is still known that it is there");
    }

    /// Twilio, which answers requests to delete with these statuses, one after the other.
    async fn twilio(statuses: &[u16]) -> (MockServer, RestClient) {
        // Another test may have installed it already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let server = MockServer::start().await;
        for status in statuses {
            let answer = ResponseTemplate::new(*status);
            Mock::given(method("DELETE")).respond_with(answer).up_to_n_times(1).expect(1).mount(&server).await;
        }
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let rest = RestClient::new(http, &server.uri(), "AC0".into(), "secret".into()).unwrap();
        (server, rest)
    }

    #[test]
    fn only_a_sid_names_a_recording() {
        assert!(SID.parse::<RecordingSid>().is_ok());
        for bad in ["", "RE", "CA00000000000000000000000000000001", "RE0000000000000000000000000000000/", "RE1é"] {
            assert_eq!(bad.parse::<RecordingSid>(), Err(NoSid), "{bad}");
        }
    }
}
