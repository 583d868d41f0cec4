//! Sockets and epoll, the only place with `unsafe`. Everything is non-blocking.

use std::io;
use std::mem::{size_of, zeroed};
use std::net::SocketAddrV4;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

pub struct Socket(OwnedFd);

impl Socket {
    /// Begins to connect. `source` spreads the sockets over 127.0.0.2 to 127.0.0.17, so that ports do not run out.
    pub fn connect(source: u32, to: SocketAddrV4) -> io::Result<Self> {
        let socket = Self::new()?;
        socket.option(libc::IPPROTO_TCP, libc::TCP_NODELAY, 1)?;
        socket.option(libc::SOL_IP, libc::IP_BIND_ADDRESS_NO_PORT, 1)?;
        socket.bind(SocketAddrV4::new((0x7f00_0002 + source % 16).into(), 0))?;
        let to = sockaddr(to);
        // SAFETY: the address lives through the call, and its size is given.
        match check(unsafe { libc::connect(socket.raw(), (&raw const to).cast(), SOCKADDR) }) {
            Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => Err(error),
            _ => Ok(socket),
        }
    }

    pub fn listen(at: SocketAddrV4) -> io::Result<Self> {
        let socket = Self::new()?;
        socket.option(libc::SOL_SOCKET, libc::SO_REUSEADDR, 1)?;
        socket.bind(at)?;
        // SAFETY: no pointers.
        check(unsafe { libc::listen(socket.raw(), 4096) })?;
        Ok(socket)
    }

    /// A connection that waits, or `None`.
    pub fn accept(&self) -> Option<Self> {
        let null = std::ptr::null_mut();
        // SAFETY: null pointers say that the address is not wanted.
        let fd = unsafe { libc::accept4(self.raw(), null, null.cast(), libc::SOCK_NONBLOCK) };
        if fd < 0 {
            return None;
        }
        // SAFETY: the kernel has just given this descriptor to nobody else.
        let socket = Self(unsafe { OwnedFd::from_raw_fd(fd) });
        socket.option(libc::IPPROTO_TCP, libc::TCP_NODELAY, 1).ok()?;
        Some(socket)
    }

    pub fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        // SAFETY: pointer and length are those of one slice.
        count(unsafe {
            libc::send(self.raw(), bytes.as_ptr().cast(), bytes.len(), libc::MSG_NOSIGNAL)
        })
    }

    pub fn receive(&self, into: &mut [u8]) -> io::Result<usize> {
        // SAFETY: pointer and length are those of one slice.
        count(unsafe { libc::recv(self.raw(), into.as_mut_ptr().cast(), into.len(), 0) })
    }

    /// Throws away what has come, without copying it (MSG_TRUNC, tcp(7)).
    pub fn discard(&self) -> io::Result<usize> {
        // SAFETY: with MSG_TRUNC a TCP socket writes nothing to the buffer.
        count(unsafe { libc::recv(self.raw(), std::ptr::null_mut(), 1 << 24, libc::MSG_TRUNC) })
    }

    pub fn raw(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    fn new() -> io::Result<Self> {
        let kind = libc::SOCK_STREAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
        // SAFETY: no pointers; the descriptor is new.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(check(libc::socket(libc::AF_INET, kind, 0))?) }))
    }

    fn bind(&self, at: SocketAddrV4) -> io::Result<()> {
        let at = sockaddr(at);
        // SAFETY: the address lives through the call, and its size is given.
        check(unsafe { libc::bind(self.raw(), (&raw const at).cast(), SOCKADDR) }).map(drop)
    }

    fn option(&self, level: i32, name: i32, value: i32) -> io::Result<()> {
        // SAFETY: the value lives through the call, and its size is given.
        check(unsafe { libc::setsockopt(self.raw(), level, name, (&raw const value).cast(), 4) })
            .map(drop)
    }
}

/// What a poller waits for.
#[derive(Clone, Copy)]
pub struct Interest(u32);

impl Interest {
    pub const READ: Self = Self(libc::EPOLLIN as u32);
    pub const WRITE: Self = Self(libc::EPOLLOUT as u32);
    pub const BOTH: Self = Self((libc::EPOLLIN | libc::EPOLLOUT) as u32);
    /// Room to write, or an end of the other side.
    pub const WRITE_OR_END: Self = Self((libc::EPOLLOUT | libc::EPOLLRDHUP) as u32);
}

/// What happened to the socket registered with `token`.
#[derive(Clone, Copy)]
pub struct Event {
    pub token: u64,
    flags: u32,
}

impl Event {
    pub fn writable(self) -> bool {
        self.flags & libc::EPOLLOUT as u32 != 0
    }

    /// Something can be read, be it the end or an error.
    pub fn readable(self) -> bool {
        self.flags & (libc::EPOLLIN | libc::EPOLLHUP | libc::EPOLLERR) as u32 != 0
    }

    pub fn ended(self) -> bool {
        self.flags & (libc::EPOLLRDHUP | libc::EPOLLHUP | libc::EPOLLERR) as u32 != 0
    }
}

pub struct Poller {
    epoll: OwnedFd,
    events: Vec<libc::epoll_event>,
}

impl Poller {
    pub fn new() -> io::Result<Self> {
        // SAFETY: no pointers; the descriptor is new.
        let epoll =
            unsafe { OwnedFd::from_raw_fd(check(libc::epoll_create1(libc::EPOLL_CLOEXEC))?) };
        Ok(Self { epoll, events: vec![libc::epoll_event { events: 0, u64: 0 }; 512] })
    }

    /// A closed socket leaves the poller by itself.
    pub fn add(&self, socket: &Socket, interest: Interest, token: u64) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, socket, interest, token)
    }

    pub fn change(&self, socket: &Socket, interest: Interest, token: u64) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_MOD, socket, interest, token)
    }

    /// Fills `into` with what has happened; waits for it if `block`.
    pub fn poll(&mut self, block: bool, into: &mut Vec<Event>) {
        let (room, timeout) = (self.events.len() as i32, if block { -1 } else { 0 });
        // SAFETY: pointer and length are those of one vector.
        let count = unsafe {
            libc::epoll_wait(self.epoll.as_raw_fd(), self.events.as_mut_ptr(), room, timeout)
        };
        into.clear();
        let events = self.events.iter().take(count.max(0) as usize);
        into.extend(events.map(|event| Event { token: event.u64, flags: event.events }));
    }

    fn control(
        &self,
        operation: i32,
        socket: &Socket,
        interest: Interest,
        token: u64,
    ) -> io::Result<()> {
        let mut event = libc::epoll_event { events: interest.0, u64: token };
        // SAFETY: the event lives through the call.
        check(unsafe {
            libc::epoll_ctl(self.epoll.as_raw_fd(), operation, socket.raw(), &raw mut event)
        })
        .map(drop)
    }
}

pub fn would_block(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}

const SOCKADDR: u32 = size_of::<libc::sockaddr_in>() as u32;

fn sockaddr(address: SocketAddrV4) -> libc::sockaddr_in {
    // SAFETY: all zeros is a valid sockaddr_in.
    let mut sockaddr: libc::sockaddr_in = unsafe { zeroed() };
    sockaddr.sin_family = libc::AF_INET as u16;
    sockaddr.sin_port = address.port().to_be();
    sockaddr.sin_addr.s_addr = u32::from(*address.ip()).to_be();
    sockaddr
}

fn check(code: i32) -> io::Result<i32> {
    if code < 0 { Err(io::Error::last_os_error()) } else { Ok(code) }
}

fn count(code: isize) -> io::Result<usize> {
    usize::try_from(code).map_err(|_| io::Error::last_os_error())
}
