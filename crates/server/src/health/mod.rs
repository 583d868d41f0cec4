//! How endpoints are asked whether they are well: on a connection of its own for each question, made as those for
//! requests are.

mod grpc;
mod http;

use std::net::SocketAddr;
use std::sync::Arc;

use rosn_base::Addr;
use rosn_base::stats::Sharded;
use rosn_cluster::{
    BoxFuture, Cluster, Endpoint, HealthStats, OnHealthChange, Probe, check_health,
};
use rosn_config::checked::{Question, Roller};
use rosn_net::{DialOptions, Stream};
use rosn_proxy::Connectors;
use rosn_telemetry::EventLog;
use rosn_tls::{ClientOptions, Connector, TlsStream};
use rosn_transport::{DialRequest, Dialer, Environment};
use tracing::warn;

use crate::build::Builder;

/// Asks the endpoints of the cluster, until it is dropped; ends at once where that is not wanted.
pub(crate) fn run(
    cluster: &Arc<Cluster>,
    connectors: Option<&Connectors>,
    builder: &Builder,
    roller: Roller,
) -> impl Future<Output = ()> + Send + 'static {
    let checks = Checks::new(cluster, connectors, builder, roller);
    let cluster = Arc::clone(cluster);
    async move {
        if let Some(Checks { prober, stats, on_change }) = checks {
            check_health(cluster, prober, stats, on_change).await;
        }
    }
}

/// What the questions of a cluster need.
struct Checks {
    prober: Arc<Prober>,
    stats: Arc<Sharded<HealthStats>>,
    on_change: OnHealthChange,
}

impl Checks {
    fn new(
        cluster: &Arc<Cluster>,
        connectors: Option<&Connectors>,
        builder: &Builder,
        roller: Roller,
    ) -> Option<Self> {
        let config = cluster.config();
        let check = config.health_check.as_ref()?;
        if config.inactive.is_some() {
            return None;
        }
        let prober = match Prober::new(cluster, connectors, &check.question, builder) {
            Ok(prober) => Arc::new(prober),
            Err(error) => {
                warn!(cluster = cluster.name(), %error, "its health is not checked");
                return None;
            }
        };
        let log = check.event_log.as_ref().and_then(|path| {
            EventLog::open(&builder.writer, path, roller)
                .inspect_err(|error| {
                    warn!(cluster = cluster.name(), %error, "no events of its health checks");
                })
                .ok()
        });
        Some(Self {
            prober,
            stats: builder.registry.sharded("healthcheck", &[("service", &check.service)], 1),
            on_change: Arc::new(move |change| {
                if let Some(log) = &log {
                    log.write(format_args!("time:{} {change}", unix_seconds()));
                }
            }),
        })
    }
}

fn unix_seconds() -> u64 {
    let now = std::time::SystemTime::now();
    now.duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Asks endpoints of one cluster.
struct Prober {
    cluster: Arc<Cluster>,
    way: Way,
    tls: Option<Connector>,
    question: Question,
    /// What a server is told about how long it may take.
    timeout: std::time::Duration,
}

/// How connections to the cluster's endpoints are made.
enum Way {
    Socket(DialOptions),
    Transport(Arc<dyn Dialer>),
}

impl Prober {
    fn new(
        cluster: &Arc<Cluster>,
        connectors: Option<&Connectors>,
        question: &Question,
        builder: &Builder,
    ) -> Result<Self, String> {
        let config = cluster.config();
        let environment =
            Environment { owner: Arc::clone(&config.name), ..builder.environment.clone() };
        let settings = config.stream.clone().unwrap_or_default();
        let way = if settings.is_plain() {
            let mut options = rosn_transport::dial_options(&settings.socket, &environment);
            if config.mark != 0 {
                options.socket.mark = config.mark;
            }
            Way::Socket(options)
        } else {
            let dialer = builder.transports.dialer(&settings, &environment);
            Way::Transport(dialer.map_err(|error| error.to_string())?)
        };
        let tls = match (question, connectors) {
            (Question::Http(http), Some(connectors)) if http.tls => Some(connectors.http1.clone()),
            (Question::Grpc(grpc), Some(connectors)) if grpc.tls => Some(connectors.http2.clone()),
            // Only the health check speaks it: as anybody would.
            (Question::Http(http), None) if http.tls && config.tls.is_none() => {
                let alpn = vec!["http/1.1".to_owned()];
                let options = ClientOptions { alpn, ..ClientOptions::default() };
                Some(Connector::new(&options).map_err(|error| error.to_string())?)
            }
            _ => None,
        };
        Ok(Self {
            cluster: Arc::clone(cluster),
            way,
            tls,
            question: question.clone(),
            timeout: config.health_check.as_ref().map(|check| check.timeout).unwrap_or_default(),
        })
    }

    async fn question(&self, endpoint: &Endpoint) -> Result<(), String> {
        match &self.question {
            Question::Connect => self.connect(endpoint.addr()).await.map(drop),
            Question::Http(question) => {
                let addr = match (question.port, endpoint.addr()) {
                    (Some(port), Addr::Ip(addr)) => Addr::Ip(SocketAddr::new(addr.ip(), port)),
                    (_, addr) => addr.clone(),
                };
                let host = authority(question.domain.as_deref(), &addr);
                let stream = self.connect(&addr).await?;
                http::ask(self.secure(endpoint, stream).await?, question, &host).await
            }
            Question::Grpc(question) => {
                let host = authority(question.authority.as_deref(), endpoint.addr());
                let stream = self.connect(endpoint.addr()).await?;
                let stream = self.secure(endpoint, stream).await?;
                grpc::ask(stream, question, &host, self.timeout).await
            }
        }
    }

    async fn connect(&self, addr: &Addr) -> Result<Stream, String> {
        match &self.way {
            Way::Socket(options) => {
                rosn_net::dial(addr, options).await.map_err(|error| error.to_string())
            }
            Way::Transport(dialer) => {
                let dialed = dialer.dial(addr, &DialRequest::default()).await;
                dialed.map_err(|error| error.to_string())
            }
        }
    }

    async fn secure(&self, endpoint: &Endpoint, stream: Stream) -> Result<Stream, String> {
        let Some(tls) = self.tls.as_ref().filter(|_| !endpoint.is_plain()) else {
            return Ok(stream);
        };
        let secured = tls.connect(&self.cluster.server_name(endpoint), stream).await;
        secured.map(TlsStream::into_stream).map_err(|error| error.to_string())
    }
}

impl Probe for Prober {
    fn ask<'a>(&'a self, endpoint: &'a Endpoint) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(self.question(endpoint))
    }
}

/// The name that is asked for. A unix socket has none.
fn authority(configured: Option<&str>, addr: &Addr) -> String {
    match (configured, addr) {
        (Some(name), _) => name.to_owned(),
        (None, Addr::Unix(_)) => "localhost".to_owned(),
        (None, addr) => addr.to_string(),
    }
}
