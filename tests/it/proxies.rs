//! The proxies that `deploy/` is for, the real ones, before the real server: a whole signed call, a live feed and a sign-in
//! through each. The files that are tested are those that are shipped; only names, ports and certificates are put in.

use crate::harness::feed::Feed;
use crate::harness::{ACCOUNT_SID, AUTH_TOKEN, Answer, PATIENCE, TestShop, client, quick_order};
use bobarista::simulator::CallerOptions;
use bobarista::web::server::Bounds;
use reqwest::header::{CONTENT_TYPE, COOKIE, HOST, ORIGIN};
use serde_json::json;
use std::iter;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const SITE: &str = "voice.example.com";
const FORWARDED_FOR: &str = "x-forwarded-for";

/// A proxy as it runs. Dropping it ends it.
struct Proxy {
    process: Child,
    address: SocketAddr,
    /// Where it keeps what it must; it is gone with it.
    _folder: tempfile::TempDir,
}

/// What a proxy listens with, made for a port.
type Made = (tempfile::TempDir, Command);

impl Proxy {
    /// Starts it at the first of these ports that it gets: another program may take one between the choice and the start.
    async fn start(ports: impl IntoIterator<Item = u16>, make: impl Fn(u16) -> Made) -> Self {
        for port in ports.into_iter().take(5) {
            let (folder, mut command) = make(port);
            command.current_dir(folder.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            let process = command.spawn().expect("the proxy is installed; tests/run sees to it");
            let mut proxy = Self { process, address: (Ipv4Addr::LOCALHOST, port).into(), _folder: folder };
            if tokio::time::timeout(PATIENCE, proxy.listens()).await.expect("it listens or ends") {
                return proxy;
            }
        }
        panic!("the proxy ends at every port");
    }

    /// Waits until it listens, or has ended, which is false. It tells nobody.
    async fn listens(&mut self) -> bool {
        while !has_listener(self.process.id(), self.address.port()) {
            if self.process.try_wait().expect("it is ours").is_some() {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        true
    }

    async fn caddy(server: SocketAddr) -> Self {
        Self::caddy_at(free_ports(), server).await
    }

    async fn caddy_at(ports: impl IntoIterator<Item = u16>, server: SocketAddr) -> Self {
        let make = |port| {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let mut command = Command::new("caddy");
            let config = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/Caddyfile");
            command.args(["run", "--adapter", "caddyfile", "--config", config]);
            command.env("BOBARISTA_HOST", format!("http://{SITE}:{port}")).env("BOBARISTA_AT", server.to_string());
            command.env("HOME", folder.path()).env_remove("XDG_CONFIG_HOME").env_remove("XDG_DATA_HOME");
            // The default is one port for all.
            command.env("CADDY_ADMIN", format!("unix/{}", folder.path().join("admin").display()));
            (folder, command)
        };
        Self::start(ports, make).await
    }

    async fn nginx(server: SocketAddr) -> Self {
        Self::nginx_at(free_ports(), server).await
    }

    async fn nginx_at(ports: impl IntoIterator<Item = u16>, server: SocketAddr) -> Self {
        Self::start(ports, |port| nginx_for(port, server)).await
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if !matches!(self.process.try_wait(), Ok(None)) {
            return;
        }
        // SIGTERM, so that it takes its workers along.
        let _ = Command::new("sh").args(["-c", &format!("kill -TERM {}", self.process.id())]).status();
        let _ = self.process.wait();
    }
}

fn nginx_for(port: u16, server: SocketAddr) -> Made {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let site = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/nginx.conf");
    let mut site = std::fs::read_to_string(site).expect("it is there");
    let certificate = |name: &str| {
        let line = site.lines().find(|line| line.trim_start().starts_with(&format!("{name} ")));
        line.unwrap_or_else(|| panic!("no {name}")).to_owned()
    };
    let certificates = [certificate("ssl_certificate"), certificate("ssl_certificate_key")];
    for (shipped, here) in [
        ("server 127.0.0.1:8000;", format!("server {server};")),
        ("listen 443 ssl;", format!("listen 127.0.0.1:{port};")),
        (&certificates[0], String::new()),
        (&certificates[1], String::new()),
    ] {
        assert_eq!(site.matches(shipped).count(), 1, "{shipped}");
        site = site.replace(shipped, &here);
    }
    let at = folder.path().display();
    let bodies = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(|of| format!("{of}_temp_path {at}/{of};"));
    let around = format!(
        "daemon off;\npid {at}/pid;\nerror_log {at}/errors;\nevents {{}}\nhttp {{\n{}\n{site}\n}}\n",
        bodies.join("\n")
    );
    let config = write(folder.path(), "nginx.conf", &around);
    let mut command = Command::new("nginx");
    command.env("PATH", format!("/usr/sbin:{}", std::env::var("PATH").unwrap_or_default()));
    command.args(["-e", "errors", "-p", &at.to_string(), "-c", &config]);
    (folder, command)
}

fn write(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).expect("a file");
    path.display().to_string()
}

/// Such as nobody had a moment ago.
fn free_ports() -> impl Iterator<Item = u16> {
    iter::repeat_with(|| {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        listener.local_addr().expect("an address").port()
    })
}

/// Whether a process itself listens at a port, as Linux tells; at that port somebody else may.
fn has_listener(process: u32, port: u16) -> bool {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|table| std::fs::read_to_string(table).unwrap_or_default());
    let listeners = tables.iter().flat_map(|table| table.lines()).filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        // State 0A is LISTEN.
        let listens = fields.get(1)?.ends_with(&format!(":{port:04X}")) && *fields.get(3)? == "0A";
        listens.then(|| format!("socket:[{}]", fields.get(9).unwrap_or(&"")))
    });
    let sockets: Vec<String> = listeners.collect();
    let Ok(open) = std::fs::read_dir(format!("/proc/{process}/fd")) else { return false };
    let mut targets = open.filter_map(|file| std::fs::read_link(file.ok()?.path()).ok());
    targets.any(|target| sockets.iter().any(|socket| target.as_os_str() == socket.as_str()))
}

