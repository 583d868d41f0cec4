//! Why a head or a body is refused.
//!
//! Every text says what is wrong and where that is written; none repeats bytes of the message,
//! which may hold secrets.

use thiserror::Error;

/// What is wrong with the lines or the fields of a head, or with a trailer field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{}", self.reason())]
pub enum FieldError {
    /// A line ends in LF without CR.
    BareLf,
    /// A CR is not followed by LF.
    BareCr,
    /// NUL or another control character.
    Control,
    /// A line starts with white space.
    Folded,
    /// White space between a field's name and its colon.
    SpaceBeforeColon,
    /// A field's name is empty or not a token, or there is no colon.
    Name,
    /// More fields or connection options than [`crate::Limits::fields`].
    TooMany,
    /// More bytes than [`crate::Limits::head_bytes`].
    TooLarge,
    /// Content-Length is not one number up to 2^63-1.
    ContentLength,
    /// Content-Length is there twice.
    RepeatedContentLength,
    /// Content-Length and Transfer-Encoding are both there.
    BothLengths,
    /// Transfer-Encoding is not `chunked`, so that the end of the body cannot be known.
    TransferEncoding,
    /// Transfer-Encoding is there twice.
    RepeatedTransferEncoding,
    /// Transfer-Encoding in HTTP/1.0.
    TransferEncodingInHttp10,
    /// Transfer-Encoding names codings besides chunked.
    UnsupportedCoding,
    /// Connection nominates Host or Content-Length.
    Nominated,
}

impl FieldError {
    /// What is wrong, and the section that says so.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::BareLf => "a line ends in LF without CR (RFC 9112 section 2.2)",
            Self::BareCr => "a CR without LF (RFC 9112 section 2.2)",
            Self::Control => "a control character (RFC 9110 section 5.5)",
            Self::Folded => "a line starts with white space (RFC 9112 sections 2.2 and 5.2)",
            Self::SpaceBeforeColon => "white space before a colon (RFC 9112 section 5.1)",
            Self::Name => "a field name is not a token (RFC 9110 section 5.1)",
            Self::TooMany => "too many fields (RFC 6585 section 5)",
            Self::TooLarge => "the head is too large (RFC 6585 section 5)",
            Self::ContentLength => "Content-Length is not one number (RFC 9110 section 8.6)",
            Self::RepeatedContentLength => "Content-Length is repeated (RFC 9110 section 8.6)",
            Self::BothLengths => "both Content-Length and Transfer-Encoding (RFC 9112 section 6.1)",
            Self::TransferEncoding => "Transfer-Encoding is not chunked (RFC 9112 section 6.3)",
            Self::RepeatedTransferEncoding => {
                "Transfer-Encoding is repeated (RFC 9112 section 6.3)"
            }
            Self::TransferEncodingInHttp10 => {
                "Transfer-Encoding in HTTP/1.0 (RFC 9112 section 6.1)"
            }
            Self::UnsupportedCoding => "an unknown transfer coding (RFC 9112 section 6.1)",
            Self::Nominated => {
                "Connection nominates a field that the message needs (RFC 9110 section 7.6.1)"
            }
        }
    }
}

/// Why a request head is refused. The connection has to be closed after the reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{}", self.reason())]
pub enum RequestError {
    /// A line or a field.
    Field(#[from] FieldError),
    /// The request line is not preceded by at most one empty line.
    BeforeRequestLine,
    /// The method is not a token: most likely not HTTP at all.
    Method,
    /// The method is longer than any known one.
    LongMethod,
    /// The request line is not three parts.
    RequestLine,
    /// The request line has more bytes than [`crate::Limits::request_line`].
    LongRequestLine,
    /// The version is not of the form HTTP/1.1.
    Version,
    /// A version other than HTTP/1.0 and HTTP/1.1.
    UnsupportedVersion,
    /// The target holds a fragment, white space, or a byte that is not visible ASCII, or is of no
    /// known form.
    Target,
    /// The target has a scheme other than http and https, user information, or no valid authority.
    AbsoluteForm,
    /// The target of CONNECT is not a host and a port.
    AuthorityForm,
    /// The target `*` in a request other than OPTIONS.
    AsteriskForm,
    /// No Host in HTTP/1.1.
    MissingHost,
    /// More than one Host.
    RepeatedHost,
    /// Host is not a host with an optional port.
    Host,
    /// TRACE or CONNECT with content.
    Content,
}

impl RequestError {
    /// The status to answer with: 400, 414, 431, 501 or 505.
    pub fn status(&self) -> u16 {
        match self {
            Self::LongRequestLine => 414,
            Self::Field(FieldError::TooMany | FieldError::TooLarge) => 431,
            Self::LongMethod | Self::Field(FieldError::UnsupportedCoding) => 501,
            Self::UnsupportedVersion => 505,
            _ => 400,
        }
    }

