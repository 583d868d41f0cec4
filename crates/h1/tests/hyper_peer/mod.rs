//! The same bytes given to this codec and to hyper's server connection: whatever is accepted here
//! has to be accepted there, and has to mean the same. The reverse does not hold: this codec refuses
//! much that hyper accepts.
//!
//! Known differences, which are left out of the comparison:
//!
//! * The targets that `http::Uri` cannot hold though RFC 9112 section 3.2 leaves them to the
//!   server: visible ASCII outside of the URI grammar, as browsers send it (`<`, `"`, `|` and so
//!   on), and authorities with characters beyond letters, digits, `-`, `.`, `_`, `:`, `[` and `]`.
//! * `OPTIONS http://host` means `OPTIONS *` (RFC 9112 section 3.2.4); hyper says `/`.
//! * Trailer fields that RFC 9110 section 6.5.1 forbids are dropped here and kept by hyper.
//! * hyper allows 16 KiB of chunk extensions in a body, however much data it has; here they are
//!   weighed against the data. Bodies are smaller than that here.

use std::cell::RefCell;
use std::rc::Rc;

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::TokioIo;
use rosn_h1::{BodyDecoder, Limits, Method, Progress, RequestHead};
use tokio::io::AsyncWriteExt;
use tokio::runtime::Runtime;

/// What a request means.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Message {
    method: String,
    /// Of an absolute-form or authority-form target.
    authority: Option<String>,
    path_and_query: String,
    /// Sorted by name; several values of a name in their order.
    fields: Vec<(String, Vec<u8>)>,
    content: Vec<u8>,
    trailers: Vec<(String, Vec<u8>)>,
}

/// The first request in `bytes`, if this codec accepts it and it is whole.
pub(crate) fn by_rosn(bytes: &[u8]) -> Option<Message> {
    let limits = Limits::default();
    let mut head = RequestHead::default();
    let Ok(Progress::Complete(length)) = head.parse(bytes, &limits) else {
        return None;
    };
    let mut body = bytes[length..].to_vec();
    let mut decoder = BodyDecoder::new(head.framing(), &limits);
    let decoded = decoder.decode(&mut body).ok()?;
    if !decoded.end {
        return None;
    }
    let is_origin = !head.is_absolute_form() && head.method() != Method::Connect;
    let fields = head
        .fields()
        .iter()
        .map(|field| (lower(field.name.of(bytes)), field.value.of(bytes).to_vec()));
    let trailers = decoder.trailers().split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
    let trailers = trailers.map(|line| {
        let colon = line.iter().position(|&byte| byte == b':').expect("it was validated");
        (lower(&line[..colon]), line[colon + 1..].trim_ascii().to_vec())
    });
    Some(Message {
        method: text(head.method_span().of(bytes)),
        authority: (!is_origin).then(|| text(head.authority(bytes))),
        path_and_query: text(head.path_and_query(bytes)),
        fields: sorted(fields),
        content: body[decoded.data].to_vec(),
        trailers: sorted(trailers),
    })
}

/// The first request in `bytes`, if hyper accepts it and it is whole.
pub(crate) fn by_hyper(runtime: &Runtime, bytes: &[u8]) -> Option<Message> {
    let seen = Rc::new(RefCell::new(None));
    let service = hyper::service::service_fn(|request: Request<Incoming>| {
        let seen = seen.clone();
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await?;
            let trailers = body.trailers().map(fields).unwrap_or_default();
            *seen.borrow_mut() = Some(Message {
                method: head.method.to_string(),
                authority: head.uri.authority().map(ToString::to_string),
                path_and_query: head
                    .uri
                    .path_and_query()
                    .map(ToString::to_string)
                    .unwrap_or_default(),
                fields: fields(&head.headers),
                content: body.to_bytes().to_vec(),
                trailers,
            });
            Ok::<_, hyper::Error>(Response::new(Empty::<Bytes>::new()))
        }
    });
    runtime.block_on(async {
        let (mut client, server) = tokio::io::duplex(bytes.len() + 64 * 1024);
        client.write_all(bytes).await.expect("there is room");
        client.shutdown().await.expect("it is open");
        // An error is how hyper refuses.
        let _ = hyper::server::conn::http1::Builder::new()
            .keep_alive(false)
            .half_close(true)
            .header_read_timeout(None)
            .serve_connection(TokioIo::new(server), service)
            .await;
    });
    seen.take()
}

/// Compares the two. Whether there was something to compare.
///
/// # Errors
/// What both made of the bytes, where it differs.
pub(crate) fn compare(runtime: &Runtime, bytes: &[u8]) -> Result<bool, String> {
    let Some(ours) = by_rosn(bytes) else {
        return Ok(false);
    };
    if is_beyond_uri(&ours) {
        return Ok(false);
    }
    let Some(mut theirs) = by_hyper(runtime, bytes) else {
        return Err(format!("refused by hyper: {ours:?}"));
    };
    theirs.trailers.retain(|trailer| ours.trailers.contains(trailer));
    if ours == theirs { Ok(true) } else { Err(format!("{ours:?} is to hyper {theirs:?}")) }
}

/// A runtime to give to [`compare`].
pub(crate) fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().build().expect("it needs nothing")
}

fn is_beyond_uri(message: &Message) -> bool {
    let is_path = |byte: u8| !b"<>\"\\^`{|}[]".contains(&byte);
    let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
    let is_options = message.authority.is_some() && message.path_and_query == "*";
    is_options
        || !message.path_and_query.bytes().all(is_path)
        || !message.authority.iter().all(|authority| authority.bytes().all(is_host))
}

fn fields(map: &HeaderMap) -> Vec<(String, Vec<u8>)> {
    sorted(map.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())))
}

fn sorted(fields: impl Iterator<Item = (String, Vec<u8>)>) -> Vec<(String, Vec<u8>)> {
    let mut fields: Vec<_> = fields.collect();
    fields.sort_by(|(one, _), (other, _)| one.cmp(other));
    fields
}

fn lower(bytes: &[u8]) -> String {
    text(bytes).to_ascii_lowercase()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
