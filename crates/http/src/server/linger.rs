//! The end of a connection whose client may still be sending.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use rosn_base::Buf;
use rosn_net::Stream;
use tokio::io::AsyncWrite as _;

use super::timer::{Timer, after};
use crate::wire::poll_read;

/// How long, and for how many bytes, a client is listened to that is to read our last words.
pub(super) const LINGER: Duration = Duration::from_secs(5);
const LINGER_BYTES: usize = 4 * 1024 * 1024;
/// Bytes that are read at a time.
const ROOM: usize = 8 * 1024;

/// Ends the connection so that the client can read what was sent although it is still sending: a close with unread
/// bytes would be a reset (RFC 9112 section 9.6, RFC 9113 section 5.4.1). What is in `buffer` is lost.
pub(super) async fn linger(stream: &mut Stream, timer: &mut Timer, buffer: &mut Buf) {
    timer.set(Some(after(LINGER)));
    let mut left = LINGER_BYTES;
    let mut ended = false;
    poll_fn(|cx| {
        if timer.poll(cx).is_ready() {
            return Poll::Ready(());
        }
        while left > 0 {
            if !ended {
                match Pin::new(&mut *stream).poll_shutdown(cx) {
                    Poll::Ready(Ok(())) => ended = true,
                    Poll::Ready(Err(_)) => return Poll::Ready(()),
                    Poll::Pending => return Poll::Pending,
                }
            }
            buffer.clear();
            if buffer.capacity() == 0 {
                buffer.grow(ROOM);
            }
            match poll_read(cx, stream, buffer) {
                Poll::Ready(Ok(count @ 1..)) => left = left.saturating_sub(count),
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(())
    })
    .await;
}
