//! Redirected connections, in network namespaces: a client, the machine of the proxy, and one of origins,
//! joined by cables, with iptables on the machine of the proxy.
//!
//! ```text
//!   client 10.9.1.2 -- 10.9.1.1 proxy 10.9.2.1 -- 10.9.2.2, 10.9.2.3 origin
//!         fd09:1::2    fd09:1::1    fd09:2::1    fd09:2::2, fd09:2::3
//! ```
#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::Write;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::thread;

use rosn_tests::client::Client;
use rosn_tests::config::{config, http_listener, router_to, tcp_listener};
use rosn_tests::l4::{cluster_of, connect_from, ends_with_reset, udp_listener, with};
use rosn_tests::netns::Namespace;
use rosn_tests::origin::ok;
use rosn_tests::{PATIENCE, Rosn, wait_until};
use serde_json::{Value, json};

/// Where the proxy listens for what is redirected.
const CATCH: u16 = 15_001;

/// The three machines.
struct Lab {
    client: Namespace,
    proxy: Namespace,
    origin: Namespace,
}

impl Lab {
    fn new() -> Self {
        let lab = Self {
            client: Namespace::new("client"),
            proxy: Namespace::new("proxy"),
            origin: Namespace::new("origin"),
        };
        lab.client.join(
            "eth0",
            &["10.9.1.2/24", "fd09:1::2/64"],
            &lab.proxy,
            "near",
            &["10.9.1.1/24", "fd09:1::1/64"],
        );
        lab.proxy.join(
            "far",
            &["10.9.2.1/24", "fd09:2::1/64"],
            &lab.origin,
            "eth0",
            &["10.9.2.2/24", "10.9.2.3/24", "fd09:2::2/64", "fd09:2::3/64"],
        );
        for family in ["-4", "-6"] {
            let gateway = if family == "-4" { "10.9.1.1" } else { "fd09:1::1" };
            run_ip(&lab.client, family, &format!("route add default via {gateway}"));
        }
        lab
    }

    /// Sends what comes from the client for these ports to the proxy by REDIRECT.
    fn redirect(&self, ports: &str) {
        for tables in ["iptables", "ip6tables"] {
            self.proxy.exec(&format!(
                "{tables} -t nat -A PREROUTING -i near -p tcp -m multiport --dports {ports} -j REDIRECT --to-ports {CATCH}"
            ));
        }
    }

    /// The same by TPROXY, which leaves the addresses alone.
    fn tproxy(&self, ports: &str) {
        for (tables, family, everything) in
            [("iptables", "-4", "0.0.0.0/0"), ("ip6tables", "-6", "::/0")]
        {
            self.proxy.exec(&format!(
                "{tables} -t mangle -A PREROUTING -i near -p tcp -m multiport --dports {ports} \
                 -j TPROXY --on-port {CATCH} --tproxy-mark 1"
            ));
            run_ip(&self.proxy, family, "rule add fwmark 1 lookup 100");
            run_ip(&self.proxy, family, &format!("route add local {everything} dev lo table 100"));
        }
    }

    /// A server on all addresses of the origin's machine; it tells each client its name, the address that
    /// the client reached, and from where.
    fn server(&self, name: &'static str, port: u16) {
        serve(&self.origin, name, port);
    }

    /// What the client hears when it connects there; nothing where it is turned away.
    fn ask(&self, addr: &str) -> String {
        let addr: SocketAddr = addr.parse().unwrap();
        self.client.enter(|| hear(addr))
    }
}

fn run_ip(namespace: &Namespace, family: &str, words: &str) {
    namespace.ip(&format!("{family} {words}"));
}

fn serve(machine: &Namespace, name: &'static str, port: u16) {
    let listener = machine.enter(|| TcpListener::bind(("::", port)).unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let local = stream.local_addr().unwrap();
            let (local_ip, peer_ip) =
                (local.ip().to_canonical(), stream.peer_addr().unwrap().ip().to_canonical());
            let _ = write!(
                stream,
                "{name} at {} from {peer_ip}",
                SocketAddr::new(local_ip, local.port())
            );
        }
    });
}

fn hear(addr: SocketAddr) -> String {
    let any = if addr.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let Some(mut stream) = connect_from(any.parse().unwrap(), addr) else { return String::new() };
    let mut said = Vec::new();
    let _ = std::io::Read::read_to_end(&mut stream, &mut said);
    String::from_utf8(said).unwrap()
}

/// The listener that everything is redirected to.
fn catch_all(listener: Value, address: &str, kind: &str) -> Value {
    with(listener, json!({ "address": address, "use_original_dst": kind }))
}