async fn shop() -> TestShop {
    let settings = [
        ("VOICE_HOST", SITE),
        ("TWILIO_ACCOUNT_SID", ACCOUNT_SID),
        ("TWILIO_AUTH_TOKEN", AUTH_TOKEN),
        ("STAFF_PASSWORD", "sesame"),
    ];
    TestShop::open_with([quick_order()], &settings).await
}

async fn serves_a_shop_through(proxy: Proxy, mut shop: TestShop) {
    let to = |path: &str| client().get(proxy.url(path)).header(HOST, SITE);
    let sign_in = |password: &str| {
        let request = client().post(proxy.url("/login")).header(HOST, SITE).header(ORIGIN, format!("https://{SITE}"));
        Answer::to(request.header(CONTENT_TYPE, "application/json").body(json!({"password": password}).to_string()))
    };
    assert_eq!(sign_in("guess").await.status, 401);
    let cookie = sign_in("sesame").await.cookie();
    // From another site's page: the Host that the proxy passes on tells.
    let other = client().post(proxy.url("/logout")).header(HOST, SITE).header(ORIGIN, "https://evil.example");
    Answer::to(other.header(COOKIE, &cookie)).await.assert_error(403, "FORBIDDEN");

    // An event is here long before the feed says anything else: nothing is held back.
    let mut feed = Feed::of(to("/barista/events").header(COOKIE, &cookie)).await;
    let mut public = Feed::of(to("/orders/events")).await;

    let options = CallerOptions { base: proxy.url(""), dial_streams_at: Some(proxy.address), ..shop.caller_options() };
    assert_eq!(options.public_base.as_deref(), Some("https://voice.example.com"), "and what is signed");
    let call = shop.call_as(&quick_order(), options).await;
    call.assert_flawless();
    assert!(call.report.after.as_deref().is_some_and(|after| after.contains("<Hangup/>")));
    assert_eq!(feed.event_of("order_created").await["order_number"], call.order_number().to_string());
    assert_eq!(public.event().await.1["type"], "order_created");
    assert_eq!(shop.order_files().len(), 1);

    let unsigned = client().post(proxy.url("/voice")).header(HOST, SITE).form(&[("CallSid", "CA1")]);
    assert_eq!(unsigned.send().await.expect("an answer").status(), 403, "nobody has signed it");
}

