//! What can go wrong with an exchange: whose side it was, and what the client is told.

use std::fmt;

use rosn_h1::{BodyError, ResponseError};

use crate::details;
use crate::upstream::{ConnectFailure, SPEAKS_HTTP2};

/// Envoy's response flags, as far as they occur.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Flags(u16);

impl Flags {
    pub(crate) const NO_ROUTE: Self = Self(1);
    pub(crate) const NO_HEALTHY_UPSTREAM: Self = Self(1 << 1);
    pub(crate) const CONNECTION_FAILURE: Self = Self(1 << 2);
    pub(crate) const OVERFLOW: Self = Self(1 << 3);
    pub(crate) const UPSTREAM_TIMEOUT: Self = Self(1 << 4);
    pub(crate) const UPSTREAM_RESET: Self = Self(1 << 5);
    pub(crate) const UPSTREAM_TERMINATED: Self = Self(1 << 6);
    pub(crate) const UPSTREAM_PROTOCOL: Self = Self(1 << 7);
    pub(crate) const DOWNSTREAM_RESET: Self = Self(1 << 8);
    pub(crate) const DOWNSTREAM_PROTOCOL: Self = Self(1 << 9);
    pub(crate) const RETRY_LIMIT: Self = Self(1 << 10);
    pub(crate) const NO_CLUSTER: Self = Self(1 << 11);
    pub(crate) const STREAM_IDLE: Self = Self(1 << 12);

    const NAMES: [&'static str; 13] =
        ["NR", "UH", "UF", "UO", "UT", "UR", "UC", "UPE", "DC", "DPE", "URX", "NC", "SI"];

    pub(crate) fn insert(&mut self, other: Self) {
        self.0 |= other.0;
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let set = Self::NAMES.iter().enumerate().filter(|(bit, _)| self.0 & (1 << bit) != 0);
        for (at, (_, name)) in set.enumerate() {
            write!(f, "{}{name}", if at > 0 { "," } else { "" })?;
        }
        Ok(())
    }
}

/// Why an exchange with an upstream, or one try of it, did not end well.
#[derive(Debug)]
pub(crate) enum Failure {
    /// There is no connection to an upstream.
    Connect(ConnectFailure),
    /// The cluster's `max_requests` is reached.
    Overflow,
    /// A pooled connection turned out to be closed before a byte of the response came.
    Stale,
    /// The upstream closed or reset the connection before the response.
    Reset(Option<std::io::Error>),
    /// The upstream says that it never looked at the request.
    Refused(String),
    /// The endpoint does not speak HTTP/2, or not as it was asked to.
    Http2(String),
    /// The endpoint does not take what the client asks its connection to become.
    NoTunnel,
    /// The response is not HTTP/1.1.
    Protocol(ResponseError),
    /// The upstream switched protocols unasked, or sent interim responses without end.
    Unexpected(&'static str),
    /// A try took longer than `retry_timeout`.
    TryTimeout,
    /// The response did not begin, or did not go on, in time.
    Timeout,
    /// The deadline that a gRPC call came with has passed.
    Deadline,
    /// A gRPC call ended at once with a status that the retry policy names.
    GrpcStatus(u32),
    /// The response has a status that the retry policy names.
    Status(u16),
    /// The upstream broke off, or broke the framing of, a response that had begun.
    Broken(Option<String>),
    /// The client is gone.
    ClientGone,
    /// The client did not read the response in time.
    ClientStalled,
    /// The client did not go on with its body in time.
    ClientSlow,
    /// HTTP/2 has no words for the head of the request, such as a `<` in its path.
    Unsayable,
    /// The client broke the framing of its body.
    ClientBody(BodyError),
    /// The body is larger than `max_request_body_size`.
    BodyTooLarge,
}

impl Failure {
    /// The upstream broke the framing of a response that had begun.
    pub(super) fn broken(error: &BodyError) -> Self {
        Self::Broken(Some(error.to_string()))
    }

