//! Whether a request comes from a page of our own, and which paths are ours to send a browser to.

use axum::http::{HeaderMap, HeaderName, Uri, header};
use std::fmt::Write as _;

/// Longer than any of our own paths with its query.
const LONGEST_PATH: usize = 1024;

/// Whether a page of another site has sent this. A browser that says so itself (Fetch Metadata) is believed: no page can
/// make it say otherwise. Of the others the origin has to be this host.
pub(super) fn is_cross_site(headers: &HeaderMap, target: &Uri) -> bool {
    let value = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    if let Some(site) = value(HeaderName::from_static("sec-fetch-site")) {
        return !["same-origin", "none"].iter().any(|ours| site.eq_ignore_ascii_case(ours));
    }
    let Some(origin) = value(header::ORIGIN) else { return false };
    let host = value(header::HOST).or_else(|| target.authority().map(|authority| authority.as_str()));
    // `null`, the origin of a page that hides where it is from, has no host. Ours hide it in the forms that they send
    // (`Referrer-Policy: no-referrer`), but not in what their scripts post.
    match (origin.split_once("://"), host) {
        (Some((scheme, from)), Some(host)) => !is_same_host(scheme, from, host),
        _ => true,
    }
}

/// A scheme's own port may be written or left out; a TLS proxy may add it to `Host`.
fn is_same_host(scheme: &str, from: &str, host: &str) -> bool {
    let port = if scheme.eq_ignore_ascii_case("https") { ":443" } else { ":80" };
    let bare = |host: &str| host.strip_suffix(port).unwrap_or(host).to_ascii_lowercase();
    bare(from) == bare(host)
}

/// The text if it is a path on this server, with perhaps a query. `//host` and `/\host` lead elsewhere, and browsers drop
/// control characters before they look.
pub(super) fn own_path(text: &str) -> Option<&str> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    (is_plain && text.len() <= LONGEST_PATH && text.starts_with('/') && !text.starts_with("//")).then_some(text)
}

/// As it may stand in a query.
pub(super) fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing into a string cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn a_page_of_another_site_is_told_from_our_own() {
        let is_cross = |pairs: &[(&'static str, &'static str)]| {
            let pairs =
                pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
            is_cross_site(&pairs.collect(), &Uri::from_static("/api/seed"))
        };
        for ours in [
            &[][..],
            &[("host", "shop.example")],
            &[("host", "shop.example"), ("sec-fetch-site", "same-origin")],
            &[("host", "shop.example"), ("sec-fetch-site", "none")],
            &[("host", "shop.example"), ("sec-fetch-site", "same-origin"), ("origin", "null")],
            &[("host", "shop.example"), ("sec-fetch-site", "none"), ("origin", "null")],
            // A proxy that changes the host is no other site.
            &[("host", "10.0.0.7:8000"), ("sec-fetch-site", "Same-Origin"), ("origin", "https://shop.example")],
            &[("host", "shop.example"), ("origin", "https://shop.example")],
            &[("host", "shop.example:443"), ("origin", "https://SHOP.example")],
            &[("host", "localhost:8000"), ("origin", "http://localhost:8000")],
            &[("host", "[::1]:8000"), ("origin", "http://[::1]:8000")],
        ] {
            assert!(!is_cross(ours), "{ours:?}");
        }
        for theirs in [
            &[("host", "shop.example"), ("sec-fetch-site", "cross-site")][..],
            &[("host", "shop.example"), ("sec-fetch-site", "Same-Site")],
            &[("host", "shop.example"), ("sec-fetch-site", "cross-site"), ("origin", "https://shop.example")],
            &[("host", "shop.example"), ("sec-fetch-site", ""), ("origin", "https://shop.example")],
            &[("host", "shop.example"), ("sec-fetch-site", "something new")],
            &[("host", "shop.example"), ("origin", "https://shop.example.evil.example")],
            &[("host", "shop.example"), ("origin", "null")],
            &[("host", "shop.example"), ("origin", "")],
            &[("host", "localhost:8000"), ("origin", "http://localhost:3000")],
            &[("host", "localhost:8000"), ("origin", "http://localhost")],
            &[("host", "localhost:443"), ("origin", "http://localhost")],
            &[("origin", "https://shop.example")],
        ] {
            assert!(is_cross(theirs), "{theirs:?}");
        }
    }

    #[test]
    fn only_a_path_of_our_own_is_one() {
        for own in ["/", "/barista", "/orders?token=%20x&y=1", "/a//b", "/@evil.example", "/x#y"] {
            assert_eq!(own_path(own), Some(own));
        }
        let long = format!("/{}", "x".repeat(LONGEST_PATH));
        for elsewhere in [
            "",
            "barista",
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "\\/evil.example",
            "/a\\b",
            "https://evil.example/",
            "javascript:alert(1)",
            "/\t/evil.example",
            "\t//evil.example",
            "/x\r\nSet-Cookie: staff=1",
            "/ä",
            "/a b",
            &long,
        ] {
            assert_eq!(own_path(elsewhere), None, "{elsewhere:?}");
        }
    }

    #[test]
    fn what_is_encoded_ends_no_query() {
        assert_eq!(encoded("/orders?x=1&y=ä #"), "/orders%3Fx%3D1%26y%3D%C3%A4%20%23");
    }
}
