//! Two hijacked connections that are joined.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use rosn_http::Body;
use rosn_http::hijack::{Hijacked, Hijacker, TunnelOptions};
use rosn_http::server::{HijackedConnections, Policy};
use rosn_net::{Io, PeerAddr, Stream, TunnelEnd, TunnelReason};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use crate::support::{GET, soon, start, text};

/// Two connected sockets.
async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    (client, listener.accept().await.unwrap().0)
}

fn hijacked(stream: impl Into<Stream>, read: impl Into<Bytes>) -> Hijacked {
    Hijacked::new(stream.into(), read.into())
}

/// H15: what was read before goes first, and each direction ends by itself. `boxed` streams cannot be spliced: H16,
/// the counts are equal.
#[tokio::test]
async fn bytes_and_ends_go_over() {
    for boxed in [false, true] {
        let ((mut a, a_end), (mut b, b_end)) = (pair().await, pair().await);
        let wrap = |stream: TcpStream| match boxed {
            true => Stream::boxed(Wrapped(stream)),
            false => Stream::from(stream),
        };
        let a_end = hijacked(wrap(a_end), vec![b'1'; 1 << 20]);
        let b_end = hijacked(wrap(b_end), "from b: ");
        let tunnel = tokio::spawn(a_end.tunnel(b_end, TunnelOptions::default()));
        let large = vec![b'2'; 3 << 20];
        let sends = async {
            a.write_all(&large).await.unwrap();
            a.shutdown().await.unwrap();
            let mut late = String::new();
            a.read_to_string(&mut late).await.unwrap();
            late
        };
        let reads = async {
            let mut all = Vec::new();
            b.read_to_end(&mut all).await.unwrap();
            // The other direction is still open: late bytes get through.
            b.write_all(b"late").await.unwrap();
            b.shutdown().await.unwrap();
            all
        };
        let (late, all) = soon(async { tokio::join!(sends, reads) }).await;
        assert_eq!(late, "from b: late");
        assert!(all == [vec![b'1'; 1 << 20], large].concat());
        let TunnelEnd { a_to_b, b_to_a, reason } = soon(tunnel).await.unwrap();
        assert_eq!((a_to_b, b_to_a), (4 << 20, 12), "boxed: {boxed}");
        assert!(matches!(reason, TunnelReason::Eof));
    }
}

/// A stream that is no socket.
#[derive(Debug)]
struct Wrapped(TcpStream);

impl Io for Wrapped {
    fn peer_addr(&self) -> std::io::Result<PeerAddr> {
        self.0.peer_addr().map(PeerAddr::from)
    }

    fn local_addr(&self) -> std::io::Result<PeerAddr> {
        self.0.local_addr().map(PeerAddr::from)
    }
}

macro_rules! forward {
    ($name:ident($($argument:ident: $type:ty),*) -> $result:ty) => {
        fn $name(
            mut self: std::pin::Pin<&mut Self>,
            cx: &mut std::task::Context<'_>,
            $($argument: $type),*
        ) -> std::task::Poll<std::io::Result<$result>> {
            std::pin::Pin::new(&mut self.0).$name(cx, $($argument),*)
        }
    };
}

impl AsyncRead for Wrapped {
    forward!(poll_read(buf: &mut ReadBuf<'_>) -> ());
}

impl AsyncWrite for Wrapped {
    forward!(poll_write(bytes: &[u8]) -> usize);
    forward!(poll_flush() -> ());
    forward!(poll_shutdown() -> ());
}

/// H15: an error after the switch closes both sides.
#[tokio::test]
async fn a_reset_goes_over() {
    let ((a, a_end), (mut b, b_end)) = (pair().await, pair().await);
    let tunnel =
        tokio::spawn(hijacked(a_end, "").tunnel(hijacked(b_end, ""), TunnelOptions::default()));
    b.write_all(b"x").await.unwrap();
    Stream::from(a).reset();
    let error = soon(b.read_u8()).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    assert!(matches!(soon(tunnel).await.unwrap().reason, TunnelReason::Reset(_)));
}

#[tokio::test]
async fn it_ends_when_nothing_moves_or_its_time_is_up() {
    let short = Some(Duration::from_millis(50));
    let idle = TunnelOptions { idle_timeout: short, max_lifetime: None };
    let lifetime = TunnelOptions { idle_timeout: None, max_lifetime: short };
    for (options, is_idle) in [(idle, true), (lifetime, false)] {
        let ((mut a, a_end), (mut b, b_end)) = (pair().await, pair().await);
        let end = soon(hijacked(a_end, "early").tunnel(hijacked(b_end, ""), options)).await;
        assert_eq!(end.a_to_b, 5);
        assert_eq!(matches!(end.reason, TunnelReason::Idle), is_idle, "{:?}", end.reason);
        assert_eq!(matches!(end.reason, TunnelReason::Lifetime), !is_idle, "{:?}", end.reason);
        let mut all = String::new();
        b.read_to_string(&mut all).await.unwrap();
        assert_eq!(all, "early");
        assert_eq!(a.read(&mut [0]).await.unwrap(), 0);
    }
}

/// H9: a tunnel is told of a shutdown by being counted, and ends when the time is up.
#[tokio::test]
async fn a_tunnel_ends_with_its_server() {
    let (mut upstream, upstream_end) = pair().await;
    let upstream_end = std::sync::Mutex::new(Some(upstream_end));
    let (to, mut ends) = mpsc::unbounded_channel();
    let running = start(move |request: Request<Body>| {
        let upstream = upstream_end.lock().unwrap().take().unwrap();
        let to = to.clone();
        async move {
            let hijacker = request.extensions().get::<Hijacker>().unwrap();
            let client = hijacker.hijack().await.unwrap();
            tokio::spawn(async move {
                let upstream = hijacked(upstream, "hello");
                to.send(client.tunnel(upstream, TunnelOptions::default()).await)
            });
            text("")
        }
    });
    let mut client = running.send(format!("{GET}early")).await;
    client.expect("hello").await;
    let mut early = [0; 5];
    soon(upstream.read_exact(&mut early)).await.unwrap();
    assert_eq!(&early, b"early");
    let deadline = Some(Duration::from_millis(50));
    let policy = Policy { hijacked: HijackedConnections::Wait, deadline };
    running.server.shutdown(policy).await;
    let end = soon(ends.recv()).await.unwrap();
    assert!(matches!(end.reason, TunnelReason::Shutdown), "{:?}", end.reason);
    assert_eq!((end.a_to_b, end.b_to_a), (5, 5));
    assert_eq!(client.rest_or_reset().await, "");
    assert_eq!(running.server.hijacked_connections(), 0);
}
