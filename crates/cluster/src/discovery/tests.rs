//! Against a DNS server of our own, over a socket.

use std::collections::HashMap;
use std::net::UdpSocket;
use std::sync::Mutex;
use std::thread;
use std::time::Instant;

use hickory_resolver::proto::op::{Message, OpCode, ResponseCode};
use hickory_resolver::proto::rr::{RData, Record, RecordType};
use rosn_config::checked::{BalancerKind, Dns, DnsFamily, Host};
use tokio::task::JoinHandle;

use super::*;
use crate::testing::{cluster, config, host};

const PATIENCE: Duration = Duration::from_secs(10);

/// Answers from a table, until the process ends.
#[derive(Clone)]
struct Server {
    addr: std::net::SocketAddr,
    zone: Arc<Mutex<Zone>>,
}

#[derive(Default)]
struct Zone {
    records: HashMap<(String, RecordType), Vec<IpAddr>>,
    ttl: u32,
    failure: Option<ResponseCode>,
    /// Only questions of this kind fail.
    failing: Option<RecordType>,
    queries: Vec<(String, Instant)>,
}

impl Server {
    fn start(ttl: u32) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let addr = socket.local_addr().unwrap();
        let zone = Arc::new(Mutex::new(Zone { ttl, ..Zone::default() }));
        let answers = Arc::clone(&zone);
        thread::spawn(move || {
            let mut packet = [0; 1500];
            while let Ok((length, peer)) = socket.recv_from(&mut packet) {
                let query = Message::from_vec(&packet[..length]).unwrap();
                let response = answers.lock().unwrap().answer(&query);
                socket.send_to(&response.to_vec().unwrap(), peer).unwrap();
            }
        });
        Self { addr, zone }
    }

    fn set(&self, name: &str, addresses: &[&str]) {
        let addresses: Vec<IpAddr> = addresses.iter().map(|ip| ip.parse().unwrap()).collect();
        let mut zone = self.zone.lock().unwrap();
        for kind in [RecordType::A, RecordType::AAAA] {
            let of_kind = |ip: &&IpAddr| ip.is_ipv4() == (kind == RecordType::A);
            let of_kind = addresses.iter().filter(of_kind).copied().collect();
            zone.records.insert((name.to_owned(), kind), of_kind);
        }
    }

    fn fail(&self, code: Option<ResponseCode>) {
        self.zone.lock().unwrap().failure = code;
    }

    /// The names that were asked for, and when.
    fn queries(&self) -> Vec<(String, Instant)> {
        self.zone.lock().unwrap().queries.clone()
    }

    fn dns(&self) -> Dns {
        Dns {
            refresh: Duration::from_millis(20),
            respect_ttl: false,
            family: DnsFamily::V4,
            servers: vec![self.addr],
            search: Vec::new(),
            ndots: None,
            timeout: Some(Duration::from_millis(500)),
            attempts: Some(1),
            resolver_file: "/nonexistent".into(),
        }
    }
}

impl Zone {
    fn answer(&mut self, query: &Message) -> Message {
        let question = query.queries[0].clone();
        let name = question.name().to_ascii().to_lowercase();
        let key = (name.trim_end_matches('.').to_owned(), question.query_type());
        self.queries.push((key.0.clone(), Instant::now()));
        let mut response = Message::response(query.metadata.id, OpCode::Query);
        response.metadata.recursion_available = true;
        response.add_query(question.clone());
        let fails = self.failing.is_none_or(|kind| kind == key.1);
        match (self.failure.filter(|_| fails), self.records.get(&key)) {
            (Some(code), _) => response.metadata.response_code = code,
            (None, None) => response.metadata.response_code = ResponseCode::NXDomain,
            (None, Some(addresses)) => {
                response.add_answers(addresses.iter().map(|ip| {
                    Record::from_rdata(question.name().clone(), self.ttl, RData::from(*ip))
                }));
            }
        }
        response
    }
}

