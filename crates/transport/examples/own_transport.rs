//! A transport of one's own, registered beside those that there are: tcp with every byte turned by a key.
//!
//! `cargo run -p rosn-transport --example own_transport`

use std::error::Error;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rosn_base::Addr;
use rosn_config::checked::{StreamSettings, TransportSettings};
use rosn_net::{Io, PeerAddr, Stream};
use rosn_transport::{
    Accepted, BoxFuture, DialRequest, Dialer, Environment, Listener, Registry, Tcp, Transport,
    TransportError,
};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};

/// The transport. It stands on tcp and changes what passes.
struct Xor;

/// The key is a setting of its own.
fn key(settings: &StreamSettings) -> Result<u8, TransportError> {
    let TransportSettings::Custom { settings, .. } = &settings.transport else {
        return Err(TransportError::Settings { transport: "xor", what: "no settings".into() });
    };
    let value = settings.iter().find(|(name, _)| name == "key").map(|(_, value)| value.parse());
    value.transpose().ok().flatten().ok_or_else(|| {
        let what = "`key` has to be a number from 0 to 255".to_owned();
        TransportError::Settings { transport: "xor", what }
    })
}

/// The settings of the tcp connection below: all but the transport's own.
fn below(settings: &StreamSettings) -> Arc<StreamSettings> {
    Arc::new(StreamSettings { transport: TransportSettings::default(), ..settings.clone() })
}

impl Transport for Xor {
    fn scheme(&self) -> &str {
        "xor"
    }

    fn listen(
        &self,
        at: &Addr,
        settings: &Arc<StreamSettings>,
        environment: &Environment,
    ) -> Result<Box<dyn Listener>, TransportError> {
        let key = key(settings)?;
        let below = Tcp.listen(at, &below(settings), environment)?;
        Ok(Box::new(XorListener { below, key }))
    }

    fn dialer(
        &self,
        settings: &Arc<StreamSettings>,
        environment: &Environment,
    ) -> Result<Arc<dyn Dialer>, TransportError> {
        let key = key(settings)?;
        let below = Tcp.dialer(&below(settings), environment)?;
        Ok(Arc::new(XorDialer { below, key }))
    }
}

struct XorListener {
    below: Box<dyn Listener>,
    key: u8,
}

impl Listener for XorListener {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Accepted>> {
        let accepted = self.below.poll_accept(cx);
        accepted.map_ok(|Accepted { stream, peer, local, tls }| {
            let stream = Stream::boxed(XorStream { below: stream, key: self.key });
            Accepted { stream, peer, local, tls }
        })
    }

    fn local_addr(&self) -> Addr {
        self.below.local_addr()
    }

    fn drain(&mut self) {
        self.below.drain();
    }
}

struct XorDialer {
    below: Arc<dyn Dialer>,
    key: u8,
}

impl Dialer for XorDialer {
    fn dial<'a>(
        &'a self,
        to: &'a Addr,
        request: &'a DialRequest,
    ) -> BoxFuture<'a, Result<Stream, TransportError>> {
        Box::pin(async move {
            let below = self.below.dial(to, request).await?;
            Ok(Stream::boxed(XorStream { below, key: self.key }))
        })
    }
}

#[derive(Debug)]
struct XorStream {
    below: Stream,
    key: u8,
}

impl AsyncRead for XorStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.below).poll_read(cx, buf);
        buf.filled_mut()[before..].iter_mut().for_each(|byte| *byte ^= self.key);
        read
    }
}

impl AsyncWrite for XorStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut turned = [0; 4096];
        let count = bytes.len().min(turned.len());
        for (turned, byte) in turned.iter_mut().zip(bytes) {
            *turned = byte ^ self.key;
        }
        Pin::new(&mut self.below).poll_write(cx, &turned[..count])
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.below).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.below).poll_shutdown(cx)
    }
}

impl Io for XorStream {
    fn peer_addr(&self) -> io::Result<PeerAddr> {
        self.below.peer_addr()
    }

    fn local_addr(&self) -> io::Result<PeerAddr> {
        self.below.local_addr()
    }

    fn was_cut_off(&self) -> bool {
        self.below.was_cut_off()
    }

    fn abort(&mut self) {
        Io::abort(&mut self.below);
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut registry = Registry::with_builtin();
    registry.register(Arc::new(Xor))?;

    let environment = Environment { owner: "example".into(), ..Environment::system() };
    let own = vec![("key".to_owned(), "42".to_owned())];
    let transport = TransportSettings::Custom { scheme: "xor".into(), settings: own };
    let settings = Arc::new(StreamSettings { transport, ..StreamSettings::default() });

    let mut listener = registry.listen(&"127.0.0.1:0".parse()?, &settings, &environment)?;
    let dialer = registry.dialer(&settings, &environment)?;
    let (to, request) = (listener.local_addr(), DialRequest::default());
    let (client, accepted) =
        tokio::join!(dialer.dial(&to, &request), poll_fn(|cx| listener.poll_accept(cx)));
    let (mut client, accepted) = (client?, accepted?);
    client.write_all(b"hello by way of xor").await?;
    client.shutdown().await?;
    let mut text = String::new();
    let mut server = accepted.stream;
    server.read_to_string(&mut text).await?;
    println!("{}: {text}", accepted.peer);
    Ok(())
}
