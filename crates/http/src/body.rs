//! The body of a request or a response.

mod reader;

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, TryStreamExt};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::io::AsyncRead;

use crate::error::Kind as ErrorKind;
use crate::transport::{Incoming, Switched};
use crate::{BoxError, Error, Phase};
use reader::{Mapped, Reader, Streamed};

/// The body of a request or a response: bytes that are there, or that come piece by piece, and trailers.
///
/// It is a [`http_body::Body`], so what the `http-body-util` crate offers works with it.
///
/// ```
/// use rosn_http::Body;
///
/// # async fn read(response: http::Response<Body>) -> Result<(), rosn_http::Error> {
/// let mut body = response.into_body();
/// while let Some(frame) = body.next().await {
///     if let Some(data) = frame?.data_ref() {
///         println!("{} bytes", data.len());
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Default)]
pub struct Body {
    kind: Kind,
}

#[derive(Default)]
enum Kind {
    #[default]
    Empty,
    Whole(Bytes),
    /// Made anew for each attempt.
    Made {
        current: Boxed,
        make: Make,
    },
    Boxed(Boxed),
    /// Of a response, read from its connection.
    Received(Received),
}

/// What a response has behind its head.
#[derive(Debug)]
pub(crate) enum Received {
    Body(Box<Incoming>),
    /// A connection that is no longer HTTP.
    Switched(Box<Switched>),
}

type Boxed = Pin<Box<dyn HttpBody<Data = Bytes, Error = Error> + Send>>;
type Make = Arc<dyn Fn() -> Body + Send + Sync>;

impl Body {
    /// No bytes, and no framing of a body where a request need not have one.
    pub const fn empty() -> Self {
        Self { kind: Kind::Empty }
    }

    /// What another body type gives. An error of it fails the request or the response.
    pub fn new<B>(body: B) -> Self
    where
        B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        Self::boxed(Box::pin(Mapped(Box::pin(body))))
    }

    /// What a reader gives until its end. Its length is not known, so it is sent in chunks.
    pub fn from_reader(reader: impl AsyncRead + Send + 'static) -> Self {
        Self::boxed(Box::pin(Reader::new(reader)))
    }

    /// The pieces of a stream until its end. Its length is not known, so it is sent in chunks, each piece as one.
    pub fn from_stream<S, E>(stream: S) -> Self
    where
        S: Stream<Item = Result<Bytes, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        let stream = stream.map_err(|error| failed(error.into()));
        Self::boxed(Box::pin(Streamed(Box::pin(stream))))
    }

    /// A body that can be sent again, as one whose bytes are there can: each attempt sends what `make` makes for it.
    /// Go's `Request.GetBody`.
    pub fn replayable(make: impl Fn() -> Self + Send + Sync + 'static) -> Self {
        let current = Box::pin(make());
        Self { kind: Kind::Made { current, make: Arc::new(make) } }
    }

    pub(crate) fn boxed(body: Boxed) -> Self {
        Self { kind: Kind::Boxed(body) }
    }

    /// The same body once more from its start, where that can be had: its bytes are all there, or it is
    /// [`Body::replayable`].
    ///
    /// A body of bytes gives what is left of it; so clone before reading.
    pub fn try_clone(&self) -> Option<Self> {
        match &self.kind {
            Kind::Empty => Some(Self::empty()),
            Kind::Whole(bytes) => Some(Self::from(bytes.clone())),
            Kind::Made { make, .. } => {
                let current = Box::pin(make());
                Some(Self { kind: Kind::Made { current, make: Arc::clone(make) } })
            }
            Kind::Boxed(_) | Kind::Received(_) => None,
        }
    }

    /// Whether [`Body::try_clone`] gives one.
    pub(crate) fn can_clone(&self) -> bool {
        !matches!(self.kind, Kind::Boxed(_) | Kind::Received(_))
    }

    pub(crate) fn received(received: Received) -> Self {
        Self { kind: Kind::Received(received) }
    }

    pub(crate) fn into_received(self) -> Option<Received> {
        match self.kind {
            Kind::Received(received) => Some(received),
            _ => None,
        }
    }

    /// The next piece: data or trailers. `None` is the end.
    ///
    /// Cancel safety: nothing is lost.
    ///
    /// # Errors
    /// The body failed; there is nothing after that.
    pub async fn next(&mut self) -> Option<Result<Frame<Bytes>, Error>> {
        poll_fn(|cx| Pin::new(&mut *self).poll_frame(cx)).await
    }

    /// All of its data, without the trailers.
    ///
    /// Cancel safety: what was read is lost.
    ///
    /// # Errors
    /// The body failed, or it has more than `limit` bytes.
    pub async fn bytes(mut self, limit: usize) -> Result<Bytes, Error> {
        if self.size_hint().lower() > limit as u64 {
            return Err(too_large(limit));
        }
        let mut first = Bytes::new();
        let mut all = BytesMut::new();
        while let Some(frame) = self.next().await {
            let Ok(data) = frame?.into_data() else { continue };
            if first.len() + all.len() + data.len() > limit {
                return Err(too_large(limit));
            }
            if first.is_empty() && all.is_empty() {
                // Mostly there is one piece: it need not be copied.
                first = data;
                continue;
            }
            all.extend_from_slice(&std::mem::take(&mut first));
            all.extend_from_slice(&data);
        }
        Ok(if all.is_empty() { first } else { all.freeze() })
    }
}

fn too_large(limit: usize) -> Error {
    Error::of(Phase::Body, ErrorKind::TooLarge).what(format!("more than {limit} bytes"))
}

/// The error of a body that is not this crate's.
fn failed(source: BoxError) -> Error {
    match source.downcast::<Error>() {
        Ok(error) => *error,
        Err(source) => Error::new(Phase::Body, source),
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match &mut self.kind {
            Kind::Empty => Poll::Ready(None),
            Kind::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                self.kind = Kind::Empty;
                Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
            }
            Kind::Made { current, .. } | Kind::Boxed(current) => current.as_mut().poll_frame(cx),
            Kind::Received(received) => match received {
                Received::Body(body) => Pin::new(&mut **body).poll_frame(cx),
                Received::Switched(_) => Poll::Ready(None),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Empty => true,
            Kind::Whole(bytes) => bytes.is_empty(),
            Kind::Made { current, .. } | Kind::Boxed(current) => current.is_end_stream(),
            Kind::Received(received) => match received {
                Received::Body(body) => body.is_end_stream(),
                Received::Switched(_) => true,
            },
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Empty => SizeHint::with_exact(0),
            Kind::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Made { current, .. } | Kind::Boxed(current) => current.size_hint(),
            Kind::Received(received) => match received {
                Received::Body(body) => body.size_hint(),
                Received::Switched(_) => SizeHint::with_exact(0),
            },
        }
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        let kind = if bytes.is_empty() { Kind::Empty } else { Kind::Whole(bytes) };
        Self { kind }
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Bytes::from_static(text.as_bytes()).into()
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Bytes::from(text).into()
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl fmt::Debug for Body {
    /// Says what it is, and nothing of its content.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Empty => f.write_str("Body(empty)"),
            Kind::Whole(bytes) => write!(f, "Body({} bytes)", bytes.len()),
            Kind::Made { .. } => f.write_str("Body(replayable)"),
            Kind::Boxed(_) | Kind::Received(_) => f.write_str("Body(streamed)"),
        }
    }
}

#[cfg(test)]
mod tests;
