//! The buffer through which one body flows: raw bytes in at the end, payload out at the front.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf as _, Bytes};
use rosn_base::Buf;
use rosn_h1::{BodyDecoder, BodyError};
use rosn_net::Stream;
use tokio::io::{AsyncRead, ReadBuf};

/// Payload that was decoded and not yet written, followed by raw bytes that were not yet decoded.
///
/// While it retains (see [`BodyBuffer::new`]), payload that was written stays at the front, so that it can
/// be sent again; it is given up when the room is needed.
#[derive(Debug)]
pub struct BodyBuffer {
    bytes: Buf,
    /// Payload in shared bytes, which is given away in parts: what `bytes` held, or what [`BodyBuffer::share`] was given.
    /// While there is some, it is all there is.
    lent: Bytes,
    /// Payload from the front of `bytes` to here was written already.
    sent: usize,
    /// Payload ends here; raw bytes begin at `raw`.
    payload: usize,
    raw: usize,
    retain: bool,
    /// Whether everything that was ever sent is still there.
    whole: bool,
}

impl BodyBuffer {
    /// A buffer whose content is raw bytes of the body so far.
    pub fn new(bytes: Buf, retain: bool) -> Self {
        Self { bytes, lent: Bytes::new(), sent: 0, payload: 0, raw: 0, retain, whole: true }
    }

    /// Payload that waits to be written.
    pub fn pending(&self) -> &[u8] {
        if !self.lent.is_empty() {
            return &self.lent;
        }
        &self.bytes.unread()[self.sent..self.payload]
    }

    /// Raw bytes that wait to be decoded.
    pub fn raw(&self) -> &[u8] {
        &self.bytes.unread()[self.raw..]
    }

    /// Says that `count` bytes of [`BodyBuffer::pending`] were written.
    pub fn wrote(&mut self, count: usize) {
        if !self.lent.is_empty() {
            self.lent.advance(count);
            return;
        }
        self.sent += count;
        debug_assert!(self.sent <= self.payload);
        if !self.retain {
            self.discard();
        }
    }

    /// Gives `count` bytes of [`BodyBuffer::pending`] away, which count as written. Where they are much of the storage
    /// and nothing else is in it, they are not copied: the storage itself is made shared bytes by `lend`, and the next bytes
    /// go into another (see [`BodyBuffer::restore`]).
    pub fn take(&mut self, count: usize, lend: impl FnOnce(Buf) -> Bytes) -> Bytes {
        let len = self.payload - self.sent;
        let is_alone = self.raw == self.bytes.len() && !self.retain;
        if self.lent.is_empty() && is_alone && len >= self.bytes.capacity() / 2 && len > 0 {
            let mut storage = std::mem::take(&mut self.bytes);
            storage.truncate(self.payload);
            storage.consume(self.sent);
            self.lent = lend(storage);
            (self.sent, self.payload, self.raw, self.whole) = (0, 0, 0, false);
        }
        if !self.lent.is_empty() {
            return self.lent.split_to(count);
        }
        let part = Bytes::copy_from_slice(&self.pending()[..count]);
        self.wrote(count);
        part
    }

    /// Whether the body could be sent from its start once more.
    pub fn can_replay(&self) -> bool {
        self.whole
    }

    /// Starts over with the first byte; only where [`BodyBuffer::can_replay`].
    pub fn replay(&mut self) {
        debug_assert!(self.whole);
        self.sent = 0;
    }

    /// Gives up what was written already: it will not be sent again.
    pub fn stop_retaining(&mut self) {
        self.retain = false;
        self.discard();
    }

    /// Decodes what is raw. True at the end of the body.
    ///
    /// # Errors
    /// The peer broke the framing of the body.
    pub fn decode(&mut self, decoder: &mut BodyDecoder) -> Result<bool, BodyError> {
        if decoder.is_end() {
            return Ok(true);
        }
        let raw = &mut self.bytes.unread_mut()[self.raw..];
        if raw.is_empty() {
            return Ok(false);
        }
        let decoded = decoder.decode(raw)?;
        let (start, len) = (self.raw + decoded.data.start, decoded.data.len());
        if start != self.payload {
            self.bytes.unread_mut().copy_within(start..start + len, self.payload);
        }
        self.payload += len;
        self.raw += decoded.consumed;
        self.close_gap();
        Ok(decoded.end)
    }

