//! How a connection begins: TLS, and which protocol is spoken.

use tokio::time::sleep_until;

use super::connection::{Connection, NEW, Stop};
use super::http2::{Begins, begins};
use super::timer::after;
use super::{ConnState, Ended, Handler, ServeError};
use crate::hijack::{ConnGuard, Hijacked, SentResponse};

/// What is spoken on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    Http1,
    Http2,
}

impl<H: Handler> Connection<H> {
    /// Does the handshake of TLS where one is wanted, and finds out what is spoken. The stream is gone where somebody else
    /// speaks that.
    pub(super) async fn begin(&mut self) -> Result<Version, Stop> {
        self.secure().await?;
        let alpn = self.session.as_ref().and_then(|session| session.alpn());
        match alpn.map(<[u8]>::to_vec).as_deref() {
            Some(b"h2") => Ok(Version::Http2),
            Some(b"http/1.1" | b"http/1.0") => Ok(Version::Http1),
            Some(other) => Err(self.hand_over(other)),
            None if self.wire.entry().registry.options.plain_http2 => self.detect().await,
            None => Ok(Version::Http1),
        }
    }

    async fn secure(&mut self) -> Result<(), Stop> {
        let options = &self.wire.entry().registry.options;
        let (Some(tls), header_timeout) = (options.tls.clone(), options.header_timeout) else {
            return Ok(());
        };
        let Some(stream) = self.wire.stream.take() else { return Err(Stop::End) };
        let due = after(header_timeout);
        let new_due = self.accepted + NEW;
        let shutdown = &mut self.shutdown;
        let secured = tokio::select! {
            biased;
            secured = tls.accept(stream) => secured,
            () = sleep_until(due) => return Err(Stop::Failed(ServeError::HeaderTimeout)),
            // One that is new has a while.
            () = async {
                shutdown.wait().await;
                sleep_until(new_due).await;
            } => return Err(Stop::End),
        };
        let secured = secured.map_err(|error| Stop::Failed(ServeError::Tls(error)))?;
        self.session = Some(secured.session());
        self.wire.stream = Some(secured.into_stream());
        Ok(())
    }

    /// Gives the connection to those who speak `protocol`.
    fn hand_over(&mut self, protocol: &[u8]) -> Stop {
        let found = self.wire.entry().registry.options.next_protocols.find(protocol);
        let Some(take) = found else {
            let name = protocol.escape_ascii().to_string();
            return Stop::Failed(ServeError::Protocol(name));
        };
        let (Some(io), Some(mut entry)) = (self.wire.stream.take(), self.wire.entry.take()) else {
            return Stop::End;
        };
        entry.set(ConnState::Active);
        entry.set(ConnState::Hijacked);
        let mut hijacked = Hijacked::new(io, Default::default());
        hijacked.response = SentResponse::Nothing;
        hijacked.shutdown = entry.registry.hijacked.signal();
        hijacked.guard = ConnGuard::holding(entry);
        take(hijacked);
        Stop::Ended(Ended::Hijacked)
    }

    /// Looks at the first bytes.
    async fn detect(&mut self) -> Result<Version, Stop> {
        let due = after(self.wire.entry().registry.options.header_timeout);
        loop {
            match begins(self.wire.inbound.unread()) {
                Begins::Http1 => return Ok(Version::Http1),
                Begins::Http2 => return Ok(Version::Http2),
                Begins::Either => {}
            }
            match self.wait(due, false, true).await {
                Ok(1..) => {}
                // The beginning of a request, or nothing: the other way to read finds out.
                Ok(0) | Err(ServeError::Io(_)) => return Ok(Version::Http1),
                Err(error) if self.wire.inbound.is_empty() => {
                    drop(error);
                    return Err(Stop::End);
                }
                Err(error) => return Err(Stop::Failed(error)),
            }
        }
    }
}
