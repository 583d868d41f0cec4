//! Certificates while the process runs: files that change are read again, and it is said in time when one expires.
//!
//! Files are polled, as those of the configuration are (see [`crate::watch`]), whether that is watched or not. What is
//! read again holds for the handshakes from then on; connections go on as they are.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rosn_base::stats::{Source, Value};
use rosn_proxy::{Connectors, Snapshot};
use rosn_telemetry::Registry;
use rosn_tls::{Acceptor, Handle, Pem, Role, TlsError, UsedCertificate};
use tracing::{info, warn};

use crate::control::{Process, lock};
use crate::tls;
use crate::watch::{INTERVAL, Watch};

/// How often it is said that a certificate expires.
const REMIND: Duration = Duration::from_secs(24 * 3600);

/// Follows the certificates of the configuration in force, as long as the process runs.
pub(crate) async fn follow(process: Arc<Process>) {
    let mut certificates = Certificates::default();
    loop {
        tokio::time::sleep(INTERVAL).await;
        let snapshot = Arc::clone(&lock(&process.current).snapshot);
        let transports = process.builder.environment.tls.list();
        certificates.follow(&snapshot, transports, &process.registry);
        if certificates.look(SystemTime::now()) {
            process.rebuild();
        }
    }
}

/// The certificates of a state of the configuration.
#[derive(Default)]
struct Certificates {
    /// Of which state; 0 = none yet.
    version: u64,
    /// Those of transports (`stream_settings`), which listeners and workers make for themselves.
    transports: Vec<Handle>,
    all: Vec<Followed>,
    reminded: Option<SystemTime>,
}

