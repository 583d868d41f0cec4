//! `tcp_proxy` over real sockets: each peer sees what it would see without a proxy.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use rosn_tests::config::{config, tcp_listener};
use rosn_tests::l4::{
    DeadPort, Pattern, Peer, SilentPort, cluster_of, connect, connect_from, ends_with_reset,
    is_turned_away, listener, local, read_exactly, read_to_end, reset, with,
};
use rosn_tests::{Rosn, Signal, free_port, wait_until};
use serde_json::{Value, json};
use socket2::SockRef;

/// A rosn that passes everything on to one peer.
struct Line {
    rosn: Rosn,
    port: u16,
    peer: Peer,
}

impl Line {
    fn new() -> Self {
        Self::with(json!({}), json!({}))
    }

    /// With further keys of the proxy and of the listener.
    fn with(proxy: Value, of_listener: Value) -> Self {
        let (port, peer) = (free_port(), Peer::new());
        let proxy = with(json!({ "cluster": "up" }), proxy);
        let listener = with(listener("line", port, "tcp_proxy", proxy), of_listener);
        let rosn = Rosn::start(&config(&[listener], &[], &[cluster_of("up", &[peer.host()])]));
        Self { rosn, port, peer }
    }

    /// The two ends of a new connection.
    fn connect(&self) -> (TcpStream, TcpStream) {
        let client = connect(local(self.port));
        (client, self.peer.accept())
    }

    fn metric(&self, name: &str) -> f64 {
        self.rosn.metric(name, &[("listener", "line")])
    }
}

#[test]
fn localhost_is_an_address_of_each_family() {
    let port = free_port();
    let address = json!({ "address": format!("localhost:{port}") });
    let peer = Peer::new();
    let listener = with(listener("line", port, "tcp_proxy", json!({ "cluster": "up" })), address);
    let rosn = Rosn::start(&config(&[listener], &[], &[cluster_of("up", &[peer.host()])]));
    let loopbacks: [SocketAddr; 2] = [local(port), (std::net::Ipv6Addr::LOCALHOST, port).into()];
    let (v6, _) = (TcpStream::connect(loopbacks[1]), TcpStream::connect(loopbacks[0]).unwrap());
    drop(peer.accept());
    if std::net::TcpListener::bind("[::1]:0").is_ok() {
        drop((v6.unwrap(), peer.accept()));
    }
    rosn.signal(Signal::TERM);
}

#[test]
fn a_client_ends_first_and_late_bytes_still_come() {
    let line = Line::new();
    let (mut client, mut origin) = line.connect();
    client.write_all(b"question").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_to_end(&mut origin), b"question");
    for part in 0..50_u8 {
        origin.write_all(&[part; 1000]).unwrap();
        assert_eq!(read_exactly(&mut client, 1000), [part; 1000]);
    }
    origin.write_all(b"the end").unwrap();
    drop(origin);
    assert_eq!(read_to_end(&mut client), b"the end");
    line.rosn.settled();
}

#[test]
fn an_origin_ends_first_and_late_bytes_still_come() {
    let line = Line::new();
    let (mut client, mut origin) = line.connect();
    origin.write_all(b"greeting").unwrap();
    origin.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_to_end(&mut client), b"greeting");
    for part in 0..50_u8 {
        client.write_all(&[part; 1000]).unwrap();
        assert_eq!(read_exactly(&mut origin, 1000), [part; 1000]);
    }
    drop(client);
    assert_eq!(read_to_end(&mut origin), b"");
    drop(origin);
    line.rosn.settled();
}

#[test]
fn a_half_closed_connection_carries_much_the_other_way() {
    const LEN: usize = 8 << 20;
    let line = Line::new();
    let (mut client, mut origin) = line.connect();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_to_end(&mut origin), b"");
    let sender = thread::spawn(move || Pattern::send(1, LEN, &mut origin));
    Pattern::expect(1, LEN, &mut client);
    sender.join().unwrap();
    assert_eq!(read_to_end(&mut client), b"");
    line.rosn.settled();
}

