//! Changes to an order that is there: what may be patched, and where it may be moved.

use super::fields::{Fields, instant_or_utc, line, text};
use super::json;
use super::problem::{Problems, Refused};
use super::{LONGEST_NAME, LONGEST_NOTES, NAME, NOTES};
use crate::ordering::status::OrderStatus;
use jiff::Timestamp;

/// The longest reason for a change of status, in characters.
pub const LONGEST_REASON: usize = 200;

/// What to change: `None` leaves it as it is, `Some(None)` erases it. Something is changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Patch {
    /// When it should be ready.
    pub estimated_ready_time: Option<Option<Timestamp>>,
    /// What was asked for beside the menu.
    pub notes: Option<Option<String>>,
    /// Whom to call out.
    pub name: Option<Option<String>>,
}

impl Patch {
    /// Reads the body of a PATCH.
    ///
    /// # Errors
    /// Anything but at least one of the three fields.
    pub fn parse(body: &[u8]) -> Result<Patch, Refused> {
        let mut problems = Problems::default();
        let mut fields = Fields::new(json::object(body)?, "");
        let patch = Patch {
            estimated_ready_time: fields.take_erasable(&mut problems, &["estimated_ready_time"], instant_or_utc),
            notes: fields.take_erasable(&mut problems, &NOTES, line(LONGEST_NOTES)).map(Option::flatten),
            name: fields.take_erasable(&mut problems, &NAME, line(LONGEST_NAME)).map(Option::flatten),
        };
        fields.finish(&mut problems);
        if problems.are_none() && patch == Patch::default() {
            problems.invalid("", "there is nothing to change: estimated_ready_time, notes or name");
        }
        problems.or(Some(patch))
    }
}

/// Where an order is to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusChange {
    /// The status it is to have.
    pub status: OrderStatus,
    /// Why, for the history.
    pub reason: Option<String>,
}

impl StatusChange {
    /// Reads `{"status", "reason"?}`.
    ///
    /// # Errors
    /// No status, one that there is not, a reason that is too long, anything else.
    pub fn parse(body: &[u8]) -> Result<StatusChange, Refused> {
        let mut problems = Problems::default();
        let mut fields = Fields::new(json::object(body)?, "");
        let status = fields.take(&mut problems, &["status"], |value| {
            text(value)?.parse::<OrderStatus>().map_err(|error| error.to_string())
        });
        let reason = fields.take(&mut problems, &["reason"], line(LONGEST_REASON)).flatten();
        fields.finish(&mut problems);
        if status.is_none() && !problems.concern(&["status"]) {
            problems.invalid("status", "it has to be said");
        }
        problems.or(status.map(|status| StatusChange { status, reason }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_changes_erases_or_leaves_alone() {
        let patch = Patch::parse(br#"{"notes":null,"customer_name":" Ada  L. "}"#).unwrap();
        assert_eq!(patch, Patch { estimated_ready_time: None, notes: Some(None), name: Some(Some("Ada L.".into())) });
        let patch = Patch::parse(br#"{"estimated_ready_time":"2024-11-22T15:30:00-08:00","name":" "}"#).unwrap();
        assert_eq!(patch.estimated_ready_time, Some(Some("2024-11-22T23:30:00Z".parse().unwrap())));
        assert_eq!((patch.name, patch.notes), (Some(None), None), "a blank name is none");
        assert_eq!(Patch::parse(br#"{"estimated_ready_time":null}"#).unwrap().estimated_ready_time, Some(None));
    }

    #[test]
    fn a_patch_changes_nothing_else() {
        for (wrong, field) in [
            ("{}", ""),
            ("[]", ""),
            (r#"{"status":"ready"}"#, "status"),
            (r#"{"name":"Ada","total":0}"#, "total"),
            (r#"{"name":7}"#, "name"),
            (r#"{"notes":["a"]}"#, "notes"),
            (r#"{"estimated_ready_time":"soon"}"#, "estimated_ready_time"),
            (r#"{"name":"Ada","customer_name":"Eve"}"#, "customer_name"),
        ] {
            assert_eq!(Patch::parse(wrong.as_bytes()).expect_err(wrong).first().field(), field, "{wrong}");
        }
        assert!(Patch::parse(format!("{{\"name\":\"{}\"}}", "x".repeat(61)).as_bytes()).is_err());
    }

    #[test]
    fn a_status_may_be_said_in_another_systems_words() {
        for (said, status) in [
            ("preparing", OrderStatus::Preparing),
            ("processing", OrderStatus::Preparing),
            ("confirmed", OrderStatus::Received),
        ] {
            let change = StatusChange::parse(format!("{{\"status\":\"{said}\"}}").as_bytes()).unwrap();
            assert_eq!(change, StatusChange { status, reason: None });
        }
        let change = StatusChange::parse(br#"{"reason":"out of\nmilk","status":"cancelled"}"#).unwrap();
        assert_eq!(change.reason.as_deref(), Some("out of milk"));
        for (wrong, field) in [
            ("{}", "status"),
            (r#"{"status":null}"#, "status"),
            (r#"{"status":"eaten"}"#, "status"),
            (r#"{"status":3}"#, "status"),
            (r#"{"status":"ready","reason":7}"#, "reason"),
            (r#"{"status":"ready","version":3}"#, "version"),
        ] {
            assert_eq!(StatusChange::parse(wrong.as_bytes()).expect_err(wrong).first().field(), field, "{wrong}");
        }
    }
}
