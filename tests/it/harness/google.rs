//! Google, as far as a service account with a spreadsheet meets it: the token endpoint, and `values.get`, `values.update`
//! and `values.append` of the Sheets API v4 over a grid in memory, with the errors that the real ones give.
//!
//! Assertions are verified as Google does: signature, claims and times, by a clock that a test may set.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, post};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use grid::{Cell, Grid, Range, column_letter};
use jiff::Timestamp;
use ring::rsa;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::task::JoinHandle;

pub(crate) mod grid;

pub(crate) const SPREADSHEET_ID: &str = "1BxiMVs0XRA5nFMdKvBdBZjgmUUqptlbs74OgvE2upms";
pub(crate) const ACCOUNT: &str = "orders@bobarista-tests.iam.gserviceaccount.com";
const KEY_ID: &str = "0123456789abcdef0123456789abcdef01234567";
const KEY: &str = include_str!("../../fixtures/google/throwaway_key.pem");
const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const SCOPE: &str = "https://www.googleapis.com/auth/spreadsheets";
/// How far apart the clocks may be, in seconds.
const SKEW: i64 = 300;

type Form = HashMap<String, String>;

/// A Google with one account and one spreadsheet.
pub(crate) struct GoogleSheets {
    address: SocketAddr,
    google: Arc<Google>,
    serving: JoinHandle<()>,
}

struct Google {
    token_uri: String,
    sheet: String,
    /// Seconds that its clock is ahead of the machine's.
    ahead: AtomicI64,
    state: Mutex<Now>,
}

#[derive(Default)]
struct Now {
    grid: Grid,
    /// Access tokens and when they expire.
    tokens: HashMap<String, i64>,
    tokens_given: usize,
    /// What becomes of the requests to come, one each: of tokens, of any to the API, of those that write.
    token_faults: VecDeque<Fault>,
    faults: VecDeque<Fault>,
    write_faults: VecDeque<Fault>,
    requests: Vec<String>,
}

/// What goes wrong with one request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// It is answered with this status, and `Retry-After` in seconds; nothing is done.
    Refused(u16, Option<u64>),
    /// It is answered 200 with a page that is not Google's; nothing is done.
    Garbage,
    /// It is carried out, and the connection breaks in the middle of the answer.
    CutOff,
}

impl GoogleSheets {
    /// With an empty sheet `Orders`.
    pub(crate) async fn start() -> Self {
        Self::with_sheet("Orders").await
    }

    pub(crate) async fn with_sheet(sheet: &str) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let google = Arc::new(Google {
            token_uri: format!("http://{address}/token"),
            sheet: sheet.to_owned(),
            ahead: AtomicI64::new(0),
            state: Mutex::default(),
        });
        let routes = Router::new()
            .route("/token", post(token))
            .route("/v4/spreadsheets/{id}/values/{range}", any(values))
            .with_state(Arc::clone(&google));
        let serving = tokio::spawn(async move { axum::serve(listener, routes).await.expect("Google serves") });
        Self { address, google, serving }
    }

    /// `SHEETS_API_BASE`.
    pub(crate) fn base(&self) -> String {
        format!("http://{}", self.address)
    }

    /// `GOOGLE_SHEETS_CREDENTIALS`.
    pub(crate) fn credentials(&self) -> String {
        json!({
            "type": "service_account",
            "project_id": "bobarista-tests",
            "private_key_id": KEY_ID,
            "private_key": KEY,
            "client_email": ACCOUNT,
            "client_id": "100000000000000000001",
            "auth_uri": "https://accounts.google.com/o/oauth2/auth",
            "token_uri": self.google.token_uri,
        })
        .to_string()
    }

    /// The time that Google goes by.
    pub(crate) fn clock(&self) -> impl Fn() -> Timestamp + Send + Sync + 'static {
        let google = Arc::clone(&self.google);
        move || Timestamp::from_second(google.now()).expect("a valid instant")
    }

    pub(crate) fn advance(&self, seconds: i64) {
        self.google.ahead.fetch_add(seconds, Ordering::Relaxed);
    }

    /// What the sheet shows: each row up to its last cell that is not empty.
    pub(crate) fn rows(&self) -> Vec<Vec<String>> {
        let shown = |row: Vec<Cell>| row.iter().map(Cell::shown).collect();
        self.cells().into_iter().map(shown).collect()
    }

    pub(crate) fn cells(&self) -> Vec<Vec<Cell>> {
        self.google.state().grid.rows()
    }

    /// Writes texts, from A1 on.
    pub(crate) fn fill(&self, rows: &[&[&str]]) {
        let mut state = self.google.state();
        for (row, cells) in rows.iter().enumerate() {
            for (column, text) in cells.iter().enumerate() {
                state.grid.set(row, column, Cell::Text((*text).to_owned()));
            }
        }
    }

    pub(crate) fn fail_next(&self, status: u16) {
        self.next(Fault::Refused(status, None));
    }

    /// The next request to the API.
    pub(crate) fn next(&self, fault: Fault) {
        self.google.state().faults.push_back(fault);
    }

    /// The next request that writes.
    pub(crate) fn next_write(&self, fault: Fault) {
        self.google.state().write_faults.push_back(fault);
    }

    /// The next request for a token.
    pub(crate) fn next_token(&self, fault: Fault) {
        self.google.state().token_faults.push_back(fault);
    }

    /// No token that was given holds any more.
    pub(crate) fn expire_tokens(&self) {
        self.google.state().tokens.clear();
    }

    /// What has been asked since the last look, such as `GET 'Orders'!A:A` and `POST token`.
    pub(crate) fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.google.state().requests)
    }
}

