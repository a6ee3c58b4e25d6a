//! The cookies: staff's sign-in, the device that they used, the TV's pass, and a guest's. No script can read them, and no
//! other site's request that changes anything carries them.

use axum::http::{HeaderMap, HeaderValue, header};
use std::time::Duration;

/// More of one name than any browser of ours sends; the rest is somebody's play.
const MOST: usize = 4;

/// Which cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cookie {
    Staff,
    /// Opens nothing; see `staff`.
    Device,
    Tv,
    /// Who somebody is in which session of a table.
    Guest,
}

/// How cookies are written, as the outside sees this server.
#[derive(Clone, Copy, Debug)]
pub struct Cookies {
    over_tls: bool,
}

impl Cookies {
    /// `over_tls`: browsers reach this server by https. Then the cookies are for this very host, and for https only.
    pub fn new(over_tls: bool) -> Self {
        Self { over_tls }
    }

    /// The value of a `Set-Cookie` for so long. The value holds letters, digits and dots only.
    pub(super) fn set(self, cookie: Cookie, value: &str, max_age: Duration) -> HeaderValue {
        let (name, secure) = (self.name(cookie), if self.over_tls { "; Secure" } else { "" });
        let seconds = max_age.as_secs();
        let text = format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}");
        HeaderValue::try_from(text).expect("names, letters, digits and dots make a header")
    }

    /// A `Set-Cookie` that makes the browser forget it.
    pub(super) fn forget(self, cookie: Cookie) -> HeaderValue {
        self.set(cookie, "", Duration::ZERO)
    }

    /// What the browser has sent under the cookie's name.
    pub(super) fn sent(self, headers: &HeaderMap, cookie: Cookie) -> impl Iterator<Item = &str> {
        let name = self.name(cookie);
        // Pair by pair: another cookie of this host may hold any byte.
        let pairs = headers.get_all(header::COOKIE).iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
        let pairs = pairs.filter_map(|pair| std::str::from_utf8(pair).ok()?.trim().split_once('='));
        pairs.filter(move |(given, _)| *given == name).map(|(_, value)| value).take(MOST)
    }

    fn name(self, cookie: Cookie) -> &'static str {
        match (cookie, self.over_tls) {
            (Cookie::Staff, true) => "__Host-staff",
            (Cookie::Staff, false) => "staff",
            (Cookie::Device, true) => "__Host-device",
            (Cookie::Device, false) => "device",
            (Cookie::Tv, true) => "__Host-tv",
            (Cookie::Tv, false) => "tv",
            (Cookie::Guest, true) => "__Host-guest",
            (Cookie::Guest, false) => "guest",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_for_this_host_and_for_no_script() {
        let (tls, plain) = (Cookies::new(true), Cookies::new(false));
        let hour = Duration::from_secs(3600);
        assert_eq!(
            tls.set(Cookie::Staff, "ab12", hour),
            "__Host-staff=ab12; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax; Secure"
        );
        assert_eq!(plain.set(Cookie::Tv, "ab12", hour), "tv=ab12; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax");
        assert_eq!(plain.forget(Cookie::Staff), "staff=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax");
    }

    #[test]
    fn only_cookies_of_the_very_name_are_looked_at() {
        let sent = |over_tls: bool, lines: &[&'static str]| {
            let lines = lines.iter().map(|line| (header::COOKIE, HeaderValue::from_static(line)));
            let headers: HeaderMap = lines.collect();
            Cookies::new(over_tls).sent(&headers, Cookie::Staff).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(sent(false, &["a=b; staff=1;staff=2", "staff=3; tv=4"]), ["1", "2", "3"]);
        assert_eq!(sent(true, &["staff=1; __Host-staff=2; __host-staff=3"]), ["2"]);
        assert_eq!(sent(false, &["Staff=1; xstaff=2; staff; =staff; staff =4"]), [""; 0]);
        assert_eq!(sent(false, &["staff=; staff=a=b"]), ["", "a=b"]);
        assert_eq!(sent(false, &["staff=1; staff=2; staff=3; staff=4; staff=5"]).len(), MOST);
        assert_eq!(sent(false, &[]), [""; 0]);
        let other = HeaderValue::from_bytes(b"theme=gr\xfcn; staff=1; note=\xff; staff=2").unwrap();
        let headers = HeaderMap::from_iter([(header::COOKIE, other)]);
        assert_eq!(Cookies::new(false).sent(&headers, Cookie::Staff).collect::<Vec<_>>(), ["1", "2"]);
    }
}
