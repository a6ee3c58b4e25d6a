//! The shop's rules: what an order is, what it costs, how it may change.
//!
//! Pure. Nothing here knows a clock, a socket, a file or a database: time comes in as an argument, and everything
//! else is data.

pub mod cart;
pub mod hours;
mod matching;
pub mod menu;
pub mod money;
pub mod order;
pub mod phone_number;
pub mod status;

pub use cart::{Cart, CartError, FinalConfirmation, Turn};
pub use menu::{Asked, Menu, MenuError, Refusal, Said};
pub use money::Money;
pub use order::{Channel, Choice, HistoryEntry, Item, Order, OrderId, OrderNumber, fingerprint};
pub use phone_number::{PhoneError, PhoneNumber, Region};
pub use status::OrderStatus;