/// Such as `listener`, and its name: for the log, and labels of the metrics.
type Owner = (&'static str, Arc<str>);

/// What was made of some files.
struct Followed {
    whose: Owner,
    made: Made,
    watch: Watch,
    state: State,
    /// Those of the metrics that are shown.
    expiries: Vec<Arc<Expiry>>,
}

enum Made {
    Acceptor(Acceptor),
    Connectors(Arc<Connectors>),
    /// By transports, of the same files: by each worker its own. Never none.
    Carried(Vec<Handle>),
    /// Nothing: they could not be loaded, and `fall_back` let it be.
    Nothing,
}

#[derive(PartialEq, Eq)]
enum State {
    /// What is in force is what is in the files.
    Read,
    /// The files may have changed before they were watched.
    Fresh,
    /// They changed and could not be read: one of two that belong together may have come first.
    Failed,
}

/// When the first certificate of a file expires, in seconds since 1970.
struct Expiry(AtomicI64);

impl Source for Expiry {
    fn visit(&self, f: &mut dyn FnMut(&'static str, Value)) {
        f("certificate_expiry_seconds", Value::Gauge(self.0.load(Ordering::Relaxed)));
    }
}

impl Certificates {
    /// Follows those of this state. What is the same goes on being followed, so that no change is missed.
    fn follow(&mut self, snapshot: &Snapshot, transports: Vec<Handle>, registry: &Registry) {
        if self.version == snapshot.version && self.transports == transports {
            return;
        }
        (self.version, self.transports) = (snapshot.version, transports);
        let mut before = std::mem::take(&mut self.all);
        for (whose, made, files) in used(snapshot).into_iter().chain(carried(&self.transports)) {
            let old = before.iter().position(|old| old.whose == whose && old.watch.is_of(&files));
            let mut followed = match old {
                Some(place) => Followed { made, ..before.swap_remove(place) },
                None => Followed {
                    whose,
                    made,
                    watch: Watch::new(files),
                    state: State::Fresh,
                    expiries: Vec::new(),
                },
            };
            followed.show(registry);
            self.all.push(followed);
        }
    }

    /// Reads again what has changed. True where what could not be loaded has: the snapshot is to be built again.
    fn look(&mut self, now: SystemTime) -> bool {
        let mut is_wanted = false;
        for followed in &mut self.all {
            is_wanted |= followed.look();
        }
        let due =
            self.reminded.is_none_or(|last| now.duration_since(last).unwrap_or_default() >= REMIND);
        if due {
            self.reminded = Some(now);
            let soon = self.all.iter().flat_map(|followed| followed.made.certificates());
            let mut said: Vec<_> = soon.filter_map(|used| tls::expires_soon(&used, now)).collect();
            said.sort_unstable();
            said.dedup();
            said.iter().for_each(|text| warn!("{text}"));
        }
        is_wanted
    }
}

impl Followed {
    fn look(&mut self) -> bool {
        let has_changed = self.watch.has_changed();
        if matches!(self.made, Made::Nothing) {
            let was_fresh = std::mem::replace(&mut self.state, State::Read) == State::Fresh;
            return has_changed || was_fresh;
        }
        if !has_changed && self.state == State::Read {
            return false;
        }
        let (kind, name) = &self.whose;
        match self.made.reload() {
            Ok(()) => {
                if has_changed || self.state == State::Failed {
                    info!("the certificates of {kind} `{name}` were read again");
                }
                self.state = State::Read;
                self.set_expiries();
            }
            Err(_) if has_changed => self.state = State::Failed,
            Err(error) => {
                warn!("the certificates of {kind} `{name}` stay as they were: {error}");
                self.state = State::Read;
            }
        }
        false
    }

    /// Makes metrics of the files.
    fn show(&mut self, registry: &Registry) {
        let (kind, name) = &self.whose;
        let files = expiries(&self.made.certificates());
        let make = |(file, _): &(String, i64)| {
            let expiry = Arc::new(Expiry(AtomicI64::new(0)));
            registry.register("tls", &[(kind, &**name), ("file", file)], &expiry);
            expiry
        };
        self.expiries = files.iter().map(make).collect();
        self.set_expiries();
    }

    fn set_expiries(&self) {
        for (expiry, (_, at)) in self.expiries.iter().zip(expiries(&self.made.certificates())) {
            expiry.0.store(at, Ordering::Relaxed);
        }
    }
}

impl Made {
    fn reload(&self) -> Result<(), TlsError> {
        match self {
            Self::Acceptor(acceptor) => acceptor.reload(),
            Self::Connectors(connectors) => tls::reload_connectors(connectors),
            Self::Carried(handles) => handles.iter().try_for_each(Handle::reload),
            Self::Nothing => Ok(()),
        }
    }

    fn certificates(&self) -> Vec<UsedCertificate> {
        match self {
            Self::Acceptor(acceptor) => acceptor.certificates(),
            Self::Connectors(connectors) => connectors.bytes.certificates(),
            Self::Carried(handles) => handles[0].certificates(),
            Self::Nothing => Vec::new(),
        }
    }
}

/// Each file with certificates that are shown, once, and when the first of them expires.
fn expiries(used: &[UsedCertificate]) -> Vec<(String, i64)> {
    let mut all: Vec<(String, i64)> = Vec::new();
    for used in used.iter().filter(|used| used.role != Role::Root) {
        let since = used.facts.not_after.duration_since(UNIX_EPOCH).unwrap_or_default();
        let at = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
        let file = match &used.file {
            Pem::File(path) => path.display().to_string(),
            Pem::Inline(_) => "inline".to_owned(),
        };
        match all.iter_mut().find(|(known, _)| *known == file) {
            Some((_, first)) => *first = at.min(*first),
            None => all.push((file, at)),
        }
    }
    all
}

/// Who uses what, made of which files.
fn used(snapshot: &Snapshot) -> Vec<(Owner, Made, Vec<PathBuf>)> {
    let listeners = snapshot.listeners.iter().filter_map(|listener| {
        let (made, files) = match (&listener.tls, &listener.config.tls) {
            (Some(acceptor), _) => (Made::Acceptor(acceptor.clone()), acceptor.files()),
            (None, Some(wanted)) => {
                (Made::Nothing, wanted.contexts.iter().flat_map(tls::files).collect())
            }
            (None, None) => return None,
        };
        Some((("listener", Arc::clone(&listener.config.name)), made, files))
    });
    let clusters = snapshot.clusters.iter().zip(&snapshot.connectors);
    let clusters = clusters.filter_map(|(cluster, connectors)| {
        let config = cluster.config();
        let (made, files) = match (connectors, &config.tls) {
            (Some(made), _) => (Made::Connectors(Arc::clone(made)), made.bytes.files()),
            (None, Some(wanted)) => (Made::Nothing, tls::files(wanted)),
            (None, None) => return None,
        };
        Some((("cluster", Arc::clone(&config.name)), made, files))
    });
    listeners.chain(clusters).collect()
}

/// The same of transports.
fn carried(handles: &[Handle]) -> Vec<(Owner, Made, Vec<PathBuf>)> {
    let mut all: Vec<(Owner, Made, Vec<PathBuf>)> = Vec::new();
    for handle in handles {
        let kind = if handle.is_acceptor() { "listener" } else { "cluster" };
        let (whose, of) = ((kind, Arc::clone(handle.owner())), handle.files());
        match all.iter_mut().find(|(other, _, files)| *other == whose && *files == of) {
            Some((_, Made::Carried(same), _)) => same.push(handle.clone()),
            _ => all.push((whose, Made::Carried(vec![handle.clone()]), of)),
        }
    }
    all
}
