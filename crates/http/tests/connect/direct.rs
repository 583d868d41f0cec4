//! Connections to servers themselves.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use rosn_base::Addr;
use rosn_http::connect::{ConnectOptions, Connector, Proxies, uri};
use rosn_http::{Error, Phase};
use rosn_net::{BoxFuture, DialContext, Dialer, KeepAlive, Network, OsNet, Resolve, Resolved};
use tokio::net::{TcpListener, TcpSocket, UnixListener};

use crate::script::{
    LOCALHOST, Log, Server, assert_echo, connect, connect_to, echo, options, within,
};

fn shown(error: Result<impl std::fmt::Debug, Error>) -> String {
    error.unwrap_err().to_string()
}

/// T5: an address is not resolved; a name is, though it be found without asking.
#[tokio::test]
async fn addresses_need_no_dns() {
    let server = Server::new(|stream| echo(stream, "")).await;
    let port = server.addr.port();
    let (connected, log) = connect(options(&[]), &format!("http://127.0.0.1:{port}/")).await;
    let mut connected = connected.unwrap();
    assert_echo(&mut connected.stream, "").await;
    assert_eq!(connected.peer, Some(Addr::Ip(server.addr)));
    assert!(connected.local.is_some() && connected.alpn.is_none() && !connected.absolute_form);
    assert_eq!(log, ["connect 1 127.0.0.1", "connect 1 done: ok"]);

    let url = format!("http://server.test:{port}/");
    let (connected, log) = connect(options(&[server.addr]), &url).await;
    connected.unwrap();
    let dns = ["dns server.test", "dns done: 1"];
    assert_eq!(log, [&dns[..], &["connect 1 127.0.0.1", "connect 1 done: ok"]].concat());
}

/// Row 8, T23: names are in punycode from the start.
#[tokio::test]
async fn names_are_in_punycode() {
    let server = Server::new(|stream| echo(stream, "")).await;
    let url = format!("http://ПРИМЕР.рф:{}/", server.addr.port());
    let connector = Connector::new(options(&[server.addr])).unwrap();
    let target = connector.target(&uri(&url).unwrap()).unwrap();
    let authority = format!("xn--e1afmkfd.xn--p1ai:{}", server.addr.port());
    assert_eq!((&*target.authority, target.first_hop()), (&*authority, &*authority));
    let log = Log::default();
    connect_to(&connector, &target, &log).await.unwrap();
    assert_eq!(log.lines()[0], "dns xn--e1afmkfd.xn--p1ai");
}

/// Knows no name; before it says so, it dials on its own account.
struct Ignorant(Dialer, Addr);

impl Resolve for Ignorant {
    fn resolve<'a>(
        &'a self,
        _host: &'a str,
        _network: Network,
    ) -> BoxFuture<'a, io::Result<Resolved>> {
        Box::pin(async {
            self.0.dial(&self.1, &DialContext::default()).await.map_err(io::Error::other)?;
            Err(io::Error::other("no such host"))
        })
    }
}

/// Row 6, T6, 1A.4: the name cannot be resolved: DnsDone says why and nothing is connected to; how the resolver
/// itself came to know is not reported.
#[tokio::test]
async fn a_name_that_nobody_knows() {
    let server = Server::new(|stream| echo(stream, "")).await;
    let mut options = options(&[]);
    let nameserver = Addr::Ip(server.addr);
    options.dialer.resolver = Arc::new(Ignorant(options.dialer.clone(), nameserver));
    let (result, log) = connect(options, "http://nobody.test/").await;
    assert_eq!(log, ["dns nobody.test", "dns done: no such host"]);
    let error = result.unwrap_err();
    assert!(error.is_dns() && !error.is_timeout());
    assert_eq!(
        error.to_string(),
        "cannot resolve the name of nobody.test:80: the name cannot be resolved: no such host"
    );
}

/// A port of this host that refuses connections, for as long as the socket lives.
fn refusing() -> (TcpSocket, u16) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((LOCALHOST, 0).into()).unwrap();
    let port = socket.local_addr().unwrap().port();
    (socket, port)
}