#[test]
fn a_reset_is_passed_on_as_a_reset() {
    let line = Line::new();
    let (client, mut origin) = line.connect();
    reset(client);
    assert!(ends_with_reset(&mut origin), "the client's reset arrived as an end of file");

    let (mut client, origin) = line.connect();
    reset(origin);
    assert!(ends_with_reset(&mut client), "the origin's reset arrived as an end of file");

    // After bytes have passed, and while nobody sends.
    let (mut client, mut origin) = line.connect();
    client.write_all(b"there").unwrap();
    assert_eq!(read_exactly(&mut origin, 5), b"there");
    origin.write_all(b"back").unwrap();
    assert_eq!(read_exactly(&mut client, 4), b"back");
    reset(origin);
    assert!(ends_with_reset(&mut client));
    line.rosn.settled();
}

#[test]
fn a_reset_after_an_end_of_file_is_passed_on() {
    let line = Line::new();
    // The client has ended its side, then resets.
    let (client, mut origin) = line.connect();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_to_end(&mut origin), b"");
    reset(client);
    wait_until("the origin sees the reset", || {
        let error = origin.write(b"x").err().map(|error| error.kind());
        matches!(error, Some(ErrorKind::ConnectionReset | ErrorKind::BrokenPipe))
    });
    // The client has ended its side, and the origin resets.
    let (mut client, origin) = line.connect();
    client.shutdown(Shutdown::Write).unwrap();
    reset(origin);
    assert!(ends_with_reset(&mut client));
    line.rosn.settled();
}

