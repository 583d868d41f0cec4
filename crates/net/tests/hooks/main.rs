//! Socket hooks over real sockets. The numbers in names and comments are those of Go's tests that assert the same.

#![expect(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod calls;
mod limits;
mod options;
mod process;
mod ready_made;
mod switch;

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rosn_base::Addr;
use rosn_net::hook::{Call, Hooks, Op, Outcome, SocketHook, Switch};
use rosn_net::{
    DialError, DialOptions, ListenOptions, PeerAddr, Stream, TcpAcceptor, bind_tcp, dial,
};

fn any() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

fn listening(hooks: &Hooks) -> ListenOptions {
    ListenOptions { owner: "front".into(), hooks: hooks.clone(), ..ListenOptions::default() }
}

fn dialing(hooks: &Hooks) -> DialOptions {
    DialOptions { owner: "back".into(), hooks: hooks.clone(), ..DialOptions::default() }
}

/// A listener on a free port.
fn acceptor(hooks: &Hooks) -> (TcpAcceptor, Addr) {
    let listener = bind_tcp(any(), &listening(hooks)).unwrap();
    let addr = Addr::Ip(listener.local_addr().unwrap());
    (TcpAcceptor::new(listener).unwrap(), addr)
}

async fn accept(acceptor: &TcpAcceptor) -> io::Result<(Stream, PeerAddr)> {
    limited(poll_fn(|cx| acceptor.poll_accept(cx))).await
}

async fn connect(addr: &Addr, hooks: &Hooks) -> Result<Stream, DialError> {
    limited(dial(addr, &dialing(hooks))).await
}

async fn limited<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("the test hangs")
}

/// A switch, and the hooks that are it.
fn switch() -> (Arc<Switch>, Hooks) {
    let switch = Arc::new(Switch::new());
    (Arc::clone(&switch), Hooks::from(switch))
}

/// Writes down what it sees, as text.
#[derive(Default)]
struct Notes(Mutex<Vec<String>>);

impl Notes {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl SocketHook for Notes {
    fn after(&self, op: &Op<'_>, outcome: &Outcome<'_>) {
        let outcome = match outcome {
            Outcome::Done => "",
            Outcome::Pending => " pending",
            Outcome::Vetoed(_) => " vetoed",
            Outcome::Failed(_) => " failed",
        };
        self.0.lock().unwrap().push(format!("{:?}{outcome}", op.call));
    }
}

/// The error of a call that a hook forbids.
fn no(kind: io::ErrorKind) -> io::Error {
    io::Error::new(kind, "no")
}

const ALL: [Call; 8] = [
    Call::Socket,
    Call::Control,
    Call::Bind,
    Call::Connect,
    Call::Listen,
    Call::Accept,
    Call::Adopt,
    Call::Close,
];
