//! Metrics.

use std::time::Duration;

use super::table::{choices, format};
use super::{Port, Status::*, Texts};

format! {
    /// What is measured and where it is shown.
    Metrics {
        /// Where metrics are shown.
        sinks: Vec<Sink>, Active, "[]";
        /// What is left out.
        stats_matcher: StatsMatcher, Active, "";
        /// A file that keeps counters across hot upgrades.
        shm_zone: String, Later("shm_zone: counters start at zero with each process"), "";
        /// The size of that file, as `10MB`.
        shm_size: String, Inert("it belongs to `shm_zone`"), "";
        /// Show counters that were never counted.
        flush_mosn: bool, Inert("all metrics of the process are always shown"), "false";
        /// Show only what changed.
        lazy_flush: bool, Inert("metrics are read when they are asked for"), "false";
        /// How histograms are made.
        sample: Sample, Inert("histograms are exact"), "";
        /// How averages fade.
        ewma: Ewma, Later("metrics.ewma"), "";
    }

    /// Where metrics are shown.
    Sink {
        /// `prometheus`.
        r#type as "type": SinkType, Active, "";
        /// What it needs.
        config: Prometheus, Active, "";
    }

    /// A server that Prometheus scrapes.
    Prometheus {
        /// Its port, on every address.
        port: Port, Active, "";
        /// Its path.
        endpoint: String, Active, "/metrics";
        /// Where to push to.
        export_url: String, Inert("MOSN never implemented it"), "";
        /// Leave out the metrics of the process.
        disable_collect_process: bool, Active, "false";
        /// Leave out the metrics of Go.
        disable_collect_go: bool, Inert("there is no Go"), "false";
        /// Percentiles of histograms.
        percentiles: Vec<f64>, Inert("Prometheus computes them from the buckets"), "[]";
    }

    /// What is left out.
    StatsMatcher {
        /// Everything.
        reject_all: bool, Active, "false";
        /// Metrics that have one of these labels.
        exclusion_labels: Texts, Active, "[]";
        /// Metrics with one of these keys.
        exclusion_keys: Texts, Active, "[]";
    }

    /// How histograms are made.
    Sample {
        /// `UNIFORM` or `EXP_DECAY`.
        r#type as "type": String, Active, "UNIFORM";
        /// How many values are kept.
        size: i64, Active, "100";
        /// How fast old ones fade.
        exp_decay_alpha: f64, Active, "0.5";
    }

    /// How averages fade.
    Ewma {
        /// How much a new value counts.
        alpha: f64, Active, "";
        /// The share that is left after `duration`.
        target: f64, Active, "";
        /// See `target`.
        duration: Duration, Active, "";
    }
}

choices! {
    /// Where metrics are shown.
    SinkType: "prometheus";
}
