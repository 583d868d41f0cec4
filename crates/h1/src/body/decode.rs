//! Takes content out of its framing.

use std::ops::Range;

use memchr::memchr;

use super::extension::Extension;
use super::trailer::is_forbidden_trailer;
use crate::bytes::find_control;
use crate::error::{BodyError, FieldError};
use crate::framing::Framing;
use crate::head::name_end;
use crate::limits::Limits;

/// Chunk lines may have this many bytes more than [`BodyDecoder::decode`] allows for their data.
/// Go's net/http has the same bound since CVE-2023-39326.
const OVERHEAD_BYTES: usize = 16 * 1024;

/// Takes the content of one message out of its framing, in place.
#[derive(Debug)]
pub struct BodyDecoder {
    state: State,
    chunk_line: usize,
    trailer_bytes: usize,
    trailer_fields: usize,
    /// Bytes of the current chunk line, without CRLF.
    line: usize,
    /// Bytes of chunk lines that their data does not make up for.
    overhead: usize,
    /// Complete trailer lines, and from `trailer_line` on the one that is not.
    trailers: Vec<u8>,
    trailer_line: usize,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Length(u64),
    UntilClose,
    /// Another protocol has taken the content out of its frames; so much is still announced, if that was.
    Unframed(Option<u64>),
    /// In the digits of a chunk size; the number so far, or `None` before the first digit.
    Size(Option<u64>),
    Extension(u64, Extension),
    /// After the CR of a chunk line.
    LineEnd(u64),
    Data(u64),
    /// After the data of a chunk.
    DataEnd,
    /// After the CR behind the data of a chunk.
    DataLf,
    /// At the start of a trailer line, or of the empty line.
    Trailer,
    TrailerLine,
    /// After the CR of the empty line.
    LastLf,
    End,
    Failed(BodyError),
}

/// What [`BodyDecoder::decode`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded {
    /// Where the content is in the bytes that were given. It was moved together where several
    /// chunks were there, so bytes behind it are no longer what they were.
    pub data: Range<usize>,
    /// How many of the bytes are dealt with; those behind belong to what follows the body.
    pub consumed: usize,
    /// Whether the body ends here.
    pub end: bool,
}

impl BodyDecoder {
    /// A decoder of one body.
    pub fn new(framing: Framing, limits: &Limits) -> Self {
        let state = match framing {
            Framing::None | Framing::Length(0) => State::End,
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::Size(None),
            Framing::UntilClose => State::UntilClose,
        };
        Self {
            state,
            chunk_line: limits.chunk_line,
            trailer_bytes: limits.trailer_bytes,
            trailer_fields: limits.fields,
            line: 0,
            overhead: 0,
            trailers: Vec::new(),
            trailer_line: 0,
        }
    }

    /// A decoder of one body that comes without HTTP/1.1's framing, because another protocol (HTTP/2) has frames of
    /// its own: see [`BodyDecoder::take`] and [`BodyDecoder::end`]. `length` is what Content-Length announced.
    pub fn unframed(length: Option<u64>, limits: &Limits) -> Self {
        Self { state: State::Unframed(length), ..Self::new(Framing::UntilClose, limits) }
    }

    /// Takes note of `count` bytes of the content of an unframed body.
    ///
    /// # Errors
    /// [`BodyError::TooLong`]: there is more than was announced (RFC 9113 section 8.1.1), or after the end.
    pub fn take(&mut self, count: usize) -> Result<(), BodyError> {
        match self.state {
            State::Unframed(None) => Ok(()),
            State::Unframed(Some(left)) if left >= count as u64 => {
                self.state = State::Unframed(Some(left - count as u64));
                Ok(())
            }
            State::Failed(error) => Err(error),
            _ => self.fail(BodyError::TooLong),
        }
    }