    /// The status that the client is told.
    pub(crate) fn status(&self) -> u16 {
        match self {
            Self::Overflow | Self::Refused(_) => 503,
            Self::Connect(ConnectFailure::Overflow(_) | ConnectFailure::Inactive(_)) => 503,
            Self::Timeout | Self::TryTimeout | Self::Deadline => 504,
            Self::Connect(ConnectFailure::Timeout { .. } | ConnectFailure::Waited) => 504,
            Self::Status(status) => *status,
            Self::ClientGone | Self::ClientStalled => 499,
            Self::Unsayable | Self::ClientBody(_) => 400,
            Self::ClientSlow => 408,
            Self::BodyTooLarge => 413,
            _ => 502,
        }
    }

    /// The flags for the access log.
    pub(crate) fn flags(&self) -> Flags {
        match self {
            Self::Overflow
            | Self::Connect(ConnectFailure::Overflow(_) | ConnectFailure::Waited) => {
                Flags::OVERFLOW
            }
            Self::Connect(ConnectFailure::NoEndpoint(_)) => Flags::NO_HEALTHY_UPSTREAM,
            Self::Connect(_) => Flags::CONNECTION_FAILURE,
            Self::Stale | Self::Reset(_) | Self::Refused(_) => Flags::UPSTREAM_RESET,
            Self::Protocol(_) | Self::Unexpected(_) | Self::Http2(_) | Self::NoTunnel => {
                Flags::UPSTREAM_PROTOCOL
            }
            Self::TryTimeout | Self::Timeout | Self::Deadline => Flags::UPSTREAM_TIMEOUT,
            Self::Status(_) | Self::GrpcStatus(_) => Flags::default(),
            Self::Broken(_) => Flags::UPSTREAM_TERMINATED,
            Self::ClientGone => Flags::DOWNSTREAM_RESET,
            Self::ClientStalled | Self::ClientSlow => Flags::STREAM_IDLE,
            Self::Unsayable | Self::ClientBody(_) | Self::BodyTooLarge => {
                Flags::DOWNSTREAM_PROTOCOL
            }
        }
    }

    /// The token of `response_code_details`, as the guide lists them.
    pub(crate) fn details(&self) -> &'static str {
        match self {
            Self::Overflow => details::UPSTREAM_MAX_REQUESTS,
            Self::Connect(failure) => failure.details(),
            Self::Stale | Self::Reset(_) | Self::Refused(_) => {
                details::UPSTREAM_RESET_BEFORE_RESPONSE
            }
            Self::Protocol(_) | Self::Unexpected(_) | Self::Http2(_) | Self::NoTunnel => {
                details::UPSTREAM_INVALID_RESPONSE
            }
            Self::TryTimeout => details::UPSTREAM_TRY_TIMEOUT,
            Self::Timeout => details::UPSTREAM_RESPONSE_TIMEOUT,
            Self::Deadline => details::REQUEST_DEADLINE,
            Self::Status(_) | Self::GrpcStatus(_) => details::UPSTREAM_RETRIABLE_STATUS,
            Self::Broken(_) => details::UPSTREAM_RESPONSE_BROKEN,
            Self::ClientGone => details::DOWNSTREAM_GONE,
            Self::ClientStalled => details::DOWNSTREAM_STALLED,
            Self::ClientSlow => details::REQUEST_BODY_TIMEOUT,
            Self::Unsayable => details::REQUEST_HEAD_INVALID,
            Self::ClientBody(_) => details::REQUEST_BODY_INVALID,
            Self::BodyTooLarge => details::REQUEST_BODY_TOO_LARGE,
        }
    }

