use super::*;
use std::future::Future;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::task::{JoinHandle, yield_now};

/// A peer's end of a connection, and the proxy's.
async fn tcp() -> (Stream, Stream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dialed = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    (dialed.into(), listener.accept().await.unwrap().0.into())
}

fn unix() -> (Stream, Stream) {
    let (one, other) = UnixStream::pair().unwrap();
    (one.into(), other.into())
}

/// A client, a server, and the tunnel between them, running.
async fn joined() -> (Stream, Stream, JoinHandle<TunnelEnd>) {
    let ((client, a), (server, b)) = (tcp().await, tcp().await);
    (client, server, tokio::spawn(Tunnel::new(a, b, b"", b"").run()))
}

/// Runs to the end, looking at the tunnel after each time it was polled.
async fn run_watched(mut tunnel: Tunnel, mut look: impl FnMut(&Tunnel)) -> TunnelEnd {
    let mut scratch = vec![0; 64 << 10];
    poll_fn(|cx| {
        let poll = tunnel.poll(cx, &mut scratch);
        look(&tunnel);
        poll
    })
    .await
}

/// Bytes that differ everywhere, so that a lost, doubled or swapped piece shows.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut bytes = vec![0; len];
    random.fill(&mut bytes);
    bytes
}

/// Writes until nothing on the way takes any more; returns how much was taken.
async fn flood(stream: &Stream, bytes: &[u8]) -> usize {
    let socket = stream.socket().expect("a socket");
    let (mut sent, mut refused) = (0, 0);
    while refused < 200 {
        match socket.send(&bytes[sent..]) {
            Ok(count) => (sent, refused) = (sent + count, 0),
            Err(_) => refused += 1,
        }
        yield_now().await;
    }
    sent
}

async fn limited<T>(future: impl Future<Output = T>) -> T {
    let limit = std::time::Duration::from_secs(20);
    tokio::time::timeout(limit, future).await.expect("the test hangs")
}

async fn read_all(stream: &mut Stream) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    limited(stream.read_to_end(&mut all)).await.map(|_| all)
}

