//! mKCP over UDP sockets of this machine, rosn at both ends.

#![allow(clippy::unwrap_used, reason = "tests")]

mod tcp_support;

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rosn_base::Addr;
use rosn_config::checked::{MkcpSettings, PacketHeader, Secret, StreamSettings, TransportSettings};
use rosn_net::Stream;
use rosn_transport::{
    Accepted, DialRequest, Dialer, Environment, Listener, Registry, TransportLimits,
};
use tcp_support::{certificate, tls_pair};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UdpSocket;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(60);

struct Pair {
    listener: Box<dyn Listener>,
    dialer: Arc<dyn Dialer>,
    at: Addr,
}

fn environment(limits: TransportLimits) -> Environment {
    Environment { owner: "test".into(), limits, ..Environment::system() }
}

fn plain(settings: MkcpSettings) -> StreamSettings {
    StreamSettings { transport: TransportSettings::Mkcp(settings), ..StreamSettings::default() }
}

fn pair(listening: StreamSettings, dialing: StreamSettings) -> Pair {
    let (registry, environment) =
        (Registry::with_builtin(), environment(TransportLimits::default()));
    let any = "127.0.0.1:0".parse().unwrap();
    let listener = registry.listen(&any, &Arc::new(listening), &environment).unwrap();
    let dialer = registry.dialer(&Arc::new(dialing), &environment).unwrap();
    let at = listener.local_addr();
    Pair { listener, dialer, at }
}

fn same(settings: MkcpSettings) -> Pair {
    pair(plain(settings.clone()), plain(settings))
}

impl Pair {
    async fn dial(&self) -> Stream {
        self.dialer.dial(&self.at, &DialRequest::default()).await.unwrap()
    }

    async fn accept(&mut self) -> Accepted {
        within(poll_fn(|cx| self.listener.poll_accept(cx))).await.unwrap()
    }

    async fn connect(&mut self) -> (Stream, Stream) {
        let client = self.dial().await;
        (client, self.accept().await.stream)
    }

    fn socket_addr(&self) -> SocketAddr {
        self.at.as_ip().unwrap()
    }
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.expect("it comes to an end")
}

fn random(bytes: usize) -> Vec<u8> {
    std::iter::repeat_with(|| fastrand::u8(..)).take(bytes).collect()
}

async fn read_all(stream: &mut Stream) -> Vec<u8> {
    let mut all = Vec::new();
    within(stream.read_to_end(&mut all)).await.unwrap();
    all
}

async fn echo(mut stream: Stream) {
    let mut buffer = vec![0; 16384];
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        stream.write_all(&buffer[..count]).await.unwrap();
    }
    let _ = stream.shutdown().await;
}

#[tokio::test]
async fn eight_mebibytes_each_way_at_once() {
    let (mut client, mut server) = same(MkcpSettings::default()).connect().await;
    let (up, down) = (random(8 << 20), random(8 << 20));
    let (sent_up, sent_down) = (up.clone(), down.clone());
    let server_side = tokio::spawn(async move {
        let (mut reader, mut writer) = tokio::io::split(&mut server);
        let mut got = vec![0; 8 << 20];
        let (read, written) =
            tokio::join!(reader.read_exact(&mut got), writer.write_all(&sent_down));
        read.unwrap();
        written.unwrap();
        (got, server)
    });
    let mut got = vec![0; 8 << 20];
    {
        let (mut reader, mut writer) = tokio::io::split(&mut client);
        let both = async { tokio::join!(reader.read_exact(&mut got), writer.write_all(&sent_up)) };
        let (read, written) = within(both).await;
        read.unwrap();
        written.unwrap();
    }
    assert!(got == down);
    assert!(server_side.await.unwrap().0 == up);
}

#[tokio::test]
async fn forty_at_once() {
    let mut pair = same(MkcpSettings { mtu: 1000, ..MkcpSettings::default() });
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..40 {
        let mut stream = pair.dial().await;
        clients.spawn(async move {
            let data = random(65536);
            stream.write_all(&data).await.unwrap();
            stream.shutdown().await.unwrap();
            assert!(read_all(&mut stream).await == data);
        });
    }
    for _ in 0..40 {
        let accepted = pair.accept().await;
        tokio::spawn(echo(accepted.stream));
    }
    within(clients.join_all()).await;
}

