//! Hooks of the whole process. Other tests of this binary run beside, so these hooks look at their own sockets only.

use std::time::Instant;

use rosn_net::hook::{Decision, HookGuard, install, installed};
use rosn_net::{Bound, bind_udp};

use super::*;

/// Forbids all UDP sockets of one owner, and counts how often it was asked.
struct Forbid(&'static str, Mutex<usize>);

impl Forbid {
    fn new(owner: &'static str) -> Arc<Self> {
        Arc::new(Self(owner, Mutex::new(0)))
    }

    fn asked(&self) -> usize {
        *self.1.lock().unwrap()
    }
}

impl SocketHook for Forbid {
    fn before(&self, op: &Op<'_>) -> Decision {
        if op.owner != self.0 || op.call != Call::Bind {
            return Decision::Continue;
        }
        *self.1.lock().unwrap() += 1;
        Decision::Fail(io::Error::other(self.0))
    }
}

fn open(owner: &str) -> Result<Bound<std::net::UdpSocket>, rosn_net::BindError> {
    bind_udp(any(), &ListenOptions { owner: owner.into(), ..ListenOptions::default() })
}

/// S7: nested, also dropped out of order.
#[test]
fn s7_the_guard_restores() {
    let (one, two) = (Forbid::new("s7"), Forbid::new("s7"));
    let before = installed().iter().count();
    assert!(open("s7").is_ok());
    let first: HookGuard = install(Arc::clone(&one) as _);
    assert!(open("s7").is_err());
    let second = install(Arc::clone(&two) as _);
    // The newest is asked first, and forbids.
    assert!(open("s7").is_err());
    assert_eq!((one.asked(), two.asked()), (1, 1));
    drop(first);
    assert!(open("s7").is_err());
    assert_eq!((one.asked(), two.asked()), (1, 2));
    drop(second);
    assert!(open("s7").is_ok());
    // Other tests may have theirs.
    assert!(installed().iter().count() <= before + 4);
}

/// S7, 87: from many threads at once.
#[test]
fn s7_installing_is_safe_from_any_thread() {
    let rounds = || {
        for _ in 0..200 {
            let hook = Forbid::new("many");
            let guard = install(Arc::clone(&hook) as _);
            assert!(open("many").is_err());
            assert!(open("nobody").is_ok());
            drop(guard);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(rounds);
        }
    });
    assert!(open("many").is_ok());
}

/// A hook that has installed another one takes it along when it ends.
#[test]
fn the_end_of_a_hook_may_uninstall_another() {
    struct Holds(#[expect(dead_code, reason = "held")] HookGuard);
    impl SocketHook for Holds {}

    let inner = Forbid::new("inner");
    let guard = install(Arc::new(Holds(install(Arc::clone(&inner) as _))));
    assert!(open("inner").is_err());
    drop(guard);
    // It ends with the last socket that saw it, and other tests have sockets too.
    let until = Instant::now() + Duration::from_secs(30);
    while open("inner").is_err() {
        assert!(Instant::now() < until, "the inner hook is still there");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Hooks of the options come first; the process's second.
#[test]
fn own_hooks_are_asked_first() {
    let (wide, own) = (Forbid::new("both"), Forbid::new("both"));
    let _guard = install(Arc::clone(&wide) as _);
    let options = ListenOptions {
        owner: "both".into(),
        hooks: Hooks::from(Arc::clone(&own)),
        ..ListenOptions::default()
    };
    assert!(bind_udp(any(), &options).is_err());
    assert_eq!((own.asked(), wide.asked()), (1, 0));
}

/// A hook sees the end of what it saw begin, also after it was uninstalled; and connections of listeners that were
/// there before it.
#[tokio::test]
async fn a_socket_remembers_its_hooks() {
    let (acceptor, addr) = acceptor(&Hooks::none());
    let switch = Arc::new(Switch::new());
    let guard = install(Arc::clone(&switch) as _);
    let client = connect(&addr, &Hooks::none()).await.unwrap();
    let (server, _) = accept(&acceptor).await.unwrap();
    let mine = || switch.sockets().iter().filter(|live| live.remote_is(&addr, &client)).count();
    assert_eq!(mine(), 2);
    drop(guard);
    assert_eq!(mine(), 2);
    drop(server);
    assert_eq!(mine(), 1);
}

trait Mine {
    fn remote_is(&self, addr: &Addr, client: &Stream) -> bool;
}

impl Mine for rosn_net::hook::LiveSocket {
    /// Whether it is one end of the connection from `client` to `addr`.
    fn remote_is(&self, addr: &Addr, client: &Stream) -> bool {
        let other = client.local_addr().unwrap().to_addr();
        self.remote.as_ref() == Some(addr) || (self.remote.is_some() && self.remote == other)
    }
}