impl Drop for GoogleSheets {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Google {
    fn state(&self) -> MutexGuard<'_, Now> {
        self.state.lock().expect("no handler panics")
    }

    fn now(&self) -> i64 {
        Timestamp::now().as_second() + self.ahead.load(Ordering::Relaxed)
    }
}

async fn token(State(google): State<Arc<Google>>, axum::Form(form): axum::Form<Form>) -> Response {
    let mut state = google.state();
    state.requests.push("POST token".to_owned());
    match state.token_faults.pop_front() {
        Some(Fault::Refused(status, after)) => return oauth_error(status, "temporarily_unavailable", "Later.", after),
        Some(fault) => return broken(fault, json!({})),
        None => {}
    }
    if form.get("grant_type").map(String::as_str) != Some(GRANT_TYPE) {
        return oauth_error(400, "unsupported_grant_type", "Invalid grant_type", None);
    }
    let assertion = form.get("assertion").map(String::as_str).unwrap_or_default();
    match verify(assertion, &google.token_uri, google.now()) {
        Ok(()) => {
            state.tokens_given += 1;
            let token = format!("ya29.c.test-token-{}", state.tokens_given);
            state.tokens.insert(token.clone(), google.now() + 3599);
            axum::Json(json!({ "access_token": token, "expires_in": 3599, "token_type": "Bearer" })).into_response()
        }
        Err((error, description)) => oauth_error(400, error, description, None),
    }
}

/// Who says so, to whom, for what, since when and until when; and that it is the account that says so.
fn verify(assertion: &str, token_uri: &str, now: i64) -> Result<(), (&'static str, &'static str)> {
    let grant = |description| ("invalid_grant", description);
    let parts: Vec<&str> = assertion.split('.').collect();
    let [header, claims, signature] = parts.as_slice() else { return Err(grant("Bad Request")) };
    let decoded = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| grant("Bad Request"));
    let json = |part: &str| {
        decoded(part).and_then(|bytes| serde_json::from_slice::<Value>(&bytes).map_err(|_| grant("Bad Request")))
    };
    let (header, claimed) = (json(header)?, json(claims)?);
    if header != json!({ "alg": "RS256", "typ": "JWT", "kid": KEY_ID }) {
        return Err(grant("Invalid JWT Header."));
    }
    let der = PrivatePkcs8KeyDer::from_pem_slice(KEY.as_bytes()).expect("the fixture is a key");
    let pair = rsa::KeyPair::from_pkcs8(der.secret_pkcs8_der()).expect("the fixture is an RSA key");
    let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public().as_ref());
    let signed = assertion.rsplit_once('.').map(|(signed, _)| signed).unwrap_or_default();
    public.verify(signed.as_bytes(), &decoded(signature)?).map_err(|_| grant("Invalid JWT Signature."))?;
    if claimed["iss"] != ACCOUNT {
        return Err(grant("Invalid grant: account not found"));
    }
    if claimed["aud"] != token_uri {
        return Err(grant("Invalid JWT: Failed audience check."));
    }
    if claimed["scope"] != SCOPE {
        return Err(("invalid_scope", "Invalid OAuth scope or ID token audience provided."));
    }
    let (iat, exp) = (claimed["iat"].as_i64().unwrap_or_default(), claimed["exp"].as_i64().unwrap_or_default());
    if iat > now + SKEW || exp <= now || exp <= iat || exp - iat > 3600 {
        return Err(grant(
            "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe.",
        ));
    }
    Ok(())
}

