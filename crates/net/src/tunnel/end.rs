//! One of a tunnel's two connections.

use std::io::{self, ErrorKind};
use std::os::fd::BorrowedFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustix::net::SendFlags;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};

use crate::Stream;

/// A connection, and what the tunnel knows of its readiness that the runtime does not.
#[derive(Debug)]
pub(super) struct End {
    pub(super) stream: Stream,
    /// The runtime was told that there is no room to write, to be woken by the next event (see
    /// [`End::watch`]); in truth there may be room.
    room_hidden: bool,
}

impl End {
    pub(super) fn new(mut stream: Stream) -> Self {
        // Where that fails, the stream is an error to read from, and the tunnel ends.
        let _ = stream.watch();
        Self { stream, room_hidden: false }
    }

    /// Whether it is a socket, and not something above one.
    pub(super) fn is_socket(&self) -> bool {
        self.stream.socket().is_some()
    }

    /// Reads into `into`; `Ok(0)` is an end of file. After a read that did not fill it, the next
    /// call waits for an event without a system call.
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut buf = ReadBuf::new(into);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buf))?;
        Poll::Ready(Ok(buf.filled().len()))
    }

    /// Writes some of `bytes`.
    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if let Some(written) = self.write_hidden(|fd| send(fd, bytes)) {
            return Poll::Ready(written);
        }
        match Pin::new(&mut self.stream).poll_write(cx, bytes) {
            Poll::Ready(Ok(0)) => Poll::Ready(Err(ErrorKind::WriteZero.into())),
            written => written,
        }
    }

    /// Sends what a transport holds back of the bytes that were written.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// Ends the sending direction.
    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    /// Runs a system call that reads from the descriptor until it does something else than block.
    pub(super) fn poll_read_call(
        &mut self,
        cx: &mut Context<'_>,
        mut call: impl FnMut(BorrowedFd<'_>) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.stream.poll_read_ready(cx))?;
            let Some(fd) = self.stream.plain_fd() else { return Poll::Ready(Err(no_descriptor())) };
            match self.stream.try_io(Interest::READABLE, || call(fd)) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
    }

    /// Runs a system call that writes to the descriptor until it does something else than block.
    pub(super) fn poll_write_call(
        &mut self,
        cx: &mut Context<'_>,
        mut call: impl FnMut(BorrowedFd<'_>) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        if let Some(written) = self.write_hidden(&mut call) {
            return Poll::Ready(written);
        }
        let Some(fd) = self.stream.plain_fd() else { return Poll::Ready(Err(no_descriptor())) };
        loop {
            ready!(self.stream.poll_write_ready(cx))?;
            match self.stream.try_io(Interest::WRITABLE, || call(fd)) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
    }

    /// Has the task woken by a reset of a TCP connection that nothing else waits for, and says if
    /// it happened already.
    ///
    /// The runtime registers a waker only for what is not ready. A socket that is not being written
    /// to nearly always has room, so the runtime is made to forget that; the next event of any
    /// kind, a reset among them, then wakes the task. No system call is made.
    ///
    /// # Errors
    /// The reset.
    pub(super) fn watch(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if !self.stream.is_tcp() {
            return Ok(()); // a unix socket cannot be reset, and no event tells of anything else
        }
        for _ in 0..2 {
            if self.stream.poll_write_ready(cx)?.is_pending() {
                return Ok(());
            }
            self.room_hidden = true;
            let forget = || Err::<(), _>(ErrorKind::WouldBlock.into());
            let _ = self.stream.try_io(Interest::WRITABLE, forget);
        }
        // What cannot be forgotten is a hang-up: a reset, or both directions were ended in peace
        // and there is nothing left to watch.
        self.stream.take_error()?.map_or(Ok(()), Err)
    }

    /// Writes while the runtime has forgotten that there is room. `None` = ask the runtime.
    fn write_hidden(
        &mut self,
        call: impl FnOnce(BorrowedFd<'_>) -> io::Result<usize>,
    ) -> Option<io::Result<usize>> {
        if !self.room_hidden {
            return None;
        }
        match call(self.stream.plain_fd()?) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.room_hidden = false;
                None
            }
            result => Some(result),
        }
    }
}

fn send(fd: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    Ok(rustix::net::send(fd, bytes, SendFlags::NOSIGNAL | SendFlags::DONTWAIT)?)
}

/// Not reached: only directions between two plain descriptors splice, only those are watched.
fn no_descriptor() -> io::Error {
    ErrorKind::Unsupported.into()
}
