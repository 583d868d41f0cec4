//! What many streams write in one turn leaves in one call.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use rosn_base::{Buf, BufPool};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What is as long as this is not copied, but leaves at once together with what is held.
const LONG: usize = 8 * 1024;

/// The bytes below a connection of HTTP/2, shared by the `h2` crate and the task that drives it.
///
/// `h2` writes as soon as it has one frame of DATA, so that each response would cost a system call. Once
/// [`Gather::begin`] was called, what it writes is held here instead, up to the size of one buffer, until the task calls
/// [`Gather::release`], which it must do each time before it waits. Nothing is held, and no buffer kept, in between.
pub(crate) struct Gather<S>(Rc<RefCell<Gathered<S>>>);

struct Gathered<S> {
    below: S,
    pool: BufPool,
    /// `None` while nothing is held.
    held: Option<Buf>,
    is_gathering: bool,
    /// A release failed.
    is_broken: bool,
    /// Why; the next read says it.
    failed: Option<io::Error>,
}

impl<S> Clone for Gather<S> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<S: AsyncWrite + Unpin> Gather<S> {
    /// Passes everything on until [`Gather::begin`]. The buffers are of `pool`.
    pub(crate) fn new(below: S, pool: BufPool) -> Self {
        Self(Rc::new(RefCell::new(Gathered {
            below,
            pool,
            held: None,
            is_gathering: false,
            is_broken: false,
            failed: None,
        })))
    }

    /// From now on, what is written is held until it is released.
    pub(crate) fn begin(&self) {
        self.0.borrow_mut().is_gathering = true;
    }

    /// Writes what is held, as far as that goes without waiting; the task is woken when there is room for the rest. False
    /// where it failed, once: then the `h2` crate has to be polled again, which reads why.
    #[must_use]
    pub(crate) fn release(&self, cx: &mut Context<'_>) -> bool {
        let gathered = &mut *self.0.borrow_mut();
        if gathered.is_broken {
            return true;
        }
        let released = match gathered.poll_empty(cx) {
            Poll::Ready(Ok(())) => Pin::new(&mut gathered.below).poll_flush(cx),
            other => other,
        };
        match released {
            Poll::Ready(Err(error)) => {
                gathered.give_up();
                gathered.is_broken = true;
                gathered.failed = Some(error);
                false
            }
            Poll::Ready(Ok(())) | Poll::Pending => true,
        }
    }

    /// Whether the peer has not yet taken all that was written.
    pub(crate) fn is_holding(&self) -> bool {
        self.0.borrow().held.is_some()
    }
}

impl<S> Gathered<S> {
    fn give_up(&mut self) {
        if let Some(held) = self.held.take() {
            self.pool.give(held);
        }
    }
}

