//! The three requests that we make of the values of a spreadsheet (Google Sheets API v4, `spreadsheets.values`): read the
//! first column, write over a row, append rows.
//!
//! Does not know what the columns mean, nor which row is whose.

use super::row::Cells;
use super::token::TokenSource;
use crate::config::SheetsConfig;
use crate::outbox::error::{SendError, SenderError};
use crate::outbox::http::{self, Now};
use reqwest::{Client, RequestBuilder, Response, StatusCode, Url};
use secrecy::ExposeSecret as _;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long one request may take; Google's own limit is three minutes, and most are done in one second.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);
/// Answers to a write and errors are about 1 KiB.
const MAX_ANSWER_BYTES: usize = 64 * 1024;
/// The first column of half a million orders.
const MAX_COLUMN_BYTES: usize = 16 * 1024 * 1024;
/// How the service is called in reasons.
const SERVICE: &str = "Google Sheets";
/// Nothing is ever parsed as if a user had typed it: no cell becomes a formula, a date or a number by its looks.
const RAW: (&str, &str) = ("valueInputOption", "RAW");

/// The values of one sheet of one spreadsheet.
pub(super) struct Values {
    pub(super) http: Client,
    now: Now,
    /// `…/v4/spreadsheets/{id}/values`.
    base: Url,
    /// As A1 notation has it: in quotes, and those in the name doubled.
    sheet: String,
}

/// The cells of column A from row 1 on, up to the last that is not empty.
pub(super) struct FirstColumn(Vec<CellValue>);

#[derive(Deserialize)]
#[serde(untagged)]
enum CellValue {
    Text(String),
    Other(IgnoredAny),
}

#[derive(Serialize)]
struct Written<'a> {
    values: &'a [Cells],
}

impl FirstColumn {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The numbers, from 1, of the rows that begin with this text.
    pub(super) fn rows_of(&self, key: &str) -> impl Iterator<Item = usize> {
        let is_key = move |cell: &CellValue| matches!(cell, CellValue::Text(text) if text == key);
        self.0.iter().enumerate().filter(move |(_, cell)| is_key(cell)).map(|(index, _)| index + 1)
    }
}

impl Values {
    pub(super) fn new(http: Client, config: &SheetsConfig, now: Now) -> Result<Self, SenderError> {
        let mut base = http::address(&config.api_base)?;
        base.path_segments_mut().map_err(|()| SenderError::Address)?.pop_if_empty().extend([
            "v4",
            "spreadsheets",
            &config.spreadsheet_id,
            "values",
        ]);
        let sheet = format!("'{}'", config.sheet_name.replace('\'', "''"));
        Ok(Self { http, now, base, sheet })
    }

    /// `values.get` of column A. Nothing is changed, so whatever is unclear may be tried again.
    pub(super) async fn first_column(&self, tokens: &mut TokenSource) -> Result<FirstColumn, SendError> {
        #[derive(Deserialize)]
        struct Answer {
            /// Every answer has it; another kind of object must not pass for an empty sheet.
            #[serde(rename = "range")]
            _range: String,
            #[serde(default)]
            values: Vec<Vec<CellValue>>,
        }
        let url = self.url("A:A", "", &[("majorDimension", "COLUMNS")]);
        let request = || self.http.get(url.clone());
        let answer: Result<Answer, SendError> = self.ask(tokens, request, MAX_COLUMN_BYTES).await;
        let answer = answer.map_err(|error| match error {
            SendError::Unknown { reason } => SendError::busy(None, reason),
            other => other,
        })?;
        Ok(FirstColumn(answer.values.into_iter().next().unwrap_or_default()))
    }

    /// `values.update` of one row, whose number counts from 1.
    pub(super) async fn update(&self, tokens: &mut TokenSource, row: usize, cells: Cells) -> Result<(), SendError> {
        let url = self.url(&format!("A{row}:I{row}"), "", &[RAW]);
        let request = || self.http.put(url.clone()).json(&Written { values: std::slice::from_ref(&cells) });
        self.write(tokens, request).await
    }

    /// `values.append` below the table that begins in A1: whatever else is on the sheet, new rows begin in column A.
    pub(super) async fn append(&self, tokens: &mut TokenSource, rows: &[Cells]) -> Result<(), SendError> {
        let url = self.url("A1", ":append", &[RAW, ("insertDataOption", "INSERT_ROWS")]);
        let request = || self.http.post(url.clone()).json(&Written { values: rows });
        self.write(tokens, request).await
    }

    async fn write(&self, tokens: &mut TokenSource, request: impl Fn() -> RequestBuilder) -> Result<(), SendError> {
        #[derive(Deserialize)]
        struct Answer {
            /// Every answer has it; another kind of object must not pass for a success.
            #[serde(rename = "spreadsheetId")]
            _spreadsheet_id: String,
        }
        self.ask::<Answer>(tokens, request, MAX_ANSWER_BYTES).await.map(drop)
    }

    /// One request, made anew with a new token if the first is not accepted.
    async fn ask<T: DeserializeOwned>(
        &self,
        tokens: &mut TokenSource,
        request: impl Fn() -> RequestBuilder,
        most: usize,
    ) -> Result<T, SendError> {
        let mut answer = self.send(tokens, request()).await?;
        if answer.status() == StatusCode::UNAUTHORIZED {
            tokens.forget();
            answer = self.send(tokens, request()).await?;
        }
        if !answer.status().is_success() {
            return Err(self.refusal(answer, tokens.account()).await);
        }
        let body = http::read_bounded(answer, most).await;
        let body = body.map_err(|_| SendError::unknown(format!("{SERVICE} broke off in its answer")))?;
        serde_json::from_slice(&body).map_err(|_| SendError::unknown(format!("{SERVICE} gave an answer that is none")))
    }

