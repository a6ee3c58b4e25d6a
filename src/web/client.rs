//! Whose request it is, by address: the connection's, or what a trusted proxy says of it.
//!
//! Knows nothing of what an address may do; that is for `web::limits` and `web::places`.

use super::server::Peer;
use crate::rates;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use ipnet::IpNet;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The client's address: the connection's, or what a trusted proxy says of it. A handler finds it in the extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

impl<S: Send + Sync> FromRequestParts<S> for ClientAddress {
    type Rejection = Infallible;

    /// A request that came over no connection is nobody's: all those share one address.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let known = parts.extensions.get::<Self>().copied();
        Ok(known.unwrap_or(Self(IpAddr::V6(Ipv6Addr::UNSPECIFIED))))
    }
}

/// How clients are told apart: whose word is taken for an address, and who needs no limits. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Clients {
    proxies: Arc<[IpNet]>,
    local: bool,
}

impl Clients {
    /// The clients of a server behind these proxies; `local` when nobody but this machine reaches it.
    pub fn new(proxies: &[IpNet], local: bool) -> Self {
        Self { proxies: proxies.into(), local }
    }

    /// Whether the server is a local one.
    pub fn is_local(&self) -> bool {
        self.local
    }

    /// Whether whoever connects from there speaks for others: what it opens is not one client's.
    pub(super) fn is_proxy(&self, peer: IpAddr) -> bool {
        self.proxies.iter().any(|network| network.contains(&peer))
    }

    /// What limits count this address by: itself, or the /64 that an IPv6 client has to itself. None: it has no limits,
    /// which on a local server is true of the machine itself. A public one cannot know: behind a careless proxy every
    /// stranger looks like loopback.
    pub fn counted_as(&self, ClientAddress(address): ClientAddress) -> Option<IpAddr> {
        if self.local && address.is_loopback() {
            return None;
        }
        Some(rates::whose(address))
    }

    /// The right-most address of all `X-Forwarded-For` values that is no trusted proxy's: every address right of it was
    /// written by one, and what is left of it may be anybody's invention. Nobody but a proxy is listened to; what is no
    /// address ends the walk at the proxy that passed it on.
    fn address(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer.to_canonical();
        let values: Vec<&HeaderValue> = headers.get_all(FORWARDED_FOR).iter().collect();
        let entries = values.iter().rev().flat_map(|value| value.as_bytes().rsplit(|byte| *byte == b','));
        for entry in entries {
            if !self.is_proxy(client) {
                break;
            }
            let Some(address) = parse(entry) else { break };
            client = address;
        }
        client
    }
}

/// An address, perhaps in brackets or with a port.
fn parse(entry: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(entry).ok()?.trim();
    let bare = || text.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(IpAddr::V6);
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    let address = text.parse().ok().or_else(with_port).or_else(bare)?;
    Some(address.to_canonical())
}

