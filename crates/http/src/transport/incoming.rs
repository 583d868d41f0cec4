//! The body of a response.

use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::{Body as HttpBody, Frame, SizeHint};
use rosn_h1::{BodyDecoder, BodyError, Framing};
use rosn_net::Stream;
use rosn_trace::{Cancelled, ErrorRef, Event, Interest, NotReused, TraceHandle};
use tokio::io::AsyncReadExt as _;

use super::connection::{Lease, Switched};
use super::duplex::Duplex;
use super::fields;
use super::patience::Patience;
use super::upload::Upload;
use crate::error::Kind;
use crate::{Error, Phase};

/// Bytes that are read at a time, at least and at most.
const ROOM: (usize, usize) = (8 * 1024, 64 * 1024);

/// What of a response's body was not read. It has the connection, and gives it back at its end.
#[derive(Debug)]
pub(crate) struct Incoming {
    source: Source,
    decoder: BodyDecoder,
    framing: Framing,
    /// Decoded, and not yet handed out.
    ready: Bytes,
    /// How much to read the next time.
    room: usize,
    /// What to read into, where that was waited for.
    waiting: BytesMut,
    /// Bytes of the body that came.
    received: u64,
    /// What is to become of the connection.
    reuse: Result<(), NotReused>,
    patience: Patience,
    trace: TraceHandle,
    authority: Arc<str>,
}

/// Where the bytes come from.
#[derive(Debug)]
pub(super) enum Source {
    Lease(Lease),
    /// The request is still being sent.
    Duplex(Arc<Duplex>),
    /// It has ended.
    Gone,
}

impl Source {
    /// Whether it ended without the word that its layers have for an end.
    fn was_cut_off(&self) -> bool {
        match self {
            Self::Lease(lease) => lease.stream.was_cut_off(),
            Self::Duplex(duplex) => duplex.was_cut_off(),
            Self::Gone => false,
        }
    }
}

impl Incoming {
    /// The body whose first raw bytes are the inbound ones of the connection. [`Incoming::settle`] has to follow.
    pub(super) fn new(
        lease: Lease,
        framing: Framing,
        decoder: BodyDecoder,
        reuse: Result<(), NotReused>,
        patience: Patience,
        authority: Arc<str>,
    ) -> Self {
        Self {
            trace: lease.trace.clone(),
            source: Source::Lease(lease),
            decoder,
            framing,
            ready: Bytes::new(),
            room: ROOM.0,
            waiting: BytesMut::new(),
            received: 0,
            reuse,
            patience,
            authority,
        }
    }

    /// Decodes what came with the head. `upload` is what was not sent of the request.
    ///
    /// # Errors
    /// The framing of the body is broken.
    pub(super) fn settle(&mut self, upload: Option<Upload>) -> Result<(), Error> {
        if let Source::Lease(lease) = &mut self.source
            && !lease.inbound.is_empty()
        {
            let inbound = &mut lease.inbound;
            match self.decoder.decode(inbound.unread_mut()) {
                Ok(decoded) => {
                    self.ready = Bytes::copy_from_slice(&inbound.unread()[decoded.data]);
                    self.received = self.ready.len() as u64;
                    inbound.consume(decoded.consumed);
                }
                Err(error) => return Err(self.broke(error)),
            }
        }
        if let Some(upload) = upload
            && let Source::Lease(lease) = std::mem::replace(&mut self.source, Source::Gone)
        {
            self.source = Source::Duplex(Duplex::start(lease, upload));
        }
        if self.decoder.is_end() {
            self.end();
        }
        Ok(())
    }

    /// All of the body, where it is all there and has no trailers.
    pub(super) fn whole(&mut self) -> Option<Bytes> {
        let is_whole = self.decoder.is_end() && self.decoder.trailers().is_empty();
        is_whole.then(|| std::mem::take(&mut self.ready))
    }

