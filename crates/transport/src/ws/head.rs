//! Reads an HTTP/1.1 head off a connection, and keeps what comes after it.

use std::io;

use bytes::{Bytes, BytesMut};
use memchr::memmem;
use rosn_base::Buf;
use rosn_net::Stream;
use tokio::io::AsyncReadExt as _;

/// Reads until the empty line that ends a head. Returns the head with that line, and the bytes behind it.
///
/// Cancel safety: none; what was read is lost.
///
/// # Errors
/// `UnexpectedEof` where the connection ends before, `FileTooLarge` where the head is longer than `limit` bytes, else
/// what reading says.
pub(super) async fn read_head(stream: &mut Stream, limit: usize) -> io::Result<(Bytes, Buf)> {
    let mut buffer = BytesMut::with_capacity(1024);
    loop {
        // The empty line may have come in pieces.
        let seen = buffer.len().saturating_sub(3);
        if stream.read_buf(&mut buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(at) = memmem::find(&buffer[seen..], b"\r\n\r\n") {
            let length = seen + at + 4;
            if length > limit {
                return Err(io::ErrorKind::FileTooLarge.into());
            }
            let mut bytes = buffer.freeze();
            let head = bytes.split_to(length);
            let mut unread = Buf::with_capacity(bytes.len());
            unread.extend(&bytes);
            return Ok((head, unread));
        }
        if buffer.len() >= limit {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
    }
}
