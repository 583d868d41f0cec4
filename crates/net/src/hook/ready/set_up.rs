//! Hooks that set up sockets.

use std::io;
use std::net::{IpAddr, SocketAddr};

use socket2::SockRef;

use crate::hook::{Op, Role, SocketHook, SocketKind};

/// Marks every IP socket (SO_MARK), for routing rules; needs CAP_NET_ADMIN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark(pub u32);

impl SocketHook for Mark {
    fn control(&self, op: &Op<'_>, socket: SockRef<'_>) -> io::Result<()> {
        match op.kind {
            SocketKind::Unix => Ok(()),
            _ => named("SO_MARK", crate::sys::set_mark(&socket, self.0)),
        }
    }
}

/// Has every IP socket that dials do so from a place of this machine. Options that bind as well come second and fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BindTo {
    /// From this address. Targets of the other family are not touched.
    Address(IpAddr),
    /// Through this network interface (SO_BINDTODEVICE).
    Device(Box<str>),
}

impl SocketHook for BindTo {
    fn control(&self, op: &Op<'_>, socket: SockRef<'_>) -> io::Result<()> {
        let is_v4 = match op.kind {
            SocketKind::TcpV4 | SocketKind::UdpV4 => true,
            SocketKind::TcpV6 | SocketKind::UdpV6 => false,
            SocketKind::Unix => return Ok(()),
        };
        match self {
            _ if op.role != Role::Dialer => Ok(()),
            Self::Address(ip) if ip.is_ipv4() != is_v4 => Ok(()),
            Self::Address(ip) => socket.bind(&SocketAddr::new(*ip, 0).into()),
            Self::Device(device) => {
                named("SO_BINDTODEVICE", crate::sys::bind_device(&socket, device))
            }
        }
    }
}

/// Has every IP listener accept what `iptables -j TPROXY` sends it (IP_TRANSPARENT); needs CAP_NET_ADMIN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TransparentListen;

impl SocketHook for TransparentListen {
    fn control(&self, op: &Op<'_>, socket: SockRef<'_>) -> io::Result<()> {
        let is_v6 = match op.kind {
            SocketKind::TcpV4 | SocketKind::UdpV4 => false,
            SocketKind::TcpV6 | SocketKind::UdpV6 => true,
            SocketKind::Unix => return Ok(()),
        };
        if op.role != Role::Listener {
            return Ok(());
        }
        named("IP_TRANSPARENT", crate::sys::set_transparent(&socket, is_v6))
    }
}

/// Says which option it was, and what would help; the kind stays.
fn named(option: &'static str, set: io::Result<()>) -> io::Result<()> {
    set.map_err(|error| {
        let text = format!("{option}: {}", crate::options::refusal(option, &error));
        io::Error::new(error.kind(), text)
    })
}