async fn values(
    State(google): State<Arc<Google>>,
    Path((id, range)): Path<(String, String)>,
    Query(query): Query<Form>,
    method: Method,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut state = google.state();
    state.requests.push(format!("{method} {range}"));
    let fault = match state.faults.pop_front() {
        None if method != Method::GET => state.write_faults.pop_front(),
        fault => fault,
    };
    match fault {
        Some(Fault::Refused(status, after)) => return api_error(status, "A sentence about +15551234567.", after),
        Some(Fault::Garbage) => return broken(Fault::Garbage, json!({})),
        Some(Fault::CutOff) | None => {}
    }
    let bearer = headers.get("authorization").and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let expires = bearer.and_then(|token| state.tokens.get(token));
    if expires.is_none_or(|at| *at <= google.now()) {
        return api_error(401, "Request had invalid authentication credentials.", None);
    }
    if id != SPREADSHEET_ID {
        return api_error(404, "Requested entity was not found.", None);
    }
    let (range, verb) = match range.strip_suffix(":append") {
        Some(range) if method == Method::POST => (range, "append"),
        _ => (range.as_str(), method.as_str()),
    };
    let Some(place) = grid::parse_range(range).filter(|(sheet, _)| *sheet == google.sheet).map(|(_, place)| place)
    else {
        return api_error(400, &format!("Unable to parse range: {range}"), None);
    };
    let done = match verb {
        "GET" => Ok(get(&google.sheet, &state.grid, place, &query)),
        "PUT" => written(&query, &body).and_then(|rows| update(&google.sheet, &mut state.grid, place, rows)),
        "append" => written(&query, &body).and_then(|rows| append(&google.sheet, &mut state.grid, place, rows, &query)),
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    match (done, fault) {
        (Ok(answer), Some(fault)) => broken(fault, answer),
        (Ok(answer), None) => axum::Json(answer).into_response(),
        (Err(message), _) => api_error(400, &message, None),
    }
}

fn get(sheet: &str, grid: &Grid, place: Range, query: &Form) -> Value {
    let columns = query.get("majorDimension").is_some_and(|dimension| dimension == "COLUMNS");
    let values = grid.values(place, columns);
    let dimension = if columns { "COLUMNS" } else { "ROWS" };
    let mut answer = json!({ "range": place.shown(sheet), "majorDimension": dimension });
    if !values.is_empty() {
        answer["values"] = values.iter().map(|line| line.iter().map(Cell::shown).collect::<Vec<_>>()).collect();
    }
    answer
}

/// The rows that a body holds, as the query says they are to be understood; `None` leaves a cell as it is.
fn written(query: &Form, body: &[u8]) -> Result<Vec<Vec<Option<Cell>>>, String> {
    let user_entered = match query.get("valueInputOption").map(String::as_str) {
        Some("RAW") => false,
        Some("USER_ENTERED") => true,
        _ => return Err("'valueInputOption' is required but not specified".to_owned()),
    };
    let body: Value = serde_json::from_slice(body).map_err(|_| "Invalid JSON payload received.".to_owned())?;
    let known = ["range", "majorDimension", "values"];
    if let Some(name) = body.as_object().and_then(|fields| fields.keys().find(|name| !known.contains(&name.as_str()))) {
        return Err(format!("Invalid JSON payload received. Unknown name \"{name}\": Cannot find field."));
    }
    let rows = body["values"].as_array().ok_or("Invalid values")?;
    let row = |row: &Value| {
        let cells = row.as_array().ok_or("Invalid values[0][0]: struct_value")?.iter();
        cells.map(|value| Cell::entered(value, user_entered)).collect()
    };
    rows.iter().map(row).collect()
}

fn update(sheet: &str, grid: &mut Grid, place: Range, rows: Vec<Vec<Option<Cell>>>) -> Result<Value, String> {
    let widest = rows.iter().map(Vec::len).max().unwrap_or(0);
    if place.column + widest > place.column_end {
        let column = column_letter(place.column_end);
        return Err(format!(
            "Requested writing within range [{}], but tried writing to column [{column}]",
            place.shown(sheet)
        ));
    }
    if place.row + rows.len() > place.row_end {
        let row = place.row_end + 1;
        return Err(format!(
            "Requested writing within range [{}], but tried writing to row [{row}]",
            place.shown(sheet)
        ));
    }
    Ok(write(sheet, grid, place.row, place.column, rows))
}

fn append(
    sheet: &str,
    grid: &mut Grid,
    place: Range,
    rows: Vec<Vec<Option<Cell>>>,
    query: &Form,
) -> Result<Value, String> {
    let table = grid.table_at(place.row, place.column);
    let (row, column) = table.map_or((place.row, place.column), |table| (table.row_end, table.column));
    match query.get("insertDataOption").map(String::as_str) {
        Some("INSERT_ROWS") => grid.insert_rows(row, rows.len()),
        Some("OVERWRITE") | None => {}
        Some(other) => return Err(format!("Invalid value at 'insert_data_option': \"{other}\"")),
    }
    let mut answer = json!({ "spreadsheetId": SPREADSHEET_ID, "updates": write(sheet, grid, row, column, rows) });
    if let Some(table) = table {
        answer["tableRange"] = json!(table.shown(sheet));
    }
    Ok(answer)
}

fn write(sheet: &str, grid: &mut Grid, row: usize, column: usize, rows: Vec<Vec<Option<Cell>>>) -> Value {
    let (height, width) = (rows.len(), rows.iter().map(Vec::len).max().unwrap_or(0));
    let mut count = 0;
    for (down, cells) in rows.into_iter().enumerate() {
        for (right, cell) in cells.into_iter().enumerate() {
            if let Some(cell) = cell {
                grid.set(row + down, column + right, cell);
                count += 1;
            }
        }
    }
    let range = Range { row, column, row_end: row + height, column_end: column + width };
    json!({
        "spreadsheetId": SPREADSHEET_ID, "updatedRange": range.shown(sheet),
        "updatedRows": height, "updatedColumns": width, "updatedCells": count,
    })
}

fn api_error(code: u16, message: &str, retry_after: Option<u64>) -> Response {
    let word = match code {
        400 => "INVALID_ARGUMENT",
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        409 => "ABORTED",
        429 => "RESOURCE_EXHAUSTED",
        503 => "UNAVAILABLE",
        _ => "INTERNAL",
    };
    answer(code, json!({ "error": { "code": code, "message": message, "status": word } }), retry_after)
}

fn oauth_error(code: u16, error: &str, description: &str, retry_after: Option<u64>) -> Response {
    answer(code, json!({ "error": error, "error_description": description }), retry_after)
}

fn answer(code: u16, body: Value, retry_after: Option<u64>) -> Response {
    let status = StatusCode::from_u16(code).expect("a status");
    let mut response = (status, axum::Json(body)).into_response();
    response.headers_mut().extend(retry_after.map(|seconds| (axum::http::header::RETRY_AFTER, seconds.into())));
    response
}

/// A success that cannot be understood: another page, or the beginning of the right one.
fn broken(fault: Fault, answer: Value) -> Response {
    if !matches!(fault, Fault::CutOff) {
        return "<html>Welcome to the airport's network</html>".into_response();
    }
    let mut text = answer.to_string();
    text.truncate(text.len() / 2);
    let pieces = [Ok(text), Err(std::io::Error::other("the connection is cut"))];
    Body::from_stream(futures_util::stream::iter(pieces)).into_response()
}
