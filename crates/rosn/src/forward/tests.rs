use rosn_config::checked::{Config, PacketHeader, ProxyProtocolVersion, TransportSettings};
use rosn_config::{Format, LoadOptions, load_text};

use super::configuration;
use super::url::{Url, redacted};

const HERE: &str = "tcp://127.0.0.1:1080";

fn config(from: &str, to: &str) -> Config {
    let (_, _, json) =
        configuration(from, to).unwrap_or_else(|error| panic!("{from} {to}: {error:#}"));
    let options = LoadOptions { strict: true, ..LoadOptions::default() };
    let loaded = load_text("forward", &json.to_string(), Format::Json, &options);
    loaded
        .config
        .unwrap_or_else(|| panic!("{from} {to}\n{}", loaded.diagnostics.render_text(false)))
}

fn error(from: &str, to: &str) -> String {
    format!("{:#}", configuration(from, to).expect_err("it is faulty"))
}

#[test]
fn every_transport_is_dialed() {
    for (to, scheme, tls) in [
        ("tcp://192.0.2.1:80", "tcp", false),
        ("tcp://192.0.2.1:80/a?header=http", "tcp", false),
        ("tls://example.com:443?alpn=http/1.1,h2&insecure", "tcp", true),
        ("ws://192.0.2.1:80/tunnel?host=example.com&heartbeat=20", "ws", false),
        ("WSS://example.com:443/tunnel", "ws", true),
        ("h2://192.0.2.1:443/tunnel?sni=example.com", "http", true),
        ("h2c://[::1]:80", "http", false),
        ("quic://192.0.2.1:443?header=srtp&security=aes-128-gcm&secret=x", "quic", false),
        ("quic://192.0.2.1:443?tls", "quic", true),
        ("mkcp://192.0.2.1:4000?seed=a%20b&header=utp&congestion", "mkcp", false),
        ("kcp://192.0.2.1:4000?sni=a.example", "mkcp", true),
        ("unix:/run/x.sock", "domainsocket", false),
        ("ds://@name?padding", "domainsocket", false),
    ] {
        let config = config(HERE, to);
        let stream = config.clusters["forward"].stream.clone().unwrap();
        assert_eq!((stream.transport.scheme(), stream.tls.is_some()), (scheme, tls), "{to}");
    }
}

#[test]
fn what_a_url_says_arrives() {
    let there =
        config("unix:/tmp/a%20b.sock?mode=0660", "mkcp://h.example:1?seed=a%20b&header=utp&mark=3");
    let TransportSettings::DomainSocket(socket) =
        &there.listeners[0].stream.as_ref().unwrap().transport
    else {
        panic!()
    };
    assert_eq!((socket.path.to_str(), socket.mode), (Some("/tmp/a b.sock"), Some(0o660)));
    let stream = there.clusters["forward"].stream.clone().unwrap();
    let TransportSettings::Mkcp(mkcp) = &stream.transport else { panic!() };
    assert_eq!((&*mkcp.seed.as_ref().unwrap().0, mkcp.header), ("a b", PacketHeader::Utp));
    assert_eq!(stream.socket.mark, 3);
    let there = config(
        "tcp://:1080?proxy=accept&trusted=10.0.0.0/8,::1",
        "tcp://h.example:1?proxy=v2&bind=::1",
    );
    let accept = &there.listeners[0].stream.as_ref().unwrap().proxy_protocol;
    assert!(accept.accept && accept.trusted.len() == 2);
    let stream = there.clusters["forward"].stream.clone().unwrap();
    assert_eq!(stream.proxy_protocol.send, Some(ProxyProtocolVersion::V2));
}

#[test]
fn what_is_wrong_is_named() {
    for (from, to, part) in [
        (HERE, "example.com", "no scheme"),
        (HERE, "http://a:80", "no scheme is named `http`"),
        (HERE, "tcp:a:80", "expected `tcp://`"),
        (HERE, "tcp://", "no address"),
        (HERE, "tcp://u@a:80", "no users"),
        (HERE, "tcp://a:80/x", "has no path"),
        (HERE, "ws://a:80/x?hots=b", "`hots` means nothing here"),
        (HERE, "ws://a:80/x?host=b&host=c", "`host` is given twice"),
        (HERE, "ws://a:80/x?sni=b", "`sni` means nothing here"),
        (HERE, "wss://a:80/x?insecure=maybe", "never `maybe`"),
        (HERE, "wss://a:80/x?cert=c", "`cert` and `key` go together"),
        (HERE, "mkcp://a:80?mtu=x", "`mtu` is a number"),
        (HERE, "mkcp://a:80?seed=%4", "hexadecimal"),
        (HERE, "mkcp://a:80?seed=%00", "no text"),
        (HERE, "tcp://a:80?proxy=accept", "`v1` or `v2`"),
        ("tcp://a:80?proxy=v1", HERE, "`accept`"),
        ("tcp://a:80?bind=::1", HERE, "`bind` means nothing here"),
        ("wss://a:80/x", HERE, "`cert=FILE` and `key=FILE`"),
        ("tls://a:80?cert=a&key=b&sni=c", HERE, "for dialing"),
    ] {
        let error = error(from, to);
        assert!(error.contains(part), "{from} {to}: {error}");
    }
}

#[test]
fn secrets_are_not_shown() {
    let text = "mkcp://a:1?header=utp&SEED=abc&secret=d";
    assert_eq!(redacted(text), "mkcp://a:1?header=utp&SEED=***&secret=***");
    assert!(!Url::parse(text).unwrap().shown().contains("abc"));
    for text in ["mkcp://a:1?seed=abc&x", "mkcp:a:1?seed=abc", "mkcp://a:1?seed=abc&seed=abc"] {
        assert!(!error(HERE, text).contains("abc"), "{text}");
    }
}

#[test]
fn an_address_alone_is_told_what_it_lacks() {
    for text in ["127.0.0.1:80", "localhost:80", "[::1]:80", "80", ":80", "a.example"] {
        assert!(error(HERE, text).contains("no scheme, such as `tcp://`"), "{}", error(HERE, text));
    }
    assert!(error(HERE, "tcp:127.0.0.1:80").contains("`tcp://"));
}
