//! The opening handshake on a connection, on both sides.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use rosn_base::Addr;
use rosn_base::Buf;
use rosn_net::{Prefixed, Stream};
use tokio::io::AsyncWriteExt as _;

use super::client::{self, Request};
use super::head::read_head;
use super::server::{self, Answer, Rules};
use super::stream::{Role, WebSocket};

/// What rosn calls itself in a handshake: to another rosn, a connection can be closed right behind its last bytes.
pub(super) const NAME: &str = "rosn";

/// A handshake that a dialer is going to make.
#[derive(Debug)]
pub(super) struct Shake {
    pub(super) request: Arc<Request>,
    pub(super) to: Addr,
    /// Whether TLS is below.
    pub(super) secure: bool,
    pub(super) timeout: Duration,
    pub(super) head_bytes: usize,
    pub(super) ping_interval: Option<Duration>,
}

impl Shake {
    pub(super) fn max_early_data(&self) -> usize {
        self.request.early.max()
    }

    /// Asks for a WebSocket and waits for the answer.
    ///
    /// Cancel safety: dropping the future closes the connection.
    ///
    /// # Errors
    /// `TimedOut`; `InvalidData` with words where the answer is another one; else what the connection says.
    pub(super) async fn run(self, stream: Stream, early: &[u8]) -> io::Result<WebSocket> {
        let timeout = self.timeout;
        match tokio::time::timeout(timeout, self.exchange(stream, early)).await {
            Ok(result) => result,
            Err(_) => Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("there was no answer within {timeout:?}"),
            )),
        }
    }

    async fn exchange(self, mut stream: Stream, early: &[u8]) -> io::Result<WebSocket> {
        let key = client::key();
        let head = self.request.head(&self.to, self.secure, &key, early);
        stream.write_all(head.as_bytes()).await?;
        stream.flush().await?;
        let (answer, unread) = read_head(&mut stream, self.head_bytes).await?;
        let is_rosn = client::check(&answer, &key)
            .map_err(|what| io::Error::new(io::ErrorKind::InvalidData, what))?;
        let connection = Prefixed::new(unread, stream);
        Ok(WebSocket::new(Role::Client, connection, Bytes::new(), self.ping_interval, is_rosn))
    }
}

/// Reads a request and answers it. What the client has sent behind its request is not lost.
///
/// Cancel safety: dropping the future closes the connection.
///
/// # Errors
/// `InvalidData` with the reason for which the client was refused; else what the connection says.
pub(super) async fn serve(
    mut stream: Stream,
    rules: &Rules,
    head_bytes: usize,
    ping_interval: Option<Duration>,
) -> io::Result<WebSocket> {
    let (answer, unread) = match read_head(&mut stream, head_bytes).await {
        Ok((head, unread)) => (rules.answer(&head), unread),
        Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
            (server::too_long(), Buf::default())
        }
        Err(error) => return Err(error),
    };
    match answer {
        Answer::Accept { response, early, is_rosn } => {
            stream.write_all(response.as_bytes()).await?;
            stream.flush().await?;
            let connection = Prefixed::new(unread, stream);
            Ok(WebSocket::new(Role::Server, connection, early, ping_interval, is_rosn))
        }
        Answer::Refuse { response, why } => {
            stream.write_all(response.as_bytes()).await?;
            stream.shutdown().await?;
            let what = format!("the request was refused: {why}");
            Err(io::Error::new(io::ErrorKind::InvalidData, what))
        }
    }
}

/// What `Sec-WebSocket-Accept` says to a `Sec-WebSocket-Key` (RFC 6455 section 4.2.2).
pub fn accept_key(key: &str) -> String {
    let mut context = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    context.update(key.as_bytes());
    context.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    STANDARD.encode(context.finish())
}

/// Whether a comma-separated list has a token, in whatever case.
pub(super) fn has_token(list: &[u8], token: &str) -> bool {
    list.split(|byte| *byte == b',')
        .any(|item| item.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
}

/// A path with its slash; v2ray takes one without.
pub(crate) fn with_slash(path: &str) -> String {
    let slash = if path.starts_with('/') { "" } else { "/" };
    format!("{slash}{path}")
}

/// A path and query as they are sent: bytes that a request line cannot have are escaped, as Go does.
pub(crate) fn escape_target(target: &str) -> String {
    let target = with_slash(target);
    let mut escaped = String::with_capacity(target.len());
    for byte in target.bytes() {
        match byte {
            b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' | b'#' => {
                escape(&mut escaped, byte)
            }
            0x21..=0x7E => escaped.push(char::from(byte)),
            _ => escape(&mut escaped, byte),
        }
    }
    escaped
}

fn escape(into: &mut String, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    into.push('%');
    into.push(char::from(HEX[usize::from(byte >> 4)]));
    into.push(char::from(HEX[usize::from(byte & 15)]));
}