/// A listener that nobody can connect to, only be handed to.
fn virtual_listener(name: &str, address: &str, cluster: &str) -> Value {
    with(tcp_listener(name, 1, cluster), json!({ "address": address, "bind_port": false }))
}

/// A cluster that goes where the client meant to go.
fn original(name: &str) -> Value {
    json!({ "name": name, "type": "ORIGINAL_DST", "lb_type": "LB_ORIGINAL_DST" })
}

fn origin_at(name: &str, host: &str) -> Value {
    cluster_of(name, &[host.to_owned()])
}

#[test]
fn redirected_connections_reach_the_address_that_was_meant() {
    let lab = Lab::new();
    lab.redirect("8080,8081");
    lab.server("first", 8080);
    lab.server("second", 8081);
    for (address, with_v6) in [("[::]:15001", true), ("0.0.0.0:15001", false)] {
        let catch = catch_all(tcp_listener("catch", 1, "orig"), address, "redirect");
        lab.proxy.enter(|| {
            let rosn = Rosn::start(&config(&[catch], &[], &[original("orig")]));
            assert_eq!(lab.ask("10.9.2.2:8080"), "first at 10.9.2.2:8080 from 10.9.2.1");
            assert_eq!(lab.ask("10.9.2.3:8080"), "first at 10.9.2.3:8080 from 10.9.2.1");
            assert_eq!(lab.ask("10.9.2.3:8081"), "second at 10.9.2.3:8081 from 10.9.2.1");
            if with_v6 {
                assert_eq!(lab.ask("[fd09:2::2]:8080"), "first at [fd09:2::2]:8080 from fd09:2::1");
                assert_eq!(
                    lab.ask("[fd09:2::3]:8081"),
                    "second at [fd09:2::3]:8081 from fd09:2::1"
                );
            }
            rosn.settled();
        });
    }
}

#[test]
fn tproxied_connections_reach_the_address_that_was_meant() {
    let lab = Lab::new();
    lab.tproxy("8080,8081");
    lab.server("first", 8080);
    lab.server("second", 8081);
    for (address, with_v6) in [("[::]:15001", true), ("0.0.0.0:15001", false)] {
        let catch = catch_all(tcp_listener("catch", 1, "orig"), address, "tproxy");
        lab.proxy.enter(|| {
            let rosn = Rosn::start(&config(&[catch], &[], &[original("orig")]));
            assert_eq!(lab.ask("10.9.2.2:8080"), "first at 10.9.2.2:8080 from 10.9.2.1");
            assert_eq!(lab.ask("10.9.2.3:8081"), "second at 10.9.2.3:8081 from 10.9.2.1");
            if with_v6 {
                assert_eq!(lab.ask("[fd09:2::2]:8080"), "first at [fd09:2::2]:8080 from fd09:2::1");
                assert_eq!(
                    lab.ask("[fd09:2::3]:8081"),
                    "second at [fd09:2::3]:8081 from fd09:2::1"
                );
            }
            rosn.settled();
        });
    }
}

/// The virtual listeners of an exact address, of a port of every address, and the one that catches the rest.
fn hand_off(kind: &str) {
    let lab = Lab::new();
    match kind {
        "redirect" => lab.redirect("8080,8081,8082"),
        _ => lab.tproxy("8080,8081,8082"),
    }
    for (name, port) in
        [("exact", 9001), ("port", 9002), ("rest", 9003), ("exact6", 9004), ("port6", 9005)]
    {
        lab.server(name, port);
    }
    let at = |port: u16| format!("10.9.2.2:{port}");
    let listeners = [
        catch_all(tcp_listener("catch", 1, "rest"), "[::]:15001", kind),
        // In an order in which the first that fits would be the wrong one.
        virtual_listener("port", "0.0.0.0:8080", "port"),
        virtual_listener("port6", "[::]:8080", "port6"),
        virtual_listener("exact", "10.9.2.2:8080", "exact"),
        virtual_listener("exact6", "[fd09:2::2]:8080", "exact6"),
        virtual_listener("local", "127.0.0.1:8081", "exact"),
    ];
    let clusters = [
        origin_at("exact", &at(9001)),
        origin_at("port", &at(9002)),
        origin_at("rest", &at(9003)),
        origin_at("exact6", &at(9004)),
        origin_at("port6", &at(9005)),
    ];
    lab.proxy.enter(|| {
        let rosn = Rosn::start(&config(&listeners, &[], &clusters));
        let who = |addr: &str| lab.ask(addr).split(' ').next().unwrap().to_owned();
        assert_eq!(who("10.9.2.2:8080"), "exact");
        assert_eq!(who("10.9.2.3:8080"), "port");
        assert_eq!(
            who("10.9.2.2:8081"),
            "rest",
            "127.0.0.1 is asked for only with fallback_to_local"
        );
        assert_eq!(who("10.9.2.2:8082"), "rest");
        assert_eq!(who("[fd09:2::2]:8080"), "exact6");
        assert_eq!(who("[fd09:2::3]:8080"), "port6");
        assert_eq!(who("[fd09:2::3]:8082"), "rest");
        // A connection is counted where it is served.
        let count = |name| rosn.metric("downstream_connection_total", &[("listener", name)]);
        let counts = ["catch", "port", "port6", "exact", "exact6", "local"].map(count);
        assert_eq!(counts, [3.0, 1.0, 1.0, 1.0, 1.0, 0.0]);
        rosn.settled();
    });
}

