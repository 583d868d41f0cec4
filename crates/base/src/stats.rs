//! Counters that each worker writes alone and a scrape adds up.
//!
//! A set of counters is a plain struct made by [`stats!`](crate::stats!). [`Sharded`] holds one
//! such struct for each worker, on cache lines of its own. A counter is written by one thread only,
//! so adding to it is a plain load and store.
//!
//! ```
//! use rosn_base::stats::{Sharded, Source, Value};
//!
//! rosn_base::stats! {
//!     /// What a door counts.
//!     pub struct DoorStats {
//!         /// People who came in.
//!         entered: Counter,
//!         /// People who are inside.
//!         inside: Gauge,
//!     }
//! }
//!
//! let door = Sharded::<DoorStats>::new(2);
//! door.shard(0).entered.add(1);
//! door.shard(1).entered.add(2);
//! door.shard(1).inside.add(-1);
//! let mut seen = Vec::new();
//! door.visit(&mut |key, value| seen.push((key, value)));
//! assert_eq!(seen, [("entered", Value::Counter(3)), ("inside", Value::Gauge(-1))]);
//! ```

use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

/// A number that only grows, written by one thread.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds to it. Only the thread that owns the shard may call this: two writers lose counts.
    #[inline]
    pub fn add(&self, count: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(count), Relaxed);
    }

    /// The present value.
    pub fn value(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A number that goes up and down, written by one thread.
///
/// One shard may be negative: what one worker added, another may take away.
#[derive(Debug, Default)]
pub struct Gauge(AtomicI64);

impl Gauge {
    /// Adds to it. Only the thread that owns the shard may call this.
    #[inline]
    pub fn add(&self, count: i64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(count), Relaxed);
    }

    /// The present value.
    pub fn value(&self) -> i64 {
        self.0.load(Relaxed)
    }

    /// Sets it. Only the thread that owns the shard may call this.
    pub fn set(&self, value: i64) {
        self.0.store(value, Relaxed);
    }
}

/// Upper bounds of a [`Histogram`]'s buckets, in microseconds; one more bucket holds the rest.
pub const BUCKETS_MICROS: [u64; 16] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 10_000_000, 60_000_000,
];

/// Durations counted in fixed buckets, written by one thread.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [Counter; BUCKETS_MICROS.len() + 1],
    sum_micros: Counter,
    min_micros: AtomicU64,
    max_micros: AtomicU64,
}

impl Histogram {
    /// Counts one duration, in nanoseconds. Only the thread that owns the shard may call this.
    #[inline]
    pub fn record(&self, nanos: u64) {
        let micros = nanos / 1_000;
        let at = BUCKETS_MICROS.partition_point(|bound| *bound < micros);
        self.buckets[at].add(1);
        self.sum_micros.add(micros);
        // Stored plus one, so that zero means "none yet".
        let min = self.min_micros.load(Relaxed);
        if min == 0 || micros + 1 < min {
            self.min_micros.store(micros + 1, Relaxed);
        }
        if micros > self.max_micros.load(Relaxed) {
            self.max_micros.store(micros, Relaxed);
        }
    }

    /// The present value.
    pub fn snapshot(&self) -> HistogramSnapshot {
        let mut buckets = [0; BUCKETS_MICROS.len() + 1];
        for (to, from) in buckets.iter_mut().zip(&self.buckets) {
            *to = from.value();
        }
        HistogramSnapshot {
            buckets,
            sum_micros: self.sum_micros.value(),
            min_micros: self.min_micros.load(Relaxed).checked_sub(1),
            max_micros: self.max_micros.load(Relaxed),
        }
    }
}

/// A [`Histogram`] of what may never happen. It has memory, and is shown, from the first duration on.
#[derive(Debug, Default)]
pub struct RareHistogram(OnceLock<Box<Histogram>>);

impl RareHistogram {
    /// Counts one duration, in nanoseconds. Only the thread that owns the shard may call this.
    #[inline]
    pub fn record(&self, nanos: u64) {
        self.0.get_or_init(Box::default).record(nanos);
    }
}

/// What a [`Histogram`] held when it was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HistogramSnapshot {
    /// How many durations fell in each bucket of [`BUCKETS_MICROS`], and in the rest.
    pub buckets: [u64; BUCKETS_MICROS.len() + 1],
    /// The sum of all durations, in microseconds.
    pub sum_micros: u64,
    /// The shortest one, in microseconds; `None` before the first.
    pub min_micros: Option<u64>,
    /// The longest one, in microseconds.
    pub max_micros: u64,
}

impl HistogramSnapshot {
    /// How many durations were counted.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    fn merge(&mut self, other: &Self) {
        for (to, from) in self.buckets.iter_mut().zip(&other.buckets) {
            *to += from;
        }
        self.sum_micros = self.sum_micros.wrapping_add(other.sum_micros);
        self.max_micros = self.max_micros.max(other.max_micros);
        self.min_micros = match (self.min_micros, other.min_micros) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }
}

/// The value of one metric.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Of a [`Counter`].
    Counter(u64),
    /// Of a [`Gauge`].
    Gauge(i64),
    /// Of a [`Histogram`].
    Histogram(Box<HistogramSnapshot>),
}

impl Value {
    /// Adds the value of another shard of the same metric.
    ///
    /// # Panics
    /// If the other one is of another kind.
    pub fn merge(&mut self, other: &Self) {
        match (self, other) {
            (Self::Counter(a), Self::Counter(b)) => *a = a.wrapping_add(*b),
            (Self::Gauge(a), Self::Gauge(b)) => *a = a.wrapping_add(*b),
            (Self::Histogram(a), Self::Histogram(b)) => a.merge(b),
            _ => panic!("shards of one metric are of one kind"),
        }
    }
}