    async fn send(&self, tokens: &mut TokenSource, request: RequestBuilder) -> Result<Response, SendError> {
        let token = tokens.token(&self.http).await?;
        let sent = request.bearer_auth(token.expose_secret()).timeout(REQUEST_TIMEOUT).send().await;
        sent.map_err(|error| http::no_answer(SERVICE, &error))
    }

    /// What an answer without success means. Of its text only the short code is told.
    async fn refusal(&self, answer: Response, account: &str) -> SendError {
        let (status, after) = (answer.status(), http::retry_after(answer.headers(), (self.now)()));
        let body = http::read_bounded(answer, MAX_ANSWER_BYTES).await.unwrap_or_default();
        let code = error_status(&body).map(|code| format!(" {code}")).unwrap_or_default();
        let said = format!("HTTP {}{code}", status.as_u16());
        // 409 is ABORTED: another change of the spreadsheet came in between.
        if http::is_passing(status) || status == StatusCode::CONFLICT {
            return SendError::busy(after, format!("{SERVICE} cannot take it now ({said})"));
        }
        SendError::refused(match status {
            StatusCode::BAD_REQUEST => {
                format!("{SERVICE} refused it; is there a sheet {} in the spreadsheet? ({said})", self.sheet)
            }
            StatusCode::UNAUTHORIZED => format!("{SERVICE} does not accept the service account's token ({said})"),
            StatusCode::FORBIDDEN => format!(
                "{SERVICE} does not let us write: share the spreadsheet with {account} as an editor, and switch the \
                 Sheets API on in its project ({said})"
            ),
            StatusCode::NOT_FOUND => {
                format!("{SERVICE} has no such spreadsheet: look at SHEETS_SPREADSHEET_ID ({said})")
            }
            _ => format!("{SERVICE} refused it ({said})"),
        })
    }

    fn url(&self, range: &str, verb: &str, options: &[(&str, &str)]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            // Pushed as a segment so that a strange sheet's name is escaped and cannot point elsewhere.
            segments.push(&format!("{}!{range}{verb}", self.sheet));
        }
        url.query_pairs_mut().extend_pairs(options);
        url
    }
}

/// The `status` word of an error's body.
fn error_status(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Body {
        error: Inner,
    }
    #[derive(Deserialize)]
    struct Inner {
        status: String,
    }
    let body: Body = serde_json::from_slice(body).ok()?;
    Some(body.error.status).filter(|code| super::is_short_code(code))
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use secrecy::SecretString;
    use std::sync::Arc;

    fn values(api_base: &str, spreadsheet_id: &str, sheet_name: &str) -> Result<Values, SenderError> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let config = SheetsConfig {
            spreadsheet_id: spreadsheet_id.to_owned(),
            sheet_name: sheet_name.to_owned(),
            credentials: SecretString::from(""),
            api_base: api_base.to_owned(),
        };
        Values::new(Client::builder().no_proxy().build().unwrap(), &config, Arc::new(|| Timestamp::UNIX_EPOCH))
    }

    #[test]
    fn ranges_are_quoted_and_escaped() {
        let path = |id, sheet, range, verb| {
            values("https://sheets.googleapis.com", id, sheet).unwrap().url(range, verb, &[RAW]).to_string()
        };
        let base = "https://sheets.googleapis.com/v4/spreadsheets";
        assert_eq!(
            path("1a-B_", "Orders", "A:A", ""),
            format!("{base}/1a-B_/values/'Orders'!A:A?valueInputOption=RAW")
        );
        assert_eq!(
            path("1", "Tea & 'Boba' #1?", "A1", ":append"),
            format!("{base}/1/values/'Tea%20&%20''Boba''%20%231%3F'!A1:append?valueInputOption=RAW")
        );
        assert_eq!(
            path("../x?y", "../../z", "A1", ""),
            format!("{base}/..%2Fx%3Fy/values/'..%2F..%2Fz'!A1?valueInputOption=RAW")
        );
    }

    #[test]
    fn a_base_may_have_a_path_and_must_be_http() {
        let with_path = values("http://localhost:9/google/", "1", "Orders").unwrap().url("A1", "", &[RAW]);
        assert_eq!(
            with_path.as_str(),
            "http://localhost:9/google/v4/spreadsheets/1/values/'Orders'!A1?valueInputOption=RAW"
        );
        assert!(values("sheets.googleapis.com", "1", "Orders").is_err());
    }

    #[test]
    fn rows_are_found_by_their_whole_first_cell() {
        let column = FirstColumn(serde_json::from_str(r#"["Order ID","a-1","","a-11",7,null,"a-1"]"#).unwrap());
        assert_eq!(column.rows_of("a-1").collect::<Vec<_>>(), [2, 7]);
        assert_eq!(column.rows_of("a-11").collect::<Vec<_>>(), [4]);
        assert_eq!(column.rows_of("7").count(), 0);
    }

    #[test]
    fn only_short_codes_are_taken_from_an_errors_body() {
        let body = |status: &str| format!(r#"{{"error":{{"code":403,"message":"secrets","status":"{status}"}}}}"#);
        assert_eq!(error_status(body("PERMISSION_DENIED").as_bytes()).as_deref(), Some("PERMISSION_DENIED"));
        for strange in ["", "call +15551234567", &"X".repeat(65)] {
            assert_eq!(error_status(body(strange).as_bytes()), None);
        }
        for garbage in ["", "<html>", "[]", r#"{"error":"x"}"#] {
            assert_eq!(error_status(garbage.as_bytes()), None);
        }
    }
}
