//! The head of a response.

use std::ops::Range;

use crate::error::ResponseError;
use crate::field::Field;
use crate::framing::Framing;
use crate::head::{Head, Progress, Version};
use crate::limits::Limits;
use crate::method::Method;
use crate::name::Name;
use crate::span::Span;

/// The head of a response, parsed into ranges of the caller's buffer.
///
/// It is reused from message to message: [`ResponseHead::reset`] keeps the room for the fields.
/// What it says is meaningful once [`ResponseHead::parse`] was [`Progress::Complete`]; methods that
/// take `bytes` want the bytes that were parsed, from the same start.
#[derive(Debug, Default)]
pub struct ResponseHead {
    head: Head,
    has_status_line: bool,
    complete: Option<usize>,
    status: u16,
    reason: Span,
    version: Version,
    framing: Framing,
}

impl ResponseHead {
    /// Parses the head at the start of `bytes`: all that was received of this message so far.
    ///
    /// Lines that were complete in an earlier call are not looked at again. Whether there is a body
    /// depends on `request_method`, RFC 9112 section 6.3.
    ///
    /// # Errors
    /// The upstream broke the protocol: its connection has to be closed. Every way of cutting the
    /// same bytes into calls gives the same error.
    pub fn parse(
        &mut self,
        bytes: &[u8],
        limits: &Limits,
        request_method: Method,
    ) -> Result<Progress, ResponseError> {
        if let Some(length) = self.complete {
            return Ok(Progress::Complete(length));
        }
        if !self.has_status_line && !self.parse_status_line(bytes, limits)? {
            return Ok(Progress::Partial);
        }
        let Some(length) = self.head.parse(bytes, limits)? else {
            return Ok(Progress::Partial);
        };
        self.framing = self.conclude(request_method)?;
        self.complete = Some(length);
        Ok(Progress::Complete(length))
    }

    /// Makes it ready for the next message.
    pub fn reset(&mut self) {
        self.head.reset();
        self.has_status_line = false;
        self.complete = None;
        self.framing = Framing::None;
    }

    /// The status code, between 100 and 999.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Where the reason phrase is; it may be empty.
    pub fn reason(&self) -> Span {
        self.reason
    }

    /// The version.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The fields, in the order they were sent in.
    pub fn fields(&self) -> &[Field] {
        &self.head.fields
    }

    /// How the end of the body is known. [`Framing::None`] for HEAD, 1xx, 204, 304 and a 2xx to
    /// CONNECT, whatever the fields say.
    pub fn framing(&self) -> Framing {
        self.framing
    }

    /// Whether the connection can be used for another request after this response, RFC 9112 section
    /// 9.3. Not after one that lasts until the connection is closed, nor after 101.
    pub fn keep_alive(&self) -> bool {
        self.status != 101
            && self.framing != Framing::UntilClose
            && self.head.keep_alive(self.version)
    }

    /// Whether another response to the same request follows: 1xx except 101, RFC 9110 section 15.2.
    pub fn is_interim(&self) -> bool {
        self.status < 200 && self.status != 101
    }

    /// The first field of this known name.
    pub fn find(&self, name: Name) -> Option<&Field> {
        self.head.find(name)
    }

    /// The value of the first field of this name, in any case.
    pub fn value<'a>(&self, bytes: &'a [u8], lower_name: &str) -> Option<&'a [u8]> {
        self.head.value(bytes, lower_name)
    }

    /// Takes the status line. Whether it was complete.
    fn parse_status_line(&mut self, bytes: &[u8], limits: &Limits) -> Result<bool, ResponseError> {
        // The order of these checks makes them fail alike, wherever the bytes are cut.
        let prefix = b"HTTP/1.";
        let known = bytes.len().min(prefix.len());
        if bytes[..known] != prefix[..known] {
            return Err(ResponseError::Version);
        }
        if self.head.lines.scan(bytes) > limits.request_line {
            return Err(ResponseError::LongStatusLine);
        }
        let Some(line) = self.head.lines.take(bytes, limits)? else {
            return Ok(false);
        };
        self.split_status_line(bytes, line)?;
        self.has_status_line = true;
        Ok(true)
    }

    /// RFC 9112 section 4; the space before an absent reason phrase may be absent too.
    fn split_status_line(&mut self, bytes: &[u8], line: Range<usize>) -> Result<(), ResponseError> {
        let reason_start = match &bytes[line.start + 7..line.end] {
            [_, b' ', _, _, _] => line.end,
            [_, b' ', _, _, _, b' ', ..] => line.start + 13,
            _ => return Err(ResponseError::StatusLine),
        };
        self.version = match bytes[line.start + 7] {
            b'0' => Version::Http10,
            b'1' => Version::Http11,
            _ => return Err(ResponseError::Version),
        };
        self.status = 0;
        for &digit in &bytes[line.start + 9..line.start + 12] {
            if !digit.is_ascii_digit() {
                return Err(ResponseError::StatusLine);
            }
            self.status = self.status * 10 + u16::from(digit - b'0');
        }
        if self.status < 100 {
            return Err(ResponseError::StatusLine);
        }
        self.reason = Span::new(reason_start, line.end);
        Ok(())
    }

    /// The length of the body, RFC 9112 section 6.3, in its order.
    fn conclude(&mut self, request_method: Method) -> Result<Framing, ResponseError> {
        if request_method == Method::Connect && (200..300).contains(&self.status) {
            // RFC 9110 section 9.3.6: a tunnel follows, and these fields are to be ignored.
            self.head.set_hop(Name::ContentLength, true);
            return Ok(Framing::None);
        }
        let framing = self.head.framing(self.version)?;
        if self.status < 200 || self.status == 204 {
            if self.head.has_transfer_encoding() || self.head.facts.content_length > Some(0) {
                return Err(ResponseError::Content);
            }
            // Common in 204, but not to be passed on: RFC 9110 section 8.6.
            self.head.set_hop(Name::ContentLength, true);
            return Ok(Framing::None);
        }
        if request_method == Method::Head || self.status == 304 {
            return Ok(Framing::None);
        }
        Ok(framing.unwrap_or(Framing::UntilClose))
    }
}
