//! Where orders are kept, with everything that must be true together with them.
//!
//! A [`Record`] is committed whole or not at all. What may become of an order is not known here: that is the order
//! service's, who is the only writer.

mod counter;
mod index;
pub mod json;
pub mod record;

pub use index::View;
pub use json::JsonStore;
pub use record::{Delivery, DeliveryKind, DeliveryState, Record};

use std::path::PathBuf;

/// The store could not do it. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another server keeps its orders in the same folder.
    #[error("another server is using the orders in {}; stop it, or set ORDERS_DIR to another folder", .0.display())]
    InUse(PathBuf),
    /// The disk did not do it: full, read-only, gone.
    #[error("cannot {action}: {source}")]
    Io {
        /// What was tried.
        action: String,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A record that cannot be written as JSON.
    #[error("an order cannot be written as JSON: {0}")]
    Encoding(#[from] serde_json::Error),
    /// The writing task was lost.
    #[error("the write was interrupted")]
    Interrupted,
}

/// Why a change was not made: the disk's reason or the writer's own.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError<E> {
    /// The store's.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no such order.
    #[error("there is no such order")]
    NotFound,
    /// The writer changed its mind on seeing the record.
    #[error("refused")]
    Refused(E),
}

fn io_error(action: impl Into<String>) -> impl FnOnce(std::io::Error) -> StoreError {
    let action = action.into();
    move |source| StoreError::Io { action, source }
}
