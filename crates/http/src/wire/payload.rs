//! What a message's body is written from.

use bytes::{Buf as _, Bytes};

use super::BodyBuffer;

/// Payload that waits to be written.
pub trait Payload {
    /// All of it that is there now.
    fn pending(&self) -> &[u8];

    /// Says that so many bytes of [`Payload::pending`] were written.
    fn wrote(&mut self, count: usize);
}

impl Payload for BodyBuffer {
    fn pending(&self) -> &[u8] {
        self.pending()
    }

    fn wrote(&mut self, count: usize) {
        self.wrote(count);
    }
}

impl Payload for Bytes {
    fn pending(&self) -> &[u8] {
        self
    }

    fn wrote(&mut self, count: usize) {
        self.advance(count);
    }
}
