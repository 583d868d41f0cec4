//! `mkcp`: a reliable stream over UDP, made for paths that lose packets (v2ray's `transport/internet/kcp`).
//!
//! A conversation is a number that the dialer chooses; each has its own socket. TLS, where there is some, runs inside.
//!
//! What rosn does other than v2ray, so that both understand it:
//!
//! * A dialer pings at once, so that the listener may speak first; v2ray's does so after 5 s.
//! * The end is told as soon as all has arrived; v2ray waits for its next 5 s.
//! * After the end of one direction the other goes on between two rosn: bit 1 of the option byte of a Terminate says that
//!   its sender still reads. v2ray does not know that bit and has no half-close: it drops what it was about to send when
//!   its peer closes, and reads nothing when it has closed. So its Terminate ends both directions.
//! * What is lost is noticed by later segments that arrive, and not only by time.
//! * A conversation begins with data or a ping of a peer that has heard nothing yet. Strays and late datagrams open none;
//!   their sender is told that there is no such conversation.
//! * `readBufferSize` counts: the window is what it or `downlinkCapacity` allow, whichever is more.

mod driver;
mod listener;
mod outbox;
mod parameters;
mod receive;
mod rtt;
mod seal;
mod segment;
mod send;
mod session;
mod stream;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use rosn_base::Addr;
use rosn_config::checked::{MkcpSettings, StreamSettings, TransportSettings};
use rosn_net::{
    BindError, Datagrams, DialError, DialOptions, ListenOptions, Net, NetListener, Stream,
};

use self::driver::{Driver, Setup};
use self::parameters::Parameters;
use self::seal::Seal;
use self::session::{Role, Session};
use self::stream::Shared;
use crate::layers::{Below, Connect, listen, tls::DEFAULT_ALPN};
use crate::packet_header::Header;
use crate::{BoxFuture, DialRequest, Dialer, Environment, Listener, Transport, TransportError};

const NAME: &str = "mkcp";
/// Asked of the system for sockets whose settings do not say: bursts have to fit. The system may give less.
const LISTENER_BUFFER: u32 = 4 << 20;
const DIALER_BUFFER: u32 = 2 << 20;

/// The transport.
///
/// Dialing succeeds at once, as with any datagrams: that nobody listens is an error of the first read or write, where the
/// system says so, or after 16 s of silence.
#[derive(Debug, Clone, Copy, Default)]
pub struct Mkcp;

impl Transport for Mkcp {
    fn scheme(&self) -> &str {
        NAME
    }

    fn listen(
        &self,
        at: &Addr,
        settings: &Arc<StreamSettings>,
        environment: &Environment,
    ) -> Result<Box<dyn Listener>, TransportError> {
        let environment = over_udp(settings, environment)?;
        let upgrade = |below: Below| std::future::ready(Ok(below.accepted()));
        let listener = listen(NAME, at, settings, &environment, DEFAULT_ALPN, upgrade)?;
        Ok(Box::new(listener))
    }

    fn dialer(
        &self,
        settings: &Arc<StreamSettings>,
        environment: &Environment,
    ) -> Result<Arc<dyn Dialer>, TransportError> {
        let environment = over_udp(settings, environment)?;
        Ok(Arc::new(MkcpDialer(Connect::new(NAME, settings, &environment, DEFAULT_ALPN)?)))
    }
}

struct MkcpDialer(Connect);

impl Dialer for MkcpDialer {
    fn dial<'a>(
        &'a self,
        to: &'a Addr,
        request: &'a DialRequest,
    ) -> BoxFuture<'a, Result<Stream, TransportError>> {
        Box::pin(async move { Ok(self.0.connect(to, request).await?.stream) })
    }
}

