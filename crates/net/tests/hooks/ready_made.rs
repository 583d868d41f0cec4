//! The smaller ready-made hooks.

use rosn_net::hook::{BindTo, DialLog, Effect, Fault, Faults, Mark, SocketKind, TransparentListen};
use rosn_net::{bind_udp, bind_unix};

use super::*;

#[tokio::test]
async fn faults_are_made_and_unmade_while_running() {
    let faults = Faults::new();
    let (switch, counting) = switch();
    let hooks = Hooks::from(Arc::new(faults.clone())).then(&counting);
    let (acceptor, addr) = acceptor(&hooks);
    let refuse = |owner: &str, percent| Fault {
        owner: owner.into(),
        call: Call::Connect,
        percent,
        effect: Effect::Fail(io::ErrorKind::ConnectionRefused),
    };
    faults.set(refuse("another", 100.0));
    connect(&addr, &hooks).await.unwrap();
    faults.set(refuse("back", 100.0));
    let error = connect(&addr, &hooks).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    assert!(error.to_string().contains("on purpose"), "{error}");
    // A rule replaces the one of the same owner and call.
    faults.set(refuse("back", 0.0));
    connect(&addr, &hooks).await.unwrap();
    assert_eq!(faults.list(), [refuse("another", 100.0), refuse("back", 0.0)]);
    faults.set(refuse("back", 50.0));
    let (mut good, mut bad) = (0, 0);
    while good == 0 || bad == 0 {
        match connect(&addr, &hooks).await {
            Ok(_) => good += 1,
            Err(_) => bad += 1,
        }
        assert!(good + bad < 200, "a coin that always falls the same way");
    }
    assert_eq!((faults.clear("another"), faults.clear("another")), (1, 0));
    faults.set(refuse("", 100.0));
    assert!(connect(&addr, &hooks).await.is_err());
    faults.replace(Vec::new());
    connect(&addr, &hooks).await.unwrap();
    drop(acceptor);
    assert!(switch.sockets().is_empty());
}

#[tokio::test]
async fn dials_are_logged() {
    let log: Arc<Mutex<String>> = Arc::default();
    let _subscriber = tracing::subscriber::set_default(Collect(Arc::clone(&log)));
    let hooks = Hooks::from(Arc::new(DialLog::new()));
    let (acceptor, addr) = acceptor(&hooks);
    connect(&addr, &hooks).await.unwrap();
    drop(acceptor);
    assert!(connect(&addr, &hooks).await.is_err());
    let log = log.lock().unwrap();
    let words = ["dialing", "dialed", "dial failed", "owner=\"back\"", &addr.to_string()];
    for word in words {
        assert!(log.contains(word), "{word} is not in {log}");
    }
}

/// The smallest subscriber: all fields as text.
struct Collect(Arc<Mutex<String>>);

impl tracing::Subscriber for Collect {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        event.record(&mut Text(&mut self.0.lock().unwrap()));
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

struct Text<'a>(&'a mut String);

impl tracing::field::Visit for Text<'_> {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        use std::fmt::Write as _;
        write!(self.0, "{field}={value:?} ").unwrap();
    }
}

#[tokio::test]
async fn dialers_are_bound_and_listeners_are_not() {
    let hooks = Hooks::from(Arc::new(BindTo::Address("127.0.0.9".parse().unwrap())));
    let (acceptor, addr) = acceptor(&hooks);
    let _stream = connect(&addr, &hooks).await.unwrap();
    let (_, peer) = accept(&acceptor).await.unwrap();
    assert_eq!(peer.as_ip().unwrap().ip().to_string(), "127.0.0.9");
    // The other family is left alone.
    let v6 = bind_tcp("[::1]:0".parse().unwrap(), &listening(&hooks)).unwrap();
    connect(&Addr::Ip(v6.local_addr().unwrap()), &hooks).await.unwrap();
    // A device that is not there; the name says what was tried.
    let hooks = Hooks::from(Arc::new(BindTo::Device("no-such-dev0".into())));
    let error = connect(&addr, &hooks).await.unwrap_err();
    assert!(error.to_string().contains("SO_BINDTODEVICE"), "{error}");
}

#[tokio::test]
async fn marks_and_transparency_say_what_they_need() {
    let dir = tempfile::tempdir().unwrap();
    let hooks = Hooks::from(Arc::new(Mark(7))).then(&Hooks::from(Arc::new(TransparentListen)));
    // Unix sockets have neither.
    bind_unix(&dir.path().join("a.sock"), &listening(&hooks)).unwrap();
    for addr in ["127.0.0.1:0", "[::1]:0"] {
        let addr: SocketAddr = addr.parse().unwrap();
        match bind_tcp(addr, &listening(&hooks)) {
            Ok(listener) => {
                let socket = socket2::SockRef::from(&*listener);
                assert_eq!(socket.mark().unwrap(), 7);
                assert!(addr.is_ipv6() || socket.ip_transparent_v4().unwrap());
                assert!(bind_udp(addr, &listening(&hooks)).is_ok());
            }
            Err(error) => assert!(error.to_string().contains("CAP_NET_ADMIN"), "{error}"),
        }
    }
    let (switch, hooks) = switch();
    assert_eq!(switch.counts(SocketKind::TcpV4, Call::Socket).done, 0);
    drop(hooks);
}
