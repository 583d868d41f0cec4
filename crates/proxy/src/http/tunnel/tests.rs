use rosn_config::checked::{ConnectRules, Upgrades};
use rosn_h1::{Limits, Progress};

use super::*;
use crate::context::Admission;

fn request(text: &str) -> RequestHead {
    let mut head = RequestHead::default();
    let parsed = head.parse(text.as_bytes(), &Limits::default()).unwrap();
    assert_eq!(parsed, Progress::Complete(text.len()));
    head
}

/// What a request asks for, with these rules.
fn asked(text: &str, rules: &TunnelRules) -> Result<Switch, Refusal> {
    Switch::of(&request(text), text.as_bytes(), rules, &TunnelRules::default())
}

fn upgrade(fields: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n")
}

fn offer(text: &str) -> Switch {
    Switch::Upgrade(text.as_bytes().to_vec())
}

/// H15: tokens are compared without regard to case.
#[test]
fn only_allowed_protocols_are_offered() {
    let any = TunnelRules::default();
    let only = |all: &[&str]| TunnelRules {
        upgrade: Some(Upgrades::Only(all.iter().map(|one| (*one).to_owned()).collect())),
        ..TunnelRules::default()
    };
    let connection = |value: &str| upgrade(&format!("Connection: Upgrade\r\nUpgrade: {value}\r\n"));
    for (text, rules, expected) in [
        (connection("websocket"), &any, Ok(offer("websocket"))),
        (connection("WebSocket"), &only(&["websocket"]), Ok(offer("WebSocket"))),
        (connection("tcp"), &only(&["websocket"]), Err(())),
        (connection("tcp"), &only(&[]), Err(())),
        (connection("tcp ,\twebsocket,"), &only(&["websocket"]), Ok(offer("websocket"))),
        (connection("a, b/1.2"), &any, Ok(offer("a, b/1.2"))),
        (connection("a\r\nUpgrade: b"), &any, Ok(offer("a, b"))),
        (connection("h2c"), &any, Ok(Switch::None)),
        (connection("H2C, websocket"), &any, Ok(offer("websocket"))),
        (connection("H2C"), &only(&["h2c"]), Ok(Switch::None)),
        (connection("a, h2c"), &only(&["h2c"]), Err(())),
        (connection(""), &any, Ok(Switch::None)),
        (connection(" , "), &any, Ok(Switch::None)),
        (connection("a b"), &any, Err(())),
        (connection("(\u{e9})"), &any, Err(())),
        (upgrade("Upgrade: websocket\r\n"), &any, Ok(Switch::None)),
        (upgrade("Connection: Upgrade\r\n"), &any, Ok(Switch::None)),
        (connection("websocket").replace("1.1", "1.0"), &any, Ok(Switch::None)),
    ] {
        assert_eq!(asked(&text, rules).map_err(|_| ()), expected, "{text} {rules:?}");
    }
}

#[test]
fn connect_has_an_allow_list_of_ports() {
    let rules = |upstream| TunnelRules {
        connect: Some(ConnectRules { ports: vec![(443, 443), (8000, 8999)], upstream }),
        ..TunnelRules::default()
    };
    let connect = |to: &str| format!("CONNECT {to} HTTP/1.1\r\nHost: a\r\n\r\n");
    for (to, allowed) in [
        ("a:443", true),
        ("[::1]:443", true),
        ("a:8000", true),
        ("a:8999", true),
        ("a:9000", false),
        ("a:80", false),
        ("a:0", false),
        ("a:00443", true),
    ] {
        for (upstream, switch) in
            [(ConnectUpstream::Tcp, Switch::ConnectHere), (ConnectUpstream::Http, Switch::Connect)]
        {
            let expected = if allowed { Ok(switch) } else { Err(()) };
            assert_eq!(asked(&connect(to), &rules(upstream)).map_err(|_| ()), expected, "{to}");
        }
    }
    assert!(asked(&connect("a:443"), &TunnelRules::default()).is_err());
}

/// Whether a response to what was asked makes a tunnel; an error is a 502.
fn made(switch: &Switch, text: &str) -> Result<bool, String> {
    let mut head = ResponseHead::default();
    let method = if *switch == Switch::Connect { Method::Connect } else { Method::Get };
    head.parse(text.as_bytes(), &Limits::default(), method).map_err(|error| error.to_string())?;
    switch.is_made(&head, text.as_bytes()).map_err(|failure| failure.to_string())
}

/// H15: what the upstream says is compared with what was offered.
#[test]
fn only_what_was_offered_is_switched_to() {
    let status = |status: u16, fields: &str| format!("HTTP/1.1 {status} X\r\n{fields}\r\n");
    let to =
        |protocol: &str| status(101, &format!("Connection: Upgrade\r\nUpgrade: {protocol}\r\n"));
    let websocket = offer("websocket, x/2");
    for (switch, text, expected) in [
        (&websocket, to("websocket"), Ok(true)),
        (&websocket, to("WEBSOCKET"), Ok(true)),
        (&websocket, to("x/2, websocket"), Ok(true)),
        (&websocket, to("x"), Err(())),
        (&websocket, to("websocket, tcp"), Err(())),
        (&websocket, to(""), Err(())),
        (&websocket, status(101, ""), Err(())),
        (&websocket, status(101, "Upgrade: websocket\r\nContent-Length: 5\r\n"), Err(())),
        (&websocket, status(101, "Upgrade: websocket\r\nTransfer-Encoding: chunked\r\n"), Err(())),
        (&websocket, status(200, "Upgrade: websocket\r\n"), Ok(false)),
        (&websocket, status(426, "Upgrade: websocket\r\n"), Ok(false)),
        (&Switch::None, to("websocket"), Err(())),
        (&Switch::None, status(200, ""), Ok(false)),
        (&Switch::Connect, status(200, "Content-Length: 5\r\n"), Ok(true)),
        (&Switch::Connect, status(299, "Transfer-Encoding: chunked\r\n"), Ok(true)),
        (&Switch::Connect, status(300, "Content-Length: 0\r\n"), Ok(false)),
        (&Switch::Connect, to("websocket"), Err(())),
        (&Switch::ConnectHere, to("websocket"), Err(())),
    ] {
        assert_eq!(made(switch, &text).map_err(|_| ()), expected, "{switch:?} {text}");
    }
}

/// What an open tunnel takes beside its two sockets: a task much smaller than one that serves HTTP.
#[test]
fn the_task_of_a_tunnel_is_small() {
    fn size<A, B, C, D, F>(_: impl Fn(A, B, C, D) -> F) -> usize {
        size_of::<F>()
    }
    assert!(size(serve::<Admission>) <= 1024, "{}", size(serve::<Admission>));
    assert!(size_of::<Open>() <= 640, "{}", size_of::<Open>());
}
