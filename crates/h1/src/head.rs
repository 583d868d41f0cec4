//! What request and response heads have in common: lines, fields, and what the fields say.

use std::ops::Range;

use crate::bytes::{find_colon, find_control, is_token, list, trim};
use crate::error::FieldError;
use crate::field::Field;
use crate::framing::{Framing, TransferEncoding, content_length};
use crate::limits::Limits;
use crate::name::Name;
use crate::span::Span;

/// Whether a head is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// More bytes are needed.
    Partial,
    /// The head is this many bytes long; the body begins there.
    Complete(usize),
}

/// The version of a message, RFC 9112 section 2.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    #[default]
    Http11,
}

/// The lines of a head as they become complete.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    /// Where the line that is not complete yet begins.
    start: usize,
    /// No control character lies between `start` and here.
    scanned: usize,
}

impl Lines {
    /// Where the current line begins.
    pub(crate) fn start(&self) -> usize {
        self.start
    }

    /// Goes on to the next control character, which ought to be the CR that ends the current line,
    /// or to the end of `bytes`. How long the line is up to there.
    pub(crate) fn scan(&mut self, bytes: &[u8]) -> usize {
        let fresh = bytes.get(self.scanned..).unwrap_or_default();
        self.scanned = match find_control(fresh) {
            Some(at) => self.scanned + at,
            None => self.scanned.max(bytes.len()),
        };
        self.scanned - self.start
    }

    /// The line that ends where [`Lines::scan`] went, without its CRLF; `None` where the CRLF is
    /// not there yet.
    pub(crate) fn take(
        &mut self,
        bytes: &[u8],
        limits: &Limits,
    ) -> Result<Option<Range<usize>>, FieldError> {
        let end = self.scanned;
        if end + 2 > limits.head_bytes.min(u32::MAX as usize) {
            return Err(FieldError::TooLarge);
        }
        let rest = bytes.get(end..).unwrap_or_default();
        if rest.first_chunk() == Some(b"\r\n") {
            let line = self.start..end;
            self.start = end + 2;
            self.scanned = end + 2;
            return Ok(Some(line));
        }
        match rest {
            [] | [b'\r'] => Ok(None),
            [b'\r', ..] => Err(FieldError::BareCr),
            [b'\n', ..] => Err(FieldError::BareLf),
            _ => Err(FieldError::Control),
        }
    }

    fn reset(&mut self) {
        *self = Self::default();
    }
}

/// The fields of a head, and what they say about the message and its connection.
#[derive(Debug, Default)]
pub(crate) struct Head {
    pub(crate) lines: Lines,
    pub(crate) fields: Vec<Field>,
    pub(crate) facts: Facts,
}

/// What the fields say.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    pub(crate) host: Option<Span>,
    pub(crate) host_is_repeated: bool,
    pub(crate) content_length: Option<u64>,
    transfer_encoding: Option<TransferEncoding>,
    has_trailer: bool,
    pub(crate) has_upgrade: bool,
    pub(crate) expects_continue: bool,
    close: bool,
    keep_alive: bool,
    pub(crate) upgrade: bool,
    /// Connection names a field that is not hop-by-hop anyway.
    nominates: bool,
    options: usize,
}

impl Head {
    pub(crate) fn reset(&mut self) {
        self.lines.reset();
        self.fields.clear();
        self.facts = Facts::default();
    }

    /// Takes the field lines that are complete. The length of the head when its end was seen.
    pub(crate) fn parse(
        &mut self,
        bytes: &[u8],
        limits: &Limits,
    ) -> Result<Option<usize>, FieldError> {
        loop {
            self.lines.scan(bytes);
            let Some(line) = self.lines.take(bytes, limits)? else {
                return Ok(None);
            };
            if line.is_empty() {
                if self.facts.nominates {
                    self.mark_nominated(bytes);
                }
                return Ok(Some(line.end + 2));
            }
            if self.fields.len() >= limits.fields {
                return Err(FieldError::TooMany);
            }
            let field = field(bytes, line)?;
            self.fields.push(field);
            if field.id != Name::Other {
                self.facts.note(bytes, &field, limits)?;
            }
        }
    }

    /// Marks the fields that Connection names as hop-by-hop, RFC 9110 section 7.6.1.
    fn mark_nominated(&mut self, bytes: &[u8]) {
        for at in 0..self.fields.len() {
            if self.fields[at].id != Name::Connection {
                continue;
            }
            let value = self.fields[at].value;
            for option in list(value.of(bytes)) {
                for field in &mut self.fields {
                    field.hop |= field.name.of(bytes).eq_ignore_ascii_case(option);
                }
            }
        }
    }

    /// The framing that Transfer-Encoding and Content-Length give, RFC 9112 section 6.3.
    pub(crate) fn framing(&mut self, version: Version) -> Result<Option<Framing>, FieldError> {
        let Some(coding) = self.facts.transfer_encoding else {
            return Ok(self.facts.content_length.map(Framing::Length));
        };
        if self.facts.content_length.is_some() {
            return Err(FieldError::BothLengths);
        }
        if version == Version::Http10 {
            return Err(FieldError::TransferEncodingInHttp10);
        }
        match coding {
            TransferEncoding::Chunked => {
                if self.facts.has_trailer {
                    self.set_hop(Name::Trailer, false);
                }
                Ok(Some(Framing::Chunked))
            }
            TransferEncoding::Unsupported => Err(FieldError::UnsupportedCoding),
            TransferEncoding::Invalid => Err(FieldError::TransferEncoding),
        }
    }

