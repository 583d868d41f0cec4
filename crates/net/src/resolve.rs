//! From host names to addresses.

mod coalesced;

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use crate::BoxFuture;
pub use coalesced::Coalesced;

/// Which addresses of a name are of use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Network {
    /// Both families.
    Any,
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Network {
    /// Whether the address is of use.
    pub fn has(self, ip: IpAddr) -> bool {
        match self {
            Self::Any => true,
            Self::V4 => ip.is_ipv4(),
            Self::V6 => ip.is_ipv6(),
        }
    }
}

/// Finds the addresses of names.
pub trait Resolve: Send + Sync + 'static {
    /// The addresses of `host`, which is no IP address itself, the best first. Addresses that are not of the
    /// `network` are ignored.
    ///
    /// Cancel safety: it may be dropped and asked again.
    ///
    /// # Errors
    /// There is no such name, or nobody who knows could be asked.
    fn resolve<'a>(
        &'a self,
        host: &'a str,
        network: Network,
    ) -> BoxFuture<'a, io::Result<Resolved>>;
}

/// What a name resolved to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// The addresses, the best first.
    pub addrs: Arc<[IpAddr]>,
    /// It is the answer to somebody else's question, who had asked before.
    pub coalesced: bool,
}

impl From<Vec<IpAddr>> for Resolved {
    fn from(addrs: Vec<IpAddr>) -> Self {
        Self { addrs: addrs.into(), coalesced: false }
    }
}

/// Asks the operating system: getaddrinfo(3), on a thread that may block. So it heeds `/etc/hosts` and what else the
/// system is set up for, and puts the addresses in the order of RFC 6724.
///
/// A question that nobody waits for any longer still occupies its thread until the system answers;
/// [`Coalesced`] keeps many for one name from piling up.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    /// # Panics
    /// Outside of a tokio runtime.
    fn resolve<'a>(
        &'a self,
        host: &'a str,
        network: Network,
    ) -> BoxFuture<'a, io::Result<Resolved>> {
        Box::pin(async move {
            let found = tokio::net::lookup_host((host, 0)).await?;
            let addrs: Vec<_> = found.map(|addr| addr.ip()).filter(|ip| network.has(*ip)).collect();
            Ok(Resolved::from(addrs))
        })
    }
}
