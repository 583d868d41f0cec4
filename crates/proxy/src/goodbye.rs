//! How a connection ends: what was said is to arrive.

use std::future::poll_fn;
use std::task::Poll;

use rosn_base::Timer;
use rosn_http::wire::poll_read;
use rosn_net::Stream;
use tokio::io::AsyncWriteExt as _;

use crate::context::Worker;

/// How long a transport may take to say goodbye, in nanoseconds.
pub(crate) const GOODBYE: u64 = 1_000_000_000;

/// How long a client may say nothing that is to take the end of its connection, in nanoseconds.
pub(crate) const SILENCE: u64 = 5_000_000_000;
/// How long it may take for that in all.
pub(crate) const TIME: u64 = 15_000_000_000;

/// Ends the sending direction before the timer expires; says whether that was done.
pub(crate) async fn end(stream: &mut Stream, timer: &Timer) -> bool {
    let mut shutdown = std::pin::pin!(stream.shutdown());
    let ended = poll_fn(|cx| {
        if timer.poll_expired(cx.waker()) {
            return Poll::Ready(false);
        }
        shutdown.as_mut().poll(cx).map(|ended| ended.is_ok())
    });
    ended.await
}

/// Ends the connection so that the client can read what was sent although it is still sending: a close with unread
/// bytes would be a reset (RFC 9112 section 9.6).
pub(crate) async fn linger(stream: &mut Stream, timer: &Timer, worker: &Worker) {
    let now = worker.clock.refresh();
    let until = now + TIME;
    timer.set(now + SILENCE);
    if !end(stream, timer).await {
        return;
    }
    let mut buffer = worker.upstream_buffers.take();
    loop {
        buffer.clear();
        let read = poll_fn(|cx| {
            if timer.poll_expired(cx.waker()) {
                return Poll::Ready(Ok(0));
            }
            poll_read(cx, stream, &mut buffer)
        });
        if !matches!(read.await, Ok(1..)) {
            break;
        }
        timer.set(until.min(worker.clock.refresh() + SILENCE));
    }
    worker.upstream_buffers.give(buffer);
}
