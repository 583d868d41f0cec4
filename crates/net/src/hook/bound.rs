//! Sockets that are no connections: listeners, and UDP.

use std::fmt;
use std::io;
use std::ops::Deref;
use std::sync::Arc;

use super::Tracked;

/// A socket of this crate: hooks are told when it is closed.
///
/// `From` makes one of a socket that hooks do not know; [`Bound::adopt`] makes it known to them.
pub struct Bound<T> {
    /// `None` only while it is dropped or taken out.
    socket: Option<T>,
    /// Shared by clones: the last one tells of the end.
    tracked: Arc<Tracked>,
}

impl<T> Bound<T> {
    pub(crate) fn new(socket: T, tracked: Tracked) -> Self {
        Self { socket: Some(socket), tracked: Arc::new(tracked) }
    }

    /// Turns the socket into another type, such as tokio's: `bound.map(tokio::net::UdpSocket::from_std)`.
    ///
    /// # Errors
    /// That of `to`; the socket is then closed.
    pub fn map<U>(mut self, to: impl FnOnce(T) -> io::Result<U>) -> io::Result<Bound<U>> {
        let socket = self.socket.take().expect("it is there until it is dropped");
        let tracked = Arc::clone(&self.tracked);
        Ok(Bound { socket: Some(to(socket)?), tracked })
    }

    /// A second handle of the same socket, made by `clone`, such as `std::net::TcpListener::try_clone`.
    ///
    /// # Errors
    /// That of `clone`.
    pub fn try_clone_with(&self, clone: impl FnOnce(&T) -> io::Result<T>) -> io::Result<Self> {
        Ok(Self { socket: Some(clone(self)?), tracked: Arc::clone(&self.tracked) })
    }

    /// The socket, and what has to be dropped after it.
    pub(crate) fn into_parts(mut self) -> (T, Arc<Tracked>) {
        let socket = self.socket.take().expect("it is there until it is dropped");
        (socket, Arc::clone(&self.tracked))
    }

    /// What hooks know of it.
    pub(crate) fn tracked(&self) -> &Tracked {
        &self.tracked
    }
}

impl<T> Drop for Bound<T> {
    fn drop(&mut self) {
        if self.socket.is_none() {
            return;
        }
        // With other handles the socket stays open, and if they are dropped at the same time, the last one of all
        // tells of the end when it drops `tracked`.
        if let Some(tracked) = Arc::get_mut(&mut self.tracked) {
            tracked.closing();
        }
        self.socket = None;
    }
}

impl<T> From<T> for Bound<T> {
    fn from(socket: T) -> Self {
        Self::new(socket, Tracked::default())
    }
}

impl<T> Deref for Bound<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.socket.as_ref().expect("it is there until it is dropped")
    }
}

impl<T: fmt::Debug> fmt::Debug for Bound<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Bound").field(&self.socket).field(&self.tracked).finish()
    }
}