/// 1A.4: refused: ConnectDone says so.
#[tokio::test]
async fn a_server_that_is_not_there() {
    let (_socket, port) = refusing();
    let mut options = options(&[]);
    options.resolve.insert(format!("server.test:{port}").into(), vec![LOCALHOST]);
    let (result, log) = connect(options, &format!("http://server.test:{port}")).await;
    assert_eq!(log[2], "connect 1 127.0.0.1");
    assert!(log[3].starts_with("connect 1 done: cannot connect to 127.0.0.1"), "{log:?}");
    let error = result.unwrap_err();
    assert_eq!(error.phase(), Phase::Connect);
    assert_eq!(
        error.to_string(),
        format!(
            "cannot connect to server.test:{port} (127.0.0.1:{port}): refused: nothing listens there"
        )
    );
}

/// T7: each address that is tried has its pair of events.
#[tokio::test]
async fn the_second_address_answers() {
    // The same port on two addresses of this host: one refuses.
    let (listener, _refusing, port) = loop {
        let (refusing, port) = refusing();
        if let Ok(listener) = TcpListener::bind(("127.0.0.2", port)).await {
            break (listener, refusing, port);
        }
    };
    let mut options = options(&[]);
    let addrs: [IpAddr; 2] = [LOCALHOST, "127.0.0.2".parse().unwrap()];
    options.resolve.insert(format!("server.test:{port}").into(), addrs.to_vec());
    let (result, log) = connect(options, &format!("http://server.test:{port}")).await;
    assert_eq!(result.unwrap().peer, Some(Addr::Ip(listener.local_addr().unwrap())));
    assert_eq!(log[1..3], ["dns done: 2", "connect 1 127.0.0.1"]);
    assert_eq!(log[4..], ["connect 2 127.0.0.2", "connect 2 done: ok"]);
}

/// Never answers.
struct Silent;

impl Resolve for Silent {
    fn resolve<'a>(
        &'a self,
        _host: &'a str,
        _network: Network,
    ) -> BoxFuture<'a, io::Result<Resolved>> {
        Box::pin(std::future::pending())
    }
}

/// The limit of a dial counts from its start, and so does a deadline.
#[tokio::test(start_paused = true)]
async fn a_dial_that_takes_too_long() {
    let dialer = Dialer::new(Arc::new(OsNet), Arc::new(Silent));
    let (result, log) = connect(
        ConnectOptions { dialer, dial_timeout: Some(Duration::from_secs(3)), ..options(&[]) },
        "http://nobody.test/",
    )
    .await;
    assert_eq!(log, ["dns nobody.test", "dns done: timed out"]);
    let error = result.unwrap_err();
    assert!(error.is_timeout() && error.is_dns(), "{error}");
}

/// All is dialed at one address, such as a daemon's unix socket, and proxies do not matter.
#[tokio::test]
async fn a_unix_socket() {
    let folder = std::env::temp_dir().join(format!("rosn-connect-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("daemon.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let daemon = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        echo(stream, "I am a daemon").await;
    });
    let options = ConnectOptions {
        dial_to: Some(Addr::Unix(path.clone())),
        proxies: Proxies::all("http://127.0.0.1:1").unwrap(),
        ..options(&[])
    };
    let (connected, log) = connect(options, "http://docker/v1.43/info").await;
    let mut connected = connected.unwrap();
    assert_echo(&mut connected.stream, "I am a daemon").await;
    assert_eq!(connected.peer, Some(Addr::Unix(path)));
    assert_eq!(log.len(), 2, "{log:?}");
    drop(connected);
    within(daemon).await.unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
}

