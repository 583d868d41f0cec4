//! Asks an HTTP proxy to connect further (RFC 9110, section 9.3.6).

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, header};
use rosn_h1::{Limits, Method, Progress, ResponseHead};
use rosn_net::Stream;
use rosn_trace::BoxError;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadBuf};

use super::Proxy;
use crate::connect::ProxyError;

/// Interim responses that are passed over, as many as to a request.
const MAX_INTERIM: usize = 5;

/// Bytes of the proxy's words that an error repeats.
const SHOWN: usize = 100;

/// What a CONNECT request carries besides Host and the credentials of the proxy's URL, which win over those here.
/// Host and the fields of a message's framing are left out.
#[derive(Clone)]
pub struct ProxyHeaders(Kind);

#[derive(Clone)]
enum Kind {
    Fixed(HeaderMap),
    Asked(Arc<Ask>),
}

type Ask = dyn Fn(&Proxy, &str) -> Result<HeaderMap, BoxError> + Send + Sync;

impl ProxyHeaders {
    /// Always these.
    pub fn fixed(headers: HeaderMap) -> Self {
        Self(Kind::Fixed(headers))
    }

    /// Asked for each CONNECT: for this proxy and that server's `host:port`. An error ends the attempt. It must not
    /// block.
    pub fn from_fn(
        ask: impl Fn(&Proxy, &str) -> Result<HeaderMap, BoxError> + Send + Sync + 'static,
    ) -> Self {
        Self(Kind::Asked(Arc::new(ask)))
    }

    fn for_connect(&self, proxy: &Proxy, authority: &str) -> Result<HeaderMap, ProxyError> {
        match &self.0 {
            Kind::Fixed(headers) => Ok(headers.clone()),
            Kind::Asked(ask) => ask(proxy, authority).map_err(ProxyError::Fields),
        }
    }
}

impl Default for ProxyHeaders {
    /// None.
    fn default() -> Self {
        Self::fixed(HeaderMap::new())
    }
}

impl fmt::Debug for ProxyHeaders {
    /// Shows no values.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Fixed(headers) => f.debug_set().entries(headers.keys()).finish(),
            Kind::Asked(_) => f.write_str("ProxyHeaders(function)"),
        }
    }
}

/// Has the proxy connect to `authority`. The status of its answer, where there was one, and what came of it.
///
/// No byte behind the head of the answer is read, so what the server says first is there for who reads next.
pub(in crate::connect) async fn connect(
    stream: &mut Stream,
    proxy: &Proxy,
    authority: &str,
    headers: &ProxyHeaders,
) -> (Option<u16>, Result<(), ProxyError>) {
    let mut status = None;
    let result = ask(stream, proxy, authority, headers, &mut status).await;
    (status, result)
}

async fn ask(
    stream: &mut Stream,
    proxy: &Proxy,
    authority: &str,
    headers: &ProxyHeaders,
    status: &mut Option<u16>,
) -> Result<(), ProxyError> {
    let request = request(proxy, authority, headers.for_connect(proxy, authority)?);
    stream.write_all(&request).await?;
    stream.flush().await?;
    let mut head = ResponseHead::default();
    for _ in 0..=MAX_INTERIM {
        let bytes = read_head(stream, &mut head).await?;
        *status = Some(head.status());
        if !head.is_interim() {
            return judge(&head, &bytes);
        }
        head.reset();
    }
    Err(ProxyError::TooManyInterim)
}

fn request(proxy: &Proxy, authority: &str, mut headers: HeaderMap) -> Vec<u8> {
    if let Some(authorization) = proxy.authorization() {
        headers.insert(header::PROXY_AUTHORIZATION, authorization);
    }
    let mut bytes = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n").into_bytes();
    for (name, value) in headers.iter().filter(|(name, _)| !is_ours(name)) {
        bytes.extend_from_slice(name.as_ref());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"\r\n");
    bytes
}

/// Fields that say where the request goes and where it ends.
fn is_ours(name: &HeaderName) -> bool {
    use header::{CONTENT_LENGTH, HOST, TRAILER, TRANSFER_ENCODING};
    [HOST, CONTENT_LENGTH, TRANSFER_ENCODING, TRAILER].contains(name)
}

/// Reads one head and not a byte more: it looks at what is there before it takes it.
async fn read_head(stream: &mut Stream, head: &mut ResponseHead) -> Result<Vec<u8>, ProxyError> {
    let limits = Limits::default();
    let mut bytes = Vec::new();
    let mut looked_at = [0; 1024];
    loop {
        let mut room = ReadBuf::new(&mut looked_at);
        let count = poll_fn(|cx| {
            room.clear();
            stream.poll_peek(cx, &mut room)
        });
        let count = count.await?;
        if count == 0 {
            return Err(ProxyError::Closed);
        }
        let known = bytes.len();
        bytes.extend_from_slice(&looked_at[..count]);
        let progress = head.parse(&bytes, &limits, Method::Connect)?;
        let length = match progress {
            Progress::Complete(length) => length,
            Progress::Partial => bytes.len(),
        };
        Pin::new(&mut *stream).read_exact(&mut looked_at[..length - known]).await?;
        if let Progress::Complete(length) = progress {
            bytes.truncate(length);
            return Ok(bytes);
        }
    }
}

fn judge(head: &ResponseHead, bytes: &[u8]) -> Result<(), ProxyError> {
    match head.status() {
        200..300 => Ok(()),
        407 => {
            let wanted = head.value(bytes, "proxy-authenticate").unwrap_or_default();
            let scheme = wanted.split(|byte| *byte == b' ').next().unwrap_or_default();
            Err(ProxyError::Unauthenticated { scheme: shown(scheme) })
        }
        status => Err(ProxyError::Refused { status, reason: shown(head.reason().of(bytes)) }),
    }
}

/// The proxy's words, such as can stand in a log.
fn shown(words: &[u8]) -> Box<str> {
    let words = words.iter().take(SHOWN).map(|byte| match byte {
        b' '..=b'~' => char::from(*byte),
        _ => '?',
    });
    words.collect::<String>().into()
}