/// A cluster that is being resolved.
struct Run {
    cluster: Arc<Cluster>,
    task: JoinHandle<()>,
}

impl Run {
    fn start(discovery: Discovery, hosts: Vec<Host>) -> Self {
        let mut config = config(BalancerKind::RoundRobin, hosts);
        config.discovery = discovery;
        let cluster = cluster(config);
        let task = tokio::spawn(discover(Arc::clone(&cluster)));
        Self { cluster, task }
    }

    fn strict(dns: Dns, hosts: Vec<Host>) -> Self {
        Self::start(Discovery::StrictDns(dns), hosts)
    }

    fn addresses(&self) -> Vec<String> {
        let set = self.cluster.endpoints();
        set.endpoints().iter().map(|endpoint| endpoint.addr().to_string()).collect()
    }

    async fn until(&self, expected: &[&str]) {
        until(|| self.addresses() == expected, || format!("{:?}", self.addresses())).await;
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn until(what: impl Fn() -> bool, seen: impl Fn() -> String) {
    let start = Instant::now();
    while !what() {
        assert!(start.elapsed() < PATIENCE, "seen: {}", seen());
        sleep(Duration::from_millis(5)).await;
    }
}

/// Waits for a query that was not there yet, and one more, so that the first one's answer is in.
async fn next_queries(server: &Server) {
    let before = server.queries().len();
    until(|| server.queries().len() >= before + 2, || "no further queries".to_owned()).await;
}

#[tokio::test]
async fn every_address_of_every_name_is_an_endpoint() {
    let server = Server::start(60);
    server.set("a.test", &["10.0.0.9", "10.0.0.1", "10.0.0.9", "::1"]);
    server.set("b.test", &["10.0.0.5", "10.0.0.1"]);
    let mut named = host("b.test:90", 7);
    named.hostname = "own.name".to_owned();
    let hosts = vec![host("a.test:80", 1), host("127.0.0.1:70", 2), named];
    let run = Run::strict(server.dns(), hosts);
    assert!(run.cluster.first_resolution(PATIENCE).await);
    let expected = ["10.0.0.1:80", "10.0.0.9:80", "127.0.0.1:70", "10.0.0.1:90", "10.0.0.5:90"];
    assert_eq!(run.addresses(), expected);
    let set = run.cluster.endpoints();
    let described: Vec<_> =
        set.endpoints().iter().map(|e| (e.hostname(), e.weight(), e.label())).collect();
    assert_eq!(described[0], ("a.test", 1, "10.0.0.1:80"));
    assert_eq!(described[2], ("", 2, "127.0.0.1:70"));
    assert_eq!(described[4], ("own.name", 7, "10.0.0.5:90"));
}

#[tokio::test]
async fn answers_are_followed_and_unchanged_ones_change_nothing() {
    let server = Server::start(60);
    server.set("a.test", &["10.0.0.1", "10.0.0.2"]);
    let run = Run::strict(server.dns(), vec![host("a.test:80", 1)]);
    run.until(&["10.0.0.1:80", "10.0.0.2:80"]).await;
    let (version, kept) = {
        let set = run.cluster.endpoints();
        (set.version(), Arc::clone(&set.endpoints()[1]))
    };
    server.set("a.test", &["10.0.0.2", "10.0.0.1"]);
    next_queries(&server).await;
    assert_eq!(run.cluster.endpoints().version(), version, "only the order changed");
    server.set("a.test", &["10.0.0.3", "10.0.0.2"]);
    run.until(&["10.0.0.2:80", "10.0.0.3:80"]).await;
    let set = run.cluster.endpoints();
    assert_eq!(set.version(), version + 1);
    assert!(Arc::ptr_eq(&set.endpoints()[0], &kept));
}

#[tokio::test]
async fn a_failure_keeps_the_last_good_answer() {
    let server = Server::start(60);
    server.set("a.test", &["10.0.0.1"]);
    server.set("b.test", &["10.0.0.2"]);
    let run = Run::strict(server.dns(), vec![host("a.test:80", 1), host("b.test:80", 1)]);
    run.until(&["10.0.0.1:80", "10.0.0.2:80"]).await;
    for code in [ResponseCode::NXDomain, ResponseCode::ServFail, ResponseCode::Refused] {
        server.fail(Some(code));
        next_queries(&server).await;
        next_queries(&server).await;
        run.until(&["10.0.0.1:80", "10.0.0.2:80"]).await;
    }
    server.fail(None);
    server.set("a.test", &[]); // no records, but the name exists
    server.set("b.test", &["10.0.0.7"]);
    run.until(&["10.0.0.1:80", "10.0.0.7:80"]).await;
    server.set("a.test", &["10.0.0.6"]);
    run.until(&["10.0.0.6:80", "10.0.0.7:80"]).await;
}

#[tokio::test]
async fn the_family_is_respected() {
    let server = Server::start(60);
    server.set("a.test", &["10.0.0.1", "fd00::2", "fd00::1"]);
    server.set("b.test", &["10.0.0.3"]);
    let hosts = || vec![host("a.test:80", 1), host("b.test:81", 1)];
    for (family, expected) in [
        (DnsFamily::V4, &["10.0.0.1:80", "10.0.0.3:81"][..]),
        (DnsFamily::V6, &["[fd00::1]:80", "[fd00::2]:80"]),
        (DnsFamily::Both, &["10.0.0.1:80", "[fd00::1]:80", "[fd00::2]:80", "10.0.0.3:81"]),
    ] {
        let run = Run::strict(Dns { family, ..server.dns() }, hosts());
        assert!(run.cluster.first_resolution(PATIENCE).await, "a failure is an answer, too");
        run.until(expected).await;
    }
}

#[tokio::test]
async fn a_family_that_fails_keeps_its_addresses_while_the_other_goes_on() {
    let server = Server::start(3600);
    server.set("a.test", &["10.0.0.1", "fd00::1"]);
    server.zone.lock().unwrap().ttl = 0;
    let dns = Dns { family: DnsFamily::Both, respect_ttl: true, ..server.dns() };
    let run = Run::strict(dns, vec![host("a.test:80", 1)]);
    run.until(&["10.0.0.1:80", "[fd00::1]:80"]).await;
    server.zone.lock().unwrap().failing = Some(RecordType::AAAA);
    server.fail(Some(ResponseCode::ServFail));
    server.set("a.test", &["10.0.0.2"]);
    run.until(&["10.0.0.2:80", "[fd00::1]:80"]).await;
    server.fail(None);
    // As some is from before, it is asked for at the usual rate, not when the time has come.
    run.until(&["10.0.0.2:80"]).await;
}

#[tokio::test]
async fn the_time_to_live_decides_when_to_ask_again() {
    let server = Server::start(3600);
    server.set("a.test", &["10.0.0.1"]);
    let dns = Dns { respect_ttl: true, ..server.dns() };
    let run = Run::strict(dns.clone(), vec![host("a.test:80", 1)]);
    run.until(&["10.0.0.1:80"]).await;
    sleep(Duration::from_millis(200)).await;
    assert_eq!(server.queries().len(), 1, "an hour is not over");
    drop(run);

    server.zone.lock().unwrap().ttl = 0;
    let run = Run::strict(dns, vec![host("a.test:80", 1)]);
    run.until(&["10.0.0.1:80"]).await;
    server.set("a.test", &["10.0.0.2"]);
    run.until(&["10.0.0.2:80"]).await;
    let times: Vec<_> = server.queries()[1..].iter().map(|(_, at)| *at).collect();
    assert!(times[1] - times[0] >= Duration::from_secs(1), "no more than once a second");
}

#[tokio::test]
async fn search_domains_and_dots_are_used() {
    let server = Server::start(60);
    server.set("a.one.test", &["10.0.0.1"]);
    server.set("x.y.two.test", &["10.0.0.2"]);
    let dns = Dns {
        search: vec!["one.test".to_owned(), "two.test".to_owned()],
        ndots: Some(2),
        ..server.dns()
    };
    let run = Run::strict(dns, vec![host("a:80", 1), host("x.y:80", 1)]);
    run.until(&["10.0.0.1:80", "10.0.0.2:80"]).await;
    let names: Vec<_> = server.queries().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names.iter().position(|name| name == "x.y"), None, "two.test came first");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_a_failure_within_the_timeout() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut dns = Server::start(1).dns();
    dns.servers = vec![silent.local_addr().unwrap()];
    let run = Run::strict(dns, vec![host("a.test:80", 1), host("10.0.0.1:80", 1)]);
    assert!(run.cluster.first_resolution(PATIENCE).await);
    assert_eq!(run.addresses(), ["10.0.0.1:80"]);
}

#[tokio::test]
async fn the_resolver_file_is_read_and_its_absence_is_no_panic() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n").unwrap();
    for path in [file.path(), "/nonexistent".as_ref(), "/".as_ref()] {
        let mut dns = Server::start(1).dns();
        dns.servers.clear();
        dns.resolver_file = path.to_owned();
        let hosts = vec![host("localhost:80", 1), host("surely.invalid:80", 1)];
        let run = Run::strict(dns, hosts);
        assert!(run.cluster.first_resolution(PATIENCE).await);
        assert_eq!(run.addresses(), ["127.0.0.1:80"]);
    }
}

