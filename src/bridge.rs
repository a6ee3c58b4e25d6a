//! Joins the phone leg and the agent leg of one call.
//!
//! [`session`] is the whole behaviour of a call without a socket or a clock; [`driver`] is one loop that moves bytes
//! between the sockets, the clock, the tools and the session. This room knows nothing of HTTP, of orders, or of how a
//! call came to be.

// What comes from a socket decides no index: a peer must not be able to end a call, or all of them, by a message.
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::string_slice, clippy::unwrap_used, clippy::panic, clippy::unreachable)
)]

mod codec;
pub mod driver;
mod ears;
mod end_reason;
mod ending;
mod keypad;
mod leg;
mod link;
pub mod moment;
mod record;
mod reply;
pub mod session;
mod summary;
mod told;
mod tool_calls;
mod wakes;

pub use end_reason::EndReason;
pub use moment::Moment;
pub use session::{Phrases, Session, SessionSettings, Speaker};
pub use summary::Summary;