#[test]
fn virtual_listeners_are_chosen_by_redirected_address() {
    hand_off("redirect");
}

#[test]
fn virtual_listeners_are_chosen_by_tproxied_address() {
    hand_off("tproxy");
}

#[test]
fn fallback_to_local_asks_for_127_0_0_1() {
    let lab = Lab::new();
    lab.redirect("8080,8081");
    for (name, port) in [("exact", 9001), ("everywhere", 9002), ("local", 9003), ("rest", 9004)] {
        lab.server(name, port);
    }
    let filter = json!([{ "type": "original_dst", "config": { "fallback_to_local": true, "type": "redirect" } }]);
    let listeners = [
        with(
            tcp_listener("catch", 1, "rest"),
            json!({ "address": "0.0.0.0:15001", "listener_filters": filter }),
        ),
        virtual_listener("everywhere", "0.0.0.0:8080", "everywhere"),
        virtual_listener("local", "127.0.0.1:8080", "local"),
        virtual_listener("exact", "10.9.2.3:8080", "exact"),
    ];
    let clusters = [("exact", 9001), ("everywhere", 9002), ("local", 9003), ("rest", 9004)]
        .map(|(name, port)| origin_at(name, &format!("10.9.2.2:{port}")));
    lab.proxy.enter(|| {
        let rosn = Rosn::start(&config(&listeners, &[], &clusters));
        let who = |addr: &str| lab.ask(addr).split(' ').next().unwrap().to_owned();
        assert_eq!(who("10.9.2.2:8080"), "local");
        assert_eq!(who("10.9.2.3:8080"), "exact");
        assert_eq!(who("10.9.2.2:8081"), "rest");
        rosn.settled();
    });
}

/// An HTTP server on all addresses of a machine that answers with its name and the address it was reached at.
fn http_server(machine: &Namespace, name: &'static str, port: u16) {
    let listener = machine.enter(|| TcpListener::bind(("0.0.0.0", port)).unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            thread::spawn(move || {
                let local = stream.local_addr().unwrap();
                let mut reader = stream.try_clone().unwrap();
                let mut read = Vec::new();
                let mut chunk = [0; 4096];
                while let Ok(count @ 1..) = std::io::Read::read(&mut reader, &mut chunk) {
                    read.extend_from_slice(&chunk[..count]);
                    while let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
                        read.drain(..end + 4);
                        let _ = stream.write_all(&ok(&format!("{name} at {local}")));
                    }
                }
            });
        }
    });
}