    /// What can be done about it; `None` where its own words say it, or there is nothing to say.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Connect(failure) => failure.hint(),
            Self::Overflow => {
                Some("raise `max_requests` in the cluster's `circuit_breakers`, or add hosts")
            }
            Self::Timeout => Some("the endpoint is slow, or the route's `timeout` is too short"),
            Self::TryTimeout => Some("the endpoint is slow, or `retry_timeout` is too short"),
            Self::Protocol(_) => {
                Some("does the endpoint speak HTTP/1.1 there, and not TLS or HTTP/2?")
            }
            Self::Http2(_) => Some(SPEAKS_HTTP2),
            Self::NoTunnel => Some("with `upstream_protocol` Http1 the route can pass it on"),
            _ => None,
        }
    }

    /// Whether the client, and not an upstream, is at fault.
    pub(crate) fn is_downstream(&self) -> bool {
        matches!(
            self,
            Self::ClientGone
                | Self::ClientStalled
                | Self::ClientSlow
                | Self::Unsayable
                | Self::ClientBody(_)
                | Self::BodyTooLarge
        )
    }

    /// What the client is told. Names no address: clients are not told where upstreams are.
    pub(crate) fn public(&self) -> &'static str {
        match self {
            Self::Overflow
            | Self::Connect(ConnectFailure::Overflow(_) | ConnectFailure::Waited) => {
                "the upstream is overloaded: a circuit breaker is open"
            }
            Self::Connect(ConnectFailure::NoEndpoint(_)) => "no healthy upstream",
            Self::Connect(ConnectFailure::Inactive(_)) => {
                "the upstream cannot be used: see the log of the proxy"
            }
            Self::Connect(ConnectFailure::Dial(_) | ConnectFailure::Transport(_)) => {
                "no connection to the upstream could be made"
            }
            Self::Connect(ConnectFailure::Timeout { .. }) => {
                "no connection to the upstream could be made in time"
            }
            Self::Stale | Self::Reset(_) => "the upstream closed the connection before responding",
            Self::Refused(_) => "the upstream takes no requests now",
            Self::NoTunnel => "the upstream does not take this upgrade",
            Self::Protocol(_) | Self::Unexpected(_) | Self::Http2(_) => {
                "the upstream sent an invalid response"
            }
            Self::TryTimeout | Self::Timeout => "the upstream did not respond in time",
            Self::Deadline => "the deadline of the call has passed",
            Self::Status(_) | Self::GrpcStatus(_) | Self::Broken(_) => "the upstream failed",
            Self::ClientGone | Self::ClientStalled => "the client is gone",
            Self::ClientSlow => "the request body did not come in time",
            Self::Unsayable => "the target or the host of the request is invalid in HTTP/2",
            Self::ClientBody(_) => "the request body is invalid",
            Self::BodyTooLarge => "the request body is too large",
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Overflow => f.write_str("the cluster's max_requests is reached"),
            Self::Connect(error) => write!(f, "{error}"),
            Self::Stale => f.write_str("a pooled connection was closed by the upstream"),
            Self::Reset(Some(error)) => write!(f, "the upstream closed the connection: {error}"),
            Self::Refused(why) => write!(f, "the upstream refused the request: {why}"),
            Self::Http2(what) => f.write_str(what),
            Self::NoTunnel => f.write_str(
                "the endpoint takes no extended CONNECT (RFC 8441), which is what HTTP/2 has for an upgrade",
            ),
            Self::Protocol(error) => write!(f, "the response is invalid: {error}"),
            Self::Unexpected(what) => f.write_str(what),
            Self::TryTimeout => f.write_str("the try took longer than `retry_timeout`"),
            Self::Status(status) => write!(f, "the upstream answered {status}"),
            Self::GrpcStatus(status) => write!(f, "the upstream answered the gRPC status {status}"),
            Self::Broken(Some(error)) => write!(f, "the response broke off: {error}"),
            Self::Broken(None) => f.write_str("the response broke off"),
            Self::ClientBody(error) => write!(f, "the request body is invalid: {error}"),
            _ => f.write_str(self.public()),
        }
    }
}
