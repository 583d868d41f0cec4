//! Takes a header from a connection.

use std::future::poll_fn;

use tokio::io::{AsyncReadExt as _, ReadBuf};

use super::{Header, Progress, ProxyProtocolError, parse};
use crate::Stream;

/// Bytes that are looked at together: more than most headers have.
const LOOK: usize = 256;

/// Takes the header from the start of a connection, and not one byte of what comes after it.
///
/// There is no timeout here: give up by dropping the future.
///
/// Cancel safety: a part of the header may have been taken; close the connection.
///
/// # Errors
/// See [`ProxyProtocolError`]. Nothing can be read from the connection then.
pub async fn accept_proxy_header(stream: &mut Stream) -> Result<Header, ProxyProtocolError> {
    let mut seen = Vec::new();
    loop {
        let taken = seen.len();
        let mut space = [0; LOOK];
        let mut look = ReadBuf::new(&mut space);
        if poll_fn(|cx| stream.poll_peek(cx, &mut look)).await? == 0 {
            return Err(ProxyProtocolError::Ended { after: taken });
        }
        seen.extend_from_slice(look.filled());
        // Of a part of a header, every byte belongs to it.
        let (header, ours) = match parse(&seen)? {
            Progress::Complete { header, len } => (Some(header), len - taken),
            Progress::Partial => (None, seen.len() - taken),
        };
        stream.read_exact(&mut space[..ours]).await?;
        if let Some(header) = header {
            return Ok(header);
        }
    }
}
