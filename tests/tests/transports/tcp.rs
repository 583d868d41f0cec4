//! Tunnels: bytes, ends and resets.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::thread;

use rosn_tests::l4::{Pattern, Peer, ends_with_reset, read_exactly, read_to_end, reset};
use rosn_tests::tunnel::{Link, Pair};

const LEN: usize = 2 << 20;

/// The two ends of a new tunnel, after a byte has gone each way: QUIC and early data show a stream with its first byte.
pub(crate) fn open(pair: &Pair, peer: &Peer) -> (TcpStream, TcpStream) {
    let mut client = pair.client();
    client.write_all(b"?").unwrap();
    let mut origin = peer.accept();
    assert_eq!(read_exactly(&mut origin, 1), b"?");
    origin.write_all(b"!").unwrap();
    assert_eq!(read_exactly(&mut client, 1), b"!");
    (client, origin)
}

mod tunnels {
    each!(super::a_tunnel_is_as_if_it_were_not_there);
}

fn a_tunnel_is_as_if_it_were_not_there(name: &str) {
    let peer = Peer::new();
    let pair = Pair::tcp(Link::new(name), &peer);
    bytes_pass_both_ways_at_a_time(&pair, &peer);
    // WebSocket has no half-close.
    if !name.starts_with("ws") {
        the_client_ends_first(&pair, &peer);
        the_origin_ends_first(&pair, &peer);
    }
    bytes_before_a_close_arrive(&pair, &peer);
    many_at_a_time(&pair, &peer);
    resets_are_passed_on(name, &pair, &peer);
    pair.settled_without_upstream();
}

fn bytes_pass_both_ways_at_a_time(pair: &Pair, peer: &Peer) {
    let (client, origin) = open(pair, peer);
    let (mut client_out, mut origin_out) =
        (client.try_clone().unwrap(), origin.try_clone().unwrap());
    let up = thread::spawn(move || Pattern::send(1, LEN, &mut client_out));
    let down = thread::spawn(move || Pattern::send(2, LEN, &mut origin_out));
    let (mut client, mut origin) = (client, origin);
    let received = thread::spawn(move || {
        Pattern::expect(1, LEN, &mut origin);
        origin
    });
    Pattern::expect(2, LEN, &mut client);
    let mut origin = received.join().unwrap();
    up.join().unwrap();
    down.join().unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_to_end(&mut origin), b"");
    drop(origin);
    assert_eq!(read_to_end(&mut client), b"");
}

fn the_client_ends_first(pair: &Pair, peer: &Peer) {
    let (mut client, mut origin) = open(pair, peer);
    client.write_all(b"question").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_to_end(&mut origin), b"question");
    for part in 0..5_u8 {
        origin.write_all(&[part; 1000]).unwrap();
        assert_eq!(read_exactly(&mut client, 1000), [part; 1000]);
    }
    origin.write_all(b"the end").unwrap();
    drop(origin);
    assert_eq!(read_to_end(&mut client), b"the end");
}

fn the_origin_ends_first(pair: &Pair, peer: &Peer) {
    let (mut client, mut origin) = open(pair, peer);
    origin.write_all(b"greeting").unwrap();
    origin.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_to_end(&mut client), b"greeting");
    for part in 0..5_u8 {
        client.write_all(&[part; 1000]).unwrap();
        assert_eq!(read_exactly(&mut origin, 1000), [part; 1000]);
    }
    drop(client);
    assert_eq!(read_to_end(&mut origin), b"");
}

/// Whoever sends and closes at once has said all.
fn bytes_before_a_close_arrive(pair: &Pair, peer: &Peer) {
    let (client, mut origin) = open(pair, peer);
    let sender = thread::spawn(move || {
        let mut client = client;
        Pattern::send(3, LEN, &mut client);
    });
    Pattern::expect(3, LEN, &mut origin);
    sender.join().unwrap();
    assert_eq!(read_to_end(&mut origin), b"");

    let (mut client, origin) = open(pair, peer);
    let sender = thread::spawn(move || {
        let mut origin = origin;
        Pattern::send(4, LEN, &mut origin);
    });
    Pattern::expect(4, LEN, &mut client);
    sender.join().unwrap();
    assert_eq!(read_to_end(&mut client), b"");
}

/// More than fit one connection of those that carry several.
fn many_at_a_time(pair: &Pair, peer: &Peer) {
    const COUNT: u8 = 40;
    let mut ends: Vec<_> = (0..COUNT).map(|_| open(pair, peer)).collect();
    for (index, (client, _)) in ends.iter_mut().enumerate() {
        client.write_all(&[index as u8; 100]).unwrap();
    }
    for (index, (_, origin)) in ends.iter_mut().enumerate() {
        assert_eq!(read_exactly(origin, 100), [index as u8; 100]);
    }
}

fn resets_are_passed_on(name: &str, pair: &Pair, peer: &Peer) {
    let (client, mut origin) = open(pair, peer);
    reset(client);
    expect_reset(name, &mut origin);
    let (mut client, origin) = open(pair, peer);
    reset(origin);
    expect_reset(name, &mut client);
}

/// A unix socket has no reset: with one in between it is an end.
fn expect_reset(name: &str, stream: &mut TcpStream) {
    let is_reset = ends_with_reset(stream);
    assert!(is_reset || name.starts_with("ds"), "a reset arrived as an end of file");
}

mod greetings {
    // QUIC and WebSocket with early data hold the connection back until the client says something.
    each!(super::the_origin_may_speak_first:
        tcp_http "tcp-http", tcp_tls "tcp+tls", ws "ws", ws_tls "ws+tls", http "http", http_tls "http+tls",
        mkcp "mkcp", mkcp_tls "mkcp+tls", ds "ds", ds_tls "ds+tls");
}

fn the_origin_may_speak_first(name: &str) {
    let peer = Peer::new();
    let pair = Pair::tcp(Link::new(name), &peer);
    let mut client = pair.client();
    let mut origin = peer.accept();
    origin.write_all(b"220 ready").unwrap();
    assert_eq!(read_exactly(&mut client, 9), b"220 ready");
    drop(client);
    assert_eq!(origin.read(&mut [0; 8]).unwrap_or(0), 0);
    drop(origin);
    pair.settled_without_upstream();
}
