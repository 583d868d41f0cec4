//! New connections to endpoints.

use std::cell::Cell;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use rosn_base::Timer;
use rosn_cluster::{Endpoint, Permit};
use rosn_config::checked::{self, Protocol, StreamSettings};
use rosn_net::{ConnInfo, DialOptions, KeepAlive, Stream};
use rosn_tls::Connector;
use rosn_trace::{Timings, TraceHandle};
use rosn_transport::{DialRequest, Dialer, Environment, Registry, TransportError};

use super::failure::ConnectFailure;
use super::phases::{self, Phases, Took};
use super::{Connection, Counted, Upstream, count};
use crate::context::{Shared, Worker};

/// How connections to the cluster's endpoints are made.
pub(super) enum Way {
    /// Plain sockets.
    Socket(DialOptions),
    /// By a transport.
    Transport(Dialers),
    /// Not at all: the transport's settings cannot be used.
    None(String),
}

/// A transport's dialers. Its TLS may have to name what is going to be spoken (ALPN).
pub(super) struct Dialers {
    http1: Arc<dyn Dialer>,
    http2: Arc<dyn Dialer>,
    bytes: Arc<dyn Dialer>,
    /// Whether each connection tells of one client, and serves no other.
    tells: bool,
}

impl Dialers {
    fn new(
        settings: &Arc<StreamSettings>,
        environment: &Environment,
        transports: &Registry,
    ) -> Result<Self, TransportError> {
        let bytes = transports.dialer(settings, environment)?;
        let speaking = |protocol| {
            let mut own = StreamSettings::clone(settings);
            match own.agree_on(&[protocol]) {
                true => transports.dialer(&Arc::new(own), environment),
                false => Ok(Arc::clone(&bytes)),
            }
        };
        Ok(Self {
            http1: speaking(Protocol::Http1)?,
            http2: speaking(Protocol::Http2)?,
            tells: settings.proxy_protocol.send.is_some(),
            bytes,
        })
    }
}

impl Way {
    pub(super) fn to(cluster: &checked::Cluster, shared: &Shared) -> Self {
        let owner = Arc::clone(&cluster.name);
        let environment = Environment { owner, ..shared.environment.clone() };
        let settings = cluster.stream.clone().unwrap_or_default();
        if settings.is_plain() {
            let mut options = rosn_transport::dial_options(&settings.socket, &environment);
            // Short connections are spared the system calls.
            options.socket.keep_alive = KeepAlive::System;
            if cluster.mark != 0 {
                options.socket.mark = cluster.mark;
            }
            return Self::Socket(options);
        }
        Dialers::new(&settings, &environment, &shared.transports)
            .map_or_else(|error| Self::None(error.to_string()), Self::Transport)
    }

    /// Whether each connection tells of one client, and serves no other.
    pub(super) fn is_private(&self) -> bool {
        matches!(self, Self::Transport(dialers) if dialers.tells)
    }

    async fn dial(
        &self,
        endpoint: &Endpoint,
        client: &ConnInfo,
        speaks: Speaks,
        trace: TraceHandle,
    ) -> Result<Stream, ConnectFailure> {
        match self {
            Self::Socket(options) => Ok(rosn_net::dial(endpoint.addr(), options).await?),
            Self::Transport(dialers) => {
                let client = dialers.tells.then(|| (client.peer.clone(), client.local.clone()));
                let dialer = match speaks {
                    Speaks::Http1 => &dialers.http1,
                    Speaks::Http2 => &dialers.http2,
                    Speaks::Bytes => &dialers.bytes,
                };
                let request = DialRequest { trace, client };
                Ok(dialer.dial(endpoint.addr(), &request).await?)
            }
            Self::None(why) => Err(ConnectFailure::Inactive(why.clone())),
        }
    }
}

/// What is going to be spoken on a connection: TLS names it (ALPN).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speaks {
    Http1,
    Http2,
    /// What the client says is not looked at.
    Bytes,
}

/// For whom a connection is wanted, until when, and where it is noted how long that took.
pub(crate) struct Wanted<'a> {
    pub(crate) worker: &'a Rc<Worker>,
    pub(crate) client: &'a ConnInfo,
    pub(crate) timer: &'a Timer,
    /// In nanoseconds of the worker's clock.
    pub(crate) deadline: u64,
    pub(crate) phases: &'a mut Phases,
    pub(crate) speaks: Speaks,
}

