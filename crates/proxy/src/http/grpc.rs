//! gRPC calls: what is different about them from other exchanges
//! (<https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>).
//!
//! A call is a request over HTTP/2 whose content type says so. It has a status of its own, which stands in the
//! trailers of the response, or in its head where there is no message. What the proxy has to say about it is such a
//! head ("trailers only"). Its deadline comes with the request, and bounds all of it, however long its stream has been
//! going on; nothing else does once the response has begun, since a stream may be silent for as long as it likes.

mod message;
mod metrics;
mod timeout;

use rosn_h1::{Name, RequestHead};

use super::failure::Failure;
use super::headers::Fields;
use super::reply::{self, status_line};
use crate::upstream::NEVER;
pub use metrics::{GrpcMetrics, GrpcStats};

/// The codes that the proxy itself says.
pub(crate) mod code {
    pub(crate) const OK: u32 = 0;
    pub(crate) const CANCELLED: u32 = 1;
    pub(crate) const UNKNOWN: u32 = 2;
    pub(crate) const DEADLINE_EXCEEDED: u32 = 4;
    pub(crate) const PERMISSION_DENIED: u32 = 7;
    pub(crate) const UNIMPLEMENTED: u32 = 12;
    pub(crate) const INTERNAL: u32 = 13;
    pub(crate) const UNAVAILABLE: u32 = 14;
    pub(crate) const UNAUTHENTICATED: u32 = 16;
}

/// Bytes of a message that are kept for logs.
const KEPT: usize = 1024;

/// What is known of a gRPC call.
#[derive(Debug)]
pub(crate) struct Call {
    /// When it must be over, in nanoseconds of the worker's clock; [`NEVER`] where the client did not say.
    pub(crate) deadline: u64,
    /// How it has ended, once that is known.
    pub(crate) status: Option<u32>,
    /// What was said about that, percent-encoded.
    pub(crate) message: Vec<u8>,
}

impl Call {
    /// The call that a request of HTTP/2 is, if it is one. It `began` at this time.
    pub(crate) fn of(head: &RequestHead, bytes: &[u8], began: u64) -> Option<Box<Self>> {
        let kind = head.find(Name::ContentType)?.value.of(bytes);
        if !is_grpc(kind) {
            return None;
        }
        let timeout = head.find(Name::GrpcTimeout);
        let timeout = timeout.and_then(|field| timeout::parse(field.value.of(bytes)));
        let deadline = timeout.map_or(NEVER, |timeout| began.saturating_add(timeout));
        Some(Box::new(Self { deadline, status: None, message: Vec::new() }))
    }

    /// Forgets what an earlier try has come to.
    pub(crate) fn begin_try(&mut self) {
        self.status = None;
        self.message.clear();
    }

    /// Takes note of the status where a head has one.
    pub(crate) fn note(&mut self, head: Fields<'_>) {
        if let Some(status) = status_of(head) {
            self.status = Some(status);
            self.keep_message(head.find("grpc-message"));
        }
    }

    /// Takes note of the status in these trailers, given as lines of a head.
    pub(crate) fn note_trailers(&mut self, lines: &[u8]) {
        let find = |wanted: &[u8]| {
            lines.split(|byte| *byte == b'\n').find_map(|line| {
                let (name, value) = line.split_at(memchr::memchr(b':', line)?);
                name.eq_ignore_ascii_case(wanted).then(|| value[1..].trim_ascii())
            })
        };
        if let Some(status) = find(b"grpc-status").and_then(parse_status) {
            self.status = Some(status);
            self.keep_message(find(b"grpc-message"));
        }
    }

    fn keep_message(&mut self, message: Option<&[u8]>) {
        let message = message.unwrap_or_default();
        self.message.clear();
        self.message.extend_from_slice(&message[..message.len().min(KEPT)]);
    }

    /// Takes note of what the call has come to by a failure.
    pub(crate) fn failed(&mut self, failure: &Failure, now: u64) {
        self.begin_try();
        self.status = match failure {
            _ if now >= self.deadline => Some(code::DEADLINE_EXCEEDED),
            Failure::Deadline | Failure::Timeout | Failure::TryTimeout => {
                Some(code::DEADLINE_EXCEEDED)
            }
            Failure::GrpcStatus(status) => Some(*status),
            Failure::ClientGone | Failure::ClientStalled => Some(code::CANCELLED),
            Failure::Broken(_) => Some(code::INTERNAL), // as clients take a reset
            failure => Some(from_http(failure.status())),
        };
    }

