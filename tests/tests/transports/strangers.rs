//! Peers that send garbage, stop halfway or vanish.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;

use rosn_tests::l4::{Peer, local, read_exactly, udp};
use rosn_tests::tunnel::{Link, Pair};
use rosn_tests::{Rosn, Signal, wait_until};

use crate::tcp::open;

mod garbage {
    each!(super::garbage_harms_nobody_else);
}

/// The first bytes of several protocols, and noise.
fn payloads() -> Vec<Vec<u8>> {
    let noise = |len: usize| (0..len).map(|at| (at * 89 + at / 7) as u8).collect::<Vec<u8>>();
    vec![
        vec![],
        vec![0],
        b"GET / HTTP/1.1\r\n".to_vec(),
        b"GET /tunnel HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
            .to_vec(),
        b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n\r\n\r\n".to_vec(),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec(),
        [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice(), &noise(200)].concat(),
        [&[22, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3], noise(505).as_slice()].concat(),
        noise(18),
        noise(1200),
        vec![0xff; 1452],
        [b"GET /".as_slice(), &[b'a'; 100_000]].concat(),
        [&[0xc0, 0, 0, 0, 1, 8], noise(1300).as_slice()].concat(),
    ]
}

fn garbage_harms_nobody_else(name: &str) {
    let peer = Peer::new();
    let pair = Pair::tcp(Link::new(name), &peer);
    let (mut client, mut origin) = open(&pair, &peer);
    for _ in 0..5 {
        for bytes in payloads() {
            throw(&pair, &bytes);
        }
    }
    client.write_all(b"still").unwrap();
    assert_eq!(read_exactly(&mut origin, 5), b"still");
    drop((client, origin));
    // What a transport takes for the beginning of a connection may have been passed on.
    while peer.accept_now().is_some() {}
    let again = open_among(&pair, &peer);
    drop(again);
    wait_until("strangers are forgotten", || {
        while peer.accept_now().is_some() {}
        pair.far.active().0 == 0
    });
    assert!(!pair.far.log().contains("panicked"), "{}", pair.far.log());
}

/// Sends bytes to far and goes away.
fn throw(pair: &Pair, bytes: &[u8]) {
    if pair.link.is_datagram() {
        for part in bytes.chunks(1452) {
            let _ = udp().send_to(part, local(pair.far_port));
        }
    } else if pair.link.listen["network"] == "domainsocket" {
        let settings = &pair.link.listen["dsSettings"];
        if settings["abstract"] != true {
            let path = settings["path"].as_str().unwrap();
            let _ = UnixStream::connect(path).unwrap().write_all(bytes);
        }
    } else {
        let _ = TcpStream::connect(local(pair.far_port)).unwrap().write_all(bytes);
    }
}

/// A tunnel that works, though others reach the origin as well.
fn open_among(pair: &Pair, peer: &Peer) -> (TcpStream, TcpStream) {
    let mut client = pair.client();
    client.write_all(b"it is me").unwrap();
    loop {
        let mut origin = peer.accept();
        let mut bytes = [0; 8];
        if origin.read_exact(&mut bytes).is_ok() && &bytes == b"it is me" {
            return (client, origin);
        }
    }
}

mod halves {
    // With an HTTP header in front there is no handshake that somebody could stop in.
    each!(super::who_stops_halfway_is_in_nobodys_way:
        tcp_tls "tcp+tls", ws "ws", ws_tls "ws+tls", http "http", http_tls "http+tls");
}

fn who_stops_halfway_is_in_nobodys_way(name: &str) {
    let peer = Peer::new();
    let pair = Pair::tcp(Link::new(name), &peer);
    let before = pair.far.fds();
    let beginnings: [&[u8]; 3] = [b"", b"GET /tunnel HTTP/1.1\r\nHost:", &[22, 3, 1, 2, 0, 1]];
    let strangers: Vec<_> = (0..600)
        .map(|index| {
            let mut stranger = TcpStream::connect(local(pair.far_port)).unwrap();
            stranger.write_all(beginnings[index % 3]).unwrap();
            stranger
        })
        .collect();
    for _ in 0..5 {
        drop(open_among(&pair, &peer));
    }
    drop(strangers);
    wait_until("strangers are forgotten", || {
        while peer.accept_now().is_some() {}
        pair.far.active().0 == 0 && pair.far.fds() <= before + 4
    });
}

mod vanished {
    each!(super::a_far_side_that_is_killed_is_noticed);
}

/// kill -9 of the far side: tunnels end, and new ones work as soon as it is back.
fn a_far_side_that_is_killed_is_noticed(name: &str) {
    let peer = Peer::new();
    let link = Link::new(name);
    let mut pair = Pair::tcp(link, &peer);
    let before = pair.near.fds();
    let (mut client, origin) = open(&pair, &peer);
    pair.far.signal(Signal::KILL);
    pair.far.wait();
    drop(origin);
    client.set_read_timeout(Some(6 * rosn_tests::PATIENCE)).unwrap();
    // QUIC believes nobody but its peer, so it has to be silent for a while.
    let _ = client.write_all(b"anybody there?");
    assert!(!matches!(client.read(&mut [0; 8]), Ok(1..)));
    drop(client);
    pair.far = Rosn::start(&pair.far_config);
    let (mut client, mut origin) = open_among(&pair, &peer);
    origin.write_all(b"back").unwrap();
    assert_eq!(read_exactly(&mut client, 4), b"back");
    drop((client, origin));
    pair.settled_without_upstream();
    wait_until("descriptors are given back", || pair.near.fds() <= before + 2);
}
