//! The part of a body that was not read when its connection was hijacked.

use std::io;

use bytes::{Buf as _, Bytes, BytesMut};
use rosn_h1::{BodyDecoder, BodyError};
use tokio::io::AsyncReadExt as _;

use super::Hijacked;

/// How much one read asks for.
const READ: usize = 16 * 1024;

/// The part of a body that was not read. Its bytes are the next ones of the connection.
///
/// [`Hijacked::read_body`] reads them and leaves what follows the body.
#[derive(Debug, Default)]
#[non_exhaustive]
pub enum UnreadBody {
    /// Nothing: there is no body, or it was read.
    #[default]
    None,
    /// So many bytes.
    Length(u64),
    /// Chunks, from the first or from somewhere on.
    Chunked(Box<UnreadChunks>),
}

/// The rest of a body in chunks.
#[derive(Debug)]
pub struct UnreadChunks {
    /// Taken out of its chunk already, and not read.
    payload: Bytes,
    decoder: BodyDecoder,
    untouched: bool,
}

impl UnreadChunks {
    pub(crate) fn new(payload: Bytes, decoder: BodyDecoder, untouched: bool) -> Self {
        Self { payload, decoder, untouched }
    }

    /// Whether no byte of the body was used, so that the connection goes on with its first chunk line. Else its bytes
    /// mean nothing by themselves: read the rest by [`Hijacked::read_body`].
    pub fn is_untouched(&self) -> bool {
        self.untouched
    }
}

impl UnreadBody {
    /// Whether the bytes of the connection are the whole rest, and nothing else is.
    pub(super) fn is_raw(&self) -> bool {
        match self {
            Self::None | Self::Length(_) => true,
            Self::Chunked(chunks) => chunks.untouched,
        }
    }
}

impl Hijacked {
    /// The next part of the body's rest, without its framing; `None` at its end, from where on the connection's bytes
    /// are what came after it. Trailers are dropped.
    ///
    /// Cancel safety: nothing is lost by dropping the future.
    ///
    /// # Errors
    /// `UnexpectedEof` where the peer ended before the body did, `InvalidData` for chunks that are none (a
    /// [`BodyError`] says why), or that of the connection.
    pub async fn read_body(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            match &mut self.body {
                UnreadBody::None | UnreadBody::Length(0) => {
                    self.body = UnreadBody::None;
                    return Ok(None);
                }
                UnreadBody::Length(left) if !self.read_buf.is_empty() => {
                    let count = usize::try_from(*left).unwrap_or(usize::MAX);
                    let payload = self.read_buf.split_to(count.min(self.read_buf.len()));
                    *left -= payload.len() as u64;
                    return Ok(Some(payload));
                }
                UnreadBody::Chunked(chunks) if !chunks.payload.is_empty() => {
                    return Ok(Some(std::mem::take(&mut chunks.payload)));
                }
                UnreadBody::Chunked(chunks) if chunks.decoder.is_end() => {
                    self.body = UnreadBody::None;
                }
                UnreadBody::Chunked(chunks) if !self.read_buf.is_empty() => {
                    chunks.decode(&mut self.read_buf).map_err(invalid)?;
                }
                UnreadBody::Length(_) | UnreadBody::Chunked(_) => self.fill().await?,
            }
        }
    }

    /// Reads more behind an empty `read_buf`.
    async fn fill(&mut self) -> io::Result<()> {
        let mut buf = BytesMut::with_capacity(READ);
        if self.io.read_buf(&mut buf).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.read_buf = buf.freeze();
        Ok(())
    }
}

impl UnreadChunks {
    fn decode(&mut self, bytes: &mut Bytes) -> Result<(), BodyError> {
        self.untouched = false;
        let mut piece = BytesMut::from(&bytes[..bytes.len().min(READ)]);
        let decoded = self.decoder.decode(&mut piece)?;
        bytes.advance(decoded.consumed);
        self.payload = piece.freeze().slice(decoded.data);
        Ok(())
    }
}

fn invalid(error: BodyError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
