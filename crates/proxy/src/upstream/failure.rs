//! Why there is no connection to an upstream.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use rosn_base::Addr;
use rosn_net::DialError;
use rosn_transport::TransportError;
use thiserror::Error;

use crate::details;

use super::phases::{CONNECT, DNS, TLS};

/// Why there is no connection to an upstream. A clone is for others that waited for the same connection.
#[derive(Debug, Clone, Error)]
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
    Dial(Arc<DialError>),
    /// The same, or a handshake failed.
    #[error(transparent)]
    Transport(Arc<TransportError>),
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

impl From<DialError> for ConnectFailure {
    fn from(error: DialError) -> Self {
        Self::Dial(Arc::new(error))
    }
}

impl From<TransportError> for ConnectFailure {
    fn from(error: TransportError) -> Self {
        Self::Transport(Arc::new(error))
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
        match &**error {
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
            details::NO_HEALTHY_UPSTREAM => "look at the health of the endpoints in the admin API",
            details::CLUSTER_NOT_RESOLVED => "does the DNS know the names? The log says more of it",
            details::UPSTREAM_MAX_CONNECTIONS | details::UPSTREAM_POOL_TIMEOUT => {
                "raise `max_connections` in the cluster's `circuit_breakers`, or add hosts"
            }
            details::UPSTREAM_CONNECT_TIMEOUT => {
                "is the host up, and do firewalls let it pass? Else raise `connect_timeout`"
            }
            details::UPSTREAM_TLS_FAILURE => {
                "compare the cluster's TLS settings with the certificate and the protocols of the endpoint"
            }
            details::UPSTREAM_HANDSHAKE_FAILURE | details::UPSTREAM_HANDSHAKE_TIMEOUT
                if self.is_of_http2() =>
            {
                SPEAKS_HTTP2
            }
            details::UPSTREAM_HANDSHAKE_FAILURE => {
                "do both sides have the same transport, host, path and security?"
            }
            details::UPSTREAM_TLS_TIMEOUT | details::UPSTREAM_HANDSHAKE_TIMEOUT => {
                "does the endpoint speak what the cluster's `stream_settings` say?"
            }
            _ => return None,
        })
    }

    fn is_of_http2(&self) -> bool {
        let Self::Transport(error) = self else { return false };
        matches!(&**error, TransportError::Handshake { phase: HTTP2, .. })
    }

    /// The token of `response_code_details`, as the guide lists them.
    pub(crate) fn details(&self) -> &'static str {
        match self {
            Self::NoEndpoint(Lack::Hosts) => details::CLUSTER_WITHOUT_HOSTS,
            Self::NoEndpoint(Lack::Addresses) => details::CLUSTER_NOT_RESOLVED,
            Self::NoEndpoint(Lack::Health) => details::NO_HEALTHY_UPSTREAM,
            Self::NoEndpoint(Lack::Destination) => details::NO_ORIGINAL_DESTINATION,
            Self::Inactive(_) => details::UPSTREAM_UNUSABLE,
            Self::Overflow(_) => details::UPSTREAM_MAX_CONNECTIONS,
            Self::Waited => details::UPSTREAM_POOL_TIMEOUT,
            Self::Dial(error) => of_dial(error),
            Self::Transport(error) => of_transport(error),
            Self::Timeout { doing: CONNECT, .. } => details::UPSTREAM_CONNECT_TIMEOUT,
            Self::Timeout { doing: TLS, .. } => details::UPSTREAM_TLS_TIMEOUT,
            Self::Timeout { doing: DNS, .. } => details::UPSTREAM_DNS_TIMEOUT,
            Self::Timeout { .. } => details::UPSTREAM_HANDSHAKE_TIMEOUT,
        }
    }
}

/// What the beginning of HTTP/2 is called.
pub(super) const HTTP2: &str = "HTTP/2 handshake";
/// What to look at where it fails.
pub(crate) const SPEAKS_HTTP2: &str = "does the endpoint speak HTTP/2 there, with TLS as the cluster has it? Else `upstream_protocol` is Http1";