#[test]
fn http_requests_go_where_the_connection_or_a_header_meant() {
    let lab = Lab::new();
    lab.redirect("80,8080");
    http_server(&lab.origin, "eighty", 80);
    http_server(&lab.origin, "other", 8080);
    http_server(&lab.proxy, "beside", 8080);
    let by_header = with(
        original("by-header"),
        json!({ "original_dst_lb_config": { "use_header": true, "header_name": "X-Target" } }),
    );
    let to_local =
        with(original("to-local"), json!({ "original_dst_lb_config": { "replace_local": true } }));
    for (cluster, checks) in [
        (
            original("up"),
            &[
                ("10.9.2.2:80", "", "eighty at 10.9.2.2:80"),
                ("10.9.2.3:8080", "", "other at 10.9.2.3:8080"),
            ][..],
        ),
        (
            with(by_header, json!({ "name": "up" })),
            &[
                ("10.9.2.2:80", "10.9.2.3:8080", "other at 10.9.2.3:8080"),
                ("10.9.2.2:80", "", "eighty at 10.9.2.2:80"),
                ("10.9.2.2:80", "rubbish", "eighty at 10.9.2.2:80"),
            ],
        ),
        (
            with(to_local, json!({ "name": "up" })),
            &[("10.9.2.2:8080", "", "beside at 127.0.0.1:8080")],
        ),
    ] {
        let listener = catch_all(http_listener("catch", 1, "r"), "0.0.0.0:15001", "redirect");
        lab.proxy.enter(|| {
            let rosn = Rosn::start(&config(&[listener], &[router_to("r", "up")], &[cluster]));
            for (addr, target, expected) in checks {
                let response = lab.client.enter(|| {
                    let headers = [("Host", "elsewhere"), ("X-Target", target)];
                    let headers = if target.is_empty() { &headers[..1] } else { &headers[..] };
                    Client::connect_to(addr.parse().unwrap()).request("GET", "/", headers, b"")
                });
                assert_eq!(
                    (response.status, response.text()),
                    (200, (*expected).to_owned()),
                    "{addr} {target}"
                );
            }
            rosn.settled();
        });
    }
}

#[test]
fn a_connection_that_was_not_redirected_does_not_go_round_in_circles() {
    for kind in ["redirect", "tproxy"] {
        let lab = Lab::new();
        match kind {
            "redirect" => lab.redirect("8080"),
            _ => lab.tproxy("8080"),
        }
        lab.server("origin", 8080);
        let catch = catch_all(tcp_listener("catch", 1, "orig"), "[::]:15001", kind);
        lab.proxy.enter(|| {
            let mut config = config(&[catch], &[], &[original("orig")]);
            config["servers"][0]["limits"] = json!({ "max_connections": 200 });
            let rosn = Rosn::start(&config);
            for addr in ["10.9.1.1:15001", "[fd09:1::1]:15001"] {
                assert_eq!(lab.ask(addr), "", "{kind} {addr}");
            }
            assert_eq!(hear("127.0.0.1:15001".parse().unwrap()), "");
            assert_eq!(lab.ask("10.9.2.2:8080"), "origin at 10.9.2.2:8080 from 10.9.2.1");
            rosn.settled();
            let total = rosn.metric("downstream_connection_total", &[("listener", "catch")]);
            assert_eq!(total, 4.0, "{kind}: the proxy connected to itself");
        });
    }
}

#[test]
fn an_address_that_refuses_is_a_failure_of_that_address_only() {
    let lab = Lab::new();
    lab.redirect("8080,8081");
    lab.server("up", 8080);
    let catch = catch_all(tcp_listener("catch", 1, "orig"), "0.0.0.0:15001", "redirect");
    lab.proxy.enter(|| {
        let rosn = Rosn::start(&config(&[catch], &[], &[original("orig")]));
        lab.client.enter(|| {
            let to = "10.9.2.2:8081".parse().unwrap();
            let refused = connect_from("0.0.0.0:0".parse().unwrap(), to);
            assert!(refused.is_none_or(|mut stream| ends_with_reset(&mut stream)));
        });
        assert_eq!(lab.ask("10.9.2.2:8080"), "up at 10.9.2.2:8080 from 10.9.2.1");
        rosn.settled();
    });
}

