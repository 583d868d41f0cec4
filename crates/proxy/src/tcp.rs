//! `tcp_proxy`: the bytes of a connection go to a cluster and back.

use std::borrow::Cow;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use rosn_cluster::Pick;
use rosn_config::checked::IdleTimeout;
use rosn_net::{ConnInfo, Side, Stream, Tunnel, TunnelEnd, TunnelReason};
use tracing::{debug, warn};

use crate::context::{Admission, Serving, Worker};
use crate::snapshot::{Listener, Service};
use crate::upstream::{self, ConnectFailure, NEVER, Phases, Wanted, nanos};

/// How long a tunnel may be without bytes where nothing else is said (MOSN).
const IDLE_TIMEOUT: Duration = Duration::from_secs(90);

/// After this time, in nanoseconds, a dead upstream is looked for.
const YOUNG: u64 = 1_000_000_000;

/// Serves one downstream connection until both sides have ended.
pub(crate) async fn serve(
    worker: Rc<Worker>,
    serving: Serving,
    client: Stream,
    info: ConnInfo,
    _admission: Admission,
) {
    let listener = serving.listener();
    let Service::Tcp(proxy) = &listener.service else { return };
    let wanted = info.original_dst.or_else(|| info.local.as_ip());
    let Some(index) = proxy.route(info.peer.as_ip(), wanted) else {
        warn!(listener = %listener.config.name, peer = %info.peer, "no route of the tcp_proxy fits the connection");
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
    let end = tunnel(&worker, listener, client, connection, &timer, idle).await;
    match end.reason {
        TunnelReason::Eof => {}
        // Some transports learn only now that there is nobody, or somebody else.
        TunnelReason::Error(Side::B, error) if !is_end(&error) => warn!(
            cluster = upstream.cluster.name(), peer = %info.peer,
            "the connection to {} by {} failed: {error}", endpoint.addr(), upstream.scheme()
        ),
        reason => debug!(
            listener = %listener.config.name, peer = %info.peer,
            up = end.a_to_b, down = end.b_to_a, "a tunnel ended: {}", in_words(&reason)
        ),
    }
}

/// Why a tunnel between a client and an upstream ended.
fn in_words(reason: &TunnelReason) -> Cow<'static, str> {
    let side = |side: &Side| if *side == Side::A { "client" } else { "upstream" };
    match reason {
        TunnelReason::Eof => "both sides ended".into(),
        TunnelReason::Reset(by) => format!("the {} reset it", side(by)).into(),
        TunnelReason::Idle => "no bytes came for too long".into(),
        TunnelReason::Lifetime => "it lasted as long as it may".into(),
        TunnelReason::Shutdown => "this end is shutting down".into(),
        TunnelReason::Error(by, error) => {
            format!("the connection of the {} failed: {error}", side(by)).into()
        }
    }
}

/// Whether the peer has ended the connection, be it without manners.
fn is_end(error: &io::Error) -> bool {
    use io::ErrorKind::{
        BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, UnexpectedEof,
    };
    let kinds = [BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, UnexpectedEof];
    kinds.contains(&error.kind())
}

async fn tunnel(
    worker: &Rc<Worker>,
    listener: &Listener,
    client: Stream,
    connection: upstream::Connection,
    timer: &rosn_base::Timer,
    idle: u64,
) -> TunnelEnd {
    let (stream, held) = connection.into_parts();
    let mut tunnel = Tunnel::new(client, stream, b"", b"");
    let mut counted = (0, 0);
    let mut active = worker.clock.refresh();
    // Short connections need no probes, and are spared the system calls that ask for them.
    let (young_until, mut young) = (worker.clock.now().saturating_add(YOUNG), true);
    let end = poll_fn(|cx| {
        let end = tunnel.poll(cx, &mut worker.copy_buffer());
        let moved = tunnel.moved();
        if moved != counted {
            // The last reading may be from long before this wake-up.
            active = worker.clock.refresh();
            count(worker, listener, &held, (moved.0 - counted.0, moved.1 - counted.1));
            counted = moved;
        }
        if let Poll::Ready(end) = end {
            return Poll::Ready(Some(end));
        }
        let due = active.saturating_add(idle);
        let now = worker.clock.now();
        if now >= due {
            return Poll::Ready(None);
        }
        if young && now >= young_until {
            young = false;
            tunnel.set_keep_alive(held.keep_alive());
        }
        let wake = if young { due.min(young_until) } else { due };
        if timer.deadline() != Some(wake) {
            timer.set(wake);
        }
        timer.poll_expired(cx.waker());
        Poll::Pending
    })
    .await;
    end.unwrap_or_else(|| tunnel.stop(TunnelReason::Idle))
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
