//! The same with sockets of the system.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rosn_base::Addr;
use rosn_net::{
    BindError, BoxFuture, Coalesced, Datagrams, DialContext, DialError, DialOptions, Dialer,
    KeepAlive, ListenOptions, Net, NetListener, OsNet, Stream, SystemResolver,
};
use tokio::net::TcpListener;

use crate::script::{Knows, Log};

fn dialer(net: impl Net) -> Dialer {
    Dialer::new(Arc::new(net), Arc::new(Coalesced::new(SystemResolver)))
}

/// A name with an address where nobody listens, and one where somebody does.
#[tokio::test]
async fn a_name_with_several_addresses() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let dialer = Dialer::new(Arc::new(OsNet), Arc::new(Knows::new(&["127.0.0.9", "127.0.0.1"])));
    let log = Log::default();
    let to = Addr::Name("name".into(), port);
    let stream = dialer.dial(&to, &log.context()).await.unwrap();
    assert_eq!(stream.peer_addr().unwrap().as_ip().unwrap().port(), port);
    assert_eq!(
        log.lines(),
        [
            "dns name".to_owned(),
            "dns done: 2".to_owned(),
            format!("1 127.0.0.9:{port}"),
            "1 done: ConnectionRefused".to_owned(),
            format!("2 127.0.0.1:{port}"),
            "2 done: ok".to_owned(),
        ]
    );
}

/// Row 83: on after 15 s unless something else was asked for.
#[tokio::test]
async fn keep_alive() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = Addr::Ip(listener.local_addr().unwrap());
    let mut dialer = dialer(OsNet);
    let seconds = Duration::from_secs;
    let on = KeepAlive::On { idle: seconds(7), interval: seconds(3), count: Some(2) };
    for (keep_alive, time) in
        [(KeepAlive::default(), Some(seconds(15))), (KeepAlive::Off, None), (on, Some(seconds(7)))]
    {
        dialer.options.socket.keep_alive = keep_alive;
        let stream = dialer.dial(&to, &DialContext::default()).await.unwrap();
        let socket = stream.socket().unwrap();
        assert_eq!(socket.keepalive().unwrap(), time.is_some(), "{keep_alive:?}");
        if let Some(time) = time {
            assert_eq!(socket.tcp_keepalive_time().unwrap(), time, "{keep_alive:?}");
        }
    }
}

/// A system that chooses the port that is dialed, the first `times`.
struct Unlucky {
    times: u32,
    tries: Arc<AtomicU32>,
}

impl Net for Unlucky {
    fn connect<'a>(
        &'a self,
        addr: &'a Addr,
        options: &'a DialOptions,
    ) -> BoxFuture<'a, Result<Stream, DialError>> {
        Box::pin(async move {
            let mut options = options.clone();
            if self.tries.fetch_add(1, Ordering::Relaxed) < self.times {
                options.bind = addr.as_ip();
            }
            OsNet.connect(addr, &options).await
        })
    }

    fn listen(&self, _: &Addr, _: &ListenOptions) -> Result<Box<dyn NetListener>, BindError> {
        unreachable!()
    }

    fn bind_udp(&self, _: SocketAddr, _: &ListenOptions) -> Result<Arc<dyn Datagrams>, BindError> {
        unreachable!()
    }

    fn dial_udp(&self, _: SocketAddr, _: &DialOptions) -> Result<Arc<dyn Datagrams>, DialError> {
        unreachable!()
    }
}

/// Row 88: a connection that really met itself.
#[tokio::test]
async fn a_connection_that_met_itself_is_no_connection() {
    for times in [1, 9] {
        // A port that is free, and that nobody gets by chance: it is of an address of its own.
        let free = TcpListener::bind("127.0.0.77:0").await.unwrap().local_addr().unwrap();
        let tries = Arc::new(AtomicU32::new(0));
        let dialer = dialer(Unlucky { times, tries: Arc::clone(&tries) });
        let error = dialer.dial(&Addr::Ip(free), &DialContext::default()).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused, "{error}");
        assert_eq!(tries.load(Ordering::Relaxed), if times == 1 { 2 } else { 3 });
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_unix_socket() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    let _listener = tokio::net::UnixListener::bind(&path).unwrap();
    let mut dialer = dialer(OsNet);
    // It has no family.
    dialer.options.bind = Some("127.0.0.1:0".parse().unwrap());
    let log = Log::default();
    dialer.dial(&Addr::Unix(path.clone()), &log.context()).await.unwrap();
    assert_eq!(log.lines(), [format!("1 unix:{}", path.display()), "1 done: ok".to_owned()]);
}

/// It goes to a thread of its own where that is asked for.
#[tokio::test]
async fn it_may_be_spawned() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = Addr::Name("localhost".into(), listener.local_addr().unwrap().port());
    let dialer = dialer(OsNet);
    let dial = async move { dialer.dial(&to, &DialContext::default()).await };
    tokio::spawn(dial).await.unwrap().unwrap();
}