/// Puts the [`ClientAddress`] into the request's extensions.
pub(super) async fn tell_apart(State(clients): State<Clients>, mut request: Request, next: Next) -> Response {
    if let Some(Peer(peer)) = request.extensions().get().copied() {
        let address = clients.address(peer, request.headers());
        request.extensions_mut().insert(ClientAddress(address));
    }
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clients(proxies: &[&str], local: bool) -> Clients {
        let network = |text: &&str| text.parse().expect("a network");
        Clients::new(&proxies.iter().map(network).collect::<Vec<IpNet>>(), local)
    }

    fn seen(clients: &Clients, peer: &str, values: &[&[u8]]) -> String {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(FORWARDED_FOR, HeaderValue::from_bytes(value).expect("a header's value"));
        }
        clients.address(peer.parse().expect("an address"), &headers).to_string()
    }

    #[test]
    fn the_address_is_the_right_most_that_is_no_proxys() {
        let clients = clients(&["127.0.0.0/8", "::1/128", "10.0.0.0/8", "2001:db8:ffff::/48"], false);
        let table: &[(&str, &[&[u8]], &str)] = &[
            // Nobody but a proxy is believed.
            ("203.0.113.9", &[], "203.0.113.9"),
            ("203.0.113.9", &[b"198.51.100.1"], "203.0.113.9"),
            ("::ffff:203.0.113.9", &[b"198.51.100.1"], "203.0.113.9"),
            ("2001:db8::1", &[b"127.0.0.1"], "2001:db8::1"),
            // A proxy is, one step after the other.
            ("127.0.0.1", &[b"198.51.100.1"], "198.51.100.1"),
            ("::1", &[b"198.51.100.1"], "198.51.100.1"),
            ("::ffff:127.0.0.1", &[b"198.51.100.1"], "198.51.100.1"),
            ("127.0.0.1", &[b"198.51.100.1, 10.1.2.3"], "198.51.100.1"),
            ("127.0.0.1", &[b"198.51.100.1,10.1.2.3 ,\t10.9.9.9 "], "198.51.100.1"),
            ("127.0.0.1", &[b"198.51.100.1", b"10.1.2.3"], "198.51.100.1"),
            ("127.0.0.1", &[b"198.51.100.1, 2001:db8:ffff::7"], "198.51.100.1"),
            // What the client itself wrote stands left of it and is not read.
            ("127.0.0.1", &[b"1.1.1.1, 198.51.100.1"], "198.51.100.1"),
            ("127.0.0.1", &[b"127.0.0.1, 10.0.0.1, 198.51.100.1"], "198.51.100.1"),
            ("127.0.0.1", &[b"1.1.1.1", b"198.51.100.1"], "198.51.100.1"),
            ("127.0.0.1", &[b"1.1.1.1", b"198.51.100.1, 10.0.0.2"], "198.51.100.1"),
            ("127.0.0.1", &[b"nonsense\xff, 198.51.100.1"], "198.51.100.1"),
            // Ports, brackets, mapped addresses.
            ("127.0.0.1", &[b"198.51.100.1:4711"], "198.51.100.1"),
            ("127.0.0.1", &[b"[2001:db8::5]:4711"], "2001:db8::5"),
            ("127.0.0.1", &[b"[2001:db8::5]"], "2001:db8::5"),
            ("127.0.0.1", &[b"2001:DB8::5"], "2001:db8::5"),
            ("127.0.0.1", &[b"::ffff:198.51.100.1"], "198.51.100.1"),
            ("127.0.0.1", &[b"198.51.100.1, ::ffff:10.0.0.1"], "198.51.100.1"),
            ("127.0.0.1", &[b"198.51.100.1, [::ffff:10.0.0.1]:80"], "198.51.100.1"),
            // All are proxies: the first of them asks for itself.
            ("127.0.0.1", &[], "127.0.0.1"),
            ("127.0.0.1", &[b"10.0.0.1, 10.0.0.2"], "10.0.0.1"),
            // What is no address ends the walk at the proxy that passed it on.
            ("127.0.0.1", &[b""], "127.0.0.1"),
            ("127.0.0.1", &[b","], "127.0.0.1"),
            ("127.0.0.1", &[b"unknown"], "127.0.0.1"),
            ("127.0.0.1", &[b"198.51.100.1, unknown, 10.0.0.1"], "10.0.0.1"),
            ("127.0.0.1", &[b"198.51.100.1, , 10.0.0.1"], "10.0.0.1"),
            ("127.0.0.1", &[b"198.51.100.1, \xff\xfe"], "127.0.0.1"),
            ("127.0.0.1", &[b"198.51.100.256"], "127.0.0.1"),
            ("127.0.0.1", &[b"0x7f.1"], "127.0.0.1"),
            ("127.0.0.1", &[b"198.51.100.1:99999"], "127.0.0.1"),
            ("127.0.0.1", &[b"[198.51.100.1]"], "127.0.0.1"),
            ("127.0.0.1", &[b"\"198.51.100.1\""], "127.0.0.1"),
            ("127.0.0.1", &[b"for=198.51.100.1"], "127.0.0.1"),
            ("127.0.0.1", &[b"198.51.100.1;10.0.0.1"], "127.0.0.1"),
        ];
        for (peer, values, expected) in table {
            let told: Vec<_> = values.iter().map(|value| String::from_utf8_lossy(value)).collect();
            assert_eq!(seen(&clients, peer, values), *expected, "{peer} says {told:?}");
        }
    }

    #[test]
    fn without_proxies_nobody_is_believed() {
        assert_eq!(seen(&clients(&[], false), "127.0.0.1", &[b"198.51.100.1"]), "127.0.0.1");
    }

    #[test]
    fn a_client_is_counted_by_what_it_has_to_itself() {
        let counted = |local, address: &str| {
            let address = ClientAddress(address.parse().expect("an address"));
            clients(&[], local).counted_as(address).map(|address| address.to_string())
        };
        assert_eq!(counted(false, "198.51.100.1").as_deref(), Some("198.51.100.1"));
        assert_eq!(counted(false, "2001:db8:1:2:3:4:5:6").as_deref(), Some("2001:db8:1:2::"));
        for loopback in ["127.0.0.1", "127.9.9.9", "::1"] {
            assert_eq!(counted(true, loopback), None);
            assert!(counted(false, loopback).is_some(), "a public server cannot tell loopback from a careless proxy");
        }
        assert!(counted(true, "198.51.100.1").is_some());
    }
}
