//! Joins the phone leg and the agent leg of one call.
//!
//! [`session`] is the whole behaviour of a call without a socket or a clock; [`driver`] is one loop that moves bytes
//! between the sockets, the clock, the tools and the session. This room knows nothing of HTTP, of orders, or of how a
//! call came to be.

mod codec;
pub mod driver;
mod ending;
mod leg;
mod reply;
pub mod session;
mod summary;
mod tool_calls;

pub use session::{EndReason, Session, SessionSettings, Speaker};
pub use summary::Summary;
