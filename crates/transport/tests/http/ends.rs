//! What is on its way when the last stream of a connection ends.

use tokio::io::copy_bidirectional;
use tokio::time::sleep;

use super::*;

/// Bytes that nobody reads for a while: less than a stream may send without being heard, and than the system holds.
const COUNT: usize = 300 << 10;
/// WINDOW_UPDATE of a connection: room for a byte more.
const UPDATE: &[u8] = &[0, 0, 4, 8, 0, 0, 0, 0, 0, 0, 0, 0, 1];

/// A network that does something only when it is told to.
struct Network {
    entry: TcpListener,
    to: Addr,
    /// The ends that it has: the dialer's and the listener's.
    ends: Option<(TcpStream, TcpStream)>,
}

impl Network {
    async fn before(listener: &dyn Listener) -> (Self, Addr) {
        let entry = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = entry.local_addr().unwrap().to_string().parse().unwrap();
        (Self { entry, to: listener.local_addr(), ends: None }, address)
    }

    /// Carries bytes both ways until `done` is.
    async fn carry<T>(&mut self, done: impl Future<Output = T>) -> T {
        let carry = async {
            if self.ends.is_none() {
                let (near, _) = self.entry.accept().await.unwrap();
                self.ends = Some((near, TcpStream::connect(self.to.to_string()).await.unwrap()));
            }
            let (near, far) = self.ends.as_mut().unwrap();
            // A broken end is for `done` to notice.
            let _ = copy_bidirectional(near, far).await;
            std::future::pending().await
        };
        tokio::select! {
            done = within(done) => done,
            () = carry => unreachable!("it has no end"),
        }
    }
}

/// A network, the listener behind it, and the two ends of a stream.
async fn connected() -> (Network, Box<dyn Listener>, Stream, Stream) {
    let own = settings(own());
    let mut listener = listen(&own);
    let (mut network, to) = Network::before(&*listener).await;
    let (client, server) =
        network.carry(async { tokio::join!(dial(&own, &to), accept(&mut listener)) }).await;
    (network, listener, client.unwrap(), server.stream)
}

/// Long enough for whoever has nothing more to do with a connection to close it. Meanwhile its peer goes on saying that
/// there is room, as it does while it reads what has come before.
async fn dawdle(sender: &mut TcpStream) {
    for _ in 0..40 {
        let _ = sender.write_all(UPDATE).await;
        sleep(Duration::from_millis(5)).await;
    }
}

/// RFC 9112 section 9.6 says it of HTTP/1: what comes at a closed socket has the system forget what it has not sent.
#[tokio::test]
async fn the_last_bytes_arrive_although_their_dialer_is_gone() {
    let (mut network, _listener, mut client, mut server) = connected().await;
    let mut got = Vec::new();
    network
        .carry(async {
            server.shutdown().await.unwrap();
            client.read_to_end(&mut got).await.unwrap();
        })
        .await;
    client.write_all(&[7; COUNT]).await.unwrap();
    drop(client);
    dawdle(&mut network.ends.as_mut().unwrap().0).await;
    network.carry(server.read_to_end(&mut got)).await.unwrap();
    assert_eq!(got.len(), COUNT);
}

#[tokio::test]
async fn the_last_bytes_arrive_although_their_listener_drains() {
    let (mut network, mut listener, mut client, mut server) = connected().await;
    let mut got = Vec::new();
    listener.drain();
    network
        .carry(async {
            client.shutdown().await.unwrap();
            server.read_to_end(&mut got).await.unwrap();
            // GOAWAY, PING and its answer have passed, or the connection ends later than it can.
            sleep(Duration::from_millis(50)).await;
        })
        .await;
    server.write_all(&[7; COUNT]).await.unwrap();
    drop(server);
    dawdle(&mut network.ends.as_mut().unwrap().1).await;
    network.carry(client.read_to_end(&mut got)).await.unwrap();
    assert_eq!(got.len(), COUNT);
}