/// A kind of metric that [`stats!`](crate::stats!) accepts as a field.
pub trait Metric {
    /// The present value; `None` where there is nothing to show.
    fn read(&self) -> Option<Value>;
}

impl Metric for Counter {
    fn read(&self) -> Option<Value> {
        Some(Value::Counter(self.value()))
    }
}

impl Metric for Gauge {
    fn read(&self) -> Option<Value> {
        Some(Value::Gauge(self.value()))
    }
}

impl Metric for Histogram {
    fn read(&self) -> Option<Value> {
        Some(Value::Histogram(Box::new(self.snapshot())))
    }
}

impl Metric for RareHistogram {
    fn read(&self) -> Option<Value> {
        self.0.get()?.read()
    }
}

/// The sum of a metric over its shards; `None` where none has anything to show.
pub fn sum<'a, M: Metric + 'a>(shards: impl Iterator<Item = &'a M>) -> Option<Value> {
    shards.filter_map(Metric::read).reduce(|mut sum, value| {
        sum.merge(&value);
        sum
    })
}

/// A struct of metrics, made by [`stats!`](crate::stats!).
pub trait Stats: Default + Send + Sync + 'static {
    /// Calls `f` with each metric's key and its sum over the shards, in the order of the fields.
    fn visit(shards: &[&Self], f: &mut dyn FnMut(&'static str, Value));
}

/// Something whose metrics can be read: what a registry holds.
pub trait Source: Send + Sync {
    /// Calls `f` with each metric's key and the sum over all shards.
    fn visit(&self, f: &mut dyn FnMut(&'static str, Value));
}

/// One struct of metrics for each worker, on cache lines of its own.
#[derive(Debug)]
pub struct Sharded<T> {
    shards: Box<[Padded<T>]>,
}

#[derive(Debug, Default)]
#[repr(align(128))]
struct Padded<T>(T);

impl<T: Stats> Sharded<T> {
    /// All zero, for `shards` writers (the workers, and one more for the control thread).
    ///
    /// # Panics
    /// If `shards` is zero.
    pub fn new(shards: usize) -> Self {
        assert!(shards > 0, "a metric needs at least one writer");
        Self { shards: (0..shards).map(|_| Padded::default()).collect() }
    }

    /// The struct that the writer `index` owns.
    ///
    /// # Panics
    /// If there are not that many shards.
    #[inline]
    pub fn shard(&self, index: usize) -> &T {
        &self.shards[index].0
    }

    /// How many writers there may be.
    pub fn shards(&self) -> usize {
        self.shards.len()
    }
}

impl<T: Stats> Source for Sharded<T> {
    fn visit(&self, f: &mut dyn FnMut(&'static str, Value)) {
        let shards: Vec<&T> = self.shards.iter().map(|shard| &shard.0).collect();
        T::visit(&shards, f);
    }
}

/// Makes a struct of metrics: fields of type `Counter`, `Gauge`, `Histogram` or `RareHistogram`, each
/// with the name under which it is exported.
#[macro_export]
macro_rules! stats {
    ($(#[$meta:meta])* $vis:vis struct $name:ident {
        $($(#[$field_meta:meta])* $field:ident : $kind:ident),* $(,)?
    }) => {
        $(#[$meta])*
        #[derive(Debug, Default)]
        $vis struct $name {
            $($(#[$field_meta])* pub $field: $crate::stats::$kind,)*
        }

        impl $crate::stats::Stats for $name {
            fn visit(shards: &[&Self], f: &mut dyn FnMut(&'static str, $crate::stats::Value)) {
                $(
                    let shards_of_one = shards.iter().map(|shard| &shard.$field);
                    if let Some(value) = $crate::stats::sum(shards_of_one) {
                        f(stringify!($field), value);
                    }
                )*
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_counts_in_its_buckets() {
        let h = Histogram::default();
        h.record(100_000); // 100 us: the bound itself belongs to the bucket
        h.record(101_000);
        h.record(u64::MAX);
        let seen = h.snapshot();
        assert_eq!((seen.buckets[0], seen.buckets[1]), (1, 1));
        assert_eq!(seen.buckets[BUCKETS_MICROS.len()], 1);
        assert_eq!(seen.count(), 3);
        assert_eq!(seen.min_micros, Some(100));
    }
    crate::stats! {
        struct RareStats {
            before: Counter,
            rare: RareHistogram,
            after: Counter,
        }
    }

    #[test]
    fn a_rare_histogram_is_shown_once_something_was_recorded() {
        let stats = Sharded::<RareStats>::new(3);
        let seen = || {
            let mut seen = Vec::new();
            stats.visit(&mut |key, value| seen.push((key, value)));
            seen
        };
        stats.shard(2).after.add(1);
        assert_eq!(seen(), [("before", Value::Counter(0)), ("after", Value::Counter(1))]);
        stats.shard(1).rare.record(1_000);
        stats.shard(2).rare.record(3_000);
        let Value::Histogram(rare) = seen()[1].1.clone() else { panic!("a histogram") };
        assert_eq!((rare.count(), rare.min_micros, rare.max_micros), (2, Some(1), 3));
        assert!(size_of::<RareHistogram>() <= 16, "it costs nothing where nothing happens");
    }
}
