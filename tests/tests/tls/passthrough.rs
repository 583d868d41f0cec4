//! Routes by what a client says in TLS that goes on as it is.

use rosn_tests::config::tcp_listener;
use rosn_tests::l4::{Peer, connect, local};
use std::io::{Read as _, Write as _};

use super::*;

/// An origin of HTTP behind TLS, made of another rosn.
fn secure_origin(authority: &Authority, name: &str) -> Site {
    Site::secure(authority.leaf(&[name]).context(json!({})))
}

#[test]
fn server_names_choose_the_cluster() {
    let authority = Authority::new("a");
    let one = secure_origin(&authority, "one.test");
    let wild = secure_origin(&authority, "*.wild.test");
    let plain = Peer::new();
    let port = free_port();
    let mut listener = tcp_listener("in", port, "");
    let routes = json!([
        { "cluster": "one", "server_names": ["one.test"] },
        { "cluster": "wild", "server_names": ["*.wild.test"] },
        { "cluster": "plain" },
    ]);
    listener["filter_chains"][0]["filters"][0]["config"] = json!({ "routes": routes });
    let clusters = [
        cluster("one", &[one.port]),
        cluster("wild", &[wild.port]),
        cluster("plain", &[plain.port()]),
    ];
    let rosn = Rosn::start(&config(&[listener], &[], &clusters));
    assert!(curl(port, &authority, "one.test", &[]).starts_with("GET /\n"));
    assert!(curl(port, &authority, "a.wild.test", &[]).starts_with("GET /\n"));
    let handshakes = |site: &Site| site.metric("downstream_tls_handshake_total");
    assert_eq!((handshakes(&one), handshakes(&wild)), (1.0, 1.0));
    // A hello in pieces that come one by one, from openssl's own bytes: a name that no route has.
    let mut client = connect(local(port));
    client.write_all(b"not TLS").unwrap();
    let mut server = plain.accept();
    let mut read = [0; 7];
    server.read_exact(&mut read).unwrap();
    assert_eq!(&read, b"not TLS");
    drop((client, server));
    // Nor who says nothing.
    let client = connect(local(port));
    drop((plain.accept(), client));
    rosn.settled();
}

/// No route fits: the connection is closed, and the log says which name was asked for.
#[test]
fn a_name_that_no_route_has() {
    let authority = Authority::new("a");
    let port = free_port();
    let mut listener = tcp_listener("in", port, "");
    let routes = json!([{ "cluster": "one", "server_names": ["one.test"] }]);
    listener["filter_chains"][0]["filters"][0]["config"] = json!({ "routes": routes });
    let rosn = Rosn::start(&config(&[listener], &[], &[cluster("one", &[1])]));
    assert!(curl(port, &authority, "two.test", &[]).contains("curl: ("));
    rosn_tests::wait_until("it is logged", || rosn.log().contains("two.test"));
    rosn.settled();
}

/// The same routes hold for TLS that is terminated.
#[test]
fn names_of_terminated_tls() {
    let authority = Authority::new("a");
    let peers = [Origin::http(|_| ok("one")), Origin::http(|_| ok("two"))];
    let port = free_port();
    let mut listener = tcp_listener("in", port, "");
    let routes = json!([
        { "cluster": "one", "server_names": ["one.test"] },
        { "cluster": "two", "server_names": ["two.test"] },
    ]);
    listener["filter_chains"][0]["filters"][0]["config"] = json!({ "routes": routes });
    listener["filter_chains"][0]["tls_context"] =
        authority.leaf(&["one.test", "two.test"]).context(json!({}));
    let clusters = [cluster("one", &[peers[0].port()]), cluster("two", &[peers[1].port()])];
    let rosn = Rosn::start(&config(&[listener], &[], &clusters));
    assert_eq!(curl(port, &authority, "one.test", &[]), "one");
    assert_eq!(curl(port, &authority, "two.test", &[]), "two");
    rosn.settled();
}

/// A ClientHello that comes a byte at a time, over many packets.
#[test]
fn a_hello_in_pieces() {
    let authority = Authority::new("a");
    let one = secure_origin(&authority, "one.test");
    let port = free_port();
    let mut listener = tcp_listener("in", port, "");
    let routes = json!([{ "cluster": "one", "server_names": ["one.test"] }]);
    listener["filter_chains"][0]["filters"][0]["config"] = json!({ "routes": routes });
    let rosn = Rosn::start(&config(&[listener], &[], &[cluster("one", &[one.port])]));
    // Between curl and rosn: passes on what curl says in small pieces.
    let slow = Origin::raw(move |mut client| {
        let mut server = connect(local(port));
        let (mut back, mut to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
        std::thread::spawn(move || std::io::copy(&mut back, &mut to));
        let mut bytes = [0; 65536];
        while let Ok(count @ 1..) = client.read(&mut bytes) {
            for piece in bytes[..count].chunks(100) {
                if server.write_all(piece).is_err() {
                    return;
                }
                std::thread::yield_now();
            }
        }
    });
    assert!(curl(slow.port(), &authority, "one.test", &[]).starts_with("GET /\n"));
    drop(slow);
    rosn.settled();
}