/// What a server behind the proxy is told of a request, with what the client itself had written.
async fn is_told_who_asks(proxy: Proxy, server: tokio::net::TcpListener) {
    let request = client().get(proxy.url("/x")).header(HOST, format!("{SITE}:8443")).header(FORWARDED_FOR, "192.0.2.7");
    let asked = tokio::spawn(request.send());
    let (mut socket, _) = tokio::time::timeout(PATIENCE, server.accept()).await.expect("in time").expect("a socket");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await.expect("a whole head"));
    }
    socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.expect("it is read");
    assert_eq!(asked.await.expect("no panic").expect("an answer").status(), 200);
    let head = String::from_utf8(head).expect("text");
    assert!(head.starts_with("GET /x HTTP/1.1\r\n"), "{head}");
    let values = |name: &str| {
        let fields = head.lines().filter_map(|line| line.split_once(": "));
        let values = fields.filter(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned());
        values.collect::<Vec<String>>()
    };
    assert_eq!(values("host"), [format!("{SITE}:8443")]);
    let forwarded = values(FORWARDED_FOR).join(", ");
    // The last address is the client's as the proxy sees it; what stands before is never read.
    assert_eq!(forwarded.rsplit(", ").next(), Some("127.0.0.1"), "{forwarded}");
}

async fn nobody() -> (tokio::net::TcpListener, SocketAddr) {
    let server = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let address = server.local_addr().expect("an address");
    (server, address)
}

#[tokio::test(flavor = "multi_thread")]
async fn both_tell_who_asks_and_for_what_host() {
    let (server, address) = nobody().await;
    is_told_who_asks(Proxy::caddy(address).await, server).await;
    let (server, address) = nobody().await;
    is_told_who_asks(Proxy::nginx(address).await, server).await;
}

/// Waits until the proxy closes a connection to the server that nobody uses: the server closes it as well, and a request
/// that comes at that very moment is lost.
async fn lets_go_first(proxy: Proxy, server: tokio::net::TcpListener) {
    let asked = tokio::spawn(client().get(proxy.url("/x")).header(HOST, SITE).send());
    let (mut socket, _) = tokio::time::timeout(PATIENCE, server.accept()).await.expect("in time").expect("a socket");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await.expect("a whole head"));
    }
    socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.expect("it is read");
    assert_eq!(asked.await.expect("no panic").expect("an answer").status(), 200);
    let patience = Bounds::default().headers - Duration::from_secs(1);
    let closed = tokio::time::timeout(patience, socket.read(&mut [0])).await;
    assert_eq!(closed.expect("well before the server would").expect("tidily"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn both_let_go_of_a_connection_before_the_server_does() {
    let ((server, address), (other, other_address)) = (nobody().await, nobody().await);
    let (caddy, nginx) = (Proxy::caddy(address).await, Proxy::nginx(other_address).await);
    tokio::join!(lets_go_first(caddy, server), lets_go_first(nginx, other));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_taken_is_not_taken_for_the_proxy() {
    let (taken, address) = nobody().await;
    let ports = || iter::once(address.port()).chain(free_ports());
    assert_ne!(Proxy::caddy_at(ports(), address).await.address, address);
    assert_ne!(Proxy::nginx_at(ports(), address).await.address, address);
    drop(taken);
}

#[tokio::test(flavor = "multi_thread")]
async fn caddy_passes_a_call_a_feed_and_a_sign_in() {
    let shop = shop().await;
    serves_a_shop_through(Proxy::caddy(shop.shop.address()).await, shop).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nginx_passes_a_call_a_feed_and_a_sign_in() {
    let shop = shop().await;
    serves_a_shop_through(Proxy::nginx(shop.shop.address()).await, shop).await;
}
