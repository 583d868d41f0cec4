//! A network and a resolver that do as a test says.

use std::collections::HashMap;
use std::future::pending;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use rosn_base::Addr;
use rosn_net::{
    BindError, BoxFuture, Datagrams, DialContext, DialError, DialOptions, Dialer, Io,
    ListenOptions, Net, NetListener, Network, PeerAddr, Resolve, Resolved, Stream,
};
use rosn_trace::{Cancelled, ClientTrace, ErrorRef, Event, TraceHandle};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex};

/// What becomes of a connect.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Answer {
    Connected(Duration),
    Failed(Duration, ErrorKind),
    Never,
    /// The connection meets itself.
    Itself,
}

pub(crate) const NOW: Duration = Duration::ZERO;
pub(crate) const OK: Answer = Answer::Connected(NOW);
pub(crate) const REFUSED: Answer = Answer::Failed(NOW, ErrorKind::ConnectionRefused);
pub(crate) const NO_PORT: Answer = Answer::Failed(NOW, ErrorKind::AddrNotAvailable);

/// Sockets that are open: connecting or connected.
#[derive(Debug, Clone, Default)]
pub(crate) struct Live(Arc<AtomicUsize>);

impl Live {
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    fn open(&self) -> Open {
        self.0.fetch_add(1, Ordering::Relaxed);
        Open(self.clone())
    }
}

#[derive(Debug)]
struct Open(Live);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A network where each address has a list of answers; the last one is given for ever.
#[derive(Default)]
pub(crate) struct Script {
    answers: HashMap<IpAddr, Vec<Answer>>,
    pub(crate) live: Live,
    /// Where was connected to, in order.
    pub(crate) connects: Mutex<Vec<IpAddr>>,
}

impl Script {
    pub(crate) fn new(answers: &[(&str, &[Answer])]) -> Arc<Self> {
        let answers = answers.iter().map(|(ip, list)| (ip.parse().unwrap(), list.to_vec()));
        Arc::new(Self { answers: answers.collect(), ..Self::default() })
    }

    /// A dialer in this network, whose resolver knows these addresses for every name.
    pub(crate) fn dialer(self: &Arc<Self>, addrs: &[&str]) -> Dialer {
        Dialer::new(Arc::clone(self) as _, Arc::new(Knows::new(addrs)))
    }

    pub(crate) fn connects(&self) -> Vec<String> {
        self.connects.lock().unwrap().iter().map(IpAddr::to_string).collect()
    }

    fn answer(&self, ip: IpAddr) -> Answer {
        let mut connects = self.connects.lock().unwrap();
        let before = connects.iter().filter(|earlier| **earlier == ip).count();
        connects.push(ip);
        let list = self.answers.get(&ip).map_or(&[REFUSED][..], Vec::as_slice);
        *list.get(before).or(list.last()).unwrap()
    }
}

impl Net for Script {
    fn connect<'a>(
        &'a self,
        addr: &'a Addr,
        options: &'a DialOptions,
    ) -> BoxFuture<'a, Result<Stream, DialError>> {
        let open = self.live.open();
        let (peer, free) = match addr {
            Addr::Ip(peer) => (*peer, SocketAddr::new(peer.ip(), 1)),
            _ => unreachable!("{addr}"),
        };
        Box::pin(async move {
            let local = match self.answer(peer.ip()) {
                Answer::Connected(after) => {
                    tokio::time::sleep(after).await;
                    options.bind.unwrap_or(free)
                }
                Answer::Failed(after, kind) => {
                    tokio::time::sleep(after).await;
                    let source = io::Error::from(kind);
                    return Err(DialError::Connect { target: addr.clone(), source });
                }
                Answer::Never => pending().await,
                Answer::Itself => peer,
            };
            let (io, far) = duplex(64);
            Ok(Stream::boxed(Fake { io, _far: far, local, peer, _open: open }))
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

#[derive(Debug)]
struct Fake {
    io: DuplexStream,
    _far: DuplexStream,
    local: SocketAddr,
    peer: SocketAddr,
    _open: Open,
}

impl Io for Fake {
    fn peer_addr(&self) -> io::Result<PeerAddr> {
        Ok(self.peer.into())
    }

    fn local_addr(&self) -> io::Result<PeerAddr> {
        Ok(self.local.into())
    }
}

impl AsyncRead for Fake {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, into)
    }
}

impl AsyncWrite for Fake {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// A resolver that knows the same addresses for every name; none = it fails.
pub(crate) struct Knows(Vec<IpAddr>);

impl Knows {
    pub(crate) fn new(addrs: &[&str]) -> Self {
        Self(addrs.iter().map(|addr| addr.parse().unwrap()).collect())
    }
}

impl Resolve for Knows {
    fn resolve<'a>(&'a self, _: &'a str, _: Network) -> BoxFuture<'a, io::Result<Resolved>> {
        Box::pin(async {
            if self.0.is_empty() {
                return Err(io::Error::new(ErrorKind::NotFound, "no such host"));
            }
            Ok(Resolved::from(self.0.clone()))
        })
    }
}

/// Writes down what happens, one line for each event.
#[derive(Debug, Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn context(&self) -> DialContext {
        DialContext::new(TraceHandle::new(self.clone()))
    }
}

impl ClientTrace for Log {
    fn event(&self, _: Instant, event: &Event<'_>) {
        let line = match event {
            Event::DnsStart { host, .. } => format!("dns {host}"),
            Event::DnsDone { addrs, coalesced, error: None, .. } => {
                format!("dns done: {}{}", addrs.len(), if *coalesced { " shared" } else { "" })
            }
            Event::DnsDone { error: Some(error), .. } => format!("dns done: {}", name(*error)),
            Event::ConnectStart { try_no, addr, .. } => format!("{try_no} {addr}"),
            Event::ConnectDone { try_no, result, lost_race, .. } => {
                let result = result.map_or_else(name, |()| "ok".to_owned());
                format!("{try_no} done: {result}{}", if *lost_race { " lost" } else { "" })
            }
            other => format!("{other:?}"),
        };
        self.0.lock().unwrap().push(line);
    }
}

fn name(error: ErrorRef<'_>) -> String {
    if error.is::<Cancelled>() {
        return "cancelled".to_owned();
    }
    match (error.downcast_ref::<DialError>(), error.downcast_ref::<io::Error>()) {
        (Some(error), _) => format!("{:?}", error.kind()),
        (_, Some(error)) => format!("{:?}", error.kind()),
        _ => error.to_string(),
    }
}

pub(crate) fn addr(text: &str) -> Addr {
    text.parse().unwrap()
}
