//! Bodies made of what is not one.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::failed;
use crate::{BoxError, Error};

/// Bytes that are read at a time.
const PIECE: usize = 16 * 1024;

/// What a reader gives.
pub(super) struct Reader<R> {
    /// `None` after its end.
    reader: Option<Pin<Box<R>>>,
    room: BytesMut,
}

impl<R> Reader<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader: Some(Box::pin(reader)), room: BytesMut::new() }
    }
}

impl<R: AsyncRead + Send> HttpBody for Reader<R> {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        let Some(reader) = &mut this.reader else { return Poll::Ready(None) };
        this.room.reserve(PIECE);
        let read = {
            // A read keeps nothing between polls.
            let mut read = std::pin::pin!(reader.read_buf(&mut this.room));
            ready!(read.as_mut().poll(cx))
        };
        match read {
            Ok(0) => {
                this.reader = None;
                Poll::Ready(None)
            }
            Ok(_) => Poll::Ready(Some(Ok(Frame::data(this.room.split().freeze())))),
            Err(error) => {
                this.reader = None;
                Poll::Ready(Some(Err(failed(error.into()))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.reader.is_none()
    }
}

/// The pieces of a stream.
pub(super) struct Streamed<S>(pub(super) Pin<Box<S>>);

impl<S: Stream<Item = Result<Bytes, Error>>> HttpBody for Streamed<S> {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.0.as_mut().poll_next(cx).map(|next| next.map(|data| data.map(Frame::data)))
    }
}

/// Another body, whose errors become this crate's.
pub(super) struct Mapped<B>(pub(super) Pin<Box<B>>);

impl<B: HttpBody<Data = Bytes, Error: Into<BoxError>>> HttpBody for Mapped<B> {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let next = ready!(self.0.as_mut().poll_frame(cx));
        Poll::Ready(next.map(|frame| frame.map_err(|error| failed(error.into()))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}