    /// Says that an unframed body has ended with these trailers, lines that each end in CRLF. Those that
    /// [`BodyDecoder::trailers`] would not show are dropped.
    ///
    /// # Errors
    /// [`BodyError::Truncated`]: less came than was announced. [`BodyError::Trailer`] and
    /// [`BodyError::TrailersTooLarge`] as for other bodies.
    pub fn end(&mut self, trailers: &[u8]) -> Result<(), BodyError> {
        match self.state {
            State::Unframed(None | Some(0)) => {}
            State::End => return Ok(()),
            State::Failed(error) => return Err(error),
            _ => return self.fail(BodyError::Truncated),
        }
        let mut rest = trailers;
        while !rest.is_empty() {
            self.state = State::TrailerLine;
            let count = match self.trailer_line(rest) {
                Ok(count) => count,
                Err(error) => return self.fail(error),
            };
            rest = &rest[count..];
        }
        match self.state {
            State::TrailerLine => self.fail(BodyError::Truncated),
            _ => {
                self.state = State::End;
                Ok(())
            }
        }
    }

    fn fail(&mut self, error: BodyError) -> Result<(), BodyError> {
        self.state = State::Failed(error);
        Err(error)
    }

    /// Decodes bytes of the body, in the order they were received, each once.
    ///
    /// All of `bytes` is consumed unless the body ends before. Chunk lines may together be as long
    /// as twice their data, 16 bytes for each chunk, and 16 KiB in all.
    ///
    /// # Errors
    /// The peer broke the framing; every later call says the same. Content that came before in the
    /// same `bytes` is not reported.
    pub fn decode(&mut self, bytes: &mut [u8]) -> Result<Decoded, BodyError> {
        let decoded = match self.state {
            State::End => Decoded { data: 0..0, consumed: 0, end: true },
            State::Failed(error) => return Err(error),
            State::UntilClose | State::Unframed(_) => {
                Decoded { data: 0..bytes.len(), consumed: bytes.len(), end: false }
            }
            State::Length(left) => {
                let count = at_most(left, bytes.len());
                let left = left - count as u64;
                self.state = if left == 0 { State::End } else { State::Length(left) };
                Decoded { data: 0..count, consumed: count, end: left == 0 }
            }
            _ => self.decode_chunked(bytes).inspect_err(|&error| {
                self.state = State::Failed(error);
            })?,
        };
        Ok(decoded)
    }

    /// Says that the connection was closed, which is the end of a body with [`Framing::UntilClose`]. `cut_off`: the
    /// layer below has a word for the end, such as the `close_notify` of TLS, and it did not come; such a body is not
    /// known to be complete then (RFC 9112 section 9.8). Bodies with another framing know their end by themselves.
    ///
    /// # Errors
    /// [`BodyError::Truncated`]: the body should have gone on. [`BodyError::CutOff`]: it may have been meant to.
    pub fn eof(&mut self, cut_off: bool) -> Result<(), BodyError> {
        match self.state {
            State::End => Ok(()),
            State::UntilClose if cut_off => self.fail(BodyError::CutOff),
            State::UntilClose => {
                self.state = State::End;
                Ok(())
            }
            State::Failed(error) => Err(error),
            _ => self.fail(BodyError::Truncated),
        }
    }

    /// Whether the whole body was decoded.
    pub fn is_end(&self) -> bool {
        matches!(self.state, State::End)
    }

    /// The trailer fields, once the body ended: lines that each end in CRLF.
    ///
    /// Fields that must not be in a trailer section (RFC 9110 section 6.5.1: those of framing,
    /// routing, authentication, caching, and of the content's form) were dropped.
    pub fn trailers(&self) -> &[u8] {
        if self.is_end() { &self.trailers } else { &[] }
    }

    fn decode_chunked(&mut self, bytes: &mut [u8]) -> Result<Decoded, BodyError> {
        let mut data = 0..0;
        let mut at = 0;
        while at < bytes.len() {
            match self.state {
                State::Data(left) => {
                    let count = at_most(left, bytes.len() - at);
                    if data.is_empty() {
                        data = at..at + count;
                    } else {
                        bytes.copy_within(at..at + count, data.end);
                        data.end += count;
                    }
                    at += count;
                    let left = left - count as u64;
                    self.state = if left == 0 { State::DataEnd } else { State::Data(left) };
                }
                State::TrailerLine => at += self.trailer_line(&bytes[at..])?,
                State::Trailer if bytes[at] != b'\r' => self.state = State::TrailerLine,
                State::End => break,
                state => {
                    self.state = self.step(state, bytes[at])?;
                    at += 1;
                }
            }
        }
        Ok(Decoded { data, consumed: at, end: self.is_end() })
    }