#[tokio::test]
async fn a_reload_takes_over_what_was_resolved() {
    let server = Server::start(60);
    server.set("a.test", &["10.0.0.1"]);
    let hosts = || vec![host("a.test:80", 1)];
    let old = Run::strict(server.dns(), hosts());
    old.until(&["10.0.0.1:80"]).await;
    server.fail(Some(ResponseCode::ServFail));
    let new = Run::strict(server.dns(), hosts());
    assert!(new.addresses().is_empty());
    new.cluster.inherit(&old.cluster);
    assert_eq!(new.addresses(), ["10.0.0.1:80"]);
    assert!(new.cluster.first_resolution(PATIENCE).await);
    assert_eq!(new.addresses(), ["10.0.0.1:80"]);
}

#[tokio::test]
async fn static_names_are_resolved_by_the_system() {
    let hosts = vec![host("localhost:80", 1), host("no..name:80", 1), host("10.0.0.1:1", 1)];
    let run = Run::start(Discovery::Static, hosts);
    assert_eq!(run.addresses(), ["10.0.0.1:1"]);
    assert!(run.cluster.first_resolution(PATIENCE).await);
    assert_eq!(run.addresses(), ["127.0.0.1:80", "10.0.0.1:1"]);
    let set = run.cluster.endpoints();
    assert_eq!(set.endpoints()[0].label(), "localhost:80");
    assert_eq!(set.endpoints()[0].hostname(), "localhost");
}

#[tokio::test]
async fn nothing_to_resolve_ends_at_once() {
    let mut run = Run::start(Discovery::Static, vec![host("10.0.0.1:80", 1)]);
    tokio::time::timeout(PATIENCE, &mut run.task).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn failures_are_asked_for_again_soon_then_less_often() {
    let cluster = cluster(config(BalancerKind::RoundRobin, vec![host("a.test:80", 1)]));
    let changed = Arc::new(Notify::new());
    let mut follower = Follower { cluster, changed, host: 0, name: "a.test".into(), failures: 0 };
    for expected in [15, 1, 2, 4, 8, 15, 15] {
        let start = tokio::time::Instant::now();
        follower.pause(Duration::from_secs(15)).await;
        assert_eq!(start.elapsed().as_secs(), expected);
        follower.failed(&"test");
    }
    follower.failures = u32::MAX;
    let start = tokio::time::Instant::now();
    follower.pause(Duration::ZERO).await;
    assert_eq!(start.elapsed(), LEAST_INTERVAL);
}
