//! `domainsocket`: a unix socket whose path is in the settings, whatever the address says.

mod lock;

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::task::{Context, Poll};

use rosn_base::Addr;
use rosn_config::checked::{DomainSocketSettings, StreamSettings, TransportSettings};
use rosn_net::{ListenOptions, Stream};

use crate::handshakes::Handshakes;
use crate::layers::{Below, Connect, listen_with, tls::DEFAULT_ALPN};
use crate::socket::listen_options;
use crate::{
    Accepted, BoxFuture, DialRequest, Dialer, Environment, Listener, Transport, TransportError,
};
use lock::Lock;

const NAME: &str = "domainsocket";

/// The size of `sun_path`, which `padding` fills.
const SUN_PATH: usize = 108;

/// The transport. A listener holds a lock on `<path>.lock` for as long as it lives, so that two programs never take
/// the path from each other; what a crash leaves behind, socket file and lock file, is in nobody's way.
///
/// The addresses that are listened on and dialed are ignored, as in v2ray; TLS is possible.
#[derive(Debug, Clone, Copy, Default)]
pub struct DomainSocket;

impl Transport for DomainSocket {
    fn scheme(&self) -> &str {
        NAME
    }

    fn listen(
        &self,
        _at: &Addr,
        settings: &Arc<StreamSettings>,
        environment: &Environment,
    ) -> Result<Box<dyn Listener>, TransportError> {
        let own = own_settings(settings)?;
        let at = address(own)?;
        let lock = match own.is_abstract {
            true => None,
            false => Some(
                Lock::take(&own.path)
                    .map_err(|cause| TransportError::Bind { transport: NAME, cause })?,
            ),
        };
        let common = listen_options(&settings.socket, environment);
        let options = ListenOptions { mode: own.mode, reuse_port: false, ..common };
        let upgrade = |below: Below| std::future::ready(Ok(below.accepted()));
        let handshakes =
            listen_with(NAME, &at, &options, settings, environment, DEFAULT_ALPN, upgrade)?;
        Ok(Box::new(LockedListener { handshakes, lock }))
    }

    fn dialer(
        &self,
        settings: &Arc<StreamSettings>,
        environment: &Environment,
    ) -> Result<Arc<dyn Dialer>, TransportError> {
        let to = address(own_settings(settings)?)?;
        let connect = Connect::new(NAME, settings, environment, DEFAULT_ALPN)?;
        Ok(Arc::new(DomainSocketDialer { connect, to }))
    }
}

fn own_settings(settings: &StreamSettings) -> Result<&DomainSocketSettings, TransportError> {
    match &settings.transport {
        TransportSettings::DomainSocket(own) => Ok(own),
        other => Err(TransportError::foreign_settings(NAME, other.scheme())),
    }
}

/// The path as the system takes it: an abstract name begins with a NUL.
fn address(settings: &DomainSocketSettings) -> Result<Addr, TransportError> {
    let invalid = |what: &str| TransportError::Settings { transport: NAME, what: what.to_owned() };
    let path = settings.path.as_os_str().as_bytes();
    if path.is_empty() {
        return Err(invalid("the path of the socket is missing: set dsSettings.path"));
    }
    if !settings.is_abstract {
        return Ok(Addr::Unix(settings.path.clone()));
    }
    let mut name = vec![0];
    name.extend_from_slice(path);
    if name.len() > SUN_PATH {
        return Err(invalid("the abstract name is too long: it has at most 107 bytes"));
    }
    if settings.padding {
        name.resize(SUN_PATH, 0);
    }
    Ok(Addr::Unix(PathBuf::from(OsString::from_vec(name))))
}

/// The socket, and then its lock: fields are dropped in this order.
struct LockedListener {
    handshakes: Handshakes<Accepted>,
    lock: Option<Lock>,
}

impl Listener for LockedListener {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Accepted>> {
        let polled = self.handshakes.poll_next(cx);
        if self.handshakes.is_closed() {
            self.lock = None;
        }
        polled
    }

    fn local_addr(&self) -> Addr {
        self.handshakes.local_addr()
    }

    fn drain(&mut self) {
        self.handshakes.drain();
    }
}

struct DomainSocketDialer {
    connect: Connect,
    to: Addr,
}

impl Dialer for DomainSocketDialer {
    fn dial<'a>(
        &'a self,
        to: &'a Addr,
        request: &'a DialRequest,
    ) -> BoxFuture<'a, Result<Stream, TransportError>> {
        // The address that was asked for names the server, if the settings do not.
        Box::pin(async move { Ok(self.connect.connect_to(&self.to, to, request).await?.stream) })
    }
}
