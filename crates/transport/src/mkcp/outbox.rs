//! Datagrams on their way out: as many as the system takes in one call.

use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use rosn_net::{Batch, Datagrams};

use super::seal::Seal;
use super::session::Session;
use crate::packet_header::Header;

/// What a datagram of UDP can hold, and so a batch.
const BATCH_BYTES: usize = 65_000;

/// A batch of datagrams of one size (the last may be shorter) to one address.
#[derive(Debug)]
pub(super) struct Outbox {
    header: Header,
    batch_size: usize,
    bytes: Vec<u8>,
    /// The size of each.
    size: usize,
    /// A datagram that did not fit to the others: `bytes[next..]`.
    next: usize,
    to: SocketAddr,
    sealed: bool,
}

impl Outbox {
    pub(super) fn new(header: Header, socket: &dyn Datagrams, to: SocketAddr) -> Self {
        let batch_size = socket.max_batch().max(1);
        Self { header, batch_size, bytes: Vec::new(), size: 0, next: 0, to, sealed: false }
    }

    /// Bytes before what was received.
    pub(super) fn header_len(&self) -> usize {
        self.header.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Fills up the batch with what the session has to send. The outbox has to be empty or to hold what this session
    /// left there. Returns false where the session has nothing more.
    pub(super) fn fill(
        &mut self,
        session: &mut Session,
        to: SocketAddr,
        seal: &Seal,
        now: Instant,
    ) -> bool {
        self.address(to);
        self.push(seal, |out| session.transmit(now, out))
    }

    /// Whom the next datagrams are for.
    pub(super) fn address(&mut self, to: SocketAddr) {
        self.to = to;
    }

    /// Drops what was not sent.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        (self.next, self.size, self.sealed) = (0, 0, false);
    }

    /// Adds datagrams that consist of what `write` appends, as long as it does, and they fit together.
    pub(super) fn push(
        &mut self,
        seal: &Seal,
        mut write: impl FnMut(&mut Vec<u8>) -> bool,
    ) -> bool {
        self.next = self.bytes.len();
        self.size = self.bytes.len();
        loop {
            let count = self.bytes.len().checked_div(self.size).unwrap_or(0);
            if count >= self.batch_size || self.bytes.len() + self.size > BATCH_BYTES {
                self.next = self.bytes.len();
                return true;
            }
            let start = self.bytes.len();
            self.bytes.resize(start + self.header.len() + seal.before(), 0);
            if !write(&mut self.bytes) {
                self.bytes.truncate(start);
                self.next = start;
                return false;
            }
            self.bytes.resize(self.bytes.len() + seal.after(), 0);
            let length = self.bytes.len() - start;
            if self.size == 0 {
                self.size = length;
            } else if length != self.size {
                self.next = if length < self.size { self.bytes.len() } else { start };
                return true;
            }
        }
    }

    /// Sends the batch.
    ///
    /// # Errors
    /// Those of [`Datagrams::try_send`]. At `WouldBlock` the batch stays, otherwise it is gone.
    pub(super) fn send(&mut self, socket: &dyn Datagrams, seal: &Seal) -> io::Result<()> {
        if self.next == 0 {
            return Ok(());
        }
        let batch = &mut self.bytes[..self.next];
        if !self.sealed {
            seal.seal(batch, self.size, self.header.len());
            if self.header.len() > 0 {
                batch.chunks_mut(self.size).for_each(|datagram| self.header.put(datagram));
            }
            self.sealed = true;
        }
        let segment = (batch.len() > self.size).then_some(self.size);
        let sent = socket.try_send(&Batch { to: self.to, bytes: batch, segment });
        if sent.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) {
            return sent;
        }
        self.bytes.drain(..self.next);
        (self.next, self.size, self.sealed) = (0, 0, false);
        sent
    }

    /// Gives memory back, where nothing waits.
    pub(super) fn shrink(&mut self) {
        if self.bytes.is_empty() {
            self.bytes = Vec::new();
        }
    }
}
