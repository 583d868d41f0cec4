//! Why there is no connection, or no listener.

use std::io;

use rosn_base::Addr;
use rosn_net::{BindError, DialError};
use thiserror::Error;

/// Why a transport could not do what it was asked.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TransportError {
    /// No transport has that name.
    #[error("no transport is called `{scheme}`; there are {}", known.join(", "))]
    UnknownScheme {
        /// What was asked for.
        scheme: String,
        /// The names that there are.
        known: Vec<String>,
    },
    /// A transport of that name is registered already.
    #[error("a transport called `{0}` is registered already")]
    Duplicate(String),
    /// The listener's address is a host name.
    #[error(
        "cannot listen on the name `{0}`: write the IP address of an interface, or 0.0.0.0 for all"
    )]
    ListenOnName(String),
    /// The settings cannot be used.
    #[error("{transport}: {what}")]
    Settings {
        /// The transport's name.
        transport: &'static str,
        /// What is wrong with them, and what to do.
        what: String,
    },
    /// The address cannot be listened on.
    #[error("{transport}: {cause}")]
    Bind {
        /// The transport's name.
        transport: &'static str,
        /// Why.
        cause: BindError,
    },
    /// There is no connection for the transport to run over.
    #[error("{transport}: {cause}")]
    Dial {
        /// The transport's name.
        transport: &'static str,
        /// Why.
        cause: DialError,
    },
    /// The connection was there, and then a phase of the handshake failed.
    #[error("{transport}: {phase} with {addr} failed: {cause}")]
    Handshake {
        /// The transport's name.
        transport: &'static str,
        /// Which phase, such as `TLS handshake`.
        phase: &'static str,
        /// The other side.
        addr: Addr,
        /// Why.
        cause: io::Error,
    },
}

impl TransportError {
    /// Settings of another transport were given to one: a mistake of the program.
    pub(crate) fn foreign_settings(transport: &'static str, scheme: &str) -> Self {
        Self::Settings { transport, what: format!("the settings are those of `{scheme}`") }
    }

    /// The kind of the underlying error.
    pub fn kind(&self) -> io::ErrorKind {
        match self {
            Self::UnknownScheme { .. }
            | Self::Duplicate(_)
            | Self::ListenOnName(_)
            | Self::Settings { .. } => io::ErrorKind::InvalidInput,
            Self::Bind { cause, .. } => match cause {
                BindError::InUse { .. } => io::ErrorKind::AddrInUse,
                BindError::NoSuchAddress { .. } => io::ErrorKind::AddrNotAvailable,
                BindError::Denied { source, .. }
                | BindError::Option { source, .. }
                | BindError::Other { source, .. } => source.kind(),
            },
            Self::Dial { cause, .. } => cause.kind(),
            Self::Handshake { cause, .. } => cause.kind(),
        }
    }
}
