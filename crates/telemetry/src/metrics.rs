//! All metrics of the process.

use std::any::{Any, TypeId};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, Weak};

use rosn_base::stats::{HistogramSnapshot, Sharded, Source, Stats, Value};
use rosn_config::checked::StatsMatcher;

use crate::writer::lock;

mod mosn;
mod process;
mod prometheus;

/// All metrics of the process.
///
/// A set of metrics has a type (`downstream`) and labels (`listener="web"`), as in MOSN. The
/// registry holds it weakly: it lives while somebody counts with it, and a reload that keeps a
/// listener keeps its counts.
#[derive(Debug)]
pub struct Registry {
    version: &'static str,
    state: AtomicI64,
    sets: Mutex<BTreeMap<Key, Set>>,
}

/// Sets of different types of counters may share a type and labels; they are shown as one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    kind: String,
    /// Sorted by name.
    labels: Vec<(String, String)>,
    source: TypeId,
}

struct Set {
    source: Weak<dyn Source>,
    /// The same, to get the type back.
    any: Weak<dyn Any + Send + Sync>,
}

impl std::fmt::Debug for Set {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Set").field("alive", &(self.source.strong_count() > 0)).finish()
    }
}

/// A set that is alive, for one exposition.
struct Live {
    key: Key,
    source: Arc<dyn Source>,
}

impl Registry {
    /// Without metrics but those of the process. `version` is shown as MOSN's
    /// `meta_version:<version>`.
    pub fn new(version: &'static str) -> Self {
        Self { version, state: AtomicI64::new(0), sets: Mutex::default() }
    }

    /// The counters of type `T` for `shards` writers. While anybody holds those of the same type
    /// and labels, these are returned again, so that a reload keeps the counts. They begin anew only
    /// if they have fewer shards than are asked for.
    ///
    /// # Panics
    /// If `shards` is zero.
    pub fn sharded<T: Stats>(
        &self,
        kind: &str,
        labels: &[(&str, &str)],
        shards: usize,
    ) -> Arc<Sharded<T>> {
        let key = Key::new::<Sharded<T>>(kind, labels);
        let mut sets = lock(&self.sets);
        let present = sets.get(&key).and_then(|set| set.any.upgrade());
        if let Some(Ok(present)) = present.map(Arc::downcast::<Sharded<T>>)
            && present.shards() >= shards
        {
            return present;
        }
        let new = Arc::new(Sharded::<T>::new(shards));
        sets.insert(key, Set::new(&new));
        new
    }

    /// Adds something else that can be read. It takes the place of a source of the same Rust type
    /// with the same type and labels.
    pub fn register<S: Source + 'static>(
        &self,
        kind: &str,
        labels: &[(&str, &str)],
        source: &Arc<S>,
    ) {
        lock(&self.sets).insert(Key::new::<S>(kind, labels), Set::new(source));
    }

    /// Sets the number shown as MOSN's `meta_mosn_state_code` (6 = running).
    pub fn set_state(&self, state: i64) {
        self.state.store(state, Relaxed);
    }

    fn state(&self) -> i64 {
        self.state.load(Relaxed)
    }

    /// The sets that are alive, sorted by type and labels. Forgets those that are not.
    fn live(&self) -> Vec<Live> {
        let mut sets = lock(&self.sets);
        let mut live = Vec::with_capacity(sets.len());
        sets.retain(|key, set| match set.source.upgrade() {
            Some(source) => {
                live.push(Live { key: key.clone(), source });
                true
            }
            None => false,
        });
        live
    }
}

impl Set {
    fn new<S: Source + 'static>(source: &Arc<S>) -> Self {
        let any: Arc<dyn Any + Send + Sync> = Arc::clone(source) as _;
        let source: Arc<dyn Source> = Arc::clone(source) as _;
        Self { source: Arc::downgrade(&source), any: Arc::downgrade(&any) }
    }
}

impl Key {
    fn new<S: 'static>(kind: &str, labels: &[(&str, &str)]) -> Self {
        let mut labels: Vec<(String, String)> =
            labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        labels.sort();
        Self { kind: kind.to_owned(), labels, source: TypeId::of::<S>() }
    }

    /// `listener.web`, as MOSN names a set within its type.
    fn namespace(&self) -> String {
        let pairs: Vec<String> =
            self.labels.iter().map(|(name, value)| format!("{name}.{value}")).collect();
        pairs.join(".")
    }
}

/// MOSN's two gauges of a histogram, in nanoseconds: shortest and longest; 0 before the first.
fn min_max(value: &HistogramSnapshot) -> (u64, u64) {
    let nanos = |micros: u64| micros.saturating_mul(1000);
    (nanos(value.min_micros.unwrap_or(0)), nanos(value.max_micros))
}

/// Calls `f` with MOSN's name and number of each metric of a source: a histogram is two.
fn each_number(source: &dyn Source, exclude: &StatsMatcher, f: &mut dyn FnMut(String, String)) {
    source.visit(&mut |key, value| match value {
        _ if is_excluded(exclude, key) => {}
        Value::Counter(number) => f(key.to_owned(), number.to_string()),
        Value::Gauge(number) => f(key.to_owned(), number.to_string()),
        Value::Histogram(histogram) => {
            let (min, max) = min_max(&histogram);
            f(format!("{key}_min"), min.to_string());
            f(format!("{key}_max"), max.to_string());
        }
    });
}

/// Whether a set of metrics with these labels is left out.
fn is_set_excluded(exclude: &StatsMatcher, labels: &[(String, String)]) -> bool {
    exclude.all || labels.iter().any(|(name, _)| exclude.labels.contains(name))
}

/// Whether a metric with this key is left out.
fn is_excluded(exclude: &StatsMatcher, key: &str) -> bool {
    exclude.keys.iter().any(|excluded| excluded == key)
}

#[cfg(test)]
mod tests;
