//! `tcp_proxy`: the bytes of a connection go to a cluster and back.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rosn_base::Timer;
use rosn_cluster::Pick;
use rosn_config::checked::IdleTimeout;
use rosn_net::{Side, Stream, Tunnel, TunnelEnd, TunnelReason};
use tracing::{debug, warn};

use crate::client::ClientInfo;
use crate::context::{Admission, Serving, Worker};
use crate::snapshot::{Asked, Listener, Service};
use crate::tunnel::{self, Bounds};
use crate::upstream::{self, ConnectFailure, NEVER, Phases, Speaks, Wanted, nanos};

/// How long a tunnel may be without bytes where nothing else is said (MOSN).
const IDLE_TIMEOUT: Duration = Duration::from_secs(90);

/// Serves one downstream connection until both sides have ended.
pub(crate) async fn serve(
    worker: Rc<Worker>,
    serving: Serving,
    client: Stream,
    info: ClientInfo,
    asked: Asked,
    _admission: Admission,
) {
    let listener = serving.listener();
    let (Service::Tcp(proxy) | Service::Http { fallback: Some(proxy), .. }) = &listener.service
    else {
        return;
    };
    let wanted = info.original_dst.or_else(|| info.local.as_ip());
    let Some(index) = proxy.route(info.peer.as_ip(), wanted, &asked) else {
        let server_name = asked.server_name.as_deref();
        warn!(
            server_name,listener = %listener.config.name, peer = %info.peer, "no route of the tcp_proxy fits the connection");
        return client.reset();
    };
    let upstream = serving.upstream(index);
    let timer = worker.wheel.timer();
    let mut tried = Vec::new();
    let connection = loop {
        let pick = Pick {
            hash: info.peer.as_ip().map(|addr| rosn_route::hash_address(addr.ip())),
            tried: &tried,
            attempt: tried.len() as u32,
            now_nanos: worker.clock.now(),
        };
        let endpoint =
            upstream.original_dst(info.original_dst, |_| None).or_else(|| upstream.pick(&pick));
        let failure = match endpoint {
            None => ConnectFailure::NoEndpoint(upstream.lack()),
            Some(endpoint) => {
                let wanted = Wanted {
                    worker: &worker,
                    client: &info,
                    timer: &timer,
                    deadline: NEVER,
                    phases: &mut Phases::default(),
                    speaks: Speaks::Bytes,
                };
                match upstream.connect(&endpoint, wanted).await {
                    Ok(connection) => break connection,
                    Err(failure) => {
                        tried.push(endpoint.id());
                        failure
                    }
                }
            }
        };
        let again = tried.len() < proxy.proxy.max_connect_attempts as usize;
        let (details, hint) = (failure.details(), failure.hint());
        warn!(
            cluster = upstream.cluster.name(), peer = %info.peer, tries = tried.len(), details, hint,
            "{failure}"
        );
        if !again || !upstream.may_retry(&failure, &tried) {
            return client.reset();
        }
        upstream.stats().connection_retry.add(1);
    };
    let idle = proxy.proxy.idle_timeout.or(match listener.config.idle_timeout {
        IdleTimeout::Default => Some(IDLE_TIMEOUT),
        IdleTimeout::Never => None,
        IdleTimeout::After(idle) => Some(idle),
    });
    let idle = idle.filter(|idle| !idle.is_zero()).map_or(NEVER, nanos);
    let endpoint = Arc::clone(&connection.endpoint);
    let end = run(&worker, listener, client, connection, &timer, idle).await;
    match end.reason {
        TunnelReason::Eof => {}
        // Some transports learn only now that there is nobody, or somebody else.
        TunnelReason::Error(Side::B, error) if !tunnel::is_end(&error) => warn!(
            cluster = upstream.cluster.name(), peer = %info.peer,
            "the connection to {} by {} failed: {error}", endpoint.addr(), upstream.scheme()
        ),
        reason => debug!(
            listener = %listener.config.name, peer = %info.peer,
            up = end.a_to_b, down = end.b_to_a, "a tunnel ended: {}", tunnel::in_words(&reason)
        ),
    }
}

async fn run(
    worker: &Worker,
    listener: &Listener,
    client: Stream,
    connection: upstream::Connection,
    timer: &Timer,
    idle: u64,
) -> TunnelEnd {
    // It fails only for a stream of HTTP/2, which this never is.
    let Some((stream, held)) = connection.into_parts() else {
        return TunnelEnd { a_to_b: 0, b_to_a: 0, reason: TunnelReason::Shutdown };
    };
    let mut tunnel = Tunnel::new(client, stream, b"", b"");
    let mut counted = (0, 0);
    let bounds = Bounds { idle, lifetime: NEVER };
    tunnel::drive(worker, &mut tunnel, &held, timer, bounds, |moved| {
        count(worker, listener, &held, (moved.0 - counted.0, moved.1 - counted.1));
        counted = moved;
    })
    .await
}

/// Counts bytes that were passed on: to the upstream, and back.
fn count(worker: &Worker, listener: &Listener, held: &upstream::Held, moved: (u64, u64)) {
    for stats in [&worker.shared.stats, &listener.stats] {
        let stats = stats.shard(worker.index);
        stats.bytes_read_total.add(moved.0);
        stats.bytes_write_total.add(moved.1);
    }
    held.count_bytes(moved.0, moved.1);
}
