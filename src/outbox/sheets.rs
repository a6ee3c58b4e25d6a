//! Orders as rows of a Google spreadsheet: one row an order, found again by the order id in column A.
//!
//! Looking a row up and writing it are two requests, so one row at a time is written: two deliveries of one order in this
//! process cannot both find no row. An attempt whose outcome is unknown may be repeated: it finds the row that was
//! appended, if it was, and writes over it. What staff do to the sheet meanwhile – sorting it between look-up and write –
//! cannot be guarded against by this API.
//!
//! This file does not know what an order is, nor when a delivery is tried again.

mod credentials;
mod row;
mod token;
mod values;

pub use credentials::{BadCredentials, Credentials};
pub use row::Row;

use super::error::{SendError, SenderError};
use super::http::{self, Now};
use crate::config::SheetsConfig;
use jiff::Timestamp;
use reqwest::ClientBuilder;
use std::fmt;
use std::sync::Arc;
use token::TokenSource;
use tokio::sync::Mutex;
use values::Values;

/// Keeps the rows of one sheet. Cheap to clone.
#[derive(Clone)]
pub struct SheetsSender(Arc<Inner>);

struct Inner {
    values: Values,
    /// Held over a whole look-up and write: whoever has the tokens has the sheet to itself, and renews them alone.
    turn: Mutex<TokenSource>,
}

impl SheetsSender {
    /// A sender to one sheet, as the service account of `credentials`; `now` tells when a token has to be renewed. Of
    /// `http` a client of its own is made, which follows no redirects.
    ///
    /// # Errors
    /// [`SenderError`] when `config.api_base` is no http(s) address or no client can be made.
    pub fn new(
        http: ClientBuilder,
        config: &SheetsConfig,
        credentials: Credentials,
        now: impl Fn() -> Timestamp + Send + Sync + 'static,
    ) -> Result<Self, SenderError> {
        let now: Now = Arc::new(now);
        let values = Values::new(http::client(http)?, config, Arc::clone(&now))?;
        Ok(Self(Arc::new(Inner { values, turn: Mutex::new(TokenSource::new(credentials, now)) })))
    }

    /// Writes the order's row: over the one that it has, or below all others. An empty sheet gets its titles with it.
    ///
    /// # Errors
    /// [`SendError`]; after `Unknown` the row may be there, and the next attempt finds it.
    pub async fn put(&self, row: &Row) -> Result<(), SendError> {
        let Inner { values, turn } = &*self.0;
        let mut tokens = turn.lock().await;
        let column = values.first_column(&mut tokens).await?;
        match column.rows_of(&row.order_id).next() {
            Some(number) => values.update(&mut tokens, number, row.cells()).await,
            // In one request, so that no attempt leaves titles without a row or writes them twice.
            None if column.is_empty() => values.append(&mut tokens, &[row::header(), row.cells()]).await,
            None => values.append(&mut tokens, &[row.cells()]).await,
        }
    }

    /// Takes the customer out of every row of this order: Customer, Phone and Notes become blank, Items those of `row`. That
    /// there is no row is fine.
    ///
    /// # Errors
    /// [`SendError`]; erasing again does no harm.
    pub async fn erase(&self, row: &Row) -> Result<(), SendError> {
        let Inner { values, turn } = &*self.0;
        let mut tokens = turn.lock().await;
        let column = values.first_column(&mut tokens).await?;
        for number in column.rows_of(&row.order_id) {
            values.update(&mut tokens, number, row.blanks()).await?;
        }
        Ok(())
    }
}

impl fmt::Debug for SheetsSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SheetsSender").finish_non_exhaustive()
    }
}

/// Whether a word from an answer is a code, as `PERMISSION_DENIED` and `invalid_grant` are, and safe to show.
fn is_short_code(word: &str) -> bool {
    (1..=40).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'_')
}