    pub(crate) fn has_transfer_encoding(&self) -> bool {
        self.facts.transfer_encoding.is_some()
    }

    /// Marks all fields of this name.
    pub(crate) fn set_hop(&mut self, name: Name, hop: bool) {
        for field in self.fields.iter_mut().filter(|field| field.id == name) {
            field.hop = hop;
        }
    }

    /// Whether the sender wants the connection to stay, RFC 9112 section 9.3.
    pub(crate) fn keep_alive(&self, version: Version) -> bool {
        !self.facts.close && (version == Version::Http11 || self.facts.keep_alive)
    }

    pub(crate) fn find(&self, name: Name) -> Option<&Field> {
        self.fields.iter().find(|field| field.id == name)
    }

    pub(crate) fn value<'a>(&self, bytes: &'a [u8], lower_name: &str) -> Option<&'a [u8]> {
        self.fields
            .iter()
            .find(|field| field.name.of(bytes).eq_ignore_ascii_case(lower_name.as_bytes()))
            .map(|field| field.value.of(bytes))
    }
}

/// The field in a line without its CRLF.
fn field(bytes: &[u8], line: Range<usize>) -> Result<Field, FieldError> {
    let (colon, id) = name(bytes, &line)?;
    let mut start = line.start + colon + 1;
    let mut end = line.end;
    while start < end && matches!(bytes[start], b' ' | b'\t') {
        start += 1;
    }
    while start < end && matches!(bytes[end - 1], b' ' | b'\t') {
        end -= 1;
    }
    Ok(Field {
        name: Span::new(line.start, line.start + colon),
        value: Span::new(start, end),
        line: Span::new(line.start, line.end + 2),
        id,
        hop: id.is_hop_by_hop(),
    })
}

/// How long the name in a line is, and which it is.
fn name(bytes: &[u8], line: &Range<usize>) -> Result<(usize, Name), FieldError> {
    let rest = &bytes[line.start..];
    if let Some(colon) = find_colon(rest, line.len())
        && colon < line.len()
    {
        let id = Name::of(&rest[..colon]);
        if id != Name::Other {
            // Known names are tokens.
            return Ok((colon, id));
        }
    }
    Ok((name_end(&bytes[line.clone()])?, Name::Other))
}

/// Where the colon after the name of a field line is, RFC 9112 section 5.1.
pub(crate) fn name_end(line: &[u8]) -> Result<usize, FieldError> {
    let end = line.iter().position(|&byte| !is_token(byte)).unwrap_or(line.len());
    match line.get(end) {
        Some(b':') if end > 0 => Ok(end),
        Some(b' ' | b'\t') if end == 0 => Err(FieldError::Folded),
        Some(b' ' | b'\t') if trim(&line[end..]).first() == Some(&b':') => {
            Err(FieldError::SpaceBeforeColon)
        }
        _ => Err(FieldError::Name),
    }
}

impl Facts {
    fn note(&mut self, bytes: &[u8], field: &Field, limits: &Limits) -> Result<(), FieldError> {
        let value = field.value.of(bytes);
        match field.id {
            Name::Host => {
                self.host_is_repeated |= self.host.is_some();
                self.host = Some(field.value);
            }
            Name::ContentLength => {
                if self.content_length.is_some() {
                    return Err(FieldError::RepeatedContentLength);
                }
                self.content_length = Some(content_length(value)?);
            }
            Name::TransferEncoding => {
                if self.transfer_encoding.is_some() {
                    return Err(FieldError::RepeatedTransferEncoding);
                }
                self.transfer_encoding = Some(TransferEncoding::of(value));
            }
            Name::Connection => self.note_options(value, limits)?,
            Name::Trailer => self.has_trailer = true,
            Name::Upgrade => self.has_upgrade = true,
            Name::Expect => self.expects_continue |= value.eq_ignore_ascii_case(b"100-continue"),
            _ => {}
        }
        Ok(())
    }

    /// The options of a Connection field, RFC 9110 section 7.6.1.
    fn note_options(&mut self, value: &[u8], limits: &Limits) -> Result<(), FieldError> {
        if Name::of(value) == Name::KeepAlive {
            // What most clients send need not be split.
            self.keep_alive = true;
            return Ok(());
        }
        for option in list(value) {
            // Nominated fields are looked up one by one: their number is bounded as the fields' is.
            self.options += 1;
            if self.options > limits.fields {
                return Err(FieldError::TooMany);
            }
            if option.eq_ignore_ascii_case(b"close") {
                self.close = true;
                continue;
            }
            match Name::of(option) {
                Name::KeepAlive => self.keep_alive = true,
                Name::Upgrade => self.upgrade = true,
                Name::Host | Name::ContentLength => return Err(FieldError::Nominated),
                name if name.is_hop_by_hop() => {}
                _ => self.nominates = true,
            }
        }
        Ok(())
    }
}
