//! Hooks see the same calls on every network.

use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex};

use rosn_net::hook::{Call, Decision, Hooks, Op, Role, SocketHook, Switch};
use rosn_net::{DialOptions, ListenOptions};

use crate::{Host, accept};

/// Notes who makes which call. `Control` needs a socket of the system, which not all networks have.
#[derive(Default)]
struct Notes(Mutex<Vec<(Role, Call)>>);

impl SocketHook for Notes {
    fn before(&self, op: &Op<'_>) -> Decision {
        if op.call != Call::Control {
            self.0.lock().unwrap().push((op.role, op.call));
        }
        Decision::Continue
    }
}

fn options(hook: &Arc<impl SocketHook>) -> (ListenOptions, DialOptions) {
    let hooks = Hooks::new([hook.clone() as Arc<dyn SocketHook>]);
    let dial = DialOptions { hooks: hooks.clone(), ..DialOptions::default() };
    (ListenOptions { hooks, ..ListenOptions::default() }, dial)
}

pub(crate) async fn s1_hooks_see_all_calls_in_order(host: &Host) {
    let notes = Arc::new(Notes::default());
    let (listen, dial) = options(&notes);
    let any = "127.0.0.1:0".parse().unwrap();
    let mut listener = host.net.listen(&any, &listen).unwrap();
    let client = host.net.connect(&listener.local_addr(), &dial).await.unwrap();
    let (server, _) = accept(&mut listener).await;
    drop(client);
    drop(server);
    drop(listener);
    drop(host.net.bind_udp(any.as_ip().unwrap(), &listen).unwrap());
    drop(host.net.dial_udp("127.0.0.1:9".parse().unwrap(), &dial).unwrap());
    let all = notes.0.lock().unwrap().clone();
    use Call::{Accept, Bind, Close, Connect, Listen, Socket};
    use Role::{Accepted, Dialer, Listener};
    let tcp = [
        (Listener, Socket),
        (Listener, Bind),
        (Listener, Listen),
        (Dialer, Socket),
        (Dialer, Connect),
        (Accepted, Accept),
        (Dialer, Close),
        (Accepted, Close),
        (Listener, Close),
    ];
    let udp = [
        (Listener, Socket),
        (Listener, Bind),
        (Listener, Close),
        (Dialer, Socket),
        (Dialer, Connect),
        (Dialer, Close),
    ];
    assert_eq!(all, [&tcp[..], &udp].concat());
}

pub(crate) async fn s2_a_veto_keeps_its_kind_and_leaves_nothing(host: &Host) {
    for call in [Call::Socket, Call::Bind, Call::Listen, Call::Connect] {
        let switch = Arc::new(Switch::new());
        switch.set(call, |_| Decision::Fail(io::Error::from(ErrorKind::QuotaExceeded)));
        let (listen, dial) = options(&switch);
        let any = "127.0.0.1:0".parse().unwrap();
        let refused = host.net.listen(&any, &listen).is_err();
        assert_eq!(refused, call != Call::Connect, "{call:?}");
        let listener = host.listen("127.0.0.1:0");
        let dialed = host.net.connect(&listener.local_addr(), &dial).await;
        let kind = dialed.as_ref().err().map(rosn_net::DialError::kind);
        let vetoed = matches!(call, Call::Socket | Call::Connect);
        assert_eq!(kind, vetoed.then_some(ErrorKind::QuotaExceeded), "{call:?}");
        drop(dialed);
        let udp = host.net.bind_udp(any.as_ip().unwrap(), &listen);
        assert_eq!(udp.is_err(), matches!(call, Call::Socket | Call::Bind), "{call:?}");
        drop(udp);
        assert!(switch.sockets().is_empty(), "{call:?}: {:?}", switch.sockets());
    }
}

pub(crate) async fn s3_an_override_closes_the_socket(host: &Host) {
    for call in [Call::Bind, Call::Listen, Call::Connect] {
        let switch = Arc::new(Switch::new());
        switch.set(call, |_| Decision::After(Box::new(|_| Err(ErrorKind::Other.into()))));
        let (listen, dial) = options(&switch);
        let reserved = host.listen("127.0.0.1:0");
        let addr = reserved.local_addr();
        assert_eq!(host.net.connect(&addr, &dial).await.is_err(), call == Call::Connect);
        drop(reserved);
        assert_eq!(host.net.listen(&addr, &listen).is_err(), call != Call::Connect);
        assert!(switch.sockets().is_empty(), "{call:?}");
        // The address is free again.
        drop(host.net.listen(&addr, &ListenOptions::default()).unwrap());
    }
}