    /// The connection and what was read from it, where the rest of the connection is the body.
    pub(super) fn take_over(mut self) -> Result<Switched, &'static str> {
        if self.framing != Framing::UntilClose {
            return Err("the body of the response does not last until the connection ends");
        }
        match std::mem::replace(&mut self.source, Source::Gone) {
            Source::Lease(lease) => {
                let read = std::mem::take(&mut self.ready);
                lease.switch(read).ok_or("the connection has ended")
            }
            Source::Duplex(_) => Err("the request is still being sent"),
            Source::Gone => Err("the connection has ended"),
        }
    }

    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, Error>> {
        loop {
            if let Poll::Ready(error) = self.patience.poll(cx, Phase::Body) {
                let error = error.at(Arc::clone(&self.authority));
                self.stop(&error);
                return Poll::Ready(Err(error));
            }
            let mut bytes = std::mem::take(&mut self.waiting);
            if bytes.capacity() == 0 {
                bytes = BytesMut::with_capacity(self.wanted());
            }
            let read = match &mut self.source {
                Source::Lease(lease) => poll_read(cx, &mut lease.stream, &mut bytes)
                    .map_err(|error| Error::new(Phase::Body, error)),
                Source::Duplex(duplex) => duplex.poll_read(cx, &mut bytes),
                Source::Gone => {
                    let error = io::Error::from(io::ErrorKind::NotConnected);
                    Poll::Ready(Err(Error::new(Phase::Body, error)))
                }
            };
            let Poll::Ready(read) = read else {
                self.waiting = bytes;
                return Poll::Pending;
            };
            let decoded = match read {
                Ok(0) => {
                    if let Err(error) = self.decoder.eof(self.source.was_cut_off()) {
                        return Poll::Ready(Err(self.broke(error)));
                    }
                    self.end();
                    return Poll::Ready(Ok(Bytes::new()));
                }
                Ok(count) => {
                    if count == bytes.capacity() {
                        self.room = (self.room * 2).min(ROOM.1);
                    }
                    self.decoder.decode(&mut bytes)
                }
                Err(error) => {
                    let error = error.at(Arc::clone(&self.authority));
                    self.stop(&error);
                    return Poll::Ready(Err(error));
                }
            };
            let decoded = match decoded {
                Ok(decoded) => decoded,
                Err(error) => return Poll::Ready(Err(self.broke(error))),
            };
            self.received += decoded.data.len() as u64;
            if decoded.end && decoded.consumed < bytes.len() {
                self.reuse = Err(NotReused::Broken); // more than was asked for
            }
            if decoded.end {
                self.end();
            }
            if !decoded.data.is_empty() || decoded.end {
                let data = bytes.freeze().slice(decoded.data);
                return Poll::Ready(Ok(data));
            }
        }
    }

    /// Room for the next read. One byte more than is to come: a read that does not fill its room tells tokio that there
    /// is no more.
    fn wanted(&self) -> usize {
        match self.framing {
            Framing::Length(length) => {
                let left = length.saturating_sub(self.received).saturating_add(1);
                usize::try_from(left).map_or(self.room, |left| left.min(self.room))
            }
            _ => self.room,
        }
    }

    /// The body has ended well: gives the connection back.
    fn end(&mut self) {
        self.report(Ok(()));
        match std::mem::replace(&mut self.source, Source::Gone) {
            Source::Lease(lease) => lease.end(self.reuse),
            Source::Duplex(duplex) => duplex.read_all(self.reuse),
            Source::Gone => {}
        }
    }

    /// The framing is broken.
    fn broke(&mut self, error: BodyError) -> Error {
        let kind = match error {
            BodyError::Truncated | BodyError::CutOff => Kind::ClosedEarly,
            BodyError::TrailersTooLarge => Kind::TooLarge,
            _ => Kind::Parse,
        };
        let error = Error::of(Phase::Body, kind)
            .at(Arc::clone(&self.authority))
            .what(error.reason())
            .because(error);
        self.stop(&error);
        error
    }

    /// The body has failed: closes the connection.
    fn stop(&mut self, error: &Error) {
        self.report(Err(error));
        self.close(NotReused::Broken);
    }

    fn close(&mut self, reason: NotReused) {
        match std::mem::replace(&mut self.source, Source::Gone) {
            Source::Lease(lease) => lease.end(Err(reason)),
            Source::Duplex(duplex) => duplex.close(reason),
            Source::Gone => {}
        }
    }

    fn report(&self, result: Result<(), ErrorRef<'_>>) {
        let bytes = self.received;
        self.trace.emit(Interest::READ, || Event::ResponseBodyDone { bytes, result });
    }
}

/// Reads into the spare room.
pub(super) fn poll_read(
    cx: &mut Context<'_>,
    stream: &mut Stream,
    into: &mut BytesMut,
) -> Poll<io::Result<usize>> {
    // A read keeps nothing between polls, so it may be made anew for each.
    pin!(stream.read_buf(into)).poll(cx)
}

impl HttpBody for Incoming {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        if !this.ready.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut this.ready)))));
        }
        if !matches!(this.source, Source::Gone) {
            let data = ready!(this.poll_data(cx))?;
            if !data.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
        }
        Poll::Ready(this.take_trailers().transpose().map(|trailers| trailers.map(Frame::trailers)))
    }

    fn is_end_stream(&self) -> bool {
        self.ready.is_empty()
            && matches!(self.source, Source::Gone)
            && self.decoder.trailers().is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        let ready = self.ready.len() as u64;
        match self.framing {
            Framing::Length(length) => {
                SizeHint::with_exact(length.saturating_sub(self.received) + ready)
            }
            _ => SizeHint::default(),
        }
    }
}

impl Incoming {
    /// The trailers, once.
    fn take_trailers(&mut self) -> Result<Option<http::HeaderMap>, Error> {
        if self.decoder.trailers().is_empty() {
            return Ok(None);
        }
        let trailers = fields::trailers(self.decoder.trailers());
        self.decoder = BodyDecoder::new(Framing::None, &rosn_h1::Limits::default());
        trailers.map(Some)
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if !matches!(self.source, Source::Gone) {
            self.report(Err(&Cancelled));
            self.close(NotReused::BodyNotDrained);
        }
    }
}
