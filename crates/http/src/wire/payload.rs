//! What a message's body is written from.

use bytes::{Buf as _, Bytes};
use rosn_base::Buf;

use super::BodyBuffer;

/// Payload that waits to be written.
pub trait Payload {
    /// All of it that is there now.
    fn pending(&self) -> &[u8];

    /// Says that so many bytes of [`Payload::pending`] were written.
    fn wrote(&mut self, count: usize);

    /// Gives so many bytes of [`Payload::pending`] away, which count as written. `lend` makes shared bytes of a buffer.
    fn take(&mut self, count: usize, lend: impl FnOnce(Buf) -> Bytes) -> Bytes;
}

impl Payload for BodyBuffer {
    fn pending(&self) -> &[u8] {
        self.pending()
    }

    fn wrote(&mut self, count: usize) {
        self.wrote(count);
    }

    fn take(&mut self, count: usize, lend: impl FnOnce(Buf) -> Bytes) -> Bytes {
        self.take(count, lend)
    }
}

impl Payload for Bytes {
    fn pending(&self) -> &[u8] {
        self
    }

    fn wrote(&mut self, count: usize) {
        self.advance(count);
    }

    fn take(&mut self, count: usize, _lend: impl FnOnce(Buf) -> Self) -> Self {
        self.split_to(count)
    }
}
