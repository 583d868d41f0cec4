//! The listener's side.

use std::sync::Arc;

use rosn_base::Addr;
use rosn_config::checked::{StreamSettings, Tproxy};
use rosn_net::{ListenOptions, PeerAddr, Stream};
use rosn_tls::{Acceptor, Session};

use super::{proxy, tls};
use crate::handshakes::{Failed, Handshakes};
use crate::socket::listen_options;
use crate::{Accepted, Environment, TransportError};

/// A client's connection, after its PROXY header and its TLS handshake.
#[derive(Debug)]
pub(crate) struct Below {
    /// Its bytes.
    pub(crate) stream: Stream,
    /// The client; what the PROXY header says, where there is one.
    pub(crate) peer: PeerAddr,
    /// The address that it connected to; what the PROXY header says, where there is one.
    pub(crate) local: PeerAddr,
    /// What was agreed on by TLS, where there is some.
    pub(crate) tls: Option<Session>,
}

impl Below {
    /// It is what the application is to get.
    pub(crate) fn accepted(self) -> Accepted {
        let Self { stream, peer, local, tls } = self;
        Accepted { stream, peer, local, tls }
    }
}

/// Listens at an address. `upgrade` does the transport's own handshake, and all of them together have
/// [`handshake_timeout`](crate::TransportLimits::handshake_timeout). `alpn` is what TLS agrees on where the settings
/// do not say.
///
/// # Errors
/// The address cannot be listened on, or the TLS settings cannot be used.
pub(crate) fn listen<T, F>(
    transport: &'static str,
    at: &Addr,
    settings: &Arc<StreamSettings>,
    environment: &Environment,
    alpn: &[&str],
    upgrade: impl Fn(Below) -> F + Send + Sync + 'static,
) -> Result<Handshakes<T>, TransportError>
where
    T: Send + 'static,
    F: Future<Output = Result<T, Failed>> + Send + 'static,
{
    let options = listen_options(&settings.socket, environment);
    listen_with(transport, at, &options, settings, environment, alpn, upgrade)
}

/// [`listen`], with socket options that say more.
pub(crate) fn listen_with<T, F>(
    transport: &'static str,
    at: &Addr,
    options: &ListenOptions,
    settings: &Arc<StreamSettings>,
    environment: &Environment,
    alpn: &[&str],
    upgrade: impl Fn(Below) -> F + Send + Sync + 'static,
) -> Result<Handshakes<T>, TransportError>
where
    T: Send + 'static,
    F: Future<Output = Result<T, Failed>> + Send + 'static,
{
    let acceptor =
        settings.tls.as_ref().map(|tls| tls::acceptor(transport, tls, alpn, environment));
    let acceptor = acceptor.transpose()?;
    let listener = environment
        .net
        .listen(at, options)
        .map_err(|cause| TransportError::Bind { transport, cause })?;

    let shared = Arc::new(Shared {
        local: fixed_local(&listener.local_addr(), settings),
        settings: settings.clone(),
        acceptor,
        upgrade,
    });
    let begin = move |stream, peer| {
        let shared = shared.clone();
        Box::pin(async move {
            let below = shared.prepare(stream, peer).await?;
            (shared.upgrade)(below).await
        }) as _
    };
    Ok(Handshakes::new(transport, listener, &environment.limits, Box::new(begin)))
}

/// What the handshakes of a listener need.
struct Shared<U> {
    settings: Arc<StreamSettings>,
    acceptor: Option<Acceptor>,
    /// The address that every client connects to; `None` = each connection has to be asked.
    local: Option<PeerAddr>,
    upgrade: U,
}

impl<U> Shared<U> {
    async fn prepare(&self, mut stream: Stream, mut peer: PeerAddr) -> Result<Below, Failed> {
        let mut local = match &self.local {
            Some(local) => local.clone(),
            None => stream.local_addr().map_err(Failed::at("accept"))?,
        };
        let said = proxy::accept(&self.settings.proxy_protocol, &mut stream, &peer).await;
        if let Some((source, destination)) = said.map_err(Failed::at("PROXY header"))? {
            (peer, local) = (source, destination);
        }
        let Some(acceptor) = &self.acceptor else {
            return Ok(Below { stream, peer, local, tls: None });
        };
        let secured = acceptor.accept(stream).await.map_err(Failed::at("TLS handshake"))?;
        let tls = Some(secured.session());
        Ok(Below { stream: secured.into_stream(), peer, local, tls })
    }
}

/// The local address of all connections, where it is the one that is listened on. That saves a system call each.
fn fixed_local(addr: &Addr, settings: &StreamSettings) -> Option<PeerAddr> {
    match addr {
        Addr::Ip(ip) if ip.ip().is_unspecified() || settings.socket.tproxy != Tproxy::Off => None,
        Addr::Ip(ip) => Some(PeerAddr::from(*ip)),
        Addr::Unix(path) => Some(PeerAddr::Unix(Some(path.as_path().into()))),
        Addr::Name(..) => None,
    }
}
