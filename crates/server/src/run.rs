//! The life of the process, on the control thread.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::atomic::{AtomicU8, AtomicU64};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use rosn_admin::{AdminOptions, Control, serve, serve_metrics, stage};
use rosn_config::checked::Config;
use rosn_net::{Bound, ListenOptions};
use rosn_proxy::Shared;
use rosn_telemetry::{Log, Registry, Writer};
use rosn_worker::Workers;
use thiserror::Error;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::mpsc;
use tracing::{error, info, warn};

use crate::Options;
use crate::build::Builder;
use crate::certificates;
use crate::control::{Process, lock};
use crate::hooks::Hooks;
use crate::limits;
use crate::reload::{Current, first_resolutions, open_all};
use crate::signals::{Order, Signals};
use crate::watch::{self, Watch};

/// How long a start waits for the names of hosts.
const RESOLUTION_TIME: Duration = Duration::from_secs(5);
/// How long the last log lines may take.
const FLUSH_TIME: Duration = Duration::from_secs(1);

/// Why a run ended.
#[derive(Debug, Error)]
pub enum RunError {
    /// Before traffic was served.
    #[error("{0}")]
    Start(String),
    /// While stopping: connections had to be cut.
    #[error("{0} connections were still active after the time for stopping and had to be cut")]
    Stop(usize),
}

/// Runs until the process is told to stop. `started` is called once traffic is served.
///
/// # Errors
/// Says what is in the way of a start, all of it at once where it can; or that a graceful stop had to cut
/// connections.
///
/// # Panics
/// If the calling thread is already within a tokio runtime.
pub fn run(options: Options, started: impl FnOnce(&Config)) -> Result<(), RunError> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(start)?;
    let end = runtime.block_on(control(options, started));
    runtime.shutdown_timeout(Duration::from_secs(1));
    end
}

async fn control(options: Options, started: impl FnOnce(&Config)) -> Result<(), RunError> {
    // From here on a signal does not end the process half-way.
    let mut signals = Signals::listen().map_err(start)?;
    let writer = Arc::new(Writer::start().map_err(start)?);
    let log = start_log(&options, &writer)?;
    let (orders, mut ordered) = mpsc::unbounded_channel();
    // Before the start, which may take seconds.
    let watched = options.watch.then(|| Watch::new(options.sources.clone()));
    let drain = options.drain;
    let process = assemble(options, &writer, log, orders).await?;
    serve_admin(&process).await?;
    process.enter(stage::RUNNING);
    let config = Arc::clone(&lock(&process.current).config);
    info!(pid = std::process::id(), version = process.version, "rosn has started");
    started(&config);
    tokio::spawn(certificates::follow(Arc::clone(&process)));
    if let Some(watched) = watched {
        tokio::spawn(follow(Arc::clone(&process), watched));
    }
    let graceful = loop {
        let order = tokio::select! {
            order = signals.next() => order,
            Some(order) = ordered.recv() => order,
        };
        match order {
            Order::Drain => break true,
            Order::Stop => break false,
            Order::Reload => {
                let _ = process.reload_now(); // the log has said how it went
            }
            Order::Reopen => writer.reopen(),
        }
    };
    let timeout = drain.unwrap_or(lock(&process.current).config.server.graceful_timeout);
    let cut = stop(&process, if graceful { timeout } else { Duration::ZERO }, &mut signals).await;
    let socket = config.server.socket_dir.join(rosn_admin::control_socket::NAME);
    let _ = std::fs::remove_file(socket); // it may never have been there
    writer.flush(FLUSH_TIME);
    if graceful && cut > 0 { Err(RunError::Stop(cut)) } else { Ok(()) }
}

fn start(error: impl std::fmt::Display) -> RunError {
    RunError::Start(error.to_string())
}

fn start_log(options: &Options, writer: &Writer) -> Result<Log, RunError> {
    let mut config = options.config.server.log.clone();
    if let Some(Some(level)) = options.log_level {
        config.level = level;
    }
    let log = Log::start(writer, &config).map_err(|error| start(format!("the log: {error}")))?;
    if options.log_level == Some(None) {
        log.set_enabled(false);
    }
    // A second run in one process (a test) keeps the first one's subscriber.
    let _ = tracing::subscriber::set_global_default(log.subscriber());
    Ok(log)
}