#[test]
fn a_reset_cuts_through_waiting_bytes() {
    let line = Line::new();
    let (mut client, origin) = line.connect();
    // The origin reads nothing: bytes pile up on the way.
    client.set_nonblocking(true).unwrap();
    fill(&mut client);
    client.set_nonblocking(false).unwrap();
    reset(origin);
    let start = Instant::now();
    let error = loop {
        if let Err(error) = client.write_all(&[0; 65536]) {
            break error.kind();
        }
        assert!(start.elapsed() < Duration::from_secs(10), "the reset did not come");
    };
    assert!(matches!(error, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{error}");
    line.rosn.settled();
}

/// Writes until nothing has been taken for a while; how much was.
fn fill(stream: &mut TcpStream) -> usize {
    let chunk = [7; 65536];
    let (mut total, mut last) = (0, Instant::now());
    while last.elapsed() < Duration::from_millis(300) {
        match stream.write(&chunk) {
            Ok(count) => {
                total += count;
                last = Instant::now();
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                thread::sleep(Duration::from_millis(5))
            }
            Err(error) => panic!("{error}"),
        }
    }
    total
}

#[test]
fn much_goes_both_ways_at_once_unchanged() {
    const LEN: usize = 48 << 20;
    let line = Line::new();
    let (client, origin) = line.connect();
    let send = |seed, stream: &TcpStream| {
        let mut stream = stream.try_clone().unwrap();
        thread::spawn(move || {
            Pattern::send(seed, LEN, &mut stream);
            stream.shutdown(Shutdown::Write).unwrap();
        })
    };
    let expect = |seed, mut stream: TcpStream| {
        thread::spawn(move || {
            Pattern::expect(seed, LEN, &mut stream);
            assert_eq!(read_to_end(&mut stream), b"");
        })
    };
    let all = [send(1, &client), send(2, &origin), expect(1, origin), expect(2, client)];
    all.into_iter().for_each(|thread| thread.join().unwrap());
    line.rosn.settled();
    assert_eq!(line.metric("downstream_bytes_read_total"), LEN as f64);
    assert_eq!(line.metric("downstream_bytes_write_total"), LEN as f64);
    let upstream = |name: &str| line.rosn.metric(name, &[("cluster", "up")]);
    assert_eq!(upstream("upstream_connection_bytes_write"), LEN as f64);
    assert_eq!(upstream("upstream_connection_bytes_read_total"), LEN as f64);
}

#[test]
fn pieces_of_all_sizes_and_paces_arrive_whole() {
    let line = Line::new();
    let (mut client, mut origin) = line.connect();
    // Small turns, then a flood that is spliced, then small turns again.
    for (round, len) in
        [1, 7, 4096, 100_000, 3 << 20, 1, 65_536, 2 << 20, 3].into_iter().enumerate()
    {
        let seed = round as u64;
        let sender = {
            let mut client = client.try_clone().unwrap();
            thread::spawn(move || Pattern::send(seed, len, &mut client))
        };
        Pattern::expect(seed, len, &mut origin);
        sender.join().unwrap();
        origin.write_all(b"ok").unwrap();
        assert_eq!(read_exactly(&mut client, 2), b"ok");
    }
    drop(client);
    assert_eq!(read_to_end(&mut origin), b"");
    drop(origin);
    line.rosn.settled();
}

#[test]
fn a_reader_that_stops_costs_bounded_memory() {
    let line = Line::new();
    let before = line.rosn.rss();
    let mut ends = Vec::new();
    for _ in 0..8 {
        let (mut client, origin) = line.connect();
        SockRef::from(&origin).set_recv_buffer_size(64 * 1024).unwrap();
        client.set_nonblocking(true).unwrap();
        fill(&mut client);
        ends.push((client, origin));
    }
    let grown = line.rosn.rss().saturating_sub(before);
    assert!(grown < 24 << 20, "8 stalled connections made the process grow by {grown} bytes");
    // What waited is still there, and the stream goes on.
    let (client, mut origin) = ends.pop().unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert!(read_to_end(&mut origin).iter().all(|byte| *byte == 7));
    drop((client, origin, ends));
    line.rosn.settled();
}

#[test]
fn the_server_may_speak_first() {
    let line = Line::new();
    let (mut client, mut origin) = line.connect();
    origin.write_all(b"220 ready\r\n").unwrap();
    assert_eq!(read_exactly(&mut client, 11), b"220 ready\r\n");
    client.write_all(b"QUIT\r\n").unwrap();
    assert_eq!(read_exactly(&mut origin, 6), b"QUIT\r\n");
}

#[test]
fn an_idle_connection_is_closed_in_time() {
    for (proxy, of_listener) in [
        (json!({ "idle_timeout": 700_000_000 }), json!({})),
        (json!({ "idle_timeout": "700ms" }), json!({})),
        (json!({}), json!({ "connection_idle_timeout": "700ms" })),
        (json!({ "idle_timeout": "700ms" }), json!({ "connection_idle_timeout": "1h" })),
    ] {
        let line = Line::with(proxy.clone(), of_listener.clone());
        let (mut client, mut origin) = line.connect();
        let start = Instant::now();
        client.write_all(b"x").unwrap();
        assert_eq!(read_exactly(&mut origin, 1), b"x");
        assert_eq!(read_to_end(&mut client), b"", "{proxy} {of_listener}");
        assert_eq!(read_to_end(&mut origin), b"", "{proxy} {of_listener}");
        let took = start.elapsed();
        assert!(took >= Duration::from_millis(690), "{proxy} {of_listener}: closed after {took:?}");
        line.rosn.settled();
    }
}

#[test]
fn bytes_in_either_direction_keep_a_connection_open() {
    let line = Line::with(json!({ "idle_timeout": "1500ms" }), json!({}));
    let (mut client, mut origin) = line.connect();
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(4000) {
        let to_origin = start.elapsed() > Duration::from_millis(2000);
        let (from, to) =
            if to_origin { (&mut client, &mut origin) } else { (&mut origin, &mut client) };
        from.write_all(b"x").unwrap();
        assert_eq!(read_exactly(to, 1), b"x", "closed after {:?}", start.elapsed());
        thread::sleep(Duration::from_millis(350));
    }
    assert_eq!(read_to_end(&mut client), b"");
    line.rosn.settled();
}

#[test]
fn zero_is_no_idle_timeout() {
    for (proxy, of_listener) in [
        (json!({ "idle_timeout": 0 }), json!({ "connection_idle_timeout": "300ms" })),
        (json!({}), json!({ "connection_idle_timeout": "0s" })),
        (json!({}), json!({ "connection_idle_timeout": 0 })),
    ] {
        let line = Line::with(proxy.clone(), of_listener.clone());
        let (mut client, mut origin) = line.connect();
        client.set_read_timeout(Some(Duration::from_millis(1500))).unwrap();
        let error = client.read(&mut [0]).expect_err("the connection was closed");
        assert_eq!(error.kind(), ErrorKind::WouldBlock, "{proxy} {of_listener}");
        client.write_all(b"x").unwrap();
        assert_eq!(read_exactly(&mut origin, 1), b"x");
    }
}

#[test]
fn other_hosts_are_tried_when_one_refuses() {
    let (port, peer) = (free_port(), Peer::new());
    let dead = [DeadPort::new(), DeadPort::new()];
    let hosts = [dead[0].host(), dead[1].host(), peer.host()];
    let rosn =
        Rosn::start(&config(&[tcp_listener("t", port, "up")], &[], &[cluster_of("up", &hosts)]));
    for _ in 0..12 {
        let mut client = connect(local(port));
        let mut origin = peer.accept();
        client.write_all(b"x").unwrap();
        assert_eq!(read_exactly(&mut origin, 1), b"x");
    }
    rosn.settled();
    assert!(rosn.metric("upstream_connection_con_fail", &[("cluster", "up")]) >= 1.0);
    assert!(rosn.metric("upstream_connection_retry", &[("cluster", "up")]) >= 1.0);
    assert_eq!(rosn.metric("upstream_connection_total", &[("cluster", "up")]), 12.0);
}

#[test]
fn max_connect_attempts_limits_the_hosts_that_are_tried() {
    let dead: Vec<DeadPort> = (0..4).map(|_| DeadPort::new()).collect();
    let hosts: Vec<String> = dead.iter().map(DeadPort::host).collect();
    for (proxy, attempts) in [
        (json!({ "cluster": "up" }), 3.0),
        (json!({ "cluster": "up", "max_connect_attempts": 1 }), 1.0),
        (json!({ "cluster": "up", "max_connect_attempts": 4 }), 4.0),
    ] {
        let port = free_port();
        let listener = listener("t", port, "tcp_proxy", proxy);
        let rosn = Rosn::start(&config(&[listener], &[], &[cluster_of("up", &hosts)]));
        assert!(is_turned_away(local(port)), "a failure looks like an empty answer");
        rosn.settled();
        assert_eq!(rosn.metric("upstream_connection_con_fail", &[("cluster", "up")]), attempts);
        for host in &hosts {
            let failures =
                rosn.metric("upstream_connection_con_fail", &[("cluster", "up"), ("host", host)]);
            assert!(failures <= 1.0, "one host was tried {failures} times");
        }
    }
}

#[test]
fn a_host_that_does_not_answer_is_left_after_connect_timeout() {
    let (port, peer, silent) = (free_port(), Peer::new(), SilentPort::new());
    let cluster = with(
        cluster_of("up", &[silent.host(), peer.host()]),
        json!({ "connect_timeout": "300ms", "lb_type": "LB_REQUEST_ROUNDROBIN" }),
    );
    let rosn = Rosn::start(&config(&[tcp_listener("t", port, "up")], &[], &[cluster]));
    for _ in 0..2 {
        let mut client = connect(local(port));
        let mut origin = peer.accept();
        client.write_all(b"x").unwrap();
        assert_eq!(read_exactly(&mut origin, 1), b"x");
    }
    rosn.settled();
}

#[test]
fn a_client_that_goes_while_its_upstream_is_dialed_leaves_nothing() {
    let (port, silent) = (free_port(), SilentPort::new());
    let cluster = with(cluster_of("up", &[silent.host()]), json!({ "connect_timeout": "500ms" }));
    let rosn = Rosn::start(&config(&[tcp_listener("t", port, "up")], &[], &[cluster]));
    for _ in 0..20 {
        drop(connect(local(port)));
        reset(connect(local(port)));
    }
    rosn.settled();
}

#[test]
fn an_upstream_that_is_down_is_reported_and_used_again_when_it_is_back() {
    let (port, dead) = (free_port(), DeadPort::new());
    let host = dead.host();
    let clusters = [cluster_of("up", std::slice::from_ref(&host))];
    let rosn = Rosn::start(&config(&[tcp_listener("t", port, "up")], &[], &clusters));
    assert!(is_turned_away(local(port)));
    wait_until("the log names the cluster and the host", || {
        let log = rosn.log();
        log.lines().any(|line| line.contains("up") && line.contains(&host))
    });
    let peer = dead.listen();
    let mut client = connect(local(port));
    let mut origin = peer.accept();
    client.write_all(b"x").unwrap();
    assert_eq!(read_exactly(&mut origin, 1), b"x");
    drop((client, origin));
    rosn.settled();
}

#[test]
fn a_cluster_without_hosts_resets() {
    let port = free_port();
    let clusters = [cluster_of("empty", &[])];
    let rosn = Rosn::start(&config(&[tcp_listener("t", port, "empty")], &[], &clusters));
    assert!(is_turned_away(local(port)));
    rosn.settled();
}

/// A peer that says its name to whoever connects.
fn named(name: &'static str) -> String {
    let peer = Peer::new();
    let host = peer.host();
    thread::spawn(move || {
        loop {
            match peer.accept_now() {
                Some(mut stream) => {
                    let _ = stream.write_all(name.as_bytes());
                }
                None => thread::sleep(Duration::from_millis(2)),
            }
        }
    });
    host
}

/// What answers a connection from `source` to `to`; nothing where it is reset.
fn who(source: &str, to: SocketAddr) -> String {
    let Some(mut stream) = connect_from(source.parse().unwrap(), to) else {
        return "reset".to_owned();
    };
    let mut name = String::new();
    match stream.read_to_string(&mut name) {
        Ok(_) => name,
        Err(error) if error.kind() == ErrorKind::ConnectionReset => "reset".to_owned(),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn routes_choose_by_addresses_and_ports() {
    let (port, from) = (free_port(), free_port());
    let names = ["source", "destination", "both", "from-port", "object"];
    let clusters = names.map(|name| cluster_of(name, &[named(name)]));
    let routes = json!({ "routes": [
        { "cluster": "both", "source_addrs": ["127.0.1.0/24"], "destination_addrs": ["127.0.2.1"] },
        { "cluster": "source", "source_addrs": ["127.0.1.0/24", "127.0.9.9/32"] },
        { "cluster": "destination", "destination_addrs": ["127.0.2.0/24"],
          "DestinationPort": format!("1-2,{}-{}", port - 1, port + 1) },
        { "cluster": "object", "SourceAddrs": [{ "Address": "127.0.3.0", "Length": 24 }],
          "DestinationPort": port.to_string() },
        { "cluster": "source", "destination_addrs": ["127.0.4.4"], "DestinationPort": (port + 1).to_string() },
        { "cluster": "from-port", "SourcePort": from.to_string(), "source_addrs": ["127.0.0.0/8", "::1/128"] },
    ] });
    let listener = with(
        listener("t", port, "tcp_proxy", routes),
        json!({ "address": format!("0.0.0.0:{port}") }),
    );
    let rosn = Rosn::start(&config(&[listener], &[], &clusters));
    let to = |ip: &str| SocketAddr::new(ip.parse().unwrap(), port);
    assert_eq!(who("127.0.1.7:0", to("127.0.2.1")), "both");
    assert_eq!(who("127.0.1.7:0", to("127.0.2.2")), "source");
    assert_eq!(who("127.0.9.9:0", to("127.0.0.1")), "source");
    assert_eq!(who("127.0.9.8:0", to("127.0.2.200")), "destination");
    assert_eq!(who("127.0.3.255:0", to("127.0.0.1")), "object");
    assert_eq!(who("127.0.4.0:0", to("127.0.4.4")), "reset", "another port");
    assert_eq!(who(&format!("127.0.5.5:{from}"), to("127.0.0.1")), "from-port");
    assert_eq!(who("127.0.0.1:0", to("127.0.0.1")), "reset");
    wait_until("the log says why", || rosn.log().contains("no route"));
    rosn.settled();
}

#[test]
fn cluster_wins_over_routes() {
    let port = free_port();
    let proxy = json!({ "cluster": "a", "routes": [{ "cluster": "b" }] });
    let clusters = [cluster_of("a", &[named("a")]), cluster_of("b", &[named("b")])];
    let _rosn = Rosn::start(&config(&[listener("t", port, "tcp_proxy", proxy)], &[], &clusters));
    assert_eq!(who("127.0.0.1:0", local(port)), "a");
}

#[test]
fn connections_and_bytes_are_counted_while_they_last() {
    let line = Line::new();
    let mut open: Vec<_> = (0..5).map(|_| line.connect()).collect();
    wait_until("five active connections", || line.metric("downstream_connection_active") == 5.0);
    let up = |name: &str| line.rosn.metric(name, &[("cluster", "up")]);
    let of_host =
        |name: &str| line.rosn.metric(name, &[("cluster", "up"), ("host", &line.peer.host())]);
    assert_eq!(
        (up("upstream_connection_active"), of_host("upstream_connection_active")),
        (5.0, 5.0)
    );
    let (client, origin) = &mut open[0];
    client.write_all(&[1; 1000]).unwrap();
    read_exactly(origin, 1000);
    origin.write_all(&[1; 300]).unwrap();
    read_exactly(client, 300);
    wait_until("the bytes of an open connection are counted", || {
        line.metric("downstream_bytes_read_total") == 1000.0
            && line.metric("downstream_bytes_write_total") == 300.0
            && up("upstream_connection_bytes_write") == 1000.0
            && up("upstream_connection_bytes_read_total") == 300.0
    });
    drop(open);
    line.rosn.settled();
    assert_eq!(line.metric("downstream_connection_total"), 5.0);
    assert_eq!(line.metric("downstream_connection_destroy"), 5.0);
    assert_eq!(line.metric("downstream_connection_active"), 0.0);
    assert_eq!((up("upstream_connection_total"), up("upstream_connection_close")), (5.0, 5.0));
    assert_eq!(line.metric("downstream_bytes_read_total"), 1000.0);
    assert_eq!(line.rosn.metric("downstream_bytes_write_total", &[("proxy", "global")]), 300.0);
}

#[test]
fn nobody_listens_after_a_stop_and_open_tunnels_get_their_time() {
    let mut line = Line::new();
    let (mut client, mut origin) = line.connect();
    client.write_all(b"x").unwrap();
    read_exactly(&mut origin, 1);
    line.rosn.signal(Signal::TERM);
    wait_until("the listener is closed", || {
        let refused = TcpStream::connect(local(line.port)).is_err();
        drop(line.peer.accept_now());
        refused
    });
    // The tunnel still works.
    origin.write_all(b"late").unwrap();
    assert_eq!(read_exactly(&mut client, 4), b"late");
    drop(client);
    assert_eq!(read_to_end(&mut origin), b"");
    drop((origin, line.peer));
    let status = line.rosn.wait();
    assert!(status.success(), "{status}: {}", line.rosn.log());
}

#[test]
fn a_thousand_short_connections_leave_nothing() {
    let line = Line::new();
    let port = line.port;
    let clients: Vec<_> = (0..4)
        .map(|_| {
            thread::spawn(move || {
                for _ in 0..250 {
                    let mut client = connect(local(port));
                    client.write_all(b"ping").unwrap();
                    client.shutdown(Shutdown::Write).unwrap();
                    assert_eq!(read_to_end(&mut client), b"pong");
                }
            })
        })
        .collect();
    for _ in 0..1000 {
        let mut origin = line.peer.accept();
        assert_eq!(read_to_end(&mut origin), b"ping");
        origin.write_all(b"pong").unwrap();
    }
    clients.into_iter().for_each(|client| client.join().unwrap());
    line.rosn.settled();
    assert_eq!(line.metric("downstream_connection_total"), 1000.0);
}

#[test]
fn a_listener_that_is_renamed_or_moved_by_a_reload_turns_nobody_away() {
    let line = Line::new();
    let (mut client, mut origin) = line.connect();
    let cluster = [cluster_of("up", &[line.peer.host()])];
    let moved = free_port();
    for (name, address, port) in [
        ("renamed", format!("127.0.0.1:{}", line.port), line.port),
        ("renamed", format!("0.0.0.0:{}", line.port), line.port),
        ("renamed", format!("127.0.0.1:{moved}"), moved),
        ("again", format!("127.0.0.1:{}", line.port), line.port),
    ] {
        let proxy = json!({ "cluster": "up" });
        let listener =
            with(listener(name, port, "tcp_proxy", proxy), json!({ "address": address }));
        line.rosn.write_config(&config(&[listener], &[], &cluster));
        let (done, said) = line.rosn.reload();
        assert!(done, "{name} at {address}: {said}");
        for _ in 0..10 {
            let mut client = connect(local(port));
            client.write_all(b"x").unwrap();
            assert_eq!(read_exactly(&mut line.peer.accept(), 1), b"x", "{name} at {address}");
        }
        client.write_all(b"still").unwrap();
        assert_eq!(read_exactly(&mut origin, 5), b"still");
    }
    wait_until("nobody listens where it was", || TcpStream::connect(local(moved)).is_err());
    drop((client, origin));
}
