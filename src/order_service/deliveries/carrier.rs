//! What a carrier tells of a text, by and by and in no certain sequence.

use crate::store::Delivery;

/// One report about one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CarrierReport {
    /// The carrier's name for the message.
    pub provider_id: String,
    /// How far it has come.
    pub status: CarrierStatus,
    /// Why it got no further: a sentence for staff.
    pub reason: Option<String>,
}

/// How far a text has come, in Twilio's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CarrierStatus {
    /// Twilio has it.
    Accepted,
    /// To be sent at a time that was asked for.
    Scheduled,
    /// Waiting for its turn.
    Queued,
    /// On its way to the carrier.
    Sending,
    /// The carrier has it.
    Sent,
    /// The phone has it.
    Delivered,
    /// Somebody has read it.
    Read,
    /// The carrier could not deliver it.
    Undelivered,
    /// Twilio could not send it.
    Failed,
    /// Taken back before it was sent.
    Canceled,
}

impl CarrierStatus {
    const ALL: [Self; 10] = [
        Self::Accepted,
        Self::Scheduled,
        Self::Queued,
        Self::Sending,
        Self::Sent,
        Self::Delivered,
        Self::Read,
        Self::Undelivered,
        Self::Failed,
        Self::Canceled,
    ];

    /// None: a word that is not known here.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }

    /// Twilio's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Scheduled => "scheduled",
            Self::Queued => "queued",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Read => "read",
            Self::Undelivered => "undelivered",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
        }
    }

    /// Whether the customer will not get it.
    pub const fn is_failure(self) -> bool {
        matches!(self, Self::Undelivered | Self::Failed | Self::Canceled)
    }

    /// Reports overtake each other: one of an earlier stage, or of the same, tells nothing new.
    const fn stage(self) -> u8 {
        match self {
            Self::Accepted | Self::Scheduled | Self::Queued => 0,
            Self::Sending => 1,
            Self::Sent => 2,
            Self::Delivered | Self::Read | Self::Undelivered | Self::Failed | Self::Canceled => 3,
        }
    }
}

impl CarrierReport {
    /// Whether it tells something new of the message that this delivery was last sent as.
    ///
    /// A message that is not known here is this delivery's if it is being tried: the report may come before the answer
    /// to the request that it reports on, or after that was lost. Otherwise it is about a message of an earlier round.
    pub(super) fn is_news_for(&self, delivery: &Delivery) -> bool {
        if !delivery.kind.is_text() {
            return false;
        }
        if delivery.provider_id.as_ref() != Some(&self.provider_id) {
            return delivery.due_at().is_some() && delivery.attempts > 0;
        }
        let known = delivery.carrier_status.as_deref().and_then(CarrierStatus::parse);
        known.is_none_or(|known| known.stage() < self.status.stage())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_read_back_and_no_other() {
        for status in CarrierStatus::ALL {
            assert_eq!(CarrierStatus::parse(status.as_str()), Some(status));
        }
        for other in ["", "Delivered", "received", "partially_delivered", "sent "] {
            assert_eq!(CarrierStatus::parse(other), None, "{other}");
        }
    }
}
