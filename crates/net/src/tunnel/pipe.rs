//! The pipe that splice(2) needs between two sockets.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};

/// What is asked for, in bytes, best first. Below that, copying costs less than splicing.
const SIZES: [usize; 2] = [1 << 20, 256 << 10];

/// A pipe and the bytes in it.
#[derive(Debug)]
pub(super) struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
    size: usize,
    held: usize,
}

impl Pipe {
    /// An empty pipe; `None` where the system is short of descriptors, or the user has as many pipe
    /// pages as it may (`fs.pipe-user-pages-soft`), so that a pipe would be too small to help.
    pub(super) fn new() -> Option<Self> {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).ok()?;
        let size = SIZES.iter().find_map(|size| fcntl_setpipe_size(&write, *size).ok())?;
        Some(Self { read, write, size, held: 0 })
    }

    /// How many bytes it holds.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// Moves bytes from a socket into the pipe; 0 is an end of file.
    ///
    /// Only while the pipe is empty: else `WouldBlock` could mean that the pipe is full.
    pub(super) fn fill(&mut self, from: BorrowedFd<'_>) -> io::Result<usize> {
        debug_assert_eq!(self.held, 0, "a pipe is emptied before it is filled");
        let count = splice(from, None, &self.write, None, self.size, flags())?;
        self.held = count;
        Ok(count)
    }

    /// Moves bytes from the pipe into a socket.
    pub(super) fn drain(&mut self, to: BorrowedFd<'_>) -> io::Result<usize> {
        let count = splice(&self.read, None, to, None, self.held, flags())?;
        if count == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.held = self.held.saturating_sub(count);
        Ok(count)
    }

    /// Takes the bytes out, to be copied.
    pub(super) fn into_bytes(self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; self.held];
        let mut filled = 0;
        while filled < bytes.len() {
            match rustix::io::read(&self.read, &mut bytes[filled..]) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => filled += count,
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(bytes)
    }
}

fn flags() -> SpliceFlags {
    SpliceFlags::MOVE | SpliceFlags::NONBLOCK
}
