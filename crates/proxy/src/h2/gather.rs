//! What many streams write in one turn leaves in one call.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use rosn_base::BufPool;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::data::{LONG, Lender};
use super::held::{Held, SLICES};

/// The bytes below a connection of HTTP/2, shared by the `h2` crate and the task that drives it.
///
/// `h2` writes as soon as it has one frame of DATA, so that each frame would cost a system call. Once
/// [`Gather::begin`] was called, what it writes is held here instead, up to some 64 KiB, until the task calls
/// [`Gather::release`], which it must do each time before it waits. Short parts are copied; long content is not, where
/// the connection's [`Lender`] has it. Nothing is held, and no buffer kept, in between.
pub(crate) struct Gather<S>(Rc<RefCell<Gathered<S>>>);

struct Gathered<S> {
    below: S,
    lender: Rc<Lender>,
    held: Held,
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
            lender: Rc::new(Lender::new(pool)),
            held: Held::default(),
            is_gathering: false,
            is_broken: false,
            failed: None,
        })))
    }

    /// Makes the content of the connection's frames.
    pub(crate) fn lender(&self) -> Rc<Lender> {
        Rc::clone(&self.0.borrow().lender)
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
        !self.0.borrow().held.is_empty()
    }
}

impl<S> Gathered<S> {
    fn give_up(&mut self) {
        self.held.clear(self.lender.pool());
    }
}

impl<S: AsyncWrite + Unpin> Gathered<S> {
    /// Writes until nothing is held.
    fn poll_empty(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { below, lender, held, .. } = self;
        while !held.is_empty() {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let below = Pin::new(&mut *below);
            let written = match held.slices(&mut slices) {
                1 => below.poll_write(cx, &slices[0]),
                count => below.poll_write_vectored(cx, &slices[..count]),
            };
            match ready!(written)? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => held.consume(count, lender.pool()),
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
        let long = match slices {
            [short @ .., long] if long.len() >= LONG => {
                self.lender.take(long).map(|long| (short, long))
            }
            _ => None,
        };
        if self.held.is_full(self.lender.pool()) {
            ready!(self.poll_empty(cx))?;
        }
        let pool = self.lender.pool();
        Poll::Ready(Ok(match long {
            Some((short, long)) => {
                let before = short.iter().map(|slice| slice.len()).sum();
                let copied = self.held.copy(short, pool);
                if copied < before {
                    return Poll::Ready(Ok(copied));
                }
                let count = copied + long.len();
                self.held.share(long);
                count
            }
            None => self.held.copy(slices, pool),
        }))
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

    use bytes::{Buf as _, Bytes};
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
        let lender = gather.lender();
        gather.begin();
        gather.write_all(b"short ").await.unwrap();
        let long = lender.data(Bytes::from(vec![b'l'; LONG]));
        let parts = [IoSlice::new(b"head "), IoSlice::new(long.chunk())];
        assert_eq!(gather.write_vectored(&parts).await.unwrap(), 5 + LONG);
        gather.write_all(b" end").await.unwrap();
        assert!(release(&gather) && !gather.is_holding());
        let expected = [b"short head ", long.chunk(), b" end"].concat();
        assert_eq!(received(&mut peer, expected.len()).await, expected);
    }

    #[tokio::test]
    async fn what_is_long_is_not_copied() {
        let (mut gather, _peer) = gather(2 * LONG);
        let lender = gather.lender();
        gather.begin();
        let storage = BufPool::new(LONG, 1);
        let mut buf = storage.take();
        let place = buf.room().as_ptr();
        buf.extend(&[b'l'; LONG]);
        let long = lender.data(Bytes::from_owner(storage.lend(buf)));
        let stranger = vec![b's'; LONG];
        // Something else than what was offered is copied, as far as there is room.
        assert_eq!(long.chunk().len(), LONG);
        assert_eq!(gather.write(&stranger).await.unwrap(), SIZE);
        assert_eq!(gather.write(long.chunk()).await.unwrap(), LONG);
        drop(long);
        let mut other = storage.take();
        assert_ne!(other.room().as_ptr(), place, "it is still lent");
        assert!(release(&gather) && !gather.is_holding());
        assert_eq!(storage.take().room().as_ptr(), place);
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