/// The packets that a rule for this mark has seen on its way out of the proxy's machine.
fn marked(proxy: &Namespace, tables: &str) -> u64 {
    let listing = proxy.exec(&format!("{tables} -t mangle -L OUTPUT -v -n -x"));
    let rule =
        listing.lines().find(|line| line.contains("0x2a")).unwrap_or_else(|| panic!("{listing}"));
    rule.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn upstream_sockets_carry_the_mark_of_their_cluster() {
    let lab = Lab::new();
    lab.server("tcp", 8080);
    http_server(&lab.origin, "http", 8081);
    let udp = lab.origin.enter(|| UdpSocket::bind("0.0.0.0:8082").unwrap());
    udp.set_read_timeout(Some(PATIENCE)).unwrap();
    for tables in ["iptables", "ip6tables"] {
        lab.proxy.exec(&format!("{tables} -t mangle -A OUTPUT -m mark --mark 0x2a"));
    }
    let cluster =
        |name: &str, host: &str, mark: u32| with(origin_at(name, host), json!({ "mark": mark }));
    let listeners = [
        tcp_listener("none", 7000, "none"),
        tcp_listener("four", 7001, "four"),
        tcp_listener("six", 7002, "six"),
        http_listener("http", 7003, "r"),
        udp_listener("udp", 7004, "udp"),
    ]
    .map(|listener| {
        let address = listener["address"].as_str().unwrap().replace("127.0.0.1", "0.0.0.0");
        with(listener, json!({ "address": address }))
    });
    let clusters = [
        cluster("none", "10.9.2.2:8080", 0),
        cluster("four", "10.9.2.2:8080", 42),
        cluster("six", "[fd09:2::2]:8080", 42),
        cluster("http", "10.9.2.2:8081", 42),
        cluster("udp", "10.9.2.2:8082", 42),
    ];
    lab.proxy.enter(|| {
        let rosn = Rosn::start(&config(&listeners, &[router_to("r", "http")], &clusters));
        let (four, six) = (|| marked(&lab.proxy, "iptables"), || marked(&lab.proxy, "ip6tables"));
        assert_eq!(lab.ask("10.9.1.1:7000"), "tcp at 10.9.2.2:8080 from 10.9.2.1");
        assert_eq!((four(), six()), (0, 0));
        assert_eq!(lab.ask("10.9.1.1:7001"), "tcp at 10.9.2.2:8080 from 10.9.2.1");
        let after_tcp = four();
        assert!(after_tcp >= 2, "a mark from the first packet on");
        assert_eq!(lab.ask("10.9.1.1:7002"), "tcp at [fd09:2::2]:8080 from fd09:2::1");
        assert!(six() >= 2);
        let response =
            lab.client.enter(|| Client::connect_to("10.9.1.1:7003".parse().unwrap()).get("/"));
        assert_eq!(response.text(), "http at 10.9.2.2:8081");
        let after_http = four();
        assert!(after_http > after_tcp);
        rosn.settled();
        let before_udp = after_http.max(four());
        lab.client.enter(|| {
            let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
            socket.send_to(b"marked?", "10.9.1.1:7004").unwrap();
        });
        let mut bytes = [0; 16];
        assert_eq!(udp.recv(&mut bytes).unwrap(), 7);
        wait_until("the datagram was counted", || four() > before_udp);
        rosn.settled();
    });
}

/// A sidecar: the client is on the proxy's machine, and the mark keeps the proxy's own connections from
/// being redirected to it.
#[test]
fn a_mark_keeps_a_sidecar_out_of_its_own_redirection() {
    let lab = Lab::new();
    lab.server("origin", 8080);
    for tables in ["iptables", "ip6tables"] {
        lab.proxy.exec(&format!(
            "{tables} -t nat -A OUTPUT -p tcp --dport 8080 -m mark ! --mark 42 -j REDIRECT --to-ports {CATCH}"
        ));
    }
    let catch = catch_all(tcp_listener("catch", 1, "orig"), "[::]:15001", "redirect");
    let cluster = with(original("orig"), json!({ "mark": 42 }));
    lab.proxy.enter(|| {
        let rosn = Rosn::start(&config(&[catch], &[], &[cluster]));
        let here = |addr: &str| hear(addr.parse().unwrap());
        assert_eq!(here("10.9.2.3:8080"), "origin at 10.9.2.3:8080 from 10.9.2.1");
        assert_eq!(here("[fd09:2::3]:8080"), "origin at [fd09:2::3]:8080 from fd09:2::1");
        assert_eq!(rosn.metric("downstream_connection_total", &[("listener", "catch")]), 2.0);
        rosn.settled();
    });
}

#[test]
fn routes_of_a_tcp_proxy_go_by_the_original_address() {
    let lab = Lab::new();
    lab.redirect("8080,8081");
    lab.server("one", 9001);
    lab.server("two", 9002);
    let mut catch = catch_all(tcp_listener("catch", 1, "one"), "0.0.0.0:15001", "redirect");
    catch["filter_chains"][0]["filters"][0]["config"] = json!({ "routes": [
        { "cluster": "one", "destination_addrs": ["10.9.2.2/32"], "DestinationPort": "8080" },
        { "cluster": "two", "DestinationPort": "8081", "source_addrs": ["10.9.1.0/24"] },
    ] });
    let clusters = [origin_at("one", "10.9.2.2:9001"), origin_at("two", "10.9.2.2:9002")];
    lab.proxy.enter(|| {
        let rosn = Rosn::start(&config(&[catch], &[], &clusters));
        let who = |addr: &str| lab.ask(addr).split(' ').next().unwrap().to_owned();
        assert_eq!(who("10.9.2.2:8080"), "one");
        assert_eq!(who("10.9.2.3:8081"), "two");
        assert_eq!(who("10.9.2.3:8080"), "");
        rosn.settled();
    });
}