    /// Reads more raw bytes, as many as there is room for; `Ok(0)` is the end of the stream.
    ///
    /// The caller makes sure that [`BodyBuffer::has_room`], and that there is storage.
    pub fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut Stream,
    ) -> Poll<io::Result<usize>> {
        poll_read(cx, stream, &mut self.bytes)
    }

    /// Adds payload that came without HTTP/1.1's framing, as much as there is room for; how much that was.
    ///
    /// The caller makes sure that [`BodyBuffer::has_room`] and that there is storage. There are no raw bytes in such a
    /// body.
    pub fn push(&mut self, payload: &[u8]) -> usize {
        debug_assert_eq!(self.raw, self.bytes.len());
        let room = self.bytes.room();
        let count = room.len().min(payload.len());
        room[..count].copy_from_slice(&payload[..count]);
        self.bytes.filled(count);
        self.payload = self.bytes.len();
        self.raw = self.payload;
        count
    }

    /// Takes all of this payload, which came without HTTP/1.1's framing, as it is. False where something else is there or
    /// what was written has to be kept: then it is to be pushed.
    pub fn share(&mut self, payload: &mut Bytes) -> bool {
        let may = self.lent.is_empty() && self.bytes.is_empty() && !self.retain;
        if may {
            (self.lent, self.whole) = (std::mem::take(payload), false);
        }
        may
    }

    /// The storage, where nothing is in it: a body that pauses needs none until [`BodyBuffer::restore`].
    pub fn release(&mut self) -> Option<Buf> {
        let is_idle = self.bytes.is_empty() && !self.is_released();
        is_idle.then(|| std::mem::take(&mut self.bytes))
    }

    /// Whether there is no storage: nothing can be read into it.
    pub fn is_released(&self) -> bool {
        self.bytes.capacity() == 0
    }

    /// Goes on with this storage, which is empty; only where [`BodyBuffer::is_released`].
    pub fn restore(&mut self, storage: Buf) {
        debug_assert!(self.is_released() && storage.is_empty());
        self.bytes = storage;
    }

    /// Whether more can be read, after giving up what was kept for a replay where that helps. Also where the storage
    /// was released.
    pub fn has_room(&mut self) -> bool {
        if self.is_released() {
            return true;
        }
        if self.bytes.room().is_empty() {
            self.bytes.compact();
        }
        if self.bytes.room().is_empty() && self.sent > 0 {
            self.stop_retaining();
            self.bytes.compact();
        }
        !self.bytes.room().is_empty()
    }

    /// Whether nothing more can be read without giving something up.
    pub fn is_full(&mut self) -> bool {
        !self.is_released() && self.bytes.room().is_empty()
    }

    /// The storage, with the raw bytes that belong to what follows the body.
    pub fn into_rest(mut self) -> Buf {
        self.bytes.consume(self.raw);
        self.bytes
    }

    fn discard(&mut self) {
        if self.sent > 0 {
            self.whole = false;
            self.bytes.consume(self.sent);
            self.payload -= self.sent;
            self.raw -= self.sent;
            self.sent = 0;
        }
        self.close_gap();
    }

    /// Where no payload is left, the gap of framing bytes before the raw bytes is dropped.
    fn close_gap(&mut self) {
        if self.payload == 0 && self.raw > 0 {
            self.bytes.consume(self.raw);
            self.raw = 0;
        } else if self.raw == self.bytes.len() && self.payload < self.raw {
            // Nothing raw follows: what comes next may be placed right behind the payload.
            self.bytes.truncate(self.payload);
            self.raw = self.payload;
        }
    }
}