/// Builds the snapshot, opens the sockets and starts the workers.
async fn assemble(
    options: Options,
    writer: &Arc<Writer>,
    log: Log,
    orders: mpsc::UnboundedSender<Order>,
) -> Result<Arc<Process>, RunError> {
    let Options { load, config, raw, sources, workers, features, version, .. } = options;
    let cores = || std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let count = workers.or(config.server.workers).map_or_else(cores, NonZeroUsize::get);
    let registry = Arc::new(Registry::new(version));
    // One shard more than workers, for the control thread.
    let shards = count + 1;
    limits::raise_descriptors(config.server.limits.max_connections);
    // Before the first socket.
    let hooks = Hooks::install(&config.sockets);
    let transports = Arc::new(rosn_transport::Registry::with_builtin());
    let tickets = rosn_tls::Tickets::new();
    let environment = rosn_transport::Environment {
        tls: rosn_tls::InUse::new(tickets.clone()),
        ..rosn_transport::Environment::system()
    };
    let builder = Builder {
        transports: Arc::clone(&transports),
        environment: environment.clone(),
        registry: Arc::clone(&registry),
        writer: Arc::clone(writer),
        shards,
        tickets,
        grpc: OnceLock::new(),
        next_cluster: AtomicU64::new(1),
    };
    let snapshot = builder.build(&config, None).map_err(start)?;
    let (exclude, process_metrics) =
        (config.metrics.exclude.clone(), config.metrics.prometheus.iter().all(|sink| sink.process));
    let accept = config.server.accept;
    let current = Current::new(config, raw, sources, snapshot, &builder);
    first_resolutions(&current.snapshot.clusters, RESOLUTION_TIME).await;
    let stats = registry.sharded("downstream", &[("proxy", "global")], shards);
    let shared = Arc::new(Shared::new(stats, count, transports, environment));
    let workers = Workers::start(count, accept, Arc::clone(&shared), Arc::clone(&current.snapshot))
        .map_err(start)?;
    let listeners = current.snapshot.listeners.iter().map(|listener| &*listener.config);
    for opened in open_all(listeners, &[], &workers).map_err(RunError::Start)? {
        workers.listen(opened);
    }
    Ok(Arc::new(Process {
        current: Mutex::new(current),
        workers: Mutex::new(Some(workers)),
        builder,
        load,
        shared,
        registry,
        writer: Arc::clone(writer),
        log,
        hooks: Mutex::new(hooks),
        exclude,
        process_metrics,
        features,
        version,
        orders,
        stage: AtomicU8::new(stage::STARTING),
    }))
}

/// Opens the admin API, the control socket and the metrics.
async fn serve_admin(process: &Arc<Process>) -> Result<(), RunError> {
    let config = Arc::clone(&lock(&process.current).config);
    let control: Arc<dyn Control> = Arc::<Process>::clone(process);
    if let Some(admin) = &config.admin {
        if !admin.address.ip().is_loopback() && admin.token.is_none() {
            warn!(
                "the admin API on {} can be reached from other machines and asks for no token: set \
                 `admin.token`, or an address of 127.0.0.1",
                admin.address
            );
        }
        let listener = bind(admin.address, "the admin API")?;
        let options = AdminOptions { token: admin.token.clone() };
        tokio::spawn(serve(listener, Arc::clone(&control), options));
    }
    for sink in &config.metrics.prometheus {
        let listener = bind(sink.address, "the prometheus sink")?;
        let source = Arc::clone(process);
        let text: Arc<dyn Fn() -> String + Send + Sync> = Arc::new(move || source.prometheus());
        tokio::spawn(serve_metrics(listener, sink.endpoint.clone(), text));
    }
    let path = config.server.socket_dir.join(rosn_admin::control_socket::NAME);
    match control_socket(&path) {
        Ok(listener) => {
            tokio::spawn(serve(listener, control, AdminOptions { token: None }));
        }
        // A read-only directory (a ConfigMap) is no reason not to start.
        Err(error) => warn!("`rosn reload` has to use the admin API: {}: {error}", path.display()),
    }
    Ok(())
}

fn control_socket(path: &Path) -> std::io::Result<UnixListener> {
    let listener = rosn_admin::control_socket::bind(path)?;
    listener.set_nonblocking(true)?;
    UnixListener::from_std(listener)
}

fn bind(address: std::net::SocketAddr, what: &str) -> Result<Bound<TcpListener>, RunError> {
    let bound = rosn_net::bind_tcp(address, &ListenOptions::default());
    let listener = bound.map_err(|cause| start(format!("{what}: {cause}")))?;
    listener.map(TcpListener::from_std).map_err(start)
}

/// Reloads when the content of the configuration's files changes.
async fn follow(process: Arc<Process>, mut watched: Watch) {
    loop {
        tokio::time::sleep(watch::INTERVAL).await;
        if watched.has_changed() {
            info!("the configuration has changed on disk");
            let _ = process.reload_now(); // the log has said how it went
            watched.follow(&lock(&process.current).sources);
        }
    }
}

/// Ends the workers; says how many connections were cut. A second signal ends the waiting.
async fn stop(process: &Arc<Process>, timeout: Duration, signals: &mut Signals) -> usize {
    process.enter(if timeout.is_zero() { stage::STOPPING } else { stage::GRACEFUL_STOPPING });
    info!(?timeout, "stopping");
    let Some(workers) = lock(&process.workers).take() else { return 0 };
    let drain = tokio::task::spawn_blocking(move || workers.drain(timeout));
    let cut = tokio::select! {
        cut = drain => cut.unwrap_or_default(),
        () = hurry(signals) => {
            error!("stopping at once");
            usize::try_from(process.shared.open.load(std::sync::atomic::Ordering::Relaxed)).unwrap_or(0)
        }
    };
    process.enter(stage::STOPPED);
    info!(cut, "stopped");
    cut
}

/// Waits for a signal that says not to wait any longer.
async fn hurry(signals: &mut Signals) {
    loop {
        if signals.next().await == Order::Stop {
            return;
        }
    }
}