    /// The state after one byte of framing.
    fn step(&mut self, state: State, byte: u8) -> Result<State, BodyError> {
        match (state, byte) {
            (State::Size(size), _) => self.size(size, byte),
            (State::Extension(size, place), b'\r') if place.may_end() => Ok(State::LineEnd(size)),
            (State::Extension(size, place), _) => {
                self.count_line()?;
                let place = place.next(byte).ok_or(BodyError::ChunkExtension)?;
                Ok(State::Extension(size, place))
            }
            (State::LineEnd(size), b'\n') => self.start_chunk(size),
            (State::LineEnd(_), _) => Err(BodyError::ChunkExtension),
            (State::DataEnd, b'\r') => Ok(State::DataLf),
            (State::DataLf, b'\n') => Ok(State::Size(None)),
            (State::DataEnd | State::DataLf, _) => Err(BodyError::ChunkEnd),
            (State::Trailer, b'\r') => Ok(State::LastLf),
            (State::LastLf, b'\n') => Ok(State::End),
            (State::LastLf, _) => Err(BodyError::Trailer(FieldError::BareCr)),
            // The others are not stepped byte by byte.
            (state, _) => Ok(state),
        }
    }

    /// One byte of a chunk size, or the one after it.
    fn size(&mut self, size: Option<u64>, byte: u8) -> Result<State, BodyError> {
        if let Some(digit) = (byte as char).to_digit(16) {
            self.count_line()?;
            // A signed number holds it in any parser.
            let size = size.unwrap_or(0);
            if size > i64::MAX as u64 >> 4 {
                return Err(BodyError::ChunkSize);
            }
            return Ok(State::Size(Some(size << 4 | u64::from(digit))));
        }
        let size = size.ok_or(BodyError::ChunkSize)?;
        if byte == b'\r' {
            return Ok(State::LineEnd(size));
        }
        self.count_line()?;
        let place = Extension::BeforeSemicolon.next(byte).ok_or(BodyError::ChunkSize)?;
        Ok(State::Extension(size, place))
    }

    fn count_line(&mut self) -> Result<(), BodyError> {
        self.line += 1;
        if self.line > self.chunk_line { Err(BodyError::ChunkLine) } else { Ok(()) }
    }

    /// A chunk line is complete.
    fn start_chunk(&mut self, size: u64) -> Result<State, BodyError> {
        let data = usize::try_from(size).unwrap_or(usize::MAX);
        let made_up_for = data.saturating_mul(2).saturating_add(16);
        self.overhead = (self.overhead + self.line).saturating_sub(made_up_for);
        if self.overhead > OVERHEAD_BYTES.max(self.chunk_line) {
            return Err(BodyError::ChunkLine);
        }
        self.line = 0;
        Ok(if size == 0 { State::Trailer } else { State::Data(size) })
    }

    /// Takes bytes of a trailer line; how many.
    fn trailer_line(&mut self, bytes: &[u8]) -> Result<usize, BodyError> {
        let end = memchr(b'\n', bytes).map(|at| at + 1);
        let count = end.unwrap_or(bytes.len());
        self.trailer_bytes =
            self.trailer_bytes.checked_sub(count).ok_or(BodyError::TrailersTooLarge)?;
        self.trailers.extend_from_slice(&bytes[..count]);
        if end.is_some() {
            self.trailer_fields =
                self.trailer_fields.checked_sub(1).ok_or(BodyError::TrailersTooLarge)?;
            if self.is_dropped().map_err(BodyError::Trailer)? {
                self.trailers.truncate(self.trailer_line);
            }
            self.trailer_line = self.trailers.len();
            self.state = State::Trailer;
        }
        Ok(count)
    }

    /// Whether the trailer line that is now complete must not be passed on.
    fn is_dropped(&self) -> Result<bool, FieldError> {
        let Some(line) = self.trailers[self.trailer_line..].strip_suffix(b"\r\n") else {
            return Err(FieldError::BareLf);
        };
        let name = name_end(line)?;
        if memchr(b'\r', line).is_some() {
            return Err(FieldError::BareCr);
        }
        if find_control(line).is_some() {
            return Err(FieldError::Control);
        }
        Ok(is_forbidden_trailer(&line[..name]))
    }
}

fn at_most(left: u64, available: usize) -> usize {
    usize::try_from(left).map_or(available, |left| left.min(available))
}