fn of_transport(error: &TransportError) -> &'static str {
    match error {
        TransportError::Dial { cause, .. } => of_dial(cause),
        TransportError::Handshake { phase, cause, .. } => {
            let (is_tls, late) = (phase.contains("TLS"), cause.kind() == ErrorKind::TimedOut);
            match (is_tls, late) {
                (true, true) => details::UPSTREAM_TLS_TIMEOUT,
                (true, false) => details::UPSTREAM_TLS_FAILURE,
                (false, true) => details::UPSTREAM_HANDSHAKE_TIMEOUT,
                (false, false) => details::UPSTREAM_HANDSHAKE_FAILURE,
            }
        }
        _ => details::UPSTREAM_UNUSABLE,
    }
}

fn of_dial(error: &DialError) -> &'static str {
    match error {
        DialError::Unresolved { .. } | DialError::Resolve { .. } | DialError::NoAddress { .. } => {
            details::UPSTREAM_DNS_FAILURE
        }
        DialError::Setup { .. } => details::UPSTREAM_SOCKET_FAILURE,
        DialError::Connect { source, .. } => match source.kind() {
            ErrorKind::ConnectionRefused => details::UPSTREAM_CONNECT_REFUSED,
            ErrorKind::TimedOut => details::UPSTREAM_CONNECT_TIMEOUT,
            ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => {
                details::UPSTREAM_UNREACHABLE
            }
            _ => details::UPSTREAM_CONNECT_FAILURE,
        },
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn addr() -> Addr {
        Addr::Ip(([127, 0, 0, 1], 80).into())
    }

    fn handshake(phase: &'static str, kind: ErrorKind) -> ConnectFailure {
        let (addr, cause) = (addr(), io::Error::new(kind, "no"));
        TransportError::Handshake { transport: "ws", phase, addr, cause }.into()
    }

    fn connect(kind: ErrorKind) -> ConnectFailure {
        DialError::Connect { target: addr(), source: kind.into() }.into()
    }

    #[test]
    fn what_was_answered_is_final_and_what_was_not_is_none() {
        for kind in [ErrorKind::InvalidData, ErrorKind::InvalidInput] {
            assert!(handshake("WebSocket handshake", kind).is_final(), "{kind}");
        }
        for kind in [ErrorKind::TimedOut, ErrorKind::ConnectionReset, ErrorKind::UnexpectedEof] {
            assert!(!handshake("TLS handshake", kind).is_final(), "{kind}");
        }
        assert!(!connect(ErrorKind::ConnectionRefused).is_final());
    }

    #[test]
    fn each_kind_has_its_word() {
        let io = |kind| connect(kind).details();
        assert_eq!(io(ErrorKind::ConnectionRefused), "upstream_connect_refused");
        assert_eq!(io(ErrorKind::TimedOut), "upstream_connect_timeout");
        assert_eq!(io(ErrorKind::NetworkUnreachable), "upstream_unreachable");
        assert_eq!(io(ErrorKind::ConnectionReset), "upstream_connect_failure");
        let of = |phase, kind| handshake(phase, kind).details();
        assert_eq!(of("TLS handshake", ErrorKind::InvalidData), "upstream_tls_failure");
        assert_eq!(of("TLS handshake", ErrorKind::TimedOut), "upstream_tls_timeout");
        assert_eq!(of("QUIC handshake", ErrorKind::TimedOut), "upstream_handshake_timeout");
        let cause = DialError::NoAddress { target: addr(), what: "no address" };
        let resolved = ConnectFailure::from(TransportError::Dial { transport: "ws", cause });
        assert_eq!(resolved.details(), "upstream_dns_failure");
    }

    #[test]
    fn a_timeout_says_transport_phase_address_and_limit() {
        let of = |doing| ConnectFailure::Timeout {
            transport: "ws".into(),
            doing,
            addr: addr(),
            limit: "`connect_timeout`",
            after: Duration::from_secs(3),
        };
        assert_eq!(
            of(TLS).to_string(),
            "ws: the TLS handshake with 127.0.0.1:80 was not done within `connect_timeout` (3s)"
        );
        let words =
            [CONNECT, TLS, DNS, super::super::phases::HANDSHAKE].map(|doing| of(doing).details());
        let expected =
            ["connect", "tls", "dns", "handshake"].map(|of| format!("upstream_{of}_timeout"));
        assert_eq!(words.map(str::to_owned), expected);
    }
}
