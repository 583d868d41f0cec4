//! What the system has and no library offers; the only place that may hold `unsafe`.

use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd as _, AsRawFd};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::net::RecvFlags;
use socket2::{SockRef, Socket};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Has the event loop of this thread watch a listening socket.
#[expect(unsafe_code, reason = "tokio has no safe way to learn that accept(2) would not block")]
pub(crate) fn watch(listener: TcpListener) -> io::Result<AsyncFd<TcpListener>> {
    // SAFETY: a TcpListener owns its descriptor and has the same one until it is dropped, and the
    // AsyncFd owns the TcpListener.
    let watched = unsafe { AsyncFd::register_with_interest(listener, Interest::READABLE) };
    watched.map_err(io::Error::from)
}

/// Looks at what there is to read, without waiting.
pub(crate) fn peek(socket: &SockRef<'_>, into: &mut [u8]) -> io::Result<usize> {
    Ok(rustix::net::recv(socket.as_fd(), into, RecvFlags::PEEK)?.0)
}

/// Whether the peer has ended its direction, even where bytes of it were not read yet.
pub(crate) fn has_ended(socket: &SockRef<'_>) -> io::Result<bool> {
    let ended = PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR;
    let mut asked = [PollFd::from_borrowed_fd(socket.as_fd(), ended)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    rustix::event::poll(&mut asked, Some(&now))?;
    Ok(asked[0].revents().intersects(ended))
}

/// SO_MARK.
pub(crate) fn set_mark(socket: &Socket, mark: u32) -> io::Result<()> {
    socket.set_mark(mark)
}

/// SO_BINDTODEVICE.
pub(crate) fn bind_device(socket: &Socket, device: &str) -> io::Result<()> {
    socket.bind_device(Some(device.as_bytes()))
}

/// IP_TRANSPARENT or IPV6_TRANSPARENT.
pub(crate) fn set_transparent(socket: &Socket, is_v6: bool) -> io::Result<()> {
    if is_v6 { socket.set_ip_transparent_v6(true) } else { socket.set_ip_transparent_v4(true) }
}

/// SO_RCVBUFFORCE.
pub(crate) fn force_receive_buffer(socket: &Socket, bytes: usize) -> io::Result<()> {
    Ok(rustix::net::sockopt::set_socket_recv_buffer_size_force(socket, bytes)?)
}

/// SO_SNDBUFFORCE.
pub(crate) fn force_send_buffer(socket: &Socket, bytes: usize) -> io::Result<()> {
    Ok(rustix::net::sockopt::set_socket_send_buffer_size_force(socket, bytes)?)
}

/// TCP_FASTOPEN: how many connections that began with data may wait for their handshake; 0 = off.
pub(crate) fn set_fast_open(socket: &Socket, queue: u32) -> io::Result<()> {
    set_tcp(socket, libc::TCP_FASTOPEN, queue)
}

/// TCP_FASTOPEN_CONNECT: connect(2) waits for the first write, which goes out with it.
pub(crate) fn set_fast_open_connect(socket: &Socket, on: bool) -> io::Result<()> {
    set_tcp(socket, libc::TCP_FASTOPEN_CONNECT, u32::from(on))
}

#[expect(unsafe_code, reason = "neither socket2 nor rustix has the options of TCP Fast Open")]
fn set_tcp(socket: &Socket, option: libc::c_int, value: u32) -> io::Result<()> {
    let value = libc::c_int::try_from(value).unwrap_or(libc::c_int::MAX);
    // SAFETY: the descriptor is open as long as `socket` is borrowed, and the kernel reads as many bytes of `value` as
    // it is told.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            option,
            (&raw const value).cast(),
            size_of_val(&value) as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
