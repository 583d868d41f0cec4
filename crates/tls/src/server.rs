//! The server's side: answers handshakes.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::SystemTime;

use arc_swap::ArcSwap;
use rustls::pki_types::CertificateDer;
use rustls::server::{ServerConfig, ServerConnection};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{LazyConfigAcceptor, TlsAcceptor};

use crate::contexts::Contexts;
use crate::explain::explain;
use crate::facts::check_dates;
use crate::options::{ServerOptions, files};
use crate::provider::HELD;
use crate::session::Agreed;
use crate::{PeerCertificate, Session, Tickets, TlsError, TlsStream, UsedCertificate, Version};

/// Answers handshakes. Cloning it is cheap; clones share their certificates, also those of a later
/// [`Acceptor::reload`], their tickets and what they have issued.
#[derive(Clone)]
pub struct Acceptor {
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    options: Vec<ServerOptions>,
    tickets: Tickets,
    contexts: ArcSwap<Contexts>,
}

impl Acceptor {
    /// Reads the files, and checks all that can be checked before a client comes, but for the dates: see
    /// [`Acceptor::check_dates`].
    ///
    /// # Errors
    /// See [`TlsError`]; [`TlsError::NothingToShow`] without certificates and issuers.
    pub fn new(options: &ServerOptions) -> Result<Self, TlsError> {
        Self::with_contexts(vec![options.clone()], &Tickets::new())
    }

    /// Of several contexts each with its own certificates, verification of clients, protocols and versions. Which of
    /// them a client meets depends on what it asks for: the first that has a certificate for the very name, else one
    /// with a wildcard for it, else one that speaks one of its protocols, else the first of all.
    ///
    /// Give it the tickets of the acceptor whose place it takes, or of others that clients cannot tell from it. A ticket
    /// of a context that believes other clients, or is known by other names, is never taken.
    ///
    /// # Errors
    /// See [`TlsError`]; [`TlsError::NothingToShow`] for a context without certificates and issuers, or without any
    /// context.
    pub fn with_contexts(
        contexts: Vec<ServerOptions>,
        tickets: &Tickets,
    ) -> Result<Self, TlsError> {
        let (options, tickets) = (contexts, tickets.clone());
        let contexts = ArcSwap::from_pointee(Contexts::new(&options, &tickets)?);
        Ok(Self { shared: Arc::new(Shared { options, tickets, contexts }) })
    }

    /// Reads the files again, for all handshakes that begin from now on; connections go on as they are. Blocks while it
    /// reads.
    ///
    /// # Errors
    /// As [`Acceptor::new`]; then nothing is changed.
    pub fn reload(&self) -> Result<(), TlsError> {
        let contexts = Contexts::new(&self.shared.options, &self.shared.tickets)?;
        self.shared.contexts.store(Arc::new(contexts));
        Ok(())
    }

    /// The files that it was made of, each once: when one of them changes, it is time for [`Acceptor::reload`].
    pub fn files(&self) -> Vec<PathBuf> {
        files(self.shared.options.iter().flat_map(ServerOptions::parts))
    }

    /// The certificates that are in use, those of the last reload.
    pub fn certificates(&self) -> Vec<UsedCertificate> {
        self.shared.contexts.load().used().to_vec()
    }

    /// Whether all that it shows, and all it believes, is valid at this time. It is not asked when it is made: one that
    /// has expired is no reason to stop what goes well, or not to reload another that has been renewed.
    ///
    /// # Errors
    /// [`TlsError::Expired`] or [`TlsError::NotYetValid`], of the first that is not.
    pub fn check_dates(&self, now: SystemTime) -> Result<(), TlsError> {
        check_dates(self.shared.contexts.load().used(), now)
    }

    /// Does the handshake of a client. There is no timeout: drop the future to give up.
    ///
    /// Cancel safety: dropping the future drops the connection.
    ///
    /// # Errors
    /// Says in words what was wrong with the client; it gets the alert that the RFCs name.
    pub async fn accept<S>(&self, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let contexts = self.shared.contexts.load_full();
        let (context, accepted) = match contexts.only() {
            Some(only) => {
                let acceptor = TlsAcceptor::from(only.config.clone());
                (
                    only,
                    acceptor
                        .accept_with(stream, |session| session.set_buffer_limit(Some(HELD)))
                        .await,
                )
            }
            None => {
                let waiting = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), stream);
                let hello = waiting.await.map_err(|error| explain(error, None))?;
                let context = contexts.choose(&hello.client_hello());
                let config = context.config.clone();
                let limit = |session: &mut ServerConnection| session.set_buffer_limit(Some(HELD));
                (context, hello.into_stream_with(config, limit).await)
            }
        };
        let made = |io| TlsStream::server(io, context.verifies, context.uri.clone());
        accepted.map(made).map_err(|error| explain(error, None))
    }

    /// The configuration for QUIC, which has its own way to do handshakes (RFC 9001): it needs TLS 1.3. It is that of
    /// the context at this place, as it is now: ask for each handshake.
    ///
    /// # Panics
    /// There are not so many contexts.
    pub fn quic_config(&self, context: usize) -> Arc<ServerConfig> {
        self.shared.contexts.load().at(context).config.clone()
    }

    /// What was agreed on in a handshake of QUIC, of which it is known what the client asked for (SNI), which protocol
    /// was chosen (ALPN) and what the client has shown, in DER, its own certificate first.
    pub fn quic_session(
        &self,
        server_name: Option<&str>,
        alpn: Option<&[u8]>,
        shown: &[CertificateDer<'static>],
    ) -> Session {
        let contexts = self.shared.contexts.load();
        let context = contexts.first();
        Session::new(Agreed {
            version: Some(Version::Tls13),
            cipher_suite: None,
            key_exchange: None,
            alpn: alpn.map(Box::from),
            server_name: server_name.map(|name| name.to_ascii_lowercase().into_boxed_str()),
            resumed: false,
            peer: PeerCertificate::new(shown, context.verifies),
            own_uri: context.uri.clone(),
        })
    }

    pub(crate) fn downgrade(&self) -> Weak<Shared> {
        Arc::downgrade(&self.shared)
    }

    pub(crate) fn upgrade(shared: &Weak<Shared>) -> Option<Self> {
        shared.upgrade().map(|shared| Self { shared })
    }
}

impl std::fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Acceptor(..)")
    }
}
