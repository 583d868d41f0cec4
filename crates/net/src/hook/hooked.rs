//! Hooks for all sockets of a network.

use std::net::SocketAddr;
use std::sync::Arc;

use rosn_base::Addr;

use super::Hooks;
use crate::{
    BindError, BoxFuture, Datagrams, DialError, DialOptions, ListenOptions, Net, NetListener,
    Stream,
};

/// A network whose sockets are seen by these hooks: they are put before those of the options of each call.
///
/// ```
/// use std::sync::Arc;
/// use rosn_net::hook::{Hooked, Hooks, Switch};
/// use rosn_net::{ListenOptions, Net, OsNet};
///
/// let switch = Arc::new(Switch::new());
/// let net = Hooked::new(OsNet, Hooks::from(Arc::clone(&switch)));
/// let listener = net.listen(&"127.0.0.1:0".parse().unwrap(), &ListenOptions::default()).unwrap();
/// assert_eq!(switch.sockets().len(), 1);
/// drop(listener);
/// assert!(switch.sockets().is_empty());
/// ```
#[derive(Debug, Clone)]
pub struct Hooked<N> {
    net: N,
    hooks: Hooks,
}

impl<N: Net> Hooked<N> {
    /// Has the hooks see all sockets of `net`, if it honours the hooks of options.
    pub fn new(net: N, hooks: Hooks) -> Self {
        Self { net, hooks }
    }

    fn dialing(&self, options: &DialOptions) -> DialOptions {
        DialOptions { hooks: self.hooks.then(&options.hooks), ..options.clone() }
    }

    fn listening(&self, options: &ListenOptions) -> ListenOptions {
        ListenOptions { hooks: self.hooks.then(&options.hooks), ..options.clone() }
    }
}

impl<N: Net> Net for Hooked<N> {
    fn connect<'a>(
        &'a self,
        addr: &'a Addr,
        options: &'a DialOptions,
    ) -> BoxFuture<'a, Result<Stream, DialError>> {
        Box::pin(async move { self.net.connect(addr, &self.dialing(options)).await })
    }

    fn listen(
        &self,
        addr: &Addr,
        options: &ListenOptions,
    ) -> Result<Box<dyn NetListener>, BindError> {
        self.net.listen(addr, &self.listening(options))
    }

    fn bind_udp(
        &self,
        addr: SocketAddr,
        options: &ListenOptions,
    ) -> Result<Arc<dyn Datagrams>, BindError> {
        self.net.bind_udp(addr, &self.listening(options))
    }

    fn dial_udp(
        &self,
        target: SocketAddr,
        options: &DialOptions,
    ) -> Result<Arc<dyn Datagrams>, DialError> {
        self.net.dial_udp(target, &self.dialing(options))
    }
}