/// Targets are a pool's keys: an HTTP proxy takes requests for all `http` servers on one connection.
#[test]
fn which_targets_are_one() {
    let target = |proxy: &str, url: &str| {
        let proxies = match proxy {
            "" => Proxies::none(),
            proxy => Proxies::all(proxy).unwrap(),
        };
        let connector = Connector::new(ConnectOptions { proxies, ..options(&[]) }).unwrap();
        connector.target(&url.parse().unwrap()).unwrap()
    };
    let same = [
        ("", "http://a.test/1", "", "http://A.test:80/2"),
        ("", "https://a.test", "", "https://user@a.test:443/"),
        ("http://p", "http://a.test", "http://p", "http://b.test:81"),
        ("https://p", "http://a.test", "https://p", "http://b.test"),
        ("http://p", "https://a.test", "http://p", "https://a.test/2"),
    ];
    for (proxy, url, other_proxy, other_url) in same {
        assert_eq!(target(proxy, url), target(other_proxy, other_url), "{url} {other_url}");
    }
    let different = [
        ("", "http://a.test", "", "https://a.test:80"),
        ("", "http://a.test", "", "http://a.test:81"),
        ("", "http://a.test", "http://p", "http://a.test"),
        ("http://p", "http://a.test", "https://p", "http://a.test"),
        ("http://p", "http://a.test", "http://u:s@p", "http://a.test"),
        ("http://p", "https://a.test", "http://p", "https://b.test"),
        ("socks5://p", "http://a.test", "socks5://p", "http://b.test"),
    ];
    for (proxy, url, other_proxy, other_url) in different {
        assert_ne!(target(proxy, url), target(other_proxy, other_url), "{url} {other_url}");
    }
}

/// T23: the first hop is the proxy, where there is one.
#[test]
fn where_a_request_goes() {
    let proxies = Proxies::all("http://proxy.test").unwrap();
    let connector = Connector::new(ConnectOptions { proxies, ..options(&[]) }).unwrap();
    let target = connector.target(&"https://[2001:DB8::1]/".parse().unwrap()).unwrap();
    assert_eq!(&*target.authority, "[2001:db8::1]:443");
    assert_eq!((target.host(), target.port()), ("2001:db8::1", 443));
    assert_eq!(target.first_hop(), "proxy.test:80");
    for url in
        ["/path", "ftp://a.test/", "http://a.test:99999/", "http://a.test:x/", "*", "http://[1]/"]
    {
        let Ok(uri) = url.parse() else { continue };
        let error = connector.target(&uri).unwrap_err();
        assert!(error.is_request(), "{url}: {error}");
    }
    let uri = "http://user:secret@a.test:99999/?token".parse().unwrap();
    let error = shown(connector.target(&uri));
    assert!(error.contains("a.test") && !error.contains("secret") && !error.contains("token"));
}

/// A proxy that cannot be chosen: the request fails, and nothing is dialed.
#[tokio::test]
async fn a_function_that_finds_no_proxy() {
    let proxies = Proxies::from_fn(|uri| Err(format!("no idea for {}", uri.path()).into()));
    let (result, log) =
        connect(ConnectOptions { proxies, ..options(&[]) }, "http://a.test/b").await;
    assert_eq!(
        shown(result),
        "cannot send the request to a.test:80: cannot choose a proxy: no idea for /b"
    );
    assert!(log.is_empty());
}

/// Go's defaults.
#[test]
fn the_defaults() {
    let options = ConnectOptions::default();
    assert_eq!(options.dial_timeout, Some(Duration::from_secs(30)));
    assert_eq!(options.tls_handshake_timeout, Duration::from_secs(10));
    assert_eq!(options.dialer.fallback_delay, Some(Duration::from_millis(300)));
    let KeepAlive::On { idle, .. } = options.dialer.options.socket.keep_alive else { panic!() };
    assert_eq!(idle, Duration::from_secs(30));
}

/// The variables of the environment are read, once, when the options are made. A process of its own asks, as they are
/// everybody's in this one.
#[test]
fn proxies_of_the_environment() {
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["direct::in_another_environment", "--exact", "--ignored"])
        .env("HTTP_PROXY", "proxy.test:3128")
        .env("NO_PROXY", "a.test")
        .env_remove("REQUEST_METHOD")
        .output()
        .unwrap();
    let output = String::from_utf8(child.stdout).unwrap();
    assert!(child.status.success() && output.contains("1 passed"), "{output}");
}

#[test]
#[ignore = "it needs variables that proxies_of_the_environment sets"]
fn in_another_environment() {
    let connector = Connector::new(ConnectOptions::default()).unwrap();
    let first_hop = |url: &str| {
        let target = connector.target(&url.parse().unwrap()).unwrap();
        target.first_hop().to_owned()
    };
    assert_eq!(first_hop("http://b.test/"), "proxy.test:3128");
    assert_eq!(first_hop("http://a.test/"), "a.test:80");
    assert_eq!(first_hop("http://localhost/"), "localhost:80");
}