/// An environment whose connections are conversations.
fn over_udp(
    settings: &StreamSettings,
    environment: &Environment,
) -> Result<Environment, TransportError> {
    let TransportSettings::Mkcp(mkcp) = &settings.transport else {
        return Err(TransportError::foreign_settings(NAME, settings.transport.scheme()));
    };
    let net = Arc::new(Conversations {
        below: Arc::clone(&environment.net),
        settings: mkcp.clone(),
        parameters: Arc::new(Parameters::new(mkcp)),
        seal: Arc::new(Seal::new(mkcp.seed.as_ref().map(|seed| seed.0.as_str()))),
        waiting: environment.limits.handshakes,
        conversations: environment.limits.sessions,
    });
    let mut limits = environment.limits;
    // v2ray may dial from a port that an older socket of its own holds for up to 10 s more, and which gets our answers.
    limits.handshake_timeout *= 2;
    Ok(Environment { net, limits, ..environment.clone() })
}

/// A network whose stream sockets are mKCP conversations: so the layers above (names, PROXY headers, TLS) are those of
/// every other transport.
struct Conversations {
    below: Arc<dyn Net>,
    settings: MkcpSettings,
    parameters: Arc<Parameters>,
    seal: Arc<Seal>,
    waiting: usize,
    conversations: usize,
}

impl Conversations {
    fn setup(&self, socket: Arc<dyn Datagrams>) -> Setup {
        Setup {
            socket,
            parameters: Arc::clone(&self.parameters),
            seal: Arc::clone(&self.seal),
            header: Header::new(self.settings.header),
            bell: Arc::default(),
        }
    }

    fn dial(&self, target: SocketAddr, options: &DialOptions) -> Result<Stream, DialError> {
        let mut options = options.clone();
        let buffers = &mut options.socket;
        fill_in(&mut buffers.receive_buffer, DIALER_BUFFER);
        fill_in(&mut buffers.send_buffer, DIALER_BUFFER);
        let socket = self.below.dial_udp(target, &options)?;
        let setup = self.setup(socket);
        let failed =
            |source| DialError::Setup { target: Addr::Ip(target), step: "UDP socket", source };
        let local = setup.socket.local_addr().map_err(failed)?;
        let conversation = fastrand::u16(..);
        let session = Session::new(&self.parameters, conversation, Role::Dialer, Instant::now());
        let shared = Shared::new((target, conversation), local, session, &setup.bell);
        let driver = Driver::dialer(setup, Arc::clone(&shared)).map_err(failed)?;
        tokio::spawn(driver.run());
        Ok(stream::stream(shared))
    }
}

fn fill_in(buffer: &mut u32, bytes: u32) {
    if *buffer == 0 {
        *buffer = bytes;
    }
}

impl Net for Conversations {
    fn connect<'a>(
        &'a self,
        addr: &'a Addr,
        options: &'a DialOptions,
    ) -> rosn_net::BoxFuture<'a, Result<Stream, DialError>> {
        Box::pin(async move {
            let Some(target) = addr.as_ip() else {
                let (target, source) = (addr.clone(), io::ErrorKind::Unsupported.into());
                return Err(DialError::Setup { target, step: "mkcp runs over UDP", source });
            };
            self.dial(target, options)
        })
    }

    fn listen(
        &self,
        addr: &Addr,
        options: &ListenOptions,
    ) -> Result<Box<dyn NetListener>, BindError> {
        let failed = |source| BindError::Other { addr: addr.clone(), source };
        let Some(at) = addr.as_ip() else {
            let why = "mkcp runs over UDP, so it listens on an IP address and a port";
            return Err(failed(io::Error::new(io::ErrorKind::Unsupported, why)));
        };
        let mut options = options.clone();
        fill_in(&mut options.socket.receive_buffer, LISTENER_BUFFER);
        fill_in(&mut options.socket.send_buffer, LISTENER_BUFFER);
        let socket = self.below.bind_udp(at, &options)?;
        let listener =
            listener::Listener::new(self.setup(socket), self.waiting, self.conversations)
                .map_err(failed)?;
        Ok(Box::new(listener))
    }

    fn bind_udp(
        &self,
        addr: SocketAddr,
        options: &ListenOptions,
    ) -> Result<Arc<dyn Datagrams>, BindError> {
        self.below.bind_udp(addr, options)
    }

    fn dial_udp(
        &self,
        target: SocketAddr,
        options: &DialOptions,
    ) -> Result<Arc<dyn Datagrams>, DialError> {
        self.below.dial_udp(target, options)
    }
}