fn was_reset(result: io::Result<Vec<u8>>) {
    assert_eq!(result.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn the_way_back_stays_open_after_an_end_of_file() {
    for kind in 0..4 {
        let (mut client, a) = if kind & 1 == 0 { tcp().await } else { unix() };
        let (mut server, b) = if kind & 2 == 0 { tcp().await } else { unix() };
        let tunnel = tokio::spawn(Tunnel::new(a, b, b"", b"").run());
        client.write_all(b"question").await.unwrap();
        client.shutdown().await.unwrap();
        assert_eq!(read_all(&mut server).await.unwrap(), b"question");
        for _ in 0..3 {
            server.write_all(b"late ").await.unwrap();
            yield_now().await;
        }
        server.shutdown().await.unwrap();
        assert_eq!(read_all(&mut client).await.unwrap(), b"late late late ");
        let end = limited(tunnel).await.unwrap();
        assert!(matches!(end.reason, TunnelReason::Eof), "{end:?}");
        assert_eq!((end.a_to_b, end.b_to_a), (8, 15));
    }
}

#[tokio::test]
async fn the_server_may_end_first() {
    let (mut client, mut server, tunnel) = joined().await;
    server.write_all(b"220 hello").await.unwrap();
    server.shutdown().await.unwrap();
    assert_eq!(read_all(&mut client).await.unwrap(), b"220 hello");
    client.write_all(b"still here").await.unwrap();
    drop(client);
    assert_eq!(read_all(&mut server).await.unwrap(), b"still here");
    let end = limited(tunnel).await.unwrap();
    assert!(matches!(end.reason, TunnelReason::Eof), "{end:?}");
}

#[tokio::test]
async fn initial_bytes_go_first() {
    let ((mut client, a), (mut server, b)) = (tcp().await, tcp().await);
    client.write_all(b"-second").await.unwrap();
    server.write_all(b"-fourth").await.unwrap();
    let tunnel = tokio::spawn(Tunnel::new(a, b, b"first", b"third").run());
    client.shutdown().await.unwrap();
    server.shutdown().await.unwrap();
    assert_eq!(read_all(&mut server).await.unwrap(), b"first-second");
    assert_eq!(read_all(&mut client).await.unwrap(), b"third-fourth");
    let end = limited(tunnel).await.unwrap();
    assert_eq!((end.a_to_b, end.b_to_a), (12, 12));
}

#[tokio::test]
async fn a_reset_is_passed_on_both_ways() {
    let (client, mut server, tunnel) = joined().await;
    client.reset();
    was_reset(read_all(&mut server).await);
    let end = limited(tunnel).await.unwrap();
    assert!(matches!(end.reason, TunnelReason::Reset(Side::A)), "{end:?}");

    let (mut client, server, tunnel) = joined().await;
    server.reset();
    was_reset(read_all(&mut client).await);
    let end = limited(tunnel).await.unwrap();
    assert!(matches!(end.reason, TunnelReason::Reset(Side::B)), "{end:?}");
}

#[tokio::test]
async fn a_reset_is_noticed_after_an_end_of_file() {
    let (mut client, mut server, tunnel) = joined().await;
    client.shutdown().await.unwrap();
    assert_eq!(server.read(&mut [0; 8]).await.unwrap(), 0);
    client.reset();
    let end = limited(tunnel).await.unwrap();
    assert!(matches!(end.reason, TunnelReason::Reset(Side::A)), "{end:?}");
    assert!(server.write_all(b"into the void").await.is_err());
}

/// Found by thinking it through: being watched for a reset must not make a side deaf or mute.
#[tokio::test]
async fn bytes_flow_back_to_a_side_that_is_only_watched() {
    let (mut client, mut server, tunnel) = joined().await;
    client.shutdown().await.unwrap();
    assert_eq!(server.read(&mut [0; 8]).await.unwrap(), 0);
    let sent = noise(7, 6 << 20);
    let (received, ()) = tokio::join!(read_all(&mut client), async {
        server.write_all(&sent).await.unwrap();
        server.shutdown().await.unwrap();
    });
    assert!(received.unwrap() == sent);
    assert!(matches!(limited(tunnel).await.unwrap().reason, TunnelReason::Eof));
}

#[tokio::test]
async fn a_reset_of_the_sender_is_noticed_while_the_receiver_stalls() {
    let (client, mut server, tunnel) = joined().await;
    flood(&client, &noise(1, 64 << 20)).await;
    client.reset();
    let end = limited(tunnel).await.unwrap();
    assert!(matches!(end.reason, TunnelReason::Reset(Side::A)), "{end:?}");
    was_reset(read_all(&mut server).await);
}

#[tokio::test]
async fn a_reset_of_the_receiver_is_noticed_while_it_stalls() {
    let (mut client, server, tunnel) = joined().await;
    flood(&client, &noise(1, 64 << 20)).await;
    server.reset();
    let end = limited(tunnel).await.unwrap();
    assert!(matches!(end.reason, TunnelReason::Reset(Side::B)), "{end:?}");
    was_reset(read_all(&mut client).await);
}

#[tokio::test]
async fn both_ways_end_in_peace_while_one_is_stalled() {
    // The client is gone for reading and writing when the last bytes still wait for the server:
    // that looks like a hang-up, and is not a reset.
    let (mut client, mut server, tunnel) = joined().await;
    server.shutdown().await.unwrap();
    assert_eq!(client.read(&mut [0; 8]).await.unwrap(), 0);
    let bytes = noise(3, 64 << 20);
    let sent = flood(&client, &bytes).await;
    drop(client);
    for _ in 0..20 {
        yield_now().await;
    }
    assert!(read_all(&mut server).await.unwrap() == bytes[..sent]);
    assert!(matches!(limited(tunnel).await.unwrap().reason, TunnelReason::Eof));
}

#[tokio::test]
async fn long_streams_are_spliced_whole() {
    for kind in 0..3 {
        let (client, a) = if kind == 1 { unix() } else { tcp().await };
        let (server, b) = if kind == 2 { unix() } else { tcp().await };
        let (up, down) = (noise(4, 12 << 20), noise(5, 9 << 20));
        let mut spliced = (false, false);
        let tunnel = run_watched(Tunnel::new(a, b, &up[..1000], b""), |tunnel| {
            spliced.0 |= tunnel.a_to_b.is_splicing();
            spliced.1 |= tunnel.b_to_a.is_splicing();
        });
        let talk = |stream: Stream, send: Vec<u8>| async move {
            let (mut read, mut write) = tokio::io::split(stream);
            let mut all = Vec::new();
            let (received, ()) = tokio::join!(read.read_to_end(&mut all), async {
                // Pieces of all sizes, so that the ends of reads fall anywhere.
                for piece in send.chunks(77_777) {
                    write.write_all(piece).await.unwrap();
                }
                write.shutdown().await.unwrap();
            });
            received.unwrap();
            all
        };
        let up_rest = up[1000..].to_vec();
        let (end, got_down, got_up) = limited(async {
            tokio::join!(tunnel, talk(client, up_rest), talk(server, down.clone()))
        })
        .await;
        assert!(got_up == up && got_down == down);
        assert_eq!((end.a_to_b, end.b_to_a), (up.len() as u64, down.len() as u64));
        assert_eq!(spliced, (true, true), "kind {kind}");
    }
}

#[tokio::test]
async fn a_slow_receiver_slows_down_the_sender() {
    let ((client, a), (mut server, b)) = (tcp().await, tcp().await);
    let mut most = 0;
    let tunnel = run_watched(Tunnel::new(a, b, b"", b""), |tunnel| {
        most = most.max(tunnel.a_to_b.held());
    });
    let bytes = noise(6, 64 << 20);
    let test = async {
        let sent = flood(&client, &bytes).await;
        assert!(sent < bytes.len(), "nothing held the sender back");
        drop(client);
        assert!(read_all(&mut server).await.unwrap() == bytes[..sent]);
        drop(server);
        sent as u64
    };
    let (end, sent) = limited(async { tokio::join!(tunnel, test) }).await;
    assert_eq!(end.a_to_b, sent);
    assert!(most > 0 && most <= 1 << 20, "it held {most} bytes");
}

#[tokio::test]
async fn a_quiet_tunnel_holds_next_to_nothing() {
    assert!(size_of::<Tunnel>() <= 400, "{}", size_of::<Tunnel>());
    let ((mut client, a), (mut server, b)) = (tcp().await, tcp().await);
    let tunnel = run_watched(Tunnel::new(a, b, b"hello", b""), |tunnel| {
        assert_eq!(tunnel.a_to_b.held() + tunnel.b_to_a.held(), 0);
    });
    let test = async {
        let mut buf = [0; 5];
        server.read_exact(&mut buf).await.unwrap();
        client.write_all(&buf).await.unwrap();
        server.read_exact(&mut buf).await.unwrap();
        drop((client, server));
    };
    limited(async { tokio::join!(tunnel, test) }).await;
}

#[tokio::test]
async fn the_caller_ends_an_idle_tunnel() {
    let ((mut client, a), (mut server, b)) = (tcp().await, tcp().await);
    let mut tunnel = Tunnel::new(a, b, b"x", b"");
    let mut scratch = [0; 16];
    poll_fn(|cx| {
        let _ = tunnel.poll(cx, &mut scratch);
        Poll::Ready(())
    })
    .await;
    assert_eq!(tunnel.moved(), (1, 0));
    let end = tunnel.stop(TunnelReason::Idle);
    assert!(matches!(end.reason, TunnelReason::Idle), "{end:?}");
    assert_eq!(read_all(&mut server).await.unwrap(), b"x");
    assert_eq!(read_all(&mut client).await.unwrap(), b"");
}

#[test]
fn what_is_in_a_pipe_can_be_copied_out() {
    let mut pipe = pipe::Pipe::new().unwrap();
    let (one, other) = std::os::unix::net::UnixStream::pair().unwrap();
    let bytes = noise(8, 100_000);
    let writer = std::thread::spawn({
        let bytes = bytes.clone();
        move || io::Write::write_all(&mut &one, &bytes).unwrap()
    });
    let mut copied = Vec::new();
    while copied.len() < bytes.len() {
        use std::os::fd::AsFd;
        match pipe.fill(other.as_fd()) {
            Ok(_) => {
                let full = std::mem::replace(&mut pipe, pipe::Pipe::new().unwrap());
                copied.extend(full.into_bytes().unwrap());
            }
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
        }
    }
    writer.join().unwrap();
    assert!(copied == bytes);
}