/// Reads into the room of `buf`. `Ok(0)` is the end of the stream.
///
/// This goes through `poll_read` and not `try_read`, because a read that does not fill the room tells
/// tokio that there is no more, which saves the next, failing system call.
pub fn poll_read(
    cx: &mut Context<'_>,
    stream: &mut Stream,
    buf: &mut Buf,
) -> Poll<io::Result<usize>> {
    let mut room = ReadBuf::new(buf.room());
    match Pin::new(stream).poll_read(cx, &mut room) {
        Poll::Ready(Ok(())) => {
            let count = room.filled().len();
            buf.filled(count);
            Poll::Ready(Ok(count))
        }
        Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
        Poll::Pending => Poll::Pending,
    }
}

#[cfg(test)]
mod tests {
    use rosn_h1::{Framing, Limits};

    use super::*;

    const SIZE: usize = 16;

    fn body(bytes: &[u8], retain: bool) -> BodyBuffer {
        let mut storage = Buf::with_capacity(SIZE);
        storage.extend(bytes);
        let mut body = BodyBuffer::new(storage, retain);
        let mut decoder = BodyDecoder::new(Framing::Length(100), &Limits::default());
        body.decode(&mut decoder).unwrap();
        body
    }

    fn lend(storage: Buf) -> Bytes {
        Bytes::copy_from_slice(storage.unread())
    }

    #[test]
    fn what_fills_much_of_the_storage_is_given_away_with_it() {
        let mut body = body(b"0123456789", false);
        body.wrote(1);
        assert_eq!(body.take(2, lend), b"12"[..]);
        assert!(body.is_released() && !body.can_replay());
        assert_eq!(body.pending(), b"3456789");
        assert_eq!(body.take(3, |_| unreachable!()), b"345"[..]);
        body.wrote(1);
        assert_eq!(body.take(3, |_| unreachable!()), b"789"[..]);
        assert!(body.pending().is_empty() && body.has_room());
        body.restore(Buf::with_capacity(SIZE));
        assert_eq!(body.push(b"more"), 4);
        assert_eq!(body.pending(), b"more");
    }

    #[test]
    fn what_is_short_or_may_be_sent_again_is_copied() {
        let mut short = body(b"0123456", false);
        assert_eq!(short.take(7, |_| unreachable!()), b"0123456"[..]);
        assert!(short.pending().is_empty() && !short.is_released());
        let mut kept = body(b"0123456789", true);
        assert_eq!(kept.take(10, |_| unreachable!()), b"0123456789"[..]);
        kept.replay();
        assert_eq!(kept.pending(), b"0123456789");
    }

    #[test]
    fn shared_bytes_are_taken_where_there_is_nothing_else() {
        let (mut body, mut kept) = (body(b"", false), body(b"", true));
        let mut payload = Bytes::from_static(b"0123456789");
        assert!(body.share(&mut payload) && payload.is_empty() && !body.can_replay());
        let mut more = Bytes::from_static(b"more");
        assert!(!body.share(&mut more) && more == b"more"[..]);
        assert_eq!(body.pending(), b"0123456789");
        body.wrote(4);
        assert_eq!(body.take(6, |_| unreachable!()), b"456789"[..]);
        assert!(body.pending().is_empty() && body.raw().is_empty());
        assert_eq!(body.push(&more), 4);
        assert_eq!(body.pending(), b"more");
        assert!(!body.share(&mut more));
        assert!(!kept.share(&mut more) && more == b"more"[..]);
    }

    #[test]
    fn what_follows_the_body_stays() {
        let mut storage = Buf::with_capacity(SIZE);
        storage.extend(b"0123456789next");
        let mut body = BodyBuffer::new(storage, false);
        let mut decoder = BodyDecoder::new(Framing::Length(10), &Limits::default());
        assert!(body.decode(&mut decoder).unwrap());
        assert_eq!(body.take(10, |_| unreachable!()), b"0123456789"[..]);
        assert_eq!(body.into_rest().unread(), b"next");
    }
}
