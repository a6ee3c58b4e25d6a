//! One screen of a member, as whoever serves its socket has it: what it is told next, and what it says.
//!
//! What a screen may say is measured here, before the session is bothered with it. Knows no socket.

use super::host::{Command, Handle};
use super::screens::{Closing, Queue, Told, render};
use super::{Inner, Limits, MemberMeters};
use crate::table::protocol::{Action, ClientMessage, Kind, RefusalCode, Refused, ServerMessage};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::error::TrySendError;

/// So many refusals one after the other are no impatient thumb.
const MOST_REFUSED: u32 = 200;

/// A screen that is connected. Dropping it takes the screen out of the session.
pub struct Screen {
    pub(super) id: u64,
    pub(super) member: String,
    pub(super) kind: Kind,
    pub(super) queue: Queue,
    pub(super) session: Handle,
    pub(super) meters: Arc<MemberMeters>,
    pub(super) hub: Arc<Inner>,
    /// Whom phone numbers and orders are counted for; none: nobody counts.
    pub(super) address: Option<IpAddr>,
    pub(super) refused: u32,
}

impl Screen {
    /// What it is told next. Safe to drop and call again.
    ///
    /// # Errors
    /// That nothing comes any more, and why.
    pub async fn next(&mut self) -> Result<Arc<str>, Closing> {
        let told = self.queue.told.recv().await;
        told.ok_or_else(|| self.queue.closing.get().copied().unwrap_or(Closing::GoingAway))
    }

    /// What it says; what it alone is to be answered at once comes back.
    ///
    /// # Errors
    /// That it is to be closed.
    pub async fn hear(&mut self, text: &str) -> Result<Option<Arc<str>>, Closing> {
        self.take(ClientMessage::parse(text)).await
    }

    /// What it says that is no text.
    ///
    /// # Errors
    /// That it is to be closed.
    pub async fn hear_bytes(&mut self) -> Result<Option<Arc<str>>, Closing> {
        let message = "Messages are text: one JSON object each.".to_owned();
        let refused = Refused { code: RefusalCode::BadMessage, message, ..Refused::default() };
        self.take(Err(Box::new(refused))).await
    }

    fn limits(&self) -> &Limits {
        self.hub.limits(self.kind)
    }

    async fn take(&mut self, message: Result<ClientMessage, Box<Refused>>) -> Result<Option<Told>, Closing> {
        if let Err(wait) = self.meters.take(self.member.clone(), self.hub.started.elapsed()) {
            self.refused += 1;
            if self.refused > MOST_REFUSED {
                return Err(Closing::Flooding);
            }
            return Ok(refusal(slow_down(message, wait)));
        }
        self.refused = 0;
        let command = match message {
            Err(refused) => return Ok(refusal(*refused)),
            Ok(ClientMessage::Ping) => return Ok(render(&ServerMessage::Pong)),
            Ok(ClientMessage::Snapshot) => Command::Show(self.id),
            Ok(ClientMessage::Do(operation)) => {
                if let Action::PlaceOrder(place) = &operation.action
                    && let (Some(typed), Some(address)) = (&place.phone, self.address)
                    // What is no number that is texted costs nothing: the session says what is wrong with it.
                    && let Ok(number) = self.hub.settings.phones.number(typed)
                    && !self.limits().phones.admit(address, &number, self.hub.started.elapsed())
                {
                    let message = "Too many phone numbers were given here. Please order without one.".to_owned();
                    let code = RefusalCode::PhoneLimit;
                    let op_id = Some(operation.op_id);
                    return Ok(refusal(Refused { op_id, code, message, ..Refused::default() }));
                }
                Command::Do(self.member.clone(), operation, self.address)
            }
        };
        // A session that is over has said so already.
        let is_told = self.session.send(command).await;
        is_told.map_err(|_| if self.hub.stop.is_cancelled() { Closing::GoingAway } else { Closing::Over })?;
        Ok(None)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let leave = Command::Leave(self.id);
        if let Err(TrySendError::Full(leave)) = self.session.try_send(leave) {
            let session = self.session.clone();
            // The session reads on, or is over: either ends this.
            tokio::spawn(async move { session.send(leave).await });
        }
    }
}

fn refusal(refused: Refused) -> Option<Told> {
    render(&ServerMessage::Error(refused))
}

fn slow_down(message: Result<ClientMessage, Box<Refused>>, wait: Duration) -> Refused {
    let op_id = match message {
        Ok(ClientMessage::Do(operation)) => Some(operation.op_id),
        Ok(_) => None,
        Err(refused) => refused.op_id,
    };
    Refused {
        op_id,
        code: RefusalCode::RateLimited,
        message: "That was too fast. Please wait a moment.".to_owned(),
        retry_after_ms: Some(milliseconds(wait)),
        ..Refused::default()
    }
}

/// Rounded up: who comes back then is heard.
pub(super) fn milliseconds(wait: Duration) -> u64 {
    u64::try_from(wait.as_micros().div_ceil(1000)).unwrap_or(u64::MAX)
}
