//! Networks that are slow, lose datagrams, or fail for a while; in memory, where time is tokio's.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use rosn_base::Addr;
use rosn_config::checked::{DatagramSecurity, PacketHeader, StreamSettings};
use rosn_net::{BoxFuture, MemNet, Net, Network, Resolve, Resolved};
use rosn_transport::{DialRequest, Dialer, Environment, Quic, Transport as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::*;

const SERVER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));

/// An echo server on one host, and a dialer on another.
fn hosts(net: &MemNet, settings: &StreamSettings) -> (Addr, Arc<dyn Dialer>) {
    let settings = Arc::new(settings.clone());
    let on = |host: IpAddr| {
        let net: Arc<dyn Net> = Arc::new(net.host(host));
        Environment { net, ..environment() }
    };
    let at = Addr::Ip((SERVER, 443).into());
    let (addr, _) = echo(Quic.listen(&at, &settings, &on(SERVER)).unwrap());
    (addr, Quic.dialer(&settings, &on(CLIENT)).unwrap())
}

#[tokio::test(start_paused = true)]
async fn nothing_is_lost_where_datagrams_are() {
    let net = MemNet::new();
    let settings = settings(DatagramSecurity::Aes128Gcm, "key", PacketHeader::Srtp);
    let (addr, dialer) = hosts(&net, &settings);
    let link = net.link(SERVER, CLIENT);
    link.set_latency(Duration::from_millis(20));
    link.set_loss(0.05);
    let stream = dialer.dial(&addr, &DialRequest::default()).await.unwrap();
    let (mut read, mut write) = tokio::io::split(stream);
    let bytes: Vec<u8> = (0..251).cycle().take(1 << 20).collect();
    let mut echoed = Vec::new();
    let sending = async {
        write.write_all(&bytes).await.unwrap();
        write.shutdown().await.unwrap();
    };
    let ((), read) = tokio::join!(sending, read.read_to_end(&mut echoed));
    read.unwrap();
    assert!(echoed == bytes);
}

#[tokio::test(start_paused = true)]
async fn after_the_network_was_gone_the_dialer_connects_again() {
    let net = MemNet::new();
    let (addr, dialer) = hosts(&net, &plain());
    let request = DialRequest::default();
    let mut stream = dialer.dial(&addr, &request).await.unwrap();
    stream.write_all(b"x").await.unwrap();
    stream.read_u8().await.unwrap();

    let link = net.link(SERVER, CLIENT);
    link.cut();
    stream.write_all(b"y").await.unwrap();
    let error = stream.read_u8().await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{error}");
    let error = dialer.dial(&addr, &request).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{error}");

    link.mend();
    let mut stream = dialer.dial(&addr, &request).await.unwrap();
    stream.write_all(b"z").await.unwrap();
    assert_eq!(stream.read_u8().await.unwrap(), b'z');
}

#[tokio::test(start_paused = true)]
async fn an_open_stream_may_be_silent_for_long() {
    let net = MemNet::new();
    let (addr, dialer) = hosts(&net, &plain());
    let mut stream = dialer.dial(&addr, &DialRequest::default()).await.unwrap();
    stream.write_all(b"x").await.unwrap();
    stream.read_u8().await.unwrap();
    tokio::time::sleep(Duration::from_secs(600)).await;
    stream.write_all(b"y").await.unwrap();
    assert_eq!(stream.read_u8().await.unwrap(), b'y');
}

/// Knows one name: a host that is not there, and then the one that is.
struct Names;

impl Resolve for Names {
    fn resolve<'a>(&'a self, host: &'a str, _: Network) -> BoxFuture<'a, io::Result<Resolved>> {
        assert_eq!(host, "server.made-up");
        Box::pin(async { Ok(Resolved::from(vec![CLIENT, SERVER])) })
    }
}

#[tokio::test(start_paused = true)]
async fn names_are_resolved_by_the_environment() {
    let net = MemNet::new();
    let (addr, _) = hosts(&net, &plain());
    let near: Arc<dyn Net> = Arc::new(net.host(CLIENT));
    let environment = Environment { net: near, resolver: Arc::new(Names), ..environment() };
    let dialer = Quic.dialer(&Arc::new(plain()), &environment).unwrap();
    let to = Addr::Name("server.made-up".into(), addr.port().unwrap());
    let mut stream = dialer.dial(&to, &DialRequest::default()).await.unwrap();
    stream.write_all(b"x").await.unwrap();
    assert_eq!(stream.read_u8().await.unwrap(), b'x');
}
