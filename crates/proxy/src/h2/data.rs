//! Content on its way into frames, which tells whose it is.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Buf, Bytes};
use rosn_base::BufPool;

/// Content as long as this is not copied on its way to the socket.
pub(super) const LONG: usize = 8 * 1024;

/// What the `h2` crate gets as the content of DATA frames.
///
/// The crate writes slices, and what is below it could not keep them for later without a copy. So long content leaves
/// itself with the [`Lender`] of its connection each time before it is written.
#[derive(Debug)]
pub(crate) struct Data {
    bytes: Bytes,
    /// `None` where it is short.
    offered: Option<Arc<Mutex<Bytes>>>,
}

/// Makes the content of a connection's frames, and has what is about to be written.
#[derive(Debug)]
pub(crate) struct Lender {
    pool: BufPool,
    offered: Arc<Mutex<Bytes>>,
}

impl Lender {
    /// Its storage is of `pool`, and goes back there.
    pub(super) fn new(pool: BufPool) -> Self {
        Self { pool, offered: Arc::default() }
    }

    pub(super) fn pool(&self) -> &BufPool {
        &self.pool
    }

    /// Content of this connection.
    pub(super) fn data(&self, bytes: Bytes) -> Data {
        let is_long = bytes.len() >= LONG;
        Data { bytes, offered: is_long.then(|| Arc::clone(&self.offered)) }
    }

    /// `written` as shared bytes, where it is a part of what was offered last.
    pub(super) fn take(&self, written: &[u8]) -> Option<Bytes> {
        let offered =
            std::mem::take(&mut *self.offered.lock().unwrap_or_else(PoisonError::into_inner));
        let start = written.as_ptr().addr().checked_sub(offered.as_ptr().addr())?;
        let end = start.checked_add(written.len())?;
        (end <= offered.len()).then(|| offered.slice(start..end))
    }
}

impl From<Bytes> for Data {
    fn from(bytes: Bytes) -> Self {
        Self { bytes, offered: None }
    }
}

impl Buf for Data {
    fn remaining(&self) -> usize {
        self.bytes.len()
    }

    fn chunk(&self) -> &[u8] {
        if let Some(offered) = &self.offered {
            *offered.lock().unwrap_or_else(PoisonError::into_inner) = self.bytes.clone();
        }
        &self.bytes
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
    }
}
