//! What of a message was not yet written to a stream of HTTP/2.

use rosn_h1::{BodyError, Framing};

/// What of one message was not yet written: the counterpart of `MessageWriter`.
#[derive(Debug)]
pub(crate) struct Outgoing {
    /// As text of HTTP/1.1; empty once it was sent.
    pub(super) head: Vec<u8>,
    tail: Vec<u8>,
    /// Bytes of the body that were announced and not yet written.
    left: Option<u64>,
    /// The stream goes on as a tunnel behind the head.
    pub(super) stays_open: bool,
    /// The peer takes no more for now.
    pub(super) is_blocked: bool,
    pub(super) ended: bool,
    /// Bytes written in all, the head as text.
    pub(crate) written: u64,
    /// Bytes of the body that were written.
    pub(crate) payload: u64,
}

impl Outgoing {
    /// A message with this head, as text. `tail` is only kept for [`Outgoing::into_buffers`].
    pub(crate) fn new(head: Vec<u8>, tail: Vec<u8>, framing: Framing, stays_open: bool) -> Self {
        let left = match framing {
            Framing::None => Some(0),
            Framing::Length(length) => Some(length),
            Framing::Chunked | Framing::UntilClose => None,
        };
        Self {
            head,
            tail,
            left,
            stays_open,
            is_blocked: false,
            ended: false,
            written: 0,
            payload: 0,
        }
    }

    pub(crate) fn into_buffers(mut self) -> (Vec<u8>, Vec<u8>) {
        self.head.clear();
        (self.head, self.tail)
    }

    /// Whether the whole message was written.
    pub(crate) fn is_finished(&self) -> bool {
        self.ended
    }

    /// Whether something that is there waits for the peer.
    pub(crate) fn is_waiting(&self) -> bool {
        self.is_blocked
    }

    /// Takes note of `count` bytes of the body that are about to be written.
    pub(super) fn take(&mut self, count: usize) -> Result<(), BodyError> {
        if let Some(left) = &mut self.left {
            *left = left.checked_sub(count as u64).ok_or(BodyError::TooLong)?;
        }
        self.written += count as u64;
        self.payload += count as u64;
        Ok(())
    }

    /// Whether the body may end after `count` more bytes.
    pub(super) fn may_end(&self, count: usize) -> Result<(), BodyError> {
        if self.left.is_some_and(|left| left > count as u64) {
            return Err(BodyError::TooShort);
        }
        Ok(())
    }
}