impl<S: AsyncWrite + Unpin> Gathered<S> {
    /// Writes until nothing is held.
    fn poll_empty(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(held) = &mut self.held {
            let count = ready!(Pin::new(&mut self.below).poll_write(cx, held.unread()))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            held.consume(count);
            if held.is_empty() {
                self.give_up();
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Holds as much as there is room for; when there is none, that has to be made.
    fn poll_hold(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let size = self.pool.size();
        if self.held.as_ref().is_some_and(|held| held.len() == size) {
            ready!(self.poll_empty(cx))?;
        }
        let held = self.held.get_or_insert_with(|| self.pool.take());
        let mut count = 0;
        for slice in slices {
            let part = &slice[..slice.len().min(size - held.len())];
            held.extend(part);
            count += part.len();
        }
        Poll::Ready(Ok(count))
    }

    /// Writes what is held and, behind it, as much of this as the peer takes.
    fn poll_pass(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        while let Some(held) = &mut self.held {
            let empty = IoSlice::new(&[]);
            let mut all = [IoSlice::new(held.unread()), empty, empty, empty];
            all[1..].iter_mut().zip(slices).for_each(|(place, slice)| *place = *slice);
            let count = ready!(Pin::new(&mut self.below).poll_write_vectored(cx, &all))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            let own = count.min(held.len());
            held.consume(own);
            if held.is_empty() {
                self.give_up();
            }
            if count > own {
                return Poll::Ready(Ok(count - own));
            }
        }
        Pin::new(&mut self.below).poll_write_vectored(cx, slices)
    }
}

impl<S> Drop for Gathered<S> {
    fn drop(&mut self) {
        self.give_up();
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gather<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let gathered = &mut *self.0.borrow_mut();
        if let Some(error) = gathered.failed.take() {
            return Poll::Ready(Err(error));
        }
        Pin::new(&mut gathered.below).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Gather<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let gathered = &mut *self.0.borrow_mut();
        match gathered.is_gathering {
            true if slices.iter().map(|slice| slice.len()).sum::<usize>() >= LONG => {
                gathered.poll_pass(cx, slices)
            }
            true => gathered.poll_hold(cx, slices),
            false => Pin::new(&mut gathered.below).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let gathered = &mut *self.0.borrow_mut();
        match gathered.is_gathering {
            true => Poll::Ready(Ok(())),
            false => Pin::new(&mut gathered.below).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let gathered = &mut *self.0.borrow_mut();
        ready!(gathered.poll_empty(cx))?;
        Pin::new(&mut gathered.below).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

    use super::*;

    const SIZE: usize = 16;

    fn gather(room: usize) -> (Gather<DuplexStream>, DuplexStream) {
        let (below, peer) = duplex(room);
        (Gather::new(below, BufPool::new(SIZE, 1)), peer)
    }

    fn release(gather: &Gather<DuplexStream>) -> bool {
        gather.release(&mut Context::from_waker(Waker::noop()))
    }

    async fn received(peer: &mut DuplexStream, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        peer.read_exact(&mut bytes).await.unwrap();
        bytes
    }

    #[tokio::test]
    async fn what_is_held_leaves_when_it_is_released() {
        let (mut gather, mut peer) = gather(64);
        gather.write_all(b"at once ").await.unwrap();
        assert_eq!(received(&mut peer, 8).await, b"at once ");
        gather.begin();
        gather.write_all(b"a").await.unwrap();
        let parts = [IoSlice::new(b"bc"), IoSlice::new(b"de")];
        assert_eq!(gather.write_vectored(&parts).await.unwrap(), 4);
        gather.flush().await.unwrap();
        assert!(gather.is_holding());
        let mut none = [0; 1];
        let mut none = ReadBuf::new(&mut none);
        let mut cx = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut peer).poll_read(&mut cx, &mut none).is_pending());
        assert!(release(&gather) && !gather.is_holding());
        assert_eq!(received(&mut peer, 5).await, b"abcde");
    }

    #[tokio::test]
    async fn more_than_a_buffer_is_not_held() {
        let (mut gather, mut peer) = gather(SIZE);
        gather.begin();
        let bytes: Vec<u8> = (0..100).collect();
        let mut cx = Context::from_waker(Waker::noop());
        let mut written = 0;
        // One buffer is in the pipe, one is held.
        while let Poll::Ready(count) = Pin::new(&mut gather).poll_write(&mut cx, &bytes[written..])
        {
            written += count.unwrap();
        }
        assert_eq!(written, 2 * SIZE);
        assert!(release(&gather) && gather.is_holding());
        assert_eq!(received(&mut peer, SIZE).await, bytes[..SIZE]);
        gather.shutdown().await.unwrap();
        let mut rest = Vec::new();
        peer.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, bytes[SIZE..2 * SIZE]);
    }

    #[tokio::test]
    async fn what_is_long_follows_what_is_held() {
        let (mut gather, mut peer) = gather(2 * LONG);
        gather.begin();
        gather.write_all(b"short ").await.unwrap();
        let long = vec![b'l'; LONG];
        gather.write_all(&long).await.unwrap();
        assert!(!gather.is_holding());
        assert_eq!(received(&mut peer, 6 + LONG).await, [b"short ", &long[..]].concat());
    }

    #[tokio::test]
    async fn a_failure_is_read() {
        let (mut gather, peer) = gather(SIZE);
        gather.begin();
        drop(peer);
        gather.write_all(b"lost").await.unwrap();
        assert!(!release(&gather) && !gather.is_holding());
        let error = gather.read(&mut [0]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}
