//! Guests at one table: a cart that all of them share and see change, one order at a time, and what became of it.
//!
//! [`session`] decides everything and knows no clock, socket or store; [`protocol`] is what a guest's screen and the server
//! say to each other; `tables` knows which tables there are, and by which codes. The [hub](Tables) around them moves
//! messages, keeps what must outlive the server and asks the order service. Knows nothing of HTTP.

mod hub;
mod names;
pub mod protocol;
mod secret;
pub mod session;
mod tables;

pub use hub::{
    Closing, Doorway, Entrance, JoinError, Joined, Listed, Pass, Passes, PickUp, Place, Screen, Settings, Shown,
    Tables, Turned,
};
pub use names::{LONGEST_TABLE, Name};
pub use tables::{Table, TableError};
