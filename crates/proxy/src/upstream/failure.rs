//! Why there is no connection to an upstream.

use std::io::ErrorKind;
use std::time::Duration;

use rosn_base::Addr;
use rosn_net::DialError;
use rosn_transport::TransportError;
use thiserror::Error;

use super::phases::{CONNECT, DNS, TLS};

/// Why there is no connection to an upstream.
#[derive(Debug, Error)]
pub(crate) enum ConnectFailure {
    /// The cluster has no endpoint that may be used.
    #[error("no healthy upstream: {}", .0.why())]
    NoEndpoint(Lack),
    /// The cluster needs something that this build does not do.
    #[error("{0}")]
    Inactive(String),
    /// A limit of the cluster is reached.
    #[error("the cluster's {0} is reached")]
    Overflow(&'static str),
    /// A limit of the cluster is reached, and was for as long as the request could wait.
    #[error("no connection became free in time: the cluster's max_connections is reached")]
    Waited,
    /// The system, or the peer, refused.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// The same, or a handshake failed.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// It took too long.
    #[error("{transport}: {doing} {addr} was not done within {limit} ({after:?})")]
    Timeout {
        /// The transport's name.
        transport: Box<str>,
        /// What was under way, in words that the address follows.
        doing: &'static str,
        /// Where to.
        addr: Addr,
        /// Whose limit it was.
        limit: &'static str,
        /// How long it was.
        after: Duration,
    },
}

/// Why a cluster has no endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lack {
    /// It has no hosts.
    Hosts,
    /// Its hosts are names, and none of them could be resolved.
    Addresses,
    /// All endpoints are unhealthy.
    Health,
    /// It goes where the client meant to go, and nobody knows where that is.
    Destination,
}

impl Lack {
    fn why(self) -> &'static str {
        match self {
            Self::Hosts => "the cluster has no hosts",
            Self::Addresses => "none of the cluster's host names is resolved",
            Self::Health => "all endpoints of the cluster are unhealthy",
            Self::Destination => "the address that the client meant to reach is not known",
        }
    }
}

impl ConnectFailure {
    /// Whether another try, or another endpoint, may do better.
    pub(super) fn may_pass(&self) -> bool {
        matches!(self, Self::Dial(_) | Self::Transport(_) | Self::Timeout { .. })
    }

    /// Whether the same endpoint would say the same again: it answered, and the answer was no (a certificate that is
    /// not trusted, 404 to a WebSocket handshake), or the settings cannot be used.
    pub(super) fn is_final(&self) -> bool {
        let Self::Transport(error) = self else { return false };
        match error {
            TransportError::Handshake { cause, .. } => {
                use ErrorKind::{InvalidData, InvalidInput, PermissionDenied, Unsupported};
                matches!(cause.kind(), InvalidData | InvalidInput | PermissionDenied | Unsupported)
            }
            TransportError::Dial { .. } => false,
            _ => true,
        }
    }

    /// What can be done about it; `None` where its own words say it.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        Some(match self.details() {
            "no_healthy_upstream" => "look at the health of the endpoints in the admin API",
            "cluster_not_resolved" => "does the DNS know the names? The log says more of it",
            "upstream_max_connections" | "upstream_pool_timeout" => {
                "raise `max_connections` in the cluster's `circuit_breakers`, or add hosts"
            }
            "upstream_connect_timeout" => {
                "is the host up, and do firewalls let it pass? Else raise `connect_timeout`"
            }
            "upstream_tls_failure" => {
                "compare the TLS settings in the cluster's `stream_settings` with the endpoint's certificate"
            }
            "upstream_handshake_failure" => {
                "do both sides have the same transport, host, path and security?"
            }
            "upstream_tls_timeout" | "upstream_handshake_timeout" => {
                "does the endpoint speak what the cluster's `stream_settings` say?"
            }
            _ => return None,
        })
    }

    /// The token of `response_code_details`, as the guide lists them.
    pub(crate) fn details(&self) -> &'static str {
        match self {
            Self::NoEndpoint(Lack::Hosts) => "cluster_without_hosts",
            Self::NoEndpoint(Lack::Addresses) => "cluster_not_resolved",
            Self::NoEndpoint(Lack::Health) => "no_healthy_upstream",
            Self::NoEndpoint(Lack::Destination) => "no_original_destination",
            Self::Inactive(_) => "upstream_unusable",
            Self::Overflow(_) => "upstream_max_connections",
            Self::Waited => "upstream_pool_timeout",
            Self::Dial(error) => of_dial(error),
            Self::Transport(TransportError::Dial { cause, .. }) => of_dial(cause),
            Self::Transport(TransportError::Handshake { phase, cause, .. }) => {
                let (is_tls, late) = (phase.contains("TLS"), cause.kind() == ErrorKind::TimedOut);
                match (is_tls, late) {
                    (true, true) => "upstream_tls_timeout",
                    (true, false) => "upstream_tls_failure",
                    (false, true) => "upstream_handshake_timeout",
                    (false, false) => "upstream_handshake_failure",
                }
            }
            Self::Transport(_) => "upstream_unusable",
            Self::Timeout { doing: CONNECT, .. } => "upstream_connect_timeout",
            Self::Timeout { doing: TLS, .. } => "upstream_tls_timeout",
            Self::Timeout { doing: DNS, .. } => "upstream_dns_timeout",
            Self::Timeout { .. } => "upstream_handshake_timeout",
        }
    }
}

fn of_dial(error: &DialError) -> &'static str {
    match error {
        DialError::Unresolved { .. } | DialError::Resolve { .. } | DialError::NoAddress { .. } => {
            "upstream_dns_failure"
        }
        DialError::Setup { .. } => "upstream_socket_failure",
        DialError::Connect { source, .. } => match source.kind() {
            ErrorKind::ConnectionRefused => "upstream_connect_refused",
            ErrorKind::TimedOut => "upstream_connect_timeout",
            ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => "upstream_unreachable",
            _ => "upstream_connect_failure",
        },
    }
}
