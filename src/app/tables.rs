//! Tables as the settings want them.

use crate::config::Config;
use crate::ordering::phone_number::Region;
use crate::table::Settings;
use crate::table::session::PhoneRules;
use jiff::SignedDuration;

/// Screens of guests that may be connected at once, beside all else.
pub(super) const GUESTS: usize = 4_096;
/// Of one address: all who use the shop's own network come from there.
pub(super) const GUESTS_OF_ONE: usize = 1_024;

pub(super) fn settings(config: &Config, region: Region, countries: Vec<Region>) -> Settings {
    let span = |time| SignedDuration::try_from(time).unwrap_or(SignedDuration::MAX);
    Settings {
        ahead: config.tables.order_ahead,
        open_for: span(config.tables.open),
        idle: span(config.tables.idle),
        phones: PhoneRules { region, countries },
    }
}