    /// Appends the head that tells the client how the call has failed, for reasons that are these of HTTP.
    pub(crate) fn encode_reply(
        &mut self,
        http_status: u16,
        reason: &[u8],
        extra: &[u8],
        date: &[u8],
        out: &mut Vec<u8>,
    ) {
        let status = *self.status.get_or_insert(from_http(http_status));
        self.message.clear();
        message::encode(reason.trim_ascii_end(), &mut self.message);
        status_line(200, b"OK", out);
        reply::field("Date", date, out);
        reply::field("Content-Type", b"application/grpc", out);
        reply::field("Grpc-Status", status.to_string().as_bytes(), out);
        reply::field("Grpc-Message", &self.message, out);
        out.extend_from_slice(extra);
        out.extend_from_slice(b"\r\n");
    }

    /// Appends the field that tells the endpoint how much time is left.
    pub(crate) fn encode_timeout(&self, now: u64, out: &mut Vec<u8>) {
        if self.has_deadline() {
            out.extend_from_slice(b"grpc-timeout: ");
            timeout::encode(self.deadline.saturating_sub(now), out);
            out.extend_from_slice(b"\r\n");
        }
    }

    /// Whether the client has said how long it may take.
    pub(crate) fn has_deadline(&self) -> bool {
        self.deadline != NEVER
    }

    /// The status of HTTP that says about the same, for counters and balancers; `None` where it is not known how the
    /// call has ended.
    pub(crate) fn http_status(&self) -> Option<u16> {
        self.status.map(to_http)
    }
}

/// The status of a call in the head of its response, if that is all there is of it.
pub(crate) fn status_of(head: Fields<'_>) -> Option<u32> {
    head.find("grpc-status").and_then(parse_status)
}

/// Whether this content type is gRPC's: `application/grpc`, with `+` and a format of messages, or with parameters.
fn is_grpc(content_type: &[u8]) -> bool {
    const GRPC: &[u8] = b"application/grpc";
    content_type.split_at_checked(GRPC.len()).is_some_and(|(kind, rest)| {
        kind.eq_ignore_ascii_case(GRPC)
            && rest.first().is_none_or(|next| matches!(next, b'+' | b';' | b' ' | b'\t'))
    })
}

/// Digits; what is none counts as [`code::UNKNOWN`], as for clients.
fn parse_status(value: &[u8]) -> Option<u32> {
    if value.is_empty() {
        return None;
    }
    let text = std::str::from_utf8(value).ok();
    Some(text.and_then(|text| text.parse().ok()).unwrap_or(code::UNKNOWN))
}

/// The code for a status of HTTP
/// (<https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md>).
fn from_http(status: u16) -> u32 {
    match status {
        400 => code::INTERNAL,
        401 => code::UNAUTHENTICATED,
        403 => code::PERMISSION_DENIED,
        404 => code::UNIMPLEMENTED,
        429 | 502 | 503 | 504 => code::UNAVAILABLE,
        _ => code::UNKNOWN,
    }
}

/// The status of HTTP for a code, as `google.rpc.Code` has it.
fn to_http(status: u32) -> u16 {
    match status {
        code::OK => 200,
        code::CANCELLED => 499,
        3 | 9 | 11 => 400, // INVALID_ARGUMENT, FAILED_PRECONDITION, OUT_OF_RANGE
        code::DEADLINE_EXCEEDED => 504,
        5 => 404,      // NOT_FOUND
        6 | 10 => 409, // ALREADY_EXISTS, ABORTED
        code::PERMISSION_DENIED => 403,
        8 => 429, // RESOURCE_EXHAUSTED
        code::UNIMPLEMENTED => 501,
        code::UNAVAILABLE => 503,
        code::UNAUTHENTICATED => 401,
        _ => 500,
    }
}

#[cfg(test)]
mod tests;