impl Upstream {
    pub(super) async fn dial(
        self: &Rc<Self>,
        endpoint: &Arc<Endpoint>,
        permit: Permit,
        wanted: Wanted<'_>,
    ) -> Result<Connection, ConnectFailure> {
        if let Some(why) = &self.cluster.config().inactive {
            return Err(ConnectFailure::Inactive(why.clone()));
        }
        let Wanted { worker, client, timer, deadline, phases, speaks } = wanted;
        let begin = worker.clock.now();
        let due = begin.saturating_add(self.connect_timeout).min(deadline);
        timer.set(due);
        let timings = match self.way {
            Way::Transport(..) => Some(Arc::new(Timings::start())),
            Way::Socket(_) | Way::None(_) => None,
        };
        let trace = timings.clone().map_or_else(TraceHandle::none, TraceHandle::new);
        // When the connection was there, and TLS began.
        let connected = Cell::new(None);
        // Apart from the task, which has to be as large as its longest wait, and waits for this but once.
        let mut dial = Box::pin(async {
            let stream = self.way.dial(endpoint, client, speaks, trace).await?;
            let Some(connector) = self.connector(endpoint, speaks) else { return Ok(stream) };
            connected.set(Some(worker.clock.refresh().saturating_sub(begin)));
            self.secure(connector, endpoint, stream).await
        });
        let dialed = poll_fn(|cx| {
            if let Poll::Ready(result) = dial.as_mut().poll(cx) {
                return Poll::Ready(Some(result));
            }
            if timer.poll_expired(cx.waker()) {
                return Poll::Ready(None);
            }
            Poll::Pending
        })
        .await;
        // While the dial is still there: what is dropped counts as ended.
        let elapsed = worker.clock.refresh().saturating_sub(begin);
        let seen = timings.map(|timings| timings.snapshot());
        match &seen {
            Some(seen) => phases.dialed_by_transport(seen, elapsed),
            None => phases.connect = Took::nanos(connected.get().unwrap_or(elapsed)),
        }
        if let Some(connected) = connected.get() {
            let before = phases.tls.value().unwrap_or(0);
            phases.tls = Took::nanos(before.saturating_add(elapsed.saturating_sub(connected)));
        }
        let doing = match (&seen, connected.get()) {
            (_, Some(_)) => phases::TLS,
            (Some(seen), None) => phases::unfinished(seen),
            (None, None) => phases::CONNECT,
        };
        let late = || ConnectFailure::Timeout {
            transport: self.scheme().into(),
            doing,
            addr: endpoint.addr().clone(),
            limit: if due < deadline { "`connect_timeout`" } else { "the request's timeout" },
            after: Duration::from_nanos(due.saturating_sub(begin)),
        };
        match dialed.unwrap_or_else(|| Err(late())) {
            Ok(stream) => {
                // Transports that have many streams in a connection need not make one. The conversations of mKCP begin
                // without any.
                let pooled = seen.is_some_and(|seen| seen.connect.is_none());
                phases.reused = Some(pooled && self.scheme() != "mkcp");
                phases.count(self.stats());
                let counted = Counted::new(self, endpoint, permit);
                Ok(Connection::new(stream, worker.next_upstream(), counted))
            }
            Err(failure) => {
                count!(self, endpoint, connection_con_fail, 1);
                Err(failure)
            }
        }
    }

    /// TLS to the endpoint, unless it is plain text.
    fn connector(&self, endpoint: &Endpoint, speaks: Speaks) -> Option<&Connector> {
        let connectors = self.connectors.as_deref().filter(|_| !endpoint.is_plain())?;
        Some(match speaks {
            Speaks::Http1 => &connectors.http1,
            Speaks::Http2 => &connectors.http2,
            Speaks::Bytes => &connectors.bytes,
        })
    }

    async fn secure(
        &self,
        connector: &Connector,
        endpoint: &Endpoint,
        stream: Stream,
    ) -> Result<Stream, ConnectFailure> {
        let name = self.cluster.server_name(endpoint);
        let secured = connector.connect(&name, stream).await;
        let failed = |cause| TransportError::Handshake {
            transport: "tls",
            phase: "TLS handshake",
            addr: endpoint.addr().clone(),
            cause,
        };
        Ok(secured.map_err(failed)?.into_stream())
    }
}
