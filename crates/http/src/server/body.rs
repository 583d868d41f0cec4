//! The body of the request as the connection reads it.

use bytes::Bytes;
use http::HeaderMap;
use rosn_base::Buf;
use rosn_h1::{BodyDecoder, BodyError, Framing, Limits, RequestHead};

use super::request::trailers;
use crate::hijack::{UnreadBody, UnreadChunks};

/// How much of a body that nobody reads is read, so that the connection can go on: Go's `maxPostHandlerReadBytes`.
const UNWANTED: u64 = 256 * 1024;

/// What is known of the request's body.
#[derive(Debug)]
pub(super) struct RequestBody {
    decoder: BodyDecoder,
    chunked: bool,
    /// Bytes that are to come, where there is a length.
    left: u64,
    /// Some of its bytes were used.
    touched: bool,
    /// The client waits for 100 (Continue), and was not sent it.
    pub(super) waits: bool,
    /// Nothing more of it can be read.
    pub(super) failed: bool,
    /// Bytes that were read and dropped.
    dropped: u64,
}

impl RequestBody {
    pub(super) fn new(head: &RequestHead, limits: &Limits) -> Self {
        let framing = head.framing();
        Self {
            decoder: BodyDecoder::new(framing, limits),
            chunked: framing == Framing::Chunked,
            left: if let Framing::Length(length) = framing { length } else { 0 },
            touched: false,
            waits: head.expects_continue(),
            failed: false,
            dropped: 0,
        }
    }

    /// Room for the next read: enough that a system call for each piece costs little, and not more than there can be.
    pub(super) fn room(&self) -> usize {
        const MOST: usize = 64 * 1024;
        const LEAST: usize = 1024;
        if self.chunked {
            return MOST;
        }
        usize::try_from(self.left).map_or(MOST, |left| left.clamp(LEAST, MOST))
    }

    /// Whether all of it was read.
    pub(super) fn is_done(&self) -> bool {
        self.decoder.is_end()
    }

    /// Whether more of it can be read.
    pub(super) fn is_open(&self) -> bool {
        !self.failed && !self.is_done()
    }

    /// Takes what there is of it out of `inbound`, and says what follows its end.
    pub(super) fn decode(
        &mut self,
        inbound: &mut Buf,
    ) -> Result<(Bytes, Option<HeaderMap>), BodyError> {
        // Who has sent some of the body does not wait.
        self.waits = false;
        self.touched = true;
        let bytes = inbound.unread_mut();
        let decoded = self.decoder.decode(bytes).inspect_err(|_| self.failed = true)?;
        let data = Bytes::copy_from_slice(&bytes[decoded.data]);
        self.left = self.left.saturating_sub(data.len() as u64);
        inbound.consume(decoded.consumed);
        Ok((data, decoded.end.then(|| trailers(self.decoder.trailers()))))
    }

    /// Says that so many bytes were dropped because nobody wants them; whether that is enough.
    pub(super) fn drop_data(&mut self, count: usize) -> bool {
        self.dropped += count as u64;
        self.dropped > UNWANTED
    }

    /// Whether it is worth reading to its end after the response, for the sake of the next request.
    pub(super) fn can_be_dropped(&self) -> bool {
        self.is_done() || (!self.failed && !self.waits && self.left <= UNWANTED)
    }

    /// What of it was not read, and those bytes of it that were taken from the connection but by nobody read.
    pub(super) fn into_unread(mut self, undelivered: Bytes) -> (UnreadBody, Bytes) {
        let has_rest = !self.is_done() || !undelivered.is_empty();
        if !has_rest {
            (UnreadBody::None, Bytes::new())
        } else if self.chunked {
            self.touched |= !undelivered.is_empty();
            let chunks = UnreadChunks::new(undelivered, self.decoder, !self.touched);
            (UnreadBody::Chunked(Box::new(chunks)), Bytes::new())
        } else {
            (UnreadBody::Length(self.left + undelivered.len() as u64), undelivered)
        }
    }
}
