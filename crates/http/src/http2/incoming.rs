//! What comes on a stream.

use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::RecvStream;
use http::HeaderMap;
use http_body::Frame;

/// The body of a message, as it comes. The peer may send as much again as is taken from here: so no more of it waits in
/// memory than the window of the stream allows. Dropping it tells the peer that the rest is not wanted, unless the
/// other direction is still open.
#[derive(Debug)]
pub(crate) struct Incoming {
    stream: RecvStream,
    ended: bool,
    /// Bytes that were handed out.
    pub(crate) received: u64,
}

impl Incoming {
    pub(crate) fn new(stream: RecvStream) -> Self {
        Self { ended: stream.is_end_stream(), stream, received: 0 }
    }

    /// Whether nothing more comes, not even trailers.
    pub(crate) fn is_ended(&self) -> bool {
        self.ended
    }

    /// The next piece, data or trailers; `None` at the end. An error is the last.
    pub(crate) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        loop {
            match ready!(self.stream.poll_data(cx)) {
                Some(Ok(data)) => {
                    // It fails only for more than was received.
                    let _ = self.stream.flow_control().release_capacity(data.len());
                    self.received += data.len() as u64;
                    self.ended = self.stream.is_end_stream();
                    if !data.is_empty() {
                        return Poll::Ready(Some(Ok(Frame::data(data))));
                    }
                    if self.ended {
                        return Poll::Ready(None);
                    }
                }
                Some(Err(error)) => {
                    self.ended = true;
                    return Poll::Ready(Some(Err(error)));
                }
                None => break,
            }
        }
        let trailers = ready!(self.stream.poll_trailers(cx));
        self.ended = true;
        let some = |trailers: &HeaderMap| !trailers.is_empty();
        Poll::Ready(
            trailers
                .map(|trailers| trailers.filter(some))
                .transpose()
                .map(|trailers| trailers.map(Frame::trailers)),
        )
    }
}
