//! A connection between two runtimes.

use std::io;

use super::{Kind, Stream, gone};
use crate::hook::Tracked;

/// A connection that no runtime watches, on its way from one thread to another.
#[derive(Debug)]
pub struct Released {
    socket: Socket,
    tracked: Tracked,
}

#[derive(Debug)]
enum Socket {
    Tcp(std::net::TcpStream),
    #[cfg(unix)]
    Unix(std::os::unix::net::UnixStream),
}

impl Stream {
    /// Takes a socket out of this thread's runtime.
    ///
    /// # Errors
    /// It is no socket but something above one, which belongs to its runtime.
    pub fn release(mut self) -> io::Result<Released> {
        let tracked = std::mem::take(&mut self.tracked);
        let socket = match std::mem::replace(&mut self.kind, Kind::Gone) {
            Kind::Tcp(stream) => Socket::Tcp(stream.into_std()?),
            Kind::Unwatched(stream) => Socket::Tcp(stream),
            #[cfg(unix)]
            Kind::Unix(stream) => Socket::Unix(stream.into_std()?),
            Kind::Boxed(_) => return Err(io::ErrorKind::Unsupported.into()),
            Kind::Gone => return Err(gone()),
        };
        Ok(Released { socket, tracked })
    }
}

impl Stream {
    /// The TCP socket itself, watched by this thread's runtime. Hooks that know the connection are told that it is
    /// closed: what becomes of it from here on they cannot see.
    ///
    /// # Errors
    /// It is no TCP socket, or the system has no room for another descriptor to watch; the stream comes back.
    pub fn into_tcp(mut self) -> Result<tokio::net::TcpStream, Self> {
        if self.watch().is_err() {
            return Err(self);
        }
        match std::mem::replace(&mut self.kind, Kind::Gone) {
            Kind::Tcp(stream) => Ok(stream),
            other => {
                self.kind = other;
                Err(self)
            }
        }
    }
}

impl Released {
    /// Puts it into this thread's runtime.
    ///
    /// # Errors
    /// The system has no room for another descriptor to watch.
    pub fn adopt(self) -> io::Result<Stream> {
        let stream = match self.socket {
            Socket::Tcp(stream) => Stream::from(stream),
            #[cfg(unix)]
            Socket::Unix(stream) => Stream::from(tokio::net::UnixStream::from_std(stream)?),
        };
        Ok(stream.track(self.tracked))
    }
}
