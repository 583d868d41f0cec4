//! Sets the options of a socket.

use std::io;

use rustix::io::Errno;
use socket2::{Socket, TcpKeepalive};

use crate::hook::{Role, SocketKind};
use crate::{KeepAlive, SocketOptions, sys};

/// An option that could not be set.
pub(crate) struct Refused {
    /// Such as `SO_MARK`.
    pub(crate) option: &'static str,
    pub(crate) source: io::Error,
}

impl Refused {
    fn of(option: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self { option, source }
    }
}

impl SocketOptions {
    /// Sets all that means something for such a socket, before it is bound or connected. What a listener is given, its
    /// connections inherit (Linux).
    pub(crate) fn apply(
        &self,
        socket: &Socket,
        kind: SocketKind,
        role: Role,
    ) -> Result<(), Refused> {
        match kind {
            SocketKind::Unix => return Ok(()),
            SocketKind::TcpV4 | SocketKind::TcpV6 => self.apply_tcp(socket, role)?,
            SocketKind::UdpV4 | SocketKind::UdpV6 => {}
        }
        if self.mark != 0 {
            sys::set_mark(socket, self.mark).map_err(Refused::of("SO_MARK"))?;
        }
        if let Some(device) = &self.device {
            sys::bind_device(socket, device).map_err(Refused::of("SO_BINDTODEVICE"))?;
        }
        if self.transparent {
            // One flag of the socket serves both families (Linux: inet_sk(sk)->transparent).
            let is_v6 = matches!(kind, SocketKind::TcpV6 | SocketKind::UdpV6);
            sys::set_transparent(socket, is_v6).map_err(Refused::of("IP_TRANSPARENT"))?;
        }
        self.apply_buffers(socket)
    }

    fn apply_tcp(&self, socket: &Socket, role: Role) -> Result<(), Refused> {
        socket.set_tcp_nodelay(true).map_err(Refused::of("TCP_NODELAY"))?;
        self.keep_alive.apply(socket).map_err(Refused::of("SO_KEEPALIVE"))?;
        match (self.fast_open, role) {
            (None, _) | (_, Role::Accepted) => Ok(()),
            (Some(queue), Role::Listener) => {
                sys::set_fast_open(socket, queue).map_err(Refused::of("TCP_FASTOPEN"))
            }
            (Some(on), Role::Dialer) => sys::set_fast_open_connect(socket, on != 0)
                .map_err(Refused::of("TCP_FASTOPEN_CONNECT")),
        }
    }

    fn apply_buffers(&self, socket: &Socket) -> Result<(), Refused> {
        let size = |bytes: u32| usize::try_from(bytes).unwrap_or(usize::MAX);
        if self.receive_buffer != 0 {
            let bytes = size(self.receive_buffer);
            if self.force_buffers {
                sys::force_receive_buffer(socket, bytes).map_err(Refused::of("SO_RCVBUFFORCE"))?;
            } else {
                socket.set_recv_buffer_size(bytes).map_err(Refused::of("SO_RCVBUF"))?;
            }
        }
        if self.send_buffer != 0 {
            let bytes = size(self.send_buffer);
            if self.force_buffers {
                sys::force_send_buffer(socket, bytes).map_err(Refused::of("SO_SNDBUFFORCE"))?;
            } else {
                socket.set_send_buffer_size(bytes).map_err(Refused::of("SO_SNDBUF"))?;
            }
        }
        Ok(())
    }
}

impl KeepAlive {
    pub(crate) fn apply(self, socket: &Socket) -> io::Result<()> {
        match self {
            Self::System => Ok(()),
            Self::Off => socket.set_keepalive(false),
            Self::On { idle, interval, count } => {
                let times = TcpKeepalive::new().with_time(idle).with_interval(interval);
                let times = count.map_or(times.clone(), |count| times.with_retries(count));
                socket.set_tcp_keepalive(&times)
            }
        }
    }
}

/// The system's answer to an option in words, with what would help.
pub(crate) fn refusal(option: &str, error: &io::Error) -> String {
    match Errno::from_io_error(error) {
        Some(Errno::PERM | Errno::ACCESS) => {
            let capability =
                if option == "SO_BINDTODEVICE" { "CAP_NET_RAW" } else { "CAP_NET_ADMIN" };
            format!("not permitted: it needs the capability {capability}")
        }
        Some(Errno::NODEV) => "there is no such network interface".to_owned(),
        Some(Errno::NOPROTOOPT | Errno::PROTONOSUPPORT | Errno::OPNOTSUPP) => {
            "this system does not have it".to_owned()
        }
        Some(Errno::INVAL | Errno::DOM | Errno::RANGE) => "the value is out of range".to_owned(),
        _ => error.to_string(),
    }
}
