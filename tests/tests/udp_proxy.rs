//! `udp_proxy` over real sockets: each peer has a session of its own, and nothing ends the listener.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::HashSet;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rosn_tests::config::config;
use rosn_tests::l4::{
    Pattern, cluster_of, listener, local, receive, udp, udp_at, udp_listener, with,
};
use rosn_tests::{Rosn, free_port, wait_until};
use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};

/// Answers each datagram with a word and the datagram, until dropped.
struct Echo {
    port: u16,
    stop: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Echo {
    fn new(word: &str) -> Self {
        Self::on(udp(), word)
    }

    fn on(socket: UdpSocket, word: &str) -> Self {
        let (port, word) = (socket.local_addr().unwrap().port(), word.to_owned());
        let stop = Arc::new(AtomicBool::new(false));
        let stopping = Arc::clone(&stop);
        socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let thread = thread::spawn(move || {
            let mut bytes = vec![0; 65536];
            while !stopping.load(Ordering::Relaxed) {
                if let Ok((len, from)) = socket.recv_from(&mut bytes) {
                    let _ = socket.send_to(&[word.as_bytes(), &bytes[..len]].concat(), from);
                }
            }
        });
        Self { port, stop, thread: Some(thread) }
    }

    fn host(&self) -> String {
        local(self.port).to_string()
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(thread::JoinHandle::join);
    }
}

/// A listener whose sessions end soon, so that tests do.
fn to_up(port: u16) -> Value {
    with(udp_listener("u", port, "up"), json!({ "connection_idle_timeout": "1s" }))
}

/// Asks until an answer comes, as a client of UDP does.
fn ask(client: &UdpSocket, port: u16, question: &[u8]) -> Vec<u8> {
    client.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let start = Instant::now();
    loop {
        client.send_to(question, local(port)).unwrap();
        let mut bytes = vec![0; 65536];
        match client.recv_from(&mut bytes) {
            Ok((len, from)) => {
                assert_eq!(from, local(port), "an answer from elsewhere");
                bytes.truncate(len);
                return bytes;
            }
            Err(error) => assert!(start.elapsed() < Duration::from_secs(10), "no answer: {error}"),
        }
    }
}

fn active(rosn: &Rosn) -> f64 {
    rosn.metric("downstream_connection_active", &[("listener", "u")])
}

#[test]
fn each_peer_has_its_session_and_gets_its_answers() {
    let (port, origin) = (free_port(), udp());
    let host = origin.local_addr().unwrap().to_string();
    let rosn = Rosn::start(&config(&[to_up(port)], &[], &[cluster_of("up", &[host])]));
    let clients: Vec<UdpSocket> = (0..20).map(|_| udp()).collect();
    let mut sessions: Vec<SocketAddr> = Vec::new();
    for (number, client) in clients.iter().enumerate() {
        client.send_to(&[number as u8], local(port)).unwrap();
        let (bytes, from) = receive(&origin);
        assert_eq!(bytes, [number as u8]);
        sessions.push(from);
    }
    let distinct: HashSet<_> = sessions.iter().collect();
    assert_eq!(distinct.len(), clients.len(), "two peers share a socket to the origin");
    assert_eq!(active(&rosn), 20.0);
    // Answers go to the peer of their session, whatever the order, and more than one may come.
    for number in (0..clients.len()).rev() {
        origin.send_to(&[number as u8, 1], sessions[number]).unwrap();
        origin.send_to(&[number as u8, 2], sessions[number]).unwrap();
    }
    for (number, client) in clients.iter().enumerate() {
        assert_eq!(receive(client), (vec![number as u8, 1], local(port)));
        assert_eq!(receive(client), (vec![number as u8, 2], local(port)));
    }
    // A peer that speaks again keeps its session.
    clients[3].send_to(b"again", local(port)).unwrap();
    assert_eq!(receive(&origin), (b"again".to_vec(), sessions[3]));
    let total = rosn.metric("downstream_connection_total", &[("listener", "u")]);
    assert_eq!(total, 20.0);
    let count = |name| rosn.metric(name, &[("listener", "u")]);
    assert_eq!(count("downstream_bytes_read_total"), 25.0);
    assert_eq!(count("downstream_bytes_write_total"), 80.0);
    rosn.settled();
}

#[test]
fn a_session_ends_when_it_is_idle() {
    for (proxy, of_listener) in [
        (json!({ "idle_timeout": 400_000_000 }), json!({})),
        (json!({ "idle_timeout": "400ms" }), json!({ "connection_idle_timeout": "1h" })),
        (json!({}), json!({ "connection_idle_timeout": "400ms" })),
    ] {
        let (port, origin) = (free_port(), udp());
        let host = origin.local_addr().unwrap().to_string();
        let proxy = with(json!({ "cluster": "up" }), proxy);
        let listener = with(listener("u", port, "udp_proxy", proxy), of_listener);
        let rosn = Rosn::start(&config(&[listener], &[], &[cluster_of("up", &[host])]));
        let client = udp();
        let start = Instant::now();
        client.send_to(b"1", local(port)).unwrap();
        let (_, first) = receive(&origin);
        wait_until("the session ends", || active(&rosn) == 0.0);
        assert!(start.elapsed() >= Duration::from_millis(390), "after {:?}", start.elapsed());
        rosn.settled();
        // The next datagram begins another one.
        client.send_to(b"2", local(port)).unwrap();
        let (_, second) = receive(&origin);
        origin.send_to(b"answer", second).unwrap();
        assert_eq!(receive(&client).0, b"answer");
        assert_ne!(first.port(), 0);
        rosn.settled();
    }
}

#[test]
fn datagrams_in_either_direction_keep_a_session() {
    let (port, origin) = (free_port(), udp());
    let host = origin.local_addr().unwrap().to_string();
    let proxy = json!({ "cluster": "up", "idle_timeout": "1500ms" });
    let rosn = Rosn::start(&config(
        &[listener("u", port, "udp_proxy", proxy)],
        &[],
        &[cluster_of("up", &[host])],
    ));
    let client = udp();
    client.send_to(b"x", local(port)).unwrap();
    let (_, session) = receive(&origin);
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(4000) {
        thread::sleep(Duration::from_millis(350));
        if start.elapsed() < Duration::from_millis(2000) {
            origin.send_to(b"down", session).unwrap();
            assert_eq!(receive(&client).0, b"down");
        } else {
            client.send_to(b"up", local(port)).unwrap();
            assert_eq!(receive(&origin), (b"up".to_vec(), session), "another session");
        }
    }
    assert_eq!(rosn.metric("downstream_connection_total", &[("listener", "u")]), 1.0);
    rosn.settled();
}

#[test]
fn zero_does_not_end_a_session_at_once() {
    let (port, origin) = (free_port(), udp());
    let host = origin.local_addr().unwrap().to_string();
    let proxy = json!({ "cluster": "up", "idle_timeout": 0 });
    let rosn = Rosn::start(&config(
        &[listener("u", port, "udp_proxy", proxy)],
        &[],
        &[cluster_of("up", &[host])],
    ));
    let client = udp();
    client.send_to(b"x", local(port)).unwrap();
    let (_, session) = receive(&origin);
    thread::sleep(Duration::from_millis(700));
    origin.send_to(b"late", session).unwrap();
    assert_eq!(receive(&client).0, b"late");
    assert_eq!(active(&rosn), 1.0);
}

#[test]
fn a_hash_keeps_a_peer_on_one_host() {
    let (port, hosts) = (free_port(), ["a", "b", "c", "d"].map(Echo::new));
    let hosts_of = hosts.each_ref().map(Echo::host);
    let cluster = with(cluster_of("up", &hosts_of), json!({ "lb_type": "LB_MAGLEV" }));
    let proxy = json!({ "cluster": "up", "idle_timeout": "200ms" });
    let rosn = Rosn::start(&config(&[listener("u", port, "udp_proxy", proxy)], &[], &[cluster]));
    let mut used = HashSet::new();
    let mut chosen = Vec::new();
    for round in 0..3 {
        for peer in 0..24_u8 {
            let source = SocketAddr::from(([127, 0, 7, peer + 1], 0));
            let answer = ask(&udp_at(source), port, b"?");
            used.insert(answer.clone());
            if round == 0 {
                chosen.push(answer);
            } else {
                assert_eq!(
                    chosen[usize::from(peer)],
                    answer,
                    "127.0.7.{} changed its host",
                    peer + 1
                );
            }
        }
        wait_until("the sessions end", || active(&rosn) == 0.0);
    }
    assert_eq!(used.len(), 4, "only {used:?} were used");
    rosn.settled();
}

#[test]
fn round_robin_spreads_peers() {
    let (port, hosts) = (free_port(), ["a", "b"].map(Echo::new));
    let hosts_of = hosts.each_ref().map(Echo::host);
    let rosn = Rosn::start(&config(&[to_up(port)], &[], &[cluster_of("up", &hosts_of)]));
    let clients: Vec<UdpSocket> = (0..10).map(|_| udp()).collect();
    let answers: Vec<Vec<u8>> = clients.iter().map(|client| ask(client, port, b"?")).collect();
    assert_eq!(answers.iter().filter(|answer| *answer == b"a?").count(), 5);
    // Each stays where it is while its session lasts.
    for (client, answer) in clients.iter().zip(&answers) {
        assert_eq!(&ask(client, port, b"?"), answer);
    }
    rosn.settled();
}

#[test]
fn several_workers_share_a_port_with_reuseport() {
    let (port, echo) = (free_port(), Echo::new(""));
    let listener = with(to_up(port), json!({ "reuseport": true }));
    let mut config = config(&[listener], &[], &[cluster_of("up", &[echo.host()])]);
    config["servers"][0]["processor"] = json!(4);
    let rosn = Rosn::start(&config);
    let clients: Vec<UdpSocket> = (0..64).map(|_| udp()).collect();
    for round in 0..3_u8 {
        for (number, client) in clients.iter().enumerate() {
            let question = [round, number as u8];
            assert_eq!(ask(client, port, &question), question);
        }
    }
    // A peer stays with one worker: no session twice.
    assert_eq!(rosn.metric("downstream_connection_total", &[("listener", "u")]), 64.0);
    let text = rosn.admin_get("/api/v1/connections");
    let all: Value = serde_json::from_str(&text).unwrap();
    let workers = all["workers"].as_array().unwrap_or_else(|| panic!("{text}"));
    let busy = workers.iter().filter(|worker| worker["downstream"].as_u64() > Some(0)).count();
    assert!(busy >= 3, "64 peers on {busy} of 4 workers: {text}");
    rosn.settled();
}

#[test]
fn datagrams_of_all_sizes_pass() {
    let (port, origin) = (free_port(), udp());
    let host = origin.local_addr().unwrap().to_string();
    let rosn = Rosn::start(&config(&[to_up(port)], &[], &[cluster_of("up", &[host])]));
    let client = udp();
    for len in [1, 0, 1472, 1473, 4096, 9000, 32_768, 65_507] {
        let bytes = Pattern::bytes(len as u64, len);
        client.send_to(&bytes, local(port)).unwrap();
        let (there, session) = receive(&origin);
        assert!(there == bytes, "{len} bytes became {}", there.len());
        origin.send_to(&bytes, session).unwrap();
        let (back, _) = receive(&client);
        assert!(back == bytes, "{len} bytes became {} on the way back", back.len());
    }
    rosn.settled();
}

#[test]
fn an_upstream_that_refuses_ends_neither_listener_nor_others() {
    let (port, gone, alive) = (free_port(), udp(), Echo::new("alive "));
    let dead = gone.local_addr().unwrap();
    let hosts = [dead.to_string(), alive.host()];
    let cluster = with(cluster_of("up", &hosts), json!({ "lb_type": "LB_ROUNDROBIN" }));
    let rosn = Rosn::start(&config(&[to_up(port)], &[], &[cluster]));
    drop(gone); // from now on the kernel answers with ICMP
    let clients: Vec<UdpSocket> = (0..6).map(|_| udp()).collect();
    for _ in 0..20 {
        for client in &clients {
            client.send_to(b"x", local(port)).unwrap();
        }
    }
    let mut answered = 0;
    for client in &clients {
        client.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        let mut bytes = [0; 64];
        match client.recv(&mut bytes) {
            Ok(len) => {
                assert_eq!(&bytes[..len], b"alive x");
                answered += 1;
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
    }
    assert_eq!(answered, 3, "half of the peers have the host that lives");
    // The dead host comes back, and the sessions to it work again.
    let back = Echo::on(udp_at(dead), "back ");
    for client in &clients {
        let mut bytes = [0; 64];
        client.set_nonblocking(true).unwrap();
        while client.recv(&mut bytes).is_ok() {}
        client.set_nonblocking(false).unwrap();
        let answer = ask(client, port, b"y");
        assert!(answer == b"alive y" || answer == b"back y", "{answer:?}");
    }
    drop(back);
    rosn.settled();
}

#[test]
fn a_peer_that_is_gone_does_not_disturb_the_others() {
    let (port, origin) = (free_port(), udp());
    let host = origin.local_addr().unwrap().to_string();
    let rosn = Rosn::start(&config(&[to_up(port)], &[], &[cluster_of("up", &[host])]));
    let gone = udp();
    gone.send_to(b"x", local(port)).unwrap();
    let (_, session) = receive(&origin);
    drop(gone);
    let client = udp();
    for round in 0..10_u8 {
        // Comes back to rosn as an ICMP error on the listening socket.
        origin.send_to(b"to nobody", session).unwrap();
        client.send_to(&[round], local(port)).unwrap();
        let (bytes, of_client) = receive(&origin);
        assert_eq!(bytes, [round]);
        origin.send_to(&[round, round], of_client).unwrap();
        assert_eq!(receive(&client).0, [round, round]);
    }
    rosn.settled();
}

#[test]
fn a_cluster_without_hosts_costs_nothing() {
    let port = free_port();
    let rosn =
        Rosn::start(&config(&[udp_listener("u", port, "none")], &[], &[cluster_of("none", &[])]));
    let client = udp();
    for _ in 0..50 {
        client.send_to(b"x", local(port)).unwrap();
    }
    wait_until("they are read", || {
        rosn.metric("downstream_connection_total", &[("listener", "u")]) > 0.0
    });
    rosn.settled();
    assert_eq!(active(&rosn), 0.0);
}

#[test]
fn max_connections_bounds_the_sessions() {
    let (port, echo) = (free_port(), Echo::new(""));
    let listener =
        with(to_up(port), json!({ "max_connections": 3, "connection_idle_timeout": "1s" }));
    let rosn = Rosn::start(&config(&[listener], &[], &[cluster_of("up", &[echo.host()])]));
    let clients: Vec<UdpSocket> = (0..5).map(|_| udp()).collect();
    for client in &clients[..3] {
        assert_eq!(ask(client, port, b"1"), b"1");
    }
    clients[3].set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    clients[3].send_to(b"2", local(port)).unwrap();
    assert!(clients[3].recv(&mut [0; 8]).is_err(), "a fourth session");
    assert!(rosn.metric("downstream_connection_overflow", &[("listener", "u")]) >= 1.0);
    wait_until("the sessions end", || active(&rosn) == 0.0);
    assert_eq!(ask(&clients[4], port, b"3"), b"3");
    rosn.settled();
}

#[test]
fn a_flood_of_peers_leaves_nothing() {
    let (port, echo) = (free_port(), Echo::new(""));
    let proxy = json!({ "cluster": "up", "idle_timeout": "300ms" });
    let listener = listener("u", port, "udp_proxy", proxy);
    let rosn = Rosn::start(&config(&[listener], &[], &[cluster_of("up", &[echo.host()])]));
    for _ in 0..2 {
        // Kept until the end: an answer to a port that has another owner by then would disturb that one.
        let peers: Vec<UdpSocket> = (0..400).map(|_| udp()).collect();
        for peer in &peers {
            peer.send_to(b"x", local(port)).unwrap();
        }
        wait_until("the sessions end", || active(&rosn) == 0.0);
        rosn.settled();
    }
}

#[test]
fn a_port_of_another_process_is_not_shared_with_it() {
    let (port, folder) = (free_port(), tempfile::tempdir().unwrap());
    // Another process would be heard half of the time.
    let other = Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
    other.set_reuse_port(true).unwrap();
    other.bind(&local(port).into()).unwrap();
    for reuseport in [false, true] {
        let listener = with(to_up(port), json!({ "reuseport": reuseport }));
        let mut config = config(&[listener], &[], &[cluster_of("up", &["127.0.0.1:9".to_owned()])]);
        config["pid"] = json!(folder.path().join("pid"));
        config["servers"][0]["default_log_path"] = json!("stderr");
        let file = folder.path().join("config.json");
        std::fs::write(&file, config.to_string()).unwrap();
        let output = Rosn::command().args(["start", "-c"]).arg(&file).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(&port.to_string()) && said.contains("in use"), "{said}");
        assert!(said.contains(&std::process::id().to_string()), "who has it: {said}");
    }
}
