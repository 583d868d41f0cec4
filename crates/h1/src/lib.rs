//! HTTP/1.1 on the wire, without I/O: bytes in, ranges and framing out.
//!
//! A head is parsed into byte ranges of the caller's buffer, so that fields keep their case and
//! order and an unchanged field is forwarded as the bytes it came as. Parsing is incremental: a
//! call sees all bytes of the message so far, remembers which lines it has dealt with, and says
//! either [`Progress::Partial`] or how long the head is. Nothing is allocated once a
//! [`RequestHead`] or [`ResponseHead`] has been used for a head of ordinary size.
//!
//! * [`RequestHead`], [`ResponseHead`]: the heads, and what follows from them: the [`Framing`] of
//!   the body, whether the connection lives on, which fields are hop-by-hop.
//! * [`BodyDecoder`], [`BodyEncoder`]: the body, in and out of its framing.
//! * [`Name`]: the field names that mean something to a proxy, as small numbers.
//! * [`Limits`]: how much a peer may send before it is refused.
//!
//! # Strictness
//!
//! What two parsers could read differently is refused (RFC 9112 section 11.2): a request with
//! [`RequestError::status`], after which the connection has to be closed, and a response with
//! [`ResponseError`]. Each error names the section it rests on. Stricter than the RFC demands:
//!
//! * a line ends in CRLF, in requests and in responses; a bare LF or CR is refused (section 2.2
//!   allows LF);
//! * obsolete line folding is refused (section 5.2 would allow to unfold it in a response), and so
//!   is a space before the colon of a response (section 5.1 would allow to remove it);
//! * Content-Length appears once with one number up to 2^63-1 (RFC 9110 section 8.6 allows equal
//!   repetitions); beside Transfer-Encoding it is refused (section 6.3 allows to ignore it);
//! * Transfer-Encoding is one field that says `chunked` and nothing else, in HTTP/1.1;
//! * a request target is made of visible ASCII, without a fragment, and Host has no comma in it.
//!
//! More lenient than the grammar, because origins need it: a status line may lack the space before
//! an absent reason phrase, and a response without content may have `Content-Length: 0`.
//!
//! # Example
//!
//! ```
//! use rosn_h1::{BodyDecoder, Framing, Limits, Method, Progress, RequestHead};
//!
//! let limits = Limits::default();
//! let mut bytes = *b"POST /a?b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n\
//!     3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
//!
//! let mut head = RequestHead::default();
//! assert_eq!(head.parse(&bytes[..20], &limits)?, Progress::Partial);
//! let Progress::Complete(length) = head.parse(&bytes, &limits)? else { panic!("it is all there") };
//! assert_eq!(head.method(), Method::Post);
//! assert_eq!(head.path(&bytes), b"/a");
//! assert_eq!(head.authority(&bytes), b"x");
//! assert_eq!(head.framing(), Framing::Chunked);
//!
//! let mut body = BodyDecoder::new(head.framing(), &limits);
//! let decoded = body.decode(&mut bytes[length..])?;
//! assert!(decoded.end);
//! assert_eq!(&bytes[length..][decoded.data], b"abcde");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod body;
mod bytes;
mod error;
mod field;
mod framing;
mod head;
mod limits;
mod method;
mod name;
mod request;
mod response;
mod span;
mod target;

pub use body::{BodyDecoder, BodyEncoder, Decoded, Frame, is_forbidden_trailer};
pub use bytes::{is_token, list};
pub use error::{BodyError, FieldError, RequestError, ResponseError};
pub use field::Field;
pub use framing::Framing;
pub use head::{Progress, Version};
pub use limits::Limits;
pub use method::Method;
pub use name::Name;
pub use request::RequestHead;
pub use response::ResponseHead;
pub use span::Span;
