//! Which point of sale an order has to pass, and what that one needs.

use super::groups::private_url;
use super::reader::Reader;
use secrecy::SecretString;
use std::time::Duration;

/// The point of sale that an order has to pass before it counts as received.
#[derive(Clone, Debug)]
pub enum PosConfig {
    /// There is none: an order is received as soon as it is saved.
    None,
    /// One that is played.
    Simulated(SimulatedPosConfig),
    /// A program of the shop's that speaks the protocol of `docs/point-of-sale.md`.
    Http(HttpPosConfig),
    /// Square.
    Square(SquareConfig),
}

/// How a point of sale is played.
#[derive(Clone, Debug)]
pub struct SimulatedPosConfig {
    /// How long it thinks about a ticket.
    pub delay: Duration,
    /// How many of a hundred tickets it refuses, at most 100.
    pub failure_percent: u8,
}

/// Where tickets are posted to.
#[derive(Clone, Debug)]
pub struct HttpPosConfig {
    /// `https`, or `http` to this machine.
    pub url: String,
    /// Signs every request.
    pub secret: SecretString,
}

/// One location of a Square seller.
#[derive(Clone, Debug)]
pub struct SquareConfig {
    /// `Authorization: Bearer …`.
    pub access_token: SecretString,
    /// The location that orders are created at.
    pub location_id: String,
    /// Base URL, no trailing slash; `http` only to this machine.
    pub api_base: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    None,
    Simulated,
    Http,
    Square,
}

pub(super) fn read_pos(reader: &mut Reader<'_>) -> PosConfig {
    let kind = reader.parsed("POINT_OF_SALE", "none, simulated, http or square", |text| match text {
        "none" => Some(Kind::None),
        "simulated" => Some(Kind::Simulated),
        "http" => Some(Kind::Http),
        "square" => Some(Kind::Square),
        _ => None,
    });
    // All of them are read whatever is chosen, so that a typing mistake is found before the day it matters.
    let simulated = read_simulated(reader);
    let http = read_http(reader, kind == Some(Kind::Http));
    let square = read_square(reader, kind == Some(Kind::Square));
    match kind.unwrap_or(Kind::None) {
        Kind::None => PosConfig::None,
        Kind::Simulated => PosConfig::Simulated(simulated),
        // What is missing has been told of by then: nothing is started with this.
        Kind::Http => http.map_or(PosConfig::None, PosConfig::Http),
        Kind::Square => square.map_or(PosConfig::None, PosConfig::Square),
    }
}

fn read_simulated(reader: &mut Reader<'_>) -> SimulatedPosConfig {
    SimulatedPosConfig {
        delay: Duration::from_millis(reader.number("POS_DELAY_MS", 3_000, 0..=600_000)),
        failure_percent: reader
            .parsed("POS_FAILURE_PERCENT", "a whole number from 0 to 100", |text| {
                text.parse().ok().filter(|percent| *percent <= 100)
            })
            .unwrap_or(10),
    }
}

fn read_http(reader: &mut Reader<'_>, chosen: bool) -> Option<HttpPosConfig> {
    let url = private_url(reader, "POS_URL");
    let secret = reader.secret("POS_SECRET");
    if chosen {
        let why = "POINT_OF_SALE=http needs";
        reader.need("POS_URL", url.is_some(), &format!("{why} the address that takes the tickets"));
        reader.need("POS_SECRET", secret.is_some(), &format!("{why} the secret that both sides sign with"));
    }
    url.zip(secret).map(|(url, secret)| HttpPosConfig { url, secret })
}

fn read_square(reader: &mut Reader<'_>, chosen: bool) -> Option<SquareConfig> {
    let access_token = reader.secret("SQUARE_ACCESS_TOKEN");
    let location_id =
        reader.parsed("SQUARE_LOCATION_ID", "at most 50 letters and digits, such as L88917AVBK2S5", |text| {
            let sane = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
            (sane && text.len() <= 50).then(|| text.to_owned())
        });
    let api_base = private_url(reader, "SQUARE_API_BASE").map(|url| url.trim_end_matches('/').to_owned());
    if chosen {
        let why = "POINT_OF_SALE=square needs";
        let token = format!("{why} an access token, from Square's developer console");
        reader.need("SQUARE_ACCESS_TOKEN", access_token.is_some(), &token);
        reader.need("SQUARE_LOCATION_ID", location_id.is_some(), &format!("{why} the location that orders belong to"));
    }
    access_token.zip(location_id).map(|(access_token, location_id)| SquareConfig {
        access_token,
        location_id,
        api_base: api_base.unwrap_or_else(|| "https://connect.squareup.com".to_owned()),
    })
}
