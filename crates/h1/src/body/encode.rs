//! Puts content into its framing.

use crate::error::BodyError;
use crate::framing::Framing;

/// Frames the content of one message, without copying it.
#[derive(Debug)]
pub struct BodyEncoder {
    framing: Framing,
    /// Bytes that [`Framing::Length`] still allows.
    left: u64,
    ended: bool,
}

/// What has to be written around a piece of content, as in `writev(prefix, content, suffix)`.
#[derive(Debug, Clone, Copy)]
pub struct Frame {
    line: [u8; CHUNK_LINE],
    start: usize,
    suffix: &'static [u8],
}

/// Sixteen hexadecimal digits and CRLF.
const CHUNK_LINE: usize = 18;

impl BodyEncoder {
    /// An encoder of one body.
    pub fn new(framing: Framing) -> Self {
        let left = if let Framing::Length(length) = framing { length } else { 0 };
        Self { framing, left, ended: false }
    }

    /// What goes around the next `len` bytes of content. A frame of no bytes is empty: it does not
    /// end a chunked body.
    ///
    /// # Errors
    /// [`BodyError::TooLong`]: there is no room for so much content.
    pub fn frame(&mut self, len: usize) -> Result<Frame, BodyError> {
        if len == 0 {
            return Ok(Frame::bare());
        }
        if self.ended {
            return Err(BodyError::TooLong);
        }
        match self.framing {
            Framing::None => Err(BodyError::TooLong),
            Framing::Length(_) => {
                self.left = self.left.checked_sub(len as u64).ok_or(BodyError::TooLong)?;
                Ok(Frame::bare())
            }
            Framing::Chunked => Ok(Frame::chunk(len)),
            Framing::UntilClose => Ok(Frame::bare()),
        }
    }

    /// Ends the body, and appends what has to be written for it to `out`: the last chunk, and
    /// `trailers`, lines that each end in CRLF. Without chunked framing there are no trailers, and
    /// they are left out. A second call does nothing.
    ///
    /// # Errors
    /// [`BodyError::TooShort`]: less content was framed than announced.
    pub fn finish(&mut self, trailers: &[u8], out: &mut Vec<u8>) -> Result<(), BodyError> {
        if self.left > 0 {
            return Err(BodyError::TooShort);
        }
        if self.framing == Framing::Chunked && !self.ended {
            out.extend_from_slice(b"0\r\n");
            out.extend_from_slice(trailers);
            out.extend_from_slice(b"\r\n");
        }
        self.ended = true;
        Ok(())
    }
}

impl Frame {
    /// What goes before the content: a chunk's size line, or nothing.
    pub fn prefix(&self) -> &[u8] {
        &self.line[self.start..]
    }

    /// What goes after the content: a chunk's CRLF, or nothing.
    pub fn suffix(&self) -> &'static [u8] {
        self.suffix
    }

    fn bare() -> Self {
        Self { line: [0; CHUNK_LINE], start: CHUNK_LINE, suffix: b"" }
    }

    fn chunk(mut len: usize) -> Self {
        let mut line = [0; CHUNK_LINE];
        let mut start = CHUNK_LINE - 2;
        line[start..].copy_from_slice(b"\r\n");
        while len > 0 {
            start -= 1;
            line[start] = b"0123456789abcdef"[len & 15];
            len >>= 4;
        }
        Self { line, start, suffix: b"\r\n" }
    }
}