    /// What is wrong, and the section that says so.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Field(field) => field.reason(),
            Self::BeforeRequestLine => "white space before the request line (RFC 9112 section 2.2)",
            Self::Method => "the method is not a token (RFC 9110 section 9.1)",
            Self::LongMethod => "the method is too long (RFC 9112 section 3)",
            Self::RequestLine => "the request line is not three parts (RFC 9112 section 3)",
            Self::LongRequestLine => "the request line is too long (RFC 9112 section 3)",
            Self::Version => "the version is malformed (RFC 9112 section 2.3)",
            Self::UnsupportedVersion => {
                "the version is not HTTP/1.0 or 1.1 (RFC 9110 section 15.6.6)"
            }
            Self::Target => "the request target is invalid (RFC 9112 section 3.2)",
            Self::AbsoluteForm => "the absolute-form target is invalid (RFC 9112 section 3.2.2)",
            Self::AuthorityForm => "the authority-form target is invalid (RFC 9112 section 3.2.3)",
            Self::AsteriskForm => "the target * is for OPTIONS only (RFC 9112 section 3.2.4)",
            Self::MissingHost => "Host is missing (RFC 9112 section 3.2)",
            Self::RepeatedHost => "Host is repeated (RFC 9112 section 3.2)",
            Self::Host => "Host is invalid (RFC 9112 section 3.2)",
            Self::Content => {
                "TRACE and CONNECT have no content (RFC 9110 sections 9.3.6 and 9.3.8)"
            }
        }
    }
}

/// Why a response head is refused: the upstream broke the protocol, and its connection cannot be
/// used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{}", self.reason())]
pub enum ResponseError {
    /// A line or a field.
    Field(#[from] FieldError),
    /// It does not start with HTTP/1.0 or HTTP/1.1.
    Version,
    /// The status line is malformed, or its code is not between 100 and 999.
    StatusLine,
    /// The status line has more bytes than [`crate::Limits::request_line`].
    LongStatusLine,
    /// 1xx or 204 with a Content-Length above 0 or a Transfer-Encoding.
    Content,
}

impl ResponseError {
    /// What is wrong, and the section that says so.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Field(field) => field.reason(),
            Self::Version => "the response is not HTTP/1.0 or 1.1 (RFC 9112 section 2.3)",
            Self::StatusLine => "the status line is malformed (RFC 9112 section 4)",
            Self::LongStatusLine => "the status line is too long (RFC 9112 section 4)",
            Self::Content => {
                "1xx and 204 have no content (RFC 9112 section 6.1, RFC 9110 section 8.6)"
            }
        }
    }
}

/// Why a body cannot be read or written on. The connection has to be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{}", self.reason())]
pub enum BodyError {
    /// A chunk size is not a hexadecimal number up to 2^63-1.
    ChunkSize,
    /// What follows a chunk size is not a chunk extension and CRLF.
    ChunkExtension,
    /// A chunk line is longer than [`crate::Limits::chunk_line`], or all together are too long for
    /// the data they frame.
    ChunkLine,
    /// Chunk data is not followed by CRLF.
    ChunkEnd,
    /// A trailer field.
    Trailer(FieldError),
    /// The trailer section exceeds [`crate::Limits::trailer_bytes`] or [`crate::Limits::fields`].
    TrailersTooLarge,
    /// The connection was closed before the end of the body.
    Truncated,
    /// The connection ended, which is to be the end of the body, without the word that this is no accident.
    CutOff,
    /// More content than was announced.
    TooLong,
    /// Less content than was announced.
    TooShort,
}

impl BodyError {
    /// What is wrong, and the section that says so.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::ChunkSize => "a chunk size is invalid (RFC 9112 section 7.1)",
            Self::ChunkExtension => "a chunk extension is invalid (RFC 9112 section 7.1.1)",
            Self::ChunkLine => "chunk extensions are too long (RFC 9112 section 7.1.1)",
            Self::ChunkEnd => "chunk data does not end in CRLF (RFC 9112 section 7.1)",
            Self::Trailer(field) => field.reason(),
            Self::TrailersTooLarge => "the trailer section is too large (RFC 9112 section 7.1.2)",
            Self::Truncated => "closed before the end of the body (RFC 9112 section 8)",
            Self::CutOff => {
                "ended without close_notify: the body may have been cut off (RFC 9112 section 9.8)"
            }
            Self::TooLong => "more content than announced (RFC 9110 section 8.6)",
            Self::TooShort => "less content than announced (RFC 9110 section 8.6)",
        }
    }
}