#[tokio::test]
async fn every_header_with_and_without_a_seed_and_tls() {
    use PacketHeader::{Dtls, None as Nothing, Srtp, Utp, WechatVideo, Wireguard};
    let tls = tls_pair(&certificate(&["mkcp.test"]), "mkcp.test");
    for header in [Nothing, Srtp, Utp, WechatVideo, Dtls, Wireguard] {
        for seed in [None, Some(""), Some("a seed")] {
            for secured in [false, true] {
                let seed = seed.map(|seed| Secret(seed.to_owned()));
                let settings = plain(MkcpSettings { header, seed, ..MkcpSettings::default() });
                let (mut listening, mut dialing) = (settings.clone(), settings);
                if secured {
                    listening.tls = Some(tls.0.clone());
                    dialing.tls = Some(tls.1.clone());
                }
                let mut pair = pair(listening, dialing);
                let request = DialRequest::default();
                let accept = poll_fn(|cx| pair.listener.poll_accept(cx));
                let dial = pair.dialer.dial(&pair.at, &request);
                let (client, accepted) = within(async { tokio::join!(dial, accept) }).await;
                let (mut client, server) = (client.unwrap(), accepted.unwrap().stream);
                tokio::spawn(echo(server));
                let data = random(100_000);
                client.write_all(&data).await.unwrap();
                let mut got = vec![0; data.len()];
                within(client.read_exact(&mut got)).await.unwrap();
                assert!(got == data, "{header:?}");
            }
        }
    }
}

#[tokio::test]
async fn the_server_may_speak_first() {
    let (mut client, mut server) = same(MkcpSettings::default()).connect().await;
    server.write_all(b"BANNER\n").await.unwrap();
    let mut banner = [0; 7];
    within(client.read_exact(&mut banner)).await.unwrap();
    assert_eq!(&banner, b"BANNER\n");
}

#[tokio::test]
async fn either_side_may_end_first_and_still_hears_the_other() {
    for client_first in [true, false] {
        let (client, server) = same(MkcpSettings::default()).connect().await;
        let (mut first, mut second) =
            if client_first { (client, server) } else { (server, client) };
        first.write_all(b"question").await.unwrap();
        within(first.shutdown()).await.unwrap();
        assert_eq!(read_all(&mut second).await, b"question");
        second.write_all(&[7; 200_000]).await.unwrap();
        // Dropping sends what was written.
        drop(second);
        assert_eq!(read_all(&mut first).await, [7; 200_000]);
    }
}

#[tokio::test]
async fn an_abort_is_not_an_end() {
    let (mut client, mut server) = same(MkcpSettings::default()).connect().await;
    client.write_all(b"x").await.unwrap();
    within(server.read_u8()).await.unwrap();
    client.reset();
    let error = within(server.read_u8()).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}");
}

#[tokio::test]
async fn nobody_listens() {
    let unused = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let pair = same(MkcpSettings::default());
    let mut stream = pair.dialer.dial(&Addr::Ip(unused), &DialRequest::default()).await.unwrap();
    let error = within(stream.read_u8()).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
    assert!(error.to_string().contains(&format!("nothing listens at {unused}")), "{error}");
}

#[tokio::test]
async fn strangers_and_garbage_open_nothing() {
    let mut pair = same(MkcpSettings::default());
    let stranger = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    stranger.connect(pair.socket_addr()).await.unwrap();
    for _ in 0..500 {
        stranger.send(&random(fastrand::usize(..1500))).await.unwrap();
    }
    stranger.send(&[]).await.unwrap();
    // An acknowledgement of v2ray's, which is genuine, but of no conversation here.
    let stray = [
        0xeb, 0xb4, 0x35, 0x0c, 0xeb, 0xa1, 0xd8, 0x99, 0xeb, 0xa1, 0xd8, 0x99, 0xed, 0xb0, 0xd8,
        0x99, 0xed, 0xb0, 0xd8, 0x99, 0xed, 0xb0, 0xd9, 0x99, 0xed, 0xb0, 0xd9,
    ];
    stranger.send(&stray).await.unwrap();
    let mut client = pair.dial().await;
    client.write_all(b"genuine").await.unwrap();
    let accepted = pair.accept().await;
    assert_eq!(accepted.peer, client.local_addr().unwrap());
}
